/* Objects, and runs as a user looks for them. */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void objects(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    static const char *const texts[] = {"", "a", "module bytes"};
    for (int i = 0; i < 3; i++) {
        struct sha256 h, want;
        struct span back;
        sha256_of(SPAN_STR(texts[i]), &want);
        assert_int_equal(store_get(b->store, &want, &back, NULL), ST_NOT_FOUND);
        assert_ok(store_put(b->store, SPAN_STR(texts[i]), &h, &error));
        assert_memory_equal(&h, &want, sizeof h);
        assert_ok(store_get(b->store, &h, &back, &error));
        assert_true(span_equal(back, SPAN_STR(texts[i])));
        store_unmap(b->store, back);
    }
}

static void object_path(const struct bench *b, const struct sha256 *h, char out[200]) {
    char hex[SHA256_HEX];
    sha256_hex(h, hex);
    snprintf(out, 200, "%s/objects/%s", b->path, hex);
}

static void object_is_not_written_again(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    struct sha256 h;
    struct stat before, after;
    char path[200];
    assert_ok(store_put(b->store, SPAN_STR("once"), &h, &error));
    object_path(b, &h, path);
    must(stat(path, &before) == 0);
    assert_ok(store_put(b->store, SPAN_STR("once"), &h, &error));
    must(stat(path, &after) == 0);
    assert_true(before.st_ino == after.st_ino);
    assert_int_equal(before.st_mode & 0777, 0400);
    /* but one that was cut is repaired */
    must(truncate(path, 2) == 0);
    struct span back;
    assert_int_equal(store_get(b->store, &h, &back, &error), ST_CORRUPT);
    assert_non_null(strstr(error.text, path));
    err_clear(&error);
    assert_ok(store_put(b->store, SPAN_STR("once"), &h, &error));
    assert_ok(store_get(b->store, &h, &back, &error));
    store_unmap(b->store, back);
}

static void objects_by_many_at_once(void **state) {
    struct bench *b = *state;
    enum { WRITERS = 6, SIZE = 3 << 20 };
    struct err error = ERR_INIT;
    uint8_t *data = mem_alloc(SIZE);
    for (unsigned round = 0; round < 5; round++) {
        memset(data, (int)round, SIZE);
        fflush(NULL);
        for (int i = 0; i < WRITERS; i++) {
            if (fork() == 0) {
                struct sha256 h;
                struct span back;
                bool ok = store_put(b->store, SPAN(data, SIZE), &h, &error) == ST_OK &&
                          store_get(b->store, &h, &back, &error) == ST_OK && span_equal(back, SPAN(data, SIZE));
                _exit(ok ? 0 : 1);
            }
        }
        for (int i = 0; i < WRITERS; i++) {
            int status;
            must(wait(&status) > 0);
            assert_int_equal(status, 0);
        }
    }
    mem_free(data);
}

/* ---- runs ---- */

static struct store_id make_run(struct bench *b, unsigned n, bool end) {
    struct store_id id;
    struct err error = ERR_INIT;
    struct record_gen g;
    record_gen_init(&g, n, 1, 5, 30);
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &id);
    bench_append(w, &g, n);
    if (end)
        bench_end(w, &g, 2, 7);
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
    return id;
}

static void write_some(struct bench *b, struct store_writer *w, void *arg) {
    (void)b;
    struct record_gen g;
    record_gen_init(&g, 9, 1, 5, 30);
    bench_append(w, &g, *(unsigned *)arg);
}

struct listing {
    struct store_run run[20];
    unsigned n;
};

static bool collect(void *arg, const struct store_run *run) {
    struct listing *l = arg;
    must(l->n < 20);
    l->run[l->n++] = *run;
    return true;
}

static bool only_one(void *arg, const struct store_run *run) {
    collect(arg, run);
    return false;
}

static void list(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    unsigned some = 4000;
    struct store_id id[6] = {make_run(b, 100, true), make_run(b, 0, true), make_run(b, 10, false),
                             bench_die(b, write_some, &(struct store_options){0}, &some), make_run(b, 5000, true)};
    struct record_gen g;
    record_gen_init(&g, 1, 1, 5, 30);
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &id[5]);
    bench_append(w, &g, 321);

    char path[200];
    snprintf(path, sizeof path, "%s/runs/not-a-run", b->path);
    must(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s", bench_path(b, &id[4], "00000000000000000000.seg"));
    must(truncate(path, 1000) == 0);

    struct listing l = {.n = 0};
    assert_ok(store_list(b->store, collect, &l, &error));
    assert_int_equal(l.n, 6);
    static const enum store_state states[] = {STORE_FINISHED,   STORE_FINISHED, STORE_UNFINISHED,
                                              STORE_UNFINISHED, STORE_DAMAGED,  STORE_RUNNING};
    static const uint64_t records[] = {101, 1, 10, 4000, 0, 321};
    for (unsigned i = 0; i < 6; i++) {
        const struct store_run *r = &l.run[i];
        assert_memory_equal(&r->id, &id[i], sizeof r->id); /* oldest first */
        assert_int_equal(r->state, states[i]);
        assert_true(r->started_ns > 0 && (i == 0 || r->started_ns >= l.run[i - 1].started_ns));
        assert_string_equal(r->module_name, "a module");
        assert_int_equal(r->module.bytes[5], 0xab);
        if (i == 4) {
            assert_non_null(strstr(r->problem, "00000000000000000000.seg"));
            continue;
        }
        assert_string_equal(r->problem, "");
        assert_int_equal(r->records, records[i]);
        assert_true(r->size_bytes > 300);
        assert_true(records[i] < 5 || r->duration_ns > 0);
        if (r->state == STORE_FINISHED)
            assert_true(r->outcome_kind == 2 && r->outcome_value == 7);
    }
    l.n = 0;
    assert_ok(store_list(b->store, only_one, &l, &error));
    assert_int_equal(l.n, 1);
    assert_ok(store_run_close(w, &error));
    record_gen_deinit(&g);
}

