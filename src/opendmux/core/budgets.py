"""OpenD's 30-second windows, kept for all clients together: who may send now, who waits, who is refused.

Theory of operation. Each (budget, key) is a line: the times of its last ``count`` requests, which say when the next
one may leave, and a queue. A request leaves when the line is open and nobody of its priority or a higher one waits.
Otherwise its place among the times to come is worked out as if nobody else came or left; a place after its
``give_up_at`` means refusal at once, so that nobody waits for nothing. Whoever is pushed behind its time by a later
request of higher right is refused then, through the next `Budgets.due`. So all who wait have a place in time, and the
next thing to happen is always that a line opens: no timer per request is needed.

Right of way: priority; within it the owner that was served longest ago; within an owner the order of arrival. "Longest
ago" is remembered when the queue is empty, or an owner with much to send would find itself in front whenever a place
comes up while the others, refused, are away. So while an owner waits, no other is served twice at its priority.

Not handled: programs that use the same OpenD past this proxy, and what was sent before this process started. OpenD's
own refusal of a request is then passed on like any other answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from opendmux.wire.protocols import PROTOCOLS

from .budget_line import GO, WAIT, Action, Decided, Line, Verdict, Waiter
from .budget_table import LIMITS, Charge, Limit

__all__ = [
    "GO",
    "LINES_MAX",
    "QUEUE_MAX",
    "READ_WAIT_S",
    "TRADE_WRITE_WAIT_S",
    "WAIT",
    "Action",
    "Budgets",
    "Counters",
    "Usage",
    "Verdict",
    "Waits",
    "is_trade_write",
]

READ_WAIT_S: Final = 4.0
"""Longest wait of a read: the JavaScript SDK gives up after 5 s, the Python SDK after 12 s."""

TRADE_WRITE_WAIT_S: Final = 1.0
"""Longest wait of an order, a change or a cancellation: later it is not what its owner decided on any more."""

QUEUE_MAX: Final = 64
"""Requests of one owner that may wait: more than the largest budget lets go in one window."""

LINES_MAX: Final = 4096
"""(budget, key) pairs in use within a window; account numbers are the clients' to choose, so they are bounded."""


@dataclass(slots=True)
class Counters:
    """Of one budget, since the start."""

    admitted: int = 0
    waited: int = 0
    refused: int = 0
    """At once or after waiting."""
    refunded: int = 0


