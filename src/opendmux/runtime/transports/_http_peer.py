"""The bytes of one HTTP connection: every wait for the peer has a deadline, and it may leave at any time."""

from __future__ import annotations

from typing import Final

import trio

__all__ = ["LINGER_S", "WRITE_S", "GoneError", "receive", "send"]

WRITE_S: Final = 10.0
"""For the peer to take one answer, or one piece of it."""
SEND_BYTES: Final = 64 * 1024
"""A longer answer is sent in pieces of so much, each with a deadline of its own."""
LINGER_S: Final = 1.0
"""After the last answer the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the answer before the peer has read it."""
READ_BYTES: Final = 16 * 1024


class GoneError(Exception):
    """The peer breaks off, or takes no bytes."""


async def receive(stream: trio.abc.Stream) -> bytes:
    """What has come; b"" at the end. Raises GoneError. The deadline is the caller's."""
    try:
        return bytes(await stream.receive_some(READ_BYTES))
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise GoneError("the connection broke") from error


async def send(stream: trio.abc.Stream, data: bytes) -> None:
    """All of it. Raises GoneError. Cancellation: an unknown part is sent."""
    view = memoryview(data)
    for start in range(0, len(view), SEND_BYTES):
        with trio.move_on_after(WRITE_S) as scope:
            try:
                await stream.send_all(view[start : start + SEND_BYTES])
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise GoneError("the connection broke") from error
        if scope.cancelled_caught:
            raise GoneError(f"the peer took no answer for {WRITE_S:g} s")
