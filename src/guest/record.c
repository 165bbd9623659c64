/* record.c: the recording binding. */
#include "guest/internal.h"

enum status edge_append(struct edge *e, struct journal_record *r, uint64_t clock, bool new_time, struct err *err) {
    if (new_time) {
        uint64_t now = world_now(e->world, WORLD_MONOTONIC);
        if (UNLIKELY(!e->started_ns))
            e->started_ns = now; /* the run's time begins with its first record */
        e->last_time = now - e->started_ns;
    }
    if (clock > e->last_clock)
        e->last_clock = clock;
    r->guest = e->guest;
    r->time_ns = e->last_time;
    r->clock = e->last_clock;
    enum status s = e->sink.append(e->sink.ctx, r, err);
    e->position = r->number + 1;
    return s;
}

/* True when the guest should be parked here, before its call, so that a snapshot can be taken. */
static bool snapshot_wanted(struct edge *e) {
    if (!e->sink.wants_snapshot || e->snapshot_asked == e->position + 1 || !e->sink.wants_snapshot(e->sink.ctx))
        return false;
    e->snapshot_asked = e->position + 2; /* SNAPSHOT itself takes a number */
    e->snapshot_due = true;
    return true;
}

enum wasm_host edge_record(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct binding *b = env;
    struct edge *e = b->edge;
    struct journal_record *r = &e->out;
    struct passage p;
    uint64_t clock = wasm_clock(x);

    if (!e->pending)
        edge_slice(e);
    if (!e->pending && (UNLIKELY(edge_stopping(e)) || snapshot_wanted(e)))
        return WASM_HOST_PARK;
    if (!e->pending && UNLIKELY(e->sink.full && e->sink.full(e->sink.ctx))) {
        e->full = true;
        return WASM_HOST_PARK;
    }
    int64_t answer = marshal_open(b, &p, slots);
    if (!e->pending) {
        r->type = JOURNAL_CALL;
        r->code = b->call->code;
        r->nvals = b->nwasm;
        memcpy(r->vals, slots, b->nwasm * sizeof *slots);
        r->nblobs = 0;
        if (answer == 0 && b->has_inputs)
            marshal_inputs(b, &p, r);
        if (edge_append(e, r, clock, true, &e->err) != ST_OK)
            return edge_fail(e, x);
        e->pending = true;
    }
    if (LIKELY(answer == 0)) {
        answer = b->fn(b->ctx, p.args);
        if (UNLIKELY(answer < 0)) {
            e->pending = answer == ABI_PARK;
            return edge_leave(b, x, answer);
        }
    }
    e->pending = false;
    r->type = JOURNAL_RETURN;
    r->code = b->call->code;
    r->nvals = 1;
    r->nblobs = 0;
    if (answer == 0 && b->has_outputs && !marshal_outputs(b, &p, slots, r)) {
        answer = WASI_EFAULT;
        r->nvals = 1;
        r->nblobs = 0;
    }
    r->vals[0] = (uint64_t)answer;
    if (edge_append(e, r, clock, b->takes_time, &e->err) != ST_OK)
        return edge_fail(e, x);
    if (answer == 0 && b->has_values)
        must(marshal_close(b, &p, slots));
    slots[0] = (uint32_t)answer;
    return WASM_HOST_OK;
}
