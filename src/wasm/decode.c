// The binary format's sections, in their order. Function bodies are only found here; validate.c reads them.

#include "wasm/validate.h"

#include <stdlib.h>

#define INVALID(r, at, ...)   reader_fail(r, at, ST_INVALID, __VA_ARGS__)
#define MALFORMED(r, at, ...) reader_fail(r, at, ST_MALFORMED, __VA_ARGS__)

// ---- types

static uint8_t read_valtype(struct reader *r) {
    const uint8_t *at = r->p;
    uint8_t t = read_byte(r);
    if (!is_valtype(t))
        MALFORMED(r, at, "malformed value type 0x%02x", t);
    return t;
}

static enum wasm_type read_reftype(struct reader *r) {
    const uint8_t *at = r->p;
    uint8_t t = read_byte(r);
    if (!is_reftype(t))
        MALFORMED(r, at, "malformed reference type 0x%02x", t);
    return (enum wasm_type)t;
}

// A vector of value types, copied to `*to`, which moves on.
static void read_types(struct reader *r, uint8_t **to, uint32_t limit, const char *what, uint32_t *n, uint32_t *slots) {
    const uint8_t *at = r->p;
    *n = read_count(r, 1);
    *slots = 0;
    if (*n > limit)
        reader_fail(r, at, ST_LIMIT, "a function type has %u %s, more than %u", *n, what, limit);
    for (uint32_t i = 0; i < *n && r->status == ST_OK; i++) {
        uint8_t t = *(*to)++ = read_valtype(r);
        *slots += t == WASM_V128 ? 2 : 1;
    }
}

static void decode_types(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 3);
    m->types = ARENA_ARRAY(&m->arena, struct wasm_functype, n);
    uint8_t *to = arena_alloc(&m->arena, reader_left(r)); // every value type takes a byte of the section
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        const uint8_t *at = r->p;
        uint8_t form = read_byte(r);
        if (form != 0x60)
            MALFORMED(r, at, "malformed function type: form 0x%02x", form);
        struct wasm_functype *t = &m->types[m->ntypes++];
        t->params = to;
        read_types(r, &to, WASM_MAX_PARAMS, "parameters", &t->nparams, &t->param_slots);
        t->results = to;
        read_types(r, &to, WASM_MAX_RESULTS, "results", &t->nresults, &t->result_slots);
    }
}

static struct wasm_limits read_limits(struct reader *r, uint64_t most, const char *what) {
    const uint8_t *at = r->p;
    uint8_t flags = read_byte(r);
    if (flags >= 4 && flags <= 7)
        reader_fail(r, at, ST_UNSUPPORTED, "a 64-bit %s is not supported", what);
    else if (flags > 1)
        MALFORMED(r, at, "malformed limits of a %s: flags 0x%02x%s", what, flags,
                  (flags & ~1) == 2 ? " (shared: threads are not supported)" : "");
    struct wasm_limits l = {read_u32(r), UINT32_MAX, flags & 1};
    if (l.has_max)
        l.max = read_u32(r);
    if (l.min > most || (l.has_max && l.max > most))
        INVALID(r, at, "%s size must be at most %llu", what, (unsigned long long)most);
    if (l.min > l.max)
        INVALID(r, at, "%s size minimum must not be greater than maximum", what);
    return l;
}

static struct module_table read_table(struct reader *r) {
    enum wasm_type elem = read_reftype(r);
    return (struct module_table){elem, read_limits(r, UINT32_MAX, "table")};
}

static struct wasm_limits read_memory(struct reader *r) {
    return read_limits(r, 65536, "memory");
}

static struct wasm_globaltype read_globaltype(struct reader *r) {
    enum wasm_type t = (enum wasm_type)read_valtype(r);
    const uint8_t *at = r->p;
    uint8_t mutability = read_byte(r);
    if (mutability > 1)
        MALFORMED(r, at, "malformed mutability 0x%02x", mutability);
    return (struct wasm_globaltype){t, mutability == 1};
}

static uint32_t read_typeidx(struct reader *r, const struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t i = read_u32(r);
    if (i >= m->ntypes)
        INVALID(r, at, "unknown type %u", i);
    return i;
}

static void check_memories(struct reader *r, const struct wasm_module *m) {
    if (m->nmemories > 1)
        INVALID(r, r->p, "multiple memories");
}

