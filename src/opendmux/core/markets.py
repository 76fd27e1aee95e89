"""Names of markets and sides, as the Python SDK spells them: what a key's limits may name.

OpenD numbers markets twice. A security has a QotMarket (and in an order a TrdSecMarket): where it is listed. An account
has TrdMarkets: where it may trade. Both kinds of names may stand in ``allowed_markets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = [
    "ALL_MARKETS",
    "QOT_MARKETS",
    "TRD_MARKETS",
    "TRD_SEC_MARKETS",
    "TRD_SIDES",
    "covered_markets",
]

QOT_MARKETS: Final[Mapping[int, str]] = {
    1: "HK",
    2: "HK_FUTURE",
    11: "US",
    21: "SH",
    22: "SZ",
    31: "SG",
    41: "JP",
    51: "AU",
    61: "MY",
    71: "CA",
    81: "FX",
    91: "CC",
    101: "EC",
}
"""Qot_Common.QotMarket: what stands before the dot of a symbol such as ``HK.00700``."""

TRD_SEC_MARKETS: Final[Mapping[int, str]] = {
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
"""Trd_Common.TrdSecMarket, by the same names."""

TRD_MARKETS: Final[Mapping[int, str]] = {
    1: "HK",
    2: "US",
    3: "CN",
    4: "HKCC",
    5: "FUTURES",
    6: "SG",
    7: "CRYPTO",
    8: "AU",
    10: "FUTURES_SIMULATE_HK",
    11: "FUTURES_SIMULATE_US",
    12: "FUTURES_SIMULATE_SG",
    13: "FUTURES_SIMULATE_JP",
    15: "JP",
    17: "PREDICTION",
    111: "MY",
    112: "CA",
    113: "HKFUND",
    123: "USFUND",
    124: "SGFUND",
    125: "MYFUND",
    126: "JPFUND",
}
"""Trd_Common.TrdMarket."""

ALL_MARKETS: Final = tuple(dict.fromkeys((*QOT_MARKETS.values(), *TRD_MARKETS.values())))
"""Every name that ``allowed_markets`` takes."""

TRD_SIDES: Final[Mapping[int, str]] = {1: "BUY", 2: "SELL", 3: "SELL_SHORT", 4: "BUY_BACK"}
"""Trd_Common.TrdSide."""

_COVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "HK": ("HK_FUTURE",),  # OpenD retired the number: the same futures are HK today
    "CN": ("SH", "SZ"),
    "HKCC": ("SH", "SZ"),  # Shanghai and Shenzhen shares by way of Hong Kong
    "CRYPTO": ("CC",),
    "CC": ("CRYPTO",),
    "PREDICTION": ("EC",),
    "EC": ("PREDICTION",),
}


def covered_markets(names: Iterable[str]) -> frozenset[str]:
    """The names and those that they stand for, so that one look into the set answers for either numbering."""
    given = tuple(names)
    return frozenset(given).union(*(_COVERS.get(name, ()) for name in given))
