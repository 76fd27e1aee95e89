"""One lane's subscriptions: first pushes, doubtful answers, and what a new connection is told."""

from __future__ import annotations

import pytest

from opendmux.core import streams
from opendmux.core.commands import Ask, Failure
from opendmux.core.streams import PushKey, Space
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from tests.core.playbook import Play
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
    assert play.router.replaying(0)
    assert play.answer() == []
    assert not play.router.replaying(0)


def test_what_a_leaving_client_sets_off_during_the_replay_is_sent() -> None:
    """The ledger counts as under way what it has handed out: a message dropped here blocks its streams for ever."""
    play = Play()
    a, _b = subscribed(play, 1, TENCENT), subscribed(play, 2, TENCENT)
    subscribed(play, 3, (91, "BTC"), firm=3)
    play.lose()
    play.connect()
    refused = next(sent for sent in play.waiting if isinstance(sent, Ask) and b"00700" in sent.body)
    play.answer(refused, NO)
    assert play.router.replaying(0)
    play.now += 15.0
    lines = play.close(a)
    assert asked(lines).isSubOrUnSub
    play.answer_all()
    play.ready()
    assert play.main.ledger.refused() == {}
    assert play.send(play.client(4), 3001, sub([TENCENT], [1])) == [("reply", 4, 3001, play.serial, 0, "")]


def test_nothing_to_restore() -> None:
    play = Play()
    play.lose()
    assert play.connect() == []
    assert not play.router.replaying(0)
