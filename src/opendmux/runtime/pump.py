"""The pump: one task reads all plain TCP clients.

It waits on an `epoll` of all client sockets, itself a file descriptor that Trio can wait for, reads ready sockets
into one shared buffer and feeds the switch; the link is flushed once per round. A client therefore costs no task
switch per read. Only on Linux; elsewhere each session reads for itself.
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

READ_BYTES = 64 * 1024
"""One read of one client: what one client may put before the others in a round."""

SOCKETS_PER_ROUND = 512

ROUNDS = 4
"""Rounds before the other tasks get their turn."""


class Pumped(Protocol):
    """A client whose socket the pump reads."""

    sock: socket.socket

    def received(self, data: memoryview, at_ns: int) -> None:
        """A chunk of bytes."""

    def received_eof(self, reason: str) -> None:
        """The peer sends no more, or is gone."""


class Pump:
    """Reads registered sockets while `run` runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._epoll = select.epoll()
        self._clients: dict[int, Pumped] = {}
        self._buffer = memoryview(bytearray(READ_BYTES))

    def add(self, client: Pumped) -> None:
        """Start, or start again, to read a client; nobody is read any more once `run` has ended."""
        fd = client.sock.fileno()
        if fd not in self._clients and not self._epoll.closed:
            self._clients[fd] = client
            self._epoll.register(fd, select.EPOLLIN)

    def remove(self, client: Pumped) -> None:
        """Stop reading a client; harmless when it is not read."""
        fd = client.sock.fileno()
        if self._clients.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for _ in range(ROUNDS):
                    ready = self._epoll.poll(0, SOCKETS_PER_ROUND)
                    if not ready:
                        break
                    at_ns = now_ns()
                    for fd, _mask in ready:
                        client = self._clients.get(fd)
                        if client is not None:
                            self._read(client, at_ns)
                    self._hub.flush_links()
        finally:
            # When everything is cancelled at once, sessions may end after this.
            self._clients.clear()
            self._epoll.close()

    def _read(self, client: Pumped, at_ns: int) -> None:
        try:
            count = client.sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError as error:
            client.received_eof(error.strerror or "connection reset")
            return
        if count:
            client.received(self._buffer[:count], at_ns)
        else:
            client.received_eof("client closed")
