/* num.h: what every scalar numeric operator of WebAssembly means, as inline C; simd.h does the same for v128.
 *
 * `num_X` is the operator X of opcodes.h; operators of one shape have one C signature, so that handlers, the compiled
 * tier's stencils and the constant folder can be instantiated from the opcode table:
 *     i32 -> uint32_t, i64 -> uint64_t, f32 -> float, f64 -> double; comparisons answer 0 or 1;
 *     operators that may trap return the trap's kind and write `*out` only for WASM_TRAP_NONE.
 * `load_X` and `store_X` are the memory operators on an address already checked for SIZE_X bytes.
 *
 * Deterministic profile: wherever the specification leaves the bits of a NaN open, the result is the canonical NaN
 * (positive, only the quiet bit).  abs, neg, copysign and reinterpret only move bits, as the specification says.
 * Results do not depend on SSE4.1, and the file must not be compiled with -ffast-math or with contraction. */
#ifndef AEON_WASM_NUM_H
#define AEON_WASM_NUM_H

#ifdef __FAST_MATH__
#error "NaNs and signed zeros matter here"
#endif

#include "base/must.h"
#include "wasm/wasm.h"

#define NUM_CANON_F32 0x7fc00000u
#define NUM_CANON_F64 0x7ff8000000000000u

