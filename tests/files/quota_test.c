/* Quotas: what counts, what is given back, and what is said when there is nothing left. */
#include "../world/tree.h"
#include "base/must.h"
#include "base/prng.h"
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state) {
    (void)state;
    box_new();
    tree_dir("t");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    box_free();
    return 0;
}

static void used(int dir, uint64_t bytes, uint64_t count) {
    uint64_t b, c;
    assert_true(files_quota_used(files, dir, &b, &c));
    assert_int_equal(b, bytes);
    assert_int_equal(c, count);
}

static void what_is_there_counts(void **state) {
    (void)state;
    tree_file("t/f", "12345");
    tree_dir("t/d");
    tree_file("t/d/g", "123");
    tree_link("t/d/l", "1234567");
    must(linkat(tree_fd(), "t/f", tree_fd(), "t/d/twin", 0) == 0);
    int d = box_dir("t", 1000, 1000);
    used(d, 15, 5);
    assert_int_equal(OP(remove, d, "f", 0, false), 0);
    used(d, 15, 4);
    assert_int_equal(OP(remove, d, "d/twin", 0, false), 0);
    used(d, 10, 3);
    assert_int_equal(OP(remove, d, "d/l", 0, false), 0);
    used(d, 3, 2);
    assert_int_equal(put(d, "d/g", "1"), 1);
    used(d, 1, 2);
    assert_int_equal(OP(symlink, "abcd", d, "l", 0), 0);
    assert_int_equal(OP(make_dir, d, "e", 0, 0777), 0);
    assert_int_equal(OP(make_dir, d, "e", 0, 0777), -EEXIST);
    assert_int_equal(OP(rename, d, "l", d, "d/g", 0), 0);
    used(d, 4, 3);
    assert_int_equal(OP(remove, d, "e", 0, true), 0);
    assert_int_equal(OP(remove, d, "e", 0, true), -ENOENT);
    used(d, 4, 2);
    assert_int_equal(box_met, 0);
    int none = box_dir("t", 0, 0);
    uint64_t b, c;
    assert_false(files_quota_used(files, none, &b, &c));
}

static void size(void **state) {
    (void)state;
    int d = box_dir("t", 100, 0);
    char fifty[51];
    memset(fifty, 'x', 50);
    fifty[50] = '\0';
    assert_int_equal(put(d, "a", fifty), 50);
    int f = OP(open, d, "b", WORLD_READ | WORLD_WRITE | WORLD_CREATE, 0644);
    assert_int_equal(write_text(f, fifty), 50);
    assert_int_equal(box_met, 0);
    assert_int_equal(write_text(f, "more"), -EDQUOT);
    assert_int_equal(box_met, 1);
    assert_non_null(strstr(box_sentence, "no more than 100 bytes"));
    assert_non_null(strstr(box_sentence, "100 are"));
    assert_int_equal(OP(pwritev, f, &(struct iovec){fifty, 50}, 1, 0), 50); /* what is there may be overwritten */
    assert_int_equal(OP(pwritev, f, &(struct iovec){fifty, 10}, 1, 45), 5); /* as far as it goes */
    assert_int_equal(OP(pwritev, f, &(struct iovec){fifty, 1}, 1, 1000), -EDQUOT);
    assert_int_equal(append(d, "a", "y"), -EDQUOT);
    used(d, 100, 2);
    assert_int_equal(OP(set_size, f, 40), 0);
    used(d, 90, 2);
    assert_int_equal(OP(set_size, f, 51), -EDQUOT);
    assert_int_equal(OP(set_size, f, 45), 0);
    assert_int_equal(OP(allocate, f, 0, 51), -EDQUOT);
    assert_int_equal(OP(allocate, f, 0, 50), 0);
    used(d, 100, 2);
    assert_int_equal(OP(set_size, f, 0), 0);
    assert_int_equal(OP(seek, f, 0, SEEK_SET), 0);
    struct iovec pieces[3] = {{fifty, 30}, {fifty, 0}, {fifty, 30}};
    assert_int_equal(OP(writev, f, pieces, 3), 50); /* short */
    assert_int_equal(OP(writev, f, pieces, 3), -EDQUOT);
    used(d, 100, 2);
    assert_int_equal(OP(symlink, "x", d, "l", 0), -EDQUOT);
    assert_int_equal(box_met, 1); /* told once */
    assert_int_equal(OP(close, f), 0);
    assert_int_equal(put(d, "b", ""), 0); /* truncated */
    used(d, 50, 2);
    f = OP(open, d, "a", WORLD_WRITE | WORLD_APPEND, 0);
    assert_int_equal(OP(pwritev, f, &(struct iovec){fifty, 50}, 1, 0), 50); /* appended, wherever it says */
    used(d, 100, 2);
    assert_int_equal(OP(set_flags, f, 0), 0);
    assert_int_equal(OP(pwritev, f, &(struct iovec){fifty, 50}, 1, 0), 50);
    used(d, 100, 2);
    assert_int_equal(OP(close, f), 0);
}

