"""One OpenD is watched: what is asked, and what is learnt."""

from __future__ import annotations

import pytest

from opendmux.core.commands import Failure
from opendmux.core.conditions import Kind
from opendmux.core.feed import Stale
from opendmux.core.pauses import Pause
from opendmux.core.watch import (
    RETURNS_MANY,
    RETURNS_WITHIN_S,
    STATE_LEAST_S,
    USE_LEAST_S,
    USER_EVERY,
    USER_LEAST_S,
    WatchRules,
)
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import ADDRESS
from tests.core.watch_kit import HISTORY, STATE, SUBS, USER, Watched, history, quota, state, user
from tests.runtime.bodies import sub


def test_what_is_asked_and_when() -> None:
    play = Watched()
    assert play.questions() == [STATE, USER, HISTORY, SUBS]
    assert play.questions(29.0) == []
    assert play.questions(1.0) == [], "the first answer is still awaited"
    for proto_id, body in ((STATE, state()), (USER, user()), (HISTORY, history(1, 9)), (SUBS, quota(1, 99))):
        play.told(proto_id, body)
    for _ in range(USER_EVERY - 3):
        assert play.questions(30.0) == [STATE]
        play.told(STATE, state())
    assert play.questions(30.0) == [STATE, USER, HISTORY, SUBS]
    assert play.router.subscriptions.quota == (1, 99)


def test_how_it_is_is_awaited_until_the_first_question_has_come_to_its_end() -> None:
    for body, failure in ((state(), None), (b"\xff", None), (ret_body(0, -1, "no"), None), (b"", Failure.TIMEOUT)):
        play = Watched()
        main = play.router.lanes.main
        assert play.watch.awaited() == [main], "it is asked with the next tick"
        play.looks()
        assert play.watch.awaited() == [main]
        play.told(STATE, body, failure)
        assert play.watch.awaited() == []
        play.lose()
        play.now += 1
        assert play.watch.awaited() == [], "that it is away is said"
        play.connect()
        play.ready()
        assert play.watch.awaited() == [main], "another connection, perhaps to another OpenD"
    assert Watched(WatchRules(ask_s=0)).watch.awaited() == []


def test_a_notice_of_rights_asks_for_the_whole() -> None:
    play = Watched()
    play.looks()
    for proto_id, body in ((STATE, state()), (USER, user()), (HISTORY, history(1, 9)), (SUBS, quota(1, 99))):
        play.told(proto_id, body)
    rights = opend.NotifyQotRight(hkQotRight=3)
    play.notified(type=4, qotRight=rights)
    assert play.questions(1.0) == [], "not so soon after the last time"
    assert play.questions(USER_LEAST_S) == [USER, HISTORY, SUBS]


def test_nothing_is_asked_when_it_is_switched_off() -> None:
    play = Watched(WatchRules(ask_s=0))
    assert [play.questions(60.0) for _ in range(20)] == [[]] * 20


def test_a_failure_is_asked_again() -> None:
    play = Watched()
    play.looks()
    play.told(STATE, b"", Failure.TIMEOUT)
    play.told(USER, b"\xff")
    play.told(SUBS, encode(opend.GetSubInfoResponse(retType=-1)))
    play.told(HISTORY, encode(opend.HistoryQuotaResponse(retType=-1, retMsg="NN_ProtoRet_SvrFailed")))
    assert play.router.subscriptions.quota is None
    assert play.wrong() == []
    assert play.questions(30.0) == [STATE]


def test_the_program_and_the_logins() -> None:
    play = Watched()
    play.looks()
    play.told(STATE, state(quote=False, trade=False, program=4))
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone")], "that it has no logins follows"
    play.notified(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=False, trdLogined=False))
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone")]
    play.notified(type=2, programStatus=opend.NotifyProgramStatus(programStatus=opend.ProgramStatus(type=10)))
    assert play.wrong() == [], "the logins of the former state are no news"
    assert play.questions(STATE_LEAST_S) == [STATE]
    play.told(STATE, state(quote=False, trade=False))
    assert play.wrong() == [(Kind.LOGIN_LOST, "quote", "quote"), (Kind.LOGIN_LOST, "trade", "no_trade")]
    play.notified(type=1, event=opend.NotifyGtwEvent(eventType=11, desc=""))
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone")]
    play.notified(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=True, trdLogined=True))
    play.notified(type=2, programStatus=opend.NotifyProgramStatus(programStatus=opend.ProgramStatus(type=10)))
    assert play.wrong() == []
    play.notified(type=1, event=opend.NotifyGtwEvent(eventType=7, desc="elsewhere"))
    assert play.wrong() == [(Kind.KICKED, ADDRESS, "")]
    play.looks(30.0)
    play.told(STATE, state(program=None))
    assert play.wrong() == [], "logged in again"


