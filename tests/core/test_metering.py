"""Between a decision to forward and the sending: OpenD's windows, and reads that are asked once.

The windows and the book of shared reads have tests of their own; here is what becomes of requests.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendmux.core.commands import Failure, Forward, Request
from opendmux.core.denial import DenialKind
from opendmux.core.gate import action_of
from opendmux.core.keys import Key, KeyLimits
from opendmux.core.metering import METERED_IDS
from opendmux.core.shareable import OUTDATES, SHAREABLE
from opendmux.wire.protocols import PUSH_IDS, WRITE_IDS, ProtoId, RequestAction
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import OK, Play
from tests.core.push_kit import ROUTES
from tests.core.trade_kit import place
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_push, sub, trade_write

SNAPSHOT, PLACE = 3203, 2202
NOTHING = KeyLimits(allowed_symbols=frozenset())
BODY = field(1, field(1, scalar(1, 1) + field(2, b"00700")))


# -- shared reads


def test_one_question_is_asked_once_and_answered_to_all() -> None:
    play = Play(metered=True)
    serials = []
    for owner in (1, 2, 3):
        lines = play.send(play.client(owner), SNAPSHOT, BODY)
        assert lines == ([("forward", 1, SNAPSHOT, play.serial, False)] if owner == 1 else [])
        serials.append(play.serial)
    assert play.answer() == [("reply", owner, SNAPSHOT, serials[owner - 1], 0, "") for owner in (1, 2, 3)]
    assert play.send(play.router.sessions[1], SNAPSHOT, BODY)[0][0] == "forward", "an answered read is asked anew"


@pytest.mark.parametrize(("failure", "ret_type"), [(Failure.TIMEOUT, -100), (Failure.CORRUPT, -1)])
def test_a_failure_is_shared_too(failure: Failure, ret_type: int) -> None:
    play = Play(metered=True)
    for owner in (1, 2):
        play.send(play.client(owner), SNAPSHOT, BODY)
    assert [line[4] for line in play.answer(failure=failure)] == [ret_type, ret_type]


def test_so_is_the_loss_of_the_link() -> None:
    play = Play(metered=True)
    for owner in (1, 2):
        play.send(play.client(owner), SNAPSHOT, BODY)
    assert [line[4] for line in play.lose()] == [-200, -200]
    assert not play.router.metering._groups
    assert len(play.router.metering.in_flight) == 0


def test_other_bodies_and_other_formats_are_other_questions() -> None:
    play = Play(metered=True)
    session = play.client(1)
    assert play.send(session, SNAPSHOT, BODY)[0][0] == "forward"
    assert play.send(session, SNAPSHOT, BODY + scalar(9, 1))[0][0] == "forward"
    assert play.send(session, SNAPSHOT, BODY, proto_fmt=1)[0][0] == "forward"


def test_the_others_get_their_answer_when_the_first_asker_has_gone() -> None:
    play = Play(metered=True)
    a, b = play.client(1), play.client(2)
    for session in (a, b):
        play.send(session, SNAPSHOT, BODY)
    play.close(a)
    assert ("reply", 2, SNAPSHOT, play.serial, 0, "") in play.answer()


def seen_by_core(play: Play, proto_id: int) -> bool:
    return action_of(play.router.policy.open_row, proto_id) is not RequestAction.PASS


@pytest.mark.parametrize(
    ("event", "read"),
    [
        (event, min(outdated & METERED_IDS))
        for event, outdated in OUTDATES.items()
        # A subscription has a test of its own below.
        if outdated & METERED_IDS
    ],
)
def test_what_was_asked_before_an_event_is_not_joined_after_it(event: int, read: int) -> None:
    """Who knows that his order is placed must not get a list that was asked for before."""
    assert read in SHAREABLE
    play = Play(metered=True)
    a, b = play.client(1), play.client(2)
    assert play.send(a, read)[0][0] == "forward"
    if event in PUSH_IDS:
        play.push(event, ROUTES[event].body)
    else:
        assert event in WRITE_IDS
        play.send(b, event, field(1, scalar(1, 1)) if event == ProtoId.TRD_UNLOCK_TRADE else trade_write(1, 2))
        play.answer(play.waiting[-1])
    assert play.send(b, read) == [("forward", 2, read, play.serial, False)]
    play.answer_all()
    assert all(count == 1 for count in play.answered.values())


@pytest.mark.parametrize(("waited_s", "joined"), [(0.0, True), (8.9, True), (9.1, False)])
def test_a_read_that_may_soon_time_out_is_not_joined(waited_s: float, joined: bool) -> None:
    """Its answer would be the first asker's time-out, after a moment's wait."""
    play = Play(metered=True)
    a, b = play.client(1), play.client(2)
    play.send(a, SNAPSHOT, BODY)
    play.now += waited_s
    assert play.send(b, SNAPSHOT, BODY) == ([] if joined else [("forward", 2, SNAPSHOT, play.serial, False)])
    play.send(play.client(3), SNAPSHOT, BODY)
    play.answer_all()
    assert [play.answered[owner, serial] for owner, serial in sorted(play.asked) if owner in (1, 2, 3)].count(0) == 0


def test_a_read_that_may_be_answered_too_late_is_not_joined() -> None:
    """The first asker waited for a lane and has no time left; the second one has waited even longer."""
    play = Play(metered=True)
    a, b = play.client(1), play.client(2)
    request = Request(a, SNAPSHOT, 0, 7, BODY)
    late = Forward(request, None, until=play.now + 11.0)
    soon = Forward(replace(request, session=b), None, until=play.now + 10.0)
    (first,) = play.router.metering.pass_on(late, play.now)
    (second,) = play.router.metering.pass_on(soon, play.now)
    assert isinstance(first, Forward)
    assert isinstance(second, Forward)
    assert second.until == play.now + 10.0


@pytest.mark.parametrize("sub_type", [1, 4])
def test_data_asked_for_before_a_subscription_is_not_joined_after_it(sub_type: int) -> None:
    """OpenD refuses it, for nobody was subscribed."""
    play = Play(metered=True)
    a, b = play.client(1), play.client(2)
    assert play.send(a, 3004, BODY)[0][0] == "forward"
    assert play.send(b, 3004, BODY) == []
    play.send(b, 3001, sub([(1, "00700")], [sub_type]))
    play.answer(play.waiting[-1])
    assert play.send(b, 3004, BODY) == [("forward", 2, 3004, play.serial, False)]


# -- reads that are cut off


def cut_off(play: Play, *owners: int) -> None:
    for owner in owners:
        play.send(play.client(owner), SNAPSHOT, BODY)


def test_a_read_that_was_cut_off_is_sent_once_more() -> None:
    play = Play(retry_reads=True)
    cut_off(play, 1)
    serial = play.serial
    assert play.lose() == []
    assert play.later(3.0) == []
    assert play.up() == [("forward", 1, SNAPSHOT, serial, False)]
    (forward,) = play.commands
    assert isinstance(forward, Forward)
    assert forward.request.body == BODY
    assert forward.until == pytest.approx(play.now - 3.0 - 1.0 + 1.0 + 11.0)
    assert play.answer() == [("reply", 1, SNAPSHOT, serial, 0, "")]


def test_the_second_loss_is_told() -> None:
    play = Play(retry_reads=True)
    cut_off(play, 1)
    play.lose()
    play.up()
    (line,) = play.lose()
    assert line[:5] == ("reply", 1, SNAPSHOT, play.serial, -200)


def test_a_lane_that_stays_away_until_the_deadline_is_told() -> None:
    play = Play(retry_reads=True)
    cut_off(play, 1)
    play.now += 4.0
    play.lose()
    assert play.later(6.9) == []
    (line,) = play.later(0.2)
    assert line[:5] == ("reply", 1, SNAPSHOT, play.serial, -200)
    assert play.up() == []


def test_everybody_who_shared_it_is_served_again_the_first_asker_gone_or_not() -> None:
    play = Play(metered=True, retry_reads=True)
    cut_off(play, 1, 2, 3)
    play.lose()
    play.close(play.router.sessions[1])
    (line,) = play.up()
    assert line[:3] == ("forward", 2, SNAPSHOT)
    assert [line[1] for line in play.answer()] == [2, 3]


@pytest.mark.parametrize(
    "proto_id", [PLACE, 2205, ProtoId.TRD_UNLOCK_TRADE, ProtoId.TRD_SUB_ACC_PUSH, 3001, 3003, 1002]
)
def test_nothing_but_a_read_is_sent_twice(proto_id: int) -> None:
    play = Play(metered=True, retry_reads=True)
    body = {
        PLACE: trade_write(1, 2),
        2205: trade_write(1, 2),
        ProtoId.TRD_UNLOCK_TRADE: field(1, scalar(1, 1)),
        ProtoId.TRD_SUB_ACC_PUSH: acc_push(10),
        3001: sub([(1, "00700")], [1]),
    }.get(proto_id, field(1, b""))
    play.send(play.client(1), proto_id, body)
    lines = play.lose()
    assert [line[:3] for line in lines if line[0] == "reply"] == [("reply", 1, proto_id)]
    again = [line[:2] for line in play.up()]
    restored = {
        PLACE: [("ask", 2001)],
        2205: [("ask", 2001)],
        ProtoId.TRD_SUB_ACC_PUSH: [("ask", proto_id), ("ask", 2001)],
    }
    assert again == restored.get(proto_id, []), "the accounts are restored in any case"


def test_other_failures_are_told_as_ever() -> None:
    play = Play(retry_reads=True)
    for failure in (Failure.TIMEOUT, Failure.CORRUPT):
        cut_off(play, 1)
        (line,) = play.answer(failure=failure)
        assert line[:4] == ("reply", 1, SNAPSHOT, play.serial)
        play.close(play.router.sessions[1])


def test_who_is_closed_in_an_outage_is_told_first() -> None:
    play = Play(retry_reads=True)
    session = play.client(1)
    session.on_outage = "close"
    play.send(session, SNAPSHOT, BODY)
    told, closed = play.lose()
    assert (told[0], told[4], closed[0]) == ("reply", -200, "close")


def test_what_the_gate_does_not_allow_any_more_is_not_sent_again() -> None:
    play = Play(retry_reads=True)
    cut_off(play, 1)
    play.lose()
    session = play.router.sessions[1]
    session.row = bytes([RequestAction.DENY]) * len(session.row)
    (line,) = play.up()
    assert line[:5] == ("reply", 1, SNAPSHOT, play.serial, -1)


# -- windows


def full(play: Play) -> None:
    """15 orders of one account are out: no more for 30 seconds."""
    session = play.client(1)
    for _ in range(15):
        play.now += 0.1
        assert play.send(session, PLACE, trade_write(1, 2))[0][0] == "forward"
    play.answer_all()


def test_a_full_window_is_a_refusal_that_says_when_to_come_back() -> None:
    play = Play(metered=True)
    full(play)
    (line,) = play.send(play.client(2), PLACE, trade_write(1, 2))
    assert line[:5] == ("reply", 2, PLACE, play.serial, -1)
    assert "OpenD allows 15 of 2202" in str(line[5])
    assert "nothing was sent" in str(line[5])
    assert play.send(play.router.sessions[2], PLACE, trade_write(1, 2, acc_id=2))[0][0] == "forward", "another account"


def test_a_window_that_opens_soon_is_waited_for() -> None:
    play = Play(metered=True)
    full(play)
    play.now += 27.0
    session = play.client(2)
    assert play.send(session, PLACE, trade_write(1, 2)) == []
    assert play.later(0.1) == []
    assert play.later(0.8) == [("forward", 2, PLACE, play.serial, True)]


def test_who_waits_for_a_window_and_goes_is_not_sent() -> None:
    play = Play(metered=True)
    full(play)
    play.now += 27.0
    session = play.client(2)
    play.send(session, PLACE, trade_write(1, 2))
    play.close(session)
    assert play.later(2.0) == []
    assert not play.router.metering.budgets._queued


def test_who_waits_for_a_window_when_the_link_is_lost_is_told_that_nothing_was_sent() -> None:
    play = Play(metered=True)
    full(play)
    play.now += 27.0
    play.send(play.client(2), PLACE, trade_write(1, 2))
    (line,) = play.lose()
    assert line[:5] == ("reply", 2, PLACE, play.serial, -200)
    assert "this request was not sent" in str(line[5])
    play.up()
    assert play.later(5.0) == []


def test_what_waits_is_gated_again_when_it_leaves() -> None:
    play = Play(metered=True)
    full(play)
    play.now += 27.0
    session = play.client(2)
    play.send(session, PLACE, trade_write(1, 2))
    session.row = bytes([RequestAction.DENY]) * len(session.row)
    (line,) = play.later(0.9)
    assert line[:5] == ("reply", 2, PLACE, play.serial, -1)
    assert "not allowed any more" in str(line[5])


@pytest.mark.parametrize("narrower", [key("trade:simulate"), key("trade:real", limits=NOTHING)])
def test_an_order_that_waits_is_held_against_its_changed_key(narrower: Key) -> None:
    before = key("trade:real", limits=KeyLimits(max_daily_value=2000.0))
    play = Play(metered=True, keyring=ring(before))
    session = play.client(1, client_id=plaintext("k"))
    for _ in range(15):
        play.now += 0.1
        assert play.send(session, PLACE, place(qty=1))[0][0] == "forward"
    play.now += 28.0
    assert play.send(session, PLACE, place()) == []
    play.access.keyring = ring(narrower)
    play.review()
    play.later(0.9)
    assert play.denial().kind is DenialKind.PERMISSION
    assert play.router.gate._limits.headroom(before, play.now, play.now).daily_value == 1850, "it was given back"


def test_the_loss_of_another_lane_does_not_give_an_order_more_time() -> None:
    def give_up_at() -> float:
        (line,) = play.router.metering.budgets._busy.values()
        (shares,) = line._waiting.values()
        (share,) = shares.values()
        (waiter,) = share.waiters
        return waiter.give_up_at

    play = Play(metered=True)
    full(play)
    play.now += 27.0
    assert play.send(play.client(2), PLACE, trade_write(1, 2)) == []
    before = give_up_at()
    play.now += 0.1
    play.lose(1)
    assert give_up_at() == before == play.now + 0.9


def test_everything_metered_is_shown_to_core() -> None:
    play = Play(metered=True)
    assert all(seen_by_core(play, proto_id) for proto_id in METERED_IDS)


def test_both_can_be_off() -> None:
    play = Play(metered=False)
    session = play.client(1)
    for _ in range(100):
        assert play.send(session, PLACE, trade_write(1, 2))[0][0] == "forward"
    assert play.answer(body=OK)[-1][0] == "reply"
