"""Pure twin of _framing, written to be read: this is the specification. The contract is in _framing.pyi."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from opendmux.errors import LocalProtocolError, RemoteProtocolError

from ._tables import N_PROTOCOLS, PROTO_INDEX, PUSH_INDEXES

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["HEADER_LEN", "Frame", "Splitter", "abi", "body_sha1", "build_frame", "sha1_backend"]

HEADER_LEN: Final = 44

_MAGIC: Final = b"FT"
_HEADER: Final = struct.Struct("<2sIBBII20s8s")
_SHA1_LEN: Final = 20
_U8_MAX: Final = 0xFF
_U32_MAX: Final = 0xFFFF_FFFF


def _check_fields(proto_id: int, proto_fmt: int, serial_no: int, sha1: bytes | None) -> None:
    for value, largest in ((proto_id, _U32_MAX), (proto_fmt, _U8_MAX), (serial_no, _U32_MAX)):
        if not 0 <= value <= largest:
            raise OverflowError(f"{value} does not fit into its field")
    if sha1 is not None and len(sha1) != _SHA1_LEN:
        raise ValueError(f"a SHA-1 digest has {_SHA1_LEN} bytes, not {len(sha1)}")


@final
@dataclass(frozen=True, slots=True, repr=False)
class Frame:
    """One frame as it stood on the wire."""

    proto_id: int
    proto_fmt: int
    serial_no: int
    sha1: bytes
    body: bytes

    def __post_init__(self) -> None:
        _check_fields(self.proto_id, self.proto_fmt, self.serial_no, self.sha1)

    def sha1_matches(self) -> bool:
        return self.sha1 == body_sha1(self.body)

    def __repr__(self) -> str:
        return (
            f"<Frame proto_id={self.proto_id} proto_fmt={self.proto_fmt} serial_no={self.serial_no} "
            f"body_len={len(self.body)}>"
        )


@final
class Splitter:
    """Cut a byte stream into frames."""

    def __init__(self, max_body: int) -> None:
        if not 0 <= max_body <= _U32_MAX:
            raise ValueError(f"max_body must be a 32-bit number, not {max_body}")
        self._max_body = max_body
        self._held = bytearray()
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        return self._failure

    @property
    def pending(self) -> int:
        return len(self._held)

    def feed_untrusted(self, data: Buffer) -> list[Frame]:
        if self._failure is not None:
            raise RemoteProtocolError(self._failure)
        self._held += memoryview(data)
        frames = []
        while (frame := self._next_frame()) is not None:
            frames.append(frame)
        if self._failure is not None and not frames:
            raise RemoteProtocolError(self._failure)
        return frames

    def _next_frame(self) -> Frame | None:
        """Take one whole frame from what is held; None when there is none, or none any more."""
        if not _MAGIC.startswith(self._held[: len(_MAGIC)]):
            self._fail("a frame does not start with FT")
            return None
        if len(self._held) < HEADER_LEN:
            return None
        _, proto_id, proto_fmt, _, serial_no, body_len, sha1, _ = _HEADER.unpack_from(self._held)
        if body_len > self._max_body:
            self._fail(f"body_len {body_len} of proto_id {proto_id} is over the limit of {self._max_body}")
            return None
        end = HEADER_LEN + body_len
        if len(self._held) < end:
            return None
        body = bytes(self._held[HEADER_LEN:end])
        del self._held[:end]
        return Frame(proto_id, proto_fmt, serial_no, sha1, body)

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._held.clear()


def build_frame(proto_id: int, proto_fmt: int, serial_no: int, body: Buffer, sha1: bytes | None = None) -> bytes:
    _check_fields(proto_id, proto_fmt, serial_no, sha1)
    view = memoryview(body)
    if view.nbytes > _U32_MAX:
        raise LocalProtocolError(f"a body of {view.nbytes} bytes does not fit into a frame")
    digest = body_sha1(view) if sha1 is None else sha1
    return _HEADER.pack(_MAGIC, proto_id, proto_fmt, 0, serial_no, view.nbytes, digest, b"") + view


def body_sha1(data: Buffer) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def sha1_backend() -> str:
    return "hashlib"


def abi() -> tuple[int, int, dict[int, int], frozenset[int]]:
    return max(PROTO_INDEX), N_PROTOCOLS, PROTO_INDEX, PUSH_INDEXES
