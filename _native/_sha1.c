/* SHA-1 in one shot: the CPU's own instructions where there are any, hashlib elsewhere.
 *
 * A frame's body is mostly 50 to 300 bytes, where the call costs more than the digest: OpenSSL's one-shot functions and
 * hashlib alike look the algorithm up and allocate a context per call. The instructions take the body as it lies there.
 * There is no plain C version on purpose: it would be slower than hashlib from 1 KB on (bench/sha1.py).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "_sha1.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_SHA_NI 1
#else
#define HAVE_SHA_NI 0
#endif

enum { BLOCK = 64, LENGTH_FIELD = 8 };

static int use_ni = 0;
static PyObject *hashlib_sha1 = NULL;
static PyObject *hashlib_options = NULL; /* usedforsecurity=False: works on FIPS machines too */
static PyObject *digest_name = NULL;

#if HAVE_SHA_NI

#include <cpuid.h>
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

static int cpu_has_ni(void) {
    const unsigned int ssse3 = 1u << 9, sse41 = 1u << 19, sha = 1u << 29;
    unsigned int a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & ssse3) || !(c & sse41)) {
        return 0;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & sha) != 0;
}

/* Four message words, the first in the highest lane, as the instructions want them. */
SHA_NI static inline __m128i load_words(const uint8_t *p) {
    const __m128i big_endian = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), big_endian);
}

/* The next four words of the message schedule from the sixteen before them. */
SHA_NI static inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3) {
    return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(w0, w1), w2), w3);
}

/* Four rounds. `before` is the state of four rounds ago, whose A is today's E before its rotation. */
#define ROUNDS(words, function)                     \
    e = _mm_sha1nexte_epu32(before, words);         \
    before = abcd;                                  \
    abcd = _mm_sha1rnds4_epu32(abcd, e, function)

#define ROUNDS_NEXT(w0, w1, w2, w3, function)       \
    w0 = next_words(w0, w1, w2, w3);                \
    ROUNDS(w0, function)

SHA_NI static void compress(__m128i *state_abcd, __m128i *state_e, const uint8_t *p, size_t blocks) {
    __m128i abcd = *state_abcd, e0 = *state_e;
    for (; blocks > 0; blocks--, p += BLOCK) {
        const __m128i abcd_in = abcd, e_in = e0;
        __m128i a = load_words(p), b = load_words(p + 16), c = load_words(p + 32), d = load_words(p + 48);
        __m128i before = abcd, e = _mm_add_epi32(e0, a);
        abcd = _mm_sha1rnds4_epu32(abcd, e, 0);
        ROUNDS(b, 0);
        ROUNDS(c, 0);
        ROUNDS(d, 0);
        ROUNDS_NEXT(a, b, c, d, 0);
        ROUNDS_NEXT(b, c, d, a, 1);
        ROUNDS_NEXT(c, d, a, b, 1);
        ROUNDS_NEXT(d, a, b, c, 1);
        ROUNDS_NEXT(a, b, c, d, 1);
        ROUNDS_NEXT(b, c, d, a, 1);
        ROUNDS_NEXT(c, d, a, b, 2);
        ROUNDS_NEXT(d, a, b, c, 2);
        ROUNDS_NEXT(a, b, c, d, 2);
        ROUNDS_NEXT(b, c, d, a, 2);
        ROUNDS_NEXT(c, d, a, b, 2);
        ROUNDS_NEXT(d, a, b, c, 3);
        ROUNDS_NEXT(a, b, c, d, 3);
        ROUNDS_NEXT(b, c, d, a, 3);
        ROUNDS_NEXT(c, d, a, b, 3);
        ROUNDS_NEXT(d, a, b, c, 3);
        e0 = _mm_sha1nexte_epu32(before, e_in);
        abcd = _mm_add_epi32(abcd, abcd_in);
    }
    *state_abcd = abcd;
    *state_e = e0;
}

static void store_big_endian32(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

SHA_NI static void digest_ni(const uint8_t *data, size_t size, uint8_t out[20]) {
    __m128i abcd = _mm_set_epi32(0x67452301, (int)0xEFCDAB89, (int)0x98BADCFE, 0x10325476);
    __m128i e = _mm_set_epi32((int)0xC3D2E1F0, 0, 0, 0);
    const size_t whole = size / BLOCK, rest = size % BLOCK;
    const uint64_t bits = (uint64_t)size * 8;
    uint8_t tail[2 * BLOCK] = {0};
    const size_t tail_size = rest + 1 + LENGTH_FIELD <= BLOCK ? BLOCK : 2 * BLOCK;

    compress(&abcd, &e, data, whole);
    if (rest > 0) {
        memcpy(tail, data + whole * BLOCK, rest);
    }
    tail[rest] = 0x80;
    store_big_endian32(tail + tail_size - 8, (uint32_t)(bits >> 32));
    store_big_endian32(tail + tail_size - 4, (uint32_t)bits);
    compress(&abcd, &e, tail, tail_size / BLOCK);

    _mm_storeu_si128((__m128i *)out, load_words((const uint8_t *)&abcd));
    store_big_endian32(out + 16, (uint32_t)_mm_extract_epi32(e, 3));
}

#endif

static int load_hashlib(void) {
    PyObject *module = PyImport_ImportModule("hashlib");
    if (module == NULL) {
        return -1;
    }
    hashlib_sha1 = PyObject_GetAttrString(module, "sha1");
    Py_DECREF(module);
    hashlib_options = Py_BuildValue("{s:O}", "usedforsecurity", Py_False);
    digest_name = PyUnicode_InternFromString("digest");
    return hashlib_sha1 != NULL && hashlib_options != NULL && digest_name != NULL ? 0 : -1;
}

/* A new reference to the digest as bytes, or NULL with an exception set. Works on a copy: hashlib lets other threads
 * run while it hashes a large body, and what they do to the original must not matter. */
static PyObject *hashlib_digest(const uint8_t *data, size_t size) {
    PyObject *hash, *digest, *copy = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
    if (copy == NULL) {
        return NULL;
    }
    hash = PyObject_VectorcallDict(hashlib_sha1, &copy, 1, hashlib_options);
    Py_DECREF(copy);
    if (hash == NULL) {
        return NULL;
    }
    digest = PyObject_CallMethodNoArgs(hash, digest_name);
    Py_DECREF(hash);
    return digest;
}

static void digest_hashlib(const uint8_t *data, size_t size, uint8_t out[20]) {
    PyObject *digest = hashlib_digest(data, size);
    if (digest != NULL && PyBytes_Check(digest) && PyBytes_GET_SIZE(digest) == 20) {
        memcpy(out, PyBytes_AS_STRING(digest), 20);
    } else {
        memset(out, 0, 20);
        PyErr_WriteUnraisable(hashlib_sha1);
    }
    Py_XDECREF(digest);
}

int sha1_init(void) {
#if HAVE_SHA_NI
    const char *asked = getenv("OPENDMUX_SHA1");
    use_ni = cpu_has_ni() && !(asked != NULL && strcmp(asked, "hashlib") == 0);
#endif
    return use_ni ? 0 : load_hashlib();
}

void sha1_digest(const uint8_t *data, size_t size, uint8_t out[20]) {
#if HAVE_SHA_NI
    if (use_ni) {
        digest_ni(data, size, out);
        return;
    }
#endif
    digest_hashlib(data, size, out);
}

const char *sha1_backend_name(void) {
    return use_ni ? "sha-ni" : "hashlib";
}
