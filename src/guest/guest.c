#include "guest/guest.h"

#include "guest/guest_impl.h"
#include "guest/show.h"

enum {
    BACKTRACE_FRAMES = 32,
    WORDS_MAX = 1 << 16,
    STOP_SHIFT = 56,
};

const char *guest_outcome_text(enum guest_outcome o) {
    switch (o) {
    case GUEST_EXITED: return "exited";
    case GUEST_TRAPPED: return "trapped";
    case GUEST_OUT_OF_FUEL: return "out of fuel";
    case GUEST_TIMED_OUT: return "out of time";
    case GUEST_INTERRUPTED: return "interrupted";
    case GUEST_JOURNAL_FULL: return "journal full";
    case GUEST_STOPPED: return "stopped";
    case GUEST_PARKED: return "parked";
    case GUEST_UNFINISHED: return "unfinished";
    case GUEST_FAILED: return "failed";
    }
    return "?";
}

/* ---- while it computes ------------------------------------------------------------------------------------------- */

/* Who has used `ticks` must be running since ticks/fuel_per_second. */
static void hold_up(struct guest *g, uint64_t ticks) {
    struct world *w = g->edge->world;
    uint64_t due = g->begun_ns + (uint64_t)((double)ticks * 1e9 / (double)g->fuel_per_second);
    uint64_t from = world_now(w, WORLD_MONOTONIC), now = from;
    while (now < due && !guest_stopping(g)) {
        uint64_t until = due < g->edge->deadline_ns ? due : g->edge->deadline_ns;
        w->ops->wait(w, NULL, 0, until);
        now = world_now(w, WORLD_MONOTONIC);
    }
    g->held_ns += now - from;
}

static void slice(void *ctx, uint64_t ticks) {
    struct guest *g = ctx;
    if (g->edge->mode == EDGE_REPLAY)
        return;
    if (g->fuel_per_second)
        hold_up(g, ticks);
    g->edge->calls = 0;
    if (g->edge->slice)
        g->edge->slice(g->edge->slice_ctx);
    guest_stopping(g);
}

void guest_set_slice(struct guest *g, void (*fn)(void *), void *ctx) {
    g->edge->slice = fn;
    g->edge->slice_ctx = ctx;
}

