"""The supervision tree. Nesting is the shutdown order: services outlive sessions, sessions outlive listeners.

Start: bind (a port in use is known at once), run the stations, and listen for each of them when its link has been
ready once: until then a connection is refused, which is the one failure that every SDK recovers from. Stop: close the
listeners, let sessions finish what is in flight until the drain deadline, then stop the services, the upstream links
last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from opendmux._version import __version__
from opendmux.config import Address, Config
from opendmux.errors import ConfigError

from .admin import serve_admin
from .alerts import Alerts
from .binding import address_of, listen
from .callers import Callers
from .door import Door
from .freezer import Freezer
from .house import House
from .hub import Hub
from .metrics import AuditState, KeyRoom, Metrics, Sources, rooms_of
from .notary import Notary
from .operator import Operator
from .pauser import Pauser
from .pump import AVAILABLE, Pump
from .quote_rights import RightWatcher
from .readiness import Readiness, readiness_of
from .rooms import Clients, Face, Wing, face_rooms, face_rules
from .site import ProxySite
from .station import Station
from .status import Status
from .steward import Steward
from .transports.alerts import alert_routes
from .transports.control import client_routes
from .transports.http import ROUTES as PROBES
from .transports.http import Route
from .transports.operations import operation_routes
from .transports.safety import freeze_routes, pause_routes
from .transports.status import status_routes
from .upstream import UpstreamLink
from .vigil import Notes, vigil

__all__ = ["Face", "Proxy", "open_proxy", "run_proxy"]

log = logging.getLogger("opendmux.server")

STATE_S: Final = 1.0
"""An OpenD that was reached and does not say how it is holds up the start for so long."""
LAST_WORDS_S: Final = 0.25
"""Of a drain, to tell callers that nobody knows how their requests ended."""


class Proxy:
    """A running proxy, as its user sees it."""

    def __init__(self, stations: list[Station], faces: Sequence[Face], house: House) -> None:
        self.stations = stations
        self.addresses: list[Address] = [address_of(sock) for face in faces for sock in face.bound]
        """Where it listens; known before anybody can connect."""
        self.listening = trio.Event()
        """Set once every upstream was ready and every port accepts clients."""
        self.house = house
        self.alerts = Alerts(faces[0].config.alerts if faces else (), house.conditions)
        """Tells others what is wrong."""
        self.freezer = Freezer(house, lambda: self.stations)
        self.pauser = Pauser(house, lambda: self.stations)
        self.draining = trio.Event()
        """Set when nobody is accepted any more and what is open comes to its end."""
        self.steward = Steward(house, self.freezer, lambda: self.stations, self.draining.is_set)
        self._stop = trio.Event()

    @property
    def hub(self) -> Hub:
        """Of the first station."""
        return self.stations[0].hub

    @property
    def link(self) -> UpstreamLink:
        """The main link of the first station."""
        return self.stations[0].link

    async def reload(self) -> None:
        """Read the keys again and hold every session against them; read the TLS files again, for connections to come;
        open the audit log's file again. What can't be read stays as it was: raises ConfigError when the rest is done.
        Cancellation: what was not read yet is not changed."""
        house = self.house
        if house.audit is not None:
            house.audit.reopen()
        problems = []
        for read in (self._reload_keys, self._reload_tls):
            try:
                await read()
            except ConfigError as error:
                problems.append(str(error))
        if problems:
            raise ConfigError("; ".join(problems))

    async def _reload_keys(self) -> None:
        if self.house.read_keys is not None:
            self.house.access.keyring = await trio.to_thread.run_sync(self.house.read_keys)
            for station in self.stations:
                hub = station.hub
                hub.run(hub.router.tenancy.review(trio.current_time(), hub.wall()))
            self.freezer.apply()

    async def _reload_tls(self) -> None:
        if self.house.tls is not None:
            await self.house.tls.reload()

    def apply(self, config: Config) -> None:
        """Take over what can change while it runs (``opendmux.config.schema.LIVE``); the rest must be as it was."""
        self.house.audit_reads = config.audit_reads
        for station in self.stations:
            station.hub.config = config

    def stop(self) -> None:
        """Begin to drain; the proxy ends within its drain deadline. Harmless when called again."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until `stop` is called."""
        await self._stop.wait()

    def trouble(self) -> list[str]:
        """Reasons not to be ready that stations do not know of."""
        return [*self.house.trouble(), *(["opendmux is stopping"] if self.draining.is_set() else [])]

    def readiness(self) -> Readiness:
        """Can it serve now, and if not, why."""
        return readiness_of(
            self.stations,
            now=trio.current_time(),
            wall=time.time(),
            further=self.trouble(),
            conditions=self.house.conditions.active(),
        )


