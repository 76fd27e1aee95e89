"""The life of a router at random: its moves, and what holds after each of them. Holds no tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.core import streams
from opendmux.core.commands import Failure
from opendmux.core.gate import action_of
from opendmux.native import BAD_MAGIC, BAD_SHA1, FRAME, TOO_LARGE
from opendmux.wire.handshake import State
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ReplyAction, RequestAction
from tests.core.playbook import OK, PARK_S, Play, hello
from tests.core.push_kit import JSON_BODIES, ROUTES
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_push, response, sub, sub_info, trade_write, unsub_all

if TYPE_CHECKING:
    from opendmux.core.identity import Session

__all__ = ["ANSWERS", "DAMAGES", "EVENTS", "PASSED", "REQUESTS", "Life"]

TENCENT, AAPL = (1, "00700"), (11, "AAPL")
KL = streams.KL_DAY


def _register(market: int, code: str, sub_type: int, *, on: bool, rehab: int = 1) -> bytes:
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=market, code=code)],
        subTypeList=[sub_type],
        rehabTypeList=[rehab],
        isRegOrUnReg=on,
    )
    return encode(opend.RegQotPushRequest(c2s=c2s))


REQUESTS: list[tuple[int, bytes]] = [
    (1001, hello()),
    (1002, b""),
    (1004, field(1, scalar(1, 5))),
    (2001, b""),
    (2005, field(1, scalar(1, 1))),
    (2005, field(1, scalar(1, 0))),
    (2008, acc_push(10)),
    (2008, acc_push(10, 20)),
    (2008, acc_push()),
    (2202, trade_write(1, 2)),
    (3001, sub([TENCENT], [1, KL])),
    (3001, sub([TENCENT, AAPL], [KL])),
    (3001, sub([AAPL], [KL], extendedTime=True)),
    (3001, sub([AAPL, TENCENT], [KL], session=3)),
    (3001, sub([TENCENT], [1], subscribe=False)),
    (3001, unsub_all()),
    (3002, _register(*TENCENT, KL, on=True, rehab=2)),
    (3002, _register(*TENCENT, 1, on=False)),
    (3003, sub_info(all_conn=True)),
    (3004, b""),
    (3005, b""),
    (3006, field(1, scalar(1, 1) + scalar(2, 2) + field(3, scalar(1, 11) + field(2, b"AAPL")))),
    (3203, field(1, field(1, scalar(1, 1) + field(2, b"00700")))),
    (3260, b""),
    (3455, field(1, field(1, scalar(1, 101) + field(2, b"ELECTION")) + scalar(2, 4) + scalar(3, 1) + scalar(4, 1))),
    (9999, b""),
]
PASSED = sorted(each.proto_id for each in PROTOCOLS.values() if each.request is RequestAction.PASS)
EVENTS = [proto_id for proto_id in PASSED if PROTOCOLS[proto_id].reply is ReplyAction.EVENT]
DAMAGES = range(6)
"""What may be wrong with a frame; 0: nothing."""

ANSWERS: list[tuple[bytes, Failure | None]] = [
    (OK, None),
    (OK, None),
    (OK, None),
    (ret_body(0, -1, "no"), None),
    (ret_body(0, -1, "please unlock"), None),
    (ret_body(0, -400), None),
    (response(field(1, b"calc")), None),
    (response(scalar(2, 5) + scalar(16, 77)), None),
    (scalar(1, 0) + field(4, b"\x08"), None),
    (scalar(1, 0) + field(2, b"\xff"), None),
    (b"\xff", None),
    (b"", None),
    *((b"", failure) for failure in Failure),
]


class Life:
    """``pick`` chooses among what there is; a move that is not possible now does nothing."""

    def __init__(self, *, metered: bool) -> None:
        self.play = Play(metered=metered, unlock="own", extra_lanes=2)
        self.owners = 0

    def at(self, pick: int) -> Session | None:
        sessions = list(self.play.router.sessions.values())
        return sessions[pick % len(sessions)] if sessions else None

    # -- clients

    def open(self, *, arrive: bool, recv_notify: bool, json: bool, on_outage: str) -> None:
        if len(self.play.router.sessions) >= 4:
            return
        self.owners += 1
        session = self.play.session(self.owners, on_outage=on_outage)
        if arrive:
            self.play.send(session, 1001, hello(recv_notify=recv_notify, push_proto_fmt=int(json)))

    def send(self, pick: int, request: tuple[int, bytes], damage: int) -> None:
        session = self.at(pick)
        if session is None:
            return
        proto_id, body = request
        kind, proto_fmt = FRAME, 0
        if damage == 1:
            body += b"\xff"
        elif damage == 2:
            proto_fmt = 7
        elif damage == 3:
            proto_fmt, body = 1, b'{"c2s":{}}'
        elif damage == 4:
            kind = BAD_SHA1
        elif damage == 5:
            kind = TOO_LARGE if pick % 2 else BAD_MAGIC
        was_closed = session.owner in self.play.closed
        lines = self.play.send(session, proto_id, body, proto_fmt=proto_fmt, kind=kind)
        assert not was_closed or lines == [], "a session that is being closed is deaf"

    def passes(self, pick: int, proto_id: int) -> None:
        session = self.at(pick)
        if session is None or not session.ready or action_of(session.row, proto_id) is not RequestAction.PASS:
            return
        if self.play.router.lanes[session.lane].upstream.ready:
            self.play.passes(session, proto_id)

    def close(self, pick: int) -> None:
        session = self.at(pick)
        if session is not None:
            self.play.close(session)

    def reap(self) -> None:
        """What is to be closed has been closed."""
        for session in list(self.play.router.sessions.values()):
            if session.owner in self.play.closed:
                self.play.close(session)

    # -- upstream

    def answer(self, pick: int, answer: tuple[bytes, Failure | None]) -> None:
        waiting = self.play.waiting
        if waiting:
            body, failure = answer
            self.play.answer(waiting[pick % len(waiting)], body, failure=failure)

    def push(self, proto_id: int, pick: int, *, damage: bytes) -> None:
        lanes = sorted(self.play.linked)
        if not lanes:
            return
        lane = lanes[pick % len(lanes)]
        body = JSON_BODIES[proto_id] if lane == 1 else ROUTES[proto_id].body
        slots = {session.slot for session in self.play.router.sessions.values()}
        for _, to, *_ in self.play.push(proto_id, body + damage, proto_fmt=int(lane == 1), lane=lane):
            assert isinstance(to, tuple)
            assert set(to) <= slots

    def lose(self, pick: int) -> None:
        lanes = sorted(self.play.linked)
        if lanes:
            self.play.lose(lanes[pick % len(lanes)])

    def connect(self, pick: int) -> None:
        lanes = sorted(self.play.opened - self.play.linked)
        if lanes:
            self.play.connect(lanes[pick % len(lanes)])

    def ready(self) -> None:
        router = self.play.router
        for lane in sorted(self.play.linked):
            if not router.lanes[lane].upstream.ready and not router.links.replaying(lane):
                self.play.ready(lane)

    # -- time

    def later(self, seconds: float) -> None:
        self.play.later(seconds)
        for lane in sorted(self.play.linked - self.play.opened):
            self.play.lose(lane)

    # -- what always holds

    def check(self) -> None:
        router = self.play.router
        known = set(router.sessions)
        for lane in router.lanes.all:
            lane.ledger.check()
            assert set(lane.pushes._held) <= known
            assert set(lane.pushes._calculations.values()) <= known
            for acc_id in lane.accounts.union():
                assert set(lane.accounts.audience(acc_id)) <= known
            assert set(lane.ledger.owners_with_subscriptions()) <= known
            assert {item.session.owner for item in lane.waiting} <= known
        assert router.unlock._owners <= known
        for session in router.sessions.values():
            assert (session.state is State.CLOSED) == (session.owner in self.play.closed)

    def end(self) -> None:
        """All answers come, all clients leave: nothing is left of them."""
        play = self.play
        for _ in range(6):
            play.answer_all()
            self.later(PARK_S + 1.0)
        play.answer_all()
        for owner, serial_no in play.asked:
            assert play.answered[owner, serial_no] == 1 or owner in play.closed, (owner, serial_no)
        for session in list(play.router.sessions.values()):
            play.close(session)
        for _ in range(6):
            play.answer_all()
            self.later(100.0)
        play.answer_all()
        router = play.router
        assert not router.sessions
        assert not router.unlock._owners
        assert not router.metering._groups
        assert len(router.metering.in_flight) == 0
        assert not router.metering.budgets._queued
        assert play.opened == {0}, "lanes made on demand are given up"
        for lane in router.lanes.all:
            assert not lane.waiting
            assert not lane.accounts.union()
            assert not lane.pushes._held
            assert not lane.pushes._calculations
            if lane.upstream.ready:
                assert not lane.ledger.upstream_streams(), "nothing is left upstream"
                assert not lane.pushes._latest
