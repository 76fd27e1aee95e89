"""The supervision tree. Nesting is the shutdown order: services outlive sessions, sessions outlive listeners.

Start: bind (a port in use is known at once), run the stations, and listen for each of them when its link has been
ready once: until then a connection is refused, which is the one failure that every SDK recovers from. Stop: close the
listeners, let sessions finish what is in flight until the drain deadline, then stop the services, the upstream links
last.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio

from opendmux.config import Address, Config, OnOutage
from opendmux.wire.cipher import RsaKey

from .binding import address_of, listen
from .hub import Hub
from .pump import AVAILABLE, Pump
from .session import TcpSession, serve_tcp
from .station import Reach, Station
from .upstream import UpstreamLink

__all__ = ["Face", "Proxy", "open_proxy", "run_proxy"]

log = logging.getLogger("opendmux.server")


@dataclass(slots=True)
class Face:
    """Where clients connect, and which upstream they get.

    ``bound``: bound sockets that do not listen yet; they are closed at the end. ``listeners``: others, such as memory
    listeners of tests.
    """

    reach: Reach
    config: Config
    on_outage: OnOutage = "hold"
    rsa_key: RsaKey | None = None
    """For clients that encrypt; faces with the same `Reach` share the first one's."""
    bound: Sequence[socket.socket] = ()
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = field(default=())


class Proxy:
    """A running proxy, as its user sees it."""

    def __init__(self, stations: list[Station], faces: Sequence[Face]) -> None:
        self.stations = stations
        self.addresses: list[Address] = [address_of(sock) for face in faces for sock in face.bound]
        """Where it listens; known before anybody can connect."""
        self.listening = trio.Event()
        """Set once every upstream was ready and every port accepts clients."""
        self._stop = trio.Event()

    @property
    def hub(self) -> Hub:
        """Of the first station."""
        return self.stations[0].hub

    @property
    def link(self) -> UpstreamLink:
        """The main link of the first station."""
        return self.stations[0].link

    def stop(self) -> None:
        """Begin to drain; the proxy ends within its drain deadline. Harmless when called again."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until `stop` is called."""
        await self._stop.wait()


@dataclass(slots=True)
class _Clients:
    """The accepting side of one run: its nurseries and everybody connected."""

    sessions: trio.Nursery
    everybody: set[TcpSession]


async def run_proxy(
    faces: Sequence[Face],
    *,
    drain_s: float,
    task_status: trio.TaskStatus[Proxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `Proxy.stop` is called; ``task_status.started`` gives the `Proxy` before any link is up.

    Faces with the same `Reach` object share its station. Raises ConfigError when a bound address can't be listened on.
    Cancellation stops at once, without a drain.
    """
    reaches = list({id(face.reach): face for face in faces}.values())
    stations = {id(face.reach): Station(face.config, face.reach, face.rsa_key) for face in reaches}
    pumps = {key: Pump(station.hub) if AVAILABLE else None for key, station in stations.items()}
    proxy = Proxy(list(stations.values()), faces)
    everybody: set[TcpSession] = set()
    try:
        async with trio.open_nursery() as services:
            for key, station in stations.items():
                services.start_soon(station.run)
                pump = pumps[key]
                if pump is not None:
                    services.start_soon(pump.run)
            task_status.started(proxy)
            async with trio.open_nursery() as sessions:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(_accept_all, proxy, faces, stations, pumps, _Clients(sessions, everybody))
                    await proxy.stopped()
                    accepting.cancel_scope.cancel(reason="drain")
                # Whoever was accepted is in `everybody` by now: a session enters itself before it waits for anything,
                # and the listeners' nursery takes longer than that to end.
                log.info("draining %d clients, at most %g s", len(everybody), drain_s)
                for client in list(everybody):
                    client.drain()
                sessions.cancel_scope.deadline = trio.current_time() + drain_s
            services.cancel_scope.cancel(reason="drained")
    finally:
        for face in faces:
            for sock in face.bound:
                sock.close()


async def _accept_all(
    proxy: Proxy,
    faces: Sequence[Face],
    stations: dict[int, Station],
    pumps: dict[int, Pump | None],
    clients: _Clients,
) -> None:
    """Listen on every face as soon as its upstream has been reached."""
    async with trio.open_nursery() as nursery:

        async def one(face: Face, task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]]) -> None:
            key = id(face.reach)
            station = stations[key]
            await station.link.first_ready.wait()
            handle = partial(_handle, station.hub, pumps[key], clients.everybody, face.on_outage)
            listeners = [*listen(face.bound), *face.listeners]
            await trio.serve_listeners(handle, listeners, handler_nursery=clients.sessions, task_status=task_status)

        async with trio.open_nursery() as starting:
            for face in faces:
                starting.start_soon(partial(nursery.start, one, face))
        proxy.listening.set()


async def _handle(
    hub: Hub, pump: Pump | None, everybody: set[TcpSession], on_outage: OnOutage, stream: trio.abc.Stream
) -> None:
    await serve_tcp(hub, pump, stream, everybody, on_outage=on_outage)


@asynccontextmanager
async def open_proxy(faces: Sequence[Face], *, drain_s: float) -> AsyncIterator[Proxy]:
    """Run a proxy for the length of the block; see `opendmux.open_proxy`."""
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(partial(run_proxy, faces, drain_s=drain_s))
        try:
            yield proxy
        finally:
            proxy.stop()
