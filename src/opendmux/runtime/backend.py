"""What the faces that are not OpenD's own protocol (gRPC, HTTP) need of the proxy, and nothing more.

All calls are made from Trio's thread and none of them waits. A caller is a key's session: all connections that show
the same key share it, with its subscriptions, limits and streams. It lives as long as somebody is attached, and a
grace after that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import trio

from opendmux.core.denial import Denial
from opendmux.core.events import PushEvent
from opendmux.wire.frame import ProtoFmt

__all__ = ["Answer", "Backend", "Caller", "PushStream"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: OpenD's answer, or a denial (then ``body`` is still a whole Response that says so)."""

    ret_type: int
    ret_msg: str
    body: bytes
    denial: Denial | None = None
    proto_fmt: int = ProtoFmt.PROTOBUF
    """What ``body`` is: that of the request, as far as it is OpenD's."""


class PushStream(Protocol):
    """One open stream of pushes: quotes are conflated for a slow reader, fills and ticks are not."""

    wakeups: trio.MemoryReceiveChannel[None]
    """Gets an item when there may be something to take, or the stream has ended."""

    def take(self, limit: int) -> list[PushEvent]:
        """Whole events, oldest first: about ``limit`` bytes, at least one when there is any. [] = nothing now."""

    @property
    def ended(self) -> Denial | None:
        """Why nothing more will come (too slow, key revoked, drain); what was queued before is still to be taken.
        None: it goes on."""

    def close(self) -> None:
        """The client has gone. Idempotent."""


class Caller(Protocol):
    """A key's session as one connection sees it."""

    @property
    def key_id(self) -> str:
        """For logs; ``anonymous`` where no keys are configured."""

    def request(
        self,
        proto_id: int,
        body: bytes,
        *,
        until: float | None,
        answer: Callable[[Answer], None],
        proto_fmt: int = ProtoFmt.PROTOBUF,
    ) -> Callable[[], None]:
        """Ask. ``body``: a whole Request message in that format. ``answer`` is called exactly once, maybe before this
        returns. ``until``: Trio time at which the client gives up, None = the usual time. Returns what to call when
        nobody wants the answer any more; ``answer`` is not called after that, what has been sent upstream stays sent,
        and what still waits is not sent."""

    def open_stream(self, *, resume_from: int | None = None) -> PushStream | Denial:
        """A stream of everything that the key may see.

        ``resume_from`` None: a plain one. Otherwise its events have numbers, and it goes on after that one; what is not
        there any more is told by a gap event. 0: from now on, with the newest known quotes first, without a number.
        """

    def detach(self) -> None:
        """The connection does not use this caller any more. Idempotent."""


class Backend(Protocol):
    """The way in."""

    def admit(
        self, bearer: str | None, *, iface: str, peer: str, local: bool, certified: str | None = None
    ) -> Caller | Denial:
        """Who this is. ``bearer``: the plaintext key, None when the client showed none. ``iface``: ``grpc`` or
        ``http``; ``local``: the peer is on this machine; ``certified``: the key id that its certificate names, for a
        client that shows no key. To be called once per connection and key, and again for each request only when the
        key differs."""

    def together(self) -> AbstractContextManager[None]:
        """A block, without an ``await``, whose requests leave at its end, all at once: cheaper than one by one."""
