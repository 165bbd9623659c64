/* gen_code.c: function bodies of random modules. */
#include "gen.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 9 };

struct label {
    struct types carries; /* what a branch to it takes along */
    bool is_loop;
};

struct body {
    struct gen *g;
    struct module *m;
    struct buf *b;
    const struct sig *sig;
    uint8_t locals[MAX_LOCALS];
    unsigned nlocals;
    unsigned scratch_f32, scratch_f64, scratch_v128; /* for making NaNs canonical; never live across an operator */
    struct label labels[MAX_LABELS];                 /* innermost last; 0 is the function */
    unsigned nlabels;
    int budget; /* expressions yet to write; then only leaves */
    unsigned depth;
};

static void expr(struct body *f, uint8_t type);
static void stmt(struct body *f);

/* ---- encoding ------------------------------------------------------------------------------------------------------
 */

void put_s64(struct buf *b, int64_t v) {
    for (;;) {
        uint8_t byte = v & 0x7f;
        v >>= 7;
        if ((v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40))) {
            buf_byte(b, byte);
            return;
        }
        buf_byte(b, byte | 0x80);
    }
}

void put_op(struct buf *b, enum wasm_op op) {
    const struct wasm_op_info *info = &wasm_op_infos[op];
    if (info->prefix == 0) {
        buf_byte(b, info->code);
    } else {
        buf_byte(b, info->prefix);
        buf_varint(b, info->code);
    }
}

void put_i32_const(struct buf *b, int32_t v) {
    put_op(b, OP_I32_CONST);
    put_s64(b, v);
}

static uint64_t interesting(struct gen *g, unsigned bits) {
    static const uint64_t ints[] = {0,
                                    1,
                                    2,
                                    3,
                                    7,
                                    8,
                                    31,
                                    32,
                                    63,
                                    64,
                                    127,
                                    128,
                                    255,
                                    256,
                                    32767,
                                    32768,
                                    65535,
                                    65536,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    0x100000000,
                                    0x7fffffffffffffff,
                                    0x8000000000000000,
                                    0xffffffffffffffff,
                                    0xfffffffffffffffe,
                                    0xffffffffffffff80};
    static const uint64_t f32s[] = {0x3f800000, 0xbf800000, 0x3f000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                    0x7fa00000, 0xffc12345, 0x7f7fffff, 0x00000001, 0x4f000000, 0xcf000000, 0x4f800000,
                                    0x5f000000, 0x4b000001, 0x40200000, 0xc0600000, 0x322bcc77, 0x461c4000};
    static const uint64_t f64s[] = {0x3ff0000000000000, 0xbff0000000000000, 0x3fe0000000000000, 0x8000000000000000,
                                    0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff4000000000000,
                                    0xfff8000012345678, 0x7fefffffffffffff, 0x0000000000000001, 0x41e0000000000000,
                                    0xc1e0000000000000, 0x41efffffffe00000, 0x43e0000000000000, 0x43f0000000000000,
                                    0x4004000000000000, 0xc00c000000000000, 0x3ff0000010000000, 0x40c3880000000000};
    uint64_t x = prng_next(&g->prng);
    switch (below(g, 5)) {
    case 0: return x;
    case 1: return x >> below(g, 64);
    case 2: return bits == 32 ? f32s[below(g, sizeof f32s / 8)] : f64s[below(g, sizeof f64s / 8)];
    default: return ints[below(g, sizeof ints / 8)];
    }
}

void put_random_const(struct gen *g, struct buf *b, uint8_t type) {
    switch (type) {
    case WASM_I32: put_i32_const(b, (int32_t)interesting(g, 32)); return;
    case WASM_I64:
        put_op(b, OP_I64_CONST);
        put_s64(b, (int64_t)interesting(g, 64));
        return;
    case WASM_F32:
        put_op(b, OP_F32_CONST);
        buf_u32(b, (uint32_t)interesting(g, 32));
        return;
    case WASM_F64:
        put_op(b, OP_F64_CONST);
        buf_u64(b, interesting(g, 64));
        return;
    default:
        must(type == WASM_V128);
        put_op(b, OP_V128_CONST);
        bool words = chance(g, 500);
        for (unsigned i = 0; i < 2; i++)
            buf_u64(b, words ? interesting(g, 32) << 32 | (uint32_t)interesting(g, 32) : interesting(g, 64));
    }
}

void put_zero(struct buf *b, uint8_t type) {
    static const uint8_t zeros[16];
    switch (type) {
    case WASM_I32: put_i32_const(b, 0); return;
    case WASM_I64: buf_append(b, (uint8_t[]){wasm_op_infos[OP_I64_CONST].code, 0}, 2); return;
    case WASM_F32:
        put_op(b, OP_F32_CONST);
        buf_append(b, zeros, 4);
        return;
    case WASM_F64:
        put_op(b, OP_F64_CONST);
        buf_append(b, zeros, 8);
        return;
    case WASM_V128:
        put_op(b, OP_V128_CONST);
        buf_append(b, zeros, 16);
        return;
    default: put_op(b, OP_REF_NULL); buf_byte(b, type);
    }
}

static void op(struct body *f, enum wasm_op o) {
    put_op(f->b, o);
}

