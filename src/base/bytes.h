/* bytes.h: little-endian loads and stores, LEB128 varints, spans. All of our formats and WebAssembly are
 * little-endian; hosts are too (checked here). */
#ifndef AEON_BASE_BYTES_H
#define AEON_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "aeon needs a little-endian host");

/* Borrowed bytes. */
struct span {
    const uint8_t *data;
    size_t size;
};

#define SPAN(p, n)  ((struct span){(const uint8_t *)(p), (n)})
#define SPAN_STR(s) SPAN((s), strlen(s))

static inline bool span_equal(struct span a, struct span b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#define BYTES_ACCESS(type, suffix)                     \
    static inline type get_##suffix(const void *p) {   \
        type v;                                        \
        memcpy(&v, p, sizeof v);                       \
        return v;                                      \
    }                                                  \
    static inline void put_##suffix(void *p, type v) { \
        memcpy(p, &v, sizeof v);                       \
    }
BYTES_ACCESS(uint16_t, u16)
BYTES_ACCESS(uint32_t, u32)
BYTES_ACCESS(uint64_t, u64)
#undef BYTES_ACCESS

enum { VARINT_MAX = 10 }; /* bytes of the longest unsigned LEB128 of 64 bits */

/* Writes `v` as unsigned LEB128 at `p` (room for VARINT_MAX); returns the end. */
static inline uint8_t *put_varint(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Reads an unsigned LEB128 of at most 64 bits from [p, end). Returns the end, or NULL when it is cut, too long or
 * does not fit. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *v) {
    uint64_t r = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p == end)
            return NULL;
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            return NULL;
        r |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *v = r;
            return p;
        }
    }
    return NULL;
}

static inline uint64_t zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
