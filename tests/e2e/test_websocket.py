"""The official JavaScript SDK, as it comes from the registry, against the proxy and the simulator."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, wrap_client_stream

from opendmux.cli import main
from opendmux.wire.frame import Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend

from .harness import HERE, PATIENCE_S, Opendmux, Process, SdkProgram
from .test_outage import config_file, free_port, simulator

PROGRAM = HERE / "node" / "websocket_program.mjs"
TENCENT: dict[str, Any] = {"market": 1, "code": "00700"}
SUB = {"securityList": [TENCENT], "subTypeList": [1, 4], "isSubOrUnSub": True, "isRegOrUnRegPush": True}
QUOTE, TICK, ORDER = 3005, 3011, 2208
Message = dict[str, Any]


class JsProgram(Process):
    """A Node program with the SDK; what it says is kept, and each line is waited for once."""

    def __init__(self, port: int, key: str = "", *, ca: Path | None = None) -> None:
        node = shutil.which("node")
        assert node is not None
        assert (HERE / "node" / "node_modules" / "futu-api").is_dir(), "run `make test` once: it installs the SDK"
        arguments = [node, str(PROGRAM), "localhost" if ca else "127.0.0.1", str(port), "ssl" if ca else "plain"]
        super().__init__([*arguments, *([key] if key else [])], env={"NODE_EXTRA_CA_CERTS": str(ca)} if ca else {})
        self.said: list[Message] = []

    def wait_said(self, accept: Callable[[Message], bool], timeout_s: float = PATIENCE_S) -> Message:
        """The next message that ``accept`` likes, from now on."""
        deadline = time.monotonic() + timeout_s
        while True:
            line = self.next_line(max(0.01, deadline - time.monotonic()))
            if line.startswith("@@"):
                message: Message = json.loads(line[2:])
                self.said.append(message)
                if accept(message):
                    return message

    def wait_login(self) -> Message:
        return self.wait_said(lambda message: "login" in message)

    def wait_push(self, cmd: int, accept: Callable[[Message], bool] = lambda _s2c: True) -> Message:
        found = self.wait_said(lambda m: m.get("push") == cmd and accept(m["data"]["s2c"]))
        s2c: Message = found["data"]["s2c"]
        return s2c

    def call(self, name: str, **c2s: Any) -> Message:
        """The answer, or what the promise was rejected with."""
        self.send_line(json.dumps({"call": name, "req": {"c2s": c2s}}))
        answer = self.wait_said(lambda message: message.get("answer") == name)
        assert answer["ok"] == (isinstance(answer["data"], dict) and answer["data"]["retType"] == 0), answer
        data: Message = answer["data"]
        return data

    def ok(self, name: str, **c2s: Any) -> Message:
        data = self.call(name, **c2s)
        assert data["retType"] == 0, data
        s2c: Message = data.get("s2c", {})
        return s2c

    def finish(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        assert self.wait() == 0, self.text()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Opendmux]:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0") as process:
        yield process.wait_ready()
        assert process.popen.poll() is None, process.text()
        assert not [line for line in process.errors if "Traceback" in line], process.text()


def test_quotes_and_pushes_next_to_a_python_program(proxy: Opendmux, tmp_path: Path) -> None:
    with JsProgram(proxy.port) as js, SdkProgram("quote", proxy.port, tmp_path) as python:
        login = js.wait_login()
        assert login["login"], js.text()
        python.wait_ready()
        assert int(login["conn_id"]) not in (0, python.conn_id)
        assert js.ok("GetGlobalState", userID=0)["connID"] == login["conn_id"]
        js.ok("Sub", **SUB)
        python.ok("subscribe", ["HK.00700"], ["TICKER"])
        assert js.wait_push(QUOTE)["basicQotList"][0]["security"] == TENCENT
        tick = js.wait_push(TICK)["tickerList"][-1]
        python.saw_push("ticker", lambda rows: any(str(row["sequence"]) == tick["sequence"] for row in rows))
        assert js.ok("GetBasicQot", securityList=[TENCENT])["basicQotList"][0]["curPrice"] > 0
        assert js.ok("GetTicker", security=TENCENT, maxRetNum=5)["tickerList"]
        assert js.ok("GetSecuritySnapshot", securityList=[TENCENT])["snapshotList"]
        assert "00700" in js.ok("GetStaticInfo", c=1, securityList=[TENCENT])["staticInfoList"][0]["basic"]["name"]
        refused = js.call("GetOrderBook", security=TENCENT, num=10)
        assert refused["retType"] != 0
        assert refused["retMsg"]
        js.finish()
        python.finish()


def test_orders_with_a_packet_id_that_nobody_filled(proxy: Opendmux) -> None:
    with JsProgram(proxy.port) as js:
        js.wait_login()
        accounts = js.ok("GetAccList", userID=0)["accList"]
        paper = next(one for one in accounts if one["trdEnv"] == 0 and 1 in one["trdMarketAuthList"])
        header = {"trdEnv": 0, "accID": paper["accID"], "trdMarket": 1}
        js.ok("SubAccPush", accIDList=[paper["accID"]])
        order = {"trdSide": 1, "orderType": 1, "code": "00700", "qty": 100, "price": 1.0, "secMarket": 1}
        placed = js.ok("PlaceOrder", packetID={"connID": 0, "serialNo": 0}, header=header, **order)
        found = next((m for m in js.said if m.get("push") == ORDER), None)
        pushed = found["data"]["s2c"] if found else js.wait_push(ORDER)
        assert pushed["order"]["orderID"] == placed["orderID"]
        assert [one["code"] for one in js.ok("GetOrderList", header=header)["orderList"]] == ["00700"]
        ids = {"packetID": {"connID": 0, "serialNo": 0}, "header": header, "orderID": placed["orderID"]}
        js.ok("ModifyOrder", modifyOrderOp=2, **ids)
        js.finish()


def test_a_key_is_needed_and_the_sdk_knows_its_way_to_show_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.json"
    keys = {}
    for name, options in (("js", ["--websocket"]), ("other", [])):
        command = ["keys", "add", "--keys", str(file), "--id", name, "--scopes", "qot:read,acc:read", *options]
        assert main(command) == 0
        keys[name] = capsys.readouterr().out.strip()
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", "--keys", str(file)) as proxy:
        proxy.wait_ready()
        for wrong in ("", "fc_wrong", keys["other"]):
            with JsProgram(proxy.port, wrong) as js:
                login = js.wait_login()
                assert not login["login"]
                closed = js.wait_said(lambda message: "closed" in message)
                assert closed["closed"] in (1000, 1005, 1008), "both sides close; which is first, nobody knows"
                js.finish()
        with JsProgram(proxy.port, keys["js"]) as js:
            assert js.wait_login()["login"]
            js.ok("Sub", **SUB)
            refused = js.call("UnlockTrade", unlock=True, pwdMD5="0" * 32)
            assert refused["retType"] != 0
            assert "trade" in refused["retMsg"]
            assert main(["keys", "revoke", "--keys", str(file), "js"]) == 0
            proxy.signal(signal.SIGHUP)
            closed = js.wait_said(lambda message: "closed" in message)
            assert closed["closed"] == 1008
            assert "revoked" in closed["reason"]
            assert not js.wait_login()["login"]
            js.finish()
        assert not [line for line in proxy.errors if any(key in line for key in keys.values())]


def test_the_sdk_over_tls_next_to_one_in_plain(tmp_path: Path) -> None:
    assert main(["tls", "self-signed", "--out", str(tmp_path)]) == 0
    files = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", *files) as proxy:
        proxy.wait_ready()
        with JsProgram(proxy.port, ca=tmp_path / "cert.pem") as secure, JsProgram(proxy.port) as plain:
            for js in (secure, plain):
                assert js.wait_login()["login"]
                js.ok("Sub", **SUB)
            seen = [row["sequence"] for _ in range(3) for row in secure.wait_push(TICK)["tickerList"]]
            plain.wait_push(TICK, lambda s2c: any(row["sequence"] == seen[-1] for row in s2c["tickerList"]))
            secure.finish()
            plain.finish()
        assert not [line for line in proxy.errors if "Traceback" in line], proxy.text()


@pytest.mark.parametrize("on_outage", ["hold", "close"])
def test_opend_is_killed_and_comes_back(tmp_path: Path, on_outage: str) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        with simulator(port):
            arguments = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}"]
            proxy = stack.enter_context(Opendmux(*arguments, "--config", config_file(tmp_path, on_outage)))
            proxy.wait_ready()
            js = stack.enter_context(JsProgram(proxy.port))
            assert js.wait_login()["login"]
            js.ok("Sub", **SUB)
            js.wait_push(TICK)
        js.wait_said(lambda message: message.get("raw") == 2)
        if on_outage == "hold":
            refused = js.call("GetSecuritySnapshot", securityList=[TENCENT])
            assert refused["retType"] == -200
            assert f"127.0.0.1:{port}" in refused["retMsg"]
        else:
            closed = js.wait_said(lambda message: "closed" in message)
            assert closed["closed"] == 1012
            refused = js.wait_said(lambda message: "closed" in message)  # 503: it goes on trying
            assert refused["closed"] == 1006
        with simulator(port) as control:
            if on_outage == "close":
                assert js.wait_login()["login"], "a refused connection does not stop the SDK, as a refused login would"
                js.ok("Sub", **SUB)
            js.wait_push(TICK)
            js.wait_push(QUOTE)
            assert control.ask("violations")["violations"] == []
            js.finish()
        assert not [line for line in proxy.errors if "Traceback" in line], proxy.text()


async def test_ft_frames_in_messages(proxy: Opendmux) -> None:
    """The way of another gateway's users, over a real socket."""
    c2s = opend.SubC2S(
        securityList=[opend.Security(market=1, code="00700")], subTypeList=[4], isSubOrUnSub=True, isRegOrUnRegPush=True
    )
    stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    with trio.fail_after(PATIENCE_S):
        async with stream, trio.open_nursery() as nursery:
            ws = await wrap_client_stream(nursery, stream, "localhost", "/ws")
            await ws.send_message(build_frame(3001, 0, 7, encode(opend.SubRequest(c2s=c2s))))
            seen: set[tuple[int, int]] = set()
            while seen != {(3001, 7), (TICK, 0)}:
                message = await ws.get_message()
                assert isinstance(message, bytes)
                (frame,) = Splitter(2**20).feed_untrusted(message)
                seen.add((frame.proto_id, frame.serial_no if frame.proto_id == 3001 else 0))
            await ws.send_message("text")
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await ws.get_message()
            assert ws.closed is not None
            assert ws.closed.code == 1003
