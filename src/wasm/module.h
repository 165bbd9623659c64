/* module.h: a decoded module; internal to src/wasm.
 *
 * Filled by decode.c (sections) and checked by validate.c (everything the specification asks, function bodies
 * included). All arrays lie in the module's arena; names, bodies and data are spans into the module's bytes.  Index
 * spaces hold the imports first, as in the specification. */
#ifndef AEON_WASM_MODULE_H
#define AEON_WASM_MODULE_H

#include "base/arena.h"
#include "base/sha256.h"
#include "wasm/wasm.h"

/* Implementation limits (others follow from 32-bit indices and from the size of the file). */
enum {
    WASM_MAX_PARAMS = 1000,
    WASM_MAX_RESULTS = 1000,
    WASM_MAX_LOCALS = 50000,
    WASM_MAX_FRAME_SLOTS = 65000, /* locals, link and operands of one function, in slots */
    WASM_MAX_BODY_BYTES = 64 << 20,
    WASM_MAX_BLOCK_DEPTH = 1 << 20,
    WASM_MAX_CONST_DEPTH = 1000, /* operands of a constant expression */
};

/* A constant expression: the bytes from its first operator up to and including `end`, validated. */
struct constexpr_ {
    const uint8_t *code;
    uint32_t size;
    uint32_t offset; /* in the file */
};

struct module_func {
    uint32_t type;              /* index into types */
    uint32_t offset;            /* file offset of the first operator; 0 for imports */
    const uint8_t *code;        /* first operator; NULL for imports */
    const uint8_t *end;         /* one past the final `end` */
    const uint8_t *locals_code; /* the body's local declarations (vector of counts and types), before `code` */
    uint32_t nlocals;           /* declared locals, without parameters */
    /* By validate.c: */
    uint32_t frame_slots; /* canonical frame: parameters, link, locals and the highest operand stack, where unreachable
                             code counts as it is validated */
    uint32_t nops;        /* operators that are ticks: no path without a jump backwards or a call takes more */
};

struct module_table {
    enum wasm_type elem;
    struct wasm_limits limits;
};

struct module_global {
    struct wasm_globaltype type;
    struct constexpr_ init; /* code NULL for imports */
};

enum segment_mode { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARATIVE };

struct module_elem {
    enum segment_mode mode;
    enum wasm_type type;
    uint32_t table;
    struct constexpr_ offset; /* active */
    uint32_t count;
    /* one of: */
    const uint32_t *funcs;          /* function indices */
    const struct constexpr_ *exprs; /* when funcs is NULL */
};

struct module_data {
    enum segment_mode mode;
    uint32_t memory;
    struct constexpr_ offset; /* active */
    struct span bytes;
};

struct module_import {
    struct span module, name;
    enum wasm_kind kind;
    uint32_t index; /* in the index space of its kind */
};

struct module_export {
    struct span name;
    enum wasm_kind kind;
    uint32_t index;
};

struct module_custom {
    struct span name, content;
};

struct wasm_module {
    struct arena arena;
    struct span bytes;
    struct sha256 hash;
    bool hashed;
    uint32_t code_offset; /* of the code section's payload, for DWARF */

    struct wasm_functype *types;
    uint32_t ntypes;
    struct module_import *imports;
    uint32_t nimports;
    struct module_func *funcs;
    uint32_t nfuncs, nimported_funcs;
    struct module_table *tables;
    uint32_t ntables, nimported_tables;
    struct wasm_limits *memories;
    uint32_t nmemories, nimported_memories;
    struct module_global *globals;
    uint32_t nglobals, nimported_globals;
    struct module_export *exports;
    uint32_t nexports;
    bool has_start;
    uint32_t start;
    struct module_elem *elems;
    uint32_t nelems;
    struct module_data *datas;
    uint32_t ndatas;
    bool has_data_count;
    uint32_t data_count;
    struct module_custom *customs;
    uint32_t ncustoms;
    uint8_t *declared_refs; /* bitmap over funcs: may be named by ref.func in a body */

    /* Indexed at first use, by any thread (names.c); heap. */
    struct span *func_names; /* [nfuncs], size 0 when unknown */
};

/* decode.c: sections into `m` (zeroed but for arena and bytes); everything but function bodies is checked. */
enum status module_decode(struct wasm_module *m, struct err *e);

/* validate.c: function bodies; fills frame_slots and nops. */
enum status module_validate(struct wasm_module *m, struct err *e);

/* module.c: the functions that ref.func may name in a body: those named outside of bodies. */
void module_declare_ref(struct wasm_module *m, uint32_t func);
bool module_ref_declared(const struct wasm_module *m, uint32_t func);

/* module.c: the function (not imported) whose body holds the operator at `offset` of the file. */
uint32_t module_func_at(const struct wasm_module *m, uint32_t offset);

/* names.c: a guest's name as one line for a message: at most NAME_TEXT - 1 bytes, what is no letter of the terminal's
 * replaced. Returns `out`. */
enum { NAME_TEXT = 104 };
const char *module_name_text(char out[static NAME_TEXT], struct span name);

#endif
