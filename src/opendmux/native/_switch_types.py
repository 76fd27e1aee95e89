"""The numbers and tuples that both switches speak; what they mean is said in `_switch.pyi`."""

from __future__ import annotations

from typing import Final, NamedTuple

PASS: Final = 0
INSPECT: Final = 1
LOCAL: Final = 2
DENY: Final = 3
NATIVE: Final = 0
EVENT: Final = 1
HOLD: Final = 2

BODY_FREE: Final = 4096

LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

FRAME: Final = 0
BAD_SHA1: Final = 1
BAD_MAGIC: Final = 2
TOO_LARGE: Final = 3
NO_ROOM: Final = 4

REPLY: Final = 0
REPLY_BAD_SHA1: Final = 1
OVERFLOW: Final = 2
STREAM_LOST: Final = 3


class ClientEvent(NamedTuple):
    kind: int
    action: int
    proto_id: int
    proto_fmt: int
    serial_no: int
    body: bytes


class Entry(NamedTuple):
    slot: int
    generation: int
    serial_no: int
    upstream_serial: int
    proto_id: int
    proto_fmt: int
    token: object
    link: int
    start_ns: int
    reply: int
    waiters: tuple[tuple[int, int, int], ...]


class LinkEvent(NamedTuple):
    kind: int
    entry: Entry | None
    body: bytes
    proto_fmt: int
    ticket: int


class Push(NamedTuple):
    proto_id: int
    proto_fmt: int
    frame: bytes


class LinkBatch(NamedTuple):
    dirty: list[int]
    events: list[LinkEvent]
    pushes: list[Push]
    bad_pushes: int
    strays: int


class Counters(NamedTuple):
    frames_in: int
    bytes_in: int
    passed: int
    frames_out: int
    bytes_out: int
    upstream_frames_in: int
    upstream_bytes_in: int
    strays: int
    bad_sha1: int
    conflated: int
    pushes_in: int
    pushes_out: int
    overflows: int
    outbox_bytes: int
    unread_bytes: int
    pending: int


class SlotFigures(NamedTuple):
    frames_in: int
    pushes_out: int
    outbox_bytes: int
    in_flight: int
