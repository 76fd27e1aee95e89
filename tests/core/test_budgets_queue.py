"""Who goes first, and who leaves the queue in another way."""

from __future__ import annotations

from opendmux.core.budget_table import Charge
from opendmux.core.budgets import GO, QUEUE_MAX, WAIT, Action
from tests.core.budgets_kit import (
    ANN,
    BOB,
    CANCEL,
    EVE,
    GAP,
    GAPPED_LINE,
    LINE,
    MODIFY,
    PERIOD,
    PLACE,
    QUERY,
    TWO,
    ask,
    full,
    make,
    run,
    went,
)

# -- who goes first


def test_priorities() -> None:
    budgets = full()
    for ticket, priority in (("query", QUERY), ("place", PLACE), ("cancel", CANCEL), ("modify", MODIFY)):
        assert ask(budgets, ticket, 2.0, priority=priority) is WAIT
    assert [ticket for _, ticket in run(budgets)] == ["cancel", "modify", "place", "query"]


def test_a_higher_priority_does_not_queue_behind_a_lower_one() -> None:
    budgets = full()
    ask(budgets, "query", 2.0)
    assert ask(budgets, "cancel", PERIOD, priority=CANCEL) is GO
    assert run(budgets) == [(1 + PERIOD, "query")]


def test_the_same_priority_queues_even_when_a_place_is_free() -> None:
    budgets = full()
    ask(budgets, "first", 2.0)
    assert ask(budgets, "second", PERIOD + 5) is WAIT
    assert went(budgets.due(PERIOD + 5)) == ["first", "second"]


def test_priorities_go_before_budgets_in_one_turn() -> None:
    budgets = make()
    for _ in range(2):
        ask(budgets, "", 0.0)
    ask(budgets, "", PERIOD - GAP, charge=GAPPED_LINE)
    ask(budgets, "query", 2.0)
    ask(budgets, "cancel", 2.0, charge=GAPPED_LINE, priority=CANCEL)
    assert went(budgets.due(PERIOD)) == ["cancel", "query"]


def test_owners_take_turns() -> None:
    budgets = full()
    for ticket, owner in (("a1", ANN), ("a2", ANN), ("a3", ANN), ("b1", BOB), ("b2", BOB), ("e1", EVE)):
        assert ask(budgets, ticket, 2.0, owner=owner) is WAIT
    assert [ticket for _, ticket in run(budgets)] == ["a1", "b1", "e1", "a2", "b2", "a3"]


def test_a_flood_does_not_delay_others_by_more_than_one_place() -> None:
    budgets = full()
    flood = [ask(budgets, n, 2.0, owner=EVE) for n in range(1000)]
    assert flood.count(WAIT) == QUEUE_MAX
    assert ask(budgets, "mine", 3.0, owner=BOB) is WAIT
    assert [ticket for _, ticket in run(budgets, 1 + PERIOD)] == [0, "mine"]


def test_who_was_served_before_the_queue_formed_stands_behind_who_was_not() -> None:
    budgets = make()
    assert ask(budgets, "", 0.0, owner=EVE) is GO
    assert ask(budgets, "", 1.0, owner=EVE) is GO
    assert ask(budgets, "eve", 29.0, owner=EVE) is WAIT
    assert ask(budgets, "bob", 29.5, owner=BOB) is WAIT
    assert [ticket for _, ticket in run(budgets)] == ["bob", "eve"]


def test_who_is_long_forgotten_has_no_advantage_over_who_waits() -> None:
    budgets = make()
    assert [ask(budgets, "", 0.0, owner=ANN), ask(budgets, "", 1.0, owner=EVE)] == [GO, GO]
    ask(budgets, "ann", 2.0, owner=ANN)
    ask(budgets, "bob", 2.0, owner=BOB)
    assert [ticket for _, ticket in run(budgets, PERIOD)] == ["bob"]
    # Two more, and a window of two remembers Bob no longer.
    ask(budgets, "eve", PERIOD, owner=EVE, priority=CANCEL)
    ask(budgets, "adam", PERIOD, owner=4, priority=CANCEL)
    assert [ticket for _, ticket in run(budgets, 2 * PERIOD)] == ["eve", "adam"]
    ask(budgets, "bob again", 2 * PERIOD, owner=BOB)
    assert [ticket for _, ticket in run(budgets)] == ["ann", "bob again"]


def test_orders_of_one_owner_keep_their_order() -> None:
    budgets = make()
    tickets = [(owner, n) for n in range(5) for owner in (ANN, BOB)]
    for owner, n in tickets:
        ask(budgets, (owner, n), 0.0, owner=owner, priority=PLACE, charge=GAPPED_LINE)
    gone = [ticket for _, ticket in run(budgets)]
    assert [t for t in gone if t[0] == ANN] == [(ANN, n) for n in range(1, 5)]  # type: ignore[index]
    assert [t for t in gone if t[0] == BOB] == [(BOB, n) for n in range(5)]  # type: ignore[index]


# -- taking out and giving back


def test_cancel_owner_takes_everything_of_it_out() -> None:
    budgets = full()
    ask(budgets, "a1", 30.0, priority=MODIFY, give_up_at=31.0)
    ask(budgets, "a2", 30.0, give_up_at=99.0)
    ask(budgets, "b1", 30.0, owner=BOB)
    ask(budgets, "e1", 30.1, owner=EVE, priority=CANCEL)
    # a1 has been refused by now, but nobody has been told yet.
    assert sorted(budgets.cancel_owner(ANN), key=str) == ["a1", "a2"]
    assert budgets.cancel_owner(ANN) == []
    assert [ticket for _, ticket in run(budgets)] == ["e1", "b1"]


def test_a_lost_link_empties_the_queues_but_not_the_windows() -> None:
    budgets = full()
    ask(budgets, "a", 30.0, priority=MODIFY, give_up_at=30.5)
    ask(budgets, "b", 30.0, owner=BOB)
    ask(budgets, "c", 30.1, owner=EVE, priority=CANCEL)
    assert sorted(budgets.drop_waiting(), key=str) == ["a", "b", "c"]
    assert budgets.drop_waiting() == []
    assert (budgets.next_due(), budgets.due(30.2)) == (None, [])
    assert ask(budgets, "", 30.2, give_up_at=30.2).action is Action.REFUSE
    assert ask(budgets, "", PERIOD) is GO


def test_a_refund_gives_the_place_back() -> None:
    budgets = full()
    ask(budgets, "third", 2.0)
    budgets.refund(LINE, 1.0)
    assert budgets.next_due() == 0.0
    assert budgets.due(2.0) == [("third", GO)]
    assert budgets.counters[TWO.name].refunded == 1


def test_a_refund_gives_back_its_own_place_and_no_other() -> None:
    budgets = full()
    budgets.refund(LINE, 0.0)
    assert ask(budgets, "third", 2.0) is GO
    assert ask(budgets, "fourth", 3.0) is WAIT
    assert budgets.next_due() == 1 + PERIOD


def test_a_refund_gives_the_gap_back() -> None:
    budgets = make()
    ask(budgets, "", 1.0, charge=GAPPED_LINE)
    budgets.refund(GAPPED_LINE, 1.0)
    assert ask(budgets, "", 1.0, charge=GAPPED_LINE) is GO


def test_a_refund_of_what_is_long_past_changes_nothing() -> None:
    budgets = full()
    budgets.refund(LINE, 0.5)
    budgets.refund(Charge(TWO.name, 8), 0.0)
    assert budgets.counters[TWO.name].refunded == 0
    assert ask(budgets, "", 2.0) is WAIT
