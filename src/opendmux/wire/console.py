"""OpenD's operation console (its Telnet port): a command is a line, the answer is lines without an end marker.

``command -key=value -key=value`` and CR LF go out, in ASCII: OpenD drops a line that ends in LF alone. What comes back
is GB2312 text; it is read as GB18030, which holds GB2312 and every character that came later. How OpenD words its
answers is not documented, nor whether it greets or negotiates as Telnet may: negotiation is passed over, and text is
taken as it comes.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Final

from opendmux.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["CHARSET", "LINE_END", "REPLY_BYTES_MAX", "ReplyReader", "command_line"]

CHARSET: Final = "gb18030"
LINE_END: Final = b"\r\n"
REPLY_BYTES_MAX: Final = 256 * 1024
"""Of one answer. The longest is a list of all subscriptions: 2,000 of them at a hundred bytes each."""

_IAC, _SE, _SB, _OPTIONS = 255, 240, 250, frozenset({251, 252, 253, 254})
"""Of Telnet's negotiation (RFC 854). 255 begins no character of GB18030 and stands in none."""


def command_line(command: str, parameters: Mapping[str, str]) -> bytes:
    """The line as OpenD reads it. Raises LocalProtocolError for what would be another line or another parameter."""
    words = [command, *(f"-{name}={value}" for name, value in parameters.items())]
    for word in words:
        if not word.isascii() or not word.isprintable() or " " in word:
            raise LocalProtocolError("a command of OpenD's console has only printable ASCII characters and no spaces")
    return " ".join(words).encode("ascii") + LINE_END


class ReplyReader:
    """Puts an answer together from bytes in any cuts. ``limit``: how many of them it takes."""

    def __init__(self, limit: int = REPLY_BYTES_MAX) -> None:
        self._decoder = codecs.getincrementaldecoder(CHARSET)("replace")
        self._left = limit
        self._parts: list[str] = []
        self._negotiation: bytearray | None = None

    def feed_untrusted(self, chunk: bytes) -> None:
        """Raises RemoteProtocolError when the answer is longer than the limit; what fits is kept."""
        fits = chunk[: self._left]
        self._left -= len(fits)
        self._parts.append(self._decoder.decode(self._text_in(fits)))
        if len(fits) < len(chunk):
            raise RemoteProtocolError("the answer is longer than this proxy takes")

    def lines(self) -> list[str]:
        """The answer, to be asked for at its end: half a character becomes a replacement sign. Lines without what
        ends them; empty ones at the end are left out."""
        text = "".join(self._parts) + self._decoder.decode(b"", final=True)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        return lines

    def _text_in(self, data: bytes) -> bytes:
        """The bytes without negotiation."""
        if self._negotiation is None and _IAC not in data:
            return data
        text = bytearray()
        for byte in data:
            if self._negotiation is not None:
                self._negotiation.append(byte)
                if _is_whole(self._negotiation):
                    self._negotiation = None
            elif byte == _IAC:
                self._negotiation = bytearray([byte])
            else:
                text.append(byte)
        return bytes(text)


def _is_whole(sequence: bytearray) -> bool:
    """What began with IAC has come to its end."""
    if sequence[1] == _SB:
        if len(sequence) > 3 and sequence[-2:] == bytes((_IAC, _SE)):
            return True
        del sequence[2:-1]  # what is negotiated is not kept, however long it is
        return False
    return len(sequence) == 3 if sequence[1] in _OPTIONS else True
