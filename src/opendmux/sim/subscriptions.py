"""Who has subscribed to what: quota over all connections, the 60-second rule, push registration. ``now`` is passed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .refusal import Refused
from .securities import SecKey

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["REHAB_FORWARD", "SubKey", "Subscription", "Subscriptions"]

REHAB_FORWARD = 1

SubKey = tuple[SecKey, int]
"""(security, SubType): one unit of quota, on however many connections."""


@dataclass(slots=True)
class Subscription:
    """One pair on one connection."""

    since: float
    pushed: bool = False
    """Registered for pushes."""
    rehab_types: set[int] = field(default_factory=lambda: {REHAB_FORWARD})
    """RehabTypes of K-line pushes."""


class Subscriptions:
    """The books of one OpenD. Connections are known by their number."""

    def __init__(self, quota: int, min_age_s: float) -> None:
        self.quota = quota
        self.min_age_s = min_age_s
        self.ever: dict[SubKey, int] = {}
        """How often each pair was subscribed, since the start."""
        self._of: dict[int, dict[SubKey, Subscription]] = {}
        self._by_security: dict[SecKey, dict[int, dict[int, Subscription]]] = {}
        self._lingering: dict[SubKey, float] = {}
        """Pairs of closed connections that still use quota, and until when."""

    def of(self, connection: int) -> dict[SubKey, Subscription]:
        """The subscriptions of one connection."""
        return self._of.get(connection, {})

    def by_security(self, key: SecKey) -> dict[int, dict[int, Subscription]]:
        """SubType -> connection -> subscription."""
        return self._by_security.get(key, {})

    @property
    def watched(self) -> Iterable[SecKey]:
        """Securities somebody has subscribed."""
        return self._by_security.keys()

    def used(self, now: float) -> int:
        """Quota in use."""
        return len(self._units(now))

    def subscribe(self, connection: int, pairs: list[SubKey], now: float) -> None:
        """Add all pairs or none. Raises Refused when they do not fit into the quota."""
        units = self._units(now)
        needed = len(units | set(pairs)) - len(units)
        if len(units) + needed > self.quota:
            left = max(0, self.quota - len(units))
            raise Refused(f"subscription quota exceeded: {needed} more needed, {left} left of {self.quota}")
        mine = self._of.setdefault(connection, {})
        for pair in pairs:
            self.ever[pair] = self.ever.get(pair, 0) + 1
            if pair not in mine:
                key, sub_type = pair
                mine[pair] = Subscription(now)
                self._by_security.setdefault(key, {}).setdefault(sub_type, {})[connection] = mine[pair]

    def unsubscribe(self, connection: int, pairs: Iterable[SubKey], now: float) -> None:
        """Give up all pairs or none; unknown ones are passed over. Raises Refused when one is too young."""
        mine = self.of(connection)
        known = [pair for pair in pairs if pair in mine]
        for pair in known:
            age = now - mine[pair].since
            if age < self.min_age_s:
                (_, code), sub_type = pair
                raise Refused(
                    f"can't unsubscribe {code} (SubType {sub_type}) yet: it was subscribed {age:.0f} s ago, "
                    f"the least is {self.min_age_s:g} s"
                )
        for pair in known:
            self._remove(connection, pair)

    def register(self, connection: int, pairs: list[SubKey], rehab_types: Iterable[int]) -> None:
        """Switch pushes on. Raises Refused, and changes nothing, when a pair is not subscribed."""
        for pair in pairs:
            self.need(connection, *pair)
        for pair in pairs:
            subscription = self._of[connection][pair]
            subscription.pushed = True
            subscription.rehab_types = set(rehab_types) or {REHAB_FORWARD}

    def unregister(self, connection: int, pairs: Iterable[SubKey]) -> None:
        """Switch pushes off. Unknown pairs are passed over: the Python SDK unregisters after it has unsubscribed."""
        mine = self.of(connection)
        for pair in pairs:
            if pair in mine:
                mine[pair].pushed = False

    def need(self, connection: int, key: SecKey, sub_type: int) -> None:
        """Raises Refused unless that connection has that subscription."""
        if (key, sub_type) not in self.of(connection):
            raise Refused(f"please subscribe {key[1]} with SubType {sub_type} first")

    def drop(self, connection: int, now: float) -> None:
        """The connection is gone: its young subscriptions go on using quota until they are old enough."""
        for pair, subscription in list(self.of(connection).items()):
            self._remove(connection, pair)
            until = subscription.since + self.min_age_s
            if until > now:
                self._lingering[pair] = max(until, self._lingering.get(pair, until))
        self._of.pop(connection, None)

    def _units(self, now: float) -> set[SubKey]:
        for pair in [pair for pair, until in self._lingering.items() if until <= now]:
            del self._lingering[pair]
        return set(self._lingering).union(*self._of.values())

    def _remove(self, connection: int, pair: SubKey) -> None:
        key, sub_type = pair
        del self._of[connection][pair]
        holders = self._by_security[key]
        del holders[sub_type][connection]
        if not holders[sub_type]:
            del holders[sub_type]
        if not holders:
            del self._by_security[key]
