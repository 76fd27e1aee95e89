"""What goes into a ledger of subscriptions and what comes out of it: requests, messages to OpenD, answers.

Nothing here decides anything; `opendmux.core.ledger` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from opendmux.wire.frame import RetType

from .streams import (
    CODE_SHOWN,
    PLAIN_OPTIONS,
    REHAB_TYPES,
    SUB_TYPES,
    Options,
    PushKey,
    Security,
    Space,
    StreamKey,
    is_kline,
)

__all__ = [
    "Actions",
    "Done",
    "Dropped",
    "Kind",
    "RegRequest",
    "StreamView",
    "SubRequest",
    "UpstreamSub",
    "refusal_of",
]


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
    if uses_rehab and any(map(is_kline, request.sub_types)):
        for rehab_type in request.rehab_types:
            if rehab_type not in REHAB_TYPES:
                return f"rehab type list: {rehab_type} is not a RehabType"
    return None
