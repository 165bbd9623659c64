/* edge.c: linking, and the live binding. */
#include "guest/internal.h"

/* ---- making ------------------------------------------------------------------------------------------------------ */

struct edge *edge_new(const struct edge_options *o) {
    struct edge *e = mem_zalloc(sizeof *e);
    must(o->mode != EDGE_RECORD || (o->world && o->sink.append));
    must(o->mode != EDGE_REPLAY || o->source.next);
    e->mode = o->mode;
    e->deadline_ns = UINT64_MAX;
    e->guest = o->guest;
    e->libraries = o->libraries;
    e->nlibraries = o->nlibraries;
    e->world = o->world;
    e->sink = o->sink;
    e->source = o->source;
    e->observe = o->observe;
    e->observe_ctx = o->observe_ctx;
    return e;
}

void edge_free(struct edge *e) {
    if (!e)
        return;
    mem_free(e->bindings);
    mem_free(e->iov);
    mem_free(e->cut);
    mem_free(e->scratch);
    mem_free(e);
}

void edge_attach(struct edge *e, struct wasm_instance *i) {
    e->memory = wasm_instance_memory(i);
}

/* ---- linking ----------------------------------------------------------------------------------------------------- */

static bool same_type(const struct abi_call *c, const struct wasm_functype *t) {
    char params[ABI_MAX_WASM_PARAMS + 1];
    uint32_t n = abi_call_params(c, params);
    if (t->nparams != n || t->nresults != (c->result == ABI_RESULT_NORETURN ? 0 : 1))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (t->params[i] != (params[i] == 'I' ? WASM_I64 : WASM_I32))
            return false;
    return t->nresults == 0 || t->results[0] == WASM_I32;
}

/* By name and type among the rows of `t` and of the tables below it. `type` NULL: any. */
static const struct abi_call *find_call(const struct abi_table *t, struct span name, const struct wasm_functype *type) {
    for (; t; t = t->base)
        for (uint32_t i = 0; i < t->ncalls; i++)
            if (span_equal(name, SPAN_STR(t->calls[i].name)) && (!type || same_type(&t->calls[i], type)))
                return &t->calls[i];
    return NULL;
}

static const struct abi_table *find_table(struct edge *e, struct span module) {
    if (e->mode == EDGE_REPLAY && !e->nlibraries) {
        for (uint32_t i = 0; abi_tables[i]; i++)
            if (span_equal(module, SPAN_STR(abi_tables[i]->module)))
                return abi_tables[i];
        return NULL;
    }
    for (uint32_t i = 0; i < e->nlibraries; i++)
        if (span_equal(module, SPAN_STR(e->libraries[i].table->module)))
            return e->libraries[i].table;
    return NULL;
}

/* The implementation of a row, which may be that of a table below the one that was imported from. */
static void find_implementation(struct edge *e, struct binding *b) {
    for (uint32_t i = 0; i < e->nlibraries; i++) {
        const struct edge_library *l = &e->libraries[i];
        if (b->call >= l->table->calls && b->call < l->table->calls + l->table->ncalls) {
            b->fn = l->fns ? l->fns[b->call - l->table->calls] : NULL;
            b->ctx = l->ctx;
            return;
        }
    }
}

