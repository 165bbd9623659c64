#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"
#include "wasm/simd.h"

/* ---- calling num_X, load_X and store_X by the columns of the table ---------------------------------------------- */

#define GET_i(k) ((uint32_t)c->in[k].slot[0])
#define GET_I(k) (c->in[k].slot[0])
#define GET_f(k) num_f32_of((uint32_t)c->in[k].slot[0])
#define GET_F(k) num_f64_of(c->in[k].slot[0])
#define GET_v(k) simd_load(c->in[k].bytes)

#define PUT_i(x) (out->slot[0] = (uint32_t)(x))
#define PUT_I(x) (out->slot[0] = (x))
#define PUT_f(x) (out->slot[0] = num_f32_bits(x))
#define PUT_F(x) (out->slot[0] = num_f64_bits(x))
#define PUT_v(x) simd_store(out->bytes, (x))

typedef uint32_t type_i;
typedef uint64_t type_I;

// clang-format off
#define UNARY(N, A, R)      PUT_##R(num_##N(GET_##A(0)))
#define BINARY(N, A, B, R)  PUT_##R(num_##N(GET_##A(0), GET_##B(1)))
#define TRAPS1(N, A, R)     { type_##R r = 0; trap = num_##N(GET_##A(0), &r); PUT_##R(r); }
#define TRAPS2(N, A, R)     { type_##R r = 0; trap = num_##N(GET_##A(0), GET_##A(1), &r); PUT_##R(r); }

