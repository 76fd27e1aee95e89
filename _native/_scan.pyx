"""Read and patch single fields of protobuf bodies; the contract is src/opendmux/native/_scan.pyi.

Three layers: `next_field` of _fields.pxd reads one field; `next_match` follows a path through the messages with a stack
of cursors; the functions below turn what it finds into Python values.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from _fields cimport (
    BAD_GROUP,
    BAD_TAG,
    CUT_OFF,
    END,
    LEN,
    LONG_TAG,
    LONG_VARINT,
    NO_PARENT,
    OK,
    OVER_32_BITS,
    TOO_DEEP,
    TWICE,
    VARINT,
    VARINT_LEN_MAX,
    Code,
    Field,
    WireType,
    next_field,
    varint_size,
    write_varint,
)
from _wire cimport Cursor

from opendmux.errors import RemoteProtocolError

cdef enum:
    C_PATH_MAX = 8
    RET_TYPE_DEFAULT = -400

PATH_MAX = C_PATH_MAX

cdef bytes PACKET_ID = b"\x01\x01"  # c2s.packetID


cdef inline uint8_t* copy(uint8_t* out, const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Returns where the next byte goes."""
    if end > start:
        memcpy(out, start, <size_t> (end - start))
    return out + (end - start)


cdef inline void enter(const Field* message, Cursor* cursor) noexcept nogil:
    cursor.p = message.content
    cursor.end = message.end


# A walk through every field at a path, through every occurrence of the messages on the way.
cdef struct Walk:
    const uint8_t* path
    int path_len
    uint32_t wire_type  # of the leaf
    int depth  # the level being read
    Cursor[C_PATH_MAX] levels


cdef Code next_match(Walk* walk, Field* field) noexcept nogil:
    """The next field at the path, or END when the whole body has been read."""
    cdef Code code
    while True:
        code = next_field(&walk.levels[walk.depth], field, walk.depth)
        if code == END and walk.depth > 0:
            walk.depth -= 1
        elif code != OK:
            return code
        elif field.number != walk.path[walk.depth]:
            continue
        elif walk.depth + 1 == walk.path_len:
            if field.wire_type == walk.wire_type:
                return OK
        elif field.wire_type == LEN:
            walk.depth += 1
            enter(field, &walk.levels[walk.depth])


cdef int refuse(Code code) except -1:
    if code == CUT_OFF:
        raise RemoteProtocolError("a field is cut off")
    if code == LONG_VARINT:
        raise RemoteProtocolError("a varint is too long")
    if code == OVER_32_BITS:
        raise RemoteProtocolError("a tag or length is over 32 bits")
    if code == LONG_TAG:
        raise RemoteProtocolError("a tag is longer than it needs to be")
    if code == BAD_TAG:
        raise RemoteProtocolError("a tag is not valid")
    if code == BAD_GROUP:
        raise RemoteProtocolError("a group is not matched")
    if code == TOO_DEEP:
        raise RemoteProtocolError("messages are nested too deep")
    if code == TWICE:
        raise RemoteProtocolError("a field to be rewritten occurs twice")
    if code == NO_PARENT:
        raise RemoteProtocolError("the message around a field to be rewritten is missing")
    raise AssertionError(f"no error has the code {code}")


cdef int check_path(bytes path) except -1:
    if not 1 <= len(path) <= C_PATH_MAX or 0 in path:
        raise ValueError(f"a path has 1 to {C_PATH_MAX} field numbers, none of them 0")
    return 0


@cython.final
@cython.freelist(4)
cdef class Pinned:
    """The body of one call: keeps the caller's bytes in place as long as pointers into them are used."""

    cdef Py_buffer view
    cdef Cursor body

    def __cinit__(self, data):
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        self.body.p = <const uint8_t*> self.view.buf
        self.body.end = self.body.p + self.view.len

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


cdef int start_walk(Walk* walk, Pinned pinned, bytes path, WireType wire_type) except -1:
    """`pinned` and `path` must outlive the walk."""
    check_path(path)
    walk.path = path
    walk.path_len = <int> len(path)
    walk.wire_type = wire_type
    walk.depth = 0
    walk.levels[0] = pinned.body
    return 0