class Usage(NamedTuple):
    """How full a line is."""

    charge: Charge
    used: int
    """Requests within the window."""
    allowed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a request may wait for its budget, in seconds."""

    read_s: float = READ_WAIT_S
    trade_write_s: float = TRADE_WRITE_WAIT_S

    def give_up_at(self, proto_id: int, now: float) -> float:
        """The last moment at which a request that came at ``now`` may leave."""
        return now + (self.trade_write_s if is_trade_write(proto_id) else self.read_s)


def is_trade_write(proto_id: int) -> bool:
    """An order, a change or a cancellation."""
    protocol = PROTOCOLS.get(proto_id)
    return protocol is not None and protocol.area == "trade-write"


class Budgets:
    """All windows of one OpenD. Times are seconds of one clock that never goes back.

    A ticket is any object, not in use twice. One that was told to wait comes back exactly once, from `due` or from one
    of the calls that take it out. Any call may change `next_due`.
    """

    def __init__(
        self, limits: Mapping[str, Limit] = LIMITS, *, queue_max: int = QUEUE_MAX, lines_max: int = LINES_MAX
    ) -> None:
        self.counters: dict[str, Counters] = {name: Counters() for name in limits}
        """By budget name."""
        self._limits = limits
        self._queue_max = queue_max
        self._lines_max = lines_max
        self._lines: dict[Charge, Line] = {}
        """The line that was used last is last."""
        self._busy: dict[Charge, Line] = {}
        """Those in which somebody waits."""
        self._decided: list[Decided] = []
        """Refusals that `due` has still to tell."""
        self._queued: dict[int, int] = {}
        """By owner: how many wait."""

    def admit(
        self, charge: Charge, owner: int, ticket: object, priority: int, give_up_at: float, now: float
    ) -> Verdict:
        """May this request leave? GO: it counts as sent at ``now``. WAIT: its ticket comes back from `due`. REFUSE: it
        never will.

        ``owner``: whom fairness is kept between. ``priority``: a lower number goes first. ``give_up_at``: nothing
        leaves after it.
        """
        line = self._lines.get(charge) or self._open_line(charge)
        if line is None:
            return self._refuse(charge, self._limits[charge.budget].window_s)
        opens_at = line.opens_at()
        if opens_at <= now <= give_up_at and line.gives_way_to(priority):
            line.serve(priority, owner, now)
            self._admitted(charge, line)
            if line.busy:
                self._decided += self._settle(charge, line, now, send=False)
            return GO
        if not line.busy and max(now, opens_at) > give_up_at:
            return self._refuse(charge, max(0.0, opens_at - now))
        if self._queued.get(owner, 0) >= self._queue_max:
            return self._refuse(charge, line.worked_off_at(now) - now)
        return self._enqueue(charge, line, owner, Waiter(ticket, give_up_at), priority, now)

    def due(self, now: float) -> list[tuple[object, Verdict]]:
        """Tickets that go (they count as sent at ``now``) and tickets that are refused, in the order to act on them."""
        decided, self._decided = self._decided, []
        for charge, line in list(self._busy.items()):
            if line.opens_at() <= now:
                decided += self._settle(charge, line, now, send=True)
        decided.sort(key=_priority_of)
        return [(one.waiter.ticket, one.verdict) for one in decided]

    def next_due(self) -> float | None:
        """When `due` has something to tell: -inf for at once, None for nothing."""
        if self._decided:
            return -math.inf
        return min((line.opens_at() for line in self._busy.values()), default=None)

    def refund(self, charge: Charge, at: float) -> None:
        """A request that was told GO at ``at`` was not sent, not even in part: it does not count."""
        line = self._lines.get(charge)
        if line is not None and at in line.times:
            line.times.remove(at)
            self.counters[charge.budget].refunded += 1

    def cancel_owner(self, owner: int) -> list[object]:
        """The owner is gone; returns its tickets, which will not come back."""
        gone = [one.waiter.ticket for one in self._decided if one.owner == owner]
        self._decided = [one for one in self._decided if one.owner != owner]
        for charge, line in list(self._busy.items()):
            gone += line.leave(owner)
            self._note(charge, line)
        self._queued.pop(owner, None)
        return gone

    def drop_waiting(self) -> list[object]:
        """The link is lost: returns all tickets, which will not come back. The windows stay, OpenD keeps them too."""
        gone: list[object] = [one.waiter.ticket for one in self._decided]
        self._decided = []
        for line in self._busy.values():
            gone += line.clear()
        self._busy.clear()
        self._queued.clear()
        return gone

    def usage(self, now: float) -> list[Usage]:
        """Every line that is in use, for people to look at."""
        return [
            Usage(charge, line.used(now), self._limits[charge.budget].count, line.count_waiting())
            for charge, line in self._lines.items()
            if not line.idle(now)
        ]

    def _open_line(self, charge: Charge) -> Line | None:
        """None: there are too many, and somebody waits in every one of them.

        The window that was used longest ago is forgotten rather than anybody refused for it: account numbers are the
        clients' to make up, and OpenD still counts for itself.
        """
        while len(self._lines) >= self._lines_max:
            longest_unused = next((charge for charge, line in self._lines.items() if not line.busy), None)
            if longest_unused is None:
                return None
            del self._lines[longest_unused]
        line = self._lines[charge] = Line(self._limits[charge.budget])
        return line

    def _enqueue(self, charge: Charge, line: Line, owner: int, waiter: Waiter, priority: int, now: float) -> Verdict:
        line.join(priority, owner, waiter)
        self._queued[owner] = self._queued.get(owner, 0) + 1
        own: Verdict | None = None
        for one in self._settle(charge, line, now, send=False):
            if one.waiter is waiter:
                own = one.verdict
            else:
                self._decided.append(one)
        if own is not None:
            return own
        self.counters[charge.budget].waited += 1
        return WAIT

    def _settle(self, charge: Charge, line: Line, now: float, *, send: bool) -> list[Decided]:
        decided = line.settle(now, send=send)
        for one in decided:
            self._unqueue(one.owner)
            if one.verdict.action is Action.GO:
                self._admitted(charge, line)
            else:
                self.counters[charge.budget].refused += 1
        self._note(charge, line)
        return decided

    def _admitted(self, charge: Charge, line: Line) -> None:
        self.counters[charge.budget].admitted += 1
        del self._lines[charge]
        self._lines[charge] = line

    def _refuse(self, charge: Charge, retry_after_s: float) -> Verdict:
        self.counters[charge.budget].refused += 1
        return Verdict(Action.REFUSE, retry_after_s)

    def _unqueue(self, owner: int) -> None:
        left = self._queued[owner] - 1
        if left:
            self._queued[owner] = left
        else:
            del self._queued[owner]

    def _note(self, charge: Charge, line: Line) -> None:
        if line.busy:
            self._busy[charge] = line
        else:
            self._busy.pop(charge, None)


def _priority_of(one: Decided) -> int:
    return one.priority
