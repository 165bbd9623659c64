/* entities.c: stores, and the tables, globals and functions in them. */
#include "wasm/engine.h"

struct wasm_config wasm_config_default(void) {
    return (struct wasm_config){
        .max_memory_bytes = 1ull << 32,
        .max_table_elems = 10000000,
        .max_stack_slots = 1 << 20,
    };
}

/* ---- stores
 * ---------------------------------------------------------------------------------------------------------- */

struct wasm_store *wasm_store_new(const struct wasm_config *config) {
    must(config->pool || config->memory_kind == WASM_MEMORY_RESERVED);
    struct wasm_store *s = mem_zalloc(sizeof *s);
    s->config = *config;
    arena_init(&s->arena);
    return s;
}

void wasm_store_free(struct wasm_store *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->nmemories; i++)
        memory_release(s->memories[i]);
    for (uint32_t i = 0; i < s->ntables; i++)
        mem_free(s->tables[i]->elems);
    mem_free(s->memories);
    mem_free(s->tables);
    mem_free(s->types);
    arena_deinit(&s->arena);
    mem_free(s);
}

const struct wasm_functype *store_intern_type(struct wasm_store *s, const struct wasm_functype *t) {
    for (uint32_t i = 0; i < s->ntypes; i++)
        if (wasm_functype_equal(s->types[i], t))
            return s->types[i];
    struct wasm_functype *copy = ARENA_NEW(&s->arena, struct wasm_functype);
    uint8_t *types = ARENA_ARRAY(&s->arena, uint8_t, t->nparams + t->nresults);
    *copy = *t;
    copy->params = types;
    copy->results = types + t->nparams;
    memcpy(types, t->params, t->nparams);
    memcpy(types + t->nparams, t->results, t->nresults);
    copy->param_slots = copy->result_slots = 0;
    for (uint32_t i = 0; i < t->nparams; i++)
        copy->param_slots += type_slots(t->params[i]);
    for (uint32_t i = 0; i < t->nresults; i++)
        copy->result_slots += type_slots(t->results[i]);
    s->types = mem_realloc(s->types, (s->ntypes + 1) * sizeof *s->types);
    return s->types[s->ntypes++] = copy;
}

struct module_code *store_module_code(struct wasm_store *s, const struct wasm_module *m) {
    for (struct module_code *c = s->modules; c; c = c->next)
        if (c->module == m)
            return c;
    struct module_code *c = ARENA_NEW(&s->arena, struct module_code);
    c->module = m;
    c->store = s;
    c->types = ARENA_ARRAY(&s->arena, const struct wasm_functype *, m->ntypes);
    for (uint32_t i = 0; i < m->ntypes; i++)
        c->types[i] = store_intern_type(s, &m->types[i]);
    c->codes = ARENA_ARRAY(&s->arena, struct code, m->nfuncs);
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        const struct module_func *f = &m->funcs[i];
        c->codes[i] = (struct code){
            .frame_slots = f->frame_slots,
            .param_slots = m->types[f->type].param_slots,
            .func = i,
            .home = c,
        };
        if (f->nops > c->max_ops)
            c->max_ops = f->nops;
    }
    if (c->max_ops > s->max_ops)
        s->max_ops = c->max_ops;
    c->next = s->modules;
    s->modules = c;
    return c;
}

/* ---- functions and globals -----------------------------------------------------------------------------------------
 */

struct wasm_func *wasm_func_new(struct wasm_store *s, const struct wasm_functype *type, wasm_host_fn fn, void *env,
                                const char *label) {
    struct wasm_func *f = ARENA_NEW(&s->arena, struct wasm_func);
    *f = (struct wasm_func){.type = store_intern_type(s, type), .fn = fn, .env = env, .label = label};
    return f;
}

const struct wasm_functype *wasm_func_type(const struct wasm_func *f) {
    return f->type;
}

