# The ordered lane of an outbox: whole frames in one piece of memory, and places held open between them.
#
# A place held open takes no bytes; what lies behind it may not be sent. Filling one moves the bytes behind it, which is
# fine for something that happens a few times a second.

from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memmove

from _wire cimport HEADER_LEN, Buffer, buffer_consume, buffer_free, buffer_reserve, buffer_size, buffer_start, load_u32


cdef enum:
    LANE_MIN = 4096  # first allocation: a window of replies of the usual size
    HOLES_MIN = 4


cdef struct Hole:
    uint64_t ticket
    size_t at  # bytes of the lane in front of it


# All zero is a valid empty lane without memory; what is allocated must be given back by lane_free.
cdef struct Lane:
    Buffer bytes
    size_t frame_left  # bytes missing until the half-sent frame is complete; 0 at a boundary
    Hole* holes  # in the order of the lane, which is also the order of the tickets
    size_t n_holes
    size_t holes_capacity


cdef inline size_t lane_size(const Lane* lane) noexcept nogil:
    return buffer_size(&lane.bytes)


cdef inline bint lane_is_empty(const Lane* lane) noexcept nogil:
    """No bytes and no places held open."""
    return lane.n_holes == 0 and buffer_size(&lane.bytes) == 0


cdef inline size_t lane_sendable(const Lane* lane) noexcept nogil:
    return lane.holes[0].at if lane.n_holes > 0 else buffer_size(&lane.bytes)


cdef inline uint8_t* lane_extend(Lane* lane, size_t count) noexcept nogil:
    """`count` > 0 bytes at the end for the caller to fill; NULL, and nothing is changed, without memory for them."""
    cdef uint8_t* room
    if not buffer_reserve(&lane.bytes, count if lane.bytes.capacity > 0 or count > LANE_MIN else <size_t> LANE_MIN):
        return NULL
    room = lane.bytes.data + lane.bytes.tail
    lane.bytes.tail += count
    return room


cdef inline size_t lane_consume(Lane* lane, size_t count) noexcept nogil:
    """Take `count` <= lane_sendable() bytes off the front; returns how many frames became complete by that."""
    cdef const uint8_t* p = buffer_start(&lane.bytes)
    cdef size_t rest = count
    cdef size_t step, i
    cdef size_t done = 0
    while rest > 0:
        # The lane is whole frames, so at a boundary there is a header with all of its body.
        if lane.frame_left == 0:
            lane.frame_left = HEADER_LEN + <size_t> load_u32(p + 12)
        step = min(rest, lane.frame_left)
        p += step
        rest -= step
        lane.frame_left -= step
        if lane.frame_left == 0:
            done += 1
    for i in range(lane.n_holes):
        lane.holes[i].at -= count
    buffer_consume(&lane.bytes, count)
    if buffer_size(&lane.bytes) == 0:
        buffer_free(&lane.bytes)
    return done


cdef inline bint lane_hold(Lane* lane, uint64_t ticket) noexcept nogil:
    """Hold the end open. False, and nothing is changed, without memory for it."""
    cdef size_t capacity
    cdef Hole* holes
    if lane.n_holes == lane.holes_capacity:
        capacity = 2 * lane.holes_capacity if lane.holes_capacity > 0 else <size_t> HOLES_MIN
        holes = <Hole*> PyMem_RawRealloc(lane.holes, capacity * sizeof(Hole))
        if holes == NULL:
            return False
        lane.holes = holes
        lane.holes_capacity = capacity
    lane.holes[lane.n_holes].ticket = ticket
    lane.holes[lane.n_holes].at = buffer_size(&lane.bytes)
    lane.n_holes += 1
    return True


cdef inline size_t lane_find_hole(const Lane* lane, uint64_t ticket) noexcept nogil:
    """The number of the place with that ticket; n_holes when there is none."""
    cdef size_t i
    for i in range(lane.n_holes):
        if lane.holes[i].ticket == ticket:
            return i
    return lane.n_holes


cdef inline bint lane_fill_hole(Lane* lane, size_t hole, const uint8_t* data, size_t count) noexcept nogil:
    """Put `count` bytes (not of this lane) where a place was held open. False, and nothing changed, without memory."""
    cdef size_t at = lane.holes[hole].at
    cdef size_t i
    cdef uint8_t* p
    if count > 0:
        if not buffer_reserve(&lane.bytes, count):
            return False
        p = lane.bytes.data + lane.bytes.head + at
        memmove(p + count, p, buffer_size(&lane.bytes) - at)
        memcpy(p, data, count)
        lane.bytes.tail += count
    lane.n_holes -= 1
    for i in range(hole, lane.n_holes):
        lane.holes[i] = lane.holes[i + 1]
        lane.holes[i].at += count
    if lane.n_holes == 0:
        lane_free_holes(lane)
    return True


cdef inline void lane_free_holes(Lane* lane) noexcept nogil:
    PyMem_RawFree(lane.holes)
    lane.holes = NULL
    lane.n_holes = lane.holes_capacity = 0


cdef inline void lane_truncate(Lane* lane) noexcept nogil:
    """Drop everything behind the half-sent frame."""
    lane_free_holes(lane)
    lane.bytes.tail = lane.bytes.head + lane.frame_left
    if lane.frame_left == 0:
        buffer_free(&lane.bytes)


cdef inline void lane_free(Lane* lane) noexcept nogil:
    buffer_free(&lane.bytes)
    lane_free_holes(lane)
    lane.frame_left = 0
