"""How a link reads its plain socket, with the pump and without one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from opendmux.native import Push
from opendmux.runtime.broadcast import Batch
from opendmux.runtime.inlet import READ_BYTES, read_socket
from opendmux.runtime.pump import Pump, Pumped

LANE = 3
BATCH: Batch = (LANE, [Push(3005, 0, b"frame")])


class ByHand:
    """A pump whose rounds are made by the test."""

    def __init__(self) -> None:
        self.reading: list[Pumped] = []

    def add(self, owner: Pumped) -> None:
        assert not self.reading, "a socket is read twice"
        self.reading.append(owner)

    def remove(self, owner: Pumped) -> None:
        if owner in self.reading:
            self.reading.remove(owner)

    def bring(self, data: bytes) -> None:
        self.reading[0].received(memoryview(data), 5)

    def lose(self, error: OSError | None) -> None:
        self.reading[0].lost(error)


class Link:
    """Notes what it is given. A chunk ``b"p..."`` has pushes in it, over ``b"!"`` it crashes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.flushes = 0

    def take(self, data: memoryview, at_ns: int) -> Batch | None:
        assert at_ns >= 0
        chunk = bytes(data)
        if chunk == b"!":
            raise ZeroDivisionError
        self.chunks.append(chunk)
        return BATCH if chunk.startswith(b"p") else None

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.setblocking(False)
        yield ours, theirs


async def test_the_pump_reads_and_a_batch_without_room_stops_it(pair: tuple[socket.socket, socket.socket]) -> None:
    pump, link = ByHand(), Link()
    send, receive = trio.open_memory_channel[Batch](1)
    ended: list[str] = []

    async def run() -> None:
        await read_socket(cast("Pump", pump), pair[0], link.take, link.flush, send)
        ended.append("by the peer")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        assert pump.reading[0].sock is pair[0]
        assert pump.reading[0].read_bytes == READ_BYTES
        pump.bring(b"a reply")
        pump.bring(b"p1")
        pump.bring(b"p2")
        assert not pump.reading, "the channel is full"
        await wait_all_tasks_blocked()
        assert not pump.reading
        assert receive.receive_nowait() == BATCH
        await wait_all_tasks_blocked()
        assert receive.receive_nowait() == BATCH
        pump.bring(b"p3")
        assert receive.receive_nowait() == BATCH
        pump.lose(None)
    assert ended == ["by the peer"]
    assert link.chunks == [b"a reply", b"p1", b"p2", b"p3"]
    assert link.flushes == 0, "the pump does that once a round"
    assert not pump.reading


async def test_a_crash_and_a_lost_peer_are_raised_where_the_link_waits(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    send, _receive = trio.open_memory_channel[Batch](1)
    link = Link()

    async def fails_with(kind: type[Exception], pump: ByHand) -> None:
        with pytest.raises(kind):
            await read_socket(cast("Pump", pump), pair[0], link.take, link.flush, send)

    async with trio.open_nursery() as nursery:
        crashed, reset = ByHand(), ByHand()
        nursery.start_soon(fails_with, ZeroDivisionError, crashed)
        nursery.start_soon(fails_with, ConnectionResetError, reset)
        await wait_all_tasks_blocked()
        crashed.bring(b"!")
        reset.lose(ConnectionResetError())
        assert not crashed.reading
        assert not reset.reading


async def test_a_cancelled_link_is_not_read_any_more(pair: tuple[socket.socket, socket.socket]) -> None:
    pump, link = ByHand(), Link()
    send, _receive = trio.open_memory_channel[Batch](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_socket, cast("Pump", pump), pair[0], link.take, link.flush, send)
        await wait_all_tasks_blocked()
        assert pump.reading
        nursery.cancel_scope.cancel()
    assert not pump.reading


async def test_without_a_pump_it_reads_by_itself(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    link = Link()
    send, receive = trio.open_memory_channel[Batch](8)
    theirs.sendall(b"p and more")
    theirs.shutdown(socket.SHUT_WR)
    await read_socket(None, ours, link.take, link.flush, send)
    assert b"".join(link.chunks) == b"p and more"
    assert link.flushes == len(link.chunks)
    assert receive.receive_nowait() == BATCH