static enum status unlinkable(struct edge *e, const struct wasm_import *im, const struct abi_table *t,
                              struct err *err) {
    int module = (int)im->module.size, function = (int)im->name.size;
    const char *m = (const char *)im->module.data, *n = (const char *)im->name.data;
    if (im->type.kind != WASM_KIND_FUNC) {
        static const char *const kinds[] = {"function", "table", "memory", "global"};
        return err_set(err, ST_UNLINKABLE, "the module imports %.*s.%.*s, a %s; there are only functions to import",
                       module, m, function, n, kinds[im->type.kind]);
    }
    if (!t) {
        struct buf there;
        buf_init(&there, 400);
        const char *before = "";
        for (uint32_t i = 0; e->nlibraries ? i < e->nlibraries : abi_tables[i] != NULL; i++) {
            const char *name = e->nlibraries ? e->libraries[i].table->module : abi_tables[i]->module;
            if (strcmp(name, before) != 0) /* tables of one module stand together */
                buf_print(&there, "%s%s", i ? ", " : "", name);
            before = name;
        }
        enum status s =
            err_set(err, ST_UNLINKABLE,
                    "the module imports %.*s.%.*s, and there is no import module of that name; there are: %s", module,
                    m, function, n, buf_cstr(&there));
        buf_deinit(&there);
        return s;
    }
    const struct abi_call *other = find_call(t, im->name, NULL);
    if (!other)
        return err_set(err, ST_UNLINKABLE, "the module imports %.*s.%.*s, and %s has no function of that name", module,
                       m, function, n, t->module);
    char params[ABI_MAX_WASM_PARAMS + 1];
    abi_call_params(other, params);
    return err_set(err, ST_UNLINKABLE,
                   "the module imports %.*s.%.*s with another type: there it takes (%s), i an i32 and I an i64, and %s",
                   module, m, function, n, params,
                   other->result == ABI_RESULT_NORETURN ? "answers nothing" : "answers an i32");
}

enum status edge_link(struct edge *e, const struct wasm_module *m, struct wasm_store *s, struct wasm_extern *out,
                      struct err *err) {
    static const wasm_host_fn bind[] = {
        [EDGE_LIVE] = edge_live,
        [EDGE_RECORD] = edge_record,
        [EDGE_REPLAY] = edge_replay,
    };
    must(!e->bindings);
    e->nbindings = wasm_module_nimports(m);
    e->bindings = mem_zalloc((e->nbindings + 1) * sizeof *e->bindings);
    for (uint32_t i = 0; i < e->nbindings; i++) {
        struct wasm_import im = wasm_module_import(m, i);
        struct binding *b = &e->bindings[i];
        const struct abi_table *t = find_table(e, im.module);
        if (im.type.kind != WASM_KIND_FUNC)
            return unlinkable(e, &im, t, err);
        b->edge = e;
        b->call = t ? find_call(t, im.name, im.type.func) : NULL;
        if (!b->call)
            return unlinkable(e, &im, t, err);
        find_implementation(e, b);
        if (!b->fn && e->mode != EDGE_REPLAY)
            return unlinkable(e, &im, NULL, err);
        marshal_compile(b);
        out[i] = (struct wasm_extern){
            .kind = WASM_KIND_FUNC,
            .func = wasm_func_new(s, im.type.func, bind[e->mode], b, b->call->name),
        };
    }
    return ST_OK;
}

/* ---- ways out ---------------------------------------------------------------------------------------------------- */

enum wasm_host edge_fail(struct edge *e, struct wasm_exec *x) {
    e->failed = true;
    wasm_trap_set_text(x, e->err.text);
    return WASM_HOST_TRAP;
}

enum wasm_host edge_leave(struct binding *b, struct wasm_exec *x, int64_t answer) {
    if (answer == ABI_PARK)
        return WASM_HOST_PARK;
    if (answer == ABI_TRAP) {
        wasm_trap_set_text(x, b->call->name);
        return WASM_HOST_TRAP;
    }
    b->edge->exit_code = (uint32_t)answer;
    return WASM_HOST_EXIT;
}

/* ---- live -------------------------------------------------------------------------------------------------------- */

enum wasm_host edge_live(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct binding *b = env;
    struct passage p;
    edge_slice(b->edge);
    if (UNLIKELY(edge_stopping(b->edge)))
        return WASM_HOST_PARK;
    int64_t answer = marshal_open(b, &p, slots);
    if (LIKELY(answer == 0)) {
        answer = b->fn(b->ctx, p.args);
        if (UNLIKELY(answer < 0))
            return edge_leave(b, x, answer);
        if (answer == 0 && b->has_values && !marshal_close(b, &p, slots))
            answer = WASI_EFAULT;
    }
    slots[0] = (uint32_t)answer;
    return WASM_HOST_OK;
}
