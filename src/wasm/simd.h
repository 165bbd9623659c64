/* simd.h: what every vector operator of WebAssembly means, as inline C over the compilers' vector extensions.
 *
 * `num_X` for the operator X of opcodes.h, as in num.h; v128 is the type below.  Shapes beside the obvious ones:
 *     extract and replace take `unsigned lane` last, shuffle an array of 16 lane numbers (0..31), shifts a uint32_t,
 *     lane loads the old vector.  Lanes come from validated code and are in range.
 * One portable definition each: written so that gcc 12 and clang find the machine's instructions (baseline x86-64 is
 * SSE2), by whole-vector operators where these exist, else by loops over lanes, which both compilers vectorise. */
#ifndef AEON_WASM_SIMD_H
#define AEON_WASM_SIMD_H

#include "wasm/num.h"

#define SIMD_TYPE(T, name, lanes) typedef T name __attribute__((vector_size(sizeof(T) * (lanes))));
SIMD_TYPE(uint64_t, v128, 2)
SIMD_TYPE(int8_t, i8x16, 16)
SIMD_TYPE(uint8_t, u8x16, 16)
SIMD_TYPE(int16_t, i16x8, 8)
SIMD_TYPE(uint16_t, u16x8, 8)
SIMD_TYPE(int32_t, i32x4, 4)
SIMD_TYPE(uint32_t, u32x4, 4)
SIMD_TYPE(int64_t, i64x2, 2)
SIMD_TYPE(uint64_t, u64x2, 2)
SIMD_TYPE(float, f32x4, 4)
SIMD_TYPE(double, f64x2, 2)
/* halves, for widening */
SIMD_TYPE(int8_t, i8x8, 8)
SIMD_TYPE(uint8_t, u8x8, 8)
SIMD_TYPE(int16_t, i16x4, 4)
SIMD_TYPE(uint16_t, u16x4, 4)
SIMD_TYPE(int32_t, i32x2, 2)
SIMD_TYPE(uint32_t, u32x2, 2)
SIMD_TYPE(float, f32x2, 2)
#undef SIMD_TYPE

