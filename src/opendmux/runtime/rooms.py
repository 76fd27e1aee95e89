"""What can be spoken on a port, and who serves it."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import trio

from opendmux.config import PROTOCOLS, Config, OnOutage, ProtocolName
from opendmux.wire.cipher import RsaKey
from opendmux.wire.sniff import Kind

from .callers import Callers
from .crowd import within_files
from .door import Door, Plain, Room, Rules
from .house import House
from .ports import Guest
from .pump import Pump
from .session import TcpSession, serve_tcp
from .site import ProxySite
from .station import Reach, Station
from .transports.grpc import serve_grpc
from .transports.http import BodyPool, HttpSession, Route, serve_http
from .transports.http_table import TABLE
from .transports.websocket import Line, WebSocketRoom

__all__ = ["Clients", "Face", "Wing", "face_rooms", "face_rules"]


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
    bound_to: str | None = None
    """The key id that stands for clients which show no key."""
    bound: Sequence[socket.socket] = ()
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = field(default=())
    protocols: Sequence[ProtocolName] = PROTOCOLS
    """What is served here; ``tls`` only where the house has certificates."""
    plain: Plain = Plain.ANYBODY
    """Who may come without TLS."""


@dataclass(slots=True)
class Wing:
    """A station, and who serves its clients."""

    station: Station
    pump: Pump | None
    callers: Callers


@dataclass(slots=True)
class Clients:
    """The accepting side of one run."""

    sessions: trio.Nursery
    site: ProxySite
    routes: Mapping[str, Route]
    """What the HTTP face serves beside OpenD's requests."""
    draining: trio.Event
    origins: Sequence[str] = ()
    """Foreign origins whose pages may open a WebSocket."""
    everybody: set[TcpSession] = field(default_factory=set)
    browsers: set[HttpSession] = field(default_factory=set)
    bodies: BodyPool = field(default_factory=BodyPool)
    websockets: set[Line] = field(default_factory=set)
    doors: list[Door] = field(default_factory=list)


def face_rooms(face: Face, wing: Wing, clients: Clients) -> dict[Kind, Room]:
    """Who serves what is spoken on this face."""
    hub = wing.station.hub
    routes = {**TABLE, **clients.routes} if "http" in face.protocols else {}

    async def opend(stream: trio.abc.Stream, guest: Guest) -> None:
        await serve_tcp(hub, wing.pump, stream, clients.everybody, guest, on_outage=face.on_outage)

    async def http2(stream: trio.abc.Stream, guest: Guest) -> None:
        await serve_grpc(
            stream,
            guest.first,
            wing.callers,
            peer=guest.peer,
            local=guest.local,
            certified=guest.certified,
            serving=lambda: hub.router.lanes.main.upstream.ready,
            draining=clients.draining,
        )

    async def http1(stream: trio.abc.Stream, guest: Guest) -> None:
        await serve_http(
            stream,
            guest.first,
            clients.site,
            peer=guest.peer,
            local=guest.local,
            own_host=guest.own_host,
            routes=routes,
            certified=guest.certified,
            sessions=clients.browsers,
            upgrades=WebSocketRoom(hub, wing.callers, guest, face.on_outage, clients.websockets, clients.origins)
            if "websocket" in face.protocols
            else None,
            backend=wing.callers,
            bodies=clients.bodies,
        )

    rooms: list[tuple[ProtocolName, Kind, Room]] = [
        ("opend", Kind.OPEND, opend),
        ("grpc", Kind.HTTP2, http2),
        ("http", Kind.HTTP1, http1),
        ("websocket", Kind.HTTP1, http1),
    ]
    return {kind: room for name, kind, room in rooms if name in face.protocols}


def face_rules(face: Face, house: House) -> Rules:
    """How its door goes."""
    limits, timeouts = face.config.limits, face.config.timeouts
    return Rules(
        limits.silent_per_address,
        within_files(limits.http_per_address),
        face.bound_to,
        timeouts.handshake_s,
        timeouts.silent_s,
        house.tls if "tls" in face.protocols else None,
        face.plain,
    )
