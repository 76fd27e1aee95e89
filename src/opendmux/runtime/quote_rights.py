"""Asks the best quote right back from other terminals, as `core.quote_right` decides, by OpenD's console.

It hears of a loss from the book of conditions, like everybody else, and writes into the same condition what it has done
and when it will try again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from opendmux.core.audit import said_time
from opendmux.core.conditions import Change, Condition, Kind
from opendmux.core.operations import OperationError, Order, RateError, order_of
from opendmux.core.quote_right import QuoteRight

from .operator import PROXY, Member, Operator
from .station import Station
from .telnet import TelnetError

__all__ = ["RightWatcher"]

log = logging.getLogger("opendmux.rights")

REQUEST: Final = order_of("request_highest_quote_right", {})


@dataclass(slots=True, eq=False)
class RightWatcher:
    """Of one station; runs until cancelled."""

    station: Station
    operator: Operator
    wall: Callable[[], float] = time.time
    _changed: trio.Event = field(default_factory=trio.Event)
    _said: dict[str, str] = field(default_factory=dict)
    """What was added to the figures of a lost right, by its subject."""

    def __post_init__(self) -> None:
        self.station.house.conditions.on_change.append(self._heard)
        self.station.hub.on_tick.append(self._write_down)
        self.operator.on_sent.append(self._sent)

    @property
    def right(self) -> QuoteRight:
        return self.station.quote_right

    async def run(self) -> None:
        """Ask whenever it is due."""
        while True:
            changed, next_try = self._changed, self.right.next_try
            with trio.CancelScope(deadline=math.inf if next_try is None else next_try):
                await changed.wait()
            upstream, now = self.station.hub.router.lanes.main.upstream, trio.current_time()
            if not upstream.ready or upstream.pause is not None:
                self.right.put_off(now)
            elif self.right.due(now):
                await self._ask()

    async def _ask(self) -> None:
        member = self.station.quoting
        try:
            performed = await self.operator.perform(REQUEST, member.name, PROXY)
        except RateError as error:
            self.right.failed(trio.current_time(), error.wait_s)
            log.warning("%s: the quote right was not asked back: %s", member.address, error)
        except (OperationError, TelnetError) as error:
            self.right.failed(trio.current_time())
            log.warning("%s: the quote right was not asked back: %s", member.address, error)
        else:
            said = f"; {performed.note}" if performed.note else ""
            log.info("%s: the quote right was asked back%s. %s", member.address, said, self._plan())
        self._write_down(trio.current_time())

    # -- what happens

    def _heard(self, change: Change, condition: Condition, now: float) -> None:
        """A listener of the conditions."""
        if condition.kind is not Kind.RIGHT_LOST or condition.opend != self._called:
            return
        right = self.right
        if change == "begin" and right.lost_since is None:
            right.policy = self.station.quoting.quote_right
            right.lost(now)
            log.info("%s: a quote right is lost. %s", condition.opend, self._plan())
        elif change == "over" and not self._lost_now():
            if self.station.hub.router.lanes.main.upstream.ready:
                right.back(now)
            else:  # nobody has given it back: nobody knows any more
                right.unknown()
        self._wake()

    def _sent(self, member: Member, order: Order) -> None:
        if order.operation is REQUEST.operation and member.name == self.station.quoting.name:
            self.right.asked(trio.current_time())
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    # -- what is told

    @property
    def _called(self) -> str:
        """The name of this station's quotes in the book of conditions."""
        return self.station.hub.router.lanes.main.upstream.address

    def _lost_now(self) -> list[Condition]:
        return self.station.house.conditions.of(self._called, Kind.RIGHT_LOST)

    def _write_down(self, _now: float) -> None:
        """Whoever begins the condition again puts its own figures in the place of ours: they are added once more."""
        if self.right.lost_since is None or self.right.policy == "never":
            return
        text = self._plan()
        for condition in self._lost_now():
            before = self._said.get(condition.subject, "")
            if before and condition.figures.endswith(before):
                if before == text:
                    continue
                condition.figures = condition.figures.removesuffix(before).rstrip()
            condition.figures = f"{condition.figures} {text}".lstrip()
            self._said[condition.subject] = text

    def _plan(self) -> str:
        """Tries so far and the next one, as a sentence."""
        right = self.right
        if right.policy == "never":
            return "opendmux does not ask it back (quote_right)."
        tries = f"Asked back {right.tries} {'time' if right.tries == 1 else 'times'}"
        why = ", for it was taken again within 10 s" if right.contested else ""
        if right.lost_since is None:
            return f"{tries}; it is back."
        if right.next_try is None:
            return f"{tries}; opendmux asks no more until it is back{why}."
        at = said_time(self.wall() - trio.current_time() + right.next_try)
        return f"{tries}; the next try is at {at}{why}."
