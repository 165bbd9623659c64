/* gen_control.c: branches, blocks and whole functions of random modules. */
#include "gen_body.h"

/* ---- branches --------------------------------------------------------------------------------------------------- */

int random_label(struct body *f, struct types t, bool loops) {
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

void condition(struct body *f) {
    if (f->depth < MAX_DEPTH && f->budget > 0 && chance(f->g, 600)) {
        operator(f, gen_comparisons()->ops[below(f->g, gen_comparisons()->n)]);
        if (chance(f->g, 100))
            op(f, OP_I32_EQZ);
    } else {
        expr(f, WASM_I32);
    }
}

void conditional_branch(struct body *f, int depth) {
    if (leads_to_loop(f, depth)) {
        spend_loop(f);
        if (chance(f->g, 600)) {
            condition(f);
            op(f, OP_I32_AND);
        }
    } else {
        condition(f);
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

unsigned random_func(struct body *f, const struct types *results) {
    unsigned n = f->m->nfuncs, start = below(f->g, n);
    if (f->self < n - 1 && chance(f->g, 850))
        start = f->self + 1 + below(f->g, n - f->self - 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (start + i) % n;
        if (!results || types_equal(f->m->sigs[f->m->func_sigs[k]].results, *results))
            return k;
    }
    return UINT32_MAX;
}

const struct sig *func_sig(struct body *f, unsigned func) {
    return &f->m->sigs[f->m->func_sigs[func]];
}

unsigned indirect_operands(struct body *f, const struct types *results) {
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

void jump(struct body *f) {
    int depth = (int)below(f->g, f->nlabels);
    unsigned func, type;
    switch (below(f->g, 8)) {
    case 0:
        exprs(f, f->sig->results);
        op(f, OP_RETURN);
        return;
    case 1:
        if (chance(f->g, 50)) {
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

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static void put_block_type(struct body *f, int sig, struct types results) {
    if (sig >= 0)
        put_s64(f->b, sig);
    else
        buf_byte(f->b, results.n ? results.t[0] : 0x40);
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

void block(struct body *f, int sig, struct types results) {
    struct types params = {.n = 0};
    if (sig >= 0) {
        params = f->m->sigs[sig].params;
        results = f->m->sigs[sig].results;
    }
    exprs(f, params);
    unsigned kind = below(f->g, 3);
    if (kind == 2)
        condition(f);
    op(f, kind == 0 ? OP_BLOCK : kind == 1 ? OP_LOOP : OP_IF);
    put_block_type(f, sig, results);
    block_inside(f, params, results, kind == 1);
    if (kind == 2 && (!types_equal(params, results) || chance(f->g, 600))) {
        op(f, OP_ELSE);
        block_inside(f, params, results, false);
    }
    op(f, OP_END);
}

int random_sig(struct body *f, struct types results) {
    unsigned start = below(f->g, f->m->nsigs);
    for (unsigned i = 0; i < f->m->nsigs; i++) {
        unsigned k = (start + i) % f->m->nsigs;
        if (types_equal(f->m->sigs[k].results, results))
            return (int)k;
    }
    return -1;
}

/* ---- functions -------------------------------------------------------------------------------------------------- */

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

void gen_body(struct gen *g, unsigned func, struct buf *out) {
    static const uint8_t all[] = {WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
    const struct sig *s = &g->m.sigs[g->m.func_sigs[func]];
    struct body f = {.g = g, .m = &g->m, .b = out, .sig = s, .self = func};
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
    for (unsigned n = 4 + below(g, 50); n > 0; n--) {
        f.budget += 4;
        chance(g, 850) ? assignment(&f) : stmt(&f);
    }
    exprs(&f, s->results);
    for (unsigned i = 0; i < f.nlocals; i++)
        record(&f, i);
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
