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

from .markets import QOT_MARKETS, TRD_SIDES

__all__ = ["Security", "security_of", "security_of_leg", "security_told", "side_of"]

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

NUMBERS: Final = {name: number for number, name in QOT_MARKETS.items()}
RETIRED_FUTURES: Final = "HK_FUTURE"
"""Futures of Hong Kong once had a QotMarket of their own; the same are HK today."""

FUTURES: Final = frozenset({5, 10, 11, 12, 13})
"""TrdMarkets of futures."""

TRD_MARKETS: Final[dict[int, tuple[str, ...]]] = {
    1: ("HK",),
    2: ("US",),
    3: ("SH", "SZ"),
    4: ("SH", "SZ"),
    5: tuple(QOT_MARKETS.values()),
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
        """The names of its market that a key may have; none when the market is not known."""
        if not self.market:
            return ()
        return (self.market, RETIRED_FUTURES) if self.futures and self.market == "HK" else (self.market,)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The names of itself that a key may have."""
        return tuple(f"{market}.{self.code}" for market in self.markets)

    @property
    def quoted(self) -> tuple[int, str] | None:
        """(QotMarket, code) under which it has quotes; None when its market is not known."""
        number = NUMBERS.get(self.market)
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
    return TRD_SIDES.get(trd_side, "")


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
    market = QOT_MARKETS.get(qot_market, "")
    if market == RETIRED_FUTURES:
        market = "HK"
    return Security(market if market in TRD_MARKETS.get(trd_market, ()) else "", code, trd_market in FUTURES)
