"""Which protocol a client speaks, told by its first bytes."""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["Kind", "sniff"]


class Kind(enum.Enum):
    """What a port can be spoken to in."""

    OPEND = "opend"
    """OpenD's own frames; also everything that is nothing else, for a session says best what is wrong with it."""
    HTTP2 = "http2"
    HTTP1 = "http1"
    TLS = "tls"


PREFACE: Final = b"PRI"
"""No method of HTTP/1.1 begins like HTTP/2's preface."""
TLS_HANDSHAKE: Final = 0x16


def sniff(first: bytes) -> Kind | None:
    """The protocol that begins with these bytes; None when more of them are needed, which is never after three."""
    if not first:
        return None
    letter = first[0]
    if letter == TLS_HANDSHAKE:
        return Kind.TLS
    if letter == ord("F") or not ord("A") <= letter <= ord("Z"):
        return Kind.OPEND
    if PREFACE.startswith(first[: len(PREFACE)]):
        return Kind.HTTP2 if len(first) >= len(PREFACE) else None
    return Kind.HTTP1
