/* SHA-1 of short messages, as fast as this machine allows; see _sha1.c. */
#ifndef OPENDMUX_SHA1_H
#define OPENDMUX_SHA1_H

#include <stddef.h>
#include <stdint.h>

/* To be called once by every extension that links this file, when it is imported: each has its own copy of the state.
 * Returns 0, or -1 with a Python exception set. */
int sha1_init(void);

/* The 20 bytes of the digest. The caller holds the GIL. Without the CPU's SHA instructions the work is done by
 * hashlib; should that run out of memory, the digest is all zero, so that the frame is refused, not passed on. */
void sha1_digest(const uint8_t *data, size_t size, uint8_t out[20]);

/* "sha-ni" or "hashlib". */
const char *sha1_backend_name(void);

#endif
