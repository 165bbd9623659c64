/* elf.h: from the relocatable file that LLVM emits to an object (wasm/object.h); internal to src/wasm/llvm. */
#ifndef AEON_WASM_LLVM_ELF_H
#define AEON_WASM_LLVM_ELF_H

#include "wasm/object.h"
#include "wasm/wasm.h"

/* Lays code and constants out as one position-independent text, applies the relocations, finds the entries, and appends
 * the object.  Entries are symbols: `b<func>` a body, `e<func>` its entry for the engine, `l<func>_<offset>` a loop's;
 * each body has its entry and the other way round.
 *
 * ST_MALFORMED: not a relocatable ELF64 file of this machine; ST_UNLINKABLE: a symbol is not defined, and the text
 * names it; ST_UNSUPPORTED: something that no position-independent, unwritable text can have (variables, absolute
 * addresses); ST_LIMIT: `object` is full.  Any bytes are safe to give. */
NODISCARD enum status llvm_link(struct span elf, const struct wasm_module *module, struct buf *object, struct err *e);

#endif
