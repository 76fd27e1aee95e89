"""A proxy with keys in front of a simulator in a process of its own, and who comes to it: for the tests of the gate."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opendmux.cli import main
from opendmux.native import Frame, Splitter, build_frame
from opendmux.sim.accounts import default_accounts
from opendmux.wire.pb import opend, opend_sim

from .harness import HERE, PATIENCE_S, Control, Opendmux, Process, SdkProgram

NODE = HERE / "node"
TRADE_WRITES = (2202, 2205, 2209, 2227, 2237)
HK, BUY, LIMIT_ORDER, MARKET_ORDER = 1, 1, 1, 2
TENCENT = "00700"
RESTING = 300
"""A buy order of Tencent at this price is accepted and waits: the simulator's market is well above."""
SHOWN, PAPER_SHOWN, _ = default_accounts(1)
REAL = {"env": 1, "acc_id": SHOWN.acc_id}
PAPER = {"env": 0, "acc_id": PAPER_SHOWN.acc_id}
"""The simulator's accounts for Hong Kong."""


class Sim:
    """``opendmux sim`` that can be stopped and started again on its port; its record of requests."""

    def __init__(self) -> None:
        self._start("127.0.0.1:0")

    def _start(self, listen: str) -> None:
        self.process = Opendmux("sim", "--listen", listen, "--control", "127.0.0.1:0")
        found = self.process.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        self.address = found[1]
        self.control = Control(int(found[2]))

    def kill(self) -> None:
        self.control.close()
        self.process.popen.kill()
        self.process.__exit__(None, None, None)

    def start_again(self) -> None:
        self._start(self.address)

    def counts(self) -> dict[int, int]:
        """How many requests have come, by proto_id."""
        return {int(key): count for key, count in self.control.ask("report")["requests"].items()}

    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.ask("orders")["orders"]
        return found

    def writes(self) -> int:
        """Trade writes and unlocks that have come."""
        counts = self.counts()
        return sum(counts.get(proto_id, 0) for proto_id in (*TRADE_WRITES, 2005))

    def close(self) -> None:
        self.control.close()
        self.process.__exit__(None, None, None)


