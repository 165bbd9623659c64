/* object.h: compiled functions as bytes (docs/formats/object.md): made by wasm/llvm, kept in the cache, mapped and
 * entered by the engine.  Position-independent: it needs no relocation, and refers to nothing outside but through
 * x->native. */
#ifndef AEON_WASM_OBJECT_H
#define AEON_WASM_OBJECT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

enum { OBJECT_VERSION = 1 };

enum { OBJECT_ALIGN = 4096 }; /* of the text in the file: it is mapped as it lies there */

/* A place at which compiled code can be entered; offsets count from the text. Entries are ascending by func and loop.
 */
struct object_entry {
    uint32_t func;  /* index in the module */
    uint32_t loop;  /* 0: the function's entry; else the offset in the module file of the `loop` operator */
    uint32_t enter; /* native_enter_fn */
    uint32_t body;  /* compiled function (native.h); of a loop entry 0 */
};

/* A view of an object's bytes. */
struct object {
    struct sha256 module;
    uint32_t semantics, abi; /* WASM_SEMANTICS_VERSION, NATIVE_ABI_VERSION */
    uint64_t features;       /* of the processor, wasm_native_features(): a superset must be there */
    uint32_t nentries;
    const uint8_t *entries; /* read them with object_entry */
    struct span text;       /* machine code and constants; page-aligned in the file */
};

/* Checks everything but that the code is right: sizes, order, offsets, the checksum. ST_CORRUPT; ST_VERSION also when
 * it was made for other semantics or another ABI than this build's. */
NODISCARD enum status object_open(struct span bytes, struct object *out, struct err *e);
struct object_entry object_entry(const struct object *o, uint32_t i);

/* Appends an object of this build's versions; what it is given must be as object_open wants it. ST_LIMIT when `out` is
 * full. */
NODISCARD enum status object_write(const struct sha256 *module, uint64_t features, const struct object_entry *entries,
                                   uint32_t nentries, struct span text, struct buf *out, struct err *e);

#endif
