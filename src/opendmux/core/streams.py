"""What a quote subscription is made of: sub types, options, keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

Security = tuple[int, str]
"""(market, code): QotMarket and the bare symbol."""

BASIC: Final = 1
ORDER_BOOK: Final = 2
TICKER: Final = 4
RT: Final = 5
KL_DAY: Final = 6
KL_5MIN: Final = 7
KL_15MIN: Final = 8
KL_30MIN: Final = 9
KL_60MIN: Final = 10
KL_1MIN: Final = 11
KL_WEEK: Final = 12
KL_MONTH: Final = 13
BROKER: Final = 14
KL_QUARTER: Final = 15
KL_YEAR: Final = 16
KL_3MIN: Final = 17
KL_10MIN: Final = 18
KL_120MIN: Final = 19
KL_180MIN: Final = 20
KL_240MIN: Final = 21
ORDER_BOOK_ODD: Final = 22

KL_TYPE_OF_SUB_TYPE: Final[Mapping[int, int]] = MappingProxyType(
    {
        KL_1MIN: 1,
        KL_DAY: 2,
        KL_WEEK: 3,
        KL_MONTH: 4,
        KL_YEAR: 5,
        KL_5MIN: 6,
        KL_15MIN: 7,
        KL_30MIN: 8,
        KL_60MIN: 9,
        KL_3MIN: 10,
        KL_QUARTER: 11,
        KL_10MIN: 12,
        KL_120MIN: 13,
        KL_180MIN: 14,
        KL_240MIN: 15,
    }
)
"""SubType -> KLType, for the K-line sub types alone."""

SUB_TYPE_OF_KL_TYPE: Final[Mapping[int, int]] = MappingProxyType({kl: sub for sub, kl in KL_TYPE_OF_SUB_TYPE.items()})
"""KLType -> SubType: how a K-line push finds its stream."""

REHAB_NONE: Final = 0
REHAB_FORWARD: Final = 1
REHAB_BACKWARD: Final = 2
REHAB_TYPES: Final = frozenset({REHAB_NONE, REHAB_FORWARD, REHAB_BACKWARD})

MARKET_US: Final = 11
MARKET_CRYPTO: Final = 91

_KLINES: Final = frozenset(KL_TYPE_OF_SUB_TYPE)
_BY_SESSION: Final = _KLINES | {RT, TICKER}
_ORDER_BOOKS: Final = frozenset({ORDER_BOOK, ORDER_BOOK_ODD})

SUB_TYPE_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        BASIC: "Basic",
        ORDER_BOOK: "OrderBook",
        TICKER: "Ticker",
        RT: "RT",
        KL_DAY: "KL_Day",
        KL_5MIN: "KL_5Min",
        KL_15MIN: "KL_15Min",
        KL_30MIN: "KL_30Min",
        KL_60MIN: "KL_60Min",
        KL_1MIN: "KL_1Min",
        KL_WEEK: "KL_Week",
        KL_MONTH: "KL_Month",
        BROKER: "Broker",
        KL_QUARTER: "KL_Quarter",
        KL_YEAR: "KL_Year",
        KL_3MIN: "KL_3Min",
        KL_10MIN: "KL_10Min",
        KL_120MIN: "KL_120Min",
        KL_180MIN: "KL_180Min",
        KL_240MIN: "KL_240Min",
        ORDER_BOOK_ODD: "OrderBook_Odd",
    }
)
_MARKET_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "HK",
        2: "HK",
        MARKET_US: "US",
        21: "SH",
        22: "SZ",
        31: "SG",
        41: "JP",
        51: "AU",
        61: "MY",
        71: "CA",
        81: "FX",
        MARKET_CRYPTO: "CC",
        101: "EC",
    }
)
_SESSION_NAMES: Final[Mapping[int, str]] = MappingProxyType({1: "RTH", 2: "ETH", 3: "ALL", 4: "OVERNIGHT"})

CODE_SHOWN: Final = 40
"""Characters of a code that a text repeats: more than any real symbol, and a peer can't make our texts long."""


