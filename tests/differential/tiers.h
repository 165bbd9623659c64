/* tiers.h: one module on both tiers, beside each other, and all that can be observed of the two compared.
 *
 *   tiers.c        the program: compiles, draws what is done to an execution, runs
 *   tiers_world.c  a module in a store of its own, with host functions that see and meddle
 *   tiers_state.c  comparing two worlds */
#ifndef AEON_TESTS_DIFFERENTIAL_TIERS_H
#define AEON_TESTS_DIFFERENTIAL_TIERS_H

#include "base/buf.h"
#include "base/must.h"
#include "base/prng.h"
#include "wasm/engine.h"

enum { MOST_VALUES = 1000, MOST_FRAMES = 1 << 16, INSTANCES = 2 };

struct world;

/* What host functions do besides looking; calls are numbered from 1 within one execution, 0 is never. */
struct deeds {
    uint32_t park, trap, exit, interrupt;
    bool meddle;   /* write to what is exported, now and then */
    uint64_t seed; /* of that, and of results */
};

struct host_import {
    struct world *world;
    const struct wasm_functype *type;
    uint32_t import;
};

/* What is drawn once for a module. */
struct setting {
    struct wasm_config config;
    size_t native_bytes; /* 0: default */
    bool two;            /* instances, which call one another through tables */
    uint64_t seed;
};

struct world {
    const struct wasm_module *module;
    struct wasm_store *store;
    struct wasm_instance *instances[INSTANCES]; /* the second may be NULL */
    struct wasm_exec *exec;
    struct host_import *hosts; /* [imports] */
    struct deeds deeds;
    uint32_t calls, interrupts; /* of host functions and by them, in this execution */
    uint64_t seen;              /* a hash of what host functions saw */
    void (*slice)(struct world *w);
};

/* Makes store, instances and execution; what it says about a module that cannot be instantiated is in `e`. */
enum status world_start(struct world *w, const struct setting *s, struct err *e);
void world_stop(struct world *w);

/* A number for a reference: the same in worlds that do the same. */
uint64_t world_ref(const struct world *w, uint8_t type, wasm_ref v);

/* Bits of any type, often with something special about them. */
union wasm_value world_value(const struct world *w, uint8_t type, struct prng *r);

static inline uint64_t world_mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}
uint64_t world_mix_bytes(uint64_t h, const uint8_t *p, size_t n);

/* tiers_state.c: false after having said what differs of the two worlds, both out of wasm_run. So many innermost
 * frames are looked at. */
bool same_state(const struct world *a, const struct world *b, uint32_t frames);
/* The call has returned. */
bool same_results(const struct world *a, const struct world *b);
/* Also false when only one of them can be saved. */
bool same_snapshots(const struct world *a, const struct world *b);

#endif
