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

/* The longest head: tag, context byte or definition, time, mask, guest and clock, vals, sizes, modes. What a blob has
 * in common with the one before costs fewer bytes than it saves. */
_Static_assert(1 + (3 + 5) + 10 + 5 + 5 + 10 + 10 * (JOURNAL_MAX_VALS + JOURNAL_MAX_BLOBS) + JOURNAL_MAX_BLOBS <=
                   JOURNAL_HEAD_MAX,
               "JOURNAL_HEAD_MAX is too small");

/* How the blobs of one record are written. */
struct plan {
    uint8_t mode[JOURNAL_MAX_BLOBS];
    uint64_t prefix[JOURNAL_MAX_BLOBS], suffix[JOURNAL_MAX_BLOBS]; /* of BLOB_PART */
};
enum { WORTH_BYTES = 24, WORTH_SHARE = 4 }; /* BLOB_PART saves at least so much, and a fourth of the blob */

struct journal_encoder *journal_encoder_new(void) {
    struct journal_encoder *enc = mem_zalloc(sizeof *enc);
    contexts_init(&enc->c);
    journal_encoder_reset(enc, 0);
    return enc;
}

void journal_encoder_free(struct journal_encoder *enc) {
    if (enc)
        contexts_deinit(&enc->c);
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

static uint8_t *changes(struct journal_encoder *enc, uint8_t *p, struct context *k, uint64_t mask,
                        const struct journal_record *r, const struct plan *plan) {
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
    for (uint32_t i = 0; mask; i++, mask >>= 1) {
        if (mask & 1)
            *p++ = k->modes[i] = plan->mode[i];
    }
    return p;
}

/* ---- blobs ---- */

/* How many bytes are the same from the front, and from the back. */
static size_t same_front(const uint8_t *a, const uint8_t *b, size_t n) {
    size_t i = 0;
    while (n - i >= 256 && memcmp(a + i, b + i, 256) == 0)
        i += 256;
    for (; n - i >= 8; i += 8) {
        uint64_t differ = get_u64(a + i) ^ get_u64(b + i);
        if (differ)
            return i + (size_t)__builtin_ctzll(differ) / 8;
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static size_t same_back(const uint8_t *a_end, const uint8_t *b_end, size_t n) {
    size_t i = 0;
    while (n - i >= 256 && memcmp(a_end - i - 256, b_end - i - 256, 256) == 0)
        i += 256;
    for (; n - i >= 8; i += 8) {
        uint64_t differ = get_u64(a_end - i - 8) ^ get_u64(b_end - i - 8);
        if (differ)
            return i + (size_t)__builtin_clzll(differ) / 8;
    }
    while (i < n && a_end[-(ptrdiff_t)i - 1] == b_end[-(ptrdiff_t)i - 1])
        i++;
    return i;
}

static uint64_t common_prefix(const struct journal_blob *b, const uint8_t *was, uint64_t n) {
    uint64_t at = 0;
    for (uint32_t j = 0; j < b->npieces && at < n; j++) {
        size_t k = b->pieces[j].iov_len < n - at ? b->pieces[j].iov_len : n - at;
        size_t same = same_front(b->pieces[j].iov_base, was + at, k);
        at += same;
        if (same < k)
            break;
    }
    return at;
}

static uint64_t common_suffix(const struct journal_blob *b, const uint8_t *was_end, uint64_t n) {
    uint64_t at = 0;
    for (uint32_t j = b->npieces; j-- > 0 && at < n;) {
        size_t len = b->pieces[j].iov_len, k = len < n - at ? len : n - at;
        size_t same = same_back((const uint8_t *)b->pieces[j].iov_base + len, was_end - at, k);
        at += same;
        if (same < k)
            break;
    }
    return at;
}

/* Decides how each blob is written; answers the mask's bits for modes that are not as predicted. */
static uint64_t make_plan(struct contexts *c, const struct context *k, const struct journal_record *r,
                          struct plan *plan) {
    uint64_t changed = 0;
    for (uint32_t i = 0; i < r->nblobs; i++) {
        const struct journal_blob *b = &r->blobs[i];
        const struct blob_memory *m = k->memory ? &k->memory[i] : NULL;
        plan->mode[i] = BLOB_LITERAL;
        if (b->size < PREDICT_MIN)
            continue;
        if (m && m->size) {
            const uint8_t *was = blob_bytes(c, m);
            uint64_t least = b->size < m->size ? b->size : m->size;
            uint64_t prefix = common_prefix(b, was, least);
            if (prefix == b->size && prefix == m->size) {
                plan->mode[i] = BLOB_SAME;
            } else {
                uint64_t suffix = common_suffix(b, was + m->size, least - prefix);
                if (prefix + suffix >= WORTH_BYTES && prefix + suffix >= b->size / WORTH_SHARE) {
                    plan->mode[i] = BLOB_PART;
                    plan->prefix[i] = prefix;
                    plan->suffix[i] = suffix;
                }
            }
        }
        if (plan->mode[i] != k->modes[i])
            changed |= 1ull << i;
    }
    return changed;
}

/* All of a record but its blobs, whatever it is. With a plan to be filled in blobs are compared with those before. */
__attribute__((noinline)) static uint8_t *encode_any(struct journal_encoder *enc, uint8_t *out,
                                                     const struct journal_record *r, struct plan *plan,
                                                     struct context **context) {
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
    *context = k;
    c->context[enc->last].follower = (uint32_t)(k - c->context);
    enc->last = (uint32_t)(k - c->context);

    if (r->time_ns != c->time_ns) {
        tag |= TAG_TIME;
        p = put_varint(p, r->time_ns - c->time_ns);
        c->time_ns = r->time_ns;
    }

    uint64_t mask = 0, bit = 1u << CHANGED_VALS_SHIFT;
    if (r->guest != c->guest)
        mask = CHANGED_GUEST;
    else if (r->clock - c->clock != k->clock_delta)
        mask = CHANGED_CLOCK;
    for (uint32_t i = 0; i < r->nvals; i++, bit <<= 1)
        mask |= r->vals[i] != k->vals[i] ? bit : 0;
    for (uint32_t i = 0; i < r->nblobs; i++, bit <<= 1)
        mask |= r->blobs[i].size != k->sizes[i] ? bit : 0;
    if (plan)
        mask |= make_plan(c, k, r, plan) * bit;
    if (mask) {
        tag |= TAG_CHANGES;
        p = changes(enc, p, k, mask, r, plan);
    }
    c->clock = r->clock;
    *out = (uint8_t)tag;
    return p;
}

/* The common case first: the context that was expected, everything as predicted, and a short time. Its head is stored
 * as one word, of which the bytes beyond are zero, as all bytes beyond are. */
static inline uint8_t *encode_head(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    struct contexts *c = &enc->c;
    struct context *any;
    if (UNLIKELY(c->n == 0))
        return encode_any(enc, out, r, NULL, &any);
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
        return encode_any(enc, out, r, NULL, &any);

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
    must(enc->c.n == 0);
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

static inline uint8_t *literal(uint8_t *p, const struct journal_blob *b) {
    uint64_t size = 0;
    for (uint32_t j = 0; j < b->npieces; j++) {
        copy(p, b->pieces[j].iov_base, b->pieces[j].iov_len);
        p += b->pieces[j].iov_len;
        size += b->pieces[j].iov_len;
    }
    must(size == b->size);
    return p;
}

/* `n` bytes of a blob from byte `from` on. */
static uint8_t *range(uint8_t *p, const struct journal_blob *b, uint64_t from, uint64_t n) {
    for (uint32_t j = 0; j < b->npieces && n; j++) {
        uint64_t len = b->pieces[j].iov_len;
        if (from < len) {
            uint64_t k = len - from < n ? len - from : n;
            memcpy(p, (const uint8_t *)b->pieces[j].iov_base + from, k);
            p += k;
            n -= k;
            from = 0;
        } else {
            from -= len;
        }
    }
    must(n == 0);
    return p;
}

/* A record with a blob that is long enough to be compared with the one before. */
__attribute__((noinline)) static uint8_t *encode_long(struct journal_encoder *enc, uint8_t *out,
                                                      const struct journal_record *r) {
    struct contexts *c = &enc->c;
    struct context *k;
    struct plan plan;
    uint8_t *p = encode_any(enc, out, r, &plan, &k);
    for (uint32_t i = 0; i < r->nblobs; i++) {
        if (plan.mode[i] == BLOB_PART) {
            p = put_varint(p, plan.prefix[i]);
            p = put_varint(p, plan.suffix[i]);
        }
    }
    for (uint32_t i = 0; i < r->nblobs; i++) {
        const struct journal_blob *b = &r->blobs[i];
        if (plan.mode[i] == BLOB_PART) {
            uint64_t prefix = plan.prefix[i], middle = b->size - prefix - plan.suffix[i];
            uint8_t *from = p;
            p = range(p, b, prefix, middle);
            memcpy(blob_patch(c, &k->memory[i], b->size, prefix, plan.suffix[i]), from, middle);
        } else if (plan.mode[i] == BLOB_LITERAL) {
            struct blob_memory *m = b->size < PREDICT_MIN ? NULL : context_remember(c, k, i);
            if (m) {
                m->size = b->size;
                m->offset = (size_t)(p - c->block);
                m->copied = false;
            }
            p = literal(p, b);
        }
    }
    return p;
}

uint8_t *journal_encode(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r) {
    if (UNLIKELY(enc->c.n == 0))
        enc->c.block = out;
    for (uint32_t i = 0; i < r->nblobs; i++)
        if (r->blobs[i].size >= PREDICT_MIN)
            return encode_long(enc, out, r);
    uint8_t *p = encode_head(enc, out, r);
    for (uint32_t i = 0; i < r->nblobs; i++)
        p = literal(p, &r->blobs[i]);
    return p;
}
