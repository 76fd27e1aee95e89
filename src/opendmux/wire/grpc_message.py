"""Length-prefixed messages of gRPC: cutting them out of a stream's bytes, and decompressing them."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from .grpc_status import CallError, Code

__all__ = ["ENCODINGS", "PREFIX_LEN", "Assembler", "prefix"]

PREFIX_LEN: Final = 5
ENCODINGS: Final = (b"identity", b"gzip")
"""What requests may be compressed with."""
_PREFIX: Final = struct.Struct(">BI")
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def prefix(size: int) -> bytes:
    """What goes before an uncompressed message of so many bytes."""
    return _PREFIX.pack(0, size)


class Assembler:
    """The messages of one stream's requests. ``encoding``: its grpc-encoding, one of ENCODINGS.

    Holds at most one message. ``max_bytes`` limits it before and after decompression, and is checked at its prefix.
    """

    def __init__(self, encoding: bytes, max_bytes: int) -> None:
        self.gzip = encoding == b"gzip"
        """Messages may be larger than what was received."""
        self._max = max_bytes
        self._held = bytearray()
        self.missing = 0
        """So many more bytes are known to be needed before the message that has begun is whole; 0 between two."""

    def narrow(self, max_bytes: int) -> None:
        """A lower limit from now on, for the message that has begun as well."""
        self._max = min(self._max, max_bytes)

    def feed_untrusted(self, data: bytes) -> list[bytes]:
        """Whole messages. Raises CallError; the stream is finished then."""
        held = self._held
        held += data
        messages: list[bytes] = []
        at = 0
        self.missing = 0
        while at < len(held):
            if len(held) - at < PREFIX_LEN:
                self.missing = PREFIX_LEN - (len(held) - at)
                break
            flag, size = _PREFIX.unpack_from(held, at)
            if size > self._max:
                raise self._too_large(size)
            end = at + PREFIX_LEN + size
            if end > len(held):
                self.missing = end - len(held)
                break
            message = bytes(memoryview(held)[at + PREFIX_LEN : end])
            messages.append(self._plain_untrusted(flag, message) if flag else message)
            at = end
        if at:
            del held[:at]
        return messages

    def _plain_untrusted(self, flag: int, message: bytes) -> bytes:
        if flag != 1:
            raise CallError(Code.INTERNAL, f"a message's compressed flag is 0 or 1, not {flag}")
        if not self.gzip:
            raise CallError(Code.INTERNAL, "a compressed message without a grpc-encoding")
        engine = zlib.decompressobj(_GZIP_WINDOW)
        try:
            plain = engine.decompress(message, self._max + 1)
        except zlib.error as error:
            raise CallError(Code.INTERNAL, f"a message is no gzip: {error}") from error
        if len(plain) > self._max:
            raise self._too_large(len(plain))
        if not engine.eof or engine.unused_data:
            raise CallError(Code.INTERNAL, "a message is not exactly one whole gzip stream")
        return plain

    def _too_large(self, size: int) -> CallError:
        return CallError(Code.RESOURCE_EXHAUSTED, f"a request of {size} bytes is over the limit of {self._max}")