static void op_index(struct body *f, enum wasm_op o, uint32_t index) {
    put_op(f->b, o);
    buf_varint(f->b, index);
}

/* ---- operators by what they make -----------------------------------------------------------------------------------
 */

/* What an operator does with NaNs. */
enum nan_rule { NAN_NONE, NAN_F32X4, NAN_F64X2 };

static struct {
    enum wasm_op ops[OP_COUNT];
    unsigned n;
} makers[256], stores;               /* by enum wasm_type */
static uint8_t makes_nans[OP_COUNT]; /* enum nan_rule: in vectors */
static uint8_t takes_nans[OP_COUNT]; /* enum nan_rule: whose bits it does not look at, in operands that are vectors */

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'I': return WASM_I64;
    case 'f': return WASM_F32;
    case 'F': return WASM_F64;
    default: return WASM_V128;
    }
}

static bool one_of(const char *s, const char *const *list) {
    for (; *list; list++)
        if (strcmp(s, *list) == 0)
            return true;
    return false;
}

static enum nan_rule vector_of(const char *text) {
    return strncmp(text, "f32x4", 5) == 0 ? NAN_F32X4 : strncmp(text, "f64x2", 5) == 0 ? NAN_F64X2 : NAN_NONE;
}

static void classify(enum wasm_op o, const char *text) {
    static const char *const arithmetic[] = {"add", "sub",  "mul",   "div",   "sqrt",    "min",
                                             "max", "ceil", "floor", "trunc", "nearest", NULL};
    static const char *const comparisons[] = {"eq", "ne", "lt", "gt", "le", "ge", NULL};
    const char *dot = strchr(text, '.');
    if (strcmp(text, "f32x4.demote_f64x2_zero") == 0 || strcmp(text, "f64x2.promote_low_f32x4") == 0) {
        makes_nans[o] = (uint8_t)vector_of(text);
        takes_nans[o] = *text == 'f' && text[1] == '3' ? NAN_F64X2 : NAN_F32X4;
    } else if (strstr(text, "trunc_sat_f32x4") || strstr(text, "trunc_sat_f64x2")) {
        takes_nans[o] = strstr(text, "f32x4") ? NAN_F32X4 : NAN_F64X2;
    } else if (dot && vector_of(text) && one_of(dot + 1, arithmetic)) {
        makes_nans[o] = takes_nans[o] = (uint8_t)vector_of(text);
    } else if (dot && vector_of(text) && one_of(dot + 1, comparisons)) {
        takes_nans[o] = (uint8_t)vector_of(text);
    }
}

void gen_index_operators(void) {
    for (enum wasm_op o = 0; o < OP_COUNT; o++) {
        const struct wasm_op_info *info = &wasm_op_infos[o];
        if (strcmp(info->sig, "SPECIAL") == 0)
            continue;
        classify(o, info->text);
        const char *result = strchr(info->sig, '_') + 1;
        switch (info->imm) {
        case IMM_STORE:
        case IMM_STORE_LANE: stores.ops[stores.n++] = o; break;
        case IMM_NONE:
        case IMM_TRAPS:
        case IMM_LANE:
        case IMM_SHUFFLE:
        case IMM_LOAD:
        case IMM_LOAD_LANE: {
            uint8_t type = type_of_letter(*result);
            makers[type].ops[makers[type].n++] = o;
            break;
        }
        default: break;
        }
    }
}

/* ---- NaNs ----------------------------------------------------------------------------------------------------------
 */

static void put_canonical(struct body *f, enum nan_rule lanes) {
    op(f, OP_V128_CONST);
    for (unsigned i = 0; i < 2; i++)
        buf_u64(f->b, lanes == NAN_F32X4 ? 0x7fc000007fc00000u : 0x7ff8000000000000u);
}

static void canonical_vector(struct body *f, enum nan_rule lanes) {
    op_index(f, OP_LOCAL_TEE, f->scratch_v128);
    put_canonical(f, lanes);
    op_index(f, OP_LOCAL_GET, f->scratch_v128);
    op_index(f, OP_LOCAL_GET, f->scratch_v128);
    op(f, lanes == NAN_F32X4 ? OP_F32X4_EQ : OP_F64X2_EQ);
    op(f, OP_V128_BITSELECT);
}

static void canonical_scalar(struct body *f, uint8_t type) {
    unsigned scratch = type == WASM_F32 ? f->scratch_f32 : f->scratch_f64;
    op_index(f, OP_LOCAL_TEE, scratch);
    if (type == WASM_F32) {
        op(f, OP_F32_CONST);
        buf_u32(f->b, 0x7fc00000);
    } else {
        op(f, OP_F64_CONST);
        buf_u64(f->b, 0x7ff8000000000000u);
    }
    op_index(f, OP_LOCAL_GET, scratch);
    op_index(f, OP_LOCAL_GET, scratch);
    op(f, type == WASM_F32 ? OP_F32_EQ : OP_F64_EQ);
    op(f, OP_SELECT);
}

static void address(struct body *f);
static void memarg(struct body *f, enum wasm_op o);

