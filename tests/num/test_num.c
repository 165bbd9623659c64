/* Every numeric and memory operator of the table against the slow reference: edge values against each other, all 16-bit
 * patterns where a lane or the top of a float has so many, and random operands. */
#include "cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "wasm/simd.h"

static void check(enum wasm_op op, const struct ref_case *c) {
    const char *text = wasm_op_infos[op].text;
    union ref_value got, want;
    enum wasm_trap_kind got_trap, want_trap;
    assert_true(num_compute(op, c, &got, &got_trap));
    if (!reference(text, c, &want, &want_trap))
        fail_msg("the reference does not know %s", text);
    if (want_trap != WASM_TRAP_NONE)
        want = (union ref_value){{0}}; /* nothing is written */
    if (got_trap == want_trap && memcmp(&got, &want, sizeof got) == 0)
        return;
    for (unsigned i = 0; i < 3; i++)
        fprintf(stderr, "  operand %u: %016lx %016lx\n", i, c->in[i].slot[1], c->in[i].slot[0]);
    fail_msg("%s lane %u: %016lx %016lx (trap %d), should be %016lx %016lx (trap %d)", text, c->imm[0], got.slot[1],
             got.slot[0], (int)got_trap, want.slot[1], want.slot[0], (int)want_trap);
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void for_numeric(void (*f)(enum wasm_op op)) {
    for (enum wasm_op op = 0; op < OP_COUNT; op++)
        if (num_is_numeric(op))
            f(op);
}

static unsigned n_numeric;

static void count_one(enum wasm_op op) {
    (void)op;
    n_numeric++;
}

/* WebAssembly 2.0: 159 scalar operators that compute, load or store; 236 of vectors, less v128.const. */
static void every_operator_is_here(void **state) {
    (void)state;
    for_numeric(count_one);
    assert_int_equal(n_numeric, 159 + 235);
}

static void random_operands_of(enum wasm_op op) {
    num_random_operands(op, 1000, check);
}

static void random_operands(void **state) {
    (void)state;
    for_numeric(random_operands_of);
}

static void edges_of(enum wasm_op op) {
    num_edges(op, check);
}

static void edges(void **state) {
    (void)state;
    for_numeric(edges_of);
}

static void sixteen_bits_of(enum wasm_op op) {
    num_sixteen_bits(op, check);
}

static void sixteen_bits(void **state) {
    (void)state;
    for_numeric(sixteen_bits_of);
}

/* A few results known from elsewhere, lest the reference and the table be wrong together. */
static void known_results(void **state) {
    (void)state;
    uint32_t r = 77;
    assert_int_equal(num_I32_DIV_S(0x80000000u, UINT32_MAX, &r), WASM_TRAP_INTEGER_OVERFLOW);
    assert_int_equal(num_I32_DIV_U(1, 0, &r), WASM_TRAP_INTEGER_DIVIDE);
    assert_int_equal(num_I32_TRUNC_F32_S(num_f32_of(NUM_CANON_F32), &r), WASM_TRAP_INVALID_CONVERSION);
    assert_int_equal(r, 77);
    assert_int_equal(num_I32_REM_S(0x80000000u, UINT32_MAX, &r), WASM_TRAP_NONE);
    assert_int_equal(r, 0);
    assert_int_equal(num_I32_TRUNC_F64_U(-0.9, &r), WASM_TRAP_NONE);
    assert_int_equal(num_f32_bits(num_F32_NEAREST(-0.5f)), 0x80000000);
    assert_true(num_F64_NEAREST(4.5) == 4 && num_F64_NEAREST(5.5) == 6);
    assert_int_equal(num_f32_bits(num_F32_CONVERT_I64_U(0x8000008000000001)), 0x5f000001);
    assert_int_equal(num_f32_bits(num_F32_MIN(0.0f, -0.0f)), 0x80000000);
    assert_int_equal(num_f64_bits(num_F64_DIV(0, 0)), NUM_CANON_F64);
    assert_int_equal(num_f32_bits(num_F32_NEG(num_f32_of(0x7fa00001))), 0xffa00001);
    assert_int_equal(num_I8X16_BITMASK((v128){0x8000000000000080u, 0x80u}), 0x181);
    assert_int_equal(num_I32_ROTL(0xabcd9876, 1), 0x579b30ed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_here), cmocka_unit_test(known_results),   cmocka_unit_test(edges),
        cmocka_unit_test(sixteen_bits),           cmocka_unit_test(random_operands),
    };
    return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