static void find(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    struct store_id got;
    assert_int_equal(store_find(b->store, "last", &got, NULL), ST_NOT_FOUND);
    struct store_id first = make_run(b, 1, true), last = make_run(b, 1, true);
    char text[STORE_ID_TEXT], shorty[STORE_ID_SHORT], what[80];
    store_id_text(&first, text);
    store_id_short(&first, shorty);
    assert_string_equal(text + STORE_ID_TEXT - STORE_ID_SHORT, shorty);

    static const char *const forms[] = {"%s", "\xe2\x80\xa6%s", "...%s"};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(what, sizeof what, forms[i], shorty);
        assert_ok(store_find(b->store, what, &got, &error));
        assert_memory_equal(&got, &first, sizeof got);
    }
    assert_ok(store_find(b->store, text, &got, &error));
    assert_memory_equal(&got, &first, sizeof got);
    char digits[33] = "";
    for (size_t i = 0, n = 0; text[i]; i++)
        if (text[i] != '-')
            digits[n++] = text[i];
    assert_ok(store_find(b->store, digits, &got, &error));
    for (char *p = digits; *p; p++)
        if (*p >= 'a')
            *p = (char)(*p - 32);
    assert_ok(store_find(b->store, digits, &got, &error));
    assert_memory_equal(&got, &first, sizeof got);
    assert_ok(store_find(b->store, "last", &got, &error));
    assert_memory_equal(&got, &last, sizeof got);

    snprintf(what, sizeof what, "%.4s", text); /* the same hour */
    assert_int_equal(store_find(b->store, what, &got, &error), ST_AMBIGUOUS);
    assert_non_null(strstr(error.text, text));
    assert_int_equal(store_find(b->store, "ffffffffffff", &got, NULL), ST_NOT_FOUND);
    static const char *const bad[] = {"", "xyz", "...", "0123456789abcdef0123456789abcdef0", "../x"};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(store_find(b->store, bad[i], &got, NULL), ST_INVALID);
}

static void remove_runs(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    struct store_id gone = make_run(b, 10, true), kept = make_run(b, 10, true), running;
    struct store_writer *w = bench_run_new(b, &(struct store_options){0}, &running);
    assert_int_equal(store_remove(b->store, &running, &error), ST_BUSY);
    assert_non_null(strstr(error.text, "still going"));
    err_clear(&error);
    assert_ok(store_remove(b->store, &gone, &error));
    assert_int_equal(store_remove(b->store, &gone, NULL), ST_NOT_FOUND);
    struct store_reader *r;
    assert_int_equal(store_reader_open(b->store, &gone, &r, NULL), ST_NOT_FOUND);
    assert_ok(store_reader_open(b->store, &kept, &r, &error));
    store_reader_close(r);
    assert_ok(store_run_close(w, &error));
    assert_ok(store_remove(b->store, &running, &error));
    struct listing l = {.n = 0};
    assert_ok(store_list(b->store, collect, &l, &error));
    assert_int_equal(l.n, 1);
}

/* What died while it was being made is cleared away, but not before it is old. */
static void leftovers(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    char old[200], young[200], file[220];
    snprintf(old, sizeof old, "%s/tmp/old", b->path);
    snprintf(young, sizeof young, "%s/tmp/young", b->path);
    snprintf(file, sizeof file, "%s/tail", old);
    must(mkdir(old, 0700) == 0 && mkdir(young, 0700) == 0);
    FILE *f = fopen(file, "w");
    must(f && fclose(f) == 0);
    struct timespec day_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    must(utimensat(-100, old, day_ago, 0) == 0);
    struct store *again;
    assert_ok(store_open(b->world, b->path, &again, &error));
    store_close(again);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(young, F_OK), 0);
}

static void opening(void **state) {
    struct bench *b = *state;
    struct err error = ERR_INIT;
    struct store *s;
    char path[200];
    snprintf(path, sizeof path, "%s/a/b/c//", b->path); /* made, with what is above it */
    assert_ok(store_open(b->world, path, &s, &error));
    store_close(s);
    struct stat st;
    must(stat(path, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/file", b->path);
    FILE *f = fopen(path, "w");
    must(f && fclose(f) == 0);
    assert_int_not_equal(store_open(b->world, path, &s, &error), ST_OK);
    assert_non_null(strstr(error.text, path));
}

/* Ids sort by the time they were made, also within a millisecond. */
static void ids_in_order(void **state) {
    struct bench *b = *state;
    struct store_id before = make_run(b, 0, false);
    for (int i = 0; i < 50; i++) {
        struct store_id id = make_run(b, 0, false);
        assert_true(memcmp(&before, &id, sizeof id) < 0);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        before = id;
    }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(objects),
        T(object_is_not_written_again),
        T(objects_by_many_at_once),
        T(list),
        T(find),
        T(remove_runs),
        T(leftovers),
        T(opening),
        T(ids_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
