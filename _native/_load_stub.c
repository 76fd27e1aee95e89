#include "_load_stub.h"

/* With a delay the outbox is the pipe: 4 MiB held for 10 ms let 400 MB/s through. */
enum { DELAYED_OUTBOX = 4 << 20 };

enum { TAG_LISTENER = -1, TAG_STOP = -2 };

/* ---- a connection's frames ---------------------------------------------------------------------------------- */

/* Move on with the frame that is being echoed; 1 when it is through. */
static int echo(Conn *conn) {
    size_t count = conn->echo_left;
    if (count > buf_len(&conn->inbox)) count = buf_len(&conn->inbox);
    if (count > buf_room(&conn->outbox)) count = buf_room(&conn->outbox);
    if (count) {
        buf_put(&conn->outbox, buf_head(&conn->inbox), count);
        buf_drop(&conn->inbox, count);
        conn->echo_left -= count;
    }
    return conn->echo_left == 0;
}

/* Answer a frame of the session itself when it is whole and the reply has room: 1 done, 0 not yet or never, CALLBACK. */
static int answer_control(Stub *stub, Conn *conn, const uint8_t *frame) {
    size_t length = HEADER + body_len_of(frame);
    uint8_t reply[CONTROL_REPLY_MAX];
    conn->broken = length > HEADER + CONTROL_BODY_MAX;
    if (conn->broken || buf_len(&conn->inbox) < length || buf_room(&conn->outbox) < CONTROL_REPLY_MAX) return 0;
    int reply_len = stub->control(stub->context, conn->number, frame, length, reply);
    if (reply_len < 0) return CALLBACK;
    buf_put(&conn->outbox, reply, (size_t)reply_len);
    buf_drop(&conn->inbox, length);
    return 1;
}

/* Work through the inbox as far as it goes: all of it, to a bad frame, or to a full outbox. */
static Outcome answer_frames(Stub *stub, Conn *conn) {
    while (echo(conn) && buf_len(&conn->inbox) >= HEADER) {
        const uint8_t *frame = buf_head(&conn->inbox);
        uint32_t proto_id = proto_id_of(frame);
        if (!is_frame(frame)) {
            conn->broken = 1;
            return OK;
        }
        if (proto_id == INIT_CONNECT || proto_id == GLOBAL_STATE || proto_id == KEEP_ALIVE) {
            int done = answer_control(stub, conn, frame);
            if (done <= 0) return done < 0 ? CALLBACK : OK;
        } else {
            conn->echo_left = HEADER + body_len_of(frame);
        }
        stub->frames++;
    }
    return OK;
}

static void hold_back(Stub *stub, Conn *conn, size_t newest) {
    uint64_t now = clock_ns();
    if (newest) line_hold(&conn->line, newest, now + stub->delay_ns);
    line_release(&conn->line, now);
}

/* ---- connections come and go -------------------------------------------------------------------------------- */

static void free_conn(Conn *conn) {
    close(conn->fd);
    buf_close(&conn->inbox);
    buf_close(&conn->outbox);
    line_close(&conn->line);
    free(conn);
}

static Conn *new_conn(const Stub *stub, int fd) {
    Conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        close(fd);
        return NULL;
    }
    conn->fd = fd;
    conn->number = stub->accepted + 1;
    if (buf_open(&conn->inbox, BUFFER) < 0 || buf_open(&conn->outbox, stub->delay_ns ? DELAYED_OUTBOX : BUFFER) < 0 ||
        line_open(&conn->line) < 0) {
        free_conn(conn);
        return NULL;
    }
    return conn;
}

static Outcome wait_for(Stub *stub, size_t at, int wanted) {
    Conn *conn = stub->conns[at];
    if (poller_set(&stub->poller, conn->fd, (int)at, conn->interest, wanted) < 0) return ERRNO;
    conn->interest = wanted;
    return OK;
}

static Outcome end_conn(Stub *stub, size_t at) {
    Outcome outcome = wait_for(stub, at, 0);
    stub->bad += stub->conns[at]->broken ? 1 : 0;
    stub->open_now--;
    free_conn(stub->conns[at]);
    stub->conns[at] = NULL;
    return outcome;
}

