"""One connected TCP client, from accept to close.

Theory of operation. The session's task is its writer and owns its end. Its reader is the pump (plain sockets on
Linux) or a second task (every other stream). Whoever wants the session to end calls `end`: nothing more is read, what
may still be sent is sent within a deadline, and the connection closes at a frame boundary, because half a frame would
poison the SDK's next session.

How it may end: the peer closes or breaks (nothing can be sent); a protocol error or an outage (all queued replies are
sent first); an overflow (only the frame that is half sent is finished); a drain (requests in flight get their replies
first). But for the first, a client that takes notifications is told why, by a last Notify.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from functools import partial

import trio

from opendmux.config import OnOutage
from opendmux.core.answers import NO_ROOM_TEXT
from opendmux.core.commands import Reply
from opendmux.core.farewell import CRASHED, DRAINED, farewell
from opendmux.errors import RemoteProtocolError
from opendmux.wire.secure import ServerSide

from .hub import Hub, now_ns
from .outlet import Outlet, raw_socket
from .ports import Guest
from .pump import Pump

__all__ = ["TcpSession", "serve_tcp"]

log = logging.getLogger("opendmux.session")

READ_BYTES = 64 * 1024
TAKE_BYTES = 64 * 1024
LINGER_S = 1.0
"""After our last byte the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the answer before the peer has read it."""
MOMENT_S = 0.25
"""Between the last Notify and the end: the Python SDK hands nothing to the program once it has seen the end."""


class TcpSession:
    """A client on a plain socket or on any Trio stream. Made by `serve_tcp`."""

    ordered = True
    read_bytes = READ_BYTES

    def __init__(self, hub: Hub, pump: Pump | None, stream: trio.abc.Stream, guest: Guest, on_outage: OnOutage) -> None:
        self._hub = hub
        self._pump = pump
        self._stream = stream
        self._raw: socket.socket | None = None
        self._first = guest.first
        self.session = hub.open_session(guest.peer, guest.peer_host, "tcp", on_outage)
        self.session.local, self.session.bound_to = guest.local, guest.stands_for
        # Whether it encrypts shows with its first frame; until then such a client is read through the adapter.
        self._secure = (
            ServerSide(hub.rsa_key, hub.config.limits.client_body_bytes, hub.handshake_body) if hub.rsa_key else None
        )
        self.session.secure = self._secure
        raw = raw_socket(stream) if pump is not None and self._secure is None else None
        if raw is not None:
            self._raw = self.sock = raw
        slot, switch = self.session.slot, hub.switch
        self._outlet = Outlet(
            raw,
            stream if raw is None else None,
            peek=partial(switch.out, slot),
            sent=partial(switch.sent, slot),
            take=self._take,
        )
        self._resumed: trio.Event | None = None
        self._reason = ""
        self._flush_all = False
        self._peer_gone = False
        self._draining = False
        self._scope = trio.CancelScope()
        """Around the writer; gets a deadline when the session has to end, so that a stalled peer can't hold it."""

    def _take(self) -> bytes:
        return self._seal(b"".join(self._hub.switch.take_frames(self.session.slot, TAKE_BYTES)))

    def _seal(self, frames: bytes) -> bytes:
        return self._secure.seal(frames) if self._secure is not None and frames else frames

    # -- the hub's side

    def flush(self) -> None:
        """See `Client`."""
        self._outlet.flush()
        if self._outlet.broken or self._draining or self._reason:
            self._outlet.wake()

    def take_reply(self, _reply: Reply) -> bool:
        """See `Client`. Its replies go through the outbox."""
        return False

    def pause(self) -> None:
        """See `Client`."""
        if self._raw is not None:
            assert self._pump is not None
            self._pump.remove(self)
        elif self._resumed is None:
            self._resumed = trio.Event()

    def resume(self) -> None:
        """See `Client`."""
        if self._reason or not self._go_on():
            return
        if self._draining:
            self._outlet.wake()
            return
        # Frames kept by the switch come first; they may pause the client again.
        if self._raw is not None:
            assert self._pump is not None
            self._pump.add(self)
        elif self._resumed is not None:
            self._resumed.set()
            self._resumed = None
        self.received(b"", now_ns())

    def _go_on(self) -> bool:
        try:
            return self._hub.go_on(self)
        except Exception:
            log.exception("%s: a session crashed; the others go on", self.session)
            self.end(CRASHED, flush_all=False)
            return False

    def end(self, reason: str, *, flush_all: bool) -> None:
        """See `Client`. The first reason counts."""
        if self._reason:
            return
        self._reason = reason
        self._flush_all = flush_all
        self._stop_reading()
        if not flush_all:
            self._hub.switch.out_truncate(self.session.slot)
        self._scope.deadline = trio.current_time() + self._hub.config.timeouts.goodbye_s
        self._outlet.wake()

    def drain(self) -> None:
        """End when every request in flight has been answered; the server's drain deadline bounds it."""
        self._draining = True
        self._stop_reading()
        self._outlet.wake()

    # -- the pump's side

    def received(self, data: bytes | memoryview, at_ns: int) -> None:
        """See `Pumped`. A crash over this client's bytes ends this client alone."""
        try:
            self._hub.feed(self, data, at_ns)
        except Exception:
            log.exception("%s: a session crashed; the others go on", self.session)
            self.end(CRASHED, flush_all=False)

    def lost(self, error: OSError | None) -> None:
        """See `Pumped`."""
        self.received_eof("client closed" if error is None else error.strerror or "connection reset")

    def received_eof(self, reason: str) -> None:
        """The peer sends no more, or is gone."""
        self._peer_gone = True
        self.end(reason, flush_all=False)

    def _stop_reading(self) -> None:
        if self._raw is not None:
            assert self._pump is not None
            self._pump.remove(self)
        self._hub.switch.stop_reading(self.session.slot)

    # -- the task

    async def run(self) -> None:
        """Serve until the session ends. Cancellation closes the connection at once, torn or not."""
        self._hub.add(self)
        try:
            if self._raw is not None:
                assert self._pump is not None
                self._pump.add(self)
                self.received(self._first, now_ns())
                self._hub.flush_links()
                await self._write()
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    await self._write()
                    nursery.cancel_scope.cancel(reason="session ended")
            await self._goodbye()
        finally:
            self._close()

    async def _read(self) -> None:
        try:
            while data := self._first or await self._stream.receive_some(READ_BYTES):
                self._first = b""
                if self._secure is not None:
                    self._open_untrusted(self._secure, data)
                    if self._raw is not None:
                        return  # the pump reads on
                else:
                    self._hub.feed(self, data, now_ns())
                self._hub.flush_links()
                while (resumed := self._resumed) is not None:
                    await resumed.wait()
                    self._hub.flush_links()
        except trio.BrokenResourceError:
            self.received_eof("connection reset")
        else:
            self.received_eof("client closed")

    def _open_untrusted(self, secure: ServerSide, data: bytes | bytearray) -> None:
        """Feed what was encrypted; a client that turns out to be plain goes over to the fast path."""
        if self._reason:
            return
        try:
            frames = secure.receive_untrusted(data)
            if secure.plain_from_now_on:
                self._secure = self.session.secure = None
                self._go_fast()
            while frames:
                self._hub.feed(self, frames, now_ns())
                # What was sent ahead of the InitConnect reply comes out once its key is known.
                frames = b"" if self._secure is None else secure.receive_untrusted(b"")
            if not self._hub.switch.count_elsewhere(self.session.slot, secure.pending):
                self.end(NO_ROOM_TEXT, flush_all=True)
        except RemoteProtocolError as error:
            self.end(str(error), flush_all=True)

    def _go_fast(self) -> None:
        raw = raw_socket(self._stream) if self._pump is not None else None
        if raw is None:
            return
        assert self._pump is not None
        self._raw = self.sock = raw
        self._outlet.adopt(raw)
        self._pump.add(self)

    async def _write(self) -> None:
        """Write whenever there is something, until the session has to end."""
        stall_s = self._hub.config.timeouts.write_stall_s
        with self._scope:
            async for _ in self._outlet.wakeups:
                if self._reason:
                    return
                if self._outlet.broken:
                    self.received_eof("connection reset")
                    return
                try:
                    await self._outlet.drain(stall_s)
                    self._hub.resume_paused()
                except trio.TooSlowError:
                    self.end(f"stalled: took no byte for {stall_s:g} s", flush_all=False)
                except trio.BrokenResourceError:
                    self.received_eof("connection reset")
                if self._draining and self._hub.idle(self.session):
                    self.end(DRAINED, flush_all=True)

    async def _goodbye(self) -> None:
        """Bring the stream to a frame boundary, then let the peer read it.

        A peer that reads, but too slowly for all that is queued, gets the frame under way and no more.
        """
        if self._peer_gone or self._outlet.torn:
            return
        if self._scope.cancelled_caught or not await self._drained():
            if not self._flush_all or self._outlet.torn:
                return
            self._hub.switch.out_truncate(self.session.slot)
            if not await self._drained():
                return
        await self._tell_why()
        await self._linger()

    async def _tell_why(self) -> None:
        frame = farewell(self.session, self._hub.router.lanes, self._reason, trio.current_time())
        if frame is None:
            return
        try:
            await self._outlet.send_last(self._seal(frame), self._hub.config.timeouts.goodbye_s)
        except (trio.TooSlowError, trio.BrokenResourceError):
            return
        await trio.sleep(MOMENT_S)

    async def _drained(self) -> bool:
        goodbye_s = self._hub.config.timeouts.goodbye_s
        with trio.move_on_after(goodbye_s):
            try:
                await self._outlet.drain(goodbye_s)
                while self._hub.switch.held(self.session.slot):
                    await self._outlet.wakeups.receive()
                    await self._outlet.drain(goodbye_s)
            except (trio.TooSlowError, trio.BrokenResourceError):
                return False
            return True
        return False

    async def _linger(self) -> None:
        if self._raw is None:
            return
        scrap = bytearray(READ_BYTES)
        with trio.move_on_after(LINGER_S), contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)
            while True:
                await trio.lowlevel.wait_readable(self._raw)
                try:
                    if self._raw.recv_into(scrap) == 0:
                        return
                except BlockingIOError:
                    continue

    def _close(self) -> None:
        if not self._peer_gone and (self._outlet.torn or self._hub.switch.out_to_boundary(self.session.slot)):
            self._hub.torn += 1
        self._stop_reading()
        self._hub.remove(self, self._reason or "cancelled")
        if self._raw is not None:
            self._raw.close()


async def serve_tcp(
    hub: Hub,
    pump: Pump | None,
    stream: trio.abc.Stream,
    clients: set[TcpSession],
    guest: Guest,
    *,
    on_outage: OnOutage = "hold",
) -> None:
    """Serve one connection whose first bytes have been read. ``clients``: the sessions that a drain has to reach."""
    client = TcpSession(hub, pump, stream, guest, on_outage)
    clients.add(client)
    try:
        await client.run()
    finally:
        clients.discard(client)
