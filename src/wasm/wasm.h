/* wasm.h: the public interface of libaeon-wasm, a WebAssembly engine whose execution state is plain memory.
 *
 * A `wasm_store` owns everything made in it (instances, functions, memories, tables, globals) and frees it at once.  A
 * `wasm_module` is decoded and validated code, immutable, usable in many stores.  A `wasm_exec` is one thread of guest
 * execution: frames, operand slots and the instruction clock.  It never uses the C stack for guest frames, so it can be
 * stopped at any instruction, written out (wasm_snapshot_save) and continued elsewhere.
 *
 * The engine knows nothing of WASI.  It is deterministic: NaNs are canonical, memory.grow is decided by configured
 * limits, and the clock counts operators of the code section (block, loop, else and end are free; bulk operations add
 * one tick per 64 bytes or 8 table elements), whatever the translation.
 *
 * Threads: a store and its execs belong to one thread at a time; only wasm_interrupt may be called from another thread
 * or a signal handler.  Source of the semantics: WebAssembly Core Specification 2.0, tail-call and extended-const. */
#ifndef AEON_WASM_WASM_H
#define AEON_WASM_WASM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

struct wasm_module;
struct wasm_store;
struct wasm_instance;
struct wasm_func;
struct wasm_memory;
struct wasm_table;
struct wasm_global;
struct wasm_exec;

/* Bumped whenever the same module and inputs could behave differently (ticks, traps, NaNs, limits). */
enum { WASM_SEMANTICS_VERSION = 2 };
enum { WASM_PAGE_SIZE = 65536 };

/* ---- types and values ------------------------------------------------------------------------------------------ */

enum wasm_type { /* values are the binary format's */
                 WASM_I32 = 0x7f,
                 WASM_I64 = 0x7e,
                 WASM_F32 = 0x7d,
                 WASM_F64 = 0x7c,
                 WASM_V128 = 0x7b,
                 WASM_FUNCREF = 0x70,
                 WASM_EXTERNREF = 0x6f,
};

const char *wasm_type_name(enum wasm_type t);

/* A reference is one word; 0 is null. A funcref is a `struct wasm_func *` of the same store; an externref is any other
 * number of the embedder's. */
typedef uint64_t wasm_ref;

union wasm_value {
    uint32_t i32;
    uint64_t i64;
    float f32;
    double f64;
    uint8_t v128[16];
    wasm_ref ref;
    uint64_t slot[2];
};

struct wasm_functype {
    uint32_t nparams, nresults;
    uint32_t param_slots, result_slots; /* v128 takes two slots, everything else one */
    const uint8_t *params;              /* enum wasm_type; results follow the parameters in memory */
    const uint8_t *results;
};

bool wasm_functype_equal(const struct wasm_functype *a, const struct wasm_functype *b);

struct wasm_limits {
    uint32_t min, max; /* pages or elements */
    bool has_max;
};

struct wasm_globaltype {
    enum wasm_type type;
    bool is_mutable;
};

enum wasm_kind { WASM_KIND_FUNC, WASM_KIND_TABLE, WASM_KIND_MEMORY, WASM_KIND_GLOBAL }; /* the binary format's */

/* The type of an import or export, by kind. */
struct wasm_externtype {
    enum wasm_kind kind;
    const struct wasm_functype *func;
    struct wasm_limits limits; /* memory, table */
    enum wasm_type elem;       /* table */
    struct wasm_globaltype global;
};

/* Something that can be imported or exported; `kind` says which member. Owned by its store. */
struct wasm_extern {
    enum wasm_kind kind;
    union {
        struct wasm_func *func;
        struct wasm_table *table;
        struct wasm_memory *memory;
        struct wasm_global *global;
    };
};

/* ---- modules --------------------------------------------------------------------------------------------------- */

/* Decodes and validates a whole module. `bytes` are borrowed and must outlive the module.
 * ST_MALFORMED: not the binary format; ST_INVALID: fails validation; ST_UNSUPPORTED: a feature we do not have;
 * ST_LIMIT: beyond an implementation limit.  The text names the offset and, inside code, the function. */
NODISCARD enum status wasm_module_new(struct span bytes, struct wasm_module **out, struct err *e);
void wasm_module_free(struct wasm_module *m);

struct wasm_import {
    struct span module, name; /* UTF-8, not NUL-terminated; borrowed from the module's bytes */
    struct wasm_externtype type;
};
struct wasm_export {
    struct span name;
    uint32_t index; /* in the index space of its kind */
    struct wasm_externtype type;
};