// ---- imports

// Reads one import into the index space of its kind, which has room for it.
static struct module_import read_import(struct reader *r, struct wasm_module *m) {
    struct module_import imp;
    imp.module = read_name(r);
    imp.name = read_name(r);
    imp.index = 0;
    const uint8_t *at = r->p;
    imp.kind = (enum wasm_kind)read_byte(r);
    switch (imp.kind) {
    case WASM_KIND_FUNC:
        imp.index = m->nfuncs++;
        m->funcs[imp.index].type = read_typeidx(r, m);
        break;
    case WASM_KIND_TABLE:
        imp.index = m->ntables++;
        m->tables[imp.index] = read_table(r);
        break;
    case WASM_KIND_MEMORY:
        imp.index = m->nmemories++;
        m->memories[imp.index] = read_memory(r);
        break;
    case WASM_KIND_GLOBAL:
        imp.index = m->nglobals++;
        m->globals[imp.index].type = read_globaltype(r);
        break;
    default:
        MALFORMED(r, at, "malformed import kind 0x%02x%s", imp.kind,
                  (int)imp.kind == 4 ? " (a tag: exceptions are not supported)" : "");
    }
    return imp;
}

// How many imports of each kind there are, so that memory is taken for no more; `r` is a copy.
static void count_imports(struct reader r, uint32_t n, uint32_t counts[4]) {
    struct module_func func;
    struct module_table table;
    struct wasm_limits memory;
    struct module_global global;
    r.e = NULL;
    while (n-- && r.status == ST_OK) {
        // types are looked at when they are read again: any index will do here
        struct wasm_module one = {
            .ntypes = UINT32_MAX, .funcs = &func, .tables = &table, .memories = &memory, .globals = &global};
        struct module_import imp = read_import(&r, &one);
        if (r.status == ST_OK)
            counts[imp.kind]++;
    }
}

static void decode_imports(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 4), counts[4] = {0};
    count_imports(*r, n, counts);
    // an import that cannot be read is counted nowhere, but read_import writes before it knows
    m->imports = ARENA_ARRAY(&m->arena, struct module_import, n);
    m->funcs = ARENA_ARRAY(&m->arena, struct module_func, counts[WASM_KIND_FUNC] + 1);
    m->tables = ARENA_ARRAY(&m->arena, struct module_table, counts[WASM_KIND_TABLE] + 1);
    m->memories = ARENA_ARRAY(&m->arena, struct wasm_limits, counts[WASM_KIND_MEMORY] + 1);
    m->globals = ARENA_ARRAY(&m->arena, struct module_global, counts[WASM_KIND_GLOBAL] + 1);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->imports[m->nimports++] = read_import(r, m);
    m->nimported_funcs = m->nfuncs;
    m->nimported_tables = m->ntables;
    m->nimported_memories = m->nmemories;
    m->nimported_globals = m->nglobals;
    check_memories(r, m);
}

// An index space's array, made longer by `extra` items.
#define EXTEND(m, array, count, extra) \
    ((m)->array = extend(&(m)->arena, (m)->array, (m)->count, sizeof *(m)->array, (extra)))

static void *extend(struct arena *a, const void *old, uint32_t n, size_t item_bytes, uint32_t extra) {
    void *p = arena_alloc(a, item_bytes * ((size_t)n + extra));
    if (n)
        memcpy(p, old, item_bytes * n);
    return p;
}

// ---- definitions

static void decode_funcs(struct reader *r, struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t n = read_count(r, 1);
    // Every function also has a body, at least a size, no locals and an end: more of them than that are not believed.
    if (n > (size_t)(m->bytes.data + m->bytes.size - r->p) / 4) {
        MALFORMED(r, at, "function and code section have inconsistent lengths: %u functions", n);
        return;
    }
    EXTEND(m, funcs, nfuncs, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->funcs[m->nfuncs++].type = read_typeidx(r, m);
}

static void decode_tables(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 3);
    EXTEND(m, tables, ntables, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->tables[m->ntables++] = read_table(r);
}

static void decode_memories(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 2);
    EXTEND(m, memories, nmemories, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->memories[m->nmemories++] = read_memory(r);
    check_memories(r, m);
}

static void decode_globals(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 3);
    EXTEND(m, globals, nglobals, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        struct wasm_globaltype type = read_globaltype(r);
        struct constexpr_ init = validate_const(r, m, (uint8_t)type.type);
        m->globals[m->nglobals++] = (struct module_global){type, init};
    }
}

