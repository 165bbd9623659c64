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

    CHANGED_GUEST = 1, /* bits of the mask; then one per val, then one per blob size */
    CHANGED_CLOCK = 2,
    CHANGED_VALS_SHIFT = 2,
};

struct context {
    uint64_t shape;
    uint32_t type, code, nvals, nblobs; /* the shape's parts */
    uint32_t follower;                  /* encoder: the context that came next the last time */
    uint64_t clock_delta;
    uint64_t vals[JOURNAL_MAX_VALS];
    uint64_t sizes[JOURNAL_MAX_BLOBS];
};

struct contexts {
    uint64_t time_ns, clock; /* of the record before */
    uint32_t guest;
    uint32_t n;
    struct context context[MAX_CONTEXTS + 1]; /* the last is for shapes beyond */
};

static inline uint64_t context_shape(uint32_t type, uint32_t code, uint32_t nvals, uint32_t nblobs) {
    return (uint64_t)code << 32 | nblobs << 16 | nvals << 8 | type;
}

static inline void contexts_reset(struct contexts *c, uint64_t first_time_ns) {
    c->time_ns = first_time_ns;
    c->clock = 0;
    c->guest = 0;
    c->n = 0;
}

/* A context for a shape met for the first time; all predictions are zero. */
static inline struct context *contexts_add(struct contexts *c, uint64_t shape) {
    struct context *k = &c->context[c->n];
    memset(k, 0, sizeof *k);
    k->shape = shape;
    k->type = shape & 0xff;
    k->nvals = shape >> 8 & 0xff;
    k->nblobs = shape >> 16 & 0xff;
    k->code = (uint32_t)(shape >> 32);
    if (c->n < MAX_CONTEXTS)
        c->n++;
    return k;
}

#endif
