"""`opendmux opend` as it reads its words; what it does is in tests/e2e/test_opend.py."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from opendmux.cli import main, opend
from opendmux.core.operations import OPERATIONS

MD5 = "e10adc3949ba59abbe56e057f20f883e"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no state and no settings of this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OPENDMUX_ADMIN_SOCKET", "off")
    monkeypatch.delenv("OPENDMUX_CONFIG", raising=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What a running proxy is asked for; it answers well."""
    orders: list[tuple[str, Any]] = []

    def ask(_args: object, method: str, path: str, body: object, *, timeout_s: float) -> dict[str, Any]:
        assert (method, timeout_s > 10) == ("POST", True)
        orders.append((path.rpartition("/")[2], body))
        return {"lines": ["ok \x1b[2J"], "note": "", "refused": False, "way": "telnet", "place": "127.0.0.1:22222"}

    monkeypatch.setattr(opend, "ask", ask)
    return orders


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("words", "command", "body"),
    [
        (["ping"], "ping", {"opend": None, "parameters": {}, "confirm": False}),
        (
            ["input_phone_verify_code", "-code=123456"],
            "input_phone_verify_code",
            {"opend": None, "parameters": {"code": "123456"}, "confirm": False},
        ),
        (["ping", "--opend", "2"], "ping", {"opend": 2, "parameters": {}, "confirm": False}),
        (["--opend", "hk", "ping"], "ping", {"opend": "hk", "parameters": {}, "confirm": False}),
        (["exit", "--yes"], "exit", {"opend": None, "parameters": {}, "confirm": True}),
        (["--yes", "close_api_conn"], "close_api_conn", {"opend": None, "parameters": {}, "confirm": True}),
        (
            ["show_sub_info", "-conn_id=5", "--opend", "1"],
            "show_sub_info",
            {"opend": 1, "parameters": {"conn_id": "5"}, "confirm": False},
        ),
    ],
)
def test_words(
    asked: list[tuple[str, Any]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    command: str,
    body: dict[str, Any],
) -> None:
    assert main(["opend", *words]) == 0
    assert asked == [(command, body)]
    shown = capsys.readouterr().out
    assert shown == "ok ?[2J\n-- by OpenD's Telnet console at 127.0.0.1:22222, through opendmux\n"


def test_json_behind_the_command(asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["opend", "ping", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["ok \x1b[2J"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "which command?"),
        (["pong"], "did you mean 'ping'"),
        (["input_phone_verify_code", "123456"], "'123456' is not -key=value"),
        (["input_phone_verify_code", "-code", "123456"], "'-code' is not -key=value"),
        (["show_sub_info", "-sub_info_path=/tmp/x"], "makes OpenD write a file"),
        (["exit"], "add --yes"),
        (["relogin", "-login_pwd=secret"], "not taken from the command line"),
        (["relogin", f"-login_pwd_md5={MD5}"], "not taken from the command line"),
        (["relogin", "--password-file", "/nowhere"], "--password-file /nowhere: No such file"),
        (["relogin", "--connect", "192.0.2.1:33333"], "without encryption: add --tls"),
    ],
)
def test_what_is_refused(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    assert main(["opend", *words]) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "secret" not in said
    assert MD5 not in said
    assert not asked


def test_an_option_that_is_not_known(asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["opend", "ping", "--forse"])
    assert (ended.value.code, "--forse" in capsys.readouterr().err, asked) == (2, True, [])


def test_a_password_from_a_file_and_from_stdin(
    asked: list[tuple[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("123456\nmore\n")
    assert main(["opend", "relogin", "--password-file", str(file)]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("123456\n"))
    assert main(["opend", "relogin"]) == 0
    assert [body["parameters"] for _command, body in asked] == [{"login_pwd_md5": MD5}] * 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["opend", "relogin"]) == 2


def test_an_answer_that_is_not_whole_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = {"lines": [], "note": "OpenD refuses: no", "refused": True, "way": "protocol", "place": "127.0.0.1:11111"}
    monkeypatch.setattr(opend, "ask", lambda *_args, **_more: answer)
    assert main(["opend", "req_phone_verify_code"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "-- by the protocol Verification (1006) to OpenD at 127.0.0.1:11111, through opendmux\n"
    assert shown.err == "opendmux: OpenD refuses: no\n"
    answer.update(refused=False, note="OpenD answered nothing")
    assert main(["opend", "exit", "--yes"]) == 0


def test_without_anybody_the_way_on_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["opend", "ping", "--connect", f"127.0.0.1:{free_port()}"]) == 1
    said = capsys.readouterr().err
    assert "opendmux is not running there" in said
    assert "give --telnet HOST:PORT" in said


def test_a_console_that_is_not_there_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # what was not sent does not count
        assert main(["opend", "req_phone_verify_code", "--telnet", f"127.0.0.1:{free_port()}"]) == 1
    assert "may listen on no port at all" in capsys.readouterr().err


def test_which_one_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "opendmux.toml"
    config.write_text(
        "".join(f'[[upstreams]]\nname = "{name}"\naddress = "127.0.0.1:1"\ntelnet = "127.0.0.1:2"\n' for name in "ab")
    )
    nobody = ["--connect", f"127.0.0.1:{free_port()}", "--config", str(config)]
    assert main(["opend", "ping", *nobody]) == 2
    assert "--opend a or b" in capsys.readouterr().err
    assert main(["opend", "ping", *nobody, "--opend", "c"]) == 2
    assert "no OpenD is called 'c'" in capsys.readouterr().err
    assert main(["opend", "ping", *nobody, "--opend", "2"]) == 1
    assert "127.0.0.1:2 can't be reached" in capsys.readouterr().err


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["opend", "--help"], ["opend", "ping", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert not [name for name in OPERATIONS if name not in shown]
    assert "login_pwd=" not in shown
