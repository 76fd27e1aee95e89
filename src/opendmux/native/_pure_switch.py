"""The data plane, executable specification: slow, plain, and equal to the compiled `_switch` on every input.

The contract is `_switch.pyi`. Here every buffer is a `bytes` and all pending requests are one dict in the order of
their submission. How the compiled one keeps the bounds on memory is its own affair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Final

from ._pure import body_sha1, build_frame
from ._pure_outbox import Budget, Outbox
from ._pure_records import (
    MAX_BODY,
    MAX_I64,
    MAX_LINKS,
    MAX_U32,
    SERIALS_RESTART,
    Batch,
    Link,
    Lost,
    Pending,
    Slot,
    WholeFrame,
    checked,
    checked_frame,
    checked_row,
    cut_untrusted,
    is_ahead,
    no_room_untrusted,
)
from ._switch_types import (
    BAD_SHA1,
    BODY_FREE,
    DENY,
    EVENT,
    FRAME,
    HOLD,
    LATENCY_BUCKETS_S,
    NATIVE,
    OVERFLOW,
    PASS,
    REPLY,
    REPLY_BAD_SHA1,
    STREAM_LOST,
    ClientEvent,
    Counters,
    Entry,
    LinkBatch,
    LinkEvent,
    Push,
    SlotFigures,
)
from ._tables import PROTO_INDEX, PUSH_INDEXES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["Switch"]

BOUNDS_NS: Final = [round(bound * 1e9) for bound in LATENCY_BUCKETS_S]


class Switch:
    """See `_switch.pyi`, as for every method."""

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
        self._max_client_body = checked("max_client_body", max_client_body, 0, MAX_BODY)
        self._client_body_total = checked("client_body_total", client_body_total, 0, MAX_I64)
        self._max_upstream_body = checked("max_upstream_body", max_upstream_body, 0, MAX_BODY)
        self._link_high_water = checked("link_high_water", link_high_water, 0, MAX_I64)
        self._outbox_high_water = checked("outbox_high_water", outbox_high_water, 0, MAX_I64)
        self._outbox_budget = Budget(checked("outbox_total", outbox_total, 0, MAX_I64))
        self._slots: list[Slot | None] = []
        self._free_slots: deque[int] = deque()
        self._stopped: list[Slot] = []
        self._links: list[Link] = []
        self._pending: dict[tuple[int, int], Pending] = {}  # by link and upstream serial, oldest first
        self._unread = 0
        self._last_generation = 0
        self._last_ticket = 0
        self._frames_in = 0
        self._bytes_in = 0
        self._passed = 0
        self._frames_out = 0
        self._bytes_out = 0
        self._upstream_frames_in = 0
        self._upstream_bytes_in = 0
        self._strays = 0
        self._bad_sha1 = 0
        self._conflated = 0
        self._pushes_in = 0
        self._pushes_out = 0
        self._overflows = 0
        self._latencies: dict[int, tuple[list[int], float]] = {}

    # -- slots

    def _slot(self, slot: int) -> Slot:
        at = self._slots[slot] if 0 <= slot < len(self._slots) else None
        if at is None:
            raise ValueError("no such slot")
        return at

    def _owner(self, slot: int, generation: int) -> Slot | None:
        """The slot, when it is still the one that asked."""
        at = self._slots[slot] if slot >= 0 else None
        return at if at is not None and at.generation == generation else None

    def open_slot(self, row: bytes, *, timeout_ns: int, max_in_flight: int, outbox_limit: int) -> int:
        checked_row(row)
        checked("timeout_ns", timeout_ns, 1, MAX_I64)
        checked("max_in_flight", max_in_flight, 1, MAX_U32)
        checked("outbox_limit", outbox_limit, 0, MAX_I64)
        if self._free_slots:
            number = self._free_slots.popleft()
        else:
            number = len(self._slots)
            self._slots.append(None)
        self._last_generation += 1
        outbox = Outbox(outbox_limit, self._outbox_budget)
        self._slots[number] = Slot(
            number, self._last_generation, row, timeout_ns, max_in_flight, outbox, self._max_client_body
        )
        return number

    def generation(self, slot: int) -> int:
        return self._slot(slot).generation

    def set_row(self, slot: int, row: bytes) -> int:
        at = self._slot(slot)
        at.row = checked_row(row)
        at.row_epoch += 1
        return at.row_epoch

    def row_epoch(self, slot: int) -> int:
        return self._slot(slot).row_epoch

    def set_link(self, slot: int, index: int, link: int) -> None:
        at = self._slot(slot)
        checked("index", index, 0, MAX_LINKS - 1)
        at.links[index] = self._link(link).number

    def set_max_body(self, slot: int, limit: int) -> None:
        self._slot(slot).max_body = checked("limit", limit, 0, self._max_client_body)

    def count_elsewhere(self, slot: int, count: int) -> bool:
        at = self._slot(slot)
        at.elsewhere = checked("count", count, 0, MAX_BODY)
        return self._note_unread(at)

    def in_flight(self, slot: int) -> int:
        return self._slot(slot).in_flight

    def close_slot(self, slot: int) -> None:
        at = self._slot(slot)
        self._slots[slot] = None
        self._free_slots.append(slot)
        at.elsewhere = 0
        self._go_deaf(at)
        at.outbox.close()
        orphans = [p for p in self._pending.values() if p.slot == slot and p.generation == at.generation]
        for pending in orphans:
            if not self._is_wanted(pending):
                self._forget(pending)

    # -- client -> upstream

    def feed_untrusted(self, slot: int, data: Buffer, now_ns: int) -> list[ClientEvent] | None:
        at = self._slot(slot)
        checked("now_ns", now_ns, 0, MAX_I64)
        if at.deaf:
            return None
        chunk = bytes(data)
        self._bytes_in += len(chunk)
        at.kept += chunk
        events: list[ClientEvent] = []
        while not self._stop_if_paused(at):
            cut = cut_untrusted(at.kept, at.max_body)
            if cut is None:
                break
            if isinstance(cut, Lost):
                events.append(self._lose(at, cut))
                return events
            at.kept = at.kept[len(cut.raw) :]
            event = self._client_frame_untrusted(at, cut, now_ns, queued=bool(events))
            if event is not None:
                events.append(event)
        if not self._note_unread(at):
            events.append(self._lose(at, no_room_untrusted(at.kept, at.max_body)))
        return events or None

    def _lose(self, at: Slot, lost: Lost) -> ClientEvent:
        self._go_deaf(at)
        return ClientEvent(lost.kind, DENY, lost.proto_id, lost.proto_fmt, lost.serial_no, b"")

    def _note_unread(self, at: Slot) -> bool:
        """Count what is not looked at yet. False when the slot holds more than before and there is no room for it."""
        before, at.unread = at.unread, len(at.kept) + at.elsewhere
        self._unread += at.unread - before
        return at.unread <= max(before, BODY_FREE) or self._unread <= self._client_body_total

    def _client_frame_untrusted(self, at: Slot, frame: WholeFrame, now_ns: int, *, queued: bool) -> ClientEvent | None:
        """``queued``: behind an event of the same chunk, whose turn is first."""
        self._frames_in += 1
        at.frames_in += 1
        cell = at.row[PROTO_INDEX.get(frame.proto_id, 0)]
        action, reply, link = cell & 3, cell >> 2 & 3, at.links[cell >> 4]
        if not frame.is_intact:
            self._bad_sha1 += 1
            return ClientEvent(BAD_SHA1, action, frame.proto_id, frame.proto_fmt, frame.serial_no, b"")
        if frame.proto_fmt > 1:
            return ClientEvent(FRAME, DENY, frame.proto_id, frame.proto_fmt, frame.serial_no, frame.body)
        if action != PASS or queued or link >= len(self._links) or not self._links[link].ready:
            return ClientEvent(FRAME, action, frame.proto_id, frame.proto_fmt, frame.serial_no, frame.body)
        self._passed += 1
        pending = Pending(
            slot=at.number,
            generation=at.generation,
            serial_no=frame.serial_no,
            upstream_serial=self.reserve_serial(link),
            proto_id=frame.proto_id,
            proto_fmt=frame.proto_fmt,
            token=None,
            link=link,
            start_ns=now_ns,
            deadline_ns=min(now_ns + at.timeout_ns, MAX_I64),
            reply=reply,
        )
        self._send(pending, frame.sha1, frame.body)
        return None

    def _send(self, pending: Pending, sha1: bytes, body: bytes) -> None:
        link = self._links[pending.link]
        link.serial = pending.upstream_serial
        link.unsent += build_frame(pending.proto_id, pending.proto_fmt, pending.upstream_serial, body, sha1)
        self._pending[pending.link, pending.upstream_serial] = pending
        if pending.slot >= 0:
            self._slot(pending.slot).in_flight += 1

    def _is_paused(self, at: Slot) -> bool:
        return (
            at.in_flight >= at.max_in_flight
            or at.outbox.lane_bytes > self._outbox_high_water
            or any(len(link.unsent) > self._link_high_water for link in self._links if link.number in at.links)
        )

    def _stop_if_paused(self, at: Slot) -> bool:
        """Whoever is told to stop reading is told by `take_resumed` to go on."""
        if not self._is_paused(at):
            return False
        if not at.deaf and at not in self._stopped:
            self._stopped.append(at)
        return True

    def paused(self, slot: int) -> bool:
        return self._stop_if_paused(self._slot(slot))

    def take_resumed(self) -> list[int]:
        resumed = [at for at in self._stopped if not self._is_paused(at)]
        self._stopped = [at for at in self._stopped if at not in resumed]
        return [at.number for at in resumed]

    def stop_reading(self, slot: int) -> None:
        self._go_deaf(self._slot(slot))

    def _go_deaf(self, at: Slot) -> None:
        at.deaf = True
        at.kept = b""
        self._note_unread(at)
        if at in self._stopped:
            self._stopped.remove(at)

    # -- links

    def _link(self, link: int) -> Link:
        if not 0 <= link < len(self._links):
            raise ValueError("no such link")
        return self._links[link]

    def open_link(self) -> int:
        if len(self._links) == MAX_LINKS:
            raise ValueError("no more links")
        self._links.append(Link(len(self._links)))
        return len(self._links) - 1

    def set_link_ready(self, link: int, ready: bool) -> None:
        self._link(link).ready = ready

    def reset_link(self, link: int) -> list[Entry]:
        to = self._link(link)
        to.ready = to.deaf = False
        to.unsent = to.kept = b""
        ended = self._end([p for p in self._pending.values() if p.link == link])
        if to.reserved >= SERIALS_RESTART:
            to.reserved = to.serial = 0
        return ended

    def reserve_serial(self, link: int) -> int:
        to = self._link(link)
        while True:
            to.reserved = to.reserved + 1 if to.reserved < MAX_U32 else 1
            if (link, to.reserved) not in self._pending:
                return to.reserved

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
        to = self._link(link)
        generation = 0 if slot == -1 else self._slot(slot).generation
        checked("serial_no", serial_no, 0, MAX_U32)
        checked("proto_id", proto_id, 0, MAX_U32)
        checked("proto_fmt", proto_fmt, 0, 255)
        checked("reply", reply, NATIVE, EVENT if slot == -1 else HOLD)
        checked("timeout_ns", timeout_ns, 1, MAX_I64)
        checked("now_ns", now_ns, 0, MAX_I64)
        checked("upstream_serial", upstream_serial, 0, MAX_U32)
        data = bytes(body)
        checked("body", len(data), 0, MAX_BODY)
        if sha1 is not None:
            checked("sha1", len(sha1), 20, 20)
        if upstream_serial == 0:
            upstream_serial = self.reserve_serial(link)
        else:
            if not is_ahead(upstream_serial, to.serial) or (link, upstream_serial) in self._pending:
                raise ValueError("the serial does not grow")
            if is_ahead(upstream_serial, to.reserved):
                to.reserved = upstream_serial
        pending = Pending(
            slot=slot,
            generation=generation,
            serial_no=serial_no,
            upstream_serial=upstream_serial,
            proto_id=proto_id,
            proto_fmt=proto_fmt,
            token=token,
            link=link,
            start_ns=now_ns,
            deadline_ns=min(now_ns + timeout_ns, MAX_I64),
            reply=reply,
        )
        self._send(pending, body_sha1(data) if sha1 is None else sha1, data)
        return upstream_serial

    def join(self, link: int, upstream_serial: int, slot: int, serial_no: int) -> bool:
        self._link(link)
        at = self._slot(slot)
        checked("upstream_serial", upstream_serial, 0, MAX_U32)
        checked("serial_no", serial_no, 0, MAX_U32)
        pending = self._pending.get((link, upstream_serial))
        if pending is None:
            return False
        if pending.reply != NATIVE:
            raise ValueError("only a NATIVE reply can be shared")
        pending.waiters.append((slot, at.generation, serial_no))
        return True

    def link_feed_untrusted(self, link: int, data: Buffer, now_ns: int) -> LinkBatch:
        to = self._link(link)
        checked("now_ns", now_ns, 0, MAX_I64)
        batch = Batch(now_ns=now_ns)
        if to.deaf:
            return batch.result()
        chunk = bytes(data)
        self._upstream_bytes_in += len(chunk)
        to.kept += chunk
        while (cut := cut_untrusted(to.kept, self._max_upstream_body)) is not None:
            if isinstance(cut, Lost):
                batch.events.append(LinkEvent(STREAM_LOST, None, b"", 0, -1))
                to.deaf = True
                to.kept = b""
                break
            to.kept = to.kept[len(cut.raw) :]
            self._upstream_frames_in += 1
            if PROTO_INDEX.get(cut.proto_id, 0) in PUSH_INDEXES:
                self._push_untrusted(cut, batch)
            else:
                self._reply_untrusted(link, cut, batch)
        return batch.result()

    def _push_untrusted(self, frame: WholeFrame, batch: Batch) -> None:
        if frame.is_intact:
            self._pushes_in += 1
            batch.pushes.append(Push(frame.proto_id, frame.proto_fmt, frame.raw))
        else:
            self._bad_sha1 += 1
            batch.bad_pushes += 1

    def _reply_untrusted(self, link: int, frame: WholeFrame, batch: Batch) -> None:
        pending = self._pending.get((link, frame.serial_no))
        if pending is None or pending.proto_id != frame.proto_id:
            self._strays += 1
            batch.strays += 1
            return
        self._forget(pending)
        if not self._is_wanted(pending):
            self._strays += 1
            batch.strays += 1
            return
        entry = pending.entry()
        if not frame.is_intact:
            self._bad_sha1 += 1
            batch.events.append(LinkEvent(REPLY_BAD_SHA1, entry, b"", frame.proto_fmt, -1))
            return
        if pending.slot >= 0:
            self._answered(frame.proto_id, max(0, batch.now_ns - pending.start_ns))
        ticket = -1
        if pending.reply == NATIVE:
            self._deliver(entry, frame, batch)
            for slot, generation, serial_no in pending.waiters:
                waiter = entry._replace(slot=slot, generation=generation, serial_no=serial_no, token=None, waiters=())
                self._deliver(waiter, frame, batch)
        elif pending.reply == HOLD and self._owner(pending.slot, pending.generation) is not None:
            ticket = self.hold(pending.slot)
        if pending.reply != NATIVE or pending.token is not None:
            batch.events.append(LinkEvent(REPLY, entry, frame.body, frame.proto_fmt, ticket))

    def _answered(self, proto_id: int, elapsed_ns: int) -> None:
        known_id = proto_id if proto_id in PROTO_INDEX else 0
        counts, sum_ns = self._latencies.get(known_id, ([0] * (len(BOUNDS_NS) + 1), 0.0))
        counts[bisect_left(BOUNDS_NS, elapsed_ns)] += 1
        self._latencies[known_id] = (counts, sum_ns + elapsed_ns)

    def _deliver(self, entry: Entry, frame: WholeFrame, batch: Batch) -> None:
        at = self._owner(entry.slot, entry.generation)
        if at is None:
            return
        if self._append(at, build_frame(frame.proto_id, frame.proto_fmt, entry.serial_no, frame.body, frame.sha1)):
            if at.number not in batch.dirty:
                batch.dirty.append(at.number)
        else:
            batch.events.append(LinkEvent(OVERFLOW, entry, b"", frame.proto_fmt, -1))

    def _is_wanted(self, pending: Pending) -> bool:
        """False when everybody who waited has closed; what has a token, or is the proxy's own, is always wanted."""
        return (
            pending.slot == -1
            or pending.token is not None
            or self._owner(pending.slot, pending.generation) is not None
            or any(self._owner(slot, generation) is not None for slot, generation, _serial_no in pending.waiters)
        )

    def _forget(self, pending: Pending) -> None:
        del self._pending[pending.link, pending.upstream_serial]
        at = self._owner(pending.slot, pending.generation)
        if at is not None:
            at.in_flight -= 1

    def _end(self, ended: list[Pending]) -> list[Entry]:
        for pending in ended:
            self._forget(pending)
        return [pending.entry() for pending in ended if self._is_wanted(pending)]

    def link_out(self, link: int) -> memoryview:
        return memoryview(self._link(link).unsent)

    def link_sent(self, link: int, count: int) -> None:
        to = self._link(link)
        checked("count", count, 0, len(to.unsent))
        to.unsent = to.unsent[count:]

    def link_pending_bytes(self, link: int) -> int:
        return len(self._link(link).unsent)

    def link_serial(self, link: int) -> int:
        return self._link(link).serial

    def expire(self, now_ns: int) -> list[Entry]:
        checked("now_ns", now_ns, 0, MAX_I64)
        return self._end([p for p in self._pending.values() if p.deadline_ns <= now_ns])

    def next_deadline_ns(self) -> int:
        return min((p.deadline_ns for p in self._pending.values()), default=0)

    # -- outbox

    def append(self, slot: int, frame: Buffer) -> bool:
        return self._append(self._slot(slot), checked_frame(frame))

    def _append(self, at: Slot, frame: bytes) -> bool:
        taken = at.outbox.append(frame)
        self._overflows += not taken
        return taken

    def reply(self, slot: int, proto_id: int, proto_fmt: int, serial_no: int, body: Buffer) -> bool:
        at = self._slot(slot)
        checked("proto_id", proto_id, 0, MAX_U32)
        checked("proto_fmt", proto_fmt, 0, 255)
        checked("serial_no", serial_no, 0, MAX_U32)
        data = bytes(body)
        checked("body", len(data), 0, MAX_BODY)
        return self._append(at, build_frame(proto_id, proto_fmt, serial_no, data))

    def fan_out(self, slots: Sequence[int], frame: Buffer, key: object | None) -> tuple[list[int], list[int]]:
        whole = checked_frame(frame)
        hash(key)
        ready, overflowed = [], []
        for at in [self._slot(slot) for slot in slots]:
            if key is None or not at.outbox.conflates():
                taken = self._append(at, whole)
            else:
                taken, replaced = at.outbox.conflate(key, whole)
                self._conflated += replaced
                self._overflows += not taken
            self._pushes_out += taken
            at.pushes_out += taken
            if not taken:
                overflowed.append(at.number)
            elif at.outbox.has_bytes_to_send():
                ready.append(at.number)
        return ready, overflowed

    def hold(self, slot: int) -> int:
        at = self._slot(slot)
        self._last_ticket += 1
        at.outbox.hold(self._last_ticket)
        return self._last_ticket

    def held(self, slot: int) -> int:
        return self._slot(slot).outbox.held()

    def release(self, slot: int, ticket: int, frame: Buffer) -> bool:
        at = self._slot(slot)
        return at.outbox.release(ticket, checked_frame(frame) if bytes(frame) else b"")

    def out(self, slot: int, limit: int = 0) -> memoryview:
        return memoryview(self._slot(slot).outbox.out(checked("limit", limit, 0, MAX_I64)))

    def sent(self, slot: int, count: int) -> None:
        self._frames_out += self._slot(slot).outbox.sent(count)
        self._bytes_out += count

    def take_frames(self, slot: int, limit: int) -> list[bytes]:
        frames = self._slot(slot).outbox.take_frames(checked("limit", limit, 0, MAX_I64))
        self._frames_out += len(frames)
        self._bytes_out += sum(map(len, frames))
        return frames

    def out_bytes(self, slot: int) -> int:
        return self._slot(slot).outbox.used

    def out_to_boundary(self, slot: int) -> int:
        return self._slot(slot).outbox.to_boundary()

    def out_truncate(self, slot: int) -> int:
        return self._slot(slot).outbox.truncate()

    def counters(self) -> Counters:
        return Counters(
            frames_in=self._frames_in,
            bytes_in=self._bytes_in,
            passed=self._passed,
            frames_out=self._frames_out,
            bytes_out=self._bytes_out,
            upstream_frames_in=self._upstream_frames_in,
            upstream_bytes_in=self._upstream_bytes_in,
            strays=self._strays,
            bad_sha1=self._bad_sha1,
            conflated=self._conflated,
            pushes_in=self._pushes_in,
            pushes_out=self._pushes_out,
            overflows=self._overflows,
            outbox_bytes=self._outbox_budget.used,
            unread_bytes=self._unread,
            pending=len(self._pending),
        )

    def slot_figures(self, slot: int) -> SlotFigures:
        at = self._slot(slot)
        return SlotFigures(at.frames_in, at.pushes_out, at.outbox.used, at.in_flight)

    def latencies(self) -> dict[int, tuple[tuple[int, ...], float]]:
        return {proto_id: (tuple(counts), sum_ns / 1e9) for proto_id, (counts, sum_ns) in self._latencies.items()}
