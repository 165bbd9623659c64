/* cases.h: every numeric and memory operator of the table as num.h and simd.h have it, and operands for it. */
#ifndef AEON_TESTS_NUM_CASES_H
#define AEON_TESTS_NUM_CASES_H

#include "reference.h"

#include "wasm/opcodes.h"

/* num_X, load_X or store_X of the case; false when `op` is not a numeric operator. */
bool num_compute(enum wasm_op op, const struct ref_case *c, union ref_value *out, enum wasm_trap_kind *traps);
bool num_is_numeric(enum wasm_op op);
/* How many lanes the lane immediate may name. */
unsigned num_immediate_lanes(enum wasm_op op);

/* What is done with each case. */
typedef void num_check_fn(enum wasm_op op, const struct ref_case *c);

/* Edges, neighbours of edges, floats with any exponent, anything; the immediate too. */
void num_random_operands(enum wasm_op op, unsigned count, num_check_fn *check);
/* Each edge against each, in all lanes, for the widths that the operator's name speaks of. */
void num_edges(enum wasm_op op, num_check_fn *check);
/* All 65536 values of 16 bits: of two bytes against each other, of a 16-bit lane, of the upper part (sign, exponent,
 * first bits of the mantissa) of floats, some with several lower parts. */
void num_sixteen_bits(enum wasm_op op, num_check_fn *check);

#endif
