"""Subscriptions over several lanes: where a stream goes when its options conflict, and requests in several parts."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from opendmux.core import streams
from opendmux.core.lanes import IDLE_S
from opendmux.core.streams import Space
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import PARK_S, Play
from tests.runtime.bodies import kline_push, sub, unsub_all

APPLE, MICROSOFT, TENCENT = (11, "AAPL"), (11, "MSFT"), (1, "00700")
MINUTE = streams.KL_1MIN
RTH, ALL = sub([APPLE], [MINUTE], session=1), sub([APPLE], [MINUTE], session=3)
NO = ret_body(0, -1, "no quota")
MAIN, JSON, FIRST_EXTRA, SECOND_EXTRA = range(4)


def conflicting(**more: int) -> Play:
    """Client 1 has the stream for regular hours on MAIN; client 2 is there."""
    play = Play(**more)  # type: ignore[arg-type]
    play.send(play.client(1), 3001, RTH)
    play.answer_all()
    play.client(2)
    return play


def session_of(play: Play, owner: int, lane: int) -> list[tuple[int, str]]:
    return play.router.lanes[lane].ledger.subscriptions(owner, Space.QOT).get(MINUTE, [])


def kline_call(code: str) -> bytes:
    c2s = opend.GetKLC2S(rehabType=1, klType=1, security=opend.Security(market=11, code=code), reqNum=1)
    return encode(opend.GetKLRequest(c2s=c2s))


def test_other_options_get_a_lane_of_their_own() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    assert play.send(b, 3001, ALL) == [("row", 2), ("open lane", FIRST_EXTRA)]
    assert play.connect(FIRST_EXTRA) == []
    ((kind, proto_id, body, lane),) = play.ready(FIRST_EXTRA)
    assert (kind, proto_id, lane) == ("ask", 3001, FIRST_EXTRA)
    assert isinstance(body, bytes)
    assert opend.SubRequest.FromString(body).c2s.session == 3
    assert play.answer() == [("reply", 2, 3001, play.serial, 0, "")]
    assert session_of(play, 2, FIRST_EXTRA) == [APPLE]
    assert session_of(play, 2, MAIN) == []


def test_pushes_keep_to_their_lane() -> None:
    play = conflicting()
    a, b = play.router.sessions[1], play.router.sessions[2]
    play.send(b, 3001, ALL)
    play.up(FIRST_EXTRA)
    play.answer_all()
    push = kline_push(*APPLE, kl_type=1, rehab_type=1)
    assert play.push(3007, push, lane=MAIN) == [("push", (a.slot,), push, ANY)]
    assert play.push(3007, push, lane=FIRST_EXTRA) == [("push", (b.slot,), push, ANY)]


def test_the_same_options_share_the_lane() -> None:
    play = conflicting()
    for owner in (2, 3):
        session = play.router.sessions.get(owner) or play.client(owner)
        play.send(session, 3001, ALL)
        if owner == 2:
            play.up(FIRST_EXTRA)
            play.answer_all()
    assert play.answered[3, play.serial] == 1
    assert session_of(play, 3, FIRST_EXTRA) == [APPLE]
    assert play.opened == {MAIN, FIRST_EXTRA}


def test_calls_for_data_go_where_the_stream_is() -> None:
    play = conflicting()
    a, b = play.router.sessions[1], play.router.sessions[2]
    play.send(b, 3001, ALL)
    play.up(FIRST_EXTRA)
    play.answer_all()
    assert play.send(a, 3006, kline_call("AAPL")) == [("forward", 1, 3006, play.serial, False)]
    assert play.send(b, 3006, kline_call("AAPL")) == [("forward", 2, 3006, play.serial, False, FIRST_EXTRA)]
    assert play.send(b, 3006, kline_call("MSFT")) == [("forward", 2, 3006, play.serial, False)]
    (line,) = play.send(b, 3006, b"\xff")
    assert "was not sent" in str(line[5])


def test_quotes_of_several_lanes_are_not_mixed_in_one_answer() -> None:
    play = Play()
    a, b = play.client(1), play.client(2)
    crypto = [(91, "BTC"), (91, "ETH")]
    play.send(a, 3001, sub(crypto[:1], [1], header=opend.QotHeader(securityFirm=1)))
    play.send(b, 3001, sub(crypto[1:], [1]))
    play.send(b, 3001, sub(crypto[:1], [1], header=opend.QotHeader(securityFirm=2)))
    play.up(FIRST_EXTRA)
    play.answer_all()
    c2s = opend.GetBasicQotC2S(securityList=[opend.Security(market=market, code=code) for market, code in crypto])
    (line,) = play.send(b, 3004, encode(opend.GetBasicQotRequest(c2s=c2s)))
    assert "ask for them one by one" in str(line[5])


def test_a_used_up_pool_is_a_refusal_that_says_who_is_in_the_way() -> None:
    play = conflicting(extra_lanes=0)
    (line,) = play.send(play.router.sessions[2], 3001, ALL)
    assert line[:5] == ("reply", 2, 3001, play.serial, -1)
    assert "in use by another client with other options" in str(line[5])


def test_a_json_client_gets_a_further_lane_of_json() -> None:
    play = Play()
    for owner, body in ((1, RTH), (2, ALL)):
        play.send(play.client(owner, push_proto_fmt=1), 3001, body)
        if owner == 1:
            play.up(JSON)
            play.answer_all()
    assert play.opened == {MAIN, JSON, FIRST_EXTRA}
    assert play.router.lanes[FIRST_EXTRA].push_fmt == 1
    play.up(FIRST_EXTRA)
    assert play.answer_all() == [("reply", 2, 3001, play.serial, 0, "")]
    (line,) = play.send(play.router.sessions[2], 3006, kline_call("AAPL"))
    assert line == ("forward", 2, 3006, play.serial, False, FIRST_EXTRA)


def test_a_lane_is_shared_by_clients_of_one_push_format_only() -> None:
    play = Play()
    for owner, body, fmt in ((1, RTH, 0), (2, ALL, 0), (3, RTH, 1), (4, ALL, 1), (5, ALL, 1), (6, ALL, 0)):
        play.send(play.client(owner, push_proto_fmt=fmt), 3001, body)
        for lane in sorted(play.opened - play.linked):
            play.up(lane)
        play.answer_all()
    held = {owner: lane.index for lane in play.router.lanes.all for owner in lane.ledger.owners_with_subscriptions()}
    assert held == {1: MAIN, 2: FIRST_EXTRA, 3: JSON, 4: SECOND_EXTRA, 5: SECOND_EXTRA, 6: FIRST_EXTRA}
    assert [play.router.lanes[lane].push_fmt for lane in range(4)] == [0, 1, 0, 1]


def test_a_lane_that_is_made_again_takes_the_format_of_whom_it_is_made_for() -> None:
    play = Play(extra_lanes=1)
    for owner, body in ((1, RTH), (2, ALL)):
        play.send(play.client(owner), 3001, body)
        if owner == 2:
            play.up(FIRST_EXTRA)
        play.answer_all()
    (line,) = play.send(play.client(3, push_proto_fmt=1), 1004)[:1]
    assert line[0] == "reply"
    play.up(JSON)
    play.send(play.router.sessions[3], 3001, RTH)
    play.answer_all()
    fourth = play.client(4, push_proto_fmt=1)
    play.send(fourth, 3001, ALL)
    assert "in use by another client" in str(verdict_of(play)), "the pool is used up, and that lane pushes protobuf"
    play.close(play.router.sessions[2])
    for _ in range(3):
        play.later(61.0)
        play.answer_all()
    assert FIRST_EXTRA not in play.opened
    play.linked.discard(FIRST_EXTRA)
    play.send(fourth, 3001, ALL)
    play.up(FIRST_EXTRA)
    assert play.answer_all() == [("reply", 4, 3001, play.serial, 0, "")]
    assert play.router.lanes[FIRST_EXTRA].push_fmt == 1


def verdict_of(play: Play) -> str:
    (reply,) = play.commands
    return opend.ResponseHead.FromString(getattr(reply, "body", b"")).retMsg


# -- the first JSON client


def test_the_first_client_with_json_pushes_makes_a_lane_and_waits_for_it() -> None:
    play = Play()
    session = play.session(1)
    body = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(pushProtoFmt=1)))
    assert play.send(session, 1001, body) == [("reply", 1, 1001, 1, 0, ""), ("row", 1), ("open lane", JSON)]
    assert play.send(session, 3004) == []
    assert play.send(session, 3001, RTH) == []
    assert play.connect(JSON) == []
    assert play.ready(JSON) == [("forward", 1, 3004, 2, False, JSON), ("ask", 3001, ANY, JSON)]


def test_waiting_for_a_lane_ends_with_a_refusal() -> None:
    play = Play()
    session = play.client(1, push_proto_fmt=1)
    play.send(session, 3004)
    (line,) = play.later(PARK_S + 0.1)
    assert line[:5] == ("reply", 1, 3004, play.serial, -200)
    assert session.ready


# -- parts


def test_a_request_in_two_parts_is_answered_once_at_the_end() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    lines = play.send(b, 3001, sub([APPLE, MICROSOFT], [MINUTE], session=3))
    assert [line[0] for line in lines] == ["row", "open lane", "ask"]
    assert play.answer() == [], "MAIN's part"
    play.connect(FIRST_EXTRA)
    play.ready(FIRST_EXTRA)
    assert play.answer() == [("reply", 2, 3001, play.serial, 0, "")]
    assert (session_of(play, 2, MAIN), session_of(play, 2, FIRST_EXTRA)) == ([MICROSOFT], [APPLE])


@pytest.mark.parametrize("main_first", [True, False])
def test_a_refused_part_takes_the_others_back(main_first: bool) -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, sub([MICROSOFT], [1]))
    play.answer_all()
    play.send(b, 3001, sub([APPLE, MICROSOFT], [1, MINUTE], session=3))
    play.connect(FIRST_EXTRA)
    play.ready(FIRST_EXTRA)
    on_main = [sent for sent in play.waiting if sent.lane == MAIN]
    on_extra = [sent for sent in play.waiting if sent.lane == FIRST_EXTRA]
    assert on_main
    assert on_extra
    for sent in [*on_main, *on_extra] if main_first else [*on_extra, *on_main]:
        play.answer(sent, NO if sent is on_extra[0] else ret_body(0, 0))
    assert play.answered[2, play.serial] == 1
    held = [lane.ledger.subscriptions(2) for lane in play.router.lanes.all]
    assert held == [{1: [MICROSOFT]}, {}, {}, {}], "what it had before, and no more"


def registration(*securities: tuple[int, str]) -> bytes:
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=market, code=code) for market, code in securities],
        subTypeList=[MINUTE],
        isRegOrUnReg=True,
    )
    return encode(opend.RegQotPushRequest(c2s=c2s))


def test_a_refused_registration_takes_back_the_part_that_succeeded() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, sub([APPLE], [MINUTE], session=3, register=None))
    play.up(FIRST_EXTRA)
    play.answer_all()
    push = kline_push(*APPLE, kl_type=1, rehab_type=1)
    assert play.push(3007, push, lane=FIRST_EXTRA) == []
    (line,) = play.send(b, 3002, registration(APPLE, TENCENT))
    assert line[:5] == ("reply", 2, 3002, play.serial, -1)
    assert play.push(3007, push, lane=FIRST_EXTRA) == []
    assert session_of(play, 2, FIRST_EXTRA) == [APPLE]


def test_a_refused_registration_leaves_a_subscription_that_is_on_its_way() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, ALL)
    play.up(FIRST_EXTRA)
    play.answer_all()
    play.send(b, 3001, sub([MICROSOFT], [MINUTE]))
    subscribing = play.serial
    assert play.send(b, 3002, registration(APPLE, MICROSOFT, TENCENT)) == []
    play.answer_all()
    assert play.answered[2, subscribing] == play.answered[2, play.serial] == 1
    assert (session_of(play, 2, MAIN), session_of(play, 2, FIRST_EXTRA)) == ([MICROSOFT], [APPLE])


def test_a_lane_that_can_not_be_made_refuses_the_whole_request() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, sub([APPLE, MICROSOFT], [MINUTE], session=3))
    play.answer()
    lines = play.later(PARK_S + 0.1)
    assert lines[0][:5] == ("reply", 2, 3001, play.serial, -200)
    assert "no further connection to OpenD could be made" in str(lines[0][5])
    assert session_of(play, 2, MAIN) == []


def test_unsubscribing_is_for_all_lanes() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, sub([APPLE, MICROSOFT], [MINUTE], session=3))
    play.up(FIRST_EXTRA)
    play.answer_all()
    assert play.send(b, 3001, unsub_all()) == [("reply", 2, 3001, play.serial, 0, "")]
    assert all(not lane.ledger.subscriptions(2) for lane in play.router.lanes.all)


def test_a_client_that_leaves_while_it_waits_for_a_lane_leaves_nothing() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, sub([APPLE, MICROSOFT], [MINUTE], session=3))
    play.close(b)
    play.answer_all()
    assert play.up(FIRST_EXTRA) == []
    assert all(not lane.ledger.subscriptions(2) for lane in play.router.lanes.all)


# -- giving lanes up


def test_a_lane_nobody_needs_is_given_up_after_a_while() -> None:
    play = conflicting()
    b = play.router.sessions[2]
    play.send(b, 3001, ALL)
    play.up(FIRST_EXTRA)
    play.answer_all()
    play.close(b)
    assert play.later(IDLE_S * 1.5) == [], "OpenD keeps the stream for a minute, so does the lane"
    assert play.later(40.0) == [("ask", ProtoId.QOT_SUB, ANY, FIRST_EXTRA)]
    play.answer_all()
    assert play.later(1.0) == []
    assert play.later(IDLE_S + 0.1) == [("close lane", FIRST_EXTRA)]
    assert play.lose(FIRST_EXTRA) == []
    assert play.later(IDLE_S * 2) == []


def test_main_is_always_wanted() -> None:
    play = Play()
    assert play.later(IDLE_S * 2) == []
    assert play.later(IDLE_S * 2) == []
    assert play.opened == {MAIN}


def test_the_lane_of_a_json_client_stays_while_it_is_there() -> None:
    play = Play()
    session = play.client(1, push_proto_fmt=1)
    play.up(JSON)
    assert play.later(IDLE_S * 2) == []
    assert play.later(IDLE_S * 2) == []
    play.close(session)
    assert play.later(0.1) == []
    assert play.later(IDLE_S + 0.1) == [("close lane", JSON)]


def test_a_lane_given_up_is_made_again() -> None:
    play = Play()
    play.close(play.client(1, push_proto_fmt=1))
    play.up(JSON)
    play.later(0.1)
    play.later(IDLE_S + 0.1)
    play.lose(JSON)
    session = play.client(2, push_proto_fmt=1)
    assert JSON in play.opened
    assert play.send(session, 3004) == []
    play.connect(JSON)
    assert play.ready(JSON) == [("forward", 2, 3004, play.serial, False, JSON)]
