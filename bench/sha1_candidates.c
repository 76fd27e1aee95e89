/* The ways to a SHA-1 that bench/sha1.py compares, each behind one function type and timed in C.
 *
 * libcrypto is found at run time, in the process that loads this file, so no OpenSSL headers are needed. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "_sha1.h"

typedef unsigned char *one_shot(const unsigned char *data, size_t size, unsigned char *out);
typedef int init(void *context);
typedef int update(void *context, const void *data, size_t size);
typedef int final(unsigned char *out, void *context);

static one_shot *openssl_one_shot;
static init *openssl_init;
static update *openssl_update;
static final *openssl_final;

static void one_shot_digest(const uint8_t *data, size_t size, uint8_t *out) {
    openssl_one_shot(data, size, out);
}

static void low_level_digest(const uint8_t *data, size_t size, uint8_t *out) {
    uint64_t context[64]; /* SHA_CTX has 96 bytes */
    openssl_init(context);
    openssl_update(context, data, size);
    openssl_final(out, context);
}

/* 0 when the functions are there. */
int find_openssl(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return -1;
    }
    *(void **)&openssl_one_shot = dlsym(library, "SHA1");
    *(void **)&openssl_init = dlsym(library, "SHA1_Init");
    *(void **)&openssl_update = dlsym(library, "SHA1_Update");
    *(void **)&openssl_final = dlsym(library, "SHA1_Final");
    return openssl_one_shot && openssl_init && openssl_update && openssl_final ? 0 : -1;
}

/* Nanoseconds per digest, or -1 for an unknown candidate. */
double measure(const char *candidate, const uint8_t *data, size_t size, int rounds, uint8_t *out) {
    void (*digest)(const uint8_t *, size_t, uint8_t *);
    struct timespec start, end;
    if (strcmp(candidate, "own") == 0) {
        digest = sha1_digest;
    } else if (strcmp(candidate, "one-shot") == 0) {
        digest = one_shot_digest;
    } else if (strcmp(candidate, "low level") == 0) {
        digest = low_level_digest;
    } else {
        return -1;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < rounds; i++) {
        digest(data, size, out);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / rounds;
}
