/* Overlays: each thing a program does with files, what it sees afterwards, and what lies in the two directories. */
#include "../world/tree.h"
#include "base/must.h"
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int o; /* the overlay */

static int set_up(void **state) {
    (void)state;
    box_new();
    tree_dir("low");
    tree_file("low/f", "lower f");
    tree_file("low/g", "lower g");
    tree_dir("low/d");
    tree_file("low/d/f", "lower d/f");
    tree_dir("low/d/e");
    tree_file("low/d/e/f", "lower d/e/f");
    tree_dir("low/empty");
    tree_link("low/to_f", "f");
    tree_link("low/to_d", "d");
    tree_file("low/.wh.g", "no mark here");
    must(linkat(tree_fd(), "low/f", tree_fd(), "low/twin", 0) == 0);
    o = box_overlay("low", "up", 0, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    box_free();
    return 0;
}

static bool there(const char *path) {
    return faccessat(tree_fd(), path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* All that is in `lower` stays as it is. */
static void lower_is_untouched(void) {
    assert_string_equal(tree_read("low/f"), "lower f");
    assert_string_equal(tree_read("low/g"), "lower g");
    assert_string_equal(tree_read("low/d/f"), "lower d/f");
    assert_string_equal(tree_read("low/d/e/f"), "lower d/e/f");
    int fd = openat(tree_fd(), "low", O_RDONLY);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    assert_true(there("low/to_f") && there("low/to_d") && there("low/empty") && there("low/twin"));
}

static void reads_lower(void **state) {
    (void)state;
    assert_string_equal(text_of(o, "f"), "lower f");
    assert_string_equal(text_of(o, "to_f"), "lower f");
    assert_string_equal(text_of(o, "to_d/e/f"), "lower d/e/f");
    assert_string_equal(text_of(o, "d/../d/./e//f"), "lower d/e/f");
    assert_string_equal(text_of(o, "none"), "ENOENT");
    assert_string_equal(text_of(o, "d"), "EISDIR");
    assert_string_equal(text_of(o, "f/x"), "ENOTDIR");
    assert_string_equal(text_of(o, ".."), "EPERM");
    assert_string_equal(text_of(o, ".wh.g"), "ENOENT");
    assert_string_equal(names_in(o, "."), "d empty f g to_d to_f twin");
    assert_string_equal(names_in(o, "d"), "e f");
    assert_false(there("up/f"));
}

static void writes_go_up(void **state) {
    (void)state;
    struct stat before, after;
    must(fchmodat(tree_fd(), "low/d/f", 0640, 0) == 0);
    must(utimensat(tree_fd(), "low/d/f", (struct timespec[2]){{5, 6}, {7, 8}}, 0) == 0);
    must(fstatat(tree_fd(), "low/d/f", &before, 0) == 0);
    int fd = OP(open, o, "d/f", WORLD_READ | WORLD_WRITE, 0);
    assert_true(fd >= 0);
    must(fstatat(tree_fd(), "up/d/f", &after, 0) == 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_mtim.tv_sec, 7);
    assert_int_equal(after.st_mtim.tv_nsec, 8);
    assert_int_equal(write_text(fd, "UPPER"), 5);
    assert_int_equal(OP(close, fd), 0);
    assert_string_equal(text_of(o, "d/f"), "UPPER d/f");
    assert_string_equal(tree_read("up/d/f"), "UPPER d/f");
    assert_int_equal(put(o, "f", "new"), 3);
    assert_int_equal(append(o, "g", "+"), 1);
    assert_int_equal(put(o, "d/e/new", "x"), 1);
    assert_int_equal(put(o, "to_f", "through"), 7); /* a link of lower to what is in upper by now */
    assert_string_equal(text_of(o, "f"), "through");
    assert_string_equal(text_of(o, "g"), "lower g+");
    assert_string_equal(text_of(o, "twin"), "lower f"); /* one file no more */
    assert_string_equal(names_in(o, "d/e"), "f new");
    assert_string_equal(names_in(o, "."), "d empty f g to_d to_f twin");
    lower_is_untouched();
}

static void truncated_without_copying(void **state) {
    (void)state;
    int fd = OP(open, o, "f", WORLD_WRITE | WORLD_TRUNCATE, 0);
    assert_true(fd >= 0);
    assert_string_equal(tree_read("up/f"), "");
    OP(close, fd);
    assert_string_equal(text_of(o, "f"), "");
    lower_is_untouched();
}

/* Who reads a file sees what another handle writes, as on any disk. */
static void readers_follow(void **state) {
    (void)state;
    char text[64];
    struct world_stat a, b, c;
    int r = OP(open, o, "d/e/f", WORLD_READ, 0), twice = OP(dup, r);
    struct iovec iov = {text, 6};
    assert_int_equal(OP(readv, r, &iov, 1), 6);
    assert_int_equal(OP(stat, r, &a), 0);
    int w = OP(open, o, "d/e/f", WORLD_WRITE, 0);
    assert_true(w >= 0);
    assert_int_equal(OP(pwritev, w, &(struct iovec){(char[]){"HERE!"}, 5}, 1, 6), 5);
    assert_int_equal(OP(close, r), 0);
    assert_int_equal(read_at(twice, text, sizeof text), 5);
    assert_string_equal(text, "HERE!");
    assert_int_equal(OP(stat, twice, &b), 0);
    assert_int_equal(OP(stat_at, o, "d/e/f", 0, &c), 0);
    assert_int_equal(a.ino, b.ino); /* programs compare these */
    assert_int_equal(b.ino, c.ino);
    assert_int_equal(b.dev, c.dev);
    assert_int_equal(OP(set_times, twice, 0, 3000000000u, WORLD_MTIM), 0);
    assert_int_equal(OP(close, twice), 0);
    assert_int_equal(OP(close, w), 0);
    lower_is_untouched();
}

static void times_copy_up(void **state) {
    (void)state;
    struct world_stat st;
    int r = OP(open, o, "f", WORLD_READ, 0);
    assert_int_equal(OP(set_times, r, 0, 1000000000u, WORLD_MTIM), 0);
    assert_int_equal(OP(stat, r, &st), 0);
    assert_int_equal(st.mtim, 1000000000u);
    OP(close, r);
    assert_int_equal(OP(set_times_at, o, "d", 0, 0, 2000000000u, WORLD_MTIM), 0);
    assert_int_equal(OP(stat_at, o, "d", 0, &st), 0);
    assert_int_equal(st.mtim, 2000000000u);
    assert_int_equal(OP(set_times_at, o, "to_d", WORLD_NOFOLLOW, 0, 3000000000u, WORLD_MTIM), 0);
    assert_int_equal(OP(stat_at, o, "to_d", WORLD_NOFOLLOW, &st), 0);
    assert_int_equal(st.mtim, 3000000000u);
    assert_int_equal(st.type, WORLD_SYMLINK);
    struct stat low;
    must(fstatat(tree_fd(), "low/f", &low, 0) == 0);
    assert_int_not_equal(low.st_mtim.tv_sec, 1);
}

static void removed(void **state) {
    (void)state;
    assert_int_equal(OP(remove, o, "f", 0, false), 0);
    assert_string_equal(text_of(o, "f"), "ENOENT");
    assert_string_equal(text_of(o, "to_f"), "ENOENT");
    assert_true(there("up/.wh.f"));
    assert_int_equal(OP(remove, o, "f", 0, false), -ENOENT);
    assert_int_equal(OP(remove, o, "d", 0, false), -EISDIR);
    assert_int_equal(OP(remove, o, "d", 0, true), -ENOTEMPTY);
    assert_int_equal(OP(remove, o, "g", 0, true), -ENOTDIR);
    assert_int_equal(OP(remove, o, "d/e/f", 0, false), 0);
    assert_int_equal(OP(remove, o, "d/f", 0, false), 0);
    assert_string_equal(names_in(o, "d"), "e");
    assert_int_equal(OP(remove, o, "d/e", 0, true), 0);
    assert_int_equal(OP(remove, o, "d", 0, true), 0);
    assert_string_equal(names_in(o, "."), "empty g to_d to_f twin");
    assert_string_equal(names_in(o, "d"), "ENOENT");
    assert_false(there("up/d"));
    /* What comes in its place does not merge with it. */
    assert_int_equal(OP(make_dir, o, "d", 0, 0777), 0);
    assert_string_equal(names_in(o, "d"), "");
    assert_int_equal(put(o, "d/new", "x"), 1);
    assert_int_equal(put(o, "f", "again"), 5);
    assert_string_equal(text_of(o, "to_f"), "again");
    assert_int_equal(OP(remove, o, "f", 0, false), 0);
    assert_string_equal(text_of(o, "f"), "ENOENT");
    lower_is_untouched();
    /* The same with the next run. */
    OP(close, o);
    o = box_overlay("low", "up", 0, 0);
    assert_string_equal(names_in(o, "."), "d empty g to_d to_f twin");
    assert_string_equal(names_in(o, "d"), "new");
}

static void renamed(void **state) {
    (void)state;
    assert_int_equal(OP(rename, o, "f", o, "d/moved", 0), 0);
    assert_string_equal(text_of(o, "d/moved"), "lower f");
    assert_string_equal(text_of(o, "f"), "ENOENT");
    assert_int_equal(OP(rename, o, "d/moved", o, "g", 0), 0); /* over one of lower */
    assert_string_equal(text_of(o, "g"), "lower f");
    assert_int_equal(OP(remove, o, "g", 0, false), 0);
    assert_string_equal(text_of(o, "g"), "ENOENT"); /* the one beneath does not come back */
    assert_int_equal(OP(rename, o, "to_d", o, "link", 0), 0);
    assert_string_equal(text_of(o, "link/f"), "lower d/f");
    assert_int_equal(OP(rename, o, "d", o, "d2", 0), -EXDEV);
    assert_int_equal(OP(rename, o, "d", o, "d/e/d", 0), -EINVAL);
    assert_int_equal(OP(rename, o, "twin", o, "d", 0), -EISDIR);
    assert_int_equal(OP(make_dir, o, "new", 0, 0777), 0);
    assert_int_equal(put(o, "new/x", "x"), 1);
    assert_int_equal(OP(rename, o, "new", o, "twin", 0), -ENOTDIR);
    assert_int_equal(OP(rename, o, "new", o, "d", 0), -ENOTEMPTY);
    assert_int_equal(OP(rename, o, "new", o, "new/x2", 0), -EINVAL);
    int in_new = OP(open, o, "new", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    assert_int_equal(OP(rename, o, "new", o, "empty", 0), 0); /* over an empty one of lower */
    assert_string_equal(names_in(o, "empty"), "x");
    assert_int_equal(put(in_new, "y", "y"), 1);
    assert_int_equal(OP(make_dir, in_new, "z", 0, 0777), 0);
    assert_string_equal(names_in(o, "empty"), "x y z");
    assert_string_equal(names_in(in_new, "."), "x y z");
    OP(close, in_new);
    assert_string_equal(names_in(o, "."), "d empty link to_f twin");
    lower_is_untouched();
}

static void directories_in_use(void **state) {
    (void)state;
    int d = OP(open, o, "d", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    int e = OP(open, d, "e", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    assert_int_equal(put(o, "d/e/made", "1"), 1); /* which makes both in upper, behind their backs */
    assert_string_equal(text_of(e, "made"), "1");
    assert_string_equal(names_in(e, "."), "f made");
    assert_string_equal(text_of(e, "../f"), "EPERM"); /* no handle leads above itself */
    assert_string_equal(text_of(d, "e/../f"), "lower d/f");
    assert_int_equal(OP(remove, e, "f", 0, false), 0);
    assert_int_equal(OP(remove, e, "made", 0, false), 0);
    assert_int_equal(OP(remove, d, "e", 0, true), 0);
    assert_int_equal(put(e, "x", "x"), -ENOENT);
    assert_int_equal(OP(make_dir, e, "x", 0, 0777), -ENOENT);
    assert_int_equal(OP(make_dir, d, "e", 0, 0777), 0);
    assert_int_equal(put(d, "e/fresh", "x"), 1);
    assert_string_equal(text_of(e, "fresh"), "ENOENT"); /* another directory of that name */
    OP(close, d);
    OP(close, e);
}

static void links(void **state) {
    (void)state;
    char text[64];
    assert_int_equal(OP(link, o, "d/f", o, "second", 0), 0);
    assert_int_equal(append(o, "second", "!"), 1);
    assert_string_equal(text_of(o, "d/f"), "lower d/f!");
    assert_int_equal(OP(link, o, "d", o, "dd", 0), -EPERM);
    assert_int_equal(OP(link, o, "g", o, "f", 0), -EEXIST);
    assert_int_equal(OP(symlink, "d/f", o, "s", 0), 0);
    assert_int_equal(OP(read_link, o, "s", 0, text, sizeof text), 3);
    assert_int_equal(OP(read_link, o, "f", 0, text, sizeof text), -EINVAL);
    assert_int_equal(OP(read_link, o, "to_d", 0, text, 1), 1);
    assert_string_equal(text_of(o, "s"), "lower d/f!");
    assert_int_equal(OP(symlink, "x", o, "g", 0), -EEXIST);
    assert_int_equal(OP(symlink, "/f", o, "abs", 0), 0);
    assert_string_equal(text_of(o, "abs"), "EPERM");
    lower_is_untouched();
}

static void marks_are_ours(void **state) {
    (void)state;
    assert_int_equal(put(o, ".wh.f", ""), -EINVAL);
    assert_int_equal(OP(make_dir, o, "d/.wh.f", 0, 0777), -EINVAL);
    assert_int_equal(OP(rename, o, "g", o, ".wh.f", 0), -EINVAL);
    assert_int_equal(OP(link, o, "g", o, ".wh.f", 0), -EINVAL);
    assert_int_equal(OP(symlink, "g", o, ".wh.f", 0), -EINVAL);
    assert_string_equal(text_of(o, "f"), "lower f");
    assert_int_equal(OP(remove, o, "f", 0, false), 0);
    assert_int_equal(OP(remove, o, ".wh.f", 0, false), -ENOENT);
    assert_int_equal(OP(rename, o, ".wh.f", o, "x", 0), -ENOENT);
    assert_int_equal(put(o, ".wh.f/x", ""), -ENOENT);
    assert_string_equal(text_of(o, "f"), "ENOENT");
}

struct seen {
    char names[64][256];
    uint64_t next[64];
    unsigned n, most;
};

static bool see(void *arg, const struct world_dirent *e) {
    struct seen *s = arg;
    snprintf(s->names[s->n], sizeof s->names[0], "%s", e->name);
    s->next[s->n++] = e->next;
    return s->n < s->most;
}

/* A program that removes what it has just seen, in small steps, sees everything once. */
static void listing_while_removing(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "d/e/up%d", i);
        put(o, name, "");
    }
    int e = OP(open, o, "d/e", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    uint64_t cookie = 0;
    unsigned removed_n = 0;
    for (;;) {
        struct seen s = {.most = 3};
        assert_int_equal(OP(read_dir, e, cookie, see, &s), 0);
        for (unsigned i = 0; i < s.n; i++)
            if (s.names[i][0] != '.') {
                assert_int_equal(OP(remove, e, s.names[i], 0, false), 0);
                removed_n++;
            }
        if (s.n == 0)
            break;
        cookie = s.next[s.n - 1];
    }
    assert_int_equal(removed_n, 21);
    assert_string_equal(names_in(e, "."), "");
    OP(close, e);
    assert_int_equal(OP(remove, o, "d/e", 0, true), 0);
}

static void numbers_of_directories_stay(void **state) {
    (void)state;
    struct world_stat a, b;
    assert_int_equal(OP(stat_at, o, "d", 0, &a), 0);
    put(o, "d/new", "x");
    assert_int_equal(OP(stat_at, o, "d", 0, &b), 0);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(a.dev, b.dev);
    int d = OP(open, o, "d", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    assert_int_equal(OP(stat, d, &b), 0);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(OP(sync, d, false), 0);
    OP(close, d);
}

static void refusals(void **state) {
    (void)state;
    struct err e = ERR_INIT;
    int fd;
    assert_int_equal(files_open_overlay(files, box_path("none"), box_path("up2"), NULL, &fd, &e), ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "none"));
    err_clear(&e);
    assert_int_equal(files_open_overlay(files, box_path("low/f"), box_path("up2"), NULL, &fd, &e), ST_CORRUPT);
    assert_non_null(strstr(e.text, "no tar archive"));
    err_clear(&e);
    assert_int_equal(files_open_overlay(files, box_path("low"), box_path("low"), NULL, &fd, &e), ST_INVALID);
    assert_non_null(strstr(e.text, "one directory"));
    /* Between two trees nothing is renamed or linked. */
    int other = box_overlay("low", "new/dirs/up3/", 0, 0);
    assert_int_equal(OP(rename, o, "f", other, "x", 0), -EXDEV);
    assert_int_equal(OP(link, o, "f", other, "x", 0), -EXDEV);
    assert_int_equal(OP(rename, o, "f", tree_fd(), "x", 0), -EXDEV);
    assert_int_equal(OP(rename, tree_fd(), "low/f", o, "x", 0), -EXDEV);
    OP(close, other);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(reads_lower),    T(writes_go_up),           T(truncated_without_copying),
        T(readers_follow), T(times_copy_up),          T(removed),
        T(renamed),        T(directories_in_use),     T(links),
        T(marks_are_ours), T(listing_while_removing), T(numbers_of_directories_stay),
        T(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
