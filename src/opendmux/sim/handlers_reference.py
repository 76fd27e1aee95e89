"""3103, 3104, 3202, 3203, 3219, 3223: data that needs no subscription."""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .candles import bars_after
from .dice import number
from .handlers_quote import kl_type_of
from .numbers import QotMarket
from .quote_messages import klines, security, static_info
from .refusal import Refused
from .routes import Route, Routes
from .securities import CATALOGUE
from .snapshot_messages import snapshot
from .venues import DAY_S, VENUES, date_text, parse_time

if TYPE_CHECKING:
    from .market import Stock
    from .world import Session, World

__all__ = ["ROUTES"]

_MAX_BARS = 1_000
_MAX_SNAPSHOTS = _MAX_STATES = 400
_MAX_TRADE_DATE_DAYS = 40 * 366
_FIELD_BITS = {
    "highPrice": 1,
    "openPrice": 2,
    "lowPrice": 4,
    "closePrice": 8,
    "lastClosePrice": 16,
    "volume": 32,
    "hpVolume": 32,
    "turnover": 64,
    "turnoverRate": 128,
    "pe": 256,
    "changeRate": 512,
}
"""KLFields"""
_TRADE_DATE_MARKETS = {
    1: QotMarket.HK,
    2: QotMarket.US,
    3: QotMarket.SH,
    4: QotMarket.SH,
    5: QotMarket.HK,
    6: QotMarket.JP,
    7: QotMarket.SG,
    8: QotMarket.SG,
    9: QotMarket.MY,
    10: QotMarket.JP,
}
"""TradeDateMarket"""
_KEY = struct.Struct("<qQ")
"""nextReqKey: local seconds of the last bar sent, and a digest of that, the request and the connection."""


def request_history_kl(
    world: World, session: Session, c2s: opend_sim.RequestHistoryKLC2S
) -> opend_sim.RequestHistoryKLS2C:
    stock, kl_type = world.stock(c2s.security), kl_type_of(c2s.klType)
    if c2s.rehabType not in {0, 1, 2}:
        raise Refused(f"unknown RehabType {c2s.rehabType}")
    begin, end = _range(c2s.beginTime, c2s.endTime)
    request = (session.number, *stock.security.key, kl_type, c2s.rehabType, c2s.beginTime, c2s.endTime)
    after = begin - 1
    if c2s.HasField("nextReqKey"):
        after, digest = _KEY.unpack(c2s.nextReqKey) if len(c2s.nextReqKey) == _KEY.size else (0, 0)
        if digest != number(world.config.seed, after, *request):
            raise Refused("nextReqKey does not belong to this request on this connection")
    world.status.history_seen.add(stock.security.key)
    count = min(c2s.maxAckKLNum, _MAX_BARS) if c2s.maxAckKLNum > 0 else _MAX_BARS
    bars = list(islice(bars_after(stock, kl_type, after, end, world.now), count + 1))
    message = opend_sim.RequestHistoryKLS2C(
        security=security(stock.security.key), klList=klines(stock, bars[:count]), name=stock.security.name
    )
    if c2s.needKLFieldsFlag:
        _keep_fields(message, c2s.needKLFieldsFlag)
    if len(bars) > count:
        last = bars[count - 1].time
        message.nextReqKey = _KEY.pack(last, number(world.config.seed, last, *request))
    return message


