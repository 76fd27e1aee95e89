/* Byte buffers, non-blocking sockets and readiness, for the load generator and the stub server in _load.pyx.

   All state is the caller's. Nothing here blocks but poller_wait. POSIX only; epoll where Linux has it. */
#ifndef OPENDMUX_LOAD_IO_H
#define OPENDMUX_LOAD_IO_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

/* ---- numbers ------------------------------------------------------------------------------------------------ */

static inline uint32_t get_u32le(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void put_u32le(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

static const uint64_t NS_PER_MS = 1000000u;

static inline uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Buf: the bytes data[start, end) of an allocation of cap bytes ------------------------------------------ */

typedef struct {
    uint8_t *data;
    size_t cap, start, end;
} Buf;

static inline int buf_open(Buf *buf, size_t cap) {
    buf->data = malloc(cap);
    buf->cap = buf->data ? cap : 0;
    buf->start = buf->end = 0;
    return buf->data ? 0 : -1;
}

static inline void buf_close(Buf *buf) {
    free(buf->data);
    memset(buf, 0, sizeof *buf);
}

static inline size_t buf_len(const Buf *buf) { return buf->end - buf->start; }

static inline size_t buf_room(const Buf *buf) { return buf->cap - buf_len(buf); }

static inline const uint8_t *buf_head(const Buf *buf) { return buf->data + buf->start; }

static inline void buf_drop(Buf *buf, size_t count) {
    buf->start += count;
    if (buf->start == buf->end) buf->start = buf->end = 0;
}

static inline void buf_to_front(Buf *buf) {
    memmove(buf->data, buf->data + buf->start, buf_len(buf));
    buf->end -= buf->start;
    buf->start = 0;
}

/* Append count bytes and return where they stand; NULL, and nothing is taken, when there is no room. */
static inline uint8_t *buf_put(Buf *buf, const uint8_t *bytes, size_t count) {
    if (buf_room(buf) < count) return NULL;
    if (buf->cap - buf->end < count) buf_to_front(buf);
    uint8_t *at = memcpy(buf->data + buf->end, bytes, count);
    buf->end += count;
    return at;
}

/* ---- sockets ------------------------------------------------------------------------------------------------ */

static inline int again(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/* Receive once, into all the room there is. 1: bytes came or may come later; 0: the peer is gone. */
static inline int buf_recv(int fd, Buf *buf) {
    /* Moving a few bytes to the front is cheaper than receiving into a short tail. */
    if (buf->start && buf->cap - buf->end < buf->cap / 2) buf_to_front(buf);
    if (buf->end == buf->cap) return 1;
    ssize_t got = recv(fd, buf->data + buf->end, buf->cap - buf->end, 0);
    if (got > 0) buf->end += (size_t)got;
    return got > 0 || (got < 0 && again());
}

/* Send up to limit bytes from the front. 1: sent, or the rest must wait; 0: the peer is gone. */
static inline int buf_send(int fd, Buf *buf, size_t limit) {
    if (limit == 0) return 1;
    ssize_t sent = send(fd, buf_head(buf), limit, 0);
    if (sent > 0) buf_drop(buf, (size_t)sent);
    return sent >= 0 || again();
}

/* Accept one connection, non-blocking and without Nagle's delay. -1: none waits; -2: failed, errno tells. */
static inline int accept_quick(int listener) {
    int fd = accept(listener, NULL, NULL), on = 1;
    if (fd < 0) return again() || errno == ECONNABORTED ? -1 : -2;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        close(fd);
        return -2;
    }
    /* Fails where the peer has reset it already; the first read will tell. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* ---- Poller: which sockets are ready ------------------------------------------------------------------------ */

enum { IO_READ = 1, IO_WRITE = 2 };
enum { READY_MAX = 128 };

typedef struct {
    int tag;    /* what poller_set was given for the socket */
    int events; /* IO_READ | IO_WRITE; an error counts as both, the next call on the socket tells */
} Ready;

typedef struct {
    int epoll_fd; /* -1: poll() */
    struct pollfd *watched;
    int *tags; /* beside watched */
    size_t count, cap;
    size_t turn; /* where the next scan of watched begins, so that all get their turn */
} Poller;

static inline int poller_open(Poller *poller, int use_epoll) {
    memset(poller, 0, sizeof *poller);
    poller->epoll_fd = -1;
#ifdef __linux__
    if (use_epoll) {
        poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        return poller->epoll_fd < 0 ? -1 : 0;
    }
#else
    (void)use_epoll;
#endif
    return 0;
}

static inline void poller_close(Poller *poller) {
    if (poller->epoll_fd >= 0) close(poller->epoll_fd);
    free(poller->watched);
    free(poller->tags);
    memset(poller, 0, sizeof *poller);
    poller->epoll_fd = -1;
}

static inline int poller_grow(Poller *poller) {
    size_t cap = poller->cap ? poller->cap * 2 : 64;
    struct pollfd *watched = realloc(poller->watched, cap * sizeof *watched);
    if (!watched) return -1;
    poller->watched = watched;
    int *tags = realloc(poller->tags, cap * sizeof *tags);
    if (!tags) return -1;
    poller->tags = tags;
    poller->cap = cap;
    return 0;
}

static inline int poll_set(Poller *poller, int fd, int tag, int wanted) {
    size_t at = 0;
    while (at < poller->count && poller->watched[at].fd != fd) at++;
    if (wanted == 0) {
        if (at == poller->count) return 0;
        poller->count--;
        poller->watched[at] = poller->watched[poller->count];
        poller->tags[at] = poller->tags[poller->count];
        return 0;
    }
    if (at == poller->count && at == poller->cap && poller_grow(poller) < 0) return -1;
    if (at == poller->count) poller->count++;
    poller->watched[at].fd = fd;
    poller->watched[at].events = (short)((wanted & IO_READ ? POLLIN : 0) | (wanted & IO_WRITE ? POLLOUT : 0));
    poller->watched[at].revents = 0;
    poller->tags[at] = tag;
    return 0;
}

/* Change what is waited for on a socket from before to wanted; 0 means not watched. -1 and errno on failure. */
static inline int poller_set(Poller *poller, int fd, int tag, int before, int wanted) {
    if (before == wanted) return 0;
#ifdef __linux__
    if (poller->epoll_fd >= 0) {
        struct epoll_event event = {0};
        event.events = (wanted & IO_READ ? EPOLLIN : 0u) | (wanted & IO_WRITE ? EPOLLOUT : 0u);
        event.data.fd = tag;
        int change = !before ? EPOLL_CTL_ADD : !wanted ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
        return epoll_ctl(poller->epoll_fd, change, fd, &event);
    }
#endif
    return poll_set(poller, fd, tag, wanted);
}

static inline int poll_wait(Poller *poller, Ready *ready, int timeout_ms) {
    int left = poll(poller->watched, (nfds_t)poller->count, timeout_ms), count = 0;
    if (left < 0) return errno == EINTR ? 0 : -1;
    for (size_t step = 0; step < poller->count && left > 0 && count < READY_MAX; step++) {
        size_t at = (poller->turn + step) % poller->count;
        short seen = poller->watched[at].revents;
        if (!seen) continue;
        left--;
        ready[count].tag = poller->tags[at];
        ready[count++].events = (seen & ~POLLOUT ? IO_READ : 0) | (seen & ~POLLIN ? IO_WRITE : 0);
        if (count == READY_MAX) poller->turn = at + 1;
    }
    return count;
}

/* Wait; returns how many of ready[READY_MAX] were filled (0: time over or a signal), -1 and errno on failure. */
static inline int poller_wait(Poller *poller, Ready *ready, int timeout_ms) {
#ifdef __linux__
    if (poller->epoll_fd >= 0) {
        struct epoll_event events[READY_MAX];
        int count = epoll_wait(poller->epoll_fd, events, READY_MAX, timeout_ms);
        if (count < 0) return errno == EINTR ? 0 : -1;
        for (int i = 0; i < count; i++) {
            ready[i].tag = events[i].data.fd;
            ready[i].events =
                (events[i].events & ~(uint32_t)EPOLLOUT ? IO_READ : 0) | (events[i].events & ~(uint32_t)EPOLLIN ? IO_WRITE : 0);
        }
        return count;
    }
#endif
    return poll_wait(poller, ready, timeout_ms);
}

#endif