/* A scalar float whose bits are the same everywhere, NaN or not. */
static void exact_float(struct body *f, uint8_t type) {
    bool narrow = type == WASM_F32;
    f->budget--;
    switch (f->budget <= 0 ? 0 : below(f->g, 8)) {
    case 0: put_random_const(f->g, f->b, type); return;
    case 1: {
        enum wasm_op load = narrow ? OP_F32_LOAD : OP_F64_LOAD;
        address(f);
        op(f, load);
        memarg(f, load);
        return;
    }
    case 2:
        expr(f, narrow ? WASM_I32 : WASM_I64);
        op(f, narrow ? OP_F32_REINTERPRET_I32 : OP_F64_REINTERPRET_I64);
        return;
    case 3:
        exact_float(f, type);
        op(f, chance(f->g, 500) ? narrow ? OP_F32_ABS : OP_F64_ABS : narrow ? OP_F32_NEG : OP_F64_NEG);
        return;
    case 4:
        exact_float(f, type);
        exact_float(f, type);
        op(f, narrow ? OP_F32_COPYSIGN : OP_F64_COPYSIGN);
        return;
    default: expr(f, type); canonical_scalar(f, type);
    }
}

/* ---- types and locals ----------------------------------------------------------------------------------------------
 */

static unsigned random_local(struct body *f, uint8_t type) {
    unsigned start = below(f->g, f->nlocals);
    for (unsigned i = 0; i < f->nlocals; i++)
        if (f->locals[(start + i) % f->nlocals] == type)
            return (start + i) % f->nlocals;
    must(!"a local of every type");
    return 0;
}

static int random_global(struct body *f, uint8_t type, bool to_write) {
    unsigned n = f->m->nglobals - 2, start = below(f->g, n);
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (start + i) % n;
        if (k >= GLOBAL_CALLS)
            k += 2; /* not the fuel */
        if (f->m->globals[k].type == type && (f->m->globals[k].is_mutable || !to_write))
            return (int)k;
    }
    return -1;
}

/* Takes values off the stack, last first. */
static void consume(struct body *f, struct types t) {
    while (t.n > 0) {
        uint8_t type = t.t[--t.n];
        if (chance(f->g, 700))
            op_index(f, OP_LOCAL_SET, random_local(f, type));
        else
            op(f, OP_DROP);
    }
}

static void exprs(struct body *f, struct types t) {
    for (unsigned i = 0; i < t.n; i++)
        expr(f, t.t[i]);
}

/* ---- branches ------------------------------------------------------------------------------------------------------
 */

/* The depth of a label that carries `t`, or -1; loops only when wanted. */
static int random_label(struct body *f, struct types t, bool loops) {
    unsigned start = below(f->g, f->nlabels);
    for (unsigned i = 0; i < f->nlabels; i++) {
        unsigned k = (start + i) % f->nlabels;
        if (types_equal(f->labels[k].carries, t) && (loops || !f->labels[k].is_loop))
            return (int)(f->nlabels - 1 - k);
    }
    return -1;
}

static bool leads_to_loop(struct body *f, int depth) {
    return f->labels[f->nlabels - 1 - (unsigned)depth].is_loop;
}

/* loops -= 1, loops > 0 */
static void spend_loop(struct body *f) {
    op_index(f, OP_GLOBAL_GET, GLOBAL_LOOPS);
    put_i32_const(f->b, 1);
    op(f, OP_I32_SUB);
    op_index(f, OP_GLOBAL_SET, GLOBAL_LOOPS);
    op_index(f, OP_GLOBAL_GET, GLOBAL_LOOPS);
    put_i32_const(f->b, 0);
    op(f, OP_I32_GT_S);
}

/* With the label's values on the stack, which stay there when the branch is not taken. */
static void conditional_branch(struct body *f, int depth) {
    if (leads_to_loop(f, depth)) {
        spend_loop(f);
        expr(f, WASM_I32);
        op(f, OP_I32_AND);
    } else {
        expr(f, WASM_I32);
    }
    op_index(f, OP_BR_IF, (uint32_t)depth);
}

/* br_table among labels that carry `t`; the default is no loop, and is taken when the fuel for loops is gone. */
static bool branch_table(struct body *f, struct types t) {
    int otherwise = random_label(f, t, false);
    if (otherwise < 0)
        return false;
    unsigned n = chance(f->g, 50) ? 40 + below(f->g, 300) : below(f->g, 6);
    exprs(f, t);
    expr(f, WASM_I32);
    if (chance(f->g, 800)) {
        put_i32_const(f->b, 7);
        op(f, OP_I32_AND);
    }
    put_i32_const(f->b, -1);
    spend_loop(f);
    op(f, OP_SELECT);
    op_index(f, OP_BR_TABLE, n);
    for (unsigned i = 0; i < n; i++)
        buf_varint(f->b, (uint32_t)random_label(f, t, true));
    buf_varint(f->b, (uint32_t)otherwise);
    return true;
}

static unsigned random_func(struct body *f, const struct types *results) {
    unsigned start = below(f->g, f->m->nfuncs);
    for (unsigned i = 0; i < f->m->nfuncs; i++) {
        unsigned k = (start + i) % f->m->nfuncs;
        if (!results || types_equal(f->m->sigs[f->m->func_sigs[k]].results, *results))
            return k;
    }
    return UINT32_MAX;
}