static void count(void **state) {
    (void)state;
    int d = box_dir("t", 0, 3);
    assert_int_equal(put(d, "a", "x"), 1);
    assert_int_equal(OP(make_dir, d, "d", 0, 0777), 0);
    assert_int_equal(OP(link, d, "a", d, "d/b", 0), 0);
    assert_int_equal(box_met, 0);
    assert_int_equal(put(d, "c", "x"), -EDQUOT);
    assert_non_null(strstr(box_sentence, "no more than 3 entries"));
    assert_int_equal(OP(make_dir, d, "e", 0, 0777), -EDQUOT);
    assert_int_equal(OP(link, d, "a", d, "e", 0), -EDQUOT);
    assert_int_equal(OP(symlink, "a", d, "e", 0), -EDQUOT);
    assert_int_equal(OP(open, d, "a", WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, 0644), -EEXIST);
    assert_int_equal(OP(make_dir, d, "d", 0, 0777), -EEXIST);
    assert_int_equal(put(d, "a", "xyz"), 3); /* is there already */
    assert_int_equal(put(d, "none/a", "x"), -ENOENT);
    assert_int_equal(OP(rename, d, "a", d, "z", 0), 0);
    assert_int_equal(OP(rename, d, "z", d, "d/z", 0), 0);
    used(d, 3, 3);
    assert_int_equal(OP(remove, d, "d/b", 0, false), 0);
    assert_int_equal(put(d, "c", "x"), 1);
    used(d, 4, 3);
    assert_int_equal(box_met, 1);
}

/* A file without a name lives, and counts, until it is closed. */
static void removed_while_open(void **state) {
    (void)state;
    int d = box_dir("t", 10, 0);
    for (int round = 0; round < 3; round++) {
        int f = OP(open, d, "f", WORLD_READ | WORLD_WRITE | WORLD_CREATE, 0644), again = OP(dup, f);
        int r = OP(open, d, "f", WORLD_READ, 0);
        assert_int_equal(write_text(f, "12345678"), 8);
        assert_int_equal(OP(remove, d, "f", 0, false), 0);
        used(d, 8, 0);
        assert_int_equal(put(d, "g", "123"), 2);
        assert_int_equal(OP(close, f), 0);
        assert_int_equal(OP(close, r), 0);
        assert_int_equal(write_text(again, "x"), -EDQUOT);
        used(d, 10, 1);
        assert_int_equal(OP(set_size, again, 4), 0);
        used(d, 6, 1);
        assert_int_equal(OP(close, again), 0);
        used(d, 2, 1);
        /* And one that another takes the place of. */
        f = OP(open, d, "g", WORLD_READ, 0);
        assert_int_equal(put(d, "h", "1234"), 4);
        assert_int_equal(OP(rename, d, "h", d, "g", 0), 0);
        used(d, 6, 1);
        OP(close, f);
        used(d, 4, 1);
        assert_int_equal(OP(remove, d, "g", 0, false), 0);
        used(d, 0, 0);
    }
}

