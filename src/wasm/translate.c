/* translate.c: a validated function body, operator by operator, into instructions. */
#include "wasm/translate.h"

#include "wasm/translator.h"

/* ---- tables --------------------------------------------------------------------------------------------------------
 */

// clang-format off
/* The first instruction of an operator's family in ops.inc, by signature. */
#define FIRST_i_i(N)   I_##N##_s
#define FIRST_i_I(N)   I_##N##_s
#define FIRST_i_f(N)   I_##N##_s
#define FIRST_i_F(N)   I_##N##_s
#define FIRST_i_v(N)   I_##N##_s
#define FIRST_I_i(N)   I_##N##_s
#define FIRST_I_I(N)   I_##N##_s
#define FIRST_I_f(N)   I_##N##_s
#define FIRST_I_F(N)   I_##N##_s
#define FIRST_I_v(N)   I_##N##_s
#define FIRST_f_i(N)   I_##N##_s
#define FIRST_f_I(N)   I_##N##_s
#define FIRST_f_f(N)   I_##N##_s
#define FIRST_f_F(N)   I_##N##_s
#define FIRST_f_v(N)   I_##N##_s
#define FIRST_F_i(N)   I_##N##_s
#define FIRST_F_I(N)   I_##N##_s
#define FIRST_F_f(N)   I_##N##_s
#define FIRST_F_F(N)   I_##N##_s
#define FIRST_F_v(N)   I_##N##_s
#define FIRST_v_i(N)   I_##N##_s
#define FIRST_v_I(N)   I_##N##_s
#define FIRST_v_f(N)   I_##N##_s
#define FIRST_v_F(N)   I_##N##_s
#define FIRST_v_v(N)   I_##N##_s
#define FIRST_ii_i(N)  I_##N##_ss
#define FIRST_II_I(N)  I_##N##_ss
#define FIRST_II_i(N)  I_##N##_ss
#define FIRST_ff_f(N)  I_##N##_ss
#define FIRST_ff_i(N)  I_##N##_ss
#define FIRST_FF_F(N)  I_##N##_ss
#define FIRST_FF_i(N)  I_##N##_ss
#define FIRST_vv_v(N)  I_##N##_ss
#define FIRST_vi_v(N)  I_##N##_ss
#define FIRST_vI_v(N)  I_##N##_ss
#define FIRST_vf_v(N)  I_##N##_ss
#define FIRST_vF_v(N)  I_##N##_ss
#define FIRST_vvv_v(N) I_##N##_sss
#define FIRST_ii_(N)   I_##N##_ss
#define FIRST_iI_(N)   I_##N##_ss
#define FIRST_if_(N)   I_##N##_ss
#define FIRST_iF_(N)   I_##N##_ss
#define FIRST_iv_(N)   I_##N##_ss
#define FIRST_iv_v(N)  I_##N##_ss
#define FIRST_iii_(N)  0
#define FIRST__i(N)    0
#define FIRST__I(N)    0
#define FIRST__f(N)    0
#define FIRST__F(N)    0
#define FIRST__v(N)    0
#define FIRST__(N)     0
#define FIRST_SPECIAL(N) 0
/* memory.grow has no family although its signature says i_i */
#define I_MEMORY_GROW_s 0

static const uint16_t family[OP_COUNT] = {
#define X(name, text, prefix, code, imm, sig, align) [OP_##name] = FIRST_##sig(name),
    WASM_OPCODES(X)
#undef X
};

/* Branches fused with a comparison: the _ss member; BR first, for floats BRN behind. */
#define BRANCH(N) [OP_##N - OP_I32_EQZ] = I_BR_##N##_ss
static const uint16_t branch_family[OP_F64_GE - OP_I32_EQZ + 1] = {
    BRANCH(I32_EQ), BRANCH(I32_NE), BRANCH(I32_LT_S), BRANCH(I32_LT_U), BRANCH(I32_GT_S), BRANCH(I32_GT_U),
    BRANCH(I32_LE_S), BRANCH(I32_LE_U), BRANCH(I32_GE_S), BRANCH(I32_GE_U),
    BRANCH(I64_EQ), BRANCH(I64_NE), BRANCH(I64_LT_S), BRANCH(I64_LT_U), BRANCH(I64_GT_S), BRANCH(I64_GT_U),
    BRANCH(I64_LE_S), BRANCH(I64_LE_U), BRANCH(I64_GE_S), BRANCH(I64_GE_U),
    BRANCH(F32_EQ), BRANCH(F32_NE), BRANCH(F32_LT), BRANCH(F32_GT), BRANCH(F32_LE), BRANCH(F32_GE),
    BRANCH(F64_EQ), BRANCH(F64_NE), BRANCH(F64_LT), BRANCH(F64_GT), BRANCH(F64_LE), BRANCH(F64_GE),
};
// clang-format on

_Static_assert(OP_I32_GE_U == OP_I32_EQ + 9 && OP_I64_GE_U == OP_I64_EQ + 9, "integer comparisons in binary order");

/* Members of a family, from its first. */
enum { SS, RS, SR, SK, RK }; /* binary */
enum { BRN = 3 };            /* from BR_<float>_xx to BRN_<float>_xx */
enum { STORE_SS, STORE_RS, STORE_SR, STORE_KS, STORE_KR, STORE_SK, STORE_KK };

static bool is_int_compare(uint32_t op) {
    return (op >= OP_I32_EQ && op <= OP_I32_GE_U) || (op >= OP_I64_EQ && op <= OP_I64_GE_U);
}

static bool is_float_compare(uint32_t op) {
    return op >= OP_F32_EQ && op <= OP_F64_GE;
}

/* eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u, turned into their negation, and with sides exchanged. */
static uint32_t int_compare_with(uint32_t op, const uint8_t map[10]) {
    uint32_t base = op >= OP_I64_EQ ? OP_I64_EQ : OP_I32_EQ;
    return base + map[op - base];
}

static uint32_t negated(uint32_t op) {
    static const uint8_t map[10] = {1, 0, 8, 9, 6, 7, 4, 5, 2, 3};
    return int_compare_with(op, map);
}

static uint32_t mirrored(uint32_t op) {
    static const uint8_t map[10] = {0, 1, 4, 5, 2, 3, 8, 9, 6, 7};
    return int_compare_with(op, map);
}

static bool commutes(uint32_t op) {
    switch (op) {
    case OP_I32_ADD:
    case OP_I32_MUL:
    case OP_I32_AND:
    case OP_I32_OR:
    case OP_I32_XOR:
    case OP_I64_ADD:
    case OP_I64_MUL:
    case OP_I64_AND:
    case OP_I64_OR:
    case OP_I64_XOR: return true;
    default: return false;
    }
}

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'I': return WASM_I64;
    case 'f': return WASM_F32;
    case 'F': return WASM_F64;
    default: return WASM_V128;
    }
}

/* ---- reading (validated bytes) -------------------------------------------------------------------------------------
 */

static uint32_t read_u32(struct translator *t) {
    uint32_t r = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *t->p++;
        r |= (uint32_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return r;
    }
}

static int64_t read_s64(struct translator *t) {
    uint64_t r = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
        b = *t->p++;
        r |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (shift < 64 && (b & 0x40))
        r |= ~(uint64_t)0 << shift;
    return (int64_t)r;
}

