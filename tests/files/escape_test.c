/* Nothing outside of a tree is ever reached: by `..`, by links, and while somebody swaps directories for links that
 * lead out, and renames them away from under whoever walks through them. For each kind of tree. */
#include "../world/tree.h"
#include "base/must.h"
#include "box.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void fill(const char *top) {
    char p[64];
    static const char *const dirs[] = {"%s", "%s/a", "%s/a/b"};
    for (int i = 0; i < 3; i++) {
        snprintf(p, sizeof p, dirs[i], top);
        tree_dir(p);
        static const char *const files_in[] = {"%s/f", "%s/a/f", "%s/a/b/f"};
        snprintf(p, sizeof p, files_in[i], top);
        tree_file(p, "inside");
    }
    static const char *const links[][2] = {
        {"to_f", "f"},
        {"to_a", "a"},
        {"to_b", "a/b/"},
        {"a/up", ".."},
        {"a/b/up", "../.."},
        {"a/up_f", "../f"},
        {"out", "../out"},
        {"a/out", "../../out"},
        {"out_deep", "a/b/../../../out"},
        {"secret", "../out/secret"},
        {"absolute", "/etc"},
        {"absolute_here", "/"},
        {"loop", "loop"},
        {"loop1", "loop2"},
        {"loop2", "loop1"},
        {"dangling", "nothing"},
        {"dangling_out", "../out/new"},
        {"chain1", "chain2"},
        {"chain2", "to_a/b/f"},
        {"parent", ".."},
    };
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(p, sizeof p, "%s/%s", top, links[i][0]);
        tree_link(p, links[i][1]);
    }
}

static int set_up(void **state) {
    (void)state;
    box_new();
    tree_dir("out");
    tree_file("out/secret", "secret");
    tree_file("out/f", "secret");
    fill("in");
    tree_dir("empty");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    box_free();
    return 0;
}

/* ---- the same answers as those of a plain directory ---- */

static const char *const paths[] = {
    "f",
    "./f",
    "a/f",
    "a//f",
    "a/../f",
    "a/b/../../f",
    "to_f",
    "to_a/f",
    "to_b/f",
    "to_b",
    "to_b/",
    "a/up/f",
    "a/b/up/f",
    "a/up_f",
    "chain1",
    "a",
    "a/",
    "a/.",
    "a/..",
    ".",
    "./",
    "",
    "f/",
    "f/x",
    "f/..",
    "none",
    "none/x",
    "none/../f",
    "..",
    "../",
    "../in/f",
    "a/../..",
    "a/../../out",
    "a/b/../../../out/secret",
    "/",
    "/etc/passwd",
    "out",
    "out/",
    "out/secret",
    "a/out/secret",
    "out_deep/secret",
    "secret",
    "absolute",
    "absolute/passwd",
    "absolute_here",
    "loop",
    "loop/x",
    "loop1",
    "dangling",
    "dangling_out",
    "parent",
    "parent/in/f",
    "a/up/parent",
    "to_a/../f",
    "to_a/../../f",
};

/* What opening gives: an error, or what is read, or that it is a directory. */
static int64_t look(struct world *w, int dir, const char *path, uint32_t flags) {
    int fd = w->ops->open(w, dir, path, flags | WORLD_BENEATH, 0644);
    if (fd < 0)
        return fd;
    struct world_stat st;
    must(w->ops->stat(w, fd, &st) == 0);
    w->ops->close(w, fd);
    return st.type == WORLD_DIRECTORY ? 1000000 : (int64_t)st.size;
}

