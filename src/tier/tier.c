#include "tier/internal.h"

#include "wasm/object.h"
#include "world/os/code.h"

#include <stdarg.h>
#include <stdio.h>

const char *tier_mode_name(enum tier_mode m) {
    static const char *const names[] = {
#define X(name, word) [TIER_##name] = word,
        TIER_MODES(X)
#undef X
    };
    return names[m];
}

void tier_tell(struct tier *t, const char *format, ...) {
    char text[512];
    va_list ap;
    if (!t->o.tell)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    t->o.tell(t->o.ctx, text);
}

bool tier_has_compiler(const struct tier *t) {
    return t->o.mode != TIER_INTERP && !t->dead;
}

struct tier *tier_new(struct world *w, const struct tier_options *o) {
    struct tier *t = mem_zalloc(sizeof *t);
    struct world_stat st;
    t->world = w;
    t->o = *o;
    t->o.program = o->program ? mem_strdup(o->program) : NULL;
    t->o.cache = o->cache ? mem_strdup(o->cache) : NULL;
    if (!wasm_native_features())
        compiler_lose(t, "there is no code generation for this kind of processor");
    else if (!o->program)
        compiler_lose(t, "the compiler, aeon-llvm, is not installed");
    else if (w->ops->stat_at(w, WORLD_CWD, o->program, 0, &st) < 0)
        compiler_lose(t, "is not there");
    else
        snprintf(t->build, sizeof t->build, "%llu %llu", (unsigned long long)st.size, (unsigned long long)st.mtim);
    return t;
}

static void module_free(struct tier_module *m) {
    for (uint32_t i = 0; i < m->nobjects; i++)
        code_unmap(m->objects[i]);
    cache_close(m->cache);
    mem_free(m->objects);
    mem_free(m->state);
    mem_free(m->samples);
    mem_free(m->caller);
    mem_free(m->seen);
    mem_free(m->loops);
    mem_free(m->name);
    mem_free(m->file);
    mem_free(m);
}

void tier_clear(struct tier *t) {
    pool_end(t);
    for (struct tier_module *m = t->modules, *next; m; m = next) {
        next = m->next;
        module_free(m);
    }
    t->modules = NULL;
}

