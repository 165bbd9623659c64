/* reference.h: the numeric operators again, slowly, by their names in the text format: independent of src/wasm/num.h.
 *
 * Integers are computed in 128 bits and wrapped, floats in binary128 and rounded once (113 bits are enough for any one
 * operation on 53), vectors lane by lane through the scalars. */
#ifndef AEON_TESTS_NUM_REFERENCE_H
#define AEON_TESTS_NUM_REFERENCE_H

#include "wasm/wasm.h"

/* Any operand or result, zero-extended. */
union ref_value {
    uint64_t slot[2];
    uint8_t bytes[16];
};

struct ref_case {
    union ref_value in[3]; /* operands but addresses */
    uint8_t imm[16];       /* lane, or lanes of shuffle */
    uint8_t memory[16];    /* what a load reads and a store writes */
};

/* Computes operator `text`; false when the reference does not know it. A store's result is `out`: the memory after. */
bool reference(const char *text, const struct ref_case *c, union ref_value *out, enum wasm_trap_kind *trap);

#endif
