"""Prices that do not come: which markets are mute, and which subscriptions are stale."""

from __future__ import annotations

from opendmux.core.conditions import Kind
from opendmux.core.feed import Stale
from opendmux.core.streams import Space, StreamKey
from opendmux.core.watch import WatchRules
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.watch_kit import USER, Watched, state, user
from tests.runtime.bodies import sub


def test_rights_and_what_is_stale_without_them() -> None:
    play = Watched()
    play.looks()
    play.told(USER, user(hkQotRight=3))
    assert play.stale() is None
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=1))
    assert play.wrong() == [(Kind.RIGHT_LOST, "HK stocks", "")]
    assert play.stale() == Stale("right", "OpenD has lost its quote right for HK stocks")
    assert play.watch.feed.stale(play.main, StreamKey(Space.QOT, 11, "AAPL", 1), play.now) is None
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=3))
    assert play.stale() is None
    play.notified(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=False, trdLogined=True))
    assert play.stale() == Stale("login", "OpenD has lost its login for quotes")


def _quote() -> bytes:
    item = opend.BasicPrice(security=opend.Security(market=1, code="00700"), curPrice=1.0)
    return encode(opend.BasicPriceResponse(retType=0, s2c=opend.BasicPriceS2C(basicQotList=[item])))


class Feeding(Watched):
    """Somebody has subscribed HK.00700, and OpenD answers each question about its state."""

    def __init__(self, sub_type: int = 1, hk: int = 3) -> None:
        super().__init__(WatchRules(ask_s=30, mute_s=60))
        self.hk = hk
        self.quote = True
        client = self.client(1)
        self.send(client, ProtoId.QOT_SUB, sub([(1, "00700")], [sub_type], first_push=False))
        self.answer_all()

    def goes(self, seconds: int, *, pushes: bool) -> None:
        for _ in range(seconds):
            if pushes:
                self.push(ProtoId.QOT_UPDATE_BASIC_QOT, _quote())
            self.looks(1.0)
            while self.waiting:
                self.answer(body=state(hk=self.hk, quote=self.quote))


def test_a_feed_that_falls_silent() -> None:
    play = Feeding()
    play.goes(30, pushes=True)
    play.goes(58, pushes=False)
    assert play.wrong() == []
    play.goes(3, pushes=False)
    assert play.wrong() == [(Kind.MUTE, "HK", "")]
    assert play.book.active()[0].figures.endswith("of 1 subscriptions.")
    stale = play.stale()
    assert stale is not None
    assert stale.reason == "mute"
    assert play.watch.feed.count_stale(play.now) == {"mute": 1}
    assert stale.text.startswith("OpenD has sent nothing of HK for 6")
    play.goes(1, pushes=True)
    assert play.wrong() == []
    assert play.stale() is None
    assert not play.watch.feed.count_stale(play.now)
    play.main.upstream.reason = "gone"
    play.lose()
    assert play.watch.feed.count_stale(play.now) == {"link": 1}


def test_the_lunch_break_is_no_silence() -> None:
    play = Feeding()
    play.goes(29, pushes=True)
    play.hk = 4
    play.goes(600, pushes=False)
    assert play.wrong() == []
    assert play.book.begun == {}


def test_a_feed_is_not_mute_while_it_is_known_why_nothing_comes() -> None:
    play = Feeding()
    play.goes(30, pushes=True)
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=3))
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=1))
    play.goes(600, pushes=False)
    assert play.wrong() == [(Kind.RIGHT_LOST, "HK stocks", "")]
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=3))
    play.goes(30, pushes=True)
    play.quote = False
    play.goes(600, pushes=False)
    assert play.wrong() == [(Kind.LOGIN_LOST, "quote", "quote")]
    play.quote = True
    play.goes(30, pushes=True)
    assert play.wrong() == []
    play.goes(120, pushes=False)
    assert play.wrong() == [(Kind.MUTE, "HK", "")]


def test_k_lines_alone_need_not_move() -> None:
    play = Feeding(sub_type=6)
    play.goes(1000, pushes=False)
    assert play.book.begun == {}


def test_nobody_listens_any_more() -> None:
    play = Feeding()
    play.goes(30, pushes=True)
    play.goes(70, pushes=False)
    assert play.wrong() == [(Kind.MUTE, "HK", "")]
    play.rules = WatchRules(mute_s=0)
    play.goes(1, pushes=False)
    assert play.wrong() == []
