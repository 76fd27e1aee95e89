"""Lanes: connections with other options, JSON pushes, groups; and what clients see of outages."""

from __future__ import annotations

import json

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits
from opendmux.native import packet_id_untrusted
from opendmux.runtime.binding import dial_group
from opendmux.wire.frame import Frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import OK, UPSTREAM_CONN_ID, Client, World, world

TICKER, MINUTE, BOOK = 4, 11, 2
TENCENT, APPLE = (1, "00700"), (11, "AAPL")
RTH, ALL = 1, 3
JSON = 1


def agree(w: World) -> None:
    for proto_id in (3001, 3002, 2008):
        w.opend.answers[proto_id] = lambda frame: ret_body(frame.proto_fmt, 0)


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


async def ok(client: Client, proto_id: int, body: bytes) -> None:
    reply = head(await client.call(proto_id, body))
    assert reply.retType == 0, reply.retMsg


# -- conflicting options


async def test_conflicting_options_get_a_connection_of_their_own(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        assert w.opend.connections == 2
        sessions = [
            [opend.SubRequest.FromString(f.body).c2s.session for f in w.opend.sent_by(number, 3001)]
            for number in range(2)
        ]
        assert sessions == [[RTH], [ALL]]
        regular = bodies.kline_push(*APPLE, kl_type=1, rehab_type=1)
        every = regular + b"\xfa\x06\x01e"
        await w.opend.push(3007, regular, connection=0)
        await w.opend.push(3007, every, connection=1)
        assert (await a.receive()).body == regular
        assert (await b.receive()).body == every
        assert await a.nothing_comes()
        assert await b.nothing_comes()


async def test_ordinary_mixed_clients_are_no_conflict(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT], [TICKER, BOOK], session=0, extendedTime=False))
        await ok(b, 3001, bodies.sub([TENCENT], [TICKER, BOOK], session=ALL, header=opend.QotHeader(securityFirm=1)))
        assert w.opend.connections == 1
        assert len(w.opend.bodies(3001)) == 1


async def test_data_calls_go_where_the_stream_is(autojump_clock: MockClock) -> None:
    def get_kl(security: tuple[int, str]) -> bytes:
        c2s = opend.GetKLC2S(
            rehabType=1, klType=1, security=opend.Security(market=security[0], code=security[1]), reqNum=5
        )
        return encode(opend.GetKLRequest(c2s=c2s))

    async with world() as w:
        agree(w)
        w.opend.answers[3006] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE, (11, "MSFT")], [MINUTE], session=ALL))
        await ok(a, 3006, get_kl(APPLE))
        await ok(b, 3006, get_kl(APPLE))
        await ok(b, 3006, get_kl((11, "MSFT")))
        assert [len(w.opend.sent_by(number, 3006)) for number in range(2)] == [2, 1]


