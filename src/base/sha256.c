#include "base/sha256.h"

#include "base/must.h"

/* The functions below the EVP layer: that one reads a configuration file and loads providers at its first use, which is
 * most of what a short command takes. */
#define OPENSSL_API_COMPAT 0x10100000L
#include <openssl/sha.h>

void sha256_of(struct span data, struct sha256 *out) {
    SHA256_CTX ctx;
    must(SHA256_Init(&ctx) && SHA256_Update(&ctx, data.data, data.size) && SHA256_Final(out->bytes, &ctx));
}

void sha256_hex(const struct sha256 *h, char out[SHA256_HEX]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digits[h->bytes[i] >> 4];
        out[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    out[SHA256_HEX - 1] = 0;
}
