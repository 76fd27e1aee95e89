"""Market data as OpenD's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend, opend_sim

from .candles import trading_minutes
from .market import DEPTH, BookLevel, Stock, Tick
from .numbers import PRICE_UNIT, SecurityType
from .venues import DAY_S, MINUTES_PER_DAY, date_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .history import Bar
    from .securities import SecKey

__all__ = [
    "PUSH_CACHE",
    "PUSH_REALTIME",
    "basic_qot",
    "broker_queue",
    "klines",
    "order_book",
    "security",
    "static_info",
    "tickers",
    "time_shares",
    "today_shares",
]

PUSH_REALTIME = 1
PUSH_CACHE = 3
"""pushDataType of a tick."""

_NORMAL = 1
"""SecurityStatus of everything that trades."""


def security(key: SecKey) -> opend.Security:
    market, code = key
    return opend.Security(market=market, code=code)


def basic_qot(stock: Stock) -> opend_sim.BasicQot:
    """One quote."""
    what = stock.security
    updated = what.venue.local(stock.updated)
    quote = opend_sim.BasicQot(
        security=security(what.key),
        isSuspended=False,
        listTime=date_text(what.list_day * DAY_S),
        priceSpread=what.tick / PRICE_UNIT,
        updateTime=time_text(updated),
        highPrice=stock.high / PRICE_UNIT,
        openPrice=stock.open / PRICE_UNIT,
        lowPrice=stock.low / PRICE_UNIT,
        curPrice=stock.price / PRICE_UNIT,
        lastClosePrice=stock.last_close / PRICE_UNIT,
        volume=stock.volume,
        turnover=stock.turnover / PRICE_UNIT,
        turnoverRate=turnover_rate(stock, stock.volume),
        amplitude=amplitude(stock),
        darkStatus=0,
        listTimestamp=float(what.venue.utc(what.list_day * DAY_S)),
        updateTimestamp=stock.updated,
        secStatus=_NORMAL,
        name=what.name,
        hpVolume=float(stock.volume),
    )
    if what.sec_type == SecurityType.FUTURE:
        quote.futureExData.lastSettlePrice = stock.last_close / PRICE_UNIT
        quote.futureExData.position = what.shares // 10_000
        quote.futureExData.positionChange = what.shares // 1_000_000
        quote.futureExData.expiryDateDistance = 30
    if what.option is not None:
        extra = quote.optionExData
        extra.strikePrice = what.option.strike / PRICE_UNIT
        extra.contractSize = 100
        extra.contractSizeFloat = 100.0
        extra.openInterest = what.shares // 1_000_000
        extra.impliedVolatility = 30.0
        extra.premium = 5.0
        extra.delta = 0.5 if what.option.option_type == 1 else -0.5
        extra.gamma, extra.vega, extra.theta, extra.rho = 0.02, 0.1, -0.05, 0.04
        extra.expiryDateDistance = what.option.expiry_day - stock.day
        extra.optionAreaType = 1
    return quote


def turnover_rate(stock: Stock, volume: int) -> float:
    """Percent of all shares."""
    return volume * 100 / stock.security.shares


def amplitude(stock: Stock) -> float:
    """Percent of the last close."""
    return (stock.high - stock.low) * 100 / stock.last_close


def order_book(stock: Stock, num: int, book_type: int) -> opend_sim.OrderBookS2C:
    """Up to ``num`` levels a side. The odd-lot book (type 1) shows the same prices in sizes below a lot."""
    what = stock.security
    asks, bids = stock.book()
    local = what.venue.local(stock.updated)
    message = opend_sim.OrderBookS2C(
        security=security(what.key),
        svrRecvTimeBid=time_text(local),
        svrRecvTimeBidTimestamp=stock.updated,
        svrRecvTimeAsk=time_text(local),
        svrRecvTimeAskTimestamp=stock.updated,
        name=what.name,
        orderBookType=book_type,
    )
    depth = max(0, min(num, DEPTH))
    divisor = what.lot + 1 if book_type else 1
    message.orderBookAskList.extend(_level(level, divisor) for level in asks[:depth])
    message.orderBookBidList.extend(_level(level, divisor) for level in bids[:depth])
    return message


def _level(level: BookLevel, divisor: int) -> opend_sim.OrderBookLevel:
    volume = max(1, level.volume // divisor)
    return opend_sim.OrderBookLevel(
        price=level.price / PRICE_UNIT, volume=volume, orederCount=level.orders, hpVolume=float(volume)
    )


def tickers(stock: Stock, ticks: Iterable[Tick], push_type: int) -> opend_sim.TickerS2C:
    what = stock.security
    message = opend_sim.TickerS2C(security=security(what.key), name=what.name)
    for tick in ticks:
        message.tickerList.add(
            time=time_text(what.venue.local(tick.time)),
            sequence=tick.sequence,
            dir=tick.direction,
            price=tick.price / PRICE_UNIT,
            volume=tick.volume,
            turnover=tick.price * tick.volume / PRICE_UNIT,
            recvTime=tick.time,
            type=1,
            typeSign=0,
            pushDataType=push_type,
            timestamp=tick.time,
            hpVolume=float(tick.volume),
        )
    return message


def time_shares(stock: Stock, bars: Iterable[Bar]) -> opend_sim.RTS2C:
    """One point a minute. ``bars`` must begin with the day's first when their average is to be the day's."""
    what = stock.security
    message = opend_sim.RTS2C(security=security(what.key), name=what.name)
    volume = turnover = 0
    for bar in bars:
        volume += bar.volume
        turnover += bar.turnover
        message.rtList.add(
            time=time_text(bar.time),
            minute=bar.time // 60 % MINUTES_PER_DAY,
            isBlank=False,
            price=bar.close / PRICE_UNIT,
            lastClosePrice=stock.last_close / PRICE_UNIT,
            avgPrice=turnover / volume / PRICE_UNIT if volume else bar.close / PRICE_UNIT,
            volume=bar.volume,
            turnover=bar.turnover / PRICE_UNIT,
            timestamp=float(what.venue.utc(bar.time)),
            hpVolume=float(bar.volume),
        )
    return message


def today_shares(stock: Stock, now: float) -> opend_sim.RTS2C:
    """The whole time share of today."""
    return time_shares(stock, trading_minutes(stock, now))


def klines(stock: Stock, bars: Iterable[Bar]) -> Iterable[opend_sim.KLine]:
    venue, shares = stock.security.venue, stock.security.shares
    for bar in bars:
        yield opend_sim.KLine(
            time=time_text(bar.time),
            isBlank=False,
            highPrice=bar.high / PRICE_UNIT,
            openPrice=bar.open / PRICE_UNIT,
            lowPrice=bar.low / PRICE_UNIT,
            closePrice=bar.close / PRICE_UNIT,
            lastClosePrice=bar.last_close / PRICE_UNIT,
            volume=bar.volume,
            turnover=bar.turnover / PRICE_UNIT,
            turnoverRate=bar.volume / shares,
            pe=bar.close / earnings_per_share(stock) / PRICE_UNIT,
            changeRate=(bar.close - bar.last_close) * 100 / bar.last_close,
            timestamp=float(venue.utc(bar.time)),
            hpVolume=float(bar.volume),
        )


def earnings_per_share(stock: Stock) -> float:
    """A P/E of 18 at the base price."""
    return stock.security.base_price / PRICE_UNIT / 18


def broker_queue(stock: Stock) -> opend_sim.BrokerS2C:
    what = stock.security
    message = opend_sim.BrokerS2C(security=security(what.key), name=what.name)
    for side, brokers in ((2, message.brokerAskList), (1, message.brokerBidList)):
        for broker_id, level in stock.queue(side):
            brokers.add(id=broker_id, name=f"Broker {broker_id}", pos=level)
    return message


def static_info(stock: Stock) -> opend_sim.SecurityStaticInfo:
    what = stock.security
    info = opend_sim.SecurityStaticInfo()
    info.basic.security.CopyFrom(security(what.key))
    info.basic.id = what.stock_id
    info.basic.lotSize = what.lot
    info.basic.secType = what.sec_type
    info.basic.name = what.name
    info.basic.listTime = date_text(what.list_day * DAY_S)
    info.basic.delisting = False
    info.basic.listTimestamp = float(what.venue.utc(what.list_day * DAY_S))
    info.basic.exchType = what.exch_type
    if what.option is not None:
        extra, expiry = info.optionExData, what.option.expiry_day * DAY_S
        extra.type = what.option.option_type
        extra.owner.CopyFrom(security(what.option.owner))
        extra.strikeTime = date_text(expiry)
        extra.strikePrice = what.option.strike / PRICE_UNIT
        extra.suspend = False
        extra.market = what.venue.prefix
        extra.strikeTimestamp = float(what.venue.utc(expiry))
    if what.sec_type == SecurityType.FUTURE:
        info.futureExData.lastTradeTime = ""
        info.futureExData.isMainContract = what.key[1].endswith("main")
    return info
