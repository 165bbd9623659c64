/* reader.h: reads the binary format between two bounds; internal to src/wasm.
 *
 * The first failure is kept (status here, sentence in `e`) and empties the reader: from then on everything reads as 0,
 * so that a caller checks once, after a loop or at the end.  Loops over counts must also stop at `status`.
 * The leb_* functions below are the same without a reader: they return the end, or NULL. */
#ifndef AEON_WASM_READER_H
#define AEON_WASM_READER_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/must.h"

struct reader {
    const uint8_t *file; /* where offsets are counted from */
    const uint8_t *p, *end;
    enum status status;
    struct err *e; /* may be NULL */
};

/* Notes a failure at `at`; the sentence gets the offset in front. */
void reader_fail(struct reader *r, const uint8_t *at, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));

/* Why a LEB128 integer of that many bits cannot be read at `p`. */
const char *leb_error(const uint8_t *p, const uint8_t *end, unsigned bits);

bool utf8_valid(struct span s);

/* ---- LEB128 ---------------------------------------------------------------------------------------------------- */

/* `bits` is a constant at every call. The last byte may not continue, nor hold bits beyond `bits`. */
static inline __attribute__((always_inline)) const uint8_t *leb_unsigned(const uint8_t *p, const uint8_t *end,
                                                                         unsigned bits, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        if (UNLIKELY(p == end))
            return NULL;
        uint8_t b = *p++;
        if (shift + 7 > bits && b >> (bits - shift))
            return NULL;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

static inline __attribute__((always_inline)) const uint8_t *leb_signed(const uint8_t *p, const uint8_t *end,
                                                                       unsigned bits, int64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        if (UNLIKELY(p == end))
            return NULL;
        uint8_t b = *p++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (shift + 7 > bits) { /* the last possible byte: what lies beyond must repeat the sign */
            uint8_t sign_and_rest = (uint8_t)(b >> (bits - shift - 1));
            if (sign_and_rest != 0 && sign_and_rest != 0x7f >> (bits - shift - 1))
                return NULL;
        }
        if (!(b & 0x80)) {
            if (shift + 7 < 64 && (b & 0x40))
                v |= ~(uint64_t)0 << (shift + 7);
            *out = (int64_t)v;
            return p;
        }
    }
    return NULL;
}

static inline const uint8_t *leb_u32(const uint8_t *p, const uint8_t *end, uint32_t *out) {
    if (LIKELY(p < end && *p < 0x80)) {
        *out = *p;
        return p + 1;
    }
    uint64_t v;
    p = leb_unsigned(p, end, 32, &v);
    if (p)
        *out = (uint32_t)v;
    return p;
}

/* ---- reader ---------------------------------------------------------------------------------------------------- */

static inline size_t reader_left(const struct reader *r) {
    return (size_t)(r->end - r->p);
}

static inline uint8_t read_byte(struct reader *r) {
    if (UNLIKELY(r->p == r->end)) {
        reader_fail(r, r->p, ST_MALFORMED, "unexpected end");
        return 0;
    }
    return *r->p++;
}

static inline uint32_t read_u32(struct reader *r) {
    uint32_t v;
    const uint8_t *next = leb_u32(r->p, r->end, &v);
    if (UNLIKELY(!next)) {
        reader_fail(r, r->p, ST_MALFORMED, "%s", leb_error(r->p, r->end, 32));
        return 0;
    }
    r->p = next;
    return v;
}

/* An s32, s33 or s64. */
static inline int64_t read_signed(struct reader *r, unsigned bits) {
    int64_t v;
    const uint8_t *next = bits == 64   ? leb_signed(r->p, r->end, 64, &v)
                          : bits == 33 ? leb_signed(r->p, r->end, 33, &v)
                                       : leb_signed(r->p, r->end, 32, &v);
    if (UNLIKELY(!next)) {
        reader_fail(r, r->p, ST_MALFORMED, "%s", leb_error(r->p, r->end, bits));
        return 0;
    }
    r->p = next;
    return v;
}

static inline struct span read_bytes(struct reader *r, size_t n) {
    if (UNLIKELY(n > reader_left(r))) {
        reader_fail(r, r->p, ST_MALFORMED, "unexpected end: %zu bytes claimed, %zu left", n, reader_left(r));
        return SPAN(r->end, 0);
    }
    struct span s = SPAN(r->p, n);
    r->p += n;
    return s;
}

/* The length of a vector whose items take at least `item_bytes`: a length that cannot be true is refused before memory
 * is taken for it. */
static inline uint32_t read_count(struct reader *r, unsigned item_bytes) {
    const uint8_t *at = r->p;
    uint32_t n = read_u32(r);
    if (UNLIKELY(n > reader_left(r) / item_bytes)) {
        reader_fail(r, at, ST_MALFORMED, "unexpected end: %u items claimed, %zu bytes left", n, reader_left(r));
        return 0;
    }
    return n;
}

/* A name: length, UTF-8. */
static inline struct span read_name(struct reader *r) {
    const uint8_t *at = r->p;
    struct span s = read_bytes(r, read_u32(r));
    if (UNLIKELY(!utf8_valid(s)))
        reader_fail(r, at, ST_MALFORMED, "malformed UTF-8 encoding");
    return s;
}

#endif
