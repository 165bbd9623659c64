/* bench.h: a workbench for the store's tests: a store in a directory of its own, runs made of random records, and what
 * a reader must find in them. */
#ifndef AEON_TESTS_STORE_BENCH_H
#define AEON_TESTS_STORE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"
#include "records.h"
#include "store/store.h"
#include "world/os/os.h"

struct bench {
    char path[100];
    struct world *world;
    struct store *store;
};

/* Where stores are made; /tmp unless a test that syncs all the time says otherwise. */
extern const char *bench_where;

/* cmocka fixtures; *state is the struct bench. */
int bench_setup(void **state);
int bench_teardown(void **state);

#define assert_ok(call) assert_ok_at((call), &error, #call, __FILE__, __LINE__)
void assert_ok_at(enum status st, struct err *e, const char *what, const char *file, int line);

/* For a child made by fork: threads stay behind, so the store is opened anew. */
void bench_reopen(struct bench *b);

/* Starts a run with a description that uses every field. */
struct store_writer *bench_run_new(struct bench *b, const struct store_options *o, struct store_id *id);

/* Appends the next `n` random records. */
void bench_append(struct store_writer *w, struct record_gen *g, unsigned n);

void bench_end(struct store_writer *w, struct record_gen *g, uint64_t kind, uint64_t value);

/* Forks a child that makes a run by `body` and is killed where that returns. Answers the run's id. */
struct store_id bench_die(struct bench *b, void (*body)(struct bench *b, struct store_writer *w, void *arg),
                          const struct store_options *o, void *arg);

/* Path of a file of the run. */
const char *bench_path(const struct bench *b, const struct store_id *id, const char *file);

/* What a reader finds: records equal to those `g` makes (a fresh generator of the same seed), then how it ends. */
struct finding {
    enum status opened, ended;
    uint64_t records;
    bool torn;
    struct err e;
};
struct finding bench_read(struct bench *b, const struct store_id *id, struct record_gen *g);

#endif
