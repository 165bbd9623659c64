#include "journal/context.h"

#include "base/must.h"

/* Finds contexts by shape: open addressing, never more than two thirds full. */
enum { SLOT_BITS = 9, SLOTS = 1 << SLOT_BITS };
_Static_assert(MAX_CONTEXTS * 3 <= SLOTS * 2, "the table of contexts is crowded");

struct journal_encoder {
    struct contexts c;
    uint32_t last;        /* context of the record before */
    uint16_t slot[SLOTS]; /* context + 1, or 0 */
};

/* The longest head: tag, context byte or definition, time, mask, guest and clock, vals, sizes. */
_Static_assert(1 + (3 + 5) + 10 + 4 + 5 + 10 + 10 * (JOURNAL_MAX_VALS + JOURNAL_MAX_BLOBS) <= JOURNAL_HEAD_MAX,
               "JOURNAL_HEAD_MAX is too small");

struct journal_encoder *journal_encoder_new(void) {
    struct journal_encoder *enc = mem_zalloc(sizeof *enc);
    journal_encoder_reset(enc, 0);
    return enc;
}

void journal_encoder_free(struct journal_encoder *enc) {
    mem_free(enc);
}

void journal_encoder_reset(struct journal_encoder *enc, uint64_t first_time_ns) {
    contexts_reset(&enc->c, first_time_ns);
    enc->last = 0;
    memset(enc->slot, 0, sizeof enc->slot);
}

/* The context of `shape`, or NULL and the free slot where it belongs. */
static inline struct context *find(struct journal_encoder *enc, uint64_t shape, unsigned *slot) {
    unsigned i = (unsigned)((shape * 0x9e3779b97f4a7c15u) >> (64 - SLOT_BITS));
    for (;; i = (i + 1) % SLOTS) {
        unsigned n = enc->slot[i];
        if (n == 0) {
            *slot = i;
            return NULL;
        }
        if (enc->c.context[n - 1].shape == shape)
            return &enc->c.context[n - 1];
    }
}

static uint8_t *define(struct journal_encoder *enc, uint8_t *p, const struct journal_record *r, unsigned slot,
                       struct context **out) {
    must(r->type >= JOURNAL_CALL && r->type <= JOURNAL_NOTE);
    must(r->nvals <= JOURNAL_MAX_VALS && r->nblobs <= JOURNAL_MAX_BLOBS);
    if (enc->c.n < MAX_CONTEXTS)
        enc->slot[slot] = (uint16_t)(enc->c.n + 1);
    *out = contexts_add(&enc->c, context_shape(r->type, r->code, r->nvals, r->nblobs));
    *p++ = (uint8_t)r->type;
    *p++ = (uint8_t)r->nvals;
    *p++ = (uint8_t)r->nblobs;
    return put_varint(p, r->code);
}

static uint8_t *changes(struct journal_encoder *enc, uint8_t *p, struct context *k, uint32_t mask,
                        const struct journal_record *r) {
    p = put_varint(p, mask);
    if (mask & CHANGED_GUEST) {
        p = put_varint(p, r->guest);
        p = put_varint(p, r->clock);
        enc->c.guest = r->guest;
    } else if (mask & CHANGED_CLOCK) {
        uint64_t delta = r->clock - enc->c.clock;
        p = put_varint(p, zigzag((int64_t)(delta - k->clock_delta)));
        k->clock_delta = delta;
    }
    mask >>= CHANGED_VALS_SHIFT;
    for (uint32_t i = 0; i < r->nvals; i++, mask >>= 1) {
        if (mask & 1) {
            p = put_varint(p, zigzag((int64_t)(r->vals[i] - k->vals[i])));
            k->vals[i] = r->vals[i];
        }
    }
    for (uint32_t i = 0; i < r->nblobs; i++, mask >>= 1) {
        if (mask & 1) {
            p = put_varint(p, r->blobs[i].size);
            k->sizes[i] = r->blobs[i].size;
        }
    }
    return p;
}

