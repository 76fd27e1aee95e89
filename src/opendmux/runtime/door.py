"""Where a connection comes in: its first bytes say which protocol it speaks, and who serves it.

One check per connection: what was read for it is handed on, and a plain socket goes to the fast path without a wrapper.
A connection that sends nothing waits here (see `silence`); one that leaves again, as health checks do, is no error.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import trio

from opendmux.wire.sniff import Kind, sniff

from .ports import Guest
from .silence import Silence

__all__ = ["Door", "Room", "is_loopback"]

log = logging.getLogger("opendmux.door")

FIRST_BYTES: Final = 64 * 1024

KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 30, 10, 3
"""TCP keep-alive: a dead peer is found within a minute; a live one that is silent is left alone."""

Room: TypeAlias = Callable[[trio.abc.Stream, Guest], Awaitable[None]]
"""Serves a connection of one protocol until it ends."""


class Door:
    """Of one listener. ``rooms``: who serves which protocol; one that is missing is not served here.

    ``bound_to``: the key id that stands for clients which show no key.
    """

    def __init__(self, rooms: Mapping[Kind, Room], silent_per_address: int, bound_to: str | None = None) -> None:
        self._rooms = rooms
        self._bound_to = bound_to
        self._silence: Silence[trio.CancelScope] = Silence(silent_per_address, lambda _scope: True)
        self._waiting: set[trio.CancelScope] = set()
        self._closed = False

    def close(self) -> None:
        """Whoever has not sent a byte yet has to go, and whoever still comes."""
        self._closed = True
        for scope in self._waiting:
            scope.cancel(reason="drain")

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one accepted connection; its crash ends with it."""
        try:
            peer, peer_host = _name_of(stream)
            _find_dead_peers(stream)
            kind, first = await self._first(stream, peer_host)
            room = None if kind is None else self._rooms.get(kind)
            if kind is None:
                log.debug("%s: left without a word", peer)
            elif room is None:
                log.info("%s: closed, %s is not served on this port", peer, kind.value)
            else:
                own_host = _own_host(stream)
                local = peer_host == own_host or is_loopback(peer_host)
                await room(stream, Guest(peer, peer_host, first, own_host, local, self._bound_to))
        except* trio.BrokenResourceError:
            log.debug("a connection broke before it said what it wants")
        except* Exception:  # a crash during cancellation comes mixed with Cancelled
            log.exception("a session crashed; the others go on")
        finally:
            await trio.aclose_forcefully(stream)

    async def _first(self, stream: trio.abc.Stream, host: str) -> tuple[Kind | None, bytes]:
        """The protocol and the bytes that told it; None when the peer left, or has to leave."""
        first = b""
        with trio.CancelScope() as scope:
            if self._closed:
                return None, first
            self._waiting.add(scope)
            oldest = self._silence.add(host, scope)
            if oldest is not None:
                oldest.cancel(reason="too many silent connections of one address")
            try:
                while (kind := sniff(first)) is None:
                    data = await stream.receive_some(FIRST_BYTES)
                    if not data:
                        return None, first
                    first += data
                return kind, first
            finally:
                self._waiting.discard(scope)
                self._silence.remove(host, scope)
        return None, first


def is_loopback(host: str) -> bool:
    """The address, as a socket gives it, is of this machine alone."""
    return host == "::1" or host.startswith(("127.", "::ffff:127."))


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
