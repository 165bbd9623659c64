/* store.h: runs and objects on disk.
 *
 * $AEON_HOME/objects/ holds modules by content hash; $AEON_HOME/runs/<uuidv7>/ one directory a run: segments named by
 * their first record, and `tail`, a file mapped shared that holds what is not yet compressed, so that `kill -9` loses
 * no appended record.  A run is readable at every moment, from any process.  Byte-exact description: docs/formats/. */
#ifndef AEON_STORE_STORE_H
#define AEON_STORE_STORE_H

#include "base/sha256.h"
#include "journal/journal.h"
#include "world/world.h"

struct store;
struct store_writer;
struct store_reader;

/* Opens (makes, 0700) the store at `path`; `w` is borrowed. */
NODISCARD enum status store_open(struct world *w, const char *path, struct store **out, struct err *e);
void store_close(struct store *s);

/* ---- objects ---- */

/* Stores `data` under its hash unless it is there already; atomic (a half-written object is never visible). */
NODISCARD enum status store_put(struct store *s, struct span data, struct sha256 *hash, struct err *e);
/* Maps an object read-only and checks its hash. Unmap with store_unmap. ST_NOT_FOUND, ST_CORRUPT. */
NODISCARD enum status store_get(struct store *s, const struct sha256 *hash, struct span *out, struct err *e);
void store_unmap(struct store *s, struct span data);

/* ---- runs ---- */

struct store_id {
    uint8_t bytes[16]; /* UUIDv7 */
};
enum { STORE_ID_TEXT = 37, STORE_ID_SHORT = 9 };
void store_id_text(const struct store_id *id, char out[STORE_ID_TEXT]);
void store_id_short(const struct store_id *id, char out[STORE_ID_SHORT]); /* the last 8 digits */

/* What ties a run together; stored in every segment's header. Strings NUL-terminated, arrays counted; the writer
 * copies, a reader owns what it returns. */
struct store_info {
    struct store_id id;      /* given by store_run_new */
    uint64_t started_ns;     /* real time; given by store_run_new */
    struct sha256 module;    /* object */
    const char *module_name; /* as the user named it */
    const char *aeon_version;
    uint32_t semantics_version; /* engine: WASM_SEMANTICS_VERSION */
    uint32_t nargs, nenv, ngrants, nlimits;
    const char *const *args;   /* guest argv, argv[0] included */
    const char *const *env;    /* K=V */
    const char *const *grants; /* as given on the command line: "dir HOST:GUEST:rw" */
    const char *const *limit_names;
    const uint64_t *limit_values;
};

enum store_sync { STORE_SYNC_NONE, STORE_SYNC_INTERVAL, STORE_SYNC_EACH };

struct store_options {
    enum store_sync sync;
    uint64_t segment_bytes; /* a new segment after so many compressed bytes; 0: default */
    uint64_t keep_bytes;    /* retention of a run that never ends; 0: everything */
    uint64_t keep_ns;
    uint64_t max_bytes; /* what the run may take on disk; 0: any */
    uint64_t flush_ns;  /* a record later than its block's first by so much begins a new block; 0: default (1 s) */
};

NODISCARD enum status store_run_new(struct store *s, struct store_info *info, const struct store_options *o,
                                    struct store_writer **out, struct err *e);

/* Appends one record and gives it its number (r->number). When it returns ST_OK the record survives `kill -9` of this
 * process (and a power cut with STORE_SYNC_EACH; with STORE_SYNC_INTERVAL a second later, and the run itself a second
 * after it began).  Blocks only when the worker is a whole tail behind.  Errors of the worker (disk full) are reported
 * here, at the next append, and stick.  ST_LIMIT: the record would take the run past max_bytes; it was not appended,
 * and nothing sticks.  An END of up to 8 KiB still fits, whatever was refused before. */
NODISCARD enum status store_append(struct store_writer *w, struct journal_record *r, struct err *e);

/* What the run takes on disk now: its segments, and the records that wait to be compressed, as they are. */
uint64_t store_run_bytes(const struct store_writer *w);

/* True when retention is asked for and the current segment is full: the caller may then start a new one that opens with
 * the guest's canonical state, and older segments beyond the bounds are dropped. */
bool store_wants_snapshot(const struct store_writer *w);
NODISCARD enum status store_snapshot(struct store_writer *w, struct journal_record *snapshot, struct err *e);

/* Writes what is left, the index, and removes the tail. `w` is gone in any case; without an END record the run lists as
 * unfinished. */
NODISCARD enum status store_run_close(struct store_writer *w, struct err *e);

/* One line of a listing. */
enum store_state { STORE_RUNNING, STORE_FINISHED, STORE_UNFINISHED, STORE_DAMAGED };
struct store_run {
    struct store_id id;
    enum store_state state;
    uint64_t started_ns, duration_ns, records, size_bytes;
    struct sha256 module;
    char module_name[256];
    uint64_t outcome_kind, outcome_value; /* END's vals; state FINISHED only */
    char problem[256];                    /* DAMAGED: what and where */
};
/* Oldest first. */
NODISCARD enum status store_list(struct store *s, bool (*each)(void *, const struct store_run *), void *arg,
                                 struct err *e);
/* Any unique prefix or suffix of the id's text (dashes optional), a leading "…" or "..." ignored; "last" is the newest.
 * ST_NOT_FOUND, ST_AMBIGUOUS (the text lists candidates). */
NODISCARD enum status store_find(struct store *s, const char *what, struct store_id *out, struct err *e);
NODISCARD enum status store_remove(struct store *s, const struct store_id *id, struct err *e); /* ST_BUSY: running */

/* ---- reading ---- */

NODISCARD enum status store_reader_open(struct store *s, const struct store_id *id, struct store_reader **out,
                                        struct err *e);
void store_reader_close(struct store_reader *r);
const struct store_info *store_reader_info(const struct store_reader *r);
enum store_state store_reader_state(struct store_reader *r); /* looked at anew */

struct store_segment {
    uint64_t first_record, records, size_bytes;
    bool has_snapshot, complete; /* complete: closed by its index */
};
uint32_t store_reader_nsegments(const struct store_reader *r);
struct store_segment store_reader_segment(const struct store_reader *r, uint32_t i);

/* The number of the first record that is kept. */
uint64_t store_reader_first(const struct store_reader *r);

/* Goes to record `number` (O(log n)); ST_NOT_FOUND when it is not kept or not there yet. */
NODISCARD enum status store_reader_seek(struct store_reader *r, uint64_t number, struct err *e);

/* The next record; its pointers are valid until the next call. ST_END: nothing more now (of a live run: later there may
 * be; call again).  ST_CORRUPT, ST_TRUNCATED name the segment, offset and record. */
NODISCARD enum status store_reader_next(struct store_reader *r, struct journal_record *out, struct err *e);

/* What was cut from a torn tail when the run was opened: words for the user, or NULL. */
const char *store_reader_torn(const struct store_reader *r);

#endif
