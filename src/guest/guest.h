/* guest.h: a running Wasm program: module, instance, execution and edge, under limits, from its first instruction to
 * its END record.
 *
 * A program is run by guest_run until it ends, or comes to a chosen tick.  The same code runs it live, recording and
 * replaying; what differs is the edge (edge.h). */
#ifndef AEON_GUEST_GUEST_H
#define AEON_GUEST_GUEST_H

#include "guest/edge.h"

/* How guest_run came back. The first group ends the guest; the numbers are the journal's (END vals[0], with the value
 * in vals[1]). */
enum guest_outcome {
    GUEST_EXITED = 1,       /* value: exit status; a _start that returns exits with 0 */
    GUEST_TRAPPED = 2,      /* value: enum wasm_trap_kind; guest_words has the back-trace */
    GUEST_OUT_OF_FUEL = 3,  /* value: the limit in ticks */
    GUEST_TIMED_OUT = 4,    /* value: the limit in ms */
    GUEST_INTERRUPTED = 5,  /* value: the signal's number */
    GUEST_JOURNAL_FULL = 6, /* value: the limit in bytes */

    GUEST_STOPPED = 16,    /* the clock stands at the tick asked for */
    GUEST_PARKED = 17,     /* an implementation answered ABI_PARK: wait for the world, then run again */
    GUEST_UNFINISHED = 18, /* replay: the journal ends here, after its last finished call */
    GUEST_FAILED = 19,     /* not the guest's doing: the journal could not be written, or replay differs; see the err */
};

const char *guest_outcome_text(enum guest_outcome o);

struct guest_limits {
    struct wasm_config wasm;
    uint64_t fuel_ticks; /* UINT64_MAX: none */
    /* What follows is not looked at in replay; 0: none. */
    uint64_t time_ms;         /* wall time; needs a world */
    uint64_t fuel_per_second; /* ticks; who is ahead waits */
    uint64_t journal_bytes;   /* the run's size on disk; kept to by the sink (edge_sink.full) */
    /* What whoever gives the guest its world keeps to. */
    uint64_t handles;   /* open descriptors */
    uint64_t bandwidth; /* bytes a second */
};

struct guest_limits guest_limits_default(void);

/* By name and value, as a run's header has them; and back: false for a name or value that cannot be. */
enum { GUEST_NLIMITS = 9 };
void guest_limits_list(const struct guest_limits *l, const char *names[GUEST_NLIMITS], uint64_t values[GUEST_NLIMITS]);
bool guest_limits_set(struct guest_limits *l, const char *name, uint64_t value);

struct guest;

/* Instantiates `module` (borrowed, as is all that `edge` names). Nothing of the guest runs yet.
 * ST_UNLINKABLE, ST_TRAPPED (segments out of bounds), ST_LIMIT, ST_UNSUPPORTED (exports neither _start nor
 * _initialize). */
NODISCARD enum status guest_new(const struct wasm_module *module, const struct guest_limits *limits,
                                const struct edge_options *edge, struct guest **out, struct err *e);
void guest_free(struct guest *g);

/* Goes on until the guest ends or its clock stands at `until_ticks` (UINT64_MAX: no such stop).  Runs the start
 * function, then _initialize and _start, whichever are exported.  When the guest ends, END is appended (record) or
 * compared (replay, where nothing may follow it); calling again is then a mistake.  `value` as said at the outcomes. */
enum guest_outcome guest_run(struct guest *g, uint64_t until_ticks, uint64_t *value, struct err *e);

/* Asks guest_run to end with TIMED_OUT or INTERRUPTED and this value. Any thread; async-signal-safe. An implementation
 * that waits must be woken by the caller (world_wake) and then answer ABI_PARK. */
void guest_stop(struct guest *g, enum guest_outcome why, uint64_t value);
/* True when guest_stop was called or the time is over: an implementation about to wait should answer ABI_PARK. */
bool guest_stopping(struct guest *g);
/* When the time will be over, on the world's monotonic clock; UINT64_MAX: never. The guest's time begins with the first
 * call of this or of guest_run. */
uint64_t guest_deadline(struct guest *g);

/* `fn` is called every millisecond or so while the guest computes, and before every 32nd of its calls: others may run
 * in it. */
void guest_set_slice(struct guest *g, void (*fn)(void *ctx), void *ctx);

/* How long fuel_per_second has held the guest up so far. */
uint64_t guest_held_ns(const struct guest *g);

/* Words about how it ended, several lines (a trap's text and back-trace), or "". Valid until guest_free. */
const char *guest_words(const struct guest *g);

uint64_t guest_clock(const struct guest *g);
/* Records written or replayed so far: the number of the next one. */
uint64_t guest_position(const struct guest *g);
struct wasm_store *guest_store(struct guest *g);
struct wasm_exec *guest_exec(struct guest *g);
struct wasm_instance *guest_instance(struct guest *g);

/* Appends a NOTE for the reader. Does nothing unless recording. */
NODISCARD enum status guest_note(struct guest *g, const char *text, struct err *e);

/* Writes the state of a guest that is not running (stopped, parked or not yet started): its phase, its position in the
 * journal, and the engine's canonical snapshot. */
NODISCARD enum status guest_snapshot_save(struct guest *g, struct buf *out, struct err *e);

/* Brings that state into a new guest of the same module, whose source must go on at the record that
 * guest_snapshot_position tells.  ST_CORRUPT, ST_MISMATCH, ST_VERSION. */
NODISCARD enum status guest_snapshot_load(struct guest *g, struct span bytes, struct err *e);
NODISCARD enum status guest_snapshot_position(struct span bytes, uint64_t *position, struct err *e);

#endif
