/* stage.h: a small world for guests of these tests: a clock that counts, and implementations that answer what the tests
 * expect and check what they are given. */
#ifndef TESTS_GUEST_STAGE_H
#define TESTS_GUEST_STAGE_H

#include "guest/guest.h"
#include "tape.h"

struct stage {
    struct world world;
    uint64_t now;
    struct edge_library libraries[4];
    uint32_t calls;    /* made to implementations */
    uint32_t park_at;  /* the call with this number (from 1) answers PARK once; 0: none */
    bool trap_yield;   /* sched_yield answers TRAP */
    uint64_t seed;     /* of random_get */
    struct buf output; /* what was written to descriptor 1 */
};

void stage_init(struct stage *s);
void stage_deinit(struct stage *s);

/* Reads a module of tests/guest/modules, assembled. */
struct module_file {
    struct span bytes;
    struct wasm_module *module;
};
void module_open(struct module_file *m, const char *name);
void module_close(struct module_file *m);

/* How a guest ended. */
struct ending {
    enum guest_outcome outcome;
    uint64_t value, ticks, position;
    struct err err;
    char words[1024];
    uint64_t memory_hash; /* of memory 0, or 0 */
};

/* Runs to its end, again and again when parked. */
void play_live(struct stage *s, const char *module, struct ending *out);
void play_record(struct stage *s, const char *module, uint64_t fuel, struct tape *tape, struct ending *out);
void play_replay(const char *module, uint64_t fuel, uint64_t until, struct tape *tape, struct ending *out);

struct edge_options stage_options(struct stage *s, enum edge_mode mode, struct tape *tape);
struct guest *guest_open(const struct module_file *m, uint64_t fuel, const struct edge_options *o);
void guest_finish(struct guest *g, uint64_t until, struct ending *out);
void ending_of(struct guest *g, struct ending *out);

#endif
