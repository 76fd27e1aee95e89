"""Connections that have not said who they are.

Some are not timed out (see `patience`). But their number per address is bounded, and the oldest has to go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Silence"]

T = TypeVar("T")


class Silence(Generic[T]):
    """The silent ones, by address. ``per_address``: how many there may be; ``silent``: it still is."""

    def __init__(self, per_address: int, silent: Callable[[T], bool]) -> None:
        self._per_address = per_address
        self._silent = silent
        self._by_host: dict[str, dict[int, T]] = {}
        """By address, then in order of arrival; some may have spoken since."""

    def add(self, host: str, guest: T) -> T | None:
        """A new connection; returns the one that must go for it, if any."""
        silent = self._by_host.setdefault(host, {})
        silent[id(guest)] = guest
        if len(silent) > self._per_address:
            for number in [number for number, other in silent.items() if not self._silent(other)]:
                del silent[number]
        return silent.pop(next(iter(silent))) if len(silent) > self._per_address else None

    def remove(self, host: str, guest: T) -> None:
        """The connection is gone, or has spoken."""
        silent = self._by_host.get(host, {})
        silent.pop(id(guest), None)
        if not silent:
            self._by_host.pop(host, None)
