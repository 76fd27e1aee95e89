"""One lane's subscriptions: first pushes, doubtful answers, and what a new connection is told."""

from __future__ import annotations

import json

import pytest

from opendmux.core import streams
from opendmux.core.commands import Ask, Failure
from opendmux.core.streams import PushKey, Space
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from tests.core.playbook import OK, Line, Play
from tests.core.quote_kit import HSBC, NO, TENCENT, asked, subscribed
from tests.native.wire_format import field
from tests.runtime.bodies import kline_push, quote_push, sub, ticker_push

# -- first pushes


def test_who_joins_a_flowing_stream_gets_its_newest_push_after_the_reply() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT)
    key = PushKey(Space.QOT, *TENCENT, 1, 0)
    for mark in (b"", b"newer"):
        push = quote_push(TENCENT) + field(88, mark)
        assert play.push(3005, push) == [("push", (a.slot,), push, key)]
    b = play.client(2)
    assert play.send(b, 3001, sub([TENCENT], [1])) == [
        ("reply", 2, 3001, play.serial, 0, ""),
        ("push", (b.slot,), push, None),
    ]
    assert play.send(b, 3001, sub([TENCENT], [1])) == [("reply", 2, 3001, play.serial, 0, "")], "once"


def test_no_first_push_for_who_does_not_want_one() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT)
    play.push(3005, quote_push(TENCENT))
    assert play.send(play.client(2), 3001, sub([TENCENT], [1], first_push=False)) == [
        ("reply", 2, 3001, play.serial, 0, "")
    ]
    del a


def test_a_first_push_is_never_older_than_the_link() -> None:
    play = Play()
    subscribed(play, 1, TENCENT)
    play.push(3005, quote_push(TENCENT))
    play.lose()
    play.connect()
    play.answer_all()
    play.ready()
    assert play.send(play.client(2), 3001, sub([TENCENT], [1])) == [("reply", 2, 3001, play.serial, 0, "")]


def test_a_first_push_is_never_older_than_the_subscription() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT, sub_types=(streams.TICKER,))
    play.push(3011, ticker_push(*TENCENT))
    play.close(a)
    play.later(70.0)
    play.answer_all()
    b = play.client(2)
    play.send(b, 3001, sub([TENCENT], [streams.TICKER]))
    assert play.answer() == [("reply", 2, 3001, play.serial, 0, "")]


@pytest.mark.parametrize("rehab", [1, 2])
def test_nothing_is_kept_of_a_subscription_that_failed(rehab: int) -> None:
    """OpenD's first push may overtake its refusal, and may be of a rehab type nobody asked for."""
    play = Play()
    a = play.client(1)
    play.send(a, 3001, sub([TENCENT], [streams.KL_DAY]))
    push = kline_push(*TENCENT, kl_type=2, rehab_type=rehab)
    assert play.push(3007, push) == []
    assert play.answer(body=NO) == [("reply", 1, 3001, play.serial, -1, "no quota")]
    play.send(a, 3001, sub([TENCENT], [streams.KL_DAY], regPushRehabTypeList=[rehab]))
    assert play.answer() == [("reply", 1, 3001, play.serial, 0, "")]


def test_nothing_is_kept_of_a_registration_without_a_verdict() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT, sub_types=(streams.KL_DAY,))
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=1, code="00700")],
        subTypeList=[streams.KL_DAY],
        rehabTypeList=[2],
        isRegOrUnReg=True,
    )
    play.send(a, 3002, encode(opend.RegQotPushRequest(c2s=c2s)))
    play.answer(failure=Failure.TIMEOUT)
    play.push(3007, kline_push(*TENCENT, kl_type=2, rehab_type=2))
    play.close(a)
    play.later(70.0)
    play.answer_all()
    b = play.client(2)
    play.send(b, 3001, sub([TENCENT], [streams.KL_DAY], regPushRehabTypeList=[2]))
    assert play.answer() == [("reply", 2, 3001, play.serial, 0, "")], "no push of long ago"


# -- the link


def test_what_clients_hold_is_restored() -> None:
    play = Play()
    subscribed(play, 1, TENCENT)
    subscribed(play, 2, TENCENT, HSBC)
    assert play.lose() == []
    c2s = asked(play.connect())
    assert sorted(security.code for security in c2s.securityList) == ["00005", "00700"]
    assert play.router.links.replaying(0)
    assert play.answer() == []
    assert not play.router.links.replaying(0)


def test_what_a_leaving_client_sets_off_during_the_replay_is_sent() -> None:
    """The ledger counts as under way what it has handed out: a message dropped here blocks its streams for ever."""
    play = Play()
    a, _b = subscribed(play, 1, TENCENT), subscribed(play, 2, TENCENT)
    subscribed(play, 3, (91, "BTC"), firm=3)
    play.lose()
    play.connect()
    refused = next(sent for sent in play.waiting if isinstance(sent, Ask) and b"00700" in sent.body)
    play.answer(refused, NO)
    assert play.router.links.replaying(0)
    play.now += 15.0
    lines = play.close(a)
    assert asked(lines).isSubOrUnSub
    play.answer_all()
    play.ready()
    assert play.main.ledger.refused() == {}
    assert play.send(play.client(4), 3001, sub([TENCENT], [1])) == [("reply", 4, 3001, play.serial, 0, "")]


