/* puppet.h: "compiled functions" for tests of the engine's side: native.h kept to the letter, by C functions that read
 * the body as they go.
 *
 * A subset of the language: one-slot values (i32 and references), at most three parameters a function. Locals and
 * operands live in variables; slots of locals that nobody reads any more are filled with rubbish. */
#ifndef AEON_TESTS_PUPPET_H
#define AEON_TESTS_PUPPET_H

#include "wasm/exec.h"

struct puppet;

/* Makes bodies for all functions of a module in a store; nothing is installed yet. */
struct puppet *puppet_new(struct wasm_store *s, const struct wasm_module *m);
void puppet_free(struct puppet *p);

/* Installs function `func`; its loops, with entries. */
void puppet_install(struct puppet *p, uint32_t func);
void puppet_install_loops(struct puppet *p, uint32_t func);

/* How often functions, and loops from the interpreter, have been entered since puppet_new. */
uint64_t puppet_entered(const struct puppet *p);
uint64_t puppet_loops_entered(const struct puppet *p);

#endif