async def test_a_used_up_pool_is_a_clear_refusal(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(extra_lanes=1))) as w:
        agree(w)
        clients = [await w.client() for _ in range(3)]
        await ok(clients[0], 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(clients[1], 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        reply = head(await clients[2].call(3001, bodies.sub([APPLE], [MINUTE], extendedTime=True)))
        assert reply.retType == -1
        assert "AAPL" in reply.retMsg
        assert "other options" in reply.retMsg
        assert w.opend.connections == 2


async def test_a_request_over_two_lanes_is_atomic(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        w.opend.answers[3001] = lambda f: ret_body(0, -1, "no right") if f in w.opend.sent_by(-1, 3001) else OK
        reply = head(await b.call(3001, bodies.sub([APPLE, (11, "MSFT")], [MINUTE], session=ALL)))
        assert (reply.retType, reply.retMsg) == (-1, "no right")
        info = opend.GetSubInfoResponse(retType=0, s2c=opend.GetSubInfoS2C(totalUsedQuota=1, remainQuota=9))
        w.opend.answers[3003] = lambda _frame: encode(info)
        frame = await b.call(3003, bodies.sub_info(all_conn=False))
        (own,) = opend.GetSubInfoResponse.FromString(frame.body).s2c.connSubInfoList
        assert own.usedQuota == 0


async def test_a_lane_nobody_needs_is_given_up(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await ok(b, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        await trio.aclose_forcefully(b.stream)
        await trio.sleep(200)
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await w.opend.push(3007, b"", connection=1)
        c = await w.client()
        await ok(c, 3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        assert w.opend.connections == 3


async def test_a_lane_that_cannot_be_made_is_a_clear_refusal_in_time(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        w.opend.up = False  # the main connection stays
        started = trio.current_time()
        reply = head(await b.call(3001, bodies.sub([APPLE], [MINUTE], session=ALL)))
        assert reply.retType == -200
        assert trio.current_time() - started < 11.5
        await ok(b, 3001, bodies.sub([TENCENT], [TICKER]))


async def test_an_unsubscription_waits_behind_a_subscription_that_waits(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await b.request(3001, bodies.sub([APPLE], [MINUTE], session=ALL))  # a lane has to be made for it
        await b.request(3001, bodies.sub([APPLE], [MINUTE], subscribe=False, register=False))
        assert [head(await b.receive()).retType for _ in range(2)] == [0, 0]
        ledgers = [lane.ledger for lane in w.proxy.hub.router.lanes.all]
        assert sum(len(ledger.owners_with_subscriptions()) for ledger in ledgers) == 1


# -- JSON


async def test_a_json_client_gets_a_connection_with_json_pushes(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        plain = await w.client()
        client = await w.client(push_proto_fmt=JSON)
        assert [c2s.pushProtoFmt for c2s in w.opend.inits] == [0, JSON]
        body = {"c2s": {"securityList": [{"market": 1, "code": "00700"}], "subTypeList": [1], "isSubOrUnSub": True,
                        "isRegOrUnRegPush": True}}  # fmt: skip
        serial_no = await client.request(3001, json.dumps(body).encode(), proto_fmt=JSON)
        frame = await client.receive()
        assert (frame.serial_no, frame.proto_fmt, json.loads(frame.body)["retType"]) == (serial_no, JSON, 0)
        await ok(plain, 3001, bodies.sub([TENCENT], [1]))
        item = {"security": {"market": 1, "code": "00700"}, "volume": "12345678901234567"}
        other = {"security": {"market": 11, "code": "AAPL"}}
        push = json.dumps({"retType": 0, "s2c": {"basicQotList": [item, other]}}).encode()
        await w.opend.push(3005, push, connection=1, proto_fmt=JSON)
        frame = await client.receive()
        assert frame.proto_fmt == JSON
        assert json.loads(frame.body) == {"retType": 0, "s2c": {"basicQotList": [item]}}
        assert await plain.nothing_comes()
        await w.opend.push(3005, bodies.quote_push(TENCENT), connection=0)
        assert (await plain.receive()).body == bodies.quote_push(TENCENT)
        assert await client.nothing_comes()


async def test_json_passes_untouched_where_core_does_not_look(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(push_proto_fmt=JSON)
        body = b'{"c2s": {"anything": 1,   "twice": 1, "twice": 2}}'
        await client.request(3203, body, proto_fmt=JSON)
        request = await w.opend.requests.receive()
        assert (request.body, request.proto_fmt) == (body, JSON)
        await w.opend.reply(request, b'{"retType":0}')
        assert (await client.receive()).body == b'{"retType":0}'


async def test_a_json_order_is_sent_in_canonical_form_with_the_right_packet_id(autojump_clock: MockClock) -> None:
    order = {
        "c2s": {
            "packetID": {"connID": "1", "serialNo": 2},
            "header": {"trdEnv": 0, "accID": "281756478396547854", "trdMarket": 1},
            "trdSide": 1, "orderType": 1, "code": "00700", "qty": 100.0, "price": 1.5,
        }
    }  # fmt: skip
    async with world() as w:
        client = await w.client(push_proto_fmt=JSON)
        await client.request(2202, json.dumps(order).encode(), proto_fmt=JSON)
        sent = await w.opend.requests.receive()
        c2s = json.loads(sent.body)["c2s"]
        assert c2s["packetID"]["connID"] == str(UPSTREAM_CONN_ID)
        assert c2s["header"]["accID"] == "281756478396547854"
        assert sent.sha1_matches()


@pytest.mark.parametrize(
    "body",
    [
        b'{"c2s": {"header": {"trdEnv": 0, "trdEnv": 1}}}',
        b'{"c2s": {"header": {"trdEnv": 0}, "surprise": 1}}',
        b'{"c2s": {"header": {}}}',
        b"not json",
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_doubtful_json_orders_are_refused(autojump_clock: MockClock, body: bytes) -> None:
    async with world() as w:
        client = await w.client(push_proto_fmt=JSON)
        await client.request(2202, body, proto_fmt=JSON)
        frame = await client.receive()
        assert (frame.proto_fmt, json.loads(frame.body)["retType"]) == (JSON, -1)
        assert w.opend.log == []


# -- outages


async def test_hold_tells_clients_that_take_notifications(autojump_clock: MockClock) -> None:
    state = opend.GetGlobalStateResponse(retType=0, s2c=opend.GetGlobalStateS2C(qotLogined=True, trdLogined=False))
    async with world() as w:
        w.opend.answers[1002] = lambda _frame: encode(state)
        takes, does_not = await w.client(recv_notify=True), await w.client()
        await w.opend.drop()
        gone = opend.NotifyResponse.FromString((await takes.receive()).body).s2c
        assert (gone.type, gone.connectStatus.qotLogined, gone.connectStatus.trdLogined) == (3, False, False)
        back = opend.NotifyResponse.FromString((await takes.receive()).body).s2c
        assert (back.type, back.connectStatus.qotLogined, back.connectStatus.trdLogined) == (3, True, False)
        assert await does_not.nothing_comes()


async def test_close_closes_at_a_frame_boundary(autojump_clock: MockClock) -> None:
    async with world(Config(on_outage="close")) as w:
        client = await w.client(recv_notify=True)
        await client.request(3004, b"\x0a\x00")
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        assert head(await client.receive()).retType == -200  # the answer comes first
        why = opend.NotifyResponse.FromString((await client.receive()).body).s2c.event.desc
        assert why.startswith("opendmux closes this connection")
        assert await client.read_to_the_end() == 0
        await trio.sleep(5)
        await (await w.connect()).init()


# -- unlock


def unlock_body(*, unlock: bool) -> bytes:
    return encode(opend.UnlockTradeRequest(c2s=opend.UnlockTradeC2S(unlock=unlock, pwdMD5="0" * 32)))


async def test_own_unlock_is_personal(autojump_clock: MockClock) -> None:
    async with world(Config(unlock="own")) as w:
        w.opend.answers[2005] = w.opend.answers[2202] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        await ok(a, 2005, unlock_body(unlock=True))
        await ok(a, 2202, bodies.trade_write(a.conn_id, 1))
        reply = head(await b.call(2202, bodies.trade_write(b.conn_id, 1)))
        assert reply.retType == -1
        assert "unlock" in reply.retMsg
        assert len(w.opend.bodies(2202)) == 1
        # A lock of one leaves the other's trading alone.
        await ok(b, 2005, unlock_body(unlock=True))
        await ok(b, 2005, unlock_body(unlock=False))
        assert len(w.opend.bodies(2005)) == 2, "the lock stayed here"
        await ok(a, 2202, bodies.trade_write(a.conn_id, 2))
        await ok(a, 2005, unlock_body(unlock=False))
        assert len(w.opend.bodies(2005)) == 3, "the last lock goes to OpenD"
        assert head(await a.call(2202, bodies.trade_write(a.conn_id, 3))).retType == -1


async def test_shared_unlock_is_opends_own_behaviour(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[2005] = w.opend.answers[2202] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        await ok(a, 2005, unlock_body(unlock=True))
        await ok(b, 2202, bodies.trade_write(b.conn_id, 1))
        unlock = w.proxy.hub.router.unlock
        assert unlock.open
        await w.opend.drop()
        await trio.sleep(5)
        assert unlock.open, "OpenD's lock does not depend on our connection"
        w.opend.answers[2202] = lambda _frame: ret_body(0, -1, "Please unlock trade first")
        reply = head(await b.call(2202, bodies.trade_write(b.conn_id, 2)))
        assert (reply.retType, reply.retMsg) == (-1, "Please unlock trade first")
        assert not unlock.open


async def test_packet_ids_follow_the_connection(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[2202] = lambda _frame: OK
        client = await w.client()
        await ok(client, ProtoId.TRD_PLACE_ORDER, bodies.trade_write(client.conn_id, 1))
        await w.opend.drop()
        await trio.sleep(5)
        await ok(client, ProtoId.TRD_PLACE_ORDER, bodies.trade_write(client.conn_id, 2))
        first, second = (packet_id_untrusted(body) for body in w.opend.bodies(2202))
        assert first is not None
        assert second is not None
        assert first[1] < second[1]


# -- groups


async def test_a_group_dials_the_next_member_after_each_success_or_failure(autojump_clock: MockClock) -> None:
    tried: list[str] = []
    down = {"b"}

    def member(name: str) -> tuple[str, object]:
        async def dial() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            tried.append(name)
            if name in down:
                raise ConnectionRefusedError(111, "Connection refused")
            return trio.testing.memory_stream_pair()[0]

        return name, dial

    dial = dial_group([member(name) for name in "abc"])  # type: ignore[misc]
    for _ in range(3):
        await dial()
    assert tried == ["a", "b", "c", "a"]
    down |= {"a", "c"}
    with pytest.raises(ConnectionRefusedError):
        await dial()
