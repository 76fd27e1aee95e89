"""2101-2222: what accounts hold, may do, have ordered and got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend_sim
from opendmux.wire.protocols import ProtoId

from .accounts import Account, trd_market_of
from .broker import Fill, NewOrder, Order
from .handlers_trade import account_of, find_order, key_of
from .numbers import Currency, TrdEnv, TrdSide
from .refusal import Refused
from .routes import Route, Routes
from .trade_messages import fill_message, funds, order_message, position_message
from .venues import DAY_S, parse_time

if TYPE_CHECKING:
    from collections.abc import Container

    from .world import Session, World

__all__ = ["ROUTES"]


def get_funds(world: World, session: Session, c2s: opend_sim.GetFundsC2S) -> opend_sim.GetFundsS2C:
    del session
    account = account_of(world, c2s.header)
    stocks = {key: world.market.stock(key, world.now) for key in account.positions}
    return opend_sim.GetFundsS2C(header=c2s.header, funds=funds(account, stocks, _currency(account, c2s.currency)))


def get_position_list(
    world: World, session: Session, c2s: opend_sim.GetPositionListC2S
) -> opend_sim.GetPositionListS2C:
    del session
    account, wanted = account_of(world, c2s.header), c2s.filterConditions
    message = opend_sim.GetPositionListS2C(header=c2s.header)
    for key, position in account.positions.items():
        if not position.qty or not _is_in(key[1], wanted.codeList) or not _is_in(position.position_id, wanted.idList):
            continue
        if wanted.filterMarket not in {0, trd_market_of(key, account.trd_env)}:
            continue
        item = position_message(account, position, world.market.stock(key, world.now))
        if c2s.HasField("filterPLRatioMin") and item.plRatio < c2s.filterPLRatioMin:
            continue
        if c2s.HasField("filterPLRatioMax") and item.plRatio > c2s.filterPLRatioMax:
            continue
        message.positionList.append(item)
    return message


def get_max_trd_qtys(world: World, session: Session, c2s: opend_sim.GetMaxTrdQtysC2S) -> opend_sim.GetMaxTrdQtysS2C:
    del session
    account = account_of(world, c2s.header)
    key = key_of(c2s.secMarket, c2s.header.trdMarket, c2s.code)
    new = NewOrder(key, TrdSide.BUY, c2s.orderType, 1, c2s.price, c2s.adjustSideAndLimit)
    amended = find_order(world, account, c2s.orderID, c2s.orderIDEx) if c2s.orderID or c2s.orderIDEx else None
    buy, sell = world.broker.most(account, new, amended, world.now)
    most = opend_sim.MaxTrdQtys(
        maxCashBuy=float(buy), maxCashAndMarginBuy=float(buy), maxPositionSell=float(sell), maxSellShort=0, maxBuyBack=0
    )
    return opend_sim.GetMaxTrdQtysS2C(header=c2s.header, maxTrdQtys=most)


def get_order_list(world: World, session: Session, c2s: opend_sim.OrderListC2S) -> opend_sim.OrderListS2C:
    del session
    account = account_of(world, c2s.header)
    return _orders(world, account, c2s)


def get_history_order_list(world: World, session: Session, c2s: opend_sim.OrderListC2S) -> opend_sim.OrderListS2C:
    """Orders that are over."""
    del session
    account = account_of(world, c2s.header)
    _need_times(c2s.filterConditions)
    return _orders(world, account, c2s, over=True)


def get_order_fill_list(world: World, session: Session, c2s: opend_sim.OrderFillListC2S) -> opend_sim.OrderFillListS2C:
    del session
    return _fills(world, c2s)


def get_history_order_fill_list(
    world: World, session: Session, c2s: opend_sim.OrderFillListC2S
) -> opend_sim.OrderFillListS2C:
    del session
    _need_times(c2s.filterConditions)
    return _fills(world, c2s)


def _orders(
    world: World, account: Account, c2s: opend_sim.OrderListC2S, *, over: bool = False
) -> opend_sim.OrderListS2C:
    chosen = [
        order
        for order in world.broker.orders.values()
        if order.acc_id == account.acc_id
        and not (over and order.status.open)
        and _is_in(order.status, c2s.filterStatusList)
        and _fits(c2s.filterConditions, order, order.created, order.order_id)
    ]
    return opend_sim.OrderListS2C(header=c2s.header, orderList=[order_message(order) for order in chosen])


def _fills(world: World, c2s: opend_sim.OrderFillListC2S) -> opend_sim.OrderFillListS2C:
    account = account_of(world, c2s.header)
    if account.trd_env == TrdEnv.SIMULATE:
        raise Refused("paper accounts have no deals")
    chosen: list[Fill] = [
        fill
        for fill in world.broker.fills
        if fill.order.acc_id == account.acc_id and _fits(c2s.filterConditions, fill.order, fill.time, fill.fill_id)
    ]
    return opend_sim.OrderFillListS2C(header=c2s.header, orderFillList=[fill_message(fill) for fill in chosen])


def _fits(wanted: opend_sim.TrdFilterConditions, order: Order, when: float, item_id: int) -> bool:
    key = order.security.key
    if not (_is_in(key[1], wanted.codeList) and _is_in(item_id, wanted.idList)):
        return False
    if not _is_in(order.order_id_ex, wanted.orderIDExList):
        return False
    if wanted.filterMarket not in {0, trd_market_of(key, order.trd_env)}:
        return False
    local = order.security.venue.local(when)
    begin, end = _time(wanted.beginTime), _time(wanted.endTime, end=True)
    return (begin is None or local >= begin) and (end is None or local <= end)


def _is_in(value: object, wanted: Container[object]) -> bool:
    return not wanted or value in wanted


def _time(text: str, *, end: bool = False) -> int | None:
    """Local seconds of a filter's time, None when it is not given. Raises Refused when it is no time."""
    if not text:
        return None
    local = parse_time(text)
    if local is None:
        raise Refused(f"{text!r} is not a time: it must be YYYY-MM-DD or YYYY-MM-DD HH:MM:SS")
    return local + DAY_S - 1 if end and len(text.strip()) <= len("YYYY-MM-DD") else local


