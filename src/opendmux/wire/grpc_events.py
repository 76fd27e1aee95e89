"""What a gRPC connection reports."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Call", "Cancelled", "Event", "GoAway", "HalfClosed", "Message", "PingAnswered", "Writable"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call has begun."""

    stream_id: int
    path: str
    """``/package.Service/Method``."""
    metadata: list[tuple[bytes, bytes]] = field(repr=False)
    """Headers without HTTP/2's own, in their order; names in lower case."""
    timeout_s: float | None
    """grpc-timeout."""


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message of a call, decompressed."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HalfClosed:
    """The client will send nothing more in this call."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A call is over without our doing: cancelled by the client, or broken and answered already."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Writable:
    """A stream that had no `room` has some."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The client has answered `ping`."""


@dataclass(frozen=True, slots=True)
class GoAway:
    """The client will begin no call any more."""


Event = Call | Message | HalfClosed | Cancelled | Writable | PingAnswered | GoAway