static void skip_leb(struct translator *t) {
    while (*t->p++ & 0x80)
        ;
}

static uint32_t here(const struct translator *t) {
    return (uint32_t)(t->p - t->m->bytes.data);
}

/* ---- pairs of operators in one instruction -------------------------------------------------------------------------
 */

/* Remembers the instruction just emitted at `word` as a possible first half. */
static void may_be_first(struct translator *t, struct first f) {
    if (t->exact)
        return;
    f.offset = t->offset;
    f.ticks = t->ticks;
    t->first = f;
}

static struct first first_here(const struct translator *t, enum half kind) {
    return (struct first){.kind = kind, .word = t->nout, .r = t->acc_r, .d = t->acc_d, .f = t->acc_f};
}

/* Takes the first half back, to be emitted again within a pair. */
static struct first take_first(struct translator *t) {
    struct first f = t->first;
    t->nout = f.word;
    t->acc_r = f.r;
    t->acc_d = f.d;
    t->acc_f = f.f;
    t->first.kind = HALF_NONE;
    t->last = (struct last){0};
    return f;
}

static void emit_pair(struct translator *t, const struct first *f, uint32_t insn, uint32_t a, uint32_t b, uint32_t c,
                      uint32_t d, uint32_t imm) {
    uint32_t offset = t->offset, ticks = t->ticks;
    t->offset = f->offset;
    t->ticks = f->ticks;
    observe(t, PLACE_FIRST, f->offset);
    t->offset = offset;
    t->ticks = ticks;
    emit(t, insn, a, b, c, d);
    emit_word(t, f->imm | (uint64_t)imm << 32);
}

/* The top entry's slot is the destination of the first half and nobody else's business. */
static bool consumes_first(const struct translator *t, const struct val *v) {
    return v->lazy == IN_SLOT && t->first.kind == HALF_LOAD && t->first.value == v->slot;
}

/* ---- numeric operators ------------------------------------------------------------------------------------------- */

static int32_t acc_of(const struct translator *t, uint8_t type) {
    switch (type) {
    case WASM_I32:
    case WASM_I64: return t->acc_r;
    case WASM_F64: return t->acc_d;
    case WASM_F32: return t->acc_f;
    default: return -1;
    }
}

static bool fits_k(const struct val *v) {
    return v->lazy == IS_CONST &&
           (v->type == WASM_I32 || (v->type == WASM_I64 && (int64_t)v->value == (int32_t)(int64_t)v->value));
}

/* Marks the instruction at `word` as the definition of the entry just pushed. */
static void defined(struct translator *t, uint32_t word, struct last before) {
    const struct val *v = &t->vals[t->nvals - 1];
    acc_defined(t, v->slot, v->type);
    before.defines = true;
    before.word = word;
    before.slot = v->slot;
    t->last = before;
}

static struct last accumulators(const struct translator *t) {
    return (struct last){.r = t->acc_r, .d = t->acc_d, .f = t->acc_f};
}

/* A constant taken from a global: the first half of a function's prologue. True when done. */
static bool pair_with_sub(struct translator *t, const struct val *l, const struct val *r) {
    if (t->first.kind != HALF_GLOBAL_GET || l->lazy != IN_SLOT || t->first.value != l->slot || r->lazy != IS_CONST)
        return false;
    uint32_t k = (uint32_t)r->value;
    struct first f = take_first(t), next = first_here(t, HALF_GLOBAL_SUB);
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    pop(t);
    pop(t);
    uint32_t slot = push(t, WASM_I32)->slot;
    emit_imm(t, I_GLOBAL_SUB, slot, 0, f.imm);
    emit_word(t, k);
    defined(t, word, before);
    next.value = slot;
    next.imm = f.imm;
    next.imm2 = k;
    may_be_first(t, next);
    return true;
}

static void op_unary(struct translator *t, uint32_t op, uint8_t param, uint8_t result) {
    uint32_t from = source(t, &t->vals[t->nvals - 1]);
    bool acc = acc_of(t, param) == (int32_t)from && result != WASM_V128;
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    pop(t);
    struct val *v = push(t, result);
    emit(t, family[op] + acc, v->slot, from, 0, 0);
    defined(t, word, before);
}

static void op_binary(struct translator *t, uint32_t op, uint8_t lt, uint8_t rt, uint8_t result) {
    struct val *l = &t->vals[t->nvals - 2], *r = &t->vals[t->nvals - 1];
    if (op == OP_I32_SUB && pair_with_sub(t, l, r))
        return;
    bool integers = (lt == WASM_I32 || lt == WASM_I64) && lt == rt;
    if (integers && fits_k(l) && r->lazy != IS_CONST && (commutes(op) || is_int_compare(op))) {
        if (is_int_compare(op))
            op = mirrored(op);
        struct val *swap = l;
        l = r;
        r = swap;
    }
    bool has_k = integers && fits_k(r);
    int32_t k = has_k ? (int32_t)(uint32_t)r->value : 0;
    uint32_t lhs = source(t, l), rhs = has_k ? 0 : source(t, r);
    int32_t acc_l = acc_of(t, lt), acc_r = acc_of(t, rt);
    uint32_t member = has_k ? SK : SS;
    if (acc_l == (int32_t)lhs)
        member = has_k ? RK : RS;
    else if (!has_k && acc_r == (int32_t)rhs && rt == lt)
        member = SR;
    struct last before = accumulators(t);
    before.compares = is_int_compare(op) || is_float_compare(op);
    before.op = (uint16_t)op;
    before.lhs = (uint16_t)lhs;
    before.rhs = (uint16_t)rhs;
    before.has_k = has_k;
    before.k = k;
    uint32_t word = t->nout;
    struct first first = first_here(t, HALF_ADD);
    pop(t);
    pop(t);
    struct val *v = push(t, result);
    if (has_k)
        emit_imm(t, family[op] + member, v->slot, lhs, (uint32_t)k);
    else
        emit(t, family[op] + member, v->slot, lhs, rhs, 0);
    defined(t, word, before);
    if (op == OP_I32_ADD && has_k) {
        first.address = lhs;
        first.value = v->slot;
        first.imm2 = (uint32_t)k;
        may_be_first(t, first);
    }
}

/* All operands in slots, immediate lane in the last place. */
static void op_vector(struct translator *t, uint32_t op, const char *sig, uint32_t nparams, uint32_t lane) {
    uint32_t from[4] = {0};
    for (uint32_t i = 0; i < nparams; i++)
        from[i] = source(t, &t->vals[t->nvals - nparams + i]);
    from[nparams] = lane;
    for (uint32_t i = 0; i < nparams; i++)
        pop(t);
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    struct val *v = push(t, type_of_letter(sig[nparams + 1]));
    emit(t, family[op], v->slot, from[0], from[1], from[2]);
    defined(t, word, before);
}

static void op_numeric(struct translator *t, uint32_t op, const char *sig) {
    uint32_t nparams = (uint32_t)(strchr(sig, '_') - sig);
    if (nparams == 1) {
        op_unary(t, op, type_of_letter(sig[0]), type_of_letter(sig[2]));
    } else if (nparams == 2 && sig[0] != 'v') {
        op_binary(t, op, type_of_letter(sig[0]), type_of_letter(sig[1]), type_of_letter(sig[3]));
    } else {
        op_vector(t, op, sig, nparams, 0);
    }
}

