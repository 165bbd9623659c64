/* replay.c: the replaying binding. Everything the guest does is compared with the journal, everything it is told comes
 * from there. */
#include "guest/internal.h"
#include "guest/show.h"

#include <stdio.h>

/* ---- reading ahead by one record --------------------------------------------------------------------------------- */

const struct journal_record *edge_peek(struct edge *e) {
    while (!e->have_next) {
        if (e->ended || e->failed)
            return NULL;
        enum status s = e->source.next(e->source.ctx, &e->next, &e->err);
        if (s == ST_END) {
            e->ended = true;
            return NULL;
        }
        if (s != ST_OK) {
            e->failed = true;
            return NULL;
        }
        if (e->next.number != e->position || e->next.guest != e->guest) {
            err_set(&e->err, ST_CORRUPT,
                    "the journal has record %llu of guest %u where record %llu of guest %u should be",
                    (unsigned long long)e->next.number, e->next.guest, (unsigned long long)e->position, e->guest);
            e->failed = true;
            return NULL;
        }
        e->have_next = true;
        if (e->next.type == JOURNAL_NOTE)
            edge_consume(e);
    }
    return &e->next;
}

void edge_consume(struct edge *e) {
    must(e->have_next);
    if (e->observe)
        e->observe(e->observe_ctx, &e->next);
    e->have_next = false;
    e->position = e->next.number + 1;
    e->last_time = e->next.time_ns;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool same_blob(const struct journal_blob *whole, const struct journal_blob *pieces) {
    if (whole->size != pieces->size)
        return false;
    const uint8_t *at = whole->size ? whole->pieces[0].iov_base : NULL;
    for (uint32_t i = 0; i < pieces->npieces; i++) {
        const struct iovec *v = &pieces->pieces[i];
        if (v->iov_len && memcmp(at, v->iov_base, v->iov_len) != 0)
            return false;
        at += v->iov_len;
    }
    return true;
}

static bool same_call(const struct journal_record *a, const struct journal_record *b) {
    if (a->type != b->type || a->code != b->code || a->clock != b->clock || a->nvals != b->nvals ||
        a->nblobs != b->nblobs || memcmp(a->vals, b->vals, a->nvals * sizeof a->vals[0]) != 0)
        return false;
    for (uint32_t i = 0; i < a->nblobs; i++)
        if (!same_blob(&a->blobs[i], &b->blobs[i]))
            return false;
    return true;
}

/* Where two byte strings part; their size when they do not. */
static uint64_t first_difference(const struct journal_record *a, const struct journal_record *b, uint32_t *blob) {
    for (*blob = 0; *blob < a->nblobs && *blob < b->nblobs; ++*blob) {
        const struct journal_blob *x = &a->blobs[*blob], *y = &b->blobs[*blob];
        if (same_blob(x, y))
            continue;
        uint64_t at = 0;
        const uint8_t *p = x->size ? x->pieces[0].iov_base : NULL;
        for (uint32_t i = 0; i < y->npieces; i++)
            for (size_t j = 0; j < y->pieces[i].iov_len; j++, at++)
                if (at >= x->size || p[at] != ((const uint8_t *)y->pieces[i].iov_base)[j])
                    return at;
        return at;
    }
    return UINT64_MAX;
}

/* Both sides in words. The first difference in bytes is named by its offset: it may lie beyond what is shown. */
static enum wasm_host differs(struct edge *e, struct wasm_exec *x, const struct journal_record *there,
                              const struct journal_record *here) {
    struct buf a, b;
    uint32_t blob = 0;
    buf_init(&a, 220);
    buf_init(&b, 220);
    guest_show_record(&(struct abi_text){&a, false, 24}, there);
    guest_show_record(&(struct abi_text){&b, false, 24}, here);
    uint64_t at = there->type == here->type && there->code == here->code && there->nvals == here->nvals &&
                          memcmp(there->vals, here->vals, here->nvals * sizeof here->vals[0]) == 0
                      ? first_difference(there, here, &blob)
                      : UINT64_MAX;
    char where[64] = "";
    if (at != UINT64_MAX)
        snprintf(where, sizeof where, " (from byte %llu on)", (unsigned long long)at);
    err_set(&e->err, ST_MISMATCH,
            "replay differs at record %llu%s: the journal has %s at tick %llu, the guest made %s at tick %llu",
            (unsigned long long)there->number, where, buf_cstr(&a), (unsigned long long)there->clock, buf_cstr(&b),
            (unsigned long long)here->clock);
    buf_deinit(&a);
    buf_deinit(&b);
    return edge_fail(e, x);
}

/* ---- the binding ------------------------------------------------------------------------------------------------- */

/* Nothing came back from the call in the journal: how the guest ended there. */
static enum wasm_host replay_end(struct binding *b, struct wasm_exec *x, const struct journal_record *end,
                                 const uint64_t *slots) {
    uint64_t kind = end->nvals > 0 ? end->vals[0] : 0, value = end->nvals > 1 ? end->vals[1] : 0;
    if (kind == GUEST_EXITED)
        return edge_leave(b, x, ABI_EXIT(b->exit_slot >= 0 ? slots[b->exit_slot] : value));
    if (kind == GUEST_TRAPPED)
        return edge_leave(b, x, ABI_TRAP);
    return WASM_HOST_PARK; /* stopped from outside while it waited */
}

static enum wasm_host replay_return(struct binding *b, struct passage *p, uint32_t refused, struct wasm_exec *x,
                                    uint64_t *slots) {
    struct edge *e = b->edge;
    const struct journal_record *r = &e->next;
    uint64_t clock = e->last_clock;
    const char *wrong = NULL;
    if (r->type != JOURNAL_RETURN || r->code != b->call->code)
        wrong = "another record than this call's RETURN";
    else if (r->clock != clock)
        wrong = "another instruction clock than its CALL";
    else if (r->nvals < 1 || r->vals[0] > UINT32_MAX || b->call->result == ABI_RESULT_NORETURN)
        wrong = "no result this import can have";
    else if (refused && r->vals[0] != refused)
        wrong = "another result, where the guest's pointers are out of bounds";
    else if (r->vals[0] == 0)
        wrong = marshal_replay(b, p, slots, r);
    else if (r->nvals != 1 || r->nblobs != 0)
        wrong = "results beside an error";
    if (wrong) {
        struct buf a;
        buf_init(&a, 300);
        guest_show_record(&(struct abi_text){&a, false, 24}, r);
        err_set(&e->err, ST_MISMATCH, "replay differs at record %llu: for the guest's %s the journal has %s: %s",
                (unsigned long long)r->number, b->call->name, buf_cstr(&a), wrong);
        buf_deinit(&a);
        return edge_fail(e, x);
    }
    e->pending = false;
    slots[0] = r->vals[0];
    edge_consume(e);
    return WASM_HOST_OK;
}

enum wasm_host edge_replay(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct binding *b = env;
    struct edge *e = b->edge;
    struct passage p;
    uint32_t refused = marshal_open(b, &p, slots);
    const struct journal_record *there;

    if (!e->pending) {
        struct journal_record *here = &e->out;
        there = edge_peek(e);
        if (!there)
            return e->failed ? edge_fail(e, x) : WASM_HOST_PARK;
        if (there->type == JOURNAL_SNAPSHOT) {
            e->snapshot_due = true;
            return WASM_HOST_PARK;
        }
        here->type = JOURNAL_CALL;
        here->code = b->call->code;
        here->clock = wasm_clock(x);
        here->number = e->position;
        here->nvals = b->nwasm;
        memcpy(here->vals, slots, b->nwasm * sizeof *slots);
        here->nblobs = 0;
        if (!refused && b->has_inputs)
            marshal_inputs(b, &p, here);
        if (!same_call(there, here))
            return differs(e, x, there, here);
        e->last_clock = here->clock;
        edge_consume(e);
        e->pending = true;
    }
    there = edge_peek(e);
    if (!there)
        return e->failed ? edge_fail(e, x) : WASM_HOST_PARK;
    if (there->type == JOURNAL_END)
        return replay_end(b, x, there, slots);
    return replay_return(b, &p, refused, x, slots);
}