def test_a_login_with_a_code_is_no_lost_login() -> None:
    play = Watched()
    play.looks()
    play.told(STATE, state(quote=False, trade=False, program=4))
    for program in (2, 7):
        play.notified(type=2, programStatus={"programStatus": {"type": program}})
        play.told(STATE, state(quote=False, trade=False, program=program)) if play.questions(STATE_LEAST_S) else None
        assert play.wrong() == [], "it is on its way in"
    play.notified(type=2, programStatus={"programStatus": {"type": 10}})
    assert play.questions(STATE_LEAST_S) == [STATE], "long before the next question would be due"
    play.told(STATE, state())
    assert play.book.begun == {Kind.CODE_NEEDED: 1}


def test_a_burst_of_states_is_asked_about_once() -> None:
    play = Watched()
    play.looks()
    play.told(STATE, state())
    for program in (1, 2, 7, 10):
        play.notified(type=2, programStatus={"programStatus": {"type": program}})
        assert play.questions(STATE_LEAST_S / 8) == []
    assert play.questions(STATE_LEAST_S) == [STATE]
    play.notified(type=2, programStatus={"programStatus": {"type": 11}})
    assert play.questions(STATE_LEAST_S) == [], "an answer is on its way: it may be of before"
    play.told(STATE, state())
    assert STATE in [getattr(sent, "proto_id", 0) for sent in play.waiting], "so it is asked again"


def test_the_login_for_trading_of_a_group_is_another_opends() -> None:
    play = Watched(trade_address="second:11111")
    play.up(play.router.lanes.trade.index)
    play.looks()
    for proto_id in (STATE, STATE):
        play.told(proto_id, state(quote=False, trade=False, program=4))
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone"), (Kind.LOGIN_LOST, "trade", "no_trade")]


def test_what_was_answered_before_a_notice_does_not_count_after_it() -> None:
    play = Watched()
    play.looks()
    asked = next(sent for sent in play.waiting if getattr(sent, "proto_id", 0) == STATE)
    play.answer(asked, state(program=4))
    play.notified(type=2, programStatus=opend.NotifyProgramStatus(programStatus=opend.ProgramStatus(type=10)))
    play.looks(1.0)
    assert play.wrong() == []


def test_an_answer_is_older_than_a_notice_that_came_behind_it() -> None:
    play = Watched()
    play.looks()
    question = next(sent for sent in play.waiting if getattr(sent, "proto_id", 0) == STATE)
    play.answer(question, state(program=10))
    play.notified(type=2, programStatus={"programStatus": {"type": 4}})
    play.looks()
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone")]


@pytest.mark.parametrize(
    ("notice", "began"),
    [
        ({"type": 1, "event": {"eventType": 7, "desc": ""}}, (Kind.KICKED, ADDRESS, "")),
        ({"type": 1, "event": {"eventType": 11, "desc": ""}}, (Kind.CODE_NEEDED, ADDRESS, "phone")),
        ({"type": 2, "programStatus": {"programStatus": {"type": 11}}}, (Kind.KICKED, ADDRESS, "")),
        ({"type": 3, "connectStatus": {"qotLogined": False, "trdLogined": True}}, (Kind.LOGIN_LOST, "quote", "quote")),
    ],
)
def test_an_answer_that_was_asked_for_before_a_notice_does_not_end_what_that_began(
    notice: dict[str, object], began: tuple[Kind, str, str]
) -> None:
    play = Watched()
    play.looks()
    play.told(STATE, state())
    assert play.questions(30.0) == [STATE]
    play.now += 0.1
    play.notified(**notice)
    play.told(STATE, state())
    assert play.wrong() == [began], "it is of before"
    assert play.questions(STATE_LEAST_S) == [STATE], "so it is asked again, soon"
    play.told(STATE, state())
    assert play.wrong() == []


def test_nor_does_the_answer_to_a_client() -> None:
    play = Watched(WatchRules(ask_s=0))
    client = play.client(1)
    play.send(client, STATE)
    play.now += 0.1
    play.notified(type=1, event={"eventType": 7, "desc": ""})
    play.answer(body=state())
    play.looks(1.0)
    assert play.wrong() == [(Kind.KICKED, ADDRESS, "")]
    play.send(client, STATE)
    play.answer(body=state())
    play.looks(1.0)
    assert play.wrong() == []


def test_an_answer_about_rights_that_was_asked_for_before_a_notice_of_them_is_asked_for_again() -> None:
    play = Watched()
    play.looks()
    play.notified(type=4, qotRight={"hkQotRight": 3})
    play.now += 0.1
    play.notified(type=4, qotRight={"hkQotRight": 1})
    for proto_id, body in ((STATE, state()), (USER, user(hkQotRight=3)), (HISTORY, history(1, 9)), (SUBS, quota(1, 9))):
        play.told(proto_id, body)
    assert play.wrong() == [(Kind.RIGHT_LOST, "HK stocks", "")]
    assert play.questions(USER_LEAST_S) == [USER, HISTORY, SUBS]
    play.told(USER, user(hkQotRight=3))
    assert play.wrong() == []


