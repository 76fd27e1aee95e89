"""One OpenD is watched: what is asked, what is learnt, and what is missed."""

from __future__ import annotations

from opendmux.core.commands import Failure
from opendmux.core.conditions import Conditions, Kind
from opendmux.core.pauses import Pause
from opendmux.core.streams import Space, StreamKey
from opendmux.core.watch import (
    RETURNS_MANY,
    RETURNS_WITHIN_S,
    USE_LEAST_S,
    USER_EVERY,
    USER_LEAST_S,
    Stale,
    Watch,
    WatchRules,
)
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import ADDRESS, Line, Play
from tests.runtime.bodies import sub

STATE, USER, SUBS = ProtoId.GET_GLOBAL_STATE, ProtoId.GET_USER_INFO, ProtoId.QOT_GET_SUB_INFO
HISTORY = ProtoId.QOT_REQUEST_HISTORY_KL_QUOTA
TENCENT = StreamKey(Space.QOT, 1, "00700", 1)


def state(*, quote: bool = True, trade: bool = True, program: int | None = 10, hk: int = 3) -> bytes:
    s2c = opend.GetGlobalStateS2C(qotLogined=quote, trdLogined=trade, marketHK=hk, marketUS=6)
    if program is not None:
        s2c.programStatus.type = program
    return encode(opend.GetGlobalStateResponse(retType=0, s2c=s2c))


def user(**fields: int) -> bytes:
    s2c = opend.GetUserInfoS2C(**fields)  # type: ignore[arg-type]
    return encode(opend.GetUserInfoResponse(retType=0, s2c=s2c))


def quota(used: int, left: int, **options: int) -> bytes:
    s2c = opend.GetSubInfoS2C(totalUsedQuota=used, remainQuota=left, **options)  # type: ignore[arg-type]
    return encode(opend.GetSubInfoResponse(retType=0, s2c=s2c))


def history(used: int, left: int) -> bytes:
    s2c = opend.HistoryQuotaS2C(usedQuota=used, remainQuota=left)
    return encode(opend.HistoryQuotaResponse(retType=0, s2c=s2c))


class Watched(Play):
    """A play whose OpenD is watched."""

    def __init__(self, rules: WatchRules | None = None, *, trade_address: str | None = None) -> None:
        super().__init__(trade_address=trade_address)
        self.rules = rules or WatchRules()
        self.book = Conditions()
        self.watch = Watch(self.router, self.book, lambda: self.rules, name=ADDRESS)

    def looks(self, seconds: float = 0.0) -> list[Line]:
        """So much later."""
        self.now += seconds
        return self.do(self.watch.due(self.now))

    def questions(self, seconds: float = 0.0) -> list[object]:
        return [line[1] for line in self.looks(seconds)]

    def told(self, proto_id: int, body: bytes, failure: Failure | None = None) -> None:
        """The answer to a question of the watch."""
        self.answer(
            next(sent for sent in self.waiting if getattr(sent, "proto_id", 0) == proto_id), body, failure=failure
        )
        self.looks()

    def notified(self, **fields: object) -> None:
        s2c = opend.NotifyS2C(**fields)  # type: ignore[arg-type]
        self.push(ProtoId.NOTIFY, encode(opend.NotifyResponse(retType=0, s2c=s2c)))

    def wrong(self) -> list[tuple[Kind, str, str]]:
        return [(one.kind, one.subject, one.cause) for one in self.book.active()]

    def stale(self) -> Stale | None:
        return self.watch.stale(self.main, TENCENT, self.now)


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
    assert play.wrong() == [(Kind.LOGIN_LOST, "quote", "quote"), (Kind.LOGIN_LOST, "trade", "trade")]
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


def test_the_login_for_trading_of_a_group_is_another_opends() -> None:
    play = Watched(trade_address="second:11111")
    play.up(play.router.lanes.trade.index)
    play.looks()
    for proto_id in (STATE, STATE):
        play.told(proto_id, state(quote=False, trade=False, program=4))
    assert play.wrong() == [(Kind.CODE_NEEDED, ADDRESS, "phone"), (Kind.LOGIN_LOST, "trade", "trade")]


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


def test_a_client_s_question_teaches_too() -> None:
    play = Watched(WatchRules(ask_s=0))
    client = play.client(1)
    play.send(client, STATE)
    play.answer(body=state(trade=False))
    play.looks()
    assert play.wrong() == [(Kind.LOGIN_LOST, "trade", "trade")]


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
    assert play.wrong() == [(Kind.LOGIN_LOST, "trade", "trade")], "of its quotes nothing is wanted"