// ---- exports, start

static int compare_exports(const void *pa, const void *pb) {
    const struct module_export *a = *(const struct module_export *const *)pa;
    const struct module_export *b = *(const struct module_export *const *)pb;
    size_t n = a->name.size < b->name.size ? a->name.size : b->name.size;
    int c = n ? memcmp(a->name.data, b->name.data, n) : 0;
    return c ? c : (a->name.size > b->name.size) - (a->name.size < b->name.size);
}

static void check_export_names(struct reader *r, const struct wasm_module *m) {
    const struct module_export **sorted = mem_alloc((m->nexports + 1ul) * sizeof *sorted);
    for (uint32_t i = 0; i < m->nexports; i++)
        sorted[i] = &m->exports[i];
    qsort(sorted, m->nexports, sizeof *sorted, compare_exports);
    for (uint32_t i = 1; i < m->nexports; i++) {
        struct span name = sorted[i]->name;
        if (span_equal(sorted[i - 1]->name, name)) {
            char text[NAME_TEXT];
            INVALID(r, name.data, "duplicate export name %s", module_name_text(text, name));
            break;
        }
    }
    mem_free(sorted);
}

static void decode_exports(struct reader *r, struct wasm_module *m) {
    static const char *const kinds[] = {"function", "table", "memory", "global"};
    const uint32_t counts[] = {m->nfuncs, m->ntables, m->nmemories, m->nglobals};
    uint32_t n = read_count(r, 3);
    m->exports = ARENA_ARRAY(&m->arena, struct module_export, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        struct span name = read_name(r);
        const uint8_t *at = r->p;
        uint8_t kind = read_byte(r);
        if (kind > WASM_KIND_GLOBAL) {
            MALFORMED(r, at, "malformed export kind 0x%02x", kind);
            return;
        }
        uint32_t index = read_u32(r);
        if (r->status == ST_OK && index >= counts[kind])
            INVALID(r, at, "unknown %s %u", kinds[kind], index);
        if (r->status != ST_OK)
            return;
        if (kind == WASM_KIND_FUNC)
            module_declare_ref(m, index);
        m->exports[m->nexports++] = (struct module_export){name, (enum wasm_kind)kind, index};
    }
    check_export_names(r, m);
}

static void decode_start(struct reader *r, struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t i = read_u32(r);
    if (r->status != ST_OK)
        return;
    if (i >= m->nfuncs) {
        INVALID(r, at, "unknown function %u", i);
        return;
    }
    const struct wasm_functype *t = &m->types[m->funcs[i].type];
    if (t->nparams || t->nresults)
        INVALID(r, at, "start function %u has parameters or results", i);
    m->has_start = true;
    m->start = i;
}

// ---- segments

static void read_elem_funcs(struct reader *r, struct wasm_module *m, struct module_elem *s) {
    uint32_t n = read_count(r, 1);
    uint32_t *funcs = ARENA_ARRAY(&m->arena, uint32_t, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        const uint8_t *at = r->p;
        funcs[i] = read_u32(r);
        if (r->status == ST_OK && funcs[i] >= m->nfuncs)
            INVALID(r, at, "unknown function %u", funcs[i]);
        if (r->status == ST_OK)
            module_declare_ref(m, funcs[i]);
    }
    s->count = n;
    s->funcs = funcs;
}

