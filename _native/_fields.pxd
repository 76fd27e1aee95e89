# The wire format of protobuf: one field after the other. The only code that knows it.
#
# Every length is checked against the enclosing message, so no pointer ever leaves it. `noexcept nogil` throughout; the
# named codes become exceptions in _scan.pyx.

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t

from _wire cimport Cursor, left, take


cdef enum:
    NESTING_MAX = 100  # messages and groups inside each other, as every protobuf library limits it
    VARINT_LEN_MAX = 10
    SHORT_VARINT_LEN_MAX = 5  # of tags and lengths, whose values have 32 bits


cdef enum WireType:
    VARINT = 0
    FIXED64 = 1
    LEN = 2
    GROUP = 3
    END_GROUP = 4
    FIXED32 = 5


cdef enum Code:
    OK
    END  # no more fields
    CUT_OFF
    LONG_VARINT
    OVER_32_BITS
    LONG_TAG
    BAD_TAG
    BAD_GROUP
    TOO_DEEP
    TWICE
    NO_PARENT


cdef struct Field:
    uint32_t number
    uint32_t wire_type
    uint64_t value  # of a varint
    const uint8_t* start  # where the value starts; for a length-delimited field: its length
    const uint8_t* content  # of a length-delimited field
    const uint8_t* end


cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t* write_varint(uint8_t* out, uint64_t value) noexcept nogil:
    """Returns where the next byte goes."""
    while value >= 0x80:
        out[0] = <uint8_t> (value & 0x7F | 0x80)
        out += 1
        value >>= 7
    out[0] = <uint8_t> value
    return out + 1


cdef inline Code read_varint(Cursor* cursor, int longest, uint64_t* value) noexcept nogil:
    cdef const uint8_t* byte
    cdef int place
    value[0] = 0
    for place in range(longest):
        byte = take(cursor, 1)
        if byte == NULL:
            return CUT_OFF
        value[0] |= <uint64_t> (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return OK
    return LONG_VARINT


cdef inline Code read_short_varint(Cursor* cursor, uint32_t* value) noexcept nogil:
    cdef uint64_t wide
    cdef Code code = read_varint(cursor, SHORT_VARINT_LEN_MAX, &wide)
    if code != OK:
        return code
    if wide > UINT32_MAX:
        return OVER_32_BITS
    value[0] = <uint32_t> wide
    return OK


cdef inline Code read_tag(Cursor* cursor, Field* field) noexcept nogil:
    cdef const uint8_t* start = cursor.p
    cdef uint32_t tag
    cdef Code code = read_short_varint(cursor, &tag)
    if code != OK:
        return code
    if <size_t> (cursor.p - start) != varint_size(tag):
        return LONG_TAG
    field.number = tag >> 3
    field.wire_type = tag & 7
    return BAD_TAG if field.number == 0 or field.wire_type > FIXED32 else OK


cdef inline Code read_field(Cursor* cursor, Field* field) noexcept nogil:
    """One field; of a group its start or end only."""
    cdef uint32_t size = 0
    cdef Code code = read_tag(cursor, field)
    if code != OK:
        return code
    field.start = field.content = cursor.p
    if field.wire_type == VARINT:
        code = read_varint(cursor, VARINT_LEN_MAX, &field.value)
    elif field.wire_type == FIXED64:
        code = OK if take(cursor, 8) != NULL else CUT_OFF
    elif field.wire_type == FIXED32:
        code = OK if take(cursor, 4) != NULL else CUT_OFF
    elif field.wire_type == LEN:
        code = read_short_varint(cursor, &size)
        if code == OK:
            field.content = take(cursor, size)
            if field.content == NULL:
                code = CUT_OFF
    field.end = cursor.p
    return code


cdef inline Code skip_group(Cursor* cursor, uint32_t number, int depth) noexcept nogil:
    """Move behind the end of the group `number`, `depth` messages deep, whose start has been read."""
    cdef uint32_t[NESTING_MAX] groups  # the open ones
    cdef int count = 0
    cdef Field field
    cdef Code code
    field.number = number
    field.wire_type = GROUP
    while True:
        if field.wire_type == GROUP:
            if depth + count >= NESTING_MAX:
                return TOO_DEEP
            groups[count] = field.number
            count += 1
        elif field.wire_type == END_GROUP:
            count -= 1
            if groups[count] != field.number:
                return BAD_GROUP
            if count == 0:
                return OK
        code = read_field(cursor, &field)
        if code != OK:
            return code


cdef inline Code next_field(Cursor* cursor, Field* field, int depth) noexcept nogil:
    """The next field of a message that lies `depth` messages deep, or END. A group is checked and comes as one."""
    cdef Code code
    if left(cursor) == 0:
        return END
    code = read_field(cursor, field)
    if code != OK:
        return code
    if field.wire_type == GROUP:
        code = skip_group(cursor, field.number, depth)
        field.end = cursor.p
    elif field.wire_type == END_GROUP:
        code = BAD_GROUP
    return code
