"""The snapshot that `/v1/status` sends, put together of `status_parts`; finds the client that somebody wants to end.

One text is made for all who look and kept until the next sample or the next change of what is wrong, at most
`FRESH_S`: with a thousand clients it costs some milliseconds of the thread that serves them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec
import trio

from opendmux.core import snapshot
from opendmux.core.audit import NO_KEY, timestamp_of
from opendmux.core.conditions import Change, Condition, together
from opendmux.core.keys import Key

from .house import House
from .metrics import AuditState, KeyRoom
from .notary import Notary
from .ports import Client
from .readiness import Readiness, shown
from .sampler import Sampler
from .station import Station
from .status_parts import CLIENTS_MAX, clients_of, name_of, opend_of, sessions_of, subscription_of

__all__ = ["FRESH_S", "SUBSCRIPTIONS_MAX", "Status"]

FRESH_S: Final = 1.0
SUBSCRIPTIONS_MAX: Final = 2000
"""Of longer lists, this one and that of clients, the rest is only counted: the text of both is then some 900 kB, once a
second for each that looks."""

_CLIENT_ID = re.compile(r"(?:([1-9][0-9]{0,3})\.)?([1-9][0-9]{0,17})")
_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Status:
    """One per process."""

    stations: Callable[[], Sequence[Station]]
    house: House
    version: str
    readiness: Callable[[], Readiness]
    rooms: Callable[[], Iterable[KeyRoom]] = tuple
    audit: Callable[[], AuditState] | None = None
    wall: Callable[[], float] = time.time
    sampler: Sampler = field(init=False)
    _started: float = field(default_factory=trio.current_time)
    _text: bytes = b""
    _until: float = 0.0
    _at_sample: int = -1

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.stations)
        self.house.conditions.on_change.append(self._changed)

    def _changed(self, _change: Change, _condition: Condition, _now: float) -> None:
        """What begins to be wrong or is over is news at once."""
        self._text = b""

    def text(self, now: float) -> bytes:
        """The snapshot as JSON, at most `FRESH_S` old."""
        if not self._text or now >= self._until or self._at_sample != self.sampler.count:
            self._text = _encoder.encode(self.snapshot(now))
            self._until, self._at_sample = now + FRESH_S, self.sampler.count
        return self._text

    def status(self) -> bytes:
        """See `StatusFace`."""
        return self.text(trio.current_time())

    async def sampled(self) -> None:
        """See `StatusFace`."""
        await self.sampler.taken()

    def end_client(self, client_id: str, *, peer: str, key: Key | None) -> bool:
        """See `ClientsFace`. What waits for the client is dropped, but for the frame that is half sent."""
        client = self._find(client_id)
        if client is None:
            return False
        Notary(self.house).ended("http", peer, NO_KEY if key is None else key.id, str(client.session))
        client.end("closed by an administrator", flush_all=False)
        self._text = b""
        return True

    def _find(self, client_id: str) -> Client | None:
        match = _CLIENT_ID.fullmatch(client_id)
        stations = self.stations()
        if match is None or int(match[1] or 1) > len(stations):
            return None
        hub = stations[int(match[1] or 1) - 1].hub
        session = hub.router.sessions.get(int(match[2]))
        client = None if session is None else hub.clients.get(session.slot)
        return client if client is not None and client.session is session else None

    def snapshot(self, now: float) -> snapshot.Snapshot:
        """Look at everything. ``now``: Trio seconds."""
        wall = self.wall()
        readiness = self.readiness()
        stations = list(enumerate(self.stations(), 1))
        clients: list[snapshot.Client] = []
        for number, station in stations:
            samples = self.sampler.of(number - 1)
            clients += clients_of(number, station, samples, wall - now, CLIENTS_MAX - len(clients))
        streams = [
            (number, lane, view)
            for number, station in stations
            for lane in station.hub.router.lanes.wanted()
            for view in lane.ledger.overview()
        ]
        audit = None if self.audit is None else self.audit()
        return snapshot.Snapshot(
            opendmux=self.version,
            pid=os.getpid(),
            time=timestamp_of(wall),
            up_s=round(now - self._started, 1),
            ready=readiness.ready,
            reasons=readiness.reasons,
            conditions=[
                shown(one, wall - now)
                for one in (*together(self.house.conditions.active()), *self.house.conditions.recent(now))
            ],
            simulated=readiness.simulated,
            keys=self.house.access.keyring is not None,
            opends=[
                opend_of(number, station, self.sampler.of(number - 1), readiness, now, wall)
                for number, station in stations
            ],
            clients=clients,
            clients_left_out=sum(len(sessions_of(station)) for _, station in stations) - len(clients),
            subscriptions=[
                subscription_of(number, lane, view, now, stations[number - 1][1].watch.feed)
                for number, lane, view in islice(streams, SUBSCRIPTIONS_MAX)
            ],
            subscriptions_left_out=max(0, len(streams) - SUBSCRIPTIONS_MAX),
            rejects=[
                snapshot.Refusal(
                    time=timestamp_of(reject.wall),
                    count=reject.times,
                    name=name_of(reject.cause.proto_id) if reject.cause.proto_id else "",
                    text=reject.text,
                    **reject.cause._asdict(),
                )
                for reject in self.house.rejects.newest_first()
            ],
            limits=[snapshot.Limit(key_id=room.key_id, limit=room.limit, left=room.left) for room in self.rooms()],
            freezes=[
                snapshot.Freeze(
                    key_id=freeze.key,
                    mode=freeze.mode.value,
                    since=timestamp_of(freeze.since),
                    by=freeze.by,
                    dead_man=freeze.silent,
                    stray=freeze.stray,
                    text=freeze.text(),
                )
                for freeze in self.house.access.told_freezes()
            ],
            audit=None if audit is None else snapshot.Audit(**audit._asdict()),
        )
