"""What the pure switch keeps and cuts: frames, slots, links, pending requests, and the checks of its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from ._pure import HEADER_LEN, body_sha1
from ._switch_types import BAD_MAGIC, HOLD, NO_ROOM, TOO_LARGE, Entry, LinkBatch, LinkEvent, Push
from ._tables import N_PROTOCOLS

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._pure_outbox import Outbox

MAX_LINKS: Final = 16
MAX_U32: Final = 2**32 - 1
SERIALS_RESTART: Final = 0xF000_0000
"""A link whose serials have come so far begins at 1 again after its next reset."""
MAX_I64: Final = 2**63 - 1
MAX_BODY: Final = 2**31 - 1

HEADER: Final = Struct("<2sIBxII20s8x")
"""flag, proto_id, proto_fmt, serial_no, body_len, body_sha1; proto_ver and reserved are not looked at."""


def checked(what: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"{what} out of range")
    return value


def checked_row(row: bytes) -> bytes:
    if len(row) != N_PROTOCOLS + 1:
        raise ValueError(f"a row has {N_PROTOCOLS + 1} cells")
    if any(cell >> 2 & 3 > HOLD for cell in row):
        raise ValueError("no such reply action")
    return row


def checked_frame(data: Buffer) -> bytes:
    """The lanes hold whole frames, whatever a caller hands in."""
    frame = bytes(data)
    body_len = int.from_bytes(frame[12:16], "little")
    if len(frame) < HEADER_LEN or not frame.startswith(b"FT") or len(frame) != HEADER_LEN + body_len:
        raise ValueError("not one whole frame")
    return frame


def is_ahead(serial: int, other: int) -> bool:
    """Serials wrap, so "grows" means: is less than half a turn ahead."""
    return 0 < (serial - other) % 2**32 < 2**31


class WholeFrame(NamedTuple):
    proto_id: int
    proto_fmt: int
    serial_no: int
    sha1: bytes
    raw: bytes
    """As it stood on the wire, with its header."""

    @property
    def body(self) -> bytes:
        return self.raw[HEADER_LEN:]

    @property
    def is_intact(self) -> bool:
        return self.sha1 == body_sha1(self.body)


class Lost(NamedTuple):
    """The stream can't be cut any further."""

    kind: int
    proto_id: int
    proto_fmt: int
    serial_no: int


def cut_untrusted(data: bytes, max_body: int) -> WholeFrame | Lost | None:
    """What stands at the start of ``data``; None when that is not known yet."""
    if not b"FT".startswith(data[:2]):
        return Lost(BAD_MAGIC, 0, 0, 0)
    if len(data) < HEADER_LEN:
        return None
    _flag, proto_id, proto_fmt, serial_no, body_len, sha1 = HEADER.unpack_from(data)
    if body_len > max_body:
        return Lost(TOO_LARGE, proto_id, proto_fmt, serial_no)
    size = HEADER_LEN + body_len
    return WholeFrame(proto_id, proto_fmt, serial_no, sha1, data[:size]) if len(data) >= size else None


def no_room_untrusted(data: bytes, max_body: int) -> Lost:
    """Why a stream ends whose unread bytes find no room."""
    cut = cut_untrusted(data, max_body)
    if isinstance(cut, Lost):
        return cut
    if len(data) < HEADER_LEN:
        return Lost(NO_ROOM, 0, 0, 0)
    _flag, proto_id, proto_fmt, serial_no, _body_len, _sha1 = HEADER.unpack_from(data)
    return Lost(NO_ROOM, proto_id, proto_fmt, serial_no)


@dataclass(slots=True, eq=False)
class Slot:
    number: int
    generation: int
    row: bytes
    timeout_ns: int
    max_in_flight: int
    outbox: Outbox
    max_body: int
    row_epoch: int = 0
    links: list[int] = field(default_factory=lambda: [0] * MAX_LINKS)
    in_flight: int = 0
    kept: bytes = b""
    """Bytes of the client that are not looked at yet."""
    elsewhere: int = 0
    """How many bytes like these the caller holds."""
    unread: int = 0
    """Both, as they are counted for all."""
    deaf: bool = False
    """Nothing more is read from this client."""
    frames_in: int = 0
    pushes_out: int = 0


@dataclass(slots=True, eq=False)
class Link:
    number: int
    ready: bool = False
    unsent: bytes = b""
    kept: bytes = b""
    deaf: bool = False
    reserved: int = 0
    """The serial given out last."""
    serial: int = 0
    """The serial used last."""


@dataclass(slots=True, eq=False)
class Pending:
    slot: int
    generation: int
    serial_no: int
    upstream_serial: int
    proto_id: int
    proto_fmt: int
    token: object
    link: int
    start_ns: int
    deadline_ns: int
    reply: int
    waiters: list[tuple[int, int, int]] = field(default_factory=list)

    def entry(self) -> Entry:
        return Entry(
            self.slot,
            self.generation,
            self.serial_no,
            self.upstream_serial,
            self.proto_id,
            self.proto_fmt,
            self.token,
            self.link,
            self.start_ns,
            self.reply,
            tuple(self.waiters),
        )


@dataclass(slots=True, eq=False)
class Batch:
    """What one chunk from upstream led to."""

    dirty: list[int] = field(default_factory=list)
    events: list[LinkEvent] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    bad_pushes: int = 0
    strays: int = 0
    now_ns: int = 0

    def result(self) -> LinkBatch:
        return LinkBatch(self.dirty, self.events, self.pushes, self.bad_pushes, self.strays)