struct wasm_global *wasm_global_new(struct wasm_store *s, struct wasm_globaltype type, union wasm_value v) {
    struct wasm_global *g = ARENA_NEW(&s->arena, struct wasm_global);
    g->type = type;
    wasm_global_set(g, v);
    return g;
}

union wasm_value wasm_global_get(const struct wasm_global *g) {
    return g->v;
}

void wasm_global_set(struct wasm_global *g, union wasm_value v) {
    g->v = (union wasm_value){0};
    value_to_slots((uint8_t)g->type.type, &v, g->v.slot);
}

void value_to_slots(uint8_t type, const union wasm_value *v, uint64_t *slots) {
    switch (type) {
    case WASM_I32:
    case WASM_F32: slots[0] = v->i32; break;
    case WASM_V128:
        slots[0] = v->slot[0];
        slots[1] = v->slot[1];
        break;
    default: slots[0] = v->i64; break;
    }
}

void value_from_slots(uint8_t type, const uint64_t *slots, union wasm_value *v) {
    *v = (union wasm_value){0};
    v->slot[0] = slots[0];
    if (type == WASM_V128)
        v->slot[1] = slots[1];
}

/* ---- tables
 * ---------------------------------------------------------------------------------------------------------- */

enum status wasm_table_new(struct wasm_store *s, enum wasm_type elem, struct wasm_limits limits, wasm_ref init,
                           struct wasm_table **out, struct err *e) {
    if (limits.min > s->config.max_table_elems)
        return err_set(e, ST_LIMIT, "table of %u elements wanted, the limit is %u", limits.min,
                       s->config.max_table_elems);
    struct wasm_table *t = ARENA_NEW(&s->arena, struct wasm_table);
    uint32_t max = limits.has_max && limits.max < s->config.max_table_elems ? limits.max : s->config.max_table_elems;
    *t = (struct wasm_table){.elem = elem, .limits = limits, .max_elems = max};
    s->tables = mem_realloc(s->tables, (s->ntables + 1) * sizeof *s->tables);
    s->tables[s->ntables++] = t;
    table_grow(t, limits.min, init);
    *out = t;
    return ST_OK;
}

int64_t table_grow(struct wasm_table *t, uint32_t delta, wasm_ref init) {
    uint32_t old = t->size;
    if (delta > t->max_elems - old)
        return -1;
    uint32_t size = old + delta;
    if (size > t->cap) {
        uint32_t cap = t->cap ? t->cap : 16;
        while (cap < size)
            cap = cap > t->max_elems / 2 ? t->max_elems : cap * 2;
        t->elems = mem_realloc(t->elems, (size_t)cap * sizeof *t->elems);
        t->cap = cap;
    }
    for (uint32_t i = old; i < size; i++)
        t->elems[i] = init;
    t->size = size;
    return old;
}

uint32_t wasm_table_size(const struct wasm_table *t) {
    return t->size;
}

bool wasm_table_get(const struct wasm_table *t, uint32_t i, wasm_ref *out) {
    if (i >= t->size)
        return false;
    *out = t->elems[i];
    return true;
}

bool wasm_table_set(struct wasm_table *t, uint32_t i, wasm_ref v) {
    if (i >= t->size)
        return false;
    t->elems[i] = v;
    return true;
}

struct wasm_externtype wasm_extern_type(struct wasm_extern x) {
    struct wasm_externtype t = {.kind = x.kind};
    switch (x.kind) {
    case WASM_KIND_FUNC: t.func = x.func->type; break;
    case WASM_KIND_TABLE:
        t.limits = x.table->limits;
        t.limits.min = x.table->size;
        t.elem = x.table->elem;
        break;
    case WASM_KIND_MEMORY:
        t.limits = x.memory->limits;
        t.limits.min = (uint32_t)(x.memory->size / WASM_PAGE_SIZE);
        break;
    case WASM_KIND_GLOBAL: t.global = x.global->type; break;
    }
    return t;
}