/* Takes back the comparison just emitted, so that it can be fused; its operands stay readable. */
static struct last unemit(struct translator *t) {
    struct last c = t->last;
    t->nout = c.word;
    t->acc_r = c.r;
    t->acc_d = c.d;
    t->acc_f = c.f;
    t->last = (struct last){0};
    return c;
}

static bool top_is_fresh_compare(const struct translator *t) {
    const struct val *v = &t->vals[t->nvals - 1];
    return !t->exact && t->last.defines && t->last.compares && v->lazy == IN_SLOT && v->slot == t->last.slot;
}

static void op_eqz(struct translator *t, uint32_t op) {
    if (op != OP_I32_EQZ || !top_is_fresh_compare(t) || !is_int_compare(t->last.op)) {
        op_unary(t, op, op == OP_I32_EQZ ? WASM_I32 : WASM_I64, WASM_I32);
        return;
    }
    struct last c = unemit(t);
    c.op = (uint16_t)negated(c.op);
    bool acc = t->acc_r == (int32_t)c.lhs;
    uint32_t word = t->nout, slot = t->vals[t->nvals - 1].slot;
    if (c.has_k)
        emit_imm(t, family[c.op] + (acc ? RK : SK), slot, c.lhs, (uint32_t)c.k);
    else
        emit(t, family[c.op] + (acc ? RS : SS), slot, c.lhs, c.rhs, 0);
    defined(t, word, c);
}

/* ---- memory --------------------------------------------------------------------------------------------------------
 */

static uint32_t read_memarg(struct translator *t) {
    skip_leb(t);
    return read_u32(t);
}

/* An address known here is folded into the offset. */
static bool constant_address(const struct val *v, uint32_t offset, uint32_t *sum) {
    if (v->lazy != IS_CONST || v->value + offset > UINT32_MAX)
        return false;
    *sum = (uint32_t)v->value + offset;
    return true;
}

/* An i32.load as the second half; its address is the top entry. */
static bool pair_with_load(struct translator *t, uint32_t offset) {
    struct val *a = &t->vals[t->nvals - 1];
    if ((t->first.kind != HALF_LOAD && t->first.kind != HALF_STORE) || a->lazy == IS_CONST)
        return false;
    bool chain = consumes_first(t, a);
    uint32_t from = source(t, a);
    struct first f = take_first(t);
    pop(t);
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    uint32_t slot = push(t, WASM_I32)->slot;
    if (chain)
        emit_pair(t, &f, t->acc_r == (int32_t)f.address ? I_LOAD_CHAIN_r : I_LOAD_CHAIN, slot, f.address, 0, 0, offset);
    else if (f.kind == HALF_LOAD)
        emit_pair(t, &f, I_LOAD_LOAD, slot, f.value, f.address, from, offset);
    else
        emit_pair(t, &f, t->acc_r == (int32_t)f.value ? I_STORE_LOAD_r : I_STORE_LOAD, slot, f.address, f.value, from,
                  offset);
    if (f.kind == HALF_LOAD && !chain)
        acc_overwritten(t, f.value, WASM_I32);
    defined(t, word, before);
    return true;
}

/* An i32.store as the second half. */
static bool pair_with_store(struct translator *t, uint32_t offset) {
    struct val *a = &t->vals[t->nvals - 2], *v = &t->vals[t->nvals - 1];
    bool copies = consumes_first(t, v);
    if ((!copies && t->first.kind != HALF_STORE) || a->lazy == IS_CONST || v->lazy == IS_CONST)
        return false;
    uint32_t to = source(t, a), from = source(t, v);
    struct first f = take_first(t);
    pop(t);
    pop(t);
    if (copies)
        emit_pair(t, &f, I_LOAD_STORE, to, f.address, 0, 0, offset);
    else
        emit_pair(t, &f, I_STORE_STORE, f.address, f.value, to, from, offset);
    return true;
}

static void op_load(struct translator *t, uint32_t op, const char *sig) {
    uint32_t offset = read_memarg(t), absolute;
    if (op == OP_I32_LOAD && pair_with_load(t, offset))
        return;
    struct first first = first_here(t, HALF_LOAD);
    struct val *a = &t->vals[t->nvals - 1];
    bool k = constant_address(a, offset, &absolute);
    uint32_t from = k ? 0 : source(t, a);
    bool acc = !k && t->acc_r == (int32_t)from;
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    pop(t);
    struct val *v = push(t, type_of_letter(sig[2]));
    emit_imm(t, family[op] + (k ? 2 : acc), v->slot, from, k ? absolute : offset);
    defined(t, word, before);
    if (op == OP_I32_LOAD && !k && first.word == word) {
        first.address = from;
        first.value = v->slot;
        first.imm = offset;
        may_be_first(t, first);
    }
}

static void op_store(struct translator *t, uint32_t op, const char *sig) {
    uint32_t offset = read_memarg(t), absolute = 0;
    if (op == OP_I32_STORE && pair_with_store(t, offset))
        return;
    struct val *a = &t->vals[t->nvals - 2], *v = &t->vals[t->nvals - 1];
    uint8_t type = type_of_letter(sig[1]);
    bool vector = type == WASM_V128;
    bool small = (type == WASM_I32 && v->lazy == IS_CONST && (int32_t)v->value == (int16_t)v->value) ||
                 (type == WASM_I64 && v->lazy == IS_CONST && (int64_t)v->value == (int16_t)v->value);
    bool k = !vector && constant_address(a, offset, &absolute);
    uint32_t to = k ? 0 : source(t, a);
    uint32_t from = small ? (uint16_t)v->value : source(t, v);
    bool acc = !small && acc_of(t, type) == (int32_t)from;
    uint32_t member;
    if (vector)
        member = STORE_SS;
    else if (k)
        member = small ? STORE_KK : acc ? STORE_KR : STORE_KS;
    else if (small)
        member = STORE_SK;
    else if (acc)
        member = STORE_SR;
    else
        member = t->acc_r == (int32_t)to ? STORE_RS : STORE_SS;
    pop(t);
    pop(t);
    struct first first = first_here(t, HALF_STORE);
    emit_imm(t, family[op] + member, to, from, k ? absolute : offset);
    if (op == OP_I32_STORE && !k && !small) {
        first.address = to;
        first.value = from;
        first.imm = offset;
        may_be_first(t, first);
    }
}

static void op_lane_memory(struct translator *t, uint32_t op, bool load) {
    uint32_t offset = read_memarg(t), lane = *t->p++;
    uint32_t address = source(t, &t->vals[t->nvals - 2]), vector = source(t, &t->vals[t->nvals - 1]);
    pop(t);
    pop(t);
    if (load) {
        struct val *v = push(t, WASM_V128);
        emit_imm(t, family[op], v->slot, address, offset);
        emit_word(t, lane | (uint64_t)vector << 32);
        acc_overwritten(t, v->slot, WASM_V128);
    } else {
        emit_imm(t, family[op], address, vector, offset);
        emit_word(t, lane);
    }
}

/* An instruction over the top `n` entries in their slots, which can be left half-way and started again: the watcher
 * sees the operands still there. */
