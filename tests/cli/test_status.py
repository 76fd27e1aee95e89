"""`status`, `clients` and `subs` against a port that answers as the test says."""

from __future__ import annotations

import http.server
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from opendmux import cli
from opendmux.cli import _control

EVIL = "\x1b]0;mine\x07<script>\u202e"

OPEND: dict[str, Any] = {
    "number": 1,
    "name": "127.0.0.1:11111",
    "simulated": False,
    "state": "ready",
    "since": "2026-11-21T09:00:00.000000Z",
    "absence": "",
    "version": 1011,
    "quote_login": True,
    "trade_login": None,
    "reconnects": 2,
    "quota_used": 5,
    "quota_at": "2026-11-21T09:59:48.000000Z",
    "quota_left": 95,
    "subscriptions": 5,
    "clients": 1,
    "pending": 3,
    "outbox_bytes": 10,
    "requests_per_s": 1.5,
    "pushes_in_per_s": 20.0,
    "pushes_out_per_s": 40.0,
    "conflated": 7,
    "lanes": [{"name": "main", "state": "ready"}, {"name": "json", "state": "down"}],
    "protocols": [
        {
            "proto_id": 3014,
            "name": "Qot_GetBroker",
            "answered": 9,
            "lately": 4,
            "per_s": 0.1,
            "p50_ms": 1.0,
            "p99_ms": None,
        }
    ],
}
CLIENT = {
    "id": "7",
    "opend": 1,
    "transport": "tcp",
    "peer": "127.0.0.1:50000",
    "key_id": None,
    "client_id": EVIL,
    "state": "ready",
    "since": "2026-11-21T09:59:00.000000Z",
    "requests": 100,
    "requests_per_s": 0.5,
    "pushes": 200,
    "pushes_per_s": 2.0,
    "in_flight": 0,
    "outbox_bytes": 0,
    "subscriptions": 3,
}
SUBSCRIPTION = {
    "opend": 1,
    "security": "HK.00700",
    "sub_type": 1,
    "name": "Basic",
    "event_contract": False,
    "lane": "main",
    "state": "subscribed",
    "holders": 2,
    "registered": 1,
    "age_s": 61.0,
    "leaves_in_s": None,
    "refusal": "",
}
SNAPSHOT: dict[str, Any] = {
    "opendmux": "1.2.3",
    "pid": 4711,
    "time": "2026-11-21T10:00:00.000000Z",
    "up_s": 3700.0,
    "ready": True,
    "reasons": [],
    "simulated": False,
    "keys": False,
    "opends": [OPEND],
    "clients": [CLIENT],
    "clients_left_out": 0,
    "subscriptions": [
        SUBSCRIPTION,
        {**SUBSCRIPTION, "name": "Ticker", "state": "leaving", "holders": 0, "leaves_in_s": 12.3},
        {**SUBSCRIPTION, "name": "RT", "state": "refused", "refusal": "no right", "age_s": None},
    ],
    "subscriptions_left_out": 4,
    "rejects": [
        {
            "time": "2026-11-21T09:59:50.000000Z",
            "count": 3,
            "key_id": "bot",
            "client_id": EVIL,
            "peer": "p",
            "proto_id": 3014,
            "name": "Qot_GetBroker",
            "text": "too many",
        }
    ],
    "limits": [{"key_id": "bot", "limit": "rate", "left": 4.0}],
    "audit": None,
}


