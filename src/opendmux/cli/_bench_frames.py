"""What the benchmark says on the wire: OpenD frames, InitConnect and KeepAlive of both sides, the bodies of the load.

Built by hand: a benchmark that measures opendmux's codec does not rest on it.
"""

from __future__ import annotations

import hashlib
import struct
import time

HEADER = struct.Struct("<2sIBBII20s8x")

INIT_CONNECT, GLOBAL_STATE, KEEP_ALIVE = 1001, 1002, 1004
BASIC_QUOTE = 3004
"""What the load asks for: an id that proxies pass on without a look at the body."""

SERVER_VERSION = 1009
READY = 10
"""Common.ProgramStatusType: usable."""

KEEP_ALIVE_INTERVAL = 10
"""Seconds, as the stub announces it; clients send one each 4/5 of it, as the SDK does."""


def build_frame(proto_id: int, serial_no: int, body: bytes) -> bytes:
    return HEADER.pack(b"FT", proto_id, 0, 0, serial_no, len(body), hashlib.sha1(body).digest()) + body


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, value: int | bytes) -> bytes:
    """One protobuf field: a varint, or a string or message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def init_connect_body() -> bytes:
    return field(1, field(1, 300) + field(2, b"opendmux-bench") + field(3, 0))


def keep_alive_body() -> bytes:
    return field(1, field(1, int(time.time())))


def load_body(size: int) -> bytes:
    """A body of ``size`` bytes, 2 at least, that parses as a Response with retType 0 and one unknown field.

    Varints are padded to the length that makes it come out even.
    """
    if size < 8:
        return b"\x08" + b"\x80" * (size - 2) + b"\x00"
    filler = size - 7
    length = bytes((filler >> shift & 0x7F | 0x80) for shift in (0, 7, 14)) + bytes([filler >> 21])
    return b"\x08\x00" + b"\x7a" + length + (bytes(range(256)) * (filler // 256 + 1))[:filler]


def answer_control(connection: int, proto_id: int, serial_no: int, _body: bytes) -> bytes:
    """The stub's reply to 1001, 1002 or 1004, a whole frame."""
    now = int(time.time())
    if proto_id == INIT_CONNECT:
        s2c = field(1, SERVER_VERSION) + field(2, 100001) + field(3, connection) + field(4, b"0123456789abcdef")
        s2c += field(5, KEEP_ALIVE_INTERVAL) + field(7, 1)
    elif proto_id == GLOBAL_STATE:
        s2c = b"".join(field(number, 0) for number in range(1, 6)) + field(6, 1) + field(7, 1)
        s2c += (
            field(8, SERVER_VERSION) + field(9, 1) + field(10, now) + field(12, field(1, READY)) + field(16, connection)
        )
    else:
        s2c = field(1, now)
    return build_frame(proto_id, serial_no, field(1, 0) + field(4, s2c))
