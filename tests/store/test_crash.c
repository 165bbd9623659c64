/* Writers that die at any moment, readers beside them, disks that fill up, power that goes. */
#include "bench.h"

#include "store/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What parent and child both see. */
struct shared {
    struct store_id id;
    atomic_bool started;
    _Atomic uint64_t appended; /* records whose append has returned */
};

static struct shared *shared_new(void) {
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(s != MAP_FAILED);
    return s;
}

/* The stream of a writing child: random records, now and then one larger than a block, or a snapshot. */
struct stream {
    struct record_gen g;
    uint64_t n;
    uint8_t *large;
    bool snapshots;
};

enum { LARGE = 700000 };

static void stream_init(struct stream *s, uint64_t seed, bool snapshots) {
    record_gen_init(&s->g, seed, 3, 20, 200);
    s->n = 0;
    s->large = mem_alloc(LARGE);
    s->snapshots = snapshots;
    for (uint32_t i = 0; i < LARGE; i++)
        s->large[i] = (uint8_t)(i * seed >> 5);
}

static void stream_deinit(struct stream *s) {
    record_gen_deinit(&s->g);
    mem_free(s->large);
}

static void stream_next(struct stream *s, struct journal_record *r) {
    static struct iovec piece;
    uint64_t n = s->n++;
    if (n % 5003 != 5002) {
        record_gen_next(&s->g, r);
        return;
    }
    piece = (struct iovec){s->large, LARGE};
    *r = (struct journal_record){.type = s->snapshots ? JOURNAL_SNAPSHOT : JOURNAL_CALL,
                                 .time_ns = s->g.time_ns,
                                 .clock = s->g.clock[0],
                                 .nblobs = 1,
                                 .blobs = {{&piece, 1, LARGE}}};
}

static pid_t start_writer(struct bench *b, struct shared *sh, const struct store_options *o, uint64_t seed,
                          uint64_t most, bool snapshots) {
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid)
        return pid;
    struct stream s;
    struct err error = ERR_INIT;
    stream_init(&s, seed, snapshots);
    bench_reopen(b);
    struct store_writer *w = bench_run_new(b, o, &sh->id);
    atomic_store(&sh->started, true);
    for (uint64_t i = 0; i < most; i++) {
        struct journal_record r;
        stream_next(&s, &r);
        enum status st = r.type == JOURNAL_SNAPSHOT ? store_snapshot(w, &r, &error) : store_append(w, &r, &error);
        if (st != ST_OK) {
            fprintf(stderr, "child: %s\n", error.text);
            _exit(1);
        }
        atomic_store(&sh->appended, r.number + 1);
    }
    bench_end(w, &s.g, 0, 0);
    _exit(store_run_close(w, &error) == ST_OK ? 0 : 1);
}

static void reap(pid_t pid) {
    int status;
    must(waitpid(pid, &status, 0) == pid);
}

static void killed_at_any_moment(void **state) {
    struct bench *b = *state;
    struct prng p = {99};
    for (unsigned round = 0; round < 100; round++) {
        struct shared *sh = shared_new();
        struct store_options o = {.segment_bytes = round % 2 ? 1 : 0,
                                  .flush_ns = round % 3 == 0 ? 200000 : 0,
                                  .keep_bytes = round % 5 == 4 ? 1 << 20 : 0};
        bool snapshots = o.keep_bytes != 0;
        pid_t pid = start_writer(b, sh, &o, round, UINT64_MAX, snapshots);
        while (!atomic_load(&sh->started))
            usleep(100);
        usleep((unsigned)prng_below(&p, round % 10 == 0 ? 1000 : 25000));
        must(kill(pid, SIGKILL) == 0);
        reap(pid);
        uint64_t appended = atomic_load(&sh->appended);

        struct err error = ERR_INIT;
        struct store_reader *r;
        struct stream s;
        struct journal_record got, want;
        stream_init(&s, round, snapshots);
        assert_ok(store_reader_open(b->store, &sh->id, &r, &error));
        assert_int_equal(store_reader_state(r), STORE_UNFINISHED);
        uint64_t n = store_reader_first(r);
        assert_true(n == 0 || snapshots);
        for (uint64_t i = 0; i < n; i++)
            stream_next(&s, &want);
        enum status st;
        while ((st = store_reader_next(r, &got, &error)) == ST_OK) {
            stream_next(&s, &want);
            assert_true(got.number == n && record_equal(&got, &want));
            n++;
        }
        if (st != ST_END || n < appended || n > appended + 1)
            fprintf(stderr, "round %u: %llu appended, %llu found: %s\n", round, (unsigned long long)appended,
                    (unsigned long long)n, error.text);
        assert_int_equal(st, ST_END);
        assert_true(n >= appended && n <= appended + 1);
        store_reader_close(r);
        stream_deinit(&s);
        assert_ok(store_remove(b->store, &sh->id, &error));
        munmap(sh, sizeof *sh);
    }
}

