"""The link: losing it, replaying after it, what OpenD refuses then, and calls that end without a verdict."""

from __future__ import annotations

import pytest

from opendmux.core.ledger_values import Dropped, Kind
from opendmux.core.streams import (
    BASIC,
    BROKER,
    KL_DAY,
    REHAB_BACKWARD,
    REHAB_FORWARD,
    REHAB_NONE,
    TICKER,
    Options,
    PushKey,
    Space,
    StreamKey,
)
from opendmux.errors import LocalProtocolError
from tests.core.test_ledger_kit import AAPL, BAD, ELECTION, MSFT, A, B, C, Desk, brief

NIGHT = Options(session=3)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def key(security: tuple[int, str], sub_type: int) -> StreamKey:
    return StreamKey(Space.QOT, *security, sub_type)


# -- losing it ---------------------------------------------------------------------------------------------------


def test_waiting_operations_end_and_holders_keep(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    token = desk.sub(B, [AAPL, MSFT], [BASIC])
    call = desk.one()
    behind = desk.sub(B, [MSFT], [BASIC])
    leaving = desk.unsub(B, [MSFT], [BASIC])
    desk.lose()
    assert desk.said(token) == desk.said(behind) == (-200, "the link is down")
    assert desk.fine(leaving)
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL]}
    assert desk.audience(AAPL, BASIC) == [A]
    assert desk.ledger.owners_with_subscriptions() == [A]
    assert desk.ledger.upstream_streams() == []
    assert desk.ledger.next_due() is None
    desk.ok(call)
    assert desk.take() == []


def test_abandoned_streams_are_gone_with_the_link(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.close(A)
    desk.lose()
    assert desk.released == [PushKey(*key(AAPL, BASIC), 0)]
    assert desk.replay() == []
    assert not desk.ledger.replaying


def test_while_it_is_down(desk: Desk) -> None:
    desk.have(A, [AAPL, MSFT], [KL_DAY])
    desk.lose()
    assert desk.said(desk.sub(A, [AAPL], [KL_DAY])) == (-200, "the link is down")
    assert desk.said(desk.sub(B, [MSFT], [KL_DAY])) == (-200, "the link is down")
    assert desk.fine(desk.unsub(A, [MSFT], [KL_DAY]))
    assert desk.fine(desk.reg(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE,)))
    assert desk.take() == []
    (call,) = desk.replay()
    assert (call.securities, call.rehab_types) == ((AAPL,), (REHAB_NONE, REHAB_FORWARD))
    desk.close(A)
    desk.lose()
    assert desk.ledger.upstream_streams() == []


