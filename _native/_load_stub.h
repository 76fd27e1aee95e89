/* The stub upstream: an OpenD that answers InitConnect, GetGlobalState and KeepAlive, and echoes everything else. */
#ifndef OPENDMUX_LOAD_STUB_H
#define OPENDMUX_LOAD_STUB_H

#include "_load_frame.h"
#include "_load_parts.h"

/* The largest whole frame that the control callback may return. */
enum { CONTROL_REPLY_MAX = 1024 };

typedef struct {
    int fd, interest;
    int broken; /* it sent what is no frame */
    uint64_t number;
    size_t echo_left; /* of the frame that is being echoed */
    Buf inbox, outbox;
    Line line; /* the end of the outbox that is not due yet */
} Conn;

typedef struct {
    /* Set by the caller before stub_open. */
    int listener; /* listening, non-blocking */
    int stop;     /* readable when it is time to return */
    uint64_t delay_ns;
    void *context;
    /* Answer a whole frame into reply[CONTROL_REPLY_MAX]: context, connection, frame, its length, reply.
       Returns the reply's length, or CALLBACK. */
    int (*control)(void *, uint64_t, const uint8_t *, size_t, uint8_t *);

    /* The result. */
    size_t open_now, open_max;
    uint64_t accepted, frames, bytes, bad;

    /* The loop's own. */
    Poller poller;
    Conn **conns; /* by tag; NULL is a free place */
    size_t places;
} Stub;

/* OK or ERRNO; stub_close is due in both cases. */
Outcome stub_open(Stub *stub, int use_epoll);
Outcome stub_run(Stub *stub);
void stub_close(Stub *stub);

#endif
