"""Looks after the house while it runs, and puts down in the log what begins to be wrong and what is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import trio

from opendmux.config import WatchConfig
from opendmux.core.conditions import Change, Condition, Kind
from opendmux.core.housewatch import HouseWatch

from .house import House

__all__ = ["note", "vigil"]

log = logging.getLogger("opendmux.conditions")

LOOK_S: Final = 1.0

SAID_ELSEWHERE: Final = frozenset({Kind.UPSTREAM_DOWN, Kind.OUTCOME_UNKNOWN})
"""The link says itself when it is lost and ready, with the reason, and the gate how each trade request ended."""


async def vigil(house: House, rules: Callable[[], WatchConfig], wall: Callable[[], float] = time.time) -> None:
    """Run until cancelled."""
    watch = HouseWatch(house.conditions)
    while True:
        now = trio.current_time()
        if house.audit is not None:
            watch.audit(str(house.audit.path), trusted=house.audit.trusted, now=now)
        keyring = house.access.keyring
        watch.keys(() if keyring is None else keyring.keys.values(), now, wall(), rules().key_days)
        await trio.sleep(LOOK_S)


def note(change: Change, condition: Condition, now: float) -> None:
    """A listener of `Conditions.on_change`."""
    if condition.kind in SAID_ELSEWHERE:
        return
    if change == "over":
        log.info("over after %.0f s: %s", now - condition.since, condition.conclusion)
    else:
        log.warning("%s: %s Next step: %s", condition.kind, condition.sentence, condition.next_step)
