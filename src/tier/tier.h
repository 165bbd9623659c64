/* tier.h: the compiled tier as the runtime sees it: what is hot is compiled by worker processes, kept in a cache on
 * disk, and given to the guests; the guests notice nothing but that they are faster.
 *
 * docs/design/tier.md says how it decides.  One `struct tier` serves all guests of one thread.  Nothing here ever
 * waits, except tier_compile, tier_describe, tier_attach with TIER_COMPILED, and tier_free for its workers' ends. */
#ifndef AEON_TIER_TIER_H
#define AEON_TIER_TIER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "wasm/wasm.h"
#include "world/world.h"

/* X(name, word) */
#define TIER_MODES(X)   \
    X(AUTO, "auto")     \
    X(INTERP, "interp") \
    X(COMPILED, "compiled")

enum tier_mode {
#define X(name, word) TIER_##name,
    TIER_MODES(X)
#undef X
        TIER_NMODES
};
const char *tier_mode_name(enum tier_mode m);

struct tier_progress {
    uint32_t functions, total;
    uint64_t begun_ns; /* monotonic */
};

struct tier_options {
    enum tier_mode mode;
    const char *program; /* the compiler, aeon-llvm; NULL: there is none */
    const char *cache;   /* directory (cache.h), made when needed; NULL: nothing is kept */
    uint32_t workers;    /* of tier_compile and TIER_COMPILED at most; 0: as many as there are processors */
    /* All may be NULL. */
    void (*tell)(void *ctx, const char *sentence);              /* something that a user should know */
    void (*progress)(void *ctx, const struct tier_progress *p); /* several times a second while waiting */
    bool (*stopping)(void *ctx);                                /* waiting is to end */
    void *ctx;
};

struct tier;

/* Everything is copied but `w` and `ctx`. `w` is the machine's world (world/os). Nothing happens yet. */
struct tier *tier_new(struct world *w, const struct tier_options *o);
/* After the stores of all guests, and before their modules. NULL is fine. */
void tier_free(struct tier *t);
/* The same, but it goes on for others. */
void tier_clear(struct tier *t);

/* ---- guests ------------------------------------------------------------------------------------------------------ */

/* A module, borrowed until tier_clear; `name` and `file` (where its bytes lie on disk; NULL: only in memory) are
 * copied. */
struct tier_source {
    const struct wasm_module *module;
    struct sha256 hash;
    const char *name, *file;
};

struct tier_guest;

/* Gives a guest that has not begun what there is in the cache, and looks at what becomes hot (wasm_set_hot). `store`
 * and `x` are the guest's and must live until tier_detach. With TIER_COMPILED every function is compiled first: then,
 * and only then, it can fail: ST_UNSUPPORTED says why there is no compiler and what to do; functions that the compiler
 * cannot take stay interpreted. */
NODISCARD enum status tier_attach(struct tier *t, const struct tier_source *source, struct wasm_store *store,
                                  struct wasm_exec *x, struct tier_guest **out, struct err *e);
void tier_detach(struct tier_guest *g); /* NULL is fine */

/* ---- whole modules ----------------------------------------------------------------------------------------------- */

/* What has become of a module. */
struct tier_report {
    enum tier_mode mode;
    char version[64], target[256]; /* of the compiler; "" when none was needed or there is none */
    uint32_t functions;            /* of the module, without imports */
    uint32_t cached, compiled;     /* with code: from the cache; made now */
    uint32_t loops;                /* entries into loops */
    uint32_t failed;               /* tried in vain, now or lately */
    uint32_t deaths;               /* of workers */
    uint32_t dropped;              /* objects of the cache that were damaged */
    uint64_t cpu_us;               /* that workers spent */
    uint64_t peak_bytes;           /* the largest worker */
    uint64_t code_bytes;           /* objects, the cache's included */
};

/* Compiles what the cache does not have; of functions only those that `wanted` says ([functions of the module, imports
 * included]; NULL: all). ST_UNSUPPORTED: there is no compiler. */
NODISCARD enum status tier_compile(struct tier *t, const struct tier_source *source, const bool *wanted,
                                   struct tier_report *out, struct err *e);

/* Of the module that `g` runs. */
void tier_report(const struct tier_guest *g, struct tier_report *out);

/* As lines "word value"; and back: false when it is no such text. */
void tier_report_print(const struct tier_report *r, struct buf *out);
bool tier_report_parse(const char *text, struct tier_report *out);

/* ---- the compiler ------------------------------------------------------------------------------------------------ */

/* Version and target, asked of the program where they are not remembered. ST_UNSUPPORTED: why there is none. `*out` has
 * these two only. */
NODISCARD enum status tier_describe(struct tier *t, struct tier_report *out, struct err *e);

#endif
