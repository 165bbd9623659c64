/* Runs that are written and read in peace: round trips, seeking, following, retention. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

static void round_trip(void **state) {
    struct bench *b = *state;
    static const struct store_options options[] = {
        {.sync = STORE_SYNC_NONE},
        {.segment_bytes = 1}, /* as small as it gets: many segments */
        {.flush_ns = 20000},  /* many small frames */
        {.sync = STORE_SYNC_INTERVAL, .segment_bytes = 1},
        {.sync = STORE_SYNC_EACH},
    };
    for (unsigned i = 0; i < 5; i++) {
        unsigned n = options[i].sync == STORE_SYNC_EACH ? 100 : 30000;
        struct record_gen g, again;
        struct store_id id;
        record_gen_init(&g, i, i % 2 ? 1 : 7, 30, 300);
        record_gen_init(&again, i, i % 2 ? 1 : 7, 30, 300);
        struct store_writer *w = bench_run_new(b, &options[i], &id);
        struct err error = ERR_INIT;
        bench_append(w, &g, n);
        bench_end(w, &g, 4, 5);
        assert_ok(store_run_close(w, &error));

        struct finding f = bench_read(b, &id, &again);
        assert_int_equal(f.opened, ST_OK);
        assert_int_equal(f.ended, ST_END);
        assert_int_equal(f.records, n + 1);
        assert_false(f.torn);
        record_gen_deinit(&g);
        record_gen_deinit(&again);
    }
}

static void description_comes_back(void **state) {
    struct bench *b = *state;
    struct store_id id;
    struct err error = ERR_INIT;
    struct store_reader *r;
    struct journal_record rec;
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &id);
    for (int closed = 0; closed < 2; closed++) {
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        assert_int_equal(store_reader_next(r, &rec, &error), ST_END);
        assert_int_equal(store_reader_state(r), closed ? STORE_UNFINISHED : STORE_RUNNING);
        const struct store_info *i = store_reader_info(r);
        assert_memory_equal(&i->id, &id, sizeof id);
        assert_string_equal(i->module_name, "a module");
        assert_string_equal(i->aeon_version, "9.9");
        assert_int_equal(i->semantics_version, 3);
        assert_int_equal(i->module.bytes[31], 0xab);
        assert_true(i->nargs == 3 && i->nenv == 1 && i->ngrants == 1 && i->nlimits == 2);
        assert_string_equal(i->args[1], "");
        assert_string_equal(i->args[2], "third arg");
        assert_string_equal(i->env[0], "A=1");
        assert_string_equal(i->grants[0], "dir /a:/b:ro");
        assert_string_equal(i->limit_names[1], "x");
        assert_true(i->limit_values[1] == UINT64_MAX);
        assert_true(i->started_ns > 0);
        store_reader_close(r);
        if (!closed)
            assert_ok(store_run_close(w, &error));
    }
}

/* Records around the sizes of block and frame, and far beyond, between small ones. */
static void large_records(void **state) {
    struct bench *b = *state;
    static const uint32_t sizes[] = {(256 << 10) - 400, (256 << 10) - 321, (256 << 10) - 320, (256 << 10) - 319,
                                     256 << 10,         (1 << 20) - 10,    1 << 20,           (1 << 20) + 1,
                                     5 << 20,           20 << 20};
    enum { N = sizeof sizes / sizeof *sizes };
    struct store_id id;
    struct err error = ERR_INIT;
    uint8_t *bytes = mem_alloc(20 << 20);
    struct prng p = {4};
    for (uint32_t i = 0; i < 20 << 20; i++)
        bytes[i] = (uint8_t)(i < 8 << 20 ? prng_next(&p) : i >> 12);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.segment_bytes = 4 << 20}, &id);
    struct store_reader *live;
    assert_ok(store_reader_open(b->store, &id, &live, &error));
    struct journal_record rec, got;
    for (uint64_t i = 0; i < N * 2; i++) {
        struct iovec pieces[2] = {{bytes, 7}, {bytes + 7, sizes[i / 2] - 7}};
        rec = (struct journal_record){.type = JOURNAL_CALL,
                                      .code = 1,
                                      .time_ns = i * 10,
                                      .clock = i * 3,
                                      .nblobs = 1,
                                      .blobs = {{pieces, 2, sizes[i / 2]}}};
        if (i % 2)
            rec.nblobs = 0;
        assert_ok(store_append(w, &rec, &error));
        assert_int_equal(rec.number, i);
        assert_ok(store_reader_next(live, &got, &error));
        assert_true(got.number == i && record_equal(&rec, &got));
        assert_int_equal(store_reader_next(live, &got, &error), ST_END);
    }
    rec.blobs[0].size = JOURNAL_RECORD_MAX + 1ull;
    rec.nblobs = 1;
    assert_int_equal(store_append(w, &rec, &error), ST_LIMIT);
    store_reader_close(live);
    err_clear(&error);
    assert_ok(store_run_close(w, &error));

    struct store_reader *r;
    assert_ok(store_reader_open(b->store, &id, &r, &error));
    assert_true(store_reader_nsegments(r) > 1);
    for (uint64_t k = 0; k < N * 2; k++) {
        uint64_t i = k < N * 2 - 1 ? k * 7 % (N * 2) : 3;
        assert_ok(store_reader_seek(r, i, &error));
        assert_ok(store_reader_next(r, &got, &error));
        struct iovec piece = {bytes, sizes[i / 2]};
        rec = (struct journal_record){.type = JOURNAL_CALL,
                                      .code = 1,
                                      .time_ns = i * 10,
                                      .clock = i * 3,
                                      .nblobs = i % 2 == 0,
                                      .blobs = {{&piece, 1, sizes[i / 2]}}};
        assert_true(got.number == i && record_equal(&rec, &got));
    }
    store_reader_close(r);
    mem_free(bytes);
}