class Answering(http.server.ThreadingHTTPServer):
    """Says the same to everybody and remembers what was asked."""

    daemon_threads = True
    status = 200
    body = json.dumps(SNAPSHOT).encode()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def refuse(self, status: int, text: str) -> None:
        self.status = status
        self.body = json.dumps({"error": {"status": status, "reason": "r", "text": text}}).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Answering

    def _answer(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def proxy() -> Iterator[Answering]:
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENDMUX_KEY", raising=False)


def test_status(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--connect", proxy.where]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"opendmux 1.2.3 on {proxy.where}: ready, up 1 h 1 min, pid 4711\n")
    for text in (
        "127.0.0.1:11111: ready for 1 h 0 min, version 10.11, quote login yes, trade login not known, reconnected 2",
        "subscriptions  5 (OpenD's quota, as it said 12 s ago: 5 used, 95 left)",
        "1.5/s, 3 wait for OpenD",
        "20/s in, 40/s out",
        "lanes          main, json (down)",
        "3014 Qot_GetBroker",
        "bot  rate      4",
        " p: 3014 Qot_GetBroker: too many",
        "10 s ago, 3 x, bot",
    ):
        assert text in out
    assert "SIMULATED" not in out
    assert "\x1b" not in out
    assert proxy.asked == [("GET", "/v1/status", None)]


def test_what_is_wrong_comes_first(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    code = {
        "kind": "code_needed",
        "opend": "127.0.0.1:11111",
        "subject": "127.0.0.1:11111",
        "active": True,
        "since": "2026-11-21T09:59:00.000000Z",
        "times": 1,
        "blocks": True,
        "conclusion": "OpenD waits for a code.",
        "figures": f'OpenD says: "{EVIL}".',
        "next_step": "opendmux opend input_phone_verify_code -code=123456",
    }
    order = {**code, "kind": "outcome_unknown", "active": False, "times": 3, "figures": ""}
    one = {**OPEND, "program": "needs a phone code", "stale": 4}
    stale = {**SUBSCRIPTION, "stale": True, "stale_reason": "OpenD has lost its login for quotes"}
    proxy.body = json.dumps(
        {**SNAPSHOT, "conditions": [code, order], "opends": [one], "subscriptions": [stale]}
    ).encode()
    assert cli.main(["status", "--connect", proxy.where]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "code_needed, for 1 min 0 s: OpenD waits for a code. OpenD says:" in out
    assert "\n  opendmux opend input_phone_verify_code -code=123456\n" in out
    assert "outcome_unknown, 1 min 0 s ago, 3 times: OpenD waits for a code.\n" in out
    assert out.index("code_needed") < out.index("127.0.0.1:11111: ready")
    assert "needs a phone code, quote login yes" in out
    assert "5, 4 of them stale (OpenD's quota" in out
    assert cli.main(["subs", "--connect", proxy.where]) == 0
    assert "stale: OpenD has lost its login for quotes" in capsys.readouterr().out


def test_of_a_group_it_says_what_is_not_looked_at(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--connect", proxy.where]) == 0
    assert "opendmux doctor" not in capsys.readouterr().out
    proxy.body = json.dumps({**SNAPSHOT, "opends": [{**OPEND, "name": "a:1 or b:2"}]}).encode()
    assert cli.main(["status", "--connect", proxy.where]) == 0
    assert "only who is in use is looked at; `opendmux doctor` looks at all of it" in capsys.readouterr().out


def test_a_pause_is_not_called_an_outage(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    pause = {"since": "2026-11-21T09:59:30.000000Z", "until": None, "by": "ops"}
    proxy.body = json.dumps({**SNAPSHOT, "opends": [{**OPEND, "state": "down", "paused": pause}]}).encode()
    assert cli.main(["status", "--connect", proxy.where]) == 0
    assert "127.0.0.1:11111: paused for 30 s, " in capsys.readouterr().out


def test_what_clients_hold_grows_old_in_an_outage(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    away = {**OPEND, "state": "down", "subscriptions": 0, "stale": 1, "quota_at": None}
    named = {**SNAPSHOT["rejects"][0], "text": "3014 Qot_GetBroker was not sent"}
    nobody = {**named, "proto_id": 0, "name": "", "text": "a key is needed"}
    proxy.body = json.dumps({**SNAPSHOT, "opends": [away], "rejects": [named, nobody]}).encode()
    assert cli.main(["status", "--connect", proxy.where]) == 0
    out = capsys.readouterr().out
    assert "  subscriptions  0; of clients, 1 stale (OpenD's quota, as it said last: 5 used" in out
    assert " p: 3014 Qot_GetBroker was not sent\n" in out, "named once"
    assert " p: a key is needed\n" in out


def test_status_of_one_that_is_not_ready(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    down = {**OPEND, "state": "down", "version": None, "quota_used": None, "protocols": []}
    changed = {"ready": False, "reasons": ["OpenD is away"], "simulated": True, "opends": [down]}
    proxy.body = json.dumps({**SNAPSHOT, **changed, "rejects": [], "limits": []}).encode()
    assert cli.main(["status", "--connect", proxy.where]) == 1
    out = capsys.readouterr().out
    assert "NOT READY" in out
    assert "not ready: OpenD is away" in out
    assert "SIMULATED" in out
    assert "down for 1 h" in out


def test_json_is_what_was_sent(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        (["status"], SNAPSHOT),
        (["clients", "list"], SNAPSHOT["clients"]),
        (["subs"], SNAPSHOT["subscriptions"]),
    ):
        assert cli.main([*words, "--json", "--connect", proxy.where]) == 0
        out = capsys.readouterr().out
        assert json.loads(out) == expected
        assert "\x1b" not in out


def test_clients(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["clients", "list", "--connect", proxy.where]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["ID", "NAME", "TRANSPORT"]
    assert "?]0;mine?<script>?" in row
    assert row.split()[0] == "7"
    assert row.split()[-3:] == ["200", "0", "3"]


def test_subs(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["subs", "--connect", proxy.where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["HK.00700", "Basic", "2", "1"],
        ["HK.00700", "Ticker", "0", "1"],
        ["HK.00700", "RT", "2", "1"],
    ]
    assert lines[2].endswith("leaves in 12 s")
    assert lines[3].endswith("refused: no right")
    assert lines[4:] == ["and 4 more", "quota of 127.0.0.1:11111: 5 used, 95 left, as OpenD said 12 s ago"]


def test_several_opends_are_named(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    two = [OPEND, {**OPEND, "number": 2, "name": "second:1"}]
    proxy.body = json.dumps({**SNAPSHOT, "opends": two, "clients": [{**CLIENT, "opend": 2}]}).encode()
    assert cli.main(["clients", "list", "--connect", proxy.where]) == 0
    assert "second:1" in capsys.readouterr().out
    assert cli.main(["subs", "--connect", proxy.where]) == 0
    assert "OPEND" in capsys.readouterr().out
    assert cli.main(["status", "--connect", proxy.where]) == 0
    assert "\nOpenD 2, second:1: ready" in capsys.readouterr().out, "the number that --opend wants"


def test_kill(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["clients", "kill", "7", "a/b", "--connect", proxy.where]) == 0
    assert capsys.readouterr().out == "closed 7\nclosed a/b\n"
    assert [path for _, path, _ in proxy.asked] == ["/v1/clients/7/close", "/v1/clients/a%2Fb/close"]
    assert {method for method, _, _ in proxy.asked} == {"POST"}


def test_kill_of_nobody(proxy: Answering, capsys: pytest.CaptureFixture[str]) -> None:
    proxy.refuse(404, "there is no such client")
    assert cli.main(["clients", "kill", "7", "--connect", proxy.where]) == 1
    assert capsys.readouterr().err == f"opendmux: the proxy on {proxy.where} says: there is no such client\n"
    assert cli.main(["clients", "kill", "7", "8", "--json", "--connect", proxy.where]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["closed"] == []
    assert captured.err.count("there is no such client") == 2


# -- keys


def test_the_key_comes_from_a_file_or_the_environment(
    proxy: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("fc_file\n")
    monkeypatch.setenv("OPENDMUX_KEY", "fc_environment")
    assert cli.main(["subs", "--connect", proxy.where]) == 0
    assert cli.main(["subs", "--connect", proxy.where, "--key-file", str(file)]) == 0
    assert [key for _, _, key in proxy.asked] == ["Bearer fc_environment", "Bearer fc_file"]


@pytest.mark.parametrize("content", [None, "", "two words", "fc_x\nfc_y", "schl\u00fcssel"])
def test_a_bad_key_file_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    assert cli.main(["status", "--connect", "127.0.0.1:1", "--key-file", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"opendmux: --key-file {file}: ")
    assert err.count("\n") == 1
    assert not content or content not in err


def test_a_wrong_key(proxy: Answering, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.refuse(401, "a key is needed here")
    assert cli.main(["status", "--connect", proxy.where]) == 1
    err = capsys.readouterr().err
    assert "--key-file" in err
    assert "named after the proxy's first port, --connect that one or give --admin-socket PATH" in err
    monkeypatch.setenv("OPENDMUX_KEY", "fc_wrong")
    proxy.refuse(403, "the key lacks the scope admin")
    assert cli.main(["status", "--connect", proxy.where]) == 1
    assert capsys.readouterr().err == f"opendmux: the proxy on {proxy.where} refuses: the key lacks the scope admin\n"


# -- nobody, or somebody else


def failed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("words", [["status"], ["clients", "list"], ["subs"], ["clients", "kill", "1"]])
def test_nobody_listens(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "nothing listens on" in failed([*words, "--connect", f"127.0.0.1:{port}"], capsys)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (404, b"{}"), (404, b'{"error": 5}'), (404, b"no"), (200, b"\xff")],
)
def test_another_web_server(proxy: Answering, capsys: pytest.CaptureFixture[str], status: int, body: bytes) -> None:
    proxy.status, proxy.body = status, body
    assert "is not an opendmux" in failed(["status", "--connect", proxy.where], capsys)


@pytest.mark.parametrize("said", [b"", b"FT\x00\x00rubbish\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_no_web_server(capsys: pytest.CaptureFixture[str], said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        where = f"127.0.0.1:{server.getsockname()[1]}"
        assert "is not an opendmux" in failed(["status", "--connect", where], capsys)
        thread.join()


def test_somebody_who_never_answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_control, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        assert "does not answer" in failed(["status", "--connect", where], capsys)


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--connect", "nowhere"]) == 2
    assert capsys.readouterr().err == "opendmux: --connect 'nowhere' is not HOST:PORT\n"


# -- TLS


def test_tls(proxy: Answering, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
    good, bad = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(good)
    other.cert_pem.write_to_path(bad)
    assert cli.main(["subs", "--connect", proxy.where, "--cacert", str(good)]) == 0
    capsys.readouterr()
    untrusted = failed(["subs", "--connect", proxy.where, "--cacert", str(bad)], capsys)
    assert "no TLS connection: its certificate is not trusted (" in untrusted
    assert untrusted.endswith("by --cacert FILE\n")
    assert "by --cacert FILE" in failed(["subs", "--connect", proxy.where, "--tls"], capsys)
    elsewhere = proxy.where.replace("127.0.0.1", "localhost")
    assert "that stands in the certificate" in failed(["subs", "--connect", elsewhere, "--cacert", str(good)], capsys)
    assert cli.main(["subs", "--connect", proxy.where, "--cacert", str(tmp_path / "none")]) == 2


def test_a_key_in_the_clear_is_remarked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDMUX_KEY", "fc_x")
    monkeypatch.setattr(_control, "_is_here", lambda _host: False)
    assert cli.main(["status", "--connect", "127.0.0.1:1"]) == 1
    assert "without encryption" in capsys.readouterr().err


# -- on a terminal


@pytest.mark.parametrize(("columns", "wide"), [("80", False), ("160", True)])
def test_a_terminal_gets_a_table(
    proxy: Answering,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    wide: bool,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert cli.main(["clients", "list", "--connect", proxy.where]) == 0
    out = capsys.readouterr().out
    assert "\x1b]0" not in out
    assert "\u2500" in out
    assert ("connected" in out) == wide
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert all(len(line) <= int(columns) for line in plain.splitlines())


@pytest.mark.parametrize(
    ("words", "said"), [(["clients", "list"], "nobody is connected"), (["subs"], "nothing is subscribed")]
)
def test_nothing_to_show_is_said_to_a_person_alone(
    proxy: Answering, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    idle, none = {**OPEND, "quota_used": None}, {"subscriptions": [], "subscriptions_left_out": 0}
    proxy.body = json.dumps({**SNAPSHOT, "opends": [idle], "clients": [], **none}).encode()
    assert cli.main([*words, "--json", "--connect", proxy.where]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.main([*words, "--connect", proxy.where]) == 0
    (header,) = capsys.readouterr().out.splitlines()
    assert header.startswith(("ID", "SECURITY"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert cli.main([*words, "--connect", proxy.where]) == 0
    assert capsys.readouterr().out == f"{said}\n"


def test_json_on_a_terminal_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON lets U+009B pass, which begins a sequence for many terminals, and what turns a line around."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    names = ["\u5bcc\u9014 \U0001f600", "\x9b2J", "\u202eevil", "\x1b]0;x\x07", "\U000e0001"]
    _control.print_json(names)
    out = capsys.readouterr().out
    assert json.loads(out) == names
    assert all(one.isprintable() or one == "\n" for one in out)
    assert names[0] in out


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("127.example", False),
        ("10.0.0.1", False),
    ],
)
def test_what_is_here(host: str, here: bool) -> None:
    assert _control._is_here(host) == here


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (7300, "2 h 1 min"), (90000, "1 d 1 h")]
)
def test_ages(seconds: float, text: str) -> None:
    assert _control.age(seconds) == text
