"""The data plane: frames of many client slots onto few upstream links and back.

Theory of operation. The router is a table: each slot carries a policy row, one cell per known proto id. `feed` cuts a
client's chunk into frames, checks length and SHA-1, looks the cell up, and for a PASS cell writes the header with a
fresh upstream serial and the body straight into the link's buffer; nothing of Python is made for that frame. All
other frames come back as events. `link_feed` does the same for the upstream's chunk: a reply finds its pending entry by
(serial_no, proto_id), and for a NATIVE cell is written, with the client's own serial, into the ordered lane of the
slot's outbox. The switch owns no socket, no clock and no policy: `now_ns` is passed in, rows are set by core.

A slot number is reused after `close_slot`; its generation is not. A pending entry remembers the generation, so a late
reply never reaches the slot's next owner.

The outbox of a slot has two lanes. The ordered lane holds whole FT frames (replies, orders, fills, ticks) in order. The
conflating lane holds at most one frame per key, the newest; it is used only while the ordered lane is not empty and is
moved into the ordered lane when that has run empty. Nothing is ever dropped silently: what does not fit is answered
by OVERFLOW, and core decides.

Arguments out of range, unknown links and closed slots raise ValueError (OverflowError beyond 64 bits) and change
nothing. A MemoryError out of `feed_untrusted` or `link_feed_untrusted` may have lost events: the slot reads nothing
more and must be closed, the link until its reset. The switch can't be called from inside one of its own calls
(RuntimeError), nor from two threads.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from typing_extensions import Buffer

# Cell = request action | reply action << 2 | link index << 4 (one byte; index into the slot's own link map)
PASS: Final = 0
INSPECT: Final = 1
LOCAL: Final = 2
DENY: Final = 3
NATIVE: Final = 0
EVENT: Final = 1
HOLD: Final = 2

# Kinds of client events
FRAME: Final = 0
"""A frame that core must see: cell not PASS, or PASS while the link is not ready (or not open), or proto_fmt over 1."""
BAD_SHA1: Final = 1
"""Well framed, digest wrong. The frame was swallowed; the stream goes on. body is b""."""
BAD_MAGIC: Final = 2
"""The stream is lost: nothing more is read from this slot."""
TOO_LARGE: Final = 3
"""body_len over the limit: nothing more is read from this slot; proto_id and serial_no of the header are given."""

# Kinds of link events
REPLY: Final = 0
"""The reply to an EVENT or HOLD entry (or to a `submit` with a token; a NATIVE one is delivered as well)."""
REPLY_BAD_SHA1: Final = 1
"""A reply whose digest is wrong; body is b"". The entry is gone: the caller must answer it."""
OVERFLOW: Final = 2
"""A NATIVE reply did not fit into the slot's outbox: the slot must be closed. body is b"".

The entry names the slot that overflowed; for one that had joined it is a copy without token and waiters."""
STREAM_LOST: Final = 3
"""Bad magic or oversized body_len from upstream: the link must be dropped. slot is -1."""

NO_ROOM: Final = 4
"""The requests of all clients that are not looked at yet would take more than ``client_body_total``, and this slot's by
itself more than BODY_FREE: nothing more is read from this slot. proto_id and serial_no are those of the frame at the
front, 0 when its header is not known."""

BODY_FREE: Final = 4096
"""A slot may always hold so many bytes not looked at yet: requests of the usual size go on when others fill the
memory."""

LATENCY_BUCKETS_S: Final[tuple[float, ...]]
"""Upper bounds of the buckets of `Switch.latencies`, in seconds, each included in its bucket."""

class ClientEvent(NamedTuple):
    kind: int
    action: int
    """Request action of the cell (PASS when the link was not ready); DENY for proto_fmt over 1 and a lost stream."""
    proto_id: int
    proto_fmt: int
    serial_no: int
    body: bytes

class Entry(NamedTuple):
    """A request that waited for its reply: who asked, and what."""

    slot: int
    """-1 for a request of the proxy's own."""
    generation: int
    serial_no: int
    """The client's serial number."""
    upstream_serial: int
    proto_id: int
    proto_fmt: int
    token: object
    """What `submit` was given; None for a PASS frame."""
    link: int
    start_ns: int
    reply: int
    """Reply action of the cell: NATIVE, EVENT or HOLD."""
    waiters: tuple[tuple[int, int, int], ...]
    """Others that wait for the same reply (`join`): (slot, generation, serial_no) each."""

