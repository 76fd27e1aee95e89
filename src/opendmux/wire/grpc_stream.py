"""One call as the connection keeps it: what is left of its window, its queue of replies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from .grpc_message import PREFIX_LEN, Assembler, prefix
from .grpc_status import Status

__all__ = ["WINDOW", "CallStream"]

WINDOW: Final = 65_535
"""A stream's window while it sends small messages: HTTP/2's default."""
_JOIN_MAX: Final = 16_384
"""Larger messages are not copied to put their prefix before them."""


@dataclass(slots=True, eq=False)
class CallStream:
    """One stream."""

    stream_id: int
    assembler: Assembler
    credit: int = WINDOW
    """Bytes that the client may still send."""
    reserved: int = 0
    """Of the budget for large requests."""
    waiting: bool = False
    """For that budget."""
    half_closed: bool = False
    """The client has sent all."""
    head_sent: bool = False
    status: Status | None = None
    """The end, once the queue is empty."""
    in_turn: bool = False
    """It is in the round robin."""
    queued: int = 0
    """Bytes that have not been sent."""
    queue: deque[bytes] = field(default_factory=deque)
    sent: int = 0
    """Bytes of the first of the queue that have gone."""

    def put(self, message: bytes) -> int:
        """Queue a message; returns how many bytes that is."""
        size = PREFIX_LEN + len(message)
        if size <= _JOIN_MAX:
            self.queue.append(prefix(len(message)) + message)
        else:
            self.queue += (prefix(len(message)), message)
        self.queued += size
        return size

    def cut(self, limit: int) -> bytes:
        """Take up to so many bytes for one frame."""
        pieces: list[bytes] = []
        size = 0
        while self.queue and size < limit:
            first = self.queue[0]
            piece = first[self.sent : self.sent + limit - size]
            pieces.append(piece)
            size += len(piece)
            self.sent += len(piece)
            if self.sent == len(first):
                self.queue.popleft()
                self.sent = 0
        self.queued -= size
        return b"".join(pieces)

    def discard(self) -> int:
        """Drop what has not been sent; returns how many bytes."""
        dropped = self.queued
        self.queued = self.sent = 0
        self.queue.clear()
        return dropped
