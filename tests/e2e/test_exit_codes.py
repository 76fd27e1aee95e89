"""The exit codes of every command, as docs/cli.md promises them: 0, 1 and 2. Signals: test_process.py."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opendmux import cli
from tests.cli.test_main import commands

from .harness import Opendmux

NOBODY = "127.0.0.1:1"
"""The port of a service that nobody runs any more."""

ASKING = ("status", "top", "clients list", "clients kill", "subs", "freeze", "pause", "resume", "alerts test")
"""They need a running proxy, and fail where there is none."""

DONE: dict[str, str] = {
    "status": "",
    "top": "--once",
    "clients list": "",
    "subs": "",
    "freeze": "--show",
    "pause": "--show",
    "resume": "",
    "keys add": "--id new --scopes qot:read",
    "keys list": "",
    "keys show": "bot",
    "keys rotate": "bot",
    "keys revoke": "bot",
    "keys check": "",
    "tls self-signed": "--out made",
    "audit verify": "audit.jsonl",
    "config check": "",
    "config show": "",
    "config init": "fresh.toml",
    "opend": "help",
    "proto": "",
    "version": "",
    "completion": "bash",
    "doctor": "",
}
FAILED: dict[str, str] = {
    **dict.fromkeys(ASKING, f"--connect {NOBODY}"),
    "top": f"--once --connect {NOBODY}",
    "clients kill": f"7 --connect {NOBODY}",
    "audit verify": "broken.jsonl",
    "opend": f"help --telnet {NOBODY}",
    "bench": f"--target {NOBODY}",
    "doctor": f"--upstream {NOBODY} --connect {NOBODY}",
}
WRONG: dict[str, str] = {
    **dict.fromkeys(ASKING, "--connect nowhere"),
    "serve": "--listen nowhere",
    "sim": "--listen nowhere",
    "top": "--once --connect nowhere",
    "clients kill": "7 --connect nowhere",
    "keys add": "--id bot --scopes qot:read",
    "keys list": "--keys none.json",
    "keys show": "nobody",
    "keys rotate": "nobody",
    "keys revoke": "nobody",
    "keys check": "--keys none.json",
    "tls self-signed": "--out made --days 0",
    "audit verify": "none.jsonl",
    "config check": "wrong.toml",
    "config show": "wrong.toml",
    "config init": "wrong.toml",
    "opend": "no-such-command",
    "proto": "--out none",
    "bench": "--clients 0",
    "version": "--no-such",
    "completion": "tcsh",
    "doctor": "--upstream nowhere",
}
LIVING = {
    "serve": "test_process.py",
    "sim": "below",
    "bench": "test_bench.py",
    "clients kill": "test_status_commands.py",
    "alerts test": "test_alerts.py",
}
"""What goes on, or needs more than one word to succeed."""
CANNOT_FAIL = {
    *(
        "serve",
        "sim",
        "config check",
        "config show",
        "config init",
        "tls self-signed",
        "proto",
        "version",
        "completion",
    ),
    *(words for words in commands() if words.startswith("keys ")),
}
"""What they do either succeeds or was not possible: 2, before anything was done."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[tuple[str, str]]:
    """Where it listens, and where its OpenD does."""
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--telnet", "127.0.0.1:0") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, Telnet console on (\S+)")
        words = ["--listen", "127.0.0.1:0", "--upstream", found[1], "--telnet", found[2]]
        with Opendmux(*words).wait_ready() as proxy:
            yield f"127.0.0.1:{proxy.port}", found[1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENDMUX_KEY", raising=False)
    assert cli.main(["keys", "add", "--id", "bot", "--scopes", "qot:read"]) == 0
    Path("audit.jsonl").touch()
    Path("broken.jsonl").write_text('{"seq": 5}\n')
    Path("wrong.toml").write_text("lsiten = 5\n")


def ended(words: str) -> int:
    try:
        return cli.main(words.split())
    except SystemExit as error:
        return int(error.code or 0)


def test_every_command_is_in_the_tables() -> None:
    everything = set(commands())
    assert set(DONE) | set(LIVING) == everything
    assert set(FAILED) | CANNOT_FAIL == everything
    assert set(WRONG) == everything


@pytest.mark.parametrize("words", DONE)
def test_done_is_0(words: str, proxy: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    where = f" --connect {proxy[0]}" if words in (*ASKING, "opend", "doctor") else ""
    more = f" --upstream {proxy[1]}" if words == "doctor" else ""
    assert ended(f"{words} {DONE[words]}{where}{more}") == 0, capsys.readouterr()


@pytest.mark.parametrize("words", FAILED)
def test_failed_is_1(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(f"{words} {FAILED[words]}") == 1
    said = capsys.readouterr()
    assert said.out or said.err.startswith("opendmux: ")


@pytest.mark.parametrize("words", WRONG)
def test_wrong_is_2_in_one_sentence_or_one_object(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert ended(f"{words} {WRONG[words]}") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("opendmux: ")
    assert said.err.count("\n") == 1
    if words == "completion":
        return
    assert ended(f"{words} --json {WRONG[words]}") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err.splitlines()[-1])["error"]["kind"] == "usage"


def test_nobody_to_end_is_1(proxy: tuple[str, str]) -> None:
    assert ended(f"clients kill 12345 --connect {proxy[0]}") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_that_is_stopped_ends_with_0(number: signal.Signals) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0") as sim:
        sim.wait_for("SIMULATED")
        sim.signal(number)
        assert sim.wait() == 0


def test_a_signal_that_is_nobodys_is_128_and_its_number() -> None:
    """A command that only waits, interrupted at the keyboard."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        words = [sys.executable, "-m", "opendmux", "status", "--connect", f"127.0.0.1:{mute.getsockname()[1]}"]
        # Whoever runs these tests in the background has them ignore it, and all that they start.
        ours = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, ours)
        with process:
            connection, _ = mute.accept()
            with connection:
                connection.recv(100)
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=60)[1] == ""
                assert process.returncode == 130