static const struct sig *func_sig(struct body *f, unsigned func) {
    return &f->m->sigs[f->m->func_sigs[func]];
}

/* The operands of an indirect call: arguments, then an index that usually is an element of the first table that holds a
 * function at the start. Returns the type; UINT32_MAX, and nothing written, when nobody suits. */
static unsigned indirect_operands(struct body *f, const struct types *results) {
    const struct elem_segment *e = &f->m->elems[0];
    unsigned k = below(f->g, e->n);
    for (unsigned i = 0; i < e->n; i++, k = (k + 1) % e->n) {
        if (e->funcs[k] < 0)
            continue;
        const struct sig *s = func_sig(f, (unsigned)e->funcs[k]);
        if (results && !types_equal(s->results, *results))
            continue;
        exprs(f, s->params);
        put_i32_const(f->b, (int32_t)(e->offset + k));
        return f->m->func_sigs[e->funcs[k]];
    }
    unsigned func = random_func(f, results);
    if (func == UINT32_MAX || chance(f->g, 900)) /* it would trap */
        return UINT32_MAX;
    exprs(f, func_sig(f, func)->params);
    expr(f, WASM_I32);
    put_i32_const(f->b, 31);
    op(f, OP_I32_AND);
    return f->m->func_sigs[func];
}

/* Leaves this place for good; what follows is unreachable, so it stands for a value of any type. */
static void jump(struct body *f) {
    int depth = (int)below(f->g, f->nlabels);
    unsigned func, type;
    switch (below(f->g, 8)) {
    case 0:
        exprs(f, f->sig->results);
        op(f, OP_RETURN);
        return;
    case 1:
        if (chance(f->g, 200)) {
            op(f, OP_UNREACHABLE);
            return;
        }
        break;
    case 2:
        func = random_func(f, &f->sig->results);
        if (func != UINT32_MAX) {
            exprs(f, func_sig(f, func)->params);
            op_index(f, OP_RETURN_CALL, func);
            return;
        }
        break;
    case 3:
        type = indirect_operands(f, &f->sig->results);
        if (type != UINT32_MAX) {
            op_index(f, OP_RETURN_CALL_INDIRECT, type);
            buf_varint(f->b, 0);
            return;
        }
        break;
    case 4:
    case 5:
        if (branch_table(f, f->labels[f->nlabels - 1 - (unsigned)depth].carries))
            return;
        break;
    default: break;
    }
    if (leads_to_loop(f, depth)) { /* only with a look at the fuel */
        exprs(f, f->labels[f->nlabels - 1 - (unsigned)depth].carries);
        conditional_branch(f, depth);
        consume(f, f->labels[f->nlabels - 1 - (unsigned)depth].carries);
        depth = random_label(f, f->sig->results, false);
    }
    exprs(f, f->labels[f->nlabels - 1 - (unsigned)depth].carries);
    op_index(f, OP_BR, (uint32_t)depth);
}

/* ---- blocks --------------------------------------------------------------------------------------------------------
 */

static void put_block_type(struct body *f, int sig, struct types results) {
    if (sig >= 0)
        put_s64(f->b, sig);
    else
        buf_byte(f->b, results.n ? results.t[0] : 0x40);
}

static void stmts(struct body *f, unsigned max) {
    for (unsigned n = below(f->g, max + 1); n > 0; n--)
        stmt(f);
}

/* The inside of a block: parameters are on the stack, and results shall be. */
static void block_inside(struct body *f, struct types params, struct types results, bool is_loop) {
    must(f->nlabels < MAX_LABELS);
    f->labels[f->nlabels++] = (struct label){is_loop ? params : results, is_loop};
    bool keeps =
        params.n > 0 && params.n <= results.n && memcmp(params.t, results.t, params.n) == 0 && chance(f->g, 600);
    if (!keeps)
        consume(f, params);
    stmts(f, 3);
    for (unsigned i = keeps ? params.n : 0; i < results.n; i++)
        expr(f, results.t[i]);
    if (is_loop && types_equal(params, results) && chance(f->g, 700)) {
        conditional_branch(f, 0);
    } else if (is_loop && chance(f->g, 800)) {
        exprs(f, params);
        conditional_branch(f, 0);
        consume(f, params);
    }
    f->nlabels--;
    f->budget--;
}

/* block, loop or if of a type from the section or, when `sig` is negative, of one result or none. */
static void block(struct body *f, int sig, struct types results) {
    struct types params = {.n = 0};
    if (sig >= 0) {
        params = f->m->sigs[sig].params;
        results = f->m->sigs[sig].results;
    }
    exprs(f, params);
    unsigned kind = below(f->g, 3);
    if (kind == 2)
        expr(f, WASM_I32);
    op(f, kind == 0 ? OP_BLOCK : kind == 1 ? OP_LOOP : OP_IF);
    put_block_type(f, sig, results);
    block_inside(f, params, results, kind == 1);
    if (kind == 2 && (!types_equal(params, results) || chance(f->g, 600))) {
        op(f, OP_ELSE);
        block_inside(f, params, results, false);
    }
    op(f, OP_END);
}

