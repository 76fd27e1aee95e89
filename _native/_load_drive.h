/* The load generator: many clients, each with a fixed number of requests in flight. */
#ifndef OPENDMUX_LOAD_DRIVE_H
#define OPENDMUX_LOAD_DRIVE_H

#include "_load_frame.h"
#include "_load_parts.h"

/* Why a client ended; LOST counts requests instead. FINE is none of them. */
typedef enum {
    FINE = -1,
    CLOSED,
    WRONG_FLAG,
    WRONG_PROTO_ID,
    UNKNOWN_SERIAL,
    WRONG_LENGTH,
    WRONG_DIGEST,
    LOST,
    FAULT_COUNT,
} Fault;

typedef enum { WARMUP, MEASURE, DRAIN, DONE } Stage;

typedef struct {
    uint32_t serial_no; /* 0: a free place */
    uint64_t since_ns;
} Waiting;

typedef struct {
    int fd; /* -1 when it has ended */
    int interest;
    uint32_t serial_no; /* used last */
    size_t in_flight;
    uint64_t keepalive_ns; /* when the last one was sent */
    Buf inbox, outbox;
    Waiting *ring; /* a request's place is serial_no & ring_mask */
} Client;

typedef struct {
    /* Set by the caller before load_open, whose memory outlives the run. */
    const uint8_t *request, *keepalive; /* whole frames */
    size_t request_len, keepalive_len;
    size_t in_flight_each;
    uint32_t first_serial;
    uint64_t keepalive_every_ns, warmup_ns, measure_ns, drain_ns;
    uint64_t check_every;                      /* of how many replies one has its body hashed; 0: none */
    int (*body_fits)(const uint8_t *, size_t); /* frame and length: 1 the digest is the body's, 0 not, or CALLBACK */
    int (*check_signals)(void);                /* OK or CALLBACK */

    /* The result. */
    Histogram latency_ns;
    uint64_t faults[FAULT_COUNT];
    uint64_t from_ns, to_ns;

    /* The loop's own. */
    Poller poller;
    Client *clients;
    size_t count, alive, in_flight, ring_mask;
    uint64_t unchecked;
    Stage stage;
    uint64_t stage_until_ns;
} Load;

/* Take connected, non-blocking sockets. OK or ERRNO; load_close is due in both cases. */
Outcome load_open(Load *load, const int *fds, size_t count, int use_epoll);
Outcome load_run(Load *load);
void load_close(Load *load);

#endif