static void same_as_plain(int dir, const char *kind, bool writable) {
    int plain = openat(tree_fd(), "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const uint32_t flags[] = {WORLD_READ, WORLD_READ | WORLD_NOFOLLOW, WORLD_READ | WORLD_DIRECTORY_ONLY,
                              WORLD_READ | WORLD_WRITE, WORLD_READ | WORLD_CREATE | WORLD_EXCLUSIVE | WORLD_WRITE};
    for (size_t j = 0; j < (writable ? 5 : 3); j++)
        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
            int64_t expected = look(os, plain, paths[i], flags[j]), got = look(files, dir, paths[i], flags[j]);
            if (got != expected)
                fail_msg("%s: %s with %u: %lld, not %lld", kind, paths[i], flags[j], (long long)got,
                         (long long)expected);
            if (j == 4 && got >= 0) { /* made in both */
                must(OP(remove, dir, paths[i], 0, false) == 0);
                (void)unlinkat(plain, paths[i], 0);
            }
        }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct world_stat a, b;
        char says[2][64];
        for (uint32_t how = 0; how <= WORLD_NOFOLLOW; how += WORLD_NOFOLLOW) {
            int64_t expected = os->ops->stat_at(os, plain, paths[i], how | WORLD_BENEATH, &a);
            int64_t got = OP(stat_at, dir, paths[i], how | WORLD_BENEATH, &b);
            if (got != expected || (got == 0 && a.type != b.type))
                fail_msg("%s: stat %s: %lld, not %lld", kind, paths[i], (long long)got, (long long)expected);
        }
        int64_t expected = os->ops->read_link(os, plain, paths[i], WORLD_BENEATH, says[0], sizeof says[0]);
        int64_t got = OP(read_link, dir, paths[i], WORLD_BENEATH, says[1], sizeof says[1]);
        if (got != expected)
            fail_msg("%s: read_link %s: %lld, not %lld", kind, paths[i], (long long)got, (long long)expected);
    }
    close(plain);
    assert_null(tree_read("out/new"));
}

static void answers(void **state) {
    (void)state;
    fill("in2");
    fill("in3");
    fill("in4");
    same_as_plain(box_dir("in2", 0, 0), "plain", true);
    same_as_plain(box_dir("in3", 1 << 20, 1000), "quota", true);
    same_as_plain(box_overlay("in4", "up1", 0, 0), "lower", true);
    same_as_plain(box_overlay("empty", "in3", 0, 0), "upper", true);
    char command[1024];
    snprintf(command, sizeof command, "tar -cf %s -C %s .", box_path("in.tar"), box_path("in"));
    must(system(command) == 0);
    int fd = -1;
    struct err e = ERR_INIT;
    enum status s = files_open_archive(files, box_path("in.tar"), &fd, &e);
    if (s)
        fail_msg("%s", e.text);
    same_as_plain(fd, "archive", false);
    same_as_plain(box_overlay("in.tar", "up4", 0, 0), "over an archive", true);
}

/* ---- meanwhile ---- */

static atomic_bool stop;

/* d is by turns a directory and a link to what is outside, x a file and a link to one outside; and the way down to
 * `w/x/y` is moved to the top and outside, so that `..` of who stands in it is somebody else's. */
