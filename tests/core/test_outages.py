"""What clients are told of an outage, and of its end."""

from __future__ import annotations

import json
import math
from unittest.mock import ANY

import pytest

from opendmux.core.commands import Failure
from opendmux.core.entry import SETTLE_S
from opendmux.core.notices import ConnStatus
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import ADDRESS, Play, hello
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import sub

AWAY = encode(
    opend.NotifyResponse(
        retType=0,
        s2c=opend.NotifyS2C(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=False, trdLogined=False)),
    )
)


def status(body: object) -> tuple[int, bool, bool]:
    assert isinstance(body, bytes)
    s2c = opend.NotifyResponse.FromString(body).s2c
    return s2c.type, s2c.connectStatus.qotLogined, s2c.connectStatus.trdLogined


def state(*, qot: bool, trd: bool) -> bytes:
    s2c = opend.GetGlobalStateS2C(qotLogined=qot, trdLogined=trd)
    return encode(opend.GetGlobalStateResponse(retType=0, s2c=s2c))


def test_hold_tells_who_takes_notifications() -> None:
    play = Play()
    told = play.client(1, recv_notify=True)
    play.client(2)
    assert play.lose() == [("push", (told.slot,), AWAY, None)]
    assert status(AWAY) == (3, False, False)
    assert play.lose() == [], "a failed attempt is no news"


def test_when_it_is_back_opend_is_asked_for_its_own_logins() -> None:
    play = Play()
    told = play.client(1, recv_notify=True)
    play.lose()
    play.connect()
    assert play.ready() == [("ask", ProtoId.GET_GLOBAL_STATE, field(1, scalar(1, 0)))]
    ((kind, slots, body, _),) = play.answer(body=state(qot=True, trd=False))
    assert (kind, slots) == ("push", (told.slot,))
    assert status(body) == (3, True, False)
    assert play.router.lanes.main.upstream.logins == ConnStatus(quote=True, trade=False), "it is known from now on"


def test_who_was_kept_out_by_an_outage_and_until_when() -> None:
    play = Play(keyring=ring(key(key_id="bot"), key(key_id="calm")))
    play.client(1, client_id=plaintext("bot")).on_outage = "close"
    play.client(2, client_id=plaintext("calm"))
    outages = play.router.outages
    assert outages.kept_out_until("bot", play.now, play.now) == -math.inf
    play.lose()
    ended = play.now
    assert outages.kept_out_until("bot", ended - 0.2, ended + 50) > ended + 50, "as long as it lasts"
    assert outages.kept_out_until("calm", ended - 0.2, ended + 50) == -math.inf, "it was not closed"
    assert outages.kept_out_until("bot", ended + 0.2, ended + 50) == -math.inf, "it has been somewhere else since"
    play.now += 60
    play.connect()
    play.ready()
    assert outages.kept_out_until("bot", ended - 0.2, play.now + 5) == play.now == outages.back_since


def test_nobody_to_tell_nothing_to_ask() -> None:
    play = Play()
    play.client(1)
    play.lose()
    play.connect()
    assert play.ready() == []


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"\xff", None),
        (scalar(1, 0) + field(4, b"\x08"), None),
        (scalar(1, 0) + field(4, field(13, b"\xff")), None),
        (ret_body(0, -1, "no"), None),
        *((b"", failure) for failure in Failure),
    ],
)
def test_without_an_answer_nobody_is_told_and_nothing_breaks(body: bytes, failure: Failure | None) -> None:
    play = Play()
    play.client(1, recv_notify=True)
    play.lose()
    play.connect()
    play.ready()
    assert play.answer(body=body, failure=failure) == []


def test_close_closes_and_hold_holds() -> None:
    play = Play()
    closing = play.session(1, on_outage="close")
    play.send(closing, 1001, hello(recv_notify=True))
    held = play.client(2, recv_notify=True)
    play.passes(closing, 3004)
    lines = play.lose()
    assert lines[0][:5] == ("reply", 1, 3004, play.serial, -200), "first what it waited for"
    assert lines[1:] == [("close", 1, ANY), ("push", (held.slot,), AWAY, None)]
    assert str(lines[1][2]).startswith(f"OpenD at {ADDRESS} has been away for 0 s")
    assert play.send(closing, 3004) == []


