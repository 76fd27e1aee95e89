"""The stream of a WebSocket as its library gets it.

The library puts a message together before it shows it, knows no deadline, and closes without a word over a broken
frame. What stands here, between it and the stream, bounds messages when they are announced, gives every write a
deadline, and leaves the stream open for a last word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

from opendmux.errors import RemoteProtocolError
from opendmux.wire.websocket_guard import MessageGuard

__all__ = ["Wire"]

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
        self.torn = False
        """A write was cut off: nobody knows how much of it the peer got."""
        self.gone = ""
        """Why nothing can be read any more."""
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
        data, self._rest = self._rest, b""
        try:
            data = data or bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.gone = "connection reset"
            raise
        self.received_at = trio.current_time()
        if not data:
            self.gone = "client closed"
        try:
            self._guard.feed_untrusted(data)
        except RemoteProtocolError as error:
            self.refusal = str(error)
            return b""
        self._count()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`. Raises BrokenResourceError when the peer takes it too slowly, or when an earlier
        write was cut off."""
        if self.torn:
            raise trio.BrokenResourceError("an earlier write was cut off")
        self.torn = True
        with trio.move_on_after(self._stall_s) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            self.gone = f"stalled: a message was not taken within {self._stall_s:g} s"
            raise trio.BrokenResourceError(self.gone)
        self.torn = False
        self.closing = self.closing or data[0] == 0x88  # every write of the library is one frame

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`. The stream is its owner's to close: a close frame may have to go out yet."""
        await trio.lowlevel.checkpoint()
