"""When the quote right is asked back: lives of the machine by table, and rules that hold in every life."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.quote_right import (
    CONTESTED_WAIT_S,
    FIRST_WAIT_S,
    GAP_S,
    KEPT_S,
    TRIES_MAX,
    WAIT_MAX_S,
    Policy,
    QuoteRight,
)


def tries_of(right: QuoteRight, until: float, now: float = 0.0) -> list[float]:
    """Let time pass until nothing more is due before ``until``; returns when it asked."""
    asked = []
    while right.next_try is not None and right.next_try <= until:
        now = right.next_try
        assert right.due(now)
        asked.append(now)
    return asked


def test_never_asks_for_nothing_and_still_knows() -> None:
    right = QuoteRight("never")
    right.lost(5.0)
    assert (right.lost_since, right.next_try, right.due(1e9), right.given_up) == (5.0, None, False, False)


def test_when_lost_asks_a_few_times_ever_more_slowly_and_gives_up() -> None:
    right = QuoteRight("when-lost")
    right.lost(0.0)
    asked = tries_of(right, 1e6)
    assert asked == [FIRST_WAIT_S, *(FIRST_WAIT_S + GAP_S * (2**n - 1) for n in range(1, TRIES_MAX))]
    assert right.given_up
    right.back(2000.0)
    assert not right.given_up
    right.lost(2000.0 + KEPT_S)  # it was kept: all of it again
    assert len(tries_of(right, 1e6)) == TRIES_MAX


def test_always_goes_on_with_the_longest_wait() -> None:
    right = QuoteRight("always")
    right.lost(0.0)
    asked = tries_of(right, 100_000.0)
    waits = [later - sooner for sooner, later in itertools.pairwise(asked)]
    assert waits[:3] == [GAP_S, 2 * GAP_S, 4 * GAP_S]
    assert waits[-1] == WAIT_MAX_S
    assert not right.given_up


def test_opend_had_it_back_by_itself() -> None:
    right = QuoteRight("when-lost")
    right.lost(0.0)
    right.back(1.0)
    assert right.next_try is None
    assert not right.due(100.0)


@pytest.mark.parametrize("policy", ["when-lost", "always"])
def test_who_takes_it_again_within_ten_seconds_is_let_alone(policy: Policy) -> None:
    right = QuoteRight(policy)
    right.lost(0.0)
    assert right.due(FIRST_WAIT_S)
    right.back(4.0)
    right.lost(13.9)
    assert right.contested
    assert right.next_try == 13.9 + CONTESTED_WAIT_S


def test_after_the_long_wait_when_lost_asks_once_and_no_more() -> None:
    right = QuoteRight("when-lost")
    right.lost(0.0)
    right.back(1.0)  # OpenD itself
    right.lost(2.0)
    assert tries_of(right, 1e6) == [2.0 + CONTESTED_WAIT_S]
    assert right.given_up


@pytest.mark.parametrize("policy", ["when-lost", "always"])
def test_tries_are_those_that_were_made(policy: Policy) -> None:
    right = QuoteRight(policy)
    right.lost(0.0)
    assert right.due(FIRST_WAIT_S)
    right.back(4.0)
    right.lost(5.0)
    assert (right.contested, right.tries) == (True, 1), "being let alone is no try"
    assert right.due(5.0 + CONTESTED_WAIT_S)
    right.failed(5.0 + CONTESTED_WAIT_S)
    assert right.tries == 2


def test_after_the_long_wait_a_second_refusal_ends_it() -> None:
    right = QuoteRight("when-lost")
    right.lost(0.0)
    right.back(1.0)
    right.lost(2.0)
    asked = 2.0 + CONTESTED_WAIT_S
    assert right.due(asked)
    right.back(asked + 1)
    right.lost(asked + 3)
    assert right.given_up
    right.back(asked + 10)
    right.lost(asked + 10 + KEPT_S)
    assert not right.contested
    assert right.next_try == asked + 10 + KEPT_S + FIRST_WAIT_S


def test_after_eleven_seconds_it_is_no_contest_but_the_waits_grow() -> None:
    right = QuoteRight("always")
    right.lost(0.0)
    assert right.due(FIRST_WAIT_S)
    right.back(4.0)
    right.lost(15.0)
    assert (right.contested, right.next_try) == (False, 15.0 + GAP_S)
    assert right.due(26.0)
    right.back(26.5)
    right.lost(40.0)
    assert right.next_try == 40.0 + 2 * GAP_S


def test_what_somebody_else_asked_for_counts_for_the_gap() -> None:
    right = QuoteRight("always")
    right.asked(0.0)
    right.lost(1.0)
    assert right.next_try == GAP_S


def test_a_try_that_did_not_get_through_is_no_try_of_the_few() -> None:
    right = QuoteRight("when-lost")
    right.lost(0.0)
    for _ in range(50):
        assert right.next_try is not None
        now = right.next_try
        assert right.due(now)
        right.failed(now)
    assert not right.given_up


def test_what_may_not_be_sent_yet_waits_for_so_long() -> None:
    right = QuoteRight("always")
    right.lost(0.0)
    assert right.due(FIRST_WAIT_S)
    right.failed(FIRST_WAIT_S, 55.0)
    assert right.next_try == FIRST_WAIT_S + 55.0


def test_without_opend_nothing_is_asked() -> None:
    right = QuoteRight("always")
    right.lost(0.0)
    right.unknown()
    assert (right.lost_since, right.next_try) == (None, None)


happenings = st.lists(
    st.tuples(st.floats(0.0, 2000.0), st.sampled_from(["lost", "back", "due", "asked", "failed", "unknown"])),
    max_size=60,
)


@given(policy=st.sampled_from(["never", "when-lost", "always"]), life=happenings)
def test_in_every_life(policy: Policy, life: list[tuple[float, str]]) -> None:
    """Never twice within ten seconds, hence never over 10 in 60 s; `always` has a next try whenever it is lost, within
    the longest wait; `never` has none."""
    right, now, asked = QuoteRight(policy), 0.0, []
    for pause, what in life:
        now += pause
        if what == "due":
            if right.due(now):
                asked.append(now)
        elif what == "asked":
            if not asked or now - asked[-1] >= 10.0:
                asked.append(now)
                right.asked(now)
        elif what == "unknown":
            right.unknown()
        else:
            getattr(right, what)(now)
        if policy == "always" and right.lost_since is not None:
            assert right.next_try is not None
            assert right.next_try <= now + max(CONTESTED_WAIT_S, WAIT_MAX_S)
        if policy == "never":
            assert right.next_try is None
    assert all(later - sooner >= 10.0 for sooner, later in itertools.pairwise(asked))
    assert all(sum(moment <= other < moment + 60 for other in asked) <= 10 for moment in asked)
