/* run.c: guests from their modules to their ends, all on one loop. */
#include "node/node.h"

#include "base/arena.h"
#include "base/must.h"
#include "node/module_file.h"
#include "node/sandbox.h"
#include "node/signals.h"
#include "world/fiber/fiber.h"

#include <stdio.h>

enum { REMARKS_MAX = 100 }; /* of a kind */

/* What is said of a guest after its end. */
struct remark {
    enum node_remark kind;
    char *line;
};

struct loaded;

/* A guest while it goes on. */
struct running {
    struct group *group;
    uint32_t index;
    struct node_guest spec;
    struct loaded *module;
    struct sandbox sandbox;
    struct guest *guest;
    struct tier_guest *tier; /* NULL: only interpreted */
    struct store_writer *writer;
    struct store_id id;
    struct fiber *fiber; /* NULL: over, or not begun */
    bool over;           /* its record has its end */
    struct node_result *result;
    struct remark *remarks;
    uint32_t nremarks, told[NODE_REMARKS]; /* of each kind */
};

/* A module's file; guests of one path share it. */
struct loaded {
    const char *path;
    struct span bytes;
    struct wasm_module *module;
    struct sha256 hash;
    bool hashed, stored;
    struct loaded *next;
};

/* All of a run. */
struct group {
    struct node *node;
    const struct node_run *run;
    struct fibers *fibers;
    struct net *net;
    struct policy *none;
    struct loaded *modules;
    struct running *guests;
    struct tier *tier;
    bool timed; /* one of them has a limit of time */
};

/* ---- remarks ----------------------------------------------------------------------------------------------------- */

static void keep_remark(struct running *g, enum node_remark kind, const char *line) {
    for (uint32_t i = 0; i < g->nremarks; i++)
        if (strcmp(g->remarks[i].line, line) == 0)
            return;
    if (g->told[kind] == REMARKS_MAX)
        return;
    if (++g->told[kind] == REMARKS_MAX)
        line = "and more of this kind: `aeon trace` shows all";
    g->remarks = mem_realloc(g->remarks, (g->nremarks + 1) * sizeof *g->remarks);
    g->remarks[g->nremarks++] = (struct remark){kind, mem_strdup(line)};
}

static void say(struct running *g, enum node_remark kind, const char *line) {
    const struct node_run *run = g->group->run;
    if (run->remark)
        run->remark(run->ctx, g->index, kind, line);
}

/* A failure to note is the journal's, which the next call of the guest meets too. Nothing follows its end. */
static void note(struct running *g, const char *text) {
    enum status s = g->writer && !g->over ? guest_note(g->guest, text, NULL) : ST_OK;
    (void)s;
}

static void tell(void *ctx, enum sandbox_event event, const char *sentence) {
    struct running *g = ctx;
    char text[1024];
    switch (event) {
    case SANDBOX_DENIED: keep_remark(g, NODE_DENIED, sentence); break;
    case SANDBOX_LIMIT: keep_remark(g, NODE_LIMIT, sentence); break;
    case SANDBOX_FAULT:
        snprintf(text, sizeof text, "fault: %s", sentence);
        sentence = text;
        break;
    case SANDBOX_TLS_FAILED: keep_remark(g, NODE_REFUSED, sentence); break;
    case SANDBOX_TLS: break;
    }
    note(g, sentence);
}

static void remark_now(void *ctx, enum node_remark kind, const char *line) {
    say(ctx, kind, line);
}

static void refused(void *ctx, const char *line) {
    keep_remark(ctx, NODE_REFUSED, line);
}

/* ---- the edge's sink: the store's writer, which there is once the guest could be linked -------------------------- */

static enum status sink_append(void *ctx, struct journal_record *r, struct err *e) {
    struct running *g = ctx;
    return store_append(g->writer, r, e);
}

static bool sink_wants_snapshot(void *ctx) {
    const struct running *g = ctx;
    return store_wants_snapshot(g->writer);
}

static enum status sink_snapshot(void *ctx, struct journal_record *r, struct err *e) {
    struct running *g = ctx;
    return store_snapshot(g->writer, r, e);
}

/* Room is left for the call under way, the end, and what closing adds. */
static bool sink_full(void *ctx) {
    enum { RESERVE = 16 << 10 };
    const struct running *g = ctx;
    return store_run_bytes(g->writer) + RESERVE >= g->spec.limits.journal_bytes;
}

/* ---- making a guest ---------------------------------------------------------------------------------------------- */

