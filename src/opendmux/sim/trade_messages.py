"""Orders, fills, funds and positions as OpenD's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend, opend_sim

from .accounts import SEC_MARKET, Account, Position, convert, trd_market_of
from .numbers import PRICE_UNIT, Currency, QotMarket
from .venues import Venue, time_text

if TYPE_CHECKING:
    from .broker import Fill, Order
    from .market import Stock

__all__ = ["acc", "fill_message", "funds", "header_of", "order_message", "position_message"]


def header_of(order: Order) -> opend.TrdHeader:
    """The header of a push about an order."""
    return opend.TrdHeader(
        trdEnv=order.trd_env, accID=order.acc_id, trdMarket=trd_market_of(order.security.key, order.trd_env)
    )


def acc(account: Account) -> opend.TrdAcc:
    message = opend.TrdAcc(
        trdEnv=account.trd_env,
        accID=account.acc_id,
        trdMarketAuthList=account.markets,
        accType=account.acc_type,
        accStatus=0,
        accRole=1,
    )
    if account.security_firm:
        message.securityFirm = account.security_firm
    if account.sim_acc_type:
        message.simAccType = account.sim_acc_type
    if account.card_num:
        message.cardNum = account.card_num
        message.uniCardNum = account.card_num
    return message


def order_message(order: Order) -> opend_sim.Order:
    security = order.security
    return opend_sim.Order(
        trdSide=order.side,
        orderType=order.order_type,
        orderStatus=order.status,
        orderID=order.order_id,
        orderIDEx=order.order_id_ex,
        code=security.key[1],
        name=security.name,
        qty=float(order.qty),
        price=0.0 if order.is_market else order.limit / PRICE_UNIT,
        createTime=_time(security.venue, order.created),
        updateTime=_time(security.venue, order.updated),
        fillQty=float(order.filled),
        fillAvgPrice=order.filled_value / order.filled / PRICE_UNIT if order.filled else 0.0,
        lastErrMsg="",
        secMarket=SEC_MARKET[security.key[0]],
        createTimestamp=order.created,
        updateTimestamp=order.updated,
        remark=order.remark,
        timeInForce=order.time_in_force,
        fillOutsideRTH=order.fill_outside_rth,
        currency=security.venue.currency,
        trdMarket=trd_market_of(security.key, order.trd_env),
        session=order.session,
    )


def fill_message(fill: Fill) -> opend_sim.OrderFill:
    order, security = fill.order, fill.order.security
    message = opend_sim.OrderFill(
        trdSide=order.side,
        fillID=fill.fill_id,
        fillIDEx=f"F{fill.fill_id:X}",
        orderID=order.order_id,
        orderIDEx=order.order_id_ex,
        code=security.key[1],
        name=security.name,
        qty=float(fill.qty),
        price=fill.price / PRICE_UNIT,
        createTime=_time(security.venue, fill.time),
        secMarket=SEC_MARKET[security.key[0]],
        createTimestamp=fill.time,
        updateTimestamp=fill.time,
        status=0,
        trdMarket=trd_market_of(security.key, order.trd_env),
    )
    if security.key[0] == QotMarket.HK:
        message.counterBrokerID = fill.counter_broker
        message.counterBrokerName = f"Broker {fill.counter_broker}"
    return message


def funds(account: Account, stocks: dict[tuple[int, str], Stock], currency: Currency) -> opend_sim.Funds:
    """Totals in one currency, and the cash of each. ``stocks`` holds every security of a position."""
    cash = sum(convert(amount, of, currency) for of, amount in account.cash.items()) / PRICE_UNIT
    frozen = sum(convert(amount, of, currency) for of, amount in account.frozen.items()) / PRICE_UNIT
    values: dict[int, float] = dict.fromkeys(account.markets, 0.0)
    value = 0.0
    for key, position in account.positions.items():
        worth = position.qty * stocks[key].price / PRICE_UNIT
        values[trd_market_of(key, account.trd_env)] += worth
        value += convert(worth, position.currency, currency)
    message = opend_sim.Funds(
        power=cash - frozen,
        totalAssets=cash + value,
        cash=cash,
        marketVal=value,
        frozenCash=frozen,
        debtCash=0.0,
        avlWithdrawalCash=cash - frozen,
        currency=currency,
        netCashPower=cash - frozen,
        maxPowerShort=0.0,
        longMv=value,
        shortMv=0.0,
        pendingAsset=0.0,
        maxWithdrawal=cash - frozen,
        initialMargin=0.0,
        maintenanceMargin=0.0,
        marginCallMargin=0.0,
        riskStatus=1,
        securitiesAssets=cash + value,
        fundAssets=0.0,
        bondAssets=0.0,
    )
    for of in account.cash:
        free = account.available(of) / PRICE_UNIT
        message.cashInfoList.add(
            currency=of, cash=account.cash[of] / PRICE_UNIT, availableBalance=free, netCashPower=free
        )
    for market, worth in values.items():
        message.marketInfoList.add(trdMarket=market, assets=worth)
    return message


def position_message(account: Account, position: Position, stock: Stock) -> opend_sim.Position:
    value, cost = position.qty * stock.price, position.cost
    average = cost / position.qty / PRICE_UNIT
    diluted = (cost - position.realized) / position.qty / PRICE_UNIT
    profit = value - cost
    ratio = profit / cost if cost else 0.0
    return opend_sim.Position(
        positionID=position.position_id,
        positionSide=0,
        code=position.key[1],
        name=stock.security.name,
        qty=float(position.qty),
        canSellQty=float(position.sellable),
        price=stock.price / PRICE_UNIT,
        costPrice=diluted,
        val=value / PRICE_UNIT,
        plVal=profit / PRICE_UNIT,
        plRatio=ratio,
        secMarket=SEC_MARKET[position.key[0]],
        td_plVal=(profit + position.realized) / PRICE_UNIT,
        td_trdVal=(position.bought_value + position.sold_value) / PRICE_UNIT,
        td_buyVal=position.bought_value / PRICE_UNIT,
        td_buyQty=float(position.bought),
        td_sellVal=position.sold_value / PRICE_UNIT,
        td_sellQty=float(position.sold),
        unrealizedPL=profit / PRICE_UNIT,
        realizedPL=position.realized / PRICE_UNIT,
        currency=position.currency,
        trdMarket=trd_market_of(position.key, account.trd_env),
        dilutedCostPrice=diluted,
        averageCostPrice=average,
        averagePlRatio=ratio,
        accID=account.acc_id,
    )


def _time(venue: Venue, now: float) -> str:
    return time_text(venue.local(now))