def request_trade_date(
    world: World, session: Session, c2s: opend_sim.RequestTradeDateC2S
) -> opend_sim.RequestTradeDateS2C:
    del session
    if c2s.HasField("security"):
        venue = world.stock(c2s.security).security.venue
    elif c2s.market in _TRADE_DATE_MARKETS:
        venue = VENUES[_TRADE_DATE_MARKETS[c2s.market]]
    else:
        raise Refused(f"unknown TradeDateMarket {c2s.market}")
    begin, end = _range(c2s.beginTime, c2s.endTime)
    if end - begin > _MAX_TRADE_DATE_DAYS * DAY_S:
        raise Refused("the range of days is too long")
    message = opend_sim.RequestTradeDateS2C()
    for day in range(begin // DAY_S, end // DAY_S + 1):
        if venue.trades_on(day):
            local = day * DAY_S
            message.tradeDateList.add(time=date_text(local), timestamp=float(venue.utc(local)), tradeDateType=0)
    return message


def get_static_info(world: World, session: Session, c2s: opend_sim.GetStaticInfoC2S) -> opend_sim.GetStaticInfoS2C:
    del session
    if c2s.securityList:
        stocks = [world.stock(item) for item in c2s.securityList]
    else:
        if c2s.market not in VENUES:
            raise Refused(f"unknown market {c2s.market}")
        for code in CATALOGUE.get(c2s.market, ()):
            world.market.stock((c2s.market, code), world.now)
        stocks = sorted(world.market.known(c2s.market), key=_code)
        stocks = [stock for stock in stocks if c2s.secType in {0, stock.security.sec_type}]
    return opend_sim.GetStaticInfoS2C(staticInfoList=[static_info(stock) for stock in stocks])


def get_security_snapshot(
    world: World, session: Session, c2s: opend_sim.SecuritiesC2S
) -> opend_sim.GetSecuritySnapshotS2C:
    del session
    if not 0 < len(c2s.securityList) <= _MAX_SNAPSHOTS:
        raise Refused(f"securityList must hold from 1 to {_MAX_SNAPSHOTS} securities")
    stocks = [world.stock(item) for item in c2s.securityList]
    return opend_sim.GetSecuritySnapshotS2C(snapshotList=[snapshot(stock) for stock in stocks])


def get_market_state(world: World, session: Session, c2s: opend_sim.SecuritiesC2S) -> opend_sim.GetMarketStateS2C:
    del session
    if not 0 < len(c2s.securityList) <= _MAX_STATES:
        raise Refused(f"securityList must hold from 1 to {_MAX_STATES} securities")
    message = opend_sim.GetMarketStateS2C()
    for item in c2s.securityList:
        what = world.stock(item).security
        message.marketInfoList.add(security=security(what.key), name=what.name, marketState=what.venue.state)
    return message


def _range(begin_text: str, end_text: str) -> tuple[int, int]:
    """Local seconds, both inclusive; an end without a time of day is the end of that day."""
    begin, end = parse_time(begin_text), parse_time(end_text)
    if begin is None or end is None:
        raise Refused("beginTime and endTime must be YYYY-MM-DD or YYYY-MM-DD HH:MM:SS")
    if len(end_text.strip()) <= len("YYYY-MM-DD"):
        end += DAY_S - 1
    if begin > end:
        raise Refused("beginTime is after endTime")
    return begin, end


def _keep_fields(message: opend_sim.RequestHistoryKLS2C, flags: int) -> None:
    dropped = [name for name, bit in _FIELD_BITS.items() if not flags & bit]
    for bar in message.klList:
        for name in dropped:
            bar.ClearField(name)


def _code(stock: Stock) -> str:
    return stock.security.key[1]


def request_history_quota(world: World, session: Session, c2s: opend.HistoryQuotaC2S) -> opend.HistoryQuotaS2C:
    del session, c2s  # the list of securities is always left out
    status = world.status
    used = len(status.history_seen) if status.history_used is None else status.history_used
    return opend.HistoryQuotaS2C(usedQuota=used, remainQuota=max(0, world.history_quota() - used))


ROUTES: Routes = {
    ProtoId.QOT_REQUEST_HISTORY_KL_QUOTA: Route(
        opend.HistoryQuotaRequest, opend.HistoryQuotaResponse, request_history_quota
    ),
    ProtoId.QOT_REQUEST_HISTORY_KL: Route(
        opend_sim.RequestHistoryKLRequest, opend_sim.RequestHistoryKLResponse, request_history_kl
    ),
    ProtoId.QOT_GET_STATIC_INFO: Route(
        opend_sim.GetStaticInfoRequest, opend_sim.GetStaticInfoResponse, get_static_info
    ),
    ProtoId.QOT_GET_SECURITY_SNAPSHOT: Route(
        opend_sim.SecuritiesRequest, opend_sim.GetSecuritySnapshotResponse, get_security_snapshot
    ),
    ProtoId.QOT_REQUEST_TRADE_DATE: Route(
        opend_sim.RequestTradeDateRequest, opend_sim.RequestTradeDateResponse, request_trade_date
    ),
    ProtoId.QOT_GET_MARKET_STATE: Route(
        opend_sim.SecuritiesRequest, opend_sim.GetMarketStateResponse, get_market_state
    ),
}
