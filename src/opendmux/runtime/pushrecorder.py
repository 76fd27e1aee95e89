"""What is pushed to a session, recorded for streams that can be resumed, and the greeting of one that begins.

Both are slots of the switch that are emptied into events: the recorder's as soon as something is in it.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from opendmux.core.commands import Reply
from opendmux.core.events import GAP, PushEvent, event_of
from opendmux.core.identity import Session
from opendmux.core.pushring import PushRing, first_number

from .hub import Hub

__all__ = ["Greeted", "Reader", "Recorder", "SlotClient"]

TAKE_BYTES: Final = 256 * 1024


class Reader(Protocol):
    """Reads the ring at its own pace."""

    def flush(self) -> None:
        """There is something to read."""


class SlotClient:
    """A slot that takes pushes, as a client of the hub."""

    ordered = True
    session: Session

    def take_reply(self, _reply: Reply) -> bool:
        """See `Client`. Replies go to the desk."""
        return False

    def pause(self) -> None:
        """See `Client`. Nothing is read from it."""

    def resume(self) -> None:
        """See `Client`."""


class Recorder(SlotClient):
    """Puts whatever the session is pushed into the ring."""

    def __init__(self, hub: Hub, session: Session) -> None:
        self.session = session
        self.ring = PushRing(first_number(hub.wall()), hub.config.limits.push_ring_bytes)
        self.readers: set[Reader] = set()
        self.unread_since = trio.current_time()
        self._switch = hub.switch
        self._key = session.key
        self.slot = hub.open_stream_slot(self)

    def read(self, after: int, limit: int) -> tuple[list[PushEvent], int]:
        """See `PushRing.read`."""
        self._mind_the_key()
        return self.ring.read(after, limit)

    def _mind_the_key(self) -> None:
        """A key that was changed may see other things now: what it saw before is not shown to it any more."""
        key = self.session.key
        if key is not self._key:
            if key is None or self._key is None or key.sight != self._key.sight:
                self.ring.clear()
            self._key = key

    def record(self) -> None:
        """Take what waits in the slot."""
        self._mind_the_key()
        while frames := self._switch.take_frames(self.slot, TAKE_BYTES):
            for frame in frames:
                self.ring.append(event_of(frame))

    def flush(self) -> None:
        """See `Client`."""
        self.record()
        for reader in self.readers:
            reader.flush()

    def end(self, reason: str, *, flush_all: bool) -> None:  # noqa: ARG002
        """See `Client`: a push did not fit, for the memory of all outboxes is used up."""
        self.lose(counted=True)

    def lose(self, *, counted: bool) -> None:
        """See `PushRing.lose`."""
        self.record()
        self.ring.lose(counted=counted)
        self.flush()


class Greeted(SlotClient):
    """Takes the greeting of a stream that has no slot."""

    def __init__(self, hub: Hub, session: Session) -> None:
        self.session = session
        self._hub = hub
        self._full = False
        self.slot = hub.open_stream_slot(self)

    def close(self) -> list[PushEvent]:
        """What came."""
        events: list[PushEvent] = []
        while frames := self._hub.switch.take_frames(self.slot, TAKE_BYTES):
            events += [event_of(frame) for frame in frames]
        self._hub.close_stream_slot(self.slot)
        return [*events, PushEvent(0, "", 0, b"", GAP, 0)] if self._full else events

    def flush(self) -> None:
        """See `Client`."""

    def end(self, reason: str, *, flush_all: bool) -> None:  # noqa: ARG002
        """See `Client`: more was to be told than an outbox holds."""
        self._full = True
