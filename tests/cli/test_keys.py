"""``opendmux keys``: what each action prints, writes and refuses."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from opendmux import cli
from opendmux.cli import _keys_commands as commands
from opendmux.core.keys import KeyLimits, Keyring
from opendmux.runtime import machine
from opendmux.runtime.keystore import load

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
PLAINTEXT = re.compile(r"fc_[0-9a-f]{64}")


class Shell:
    """`opendmux keys` in a folder of its own, at NOW."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "keys.json"
        self._capsys = capsys
        self.err = ""

    def __call__(self, *words: str) -> str:
        """stdout of a command that succeeds."""
        action, *others = words
        assert cli.main(["keys", action, "--keys", str(self.file), *others]) == 0
        captured = self._capsys.readouterr()
        self.err = captured.err
        return captured.out

    def refused(self, *words: str) -> str:
        """The one sentence of a command that fails."""
        action, *others = words
        before = self.file.read_bytes() if self.file.exists() else None
        assert cli.main(["keys", action, "--keys", str(self.file), *others]) == 2
        captured = self._capsys.readouterr()
        assert captured.out == ""
        if "--json" in words:
            return str(json.loads(captured.err)["error"]["text"])
        assert captured.err.startswith("opendmux: ")
        assert captured.err.count("\n") == 1
        assert (self.file.read_bytes() if self.file.exists() else None) == before
        return captured.err.removeprefix("opendmux: ").rstrip("\n")

    def add(self, key_id: str = "bot", *words: str, scopes: str = "qot:read") -> str:
        """The plaintext of a new key."""
        out = self("add", "--id", key_id, "--scopes", scopes, *words)
        assert PLAINTEXT.fullmatch(out.rstrip("\n"))
        return out.rstrip("\n")

    @property
    def ring(self) -> Keyring:
        return load(self.file).file.keyring

    def raw(self, index: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())["keys"][index]
        return found


