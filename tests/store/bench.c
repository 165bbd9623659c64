#include "bench.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *bench_where = "/tmp";

int bench_setup(void **state) {
    struct bench *b = mem_zalloc(sizeof *b);
    struct err error = ERR_INIT;
    snprintf(b->path, sizeof b->path, "%s/aeon-test-store-XXXXXX", bench_where);
    must(mkdtemp(b->path));
    b->world = world_os_new();
    assert_ok(store_open(b->world, b->path, &b->store, &error));
    *state = b;
    return 0;
}

void bench_reopen(struct bench *b) {
    struct err error = ERR_INIT;
    assert_ok(store_open(b->world, b->path, &b->store, &error));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int bench_teardown(void **state) {
    struct bench *b = *state;
    store_close(b->store);
    b->world->ops->free(b->world);
    nftw(b->path, remove_one, 20, FTW_DEPTH | FTW_PHYS);
    mem_free(b);
    return 0;
}

void assert_ok_at(enum status st, struct err *e, const char *what, const char *file, int line) {
    if (st == ST_OK)
        return;
    fprintf(stderr, "%s:%d: %s: %s: %s\n", file, line, what, status_text(st), e->text);
    fail();
}

struct store_writer *bench_run_new(struct bench *b, const struct store_options *o, struct store_id *id) {
    static const char *const args[] = {"prog", "", "third arg"}, *const env[] = {"A=1"},
                             *const names[] = {"memory", "x"};
    static const char *const grants[] = {"dir /a:/b:ro"};
    static const uint64_t values[] = {1, UINT64_MAX};
    struct store_info info = {.module_name = "a module",
                              .aeon_version = "9.9",
                              .semantics_version = 3,
                              .nargs = 3,
                              .nenv = 1,
                              .ngrants = 1,
                              .nlimits = 2,
                              .args = args,
                              .env = env,
                              .grants = grants,
                              .limit_names = names,
                              .limit_values = values};
    memset(info.module.bytes, 0xab, sizeof info.module.bytes);
    struct store_writer *w = NULL;
    struct err error = ERR_INIT;
    assert_ok(store_run_new(b->store, &info, o, &w, &error));
    *id = info.id;
    return w;
}

void bench_append(struct store_writer *w, struct record_gen *g, unsigned n) {
    struct err error = ERR_INIT;
    struct journal_record r;
    for (unsigned i = 0; i < n; i++) {
        record_gen_next(g, &r);
        assert_ok(store_append(w, &r, &error));
    }
}

void bench_end(struct store_writer *w, struct record_gen *g, uint64_t kind, uint64_t value) {
    struct err error = ERR_INIT;
    struct journal_record r = {
        .type = JOURNAL_END, .time_ns = g->time_ns, .clock = g->clock[0], .nvals = 2, .vals = {kind, value}};
    assert_ok(store_append(w, &r, &error));
}

struct store_id bench_die(struct bench *b, void (*body)(struct bench *b, struct store_writer *w, void *arg),
                          const struct store_options *o, void *arg) {
    struct store_id *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        bench_reopen(b);
        struct store_writer *w = bench_run_new(b, o, shared);
        body(b, w, arg);
        kill(getpid(), SIGKILL);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid);
    must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    struct store_id id = *shared;
    munmap(shared, 4096);
    return id;
}

const char *bench_path(const struct bench *b, const struct store_id *id, const char *file) {
    static char path[200];
    char text[STORE_ID_TEXT];
    store_id_text(id, text);
    snprintf(path, sizeof path, "%s/runs/%s/%s", b->path, text, file);
    return path;
}

struct finding bench_read(struct bench *b, const struct store_id *id, struct record_gen *g) {
    struct finding f = {.e = ERR_INIT};
    struct store_reader *r;
    f.opened = store_reader_open(b->store, id, &r, &f.e);
    if (f.opened != ST_OK)
        return f;
    struct journal_record got, want;
    while ((f.ended = store_reader_next(r, &got, &f.e)) == ST_OK) {
        assert_int_equal(got.number, f.records);
        if (got.type != JOURNAL_END) {
            record_gen_next(g, &want);
            assert_true(record_equal(&got, &want));
        }
        f.records++;
    }
    /* it says the same again */
    struct err again = ERR_INIT;
    assert_int_equal(store_reader_next(r, &got, &again), f.ended);
    f.torn = store_reader_torn(r) != NULL;
    store_reader_close(r);
    return f;
}
