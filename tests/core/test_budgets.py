"""Windows, gaps, refusals, figures: each edge by itself."""

from __future__ import annotations

import math

import pytest

from opendmux.core.budget_table import LIMITS, ROWS, USER, Charge
from opendmux.core.budgets import GO, READ_WAIT_S, TRADE_WRITE_WAIT_S, WAIT, Action, Budgets, Usage, Verdict, Waits
from tests.core.budgets_kit import (
    ANN,
    BOB,
    CANCEL,
    EVE,
    GAP,
    GAPPED_LINE,
    LINE,
    MODIFY,
    NEVER,
    PERIOD,
    PLACE,
    QUERY,
    TWO,
    ask,
    full,
    make,
    refused,
    run,
    went,
)

# -- windows and gaps


def test_a_burst_as_large_as_the_budget_goes_at_once() -> None:
    budgets = Budgets()
    charge = Charge("Qot_RequestHistoryKL", USER)
    assert [budgets.admit(charge, ANN, n, QUERY, 9.0, 5.0) for n in range(60)] == [GO] * 60
    assert budgets.admit(charge, ANN, 60, QUERY, 9.0, 5.0).action is Action.REFUSE


def test_the_next_one_leaves_more_than_30_s_after_the_first() -> None:
    budgets = full(at=100.0)
    assert ask(budgets, "third", 101.0) is WAIT
    assert budgets.next_due() == 100.0 + PERIOD
    assert budgets.due(math.nextafter(100.0 + PERIOD, 0)) == []
    assert budgets.due(100.0 + PERIOD) == [("third", GO)]
    assert budgets.next_due() is None


def test_a_free_place_is_taken_without_waiting_from_its_first_moment_on() -> None:
    budgets = full()
    assert ask(budgets, "early", math.nextafter(PERIOD, 0)) is WAIT
    budgets = full()
    assert ask(budgets, "in time", PERIOD) is GO
    assert ask(budgets, "next", PERIOD) is WAIT
    assert budgets.next_due() == 1 + PERIOD


def test_accounts_and_budgets_do_not_share() -> None:
    budgets = full()
    assert ask(budgets, "", 1.0, charge=Charge(TWO.name, 8)) is GO
    assert ask(budgets, "", 1.0, charge=GAPPED_LINE) is GO


def test_a_gap_is_kept() -> None:
    budgets = make()
    assert ask(budgets, 0, 1.0, charge=GAPPED_LINE) is GO
    assert ask(budgets, 1, 1.0, charge=GAPPED_LINE) is WAIT
    assert ask(budgets, 2, 1.01, charge=GAPPED_LINE) is WAIT
    assert budgets.due(1.04) == []
    assert run(budgets) == [(1.0 + GAP, 1), (1.0 + GAP + GAP, 2)]
    assert ask(budgets, 3, 2.0, charge=GAPPED_LINE) is GO, "a gap long past"


def test_one_late_turn_lets_only_one_go_when_there_is_a_gap() -> None:
    budgets = make()
    for ticket in range(4):
        ask(budgets, ticket, 1.0, charge=GAPPED_LINE)
    assert went(budgets.due(5.0)) == [1]
    assert budgets.next_due() == 5.0 + GAP


def test_one_late_turn_lets_all_go_whose_place_has_come() -> None:
    budgets = full()
    for ticket in range(3):
        assert ask(budgets, ticket, 2.0) is WAIT
    assert went(budgets.due(200.0)) == [0, 1]
    assert budgets.next_due() == 200.0 + PERIOD


@pytest.mark.parametrize("proto_id", [2202, 2205])
def test_a_burst_of_orders_as_large_as_the_budget_leaves_within_the_wait(proto_id: int) -> None:
    limit = ROWS[proto_id].limit
    budgets = Budgets()
    charge = Charge(limit.name, 7)
    verdicts = [budgets.admit(charge, ANN, n, PLACE, TRADE_WRITE_WAIT_S, 0.0) for n in range(limit.count)]
    assert verdicts == [GO] + [WAIT] * (limit.count - 1)
    assert [ticket for _, ticket in run(budgets)] == list(range(1, limit.count))