static void restartable(struct translator *t, uint32_t n) {
    settle(t, t->nvals - n);
    if (!t->exact) {
        t->ticks--;
        observe(t, PLACE_OP, t->offset);
        t->ticks++;
    }
}

static void op_bulk(struct translator *t, uint32_t insn, uint32_t what, uint32_t index, const uint32_t *second) {
    restartable(t, 3);
    emit_imm(t, insn, t->vals[t->nvals - 3].slot, what, index);
    if (second)
        emit_word(t, *second);
    pop(t);
    pop(t);
    pop(t);
    acc_reset(t);
}

static void op_memory_table(struct translator *t, uint32_t op) {
    uint32_t i, j;
    switch (op) {
    case OP_MEMORY_INIT:
        i = read_u32(t);
        t->p++;
        op_bulk(t, I_MEMORY_BULK, 2, i, NULL);
        return;
    case OP_MEMORY_COPY:
        t->p += 2;
        op_bulk(t, I_MEMORY_BULK, 1, 0, NULL);
        return;
    case OP_MEMORY_FILL:
        t->p++;
        op_bulk(t, I_MEMORY_BULK, 0, 0, NULL);
        return;
    case OP_TABLE_INIT:
        i = read_u32(t);
        j = read_u32(t);
        op_bulk(t, I_TABLE_BULK, 2, j, &i);
        return;
    case OP_TABLE_COPY:
        i = read_u32(t);
        j = read_u32(t);
        op_bulk(t, I_TABLE_BULK, 1, i, &j);
        return;
    case OP_TABLE_FILL:
        i = read_u32(t);
        op_bulk(t, I_TABLE_BULK, 0, i, &(uint32_t){0});
        return;
    case OP_DATA_DROP: emit_imm(t, I_DATA_DROP, 0, 0, read_u32(t)); return;
    case OP_ELEM_DROP: emit_imm(t, I_ELEM_DROP, 0, 0, read_u32(t)); return;
    default: must(!"operator"); return;
    }
}

/* One result from operands in slots, through a slow part that clobbers the accumulators. */
static void op_slow(struct translator *t, uint32_t op) {
    uint32_t b, c;
    struct val *v;
    switch (op) {
    case OP_MEMORY_GROW:
        t->p++;
        b = source(t, &t->vals[t->nvals - 1]);
        pop(t);
        v = push(t, WASM_I32);
        emit(t, I_MEMORY_GROW, v->slot, b, 0, 0);
        acc_reset(t);
        return;
    case OP_TABLE_GET: {
        uint32_t table = read_u32(t);
        b = source(t, &t->vals[t->nvals - 1]);
        pop(t);
        v = push(t, (uint8_t)t->m->tables[table].elem);
        emit_imm(t, I_TABLE_GET, v->slot, b, table);
        break;
    }
    case OP_TABLE_SET:
        b = source(t, &t->vals[t->nvals - 2]);
        c = source(t, &t->vals[t->nvals - 1]);
        pop(t);
        pop(t);
        emit_imm(t, I_TABLE_SET, b, c, read_u32(t));
        break;
    default: /* table.grow */
        b = source(t, &t->vals[t->nvals - 2]);
        c = source(t, &t->vals[t->nvals - 1]);
        pop(t);
        pop(t);
        v = push(t, WASM_I32);
        emit(t, I_TABLE_GROW, v->slot, b, c, 0);
        emit_word(t, read_u32(t));
        break;
    }
    acc_reset(t);
}

/* ---- locals, globals, constants, select ---------------------------------------------------------------------------
 */

static void set_local(struct translator *t, uint32_t local) {
    struct val v = t->vals[t->nvals - 1];
    uint32_t slot = t->local_slot[local];
    bool itself = v.lazy == IN_LOCAL && v.local == local;
    pop(t);
    if (itself)
        return;
    settle_local(t, local);
    if (!t->exact && v.lazy == IN_SLOT && t->last.defines && t->last.slot == v.slot) {
        uint64_t *w = &t->out[t->last.word + 1];
        *w = (*w & ~(uint64_t)0xffff) | slot;
        acc_overwritten(t, slot, v.type);
        if (t->acc_r == (int32_t)v.slot)
            t->acc_r = (int32_t)slot;
        if (t->acc_d == (int32_t)v.slot)
            t->acc_d = (int32_t)slot;
        if (t->acc_f == (int32_t)v.slot)
            t->acc_f = (int32_t)slot;
        if (t->first.kind == HALF_LOAD || t->first.kind == HALF_GLOBAL_SUB)
            t->first.value = slot;
        else if (t->first.kind != HALF_STORE)
            t->first.kind = HALF_NONE;
        t->last = (struct last){0};
        return;
    }
    move_to(t, &v, slot);
}

static void op_local(struct translator *t, uint32_t op) {
    uint32_t local = read_u32(t);
    if (op == OP_LOCAL_GET) {
        push_local(t, local);
        return;
    }
    if (op == OP_LOCAL_TEE && t->exact) {
        move_to(t, &t->vals[t->nvals - 1], t->local_slot[local]);
        return;
    }
    set_local(t, local);
    if (op == OP_LOCAL_TEE)
        push_local(t, local);
}

/* A function's prologue or epilogue. True when done. */
static bool pair_with_global_set(struct translator *t, uint32_t index) {
    struct val *v = &t->vals[t->nvals - 1];
    if (v->lazy == IS_CONST)
        return false;
    uint32_t from = source(t, v);
    if (t->first.kind == HALF_GLOBAL_SUB && t->first.imm == index && t->first.value == from) {
        struct first f = take_first(t);
        pop(t);
        emit_imm(t, I_GLOBAL_SUB_SET, from, 0, index);
        emit_word(t, f.imm2);
        acc_defined(t, from, WASM_I32);
        return true;
    }
    if (t->first.kind == HALF_ADD && v->lazy == IN_SLOT && t->first.value == from) {
        struct first f = take_first(t);
        pop(t);
        emit_imm(t, I_ADD_GLOBAL_SET, f.address, 0, index);
        emit_word(t, f.imm2);
        return true;
    }
    return false;
}

static void op_global(struct translator *t, uint32_t op) {
    uint32_t index = read_u32(t);
    uint8_t type = (uint8_t)t->m->globals[index].type.type;
    bool integer = type == WASM_I32 || type == WASM_I64;
    if (op == OP_GLOBAL_GET) {
        struct last before = accumulators(t);
        struct first first = first_here(t, HALF_GLOBAL_GET);
        uint32_t word = t->nout;
        struct val *v = push(t, type);
        emit_imm(t, integer ? I_GLOBAL_GET_i : type == WASM_V128 ? I_GLOBAL_GET_v : I_GLOBAL_GET_x, v->slot, 0, index);
        if (!integer) {
            acc_overwritten(t, v->slot, type);
            return;
        }
        defined(t, word, before);
        first.value = v->slot;
        first.imm = index;
        may_be_first(t, first);
        return;
    }
    if (type == WASM_I32 && pair_with_global_set(t, index))
        return;
    uint32_t from = source(t, &t->vals[t->nvals - 1]);
    pop(t);
    if (type == WASM_V128)
        emit_imm(t, I_GLOBAL_SET_v, from, 0, index);
    else if (integer && t->acc_r == (int32_t)from)
        emit_imm(t, I_GLOBAL_SET_r, from, 0, index);
    else
        emit_imm(t, I_GLOBAL_SET_s, from, 0, index);
}