static void read_elem_exprs(struct reader *r, struct wasm_module *m, struct module_elem *s) {
    uint32_t n = read_count(r, 1);
    struct constexpr_ *exprs = ARENA_ARRAY(&m->arena, struct constexpr_, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        exprs[i] = validate_const(r, m, (uint8_t)s->type);
    s->count = n;
    s->exprs = exprs;
}

// Bits of the flags: 1 not active, 2 a table index (active) or declarative, 4 expressions instead of indices.
static struct module_elem read_elem(struct reader *r, struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t flags = read_u32(r);
    if (flags > 7)
        MALFORMED(r, at, "malformed elements segment kind %u", flags);
    struct module_elem s = {.type = WASM_FUNCREF};
    s.mode = !(flags & 1) ? SEGMENT_ACTIVE : flags & 2 ? SEGMENT_DECLARATIVE : SEGMENT_PASSIVE;
    if (s.mode == SEGMENT_ACTIVE) {
        s.table = flags & 2 ? read_u32(r) : 0;
        if (s.table >= m->ntables)
            INVALID(r, at, "unknown table %u", s.table);
        s.offset = validate_const(r, m, WASM_I32);
    }
    if (flags & 3) {
        const uint8_t *kind_at = r->p;
        if (flags & 4)
            s.type = read_reftype(r);
        else if (read_byte(r) != 0)
            MALFORMED(r, kind_at, "malformed element kind");
    }
    if (r->status == ST_OK && s.mode == SEGMENT_ACTIVE && m->tables[s.table].elem != s.type)
        INVALID(r, at, "type mismatch: elements of %s for a table of %s", wasm_type_name(s.type),
                wasm_type_name(m->tables[s.table].elem));
    if (flags & 4)
        read_elem_exprs(r, m, &s);
    else
        read_elem_funcs(r, m, &s);
    return s;
}

static void decode_elems(struct reader *r, struct wasm_module *m) {
    uint32_t n = read_count(r, 3);
    m->elems = ARENA_ARRAY(&m->arena, struct module_elem, n);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->elems[m->nelems++] = read_elem(r, m);
}

static void decode_data_count(struct reader *r, struct wasm_module *m) {
    m->data_count = read_u32(r);
    m->has_data_count = true;
}

static struct module_data read_data(struct reader *r, struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t flags = read_u32(r);
    if (flags > 2)
        MALFORMED(r, at, "malformed data segment kind %u", flags);
    struct module_data d = {.mode = flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE};
    if (d.mode == SEGMENT_ACTIVE) {
        d.memory = flags == 2 ? read_u32(r) : 0;
        if (d.memory >= m->nmemories)
            INVALID(r, at, "unknown memory %u", d.memory);
        d.offset = validate_const(r, m, WASM_I32);
    }
    d.bytes = read_bytes(r, read_u32(r));
    return d;
}

static void decode_datas(struct reader *r, struct wasm_module *m) {
    const uint8_t *at = r->p;
    uint32_t n = read_count(r, 2);
    if (m->has_data_count && n != m->data_count)
        MALFORMED(r, at, "data count and data section have inconsistent lengths: %u and %u", m->data_count, n);
    m->datas = ARENA_ARRAY(&m->arena, struct module_data, r->status == ST_OK ? n : 0);
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++)
        m->datas[m->ndatas++] = read_data(r, m);
}

// ---- code

static void read_locals(struct reader *r, struct module_func *f) {
    const uint8_t *at = r->p;
    uint32_t groups = read_count(r, 2);
    uint64_t n = 0;
    while (groups-- && r->status == ST_OK) {
        n += read_u32(r);
        if (n > UINT32_MAX)
            MALFORMED(r, at, "too many locals");
        read_valtype(r);
    }
    if (n > WASM_MAX_LOCALS)
        reader_fail(r, at, ST_LIMIT, "%llu locals, more than %d", (unsigned long long)n, WASM_MAX_LOCALS);
    f->nlocals = (uint32_t)n;
}

static void decode_code(struct reader *r, struct wasm_module *m) {
    m->code_offset = (uint32_t)(r->p - r->file);
    const uint8_t *at = r->p;
    uint32_t n = read_u32(r);
    if (n != m->nfuncs - m->nimported_funcs) {
        MALFORMED(r, at, "function and code section have inconsistent lengths: %u and %u",
                  m->nfuncs - m->nimported_funcs, n);
        return;
    }
    for (uint32_t i = 0; i < n && r->status == ST_OK; i++) {
        struct module_func *f = &m->funcs[m->nimported_funcs + i];
        at = r->p;
        struct span body = read_bytes(r, read_u32(r));
        if (body.size > WASM_MAX_BODY_BYTES)
            reader_fail(r, at, ST_LIMIT, "a function body of %zu bytes, more than %d", body.size, WASM_MAX_BODY_BYTES);
        if (r->status != ST_OK)
            return;
        struct reader b = {r->file, body.data, body.data + body.size, ST_OK, r->e};
        f->locals_code = b.p;
        read_locals(&b, f);
        f->code = b.p;
        f->end = b.end;
        f->offset = (uint32_t)(b.p - r->file);
        r->status = b.status;
    }
}

