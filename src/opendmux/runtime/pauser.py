"""Letting go of OpenD on order, and taking it up again.

A pause begins at once for what comes: it is told so. What OpenD has been sent is waited for, `DRAIN_S` at most, and
only then are the connections closed; what has no answer by then ends as in any outage, a trade write with "outcome
unknown".
Until the end of the pause no connection is tried. Then everything happens that happens after an outage.

A pause is in memory alone: a restart of opendmux connects again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import trio

from opendmux.core.audit import NO_KEY, AuditEvent
from opendmux.core.conditions import Kind
from opendmux.core.pauses import Pause

from .house import House
from .operator import opends_called, several_called
from .station import Station

__all__ = ["DRAIN_S", "Paused", "Pauser"]

log = logging.getLogger("opendmux.pause")

DRAIN_S: Final = 8.0
"""For answers to what was sent before: whoever asks for the pause waits no longer than 10 s for the answer to that."""

LOOK_S: Final = 0.02
"""How often it is looked whether all have come: replies that the native code passes on wake nobody."""


@dataclass(frozen=True, slots=True)
class Paused:
    """One OpenD that is paused."""

    number: int
    name: str
    pause: Pause
    unanswered: int
    """Requests that had no answer when the connections were closed."""


@dataclass(slots=True)
class Pauser:
    """One per process. ``wall``: UTC seconds."""

    house: House
    stations: Callable[[], Sequence[Station]]
    wall: Callable[[], float] = time.time
    _changing: trio.Lock = field(default_factory=trio.Lock)
    _unanswered: dict[int, int] = field(default_factory=dict)
    """By the number of an OpenD."""

    def show(self) -> list[Paused]:
        """Those that are paused."""
        found = []
        for number, station in enumerate(self.stations(), 1):
            pause = station.hub.router.lanes.main.upstream.pause
            if pause is not None:
                found.append(Paused(number, station.reach.name, pause, self._unanswered.get(number, 0)))
        return found

    async def pause(
        self, which: int | str | None, for_s: float | None, *, by: str, peer: str, asker: str
    ) -> list[Paused]:
        """Pause an OpenD, with every group that it belongs to; for one that is paused, set its end anew. ``which``: as
        `opends_called` takes it, None: all of them. Returns when the connections are closed. Raises NoOpendError.
        Cancellation: the pause holds, the connections are closed by whoever asks next."""
        chosen = self._chosen(which)
        wall = self.wall()
        pause = Pause(wall, by, None if for_s is None else wall + for_s)
        for _number, station in chosen:
            self._begin(station, pause)
        self._note(peer, asker, "pause", which)
        async with self._changing, trio.open_nursery() as nursery:
            for one in chosen:
                nursery.start_soon(self._let_go, *one)
        return self.show()

    async def resume(self, which: int | str | None, *, by: str, peer: str, asker: str) -> list[Paused]:
        """End the pause of an OpenD, or of all; returns those that are paused still. Raises NoOpendError."""
        chosen = self._chosen(which)
        async with self._changing:  # not while answers are waited for: the connections would be cut off under them
            for _number, station in chosen:
                self._end(station, by)
        self._note(peer, asker, "resume", which)
        return self.show()

    async def run(self) -> None:
        """End pauses whose time is up, until cancelled."""
        while True:
            await trio.sleep(0.25)
            for station in self.stations():
                pause = station.hub.router.lanes.main.upstream.pause
                if pause is None or pause.until is None or self.wall() < pause.until or self._changing.locked():
                    continue
                self._end(station, "its time being up")
                self._note("", "", "resume", None)

    def _chosen(self, which: int | str | None) -> list[tuple[int, Station]]:
        found = opends_called(self.stations(), which)
        chosen = {number: station for number, station, _member in found}
        # One OpenD may be a part of several; two OpenDs that answer to the same are not meant both.
        if which is not None and len(chosen) > 1 and len({id(member) for _number, _station, member in found}) > 1:
            raise several_called(found)
        return list(chosen.items())

    def _begin(self, station: Station, pause: Pause) -> None:
        hub, name = station.hub, station.reach.name
        before = hub.router.lanes.main.upstream.pause
        if before is not None:
            pause = replace(pause, since=before.since, by=before.by)
        if hub.resumed.is_set():
            hub.resumed = trio.Event()
        for number, link in list(hub.links.items()):
            if hub.router.lanes[number].upstream.ready:
                hub.switch.set_link_ready(number, False)
            else:
                link.let_go()
        hub.run(hub.router.links.pause(pause, trio.current_time()))
        self.house.conditions.begin(Kind.PAUSED, name, trio.current_time(), f"By {pause.by}.", opend=name)
        log.warning("OpenD at %s is %s", name, pause.text())

    async def _let_go(self, number: int, station: Station) -> None:
        hub = station.hub
        with trio.move_on_after(DRAIN_S):
            while hub.switch.counters().pending:  # noqa: ASYNC110  see LOOK_S
                await trio.sleep(LOOK_S)
        self._unanswered[number] = hub.switch.counters().pending
        for link in list(hub.links.values()):
            link.let_go()
        log.info("OpenD at %s: let go, %d requests without an answer", station.reach.name, self._unanswered[number])

    def _end(self, station: Station, by: str) -> None:
        hub, name = station.hub, station.reach.name
        if hub.resumed.is_set():
            return
        hub.router.links.resume()
        hub.resumed.set()
        self.house.conditions.over(Kind.PAUSED, name, trio.current_time(), opend=name)
        log.warning("OpenD at %s: the pause is over, %s", name, by)

    def _note(self, peer: str, asker: str, what: str, opend: int | str | None) -> None:
        if self.house.audit is not None:
            which = "every OpenD" if opend is None else f"OpenD {opend}"
            iface = "http" if peer else "proxy"
            self.house.audit.write(AuditEvent(iface, peer, asker or NO_KEY, what, "success", which))
