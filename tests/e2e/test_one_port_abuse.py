"""Hostile HTTP/2 on the port that everybody shares: the abuser is turned out, the others lose no tick."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from opendmux.wire.grpc_frames import FRAME_MAX, PREFACE
from opendmux.wire.pb import futu
from tests.wire.grpc_kit import PATH, framed, http2_frame

from .gated import FutuProgram, Sim, quote_body, sub_body
from .harness import PATIENCE_S, Opendmux, SdkProgram
from .resumable_user import TICK, TICKER, ticks_in

DATA, HEADERS, PRIORITY, RST, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
CANCEL = (8).to_bytes(4)
HELLO = PREFACE + http2_frame(SETTINGS, 0, 0)
INITIAL_WINDOW = 4
MEMORY_KIB = 48 * 1024
"""So much may all of them together cost for good: what the allocator keeps of what was allowed to them."""
AT_ONCE = 3
"""More of them slow each other down until none of them sends too much."""

Chunks = Iterator[bytes]


def head(*more: tuple[str, str]) -> bytes:
    """A block that leaves nothing in the tables."""
    own = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "localhost")]
    fields = [*own, ("content-type", "application/grpc"), ("te", "trailers"), *more]
    return Encoder().encode([(name, value, True) for name, value in fields])


HEAD = head()
QUESTION = framed(futu.FutuRequest(proto_id=3004, body=quote_body()).SerializeToString())


def streams() -> Iterator[int]:
    return iter(range(1, 2**31, 2))


def call(number: int) -> bytes:
    """A request that is sent upstream."""
    return http2_frame(HEADERS, END_HEADERS, number, HEAD) + http2_frame(DATA, END_STREAM, number, QUESTION)


def setting(name: int, value: int) -> bytes:
    return http2_frame(SETTINGS, 0, 0, name.to_bytes(2) + value.to_bytes(4))


def update(number: int, size: int) -> bytes:
    return http2_frame(WINDOW_UPDATE, 0, number, size.to_bytes(4))


def rapid_reset() -> Chunks:
    for number in streams():
        yield call(number) + http2_frame(RST, 0, number, CANCEL)


def calls_without_end() -> Chunks:
    for number in streams():
        yield http2_frame(HEADERS, END_HEADERS, number, HEAD)


def a_header_block_without_end() -> Chunks:
    yield http2_frame(HEADERS, 0, 1, HEAD)
    while True:
        yield http2_frame(CONTINUATION, 0, 1, b"\0\1x\x7f\x80\x7f" + bytes(8000))


def huge_headers() -> Chunks:
    block = head(("x-huge", "a" * 12_000), ("x-huger", "b" * 12_000))
    for number in streams():
        yield http2_frame(HEADERS, 0, number, block[:FRAME_MAX])
        yield http2_frame(CONTINUATION, END_HEADERS, number, block[FRAME_MAX:])


def a_header_bomb() -> Chunks:
    """One byte each, but for the first."""
    encoder = Encoder()
    first = encoder.encode([("x-bomb", "a" * 3000)])
    again = encoder.encode([("x-bomb", "a" * 3000)])
    for number in streams():
        yield http2_frame(HEADERS, END_HEADERS, number, HEAD + first + again * 5000)


def settings_flood() -> Chunks:
    while True:
        yield http2_frame(SETTINGS, 0, 0)


def settings_with_many_calls() -> Chunks:
    """Each one has to be done to a thousand windows."""
    numbers = streams()
    for _ in range(1000):
        yield http2_frame(HEADERS, END_HEADERS, next(numbers), HEAD)
    while True:
        for size in (1, 60_000):
            yield setting(INITIAL_WINDOW, size)


def ping_flood() -> Chunks:
    while True:
        yield http2_frame(PING, 0, 0, bytes(8))


def ping_answers() -> Chunks:
    while True:
        yield http2_frame(PING, 1, 0, bytes(8))


def windows_of_one_byte() -> Chunks:
    """Requests whose answers trickle out."""
    yield setting(INITIAL_WINDOW, 0)
    yield b"".join(call(number) for number in range(1, 999, 2))
    while True:
        for number in range(1, 999, 2):
            yield update(number, 1)


def windows_that_overflow() -> Chunks:
    while True:
        yield update(0, 2**31 - 1)


def windows_that_creep() -> Chunks:
    while True:
        yield update(0, 1)


def data_over_the_window() -> Chunks:
    yield http2_frame(HEADERS, END_HEADERS, 1, HEAD) + http2_frame(DATA, 0, 1, framed(bytes(100_000))[:FRAME_MAX])
    while True:
        yield http2_frame(DATA, 0, 1, bytes(FRAME_MAX))


def messages_without_end() -> Chunks:
    """Where one is taken."""
    yield http2_frame(HEADERS, END_HEADERS, 1, HEAD)
    while True:
        yield http2_frame(DATA, 0, 1, framed(b"") * 1000)


def empty_data() -> Chunks:
    yield http2_frame(HEADERS, END_HEADERS, 1, HEAD)
    while True:
        yield http2_frame(DATA, 0, 1)


def priorities() -> Chunks:
    while True:
        yield http2_frame(PRIORITY, 0, 3, bytes(4) + b"\x10")


CALM, FLOW = ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.FLOW_CONTROL_ERROR
ABUSES: dict[Callable[[], Chunks], ErrorCodes] = {
    rapid_reset: CALM,
    calls_without_end: CALM,
    a_header_block_without_end: CALM,
    huge_headers: CALM,
    a_header_bomb: CALM,
    settings_flood: CALM,
    settings_with_many_calls: CALM,
    ping_flood: CALM,
    ping_answers: CALM,
    windows_of_one_byte: CALM,
    windows_that_overflow: FLOW,
    windows_that_creep: CALM,
    data_over_the_window: FLOW,
    messages_without_end: CALM,
    empty_data: CALM,
    priorities: CALM,
}


class Abuser:
    """Sends as fast as it is read, until it is turned out."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._heard = bytearray()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self._heard += data

    def abuse(self, chunks: Chunks) -> ErrorCodes:
        """What the proxy says at the end."""
        listener = threading.Thread(target=self._listen)
        listener.start()
        deadline = time.monotonic() + PATIENCE_S
        with self._socket, contextlib.suppress(ConnectionError):
            self._socket.sendall(HELLO)
            held = bytearray()
            for chunk in chunks:
                held += chunk
                if len(held) > 16_384:
                    self._socket.sendall(held)
                    held.clear()
                    assert time.monotonic() < deadline, "it is still served"
        listener.join(PATIENCE_S)
        return self._goodbye()

    def _goodbye(self) -> ErrorCodes:
        at, heard = 0, bytes(self._heard)
        while at + 9 <= len(heard):
            size = int.from_bytes(heard[at : at + 3])
            if heard[at + 3] == GOAWAY:
                return ErrorCodes(int.from_bytes(heard[at + 13 : at + 17]))
            at += 9 + size
        raise AssertionError(f"no GOAWAY in {len(heard)} bytes")


