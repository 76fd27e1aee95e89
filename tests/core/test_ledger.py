"""Sharing: who subscribes upstream, who joins, who gets what, and when OpenD is told to stop."""

from __future__ import annotations

import pytest

from opendmux.core.ledger_values import Kind
from opendmux.core.streams import (
    BASIC,
    KL_1MIN,
    KL_DAY,
    REHAB_BACKWARD,
    REHAB_FORWARD,
    REHAB_NONE,
    TICKER,
    PushKey,
    Space,
    StreamKey,
)
from tests.core.test_ledger_kit import AAPL, BAD, ELECTION, MSFT, A, B, C, Desk, brief

EC = Space.EVENT_CONTRACT


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- joining -------------------------------------------------------------------------------------------------


def test_first_subscriber_subscribes_with_registration(desk: Desk) -> None:
    token = desk.sub(A, [AAPL, MSFT], [BASIC, TICKER], register=None)
    call = desk.one()
    assert (call.kind, call.space, call.first_push, call.rehab_types) == (Kind.SUBSCRIBE, Space.QOT, True, ())
    assert brief([call]) == [("subscribe", {AAPL, MSFT}, {BASIC, TICKER})]
    assert desk.waits(token)
    assert desk.ledger.subscriptions(A) == {}
    desk.ok(call)
    assert desk.fine(token)
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL, MSFT], TICKER: [AAPL, MSFT]}
    assert desk.ledger.used_quota(A) == 4
    assert desk.audience(AAPL, BASIC) == [], "it did not ask for pushes"


def test_pushes_of_a_stream_are_news_as_long_as_it_is_wanted_or_upstream(desk: Desk) -> None:
    name = (Space.QOT, *AAPL, BASIC)
    assert not desk.ledger.knows(*name)
    desk.sub(A, [AAPL], [BASIC])
    assert desk.ledger.knows(*name), "OpenD's first push may overtake its reply"
    desk.ok(desk.one())
    desk.close(A)
    assert desk.ledger.knows(*name)
    desk.later(61)
    desk.ok(desk.one())
    assert not desk.ledger.knows(*name)


def test_a_later_subscriber_costs_nothing(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    token = desk.sub(B, [AAPL], [BASIC])
    assert desk.take() == []
    assert desk.answers[token].first_pushes == (PushKey(Space.QOT, *AAPL, BASIC, 0),)
    assert desk.audience(AAPL, BASIC) == [A, B]
    assert desk.ledger.owners_with_subscriptions() == [A, B]
    assert desk.ledger.upstream_streams() == [StreamKey(Space.QOT, *AAPL, BASIC)]


def test_only_what_is_missing_is_asked_for(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.sub(B, [AAPL, MSFT], [BASIC, TICKER])
    assert sorted(map(str, brief(desk.take()))) == sorted(
        map(str, [("subscribe", {MSFT}, {BASIC, TICKER}), ("subscribe", {AAPL}, {TICKER})])
    )


def test_a_pending_stream_is_waited_for(desk: Desk) -> None:
    first = desk.sub(A, [AAPL], [BASIC])
    call = desk.one()
    second = desk.sub(B, [AAPL], [BASIC])
    assert desk.take() == []
    assert desk.waits(second)
    desk.ok(call)
    assert desk.fine(first)
    assert desk.fine(second)
    assert desk.audience(AAPL, BASIC) == [A, B]


def test_those_who_waited_for_the_same_are_refused_with_it(desk: Desk) -> None:
    first = desk.sub(A, [AAPL], [BASIC])
    call = desk.one()
    second = desk.sub(B, [AAPL, MSFT], [BASIC])
    other = desk.one()
    desk.refuse(call, -1, "no right")
    assert desk.said(first) == desk.said(second) == (-1, "no right")
    desk.ok(other)
    assert desk.take() == []
    assert desk.ledger.owners_with_subscriptions() == []


def test_nobody_is_refused_for_what_another_client_named(desk: Desk) -> None:
    first = desk.sub(A, [AAPL, BAD], [BASIC])
    call = desk.one()
    second = desk.sub(B, [AAPL], [BASIC])
    desk.refuse(call, -1, "unknown stock BAD")
    assert desk.said(first) == (-1, "unknown stock BAD")
    again = desk.one()
    assert brief([again]) == [("subscribe", {AAPL}, {BASIC})]
    desk.ok(again)
    assert desk.fine(second)


def test_an_operation_is_all_or_nothing(desk: Desk) -> None:
    desk.have(C, [AAPL], [BASIC])
    desk.have(A, [AAPL], [BASIC])
    token = desk.sub(A, [AAPL, MSFT], [BASIC, TICKER])
    one, two = desk.take()
    desk.refuse(one, -1, "quota")
    assert desk.said(token) == (-1, "quota")
    desk.ok(two)
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL]}, "what it had before stays"
    left = set(desk.ledger.upstream_streams()) - {StreamKey(Space.QOT, *AAPL, BASIC)}
    assert left, "what succeeded waits for its 60 seconds"
    desk.later(61)
    gone = desk.one()
    assert (gone.kind, {StreamKey(Space.QOT, *sec, sub) for sec in gone.securities for sub in gone.sub_types}) == (
        Kind.UNSUBSCRIBE,
        left,
    )


