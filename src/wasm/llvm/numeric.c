#include "wasm/llvm/numeric.h"

#include "wasm/llvm/frame.h"
#include "wasm/num.h"

/* ---- types and constants ------------------------------------------------------------------------------------------
 */

static const struct {
    char kind;
    uint8_t bits, lanes;
} shapes[] = {
#define X(name, kind, bits, lanes) {#kind[0], bits, lanes},
    NUMERIC_SHAPES(X)
#undef X
};

unsigned numeric_bits(enum shape s) {
    return shapes[s].bits;
}

unsigned numeric_lanes(enum shape s) {
    return shapes[s].lanes;
}

LLVMTypeRef numeric_ints(const struct unit *u, unsigned bits, unsigned lanes) {
    LLVMTypeRef lane = LLVMIntTypeInContext(u->context, bits);
    return lanes == 1 ? lane : LLVMVectorType(lane, lanes);
}

LLVMTypeRef numeric_type(const struct unit *u, enum shape s) {
    if (shapes[s].kind == 'i')
        return numeric_ints(u, shapes[s].bits, shapes[s].lanes);
    LLVMTypeRef lane = shapes[s].bits == 32 ? u->f32 : u->f64;
    return shapes[s].lanes == 1 ? lane : LLVMVectorType(lane, shapes[s].lanes);
}

LLVMValueRef numeric_constant(LLVMTypeRef type, uint64_t value) {
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return LLVMConstInt(type, value, 0);
    LLVMValueRef lanes[16];
    unsigned n = LLVMGetVectorSize(type);
    for (unsigned i = 0; i < n; i++)
        lanes[i] = LLVMConstInt(LLVMGetElementType(type), value, 0);
    return LLVMConstVector(lanes, n);
}

bool numeric_is_x86(const struct unit *u) {
    return strncmp(LLVMGetTarget(u->module), "x86", 3) == 0;
}

LLVMValueRef numeric_operand(struct gen *g, const struct rule *r, const struct operands *in, unsigned i) {
    return LLVMBuildBitCast(g->b, in->v[i], numeric_type(g->u, r->shape), "");
}

/* ---- not a number -------------------------------------------------------------------------------------------------
 */

LLVMValueRef numeric_canon_bits(LLVMTypeRef ints) {
    LLVMTypeRef lane = LLVMGetTypeKind(ints) == LLVMVectorTypeKind ? LLVMGetElementType(ints) : ints;
    return numeric_constant(ints, LLVMGetIntTypeWidth(lane) == 64 ? NUM_CANON_F64 : NUM_CANON_F32);
}

/* For LLVM one NaN is as good as another: it makes sqrt(a) of (a < 0 ? NaN : sqrt(a)).  So that it cannot do such
 * things to what is canonicalised, it is not to know where that comes from. */
LLVMValueRef numeric_fence(struct gen *g, LLVMValueRef v) {
    LLVMTypeRef type = LLVMTypeOf(v);
    return gen_intrinsic(g, "llvm.arithmetic.fence", &type, 1, &v, 1);
}

/* A branch, not a choice of values: whoever uses the result need not wait for the comparison. */
LLVMValueRef gen_canon(struct gen *g, LLVMValueRef v) {
    struct unit *u = g->u;
    LLVMTypeRef type = LLVMTypeOf(v);
    v = numeric_fence(g, v);
    LLVMTypeRef ints = type == u->f64 ? u->i64 : u->i32;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef nan = new_block(g, "nan");
    LLVMBasicBlockRef on = branch_rarely(g, LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, ""), nan);
    LLVMPositionBuilderAtEnd(g->b, nan);
    LLVMBuildBr(g->b, on);
    LLVMPositionBuilderAtEnd(g->b, on);
    LLVMValueRef phi = LLVMBuildPhi(g->b, type, "");
    LLVMValueRef values[] = {v, LLVMConstBitCast(numeric_canon_bits(ints), type)};
    LLVMBasicBlockRef blocks[] = {from, nan};
    LLVMAddIncoming(phi, values, blocks, 2);
    return phi;
}

LLVMValueRef numeric_canon_lanes(struct gen *g, LLVMValueRef v) {
    LLVMTypeRef type = LLVMTypeOf(v);
    unsigned bits = LLVMGetElementType(type) == g->u->f64 ? 64 : 32;
    LLVMValueRef nan = LLVMConstBitCast(numeric_canon_bits(numeric_ints(g->u, bits, LLVMGetVectorSize(type))), type);
    v = numeric_fence(g, v);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, v, v, ""), nan, v, "");
}

