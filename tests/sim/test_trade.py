"""Accounts, unlock, orders and their pushes over the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import BASIC, TENCENT, Client, header, playing, security

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from trio.testing import MockClock

SUBMITTED, FILLED_ALL, CANCELLED_ALL = 5, 11, 15


async def orders(client: Client, account: opend.TrdAcc, **c2s: Any) -> list[opend_sim.Order]:
    request = opend_sim.OrderListRequest(c2s=opend_sim.OrderListC2S(header=header(account), **c2s))
    answer = await client.call(ProtoId.TRD_GET_ORDER_LIST, request, opend_sim.OrderListResponse)
    assert answer.retType == 0
    return list(answer.s2c.orderList)


async def positions(client: Client, account: opend.TrdAcc, **c2s: Any) -> list[opend_sim.Position]:
    request = opend_sim.GetPositionListRequest(c2s=opend_sim.GetPositionListC2S(header=header(account), **c2s))
    answer = await client.call(ProtoId.TRD_GET_POSITION_LIST, request, opend_sim.GetPositionListResponse)
    assert answer.retType == 0
    return list(answer.s2c.positionList)


async def funds(client: Client, account: opend.TrdAcc, currency: int = 1) -> opend_sim.GetFundsResponse:
    request = opend_sim.GetFundsRequest(c2s=opend_sim.GetFundsC2S(header=header(account), currency=currency))
    return await client.call(ProtoId.TRD_GET_FUNDS, request, opend_sim.GetFundsResponse)


async def bid(client: Client) -> float:
    """The best bid of HK.00700."""
    request = opend_sim.SecuritiesRequest(c2s={"securityList": [security(TENCENT)]})
    answer = await client.call(ProtoId.QOT_GET_SECURITY_SNAPSHOT, request, opend_sim.GetSecuritySnapshotResponse)
    return answer.s2c.snapshotList[0].basic.bidPrice


async def test_the_accounts(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real, paper_hk, paper_us = await client.accounts()
        assert (real.trdEnv, real.accType, real.securityFirm) == (1, 2, 1)
        assert list(real.trdMarketAuthList) == [1, 2, 4]
        assert real.accID > 2**53
        assert [(acc.trdEnv, acc.simAccType, list(acc.trdMarketAuthList)) for acc in (paper_hk, paper_us)] == [
            (0, 1, [1]),
            (0, 1, [2]),
        ]

        async def listed(**c2s: Any) -> int:
            request = opend.GetAccListRequest(c2s=opend.GetAccListC2S(userID=0, **c2s))
            answer = await client.call(ProtoId.TRD_GET_ACC_LIST, request, opend.GetAccListResponse)
            return len(answer.s2c.accList)

        assert await listed() == 2, "the universal account only for those who ask for it"
        assert await listed(trdCategory=1, needGeneralSecAccount=True) == 3
        assert await listed(trdCategory=2, needGeneralSecAccount=True) == 0


async def test_orders_need_the_account_list_and_real_ones_the_password(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        real, paper, _ = await other.accounts()
        assert "2001" in (await client.place(paper)).retMsg
        await client.accounts()
        assert (await client.place(paper)).retType == 0
        assert "locked" in (await client.place(real)).retMsg
        assert "password" in (await client.unlock("f" * 32)).retMsg
        assert "locked" in (await client.place(real)).retMsg
        assert (await other.unlock()).retType == 0
        assert (await client.place(real)).retType == 0, "one connection unlocks for all"
        assert (await client.unlock(unlock=False, pwd_md5="")).retType == 0
        assert "locked" in (await other.place(real)).retMsg
        assert len(play.sim.orders) == 2


async def test_the_password_can_be_chosen(autojump_clock: MockClock) -> None:
    async with playing(unlock_pwd_md5="a" * 32) as play:
        client = await play.client()
        assert (await client.unlock()).retType == -1
        assert (await client.unlock("A" * 32)).retType == 0


async def test_a_filled_order_moves_cash_and_position_and_is_pushed(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real = (await client.accounts())[0]
        await client.unlock()
        await client.listen_to(real.accID)
        before = (await funds(client, real)).s2c.funds
        placed = await client.place(real, remark="mine")
        assert placed.s2c.header == header(real)
        updates = [await client.push(ProtoId.TRD_UPDATE_ORDER, opend_sim.UpdateOrderResponse) for _ in range(2)]
        assert [update.s2c.order.orderStatus for update in updates] == [SUBMITTED, FILLED_ALL]
        deal = await client.push(ProtoId.TRD_UPDATE_ORDER_FILL, opend_sim.UpdateOrderFillResponse)
        assert deal.s2c.header.accID == real.accID
        assert deal.s2c.orderFill.orderIDEx == placed.s2c.orderIDEx
        price = deal.s2c.orderFill.price
        order = (await orders(client, real, filterConditions={"orderIDExList": [placed.s2c.orderIDEx]}))[0]
        assert (order.orderStatus, order.fillQty, order.fillAvgPrice, order.remark) == (FILLED_ALL, 100, price, "mine")
        assert order == updates[1].s2c.order
        position = (await positions(client, real))[0]
        assert (position.code, position.qty, position.canSellQty, position.secMarket) == ("00700", 100, 100, 1)
        assert position.averageCostPrice == price
        after = (await funds(client, real)).s2c.funds
        assert after.cash == pytest.approx(before.cash - 100 * price)
        assert after.marketVal == pytest.approx(position.val)
        assert after.totalAssets == pytest.approx(after.cash + after.marketVal)
        request = opend_sim.OrderFillListRequest(c2s={"header": header(real)})
        fills = await client.call(ProtoId.TRD_GET_ORDER_FILL_LIST, request, opend_sim.OrderFillListResponse)
        assert list(fills.s2c.orderFillList) == [deal.s2c.orderFill]


async def test_paper_accounts_get_no_deals(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        await client.listen_to(paper.accID)
        await client.place(paper)
        frames = await client.drain(2)
        assert {frame.proto_id for frame in frames} == {ProtoId.TRD_UPDATE_ORDER}
        assert (await positions(client, paper))[0].qty == 100
        request = opend_sim.OrderFillListRequest(
            c2s={"header": header(paper), "filterConditions": {"beginTime": "2020-01-01", "endTime": "2030-01-01"}}
        )
        for proto_id in (ProtoId.TRD_GET_ORDER_FILL_LIST, ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST):
            assert (await client.call(proto_id, request, opend_sim.OrderFillListResponse)).retType == -1


async def test_trade_pushes_go_to_those_whose_last_list_has_the_account(autojump_clock: MockClock) -> None:
    async with playing() as play:
        trader, listener, deaf = await play.client(), await play.client(), await play.client()
        paper, paper_us = (await trader.accounts())[1:]
        assert (await listener.listen_to(paper.accID, paper_us.accID)).retType == 0
        assert (await deaf.listen_to(paper.accID)).retType == 0
        assert (await deaf.listen_to()).retType == 0
        assert (await deaf.listen_to(42)).retType == -1
        await trader.place(paper)
        assert len(await listener.drain(0.5)) == 2
        assert await deaf.drain(0.5) == []
        assert await trader.drain(0.5) == []


async def test_a_resting_order_fills_when_the_market_comes(autojump_clock: MockClock) -> None:
    async with playing(keep_alive_timeout_s=None) as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        await client.listen_to(paper.accID)
        placed = await client.place(paper, orderType=1, price=await bid(client))
        assert (await orders(client, paper))[0].orderStatus == SUBMITTED
        assert (await funds(client, paper)).s2c.funds.frozenCash > 0
        with trio.fail_after(600):
            while True:
                update = await client.push(ProtoId.TRD_UPDATE_ORDER, opend_sim.UpdateOrderResponse)
                if update.s2c.order.orderStatus == FILLED_ALL:
                    break
        assert update.s2c.order.orderIDEx == placed.s2c.orderIDEx
        assert (await funds(client, paper)).s2c.funds.frozenCash == 0


async def test_modify_and_cancel(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real, paper, _ = await client.accounts()
        await client.unlock()
        low = await bid(client) - 20
        placed = (await client.place(real, orderType=1, price=low, qty=200)).s2c
        assert (
            await client.modify(real, modifyOrderOp=1, orderIDEx=placed.orderIDEx, qty=300, price=low - 2)
        ).retType == 0
        order = (await orders(client, real))[0]
        assert order.qty == 300
        assert order.price == pytest.approx(low - 2)
        for wrong in (
            {"modifyOrderOp": 2, "orderIDEx": "nobody"},
            {"modifyOrderOp": 2, "orderID": 7},
            {"modifyOrderOp": 3, "orderIDEx": placed.orderIDEx},
            {"modifyOrderOp": 1, "orderIDEx": placed.orderIDEx, "qty": 0, "price": low},
        ):
            assert (await client.modify(real, **wrong)).retType == -1
        assert (await client.modify(paper, modifyOrderOp=2, orderIDEx=placed.orderIDEx)).retType == -1
        cancelled = await client.modify(real, modifyOrderOp=2, orderID=placed.orderID)
        assert cancelled.s2c.orderIDEx == placed.orderIDEx
        assert (await orders(client, real))[0].orderStatus == CANCELLED_ALL
        again = await client.modify(real, modifyOrderOp=2, orderIDEx=placed.orderIDEx)
        assert "CANCELLED_ALL" in again.retMsg


async def test_cancel_all_for_real_accounts_only(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real, paper, _ = await client.accounts()
        await client.unlock()
        low = await bid(client) - 20
        for _ in range(3):
            await client.place(real, orderType=1, price=low)
        await client.place(real, orderType=1, price=1.0, qty=1, code="AAPL", secMarket=2)
        assert (await client.modify(real, modifyOrderOp=2, forAll=True, trdMarket=1)).retType == 0
        assert [order.orderStatus for order in await orders(client, real)] == [CANCELLED_ALL] * 3 + [SUBMITTED]
        assert (await client.modify(real, modifyOrderOp=1, forAll=True)).retType == -1
        assert (await client.modify(real, modifyOrderOp=2, forAll=True)).retType == 0
        assert (await orders(client, real))[3].orderStatus == CANCELLED_ALL
        assert "paper" in (await client.modify(paper, modifyOrderOp=2, forAll=True)).retMsg


async def test_lists_are_filtered(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real = (await client.accounts())[0]
        await client.unlock()
        await client.place(real)
        await client.place(real, code="AAPL", secMarket=2, qty=3)
        resting = (await client.place(real, orderType=1, price=await bid(client) - 20)).s2c
        assert [order.code for order in await orders(client, real)] == ["00700", "AAPL", "00700"]
        assert len(await orders(client, real, filterConditions={"codeList": ["AAPL"]})) == 1
        assert len(await orders(client, real, filterConditions={"filterMarket": 1})) == 2
        assert len(await orders(client, real, filterConditions={"idList": [resting.orderID]})) == 1
        assert len(await orders(client, real, filterStatusList=[SUBMITTED])) == 1
        yesterday_in_new_york = await orders(client, real, filterConditions={"endTime": "2026-01-04"})
        assert [order.code for order in yesterday_in_new_york] == ["AAPL"]
        assert len(await orders(client, real, filterConditions={"beginTime": "2026-01-05 10:30:00"})) == 2
        assert [position.code for position in await positions(client, real)] == ["00700", "AAPL"]
        assert len(await positions(client, real, filterConditions={"filterMarket": 2})) == 1
        assert len(await positions(client, real, filterPLRatioMin=0.5)) == 0
        assert len(await positions(client, real, filterPLRatioMax=0.5)) == 2

        async def history(proto_id: int, response: type[Message], **wanted: str) -> Any:
            request = opend_sim.OrderListRequest(c2s={"header": header(real), "filterConditions": wanted})
            return await client.call(proto_id, request, response)

        days = {"beginTime": "2026-01-05", "endTime": "2026-01-05"}
        past = await history(ProtoId.TRD_GET_HISTORY_ORDER_LIST, opend_sim.OrderListResponse, **days)
        assert [order.orderStatus for order in past.s2c.orderList] == [FILLED_ALL]
        fills = await history(ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST, opend_sim.OrderFillListResponse, **days)
        assert {fill.code for fill in fills.s2c.orderFillList} == {"00700"}
        for wanted in ({}, {"beginTime": "x", "endTime": "2026-01-05"}):
            for proto_id in (ProtoId.TRD_GET_HISTORY_ORDER_LIST, ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST):
                assert (await history(proto_id, opend_sim.OrderListResponse, **wanted)).retType == -1


async def test_funds_and_headers_are_checked(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        real, paper_hk, paper_us = await client.accounts()
        assert (await funds(client, real, currency=0)).retType == -1
        hkd, usd = (await funds(client, real, 1)).s2c.funds, (await funds(client, real, 2)).s2c.funds
        assert hkd.cash == pytest.approx(usd.cash * 7.8)
        assert [(info.currency, info.cash) for info in hkd.cashInfoList] == [(1, 1e6), (2, 2e5), (3, 5e5)]
        assert (await funds(client, paper_us, currency=1)).s2c.funds.currency == 2
        paper_hk.trdEnv = 1
        assert "trdEnv" in (await funds(client, paper_hk)).retMsg
        paper_hk.accID = 5
        assert "unknown account" in (await funds(client, paper_hk)).retMsg


async def test_max_quantities(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        price = await bid(client)
        request = opend_sim.GetMaxTrdQtysRequest(
            c2s={"header": header(paper), "orderType": 1, "code": "00700", "price": price, "secMarket": 1}
        )
        answer = await client.call(ProtoId.TRD_GET_MAX_TRD_QTYS, request, opend_sim.GetMaxTrdQtysResponse)
        assert answer.s2c.maxTrdQtys.maxCashBuy == int(1e6 / price / 100) * 100
        assert answer.s2c.maxTrdQtys.maxPositionSell == 0
        too_much = await client.place(paper, orderType=1, price=price, qty=answer.s2c.maxTrdQtys.maxCashBuy + 100)
        assert "insufficient buying power" in too_much.retMsg


@pytest.mark.parametrize(
    ("c2s", "text"),
    [
        ({"secMarket": 0, "code": "00700"}, ""),
        ({"secMarket": 77}, "secMarket 77"),
        ({"trdSide": 0}, "trdSide"),
        ({"orderType": 0}, "orderType"),
    ],
)
async def test_the_market_of_an_order(autojump_clock: MockClock, c2s: dict[str, Any], text: str) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.place((await client.accounts())[1], **c2s)
        assert text in answer.retMsg
        assert (answer.retType == 0) == (not text)


async def test_orders_move_the_market_without_subscribers(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        paper = (await client.accounts())[1]
        await client.place(paper, orderType=1, price=await bid(client) - 30)
        steps = play.sim.world.market.stock(TENCENT, play.sim.world.now).steps
        await trio.sleep(10)
        assert play.sim.world.market.stock(TENCENT, play.sim.world.now).steps >= steps + 10
        await client.subscribe([TENCENT], [BASIC])
        assert len(await client.drain(5)) >= 5
