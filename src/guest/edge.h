/* edge.h: where a guest meets the world. One table of imports (abi/), three bindings of it:
 *
 *     live      guest --call--> edge --checked arguments--> implementation
 *     record    the same, and what went in and what came out goes to a journal
 *     replay    guest --call--> edge <--the answer-- journal; there is no implementation
 *
 * In a journal a call is a CALL record, written before the implementation runs (number of the import, raw Wasm
 * arguments, the bytes it reads from guest memory), and a RETURN record, written before the guest goes on (result,
 * values, the bytes written to guest memory).  A call that did not come back has no RETURN: END follows, or nothing.  A
 * pointer out of bounds is answered with `fault` by the edge itself, in all three bindings alike; such a CALL carries
 * no bytes.
 *
 * Replay is strict: whatever differs from the record (import, argument, byte read, instruction clock) is ST_MISMATCH,
 * and the text names the first differing record and both sides.  NOTE records are passed over. */
#ifndef AEON_GUEST_EDGE_H
#define AEON_GUEST_EDGE_H

#include "abi/abi.h"
#include "journal/journal.h"
#include "wasm/wasm.h"
#include "world/world.h"

/* Implementations of the rows of a table. */
struct edge_library {
    const struct abi_table *table;
    const abi_fn *fns; /* one per row */
    void *ctx;         /* handed to them */
};

/* Where records go (the members of a store_writer, or a test's own). `snapshot`, `wants_snapshot` and `full` may be
 * NULL. A guest whose sink is full is ended before its next call. */
struct edge_sink {
    enum status (*append)(void *ctx, struct journal_record *r, struct err *e);
    bool (*wants_snapshot)(void *ctx);
    enum status (*snapshot)(void *ctx, struct journal_record *r, struct err *e);
    bool (*full)(void *ctx);
    void *ctx;
};

/* Where they come from: ST_END when there are no more. */
struct edge_source {
    enum status (*next)(void *ctx, struct journal_record *out, struct err *e);
    void *ctx;
};

/* A run in a store as one and as the other. */
struct store_writer;
struct store_reader;
struct edge_sink edge_sink_to_store(struct store_writer *w);
struct edge_source edge_source_from_store(struct store_reader *r);

enum edge_mode { EDGE_LIVE, EDGE_RECORD, EDGE_REPLAY };

struct edge_options {
    enum edge_mode mode;
    uint32_t guest;                       /* its number in the journal */
    const struct edge_library *libraries; /* live, record; borrowed */
    uint32_t nlibraries;
    struct world *world; /* record: its monotonic clock */
    struct edge_sink sink;
    struct edge_source source;
    /* Replay: sees each record when the guest has come to it, before it takes effect; may be NULL. */
    void (*observe)(void *ctx, const struct journal_record *r);
    void *observe_ctx;
};

struct edge;

struct edge *edge_new(const struct edge_options *o);
void edge_free(struct edge *e);

/* One extern per import of `m`, functions of `s` bound to the edge, to be given to wasm_instance_new; `out` has room
 * for all. ST_UNLINKABLE names the first import that no library (replay: no table) has, or has with another type. */
NODISCARD enum status edge_link(struct edge *e, const struct wasm_module *m, struct wasm_store *s,
                                struct wasm_extern *out, struct err *err);

/* Tells the edge whose memory pointers mean, before anything runs. */
void edge_attach(struct edge *e, struct wasm_instance *i);

#endif