/* ---- arithmetic, also on vectors ----------------------------------------------------------------------------------
 */

LLVMValueRef numeric_binary(struct gen *g, const struct rule *r, const struct operands *in) {
    return LLVMBuildBinOp(g->b, (LLVMOpcode)r->what, numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1), "");
}

LLVMValueRef numeric_intrinsic1(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0)};
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return gen_intrinsic(g, r->name, &type, 1, args, 1);
}

LLVMValueRef numeric_intrinsic2(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0), numeric_operand(g, r, in, 1)};
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return gen_intrinsic(g, r->name, &type, 1, args, 2);
}

LLVMValueRef numeric_intrinsic_false(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0), LLVMConstInt(g->u->i1, 0, 0)};
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return gen_intrinsic(g, r->name, &type, 1, args, 2);
}

LLVMValueRef numeric_negate(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = numeric_operand(g, r, in, 0);
    return shapes[r->shape].kind == 'f' ? LLVMBuildFNeg(g->b, a, "") : LLVMBuildNeg(g->b, a, "");
}

/* One bit per lane to an i32 of 0 or 1, or to lanes of zeros or ones. */
static LLVMValueRef truth(struct gen *g, const struct rule *r, LLVMValueRef bits) {
    if (shapes[r->shape].lanes == 1)
        return LLVMBuildZExt(g->b, bits, g->u->i32, "");
    return LLVMBuildSExt(g->b, bits, numeric_ints(g->u, shapes[r->shape].bits, shapes[r->shape].lanes), "");
}

LLVMValueRef numeric_icmp(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = numeric_operand(g, r, in, 0), b = numeric_operand(g, r, in, 1);
    return truth(g, r, LLVMBuildICmp(g->b, (LLVMIntPredicate)r->what, a, b, ""));
}

/* For AArch64 LLVM makes fminnm of (a < 1 ? a : 1), and that makes signalling NaNs quiet: so it is not to see, when it
 * chooses between two, that they have been compared. */
static LLVMValueRef compared(struct gen *g, LLVMValueRef v) {
    return numeric_is_x86(g->u) || LLVMIsConstant(v) ? v : numeric_fence(g, v);
}

LLVMValueRef numeric_fcmp(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = compared(g, numeric_operand(g, r, in, 0)), b = compared(g, numeric_operand(g, r, in, 1));
    return truth(g, r, LLVMBuildFCmp(g->b, (LLVMRealPredicate)r->what, a, b, ""));
}

LLVMValueRef numeric_cast(struct gen *g, const struct rule *r, const struct operands *in) {
    return LLVMBuildCast(g->b, (LLVMOpcode)r->what, numeric_operand(g, r, in, 0), numeric_type(g->u, r->to), "");
}

/* ---- integers -----------------------------------------------------------------------------------------------------
 */

static LLVMValueRef is_equal(struct gen *g, LLVMValueRef a, uint64_t value) {
    return LLVMBuildICmp(g->b, LLVMIntEQ, a, LLVMConstInt(LLVMTypeOf(a), value, 0), "");
}

static LLVMValueRef eqz(struct gen *g, const struct rule *r, const struct operands *in) {
    return truth(g, r, is_equal(g, in->v[0], 0));
}

static LLVMValueRef shift(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef type = numeric_type(g->u, r->shape);
    LLVMValueRef count = LLVMBuildAnd(g->b, in->v[1], LLVMConstInt(type, shapes[r->shape].bits - 1, 0), "");
    return LLVMBuildBinOp(g->b, (LLVMOpcode)r->what, in->v[0], count, "");
}

static LLVMValueRef rotate(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef type = numeric_type(g->u, r->shape);
    LLVMValueRef args[] = {in->v[0], in->v[0], in->v[1]};
    return gen_intrinsic(g, r->name, &type, 1, args, 3);
}

