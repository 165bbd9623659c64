/* numeric.h: how one operator becomes IR; internal to numeric.c and simd.c.
 *
 * Each operator has a rule: a function that makes the code, and what distinguishes the operator from others that this
 * function makes.  Scalars and vectors of any lanes share the functions as far as LLVM's instructions do. */
#ifndef AEON_WASM_LLVM_NUMERIC_H
#define AEON_WASM_LLVM_NUMERIC_H

#include "wasm/llvm/gen.h"

/* X(shape, kind of lane, bits of a lane, lanes); scalars have one lane. */
#define NUMERIC_SHAPES(X) \
    X(I32, i, 32, 1)      \
    X(I64, i, 64, 1)      \
    X(F32, f, 32, 1)      \
    X(F64, f, 64, 1)      \
    X(I8X16, i, 8, 16)    \
    X(I16X8, i, 16, 8)    \
    X(I32X4, i, 32, 4)    \
    X(I64X2, i, 64, 2)    \
    X(F32X4, f, 32, 4)    \
    X(F64X2, f, 64, 2)

enum shape {
#define X(name, kind, bits, lanes) SHAPE_##name,
    NUMERIC_SHAPES(X)
#undef X
};

enum {
    RULE_NAN = 1,       /* the bits of a NaN in the result are open: it is raw, or canonicalised if a vector */
    RULE_TAKES_RAW = 2, /* no operand's NaN shows its bits */
    RULE_SIGNED = 4,
    RULE_HIGH = 8, /* of the vector's halves; else the low one */
};

struct rule {
    LLVMValueRef (*make)(struct gen *g, const struct rule *r, const struct operands *in);
    uint8_t shape; /* enum shape: what operands are taken as */
    uint8_t to;    /* enum shape of the result where it is another one */
    uint8_t flags;
    uint8_t what;        /* an LLVM opcode or predicate, or a number of bits: as `make` has it */
    const char *name;    /* of an intrinsic */
    double above, below; /* floats between these convert to the integer */
};

/* The rule of a v128 operator; make is NULL for all others. */
const struct rule *simd_rule(enum wasm_op op);

/* ---- what both files use ---- */

unsigned numeric_bits(enum shape s);
unsigned numeric_lanes(enum shape s);
LLVMTypeRef numeric_type(const struct unit *u, enum shape s);
/* Of `lanes` integers of so many bits; with one lane the integer. */
LLVMTypeRef numeric_ints(const struct unit *u, unsigned bits, unsigned lanes);
/* `value` in each lane of a type of integers. */
LLVMValueRef numeric_constant(LLVMTypeRef type, uint64_t value);
/* The canonical NaN's bits in each lane of a type of integers, which are as wide as the floats. */
LLVMValueRef numeric_canon_bits(LLVMTypeRef ints);
/* The float or floats again, of which LLVM does not know where they come from. */
LLVMValueRef numeric_fence(struct gen *g, LLVMValueRef v);
LLVMValueRef numeric_canon_lanes(struct gen *g, LLVMValueRef v);
/* Code is made for x86-64 or for AArch64, which sometimes want to be asked differently. */
bool numeric_is_x86(const struct unit *u);
/* Operand i as the rule's shape. */
LLVMValueRef numeric_operand(struct gen *g, const struct rule *r, const struct operands *in, unsigned i);

/* make functions: */
LLVMValueRef numeric_binary(struct gen *g, const struct rule *r, const struct operands *in);          /* what: opcode */
LLVMValueRef numeric_intrinsic1(struct gen *g, const struct rule *r, const struct operands *in);      /* name(a) */
LLVMValueRef numeric_intrinsic2(struct gen *g, const struct rule *r, const struct operands *in);      /* name(a, b) */
LLVMValueRef numeric_intrinsic_false(struct gen *g, const struct rule *r, const struct operands *in); /* name(a, 0) */
LLVMValueRef numeric_negate(struct gen *g, const struct rule *r, const struct operands *in);
LLVMValueRef numeric_icmp(struct gen *g, const struct rule *r, const struct operands *in); /* what: predicate */
LLVMValueRef numeric_fcmp(struct gen *g, const struct rule *r, const struct operands *in);
LLVMValueRef numeric_cast(struct gen *g, const struct rule *r, const struct operands *in); /* what: opcode; to */
/* min and max; what: predicate of the better one. Of vectors the result is canonical. */
LLVMValueRef numeric_extremum(struct gen *g, const struct rule *r, const struct operands *in);

#endif
