"""Limits per 30 seconds, quote rights, program states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from opendmux.sim.rates import LIMITS, WINDOW_S, Rates
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import APPLE, BASIC, HK, TENCENT, TICKER, Client, header, playing

if TYPE_CHECKING:
    from trio.testing import MockClock

GLOBAL_STATE = opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0))


async def funds(client: Client, account: opend.TrdAcc, **c2s: Any) -> int:
    request = opend_sim.GetFundsRequest(c2s=opend_sim.GetFundsC2S(header=header(account), currency=1, **c2s))
    answer = await client.call(ProtoId.TRD_GET_FUNDS, request, opend_sim.GetFundsResponse)
    assert answer.retType == 0 or "too often" in answer.retMsg
    return answer.retType


async def test_orders_are_limited_per_account(autojump_clock: MockClock) -> None:
    async with playing(rate_limits=True) as play:
        client, other = await play.client(), await play.client()
        _, paper, paper_us = await client.accounts()
        await other.accounts()
        start = trio.current_time()
        for count in range(15):
            assert (await (client, other)[count % 2].place(paper)).retType == 0
            await trio.sleep(0.025)
        answer = await client.place(paper)
        assert (answer.retType, answer.retMsg) == (-1, "requests come too often: at most 15 in 30 s")
        assert (await client.place(paper_us, code="AAPL", secMarket=2)).retType == 0, "another account"
        await trio.sleep(start + WINDOW_S - 0.001 - trio.current_time())
        assert (await client.place(paper)).retType == -1
        await trio.sleep(0.002)
        assert (await client.place(paper)).retType == 0
        assert [violation.rule for violation in play.sim.violations] == ["rate"] * 2
        assert len(play.sim.orders) == 17


async def test_orders_need_a_gap(autojump_clock: MockClock) -> None:
    async with playing(rate_limits=True) as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        assert (await client.place(paper)).retType == 0
        assert "0.02 s must lie" in (await client.place(paper)).retMsg
        await trio.sleep(0.02)
        assert (await client.place(paper)).retType == 0


async def test_only_what_refreshes_the_cache_counts(autojump_clock: MockClock) -> None:
    async with playing(rate_limits=True) as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        assert {await funds(client, paper) for _ in range(50)} == {0}
        assert [await funds(client, paper, refreshCache=True) for _ in range(11)] == [0] * 10 + [-1]
        assert await funds(client, paper) == 0


async def test_the_limits_can_be_switched(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        assert {await funds(client, paper, refreshCache=True) for _ in range(50)} == {0}
        play.sim.world.rates_enforced = True
        assert [await funds(client, paper, refreshCache=True) for _ in range(11)] == [0] * 10 + [-1]


@pytest.mark.parametrize("proto_id", sorted(LIMITS))
def test_every_limit(proto_id: int) -> None:
    rates, limit = Rates(), LIMITS[proto_id]
    requests = {
        ProtoId.TRD_GET_FUNDS: opend_sim.GetFundsC2S,
        ProtoId.TRD_GET_POSITION_LIST: opend_sim.GetPositionListC2S,
        ProtoId.TRD_GET_ORDER_FILL_LIST: opend_sim.OrderFillListC2S,
    }
    if limit.only_refresh:
        c2s: Any = requests.get(ProtoId(proto_id), opend_sim.OrderListC2S)(refreshCache=True)
    else:
        c2s = opend_sim.RequestHistoryKLC2S() if limit.only_first_page else opend_sim.PlaceOrderC2S()
    for count in range(limit.count):
        assert rates.excess(proto_id, c2s, count * 0.5) is None
    assert rates.excess(proto_id, c2s, WINDOW_S) is not None
    assert rates.excess(proto_id, c2s, WINDOW_S + 0.01) is None
    if limit.only_first_page:
        c2s.nextReqKey = b"x"
        assert rates.excess(proto_id, c2s, WINDOW_S + 0.01) is None


async def test_a_lost_right(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(recvNotify=True)
        await client.subscribe([TENCENT], [BASIC])
        play.sim.set_lost_rights([HK])
        rights = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c
        assert (rights.type, rights.qotRight.hkQotRight, rights.qotRight.usQotRight) == (4, 1, 3)
        assert rights.qotRight.hkFutureQotRight == 3
        answer = await client.subscribe([TENCENT, APPLE], [TICKER])
        assert (answer.retType, answer.retMsg) == (-1, "no quote right for market 1")
        assert (await client.subscribe([APPLE], [TICKER])).retType == 0
        request = opend.GetUserInfoRequest(c2s=opend.GetUserInfoC2S(flag=0))
        info = (await client.call(ProtoId.GET_USER_INFO, request, opend.GetUserInfoResponse)).s2c
        assert (info.hkQotRight, info.usQotRight, info.hasUSOptionQotRight) == (1, 3, True)
        play.sim.set_lost_rights([])
        assert (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c.qotRight.hkQotRight == 3
        assert (await client.subscribe([TENCENT], [TICKER])).retType == 0


async def test_a_kick_freezes_the_feed_for_a_while(autojump_clock: MockClock) -> None:
    async with playing(keep_alive_timeout_s=None) as play:
        client = await play.client(recvNotify=True)
        await client.subscribe([TENCENT], [BASIC])
        await client.drain(2)
        play.sim.kick(20)
        rights = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c.qotRight
        assert {rights.hkQotRight, rights.usQotRight, rights.ecQotRight} == {1}
        assert not rights.hasUSOptionQotRight
        assert (await client.subscribe([APPLE], [BASIC])).retType == -1
        assert await client.drain(19) == []
        frames = await client.drain(3)
        assert frames[0].proto_id == ProtoId.NOTIFY
        assert frames[1].proto_id == ProtoId.QOT_UPDATE_BASIC_QOT
        play.sim.kick(5)
        play.sim.kick()
        assert {frame.proto_id for frame in await client.drain(20)} == {ProtoId.NOTIFY}, "for good, this time"
        play.sim.kick(0)
        assert ProtoId.QOT_UPDATE_BASIC_QOT in {frame.proto_id for frame in await client.drain(3)}


async def test_program_states(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(recvNotify=True)
        play.sim.set_program_status(4, "a code was sent")
        push = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c
        assert (push.type, push.programStatus.programStatus.type) == (2, 4)
        assert push.programStatus.programStatus.strExtDesc == "a code was sent"
        play.sim.notify_event(11, "NeedPhoneVerifyCode")
        push = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c
        assert (push.type, push.event.eventType, push.event.desc) == (1, 11, "NeedPhoneVerifyCode")
        play.sim.notify_connect_status(qot_logined=False, trd_logined=True)
        assert (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c.type == 3
        state = (await client.call(ProtoId.GET_GLOBAL_STATE, GLOBAL_STATE, opend.GetGlobalStateResponse)).s2c
        assert (state.programStatus.type, state.programStatus.strExtDesc) == (4, "a code was sent")
        assert (state.qotLogined, state.trdLogined) == (False, False), "who waits for a code has no login"
        play.sim.set_program_status(10)
        state = (await client.call(ProtoId.GET_GLOBAL_STATE, GLOBAL_STATE, opend.GetGlobalStateResponse)).s2c
        assert (state.qotLogined, state.trdLogined) == (False, True)


async def test_quotas_are_told(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(recvNotify=True)
        play.sim.set_quota(50, 7)
        told = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c
        assert (told.type, told.apiQuota.subQuota, told.apiQuota.historyKLQuota) == (6, 50, 7)
        play.sim.notify_used_quota(49, 6)
        told = (await client.push(ProtoId.NOTIFY, opend.NotifyResponse)).s2c
        assert (told.type, told.usedQuota.usedSubQuota, told.usedQuota.usedKLineQuota) == (7, 49, 6)
        request = opend.GetUserInfoRequest(c2s=opend.GetUserInfoC2S(flag=2))
        info = (await client.call(ProtoId.GET_USER_INFO, request, opend.GetUserInfoResponse)).s2c
        assert (info.subQuota, info.historyKLQuota) == (50, 7)
