/* Two small machines of the benchmark: a latency histogram, and the line in which delayed replies wait. */
#ifndef OPENDMUX_LOAD_PARTS_H
#define OPENDMUX_LOAD_PARTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- Histogram: log-linear, 128 buckets to each power of two, so none is wider than 1/128 of its value ------ */

enum { SUB_BITS = 7, SUB_COUNT = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB_COUNT };

typedef struct {
    uint64_t count, max;
    uint64_t buckets[BUCKETS];
} Histogram;

static inline size_t bucket_of(uint64_t value) {
    if (value < SUB_COUNT) return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return (size_t)shift * SUB_COUNT + (size_t)(value >> shift);
}

/* The largest value that falls into a bucket. */
static inline uint64_t bucket_top(size_t bucket) {
    if (bucket < 2 * SUB_COUNT) return bucket;
    size_t shift = bucket / SUB_COUNT - 1;
    return ((uint64_t)(bucket - shift * SUB_COUNT + 1) << shift) - 1;
}

static inline void histogram_add(Histogram *histogram, uint64_t value) {
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max) histogram->max = value;
}

/* A value that per_mille of the values do not exceed; 0 when there are none. */
static inline uint64_t histogram_at(const Histogram *histogram, uint64_t per_mille) {
    uint64_t rank = (histogram->count * per_mille + 999) / 1000, seen = 0;
    size_t bucket = 0;
    if (histogram->count == 0) return 0;
    while (bucket < BUCKETS - 1 && (seen += histogram->buckets[bucket]) < rank) bucket++;
    return bucket_top(bucket) < histogram->max ? bucket_top(bucket) : histogram->max;
}

/* ---- Line: bytes at the end of an outbox that are held back, and until when --------------------------------- */

typedef struct {
    uint64_t due_ns;
    size_t bytes;
} Mark;

enum { MARKS = 1024 };

typedef struct {
    Mark *marks; /* a ring of MARKS */
    size_t first, count;
    size_t held; /* the sum of their bytes */
} Line;

static inline int line_open(Line *line) {
    memset(line, 0, sizeof *line);
    line->marks = malloc(MARKS * sizeof(Mark));
    return line->marks ? 0 : -1;
}

static inline void line_close(Line *line) {
    free(line->marks);
    memset(line, 0, sizeof *line);
}

/* Hold the newest bytes until due_ns, which never goes back from call to call. */
static inline void line_hold(Line *line, size_t bytes, uint64_t due_ns) {
    line->held += bytes;
    if (line->count < MARKS) {
        Mark *mark = &line->marks[(line->first + line->count++) % MARKS];
        mark->due_ns = due_ns;
        mark->bytes = bytes;
        return;
    }
    /* A full ring merges into its last mark: those bytes are held a bit longer, never shorter. */
    Mark *last = &line->marks[(line->first + MARKS - 1) % MARKS];
    last->due_ns = due_ns;
    last->bytes += bytes;
}

/* When the oldest bytes are due; 0 when none are held. */
static inline uint64_t line_due(const Line *line) { return line->count ? line->marks[line->first].due_ns : 0; }

static inline void line_release(Line *line, uint64_t now_ns) {
    while (line->count && line->marks[line->first].due_ns <= now_ns) {
        line->held -= line->marks[line->first].bytes;
        line->first = (line->first + 1) % MARKS;
        line->count--;
    }
}

#endif
