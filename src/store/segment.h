/* segment.h: the bytes of a segment file beside its frames: the header in front, index and trailer behind.
 * Byte-exact description: docs/formats/store.md. */
#ifndef AEON_STORE_SEGMENT_H
#define AEON_STORE_SEGMENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

enum {
    SEGMENT_HEADER_FIXED = 112, /* what comes before the strings */
    SEGMENT_HEADER_MAX = 16 << 20,
    SEGMENT_ENTRY = 24,
    SEGMENT_INDEX_HEAD = 16,
    SEGMENT_TRAILER = 128,
    SEGMENT_NAME = 25, /* with NUL */

    SEGMENT_SNAPSHOT = 1, /* header: the first record is a snapshot, and what is older may be gone */
    SEGMENT_FINAL = 1,    /* trailer: the run was closed; nothing follows */
    SEGMENT_ENDED = 2,    /* trailer: the run has an outcome */
};

void segment_name(uint64_t first_record, char out[SEGMENT_NAME]);
bool segment_name_parse(const char *name, uint64_t *first_record);

struct segment_header {
    uint64_t first_record, first_time_ns;
    uint32_t flags;
    uint32_t size;
    struct store_info info;
};

/* False when the run's description does not fit into SEGMENT_HEADER_MAX. */
bool segment_header_write(struct buf *out, const struct segment_header *h);

/* Puts what differs from one segment of a run to the next into a header that was written. */
void segment_header_place(uint8_t *header, size_t size, uint64_t first_record, uint64_t first_time_ns, uint32_t flags);

/* The size a header claims from its first SEGMENT_HEADER_FIXED bytes, after magic and version are checked.
 * ST_VERSION, ST_CORRUPT. */
NODISCARD enum status segment_header_size(const uint8_t *fixed, uint32_t *size, struct err *e);

/* All of it; the strings are copied to `a`. */
NODISCARD enum status segment_header_parse(struct span bytes, struct arena *a, struct segment_header *out,
                                           struct err *e);

/* Where the blocks of a segment begin. */
struct segment_entry {
    uint64_t first_record, first_time_ns, offset;
};

struct segment_trailer {
    uint64_t index_offset;
    uint32_t nentries;
    uint32_t flags;
    uint64_t first_record, end_record; /* the first not in it */
    uint64_t first_time_ns, last_time_ns;
    uint64_t outcome_kind, outcome_value;
    uint64_t file_size;
    uint32_t index_crc;
};

/* Appends index and trailer; sizes and checksum of `t` are filled in, entries are SEGMENT_ENTRY bytes each as encoded.
 */
void segment_index_write(struct buf *out, const struct segment_entry *entries, struct segment_trailer *t);

/* ST_CORRUPT when these are not the last bytes of a closed segment of `file_size` bytes. */
NODISCARD enum status segment_trailer_parse(const uint8_t bytes[SEGMENT_TRAILER], uint64_t file_size,
                                            struct segment_trailer *out, struct err *e);

static inline uint64_t segment_index_size(const struct segment_trailer *t) {
    return SEGMENT_INDEX_HEAD + (uint64_t)t->nentries * SEGMENT_ENTRY;
}

/* Checks the index against its trailer and reads it; `out` has room for t->nentries. */
NODISCARD enum status segment_index_parse(struct span bytes, const struct segment_trailer *t, struct segment_entry *out,
                                          struct err *e);

bool segment_index_starts(struct span bytes);

#endif
