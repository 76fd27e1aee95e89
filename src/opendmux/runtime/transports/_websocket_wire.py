"""The stream of a WebSocket as its library gets it.

The library puts a message together before it shows it, knows no deadline, and closes without a word over a broken
frame. What stands here, between it and the stream, bounds messages when they are announced, gives every write a
deadline, lets nobody wait for the peer while he holds the library's lock, and leaves the stream open for a last word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

from opendmux.errors import RemoteProtocolError
from opendmux.wire.websocket_guard import MessageGuard

__all__ = ["Wire"]

PIECE_BYTES: Final = 64 * 1024
"""Sent at a time; the peer must take one within the deadline."""
QUEUED_BYTES: Final = 16 * 1024
"""Messages beyond this wait in the outbox, where they can be conflated."""
OWN_BYTES: Final = 4 * 1024
AT_ONCE_BYTES: Final = 1024
"""Of what has been read; more only inside of a frame. The library works off all that it is given before others have
their turn, and a frame may have six bytes."""
CLOSE: Final = 0x88
CONTROL: Final = (CLOSE, 0x89, 0x8A)

END_OF_HEAD: Final = re.compile(rb"\n\r?\n")


class Wire(trio.abc.Stream):
    """``first``: the request for the upgrade and what came behind it. ``count``: called when bytes have come, whose
    message may be incomplete."""

    def __init__(
        self, stream: trio.abc.Stream, first: bytes, guard: MessageGuard, stall_s: float, count: Callable[[], None]
    ) -> None:
        end = END_OF_HEAD.search(first)
        assert end is not None, "the request has been read to its end"
        self._head, self._rest = first[: end.end()], first[end.end() :]
        self._stream = stream
        self._guard = guard
        self._stall_s = stall_s
        self._count = count
        self.opened = trio.Event()
        """Our answer is out. The library would lose what it reads before that."""
        self.received_at = trio.current_time()
        self.closing = False
        """A close frame was sent."""
        self.gone = ""
        """Why nothing can be read or written any more."""
        self._out = bytearray()
        self._own_bytes = 0
        """Of the library's own words among them, or a few more."""
        self._more, self._less = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self.refusal: str | None = None
        """Why nothing more is read, though there is."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        if self._head:
            await trio.lowlevel.checkpoint()
            head, self._head = self._head, b""
            return head
        await self.opened.wait()
        if self.refusal is not None:
            return b""
        if self._rest:
            await trio.lowlevel.checkpoint()
        else:
            await self._read(max_bytes)
        size = max(AT_ONCE_BYTES, self._guard.skipping)
        data, self._rest = self._rest[:size], self._rest[size:]
        try:
            self._guard.feed_untrusted(data)
        except RemoteProtocolError as error:
            self.refusal = str(error)
            return b""
        self._count()
        return data

    async def _read(self, max_bytes: int | None) -> None:
        try:
            self._rest = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.gone = "connection reset"
            raise
        self.received_at = trio.current_time()
        if not self._rest:
            self.gone = "client closed"

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`. Queued for `pump`. The library holds a lock meanwhile, so nothing waits here but
        its answers to more pings than a peer takes answers. Raises BrokenResourceError when the peer is gone."""
        await trio.lowlevel.checkpoint()
        if data[0] in CONTROL:
            while self._own_bytes > OWN_BYTES and not self.gone:
                await self._less.park()
            self._own_bytes += len(data)
        if self.gone:
            raise trio.BrokenResourceError(self.gone)
        self.closing = self.closing or data[0] == CLOSE  # every write of the library is one frame
        self._out += data
        self._more.unpark_all()

    async def room(self) -> None:
        """Wait until another message may be queued, or the peer is gone. Cancellation: nothing is changed."""
        while len(self._out) > QUEUED_BYTES and not self.gone:
            await self._less.park()

    async def flushed(self) -> None:
        """Wait until the peer has got everything, or is gone. Cancellation: nothing is changed."""
        while self._out and not self.gone:
            await self._less.park()

    async def pump(self) -> None:
        """Send what is queued, until the peer is gone. Cancellation: an unknown part is sent; the stream is over."""
        while not self.gone:
            while not self._out:
                await self._more.park()
            piece = bytes(self._out[:PIECE_BYTES])
            try:
                with trio.fail_after(self._stall_s):
                    await self._stream.send_all(piece)
            except trio.TooSlowError:
                self.gone = f"stalled: took nothing for {self._stall_s:g} s"
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.gone = "connection reset"
            del self._out[: len(piece)]
            self._own_bytes = self._own_bytes if self._out else 0
            self._less.unpark_all()

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self.room()

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`. The stream is its owner's to close: a close frame may have to go out yet."""
        await trio.lowlevel.checkpoint()