class Space(IntEnum):
    """Two sets of subscriptions that know nothing of each other. (An IntEnum: it is hashed for every push.)"""

    QOT = 0
    """3001, 3002, 3003; pushes 3005 to 3015."""
    EVENT_CONTRACT = 1
    """3455; pushes 3450 to 3452."""


SUB_TYPES: Final[Mapping[Space, frozenset[int]]] = MappingProxyType(
    {
        Space.QOT: frozenset(SUB_TYPE_NAMES),
        Space.EVENT_CONTRACT: _KLINES | {BASIC, ORDER_BOOK, TICKER},
    }
)
"""What can be subscribed. Basic has no push of its own among the event contracts, but the SDK offers it there."""


def is_kline(sub_type: int) -> bool:
    return sub_type in _KLINES


@dataclass(frozen=True, slots=True)
class Options:
    """What a subscription asks for beyond security and sub type. The defaults mean "nothing special".

    One OpenD connection has one set of them per stream, and no push tells which set it was made under.
    """

    order_book_detail: bool = False
    extended_time: bool = False
    session: int = 0
    security_firm: int = 0
    kline_source: tuple[int, ...] = ()
    """Event contracts only: EC_KlineSource values."""

    def __str__(self) -> str:
        said = []
        if self.order_book_detail:
            said.append("order book detail")
        if self.extended_time:
            said.append("extendedTime")
        if self.session:
            said.append(f"session {_SESSION_NAMES.get(self.session, self.session)}")
        if self.security_firm:
            said.append(f"securityFirm {self.security_firm}")
        if self.kline_source:
            said.append(f"klineSource {list(self.kline_source)}")
        return ", ".join(said) or "none"


PLAIN_OPTIONS: Final = Options()


def normalise(space: Space, market: int, sub_type: int, options: Options) -> Options:
    """Keep of ``options`` what means something for such a stream, so that ordinary clients never seem to differ.

    - order_book_detail: order books.
    - extended_time, session: K lines, RT and Ticker of market US_Security.
    - security_firm: market CC_Security. The field picks the broker of crypto quotes, and the Python SDK fills it in
      every quote request whatever the market; anywhere else two firms would look like a conflict and mean nothing.
    - kline_source: K lines of event contracts. Absent and [None] are the same, but [None, OrderBookYes] asks for
      two sources and stays as it is.
    """
    if options == PLAIN_OPTIONS:
        return PLAIN_OPTIONS
    firm = options.security_firm if market == MARKET_CRYPTO else 0
    if space is Space.EVENT_CONTRACT:
        sources = tuple(sorted(set(options.kline_source))) if sub_type in _KLINES else ()
        return Options(security_firm=firm, kline_source=() if sources == (0,) else sources)
    by_session = market == MARKET_US and sub_type in _BY_SESSION
    return Options(
        order_book_detail=bool(options.order_book_detail) and sub_type in _ORDER_BOOKS,
        extended_time=bool(options.extended_time) and by_session,
        session=options.session if by_session else 0,
        security_firm=firm,
    )


class StreamKey(NamedTuple):
    """What is counted upstream: one unit of quota."""

    space: Space
    market: int
    code: str
    sub_type: int

    @property
    def symbol(self) -> str:
        """``HK.00700``"""
        market = _MARKET_NAMES.get(self.market, f"market {self.market}")
        return f"{market}.{self.code[:CODE_SHOWN]}"

    @property
    def sub_type_name(self) -> str:
        return SUB_TYPE_NAMES.get(self.sub_type, str(self.sub_type))

    def __str__(self) -> str:
        return f"{self.symbol} {self.sub_type_name}"


class PushKey(NamedTuple):
    """What is pushed: a stream, for the K lines of `Space.QOT` with the rehab type. Elsewhere rehab_type is 0."""

    space: Space
    market: int
    code: str
    sub_type: int
    rehab_type: int
