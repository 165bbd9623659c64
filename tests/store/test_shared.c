/* Many runs at a time share one worker; and a run that may only take so many bytes. */
#include "bench.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static unsigned entries(const char *path) {
    unsigned n = 0;
    DIR *d = opendir(path);
    must(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* More runs than files are kept open for, written by turns, in all three ways: each comes back whole. */
static void many_runs(void **state) {
    struct bench *b = *state;
    enum { RUNS = 200, ROUNDS = 6, EACH = 150 };
    struct store_writer *w[RUNS];
    struct record_gen g[RUNS];
    struct store_id id[RUNS];
    struct err error = ERR_INIT;
    unsigned threads = entries("/proc/self/task"), fds = entries("/proc/self/fd");
    for (unsigned i = 0; i < RUNS; i++) {
        struct store_options o = {.sync = i % 50 == 7 ? STORE_SYNC_EACH
                                          : i % 2     ? STORE_SYNC_INTERVAL
                                                      : STORE_SYNC_NONE,
                                  .segment_bytes = i % 3 == 0,
                                  .flush_ns = i % 5 == 0 ? 100000 : 0};
        record_gen_init(&g[i], i, 3, 20, 300);
        w[i] = bench_run_new(b, &o, &id[i]);
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < RUNS; i++)
            bench_append(w[i], &g[i], i % 50 == 7 ? 3 : EACH * (i % 7));
    assert_true(entries("/proc/self/task") - threads <= 2); /* one, and a sanitizer's */
    assert_true(entries("/proc/self/fd") - fds <= RUNS + 70);
    for (unsigned k = 0; k < RUNS; k++) {
        unsigned i = k * 77 % RUNS; /* in another order than they began */
        bench_end(w[i], &g[i], 0, i);
        assert_ok(store_run_close(w[i], &error));
    }
    assert_int_equal(entries("/proc/self/fd"), fds);
    for (unsigned i = 0; i < RUNS; i++) {
        record_gen_deinit(&g[i]);
        record_gen_init(&g[i], i, 3, 20, 300);
        struct finding f = bench_read(b, &id[i], &g[i]);
        assert_int_equal(f.opened, ST_OK);
        assert_int_equal(f.ended, ST_END);
        assert_int_equal(f.records, (i % 50 == 7 ? 3 : EACH * (i % 7)) * ROUNDS + 1);
        record_gen_deinit(&g[i]);
    }
}

/* Runs that begin, go and end in several threads at once. */
struct thread {
    pthread_t thread;
    struct bench *b;
    unsigned number;
};

static void *write_runs(void *arg) {
    struct thread *t = arg;
    for (unsigned i = 0; i < 20; i++) {
        struct record_gen g;
        struct store_id id;
        struct err error = ERR_INIT;
        record_gen_init(&g, t->number * 100 + i, 2, 20, 300);
        struct store_writer *w =
            bench_run_new(t->b, &(struct store_options){.sync = i % 2 ? STORE_SYNC_INTERVAL : STORE_SYNC_NONE}, &id);
        bench_append(w, &g, 3000 * (i % 4));
        must(store_run_close(w, &error) == ST_OK);
        record_gen_deinit(&g);
        record_gen_init(&g, t->number * 100 + i, 2, 20, 300);
        struct finding f = bench_read(t->b, &id, &g);
        must(f.ended == ST_END && f.records == 3000 * (i % 4));
        record_gen_deinit(&g);
    }
    return NULL;
}

static void several_threads(void **state) {
    struct thread t[4];
    for (unsigned i = 0; i < 4; i++) {
        t[i] = (struct thread){.b = *state, .number = i};
        must(pthread_create(&t[i].thread, NULL, write_runs, &t[i]) == 0);
    }
    for (unsigned i = 0; i < 4; i++)
        must(pthread_join(t[i].thread, NULL) == 0);
}

/* ---- a run that may only take so much ---- */

static uint64_t on_disk(struct bench *b, const struct store_id *id) {
    char dir[200];
    uint64_t bytes = 0;
    snprintf(dir, sizeof dir, "%s", bench_path(b, id, ""));
    DIR *d = opendir(dir);
    must(d);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (strstr(e->d_name, ".seg") && stat(bench_path(b, id, e->d_name), &st) == 0)
            bytes += (uint64_t)st.st_size;
    }
    closedir(d);
    return bytes;
}

