/* Flip one bit anywhere, cut at any byte, take files away or bring others in: the reader says so and where, after it
 * has given what is whole, and never gives what was not written. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEED = 77 };

static struct record_gen *generator(void) {
    static struct record_gen g;
    record_gen_deinit(&g);
    record_gen_init(&g, SEED, 2, 10, 20);
    return &g;
}

static void segment_file(uint64_t first, char out[32]) {
    snprintf(out, 32, "%020llu.seg", (unsigned long long)first);
}

static off_t file_size(const char *path) {
    struct stat st;
    must(stat(path, &st) == 0);
    return st.st_size;
}

/* The whole file; freed by the caller. */
static uint8_t *contents(int fd, off_t size) {
    must(size >= 0 && size < 1 << 30);
    uint8_t *all = mem_alloc((size_t)size + 1);
    must(pread(fd, all, (size_t)size, 0) == size);
    return all;
}

static void flip(int fd, off_t byte, int bit) {
    uint8_t v;
    must(pread(fd, &v, 1, byte) == 1);
    v ^= (uint8_t)(1 << bit);
    must(pwrite(fd, &v, 1, byte) == 1);
}

static bool is_damage(enum status st) {
    return st == ST_CORRUPT || st == ST_TRUNCATED || st == ST_VERSION;
}

/* The damage was noticed, and the words name the file. `torn_is_fine`: it may look like what a dying writer leaves. */
static void noticed(struct bench *b, const struct store_id *id, uint64_t records, const char *file, bool torn_is_fine,
                    off_t byte) {
    struct finding f = bench_read(b, id, generator());
    bool error = is_damage(f.opened) || (f.opened == ST_OK && is_damage(f.ended));
    if (!error && torn_is_fine && f.torn && f.ended == ST_END && f.records == records)
        return;
    if (!error || !strstr(f.e.text, "/runs/") || (file && !strstr(f.e.text, file)))
        fprintf(stderr, "%s byte %lld: opened %d, ended %d, %llu records, torn %d: %s\n", file ? file : "",
                (long long)byte, f.opened, f.ended, (unsigned long long)f.records, f.torn, f.e.text);
    assert_true(error);
    assert_non_null(strstr(f.e.text, "/runs/"));
    assert_true(!file || strstr(f.e.text, file));
    assert_true(f.records <= records);
}

static struct store_id finished_run(struct bench *b, unsigned n, const struct store_options *o) {
    struct store_id id;
    struct err error = ERR_INIT;
    struct record_gen *g = generator();
    struct store_writer *w = bench_run_new(b, o, &id);
    bench_append(w, g, n);
    bench_end(w, g, 0, 0);
    assert_ok(store_run_close(w, &error));
    struct finding f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == n + 1 && !f.torn);
    return id;
}

static void finished_every_bit_and_cut(struct bench *b, unsigned n, uint64_t flush_ns) {
    struct store_id id = finished_run(b, n, &(struct store_options){.flush_ns = flush_ns});
    char file[32], path[200];
    segment_file(0, file);
    snprintf(path, sizeof path, "%s", bench_path(b, &id, file));
    off_t size = file_size(path);
    int fd = open(path, O_RDWR);
    must(fd >= 0);
    for (off_t byte = 0; byte < size; byte++)
        for (int bit = 0; bit < 8; bit++) {
            flip(fd, byte, bit);
            noticed(b, &id, n + 1, file, false, byte);
            flip(fd, byte, bit);
        }
    uint8_t *all = contents(fd, size);
    for (off_t cut = size - 1; cut >= 0; cut--) {
        must(ftruncate(fd, cut) == 0);
        noticed(b, &id, n + 1, file, false, cut);
    }
    must(pwrite(fd, all, (size_t)size, 0) == size);
    all[size] = 0;
    must(pwrite(fd, all + size, 1, size) == 1); /* one byte too many */
    noticed(b, &id, n + 1, file, false, size);
    mem_free(all);
    close(fd);
}

static void finished(void **state) {
    finished_every_bit_and_cut(*state, 8, 0);
}

static void finished_many_frames(void **state) {
    finished_every_bit_and_cut(*state, 5, 1);
}

static void finished_without_records(void **state) {
    struct bench *b = *state;
    struct store_id id;
    struct err error = ERR_INIT;
    char file[32];
    segment_file(0, file);
    assert_ok(store_run_close(bench_run_new(b, &(struct store_options){0}, &id), &error));
    int fd = open(bench_path(b, &id, file), O_RDWR);
    off_t size = file_size(bench_path(b, &id, file));
    for (off_t byte = 0; byte < size; byte++) {
        flip(fd, byte, (int)(byte % 8));
        noticed(b, &id, 0, file, false, byte);
        flip(fd, byte, (int)(byte % 8));
    }
    close(fd);
}

static void write_some(struct bench *b, struct store_writer *w, void *arg) {
    (void)b;
    bench_append(w, generator(), *(unsigned *)arg);
}

