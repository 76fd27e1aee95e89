"""Names of markets and sides, as the Python SDK spells them: what a key's limits may name.

A limit on markets is about securities: where they are listed. OpenD numbers the markets of accounts (TrdMarket) too.
Their names are taken where they say where something is listed; those of futures and funds are not, since one such
account may trade in several places, and a key with such a name would not allow what its owner thinks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["ALL_MARKETS", "NOT_LISTINGS", "QOT_MARKETS", "TRD_SIDES", "covered_markets"]

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
"""Qot_Common.QotMarket: what stands before the dot of a symbol such as ``HK.00700``. 2 is retired: the same futures are
HK today."""

_COVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "HK": ("HK_FUTURE",),
    "CN": ("SH", "SZ"),
    "HKCC": ("SH", "SZ"),  # Shanghai and Shenzhen shares by way of Hong Kong
    "CRYPTO": ("CC",),
    "PREDICTION": ("EC",),
}

ALL_MARKETS: Final = tuple(dict.fromkeys((*QOT_MARKETS.values(), *_COVERS)))
"""Every name that ``allowed_markets`` takes."""

NOT_LISTINGS: Final[Mapping[str, str]] = {
    "FUTURES": "HK, US, SG or JP",
    "FUTURES_SIMULATE_HK": "HK",
    "FUTURES_SIMULATE_US": "US",
    "FUTURES_SIMULATE_SG": "SG",
    "FUTURES_SIMULATE_JP": "JP",
    "HKFUND": "HK",
    "USFUND": "US",
    "SGFUND": "SG",
    "MYFUND": "MY",
    "JPFUND": "JP",
}
"""The other names of Trd_Common.TrdMarket, and which names to write instead."""

TRD_SIDES: Final[Mapping[int, str]] = {1: "BUY", 2: "SELL", 3: "SELL_SHORT", 4: "BUY_BACK"}
"""Trd_Common.TrdSide."""


def covered_markets(names: Iterable[str]) -> frozenset[str]:
    """The names and those that they stand for: a security's market is allowed when its name is in the set."""
    given = tuple(names)
    return frozenset(given).union(*(_COVERS.get(name, ()) for name in given))