async def run_proxy(
    faces: Sequence[Face],
    *,
    drain_s: float,
    house: House | None = None,
    admin: Sequence[trio.abc.Listener[trio.abc.Stream]] = (),
    task_status: trio.TaskStatus[Proxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `Proxy.stop` is called; ``task_status.started`` gives the `Proxy` before any link is up.

    ``admin``: where its administrator comes in, see `admin`. Faces with the same `Reach` object share its station.
    Raises ConfigError when a bound address can't be listened on. Cancellation stops at once, without a drain.
    """
    house = house or House()
    notes = Notes()
    house.conditions.on_change.append(notes.heard)
    wings: dict[int, Wing] = {}
    for face in faces:
        if id(face.reach) not in wings:
            station = Station(face.config, face.reach, house, face.rsa_key)
            station.hub.pump = Pump(station.hub) if AVAILABLE else None
            callers = Callers(station.hub, house.access)
            station.hub.on_tick.append(callers.tidy)
            wings[id(face.reach)] = Wing(station, station.hub.pump, callers)
    house.conditions.several = len(wings) > 1
    proxy = Proxy([wing.station for wing in wings.values()], faces, house)
    proxy.freezer.apply()
    site, status = _site(proxy)
    operator = Operator(lambda: proxy.stations, house)
    watchers = [RightWatcher(station, operator) for station in proxy.stations]
    routes = {**status_routes(status), **_control_routes(proxy, status, operator)}
    try:
        async with house.records(), trio.open_nursery() as services:
            services.start_soon(status.sampler.run)
            services.start_soon(proxy.alerts.run)
            services.start_soon(vigil, house, lambda: proxy.hub.config.watch, notes)
            services.start_soon(proxy.pauser.run)
            services.start_soon(proxy.steward.run)
            for watcher in watchers:
                services.start_soon(watcher.run)
            if admin:
                services.start_soon(serve_admin, admin, site, {**PROBES, **routes})
            for wing in wings.values():
                services.start_soon(wing.station.run)
                if wing.pump is not None:
                    services.start_soon(wing.pump.run)
            task_status.started(proxy)
            async with trio.open_nursery() as sessions:
                clients = Clients(sessions, site, routes, proxy.draining, house.origins)
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(_accept_all, proxy, faces, wings, clients)
                    await proxy.stopped()
                    accepting.cancel_scope.cancel(reason="drain")
                # Whoever was accepted is in `everybody` by now, or still at the door: a session enters itself before it
                # waits for anything, and the listeners' nursery takes longer than that to end.
                log.info("draining %d clients, at most %g s", len(clients.everybody), drain_s)
                proxy.draining.set()
                for door in clients.doors:
                    door.close()
                for wing in wings.values():
                    wing.callers.drain()
                for client in list(clients.everybody):
                    client.drain()
                for browser in list(clients.browsers):
                    browser.drain()
                for websocket in list(clients.websockets):
                    websocket.drain()
                services.start_soon(_last_words, [wing.callers for wing in wings.values()], drain_s)
                sessions.cancel_scope.deadline = trio.current_time() + drain_s
            services.cancel_scope.cancel(reason="drained")
    finally:
        notes.flush(trio.current_time())
        for face in faces:
            for sock in face.bound:
                sock.close()


async def _last_words(callers: Sequence[Callers], drain_s: float) -> None:
    """Answer what OpenD has not answered in time, before the connections are cut: a gRPC client that lost its
    connection over an order would be free to send it again elsewhere."""
    await trio.sleep(drain_s - min(LAST_WORDS_S, drain_s / 2))
    for each in callers:
        each.close()


async def _accept_all(proxy: Proxy, faces: Sequence[Face], wings: Mapping[int, Wing], clients: Clients) -> None:
    """Listen on every face as soon as its upstream has been reached and has said how it is."""
    async with trio.open_nursery() as nursery:

        async def one(face: Face, task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]]) -> None:
            wing = wings[id(face.reach)]
            await wing.station.link.first_ready.wait()
            if wing.station.watch.awaited():  # so that who comes at once finds it ready
                with trio.move_on_after(STATE_S):
                    await wing.station.answered.wait()
            door = Door(face_rooms(face, wing, clients), face_rules(face, proxy.house), proxy.house.crowd)
            clients.doors.append(door)
            listeners = [*listen(face.bound), *face.listeners]
            await trio.serve_listeners(door.serve, listeners, handler_nursery=clients.sessions, task_status=task_status)

        async with trio.open_nursery() as starting:
            for face in faces:
                starting.start_soon(partial(nursery.start, one, face))
        proxy.listening.set()


def _site(proxy: Proxy) -> tuple[ProxySite, Status]:
    house = proxy.house

    def rooms() -> list[KeyRoom]:
        keyring = house.access.keyring
        keys = () if keyring is None else keyring.keys.values()
        return rooms_of(keys, house.limits, trio.current_time(), time.time())

    def audit_state() -> AuditState:
        audit = house.audit
        assert audit is not None, "asked for only where there is one"
        return AuditState(audit.healthy, audit.written, audit.queued, audit.lost)

    sources = Sources(
        house.access.tally,
        __version__,
        rooms,
        None if house.audit is None else audit_state,
        house.operated,
        lambda: house.crowd.refused,
        house.conditions,
        proxy.alerts.counts,
    )
    figures = Metrics(lambda: proxy.stations, sources)
    site = ProxySite(
        lambda: proxy.stations,
        house.access,
        Notary(house),
        figures,
        house.names,
        house.open_locally,
        proxy.trouble,
        house.conditions.active,
    )
    status = Status(lambda: proxy.stations, house, __version__, site.readiness, rooms, sources.audit)
    return site, status


def _control_routes(proxy: Proxy, status: Status, operator: Operator) -> dict[str, Route]:
    """All that an administrator may do."""
    return {
        **client_routes(status),
        **freeze_routes(proxy.freezer),
        **pause_routes(proxy.pauser),
        **operation_routes(operator),
        **alert_routes(proxy.alerts),
    }


@asynccontextmanager
async def open_proxy(faces: Sequence[Face], *, drain_s: float, house: House | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy for the length of the block; see `opendmux.open_proxy`."""
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(partial(run_proxy, faces, drain_s=drain_s, house=house))
        try:
            yield proxy
        finally:
            proxy.stop()
