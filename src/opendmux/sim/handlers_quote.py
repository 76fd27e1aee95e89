"""3004-3014: data of subscribed securities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .candles import recent_bars
from .numbers import KL_TYPE_OF_SUB_TYPE, KLType, SubType
from .quote_messages import (
    PUSH_CACHE,
    basic_qot,
    broker_queue,
    klines,
    order_book,
    security,
    tickers,
    today_shares,
)
from .refusal import Refused
from .routes import Route, Routes

if TYPE_CHECKING:
    from .market import Stock
    from .world import Session, World

__all__ = ["ROUTES", "kl_type_of"]

_MAX_BARS = _MAX_TICKS = 1_000
_SUB_TYPE_OF_KL_TYPE = {kl_type: sub_type for sub_type, kl_type in KL_TYPE_OF_SUB_TYPE.items()}


def get_basic_qot(world: World, session: Session, c2s: opend_sim.SecuritiesC2S) -> opend_sim.BasicQotS2C:
    stocks = [_subscribed(world, session, item, SubType.BASIC) for item in c2s.securityList]
    return opend_sim.BasicQotS2C(basicQotList=[basic_qot(stock) for stock in stocks])


def get_kl(world: World, session: Session, c2s: opend_sim.GetKLC2S) -> opend_sim.GetKLS2C:
    kl_type = kl_type_of(c2s.klType)
    if not 0 < c2s.reqNum <= _MAX_BARS:
        raise Refused(f"reqNum must be from 1 to {_MAX_BARS}")
    stock = _subscribed(world, session, c2s.security, _SUB_TYPE_OF_KL_TYPE[kl_type])
    bars = recent_bars(stock, kl_type, c2s.reqNum, world.now)
    return opend_sim.GetKLS2C(
        security=security(stock.security.key), klList=klines(stock, bars), name=stock.security.name
    )


def get_rt(world: World, session: Session, c2s: opend_sim.SecurityC2S) -> opend_sim.RTS2C:
    return today_shares(_subscribed(world, session, c2s.security, SubType.RT), world.now)


def get_ticker(world: World, session: Session, c2s: opend_sim.GetTickerC2S) -> opend_sim.TickerS2C:
    if not 0 < c2s.maxRetNum <= _MAX_TICKS:
        raise Refused(f"maxRetNum must be from 1 to {_MAX_TICKS}")
    stock = _subscribed(world, session, c2s.security, SubType.TICKER)
    return tickers(stock, list(stock.ticks)[-c2s.maxRetNum :], PUSH_CACHE)


def get_order_book(world: World, session: Session, c2s: opend_sim.GetOrderBookC2S) -> opend_sim.OrderBookS2C:
    sub_type = SubType.ORDER_BOOK_ODD if c2s.orderBookType == 1 else SubType.ORDER_BOOK
    return order_book(_subscribed(world, session, c2s.security, sub_type), c2s.num, c2s.orderBookType)


def get_broker(world: World, session: Session, c2s: opend_sim.SecurityC2S) -> opend_sim.BrokerS2C:
    return broker_queue(_subscribed(world, session, c2s.security, SubType.BROKER))


def kl_type_of(value: int) -> KLType:
    """The KLType of a request. Raises Refused."""
    try:
        return KLType(value)
    except ValueError:
        raise Refused(f"unknown klType {value}") from None


def _subscribed(world: World, session: Session, item: opend.Security, sub_type: int) -> Stock:
    stock = world.stock(item)
    world.subscriptions.need(session.number, stock.security.key, sub_type)
    return stock


ROUTES: Routes = {
    ProtoId.QOT_GET_BASIC_QOT: Route(opend_sim.SecuritiesRequest, opend_sim.BasicQotResponse, get_basic_qot),
    ProtoId.QOT_GET_KL: Route(opend_sim.GetKLRequest, opend_sim.GetKLResponse, get_kl),
    ProtoId.QOT_GET_RT: Route(opend_sim.SecurityRequest, opend_sim.RTResponse, get_rt),
    ProtoId.QOT_GET_TICKER: Route(opend_sim.GetTickerRequest, opend_sim.TickerResponse, get_ticker),
    ProtoId.QOT_GET_ORDER_BOOK: Route(opend_sim.GetOrderBookRequest, opend_sim.OrderBookResponse, get_order_book),
    ProtoId.QOT_GET_BROKER: Route(opend_sim.SecurityRequest, opend_sim.BrokerResponse, get_broker),
}
