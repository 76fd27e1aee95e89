"""A client that stops reading, or reads slowly, over real sockets: what it loses, and that nobody else notices."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest
import trio

from opendmux.config import Config, Limits, Timeouts
from opendmux.runtime.binding import bind
from opendmux.runtime.hub import Hub
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.frame import Frame, build_frame
from tests.runtime import bodies
from tests.runtime.world import OK, QUIET, Client, OpenD

QUOTE, TICKER = 1, 4
BASIC_QOT = 3004
"""A request that the proxy passes on without looking into it."""
TENCENT = (1, "00700")
SECURITIES = [(1, f"{number:05}") for number in range(700, 710)]
ACCOUNT = 77
OUTBOX = 64 * 1024
HEALTHY = 20
PATIENCE_S = 30.0
PADDING = bytes(2000)
"""So that socket buffers, which are the kernel's and not ours, are full soon."""


class TcpClient(Client):
    """A client on a real socket with a small receive buffer."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream, None)  # type: ignore[arg-type] # the far end is the proxy's own


@dataclass
class Stage:
    """The proxy on a real port; OpenD is played by the test."""

    proxy: Proxy
    opend: OpenD
    sockets: list[trio.socket.SocketType] = field(default_factory=list)

    @property
    def hub(self) -> Hub:
        return self.proxy.hub

    async def client(self) -> TcpClient:
        sock = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sockets.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await sock.connect(("127.0.0.1", self.proxy.addresses[0].port))
        client = TcpClient(trio.SocketStream(sock))
        await client.init()
        return client

    async def push(self, *frames: tuple[int, bytes]) -> None:
        """Send pushes, and wait until the proxy has dealt with them."""
        before = self.hub.switch.counters().upstream_frames_in
        assert self.opend.peer is not None
        await self.opend.peer.stream.send_all(b"".join(build_frame(proto_id, 0, 0, body) for proto_id, body in frames))
        await until(lambda: self.hub.switch.counters().upstream_frames_in >= before + len(frames))
        await trio.testing.wait_all_tasks_blocked()


async def until(fact: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not fact():
            await trio.sleep(0.001)


@asynccontextmanager
async def stage(config: Config) -> AsyncIterator[Stage]:
    async with trio.open_nursery() as nursery:
        opend = OpenD(nursery)
        for proto_id in (3001, 2008):
            opend.answers[proto_id] = lambda _frame: OK

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            settings = msgspec.structs.replace(config, watch=QUIET)
            face = Face(Reach("opend.test:11111", opend.dial), settings, bound=bind(["127.0.0.1:0"]))
            await run_proxy([face], drain_s=1.0, task_status=task_status)

        proxy = await nursery.start(run)
        await proxy.listening.wait()
        found = Stage(proxy, opend)
        try:
            yield found
        finally:
            for sock in found.sockets:
                sock.close()
        nursery.cancel_scope.cancel(reason="test is over")


def tick(number: int) -> tuple[int, bytes]:
    return 3011, bodies.ticker_push(*TENCENT, b"%08d" % number + PADDING)


def number_of(frame: Frame) -> int:
    return int(frame.body[-len(PADDING) - 8 : -len(PADDING)])


async def read_all(client: TcpClient, into: list[Frame]) -> None:
    while True:
        into.append(await client.receive())


async def test_a_stopped_reader_is_disconnected_and_nobody_else_notices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with stage(Config(limits=Limits(outbox_bytes=OUTBOX))) as s:
        healthy = [await s.client() for _ in range(HEALTHY)]
        stopped = await s.client()
        for client in (*healthy, stopped):
            assert (await client.call(3001, bodies.sub([TENCENT], [TICKER]))).body == OK
            assert (await client.call(2008, bodies.acc_push(ACCOUNT))).body == OK
        got: list[list[Frame]] = [[] for _ in healthy]
        async with trio.open_nursery() as readers:
            for client, frames in zip(healthy, got, strict=True):
                readers.start_soon(read_all, client, frames)
            sent = 0
            with trio.fail_after(PATIENCE_S):
                while not s.hub.ended:
                    await s.push(
                        *(tick(number) for number in range(sent, sent + 10)), (2208, bodies.order_push(ACCOUNT))
                    )
                    sent += 10
                    serial_no = await healthy[0].request(BASIC_QOT, b"\x0a\x00")
                    await s.opend.reply(await s.opend.requests.receive(), b"%d" % serial_no)
                    assert s.hub.switch.counters().outbox_bytes <= OUTBOX + (HEALTHY + 1) * len(tick(0)[1]) * 10
            orders, replies = sent // 10, sent // 10
            await until(lambda: all(len(frames) >= sent + orders for frames in got[1:]))
            await until(lambda: len(got[0]) >= sent + orders + replies)
            readers.cancel_scope.cancel(reason="all is there")
        for frames in got:
            assert [number_of(f) for f in frames if f.proto_id == 3011] == list(range(sent)), "each tick once, in order"
            assert sum(f.proto_id == 2208 for f in frames) == orders
        assert [int(f.body) for f in got[0] if f.proto_id == BASIC_QOT] == [
            f.serial_no for f in got[0] if f.proto_id == BASIC_QOT
        ]
        assert len(s.hub.clients) == HEALTHY
        (reason,) = s.hub.ended
        assert "outbox is full" in reason
        assert any("closed, slow: its outbox is full" in r.getMessage() for r in caplog.records)
        await until(lambda: s.hub.switch.counters().outbox_bytes == 0)


async def test_what_a_stopped_reader_still_gets_ends_at_a_frame_boundary() -> None:
    """Half a frame would poison the SDK's next session; it has the goodbye's time to take the rest."""
    timeouts = Timeouts(goodbye_s=PATIENCE_S)
    async with stage(Config(limits=Limits(outbox_bytes=OUTBOX), timeouts=timeouts)) as s:
        stopped = await s.client()
        await stopped.call(3001, bodies.sub([TENCENT], [TICKER]))
        (client,) = s.hub.clients.values()
        sent = 0
        while s.hub.switch.out_bytes(client.session.slot) < OUTBOX - len(tick(0)[1]) * 2:
            await s.push(tick(sent))
            sent += 1
        for _ in range(3):
            await s.push(tick(sent))
        frames: list[Frame] = []
        with trio.fail_after(PATIENCE_S), pytest.raises(trio.EndOfChannel):
            await read_all(stopped, frames)
        assert 0 < len(frames) < sent
        assert [number_of(frame) for frame in frames] == list(range(len(frames)))
        await until(lambda: not s.hub.clients)
        assert s.hub.torn == 0


async def test_a_client_that_takes_nothing_at_all_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with stage(Config(timeouts=Timeouts(write_stall_s=0.2, goodbye_s=0.1))) as s:
        stopped = await s.client()
        await stopped.call(3001, bodies.sub([TENCENT], [TICKER]))
        sent = 0
        with trio.fail_after(PATIENCE_S):
            while not s.hub.ended:
                await s.push(tick(sent))
                sent += 1
        assert list(s.hub.ended) == ["stalled: took no byte for 0.2 s"]
        assert s.hub.switch.counters().outbox_bytes == 0


async def test_a_slow_client_gets_the_newest_quotes_and_every_reply_and_order() -> None:
    async with stage(Config()) as s:
        slow = await s.client()
        await slow.call(3001, bodies.sub(SECURITIES, [QUOTE]))
        await slow.call(2008, bodies.acc_push(ACCOUNT))
        await trio.sleep(0.1)  # settled: pushes go out at once
        (client,) = s.hub.clients.values()
        rounds = orders = replies = 0

        async def one_round() -> None:
            nonlocal rounds, orders, replies
            quotes = [(3005, bodies.quote_push(security) + marked(rounds)) for security in SECURITIES]
            await s.push(*quotes, (2208, bodies.order_push(ACCOUNT)))
            await slow.request(BASIC_QOT, b"\x0a\x00")
            await s.opend.reply(await s.opend.requests.receive(), b"")
            await trio.testing.wait_all_tasks_blocked()
            rounds, orders, replies = rounds + 1, orders + 1, replies + 1

        while s.hub.switch.counters().conflated < 5 * len(SECURITIES):
            await one_round()
        waiting = s.hub.switch.out_bytes(client.session.slot)
        await one_round()
        await one_round()
        # What waits is one quote for each security, however many came.
        grown = s.hub.switch.out_bytes(client.session.slot) - waiting
        assert grown < 2 * len(SECURITIES) * 200, "orders and replies alone"
        frames: list[Frame] = []
        with trio.fail_after(PATIENCE_S):
            while sum(f.proto_id in (2208, BASIC_QOT) for f in frames) < orders + replies or newest(frames) != {
                security[1]: rounds - 1 for security in SECURITIES
            }:
                frames.append(await slow.receive())
        counters = s.hub.switch.counters()
        quotes = [f for f in frames if f.proto_id == 3005]
        assert len(quotes) + counters.conflated == rounds * len(SECURITIES), "what did not come was counted"
        assert sum(f.proto_id == 2208 for f in frames) == orders
        assert [f.serial_no for f in frames if f.proto_id == BASIC_QOT] == sorted(
            f.serial_no for f in frames if f.proto_id == BASIC_QOT
        )
        for security in SECURITIES:
            marks = [mark_of(f) for f in quotes if security[1].encode() in f.body]
            assert marks == sorted(marks), "never an older one behind a newer"
        assert s.hub.ended == {}


def marked(number: int) -> bytes:
    """An unknown field with a number, and some weight."""
    value = b"%08d" % number + PADDING
    return b"\xa2\x06" + bytes([len(value) & 0x7F | 0x80, len(value) >> 7]) + value


def mark_of(frame: Frame) -> int:
    return number_of(frame)


def newest(frames: list[Frame]) -> dict[str, int]:
    found: dict[str, int] = {}
    for frame in frames:
        if frame.proto_id == 3005:
            (code,) = (code for _market, code in SECURITIES if code.encode() in frame.body)
            found[code] = mark_of(frame)
    return found
