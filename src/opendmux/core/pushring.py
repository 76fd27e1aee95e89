"""The recent pushes of one key's session, numbered, so that a stream that broke can go on where it was.

Theory of operation. Everything that a recorder takes gets the next number; the newest ones are kept, as many as fit
into a bound of bytes. A reader is nothing but the number of the last event that it has. What it asks for and is not
there any more is told by one event, a gap, never left out in silence. A reader that is far behind is spared quotes that
a newer one has replaced, so numbers may jump; only a gap is a loss.

Numbers begin at the wall clock's microseconds, so that those of an earlier session of the same key, which nobody kept,
are smaller than all numbers of this one, and are still exact in a JSON number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_int32_untrusted
from opendmux.wire.protocols import ProtoId

from .events import GAP, PushEvent

__all__ = ["EVENT_BYTES", "PushRing", "first_number", "number_untrusted"]

EVENT_BYTES: Final = 400
"""What an event costs beside its body."""
FAR_BEHIND: Final = 4
"""A reader for whom more than this part of the ring waits is spared what was replaced."""
KL_REHAB_TYPE: Final = bytes([4, 1])
NUMBER: Final = re.compile(r"[0-9]{1,20}")
NUMBERS: Final = 2**64
"""On the wire they have 64 bits."""

REPLACED_BY_NEWER: Final = frozenset(
    {
        ProtoId.QOT_UPDATE_BASIC_QOT,
        ProtoId.QOT_UPDATE_KL,
        ProtoId.QOT_UPDATE_RT,
        ProtoId.QOT_UPDATE_ORDER_BOOK,
        ProtoId.QOT_UPDATE_BROKER,
        ProtoId.QOT_UPDATE_EVENT_CONTRACT_ORDER_BOOK,
    }
)
"""Pushes of a state. Ticks, orders, fills and notices are all wanted."""


def first_number(wall: float) -> int:
    """Where the numbers of a session begin that begins now."""
    return int(wall * 1_000_000)


def number_untrusted(text: str) -> int:
    """The number of an event as a client writes it. Raises RemoteProtocolError."""
    if not NUMBER.fullmatch(text) or int(text) >= NUMBERS:
        raise RemoteProtocolError("this is not the number of an event")
    return int(text)


@dataclass(frozen=True, slots=True)
class _Kept:
    event: PushEvent
    key: Hashable
    """Under which a newer event replaces this one; None: nothing does."""
    end: int
    """Bytes recorded up to this event, it included, since the beginning."""


class PushRing:
    """See above. ``base``: the number before the first one. ``limit_bytes``: of what is kept; the newest event is kept
    whatever its size."""

    def __init__(self, base: int, limit_bytes: int) -> None:
        self.last = base
        """The newest number that was given."""
        self._limit = limit_bytes
        self._kept: list[_Kept] = []
        self._head = 0
        """Where in the list the ring begins; what is before it is gone and swept now and then."""
        self._newest: dict[Hashable, int] = {}
        """By key: the number of the newest event."""
        self._begin = self._end = 0
        """Bytes recorded up to the oldest kept event, it excluded, and up to the newest, since the beginning."""

    @property
    def kept_bytes(self) -> int:
        """What the ring holds."""
        return self._end - self._begin

    def append(self, event: PushEvent) -> None:
        """Take the newest event and give it its number."""
        self._append(event, _key_of(event))

    def lose(self, *, counted: bool = True) -> None:
        """Something came that could not be taken, or (not ``counted``) nobody knows what has not come: whoever reads
        past here is told."""
        number = self.last + 1 if counted else 0
        self._append(_gap(number, number), None)

    def clear(self) -> None:
        """Nothing of what is kept may be told any more."""
        self._kept.clear()
        self._newest.clear()
        self._head, self._begin = 0, self._end

    def read(self, after: int, limit: int) -> tuple[list[PushEvent], int]:
        """(What comes after this number, oldest first; the number to go on with).

        About ``limit`` bytes, at least one event where there is any. The first one is a gap where something that a
        reader of that number does not have is not there any more; a number that is not of this ring is one with
        everything missed, and goes on with what comes from now on.
        """
        oldest = self.last + 1 - (len(self._kept) - self._head)
        events: list[PushEvent] = []
        if after > self.last:
            return [replace(_gap(0, 0), seq=self.last)], self.last
        if after < oldest - 1:
            events.append(_gap(after + 1, oldest - 1))
            after = oldest - 1
        size = 0
        for kept in self._kept[self._head + after + 1 - oldest :] if after < self.last else ():
            if size >= limit:
                break
            after = kept.event.seq
            replaced = kept.key is not None and self._newest[kept.key] != after
            if replaced and (self._end - kept.end) * FAR_BEHIND > self._limit:
                continue
            events.append(kept.event)
            size += len(kept.event.body) + EVENT_BYTES
        return events, after

    def _append(self, event: PushEvent, key: Hashable) -> None:
        self.last += 1
        self._end += len(event.body) + EVENT_BYTES
        self._kept.append(_Kept(replace(event, seq=self.last), key, self._end))
        if key is not None:
            self._newest[key] = self.last
        while self.kept_bytes > self._limit and len(self._kept) - self._head > 1:
            gone = self._kept[self._head]
            self._head += 1
            self._begin = gone.end
            if gone.key is not None and self._newest[gone.key] == gone.event.seq:
                del self._newest[gone.key]
        if self._head > len(self._kept) // 2:
            del self._kept[: self._head]
            self._head = 0


def _gap(first: int, last: int) -> PushEvent:
    return PushEvent(0, "", 0, b"", GAP, 0, last, first, last)


def _key_of(event: PushEvent) -> Hashable:
    if event.proto_id not in REPLACED_BY_NEWER or not event.sec_key:
        return None
    rehab_type = 0
    if event.proto_id == ProtoId.QOT_UPDATE_KL:
        try:
            rehab_type = read_int32_untrusted(event.body, KL_REHAB_TYPE) or 0
        except RemoteProtocolError:
            return None
    return event.proto_id, event.sec_key, event.sub_type, rehab_type