/* A type of the section with exactly these results, or -1. */
static int random_sig(struct body *f, struct types results) {
    unsigned start = below(f->g, f->m->nsigs);
    for (unsigned i = 0; i < f->m->nsigs; i++) {
        unsigned k = (start + i) % f->m->nsigs;
        if (types_equal(f->m->sigs[k].results, results))
            return (int)k;
    }
    return -1;
}

/* ---- memory and tables ---------------------------------------------------------------------------------------------
 */

static void masked(struct body *f, int32_t mask) {
    expr(f, WASM_I32);
    put_i32_const(f->b, mask);
    op(f, OP_I32_AND);
}

static void address(struct body *f) {
    if (chance(f->g, 15))
        expr(f, WASM_I32);
    else if (chance(f->g, 300))
        put_i32_const(f->b, (int32_t)below(f->g, 0x8000));
    else
        masked(f, chance(f->g, 200) ? 0xffff : 0x7fff);
}

static void memarg(struct body *f, enum wasm_op o) {
    buf_varint(f->b, below(f->g, wasm_op_infos[o].align + 1u));
    if (chance(f->g, 5))
        buf_varint(f->b, (uint32_t)interesting(f->g, 32));
    else
        buf_varint(f->b, chance(f->g, 500) ? 0 : below(f->g, 300));
}

static unsigned random_table(struct body *f, uint8_t elem) {
    unsigned k = below(f->g, f->m->ntables);
    while (f->m->tables[k].elem != elem)
        k = (k + 1) % f->m->ntables;
    return k;
}

/* An index that is usually good, or a length that usually fits. */
static void small(struct body *f) {
    if (chance(f->g, 30))
        expr(f, WASM_I32);
    else
        masked(f, 3);
}

static void table_stmt(struct body *f) {
    uint8_t elem = chance(f->g, 500) ? WASM_FUNCREF : WASM_EXTERNREF;
    unsigned table = random_table(f, elem);
    unsigned segment = below(f->g, f->m->nelems);
    switch (below(f->g, 6)) {
    case 0:
    case 1:
        small(f);
        expr(f, elem);
        op_index(f, OP_TABLE_SET, table);
        return;
    case 2:
        small(f);
        expr(f, elem);
        small(f);
        op_index(f, OP_TABLE_FILL, table);
        return;
    case 3:
        small(f);
        small(f);
        small(f);
        op_index(f, OP_TABLE_COPY, table);
        buf_varint(f->b, random_table(f, elem));
        return;
    case 4:
        small(f);
        small(f);
        small(f);
        op_index(f, OP_TABLE_INIT, segment);
        buf_varint(f->b, random_table(f, f->m->elems[segment].type));
        return;
    default: op_index(f, OP_ELEM_DROP, below(f->g, f->m->nelems + 1));
    }
}

static void bulk_stmt(struct body *f) {
    address(f);
    switch (f->m->ndatas ? below(f->g, 4) : below(f->g, 2)) {
    case 0:
        expr(f, WASM_I32);
        chance(f->g, 20) ? expr(f, WASM_I32) : masked(f, 0xff);
        op_index(f, OP_MEMORY_FILL, 0);
        return;
    case 1:
        address(f);
        chance(f->g, 20) ? expr(f, WASM_I32) : masked(f, 0x1ff);
        op_index(f, OP_MEMORY_COPY, 0);
        buf_varint(f->b, 0);
        return;
    case 2:
        masked(f, 0x1f);
        masked(f, 0x1f);
        op_index(f, OP_MEMORY_INIT, below(f->g, f->m->ndatas));
        buf_varint(f->b, 0);
        return;
    default: op(f, OP_DROP); op_index(f, OP_DATA_DROP, below(f->g, f->m->ndatas));
    }
}

/* ---- operators -----------------------------------------------------------------------------------------------------
 */

static unsigned lanes_of(const struct wasm_op_info *info) {
    if (info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE)
        return 16u >> info->align;
    unsigned bits, lanes;
    must(sscanf(info->text + 1, "%ux%u", &bits, &lanes) == 2);
    return lanes;
}

static void operator(struct body *f, enum wasm_op o);

/* A vector for an operator that takes NaNs of `rule` whatever their bits: perhaps straight from another. */
static void raw_vector(struct body *f, enum nan_rule rule) {
    if (rule != NAN_NONE && f->depth < MAX_DEPTH && chance(f->g, 500)) {
        enum wasm_op o = makers[WASM_V128].ops[below(f->g, makers[WASM_V128].n)];
        while (makes_nans[o] != rule)
            o = makers[WASM_V128].ops[below(f->g, makers[WASM_V128].n)];
        operator(f, o);
    } else {
        expr(f, WASM_V128);
    }
}

/* A float that an integer can hold, most of the time. */
static void tame_float(struct body *f, uint8_t type) {
    if (chance(f->g, 100)) {
        expr(f, type);
        return;
    }
    expr(f, WASM_I32);
    put_i32_const(f->b, 1 + (int32_t)below(f->g, 20));
    op(f, OP_I32_SHR_U);
    op(f, type == WASM_F32 ? OP_F32_CONVERT_I32_S : OP_F64_CONVERT_I32_S);
    if (chance(f->g, 500)) {
        put_op(f->b, type == WASM_F32 ? OP_F32_CONST : OP_F64_CONST);
        if (type == WASM_F32)
            buf_u32(f->b, 0x3f400000);
        else
            buf_u64(f->b, 0x3fe8000000000000);
        op(f, type == WASM_F32 ? OP_F32_MUL : OP_F64_MUL);
    }
}