cdef bint last_match(Pinned pinned, bytes path, WireType wire_type, Field* last) except *:
    """The last field at the path; False when there is none."""
    cdef Walk walk
    cdef Field field
    cdef bint found = False
    cdef Code code
    start_walk(&walk, pinned, path, wire_type)
    while True:
        code = next_match(&walk, &field)
        if code == END:
            return found
        if code != OK:
            refuse(code)
        last[0] = field
        found = True


def read_varint_untrusted(body, bytes path not None):
    cdef Pinned pinned = Pinned(body)
    cdef Field field
    return field.value if last_match(pinned, path, VARINT, &field) else None


def read_int32_untrusted(body, bytes path not None):
    cdef Pinned pinned = Pinned(body)
    cdef Field field
    return <int32_t> <uint32_t> field.value if last_match(pinned, path, VARINT, &field) else None


def read_bytes_untrusted(body, bytes path not None):
    cdef Pinned pinned = Pinned(body)
    cdef Field field
    return content_of(&field) if last_match(pinned, path, LEN, &field) else None


def read_messages_untrusted(body, bytes path not None):
    cdef Pinned pinned = Pinned(body)
    cdef list messages = []
    cdef Walk walk
    cdef Field field
    cdef Code code
    start_walk(&walk, pinned, path, LEN)
    while True:
        code = next_match(&walk, &field)
        if code == END:
            return messages
        if code != OK:
            refuse(code)
        messages.append(content_of(&field))


def ret_type_untrusted(body):
    cdef Pinned pinned = Pinned(body)
    cdef Field field
    return <int32_t> <uint32_t> field.value if last_match(pinned, b"\x01", VARINT, &field) else RET_TYPE_DEFAULT


cdef struct Pair:  # fields 1 and 2 of a message; all zero when absent
    Field first
    Field second


cdef bint read_pair(Pinned pinned, bytes path, WireType first, WireType second, Pair* pair) except *:
    """Fields 1 and 2 of the message at the path, all its occurrences merged; False when there is none."""
    cdef Walk walk
    cdef Field message, field
    cdef Cursor cursor
    cdef bint found = False
    cdef Code code
    memset(pair, 0, sizeof(Pair))
    start_walk(&walk, pinned, path, LEN)
    while True:
        code = next_match(&walk, &message)
        if code == END:
            return found
        if code != OK:
            refuse(code)
        found = True
        enter(&message, &cursor)
        while True:
            code = next_field(&cursor, &field, walk.path_len)
            if code == END:
                break
            if code != OK:
                refuse(code)
            if field.number == 1 and field.wire_type == first:
                pair.first = field
            elif field.number == 2 and field.wire_type == second:
                pair.second = field


def read_security_untrusted(body, bytes path not None):
    cdef Pinned pinned = Pinned(body)
    cdef Pair pair
    if not read_pair(pinned, path, VARINT, LEN, &pair):
        return None
    return <int32_t> <uint32_t> pair.first.value, content_of(&pair.second)


def packet_id_untrusted(body):
    cdef Pinned pinned = Pinned(body)
    cdef Pair pair
    if not read_pair(pinned, PACKET_ID, VARINT, VARINT, &pair):
        return None
    return pair.first.value, <uint32_t> pair.second.value


cdef bytes content_of(const Field* field):
    return PyBytes_FromStringAndSize(<const char*> field.content, field.end - field.content)


# -- patching

cdef struct Place:  # where a field to be rewritten stands
    Field[C_PATH_MAX] messages  # around it, outermost first
    int message_count
    Cursor parent
    bint found
    Field field


cdef Code only_field(Cursor cursor, uint32_t number, uint32_t wire_type, int depth, Field* only) noexcept nogil:
    """The one field of this number and type in a message, or END when there is none."""
    cdef Field field
    cdef int count = 0
    cdef Code code
    while True:
        code = next_field(&cursor, &field, depth)
        if code == END:
            break
        if code != OK:
            return code
        if field.number == number and field.wire_type == wire_type:
            only[0] = field
            count += 1
    if count > 1:
        return TWICE
    return OK if count == 1 else END


