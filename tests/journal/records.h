/* records.h: random records that look like what guests do (repetitive calls, now and then something else), and the
 * comparison of two records. */
#ifndef AEON_TESTS_JOURNAL_RECORDS_H
#define AEON_TESTS_JOURNAL_RECORDS_H

#include "base/prng.h"
#include "journal/journal.h"

/* A random record; everything it points to is its own. `like` (may be NULL) is the record before, whose time and clock
 * it does not precede. */
struct record_gen {
    struct prng prng;
    uint32_t nguests, ncodes;
    uint32_t max_blob;
    uint64_t time_ns, clock[64];
    struct iovec pieces[JOURNAL_MAX_BLOBS][3];
    uint8_t *bytes;
    size_t cap;
};

void record_gen_init(struct record_gen *g, uint64_t seed, uint32_t nguests, uint32_t ncodes, uint32_t max_blob);
void record_gen_deinit(struct record_gen *g);

/* The next record; valid until the next call. */
void record_gen_next(struct record_gen *g, struct journal_record *out);

/* Equal in everything but number, with blobs as bytes whatever their pieces. */
bool record_equal(const struct journal_record *a, const struct journal_record *b);

#endif
