"""Qot_GetSecuritySnapshot: the long form of a quote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend_sim

from .numbers import PRICE_UNIT, SecurityType
from .quote_messages import amplitude, basic_qot, earnings_per_share, security, turnover_rate
from .venues import DAY_S, date_text, time_text

if TYPE_CHECKING:
    from .market import Stock

__all__ = ["snapshot"]


def snapshot(stock: Stock) -> opend_sim.Snapshot:
    """One snapshot with the block of its security type."""
    message = opend_sim.Snapshot()
    _basic(stock, message.basic)
    sec_type = stock.security.sec_type
    if sec_type == SecurityType.EQUITY:
        _equity(stock, message.equityExData)
    elif sec_type == SecurityType.INDEX:
        data = message.indexExData
        data.raiseCount, data.fallCount, data.equalCount = 30, 15, 5
    elif sec_type == SecurityType.FUTURE:
        quote = basic_qot(stock).futureExData
        future = message.futureExData
        future.lastSettlePrice = quote.lastSettlePrice
        future.position = quote.position
        future.positionChange = quote.positionChange
        future.lastTradeTime = ""
        future.isMainContract = stock.security.key[1].endswith("main")
    elif stock.security.option is not None:
        _option(stock, message.optionExData)
    return message


def _basic(stock: Stock, basic: opend_sim.SnapshotBasicData) -> None:
    what = stock.security
    asks, bids = stock.book()
    basic.security.CopyFrom(security(what.key))
    basic.type = what.sec_type
    basic.isSuspend = False
    basic.listTime = date_text(what.list_day * DAY_S)
    basic.lotSize = what.lot
    basic.priceSpread = what.tick / PRICE_UNIT
    basic.updateTime = time_text(what.venue.local(stock.updated))
    basic.highPrice = stock.high / PRICE_UNIT
    basic.openPrice = stock.open / PRICE_UNIT
    basic.lowPrice = stock.low / PRICE_UNIT
    basic.lastClosePrice = stock.last_close / PRICE_UNIT
    basic.curPrice = stock.price / PRICE_UNIT
    basic.volume = stock.volume
    basic.turnover = stock.turnover / PRICE_UNIT
    basic.turnoverRate = turnover_rate(stock, stock.volume)
    basic.listTimestamp = float(what.venue.utc(what.list_day * DAY_S))
    basic.updateTimestamp = stock.updated
    ask_volume = asks[0].volume if asks else 0
    bid_volume = bids[0].volume if bids else 0
    basic.askPrice = asks[0].price / PRICE_UNIT if asks else 0.0
    basic.bidPrice = bids[0].price / PRICE_UNIT if bids else 0.0
    basic.askVol, basic.hpAskVol = ask_volume, float(ask_volume)
    basic.bidVol, basic.hpBidVol = bid_volume, float(bid_volume)
    basic.enableMargin = False
    basic.enableShortSell = False
    basic.amplitude = amplitude(stock)
    basic.avgPrice = stock.turnover / stock.volume / PRICE_UNIT if stock.volume else stock.price / PRICE_UNIT
    basic.bidAskRatio = (bid_volume - ask_volume) * 100 / (bid_volume + ask_volume) if bid_volume + ask_volume else 0.0
    basic.volumeRatio = 1.0
    highest, lowest = _range(stock, 365)
    basic.highest52WeeksPrice = basic.highestHistoryPrice = highest / PRICE_UNIT
    basic.lowest52WeeksPrice = basic.lowestHistoryPrice = lowest / PRICE_UNIT
    basic.secStatus = 1
    basic.closePrice5Minute = stock.price / PRICE_UNIT
    basic.name = what.name
    basic.hpVolume = float(stock.volume)


def _range(stock: Stock, days: int) -> tuple[int, int]:
    """Highest and lowest close of the last days, today's extremes included; looked at every ten days only."""
    venue = stock.security.venue
    closes = [
        stock.history.close(day if venue.trades_on(day) else venue.day_before(day))
        for day in range(max(stock.security.list_day, stock.day - days), stock.day, 10)
    ]
    return max(stock.high, *closes), min(stock.low, *closes)


def _equity(stock: Stock, equity: opend_sim.EquitySnapshotExData) -> None:
    shares, price, earnings = stock.security.shares, stock.price / PRICE_UNIT, earnings_per_share(stock)
    equity.issuedShares = equity.outstandingShares = shares
    equity.issuedMarketVal = equity.outstandingMarketVal = shares * price
    equity.netAsset = shares * earnings * 9
    equity.netProfit = shares * earnings
    equity.earningsPershare = earnings
    equity.netAssetPershare = earnings * 9
    equity.eyRate = earnings * 100 / price
    equity.peRate = equity.peTTMRate = price / earnings
    equity.pbRate = price / (earnings * 9)
    equity.dividendTTM = equity.dividendLFY = earnings * 0.3
    equity.dividendRatioTTM = equity.dividendLFYRatio = earnings * 30 / price


def _option(stock: Stock, option: opend_sim.OptionSnapshotExData) -> None:
    terms, quote = stock.security.option, basic_qot(stock).optionExData
    assert terms is not None
    option.type = terms.option_type
    option.owner.CopyFrom(security(terms.owner))
    option.strikeTime = date_text(terms.expiry_day * DAY_S)
    option.strikePrice = quote.strikePrice
    option.contractSize, option.contractSizeFloat = quote.contractSize, quote.contractSizeFloat
    option.openInterest = quote.openInterest
    option.impliedVolatility, option.premium = quote.impliedVolatility, quote.premium
    option.delta, option.gamma, option.vega = quote.delta, quote.gamma, quote.vega
    option.theta, option.rho = quote.theta, quote.rho
    option.expiryDateDistance = quote.expiryDateDistance
    option.optionAreaType = quote.optionAreaType
