"""One POST of JSON to a web address: a small HTTP/1.1 client, for alerts alone.

Nothing of an answer is used but its status. Redirects are not followed: an address that moves is to be configured anew.
The path and the query of an address may be a secret, so texts name its host alone.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import h11
import trio

from opendmux._version import __version__
from opendmux.errors import ConfigError

__all__ = ["Webhook", "WebhookError", "open_webhook"]

HEAD_BYTES: Final = 16 * 1024
"""Of an answer's head."""
READ_BYTES: Final = 4096
FINE: Final = range(200, 300)
TRY_LATER: Final = frozenset({408, 425, 429})


class WebhookError(Exception):
    """It did not arrive, or nobody knows. ``hopeless``: it would not the next time either."""

    def __init__(self, text: str, *, hopeless: bool = False) -> None:
        super().__init__(text)
        self.hopeless = hopeless


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to."""

    host: str
    port: int
    target: str
    """Path and query: may be a secret."""
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self.port}/..."

    async def post(self, body: bytes) -> None:
        """Raises WebhookError. The caller sets the deadline; cancellation may come when it has arrived already."""
        try:
            stream: trio.abc.Stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError as error:
            raise WebhookError(f"{self} can't be reached: {_why(error)}") from error
        if self.tls is not None:
            stream = trio.SSLStream(stream, self.tls, server_hostname=self.host, https_compatible=True)
        try:
            status = await self._exchange(stream, body)
        except trio.BrokenResourceError as error:
            raise WebhookError(f"{self} broke the connection: {_why(error.__cause__ or error)}") from error
        except h11.RemoteProtocolError as error:
            raise WebhookError(f"{self} does not answer in HTTP") from error
        finally:
            await trio.aclose_forcefully(stream)
        if status not in FINE:
            moved = "; redirects are not followed" if 300 <= status < 400 else ""
            hopeless = status < 500 and status not in TRY_LATER
            raise WebhookError(f"{self} answers with status {status}{moved}", hopeless=hopeless)

    async def _exchange(self, stream: trio.abc.Stream, body: bytes) -> int:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == (80 if self.tls is None else 443)
        request = h11.Request(
            method="POST",
            target=self.target,
            headers=[
                ("Host", host if default else f"{host}:{self.port}"),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("User-Agent", f"opendmux/{__version__}"),
                ("Connection", "close"),
            ],
        )
        head = http.send(request) or b""
        await stream.send_all(head + (http.send(h11.Data(data=body)) or b"") + (http.send(h11.EndOfMessage()) or b""))
        while True:
            event = http.next_event()
            if isinstance(event, h11.Response):
                return event.status_code
            if event is h11.NEED_DATA:
                data = await stream.receive_some(READ_BYTES)
                if not data:
                    raise WebhookError(f"{self} closed the connection without an answer")
                http.receive_data(bytes(data))


def open_webhook(url: str, ca: str, what: str) -> Webhook:
    """``url`` has been checked. ``ca``: authorities besides those of the system, a PEM file. Raises ConfigError."""
    parts = urlsplit(url)
    assert parts.hostname, "checked"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme == "http":
        return Webhook(parts.hostname, parts.port or 80, target, None)
    tls = ssl.create_default_context()
    if ca:
        try:
            tls.load_verify_locations(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{what}: the authorities in {ca} can't be read: {error.strerror or error}") from error
    return Webhook(parts.hostname, parts.port or 443, target, tls)


def _why(error: BaseException) -> str:
    """In a few words, without anything of the address."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        if error.errno and not isinstance(error, (ssl.SSLError, socket.gaierror)):
            return os.strerror(error.errno)  # Trio puts the address into the text
        return error.strerror
    if isinstance(error.__cause__, (OSError, BaseExceptionGroup)):  # Trio tries each address of a name
        return _why(error.__cause__)
    return type(error).__name__
