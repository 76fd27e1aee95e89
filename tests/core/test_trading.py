"""Unlock (2005) and account pushes (2008)."""

from __future__ import annotations

import json

import pytest

from opendmux.core.commands import Ask, Failure, Forward, Outcome, Reply, Witness
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import OK, Play
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_push, order_push

NO = ret_body(0, -1, "no such account")


def unlock_body(unlock: bool) -> bytes:
    return encode(opend.UnlockTradeRequest(c2s=opend.UnlockTradeC2S(unlock=unlock, pwdMD5="0" * 32)))


# -- 2005


@pytest.mark.parametrize("unlock", [True, False])
def test_unlock_goes_through_untouched(unlock: bool) -> None:
    play = Play()
    session = play.client(1)
    body = unlock_body(unlock)
    assert play.send(session, ProtoId.TRD_UNLOCK_TRADE, body) == [("forward", 1, 2005, play.serial, False)]
    (forward,) = play.commands
    assert isinstance(forward, Forward)
    assert forward.request.body == body


def test_the_lock_is_remembered_when_upstream_agreed() -> None:
    play = Play()
    session = play.client(1)
    for unlock, answer, expected in [(True, NO, False), (True, OK, True), (False, NO, True), (False, OK, False)]:
        play.send(session, ProtoId.TRD_UNLOCK_TRADE, unlock_body(unlock))
        assert not isinstance(play.waiting[0], Ask)
        said = (-1, "no such account") if answer is NO else (0, "")
        outcome = "failure" if answer is NO else "success"
        assert play.answer(body=answer) == [("witness", 1, 2005, outcome), ("reply", 1, 2005, play.serial, *said)]
        assert play.router.unlock.open is expected


@pytest.mark.parametrize("failure", Failure)
def test_an_unlock_without_an_answer_is_unknown(failure: Failure) -> None:
    play = Play()
    play.send(play.client(1), ProtoId.TRD_UNLOCK_TRADE, unlock_body(True))
    (line,) = play.answer(failure=failure)
    assert line[4] == -400
    assert not play.router.unlock.open


def test_the_answer_goes_back_byte_for_byte() -> None:
    play = Play()
    play.send(play.client(1), ProtoId.TRD_UNLOCK_TRADE, unlock_body(True))
    body = scalar(1, 0) + field(77, b"new")
    play.answer(body=body)
    _witness, reply = play.commands
    assert getattr(reply, "body", None) == body


@pytest.mark.parametrize("body", [b"\xff", field(1, b"\x08")])
def test_an_unlock_that_can_not_be_read_is_not_sent(body: bytes) -> None:
    play = Play()
    (line,) = play.send(play.client(1), ProtoId.TRD_UNLOCK_TRADE, body)
    assert line[:5] == ("reply", 1, 2005, play.serial, -1)
    assert "was not sent" in str(line[5])


@pytest.mark.parametrize(
    ("body", "proto_fmt", "expected"),
    [(b"\x08", 0, False), (b"\xff" * 9, 0, False), (b"{", 1, False), (b'{"retType":0,"s2c":{}}', 1, True)],
)
def test_any_answer_to_an_unlock_goes_back(body: bytes, proto_fmt: int, expected: bool) -> None:
    """What can't be read changes nothing here, and is the client's to judge."""
    play = Play()
    play.send(play.client(1), ProtoId.TRD_UNLOCK_TRADE, unlock_body(True))
    forward = play.waiting.pop()
    assert isinstance(forward, Forward)
    assert forward.then is not None
    (witness,) = forward.then(Outcome(body, proto_fmt), play.now)
    assert isinstance(witness, Witness)
    assert witness.reply == Reply(forward.request.session, 2005, proto_fmt, forward.request.serial_no, body)
    assert play.router.unlock.open is expected


# -- 2008


def union_of(ask: bytes) -> list[int]:
    return list(opend.SubAccPushRequest.FromString(ask).c2s.accIDList)