static enum status load_module(struct running *g, struct err *e) {
    struct group *group = g->group;
    for (struct loaded *l = group->modules; l; l = l->next)
        if (strcmp(l->path, g->spec.module) == 0) {
            g->module = l;
            return ST_OK;
        }
    struct loaded *l = mem_zalloc(sizeof *l);
    l->path = g->spec.module;
    l->next = group->modules;
    group->modules = g->module = l;
    enum status s = module_file_read(node_world(group->node), l->path, &l->bytes, e);
    if (s)
        return s;
    s = wasm_module_new(l->bytes, &l->module, e);
    return s ? err_wrap(e, s, "%s cannot run", l->path) : ST_OK;
}

static bool stopping(void *ctx) {
    struct running *g = ctx;
    return guest_stopping(g->guest);
}

static void yield(void *ctx) {
    struct running *g = ctx;
    fibers_yield(g->group->fibers);
}

static enum status open_sandbox(struct running *g, struct err *e) {
    g->sandbox = (struct sandbox){
        .spec = &g->spec,
        .bottom = fibers_world(g->group->fibers),
        .tell = tell,
        .remark = remark_now,
        .ctx = g,
    };
    enum status s = sandbox_open(&g->sandbox, g->group->net, e);
    if (s)
        return s;
    wasi_set_stopping(g->sandbox.wasi, stopping, g);
    wasi_set_yield(g->sandbox.wasi, yield, g);
    return ST_OK;
}

static enum status link_guest(struct running *g, struct err *e) {
    const struct edge_options edge = {
        .mode = g->group->run->record ? EDGE_RECORD : EDGE_LIVE,
        .libraries = g->sandbox.libraries,
        .nlibraries = WASI_NLIBRARIES,
        .world = fibers_world(g->group->fibers),
        .sink = {sink_append, sink_wants_snapshot, sink_snapshot, g->spec.limits.journal_bytes ? sink_full : NULL, g},
    };
    enum status s = guest_new(g->module->module, &g->spec.limits, &edge, &g->guest, e);
    if (s)
        return err_wrap(e, s, "%s cannot run", g->spec.module);
    guest_set_slice(g->guest, yield, g);
    return ST_OK;
}

static enum status note_policy(struct running *g, struct err *e) {
    struct span text = policy_text(g->spec.policy);
    if (!text.size)
        return ST_OK;
    struct buf b;
    buf_init(&b, CONFIG_MAX_BYTES + 1024);
    buf_print(&b, "policy %s:\n", g->spec.policy_name ? g->spec.policy_name : "of the application");
    buf_append(&b, text.data, text.size);
    enum status s = guest_note(g->guest, buf_cstr(&b), e);
    buf_deinit(&b);
    return s;
}

static enum status begin_record(struct running *g, struct err *e) {
    const struct node_run *run = g->group->run;
    struct store *store = node_store(g->group->node);
    struct loaded *m = g->module;
    enum status s = m->stored ? ST_OK : store_put(store, m->bytes, &m->hash, e);
    if (s)
        return s;
    m->stored = m->hashed = true;
    wasm_module_set_hash(m->module, &m->hash);
    struct arena texts;
    struct config_texts grants = {0};
    arena_init(&texts);
    sandbox_describe(&g->sandbox, &texts, &grants);
    const char *names[GUEST_NLIMITS];
    uint64_t values[GUEST_NLIMITS];
    guest_limits_list(&g->spec.limits, names, values);
    struct store_info info = {
        .module = m->hash,
        .module_name = g->spec.module,
        .aeon_version = AEON_VERSION,
        .semantics_version = WASM_SEMANTICS_VERSION,
        .nargs = g->spec.args.n,
        .nenv = g->spec.env.n,
        .ngrants = grants.n,
        .nlimits = GUEST_NLIMITS,
        .args = g->spec.args.items,
        .env = g->spec.env.items,
        .grants = grants.items,
        .limit_names = names,
        .limit_values = values,
    };
    s = store_run_new(store, &info, &run->store, &g->writer, e);
    arena_deinit(&texts);
    if (s)
        return s;
    g->id = info.id;
    if (run->started)
        run->started(run->ctx, g->index, &info.id);
    return note_policy(g, e);
}

static enum status open_overlays(struct running *g, struct err *e) {
    char id[STORE_ID_TEXT];
    struct buf upper;
    if (g->spec.overlays.n && !g->writer)
        return err_set(e, ST_INVALID,
                       "--overlay keeps what changes with the run's record, and --no-record leaves none");
    buf_init(&upper, 1 << 13);
    if (g->writer) {
        store_id_text(&g->id, id);
        buf_print(&upper, "%s/runs/%s/upper", node_home(g->group->node), id);
    }
    enum status s = sandbox_overlay(&g->sandbox, buf_cstr(&upper), e);
    buf_deinit(&upper);
    return s;
}

/* ---- the compiled tier ------------------------------------------------------------------------------------------- */

