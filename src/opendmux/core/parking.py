"""Requests while a lane is down.

They are refused at once with the reason, with three exceptions. The Python SDK restores its subscriptions exactly once
after a reconnect, so the restore calls of a session that came during the lane's outage are parked until the lane is
back or their time is up, when the session is closed and the SDK will try again; in a pause they are refused then, for
nobody knows how long it takes. A lane that is just being made for its
first client lets all requests wait. And a read that was cut off waits to be sent once more, where the policy says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from opendmux.wire.protocols import ProtoId

from .answers import failed, unavailable
from .budgets import Waits, is_trade_write
from .commands import Command, Failure, Request
from .entry import SETTLE_S, end
from .identity import Session
from .lanes import Lane, Lanes, Waiting

__all__ = ["PARKED_IDS", "Parking"]

PARKED_IDS: Final = frozenset(
    {
        ProtoId.TRD_GET_ACC_LIST,
        ProtoId.TRD_UNLOCK_TRADE,
        ProtoId.TRD_SUB_ACC_PUSH,
        ProtoId.QOT_SUB,
        ProtoId.QOT_REG_QOT_PUSH,
    }
)
"""What the Python SDK sends by itself, once, after a reconnect."""

Handle = Callable[[Request, float, float], "list[Command]"]
"""(request, now, when its owner must have an answer)."""


class Parking:
    """Of one router. ``handle``: goes on with a request when its lane is back."""

    def __init__(self, lanes: Lanes, handle: Handle, *, park_s: float, reply_s: float, waits: Waits) -> None:
        self._lanes = lanes
        self._handle = handle
        self._park_s = park_s
        self._reply_s = reply_s
        self._waits = waits

    def arrive(self, lane: Lane, request: Request, now: float) -> list[Command]:
        """A request for a lane that is not ready."""
        session, answer_by = request.session, now + self._reply_s
        give_up_at = now + self._park_s
        if is_trade_write(request.proto_id):
            give_up_at = min(give_up_at, self._waits.give_up_at(request.proto_id, now))
        if request.until is not None:
            give_up_at, answer_by = min(give_up_at, request.until), min(answer_by, request.until)

        def go(later: float) -> list[Command]:
            return self._handle(request, later, answer_by)

        if lane.opening:
            self._park(
                lane, give_up_at, session, go, lambda later: [unavailable(request, lane.upstream.absence(later))]
            )
            return []
        came_during_it = session.settled_at - SETTLE_S >= lane.upstream.down_since
        if came_during_it and request.proto_id in PARKED_IDS:
            self._park(lane, give_up_at, session, go, lambda later: _give_up(request, lane, later))
            return []
        return [unavailable(request, lane.upstream.absence(now))]

    def again(self, request: Request, lane_index: int, until: float) -> list[Command]:
        """A read was cut off: it waits for the lane and is sent once more."""
        session, lane = request.session, self._lanes[lane_index]
        if not session.ready or session.on_outage == "close":
            return [failed(request, Failure.LOST)]
        second = replace(request, repeated=True)
        self._park(
            lane,
            until,
            session,
            lambda later: self._handle(second, later, until),
            lambda _later: [failed(request, Failure.LOST)],
        )
        return []

    @staticmethod
    def back(lane: Lane, now: float) -> list[Command]:
        """The lane is ready: what waited for it goes on, in order."""
        waiting = list(lane.waiting)
        lane.waiting.clear()
        return [
            command
            for item in waiting
            if item.session.ready
            for command in (item.go(now) if now < item.until else item.give_up(now))
        ]

    @staticmethod
    def due(lane: Lane, now: float) -> list[Command]:
        """What has waited in vain."""
        commands: list[Command] = []
        for item in [item for item in lane.waiting if item.until <= now]:
            lane.waiting.remove(item)
            commands += item.give_up(now)
        return commands

    @staticmethod
    def _park(
        lane: Lane,
        until: float,
        session: Session,
        go: Callable[[float], list[Command]],
        give_up: Callable[[float], list[Command]],
    ) -> None:
        lane.waiting.append(Waiting(until, session, go, give_up))


def _give_up(request: Request, lane: Lane, now: float) -> list[Command]:
    """Without an answer to its restore call the SDK must start afresh."""
    if not request.session.ready:
        return []
    absence = lane.upstream.absence(now)
    return [end(request.session, absence) if lane.upstream.pause is None else unavailable(request, absence)]
