#include "wasm/llvm/numeric.h"

/* ---- lanes --------------------------------------------------------------------------------------------------------
 */

/* `n` lanes of the two vectors' lanes in a row: first, first + step... */
static LLVMValueRef pick(struct gen *g, LLVMValueRef a, LLVMValueRef b, unsigned n, unsigned first, unsigned step) {
    LLVMValueRef lanes[16];
    for (unsigned i = 0; i < n; i++)
        lanes[i] = LLVMConstInt(g->u->i32, first + i * step, 0);
    return LLVMBuildShuffleVector(g->b, a, b, LLVMConstVector(lanes, n), "");
}

/* A narrow vector with zeros behind it, so that it has as many lanes again. */
static LLVMValueRef zero_above(struct gen *g, LLVMValueRef v) {
    return pick(g, v, LLVMConstNull(LLVMTypeOf(v)), 2 * LLVMGetVectorSize(LLVMTypeOf(v)), 0, 1);
}

static LLVMValueRef half(struct gen *g, const struct rule *r, LLVMValueRef v) {
    unsigned n = numeric_lanes(r->shape) / 2;
    return pick(g, v, LLVMGetPoison(LLVMTypeOf(v)), n, r->flags & RULE_HIGH ? n : 0, 1);
}

static LLVMValueRef widen(struct gen *g, const struct rule *r, LLVMValueRef v, LLVMTypeRef type) {
    return LLVMBuildCast(g->b, r->flags & RULE_SIGNED ? LLVMSExt : LLVMZExt, v, type, "");
}

/* The lane's value as the vector's element type; integers come as i32 or i64. */
static LLVMValueRef to_lane(struct gen *g, const struct rule *r, LLVMValueRef x) {
    return numeric_bits(r->shape) < 32 ? LLVMBuildTrunc(g->b, x, numeric_ints(g->u, numeric_bits(r->shape), 1), "") : x;
}

static LLVMValueRef broadcast(struct gen *g, const struct rule *r, LLVMValueRef x) {
    LLVMValueRef poison = LLVMGetPoison(numeric_type(g->u, r->shape));
    LLVMValueRef one = LLVMBuildInsertElement(g->b, poison, x, LLVMConstInt(g->u->i32, 0, 0), "");
    return pick(g, one, poison, numeric_lanes(r->shape), 0, 0);
}

static LLVMValueRef splat(struct gen *g, const struct rule *r, const struct operands *in) {
    return broadcast(g, r, to_lane(g, r, in->v[0]));
}

static LLVMValueRef extract(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef lane = LLVMConstInt(g->u->i32, in->lane, 0);
    LLVMValueRef x = LLVMBuildExtractElement(g->b, numeric_operand(g, r, in, 0), lane, "");
    return numeric_bits(r->shape) < 32 ? widen(g, r, x, g->u->i32) : x;
}

static LLVMValueRef replace(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef lane = LLVMConstInt(g->u->i32, in->lane, 0);
    return LLVMBuildInsertElement(g->b, numeric_operand(g, r, in, 0), to_lane(g, r, in->v[1]), lane, "");
}

static LLVMValueRef shuffle(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef lanes[16];
    for (unsigned i = 0; i < 16; i++)
        lanes[i] = LLVMConstInt(g->u->i32, in->shuffle[i], 0);
    return LLVMBuildShuffleVector(g->b, numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1),
                                  LLVMConstVector(lanes, 16), "");
}

/* Both processors look lanes up in one instruction, which answers 0 for a number that is too large: AArch64 from 16 on,
 * x86 from 128 on, and there it looks at the low four bits of smaller ones. */
static LLVMValueRef swizzle(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1)};
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    if (!numeric_is_x86(g->u))
        return gen_intrinsic(g, "llvm.aarch64.neon.tbl1", &type, 1, args, 2);
    LLVMValueRef sum[] = {args[1], numeric_constant(type, 128 - 16)};
    args[1] = gen_intrinsic(g, "llvm.uadd.sat", &type, 1, sum, 2);
    return gen_intrinsic(g, "llvm.x86.ssse3.pshuf.b.128", NULL, 0, args, 2);
}

/* ---- bits ---------------------------------------------------------------------------------------------------------
 */

static LLVMValueRef invert(struct gen *g, const struct rule *r, const struct operands *in) {
    (void)r;
    return LLVMBuildNot(g->b, in->v[0], "");
}

