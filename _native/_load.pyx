"""Python's face of the benchmark's two ends of the wire; the contract is src/opendmux/native/_load.pyi.

The loops are plain C (_load_drive.c, _load_stub.c) and run without the GIL. They come back here for what is
rare: a signal, the digest of a sampled reply, a frame of the session itself.
"""

import hashlib

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset


cdef extern from "_load_frame.h" nogil:
    enum: SHA1, SHA1_END, HEADER

    ctypedef int Outcome
    enum: OK, CALLBACK

    uint32_t proto_id_of(const uint8_t *frame)
    uint32_t serial_no_of(const uint8_t *frame)


cdef extern from "_load_parts.h" nogil:
    ctypedef struct Histogram:
        uint64_t count, max

    uint64_t histogram_at(const Histogram *histogram, uint64_t per_mille)


cdef extern from "_load_drive.h" nogil:
    ctypedef struct Load:
        const uint8_t *request
        const uint8_t *keepalive
        size_t request_len, keepalive_len, in_flight_each
        uint32_t first_serial
        uint64_t keepalive_every_ns, warmup_ns, measure_ns, drain_ns, check_every
        int (*body_fits)(const uint8_t *, size_t) except CALLBACK nogil
        int (*check_signals)() except CALLBACK nogil
        Histogram latency_ns
        uint64_t *faults
        uint64_t from_ns, to_ns

    Outcome load_open(Load *load, const int *fds, size_t count, bint use_epoll)
    Outcome load_run(Load *load)
    void load_close(Load *load)


cdef extern from "_load_stub.h" nogil:
    enum: CONTROL_REPLY_MAX

    ctypedef struct Stub:
        int listener, stop
        uint64_t delay_ns
        void *context
        int (*control)(void *, uint64_t, const uint8_t *, size_t, uint8_t *) except CALLBACK nogil
        size_t open_now, open_max
        uint64_t accepted, frames, bytes, bad

    Outcome stub_open(Stub *stub, bint use_epoll)
    Outcome stub_run(Stub *stub)
    void stub_close(Stub *stub)


cdef enum:
    COUNT_MAX = 1 << 16

# In the order of the C enum Fault.
FAULTS = ("closed", "wrong_flag", "wrong_proto_id", "unknown_serial", "wrong_length", "wrong_digest", "lost")


cdef int raise_for(Outcome outcome) except -1:
    if outcome == CALLBACK:
        return -1  # the callback's exception is still set
    if outcome != OK:
        PyErr_SetFromErrno(OSError)
    return 0


cdef int check_signals() except CALLBACK with gil:
    PyErr_CheckSignals()
    return OK


# ---- the load generator --------------------------------------------------------------------------------------------


cdef int body_fits(const uint8_t *frame, size_t length) except CALLBACK with gil:
    """The digest in the header is the body's."""
    return hashlib.sha1(frame[HEADER:<Py_ssize_t>length]).digest() == frame[SHA1:SHA1_END]


cdef dict load_result(const Load *load):
    cdef dict result = {
        "replies": load.latency_ns.count,
        "elapsed_ns": load.to_ns - load.from_ns,
        "p50_ns": histogram_at(&load.latency_ns, 500),
        "p90_ns": histogram_at(&load.latency_ns, 900),
        "p99_ns": histogram_at(&load.latency_ns, 990),
        "p999_ns": histogram_at(&load.latency_ns, 999),
        "max_ns": load.latency_ns.max,
    }
    result.update({name: load.faults[place] for place, name in enumerate(FAULTS)})
    return result


def drive(
    fds,
    bytes request not None,
    bytes keepalive not None,
    *,
    uint32_t first_serial,
    size_t in_flight,
    uint64_t keepalive_every_ns,
    uint64_t warmup_ns,
    uint64_t measure_ns,
    uint64_t drain_ns,
    uint64_t check_every,
    bint use_epoll=True,
):
    cdef size_t count = <size_t>len(fds)
    if len(request) < HEADER or len(keepalive) < HEADER:
        raise ValueError("a frame has 44 bytes at least")
    if first_serial < 1 or not 1 <= in_flight <= COUNT_MAX or not 1 <= count <= COUNT_MAX:
        raise ValueError("the serial, the requests in flight and the sockets count from 1, the latter two to 65536")
    cdef Load *load = <Load *>calloc(1, sizeof(Load))
    cdef int *sockets = <int *>calloc(count, sizeof(int))
    try:
        if load == NULL or sockets == NULL:
            raise MemoryError
        for i in range(count):
            sockets[i] = fds[i]
        load.request, load.request_len = request, <size_t>len(request)
        load.keepalive, load.keepalive_len = keepalive, <size_t>len(keepalive)
        load.first_serial, load.in_flight_each, load.check_every = first_serial, in_flight, check_every
        load.keepalive_every_ns = keepalive_every_ns
        load.warmup_ns, load.measure_ns, load.drain_ns = warmup_ns, measure_ns, drain_ns
        load.body_fits, load.check_signals = body_fits, check_signals
        drive_loop(load, sockets, count, use_epoll)
        return load_result(load)
    finally:
        free(load)
        free(sockets)


cdef int drive_loop(Load *load, const int *sockets, size_t count, bint use_epoll) except -1:
    cdef Outcome outcome
    with nogil:
        outcome = load_open(load, sockets, count, use_epoll)
        if outcome == OK:
            outcome = load_run(load)
    try:
        return raise_for(outcome)
    finally:
        load_close(load)


# ---- the stub upstream ---------------------------------------------------------------------------------------------


cdef int control(
    void *context, uint64_t number, const uint8_t *frame, size_t length, uint8_t *reply
) except CALLBACK with gil:
    cdef bytes body = frame[HEADER:<Py_ssize_t>length]
    cdef bytes whole = (<object>context)(number, proto_id_of(frame), serial_no_of(frame), body)
    if len(whole) > CONTROL_REPLY_MAX:
        raise ValueError("a control reply has at most 1024 bytes")
    memcpy(reply, <const uint8_t *>whole, <size_t>len(whole))
    return <int>len(whole)


def serve(int listener, int stop, answer not None, *, uint64_t delay_ns=0, bint use_epoll=True):
    cdef Stub stub
    cdef Outcome outcome
    memset(&stub, 0, sizeof(stub))
    stub.listener, stub.stop, stub.delay_ns = listener, stop, delay_ns
    stub.control, stub.context = control, <void *>answer
    with nogil:
        outcome = stub_open(&stub, use_epoll)
        if outcome == OK:
            outcome = stub_run(&stub)
    try:
        raise_for(outcome)
    finally:
        stub_close(&stub)
    return {
        "connections": stub.open_now,
        "connections_max": stub.open_max,
        "connections_total": stub.accepted,
        "frames": stub.frames,
        "bytes": stub.bytes,
        "bad": stub.bad,
    }
