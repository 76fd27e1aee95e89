"""Securities, sides and markets: OpenD's numbers in the words that limits are written in.

A security is named by its market and bare code. OpenD has two fields for the market: secMarket of the order, which
decides, and trdMarket of the header, which decides when the first is missing. Where the two contradict each other, or
neither tells, the market is empty: a list of allowed markets or symbols then refuses the order, for nobody knows which
of the two OpenD would follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Security", "security_of", "security_of_leg", "security_told", "side_of"]

SIDES: Final = {1: "BUY", 2: "SELL", 3: "SELL_SHORT", 4: "BUY_BACK"}

SEC_MARKETS: Final = {
    1: "HK",
    2: "US",
    31: "SH",
    32: "SZ",
    41: "SG",
    51: "JP",
    61: "AU",
    71: "MY",
    81: "CA",
    91: "FX",
    101: "CC",
    111: "EC",
}
"""TrdSecMarket -> the prefix that the SDKs write before a code."""

QOT_MARKETS: Final = {
    "HK": 1,
    "US": 11,
    "SH": 21,
    "SZ": 22,
    "SG": 31,
    "JP": 41,
    "AU": 51,
    "MY": 61,
    "CA": 71,
    "FX": 81,
    "CC": 91,
    "EC": 101,
}
PREFIXES: Final = {number: prefix for prefix, number in QOT_MARKETS.items()} | {2: "HK"}
"""QotMarket -> prefix; 2 is the former number of futures in Hong Kong."""

FUTURES: Final = frozenset({5, 10, 11, 12, 13})
"""TrdMarkets of futures."""

TRD_MARKETS: Final[dict[int, tuple[str, ...]]] = {
    1: ("HK",),
    2: ("US",),
    3: ("SH", "SZ"),
    4: ("SH", "SZ"),
    5: tuple(QOT_MARKETS),
    6: ("SG",),
    7: ("CC",),
    8: ("AU",),
    10: ("HK",),
    11: ("US",),
    12: ("SG",),
    13: ("JP",),
    15: ("JP",),
    17: ("EC",),
    111: ("MY",),
    112: ("CA",),
    113: ("HK",),
    123: ("US",),
    124: ("SG",),
    125: ("MY",),
    126: ("JP",),
}
"""TrdMarket -> the markets whose securities it trades."""

MAINLAND: Final = (
    ("SH", re.compile(r"(60|68|5[0-9]|90|11|13)[0-9]{4}")),
    ("SZ", re.compile(r"(00|30|20|12|15|16|18)[0-9]{4}")),
)
"""Codes of the mainland by exchange, for orders that do not name it."""

STOCKS: Final = {
    "HK": re.compile(r"[0-9]{5}"),
    "US": re.compile(r"[^0-9]+"),
    "SH": re.compile(r"[0-9]{6}"),
    "SZ": re.compile(r"[0-9]{6}"),
}
"""What codes of stocks, funds and warrants look like."""

OPTION: Final = re.compile(r"[A-Z0-9.]*[A-Z][A-Z0-9.]*[0-9]{6}[CP][0-9]+")


@dataclass(frozen=True, slots=True)
class Security:
    """One security. ``market`` is empty when it can't be told."""

    market: str
    code: str
    futures: bool = False
    """It is traded in a market of futures."""

    @property
    def symbol(self) -> str:
        """``HK.00700``, as the SDKs and the keys file write it."""
        return f"{self.market}.{self.code}"

    @property
    def markets(self) -> tuple[str, ...]:
        """The names under which a key may allow it: of Shanghai and Shenzhen also ``CN``."""
        return (self.market, "CN") if self.market in {"SH", "SZ"} else (self.market,)

    @property
    def quoted(self) -> tuple[int, str] | None:
        """(QotMarket, code) under which it has quotes; None when its market is not known."""
        number = QOT_MARKETS.get(self.market)
        return None if number is None else (number, self.code)

    @property
    def may_be_contract(self) -> bool:
        """One unit may stand for many of what it is written on: an option, or a future. Where codes of stocks have a
        shape, everything else may be one."""
        if self.futures or OPTION.fullmatch(self.code) is not None:
            return True
        stock = STOCKS.get(self.market)
        return stock is not None and stock.fullmatch(self.code) is None


def side_of(trd_side: int) -> str:
    """``BUY`` for TrdSide 1; empty for a number that means nothing."""
    return SIDES.get(trd_side, "")


def security_of(trd_market: int, sec_market: int, code: str) -> Security:
    """The security of an order, by the header's TrdMarket, the order's TrdSecMarket and its bare code."""
    possible = TRD_MARKETS.get(trd_market, ())
    futures = trd_market in FUTURES
    if sec_market:
        market = SEC_MARKETS.get(sec_market, "")
        return Security(market if market in possible else "", code, futures)
    if len(possible) == 1:
        return Security(possible[0], code, futures)
    if possible == ("SH", "SZ"):
        return Security(next((market for market, codes in MAINLAND if codes.fullmatch(code)), ""), code)
    return Security("", code, futures)


def security_told(trd_market: int, sec_market: int, code: str) -> Security:
    """The security of an order that OpenD tells of. Its own word is not to be doubted: a list for one market may hold
    orders of others."""
    if sec_market:
        return Security(SEC_MARKETS.get(sec_market, ""), code, trd_market in FUTURES)
    return security_of(trd_market, 0, code)


def security_of_leg(qot_market: int, code: str, trd_market: int) -> Security:
    """The security of a leg, which is named as quotes name it."""
    market = PREFIXES.get(qot_market, "")
    return Security(market if market in TRD_MARKETS.get(trd_market, ()) else "", code, trd_market in FUTURES)
