"""One open call of the gRPC face, and how long things may take."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from opendmux.runtime.backend import Caller, PushStream
from opendmux.wire.grpc_status import Status

from ._grpc_callers import Shown

__all__ = ["KINDS", "REFLECTION", "GrpcTimes", "Kind", "OpenCall"]


@dataclass(frozen=True, slots=True)
class GrpcTimes:
    """What is waited for, in seconds."""

    handshake_s: float = 10.0
    """From the connection to the client's HTTP/2 settings."""
    request_s: float = 60.0
    """From a call's headers to the end of its request."""
    keepalive_s: float = 60.0
    """Silence after which the client is pinged."""
    pong_s: float = 20.0
    """For it to answer."""
    stall_s: float = 60.0
    """In which a client must take something of what is being sent to it."""
    goodbye_s: float = 5.0
    """For a push stream that ends to take what is queued, before its status overtakes that."""
    health_s: float = 1.0
    """How often a health watch looks."""
    linger_s: float = 1.0
    """Before a connection is closed, for our last bytes to be read."""


class Kind(enum.Enum):
    REQUEST = "/futu.service.FutuOpenD/Request"
    PUSH = "/futu.service.FutuOpenD/SubscribePush"
    CHECK = "/grpc.health.v1.Health/Check"
    WATCH = "/grpc.health.v1.Health/Watch"
    REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    REFLECT_ALPHA = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


KINDS: Final = {kind.value: kind for kind in Kind}
REFLECTION: Final = (Kind.REFLECT, Kind.REFLECT_ALPHA)


@dataclass(slots=True, eq=False)
class OpenCall:
    """One open call."""

    stream_id: int
    kind: Kind
    caller: Caller | None
    shown: Shown = field(repr=False)
    """The key by which the caller is known."""
    until: float | None
    due: float
    """When `expire` has to look at it; inf: never."""
    message: bytes | None = None
    asked: bool = False
    """The request is complete and being answered."""
    drop: Callable[[], None] | None = None
    """Frees what the backend keeps for it."""
    push: PushStream | None = None
    scope: trio.CancelScope | None = None
    overtaking: Status | None = None
    """What ends it when it is due, whatever is queued then; until that the queue may still be taken."""
    watched: int = -1
    """The health status that was sent last."""
