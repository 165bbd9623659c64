/* instance.c: linking and initialising. */
#include "wasm/engine.h"
#include "wasm/opcodes.h"

/* ---- constant expressions
 * -------------------------------------------------------------------------------------------- */

static uint64_t leb(const uint8_t **p, bool is_signed) {
    uint64_t r = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
        b = *(*p)++;
        if (shift < 64)
            r |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (is_signed && shift < 64 && (b & 0x40))
        r |= ~(uint64_t)0 << shift;
    return r;
}

/* Evaluates a validated constant expression. */
static union wasm_value evaluate(struct wasm_instance *i, const struct constexpr_ *c) {
    union wasm_value few[16], *stack = few;
    if (c->size > 16) /* no more operands than bytes */
        stack = mem_alloc(c->size * sizeof *stack);
    uint32_t n = 0;
    const uint8_t *p = c->code;
    for (;;) {
        uint8_t byte = *p++;
        uint32_t op = byte == 0xfd ? wasm_op_of(byte, (uint32_t)leb(&p, false)) : wasm_op_of_byte(byte);
        union wasm_value v = {0};
        switch (op) {
        case OP_END:
            must(n == 1);
            v = stack[0];
            if (stack != few)
                mem_free(stack);
            return v;
        case OP_I32_CONST: v.i64 = (uint32_t)leb(&p, true); break;
        case OP_I64_CONST: v.i64 = leb(&p, true); break;
        case OP_F32_CONST:
            v.i32 = get_u32(p);
            p += 4;
            break;
        case OP_F64_CONST:
            v.i64 = get_u64(p);
            p += 8;
            break;
        case OP_V128_CONST:
            memcpy(v.v128, p, 16);
            p += 16;
            break;
        case OP_REF_NULL: p++; break;
        case OP_REF_FUNC: v.ref = (uint64_t)(uintptr_t)i->funcs[leb(&p, false)]; break;
        case OP_GLOBAL_GET: v = i->globals[leb(&p, false)]->v; break;
        default: { /* extended constant expressions: two operands */
            must(n >= 2);
            union wasm_value r = stack[--n], l = stack[--n];
            switch (op) {
            case OP_I32_ADD: v.i64 = (uint32_t)(l.i32 + r.i32); break;
            case OP_I32_SUB: v.i64 = (uint32_t)(l.i32 - r.i32); break;
            case OP_I32_MUL: v.i64 = (uint32_t)(l.i32 * r.i32); break;
            case OP_I64_ADD: v.i64 = l.i64 + r.i64; break;
            case OP_I64_SUB: v.i64 = l.i64 - r.i64; break;
            case OP_I64_MUL: v.i64 = l.i64 * r.i64; break;
            default: must(!"constant operator");
            }
        }
        }
        stack[n++] = v;
    }
}

wasm_ref instance_elem(struct wasm_instance *i, const struct module_elem *seg, uint32_t index) {
    if (seg->funcs)
        return (uint64_t)(uintptr_t)i->funcs[seg->funcs[index]];
    return evaluate(i, &seg->exprs[index]).ref;
}

/* ---- linking
 * --------------------------------------------------------------------------------------------------------- */

static bool limits_match(struct wasm_limits have, struct wasm_limits want) {
    return have.min >= want.min && (!want.has_max || (have.has_max && have.max <= want.max));
}

static enum status link_one(struct wasm_instance *i, uint32_t n, struct wasm_extern x, struct err *e) {
    const struct wasm_module *m = i->module;
    const struct module_import *im = &m->imports[n];
    struct wasm_externtype want = wasm_module_import(m, n).type;
    bool ok = x.kind == im->kind;
    if (ok) {
        struct wasm_externtype have = wasm_extern_type(x);
        switch (x.kind) {
        case WASM_KIND_FUNC:
            ok = wasm_functype_equal(have.func, want.func);
            i->funcs[im->index] = x.func;
            break;
        case WASM_KIND_TABLE:
            ok = have.elem == want.elem && limits_match(have.limits, want.limits);
            i->tables[im->index] = x.table;
            break;
        case WASM_KIND_MEMORY:
            ok = limits_match(have.limits, want.limits);
            i->memories[im->index] = x.memory;
            break;
        case WASM_KIND_GLOBAL:
            ok = have.global.type == want.global.type && have.global.is_mutable == want.global.is_mutable;
            i->globals[im->index] = x.global;
            break;
        }
    }
    if (!ok)
        return err_set(e, ST_UNLINKABLE, "import %.*s.%.*s: incompatible import type", (int)im->module.size,
                       (const char *)im->module.data, (int)im->name.size, (const char *)im->name.data);
    return ST_OK;
}

static enum status make_entities(struct wasm_instance *i, struct err *e) {
    const struct wasm_module *m = i->module;
    struct wasm_store *s = i->store;
    enum status st = ST_OK;
    for (uint32_t n = m->nimported_funcs; n < m->nfuncs; n++) {
        struct wasm_func *f = i->funcs[n];
        f->type = i->code->types[m->funcs[n].type];
        f->instance = i;
        f->code = &i->code->codes[n];
        f->index = n;
    }
    for (uint32_t n = m->nimported_tables; n < m->ntables && st == ST_OK; n++)
        st = wasm_table_new(s, m->tables[n].elem, m->tables[n].limits, 0, &i->tables[n], e);
    for (uint32_t n = m->nimported_memories; n < m->nmemories && st == ST_OK; n++)
        st = wasm_memory_new(s, m->memories[n], &i->memories[n], e);
    for (uint32_t n = m->nimported_globals; n < m->nglobals && st == ST_OK; n++) {
        i->globals[n] = &i->own_globals[n - m->nimported_globals];
        i->globals[n]->type = m->globals[n].type;
        wasm_global_set(i->globals[n], evaluate(i, &m->globals[n].init));
    }
    return st;
}