def _need_times(wanted: opend_sim.TrdFilterConditions) -> None:
    if _time(wanted.beginTime) is None or _time(wanted.endTime) is None:
        raise Refused("history needs beginTime and endTime")


def _currency(account: Account, wanted: int) -> Currency:
    """The currency of totals: the client's choice for an account with several, else the account's own."""
    if not account.universal:
        return next(iter(account.cash))
    try:
        return Currency(wanted)
    except ValueError:
        raise Refused(f"a universal account needs a currency from 1 to 8, not {wanted}") from None


ROUTES: Routes = {
    ProtoId.TRD_GET_FUNDS: Route(opend_sim.GetFundsRequest, opend_sim.GetFundsResponse, get_funds),
    ProtoId.TRD_GET_POSITION_LIST: Route(
        opend_sim.GetPositionListRequest, opend_sim.GetPositionListResponse, get_position_list
    ),
    ProtoId.TRD_GET_MAX_TRD_QTYS: Route(
        opend_sim.GetMaxTrdQtysRequest, opend_sim.GetMaxTrdQtysResponse, get_max_trd_qtys
    ),
    ProtoId.TRD_GET_ORDER_LIST: Route(opend_sim.OrderListRequest, opend_sim.OrderListResponse, get_order_list),
    ProtoId.TRD_GET_HISTORY_ORDER_LIST: Route(
        opend_sim.OrderListRequest, opend_sim.OrderListResponse, get_history_order_list
    ),
    ProtoId.TRD_GET_ORDER_FILL_LIST: Route(
        opend_sim.OrderFillListRequest, opend_sim.OrderFillListResponse, get_order_fill_list
    ),
    ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST: Route(
        opend_sim.OrderFillListRequest, opend_sim.OrderFillListResponse, get_history_order_fill_list
    ),
}
