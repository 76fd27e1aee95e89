"""The pump: one task reads all plain TCP sockets, the clients' and the links' to upstream.

It waits on an `epoll` of all these sockets, itself a file descriptor that Trio can wait for, reads ready sockets into
one shared buffer and feeds the switch; the links are flushed once per round. A read therefore costs no task switch, and
a reply that comes while a round is at work is dealt with in the next one, without a turn of Trio's loop. Only on Linux;
elsewhere each session and each link reads for itself.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING, Protocol

import trio

from .hub import Hub, now_ns

if TYPE_CHECKING:
    import socket

__all__ = ["AVAILABLE", "Pump", "Pumped"]

AVAILABLE = sys.platform == "linux"

MOST_BYTES = 256 * 1024
"""No read is larger than this."""

SOCKETS_PER_ROUND = 512

ROUNDS = 16
"""Rounds at most before the other tasks get their turn."""

TURN_NS = 2_000_000
"""After so long no further round is begun."""


class Pumped(Protocol):
    """Whose socket the pump reads."""

    sock: socket.socket
    read_bytes: int
    """One read at most, up to `MOST_BYTES`: what this socket may put before the others in a round."""

    def received(self, data: memoryview, at_ns: int) -> None:
        """A chunk of bytes."""

    def lost(self, error: OSError | None) -> None:
        """The peer sends no more (None), or is gone."""


class Pump:
    """Reads registered sockets while `run` runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._epoll = select.epoll()
        self._sockets: dict[int, Pumped] = {}
        self._buffer = memoryview(bytearray(MOST_BYTES))

    def add(self, owner: Pumped) -> None:
        """Start, or start again, to read a socket; none is read any more once `run` has ended."""
        fd = owner.sock.fileno()
        if fd not in self._sockets and not self._epoll.closed:
            self._sockets[fd] = owner
            self._epoll.register(fd, select.EPOLLIN)

    def remove(self, owner: Pumped) -> None:
        """Stop reading a socket; harmless when it is not read."""
        fd = owner.sock.fileno()
        if self._sockets.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._turn()
        finally:
            # When everything is cancelled at once, sessions may end after this.
            self._sockets.clear()
            self._epoll.close()

    def _turn(self) -> None:
        until_ns = now_ns() + TURN_NS
        for _ in range(ROUNDS):
            ready = self._epoll.poll(0, SOCKETS_PER_ROUND)
            if not ready:
                return
            at_ns = now_ns()
            for fd, _mask in ready:
                owner = self._sockets.get(fd)
                if owner is not None:
                    self._read(owner, at_ns)
            self._hub.flush_links()
            if at_ns >= until_ns:
                return

    def _read(self, owner: Pumped, at_ns: int) -> None:
        try:
            count = owner.sock.recv_into(self._buffer, owner.read_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            owner.lost(error)
            return
        if count:
            owner.received(self._buffer[:count], at_ns)
        else:
            owner.lost(None)