def test_quotas() -> None:
    play = Watched()
    play.looks()
    play.told(SUBS, quota(91, 9))
    play.looks(1.0)
    play.told(USER, user(subQuota=100, historyKLQuota=100))
    play.notified(type=7, usedQuota=opend.NotifyUsedQuota(usedKLineQuota=90))
    play.looks(1.0)
    assert play.wrong() == [(Kind.QUOTA, "subscriptions", "subscriptions")]
    assert play.book.active()[0].figures == "91 of 100 are used."
    play.notified(type=7, usedQuota=opend.NotifyUsedQuota(usedSubQuota=89, usedKLineQuota=100))
    play.looks(1.0)
    assert [subject for _, subject, _ in play.wrong()] == ["subscriptions", "history"], "a little below is not over yet"
    play.notified(type=6, apiQuota=opend.NotifyAPIQuota(subQuota=1000, historyKLQuota=1000))
    play.looks(1.0)
    assert play.wrong() == []


def test_quotas_that_are_asked_for() -> None:
    """OpenD need not tell of them by itself."""
    play = Watched()
    play.looks()
    play.told(HISTORY, history(99, 1))
    play.told(SUBS, quota(1, 99, optionUsedQuota=19, optionRemainQuota=1))
    play.looks(1.0)
    assert [(subject, cause) for _kind, subject, cause in play.wrong()] == [
        ("history", "history"),
        ("options", "options"),
    ]
    assert [one.figures for one in play.book.active()] == ["99 of 100 are used.", "19 of 20 are used."]
    assert (play.watch.quotas["history"].used, play.watch.quotas["history"].total) == (99, 100)


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


def test_rights_and_what_is_stale_without_them() -> None:
    play = Watched()
    play.looks()
    play.told(USER, user(hkQotRight=3))
    assert play.stale() is None
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=1))
    assert play.wrong() == [(Kind.RIGHT_LOST, "HK stocks", "")]
    assert play.stale() == Stale("right", "OpenD has lost its quote right for HK stocks")
    assert play.watch.stale(play.main, StreamKey(Space.QOT, 11, "AAPL", 1), play.now) is None
    play.notified(type=4, qotRight=opend.NotifyQotRight(hkQotRight=3))
    assert play.stale() is None
    play.notified(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=False, trdLogined=True))
    assert play.stale() == Stale("login", "OpenD has lost its login for quotes")


def _quote() -> bytes:
    item = opend.BasicPrice(security=opend.Security(market=1, code="00700"), curPrice=1.0)
    return encode(opend.BasicPriceResponse(retType=0, s2c=opend.BasicPriceS2C(basicQotList=[item])))


class Feed(Watched):
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
    play = Feed()
    play.goes(30, pushes=True)
    play.goes(58, pushes=False)
    assert play.wrong() == []
    play.goes(3, pushes=False)
    assert play.wrong() == [(Kind.MUTE, "HK", "")]
    assert play.book.active()[0].figures.endswith("of 1 subscriptions.")
    stale = play.stale()
    assert stale is not None
    assert stale.reason == "mute"
    assert play.watch.count_stale(play.now) == {"mute": 1}
    assert stale.text.startswith("OpenD has sent nothing of HK for 6")
    play.goes(1, pushes=True)
    assert play.wrong() == []
    assert play.stale() is None
    assert not play.watch.count_stale(play.now)
    play.main.upstream.reason = "gone"
    play.lose()
    assert play.watch.count_stale(play.now) == {"link": 1}


def test_the_lunch_break_is_no_silence() -> None:
    play = Feed()
    play.goes(29, pushes=True)
    play.hk = 4
    play.goes(600, pushes=False)
    assert play.wrong() == []
    assert play.book.begun == {}


def test_a_feed_is_not_mute_while_it_is_known_why_nothing_comes() -> None:
    play = Feed()
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
    play = Feed(sub_type=6)
    play.goes(1000, pushes=False)
    assert play.book.begun == {}


def test_nobody_listens_any_more() -> None:
    play = Feed()
    play.goes(30, pushes=True)
    play.goes(70, pushes=False)
    assert play.wrong() == [(Kind.MUTE, "HK", "")]
    play.rules = WatchRules(mute_s=0)
    play.goes(1, pushes=False)
    assert play.wrong() == []
