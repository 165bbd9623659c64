/* instrument: rewrites a module, for comparing engines.
 * usage: instrument nans|ticks IN.wasm OUT.wasm
 *
 * nans   Behind every float operator on vectors goes a call that makes NaN lanes canonical, for modules that gen did
 * not make. (For scalars wasm-opt has --denan.) ticks  The module counts its own operators, as docs/design/clock.md
 * wants them counted, in a global exported as "ticks", which on any other engine tells what our clock must say.
 *
 * Functions, types and globals are appended, so that no index changes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "gen.h"
#include "wasm/module.h"

enum { SECTION_TYPE = 1, SECTION_FUNCTION = 3, SECTION_GLOBAL = 6, SECTION_EXPORT = 7, SECTION_CODE = 10 };
enum { NEW_FUNCS = 2, NEW_GLOBALS = 2, MAX_MODULE = 64 << 20 };

/* What is appended. The helpers are made canonical for f32x4 and for f64x2, or note the length of a bulk operation
 * (i32 -> i32) and count it afterwards (its top bits: 64 bytes are a tick, or 8 elements, by the parameter). */
struct plan {
    bool ticks;
    uint32_t func;   /* the first new function */
    uint32_t type;   /* the first new type */
    uint32_t global; /* ticks, i64; the next is the length noted, i32 */
};

/* ---- walking code ----------------------------------------------------------------------------------------------- */

static const uint8_t *skip_leb(const uint8_t *p, unsigned n) {
    for (; n > 0; p++)
        n -= !(*p & 0x80);
    return p;
}

static const uint8_t *read_u32(const uint8_t *p, const uint8_t *end, uint32_t *v) {
    uint64_t wide;
    p = get_varint(p, end, &wide);
    must(p);
    *v = (uint32_t)wide;
    return p;
}

static const uint8_t *skip_immediates(const uint8_t *p, const uint8_t *end, enum wasm_imm imm) {
    uint32_t n;
    switch (imm) {
    case IMM_NONE:
    case IMM_TRAPS: return p;
    case IMM_REFTYPE:
    case IMM_MEMORY:
    case IMM_LANE: return p + 1;
    case IMM_LABELS: p = read_u32(p, end, &n); return skip_leb(p, n + 1);
    case IMM_SELECT_T: p = read_u32(p, end, &n); return p + n;
    case IMM_INDIRECT:
    case IMM_TABLE2:
    case IMM_LOAD:
    case IMM_STORE:
    case IMM_MEMORY2:
    case IMM_DATA_MEMORY:
    case IMM_ELEM_TABLE: return skip_leb(p, 2);
    case IMM_LOAD_LANE:
    case IMM_STORE_LANE: return skip_leb(p, 2) + 1;
    case IMM_CONST_F32: return p + 4;
    case IMM_CONST_F64: return p + 8;
    case IMM_CONST_V128:
    case IMM_SHUFFLE: return p + 16;
    default: return skip_leb(p, 1);
    }
}

static void put_indexed(struct buf *out, enum wasm_op op, uint32_t index) {
    put_op(out, op);
    buf_varint(out, index);
}

static void put_tick(const struct plan *p, struct buf *out) {
    put_indexed(out, OP_GLOBAL_GET, p->global);
    put_op(out, OP_I64_CONST);
    put_s64(out, 1);
    put_op(out, OP_I64_ADD);
    put_indexed(out, OP_GLOBAL_SET, p->global);
}

/* How many bytes or elements of a bulk operation are a tick, as a power of two; 0 for other operators. */
static int32_t bulk_shift(enum wasm_op op) {
    switch (op) {
    case OP_MEMORY_FILL:
    case OP_MEMORY_COPY:
    case OP_MEMORY_INIT: return 6;
    case OP_TABLE_FILL:
    case OP_TABLE_COPY:
    case OP_TABLE_INIT: return 3;
    default: return 0;
    }
}

