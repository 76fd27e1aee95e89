"""Who may trade for real, given that OpenD has one lock for everybody.

``shared`` is OpenD's own behaviour: one unlock opens trading for all, a lock closes it for all. ``own`` makes it
personal: a client trades for real only after a 2005 of its own was accepted, and its lock is passed to OpenD only
when nobody else needs it open.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["Mode", "Unlock"]

Mode = Literal["shared", "own"]


class Unlock:
    """The lock as far as we know. OpenD keeps it over lost connections, so it is not touched by an outage."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.open = False
        """The last unlock or lock that OpenD accepted was an unlock, and no write was refused for want of it since."""
        self._owners: set[int] = set()

    def accepted(self, owner: int, *, unlock: bool) -> None:
        """OpenD has accepted a 2005 of this owner."""
        if unlock:
            self.open = True
            self._owners.add(owner)
        else:
            self._owners.discard(owner)
            if self.mode == "shared" or not self._owners:
                self.open = False
                self._owners.clear()

    def stays_here(self, owner: int) -> bool:
        """A lock of this owner must not reach OpenD, because others have unlocked for themselves."""
        return self.mode == "own" and bool(self._owners - {owner})

    def may_trade(self, owner: int) -> bool:
        """A real-environment write of this owner may be sent; OpenD's own check comes after it."""
        return self.mode == "shared" or owner in self._owners

    def refused(self) -> None:
        """OpenD refused a write because it is locked: somebody locked it elsewhere, or it was restarted."""
        self.open = False
        self._owners.clear()

    def forget(self, owner: int) -> None:
        """The owner is gone. OpenD stays unlocked, as it does when a client of its own leaves."""
        self._owners.discard(owner)