static inline v128 simd_load(const void *p) {
    v128 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void simd_store(void *p, v128 v) {
    memcpy(p, &v, sizeof v);
}

/* Lanes of `a` where `mask` is ones, of `b` where it is zeros. */
static inline v128 simd_select(v128 mask, v128 a, v128 b) {
    return (mask & a) | (~mask & b);
}

#define SIMD_LANES(n)         for (unsigned i = 0; i < (n); i++)
#define SIMD_CLAMP(x, lo, hi) ((x) < (lo) ? (lo) : (x) > (hi) ? (hi) : (x))

// clang-format off
#define SIMD_UNARY(name, expr)  static inline v128 num_##name(v128 a) { return (v128)(expr); }
#define SIMD_BINARY(name, expr) static inline v128 num_##name(v128 a, v128 b) { return (v128)(expr); }

/* One expression per lane, over x[i] (and y[i]) of type T, into lanes of type R; those beyond n are zero. In arrays,
 * because the vectorisers see through these better than through subscripts of vectors. */
#define SIMD_MAP1(name, R, T, n, expr) \
    static inline v128 num_##name(v128 a) \
    { \
        T x[16 / sizeof(T)]; \
        R r[16 / sizeof(R)] = {0}; \
        simd_store(x, a); \
        SIMD_LANES(n) r[i] = (R)(expr); \
        return simd_load(r); \
    }
#define SIMD_MAP2(name, R, T, n, expr) \
    static inline v128 num_##name(v128 a, v128 b) \
    { \
        T x[16 / sizeof(T)], y[16 / sizeof(T)]; \
        R r[16 / sizeof(R)] = {0}; \
        simd_store(x, a); \
        simd_store(y, b); \
        SIMD_LANES(n) r[i] = (R)(expr); \
        return simd_load(r); \
    }

/* ---- whole vectors --------------------------------------------------------------------------------------------- */

SIMD_UNARY(V128_NOT, ~a)
SIMD_BINARY(V128_AND, a & b)
SIMD_BINARY(V128_ANDNOT, a & ~b)
SIMD_BINARY(V128_OR, a | b)
SIMD_BINARY(V128_XOR, a ^ b)

static inline v128 num_V128_BITSELECT(v128 a, v128 b, v128 mask)
{
    return simd_select(mask, a, b);
}

static inline uint32_t num_V128_ANY_TRUE(v128 a)
{
    return (a[0] | a[1]) != 0;
}

/* ---- lanes ----------------------------------------------------------------------------------------------------- */

static inline v128 num_I8X16_SHUFFLE(v128 a, v128 b, const uint8_t lanes[16])
{
    uint8_t from[32], to[16];
    simd_store(from, a);
    simd_store(from + 16, b);
    SIMD_LANES(16) to[i] = from[lanes[i]];
    return simd_load(to);
}

static inline v128 num_I8X16_SWIZZLE(v128 a, v128 s)
{
    uint8_t from[16], lanes[16], to[16];
    simd_store(from, a);
    simd_store(lanes, s);
    SIMD_LANES(16) to[i] = from[lanes[i] & 15];
    return simd_load(to) & (v128)((u8x16)s < 16);
}

#define SIMD_SPLAT(P, T, V, n, FROM) \
    static inline V simd_splat_##V(T x) \
    { \
        V r = {0}; \
        SIMD_LANES(n) r[i] = x; \
        return r; \
    } \
    static inline v128 num_##P##_SPLAT(FROM x) { return (v128)simd_splat_##V((T)x); }
SIMD_SPLAT(I8X16, uint8_t, u8x16, 16, uint32_t)
SIMD_SPLAT(I16X8, uint16_t, u16x8, 8, uint32_t)
SIMD_SPLAT(I32X4, uint32_t, u32x4, 4, uint32_t)
SIMD_SPLAT(I64X2, uint64_t, u64x2, 2, uint64_t)
SIMD_SPLAT(F32X4, float, f32x4, 4, float)
SIMD_SPLAT(F64X2, double, f64x2, 2, double)
#undef SIMD_SPLAT

/* Through memory: the lane is known only at run time. */
#define SIMD_EXTRACT(name, R, T) \
    static inline R num_##name(v128 a, unsigned lane) \
    { \
        T lanes[16 / sizeof(T)]; \
        simd_store(lanes, a); \
        return (R)lanes[lane]; \
    }
#define SIMD_REPLACE(name, X, T) \
    static inline v128 num_##name(v128 a, X x, unsigned lane) \
    { \
        T lanes[16 / sizeof(T)]; \
        simd_store(lanes, a); \
        lanes[lane] = (T)x; \
        return simd_load(lanes); \
    }
SIMD_EXTRACT(I8X16_EXTRACT_LANE_S, uint32_t, int8_t)
SIMD_EXTRACT(I8X16_EXTRACT_LANE_U, uint32_t, uint8_t)
SIMD_EXTRACT(I16X8_EXTRACT_LANE_S, uint32_t, int16_t)
SIMD_EXTRACT(I16X8_EXTRACT_LANE_U, uint32_t, uint16_t)
SIMD_EXTRACT(I32X4_EXTRACT_LANE, uint32_t, uint32_t)
SIMD_EXTRACT(I64X2_EXTRACT_LANE, uint64_t, uint64_t)
SIMD_EXTRACT(F32X4_EXTRACT_LANE, float, float)
SIMD_EXTRACT(F64X2_EXTRACT_LANE, double, double)
SIMD_REPLACE(I8X16_REPLACE_LANE, uint32_t, uint8_t)
SIMD_REPLACE(I16X8_REPLACE_LANE, uint32_t, uint16_t)
SIMD_REPLACE(I32X4_REPLACE_LANE, uint32_t, uint32_t)
SIMD_REPLACE(I64X2_REPLACE_LANE, uint64_t, uint64_t)
SIMD_REPLACE(F32X4_REPLACE_LANE, float, float)
SIMD_REPLACE(F64X2_REPLACE_LANE, double, double)
#undef SIMD_EXTRACT
#undef SIMD_REPLACE

/* ---- integers -------------------------------------------------------------------------------------------------- */

/* Lanes of 0 or 1 in half a vector to adjacent bits, by a multiplication that moves each to its place at the top. */
static inline uint32_t simd_gather8(uint64_t x)  { return (uint32_t)(x * 0x0102040810204080u >> 56); }
static inline uint32_t simd_gather16(uint64_t x) { return (uint32_t)(x * 0x0001000200040008u >> 48 & 15); }
static inline uint32_t simd_gather32(uint64_t x) { return (uint32_t)(x | x >> 31); }
static inline uint32_t simd_gather64(uint64_t x) { return (uint32_t)x; }

/* Arithmetic wraps, so it is done on the unsigned types. */
#define SIMD_INTEGER(P, U, S, SCALAR_S, n, BITS) \
    SIMD_BINARY(P##_EQ, (S)a == (S)b) \
    SIMD_BINARY(P##_NE, (S)a != (S)b) \
    SIMD_BINARY(P##_LT_S, (S)a < (S)b) \
    SIMD_BINARY(P##_GT_S, (S)a > (S)b) \
    SIMD_BINARY(P##_LE_S, (S)a <= (S)b) \
    SIMD_BINARY(P##_GE_S, (S)a >= (S)b) \
    SIMD_UNARY(P##_NEG, -(U)a) \
    SIMD_BINARY(P##_ADD, (U)a + (U)b) \
    SIMD_BINARY(P##_SUB, (U)a - (U)b) \
    static inline v128 num_##P##_ABS(v128 a) \
    { \
        U sign = (U)((S)a < 0); \
        return (v128)(((U)a ^ sign) - sign); \
    } \
    static inline v128 num_##P##_SHL(v128 a, uint32_t count) \
    { \
        return (v128)((U)a << (SCALAR_S)(count & (BITS - 1))); \
    } \
    static inline v128 num_##P##_SHR_S(v128 a, uint32_t count) \
    { \
        return (v128)((S)a >> (SCALAR_S)(count & (BITS - 1))); \
    } \
    static inline v128 num_##P##_SHR_U(v128 a, uint32_t count) \
    { \
        return (v128)((U)a >> (SCALAR_S)(count & (BITS - 1))); \
    } \
    static inline uint32_t num_##P##_ALL_TRUE(v128 a) \
    { \
        v128 zeros = (v128)((U)a == 0); \
        return (zeros[0] | zeros[1]) == 0; \
    } \
    static inline uint32_t num_##P##_BITMASK(v128 a) \
    { \
        v128 signs = (v128)((U)a >> (SCALAR_S)(BITS - 1)); \
        return simd_gather##BITS(signs[0]) | simd_gather##BITS(signs[1]) << (n / 2); \
    }
SIMD_INTEGER(I8X16, u8x16, i8x16, int8_t, 16, 8)
SIMD_INTEGER(I16X8, u16x8, i16x8, int16_t, 8, 16)
SIMD_INTEGER(I32X4, u32x4, i32x4, int32_t, 4, 32)
SIMD_INTEGER(I64X2, u64x2, i64x2, int64_t, 2, 64)
#undef SIMD_INTEGER

/* What 64-bit lanes do not have. */
#define SIMD_ORDERED(P, U, S, n) \
    SIMD_BINARY(P##_LT_U, (U)a < (U)b) \
    SIMD_BINARY(P##_GT_U, (U)a > (U)b) \
    SIMD_BINARY(P##_LE_U, (U)a <= (U)b) \
    SIMD_BINARY(P##_GE_U, (U)a >= (U)b) \
    SIMD_BINARY(P##_MIN_S, simd_select((v128)((S)a < (S)b), a, b)) \
    SIMD_BINARY(P##_MIN_U, simd_select((v128)((U)a < (U)b), a, b)) \
    SIMD_BINARY(P##_MAX_S, simd_select((v128)((S)a > (S)b), a, b)) \
    SIMD_BINARY(P##_MAX_U, simd_select((v128)((U)a > (U)b), a, b))
SIMD_ORDERED(I8X16, u8x16, i8x16, 16)
SIMD_ORDERED(I16X8, u16x8, i16x8, 8)
SIMD_ORDERED(I32X4, u32x4, i32x4, 4)
#undef SIMD_ORDERED

static inline v128 num_I8X16_POPCNT(v128 a)
{
    u8x16 x = (u8x16)a;
    x -= (x >> 1) & 0x55;
    x = (x & 0x33) + ((x >> 2) & 0x33);
    return (v128)((x + (x >> 4)) & 0x0f);
}

SIMD_BINARY(I16X8_MUL, (u16x8)a * (u16x8)b)
SIMD_BINARY(I32X4_MUL, (u32x4)a * (u32x4)b)
SIMD_BINARY(I64X2_MUL, (u64x2)a * (u64x2)b)

#define SIMD_SATURATING(P, UT, ST, n, MIN, MAX, UMAX) \
    SIMD_MAP2(P##_ADD_SAT_S, ST, ST, n, SIMD_CLAMP(x[i] + y[i], MIN, MAX)) \
    SIMD_MAP2(P##_SUB_SAT_S, ST, ST, n, SIMD_CLAMP(x[i] - y[i], MIN, MAX)) \
    SIMD_MAP2(P##_ADD_SAT_U, UT, UT, n, x[i] > UMAX - y[i] ? UMAX : x[i] + y[i]) \
    SIMD_MAP2(P##_SUB_SAT_U, UT, UT, n, x[i] > y[i] ? x[i] - y[i] : 0) \
    SIMD_MAP2(P##_AVGR_U, UT, UT, n, (x[i] + y[i] + 1) >> 1)
SIMD_SATURATING(I8X16, uint8_t, int8_t, 16, INT8_MIN, INT8_MAX, UINT8_MAX)
SIMD_SATURATING(I16X8, uint16_t, int16_t, 8, INT16_MIN, INT16_MAX, UINT16_MAX)
#undef SIMD_SATURATING

SIMD_MAP2(I16X8_Q15MULR_SAT_S, int16_t, int16_t, 8, SIMD_CLAMP((x[i] * y[i] + 0x4000) >> 15, INT16_MIN, INT16_MAX))
SIMD_MAP2(I32X4_DOT_I16X8_S, uint32_t, int16_t, 4,
          (uint32_t)(x[2 * i] * y[2 * i]) + (uint32_t)(x[2 * i + 1] * y[2 * i + 1]))

/* Two vectors to one of half as wide lanes. */
#define SIMD_NARROW(name, R, T, n, LO, HI) \
    static inline v128 num_##name(v128 a, v128 b) \
    { \
        T x[2 * n]; \
        R r[2 * n]; \
        simd_store(x, a); \
        simd_store(x + n, b); \
        SIMD_LANES(2 * n) r[i] = (R)SIMD_CLAMP(x[i], LO, HI); \
        return simd_load(r); \
    }
SIMD_NARROW(I8X16_NARROW_I16X8_S, int8_t, int16_t, 8, INT8_MIN, INT8_MAX)
SIMD_NARROW(I8X16_NARROW_I16X8_U, uint8_t, int16_t, 8, 0, UINT8_MAX)
SIMD_NARROW(I16X8_NARROW_I32X4_S, int16_t, int32_t, 4, INT16_MIN, INT16_MAX)
SIMD_NARROW(I16X8_NARROW_I32X4_U, uint16_t, int32_t, 4, 0, UINT16_MAX)
#undef SIMD_NARROW

/* One half to a vector of twice as wide lanes. */
#define SIMD_WIDEN(name, R, HALF) \
    static inline R simd_low_##HALF(v128 a) \
    { \
        HALF h; \
        uint64_t low = a[0]; \
        memcpy(&h, &low, sizeof h); \
        return __builtin_convertvector(h, R); \
    } \
    static inline R simd_high_##HALF(v128 a) \
    { \
        HALF h; \
        uint64_t high = a[1]; \
        memcpy(&h, &high, sizeof h); \
        return __builtin_convertvector(h, R); \
    }
SIMD_WIDEN(I16X8_I8X16_S, i16x8, i8x8)
SIMD_WIDEN(I16X8_I8X16_U, u16x8, u8x8)
SIMD_WIDEN(I32X4_I16X8_S, i32x4, i16x4)
SIMD_WIDEN(I32X4_I16X8_U, u32x4, u16x4)
SIMD_WIDEN(I64X2_I32X4_S, i64x2, i32x2)
SIMD_WIDEN(I64X2_I32X4_U, u64x2, u32x2)
#undef SIMD_WIDEN

/* Products of widened lanes fit in the wide lane; on the unsigned type U, whatever the sign. */
#define SIMD_EXTEND(TO, FROM, SIGN, U, HALF) \
    SIMD_UNARY(TO##_EXTEND_LOW_##FROM##_##SIGN, simd_low_##HALF(a)) \
    SIMD_UNARY(TO##_EXTEND_HIGH_##FROM##_##SIGN, simd_high_##HALF(a)) \
    SIMD_BINARY(TO##_EXTMUL_LOW_##FROM##_##SIGN, (U)simd_low_##HALF(a) * (U)simd_low_##HALF(b)) \
    SIMD_BINARY(TO##_EXTMUL_HIGH_##FROM##_##SIGN, (U)simd_high_##HALF(a) * (U)simd_high_##HALF(b))
SIMD_EXTEND(I16X8, I8X16, S, u16x8, i8x8)
SIMD_EXTEND(I16X8, I8X16, U, u16x8, u8x8)
SIMD_EXTEND(I32X4, I16X8, S, u32x4, i16x4)
SIMD_EXTEND(I32X4, I16X8, U, u32x4, u16x4)
SIMD_EXTEND(I64X2, I32X4, S, u64x2, i32x2)
SIMD_EXTEND(I64X2, I32X4, U, u64x2, u32x2)
#undef SIMD_EXTEND

/* The even lanes by shifting up and down again, the odd ones by shifting down. */
SIMD_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_S, ((i16x8)((u16x8)a << 8) >> 8) + ((i16x8)a >> 8))
SIMD_UNARY(I16X8_EXTADD_PAIRWISE_I8X16_U, ((u16x8)a & 0xff) + ((u16x8)a >> 8))
SIMD_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_S, ((i32x4)((u32x4)a << 16) >> 16) + ((i32x4)a >> 16))
SIMD_UNARY(I32X4_EXTADD_PAIRWISE_I16X8_U, ((u32x4)a & 0xffff) + ((u32x4)a >> 16))

/* ---- floating point -------------------------------------------------------------------------------------------- */

/* As in num.h: lanes below INTEGRAL go through the integers S. x is what is rounded, i its truncation, r that as a
 * float; FIXED is the rounded integer (a comparison's true is -1). The sign of `a` is that of the result. */
#define SIMD_ROUND(name, V, U, S, OF, INTEGRAL, SIGN, FIXED) \
    static inline v128 num_##name(v128 a) \
    { \
        S small = (V)((U)a & ~SIGN) < INTEGRAL; \
        V x = (V)((v128)(OF) & (v128)small); \
        S i = __builtin_convertvector(x, S); \
        V r = __builtin_convertvector(i, V); \
        r = __builtin_convertvector((S)(FIXED), V); \
        r = (V)((U)r | ((U)a & SIGN)); \
        return simd_canon_##V((V)simd_select((v128)small, (v128)r, a)); \
    }

/* min and max: equal lanes are the same bits or two zeros, of which `or` picks the negative and `and` the positive. */
#define SIMD_FLOAT(P, SQRT, V, U, S, T, n, SIGN, INTEGRAL, HALF, CANON) \
    static inline v128 simd_canon_##V(V x) { return simd_select((v128)(x == x), (v128)x, (v128)(U){CANON}); } \
    SIMD_BINARY(P##_EQ, (V)a == (V)b) \
    SIMD_BINARY(P##_NE, (V)a != (V)b) \
    SIMD_BINARY(P##_LT, (V)a < (V)b) \
    SIMD_BINARY(P##_GT, (V)a > (V)b) \
    SIMD_BINARY(P##_LE, (V)a <= (V)b) \
    SIMD_BINARY(P##_GE, (V)a >= (V)b) \
    SIMD_UNARY(P##_ABS, (U)a & ~SIGN) \
    SIMD_UNARY(P##_NEG, (U)a ^ SIGN) \
    SIMD_BINARY(P##_ADD, simd_canon_##V((V)a + (V)b)) \
    SIMD_BINARY(P##_SUB, simd_canon_##V((V)a - (V)b)) \
    SIMD_BINARY(P##_MUL, simd_canon_##V((V)a * (V)b)) \
    SIMD_BINARY(P##_DIV, simd_canon_##V((V)a / (V)b)) \
    static inline v128 num_##P##_SQRT(v128 a) \
    { \
        T x[n]; \
        simd_store(x, a); \
        SIMD_LANES(n) x[i] = SQRT(x[i]); \
        return simd_canon_##V((V)simd_load(x)); \
    } \
    SIMD_ROUND(P##_TRUNC, V, U, S, a, INTEGRAL, SIGN, i) \
    SIMD_ROUND(P##_CEIL, V, U, S, a, INTEGRAL, SIGN, i - (r < x)) \
    SIMD_ROUND(P##_FLOOR, V, U, S, a, INTEGRAL, SIGN, i + (r > x)) \
    SIMD_ROUND(P##_NEAREST, V, U, S, (U)a & ~SIGN, INTEGRAL, SIGN, \
               i - ((x - r > HALF) | ((x - r == HALF) & -(i & 1)))) \
    SIMD_BINARY(P##_PMIN, simd_select((v128)((V)b < (V)a), b, a)) \
    SIMD_BINARY(P##_PMAX, simd_select((v128)((V)a < (V)b), b, a)) \
    static inline v128 num_##P##_MIN(v128 a, v128 b) \
    { \
        v128 least = simd_select((v128)((V)a < (V)b), a, b); \
        v128 r = simd_select((v128)((V)a == (V)b), a | b, least); \
        return simd_select((v128)(((V)a == (V)a) & ((V)b == (V)b)), r, (v128)(U){CANON}); \
    } \
    static inline v128 num_##P##_MAX(v128 a, v128 b) \
    { \
        v128 most = simd_select((v128)((V)a > (V)b), a, b); \
        v128 r = simd_select((v128)((V)a == (V)b), a & b, most); \
        return simd_select((v128)(((V)a == (V)a) & ((V)b == (V)b)), r, (v128)(U){CANON}); \
    }
#define SIMD_CANON_F32 NUM_CANON_F32, NUM_CANON_F32, NUM_CANON_F32, NUM_CANON_F32
#define SIMD_CANON_F64 NUM_CANON_F64, NUM_CANON_F64
SIMD_FLOAT(F32X4, __builtin_sqrtf, f32x4, u32x4, i32x4, float, 4, 0x80000000u, 0x1p23f, 0.5f, SIMD_CANON_F32)
SIMD_FLOAT(F64X2, __builtin_sqrt, f64x2, u64x2, i64x2, double, 2, 0x8000000000000000u, 0x1p52, 0.5, SIMD_CANON_F64)
#undef SIMD_CANON_F32
#undef SIMD_CANON_F64
#undef SIMD_FLOAT
#undef SIMD_ROUND

SIMD_UNARY(F32X4_CONVERT_I32X4_S, __builtin_convertvector((i32x4)a, f32x4))
SIMD_UNARY(F32X4_CONVERT_I32X4_U, __builtin_convertvector((u32x4)a, f32x4))
SIMD_MAP1(F64X2_CONVERT_LOW_I32X4_S, double, int32_t, 2, x[i])
SIMD_MAP1(F64X2_CONVERT_LOW_I32X4_U, double, uint32_t, 2, x[i])
SIMD_MAP1(F64X2_PROMOTE_LOW_F32X4, double, float, 2, num_F64_PROMOTE_F32(x[i]))
SIMD_MAP1(F32X4_DEMOTE_F64X2_ZERO, float, double, 2, num_F32_DEMOTE_F64(x[i]))
SIMD_MAP1(I32X4_TRUNC_SAT_F64X2_S_ZERO, uint32_t, double, 2, num_I32_TRUNC_SAT_F64_S(x[i]))
SIMD_MAP1(I32X4_TRUNC_SAT_F64X2_U_ZERO, uint32_t, double, 2, num_I32_TRUNC_SAT_F64_U(x[i]))

/* Lanes out of range, NaNs among them, are converted as zeros and then saturated. */
static inline v128 num_I32X4_TRUNC_SAT_F32X4_S(v128 a)
{
    f32x4 x = (f32x4)a;
    v128 fits = (v128)((x >= -0x1p31f) & (x < 0x1p31f));
    v128 r = (v128)__builtin_convertvector((f32x4)(a & fits), i32x4);
    v128 least = (v128)(x < -0x1p31f) & (v128)simd_splat_u32x4(0x80000000u);
    v128 most = (v128)(x >= 0x1p31f) & (v128)simd_splat_u32x4(0x7fffffffu);
    return r | least | most;
}

static inline v128 num_I32X4_TRUNC_SAT_F32X4_U(v128 a)
{
    f32x4 x = (f32x4)a;
    v128 fits = (v128)((x > 0) & (x < 0x1p32f));
    v128 most = (v128)(x >= 0x1p32f);
    return (v128)__builtin_convertvector((f32x4)(a & fits), u32x4) | most;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

enum { SIZE_V128_LOAD = 16, SIZE_V128_STORE = 16 };

static inline v128 load_V128_LOAD(const uint8_t *p)
{
    return simd_load(p);
}

static inline void store_V128_STORE(uint8_t *p, v128 v)
{
    simd_store(p, v);
}

#define SIMD_LOAD_WIDEN(name, HALF) \
    enum { SIZE_##name = 8 }; \
    static inline v128 load_##name(const uint8_t *p) \
    { \
        uint64_t low; \
        memcpy(&low, p, sizeof low); \
        return (v128)simd_low_##HALF((v128){low, 0}); \
    }
SIMD_LOAD_WIDEN(V128_LOAD8X8_S, i8x8)
SIMD_LOAD_WIDEN(V128_LOAD8X8_U, u8x8)
SIMD_LOAD_WIDEN(V128_LOAD16X4_S, i16x4)
SIMD_LOAD_WIDEN(V128_LOAD16X4_U, u16x4)
SIMD_LOAD_WIDEN(V128_LOAD32X2_S, i32x2)
SIMD_LOAD_WIDEN(V128_LOAD32X2_U, u32x2)
#undef SIMD_LOAD_WIDEN

#define SIMD_MEMORY(BITS, T, V) \
    enum { SIZE_V128_LOAD##BITS##_SPLAT = sizeof(T), SIZE_V128_LOAD##BITS##_LANE = sizeof(T), \
           SIZE_V128_STORE##BITS##_LANE = sizeof(T) }; \
    static inline v128 load_V128_LOAD##BITS##_SPLAT(const uint8_t *p) \
    { \
        T x; \
        memcpy(&x, p, sizeof x); \
        return (v128)simd_splat_##V(x); \
    } \
    static inline v128 load_V128_LOAD##BITS##_LANE(const uint8_t *p, v128 old, unsigned lane) \
    { \
        T lanes[16 / sizeof(T)]; \
        simd_store(lanes, old); \
        memcpy(&lanes[lane], p, sizeof(T)); \
        return simd_load(lanes); \
    } \
    static inline void store_V128_STORE##BITS##_LANE(uint8_t *p, v128 v, unsigned lane) \
    { \
        T lanes[16 / sizeof(T)]; \
        simd_store(lanes, v); \
        memcpy(p, &lanes[lane], sizeof(T)); \
    }
SIMD_MEMORY(8, uint8_t, u8x16)
SIMD_MEMORY(16, uint16_t, u16x8)
SIMD_MEMORY(32, uint32_t, u32x4)
SIMD_MEMORY(64, uint64_t, u64x2)
#undef SIMD_MEMORY

enum { SIZE_V128_LOAD32_ZERO = 4, SIZE_V128_LOAD64_ZERO = 8 };

static inline v128 load_V128_LOAD32_ZERO(const uint8_t *p)
{
    return (v128){get_u32(p), 0};
}

static inline v128 load_V128_LOAD64_ZERO(const uint8_t *p)
{
    return (v128){get_u64(p), 0};
}

#undef SIMD_MAP1
#undef SIMD_MAP2
#undef SIMD_UNARY
#undef SIMD_BINARY
#undef SIMD_LANES
#undef SIMD_CLAMP
// clang-format on

#endif