static LLVMValueRef andnot(struct gen *g, const struct rule *r, const struct operands *in) {
    (void)r;
    return LLVMBuildAnd(g->b, in->v[0], LLVMBuildNot(g->b, in->v[1], ""), "");
}

static LLVMValueRef bitselect(struct gen *g, const struct rule *r, const struct operands *in) {
    (void)r;
    LLVMValueRef a = LLVMBuildAnd(g->b, in->v[0], in->v[2], "");
    LLVMValueRef b = LLVMBuildAnd(g->b, in->v[1], LLVMBuildNot(g->b, in->v[2], ""), "");
    return LLVMBuildOr(g->b, a, b, "");
}

/* The lanes of `cond` as the bits of an integer. */
static LLVMValueRef lane_bits(struct gen *g, const struct rule *r, LLVMValueRef cond) {
    return LLVMBuildBitCast(g->b, cond, numeric_ints(g->u, numeric_lanes(r->shape), 1), "");
}

static LLVMValueRef any_true(struct gen *g, const struct rule *r, const struct operands *in) {
    (void)r;
    LLVMTypeRef whole = numeric_ints(g->u, 128, 1);
    LLVMValueRef a = LLVMBuildBitCast(g->b, in->v[0], whole, "");
    return LLVMBuildZExt(g->b, LLVMBuildICmp(g->b, LLVMIntNE, a, LLVMConstNull(whole), ""), g->u->i32, "");
}

static LLVMValueRef all_true(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = numeric_operand(g, r, in, 0);
    LLVMValueRef zeros = LLVMBuildICmp(g->b, LLVMIntEQ, a, LLVMConstNull(LLVMTypeOf(a)), "");
    zeros = lane_bits(g, r, zeros);
    LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntEQ, zeros, LLVMConstNull(LLVMTypeOf(zeros)), "");
    return LLVMBuildZExt(g->b, none, g->u->i32, "");
}

static LLVMValueRef bitmask(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = numeric_operand(g, r, in, 0);
    LLVMValueRef negative = LLVMBuildICmp(g->b, LLVMIntSLT, a, LLVMConstNull(LLVMTypeOf(a)), "");
    return LLVMBuildZExt(g->b, lane_bits(g, r, negative), g->u->i32, "");
}

/* ---- integers -----------------------------------------------------------------------------------------------------
 */

static LLVMValueRef shift(struct gen *g, const struct rule *r, const struct operands *in) {
    unsigned bits = numeric_bits(r->shape);
    LLVMTypeRef lane = numeric_ints(g->u, bits, 1);
    LLVMValueRef count = LLVMBuildAnd(g->b, in->v[1], LLVMConstInt(g->u->i32, bits - 1, 0), "");
    count = bits < 32 ? LLVMBuildTrunc(g->b, count, lane, "") : LLVMBuildZExt(g->b, count, lane, "");
    return LLVMBuildBinOp(g->b, (LLVMOpcode)r->what, numeric_operand(g, r, in, 0), broadcast(g, r, count), "");
}

/* (a + b + 1) / 2 in lanes where that fits */
static LLVMValueRef average(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef type = numeric_type(g->u, r->shape);
    LLVMTypeRef wide = numeric_ints(g->u, 2 * numeric_bits(r->shape), numeric_lanes(r->shape));
    LLVMValueRef a = LLVMBuildZExt(g->b, numeric_operand(g, r, in, 0), wide, "");
    LLVMValueRef b = LLVMBuildZExt(g->b, numeric_operand(g, r, in, 1), wide, "");
    LLVMValueRef one = numeric_constant(wide, 1);
    LLVMValueRef sum = LLVMBuildAdd(g->b, LLVMBuildAdd(g->b, a, b, ""), one, "");
    return LLVMBuildTrunc(g->b, LLVMBuildLShr(g->b, sum, one, ""), type, "");
}

/* Both processors have it; but on x86 what does not fit, and that is only -1 * -1, comes out as the least number, which
 * no other product does. */
static LLVMValueRef q15mulr(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1)};
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    if (!numeric_is_x86(g->u))
        return gen_intrinsic(g, "llvm.aarch64.neon.sqrdmulh", &type, 1, args, 2);
    LLVMValueRef p = gen_intrinsic(g, "llvm.x86.ssse3.pmul.hr.sw.128", NULL, 0, args, 2);
    LLVMValueRef unfit = LLVMBuildICmp(g->b, LLVMIntEQ, p, numeric_constant(type, 0x8000), "");
    return LLVMBuildXor(g->b, p, LLVMBuildSExt(g->b, unfit, type, ""), "");
}

