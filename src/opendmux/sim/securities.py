"""Who a security is: what its market and code say, and what the seed adds (price level, listing date, shares)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date

from .dice import number, unit
from .numbers import PRICE_UNIT, QotMarket, SecurityType
from .refusal import Refused
from .venues import VENUES, Venue, day_of

__all__ = ["CATALOGUE", "OptionTerms", "SecKey", "Security", "describe"]

SecKey = tuple[int, str]
"""(QotMarket, code), as on the wire."""

CATALOGUE: dict[int, tuple[str, ...]] = {
    QotMarket.HK: ("00001", "00005", "00388", "00700", "00941", "01810", "03690", "09988", "800000", "HSImain"),
    QotMarket.US: ("AAPL", "AMZN", "GOOG", "META", "MSFT", "NVDA", "SPY", "TSLA", ".SPX", "ESmain"),
    QotMarket.SH: ("000001", "600036", "600519", "601318"),
    QotMarket.SZ: ("000001", "000858", "300750", "399001"),
    QotMarket.JP: ("6758", "7203"),
    QotMarket.SG: ("D05", "U11"),
    QotMarket.CC: ("BTCUSD", "ETHUSD"),
}
"""What a list of a whole market holds, besides what was asked for already."""


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """What an option's code says about it."""

    option_type: int
    """OptionType: 1 call, 2 put."""
    owner: SecKey
    expiry_day: int
    strike: int


@dataclass(frozen=True, slots=True)
class Security:
    """A security. Prices are integers in 1/10,000 of the currency."""

    key: SecKey
    venue: Venue
    sec_type: SecurityType
    name: str
    stock_id: int
    lot: int
    tick: int
    """Smallest price step; the same at every price, unlike the real HK table."""
    base_price: int
    """The price the live market swings around."""
    list_day: int
    shares: int
    exch_type: int
    option: OptionTerms | None = None


_LETTERS = r"\.?[A-Z][A-Za-z0-9.\-]{0,31}"
_CODES = {
    QotMarket.HK: re.compile(rf"\d{{5,6}}|{_LETTERS}"),
    QotMarket.HK_FUTURE: re.compile(_LETTERS),
    QotMarket.US: re.compile(_LETTERS),
    QotMarket.SH: re.compile(r"\d{6}|BK\d{4}|LIST\d+"),
    QotMarket.SZ: re.compile(r"\d{6}|BK\d{4}|LIST\d+"),
}
_OTHER_CODES = re.compile(r"[.A-Za-z0-9][A-Za-z0-9.\-_]{0,63}")
_OPTION = re.compile(r"([A-Z]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{3,8})")
_FUTURE = re.compile(r"[A-Z]{2,4}(main|current|next|\d{4})")

_PRICE_RANGES = {
    QotMarket.HK: (2, 480),
    QotMarket.US: (10, 600),
    QotMarket.SH: (3, 300),
    QotMarket.SZ: (3, 300),
    QotMarket.JP: (500, 9_000),
    QotMarket.FX: (0.5, 1.6),
    QotMarket.CC: (5, 60_000),
    QotMarket.EVENT: (0.3, 0.7),
}
_EXCH_TYPES = {
    QotMarket.HK: 1,
    QotMarket.HK_FUTURE: 3,
    QotMarket.US: 5,
    QotMarket.SH: 14,
    QotMarket.SZ: 15,
    QotMarket.SG: 17,
    QotMarket.JP: 21,
    QotMarket.MY: 20,
    QotMarket.CC: 19,
}
_EXCH_TYPES_OF = {
    (QotMarket.HK, SecurityType.FUTURE): 3,
    (QotMarket.US, SecurityType.FUTURE): 12,
    (QotMarket.US, SecurityType.OPTION): 8,
}
_HK_TICKS = ((10, 100), (20, 200), (100, 500), (200, 1_000), (500, 2_000), (1_000, 5_000), (2_000, 10_000))
"""HKEX's spread table from 0.25 HKD up: (price below, tick)."""


def describe(seed: int, key: SecKey) -> Security:
    """The security of that key. Raises Refused for an unknown market and for a code that market can't have."""
    market, code = key
    venue = VENUES.get(market)
    if venue is None:
        raise Refused(f"unknown market {market}")
    if not _CODES.get(QotMarket(market), _OTHER_CODES).fullmatch(code):
        raise Refused(f"unknown security {venue.prefix}.{code}: no such code in this market")
    option = _option_terms(seed, key)
    sec_type = SecurityType.OPTION if option else _type_of(key)
    low, high = _price_range(market, sec_type)
    price = low * math.exp(math.log(high / low) * unit(seed, "price", *key))
    tick = _tick(market, sec_type, price)
    return Security(
        key=key,
        venue=venue,
        sec_type=sec_type,
        name=f"Simulated {code}",
        stock_id=number("id", *key) >> 16,
        lot=1 if sec_type in {SecurityType.FUTURE, SecurityType.OPTION, SecurityType.INDEX} else venue.lot,
        tick=tick,
        base_price=round(price * PRICE_UNIT / tick) * tick,
        list_day=day_of(date(1995 + number(seed, "listed", *key) % 25, 6, 1)),
        shares=100_000_000 + number(seed, "shares", *key) % 5_000_000_000,
        exch_type=_EXCH_TYPES_OF.get((QotMarket(market), sec_type)) or _EXCH_TYPES.get(QotMarket(market), 0),
        option=option,
    )


def _type_of(key: SecKey) -> SecurityType:
    market, code = key
    if market == QotMarket.FX:
        return SecurityType.FOREX
    if market == QotMarket.CC:
        return SecurityType.CRYPTO
    if market == QotMarket.HK_FUTURE or (market != QotMarket.EVENT and _FUTURE.fullmatch(code)):
        return SecurityType.FUTURE
    index = {
        QotMarket.HK: code.startswith("8") and len(code) == 6,
        QotMarket.US: code.startswith("."),
        QotMarket.SH: code.startswith("000"),
        QotMarket.SZ: code.startswith("399"),
    }
    return SecurityType.INDEX if index.get(QotMarket(market), False) else SecurityType.EQUITY


def _option_terms(seed: int, key: SecKey) -> OptionTerms | None:
    market, code = key
    parts = _OPTION.fullmatch(code) if market in {QotMarket.HK, QotMarket.US} else None
    if parts is None:
        return None
    root, year, month, day, side, strike = parts.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        raise Refused(f"unknown security {code}: no such expiry date") from None
    owner = root if market == QotMarket.US else f"{number(seed, 'owner', root) % 10_000:05}"
    return OptionTerms(1 if side == "C" else 2, (market, owner), day_of(expiry), int(strike) * (PRICE_UNIT // 1000))


def _price_range(market: int, sec_type: SecurityType) -> tuple[float, float]:
    if sec_type in {SecurityType.INDEX, SecurityType.FUTURE}:
        return 2_000, 30_000
    if sec_type == SecurityType.OPTION:
        return 3, 30
    return _PRICE_RANGES.get(QotMarket(market), (3, 60))


def _tick(market: int, sec_type: SecurityType, price: float) -> int:
    if sec_type == SecurityType.FUTURE or market == QotMarket.JP:
        return PRICE_UNIT
    if market == QotMarket.FX:
        return 1
    if market == QotMarket.EVENT:
        return 10
    if market == QotMarket.HK and sec_type == SecurityType.EQUITY:
        return next(tick for below, tick in _HK_TICKS if price < below)
    return 100