uint64_t guest_held_ns(const struct guest *g) {
    return g->held_ns;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static enum status add_phase(struct guest *g, const char *export, struct err *e) {
    struct wasm_extern x;
    if (!wasm_instance_export(g->instance, export, &x) || x.kind != WASM_KIND_FUNC)
        return ST_OK;
    const struct wasm_functype *t = wasm_func_type(x.func);
    if (t->nparams != 0 || t->nresults != 0)
        return err_set(e, ST_UNSUPPORTED, "the module's %s takes parameters or has results; it must have neither",
                       export);
    g->phases[g->nphases++] = x.func;
    return ST_OK;
}

static enum status find_phases(struct guest *g, struct err *e) {
    struct wasm_func *start = wasm_instance_start(g->instance);
    if (start)
        g->phases[g->nphases++] = start;
    uint32_t before = g->nphases;
    enum status s = add_phase(g, "_initialize", e);
    if (!s)
        s = add_phase(g, "_start", e);
    if (!s && g->nphases == before)
        s = err_set(e, ST_UNSUPPORTED,
                    "the module exports neither _start nor _initialize: it is a library, not a program to run");
    return s;
}

enum status guest_new(const struct wasm_module *module, const struct guest_limits *limits,
                      const struct edge_options *edge, struct guest **out, struct err *e) {
    struct guest *g = mem_zalloc(sizeof *g);
    uint32_t nimports = wasm_module_nimports(module);
    struct wasm_extern *imports = mem_zalloc((nimports + 1) * sizeof *imports);
    g->module = module;
    g->fuel_ticks = limits->fuel_ticks;
    g->time_ms = limits->time_ms;
    g->fuel_per_second = limits->fuel_per_second;
    g->journal_bytes = limits->journal_bytes;
    buf_init(&g->words, WORDS_MAX);
    g->store = wasm_store_new(&limits->wasm);
    g->edge = edge_new(edge);
    enum status s = edge_link(g->edge, module, g->store, imports, e);
    if (!s)
        s = wasm_instance_new(g->store, module, imports, nimports, &g->instance, e);
    if (!s)
        s = find_phases(g, e);
    mem_free(imports);
    if (s) {
        guest_free(g);
        return s;
    }
    edge_attach(g->edge, g->instance);
    g->exec = wasm_exec_new(g->store);
    wasm_set_slice(g->exec, slice, g);
    *out = g;
    return ST_OK;
}

void guest_free(struct guest *g) {
    if (!g)
        return;
    if (g->exec)
        wasm_exec_free(g->exec);
    wasm_store_free(g->store);
    edge_free(g->edge);
    buf_deinit(&g->words);
    mem_free(g);
}

/* ---- stopping from outside --------------------------------------------------------------------------------------- */

void guest_stop(struct guest *g, enum guest_outcome why, uint64_t value) {
    uint64_t none = 0;
    atomic_compare_exchange_strong(&g->edge->stop, &none, (uint64_t)why << STOP_SHIFT | value);
    wasm_interrupt(g->exec);
}

bool guest_stopping(struct guest *g) {
    if (g->edge->deadline_ns != UINT64_MAX && world_now(g->edge->world, WORLD_MONOTONIC) >= g->edge->deadline_ns)
        guest_stop(g, GUEST_TIMED_OUT, g->time_ms);
    return atomic_load_explicit(&g->edge->stop, memory_order_relaxed) != 0;
}

/* The run's time begins when the guest does. */
static void begin(struct guest *g) {
    struct world *w = g->edge->world;
    if (g->begun || !w)
        return;
    g->begun = true;
    g->begun_ns = world_now(w, WORLD_MONOTONIC);
    if (!g->edge->started_ns)
        g->edge->started_ns = g->begun_ns; /* unless a NOTE came before */
    if (g->time_ms != 0 && g->edge->mode != EDGE_REPLAY)
        g->edge->deadline_ns = g->begun_ns + g->time_ms * 1000000;
}

uint64_t guest_deadline(struct guest *g) {
    begin(g);
    return g->edge->deadline_ns;
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

/* A trap's text and back-trace. */
static void put_backtrace(struct guest *g) {
    struct wasm_frame frames[BACKTRACE_FRAMES];
    uint32_t n = wasm_backtrace(g->exec, frames, BACKTRACE_FRAMES);
    buf_print(&g->words, "%s", wasm_exec_trap_text(g->exec));
    for (uint32_t i = 0; i < n && i < BACKTRACE_FRAMES; i++) {
        struct span name;
        if (!frames[i].instance)
            buf_print(&g->words, "\n  in %s (host)", frames[i].label ? frames[i].label : "a host function");
        else if (wasm_module_func_name(g->module, frames[i].func, &name))
            buf_print(&g->words, "\n  in %.*s (function %u, offset 0x%x)", (int)name.size, (const char *)name.data,
                      frames[i].func, frames[i].offset);
        else
            buf_print(&g->words, "\n  in function %u (offset 0x%x)", frames[i].func, frames[i].offset);
    }
    if (n > BACKTRACE_FRAMES)
        buf_print(&g->words, "\n  and %u more", n - BACKTRACE_FRAMES);
}

/* Our own failure. The edge keeps the first cause. */
static enum guest_outcome fail(struct guest *g, struct err *e) {
    g->over = true;
    err_set(e, g->edge->err.status, "%s", g->edge->err.text);
    return GUEST_FAILED;
}

static enum guest_outcome append_end(struct guest *g, enum guest_outcome kind, uint64_t value, struct err *e) {
    struct iovec words = {g->words.data, g->words.size};
    struct journal_record r = {
        .type = JOURNAL_END,
        .nvals = 2,
        .vals = {kind, value},
        .nblobs = 1,
        .blobs = {{&words, words.iov_len ? 1 : 0, words.iov_len}},
    };
    if (edge_append(g->edge, &r, wasm_clock(g->exec), true, &g->edge->err) != ST_OK)
        return fail(g, e);
    return kind;
}

/* The other side of a mismatch at the guest's end. */
static void put_end(struct buf *b, enum guest_outcome kind, uint64_t value, uint64_t clock) {
    buf_print(b, "%s with %llu at tick %llu", guest_outcome_text(kind), (unsigned long long)value,
              (unsigned long long)clock);
}

/* The journal must have exactly this END next, and then nothing. */
static enum guest_outcome compare_end(struct guest *g, enum guest_outcome kind, uint64_t value, struct err *e) {
    struct edge *edge = g->edge;
    uint64_t clock = wasm_clock(g->exec);
    if (clock < edge->last_clock)
        clock = edge->last_clock;
    const struct journal_record *r = edge_peek(edge);
    if (!r)
        return edge->failed ? fail(g, e) : GUEST_UNFINISHED;
    if (r->type != JOURNAL_END || r->nvals != 2 || r->vals[0] != kind || r->vals[1] != value || r->clock != clock) {
        struct buf there, here;
        buf_init(&there, 240);
        buf_init(&here, 160);
        guest_show_record(&(struct abi_text){&there, false, 24}, r);
        put_end(&here, kind, value, clock);
        err_set(&edge->err, ST_MISMATCH, "replay differs at record %llu: the journal has %s at tick %llu, the guest %s",
                (unsigned long long)r->number, buf_cstr(&there), (unsigned long long)r->clock, buf_cstr(&here));
        buf_deinit(&there);
        buf_deinit(&here);
        return fail(g, e);
    }
    edge_consume(edge);
    r = edge_peek(edge);
    if (r) {
        err_set(&edge->err, ST_MISMATCH, "record %llu is left over: the guest has ended before it (%s)",
                (unsigned long long)r->number, guest_outcome_text(kind));
        return fail(g, e);
    }
    return edge->failed ? fail(g, e) : kind;
}

static enum guest_outcome finish(struct guest *g, enum guest_outcome kind, uint64_t value, uint64_t *value_out,
                                 struct err *e) {
    g->over = true;
    if (kind == GUEST_TRAPPED)
        put_backtrace(g);
    *value_out = value;
    if (g->edge->mode == EDGE_RECORD)
        return append_end(g, kind, value, e);
    if (g->edge->mode == EDGE_REPLAY)
        return compare_end(g, kind, value, e);
    return kind;
}

static enum guest_outcome finish_stopped(struct guest *g, uint64_t *value, struct err *e) {
    uint64_t stop = atomic_load(&g->edge->stop);
    return finish(g, (enum guest_outcome)(stop >> STOP_SHIFT), stop & (((uint64_t)1 << STOP_SHIFT) - 1), value, e);
}

/* ---- snapshots for the journal ----------------------------------------------------------------------------------- */

/* The edge parked the guest in front of a call: write SNAPSHOT (record), or compare it (replay). */
static enum status serve_snapshot(struct guest *g) {
    struct edge *edge = g->edge;
    struct buf state;
    enum status s;
    edge->snapshot_due = false;
    buf_init(&state, JOURNAL_RECORD_MAX);
    s = guest_snapshot_save(g, &state, &edge->err);
    if (s == ST_LIMIT && edge->mode == EDGE_RECORD) {
        /* larger than a record can be: the run goes on, whole, and is not asked again */
        edge->sink.wants_snapshot = NULL;
        err_clear(&edge->err);
        s = guest_note(g, "the guest's state is too large for a snapshot: nothing of this run is dropped", &edge->err);
    } else if (!s && edge->mode == EDGE_RECORD) {
        struct iovec piece = {state.data, state.size};
        struct journal_record r = {
            .type = JOURNAL_SNAPSHOT,
            .guest = edge->guest,
            .time_ns = edge->last_time,
            .clock = edge->last_clock,
            .nblobs = 1,
            .blobs = {{&piece, 1, state.size}},
        };
        s = edge->sink.snapshot(edge->sink.ctx, &r, &edge->err);
        edge->position = r.number + 1;
    } else if (!s) {
        const struct journal_record *r = edge_peek(edge);
        if (r->nblobs != 1 || !span_equal(buf_span(&state), SPAN(r->blobs[0].pieces[0].iov_base, r->blobs[0].size)))
            s = err_set(&edge->err, ST_MISMATCH,
                        "replay differs at record %llu: the journal's snapshot is another state than the guest's",
                        (unsigned long long)r->number);
        else
            edge_consume(edge);
    }
    buf_deinit(&state);
    edge->failed |= s != ST_OK;
    return s;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Replay has come to `until`, or to a call that did not come back: does the journal say that the guest was ended here
 * from outside? */
static bool ended_here(struct guest *g, enum guest_outcome *kind, uint64_t *value) {
    const struct journal_record *r = edge_peek(g->edge);
    uint64_t clock = wasm_clock(g->exec);
    if (clock < g->edge->last_clock)
        clock = g->edge->last_clock;
    if (!r || r->type != JOURNAL_END || r->nvals != 2 || r->clock != clock || r->vals[0] < GUEST_OUT_OF_FUEL ||
        r->vals[0] > GUEST_JOURNAL_FULL)
        return false;
    *kind = (enum guest_outcome)r->vals[0];
    *value = r->vals[1];
    return true;
}

/* A guest that was ended after a snapshot and before the call that the snapshot was taken in front of: replay comes to
 * that place without making the call, so the snapshot is compared here. Any other place has another state. */
static void pass_snapshot(struct guest *g) {
    const struct journal_record *r = edge_peek(g->edge);
    struct buf state;
    if (!r || r->type != JOURNAL_SNAPSHOT || r->nblobs != 1)
        return;
    buf_init(&state, JOURNAL_RECORD_MAX);
    if (!guest_snapshot_save(g, &state, NULL) &&
        span_equal(buf_span(&state), SPAN(r->blobs[0].pieces[0].iov_base, r->blobs[0].size)))
        edge_consume(g->edge);
    buf_deinit(&state);
}

static enum guest_outcome replay_halted(struct guest *g, enum guest_outcome otherwise, uint64_t *value, struct err *e) {
    enum guest_outcome kind;
    uint64_t v;
    pass_snapshot(g);
    if (ended_here(g, &kind, &v))
        return finish(g, kind, v, value, e);
    if (g->edge->failed)
        return fail(g, e);
    if (g->edge->ended) {
        g->over = true;
        return GUEST_UNFINISHED;
    }
    if (otherwise != GUEST_PARKED)
        return otherwise;
    /* parked, and the journal has an END that is not of this place */
    const struct journal_record *r = edge_peek(g->edge);
    err_set(&g->edge->err, ST_MISMATCH,
            "replay differs at record %llu: the journal's END is of tick %llu, not of this call",
            (unsigned long long)r->number, (unsigned long long)r->clock);
    return fail(g, e);
}

enum guest_outcome guest_run(struct guest *g, uint64_t until_ticks, uint64_t *value, struct err *e) {
    must(!g->over);
    *value = 0;
    begin(g);
    bool replay = g->edge->mode == EDGE_REPLAY;
    for (;;) {
        if (!g->calling) {
            if (g->phase == g->nphases)
                return finish(g, GUEST_EXITED, 0, value, e);
            wasm_call(g->exec, g->phases[g->phase], NULL);
            g->calling = true;
        }
        switch (wasm_run(g->exec, until_ticks < g->fuel_ticks ? until_ticks : g->fuel_ticks)) {
        case WASM_DONE:
            g->calling = false;
            g->phase++;
            break;
        case WASM_TRAPPED:
            if (g->edge->failed)
                return fail(g, e);
            return finish(g, GUEST_TRAPPED, wasm_trap(g->exec), value, e);
        case WASM_EXITED: return finish(g, GUEST_EXITED, g->edge->exit_code, value, e);
        case WASM_PARKED:
            if (g->edge->snapshot_due) {
                if (serve_snapshot(g))
                    return fail(g, e);
                break;
            }
            if (g->edge->full)
                return finish(g, GUEST_JOURNAL_FULL, g->journal_bytes, value, e);
            if (replay)
                return replay_halted(g, GUEST_PARKED, value, e);
            if (guest_stopping(g))
                return finish_stopped(g, value, e);
            return GUEST_PARKED;
        case WASM_STOPPED:
            if (wasm_clock(g->exec) >= g->fuel_ticks)
                return finish(g, GUEST_OUT_OF_FUEL, g->fuel_ticks, value, e);
            return replay ? replay_halted(g, GUEST_STOPPED, value, e) : GUEST_STOPPED;
        case WASM_INTERRUPTED:
            if (guest_stopping(g) && !replay)
                return finish_stopped(g, value, e);
            break;
        }
    }
}

/* ---- looking at it
 * ---------------------------------------------------------------------------------------------------- */

const char *guest_words(const struct guest *g) {
    return buf_cstr((struct buf *)&g->words);
}

uint64_t guest_clock(const struct guest *g) {
    return wasm_clock(g->exec);
}

uint64_t guest_position(const struct guest *g) {
    return g->edge->position;
}

struct wasm_store *guest_store(struct guest *g) {
    return g->store;
}

struct wasm_exec *guest_exec(struct guest *g) {
    return g->exec;
}

struct wasm_instance *guest_instance(struct guest *g) {
    return g->instance;
}

enum status guest_note(struct guest *g, const char *text, struct err *e) {
    if (g->edge->mode != EDGE_RECORD)
        return ST_OK;
    struct iovec words = {(void *)text, strlen(text)};
    struct journal_record r = {
        .type = JOURNAL_NOTE,
        .nblobs = 1,
        .blobs = {{&words, words.iov_len ? 1 : 0, words.iov_len}},
    };
    return edge_append(g->edge, &r, g->edge->last_clock, true, e);
}
