#include "journal/context.h"

#include "base/must.h"

/* Finds contexts by shape: open addressing, never more than two thirds full. */
enum { SLOT_BITS = 9, SLOTS = 1 << SLOT_BITS };
_Static_assert(MAX_CONTEXTS * 3 <= SLOTS * 2, "the table of contexts is crowded");

struct journal_encoder {
    struct contexts c;
    uint16_t slot[SLOTS]; /* context + 1, or 0 */
};

/* The longest head: tag, context byte or definition, time, mask, guest and clock, vals, sizes. */
_Static_assert(1 + (3 + 5) + 10 + 4 + 5 + 10 + 10 * (JOURNAL_MAX_VALS + JOURNAL_MAX_BLOBS) <= JOURNAL_HEAD_MAX,
               "JOURNAL_HEAD_MAX is too small");

struct journal_encoder *journal_encoder_new(void) {
    struct journal_encoder *enc = mem_alloc(sizeof *enc);
    journal_encoder_reset(enc, 0);
    return enc;
}

void journal_encoder_free(struct journal_encoder *enc) {
    mem_free(enc);
}

void journal_encoder_reset(struct journal_encoder *enc, uint64_t first_time_ns) {
    contexts_reset(&enc->c, first_time_ns);
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

uint8_t *journal_encode_head(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
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

uint8_t *journal_encode(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    uint8_t *p = journal_encode_head(enc, out, r);
    for (uint32_t i = 0; i < r->nblobs; i++) {
        const struct journal_blob *b = &r->blobs[i];
        uint64_t size = 0;
        for (uint32_t j = 0; j < b->npieces; j++) {
            if (b->pieces[j].iov_len)
                memcpy(p, b->pieces[j].iov_base, b->pieces[j].iov_len);
            p += b->pieces[j].iov_len;
            size += b->pieces[j].iov_len;
        }
        must(size == b->size);
    }
    return p;
}
