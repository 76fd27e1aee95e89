"""The OpenD TCP frame and the numbers that stand in it."""

from __future__ import annotations

import enum

from opendmux.native import HEADER_LEN, Frame, Splitter, body_sha1, build_frame

__all__ = [
    "HEADER_LEN",
    "Frame",
    "ProtoFmt",
    "RetType",
    "Splitter",
    "body_sha1",
    "build_frame",
]


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
