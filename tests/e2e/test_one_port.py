"""Every client that speaks one of the protocols, on one port at the same time: all see the same ticks."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from opendmux.wire.frame import Splitter, build_frame
from opendmux.wire.pb import opend

from .browser import Browser, why_not
from .gated import FutuProgram, Gate, Sim, open_gate, sub_body
from .harness import PATIENCE_S, Process, SdkProgram
from .resumable_user import TICK, TICKER, Reader, ticks_in
from .test_encryption import new_key
from .test_http import EventStream
from .test_status_page import is_live, rows
from .test_tls import curl, self_signed
from .test_websocket import TENCENT, JsProgram

Message = dict[str, Any]
PriceOf = Callable[[int], float]
"""Waits for the tick of this sequence."""

SCOPES = {
    "page": "qot:read,admin",
    **dict.fromkeys(
        [
            *("sdk", "secret sdk", "js", "tls js", "grpc", "tls grpc", "curl", "tls curl"),
            *("frames", "numbered frames", "tls numbered frames"),
        ],
        "qot:read",
    ),
}
"""Everybody has a key of their own."""
SUBSCRIBE = {
    "c2s": {"securityList": [TENCENT], "subTypeList": [TICKER], "isSubOrUnSub": True, "isRegOrUnRegPush": True}
}
HELD = ["HK.00700", "Ticker"]
UNKEYED = ["grpc", "http", "tcp", "tcp", "ws", "ws", "ws", "ws"]
"""Without keys all calls over gRPC are one client, all over HTTP, and all numbered frames."""

ON_PAGE = """
    const [key, subscribe] = arguments, shown = key ? {authorization: `Bearer ${key}`} : {};
    const json = {...shown, 'content-type': 'application/json'};
    const done = await fetch('/v1/request/3001', {method: 'POST', headers: json, body: JSON.stringify(subscribe)});
    const answer = await done.json();
    const reader = (await fetch('/v1/push', {headers: shown})).body.pipeThrough(new TextDecoderStream()).getReader();
    window.seen = [];
    (async () => {
        for (let held = '';;) {
            const {done, value} = await reader.read();
            if (done) return;
            held += value;
            const events = held.split('\\n\\n');
            held = events.pop();
            for (const one of events) window.seen.push(...one.split('\\n').filter((line) => line.startsWith('data: ')));
        }
    })();
    return answer;
