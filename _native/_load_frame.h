/* OpenD's frame as the benchmark needs it, and what its two loops may return. */
#ifndef OPENDMUX_LOAD_FRAME_H
#define OPENDMUX_LOAD_FRAME_H

#include "_load_io.h"

/* Where the fields of the header stand, and its length. */
enum { PROTO_ID = 2, SERIAL_NO = 8, BODY_LEN = 12, SHA1 = 16, SHA1_END = 36, HEADER = 44 };

enum { INIT_CONNECT = 1001, GLOBAL_STATE = 1002, KEEP_ALIVE = 1004 };

/* The largest body of those three that is accepted. */
enum { CONTROL_BODY_MAX = 4096 };

/* As much as one call can usefully move between a socket's buffer and ours. */
enum { BUFFER = 256 << 10 };

typedef enum {
    OK = 0,
    ERRNO = -1,    /* errno tells */
    CALLBACK = -2, /* a callback failed: a Python exception is set */
} Outcome;

static inline int is_frame(const uint8_t *frame) { return frame[0] == 'F' && frame[1] == 'T'; }

static inline uint32_t proto_id_of(const uint8_t *frame) { return get_u32le(frame + PROTO_ID); }

static inline uint32_t serial_no_of(const uint8_t *frame) { return get_u32le(frame + SERIAL_NO); }

static inline size_t body_len_of(const uint8_t *frame) { return get_u32le(frame + BODY_LEN); }

#endif
