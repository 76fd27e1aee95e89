"""The simulator as a whole: ways in, faults on purpose, slow readers, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from opendmux.sim import SimConfig, open_simulator
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import APPLE, BASIC, BOOK, TENCENT, TICKER, Client, playing

if TYPE_CHECKING:
    from trio.testing import MockClock

KEEP_ALIVE = encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1)))


async def test_embedded_without_a_port() -> None:
    async with open_simulator(SimConfig(seed=7)) as sim:
        clients = [Client(await sim.connect()) for _ in range(3)]
        for client in clients:
            await client.init()
        assert len({client.conn_id for client in clients}) == 3
        await clients[0].stream.aclose()
        assert (await clients[1].head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0
    for client in clients[1:]:
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        await client.stream.aclose()


async def test_served_on_a_port() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with open_simulator() as sim, trio.open_nursery() as nursery:
        await nursery.start(sim.serve, listeners)
        client = Client(await trio.open_tcp_stream(*listeners[0].socket.getsockname()))
        await client.init()
        assert sim.connections[0].number == 1
        await client.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_the_end_of_the_block_ends_everything(autojump_clock: MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        async with open_simulator() as sim:
            nursery.start_soon(sim.serve_stream, theirs)
            client = Client(ours)
            await client.init()
            serial = await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.reply(serial)).proto_id == ProtoId.KEEP_ALIVE
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        await trio.testing.wait_all_tasks_blocked()
        assert sim.record.connections[0].close_reason == "shut down"


async def test_what_the_block_raises_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_simulator():
            raise KeyError("mine")


async def test_drop_ends_at_a_frame_boundary(autojump_clock: MockClock) -> None:
    async with playing() as play:
        first, second = await play.client(), await play.client()
        await first.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        await trio.testing.wait_all_tasks_blocked()
        assert play.sim.drop(1) == 1
        assert (await first.frame()).proto_id == ProtoId.KEEP_ALIVE
        with pytest.raises(trio.EndOfChannel):
            await first.frame()
        assert (await second.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0
        assert play.sim.drop(77) == 0
        assert play.sim.drop() == 1
        with pytest.raises(trio.EndOfChannel):
            await second.frame()
        await trio.testing.wait_all_tasks_blocked()
        assert [record.close_reason for record in play.sim.record.connections] == ["dropped", "dropped"]


async def test_a_stalled_simulator_answers_later(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC])
        await client.drain(2)
        play.sim.stall()
        serial = await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert await client.drain(100) == []
        assert play.sim.stalled
        play.sim.resume()
        assert (await client.reply(serial)).proto_id == ProtoId.KEEP_ALIVE
        assert await client.drain(2) != []
        assert play.sim.record.broken("keep_alive") == []


async def test_a_muted_feed_moves_in_silence(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC])
        play.sim.faults.mute_feed = True
        before = play.sim.world.market.stock(TENCENT, play.sim.world.now).steps
        assert await client.drain(10) == []
        assert play.sim.world.market.stock(TENCENT, play.sim.world.now).steps >= before + 10
        play.sim.faults.mute_feed = False
        assert await client.drain(2) != []


async def test_late_replies(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        await client.listen_to(paper.accID)
        play.sim.faults.delays_s[ProtoId.TRD_PLACE_ORDER] = 5
        start = trio.current_time()
        answer = await client.place(paper)
        assert answer.retType == 0
        assert trio.current_time() - start == pytest.approx(5)
        assert len(client.pushes) == 2, "the order itself was not late"
        late = await client.send(ProtoId.TRD_PLACE_ORDER, b"")
        early = await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        assert (await client.frame()).serial_no == early
        assert (await client.frame()).serial_no == late


async def test_refusals_by_proto_id(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        play.sim.faults.refusals[ProtoId.QOT_SUB] = "not today"
        answer = await client.subscribe([TENCENT], [BASIC])
        assert (answer.retType, answer.retMsg) == (-1, "not today")
        del play.sim.faults.refusals[ProtoId.QOT_SUB]
        play.sim.subscriptions.quota = 0
        assert "quota" in (await client.subscribe([TENCENT], [BASIC])).retMsg


async def test_notify_reaches_those_who_want_it(autojump_clock: MockClock) -> None:
    async with playing() as play:
        curious, other = await play.client(recvNotify=True), await play.client()
        play.sim.notify_connect_status(qot_logined=False, trd_logined=True)
        push = await curious.push(ProtoId.NOTIFY, opend.NotifyResponse)
        assert (push.s2c.type, push.s2c.connectStatus.qotLogined, push.s2c.connectStatus.trdLogined) == (3, False, True)
        assert await other.drain(1) == []


async def test_a_slow_reader_is_cut_off_and_hurts_nobody(autojump_clock: MockClock) -> None:
    async with playing(outbox_bytes=20_000, keep_alive_timeout_s=None) as play:
        fast = await play.client()
        await fast.subscribe([TENCENT, APPLE], [BASIC, BOOK, TICKER])
        ours, theirs = trio.testing.lockstep_stream_pair()
        play.nursery.start_soon(play.sim.serve_stream, theirs)
        slow = Client(ours)
        await slow.init()
        await slow.subscribe([TENCENT, APPLE], [BASIC, BOOK, TICKER])
        frames = await fast.drain(60)
        assert len(frames) > 300
        assert [connection.number for connection in play.sim.connections] == [1]
        assert play.sim.record.connections[1].close_reason == "slow reader"


async def test_who_does_not_read_does_not_get_to_ask(autojump_clock: MockClock) -> None:
    async with playing(outbox_pause_bytes=1_000, keep_alive_timeout_s=None) as play:
        ours, theirs = trio.testing.lockstep_stream_pair()
        play.nursery.start_soon(play.sim.serve_stream, theirs)
        client = Client(ours)
        await client.init()
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                for _ in range(200):
                    await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)

            nursery.start_soon(ask)
            await trio.sleep(10)
            assert play.sim.record.request_counts[ProtoId.KEEP_ALIVE] < 50
            for _ in range(200):
                await client.frame()
        assert play.sim.record.request_counts[ProtoId.KEEP_ALIVE] == 200


async def test_a_large_answer_goes_through_a_small_outbox(autojump_clock: MockClock) -> None:
    async with playing(outbox_bytes=100) as play:
        client = await play.client()
        request = opend_sim.GetStaticInfoRequest(c2s=opend_sim.GetStaticInfoC2S(market=1, secType=0))
        answer = await client.call(ProtoId.QOT_GET_STATIC_INFO, request, opend_sim.GetStaticInfoResponse)
        assert len(answer.s2c.staticInfoList) > 5


async def test_a_crash_ends_one_connection_and_is_logged(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with playing() as play:
        first, second = await play.client(), await play.client()

        def crash(_proto_id: int) -> float:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(type(play.sim.faults), "reply_delay_s", lambda _self, proto_id: crash(proto_id))
            await first.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
            with pytest.raises(trio.EndOfChannel):
                await first.frame()
        await trio.testing.wait_all_tasks_blocked()
        assert "connection 1 of the simulator crashed" in caplog.text
        assert (await second.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0
        assert play.sim.record.connections[0].close_reason == "crashed"


async def test_the_record_can_be_cleared(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        gone = await play.client()
        await gone.head(ProtoId.GET_GLOBAL_STATE, b"")
        await gone.stream.aclose()
        await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        await trio.testing.wait_all_tasks_blocked()
        play.sim.record.clear()
        assert not play.sim.requests
        assert not play.sim.violations
        assert [record.number for record in play.sim.record.connections] == [1]


async def test_five_hundred_streams_on_time(autojump_clock: MockClock) -> None:
    async with playing(keep_alive_timeout_s=None) as play:
        clients = [await play.client() for _ in range(5)]
        for place, client in enumerate(clients):
            codes = [(1, f"{place * 100 + code:05}") for code in range(100)]
            assert (await client.subscribe(codes, [BASIC])).retType == 0
        await trio.sleep(4)
        for client in clients:
            frames = await client.drain(0.001)
            assert 400 <= len(frames) <= 800