/* Operand `k` of `o`. */
static void operand(struct body *f, enum wasm_op o, unsigned k) {
    const struct wasm_op_info *info = &wasm_op_infos[o];
    uint8_t type = type_of_letter(info->sig[k]);
    bool is_float = type == WASM_F32 || type == WASM_F64;
    if (type == WASM_V128) {
        raw_vector(f, takes_nans[o]);
    } else if (info->imm == IMM_TRAPS && is_float) {
        tame_float(f, type);
    } else if (info->imm == IMM_TRAPS && k == 1 && chance(f->g, 930)) {
        expr(f, type);
        if (type == WASM_I32) {
            put_i32_const(f->b, 1);
            op(f, OP_I32_OR);
        } else {
            op(f, OP_I64_CONST);
            put_s64(f->b, 1);
            op(f, OP_I64_OR);
        }
    } else if (is_float && (info->imm == IMM_STORE || info->imm == IMM_LANE || strstr(info->text, "splat") ||
                            strstr(info->text, "reinterpret") || (k == 1 && strstr(info->text, "copysign")))) {
        exact_float(f, type);
    } else {
        expr(f, type);
    }
}

/* The operator with its operands; vectors may be left with NaNs of any bits where makes_nans says so. */
static void operator(struct body *f, enum wasm_op o) {
    const struct wasm_op_info *info = &wasm_op_infos[o];
    bool memory =
        info->imm == IMM_LOAD || info->imm == IMM_STORE || info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE;
    f->depth++;
    f->budget--;
    for (unsigned k = 0; info->sig[k] != '_'; k++) {
        if (memory && k == 0)
            address(f);
        else
            operand(f, o, k);
    }
    f->depth--;
    op(f, o);
    if (memory)
        memarg(f, o);
    if (info->imm == IMM_LANE || info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE)
        buf_byte(f->b, (uint8_t)below(f->g, lanes_of(info)));
    if (info->imm == IMM_SHUFFLE)
        for (unsigned i = 0; i < 16; i++)
            buf_byte(f->b, (uint8_t)below(f->g, 32));
}

/* ---- expressions ---------------------------------------------------------------------------------------------------
 */

static void leaf(struct body *f, uint8_t type) {
    int global = random_global(f, type, false);
    switch (below(f->g, 4)) {
    case 0:
        if (global >= 0) {
            op_index(f, OP_GLOBAL_GET, (uint32_t)global);
            return;
        }
        break;
    case 1:
        if (type == WASM_FUNCREF)
            op_index(f, OP_REF_FUNC, below(f->g, f->m->nfuncs));
        else if (type == WASM_EXTERNREF)
            put_zero(f->b, type);
        else
            put_random_const(f->g, f->b, type);
        return;
    default: break;
    }
    op_index(f, OP_LOCAL_GET, random_local(f, type));
}

/* What opcodes.h has as SPECIAL, and sizes: makers of i32 and of references. */
static void special(struct body *f, uint8_t type) {
    uint8_t ref = type != WASM_I32 ? type : chance(f->g, 500) ? WASM_FUNCREF : WASM_EXTERNREF;
    unsigned table = random_table(f, ref);
    if (type == WASM_EXTERNREF && chance(f->g, 500)) {
        expr(f, WASM_I32);
        op_index(f, OP_CALL, HOST_MAKE_REF);
        return;
    }
    if (type != WASM_I32) {
        small(f);
        op_index(f, OP_TABLE_GET, table);
        return;
    }
    switch (below(f->g, 6)) {
    case 0: op_index(f, OP_MEMORY_SIZE, 0); return;
    case 1:
        chance(f->g, 100) ? expr(f, WASM_I32) : masked(f, 1);
        op_index(f, OP_MEMORY_GROW, 0);
        return;
    case 2: op_index(f, OP_TABLE_SIZE, table); return;
    case 3:
        expr(f, ref);
        chance(f->g, 100) ? expr(f, WASM_I32) : masked(f, 3);
        op_index(f, OP_TABLE_GROW, table);
        return;
    case 4:
        expr(f, WASM_EXTERNREF);
        op_index(f, OP_CALL, HOST_READ_REF);
        return;
    default: expr(f, ref); op(f, OP_REF_IS_NULL);
    }
}

static void select_(struct body *f, uint8_t type) {
    expr(f, type);
    expr(f, type);
    expr(f, WASM_I32);
    if (is_ref(type) || chance(f->g, 300)) {
        op_index(f, OP_SELECT_T, 1);
        buf_byte(f->b, type);
    } else {
        op(f, OP_SELECT);
    }
}

