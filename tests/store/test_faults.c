/* Every call to the world fails once, in turn: nothing crashes, nothing fails in silence, and what was appended stays.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A world whose n-th call from now fails. */
static struct faulty {
    struct world world;
    struct world_ops ops;
    struct world *real;
    _Atomic int64_t left; /* 0: none fails; 1: the next */
    atomic_bool hit;
} faulty;

static bool fails(void) {
    if (atomic_load(&faulty.left) == 0 || atomic_fetch_sub(&faulty.left, 1) != 1)
        return false;
    atomic_store(&faulty.left, 0);
    atomic_store(&faulty.hit, true);
    return true;
}

#define REAL faulty.real->ops
#define FAULT(op, params, args)                \
    static int faulty_##op params {            \
        (void)w;                               \
        return fails() ? -EIO : REAL->op args; \
    }
// clang-format off
FAULT(entropy, (struct world *w, void *p, size_t n), (faulty.real, p, n))
FAULT(open, (struct world *w, int d, const char *p, uint32_t f, uint32_t m), (faulty.real, d, p, f, m))
FAULT(stat, (struct world *w, int fd, struct world_stat *s), (faulty.real, fd, s))
FAULT(stat_at, (struct world *w, int d, const char *p, uint32_t f, struct world_stat *s), (faulty.real, d, p, f, s))
FAULT(set_size, (struct world *w, int fd, uint64_t n), (faulty.real, fd, n))
FAULT(allocate, (struct world *w, int fd, uint64_t o, uint64_t n), (faulty.real, fd, o, n))
FAULT(sync, (struct world *w, int fd, bool d), (faulty.real, fd, d))
FAULT(read_dir, (struct world *w, int fd, uint64_t c, bool (*each)(void *, const struct world_dirent *), void *arg),
      (faulty.real, fd, c, each, arg))
FAULT(make_dir, (struct world *w, int d, const char *p, uint32_t f, uint32_t m), (faulty.real, d, p, f, m))
FAULT(remove, (struct world *w, int d, const char *p, uint32_t f, bool dir), (faulty.real, d, p, f, dir))
FAULT(rename, (struct world *w, int d, const char *p, int t, const char *q, uint32_t f), (faulty.real, d, p, t, q, f))
FAULT(lock, (struct world *w, int fd, bool x), (faulty.real, fd, x))
FAULT(map, (struct world *w, int fd, uint64_t n, bool x, void **out), (faulty.real, fd, n, x, out))
FAULT(sync_map, (struct world *w, void *p, uint64_t n), (faulty.real, p, n))
// clang-format on

/* These do not fail. */
static int faulty_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    (void)w;
    return REAL->clock(faulty.real, c, ns);
}
static int faulty_close(struct world *w, int fd) {
    (void)w;
    return REAL->close(faulty.real, fd);
}
static int faulty_unmap(struct world *w, void *p, uint64_t n) {
    (void)w;
    return REAL->unmap(faulty.real, p, n);
}
static struct world_worker *faulty_worker_new(struct world *w, void (*fn)(void *), void *arg, uint32_t period_ms) {
    (void)w;
    return REAL->worker_new(faulty.real, fn, arg, period_ms);
}

static int64_t faulty_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    return fails() ? -EIO : REAL->preadv(faulty.real, fd, iov, n, offset);
}

/* Half of it is written before it fails, and what succeeds may be short. */
static int64_t faulty_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    struct iovec part = {iov->iov_base, iov->iov_len > 1 ? iov->iov_len / 2 : iov->iov_len};
    bool failing = fails();
    int64_t done =
        REAL->pwritev(faulty.real, fd, failing || offset % 2 ? &part : iov, failing || offset % 2 ? 1 : n, offset);
    return failing ? -EIO : done;
}

static void faulty_init(struct world *real) {
    faulty.real = real;
    faulty.ops = *real->ops;
    faulty.world.ops = &faulty.ops;
#define X(op) faulty.ops.op = faulty_##op
    X(entropy), X(open), X(stat), X(stat_at), X(set_size), X(allocate), X(sync), X(read_dir), X(make_dir), X(remove);
    X(clock), X(close), X(unmap), X(worker_new), X(rename), X(lock), X(map), X(sync_map), X(preadv), X(pwritev);
#undef X
}

