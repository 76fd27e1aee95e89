"""One call as the connection keeps it: its request's window, its queue of replies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from .grpc_message import PREFIX_LEN, Assembler, prefix
from .grpc_status import Status

__all__ = ["WINDOW", "CallStream", "RequestBudget"]

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


class RequestBudget:
    """Room for requests that are larger than a window: first come, first served, and one always."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiters: deque[CallStream] = deque()

    def ask(self, stream: CallStream, size: int) -> list[CallStream]:
        """``stream`` needs so many bytes. Returns the streams that have got what they asked for."""
        stream.reserved = size
        stream.waiting = True
        self._waiters.append(stream)
        return self._grant()

    def charge(self, stream: CallStream, size: int) -> bool:
        """``stream`` has so many bytes, which were not asked for. False: there is no room for them. What fits into a
        window counts for nothing, as always."""
        if size <= WINDOW:
            return True
        if self._used > (0 if stream.waiting else stream.reserved) and self._used + size > self._size:
            return False
        self._used += size
        if stream.waiting:
            self._waiters.remove(stream)
            stream.waiting = False
            stream.reserved = 0
        stream.reserved += size
        return True

    def release(self, stream: CallStream) -> list[CallStream]:
        """It is answered or over. Returns the streams that have got theirs now."""
        if not stream.reserved:
            return []
        if stream.waiting:
            self._waiters.remove(stream)
            stream.waiting = False
        else:
            self._used -= stream.reserved
        stream.reserved = 0
        return self._grant()

    def _grant(self) -> list[CallStream]:
        granted: list[CallStream] = []
        while self._waiters:
            stream = self._waiters[0]
            if self._used and self._used + stream.reserved > self._size:
                break
            self._waiters.popleft()
            stream.waiting = False
            self._used += stream.reserved
            granted.append(stream)
        return granted
