"""The order of things in a sweep, and that no cancel is sent twice without a look between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.custody import Account, Custody, Placed
from opendmux.core.sweeps import TAKEN_S, WAITS_S, Cancel, Look, Sweep, Wait

FIRST, SECOND = Account(1, 10, 1), Account(0, 20, 1)


def order(number: int, account: Account = FIRST) -> Placed:
    return Placed("bot", account, number, f"X{number}", 0.0)


def sweep(*orders: Placed) -> Sweep:
    custody = Custody()
    for each in orders:
        custody.take(each)
    return Sweep("bot", custody)


def test_it_looks_then_cancels_one_by_one_then_looks_again() -> None:
    at = sweep(order(1), order(2), order(3, SECOND))
    assert at.step(0.0, back=False) == Look(FIRST)
    at.looked([order(1), order(2)])
    assert at.step(0.0, back=False) == Look(SECOND)
    at.looked([order(3, SECOND)])
    for number, account in ((1, FIRST), (2, FIRST), (3, SECOND)):
        assert at.step(0.0, back=False) == Cancel(order(number, account))
        at.taken()
    assert at.step(0.0, back=False) == Wait(WAITS_S[0])
    assert at.step(0.5, back=False) == Wait(WAITS_S[0])
    at.custody.let_go(order(1))
    at.custody.let_go(order(2))
    assert at.step(1.0, back=False) == Look(SECOND)
    at.custody.let_go(order(3, SECOND))
    at.looked([])
    assert at.step(1.0, back=False) is None
    assert at.cancelled == 3


def test_nothing_there_is_the_end_at_once() -> None:
    assert sweep().step(0.0, back=False) is None


def test_what_is_final_by_now_is_not_cancelled() -> None:
    at = sweep(order(1))
    at.step(0.0, back=False)
    at.custody.let_go(order(1))
    at.looked([])
    assert at.step(0.0, back=False) is None
    assert at.cancelled == 0


def test_without_a_look_nothing_is_cancelled() -> None:
    at = sweep(order(1))
    now = 0.0
    for wait_s in (*WAITS_S, WAITS_S[-1], WAITS_S[-1]):
        assert at.step(now, back=False) == Look(FIRST)
        at.not_looked("away")
        assert at.step(now, back=False) == Wait(now + wait_s)
        assert at.trouble == "away"
        now += wait_s
    at.step(now, back=False)
    at.looked([order(1)])
    assert at.step(now, back=False) == Cancel(order(1))
    at.taken()
    assert at.step(now, back=False) == Wait(now + TAKEN_S), "sooner, to see what has become of it"
    assert at.trouble == "", "all could be done"


def test_a_pass_that_has_begun_is_finished_for_a_key_that_is_back_and_no_other_begun() -> None:
    at = sweep(order(1), order(2))
    at.step(0.0, back=False)
    at.looked([order(1), order(2)])
    assert at.step(0.0, back=True) == Cancel(order(1))
    at.refused("no")
    assert at.step(0.0, back=True) == Cancel(order(2))
    at.taken()
    assert at.step(0.0, back=True) is None


def test_what_the_list_should_have_and_has_not_is_looked_for_again() -> None:
    at = sweep(order(1))
    at.step(0.0, back=False)
    at.looked([], unsure=1)
    assert at.step(0.0, back=False) == Wait(WAITS_S[0])
    assert at.trouble.startswith("1 of them not in OpenD's list")


def test_held_leaves_the_rest_for_later() -> None:
    at = sweep(order(1), order(2))
    at.step(0.0, back=False)
    at.looked([order(1), order(2)])
    at.held("frozen")
    assert isinstance(at.step(0.0, back=False), Wait)
    assert at.trouble == "frozen"


@given(st.lists(st.sampled_from(["taken", "refused", "unknown", "final", "held"]), max_size=40), st.integers(1, 4))
def test_between_two_cancels_of_an_order_there_is_a_look(outcomes: list[str], count: int) -> None:
    at = sweep(*(order(number) for number in range(count)))
    now, since_look = 0.0, set[Placed]()
    for outcome in outcomes:
        step = at.step(now, back=False)
        if isinstance(step, Wait):
            now = step.until
        elif isinstance(step, Look):
            since_look.clear()
            at.looked(at.custody.of("bot"))
        elif isinstance(step, Cancel):
            assert step.placed not in since_look
            since_look.add(step.placed)
            if outcome in ("taken", "final"):
                at.taken()
            elif outcome == "held":
                at.held("frozen")
            else:
                at.refused(outcome)
            if outcome == "final":
                at.custody.let_go(step.placed)
        else:
            assert not at.custody.of("bot")