static void arm(int64_t n) {
    atomic_store(&faulty.hit, false);
    atomic_store(&faulty.left, n);
}

/* ---- writing ---- */

enum { LARGE = 1200000, SMALL = 600, RECORDS = 500, LARGE_EVERY = 200 };

static void nth_record(uint64_t n, struct journal_record *r) {
    static uint8_t bytes[LARGE];
    static struct iovec piece;
    piece = (struct iovec){bytes, n % LARGE_EVERY == LARGE_EVERY - 1 ? LARGE : SMALL};
    *r = (struct journal_record){.type = JOURNAL_CALL,
                                 .code = (uint32_t)(n % 3),
                                 .time_ns = n * 1000,
                                 .clock = n * 7,
                                 .nvals = 1,
                                 .vals = {n},
                                 .nblobs = 1,
                                 .blobs = {{&piece, 1, piece.iov_len}}};
}

/* Writes a run until something fails; answers how it ended, and how many records were taken. */
static enum status write_run(const struct store_options *o, const char *path, struct store_id *id, bool *made,
                             uint64_t *taken, struct err *e) {
    struct store *s;
    struct store_writer *w;
    struct store_info info = {.module_name = "m"};
    struct sha256 h;
    *made = false;
    *taken = 0;
    enum status st = store_open(&faulty.world, path, &s, e);
    if (st != ST_OK)
        return st;
    st = store_put(s, SPAN_STR("a module"), &info.module, e);
    h = info.module;
    if (st == ST_OK && (st = store_run_new(s, &info, o, &w, e)) == ST_OK) {
        *made = true;
        *id = info.id;
        for (uint64_t n = 0; n < RECORDS && st == ST_OK; n++) {
            struct journal_record r;
            nth_record(n, &r);
            if (o->keep_bytes && n % LARGE_EVERY == LARGE_EVERY - 1) {
                r.type = JOURNAL_SNAPSHOT;
                st = store_snapshot(w, &r, e);
            } else {
                st = store_append(w, &r, e);
            }
            *taken += st == ST_OK;
        }
        struct err closing = ERR_INIT;
        enum status closed = store_run_close(w, &closing);
        if (st == ST_OK && closed != ST_OK)
            st = err_set(e, closed, "%s", closing.text);
    }
    struct span back;
    struct err ignored = ERR_INIT;
    if (st == ST_OK && (st = store_get(s, &h, &back, e)) == ST_OK)
        store_unmap(s, back);
    else if (st != ST_OK && store_get(s, &h, &back, &ignored) == ST_OK)
        store_unmap(s, back);
    store_close(s);
    return st;
}

static void check_run(struct bench *b, const char *path, const struct store_id *id, uint64_t taken, bool retention) {
    struct err error = ERR_INIT;
    struct store *s;
    struct store_reader *r;
    struct journal_record got, want;
    assert_ok(store_open(b->world, path, &s, &error));
    assert_ok(store_reader_open(s, id, &r, &error));
    uint64_t n = store_reader_first(r);
    assert_true(n == 0 || retention);
    enum status st;
    for (; (st = store_reader_next(r, &got, &error)) == ST_OK; n++) {
        nth_record(n, &want);
        want.type = got.type;
        assert_true(got.number == n && record_equal(&got, &want));
    }
    if (st != ST_END || n < taken)
        fprintf(stderr, "%llu of %llu records: %s\n", (unsigned long long)n, (unsigned long long)taken, error.text);
    assert_int_equal(st, ST_END);
    assert_true(n >= taken);
    store_reader_close(r);
    store_close(s);
}