static void op_const(struct translator *t, uint32_t op) {
    struct val *v;
    uint64_t halves[2];
    switch (op) {
    case OP_I32_CONST: push_const(t, WASM_I32, (uint32_t)read_s64(t)); return;
    case OP_I64_CONST: push_const(t, WASM_I64, (uint64_t)read_s64(t)); return;
    case OP_F32_CONST:
        push_const(t, WASM_F32, get_u32(t->p));
        t->p += 4;
        return;
    case OP_F64_CONST:
        push_const(t, WASM_F64, get_u64(t->p));
        t->p += 8;
        return;
    case OP_V128_CONST:
        memcpy(halves, t->p, 16);
        t->p += 16;
        v = push(t, WASM_V128);
        emit(t, I_CONST_v128, v->slot, 0, 0, 0);
        emit_word(t, halves[0]);
        emit_word(t, halves[1]);
        acc_overwritten(t, v->slot, WASM_V128);
        return;
    case OP_REF_NULL: push_const(t, *t->p++, 0); return;
    default: must(!"constant"); return;
    }
}

static void op_select(struct translator *t) {
    struct val *a = &t->vals[t->nvals - 3], *b = &t->vals[t->nvals - 2], *c = &t->vals[t->nvals - 1];
    uint8_t type = a->type;
    uint32_t cond = source(t, c), first = source(t, a), second = source(t, b);
    bool acc = t->acc_r == (int32_t)cond && type != WASM_V128;
    bool integer = type == WASM_I32 || type == WASM_I64;
    pop(t);
    pop(t);
    pop(t);
    struct val *v = push(t, type);
    struct last before = accumulators(t);
    uint32_t word = t->nout;
    emit(t, type == WASM_V128 ? I_SELECT_v : I_SELECT_s + acc, v->slot, first, second, cond);
    if (type != WASM_V128 && !integer)
        t->acc_r = -1; /* r holds bits that nobody takes for an integer */
    defined(t, word, before);
    if (!integer) { /* d and s do not mirror it */
        acc_overwritten(t, v->slot, type);
        t->last.defines = true;
    }
}

/* ---- control
 * --------------------------------------------------------------------------------------------------------- */

static void block_type(struct translator *t, struct ctl *c) {
    int64_t bt = read_s64(t);
    if (bt >= 0) {
        const struct wasm_functype *ft = &t->m->types[bt];
        c->nparams = ft->nparams;
        c->nresults = ft->nresults;
        c->params = ft->params;
        c->results = ft->results;
    } else if (bt != -0x40) {
        static const uint8_t types[] = {WASM_I32,  WASM_I64,     WASM_F32,      WASM_F64,
                                        WASM_V128, WASM_FUNCREF, WASM_EXTERNREF};
        for (size_t i = 0; i < sizeof types; i++)
            if ((int64_t)types[i] - 0x80 == bt)
                c->results = &types[i];
        c->nresults = 1;
    }
}

static struct ctl *push_ctl(struct translator *t, enum ctl_kind kind, struct ctl c) {
    c.kind = kind;
    c.height = t->nvals - c.nparams;
    c.base = c.nparams ? t->vals[c.height].slot : top_slot(t);
    t->ctls = grow_array(t->ctls, &t->ctls_cap, t->nctls + 1, sizeof *t->ctls);
    t->ctls[t->nctls] = c;
    return &t->ctls[t->nctls++];
}

/* What a branch to `c` carries. */
static uint32_t label_values(const struct ctl *c) {
    return c->kind == CTL_LOOP ? c->nparams : c->nresults;
}

static bool in_place(const struct translator *t, const struct ctl *c) {
    uint32_t n = label_values(c), slot = c->base;
    for (uint32_t i = t->nvals - n; i < t->nvals; i++) {
        const struct val *v = &t->vals[i];
        if (v->lazy != IN_SLOT || v->slot != slot)
            return false;
        slot += type_slots(v->type);
    }
    return true;
}

/* Copies the values a branch carries to where its target wants them. Upwards: none lies below its destination. */
static void carry(struct translator *t, const struct ctl *c) {
    uint32_t n = label_values(c), slot = c->base;
    for (uint32_t i = t->nvals - n; i < t->nvals; i++) {
        const struct val *v = &t->vals[i];
        if (v->lazy != IN_SLOT || v->slot != slot)
            move_to(t, v, slot);
        slot += type_slots(v->type);
    }
}

static void set_dead(struct translator *t) {
    t->dead = true;
    t->dead_depth = 0;
    while (t->nvals > t->ctls[t->nctls - 1].height)
        pop(t);
    acc_reset(t);
}

static void emit_return(struct translator *t) {
    const struct ctl *c = &t->ctls[0];
    uint32_t n = c->nresults, first = t->nvals - n;
    if (n == 0) {
        if (t->exact)
            emit_imm(t, I_RETURN_EXACT, 0, 0, 0);
        else
            emit_imm(t, I_RETURN, 0, 0, t->ticks);
        return;
    }
    struct val *v = &t->vals[first];
    if (!t->exact && n == 1 && v->type != WASM_V128) {
        if (v->lazy == IS_CONST) {
            emit_imm(t, I_RETURN_k, 0, 0, t->ticks);
            emit_word(t, v->value);
            return;
        }
        uint32_t from = source(t, v), insn = I_RETURN_s;
        if (acc_of(t, v->type) == (int32_t)from)
            insn = v->type == WASM_F64 ? I_RETURN_d : v->type == WASM_F32 ? I_RETURN_f : I_RETURN_r;
        emit_imm(t, insn, from, 0, t->ticks);
        return;
    }
    settle(t, first);
    uint32_t slots = top_slot(t) - t->vals[first].slot;
    emit_imm(t, t->exact ? I_RETURN_EXACT : I_RETURN_n, t->vals[first].slot, slots, t->ticks);
}

static void op_br(struct translator *t, uint32_t depth) {
    struct ctl *c = &t->ctls[t->nctls - 1 - depth];
    if (c->kind == CTL_FUNC) {
        emit_return(t);
    } else {
        carry(t, c);
        uint32_t insn = t->nout;
        emit(t, I_BR, 0, 0, 0, 0);
        jump_to(t, c, insn);
    }
    set_dead(t);
}

/* The condition on top of the stack, taken off; a comparison just made is taken back to be fused. */
struct cond {
    bool fused, negate;
    struct last cmp;
    uint32_t slot;
    uint8_t bits; /* of the value tested against zero */
};

static struct cond take_cond(struct translator *t) {
    struct cond c = {.bits = 32};
    struct val *v = &t->vals[t->nvals - 1];
    if (top_is_fresh_compare(t)) {
        c.fused = true;
        c.cmp = unemit(t);
    } else if (!t->exact && t->last.defines && v->lazy == IN_SLOT && v->slot == t->last.slot &&
               (t->last.op == OP_I32_EQZ || t->last.op == OP_I64_EQZ)) {
        struct last z = unemit(t);
        c.slot = z.lhs;
        c.bits = z.op == OP_I64_EQZ ? 64 : 32;
        c.negate = true;
    } else {
        c.slot = source(t, v);
    }
    pop(t);
    return c;
}