# -- refusals


def test_refused_at_once_when_the_window_opens_too_late() -> None:
    budgets = full(at=10.0)
    assert ask(budgets, "", 12.0, give_up_at=10 + PERIOD - 0.01) == refused(PERIOD - 2)
    assert budgets.next_due() is None
    assert ask(budgets, "just", 12.0, give_up_at=10 + PERIOD) is WAIT
    assert run(budgets) == [(10 + PERIOD, "just")]


def test_refused_at_once_when_those_in_front_take_every_place_in_time() -> None:
    budgets = full()
    assert ask(budgets, "first", 29.0, owner=ANN, give_up_at=33.0) is WAIT
    assert ask(budgets, "second", 29.0, owner=BOB, give_up_at=33.0) is WAIT
    refusal = ask(budgets, "third", 29.0, owner=EVE, give_up_at=33.0)
    assert refusal == refused(2 * PERIOD - 29)
    assert [ticket for _, ticket in run(budgets)] == ["first", "second"]


def test_refused_when_pushed_behind_its_time_by_a_higher_priority() -> None:
    budgets = full()
    assert ask(budgets, "modify", 30.0, give_up_at=30.5, priority=MODIFY) is WAIT
    assert ask(budgets, "cancel", 30.1, owner=BOB, give_up_at=31.1, priority=CANCEL) is WAIT
    assert budgets.next_due() == -math.inf
    assert budgets.due(30.2) == [("modify", refused(1 + PERIOD - 30.1))]
    assert run(budgets) == [(PERIOD, "cancel")]


def test_refused_when_pushed_behind_its_time_by_one_that_goes_at_once() -> None:
    budgets = full()
    assert ask(budgets, "modify", 30.0, give_up_at=30.5, priority=MODIFY) is WAIT
    assert ask(budgets, "cancel", 30.3, owner=BOB, priority=CANCEL) is GO
    assert [(ticket, verdict.action) for ticket, verdict in budgets.due(30.3)] == [("modify", Action.REFUSE)]
    assert budgets.next_due() is None


def test_refused_when_pushed_behind_its_time_by_an_owner_with_better_right() -> None:
    budgets = make()
    ask(budgets, "", 0.0, owner=EVE)
    ask(budgets, "", 1.0, owner=EVE)
    assert ask(budgets, "eve", 30.0, owner=EVE, give_up_at=31.0) is WAIT
    assert ask(budgets, "bob", 30.0, owner=BOB, give_up_at=31.0) is WAIT
    assert [(ticket, verdict.action) for ticket, verdict in budgets.due(30.0)] == [("eve", Action.REFUSE)]
    assert run(budgets) == [(PERIOD, "bob")]


def test_the_place_of_a_refused_one_goes_to_its_owners_next() -> None:
    budgets = full()
    assert ask(budgets, "a1", 30.0, owner=ANN, give_up_at=30.5) is WAIT
    assert ask(budgets, "a2", 30.0, owner=ANN, give_up_at=99.0) is WAIT
    assert ask(budgets, "b1", 30.0, owner=BOB, give_up_at=31.5) is WAIT
    assert [(t, v.action) for t, v in budgets.due(30.6)] == [
        ("a1", Action.REFUSE),
        ("a2", Action.GO),
    ]
    assert run(budgets) == [(1 + PERIOD, "b1")]


def test_nothing_leaves_after_its_owner_gave_up() -> None:
    budgets = full()
    assert ask(budgets, "on time", 30.0, give_up_at=PERIOD + 0.5) is WAIT
    assert budgets.due(PERIOD + 0.6) == [("on time", Verdict(Action.REFUSE, 0.0))]
    assert ask(budgets, "late", 40.0, give_up_at=39.9) == Verdict(Action.REFUSE, 0.0), "though a place is free"
    assert ask(budgets, "now", 40.0, give_up_at=40.0) is GO