def test_upstream_is_asked_for_the_union() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    assert play.send(a, 2008, acc_push(10, 30)) == [("ask", 2008, acc_push(10, 30))]
    serial_a = play.serial
    assert play.answer() == [("reply", 1, 2008, serial_a, 0, "")]
    assert play.send(b, 2008, acc_push(20)) == [("ask", 2008, acc_push(10, 20, 30))]
    assert play.answer() == [("reply", 2, 2008, play.serial, 0, "")]


def test_what_upstream_knows_already_is_answered_here() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    play.send(a, 2008, acc_push(10, 20))
    play.answer()
    assert play.send(b, 2008, acc_push(20)) == [("reply", 2, 2008, play.serial, 0, "")]
    assert play.send(a, 2008, acc_push(10)) == [("reply", 1, 2008, play.serial, 0, "")]
    assert play.send(a, 2008, acc_push()) == [("ask", 2008, acc_push(20))]


def test_json_lists_are_read_as_well() -> None:
    play = Play()
    body = json.dumps({"c2s": {"accIDList": ["18446744073709551615"]}}).encode()
    assert play.send(play.client(1), 2008, body, proto_fmt=1) == [("ask", 2008, acc_push(2**64 - 1))]
    assert play.answer() == [("reply", 1, 2008, play.serial, '{"retType":0}')]


def test_pushes_follow_the_list() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    for session, acc_ids in ((a, (10,)), (b, (10, 20))):
        play.send(session, 2008, acc_push(*acc_ids))
        play.answer_all()
    assert play.push(ProtoId.TRD_UPDATE_ORDER, order_push(10)) == [("push", (a.slot, b.slot), order_push(10), None)]
    assert play.push(ProtoId.TRD_UPDATE_ORDER_FILL, order_push(20)) == [("push", (b.slot,), order_push(20), None)]
    assert play.push(ProtoId.TRD_UPDATE_ORDER, order_push(30)) == []


def test_a_refused_list_leaves_the_former_one() -> None:
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.send(a, 2008, acc_push(10, 666))
    assert play.answer(body=NO) == [("reply", 1, 2008, play.serial, -1, "no such account")]
    assert play.main.accounts.get(1) == {10}
    assert play.main.accounts.union() == {10}


@pytest.mark.parametrize(
    ("failure", "ret_type"), [(Failure.TIMEOUT, -100), (Failure.LOST, -200), (Failure.CORRUPT, -1)]
)
def test_a_list_without_an_answer_stays_wanted(failure: Failure, ret_type: int) -> None:
    """The Python SDK ignores the answer, so nobody would ask again."""
    play = Play()
    play.send(play.client(1), 2008, acc_push(10))
    (line,) = play.answer(failure=failure)
    assert line[:5] == ("reply", 1, 2008, play.serial, ret_type)
    assert play.main.accounts.union() == {10}


def test_a_later_list_of_the_same_client_survives_the_refusal_of_an_earlier_one() -> None:
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(666))
    first = play.waiting[0]
    play.send(a, 2008, acc_push(10))
    play.answer(first, NO)
    assert play.main.accounts.get(1) == {10}
    play.answer()
    assert play.main.accounts.get(1) == {10}


def test_accounts_nobody_wants_leave_the_union() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    for session, acc_id in ((a, 10), (b, 20)):
        play.send(session, 2008, acc_push(acc_id))
        play.answer()
    assert play.close(a) == [("ask", 2008, acc_push(20))]
    assert play.answer() == []
    assert play.close(b) == [("ask", 2008, acc_push())]
    assert play.answer() == []


def test_a_client_without_a_list_leaves_silently() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    for session in (a, b):
        play.send(session, 2008, acc_push(10))
        play.answer_all()
    assert play.close(a) == []
    assert play.close(play.client(3)) == []