static inline float num_f32_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline double num_f64_of(uint64_t bits) {
    double f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t num_f32_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline uint64_t num_f64_bits(double f) {
    uint64_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float num_f32_canon(float f) {
    return UNLIKELY(f != f) ? num_f32_of(NUM_CANON_F32) : f;
}

static inline double num_f64_canon(double f) {
    return UNLIKELY(f != f) ? num_f64_of(NUM_CANON_F64) : f;
}

// clang-format off
#define NUM_UNARY(name, R, T, expr)   static inline R num_##name(T a) { return (R)(expr); }
#define NUM_BINARY(name, R, T, expr)  static inline R num_##name(T a, T b) { return (R)(expr); }

/* ---- integers -------------------------------------------------------------------------------------------------- */

#define NUM_INTEGER(P, U, S, BITS, CLZ, CTZ, POPCNT) \
    NUM_UNARY(P##_EQZ, uint32_t, U, a == 0) \
    NUM_BINARY(P##_EQ, uint32_t, U, a == b) \
    NUM_BINARY(P##_NE, uint32_t, U, a != b) \
    NUM_BINARY(P##_LT_S, uint32_t, U, (S)a < (S)b) \
    NUM_BINARY(P##_LT_U, uint32_t, U, a < b) \
    NUM_BINARY(P##_GT_S, uint32_t, U, (S)a > (S)b) \
    NUM_BINARY(P##_GT_U, uint32_t, U, a > b) \
    NUM_BINARY(P##_LE_S, uint32_t, U, (S)a <= (S)b) \
    NUM_BINARY(P##_LE_U, uint32_t, U, a <= b) \
    NUM_BINARY(P##_GE_S, uint32_t, U, (S)a >= (S)b) \
    NUM_BINARY(P##_GE_U, uint32_t, U, a >= b) \
    NUM_UNARY(P##_CLZ, U, U, a ? (unsigned)CLZ(a) : BITS) \
    NUM_UNARY(P##_CTZ, U, U, a ? (unsigned)CTZ(a) : BITS) \
    NUM_UNARY(P##_POPCNT, U, U, (unsigned)POPCNT(a)) \
    NUM_BINARY(P##_ADD, U, U, a + b) \
    NUM_BINARY(P##_SUB, U, U, a - b) \
    NUM_BINARY(P##_MUL, U, U, a * b) \
    NUM_BINARY(P##_AND, U, U, a & b) \
    NUM_BINARY(P##_OR, U, U, a | b) \
    NUM_BINARY(P##_XOR, U, U, a ^ b) \
    NUM_BINARY(P##_SHL, U, U, a << (b & (BITS - 1))) \
    NUM_BINARY(P##_SHR_S, U, U, (S)a >> (b & (BITS - 1))) \
    NUM_BINARY(P##_SHR_U, U, U, a >> (b & (BITS - 1))) \
    NUM_BINARY(P##_ROTL, U, U, a << (b & (BITS - 1)) | a >> (-b & (BITS - 1))) \
    NUM_BINARY(P##_ROTR, U, U, a >> (b & (BITS - 1)) | a << (-b & (BITS - 1))) \
    NUM_UNARY(P##_EXTEND8_S, U, U, (S)(int8_t)a) \
    NUM_UNARY(P##_EXTEND16_S, U, U, (S)(int16_t)a) \
    static inline enum wasm_trap_kind num_##P##_DIV_S(U a, U b, U *out) \
    { \
        if (UNLIKELY(b == 0)) \
            return WASM_TRAP_INTEGER_DIVIDE; \
        if (UNLIKELY(b == (U)-1 && a == (U)1 << (BITS - 1))) \
            return WASM_TRAP_INTEGER_OVERFLOW; \
        *out = (U)((S)a / (S)b); \
        return WASM_TRAP_NONE; \
    } \
    static inline enum wasm_trap_kind num_##P##_DIV_U(U a, U b, U *out) \
    { \
        if (UNLIKELY(b == 0)) \
            return WASM_TRAP_INTEGER_DIVIDE; \
        *out = a / b; \
        return WASM_TRAP_NONE; \
    } \
    static inline enum wasm_trap_kind num_##P##_REM_S(U a, U b, U *out) \
    { \
        if (UNLIKELY(b == 0)) \
            return WASM_TRAP_INTEGER_DIVIDE; \
        *out = UNLIKELY(b == (U)-1) ? 0 : (U)((S)a % (S)b); /* INT_MIN % -1 is 0, and a fault on x86 */ \
        return WASM_TRAP_NONE; \
    } \
    static inline enum wasm_trap_kind num_##P##_REM_U(U a, U b, U *out) \
    { \
        if (UNLIKELY(b == 0)) \
            return WASM_TRAP_INTEGER_DIVIDE; \
        *out = a % b; \
        return WASM_TRAP_NONE; \
    }
NUM_INTEGER(I32, uint32_t, int32_t, 32, __builtin_clz, __builtin_ctz, __builtin_popcount)
NUM_INTEGER(I64, uint64_t, int64_t, 64, __builtin_clzll, __builtin_ctzll, __builtin_popcountll)
#undef NUM_INTEGER

NUM_UNARY(I64_EXTEND32_S, uint64_t, uint64_t, (int64_t)(int32_t)a)
NUM_UNARY(I64_EXTEND_I32_S, uint64_t, uint32_t, (int64_t)(int32_t)a)
NUM_UNARY(I64_EXTEND_I32_U, uint64_t, uint32_t, a)
NUM_UNARY(I32_WRAP_I64, uint32_t, uint64_t, a)

/* ---- floating point -------------------------------------------------------------------------------------------- */

/* Rounding to an integer: below 2^(mantissa bits) through an integer conversion, which truncates whatever the rounding
 * mode; above, every number is an integer already.  The sign is kept for results of zero. */
#define NUM_FLOAT(P, p, T, U, I, INTEGRAL, SIGN, SQRT) \
    NUM_BINARY(P##_EQ, uint32_t, T, a == b) \
    NUM_BINARY(P##_NE, uint32_t, T, a != b) \
    NUM_BINARY(P##_LT, uint32_t, T, a < b) \
    NUM_BINARY(P##_GT, uint32_t, T, a > b) \
    NUM_BINARY(P##_LE, uint32_t, T, a <= b) \
    NUM_BINARY(P##_GE, uint32_t, T, a >= b) \
    NUM_UNARY(P##_ABS, T, T, num_##p##_of(num_##p##_bits(a) & ~SIGN)) \
    NUM_UNARY(P##_NEG, T, T, num_##p##_of(num_##p##_bits(a) ^ SIGN)) \
    NUM_BINARY(P##_COPYSIGN, T, T, num_##p##_of((num_##p##_bits(a) & ~SIGN) | (num_##p##_bits(b) & SIGN))) \
    NUM_BINARY(P##_ADD, T, T, num_##p##_canon(a + b)) \
    NUM_BINARY(P##_SUB, T, T, num_##p##_canon(a - b)) \
    NUM_BINARY(P##_MUL, T, T, num_##p##_canon(a * b)) \
    NUM_BINARY(P##_DIV, T, T, num_##p##_canon(a / b)) \
    NUM_UNARY(P##_SQRT, T, T, num_##p##_canon(SQRT(a))) \
    static inline T num_##P##_TRUNC(T a) \
    { \
        if (num_##P##_ABS(a) < INTEGRAL) \
            return num_##P##_COPYSIGN((T)(I)a, a); \
        return num_##p##_canon(a); \
    } \
    static inline T num_##P##_CEIL(T a) \
    { \
        if (num_##P##_ABS(a) < INTEGRAL) { \
            T t = (T)(I)a; \
            return num_##P##_COPYSIGN(t < a ? t + 1 : t, a); \
        } \
        return num_##p##_canon(a); \
    } \
    static inline T num_##P##_FLOOR(T a) \
    { \
        if (num_##P##_ABS(a) < INTEGRAL) { \
            T t = (T)(I)a; \
            return num_##P##_COPYSIGN(t > a ? t - 1 : t, a); \
        } \
        return num_##p##_canon(a); \
    } \
    static inline T num_##P##_NEAREST(T a) \
    { \
        T m = num_##P##_ABS(a); \
        if (m < INTEGRAL) { \
            I i = (I)m; \
            T d = m - (T)i; /* exact */ \
            i += d > (T)0.5 || (d == (T)0.5 && (i & 1)); \
            return num_##P##_COPYSIGN((T)i, a); \
        } \
        return num_##p##_canon(a); \
    } \
    static inline T num_##P##_MIN(T a, T b) \
    { \
        if (UNLIKELY(a != a || b != b)) \
            return num_##p##_of(NUM_CANON_##P); \
        if (a == b) /* the same bits, or zeros: the negative one */ \
            return num_##p##_of(num_##p##_bits(a) | num_##p##_bits(b)); \
        return a < b ? a : b; \
    } \
    static inline T num_##P##_MAX(T a, T b) \
    { \
        if (UNLIKELY(a != a || b != b)) \
            return num_##p##_of(NUM_CANON_##P); \
        if (a == b) \
            return num_##p##_of(num_##p##_bits(a) & num_##p##_bits(b)); \
        return a > b ? a : b; \
    }
NUM_FLOAT(F32, f32, float, uint32_t, int32_t, 0x1p23f, 0x80000000u, __builtin_sqrtf)
NUM_FLOAT(F64, f64, double, uint64_t, int64_t, 0x1p52, 0x8000000000000000u, __builtin_sqrt)
#undef NUM_FLOAT

NUM_UNARY(F32_DEMOTE_F64, float, double, num_f32_canon((float)a))
NUM_UNARY(F64_PROMOTE_F32, double, float, num_f64_canon((double)a))
NUM_UNARY(F32_CONVERT_I32_S, float, uint32_t, (int32_t)a)
NUM_UNARY(F32_CONVERT_I32_U, float, uint32_t, a)
NUM_UNARY(F32_CONVERT_I64_S, float, uint64_t, (int64_t)a)
NUM_UNARY(F32_CONVERT_I64_U, float, uint64_t, a)
NUM_UNARY(F64_CONVERT_I32_S, double, uint32_t, (int32_t)a)
NUM_UNARY(F64_CONVERT_I32_U, double, uint32_t, a)
NUM_UNARY(F64_CONVERT_I64_S, double, uint64_t, (int64_t)a)
NUM_UNARY(F64_CONVERT_I64_U, double, uint64_t, a)
NUM_UNARY(I32_REINTERPRET_F32, uint32_t, float, num_f32_bits(a))
NUM_UNARY(I64_REINTERPRET_F64, uint64_t, double, num_f64_bits(a))
NUM_UNARY(F32_REINTERPRET_I32, float, uint32_t, num_f32_of(a))
NUM_UNARY(F64_REINTERPRET_I64, double, uint64_t, num_f64_of(a))

/* Float to integer: `ABOVE` says that `a` is not too small, `a < LIMIT` that it is not too large; both are false for a
 * NaN.  The lower bounds are those of the format: the largest float that is too small, or the smallest that is not. */
#define NUM_TRUNC(P, FROM, SIGN, T, U, INT, ABOVE, LIMIT, LOWEST, HIGHEST) \
    static inline enum wasm_trap_kind num_##P##_TRUNC_##FROM##_##SIGN(T a, U *out) \
    { \
        if (LIKELY((ABOVE) && a < LIMIT)) { \
            *out = (U)(INT)a; \
            return WASM_TRAP_NONE; \
        } \
        return a != a ? WASM_TRAP_INVALID_CONVERSION : WASM_TRAP_INTEGER_OVERFLOW; \
    } \
    static inline U num_##P##_TRUNC_SAT_##FROM##_##SIGN(T a) \
    { \
        if (LIKELY((ABOVE) && a < LIMIT)) \
            return (U)(INT)a; \
        return a != a ? 0 : a < 0 ? LOWEST : HIGHEST; \
    }
NUM_TRUNC(I32, F32, S, float, uint32_t, int32_t, a >= -0x1p31f, 0x1p31f, 0x80000000u, 0x7fffffffu)
NUM_TRUNC(I32, F32, U, float, uint32_t, uint32_t, a > -1.0f, 0x1p32f, 0, UINT32_MAX)
NUM_TRUNC(I32, F64, S, double, uint32_t, int32_t, a > -0x1.00000002p31, 0x1p31, 0x80000000u, 0x7fffffffu)
NUM_TRUNC(I32, F64, U, double, uint32_t, uint32_t, a > -1.0, 0x1p32, 0, UINT32_MAX)
NUM_TRUNC(I64, F32, S, float, uint64_t, int64_t, a >= -0x1p63f, 0x1p63f, (uint64_t)1 << 63, (uint64_t)INT64_MAX)
NUM_TRUNC(I64, F32, U, float, uint64_t, uint64_t, a > -1.0f, 0x1p64f, 0, UINT64_MAX)
NUM_TRUNC(I64, F64, S, double, uint64_t, int64_t, a >= -0x1p63, 0x1p63, (uint64_t)1 << 63, (uint64_t)INT64_MAX)
NUM_TRUNC(I64, F64, U, double, uint64_t, uint64_t, a > -1.0, 0x1p64, 0, UINT64_MAX)
#undef NUM_TRUNC

/* ---- memory ---------------------------------------------------------------------------------------------------- */

#define NUM_LOAD(name, R, M) \
    enum { SIZE_##name = sizeof(M) }; \
    static inline R load_##name(const uint8_t *p) { M v; memcpy(&v, p, sizeof v); return (R)v; }
#define NUM_STORE(name, T, M) \
    enum { SIZE_##name = sizeof(M) }; \
    static inline void store_##name(uint8_t *p, T value) { M v = (M)value; memcpy(p, &v, sizeof v); }
NUM_LOAD(I32_LOAD, uint32_t, uint32_t)
NUM_LOAD(I64_LOAD, uint64_t, uint64_t)
NUM_LOAD(F32_LOAD, float, float)
NUM_LOAD(F64_LOAD, double, double)
NUM_LOAD(I32_LOAD8_S, uint32_t, int8_t)
NUM_LOAD(I32_LOAD8_U, uint32_t, uint8_t)
NUM_LOAD(I32_LOAD16_S, uint32_t, int16_t)
NUM_LOAD(I32_LOAD16_U, uint32_t, uint16_t)
NUM_LOAD(I64_LOAD8_S, uint64_t, int8_t)
NUM_LOAD(I64_LOAD8_U, uint64_t, uint8_t)
NUM_LOAD(I64_LOAD16_S, uint64_t, int16_t)
NUM_LOAD(I64_LOAD16_U, uint64_t, uint16_t)
NUM_LOAD(I64_LOAD32_S, uint64_t, int32_t)
NUM_LOAD(I64_LOAD32_U, uint64_t, uint32_t)
NUM_STORE(I32_STORE, uint32_t, uint32_t)
NUM_STORE(I64_STORE, uint64_t, uint64_t)
NUM_STORE(F32_STORE, float, float)
NUM_STORE(F64_STORE, double, double)
NUM_STORE(I32_STORE8, uint32_t, uint8_t)
NUM_STORE(I32_STORE16, uint32_t, uint16_t)
NUM_STORE(I64_STORE8, uint64_t, uint8_t)
NUM_STORE(I64_STORE16, uint64_t, uint16_t)
NUM_STORE(I64_STORE32, uint64_t, uint32_t)
#undef NUM_LOAD
#undef NUM_STORE
#undef NUM_UNARY
#undef NUM_BINARY
// clang-format on

#endif
