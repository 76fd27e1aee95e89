"""Which reads are shared, and the book of those in flight."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from opendmux.core.shareable import NOT_SHARED, OUTDATES, REPEATABLE, SHAREABLE, InFlight, Key
from opendmux.wire.protocols import PACKET_ID_IDS, PROTOCOLS, PUSH_IDS, WRITE_IDS, RequestAction

REQUESTS = frozenset(PROTOCOLS) - PUSH_IDS
DIGEST = hashlib.sha1(b"body").digest()


def key(
    proto_id: int = 2201, *, link: int = 0, proto_fmt: int = 0, visibility: object = "all", digest: bytes = DIGEST
) -> Key:
    found = InFlight.key(link, proto_id, proto_fmt, visibility, digest)
    assert found is not None
    return found


# -- the lists


def test_every_request_is_in_exactly_one_list() -> None:
    assert SHAREABLE | set(NOT_SHARED) == REQUESTS
    assert not SHAREABLE & set(NOT_SHARED)
    assert all(reason for reason in NOT_SHARED.values())


def test_nothing_that_acts_is_shared() -> None:
    assert not SHAREABLE & (WRITE_IDS | PACKET_ID_IDS | PUSH_IDS)


def test_nothing_that_belongs_to_a_connection_is_shared() -> None:
    local = {p.proto_id for p in PROTOCOLS.values() if p.request is RequestAction.LOCAL}
    assert not SHAREABLE & local
    assert not SHAREABLE & {1002, 1005, 2008, 3001, 3002, 3003, 3260, 3455}


def test_nothing_with_page_keys_is_shared() -> None:
    assert not SHAREABLE & {3103, 3456, 3227, 3301, 3302, 3304, 3418, 3438}


def test_the_reads_that_programs_repeat_most_are_shared() -> None:
    assert {2001, 2101, 2102, 2201, 2211, 3004, 3006, 3008, 3010, 3012, 3014, 3202, 3203, 3219, 3223} <= SHAREABLE


@pytest.mark.parametrize("proto_id", [*sorted(NOT_SHARED), *sorted(PUSH_IDS), 9999])
def test_what_is_not_shared_has_no_key(proto_id: int) -> None:
    assert InFlight.key(0, proto_id, 0, "all", DIGEST) is None


def test_every_answer_about_orders_outdates_every_trade_read() -> None:
    trade_reads = {p.proto_id for p in PROTOCOLS.values() if p.area == "trade-read"}
    about_orders = {p.proto_id for p in PROTOCOLS.values() if p.area in {"trade-write", "unlock"}} | {2207, 2208, 2218}
    assert all(OUTDATES[proto_id] == trade_reads for proto_id in about_orders)


def test_only_shared_reads_are_outdated_and_none_outdates_itself() -> None:
    for proto_id, reads in OUTDATES.items():
        assert reads <= SHAREABLE
        assert proto_id in NOT_SHARED or proto_id in PUSH_IDS


def test_what_a_subscription_makes_possible_is_outdated_by_it() -> None:
    assert OUTDATES[3001] == {3004, 3006, 3008, 3010, 3012, 3014}
    assert OUTDATES[3455] == {3445, 3446, 3447, 3448}
    assert OUTDATES[3214] == {3213, 3222}
    assert OUTDATES[3220] == {3221}


def test_only_reads_may_be_sent_twice() -> None:
    assert SHAREABLE < REPEATABLE
    assert not REPEATABLE & WRITE_IDS
    assert not REPEATABLE & {1001, 1004, 2005, 2008, 3001, 3002, 3003, 3260, 3454, 3455}
    assert 3103 in REPEATABLE, "history K lines come in pages"
    assert {PROTOCOLS[proto_id].area for proto_id in REPEATABLE} <= {"quote", "quote-read", "trade-read", "skill"}


# -- the book


def test_the_second_asker_finds_the_first() -> None:
    book = InFlight()
    assert book.find(key()) is None
    book.add(key(), 17)
    assert book.find(key()) == 17
    assert len(book) == 1


def test_what_differs_in_anything_is_not_found() -> None:
    book = InFlight()
    book.add(key(), 17)
    for other in (
        key(2211),
        key(link=1),
        key(proto_fmt=1),
        key(visibility=frozenset({7})),
        key(digest=hashlib.sha1(b"").digest()),
    ):
        assert book.find(other) is None


def test_an_answered_request_is_not_found() -> None:
    book = InFlight()
    book.add(key(), 17)
    book.done(1, 17)
    book.done(0, 18)
    assert book.find(key()) == 17
    book.done(0, 17)
    assert book.find(key()) is None
    book.done(0, 17)
    assert len(book) == 0


@pytest.mark.parametrize("proto_id", [2202, 2205, 2005, 2208, 2218])
def test_what_was_asked_before_an_order_is_not_joined_after_it(proto_id: int) -> None:
    book = InFlight()
    book.add(key(2201), 17)
    book.add(key(3203), 18)
    book.fence(proto_id)
    assert book.find(key(2201)) is None
    assert book.find(key(3203)) == 18
    book.add(key(2201), 19)
    book.done(0, 17)
    assert book.find(key(2201)) == 19, "the old one's answer does not end the new one"


def test_other_answers_are_no_fence() -> None:
    book = InFlight()
    book.add(key(2201), 17)
    book.add(key(3004), 18)
    for proto_id in (2101, 3005, 3203, 9999):
        book.fence(proto_id)
    assert len(book) == 2
    book.fence(3001)
    assert (book.find(key(2201)), book.find(key(3004))) == (17, None)


def test_a_key_that_is_added_again_belongs_to_the_newer_request() -> None:
    book = InFlight()
    book.add(key(), 17)
    book.add(key(), 18)
    book.done(0, 17)
    assert book.find(key()) == 18


def test_a_lost_link_takes_its_requests_along() -> None:
    book = InFlight()
    book.add(key(link=0), 17)
    book.add(key(link=1), 17)
    book.link_lost(0)
    assert (book.find(key(link=0)), book.find(key(link=1))) == (None, 17)


def test_the_book_is_bounded() -> None:
    book = InFlight(limit=2)
    for serial_no, proto_id in enumerate((2201, 2211, 2101)):
        book.add(key(proto_id), serial_no)
    assert len(book) == 2
    assert book.find(key(2101)) is None
    book.done(0, 2)
    book.done(0, 0)
    book.add(key(2101), 3)
    assert book.find(key(2101)) == 3


class BookLife(RuleBasedStateMachine):
    """Only a request that is still in flight, has the same key and is not outdated is ever joined."""

    keys = st.builds(
        lambda proto_id, link, visibility: key(proto_id, link=link, visibility=visibility),
        st.sampled_from([2201, 3004, 3203]),
        st.integers(0, 1),
        st.sampled_from("ab"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.book = InFlight(limit=4)
        self.serial_no = 0
        self.in_flight: dict[tuple[int, int], Key] = {}
        self.outdated: set[tuple[int, int]] = set()

    @rule(wanted=keys)
    def ask(self, wanted: Key) -> None:
        found = self.book.find(wanted)
        if found is not None:
            assert self.in_flight[wanted.link, found] == wanted
            assert (wanted.link, found) not in self.outdated
            return
        self.serial_no += 1
        self.in_flight[wanted.link, self.serial_no] = wanted
        self.book.add(wanted, self.serial_no)

    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        if self.in_flight:
            link, serial_no = data.draw(st.sampled_from(list(self.in_flight)))
            del self.in_flight[link, serial_no]
            self.book.done(link, serial_no)

    @rule(proto_id=st.sampled_from([2202, 2208, 3001, 3004]))
    def fence(self, proto_id: int) -> None:
        self.book.fence(proto_id)
        self.outdated |= {at for at, asked in self.in_flight.items() if asked.proto_id in OUTDATES.get(proto_id, ())}

    @rule(link=st.integers(0, 1))
    def lose(self, link: int) -> None:
        self.book.link_lost(link)
        self.in_flight = {at: asked for at, asked in self.in_flight.items() if at[0] != link}

    @invariant()
    def bounded(self) -> None:
        assert len(self.book) <= min(4, len(self.in_flight))


BookLife.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestBookLife = BookLife.TestCase