// ---- the whole

static void decode_custom(struct reader *r, struct wasm_module *m) {
    // The list doubles when it is full; what it leaves behind in the arena is less than what it takes.
    if ((m->ncustoms & (m->ncustoms - 1)) == 0)
        EXTEND(m, customs, ncustoms, m->ncustoms ? m->ncustoms : 1);
    struct span name = read_name(r);
    m->customs[m->ncustoms++] = (struct module_custom){name, SPAN(r->p, reader_left(r))};
    r->p = r->end;
}

// By section id; `order` is the place in a module, which ids do not follow everywhere.
static const struct section {
    const char *name;
    void (*decode)(struct reader *, struct wasm_module *);
    int order;
} sections[] = {
    {"custom", decode_custom, 0},          {"type", decode_types, 1},     {"import", decode_imports, 2},
    {"function", decode_funcs, 3},         {"table", decode_tables, 4},   {"memory", decode_memories, 5},
    {"global", decode_globals, 7},         {"export", decode_exports, 8}, {"start", decode_start, 9},
    {"element", decode_elems, 10},         {"code", decode_code, 12},     {"data", decode_datas, 13},
    {"data count", decode_data_count, 11},
};

// Reads the section at r->p, which has to come after those of order `last`; returns its own order.
static int decode_section(struct reader *r, struct wasm_module *m, int last) {
    const uint8_t *at = r->p;
    uint8_t id = read_byte(r);
    if (id == 13)
        reader_fail(r, at, ST_UNSUPPORTED, "the tag section belongs to exceptions, which are not supported");
    if (id >= sizeof sections / sizeof *sections) {
        MALFORMED(r, at, "malformed section id %u", id);
        return last;
    }
    const struct section *s = &sections[id];
    struct span content = read_bytes(r, read_u32(r));
    if (r->status == ST_OK && id != 0 && s->order <= last)
        MALFORMED(r, at, "unexpected content: the %s section comes too late or twice", s->name);
    if (r->status != ST_OK)
        return last;
    struct reader c = {r->file, content.data, content.data + content.size, ST_OK, r->e};
    s->decode(&c, m);
    if (c.status == ST_OK && c.p != c.end)
        MALFORMED(&c, c.p, "section size mismatch: %zu bytes left in the %s section", reader_left(&c), s->name);
    r->status = c.status;
    return id == 0 ? last : s->order;
}

enum status module_decode(struct wasm_module *m, struct err *e) {
    static const uint8_t magic[] = {0, 'a', 's', 'm'}, version[] = {1, 0, 0, 0}, component[] = {0x0d, 0, 1, 0};
    struct reader r = {m->bytes.data, m->bytes.data, m->bytes.data + m->bytes.size, ST_OK, e};
    if (m->bytes.size > UINT32_MAX)
        return err_set(e, ST_LIMIT, "the module is larger than 4 GiB");
    if (m->bytes.size < 4 || memcmp(r.p, magic, 4) != 0)
        return err_set(e, ST_MALFORMED, "magic header not detected: not a WebAssembly module");
    if (m->bytes.size >= 8 && memcmp(r.p + 4, component, 4) == 0)
        return err_set(e, ST_UNSUPPORTED, "a WebAssembly component, not a module");
    if (m->bytes.size < 8 || memcmp(r.p + 4, version, 4) != 0)
        return err_set(e, ST_MALFORMED, "unknown binary version");
    r.p += 8;
    int last = 0;
    while (r.status == ST_OK && r.p < r.end)
        last = decode_section(&r, m, last);
    if (r.status == ST_OK && m->nfuncs > m->nimported_funcs && !m->funcs[m->nfuncs - 1].code)
        MALFORMED(&r, r.end, "function and code section have inconsistent lengths: the code section is missing");
    if (r.status == ST_OK && m->has_data_count && m->data_count != m->ndatas)
        MALFORMED(&r, r.end, "data count and data section have inconsistent lengths: %u and %u", m->data_count,
                  m->ndatas);
    return r.status;
}