static void put_operator(const struct plan *p, enum wasm_op op, struct span code, struct buf *out) {
    bool counts = p->ticks && op != OP_BLOCK && op != OP_LOOP && op != OP_ELSE && op != OP_END;
    int32_t shift = p->ticks ? bulk_shift(op) : 0;
    enum nan_rule lanes = p->ticks ? NAN_NONE : gen_makes_nans(op);
    if (counts)
        put_tick(p, out);
    if (shift)
        put_indexed(out, OP_CALL, p->func);
    buf_append(out, code.data, code.size);
    if (shift) {
        put_i32_const(out, shift);
        put_indexed(out, OP_CALL, p->func + 1);
    }
    if (lanes != NAN_NONE)
        put_indexed(out, OP_CALL, p->func + (lanes == NAN_F64X2));
}

/* The body, from its locals on. */
static void put_body(const struct plan *plan, const struct module_func *f, struct buf *out) {
    buf_append(out, f->locals_code, (size_t)(f->code - f->locals_code));
    for (const uint8_t *p = f->code, *start; p < f->end;) {
        start = p;
        enum wasm_op op = wasm_op_of_byte(*p++);
        uint32_t code;
        if (op == OP_COUNT) {
            p = read_u32(p, f->end, &code);
            op = wasm_op_of(*start, code);
        }
        must(op != OP_COUNT);
        p = skip_immediates(p, f->end, wasm_op_infos[op].imm);
        put_operator(plan, op, SPAN(start, p - start), out);
    }
}

static void put_nan_helper(struct buf *out, enum nan_rule lanes) {
    buf_varint(out, 0);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1) {
            put_op(out, OP_V128_CONST);
            for (unsigned half = 0; half < 2; half++)
                buf_u64(out, lanes == NAN_F32X4 ? 0x7fc000007fc00000u : 0x7ff8000000000000u);
        } else {
            put_indexed(out, OP_LOCAL_GET, 0);
        }
    }
    put_op(out, lanes == NAN_F32X4 ? OP_F32X4_EQ : OP_F64X2_EQ);
    put_op(out, OP_V128_BITSELECT);
    put_op(out, OP_END);
}

static void put_tick_helper(const struct plan *p, struct buf *out, bool counts) {
    buf_varint(out, 0);
    if (counts) {
        put_indexed(out, OP_GLOBAL_GET, p->global);
        put_indexed(out, OP_GLOBAL_GET, p->global + 1);
        put_indexed(out, OP_LOCAL_GET, 0);
        put_op(out, OP_I32_SHR_U);
        put_op(out, OP_I64_EXTEND_I32_U);
        put_op(out, OP_I64_ADD);
        put_indexed(out, OP_GLOBAL_SET, p->global);
    } else {
        put_indexed(out, OP_LOCAL_GET, 0);
        put_indexed(out, OP_GLOBAL_SET, p->global + 1);
        put_indexed(out, OP_LOCAL_GET, 0);
    }
    put_op(out, OP_END);
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static void append_sized(struct buf *out, struct buf *part) {
    must(!part->failed);
    buf_varint(out, part->size);
    buf_append(out, part->data, part->size);
    buf_clear(part);
}

static void put_code(const struct plan *p, const struct wasm_module *m, struct buf *out) {
    struct buf body;
    buf_init(&body, MAX_MODULE);
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        put_body(p, &m->funcs[i], &body);
        append_sized(out, &body);
    }
    for (unsigned i = 0; i < NEW_FUNCS; i++) {
        if (p->ticks)
            put_tick_helper(p, &body, i == 1);
        else
            put_nan_helper(&body, i == 0 ? NAN_F32X4 : NAN_F64X2);
        append_sized(out, &body);
    }
    buf_deinit(&body);
}

/* How many items are added to a section. */
static uint32_t extra_items(const struct plan *p, uint8_t section) {
    switch (section) {
    case SECTION_TYPE:
    case SECTION_FUNCTION:
    case SECTION_CODE: return NEW_FUNCS;
    case SECTION_GLOBAL: return p->ticks ? NEW_GLOBALS : 0;
    case SECTION_EXPORT: return p->ticks ? 1 : 0;
    default: return 0;
    }
}

