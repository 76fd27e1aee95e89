# How long upstream took to answer: one histogram per protocol.

from libc.stdint cimport int64_t, uint64_t


cdef enum:
    N_BOUNDS = 14


# Upper bounds in ns; LATENCY_BUCKETS_S of _switch_types, which _switch.pyx checks.
cdef extern from *:
    """
    #include <stdint.h>
    static const int64_t LATENCY_BOUNDS_NS[14] = {
        500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
        2500000000, 5000000000, 10000000000,
    };
    """
    const int64_t LATENCY_BOUNDS_NS[]


# All zero is an empty histogram.
cdef struct Latency:
    uint64_t[N_BOUNDS + 1] counts  # per bucket, not cumulative; the last one is for all above the bounds
    double sum_ns  # rounds from 104 days on, where an integer of 64 bits would come to its end


cdef inline void latency_add(Latency* latency, int64_t start_ns, int64_t now_ns) noexcept nogil:
    """Nearly all answers take some milliseconds, so the search begins at the short end."""
    cdef int64_t elapsed = now_ns - start_ns if now_ns > start_ns else 0
    cdef int i = 0
    while i < N_BOUNDS and elapsed > LATENCY_BOUNDS_NS[i]:
        i += 1
    latency.counts[i] += 1
    latency.sum_ns += <double> elapsed