static enum status trapped(struct err *e, enum wasm_trap_kind k) {
    return err_set(e, ST_TRAPPED, "%s", wasm_trap_text(k));
}

static enum status copy_segments(struct wasm_instance *i, struct err *e) {
    const struct wasm_module *m = i->module;
    for (uint32_t n = 0; n < m->nelems; n++) {
        const struct module_elem *seg = &m->elems[n];
        i->dropped_elems[n] = seg->mode != SEGMENT_PASSIVE;
        if (seg->mode != SEGMENT_ACTIVE)
            continue;
        struct wasm_table *t = i->tables[seg->table];
        uint64_t at = evaluate(i, &seg->offset).i32;
        if (at + seg->count > t->size)
            return trapped(e, WASM_TRAP_TABLE_BOUNDS);
        for (uint32_t k = 0; k < seg->count; k++)
            t->elems[at + k] = instance_elem(i, seg, k);
    }
    for (uint32_t n = 0; n < m->ndatas; n++) {
        const struct module_data *seg = &m->datas[n];
        i->dropped_datas[n] = seg->mode == SEGMENT_ACTIVE;
        if (seg->mode != SEGMENT_ACTIVE)
            continue;
        struct wasm_memory *mem = i->memories[seg->memory];
        uint64_t at = evaluate(i, &seg->offset).i32;
        if (at + seg->bytes.size > mem->size)
            return trapped(e, WASM_TRAP_MEMORY_BOUNDS);
        if (seg->bytes.size)
            memcpy(mem->data + at, seg->bytes.data, seg->bytes.size);
    }
    return ST_OK;
}

enum status wasm_instance_new(struct wasm_store *s, const struct wasm_module *m, const struct wasm_extern *imports,
                              uint32_t nimports, struct wasm_instance **out, struct err *e) {
    if (nimports != m->nimports)
        return err_set(e, ST_UNLINKABLE, "%u imports given, the module has %u", nimports, m->nimports);
    struct arena *a = &s->arena;
    struct wasm_instance *i = ARENA_NEW(a, struct wasm_instance);
    i->store = s;
    i->module = m;
    i->code = store_module_code(s, m);
    i->funcs = ARENA_ARRAY(a, struct wasm_func *, m->nfuncs);
    i->tables = ARENA_ARRAY(a, struct wasm_table *, m->ntables);
    i->memories = ARENA_ARRAY(a, struct wasm_memory *, m->nmemories + 1);
    i->globals = ARENA_ARRAY(a, struct wasm_global *, m->nglobals);
    i->own_globals = ARENA_ARRAY(a, struct wasm_global, m->nglobals - m->nimported_globals);
    i->dropped_elems = ARENA_ARRAY(a, uint8_t, m->nelems);
    i->dropped_datas = ARENA_ARRAY(a, uint8_t, m->ndatas);
    struct wasm_func *funcs = ARENA_ARRAY(a, struct wasm_func, m->nfuncs - m->nimported_funcs);
    for (uint32_t n = m->nimported_funcs; n < m->nfuncs; n++)
        i->funcs[n] = &funcs[n - m->nimported_funcs];
    enum status st = ST_OK;
    for (uint32_t n = 0; n < nimports && st == ST_OK; n++)
        st = link_one(i, n, imports[n], e);
    if (st == ST_OK)
        st = make_entities(i, e);
    if (st != ST_OK)
        return st;
    i->next = s->instances;
    s->instances = i;
    s->ninstances++;
    st = copy_segments(i, e);
    if (st == ST_OK)
        *out = i;
    return st;
}

/* ---- access
 * ---------------------------------------------------------------------------------------------------------- */

struct wasm_func *wasm_instance_start(struct wasm_instance *i) {
    return i->module->has_start ? i->funcs[i->module->start] : NULL;
}

struct wasm_func *wasm_instance_func(struct wasm_instance *i, uint32_t index) {
    return index < i->module->nfuncs ? i->funcs[index] : NULL;
}

const struct wasm_module *wasm_instance_module(const struct wasm_instance *i) {
    return i->module;
}

struct wasm_memory *wasm_instance_memory(struct wasm_instance *i) {
    return i->memories[0];
}

bool wasm_instance_export(struct wasm_instance *i, const char *name, struct wasm_extern *out) {
    const struct wasm_module *m = i->module;
    for (uint32_t n = 0; n < m->nexports; n++) {
        const struct module_export *x = &m->exports[n];
        if (!span_equal(x->name, SPAN_STR(name)))
            continue;
        out->kind = x->kind;
        switch (x->kind) {
        case WASM_KIND_FUNC: out->func = i->funcs[x->index]; break;
        case WASM_KIND_TABLE: out->table = i->tables[x->index]; break;
        case WASM_KIND_MEMORY: out->memory = i->memories[x->index]; break;
        case WASM_KIND_GLOBAL: out->global = i->globals[x->index]; break;
        }
        return true;
    }
    return false;
}
