"""One connection of the simulator: a reader that answers, a writer, an outbox between them.

The reader handles a frame completely before it looks at the next. Replies and pushes go through the outbox in the
order in which they arise; a reply that is late on purpose goes there when its time has come. Only the writer sends,
always whole frames, so a connection that ends by itself ends at a frame boundary; the exceptions are a client that does
not read, which is cut off where it stands, and faults on purpose.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import trio
from trio import socket

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import Splitter

from .encryption import Encryption, EncryptionError
from .engine import answer_untrusted
from .faults import Act
from .record import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.wire.frame import Frame

    from .faults import Trick
    from .world import Session, World

__all__ = ["GOODBYE_S", "Connection", "Gate", "reset_stream"]

_CHUNK = 65_536
_PROTO_ID = struct.Struct("<2xI")
_SERIAL_NO = struct.Struct("<I")
_SERIAL_NO_AT, _SHA1_AT, _SHA1_END = 8, 16, 36
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


async def reset_stream(stream: trio.abc.Stream) -> None:
    """Close it at once, with a reset where it is TCP."""
    _will_reset(stream)
    await trio.aclose_forcefully(stream)


def _will_reset(stream: trio.abc.Stream) -> None:
    # The stream of a connection that is just ending may be closed already.
    if isinstance(stream, trio.SocketStream) and stream.socket.fileno() >= 0:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Connection:
    """``handled`` is called after every frame, to flush pushes; ``gate`` stalls everything while it is closed;
    ``crash`` is what `Act.CRASH` does."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        session: Session,
        world: World,
        gate: Gate,
        handled: Callable[[Frame], None],
        crash: Callable[[float], object],
        encryption: Encryption | None = None,
    ) -> None:
        self.session = session
        self.end_reason = ""
        self._stream = stream
        self._world = world
        self._gate = gate
        self._handled = handled
        self._crash = crash
        self._encryption = encryption
        self._outbox = Outbox(world.config.outbox_bytes, world.config.outbox_pause_bytes)
        self._reading = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._over = False
        self._deaf = False
        self._swapped = b""

    def offer(self, frames: bytes) -> None:
        """Queue whole frames; a client with too much unread is cut off."""
        if not self._mute:
            self._queue(self._sealed(frames))

    def push(self, frame: bytes) -> None:
        """Queue one push, which may be the one to play a trick on."""
        trick = self._world.faults.due(self.session.number, _PROTO_ID.unpack_from(frame)[0], push=True)
        if trick is None:
            self.offer(frame)
        elif trick.ends:
            self._stop(trick)
        else:
            self._play(trick, frame)

    def end(self, reason: str) -> None:
        """Stop reading, send what is queued, close."""
        self._over = True
        self.end_reason = self.end_reason or reason
        self._reading.cancel()

    def reset(self, reason: str) -> None:
        """Stop at once, with a reset where it is TCP; what is queued is lost."""
        self.end(reason)
        _will_reset(self._stream)
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def swallow(self) -> None:
        """Read on, but do, answer and push nothing from now on."""
        self._deaf = True

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
            if self._deaf or self._world.faults.black_hole:
                self._deaf = True
                heard = trio.current_time()
                continue
            try:
                if self._encryption is not None:
                    chunk = self._encryption.open_untrusted(chunk)
                while frames := splitter.feed_untrusted(chunk):
                    heard = trio.current_time()
                    for frame in frames:
                        await self._outbox.room()
                        self._answer(frame, nursery)
                        if self._over:
                            return
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
        if self._deaf:
            return
        trick = self._world.faults.due(self.session.number, frame.proto_id)
        if trick is not None and trick.ends and not trick.executed:
            self._stop(trick)
            return
        reply = answer_untrusted(self._world, self.session, frame)
        if trick is not None and trick.ends:
            self._stop(trick)
        elif reply is not None:
            delay = self._world.faults.reply_delay_s(frame.proto_id)
            if delay > 0:
                nursery.start_soon(self._reply_later, reply, trick, delay)
            else:
                self._reply(reply, trick)
        self._handled(frame)

    async def _reply_later(self, reply: bytes, trick: Trick | None, delay: float) -> None:
        await trio.sleep(delay)
        self._reply(reply, trick)

    def _reply(self, reply: bytes, trick: Trick | None) -> None:
        if trick is not None:
            self._play(trick, reply)
        else:
            self.offer(reply)
        if self._swapped and (trick is None or trick.act is not Act.SWAP):
            self.offer(self._swapped)
            self._swapped = b""

    def _stop(self, trick: Trick) -> None:
        match trick.act:
            case Act.DROP:
                self.end("dropped on purpose")
            case Act.RESET:
                self.reset("reset on purpose")
            case Act.SILENCE:
                self.swallow()
            case _:
                self._crash(trick.seconds)

    def _play(self, trick: Trick, frame: bytes) -> None:
        match trick.act:
            case Act.HALF:
                sealed = self._sealed(frame)
                if not self._mute:
                    self._queue(sealed[: len(sealed) // 2])
                self.end("half a frame on purpose")
            case Act.WRONG_SERIAL:
                serial_no = _SERIAL_NO.unpack_from(frame, _SERIAL_NO_AT)[0] ^ 0x8000_0000
                self.offer(frame[:_SERIAL_NO_AT] + _SERIAL_NO.pack(serial_no) + frame[_SERIAL_NO_AT + 4 :])
            case Act.BAD_SHA1:
                self.offer(
                    frame[:_SHA1_AT] + bytes(byte ^ 0xFF for byte in frame[_SHA1_AT:_SHA1_END]) + frame[_SHA1_END:]
                )
            case Act.DOUBLE:
                self.offer(frame)
                self.offer(frame)
            case _:
                self.offer(self._swapped)
                self._swapped = frame

    @property
    def _mute(self) -> bool:
        return self._over or self._deaf or self._world.faults.black_hole

    def _sealed(self, frames: bytes) -> bytes:
        return frames if self._encryption is None else self._encryption.seal(frames)

    def _queue(self, data: bytes) -> None:
        if data and not self._outbox.put(data):
            self.end("slow reader")
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()

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