static LLVMValueRef dot(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef wide = numeric_ints(g->u, 32, 8);
    LLVMValueRef a = LLVMBuildSExt(g->b, numeric_operand(g, r, in, 0), wide, "");
    LLVMValueRef b = LLVMBuildSExt(g->b, numeric_operand(g, r, in, 1), wide, "");
    LLVMValueRef p = LLVMBuildMul(g->b, a, b, ""), poison = LLVMGetPoison(wide);
    return LLVMBuildAdd(g->b, pick(g, p, poison, 4, 0, 2), pick(g, p, poison, 4, 1, 2), "");
}

/* Both vectors' lanes, clamped to what half of their bits can say, signed or not. */
static LLVMValueRef narrow(struct gen *g, const struct rule *r, const struct operands *in) {
    unsigned bits = numeric_bits(r->shape) / 2, lanes = 2 * numeric_lanes(r->shape);
    uint64_t values = (uint64_t)1 << bits;
    bool is_signed = r->flags & RULE_SIGNED;
    LLVMValueRef v = pick(g, numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1), lanes, 0, 1);
    LLVMTypeRef type = LLVMTypeOf(v);
    LLVMValueRef low[] = {v, numeric_constant(type, is_signed ? 0 - values / 2 : 0)};
    v = gen_intrinsic(g, "llvm.smax", &type, 1, low, 2);
    LLVMValueRef high[] = {v, numeric_constant(type, is_signed ? values / 2 - 1 : values - 1)};
    v = gen_intrinsic(g, "llvm.smin", &type, 1, high, 2);
    return LLVMBuildTrunc(g->b, v, numeric_ints(g->u, bits, lanes), "");
}

static LLVMValueRef half_wide(struct gen *g, const struct rule *r, LLVMValueRef v) {
    LLVMTypeRef wide = numeric_ints(g->u, 2 * numeric_bits(r->shape), numeric_lanes(r->shape) / 2);
    return widen(g, r, half(g, r, v), wide);
}

static LLVMValueRef extend(struct gen *g, const struct rule *r, const struct operands *in) {
    return half_wide(g, r, numeric_operand(g, r, in, 0));
}

static LLVMValueRef extmul(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = half_wide(g, r, numeric_operand(g, r, in, 0));
    return LLVMBuildMul(g->b, a, half_wide(g, r, numeric_operand(g, r, in, 1)), "");
}

/* In the wide lanes: the odd ones are the upper halves, the even ones get there by a shift. */
static LLVMValueRef extadd(struct gen *g, const struct rule *r, const struct operands *in) {
    unsigned bits = numeric_bits(r->shape);
    LLVMTypeRef wide = numeric_ints(g->u, 2 * bits, numeric_lanes(r->shape) / 2);
    LLVMOpcode down = r->flags & RULE_SIGNED ? LLVMAShr : LLVMLShr;
    LLVMValueRef by = numeric_constant(wide, bits);
    LLVMValueRef a = LLVMBuildBitCast(g->b, in->v[0], wide, "");
    LLVMValueRef even = LLVMBuildBinOp(g->b, down, LLVMBuildShl(g->b, a, by, ""), by, "");
    return LLVMBuildAdd(g->b, even, LLVMBuildBinOp(g->b, down, a, by, ""), "");
}

/* ---- floats -------------------------------------------------------------------------------------------------------
 */

/* what: LLVMRealOLT for pmin, LLVMRealOGT for pmax; the better one, `a` if neither is, with all bits of a NaN.  For x86
 * LLVM finds the instruction that does exactly this.  For AArch64 it takes one that makes signalling NaNs quiet, unless
 * it does not see that what is compared is what is chosen from. */
static LLVMValueRef pseudo(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = numeric_operand(g, r, in, 0), b = numeric_operand(g, r, in, 1);
    LLVMValueRef compared = numeric_is_x86(g->u) ? b : numeric_fence(g, b);
    LLVMValueRef better = LLVMBuildFCmp(g->b, (LLVMRealPredicate)r->what, compared, a, "");
    return LLVMBuildSelect(g->b, better, b, a, "");
}

