"""How much the calls of one connection may send: their windows, and the memory for large requests.

A stream starts with a window of 64 KiB. When a message needs more, the window is opened for exactly that message once
the connection's budget for large requests has room for it, so that one which was let in can always become whole. It
keeps that room until it is answered; what a request unpacks to counts as well. The connection's own window is given
back at once, because what the streams may send is bounded.
"""

from __future__ import annotations

from collections import deque

from .grpc_engine import CONNECTION_WINDOW, Engine
from .grpc_stream import WINDOW, CallStream

__all__ = ["RequestBudget", "RequestWindows"]


class RequestWindows:
    """Of one connection. What it has opened waits in the engine to be sent."""

    def __init__(self, engine: Engine, budget_bytes: int) -> None:
        self.budget = RequestBudget(budget_bytes)
        self._engine = engine
        self._unacknowledged = 0

    def took(self, size: int) -> None:
        """So many bytes of the connection's window were used, by whatever stream."""
        self._unacknowledged += size
        if self._unacknowledged >= CONNECTION_WINDOW // 2:
            self._engine.increment_flow_control_window(self._unacknowledged)
            self._unacknowledged = 0

    def credit(self, stream: CallStream) -> None:
        """Let the call go on, after something of its request has come."""
        missing = stream.assembler.missing
        if missing > stream.credit:
            if not stream.reserved:
                self._grant(self.budget.ask(stream, missing))
            elif not stream.waiting:
                self._open(stream, missing - stream.credit)  # padding has used some up
        elif not missing and stream.credit < WINDOW // 2:
            self._open(stream, WINDOW - stream.credit)

    def release(self, stream: CallStream) -> None:
        """The call is answered or over: others get its room. Harmless when called again."""
        if stream.reserved:
            self._grant(self.budget.release(stream))

    def _grant(self, streams: list[CallStream]) -> None:
        for stream in streams:
            self._open(stream, max(stream.assembler.missing - stream.credit, 1))

    def _open(self, stream: CallStream, size: int) -> None:
        self._engine.increment_flow_control_window(size, stream.stream_id)
        stream.credit += size


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
