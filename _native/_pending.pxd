# Requests that wait for their reply: a pool of structs, and per link an index from upstream serial to place in the
# pool.
#
# The index is a hash table with open addressing and no tombstones. A ring over the growing serials would be simpler,
# but one request that waits for seconds would make it as long as all the traffic since.

from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawRealloc
from libc.stdint cimport UINT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef enum:
    NOWHERE = 0xFFFFFFFF  # no place in the pool
    POOL_MIN = 64
    POOL_MAX = 0x10000000
    INDEX_MIN_BITS = 6
    INDEX_MAX_BITS = 30

    HAS_TOKEN = 1  # bits of Pending.extras: the rest is in a dict of the switch, under `order`
    HAS_WAITERS = 2


cdef struct Pending:
    int64_t start_ns
    int64_t deadline_ns
    uint64_t generation  # of the slot; 0 for the proxy's own
    uint64_t order  # grows with every request, never reused
    uint32_t upstream_serial  # 0 = this place is free
    uint32_t serial_no
    uint32_t proto_id
    int32_t slot  # -1: the proxy's own
    uint32_t next  # in the slot's list, or in the list of free places
    uint32_t prev
    uint8_t proto_fmt
    uint8_t reply
    uint8_t link
    uint8_t extras


# All zero is a valid empty pool.
cdef struct Pool:
    Pending* items
    uint32_t capacity
    uint32_t used
    uint32_t unused_from  # places from here on were never taken
    uint32_t first_free  # valid when used < unused_from


cdef inline bint pool_reserve(Pool* pool) noexcept nogil:
    """Make sure of one more place. False, and nothing is changed, without memory for it."""
    cdef uint32_t capacity
    cdef Pending* items
    if pool.used < pool.capacity:
        return True
    capacity = 2 * pool.capacity
    if capacity == 0:
        capacity = POOL_MIN
    if capacity > <uint32_t> POOL_MAX:
        return False
    items = <Pending*> PyMem_RawRealloc(pool.items, <size_t> capacity * sizeof(Pending))
    if items == NULL:
        return False
    pool.items = items
    pool.capacity = capacity
    return True


cdef inline uint32_t pool_take(Pool* pool) noexcept nogil:
    """A place; after pool_reserve only."""
    cdef uint32_t place
    if pool.used < pool.unused_from:
        place = pool.first_free
        pool.first_free = pool.items[place].next
    else:
        place = pool.unused_from
        pool.unused_from += 1
    pool.used += 1
    return place


cdef inline void pool_give_back(Pool* pool, uint32_t place) noexcept nogil:
    pool.items[place].upstream_serial = 0
    pool.items[place].next = pool.first_free
    pool.first_free = place
    pool.used -= 1


cdef inline void pool_free(Pool* pool) noexcept nogil:
    PyMem_RawFree(pool.items)
    pool.items = NULL
    pool.capacity = pool.used = pool.unused_from = 0


cdef struct IndexCell:
    uint32_t serial  # 0 = empty: no request has serial 0
    uint32_t place


# All zero is a valid empty index.
cdef struct SerialIndex:
    IndexCell* cells
    uint32_t bits  # 2**bits cells, at most half of them in use
    uint32_t used


cdef inline uint32_t index_home(uint32_t serial, uint32_t bits) noexcept nogil:
    """Multiplying by 2**32 / golden ratio spreads neighbouring serials evenly, so runs of old ones do no harm."""
    return (serial * <uint32_t> 2654435769) >> (32 - bits)


cdef inline uint32_t index_find(const SerialIndex* index, uint32_t serial) noexcept nogil:
    """The place of a serial, or NOWHERE (so for serial 0)."""
    cdef uint32_t mask, i
    if index.used == 0:
        return NOWHERE
    mask = (<uint32_t> 1 << index.bits) - 1
    i = index_home(serial, index.bits)
    while index.cells[i].serial != 0:
        if index.cells[i].serial == serial:
            return index.cells[i].place
        i = (i + 1) & mask
    return NOWHERE


cdef inline void index_put(SerialIndex* index, uint32_t serial, uint32_t place) noexcept nogil:
    """Add a serial that is not there; after index_reserve only."""
    cdef uint32_t mask = (<uint32_t> 1 << index.bits) - 1
    cdef uint32_t i = index_home(serial, index.bits)
    while index.cells[i].serial != 0:
        i = (i + 1) & mask
    index.cells[i].serial = serial
    index.cells[i].place = place
    index.used += 1


cdef inline bint index_reserve(SerialIndex* index) noexcept nogil:
    """Make sure of room for one more. False, and nothing is changed, without memory for it."""
    cdef SerialIndex grown
    cdef uint32_t i
    if index.cells != NULL and index.used < <uint32_t> 1 << (index.bits - 1):
        return True
    grown.bits = index.bits + 1
    if index.cells == NULL:
        grown.bits = INDEX_MIN_BITS
    if grown.bits > INDEX_MAX_BITS:
        return False
    grown.cells = <IndexCell*> PyMem_RawCalloc(<size_t> 1 << grown.bits, sizeof(IndexCell))
    if grown.cells == NULL:
        return False
    grown.used = 0
    if index.cells != NULL:
        for i in range(<uint32_t> 1 << index.bits):
            if index.cells[i].serial != 0:
                index_put(&grown, index.cells[i].serial, index.cells[i].place)
        PyMem_RawFree(index.cells)
    index[0] = grown
    return True


cdef inline void index_remove(SerialIndex* index, uint32_t serial) noexcept nogil:
    """Take out a serial that is there, and close the gap: each cell stays reachable from its home."""
    cdef uint32_t mask = (<uint32_t> 1 << index.bits) - 1
    cdef uint32_t gap = index_home(serial, index.bits)
    cdef uint32_t i
    while index.cells[gap].serial != serial:
        gap = (gap + 1) & mask
    i = gap
    while True:
        i = (i + 1) & mask
        if index.cells[i].serial == 0:
            break
        # A cell may move back to the gap when its home is not behind the gap.
        if ((i - index_home(index.cells[i].serial, index.bits)) & mask) >= ((i - gap) & mask):
            index.cells[gap] = index.cells[i]
            gap = i
    index.cells[gap].serial = 0
    index.used -= 1


cdef inline void index_free(SerialIndex* index) noexcept nogil:
    PyMem_RawFree(index.cells)
    index.cells = NULL
    index.bits = index.used = 0