def test_losing_it_twice(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    desk.lose()
    (call,) = desk.replay()
    desk.lose()
    (again,) = desk.replay()
    desk.ok(call)
    assert desk.ledger.replaying
    desk.ok(again)
    assert not desk.ledger.replaying


# -- replay ------------------------------------------------------------------------------------------------------


def test_replay_asks_for_the_union_with_options_and_registrations(desk: Desk) -> None:
    desk.have(A, [AAPL, MSFT], [BASIC])
    desk.have(B, [AAPL], [BASIC])
    desk.have(B, [AAPL], [TICKER], options=NIGHT)
    desk.sub(C, [AAPL], [KL_DAY], rehab=(REHAB_BACKWARD,))
    desk.ok(desk.one())
    desk.have(C, [ELECTION], [KL_DAY], options=Options(kline_source=(1,)), space=Space.EVENT_CONTRACT)
    desk.lose()
    calls = desk.replay()
    assert desk.ledger.replaying
    assert all(call.kind is Kind.SUBSCRIBE for call in calls)
    assert all(call.first_push is (TICKER not in call.sub_types) for call in calls), "ticks must not come twice"
    asked = {
        StreamKey(call.space, *security, sub_type): (call.options, call.rehab_types)
        for call in calls
        for security in call.securities
        for sub_type in call.sub_types
    }
    assert {name: options for name, (options, _) in asked.items()} == {
        key(AAPL, BASIC): Options(),
        key(MSFT, BASIC): Options(),
        key(AAPL, TICKER): NIGHT,
        key(AAPL, KL_DAY): Options(),
        StreamKey(Space.EVENT_CONTRACT, *ELECTION, KL_DAY): Options(kline_source=(1,)),
    }
    assert asked[key(AAPL, KL_DAY)][1] == (REHAB_BACKWARD,)
    desk.ok(*calls)
    assert not desk.ledger.replaying
    assert desk.ledger.refused() == {}
    assert desk.audience(AAPL, KL_DAY, REHAB_BACKWARD) == [C]
    assert set(desk.ledger.upstream_streams()) == set(asked)


def test_replay_is_cut_into_messages(desk: Desk) -> None:
    desk.have(A, [(11, f"S{n}") for n in range(250)], [BASIC, BROKER])
    desk.lose()
    assert [(len(call.securities), len(call.sub_types)) for call in desk.replay()] == [(100, 2), (100, 2), (50, 2)]


def test_requests_during_replay_wait_for_it(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    desk.lose()
    (call,) = desk.replay()
    joining = desk.sub(B, [AAPL], [KL_DAY])
    again = desk.sub(A, [AAPL], [KL_DAY])
    more = desk.reg(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE,))
    assert desk.take() == []
    assert all(desk.waits(token) for token in (joining, again, more))
    desk.ok(call)
    assert desk.fine(joining)
    assert desk.fine(again)
    register = desk.one()
    assert register.kind is Kind.REGISTER
    desk.ok(register)
    assert desk.fine(more)


def test_who_leaves_during_replay_leaves_the_stream_to_the_60_seconds(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    (call,) = desk.replay()
    desk.close(A)
    desk.ok(call)
    desk.later(60)
    assert desk.take() == []
    desk.later(1)
    assert desk.one().kind is Kind.UNSUBSCRIBE


def test_replay_without_a_loss_is_a_bug_of_ours(desk: Desk) -> None:
    assert desk.replay() == []
    desk.have(A, [AAPL], [BASIC])
    with pytest.raises(LocalProtocolError):
        desk.replay()


def test_rehab_types_nobody_wants_any_more_are_released(desk: Desk) -> None:
    desk.sub(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE, REHAB_FORWARD))
    desk.ok(desk.one())
    desk.reg(A, [AAPL], [KL_DAY], register=False)
    desk.lose()
    desk.ok(*desk.replay())
    assert desk.released == [PushKey(*key(AAPL, KL_DAY), REHAB_FORWARD)]


# -- refused then ------------------------------------------------------------------------------------------------


def test_a_refused_replay_is_wanted_and_asked_again(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    (call,) = desk.replay()
    for pause in (10, 20, 40, 60, 60):
        desk.refuse(call, -1, "not logged in")
        assert not desk.ledger.replaying
        assert desk.ledger.refused() == {key(AAPL, BASIC): "not logged in"}
        assert desk.ledger.subscriptions(A) == {BASIC: [AAPL]}
        assert desk.ledger.upstream_streams() == []
        assert desk.ledger.next_due() == desk.now + pause
        desk.later(pause)
        call = desk.one()
        assert desk.ledger.refused(), "until OpenD has agreed"
    desk.ok(call)
    assert desk.ledger.refused() == {}
    assert desk.ledger.next_due() is None


def test_patience_starts_afresh_after_a_success(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    desk.lose()
    (call,) = desk.replay()
    for pause in (10, 20, 40):
        desk.refuse(call)
        desk.later(pause)
        call = desk.one()
    desk.ok(call)
    desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    desk.refuse(desk.one(), -100)
    assert desk.ledger.next_due() == desk.now + 10


def test_one_bad_security_does_not_keep_out_its_batch(desk: Desk) -> None:
    good = [(11, f"S{n}") for n in range(99)]
    desk.have(A, [*good, BAD], [BASIC])
    desk.lose()
    calls = desk.replay()
    for pause in (10, 20, 40):
        for call in calls:
            if BAD in call.securities:
                desk.refuse(call, -1, "unknown stock")
            else:
                desk.ok(call)
        desk.later(pause)
        calls = desk.take()
    assert brief(calls) == [("subscribe", {BAD}, {BASIC})]
    assert list(desk.ledger.refused()) == [key(BAD, BASIC)]
    assert len(desk.ledger.upstream_streams()) == 99


def test_one_bad_sub_type_does_not_keep_out_the_others(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC, BROKER])
    desk.lose()
    (call,) = desk.replay()
    desk.refuse(call)
    desk.later(10)
    assert sorted(call.sub_types for call in desk.take()) == [(BASIC,), (BROKER,)]


def test_asking_for_what_is_refused_asks_opend(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    (call,) = desk.replay()
    desk.refuse(call, -1, "not logged in")
    token = desk.sub(B, [AAPL], [BASIC])
    desk.refuse(desk.one(), -1, "still not")
    assert desk.said(token) == (-1, "still not")
    assert desk.ledger.refused() == {key(AAPL, BASIC): "still not"}
    token = desk.sub(B, [AAPL], [BASIC])
    desk.ok(desk.one())
    assert desk.fine(token)
    assert desk.audience(AAPL, BASIC) == [A, B]
    assert desk.ledger.refused() == {}


def test_what_is_refused_can_be_registered_and_dropped(desk: Desk) -> None:
    desk.have(A, [AAPL], [KL_DAY])
    desk.lose()
    desk.refuse(desk.replay()[0])
    assert desk.fine(desk.reg(A, [AAPL], [KL_DAY], rehab=(REHAB_NONE,)))
    desk.later(10)
    call = desk.one()
    assert call.rehab_types == (REHAB_NONE, REHAB_FORWARD)
    desk.refuse(call)
    assert desk.fine(desk.unsub(A, [AAPL], [KL_DAY]))
    assert desk.ledger.next_due() is None
    assert desk.ledger.refused() == {}


def test_a_registration_that_waits_elsewhere_is_not_left_out(desk: Desk) -> None:
    """One of its streams is refused, about the other a call is under way; then the first comes back."""
    desk.have(A, [AAPL, MSFT], [KL_DAY])
    desk.have(B, [MSFT], [TICKER])
    desk.lose()
    for call in desk.replay():
        desk.refuse(call)
    desk.later(10)
    calls = {(call.securities, call.sub_types): call for call in desk.take()}
    desk.refuse(calls[(AAPL,), (KL_DAY,)])
    token = desk.reg(A, [AAPL, MSFT], [KL_DAY], rehab=(REHAB_NONE,))
    desk.later(20)
    back = desk.one()
    assert back.rehab_types == (REHAB_NONE, REHAB_FORWARD)
    desk.ok(back)
    assert desk.waits(token)
    desk.ok(calls[(MSFT,), (KL_DAY,)])
    desk.ok(desk.one())
    assert desk.fine(token)


def test_other_options_for_a_refused_stream(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    desk.lose()
    desk.refuse(desk.replay()[0])
    assert desk.said(desk.sub(B, [AAPL], [TICKER], options=NIGHT))[0] == -1
    token = desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    desk.ok(desk.one())
    assert desk.fine(token)
    assert desk.fine(desk.sub(B, [AAPL], [TICKER], options=NIGHT))


# -- refused for good --------------------------------------------------------------------------------------------


def refused_for_good(desk: Desk, *owners: int) -> None:
    """AAPL's quotes are refused twice; the owners hold them and MSFT's, which are fine."""
    for owner in owners:
        desk.have(owner, [AAPL], [BASIC])
        desk.have(owner, [MSFT], [BASIC])
    desk.lose()
    (call,) = desk.replay()
    desk.refuse(call, -1, "no right")
    desk.later(10)
    for call in desk.take():
        if AAPL in call.securities:
            desk.refuse(call, -1, "no right")
        else:
            desk.ok(call)


def test_what_is_refused_alone_and_again_is_hopeless(desk: Desk) -> None:
    refused_for_good(desk, A)
    assert desk.ledger.hopeless() == [key(AAPL, BASIC)]
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL, MSFT]}, "nothing is given up by itself"


def test_giving_up_takes_it_from_everybody_and_says_from_whom(desk: Desk) -> None:
    refused_for_good(desk, A, B)
    desk.feed(desk.ledger.give_up(desk.now))
    assert desk.dropped == [Dropped(owner, key(AAPL, BASIC), "no right") for owner in (A, B)]
    assert desk.ledger.subscriptions(A) == desk.ledger.subscriptions(B) == {BASIC: [MSFT]}
    assert desk.audience(AAPL, BASIC) == []
    assert desk.audience(MSFT, BASIC) == [A, B]
    assert desk.ledger.refused() == {}
    assert desk.ledger.next_due() is None
    token = desk.sub(A, [AAPL], [BASIC])
    desk.ok(desk.one())
    assert desk.fine(token)


def test_an_owner_of_nothing_else_is_forgotten(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    desk.refuse(desk.replay()[0])
    desk.later(10)
    desk.refuse(desk.one())
    desk.feed(desk.ledger.give_up(desk.now))
    assert desk.ledger.owners_with_subscriptions() == []
    assert desk.ledger.empty()


@pytest.mark.parametrize("ret_type", [-100, -200, -400])
def test_without_a_verdict_nothing_is_hopeless(desk: Desk, ret_type: int) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    (call,) = desk.replay()
    for pause in (10, 20, 40):
        desk.refuse(call, ret_type)
        assert desk.ledger.hopeless() == []
        desk.later(pause)
        call = desk.one()


def test_the_first_refusal_and_one_that_others_share_are_not_the_last_word(desk: Desk) -> None:
    desk.have(A, [(11, f"S{n}") for n in range(30)], [BASIC])
    desk.lose()
    desk.refuse(desk.replay()[0])
    assert desk.ledger.hopeless() == []
    desk.later(10)
    for call in desk.take():
        assert len(call.securities) == 3
        desk.refuse(call)
    assert desk.ledger.hopeless() == []
    desk.later(20)
    for call in desk.take():
        desk.refuse(call)
    assert len(desk.ledger.hopeless()) == 30


def test_what_somebody_is_asking_for_is_not_given_up_under_him(desk: Desk) -> None:
    refused_for_good(desk, A)
    token = desk.sub(B, [AAPL], [BASIC])
    desk.feed(desk.ledger.give_up(desk.now))
    assert desk.dropped == []
    desk.ok(desk.one())
    assert desk.fine(token)
    assert desk.ledger.hopeless() == []


def test_another_connection_is_another_chance(desk: Desk) -> None:
    refused_for_good(desk, A)
    desk.lose()
    assert desk.ledger.hopeless() == []
    desk.ok(*desk.replay())
    assert desk.ledger.subscriptions(A) == {BASIC: [AAPL, MSFT]}


# -- no verdict --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ret_type", [-100, -200, -400])
def test_a_subscribe_without_verdict_is_cleaned_up(desk: Desk, ret_type: int) -> None:
    token = desk.sub(A, [AAPL], [BASIC])
    desk.refuse(desk.one(), ret_type, "timed out")
    assert desk.said(token) == (ret_type, "timed out")
    assert desk.ledger.upstream_streams() == [key(AAPL, BASIC)], "perhaps"
    desk.later(61)
    call = desk.one()
    assert call.kind is Kind.UNSUBSCRIBE
    desk.ok(call)
    assert desk.ledger.upstream_streams() == []
    assert desk.released == [PushKey(*key(AAPL, BASIC), 0)]


def test_it_is_subscribed_again_by_the_next(desk: Desk) -> None:
    desk.sub(A, [AAPL], [TICKER])
    desk.refuse(desk.one(), -100)
    assert "try again in 62 s" in desk.said(desk.sub(B, [AAPL], [TICKER], options=NIGHT))[1]
    token = desk.sub(B, [AAPL], [TICKER])
    call = desk.one()
    assert call.kind is Kind.SUBSCRIBE
    desk.ok(call)
    assert desk.fine(token)


def test_an_unsubscribe_without_verdict_is_not_relied_on(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.later(100)
    desk.close(A)
    desk.refuse(desk.one(), -100)
    token = desk.sub(B, [AAPL], [BASIC])
    call = desk.one()
    assert call.kind is Kind.SUBSCRIBE
    desk.ok(call)
    assert desk.fine(token)


def test_what_was_perhaps_never_there_is_given_up(desk: Desk) -> None:
    desk.sub(A, [AAPL], [BASIC])
    desk.refuse(desk.one(), -100)
    for _ in range(5):
        desk.later(120)
        desk.refuse(desk.one(), -1, "not subscribed")
    assert desk.ledger.upstream_streams() == []
    assert desk.ledger.next_due() is None


def test_a_replay_without_verdict_is_repeated(desk: Desk) -> None:
    desk.have(A, [AAPL], [BASIC])
    desk.lose()
    desk.refuse(desk.replay()[0], -100, "timed out")
    assert desk.ledger.refused() == {key(AAPL, BASIC): "timed out"}
    desk.later(10)
    call = desk.one()
    assert brief([call]) == [("subscribe", {AAPL}, {BASIC})]
    desk.ok(call)
    assert desk.ledger.refused() == {}


def test_a_change_without_verdict_goes_back_to_the_former_options(desk: Desk) -> None:
    desk.have(A, [AAPL], [TICKER])
    token = desk.sub(A, [AAPL], [TICKER], options=NIGHT)
    desk.refuse(desk.one(), -100)
    assert desk.said(token)[0] == -100
    desk.later(10)
    call = desk.one()
    assert (call.kind, call.options) == (Kind.SUBSCRIBE, Options())