cdef Code check_fields(const Field* message, int depth) noexcept nogil:
    """OK when a message holds nothing that protobuf would refuse."""
    cdef Cursor cursor
    cdef Field field
    cdef Code code = OK
    enter(message, &cursor)
    while code == OK:
        code = next_field(&cursor, &field, depth)
    return OK if code == END else code


cdef Code find_place(Cursor body, const uint8_t* path, int path_len, uint32_t wire_type, Place* place) noexcept nogil:
    """Find the one field at `path`; refuse what a reader could see in two ways."""
    cdef Code code
    cdef int depth
    place.parent = body
    place.message_count = path_len - 1
    for depth in range(path_len - 1):
        code = only_field(place.parent, path[depth], LEN, depth, &place.messages[depth])
        if code != OK:
            return NO_PARENT if code == END else code
        enter(&place.messages[depth], &place.parent)
    code = only_field(place.parent, path[path_len - 1], wire_type, path_len - 1, &place.field)
    place.found = code == OK
    return OK if code == END else code


cdef bytes splice(Cursor body, const Place* place, const uint8_t* start, const uint8_t* end, Cursor new):
    """The body with start..end, which lies inside of all messages of `place`, replaced and their lengths rewritten."""
    cdef Py_ssize_t growth = (new.end - new.p) - (end - start)
    cdef uint64_t[C_PATH_MAX] sizes
    cdef const Field* message
    cdef const uint8_t* copied = body.p
    cdef bytes patched
    cdef uint8_t* out
    cdef int i
    for i in range(place.message_count - 1, -1, -1):
        message = &place.messages[i]
        sizes[i] = <uint64_t> (message.end - message.content + growth)
        growth += <Py_ssize_t> varint_size(sizes[i]) - (message.content - message.start)
    patched = PyBytes_FromStringAndSize(NULL, body.end - body.p + growth)
    out = <uint8_t*> PyBytes_AS_STRING(patched)
    for i in range(place.message_count):
        message = &place.messages[i]
        out = copy(out, copied, message.start)
        out = write_varint(out, sizes[i])
        copied = message.content
    out = copy(out, copied, start)
    out = copy(out, new.p, new.end)
    copy(out, end, body.end)
    return patched


def set_varint_untrusted(body, bytes path not None, value):
    cdef Pinned pinned = Pinned(body)
    cdef Place place
    cdef uint8_t[2 * VARINT_LEN_MAX] room
    cdef Cursor new
    cdef uint8_t* number_end
    cdef Code code
    check_path(path)
    cdef uint64_t wanted = <uint64_t> <int64_t> value if value < 0 else <uint64_t> value
    code = find_place(pinned.body, path, <int> len(path), VARINT, &place)
    if code != OK:
        refuse(code)
    number_end = write_varint(room, path[-1] << 3 | VARINT)
    new.end = write_varint(number_end, wanted)
    if place.found:
        new.p = number_end
        return splice(pinned.body, &place, place.field.start, place.field.end, new)
    new.p = room
    return splice(pinned.body, &place, place.parent.end, place.parent.end, new)


def patch_packet_id_untrusted(body, uint64_t conn_id, uint32_t serial_no):
    cdef Pinned pinned = Pinned(body)
    cdef Place place
    cdef uint8_t[2 + 2 * (1 + VARINT_LEN_MAX)] room  # tag and length of packetID, two varint fields
    cdef Cursor new
    cdef uint8_t* out
    cdef Code code = find_place(pinned.body, PACKET_ID, <int> len(PACKET_ID), LEN, &place)
    if code == OK and place.found:
        code = check_fields(&place.field, <int> len(PACKET_ID))
    if code != OK:
        refuse(code)
    room[0] = 1 << 3 | LEN
    room[2] = 1 << 3 | VARINT
    out = write_varint(&room[3], conn_id)
    out[0] = 2 << 3 | VARINT
    new.end = write_varint(out + 1, serial_no)
    room[1] = <uint8_t> (new.end - &room[2])
    if place.found:
        new.p = &room[1]
        return splice(pinned.body, &place, place.field.start, place.field.end, new)
    new.p = room
    return splice(pinned.body, &place, place.parent.p, place.parent.p, new)