/* A reader in another process than the writer, at full speed, to the end. */
static void live_reader(void **state) {
    struct bench *b = *state;
    enum { N = 200000 };
    for (unsigned round = 0; round < 4; round++) {
        struct shared *sh = shared_new();
        struct store_options o = {.segment_bytes = round & 1 ? 1 : 0, .flush_ns = round & 2 ? 100000 : 0};
        pid_t pid = start_writer(b, sh, &o, round, N, false);
        while (!atomic_load(&sh->started))
            usleep(100);
        struct err error = ERR_INIT;
        struct store_reader *r;
        struct stream s;
        struct journal_record got, want;
        stream_init(&s, round, false);
        assert_ok(store_reader_open(b->store, &sh->id, &r, &error));
        uint64_t n = 0;
        for (;;) {
            uint64_t there = atomic_load(&sh->appended);
            enum status st = store_reader_next(r, &got, &error);
            if (st == ST_END) {
                assert_true(n >= there); /* what was appended before the look is seen */
                bool finished = store_reader_state(r) == STORE_FINISHED;
                st = store_reader_next(r, &got, &error); /* what came before it finished */
                if (st == ST_END && finished)
                    break;
                if (st == ST_END)
                    continue;
            }
            assert_ok(st);
            assert_int_equal(got.number, n);
            if (n < N) {
                stream_next(&s, &want);
                assert_true(record_equal(&got, &want));
            } else {
                assert_int_equal(got.type, JOURNAL_END);
            }
            n++;
        }
        assert_int_equal(n, N + 1);
        reap(pid);
        store_reader_close(r);
        stream_deinit(&s);
        munmap(sh, sizeof *sh);
    }
}

/* ---- full disks ---- */

/* Appends until it fails for want of space; every record that was taken can be read. Runs in a child. */
static void fill(struct bench *b, struct shared *sh) {
    struct err error = ERR_INIT;
    struct record_gen g;
    struct journal_record r;
    record_gen_init(&g, 1, 1, 20, 200);
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &sh->id);
    enum status st;
    for (;;) {
        record_gen_next(&g, &r);
        if ((st = store_append(w, &r, &error)) != ST_OK)
            break;
        atomic_store(&sh->appended, r.number + 1);
    }
    assert_int_equal(st, ST_NO_SPACE);
    assert_non_null(strstr(error.text, b->path));
    assert_non_null(strstr(error.text, "free some space"));
    err_clear(&error);
    assert_int_equal(store_append(w, &r, &error), ST_NO_SPACE); /* sticks */
    err_clear(&error);
    assert_int_equal(store_run_close(w, &error), ST_NO_SPACE);
    assert_non_null(strstr(error.text, b->path));
}

static void check_filled(struct bench *b, struct shared *sh) {
    struct record_gen g;
    record_gen_init(&g, 1, 1, 20, 200);
    struct finding f = bench_read(b, &sh->id, &g);
    assert_int_equal(f.opened, ST_OK);
    assert_int_equal(f.ended, ST_END);
    assert_int_equal(f.records, atomic_load(&sh->appended));
    assert_true(f.records > 1000);
    record_gen_deinit(&g);
}

static void wait_ok(pid_t pid) {
    int status;
    must(waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void file_too_large(void **state) {
    struct bench *b = *state;
    struct shared *sh = shared_new();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        bench_reopen(b);
        must(setrlimit(RLIMIT_FSIZE, &(struct rlimit){2 << 20, 2 << 20}) == 0);
        fill(b, sh);
        _exit(0);
    }
    wait_ok(pid);
    check_filled(b, sh);
    munmap(sh, sizeof *sh);
}

static bool count_run(void *arg, const struct store_run *run) {
    (void)run;
    ++*(unsigned *)arg;
    return true;
}

/* Not even a tail fits: there is no run, then. */
static void no_space_for_a_tail(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_info info = {0};
        struct store_writer *w;
        signal(SIGXFSZ, SIG_IGN);
        bench_reopen(b);
        must(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100 << 10, 100 << 10}) == 0);
        assert_int_equal(store_run_new(b->store, &info, &(struct store_options){0}, &w, &error), ST_NO_SPACE);
        assert_non_null(strstr(error.text, b->path));
        _exit(0);
    }
    wait_ok(pid);
    unsigned n = 0;
    assert_ok(store_list(b->store, count_run, &n, &error));
    assert_int_equal(n, 0);
    char tmp[150];
    snprintf(tmp, sizeof tmp, "%s/tmp", b->path);
    assert_int_equal(rmdir(tmp), 0); /* nothing was left in it */
}

