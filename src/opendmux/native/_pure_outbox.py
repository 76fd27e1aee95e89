"""The outbox of one slot, executable specification: an ordered and a conflating lane (see `_switch.pyi`).

The ordered lane is a list of whole frames and of placeholders. A placeholder stands for a frame that is still held
back; what comes behind it waits. Only the first frame of the lane can be half sent.
"""

from __future__ import annotations


class Budget:
    """The bytes in all outboxes together, and their bound."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Outbox:
    """Two lanes of frames, bounded by ``limit`` bytes and by the common budget."""

    __slots__ = (
        "_conflating",
        "_half_sent",
        "_lane",
        "_limit",
        "_oversize",
        "_total",
        "lane_bytes",
        "truncated",
        "used",
    )

    def __init__(self, limit: int, total: Budget) -> None:
        self._limit = limit
        self._oversize = 0  # of a frame over the limit that an empty outbox took; until it is empty again
        self._total = total
        self._lane: list[bytes | int] = []  # a placeholder is its ticket
        self._half_sent = 0  # bytes of the first frame that are gone
        self._conflating: dict[object, bytes] = {}
        self.lane_bytes = 0
        """Unsent bytes of the ordered lane."""
        self.used = 0
        """Unsent bytes of both lanes."""
        self.truncated = False
        """Nothing more is taken."""

    def _account(self, lane: int, conflating: int = 0) -> None:
        self.lane_bytes += lane
        self.used += lane + conflating
        self._total.used += lane + conflating

    def _fits(self, size: int, replaced: int = 0) -> bool:
        if self.truncated:
            return False
        growth = size - replaced
        if self.used == replaced:
            self._note_first(size)
            return True
        if growth <= 0:
            return True
        return self.used + growth <= self._limit + self._oversize and self._total.used + growth <= self._total.limit

    def _note_first(self, size: int) -> None:
        """An empty outbox takes this frame."""
        self._oversize = size if size > self._limit else 0

    def append(self, frame: bytes) -> bool:
        if not self._fits(len(frame)):
            return False
        self._lane.append(frame)
        self._account(len(frame))
        return True

    def conflates(self) -> bool:
        """True when a frame with a key belongs into the conflating lane.

        Also when that lane alone holds something: a newer frame must not get ahead of an older one of its key.
        """
        return bool(self._lane or self._conflating)

    def conflate(self, key: object, frame: bytes) -> tuple[bool, bool]:
        """Keep the newest frame of ``key`` at the place of the oldest; (taken, an older one was replaced)."""
        old = self._conflating.get(key, b"")
        if not self._fits(len(frame), len(old)):
            return False, False
        self._conflating[key] = frame
        self._account(0, len(frame) - len(old))
        return True, bool(old)

    def hold(self, ticket: int) -> None:
        if not self.truncated:
            self._lane.append(ticket)

    def held(self) -> int:
        return sum(isinstance(item, int) for item in self._lane)

    def release(self, ticket: int, frame: bytes) -> bool:
        """No bound is asked: the frame was in memory before, in the hands of who held it."""
        if ticket not in self._lane:
            return False
        if self.used == 0:
            self._note_first(len(frame))
        place = self._lane.index(ticket)
        self._lane[place : place + 1] = [frame] if frame else []
        self._account(len(frame))
        return True

    def _sendable_frames(self) -> list[bytes]:
        """The frames in front of the first placeholder, the half-sent one in full."""
        frames = []
        for item in self._lane:
            if isinstance(item, int):
                break
            frames.append(item)
        return frames

    def _sendable(self) -> bytes:
        return b"".join(self._sendable_frames())[self._half_sent :]

    def has_bytes_to_send(self) -> bool:
        return bool(self._sendable_frames() or (self._conflating and not self._lane))

    def _refill(self) -> None:
        """Move the conflating lane into an empty ordered lane."""
        if not self._lane:
            frames = list(self._conflating.values())
            size = sum(map(len, frames))
            self._lane.extend(frames)
            self._conflating.clear()
            self._account(size, -size)

    def out(self, limit: int) -> bytes:
        self._refill()
        sendable = self._sendable()
        return sendable[:limit] if limit else sendable

    def sent(self, count: int) -> int:
        """Take ``count`` bytes off; returns how many frames became complete by that."""
        if not 0 <= count <= len(self._sendable()):
            raise ValueError("more bytes sent than there were")
        self._account(-count)
        done = 0
        self._half_sent += count
        for frame in self._sendable_frames():
            if self._half_sent < len(frame):
                break
            self._half_sent -= len(frame)
            del self._lane[0]
            done += 1
        return done

    def take_frames(self, limit: int) -> list[bytes]:
        if self._half_sent:
            raise ValueError("a frame is half sent")
        self._refill()
        frames: list[bytes] = []
        for frame in self._sendable_frames():
            if frames and sum(map(len, frames)) + len(frame) > limit:
                break
            frames.append(frame)
        self.sent(sum(map(len, frames)))
        return frames

    def to_boundary(self) -> int:
        return len(self._sendable_frames()[0]) - self._half_sent if self._half_sent else 0

    def truncate(self) -> int:
        kept = self.to_boundary()
        dropped = self.used - kept
        self._lane = self._lane[:1] if kept else []
        self._account(kept - self.lane_bytes, -(self.used - self.lane_bytes))
        self._conflating.clear()
        self.truncated = True
        return dropped

    def close(self) -> None:
        """Give the bytes back to the common budget."""
        self._account(-self.lane_bytes, -(self.used - self.lane_bytes))
