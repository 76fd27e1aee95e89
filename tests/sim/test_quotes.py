"""Subscriptions, data calls and pushes over the protocol."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from opendmux.sim.numbers import KL_TYPE_OF_SUB_TYPE, SubType
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import APPLE, BASIC, BOOK, BROKER, KL_1MIN, KL_DAY, RT, TENCENT, TICKER, Client, playing, security

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from trio.testing import MockClock

PUSHES: list[tuple[int, ProtoId, type[Message]]] = [
    (BASIC, ProtoId.QOT_UPDATE_BASIC_QOT, opend_sim.BasicQotResponse),
    (BOOK, ProtoId.QOT_UPDATE_ORDER_BOOK, opend_sim.OrderBookResponse),
    (TICKER, ProtoId.QOT_UPDATE_TICKER, opend_sim.TickerResponse),
    (RT, ProtoId.QOT_UPDATE_RT, opend_sim.RTResponse),
    (KL_DAY, ProtoId.QOT_UPDATE_KL, opend_sim.UpdateKLResponse),
    (KL_1MIN, ProtoId.QOT_UPDATE_KL, opend_sim.UpdateKLResponse),
    (BROKER, ProtoId.QOT_UPDATE_BROKER, opend_sim.BrokerResponse),
    (SubType.ORDER_BOOK_ODD, ProtoId.QOT_UPDATE_ORDER_BOOK, opend_sim.OrderBookResponse),
]
CALLS: list[tuple[int, ProtoId, Message, type[Message]]] = [
    (
        BASIC,
        ProtoId.QOT_GET_BASIC_QOT,
        opend_sim.SecuritiesRequest(c2s=opend_sim.SecuritiesC2S(securityList=[security(TENCENT)])),
        opend_sim.BasicQotResponse,
    ),
    (
        BOOK,
        ProtoId.QOT_GET_ORDER_BOOK,
        opend_sim.GetOrderBookRequest(c2s=opend_sim.GetOrderBookC2S(security=security(TENCENT), num=10)),
        opend_sim.OrderBookResponse,
    ),
    (
        TICKER,
        ProtoId.QOT_GET_TICKER,
        opend_sim.GetTickerRequest(c2s=opend_sim.GetTickerC2S(security=security(TENCENT), maxRetNum=5)),
        opend_sim.TickerResponse,
    ),
    (
        RT,
        ProtoId.QOT_GET_RT,
        opend_sim.SecurityRequest(c2s=opend_sim.SecurityC2S(security=security(TENCENT))),
        opend_sim.RTResponse,
    ),
    (
        BROKER,
        ProtoId.QOT_GET_BROKER,
        opend_sim.SecurityRequest(c2s=opend_sim.SecurityC2S(security=security(TENCENT))),
        opend_sim.BrokerResponse,
    ),
    *(
        (
            int(sub_type),
            ProtoId.QOT_GET_KL,
            opend_sim.GetKLRequest(
                c2s=opend_sim.GetKLC2S(rehabType=1, klType=kl_type, security=security(TENCENT), reqNum=10)
            ),
            opend_sim.GetKLResponse,
        )
        for sub_type, kl_type in KL_TYPE_OF_SUB_TYPE.items()
    ),
]


@pytest.mark.parametrize(("sub_type", "proto_id", "response"), PUSHES)
async def test_every_kind_is_pushed_at_least_once_a_second(
    autojump_clock: MockClock, sub_type: int, proto_id: ProtoId, response: type[Message]
) -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.subscribe([TENCENT], [sub_type])).retType == 0
        times = []
        bodies = set()
        for _ in range(5):
            push = await client.push(proto_id, response)
            bodies.add(push.SerializeToString())
            times.append(trio.current_time())
        assert len(bodies) == 5, "each push says something new"
        assert all(0.5 - 1e-6 <= later - earlier <= 1.0 + 1e-6 for earlier, later in pairwise(times))


@pytest.mark.parametrize(("sub_type", "proto_id", "request_", "response"), CALLS)
async def test_data_calls_need_their_own_subscription_on_that_connection(
    autojump_clock: MockClock, sub_type: int, proto_id: ProtoId, request_: Message, response: type[Message]
) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        others = [sub for sub in SubType if sub != sub_type]
        assert (await client.subscribe([TENCENT], others, isRegOrUnRegPush=False)).retType == 0
        assert (await other.subscribe([TENCENT], [sub_type], isRegOrUnRegPush=False)).retType == 0
        refused = await client.head(proto_id, encode(request_))
        assert (refused.retType, refused.retMsg) == (-1, f"please subscribe 00700 with SubType {sub_type} first")
        await client.subscribe([TENCENT], [sub_type], isRegOrUnRegPush=False)
        answer = await client.call(proto_id, request_, response)
        assert answer.retType == 0  # type: ignore[attr-defined]
        assert answer.HasField("s2c")


async def test_any_market_and_any_code_moves(autojump_clock: MockClock) -> None:
    keys = [(1, "12345"), (2, "HSImain"), (11, "ZZZZ"), (21, "600000"), (22, "000002"), (31, "D05"), (41, "7203")]
    keys += [(51, "BHP"), (61, "1155"), (71, "RY"), (81, "EURUSD"), (91, "ETHUSD"), (101, "KX-ELECTION")]
    async with playing() as play:
        client = await play.client()
        assert (await client.subscribe(keys, [BASIC])).retType == 0
        seen = {
            (quote.security.market, quote.security.code)
            for frame in await client.drain(1.01)
            for quote in opend_sim.BasicQotResponse.FromString(frame.body).s2c.basicQotList
        }
        assert seen == set(keys)


@pytest.mark.parametrize("key", [(1, "700"), (55, "AAPL"), (11, "aapl")])
async def test_impossible_securities_are_refused_and_nothing_is_subscribed(
    autojump_clock: MockClock, key: tuple[int, str]
) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.subscribe([TENCENT, key], [BASIC])
        assert answer.retType == -1
        assert "unknown" in answer.retMsg
        assert play.sim.subscribed_now() == {}


async def test_pushes_begin_after_the_reply_and_only_when_registered(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC], isRegOrUnRegPush=False)
        assert await client.drain(5) == []
        c2s = opend.RegQotPushC2S(securityList=[security(TENCENT)], subTypeList=[BASIC], isRegOrUnReg=True)
        serial = await client.send(ProtoId.QOT_REG_QOT_PUSH, encode(opend.RegQotPushRequest(c2s=c2s)))
        assert (await client.frame()).serial_no == serial, "the reply comes first"
        assert (await client.frame()).proto_id == ProtoId.QOT_UPDATE_BASIC_QOT
        c2s.isRegOrUnReg = False
        await client.call(ProtoId.QOT_REG_QOT_PUSH, opend.RegQotPushRequest(c2s=c2s), opend.SubResponse)
        client.pushes.clear()
        assert await client.drain(5) == []


async def test_the_first_push_comes_at_once_unless_declined(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC, BOOK, TICKER, RT, KL_DAY, BROKER], isFirstPush=True)
        await trio.testing.wait_all_tasks_blocked()
        frames = await client.drain(0.1)
        assert {frame.proto_id for frame in frames} == {3005, 3013, 3011, 3009, 3007, 3015}
        ticks = [frame for frame in frames if frame.proto_id == ProtoId.QOT_UPDATE_TICKER]
        message = opend_sim.TickerResponse.FromString(ticks[0].body)
        assert {tick.pushDataType for tick in message.s2c.tickerList} == {3}
        await client.subscribe([APPLE], [BASIC], isFirstPush=False)
        assert await client.drain(0.1) == []


async def test_k_lines_are_pushed_for_every_registered_rehab_type(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [KL_1MIN], regPushRehabTypeList=[0, 1])
        seen = [await client.push(ProtoId.QOT_UPDATE_KL, opend_sim.UpdateKLResponse) for _ in range(4)]
        assert {(push.s2c.rehabType, push.s2c.klType) for push in seen} == {(0, 1), (1, 1)}


async def test_a_first_push_of_the_python_sdk_kind_has_the_forward_type(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [SubType.KL_WEEK])
        push = await client.push(ProtoId.QOT_UPDATE_KL, opend_sim.UpdateKLResponse)
        assert (push.s2c.rehabType, push.s2c.klType) == (1, 3)


async def test_pushes_in_json_for_those_who_asked(autojump_clock: MockClock) -> None:
    async with playing() as play:
        plain, fancy = await play.client(), await play.client(pushProtoFmt=1)
        await plain.subscribe([TENCENT], [BASIC])
        await fancy.subscribe([TENCENT], [BASIC])
        frame = (await fancy.drain(1.01))[0]
        assert frame.proto_fmt == 1
        quote = json.loads(frame.body)["s2c"]["basicQotList"][0]
        first = await plain.push(ProtoId.QOT_UPDATE_BASIC_QOT, opend_sim.BasicQotResponse)
        assert quote["curPrice"] == first.s2c.basicQotList[0].curPrice


async def test_several_quotes_may_share_a_push(autojump_clock: MockClock) -> None:
    async with playing(quotes_per_push=10, step_min_s=1.0, step_max_s=1.0) as play:
        client = await play.client()
        await client.subscribe([TENCENT, APPLE, (1, "00005")], [BASIC])
        push = await client.push(ProtoId.QOT_UPDATE_BASIC_QOT, opend_sim.BasicQotResponse)
        assert {quote.security.code for quote in push.s2c.basicQotList} == {"00700", "AAPL", "00005"}


async def test_what_is_due_together_leaves_together(autojump_clock: MockClock) -> None:
    async with playing(step_min_s=1.0, step_max_s=1.0) as play:
        ours, theirs = trio.testing.memory_stream_pair()
        sent: list[float] = []

        deliver = theirs.send_stream.send_all_hook
        assert deliver is not None

        async def note() -> None:
            sent.append(trio.current_time())
            await deliver()

        theirs.send_stream.send_all_hook = note
        play.nursery.start_soon(play.sim.serve_stream, theirs)
        client = Client(ours)
        await client.init()
        await client.subscribe([(1, f"{code:05}") for code in range(1, 41)], [BASIC, BOOK, TICKER])
        sent.clear()
        assert len(await client.drain(3.01)) == 3 * 40 * 3
        assert len(sent) == 3


async def test_sixty_seconds_before_unsubscribing(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC, BOOK])
        start = trio.current_time()
        early = await client.subscribe([TENCENT], [BASIC], isSubOrUnSub=False)
        assert early.retType == -1
        assert "60 s" in early.retMsg
        all_early = opend.SubRequest(c2s=opend.SubC2S(isSubOrUnSub=False, isUnsubAll=True))
        assert (await client.call(ProtoId.QOT_SUB, all_early, opend.SubResponse)).retType == -1
        await trio.sleep_until(start + 29)
        await client.call(ProtoId.KEEP_ALIVE, opend.KeepAliveRequest(c2s={"time": 1}), opend.KeepAliveResponse)
        await trio.sleep_until(start + 58)
        await client.call(ProtoId.KEEP_ALIVE, opend.KeepAliveRequest(c2s={"time": 1}), opend.KeepAliveResponse)
        await trio.sleep_until(start + 60)
        assert (await client.subscribe([TENCENT], [BASIC], isSubOrUnSub=False)).retType == 0
        trailing = opend.RegQotPushC2S(securityList=[security(TENCENT)], subTypeList=[BASIC], isRegOrUnReg=False)
        request = opend.RegQotPushRequest(c2s=trailing)
        assert (await client.call(ProtoId.QOT_REG_QOT_PUSH, request, opend.SubResponse)).retType == 0
        assert list(play.sim.subscribed_now()) == [(TENCENT, BOOK)]
        assert (await client.call(ProtoId.QOT_SUB, all_early, opend.SubResponse)).retType == 0
        client.pushes.clear()
        assert await client.drain(3) == []
        assert play.sim.subscriptions.ever == {(TENCENT, BASIC): 1, (TENCENT, BOOK): 1}


async def test_the_quota_is_counted_over_connections(autojump_clock: MockClock) -> None:
    async with playing(sub_quota=3) as play:
        first, second = await play.client(), await play.client()
        await first.subscribe([TENCENT, APPLE], [BASIC])
        assert (await second.subscribe([TENCENT, APPLE], [BASIC])).retType == 0
        refused = await second.subscribe([TENCENT, APPLE], [BOOK])
        assert (refused.retType, refused.retMsg) == (-1, "subscription quota exceeded: 2 more needed, 1 left of 3")
        request = opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=True))
        info = (await second.call(ProtoId.QOT_GET_SUB_INFO, request, opend.GetSubInfoResponse)).s2c
        assert (info.totalUsedQuota, info.remainQuota) == (2, 1)
        assert [(conn.usedQuota, conn.isOwnConnData) for conn in info.connSubInfoList] == [(2, False), (2, True)]
        assert [item.code for item in info.connSubInfoList[1].subInfoList[0].securityList] == ["00700", "AAPL"]
        request.c2s.isReqAllConn = False
        own = (await first.call(ProtoId.QOT_GET_SUB_INFO, request, opend.GetSubInfoResponse)).s2c
        assert [conn.isOwnConnData for conn in own.connSubInfoList] == [True]
        await first.stream.aclose()
        await second.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert play.sim.subscriptions.used(play.sim.world.elapsed()) == 2
        await trio.sleep(60)
        assert play.sim.subscriptions.used(play.sim.world.elapsed()) == 0


@pytest.mark.parametrize(
    "c2s",
    [
        {"isSubOrUnSub": None},
        {"securities": []},
        {"sub_types": []},
        {"sub_types": [3]},
        {"regPushRehabTypeList": [9]},
        {"isUnsubAll": True},
    ],
)
async def test_odd_subscriptions_are_refused(autojump_clock: MockClock, c2s: dict[str, object]) -> None:
    async with playing() as play:
        client = await play.client()
        securities = c2s.pop("securities", [TENCENT])
        sub_types = c2s.pop("sub_types", [BASIC])
        answer = await client.subscribe(securities, sub_types, **c2s)  # type: ignore[arg-type]
        assert answer.retType == -1
        assert answer.retMsg
        assert play.sim.subscribed_now() == {}


async def test_the_same_requests_get_the_same_bodies(autojump_clock: MockClock) -> None:
    async def conversation(seed: int) -> list[bytes]:
        async with playing(seed=seed) as play:
            client = await play.client()
            await client.subscribe([TENCENT, APPLE], list(SubType), isFirstPush=True)
            bodies = [frame.body for frame in await client.drain(3)]
            for _, proto_id, request, _ in CALLS:
                frame = await client.reply(await client.send(proto_id, encode(request)))
                bodies.append(frame.body)
            return bodies

    first, again, other = await conversation(4), await conversation(4), await conversation(5)
    assert first == again
    assert len(first) > 100
    assert first != other


async def test_limits_of_the_data_calls(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        await client.subscribe([TENCENT], [TICKER, KL_1MIN, BOOK], isRegOrUnRegPush=False)
        for count in (0, 1001, -5):
            ticks = opend_sim.GetTickerC2S(security=security(TENCENT), maxRetNum=count)
            body = encode(opend_sim.GetTickerRequest(c2s=ticks))
            assert (await client.head(ProtoId.QOT_GET_TICKER, body)).retType == -1
            bars = opend_sim.GetKLC2S(security=security(TENCENT), klType=1, rehabType=1, reqNum=count)
            assert (await client.head(ProtoId.QOT_GET_KL, encode(opend_sim.GetKLRequest(c2s=bars)))).retType == -1
        bars = opend_sim.GetKLC2S(security=security(TENCENT), klType=77, rehabType=1, reqNum=5)
        assert (await client.head(ProtoId.QOT_GET_KL, encode(opend_sim.GetKLRequest(c2s=bars)))).retType == -1
        for num, levels in ((3, 3), (0, 0), (-1, 0), (1000, 10)):
            book = opend_sim.GetOrderBookC2S(security=security(TENCENT), num=num)
            request = opend_sim.GetOrderBookRequest(c2s=book)
            answer = await client.call(ProtoId.QOT_GET_ORDER_BOOK, request, opend_sim.OrderBookResponse)
            assert len(answer.s2c.orderBookAskList) == len(answer.s2c.orderBookBidList) == levels