@pytest.fixture
def keys(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(machine, "machine_id", lambda: "this-machine")
    return Shell(tmp_path, capsys)


# -- add


def test_a_first_key_makes_the_file_and_its_plaintext_is_alone_on_stdout(keys: Shell) -> None:
    plaintext = keys.add("reader", scopes="qot:read, acc:read")
    assert keys.err.startswith(f"opendmux: key 'reader' is in {keys.file} (")
    assert keys.err.endswith("; its plaintext is shown this once:\n")
    key = keys.ring.find(plaintext, NOW)
    assert key is not None
    assert (key.id, key.scopes) == ("reader", frozenset({"qot:read", "acc:read"}))
    assert plaintext not in keys.file.read_text()
    assert keys.raw() == {
        "id": "reader",
        "hash": hashlib.sha256(plaintext.encode()).hexdigest(),
        "scopes": ["qot:read", "acc:read"],
        "created_at": "2027-01-15T08:00:00Z",
    }
    assert keys.add("second") != plaintext
    assert list(keys.ring.keys) == ["reader", "second"]


def test_every_limit_is_an_option(keys: Shell) -> None:
    plaintext = keys.add(
        "bot",
        *("--allowed-markets", "HK,US", "--allowed-symbols", "HK.00700", "--allowed-trd-sides", "BUY,SELL"),
        *("--max-order-value", "20000", "--max-daily-value", "1e5", "--max-orders-per-minute", "5"),
        *("--hours-window", "22:00-04:00", "--tz", "Asia/Hong_Kong", "--allowed-machines", "this,abc"),
        *("--allowed-acc-ids", "281756455988247915", "--allowed-card-nums", "1001100100000001"),
        *("--allow-unknown", "--strict-unlock", "--expires", "30d", "--websocket", "--note", "a bot"),
        *("--cancel-on-disconnect", "--dead-man-s", "30"),
        scopes="qot:read,trade:real",
    )
    raw = keys.raw()
    assert raw.pop("hash") == hashlib.sha256(plaintext.encode()).hexdigest()
    assert raw == {
        "id": "bot",
        "scopes": ["qot:read", "trade:real"],
        "limits": {
            "allowed_markets": ["HK", "US"],
            "allowed_symbols": ["HK.00700"],
            "allowed_trd_sides": ["BUY", "SELL"],
            "max_order_value": 20000.0,
            "max_daily_value": 100000.0,
            "max_orders_per_minute": 5,
            "hours_window": "22:00-04:00",
        },
        "allowed_machines": ["this-machine", "abc"],
        "allowed_acc_ids": [281756455988247915],
        "allowed_card_nums": ["1001100100000001"],
        "created_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-02-14T08:00:00Z",
        "note": "a bot",
        "tz": "Asia/Hong_Kong",
        "allow_unknown": True,
        "strict_unlock": True,
        "cancel_on_disconnect": 15.0,
        "dead_man_s": 30.0,
        "md5": hashlib.md5(plaintext.encode()).hexdigest(),
    }


def test_an_empty_list_allows_nothing(keys: Shell) -> None:
    lists = ("markets", "symbols", "trd-sides", "machines", "acc-ids", "card-nums")
    keys.add("bot", *(word for name in lists for word in (f"--allowed-{name}", "")))
    key = keys.ring.keys["bot"]
    assert key.limits == KeyLimits(frozenset(), frozenset(), frozenset())
    assert (key.allowed_machines, key.allowed_acc_ids, key.allowed_card_nums) == (frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("12h", 43_200),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("2027-01-16", 57_600),
        ("2027-01-15T09:00:00Z", 3_600),
        ("2027-01-15T17:00:00+08:00", 3_600),
    ],
)
def test_when_a_key_expires(keys: Shell, text: str, seconds: float) -> None:
    keys.add("bot", "--expires", text)
    assert keys.ring.keys["bot"].expires_at == NOW + seconds


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--scopes", ""], "--scopes names no scope"),
        (["--scopes", "qot:read,"], "'qot:read,' has an empty place between its commas"),
        (["--scopes", "qot:red"], "key 'bot': scopes names 'qot:red', which is not a scope; did you mean 'qot:read'?"),
        (["--id", "a b"], "key 'a b': id must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not 'a b'"),
        (["--id", "anonymous"], "key 'anonymous': id must not be 'anonymous': so callers without a key are called"),
        (["--max-order-value", "-1"], "key 'bot': limits: max_order_value must be a number of 0 or more, not -1.0"),
        (["--max-order-value", "nan"], "key 'bot': limits: max_order_value must be a number of 0 or more, not nan"),
        (["--hours-window", "9-17"], "limits: hours_window must be HH:MM-HH:MM, like 09:30-16:00 or 22:00-04:00, not"),
        (["--tz", "Mars"], "key 'bot': tz must be a time zone like Asia/Hong_Kong, not 'Mars'"),
        (["--allowed-acc-ids", "x"], "key 'bot': allowed_acc_ids must be a list of account numbers; 'x' is none"),
        (["--expires", "30"], "--expires '30' is not a number of s, m, h, d or w, like 12h or 30d"),
        (["--expires", "0d"], "--expires '0d' is not a number of s, m, h, d or w, like 12h or 30d"),
        (["--expires", "soon"], "--expires 'soon' is neither like 30d or 12h nor like 2030-01-31"),
        (["--expires", "2026-12-31"], "--expires 2026-12-31 has passed"),
    ],
)
def test_a_bad_option_is_one_sentence_and_exit_code_2(keys: Shell, words: list[str], text: str) -> None:
    given = ["--id", "bot", "--scopes", "qot:read", *words]
    assert text in keys.refused("add", *given)
    assert not keys.file.exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["forge"],
        ["add"],
        ["add", "--id", "a"],
        ["add", "--id", "a", "--scopes", "admin", "--max-daily-value", "much"],
        ["revoke"],
        ["show", "a", "b"],
    ],
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["keys", *words])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("opendmux: ")
    assert err.endswith("--help` says more)\n")
    assert err.count("\n") == 1


def test_an_id_is_given_once(keys: Shell) -> None:
    keys.add()
    text = keys.refused("add", "--id", "bot", "--scopes", "admin")
    assert text == f"{keys.file} has a key 'bot' already; `keys rotate` gives it a new plaintext"


# -- rotate and revoke


def test_rotation_ends_the_old_plaintext_at_once(keys: Shell) -> None:
    old = keys.add("bot", "--max-orders-per-minute", "5", "--expires", "30d", "--note", "n")
    before = keys.ring.keys["bot"]
    new = keys("rotate", "bot").rstrip("\n")
    assert PLAINTEXT.fullmatch(new)
    assert keys.err.endswith("the pid that `opendmux status` shows):\n")
    assert "the old one does not work any more" in keys.err
    assert keys.ring.find(old, NOW) is None
    assert keys.ring.find(new, NOW) == before, "limits, expiry and note stay"