static void tier_tells(void *ctx, const char *sentence) {
    struct group *group = ctx;
    keep_remark(&group->guests[0], NODE_TIER, sentence);
}

static void tier_progresses(void *ctx, const struct tier_progress *p) {
    const struct node_run *run = ((struct group *)ctx)->run;
    if (run->progress)
        run->progress(run->ctx, p);
}

/* A signal has come while modules are compiled. */
static bool tier_stops(void *ctx) {
    struct group *group = ctx;
    return guest_stopping(group->guests[0].guest);
}

static enum status open_tier(struct group *group, struct err *e) {
    const struct tier_options o = {
        .mode = group->run->tier,
        .tell = tier_tells,
        .progress = tier_progresses,
        .stopping = tier_stops,
        .ctx = group,
    };
    struct tier_report compiler;
    if (o.mode == TIER_INTERP)
        return ST_OK;
    group->tier = node_tier_new(group->node, &o);
    return o.mode == TIER_COMPILED ? tier_describe(group->tier, &compiler, e) : ST_OK;
}

static enum status attach_tier(struct running *g, struct err *e) {
    struct loaded *m = g->module;
    char hex[SHA256_HEX];
    struct buf file;
    if (!g->group->tier)
        return ST_OK;
    if (!m->hashed)
        sha256_of(m->bytes, &m->hash);
    m->hashed = true;
    wasm_module_set_hash(m->module, &m->hash);
    sha256_hex(&m->hash, hex);
    buf_init(&file, 1 << 13);
    if (m->stored)
        buf_print(&file, "%s/objects/%s", node_home(g->group->node), hex);
    const struct tier_source source = {
        .module = m->module,
        .hash = m->hash,
        .name = m->path,
        .file = m->stored ? buf_cstr(&file) : NULL,
    };
    enum status s = tier_attach(g->group->tier, &source, guest_store(g->guest), guest_exec(g->guest), &g->tier, e);
    buf_deinit(&file);
    return s;
}

static void detach_tier(struct running *g) {
    struct tier_report report;
    if (!g->tier)
        return;
    tier_report(g->tier, &report);
    if (g->group->run->record)
        node_write_tier(g->group->node, &g->id, &report);
    tier_detach(g->tier);
    g->tier = NULL;
}

/* ---- a guest's life ---------------------------------------------------------------------------------------------- */

static void report_limits(struct running *g) {
    char text[200];
    struct wasm_memory *m = wasm_instance_memory(guest_instance(g->guest));
    uint64_t refused_bytes = m ? wasm_memory_refused(m) : 0;
    if (refused_bytes) {
        snprintf(text, sizeof text, "memory: the guest has %.1f MiB and was refused %.1f MiB, the limit is %.1f MiB",
                 (double)wasm_memory_size(m) / 1048576, (double)refused_bytes / 1048576,
                 (double)g->spec.limits.wasm.max_memory_bytes / 1048576);
        keep_remark(g, NODE_LIMIT, text);
    }
    uint64_t held_ns = guest_held_ns(g->guest);
    if (held_ns) {
        snprintf(text, sizeof text,
                 "fuel-per-second: %.1f M ticks at no more than %.1f M a second, which held the guest up for %.1f s",
                 (double)guest_clock(g->guest) / 1e6, (double)g->spec.limits.fuel_per_second / 1e6,
                 (double)held_ns / 1e9);
        keep_remark(g, NODE_LIMIT, text);
    }
    sandbox_report(&g->sandbox);
}

static void close_record(void *arg) {
    struct running *g = arg;
    enum status closed = store_run_close(g->writer, &g->result->err);
    (void)closed; /* the err has it */
}

/* What a guest had open is closed at once, so that those who talk to it see its end. */
static void end_guest(struct running *g) {
    struct node_result *out = g->result;
    report_limits(g);
    detach_tier(g);
    wasi_refusals(g->sandbox.wasi, out->outcome != GUEST_EXITED || out->value, refused, g);
    sandbox_close(&g->sandbox);
    if (g->writer)
        fibers_elsewhere(g->group->fibers, close_record, g);
    g->writer = NULL;
}

static void live(void *arg) {
    struct running *g = arg;
    struct node_result *out = g->result;
    wasi_set_deadline(g->sandbox.wasi, guest_deadline(g->guest));
    do
        out->outcome = guest_run(g->guest, UINT64_MAX, &out->value, &out->err);
    while (out->outcome == GUEST_PARKED);
    g->over = true;
    snprintf(out->words, sizeof out->words, "%s", guest_words(g->guest));
    end_guest(g);
    g->fiber = NULL;
}

