"""How long a connection may say nothing at all: not for ever, for it takes a file descriptor.

The Python SDK leaves connections behind on which it never sends a byte, and tears its good session down when one of
them is closed. So an address that speaks OpenD's own protocol may keep its silent connections for as long as it does.
"""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["Patience"]


class Scope(Protocol):
    """What ends a connection, as `trio.CancelScope` does."""

    deadline: float


class Patience:
    """Of one listener. ``silent_s``: from the start, or from the end of the address's last session; 0 = for ever."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s or math.inf
        self._silent: dict[str, set[Scope]] = {}
        """By address."""
        self._sessions: dict[str, int] = {}
        """Likewise, of OpenD's own protocol."""

    def begin(self, host: str, scope: Scope, now: float) -> None:
        """Somebody comes and is silent; each that begins has to `end`."""
        self._silent.setdefault(host, set()).add(scope)
        scope.deadline = math.inf if host in self._sessions else now + self._silent_s

    def end(self, host: str, scope: Scope) -> None:
        """It has spoken, or is gone. Idempotent."""
        silent = self._silent.get(host, set())
        silent.discard(scope)
        if not silent:
            self._silent.pop(host, None)

    def enter(self, host: str) -> None:
        """A session of OpenD's own protocol begins there; each that enters has to `leave`."""
        self._sessions[host] = self._sessions.get(host, 0) + 1
        for scope in self._silent.get(host, ()):
            scope.deadline = math.inf

    def leave(self, host: str, now: float) -> None:
        """A session has ended."""
        self._sessions[host] -= 1
        if not self._sessions[host]:
            del self._sessions[host]
            for scope in self._silent.get(host, ()):
                scope.deadline = now + self._silent_s
