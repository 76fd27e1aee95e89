"""Quota, the 60-second rule and push registration, without any connection."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from opendmux.sim.refusal import Refused
from opendmux.sim.subscriptions import SubKey, Subscriptions

QUOTE: SubKey = ((1, "00700"), 1)
BOOK: SubKey = ((1, "00700"), 2)
APPLE: SubKey = ((11, "AAPL"), 1)


def test_one_pair_on_two_connections_counts_once() -> None:
    books = Subscriptions(quota=2, min_age_s=60)
    books.subscribe(1, [QUOTE], 0)
    books.subscribe(2, [QUOTE, BOOK], 0)
    assert books.used(0) == 2
    with pytest.raises(Refused, match="1 more needed, 0 left of 2"):
        books.subscribe(1, [QUOTE, APPLE], 1)
    assert set(books.of(1)) == {QUOTE}
    books.unsubscribe(2, [QUOTE], 60)
    assert books.used(60) == 2, "connection 1 still holds it"
    books.unsubscribe(1, [QUOTE], 60)
    assert books.used(60) == 1


def test_sixty_seconds_first() -> None:
    books = Subscriptions(quota=10, min_age_s=60)
    books.subscribe(1, [QUOTE], 0)
    books.subscribe(1, [BOOK], 30)
    books.subscribe(1, [QUOTE], 50)
    with pytest.raises(Refused, match="SubType 2"):
        books.unsubscribe(1, [QUOTE, BOOK], 60)
    assert set(books.of(1)) == {QUOTE, BOOK}
    books.unsubscribe(1, [QUOTE, APPLE], 60)
    assert set(books.of(1)) == {BOOK}


def test_a_closed_connection_frees_its_quota_after_sixty_seconds() -> None:
    books = Subscriptions(quota=10, min_age_s=60)
    books.subscribe(1, [QUOTE], 0)
    books.subscribe(1, [BOOK], 40)
    books.drop(1, 70)
    assert books.of(1) == {}
    assert list(books.watched) == []
    assert books.used(70) == 1
    assert books.used(99.9) == 1
    assert books.used(100) == 0
    assert books.ever == {QUOTE: 1, BOOK: 1}


def test_registration_needs_a_subscription() -> None:
    books = Subscriptions(quota=10, min_age_s=60)
    books.subscribe(1, [QUOTE], 0)
    with pytest.raises(Refused, match="subscribe AAPL with SubType 1 first"):
        books.register(1, [QUOTE, APPLE], [])
    assert not books.of(1)[QUOTE].pushed
    books.register(1, [QUOTE], [0, 2])
    assert books.of(1)[QUOTE].rehab_types == {0, 2}
    books.unregister(1, [QUOTE, APPLE])
    assert not books.of(1)[QUOTE].pushed


class Books(RuleBasedStateMachine):
    """Against a model that keeps a list."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Subscriptions(quota=6, min_age_s=60)
        self.held: dict[tuple[int, SubKey], float] = {}
        self.lingering: list[tuple[SubKey, float]] = []
        self.now = 0.0

    def units(self) -> set[SubKey]:
        return {pair for _, pair in self.held} | {pair for pair, until in self.lingering if until > self.now}

    pairs = st.lists(
        st.tuples(st.tuples(st.just(1), st.sampled_from("ABCD")), st.integers(1, 3)), min_size=1, max_size=4
    )

    @rule(connection=st.integers(1, 3), pairs=pairs)
    def subscribe(self, connection: int, pairs: list[SubKey]) -> None:
        try:
            self.books.subscribe(connection, pairs, self.now)
        except Refused:
            assert len(self.units() | set(pairs)) > 6
            return
        for pair in pairs:
            self.held.setdefault((connection, pair), self.now)
        assert len(self.units()) <= 6

    @rule(connection=st.integers(1, 3), pairs=pairs)
    def unsubscribe(self, connection: int, pairs: list[SubKey]) -> None:
        mine = [pair for pair in pairs if (connection, pair) in self.held]
        young = any(self.now - self.held[connection, pair] < 60 for pair in mine)
        try:
            self.books.unsubscribe(connection, list(dict.fromkeys(pairs)), self.now)
        except Refused:
            assert young
            return
        assert not young
        for pair in mine:
            self.held.pop((connection, pair), None)

    @rule(connection=st.integers(1, 3))
    def drop(self, connection: int) -> None:
        self.books.drop(connection, self.now)
        for holder, pair in list(self.held):
            if holder == connection:
                self.lingering.append((pair, self.held.pop((holder, pair)) + 60))

    @rule(seconds=st.sampled_from([1, 20, 60]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def agrees(self) -> None:
        assert self.books.used(self.now) == len(self.units())
        for connection in (1, 2, 3):
            assert set(self.books.of(connection)) == {pair for holder, pair in self.held if holder == connection}
        assert set(self.books.watched) == {key for _, (key, _) in self.held}


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