uint32_t wasm_module_nimports(const struct wasm_module *m);
struct wasm_import wasm_module_import(const struct wasm_module *m, uint32_t i);
uint32_t wasm_module_nexports(const struct wasm_module *m);
struct wasm_export wasm_module_export(const struct wasm_module *m, uint32_t i);
struct span wasm_module_bytes(const struct wasm_module *m);
/* SHA-256 of the bytes, computed when first asked for (not by two threads at once), or told by who knows it. */
const struct sha256 *wasm_module_hash(const struct wasm_module *m);
void wasm_module_set_hash(struct wasm_module *m, const struct sha256 *hash);

/* Functions in the index space, imports included. */
uint32_t wasm_module_nfuncs(const struct wasm_module *m);
/* How long a function's body is; 0: it is imported. */
uint32_t wasm_module_func_bytes(const struct wasm_module *m, uint32_t func);

/* The name of a function from the name section, else an export or import name; false when there is none. */
bool wasm_module_func_name(const struct wasm_module *m, uint32_t func, struct span *name);

/* The `i`-th custom section called `name`; false when there is none. */
bool wasm_module_custom(const struct wasm_module *m, const char *name, uint32_t i, struct span *content);

/* ---- stores and instances -------------------------------------------------------------------------------------- */

/* How memories lie in the address space; guests cannot tell.
 *
 *   reserved  room for all that limits allow is set aside at once, so that bytes never move: for a few large guests.
 *             (16 000 of 4 GiB fit into a process.)
 *   compact   a slot somewhat larger than the memory, out of regions that many share; growing beyond it moves the
 *             bytes: for many small guests, 100 000 in a process.  Needs a pool. */
enum wasm_memory_kind { WASM_MEMORY_RESERVED, WASM_MEMORY_COMPACT };

/* Keeps what takes time to get from the system, address space and pages of memories and stacks, from one store for the
 * next.  Nothing that was in them is left.  What it keeps is bounded for reservations and stacks; slots of compact
 * memories it keeps all, with pages in them only a few.  A pool and the stores that use it belong to one thread at a
 * time, and it is freed after them. */
struct wasm_pool;

struct wasm_pool *wasm_pool_new(void);
void wasm_pool_free(struct wasm_pool *p);

struct wasm_config {
    uint64_t max_memory_bytes; /* per memory; growth beyond fails with -1, a larger minimum fails instantiation */
    uint32_t max_table_elems;  /* per table */
    uint32_t max_stack_slots;  /* depth in canonical slots (docs/design/clock.md) before call stack exhausted */
    enum wasm_memory_kind memory_kind;
    struct wasm_pool *pool; /* borrowed; NULL: everything is mapped anew */
};

/* 4 GiB, 10 million elements, 1 Mi slots, reserved, no pool. */
struct wasm_config wasm_config_default(void);

struct wasm_store *wasm_store_new(const struct wasm_config *config);
void wasm_store_free(struct wasm_store *s);

/* What a host function answers. */
enum wasm_host {
    WASM_HOST_OK,   /* results are written over the arguments, from slots[0] on */
    WASM_HOST_TRAP, /* the guest traps with kind WASM_TRAP_HOST */
    WASM_HOST_EXIT, /* execution ends (proc_exit); wasm_run returns WASM_EXITED; the frames stay as they are */
    WASM_HOST_PARK, /* wasm_run returns WASM_PARKED before the call has happened; the next wasm_run calls it again */
};

/* A host function: `slots` holds the arguments in order (i32 zero-extended, f32 in the low half, v128 in two slots) and
 * takes the results.  `x` is the calling execution; the caller's instance is wasm_exec_instance(x). */
typedef enum wasm_host (*wasm_host_fn)(void *env, struct wasm_exec *x, uint64_t *slots);

/* `type` is copied. `label` (borrowed, may be NULL) names it in back-traces. */
struct wasm_func *wasm_func_new(struct wasm_store *s, const struct wasm_functype *type, wasm_host_fn fn, void *env,
                                const char *label);
NODISCARD enum status wasm_memory_new(struct wasm_store *s, struct wasm_limits limits, struct wasm_memory **out,
                                      struct err *e);
NODISCARD enum status wasm_table_new(struct wasm_store *s, enum wasm_type elem, struct wasm_limits limits,
                                     wasm_ref init, struct wasm_table **out, struct err *e);
struct wasm_global *wasm_global_new(struct wasm_store *s, struct wasm_globaltype type, union wasm_value v);

/* Links a module: one extern per import, in order; a wrong kind or type is ST_UNLINKABLE and the text names the import.
 * Then evaluates globals and copies active segments; a segment out of bounds is ST_TRAPPED with the trap's text, and
 * what was written before it stays.  The start function is not run: call it (wasm_instance_start) like any other.
 * `m` is borrowed and must outlive the store. */
NODISCARD enum status wasm_instance_new(struct wasm_store *s, const struct wasm_module *m,
                                        const struct wasm_extern *imports, uint32_t nimports,
                                        struct wasm_instance **out, struct err *e);

