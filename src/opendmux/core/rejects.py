"""What was turned away lately, for people who look: a short list, never a log.

The same refusal again counts on the line that is there, so that one program in a loop can't push everybody else's off
the list.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

__all__ = ["KEPT", "Cause", "Reject", "Rejects"]

KEPT: Final = 50
TEXT_MAX: Final = 300
"""Characters of one text: a client chooses some of them."""


class Cause(NamedTuple):
    """Who was refused what, and why."""

    transport: str
    peer: str
    key_id: str
    client_id: str
    proto_id: int
    """0 where it was no request: somebody without a good key."""
    kind: str
    """As `DenialKind`."""
    reason: str


class Reject(NamedTuple):
    """One line of the list."""

    cause: Cause
    text: str
    """The sentence of the latest one."""
    times: int
    wall: float
    """Of the latest one, in UTC seconds."""


class Rejects:
    """One per process."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lines: OrderedDict[Cause, Reject] = OrderedDict()

    def add(self, cause: Cause, text: str, wall: float) -> None:
        """Put one more down."""
        before = self._lines.pop(cause, None)
        self._lines[cause] = Reject(cause, text[:TEXT_MAX], 1 if before is None else before.times + 1, wall)
        if len(self._lines) > self._kept:
            self._lines.popitem(last=False)

    def newest_first(self) -> list[Reject]:
        return list(reversed(self._lines.values()))
