# What the compiled modules share: the frame header, a checked cursor, a byte buffer, the digest.
#
# Everything that touches peer bytes is `noexcept nogil` and returns a named code; the Python-facing methods turn codes
# into exceptions or events. Every method of ours runs with the GIL held: nogil documents "no Python in here".

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport SIZE_MAX, uint8_t, uint32_t
from libc.string cimport memcpy, memmove


cdef extern from "_tables.h" nogil:
    enum:
        PROTO_ID_MAX
        N_PROTOCOLS
    const uint8_t PROTO_KIND[]  # by dense index, 1 = push
    unsigned int proto_index(uint32_t proto_id)  # dense index of any number; 0 = unknown


cdef extern from "_sha1.h" nogil:
    int sha1_init() except -1  # once per extension module, at import
    void sha1_digest(const uint8_t* data, size_t size, uint8_t* out) noexcept  # the caller holds the GIL
    const char* sha1_backend_name()


cdef enum:
    HEADER_LEN = 44
    SHA1_LEN = 20
    SHA1_OFFSET = 16


cdef enum WireCode:
    WIRE_OK = 0
    WIRE_NEED_MORE = 1
    WIRE_BAD_MAGIC = 2
    WIRE_TOO_LARGE = 3


cdef struct Header:
    uint32_t proto_id
    uint8_t proto_fmt
    uint32_t serial_no
    uint32_t body_len
    const uint8_t* sha1  # points into the header's bytes


cdef struct Cursor:  # bytes not yet looked at; only `take` moves it
    const uint8_t* p
    const uint8_t* end


cdef inline size_t left(const Cursor* cursor) noexcept nogil:
    return <size_t> (cursor.end - cursor.p)


cdef inline const uint8_t* take(Cursor* cursor, size_t count) noexcept nogil:
    """The next `count` bytes, or NULL when there are fewer."""
    cdef const uint8_t* taken = cursor.p
    if left(cursor) < count:
        return NULL
    cursor.p += count
    return taken


cdef inline uint32_t load_u32(const uint8_t* p) noexcept nogil:
    return p[0] | <uint32_t> p[1] << 8 | <uint32_t> p[2] << 16 | <uint32_t> p[3] << 24


cdef inline void store_u32(uint8_t* p, uint32_t value) noexcept nogil:
    p[0] = <uint8_t> value
    p[1] = <uint8_t> (value >> 8)
    p[2] = <uint8_t> (value >> 16)
    p[3] = <uint8_t> (value >> 24)


cdef inline WireCode read_header(const uint8_t* p, size_t size, size_t max_body, Header* header) noexcept nogil:
    """Look at the `size` bytes at `p`, the start of a frame.

    BAD_MAGIC as early as one wrong byte shows; NEED_MORE when the header is not complete; TOO_LARGE when body_len is
    over `max_body`. `header` is filled for OK and TOO_LARGE.
    """
    if (size > 0 and p[0] != c"F") or (size > 1 and p[1] != c"T"):
        return WIRE_BAD_MAGIC
    if size < HEADER_LEN:
        return WIRE_NEED_MORE
    header.proto_id = load_u32(p + 2)
    header.proto_fmt = p[6]
    header.serial_no = load_u32(p + 8)
    header.body_len = load_u32(p + 12)
    header.sha1 = p + SHA1_OFFSET
    return WIRE_TOO_LARGE if header.body_len > max_body else WIRE_OK


cdef inline WireCode next_frame(
    Cursor* cursor, size_t max_body, Header* header, const uint8_t** body
) noexcept nogil:
    """Take one whole frame. The cursor moves only when the answer is OK; `header` is filled as by read_header.

    NEED_MORE with at least HEADER_LEN bytes left means that the header is known and good but the body is not complete.
    """
    cdef const uint8_t* frame = cursor.p
    cdef WireCode code = read_header(frame, left(cursor), max_body, header)
    if code != WIRE_OK:
        return code
    # No overflow: left() is at least HEADER_LEN here.
    if left(cursor) - HEADER_LEN < header.body_len:
        return WIRE_NEED_MORE
    cursor.p += HEADER_LEN + <size_t> header.body_len
    body[0] = frame + HEADER_LEN
    return WIRE_OK


cdef inline void write_header(
    uint8_t* out, uint32_t proto_id, uint8_t proto_fmt, uint32_t serial_no, uint32_t body_len, const uint8_t* sha1
) noexcept nogil:
    """HEADER_LEN bytes to `out`; proto_ver and reserved are zero."""
    out[0] = c"F"
    out[1] = c"T"
    store_u32(out + 2, proto_id)
    out[6] = proto_fmt
    out[7] = 0
    store_u32(out + 8, serial_no)
    store_u32(out + 12, body_len)
    memcpy(out + SHA1_OFFSET, sha1, SHA1_LEN)
    store_u32(out + 36, 0)
    store_u32(out + 40, 0)