/* The start function, or NULL. */
struct wasm_func *wasm_instance_start(struct wasm_instance *i);
bool wasm_instance_export(struct wasm_instance *i, const char *name, struct wasm_extern *out);
struct wasm_func *wasm_instance_func(struct wasm_instance *i, uint32_t index);
const struct wasm_module *wasm_instance_module(const struct wasm_instance *i);
/* Memory 0, or NULL. */
struct wasm_memory *wasm_instance_memory(struct wasm_instance *i);

const struct wasm_functype *wasm_func_type(const struct wasm_func *f);
struct wasm_externtype wasm_extern_type(struct wasm_extern x);

/* The largest size in bytes that growth beyond max_memory_bytes would have come to; 0: it was never tried. */
uint64_t wasm_memory_refused(const struct wasm_memory *m);
/* The bytes of a compact memory move at its own growth and at no other time: a host function that waits keeps its
 * pointers as long as nobody runs or grows this instance.  Those of a reserved memory never move.  Size in bytes. */
uint8_t *wasm_memory_data(struct wasm_memory *m);
uint64_t wasm_memory_size(const struct wasm_memory *m);
/* Grows by pages; -1 when a limit forbids it, else the old size in pages. Limits alone decide, so that a replay grows
 * where the run did: where the process has no address space left for what they allow, it aborts. */
int64_t wasm_memory_grow(struct wasm_memory *m, uint32_t delta_pages);
uint32_t wasm_table_size(const struct wasm_table *t);
bool wasm_table_get(const struct wasm_table *t, uint32_t i, wasm_ref *out);
bool wasm_table_set(struct wasm_table *t, uint32_t i, wasm_ref v);
union wasm_value wasm_global_get(const struct wasm_global *g);
void wasm_global_set(struct wasm_global *g, union wasm_value v);

/* ---- execution ------------------------------------------------------------------------------------------------- */

// clang-format off
#define WASM_TRAP_TABLE(X) \
    X(NONE,                "no trap") \
    X(UNREACHABLE,         "unreachable") \
    X(INTEGER_DIVIDE,      "integer divide by zero") \
    X(INTEGER_OVERFLOW,    "integer overflow") \
    X(INVALID_CONVERSION,  "invalid conversion to integer") \
    X(MEMORY_BOUNDS,       "out of bounds memory access") \
    X(TABLE_BOUNDS,        "out of bounds table access") \
    X(UNDEFINED_ELEMENT,   "undefined element") \
    X(UNINITIALIZED,       "uninitialized element") \
    X(INDIRECT_TYPE,       "indirect call type mismatch") \
    X(STACK_EXHAUSTED,     "call stack exhausted") \
    X(HOST,                "host function failed")
// clang-format on

enum wasm_trap_kind {
#define X(name, text) WASM_TRAP_##name,
    WASM_TRAP_TABLE(X)
#undef X
};

const char *wasm_trap_text(enum wasm_trap_kind k);

/* One call in a back-trace. */
struct wasm_frame {
    struct wasm_instance *instance; /* NULL: a host function */
    uint32_t func;                  /* index in the instance's module */
    uint32_t offset;                /* of the operator in the module file; for callers that of the call */
    const char *label;              /* host functions only; may be NULL */
};

enum wasm_outcome {
    WASM_DONE,        /* the function called by wasm_call returned; results: wasm_results */
    WASM_TRAPPED,     /* wasm_trap says why; frames stay for inspection until wasm_reset */
    WASM_EXITED,      /* a host function answered WASM_HOST_EXIT */
    WASM_PARKED,      /* a host function answered WASM_HOST_PARK */
    WASM_STOPPED,     /* the clock reached the `until` given to wasm_run, exactly */
    WASM_INTERRUPTED, /* wasm_interrupt was called */
};

enum { WASM_FOREVER = -1 };

struct wasm_exec *wasm_exec_new(struct wasm_store *s);
void wasm_exec_free(struct wasm_exec *x);

/* Starts a call; `x` must be idle (new, done or reset). `args`: one value per parameter.  Nothing runs before
 * wasm_run. */
void wasm_call(struct wasm_exec *x, struct wasm_func *f, const union wasm_value *args);

/* Runs until the call ends or the clock stands at `until` (ticks since the exec was made; (uint64_t)WASM_FOREVER for no
 * limit): the operator that would be tick number `until` has not run. Continue by calling again. */
enum wasm_outcome wasm_run(struct wasm_exec *x, uint64_t until_ticks);

/* One value per result, after WASM_DONE. */
void wasm_results(const struct wasm_exec *x, union wasm_value *out);