static void limited(void **state) {
    struct bench *b = *state;
    static const uint64_t limits[] = {40 << 10, 200 << 10, 1 << 20, 5 << 20, 9 << 20};
    uint8_t *big = mem_alloc(700000);
    struct prng p = {3};
    for (unsigned i = 0; i < 700000; i++)
        big[i] = (uint8_t)prng_next(&p);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned large = 0; large < 2; large++) {
            struct store_options o = {.max_bytes = limits[i], .segment_bytes = i == 3};
            struct record_gen g;
            struct store_id id;
            struct err error = ERR_INIT;
            record_gen_init(&g, i, 2, 20, 300);
            struct store_writer *w = bench_run_new(b, &o, &id);
            struct journal_record r;
            enum status st;
            uint64_t n = 0, was = 0;
            for (;;) {
                record_gen_next(&g, &r);
                struct iovec piece = {big, 700000};
                if (large && n % 50 == 49)
                    r = (struct journal_record){.type = JOURNAL_CALL,
                                                .time_ns = r.time_ns,
                                                .clock = g.clock[0],
                                                .nblobs = 1,
                                                .blobs = {{&piece, 1, piece.iov_len}}};
                st = store_append(w, &r, &error);
                if (st != ST_OK)
                    break;
                was = store_run_bytes(w);
                assert_true(was <= limits[i]);
                n++;
            }
            assert_int_equal(st, ST_LIMIT);
            assert_non_null(strstr(error.text, "--journal-max"));
            /* it was not given up long before */
            if (!large)
                assert_true(was + (24 << 10) >= limits[i]);
            char words[8000];
            memset(words, 'w', sizeof words);
            struct iovec piece = {words, sizeof words};
            struct journal_record end = {.type = JOURNAL_END,
                                         .time_ns = g.time_ns,
                                         .clock = g.clock[0],
                                         .nvals = 2,
                                         .nblobs = 1,
                                         .blobs = {{&piece, 1, sizeof words}}};
            err_clear(&error);
            assert_ok(store_append(w, &end, &error));
            assert_ok(store_run_close(w, &error));
            assert_true(on_disk(b, &id) <= limits[i]);
            struct store_reader *reader;
            uint64_t found = 0;
            assert_ok(store_reader_open(b->store, &id, &reader, &error));
            while ((st = store_reader_next(reader, &r, &error)) == ST_OK)
                found++;
            assert_int_equal(st, ST_END);
            assert_int_equal(found, n + 1);
            assert_int_equal(store_reader_state(reader), STORE_FINISHED);
            store_reader_close(reader);
            record_gen_deinit(&g);
        }
    }
    mem_free(big);
}

/* What it says it takes is what is there, to the byte, when nothing waits. */
static void bytes_are_counted(void **state) {
    struct bench *b = *state;
    struct record_gen g;
    struct store_id id;
    struct err error = ERR_INIT;
    record_gen_init(&g, 1, 2, 20, 300);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.keep_bytes = 1 << 20}, &id);
    uint8_t memory[300] = {0};
    for (unsigned i = 0; i < 30; i++) {
        while (!store_wants_snapshot(w))
            bench_append(w, &g, 1);
        struct iovec piece = {memory, sizeof memory};
        struct journal_record snapshot = {.type = JOURNAL_SNAPSHOT,
                                          .time_ns = g.time_ns,
                                          .clock = g.clock[0],
                                          .nblobs = 1,
                                          .blobs = {{&piece, 1, sizeof memory}}};
        assert_ok(store_snapshot(w, &snapshot, &error));
        /* the open segment's index and trailer are counted in advance: one entry */
        assert_int_equal(store_run_bytes(w), on_disk(b, &id) + 16 + 24 + 128);
    }
    assert_true(store_run_bytes(w) < 3 << 20);
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
}

static void too_small_a_limit(void **state) {
    struct bench *b = *state;
    struct store_info info = {.module_name = "m"};
    struct store_writer *w;
    struct err error = ERR_INIT;
    assert_int_equal(store_run_new(b->store, &info, &(struct store_options){.max_bytes = 1000}, &w, &error), ST_LIMIT);
    assert_non_null(strstr(error.text, "1000 bytes"));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {T(many_runs), T(several_threads), T(limited), T(bytes_are_counted),
                                       T(too_small_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