class Gate:
    """The proxy, its keys file and its audit log. Every plaintext that was made is kept, to look for it later."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder = folder
        self.upstream = upstream
        self.keys = folder / "keys.json"
        self.audit = folder / "audit.jsonl"
        self.secrets: list[str] = []
        self.output: list[str] = []
        """What earlier runs have said."""

    def add(self, key_id: str, scopes: str, *options: str) -> str:
        """``opendmux keys add``; returns the plaintext."""
        return self._plaintext("add", "--id", key_id, "--scopes", scopes, *options)

    def rotate(self, key_id: str, *options: str) -> str:
        return self._plaintext("rotate", key_id, *options)

    def _plaintext(self, *words: str) -> str:
        plaintext = self.cli("keys", words[0], "--keys", str(self.keys), *words[1:]).strip()
        assert plaintext.startswith("fc_"), plaintext
        self.secrets.append(plaintext)
        return plaintext

    def revoke(self, key_id: str) -> None:
        self.cli("keys", "revoke", "--keys", str(self.keys), key_id)

    @staticmethod
    def cli(*words: str, code: int = 0) -> str:
        """A command that is over at once, in this process; its stdout."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            ended = main(list(words))
        assert ended == code, err.getvalue()
        return out.getvalue()

    def edit(self, key_id: str, **fields: Any) -> None:
        """Change the file of keys by hand."""
        whole = json.loads(self.keys.read_text())
        for key in whole["keys"]:
            if key["id"] == key_id:
                key.update(fields)
        self.keys.write_text(json.dumps(whole))

    def start(self, *options: str, keys: bool = True, toml: str = "") -> None:
        words = ["--log-level", "debug", "--drain-timeout", "1"]
        if toml:
            config = self.folder / "opendmux.toml"
            config.write_text(toml)
            words += ["--config", str(config)]
        if "[[listeners]]" not in toml:
            words += ["--listen", "127.0.0.1:0", "--upstream", self.upstream]
        words += ["--keys", str(self.keys)] if keys else []
        self.proxy = Opendmux(*words, "--audit-log", str(self.audit), *options)
        self.proxy.wait_ready()
        self.port = self.proxy.port
        self.proxy.wait_for("Ctrl-C")

    def stop(self) -> None:
        self.proxy.__exit__(None, None, None)
        self.output.append(self.proxy.text())

    def reload(self, said: str) -> None:
        """SIGHUP, and wait for the line that says what came of it."""
        import signal

        before = sum(said in line for line in self.proxy.errors)
        self.proxy.signal(signal.SIGHUP)
        wait_until(lambda: sum(said in line for line in self.proxy.errors) > before, f"no {said!r} in the log")

    def http(self, path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series that have these labels."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith((name + "{", name + " ")) and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rpartition(" ")[2])
        return total

    def wait_metric(self, name: str, enough: float, **labels: str) -> None:
        """The text is made once a second."""
        wait_until(lambda: self.metric(name, **labels) >= enough, f"{name} {labels} stays below {enough}", pause_s=0.3)

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def outcomes(self, endpoint: str, key_id: str) -> list[str]:
        return [e["outcome"] for e in self.audited() if (e["endpoint"], e["key_id"]) == (endpoint, key_id)]

    def verify(self, path: Path | None = None, *, code: int = 0) -> str:
        return self.cli("audit", "verify", str(path or self.audit), code=code)

    def sdk(self, kind: str, name: str, key: str | None = None, *, port: int | None = None, **extra: Any) -> SdkProgram:
        shown: dict[str, Any] = {} if key is None else {"sys": {"set_client_info": [key, 1]}}
        return SdkProgram(kind, port or self.port, self.folder / name, **shown, **extra)


@contextlib.contextmanager
def open_gate(folder: Path, upstream: str) -> Iterator[Gate]:
    """A gate that is not started yet; what was started is stopped at the end."""
    gate = Gate(folder, upstream)
    try:
        yield gate
    finally:
        if hasattr(gate, "proxy"):
            gate.stop()


def wait_until(true: Callable[[], bool], text: str, *, pause_s: float = 0.02) -> None:
    """Poll what another process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, text
        time.sleep(pause_s)


class FutuProgram(Process):
    """A program with stubs of its own, grpcio's or Node's, steered by the test."""

    def __init__(self, language: str, port: int, proto: Path, *files: str) -> None:
        """``files``: the authority for TLS, and a certificate with its key."""
        if language == "node":
            node = shutil.which("node")
            assert node is not None
            assert (NODE / "node_modules").is_dir(), "run `make test` once: it installs the Node client"
            arguments = [node, str(NODE / "user.js"), str(port), str(proto), *files]
        else:
            arguments = [sys.executable, str(HERE / "grpc_user.py"), str(port), str(proto.parent), *files]
        super().__init__(arguments, env={"GRPC_VERBOSITY": "NONE"})
        self.language = language
        self.events: list[dict[str, Any]] = []

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.next_line())
        if "stream" in message:
            self.events.append(message)
        return message

    def request(self, proto_id: int, body: bytes = b"", key: str | None = None, **details: Any) -> dict[str, Any]:
        return self.requests(1, proto_id, body, key, **details)[0]

    def requests(
        self, times: int, proto_id: int, body: bytes = b"", key: str | None = None, **details: Any
    ) -> list[dict[str, Any]]:
        """One after the other."""
        shown = {} if key is None else {"key": key}
        command = {"call": "request", "proto_id": proto_id, "body": body.hex(), "times": times, **shown, **details}
        self.send_line(json.dumps(command))
        answers: list[dict[str, Any]] = []
        while len(answers) < times:
            message = self._next()
            if "stream" not in message:
                answers.append(message)
        return answers

    def ok(self, proto_id: int, body: bytes = b"", key: str | None = None, **details: Any) -> bytes:
        """A request that must succeed; the body of the answer."""
        answer = self.request(proto_id, body, key, **details)
        assert (answer["code"], answer.get("ret_type")) == ("OK", 0), answer
        return bytes.fromhex(answer["body"])

    def stream(self, name: str, key: str | None = None) -> None:
        """Open a push stream, and wait until it is open."""
        self.start_stream(name, key)
        self.wait_event(name, lambda event: "open" in event)

    def start_stream(self, name: str, key: str | None = None) -> None:
        self.send_line(json.dumps({"call": "stream", "name": name, **({} if key is None else {"key": key})}))

    def wait_event(self, name: str, accept: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Such an event of that stream, now or before."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event["stream"] == name and accept(event):
                    return event
            seen = len(self.events)
            self._next()

    def wait_end(self, name: str) -> dict[str, Any]:
        end: dict[str, Any] = self.wait_event(name, lambda event: "end" in event)["end"]
        return end


class FtClient:
    """OpenD's own protocol by hand: one request at a time."""

    def __init__(self, port: int, client_id: str = "raw", *, trades: bool = False) -> None:
        """``trades``: read the accounts first, without which OpenD takes no order on a connection."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._splitter = Splitter(1 << 20)
        self._frames: list[Frame] = []
        self._serial = 0
        hello = opend.InitConnectRequest()
        hello.c2s.clientVer, hello.c2s.clientID, hello.c2s.recvNotify = 1000, client_id, False
        self.hello = opend.InitConnectResponse.FromString(self.ask(1001, hello.SerializeToString()))
        if trades:
            self.ask(2001, acc_list_body())

    def ask(self, proto_id: int, body: bytes) -> bytes:
        """The body of the answer. ConnectionError when the proxy ends the connection instead."""
        self._serial += 1
        self._socket.sendall(build_frame(proto_id, 0, self._serial, body))
        while True:
            for frame in self._frames:
                if frame.serial_no == self._serial:
                    self._frames.clear()
                    return bytes(frame.body)
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError
            self._frames += self._splitter.feed_untrusted(data)

    def close(self) -> None:
        self._socket.close()


# -- bodies, as any protobuf program makes them


def quote_body(code: str = TENCENT) -> bytes:
    request = opend_sim.SecuritiesRequest()
    security = request.c2s.securityList.add()
    security.market, security.code = HK, code
    return request.SerializeToString()


def sub_body(code: str = TENCENT, sub_type: int = 1, *, push: bool = False) -> bytes:
    request = opend.SubRequest()
    security = request.c2s.securityList.add()
    security.market, security.code = HK, code
    request.c2s.subTypeList.append(sub_type)
    request.c2s.isSubOrUnSub = True
    request.c2s.isRegOrUnRegPush = push
    return request.SerializeToString()


def order_body(account: Mapping[str, int], qty: float = 100, price: float | None = None, code: str = TENCENT) -> bytes:
    """A buy order of Hong Kong; without a price at market."""
    request = opend.PlaceOrderRequest()
    c2s = request.c2s
    _header(c2s.header, account)
    c2s.trdSide, c2s.code, c2s.secMarket, c2s.qty = BUY, code, HK, qty
    c2s.orderType = MARKET_ORDER if price is None else LIMIT_ORDER
    c2s.price = price or 0
    return request.SerializeToString()


def modify_body(account: Mapping[str, int], order_id_ex: str, op: int, qty: float = 0, price: float = 0) -> bytes:
    request = opend.ModifyOrderRequest()
    c2s = request.c2s
    _header(c2s.header, account)
    c2s.orderID, c2s.orderIDEx, c2s.modifyOrderOp, c2s.qty, c2s.price = 0, order_id_ex, op, qty, price
    return request.SerializeToString()


def account_body(account: Mapping[str, int]) -> bytes:
    """Of reads of an account."""
    request = opend.GetOrderListRequest()
    _header(request.c2s.header, account)
    return request.SerializeToString()


def unlock_body(password_md5: str = "e10adc3949ba59abbe56e057f20f883e") -> bytes:
    request = opend.UnlockTradeRequest()
    request.c2s.unlock, request.c2s.pwdMD5, request.c2s.securityFirm = True, password_md5, 1
    return request.SerializeToString()


def acc_list_body() -> bytes:
    request = opend.GetAccListRequest()
    request.c2s.userID, request.c2s.needGeneralSecAccount = 0, True
    return request.SerializeToString()


def _header(header: Any, account: Mapping[str, int]) -> None:
    header.trdEnv, header.accID, header.trdMarket = account["env"], account["acc_id"], HK


def listed(reply: bytes) -> set[int]:
    """The accounts in an answer to 2001."""
    return {account.accID for account in opend.GetAccListResponse.FromString(reply).s2c.accList}


def sub_acc_body(*acc_ids: int) -> bytes:
    request = opend.SubAccPushRequest()
    request.c2s.accIDList.extend(acc_ids)
    return request.SerializeToString()
