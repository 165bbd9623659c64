/* gen_module.c: everything of a random module but its code. */
#include "gen.h"

#include <stdio.h>

enum {
    SECTION_CUSTOM,
    SECTION_TYPE,
    SECTION_IMPORT,
    SECTION_FUNCTION,
    SECTION_TABLE,
    SECTION_MEMORY,
    SECTION_GLOBAL,
    SECTION_EXPORT,
    SECTION_START,
    SECTION_ELEMENT,
    SECTION_CODE,
    SECTION_DATA,
    SECTION_DATA_COUNT
};
enum { MAX_MODULE = 16 << 20 };

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

uint8_t random_type(struct gen *g) {
    static const uint8_t often[] = {WASM_I32, WASM_I32,  WASM_I32,  WASM_I64,  WASM_I64,     WASM_F32,      WASM_F64,
                                    WASM_F64, WASM_V128, WASM_V128, WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
    return often[below(g, sizeof often)];
}

static struct types random_types(struct gen *g, unsigned max) {
    struct types r = {.n = below(g, max + 1)};
    for (unsigned i = 0; i < r.n; i++)
        r.t[i] = random_type(g);
    return r;
}

static const struct sig HOST_SIGS[HOST_FUNCS] = {
    [HOST_LOG_I32] = {{{WASM_I32}, 1}, {{0}, 0}},
    [HOST_LOG_I64] = {{{WASM_I64}, 1}, {{0}, 0}},
    [HOST_LOG_F32] = {{{WASM_F32}, 1}, {{0}, 0}},
    [HOST_LOG_F64] = {{{WASM_F64}, 1}, {{0}, 0}},
    [HOST_MAKE_REF] = {{{WASM_I32}, 1}, {{WASM_EXTERNREF}, 1}},
    [HOST_READ_REF] = {{{WASM_EXTERNREF}, 1}, {{WASM_I32}, 1}},
};
static const char *const HOST_NAMES[HOST_FUNCS] = {"log-i32", "log-i64", "log-f32", "log-f64", "make-ref", "read-ref"};

/* Few lists of results, so that tail calls find partners. */
static void draw_sigs(struct gen *g) {
    struct module *m = &g->m;
    struct types results[5];
    for (unsigned i = 0; i < 5; i++)
        results[i] = random_types(g, i < 3 ? 1 : 4);
    memcpy(m->sigs, HOST_SIGS, sizeof HOST_SIGS);
    m->nsigs = HOST_FUNCS;
    while (m->nsigs < MAX_SIGS - 4)
        m->sigs[m->nsigs++] = (struct sig){random_types(g, 4), results[below(g, 5)]};
}

static void draw_funcs(struct gen *g) {
    struct module *m = &g->m;
    for (unsigned i = 0; i < HOST_FUNCS; i++)
        m->func_sigs[i] = i;
    m->nfuncs = HOST_FUNCS + 3 + below(g, 7);
    for (unsigned i = HOST_FUNCS; i < m->nfuncs; i++)
        m->func_sigs[i] = HOST_FUNCS + below(g, m->nsigs - HOST_FUNCS);
}

static void draw_tables(struct gen *g) {
    struct module *m = &g->m;
    m->ntables = 3 + below(g, 2);
    for (unsigned i = 0; i < m->ntables; i++) {
        uint32_t min = 4 + below(g, 20);
        uint8_t elem = i % 2 == 0       ? WASM_FUNCREF
                       : i == 1         ? WASM_EXTERNREF
                       : chance(g, 500) ? WASM_FUNCREF
                                        : WASM_EXTERNREF;
        m->tables[i] = (struct table){elem, min, min + below(g, 30)};
    }
}

static void draw_globals(struct gen *g) {
    struct module *m = &g->m;
    m->globals[GLOBAL_I32] = (struct global){WASM_I32, false};
    m->globals[GLOBAL_I64] = (struct global){WASM_I64, true};
    m->globals[GLOBAL_CALLS] = m->globals[GLOBAL_LOOPS] = (struct global){WASM_I32, true};
    m->nglobals = FIRST_GLOBAL + 3 + below(g, 10);
    for (unsigned i = FIRST_GLOBAL; i < m->nglobals; i++)
        m->globals[i] = (struct global){random_type(g), chance(g, 800)};
}

static void draw_segments(struct gen *g) {
    struct module *m = &g->m;
    m->nelems = 1 + below(g, 7);
    for (unsigned i = 0; i < m->nelems; i++) {
        struct elem_segment *e = &m->elems[i];
        *e = (struct elem_segment){.mode = below(g, 2), .type = WASM_FUNCREF, .n = below(g, MAX_SEGMENT_ELEMS + 1)};
        e->table = 1 + below(g, m->ntables - 1);
        if (i == 0) { /* something to call */
            e->mode = ELEM_ACTIVE;
            e->n = 4;
            e->table = 0;
        }
        if (e->mode == ELEM_ACTIVE)
            e->type = m->tables[e->table].elem;
        else if (chance(g, 300))
            e->type = WASM_EXTERNREF;
        e->as_exprs = e->type == WASM_EXTERNREF || chance(g, 500);
        if (e->mode == ELEM_ACTIVE) {
            uint32_t size = m->tables[e->table].min;
            e->n = e->n > size ? size : e->n;
            e->offset = below(g, size - e->n + 1);
        }
        for (unsigned k = 0; k < e->n; k++)
            e->funcs[k] =
                e->type == WASM_EXTERNREF || (e->as_exprs && chance(g, 200)) ? -1 : (int32_t)below(g, m->nfuncs);
    }
    m->memory_min = 1 + below(g, 2);
    m->memory_max = m->memory_min + below(g, 3);
    m->imports_globals = chance(g, 500); /* state of others keeps an engine from making snapshots */
    m->imports_memory = m->imports_globals && chance(g, 500);
    if (m->imports_memory)
        m->memory_min = 1; /* what the runners give */
    m->ndatas = below(g, 6);
    for (unsigned i = 0; i < m->ndatas; i++) {
        struct data_segment *d = &m->datas[i];
        *d = (struct data_segment){chance(g, 500), 0, below(g, 400)};
        d->offset = below(g, 0x8000);
    }
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_name(struct buf *b, const char *s) {
    buf_varint(b, strlen(s));
    buf_append(b, s, strlen(s));
}

static void put_limits(struct buf *b, uint32_t min, uint32_t max) {
    buf_byte(b, 1);
    buf_varint(b, min);
    buf_varint(b, max);
}

static void put_section(struct buf *out, int id, struct buf *content) {
    buf_byte(out, (uint8_t)id);
    buf_varint(out, content->size);
    buf_append(out, content->data, content->size);
    must(!content->failed);
    buf_clear(content);
}

static void put_types(struct buf *b, const struct types *t) {
    buf_varint(b, t->n);
    buf_append(b, t->t, t->n);
}

static void write_types(const struct module *m, struct buf *b) {
    buf_varint(b, m->nsigs);
    for (unsigned i = 0; i < m->nsigs; i++) {
        buf_byte(b, 0x60);
        put_types(b, &m->sigs[i].params);
        put_types(b, &m->sigs[i].results);
    }
}

static void write_imports(const struct module *m, struct buf *b) {
    buf_varint(b, HOST_FUNCS + (m->imports_globals ? 2u : 0u) + m->imports_memory);
    for (unsigned i = 0; i < HOST_FUNCS; i++) {
        put_name(b, "fuzzing-support");
        put_name(b, HOST_NAMES[i]);
        buf_byte(b, WASM_KIND_FUNC);
        buf_varint(b, i);
    }
    if (m->imports_globals) {
        put_name(b, "env");
        put_name(b, "i32");
        buf_append(b, (uint8_t[]){WASM_KIND_GLOBAL, WASM_I32, 0}, 3);
        put_name(b, "env");
        put_name(b, "i64");
        buf_append(b, (uint8_t[]){WASM_KIND_GLOBAL, WASM_I64, 1}, 3);
    }
    if (m->imports_memory) {
        put_name(b, "env");
        put_name(b, "memory");
        buf_byte(b, WASM_KIND_MEMORY);
        put_limits(b, 1, 65536); /* whatever the embedder gives */
    }
}

static void put_null(struct buf *b, uint8_t type) {
    put_op(b, OP_REF_NULL);
    buf_byte(b, type);
}

/* A constant expression, without its end: sometimes of the extended kind. */
static void put_global_init(struct gen *g, struct buf *b, uint8_t type) {
    if (type == WASM_FUNCREF && chance(g, 700)) {
        put_op(b, OP_REF_FUNC);
        buf_varint(b, below(g, g->m.nfuncs));
    } else if (is_ref(type)) {
        put_null(b, type);
    } else if (type == WASM_I32 && chance(g, 300)) {
        static const enum wasm_op ops[] = {OP_I32_ADD, OP_I32_SUB, OP_I32_MUL};
        put_random_const(g, b, type);
        if (g->m.imports_globals) {
            put_op(b, OP_GLOBAL_GET);
            buf_varint(b, GLOBAL_I32);
        } else {
            put_random_const(g, b, type);
        }
        put_op(b, ops[below(g, 3)]);
    } else if (type == WASM_I64 && chance(g, 300)) {
        static const enum wasm_op ops[] = {OP_I64_ADD, OP_I64_SUB, OP_I64_MUL};
        put_random_const(g, b, type);
        put_random_const(g, b, type);
        put_op(b, ops[below(g, 3)]);
    } else {
        put_random_const(g, b, type);
    }
}

static void write_globals(struct gen *g, struct buf *b) {
    const struct module *m = &g->m;
    unsigned first = m->imports_globals ? GLOBAL_CALLS : 0;
    buf_varint(b, m->nglobals - first);
    for (unsigned i = first; i < m->nglobals; i++) {
        buf_byte(b, m->globals[i].type);
        buf_byte(b, m->globals[i].is_mutable);
        put_global_init(g, b, m->globals[i].type);
        put_op(b, OP_END);
    }
}

static void put_func_ref(struct buf *b, int32_t func, uint8_t type) {
    if (func < 0) {
        put_null(b, type);
    } else {
        put_op(b, OP_REF_FUNC);
        buf_varint(b, (uint32_t)func);
    }
    put_op(b, OP_END);
}

/* All eight encodings occur: bit 0 not active, bit 1 explicit table or declarative, bit 2 expressions. */
static void write_elems(struct gen *g, struct buf *b) {
    const struct module *m = &g->m;
    buf_varint(b, m->nelems + 1);
    for (unsigned i = 0; i < m->nelems; i++) {
        const struct elem_segment *e = &m->elems[i];
        bool active = e->mode == ELEM_ACTIVE;
        bool explicit_table = active && (e->table != 0 || e->type != WASM_FUNCREF || chance(g, 300));
        buf_varint(b, (active ? 0u : 1u) | (explicit_table ? 2u : 0u) | (e->as_exprs ? 4u : 0u));
        if (explicit_table)
            buf_varint(b, e->table);
        if (active) {
            put_i32_const(b, (int32_t)e->offset);
            put_op(b, OP_END);
        }
        if (!active || explicit_table)
            buf_byte(b, e->as_exprs ? e->type : 0);
        buf_varint(b, e->n);
        for (unsigned k = 0; k < e->n; k++) {
            if (e->as_exprs)
                put_func_ref(b, e->funcs[k], e->type);
            else
                buf_varint(b, (uint32_t)e->funcs[k]);
        }
    }
    /* a declarative one, so that ref.func may name every function */
    buf_varint(b, 3);
    buf_byte(b, 0);
    buf_varint(b, m->nfuncs);
    for (unsigned i = 0; i < m->nfuncs; i++)
        buf_varint(b, i);
}

static void write_datas(struct gen *g, struct buf *b) {
    const struct module *m = &g->m;
    buf_varint(b, m->ndatas);
    for (unsigned i = 0; i < m->ndatas; i++) {
        const struct data_segment *d = &m->datas[i];
        buf_varint(b, d->active ? 0 : 1);
        if (d->active) {
            put_i32_const(b, (int32_t)d->offset);
            put_op(b, OP_END);
        }
        buf_varint(b, d->size);
        for (unsigned k = 0; k < d->size; k++)
            buf_byte(b, (uint8_t)prng_next(&g->prng));
    }
}

static bool uses_v128(const struct sig *s) {
    return memchr(s->params.t, WASM_V128, s->params.n) || memchr(s->results.t, WASM_V128, s->results.n);
}

static void put_export(struct buf *b, char prefix, unsigned number, enum wasm_kind kind, unsigned index) {
    char name[16];
    snprintf(name, sizeof name, "%c%u", prefix, number);
    put_name(b, name);
    buf_byte(b, (uint8_t)kind);
    buf_varint(b, index);
}

/* Functions the embedder can call (those with v128 through wrappers after the last), everything else to be looked at.
 */
static void write_exports(const struct module *m, struct buf *b, const unsigned *wrapped, unsigned nwrapped,
                          const unsigned *read, unsigned nread) {
    buf_varint(b, m->nfuncs - HOST_FUNCS + nread + m->nglobals + m->ntables + 1);
    unsigned wrapper = 0;
    for (unsigned i = HOST_FUNCS; i < m->nfuncs; i++) {
        if (wrapper < nwrapped && wrapped[wrapper] == i)
            put_export(b, 'w', i, WASM_KIND_FUNC, m->nfuncs + wrapper++);
        else
            put_export(b, 'f', i, WASM_KIND_FUNC, i);
    }
    for (unsigned i = 0; i < nread; i++)
        put_export(b, 'v', read[i], WASM_KIND_FUNC, m->nfuncs + nwrapped + i);
    for (unsigned i = 0; i < m->nglobals; i++) {
        if (i == GLOBAL_CALLS || i == GLOBAL_LOOPS) {
            put_name(b, i == GLOBAL_CALLS ? "calls" : "loops");
            buf_byte(b, WASM_KIND_GLOBAL);
            buf_varint(b, i);
        } else {
            put_export(b, 'g', i, WASM_KIND_GLOBAL, i);
        }
    }
    for (unsigned i = 0; i < m->ntables; i++)
        put_export(b, 't', i, WASM_KIND_TABLE, i);
    put_name(b, "memory");
    buf_byte(b, WASM_KIND_MEMORY);
    buf_varint(b, 0);
}

static void write_code(struct gen *g, struct buf *b, const unsigned *wrapped, unsigned nwrapped, const unsigned *read,
                       unsigned nread) {
    const struct module *m = &g->m;
    struct buf body;
    buf_init(&body, MAX_MODULE);
    buf_varint(b, m->nfuncs - HOST_FUNCS + nwrapped + nread);
    for (unsigned i = 0; i < m->nfuncs - HOST_FUNCS + nwrapped + nread; i++) {
        unsigned func = HOST_FUNCS + i;
        if (func < m->nfuncs)
            gen_body(g, func, &body);
        else if (func < m->nfuncs + nwrapped)
            gen_wrapper(g, wrapped[func - m->nfuncs], &body);
        else
            gen_global_reader(read[func - m->nfuncs - nwrapped], &body);
        must(!body.failed);
        buf_varint(b, body.size);
        buf_append(b, body.data, body.size);
        buf_clear(&body);
    }
    buf_deinit(&body);
}

void gen_module(uint64_t seed, struct buf *out) {
    struct gen g = {.prng = {seed}};
    struct module *m = &g.m;
    draw_sigs(&g);
    draw_funcs(&g);
    draw_tables(&g);
    draw_globals(&g);
    draw_segments(&g);
    unsigned wrapped[MAX_FUNCS], nwrapped = 0, read[MAX_GLOBALS], nread = 0;
    for (unsigned i = HOST_FUNCS; i < m->nfuncs; i++)
        if (uses_v128(&m->sigs[m->func_sigs[i]]))
            wrapped[nwrapped++] = i;
    for (unsigned i = FIRST_GLOBAL; i < m->nglobals; i++)
        if (m->globals[i].type == WASM_V128)
            read[nread++] = i;
    unsigned wrapper_sig = m->nsigs, reader_sig = m->nsigs + 1;
    m->sigs[m->nsigs++] = (struct sig){{{0}, 0}, {{WASM_I64}, 1}};
    m->sigs[m->nsigs++] = (struct sig){{{0}, 0}, {{WASM_I64, WASM_I64}, 2}};

    struct buf b;
    buf_init(&b, MAX_MODULE);
    buf_append(out, "\0asm\1\0\0\0", 8);
    write_types(m, &b);
    put_section(out, SECTION_TYPE, &b);
    write_imports(m, &b);
    put_section(out, SECTION_IMPORT, &b);
    buf_varint(&b, m->nfuncs - HOST_FUNCS + nwrapped + nread);
    for (unsigned i = HOST_FUNCS; i < m->nfuncs; i++)
        buf_varint(&b, m->func_sigs[i]);
    for (unsigned i = 0; i < nwrapped + nread; i++)
        buf_varint(&b, i < nwrapped ? wrapper_sig : reader_sig);
    put_section(out, SECTION_FUNCTION, &b);
    buf_varint(&b, m->ntables);
    for (unsigned i = 0; i < m->ntables; i++) {
        buf_byte(&b, m->tables[i].elem);
        put_limits(&b, m->tables[i].min, m->tables[i].max);
    }
    put_section(out, SECTION_TABLE, &b);
    if (!m->imports_memory) {
        buf_varint(&b, 1);
        put_limits(&b, m->memory_min, m->memory_max);
        put_section(out, SECTION_MEMORY, &b);
    }
    write_globals(&g, &b);
    put_section(out, SECTION_GLOBAL, &b);
    write_exports(m, &b, wrapped, nwrapped, read, nread);
    put_section(out, SECTION_EXPORT, &b);
    write_elems(&g, &b);
    put_section(out, SECTION_ELEMENT, &b);
    buf_varint(&b, m->ndatas);
    put_section(out, SECTION_DATA_COUNT, &b);
    write_code(&g, &b, wrapped, nwrapped, read, nread);
    put_section(out, SECTION_CODE, &b);
    write_datas(&g, &b);
    put_section(out, SECTION_DATA, &b);
    must(!out->failed);
    buf_deinit(&b);
}