# -- what OpenD does not take any more


def state(*, qot: bool = True) -> bytes:
    s2c = opend.GetGlobalStateS2C(qotLogined=qot, trdLogined=True)
    return encode(opend.GetGlobalStateResponse(retType=0, s2c=s2c))


def doubted() -> Play:
    """The quotes of TENCENT have been refused twice since the reconnect; OpenD is being asked how it is."""
    play = Play()
    for owner, recv_notify in ((1, True), (2, False), (3, True)):
        session = play.client(owner, recv_notify=recv_notify)
        play.send(session, 3001, sub([HSBC if owner == 3 else TENCENT], [1]))
        play.answer_all()
    play.lose()
    play.connect()
    play.answer(body=NO)
    play.ready()
    play.answer_all()
    play.later(11.0)
    for sent in [s for s in play.waiting if isinstance(s, Ask) and s.proto_id == 3001]:
        play.answer(sent, NO if b"00700" in sent.body else OK)
    assert [sent.proto_id for sent in play.waiting if isinstance(sent, Ask)] == [1002]
    return play


def told(lines: list[Line]) -> dict[tuple[int, ...], str]:
    found = {}
    for kind, slots, body, key in lines:
        assert (kind, key) == ("push", None)
        assert isinstance(body, bytes)
        assert isinstance(slots, tuple)
        s2c = opend.NotifyResponse.FromString(body).s2c
        assert (s2c.type, s2c.event.HasField("eventType"), s2c.event.eventType) == (1, True, 0)
        found[slots] = s2c.event.desc
    return found


def test_who_lost_a_subscription_for_good_is_told() -> None:
    play = doubted()
    texts = told(play.answer(body=state()))
    assert list(texts) == [(play.router.sessions[1].slot,)], "client 2 takes no notifications, client 3 lost nothing"
    assert "HK.00700 Basic" in texts[play.router.sessions[1].slot,]
    assert "(no quota)" in texts[play.router.sessions[1].slot,]
    assert play.main.ledger.subscriptions(1) == play.main.ledger.subscriptions(2) == {}
    assert play.main.ledger.subscriptions(3) == {1: [HSBC]}
    assert play.later(300.0) == []
    assert asked(play.send(play.router.sessions[1], 3001, sub([TENCENT], [1]))).isSubOrUnSub, "OpenD is asked anew"


@pytest.mark.parametrize(
    ("body", "failure"),
    [(state(qot=False), None), (NO, None), (b"\xff", None), (b"", Failure.TIMEOUT), (b"", Failure.LOST)],
)
def test_as_long_as_opend_is_not_logged_in_it_is_asked_again(body: bytes, failure: Failure | None) -> None:
    play = doubted()
    assert play.answer(body=body, failure=failure) == []
    assert play.main.ledger.subscriptions(1) == {1: [TENCENT]}
    assert asked(play.later(21.0)).isSubOrUnSub
    assert play.answer(body=NO)[0][:2] == ("ask", 1002), "and so is the question how it is"
    play.answer(body=state(qot=False))
    play.later(41.0)
    assert play.answer() == []
    assert play.main.ledger.refused() == {}


def test_a_json_client_is_told_in_json() -> None:
    play = Play()
    play.send(play.client(1, recv_notify=True, push_proto_fmt=1), 3001, sub([TENCENT], [1]))
    play.up(1)
    play.answer_all()
    play.lose(1)
    play.connect(1)
    play.answer(body=NO)
    play.ready(1)
    play.answer_all()
    play.later(11.0)
    play.answer(body=NO)
    ((_kind, _slots, body, _key),) = play.answer(body=state())
    assert isinstance(body, bytes)
    assert json.loads(body)["s2c"]["event"]["eventType"] == 0


def test_many_losses_are_one_short_text() -> None:
    play = Play()
    session = play.client(1, recv_notify=True)
    play.send(session, 3001, sub([(1, f"{n:05}") for n in range(25)], [1]))
    play.answer_all()
    play.lose()
    play.connect()
    for pause in (11.0, 21.0):
        while play.waiting:
            play.answer(body=NO)
        play.ready()
        while play.waiting:
            play.answer(body=NO)
        play.later(pause)
    while len(play.waiting) > 1:
        sent = next(s for s in play.waiting if isinstance(s, Ask) and s.proto_id == 3001)
        play.answer(sent, NO)
    (text,) = told(play.answer(body=state())).values()
    assert "and 5 more (no quota)" in text
    assert len(text) < 1000
    assert play.main.ledger.empty()


def test_the_sdk_takes_that_notification() -> None:
    """As the official SDK reads it: a gateway event without a type, with our text."""
    from futu.common.pb import Notify_pb2
    from futu.quote.quote_query import SysNotifyPush

    play = doubted()
    ((_kind, _slots, body, _key),) = play.answer(body=state())
    response = Notify_pb2.Response.FromString(body)
    assert response.IsInitialized()
    ret, (notify_type, sub_type, data) = SysNotifyPush.unpack_rsp(response)
    assert (ret, notify_type, sub_type) == (0, "GTW_EVENT", "N/A")
    assert "HK.00700 Basic" in str(data)


def test_nothing_to_restore() -> None:
    play = Play()
    play.lose()
    assert play.connect() == []
    assert not play.router.links.replaying(0)
