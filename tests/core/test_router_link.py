"""The router and the link: outages, what is parked, what was pending when it was lost."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from opendmux.core.commands import Ask, Forward
from opendmux.core.parking import PARKED_IDS
from opendmux.wire.handshake import identity_untrusted
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, WRITE_IDS, RequestAction
from tests.core.playbook import ADDRESS, PARK_S, Play, hello
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_push, sub, sub_info, trade_write

TENCENT = (1, "00700")
UNLOCK = field(1, scalar(1, 1))
BODIES = {2001: b"", 2005: UNLOCK, 2008: acc_push(10), 3001: sub([TENCENT], [1]), 3002: b""}
REQUESTS = [each.proto_id for each in PROTOCOLS.values() if each.request in (RequestAction.PASS, RequestAction.INSPECT)]


def outage() -> Play:
    """One client from before; then the link was lost."""
    play = Play()
    play.client(1)
    play.lose()
    return play


# -- refusals


@pytest.mark.parametrize("proto_id", REQUESTS)
def test_during_an_outage_requests_are_refused_at_once_with_the_reason(proto_id: int) -> None:
    play = outage()
    play.now += 7.4
    assert play.send(play.router.sessions[1], proto_id, b"\xff") == [
        (
            "reply",
            1,
            proto_id,
            play.serial,
            -200,
            f"OpenD at {ADDRESS} has been away for 7 s; opendmux is reconnecting; this request was not sent",
        )
    ]
    assert play.waiting == []


def test_seconds_count_from_the_loss_not_from_a_failed_attempt() -> None:
    play = outage()
    for _ in range(3):
        play.now += 10.0
        play.lose()
    (line,) = play.send(play.router.sessions[1], 3004)
    assert "away for 30 s" in str(line[5])


def test_what_is_denied_is_denied_during_an_outage_too() -> None:
    play = outage()
    for proto_id, words in ((3005, "is a push"), (9999, "not known here")):
        (line,) = play.send(play.router.sessions[1], proto_id)
        assert words in str(line[5])


def test_afterwards_requests_are_served_again() -> None:
    play = outage()
    play.connect()
    (line,) = play.send(play.router.sessions[1], 3004)
    assert line[4] == -200, "not before everything is restored"
    assert play.ready() == []
    assert play.send(play.router.sessions[1], 3004) == [("forward", 1, 3004, play.serial, False)]


# -- parking


def test_what_the_sdk_restores_by_itself() -> None:
    assert {2001, 2005, 2008, 3001, 3002} == PARKED_IDS


@pytest.mark.parametrize("proto_id", sorted(PARKED_IDS))
def test_the_restore_calls_of_a_new_client_wait_for_the_link(proto_id: int) -> None:
    play = outage()
    session = play.client(2)
    assert play.send(session, proto_id, BODIES[proto_id]) == []
    play.connect()
    assert play.answered[2, play.serial] == 0
    play.ready()
    play.answer_all()
    assert play.answered[2, play.serial] == 1


def test_parked_requests_go_on_in_their_order() -> None:
    play = outage()
    b, c = play.client(2), play.client(3)
    sent = [(b, 2001), (c, 2001), (b, 2005), (c, 3001), (b, 2008)]
    serials = []
    for session, proto_id in sent:
        assert play.send(session, proto_id, BODIES[proto_id]) == []
        serials.append(play.serial)
    play.connect()
    assert play.ready() == [
        ("forward", 2, 2001, serials[0], False),
        ("forward", 3, 2001, serials[1], False),
        ("forward", 2, 2005, serials[2], False),
        ("ask", 3001, ANY),
        ("ask", 2008, BODIES[2008]),
    ]
    assert [line[:2] for line in play.ready()] == [("ask", 2001)], "once; the list is for those who wait no more"


def test_other_requests_of_a_new_client_are_refused_at_once() -> None:
    play = outage()
    (line,) = play.send(play.client(2), 3004)
    assert line[4] == -200


def test_an_old_client_is_not_parked() -> None:
    """It did not reconnect, so it restores nothing by itself and waits for an answer."""
    play = outage()
    (line,) = play.send(play.router.sessions[1], 3001, BODIES[3001])
    assert line[4] == -200


def test_who_came_in_an_earlier_outage_is_an_old_client_in_the_next() -> None:
    play = outage()
    session = play.client(2)
    play.connect()
    play.ready()
    play.lose()
    (line,) = play.send(session, 3001, BODIES[3001])
    assert line[4] == -200


def test_parking_ends_with_the_connection_so_that_the_sdk_tries_again() -> None:
    play = outage()
    session = play.client(2)
    play.send(session, 2001)
    play.now += 3.0
    play.send(session, 3001, BODIES[3001])
    assert play.later(PARK_S - 3.5) == []
    ((kind, owner, reason),) = play.later(1.0)
    assert (kind, owner) == ("close", 2)
    assert str(reason).startswith(f"OpenD at {ADDRESS} has been away for")
    assert play.later(PARK_S) == [], "once"
    play.connect()
    assert play.ready() == [], "what it had parked is dropped"


def test_the_time_of_one_is_not_the_time_of_another() -> None:
    play = outage()
    b, c = play.session(2), play.session(3)
    for session in (b, c):
        play.send(session, 1001, hello())
    play.send(b, 2001)
    play.now += 5.0
    play.send(c, 2001)
    assert play.later(PARK_S - 4.0) == [("close", 2, ANY)]
    play.connect()
    assert play.ready() == [("forward", 3, 2001, play.serial, False)]


def test_what_is_parked_goes_with_its_client() -> None:
    play = outage()
    session = play.client(2)
    play.send(session, 3001, BODIES[3001])
    play.close(session)
    assert not play.main.waiting, "its body may be large, and clients may come and go"
    play.connect()
    assert play.ready() == []
    assert play.main.ledger.upstream_streams() == []


def test_what_is_parked_is_gated_again() -> None:
    """Its key may have been revoked meanwhile."""
    play = outage()
    session = play.client(2)
    play.send(session, 2001)
    session.row = bytes([RequestAction.DENY]) * len(session.row)
    play.connect()
    (line,) = play.ready()
    assert line[:5] == ("reply", 2, 2001, play.serial, -1)


# -- what was pending


def test_whatever_was_pending_is_answered_once() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    play.send(a, 3001, sub([TENCENT], [1]))
    play.send(b, 3001, sub([TENCENT], [1]))
    for session, proto_id, body in [
        (a, 2005, UNLOCK),
        (a, 2008, acc_push(10)),
        (b, 3003, sub_info(all_conn=True)),
        (b, 2202, trade_write(1, 2)),
        (a, 2205, trade_write(1, 2)),
    ]:
        play.send(session, proto_id, body)
    for proto_id in (1002, 2001, 3004, 3220, 3260):
        play.passes(b, proto_id)
    asked = {each for each in play.asked if not play.answered[each]}
    lines = play.lose()
    replies = [line for line in lines if line[0] == "reply"]
    assert {(line[1], line[3]) for line in replies} == asked
    assert [line for line in lines if line not in replies] == [
        ("witness", 2, 2202, "unknown"),
        ("witness", 1, 2205, "unknown"),
    ]
    for _, _, asked_for, _, ret_type, text in replies:
        write = asked_for in WRITE_IDS
        assert ret_type == (-400 if write else -200)
        assert not write or "outcome unknown" in str(text)
    assert play.waiting == []
    assert play.later(100.0) == []


def test_the_loss_of_an_idle_link_says_nothing() -> None:
    play = Play()
    play.client(1)
    assert play.lose() == []
    assert play.lose() == []


def test_a_late_answer_of_the_lost_connection_changes_nothing() -> None:
    """The runtime does not deliver one; an expired entry may still be told."""
    play = Play()
    play.send(play.client(1), 3001, sub([TENCENT], [1]))
    (ask,) = play.waiting
    play.lose()
    play.waiting.append(ask)
    assert play.answer(ask) == []
    assert play.main.ledger.subscriptions(1) == {}


def test_a_client_that_left_during_the_outage_is_not_restored() -> None:
    play = Play()
    a = play.client(1)
    for proto_id, body in ((3001, sub([TENCENT], [1])), (2008, acc_push(10))):
        play.send(a, proto_id, body)
        play.answer_all()
    play.lose()
    assert play.close(a) == []
    assert play.connect() == []
    assert play.ready() == []


def test_link_up_is_not_ready_before_it_is_said() -> None:
    play = outage()
    assert not play.main.upstream.ready
    play.connect()
    assert not play.main.upstream.ready
    play.ready()
    assert play.main.upstream.ready


def test_a_new_identity_is_told_to_new_clients() -> None:
    play = outage()
    s2c = opend.InitConnectS2C(serverVer=1010, loginUserID=78, connID=9, connAESKey="k" * 16, keepAliveInterval=7)
    play.send(play.session(2), 1001, hello())
    before = opend.InitConnectResponse.FromString(getattr(play.commands[0], "body", b"")).s2c
    assert (before.serverVer, before.loginUserID) == (1009, 77), "the last one known"
    _, _, identity = identity_untrusted(encode(opend.InitConnectResponse(retType=0, s2c=s2c)))
    play.linked.add(0)
    play.do(play.router.links.connected(0, identity, play.now))
    play.ready()
    play.send(play.session(3), 1001, hello())
    after = opend.InitConnectResponse.FromString(getattr(play.commands[0], "body", b"")).s2c
    assert (after.serverVer, after.loginUserID, after.keepAliveInterval) == (1010, 78, 10)
    assert after.connID not in (9, before.connID)


# -- how long what waited may still take


def asked_until(play: Play) -> list[float | None]:
    return [command.until for command in play.commands if isinstance(command, Ask | Forward)]


@pytest.mark.parametrize(("proto_id", "body"), [(2008, acc_push(10)), (3001, sub([TENCENT], [1])), (2005, UNLOCK)])
def test_what_was_parked_has_only_the_rest_of_its_time(proto_id: int, body: bytes) -> None:
    """The SDK gives up after 12 s, the wait included."""
    play = Play(ready=False)
    session = play.client(1)
    came = play.now
    play.send(session, proto_id, body)
    play.later(9.0)
    play.up()
    assert asked_until(play) == [came + 11.0]


def test_what_waited_for_a_further_lane_has_only_the_rest_of_its_time() -> None:
    play = Play()
    bitcoin = (91, "BTC")
    for owner, firm in ((1, 1), (2, 2)):
        session, came = play.client(owner), play.now
        play.send(session, 3001, sub([bitcoin], [1], header=opend.QotHeader(securityFirm=firm)))
        if owner == 1:
            play.answer_all()
    play.later(8.0)
    play.up(2)
    assert asked_until(play) == [came + 11.0]


def test_what_did_not_wait_has_the_usual_time() -> None:
    play = Play()
    play.send(play.client(1), 3001, sub([TENCENT], [1]))
    assert asked_until(play) == [None]
