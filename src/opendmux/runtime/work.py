"""What core has taken from a client and not answered yet, and what waits for its turn behind it.

The switch counts the requests it passed on; what goes through core may be asked in other words, wait for a window, be
joined to another's question or be parked. It is counted here, so that one client can't pile up more of it than of the
others, and so that a drain waits for it.
"""

from __future__ import annotations

from collections import Counter, deque

from opendmux.native import FRAME, ClientEvent

__all__ = ["Work"]


class Work:
    """Of one client. ``limit``: requests that core may have open for it at a time."""

    def __init__(self, limit: int) -> None:
        self.backlog: deque[ClientEvent] = deque()
        """In order of arrival; at most what one chunk brought, for a client with a backlog is not read."""
        self.running = False
        """The backlog is being worked off: nobody else may begin."""
        self._limit = limit
        self._open: Counter[tuple[int, int]] = Counter()
        self._count = 0

    def next(self) -> ClientEvent | None:
        """The next event whose turn has come; None at the limit, or when there is none."""
        if not self.backlog or self._count >= self._limit:
            return None
        event = self.backlog.popleft()
        if event.kind == FRAME:
            self._open[event.proto_id, event.serial_no] += 1
            self._count += 1
        return event

    def done(self, proto_id: int, serial_no: int) -> None:
        """A request has been answered, or is the switch's to count from now on. Others are ignored."""
        key = (proto_id, serial_no)
        if self._open[key] > 1:
            self._open[key] -= 1
            self._count -= 1
        elif self._open.pop(key, 0):
            self._count -= 1

    @property
    def idle(self) -> bool:
        """Nothing open, nothing waiting."""
        return not self._count and not self.backlog
