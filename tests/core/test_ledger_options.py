"""One set of options per stream and connection: conflicts, changes of one's own stream, and their undoing."""

from __future__ import annotations

import re

import pytest

from opendmux.core.ledger_values import Kind
from opendmux.core.streams import BASIC, KL_DAY, ORDER_BOOK, REHAB_BACKWARD, REHAB_FORWARD, TICKER, Options
from tests.core.test_ledger_kit import AAPL, BAD, MSFT, TENCENT, A, B, C, Desk

NIGHT = Options(session=3)
EXTENDED = Options(extended_time=True)
DETAIL = Options(order_book_detail=True)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_stream_is_asked_for_with_what_means_something_for_it(desk: Desk) -> None:
    everything = Options(order_book_detail=True, extended_time=True, session=3, security_firm=1)
    desk.sub(A, [AAPL, TENCENT], [BASIC, ORDER_BOOK, TICKER], options=everything)
    asked = {
        (security, sub_type): call.options
        for call in desk.take()
        for security in call.securities
        for sub_type in call.sub_types
    }
    assert asked == {
        (AAPL, BASIC): Options(),
        (TENCENT, BASIC): Options(),
        (AAPL, ORDER_BOOK): DETAIL,
        (TENCENT, ORDER_BOOK): DETAIL,
        (AAPL, TICKER): Options(extended_time=True, session=3),
        (TENCENT, TICKER): Options(),
    }


def test_a_conflict_is_refused_and_explained(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER], options=NIGHT)
    ret_type, text = desk.said(desk.sub(B, [MSFT, AAPL], [TICKER], options=EXTENDED))
    assert ret_type == -1
    for word in ("US.AAPL Ticker", "session ALL", "extendedTime"):
        assert word in text
    assert desk.take() == [], "nothing is sent for an operation that is refused"
    assert desk.ledger.owners_with_subscriptions() == [A]
    assert desk.fine(desk.unsub(B, [AAPL], [TICKER]))
    assert desk.audience(AAPL, TICKER) == [A]


def test_what_means_nothing_is_no_conflict(desk: Desk) -> None:
    desk.have(A, [AAPL, TENCENT], [BASIC], options=Options(extended_time=True, session=3, security_firm=1))
    assert desk.fine(desk.sub(B, [AAPL, TENCENT], [BASIC], options=Options(order_book_detail=True)))


def test_a_conflict_with_what_is_pending_waits_for_the_outcome(desk: Desk) -> None:
    desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    call = desk.one()
    token = desk.sub(B, [AAPL], [TICKER])
    assert desk.waits(token)
    desk.ok(call)
    assert desk.said(token)[0] == -1

    desk.sub(A, [MSFT], [TICKER], options=NIGHT)
    call = desk.one()
    token = desk.sub(B, [MSFT], [TICKER])
    desk.refuse(call)
    again = desk.one()
    assert again.options == Options()
    desk.ok(again)
    assert desk.fine(token)


def test_an_abandoned_stream_with_other_options_says_when_to_try_again(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER], options=NIGHT)
    desk.close(A)
    desk.later(20)
    ret_type, text = desk.said(desk.sub(B, [AAPL], [TICKER]))
    assert ret_type == -1
    found = re.search(r"try again in (\d+) s", text)
    assert found is not None
    wait = int(found[1])
    assert 40 <= wait <= 43
    desk.later(wait - 1)
    leaving = desk.one()
    assert leaving.kind is Kind.UNSUBSCRIBE
    desk.ok(leaving)
    desk.later(1)
    desk.have(B, [AAPL], [TICKER])


def test_other_options_while_it_is_being_unsubscribed(desk: Desk) -> None:
    desk.have(A, [AAPL, MSFT], [TICKER], options=NIGHT)
    desk.later(100)
    desk.unsub(A, [AAPL], [TICKER])
    leaving = desk.one()
    token = desk.sub(B, [AAPL], [TICKER])
    desk.ok(leaving)
    call = desk.one()
    assert call.options == Options()
    desk.ok(call)
    assert desk.fine(token)

    desk.unsub(A, [MSFT], [TICKER])
    leaving = desk.one()
    token = desk.sub(B, [MSFT], [TICKER])
    desk.refuse(leaving)
    assert "try again in 11 s" in desk.said(token)[1]