#define NONE_SPECIAL(N) return false
#define NONE_i_i(N) UNARY(N, i, i)
#define NONE_i_I(N) UNARY(N, i, I)
#define NONE_i_f(N) UNARY(N, i, f)
#define NONE_i_F(N) UNARY(N, i, F)
#define NONE_i_v(N) UNARY(N, i, v)
#define NONE_I_i(N) UNARY(N, I, i)
#define NONE_I_I(N) UNARY(N, I, I)
#define NONE_I_f(N) UNARY(N, I, f)
#define NONE_I_F(N) UNARY(N, I, F)
#define NONE_I_v(N) UNARY(N, I, v)
#define NONE_f_i(N) UNARY(N, f, i)
#define NONE_f_I(N) UNARY(N, f, I)
#define NONE_f_f(N) UNARY(N, f, f)
#define NONE_f_F(N) UNARY(N, f, F)
#define NONE_f_v(N) UNARY(N, f, v)
#define NONE_F_i(N) UNARY(N, F, i)
#define NONE_F_I(N) UNARY(N, F, I)
#define NONE_F_f(N) UNARY(N, F, f)
#define NONE_F_F(N) UNARY(N, F, F)
#define NONE_F_v(N) UNARY(N, F, v)
#define NONE_v_v(N) UNARY(N, v, v)
#define NONE_v_i(N) UNARY(N, v, i)
#define NONE_ii_i(N) BINARY(N, i, i, i)
#define NONE_II_i(N) BINARY(N, I, I, i)
#define NONE_II_I(N) BINARY(N, I, I, I)
#define NONE_ff_i(N) BINARY(N, f, f, i)
#define NONE_ff_f(N) BINARY(N, f, f, f)
#define NONE_FF_i(N) BINARY(N, F, F, i)
#define NONE_FF_F(N) BINARY(N, F, F, F)
#define NONE_vv_v(N) BINARY(N, v, v, v)
#define NONE_vi_v(N) BINARY(N, v, i, v)
#define NONE_vvv_v(N) PUT_v(num_##N(GET_v(0), GET_v(1), GET_v(2)))
#define TRAPS_ii_i(N) TRAPS2(N, i, i)
#define TRAPS_II_I(N) TRAPS2(N, I, I)
#define TRAPS_f_i(N) TRAPS1(N, f, i)
#define TRAPS_f_I(N) TRAPS1(N, f, I)
#define TRAPS_F_i(N) TRAPS1(N, F, i)
#define TRAPS_F_I(N) TRAPS1(N, F, I)
#define LANE_v_i(N) PUT_i(num_##N(GET_v(0), c->imm[0]))
#define LANE_v_I(N) PUT_I(num_##N(GET_v(0), c->imm[0]))
#define LANE_v_f(N) PUT_f(num_##N(GET_v(0), c->imm[0]))
#define LANE_v_F(N) PUT_F(num_##N(GET_v(0), c->imm[0]))
#define LANE_vi_v(N) PUT_v(num_##N(GET_v(0), GET_i(1), c->imm[0]))
#define LANE_vI_v(N) PUT_v(num_##N(GET_v(0), GET_I(1), c->imm[0]))
#define LANE_vf_v(N) PUT_v(num_##N(GET_v(0), GET_f(1), c->imm[0]))
#define LANE_vF_v(N) PUT_v(num_##N(GET_v(0), GET_F(1), c->imm[0]))
#define SHUFFLE_vv_v(N) PUT_v(num_##N(GET_v(0), GET_v(1), c->imm))
#define LOADS(N, R) { assert_int_equal(SIZE_##N, 1 << wasm_op_infos[op].align); PUT_##R(load_##N(memory)); }
#define LOAD_i_i(N) LOADS(N, i)
#define LOAD_i_I(N) LOADS(N, I)
#define LOAD_i_f(N) LOADS(N, f)
#define LOAD_i_F(N) LOADS(N, F)
#define LOAD_i_v(N) LOADS(N, v)
#define LOAD_LANE_iv_v(N) \
    { assert_int_equal(SIZE_##N, 1 << wasm_op_infos[op].align); PUT_v(load_##N(memory, GET_v(0), c->imm[0])); }
#define STORES(N, ...) \
    { assert_int_equal(SIZE_##N, 1 << wasm_op_infos[op].align); store_##N(memory, __VA_ARGS__); \
      memcpy(out, memory, 16); }
#define STORE_ii_(N) STORES(N, GET_i(0))
#define STORE_iI_(N) STORES(N, GET_I(0))
#define STORE_if_(N) STORES(N, GET_f(0))
#define STORE_iF_(N) STORES(N, GET_F(0))
#define STORE_iv_(N) STORES(N, GET_v(0))
#define STORE_LANE_iv_(N) STORES(N, GET_v(0), c->imm[0])

/* What is not numeric. */
#define OTHER(N, SIG) return false
#define IMM_CASE_NONE(N, SIG) NONE_##SIG(N)
#define IMM_CASE_TRAPS(N, SIG) TRAPS_##SIG(N)
#define IMM_CASE_LANE(N, SIG) LANE_##SIG(N)
#define IMM_CASE_SHUFFLE(N, SIG) SHUFFLE_##SIG(N)
#define IMM_CASE_LOAD(N, SIG) LOAD_##SIG(N)
#define IMM_CASE_STORE(N, SIG) STORE_##SIG(N)
#define IMM_CASE_LOAD_LANE(N, SIG) LOAD_LANE_##SIG(N)
#define IMM_CASE_STORE_LANE(N, SIG) STORE_LANE_##SIG(N)
#define IMM_CASE_BLOCK OTHER
#define IMM_CASE_LABEL OTHER
#define IMM_CASE_LABELS OTHER
#define IMM_CASE_FUNC OTHER
#define IMM_CASE_INDIRECT OTHER
#define IMM_CASE_SELECT_T OTHER
#define IMM_CASE_LOCAL OTHER
#define IMM_CASE_GLOBAL OTHER
#define IMM_CASE_TABLE OTHER
#define IMM_CASE_TABLE2 OTHER
#define IMM_CASE_MEMORY OTHER
#define IMM_CASE_MEMORY2 OTHER
#define IMM_CASE_DATA OTHER
#define IMM_CASE_DATA_MEMORY OTHER
#define IMM_CASE_ELEM OTHER
#define IMM_CASE_ELEM_TABLE OTHER
#define IMM_CASE_CONST_I32 OTHER
#define IMM_CASE_CONST_I64 OTHER
#define IMM_CASE_CONST_F32 OTHER
#define IMM_CASE_CONST_F64 OTHER
#define IMM_CASE_CONST_V128 OTHER
#define IMM_CASE_REFTYPE OTHER
// clang-format on

bool num_compute(enum wasm_op op, const struct ref_case *c, union ref_value *out, enum wasm_trap_kind *traps) {
    enum wasm_trap_kind trap = WASM_TRAP_NONE;
    uint8_t memory[17]; /* one off, so that nothing is aligned */
    uint8_t *unaligned = memory + 1;
    memcpy(unaligned, c->memory, 16);
    *out = (union ref_value){{0}};
    switch (op) {
#define memory unaligned
#define X(name, text, prefix, code, imm, sig, align) \
    case OP_##name: IMM_CASE_##imm(name, sig); break;
        WASM_OPCODES(X)
#undef X
#undef memory
    default: return false;
    }
    *traps = trap;
    return true;
}

bool num_is_numeric(enum wasm_op op) {
    struct ref_case c = {0};
    union ref_value out;
    enum wasm_trap_kind trap;
    return num_compute(op, &c, &out, &trap);
}

/* ---- operands -------------------------------------------------------------------------------------------------- */

static const uint64_t EDGES_8[] = {0, 1, 2, 7, 8, 0x0f, 0x10, 0x3f, 0x40, 0x7e, 0x7f, 0x80, 0x81, 0xaa, 0xfe, 0xff};
static const uint64_t EDGES_16[] = {0,      1,      2,      0x0f,   0x10,   0x7f,   0x80,   0xff,   0x100,
                                    0x7ffe, 0x7fff, 0x8000, 0x8001, 0xff00, 0xff7f, 0xff80, 0xfffe, 0xffff};
static const uint64_t EDGES_32[] = {
    /* integers */
    0, 1, 2, 3, 5, 31, 32, 33, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x00ffffff, 0x01000001, 0x55555555,
    0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xaaaaaaaa, 0xffff7fff, 0xffff8000, 0xffffff7f, 0xffffff80,
    0xfffffffe, 0xffffffff,
    /* floats: subnormals, halves, limits of integers, infinities, NaNs */
    0x007fffff, 0x00800000, 0x3effffff, 0x3f000000, 0x3f000001, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fbfffff,
    0x3fc00000, 0x40200000, 0x40490fdb, 0x4a7fffff, 0x4b000000, 0x4b000001, 0x4b800000, 0x4effffff, 0x4f000000,
    0x4f000001, 0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0x5f7fffff, 0x5f800000, 0x7f7fffff, 0x7f800000,
    0x7f800001, 0x7fa00000, 0x7fbfffff, 0x7fc00000, 0x7fc00001, 0x807fffff, 0x80800000, 0xbf000000, 0xbf7fffff,
    0xbf800000, 0xbfc00000, 0xc0200000, 0xcb000000, 0xceffffff, 0xcf000000, 0xcf000001, 0xdf000000, 0xdf000001,
    0xff7fffff, 0xff800000, 0xff800001, 0xffa00000, 0xffc00000};
static const uint64_t EDGES_64[] = {
    0, 1, 2, 3, 63, 64, 65, 127, 128, 255, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000,
    0x001fffffffffffff, 0x0020000000000001, 0x5555555555555555, 0x7fffffffffffffff, 0x8000000000000000,
    0x8000000000000001, 0xaaaaaaaaaaaaaaaa, 0xffffffff7fffffff, 0xffffffff80000000, 0xfffffffffffffffe,
    0xffffffffffffffff,
    /* u64 that round in two steps differently from one */
    0x8000008000000001, 0x0000008000000001 << 23, 0x7fffffbfffffffff, 0xfffffe8000000001, 0x8000004000000001,
    0x7ffffffffffffdff, 0x7ffffffffffffe00, 0x8000000000000400, 0x8000000000000401, 0xfffffffffffffbff,
    0xfffffffffffffc00,
    /* floats */
    0x000fffffffffffff, 0x0010000000000000, 0x3fdfffffffffffff, 0x3fe0000000000000, 0x3fe0000000000001,
    0x3fefffffffffffff, 0x3ff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000, 0x4004000000000000,
    0x400921fb54442d18, 0x41dfffffffbfffff, 0x41dfffffffc00000, 0x41dfffffffffffff, 0x41e0000000000000,
    0x41e0000000100000, 0x41efffffffdfffff, 0x41efffffffe00000, 0x41efffffffffffff, 0x41f0000000000000,
    0x432fffffffffffff, 0x4330000000000000, 0x4330000000000001, 0x43dfffffffffffff, 0x43e0000000000000,
    0x43efffffffffffff, 0x43f0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001,
    0x7ff4000000000000, 0x7ff7ffffffffffff, 0x7ff8000000000000, 0x7ff8000000000001, 0xbfe0000000000000,
    0xbfefffffffffffff, 0xbff0000000000000, 0xbff8000000000000, 0xc004000000000000, 0xc1e0000000000000,
    0xc1e00000001fffff, 0xc1e0000000200000, 0xc330000000000000, 0xc3e0000000000000, 0xc3e0000000000001,
    0xffefffffffffffff, 0xfff0000000000000, 0xfff0000000000001, 0xfff4000000000000, 0xfff8000000000000,
    /* doubles whose demotion is a tie, just beside one, subnormal, too large */
    0x3ff0000010000000, 0x3ff0000030000000, 0x3ff0000010000001, 0x3ff000000fffffff, 0x36a0000000000000,
    0x36a0000000000001, 0x3690000000000000, 0x380fffffe0000000, 0x380ffffff0000000, 0x47efffffe0000000,
    0x47efffffefffffff, 0x47effffff0000000};

struct edges {
    const uint64_t *values;
    size_t count;
};

static struct edges edges_of(unsigned bits) {
#define COUNT(a) (sizeof(a) / sizeof *(a))
    switch (bits) {
    case 8: return (struct edges){EDGES_8, COUNT(EDGES_8)};
    case 16: return (struct edges){EDGES_16, COUNT(EDGES_16)};
    case 32: return (struct edges){EDGES_32, COUNT(EDGES_32)};
    default: return (struct edges){EDGES_64, COUNT(EDGES_64)};
    }
}

/* An edge, a neighbour of one, a float with any exponent, or anything. */
static uint64_t random_lane(struct prng *p, unsigned bits) {
    struct edges e = edges_of(bits);
    uint64_t x = prng_next(p);
    switch (prng_below(p, 4)) {
    case 0: return e.values[prng_below(p, e.count)];
    case 1: return e.values[prng_below(p, e.count)] + prng_below(p, 5) - 2;
    case 2: return x >> prng_below(p, 64);
    default: return x;
    }
}

static void random_case(struct prng *p, unsigned bits, struct ref_case *c, unsigned lanes) {
    for (unsigned v = 0; v < 4; v++)
        for (unsigned i = 0; i < 128 / bits; i++) {
            uint64_t x = random_lane(p, bits);
            memcpy((v < 3 ? c->in[v].bytes : c->memory) + i * bits / 8, &x, bits / 8);
        }
    for (unsigned i = 0; i < 16; i++)
        c->imm[i] = (uint8_t)prng_below(p, lanes);
}

unsigned num_immediate_lanes(enum wasm_op op) {
    const struct wasm_op_info *info = &wasm_op_infos[op];
    if (info->imm == IMM_SHUFFLE)
        return 32;
    if (info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE)
        return 16u >> info->align;
    unsigned bits = 128, lanes = 1;
    if (info->imm == IMM_LANE)
        assert_int_equal(sscanf(info->text + 1, "%ux%u", &bits, &lanes), 2);
    return lanes;
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

void num_random_operands(enum wasm_op op, unsigned count, num_check_fn *check) {
    struct prng p = {0x5eed + (uint64_t)op};
    struct ref_case c;
    for (unsigned i = 0; i < count; i++) {
        random_case(&p, 8u << i % 4, &c, num_immediate_lanes(op));
        check(op, &c);
    }
}

void num_edges(enum wasm_op op, num_check_fn *check) {
    struct ref_case c = {0};
    const struct wasm_op_info *info = &wasm_op_infos[op];
    bool binary = strchr(info->sig, '_') - info->sig > 1;
    for (unsigned bits = 8; bits <= 64; bits *= 2) {
        char width[4];
        snprintf(width, sizeof width, "%u", bits);
        if (!strstr(info->text, width))
            continue;
        struct edges e = edges_of(bits);
        for (size_t i = 0; i < e.count; i++)
            for (size_t j = 0; j < (binary ? e.count : 1); j++) {
                for (unsigned lane = 0; lane < 128 / bits; lane++) {
                    memcpy(c.in[0].bytes + lane * bits / 8, &e.values[i], bits / 8);
                    memcpy(c.in[1].bytes + lane * bits / 8, &e.values[j], bits / 8);
                }
                c.in[2] = c.in[1];
                check(op, &c);
            }
    }
}

void num_sixteen_bits(enum wasm_op op, num_check_fn *check) {
    static const uint64_t lower[] = {0, 0x800000000000, 0x800000000001};
    struct ref_case c = {0};
    const char *text = wasm_op_infos[op].text;
    if (strncmp(text, "i8x16", 5) == 0 || strncmp(text, "i16x8", 5) == 0 || strncmp(text, "i32.ext", 7) == 0) {
        for (uint32_t x = 0; x < 0x10000; x++) {
            for (unsigned i = 0; i < 16; i++) {
                c.in[0].bytes[i] = (uint8_t)(x + i / 2 * (i & 1 ? 3 : 5));
                c.in[1].bytes[i] = (uint8_t)((x >> 8) + i);
            }
            memcpy(c.in[0].bytes, &x, 2);
            c.imm[0] = x & 1;
            check(op, &c);
        }
    } else if (strchr(wasm_op_infos[op].sig, 'f') || strchr(wasm_op_infos[op].sig, 'F') || *text == 'f' ||
               strstr(text, "trunc_sat")) {
        for (uint32_t x = 0; x < 0x10000; x++) {
            for (unsigned k = 0; k < (x % 16 ? 1 : COUNT(lower)); k++) {
                uint64_t wide = (uint64_t)x << 48 | lower[k], narrow = x << 16 | lower[k] >> 32;
                bool is_double = strstr(text, "f64") && strstr(text, "f32x4.demote") != text;
                c.in[0].slot[0] = is_double || strstr(text, "demote") ? wide : narrow | narrow << 32;
                c.in[0].slot[1] = c.in[0].slot[0] ^ 1;
                c.in[1].slot[0] = c.in[0].slot[1];
                c.in[1].slot[1] = c.in[0].slot[0];
                check(op, &c);
                if (strstr(text, "promote")) {
                    c.in[0].slot[0] = narrow | narrow << 32;
                    check(op, &c);
                }
            }
        }
    }
}