/* Jumps when the condition holds (or, negated, when not); the branch word is for the caller to append. Returns the
 * instruction's word. */
static uint32_t emit_cond(struct translator *t, const struct cond *c, bool negate) {
    negate ^= c->negate;
    uint32_t insn = t->nout;
    if (!c->fused) {
        uint32_t base = c->bits == 64 ? (negate ? I_BR_Z64_s : I_BR_NZ64_s) : (negate ? I_BR_Z_s : I_BR_NZ_s);
        emit(t, base + (t->acc_r == (int32_t)c->slot), c->slot, 0, 0, 0);
        return insn;
    }
    uint32_t op = c->cmp.op, base;
    uint8_t type = op <= OP_I32_GE_U ? WASM_I32 : op <= OP_I64_GE_U ? WASM_I64 : op <= OP_F32_GE ? WASM_F32 : WASM_F64;
    if (is_int_compare(op))
        base = branch_family[(negate ? negated(op) : op) - OP_I32_EQZ];
    else
        base = branch_family[op - OP_I32_EQZ] + (negate ? BRN : 0u);
    int32_t acc = acc_of(t, type);
    if (c->cmp.has_k) {
        emit_imm(t, base + (acc == (int32_t)c->cmp.lhs ? RK : SK), c->cmp.lhs, 0, (uint32_t)c->cmp.k);
    } else {
        uint32_t member = acc == (int32_t)c->cmp.lhs ? RS : acc == (int32_t)c->cmp.rhs ? SR : SS;
        emit(t, base + member, c->cmp.lhs, c->cmp.rhs, 0, 0);
    }
    return insn;
}

static void op_br_if(struct translator *t, uint32_t depth) {
    struct cond cond = take_cond(t);
    struct ctl *c = &t->ctls[t->nctls - 1 - depth];
    if (c->kind != CTL_FUNC && in_place(t, c)) {
        jump_to(t, c, emit_cond(t, &cond, false));
        return;
    }
    uint32_t over = 0;
    uint32_t insn = emit_cond(t, &cond, true);
    jump_fixup(t, &over, insn);
    if (c->kind == CTL_FUNC) {
        uint32_t settled = t->settled; /* a return may settle its values: only on this path */
        uint32_t n = c->nresults;
        struct val *copy = mem_alloc(n * sizeof *copy);
        memcpy(copy, &t->vals[t->nvals - n], n * sizeof *copy);
        emit_return(t);
        for (uint32_t i = 0; i < n; i++) {
            struct val *v = &t->vals[t->nvals - n + i];
            if (v->lazy != IN_LOCAL && copy[i].lazy == IN_LOCAL)
                t->local_lazy[copy[i].local]++;
            *v = copy[i];
        }
        t->settled = settled;
        mem_free(copy);
    } else {
        carry(t, c);
        insn = t->nout;
        emit(t, I_BR, 0, 0, 0, 0);
        jump_to(t, c, insn);
    }
    bind_fixups(t, over);
}

static void op_br_table(struct translator *t) {
    uint32_t n = read_u32(t);
    uint32_t index = source(t, &t->vals[t->nvals - 1]);
    pop(t);
    const uint8_t *targets = t->p;
    uint32_t arity = 0;
    for (uint32_t i = 0; i <= n; i++)
        arity = label_values(&t->ctls[t->nctls - 1 - read_u32(t)]);
    settle(t, t->nvals - arity);
    uint32_t insn = t->nout;
    emit_imm(t, I_BR_TABLE_s, index, 0, n);
    /* a target that wants its values elsewhere, or returns, goes through a stub behind the table */
    uint32_t *stubs = mem_zalloc((n + 1) * sizeof *stubs);
    const uint8_t *after = t->p;
    t->p = targets;
    for (uint32_t i = 0; i <= n; i++) {
        struct ctl *c = &t->ctls[t->nctls - 1 - read_u32(t)];
        if (c->kind != CTL_FUNC && in_place(t, c))
            jump_to(t, c, insn);
        else
            jump_fixup(t, &stubs[i], insn);
    }
    t->p = targets;
    for (uint32_t i = 0; i <= n; i++) {
        struct ctl *c = &t->ctls[t->nctls - 1 - read_u32(t)];
        if (!stubs[i])
            continue;
        bind_fixups(t, stubs[i]);
        if (c->kind == CTL_FUNC) {
            emit_return(t);
        } else {
            carry(t, c);
            uint32_t stub = t->nout;
            emit(t, I_BR, 0, 0, 0, 0);
            jump_to(t, c, stub);
        }
    }
    t->p = after;
    mem_free(stubs);
    set_dead(t);
}

static void op_block(struct translator *t, uint32_t op) {
    struct ctl c = {0};
    block_type(t, &c);
    if (op == OP_IF) {
        struct cond cond = take_cond(t);
        if (t->settled < t->nvals) { /* settling must not come between a comparison and its branch's use of r */
            settle(t, 0);
        }
        struct ctl *k = push_ctl(t, CTL_IF, c);
        uint32_t insn = emit_cond(t, &cond, true);
        jump_fixup(t, &k->else_fixups, insn);
        return;
    }
    settle(t, 0);
    if (op == OP_BLOCK) {
        push_ctl(t, CTL_BLOCK, c);
        return;
    }
    struct ctl *k = push_ctl(t, CTL_LOOP, c);
    acc_reset(t);
    k->loop_word = t->nout;
    k->loop_ticks = t->ticks;
    observe(t, PLACE_LABEL, here(t));
    if (t->exact)
        emit_word(t, interp_handler(I_POINT));
}

static void push_types(struct translator *t, const uint8_t *types, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        push(t, types[i]);
}

static void op_else(struct translator *t) {
    struct ctl *c = &t->ctls[t->nctls - 1];
    if (!t->dead) {
        carry(t, c);
        uint32_t insn = t->nout;
        emit(t, I_BR, 0, 0, 0, 0);
        jump_to(t, c, insn);
    }
    while (t->nvals > c->height)
        pop(t);
    push_types(t, c->params, c->nparams);
    t->settled = t->nvals;
    t->dead = false;
    bind_fixups(t, c->else_fixups);
    c->else_fixups = 0;
    c->kind = CTL_ELSE;
    observe(t, PLACE_LABEL, here(t));
}

static void op_end(struct translator *t) {
    struct ctl *c = &t->ctls[t->nctls - 1];
    bool label = c->fixups || c->else_fixups;
    if (c->kind == CTL_FUNC) {
        if (!t->dead)
            emit_return(t);
        t->nctls--;
        return;
    }
    if (label) {
        if (!t->dead)
            carry(t, c);
        while (t->nvals > c->height)
            pop(t);
        push_types(t, c->results, c->nresults);
        t->settled = t->nvals;
        t->dead = false;
        uint32_t fixups = c->fixups, otherwise = c->else_fixups;
        bind_fixups(t, fixups);
        bind_fixups(t, otherwise); /* if without else: parameters are the results */
        t->nctls--;
        observe(t, PLACE_LABEL, here(t));
        return;
    }
    t->nctls--;
    if (t->dead)
        set_dead(t);
}

/* ---- calls
 * ----------------------------------------------------------------------------------------------------------- */

