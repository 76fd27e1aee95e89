"""The bodies of requests: how long they may be, how slowly they may come, how much memory all of them may take."""

from __future__ import annotations

from typing import Final

import trio

from opendmux.wire.http import Body, Broken, EndOfRequest, HttpServer

from ._http_peer import receive, send
from ._http_refusal import RefusedError

__all__ = ["BODY_S", "KEPT_BYTES", "PIECES_AT_ONCE", "SMALL_BYTES", "BodyPool", "BodyReader"]

BODY_S: Final = 60.0
"""For the whole body of a request."""
BODIES_BYTES: Final = 64 * 1024 * 1024
"""Bodies of all requests together."""

SMALL_BYTES: Final = 64 * 1024
KEPT_BYTES: Final = 16 * 1024 * 1024
PIECES_AT_ONCE: Final = 64
"""Of what has been read. Chunks of a byte cost as much as large ones, and nobody else is served meanwhile."""


class BodyPool:
    """The memory for bodies of requests, shared by all connections.

    ``kept``: so much of it is only for bodies up to `SMALL_BYTES`. A few clients that send large ones slowly must not
    keep anybody from sending an order.
    """

    def __init__(self, limit: int = BODIES_BYTES, kept: int = KEPT_BYTES) -> None:
        self._free = limit
        self._kept = kept

    def take(self, size: int, held: int = 0) -> bool:
        """``held``: what the same body has taken before. False: there is not so much left for it."""
        if size > self._free - (self._kept if held + size > SMALL_BYTES else 0):
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        """What was taken is not used any more."""
        self._free += size


class BodyReader:
    """The bodies of one connection's requests, one after the other."""

    def __init__(self, stream: trio.abc.Stream, wire: HttpServer, pool: BodyPool) -> None:
        self._stream = stream
        self._wire = wire
        self._pool = pool
        self._held = 0

    async def read(self, limit: int) -> bytes:
        """The whole body of the present request. Raises RefusedError when it is too long, too slow or broken, or there
        is no memory for it, and GoneError. Cancellation: the connection can't go on."""
        body = bytearray()  # not a list of pieces: those of a byte would take many times the memory that is counted
        pieces = 0
        with trio.move_on_after(BODY_S):
            await send(self._stream, self._wire.go_on())
            while True:
                event = self._wire.next_event()
                if event is None:
                    self._wire.receive_untrusted(await receive(self._stream))
                elif isinstance(event, Body):
                    if not self._pool.take(len(event.data), self._held):
                        raise RefusedError(503, "memory", "the memory for requests is used up")
                    self._held += len(event.data)
                    body += event.data
                    if self._held > limit:
                        raise RefusedError(413, "body", f"the body is longer than {limit} bytes")
                    pieces += 1
                    if pieces % PIECES_AT_ONCE == 0:
                        await trio.lowlevel.checkpoint()
                elif isinstance(event, EndOfRequest):
                    return bytes(body)
                else:
                    assert isinstance(event, Broken), "a body ends or breaks"
                    raise RefusedError(event.status, "malformed", event.text)
        raise RefusedError(408, "slow", f"the body was not complete within {BODY_S:g} s")

    def release(self) -> None:
        """The request is over: its memory is free. Harmless when nothing was read."""
        self._pool.give(self._held)
        self._held = 0
