"""From the configuration to keys, daily values and the audit log; what can't work is said before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opendmux.cli import main
from opendmux.cli.house import house_of
from opendmux.config import Config, Listener
from opendmux.core.access import Admitted
from opendmux.core.denial import Denial
from opendmux.errors import ConfigError


def keys_file(folder: Path, capsys: pytest.CaptureFixture[str], *ids: str) -> tuple[str, list[str]]:
    """A file with these keys, and their plaintexts."""
    path = folder / "keys.json"
    plaintexts = []
    for key_id in ids:
        assert main(["keys", "add", "--keys", str(path), "--id", key_id, "--scopes", "qot:read"]) == 0
        plaintexts.append(capsys.readouterr().out.splitlines()[-1])
    return str(path), plaintexts


def test_without_keys_nothing_is_opened() -> None:
    house = house_of(Config())
    assert (house.access.keyring, house.audit, house.store, house.read_keys) == (None, None, None, None)
    assert house.trouble() == []


def test_keys_are_read_and_their_daily_values_kept_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, (plaintext,) = keys_file(tmp_path, capsys, "a")
    house = house_of(Config(keys=path))
    admitted = house.access.admit(plaintext, iface="grpc", local=True, wall=0.0)
    assert isinstance(admitted, Admitted)
    assert admitted.key is not None
    assert admitted.key.id == "a"
    assert isinstance(house.access.admit("fc_" + "0" * 64, iface="grpc", local=True, wall=0.0), Denial)
    assert house.store is not None
    assert (tmp_path / "keys.json.usage.db").exists()
    house.close()


def test_a_later_reading_sees_new_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = keys_file(tmp_path, capsys, "a")
    house = house_of(Config(keys=path, usage_db=str(tmp_path / "elsewhere.db")))
    keys_file(tmp_path, capsys, "b")
    assert house.read_keys is not None
    assert set(house.read_keys().keys) == {"a", "b"}
    assert (tmp_path / "elsewhere.db").exists()
    house.close()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            Config(keys="FILE", listeners=(Listener(("127.0.0.1:0",), ("opend",), key="zz"),)),
            "has no key with the id 'zz'",
        ),
        (
            Config(keys="FILE", listeners=(Listener(("[::1]:0", "a:1"), ("o",), key="z"),)),
            "the listener on [::1]:0 and a:1: ",
        ),
        (Config(keys="MISSING"), "MISSING"),
        (Config(keys="FILE", usage_db="FOLDER/none/x.db"), "x.db"),
        (Config(audit_log="FOLDER/none/none/audit.jsonl"), "audit.jsonl"),
    ],
)
def test_what_can_not_work_is_said(
    config: Config, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import msgspec

    path, _ = keys_file(tmp_path, capsys, "a")
    names = {"FILE": path, "FOLDER": str(tmp_path)}
    changes = {
        name: names.get(value, value.replace("FOLDER", str(tmp_path)))
        for name in ("keys", "usage_db", "audit_log")
        if (value := getattr(config, name))
    }
    with pytest.raises(ConfigError, match=re.escape(said)):
        house_of(msgspec.structs.replace(config, **changes))
