/* interp.h: the instructions' numbers, and the functions they lean on. */
#ifndef AEON_WASM_INTERP_H
#define AEON_WASM_INTERP_H

#include "wasm/opcodes.h"

enum insn {
#define OP(name, ...) I_##name,
#include "wasm/ops.inc"
#undef OP
    I_COUNT,
};

// clang-format off
#define INTERP_SLOW(X) \
    X(slow_trap) X(slow_fuel) X(slow_check) X(slow_point) X(slow_return) X(slow_done) X(slow_cross) \
    X(slow_translate) X(slow_call_import) X(slow_call_exact) X(slow_call_indirect) \
    X(slow_return_call) X(slow_return_call_indirect) X(slow_stack) \
    X(slow_memory_grow) X(slow_memory_bulk) \
    X(slow_table_bulk) X(slow_table_get) X(slow_table_set) X(slow_table_grow) \
    X(slow_native) X(slow_native_loop) X(slow_exit)
// clang-format on

#endif
