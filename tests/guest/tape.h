/* tape.h: a journal in memory, for tests: what an edge recorded, to be replayed, and to be tampered with in between. */
#ifndef TESTS_GUEST_TAPE_H
#define TESTS_GUEST_TAPE_H

#include "guest/guest.h"

struct tape {
    struct journal_record *records; /* every blob one piece, owned */
    struct iovec (*pieces)[JOURNAL_MAX_BLOBS];
    uint32_t n, cap;
    uint32_t at;         /* next to be read */
    uint32_t full_after; /* append answers NO_SPACE from this number on; 0: never */
    bool wants_snapshot; /* asked for once */
    struct guest *ends;  /* is told to end when a snapshot is put */
};

void tape_deinit(struct tape *t);
struct edge_sink tape_sink(struct tape *t);
/* From record `from` on. */
struct edge_source tape_source(struct tape *t, uint32_t from);

/* An own copy, to be changed. */
void tape_copy(struct tape *to, const struct tape *from);
void tape_drop(struct tape *t, uint32_t i);   /* numbers close up */
void tape_repeat(struct tape *t, uint32_t i); /* numbers move up */

#endif