def test_a_list_is_not_answered_from_what_is_about_to_change() -> None:
    """One client leaves, another comes for the same account: OpenD must hear of it again."""
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(10))
    play.answer()
    b = play.client(2)
    assert play.close(a) == [("ask", 2008, acc_push())]
    assert play.send(b, 2008, acc_push(10)) == [("ask", 2008, acc_push(10))]
    assert play.answer() == []
    assert play.answer() == [("reply", 2, 2008, play.serial, 0, "")]
    assert play.send(b, 2008, acc_push(10)) == [("reply", 2, 2008, play.serial, 0, "")]


@pytest.mark.parametrize("failure", [Failure.TIMEOUT, Failure.CORRUPT])
def test_after_a_request_without_an_answer_nobody_knows_what_upstream_has(failure: Failure) -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.close(a)
    play.answer(failure=failure)
    assert play.send(b, 2008, acc_push(10)) == [("ask", 2008, acc_push(10))]


def test_a_refusal_changes_nothing_upstream() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.close(a)
    play.answer(body=NO)
    assert play.send(b, 2008, acc_push(10)) == [("reply", 2, 2008, play.serial, 0, "")]


def test_the_list_of_a_client_that_has_gone_does_not_come_back() -> None:
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.send(a, 2008, acc_push())
    play.close(a)
    play.answer(failure=Failure.TIMEOUT)
    assert play.main.accounts.union() == frozenset()


def test_the_union_is_restored_on_a_new_connection() -> None:
    play = Play()
    for owner, acc_id in ((1, 20), (2, 10)):
        play.send(play.client(owner), 2008, acc_push(acc_id))
        play.answer()
    play.lose()
    assert play.connect() == [("ask", 2008, acc_push(10, 20))]
    assert play.answer() == []
    play.ready()
    assert play.send(play.router.sessions[1], 2008, acc_push(20)) == [("reply", 1, 2008, play.serial, 0, "")]


def test_a_new_connection_knows_nothing_of_the_old_union() -> None:
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.lose()
    play.close(a)
    assert play.connect() == []
    play.ready()
    assert play.send(play.client(2), 2008, acc_push(10)) == [("ask", 2008, acc_push(10))]


@pytest.mark.parametrize("told", [True, False])
def test_who_leaves_while_the_lane_is_restored_leaves_the_union_too(told: bool) -> None:
    play = Play()
    a = play.client(1)
    play.send(a, 2008, acc_push(10))
    play.answer()
    play.send(play.client(2), 2008, acc_push(20))
    play.answer()
    play.lose()
    play.connect()
    if told:
        play.answer()
        assert play.close(a) == []
    else:
        assert play.close(a) == []
        play.answer()
    play.ready()
    play.answer_all()
    assert play.later(5.0) == [("ask", 2008, acc_push(20))]
    assert play.answer() == []
    assert play.later(100.0) == []


def test_who_leaves_during_an_outage_is_not_in_what_is_restored() -> None:
    play = Play()
    a = play.client(1)
    for session, acc_id in ((a, 10), (play.client(2), 20)):
        play.send(session, 2008, acc_push(acc_id))
        play.answer()
    play.lose()
    play.close(a)
    assert play.connect() == [("ask", 2008, acc_push(20))]
    play.answer()
    play.ready()
    assert play.later(100.0) == []


@pytest.mark.parametrize("answered", [True, False])
def test_an_unlock_of_a_client_that_has_gone_is_nobodys(answered: bool) -> None:
    """It would keep OpenD open for ever, because locks of others are kept back for its sake."""
    play = Play(unlock="own")
    a, b = play.client(1), play.client(2)
    play.send(a, 2005, unlock_body(True))
    if answered:
        play.answer()
        play.close(a)
    else:
        play.close(a)
        play.answer()
    assert play.router.unlock.open, "OpenD is"
    assert play.send(b, 2005, unlock_body(False)) == [("forward", 2, 2005, play.serial, False)]
