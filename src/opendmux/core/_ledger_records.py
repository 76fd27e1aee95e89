"""The four records of the ledger, and what each of them knows about itself."""

from __future__ import annotations

from enum import Enum
from typing import Final

from .ledger_values import Kind
from .streams import Options, PushKey, Space, StreamKey, is_kline

MIN_AGE_S: Final = 60.0
"""OpenD refuses to unsubscribe what is younger."""

AGE_MARGIN_S: Final = 1.0
"""On top of it. Counting from the reply makes us late already; but OpenD may count in whole seconds."""

BACKOFF_FIRST_S: Final = 10.0
BACKOFF_LAST_S: Final = 60.0
"""What OpenD refused and we still want is asked again after 10, 20, 40, then every 60 seconds: soon enough for an
OpenD that is still logging in, slow enough for one that will never agree."""

HOPELESS_TRIES: Final = 2
"""Refusals in a row, the latest about the stream alone, after which it may be given up. OpenD can need some seconds
after a login before it takes a subscription, and the next attempt is 10 s after the first."""

NO_REHAB: Final = frozenset({0})
"""The "rehab types" of a stream that has none: its PushKeys carry 0."""


class State(Enum):
    """What OpenD has, as far as we can know."""

    ABSENT = "absent"
    PRESENT = "present"
    UNSURE = "unsure"
    """A call ended without a verdict. To be subscribed again by whoever wants it, and unsubscribed when nobody does."""


ABSENT: Final = State.ABSENT
PRESENT: Final = State.PRESENT
UNSURE: Final = State.UNSURE


def backoff(tries: int) -> float:
    """Seconds to wait after the ``tries``-th refusal in a row (from 1)."""
    return min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2.0 ** min(tries - 1, 10))


class Stream:
    """One `StreamKey` that somebody holds, asks for, or has left behind upstream. Hashed by identity."""

    __slots__ = (
        "alarm",
        "by_rehab",
        "cached",
        "call",
        "changer",
        "former",
        "holders",
        "hopeless",
        "key",
        "leave_tries",
        "limit",
        "not_before",
        "options",
        "pins",
        "refusal",
        "registered",
        "rehabs",
        "since",
        "state",
        "tries",
    )

    def __init__(self, key: StreamKey, options: Options) -> None:
        self.key = key
        self.options = options
        """In use upstream; what the holders want while it is not there."""
        self.state = ABSENT
        self.call: Call | None = None
        """The one call in flight about this stream; there are never two."""
        self.holders: dict[int, None] = {}
        """Owners whose operation has succeeded, oldest first."""
        self.pins: dict[Operation, None] = {}
        """Operations under way that need it: it must not be unsubscribed under them."""
        self.by_rehab = key[0] is Space.QOT and is_kline(key[3])
        self.registered: dict[int, dict[int, None]] = {}
        """Rehab type -> owners that want its pushes. No empty inner dicts."""
        self.rehabs: frozenset[int] = frozenset()
        """Rehab types registered upstream since the last release."""
        self.cached: frozenset[int] = frozenset()
        """Rehab types asked for since the last release: OpenD may have pushed any of them, whatever it answered."""
        self.since = 0.0
        """When the latest SUBSCRIBE was answered."""
        self.changer: Operation | None = None
        """The operation that gives it other options and has not ended."""
        self.former: Options | None = None
        """What ``changer`` has already replaced."""
        self.tries = 0
        self.leave_tries = 0
        self.not_before = 0.0
        """No attempt of our own before this time."""
        self.limit: int | None = None
        """Streams in the next attempt of our own, after a refusal."""
        self.refusal = ""
        self.hopeless = False
        """It is held, and OpenD has refused it alone and often enough."""
        self.alarm: float | None = None
        """The time of its valid entry in the heap of alarms."""

    def idle(self) -> bool:
        return not self.holders and not self.pins

    def due(self) -> float | None:
        """When we have to act on it unasked, given that the link is up; None while there is nothing to do."""
        if self.call is not None:
            return None
        if self.holders:
            return None if self.state is PRESENT else self.not_before
        if self.pins or self.state is ABSENT:
            return None
        return self.leave_at()

    def leave_at(self) -> float:
        """The earliest time of an UNSUBSCRIBE."""
        return max(self.since + MIN_AGE_S + AGE_MARGIN_S, self.not_before)

    def restore(self) -> None:
        """Undo what the changer did: it has failed, and its owner keeps what it had."""
        self.changer = None
        if self.former is not None:
            self.options, self.former = self.former, None
            if self.state is PRESENT:
                # With the wrong options, that is. Wanted and not there means: subscribed again by the next sweep.
                self.state = UNSURE

    def needed_rehabs(self) -> frozenset[int]:
        """What a SUBSCRIBE must not leave out: what holders have registered, and what is being registered."""
        needed = frozenset(self.registered)
        for operation in self.pins:
            if operation.register:
                needed |= operation.rehabs
        return needed

    def push_keys(self, rehabs: frozenset[int]) -> list[PushKey]:
        return [PushKey(*self.key, rehab_type) for rehab_type in sorted(rehabs)]


class Call:
    """One message in flight."""

    __slots__ = ("kind", "options", "rehabs", "replay", "streams")

    def __init__(
        self, kind: Kind, streams: list[Stream], options: Options, rehabs: frozenset[int], replay: bool
    ) -> None:
        self.kind = kind
        self.streams = streams
        self.options = options
        self.rehabs = rehabs
        """For its K lines."""
        self.replay = replay


class Owner:
    """One client."""

    __slots__ = ("held", "ident", "last", "operations")

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self.held: dict[StreamKey, Stream] = {}
        self.operations: dict[Operation, None] = {}
        """Not ended, oldest first."""
        self.last: dict[StreamKey, Operation] = {}
        """The latest operation that waits, per stream it touches: the next one lines up behind it."""


class Operation:
    """One client request until its answer."""

    __slots__ = (
        "blocked",
        "ended",
        "first_push",
        "followers",
        "keys",
        "kind",
        "lined_up",
        "open",
        "options",
        "owner",
        "register",
        "rehabs",
        "streams",
        "token",
    )

    def __init__(
        self,
        owner: Owner,
        token: object,
        kind: Kind,
        keys: list[StreamKey],
        *,
        register: bool | None = None,
        rehabs: frozenset[int] = NO_REHAB,
        first_push: bool = False,
        options: dict[tuple[int, int], Options] | None = None,
    ) -> None:
        self.owner = owner
        self.token = token
        self.kind = kind
        self.keys = keys
        self.register = register
        self.rehabs = rehabs
        self.first_push = first_push
        self.options = options or {}
        """Normalised, per (market, sub_type)."""
        self.streams: list[Stream] = []
        """What it has pinned."""
        self.open: dict[Stream, None] = {}
        """Of these, what is not yet as the operation needs it. Empty: the operation succeeds."""
        self.blocked = 0
        """How many earlier operations of the same owner it has to wait for, counted per stream."""
        self.followers: list[Operation] = []
        """Operations of the same owner that wait for this one, once per stream."""
        self.lined_up = False
        self.ended = False

    def options_for(self, stream: Stream) -> Options:
        return self.options[stream.key[1], stream.key[3]]

    def rehabs_for(self, stream: Stream) -> frozenset[int]:
        """What the operation registers, or would name in a SUBSCRIBE."""
        return self.rehabs if stream.by_rehab else NO_REHAB

    def missing(self, stream: Stream) -> bool:
        """A registration upstream is lacking that the operation needs."""
        return self.register is True and stream.by_rehab and not self.rehabs <= stream.rehabs
