#include "_load_drive.h"

/* How long a wait lasts at most, so that signals are looked at. */
enum { WAIT_MS = 100 };

/* ---- a client's requests ------------------------------------------------------------------------------------ */

/* One more request into the outbox, which has room for all that may be in flight. */
static void ask(Load *load, Client *client, uint64_t now) {
    Waiting *place;
    do {
        client->serial_no++;
        place = &client->ring[client->serial_no & load->ring_mask];
    } while (place->serial_no != 0 || client->serial_no == 0);
    uint8_t *frame = buf_put(&client->outbox, load->request, load->request_len);
    put_u32le(frame + SERIAL_NO, client->serial_no);
    place->serial_no = client->serial_no;
    place->since_ns = now;
    client->in_flight++;
    load->in_flight++;
}

/* A KeepAlive when it is time; only into an empty outbox, so that at most one is unsent. */
static void keep_alive(Load *load, Client *client, uint64_t now) {
    if (now - client->keepalive_ns < load->keepalive_every_ns || buf_len(&client->outbox)) return;
    uint8_t *frame = buf_put(&client->outbox, load->keepalive, load->keepalive_len);
    put_u32le(frame + SERIAL_NO, ++client->serial_no);
    client->keepalive_ns = now;
}

/* ---- a client's replies ------------------------------------------------------------------------------------- */

static Fault header_fault(const Load *load, const uint8_t *frame) {
    if (!is_frame(frame)) return WRONG_FLAG;
    if (proto_id_of(frame) == KEEP_ALIVE) return body_len_of(frame) <= CONTROL_BODY_MAX ? FINE : WRONG_LENGTH;
    if (proto_id_of(frame) != proto_id_of(load->request)) return WRONG_PROTO_ID;
    if (body_len_of(frame) != load->request_len - HEADER) return WRONG_LENGTH;
    if (memcmp(frame + SHA1, load->request + SHA1, SHA1_END - SHA1) != 0) return WRONG_DIGEST;
    return FINE;
}

/* Take one reply whose header is fine. */
static Outcome take_reply(Load *load, Client *client, const uint8_t *frame, uint64_t now, Fault *fault) {
    uint32_t serial_no = serial_no_of(frame);
    Waiting *place = &client->ring[serial_no & load->ring_mask];
    if (serial_no == 0 || place->serial_no != serial_no) {
        *fault = UNKNOWN_SERIAL;
        return OK;
    }
    if (++load->unchecked == load->check_every) {
        load->unchecked = 0;
        int fits = load->body_fits(frame, load->request_len);
        if (fits < 0) return CALLBACK;
        if (!fits) {
            *fault = WRONG_DIGEST;
            return OK;
        }
    }
    place->serial_no = 0;
    client->in_flight--;
    load->in_flight--;
    if (load->stage == MEASURE) histogram_add(&load->latency_ns, now - place->since_ns);
    if (load->stage < DRAIN) ask(load, client, now);
    return OK;
}

/* Take every whole frame out of the inbox, up to the first that is at fault. */
static Outcome take_frames(Load *load, Client *client, uint64_t now, Fault *fault) {
    while (buf_len(&client->inbox) >= HEADER) {
        const uint8_t *frame = buf_head(&client->inbox);
        *fault = header_fault(load, frame);
        if (*fault != FINE) return OK;
        size_t length = HEADER + body_len_of(frame);
        if (buf_len(&client->inbox) < length) return OK;
        if (proto_id_of(frame) != KEEP_ALIVE) {
            Outcome outcome = take_reply(load, client, frame, now, fault);
            if (outcome != OK || *fault != FINE) return outcome;
        }
        buf_drop(&client->inbox, length);
    }
    return OK;
}

/* ---- a client's turn ---------------------------------------------------------------------------------------- */

static Outcome wait_for(Load *load, Client *client, int wanted) {
    int tag = (int)(client - load->clients);
    if (poller_set(&load->poller, client->fd, tag, client->interest, wanted) < 0) return ERRNO;
    client->interest = wanted;
    return OK;
}

static Outcome end_client(Load *load, Client *client, Fault fault) {
    Outcome outcome = wait_for(load, client, 0);
    client->fd = -1;
    load->in_flight -= client->in_flight;
    load->alive--;
    load->faults[fault]++;
    return outcome;
}

