"""A small world for the tests of the budgets: two limits, a way to ask, a way to let time pass."""

from __future__ import annotations

import math

import pytest

from opendmux.core.budget_line import GAP_MARGIN_S, WINDOW_MARGIN_S
from opendmux.core.budget_table import Charge, Limit, Priority, Scope
from opendmux.core.budgets import GO, Action, Budgets, Verdict

CANCEL, MODIFY, PLACE, QUERY = Priority
ANN, BOB, EVE = 1, 2, 3
PERIOD = 30 + WINDOW_MARGIN_S
NEVER = math.inf

TWO = Limit(2221, 2, Scope.ACCOUNT)
GAPPED = Limit(2205, 5, Scope.ACCOUNT, min_gap_s=0.04)
GAP = 0.04 + GAP_MARGIN_S
LINE = Charge(TWO.name, 7)
GAPPED_LINE = Charge(GAPPED.name, 7)


def make(**bounds: int) -> Budgets:
    return Budgets({TWO.name: TWO, GAPPED.name: GAPPED}, **bounds)


def ask(
    budgets: Budgets,
    ticket: object,
    now: float,
    *,
    owner: int = ANN,
    priority: int = QUERY,
    give_up_at: float = NEVER,
    charge: Charge = LINE,
) -> Verdict:
    return budgets.admit(charge, owner, ticket, priority, give_up_at, now)


def full(at: float = 0.0) -> Budgets:
    """Both places of LINE were used, by nobody who comes up later."""
    budgets = make()
    assert [ask(budgets, "", at, owner=99), ask(budgets, "", at + 1, owner=99)] == [GO, GO]
    return budgets


def went(results: list[tuple[object, Verdict]]) -> list[object]:
    assert all(verdict is GO for _, verdict in results)
    return [ticket for ticket, _ in results]


def refused(retry_after_s: float) -> object:
    return (Action.REFUSE, pytest.approx(retry_after_s))


def run(budgets: Budgets, until: float = NEVER) -> list[tuple[float, object]]:
    """Call `due` whenever it is due; what went, and when."""
    gone = []
    while (now := budgets.next_due()) is not None and now <= until:
        gone += [(now, ticket) for ticket in went(budgets.due(now))]
    return gone
