"""One connection of the simulator: a reader that answers, a writer, an outbox between them.

The reader handles a frame completely before it looks at the next. Replies and pushes go through the outbox in the
order in which they arise; a reply that is late on purpose goes there when its time has come. Only the writer sends,
always whole frames, so a connection that ends by itself ends at a frame boundary; the exception is a client that does
not read: it is cut off where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import Splitter

from .encryption import Encryption, EncryptionError
from .engine import answer_untrusted
from .record import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.wire.frame import Frame

    from .world import Session, World

__all__ = ["GOODBYE_S", "Connection", "Gate"]

_CHUNK = 65_536
GOODBYE_S = 1.0
"""How long what is in the outbox may take when the connection ends."""


class Gate:
    """Open: `wait` returns at once. Closed: `wait` waits."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._event.set()

    @property
    def closed(self) -> bool:
        return not self._event.is_set()

    def close(self) -> None:
        if self._event.is_set():
            self._event = trio.Event()

    def open(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


class Outbox:
    """Bytes on their way out. ``size`` counts what is being sent as well."""

    def __init__(self, limit: int, pause: int) -> None:
        self.size = 0
        self._limit = limit
        self._pause = pause
        self._waiting: list[bytes] = []
        self._closed = False
        self._changed = trio.Event()

    def put(self, frames: bytes) -> bool:
        """Add whole frames. False when there is too much already; an empty outbox takes anything."""
        if self.size and self.size + len(frames) > self._limit:
            return False
        self.size += len(frames)
        self._waiting.append(frames)
        self._wake()
        return True

    def close(self) -> None:
        """`take` returns b"" once everything is taken."""
        self._closed = True
        self._wake()

    def sent(self, count: int) -> None:
        self.size -= count
        self._wake()

    async def take(self) -> bytes:
        """Everything there is; waits for something."""
        while not self._waiting:
            if self._closed:
                return b""
            await self._changed.wait()
        frames, self._waiting = b"".join(self._waiting), []
        return frames

    async def room(self) -> None:
        """Wait until the peer has read enough to ask for more."""
        while self.size > self._pause:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Connection:
    """``handled`` is called after every frame, to flush pushes; ``gate`` stalls everything while it is closed."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        session: Session,
        world: World,
        gate: Gate,
        handled: Callable[[Frame], None],
        encryption: Encryption | None = None,
    ) -> None:
        self.session = session
        self.end_reason = ""
        self._stream = stream
        self._world = world
        self._gate = gate
        self._handled = handled
        self._encryption = encryption
        self._outbox = Outbox(world.config.outbox_bytes, world.config.outbox_pause_bytes)
        self._reading = trio.CancelScope()
        self._nursery: trio.Nursery | None = None

    def offer(self, frames: bytes) -> None:
        """Queue whole frames; a client with too much unread is cut off."""
        if not self._outbox.put(frames if self._encryption is None else self._encryption.seal(frames)):
            self.end("slow reader")
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()

    def end(self, reason: str) -> None:
        """Stop reading, send what is queued, close."""
        self.end_reason = self.end_reason or reason
        self._reading.cancel()

    async def run(self) -> None:
        """Serve until the connection ends; the stream is closed then."""
        async with self._stream, trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._write, nursery.cancel_scope)
            with self._reading:
                await self._read(nursery)
            self._outbox.close()
            nursery.cancel_scope.deadline = trio.current_time() + GOODBYE_S

    async def _read(self, nursery: trio.Nursery) -> None:
        splitter = Splitter(self._world.config.max_body_bytes)
        heard = trio.current_time()
        while True:
            chunk = await self._receive(heard)
            if not chunk:
                return
            await self._gate.wait()
            try:
                if self._encryption is not None:
                    chunk = self._encryption.open_untrusted(chunk)
                while frames := splitter.feed_untrusted(chunk):
                    heard = trio.current_time()
                    for frame in frames:
                        await self._outbox.room()
                        self._answer(frame, nursery)
                    chunk = b""
            except RemoteProtocolError as error:
                self._break("encryption" if isinstance(error, EncryptionError) else "framing", str(error))
                return

    async def _receive(self, heard: float) -> bytes:
        """The next bytes; b"" when the peer is gone or silent for too long."""
        timeout = self._world.config.keep_alive_timeout_s
        with trio.CancelScope(deadline=heard + timeout if timeout is not None else float("inf")) as patience:
            try:
                chunk = bytes(await self._stream.receive_some(_CHUNK))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                chunk = b""
            if not chunk:
                self.end_reason = self.end_reason or "closed by the client"
            return chunk
        if patience.cancelled_caught:
            self._break("keep_alive", f"nothing was heard for {timeout:g} s")
        return b""

    def _answer(self, frame: Frame, nursery: trio.Nursery) -> None:
        reply = answer_untrusted(self._world, self.session, frame)
        if reply is not None:
            delay = self._world.faults.reply_delay_s(frame.proto_id)
            if delay > 0:
                nursery.start_soon(self._offer_later, reply, delay)
            else:
                self.offer(reply)
        self._handled(frame)

    async def _offer_later(self, reply: bytes, delay: float) -> None:
        await trio.sleep(delay)
        self.offer(reply)

    async def _write(self, scope: trio.CancelScope) -> None:
        try:
            while frames := await self._outbox.take():
                await self._gate.wait()
                await self._stream.send_all(frames)
                self._outbox.sent(len(frames))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.end_reason = self.end_reason or "closed by the client"
        scope.cancel()

    def _break(self, rule: str, text: str) -> None:
        self.end_reason = self.end_reason or text
        self._world.record.violations.append(Violation(self.session.number, rule, 0, 0, text))
