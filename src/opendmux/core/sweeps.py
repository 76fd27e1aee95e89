"""The cancelling of a missing key's orders: what is asked next, and what an answer means.

A sweep goes in passes. A pass looks first (2201, account by account), lets go of what is final, and then cancels what
is open, one order after the other. The next pass looks again after a while: a cancel is taken by OpenD long before the
exchange has done it, and one whose outcome nobody knows is never sent again unless OpenD's list says that the order is
still open. The sweep is over when nothing is left, or when its key is back: then no further pass is begun, for somebody
is in charge again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .custody import Account, Custody, Placed

__all__ = ["Cancel", "Look", "Sweep", "Wait"]

WAITS_S: Final[Sequence[float]] = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Between passes; the last one again and again. A look costs one of OpenD's 10 per 30 seconds of an account."""
TAKEN_S: Final = 5.0
"""At most so long after a pass in which OpenD took a cancel."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask OpenD for the orders of this account."""

    account: Account


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel this order."""

    placed: Placed


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until then, in Trio seconds."""

    until: float


Step: TypeAlias = "Look | Cancel | Wait | None"


@dataclass(slots=True)
class Sweep:
    """Of one key at one OpenD. One step at a time: `step`, then what came of it."""

    key_id: str
    custody: Custody
    cancelled: int = 0
    """Cancels that OpenD took."""
    vanished: int = 0
    """Orders that were let go, though OpenD has never said how they ended."""
    trouble: str = ""
    """Why something could not be done in the latest pass; empty when all could."""
    _accounts: deque[Account] = field(default_factory=deque)
    _open: deque[Placed] = field(default_factory=deque)
    _passes: int = 0
    _until: float | None = None
    _trouble: str = ""
    _taken: bool = False

    @property
    def summary(self) -> str:
        """What has come of it so far, in words."""
        left = len(self.custody.of(self.key_id))
        vanished = f", {self.vanished} let go of which OpenD has no word" if self.vanished else ""
        return f"{self.cancelled} cancels, {left} orders left{vanished}"

    def step(self, now: float, *, back: bool) -> Step:
        """What to do next; None: it is over. ``back``: the key is there again."""
        if self._accounts:
            return Look(self._accounts[0])
        kept = self.custody.of(self.key_id)
        while self._open and self._open[0] not in kept:  # it has ended since the look, or was let go
            self._open.popleft()
        if self._open:
            return Cancel(self._open[0])
        if self._until is None and self._passes:
            self.trouble, self._trouble = self._trouble, ""
            wait_s = WAITS_S[min(self._passes, len(WAITS_S)) - 1]
            self._until = now + (min(wait_s, TAKEN_S) if self._taken else wait_s)
            self._taken = False
        if not kept or (back and self._passes):
            return None
        if self._until is not None and now < self._until:
            return Wait(self._until)
        self._passes, self._until = self._passes + 1, None
        self._accounts.extend(dict.fromkeys(order.account for order in kept))
        return Look(self._accounts[0])

    def looked(self, still_open: Sequence[Placed], unsure: int = 0) -> None:
        """OpenD has told; these are open. ``unsure``: so many should be in its list, and are not."""
        self._accounts.popleft()
        self._open.extend(still_open)
        if unsure:
            self._trouble = f"{unsure} of them not in OpenD's list, where they are looked for again."

    def not_looked(self, why: str) -> None:
        """OpenD has not told: nothing of this account is cancelled in this pass, the next one looks again."""
        self._accounts.popleft()
        self._trouble = why

    def taken(self) -> None:
        """OpenD has taken the cancel; whether it is done, the next look shows."""
        self._open.popleft()
        self.cancelled += 1
        self._taken = True

    def refused(self, why: str) -> None:
        """It was refused, not sent, or nobody knows."""
        self._open.popleft()
        self._trouble = why

    def held(self, why: str) -> None:
        """Nothing may be cancelled now: the rest of this pass is left out."""
        self._open.clear()
        self._trouble = why
