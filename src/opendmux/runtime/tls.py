"""TLS around a connection whose first bytes have been read.

Theory of operation. A handshake has a deadline and a place among a bounded number; when all places are taken, those
that have stood there for a while lose theirs, so that clients which begin handshakes and go silent hold up nobody for
long. A handshake that fails ends its own connection, with the alert that says why. The contexts are exchanged as a
whole when the files were read again: who is connected keeps the old one, and a file that can't be used changes nothing.

A goodbye (close_notify) is said at every end but a cancellation, so that a client can tell the end from a cut. What
the peer still sends then is read and dropped: closing with unread bytes would reset the connection.
"""

from __future__ import annotations

import logging
import math
import ssl
from collections.abc import Callable
from typing import Final

import trio

from opendmux.errors import RemoteProtocolError

from .certificates import Contexts, key_id_untrusted

__all__ = ["HandshakeError", "Prefixed", "Tls", "TlsStream"]

log = logging.getLogger("opendmux.tls")

HURRY_S: Final = 1.0
"""A handshake has at least this long, however many wait: some hundred times what a client nearby needs."""
READ_BYTES: Final = 16 * 1024
ALERT_S: Final = 1.0


class HandshakeError(Exception):
    """No TLS connection came about; the text says why, for the log."""


class Prefixed(trio.abc.Stream):
    """A stream of which something has been read already."""

    def __init__(self, stream: trio.abc.Stream, first: bytes) -> None:
        self._stream = stream
        self._first = first

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See `trio.abc.ReceiveStream`."""
        if self._first:
            await trio.lowlevel.checkpoint()
            size = len(self._first) if max_bytes is None else max_bytes
            data, self._first = self._first[:size], self._first[size:]
            return data
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`."""
        await self._stream.aclose()


class TlsStream(trio.abc.HalfCloseableStream):
    """A connection with its handshake done. Made by `Tls.accept`."""

    def __init__(self, inner: trio.SSLStream[Prefixed], transport: Prefixed, key_id: str | None) -> None:
        self._inner = inner
        self._transport = transport
        self._said_goodbye = False
        self.key_id = key_id
        """The key that the client's certificate names."""
        self.alpn: str | None = inner.selected_alpn_protocol()
        """What the client and we agreed to speak; None when it offered nothing."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`. A cancelled one ends the stream."""
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See `trio.abc.ReceiveStream`. After our goodbye there is nothing to be had."""
        if self._said_goodbye:
            await trio.lowlevel.checkpoint()
            return b""
        return await self._inner.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Say goodbye and wait for the peer's; what it still sends is dropped. To be called with a deadline, once
        nobody sends or receives any more. Idempotent."""
        if self._said_goodbye:
            return
        self._said_goodbye = True
        try:
            await self._inner.unwrap()
        except trio.BrokenResourceError:  # its data and our goodbye were under way at the same time
            try:
                while await self._transport.receive_some(READ_BYTES):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
        except trio.ClosedResourceError:
            return

    async def aclose(self) -> None:
        """Close at once; see `send_eof`."""
        await self._transport.aclose()


class Tls:
    """TLS of all ports of the process. ``read``: reads the files; raises ConfigError."""

    def __init__(self, read: Callable[[], Contexts], *, handshakes: int, handshake_s: float) -> None:
        self._read = read
        self.contexts = read()
        self._places = trio.CapacityLimiter(handshakes)
        self._handshake_s = handshake_s
        self._running: dict[trio.CancelScope, float] = {}
        """With the time at which each began, oldest first."""
        self.failed = 0
        """Handshakes that came to nothing."""

    async def reload(self) -> None:
        """Read the files again, for the connections to come. Raises ConfigError; the old ones stay in force then."""
        self.contexts = await trio.to_thread.run_sync(self._read)
        log.info("the certificate was read again; it is good until %s", self.contexts.expires)

    async def accept(self, stream: trio.abc.Stream, first: bytes, alpn: tuple[str, ...]) -> TlsStream:
        """Shake hands. ``first``: what has been read of the stream; ``alpn``: what may be agreed on.

        Raises HandshakeError. Cancellation: the stream is finished.
        """
        try:
            with trio.fail_after(self._handshake_s):
                self._hurry()
                async with self._places:
                    return await self._shake(Prefixed(stream, first), alpn)
        except trio.TooSlowError:
            self.failed += 1
            raise HandshakeError(f"no TLS handshake within {self._handshake_s:g} s") from None
        except HandshakeError:
            self.failed += 1
            raise

    def _hurry(self) -> None:
        """Somebody else wants a place."""
        if self._places.available_tokens == 0:
            for scope, began in self._running.items():
                scope.deadline = min(scope.deadline, began + HURRY_S)

    async def _shake(self, transport: Prefixed, alpn: tuple[str, ...]) -> TlsStream:
        context = self.contexts.by_alpn[alpn]
        inner = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        began = trio.current_time()
        hurried = self._places.statistics().tasks_waiting > 0
        with trio.CancelScope(deadline=began + HURRY_S if hurried else math.inf) as scope:
            self._running[scope] = began
            try:
                await inner.do_handshake()
                return TlsStream(inner, transport, key_id_untrusted(inner.getpeercert()))
            except trio.BrokenResourceError as error:
                await _send_alert(inner, transport)
                raise HandshakeError(f"the TLS handshake failed: {_why(error.__cause__)}") from error
            except RemoteProtocolError as error:
                raise HandshakeError(str(error)) from error
            finally:
                del self._running[scope]
        raise HandshakeError("the TLS handshake took too long while others waited")


async def _send_alert(inner: trio.SSLStream[Prefixed], transport: Prefixed) -> None:
    """Trio drops what OpenSSL has to say about a failed handshake; without it the client can't tell what is wrong."""
    outgoing: ssl.MemoryBIO | None = getattr(inner, "_outgoing", None)
    alert = b"" if outgoing is None else outgoing.read()
    with trio.move_on_after(ALERT_S):
        try:
            if alert:
                await transport.send_all(alert)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def _why(cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the client's certificate is not accepted, {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return (cause.reason or "the client left").lower().replace("_", " ")
    return "the client left"
