/* store_ends.c: a run in a store as the sink or the source of an edge. */
#include "guest/edge.h"
#include "store/store.h"

static enum status append(void *ctx, struct journal_record *r, struct err *e) {
    return store_append(ctx, r, e);
}

static bool wants_snapshot(void *ctx) {
    return store_wants_snapshot(ctx);
}

static enum status snapshot(void *ctx, struct journal_record *r, struct err *e) {
    return store_snapshot(ctx, r, e);
}

static enum status next(void *ctx, struct journal_record *out, struct err *e) {
    return store_reader_next(ctx, out, e);
}

struct edge_sink edge_sink_to_store(struct store_writer *w) {
    return (struct edge_sink){append, wants_snapshot, snapshot, NULL, w};
}

struct edge_source edge_source_from_store(struct store_reader *r) {
    return (struct edge_source){next, r};
}