static void *swap(void *arg) {
    int in = openat(tree_fd(), arg, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(in >= 0);
    while (!atomic_load(&stop)) {
        renameat(in, "d", in, "aside");
        renameat(in, "link", in, "d");
        renameat(in, "x", in, "x_aside");
        renameat(in, "x_link", in, "x");
        renameat(in, "w/x/y", tree_fd(), "outside_y");
        renameat(in, "w/x", tree_fd(), "outside_x");
        renameat(in, "x", in, "x_link");
        renameat(in, "x_aside", in, "x");
        renameat(in, "d", in, "link");
        renameat(in, "aside", in, "d");
        renameat(tree_fd(), "outside_x", in, "w/x");
        renameat(tree_fd(), "outside_y", in, "w/x/y");
    }
    close(in);
    return NULL;
}

static void prepare(const char *top) {
    char p[64];
    tree_dir(top);
    static const char *const dirs[] = {"d", "w", "w/x", "w/x/y"};
    for (int i = 0; i < 4; i++) {
        snprintf(p, sizeof p, "%s/%s", top, dirs[i]);
        tree_dir(p);
        snprintf(p, sizeof p, "%s/%s/f", top, dirs[i]);
        tree_file(p, "inside");
    }
    snprintf(p, sizeof p, "%s/link", top);
    tree_link(p, "../out");
    snprintf(p, sizeof p, "%s/x", top);
    tree_file(p, "inside");
    snprintf(p, sizeof p, "%s/x_link", top);
    tree_link(p, "../out/secret");
    snprintf(p, sizeof p, "%s/w/x/y/back", top);
    tree_link(p, "../../../d");
}

static void must_be_inside(int dir, const char *path, unsigned *reached) {
    char text[64];
    int64_t r = get(dir, path, text, sizeof text);
    if (r > 0 && strstr(text, "secret"))
        fail_msg("%s: what is outside was read", path);
    *reached += r > 0;
}

/* Everything that can be done, for some seconds, through all that is being swapped. */
static void race(int dir, const char *top, bool writes) {
    pthread_t thread;
    atomic_store(&stop, false);
    must(pthread_create(&thread, NULL, swap, (void *)(uintptr_t)top) == 0);
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 2;
    unsigned reached = 0, rounds = 0;
    do {
        must_be_inside(dir, "d/f", &reached);
        must_be_inside(dir, "d/secret", &reached);
        must_be_inside(dir, "link/secret", &reached);
        for (int i = 0; i < 10; i++)
            must_be_inside(dir, "x", &reached);
        must_be_inside(dir, "w/x/y/../../../d/f", &reached);
        must_be_inside(dir, "w/x/y/../../../out/secret", &reached);
        must_be_inside(dir, "w/x/y/back/f", &reached);
        must_be_inside(dir, "w/x/y/../../out/secret", &reached);
        must_be_inside(dir, "w/x/../out/secret", &reached);
        if (writes) {
            put(dir, "d/new", "x");
            append(dir, "d/f", "y");
            append(dir, "x", "y");
            OP(set_times_at, dir, "x", 0, 0, 0, WORLD_MTIM);
            OP(make_dir, dir, "d/dir", 0, 0777);
            OP(rename, dir, "d/new", dir, "w/x/y/../../../d/newer", 0);
            OP(link, dir, "d/f", dir, "d/twin", 0);
            OP(symlink, "f", dir, "d/sym", 0);
            OP(set_times_at, dir, "d/f", 0, 0, 0, WORLD_MTIM);
            OP(remove, dir, "d/twin", 0, false);
            OP(remove, dir, "d/sym", 0, false);
            OP(remove, dir, "d/newer", 0, false);
            OP(remove, dir, "d/new", 0, false);
            OP(remove, dir, "d/secret", 0, false);
            OP(remove, dir, "d/dir", 0, true);
        }
        rounds++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    print_message("%s: %u rounds, %u reads got through\n", top, rounds, reached);
    assert_true(reached > 0); /* it was not for want of trying */
    assert_string_equal(tree_read("out/secret"), "secret");
    assert_string_equal(tree_read("out/f"), "secret");
    struct stat st;
    must(fstatat(tree_fd(), "out/f", &st, 0) == 0);
    assert_true(st.st_mtim.tv_sec > 0);
    assert_int_equal(st.st_nlink, 1);
    must(fstatat(tree_fd(), "out/secret", &st, 0) == 0);
    assert_true(st.st_mtim.tv_sec > 0);
    int out = openat(tree_fd(), "out", O_RDONLY | O_DIRECTORY);
    int plain = out;
    struct world_stat ws;
    static const char *const never[] = {"new", "newer", "dir", "twin", "sym"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(os->ops->stat_at(os, plain, never[i], WORLD_NOFOLLOW, &ws), -ENOENT);
    close(out);
}

static void swapped_in_a_plain_directory(void **state) {
    (void)state;
    prepare("p");
    race(box_dir("p", 0, 0), "p", true);
}

static void swapped_in_a_quota(void **state) {
    (void)state;
    prepare("q");
    race(box_dir("q", 1 << 20, 1000), "q", true);
}

static void swapped_in_lower(void **state) {
    (void)state;
    prepare("low");
    race(box_overlay("low", "up2", 0, 0), "low", false);
}

static void swapped_in_upper(void **state) {
    (void)state;
    prepare("up3");
    race(box_overlay("empty", "up3", 1 << 20, 0), "up3", true);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(answers), T(swapped_in_a_plain_directory), T(swapped_in_a_quota), T(swapped_in_lower), T(swapped_in_upper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
