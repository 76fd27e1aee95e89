"""Quote pushes: from the state of a security to frames for the connections that registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend_sim
from opendmux.wire.protocols import ProtoId

from .candles import current_bar
from .numbers import KL_TYPE_OF_SUB_TYPE, PRICE_UNIT, KLType, SubType
from .quote_messages import (
    PUSH_CACHE,
    PUSH_REALTIME,
    basic_qot,
    broker_queue,
    klines,
    order_book,
    security,
    tickers,
    time_shares,
)
from .subscriptions import REHAB_FORWARD, SubKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

    from .market import Stock
    from .securities import SecKey
    from .world import World

__all__ = ["QuotePushes", "first_push"]

_BOOK_LEVELS = 10
_CACHED_TICKS = 10
"""Ticks in the first push after a registration."""


class QuotePushes:
    """Moves securities and puts what follows from it into the world's ``outgoing``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._quotes: dict[int, list[opend_sim.BasicQot]] = {}

    def step(self, key: SecKey) -> None:
        """One move of a security: quotes to whom registered, fills for resting orders."""
        world = self._world
        stock = world.market.stock(key, world.now)
        stock.step(world.now)
        world.broker.on_step(key, world.now)
        world.publish_trades()
        if world.faults.feed_is_silent:
            return
        for sub_type, holders in world.subscriptions.by_security(key).items():
            if sub_type == SubType.BASIC and world.config.quotes_per_push > 1:
                quote = basic_qot(stock)
                for connection, subscription in holders.items():
                    if subscription.pushed:
                        self._quotes.setdefault(connection, []).append(quote)
                continue
            frames: dict[tuple[int, int], bytes] = {}
            for connection, subscription in holders.items():
                if not subscription.pushed:
                    continue
                proto_fmt = world.sessions[connection].push_fmt
                rehabs = subscription.rehab_types if sub_type in KL_TYPE_OF_SUB_TYPE else (REHAB_FORWARD,)
                for rehab in rehabs:
                    frame = frames.get((proto_fmt, rehab))
                    if frame is None:
                        proto_id, message = _message(stock, sub_type, rehab, PUSH_REALTIME)
                        frame = frames[proto_fmt, rehab] = world.push_frame(proto_id, message, proto_fmt)
                    world.send(connection, _PUSH_IDS[sub_type], frame)

    def flush(self) -> None:
        """Send the quotes that were kept back to travel together."""
        world, size = self._world, self._world.config.quotes_per_push
        for connection, quotes in self._quotes.items():
            session = world.sessions.get(connection)
            if session is None:
                continue
            for start in range(0, len(quotes), size):
                frame = world.push_frame(
                    ProtoId.QOT_UPDATE_BASIC_QOT, _quotes(quotes[start : start + size]), session.push_fmt
                )
                world.send(connection, ProtoId.QOT_UPDATE_BASIC_QOT, frame)
        self._quotes.clear()


def first_push(world: World, connection: int, pairs: Iterable[SubKey]) -> None:
    """What OpenD has in its cache, once, to a connection that has just registered."""
    session = world.sessions[connection]
    for (key, sub_type), subscription in [(pair, world.subscriptions.of(connection)[pair]) for pair in pairs]:
        stock = world.market.stock(key, world.now)
        for rehab in subscription.rehab_types if sub_type in KL_TYPE_OF_SUB_TYPE else (REHAB_FORWARD,):
            proto_id, message = _message(stock, sub_type, rehab, PUSH_CACHE)
            world.send(connection, proto_id, world.push_frame(proto_id, message, session.push_fmt))


_PUSH_IDS: dict[int, ProtoId] = {
    SubType.BASIC: ProtoId.QOT_UPDATE_BASIC_QOT,
    SubType.ORDER_BOOK: ProtoId.QOT_UPDATE_ORDER_BOOK,
    SubType.ORDER_BOOK_ODD: ProtoId.QOT_UPDATE_ORDER_BOOK,
    SubType.TICKER: ProtoId.QOT_UPDATE_TICKER,
    SubType.RT: ProtoId.QOT_UPDATE_RT,
    SubType.BROKER: ProtoId.QOT_UPDATE_BROKER,
    **dict.fromkeys(KL_TYPE_OF_SUB_TYPE, ProtoId.QOT_UPDATE_KL),
}


def _message(stock: Stock, sub_type: int, rehab: int, push_type: int) -> tuple[ProtoId, Message]:
    proto_id = _PUSH_IDS[sub_type]
    if proto_id == ProtoId.QOT_UPDATE_BASIC_QOT:
        return proto_id, _quotes([basic_qot(stock)])
    if proto_id == ProtoId.QOT_UPDATE_ORDER_BOOK:
        book_type = 1 if sub_type == SubType.ORDER_BOOK_ODD else 0
        return proto_id, opend_sim.OrderBookResponse(retType=0, s2c=order_book(stock, _BOOK_LEVELS, book_type))
    if proto_id == ProtoId.QOT_UPDATE_TICKER:
        ticks = stock.fresh if push_type == PUSH_REALTIME else list(stock.ticks)[-_CACHED_TICKS:]
        return proto_id, opend_sim.TickerResponse(retType=0, s2c=tickers(stock, ticks, push_type))
    if proto_id == ProtoId.QOT_UPDATE_RT:
        shares = time_shares(stock, [current_bar(stock, KLType.MIN_1)])
        shares.rtList[0].avgPrice = stock.turnover / stock.volume / PRICE_UNIT
        return proto_id, opend_sim.RTResponse(retType=0, s2c=shares)
    if proto_id == ProtoId.QOT_UPDATE_BROKER:
        return proto_id, opend_sim.BrokerResponse(retType=0, s2c=broker_queue(stock))
    kl_type = KL_TYPE_OF_SUB_TYPE[SubType(sub_type)]
    return proto_id, opend_sim.UpdateKLResponse(
        retType=0,
        s2c=opend_sim.UpdateKLS2C(
            rehabType=rehab,
            klType=kl_type,
            security=security(stock.security.key),
            klList=klines(stock, [current_bar(stock, kl_type)]),
            name=stock.security.name,
        ),
    )


def _quotes(quotes: list[opend_sim.BasicQot]) -> opend_sim.BasicQotResponse:
    return opend_sim.BasicQotResponse(retType=0, s2c=opend_sim.BasicQotS2C(basicQotList=quotes))