/* From half of the lanes to wider ones. */
static LLVMValueRef cast_low(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef low = half(g, r, numeric_operand(g, r, in, 0));
    return LLVMBuildCast(g->b, (LLVMOpcode)r->what, low, numeric_type(g->u, r->to), "");
}

static LLVMValueRef demote_zero(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef narrow_type = LLVMVectorType(g->u->f32, 2);
    return zero_above(g, LLVMBuildFPTrunc(g->b, numeric_operand(g, r, in, 0), narrow_type, ""));
}

/* x, or the bound where x is not on its side (what: the side); the bound also for a NaN. */
static LLVMValueRef bounded(struct gen *g, LLVMValueRef x, LLVMRealPredicate side, LLVMValueRef bound) {
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, side, x, bound, ""), x, bound, "");
}

static LLVMValueRef real_lanes(LLVMTypeRef type, double x) {
    LLVMValueRef lanes[4];
    unsigned n = LLVMGetVectorSize(type);
    for (unsigned i = 0; i < n; i++)
        lanes[i] = LLVMConstReal(LLVMGetElementType(type), x);
    return LLVMConstVector(lanes, n);
}

/* To integers of 32 bits: AArch64 has this, and x86 the conversion of what fits.  Floats are bounded before; only the
 * greatest integers are no f32, there what is too large is replaced after. */
static LLVMValueRef saturate(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef x = numeric_operand(g, r, in, 0);
    LLVMTypeRef type = LLVMTypeOf(x), ints = numeric_ints(g->u, 32, numeric_lanes(r->shape));
    bool is_signed = r->flags & RULE_SIGNED;
    if (!numeric_is_x86(g->u)) {
        LLVMTypeRef types[] = {ints, type};
        return gen_intrinsic(g, is_signed ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2, &x, 1);
    }
    LLVMValueRef zero = LLVMConstNull(type);
    if (is_signed)
        x = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealORD, x, x, ""), x, zero, "");
    x = bounded(g, x, LLVMRealOGT, is_signed ? real_lanes(type, -0x1p31) : zero);
    double limit = is_signed ? 0x1p31 : 0x1p32;
    if (r->shape == SHAPE_F64X2)
        x = bounded(g, x, LLVMRealOLT, real_lanes(type, limit - 1));
    if (r->shape == SHAPE_F64X2 && !is_signed) { /* x86 has that for i32 only: the integer is at the end of 2^52 + x */
        x = LLVMBuildFAdd(g->b, gen_intrinsic(g, "llvm.trunc", &type, 1, &x, 1), real_lanes(type, 0x1p52), "");
        x = LLVMBuildBitCast(g->b, x, numeric_ints(g->u, 32, 4), "");
        return pick(g, x, x, 2, 0, 2);
    }
    LLVMValueRef v = LLVMBuildCast(g->b, is_signed ? LLVMFPToSI : LLVMFPToUI, x, ints, "");
    if (r->shape == SHAPE_F64X2)
        return v;
    LLVMValueRef unfit = LLVMBuildFCmp(g->b, LLVMRealOGE, x, real_lanes(type, limit), "");
    return LLVMBuildSelect(g->b, unfit, numeric_constant(ints, is_signed ? INT32_MAX : UINT32_MAX), v, "");
}

