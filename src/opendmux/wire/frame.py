"""The OpenD TCP frame and the numbers that stand in it."""

from __future__ import annotations

import enum
from typing import Final

from opendmux.native import HEADER_LEN, Frame, Splitter, body_sha1, build_frame

__all__ = [
    "HEADER_LEN",
    "PROTO_FMT_AT",
    "UNDECIDED",
    "Frame",
    "ProtoFmt",
    "RetType",
    "Splitter",
    "body_sha1",
    "build_frame",
]

PROTO_FMT_AT: Final = 6
"""Where proto_fmt stands in a frame's header."""


class ProtoFmt(enum.IntEnum):
    """proto_fmt of the header: how the body is encoded."""

    PROTOBUF = 0
    JSON = 1


class RetType(enum.IntEnum):
    """retType of a Response (Common.RetType)."""

    SUCCEED = 0
    FAILED = -1
    TIME_OUT = -100
    DISCONNECT = -200
    UNKNOWN = -400
    INVALID = -500


UNDECIDED: Final = frozenset({RetType.TIME_OUT, RetType.DISCONNECT, RetType.UNKNOWN})
"""Values of retType after which nobody can tell whether OpenD did what it was asked."""
