"""Faults on single frames and on connections: which frame they meet, and what the client and the world see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from opendmux.sim import Act, Trick, open_simulator
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .kit import BASIC, TENCENT, Client, Play, playing

if TYPE_CHECKING:
    from trio.testing import MockClock

KEEP_ALIVE = encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1)))
QUOTE_PUSH = ProtoId.QOT_UPDATE_BASIC_QOT


def plan(play: Play, act: Act, proto_id: int, **details: Any) -> None:
    play.sim.faults.tricks.append(Trick(act=act, proto_id=proto_id, **details))


async def alive(client: Client) -> bool:
    return (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def is_over(client: Client) -> bool:
    """Nothing more comes, and the last thing that came was a whole frame."""
    try:
        await client.frame()
    except trio.EndOfChannel:
        return True
    return False


@pytest.mark.parametrize("act", [Act.DROP, Act.RESET])
@pytest.mark.parametrize("executed", [False, True])
async def test_the_nth_order_ends_the_connection(autojump_clock: MockClock, act: Act, executed: bool) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        paper = (await client.accounts())[1]
        await other.accounts()
        await other.listen_to(paper.accID)
        plan(play, act, ProtoId.TRD_PLACE_ORDER, nth=2, executed=executed)
        assert (await client.place(paper)).retType == 0
        with pytest.raises(trio.EndOfChannel):
            await client.place(paper)
        assert len(play.sim.orders) == 1 + executed
        await alive(other)
        # Others are told of what happened.
        assert len(other.pushes) == 2 * len(play.sim.orders)
        assert play.sim.faults.tricks == []
        assert play.sim.record.connections[0].close_reason.endswith("on purpose")


async def test_only_one_connection_is_meant(autojump_clock: MockClock) -> None:
    async with playing() as play:
        first, second = await play.client(), await play.client()
        plan(play, Act.DROP, 0, connection=2, nth=2)
        assert await alive(first)
        assert await alive(second)
        assert await alive(first)
        await second.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert await is_over(second)


async def test_what_was_sent_behind_the_last_frame_is_not_done(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        await trio.testing.wait_all_tasks_blocked()
        plan(play, Act.DROP, ProtoId.KEEP_ALIVE)
        for _ in range(3):
            await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert (await client.frame()).proto_id == ProtoId.KEEP_ALIVE
        assert await is_over(client)
        assert play.sim.record.request_counts[ProtoId.KEEP_ALIVE] == 1


@pytest.mark.parametrize("executed", [False, True])
async def test_silence_from_a_frame_on(autojump_clock: MockClock, executed: bool) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        await client.subscribe([TENCENT], [BASIC])
        await client.drain(2)
        plan(play, Act.SILENCE, ProtoId.TRD_GET_ACC_LIST, executed=executed)
        await client.send(ProtoId.TRD_GET_ACC_LIST, encode(opend.GetAccListRequest(c2s=opend.GetAccListC2S(userID=0))))
        for _ in range(5):
            await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
            assert await client.drain(20) == []
        assert play.sim.record.request_counts[ProtoId.TRD_GET_ACC_LIST] == executed
        assert ProtoId.KEEP_ALIVE not in play.sim.record.request_counts
        assert [record.number for record in play.sim.connections] == [1], "being heard keeps a connection alive"
        del other


@pytest.mark.parametrize("proto_id", [ProtoId.KEEP_ALIVE, QUOTE_PUSH])
async def test_half_a_frame_then_the_end(autojump_clock: MockClock, proto_id: int) -> None:
    async with playing() as play:
        client = await play.client()
        plan(play, Act.HALF, proto_id)
        await client.subscribe([TENCENT], [BASIC])
        await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        rest = b""
        while chunk := await client.stream.receive_some(65536):
            rest += chunk
        if proto_id == QUOTE_PUSH:
            rest = rest[44 + int.from_bytes(rest[12:16], "little") :]  # the reply to KeepAlive
        assert int.from_bytes(rest[2:6], "little") == proto_id
        assert 0 < len(rest) < 44 + int.from_bytes(rest[12:16], "little")


async def test_replies_that_are_wrong(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        for act in (Act.WRONG_SERIAL, Act.BAD_SHA1, Act.DOUBLE):
            plan(play, act, ProtoId.KEEP_ALIVE)
        serials = [await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE) for _ in range(4)]
        frames = [await client.frame() for _ in range(5)]
        assert [frame.serial_no for frame in frames] == [
            serials[0] ^ 0x8000_0000,
            serials[1],
            serials[2],
            serials[2],
            serials[3],
        ]
        assert [frame.sha1_matches() for frame in frames] == [True, False, True, True, True]
        assert play.sim.violations == []


async def test_pushes_that_are_wrong(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        for one in (client, other):
            await one.subscribe([TENCENT], [BASIC])
        plan(play, Act.BAD_SHA1, QUOTE_PUSH, connection=1, nth=2)
        plan(play, Act.DOUBLE, QUOTE_PUSH, connection=1, nth=3)
        frames = [await client.frame() for _ in range(5)]
        assert [frame.sha1_matches() for frame in frames] == [True, False, True, True, True]
        assert frames[2].body == frames[3].body != frames[4].body
        good = [await other.frame() for _ in range(4)]
        assert all(frame.sha1_matches() for frame in good)


async def test_replies_change_places(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        plan(play, Act.SWAP, ProtoId.KEEP_ALIVE, times=2)
        serials = [await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE) for _ in range(3)]
        assert [(await client.frame()).serial_no for _ in serials] == [serials[0], serials[2], serials[1]]
        plan(play, Act.SWAP, ProtoId.KEEP_ALIVE)
        serials = [await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE) for _ in range(3)]
        assert [(await client.frame()).serial_no for _ in serials] == [serials[1], serials[0], serials[2]]


async def test_a_late_reply_may_be_wrong_too(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        play.sim.faults.delays_s[ProtoId.KEEP_ALIVE] = 3
        plan(play, Act.DOUBLE, ProtoId.KEEP_ALIVE)
        await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        start = trio.current_time()
        assert await client.frame() == await client.frame()
        assert trio.current_time() - start == pytest.approx(3)


async def test_a_poisonous_request_kills_opend(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        await client.unlock()
        plan(play, Act.CRASH, 4242, seconds=30)
        await client.send(4242, b"")
        assert await is_over(client)
        assert await is_over(other)
        assert not play.sim.world.unlocked
        for _ in range(2):
            assert await is_over(await play.client(init=False))
            await trio.sleep(10)
        await trio.sleep(10)
        assert await alive(await play.client())
        assert len(play.sim.record.connections) == 3, "who came while it was down was not heard"


async def test_a_black_hole(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, idle = await play.client(), await play.client()
        await idle.subscribe([TENCENT], [BASIC])
        await idle.drain(2)
        play.sim.faults.black_hole = True
        newcomer = await play.client(init=False)
        for one in (client, newcomer):
            await one.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
            assert await one.drain(5) == []
        assert await idle.drain(5) == []
        play.sim.faults.black_hole = False
        assert await alive(idle)
        assert await alive(await play.client())
        await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert await client.drain(5) == []


async def test_connections_are_swallowed_or_reset_at_once(autojump_clock: MockClock) -> None:
    async with playing() as play:
        clients = [await play.client() for _ in range(3)]
        assert play.sim.swallow(1) == 1
        assert play.sim.reset(2) == 1
        assert play.sim.reset(77) == 0
        await clients[0].send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert await clients[0].drain(5) == []
        assert await is_over(clients[1])
        assert await alive(clients[2])
        assert play.sim.reset() == 2
        assert await is_over(clients[2])


async def test_a_reset_is_one_on_tcp() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with open_simulator() as sim, trio.open_nursery() as nursery:
        await nursery.start(sim.serve, listeners)
        address = listeners[0].socket.getsockname()
        client, other = [Client(await trio.open_tcp_stream(*address)) for _ in range(2)]
        for one in (client, other):
            await one.init()
        sim.reset(1)
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await client.frame()
        assert await alive(other)
        for one in (client, other):
            await one.stream.aclose()
        nursery.cancel_scope.cancel()