static void disk_full(void **state) {
    struct bench *b = *state, on_disk = *b;
    struct err error = ERR_INIT;
    char disk[sizeof b->path + 5];
    snprintf(disk, sizeof disk, "%s/disk", b->path);
    must(strlen(disk) < sizeof on_disk.path);
    must(mkdir(disk, 0700) == 0);
    if (mount("none", disk, "tmpfs", 0, "size=4m") != 0) {
        fprintf(stderr, "cannot mount a small disk (%s): skipped\n", strerror(errno));
        skip();
    }
    struct shared *sh = shared_new();
    memcpy(on_disk.path, disk, strlen(disk) + 1);
    assert_ok(store_open(b->world, disk, &on_disk.store, &error));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        bench_reopen(&on_disk);
        fill(&on_disk, sh);
        _exit(0);
    }
    wait_ok(pid);
    check_filled(&on_disk, sh);
    store_close(on_disk.store);
    munmap(sh, sizeof *sh);
    must(umount(disk) == 0);
}

static void unwritable(void **state) {
    struct bench *b = *state;
    fflush(NULL);
    must(chmod(b->path, 0755) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err error = ERR_INIT;
        struct store *s;
        char path[150];
        if (geteuid() == 0)
            must(setuid(65534) == 0);
        else
            must(chmod(b->path, 0500) == 0);
        snprintf(path, sizeof path, "%s/deeper/store", b->path);
        assert_int_equal(store_open(b->world, path, &s, &error), ST_DENIED);
        assert_non_null(strstr(error.text, path));
        assert_non_null(strstr(error.text, "AEON_HOME"));
        _exit(0);
    }
    wait_ok(pid);
    must(chmod(b->path, 0700) == 0);
}

/* ---- power cuts ---- */

static void write_some(struct bench *b, struct store_writer *w, void *arg) {
    (void)b;
    bench_append(w, arg, 30);
}

static void each_is_durable(void **state) {
    struct bench *b = *state;
    struct record_gen g;
    record_gen_init(&g, 3, 1, 5, 30);
    struct store_id id =
        bench_die(b, write_some, &(struct store_options){.sync = STORE_SYNC_EACH, .flush_ns = 1ull << 60}, &g);
    int fd = open(bench_path(b, &id, "tail"), O_RDONLY);
    struct tail_block head;
    must(pread(fd, &head, sizeof head, TAIL_HEADER) == sizeof head);
    assert_true(head.durable != 0 && head.durable == head.commit);
    close(fd);
    record_gen_deinit(&g);
}

/* The worker syncs by itself, without the guest doing anything. */
static void interval_becomes_durable(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    struct record_gen g;
    struct store_id id;
    record_gen_init(&g, 3, 1, 5, 30);
    struct store_writer *w =
        bench_run_new(b, &(struct store_options){.sync = STORE_SYNC_INTERVAL, .flush_ns = 1ull << 60}, &id);
    bench_append(w, &g, 30);
    int fd = open(bench_path(b, &id, "tail"), O_RDONLY);
    struct tail_block head;
    do {
        usleep(20000);
        must(pread(fd, &head, sizeof head, TAIL_HEADER) == sizeof head);
    } while (head.durable == 0);
    assert_true(head.durable == head.commit);
    close(fd);
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
}

/* The disk has the word that vouches for 30 records, but the bytes of 20 only. */
static void power_cut(void **state) {
    struct bench *b = *state;
    struct record_gen g, again;
    record_gen_init(&g, 3, 1, 5, 30);
    record_gen_init(&again, 3, 1, 5, 30);
    struct store_id id = bench_die(b, write_some, &(struct store_options){.flush_ns = 1ull << 60}, &g);
    int fd = open(bench_path(b, &id, "tail"), O_RDWR);
    uint8_t *map = mmap(NULL, TAIL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED);
    struct tail_block *head = tail_block_at(map, 0);
    uint8_t *data = map + tail_data_offset(0);
    struct journal_decoder *dec = journal_decoder_new();
    journal_decoder_reset(dec, 0, 0);
    size_t pos = 0;
    struct journal_record r;
    for (int i = 0; i < 20; i++)
        assert_int_equal(journal_decode(dec, SPAN(data, (uint32_t)head->commit), &pos, &r, NULL), ST_OK);
    uint32_t reg = tail_seed(0, 0, 0);
    head->durable = tail_commit_word((uint32_t)pos, journal_crc_running(&reg, data, 0, pos));
    memset(data + pos, 0, TAIL_BLOCK_SIZE - pos);

    struct finding f = bench_read(b, &id, &again);
    assert_int_equal(f.opened, ST_OK);
    assert_int_equal(f.records, 20);
    assert_int_equal(f.ended, ST_CORRUPT);
    assert_non_null(strstr(f.e.text, "power cut"));
    journal_decoder_free(dec);
    munmap(map, TAIL_SIZE);
    close(fd);
    record_gen_deinit(&g);
    record_gen_deinit(&again);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(killed_at_any_moment), T(live_reader),     T(file_too_large),           T(no_space_for_a_tail), T(disk_full),
        T(unwritable),           T(each_is_durable), T(interval_becomes_durable), T(power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
