"""Watches what all OpenDs of one process share: keys that expire, and the audit log. Looked at about once a second."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from .conditions import Conditions, Kind
from .keys import Key

__all__ = ["HouseWatch"]

KEYS_S: Final = 10.0
"""How often keys are looked at; a reload of the keys file is seen within this time."""

DAY_S: Final = 86_400.0


class HouseWatch:
    """``now``: Trio seconds, ``wall``: UTC seconds."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._keys_at = 0.0
        self._expiring: set[str] = set()

    def audit(self, path: str, *, trusted: bool, now: float) -> None:
        """The log at ``path`` can be written, or not."""
        if trusted:
            self._conditions.over(Kind.AUDIT, path, now)
        else:
            self._conditions.begin(Kind.AUDIT, path, now)

    def keys(self, keys: Iterable[Key], now: float, wall: float, days: float) -> None:
        """Which of them expire within so many days, or have; 0 for no such warning."""
        if now < self._keys_at:
            return
        self._keys_at = now + KEYS_S
        soon = {
            key.id: key.expires_at
            for key in keys
            if days and key.expires_at is not None and key.expires_at - wall <= days * DAY_S
        }
        for key_id in self._expiring - soon.keys():
            self._conditions.over(Kind.KEY_EXPIRING, key_id, now)
        for key_id, expires in soon.items():
            when = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d %H:%M UTC")
            cause, word = ("expired", "Expired") if expires <= wall else ("", "Expires")
            self._conditions.begin(Kind.KEY_EXPIRING, key_id, now, f"{word}: {when}.", cause=cause)
        self._expiring = set(soon)