static void writing(struct bench *b, const struct store_options *o) {
    faulty_init(b->world);
    unsigned silent = 0;
    for (int64_t n = 1;; n++) {
        char path[sizeof b->path + 30];
        struct store_id id;
        struct err error = ERR_INIT;
        bool made;
        uint64_t taken;
        snprintf(path, sizeof path, "%s/w%lld", b->path, (long long)n);
        arm(n);
        enum status st = write_run(o, path, &id, &made, &taken, &error);
        bool hit = atomic_load(&faulty.hit);
        arm(0);
        if (made)
            check_run(b, path, &id, taken, o->keep_bytes != 0);
        if (st != ST_OK)
            assert_non_null(strstr(error.text, path));
        else if (hit)
            silent++; /* what did not matter: clearing up, or asking whether something is there */
        if (!hit) {
            assert_int_equal(st, ST_OK);
            assert_true(n > 20);
            break;
        }
    }
    assert_true(silent < 12);
}

static void writing_none(void **state) {
    writing(*state, &(struct store_options){.segment_bytes = 1, .flush_ns = 100000});
}

static void writing_each(void **state) {
    writing(*state, &(struct store_options){.segment_bytes = 1, .flush_ns = 300000, .sync = STORE_SYNC_EACH});
}

static void writing_with_retention(void **state) {
    writing(*state, &(struct store_options){.keep_bytes = 1, .sync = STORE_SYNC_INTERVAL});
}

/* ---- reading ---- */

static bool any(void *arg, const struct store_run *run) {
    *(struct store_run *)arg = *run;
    return true;
}

static void reading_run(struct bench *b, const char *path, const struct store_id *id, uint64_t records, unsigned what) {
    for (int64_t n = 1;; n++) {
        struct err error = ERR_INIT;
        struct store *s;
        struct store_reader *r = NULL;
        struct journal_record got;
        struct store_run run = {.state = STORE_RUNNING};
        uint64_t found = 0;
        assert_ok(store_open(b->world, path, &s, &error));
        store_close(s);
        arm(n);
        enum status st = store_open(&faulty.world, path, &s, &error);
        if (st == ST_OK) {
            if (what == 0) {
                st = store_list(s, any, &run, &error);
                if (st == ST_OK && run.state == STORE_DAMAGED)
                    st = ST_IO;
                else if (st == ST_OK)
                    found = run.records;
            } else if ((st = store_reader_open(s, id, &r, &error)) == ST_OK) {
                if (what == 2)
                    st = store_reader_seek(r, records / 2, &error);
                found = what == 2 ? records / 2 : 0;
                while (st == ST_OK && (st = store_reader_next(r, &got, &error)) == ST_OK) {
                    assert_int_equal(got.number, found);
                    found++;
                }
            }
            store_reader_close(r);
            store_close(s);
        }
        bool hit = atomic_load(&faulty.hit);
        arm(0);
        if ((st == ST_END || st == ST_OK) && found != records)
            fprintf(stderr, "what %u, call %lld: %llu of %llu records and no word\n", what, (long long)n,
                    (unsigned long long)found, (unsigned long long)records);
        assert_true((st != ST_END && st != ST_OK) || found == records);
        if (!hit)
            break;
    }
}

static void crash(struct bench *b, struct store_writer *w, void *arg) {
    (void)b;
    struct err error = ERR_INIT;
    for (uint64_t n = 0; n < *(uint64_t *)arg; n++) {
        struct journal_record r;
        nth_record(n, &r);
        assert_ok(store_append(w, &r, &error));
    }
}

static void reading(void **state) {
    struct bench *b = *state;
    faulty_init(b->world);
    struct store_options o = {.segment_bytes = 1, .flush_ns = 100000};
    struct store_id id;
    struct err error = ERR_INIT;
    char path[sizeof b->path + 10];
    bool made;
    uint64_t taken, some = RECORDS - 50;
    snprintf(path, sizeof path, "%s/other", b->path);
    assert_ok(write_run(&o, path, &id, &made, &taken, &error));
    for (unsigned what = 0; what < 3; what++)
        reading_run(b, path, &id, RECORDS, what);
    id = bench_die(b, crash, &o, &some);
    for (unsigned what = 0; what < 3; what++)
        reading_run(b, b->path, &id, some, what);
}

int main(void) {
    if (access("/dev/shm", W_OK) == 0)
        bench_where = "/dev/shm"; /* syncs a thousand times */
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {T(writing_none), T(writing_each), T(writing_with_retention), T(reading)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
