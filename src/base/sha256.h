/* sha256.h: content hashes (FIPS 180-4), computed by libcrypto. */
#ifndef AEON_BASE_SHA256_H
#define AEON_BASE_SHA256_H

#include "base/bytes.h"

enum { SHA256_SIZE = 32, SHA256_HEX = 65 };

struct sha256 {
    uint8_t bytes[SHA256_SIZE];
};

void sha256_of(struct span data, struct sha256 *out);

/* Lower-case hex with a NUL. */
void sha256_hex(const struct sha256 *h, char out[SHA256_HEX]);

#endif
