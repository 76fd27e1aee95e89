"""OpenD's operation commands end to end: OpenD's own sample, `opendmux opend`, the quote right that comes back."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .harness import PATIENCE_S, Control, Opendmux, SdkProgram

NEEDS_PHONE, READY = 4, 10
no_sdk = pytest.mark.skipif(
    importlib.util.find_spec("futu") is None, reason="the official SDK is not installed: pip install '.[sdk]'"
)


class Sim(Opendmux):
    """``opendmux sim`` with a control port and a Telnet console, ready."""

    def __init__(self, *arguments: str) -> None:
        super().__init__(
            "sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--telnet", "127.0.0.1:0", *arguments
        )
        port = r"127\.0\.0\.1:(\d+)"
        found = self.wait_for(rf"OpenD on {port}, seed \d+, control on {port}, Telnet console on {port}")
        self.port, self.telnet = int(found[1]), int(found[3])
        self.control = Control(int(found[2]))

    def stop(self) -> int:
        self.control.close()
        return super().stop()


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All processes of a test share what is kept, and nobody else does."""
    monkeypatch.setenv("OPENDMUX_STATE_DIR", str(tmp_path / "state"))


@contextmanager
def proxy_of(sim: Sim, *arguments: str, telnet: bool = True) -> Iterator[Opendmux]:
    console = ["--telnet", f"127.0.0.1:{sim.telnet}"] if telnet else []
    upstream = f"127.0.0.1:{sim.port}"
    with Opendmux("--upstream", upstream, "--listen", "127.0.0.1:0", *console, *arguments).wait_ready() as proxy:
        yield proxy


def opend(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opendmux", "opend", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, input=text, encoding="utf-8")


# -- OpenD's own sample


def read_until_silence(sock: socket.socket) -> bytes:
    """As the sample does: lines until none has come for half a second."""
    sock.settimeout(0.5)
    reply = b""
    while True:
        try:
            chunk = sock.recv(1)
        except TimeoutError:
            return reply
        if not chunk:
            return reply
        reply += chunk


def test_the_sample_of_the_faq_byte_for_byte() -> None:
    with Sim() as sim, socket.create_connection(("127.0.0.1", sim.telnet)) as sock:
        sim.control.ask("kick")
        sock.sendall(b"request_highest_quote_right\r\n")
        reply = read_until_silence(sock)
        assert reply == "the highest quote right was requested 已请求最高行情权限\r\n".encode("gb2312")
        assert sim.control.ask("report")["faults"]["kicked"] is False
        sock.sendall(b"request_highest_quote_right\n")  # without CR it is dropped
        assert read_until_silence(sock) == b""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="telnetlib is not in Python 3.13")
def test_the_sample_as_it_stands() -> None:
    sample = """
from telnetlib import Telnet
with Telnet('127.0.0.1', {port}) as tn:
     tn.write(b'request_highest_quote_right\\r\\n')
     reply = b''
     while True:
         msg = tn.read_until(b'\\r\\n', timeout=0.5)
         reply += msg
         if msg == b'':
             break
     print(reply.decode('gb2312'))
"""
    with Sim() as sim:
        sim.control.ask("kick")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", sample.format(port=sim.telnet)],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert done.stdout == "the highest quote right was requested 已请求最高行情权限\n\n", done.stderr
        assert sim.control.ask("report")["faults"]["kicked"] is False


# -- `opendmux opend`