/* what: LLVMSDiv, LLVMUDiv, LLVMSRem or LLVMURem */
static LLVMValueRef divide(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = in->v[0], b = in->v[1];
    gen_trap_if(g, is_equal(g, b, 0), WASM_TRAP_INTEGER_DIVIDE);
    if (r->what == LLVMSDiv) {
        uint64_t least = (uint64_t)1 << (shapes[r->shape].bits - 1);
        LLVMValueRef both = LLVMBuildAnd(g->b, is_equal(g, b, UINT64_MAX), is_equal(g, a, least), "");
        gen_trap_if(g, both, WASM_TRAP_INTEGER_OVERFLOW);
    }
    if (r->what == LLVMSRem) { /* by 1 and by -1 leaves 0, and the least number can be divided by 1 */
        LLVMValueRef one = LLVMConstInt(LLVMTypeOf(b), 1, 0);
        b = LLVMBuildSelect(g->b, is_equal(g, b, UINT64_MAX), one, b, "");
    }
    return LLVMBuildBinOp(g->b, (LLVMOpcode)r->what, a, b, "");
}

/* The lowest `what` bits, with their sign. */
static LLVMValueRef extend(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef low = LLVMBuildTrunc(g->b, in->v[0], numeric_ints(g->u, r->what, 1), "");
    return LLVMBuildSExt(g->b, low, numeric_type(g->u, r->shape), "");
}

/* ---- min and max --------------------------------------------------------------------------------------------------
 */

/* `a` against a constant, in x86's one instruction: it answers its second operand for a NaN and for equal ones. That is
 * wrong for a zero of the other sign only. */
static LLVMValueRef extremum_of_constant(struct gen *g, const struct rule *r, LLVMValueRef a, LLVMValueRef constant) {
    LLVMBool inexact;
    double c = LLVMConstRealGetDouble(constant, &inexact);
    bool is_max = r->what == LLVMRealOGT, is_negative = num_f64_bits(c) >> 63;
    if (c != c || (c == 0 && is_negative && !is_max))
        return NULL;
    if (c == 0 && !is_negative && is_max) /* -0 + 0 is 0 */
        a = LLVMBuildFAdd(g->b, a, constant, "");
    LLVMValueRef better = LLVMBuildFCmp(g->b, (LLVMRealPredicate)r->what, constant, a, "");
    return LLVMBuildSelect(g->b, better, constant, a, "");
}

/* what: LLVMRealOLT for min, LLVMRealOGT for max.  x86's instruction answers its second operand where they are equal or
 * not ordered; so both orders agree but for zeros of different signs, of which `or` picks the negative one, and NaNs.
 */
LLVMValueRef numeric_extremum(struct gen *g, const struct rule *r, const struct operands *in) {
    bool is_vector = shapes[r->shape].lanes > 1;
    if (!numeric_is_x86(g->u)) {
        LLVMValueRef v = numeric_intrinsic2(g, r, in);
        return is_vector ? numeric_canon_lanes(g, v) : v;
    }
    LLVMValueRef a = numeric_operand(g, r, in, 0), b = numeric_operand(g, r, in, 1), v = NULL;
    if (LLVMIsAConstantFP(b) && !is_vector)
        v = extremum_of_constant(g, r, a, b);
    else if (LLVMIsAConstantFP(a) && !is_vector)
        v = extremum_of_constant(g, r, b, a);
    if (v)
        return v;
    LLVMRealPredicate better = (LLVMRealPredicate)r->what;
    LLVMTypeRef type = LLVMTypeOf(a), ints = numeric_ints(g->u, shapes[r->shape].bits, shapes[r->shape].lanes);
    LLVMValueRef one = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, better, a, b, ""), a, b, "");
    LLVMValueRef other = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, better, b, a, ""), b, a, "");
    v = LLVMBuildBinOp(g->b, better == LLVMRealOLT ? LLVMOr : LLVMAnd, LLVMBuildBitCast(g->b, one, ints, ""),
                       LLVMBuildBitCast(g->b, other, ints, ""), "");
    v = LLVMBuildBitCast(g->b, v, type, "");
    if (!is_vector && better == LLVMRealOLT)
        return v; /* raw: `or` leaves a NaN a NaN */
    LLVMValueRef nan = LLVMConstBitCast(numeric_canon_bits(ints), type);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, a, b, ""), nan, v, "");
}

/* ---- floats to integers -------------------------------------------------------------------------------------------
 */

