"""How a link reads its plain socket: by the pump, or by itself where there is none."""

from __future__ import annotations

import socket
from collections.abc import Callable

import trio

from .broadcast import Batch
from .carrier import now_ns
from .pump import Pump

__all__ = ["READ_BYTES", "read_socket"]

READ_BYTES = 256 * 1024

READS_PER_WAKE_UP = 4
"""Then the other tasks get their turn, however much upstream sends."""

Take = Callable[[memoryview, int], Batch | None]
"""Deal with a chunk that came at that time (ns), without waiting; the pushes that were in it, None without any."""


async def read_socket(
    pump: Pump | None,
    sock: socket.socket,
    take: Take,
    flush: Callable[[], None],
    batches: trio.MemorySendChannel[Batch],
) -> None:
    """Read until the peer sends no more. The pushes go to ``batches``: while that is full nothing is read.

    ``flush``: write what a chunk has led to, where the pump does not do that. Raises OSError when the peer is gone, and
    what ``take`` raises. Cancellation: nothing is read any more, and a batch that waits is lost with the connection.
    """
    if pump is not None:
        await _Inlet(pump, sock, take, batches).run()
        return
    buffer = memoryview(bytearray(READ_BYTES))
    while True:
        await trio.lowlevel.wait_readable(sock)
        for _ in range(READS_PER_WAKE_UP):
            try:
                count = sock.recv_into(buffer)
            except BlockingIOError:
                break
            if count == 0:
                return
            batch = take(buffer[:count], now_ns())
            flush()
            if batch is not None:
                await batches.send(batch)
            if count < READ_BYTES:
                break


class _Inlet:
    """A link's socket as the pump reads it; the task that runs `run` has its end, and waits in the pump's place."""

    read_bytes = READ_BYTES

    def __init__(self, pump: Pump, sock: socket.socket, take: Take, batches: trio.MemorySendChannel[Batch]) -> None:
        self.sock = sock
        self._pump = pump
        self._take = take
        self._batches = batches
        self._late: Batch | None = None
        """What the channel had no room for."""
        self._failure: Exception | None = None
        self._stopped = trio.Event()

    async def run(self) -> None:
        try:
            while True:
                self._pump.add(self)
                await self._stopped.wait()
                if self._failure is not None:
                    raise self._failure
                if self._late is None:
                    return
                await self._batches.send(self._late)
                self._late = None
                self._stopped = trio.Event()
        finally:
            self._pump.remove(self)

    def received(self, data: memoryview, at_ns: int) -> None:
        """See `Pumped`. A crash ends this connection alone."""
        try:
            self._late = self._take(data, at_ns)
            if self._late is not None:
                self._batches.send_nowait(self._late)
                self._late = None
        except trio.WouldBlock:
            self._stop()
        except Exception as error:  # noqa: BLE001 (`run` raises it)
            self._failure = error
            self._stop()

    def lost(self, error: OSError | None) -> None:
        """See `Pumped`."""
        self._failure = error
        self._stop()

    def _stop(self) -> None:
        self._pump.remove(self)
        self._stopped.set()
