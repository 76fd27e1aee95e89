"""Whether keys are alive: those that have orders which must not outlive them.

Two questions are asked of a key with open orders. Is anybody there? Its last connection, whatever the protocol, may
have ended; after its grace that counts (``cancel_on_disconnect``). Does it live? A program can hang while its SDK goes
on with KeepAlive; a key that says nothing else for ``dead_man_s`` counts as dead, connected or not.

What an SDK sends by itself is no sign of life: `AUTOMATIC`. A key that was found dead is on cancel-only (`freezes`)
until a read of it comes: an order would not do, for it may have been thought out before the program hung.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from opendmux.wire.protocols import ProtoId

from .freezes import Freeze, Freezes, FrozenMode, is_order
from .parking import PARKED_IDS

__all__ = ["AUTOMATIC", "START_S", "Guard", "LifeSigns", "Missing", "dead_man"]

AUTOMATIC: Final = PARKED_IDS | {ProtoId.INIT_CONNECT, ProtoId.KEEP_ALIVE, ProtoId.GET_GLOBAL_STATE}
"""InitConnect, KeepAlive, and what SDKs ask when they connect again: subscriptions, unlock, account list and pushes."""

START_S: Final = 60.0
"""After a start of the proxy every key has at least so long to come back and to speak: SDKs wait some seconds between
two attempts, and all of them come at once."""


class Guard(NamedTuple):
    """What a key wants. None: not that."""

    grace_s: float | None
    dead_man_s: float | None


class Missing(NamedTuple):
    """A key whose orders are to be cancelled."""

    key_id: str
    why: Literal["gone", "silent"]
    seconds: float
    """For how long it has not been there, or has not spoken."""

    @property
    def what(self) -> str:
        """What is done about it, as log and audit call it."""
        return "cancel on disconnect" if self.why == "gone" else "dead man"


@dataclass(slots=True)
class LifeSigns:
    """All keys of the process. ``begun``: when it started, in Trio seconds."""

    freezes: Freezes
    begun: float = 0.0
    _seen: set[str] = field(default_factory=set)
    """Keys that have been there since the start."""
    _gone: dict[str, float] = field(default_factory=dict)
    """By key: since when nobody is there."""
    _there: dict[str, float] = field(default_factory=dict)
    """By key: when somebody was there last."""
    _spoke: dict[str, float] = field(default_factory=dict)
    """By key: when it showed life last."""
    _told: set[str] = field(default_factory=set)
    """Keys that were found dead and have not spoken since."""

    def heard(self, key_id: str, proto_id: int, now: float) -> bool:
        """A request of this key. True: it ends what a dead-man timer had put the key under."""
        self._seen.add(key_id)
        self._there[key_id] = now
        if key_id in self._gone:
            self._gone[key_id] = now
        freeze = self.freezes.silent(key_id)
        if proto_id in AUTOMATIC or (freeze is not None and is_order(proto_id)):
            return False
        self._spoke[key_id] = now
        self._told.discard(key_id)
        return freeze is not None and self.freezes.lift(freeze)

    def look(
        self, guards: Mapping[str, Guard], present: Collection[str], open_orders: Mapping[str, int], now: float
    ) -> list[Missing]:
        """Who is missing at this moment; one that is gone is said every time, one that is silent once. Who is both is
        said as silent first: that needs no outage to be over."""
        found = []
        for key_id, guard in guards.items():
            gone_s = self._gone_s(key_id, now, is_there=key_id in present)
            if not open_orders.get(key_id):
                self._told.discard(key_id)
                continue
            if guard.dead_man_s is not None and key_id not in self._told:
                silent_s = now - self._spoke.get(key_id, self.begun)
                if silent_s >= _patience(guard.dead_man_s, key_id in self._spoke):
                    self._told.add(key_id)
                    found.append(Missing(key_id, "silent", silent_s))
            patience = math.inf if guard.grace_s is None else _patience(guard.grace_s, key_id in self._seen)
            if gone_s is not None and gone_s >= patience:
                found.append(Missing(key_id, "gone", gone_s))
        return found

    def time_s(self, missing: Missing, guard: Guard) -> float:
        """How long the key has to come back, or to speak; 0 where it has not asked for that."""
        if missing.why == "gone":
            return _patience(guard.grace_s or 0.0, missing.key_id in self._seen)
        return _patience(guard.dead_man_s or 0.0, missing.key_id in self._spoke)

    def last_there(self, key_id: str) -> float:
        """When somebody was seen there last; minus infinity for never."""
        return self._there.get(key_id, -math.inf)

    def back(self, key_id: str, guard: Guard, now: float) -> bool:
        """A key that was gone has been there since; should it be gone again, its grace has begun anew."""
        since = self._gone.get(key_id)
        return since is None or now - since < _patience(guard.grace_s or 0.0, key_id in self._seen)

    def _gone_s(self, key_id: str, now: float, *, is_there: bool) -> float | None:
        """For how long nobody has been there; None: somebody is."""
        if is_there:
            self._seen.add(key_id)
            self._there[key_id] = now
            self._gone.pop(key_id, None)
            return None
        return now - self._gone.setdefault(key_id, now if key_id in self._seen else self.begun)


def _patience(seconds: float, since_start: bool) -> float:
    """``since_start``: the key has been heard of since the start."""
    return seconds if since_start else max(seconds, START_S)


def dead_man(key_id: str, wall: float, seconds: float) -> Freeze:
    """What a key that was found dead is under."""
    why = f"it showed no life for {seconds:.0f} s"
    return Freeze(key_id, FrozenMode.CANCEL_ONLY, wall, "its dead-man timer", why, silent=True)
