"""The clockwork of the market: every watched security moves in its own period, all that is due leaves together.

Time is cut into slots; a security's period is a whole number of slots, so that many securities fall due at once and
their frames reach each connection in one write.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

import trio

from .dice import unit
from .pushes import QuotePushes

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Gate
    from .securities import SecKey
    from .world import World

__all__ = ["Feed"]

_SLOT_S = 0.05
_YIELD_EVERY = 100
"""Securities after which other tasks get their turn."""


class Feed:
    """``flush`` sends what is in the world's ``outgoing``; ``gate`` stops the market while it is closed."""

    def __init__(self, world: World, gate: Gate, flush: Callable[[], None]) -> None:
        self._world = world
        self._gate = gate
        self._flush = flush
        self._pushes = QuotePushes(world)
        self._due: list[tuple[int, SecKey]] = []
        self._waiting: set[SecKey] = set()
        self._changed = trio.Event()

    def look(self) -> None:
        """Subscriptions or open orders may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._gate.wait()
            self._changed = trio.Event()
            self._enter_new()
            if not self._due:
                await self._changed.wait()
                continue
            with trio.move_on_after(max(0.0, self._due[0][0] * _SLOT_S - self._world.elapsed())) as pause:
                await self._changed.wait()
            if pause.cancelled_caught:
                await self._move_due()

    def period(self, key: SecKey) -> int:
        """How many slots lie between two moves of a security."""
        low = max(1, math.ceil(self._world.config.step_min_s / _SLOT_S))
        high = max(low, math.floor(self._world.config.step_max_s / _SLOT_S))
        return low + int(unit(self._world.config.seed, "period", *key) * (high - low + 1))

    def _enter_new(self) -> None:
        slot = math.ceil(self._world.elapsed() / _SLOT_S)
        for key in sorted(self._world.watched() - self._waiting):
            self._waiting.add(key)
            heapq.heappush(self._due, (slot + self.period(key) - 1, key))

    async def _move_due(self) -> None:
        slot = round(self._world.elapsed() / _SLOT_S)
        watched = self._world.watched()
        moved = 0
        while self._due and self._due[0][0] <= slot:
            due, key = heapq.heappop(self._due)
            if key not in watched:
                self._waiting.discard(key)
                continue
            heapq.heappush(self._due, (max(due + self.period(key), slot + 1), key))
            self._pushes.step(key)
            moved += 1
            if moved % _YIELD_EVERY == 0:
                self._pushes.flush()
                self._flush()
                await trio.lowlevel.checkpoint()
                watched = self._world.watched()
        self._pushes.flush()
        self._flush()
