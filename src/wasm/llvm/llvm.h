/* llvm.h: compiles functions of a module with LLVM into an object (wasm/object.h).
 *
 * The only user of LLVM, in a program of its own (worker.c: aeon-llvm), which the runtime starts as a worker process;
 * the runtime itself never links this. Tests do. */
#ifndef AEON_WASM_LLVM_LLVM_H
#define AEON_WASM_LLVM_LLVM_H

#include "base/buf.h"
#include "base/err.h"
#include "wasm/wasm.h"

struct llvm_compiler; /* a context and a target machine; one thread at a time */

/* Part of what a cache entry's key is made of. */
struct llvm_options {
    bool count;     /* count fuel and look at it: always, but for measuring what that costs (then nothing can be
                       stopped or given a clock) */
    uint8_t effort; /* 1: warm code, quickly; 2: hot code, -O2 */
};

NODISCARD enum status llvm_compiler_new(struct llvm_compiler **out, struct err *e);
void llvm_compiler_free(struct llvm_compiler *c);

/* "22.1.8", and what code is made for: "x86_64 znver5 +avx2...". Owned by c. */
const char *llvm_version(const struct llvm_compiler *c);
const char *llvm_target(const struct llvm_compiler *c);

struct llvm_loop {
    uint32_t func, offset; /* of the `loop` operator in the module file */
};

struct llvm_request {
    const struct wasm_module *module;
    const uint32_t *funcs; /* ascending, none imported; they are compiled together and call one another directly */
    uint32_t nfuncs;
    const struct llvm_loop *loops; /* where entries are wanted; their functions are among funcs */
    uint32_t nloops;
    struct llvm_options options;
};

/* Appends an object. Functions that are beyond a limit of the compiler are left out (they stay interpreted); when none
 * is left: ST_LIMIT. */
NODISCARD enum status llvm_compile(struct llvm_compiler *c, const struct llvm_request *r, struct buf *object,
                                   struct err *e);

#endif