static void after_call(struct translator *t, const struct wasm_functype *ft) {
    for (uint32_t i = 0; i < ft->nparams; i++)
        pop(t);
    push_types(t, ft->results, ft->nresults);
    acc_reset(t);
    if (ft->nresults == 1 && (ft->results[0] == WASM_I32 || ft->results[0] == WASM_I64))
        acc_defined(t, t->vals[t->nvals - 1].slot, ft->results[0]);
    t->ticks = 0;
    observe(t, PLACE_CALL, t->offset);
    if (t->exact)
        emit_word(t, interp_handler(I_POINT));
}

static uint32_t args_slot(const struct translator *t, const struct wasm_functype *ft) {
    return ft->nparams ? t->vals[t->nvals - ft->nparams].slot : top_slot(t);
}

static void op_call(struct translator *t, bool tail) {
    uint32_t func = read_u32(t);
    const struct wasm_functype *ft = &t->m->types[t->m->funcs[func].type];
    bool import = func < t->m->nimported_funcs;
    if (import)
        restartable(t, ft->nparams);
    else
        settle(t, t->nvals - ft->nparams);
    uint32_t a = args_slot(t, ft);
    if (tail) {
        emit_imm(t, I_RETURN_CALL, a, ft->param_slots, t->ticks);
        emit_word(t, func);
        set_dead(t);
        return;
    }
    emit_imm(t, import ? I_CALL_IMPORT : t->exact ? I_CALL_EXACT : I_CALL, a, 0, t->ticks);
    emit_word(t, import ? func : (uint64_t)(uintptr_t)&t->code->home->codes[func]);
    after_call(t, ft);
}

static void op_call_indirect(struct translator *t, bool tail) {
    uint32_t type = read_u32(t), table = read_u32(t);
    const struct wasm_functype *ft = &t->m->types[type];
    settle(t, t->nvals - ft->nparams - 1);
    uint32_t index = t->vals[t->nvals - 1].slot;
    if (!t->exact)
        restartable(t, 0);
    pop(t);
    uint32_t a = args_slot(t, ft);
    uint32_t insn = tail ? I_RETURN_CALL_INDIRECT : t->exact ? I_CALL_INDIRECT_EXACT : I_CALL_INDIRECT;
    emit_imm(t, insn, a, index, t->ticks);
    emit_word(t, table | (uint64_t)ft->param_slots << 32);
    emit_word(t, (uint64_t)(uintptr_t)t->code->home->types[type]);
    if (tail)
        set_dead(t);
    else
        after_call(t, ft);
}

/* ---- the walk
 * -------------------------------------------------------------------------------------------------------- */

static void control(struct translator *t, uint32_t op) {
    switch (op) {
    case OP_NOP: break;
    case OP_UNREACHABLE:
        emit(t, I_UNREACHABLE, 0, 0, 0, 0);
        set_dead(t);
        break;
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF: op_block(t, op); break;
    case OP_ELSE: op_else(t); break;
    case OP_END: op_end(t); break;
    case OP_BR: op_br(t, read_u32(t)); break;
    case OP_BR_IF: op_br_if(t, read_u32(t)); break;
    case OP_BR_TABLE: op_br_table(t); break;
    case OP_RETURN:
        emit_return(t);
        set_dead(t);
        break;
    case OP_CALL: op_call(t, false); break;
    case OP_RETURN_CALL: op_call(t, true); break;
    case OP_CALL_INDIRECT: op_call_indirect(t, false); break;
    case OP_RETURN_CALL_INDIRECT: op_call_indirect(t, true); break;
    case OP_DROP: pop(t); break;
    case OP_SELECT: op_select(t); break;
    case OP_REF_IS_NULL: {
        uint32_t from = source(t, &t->vals[t->nvals - 1]);
        pop(t);
        struct val *v = push(t, WASM_I32);
        emit(t, I_I64_EQZ_s, v->slot, from, 0, 0);
        acc_defined(t, v->slot, WASM_I32);
        break;
    }
    default: must(!"operator"); break;
    }
}

static void op_ref_func(struct translator *t) {
    uint32_t func = read_u32(t);
    struct val *v = push(t, WASM_FUNCREF);
    emit_imm(t, I_REF_FUNC, v->slot, 0, func);
    acc_overwritten(t, v->slot, WASM_FUNCREF);
}

static void op_lanes(struct translator *t, uint32_t op, const char *sig) {
    if (wasm_op_infos[op].imm == IMM_LANE) {
        uint32_t lane = *t->p++;
        op_vector(t, op, sig, (uint32_t)(strchr(sig, '_') - sig), lane);
        return;
    }
    uint64_t lanes[2];
    memcpy(lanes, t->p, 16);
    t->p += 16;
    op_vector(t, op, sig, 2, 0);
    t->last = (struct last){0};
    emit_word(t, lanes[0]);
    emit_word(t, lanes[1]);
}

static void one(struct translator *t, uint32_t op) {
    const struct wasm_op_info *info = &wasm_op_infos[op];
    switch (info->imm) {
    case IMM_NONE:
        if (op == OP_I32_EQZ || op == OP_I64_EQZ) {
            uint32_t lhs = 0;
            if (!t->exact) /* remembered so that a branch can test the operand itself */
                lhs = source(t, &t->vals[t->nvals - 1]);
            op_eqz(t, op);
            if (!t->last.compares) {
                t->last.op = (uint16_t)op;
                t->last.lhs = (uint16_t)lhs;
            }
        } else if (info->sig[0] == 'S') {
            control(t, op);
        } else {
            op_numeric(t, op, info->sig);
        }
        break;
    case IMM_TRAPS: op_numeric(t, op, info->sig); break;
    case IMM_LOCAL: op_local(t, op); break;
    case IMM_GLOBAL: op_global(t, op); break;
    case IMM_LOAD: op_load(t, op, info->sig); break;
    case IMM_STORE: op_store(t, op, info->sig); break;
    case IMM_LOAD_LANE: op_lane_memory(t, op, true); break;
    case IMM_STORE_LANE: op_lane_memory(t, op, false); break;
    case IMM_CONST_I32:
    case IMM_CONST_I64:
    case IMM_CONST_F32:
    case IMM_CONST_F64:
    case IMM_CONST_V128:
    case IMM_REFTYPE: op_const(t, op); break;
    case IMM_LANE:
    case IMM_SHUFFLE: op_lanes(t, op, info->sig); break;
    case IMM_SELECT_T:
        for (uint32_t n = read_u32(t); n; n--)
            t->p++;
        op_select(t);
        break;
    case IMM_FUNC:
        if (op == OP_REF_FUNC)
            op_ref_func(t);
        else
            control(t, op);
        break;
    case IMM_MEMORY:
        if (op == OP_MEMORY_SIZE) {
            t->p++;
            struct val *v = push(t, WASM_I32);
            emit(t, I_MEMORY_SIZE, v->slot, 0, 0, 0);
            acc_defined(t, v->slot, WASM_I32);
            break;
        }
        if (op == OP_MEMORY_GROW)
            op_slow(t, op);
        else
            op_memory_table(t, op);
        break;
    case IMM_TABLE:
        if (op == OP_TABLE_SIZE) {
            struct val *v = push(t, WASM_I32);
            emit_imm(t, I_TABLE_SIZE, v->slot, 0, read_u32(t));
            acc_defined(t, v->slot, WASM_I32);
            break;
        }
        if (op == OP_TABLE_FILL)
            op_memory_table(t, op);
        else
            op_slow(t, op);
        break;
    case IMM_MEMORY2:
    case IMM_DATA:
    case IMM_DATA_MEMORY:
    case IMM_ELEM:
    case IMM_ELEM_TABLE:
    case IMM_TABLE2: op_memory_table(t, op); break;
    default: control(t, op); break;
    }
}

