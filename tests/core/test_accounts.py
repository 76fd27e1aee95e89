"""Account pushes: the books against a model that recomputes everything."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.accounts import Accounts

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

OWNERS = st.integers(1, 5)
ACC_IDS = st.integers(1, 6) | st.sampled_from([2**64 - 1])
LISTS = st.lists(ACC_IDS, max_size=6)
"""As clients write them: in any order, with repetitions."""


@DETERMINISTIC
@given(st.lists(st.tuples(OWNERS, LISTS), max_size=25))
def test_audience_and_union_are_those_of_the_last_lists(moves: list[tuple[int, list[int]]]) -> None:
    accounts = Accounts()
    model: dict[int, set[int]] = {}
    for owner, acc_ids in moves:
        before = set().union(*model.values())
        model[owner] = set(acc_ids)
        after = set().union(*model.values())
        assert accounts.set(owner, acc_ids) == (before != after)
        assert accounts.union() == after
        for acc_id in (*range(1, 8), 2**64 - 1):
            wanted = {owner for owner, acc_ids in model.items() if acc_id in acc_ids}
            assert len(accounts.audience(acc_id)) == len(wanted)
            assert set(accounts.audience(acc_id)) == wanted
        for each in range(1, 6):
            assert accounts.get(each) == model.get(each, set())


@DETERMINISTIC
@given(st.lists(st.tuples(OWNERS, LISTS), max_size=25))
def test_nothing_is_kept_of_owners_that_have_gone(moves: list[tuple[int, list[int]]]) -> None:
    accounts = Accounts()
    for owner, acc_ids in moves:
        accounts.set(owner, acc_ids)
    for owner in range(1, 6):
        accounts.set(owner, ())
    assert (accounts._by_owner, accounts._audience) == ({}, {})
    assert accounts.union() == frozenset()


def test_an_audience_keeps_the_order_in_which_its_owners_came() -> None:
    accounts = Accounts()
    for owner in (3, 1, 2):
        accounts.set(owner, [10, 20])
    accounts.set(1, [10, 30])
    assert accounts.audience(10) == [3, 1, 2]
    assert accounts.audience(20) == [3, 2]


def test_owners_nobody_knows_want_nothing() -> None:
    accounts = Accounts()
    assert accounts.get(9) == frozenset()
    assert list(accounts.audience(9)) == []
    assert not accounts.set(9, ())