void tier_free(struct tier *t) {
    if (!t)
        return;
    tier_clear(t);
    mem_free(t->version);
    mem_free(t->target);
    mem_free((void *)t->o.program);
    mem_free((void *)t->o.cache);
    mem_free(t);
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

struct tier_module *module_find(struct tier *t, const struct tier_source *source) {
    for (struct tier_module *m = t->modules; m; m = m->next)
        if (m->wasm == source->module)
            return m;
    struct tier_module *m = mem_zalloc(sizeof *m);
    m->tier = t;
    m->wasm = source->module;
    m->hash = source->hash;
    m->name = mem_strdup(source->name);
    m->file = source->file ? mem_strdup(source->file) : NULL;
    m->nfuncs = wasm_module_nfuncs(m->wasm);
    m->state = mem_zalloc(m->nfuncs + 1ul);
    for (uint32_t f = 0; f < m->nfuncs; f++)
        m->report.functions += wasm_module_func_bytes(m->wasm, f) != 0;
    m->next = t->modules;
    t->modules = m;
    return m;
}

bool module_has_loop(const struct tier_module *m, uint32_t func, uint32_t offset) {
    for (uint32_t i = 0; i < m->nloops; i++)
        if (m->loops[i].offset == offset && m->loops[i].func == func)
            return true;
    return false;
}

void module_add_loop(struct tier_module *m, uint32_t func, uint32_t offset) {
    m->loops = mem_realloc(m->loops, (m->nloops + 1ul) * sizeof *m->loops);
    m->loops[m->nloops++] = (struct tier_loop){func, offset};
}

enum status module_add(struct tier_module *m, struct span code, bool cached) {
    struct object o;
    enum status s = object_open(code, &o, NULL);
    if (!s && memcmp(&o.module, &m->hash, sizeof o.module) != 0)
        s = ST_MISMATCH;
    if (s) {
        code_unmap(code);
        return s;
    }
    for (uint32_t i = 0; i < o.nentries; i++) {
        struct object_entry entry = object_entry(&o, i);
        if (entry.func >= m->nfuncs)
            continue; /* wasm_install will say so */
        if (entry.loop && !module_has_loop(m, entry.func, entry.loop))
            module_add_loop(m, entry.func, entry.loop);
        m->report.loops += entry.loop != 0;
        if (entry.loop || m->state[entry.func] == FUNC_HAVE)
            continue;
        m->state[entry.func] = FUNC_HAVE;
        *(cached ? &m->report.cached : &m->report.compiled) += 1;
    }
    m->objects = mem_realloc(m->objects, (m->nobjects + 1ul) * sizeof *m->objects);
    m->objects[m->nobjects++] = code;
    m->report.code_bytes += code.size;
    return ST_OK;
}

static enum status add_cached(void *ctx, struct span code) {
    return module_add(ctx, code, true);
}

static void add_bad(void *ctx, uint32_t func) {
    struct tier_module *m = ctx;
    if (func < m->nfuncs && m->state[func] == FUNC_NONE) {
        m->state[func] = FUNC_BAD;
        m->report.failed++;
    }
}

void module_open_cache(struct tier_module *m) {
    struct tier *t = m->tier;
    if (m->opened || !t->version || !t->o.cache)
        return;
    m->opened = true;
    struct err e = ERR_INIT;
    const struct cache_key key = {m->hash, t->version, t->target, t->build, true};
    if (cache_open(t->world, t->o.cache, &key, m->name, m->report.functions, &m->cache, &e)) {
        if (!t->told++)
            tier_tell(t, "%s", e.text);
        return;
    }
    const struct cache_reader r = {add_cached, add_bad, m};
    m->report.dropped += cache_load(m->cache, &r);
    if (m->report.dropped)
        tier_tell(t, "%u damaged file%s of compiled code removed from the cache", m->report.dropped,
                  m->report.dropped == 1 ? "" : "s");
}

/* ---- guests ------------------------------------------------------------------------------------------------------ */

static void install(struct tier_guest *g) {
    struct tier_module *m = g->module;
    for (; g->installed < m->nobjects; g->installed++) {
        struct err e = ERR_INIT;
        if (wasm_install(g->store, m->wasm, m->objects[g->installed], &e) && !m->tier->told++)
            tier_tell(m->tier, "compiled code cannot be used: %s", e.text);
    }
}

static void on_hot(void *ctx, const struct wasm_hot *hot) {
    struct tier_guest *g = ctx;
    struct tier_module *m = g->module;
    if (tier_has_compiler(m->tier)) {
        pool_turn(m->tier);
        if (hot->module == m->wasm)
            hot_sample(m, hot);
    }
    install(g);
}

static enum status compile_all(struct tier *t, const struct tier_source *source, const bool *wanted,
                               struct tier_module **out, struct err *e) {
    struct tier_report compiler;
    enum status s = tier_describe(t, &compiler, e);
    if (s)
        return s;
    *out = module_find(t, source);
    module_open_cache(*out);
    return ahead_compile(*out, wanted, e);
}

enum status tier_attach(struct tier *t, const struct tier_source *source, struct wasm_store *store, struct wasm_exec *x,
                        struct tier_guest **out, struct err *e) {
    struct tier_module *m = NULL;
    *out = NULL;
    if (t->o.mode == TIER_COMPILED) {
        enum status s = compile_all(t, source, NULL, &m, e);
        if (s)
            return s;
    } else if (tier_has_compiler(t)) {
        m = module_find(t, source);
        compiler_recall(t);
        module_open_cache(m);
    } else {
        return ST_OK;
    }
    struct tier_guest *g = mem_zalloc(sizeof *g);
    *g = (struct tier_guest){.module = m, .store = store, .exec = x};
    install(g);
    wasm_set_hot(x, on_hot, g);
    *out = g;
    return ST_OK;
}

void tier_detach(struct tier_guest *g) {
    if (!g)
        return;
    wasm_set_hot(g->exec, NULL, NULL);
    pool_turn(g->module->tier); /* what is finished is kept */
    mem_free(g);
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

static void describe(const struct tier *t, struct tier_report *out) {
    out->mode = t->o.mode;
    snprintf(out->version, sizeof out->version, "%s", t->version ? t->version : "");
    snprintf(out->target, sizeof out->target, "%s", t->target ? t->target : "");
}

void tier_report(const struct tier_guest *g, struct tier_report *out) {
    *out = g->module->report;
    describe(g->module->tier, out);
}

enum status tier_compile(struct tier *t, const struct tier_source *source, const bool *wanted, struct tier_report *out,
                         struct err *e) {
    struct tier_module *m = NULL;
    enum status s = compile_all(t, source, wanted, &m, e);
    if (s)
        return s;
    *out = m->report;
    describe(t, out);
    return ST_OK;
}

enum status tier_describe(struct tier *t, struct tier_report *out, struct err *e) {
    *out = (struct tier_report){0};
    if (!t->dead)
        compiler_recall(t);
    if (!t->dead && !t->version) {
        const struct child_options o = {
            .program = t->o.program,
            .args = (const char *const[]){"--worker"},
            .nargs = 1,
            .start_ns = 10000000000ull,
            .max_message = 1 << 16,
        };
        struct child *c = child_start(t->world, &o);
        struct child_event event = {.ended = true, .how = "could not be given a thread"};
        while (c && !child_take(c, &event))
            t->world->ops->wait(t->world, NULL, 0, world_now(t->world, WORLD_MONOTONIC) + 1000000);
        if (event.ended)
            compiler_lose(t, event.how);
        else if (event.type != LLVM_HELLO || !compiler_greet(t, SPAN(event.bytes, event.size), NULL))
            compiler_lose(t, "it does not say what it is");
        mem_free(event.bytes);
        child_free(c);
    }
    if (t->dead)
        return compiler_missing(t, e);
    describe(t, out);
    return ST_OK;
}