static void skip_immediates(struct translator *t, uint32_t op) {
    uint32_t n;
    switch (wasm_op_infos[op].imm) {
    case IMM_NONE:
    case IMM_TRAPS: break;
    case IMM_LABELS:
        for (n = read_u32(t) + 1; n; n--)
            skip_leb(t);
        break;
    case IMM_SELECT_T:
        for (n = read_u32(t); n; n--)
            t->p++;
        break;
    case IMM_INDIRECT:
    case IMM_LOAD:
    case IMM_STORE:
    case IMM_TABLE2:
    case IMM_ELEM_TABLE:
        skip_leb(t);
        skip_leb(t);
        break;
    case IMM_LOAD_LANE:
    case IMM_STORE_LANE:
        skip_leb(t);
        skip_leb(t);
        t->p++;
        break;
    case IMM_MEMORY:
    case IMM_REFTYPE:
    case IMM_LANE: t->p++; break;
    case IMM_MEMORY2: t->p += 2; break;
    case IMM_DATA_MEMORY:
        skip_leb(t);
        t->p++;
        break;
    case IMM_CONST_F32: t->p += 4; break;
    case IMM_CONST_F64: t->p += 8; break;
    case IMM_CONST_V128:
    case IMM_SHUFFLE: t->p += 16; break;
    default: skip_leb(t); break; /* one index, block type or integer constant */
    }
}

/* In unreachable code only the nesting of blocks matters. */
static void skip_dead(struct translator *t, uint32_t op) {
    switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
        t->dead_depth++;
        skip_leb(t);
        break;
    case OP_ELSE:
        if (t->dead_depth == 0)
            op_else(t);
        break;
    case OP_END:
        if (t->dead_depth)
            t->dead_depth--;
        else
            op_end(t);
        break;
    default: skip_immediates(t, op); break;
    }
}

static uint32_t next_op(struct translator *t) {
    t->offset = here(t);
    uint8_t byte = *t->p++;
    if (byte == 0xfc || byte == 0xfd)
        return wasm_op_of(byte, read_u32(t));
    return wasm_op_of_byte(byte);
}

static void locals(struct translator *t, const struct wasm_functype *ft) {
    uint32_t n = ft->nparams + t->func->nlocals, slot = 0;
    t->nlocals = n;
    t->local_types = mem_alloc(n);
    t->local_slot = mem_alloc(n * sizeof *t->local_slot);
    t->local_lazy = mem_zalloc(n * sizeof *t->local_lazy);
    memcpy(t->local_types, ft->params, ft->nparams);
    uint32_t at = ft->nparams;
    t->p = t->func->locals_code;
    for (uint32_t groups = read_u32(t); groups; groups--) {
        uint32_t count = read_u32(t);
        memset(t->local_types + at, *t->p++, count);
        at += count;
    }
    must(at == n && t->p == t->func->code);
    for (uint32_t i = 0; i < n; i++) {
        slot += i == ft->nparams; /* the link */
        t->local_slot[i] = (uint16_t)slot;
        slot += type_slots(t->local_types[i]);
    }
    t->local_slots = slot + (n == ft->nparams);
}

static void walk(struct translator *t) {
    const struct wasm_functype *ft = &t->m->types[t->func->type];
    locals(t, ft);
    acc_reset(t);
    struct ctl c = {.nresults = ft->nresults, .results = ft->results};
    push_ctl(t, CTL_FUNC, c);
    t->offset = t->func->offset;
    observe(t, PLACE_LABEL, t->offset);
    while (t->nctls) {
        uint32_t op = next_op(t);
        if (t->dead) {
            skip_dead(t, op);
            continue;
        }
        if (t->exact)
            observe(t, PLACE_OP, t->offset);
        if (op != OP_BLOCK && op != OP_LOOP && op != OP_ELSE && op != OP_END) {
            if (t->exact)
                emit_word(t, interp_handler(I_CHECK));
            else
                t->ticks++;
        }
        one(t, op);
        if (t->exact)
            t->ticks = 0;
    }
    must(t->p == t->func->end);
}

static void translator_init(struct translator *t, struct code *c, bool exact) {
    const struct wasm_module *m = c->home->module;
    *t = (struct translator){.code = c, .m = m, .func = &m->funcs[c->func], .exact = exact};
}

static void translator_deinit(struct translator *t) {
    mem_free(t->vals);
    mem_free(t->ctls);
    mem_free(t->fixups);
    mem_free(t->local_types);
    mem_free(t->local_slot);
    mem_free(t->local_lazy);
    mem_free(t->out);
}

void translate(struct code *c, bool exact) {
    struct translator t;
    translator_init(&t, c, exact);
    walk(&t);
    uint64_t *words = ARENA_ARRAY(&c->home->store->arena, uint64_t, t.nout);
    memcpy(words, t.out, t.nout * sizeof *words);
    c->zero_slots = t.local_slots - c->param_slots;
    if (exact) {
        c->exact = words;
        c->exact_words = t.nout;
    } else {
        c->entry = words;
        c->fused_words = t.nout;
        if (!c->start)
            c->start = words;
    }
    translator_deinit(&t);
}

/* ---- places
 * ---------------------------------------------------------------------------------------------------------- */

static bool find(struct code *c, bool exact, enum place_kind kind, bool by_offset, uint32_t key, struct place *out) {
    struct translator t;
    translator_init(&t, c, exact);
    *out = (struct place){0};
    t.found = out;
    t.want = kind;
    t.by_offset = by_offset;
    t.key = key;
    walk(&t);
    translator_deinit(&t);
    return t.any;
}

bool place_at_word(struct code *c, bool exact, enum place_kind kind, uint32_t word, struct place *out) {
    return find(c, exact, kind, false, word, out);
}

bool place_at_offset(struct code *c, bool exact, enum place_kind kind, uint32_t offset, struct place *out) {
    return find(c, exact, kind, true, offset, out);
}

void place_deinit(struct place *p) {
    mem_free(p->local_types);
    mem_free(p->values);
    *p = (struct place){0};
}

void place_unsettle(const struct place *p, uint64_t *fp) {
    for (uint32_t i = 0; i < p->nvalues; i++) {
        const struct place_value *v = &p->values[i];
        if (v->lazy == 1)
            memcpy(fp + v->from, fp + v->slot, type_slots(v->type) * sizeof *fp);
    }
}

void place_settle(const struct place *p, uint64_t *fp) {
    /* a lazy entry's own slot is nobody else's source: any order will do */
    for (uint32_t i = 0; i < p->nvalues; i++) {
        const struct place_value *v = &p->values[i];
        if (v->lazy == 2) {
            fp[v->slot] = v->value;
        } else if (v->lazy == 1) {
            fp[v->slot] = fp[v->from];
            if (v->type == WASM_V128)
                fp[v->slot + 1] = fp[v->from + 1];
        }
    }
}
