/* reader.h: a run being read, finished or not, while its writer may be at work in another process.
 *
 * A record is looked for in the segments that are known, then in the tail, then in the segments as they are now: a
 * block leaves the tail only when its frame is in a segment.  What was read from the tail is believed when the block's
 * header is still the same afterwards and the checksum matches. */
#ifndef AEON_STORE_READER_H
#define AEON_STORE_READER_H

#include "base/buf.h"
#include "store/internal.h"
#include "store/segment.h"
#include "store/tail.h"

struct reader_segment {
    char name[SEGMENT_NAME];
    bool readable; /* the header is good */
    uint64_t first_record;
    uint32_t flags, header_size;
    uint64_t file_size; /* when last looked at */

    bool complete; /* has a good trailer */
    struct segment_trailer trailer;
    bool bad_index; /* it had, but its index is damaged */
    bool indexed;   /* `entries` come from the index, else from looking at one frame after the other */

    struct segment_entry *entries;
    uint32_t nentries, cap;
    uint64_t scanned; /* where the next block is to begin */
    uint64_t end_record, end_time_ns;

    struct err problem; /* what is wrong, and all of it that is behind `end_record` */
    bool cut;           /* the file ends within a frame or index: a problem unless the run died writing it */
};

enum reader_source { SOURCE_NONE, SOURCE_SEGMENT, SOURCE_TAIL };

/* Page 0 of the tail as it was at one moment. */
struct tail_view {
    struct tail_block block[TAIL_NBLOCKS];
    enum tail_state kind[TAIL_NBLOCKS];
    uint32_t seq[TAIL_NBLOCKS];
    uint64_t frontier; /* every record before this was appended */
    uint64_t frontier_time_ns;
};

struct store_reader {
    struct store *store;
    struct store_id id;
    char text[STORE_ID_TEXT];
    int dir;
    int tail;           /* -1: there was none */
    struct arena arena; /* info */
    struct store_info info;

    struct reader_segment *segments;
    uint32_t nsegments;
    int fd; /* of the segment used last, by name */
    char fd_name[SEGMENT_NAME];

    /* the block being read */
    enum reader_source source;
    struct buf block;
    size_t pos;
    uint64_t block_end;    /* SEGMENT: the first record not in it */
    uint64_t block_offset; /* SEGMENT: in the file `block_name` */
    char block_name[SEGMENT_NAME];
    char passing[SEGMENT_NAME]; /* the segment that records come from: to be whole when they go on in the next */
    uint64_t block_state;       /* TAIL: its state word, */
    uint32_t block_crc;         /* and running checksum */
    uint64_t next;              /* the record store_reader_next gives */
    struct journal_decoder *decoder;
    struct journal_unpacker *unpacker;
    struct buf stored; /* of one frame, as in the file */

    bool listing; /* what lies beyond the records does not matter */
    bool checked; /* the writer was found dead, and what it left was looked at: */
    struct err tail_problem;
    struct buf torn;
};

/* An error with the file's path in front. */
enum status store_reader_fail(const struct store_reader *r, struct err *e, enum status st, const char *file,
                              const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void reader_note_torn(struct store_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Decodes on in the block at hand until record `n` is next. ST_END when the block ends before. */
NODISCARD enum status reader_skip_to(struct store_reader *r, uint64_t n, struct err *e);

/* store_reader_open; `listing` for a look that reads no more than it must. */
NODISCARD enum status reader_open(struct store *s, const struct store_id *id, bool listing, struct store_reader **out,
                                  struct err *e);

/* A line of the listing; `out` is zeroed. */
void reader_summary(struct store_reader *r, struct store_run *out);

/* ---- reader_segment.c ---- */

/* Looks at the directory and at what has grown. Problems of a segment are noted in it. */
NODISCARD enum status reader_refresh(struct store_reader *r, struct err *e);
void reader_segments_free(struct store_reader *r);

/* The last segment that begins at or before `n`; NULL: none does. */
struct reader_segment *reader_segment_at(struct store_reader *r, uint64_t n);

/* Reads the index of a complete segment, instead of what was found without it. */
NODISCARD enum status reader_segment_index(struct store_reader *r, struct reader_segment *s, struct err *e);

/* Loads the block that holds `n`, which the segment is known to have, and goes to it. */
NODISCARD enum status reader_segment_load(struct store_reader *r, struct reader_segment *s, uint64_t n, struct err *e);

/* ---- reader_tail.c ---- */

/* ST_BUSY: changing just now, look again. */
NODISCARD enum status reader_tail_look(struct store_reader *r, struct tail_view *v, struct err *e);

/* Goes to `n` in the tail. ST_END: it is not there; ST_BUSY: it went elsewhere, look again; ST_CORRUPT. */
NODISCARD enum status reader_tail_load(struct store_reader *r, const struct tail_view *v, uint64_t n, struct err *e);

/* Looks at every byte of a dead writer's tail; fills tail_problem and torn. */
void reader_tail_check(struct store_reader *r);

#endif