def test_late_and_others_wait() -> None:
    budgets = full()
    ask(budgets, "waits", 2.0)
    assert ask(budgets, "late", 40.0, give_up_at=39.0).action is Action.REFUSE
    assert went(budgets.due(40.0)) == ["waits"]


def test_who_comes_back_after_the_time_told_goes() -> None:
    budgets = full()
    refusal = ask(budgets, "", 7.0, give_up_at=8.0)
    assert ask(budgets, "", 7.0 + refusal.retry_after_s, give_up_at=NEVER) is GO


def test_an_owner_may_have_only_so_many_waiting() -> None:
    budgets = make(queue_max=2)
    for owner in (ANN, BOB):
        ask(budgets, "", 0.0, owner=owner)
    assert ask(budgets, 1, 1.0) is WAIT
    assert ask(budgets, 2, 1.0) is WAIT
    assert ask(budgets, 3, 1.0) == refused(2 * PERIOD - 1)
    assert ask(budgets, 4, 1.0, owner=BOB) is WAIT
    assert went(budgets.due(PERIOD)) == [1, 4]
    assert ask(budgets, 5, PERIOD) is WAIT, "there is room again"


def test_lines_are_bounded_and_the_one_used_longest_ago_makes_room() -> None:
    budgets = make(lines_max=3)
    for acc_id in (1, 2, 3):
        assert ask(budgets, "", float(acc_id), charge=Charge(TWO.name, acc_id)) is GO
    assert ask(budgets, "", 4.0, charge=Charge(TWO.name, 1)) is GO, "1 was used last now"
    assert ask(budgets, "", 5.0, charge=Charge(TWO.name, 4)) is GO, "made-up accounts must not block real ones"
    assert [usage.charge.key for usage in budgets.usage(5.0)] == [3, 1, 4]


def test_a_line_in_which_somebody_waits_is_kept() -> None:
    budgets = make(lines_max=1)
    ask(budgets, "", 0.0)
    ask(budgets, "", 0.0)
    ask(budgets, "waits", 1.0)
    assert ask(budgets, "", 99.0, charge=Charge(TWO.name, 8)).action is Action.REFUSE
    assert went(budgets.due(99.0)) == ["waits"]


# -- figures


def test_counters() -> None:
    budgets = full()
    ask(budgets, "waits", 2.0)
    ask(budgets, "refused", 2.0, owner=BOB, give_up_at=3.0)
    ask(budgets, "pushed", 2.0, owner=EVE, give_up_at=2 + PERIOD, priority=PLACE)
    ask(budgets, "pushing", 2.0, owner=BOB, priority=CANCEL)
    assert {ticket for ticket, _ in budgets.due(1 + PERIOD)} == {"pushing", "pushed"}
    counters = budgets.counters[TWO.name]
    assert (counters.admitted, counters.waited, counters.refused) == (4, 3, 1)
    assert set(Budgets().counters) == set(LIMITS)


def test_usage() -> None:
    budgets = full()
    ask(budgets, "waits", 2.0)
    assert budgets.usage(2.0) == [Usage(LINE, used=2, allowed=2, waiting=1)]
    budgets.drop_waiting()
    assert budgets.usage(PERIOD) == [Usage(LINE, used=1, allowed=2, waiting=0)]
    assert budgets.usage(1 + PERIOD) == []


def test_waits() -> None:
    waits = Waits()
    for proto_id in (2202, 2205, 2227, 2209, 2237):
        assert waits.give_up_at(proto_id, 5.0) == 5.0 + TRADE_WRITE_WAIT_S
    for proto_id in (2005, 2101, 3103, 3220, 9999):
        assert waits.give_up_at(proto_id, 5.0) == 5.0 + READ_WAIT_S
    assert Waits(read_s=2.0, trade_write_s=0.5).give_up_at(2202, 1.0) == 1.5
    # The JavaScript SDK waits 5 s for a reply.
    assert max(READ_WAIT_S, TRADE_WRITE_WAIT_S) < 5.0
