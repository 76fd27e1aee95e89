"""Frames of a WebSocket (RFC 6455), as far as they must be known before a library takes them apart.

A message must be bounded when it is announced, and not when it has been put together; and when nothing more may be read
the reason must still be said.
"""

from __future__ import annotations

from typing import Final

from opendmux.errors import RemoteProtocolError

__all__ = ["FRAMES_MAX", "CloseCode", "MessageGuard", "close_frame", "cut"]

FRAMES_MAX: Final = 4096
"""Pieces of one message. Libraries send a large message in a handful; a million empty ones would be an attack."""


class CloseCode:
    """Why a WebSocket is closed (RFC 6455, 7.4.1)."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED: Final = 1003
    POLICY: Final = 1008
    TOO_BIG: Final = 1009
    INTERNAL: Final = 1011
    RESTART: Final = 1012


def close_frame(code: int, reason: str) -> bytes:
    """A server's close frame. The reason is cut to what one frame may hold."""
    text = cut(reason).encode()
    return bytes([0x88, 2 + len(text)]) + code.to_bytes(2, "big") + text


def cut(reason: str) -> str:
    """So much of the text as a close frame may hold: 123 bytes of UTF-8."""
    return reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")


class MessageGuard:
    """Follows the frames of a client, which are masked. ``limit``: the largest message, in bytes; it may be changed at
    any time and counts from the next frame head on."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._head = bytearray()
        self._skip = 0
        """Payload that is still to come of the present frame."""
        self._frames = 0
        """Of the present message."""
        self.size = 0
        """Bytes announced of the message that is not complete; 0 between two messages."""
        self.held = 0
        """Bytes of it that have come."""
        self._control = False
        self._fin = True

    @property
    def skipping(self) -> int:
        """Payload that is still to come of the present frame, in bytes."""
        return self._skip

    def feed_untrusted(self, data: bytes | bytearray) -> None:
        """Look at a chunk. Raises RemoteProtocolError for a message over the limit; nothing may be fed after that."""
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                self.held += 0 if self._control else step
            else:
                self._head.append(data[at])
                at += 1
                if len(self._head) < 2 or len(self._head) < self._head_len():
                    continue
                self._begin_untrusted()
            if not self._skip and not self._head and self._fin:
                self.size = self.held = self._frames = 0

    def _head_len(self) -> int:
        code = self._head[1] & 0x7F
        return 2 + (2 if code == 126 else 8 if code == 127 else 0) + (4 if self._head[1] & 0x80 else 0)

    def _begin_untrusted(self) -> None:
        head, code = self._head, self._head[1] & 0x7F
        length = int.from_bytes(head[2:4]) if code == 126 else int.from_bytes(head[2:10]) if code == 127 else code
        self._control = bool(head[0] & 0x08)
        fin = bool(head[0] & 0x80)
        head.clear()
        self._skip = length
        if self._control:
            return
        self._fin = fin
        self.size += length
        self._frames += 1
        if self.size > self.limit:
            raise RemoteProtocolError(f"a message of {self.size} bytes; at most {self.limit} are taken here")
        if self._frames > FRAMES_MAX:
            raise RemoteProtocolError(f"a message in more than {FRAMES_MAX} pieces")