/* All of a record but its blobs, whatever it is. */
__attribute__((noinline)) static uint8_t *encode_any(struct journal_encoder *enc, uint8_t *out,
                                                     const struct journal_record *r) {
    struct contexts *c = &enc->c;
    must(r->time_ns >= c->time_ns);

    uint8_t *p = out + 1;
    unsigned tag, slot;
    struct context *k = find(enc, context_shape(r->type, r->code, r->nvals, r->nblobs), &slot);
    if (LIKELY(k != NULL)) {
        tag = (unsigned)(k - c->context);
        if (UNLIKELY(tag >= CONTEXT_BYTE)) {
            *p++ = (uint8_t)(tag - CONTEXT_BYTE);
            tag = CONTEXT_BYTE;
        }
    } else {
        tag = CONTEXT_NEW;
        p = define(enc, p, r, slot, &k);
    }
    c->context[enc->last].follower = (uint32_t)(k - c->context);
    enc->last = (uint32_t)(k - c->context);

    if (r->time_ns != c->time_ns) {
        tag |= TAG_TIME;
        p = put_varint(p, r->time_ns - c->time_ns);
        c->time_ns = r->time_ns;
    }

    uint32_t mask = 0, bit = 1u << CHANGED_VALS_SHIFT;
    if (r->guest != c->guest)
        mask = CHANGED_GUEST;
    else if (r->clock - c->clock != k->clock_delta)
        mask = CHANGED_CLOCK;
    for (uint32_t i = 0; i < r->nvals; i++, bit <<= 1)
        mask |= r->vals[i] != k->vals[i] ? bit : 0;
    for (uint32_t i = 0; i < r->nblobs; i++, bit <<= 1)
        mask |= r->blobs[i].size != k->sizes[i] ? bit : 0;
    if (mask) {
        tag |= TAG_CHANGES;
        p = changes(enc, p, k, mask, r);
    }
    c->clock = r->clock;
    *out = (uint8_t)tag;
    return p;
}

/* The common case first: the context that was expected, everything as predicted, and a short time. Its head is stored
 * as one word, of which the bytes beyond are zero, as all bytes beyond are. */
static inline uint8_t *encode_head(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    struct contexts *c = &enc->c;
    uint64_t delta = r->time_ns - c->time_ns;
    uint32_t number = c->context[enc->last].follower;
    const struct context *k = &c->context[number];
    uint64_t differs = (r->type ^ k->type) | (r->code ^ k->code) | (r->nvals ^ k->nvals) | (r->nblobs ^ k->nblobs) |
                       (r->guest ^ c->guest) | (r->clock - c->clock - k->clock_delta);
    for (uint32_t i = 0; i < k->nvals; i++) {
        differs |= r->vals[i] ^ k->vals[i];
        __asm__("" : "+r"(differs)); /* a few turns: vectors would only cost */
    }
    for (uint32_t i = 0; i < k->nblobs; i++) {
        differs |= r->blobs[i].size ^ k->sizes[i];
        __asm__("" : "+r"(differs));
    }
    if (UNLIKELY(differs || number >= c->n || number >= CONTEXT_BYTE || delta >= 1u << 14))
        return encode_any(enc, out, r);

    enc->last = number;
    c->clock = r->clock;
    if (delta == 0) {
        *out = (uint8_t)number;
        return out + 1;
    }
    c->time_ns = r->time_ns;
    if (delta < 1u << 7) {
        put_u16(out, (uint16_t)(number | TAG_TIME | delta << 8));
        return out + 2;
    }
    put_u32(out, (uint32_t)(number | TAG_TIME | (delta & 0x7f) << 8 | 0x80 << 8 | delta >> 7 << 16));
    return out + 3;
}

uint8_t *journal_encode_head(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    return encode_head(enc, out, r);
}

/* Short pieces are most of what guests write, and a call takes longer than they do. */
static inline void copy(uint8_t *to, const uint8_t *from, size_t n) {
    if (n > 16 || n < 8) {
        if (n)
            memcpy(to, from, n);
        return;
    }
    uint64_t head = get_u64(from), tail = get_u64(from + n - 8);
    put_u64(to, head);
    put_u64(to + n - 8, tail);
}

uint8_t *journal_encode(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    uint8_t *p = encode_head(enc, out, r);
    for (uint32_t i = 0; i < r->nblobs; i++) {
        const struct journal_blob *b = &r->blobs[i];
        uint64_t size = 0;
        for (uint32_t j = 0; j < b->npieces; j++) {
            copy(p, b->pieces[j].iov_base, b->pieces[j].iov_len);
            p += b->pieces[j].iov_len;
            size += b->pieces[j].iov_len;
        }
        must(size == b->size);
    }
    return p;
}
