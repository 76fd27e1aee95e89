"""What a quote subscription is made of: sub types, options, keys, and the values that go in and out of the ledger.

Nothing here decides anything; `opendmux.core.ledger` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from opendmux.wire.frame import RetType

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


class StreamView(NamedTuple):
    """A stream as somebody sees it who only looks."""

    key: StreamKey
    present: bool
    """OpenD has it."""
    holders: int
    registered: int
    """Owners that get its pushes."""
    since: float
    """When OpenD took it; 0 before."""
    leaves_at: float | None
    """When it will be unsubscribed, for nobody wants it."""
    refusal: str
    """OpenD's text when it refuses what is held."""


class PushKey(NamedTuple):
    """What is pushed: a stream, for the K lines of `Space.QOT` with the rehab type. Elsewhere rehab_type is 0."""

    space: Space
    market: int
    code: str
    sub_type: int
    rehab_type: int


@dataclass(frozen=True, slots=True)
class SubRequest:
    """A 3001 or 3455, decoded. Nothing is normalised or checked yet."""

    space: Space
    securities: tuple[Security, ...] = ()
    sub_types: tuple[int, ...] = ()
    subscribe: bool = True
    register: bool | None = None
    """None: the request says nothing about pushes, so what is registered stays."""
    rehab_types: tuple[int, ...] = ()
    """Empty: Forward."""
    first_push: bool = True
    unsub_all: bool = False
    """True: the other fields, except the space, are ignored."""
    options: Options = PLAIN_OPTIONS


@dataclass(frozen=True, slots=True)
class RegRequest:
    """A 3002, decoded. It exists in `Space.QOT` alone."""

    securities: tuple[Security, ...]
    sub_types: tuple[int, ...]
    register: bool
    rehab_types: tuple[int, ...] = ()
    """Empty: Forward."""
    first_push: bool = True


class Kind(Enum):
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    REGISTER = "register"
    """3002 with isRegOrUnReg true."""


@dataclass(frozen=True, slots=True)
class UpstreamSub:
    """One message to OpenD: every security with every sub type.

    Its reply, or the caller's own verdict when there is none in time, goes to `Ledger.upstream_reply`.
    A SUBSCRIBE is sent with isRegOrUnRegPush = true.
    """

    call_id: int
    space: Space
    kind: Kind
    securities: tuple[Security, ...]
    sub_types: tuple[int, ...]
    rehab_types: tuple[int, ...] = ()
    """Empty when no sub type is a K line, in an UNSUBSCRIBE, and among event contracts."""
    options: Options = PLAIN_OPTIONS
    first_push: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to one client operation."""

    token: object
    """The caller's, as it was passed in."""
    ret_type: int = RetType.SUCCEED
    ret_msg: str = ""
    first_pushes: tuple[PushKey, ...] = ()
    """Deliver the cached push of these, where there is one, right after the reply.

    These are all the pushes newly registered by an operation that asked for a first push. For a stream that was
    flowing before, nothing else will bring one. For a stream just subscribed the cache is empty, unless OpenD's
    own first push has overtaken its reply; then it reached nobody, and here it gets its owner. Never a duplicate:
    the owner was in no audience before.
    """


class Dropped(NamedTuple):
    """An owner does not hold this stream any more, without having asked for that."""

    owner: int
    key: StreamKey
    ret_msg: str
    """OpenD's, of its latest refusal."""


@dataclass(slots=True)
class Actions:
    """What the caller has to do, in this order: forget the released, send, answer."""

    send: list[UpstreamSub] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    released: list[PushKey] = field(default_factory=list)
    """A cached push of these is out of date from now on."""
    dropped: list[Dropped] = field(default_factory=list)
    """Whom to tell what he has lost."""


def refusal_of(request: SubRequest | RegRequest) -> str | None:
    """Why we do not even ask OpenD: a text that names the field; None for a sound request.

    Only what we could not route is refused here. Everything else is OpenD's to judge.
    """
    space, uses_rehab = Space.QOT, True
    if isinstance(request, SubRequest):
        if request.unsub_all:
            return None
        space, uses_rehab = request.space, request.subscribe and request.space is Space.QOT
    if not request.securities:
        return "securityList is empty"
    if not request.sub_types:
        return "subTypeList is empty"
    known = SUB_TYPES[space]
    for sub_type in request.sub_types:
        if sub_type not in known:
            return f"subTypeList: {sub_type} is not a sub type that can be subscribed here"
    for market, code in request.securities:
        if market <= 0:
            return f"securityList: market {market} of code {code[:CODE_SHOWN]!r} is unknown"
        if not code:
            return f"securityList: a security of market {market} has an empty code"
    if uses_rehab and not _KLINES.isdisjoint(request.sub_types):
        for rehab_type in request.rehab_types:
            if rehab_type not in REHAB_TYPES:
                return f"rehab type list: {rehab_type} is not a RehabType"
    return None