static void of_an_overlay(void **state) {
    (void)state;
    tree_file("t/big", "0123456789");
    tree_file("t/small", "012");
    tree_file("t/other", "0123456");
    tree_dir("t/d");
    tree_file("t/d/f", "f");
    int o = box_overlay("t", "up", 12, 3);
    used(o, 0, 0);
    assert_int_equal(append(o, "big", "abc"), 2); /* the copy is counted, too */
    used(o, 12, 1);
    assert_int_equal(OP(open, o, "small", WORLD_WRITE, 0), -EDQUOT);
    assert_int_equal(OP(rename, o, "small", o, "x", 0), -EDQUOT);
    assert_string_equal(text_of(o, "small"), "012"); /* and nothing happened */
    assert_string_equal(names_in(o, "."), "big d other small");
    int f = OP(open, o, "small", WORLD_WRITE | WORLD_TRUNCATE, 0); /* needs no bytes */
    assert_true(f >= 0);
    OP(close, f);
    used(o, 12, 2);
    assert_int_equal(OP(remove, o, "other", 0, false), 0); /* whiteouts are free */
    assert_int_equal(OP(remove, o, "big", 0, false), 0);
    used(o, 0, 1);
    assert_int_equal(OP(remove, o, "d/f", 0, false), 0); /* the directory's copy is not */
    used(o, 0, 2);
    assert_int_equal(put(o, "d/g", "x"), 1);
    used(o, 1, 3);
    assert_int_equal(put(o, "d/h", "x"), -EDQUOT);
    assert_int_equal(box_met, 1);
    OP(close, o);
    o = box_overlay("t", "up", 12, 3); /* the next run goes on from there */
    used(o, 1, 3);
    assert_int_equal(put(o, "y", "x"), -EDQUOT);
}

/* Whatever is tried, no more than the bound is ever there. */
static void never_more(void **state) {
    (void)state;
    struct prng p = {.state = 7};
    int d = box_dir("t", 1000, 20);
    char text[400], name[4];
    memset(text, 'x', sizeof text);
    int held[4] = {-1, -1, -1, -1};
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "%d", (int)prng_below(&p, 30));
        int *h = &held[prng_below(&p, 4)];
        switch (prng_below(&p, 6)) {
        case 0:
            if (*h >= 0)
                OP(close, *h);
            *h = OP(open, d, name, WORLD_READ | WORLD_WRITE | WORLD_CREATE | (prng_next(&p) & WORLD_APPEND), 0644);
            break;
        case 1: OP(remove, d, name, 0, prng_below(&p, 2)); break;
        case 2:
            if (*h >= 0)
                OP(writev, *h, &(struct iovec){text, prng_below(&p, sizeof text)}, 1);
            break;
        case 3:
            if (*h >= 0)
                OP(set_size, *h, prng_below(&p, 600));
            break;
        case 4: OP(make_dir, d, name, 0, 0777); break;
        default:
            if (*h >= 0)
                OP(pwritev, *h, &(struct iovec){text, prng_below(&p, sizeof text)}, 1, prng_below(&p, 600));
        }
        uint64_t b, c;
        assert_true(files_quota_used(files, d, &b, &c));
        assert_true(b <= 1000 && c <= 20);
    }
    for (int i = 0; i < 4; i++)
        if (held[i] >= 0)
            OP(close, held[i]);
    uint64_t b, c, b2, c2;
    files_quota_used(files, d, &b, &c);
    files_quota_used(files, box_dir("t", 1000, 20), &b2, &c2);
    assert_int_equal(b, b2);
    assert_int_equal(c, c2);
    assert_true(b > 0 && c > 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_is_there_counts), T(size), T(count), T(removed_while_open), T(of_an_overlay), T(never_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