def test_who_is_alone_changes_its_stream(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    token = desk.sub(A, [AAPL], [KL_DAY], rehab=(REHAB_BACKWARD,), options=NIGHT)
    call = desk.one()
    assert (call.kind, call.options, call.rehab_types) == (Kind.SUBSCRIBE, NIGHT, (REHAB_FORWARD, REHAB_BACKWARD))
    assert desk.waits(token)
    desk.ok(call)
    assert desk.fine(token)
    assert desk.audience(AAPL, KL_DAY, REHAB_FORWARD) == desk.audience(AAPL, KL_DAY, REHAB_BACKWARD) == [A]
    assert desk.fine(desk.sub(B, [AAPL], [KL_DAY], options=NIGHT))
    assert desk.said(desk.sub(A, [AAPL], [KL_DAY]))[0] == -1, "no longer alone"


def test_a_refused_change_changes_nothing(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    token = desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    call = desk.one()
    same = desk.sub(B, [AAPL], [TICKER])
    assert desk.waits(same)
    desk.refuse(call, -1, "no right")
    assert desk.said(token) == (-1, "no right")
    assert desk.fine(same)
    assert desk.audience(AAPL, TICKER) == [A, B]
    assert desk.take() == []


def test_a_refused_change_does_not_delay_leaving(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    desk.later(100)
    desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    desk.refuse(desk.one())
    desk.close(A)
    assert desk.one().kind is Kind.UNSUBSCRIBE


def test_who_wants_the_new_options_waits_for_the_change(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    call = desk.one()
    token = desk.sub(B, [AAPL], [TICKER], options=NIGHT)
    third = desk.sub(C, [AAPL], [TICKER], options=EXTENDED)
    assert desk.said(third)[0] == -1
    assert desk.waits(token)
    desk.ok(call)
    assert desk.fine(token)


def test_a_change_is_undone_when_the_rest_is_refused(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    token = desk.sub(A, [AAPL, BAD], [TICKER], options=NIGHT)
    change, bad = sorted(desk.take(), key=lambda call: BAD in call.securities)
    newcomer = desk.sub(B, [AAPL], [TICKER], options=NIGHT)
    desk.ok(change)
    assert "being given other options" in desk.said(newcomer)[1]
    desk.refuse(bad, -1, "unknown stock")
    assert desk.said(token) == (-1, "unknown stock")
    back = desk.one()
    assert (back.kind, back.options, back.securities) == (Kind.SUBSCRIBE, Options(), (AAPL,))
    assert desk.audience(AAPL, TICKER) == [A]
    joining = desk.sub(B, [AAPL], [TICKER])
    assert desk.waits(joining)
    desk.ok(back)
    assert desk.fine(joining)


def test_a_change_is_undone_when_it_succeeds_too_late(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    token = desk.sub(A, [AAPL, BAD], [TICKER], options=NIGHT)
    change, bad = sorted(desk.take(), key=lambda call: BAD in call.securities)
    desk.refuse(bad, -1, "unknown stock")
    assert desk.said(token) == (-1, "unknown stock")
    assert desk.take() == []
    desk.ok(change)
    back = desk.one()
    assert (back.kind, back.options) == (Kind.SUBSCRIBE, Options())


def test_a_client_that_leaves_in_the_middle_of_a_change(desk: Desk) -> None:
    """OpenD has the new options, the books go back to the former ones: whoever comes next has to ask anew."""
    desk.have(A, [AAPL], [TICKER])
    desk.sub(A, [AAPL, TENCENT], [TICKER], options=NIGHT)
    change = next(call for call in desk.take() if call.options == NIGHT)
    desk.ok(change)
    desk.close(A)
    token = desk.sub(B, [AAPL], [TICKER])
    call = desk.one()
    assert (call.kind, call.options) == (Kind.SUBSCRIBE, Options())
    desk.ok(call)
    assert desk.fine(token)


def test_two_who_ask_differently_in_one_moment(desk: Desk) -> None:
    """The stream is free, being unsubscribed; the one who came first gets its options."""
    desk.have(A, [AAPL], [TICKER])
    desk.later(100)
    desk.close(A)
    leaving = desk.one()
    first = desk.sub(B, [AAPL], [TICKER], options=NIGHT)
    second = desk.sub(C, [AAPL], [TICKER], options=EXTENDED)
    desk.ok(leaving)
    call = desk.one()
    assert call.options == NIGHT
    desk.ok(call)
    assert desk.fine(first)
    assert desk.said(second)[0] == -1
    assert desk.take() == []


def test_a_stream_that_an_unfinished_operation_relies_on_is_not_changed(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    unfinished = desk.sub(B, [AAPL, MSFT], [TICKER])
    call = desk.one()
    assert desk.said(desk.sub(A, [AAPL], [TICKER], options=NIGHT))[0] == -1
    desk.ok(call)
    assert desk.fine(unfinished)