@no_sdk
def test_the_code_from_the_phone_through_the_proxy(tmp_path: Path) -> None:
    with Sim() as sim, proxy_of(sim) as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        sim.control.ask("program_status", type=NEEDS_PHONE)
        asked = opend("req_phone_verify_code", *here)
        assert (asked.returncode, "has been sent" in asked.stdout) == (0, True), asked
        assert f"by OpenD's Telnet console at 127.0.0.1:{sim.telnet}, through opendmux" in asked.stdout
        wrong = opend("input_phone_verify_code", "-code=654321", *here)
        assert "the verification code is wrong 验证码错误" in wrong.stdout
        # The limit holds for who goes to the console himself, too.
        again = opend("req_phone_verify_code", "--telnet", f"127.0.0.1:{sim.telnet}")
        assert (again.returncode, "at most 1 in 60 s" in again.stderr) == (1, True), again
        right = json.loads(opend("input_phone_verify_code", "-code=123456", "--json", *here).stdout)
        assert (right["way"], right["lines"]) == ("telnet", ["verified, logged in 验证成功, 登录成功"])
        with SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready() as sdk:
            assert sdk.ok("get_global_state")["program_status_type"] == "READY"
        assert sim.control.ask("report")["operations"] == [
            "req_phone_verify_code",
            "input_phone_verify_code",
            "input_phone_verify_code",
        ]
        said = [line for line in proxy.errors if "opendmux.opend:" in line]  # others say how a code is entered
        assert len(said) == 6
        assert not [line for line in said if "123456" in line or "654321" in line]


def test_the_code_by_the_protocol_where_there_is_no_console() -> None:
    with Sim() as sim, proxy_of(sim, telnet=False) as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        sim.control.ask("program_status", type=NEEDS_PHONE)
        refused = opend("input_phone_verify_code", "-code=123456", *here)
        assert (refused.returncode, "OpenD refuses: no verification code" in refused.stderr) == (1, True), refused
        asked = opend("req_phone_verify_code", *here)
        assert (asked.returncode, "by the protocol Verification (1006)" in asked.stdout) == (0, True), asked
        assert opend("input_phone_verify_code", "-code=123456", *here).returncode == 0
        assert sim.control.ask("report")["requests"]["1006"] == 3
        assert not sim.control.ask("report")["operations"]
        cannot = opend("ping", *here)
        assert (cannot.returncode, "start opendmux with --telnet HOST:PORT" in cannot.stderr) == (1, True), cannot