"""
"""What a program in a page does: it subscribes, and keeps the events of its stream."""


def ticks_of(said: str) -> dict[int, float]:
    """Of a server-sent event."""
    event = json.loads(said)
    return ticks_in(base64.b64decode(event["body"])) if event.get("proto_id") == TICK else {}


class Party:
    """The proxy, and everybody who comes to it."""

    def __init__(self, gate: Gate, stack: ExitStack, proto: Path, cert: str, rsa: str, *, keyed: bool) -> None:
        self.gate = gate
        self.port = gate.port
        self.stack = stack
        self.proto = proto
        self.cert = cert
        self.rsa = rsa
        self.keys: dict[str, str | None] = dict.fromkeys(SCOPES)
        self.programs: list[SdkProgram | JsProgram] = []
        self.keyed = keyed

    def bearer(self, name: str) -> list[str]:
        """For curl."""
        return ["-H", f"Authorization: Bearer {self.keys[name]}"] if self.keyed else []

    def sdk(self, name: str) -> SdkProgram:
        steps: dict[str, Any] = {"set_client_info": [self.keys[name] or name, 1]}
        if name.startswith("secret"):
            steps |= {"enable_proto_encrypt": [True], "set_init_rsa_file": [self.rsa]}
        program = SdkProgram("quote", self.port, self.gate.folder / name, sys=steps)
        self.programs.append(self.stack.enter_context(program))
        return program

    def js(self, name: str) -> JsProgram:
        ca = Path(self.cert) if name.startswith("tls") else None
        program = JsProgram(self.port, self.keys[name] or "", ca=ca)
        self.programs.append(self.stack.enter_context(program))
        return program

    def reader(self, name: str) -> Reader:
        ca = self.cert if name.startswith("tls") else None
        return self.stack.enter_context(Reader(self.port, self.keys[name] or "", ca=ca))

    def grpc(self, name: str) -> FutuProgram:
        files = [self.cert] if name.startswith("tls") else []
        return self.stack.enter_context(FutuProgram("python", self.port, self.proto, *files))

    def url(self, name: str, path: str) -> list[str]:
        """The words for curl."""
        if name.startswith("tls"):
            return ["--cacert", self.cert, f"https://localhost:{self.port}{path}"]
        return [f"http://localhost:{self.port}{path}"]

    def curl(self, name: str, path: str, *words: str) -> Any:
        """An endpoint's JSON, or its text."""
        done = curl("--fail-with-body", *self.url(name, path), *self.bearer(name), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout


def by_sdk(program: SdkProgram) -> PriceOf:
    program.wait_ready()
    program.ok("subscribe", ["HK.00700"], ["TICKER"])

    def price(sequence: int) -> float:
        found = program.saw_push("ticker", lambda rows: any(row["sequence"] == sequence for row in rows))
        return next(float(row["price"]) for row in found if row["sequence"] == sequence)

    return price


def by_js(program: JsProgram) -> PriceOf:
    assert program.wait_login()["login"], program.text()
    program.ok("Sub", **SUBSCRIBE["c2s"])

    def price(sequence: int) -> float:
        def ticks(message: Message) -> dict[str, float]:
            listed = message["data"]["s2c"]["tickerList"] if message.get("push") == TICK else []
            return {row["sequence"]: row["price"] for row in listed}

        kept = next((one for one in program.said if str(sequence) in ticks(one)), None)
        return ticks(kept or program.wait_said(lambda one: str(sequence) in ticks(one)))[str(sequence)]

    return price


def by_grpc(program: FutuProgram, key: str | None) -> PriceOf:
    program.ok(3001, sub_body(sub_type=TICKER, push=True), key)
    program.stream("all", key)

    def price(sequence: int) -> float:
        def ticks(event: Message) -> dict[int, float]:
            return ticks_in(bytes.fromhex(event["body"])) if event.get("proto_id") == TICK else {}

        return ticks(program.wait_event("all", lambda event: sequence in ticks(event)))[sequence]

    return price


def by_curl(party: Party, name: str) -> PriceOf:
    said = json.dumps(SUBSCRIBE)
    answer = party.curl(name, "/v1/request/3001", "-H", "content-type: application/json", "-d", said)
    assert answer["retType"] == 0
    scheme = "https" if name.startswith("tls") else "http"
    stream = EventStream(party.gate.proxy, "--cacert", party.cert, *party.bearer(name), scheme=scheme)
    party.stack.enter_context(stream)
    seen: dict[int, float] = {}

    def price(sequence: int) -> float:
        while sequence not in seen:
            seen.update(ticks_of(json.dumps(stream.next()[1])))
        return seen[sequence]

    return price


def by_reader(reader: Reader) -> PriceOf:
    """It breaks off before each look, and goes on where it was."""
    reader.open().subscribe()
    reader.wait_ticks(1)  # others get the newest known one when they come

    def price(sequence: int) -> float:
        reader.wait_ticks(1)
        reader.break_off().open(reader.numbers[-1])
        found = reader.wait_price(sequence)
        assert reader.sequences == list(range(reader.sequences[0], reader.sequences[0] + len(reader.sequences)))
        return found

    return price


def by_page(window: Browser, party: Party) -> PriceOf:
    window.open(f"http://127.0.0.1:{party.port}/")
    key = party.keys["page"]
    if key is not None:
        window.until("the prompt", lambda: window.text("#state") == "locked")
        window.type("#key", key + "\n")
    window.until("the page is live", lambda: is_live(window))
    assert window.run(ON_PAGE, key, SUBSCRIBE)["retType"] == 0
    seen: dict[int, float] = {}

    def took(sequence: int) -> bool:
        for line in window.run("return window.seen.splice(0)"):
            seen.update(ticks_of(line.removeprefix("data: ")))
        return sequence in seen

    def price(sequence: int) -> float:
        window.until("the tick", lambda: sequence in seen or took(sequence))
        return seen[sequence]

    return price


class Frames:
    """OpenD's own frames in WebSocket messages."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self._ws = ws
        self._seen: dict[int, float] = {}

    async def subscribe(self) -> None:
        await self._ws.send_message(build_frame(3001, 0, 7, sub_body(sub_type=TICKER, push=True)))
        answer = await self._next(3001)
        assert opend.ResponseHead.FromString(answer).retType == 0

    async def _next(self, proto_id: int) -> bytes:
        while True:
            message = await self._ws.get_message()
            assert isinstance(message, bytes)
            (frame,) = Splitter(2**20).feed_untrusted(message)
            if frame.proto_id == TICK:
                self._seen.update(ticks_in(frame.body))
            if frame.proto_id == proto_id:
                return bytes(frame.body)

    async def a_tick(self) -> int:
        """The sequence of a new one."""
        return max(ticks_in(await self._next(TICK)))

    async def price(self, sequence: int) -> float:
        while sequence not in self._seen:
            await self._next(TICK)
        return self._seen[sequence]


@contextmanager
def party_at(folder: Path, sim: Sim, proto: Path, *, keyed: bool) -> Iterator[Party]:
    cert, key = self_signed(folder)
    rsa = new_key(folder / "rsa.pem")
    with open_gate(folder, sim.address) as gate, ExitStack() as stack:
        keys = {}
        if keyed:
            keys = {name: gate.add(name.replace(" ", "-"), scope, "--websocket") for name, scope in SCOPES.items()}
        toml = f'rsa_private_key = "{rsa}"\n\n[tls]\ncert = "{cert}"\nkey = "{key}"\n'
        gate.start(keys=keyed, toml=toml)
        party = Party(gate, stack, proto, cert, rsa, keyed=keyed)
        party.keys |= keys
        yield party


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("keyed", [True, False], ids=["with keys", "without keys"])
async def test_everybody_sees_the_same_tick(tmp_path: Path, futu_proto: Path, keyed: bool) -> None:
    with closing(Sim()) as sim, party_at(tmp_path, sim, futu_proto, keyed=keyed) as party:
        sdks = [party.sdk(name) for name in ("sdk", "secret sdk")]
        scripts = [party.js(name) for name in ("js", "tls js")]
        calls = {name: party.grpc(name) for name in ("grpc", "tls grpc")}
        window = None if why_not() else party.stack.enter_context(Browser(tmp_path / "profile"))
        status = ["--no-buffer", "-H", "accept: text/event-stream", *party.bearer("page")]
        figures = party.stack.enter_context(Process(["curl", "-sS", *party.url("tls", "/v1/status"), *status]))

        eyes: list[PriceOf] = [by_curl(party, name) for name in ("curl", "tls curl")]
        eyes += [by_sdk(sdk) for sdk in sdks]
        eyes += [by_js(js) for js in scripts]
        eyes += [by_reader(party.reader(name)) for name in ("numbered frames", "tls numbered frames")]
        eyes += [by_grpc(call, party.keys[name]) for name, call in calls.items()]
        if window is not None:
            eyes.append(by_page(window, party))

        with trio.fail_after(3 * PATIENCE_S):
            stream = await trio.open_tcp_stream("127.0.0.1", party.port)
            async with stream, trio.open_nursery() as nursery:
                shown = f"?token={party.keys['frames']}" if keyed else ""
                frames = Frames(await wrap_client_stream(nursery, stream, "localhost", f"/ws{shown}"))
                await frames.subscribe()
                for _ in range(3):
                    sequence = await frames.a_tick()
                    prices = [eye(sequence) for eye in eyes]
                    assert prices == [await frames.price(sequence)] * len(eyes)
                everybody_is_shown(party, figures, window)
                check_endpoints(party)
                nursery.cancel_scope.cancel()

        opend_was_asked_once(sim)
        for program in party.programs:
            program.finish()
        party.gate.stop()
        said = party.gate.proxy.errors
        assert not [line for line in said if "Traceback" in line or " ERROR " in line], party.gate.proxy.text()
        assert not [line for line in said if any(key in line for key in party.gate.secrets)]


def opend_was_asked_once(sim: Sim) -> None:
    one = {"code": "HK.00700", "sub_type": TICKER}
    held = sim.control.ask("subscriptions")
    (now,) = held["now"]
    (connection,) = now["connections"]
    assert now == {**one, "connections": [connection]}
    assert held["ever"] == [{**one, "times": 1}]
    assert sim.control.ask("report")["quota_used"] == 1
    assert sim.counts()[3001] == 1
    assert sim.control.ask("violations")["violations"] == []


def everybody_is_shown(party: Party, figures: Process, window: Browser | None) -> None:
    """In the events of /v1/status, and on the page that is made of them."""
    names = {name.replace(" ", "-") for name in SCOPES if name != "page" or window is not None}
    count = len(names) if party.keyed else len(UNKEYED)
    snapshot: Message = {"subscriptions": []}
    while [one["registered"] for one in snapshot["subscriptions"]] != [count]:
        snapshot = json.loads(figures.wait_for(r"^data: (.*)$")[1])
    (held,) = snapshot["subscriptions"]
    assert (held["security"], held["name"], held["holders"]) == ("HK.00700", "Ticker", count)
    if party.keyed:
        assert {client["key_id"] for client in snapshot["clients"]} == names
    else:
        assert sorted(client["transport"] for client in snapshot["clients"]) == UNKEYED
    if window is not None:
        window.until("all of them", lambda: rows(window, "subscriptions")[0][:4] == [*HELD, str(count), str(count)])
        assert len(rows(window, "clients")) == count


def check_endpoints(party: Party) -> None:
    assert party.curl("curl", "/livez")["alive"]
    assert party.curl("tls curl", "/readyz")["ready"]
    assert re.search(r"^opendmux_sessions\{.*\} [1-9]", party.curl("page", "/metrics"), re.MULTILINE)
    assert "/v1/push" in party.curl("tls curl", "/openapi.json")["paths"]
    said = json.dumps({"c2s": {"security": TENCENT, "maxRetNum": 5}})
    for name in ("curl", "tls curl"):
        answer = party.curl(name, "/v1/request/3010", "-H", "content-type: application/json", "-d", said)
        assert answer["s2c"]["tickerList"]
