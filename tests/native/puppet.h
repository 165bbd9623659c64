/* puppet.h: code for functions of a module, to be installed by the tests of the engine's side of compiled code.
 *
 *   puppet.c  C functions that keep native.h to the letter and read the body as they go.  A subset of the language:
 *             one-slot values (i32 and references), at most three parameters a function.  Locals and operands live in
 *             variables; slots of locals that nobody reads any more are filled with rubbish.
 *   real.c    what LLVM makes */
#ifndef AEON_TESTS_PUPPET_H
#define AEON_TESTS_PUPPET_H

#include "wasm/exec.h"

struct puppet;

/* Code for a module in a store; nothing is installed yet. The last made is freed first. */
struct puppet *puppet_new(struct wasm_store *s, const struct wasm_module *m);
void puppet_free(struct puppet *p);

/* Installs all functions in a bit set, and entries at the heads of all loops when `loops`. */
void puppet_install(struct puppet *p, uint64_t funcs, bool loops);

/* How often functions, and loops from the interpreter, have been entered since puppet_new; false: it is not counted. */
bool puppet_entered(const struct puppet *p, uint64_t *functions, uint64_t *loops);

#endif