def turned_out(port: int, abuse: Callable[[], Chunks]) -> ErrorCodes:
    return Abuser(port).abuse(abuse())


class Witnesses:
    """Two clients that should notice nothing."""

    def __init__(self, sim: Sim, proxy: Opendmux, sdk: SdkProgram, caller: FutuProgram) -> None:
        self.sim, self.proxy, self.sdk, self.caller = sim, proxy, sdk, caller
        self._last = 0

    def memory_kib(self) -> int:
        status = Path(f"/proc/{self.proxy.popen.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])

    def next_ticks(self) -> None:
        """Both have all of them since the last time, and a new one."""
        rows = self.sdk.wait_push("ticker")
        newest = int(rows[-1]["sequence"])
        self.caller.wait_event("all", lambda event: event.get("proto_id") == TICK and newest in ticks(event))
        by_sdk = [row["sequence"] for push in self.sdk.pushes for row in push["data"] if push["push"] == "ticker"]
        events = [event for event in self.caller.events if event.get("proto_id") == TICK]
        by_grpc = [sequence for event in events for sequence in ticks(event)]
        for seen in (by_sdk, by_grpc):
            ours = [sequence for sequence in seen if self._last <= sequence <= newest]
            assert ours == list(range(self._last or ours[0], newest + 1))
        self._last = newest


def ticks(event: dict[str, str]) -> dict[int, float]:
    return ticks_in(bytes.fromhex(event["body"]))


@pytest.fixture(scope="module")
def witnesses(tmp_path_factory: pytest.TempPathFactory, futu_proto: Path) -> Iterator[Witnesses]:
    with contextlib.closing(Sim()) as sim, contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Opendmux("--listen", "127.0.0.1:0", "--upstream", sim.address)).wait_ready()
        sdk = stack.enter_context(SdkProgram("quote", proxy.port, tmp_path_factory.mktemp("sdk")))
        caller = stack.enter_context(FutuProgram("python", proxy.port, futu_proto))
        sdk.wait_ready().ok("subscribe", ["HK.00700"], ["TICKER"])
        caller.ok(3001, sub_body(sub_type=TICKER, push=True))
        caller.stream("all")
        both = Witnesses(sim, proxy, sdk, caller)
        both.next_ticks()
        yield both
        sdk.finish()
        assert proxy.popen.poll() is None, proxy.text()
        assert not [line for line in proxy.errors if "Traceback" in line or " ERROR " in line], proxy.text()
        assert sim.control.ask("violations")["violations"] == []


def test_each_is_turned_out_and_nobody_loses_a_tick(witnesses: Witnesses) -> None:
    before = witnesses.memory_kib()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        visits = {abuse: pool.submit(turned_out, witnesses.proxy.port, abuse) for abuse in ABUSES}
        while not all(visit.done() for visit in visits.values()):
            witnesses.next_ticks()
            witnesses.sdk.ok("get_global_state")
    witnesses.next_ticks()
    assert {abuse: visit.result() for abuse, visit in visits.items()} == ABUSES
    assert witnesses.memory_kib() - before < MEMORY_KIB