static void seeking(void **state) {
    struct bench *b = *state;
    enum { N = 60000 };
    struct record_gen g;
    struct store_id id;
    struct err error = ERR_INIT;
    uint64_t *times = mem_alloc(N * sizeof *times);
    record_gen_init(&g, 11, 2, 20, 200);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.segment_bytes = 1 << 20}, &id);
    struct journal_record rec;
    for (unsigned i = 0; i < N; i++) {
        record_gen_next(&g, &rec);
        times[i] = rec.time_ns;
        assert_ok(store_append(w, &rec, &error));
    }
    for (int closed = 0; closed < 2; closed++) {
        struct store_reader *r;
        struct prng p = {8};
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        for (int k = 0; k < 300; k++) {
            uint64_t n = k == 0 ? N - 1 : k == 1 ? 0 : prng_below(&p, N);
            assert_ok(store_reader_seek(r, n, &error));
            for (uint64_t i = n; i < n + 3 && i < N; i++) {
                assert_ok(store_reader_next(r, &rec, &error));
                assert_true(rec.number == i && rec.time_ns == times[i]);
            }
        }
        assert_int_equal(store_reader_seek(r, N, NULL), ST_NOT_FOUND);
        assert_int_equal(store_reader_seek(r, UINT64_MAX, NULL), ST_NOT_FOUND);
        assert_ok(store_reader_next(r, &rec, &error)); /* a failed seek changes nothing */
        store_reader_close(r);
        if (!closed)
            assert_ok(store_run_close(w, &error));
    }
    record_gen_deinit(&g);
    mem_free(times);
}

/* A reader follows the writer through blocks, frames and segments, sometimes close behind, sometimes not. */
static void following(void **state) {
    struct bench *b = *state;
    struct record_gen g, again;
    struct store_id id;
    struct err error = ERR_INIT;
    struct store_reader *r;
    struct journal_record got, want;
    record_gen_init(&g, 5, 3, 20, 400);
    record_gen_init(&again, 5, 3, 20, 400);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.segment_bytes = 1, .flush_ns = 3000000}, &id);
    assert_ok(store_reader_open(b->store, &id, &r, &error));
    struct prng p = {2};
    uint64_t n = 0, written = 0;
    enum status st;
    for (int round = 0; round < 400; round++) {
        unsigned k = (unsigned)prng_below(&p, round % 10 == 0 ? 4000 : 20);
        bench_append(w, &g, k);
        written += k;
        uint64_t most = prng_below(&p, 3) ? UINT64_MAX : prng_below(&p, 1000);
        for (uint64_t i = 0; i < most && (st = store_reader_next(r, &got, &error)) != ST_END; i++, n++) {
            assert_ok(st);
            record_gen_next(&again, &want);
            assert_true(got.number == n && record_equal(&got, &want));
        }
        if (most == UINT64_MAX)
            assert_int_equal(n, written);
    }
    assert_int_equal(store_reader_state(r), STORE_RUNNING);
    bench_end(w, &g, 0, 0);
    assert_ok(store_run_close(w, &error));
    while ((st = store_reader_next(r, &got, &error)) == ST_OK)
        n++;
    assert_int_equal(st, ST_END);
    assert_int_equal(n, written + 1);
    assert_int_equal(store_reader_state(r), STORE_FINISHED);
    assert_null(store_reader_torn(r));
    store_reader_close(r);
    record_gen_deinit(&g);
    record_gen_deinit(&again);
}

