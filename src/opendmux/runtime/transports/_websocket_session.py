"""WebSocket: one client from its upgrade to its close, in OpenD's dialect ``ft-v1.0`` or with FT frames in messages.

Theory of operation. The HTTP face and `WebSocketRoom` have judged the request. The first binary message tells the
dialect. From there a session is a client of the hub like one over TCP: requests go through the gate, replies and pushes
wait in the same outbox under the same bounds, and only their outer form is different.

FT frames. The bytes of the messages are the stream that TCP would carry; each reply or push is a message of its own. A
client that was let in at its handshake need not send InitConnect, for a program that has shown its key as a token has
said all that InitConnect says about who it is; one that sends it gets the usual answer.

Pings are answered by the library as long as somebody takes its messages, and its own words do not wait behind ours. So
messages are always taken: while a client is paused they wait here, up to `WAITING_BYTES`. And nobody waits for the peer
inside of the library: `Wire` queues what it writes, and a message is given to it when there is room.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from opendmux.config import OnOutage
from opendmux.core.access import Admitted
from opendmux.core.answers import NO_ROOM_TEXT, refused
from opendmux.core.commands import Reply, Request
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.hub import Hub, now_ns
from opendmux.runtime.ports import Guest
from opendmux.wire.frame import HEADER_LEN, ProtoFmt
from opendmux.wire.protocols import ProtoId
from opendmux.wire.websocket import (
    INIT,
    REQUEST_HEAD,
    SIGN,
    UPSTREAM_LOST,
    Sections,
    parse_request_untrusted,
)
from opendmux.wire.websocket_guard import CloseCode, MessageGuard, close_frame, cut

from ._websocket_wire import Wire

__all__ = ["WebSocketSession"]

log = logging.getLogger("opendmux.websocket")

PING_S: Final = 30.0
"""A client that has been silent for so long is pinged: its stack answers by itself."""
PONG_S: Final = 20.0
LINGER_S: Final = 1.0
"""After our last byte the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the close frame before the peer has read it."""
SDK_REPLY_S: Final = 4.5
"""The JavaScript SDK gives up after 5 s, without a word of why, and takes an answer that comes later for a push."""
READ_BYTES: Final = 64 * 1024
TAKE_BYTES: Final = 16 * 1024
"""Frames taken out of the outbox at a time; what is still in it can be conflated."""
WAITING_BYTES: Final = 64 * 1024
"""Messages of a paused client that are taken all the same, so that its pings are answered."""


class WebSocketSession:
    """A client on a WebSocket. ``first``: its request for the upgrade and what came behind it."""

    ordered = True

    def __init__(
        self, hub: Hub, stream: trio.abc.Stream, first: bytes, guest: Guest, on_outage: OnOutage, *, local: bool
    ) -> None:
        self._hub = hub
        self._stream = stream
        self.session = hub.open_session(guest.peer, guest.peer_host, "ws", on_outage)
        self.session.local, self.session.bound_to = local, guest.stands_for
        self._guard = MessageGuard(max(REQUEST_HEAD, HEADER_LEN) + hub.handshake_body)
        self._wire = Wire(stream, first, self._guard, hub.config.timeouts.write_stall_s, self._count)
        self._ws: WebSocketConnection | None = None
        self._admitted: Admitted | None = None
        self._asked: Sections | None = None
        """Of the SDK's dialect; None: FT frames."""
        self._begun = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._resumed = trio.Event()
        self._wake, self._wakeups = trio.open_memory_channel[None](1)
        self._reason = ""
        self._code = 0
        self._flush_all = False
        self._draining = False
        self._scope = trio.CancelScope()
        """Around the writer; gets a deadline when the session has to end, so that a stalled peer can't hold it."""

    def let_in(self, admitted: Admitted, *, shown: bool) -> None:
        """The handshake has told who it is. ``shown``: by a key, not by needing none."""
        self._admitted = admitted
        if shown:
            self.session.admitted = True
            self.session.key, self.session.digest = admitted.key, admitted.digest

    # -- the hub's side

    def flush(self) -> None:
        """See `Client`."""
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):  # it has not yet looked, or has ended
            self._wake.send_nowait(None)

    def take_reply(self, _reply: Reply) -> bool:
        """See `Client`. Its replies go through the outbox."""
        return False

    def pause(self) -> None:
        """See `Client`."""
        self._paused = True

    def resume(self) -> None:
        """See `Client`."""
        if self._reason or not self._guarded(lambda: self._hub.go_on(self)):
            return
        if self._draining:
            self.flush()
            return
        self._paused = False
        if self._begun and self._asked is None:
            self._guarded(lambda: self._hub.feed(self, b"", now_ns()))  # frames kept by the switch come first
        self._work_off()

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
        self.flush()

    def drain(self) -> None:
        """End when every request in flight has been answered; the server's drain deadline bounds it."""
        self._draining = True
        self._stop_reading()
        self.flush()

    def _stop_reading(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
        self._wake_reader()
        self._hub.switch.stop_reading(self.session.slot)

    def _wake_reader(self) -> None:
        self._resumed.set()
        self._resumed = trio.Event()

    def _end_with(self, code: int, reason: str, *, flush_all: bool = True) -> None:
        if not self._reason:
            self._code = code
        self.end(reason, flush_all=flush_all)

    # -- the task

    async def run(self) -> None:
        """Serve until the session ends. Cancellation closes the connection at once."""
        self._hub.add(self)
        try:
            async with trio.open_nursery() as pumping:
                pumping.start_soon(self._pump)
                async with trio.open_nursery() as nursery:
                    self._ws = ws = await self._open(nursery)
                    nursery.start_soon(self._read, ws)
                    nursery.start_soon(self._watch, ws)
                    await self._write(ws)
                    await self._goodbye(ws)
                    nursery.cancel_scope.cancel(reason="session ended")
                await self._part()
                pumping.cancel_scope.cancel(reason="session ended")
        finally:
            self._stop_reading()
            self._hub.remove(self, self._reason or "cancelled")

    async def _open(self, nursery: trio.Nursery) -> WebSocketConnection:
        """Nothing here waits for the peer: its request is there, and has been found good."""
        largest = max(REQUEST_HEAD, HEADER_LEN) + self._hub.config.limits.client_body_bytes
        request = await wrap_server_stream(
            nursery, self._wire, message_queue_size=0, max_message_size=largest, receive_buffer_size=READ_BYTES
        )
        ws = await request.accept()
        self._wire.opened.set()
        return ws

    async def _pump(self) -> None:
        await self._wire.pump()
        self._lost()

    async def _read(self, ws: WebSocketConnection) -> None:
        try:
            while not self._reason:
                message = await ws.get_message()
                if isinstance(message, str):
                    self._end_with(CloseCode.UNSUPPORTED, "messages must be binary")
                    return
                if self._reason or self._draining:
                    continue
                self._waiting.append(message)
                self._waiting_bytes += len(message)
                self._work_off()
                self._hub.flush_links()
                while self._waiting_bytes > WAITING_BYTES:
                    await self._resumed.wait()
        except ConnectionClosed:
            self._lost()

    def _lost(self) -> None:
        """Nothing can be read any more: the peer has left, or the library or we don't want to."""
        wire, ws = self._wire, self._ws
        if wire.refusal is not None:
            self._end_with(CloseCode.TOO_BIG, wire.refusal)
        elif wire.gone or wire.closing or ws is None or ws.closed is None:
            self.end(wire.gone or "client closed", flush_all=False)
        else:
            self._end_with(ws.closed.code, ws.closed.reason or "a frame is broken", flush_all=False)

    def _work_off(self) -> None:
        """Deal with what waits, until there is nothing or the client has to be slowed down."""
        while self._waiting and not self._paused and not self._full and not self._reason:
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message)
            self._guarded(lambda message=message: self._message_untrusted(message))  # type: ignore[misc]
        self._count()
        self._wake_reader()

    def _guarded(self, act: Callable[[], bool | None]) -> bool:
        """A crash over this client's bytes ends this client alone."""
        try:
            return act() is not False
        except RemoteProtocolError as error:
            self._end_with(CloseCode.UNSUPPORTED, str(error))
        except Exception:
            log.exception("%s: a session crashed; the others go on", self.session)
            self._end_with(CloseCode.INTERNAL, "crashed", flush_all=False)
        return False

    def _count(self) -> None:
        """The switch keeps count of what all clients' requests take before they are looked at."""
        if self._reason or self._draining:
            return
        held = self._guard.held + self._waiting_bytes
        if not self._hub.switch.count_elsewhere(self.session.slot, held):
            self._end_with(CloseCode.POLICY, NO_ROOM_TEXT)

    @property
    def _full(self) -> bool:
        return self._asked is not None and len(self._asked.open) >= self._hub.config.limits.in_flight

    def _renew(self) -> None:
        """The handshake may be some seconds ago: who it has told is judged again, and needs to log in if that fails."""
        if self._admitted is None:
            return
        session, hub = self.session, self._hub
        renewed = hub.house.access.renewed(self._admitted, local=session.local, wall=hub.wall())
        if isinstance(renewed, Admitted):
            self.let_in(renewed, shown=session.admitted)
        else:
            self._admitted, session.admitted, session.key, session.digest = None, False, None, b""

    def _message_untrusted(self, message: bytes) -> None:
        if not self.session.ready:
            self._renew()
        if not self._begun:
            self._begin_untrusted(message)
            self._begun = True
        if self._asked is None:
            self._hub.feed(self, message, now_ns())
        else:
            self._request_untrusted(self._asked, message)
        if self.session.ready:
            self._guard.limit = max(REQUEST_HEAD, HEADER_LEN) + self._hub.config.limits.client_body_bytes

    def _begin_untrusted(self, message: bytes) -> None:
        """The first message: which dialect is it?"""
        if message.startswith(SIGN):
            self._asked = Sections()
            self.session.sdk_dialect = True
        elif not message.startswith(b"FT"):
            raise RemoteProtocolError("the first message is neither of ft-v1.0 nor an FT frame")
        elif self._admitted is not None:
            self._hub.run(self._hub.router.entry.open(self.session, self._admitted))

    def _request_untrusted(self, asked: Sections, message: bytes) -> None:
        got = parse_request_untrusted(message)
        proto_id = ProtoId.INIT_CONNECT if got.cmd == INIT else got.cmd
        serial_no = asked.add(proto_id, got.cmd, got.section)
        until = trio.current_time() + SDK_REPLY_S if self.session.ready else None
        request = Request(self.session, proto_id, ProtoFmt.PROTOBUF, serial_no, got.body, until)
        if got.cmd in (UPSTREAM_LOST, ProtoId.INIT_CONNECT):
            self._hub.run([refused(request, f"cmd {got.cmd} is no request of ft-v1.0")])
        else:
            self._hub.call(request)
        if self._hub.switch.paused(self.session.slot):
            self._paused = True

    async def _write(self, ws: WebSocketConnection) -> None:
        """Write whenever there is something, until the session has to end."""
        with self._scope:
            async for _ in self._wakeups:
                if self._reason:
                    return
                if not await self._drained(ws):
                    self._lost()
                    return
                if self._draining and self._hub.idle(self.session) and not (self._asked and self._asked.open):
                    self._end_with(CloseCode.GOING_AWAY, "drained")

    async def _drained(self, ws: WebSocketConnection) -> bool:
        """Send all that may be sent now; False when the connection is over."""
        try:
            while frames := self._hub.switch.take_frames(self.session.slot, TAKE_BYTES):
                for frame in frames:
                    await self._wire.room()
                    await ws.send_message(frame if self._asked is None else self._asked.message_of(frame))
                self._hub.resume_paused()
                if self._waiting and not self._draining:
                    self._work_off()
                    self._hub.flush_links()
        except ConnectionClosed:
            return False
        return True

    async def _watch(self, ws: WebSocketConnection) -> None:
        """Ends the session of a client that is dead."""
        while True:
            await trio.sleep(max(0.0, self._wire.received_at + PING_S - trio.current_time()))
            asked_at = trio.current_time()
            if self._wire.received_at + PING_S > asked_at:
                continue
            try:
                with trio.move_on_after(PONG_S):
                    await ws.ping()
            except ConnectionClosed:
                return  # the reader tells why
            if self._wire.received_at < asked_at:
                self.end(f"no pong within {PONG_S:g} s", flush_all=False)
                return

    # -- the end

    async def _goodbye(self, ws: WebSocketConnection) -> None:
        """Send what may still be sent, and close with the reason."""
        goodbye_s = self._hub.config.timeouts.goodbye_s
        if self._wire.gone:
            return
        with trio.move_on_after(goodbye_s):
            if self._flush_all and await self._drained(ws):
                while self._hub.switch.held(self.session.slot):
                    await self._wakeups.receive()
                    await self._drained(ws)
        with trio.move_on_after(goodbye_s):
            await ws.aclose(self._code_of_end(), cut(self._reason))

    def _code_of_end(self) -> int:
        if self._code:
            return self._code
        away = not self._hub.router.lanes.main.upstream.ready
        return CloseCode.RESTART if away and self.session.on_outage == "close" else CloseCode.POLICY

    async def _part(self) -> None:
        """Say the reason where the library did not, then let the peer read it."""
        wire = self._wire
        if wire.gone:
            return
        with trio.move_on_after(LINGER_S):
            try:
                if not wire.closing:
                    await wire.send_all(close_frame(self._code_of_end(), self._reason))
                await wire.flushed()
                if isinstance(self._stream, trio.abc.HalfCloseableStream):
                    await self._stream.send_eof()
                while await self._stream.receive_some(READ_BYTES):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
