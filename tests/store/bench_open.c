/* What a run costs while it is open and idle: memory, descriptors, threads, and the time it takes to begin and end one.
 * Not run by ctest.  bench_open [STORE] [RUNS] [none|interval|each] [RECORDS] */
#include "base/must.h"
#include "store/store.h"
#include "world/os/os.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(enum status st, const struct err *e) {
    if (st != ST_OK) {
        fprintf(stderr, "%s\n", e->text);
        exit(1);
    }
}

struct usage {
    double anonymous, file; /* KiB resident */
    int fds, threads;
};

static unsigned entries(const char *path) {
    unsigned n = 0;
    DIR *d = opendir(path);
    must(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3; /* itself, . and .. */
}

static struct usage usage(void) {
    struct usage u = {.fds = (int)entries("/proc/self/fd"), .threads = (int)entries("/proc/self/task") + 1};
    char line[200];
    FILE *f = fopen("/proc/self/status", "r");
    must(f);
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            u.anonymous = atof(line + 8);
        if (strncmp(line, "RssFile:", 8) == 0 || strncmp(line, "RssShmem:", 9) == 0)
            u.file += atof(strchr(line, ':') + 1);
    }
    fclose(f);
    return u;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "bench.store";
    unsigned runs = argc > 2 ? (unsigned)atoi(argv[2]) : 200;
    const char *sync = argc > 3 ? argv[3] : "none";
    unsigned records = argc > 4 ? (unsigned)atoi(argv[4]) : 100;
    struct store_options o = {.sync = strcmp(sync, "each") == 0       ? STORE_SYNC_EACH
                                      : strcmp(sync, "interval") == 0 ? STORE_SYNC_INTERVAL
                                                                      : STORE_SYNC_NONE};
    struct world *world = world_os_new();
    struct err e = ERR_INIT;
    struct store *s;
    struct store_info info = {.module_name = "bench", .aeon_version = "0"};
    struct store_writer **w = mem_alloc(runs * sizeof(*w) + 1);
    struct store_id *id = mem_alloc(runs * sizeof(*id) + 1);
    check(store_open(world, path, &s, &e), &e);
    check(store_put(s, SPAN_STR("a module"), &info.module, &e), &e);

    struct usage before = usage();
    uint64_t begun = world_now(world, WORLD_MONOTONIC);
    for (unsigned i = 0; i < runs; i++) {
        check(store_run_new(s, &info, &o, &w[i], &e), &e);
        id[i] = info.id;
    }
    uint64_t opened = world_now(world, WORLD_MONOTONIC);
    char payload[16] = "fifteen bytes..";
    struct iovec piece = {payload, sizeof payload};
    for (unsigned i = 0; i < runs; i++)
        for (unsigned k = 0; k < records; k++) {
            struct journal_record r = {.type = k % 2 ? JOURNAL_RETURN : JOURNAL_CALL,
                                       .code = k / 2 % 30,
                                       .time_ns = k * 1000,
                                       .clock = k * 7,
                                       .nvals = 4,
                                       .nblobs = 1,
                                       .blobs = {{&piece, 1, sizeof payload}}};
            check(store_append(w[i], &r, &e), &e);
        }
    struct usage after = usage();
    uint64_t closing = world_now(world, WORLD_MONOTONIC);
    for (unsigned i = 0; i < runs; i++)
        check(store_run_close(w[i], &e), &e);
    uint64_t closed = world_now(world, WORLD_MONOTONIC);

    double n = runs;
    printf("%u runs of %u records, sync %s, each:\n", runs, records, sync);
    printf("memory       %8.1f KiB of its own, %.1f KiB of its tail\n", (after.anonymous - before.anonymous) / n,
           (after.file - before.file) / n);
    printf("descriptors  %8.2f, threads %.2f\n", (after.fds - before.fds) / n, (after.threads - before.threads) / n);
    printf("begin        %8.3f ms, end %.3f ms\n", (double)(opened - begun) / n / 1e6,
           (double)(closed - closing) / n / 1e6);
    for (unsigned i = 0; i < runs; i++)
        check(store_remove(s, &id[i], &e), &e);
    store_close(s);
    mem_free(w);
    mem_free(id);
    world->ops->free(world);
    return 0;
}
