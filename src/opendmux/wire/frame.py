"""The OpenD TCP frame and the numbers that stand in it."""

from __future__ import annotations

import enum

from opendmux.native import HEADER_LEN, Frame, Splitter, body_sha1, build_frame

__all__ = [
    "HEADER_LEN",
    "MAX_CLIENT_BODY",
    "MAX_UPSTREAM_BODY",
    "Frame",
    "ProtoFmt",
    "RetType",
    "Splitter",
    "body_sha1",
    "build_frame",
]

MAX_CLIENT_BODY = 16 * 1024 * 1024
"""Largest body read from a client, in bytes. The largest request of the official SDKs, a Qot_Sub of 2,000 securities, is 22 kB;
16 MiB leaves room for unknown ones and still bounds what a hostile header can make us buffer."""

MAX_UPSTREAM_BODY = 64 * 1024 * 1024
"""Largest body read from upstream, in bytes. Nobody documents a maximum; the Python SDK accepts 40 MB, whole-market static info
was seen at some 28 MB."""


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
