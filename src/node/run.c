/* run.c: a module from a file to the end of its guest. */
#include "node/node.h"

#include "base/arena.h"
#include "base/must.h"
#include "node/grant.h"
#include "node/module_file.h"
#include "node/signals.h"
#include "wasi/wasi.h"

#include <stdio.h>

/* What a run is made of while it goes on. */
struct running {
    struct node *node;
    const struct node_run *run;
    struct span bytes;
    struct wasm_module *module;
    struct wasi *wasi;
    struct edge_library libraries[WASI_NLIBRARIES];
    struct guest *guest;
    struct store_writer *writer;
};

/* ---- the edge's sink: the store's writer, which there is once the guest could be linked ---- */

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

/* ---- steps ---- */

static enum status load_module(struct running *g, struct err *e) {
    enum status s = module_file_read(node_world(g->node), g->run->module, &g->bytes, e);
    if (s)
        return s;
    s = wasm_module_new(g->bytes, &g->module, e);
    return s ? err_wrap(e, s, "%s cannot run", g->run->module) : ST_OK;
}

static bool wasi_stopping(void *ctx) {
    const struct running *g = ctx;
    return guest_stopping(g->guest);
}

static enum status give(struct running *g, struct err *e) {
    const struct node_run *run = g->run;
    g->wasi = wasi_new(node_world(g->node), 0);
    wasi_set_args(g->wasi, run->nargs, run->args);
    wasi_set_stopping(g->wasi, wasi_stopping, g);
    for (uint32_t i = 0; i < run->nenv; i++)
        wasi_add_env(g->wasi, run->env[i]);
    for (uint32_t i = 0; i < run->ndirs; i++) {
        struct grant_dir dir;
        enum status s = grant_dir_parse(run->dirs[i], &dir, e);
        if (s)
            return s;
        s = wasi_add_dir(g->wasi, dir.host, dir.guest, dir.writable, e);
        grant_dir_deinit(&dir);
        if (s)
            return err_wrap(e, s, "--dir %s", run->dirs[i]);
    }
    wasi_libraries(g->wasi, g->libraries);
    return ST_OK;
}

static enum status link_guest(struct running *g, struct err *e) {
    const struct edge_options edge = {
        .mode = g->run->record ? EDGE_RECORD : EDGE_LIVE,
        .libraries = g->libraries,
        .nlibraries = WASI_NLIBRARIES,
        .world = node_world(g->node),
        .sink = {sink_append, sink_wants_snapshot, sink_snapshot, NULL, g},
    };
    enum status s = guest_new(g->module, &g->run->limits, &edge, &g->guest, e);
    return s ? err_wrap(e, s, "%s cannot run", g->run->module) : ST_OK;
}

static enum status begin_record(struct running *g, struct err *e) {
    const struct node_run *run = g->run;
    struct sha256 hash;
    enum status s = store_put(node_store(g->node), g->bytes, &hash, e);
    if (s)
        return s;
    struct arena texts;
    arena_init(&texts);
    const char **grants = ARENA_ARRAY(&texts, const char *, run->ndirs + 1);
    for (uint32_t i = 0; i < run->ndirs; i++) {
        size_t size = strlen(run->dirs[i]) + sizeof "dir ";
        char *text = arena_alloc(&texts, size);
        snprintf(text, size, "dir %s", run->dirs[i]);
        grants[i] = text;
    }
    const char *names[GUEST_NLIMITS];
    uint64_t values[GUEST_NLIMITS];
    guest_limits_list(&run->limits, names, values);
    struct store_info info = {
        .module = hash,
        .module_name = run->module,
        .aeon_version = AEON_VERSION,
        .semantics_version = WASM_SEMANTICS_VERSION,
        .nargs = run->nargs,
        .nenv = run->nenv,
        .ngrants = run->ndirs,
        .nlimits = GUEST_NLIMITS,
        .args = run->args,
        .env = run->env,
        .grants = grants,
        .limit_names = names,
        .limit_values = values,
    };
    s = store_run_new(node_store(g->node), &info, &run->store, &g->writer, e);
    if (!s && run->started)
        run->started(run->ctx, &info.id);
    arena_deinit(&texts);
    return s;
}

/* In a signal handler. */
static void on_signal(void *ctx, int signal) {
    struct running *g = ctx;
    struct world *w = node_world(g->node);
    guest_stop(g->guest, GUEST_INTERRUPTED, (uint64_t)signal);
    w->ops->wake(w);
}

static enum status go(struct running *g, struct node_result *out, struct err *e) {
    do
        out->outcome = guest_run(g->guest, UINT64_MAX, &out->value, e);
    while (out->outcome == GUEST_PARKED);
    snprintf(out->words, sizeof out->words, "%s", guest_words(g->guest));
    if (out->outcome == GUEST_FAILED)
        return e ? e->status : ST_IO;
    return ST_OK;
}

/* From the moment that there is a run until its journal is closed a signal does not end us. */
static enum status run_guest(struct running *g, struct node_result *out, struct err *e) {
    enum status s = ST_OK;
    signals_catch(on_signal, g);
    if (g->run->record)
        s = begin_record(g, e);
    if (!s)
        s = go(g, out, e);
    if (g->writer) {
        enum status closed = store_run_close(g->writer, e);
        s = s ? s : closed;
    }
    signals_release();
    return s;
}

static void release(struct running *g) {
    if (g->guest)
        guest_free(g->guest);
    if (g->wasi)
        wasi_free(g->wasi);
    if (g->module)
        wasm_module_free(g->module);
    module_file_free(g->bytes);
}

enum status node_run(struct node *n, const struct node_run *run, struct node_result *out, struct err *e) {
    struct running g = {.node = n, .run = run};
    struct node_result result = {0};
    must(!run->record || node_store(n));
    enum status s = load_module(&g, e);
    result.cannot_run = s != ST_OK;
    if (!s)
        s = give(&g, e);
    if (!s) {
        s = link_guest(&g, e);
        result.cannot_run = s != ST_OK;
    }
    if (!s)
        s = run_guest(&g, &result, e);
    if (!s && run->refused) {
        bool failed = result.outcome != GUEST_EXITED || result.value;
        wasi_refusals(g.wasi, failed, run->refused, run->ctx);
    }
    release(&g);
    *out = result;
    return s;
}