/* Frames in the segment, blocks in the tail. */
static void unfinished(void **state) {
    struct bench *b = *state;
    unsigned n = 8;
    char file[32], path[200];
    segment_file(0, file);
    struct store_id id = bench_die(b, write_some, &(struct store_options){.flush_ns = 100000}, &n);
    struct finding f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == n && !f.torn);

    snprintf(path, sizeof path, "%s", bench_path(b, &id, "tail"));
    int fd = open(path, O_RDWR);
    off_t size = file_size(path);
    /* all that is used, and a part of what is not */
    uint8_t head[4096];
    must(pread(fd, head, sizeof head, 0) == sizeof head);
    unsigned flipped = 0;
    for (off_t byte = 0; byte < size; byte++) {
        uint32_t committed = 0;
        if (byte >= 4096)
            memcpy(&committed, head + 64 + (byte - 4096) / (256 << 10) * 64 + 8, 4);
        bool used = byte < 4096 ? byte < 64 + 4 * 64 : (byte - 4096) % (256 << 10) < committed;
        if (!used && byte % 16411 != 0 && byte != size - 1)
            continue;
        for (int bit = 0; bit < 8; bit++) {
            if (!used && bit != byte % 8)
                continue;
            flip(fd, byte, bit);
            noticed(b, &id, n, "tail", true, byte);
            flip(fd, byte, bit);
            flipped++;
        }
    }
    assert_true(flipped > 2500);
    uint8_t *all = contents(fd, size);
    for (off_t cut = size - 1; cut >= 0; cut -= cut > 8192 ? 16411 : cut > 400 ? 61 : 1) {
        must(ftruncate(fd, cut) == 0);
        noticed(b, &id, n, "tail", false, cut);
    }
    must(pwrite(fd, all, (size_t)size, 0) == size);
    close(fd);
    mem_free(all);

    snprintf(path, sizeof path, "%s", bench_path(b, &id, file));
    fd = open(path, O_RDWR);
    size = file_size(path);
    for (off_t byte = 0; byte < size; byte++)
        for (int bit = 0; bit < 8; bit++) {
            flip(fd, byte, bit);
            noticed(b, &id, n, file, false, byte);
            flip(fd, byte, bit);
        }
    all = contents(fd, size);
    for (off_t cut = size - 1; cut >= 0; cut--) {
        must(ftruncate(fd, cut) == 0);
        noticed(b, &id, n, NULL, false, cut);
    }
    must(pwrite(fd, all, (size_t)size, 0) == size);
    mem_free(all);

    /* what was begun and not finished at the end is cut, and nothing is lost */
    must(pwrite(fd, "AFRM", 4, size) == 4);
    f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == n && f.torn);
    must(pwrite(fd, "AEONIDX", 7, size) == 7);
    f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == n && f.torn);
    must(ftruncate(fd, size) == 0);
    close(fd);

    snprintf(path, sizeof path, "%s", bench_path(b, &id, "tail"));
    must(unlink(path) == 0);
    noticed(b, &id, n, file, false, 0);
}

/* A record that was being written when the process died. */
static void write_half(struct bench *b, struct store_writer *w, void *arg) {
    write_some(b, w, arg);
}

static void torn_record(void **state) {
    struct bench *b = *state;
    unsigned n = 30;
    struct store_id id = bench_die(b, write_half, &(struct store_options){0}, &n);
    int fd = open(bench_path(b, &id, "tail"), O_RDWR);
    uint32_t size;
    must(pread(fd, &size, 4, 64 + 8) == 4);
    must(pwrite(fd, "\x81\x05", 2, 4096 + (off_t)size) == 2);
    struct finding f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == n && f.torn);
    close(fd);
}

/* What is whole before the damage is given all the same. */
static void given_up_to_the_damage(void **state) {
    struct bench *b = *state;
    unsigned n = 20000;
    struct store_id id = finished_run(b, n, &(struct store_options){.flush_ns = 300000});
    char file[32];
    segment_file(0, file);
    int fd = open(bench_path(b, &id, file), O_RDWR);
    off_t size = file_size(bench_path(b, &id, file));
    uint64_t before = 0;
    for (off_t byte = 2000; byte < size; byte += size / 40) {
        flip(fd, byte, 3);
        struct finding f = bench_read(b, &id, generator());
        assert_true(f.opened == ST_OK && is_damage(f.ended) && f.records >= before && f.records <= n + 1);
        before = f.records;
        /* and what comes after can be reached by going there */
        struct store_reader *r;
        struct err error = ERR_INIT;
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        assert_ok(store_reader_seek(r, n - 1, &error));
        store_reader_close(r);
        flip(fd, byte, 3);
    }
    assert_int_equal(before, n + 1); /* in the index at last */
    close(fd);
}

/* ---- whole files ---- */

