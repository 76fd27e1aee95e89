"""A play whose OpenD is watched, and what OpenD answers to the questions of the watch."""

from __future__ import annotations

from opendmux.core.commands import Failure
from opendmux.core.conditions import Conditions, Kind
from opendmux.core.feed import Stale
from opendmux.core.streams import Space, StreamKey
from opendmux.core.watch import Watch, WatchRules
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import ADDRESS, Line, Play

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
        return self.watch.feed.stale(self.main, TENCENT, self.now)