/* Asks a running wasm_run to return WASM_INTERRUPTED soon (well under 10 ms, also inside bulk operations). Sticky until
 * taken. Async-signal-safe; any thread. */
void wasm_interrupt(struct wasm_exec *x);

/* `fn` is called between two operators, about every quarter million ticks that pass without leaving wasm_run; it may
 * take its time and may call wasm_interrupt, and must not touch `x` otherwise. `ticks`: the clock, less some thousand.
 */
void wasm_set_slice(struct wasm_exec *x, void (*fn)(void *ctx, uint64_t ticks), void *ctx);

/* Gives up whatever is under way. */
void wasm_reset(struct wasm_exec *x);

/* Ticks executed so far; exact whenever control is outside wasm_run or inside a host function (the call operator itself
 * is counted). */
uint64_t wasm_clock(const struct wasm_exec *x);

/* Why it trapped (WASM_TRAP_NONE otherwise). */
enum wasm_trap_kind wasm_trap(const struct wasm_exec *x);
/* Lets a host function that answers WASM_HOST_TRAP say why; the text is copied. */
void wasm_trap_set_text(struct wasm_exec *x, const char *text);
const char *wasm_exec_trap_text(const struct wasm_exec *x);

/* Innermost first; returns how many frames there are (fills at most cap). */
uint32_t wasm_backtrace(const struct wasm_exec *x, struct wasm_frame *out, uint32_t cap);

/* The instance of the innermost Wasm frame (in a host function: its caller's). */
struct wasm_instance *wasm_exec_instance(const struct wasm_exec *x);

/* The embedder's own pointer. */
void wasm_exec_set_user(struct wasm_exec *x, void *user);
void *wasm_exec_user(const struct wasm_exec *x);

/* ---- compiled code ---------------------------------------------------------------------------------------------
 *
 * Functions may be given compiled code at any time between two operators (outside of wasm_run, or in the slice
 * function).  Nothing but speed changes: clock, traps, limits and snapshots are the interpreter's. */

/* What a processor must have for an object to run here, as bits of this machine; 0: there is no compiled tier here. */
uint64_t wasm_native_features(void);

/* Lets functions of `m` in this store run in the code of an object (object.h). `object` is borrowed, must outlive the
 * store, and is mapped readable and executable.  Functions that have code already keep it, but get new loop entries.
 * ST_CORRUPT, ST_VERSION, ST_MISMATCH (of another module), ST_UNSUPPORTED (of another machine): nothing has changed. */
NODISCARD enum status wasm_install(struct wasm_store *s, const struct wasm_module *m, struct span object,
                                   struct err *e);

/* Where interpreted time goes. */
struct wasm_hot {
    const struct wasm_module *module;
    uint32_t func;
    uint32_t loop;    /* the loop it was found in (offset of the `loop` operator in the file), or 0 */
    uint32_t caller;  /* the function that called it; UINT32_MAX when none or of another instance */
    uint32_t samples; /* of this function so far */
};

/* `fn` is told where an interpreted guest is, at every slice (wasm_set_slice), just before the slice function. */
void wasm_set_hot(struct wasm_exec *x, void (*fn)(void *ctx, const struct wasm_hot *hot), void *ctx);

/* Whether it was ever called in this store, interpreted. */
bool wasm_func_has_run(const struct wasm_store *s, const struct wasm_module *m, uint32_t func);
bool wasm_func_is_compiled(const struct wasm_store *s, const struct wasm_module *m, uint32_t func);

/* Compiled frames use the C stack that wasm_run is called on, down to `bytes` below where it is called (default
 * 128 KiB); deeper recursion goes on in the interpreter.  Below that there must be room for 32 KiB of the engine's and
 * for what host functions take. */
void wasm_set_native_stack(struct wasm_exec *x, size_t bytes);

/* ---- snapshots ------------------------------------------------------------------------------------------------- */

/* Writes the state of one instance and one exec in it (idle, stopped, interrupted or parked) in the canonical form of
 * docs/formats/snapshot.md: memories, tables, globals, dropped segments, frames by function and code offset with typed
 * locals and operands, clock.  The store must hold this one instance only, importing nothing but host functions.
 * ST_LIMIT when `out` is full. */
NODISCARD enum status wasm_snapshot_save(struct wasm_exec *x, struct wasm_instance *i, struct buf *out, struct err *e);

/* Brings that state into a fresh instance of the same module (made by wasm_instance_new with the same imports; checked
 * by hash) and a fresh exec, from where wasm_run continues.  Damaged or foreign bytes are ST_CORRUPT, ST_MISMATCH or
 * ST_VERSION; the instance is then unusable. */
NODISCARD enum status wasm_snapshot_load(struct wasm_exec *x, struct wasm_instance *i, struct span bytes,
                                         struct err *e);

#endif
