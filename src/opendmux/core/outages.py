"""What clients see when OpenD goes away and comes back.

``hold`` (the default): connections stay, KeepAlive is answered, requests are refused with the reason, and clients
that take notifications get a Notify of type ConnStatus when it goes and when it is back. ``close``: clients are
closed at a frame boundary, so that an SDK with a recovery of its own runs it. Clients of OpenD's WebSocket get what its
service would say, cmd 2, in both cases.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Final

from opendmux.wire.frame import ProtoFmt, RetType, build_frame
from opendmux.wire.handshake import State
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wire.websocket import UPSTREAM_LOST

from .commands import Ask, Close, Command, Missed, Outcome, Push
from .identity import Session
from .lanes import Lane, LaneKind, Lanes
from .notices import NotifyType
from .opendstate import STATE_REQUEST, read_state_untrusted

__all__ = ["Outages"]

log = logging.getLogger("opendmux.outages")


AGAIN_S: Final = 0.25
"""After which it is looked again whether OpenD is back."""


class Outages:
    """Tells the sessions of a lane about its link."""

    def __init__(self, sessions: Mapping[int, Session], lanes: Lanes) -> None:
        self._sessions = sessions
        self._lanes = lanes
        self.ended: dict[str, float] = {}
        """By key: when connections of it were ended for an outage, the last time."""

    @property
    def back_since(self) -> float:
        """Since when both of its connections are there, as far as they are."""
        return max(lane.upstream.ready_since for lane in (self._lanes.main, self._lanes.trade))

    def kept_out_until(self, key_id: str, there: float, now: float) -> float:
        """When OpenD came back from the outage that a key is gone for, which was seen ``there`` last; ahead of ``now``
        while it is away, and minus infinity where the key left by itself: it was there after its connections here had
        been ended."""
        ended = self.ended.get(key_id)
        if ended is None or there > ended:
            return -math.inf
        away = not (self._lanes.main.upstream.ready and self._lanes.trade.upstream.ready)
        return now + AGAIN_S if away else self.back_since

    def begun(self, lane: Lane, now: float) -> list[Command]:
        """The lane's link, which was ready, is gone. Nobody is closed for a pause."""
        if lane.kind is LaneKind.EXTRA:
            return []
        reason = lane.upstream.absence(now)
        closing = [s for s in self._sessions.values() if s.on_outage == "close" and self._uses(s, lane)]
        closing = [] if lane.upstream.pause is not None else closing
        for session in closing:
            session.state = State.CLOSED
            if session.key is not None:
                self.ended[session.key.id] = now
        lost = [s.slot for s in self._sessions.values() if s.sdk_dialect and s.settled_at and self._uses(s, lane)]
        words: list[Command] = []
        if lost:
            body = ret_body(ProtoFmt.PROTOBUF, RetType.DISCONNECT, reason)
            words.append(Push(lost, build_frame(UPSTREAM_LOST, ProtoFmt.PROTOBUF, 0, body), None))
        told = self._status(lane, qot_logined=False, trd_logined=False, now=now)
        return [*words, *(Close(session, reason) for session in closing), *told]

    def missed(self, lane: Lane) -> list[Command]:
        """OpenD answers again, and has pushed nothing of the new connection yet: of what it pushed since the old one
        was lost nobody knows anything."""
        readers = [s for s in self._sessions.values() if s.streams]
        # Who is subscribed through a further lane is not looked up: a gap too many is no harm.
        return [Missed(s) for s in readers if lane.kind is LaneKind.EXTRA or self._uses(s, lane)]

    def over(self, lane: Lane) -> list[Command]:
        """It is back: OpenD is asked how its own logins are, and clients are told that."""
        if lane.kind is LaneKind.EXTRA or not self._listeners(lane):
            return []

        def then(outcome: Outcome, later: float) -> list[Command]:
            if outcome.failure is not None or not lane.upstream.ready:
                return []
            state = read_state_untrusted(outcome.body, outcome.proto_fmt)
            if state is None:
                log.warning("how OpenD's own logins are can't be read in its answer to GetGlobalState")
                return []
            lane.upstream.told(outcome.body, outcome.proto_fmt, outcome.asked_at)
            logins = lane.upstream.logins or state.logins  # a notice may have come since it was asked
            return self._status(lane, qot_logined=logins.quote, trd_logined=logins.trade, now=later)

        return [Ask(lane.index, ProtoId.GET_GLOBAL_STATE, STATE_REQUEST, then)]

    def _status(self, lane: Lane, *, qot_logined: bool, trd_logined: bool, now: float) -> list[Command]:
        status = opend.NotifyConnectStatus(qotLogined=qot_logined, trdLogined=trd_logined)
        s2c = opend.NotifyS2C(type=NotifyType.CONN_STATUS, connectStatus=status)
        return list(lane.pushes.notify(self._listeners(lane), s2c, now))

    def _listeners(self, lane: Lane) -> list[int]:
        return [s.owner for s in self._sessions.values() if s.recv_notify and self._uses(s, lane)]

    def _uses(self, session: Session, lane: Lane) -> bool:
        # Of a group, the TRADE lanes belong to the sessions of MAIN and of JSON.
        return lane.index in (session.lane, self._lanes.trade_of(session).index)