def test_rotation_with_an_overlap(keys: Shell) -> None:
    old = keys.add("bot", "--websocket")
    new = keys("rotate", "bot", "--overlap", "1h").rstrip("\n")
    assert "the old one works until 2027-01-15T09:00:00Z" in keys.err
    ring = keys.ring
    assert ring.find(old, NOW + 3_599) is ring.find(new, NOW + 3_599) is ring.keys["bot"]
    assert ring.find(old, NOW + 3_600) is None
    assert ring.find(new, NOW + 3_600) is not None
    raw = keys.raw()
    assert raw["md5"] == hashlib.md5(new.encode()).hexdigest()
    assert raw["previous_md5"] == hashlib.md5(old.encode()).hexdigest()
    newest = keys("rotate", "bot", "--overlap", "2h").rstrip("\n")
    assert keys.ring.find(old, NOW) is None, "one old plaintext is kept, no more"
    assert keys.ring.find(new, NOW + 7_199) is not None
    keys("rotate", "bot")
    assert keys.ring.find(newest, NOW) is None
    assert not {"previous_hash", "previous_until", "previous_md5"} & set(keys.raw())


def test_rotation_can_give_a_new_end(keys: Shell) -> None:
    keys.add("bot", "--expires", "1d")
    keys("rotate", "bot", "--expires", "2d")
    assert keys.ring.keys["bot"].expires_at == NOW + 2 * 86_400


