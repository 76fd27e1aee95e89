"""Where a connection comes in: its first bytes say which protocol it speaks, and who serves it.

One check per connection: what was read for it is handed on, and a plain socket goes to the fast path without a wrapper.
A connection that sends nothing waits here (see `patience`); one that leaves again, as health checks do, is no error.
Who has begun to speak has a deadline from then on, here and in whatever serves him. TLS is shaken hands with here, and
the protocol inside it is found out in the same way, unless the two sides have agreed on one.
"""

from __future__ import annotations

import enum
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec
import trio

from opendmux.config.reach import is_loopback
from opendmux.wire.sniff import Kind, sniff

from .crowd import Crowd
from .patience import Patience
from .ports import Guest
from .silence import Silence
from .tls import HandshakeError, Tls, TlsStream

__all__ = ["Door", "Plain", "Room", "Rules"]

log = logging.getLogger("opendmux.door")

FIRST_BYTES: Final = 64 * 1024

KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 30, 10, 3
"""TCP keep-alive: a dead peer is found within a minute; a live one that is silent is left alone."""

GOODBYE_S: Final = 1.0
"""For the last words and the peer's own goodbye."""

HOSTS_NAMED: Final = 1000
"""So many addresses that come without TLS are named in the log, once each."""


def _http_refusal(status: str, reason: str, text: str, further: str = "") -> bytes:
    body = msgspec.json.encode({"error": {"status": int(status[:3]), "reason": reason, "text": text}}) + b"\n"
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{further}"
    return f"{head}connection: close\r\n\r\n".encode() + body


def _goaway(error: int, text: str) -> bytes:
    """HTTP/2's goodbye, behind the settings that have to come first."""
    head = (8 + len(text)).to_bytes(3) + b"\7\0\0\0\0\0"
    return b"\0\0\0\4\0\0\0\0\0" + head + bytes(4) + error.to_bytes(4) + text.encode("ascii")


CALM, INADEQUATE = 0x0B, 0x0C
"""Errors of HTTP/2: ENHANCE_YOUR_CALM and INADEQUATE_SECURITY."""
PLAIN_REFUSALS: Final[Mapping[Kind, bytes]] = {
    Kind.HTTP1: _http_refusal("400 Bad Request", "plain", "this port takes TLS: use https"),
    Kind.HTTP2: _goaway(INADEQUATE, "this port takes TLS"),
}
CROWDED: Final = (
    "your address has too many HTTP connections (limits.http_per_address): close some, or ask more over each"
)
CROWDED_REFUSALS: Final[Mapping[Kind, bytes]] = {
    Kind.HTTP1: _http_refusal("503 Service Unavailable", "connections", CROWDED, "retry-after: 1\r\n"),
    Kind.HTTP2: _goaway(CALM, CROWDED),
}
NO_TLS: Final = b"\x15\x03\x01\0\2\2\x28"
"""A fatal TLS alert, handshake_failure."""

AGREED: Final[Mapping[str, Kind]] = {"h2": Kind.HTTP2, "http/1.1": Kind.HTTP1}

Room: TypeAlias = Callable[[trio.abc.Stream, Guest], Awaitable[None]]
"""Serves a connection of one protocol until it ends."""


