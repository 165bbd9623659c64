/* context.h: what encoder and decoder both remember of a block so far, and from which both predict the next record.
 *
 * A context is one shape of record: (type, code, number of vals, number of blobs). Contexts are numbered in the order
 * in which the block first uses them. */
#ifndef AEON_JOURNAL_CONTEXT_H
#define AEON_JOURNAL_CONTEXT_H

#include "journal/journal.h"

enum {
    TAG_TIME = 0x80,    /* a time delta follows */
    TAG_CHANGES = 0x40, /* not all is as predicted: a mask and the changes follow */
    TAG_CONTEXT = 0x3f, /* 0..61: this context; or */
    CONTEXT_BYTE = 62,  /* the next byte + 62 is the context */
    CONTEXT_NEW = 63,   /* a definition follows */

    MAX_CONTEXTS = CONTEXT_BYTE + 256, /* further shapes are defined at each use and predicted as zero */

    CHANGED_GUEST = 1, /* bits of the mask; then one per val, then one per blob size, then one per blob's mode */
    CHANGED_CLOCK = 2,
    CHANGED_VALS_SHIFT = 2,

    PREDICT_MIN = 32, /* shorter blobs are literal, and not remembered */
};

/* How a blob is written. */
enum blob_mode {
    BLOB_LITERAL,
    BLOB_SAME, /* not at all: it is the one before */
    BLOB_PART, /* only what lies between what it has in common with the one before, at its beginning and at its end */
};

/* A blob of the context's record before: where it lies in the block, or, when it was not literal, a copy. */
struct blob_memory {
    uint64_t size; /* 0: there was none of PREDICT_MIN or more */
    size_t offset;
    bool copied;
    uint8_t *copy;
    size_t cap;
};

struct context {
    uint64_t shape;
    uint32_t type, code, nvals, nblobs; /* the shape's parts */
    uint32_t follower;                  /* encoder: the context that came next the last time */
    uint64_t clock_delta;
    uint64_t vals[JOURNAL_MAX_VALS];
    uint64_t sizes[JOURNAL_MAX_BLOBS];
    uint8_t modes[JOURNAL_MAX_BLOBS];
    struct blob_memory *memory; /* per blob; NULL: nothing to remember yet */
};

struct contexts {
    uint64_t time_ns, clock; /* of the record before */
    uint32_t guest;
    uint32_t n, cap;
    struct context *context; /* at most MAX_CONTEXTS + 1: the last is for shapes beyond, and remembers no blobs */
    const uint8_t *block;    /* its first byte */
};

static inline uint64_t context_shape(uint32_t type, uint32_t code, uint32_t nvals, uint32_t nblobs) {
    return (uint64_t)code << 32 | nblobs << 16 | nvals << 8 | type;
}

void contexts_init(struct contexts *c);
void contexts_deinit(struct contexts *c);
void contexts_reset(struct contexts *c, uint64_t first_time_ns);

/* A context for a shape met for the first time; all predictions are zero. Others may move. */
struct context *contexts_add(struct contexts *c, uint64_t shape);

/* The memory of blob `i`, to be written; NULL when the context has none. */
struct blob_memory *context_remember(struct contexts *c, struct context *k, uint32_t i);

static inline const uint8_t *blob_bytes(const struct contexts *c, const struct blob_memory *m) {
    return m->copied ? m->copy : c->block + m->offset;
}

/* Makes the memory a blob of `size` bytes that has `prefix` and `suffix` bytes in common with what it is now; answers
 * where the bytes between are to be put. */
uint8_t *blob_patch(const struct contexts *c, struct blob_memory *m, uint64_t size, uint64_t prefix, uint64_t suffix);

#endif
