#include "reference.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef __int128 wide;
typedef __float128 quad;

/* ---- names ----------------------------------------------------------------------------------------------------- */

/* "i16x8" or "i64": what the lanes are. */
struct shape {
    char kind; /* 'i', 'f' or 'v' */
    unsigned bits, lanes;
};

static bool parse_shape(const char **text, struct shape *s) {
    const char *p = *text;
    if (*p != 'i' && *p != 'f' && *p != 'v')
        return false;
    s->kind = *p++;
    if (!isdigit((unsigned char)*p))
        return false;
    char *end;
    s->bits = (unsigned)strtoul(p, &end, 10);
    s->lanes = 1;
    if (*end == 'x')
        s->lanes = (unsigned)strtoul(end + 1, &end, 10);
    *text = end;
    return true;
}

static bool begins(const char **text, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* ---- lanes ----------------------------------------------------------------------------------------------------- */

static uint64_t mask(unsigned bits) {
    return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

static uint64_t get_lane(const void *v, unsigned bits, unsigned lane) {
    uint64_t r = 0;
    memcpy(&r, (const uint8_t *)v + lane * bits / 8, bits / 8);
    return r;
}

static void put_lane(void *v, unsigned bits, unsigned lane, uint64_t x) {
    memcpy((uint8_t *)v + lane * bits / 8, &x, bits / 8);
}

static wide sign_extended(uint64_t x, unsigned bits) {
    wide w = x & mask(bits);
    return w >> (bits - 1) ? w - ((wide)1 << bits) : w;
}

static wide extended(uint64_t x, unsigned bits, bool is_signed) {
    return is_signed ? sign_extended(x, bits) : (wide)(x & mask(bits));
}

static uint64_t saturated(wide x, unsigned bits, bool is_signed) {
    wide max = ((wide)1 << (bits - is_signed)) - 1;
    wide min = is_signed ? -max - 1 : 0;
    return (uint64_t)(x < min ? min : x > max ? max : x) & mask(bits);
}

/* ---- integers -------------------------------------------------------------------------------------------------- */

static bool compare(const char *op, int order, bool *r) {
    if (begins(&op, "eq"))
        *r = order == 0;
    else if (begins(&op, "ne"))
        *r = order != 0;
    else if (begins(&op, "lt"))
        *r = order < 0;
    else if (begins(&op, "gt"))
        *r = order > 0;
    else if (begins(&op, "le"))
        *r = order <= 0;
    else if (begins(&op, "ge"))
        *r = order >= 0;
    else
        return false;
    return *op == 0 || is(op, "_s") || is(op, "_u");
}

static unsigned count(uint64_t x, unsigned bits, const char *what) {
    unsigned ones = 0, leading = bits, trailing = bits;
    for (unsigned i = 0; i < bits; i++)
        if (x >> i & 1) {
            ones++;
            leading = bits - 1 - i;
            if (trailing == bits)
                trailing = i;
        }
    return is(what, "clz") ? leading : is(what, "ctz") ? trailing : ones;
}

static bool divide(const char *op, unsigned bits, wide a, wide b, wide *r, enum wasm_trap_kind *trap) {
    bool quotient = strncmp(op, "div", 3) == 0;
    if (!quotient && strncmp(op, "rem", 3) != 0)
        return false;
    *r = 0;
    if (b == 0)
        *trap = WASM_TRAP_INTEGER_DIVIDE;
    else if (!quotient)
        *r = a % b;
    else if (a / b == (wide)1 << (bits - 1) && a < 0)
        *trap = WASM_TRAP_INTEGER_OVERFLOW;
    else
        *r = a / b;
    return true;
}

static bool integer_op(const char *op, unsigned bits, uint64_t x, uint64_t y, uint64_t *out,
                       enum wasm_trap_kind *trap) {
    bool is_signed = strlen(op) > 2 && is(op + strlen(op) - 2, "_s");
    wide a = extended(x, bits, is_signed), b = extended(y, bits, is_signed), r;
    unsigned n = (unsigned)(y % bits);
    if (is(op, "add"))
        r = a + b;
    else if (is(op, "sub"))
        r = a - b;
    else if (is(op, "mul"))
        r = (wide)((unsigned __int128)a * (unsigned __int128)b);
    else if (is(op, "neg"))
        r = -a;
    else if (is(op, "abs"))
        r = sign_extended(x, bits) < 0 ? -sign_extended(x, bits) : a;
    else if (is(op, "and"))
        r = a & b;
    else if (is(op, "or"))
        r = a | b;
    else if (is(op, "xor"))
        r = a ^ b;
    else if (is(op, "shl"))
        r = (wide)((unsigned __int128)a << n);
    else if (is(op, "shr_s") || is(op, "shr_u"))
        r = a >> n;
    else if (is(op, "rotl"))
        r = (wide)((unsigned __int128)a << n) | a >> (bits - n);
    else if (is(op, "rotr"))
        r = (wide)((unsigned __int128)a << (bits - n)) | a >> n;
    else if (is(op, "clz") || is(op, "ctz") || is(op, "popcnt"))
        r = count(x & mask(bits), bits, op);
    else if (is(op, "extend8_s"))
        r = sign_extended(x, 8);
    else if (is(op, "extend16_s"))
        r = sign_extended(x, 16);
    else if (is(op, "extend32_s"))
        r = sign_extended(x, 32);
    else if (is(op, "min_s") || is(op, "min_u"))
        r = a < b ? a : b;
    else if (is(op, "max_s") || is(op, "max_u"))
        r = a > b ? a : b;
    else if (is(op, "avgr_u"))
        r = (a + b + 1) / 2;
    else if (is(op, "add_sat_s") || is(op, "add_sat_u"))
        r = (wide)saturated(a + b, bits, is_signed);
    else if (is(op, "sub_sat_s") || is(op, "sub_sat_u"))
        r = (wide)saturated(a - b, bits, is_signed);
    else if (is(op, "q15mulr_sat_s"))
        r = (wide)saturated((a * b + 0x4000) >> 15, bits, true);
    else if (!divide(op, bits, a, b, &r, trap))
        return false;
    *out = (uint64_t)r & mask(bits);
    return true;
}

/* ---- floats ---------------------------------------------------------------------------------------------------- */

static double to_double(uint64_t x, unsigned bits) {
    if (bits == 64) {
        double d;
        memcpy(&d, &x, sizeof d);
        return d;
    }
    uint32_t y = (uint32_t)x;
    float f;
    memcpy(&f, &y, sizeof f);
    return (double)f;
}

/* Rounds once, by software; a NaN becomes the canonical one. */
static uint64_t of_quad(quad q, unsigned bits) {
    if (q != q)
        return bits == 64 ? 0x7ff8000000000000u : 0x7fc00000u;
    uint64_t r = 0;
    if (bits == 64) {
        double d = (double)q;
        memcpy(&r, &d, sizeof d);
    } else {
        float f = (float)q;
        memcpy(&r, &f, sizeof f);
    }
    return r;
}

/* The float nearest to the root, found by comparing squares of midpoints, which binary128 holds. */
static uint64_t root(double a, unsigned bits) {
    if (!(a > 0) || isinf(a))
        return of_quad(a < 0 ? (quad)NAN : (quad)a, bits);
    uint64_t r = of_quad((quad)sqrt(a), bits);
    for (;;) {
        quad here = (quad)to_double(r, bits), below = (quad)to_double(r - 1, bits),
             above = (quad)to_double(r + 1, bits);
        quad low = (here + below) / 2, high = (here + above) / 2;
        if (low * low > (quad)a)
            r--;
        else if (high * high < (quad)a)
            r++;
        else
            return r;
    }
}

static bool float_op(const char *op, unsigned bits, uint64_t x, uint64_t y, uint64_t *out) {
    double a = to_double(x, bits), b = to_double(y, bits);
    uint64_t sign = (uint64_t)1 << (bits - 1);
    bool nan = isnan(a) || isnan(b);
    if (is(op, "abs"))
        *out = x & ~sign & mask(bits);
    else if (is(op, "neg"))
        *out = (x ^ sign) & mask(bits);
    else if (is(op, "copysign"))
        *out = (x & ~sign & mask(bits)) | (y & sign);
    else if (is(op, "add"))
        *out = of_quad((quad)a + (quad)b, bits);
    else if (is(op, "sub"))
        *out = of_quad((quad)a - (quad)b, bits);
    else if (is(op, "mul"))
        *out = of_quad((quad)a * (quad)b, bits);
    else if (is(op, "div"))
        *out = of_quad((quad)a / (quad)b, bits);
    else if (is(op, "sqrt"))
        *out = root(a, bits);
    else if (is(op, "ceil"))
        *out = of_quad((quad)ceil(a), bits);
    else if (is(op, "floor"))
        *out = of_quad((quad)floor(a), bits);
    else if (is(op, "trunc"))
        *out = of_quad((quad)trunc(a), bits);
    else if (is(op, "nearest"))
        *out = of_quad((quad)nearbyint(a), bits);
    else if (is(op, "pmin"))
        *out = b < a ? y : x;
    else if (is(op, "pmax"))
        *out = a < b ? y : x;
    else if (is(op, "min"))
        *out = nan ? of_quad((quad)NAN, bits) : a < b || (a == b && signbit(a)) ? x : y;
    else if (is(op, "max"))
        *out = nan ? of_quad((quad)NAN, bits) : a > b || (a == b && !signbit(a)) ? x : y;
    else
        return false;
    return true;
}

static bool float_compare(const char *op, unsigned bits, uint64_t x, uint64_t y, bool *r) {
    double a = to_double(x, bits), b = to_double(y, bits);
    if (isnan(a) || isnan(b)) {
        bool dummy;
        *r = is(op, "ne");
        return compare(op, 0, &dummy);
    }
    return compare(op, a < b ? -1 : a > b, r);
}

/* Truncates to an integer, or says how it does not fit. */
static uint64_t truncated(uint64_t x, unsigned from, unsigned to, bool is_signed, bool saturate,
                          enum wasm_trap_kind *trap) {
    double a = to_double(x, from);
    if (isnan(a)) {
        if (!saturate)
            *trap = WASM_TRAP_INVALID_CONVERSION;
        return 0;
    }
    double t = trunc(a);
    wide w = t >= 0x1p100 ? (wide)1 << 100 : t <= -0x1p100 ? -((wide)1 << 100) : (wide)t;
    uint64_t r = saturated(w, to, is_signed);
    if (!saturate && extended(r, to, is_signed) != w) {
        *trap = WASM_TRAP_INTEGER_OVERFLOW;
        return 0;
    }
    return r;
}

/* ---- operators on lanes that change their type ------------------------------------------------------------------ */

/* The part after "i32.": conversions between scalars, whose names end in their source. */
static bool convert_scalar(struct shape to, const char *op, uint64_t x, uint64_t *out, enum wasm_trap_kind *trap) {
    bool is_signed = is(op + strlen(op) - 2, "_s");
    struct shape from;
    if (begins(&op, "trunc_sat_") && parse_shape(&op, &from))
        *out = truncated(x, from.bits, to.bits, is_signed, true, trap);
    else if (begins(&op, "trunc_") && parse_shape(&op, &from))
        *out = truncated(x, from.bits, to.bits, is_signed, false, trap);
    else if (begins(&op, "convert_") && parse_shape(&op, &from))
        *out = of_quad((quad)extended(x, from.bits, is_signed), to.bits);
    else if (begins(&op, "extend_i32_"))
        *out = (uint64_t)extended(x, 32, is_signed);
    else if (is(op, "wrap_i64"))
        *out = x & mask(32);
    else if (begins(&op, "reinterpret_"))
        *out = x & mask(to.bits);
    else if (is(op, "demote_f64") || is(op, "promote_f32"))
        *out = of_quad((quad)to_double(x, to.bits == 32 ? 64 : 32), to.bits);
    else
        return false;
    return true;
}

static bool convert_lanes(struct shape to, const char *op, const struct ref_case *c, union ref_value *out) {
    enum wasm_trap_kind none = WASM_TRAP_NONE;
    size_t n = strlen(op);
    bool is_signed = !is(op + n - 2, "_u") && !(n > 7 && is(op + n - 7, "_u_zero"));
    struct shape from;
    bool narrow = begins(&op, "narrow_");
    bool trunc_sat = !narrow && begins(&op, "trunc_sat_");
    bool low = !narrow && !trunc_sat &&
               (begins(&op, "extend_low_") || begins(&op, "convert_low_") || begins(&op, "promote_low_"));
    bool high = !narrow && !trunc_sat && !low && begins(&op, "extend_high_");
    if (!narrow && !trunc_sat && !low && !high && !begins(&op, "convert_") && !begins(&op, "demote_"))
        return false;
    if (!parse_shape(&op, &from))
        return false;
    for (unsigned i = 0; i < to.lanes; i++) {
        unsigned lane = high ? i + to.lanes : i;
        const union ref_value *v = &c->in[lane >= from.lanes];
        if (lane >= from.lanes && !narrow)
            break; /* stays zero */
        uint64_t x = get_lane(v, from.bits, lane % from.lanes), r;
        if (narrow)
            r = saturated(sign_extended(x, from.bits), to.bits, is_signed);
        else if (trunc_sat)
            r = truncated(x, from.bits, to.bits, is_signed, true, &none);
        else if (from.kind == 'f')
            r = of_quad((quad)to_double(x, from.bits), to.bits);
        else if (to.kind == 'f')
            r = of_quad((quad)extended(x, from.bits, is_signed), to.bits);
        else
            r = (uint64_t)extended(x, from.bits, is_signed);
        put_lane(out, to.bits, i, r);
    }
    return true;
}

/* extmul, extadd_pairwise and dot: sums of products of narrower lanes. */
static bool widen_lanes(struct shape to, const char *op, const struct ref_case *c, union ref_value *out) {
    bool is_signed = is(op + strlen(op) - 2, "_s");
    bool low = begins(&op, "extmul_low_"), high = begins(&op, "extmul_high_");
    bool pairs = begins(&op, "extadd_pairwise_"), dot = begins(&op, "dot_");
    struct shape from;
    if ((!low && !high && !pairs && !dot) || !parse_shape(&op, &from))
        return false;
    for (unsigned i = 0; i < to.lanes; i++) {
        wide r = 0;
        unsigned first = low ? i : high ? to.lanes + i : 2 * i;
        for (unsigned j = first; j <= first + (pairs || dot); j++) {
            wide a = extended(get_lane(&c->in[0], from.bits, j), from.bits, is_signed);
            wide b = extended(get_lane(&c->in[1], from.bits, j), from.bits, is_signed);
            r += pairs ? a : a * b;
        }
        put_lane(out, to.bits, i, (uint64_t)r);
    }
    return true;
}

static bool move_lanes(struct shape s, const char *op, const struct ref_case *c, union ref_value *out) {
    unsigned lane = c->imm[0];
    if (is(op, "splat")) {
        for (unsigned i = 0; i < s.lanes; i++)
            put_lane(out, s.bits, i, c->in[0].slot[0]);
    } else if (begins(&op, "extract_lane")) {
        uint64_t x = get_lane(&c->in[0], s.bits, lane);
        out->slot[0] = is(op, "_s") ? (uint32_t)sign_extended(x, s.bits) : x;
    } else if (is(op, "replace_lane")) {
        *out = c->in[0];
        put_lane(out, s.bits, lane, c->in[1].slot[0]);
    } else if (is(op, "shuffle")) {
        for (unsigned i = 0; i < 16; i++)
            out->bytes[i] = c->in[c->imm[i] / 16].bytes[c->imm[i] % 16];
    } else if (is(op, "swizzle")) {
        for (unsigned i = 0; i < 16; i++)
            out->bytes[i] = c->in[1].bytes[i] < 16 ? c->in[0].bytes[c->in[1].bytes[i]] : 0;
    } else if (is(op, "all_true")) {
        out->slot[0] = 1;
        for (unsigned i = 0; i < s.lanes; i++)
            if (get_lane(&c->in[0], s.bits, i) == 0)
                out->slot[0] = 0;
    } else if (is(op, "bitmask")) {
        for (unsigned i = 0; i < s.lanes; i++)
            out->slot[0] |= get_lane(&c->in[0], s.bits, i) >> (s.bits - 1) << i;
    } else {
        return false;
    }
    return true;
}

static bool whole_vector(const char *op, const struct ref_case *c, union ref_value *out) {
    for (unsigned i = 0; i < 16; i++) {
        uint8_t a = c->in[0].bytes[i], b = c->in[1].bytes[i], m = c->in[2].bytes[i];
        if (is(op, "not"))
            out->bytes[i] = (uint8_t)~a;
        else if (is(op, "and"))
            out->bytes[i] = a & b;
        else if (is(op, "andnot"))
            out->bytes[i] = a & (uint8_t)~b;
        else if (is(op, "or"))
            out->bytes[i] = a | b;
        else if (is(op, "xor"))
            out->bytes[i] = a ^ b;
        else if (is(op, "bitselect"))
            for (unsigned bit = 0; bit < 8; bit++)
                out->bytes[i] |= (m >> bit & 1 ? a : b) & 1 << bit;
        else if (is(op, "any_true"))
            out->bytes[0] |= a != 0;
        else
            return false;
    }
    return true;
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static bool memory_op(struct shape s, const char *op, const struct ref_case *c, union ref_value *out) {
    bool load = begins(&op, "load");
    if (!load && !begins(&op, "store"))
        return false;
    unsigned width = s.bits;
    if (isdigit((unsigned char)*op))
        width = (unsigned)strtoul(op, (char **)&op, 10);
    if (!load) {
        memcpy(out->bytes, c->memory, 16);
        if (is(op, "_lane"))
            put_lane(out, width, 0, get_lane(&c->in[0], width, c->imm[0]));
        else
            memcpy(out->bytes, c->in[0].bytes, width / 8);
        return true;
    }
    if (begins(&op, "x")) {
        unsigned lanes = (unsigned)strtoul(op, (char **)&op, 10);
        for (unsigned i = 0; i < lanes; i++)
            put_lane(out, 2 * width, i, (uint64_t)extended(get_lane(c->memory, width, i), width, is(op, "_s")));
        return true;
    }
    if (is(op, "_lane")) {
        *out = c->in[0];
        put_lane(out, width, c->imm[0], get_lane(c->memory, width, 0));
    } else if (is(op, "_splat")) {
        for (unsigned i = 0; i < 128 / width; i++)
            put_lane(out, width, i, get_lane(c->memory, width, 0));
    } else if (is(op, "_zero") || width == s.bits) {
        memcpy(out->bytes, c->memory, width / 8);
    } else {
        out->slot[0] = (uint64_t)extended(get_lane(c->memory, width, 0), width, is(op, "_s")) & mask(s.bits);
    }
    return true;
}

/* ---- all together ---------------------------------------------------------------------------------------------- */

static bool lanes_op(struct shape s, const char *op, const struct ref_case *c, union ref_value *out,
                     enum wasm_trap_kind *trap) {
    bool shift = s.lanes > 1 && strncmp(op, "sh", 2) == 0;
    for (unsigned i = 0; i < s.lanes; i++) {
        uint64_t x = get_lane(&c->in[0], s.bits, i), y = get_lane(&c->in[1], s.bits, i), r;
        if (shift)
            y = c->in[1].slot[0] & mask(32);
        bool truth, is_signed = is(op + strlen(op) - 2, "_s");
        wide a = extended(x, s.bits, is_signed), b = extended(y, s.bits, is_signed);
        if (is(op, "eqz")) {
            r = x == 0;
        } else if (s.kind == 'i' ? compare(op, a < b ? -1 : a > b, &truth) : float_compare(op, s.bits, x, y, &truth)) {
            r = s.lanes == 1 ? truth : truth ? UINT64_MAX : 0;
            if (s.lanes == 1) { /* an i32, also of 64-bit operands */
                out->slot[0] = r;
                return true;
            }
        } else if (s.kind == 'i' ? !integer_op(op, s.bits, x, y, &r, trap) : !float_op(op, s.bits, x, y, &r)) {
            return false;
        }
        put_lane(out, s.bits, i, r);
    }
    return true;
}

bool reference(const char *text, const struct ref_case *c, union ref_value *out, enum wasm_trap_kind *trap) {
    struct shape s;
    *out = (union ref_value){{0}};
    *trap = WASM_TRAP_NONE;
    if (!parse_shape(&text, &s) || !begins(&text, "."))
        return false;
    if (memory_op(s, text, c, out))
        return true;
    if (s.kind == 'v')
        return whole_vector(text, c, out);
    if (s.lanes > 1 && (move_lanes(s, text, c, out) || convert_lanes(s, text, c, out) || widen_lanes(s, text, c, out)))
        return true;
    if (s.lanes == 1 && convert_scalar(s, text, c->in[0].slot[0], &out->slot[0], trap))
        return true;
    return lanes_op(s, text, c, out, trap);
}