class Plain(enum.Enum):
    """Who may come without TLS."""

    ANYBODY = "anybody"
    LOCAL = "local"
    """Whoever is on this machine."""
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one listener."""

    silent_per_address: int
    http_per_address: int
    bound_to: str | None = None
    """The key id that stands for clients which show no key."""
    first_s: float = 10.0
    """For the bytes that tell the protocol, from the first one on."""
    silent_s: float = 10.0
    """For the first byte; 0 = for ever. See `patience`."""
    tls: Tls | None = None
    """None: TLS is not served."""
    plain: Plain = Plain.ANYBODY


class Door:
    """Of one listener. ``rooms``: who serves which protocol; one that is missing is not served here. ``crowd``: of the
    process."""

    def __init__(self, rooms: Mapping[Kind, Room], rules: Rules, crowd: Crowd) -> None:
        self._rooms = rooms
        self._rules = rules
        self._crowd = crowd
        self._alpn = tuple(name for name in ("http/1.1", "h2") if AGREED[name] in rooms)
        self._silence: Silence[trio.CancelScope] = Silence(rules.silent_per_address, lambda _scope: True)
        self._patience = Patience(rules.silent_s)
        self._waiting: set[trio.CancelScope] = set()
        self._named: set[str] = set()
        self._closed = False

    def close(self) -> None:
        """Whoever has not said yet what it wants has to go, and whoever still comes."""
        self._closed = True
        for scope in self._waiting:
            scope.cancel(reason="drain")

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one accepted connection; its crash ends with it."""
        peer, peer_host = _name_of(stream)
        try:
            _find_dead_peers(stream)
            own_host = _own_host(stream)
            local = peer_host == own_host or is_loopback(peer_host)
            guest = Guest(peer, peer_host, b"", own_host, local, self._rules.bound_to)
            kind, first = await self._first(stream, guest)
            guest = replace(guest, first=first)
            if kind is Kind.TLS:
                await self._serve_tls(stream, guest)
            elif kind is not None and not self._may_be_plain(guest):
                await self._refuse_plain(kind, stream, guest)
            elif kind is not None:
                await self._enter(kind, stream, guest)
        except* trio.BrokenResourceError:
            log.debug("%s: the connection broke before it said what it wants", peer, extra={"peer": peer})
        except* Exception:  # a crash during cancellation comes mixed with Cancelled
            log.exception("%s: a session crashed; the others go on", peer, extra={"peer": peer})
        finally:
            await trio.aclose_forcefully(stream)

    async def _enter(self, kind: Kind, stream: trio.abc.Stream, guest: Guest) -> None:
        room = self._rooms.get(kind)
        if room is None:
            log.info("%s: closed, %s is not served on this port", guest.peer, kind.value, extra=_about(guest, kind))
        elif kind is Kind.OPEND:
            self._patience.enter(guest.peer_host)
            try:
                await room(stream, guest)
            finally:
                self._patience.leave(guest.peer_host, trio.current_time())
        elif self._crowd.enter(guest.peer_host, self._rules.http_per_address, trio.current_time()):
            try:
                await room(stream, guest)
            finally:
                self._crowd.leave(guest.peer_host)
        else:
            with self._crowd.telling() as may_be_told:
                if may_be_told:
                    await _last_words(stream, CROWDED_REFUSALS[kind])

    async def _first(self, stream: trio.abc.Stream, guest: Guest) -> tuple[Kind | None, bytes]:
        """The protocol and the bytes that told it; None when the peer left, or has to leave."""
        first, host, rules = b"", guest.peer_host, self._rules
        with trio.CancelScope() as scope:
            if self._closed:
                return None, first
            self._waiting.add(scope)
            self._patience.begin(host, scope, trio.current_time())
            oldest = self._silence.add(host, scope)
            if oldest is not None:
                oldest.cancel(reason="too many silent connections of one address")
            try:
                while (kind := sniff(first)) is None:
                    data = await stream.receive_some(FIRST_BYTES)
                    if not data:
                        log.debug("%s: left without a word", guest.peer, extra=_about(guest))
                        return None, first
                    if not first:
                        self._patience.end(host, scope)
                        scope.deadline = trio.current_time() + rules.first_s
                    first += data
                return kind, first
            finally:
                self._waiting.discard(scope)
                self._patience.end(host, scope)
                self._silence.remove(host, scope)
        said = "has not said what it wants" if first else "has said nothing"
        log.info("%s: closed, it %s", guest.peer, said, extra=_about(guest))
        return None, first

    # -- TLS

    async def _serve_tls(self, stream: trio.abc.Stream, guest: Guest) -> None:
        tls = self._rules.tls
        if tls is None:
            log.info("%s: closed, tls is not served on this port", guest.peer, extra=_about(guest, Kind.TLS))
            await _last_words(stream, NO_TLS)
            return
        inside = await self._shake(tls, stream, guest)
        if inside is None:
            return
        try:
            guest = replace(guest, first=b"", certified=inside.key_id)
            kind = AGREED.get(inside.alpn or "")
            if kind is None:
                kind, first = await self._first(inside, guest)
                guest = replace(guest, first=first)
            if kind is not None:
                await self._enter(kind, inside, guest)
            with trio.move_on_after(GOODBYE_S):
                await inside.send_eof()
        finally:
            await trio.aclose_forcefully(inside)

    async def _shake(self, tls: Tls, stream: trio.abc.Stream, guest: Guest) -> TlsStream | None:
        with trio.CancelScope() as scope:
            if self._closed:
                return None
            self._waiting.add(scope)
            try:
                return await tls.accept(stream, guest.first, self._alpn)
            except HandshakeError as error:
                log.info("%s: closed, %s", guest.peer, error, extra=_about(guest, Kind.TLS))
                await _last_words(stream, b"")
            finally:
                self._waiting.discard(scope)
        return None

    def _may_be_plain(self, guest: Guest) -> bool:
        return self._rules.plain is Plain.ANYBODY or (self._rules.plain is Plain.LOCAL and guest.local)

    async def _refuse_plain(self, kind: Kind, stream: trio.abc.Stream, guest: Guest) -> None:
        if guest.peer_host not in self._named and len(self._named) < HOSTS_NAMED:
            self._named.add(guest.peer_host)
            why = (
                "tls.require is set"
                if self._rules.plain is Plain.NOBODY
                else "other machines need it, unless the listener says insecure_plain"
            )
            log.warning(
                "%s: closed, it speaks %s without TLS, and %s",
                guest.peer_host,
                kind.value,
                why,
                extra=_about(guest, kind),
            )
        await _last_words(stream, PLAIN_REFUSALS.get(kind, b""))


TRANSPORTS: Final = {Kind.OPEND: "tcp", Kind.HTTP1: "http", Kind.HTTP2: "grpc", Kind.TLS: "tls"}
"""What a line of the log calls them, as it does of a session; a WebSocket is not yet told from HTTP here."""


def _about(guest: Guest, kind: Kind | None = None) -> dict[str, str]:
    """The client of a log line, before there is a session."""
    return {"peer": guest.peer, "transport": "unknown" if kind is None else TRANSPORTS[kind]}


async def _last_words(stream: trio.abc.Stream, data: bytes) -> None:
    """Say it, and let the peer read it: closing with unread bytes would reset the connection."""
    with trio.move_on_after(GOODBYE_S):
        if data:
            await stream.send_all(data)
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
            while await stream.receive_some(FIRST_BYTES):
                pass


def _name_of(stream: trio.abc.Stream) -> tuple[str, str]:
    if isinstance(stream, trio.SocketStream):
        try:
            host, port = stream.socket.getpeername()[:2]
        except OSError:
            return "gone", "gone"
        return f"{host}:{port}", host
    return "memory", "memory"


def _own_host(stream: trio.abc.Stream) -> str:
    """A client that reaches this machine by its outer address and is on it comes from that same address."""
    if isinstance(stream, trio.SocketStream):
        try:
            return str(stream.socket.getsockname()[0])
        except OSError:
            return ""
    return "memory"


def _find_dead_peers(stream: trio.abc.Stream) -> None:
    if not isinstance(stream, trio.SocketStream):
        return
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_IDLE_S)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_INTERVAL_S)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEP_COUNT)
