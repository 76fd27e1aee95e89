"""Whose account pushes go to whom (2008), and whether OpenD is unlocked (2005).

Trd_SubAccPush replaces the whole list of its connection. All clients share one connection here, so upstream gets the
union, and each client sees the accounts it named itself.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Accounts"]


class Accounts:
    """The accounts each owner wants pushes of.

    Invariant: `audience` of an account = the owners whose last list holds it; `union` = the accounts with an audience.
    """

    def __init__(self) -> None:
        self._by_owner: dict[int, frozenset[int]] = {}
        self._audience: dict[int, list[int]] = {}
        self.unlocked = False
        """The last 2005 that upstream accepted was an unlock. OpenD's lock does not depend on our connection."""

    def get(self, owner: int) -> frozenset[int]:
        """The owner's list."""
        return self._by_owner.get(owner, frozenset())

    def set(self, owner: int, acc_ids: Iterable[int]) -> bool:
        """Replace the owner's list (empty = none). True when the union has changed."""
        before = self.union()
        old = self._by_owner.pop(owner, frozenset())
        new = frozenset(acc_ids)
        for acc_id in old - new:
            owners = self._audience[acc_id]
            owners.remove(owner)
            if not owners:
                del self._audience[acc_id]
        for acc_id in new - old:
            self._audience.setdefault(acc_id, []).append(owner)
        if new:
            self._by_owner[owner] = new
        return self.union() != before

    def union(self) -> frozenset[int]:
        """What upstream must be asked for."""
        return frozenset(self._audience)

    def audience(self, acc_id: int) -> list[int]:
        """The owners that get the pushes of this account. Not to be changed by the caller."""
        return self._audience.get(acc_id, [])
