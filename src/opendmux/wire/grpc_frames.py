"""HTTP/2 frames cut out of a byte stream, and what is refused before anything looks inside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from opendmux.errors import RemoteProtocolError

from .grpc_guard import GrpcLimits, Patience

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FRAME_MAX", "PREFACE", "FrameCutter", "FrameError"]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of every client."""
FRAME_MAX: Final = 16_384
"""HTTP/2's default; no client needs more of us."""
HEADER_BLOCK_MAX: Final = 64 * 1024
"""Compressed header bytes of one block, over its CONTINUATION frames."""

_HEAD_LEN: Final = 9
_ACK: Final = 1
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_HEADER_TYPES: Final = frozenset({HeadersFrame.type, ContinuationFrame.type})
_MOVING_TYPES: Final = frozenset({DataFrame.type, RstStreamFrame.type, WindowUpdateFrame.type}) | _HEADER_TYPES


class FrameError(RemoteProtocolError):
    """The connection must end with this code."""

    def __init__(self, code: ErrorCodes, text: str) -> None:
        super().__init__(text)
        self.code = code


class FrameCutter:
    """Holds at most one frame. The preface comes out first, as if it were one."""

    def __init__(self, limits: GrpcLimits) -> None:
        self._held = bytearray()
        self._preface_seen = False
        self._block = 0
        """Bytes of the header block that is being received; 0: none is."""
        self._idle = Patience(limits.idle_burst, limits.idle_per_s)
        self._settings = Patience(limits.settings_burst, limits.settings_per_s)
        self._updates_max = limits.idle_burst
        self._updates = 0

    def feed_untrusted(self, data: Buffer, now: float) -> Iterator[bytes]:
        """Whole frames, one at a time. Raises FrameError; nothing may be fed afterwards."""
        held = self._held
        held += data
        at = 0
        if not self._preface_seen:
            got = bytes(held[: len(PREFACE)])
            if not PREFACE.startswith(got):
                raise FrameError(ErrorCodes.PROTOCOL_ERROR, "the connection does not begin with HTTP/2's preface")
            if len(got) < len(PREFACE):
                return
            self._preface_seen = True
            at = len(PREFACE)
            yield PREFACE
        while len(held) - at >= _HEAD_LEN:
            size = int.from_bytes(held[at : at + 3])
            if size > FRAME_MAX:
                raise FrameError(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {size} bytes is over {FRAME_MAX}")
            end = at + _HEAD_LEN + size
            if end > len(held):
                break
            frame = bytes(held[at:end])
            self._check_untrusted(frame, now)
            yield frame
            at = end
        del held[:at]

    def _check_untrusted(self, frame: bytes, now: float) -> None:
        kind, flags = frame[3], frame[4]
        if kind in _HEADER_TYPES:
            self._block += len(frame)
            if self._block > HEADER_BLOCK_MAX:
                raise FrameError(ErrorCodes.ENHANCE_YOUR_CALM, f"a header block over {HEADER_BLOCK_MAX} bytes")
            if flags & _END_HEADERS:
                self._block = 0
        elif self._block:
            raise FrameError(ErrorCodes.PROTOCOL_ERROR, "another frame inside a header block")
        moves = kind in _MOVING_TYPES
        if kind == DataFrame.type:
            moves = len(frame) > _HEAD_LEN or bool(flags & _END_STREAM)
        elif kind == WindowUpdateFrame.type:
            moves = self._updates > 0
            self._updates -= moves
        if not moves:
            self.moved_nothing_untrusted(now)
        if kind == SettingsFrame.type and not flags & _ACK and not self._settings.spend(now):
            raise FrameError(ErrorCodes.ENHANCE_YOUR_CALM, "too many changes of settings")

    def moved_nothing_untrusted(self, now: float) -> None:
        """Such a frame came. Raises FrameError when there were too many."""
        if not self._idle.spend(now):
            raise FrameError(ErrorCodes.ENHANCE_YOUR_CALM, "too many frames that move nothing")

    def expect_updates(self) -> None:
        """Data were sent: the windows of their call and of the connection may be opened again."""
        self._updates = min(self._updates + 2, self._updates_max)