# -- registration --------------------------------------------------------------------------------------------


def test_registration_is_a_local_matter(desk: Desk) -> None:
    desk.sub(A, [AAPL], [BASIC], register=None)
    desk.ok(*desk.take())
    token = desk.reg(A, [AAPL], [BASIC])
    assert desk.answers[token].first_pushes == (PushKey(Space.QOT, *AAPL, BASIC, 0),)
    assert desk.audience(AAPL, BASIC) == [A]
    assert desk.answers[desk.reg(A, [AAPL], [BASIC])].first_pushes == (), "not new"
    desk.sub(A, [AAPL], [BASIC], register=None)
    assert desk.audience(AAPL, BASIC) == [A], "absent leaves it alone"
    desk.sub(A, [AAPL], [BASIC], register=False)
    assert desk.audience(AAPL, BASIC) == []
    desk.reg(A, [AAPL], [BASIC], first_push=False)
    desk.reg(A, [AAPL], [BASIC], register=False)
    assert desk.audience(AAPL, BASIC) == []
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL]}
    assert desk.take() == []


def test_no_first_push_for_who_did_not_ask(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    assert desk.answers[desk.sub(B, [AAPL], [BASIC], first_push=False)].first_pushes == ()
    assert desk.answers[desk.sub(C, [AAPL], [BASIC], register=None)].first_pushes == ()


def test_registering_what_is_not_subscribed_is_refused(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    ret_type, text = desk.said(desk.reg(A, [AAPL, MSFT], [BASIC]))
    assert ret_type == -1
    assert "US.MSFT Basic" in text
    assert desk.said(desk.reg(B, [AAPL], [BASIC]))[0] == -1
    assert desk.audience(AAPL, BASIC) == [A]


@pytest.mark.parametrize("sub_type", [BASIC, KL_DAY])
def test_unsubscribing_what_is_not_held_succeeds(desk: Desk, sub_type: int) -> None:
    assert desk.fine(desk.unsub(A, [AAPL], [sub_type]))
    assert desk.fine(desk.reg(A, [AAPL], [sub_type], register=False))
    assert desk.fine(desk.unsub_all(A))
    assert desk.take() == []
    desk.have(B, [AAPL], [sub_type])
    assert desk.fine(desk.unsub(A, [AAPL], [sub_type]))
    assert desk.fine(desk.reg(A, [AAPL], [sub_type], register=False))
    assert desk.ledger.subscriptions(B) == {sub_type: [AAPL]}


def test_the_sdk_unsubscribe(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.later(100)
    assert desk.fine(desk.unsub(A, [AAPL], [BASIC]))
    trailing = desk.reg(A, [AAPL], [BASIC], register=False)
    assert desk.fine(trailing)
    assert desk.audience(AAPL, BASIC) == []


# -- K lines -------------------------------------------------------------------------------------------------


def test_rehab_types_are_part_of_the_audience(desk: Desk) -> None:
    desk.sub(A, [AAPL], [KL_DAY, BASIC])
    call = desk.one()
    assert call.rehab_types == (REHAB_FORWARD,)
    desk.ok(call)
    token = desk.sub(B, [AAPL], [KL_DAY, BASIC], rehab=(REHAB_NONE, REHAB_BACKWARD))
    more = desk.one()
    assert brief([more]) == [("register", {AAPL}, {KL_DAY})]
    assert set(more.rehab_types) >= {REHAB_NONE, REHAB_BACKWARD}
    assert desk.waits(token)
    desk.ok(more)
    assert desk.fine(token)
    for rehab_type, owners in ((REHAB_FORWARD, [A]), (REHAB_NONE, [B]), (REHAB_BACKWARD, [B])):
        assert desk.audience(AAPL, KL_DAY, rehab_type) == owners
    assert desk.audience(AAPL, BASIC) == [A, B]
    assert desk.fine(desk.sub(C, [AAPL], [KL_DAY], rehab=(REHAB_BACKWARD,)))
    assert desk.take() == []


def test_klines_and_the_rest_share_a_message(desk: Desk) -> None:
    desk.sub(A, [AAPL], [BASIC, KL_DAY, TICKER, KL_1MIN], rehab=(REHAB_NONE,))
    call = desk.one()
    assert brief([call]) == [("subscribe", {AAPL}, {BASIC, KL_DAY, TICKER, KL_1MIN})]
    assert call.rehab_types == (REHAB_NONE,)


def test_registering_names_all_rehab_types(desk: Desk) -> None:
    """OpenD may add to its list or replace it; both have to come out right."""
    desk.have(A, [AAPL], [KL_DAY])
    desk.sub(B, [AAPL], [KL_DAY], rehab=(REHAB_BACKWARD,))
    assert desk.one().rehab_types == (REHAB_FORWARD, REHAB_BACKWARD)


def test_a_refused_rehab_type_refuses_the_operation(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    token = desk.sub(B, [AAPL], [KL_DAY], rehab=(REHAB_NONE,))
    desk.refuse(desk.one(), -1, "no rehab")
    assert desk.said(token) == (-1, "no rehab")
    assert desk.ledger.owners_with_subscriptions() == [A]
    again = desk.reg(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE,))
    desk.ok(desk.one())
    assert desk.fine(again)


def test_registrations_of_one_stream_follow_each_other(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    desk.have(B, [AAPL], [KL_DAY])
    one = desk.reg(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE,))
    call = desk.one()
    two = desk.reg(B, [AAPL], [KL_DAY], rehab=(REHAB_BACKWARD,))
    three = desk.sub(C, [AAPL], [KL_DAY])
    assert desk.take() == []
    assert desk.fine(three), "nothing is lacking for it"
    desk.ok(call)
    assert desk.fine(one)
    assert desk.waits(two)
    desk.ok(desk.one())
    assert desk.fine(two)


def test_who_takes_no_pushes_needs_no_rehab_type(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    assert desk.fine(desk.sub(B, [AAPL], [KL_DAY], rehab=(REHAB_NONE,), register=None))
    assert desk.take() == []


def test_unregistering_one_rehab_type_keeps_the_other(desk: Desk) -> None:
    desk.sub(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE, REHAB_FORWARD))
    desk.ok(desk.one())
    desk.reg(A, [AAPL], [KL_DAY], register=False)
    assert desk.audience(AAPL, KL_DAY, REHAB_FORWARD) == []
    assert desk.audience(AAPL, KL_DAY, REHAB_NONE) == [A]


# -- the other space -----------------------------------------------------------------------------------------


def test_two_spaces_do_not_meet(desk: Desk) -> None:
    desk.have(A, [ELECTION], [TICKER])
    token = desk.sub(A, [ELECTION], [TICKER, KL_DAY, KL_1MIN], space=EC)
    call = desk.one()
    assert (call.space, call.rehab_types) == (EC, ())
    desk.ok(call)
    assert desk.fine(token)
    assert desk.ledger.subscriptions(A, EC) == {TICKER: [ELECTION], KL_DAY: [ELECTION], KL_1MIN: [ELECTION]}
    desk.unsub_all(A)
    assert desk.ledger.subscriptions(A) == desk.ledger.subscriptions(A, EC)
    assert desk.audience(ELECTION, TICKER) == []
    assert desk.audience(ELECTION, TICKER, space=EC) == [A]
    desk.unsub_all(A, EC)
    assert desk.ledger.subscriptions(A) == {}


def test_any_kline_of_an_event_contract(desk: Desk) -> None:
    assert list(desk.ledger.audience_any_kline(*ELECTION)) == []
    desk.have(A, [ELECTION], [KL_DAY], space=EC)
    assert list(desk.ledger.audience_any_kline(*ELECTION)) == [A]
    desk.have(B, [ELECTION], [KL_1MIN], space=EC)
    desk.have(A, [ELECTION], [KL_1MIN], space=EC)
    assert sorted(desk.ledger.audience_any_kline(*ELECTION)) == [A, B]
    desk.unsub(B, [ELECTION], [KL_1MIN], EC)
    assert list(desk.ledger.audience_any_kline(*ELECTION)) == [A]


# -- for those who only look ---------------------------------------------------------------------------------


def test_overview(desk: Desk) -> None:
    assert desk.ledger.overview() == []
    desk.sub(A, [AAPL], [BASIC])
    (asked,) = desk.ledger.overview()
    assert (asked.key, asked.present, asked.holders) == (StreamKey(Space.QOT, *AAPL, BASIC), False, 0)
    desk.ok(desk.one())
    desk.sub(B, [AAPL], [BASIC], register=False)
    (held,) = desk.ledger.overview()
    assert (held.present, held.holders, held.registered, held.since) == (True, 2, 1, desk.now)
    assert (held.leaves_at, held.refusal) == (None, "")
    desk.close(A)
    desk.close(B)
    (left,) = desk.ledger.overview()
    assert (left.present, left.holders, left.registered) == (True, 0, 0)
    assert left.leaves_at == desk.now + 61


def test_overview_counts_owners_and_not_registrations(desk: Desk) -> None:
    desk.sub(A, [AAPL], [KL_1MIN], rehab=(REHAB_NONE, REHAB_FORWARD))
    desk.ok(desk.one())
    assert desk.ledger.overview()[0].registered == 1
