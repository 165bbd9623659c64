/* Archives: made by tar(1) in its formats, seen as directories; and damaged ones. */
#include "../world/tree.h"
#include "base/must.h"
#include "base/prng.h"
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG60 "123456789_123456789_123456789_123456789_123456789_123456789_"
#define LONG   LONG60 LONG60 LONG60 /* 180 bytes: beyond what a plain header has room for */

static void shell(const char *command) {
    char line[2048];
    snprintf(line, sizeof line, "cd %s && %s", box_path("."), command);
    must(system(line) == 0);
}

static int set_up(void **state) {
    (void)state;
    box_new();
    tree_dir("t");
    tree_file("t/f", "file f");
    tree_file("t/nothing", "");
    tree_dir("t/d");
    tree_dir("t/d/e");
    tree_file("t/d/e/f", "deep");
    tree_link("t/l", "d/e/f");
    tree_link("t/abs", "/etc/passwd");
    tree_link("t/d/up", "../../out");
    must(linkat(tree_fd(), "t/f", tree_fd(), "t/d/twin", 0) == 0);
    int fd = openat(tree_fd(), "t/big", O_WRONLY | O_CREAT, 0640);
    for (int i = 0; i < 100000; i++)
        must(write(fd, &i, sizeof i) == sizeof i);
    close(fd);
    must(utimensat(tree_fd(), "t/big", (struct timespec[2]){{1, 0}, {1234567890, 0}}, 0) == 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    box_free();
    return 0;
}

static enum status try_open(const char *path, int *fd, struct err *e) {
    err_clear(e);
    return files_open_archive(files, box_path(path), fd, e);
}

static int archive(const char *path) {
    struct err e = ERR_INIT;
    int fd = -1;
    if (try_open(path, &fd, &e))
        fail_msg("%s", e.text);
    return fd;
}

/* What all formats have to show. */
static void is_all_there(int a) {
    struct world_stat st, twin;
    assert_string_equal(text_of(a, "f"), "file f");
    assert_string_equal(text_of(a, "nothing"), "");
    assert_string_equal(text_of(a, "d/e/f"), "deep");
    assert_string_equal(text_of(a, "l"), "deep");
    assert_string_equal(text_of(a, "d/twin"), "file f");
    assert_string_equal(text_of(a, "abs"), "EPERM");
    assert_string_equal(text_of(a, "d/up"), "EPERM");
    assert_string_equal(text_of(a, "none"), "ENOENT");
    assert_string_equal(text_of(a, "f/x"), "ENOTDIR");
    assert_string_equal(text_of(a, "d"), "EISDIR");
    assert_string_equal(names_in(a, "d"), "e twin up");
    assert_int_equal(OP(stat_at, a, "f", 0, &st), 0);
    assert_int_equal(OP(stat_at, a, "d/twin", 0, &twin), 0);
    assert_int_equal(st.ino, twin.ino);
    assert_int_equal(st.dev, twin.dev);
    assert_int_equal(st.nlink, 2);
    assert_int_equal(OP(stat_at, a, "big", 0, &st), 0);
    assert_int_equal(st.mtim, 1234567890u * UINT64_C(1000000000));
    assert_int_equal(st.size, 400000);
    assert_int_equal(st.mode, 0640);
    int fd = OP(open, a, "big", WORLD_READ, 0), again = OP(dup, fd);
    int read_before[4] = {0};
    struct iovec iov[2] = {{read_before, 4}, {read_before + 1, 4}};
    assert_int_equal(OP(readv, fd, iov, 2), 8);
    assert_int_equal(OP(readv, again, iov, 1), 4); /* both stand at one place */
    assert_int_equal(read_before[0], 2);
    assert_int_equal(OP(seek, fd, -4, SEEK_END), 399996);
    assert_int_equal(OP(readv, fd, iov, 2), 4);
    assert_int_equal(read_before[0], 99999);
    assert_int_equal(OP(readv, fd, iov, 2), 0);
    assert_int_equal(OP(preadv, fd, iov, 1, 40), 4);
    assert_int_equal(read_before[0], 10);
    assert_int_equal(OP(preadv, fd, iov, 1, 1 << 30), 0);
    assert_int_equal(OP(writev, fd, iov, 1), -EBADF);
    assert_int_equal(OP(seek, fd, -1, SEEK_SET), -EINVAL);
    assert_int_equal(OP(close, fd), 0);
    assert_int_equal(OP(stat, again, &st), 0);
    assert_int_equal(st.size, 400000);
    assert_int_equal(OP(close, again), 0);
}

static void formats(void **state) {
    (void)state;
    static const char *const names[] = {"v7", "oldgnu", "gnu", "ustar", "pax"};
    for (int i = 0; i < 5; i++) {
        char command[256], name[32];
        snprintf(command, sizeof command, "tar --format=%s -cf %s.tar -C t .", names[i], names[i]);
        shell(command);
        snprintf(name, sizeof name, "%s.tar", names[i]);
        int a = archive(name);
        is_all_there(a);
        assert_string_equal(names_in(a, "."), "abs big d f l nothing");
        OP(close, a);
    }
    /* Names without ./, directories that are not in it, and several archives' worth of updates. */
    shell("tar -cf part.tar -C t d/e/f f big nothing d/twin l abs d/up && printf changed > t/nothing && "
          "tar -rf part.tar -C t nothing && printf '' > t/nothing && tar -rf part.tar -C t nothing");
    is_all_there(archive("part.tar"));
    /* A label, a FIFO, an incremental archive's directories. */
    shell("mkfifo t/fifo && tar -V label -cf label.tar -C t . && rm t/fifo");
    int a = archive("label.tar");
    is_all_there(a);
    assert_string_equal(names_in(a, "."), "abs big d f l nothing");
}

static void long_names(void **state) {
    (void)state;
    tree_dir("t/" LONG);
    tree_dir("t/" LONG "/" LONG);
    tree_file("t/" LONG "/" LONG "/f", "far");
    tree_link("t/far", LONG "/" LONG "/f");
    tree_file("t/" LONG60 LONG60, "one name of 120 bytes");
    static const char *const names[] = {"gnu", "pax"};
    for (int i = 0; i < 2; i++) {
        char command[256];
        snprintf(command, sizeof command, "tar --format=%s -cf long.tar -C t .", names[i]);
        shell(command);
        int a = archive("long.tar");
        is_all_there(a);
        assert_string_equal(text_of(a, "far"), "far");
        assert_string_equal(text_of(a, LONG "/" LONG "/f"), "far");
        assert_string_equal(text_of(a, LONG60 LONG60), "one name of 120 bytes");
        assert_string_equal(names_in(a, LONG), LONG);
        OP(close, a);
    }
    shell("rm -rf t/1* t/far && mkdir -p t/" LONG60 "/" LONG60 " && echo x > t/" LONG60 "/" LONG60 "/f && "
          "tar --format=ustar -cf long.tar -C t ."); /* in two parts: name and prefix */
    assert_string_equal(text_of(archive("long.tar"), LONG60 "/" LONG60 "/f"), "x\n");
}

static void nothing_can_be_changed(void **state) {
    (void)state;
    shell("tar -cf a.tar -C t .");
    int a = archive("a.tar");
    assert_int_equal(put(a, "f", "x"), -EROFS);
    assert_int_equal(put(a, "new", "x"), -EROFS);
    assert_int_equal(OP(open, a, "f", WORLD_READ | WORLD_TRUNCATE, 0), -EROFS);
    assert_int_equal(OP(open, a, "f", WORLD_CREATE | WORLD_EXCLUSIVE | WORLD_READ, 0), -EEXIST);
    int fd = OP(open, a, "f", WORLD_CREATE | WORLD_READ, 0);
    assert_true(fd >= 0);
    assert_int_equal(OP(set_size, fd, 0), -EINVAL);
    assert_int_equal(OP(set_times, fd, 0, 0, WORLD_MTIM), -EROFS);
    assert_int_equal(OP(allocate, fd, 0, 100), -EBADF);
    assert_int_equal(OP(sync, fd, false), 0);
    assert_int_equal(OP(advise, fd, 0, 0, 0), 0);
    assert_int_equal(OP(close, fd), 0);
    assert_int_equal(OP(make_dir, a, "new", 0, 0777), -EROFS);
    assert_int_equal(OP(make_dir, a, "d", 0, 0777), -EEXIST);
    assert_int_equal(OP(remove, a, "f", 0, false), -EROFS);
    assert_int_equal(OP(remove, a, "none", 0, false), -ENOENT);
    assert_int_equal(OP(rename, a, "f", a, "g", 0), -EROFS);
    assert_int_equal(OP(link, a, "f", a, "g", 0), -EROFS);
    assert_int_equal(OP(symlink, "f", a, "g", 0), -EROFS);
    assert_int_equal(OP(set_times_at, a, "f", 0, 0, 0, WORLD_MTIM), -EROFS);
    assert_int_equal(OP(set_times, a, 0, 0, WORLD_MTIM), -EROFS);
}

/* Of an archive as the lower directory of an overlay everything can be changed. */
static void changes_kept_apart(void **state) {
    (void)state;
    shell("tar -cf a.tar -C t .");
    int o = box_overlay("a.tar", "up", 1 << 20, 100);
    is_all_there(o);
    assert_string_equal(names_in(o, "."), "abs big d f l nothing");
    char text[64];
    int r = OP(open, o, "d/e/f", WORLD_READ, 0), again = OP(dup, r);
    struct iovec two = {text, 2};
    assert_int_equal(OP(readv, r, &two, 1), 2);
    assert_int_equal(append(o, "d/e/f", "er"), 2);
    assert_int_equal(OP(close, r), 0);
    assert_int_equal(read_at(again, text, sizeof text), 4); /* who reads it reads on in the copy */
    assert_string_equal(text, "eper");
    assert_int_equal(OP(close, again), 0);
    assert_int_equal(OP(remove, o, "f", 0, false), 0);
    assert_int_equal(OP(rename, o, "big", o, "d/e/bigger", 0), 0);
    assert_int_equal(OP(rename, o, "d", o, "dd", 0), -EXDEV);
    assert_string_equal(names_in(o, "."), "abs d l nothing");
    struct world_stat st;
    assert_int_equal(OP(stat_at, o, "d/e/bigger", 0, &st), 0);
    assert_int_equal(st.mtim, 1234567890u * UINT64_C(1000000000));
    assert_int_equal(st.mode, 0640);
    assert_string_equal(tree_read("up/d/e/f"), "deeper");
    int left_open = OP(open, o, "nothing", WORLD_READ, 0);
    assert_true(left_open >= 0); /* freeing the layer closes it */
    int a = archive("a.tar");
    is_all_there(a);
    assert_int_equal(OP(rename, o, "nothing", a, "x", 0), -EXDEV);
}

static void refused(const char *path, enum status s, const char *words) {
    struct err e = ERR_INIT;
    int fd;
    enum status got = try_open(path, &fd, &e);
    if (got != s || !strstr(e.text, words) || !strstr(e.text, path))
        fail_msg("%s: %s: %s; not '%s'", path, status_text(got), e.text, words);
}

static void refusals(void **state) {
    (void)state;
    refused("none.tar", ST_NOT_FOUND, "No such file");
    refused("t", ST_INVALID, "is no file");
    shell("tar -czf c.tar.gz -C t . && truncate -s 1M t/holes && printf x >> t/holes && "
          "tar -Scf sparse.tar -C t holes && tar --format=pax -Scf sparse2.tar -C t holes && "
          "tar -Pcf abs.tar $PWD/t/f && (cd t/d && tar -Pcf ../../up.tar ../f) && rm t/holes && "
          "tar -cf a.tar -C t . && cp t/big noise.tar && : > empty.tar");
    refused("c.tar.gz", ST_UNSUPPORTED, "compressed");
    refused("sparse.tar", ST_UNSUPPORTED, "sparse");
    refused("sparse2.tar", ST_UNSUPPORTED, "sparse");
    refused("abs.tar", ST_CORRUPT, "absolute");
    refused("up.tar", ST_CORRUPT, "..");
    refused("noise.tar", ST_CORRUPT, "at byte 0: this is no tar archive");
    refused("empty.tar", ST_CORRUPT, "at byte 0: this is no tar archive");
    /* Cut off within contents; within a header; before the end. */
    shell("head -c 100000 a.tar > cut1.tar; head -c 900 a.tar > cut2.tar; head -c 1024 a.tar > cut3.tar");
    refused("cut1.tar", ST_CORRUPT, "cut off");
    refused("cut2.tar", ST_CORRUPT, "cut off");
    refused("cut3.tar", ST_CORRUPT, "at byte ");
    /* Through a link: what would be written elsewhere when it is unpacked. */
    shell("mkdir x && ln -s /tmp x/l && tar -cf through.tar -C x l && rm x/l && mkdir x/l && echo > x/l/f && "
          "tar -rf through.tar -C x l/f");
    refused("through.tar", ST_CORRUPT, "leads through");
}

/* Any one byte of a header changed is seen, or changes nothing that matters; never more than an error. */
static void damaged(void **state) {
    (void)state;
    shell("rm t/big && tar --format=pax -cf a.tar -C t .");
    int fd = openat(tree_fd(), "a.tar", O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    struct prng p = {.state = 1};
    unsigned seen = 0;
    for (int i = 0; i < 3000; i++) {
        off_t at = (off_t)prng_below(&p, (uint64_t)size);
        uint8_t was, now;
        must(pread(fd, &was, 1, at) == 1);
        now = (uint8_t)(was ^ (1 + prng_below(&p, 255)));
        must(pwrite(fd, &now, 1, at) == 1);
        struct err e = ERR_INIT;
        int a;
        if (try_open("a.tar", &a, &e) == ST_OK) {
            names_in(a, ".");
            OP(close, a);
        } else {
            assert_non_null(strstr(e.text, "at byte "));
            seen++;
        }
        must(pwrite(fd, &was, 1, at) == 1);
    }
    close(fd);
    assert_true(seen > 300);
    OP(close, archive("a.tar"));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(formats), T(long_names), T(nothing_can_be_changed), T(changes_kept_apart), T(refusals), T(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