/* A call that leaves a `type`: alone, or among results that are put away first. */
static void call_for(struct body *f, uint8_t type) {
    struct types one = {{type}, 1};
    unsigned func = random_func(f, &one);
    bool indirect = chance(f->g, 300);
    if (func == UINT32_MAX || chance(f->g, 200)) {
        func = random_func(f, NULL);
        indirect = false;
    }
    if (indirect) {
        unsigned sig = indirect_operands(f, &one);
        if (sig != UINT32_MAX) {
            op_index(f, OP_CALL_INDIRECT, sig);
            buf_varint(f->b, 0);
            return;
        }
    }
    const struct sig *s = func_sig(f, func);
    exprs(f, s->params);
    op_index(f, OP_CALL, func);
    if (!types_equal(s->results, one)) {
        consume(f, s->results);
        op_index(f, OP_LOCAL_GET, random_local(f, type));
    }
}

static void compute(struct body *f, uint8_t type) {
    if (is_ref(type) || (type == WASM_I32 && chance(f->g, 100))) {
        special(f, type);
        return;
    }
    enum wasm_op o = makers[type].ops[below(f->g, makers[type].n)];
    operator(f, o);
    if (makes_nans[o])
        canonical_vector(f, makes_nans[o]);
}

/* Code that leaves one value of `type`. */
static void expr(struct body *f, uint8_t type) {
    struct types one = {{type}, 1};
    if (f->budget-- <= 0 || f->depth >= MAX_DEPTH) {
        leaf(f, type);
        return;
    }
    f->depth++;
    unsigned dice = below(f->g, 1000);
    int label;
    if (dice < 180) {
        leaf(f, type);
    } else if (dice < 730) {
        compute(f, type);
    } else if (dice < 780) {
        select_(f, type);
    } else if (dice < 840) {
        block(f, -1, one);
    } else if (dice < 860) {
        block(f, random_sig(f, one), one);
    } else if (dice < 900) {
        call_for(f, type);
    } else if (dice < 920 && (label = random_label(f, one, true)) >= 0) {
        expr(f, type);
        conditional_branch(f, label);
    } else if (dice < 924) {
        jump(f);
    } else if (dice < 970) {
        expr(f, type);
        op_index(f, OP_LOCAL_TEE, random_local(f, type));
    } else {
        stmts(f, 2);
        expr(f, type);
    }
    f->depth--;
}

/* ---- statements ----------------------------------------------------------------------------------------------------
 */

static void log_stmt(struct body *f) {
    static const uint8_t types[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64};
    unsigned k = below(f->g, 4);
    expr(f, types[k]);
    op_index(f, OP_CALL, HOST_LOG_I32 + k);
}

static void call_stmt(struct body *f) {
    unsigned sig = chance(f->g, 300) ? indirect_operands(f, NULL) : UINT32_MAX;
    if (sig != UINT32_MAX) {
        op_index(f, OP_CALL_INDIRECT, sig);
        buf_varint(f->b, 0);
        consume(f, f->m->sigs[sig].results);
    } else {
        unsigned func = random_func(f, NULL);
        exprs(f, func_sig(f, func)->params);
        op_index(f, OP_CALL, func);
        consume(f, func_sig(f, func)->results);
    }
}

/* Inside an arm of its own, so that what follows is mostly reachable. */
static void jump_stmt(struct body *f) {
    expr(f, WASM_I32);
    op(f, OP_IF);
    buf_byte(f->b, 0x40);
    must(f->nlabels < MAX_LABELS);
    f->labels[f->nlabels++] = (struct label){.carries = {.n = 0}};
    jump(f);
    if (chance(f->g, 200))
        stmt(f);
    f->nlabels--;
    op(f, OP_END);
}

/* Code that leaves the stack as it was. */
static void stmt(struct body *f) {
    if (f->budget-- <= 0 || f->depth >= MAX_DEPTH) {
        op(f, OP_NOP);
        return;
    }
    f->depth++;
    unsigned dice = below(f->g, 100);
    uint8_t type = random_type(f->g);
    int global = random_global(f, type, true);
    if (dice < 25) {
        expr(f, type);
        op_index(f, OP_LOCAL_SET, random_local(f, type));
    } else if (dice < 35 && global >= 0) {
        expr(f, type);
        op_index(f, OP_GLOBAL_SET, (uint32_t)global);
    } else if (dice < 50) {
        operator(f, stores.ops[below(f->g, stores.n)]);
    } else if (dice < 65) {
        block(f, -1, (struct types){.n = 0});
    } else if (dice < 70) {
        unsigned sig = below(f->g, f->m->nsigs);
        block(f, (int)sig, f->m->sigs[sig].results);
        consume(f, f->m->sigs[sig].results);
    } else if (dice < 76) {
        call_stmt(f);
    } else if (dice < 81) {
        log_stmt(f);
    } else if (dice < 86) {
        table_stmt(f);
    } else if (dice < 91) {
        bulk_stmt(f);
    } else if (dice < 95) {
        jump_stmt(f);
    } else {
        expr(f, type);
        op(f, OP_DROP);
    }
    f->depth--;
}

/* ---- functions -----------------------------------------------------------------------------------------------------
 */

static unsigned add_locals(struct body *f, struct buf *groups, uint8_t type, unsigned n) {
    buf_varint(groups, n);
    buf_byte(groups, type);
    for (unsigned i = 0; i < n; i++)
        f->locals[f->nlocals++] = type;
    return f->nlocals - 1;
}

