/* cache.h: compiled code on disk.
 *
 *     CACHE/                     0700, this user's alone
 *       compiler                 what the compiler said of itself, so that it need not be asked (compiler.c)
 *       <key>/                   a module for one target, compiler, engine and set of options
 *         about                  lines "word value", for people and for `aeon cache`; its time is that of the last use
 *         <random>.o             an object (wasm/object.h): some functions
 *         <function>.bad         why a function has no code; counts for a day
 *         <random>.tmp           being written
 *
 * Whatever is found is judged by itself: objects have a checksum, name module, engine and processor, and are only
 * looked at when this user alone can have written them.  So nothing is locked and nothing is synced: files appear by
 * renaming, are never changed, and what a crash or a power cut leaves behind is dropped when it is met.  Two processes
 * that compile the same function both keep theirs. */
#ifndef AEON_TIER_CACHE_H
#define AEON_TIER_CACHE_H

#include "base/err.h"
#include "base/sha256.h"
#include "world/world.h"

struct cache_key {
    struct sha256 module;
    const char *version, *target; /* of the compiler: llvm.h */
    const char *build;            /* which program it is: size and time of change */
    bool count;                   /* struct llvm_options */
};

struct cache_entry;

/* There need be nothing yet; the first put makes it. `root` is made too, with all above it. `module_name` and `nfuncs`
 * are for `about`. ST_DENIED: it is not this user's alone; ST_IO. */
NODISCARD enum status cache_open(struct world *w, const char *root, const struct cache_key *key,
                                 const char *module_name, uint32_t nfuncs, struct cache_entry **out, struct err *e);
void cache_close(struct cache_entry *c); /* NULL is fine; mapped objects stay */

/* Hands over every object, mapped (world/os/code.h), and every function that lately could not be compiled. `object`
 * takes the mapping over and returns what it thinks: ST_OK; ST_CORRUPT, and the file is removed; or anything else.
 * Returns how many were dropped. */
struct cache_reader {
    enum status (*object)(void *ctx, struct span code);
    void (*bad)(void *ctx, uint32_t func);
    void *ctx;
};
uint32_t cache_load(struct cache_entry *c, const struct cache_reader *r);

/* Keeps an object and maps it. ST_NO_SPACE, ST_IO: it is not kept, and nothing is mapped. */
NODISCARD enum status cache_put(struct cache_entry *c, struct span object, struct span *code, struct err *e);
void cache_put_bad(struct cache_entry *c, uint32_t func, const char *why);

/* ---- all of it --------------------------------------------------------------------------------------------------- */

struct cache_line {
    const char *key, *module, *name, *target, *llvm, *aeon; /* "" where `about` does not say */
    uint32_t nfuncs;                                        /* of the module, without imports */
    uint32_t functions, objects, bad;                       /* distinct functions with code; files */
    uint64_t size_bytes, used_ns;
};
/* Least recently used first. */
NODISCARD enum status cache_list(struct world *w, const char *root, void (*each)(void *ctx, const struct cache_line *l),
                                 void *ctx, struct err *e);

/* Removes the least recently used until no more than `max_bytes` are left, and what others left half-written. */
struct cache_removed {
    uint32_t entries;
    uint64_t size_bytes, left_bytes;
};
NODISCARD enum status cache_gc(struct world *w, const char *root, uint64_t max_bytes, struct cache_removed *out,
                               struct err *e);

#endif