class LinkEvent(NamedTuple):
    kind: int
    entry: Entry | None
    """None for STREAM_LOST."""
    body: bytes
    proto_fmt: int
    ticket: int
    """The place in the ordered lane, for HOLD (see `release`); -1 otherwise, also when the slot has closed."""

class Push(NamedTuple):
    proto_id: int
    proto_fmt: int
    frame: bytes
    """The whole frame as received, header included: it can be handed to any plain TCP client unchanged."""

class LinkBatch(NamedTuple):
    dirty: list[int]
    """Slots whose ordered lane got bytes by this call, each once."""
    events: list[LinkEvent]
    """In order of arrival."""
    pushes: list[Push]
    """In order of arrival; only those with a right digest."""
    bad_pushes: int
    strays: int
    """Replies nobody waits for: late, doubled, or with a proto_id that does not fit."""

class Counters(NamedTuple):
    frames_in: int
    bytes_in: int
    passed: int
    frames_out: int
    """Frames wholly sent to clients."""
    bytes_out: int
    upstream_frames_in: int
    upstream_bytes_in: int
    strays: int
    bad_sha1: int
    conflated: int
    """Frames replaced in a conflating lane by a newer one."""
    pushes_in: int
    """Pushes from upstream with a right digest."""
    pushes_out: int
    """Frames that `fan_out` put into outboxes, one for each slot; the conflated ones are among them."""
    overflows: int
    """Frames that an outbox did not take."""
    outbox_bytes: int
    """Bytes in all outboxes now."""
    unread_bytes: int
    """Bytes of all clients that are not looked at yet, now: half-received requests, and what came while paused."""
    pending: int
    """Requests waiting for a reply now."""

class SlotFigures(NamedTuple):
    frames_in: int
    """Frames read from the client, refused ones included."""
    pushes_out: int
    """As in `Counters`, of this slot alone."""
    outbox_bytes: int
    in_flight: int