/* if (calls <= 0) return zeros; calls -= 1 */
static void spend_call(struct body *f) {
    op_index(f, OP_GLOBAL_GET, GLOBAL_CALLS);
    put_i32_const(f->b, 0);
    op(f, OP_I32_LE_S);
    op(f, OP_IF);
    buf_byte(f->b, 0x40);
    for (unsigned i = 0; i < f->sig->results.n; i++)
        put_zero(f->b, f->sig->results.t[i]);
    op(f, OP_RETURN);
    op(f, OP_END);
    op_index(f, OP_GLOBAL_GET, GLOBAL_CALLS);
    put_i32_const(f->b, 1);
    op(f, OP_I32_SUB);
    op_index(f, OP_GLOBAL_SET, GLOBAL_CALLS);
}

void gen_body(struct gen *g, const struct sig *s, struct buf *out) {
    static const uint8_t all[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
    struct body f = {.g = g, .m = &g->m, .b = out, .sig = s};
    for (unsigned i = 0; i < s->params.n; i++)
        f.locals[f.nlocals++] = s->params.t[i];
    unsigned first = below(g, sizeof all);
    buf_varint(out, sizeof all + 3);
    for (unsigned i = 0; i < sizeof all; i++)
        add_locals(&f, out, all[(first + i) % sizeof all], 1 + below(g, 3));
    unsigned visible = f.nlocals;
    f.scratch_f32 = add_locals(&f, out, WASM_F32, 1);
    f.scratch_f64 = add_locals(&f, out, WASM_F64, 1);
    f.scratch_v128 = add_locals(&f, out, WASM_V128, 1);
    f.nlocals = visible; /* nobody else touches the scratch */
    f.labels[f.nlabels++] = (struct label){s->results, false};
    f.budget = 20 + (int)below(g, chance(g, 100) ? 2000 : 250);
    spend_call(&f);
    stmts(&f, 8);
    exprs(&f, s->results);
    op(&f, OP_END);
}

/* The stack has h (i64) and above it a value, which is mixed in through h = rotl(h, 7) ^ value. `scratch` holds i64. */
static void fold(struct body *f, uint8_t type) {
    unsigned h = 0, x = 1;
    switch (type) {
    case WASM_I32: op(f, OP_I64_EXTEND_I32_U); break;
    case WASM_F32:
        canonical_scalar(f, type);
        op(f, OP_I32_REINTERPRET_F32);
        op(f, OP_I64_EXTEND_I32_U);
        break;
    case WASM_F64:
        canonical_scalar(f, type);
        op(f, OP_I64_REINTERPRET_F64);
        break;
    case WASM_V128:
        op_index(f, OP_LOCAL_TEE, f->scratch_v128);
        op(f, OP_I64X2_EXTRACT_LANE);
        buf_byte(f->b, 0);
        op_index(f, OP_LOCAL_GET, f->scratch_v128);
        op(f, OP_I64X2_EXTRACT_LANE);
        buf_byte(f->b, 1);
        put_op(f->b, OP_I64_CONST);
        put_s64(f->b, 0x5851f42d4c957f2d);
        op(f, OP_I64_MUL);
        op(f, OP_I64_XOR);
        break;
    case WASM_EXTERNREF:
        op_index(f, OP_CALL, HOST_READ_REF);
        op(f, OP_I64_EXTEND_I32_U);
        break;
    case WASM_FUNCREF:
        op(f, OP_REF_IS_NULL);
        op(f, OP_I64_EXTEND_I32_U);
        break;
    default: break;
    }
    op_index(f, OP_LOCAL_SET, x);
    op_index(f, OP_LOCAL_GET, h);
    op(f, OP_I64_CONST);
    put_s64(f->b, 7);
    op(f, OP_I64_ROTL);
    op_index(f, OP_LOCAL_GET, x);
    op(f, OP_I64_XOR);
    op_index(f, OP_LOCAL_SET, h);
}

void gen_wrapper(struct gen *g, unsigned func, struct buf *out) {
    const struct sig *s = &g->m.sigs[g->m.func_sigs[func]];
    struct body f = {.g = g, .m = &g->m, .b = out};
    buf_varint(out, 4);
    add_locals(&f, out, WASM_I64, 2);
    f.scratch_f32 = add_locals(&f, out, WASM_F32, 1);
    f.scratch_f64 = add_locals(&f, out, WASM_F64, 1);
    f.scratch_v128 = add_locals(&f, out, WASM_V128, 1);
    for (unsigned i = 0; i < s->params.n; i++) {
        if (is_ref(s->params.t[i]))
            put_zero(out, s->params.t[i]);
        else
            put_random_const(g, out, s->params.t[i]);
    }
    op_index(&f, OP_CALL, func);
    for (unsigned i = s->results.n; i-- > 0;)
        fold(&f, s->results.t[i]);
    op_index(&f, OP_LOCAL_GET, 0);
    op(&f, OP_END);
}

void gen_global_reader(unsigned i, struct buf *out) {
    buf_varint(out, 0);
    for (unsigned half = 0; half < 2; half++) {
        put_op(out, OP_GLOBAL_GET);
        buf_varint(out, i);
        put_op(out, OP_I64X2_EXTRACT_LANE);
        buf_byte(out, (uint8_t)half);
    }
    put_op(out, OP_END);
}
