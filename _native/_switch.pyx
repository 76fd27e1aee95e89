"""The data plane, compiled: the same as `_pure_switch.py` on every input. The contract is `_switch.pyi`.

Who owns what. A slot owns the bytes its client sent that are not looked at yet, and its outbox; a link owns its unsent
and its half-received bytes, and the index of its serials. The pending requests of all links live in one pool; those of
one slot are chained, so that closing it costs what it had in flight. Tokens and waiters of the few requests that have
any are in dicts, by the request's order.

Safety. Everything that can fail (memory, arguments) comes before the first change, so a method that raises has changed
nothing; the two that take a chunk of several frames end that stream instead. An outbox without memory for a frame is a
full one. Python objects are made, and with them a garbage collection may run, while pointers into our buffers are in
use: `busy` keeps the foreign code that runs then out of the switch.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport INT32_MAX, INT64_MAX, UINT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy

from _cut cimport NO_MEMORY, Cut, cut_untrusted
from _lane cimport (
    Lane, lane_consume, lane_extend, lane_fill_hole, lane_find_hole, lane_free, lane_hold, lane_is_empty, lane_sendable,
    lane_size, lane_truncate,
)
from _latency cimport LATENCY_BOUNDS_NS, N_BOUNDS, Latency, latency_add
from _pending cimport (
    HAS_TOKEN, HAS_WAITERS, NOWHERE, Pending, Pool, SerialIndex, index_find, index_free, index_put, index_remove,
    index_reserve, pool_free, pool_give_back, pool_reserve, pool_take,
)
from _wire cimport (
    HEADER_LEN, N_PROTOCOLS, PROTO_KIND, SHA1_LEN, WIRE_NEED_MORE, WIRE_OK, WIRE_TOO_LARGE, Buffer, Cursor, Header,
    buffer_append, buffer_consume, buffer_fit, buffer_free, buffer_reserve, buffer_size, buffer_start, buffer_trim,
    left, load_u32, proto_index, read_header, sha1_digest, sha1_init, write_header,
)

from collections import deque

from opendmux.native._switch_types import (
    BAD_MAGIC,
    BAD_SHA1,
    BODY_FREE,
    DENY,
    EVENT,
    FRAME,
    HOLD,
    INSPECT,
    LATENCY_BUCKETS_S,
    LOCAL,
    NATIVE,
    NO_ROOM,
    OVERFLOW,
    PASS,
    REPLY,
    REPLY_BAD_SHA1,
    STREAM_LOST,
    TOO_LARGE,
    ClientEvent,
    Counters,
    Entry,
    LinkBatch,
    LinkEvent,
    Push,
    SlotFigures,
)
from opendmux.native._tables import PROTO_INDEX

sha1_init()


cdef enum:  # the numbers of _switch_types, checked below
    C_PASS = 0
    C_DENY = 3
    C_NATIVE = 0
    C_EVENT = 1
    C_HOLD = 2

    MAX_LINKS = 16
    MAX_BODY = 0x7FFFFFFF
    C_BODY_FREE = 4096
    SERIALS_RESTART = 0xF0000000  # a link whose serials have come so far begins at 1 again after its next reset
    LINK_SPARE = 0x40000  # an empty buffer of a link may keep this much memory: there are few, and they are busy

assert (PASS, INSPECT, LOCAL, DENY) == (C_PASS, 1, 2, C_DENY)
assert (NATIVE, EVENT, HOLD) == (C_NATIVE, C_EVENT, C_HOLD)
assert BODY_FREE == C_BODY_FREE
assert len(LATENCY_BUCKETS_S) == N_BOUNDS
for _place, _bound in enumerate(LATENCY_BUCKETS_S):
    assert LATENCY_BOUNDS_NS[<int> _place] == round(_bound * 1e9)


cdef inline bint is_intact_untrusted(const Cut* cut) noexcept:
    cdef uint8_t[SHA1_LEN] digest
    sha1_digest(cut.body, cut.header.body_len, digest)
    return memcmp(digest, cut.header.sha1, SHA1_LEN) == 0


cdef inline bytes body_of(const Cut* cut):
    return PyBytes_FromStringAndSize(<const char*> cut.body, <Py_ssize_t> cut.header.body_len)


# -- arguments

cdef uint8_t NOTHING = 0  # where an empty buffer points to
cdef object tuple_new = tuple.__new__  # builds a NamedTuple without its Python-level constructor


cdef int64_t checked(str what, int64_t value, int64_t low, int64_t high) except -1:
    if not low <= value <= high:
        raise ValueError(f"{what} out of range")
    return value


cdef int check_row(bytes row) except -1:
    cdef const uint8_t* cells
    cdef Py_ssize_t i
    if row is None or PyBytes_GET_SIZE(row) != N_PROTOCOLS + 1:
        raise ValueError(f"a row has {N_PROTOCOLS + 1} cells")
    cells = <const uint8_t*> PyBytes_AS_STRING(row)
    for i in range(N_PROTOCOLS + 1):
        if cells[i] >> 2 & 3 > C_HOLD:
            raise ValueError("no such reply action")
    return 0


cdef int check_frame(const Py_buffer* view) except -1:
    """The lanes hold whole frames, whatever a caller hands in."""
    cdef const uint8_t* p = <const uint8_t*> view.buf
    if (
        view.len < HEADER_LEN
        or p[0] != c"F"
        or p[1] != c"T"
        or <size_t> load_u32(p + 12) != <size_t> view.len - HEADER_LEN
    ):
        raise ValueError("not one whole frame")
    return 0


cdef object view_of(const uint8_t* p, size_t size):
    return PyMemoryView_FromMemory(<char*> (p if size > 0 else &NOTHING), <Py_ssize_t> size, PyBUF_READ)


cdef inline const uint8_t* start_of(const Py_buffer* view) noexcept:
    """The bytes of a buffer; the pointer is good also when there are none."""
    return <const uint8_t*> view.buf if view.len > 0 else &NOTHING


cdef object client_event(int kind, uint8_t action, const Header* header, bytes body):
    return tuple_new(ClientEvent, (kind, action, header.proto_id, header.proto_fmt, header.serial_no, body))


cdef object lost_event(int code, const Header* header):
    """Nothing more can be read: the code says why."""
    if code == WIRE_TOO_LARGE:
        return client_event(TOO_LARGE, C_DENY, header, b"")
    return tuple_new(ClientEvent, (NO_ROOM if code == WIRE_NEED_MORE else BAD_MAGIC, DENY, 0, 0, 0, b""))


cdef inline bint is_ahead(uint32_t serial, uint32_t other) noexcept nogil:
    """Serials wrap, so "grows" means: is less than half a turn ahead."""
    return 0 < <uint32_t> (serial - other) < <uint32_t> 0x80000000


cdef inline int64_t deadline_of(int64_t now_ns, int64_t timeout_ns) noexcept nogil:
    return now_ns + timeout_ns if timeout_ns <= INT64_MAX - now_ns else INT64_MAX


# -- records

@cython.final
@cython.no_gc_clear
cdef class _Slot:
    cdef int32_t number
    cdef uint64_t generation
    cdef uint64_t row_epoch
    cdef bytes row
    cdef const uint8_t* cells  # the bytes of `row`
    cdef uint8_t[MAX_LINKS] links
    cdef uint32_t used_links  # one bit per link that `links` names
    cdef int64_t timeout_ns
    cdef uint32_t max_in_flight
    cdef uint32_t in_flight
    cdef uint32_t first_pending  # head of the chain of what is in flight
    cdef bint deaf  # nothing more is read from this client
    cdef bint stopped  # is in Switch.stopped
    cdef bint truncated  # the outbox takes nothing more
    cdef int64_t max_body
    cdef Buffer kept  # bytes of the client that are not looked at yet
    cdef int64_t elsewhere  # bytes like these that the caller holds
    cdef int64_t unread  # both, as they are counted in Switch.unread
    cdef Lane lane
    cdef dict conflating  # key -> frame; None when there is nothing
    cdef int64_t conflating_bytes
    cdef int64_t outbox_limit
    cdef int64_t oversize  # of a frame over the limit that an empty outbox took; until it is empty again
    cdef uint64_t dirty_in  # the batch that lists this slot as dirty
    cdef uint64_t frames_in
    cdef uint64_t pushes_out

    def __dealloc__(self):
        buffer_free(&self.kept)
        lane_free(&self.lane)

    cdef int64_t outbox_bytes(self) noexcept:
        return <int64_t> lane_size(&self.lane) + self.conflating_bytes

    cdef void note_first(self, int64_t size) noexcept:
        """An empty outbox takes this frame."""
        self.oversize = size if size > self.outbox_limit else 0


@cython.final
cdef class _Link:
    cdef uint8_t number
    cdef bint ready
    cdef bint deaf  # the stream is lost
    cdef uint32_t reserved  # the serial given out last
    cdef uint32_t serial  # the serial used last
    cdef Buffer unsent
    cdef Buffer kept  # the half-received frame
    cdef SerialIndex index

    def __dealloc__(self):
        buffer_free(&self.unsent)
        buffer_free(&self.kept)
        index_free(&self.index)


@cython.final
cdef class _Batch:
    """What one chunk from upstream led to."""

    cdef uint64_t number
    cdef list dirty
    cdef list events
    cdef list pushes
    cdef Py_ssize_t bad_pushes
    cdef Py_ssize_t strays
    cdef int64_t now_ns

    def __cinit__(self):
        self.dirty = []
        self.events = []
        self.pushes = []

    cdef object result(self):
        return tuple_new(LinkBatch, (self.dirty, self.events, self.pushes, self.bad_pushes, self.strays))


cdef struct Aged:
    uint64_t order
    uint32_t place


cdef int older_first(const void* a, const void* b) noexcept nogil:
    return -1 if (<const Aged*> a).order < (<const Aged*> b).order else 1


@cython.final
@cython.no_gc_clear
cdef class Switch:
    """See `_switch.pyi`, as for every method."""

    cdef int64_t max_client_body
    cdef int64_t client_body_total
    cdef int64_t unread  # bytes of all clients that are not looked at yet
    cdef size_t max_upstream_body
    cdef size_t link_high_water
    cdef size_t outbox_high_water
    cdef int64_t outbox_total
    cdef int64_t outbox_used  # the bytes of all outboxes
    cdef bint busy  # pointers into buffers are in use: nobody else may come in

    cdef list slots  # _Slot or None
    cdef object free_slots
    cdef list stopped  # slots that were told to stop reading, in this order
    cdef list links
    cdef uint32_t full_links  # one bit per link that is over the high water mark
    cdef Pool pool
    cdef dict tokens  # order of a pending request -> token
    cdef dict waiters  # order -> list of (slot, generation, serial_no)
    cdef int64_t earliest_ns  # not after any deadline in the pool
    cdef uint64_t last_order
    cdef uint64_t last_generation
    cdef uint64_t last_ticket
    cdef uint64_t last_batch

    cdef uint64_t frames_in
    cdef uint64_t bytes_in
    cdef uint64_t passed
    cdef uint64_t frames_out
    cdef uint64_t bytes_out
    cdef uint64_t upstream_frames_in
    cdef uint64_t upstream_bytes_in
    cdef uint64_t strays
    cdef uint64_t bad_sha1
    cdef uint64_t conflated
    cdef uint64_t pushes_in
    cdef uint64_t pushes_out
    cdef uint64_t overflows
    cdef Latency* latency  # one for each protocol, by its index

    def __cinit__(
        self,
        *,
        int64_t max_client_body,
        int64_t client_body_total,
        int64_t max_upstream_body,
        int64_t link_high_water,
        int64_t outbox_high_water,
        int64_t outbox_total,
    ):
        self.max_client_body = checked("max_client_body", max_client_body, 0, MAX_BODY)
        self.client_body_total = checked("client_body_total", client_body_total, 0, INT64_MAX)
        self.max_upstream_body = <size_t> checked("max_upstream_body", max_upstream_body, 0, MAX_BODY)
        self.link_high_water = <size_t> checked("link_high_water", link_high_water, 0, INT64_MAX)
        self.outbox_high_water = <size_t> checked("outbox_high_water", outbox_high_water, 0, INT64_MAX)
        self.outbox_total = checked("outbox_total", outbox_total, 0, INT64_MAX)
        self.slots = []
        self.free_slots = deque()
        self.stopped = []
        self.links = []
        self.tokens = {}
        self.waiters = {}
        self.latency = <Latency*> PyMem_RawCalloc(N_PROTOCOLS + 1, sizeof(Latency))
        if self.latency == NULL:
            raise MemoryError

    def __dealloc__(self):
        pool_free(&self.pool)
        PyMem_RawFree(self.latency)

    # -- slots

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("the switch was called from inside one of its own calls")
        return 0

    cdef _Slot slot_at(self, int64_t slot):
        self.enter()
        if not 0 <= slot < PyList_GET_SIZE(self.slots):
            raise ValueError("no such slot")
        at = <object> PyList_GET_ITEM(self.slots, <Py_ssize_t> slot)
        if at is None:
            raise ValueError("no such slot")
        return <_Slot> at

    cdef _Slot owner(self, int32_t slot, uint64_t generation):
        """The slot when it is still the one that asked, else None."""
        if slot < 0:
            return None
        at = <object> PyList_GET_ITEM(self.slots, slot)
        if at is not None and (<_Slot> at).generation == generation:
            return <_Slot> at
        return None

    def open_slot(self, bytes row not None, *, int64_t timeout_ns, int64_t max_in_flight, int64_t outbox_limit):
        cdef _Slot at
        cdef object number
        self.enter()
        check_row(row)
        checked("timeout_ns", timeout_ns, 1, INT64_MAX)
        checked("max_in_flight", max_in_flight, 1, UINT32_MAX)
        checked("outbox_limit", outbox_limit, 0, INT64_MAX)
        at = _Slot.__new__(_Slot)
        at.row = row
        at.cells = <const uint8_t*> PyBytes_AS_STRING(row)
        at.used_links = 1
        at.timeout_ns = timeout_ns
        at.max_in_flight = <uint32_t> max_in_flight
        at.first_pending = NOWHERE
        at.max_body = self.max_client_body
        at.outbox_limit = outbox_limit
        if self.free_slots:
            number = self.free_slots.popleft()
        elif PyList_GET_SIZE(self.slots) < INT32_MAX:
            number = len(self.slots)
            self.slots.append(None)
        else:
            raise ValueError("no more slots")
        at.number = number
        self.last_generation += 1
        at.generation = self.last_generation
        self.slots[at.number] = at
        return number

    def generation(self, int64_t slot):
        return self.slot_at(slot).generation

    def set_row(self, int64_t slot, bytes row not None):
        cdef _Slot at = self.slot_at(slot)
        check_row(row)
        at.row = row
        at.cells = <const uint8_t*> PyBytes_AS_STRING(row)
        at.row_epoch += 1
        return at.row_epoch

    def row_epoch(self, int64_t slot):
        return self.slot_at(slot).row_epoch

    def set_link(self, int64_t slot, int64_t index, int64_t link):
        cdef _Slot at = self.slot_at(slot)
        cdef int i
        checked("index", index, 0, MAX_LINKS - 1)
        at.links[index] = self.link_at(link).number
        at.used_links = 0
        for i in range(MAX_LINKS):
            at.used_links |= <uint32_t> 1 << at.links[i]

    def set_max_body(self, int64_t slot, int64_t limit):
        cdef _Slot at = self.slot_at(slot)
        at.max_body = checked("limit", limit, 0, self.max_client_body)

    def count_elsewhere(self, int64_t slot, int64_t count):
        cdef _Slot at = self.slot_at(slot)
        at.elsewhere = checked("count", count, 0, MAX_BODY)
        return self.note_unread(at)

    def in_flight(self, int64_t slot):
        return self.slot_at(slot).in_flight

    def close_slot(self, int64_t slot):
        cdef _Slot at = self.slot_at(slot)
        cdef uint32_t place, following
        self.free_slots.append(at.number)
        self.slots[at.number] = None
        at.elsewhere = 0
        self.go_deaf(at)
        self.outbox_used -= at.outbox_bytes()
        lane_free(&at.lane)
        at.conflating_bytes = 0
        # From here on the owner of these requests is gone: what nobody else waits for goes as well.
        place = at.first_pending
        while place != NOWHERE:
            following = self.pool.items[place].next
            if not self.is_wanted(&self.pool.items[place]):
                self.forget(place)
            place = following
        at.conflating = None

    # -- pending requests

    cdef bint is_wanted(self, const Pending* pending) except -1:
        """False when everybody who waited has closed; what has a token, or is the proxy's own, is always wanted."""
        if pending.slot < 0 or pending.extras & HAS_TOKEN or self.owner(pending.slot, pending.generation) is not None:
            return True
        if pending.extras & HAS_WAITERS:
            for slot, generation, _ in <list> self.waiters[pending.order]:
                if self.owner(slot, generation) is not None:
                    return True
        return False

    cdef uint32_t reserve(self, _Link link) noexcept:
        """The next serial: not 0, and after a wrap none that is still waited for."""
        while True:
            if link.reserved == UINT32_MAX:
                link.reserved = 0
            link.reserved += 1
            if index_find(&link.index, link.reserved) == NOWHERE:
                return link.reserved

    cdef int make_room(self, _Link link, size_t body_len) except -1:
        """All that `send` needs, so that it can't fail."""
        if (
            not pool_reserve(&self.pool)
            or not index_reserve(&link.index)
            or not buffer_reserve(&link.unsent, HEADER_LEN + body_len)
        ):
            raise MemoryError
        return 0

    cdef void send(self, _Link link, _Slot at, Pending* request, const Cut* cut) noexcept:
        """Write one request and remember it. `request` lacks only its order and its chain; `at` may be None."""
        cdef uint8_t* room = link.unsent.data + link.unsent.tail
        cdef uint32_t place = pool_take(&self.pool)
        cdef size_t body_len = cut.header.body_len
        write_header(
            room, request.proto_id, request.proto_fmt, request.upstream_serial, cut.header.body_len, cut.header.sha1
        )
        if body_len > 0:
            memcpy(room + HEADER_LEN, cut.body, body_len)
        link.unsent.tail += HEADER_LEN + body_len
        self.note_link(link)
        link.serial = request.upstream_serial
        if self.pool.used == 1 or request.deadline_ns < self.earliest_ns:
            self.earliest_ns = request.deadline_ns
        self.last_order += 1
        request.order = self.last_order
        request.prev = request.next = NOWHERE
        if at is not None:
            request.next = at.first_pending
            if at.first_pending != NOWHERE:
                self.pool.items[at.first_pending].prev = place
            at.first_pending = place
            at.in_flight += 1
        self.pool.items[place] = request[0]
        index_put(&link.index, request.upstream_serial, place)

    cdef void forget(self, uint32_t place) noexcept:
        """Take a request out, with its token and its waiters."""
        cdef Pending* pending = &self.pool.items[place]
        cdef _Link link = <_Link> PyList_GET_ITEM(self.links, pending.link)
        cdef _Slot at = self.owner(pending.slot, pending.generation)
        index_remove(&link.index, pending.upstream_serial)
        if at is not None:
            if pending.prev != NOWHERE:
                self.pool.items[pending.prev].next = pending.next
            else:
                at.first_pending = pending.next
            if pending.next != NOWHERE:
                self.pool.items[pending.next].prev = pending.prev
            at.in_flight -= 1
        if pending.extras & HAS_TOKEN:
            del self.tokens[pending.order]
        if pending.extras & HAS_WAITERS:
            del self.waiters[pending.order]
        pool_give_back(&self.pool, place)

    cdef object entry_of(self, const Pending* pending):
        token = self.tokens[pending.order] if pending.extras & HAS_TOKEN else None
        waiters = tuple(self.waiters[pending.order]) if pending.extras & HAS_WAITERS else ()
        return tuple_new(
            Entry,
            (
                pending.slot,
                pending.generation,
                pending.serial_no,
                pending.upstream_serial,
                pending.proto_id,
                pending.proto_fmt,
                token,
                pending.link,
                pending.start_ns,
                pending.reply,
                waiters,
            ),
        )

    cdef list end(self, int link, int64_t now_ns):
        """Take out the requests of a link, or with link -1 those whose time is up: the wanted ones, oldest first."""
        cdef list entries = []
        cdef Aged* aged
        cdef Pending* pending
        cdef uint32_t place
        cdef size_t i
        cdef size_t count = 0
        if self.pool.used == 0:
            return entries
        aged = <Aged*> PyMem_RawMalloc(self.pool.used * sizeof(Aged))
        if aged == NULL:
            raise MemoryError
        self.busy = True
        try:
            for place in range(self.pool.unused_from):
                pending = &self.pool.items[place]
                if pending.upstream_serial == 0:
                    continue
                if pending.link == link if link >= 0 else pending.deadline_ns <= now_ns:
                    aged[count].order = pending.order
                    aged[count].place = place
                    count += 1
            qsort(aged, count, sizeof(Aged), older_first)
            for i in range(count):
                if self.is_wanted(&self.pool.items[aged[i].place]):
                    entries.append(self.entry_of(&self.pool.items[aged[i].place]))
            for i in range(count):
                self.forget(aged[i].place)
        finally:
            self.busy = False
            PyMem_RawFree(aged)
        self.earliest_ns = INT64_MAX
        for place in range(self.pool.unused_from):
            pending = &self.pool.items[place]
            if pending.upstream_serial != 0 and pending.deadline_ns < self.earliest_ns:
                self.earliest_ns = pending.deadline_ns
        return entries

    def expire(self, int64_t now_ns):
        self.enter()
        checked("now_ns", now_ns, 0, INT64_MAX)
        return self.end(-1, now_ns) if now_ns >= self.earliest_ns else []

    def next_deadline_ns(self):
        self.enter()
        return self.earliest_ns if self.pool.used > 0 else 0

    # -- client -> upstream

    def feed_untrusted(self, int64_t slot, data, int64_t now_ns):
        cdef _Slot at
        cdef Cursor chunk
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            at = self.slot_at(slot)
            checked("now_ns", now_ns, 0, INT64_MAX)
            if at.deaf:
                return None
            self.bytes_in += <uint64_t> view.len
            chunk.p = start_of(&view)
            chunk.end = chunk.p + view.len
            self.busy = True
            try:
                return self.take_client_chunk_untrusted(at, &chunk, now_ns)
            except BaseException:
                self.go_deaf(at)  # the events of this chunk are lost, so its stream can't go on
                raise
            finally:
                self.busy = False
        finally:
            PyBuffer_Release(&view)

    cdef list take_client_chunk_untrusted(self, _Slot at, Cursor* chunk, int64_t now_ns):
        cdef list events = None
        cdef Cut cut
        cdef int code
        while True:
            if self.stop_if_paused(at):
                if not buffer_append(&at.kept, chunk.p, left(chunk)):
                    raise MemoryError
                return self.keep_rest_untrusted(at, events)
            code = cut_untrusted(&at.kept, chunk, <size_t> at.max_body, &cut)
            if code == WIRE_OK:
                event = self.client_frame_untrusted(at, &cut, now_ns, events is not None)
                if cut.kept > 0:
                    buffer_consume(&at.kept, cut.kept)
                    buffer_trim(&at.kept, 0)
            elif code == WIRE_NEED_MORE:
                return self.keep_rest_untrusted(at, events)
            elif code == NO_MEMORY:
                raise MemoryError
            else:
                event = lost_event(code, &cut.header)
                self.go_deaf(at)
            if event is not None:
                if events is None:
                    events = []
                events.append(event)
                if at.deaf:
                    return events

    cdef list keep_rest_untrusted(self, _Slot at, list events):
        """At the end of a chunk: count what is not looked at yet, or lose the stream when there is no room for it."""
        cdef Header header
        cdef int code
        if self.note_unread(at):
            buffer_fit(&at.kept, C_BODY_FREE)
            return events
        code = read_header(buffer_start(&at.kept), buffer_size(&at.kept), <size_t> at.max_body, &header)
        if code == WIRE_OK:
            event = client_event(NO_ROOM, C_DENY, &header, b"")
        else:
            event = lost_event(code, &header)
        self.go_deaf(at)
        if events is None:
            events = []
        events.append(event)
        return events

    cdef bint note_unread(self, _Slot at) noexcept:
        """Count what is not looked at yet. False when the slot holds more than before and there is no room for it."""
        cdef int64_t unread = <int64_t> buffer_size(&at.kept) + at.elsewhere
        cdef int64_t growth = unread - at.unread
        at.unread = unread
        self.unread += growth
        return growth <= 0 or unread <= C_BODY_FREE or self.unread <= self.client_body_total

    cdef object client_frame_untrusted(self, _Slot at, const Cut* cut, int64_t now_ns, bint queued):
        """Pass one frame on, or make an event of it. `queued`: an event of the same chunk has its turn before it."""
        cdef uint8_t cell = at.cells[proto_index(cut.header.proto_id)]
        cdef uint8_t action = cell & 3
        cdef _Link link
        cdef Pending request
        self.frames_in += 1
        at.frames_in += 1
        if not is_intact_untrusted(cut):
            self.bad_sha1 += 1
            return client_event(BAD_SHA1, action, &cut.header, b"")
        if cut.header.proto_fmt > 1:
            return client_event(FRAME, C_DENY, &cut.header, body_of(cut))
        if action == C_PASS and not queued and at.links[cell >> 4] < PyList_GET_SIZE(self.links):
            link = <_Link> PyList_GET_ITEM(self.links, at.links[cell >> 4])
            if link.ready:
                self.make_room(link, cut.header.body_len)
                request.slot = at.number
                request.generation = at.generation
                request.serial_no = cut.header.serial_no
                request.upstream_serial = self.reserve(link)
                request.proto_id = cut.header.proto_id
                request.proto_fmt = cut.header.proto_fmt
                request.link = link.number
                request.start_ns = now_ns
                request.deadline_ns = deadline_of(now_ns, at.timeout_ns)
                request.reply = cell >> 2 & 3
                request.extras = 0
                self.send(link, at, &request, cut)
                self.passed += 1
                return None
        return client_event(FRAME, action, &cut.header, body_of(cut))

    cdef bint is_paused(self, _Slot at) noexcept:
        return (
            at.in_flight >= at.max_in_flight
            or at.used_links & self.full_links != 0
            or lane_size(&at.lane) > self.outbox_high_water
        )

    cdef bint stop_if_paused(self, _Slot at) except -1:
        """Whoever is told to stop reading is told by `take_resumed` to go on."""
        if not self.is_paused(at):
            return False
        if not at.stopped and not at.deaf:
            self.stopped.append(at)
            at.stopped = True
        return True

    def paused(self, int64_t slot):
        return self.stop_if_paused(self.slot_at(slot))

    def take_resumed(self):
        cdef list resumed = []
        cdef list still = []
        cdef _Slot at
        self.enter()
        if PyList_GET_SIZE(self.stopped) == 0:
            return resumed
        for at in self.stopped:
            if self.is_paused(at):
                still.append(at)
            else:
                resumed.append(at.number)
        for at in self.stopped:
            at.stopped = self.is_paused(at)
        self.stopped = still
        return resumed

    def stop_reading(self, int64_t slot):
        self.go_deaf(self.slot_at(slot))

    cdef int go_deaf(self, _Slot at) except -1:
        at.deaf = True
        buffer_free(&at.kept)
        self.note_unread(at)
        if at.stopped:
            at.stopped = False
            self.stopped.remove(at)
        return 0

    # -- links

    cdef _Link link_at(self, int64_t link):
        self.enter()
        if not 0 <= link < PyList_GET_SIZE(self.links):
            raise ValueError("no such link")
        return <_Link> PyList_GET_ITEM(self.links, <Py_ssize_t> link)

    cdef void note_link(self, _Link link) noexcept:
        """To be called whenever the unsent bytes of a link have changed."""
        if buffer_size(&link.unsent) > self.link_high_water:
            self.full_links |= <uint32_t> 1 << link.number
        else:
            self.full_links &= ~(<uint32_t> 1 << link.number)

    def open_link(self):
        cdef _Link link
        self.enter()
        if PyList_GET_SIZE(self.links) == MAX_LINKS:
            raise ValueError("no more links")
        link = _Link.__new__(_Link)
        link.number = <uint8_t> PyList_GET_SIZE(self.links)
        self.links.append(link)
        return link.number

    def set_link_ready(self, int64_t link, bint ready):
        self.link_at(link).ready = ready

    def reset_link(self, int64_t link):
        cdef _Link to = self.link_at(link)
        cdef list entries = self.end(to.number, 0)
        to.ready = to.deaf = False
        buffer_free(&to.unsent)
        buffer_free(&to.kept)
        self.note_link(to)
        if to.reserved >= <uint32_t> SERIALS_RESTART:
            to.reserved = to.serial = 0
        return entries

    def reserve_serial(self, int64_t link):
        return self.reserve(self.link_at(link))

    def submit(
        self,
        int64_t link,
        int64_t slot,
        int64_t serial_no,
        int64_t proto_id,
        int64_t proto_fmt,
        body,
        *,
        int64_t reply,
        token,
        int64_t timeout_ns,
        int64_t now_ns,
        int64_t upstream_serial=0,
        bytes sha1=None,
    ):
        cdef _Link to
        cdef _Slot at = None
        cdef Pending request
        cdef Cut cut
        cdef uint8_t[SHA1_LEN] digest
        cdef Py_buffer view
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            checked("body", view.len, 0, MAX_BODY)
            cut.body = start_of(&view)
            cut.header.body_len = <uint32_t> view.len
            cut.header.sha1 = digest
            if sha1 is None:
                sha1_digest(cut.body, cut.header.body_len, digest)
            else:
                checked("sha1", PyBytes_GET_SIZE(sha1), SHA1_LEN, SHA1_LEN)
                memcpy(digest, PyBytes_AS_STRING(sha1), SHA1_LEN)
            to = self.link_at(link)
            if slot != -1:
                at = self.slot_at(slot)
            request.slot = at.number if at is not None else -1
            request.generation = at.generation if at is not None else 0
            request.serial_no = <uint32_t> checked("serial_no", serial_no, 0, UINT32_MAX)
            request.proto_id = <uint32_t> checked("proto_id", proto_id, 0, UINT32_MAX)
            request.proto_fmt = <uint8_t> checked("proto_fmt", proto_fmt, 0, 255)
            request.reply = <uint8_t> checked("reply", reply, C_NATIVE, C_HOLD if at is not None else C_EVENT)
            request.link = to.number
            request.start_ns = checked("now_ns", now_ns, 0, INT64_MAX)
            request.deadline_ns = deadline_of(now_ns, checked("timeout_ns", timeout_ns, 1, INT64_MAX))
            request.upstream_serial = <uint32_t> checked("upstream_serial", upstream_serial, 0, UINT32_MAX)
            request.extras = 0
            if request.upstream_serial != 0 and not self.grows(to, request.upstream_serial):
                raise ValueError("the serial does not grow")
            self.make_room(to, cut.header.body_len)
            if token is not None:
                self.tokens[self.last_order + 1] = token
                request.extras = HAS_TOKEN
            if request.upstream_serial == 0:
                request.upstream_serial = self.reserve(to)
            elif is_ahead(request.upstream_serial, to.reserved):
                to.reserved = request.upstream_serial
            self.send(to, at, &request, &cut)
            return request.upstream_serial
        finally:
            PyBuffer_Release(&view)

    cdef bint grows(self, _Link link, uint32_t serial) noexcept:
        return is_ahead(serial, link.serial) and index_find(&link.index, serial) == NOWHERE

    def join(self, int64_t link, int64_t upstream_serial, int64_t slot, int64_t serial_no):
        cdef _Link to = self.link_at(link)
        cdef _Slot at = self.slot_at(slot)
        cdef Pending* pending
        cdef uint32_t place
        checked("upstream_serial", upstream_serial, 0, UINT32_MAX)
        checked("serial_no", serial_no, 0, UINT32_MAX)
        place = index_find(&to.index, <uint32_t> upstream_serial)
        if place == NOWHERE:
            return False
        if self.pool.items[place].reply != C_NATIVE:
            raise ValueError("only a NATIVE reply can be shared")
        waiter = (at.number, at.generation, serial_no)
        pending = &self.pool.items[place]
        if pending.extras & HAS_WAITERS:
            self.waiters[pending.order].append(waiter)
        else:
            self.waiters[pending.order] = [waiter]
            pending.extras |= HAS_WAITERS
        return True

    def link_feed_untrusted(self, int64_t link, data, int64_t now_ns):
        cdef _Batch batch
        cdef _Link to
        cdef Cursor chunk
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            to = self.link_at(link)
            checked("now_ns", now_ns, 0, INT64_MAX)
            self.last_batch += 1
            batch = _Batch.__new__(_Batch)
            batch.number = self.last_batch
            batch.now_ns = now_ns
            if not to.deaf:
                self.upstream_bytes_in += <uint64_t> view.len
                chunk.p = start_of(&view)
                chunk.end = chunk.p + view.len
                self.busy = True
                try:
                    self.take_link_chunk_untrusted(to, &chunk, batch)
                    return batch.result()
                except BaseException:
                    to.deaf = True  # the events of this chunk are lost, so its stream can't go on
                    raise
                finally:
                    self.busy = False
            return batch.result()
        finally:
            PyBuffer_Release(&view)

    cdef int take_link_chunk_untrusted(self, _Link link, Cursor* chunk, _Batch batch) except -1:
        cdef Cut cut
        cdef int code
        cdef unsigned int index
        while True:
            code = cut_untrusted(&link.kept, chunk, self.max_upstream_body, &cut)
            if code == WIRE_OK:
                self.upstream_frames_in += 1
                index = proto_index(cut.header.proto_id)
                if PROTO_KIND[index] != 0:
                    self.push_untrusted(&cut, batch)
                else:
                    self.reply_untrusted(link, &cut, &self.latency[index], batch)
                if cut.kept > 0:
                    buffer_consume(&link.kept, cut.kept)
                    buffer_trim(&link.kept, LINK_SPARE)
            elif code == WIRE_NEED_MORE:
                return 0
            elif code == NO_MEMORY:
                raise MemoryError
            else:
                link.deaf = True
                buffer_free(&link.kept)
                batch.events.append(tuple_new(LinkEvent, (STREAM_LOST, None, b"", 0, -1)))
                return 0

    cdef int push_untrusted(self, const Cut* cut, _Batch batch) except -1:
        if not is_intact_untrusted(cut):
            self.bad_sha1 += 1
            batch.bad_pushes += 1
            return 0
        frame = PyBytes_FromStringAndSize(
            <const char*> cut.body - HEADER_LEN, HEADER_LEN + <Py_ssize_t> cut.header.body_len
        )
        self.pushes_in += 1
        batch.pushes.append(tuple_new(Push, (cut.header.proto_id, cut.header.proto_fmt, frame)))
        return 0

    cdef int reply_untrusted(self, _Link link, const Cut* cut, Latency* latency, _Batch batch) except -1:
        cdef uint32_t place = index_find(&link.index, cut.header.serial_no)
        cdef Pending pending
        cdef _Slot at
        cdef bint intact
        if place == NOWHERE or self.pool.items[place].proto_id != cut.header.proto_id:
            self.strays += 1
            batch.strays += 1
            return 0
        pending = self.pool.items[place]
        at = self.owner(pending.slot, pending.generation)
        intact = is_intact_untrusted(cut)
        if not intact or pending.reply != C_NATIVE or pending.extras != 0 or at is None:
            return self.rare_reply_untrusted(place, cut, intact, latency, batch)
        latency_add(latency, pending.start_ns, batch.now_ns)
        self.forget(place)
        if not self.deliver(at, cut, pending.serial_no, batch):
            batch.events.append(
                tuple_new(LinkEvent, (OVERFLOW, self.entry_of(&pending), b"", cut.header.proto_fmt, -1))
            )
        return 0

    cdef int rare_reply_untrusted(
        self, uint32_t place, const Cut* cut, bint intact, Latency* latency, _Batch batch
    ) except -1:
        """A reply that core must see, or that more than one waits for."""
        cdef Pending pending = self.pool.items[place]
        cdef _Slot at = self.owner(pending.slot, pending.generation)
        cdef bint wanted = self.is_wanted(&pending)
        cdef uint8_t fmt = cut.header.proto_fmt
        cdef int64_t ticket = -1
        entry = self.entry_of(&pending)
        self.forget(place)
        if not wanted:
            self.strays += 1
            batch.strays += 1
            return 0
        if not intact:
            self.bad_sha1 += 1
            batch.events.append(tuple_new(LinkEvent, (REPLY_BAD_SHA1, entry, b"", fmt, -1)))
            return 0
        if pending.slot >= 0:
            latency_add(latency, pending.start_ns, batch.now_ns)
        if pending.reply == C_NATIVE:
            if at is not None and not self.deliver(at, cut, pending.serial_no, batch):
                batch.events.append(tuple_new(LinkEvent, (OVERFLOW, entry, b"", fmt, -1)))
            for slot, generation, serial_no in entry.waiters:
                at = self.owner(slot, generation)
                if at is not None and not self.deliver(at, cut, serial_no, batch):
                    waiter = entry._replace(
                        slot=slot, generation=generation, serial_no=serial_no, token=None, waiters=()
                    )
                    batch.events.append(tuple_new(LinkEvent, (OVERFLOW, waiter, b"", fmt, -1)))
        elif pending.reply == C_HOLD and at is not None:
            ticket = <int64_t> self.hold_in(at)
        if pending.reply != C_NATIVE or entry.token is not None:
            batch.events.append(tuple_new(LinkEvent, (REPLY, entry, body_of(cut), fmt, ticket)))
        return 0

    cdef bint deliver(self, _Slot at, const Cut* cut, uint32_t serial_no, _Batch batch) except -1:
        """Write a reply into the ordered lane. False when it does not fit."""
        cdef size_t body_len = cut.header.body_len
        cdef uint8_t* room
        room = self.extend(at, HEADER_LEN + body_len)
        if room == NULL:
            return False
        write_header(
            room, cut.header.proto_id, cut.header.proto_fmt, serial_no, cut.header.body_len, cut.header.sha1
        )
        if body_len > 0:
            memcpy(room + HEADER_LEN, cut.body, body_len)
        if at.dirty_in != batch.number:
            at.dirty_in = batch.number
            batch.dirty.append(at.number)
        return True

    def link_out(self, int64_t link):
        cdef _Link to = self.link_at(link)
        return view_of(buffer_start(&to.unsent), buffer_size(&to.unsent))

    def link_sent(self, int64_t link, int64_t count):
        cdef _Link to = self.link_at(link)
        checked("count", count, 0, <int64_t> buffer_size(&to.unsent))
        buffer_consume(&to.unsent, <size_t> count)
        buffer_trim(&to.unsent, LINK_SPARE)
        self.note_link(to)

    def link_pending_bytes(self, int64_t link):
        return buffer_size(&self.link_at(link).unsent)

    def link_serial(self, int64_t link):
        return self.link_at(link).serial

    # -- outbox

    cdef bint fits(self, _Slot at, int64_t size, int64_t replaced) noexcept:
        """May `size` bytes come into the outbox in place of `replaced` ones? An empty one takes any frame."""
        cdef int64_t used = at.outbox_bytes()
        cdef int64_t growth = size - replaced
        if at.truncated:
            return False
        if used == replaced:
            at.note_first(size)
            return True
        if growth <= 0:
            return True
        return used + growth <= at.outbox_limit + at.oversize and self.outbox_used + growth <= self.outbox_total

    cdef uint8_t* extend(self, _Slot at, size_t count) noexcept:
        """Room at the end of the ordered lane, to be filled at once; NULL over a bound, or without memory."""
        cdef uint8_t* room = lane_extend(&at.lane, count) if self.fits(at, <int64_t> count, 0) else NULL
        if room != NULL:
            self.outbox_used += <int64_t> count
        else:
            self.overflows += 1
        return room

    cdef bint append_to(self, _Slot at, const uint8_t* frame, size_t size) noexcept:
        cdef uint8_t* room = self.extend(at, size)
        if room == NULL:
            return False
        memcpy(room, frame, size)
        return True

    def append(self, int64_t slot, frame):
        cdef Py_buffer view
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        try:
            check_frame(&view)
            return self.append_to(self.slot_at(slot), <const uint8_t*> view.buf, <size_t> view.len)
        finally:
            PyBuffer_Release(&view)

    def reply(self, int64_t slot, int64_t proto_id, int64_t proto_fmt, int64_t serial_no, body):
        cdef uint8_t[SHA1_LEN] digest
        cdef uint8_t* room
        cdef size_t body_len
        cdef _Slot at
        cdef Py_buffer view
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            checked("proto_id", proto_id, 0, UINT32_MAX)
            checked("proto_fmt", proto_fmt, 0, 255)
            checked("serial_no", serial_no, 0, UINT32_MAX)
            body_len = <size_t> checked("body", view.len, 0, MAX_BODY)
            sha1_digest(start_of(&view), body_len, digest)
            at = self.slot_at(slot)
            room = self.extend(at, HEADER_LEN + body_len)
            if room == NULL:
                return False
            write_header(
                room, <uint32_t> proto_id, <uint8_t> proto_fmt, <uint32_t> serial_no, <uint32_t> body_len, digest
            )
            if body_len > 0:
                memcpy(room + HEADER_LEN, view.buf, body_len)
            return True
        finally:
            PyBuffer_Release(&view)

    def fan_out(self, slots, frame, key):
        cdef list ready = []
        cdef list overflowed = []
        cdef list targets = []
        cdef tuple answer = (ready, overflowed)
        cdef _Slot at
        cdef bytes whole
        cdef bint taken
        cdef Py_buffer view
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        try:
            check_frame(&view)
            hash(key)
            # Not a comprehension: Cython 3.3 drops a reference too many when its append runs out of memory.
            for slot in slots:
                targets.append(self.slot_at(slot))
            whole = frame if type(frame) is bytes else None
            self.busy = True  # comparing keys may run foreign code
            try:
                for at in targets:
                    if key is None or (lane_is_empty(&at.lane) and at.conflating is None):
                        taken = self.append_to(at, <const uint8_t*> view.buf, <size_t> view.len)
                    else:
                        if whole is None:
                            whole = PyBytes_FromStringAndSize(<const char*> view.buf, view.len)
                        taken = self.conflate(at, key, whole)
                    if not taken:
                        overflowed.append(at.number)
                        continue
                    at.pushes_out += 1
                    if lane_sendable(&at.lane) > 0 or (lane_is_empty(&at.lane) and at.conflating is not None):
                        ready.append(at.number)
            finally:
                self.busy = False
            self.pushes_out += <uint64_t> (PyList_GET_SIZE(targets) - PyList_GET_SIZE(overflowed))
            return answer
        finally:
            PyBuffer_Release(&view)

    cdef bint conflate(self, _Slot at, key, bytes frame) except -1:
        """Keep the newest frame of `key` at the place of the oldest one."""
        cdef bytes old = at.conflating.get(key) if at.conflating is not None else None
        cdef int64_t replaced = PyBytes_GET_SIZE(old) if old is not None else 0
        cdef int64_t size = PyBytes_GET_SIZE(frame)
        if not self.fits(at, size, replaced):
            self.overflows += 1
            return False
        if at.conflating is None:
            at.conflating = {}
        at.conflating[key] = frame
        at.conflating_bytes += size - replaced
        self.outbox_used += size - replaced
        if old is not None:
            self.conflated += 1
        return True

    cdef int refill(self, _Slot at) except -1:
        """Move the conflating lane into an empty ordered lane."""
        cdef dict conflating = at.conflating
        cdef uint8_t* room
        cdef bytes frame
        if conflating is None or not lane_is_empty(&at.lane):
            return 0
        room = lane_extend(&at.lane, <size_t> at.conflating_bytes)
        if room == NULL:
            raise MemoryError
        for frame in conflating.values():
            memcpy(room, PyBytes_AS_STRING(frame), <size_t> PyBytes_GET_SIZE(frame))
            room += PyBytes_GET_SIZE(frame)
        at.conflating_bytes = 0
        at.conflating = None
        return 0

    cdef uint64_t hold_in(self, _Slot at) except 0:
        if not at.truncated and not lane_hold(&at.lane, self.last_ticket + 1):
            raise MemoryError
        self.last_ticket += 1
        return self.last_ticket

    def hold(self, int64_t slot):
        return self.hold_in(self.slot_at(slot))

    def held(self, int64_t slot):
        return self.slot_at(slot).lane.n_holes

    def release(self, int64_t slot, int64_t ticket, frame):
        cdef _Slot at
        cdef size_t hole
        cdef bint is_first
        cdef Py_buffer view
        PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
        try:
            if view.len > 0:
                check_frame(&view)
            at = self.slot_at(slot)
            hole = lane_find_hole(&at.lane, <uint64_t> ticket)
            if hole == at.lane.n_holes:
                return False
            is_first = at.outbox_bytes() == 0
            # No bound is asked: the frame was in memory before, in the hands of who held it.
            if not lane_fill_hole(&at.lane, hole, <const uint8_t*> view.buf, <size_t> view.len):
                raise MemoryError
            self.outbox_used += view.len
            if is_first:
                at.note_first(view.len)
            return True
        finally:
            PyBuffer_Release(&view)

    def out(self, int64_t slot, int64_t limit=0):
        cdef _Slot at = self.slot_at(slot)
        cdef size_t size
        checked("limit", limit, 0, INT64_MAX)
        self.refill(at)
        size = lane_sendable(&at.lane)
        if limit > 0:
            size = min(size, <size_t> limit)
        return view_of(buffer_start(&at.lane.bytes), size)

    def sent(self, int64_t slot, int64_t count):
        cdef _Slot at = self.slot_at(slot)
        if not 0 <= count <= <int64_t> lane_sendable(&at.lane):
            raise ValueError("more bytes sent than there were")
        self.take_off(at, <size_t> count)

    cdef void take_off(self, _Slot at, size_t count) noexcept:
        self.frames_out += lane_consume(&at.lane, count)
        self.bytes_out += count
        self.outbox_used -= <int64_t> count

    def take_frames(self, int64_t slot, int64_t limit):
        cdef _Slot at = self.slot_at(slot)
        cdef list frames = []
        cdef const uint8_t* p
        cdef size_t size
        cdef size_t taken = 0
        checked("limit", limit, 0, INT64_MAX)
        if at.lane.frame_left > 0:
            raise ValueError("a frame is half sent")
        self.refill(at)
        while taken < lane_sendable(&at.lane):
            p = buffer_start(&at.lane.bytes) + taken
            size = HEADER_LEN + <size_t> load_u32(p + 12)
            if taken > 0 and taken + size > <size_t> limit:
                break
            frames.append(PyBytes_FromStringAndSize(<const char*> p, <Py_ssize_t> size))
            taken += size
        self.take_off(at, taken)
        return frames

    def out_bytes(self, int64_t slot):
        return self.slot_at(slot).outbox_bytes()

    def out_to_boundary(self, int64_t slot):
        return self.slot_at(slot).lane.frame_left

    def out_truncate(self, int64_t slot):
        cdef _Slot at = self.slot_at(slot)
        cdef int64_t dropped = at.outbox_bytes() - <int64_t> at.lane.frame_left
        lane_truncate(&at.lane)
        self.outbox_used -= dropped
        at.truncated = True
        at.conflating_bytes = 0
        at.conflating = None
        return dropped

    def counters(self):
        self.enter()
        return tuple_new(
            Counters,
            (
                self.frames_in,
                self.bytes_in,
                self.passed,
                self.frames_out,
                self.bytes_out,
                self.upstream_frames_in,
                self.upstream_bytes_in,
                self.strays,
                self.bad_sha1,
                self.conflated,
                self.pushes_in,
                self.pushes_out,
                self.overflows,
                self.outbox_used,
                self.unread,
                self.pool.used,
            ),
        )

    def slot_figures(self, int64_t slot):
        cdef _Slot at = self.slot_at(slot)
        return tuple_new(SlotFigures, (at.frames_in, at.pushes_out, at.outbox_bytes(), at.in_flight))

    def latencies(self):
        cdef dict found = {}
        cdef Latency* latency
        cdef int i
        self.enter()
        for proto_id, index in [(0, 0), *PROTO_INDEX.items()]:
            latency = &self.latency[<int> index]
            counts = tuple([latency.counts[i] for i in range(N_BOUNDS + 1)])
            if any(counts):
                found[proto_id] = (counts, latency.sum_ns / 1e9)
        return found
