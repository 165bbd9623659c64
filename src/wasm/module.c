// A module's life and what wasm.h tells about it.

#include "wasm/module.h"

#include "base/must.h"

const char *wasm_type_name(enum wasm_type t) {
    switch (t) {
    case WASM_I32: return "i32";
    case WASM_I64: return "i64";
    case WASM_F32: return "f32";
    case WASM_F64: return "f64";
    case WASM_V128: return "v128";
    case WASM_FUNCREF: return "funcref";
    case WASM_EXTERNREF: return "externref";
    }
    return "?";
}

bool wasm_functype_equal(const struct wasm_functype *a, const struct wasm_functype *b) {
    return a == b || (a->nparams == b->nparams && a->nresults == b->nresults &&
                      (a->nparams == 0 || memcmp(a->params, b->params, a->nparams) == 0) &&
                      (a->nresults == 0 || memcmp(a->results, b->results, a->nresults) == 0));
}

enum status wasm_module_new(struct span bytes, struct wasm_module **out, struct err *e) {
    struct wasm_module *m = mem_zalloc(sizeof *m);
    arena_init(&m->arena);
    m->bytes = bytes;
    enum status s = module_decode(m, e);
    if (s == ST_OK)
        s = module_validate(m, e);
    if (s != ST_OK) {
        wasm_module_free(m);
        return s;
    }
    *out = m;
    return ST_OK;
}

void wasm_module_free(struct wasm_module *m) {
    if (!m)
        return;
    mem_free(m->func_names);
    arena_deinit(&m->arena);
    mem_free(m);
}

static struct wasm_externtype type_of(const struct wasm_module *m, enum wasm_kind kind, uint32_t index) {
    struct wasm_externtype t = {.kind = kind};
    switch (kind) {
    case WASM_KIND_FUNC: t.func = &m->types[m->funcs[index].type]; break;
    case WASM_KIND_TABLE:
        t.limits = m->tables[index].limits;
        t.elem = m->tables[index].elem;
        break;
    case WASM_KIND_MEMORY: t.limits = m->memories[index]; break;
    case WASM_KIND_GLOBAL: t.global = m->globals[index].type; break;
    }
    return t;
}

uint32_t wasm_module_nimports(const struct wasm_module *m) {
    return m->nimports;
}

struct wasm_import wasm_module_import(const struct wasm_module *m, uint32_t i) {
    must(i < m->nimports);
    const struct module_import *imp = &m->imports[i];
    return (struct wasm_import){imp->module, imp->name, type_of(m, imp->kind, imp->index)};
}

uint32_t wasm_module_nexports(const struct wasm_module *m) {
    return m->nexports;
}

struct wasm_export wasm_module_export(const struct wasm_module *m, uint32_t i) {
    must(i < m->nexports);
    const struct module_export *x = &m->exports[i];
    return (struct wasm_export){x->name, x->index, type_of(m, x->kind, x->index)};
}

struct span wasm_module_bytes(const struct wasm_module *m) {
    return m->bytes;
}

uint32_t wasm_module_nfuncs(const struct wasm_module *m) {
    return m->nfuncs;
}

uint32_t wasm_module_func_bytes(const struct wasm_module *m, uint32_t func) {
    const struct module_func *f = &m->funcs[func];
    return f->code ? (uint32_t)(f->end - f->code) : 0;
}

bool wasm_module_custom(const struct wasm_module *m, const char *name, uint32_t i, struct span *content) {
    for (uint32_t c = 0; c < m->ncustoms; c++)
        if (span_equal(m->customs[c].name, SPAN_STR(name)) && i-- == 0) {
            *content = m->customs[c].content;
            return true;
        }
    return false;
}

// Only the one module being decoded, by one thread, is written to.
void module_declare_ref(struct wasm_module *m, uint32_t func) {
    if (!m->declared_refs)
        m->declared_refs = arena_alloc(&m->arena, m->nfuncs / 8 + 1);
    m->declared_refs[func / 8] |= (uint8_t)(1u << func % 8);
}

bool module_ref_declared(const struct wasm_module *m, uint32_t func) {
    return m->declared_refs && (m->declared_refs[func / 8] >> func % 8 & 1);
}

uint32_t module_func_at(const struct wasm_module *m, uint32_t offset) {
    uint32_t low = m->nimported_funcs, high = m->nfuncs; /* bodies lie in order */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (m->funcs[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

const struct sha256 *wasm_module_hash(const struct wasm_module *m) {
    struct wasm_module *own = (struct wasm_module *)m;
    if (!m->hashed)
        sha256_of(m->bytes, &own->hash);
    own->hashed = true;
    return &m->hash;
}

void wasm_module_set_hash(struct wasm_module *m, const struct sha256 *hash) {
    m->hash = *hash;
    m->hashed = true;
}
