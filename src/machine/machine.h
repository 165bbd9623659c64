/* machine.h: the time machine's readers: what can be learnt from a run, from its journal and module alone.
 *
 * Nothing here touches the world: no clock, no file beside the store.  Output goes to callbacks. */
#ifndef AEON_MACHINE_MACHINE_H
#define AEON_MACHINE_MACHINE_H

#include "guest/guest.h"
#include "store/store.h"
#include "tier/tier.h"

enum machine_stream { MACHINE_STDOUT = 1, MACHINE_STDERR = 2 };

/* Bytes the guest wrote, in the order in which it wrote them. */
typedef void (*machine_output)(void *ctx, enum machine_stream s, struct span bytes);

/* ---- streams: what went to standard output and error, from records ----------------------------------------------- */

/* Follows descriptors from call to call (close, renumber, open) so that a write counts by what its descriptor is. */
struct machine_streams;
struct machine_streams *machine_streams_new(machine_output output, void *ctx);
void machine_streams_free(struct machine_streams *s);
void machine_streams_feed(struct machine_streams *s, const struct journal_record *r);
/* After the last record of a run that ended in the middle of a call: the bytes of a write that did not come back. */
void machine_streams_flush(struct machine_streams *s);

/* ---- logs -------------------------------------------------------------------------------------------------------- */

/* Reads on from where `r` stands to what is there now, ST_OK; call again to follow a live run. Once the run is not
 * running any more and all is read: ST_END. */
NODISCARD enum status machine_logs(struct store_reader *r, struct machine_streams *s, struct err *e);

/* ---- trace ------------------------------------------------------------------------------------------------------- */

struct machine_trace_options {
    bool json;      /* one object a line, everything in it */
    uint32_t width; /* bytes shown of a string; 0: all. Not with json */
    uint64_t from;  /* first record shown */
    uint64_t count; /* calls and other records shown at most; UINT64_MAX: all */
};

struct machine_trace;
/* Goes to record `from` of the run. Lines come without a newline. */
NODISCARD enum status machine_trace_new(struct store_reader *r, const struct machine_trace_options *o,
                                        struct machine_trace **out, struct err *e);
void machine_trace_free(struct machine_trace *t);
/* The next line; ST_END when there is none now (of a live run: later there may be). `line` is valid until the next
 * call. A call under way at the end of a run that is not running is shown without a result. */
NODISCARD enum status machine_trace_next(struct machine_trace *t, struct span *line, struct err *e);

/* ---- replay ------------------------------------------------------------------------------------------------------ */

struct machine_replay_options {
    machine_output output; /* may be NULL */
    void *output_ctx;
    uint64_t until_ticks; /* UINT64_MAX: to the end */
    struct span snapshot; /* go on from there (guest_snapshot_save); empty: from the run's start */
    struct tier *tier;    /* that nobody else uses meanwhile; NULL: interpreted */
};

struct machine_replay_result {
    enum guest_outcome outcome;
    uint64_t value;
    uint64_t records; /* position at the end: records replayed, from the run's first */
    uint64_t ticks;
    char words[4096]; /* back-trace of a trap */
};

/* Runs the module of a run again from its journal, comparing everything.
 * ST_OK: all agreed; outcome is one that ends a guest, GUEST_STOPPED at `until_ticks`, or GUEST_UNFINISHED.
 * ST_MISMATCH names the first differing record and both sides; ST_NOT_FOUND: the module is gone; ST_VERSION: recorded
 * by an engine of other semantics; ST_CORRUPT, ST_TRUNCATED: the journal is damaged. */
NODISCARD enum status machine_replay(struct store *s, struct store_reader *r, const struct machine_replay_options *o,
                                     struct machine_replay_result *out, struct err *e);

/* The same in steps, for those who want to look at the guest in between. machine_replay_run may be called again after
 * GUEST_STOPPED. */
struct machine_replay;
NODISCARD enum status machine_replay_new(struct store *s, struct store_reader *r,
                                         const struct machine_replay_options *o, struct machine_replay **out,
                                         struct err *e);
NODISCARD enum status machine_replay_run(struct machine_replay *m, uint64_t until_ticks,
                                         struct machine_replay_result *out, struct err *e);
struct guest *machine_replay_guest(struct machine_replay *m);
void machine_replay_free(struct machine_replay *m);

/* ---- verify ------------------------------------------------------------------------------------------------------ */

/* One step of a verification, in order: what was checked, whether it held, and what was found. */
typedef void (*machine_step)(void *ctx, const char *step, bool ok, const char *found);

/* Journal whole (every frame, checksum and record number), module present and right, replay agrees to the last record.
 * ST_OK: all steps held. Otherwise the first failing step's status. `tier`: as in struct machine_replay_options. */
NODISCARD enum status machine_verify(struct store *s, const struct store_id *id, struct tier *tier, machine_step step,
                                     void *ctx, struct err *e);

#endif
