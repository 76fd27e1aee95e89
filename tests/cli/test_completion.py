"""What is offered for a word that is being typed. Real shells: tests/e2e/test_completion.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opendmux import cli
from opendmux.cli import _completing, _control, completion
from opendmux.cli._completing import Answer, Kind, complete
from opendmux.core.keys import ALL_SCOPES
from opendmux.errors import CommandError

from .test_status import CLIENT, SNAPSHOT


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENDMUX_KEYS", raising=False)


def offered(line: str) -> list[str]:
    """For the last word of the line."""
    *words, current = line.split(" ")
    return [value for value, _ in complete(words, current).values]


def test_commands_with_what_they_are_for() -> None:
    assert complete([], "").values == [(name, command.text) for name, command in cli.COMMANDS.items()]
    assert offered("stat") == ["status"]
    assert offered("statusx") == []
    assert offered("no-such ") == []


def test_actions() -> None:
    assert offered("keys ") == ["add", "list", "show", "rotate", "revoke", "check"]
    assert offered("config s") == ["show"]
    assert offered("keys nonsense ") == []


def test_options_of_the_command_that_is_meant() -> None:
    assert "--upstream" in offered("--")
    assert "--upstream" in offered("serve --")
    assert "--version" in offered("--")
    assert offered("--seed 5 --see") == [], "it was given"
    assert offered("--listen a:1 --lis") == ["--listen"], "it may be repeated"
    assert "--upstream" not in offered("status --")
    assert offered("keys add --allowed-t") == ["--allowed-trd-sides"]
    assert all(text for _, text in complete(["keys", "add"], "--").values)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_offers_something_that_it_takes(command: str) -> None:
    found = offered(f"{command} -") or offered(f"{command} {offered(f'{command} ')[0]} -")
    assert "--help" in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--log-level ", ["debug", "info", "warning", "error"]),
        ("--log-level=w", ["--log-level=warning"]),
        ("--upstream s", ["sim"]),
        ("bench ", ["load", "idle", "stub"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("freeze --mode ", ["read-only", "cancel-only", "off"]),
        ("keys add --scopes ", list(ALL_SCOPES)),
        ("keys add --scopes qot:read,qot", ["qot:read,qot:write"]),
        ("keys add --allowed-trd-sides SELL,SELL", ["SELL,SELL_SHORT"]),
        ("keys add --tz Asia/Hong", ["Asia/Hong_Kong"]),
        ("--seed ", []),
        ("opend request_h", ["request_highest_quote_right"]),
        ("opend input_phone_verify_code ", ["-code="]),
    ],
)
def test_values(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("--config ", "files"),
        ("--audit-log ", "files"),
        ("audit verify ", "files"),
        ("config check ", "files"),
        ("tls self-signed --out ", "folders"),
        ("proto --out ", "folders"),
        ("--listen ", "values"),
    ],
)
def test_files_are_for_the_shell(line: str, kind: Kind) -> None:
    *words, current = line.split(" ")
    assert complete(words, current) == Answer(kind)


def test_ids_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered("keys show ") == [], "there is no file yet"
    assert cli.main(["keys", "add", "--id", "bot", "--scopes", "qot:read"]) == 0
    assert complete(["keys", "rotate"], "").values == [("bot", "qot:read")]
    assert offered("keys rotate b") == ["bot"]
    assert offered("keys rotate bot ")[0].startswith("--"), "one is enough"
    assert offered("freeze --key ") == ["bot"]
    (tmp_path / "keys.json").rename(tmp_path / "other.json")
    assert offered("keys revoke ") == []
    assert offered("keys revoke --keys other.json ") == ["bot"]
    monkeypatch.setenv("OPENDMUX_KEYS", "other.json")
    assert offered("freeze --key ") == ["bot"]
    for rubbish in ("", "[]", '{"keys": 5}', '{"keys": [5]}', "\u00ff"):
        (tmp_path / "keys.json").write_text(rubbish, encoding="latin-1")
        assert offered("keys revoke ") == []


def test_ids_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def status(args: Any) -> dict[str, Any]:
        asked.append(args)
        return {**SNAPSHOT, "clients": [{**CLIENT, "id": "7"}, {**CLIENT, "id": "8"}]}

    monkeypatch.setattr(_control, "status", status)
    assert offered("clients kill --connect 127.0.0.1:5 ") == ["7", "8"]
    assert asked[0].connect == "127.0.0.1:5"
    assert offered("clients kill 7 ") == ["8"]


def test_ids_of_clients_when_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(_args: object) -> dict[str, Any]:
        raise CommandError("nobody")

    monkeypatch.setattr(_control, "status", status)
    assert offered("clients kill ") == []


def test_a_proxy_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    hanging = threading.Event()
    monkeypatch.setattr(_control, "status", lambda _args: hanging.wait())
    monkeypatch.setattr(_completing, "ASK_S", 0.01)
    assert offered("clients kill ") == []
    hanging.set()


def test_the_tables_name_what_there_is() -> None:
    """A renamed option would lose its values in silence."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in (*_completing.VALUES, *_completing.LISTS):
        *words, last = name.split(" ", 1) if name.startswith("opend") else name.rsplit(" ", 1)
        assert f"`{last}" in text, name
        assert all(word in text for word in words)


# -- what the scripts get


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(["__complete", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_bash_gets_what_stands_behind_its_last_break(capsys: pytest.CaptureFixture[str]) -> None:
    line = "opendmux keys add --scopes qot:read,tra"
    assert answered(capsys, "bash", line, str(len(line)), " :=") == [
        "list",
        *(f"read,{scope}" for scope in ALL_SCOPES if scope.startswith("tra")),
    ]
    assert answered(capsys, "bash", line, str(len(line)), " ")[1].startswith("qot:read,tra")
    assert answered(capsys, "bash", "opendmux --log-level=w", "22", " :=") == ["values", "warning"]
    assert answered(capsys, "bash", "opendmux stat and more", "13", " :=") == ["values", "status"]
    assert answered(capsys, "bash", 'opendmux keys "sho', "18", " :=") == ["values", "show"]
    assert answered(capsys, "bash", "opendmux keys ", "14", " :=")[1] == "add"


def test_zsh_and_fish_get_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert answered(capsys, "zsh", "keys", "add", "--scopes", "qot:r") == ["list", "qot\\:read"]
    assert answered(capsys, "zsh", "stat") == ["values", f"status:{cli.COMMANDS['status'].text}"]
    assert answered(capsys, "fish", "stat") == ["values", f"status\t{cli.COMMANDS['status'].text}"]


def test_a_peers_name_does_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = {**CLIENT, "id": "7", "client_id": "\x1b]0;x\x07\x9b2J"}
    monkeypatch.setattr(_control, "status", lambda _args: {**SNAPSHOT, "clients": [client]})
    _kind, line = answered(capsys, "fish", "clients", "kill", "7")
    assert line.replace("\t", "").isprintable()


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_the_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    assert f"__complete {shell}" in capsys.readouterr().out


def test_it_is_quick_enough_for_a_key() -> None:
    """No trio, and no more of ours than the command that is typed."""
    script = (
        "import sys, json, opendmux.cli as cli\ncli.main(['__complete', 'fish', 'status', '--'])\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    loaded = set(json.loads(done.stderr))
    assert not {"trio", "rich", "ssl", "msgspec", "google.protobuf", "opendmux.cli.keys"} & loaded