/* Appends until a snapshot is wanted, and takes it; answers its number. */
static uint64_t to_snapshot(struct store_writer *w, struct record_gen *g, uint8_t *memory, size_t size) {
    struct err error = ERR_INIT;
    unsigned n = 0;
    while (!store_wants_snapshot(w)) {
        bench_append(w, g, 1);
        must(++n < 10000000);
    }
    struct iovec piece = {memory, size};
    struct journal_record snap = {
        .type = JOURNAL_SNAPSHOT, .time_ns = g->time_ns, .clock = 1, .nblobs = 1, .blobs = {{&piece, 1, size}}};
    assert_ok(store_snapshot(w, &snap, &error));
    return snap.number;
}

static void retention_by_size(void **state) {
    struct bench *b = *state;
    enum { KEEP = 2 << 20, SNAPSHOT = 300000 };
    uint8_t *memory = mem_zalloc(SNAPSHOT);
    struct record_gen g;
    struct store_id id;
    struct err error = ERR_INIT;
    struct store_reader *slow, *r;
    struct journal_record rec;
    record_gen_init(&g, 6, 1, 20, 300);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.keep_bytes = KEEP}, &id);
    assert_false(store_wants_snapshot(w));
    assert_ok(store_reader_open(b->store, &id, &slow, &error));
    uint64_t last = 0;
    for (int i = 0; i < 40; i++) {
        last = to_snapshot(w, &g, memory, SNAPSHOT);
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        uint64_t bytes = 0, first = store_reader_first(r);
        for (uint32_t k = 0; k < store_reader_nsegments(r); k++)
            bytes += store_reader_segment(r, k).size_bytes;
        assert_true(bytes < KEEP * 2);
        assert_true(i < 20 || (bytes >= KEEP && first > 0 && first < last));
        assert_ok(store_reader_next(r, &rec, &error));
        assert_true(rec.number == first && (first == 0 || rec.type == JOURNAL_SNAPSHOT));
        enum status st;
        while ((st = store_reader_next(r, &rec, &error)) == ST_OK)
            ;
        assert_int_equal(st, ST_END);
        assert_int_equal(rec.number, last);
        assert_int_equal(rec.blobs[0].size, SNAPSHOT);
        store_reader_close(r);
    }
    /* one that did not keep up is told so */
    enum status st;
    while ((st = store_reader_next(slow, &rec, &error)) == ST_OK)
        ;
    assert_int_equal(st, ST_NOT_FOUND);
    assert_non_null(strstr(error.text, "dropped"));
    assert_int_equal(store_reader_seek(slow, 0, NULL), ST_NOT_FOUND);
    assert_ok(store_reader_seek(slow, last, NULL));
    store_reader_close(slow);
    err_clear(&error);
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
    mem_free(memory);
}

static void retention_by_time(void **state) {
    struct bench *b = *state;
    uint8_t memory[100] = {0};
    const uint64_t keep = 1000000000;
    struct record_gen g;
    struct store_id id;
    struct err error = ERR_INIT;
    struct store_reader *r;
    struct journal_record rec;
    record_gen_init(&g, 6, 1, 20, 30);
    struct store_writer *w = bench_run_new(b, &(struct store_options){.keep_ns = keep}, &id);
    for (int i = 0; i < 60; i++) {
        uint64_t was = g.time_ns;
        to_snapshot(w, &g, memory, sizeof memory);
        if (g.time_ns - was > keep)
            continue; /* a leap of the random clock */
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        assert_ok(store_reader_next(r, &rec, &error));
        assert_true(rec.number == 0 || rec.time_ns + keep <= g.time_ns);
        assert_true(rec.number != 0 || i < 20);
        store_reader_close(r);
    }
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
}

/* A run that begins from a snapshot: the first segment stands alone like every other. */
static void snapshot_first(void **state) {
    struct bench *b = *state;
    struct store_id id;
    struct err error = ERR_INIT;
    struct store_reader *r;
    struct iovec piece = {"memory", 6};
    struct journal_record snap = {.type = JOURNAL_SNAPSHOT, .nblobs = 1, .blobs = {{&piece, 1, 6}}}, rec;
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &id);
    assert_ok(store_snapshot(w, &snap, &error));
    assert_int_equal(snap.number, 0);
    assert_ok(store_run_close(w, &error));
    assert_ok(store_reader_open(b->store, &id, &r, &error));
    assert_int_equal(store_reader_nsegments(r), 1);
    assert_true(store_reader_segment(r, 0).has_snapshot && store_reader_segment(r, 0).complete);
    assert_ok(store_reader_next(r, &rec, &error));
    assert_true(record_equal(&rec, &snap));
    store_reader_close(r);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(round_trip), T(description_comes_back), T(large_records),     T(seeking),
        T(following),  T(retention_by_size),      T(retention_by_time), T(snapshot_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
