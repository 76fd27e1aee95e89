"""One 30-second window and those who wait for it. The theory of operation is in budgets.py."""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .budget_table import Limit

__all__ = ["GAP_MARGIN_S", "GO", "WAIT", "WINDOW_MARGIN_S", "Action", "Decided", "Line", "Verdict", "Waiter"]

WINDOW_MARGIN_S: Final = 0.25
"""Added to a window: OpenD counts arrivals, and the first request may have been held up more than the last one, by a
TCP retransmission for example (200 ms and up). Costs less than 1 % of a budget."""

GAP_MARGIN_S: Final = 0.005
"""Added to a minimum gap for the same reason: a few turns of the event loop. A burst as large as the whole budget, 20
cancellations 0.04 s apart, must still leave within the longest wait of a trade write."""


class Action(enum.Enum):
    """What is to be done with a request."""

    GO = "go"
    WAIT = "wait"
    REFUSE = "refuse"


class Verdict(NamedTuple):
    """About one request."""

    action: Action
    retry_after_s: float = 0.0
    """With REFUSE: after this time it would go, as things stand."""


GO: Final = Verdict(Action.GO)
WAIT: Final = Verdict(Action.WAIT)


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits."""

    ticket: object
    give_up_at: float


@dataclass(slots=True, eq=False)
class Share:
    """What one owner has waiting in a line at one priority."""

    owner: int
    served: int
    """The line's turn in which this owner was last served."""
    joined: int
    waiters: deque[Waiter] = field(default_factory=deque)

    def rank(self) -> tuple[int, int]:
        """The smallest goes first."""
        return self.served, self.joined


class Decided(NamedTuple):
    """What became of a waiter."""

    priority: int
    owner: int
    waiter: Waiter
    verdict: Verdict


class Line:
    """The window of one (budget, key), and its queue."""

    __slots__ = ("_forgotten", "_gap_s", "_period_s", "_served", "_turn", "_waiting", "times")

    def __init__(self, limit: Limit) -> None:
        self._period_s = limit.window_s + WINDOW_MARGIN_S
        self._gap_s = limit.min_gap_s + GAP_MARGIN_S if limit.min_gap_s else 0.0
        self.times: deque[float] = deque(maxlen=limit.count)
        """When the last requests left, oldest first."""
        self._waiting: dict[int, dict[int, Share]] = {}
        """By priority and owner; nothing empty is kept."""
        self._turn = 0
        self._served: dict[tuple[int, int], int] = {}
        """(priority, owner): turn of the last service; oldest first, as many as the window holds."""
        self._forgotten = 0
        """The turn of the last one dropped from it: who is not in it was served then at the latest."""

    @property
    def busy(self) -> bool:
        """Somebody waits."""
        return bool(self._waiting)

    def opens_at(self) -> float:
        """When the next request may leave; -inf for any time."""
        return self._opens_after(self.times)

    def worked_off_at(self, now: float) -> float:
        """When it opens for one who comes after all who wait."""
        times = self.times.copy()
        for _ in range(self.count_waiting()):
            times.append(max(now, self._opens_after(times)))
        return max(now, self._opens_after(times))

    def used(self, now: float) -> int:
        """Requests within the window."""
        return sum(now < at + self._period_s for at in self.times)

    def idle(self, now: float) -> bool:
        """Nothing would be lost with it."""
        return not self._waiting and not (self.times and now < self.times[-1] + self._period_s)

    def count_waiting(self) -> int:
        """How many wait."""
        return sum(len(share.waiters) for shares in self._waiting.values() for share in shares.values())

    def gives_way_to(self, priority: int) -> bool:
        """Nobody of this priority or a higher one waits."""
        return not self._waiting or priority < min(self._waiting)

    def serve(self, priority: int, owner: int, now: float) -> int:
        """A request leaves; returns its turn."""
        self.times.append(now)
        self._turn += 1
        served = self._served
        served.pop((priority, owner), None)
        served[priority, owner] = self._turn
        if len(served) > (self.times.maxlen or 0):
            self._forgotten = served.pop(next(iter(served)))
        return self._turn

    def join(self, priority: int, owner: int, waiter: Waiter) -> None:
        """Wait behind what the owner has waiting already."""
        shares = self._waiting.setdefault(priority, {})
        share = shares.get(owner)
        if share is None:
            self._turn += 1
            served = self._served.get((priority, owner), self._forgotten)
            share = shares[owner] = Share(owner, served, self._turn)
        share.waiters.append(waiter)

    def settle(self, now: float, *, send: bool) -> list[Decided]:
        """Give those who wait, in the order of their right, the times to come; refuse those whose time is up by then.

        ``send``: those whose time has come leave; otherwise nobody does.
        """
        times = self.times.copy()
        decided: list[Decided] = []
        for priority in sorted(self._waiting):
            shares = sorted(self._waiting[priority].values(), key=Share.rank)
            rota = deque((share, share.waiters) for share in shares)
            for share in shares:
                share.waiters = deque()
            while rota:
                share, ahead = rota.popleft()
                while ahead:
                    waiter = ahead.popleft()
                    at = max(now, self._opens_after(times))
                    if at > waiter.give_up_at:
                        decided.append(Decided(priority, share.owner, waiter, Verdict(Action.REFUSE, at - now)))
                        continue
                    times.append(at)
                    if send and at <= now:
                        share.served = self.serve(priority, share.owner, now)
                        decided.append(Decided(priority, share.owner, waiter, GO))
                    else:
                        share.waiters.append(waiter)
                    break
                if ahead:
                    rota.append((share, ahead))
        self._tidy()
        return decided

    def leave(self, owner: int) -> list[object]:
        """The owner's waiting tickets, taken out."""
        gone: list[object] = []
        for shares in self._waiting.values():
            if share := shares.pop(owner, None):
                gone += [waiter.ticket for waiter in share.waiters]
        self._tidy()
        return gone

    def clear(self) -> list[object]:
        """All waiting tickets, taken out."""
        owners = {owner for shares in self._waiting.values() for owner in shares}
        return [ticket for owner in sorted(owners) for ticket in self.leave(owner)]

    def _opens_after(self, times: deque[float]) -> float:
        if not times:
            return -math.inf
        at = times[-1] + self._gap_s
        if len(times) == times.maxlen:
            at = max(at, times[0] + self._period_s)
        return at

    def _tidy(self) -> None:
        for priority, shares in list(self._waiting.items()):
            for owner in [owner for owner, share in shares.items() if not share.waiters]:
                del shares[owner]
            if not shares:
                del self._waiting[priority]