def test_rotation_of_a_key_that_has_expired_wants_a_new_end(keys: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.add("bot", "--expires", "1d")
    monkeypatch.setattr("time.time", lambda: NOW + 86_400.0)
    before = keys.raw()
    assert "has expired, 2027-01-16T08:00:00Z" in keys.refused("rotate", "bot")
    assert keys.raw() == before
    new = keys("rotate", "bot", "--expires", "30d").rstrip("\n")
    assert keys.ring.find(new, NOW + 86_400) is not None


def test_revoking(keys: Shell) -> None:
    keys.add("a")
    plaintext = keys.add("b")
    assert keys("revoke", "b") == ""
    assert keys.err.startswith("opendmux: key 'b' is removed from ")
    assert keys.ring.find(plaintext, NOW) is None
    assert list(keys.ring.keys) == ["a"]


@pytest.mark.parametrize("action", ["show", "rotate", "revoke"])
def test_an_unknown_id(keys: Shell, action: str) -> None:
    keys.add("reader")
    assert keys.refused(action, "raeder") == f"{keys.file} has no key 'raeder'; did you mean 'reader'?"
    assert keys.refused(action, "zzz") == f"{keys.file} has no key 'zzz'"


@pytest.mark.parametrize("words", [["overlap", "soon"], ["overlap", "0h"], ["expires", "1"]])
def test_a_bad_time_of_a_rotation(keys: Shell, words: list[str]) -> None:
    keys.add()
    option, value = words
    assert keys.refused("rotate", "bot", f"--{option}", value).startswith(f"--{option} '{value}' is not a number of")


@pytest.mark.parametrize("words", [["list"], ["show", "a"], ["rotate", "a"], ["revoke", "a"], ["check"]])
def test_no_file(keys: Shell, words: list[str]) -> None:
    assert keys.refused(*words).startswith(f"there is no file {keys.file}")
    assert not keys.file.exists()


# -- list, show, check


def four(keys: Shell) -> list[str]:
    """An old one, a frozen one, a rotating one and one with everything; returns all that must not be seen."""
    keys.add("old")
    keys.add("cold", "--allowed-machines", "")
    keys.add("new", "--websocket", "--note", "mine\x1b[2J")
    keys("rotate", "new", "--overlap", "1h")
    keys.add(
        "bot", "--allowed-markets", "HK,US", "--max-orders-per-minute", "5", "--strict-unlock", scopes="trade:real"
    )
    raw = json.loads(keys.file.read_text())
    raw["keys"][0]["expires_at"] = NOW
    keys.file.write_text(json.dumps(raw))
    return [key[name] for key in raw["keys"] for name in commands.HIDDEN if name in key]


def test_list(keys: Shell) -> None:
    hidden = four(keys)
    out = keys("list")
    assert out.splitlines() == [
        "ID    STATE     EXPIRES               SCOPES      NOTE",
        "old   expired   2027-01-15T08:00:00Z  qot:read",
        "cold  frozen    never                 qot:read",
        "new   rotating  never                 qot:read    mine?[2J",
        "bot   active    never                 trade:real",
    ]
    listed = keys("list", "--json")
    assert [key["state"] for key in json.loads(listed)] == ["expired", "frozen", "rotating", "active"]
    assert not [secret for secret in hidden if secret in out + listed]


def test_show(keys: Shell) -> None:
    hidden = four(keys)
    assert keys("show", "bot").splitlines() == [
        "id:                     bot",
        "state:                  active",
        "scopes:                 trade:real",
        "created_at:             2027-01-15T08:00:00Z",
        "strict_unlock:          yes",
        "websocket:              no",
        "allowed_markets:        HK, US",
        "max_orders_per_minute:  5",
    ]
    assert "allowed_machines:       none" in keys("show", "cold")
    shown = json.loads(keys("show", "new", "--json"))
    assert shown == {
        "id": "new",
        "state": "rotating",
        "scopes": ["qot:read"],
        "created_at": "2027-01-15T08:00:00Z",
        "note": "mine\x1b[2J",
        "previous_until": "2027-01-15T09:00:00Z",
        "websocket": True,
    }
    everything = "".join(keys("show", key_id, *more) for key_id in keys.ring.keys for more in ([], ["--json"]))
    assert not [secret for secret in hidden if secret in everything]


def test_check(keys: Shell) -> None:
    four(keys)
    assert keys("check") == f"old: has expired\n{keys.file} is good: 4 keys\n"
    assert json.loads(keys("check", "--json")) == {
        "file": str(keys.file),
        "keys": 4,
        "expired": ["old"],
        "warning": "",
        "differences": [],
    }
    keys.file.chmod(0o644)
    keys("check")
    assert "is open to other users of this machine (mode 0644)" in keys.err
    keys.file.write_text('{"version": 1, "keys": [{"id": "a"}]}')
    assert keys.refused("check") == f"{keys.file}: key 'a' has no hash"
    assert keys.refused("check", "--json") == f"{keys.file}: key 'a' has no hash"


def test_check_of_a_file_of_the_other_gateway(keys: Shell, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    key = {"id": "a", "hash": f"sha256:{'a' * 64}", "scopes": ["acc:read", "trade:real"], "allowed_markets": []}
    other.write_text(json.dumps({"version": 1, "keys": [key]}))
    other.chmod(0o600)
    lines = keys("check", "--import", str(other)).splitlines()
    assert lines[0] == "a: allowed_markets: here []: no market is allowed; there []: no limit"
    assert lines[1].endswith("there trade:unlock is needed for it since 1.4.104 (looser here)")
    assert lines[-1] == f"{other} is good: 1 key"
    found = json.loads(keys("check", "--import", str(other), "--json"))["differences"]
    assert found[0] == {
        "key_id": "a",
        "field": "allowed_markets",
        "here": "[]: no market is allowed",
        "there": "[]: no limit",
        "looser": False,
    }
    assert not keys.file.exists(), "nothing is imported by looking"


# -- around it


def test_keys_json_of_the_current_folder_is_the_default(keys: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(keys.file.parent)
    assert cli.main(["keys", "add", "--id", "a", "--scopes", "admin"]) == 0
    assert list(keys.ring.keys) == ["a"]


def test_no_action_pays_for_trio(keys: Shell) -> None:
    keys.add()
    script = (
        "import sys, opendmux.cli as cli\n"
        "code = cli.main(sys.argv[1:])\n"
        "dear = ('trio', 'google.protobuf', 'opendmux.native')\n"
        "print(code, [name for name in dear if name in sys.modules], file=sys.stderr)"
    )
    words = [sys.executable, "-c", script, "keys", "check", "--keys", str(keys.file)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "0 []"


def test_json_of_what_changes_the_file(keys: Shell) -> None:
    made = json.loads(keys("add", "--id", "bot", "--scopes", "qot:read", "--json"))
    assert made["id"] == "bot"
    assert made["file"] == str(keys.file)
    assert PLAINTEXT.fullmatch(made["key"])
    assert keys.raw()["hash"].endswith(hashlib.sha256(made["key"].encode()).hexdigest())
    rotated = json.loads(keys("rotate", "bot", "--overlap", "1h", "--json"))
    assert rotated["key"] != made["key"]
    assert rotated["previous_until"]
    assert json.loads(keys("revoke", "bot", "--json")) == {"id": "bot", "file": str(keys.file)}