static struct store_id many_segments(struct bench *b, unsigned n, uint64_t first[8], uint32_t *nsegments) {
    struct store_id id = finished_run(b, n, &(struct store_options){.segment_bytes = 1, .flush_ns = 1000000});
    struct err error = ERR_INIT;
    struct store_reader *r;
    assert_ok(store_reader_open(b->store, &id, &r, &error));
    *nsegments = store_reader_nsegments(r);
    must(*nsegments >= 3 && *nsegments <= 8);
    for (uint32_t i = 0; i < *nsegments; i++)
        first[i] = store_reader_segment(r, i).first_record;
    store_reader_close(r);
    return id;
}

static void files_gone_or_foreign(void **state) {
    struct bench *b = *state;
    enum { N = 8000 };
    uint64_t first[8], other_first[8];
    uint32_t n, other_n;
    struct store_id id = many_segments(b, N, first, &n), other = many_segments(b, N, other_first, &other_n);
    must(n == other_n && memcmp(first, other_first, n * sizeof *first) == 0);
    for (uint32_t i = 0; i < n; i++) {
        char file[32], path[200], aside[220], foreign[200];
        segment_file(first[i], file);
        snprintf(path, sizeof path, "%s", bench_path(b, &id, file));
        snprintf(foreign, sizeof foreign, "%s", bench_path(b, &other, file));
        snprintf(aside, sizeof aside, "%s.aside", path);

        /* removed */
        must(rename(path, aside) == 0);
        struct finding f = bench_read(b, &id, generator());
        assert_true(f.opened == ST_OK && f.ended == ST_TRUNCATED);
        assert_int_equal(f.records, first[i]);
        struct store_reader *r;
        struct err error = ERR_INIT;
        assert_ok(store_reader_open(b->store, &id, &r, &error));
        assert_int_equal(store_reader_state(r), STORE_DAMAGED);
        store_reader_close(r);

        /* that of another run */
        must(link(foreign, path) == 0);
        noticed(b, &id, N + 1, file, false, 0);
        must(unlink(path) == 0);

        /* empty */
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        noticed(b, &id, N + 1, file, false, 0);
        close(fd);
        must(unlink(path) == 0);
        must(rename(aside, path) == 0);

        /* cut where its index begins, and at some byte */
        off_t size = file_size(path);
        uint64_t index;
        fd = open(path, O_RDWR);
        uint8_t *all = contents(fd, size);
        memcpy(&index, all + size - 120, 8);
        off_t cuts[] = {(off_t)index, (off_t)index + 5, size - 128, size - 1, size / 2, 3};
        for (int k = 0; k < 6; k++) {
            must(ftruncate(fd, cuts[k]) == 0);
            noticed(b, &id, N + 1, file, false, cuts[k]);
            must(pwrite(fd, all, (size_t)size, 0) == size);
        }
        mem_free(all);
        close(fd);

        /* under another's name */
        char wrong[32], wrong_path[200];
        segment_file(first[i] + 1, wrong);
        snprintf(wrong_path, sizeof wrong_path, "%s", bench_path(b, &id, wrong));
        must(rename(path, wrong_path) == 0);
        noticed(b, &id, N + 1, NULL, false, 0);
        must(rename(wrong_path, path) == 0);
    }
    struct finding f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == N + 1);
}

/* Makes a file say another version, checksum included: the header is `size` bytes, or says so itself. */
static void set_version(int fd, uint8_t version, uint32_t size) {
    uint8_t header[4096];
    must(pread(fd, header, sizeof header, 0) > 0);
    header[8] = version;
    if (!size)
        size = get_u32(header + 12);
    must(size <= sizeof header);
    put_u32(header + size - 4, journal_crc32c(0, header, size - 4));
    must(pwrite(fd, header, size, 0) == (ssize_t)size);
}

/* Newer ones are refused in words; version 1 is version 2 without what came with it. */
static void other_version(void **state) {
    struct bench *b = *state;
    char file[32];
    segment_file(0, file);
    struct store_id id = finished_run(b, 5, &(struct store_options){0});
    int fd = open(bench_path(b, &id, file), O_RDWR);
    set_version(fd, 3, 0);
    struct finding f = bench_read(b, &id, generator());
    assert_int_equal(f.opened, ST_VERSION);
    assert_non_null(strstr(f.e.text, "format 3"));
    set_version(fd, 0, 0);
    assert_int_equal(bench_read(b, &id, generator()).opened, ST_VERSION);
    set_version(fd, 1, 0);
    f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == 6);
    close(fd);

    unsigned n = 3;
    id = bench_die(b, write_some, &(struct store_options){0}, &n);
    fd = open(bench_path(b, &id, "tail"), O_RDWR);
    set_version(fd, 3, 64);
    f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_VERSION);
    set_version(fd, 1, 64);
    f = bench_read(b, &id, generator());
    assert_true(f.opened == ST_OK && f.ended == ST_END && f.records == 3);
    close(fd);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(finished),    T(finished_many_frames),   T(finished_without_records), T(unfinished),
        T(torn_record), T(given_up_to_the_damage), T(files_gone_or_foreign),    T(other_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
