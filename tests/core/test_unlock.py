"""One lock for everybody, and a lock for each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.unlock import Unlock

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)
A, B = 1, 2


def test_shared_is_opends_own_behaviour() -> None:
    lock = Unlock("shared")
    assert not lock.open
    assert lock.may_trade(A), "OpenD checks"
    lock.accepted(A, unlock=True)
    assert lock.open
    assert not lock.stays_here(B)
    lock.accepted(B, unlock=False)
    assert not lock.open


def test_own_is_personal() -> None:
    lock = Unlock("own")
    assert not lock.may_trade(A)
    lock.accepted(A, unlock=True)
    assert lock.may_trade(A)
    assert not lock.may_trade(B)
    assert lock.stays_here(B), "its lock would take A's right away"
    assert not lock.stays_here(A)
    lock.accepted(B, unlock=True)
    assert lock.stays_here(A)
    lock.accepted(A, unlock=False)
    assert lock.open
    assert not lock.may_trade(A)
    assert not lock.stays_here(B)
    lock.accepted(B, unlock=False)
    assert not lock.open


def test_a_locked_opend_takes_every_right_away() -> None:
    lock = Unlock("own")
    lock.accepted(A, unlock=True)
    lock.refused()
    assert not lock.open
    assert not lock.may_trade(A)


def test_who_has_gone_needs_no_open_lock_but_opend_stays_open() -> None:
    lock = Unlock("own")
    lock.accepted(A, unlock=True)
    lock.forget(A)
    assert lock.open
    assert not lock.stays_here(B)
    lock.forget(A)


@DETERMINISTIC
@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["unlock", "lock", "forget", "refused"])), max_size=20))
def test_rights_are_those_of_the_owners_own_last_word(moves: list[tuple[int, str]]) -> None:
    lock, entitled = Unlock("own"), set[int]()
    for owner, move in moves:
        if move == "unlock":
            lock.accepted(owner, unlock=True)
            entitled.add(owner)
        elif move == "lock":
            # Kept back while others need it open; see `stays_here`.
            lock.accepted(owner, unlock=False)
            entitled.discard(owner)
        elif move == "forget":
            lock.forget(owner)
            entitled.discard(owner)
        else:
            lock.refused()
            entitled.clear()
        assert {each for each in range(1, 4) if lock.may_trade(each)} == entitled
        assert lock.open or not entitled
        for each in range(1, 4):
            assert lock.stays_here(each) == bool(entitled - {each})