def test_a_password_goes_in_by_stdin_and_comes_out_nowhere(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with Sim() as sim, proxy_of(sim, "--audit-log", str(audit), "--log-level", "debug") as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        sim.control.ask("notify", qot_logined=False)
        wrong = opend("relogin", *here, text="hunter2\n")
        assert "the login password is wrong" in wrong.stdout
        right = opend("relogin", *here, text="123456\n")
        assert "logged in again" in right.stdout
        proxy.wait_for_error("says to relogin: logged in again")
        proxy.stop()
        said = audit.read_text() + "\n".join([*proxy.errors, wrong.stdout, wrong.stderr, right.stdout])
        assert '"opend relogin"' in said
        secrets = ("hunter2", "2ab96390c7dbe3439de74d0c9b0b1767", "e10adc3949ba59abbe56e057f20f883e")
        assert not [secret for secret in secrets if secret in said]


def test_orders_over_the_port_need_a_key() -> None:
    with Sim() as sim, proxy_of(sim) as proxy:
        refused = opend("ping", "--connect", f"127.0.0.1:{proxy.port}", "--admin-socket", "off")
        assert (refused.returncode, "refuses" in refused.stderr) == (1, True), refused
        assert not sim.control.ask("report")["operations"]


def test_the_simulator_that_is_built_in_has_a_console_too() -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        ping = opend("ping", "--connect", f"127.0.0.1:{proxy.port}")
        assert "delay to the access point" in ping.stdout
        assert "at SIMULATED, through opendmux" in ping.stdout


def test_exit_needs_a_word_and_ends_opend() -> None:
    with Sim() as sim:
        where = ["--telnet", f"127.0.0.1:{sim.telnet}"]
        assert opend("exit", *where).returncode == 2
        assert opend("exit", "--yes", *where).returncode == 0
        gone = opend("ping", *where)
        assert (gone.returncode, "telnet_port is not set in OpenD.xml" in gone.stderr) == (1, True), gone


def test_opends_own_file_says_where_the_console_is(tmp_path: Path) -> None:
    with Sim() as sim:
        file = tmp_path / "OpenD.xml"
        file.write_text(
            f"<futu_opend><api_port>{sim.port}</api_port><telnet_port>{sim.telnet}</telnet_port></futu_opend>"
        )
        nobody = ["--connect", f"127.0.0.1:{sim.port}", "--admin-socket", str(tmp_path / "none.sock")]
        ping = opend("ping", "--config", str(file), *nobody)
        assert (ping.returncode, "delay to" in ping.stdout) == (0, True), ping


# -- a peer that behaves as badly as it can


class Dribbler:
    """Sends every byte by itself, cuts characters in two, negotiates as Telnet does, and never ends."""

    def __init__(self, text: str) -> None:
        self.got = b""
        self._data = b"\xff\xfb\x01\xff\xfd\x03" + text.encode("gb2312")
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._server, self._server.accept()[0] as sock:
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self.got.endswith(b"\r\n"):
                self.got += sock.recv(1)
            for byte in self._data:
                sock.sendall(bytes([byte]))
                time.sleep(0.01)
            if sock.recv(1) == b"":
                self.ended.set()


def test_a_peer_that_dribbles_and_never_ends() -> None:
    peer = Dribbler("行情权限已取回\r\n完成\r\n")
    done = opend("request_highest_quote_right", "--telnet", f"127.0.0.1:{peer.port}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"行情权限已取回\n完成\n-- by OpenD's Telnet console at 127.0.0.1:{peer.port}\n"
    assert peer.got == b"request_highest_quote_right\r\n"
    assert peer.ended.wait(PATIENCE_S)


# -- the quote right


@no_sdk
@pytest.mark.parametrize("policy", ["when-lost", "always"])
def test_quotes_flow_again_after_the_phone_has_taken_them(tmp_path: Path, policy: str) -> None:
    config = tmp_path / "opendmux.toml"
    with Sim() as sim:
        config.write_text(f'telnet = "127.0.0.1:{sim.telnet}"\nquote_right = "{policy}"\n')
        with (
            proxy_of(sim, "--config", str(config), telnet=False) as proxy,
            SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready() as sdk,
        ):
            sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
            sdk.wait_push("quote")
            until(lambda: sim.control.ask("report")["requests"].get("1005"))  # the rights are known
            sim.control.ask("kick")
            proxy.wait_for_error("a quote right is lost")
            sdk.drain_pushes()
            before = len(sdk.pushes)
            until(lambda: sim.control.ask("report")["operations"])
            sdk.wait_push("quote")
            assert len(sdk.pushes) > before
            report = sim.control.ask("report")
            assert (report["operations"], report["faults"]["kicked"]) == (["request_highest_quote_right"], False)
            proxy.wait_for_error("the quote right was asked back. Asked back 1 time")
            until(lambda: status_of(proxy)["opends"][0]["quote_right"] is None)


@no_sdk
def test_by_default_the_phone_keeps_them_and_it_is_said(tmp_path: Path) -> None:
    with Sim() as sim, proxy_of(sim) as proxy:
        until(lambda: sim.control.ask("report")["requests"].get("1005"))
        sim.control.ask("kick")
        until(lambda: status_of(proxy)["opends"][0]["quote_right"])
        assert status_of(proxy)["opends"][0]["quote_right"]["policy"] == "never"
        time.sleep(4)  # the wait before the first try of the other policies
        assert not sim.control.ask("report")["operations"]
        opend("request_highest_quote_right", "--connect", f"127.0.0.1:{proxy.port}")
        until(lambda: status_of(proxy)["opends"][0]["quote_right"] is None)


def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def status_of(proxy: Opendmux) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/v1/status", timeout=PATIENCE_S) as answer:
        return json.load(answer)
