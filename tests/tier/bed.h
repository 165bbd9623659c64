/* bed.h: what the tests of src/tier share: a directory of their own, and a guest that never ends. */
#ifndef AEON_TESTS_TIER_BED_H
#define AEON_TESTS_TIER_BED_H

#include "tier/tier.h"

struct bed {
    struct world *world;
    char dir[64], cache[96], log[96];
    struct span bytes;
    struct wasm_module *module;
    struct sha256 hash;
    /* of the guest that goes on */
    struct wasm_store *store;
    struct wasm_exec *exec;
    struct tier *tier;
    struct tier_guest *guest;
    char told[1024]; /* all sentences, a line each */
    uint32_t ntold;
};

/* cmocka's setup and teardown. */
int bed_setup(void **state);
int bed_teardown(void **state);

/* Starts the guest with a compiler that does as `stub` says. */
void bed_start(struct bed *b, const char *stub, enum tier_mode mode);
void bed_stop(struct bed *b);
/* Goes on until `done` says so; by itself it would never end. */
struct tier_report bed_run(struct bed *b, bool (*done)(const struct bed *, const struct tier_report *));

/* How many requests the stub was given. */
uint32_t bed_requests(const struct bed *b);
/* Runs a command of the shell in the directory of the cache. */
void bed_shell(const struct bed *b, const char *command);

#endif