def test_a_client_s_question_teaches_too() -> None:
    play = Watched(WatchRules(ask_s=0))
    client = play.client(1)
    play.send(client, STATE)
    play.answer(body=state(trade=False))
    play.looks()
    assert play.wrong() == [(Kind.LOGIN_LOST, "trade", "no_trade")]


def test_the_link() -> None:
    play = Watched()
    play.looks()
    play.main.upstream.reason = "Connection refused"
    play.lose()
    assert play.looks() == []
    assert play.wrong() == [(Kind.UPSTREAM_DOWN, ADDRESS, "")]
    (one,) = play.book.active()
    assert one.figures == "Reason: Connection refused."
    assert play.stale() == Stale("link", f"OpenD at {ADDRESS} has been away for 0 s; opendmux is reconnecting")
    play.now += 3.0
    play.up()
    assert play.questions() == [STATE], "rights are asked for a little later"
    assert play.questions(USER_LEAST_S) == [USER, HISTORY, SUBS]
    assert play.wrong() == []
    assert play.stale() is None


def test_a_link_that_is_lost_again_and_again_and_never_for_long() -> None:
    play = Watched()
    play.looks()
    events = []
    for _ in range(2 * RETURNS_MANY):
        play.lose()
        play.now += 1.0
        play.up()
        play.looks(9.0)
        events.append(len(play.book.recent(play.now)))
    assert events == [*[0] * (RETURNS_MANY - 1), *[1] * RETURNS_MANY, 1], "and no more often than that"
    (one,) = play.book.recent(play.now)
    assert (one.kind, one.subject, one.cause, one.times) == (Kind.UPSTREAM_DOWN, ADDRESS, "again", 2)
    assert one.figures == f"{RETURNS_MANY} times within 40 s."


def test_losses_far_apart_and_pauses_are_no_news() -> None:
    play = Watched()
    play.looks()
    for _ in range(2 * RETURNS_MANY):
        play.lose()
        play.up()
        play.looks(RETURNS_WITHIN_S / (RETURNS_MANY - 1))
    for _ in range(2 * RETURNS_MANY):
        play.router.links.pause(Pause(0.0, "ops"), play.now)
        play.lose()
        play.looks(1.0)
        play.router.links.resume()
        play.up()
        play.looks(1.0)
    assert play.book.recent(play.now) == []


def test_before_the_first_attempt_nothing_is_wrong() -> None:
    play = Watched()
    play.lose()
    play.looks()
    assert play.wrong() == []


def test_during_a_rest_nothing_is_asked_and_nothing_is_missed() -> None:
    play = Watched()
    play.main.upstream.reason = "Connection refused"
    play.lose()
    play.looks()
    assert play.wrong() == [(Kind.UPSTREAM_DOWN, ADDRESS, "")]
    play.router.links.pause(Pause(0.0, "ops"), play.now)
    assert play.looks(60.0) == []
    assert play.wrong() == []
    assert play.stale() is not None
    play.router.links.resume()
    play.up()
    assert play.questions() == [STATE, USER, HISTORY, SUBS]


def test_a_group_has_two_links() -> None:
    play = Watched(trade_address="b:2")
    play.router.lanes.trade.upstream.reason = "Connection refused"
    play.looks()
    assert play.wrong() == [(Kind.UPSTREAM_DOWN, "b:2", "trade")]
    (one,) = play.book.active()
    assert one.conclusion.startswith("OpenD at b:2, which takes the orders of a group")
    play.connect(2)
    play.ready(2)
    lines = play.looks()
    assert [(line[1], *line[3:]) for line in lines] == [(STATE, 2)]
    play.answer(play.waiting[-1], state(quote=False, trade=False, program=4))
    play.looks()
    assert play.wrong() == [(Kind.LOGIN_LOST, "trade", "no_trade")], "of its quotes nothing is wanted"


def test_the_use_of_the_quota_is_asked_for_when_subscriptions_have_changed() -> None:
    play = Watched()
    play.looks()
    for proto_id, body in ((STATE, state()), (USER, user()), (HISTORY, history(1, 9)), (SUBS, quota(0, 100))):
        play.told(proto_id, body)
    client = play.client(1)
    play.send(client, ProtoId.QOT_SUB, sub([(1, f"{code:05}") for code in range(95)], [1], first_push=False))
    play.answer_all()
    assert play.questions(USE_LEAST_S) == [], "they are counted now"
    assert play.questions(1.0) == [SUBS]
    play.told(SUBS, quota(95, 5))
    play.looks(1.0)
    assert play.wrong() == [(Kind.QUOTA, "subscriptions", "subscriptions")]
    assert [play.questions(4.0) for _ in range(4)] == [[]] * 4, "nothing has changed since"
