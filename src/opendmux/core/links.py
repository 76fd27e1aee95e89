"""A lane's connection comes, goes, and is closed on purpose: what that means to all who use it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from opendmux.wire.frame import ProtoFmt
from opendmux.wire.handshake import Identity

from .commands import Command, Failure, Outcome, Request, Then
from .lanes import Lanes
from .metering import Metering
from .outages import Outages
from .parking import Parking
from .pauses import Pause
from .tenancy import Tenancy

__all__ = ["Links"]

log = logging.getLogger("opendmux.router")


class Links:
    """Of one router. ``cut_off``: answers a request that the switch had passed on by itself."""

    def __init__(
        self,
        lanes: Lanes,
        outages: Outages,
        tenancy: Tenancy,
        parking: Parking,
        metering: Metering,
        *,
        cut_off: Callable[[int, Request, Outcome, float], list[Command]],
    ) -> None:
        self._lanes = lanes
        self._outages = outages
        self._tenancy = tenancy
        self._parking = parking
        self._metering = metering
        self._cut_off = cut_off

    def connected(self, index: int, identity: Identity, now: float) -> list[Command]:
        """Upstream has answered InitConnect: what it must know of us, before anybody may use the lane."""
        lane = self._lanes[index]
        lane.upstream.identity = identity
        missed = self._outages.missed(lane) if lane.ever_ready else []
        return missed + lane.quotes.replay(now) + lane.trading.replay()

    def replaying(self, index: int) -> bool:
        """Some of `connected`'s requests are still open."""
        lane = self._lanes[index]
        return lane.quotes.replaying or lane.trading.replaying

    def up(self, index: int, now: float) -> list[Command]:
        """The lane is ready: what waited for it goes on, in order."""
        lane = self._lanes[index]
        first = not lane.ever_ready
        lane.upstream.ready, lane.opening, lane.ever_ready = True, False, True
        lane.upstream.ready_since = now
        commands = self._tenancy.introduce(lane, now) + ([] if first else self._outages.over(lane))
        if lane is self._lanes.trade:
            commands += self._tenancy.watch_all(now)
        return commands + self._parking.back(lane, now)

    def lost(self, index: int, pending: Iterable[tuple[Then | None, Request | None]], now: float) -> list[Command]:
        """The lane's connection ended. ``pending``: what waited for a reply, by its continuation or as passed on."""
        lane = self._lanes[index]
        was_ready = lane.upstream.ready
        if was_ready:
            lane.upstream.ready = False
            lane.upstream.down_since = now
        lane.upstream.logins = lane.upstream.program = lane.upstream.state = None
        lane.trading.link_lost()
        lane.roster.link_lost()
        commands = self._metering.link_lost(index, now)
        commands += lane.quotes.link_lost(lane.upstream.absence(now), now)
        outcome = Outcome(b"", ProtoFmt.PROTOBUF, Failure.LOST)
        for then, request in pending:
            try:
                if then is not None:
                    commands += then(outcome, now)
                elif request is not None:
                    commands += self._cut_off(index, request, outcome, now)
            except Exception:
                log.exception("a crash over a request that was cut off; the others get their answers")
        if was_ready:
            commands += self._outages.begun(lane, now)
        return commands

    def pause(self, pause: Pause, now: float) -> list[Command]:
        """Nothing is sent any more until `resume`; answers to what was sent still count. For a pause that lasts
        already: only its end is set anew."""
        ready = [lane for lane in self._lanes.all if lane.upstream.ready]
        for lane in self._lanes.all:
            lane.upstream.pause = pause
        for lane in ready:
            lane.upstream.ready = False
            lane.upstream.down_since = now
        commands = self._metering.pause(now) if ready else []
        return commands + [command for lane in ready for command in self._outages.begun(lane, now)]

    def resume(self) -> None:
        """Links may be made again."""
        for lane in self._lanes.all:
            lane.upstream.pause = None
