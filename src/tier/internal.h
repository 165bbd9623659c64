/* internal.h: what the files of src/tier share.
 *
 *   tier.c      guests and their modules: what is there is installed
 *   hot.c       what is worth compiling
 *   pool.c      worker processes: who compiles what, and what came of it
 *   compiler.c  which compiler there is
 *   ahead.c     whole modules
 *   cache.c     on disk */
#ifndef AEON_TIER_INTERNAL_H
#define AEON_TIER_INTERNAL_H

#include "base/must.h"
#include "tier/cache.h"
#include "tier/tier.h"
#include "wasm/llvm_protocol.h"
#include "world/os/child.h"

enum func_state {
    FUNC_NONE,
    FUNC_ASKED, /* a request has it */
    FUNC_HAVE,
    FUNC_BAD, /* tried in vain */
};

/* As the protocol has it. */
struct tier_loop {
    uint32_t func, offset;
};

struct tier_module {
    struct tier_module *next;
    struct tier *tier;
    const struct wasm_module *wasm;
    struct sha256 hash;
    char *name, *file;
    struct cache_entry *cache; /* NULL: not opened yet, or cannot be had */
    bool opened;
    uint32_t nfuncs; /* imports included */
    uint8_t *state;  /* [nfuncs] enum func_state */

    /* samples (hot.c) */
    uint32_t *samples, *caller; /* [nfuncs] UINT32_MAX: none known */
    uint32_t *seen, nseen;      /* functions with samples */
    struct tier_loop *loops;    /* that have been asked for, or are there */
    uint32_t nloops;

    struct span *objects; /* mapped code */
    uint32_t nobjects;
    struct tier_report report;
};

struct tier_guest {
    struct tier_module *module;
    struct wasm_store *store;
    struct wasm_exec *exec;
    uint32_t installed; /* of the module's objects */
};

/* Functions to be compiled together. */
struct request {
    struct request *next;
    struct tier_module *module;
    uint32_t id;
    uint32_t *funcs, nfuncs; /* ascending */
    struct tier_loop *loops; /* ascending */
    uint32_t nloops;
    uint64_t bytes; /* of their bodies */
};

enum { LANES_MAX = 16, LANE_DEPTH = 2 };

/* A worker process and what it is at. */
struct lane {
    struct child *child;
    struct tier_module *module; /* the child's */
    bool greeted;
    struct request *asked[LANE_DEPTH]; /* in order */
    uint32_t nasked;
};

struct tier {
    struct world *world;
    struct tier_options o;
    struct tier_module *modules;

    /* compiler.c */
    char *version, *target; /* NULL: not known yet */
    char build[48];         /* size and time of change of the program */
    bool dead;              /* there is none, or it is of no use */
    struct err why;

    /* pool.c */
    struct lane lanes[LANES_MAX];
    uint32_t nlanes;
    bool ahead; /* somebody waits: all processors, and no slow lane */
    struct request *pending;
    uint32_t npending, next_id, deaths, told;
};

/* ---- tier.c ------------------------------------------------------------------------------------------------------ */

void tier_tell(struct tier *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Could anything be compiled? */
bool tier_has_compiler(const struct tier *t);

/* The module, known from now on. */
struct tier_module *module_find(struct tier *t, const struct tier_source *source);
/* Once the compiler's version and target are known: opens the cache and takes what is there. */
void module_open_cache(struct tier_module *m);
/* Takes a mapped object over. ST_CORRUPT and others: it is unmapped. */
enum status module_add(struct tier_module *m, struct span code, bool cached);
bool module_has_loop(const struct tier_module *m, uint32_t func, uint32_t offset);
void module_add_loop(struct tier_module *m, uint32_t func, uint32_t offset);

/* ---- hot.c ------------------------------------------------------------------------------------------------------- */

void hot_sample(struct tier_module *m, const struct wasm_hot *hot);

/* ---- pool.c ------------------------------------------------------------------------------------------------------ */

/* Takes `funcs` (ascending; copied); false: there is no room. */
bool pool_request(struct tier_module *m, const uint32_t *funcs, uint32_t nfuncs, const struct tier_loop *loops,
                  uint32_t nloops);
/* Takes answers, puts questions. Cheap when there is nothing. */
void pool_turn(struct tier *t);
bool pool_busy(const struct tier *t);
/* Drops what is not begun yet. */
void pool_cancel(struct tier *t);
/* Ends all workers, and drops what they are at. */
void pool_end(struct tier *t);

/* ---- compiler.c -------------------------------------------------------------------------------------------------- */

/* Sets version and target if they are remembered from an earlier time. */
void compiler_recall(struct tier *t);
/* Checks what a worker said first; false: it is of no use (t->dead, t->why). */
bool compiler_greet(struct tier *t, struct span hello, const struct tier_module *m);
/* There is none. */
void compiler_lose(struct tier *t, const char *why);
enum status compiler_missing(const struct tier *t, struct err *e);

/* ---- ahead.c ----------------------------------------------------------------------------------------------------- */

NODISCARD enum status ahead_compile(struct tier_module *m, const bool *wanted, struct err *e);

#endif