static Outcome turn(Load *load, Client *client, int readable) {
    if (readable) {
        if (!buf_recv(client->fd, &client->inbox)) return end_client(load, client, CLOSED);
        uint64_t now = clock_ns();
        Fault fault = FINE;
        keep_alive(load, client, now);
        Outcome outcome = take_frames(load, client, now, &fault);
        if (outcome != OK) return outcome;
        if (fault != FINE) return end_client(load, client, fault);
    }
    if (!buf_send(client->fd, &client->outbox, buf_len(&client->outbox))) return end_client(load, client, CLOSED);
    return wait_for(load, client, IO_READ | (buf_len(&client->outbox) ? IO_WRITE : 0));
}

/* ---- the run ------------------------------------------------------------------------------------------------ */

/* On to the next stage when it is time, or when nothing is left to wait for. */
static void advance(Load *load, uint64_t now) {
    if (now < load->stage_until_ns && load->alive && !(load->stage == DRAIN && load->in_flight == 0)) return;
    if (load->stage == WARMUP) {
        load->stage = MEASURE;
        load->from_ns = now;
        load->stage_until_ns = now + load->measure_ns;
    } else if (load->stage == MEASURE) {
        load->stage = DRAIN;
        load->to_ns = now;
        load->stage_until_ns = now + load->drain_ns;
    } else {
        load->stage = DONE;
        load->faults[LOST] = load->in_flight;
    }
}

static int wait_ms(const Load *load, uint64_t now) {
    if (now >= load->stage_until_ns || !load->alive) return 0;
    uint64_t left_ms = (load->stage_until_ns - now) / NS_PER_MS + 1;
    return left_ms < WAIT_MS ? (int)left_ms : WAIT_MS;
}

/* The first requests of every client. */
static Outcome start(Load *load, uint64_t now) {
    load->stage = WARMUP;
    load->stage_until_ns = now + load->warmup_ns;
    for (size_t i = 0; i < load->count; i++) {
        load->clients[i].keepalive_ns = now;
        for (size_t k = 0; k < load->in_flight_each; k++) ask(load, &load->clients[i], now);
        Outcome outcome = turn(load, &load->clients[i], 0);
        if (outcome != OK) return outcome;
    }
    return OK;
}

Outcome load_run(Load *load) {
    Ready ready[READY_MAX];
    uint64_t now = clock_ns(), signals_ns = now;
    Outcome outcome = start(load, now);
    while (outcome == OK && load->stage != DONE) {
        int count = poller_wait(&load->poller, ready, wait_ms(load, now));
        if (count < 0) return ERRNO;
        now = clock_ns();
        advance(load, now);
        for (int i = 0; i < count && outcome == OK; i++)
            outcome = turn(load, &load->clients[ready[i].tag], ready[i].events & IO_READ);
        if (outcome == OK && now >= signals_ns) {
            outcome = load->check_signals() < 0 ? CALLBACK : OK;
            signals_ns = now + WAIT_MS * NS_PER_MS;
        }
    }
    return outcome;
}

static Outcome add_client(Load *load, int fd) {
    Client *client = &load->clients[load->count++];
    client->fd = fd;
    client->serial_no = load->first_serial - 1;
    client->ring = calloc(load->ring_mask + 1, sizeof *client->ring);
    if (!client->ring) return ERRNO;
    if (buf_open(&client->inbox, BUFFER + load->request_len) < 0) return ERRNO;
    return buf_open(&client->outbox, load->in_flight_each * load->request_len + load->keepalive_len) < 0 ? ERRNO : OK;
}

Outcome load_open(Load *load, const int *fds, size_t count, int use_epoll) {
    /* Twice the places that are taken at a time: the next serial finds a free one soon, whatever the order of replies. */
    for (load->ring_mask = 1; load->ring_mask < 2 * load->in_flight_each;) load->ring_mask = 2 * load->ring_mask + 1;
    if (poller_open(&load->poller, use_epoll) < 0) return ERRNO;
    load->clients = calloc(count, sizeof *load->clients);
    Outcome outcome = load->clients ? OK : ERRNO;
    for (size_t i = 0; i < count && outcome == OK; i++) outcome = add_client(load, fds[i]);
    load->alive = load->count;
    return outcome;
}

void load_close(Load *load) {
    for (size_t i = 0; i < load->count; i++) {
        buf_close(&load->clients[i].inbox);
        buf_close(&load->clients[i].outbox);
        free(load->clients[i].ring);
    }
    free(load->clients);
    load->clients = NULL;
    load->count = 0;
    poller_close(&load->poller);
}
