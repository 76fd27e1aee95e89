"""Random lives of the budgets against a model of OpenD that counts, and against what was promised to the owners."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opendmux.core.budget_line import GAP_MARGIN_S, WINDOW_MARGIN_S
from opendmux.core.budget_table import LIMITS as REAL_LIMITS
from opendmux.core.budget_table import ROWS, USER, Charge, Limit, Scope
from opendmux.core.budgets import GO, WAIT, Action, Budgets, Verdict, Waits

ORDERS = Limit(2205, 3, Scope.ACCOUNT, min_gap_s=0.04)
QUERIES = Limit(3203, 2, Scope.USER)
LIMITS = {limit.name: limit for limit in (ORDERS, QUERIES)}
"""Small counts, few lines and few owners, so that short lives reach the edges."""
CHARGES = [Charge(ORDERS.name, 7), Charge(ORDERS.name, 8), Charge(QUERIES.name, USER)]
QUEUE_MAX = 5

charges = st.sampled_from(CHARGES)
owners = st.integers(1, 3)
priorities = st.integers(0, 2)
waits = st.sampled_from([0.0, 0.03, 0.5, 1.0, 4.0, 35.0, 100.0, math.inf])
steps = st.one_of(st.sampled_from([0.0, 0.001, 0.025, 0.045, 0.3, 29.9, 30.0, 30.25, 31.0]), st.floats(0, 40))
delays = st.floats(0, GAP_MARGIN_S * 0.9)
"""Of a request on its way to OpenD, within what the margins allow for."""


@dataclass(eq=False)
class Ticket:
    number: int
    charge: Charge
    owner: int
    priority: int
    give_up_at: float


@dataclass
class ModelOpenD:
    """Counts arrivals as the documentation words it."""

    limits: Mapping[str, Limit]
    arrivals: dict[Charge, list[float]] = field(default_factory=lambda: defaultdict(list))

    def receive(self, charge: Charge, at: float) -> None:
        limit = self.limits[charge.budget]
        times = self.arrivals[charge]
        if times:
            at = max(at, times[-1])  # one connection keeps the order
            assert at - times[-1] >= limit.min_gap_s, "too close"
        if len(times) >= limit.count:
            assert at - times[-limit.count] > limit.window_s, "too many"
        times.append(at)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.budgets = Budgets(LIMITS, queue_max=QUEUE_MAX)
        self.opend = ModelOpenD(LIMITS)
        self.now = 1000.0
        self.delay = 0.0
        self.count = 0
        self.waiting: dict[Ticket, None] = {}
        self.passed_by: dict[tuple[Charge, int, int], set[int]] = {}
        """For (charge, priority, owner) who waits: the other owners served since."""
        self.overtaken: set[Ticket] = set()
        """Must not go any more."""
        self.sent: dict[Charge, list[float]] = defaultdict(list)

    # -- what must hold for each answer

    def leaves(self, ticket: Ticket) -> None:
        assert self.now <= ticket.give_up_at, "left after its owner gave up"
        assert ticket not in self.overtaken
        place = (ticket.charge, ticket.priority)
        for other in self.waiting:
            if other.charge == ticket.charge and other.priority <= ticket.priority:
                if other.priority < ticket.priority:
                    self.overtakes(other, "left before a higher priority")
                elif other.owner == ticket.owner:
                    if other.number < ticket.number:
                        self.overtakes(other, "left before an earlier one of its owner")
                elif ticket.owner in self.passed_by[*place, other.owner]:
                    self.overtakes(other, "served twice while another waits")
        for (*waits_at, owner), passed in self.passed_by.items():
            if tuple(waits_at) == place:
                if owner == ticket.owner:
                    passed.clear()
                else:
                    passed.add(ticket.owner)
        self.sent[ticket.charge].append(self.now)
        self.opend.receive(ticket.charge, self.now + self.delay)

    def overtakes(self, other: Ticket, how: str) -> None:
        """Right only if the other one has been refused already, and its refusal is on the way."""
        assert self.refusals_on_the_way(), how
        self.overtaken.add(other)

    def refusals_on_the_way(self) -> bool:
        return self.budgets.next_due() == -math.inf

    def comes_back(self, results: list[tuple[object, Verdict]]) -> None:
        for ticket, verdict in results:
            assert isinstance(ticket, Ticket)
            assert ticket in self.waiting, "never waited, or came back twice"
            del self.waiting[ticket]
            if verdict is GO:
                self.leaves(ticket)
            else:
                assert verdict.action is Action.REFUSE
                assert 0 <= verdict.retry_after_s < math.inf
            self.forget_who_left()

    def forget_who_left(self) -> None:
        there = {(one.charge, one.priority, one.owner) for one in self.waiting}
        for place in [place for place in self.passed_by if place not in there]:
            del self.passed_by[place]

    # -- what may happen

    @rule(charge=charges, owner=owners, priority=priorities, wait=waits, delay=delays)
    def admit(self, charge: Charge, owner: int, priority: int, wait: float, delay: float) -> None:
        self.delay = delay
        self.count += 1
        ticket = Ticket(self.count, charge, owner, priority, self.now + wait)
        alone = not any(other.charge == charge for other in self.waiting)
        opens_at = self.opens_at(charge)
        verdict = self.budgets.admit(charge, owner, ticket, priority, ticket.give_up_at, self.now)
        if verdict is GO:
            for other in self.waiting:
                if (other.charge, other.priority) == (charge, priority):
                    self.overtakes(other, "did not queue")
            self.leaves(ticket)
        elif verdict is WAIT:
            assert max(self.now, opens_at) <= ticket.give_up_at, "waits for nothing"
            self.waiting[ticket] = None
            self.passed_by.setdefault((charge, priority, owner), set())
        elif alone and sum(other.owner == owner for other in self.waiting) < QUEUE_MAX:
            assert max(self.now, opens_at) > ticket.give_up_at, "refused without need"

    def opens_at(self, charge: Charge) -> float:
        limit = LIMITS[charge.budget]
        times = self.sent[charge]
        opens = [-math.inf]
        if times and limit.min_gap_s:
            opens.append(times[-1] + (limit.min_gap_s + GAP_MARGIN_S))
        if len(times) >= limit.count:
            opens.append(times[-limit.count] + (limit.window_s + WINDOW_MARGIN_S))
        return max(opens)

    @rule(charge=charges, owner=owners, wait=waits, n=st.integers(2, 7))
    def flood(self, charge: Charge, owner: int, wait: float, n: int) -> None:
        for _ in range(n):
            self.admit(charge, owner, 1, wait, 0.0)

    @rule(delay=delays)
    def on_time(self, delay: float) -> None:
        self.delay = delay
        due = self.budgets.next_due()
        if due is not None:
            self.now = max(self.now, due)
            self.turn()

    @rule(step=steps, delay=delays)
    def some_time_later(self, step: float, delay: float) -> None:
        self.delay = delay
        self.now += step
        self.turn()

    @rule(step=steps)
    def nobody_looks(self, step: float) -> None:
        self.now += step

    def turn(self) -> None:
        self.comes_back(self.budgets.due(self.now))
        assert all(ticket.give_up_at >= self.now for ticket in self.waiting)
        due = self.budgets.next_due()
        assert due is None or due > self.now

    @precondition(lambda self: any(self.sent.values()))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        charge = data.draw(st.sampled_from([charge for charge, times in self.sent.items() if times]))
        index = data.draw(st.integers(max(0, len(self.sent[charge]) - 5), len(self.sent[charge]) - 1))
        at = self.sent[charge][index]
        before = self.budgets.counters[charge.budget].refunded
        self.budgets.refund(charge, at)
        if self.budgets.counters[charge.budget].refunded > before:
            # Equal times can't be told apart: the first is taken, as the budget does.
            first = self.sent[charge].index(at)
            del self.sent[charge][first]
            del self.opend.arrivals[charge][first]

    @rule(owner=owners)
    def cancel_owner(self, owner: int) -> None:
        gone = self.budgets.cancel_owner(owner)
        self.taken_out(gone, [ticket for ticket in self.waiting if ticket.owner == owner])

    @rule()
    def drop_waiting(self) -> None:
        self.taken_out(self.budgets.drop_waiting(), list(self.waiting))

    def taken_out(self, gone: list[object], expected: list[Ticket]) -> None:
        assert len(gone) == len(expected)
        assert all(ticket in expected for ticket in gone)
        for ticket in expected:
            del self.waiting[ticket]
        self.forget_who_left()

    # -- what always holds

    @invariant()
    def somebody_is_awaited(self) -> None:
        assert (self.budgets.next_due() is not None) == bool(self.waiting)

    @invariant()
    def figures_agree(self) -> None:
        usage = self.budgets.usage(self.now)
        assert sum(line.waiting for line in usage) <= len(self.waiting), "refusals on the way do not wait any more"
        assert all(line.used <= line.allowed for line in usage)
        if not self.refusals_on_the_way():
            for owner in range(1, 4):
                assert sum(ticket.owner == owner for ticket in self.waiting) <= QUEUE_MAX

    def teardown(self) -> None:
        """When nobody comes any more and nobody is late, all who still wait go: nobody waits for nothing."""
        self.delay = 0.0
        self.turn()
        while (due := self.budgets.next_due()) is not None:
            self.now = due
            results = self.budgets.due(self.now)
            assert results
            assert all(verdict is GO for _, verdict in results)
            self.comes_back(results)
        assert not self.waiting


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestLife = Life.TestCase


def test_fifty_programs_for_ten_minutes() -> None:
    """The real limits; 49 programs come back when they are told to, one asks ten times as often and does not care."""
    draw = random.Random(1)
    budgets, opend, waits = Budgets(), ModelOpenD(REAL_LIMITS), Waits()
    served: Counter[int] = Counter()
    waiting: dict[object, tuple[Charge, int, float]] = {}
    asked = answered = 0

    def leaves(charge: Charge, owner: int, now: float) -> None:
        opend.receive(charge, now)
        served[owner] += 1

    def catch_up(until: float) -> None:
        nonlocal answered
        while (due := budgets.next_due()) is not None and due <= until:
            for ticket, verdict in budgets.due(due):
                charge, owner, give_up_at = waiting.pop(ticket)
                answered += 1
                if verdict is GO:
                    assert due <= give_up_at
                    leaves(charge, owner, due)

    next_ask = [(draw.uniform(0, 5), owner) for owner in range(50)]
    while (now := min(next_ask)[0]) < 600:
        _, owner = min(next_ask)
        next_ask.remove((now, owner))
        catch_up(now)
        proto_id = draw.choice([2202, 2205, 3203, 3103, 3204])
        limit = REAL_LIMITS[ROWS[proto_id].limit.name]
        charge = Charge(limit.name, draw.choice([7, 8]) if limit.scope is Scope.ACCOUNT else USER)
        give_up_at = waits.give_up_at(proto_id, now)
        asked += 1
        verdict = budgets.admit(charge, owner, asked, draw.randrange(4), give_up_at, now)
        if verdict is WAIT:
            waiting[asked] = (charge, owner, give_up_at)
        else:
            answered += 1
            if verdict is GO:
                leaves(charge, owner, now)
        next_ask.append((now + draw.uniform(0, 4 if owner else 0.4) + verdict.retry_after_s * bool(owner), owner))
    catch_up(math.inf)
    assert answered == asked
    assert min(served[owner] for owner in range(50)) > 20, "nobody starves"
    orders = [times for charge, times in opend.arrivals.items() if charge.budget == "Trd_PlaceOrder"]
    assert all(len(times) > 0.95 * 15 * 600 / 30 for times in orders), "nor is a budget wasted"
