# Cut a stream of chunks into frames, with as little copying as the cuts allow.

from libc.stdint cimport uint8_t

from _wire cimport (
    BUFFER_MIN, HEADER_LEN, WIRE_NEED_MORE, WIRE_OK, Buffer, Cursor, Header, buffer_append, buffer_reserve_within,
    buffer_size, buffer_start, left, next_frame, read_header, take,
)


cdef enum:
    NO_MEMORY = -1  # beside the codes of WireCode


cdef struct Cut:  # one whole frame; `header.sha1` and `body` point into the chunk or into the kept bytes
    Header header
    const uint8_t* body
    size_t kept  # to be taken off the kept bytes when the frame is done with; 0 when the frame lies in the chunk


cdef inline bint keep(Buffer* kept, Cursor* chunk, size_t count, size_t whole) noexcept nogil:
    """Move up to `count` bytes of a frame of `whole` bytes from the chunk to the kept bytes. False without memory.

    Room is made for a quarter more than what has come, never for what is only announced: so the bytes that all streams
    hold say how much memory they take.
    """
    cdef size_t have
    count = min(count, left(chunk))
    if count == 0:
        return True
    have = buffer_size(kept) + count
    if not buffer_reserve_within(kept, count, max(<size_t> BUFFER_MIN, min(whole, have + have // 4))):
        return False
    return buffer_append(kept, take(chunk, count), count)


cdef inline int cut_untrusted(Buffer* kept, Cursor* chunk, size_t max_body, Cut* cut) noexcept nogil:
    """The next frame of the stream that is the kept bytes and then the chunk.

    A frame that lies in the chunk is not copied. NEED_MORE: the chunk is used up, its rest is kept.
    """
    cdef int code
    cdef size_t whole
    cut.kept = 0
    if buffer_size(kept) == 0:
        code = next_frame(chunk, max_body, &cut.header, &cut.body)
        if code == WIRE_NEED_MORE:
            whole = HEADER_LEN
            if left(chunk) >= HEADER_LEN:
                whole += cut.header.body_len
            if not keep(kept, chunk, whole, whole):
                return NO_MEMORY
        return code
    if buffer_size(kept) < HEADER_LEN and not keep(kept, chunk, HEADER_LEN - buffer_size(kept), HEADER_LEN):
        return NO_MEMORY
    code = read_header(buffer_start(kept), buffer_size(kept), max_body, &cut.header)
    if code != WIRE_OK:
        return code
    whole = HEADER_LEN + <size_t> cut.header.body_len
    if buffer_size(kept) < whole:
        if not keep(kept, chunk, whole - buffer_size(kept), whole):
            return NO_MEMORY
        if buffer_size(kept) < whole:
            return WIRE_NEED_MORE
        read_header(buffer_start(kept), buffer_size(kept), max_body, &cut.header)  # the bytes may have moved
    cut.body = buffer_start(kept) + HEADER_LEN
    cut.kept = whole
    return WIRE_OK
