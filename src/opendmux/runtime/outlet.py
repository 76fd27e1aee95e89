"""The one writer of a stream.

The bytes to be sent stay in the switch's buffer until the stream has taken them. While nothing waits, `Outlet.flush`
writes at once, without a task switch, to a plain non-blocking socket; what the socket does not take, and everything
for other streams, is written by the one task that runs `Outlet.drain`. The two never overlap: `flush` does nothing
while `drain` is at work.

A plain socket reports how many bytes it took, so a cancelled `drain` leaves an exact account. A cancelled
``send_all`` of another stream does not; such a stream is finished.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import trio

__all__ = ["Outlet", "raw_socket"]


def raw_socket(stream: trio.abc.Stream) -> socket.socket | None:
    """Take the socket out of a plain `trio.SocketStream` (which is unusable afterwards); None for any other stream."""
    if type(stream) is not trio.SocketStream:
        return None
    inner = stream.socket
    raw = socket.socket(inner.family, inner.type, inner.proto, fileno=inner.detach())
    raw.setblocking(False)
    return raw


class Outlet:
    """Writes what ``peek`` shows.

    ``peek``: the bytes that may be sent now, valid until the next call on the switch; ``sent``: so many of them are
    gone; ``take``: the same bytes taken out for good, at a frame boundary, for streams that send all or fail.
    """

    def __init__(
        self,
        sock: socket.socket | None,
        stream: trio.abc.Stream | None,
        *,
        peek: Callable[[], memoryview],
        sent: Callable[[int], None],
        take: Callable[[], bytes],
    ) -> None:
        self._sock = sock
        self._stream = stream
        self._peek = peek
        self._sent = sent
        self._take = take
        self._busy = False
        self.broken = False
        """The peer is gone; nothing can be written any more."""
        self.torn = False
        """A ``send_all`` was interrupted: nobody knows how much of it the peer got."""
        self._wake, self.wakeups = trio.open_memory_channel[None](1)

    def adopt(self, sock: socket.socket) -> None:
        """From now on write to this plain socket, which was taken out of the stream. Only while nothing is being
        written."""
        assert not self._busy, "a stream is exchanged only while it is idle"
        self._sock, self._stream = sock, None

    def wake(self) -> None:
        """Make the writer's task look."""
        try:
            self._wake.send_nowait(None)
        except trio.WouldBlock:
            pass  # it has not yet looked since the last time
        except trio.BrokenResourceError:
            pass  # it has ended

    def flush(self) -> None:
        """Write what goes without waiting; wake the task for the rest."""
        if self._busy or not len(self._peek()):
            return
        if self._sock is None or not self._write_some():
            self.wake()

    def _write_some(self) -> bool:
        """Send until nothing is left (True) or the socket takes no more. Sets ``broken`` when the peer is gone."""
        assert self._sock is not None
        while size := len(view := self._peek()):
            try:
                count = self._sock.send(view)
            except BlockingIOError:
                return False
            except OSError:
                self.broken = True
                return False
            self._sent(count)
            if count < size:
                return False
        return True

    async def drain(self, stall_s: float) -> None:
        """Write until nothing is left. Raises TooSlowError when the peer takes no byte for ``stall_s`` seconds,
        BrokenResourceError when it is gone."""
        self._busy = True
        try:
            if self._sock is not None:
                while not self.broken and not self._write_some():
                    if not self.broken:
                        with trio.fail_after(stall_s):
                            await trio.lowlevel.wait_writable(self._sock)
            else:
                assert self._stream is not None
                while data := self._take():
                    self.torn = True
                    with trio.fail_after(stall_s):
                        await self._stream.send_all(data)
                    self.torn = False
        finally:
            self._busy = False
        if self.broken:
            raise trio.BrokenResourceError("the peer is gone")

    async def send_last(self, data: bytes, stall_s: float) -> None:
        """Write something of one's own at a frame boundary, and nothing behind it; raises as `drain` does."""
        self._busy = self.torn = True
        with trio.fail_after(stall_s):
            if self._stream is not None:
                await self._stream.send_all(data)
            else:
                await self._send_raw(data)
        self.torn = False

    async def _send_raw(self, data: bytes) -> None:
        assert self._sock is not None
        while data:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            except OSError as error:
                raise trio.BrokenResourceError("the peer is gone") from error
