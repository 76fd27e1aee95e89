"""Corners: what goes wrong only when two things meet, each as the smallest script that shows it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, Timeouts
from opendmux.core.commands import CloseLane, OpenLane
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.runtime.upstream import SERIAL_LIMIT, LinkState
from opendmux.wire.frame import Frame, build_frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import OK, QUIET, Client, MemoryListener, OpenD, World, world

TICKER, MINUTE, DAY = 4, 11, 6
TENCENT, APPLE, MSFT = (1, "00700"), (11, "AAPL"), (11, "MSFT")
RTH, ALL = 1, 3
JSON = 1
BASIC_QOT, SNAPSHOT = 3004, 3203
ORDER = ProtoId.TRD_PLACE_ORDER


def agree(w: World) -> None:
    for proto_id in (3001, 3002, 2008):
        w.opend.answers[proto_id] = lambda frame: ret_body(frame.proto_fmt, 0)


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


async def ok(client: Client, proto_id: int, body: bytes) -> None:
    reply = head(await client.call(proto_id, body))
    assert reply.retType == 0, reply.retMsg


def register(securities: list[tuple[int, str]], sub_type: int, **more: object) -> bytes:
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=market, code=code) for market, code in securities],
        subTypeList=[sub_type],
        isRegOrUnReg=True,
        **more,  # type: ignore[arg-type]
    )
    return encode(opend.RegQotPushRequest(c2s=c2s))


# -- several lanes that wait at once


async def test_two_lanes_that_connect_at_once_both_become_ready(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        original = w.opend._one

        async def slow(peer: object, frame: Frame) -> None:
            if frame.proto_id == ProtoId.INIT_CONNECT:
                await trio.sleep(2)  # both lanes are waiting for their InitConnect reply by then
            await original(peer, frame)  # type: ignore[arg-type]

        w.opend._one = slow  # type: ignore[method-assign]
        for peer in list(w.opend.peers):
            await trio.aclose_forcefully(peer.stream)
        await trio.sleep(6)
        assert [link.state for link in w.proxy.hub.links.values()] == [LinkState.READY] * 2  # type: ignore[attr-defined]
        assert w.opend.connections == 4


async def test_a_lane_that_is_closed_and_opened_in_one_moment_works(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        first = await w.client(push_proto_fmt=JSON)
        hub = w.proxy.hub
        lane = hub.router.lanes.json
        await trio.aclose_forcefully(first.stream)
        await trio.sleep(1)
        # What `Lanes.tidy` does after IDLE_S, and a JSON client that comes in the same turn of the event loop.
        lane.wanted = lane.opening = False
        hub.execute([CloseLane(lane.index)])
        hub.execute(hub.router.lanes.open(lane, trio.current_time()))
        await trio.sleep(2)
        second = await w.client(push_proto_fmt=JSON)
        w.opend.answers[BASIC_QOT] = lambda _frame: b'{"retType":0}'
        await second.request(BASIC_QOT, b"{}", proto_fmt=JSON)
        with trio.fail_after(2):
            assert json.loads((await second.receive()).body)["retType"] == 0
        assert lane.index in hub.links
        lane.wanted = False
        hub.execute([CloseLane(lane.index)])
        await trio.sleep(1)
        assert lane.index not in hub.links, "nothing can end this connection any more"
    assert OpenLane is not None


# -- subscriptions


async def test_a_refused_registration_leaves_the_subscriptions_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [TICKER]))
        assert head(await client.call(3002, register([TENCENT, APPLE], TICKER))).retType == -1
        await w.opend.push(3011, bodies.ticker_push(*TENCENT))
        assert not await client.nothing_comes()


async def test_a_registration_cut_off_by_an_outage_leaves_the_subscription_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [DAY]))
        del w.opend.answers[3002]
        await client.request(3002, register([TENCENT], DAY, rehabTypeList=[0]))
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        assert head(await client.receive()).retType == -200
        await trio.sleep(5)
        await w.opend.push(3007, bodies.kline_push(*TENCENT, kl_type=2, rehab_type=1))
        assert not await client.nothing_comes()


async def test_a_client_that_changes_its_options_gets_the_new_stream_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))  # moves to a lane of its own
        regular = bodies.kline_push(*APPLE, kl_type=1, rehab_type=1)
        every = regular + b"\xfa\x06\x01e"
        await w.opend.push(3007, regular, connection=0)
        await w.opend.push(3007, every, connection=1)
        assert (await a.receive()).body == regular
        assert (await b.receive()).body == every
        assert await b.nothing_comes()


async def test_requests_of_one_client_keep_their_order(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        subscribe = build_frame(3001, 0, 1, bodies.sub([TENCENT], [1]))
        await client.stream.send_all(subscribe + build_frame(BASIC_QOT, 0, 2, b"\x0a\x00"))
        await trio.testing.wait_all_tasks_blocked()
        assert [frame.proto_id for frame in w.opend.log] == [3001, BASIC_QOT]


# -- account pushes


async def test_an_account_list_is_asked_for_again_while_a_shorter_one_is_under_way(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        stays, leaves, comes = await w.client(), await w.client(), await w.client()
        await ok(stays, 2008, bodies.acc_push(1))
        await ok(leaves, 2008, bodies.acc_push(2))
        del w.opend.answers[2008]
        await trio.aclose_forcefully(leaves.stream)  # OpenD is told [1]
        await trio.sleep(0.1)
        await comes.request(2008, bodies.acc_push(2))
        await trio.sleep(0.1)
        for _ in range(2):
            with trio.move_on_after(1):
                await w.opend.reply(await w.opend.requests.receive(), OK)
        unions = [set(opend.SubAccPushRequest.FromString(b).c2s.accIDList) for b in w.opend.bodies(2008)]
        assert unions[-1] == {1, 2}, "OpenD would push nothing of account 2 to anybody"


async def test_account_pushes_refused_after_a_reconnect_are_asked_for_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 2008, bodies.acc_push(1))
        refusals = [ret_body(0, -1, "not logged in yet"), None]  # a restarted OpenD; then one that does not answer
        w.opend.answers[2008] = lambda _frame: refusals.pop(0) if refusals else OK
        w.opend.log.clear()
        await w.opend.drop()
        await trio.sleep(120)
        assert len(w.opend.bodies(2008)) >= 3
        assert refusals == []


# -- bounds


async def test_requests_that_core_asks_for_count_as_in_flight(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(in_flight=4))) as w:
        client = await w.client()
        for _ in range(50):
            await client.request(3003, bodies.sub_info(all_conn=False))
        await trio.testing.wait_all_tasks_blocked()
        assert len(w.opend.log) <= 4


async def test_shared_reads_count_as_in_flight(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(in_flight=4))) as w:
        client = await w.client()
        for _ in range(50):
            await client.request(SNAPSHOT, b"\x0a\x02\x08\x01")
        await trio.testing.wait_all_tasks_blocked()
        assert sum(len(joined) for joined in w.proxy.hub.router.metering._groups.values()) <= 4


async def test_parked_requests_are_bounded(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(in_flight=4))) as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(1)
        client = await w.connect()
        await client.init()
        for _ in range(50):
            await client.request(2001, b"\x0a\x02\x08\x00")
        await trio.sleep(0.1)
        assert len(w.proxy.hub.router.lanes.main.waiting) <= 4


# -- stop


async def test_a_drain_waits_for_requests_that_core_asks(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        serial_no = await client.request(3001, bodies.sub([TENCENT], [TICKER]))
        request = await w.opend.requests.receive()
        w.proxy.stop()
        await trio.sleep(1)
        await w.opend.reply(request, OK)
        assert (await client.receive()).serial_no == serial_no


async def test_a_drain_waits_for_an_order_that_waits_for_its_window(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ORDER] = lambda _frame: OK
        client = await w.client()
        serials = [await client.request(ORDER, bodies.trade_write(client.conn_id, n)) for n in range(3)]
        w.proxy.stop()
        assert [(await client.receive()).serial_no for _ in serials] == serials


async def test_a_drain_waits_for_a_reply_that_is_held_back(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        hub = w.proxy.hub
        (slot,) = hub.clients
        ticket = hub.switch.hold(slot)
        w.proxy.stop()
        assert await client.nothing_comes()
        assert hub.switch.release(slot, ticket, build_frame(2202, 0, 7, OK))
        hub.clients[slot].flush()
        assert (await client.receive()).serial_no == 7
        assert await client.read_to_the_end() == 0


@pytest.mark.parametrize("released", [True, False])
async def test_a_goodbye_waits_for_a_reply_that_is_held_back(autojump_clock: MockClock, released: bool) -> None:
    """Within its deadline: then the client gets what came before it."""
    async with world() as w:
        client = await w.client()
        hub = w.proxy.hub
        (slot,) = hub.clients
        hub.switch.reply(slot, 2202, 0, 6, OK)
        ticket = hub.switch.hold(slot)
        hub.switch.reply(slot, 2202, 0, 8, OK)
        await client.stream.send_all(b"oops")
        await trio.sleep(1)
        if released:
            assert hub.switch.release(slot, ticket, build_frame(2202, 0, 7, OK))
            hub.clients[slot].flush()
        began = trio.current_time()
        serials = []
        with contextlib.suppress(trio.EndOfChannel):
            while True:
                serials.append((await client.receive()).serial_no)
        assert serials == ([6, 7, 8] if released else [6])
        assert trio.current_time() - began < 0.1 if released else trio.current_time() - began == pytest.approx(1)
        assert hub.torn == 0


async def test_a_drain_waits_for_shared_reads(autojump_clock: MockClock) -> None:
    async with world() as w:
        a, b = await w.client(), await w.client()
        await a.request(SNAPSHOT, b"\x0a\x02\x08\x01")
        await b.request(SNAPSHOT, b"\x0a\x02\x08\x01")
        request = await w.opend.requests.receive()
        await trio.testing.wait_all_tasks_blocked()
        w.proxy.stop()
        await trio.sleep(1)
        await w.opend.reply(request, OK)
        assert head(await a.receive()).retType == 0
        assert head(await b.receive()).retType == 0


# -- the link


async def test_used_up_serials_cost_one_reconnect(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[BASIC_QOT] = lambda _frame: OK
        client = await w.client()
        switch = w.proxy.hub.switch
        switch.submit(
            0, -1, 0, BASIC_QOT, 0, b"", reply=1, token=lambda _o, _n: [], timeout_ns=10**9, now_ns=0,
            upstream_serial=0x7800_0000,
        )  # fmt: skip
        switch.submit(
            0, -1, 0, BASIC_QOT, 0, b"", reply=1, token=lambda _o, _n: [], timeout_ns=10**9, now_ns=0,
            upstream_serial=SERIAL_LIMIT + 1,
        )  # fmt: skip
        await trio.sleep(60)
        assert w.opend.connections == 2
        await ok(client, BASIC_QOT, b"\x0a\x00")


@pytest.mark.parametrize("damage", [b"\x08\x00\x22\x02\xff\xff", b"\x08\x00\x22\x03\x0a\x05x"])
async def test_an_answer_that_cannot_be_read_fails_one_call_alone(autojump_clock: MockClock, damage: bytes) -> None:
    async with world() as w:
        w.opend.answers[3003] = lambda _frame: damage
        client = await w.client()
        with trio.fail_after(5):
            assert head(await client.call(3003, bodies.sub_info(all_conn=False))).retType != 0
        await trio.sleep(5)
        assert w.opend.connections == 1


async def test_a_global_state_that_cannot_be_read_does_not_end_the_link_again_and_again(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.opend.answers[1002] = lambda _frame: b"\x08\x00\x22\x02\xff\xff"
        await w.client(recv_notify=True)
        await w.opend.drop()
        await trio.sleep(60)
        assert w.opend.connections == 2


# -- crashes


async def test_a_crash_over_bytes_of_a_paused_client_ends_this_client_alone(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(in_flight=1))) as w:
        victim, other = await w.client(), await w.client()
        router = w.proxy.hub.router
        original = router.client_event

        def explode(session, event, now):  # type: ignore[no-untyped-def]
            if event.proto_id == 9999:
                raise RuntimeError("a bug")
            return original(session, event, now)

        router.client_event = explode  # type: ignore[method-assign]
        # The second frame is kept until the reply to the first is there.
        await victim.stream.send_all(build_frame(BASIC_QOT, 0, 1, b"\x0a\x00") + build_frame(9999, 0, 2, b""))
        request = await w.opend.requests.receive()
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.reply(request, OK)
        await trio.sleep(2)
        assert w.opend.connections == 1, "the link was taken down"
        w.opend.answers[BASIC_QOT] = lambda _frame: OK
        await ok(other, BASIC_QOT, b"\x0a\x00")


async def test_a_crash_over_a_push_ends_nothing(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[BASIC_QOT] = lambda _frame: OK
        client = await w.client()
        original = w.proxy.hub.router.push

        def explode(lane, push, now):  # type: ignore[no-untyped-def]
            if push.proto_id == 3019:
                raise RuntimeError("a bug")
            return original(lane, push, now)

        w.proxy.hub.router.push = explode  # type: ignore[method-assign]
        await w.opend.push(3019, bodies.ticker_push(*TENCENT))
        await trio.sleep(1)
        await ok(client, BASIC_QOT, b"\x0a\x00")


# -- time


async def test_order_pushes_keep_their_order_also_right_after_init_connect(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        await trio.sleep(0.02)  # between two ticks
        client = await w.connect()
        await client.init()
        await ok(client, 2008, bodies.acc_push(1))
        pushes = [bodies.order_push(1) + bytes([0xFA, 0x06, 1, number]) for number in range(8)]
        for push in pushes:
            await w.opend.push(2208, push)
            await trio.sleep(0.015)
        assert [(await client.receive()).body for _ in pushes] == pushes


@pytest.mark.parametrize("phase", [0.0, 0.01, 0.02, 0.03, 0.04, 0.049])
async def test_a_burst_of_cancellations_as_large_as_the_budget_leaves(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, phase: float
) -> None:
    monkeypatch.setattr("opendmux.runtime.station.TICK_S", 0.053)  # turns of the event loop that take their time
    async with world() as w:
        w.opend.answers[2205] = lambda _frame: OK
        client = await w.client()
        await trio.sleep(phase)
        body = bodies.trade_write(client.conn_id, 1, tail=b"\x18\x01\x20\x02")
        for _ in range(20):
            await client.request(2205, body)
        assert [head(await client.receive()).retMsg for _ in range(20)] == [""] * 20


async def test_an_order_does_not_wait_for_a_lane_longer_than_a_second(autojump_clock: MockClock) -> None:
    async with world(Config(timeouts=Timeouts(backoff_max_s=0.5))) as w:
        w.opend.up = False  # the main connection stays, another can't be made
        client = await w.connect()
        c2s = opend.InitConnectC2S(clientVer=300, clientID="x", packetEncAlgo=-1, pushProtoFmt=JSON)
        await client.call(1001, encode(opend.InitConnectRequest(c2s=c2s)))
        order = {
            "c2s": {
                "packetID": {"connID": "1", "serialNo": 2},
                "header": {"trdEnv": 1, "accID": "1", "trdMarket": 1},
                "trdSide": 1, "orderType": 1, "code": "00700", "qty": 100.0, "price": 1.5,
            }
        }  # fmt: skip
        await client.request(2202, json.dumps(order).encode(), proto_fmt=JSON)
        await trio.sleep(8)
        w.opend.up = True
        await trio.sleep(6)
        assert w.opend.bodies(2202) == [], "it left when its owner had given it up, or nearly"


async def test_waiting_for_a_lane_and_for_the_reply_together_stay_under_the_sdks_patience(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(1)
        client = await w.connect()
        await client.init()
        started = trio.current_time()
        await client.request(2001, b"\x0a\x02\x08\x00")
        await trio.sleep(5)
        w.opend.up = True
        await client.receive()
        assert trio.current_time() - started < 12


async def test_impossible_waits_are_refused_at_the_start(autojump_clock: MockClock) -> None:
    from opendmux.config import check
    from opendmux.errors import ConfigError

    for timeouts in (Timeouts(read_wait_s=20), Timeouts(write_wait_s=20), Timeouts(park_s=30)):
        with pytest.raises(ConfigError):
            check(Config(timeouts=timeouts))


# -- groups


class Group:
    """Two OpenDs: quotes from either, trade calls from the first alone."""

    def __init__(self, first: OpenD, second: OpenD, listener: MemoryListener, proxy: Proxy) -> None:
        self.first, self.second, self.listener, self.proxy = first, second, listener, proxy
        self.trade_up = True

    async def connect(self) -> Client:
        return Client(*await self.listener.connect())


@asynccontextmanager
async def group() -> AsyncIterator[Group]:
    async with trio.open_nursery() as nursery:
        first, second, trade, listener = OpenD(nursery), OpenD(nursery), OpenD(nursery), MemoryListener()
        members = [("first", first.dial), ("second", second.dial)]
        reach = Reach("first or second", trade.dial, trade_name="first", members=members)
        face = Face(reach, Config(timeouts=Timeouts(backoff_max_s=0.5)), listeners=[listener])

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            await run_proxy([face], drain_s=1, task_status=task_status)

        proxy = await nursery.start(run)
        await proxy.listening.wait()
        await trio.sleep(1)
        made = Group(first, second, listener, proxy)
        made.trade = trade  # type: ignore[attr-defined]
        yield made
        nursery.cancel_scope.cancel(reason="test is over")


async def test_all_quote_lanes_of_a_group_go_to_the_first_that_answers(autojump_clock: MockClock) -> None:
    async with group() as g:
        client = await g.connect()
        await client.init(push_proto_fmt=JSON)
        await trio.sleep(1)
        assert (g.first.connections, g.second.connections) == (2, 0)


async def test_restore_calls_are_parked_when_only_the_trading_opend_is_away(autojump_clock: MockClock) -> None:
    async with group() as g:
        trade: OpenD = g.trade  # type: ignore[attr-defined]
        trade.up = False
        await trade.drop()
        await trio.sleep(1)
        client = await g.connect()
        await client.init()
        await client.request(2008, bodies.acc_push(1))
        assert await client.nothing_comes(3)
        trade.answers[2008] = lambda _frame: OK
        trade.up = True
        assert head(await client.receive()).retType == 0


# -- InitConnect twice


async def test_a_second_init_connect_keeps_the_lanes(autojump_clock: MockClock) -> None:
    def get_kl() -> bytes:
        c2s = opend.GetKLC2S(rehabType=1, klType=1, security=opend.Security(market=11, code="AAPL"), reqNum=5)
        return encode(opend.GetKLRequest(c2s=c2s))

    async with world() as w:
        agree(w)
        w.opend.answers[3006] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        await b.init()
        await ok(b, 3006, get_kl())
        assert [len(w.opend.sent_by(number, 3006)) for number in range(2)] == [0, 1]


# -- ticks


async def test_ticks_that_clients_have_seen_do_not_come_again_after_an_outage(autojump_clock: MockClock) -> None:
    def ticks(*sequences: int) -> bytes:
        items = b"".join(bytes([0x12, 2, 0x10, sequence]) for sequence in sequences)
        return bodies.response(b"\x0a" + bytes([len(bodies.security(*TENCENT))]) + bodies.security(*TENCENT) + items)

    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [TICKER]))
        await w.opend.push(3011, ticks(1, 2))
        await client.receive()
        await w.opend.drop()
        await trio.sleep(5)
        await w.opend.push(3011, ticks(2))  # the first push of the new subscription
        await w.opend.push(3011, ticks(3))
        assert (await client.receive()).body == ticks(3)
        await w.opend.push(3011, ticks(2))  # not ours to judge any more
        assert (await client.receive()).body == ticks(2)


async def test_ticks_that_cannot_be_read_do_no_harm_when_the_link_is_lost(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        w.opend.answers[BASIC_QOT] = lambda _frame: OK
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [TICKER]))
        security = bodies.security(*TENCENT)
        damaged = bodies.response(b"\x0a" + bytes([len(security)]) + security + b"\x12\x02\x10\xff")
        await w.opend.push(3011, damaged)
        assert (await client.receive()).body == damaged
        await w.opend.drop()
        await trio.sleep(5)
        assert w.opend.connections == 2
        await ok(client, BASIC_QOT, b"\x0a\x00")


# -- real sockets


async def test_a_large_reply_leaves_room_for_a_push_behind_it() -> None:
    """On a real socket: while the large reply is being read, everything else must still find room."""
    async with trio.open_nursery() as nursery:
        double = OpenD(nursery)
        sock = trio.socket.socket()
        await sock.bind(("127.0.0.1", 0))
        sock.listen()
        face = Face(Reach("opend.test:1", double.dial), Config(watch=QUIET), listeners=[trio.SocketListener(sock)])

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            await run_proxy([face], drain_s=1, task_status=task_status)

        with trio.fail_after(20):
            proxy = await nursery.start(run)
            await proxy.listening.wait()
            stream = await trio.open_tcp_stream(*sock.getsockname()[:2])
            client = Client(stream, stream)  # type: ignore[arg-type]
            await client.init(recv_notify=True)
            await trio.sleep(0.2)
            await client.request(3202, b"\x0a\x00")
            large = b"\x08\x00" + bytes([0xFA, 0x06]) + b"\x80\x80\x80\x08" + bytes(16 * 1024 * 1024)
            await double.reply(await double.requests.receive(), large)
            await double.push(1003, bodies.response(b"\x08\x01"))
            await trio.sleep(0.3)  # it reads now, no sooner than a busy program would
            assert len((await client.receive()).body) == len(large)
            assert (await client.receive()).proto_id == 1003
            assert dict(proxy.hub.ended) == {}
            await stream.aclose()
            sock.close()
        nursery.cancel_scope.cancel()
