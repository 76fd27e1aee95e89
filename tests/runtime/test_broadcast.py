"""Sharing: subscriptions counted, pushes to exactly those who asked."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock

from opendmux.native import Push
from opendmux.wire.frame import Frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import OK, Client, World, world

QUOTE, BOOK, TICKER, RT, DAY, MINUTE, BROKER = 1, 2, 4, 5, 6, 11, 14
TENCENT, APPLE, HSBC = (1, "00700"), (11, "AAPL"), (1, "00005")


def agree(w: World) -> None:
    for proto_id in (3001, 3002, 3455, 2008):
        w.opend.answers[proto_id] = lambda _frame: OK


def subs(w: World) -> list[opend.SubC2S]:
    return [opend.SubRequest.FromString(body).c2s for body in w.opend.bodies(3001)]


async def ok(client: Client, proto_id: int, body: bytes) -> None:
    head = opend.ResponseHead.FromString((await client.call(proto_id, body)).body)
    assert head.retType == 0, head.retMsg


async def test_two_subscribers_cost_one_subscription_and_each_gets_exactly_its_own(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT, APPLE], [TICKER]))
        await ok(b, 3001, bodies.sub([TENCENT, HSBC], [TICKER]))
        asked = [(s.market, s.code) for c2s in subs(w) for s in c2s.securityList]
        assert sorted(asked) == sorted([TENCENT, APPLE, HSBC])
        for security in (TENCENT, APPLE, HSBC):
            await w.opend.push(3011, bodies.ticker_push(*security))
        expected_a = [bodies.ticker_push(*TENCENT), bodies.ticker_push(*APPLE)]
        expected_b = [bodies.ticker_push(*TENCENT), bodies.ticker_push(*HSBC)]
        assert [(await a.receive()).body for _ in expected_a] == expected_a
        assert [(await b.receive()).body for _ in expected_b] == expected_b
        assert await a.nothing_comes()
        assert await b.nothing_comes()


async def test_a_push_of_several_securities_is_split_per_client(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT], [QUOTE]))
        await ok(b, 3001, bodies.sub([TENCENT, APPLE], [QUOTE]))
        await w.opend.push(3005, bodies.quote_push(TENCENT, APPLE, HSBC))
        got_a = await a.receive()
        assert (got_a.body, got_a.sha1_matches()) == (bodies.quote_push(TENCENT), True)
        got_b = [(await b.receive()).body for _ in range(2)]
        assert got_b == [bodies.quote_push(TENCENT), bodies.quote_push(APPLE)]
        assert await a.nothing_comes()
        assert await b.nothing_comes()


async def test_k_lines_are_told_apart_by_type_and_rehab(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        day, minute, unadjusted = await w.client(), await w.client(), await w.client()
        await ok(day, 3001, bodies.sub([TENCENT], [DAY]))
        await ok(minute, 3001, bodies.sub([TENCENT], [MINUTE]))
        await ok(unadjusted, 3001, bodies.sub([TENCENT], [DAY], regPushRehabTypeList=[0]))
        day_push = bodies.kline_push(*TENCENT, kl_type=2, rehab_type=1)
        await w.opend.push(3007, day_push)
        await w.opend.push(3007, bodies.kline_push(*TENCENT, kl_type=1, rehab_type=1))
        await w.opend.push(3007, bodies.kline_push(*TENCENT, kl_type=2, rehab_type=0))
        assert (await day.receive()).body == day_push
        for client in (day, minute, unadjusted):
            if client is not day:
                await client.receive()
            assert await client.nothing_comes()


async def test_the_last_one_leaving_unsubscribes_after_the_minute(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT], [TICKER]))
        await ok(b, 3001, bodies.sub([TENCENT], [TICKER]))
        await trio.sleep(70)
        await ok(a, 3001, bodies.sub([TENCENT], [TICKER], subscribe=False, register=False))
        await ok(a, 3002, _unregister(TENCENT, TICKER))  # the SDK's trailing call
        await trio.sleep(5)
        assert len(subs(w)) == 1
        await w.opend.push(3011, bodies.ticker_push(*TENCENT))
        assert (await b.receive()).proto_id == 3011
        assert await a.nothing_comes()
        await trio.aclose_forcefully(b.stream)
        await trio.sleep(5)
        assert [c2s.isSubOrUnSub for c2s in subs(w)] == [True, False]


async def test_unsubscribe_all_touches_only_its_own_and_is_never_forwarded(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT, APPLE], [TICKER]))
        await ok(b, 3001, bodies.sub([TENCENT], [TICKER]))
        await ok(a, 3001, bodies.unsub_all())
        await trio.sleep(120)
        assert not any(c2s.isUnsubAll for c2s in subs(w))
        gone = [(s.market, s.code) for c2s in subs(w) if not c2s.isSubOrUnSub for s in c2s.securityList]
        assert gone == [APPLE]
        await w.opend.push(3011, bodies.ticker_push(*TENCENT))
        assert (await b.receive()).proto_id == 3011


async def test_a_refused_subscription_is_told_to_the_one_who_asked(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[3001] = lambda _frame: ret_body(0, -1, "quota used up")
        client = await w.client()
        frame = await client.call(3001, bodies.sub([TENCENT], [TICKER]))
        head = opend.ResponseHead.FromString(frame.body)
        assert (head.retType, head.retMsg) == (-1, "quota used up")
        await w.opend.push(3011, bodies.ticker_push(*TENCENT))
        assert await client.nothing_comes()


async def test_a_later_client_gets_the_last_known_push_at_once_and_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b, c = await w.client(), await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT], [QUOTE]))
        await w.opend.push(3005, bodies.quote_push(TENCENT))
        await a.receive()
        serial_no = await b.request(3001, bodies.sub([TENCENT], [QUOTE]))
        assert (await b.receive()).serial_no == serial_no
        assert (await b.receive()).body == bodies.quote_push(TENCENT)
        await ok(c, 3001, bodies.sub([TENCENT], [QUOTE], first_push=False))
        assert await c.nothing_comes()
        assert await a.nothing_comes()


async def test_sub_info_is_ours_and_the_quota_upstreams(autojump_clock: MockClock) -> None:
    answer = opend.GetSubInfoResponse(
        retType=0,
        s2c=opend.GetSubInfoS2C(
            totalUsedQuota=3, remainQuota=97, connSubInfoList=[opend.ConnSubInfo(usedQuota=3, isOwnConnData=True)]
        ),
    )
    async with world() as w:
        agree(w)
        w.opend.answers[3003] = lambda _frame: encode(answer)
        a, b = await w.client(), await w.client()
        await ok(a, 3001, bodies.sub([TENCENT, APPLE], [QUOTE]))
        await ok(b, 3001, bodies.sub([TENCENT], [TICKER]))
        mine = opend.GetSubInfoResponse.FromString((await a.call(3003, bodies.sub_info(all_conn=False))).body).s2c
        assert (mine.totalUsedQuota, mine.remainQuota) == (3, 97)
        (own,) = mine.connSubInfoList
        assert (own.isOwnConnData, own.usedQuota) == (True, 2)
        assert [(i.subType, sorted(s.code for s in i.securityList)) for i in own.subInfoList] == [
            (QUOTE, ["00700", "AAPL"])
        ]
        every = opend.GetSubInfoResponse.FromString((await a.call(3003, bodies.sub_info(all_conn=True))).body).s2c
        assert [(c.isOwnConnData, c.usedQuota) for c in every.connSubInfoList] == [(True, 2), (False, 1)]


async def test_account_pushes_go_to_those_who_named_the_account_and_upstream_gets_the_union(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        agree(w)
        a, b, c = await w.client(), await w.client(), await w.client()
        await ok(a, 2008, bodies.acc_push(1))
        await ok(b, 2008, bodies.acc_push(1, 2))
        assert _unions(w) == [{1}, {1, 2}]
        await w.opend.push(2208, bodies.order_push(1))
        await w.opend.push(2218, bodies.order_push(2))
        assert (await a.receive()).proto_id == 2208
        assert [(await b.receive()).proto_id for _ in range(2)] == [2208, 2218]
        await ok(b, 2008, bodies.acc_push(2))  # replaces the list
        await w.opend.push(2208, bodies.order_push(1))
        assert (await a.receive()).proto_id == 2208
        await trio.aclose_forcefully(b.stream)
        await trio.sleep(1)
        assert _unions(w)[-1] == {1}
        assert await a.nothing_comes()
        assert await c.nothing_comes()


async def test_a_refused_account_list_leaves_the_former_one(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 2008, bodies.acc_push(1))
        w.opend.answers[2008] = lambda _frame: ret_body(0, -1, "unknown account")
        head = opend.ResponseHead.FromString((await client.call(2008, bodies.acc_push(9))).body)
        assert (head.retType, head.retMsg) == (-1, "unknown account")
        await w.opend.push(2208, bodies.order_push(9))
        await w.opend.push(2208, bodies.order_push(1))
        assert (await client.receive()).body == bodies.order_push(1)


async def test_notify_goes_to_those_who_take_it(autojump_clock: MockClock) -> None:
    async with world() as w:
        takes, does_not = await w.client(recv_notify=True), await w.client()
        await w.opend.push(1003, bodies.response(b"\x08\x01"))
        assert (await takes.receive()).proto_id == 1003
        assert await does_not.nothing_comes()


async def test_no_push_comes_before_the_init_connect_reply_has_settled(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.connect()
        await w.opend.push(1003, bodies.response(b"\x08\x01"))
        await trio.sleep(1)
        await client.init(recv_notify=True)
        started = trio.current_time()
        await w.opend.push(1003, bodies.response(b"\x08\x02"))
        frame = await client.receive()
        assert frame.body == bodies.response(b"\x08\x02")
        assert trio.current_time() - started >= 0.04


async def test_an_indicator_result_goes_to_the_one_who_asked(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[3260] = lambda _frame: bodies.response(b"\x0a\x04calc")
        a, b = await w.client(), await w.client()
        await a.call(3260, b"\x0a\x00")
        await w.opend.push(3261, bodies.response(b"\x0a\x04calc"))
        assert (await a.receive()).proto_id == 3261
        assert await b.nothing_comes()


async def test_reminders_go_to_everybody(autojump_clock: MockClock) -> None:
    async with world() as w:
        a, b = await w.client(), await w.client()
        await w.opend.push(3019, bodies.ticker_push(*TENCENT))
        assert (await a.receive()).proto_id == (await b.receive()).proto_id == 3019


async def test_a_push_frame_is_handed_on_unchanged(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [TICKER]))
        assert w.opend.peer is not None
        await w.opend.peer.send(3011, 4242, bodies.ticker_push(*TENCENT, b"x"))
        frame: Frame = await client.receive()
        assert (frame.serial_no, frame.body, frame.sha1_matches()) == (4242, bodies.ticker_push(*TENCENT, b"x"), True)


async def test_event_contracts_are_a_namespace_of_their_own(autojump_clock: MockClock) -> None:
    contract = (101, "EC1")
    async with world() as w:
        agree(w)
        client = await w.client()
        c2s = opend.SubEventContractC2S(
            securityList=[opend.Security(market=101, code="EC1")],
            subTypeList=[BOOK, TICKER],
            isSubOrUnSub=True,
            isRegOrUnRegPush=True,
        )
        await ok(client, 3455, encode(opend.SubEventContractRequest(c2s=c2s)))
        await ok(client, 3001, bodies.unsub_all())
        await w.opend.push(3450, bodies.quote_push(contract))
        assert (await client.receive()).proto_id == 3450
        await w.opend.push(3452, bodies.quote_push((101, "OTHER"), contract))
        assert (await client.receive()).body == bodies.quote_push(contract)


def _unions(w: World) -> list[set[int]]:
    return [set(opend.SubAccPushRequest.FromString(body).c2s.accIDList) for body in w.opend.bodies(2008)]


def _unregister(security: tuple[int, str], sub_type: int) -> bytes:
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=security[0], code=security[1])],
        subTypeList=[sub_type],
        isRegOrUnReg=False,
    )
    return encode(opend.RegQotPushRequest(c2s=c2s))


async def test_an_order_reply_is_never_overtaken_by_its_push(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 2008, bodies.acc_push(1))
        for _ in range(10):
            await client.request(ProtoId.TRD_PLACE_ORDER, bodies.trade_write(client.conn_id, 1))
            request = await w.opend.requests.receive()
            await w.opend.reply(request, OK)
            await w.opend.push(2208, bodies.order_push(1))
            assert [(await client.receive()).proto_id for _ in range(2)] == [2202, 2208]


async def test_a_crash_over_one_push_costs_that_push_alone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        await ok(client, 3001, bodies.sub([TENCENT], [TICKER]))
        router = w.proxy.hub.router
        route = router.push

        def crash_over_books(lane: int, push: Push, now: float) -> object:
            if push.proto_id == 3013:
                raise RuntimeError("a bug")
            return route(lane, push, now)

        monkeypatch.setattr(router, "push", crash_over_books)
        with caplog.at_level(logging.CRITICAL, "opendmux.broadcast"):
            await w.opend.push(3013, bodies.ticker_push(*TENCENT))
            await w.opend.push(3011, bodies.ticker_push(*TENCENT))
            assert (await client.receive()).body == bodies.ticker_push(*TENCENT)
