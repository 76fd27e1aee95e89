"""Leaving: the 60-second rule, the order of one owner's requests, closing, and what is answered here."""

from __future__ import annotations

import pytest

from opendmux.core.ledger import Ledger
from opendmux.core.ledger_values import Kind, SubRequest
from opendmux.core.streams import BASIC, KL_DAY, ORDER_BOOK, PushKey, Space, StreamKey
from tests.core.test_ledger_kit import AAPL, MSFT, TENCENT, A, B, C, Desk, brief

EC = Space.EVENT_CONTRACT


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- leaving -------------------------------------------------------------------------------------------------


def test_opend_is_told_when_the_stream_is_60_seconds_old(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC, KL_DAY])
    desk.close(A)
    due = desk.ledger.next_due()
    assert due is not None
    assert 60 <= due - desk.now <= 62
    desk.later(59.9)
    assert desk.take() == []
    desk.now = due
    desk.later(0)
    call = desk.one()
    assert brief([call]) == [("unsubscribe", {AAPL}, {BASIC, KL_DAY})]
    assert desk.ledger.next_due() is None
    assert desk.released == []
    desk.ok(call)
    assert set(desk.released) == {PushKey(Space.QOT, *AAPL, BASIC, 0), PushKey(Space.QOT, *AAPL, KL_DAY, 1)}
    assert desk.ledger.upstream_streams() == []


