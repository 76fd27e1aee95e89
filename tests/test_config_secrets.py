"""Settings that only their owner should read, wherever settings are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.cli import main
from opendmux.config import AlertConfig, Config
from opendmux.config.changes import changes
from opendmux.config.secrets import without_secrets

URL = "https://hooks.example/s3cret?token=t0ken"


def test_the_address_of_a_webhook() -> None:
    hidden = AlertConfig(webhook="https://hooks.example/...", name="ops")
    assert without_secrets((AlertConfig(webhook=URL, name="ops"),)) == (hidden,)
    assert without_secrets(("a", 1)) == ("a", 1)
    assert without_secrets(AlertConfig(command=("x",))) == AlertConfig(command=("x",))
    assert without_secrets(AlertConfig(command=("curl", "-HX-Key: s3cret"))) == AlertConfig(command=("curl", "..."))
    assert without_secrets(AlertConfig(webhook="https://[x/s3cret")).webhook == "..."  # type: ignore[attr-defined]


def test_not_in_the_log_of_a_reload() -> None:
    (change,) = changes(Config(), Config(alerts=(AlertConfig(webhook=URL),)))
    assert "hooks.example" in str(change)
    assert "s3cret" not in str(change)


def said(old: tuple[AlertConfig, ...], new: tuple[AlertConfig, ...]) -> str:
    (change,) = changes(Config(alerts=old), Config(alerts=new))
    assert "s3cret" not in str(change)
    return str(change)


def test_a_secret_that_has_changed_is_told_without_it() -> None:
    before, after = AlertConfig(webhook=URL), AlertConfig(webhook=f"{URL}2")
    curl = AlertConfig(command=("curl", "s3cret 1")), AlertConfig(command=("curl", "s3cret 2"))
    assert said((before,), (after,)) == said(curl[:1], curl[1:]) == "alerts: changed (secret)"
    assert said((before, curl[0]), (after, curl[0])) == "alerts: changed (secret)"
    assert said((before,), (after, curl[0])).endswith(" (and a secret in it)")
    assert said((before,), (AlertConfig(webhook=f"{URL}2", after_s=6.0),)).endswith(" (and a secret in it)")


def test_where_none_has_changed_none_is_told_of() -> None:
    one, other = AlertConfig(webhook=URL, name="a"), AlertConfig(webhook=f"{URL}2", name="b")
    assert said((one,), (other, one)).endswith("}]"), "an entry that has moved"
    assert said((one,), (AlertConfig(webhook="https://other.example/s3cret"),)).endswith("}]")
    assert said((one,), (AlertConfig(webhook=URL, name="a", over=False),)).endswith("}]")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_not_in_what_config_show_prints(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_text(f'[[alerts]]\nwebhook = "{URL}"\n')
    assert main(["config", "check", str(path)]) == 0
    assert main(["config", "show", str(path), *options]) == 0
    out = capsys.readouterr().out
    assert "hooks.example" in out
    assert "s3cret" not in out
