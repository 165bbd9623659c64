/* gen.h: a generator of random, always valid WebAssembly modules, for comparing engines.
 *
 * gen_module.c draws a module's types, imports, tables, globals and segments and writes the sections;
 * gen_code.c and gen_control.c write function bodies: expressions of a wanted type, built top down, so that validity
 * needs no bookkeeping but labels and locals.  Operators come from the engine's own table (opcodes.h), so that none is
 * forgotten.
 *
 * What must hold for two correct engines to agree:
 *
 * - NaN bits: scalar floats may hold any NaN; wherever their bits would show (stores, reinterpret, lanes, the sign in
 *   copysign) they are made canonical first.  Vectors are made canonical after each float operator, unless the consumer
 *   is a float operator on the same lanes.
 *
 * - Termination: two exported globals count calls and loop iterations down; the embedder fills them before each call.
 *
 * - Stack depth is bounded by the count of calls.
 *
 * - Growth: memories and tables have small maxima. */
#ifndef AEON_TESTS_DIFFERENTIAL_GEN_H
#define AEON_TESTS_DIFFERENTIAL_GEN_H

#include "base/buf.h"
#include "base/must.h"
#include "base/prng.h"
#include "wasm/opcodes.h"
#include "wasm/wasm.h"

enum {
    MAX_SIGS = 24,
    MAX_ARITY = 6,
    MAX_FUNCS = 24,
    MAX_TABLES = 4,
    MAX_GLOBALS = 24,
    MAX_SEGMENTS = 12,
    MAX_SEGMENT_ELEMS = 12,
    MAX_LOCALS = 40,
    MAX_LABELS = 40,
};

struct types {
    uint8_t t[MAX_ARITY]; /* enum wasm_type */
    unsigned n;
};

struct sig {
    struct types params, results;
};

/* Functions 0.. are the imports, in this order. */
enum host_func {
    HOST_LOG_I32,
    HOST_LOG_I64,
    HOST_LOG_F32,
    HOST_LOG_F64,
    HOST_MAKE_REF, /* i32 -> externref */
    HOST_READ_REF, /* externref -> i32 */
    HOST_FUNCS,
};

/* Globals 0.. : two that may be imports (the second mutable), then the fuel. */
enum { GLOBAL_I32, GLOBAL_I64, GLOBAL_CALLS, GLOBAL_LOOPS, FIRST_GLOBAL };

struct table {
    uint8_t elem;
    uint32_t min, max;
};

struct global {
    uint8_t type;
    bool is_mutable;
};

struct elem_segment {
    enum { ELEM_ACTIVE, ELEM_PASSIVE, ELEM_DECLARATIVE } mode;
    uint8_t type;
    bool as_exprs;
    uint32_t table, offset;
    uint32_t n;
    int32_t funcs[MAX_SEGMENT_ELEMS]; /* -1 is null */
};

struct data_segment {
    bool active;
    uint32_t offset, size;
};

struct module {
    struct sig sigs[MAX_SIGS];
    unsigned nsigs;
    unsigned func_sigs[MAX_FUNCS]; /* imports included */
    unsigned nfuncs;
    struct table tables[MAX_TABLES];
    unsigned ntables;
    struct global globals[MAX_GLOBALS];
    unsigned nglobals;
    struct elem_segment elems[MAX_SEGMENTS];
    unsigned nelems;
    struct data_segment datas[MAX_SEGMENTS];
    unsigned ndatas;
    uint32_t memory_min, memory_max;
    bool imports_globals, imports_memory;
};

struct gen {
    struct prng prng;
    struct module m;
};

/* ---- chance ---------------------------------------------------------------------------------------------------- */

static inline unsigned below(struct gen *g, unsigned n) {
    return (unsigned)prng_below(&g->prng, n);
}

static inline bool chance(struct gen *g, unsigned per_mille) {
    return below(g, 1000) < per_mille;
}

static inline bool types_equal(struct types a, struct types b) {
    return a.n == b.n && memcmp(a.t, b.t, a.n) == 0;
}

static inline bool is_ref(uint8_t type) {
    return type == WASM_FUNCREF || type == WASM_EXTERNREF;
}

uint8_t random_type(struct gen *g);

/* ---- encoding --------------------------------------------------------------------------------------------------- */

void put_s64(struct buf *b, int64_t v); /* signed LEB128 */
void put_op(struct buf *b, enum wasm_op op);
/* A constant of any type but a reference. */
void put_random_const(struct gen *g, struct buf *b, uint8_t type);
void put_i32_const(struct buf *b, int32_t v);
/* Zero or null. */
void put_zero(struct buf *b, uint8_t type);

/* An integer or float of that many bits with something special about it, or not. */
uint64_t gen_interesting(struct gen *g, unsigned bits);

/* ---- operators (gen_ops.c) -------------------------------------------------------------------------------------- */

struct op_list {
    enum wasm_op ops[OP_COUNT];
    unsigned n;
};

/* Vectors of which floats. */
enum nan_rule { NAN_NONE, NAN_F32X4, NAN_F64X2 };

/* Must run once before anything below. */
void gen_index_operators(void);
const struct op_list *gen_makers(uint8_t type); /* of one value of that type */
const struct op_list *gen_stores(void);
const struct op_list *gen_comparisons(void);  /* of scalars */
enum nan_rule gen_makes_nans(enum wasm_op o); /* whether it may leave NaNs in a vector, and of which floats */
enum nan_rule gen_takes_nans(enum wasm_op o); /* whether the bits of NaNs in its vectors do not matter */
uint8_t gen_type_of_letter(char c);           /* as in SIG of opcodes.h */

/* ---- parts ------------------------------------------------------------------------------------------------------ */

/* gen_control.c */
/* Appends the body (locals and code, without its size) of function `func`. */
void gen_body(struct gen *g, unsigned func, struct buf *out);
/* A body for the embedder, which knows no v128: calls `func` with constants and folds its results into one i64. */
void gen_wrapper(struct gen *g, unsigned func, struct buf *out);
/* A body that returns the halves of v128 global `i`. */
void gen_global_reader(unsigned i, struct buf *out);

/* gen_module.c */
void gen_module(uint64_t seed, struct buf *out);

#endif