def test_what_is_old_enough_goes_at_once(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.later(100)
    assert desk.fine(desk.unsub(A, [AAPL], [BASIC]))
    assert desk.one().kind is Kind.UNSUBSCRIBE


def test_a_new_subscriber_keeps_the_stream(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    for _ in range(50):
        desk.close(A)
        assert desk.fine(desk.sub(A, [AAPL], [BASIC]))
    assert desk.ledger.next_due() is None
    desk.later(100)
    assert desk.take() == []
    assert desk.audience(AAPL, BASIC) == [A]


def test_one_of_two_leaving_changes_nothing_upstream(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.have(B, [AAPL], [BASIC])
    desk.later(100)
    desk.unsub(A, [AAPL], [BASIC])
    assert desk.take() == []
    assert desk.audience(AAPL, BASIC) == [B]


def test_who_comes_while_it_is_being_unsubscribed_waits_and_subscribes(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.later(100)
    desk.unsub(A, [AAPL], [BASIC])
    leaving = desk.one()
    token = desk.sub(B, [AAPL], [BASIC])
    other = desk.sub(C, [AAPL], [BASIC])
    assert desk.take() == []
    desk.ok(leaving)
    call = desk.one()
    assert call.kind is Kind.SUBSCRIBE
    assert desk.waits(token)
    desk.ok(call)
    assert desk.fine(token)
    assert desk.fine(other)


def test_what_an_unfinished_operation_needs_is_not_unsubscribed(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.close(A)
    token = desk.sub(B, [AAPL, MSFT], [BASIC])
    call = desk.one()
    assert call.securities == (MSFT,)
    desk.later(100)
    assert desk.take() == []
    assert desk.ledger.next_due() is None
    desk.ok(call)
    assert desk.fine(token)
    assert desk.audience(AAPL, BASIC) == [B]


def test_it_is_unsubscribed_when_that_operation_fails(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.close(A)
    desk.sub(B, [AAPL, MSFT], [BASIC])
    call = desk.one()
    desk.later(100)
    desk.refuse(call)
    assert brief(desk.take()) == [("unsubscribe", {AAPL}, {BASIC})]


def test_a_refused_unsubscribe_is_tried_again_later_and_later(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.later(100)
    desk.unsub(A, [AAPL], [BASIC])
    call = desk.one()
    for pause in (10, 20, 40, 60, 60):
        desk.refuse(call, -1, "too young")
        assert desk.ledger.next_due() == desk.now + pause
        desk.later(pause - 0.1)
        assert desk.take() == []
        desk.later(0.1)
        call = desk.one()
    token = desk.sub(B, [AAPL], [BASIC])
    desk.refuse(call)
    assert desk.fine(token), "still subscribed, so it can be taken over"
    assert desk.take() == []
    assert desk.ledger.next_due() is None


def test_own_messages_hold_at_most_100_securities(desk: Desk) -> None:
    many = [(11, f"S{n}") for n in range(250)]
    desk.sub(A, many, [BASIC])
    call = desk.one()
    assert len(call.securities) == 250, "a client's request is passed on as it is"
    desk.ok(call)
    desk.later(100)
    desk.close(A)
    assert [len(call.securities) for call in desk.take()] == [100, 100, 50]


# -- order of one owner's requests ---------------------------------------------------------------------------


def test_requests_of_one_owner_about_one_stream_keep_their_order(desk: Desk) -> None:
    one = desk.sub(A, [AAPL], [BASIC], register=None)
    call = desk.one()
    two = desk.reg(A, [AAPL], [BASIC])
    three = desk.unsub(A, [AAPL], [BASIC])
    four = desk.sub(A, [AAPL, MSFT], [BASIC], register=None)
    elsewhere = desk.sub(A, [TENCENT], [ORDER_BOOK])
    assert brief(desk.take()) == [("subscribe", {TENCENT}, {ORDER_BOOK})]
    assert all(desk.waits(token) for token in (one, two, three, four, elsewhere))
    desk.ok(call)
    assert all(desk.fine(token) for token in (one, two, three))
    assert desk.audience(AAPL, BASIC) == []
    desk.ok(desk.one())
    assert desk.fine(four)
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL, MSFT]}
    assert list(desk.answers) == [one, two, three, four]


def test_unsub_all_waits_for_what_was_asked_before(desk: Desk) -> None:
    desk.have(A, [MSFT], [BASIC])
    one = desk.sub(A, [AAPL], [BASIC])
    call = desk.one()
    everything = desk.unsub_all(A)
    assert desk.waits(everything)
    desk.ok(call)
    assert desk.fine(one)
    assert desk.fine(everything)
    assert desk.ledger.subscriptions(A) == {}


def test_registering_after_a_refused_subscription_is_refused(desk: Desk) -> None:
    desk.sub(A, [AAPL], [BASIC])
    call = desk.one()
    token = desk.reg(A, [AAPL], [BASIC])
    desk.refuse(call)
    assert desk.said(token)[0] == -1


def test_closing_answers_what_waits(desk: Desk) -> None:
    one = desk.sub(A, [AAPL], [BASIC])
    call = desk.one()
    two = desk.unsub(A, [AAPL], [BASIC])
    desk.close(A)
    assert desk.said(one)[0] == desk.said(two)[0] == -200
    desk.ok(call)
    assert desk.ledger.owners_with_subscriptions() == []
    assert desk.ledger.upstream_streams() == [StreamKey(Space.QOT, *AAPL, BASIC)]
    desk.later(61)
    desk.ok(desk.one())
    assert desk.ledger.upstream_streams() == []


def test_bad_requests_are_answered_here(desk: Desk) -> None:
    assert desk.said(desk.sub(A, [AAPL], [3])) == (-1, "subTypeList: 3 is not a sub type that can be subscribed here")
    assert desk.said(desk.reg(A, [], [BASIC])) == (-1, "securityList is empty")
    assert desk.take() == []


def test_repeated_items_count_once(desk: Desk) -> None:
    desk.sub(A, [AAPL, AAPL], [BASIC, BASIC])
    call = desk.one()
    assert (call.securities, call.sub_types) == ((AAPL,), (BASIC,))


def test_an_unknown_call_and_an_unknown_owner_are_fine() -> None:
    ledger = Ledger()
    for actions in (ledger.upstream_reply(7, 0, "", 0.0), ledger.close_owner(7, 0.0), ledger.due(5.0)):
        assert not actions.send
        assert not actions.done
    assert ledger.next_due() is None
    assert ledger.used_quota(7) == 0
    ledger.subscribe(1, SubRequest(Space.QOT, unsub_all=True), None, 0.0)
    ledger.check()
