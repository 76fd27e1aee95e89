"""Split, check and build OpenD's 44-byte frames; the contract is src/opendmux/native/_framing.pyi."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from _wire cimport (
    HEADER_LEN as C_HEADER_LEN,
    N_PROTOCOLS,
    PROTO_ID_MAX,
    PROTO_KIND,
    SHA1_LEN,
    WIRE_BAD_MAGIC,
    WIRE_NEED_MORE,
    WIRE_OK,
    Buffer,
    Cursor,
    Header,
    WireCode,
    buffer_append,
    buffer_free,
    buffer_reserve_within,
    buffer_size,
    buffer_start,
    left,
    next_frame,
    proto_index,
    read_header,
    sha1_backend_name,
    sha1_digest,
    sha1_init,
    take,
    write_header,
)

from opendmux.errors import LocalProtocolError, RemoteProtocolError

sha1_init()

HEADER_LEN = C_HEADER_LEN


@cython.final
cdef class Frame:
    cdef readonly uint32_t proto_id
    cdef readonly uint8_t proto_fmt
    cdef readonly uint32_t serial_no
    cdef readonly bytes sha1
    cdef readonly bytes body

    def __init__(
        self, uint32_t proto_id, uint8_t proto_fmt, uint32_t serial_no, bytes sha1 not None, bytes body not None
    ):
        self.proto_id = proto_id
        self.proto_fmt = proto_fmt
        self.serial_no = serial_no
        check_sha1(sha1)
        self.sha1 = sha1
        self.body = body

    def sha1_matches(self):
        cdef uint8_t digest[SHA1_LEN]
        sha1_digest(self.body, <size_t> len(self.body), digest)
        return memcmp(<const uint8_t*> self.sha1, digest, SHA1_LEN) == 0

    def __eq__(self, other):
        if not isinstance(other, Frame):
            return NotImplemented
        return self._key() == (<Frame> other)._key()

    def __hash__(self):
        return hash(self._key())

    def __repr__(self):
        return (
            f"<Frame proto_id={self.proto_id} proto_fmt={self.proto_fmt} serial_no={self.serial_no} "
            f"body_len={len(self.body)}>"
        )

    cdef tuple _key(self):
        return self.proto_id, self.proto_fmt, self.serial_no, self.sha1, self.body


cdef int check_sha1(bytes sha1) except -1:
    if len(sha1) != SHA1_LEN:
        raise ValueError(f"a SHA-1 digest has {SHA1_LEN} bytes, not {len(sha1)}")
    return 0


cdef Frame frame_at(const Header* header, const uint8_t* body):
    """The Frame of a header just read; copies what the pointers show."""
    cdef Frame frame = Frame.__new__(Frame)
    frame.proto_id = header.proto_id
    frame.proto_fmt = header.proto_fmt
    frame.serial_no = header.serial_no
    frame.sha1 = header.sha1[:SHA1_LEN]
    frame.body = body[:header.body_len]
    return frame


@cython.final
cdef class Splitter:
    cdef Buffer held  # the start of one incomplete frame, never more
    cdef size_t max_body
    cdef readonly str failure

    def __cinit__(self, max_body):
        if not 0 <= max_body <= UINT32_MAX:
            raise ValueError(f"max_body must be a 32-bit number, not {max_body}")
        self.max_body = max_body

    def __dealloc__(self):
        buffer_free(&self.held)

    @property
    def pending(self):
        return buffer_size(&self.held)

    def feed_untrusted(self, data):
        cdef Py_buffer view
        cdef Cursor chunk
        cdef list frames = []
        if self.failure is not None:
            raise RemoteProtocolError(self.failure)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            chunk.p = <const uint8_t*> view.buf
            chunk.end = chunk.p + view.len
            self.split(&chunk, frames)
        finally:
            PyBuffer_Release(&view)
        if self.failure is not None and not frames:
            raise RemoteProtocolError(self.failure)
        return frames

    cdef int split(self, Cursor* chunk, list frames) except -1:
        """Move every complete frame to `frames` and keep the rest, or note the failure."""
        cdef Header header
        cdef const uint8_t* body
        cdef WireCode code = WIRE_OK
        if buffer_size(&self.held) > 0:
            code = self.complete_held(chunk, frames, &header)
        while code == WIRE_OK:
            code = next_frame(chunk, self.max_body, &header, &body)
            if code == WIRE_OK:
                frames.append(frame_at(&header, body))
        if code == WIRE_NEED_MORE:
            self.hold(chunk, left(chunk), left(chunk))
        elif code == WIRE_BAD_MAGIC:
            self.fail("a frame does not start with FT")
        else:
            self.fail(f"body_len {header.body_len} of proto_id {header.proto_id} is over the limit of {self.max_body}")
        return 0

    cdef WireCode complete_held(self, Cursor* chunk, list frames, Header* header) except *:
        """Take from `chunk` what the held frame still misses, and no more; OK when it is complete and in `frames`."""
        cdef WireCode code
        cdef Cursor held
        cdef const uint8_t* body
        cdef size_t frame_len
        if buffer_size(&self.held) < C_HEADER_LEN:
            self.hold(chunk, C_HEADER_LEN - buffer_size(&self.held), C_HEADER_LEN)
        code = read_header(buffer_start(&self.held), buffer_size(&self.held), self.max_body, header)
        if code != WIRE_OK:
            return code
        frame_len = C_HEADER_LEN + <size_t> header.body_len
        self.hold(chunk, frame_len - buffer_size(&self.held), frame_len)
        held.p = buffer_start(&self.held)
        held.end = held.p + buffer_size(&self.held)
        code = next_frame(&held, self.max_body, header, &body)
        if code == WIRE_OK:
            frames.append(frame_at(header, body))
            buffer_free(&self.held)
        return code

    cdef int hold(self, Cursor* chunk, size_t count, size_t ceiling) except -1:
        """Move up to `count` bytes from `chunk` to the held frame, which will have `ceiling` bytes at most."""
        count = min(count, left(chunk))
        if not buffer_reserve_within(&self.held, count, ceiling):
            raise MemoryError
        buffer_append(&self.held, take(chunk, count), count)
        return 0

    cdef void fail(self, str reason):
        self.failure = reason
        buffer_free(&self.held)


def build_frame(uint32_t proto_id, uint8_t proto_fmt, uint32_t serial_no, body, bytes sha1=None):
    cdef Py_buffer view
    cdef uint8_t digest[SHA1_LEN]
    cdef bytes frame
    cdef uint8_t* out
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        if <size_t> view.len > UINT32_MAX:
            raise LocalProtocolError(f"a body of {view.len} bytes does not fit into a frame")
        if sha1 is None:
            sha1_digest(<const uint8_t*> view.buf, <size_t> view.len, digest)
        else:
            check_sha1(sha1)
            memcpy(digest, <const uint8_t*> sha1, SHA1_LEN)
        frame = PyBytes_FromStringAndSize(NULL, C_HEADER_LEN + view.len)
        out = <uint8_t*> PyBytes_AS_STRING(frame)
        write_header(out, proto_id, proto_fmt, serial_no, <uint32_t> view.len, digest)
        if view.len > 0:
            memcpy(out + C_HEADER_LEN, view.buf, <size_t> view.len)
        return frame
    finally:
        PyBuffer_Release(&view)


def body_sha1(data):
    cdef Py_buffer view
    cdef uint8_t digest[SHA1_LEN]
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        sha1_digest(<const uint8_t*> view.buf, <size_t> view.len, digest)
    finally:
        PyBuffer_Release(&view)
    return digest[:SHA1_LEN]


def sha1_backend():
    return sha1_backend_name().decode("ascii")


def abi():
    indexes = {proto_id: proto_index(proto_id) for proto_id in range(PROTO_ID_MAX + 1) if proto_index(proto_id)}
    pushes = frozenset(index for index in range(N_PROTOCOLS + 1) if PROTO_KIND[index])
    return PROTO_ID_MAX, N_PROTOCOLS, indexes, pushes