/* In a signal handler. */
static void on_signal(void *ctx, int signal) {
    struct group *group = ctx;
    for (uint32_t i = 0; i < group->run->nguests; i++)
        if (group->guests[i].guest)
            guest_stop(group->guests[i].guest, GUEST_INTERRUPTED, (uint64_t)signal);
    fibers_wake_all(group->fibers);
}

/* Those whose time is over are told; returns when the next one's will be. Asked in every turn. */
static uint64_t look_at_deadlines(struct group *group) {
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; group->timed && i < group->run->nguests; i++) {
        struct running *g = &group->guests[i];
        if (!g->spec.limits.time_ms || !g->fiber)
            continue;
        if (guest_stopping(g->guest))
            fiber_wake(g->fiber);
        else if (guest_deadline(g->guest) < next)
            next = guest_deadline(g->guest);
    }
    return next;
}

static void run_guests(struct group *group) {
    for (uint32_t i = 0; i < group->run->nguests; i++)
        group->guests[i].fiber = fiber_start(group->fibers, live, &group->guests[i]);
    uint64_t deadline = UINT64_MAX;
    while (fibers_turn(group->fibers, deadline))
        deadline = look_at_deadlines(group);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static enum status prepare(struct group *group, bool *cannot_run, struct err *e) {
    enum status s = ST_OK;
    uint32_t n = group->run->nguests;
    for (uint32_t i = 0; i < n && !s; i++)
        s = load_module(&group->guests[i], e);
    *cannot_run = s != ST_OK;
    for (uint32_t i = 0; i < n && !s; i++)
        s = open_sandbox(&group->guests[i], e);
    for (uint32_t i = 0; i < n && !s; i++) {
        s = link_guest(&group->guests[i], e);
        *cannot_run = s != ST_OK;
    }
    return s ? s : open_tier(group, e);
}

/* From the moment that there is a run until its journal is closed a signal does not end us. */
static enum status record_and_run(struct group *group, struct err *e) {
    enum status s = ST_OK;
    uint32_t n = group->run->nguests;
    signals_catch(on_signal, group);
    for (uint32_t i = 0; i < n && group->run->record && !s; i++)
        s = begin_record(&group->guests[i], e);
    for (uint32_t i = 0; i < n && !s; i++)
        s = open_overlays(&group->guests[i], e);
    for (uint32_t i = 0; i < n && !s; i++)
        s = attach_tier(&group->guests[i], e);
    if (!s)
        run_guests(group);
    signals_release();
    return s;
}

/* Of a guest that was not run after all. */
static void drop_record(struct running *g) {
    struct store *store = node_store(g->group->node);
    enum status s = store_run_close(g->writer, NULL);
    if (!s)
        s = store_remove(store, &g->id, NULL);
    (void)s; /* something else has failed already, and is told */
}

static void release(struct group *group) {
    for (uint32_t i = 0; i < group->run->nguests; i++) {
        struct running *g = &group->guests[i];
        if (g->sandbox.wasi || g->sandbox.net)
            sandbox_close(&g->sandbox);
        if (g->writer)
            drop_record(g);
        tier_detach(g->tier);
        if (g->guest)
            guest_free(g->guest);
        for (uint32_t k = 0; k < g->nremarks; k++)
            mem_free(g->remarks[k].line);
        mem_free(g->remarks);
    }
    tier_free(group->tier);
    for (struct loaded *l = group->modules, *next; l; l = next) {
        next = l->next;
        if (l->module)
            wasm_module_free(l->module);
        module_file_free(l->bytes);
        mem_free(l);
    }
    net_free(group->net);
    policy_free(group->none);
    fibers_free(group->fibers);
    mem_free(group->guests);
}

enum status node_run(struct node *n, const struct node_run *run, struct node_result *out, bool *cannot_run,
                     struct err *e) {
    struct group group = {.node = n, .run = run};
    must(!run->record || node_store(n));
    memset(out, 0, run->nguests * sizeof *out);
    group.fibers = fibers_new(node_world(n));
    group.net = net_new();
    group.none = policy_none();
    group.guests = mem_zalloc(run->nguests * sizeof *group.guests);
    for (uint32_t i = 0; i < run->nguests; i++) {
        struct running *g = &group.guests[i];
        g->group = &group;
        g->index = i;
        g->result = &out[i];
        g->spec = run->guests[i];
        group.timed |= g->spec.limits.time_ms != 0;
        if (!g->spec.policy)
            g->spec.policy = group.none;
    }
    enum status s = prepare(&group, cannot_run, e);
    if (!s)
        s = record_and_run(&group, e);
    for (uint32_t i = 0; i < run->nguests && !s; i++)
        for (uint32_t k = 0; k < group.guests[i].nremarks; k++)
            say(&group.guests[i], group.guests[i].remarks[k].kind, group.guests[i].remarks[k].line);
    release(&group);
    return s;
}
