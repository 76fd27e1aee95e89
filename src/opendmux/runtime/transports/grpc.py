"""One gRPC connection, from its first bytes to its close.

Theory of operation. The session's task is its writer and owns its end: it takes from the `GrpcServer` what the windows
allow, until the connection is finished. One task reads; it stops reading while the client makes us say more than it
takes. One task keeps deadlines: those of the calls, and that of replies which nobody reads. What the calls mean is in
`_grpc_calls`.

How it may end: the client closes or breaks; it breaks the protocol (GOAWAY, then close); it is silent to a ping, or
takes no byte for too long; a drain, once its calls are done.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from opendmux.errors import RemoteProtocolError
from opendmux.runtime.backend import Backend
from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_guard import GrpcLimits

from ._grpc_call import GrpcTimes
from ._grpc_callers import Callers
from ._grpc_calls import GrpcCalls

__all__ = ["GrpcLimits", "GrpcSession", "GrpcTimes", "serve_grpc"]

log = logging.getLogger("opendmux.grpc")

READ_BYTES: Final = 64 * 1024
AT_ONCE_BYTES: Final = 4 * 1024
"""Of what has been read, before others have their turn: there may be hundreds of frames in it."""
UNREAD_MAX: Final = 256 * 1024
"""Bytes of headers, acknowledgements and errors that may wait for the client before nothing more of it is read."""


async def serve_grpc(
    stream: trio.abc.Stream,
    first: bytes,
    backend: Backend,
    *,
    peer: str,
    local: bool,
    certified: str | None = None,
    serving: Callable[[], bool] = lambda: True,
    limits: GrpcLimits | None = None,
    times: GrpcTimes | None = None,
    draining: trio.Event | None = None,
) -> None:
    """Serve a connection until it ends, and close it. ``first``: what has been read of it already.

    ``certified``: the key id that its certificate names. ``serving``: what health checks say. ``draining``: when it is
    set, the connection ends as soon as its requests are answered; give that a deadline by a cancel scope. Errors of the
    connection are contained here; a cancellation closes it at once.
    """
    session = GrpcSession(
        stream,
        backend,
        peer=peer,
        local=local,
        certified=certified,
        serving=serving,
        limits=limits or GrpcLimits(),
        times=times or GrpcTimes(),
    )
    await session.run(first, draining)


class GrpcSession:
    """A connection. Made by `serve_grpc`."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        backend: Backend,
        *,
        peer: str,
        local: bool,
        certified: str | None = None,
        serving: Callable[[], bool],
        limits: GrpcLimits,
        times: GrpcTimes,
    ) -> None:
        self._stream = stream
        self._peer = peer
        self._log = logging.LoggerAdapter(log, {"peer": peer, "transport": "grpc"})
        self._times = times
        self._backend = backend
        self._server = GrpcServer(limits)
        self._wake, self._woken = trio.open_memory_channel[None](1)
        self._earlier, self._rechecks = trio.open_memory_channel[None](1)
        self._written = trio.Event()
        self._ended = False
        self._nursery: trio.Nursery | None = None
        self._calls = GrpcCalls(
            self._server,
            Callers(backend, peer=peer, local=local, certified=certified),
            serving=serving,
            limits=limits,
            times=times,
            wake=partial(_poke, self._wake),
            recheck=partial(_poke, self._earlier),
            listen=self._listen,
        )

    def drain(self) -> None:
        """Take no more calls, end the streams, and close when the requests that run are answered. Idempotent."""
        self._calls.drain()

    async def run(self, first: bytes, draining: trio.Event | None = None) -> None:
        """See `serve_grpc`."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._read, first)
                nursery.start_soon(self._keep_deadlines)
                if draining is not None:
                    nursery.start_soon(self._drain_on, draining)
                await self._write()
                nursery.cancel_scope.cancel(reason="the connection is finished")
            await self._linger()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            self._log.debug("%s: the client is gone", self._peer)
        except* trio.TooSlowError:
            self._log.info("%s: closed: it takes nothing of what is sent to it", self._peer)
        except* Exception:
            log.exception("%s: closed by an error of ours", self._peer, extra=self._log.extra)
        finally:
            self._calls.close()
            await trio.aclose_forcefully(self._stream)

    def _listen(self, function: Callable[..., object], *args: object) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(function, *args)  # type: ignore[arg-type]

    async def _drain_on(self, draining: trio.Event) -> None:
        await draining.wait()
        self.drain()

    async def _read(self, first: bytes) -> None:
        data: bytes | bytearray = first
        handshake_until = trio.current_time() + self._times.handshake_s
        pinged = False
        while True:
            if not await self._work_off_untrusted(data):
                break
            while self._server.control_bytes > UNREAD_MAX:
                await self._written.wait()  # the writer has a deadline
            deadline = trio.current_time() + (self._times.pong_s if pinged else self._times.keepalive_s)
            with trio.CancelScope(deadline=deadline if self._server.established else handshake_until) as scope:
                data = await self._stream.receive_some(READ_BYTES)
            if scope.cancelled_caught:
                if pinged or not self._server.established:
                    self._log.info("%s: closed: it is silent", self._peer)
                    break
                pinged, data = True, b""
                self._server.ping()
                _poke(self._wake)
            elif not data:
                break
            else:
                pinged = False
        self._ended = True
        _poke(self._wake)

    async def _work_off_untrusted(self, data: bytes | bytearray) -> bool:
        """False: the connection is over."""
        for start in range(0, len(data), AT_ONCE_BYTES):
            if start:
                await trio.lowlevel.checkpoint()
            if not self._take_untrusted(data[start : start + AT_ONCE_BYTES]):
                return False
        return True

    def _take_untrusted(self, data: bytes | bytearray) -> bool:
        """False: the connection is over."""
        try:
            self._server.receive_untrusted(data, trio.current_time())
        except RemoteProtocolError as error:
            self._log.info("%s: closed: %s", self._peer, error)
            return False
        with self._backend.together():
            self._dispatch()
        if self._server.pending or self._server.finished:
            _poke(self._wake)
        return True

    def _dispatch(self) -> None:
        now = trio.current_time()
        while events := self._server.events():
            for event in events:
                self._calls.on_event(event, now)

    async def _write(self) -> None:
        while True:
            while data := self._server.data_to_send():
                self._dispatch()
                with trio.fail_after(self._times.stall_s):
                    await self._stream.send_all(data)
                self._written.set()
                self._written = trio.Event()
            if self._ended or self._server.finished:
                return
            await self._woken.receive()

    async def _keep_deadlines(self) -> None:
        """Of the calls, and of replies that stand behind a window."""
        unread: dict[int, int] = {}
        look_at = trio.current_time() + self._times.stall_s
        while True:
            with trio.CancelScope(deadline=min(self._calls.next_due, look_at)):
                await self._rechecks.receive()
                continue
            now = trio.current_time()
            self._calls.expire(now)
            if now >= look_at:
                before, unread = unread, self._server.finishing()
                for stream_id, size in unread.items():
                    if before.get(stream_id) == size:
                        self._log.info("%s: a reply is dropped: the client does not read it", self._peer)
                        self._server.reset(stream_id)
                _poke(self._wake)
                look_at = now + self._times.stall_s

    async def _linger(self) -> None:
        """Closing with unread bytes would reset the connection, and our last words with it."""
        with trio.move_on_after(self._times.linger_s), contextlib.suppress(trio.BrokenResourceError):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(READ_BYTES):
                pass


def _poke(channel: trio.MemorySendChannel[None]) -> None:
    with contextlib.suppress(trio.WouldBlock):
        channel.send_nowait(None)
