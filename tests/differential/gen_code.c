/* gen_code.c: expressions and statements of random function bodies. */
#include "gen_body.h"

#include <stdio.h>

/* ---- NaNs ------------------------------------------------------------------------------------------------------- */

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

void canonical_scalar(struct body *f, uint8_t type) {
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

/* ---- types and locals ------------------------------------------------------------------------------------------- */

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

void consume(struct body *f, struct types t) {
    while (t.n > 0) {
        uint8_t type = t.t[--t.n];
        if (chance(f->g, 700))
            op_index(f, OP_LOCAL_SET, random_local(f, type));
        else
            op(f, OP_DROP);
    }
}

void exprs(struct body *f, struct types t) {
    for (unsigned i = 0; i < t.n; i++)
        expr(f, t.t[i]);
}

/* ---- memory and tables ------------------------------------------------------------------------------------------ */

static void masked(struct body *f, int32_t mask) {
    expr(f, WASM_I32);
    put_i32_const(f->b, mask);
    op(f, OP_I32_AND);
}

static void address(struct body *f) {
    if (chance(f->g, 4))
        expr(f, WASM_I32);
    else if (chance(f->g, 300))
        put_i32_const(f->b, (int32_t)below(f->g, 0x8000));
    else
        masked(f, f->m->memory_min > 1 && chance(f->g, 400) ? 0xffff : 0x7fff);
}

static void memarg(struct body *f, enum wasm_op o) {
    buf_varint(f->b, below(f->g, wasm_op_infos[o].align + 1u));
    if (chance(f->g, 2))
        buf_varint(f->b, (uint32_t)gen_interesting(f->g, 32));
    else
        buf_varint(f->b, chance(f->g, 500) ? 0 : below(f->g, 300));
}

static unsigned random_table(struct body *f, uint8_t elem) {
    unsigned k = chance(f->g, 150) ? 0 : 1 + below(f->g, f->m->ntables - 1); /* calls go through table 0 */
    while (f->m->tables[k].elem != elem)
        k = (k + 1) % f->m->ntables;
    return k;
}

/* An index that is usually good, or a length that usually fits. */
static void small(struct body *f) {
    if (chance(f->g, 6))
        expr(f, WASM_I32);
    else
        masked(f, 3);
}

/* A segment from which a few elements or bytes can be copied, most of the time. */
static unsigned random_elem(struct body *f) {
    unsigned k = below(f->g, f->m->nelems);
    for (unsigned i = 0; i < f->m->nelems && chance(f->g, 970); i++, k = (k + 1) % f->m->nelems)
        if (f->m->elems[k].mode == ELEM_PASSIVE && f->m->elems[k].n >= 6)
            break;
    return k;
}

static unsigned random_data(struct body *f) {
    unsigned k = below(f->g, f->m->ndatas);
    for (unsigned i = 0; i < f->m->ndatas && chance(f->g, 970); i++, k = (k + 1) % f->m->ndatas)
        if (!f->m->datas[k].active && f->m->datas[k].size >= 62)
            break;
    return k;
}

static void table_stmt(struct body *f) {
    uint8_t elem = chance(f->g, 500) ? WASM_FUNCREF : WASM_EXTERNREF;
    unsigned table = random_table(f, elem);
    unsigned segment = random_elem(f);
    switch (below(f->g, 12)) {
    case 0: op_index(f, OP_ELEM_DROP, below(f->g, f->m->nelems + 1)); return;
    case 1:
    case 2:
        small(f);
        expr(f, elem);
        small(f);
        op_index(f, OP_TABLE_FILL, table);
        return;
    case 3:
    case 4:
        small(f);
        small(f);
        small(f);
        op_index(f, OP_TABLE_COPY, table);
        buf_varint(f->b, random_table(f, elem));
        return;
    case 5:
    case 6:
        small(f);
        small(f);
        small(f);
        op_index(f, OP_TABLE_INIT, segment);
        buf_varint(f->b, random_table(f, f->m->elems[segment].type));
        return;
    default:
        small(f);
        expr(f, elem);
        op_index(f, OP_TABLE_SET, table);
    }
}

static void bulk_stmt(struct body *f) {
    address(f);
    switch (f->m->ndatas ? below(f->g, 7) : below(f->g, 4)) {
    case 0:
    case 1:
        expr(f, WASM_I32);
        chance(f->g, 20) ? expr(f, WASM_I32) : masked(f, 0xff);
        op_index(f, OP_MEMORY_FILL, 0);
        return;
    case 2:
    case 3:
        address(f);
        chance(f->g, 20) ? expr(f, WASM_I32) : masked(f, 0x1ff);
        op_index(f, OP_MEMORY_COPY, 0);
        buf_varint(f->b, 0);
        return;
    case 4:
    case 5:
        masked(f, 0x1f);
        masked(f, 0x1f);
        op_index(f, OP_MEMORY_INIT, random_data(f));
        buf_varint(f->b, 0);
        return;
    default: op(f, OP_DROP); op_index(f, OP_DATA_DROP, below(f->g, f->m->ndatas));
    }
}

/* ---- operators -------------------------------------------------------------------------------------------------- */

static unsigned lanes_of(const struct wasm_op_info *info) {
    if (info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE)
        return 16u >> info->align;
    unsigned bits, lanes;
    must(sscanf(info->text + 1, "%ux%u", &bits, &lanes) == 2);
    return lanes;
}

/* A vector for an operator that takes NaNs of `rule` whatever their bits: perhaps straight from another. */
static void raw_vector(struct body *f, enum nan_rule rule) {
    if (rule != NAN_NONE && f->depth < MAX_DEPTH && chance(f->g, 500)) {
        enum wasm_op o = gen_makers(WASM_V128)->ops[below(f->g, gen_makers(WASM_V128)->n)];
        while (gen_makes_nans(o) != rule)
            o = gen_makers(WASM_V128)->ops[below(f->g, gen_makers(WASM_V128)->n)];
        operator(f, o);
    } else {
        expr(f, WASM_V128);
    }
}

/* A float that an integer can hold, most of the time. */
static void tame_float(struct body *f, uint8_t type) {
    if (chance(f->g, 40)) {
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
    uint8_t type = gen_type_of_letter(info->sig[k]);
    bool is_float = type == WASM_F32 || type == WASM_F64;
    if (type == WASM_V128) {
        raw_vector(f, gen_takes_nans(o));
    } else if (info->imm == IMM_TRAPS && is_float) {
        tame_float(f, type);
    } else if (info->imm == IMM_TRAPS && k == 1 && chance(f->g, 980)) {
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

void operator(struct body *f, enum wasm_op o) {
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

/* ---- expressions ------------------------------------------------------------------------------------------------ */

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
    condition(f);
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
    enum wasm_op o = gen_makers(type)->ops[below(f->g, gen_makers(type)->n)];
    operator(f, o);
    if (gen_makes_nans(o))
        canonical_vector(f, gen_makes_nans(o));
}

void assignment(struct body *f) {
    uint8_t type = random_type(f->g);
    unsigned depth = f->depth;
    f->depth = MAX_DEPTH - 2;
    compute(f, type);
    f->depth = depth;
    op_index(f, OP_LOCAL_SET, random_local(f, type));
}

void expr(struct body *f, uint8_t type) {
    struct types one = {{type}, 1};
    if (f->budget-- <= 0 || f->depth >= MAX_DEPTH) {
        leaf(f, type);
        return;
    }
    f->depth++;
    unsigned dice = below(f->g, 1000);
    int label;
    if (dice < 250) {
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

/* ---- statements ------------------------------------------------------------------------------------------------- */

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

void record(struct body *f, unsigned local) {
    uint8_t type = f->locals[local];
    bool wide = type == WASM_I64 || type == WASM_F64, vector = type == WASM_V128;
    int32_t at = 0x7000 + (int32_t)below(f->g, 0xff0);
    enum wasm_op load = vector ? OP_V128_LOAD : wide ? OP_I64_LOAD : OP_I32_LOAD;
    put_i32_const(f->b, at);
    op_index(f, OP_LOCAL_GET, local);
    if (type == WASM_F32 || type == WASM_F64) {
        canonical_scalar(f, type);
        op(f, wide ? OP_I64_REINTERPRET_F64 : OP_I32_REINTERPRET_F32);
    } else if (type == WASM_FUNCREF) {
        op(f, OP_REF_IS_NULL);
    } else if (type == WASM_EXTERNREF) {
        op_index(f, OP_CALL, HOST_READ_REF);
    }
    put_i32_const(f->b, at);
    op_index(f, load, 0);
    buf_varint(f->b, 0);
    if (vector) { /* rotate, so that equal values do not cancel */
        op_index(f, OP_LOCAL_TEE, f->scratch_v128);
        op_index(f, OP_LOCAL_GET, f->scratch_v128);
        op(f, OP_I8X16_SHUFFLE);
        for (unsigned i = 0; i < 16; i++)
            buf_byte(f->b, (uint8_t)(i + 3));
        op(f, OP_V128_XOR);
    } else {
        put_i32_const(f->b, 7);
        if (wide)
            op(f, OP_I64_EXTEND_I32_U);
        op(f, wide ? OP_I64_ROTL : OP_I32_ROTL);
        op(f, wide ? OP_I64_XOR : OP_I32_XOR);
    }
    op_index(f, vector ? OP_V128_STORE : wide ? OP_I64_STORE : OP_I32_STORE, 0);
    buf_varint(f->b, 0);
}

/* Inside an arm of its own, so that what follows is mostly reachable. */
static void jump_stmt(struct body *f) {
    condition(f);
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

void stmt(struct body *f) {
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
        operator(f, gen_stores()->ops[below(f->g, gen_stores()->n)]);
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
    } else if (dice < 94) {
        jump_stmt(f);
    } else if (dice < 97) {
        record(f, below(f->g, f->nlocals));
    } else {
        expr(f, type);
        op(f, OP_DROP);
    }
    f->depth--;
}

void stmts(struct body *f, unsigned max) {
    for (unsigned n = below(f->g, max + 1); n > 0; n--)
        stmt(f);
}
