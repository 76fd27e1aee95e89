"""One WebSocket from its upgrade to its close, whatever its messages mean.

Theory of operation. The HTTP face has judged the request. Pings are answered by the library as long as somebody takes
its messages, and its own words do not wait behind ours. So messages are always taken: while a client is held back they
wait here, up to `WAITING_BYTES`. And nobody waits for the peer inside of the library: `Wire` queues what it writes, and
a message is given to it when there is room.

What is sent waits in a slot of the switch, under the bounds of any client, and is taken out of it by one writer. Who
inherits says what a message is, and whether the next one may be dealt with now.
"""

from __future__ import annotations

import abc
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from opendmux.core.answers import NO_ROOM_TEXT
from opendmux.core.commands import Reply
from opendmux.core.identity import Session
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.hub import Hub
from opendmux.wire.frame import HEADER_LEN
from opendmux.wire.websocket import REQUEST_HEAD
from opendmux.wire.websocket_guard import CloseCode, MessageGuard, close_frame, cut

from ._websocket_wire import Wire

__all__ = ["HEAD_BYTES", "TAKE_BYTES", "Line"]

log = logging.getLogger("opendmux.websocket")

PING_S: Final = 30.0
"""A client that has been silent for so long is pinged: its stack answers by itself."""
PONG_S: Final = 20.0
LINGER_S: Final = 1.0
"""After our last byte the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the close frame before the peer has read it."""
READ_BYTES: Final = 64 * 1024
TAKE_BYTES: Final = 16 * 1024
"""Taken out of the outbox at a time; what is still in it can be conflated."""
WAITING_BYTES: Final = 64 * 1024
"""Messages of a client that is held back which are taken all the same, so that its pings are answered."""
HEAD_BYTES: Final = max(REQUEST_HEAD, HEADER_LEN)
"""Of a message beside its body, in either dialect."""


class Line(abc.ABC):
    """A connection. ``first``: its request for the upgrade and what came behind it. ``body_bytes``: the largest body
    that is taken for the present. ``session``: whose it is; ``slot``: where what is sent to it waits."""

    def __init__(
        self, hub: Hub, stream: trio.abc.Stream, first: bytes, session: Session, slot: int, body_bytes: int
    ) -> None:
        self._hub = hub
        self._stream = stream
        self.session = session
        self._slot = slot
        self._guard = MessageGuard(HEAD_BYTES + body_bytes)
        self._wire = Wire(stream, first, self._guard, hub.config.timeouts.write_stall_s, self._count)
        self._ws: WebSocketConnection | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._parts_bytes = 0
        """Of messages that were taken apart, and whose parts wait."""
        self._half_bytes = 0
        """Of a request whose messages have not all come."""
        self._resumed = trio.Event()
        self._wake, self._wakeups = trio.open_memory_channel[None](1)
        self._reason = ""
        self._code = 0
        self._flush_all = False
        self._draining = False
        self._scope = trio.CancelScope()
        """Around the writer; gets a deadline when the connection has to end, so that a stalled peer can't hold it."""

    # -- what a message is

    @property
    @abc.abstractmethod
    def _held_back(self) -> bool:
        """Nothing more of what waits may be dealt with now."""

    @property
    @abc.abstractmethod
    def _idle(self) -> bool:
        """No request of this client is open, and all that answers one is in the outbox or sent."""

    @abc.abstractmethod
    def _message_untrusted(self, message: bytes) -> None:
        """Deal with a message. Raises RemoteProtocolError when it is none."""

    @abc.abstractmethod
    async def _drained(self, ws: WebSocketConnection) -> bool:
        """Send all that may be sent now; False when the connection is over."""

    def _helpers(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """Further tasks of the connection."""
        return ()

    @abc.abstractmethod
    def _enter(self) -> None:
        """The task begins."""

    @abc.abstractmethod
    def _leave(self, reason: str) -> None:
        """The task has ended."""

    # -- the hub's side

    def flush(self) -> None:
        """See `Client`."""
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):  # it has not yet looked, or has ended
            self._wake.send_nowait(None)

    def take_reply(self, _reply: Reply) -> bool:
        """See `Client`. Its replies go through the outbox."""
        return False

    def end(self, reason: str, *, flush_all: bool) -> None:
        """See `Client`. The first reason counts."""
        if self._reason:
            return
        self._reason = reason
        self._flush_all = flush_all
        self._stop_reading()
        if not flush_all:
            self._hub.switch.out_truncate(self._slot)
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
        self._hub.switch.stop_reading(self._slot)

    def _wake_reader(self) -> None:
        self._resumed.set()
        self._resumed = trio.Event()

    def _end_with(self, code: int, reason: str, *, flush_all: bool = True) -> None:
        if not self._reason:
            self._code = code
        self.end(reason, flush_all=flush_all)

    # -- the task

    async def run(self) -> None:
        """Serve until the connection ends. Cancellation closes it at once."""
        self._enter()
        try:
            async with trio.open_nursery() as pumping:
                pumping.start_soon(self._pump)
                async with trio.open_nursery() as nursery:
                    self._ws = ws = await self._open(nursery)
                    nursery.start_soon(self._read, ws)
                    nursery.start_soon(self._watch, ws)
                    for helper in self._helpers():
                        nursery.start_soon(helper)
                    await self._write(ws)
                    await self._goodbye(ws)
                    nursery.cancel_scope.cancel(reason="session ended")
                await self._part()
                pumping.cancel_scope.cancel(reason="session ended")
        finally:
            self._stop_reading()
            self._leave(self._reason or "cancelled")

    async def _open(self, nursery: trio.Nursery) -> WebSocketConnection:
        """Nothing here waits for the peer: its request is there, and has been found good."""
        largest = HEAD_BYTES + self._hub.config.limits.client_body_bytes
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
                while self._waiting_bytes + self._parts_bytes > WAITING_BYTES:
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
        while self._waiting and not self._held_back and not self._reason:
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
        held = self._guard.held + self._waiting_bytes + self._parts_bytes + self._half_bytes
        if not self._hub.switch.count_elsewhere(self._slot, held):
            self._end_with(CloseCode.POLICY, NO_ROOM_TEXT)

    async def _write(self, ws: WebSocketConnection) -> None:
        """Write whenever there is something, until the connection has to end."""
        with self._scope:
            async for _ in self._wakeups:
                if self._reason:
                    return
                if not await self._drained(ws):
                    self._lost()
                    return
                if self._draining and self._idle:
                    self._end_with(CloseCode.GOING_AWAY, "drained")

    async def _send_frames(self, ws: WebSocketConnection, form: Callable[[bytes], bytes] | None = None) -> bool:
        """Some of what waits in the slot, each frame a message; False: there was nothing. ``form``: what a frame looks
        like. Raises ConnectionClosed."""
        frames = self._hub.switch.take_frames(self._slot, TAKE_BYTES)
        for frame in frames:
            await self._wire.room()
            await ws.send_message(frame if form is None else form(frame))
        if frames:
            self._hub.resume_paused()
            if self._waiting and not self._draining:
                self._work_off()
                self._hub.flush_links()
        return bool(frames)

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
                while self._hub.switch.held(self._slot):
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
