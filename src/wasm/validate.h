/* validate.h: the validator's parts; internal to src/wasm.
 *
 * The algorithm is the one of the specification's appendix: a stack of operand types, a stack of control frames, and a
 * stack that is polymorphic after an unconditional branch.  One validator serves all bodies of a module, so that
 * nothing is allocated per function. */
#ifndef AEON_WASM_VALIDATE_H
#define AEON_WASM_VALIDATE_H

#include "wasm/module.h"
#include "wasm/opcodes.h"
#include "wasm/reader.h"

/* A list of value types, of `slots` canonical slots. */
struct types {
    const uint8_t *t;
    uint32_t n, slots;
};

struct ctrl {
    const struct wasm_functype *type; /* of the block */
    uint32_t height;                  /* operands below the block's own */
    uint32_t v128s;                   /* v128s among them */
    uint8_t op;                       /* OP_BLOCK (also the body itself), OP_LOOP, OP_IF, OP_ELSE */
    bool unreachable;
};

/* Locals beyond the first LOCALS_FLAT are found by search among runs of one type, so that a tiny body that declares
 * very many costs what it weighs. */
enum { LOCALS_FLAT = 4096 };

struct local_run {
    uint32_t end; /* index one past its last local */
    uint8_t type;
};

/* How check_body's short cut treats a one-byte operator. */
enum quick_kind {
    QUICK_NO,
    QUICK_UNARY,
    QUICK_BINARY,
    QUICK_LOAD,
    QUICK_STORE,
    QUICK_I32,
    QUICK_I64,
    QUICK_LOCAL_GET,
    QUICK_LOCAL_SET,
    QUICK_LOCAL_TEE,
};

struct quick {
    uint8_t kind, in, out, align;
};

struct validator {
    struct reader r; /* over the body being checked */
    const struct wasm_module *m;
    const uint8_t *at; /* the operator being checked */
    enum wasm_op op;

    uint8_t *stack, *sp; /* operand types; 0 is any type, in unreachable code */
    uint8_t *floor;      /* bottom of the innermost block's operands */
    uint32_t v128s;      /* v128s on the stack: slots are operands plus this */
    uint32_t max_slots;  /* highest stack so far */

    struct ctrl *ctrls;
    uint32_t nctrls, ctrls_cap;

    uint8_t locals[LOCALS_FLAT];
    struct local_run *runs; /* NULL until a body needs it */
    uint32_t nlocals, nruns;
    uint32_t local_slots; /* and the link */

    uint32_t nfree; /* operators so far that are no tick */

    struct quick quick[256];
};

/* validate_ops.c: checks one operator whose first byte, already taken from the reader, is `byte`. */
void validate_operator(struct validator *v, uint8_t byte);

/* The parts of the operand and control stacks that the body's frame needs. */
void validate_push_ctrl(struct validator *v, enum wasm_op op, const struct wasm_functype *type);
void validate_note_height(struct validator *v);

/* validate_scan.c: reads a body, from its first operator to its end, only as to its form. */
void validate_scan(struct reader *r);
/* The immediates of one operator. */
void validate_skip_immediates(struct reader *r, enum wasm_imm imm);
/* Fails because there is no operator at `at`. */
void validate_illegal(struct reader *r, const uint8_t *at);

/* validate_const.c: reads and checks one constant expression of that type; global section and segments. */
struct constexpr_ validate_const(struct reader *r, struct wasm_module *m, uint8_t type);

static inline bool is_reftype(uint8_t t) {
    return t == WASM_FUNCREF || t == WASM_EXTERNREF;
}
static inline bool is_valtype(uint8_t t) {
    return (t >= WASM_V128 && t <= WASM_I32) || is_reftype(t);
}

/* The next operator; OP_COUNT when there is none of that code. */
static inline enum wasm_op read_operator(struct reader *r) {
    uint8_t byte = read_byte(r);
    return byte == 0xfc || byte == 0xfd ? wasm_op_of(byte, read_u32(r)) : wasm_op_of_byte(byte);
}

#endif
