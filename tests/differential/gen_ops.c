/* gen_ops.c: encoding, and operators by what they make. */
#include "gen.h"

/* ---- encoding --------------------------------------------------------------------------------------------------- */

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

uint64_t gen_interesting(struct gen *g, unsigned bits) {
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
    case WASM_I32: put_i32_const(b, (int32_t)gen_interesting(g, 32)); return;
    case WASM_I64:
        put_op(b, OP_I64_CONST);
        put_s64(b, (int64_t)gen_interesting(g, 64));
        return;
    case WASM_F32:
        put_op(b, OP_F32_CONST);
        buf_u32(b, (uint32_t)gen_interesting(g, 32));
        return;
    case WASM_F64:
        put_op(b, OP_F64_CONST);
        buf_u64(b, gen_interesting(g, 64));
        return;
    default:
        must(type == WASM_V128);
        put_op(b, OP_V128_CONST);
        bool words = chance(g, 500);
        for (unsigned i = 0; i < 2; i++)
            buf_u64(b,
                    words ? gen_interesting(g, 32) << 32 | (uint32_t)gen_interesting(g, 32) : gen_interesting(g, 64));
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

/* ---- operators by what they make -------------------------------------------------------------------------------- */

static struct op_list makers[256], stores, comparisons; /* makers by enum wasm_type */
static uint8_t makes_nans[OP_COUNT];                    /* enum nan_rule: in vectors */
static uint8_t takes_nans[OP_COUNT]; /* enum nan_rule: whose bits it does not look at, in operands that are vectors */

uint8_t gen_type_of_letter(char c) {
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

/* Scalars compared, which engines like to join with the branch that follows. */
static bool is_comparison(const struct wasm_op_info *info) {
    static const char *const names[] = {"eqz",  "eq",   "ne",   "lt",   "gt",   "le",   "ge",   "lt_s",
                                        "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u", NULL};
    const char *dot = strchr(info->text, '.');
    return info->prefix == 0 && dot && one_of(dot + 1, names);
}

static void classify(enum wasm_op o, const char *text) {
    static const char *const arithmetic[] = {"add", "sub",  "mul",   "div",   "sqrt",    "min",
                                             "max", "ceil", "floor", "trunc", "nearest", NULL};
    static const char *const compares[] = {"eq", "ne", "lt", "gt", "le", "ge", NULL};
    const char *dot = strchr(text, '.');
    if (strcmp(text, "f32x4.demote_f64x2_zero") == 0 || strcmp(text, "f64x2.promote_low_f32x4") == 0) {
        makes_nans[o] = (uint8_t)vector_of(text);
        takes_nans[o] = *text == 'f' && text[1] == '3' ? NAN_F64X2 : NAN_F32X4;
    } else if (strstr(text, "trunc_sat_f32x4") || strstr(text, "trunc_sat_f64x2")) {
        takes_nans[o] = strstr(text, "f32x4") ? NAN_F32X4 : NAN_F64X2;
    } else if (dot && vector_of(text) && one_of(dot + 1, arithmetic)) {
        makes_nans[o] = takes_nans[o] = (uint8_t)vector_of(text);
    } else if (dot && vector_of(text) && one_of(dot + 1, compares)) {
        takes_nans[o] = (uint8_t)vector_of(text);
    }
}

void gen_index_operators(void) {
    for (enum wasm_op o = 0; o < OP_COUNT; o++) {
        const struct wasm_op_info *info = &wasm_op_infos[o];
        if (strcmp(info->sig, "SPECIAL") == 0)
            continue;
        classify(o, info->text);
        if (is_comparison(info))
            comparisons.ops[comparisons.n++] = o;
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
            uint8_t type = gen_type_of_letter(*result);
            makers[type].ops[makers[type].n++] = o;
            break;
        }
        default: break;
        }
    }
}

const struct op_list *gen_makers(uint8_t type) {
    return &makers[type];
}

const struct op_list *gen_stores(void) {
    return &stores;
}

const struct op_list *gen_comparisons(void) {
    return &comparisons;
}

enum nan_rule gen_makes_nans(enum wasm_op o) {
    return makes_nans[o];
}

enum nan_rule gen_takes_nans(enum wasm_op o) {
    return takes_nans[o];
}
