/* internal.h: what the files of src/guest share. */
#ifndef AEON_GUEST_INTERNAL_H
#define AEON_GUEST_INTERNAL_H

#include "base/must.h"

#include "guest/edge.h"
#include "guest/guest.h"
#include <stdatomic.h>

enum {
    EDGE_STAGING = 256, /* bytes of all records of one call */
    EDGE_MAX_LIST = 64, /* elements of a list that are looked at */
};

/* An element of a guest's linked list, checked; pointers into guest memory. */
struct element {
    uint32_t at;
    uint32_t address; /* its struct wasi_sockaddr */
    uint32_t data, data_size;
    uint32_t name, name_size;
};

/* One parameter, ready to run. */
struct step {
    uint8_t shape; /* enum abi_shape */
    uint8_t way;   /* enum abi_way */
    uint8_t slot;  /* its first Wasm parameter */
    uint8_t count; /* arrays: the Wasm parameter with the number of elements */
    uint8_t bytes;
    bool after; /* something is put into guest memory after the implementation has come back */
};

/* One import of one module: what its host function is given as env. */
struct binding {
    struct edge *edge;
    const struct abi_call *call;
    abi_fn fn;
    void *ctx;
    uint8_t nsteps, nwasm;
    bool has_inputs;  /* bytes of guest memory go into CALL */
    bool has_values;  /* values, records or strings are put into guest memory after the call */
    bool has_outputs; /* anything is */
    bool takes_time;  /* RETURN has a time of its own: it may have waited for something to read */
    int8_t exit_slot; /* Wasm parameter that is the exit status, or -1 */
    struct step steps[ABI_MAX_PARAMS];
};

struct edge {
    enum edge_mode mode;
    uint32_t guest;
    const struct edge_library *libraries;
    uint32_t nlibraries;
    struct world *world;
    struct edge_sink sink;
    struct edge_source source;
    void (*observe)(void *ctx, const struct journal_record *r);
    void *observe_ctx;

    struct wasm_memory *memory;
    struct binding *bindings;
    uint32_t nbindings;

    uint64_t started_ns;            /* world's monotonic clock at the run's start */
    uint64_t last_time, last_clock; /* of the record before */
    uint64_t position;              /* number of the next record */
    uint64_t snapshot_asked;        /* position + 1 at which a snapshot was last asked for */
    bool pending;                   /* the CALL of the call under way is in the journal */
    bool snapshot_due;              /* the edge parked the guest so that a snapshot can be taken or compared */
    _Atomic uint64_t stop;          /* what guest_stop was told: outcome in the top byte, value below; 0: nothing */
    uint64_t deadline_ns;           /* on the world's monotonic clock; UINT64_MAX: none */
    void (*slice)(void *);          /* others may run in it; NULL: there are none */
    void *slice_ctx;
    uint32_t calls; /* since it was called */
    bool full;      /* the edge parked the guest because its sink is full */
    bool ended;     /* replay: there are no more records */
    bool failed;    /* err says why */
    struct err err;
    uint32_t exit_code;

    struct journal_record next; /* replay: the record looked at, valid when have_next */
    bool have_next;

    struct journal_record out; /* the record being written; one at a time */
    struct iovec whole[JOURNAL_MAX_BLOBS];
    struct iovec *iov, *cut; /* of the call under way: room for niovs each */
    uint32_t niovs;
    struct element list[EDGE_MAX_LIST]; /* of LIST_OUT, found when the call was opened */
    uint32_t nlist;
    uint8_t *scratch; /* for STRINGS and LIST_OUT, grown on demand */
    size_t scratch_cap;
};

/* One call on its way. */
struct passage {
    uint8_t *memory;
    uint64_t memory_size;
    union abi_arg args[ABI_MAX_PARAMS];
    _Alignas(16) uint8_t staging[EDGE_STAGING];
};

/* ---- marshal.c: between guest memory and argument slots ---------------------------------------------------------- */

void marshal_compile(struct binding *b);

/* Fills the argument slots. 0, or the errno the call is answered with: EFAULT for a pointer out of bounds, EINVAL for
 * more bytes than a record can hold. */
uint32_t marshal_open(struct binding *b, struct passage *p, const uint64_t *slots);

/* The bytes the call reads, as blobs of `r`. */
void marshal_inputs(struct binding *b, struct passage *p, struct journal_record *r);

/* After success: result values and written bytes as vals and blobs of `r`. False when strings do not fit where the
 * guest wants them. */
bool marshal_outputs(struct binding *b, struct passage *p, const uint64_t *slots, struct journal_record *r);

/* Puts values, records and strings into guest memory (everything else is there already). False as above, before
 * anything is written. */
bool marshal_close(struct binding *b, struct passage *p, const uint64_t *slots);

/* The same from a RETURN record of the journal, everything included. NULL, or what is wrong with the record. */
const char *marshal_replay(struct binding *b, struct passage *p, const uint64_t *slots, const struct journal_record *r);

/* ---- record.c, replay.c: bindings -------------------------------------------------------------------------------- */

enum wasm_host edge_live(void *env, struct wasm_exec *x, uint64_t *slots);
enum wasm_host edge_record(void *env, struct wasm_exec *x, uint64_t *slots);
enum wasm_host edge_replay(void *env, struct wasm_exec *x, uint64_t *slots);

/* A guest that does little but call is not stopped by its instructions before others have waited long: every so many
 * calls count as a slice. Here, before a call has begun, and not somewhere in its middle: what two guests have in
 * common on their network must not change while one of them is at it. */
enum { EDGE_CALLS_PER_SLICE = 32 };
static inline void edge_slice(struct edge *e) {
    if (UNLIKELY(++e->calls >= EDGE_CALLS_PER_SLICE)) {
        e->calls = 0;
        if (e->slice)
            e->slice(e->slice_ctx);
    }
}

/* Was the guest told to stop, or is its time over? Then it makes no further call. */
static inline bool edge_stopping(struct edge *e) {
    return atomic_load_explicit(&e->stop, memory_order_relaxed) != 0 ||
           (e->deadline_ns != UINT64_MAX && world_now(e->world, WORLD_MONOTONIC) >= e->deadline_ns);
}

/* Ends a call that did not return: ABI_PARK, ABI_TRAP, ABI_EXIT. */
enum wasm_host edge_leave(struct binding *b, struct wasm_exec *x, int64_t answer);
/* Remembers the first failure of our own and stops the guest. */
enum wasm_host edge_fail(struct edge *e, struct wasm_exec *x);

/* Appends a record of the guest's at `clock`; takes a new time when asked to. */
NODISCARD enum status edge_append(struct edge *e, struct journal_record *r, uint64_t clock, bool new_time,
                                  struct err *err);

/* The record the guest has come to, without NOTEs; NULL at the end (e->ended) or on failure (e->failed). */
const struct journal_record *edge_peek(struct edge *e);
/* Done with it. */
void edge_consume(struct edge *e);

#endif