static void put_extra_items(const struct plan *p, uint8_t section, struct buf *out) {
    for (unsigned i = 0; section == SECTION_TYPE && i < NEW_FUNCS; i++) {
        uint8_t type = p->ticks ? WASM_I32 : WASM_V128, results = !p->ticks || i == 0;
        buf_append(out, (uint8_t[]){0x60, 1, type, results, type}, results ? 5 : 4);
    }
    for (unsigned i = 0; section == SECTION_FUNCTION && i < NEW_FUNCS; i++)
        buf_varint(out, p->type + i);
    for (unsigned i = 0; section == SECTION_GLOBAL && i < NEW_GLOBALS; i++) {
        uint8_t type = i == 0 ? WASM_I64 : WASM_I32;
        buf_append(out, (uint8_t[]){type, 1}, 2);
        put_zero(out, type);
        put_op(out, OP_END);
    }
    if (section == SECTION_EXPORT) {
        buf_append(out, "\5ticks\3", 7);
        buf_varint(out, p->global);
    }
}

/* A section: what it had, if anything, and what is added. */
static void put_section(const struct plan *plan, const struct wasm_module *m, uint8_t id, struct span had,
                        struct buf *out) {
    struct buf section;
    buf_init(&section, MAX_MODULE);
    uint32_t count = 0, extra = extra_items(plan, id);
    const uint8_t *items = had.data, *end = had.data + had.size;
    if (extra) {
        if (had.size)
            items = read_u32(items, end, &count);
        buf_varint(&section, count + extra);
    }
    if (id == SECTION_CODE)
        put_code(plan, m, &section);
    else
        buf_append(&section, items, (size_t)(end - items));
    if (extra && id != SECTION_CODE)
        put_extra_items(plan, id, &section);
    buf_byte(out, id);
    append_sized(out, &section);
    buf_deinit(&section);
}

static void rewrite(const struct plan *plan, const struct wasm_module *m, struct buf *out) {
    const uint8_t *p = m->bytes.data, *end = p + m->bytes.size;
    uint8_t due = SECTION_GLOBAL; /* the next that must be there even when it was not */
    buf_append(out, p, 8);
    for (p += 8; p < end;) {
        uint8_t id = *p++;
        uint32_t size;
        p = read_u32(p, end, &size);
        for (; id > due && due <= SECTION_EXPORT; due++)
            if (extra_items(plan, due))
                put_section(plan, m, due, SPAN(p, 0), out);
        if (id == due)
            due++;
        put_section(plan, m, id, SPAN(p, size), out);
        p += size;
    }
}

int main(int argc, char **argv) {
    bool ticks = argc == 4 && strcmp(argv[1], "ticks") == 0;
    if (argc != 4 || (!ticks && strcmp(argv[1], "nans") != 0)) {
        fprintf(stderr, "usage: instrument nans|ticks IN.wasm OUT.wasm\n");
        return 2;
    }
    struct buf in, out;
    buf_init(&in, MAX_MODULE);
    buf_init(&out, MAX_MODULE);
    FILE *f = fopen(argv[2], "rb");
    uint8_t chunk[65536];
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_append(&in, chunk, n);
    if (f)
        fclose(f);
    struct err e = ERR_INIT;
    struct wasm_module *m;
    if (wasm_module_new(buf_span(&in), &m, &e) != ST_OK) {
        fprintf(stderr, "instrument: %s: %s\n", argv[2], e.text);
        return 1;
    }
    gen_index_operators();
    struct plan plan = {ticks, m->nfuncs, m->ntypes, m->nglobals};
    rewrite(&plan, m, &out);
    f = fopen(argv[3], "wb");
    bool ok = f && !out.failed && fwrite(out.data, 1, out.size, f) == out.size;
    if (f)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "instrument: cannot write %s\n", argv[3]);
    wasm_module_free(m);
    buf_deinit(&in);
    buf_deinit(&out);
    return ok ? 0 : 1;
}