/* The first free place for a connection; places, when there was no memory for more. */
static size_t free_place(Stub *stub) {
    size_t at = 0;
    while (at < stub->places && stub->conns[at]) at++;
    if (at < stub->places) return at;
    size_t places = stub->places ? stub->places * 2 : 64;
    Conn **conns = realloc(stub->conns, places * sizeof *conns);
    if (!conns) return at;
    memset(conns + stub->places, 0, (places - stub->places) * sizeof *conns);
    stub->conns = conns;
    stub->places = places;
    return at;
}

static Outcome accept_all(Stub *stub) {
    int fd;
    while ((fd = accept_quick(stub->listener)) >= 0) {
        size_t at = free_place(stub);
        if (at == stub->places) {
            close(fd);
            return ERRNO;
        }
        stub->conns[at] = new_conn(stub, fd);
        if (!stub->conns[at]) return ERRNO;
        stub->accepted++;
        stub->open_now++;
        if (stub->open_now > stub->open_max) stub->open_max = stub->open_now;
        Outcome outcome = wait_for(stub, at, IO_READ);
        if (outcome != OK) return outcome;
    }
    return fd == -1 ? OK : ERRNO;
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

static Outcome turn(Stub *stub, size_t at, int readable) {
    Conn *conn = stub->conns[at];
    if (readable) {
        size_t before = buf_len(&conn->inbox);
        if (!buf_recv(conn->fd, &conn->inbox)) return end_conn(stub, at);
        stub->bytes += buf_len(&conn->inbox) - before;
    }
    size_t moved;
    do { /* again after a send: what did not fit into the outbox may do so now */
        size_t before = buf_len(&conn->outbox);
        Outcome outcome = answer_frames(stub, conn);
        if (outcome != OK) return outcome;
        moved = buf_len(&conn->outbox) - before;
        if (stub->delay_ns) hold_back(stub, conn, moved);
        if (!buf_send(conn->fd, &conn->outbox, buf_len(&conn->outbox) - conn->line.held) || conn->broken)
            return end_conn(stub, at);
    } while (moved);
    int readable_next = buf_room(&conn->inbox) ? IO_READ : 0;
    return wait_for(stub, at, readable_next | (buf_len(&conn->outbox) > conn->line.held ? IO_WRITE : 0));
}

static uint64_t due_ns(const Conn *conn) { return conn ? line_due(&conn->line) : 0; }

/* Until the next held reply is due; -1, for ever, when none is held. */
static int wait_ms(const Stub *stub) {
    uint64_t first_ns = 0;
    for (size_t at = 0; stub->delay_ns && at < stub->places; at++) {
        uint64_t due = due_ns(stub->conns[at]);
        if (due && (first_ns == 0 || due < first_ns)) first_ns = due;
    }
    if (first_ns == 0) return -1;
    uint64_t now = clock_ns();
    return first_ns > now ? (int)((first_ns - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

static Outcome release_due(Stub *stub) {
    uint64_t now = clock_ns();
    Outcome outcome = OK;
    for (size_t at = 0; at < stub->places && outcome == OK; at++) {
        uint64_t due = due_ns(stub->conns[at]);
        if (due && due <= now) outcome = turn(stub, at, 0);
    }
    return outcome;
}

Outcome stub_run(Stub *stub) {
    Ready ready[READY_MAX];
    int stopping = 0;
    Outcome outcome = OK;
    while (outcome == OK && !stopping) {
        int count = poller_wait(&stub->poller, ready, wait_ms(stub));
        if (count < 0) return ERRNO;
        for (int i = 0; i < count && outcome == OK; i++) {
            if (ready[i].tag == TAG_STOP)
                stopping = 1;
            else if (ready[i].tag == TAG_LISTENER)
                outcome = accept_all(stub);
            else
                outcome = turn(stub, (size_t)ready[i].tag, ready[i].events & IO_READ);
        }
        if (outcome == OK && stub->delay_ns) outcome = release_due(stub);
    }
    return outcome;
}

Outcome stub_open(Stub *stub, int use_epoll) {
    if (poller_open(&stub->poller, use_epoll) < 0) return ERRNO;
    if (poller_set(&stub->poller, stub->listener, TAG_LISTENER, 0, IO_READ) < 0) return ERRNO;
    return poller_set(&stub->poller, stub->stop, TAG_STOP, 0, IO_READ) < 0 ? ERRNO : OK;
}

void stub_close(Stub *stub) {
    for (size_t at = 0; at < stub->places; at++)
        if (stub->conns[at]) free_conn(stub->conns[at]);
    free(stub->conns);
    stub->conns = NULL;
    stub->places = 0;
    poller_close(&stub->poller);
}
