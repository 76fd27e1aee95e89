"""What the gate decided, counted for the metrics: who came in, whom a limit turned away, which pushes were kept back.

Labels come from keys files and from clients, so each counter has a bound: a series beyond it is counted under
``<other>`` in place of its key id, and nothing grows for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["OTHER", "SERIES_MAX", "Series", "Tally"]

SERIES_MAX: Final = 2000
"""Series of one counter: a hundred keys with all their outcomes on all transports, and a scrape of some 200 kB."""
OTHER: Final = "<other>"


class Series:
    """One counter with labels. ``folded``: the position of the label that gives way when there are too many."""

    def __init__(self, folded: int, bound: int = SERIES_MAX) -> None:
        self._counts: dict[tuple[str, ...], int] = {}
        self._folded = folded
        self._bound = bound

    def add(self, labels: tuple[str, ...], count: int = 1) -> None:
        counts = self._counts
        if labels not in counts and len(counts) >= self._bound:
            labels = (*labels[: self._folded], OTHER, *labels[self._folded + 1 :])
            if labels not in counts and len(counts) >= 2 * self._bound:
                labels = (OTHER,) * len(labels)
        counts[labels] = counts.get(labels, 0) + count

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], int]]:
        return iter(list(self._counts.items()))

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, labels: tuple[str, ...]) -> int:
        """0 for what never happened."""
        return self._counts.get(labels, 0)


class Tally:
    """The three counters that decisions feed. One per process: all transports count into it."""

    def __init__(self, bound: int = SERIES_MAX) -> None:
        self.auth_events = Series(2, bound)
        """(iface, outcome, key_id)."""
        self.limit_rejects = Series(1, bound)
        """(iface, key_id, reason)."""
        self.filtered_pushes = Series(1, bound)
        """(required_scope, key_id)."""

    def auth(self, iface: str, outcome: str, key_id: str) -> None:
        """A key was shown, or was missing: ``outcome`` is ``allow`` or ``reject``."""
        self.auth_events.add((iface, outcome, key_id))

    def limit_reject(self, iface: str, key_id: str, reason: str) -> None:
        """A limit said no: ``reason`` as in `Denial`."""
        self.limit_rejects.add((iface, key_id, reason))

    def filtered_push(self, required_scope: str, key_id: str, count: int = 1) -> None:
        """A push was kept from a stream whose key lacks the scope."""
        self.filtered_pushes.add((required_scope, key_id), count)
