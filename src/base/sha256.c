#include "base/sha256.h"

#include "base/must.h"

#include <openssl/sha.h>

void sha256_of(struct span data, struct sha256 *out)
{
    must(SHA256(data.data, data.size, out->bytes) != NULL);
}

void sha256_hex(const struct sha256 *h, char out[SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digits[h->bytes[i] >> 4];
        out[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    out[SHA256_HEX - 1] = 0;
}
