"""What core wants done. Core returns these; runtime executes them in order and decides nothing."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from .denial import Denial
from .identity import Session

__all__ = [
    "Ask",
    "Close",
    "CloseLane",
    "Command",
    "Failure",
    "Forward",
    "Missed",
    "OpenLane",
    "Outcome",
    "Push",
    "Reply",
    "Request",
    "Then",
    "UseRow",
    "Witness",
    "in_time",
]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request, as it came."""

    session: Session
    proto_id: int
    proto_fmt: int
    serial_no: int
    body: bytes = field(repr=False)
    until: float | None = None
    """When its owner must have an answer, where the client said so; None: the usual time."""
    peer: str = ""
    """Which of a caller's connections it came by; empty where the session has only one."""
    repeated: bool = False
    """It has been sent once already, on a connection that was lost before the answer."""
    given_up: Callable[[], bool] = field(default=_never, repr=False, compare=False)
    """Nobody waits for it any more though its session goes on: what has not been sent then is not sent."""


class Failure(enum.Enum):
    """Why there is no reply."""

    TIMEOUT = "timeout"
    LOST = "lost"
    """The upstream connection ended while the request was pending: it may or may not have been executed."""
    CORRUPT = "corrupt"
    """The reply's digest was wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an `Ask` or `Forward` ended: a body, or a failure with an empty one."""

    body: bytes
    proto_fmt: int
    failure: Failure | None = None
    upstream_serial: int = 0
    """Of the request on its link; 0 where nothing was sent."""
    asked_at: float = math.inf
    """When it was sent; infinity where that is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a request of a client."""

    session: Session
    proto_id: int
    proto_fmt: int
    serial_no: int
    body: bytes
    denial: Denial | None = None
    """Why it was turned away, for transports that say it in other words than ``body`` does. None: OpenD's answer, or
    one in its place."""
    request: Request | None = None
    """What was turned away, for the audit; only with a ``denial``."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send a client's request upstream. ``then`` None: the reply goes straight to the client."""

    request: Request
    then: Then | None
    lane: int = 0
    """The upstream connection it goes to."""
    with_packet_id: bool = False
    """Rewrite C2S.packetID to the upstream connection's values."""
    until: float | None = None
    """When its owner must have an answer; None: the usual time from now on."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request of the proxy's own upstream."""

    lane: int
    proto_id: int
    body: bytes
    then: Then
    until: float | None = None
    """When the client it is made for must have an answer; None: the usual time from now on."""


@dataclass(frozen=True, slots=True)
class Push:
    """Give one whole frame to several clients."""

    slots: Sequence[int]
    frame: bytes
    key: object | None
    """Conflation key: under it a newer frame may replace an unsent older one. None: never dropped, never reordered."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Pushes of this session were lost before they came here: streams that can be resumed tell of a gap."""

    session: Session


@dataclass(frozen=True, slots=True)
class Witness:
    """Something for the audit: a decision about a request, or how a trade write ended."""

    request: Request
    outcome: Literal["allow", "reject", "success", "failure", "unknown"]
    """``unknown``: nobody knows whether OpenD executed it."""
    reason: str = ""
    """Of a refusal: a short name."""
    scope: str = ""
    """What was needed."""
    note: str = ""
    """OpenD's text, or ours."""
    upstream_serial: int = 0
    reply: Reply | None = None
    """The answer, which must not leave before the record is on disk."""


@dataclass(frozen=True, slots=True)
class UseRow:
    """The session's policy row or lane has changed: the switch must go by it from the next frame on."""

    session: Session


@dataclass(frozen=True, slots=True)
class OpenLane:
    """Make and keep a link for this lane."""

    lane: int


@dataclass(frozen=True, slots=True)
class CloseLane:
    """The lane's link is not needed any more."""

    lane: int


@dataclass(frozen=True, slots=True)
class Close:
    """End a session at a frame boundary, after what is queued for it."""

    session: Session
    reason: str


Command: TypeAlias = Reply | Forward | Ask | Push | Missed | Witness | UseRow | OpenLane | CloseLane | Close
Then: TypeAlias = Callable[[Outcome, float], "list[Command]"]
"""Called once with the outcome and the time; returns what is to be done next."""


def in_time(commands: Iterable[Command], until: float | None) -> list[Command]:
    """The commands with this as the time by which what is sent upstream must be answered; None changes nothing."""
    if until is None:
        return list(commands)
    return [replace(one, until=until) if isinstance(one, Forward | Ask) else one for one in commands]