static LLVMValueRef saturate_zero(struct gen *g, const struct rule *r, const struct operands *in) {
    return zero_above(g, saturate(g, r, in));
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

static LLVMValueRef load_part(struct gen *g, const struct operands *in, LLVMTypeRef type, unsigned bits) {
    return gen_load(g, type, gen_address(g, in->v[0], in->memory_offset, bits / 8));
}

static LLVMValueRef load(struct gen *g, const struct rule *r, const struct operands *in) {
    return load_part(g, in, numeric_type(g->u, r->shape), 128);
}

static LLVMValueRef load_widen(struct gen *g, const struct rule *r, const struct operands *in) {
    unsigned bits = numeric_bits(r->shape), lanes = numeric_lanes(r->shape) / 2;
    return widen(g, r, load_part(g, in, numeric_ints(g->u, bits, lanes), 64), numeric_ints(g->u, 2 * bits, lanes));
}

static LLVMValueRef load_lane_type(struct gen *g, const struct rule *r, const struct operands *in) {
    return load_part(g, in, numeric_ints(g->u, numeric_bits(r->shape), 1), numeric_bits(r->shape));
}

static LLVMValueRef load_splat(struct gen *g, const struct rule *r, const struct operands *in) {
    return broadcast(g, r, load_lane_type(g, r, in));
}

static LLVMValueRef load_zero(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef zeros = LLVMConstNull(numeric_type(g->u, r->shape));
    return LLVMBuildInsertElement(g->b, zeros, load_lane_type(g, r, in), LLVMConstInt(g->u->i32, 0, 0), "");
}

static LLVMValueRef load_lane(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef old = numeric_operand(g, r, in, 1);
    return LLVMBuildInsertElement(g->b, old, load_lane_type(g, r, in), LLVMConstInt(g->u->i32, in->lane, 0), "");
}

static LLVMValueRef store(struct gen *g, const struct rule *r, const struct operands *in) {
    (void)r;
    gen_store(g, in->v[1], gen_address(g, in->v[0], in->memory_offset, 16));
    return NULL;
}

static LLVMValueRef store_lane(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef lane = LLVMConstInt(g->u->i32, in->lane, 0);
    LLVMValueRef x = LLVMBuildExtractElement(g->b, numeric_operand(g, r, in, 1), lane, "");
    gen_store(g, x, gen_address(g, in->v[0], in->memory_offset, numeric_bits(r->shape) / 8));
    return NULL;
}

/* ---- the table ----------------------------------------------------------------------------------------------------
 */

// clang-format off
#define ROW(op, make_, shape_, ...) [OP_##op] = {.make = (make_), .shape = SHAPE_##shape_, __VA_ARGS__}

#define LANES(P) \
    ROW(P##_SPLAT, splat, P), \
    ROW(P##_REPLACE_LANE, replace, P)

#define INTEGER(P) \
    LANES(P), \
    ROW(P##_EQ, numeric_icmp, P, .what = LLVMIntEQ), \
    ROW(P##_NE, numeric_icmp, P, .what = LLVMIntNE), \
    ROW(P##_LT_S, numeric_icmp, P, .what = LLVMIntSLT), \
    ROW(P##_GT_S, numeric_icmp, P, .what = LLVMIntSGT), \
    ROW(P##_LE_S, numeric_icmp, P, .what = LLVMIntSLE), \
    ROW(P##_GE_S, numeric_icmp, P, .what = LLVMIntSGE), \
    ROW(P##_ABS, numeric_intrinsic_false, P, .name = "llvm.abs"), \
    ROW(P##_NEG, numeric_negate, P), \
    ROW(P##_ADD, numeric_binary, P, .what = LLVMAdd), \
    ROW(P##_SUB, numeric_binary, P, .what = LLVMSub), \
    ROW(P##_SHL, shift, P, .what = LLVMShl), \
    ROW(P##_SHR_S, shift, P, .what = LLVMAShr), \
    ROW(P##_SHR_U, shift, P, .what = LLVMLShr), \
    ROW(P##_ALL_TRUE, all_true, P), \
    ROW(P##_BITMASK, bitmask, P)

#define ORDERED(P) \
    ROW(P##_LT_U, numeric_icmp, P, .what = LLVMIntULT), \
    ROW(P##_GT_U, numeric_icmp, P, .what = LLVMIntUGT), \
    ROW(P##_LE_U, numeric_icmp, P, .what = LLVMIntULE), \
    ROW(P##_GE_U, numeric_icmp, P, .what = LLVMIntUGE), \
    ROW(P##_MIN_S, numeric_intrinsic2, P, .name = "llvm.smin"), \
    ROW(P##_MIN_U, numeric_intrinsic2, P, .name = "llvm.umin"), \
    ROW(P##_MAX_S, numeric_intrinsic2, P, .name = "llvm.smax"), \
    ROW(P##_MAX_U, numeric_intrinsic2, P, .name = "llvm.umax")

#define SATURATING(P) \
    ROW(P##_EXTRACT_LANE_S, extract, P, .flags = RULE_SIGNED), \
    ROW(P##_EXTRACT_LANE_U, extract, P), \
    ROW(P##_ADD_SAT_S, numeric_intrinsic2, P, .name = "llvm.sadd.sat"), \
    ROW(P##_ADD_SAT_U, numeric_intrinsic2, P, .name = "llvm.uadd.sat"), \
    ROW(P##_SUB_SAT_S, numeric_intrinsic2, P, .name = "llvm.ssub.sat"), \
    ROW(P##_SUB_SAT_U, numeric_intrinsic2, P, .name = "llvm.usub.sat"), \
    ROW(P##_AVGR_U, average, P)

/* Lanes of FROM to those of TO, which are twice as wide. */
#define WIDENING(TO, FROM) \
    ROW(TO##_EXTEND_LOW_##FROM##_S, extend, FROM, .flags = RULE_SIGNED), \
    ROW(TO##_EXTEND_LOW_##FROM##_U, extend, FROM), \
    ROW(TO##_EXTEND_HIGH_##FROM##_S, extend, FROM, .flags = RULE_SIGNED | RULE_HIGH), \
    ROW(TO##_EXTEND_HIGH_##FROM##_U, extend, FROM, .flags = RULE_HIGH), \
    ROW(TO##_EXTMUL_LOW_##FROM##_S, extmul, FROM, .flags = RULE_SIGNED), \
    ROW(TO##_EXTMUL_LOW_##FROM##_U, extmul, FROM), \
    ROW(TO##_EXTMUL_HIGH_##FROM##_S, extmul, FROM, .flags = RULE_SIGNED | RULE_HIGH), \
    ROW(TO##_EXTMUL_HIGH_##FROM##_U, extmul, FROM, .flags = RULE_HIGH)

#define NARROWING(TO, FROM) \
    ROW(TO##_NARROW_##FROM##_S, narrow, FROM, .flags = RULE_SIGNED), \
    ROW(TO##_NARROW_##FROM##_U, narrow, FROM), \
    ROW(FROM##_EXTADD_PAIRWISE_##TO##_S, extadd, TO, .flags = RULE_SIGNED), \
    ROW(FROM##_EXTADD_PAIRWISE_##TO##_U, extadd, TO)

#define FLOAT(P) \
    LANES(P), \
    ROW(P##_EXTRACT_LANE, extract, P), \
    ROW(P##_EQ, numeric_fcmp, P, .what = LLVMRealOEQ), \
    ROW(P##_NE, numeric_fcmp, P, .what = LLVMRealUNE), \
    ROW(P##_LT, numeric_fcmp, P, .what = LLVMRealOLT), \
    ROW(P##_GT, numeric_fcmp, P, .what = LLVMRealOGT), \
    ROW(P##_LE, numeric_fcmp, P, .what = LLVMRealOLE), \
    ROW(P##_GE, numeric_fcmp, P, .what = LLVMRealOGE), \
    ROW(P##_ABS, numeric_intrinsic1, P, .name = "llvm.fabs"), \
    ROW(P##_NEG, numeric_negate, P), \
    ROW(P##_CEIL, numeric_intrinsic1, P, .flags = RULE_NAN, .name = "llvm.ceil"), \
    ROW(P##_FLOOR, numeric_intrinsic1, P, .flags = RULE_NAN, .name = "llvm.floor"), \
    ROW(P##_TRUNC, numeric_intrinsic1, P, .flags = RULE_NAN, .name = "llvm.trunc"), \
    ROW(P##_NEAREST, numeric_intrinsic1, P, .flags = RULE_NAN, .name = "llvm.roundeven"), \
    ROW(P##_SQRT, numeric_intrinsic1, P, .flags = RULE_NAN, .name = "llvm.sqrt"), \
    ROW(P##_ADD, numeric_binary, P, .flags = RULE_NAN, .what = LLVMFAdd), \
    ROW(P##_SUB, numeric_binary, P, .flags = RULE_NAN, .what = LLVMFSub), \
    ROW(P##_MUL, numeric_binary, P, .flags = RULE_NAN, .what = LLVMFMul), \
    ROW(P##_DIV, numeric_binary, P, .flags = RULE_NAN, .what = LLVMFDiv), \
    ROW(P##_MIN, numeric_extremum, P, .name = "llvm.minimum", .what = LLVMRealOLT), \
    ROW(P##_MAX, numeric_extremum, P, .name = "llvm.maximum", .what = LLVMRealOGT), \
    ROW(P##_PMIN, pseudo, P, .what = LLVMRealOLT), \
    ROW(P##_PMAX, pseudo, P, .what = LLVMRealOGT)

#define MEMORY(BITS, P) \
    ROW(V128_LOAD##BITS##_SPLAT, load_splat, P), \
    ROW(V128_LOAD##BITS##_LANE, load_lane, P), \
    ROW(V128_STORE##BITS##_LANE, store_lane, P)

static const struct rule rules[OP_COUNT] = {
    INTEGER(I8X16), INTEGER(I16X8), INTEGER(I32X4), INTEGER(I64X2),
    ORDERED(I8X16), ORDERED(I16X8), ORDERED(I32X4),
    SATURATING(I8X16), SATURATING(I16X8),
    WIDENING(I16X8, I8X16), WIDENING(I32X4, I16X8), WIDENING(I64X2, I32X4),
    NARROWING(I8X16, I16X8), NARROWING(I16X8, I32X4),
    FLOAT(F32X4), FLOAT(F64X2),
    ROW(I32X4_EXTRACT_LANE, extract, I32X4),
    ROW(I64X2_EXTRACT_LANE, extract, I64X2),
    ROW(I8X16_SHUFFLE, shuffle, I8X16),
    ROW(I8X16_SWIZZLE, swizzle, I8X16),
    ROW(V128_NOT, invert, I64X2),
    ROW(V128_AND, numeric_binary, I64X2, .what = LLVMAnd),
    ROW(V128_ANDNOT, andnot, I64X2),
    ROW(V128_OR, numeric_binary, I64X2, .what = LLVMOr),
    ROW(V128_XOR, numeric_binary, I64X2, .what = LLVMXor),
    ROW(V128_BITSELECT, bitselect, I64X2),
    ROW(V128_ANY_TRUE, any_true, I64X2),
    ROW(I8X16_POPCNT, numeric_intrinsic1, I8X16, .name = "llvm.ctpop"),
    ROW(I16X8_MUL, numeric_binary, I16X8, .what = LLVMMul),
    ROW(I32X4_MUL, numeric_binary, I32X4, .what = LLVMMul),
    ROW(I64X2_MUL, numeric_binary, I64X2, .what = LLVMMul),
    ROW(I16X8_Q15MULR_SAT_S, q15mulr, I16X8),
    ROW(I32X4_DOT_I16X8_S, dot, I16X8),
    ROW(F32X4_CONVERT_I32X4_S, numeric_cast, I32X4, .to = SHAPE_F32X4, .what = LLVMSIToFP),
    ROW(F32X4_CONVERT_I32X4_U, numeric_cast, I32X4, .to = SHAPE_F32X4, .what = LLVMUIToFP),
    ROW(F64X2_CONVERT_LOW_I32X4_S, cast_low, I32X4, .to = SHAPE_F64X2, .what = LLVMSIToFP),
    ROW(F64X2_CONVERT_LOW_I32X4_U, cast_low, I32X4, .to = SHAPE_F64X2, .what = LLVMUIToFP),
    ROW(F64X2_PROMOTE_LOW_F32X4, cast_low, F32X4, .flags = RULE_NAN, .to = SHAPE_F64X2, .what = LLVMFPExt),
    ROW(F32X4_DEMOTE_F64X2_ZERO, demote_zero, F64X2, .flags = RULE_NAN),
    ROW(I32X4_TRUNC_SAT_F32X4_S, saturate, F32X4, .flags = RULE_SIGNED),
    ROW(I32X4_TRUNC_SAT_F32X4_U, saturate, F32X4),
    ROW(I32X4_TRUNC_SAT_F64X2_S_ZERO, saturate_zero, F64X2, .flags = RULE_SIGNED),
    ROW(I32X4_TRUNC_SAT_F64X2_U_ZERO, saturate_zero, F64X2),
    MEMORY(8, I8X16), MEMORY(16, I16X8), MEMORY(32, I32X4), MEMORY(64, I64X2),
    ROW(V128_LOAD, load, I64X2),
    ROW(V128_STORE, store, I64X2),
    ROW(V128_LOAD8X8_S, load_widen, I8X16, .flags = RULE_SIGNED),
    ROW(V128_LOAD8X8_U, load_widen, I8X16),
    ROW(V128_LOAD16X4_S, load_widen, I16X8, .flags = RULE_SIGNED),
    ROW(V128_LOAD16X4_U, load_widen, I16X8),
    ROW(V128_LOAD32X2_S, load_widen, I32X4, .flags = RULE_SIGNED),
    ROW(V128_LOAD32X2_U, load_widen, I32X4),
    ROW(V128_LOAD32_ZERO, load_zero, I32X4),
    ROW(V128_LOAD64_ZERO, load_zero, I64X2),
};
// clang-format on

const struct rule *simd_rule(enum wasm_op op) {
    return &rules[op];
}