class Switch:
    def __init__(
        self,
        *,
        max_client_body: int,
        client_body_total: int,
        max_upstream_body: int,
        link_high_water: int,
        outbox_high_water: int,
        outbox_total: int,
    ) -> None:
        """All in bytes.

        ``max_client_body``, ``max_upstream_body``: largest body_len read from a client, from upstream.
        ``client_body_total``: bytes of all clients that are not looked at yet; over it NO_ROOM ends the slot that would
        hold more. Room is made as bytes arrive, not by what a header announces: the memory that they take is at most
        half as much again, and twice BODY_FREE for every slot beside it.
        ``link_high_water``: a slot is paused while the link's unsent bytes are over this.
        ``outbox_high_water``: a slot is paused while its own ordered lane is over this (a client that does not read
        its replies does not get to ask for more).
        ``outbox_total``: bound of all outboxes together; over it every addition to a non-empty outbox overflows.
        """

    # -- slots
    def open_slot(self, row: bytes, *, timeout_ns: int, max_in_flight: int, outbox_limit: int) -> int:
        """A new slot. ``row``: one cell per dense proto index (see wire/protocols.py), cell 0 = unknown ids.

        ``timeout_ns``: how long a PASS request may wait for its reply, at least 1. ``max_in_flight``: at this number of
        pending requests the slot is paused, at least 1. ``outbox_limit``: bytes the outbox may hold. Raises ValueError
        for a row of another length or with a reply action that does not exist. The largest body_len read from it is
        ``max_client_body``, see `set_max_body`.
        """
    def generation(self, slot: int) -> int: ...
    def set_row(self, slot: int, row: bytes) -> int:
        """Replace the policy row; returns the new row epoch of the slot. Takes effect with the next frame."""
    def row_epoch(self, slot: int) -> int: ...
    def set_link(self, slot: int, index: int, link: int) -> None:
        """Link ``index`` (0-15) of the slot's cells means ``link``; default: every index is link 0."""
    def set_max_body(self, slot: int, limit: int) -> None:
        """The largest body_len read from this slot, ``max_client_body`` at most. Takes effect with the next call of
        `feed_untrusted`, for a half-received frame as well."""
    def count_elsewhere(self, slot: int, count: int) -> bool:
        """The caller holds ``count`` bytes of half-received requests of this slot itself (a transport that decodes
        before it feeds): they count as if they were here, until told otherwise or the slot closes. False when there is
        no room for them (as with NO_ROOM): the caller must end the client."""
    def in_flight(self, slot: int) -> int:
        """Pending requests of the slot. What it has joined is not among them."""
    def close_slot(self, slot: int) -> None:
        """Forget the slot: buffers are freed, its pending requests orphaned (their replies are then strays).

        Entries with a token stay and come back as events, so that core learns the outcome of what was submitted; those
        that others have joined stay for them. Idempotent only through the caller: closing a closed slot raises
        ValueError, as every call on a closed slot does.
        """

    # -- client -> upstream
    def feed_untrusted(self, slot: int, data: Buffer, now_ns: int) -> list[ClientEvent] | None:
        """Take a chunk from a client; None when every frame was passed on.

        Behind the first event of a call every other frame comes back as an event too, so that a client's requests keep
        their order.

        Stops at a frame after which the slot is paused (see `paused`); the rest of the bytes is kept and is looked at
        by the next call (``data`` may be empty). The caller must not feed more than one chunk to a paused slot.
        What is kept for the slot is bounded by its largest body_len + 44 + one chunk, for all by ``client_body_total``.
        """
    def paused(self, slot: int) -> bool:
        """True when the caller must stop reading this client (in-flight cap, link full, outbox over high water)."""
    def take_resumed(self) -> list[int]:
        """Slots that were paused and need not be any longer, each once: feed them b"" and read on.

        A slot counts as paused once `feed_untrusted` stopped at it or `paused` said so. In the order they stopped.
        """
    def stop_reading(self, slot: int) -> None:
        """Nothing more is taken from this slot: kept bytes are dropped, later feeds ignored."""

    # -- links
    def open_link(self) -> int:
        """A new link, not ready, serials starting at 1. Numbers run from 0 to 15 and are never reused."""
    def set_link_ready(self, link: int, ready: bool) -> None:
        """While a link is not ready, PASS frames come back as FRAME events instead of being sent."""
    def reset_link(self, link: int) -> list[Entry]:
        """The connection is gone: unsent and half-received bytes are dropped, the link is not ready.

        Returns every pending entry of that link, those of closed slots with a token included; none is answered here.
        Serials go on where they were; they begin at 1 again when the last one was 0xF0000000 or more, so that they
        never wrap within a connection that is replaced in time.
        """
    def reserve_serial(self, link: int) -> int:
        """The next upstream serial number, strictly increasing; to be given to the next `submit` on that link."""
    def submit(
        self,
        link: int,
        slot: int,
        serial_no: int,
        proto_id: int,
        proto_fmt: int,
        body: Buffer,
        *,
        reply: int,
        token: object,
        timeout_ns: int,
        now_ns: int,
        upstream_serial: int = 0,
        sha1: bytes | None = None,
    ) -> int:
        """Send one request; returns its upstream serial.

        ``slot`` -1: the proxy's own (not HOLD; a NATIVE one without a token is for those who `join`).
        ``upstream_serial``: from `reserve_serial`, 0 = take the next. ``sha1``: the digest of ``body`` when it is
        already known. Works on a link that is not ready (InitConnect and the replay use it). Raises ValueError for a
        serial that does not grow: a reserved one is of no use when a frame was passed on in between.
        """
    def join(self, link: int, upstream_serial: int, slot: int, serial_no: int) -> bool:
        """Add a waiter to a pending NATIVE entry: the reply goes to it as well. False when the entry is gone.

        Raises ValueError for an EVENT or HOLD entry. How many may wait is for the caller to bound.
        """
    def link_feed_untrusted(self, link: int, data: Buffer, now_ns: int) -> LinkBatch:
        """Take a chunk from upstream."""
    def link_out(self, link: int) -> memoryview:
        """The unsent bytes of a link. Valid until the next call on the switch: use at once, never keep."""
    def link_sent(self, link: int, count: int) -> None: ...
    def link_pending_bytes(self, link: int) -> int: ...
    def link_serial(self, link: int) -> int:
        """The serial used last."""
    def expire(self, now_ns: int) -> list[Entry]:
        """Remove and return every entry whose time is up, oldest first; a late reply will be a stray."""
    def next_deadline_ns(self) -> int:
        """A time not after the earliest deadline of all pending entries; 0 when nothing is pending."""

    # -- outbox
    def append(self, slot: int, frame: Buffer) -> bool:
        """Put one whole frame into the ordered lane. False, and nothing is taken, when it would go over a bound.

        Raises ValueError for anything but one whole frame, as `fan_out` and `release` do.

        One frame is always taken by an empty outbox, whatever its size, so a bound can't make a reply impossible. One
        that is over the bound by itself leaves the usual room behind it, until the outbox is empty again.
        """
    def reply(self, slot: int, proto_id: int, proto_fmt: int, serial_no: int, body: Buffer) -> bool:
        """`append` of a frame built in place."""
    def fan_out(self, slots: Sequence[int], frame: Buffer, key: object | None) -> tuple[list[int], list[int]]:
        """One push to many slots: (slots that have bytes to send, slots that overflowed).

        ``key`` None: ordered lane for all. Otherwise a slot whose ordered lane is not empty keeps the frame in its
        conflating lane under ``key``, where it replaces an older one. An overflowed slot took nothing. A slot that took
        the frame behind a placeholder has no bytes to send and is in neither list.
        """
    def hold(self, slot: int) -> int:
        """A placeholder at the end of the ordered lane; returns its ticket. What comes after it waits behind it."""
    def held(self, slot: int) -> int:
        """Placeholders that are not filled yet."""
    def release(self, slot: int, ticket: int, frame: Buffer) -> bool:
        """Fill a placeholder (b"" = nothing goes there). False when the ticket is not known: the slot was closed and
        reused, or its outbox truncated. What may be sent now is the caller's to flush.

        No bound is asked: the frame was in memory before, in the hands of who held it.
        """
    def out(self, slot: int, limit: int = 0) -> memoryview:
        """The bytes that may be sent now, up to ``limit`` (0 = all) and up to the first placeholder.

        Valid until the next call on the switch: use at once, never keep. When the ordered lane is empty the conflating
        lane is moved into it first.
        """
    def sent(self, slot: int, count: int) -> None: ...
    def take_frames(self, slot: int, limit: int) -> list[bytes]:
        """Whole frames, taken out of the outbox, at least one and at most ``limit`` bytes when several: for transports
        that re-encode. Must not be mixed with a half-sent `out`."""
    def out_bytes(self, slot: int) -> int:
        """Bytes in the outbox, both lanes."""
    def out_to_boundary(self, slot: int) -> int:
        """How many bytes are missing until the frame that is half sent is complete; 0 at a boundary."""
    def out_truncate(self, slot: int) -> int:
        """Drop all behind the half-sent frame (everything at a boundary), placeholders and conflating lane included.

        Returns how many bytes were dropped. After it nothing more is taken by this slot.
        """
    def counters(self) -> Counters: ...
    def slot_figures(self, slot: int) -> SlotFigures:
        """Since `open_slot`."""
    def latencies(self) -> dict[int, tuple[tuple[int, ...], float]]:
        """How long upstream took to answer requests of slots: proto_id (0 for all unknown ones) -> (replies per bucket
        of LATENCY_BUCKETS_S and one more above them, not cumulative; sum in seconds). Only ids that were answered.

        From ``now_ns`` of the request's chunk or `submit` to that of the reply's chunk. One for each request that went
        upstream, whoever joined it; not counted: damaged replies, strays, what expired, the proxy's own requests.
        """