# A queue of bytes in one piece: appended at the tail, consumed at the head. All zero is a valid empty buffer without
# memory; what is allocated must be given back by buffer_free.
cdef struct Buffer:
    uint8_t* data
    size_t head  # first byte not consumed
    size_t tail  # end of the content; head <= tail <= capacity
    size_t capacity


cdef enum:
    BUFFER_MIN = 512  # smallest allocation: a few frames of the usual size


cdef inline size_t buffer_size(const Buffer* buffer) noexcept nogil:
    return buffer.tail - buffer.head


cdef inline const uint8_t* buffer_start(const Buffer* buffer) noexcept nogil:
    """The first byte not consumed; valid until the next change. NULL for a buffer without memory."""
    return buffer.data + buffer.head if buffer.data != NULL else NULL


cdef inline void buffer_free(Buffer* buffer) noexcept nogil:
    PyMem_RawFree(buffer.data)
    buffer.data = NULL
    buffer.head = buffer.tail = buffer.capacity = 0


cdef inline bint buffer_reserve_within(Buffer* buffer, size_t count, size_t ceiling) noexcept nogil:
    """Make room for `count` more bytes at the tail. False, and nothing is changed, without memory for it.

    What is allocated beyond the need, so that the next appends are cheap, stays under `ceiling`.
    """
    cdef size_t size = buffer.tail - buffer.head
    cdef size_t capacity
    cdef uint8_t* data
    if buffer.capacity - buffer.tail >= count:
        return True
    # Moving to the front only when at least half is consumed keeps an append at constant cost on average.
    if buffer.head >= size and buffer.capacity - size >= count:
        memmove(buffer.data, buffer.data + buffer.head, size)
        buffer.head = 0
        buffer.tail = size
        return True
    if count > SIZE_MAX // 4 - size:
        return False
    capacity = max(size + count, min(max(2 * size, <size_t> BUFFER_MIN), ceiling))
    if buffer.head == 0:
        data = <uint8_t*> PyMem_RawRealloc(buffer.data, capacity)
        if data == NULL:
            return False
    else:
        data = <uint8_t*> PyMem_RawMalloc(capacity)
        if data == NULL:
            return False
        memcpy(data, buffer.data + buffer.head, size)
        PyMem_RawFree(buffer.data)
    buffer.data = data
    buffer.head = 0
    buffer.tail = size
    buffer.capacity = capacity
    return True


cdef inline bint buffer_reserve(Buffer* buffer, size_t count) noexcept nogil:
    return buffer_reserve_within(buffer, count, SIZE_MAX)


cdef inline uint8_t* buffer_extend(Buffer* buffer, size_t count) noexcept nogil:
    """Add `count` bytes for the caller to fill; NULL, and nothing is changed, without memory for them."""
    cdef uint8_t* room
    if not buffer_reserve(buffer, count):
        return NULL
    room = buffer.data + buffer.tail
    buffer.tail += count
    return room


cdef inline bint buffer_append(Buffer* buffer, const uint8_t* data, size_t count) noexcept nogil:
    """Add a copy of `count` bytes (not of this buffer). False, and nothing is changed, without memory for them."""
    if count == 0:
        return True
    if not buffer_reserve(buffer, count):
        return False
    memcpy(buffer.data + buffer.tail, data, count)
    buffer.tail += count
    return True


cdef inline void buffer_consume(Buffer* buffer, size_t count) noexcept nogil:
    """Drop `count` bytes at the head, at most what is there. The memory stays; see buffer_trim."""
    cdef size_t size = buffer.tail - buffer.head
    if count < size:
        buffer.head += count
    else:
        buffer.head = buffer.tail = 0


cdef inline void buffer_fit(Buffer* buffer, size_t spare) noexcept nogil:
    """Give back what is over one and a half times the content and `spare` bytes; nothing, without memory to move to."""
    cdef size_t size = buffer.tail - buffer.head
    cdef uint8_t* data
    if buffer.capacity <= size + size // 2 + spare:
        return
    data = <uint8_t*> PyMem_RawMalloc(size)
    if data == NULL:
        return
    memcpy(data, buffer.data + buffer.head, size)
    PyMem_RawFree(buffer.data)
    buffer.data = data
    buffer.head = 0
    buffer.tail = buffer.capacity = size


cdef inline void buffer_trim(Buffer* buffer, size_t keep) noexcept nogil:
    """Give the memory of an empty buffer back when it is over `keep` bytes: 0 makes an idle owner cost nothing."""
    if buffer.head == buffer.tail and buffer.capacity > keep:
        buffer_free(buffer)
