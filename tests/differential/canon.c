/* canon: makes vector NaNs canonical, for comparing engines on modules that gen did not make.
 * usage: canon IN.wasm OUT.wasm
 *
 * Behind every float operator on vectors goes a call of a new function that replaces NaN lanes. (For scalars wasm-opt
 * has --denan.)  Two functions and their type are appended, so that no index changes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "gen.h"
#include "wasm/module.h"

enum { SECTION_TYPE = 1, SECTION_FUNCTION = 3, SECTION_CODE = 10, MAX_MODULE = 64 << 20 };

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

/* The body, from its locals on, with `func` or the one after called behind the operators that make NaNs. */
static void instrument(const struct module_func *f, uint32_t func, struct buf *out) {
    buf_append(out, f->locals_code, (size_t)(f->code - f->locals_code));
    for (const uint8_t *p = f->code, *start; p < f->end;) {
        start = p;
        uint8_t prefix = *p++;
        enum wasm_op op = wasm_op_of_byte(prefix);
        uint32_t code;
        if (op == OP_COUNT) {
            p = read_u32(p, f->end, &code);
            op = wasm_op_of(prefix, code);
        }
        must(op != OP_COUNT);
        p = skip_immediates(p, f->end, wasm_op_infos[op].imm);
        buf_append(out, start, (size_t)(p - start));
        enum nan_rule lanes = gen_makes_nans(op);
        if (lanes != NAN_NONE) {
            put_op(out, OP_CALL);
            buf_varint(out, func + (lanes == NAN_F64X2));
        }
    }
}

static void helper_body(struct buf *out, enum nan_rule lanes) {
    buf_varint(out, 0);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 1) {
            put_op(out, OP_V128_CONST);
            for (unsigned half = 0; half < 2; half++)
                buf_u64(out, lanes == NAN_F32X4 ? 0x7fc000007fc00000u : 0x7ff8000000000000u);
        } else {
            put_op(out, OP_LOCAL_GET);
            buf_varint(out, 0);
        }
    }
    put_op(out, lanes == NAN_F32X4 ? OP_F32X4_EQ : OP_F64X2_EQ);
    put_op(out, OP_V128_BITSELECT);
    put_op(out, OP_END);
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static void append_sized(struct buf *out, struct buf *part) {
    must(!part->failed);
    buf_varint(out, part->size);
    buf_append(out, part->data, part->size);
    buf_clear(part);
}

static void write_code(const struct wasm_module *m, struct buf *out) {
    struct buf body;
    buf_init(&body, MAX_MODULE);
    buf_varint(out, m->nfuncs - m->nimported_funcs + 2);
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        instrument(&m->funcs[i], m->nfuncs, &body);
        append_sized(out, &body);
    }
    for (enum nan_rule lanes = NAN_F32X4; lanes <= NAN_F64X2; lanes++) {
        helper_body(&body, lanes);
        append_sized(out, &body);
    }
    buf_deinit(&body);
}

static void rewrite(const struct wasm_module *m, struct buf *out) {
    struct buf section;
    buf_init(&section, MAX_MODULE);
    const uint8_t *p = m->bytes.data, *end = p + m->bytes.size;
    buf_append(out, p, 8);
    for (p += 8; p < end;) {
        uint8_t id = *p++;
        uint32_t size, count;
        p = read_u32(p, end, &size);
        const uint8_t *items = p, *next = p + size;
        if (id == SECTION_TYPE || id == SECTION_FUNCTION)
            items = read_u32(p, next, &count);
        if (id == SECTION_TYPE || id == SECTION_FUNCTION)
            buf_varint(&section, count + (id == SECTION_TYPE ? 1 : 2));
        if (id == SECTION_CODE)
            write_code(m, &section);
        else
            buf_append(&section, items, (size_t)(next - items));
        if (id == SECTION_TYPE)
            buf_append(&section, (uint8_t[]){0x60, 1, WASM_V128, 1, WASM_V128}, 5);
        for (unsigned i = 0; id == SECTION_FUNCTION && i < 2; i++)
            buf_varint(&section, m->ntypes);
        buf_byte(out, id);
        append_sized(out, &section);
        p = next;
    }
    buf_deinit(&section);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: canon IN.wasm OUT.wasm\n");
        return 2;
    }
    struct buf in, out;
    buf_init(&in, MAX_MODULE);
    buf_init(&out, MAX_MODULE);
    FILE *f = fopen(argv[1], "rb");
    uint8_t chunk[65536];
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_append(&in, chunk, n);
    if (f)
        fclose(f);
    struct err e = ERR_INIT;
    struct wasm_module *m;
    if (wasm_module_new(buf_span(&in), &m, &e) != ST_OK) {
        fprintf(stderr, "canon: %s: %s\n", argv[1], e.text);
        return 1;
    }
    gen_index_operators();
    rewrite(m, &out);
    f = fopen(argv[2], "wb");
    bool ok = f && !out.failed && fwrite(out.data, 1, out.size, f) == out.size;
    if (f)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "canon: cannot write %s\n", argv[2]);
    wasm_module_free(m);
    buf_deinit(&in);
    buf_deinit(&out);
    return ok ? 0 : 1;
}
