// Constant expressions: constants, references, imported immutable globals, and the integer arithmetic of
// extended-const.

#include "wasm/validate.h"

struct constants {
    uint8_t types[WASM_MAX_CONST_DEPTH];
    uint32_t n;
};

static void push(struct reader *r, struct constants *s, const uint8_t *at, uint8_t type) {
    if (s->n == WASM_MAX_CONST_DEPTH)
        reader_fail(r, at, ST_LIMIT, "constant expression needs more than %d operands", WASM_MAX_CONST_DEPTH);
    else
        s->types[s->n++] = type;
}

static void arithmetic(struct reader *r, struct constants *s, const uint8_t *at, uint8_t type) {
    if (s->n < 2 || s->types[s->n - 1] != type || s->types[s->n - 2] != type)
        reader_fail(r, at, ST_INVALID, "type mismatch in constant expression: two operands of type %s expected",
                    wasm_type_name(type));
    else
        s->n--;
}

static void global_get(struct reader *r, struct constants *s, const struct wasm_module *m, const uint8_t *at) {
    uint32_t i = read_u32(r);
    if (r->status != ST_OK)
        return;
    if (i >= m->nimported_globals)
        reader_fail(r, at, ST_INVALID, "unknown global %u: a constant expression sees imported globals only", i);
    else if (m->globals[i].type.is_mutable)
        reader_fail(r, at, ST_INVALID, "constant expression required: global %u is mutable", i);
    else
        push(r, s, at, m->globals[i].type.type);
}

static void ref_func(struct reader *r, struct constants *s, struct wasm_module *m, const uint8_t *at) {
    uint32_t i = read_u32(r);
    if (r->status != ST_OK)
        return;
    if (i >= m->nfuncs) {
        reader_fail(r, at, ST_INVALID, "unknown function %u", i);
        return;
    }
    module_declare_ref(m, i);
    push(r, s, at, WASM_FUNCREF);
}

static void operator_(struct reader *r, struct constants *s, struct wasm_module *m, const uint8_t *at,
                      enum wasm_op op) {
    switch (op) {
    case OP_I32_CONST:
        read_signed(r, 32);
        push(r, s, at, WASM_I32);
        return;
    case OP_I64_CONST:
        read_signed(r, 64);
        push(r, s, at, WASM_I64);
        return;
    case OP_F32_CONST:
        read_bytes(r, 4);
        push(r, s, at, WASM_F32);
        return;
    case OP_F64_CONST:
        read_bytes(r, 8);
        push(r, s, at, WASM_F64);
        return;
    case OP_V128_CONST:
        read_bytes(r, 16);
        push(r, s, at, WASM_V128);
        return;
    case OP_REF_NULL: {
        uint8_t t = read_byte(r);
        if (!is_reftype(t))
            reader_fail(r, at, ST_MALFORMED, "malformed reference type 0x%02x", t);
        push(r, s, at, t);
        return;
    }
    case OP_REF_FUNC: ref_func(r, s, m, at); return;
    case OP_GLOBAL_GET: global_get(r, s, m, at); return;
    case OP_I32_ADD:
    case OP_I32_SUB:
    case OP_I32_MUL: arithmetic(r, s, at, WASM_I32); return;
    case OP_I64_ADD:
    case OP_I64_SUB:
    case OP_I64_MUL: arithmetic(r, s, at, WASM_I64); return;
    default: reader_fail(r, at, ST_INVALID, "constant expression required, found %s", wasm_op_infos[op].text);
    }
}

struct constexpr_ validate_const(struct reader *r, struct wasm_module *m, uint8_t type) {
    struct constants s;
    s.n = 0;
    const uint8_t *start = r->p;
    while (r->status == ST_OK) {
        const uint8_t *at = r->p;
        enum wasm_op op = read_operator(r);
        if (op == OP_COUNT)
            validate_illegal(r, at);
        else if (op == OP_END)
            break;
        else
            operator_(r, &s, m, at, op);
    }
    if (r->status == ST_OK && (s.n != 1 || s.types[0] != type))
        reader_fail(r, start, ST_INVALID, "type mismatch: the constant expression must give one %s",
                    wasm_type_name(type));
    return (struct constexpr_){start, (uint32_t)(r->p - start), (uint32_t)(start - r->file)};
}