def test_a_client_that_has_not_arrived_is_closed_as_well() -> None:
    play = Play()
    play.session(1, on_outage="close")
    assert play.lose() == [("close", 1, ANY)]


def test_a_client_that_has_just_arrived_is_told_a_moment_later() -> None:
    play = Play()
    session = play.session(1)
    play.send(session, 1001, hello(recv_notify=True))
    assert play.lose() == []
    assert play.later(SETTLE_S) == [("push", (session.slot,), AWAY, None)]


def test_json_clients_are_told_of_their_own_link_in_json() -> None:
    play = Play()
    told = play.client(1, recv_notify=True, push_proto_fmt=1)
    play.up(1)
    assert play.lose(0) == []
    ((kind, slots, body, _),) = play.lose(1)
    assert (kind, slots) == ("push", (told.slot,))
    assert isinstance(body, bytes)
    assert json.loads(body) == {
        "retType": 0,
        "s2c": {"type": 3, "connectStatus": {"qotLogined": False, "trdLogined": False}},
    }


def test_an_extra_lane_is_nobodys_news() -> None:
    play = Play()
    for owner, session in ((1, 1), (2, 3)):
        client = play.client(owner, recv_notify=True)
        play.send(client, 3001, sub([(11, "AAPL")], [11], session=session))
        if owner == 1:
            play.answer_all()
    play.up(2)
    play.answer_all()
    assert play.lose(2) == []
    assert play.connect(2) == [("ask", 3001, ANY, 2)]
    play.answer_all()
    assert play.ready(2) == []


def test_what_was_pushed_meanwhile_is_missed_by_who_reads_by_number() -> None:
    play = Play(trade_address="trade.test:11111")
    play.up(2)
    play.client(1)
    reader, other = play.client(2), play.client(3, push_proto_fmt=1)
    reader.streams, other.streams = [20], [30]
    for lane, missed in ((0, [2]), (2, [2]), (1, [3])):
        if lane == 1:
            assert ("missed", 3) not in play.up(1), "the first connection has no gap behind it"
        play.lose(lane)
        lines = play.connect(lane)
        assert [line[1] for line in lines if line[0] == "missed"] == missed, lane
        assert lines[0][0] == "missed", "before anything is subscribed again"
        play.answer_all()
        assert not [line for line in play.ready(lane) if line[0] == "missed"]


def test_what_a_further_lane_did_not_bring_is_everybodys_gap() -> None:
    play = Play()
    for owner, session in ((1, 1), (2, 3)):
        client = play.client(owner)
        client.streams = [owner]
        play.send(client, 3001, sub([(11, "AAPL")], [11], session=session))
        if owner == 1:
            play.answer_all()
    play.up(2)
    play.lose(2)
    assert play.connect(2)[:2] == [("missed", 1), ("missed", 2)]


def test_of_a_group_each_client_is_told_of_its_own_trade_lane() -> None:
    """A JSON client trades by a connection of its own, whose order pushes are JSON."""
    play = Play(trade_address="trade.test:11111")
    for lane in (2,):
        play.up(lane)
    plain = play.client(1, recv_notify=True)
    in_json = play.client(2, recv_notify=True, push_proto_fmt=1)
    assert play.opened == {0, 1, 3}
    for lane in (1, 3):
        play.up(lane)
    assert play.send(in_json, 2211)[0] == ("forward", 2, 2211, play.serial, False, 3)
    assert play.send(plain, 2211)[0] == ("forward", 1, 2211, play.serial, False, 2)
    play.answer_all()
    assert [line[1] for line in play.lose(2) if line[0] == "push"] == [(plain.slot,)]
    assert [line[1] for line in play.lose(3) if line[0] == "push"] == [(in_json.slot,)]


def test_the_trade_lane_of_json_clients_is_given_up_with_the_last_of_them() -> None:
    play = Play(trade_address="trade.test:11111")
    session = play.client(1, push_proto_fmt=1)
    for lane in (1, 3):
        play.up(lane)
    play.later(1000.0)
    assert play.opened == {0, 1, 3}
    play.close(session)
    for _ in range(2):
        play.later(60.0)
    assert play.opened == {0}
