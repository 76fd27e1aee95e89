"""Looks after the house while it runs, and puts down in the log what begins to be wrong and what is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import trio

from opendmux.config import WatchConfig
from opendmux.core.conditions import Change, Condition, Kind, together
from opendmux.core.housewatch import HouseWatch

from .house import House

__all__ = ["Notes", "vigil"]

log = logging.getLogger("opendmux.conditions")

LOOK_S: Final = 1.0

SAID_ELSEWHERE: Final = frozenset({Kind.UPSTREAM_DOWN, Kind.OUTCOME_UNKNOWN})
"""The link says itself when it is lost and ready, with the reason, and the gate how each trade request ended."""

IN_CROWDS: Final = frozenset({Kind.RIGHT_LOST, Kind.MUTE})
"""Of these many come in one moment, one for each market: they are put down together, within `LOOK_S`."""


class Notes:
    """What is put down."""

    def __init__(self) -> None:
        self._waiting: dict[Change, list[Condition]] = {}

    def heard(self, change: Change, condition: Condition, now: float) -> None:
        """A listener of `Conditions.on_change`."""
        if condition.kind in SAID_ELSEWHERE:
            return
        if condition.kind not in IN_CROWDS:
            _put_down(change, condition, now)
            return
        other: Change = "over" if change == "begin" else "begin"
        if any(one.kind is condition.kind and one.subject == condition.subject for one in self._waiting.get(other, ())):
            self.flush(now)  # in the order in which it was
        self._waiting.setdefault(change, []).append(condition)

    def flush(self, now: float) -> None:
        """Put down what waits."""
        waiting, self._waiting = self._waiting, {}
        for change, conditions in waiting.items():
            for one in together(conditions):
                _put_down(change, one, now)


async def vigil(
    house: House, rules: Callable[[], WatchConfig], notes: Notes, wall: Callable[[], float] = time.time
) -> None:
    """Run until cancelled."""
    watch = HouseWatch(house.conditions)
    while True:
        now = trio.current_time()
        if house.audit is not None:
            watch.audit(str(house.audit.path), trusted=house.audit.trusted, now=now)
        keyring = house.access.keyring
        watch.keys(() if keyring is None else keyring.keys.values(), now, wall(), rules().key_days)
        notes.flush(now)
        await trio.sleep(LOOK_S)


def _put_down(change: Change, condition: Condition, now: float) -> None:
    if change == "over":
        log.info("over after %.0f s: %s", now - condition.since, condition.conclusion)
    else:
        log.warning("%s: %s Next step: %s", condition.kind, condition.sentence, condition.next_step)