/* Two comparisons where the number fits; which of the traps it is, is found out where it does not. */
static LLVMValueRef convert_or_trap(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef a = in->v[0];
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef above = LLVMBuildFCmp(g->b, LLVMRealOGT, a, LLVMConstReal(type, r->above), "");
    LLVMValueRef below = LLVMBuildFCmp(g->b, LLVMRealOLT, a, LLVMConstReal(type, r->below), "");
    LLVMValueRef unfit = LLVMBuildNot(g->b, LLVMBuildAnd(g->b, above, below, ""), "");
    LLVMBasicBlockRef bad = new_block(g, "unfit");
    LLVMBasicBlockRef good = branch_rarely(g, unfit, bad);
    LLVMPositionBuilderAtEnd(g->b, bad);
    gen_trap_if(g, LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, ""), WASM_TRAP_INVALID_CONVERSION);
    gen_trap_if(g, LLVMConstInt(g->u->i1, 1, 0), WASM_TRAP_INTEGER_OVERFLOW);
    LLVMBuildUnreachable(g->b);
    LLVMPositionBuilderAtEnd(g->b, good);
    return numeric_cast(g, r, in);
}

static LLVMValueRef saturate(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef args[] = {numeric_operand(g, r, in, 0)};
    LLVMTypeRef types[] = {numeric_type(g->u, r->to), LLVMTypeOf(args[0])};
    return gen_intrinsic(g, r->name, types, 2, args, 1);
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

/* what: the bits in memory, of which the result is an extension. */
static LLVMValueRef load(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMTypeRef type = numeric_type(g->u, r->to);
    LLVMValueRef address = gen_address(g, in->v[0], in->memory_offset, r->what / 8);
    if (r->what == shapes[r->to].bits)
        return gen_load(g, type, address);
    LLVMValueRef part = gen_load(g, numeric_ints(g->u, r->what, 1), address);
    return LLVMBuildCast(g->b, r->flags & RULE_SIGNED ? LLVMSExt : LLVMZExt, part, type, "");
}

static LLVMValueRef store(struct gen *g, const struct rule *r, const struct operands *in) {
    LLVMValueRef value = in->v[1];
    LLVMValueRef address = gen_address(g, in->v[0], in->memory_offset, r->what / 8);
    if (r->what != shapes[r->to].bits)
        value = LLVMBuildTrunc(g->b, value, numeric_ints(g->u, r->what, 1), "");
    gen_store(g, value, address);
    return NULL;
}

/* ---- the table ----------------------------------------------------------------------------------------------------
 */

// clang-format off
#define ROW(op, make_, shape_, ...) [OP_##op] = {.make = (make_), .shape = SHAPE_##shape_, __VA_ARGS__}

#define INTEGER(P) \
    ROW(P##_EQZ, eqz, P), \
    ROW(P##_EQ, numeric_icmp, P, .what = LLVMIntEQ), \
    ROW(P##_NE, numeric_icmp, P, .what = LLVMIntNE), \
    ROW(P##_LT_S, numeric_icmp, P, .what = LLVMIntSLT), \
    ROW(P##_LT_U, numeric_icmp, P, .what = LLVMIntULT), \
    ROW(P##_GT_S, numeric_icmp, P, .what = LLVMIntSGT), \
    ROW(P##_GT_U, numeric_icmp, P, .what = LLVMIntUGT), \
    ROW(P##_LE_S, numeric_icmp, P, .what = LLVMIntSLE), \
    ROW(P##_LE_U, numeric_icmp, P, .what = LLVMIntULE), \
    ROW(P##_GE_S, numeric_icmp, P, .what = LLVMIntSGE), \
    ROW(P##_GE_U, numeric_icmp, P, .what = LLVMIntUGE), \
    ROW(P##_CLZ, numeric_intrinsic_false, P, .name = "llvm.ctlz"), \
    ROW(P##_CTZ, numeric_intrinsic_false, P, .name = "llvm.cttz"), \
    ROW(P##_POPCNT, numeric_intrinsic1, P, .name = "llvm.ctpop"), \
    ROW(P##_ADD, numeric_binary, P, .what = LLVMAdd), \
    ROW(P##_SUB, numeric_binary, P, .what = LLVMSub), \
    ROW(P##_MUL, numeric_binary, P, .what = LLVMMul), \
    ROW(P##_DIV_S, divide, P, .what = LLVMSDiv), \
    ROW(P##_DIV_U, divide, P, .what = LLVMUDiv), \
    ROW(P##_REM_S, divide, P, .what = LLVMSRem), \
    ROW(P##_REM_U, divide, P, .what = LLVMURem), \
    ROW(P##_AND, numeric_binary, P, .what = LLVMAnd), \
    ROW(P##_OR, numeric_binary, P, .what = LLVMOr), \
    ROW(P##_XOR, numeric_binary, P, .what = LLVMXor), \
    ROW(P##_SHL, shift, P, .what = LLVMShl), \
    ROW(P##_SHR_S, shift, P, .what = LLVMAShr), \
    ROW(P##_SHR_U, shift, P, .what = LLVMLShr), \
    ROW(P##_ROTL, rotate, P, .name = "llvm.fshl"), \
    ROW(P##_ROTR, rotate, P, .name = "llvm.fshr"), \
    ROW(P##_EXTEND8_S, extend, P, .what = 8), \
    ROW(P##_EXTEND16_S, extend, P, .what = 16)

#define OPEN .flags = RULE_NAN | RULE_TAKES_RAW
#define SEES .flags = RULE_TAKES_RAW

#define FLOAT(P) \
    ROW(P##_EQ, numeric_fcmp, P, SEES, .what = LLVMRealOEQ), \
    ROW(P##_NE, numeric_fcmp, P, SEES, .what = LLVMRealUNE), \
    ROW(P##_LT, numeric_fcmp, P, SEES, .what = LLVMRealOLT), \
    ROW(P##_GT, numeric_fcmp, P, SEES, .what = LLVMRealOGT), \
    ROW(P##_LE, numeric_fcmp, P, SEES, .what = LLVMRealOLE), \
    ROW(P##_GE, numeric_fcmp, P, SEES, .what = LLVMRealOGE), \
    ROW(P##_ABS, numeric_intrinsic1, P, .name = "llvm.fabs"), \
    ROW(P##_NEG, numeric_negate, P), \
    ROW(P##_COPYSIGN, numeric_intrinsic2, P, .name = "llvm.copysign"), \
    ROW(P##_CEIL, numeric_intrinsic1, P, OPEN, .name = "llvm.ceil"), \
    ROW(P##_FLOOR, numeric_intrinsic1, P, OPEN, .name = "llvm.floor"), \
    ROW(P##_TRUNC, numeric_intrinsic1, P, OPEN, .name = "llvm.trunc"), \
    ROW(P##_NEAREST, numeric_intrinsic1, P, OPEN, .name = "llvm.roundeven"), \
    ROW(P##_SQRT, numeric_intrinsic1, P, OPEN, .name = "llvm.sqrt"), \
    ROW(P##_ADD, numeric_binary, P, OPEN, .what = LLVMFAdd), \
    ROW(P##_SUB, numeric_binary, P, OPEN, .what = LLVMFSub), \
    ROW(P##_MUL, numeric_binary, P, OPEN, .what = LLVMFMul), \
    ROW(P##_DIV, numeric_binary, P, OPEN, .what = LLVMFDiv), \
    ROW(P##_MIN, numeric_extremum, P, OPEN, .name = "llvm.minimum", .what = LLVMRealOLT), \
    ROW(P##_MAX, numeric_extremum, P, OPEN, .name = "llvm.maximum", .what = LLVMRealOGT)

#define CAST(op, from, to_, what_) ROW(op, numeric_cast, from, .to = SHAPE_##to_, .what = (what_))

/* `above` is the largest float that is too small. */
#define TRUNC(P, FROM, SIGN, above_, below_) \
    ROW(P##_TRUNC_##FROM##_##SIGN, convert_or_trap, FROM, SEES, .to = SHAPE_##P, .what = TRUNC_##SIGN, \
        .above = (above_), .below = (below_)), \
    ROW(P##_TRUNC_SAT_##FROM##_##SIGN, saturate, FROM, SEES, .to = SHAPE_##P, .name = SAT_##SIGN)
#define TRUNC_S LLVMFPToSI
#define TRUNC_U LLVMFPToUI
#define SAT_S "llvm.fptosi.sat"
#define SAT_U "llvm.fptoui.sat"

#define LOAD(op, to_, bits, ...) [OP_##op] = {.make = load, .to = SHAPE_##to_, .what = (bits), __VA_ARGS__}
#define STORE(op, from, bits) [OP_##op] = {.make = store, .to = SHAPE_##from, .what = (bits)}

static const struct rule scalar_rules[OP_COUNT] = {
    INTEGER(I32), INTEGER(I64), FLOAT(F32), FLOAT(F64),
    ROW(I64_EXTEND32_S, extend, I64, .what = 32),
    CAST(I32_WRAP_I64, I64, I32, LLVMTrunc),
    CAST(I64_EXTEND_I32_S, I32, I64, LLVMSExt),
    CAST(I64_EXTEND_I32_U, I32, I64, LLVMZExt),
    CAST(F32_CONVERT_I32_S, I32, F32, LLVMSIToFP),
    CAST(F32_CONVERT_I32_U, I32, F32, LLVMUIToFP),
    CAST(F32_CONVERT_I64_S, I64, F32, LLVMSIToFP),
    CAST(F32_CONVERT_I64_U, I64, F32, LLVMUIToFP),
    CAST(F64_CONVERT_I32_S, I32, F64, LLVMSIToFP),
    CAST(F64_CONVERT_I32_U, I32, F64, LLVMUIToFP),
    CAST(F64_CONVERT_I64_S, I64, F64, LLVMSIToFP),
    CAST(F64_CONVERT_I64_U, I64, F64, LLVMUIToFP),
    ROW(F32_DEMOTE_F64, numeric_cast, F64, OPEN, .to = SHAPE_F32, .what = LLVMFPTrunc),
    ROW(F64_PROMOTE_F32, numeric_cast, F32, OPEN, .to = SHAPE_F64, .what = LLVMFPExt),
    CAST(I32_REINTERPRET_F32, F32, I32, LLVMBitCast),
    CAST(I64_REINTERPRET_F64, F64, I64, LLVMBitCast),
    CAST(F32_REINTERPRET_I32, I32, F32, LLVMBitCast),
    CAST(F64_REINTERPRET_I64, I64, F64, LLVMBitCast),
    TRUNC(I32, F32, S, -0x1.000002p31, 0x1p31),
    TRUNC(I32, F32, U, -1.0, 0x1p32),
    TRUNC(I32, F64, S, -0x1.00000002p31, 0x1p31),
    TRUNC(I32, F64, U, -1.0, 0x1p32),
    TRUNC(I64, F32, S, -0x1.000002p63, 0x1p63),
    TRUNC(I64, F32, U, -1.0, 0x1p64),
    TRUNC(I64, F64, S, -0x1.0000000000001p63, 0x1p63),
    TRUNC(I64, F64, U, -1.0, 0x1p64),
    LOAD(I32_LOAD, I32, 32),
    LOAD(I64_LOAD, I64, 64),
    LOAD(F32_LOAD, F32, 32),
    LOAD(F64_LOAD, F64, 64),
    LOAD(I32_LOAD8_S, I32, 8, .flags = RULE_SIGNED),
    LOAD(I32_LOAD8_U, I32, 8),
    LOAD(I32_LOAD16_S, I32, 16, .flags = RULE_SIGNED),
    LOAD(I32_LOAD16_U, I32, 16),
    LOAD(I64_LOAD8_S, I64, 8, .flags = RULE_SIGNED),
    LOAD(I64_LOAD8_U, I64, 8),
    LOAD(I64_LOAD16_S, I64, 16, .flags = RULE_SIGNED),
    LOAD(I64_LOAD16_U, I64, 16),
    LOAD(I64_LOAD32_S, I64, 32, .flags = RULE_SIGNED),
    LOAD(I64_LOAD32_U, I64, 32),
    STORE(I32_STORE, I32, 32),
    STORE(I64_STORE, I64, 64),
    STORE(F32_STORE, F32, 32),
    STORE(F64_STORE, F64, 64),
    STORE(I32_STORE8, I32, 8),
    STORE(I32_STORE16, I32, 16),
    STORE(I64_STORE8, I64, 8),
    STORE(I64_STORE16, I64, 16),
    STORE(I64_STORE32, I64, 32),
};
// clang-format on

/* ---- operators ----------------------------------------------------------------------------------------------------
 */

static const struct rule *rule_of(enum wasm_op op) {
    return scalar_rules[op].make ? &scalar_rules[op] : simd_rule(op);
}

bool gen_takes_raw(enum wasm_op op) {
    return rule_of(op)->flags & RULE_TAKES_RAW;
}

LLVMValueRef gen_operator(struct gen *g, enum wasm_op op, const struct operands *in, bool *raw) {
    const struct rule *r = rule_of(op);
    must(r->make);
    LLVMValueRef v = r->make(g, r, in);
    *raw = false;
    if (!v)
        return NULL;
    bool is_vector = LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
    if (r->flags & RULE_NAN) {
        if (is_vector)
            v = numeric_canon_lanes(g, v);
        else
            *raw = true;
    }
    return is_vector ? LLVMBuildBitCast(g->b, v, g->u->v128, "") : v;
}
