/* Nanoseconds and bytes per record of a guest that writes 16 random bytes a million times: the record's share of what
 * recording costs. Not run by ctest.  bench_append [STORE] [PAIRS] [none|interval|each] */
#include "base/must.h"
#include "base/prng.h"
#include "store/store.h"
#include "world/os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(enum status st, const struct err *e) {
    if (st != ST_OK) {
        fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "bench.store";
    unsigned pairs = argc > 2 ? (unsigned)atoi(argv[2]) : 1000000;
    const char *sync = argc > 3 ? argv[3] : "none";
    struct store_options o = {.sync = strcmp(sync, "each") == 0       ? STORE_SYNC_EACH
                                      : strcmp(sync, "interval") == 0 ? STORE_SYNC_INTERVAL
                                                                      : STORE_SYNC_NONE};
    struct world *world = world_os_new();
    struct err e = ERR_INIT;
    struct store *s;
    struct store_writer *w;
    struct store_info info = {.module_name = "bench", .aeon_version = "0"};
    check(store_open(world, path, &s, &e), &e);
    check(store_run_new(s, &info, &o, &w, &e), &e);

    uint64_t *payload = mem_alloc(pairs * 16ul);
    struct prng p = {1};
    for (unsigned i = 0; i < pairs * 2; i++)
        payload[i] = prng_next(&p);
    struct iovec piece = {NULL, 16};
    struct journal_record call = {.type = JOURNAL_CALL,
                                  .code = 30,
                                  .nvals = 4,
                                  .vals = {5, 1024, 1, 2048},
                                  .nblobs = 1,
                                  .blobs = {{&piece, 1, 16}}};
    struct journal_record ret = {.type = JOURNAL_RETURN, .code = 30, .nvals = 2, .vals = {0, 16}};
    uint64_t time = 0, clock = 0;

    uint64_t from = world_now(world, WORLD_MONOTONIC), cpu = world_now(world, WORLD_PROCESS_CPU),
             thread = world_now(world, WORLD_THREAD_CPU);
    for (unsigned i = 0; i < pairs; i++) {
        time += 400 + (i & 63);
        clock += 23;
        piece.iov_base = payload + i * 2;
        call.time_ns = ret.time_ns = time;
        call.clock = ret.clock = clock;
        check(store_append(w, &call, &e), &e);
        check(store_append(w, &ret, &e), &e);
    }
    uint64_t appended = world_now(world, WORLD_MONOTONIC), thread_end = world_now(world, WORLD_THREAD_CPU);
    check(store_run_close(w, &e), &e);
    uint64_t closed = world_now(world, WORLD_MONOTONIC), cpu_end = world_now(world, WORLD_PROCESS_CPU);

    struct store_reader *r;
    check(store_reader_open(s, &info.id, &r, &e), &e);
    uint64_t bytes = 0, records = 2ull * pairs, n = 0;
    for (uint32_t i = 0; i < store_reader_nsegments(r); i++)
        bytes += store_reader_segment(r, i).size_bytes;
    struct journal_record rec;
    uint64_t read_from = world_now(world, WORLD_MONOTONIC);
    enum status st;
    while ((st = store_reader_next(r, &rec, &e)) == ST_OK)
        n++;
    uint64_t read_to = world_now(world, WORLD_MONOTONIC);
    must(n == records);
    uint64_t seek_from = world_now(world, WORLD_MONOTONIC);
    check(store_reader_seek(r, records / 2 + 1, &e), &e);
    uint64_t seek_to = world_now(world, WORLD_MONOTONIC);
    store_reader_close(r);

    printf("append            %6.1f ns/record (guest's thread: wall), %.1f (its CPU)\n",
           (double)(appended - from) / (double)records, (double)(thread_end - thread) / (double)records);
    printf("all threads' CPU  %6.1f ns/record, close %.1f ms\n", (double)(cpu_end - cpu) / (double)records,
           (double)(closed - appended) / 1e6);
    printf("size              %6.2f bytes/record, %.2f beside the payload\n", (double)bytes / (double)records,
           (double)bytes / (double)records - 8);
    printf("read              %6.1f ns/record, seek %.2f ms\n", (double)(read_to - read_from) / (double)records,
           (double)(seek_to - seek_from) / 1e6);
    check(store_remove(s, &info.id, &e), &e);
    store_close(s);
    mem_free(payload);
    world->ops->free(world);
    return 0;
}
