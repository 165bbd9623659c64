/* Paths that must not leave a directory: links, `..`, renames meanwhile; by the kernel and by our own walk alike. */
#include "base/must.h"
#include "base/prng.h"
#include "tree.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct world *kernel, *walker;
static int in; /* the directory that nothing may leave */

static int set_up(void **state) {
    (void)state;
    kernel = world_os_new();
    walker = world_os_new();
    world_os_use_openat2(walker, false);
    tree_new();
    tree_dir("out");
    tree_file("out/secret", "secret");
    tree_dir("in");
    tree_dir("in/a");
    tree_dir("in/a/b");
    tree_file("in/f", "in f");
    tree_file("in/a/f", "in a/f");
    tree_file("in/a/b/f", "in a/b/f");
    tree_link("in/to_f", "f");
    tree_link("in/to_a", "a");
    tree_link("in/to_b", "a/b/");
    tree_link("in/a/up", "..");
    tree_link("in/a/b/up", "../..");
    tree_link("in/a/up_f", "../f");
    tree_link("in/out", "../out");
    tree_link("in/a/out", "../../out");
    tree_link("in/out_deep", "a/b/../../../out");
    tree_link("in/secret", "../out/secret");
    tree_link("in/absolute", "/etc");
    tree_link("in/absolute_here", "/");
    tree_link("in/loop", "loop");
    tree_link("in/loop1", "loop2");
    tree_link("in/loop2", "loop1");
    tree_link("in/dangling", "nothing");
    tree_link("in/dangling_out", "../out/new");
    tree_link("in/chain1", "chain2");
    tree_link("in/chain2", "to_a/b/f");
    in = openat(tree_fd(), "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return in < 0;
}

static int tear_down(void **state) {
    (void)state;
    close(in);
    tree_remove();
    kernel->ops->free(kernel);
    walker->ops->free(walker);
    return 0;
}

/* What opening gives: an error, or the inode. */
static int64_t look(struct world *w, const char *path, uint32_t flags) {
    int fd = w->ops->open(w, in, path, flags | WORLD_BENEATH, 0644);
    if (fd < 0)
        return fd;
    struct world_stat st;
    must(w->ops->stat(w, fd, &st) == 0);
    w->ops->close(w, fd);
    return (int64_t)st.ino;
}

static int64_t inode(const char *path) {
    struct stat st;
    must(fstatat(in, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
    return (int64_t)st.st_ino;
}

static const char *const paths[] = {
    "f",
    "./f",
    "a/f",
    "a//f",
    "a/./f",
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
    "a/b/..",
    "a/..",
    ".",
    "./",
    "",
    "f/",
    "f/x",
    "f/..",
    "f/../a",
    "none",
    "none/x",
    "none/../f",
    "none/../../x",
    "..",
    "../",
    "../in/f",
    "../out",
    "a/../..",
    "a/../../in/f",
    "to_a/../..",
    "to_a/../../out",
    "out",
    "out/secret",
    "a/out/secret",
    "out_deep",
    "out/",
    "secret",
    "absolute",
    "absolute/passwd",
    "/",
    "/etc",
    "//etc/passwd",
    "absolute_here",
    "loop",
    "loop/x",
    "loop1",
    "dangling",
    "dangling/",
    "dangling_out",
    "a/b/up/out",
    "a/b/up/../out",
    "to_f/",
    "to_f/..",
    "a/up/a/up/a/up/a/f",
    "...",
    "a/b/up/a/b/up/a/b/up/..",
    "a/up/..",
};
static const uint32_t opens[] = {
    WORLD_READ,
    WORLD_READ | WORLD_NOFOLLOW,
    WORLD_READ | WORLD_DIRECTORY_ONLY,
    WORLD_READ | WORLD_DIRECTORY_ONLY | WORLD_NOFOLLOW,
    WORLD_READ | WORLD_WRITE,
    WORLD_PATH,
    WORLD_PATH | WORLD_NOFOLLOW,
    WORLD_PATH | WORLD_DIRECTORY_ONLY,
};

static void test_kernel_and_walk_agree(void **state) {
    (void)state;
    unsigned opened = 0, refused = 0;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (size_t j = 0; j < sizeof opens / sizeof *opens; j++) {
            int64_t a = look(kernel, paths[i], opens[j]), b = look(walker, paths[i], opens[j]);
            if (a != b)
                fail_msg("open \"%s\" flags %u: kernel %lld, walk %lld", paths[i], opens[j], (long long)a,
                         (long long)b);
            opened += a > 0;
            refused += a == -EPERM;
        }
    assert_true(opened > 100);
    assert_true(refused > 100);
}

static void test_expected(void **state) {
    (void)state;
    static const struct {
        const char *path;
        uint32_t flags;
        int expected;
    } table[] = {
        {"..", WORLD_READ, -EPERM},
        {"../out/secret", WORLD_READ, -EPERM},
        {"a/../../out/secret", WORLD_READ, -EPERM},
        {"out/secret", WORLD_READ, -EPERM},
        {"secret", WORLD_READ, -EPERM},
        {"secret", WORLD_READ | WORLD_NOFOLLOW, -ELOOP},
        {"dangling_out", WORLD_WRITE | WORLD_CREATE, -EPERM},
        {"absolute/passwd", WORLD_READ, -EPERM},
        {"/etc/passwd", WORLD_READ, -EPERM},
        {"loop", WORLD_READ, -ELOOP},
        {"", WORLD_READ, -ENOENT},
        {"none", WORLD_READ, -ENOENT},
        {"f/x", WORLD_READ, -ENOTDIR},
        {"f/", WORLD_READ, -ENOTDIR},
        {"a", WORLD_WRITE, -EISDIR},
        {"f", WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, -EEXIST},
        {"dangling", WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, -EEXIST},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(look(kernel, table[i].path, table[i].flags), table[i].expected);
        assert_int_equal(look(walker, table[i].path, table[i].flags), table[i].expected);
    }
    assert_int_equal(look(walker, "a/b/up/to_a/up_f", WORLD_READ), inode("f"));
    assert_int_equal(look(walker, "a/b/../..", WORLD_READ), inode("."));
}

static void test_create_through_link(void **state) {
    (void)state;
    struct world *const both[] = {kernel, walker};
    for (int i = 0; i < 2; i++) {
        struct world *w = both[i];
        assert_true(look(w, "dangling", WORLD_WRITE | WORLD_CREATE) > 0);
        assert_int_equal(look(w, "dangling", WORLD_READ), inode("nothing"));
        assert_int_equal(w->ops->remove(w, in, "nothing", WORLD_BENEATH, false), 0);
    }
    assert_null(tree_read("out/new"));
}

/* A path as long as it may be, of directories, links and dots. */
static void test_long(void **state) {
    (void)state;
    char path[4096];
    size_t n = 0;
    while (n + 16 < sizeof path)
        n += (size_t)sprintf(path + n, "a/b/../.././"); /* 341 times down and up */
    strcpy(path + n, "f");
    assert_int_equal(look(walker, path, WORLD_READ), inode("f"));
    assert_int_equal(look(kernel, path, WORLD_READ), inode("f"));
    n = 0;
    while (n + 8 < sizeof path)
        n += (size_t)sprintf(path + n, "to_a/../"); /* too many links */
    strcpy(path + n, "f");
    assert_int_equal(look(walker, path, WORLD_READ), -ELOOP);
    assert_int_equal(look(kernel, path, WORLD_READ), -ELOOP);
    memset(path, 'x', 300);
    path[300] = '\0';
    assert_int_equal(look(walker, path, WORLD_READ), -ENAMETOOLONG);
    assert_int_equal(look(kernel, path, WORLD_READ), -ENAMETOOLONG);
}

/* ---- operations on names ---- */

static void operations(struct world *w) {
    const struct world_ops *o = w->ops;
    const uint32_t b = WORLD_BENEATH;
    struct world_stat st;
    char text[64];

    /* What leads outside is refused by each of them, and nothing outside changes. */
    static const char *const outside[] = {"../x", "out/x", "a/out/x", "a/../../x", "/tmp/aeon-no-such", "absolute/x"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        const char *p = outside[i];
        assert_int_equal(o->make_dir(w, in, p, b, 0755), -EPERM);
        assert_int_equal(o->remove(w, in, p, b, false), -EPERM);
        assert_int_equal(o->remove(w, in, p, b, true), -EPERM);
        assert_int_equal(o->rename(w, in, p, in, "x", b), -EPERM);
        assert_int_equal(o->rename(w, in, "f", in, p, b), -EPERM);
        assert_int_equal(o->link(w, in, "f", in, p, b), -EPERM);
        assert_int_equal(o->link(w, in, p, in, "x", b), -EPERM);
        assert_int_equal(o->link(w, in, p, in, "x", b | WORLD_NOFOLLOW), -EPERM);
        assert_int_equal(o->symlink(w, "f", in, p, b), -EPERM);
        assert_int_equal(o->read_link(w, in, p, b, text, sizeof text), -EPERM);
        assert_int_equal(o->stat_at(w, in, p, b, &st), -EPERM);
        assert_int_equal(o->stat_at(w, in, p, b | WORLD_NOFOLLOW, &st), -EPERM);
        assert_int_equal(o->set_times_at(w, in, p, b, 0, 0, WORLD_MTIM), -EPERM);
        assert_int_equal(o->set_times_at(w, in, p, b | WORLD_NOFOLLOW, 0, 0, WORLD_MTIM), -EPERM);
    }
    /* So is the parent itself, by whatever name. */
    static const char *const parents[] = {"..", "a/../..", "a/up/..", "../"};
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        assert_int_equal(o->stat_at(w, in, parents[i], b, &st), -EPERM);
        assert_int_equal(o->stat_at(w, in, parents[i], b | WORLD_NOFOLLOW, &st), -EPERM);
        assert_int_equal(o->remove(w, in, parents[i], b, true), -EPERM);
        assert_int_equal(o->make_dir(w, in, parents[i], b, 0755), -EPERM);
        assert_int_equal(o->set_times_at(w, in, parents[i], b | WORLD_NOFOLLOW, 0, 0, WORLD_MTIM), -EPERM);
    }
    /* Links that lead outside are things inside as long as nobody follows them. */
    assert_int_equal(o->stat_at(w, in, "secret", b, &st), -EPERM);
    assert_int_equal(o->stat_at(w, in, "secret", b | WORLD_NOFOLLOW, &st), 0);
    assert_int_equal(st.type, WORLD_SYMLINK);
    assert_int_equal(o->stat_at(w, in, "out/", b | WORLD_NOFOLLOW, &st), -EPERM);
    assert_int_equal(o->set_times_at(w, in, "secret", b, 0, 0, WORLD_MTIM), -EPERM);
    assert_int_equal(o->set_times_at(w, in, "out/", b | WORLD_NOFOLLOW, 0, 0, WORLD_MTIM), -EPERM);
    assert_int_equal(o->link(w, in, "out/", in, "x", b | WORLD_NOFOLLOW), -EPERM);
    assert_int_equal(o->link(w, in, "secret", in, "x", b), -EPERM);
    assert_int_equal(o->read_link(w, in, "secret", b, text, sizeof text), 13);
    assert_memory_equal(text, "../out/secret", 13);
    assert_int_equal(o->read_link(w, in, "secret", b, text, 4), 4);
    assert_int_equal(o->read_link(w, in, "out/", b, text, sizeof text), -EPERM);
    assert_int_equal(o->read_link(w, in, "f", b, text, sizeof text), -EINVAL);
    assert_int_equal(o->read_link(w, in, "a/", b, text, sizeof text), -EINVAL);

    /* The ordinary. */
    assert_int_equal(o->make_dir(w, in, "d", b, 0755), 0);
    assert_int_equal(o->make_dir(w, in, "d", b, 0755), -EEXIST);
    assert_int_equal(o->make_dir(w, in, "a/up/to_a/e/", b, 0755), 0);
    assert_int_equal(o->make_dir(w, in, ".", b, 0755), -EEXIST);
    assert_int_equal(o->stat_at(w, in, "a/e", b, &st), 0);
    assert_int_equal(st.type, WORLD_DIRECTORY);
    assert_int_equal(o->rename(w, in, "a/e", in, "to_a/b/../e2", b), 0);
    assert_int_equal(o->remove(w, in, "a/e2", b, false), -EISDIR);
    assert_int_equal(o->remove(w, in, "a/e2", b, true), 0);
    assert_int_equal(o->remove(w, in, "a", b, true), -ENOTEMPTY);
    assert_int_equal(o->remove(w, in, "f", b, true), -ENOTDIR);
    assert_int_equal(o->remove(w, in, "f/", b, false), -ENOTDIR);
    assert_int_equal(o->remove(w, in, ".", b, true), -EINVAL);
    assert_int_equal(o->remove(w, in, "none", b, false), -ENOENT);
    assert_int_equal(o->symlink(w, "../f", in, "d/link", b), 0);
    assert_int_equal(o->link(w, in, "d/link", in, "d/hard_f", b), 0);
    assert_int_equal(o->stat_at(w, in, "d/hard_f", b | WORLD_NOFOLLOW, &st), 0);
    assert_int_equal(st.type, WORLD_REGULAR);
    assert_int_equal(st.nlink, 2);
    assert_int_equal(o->link(w, in, "d/link", in, "d/hard_link", b | WORLD_NOFOLLOW), 0);
    assert_int_equal(o->stat_at(w, in, "d/hard_link", b | WORLD_NOFOLLOW, &st), 0);
    assert_int_equal(st.type, WORLD_SYMLINK);
    assert_int_equal(o->link(w, in, "a", in, "d/dir", b), -EPERM);
    assert_int_equal(o->set_times_at(w, in, "d/link", b, 1000000007, 2000000009, WORLD_ATIM | WORLD_MTIM), 0);
    assert_int_equal(o->stat_at(w, in, "f", b, &st), 0);
    assert_int_equal(st.mtim, 2000000009);
    assert_int_equal(st.atim, 1000000007);
    assert_int_equal(o->set_times_at(w, in, "d/link", b | WORLD_NOFOLLOW, 0, 3000000000, WORLD_MTIM), 0);
    assert_int_equal(o->stat_at(w, in, "d/link", b | WORLD_NOFOLLOW, &st), 0);
    assert_int_equal(st.mtim, 3000000000);
    assert_int_equal(o->stat_at(w, in, "f", b, &st), 0);
    assert_int_equal(st.mtim, 2000000009);
    assert_int_equal(o->remove(w, in, "d/hard_f", b, false), 0);
    assert_int_equal(o->remove(w, in, "d/hard_link", b, false), 0);
    assert_int_equal(o->remove(w, in, "d/link", b, false), 0);
    assert_int_equal(o->remove(w, in, "d/", b, true), 0);
    assert_string_equal(tree_read("out/secret"), "secret");
    assert_string_equal(tree_read("in/f"), "in f");
}

static void test_operations_kernel(void **state) {
    (void)state;
    operations(kernel);
}

static void test_operations_walk(void **state) {
    (void)state;
    operations(walker);
}

/* ---- renames meanwhile ---- */

static atomic_bool racing;

/* Makes `in/r/x` now a directory, now a link out; and moves `in/r/y/z` between inside and outside. */
static void *rename_all_the_time(void *arg) {
    (void)arg;
    while (atomic_load(&racing)) {
        must(renameat2(in, "r/x", in, "r/link", 2 /* RENAME_EXCHANGE */) == 0);
        must(renameat(in, "r/y/z", tree_fd(), "out/z") == 0);
        must(renameat(tree_fd(), "out/z", in, "r/y/z") == 0);
    }
    return NULL;
}

/* Is what we got the file outside, or its directory? */
static void expect_inside(struct world *w, int fd, uint64_t secret, uint64_t out) {
    if (fd < 0) {
        assert_true(fd == -EPERM || fd == -ENOENT || fd == -ENOTDIR);
        return;
    }
    struct world_stat st;
    assert_int_equal(w->ops->stat(w, fd, &st), 0);
    assert_int_not_equal(st.ino, secret);
    assert_int_not_equal(st.ino, out);
    w->ops->close(w, fd);
}

static void race(struct world *w) {
    struct stat secret, out, root;
    must(fstatat(tree_fd(), "out/secret", &secret, 0) == 0);
    must(fstatat(tree_fd(), "out", &out, 0) == 0);
    must(fstat(tree_fd(), &root) == 0);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const double end = (double)t.tv_sec + (double)t.tv_nsec * 1e-9 + 0.5;
    struct prng p = {42};
    unsigned rounds = 0, opened = 0;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        if ((double)t.tv_sec + (double)t.tv_nsec * 1e-9 > end)
            break;
        static const char *const tries[] = {"r/x/secret",  "r/x/../../../out/secret", "r/y/z/../secret", "r/y/z/..",
                                            "r/y/z/../..", "r/y/z/../../../f"};
        const char *path = tries[prng_below(&p, sizeof tries / sizeof *tries)];
        int fd = w->ops->open(w, in, path, WORLD_READ | WORLD_BENEATH, 0);
        opened += fd >= 0;
        expect_inside(w, fd, secret.st_ino, out.st_ino);
        struct world_stat st;
        if (w->ops->stat_at(w, in, "r/x/secret", WORLD_BENEATH, &st) == 0)
            assert_int_not_equal(st.ino, secret.st_ino);
        int r = w->ops->remove(w, in, "r/x/secret", WORLD_BENEATH, false);
        if (r == 0)
            tree_file("in/r/real/secret", "not so secret");
        rounds++;
    }
    assert_true(rounds > 100);
    assert_true(opened > 0);
    assert_string_equal(tree_read("out/secret"), "secret");
}

static void test_race(void **state) {
    (void)state;
    tree_dir("in/r");
    tree_dir("in/r/real");
    tree_file("in/r/real/secret", "not so secret");
    must(symlinkat("real", in, "r/x") == 0);
    must(symlinkat("../../out", in, "r/link") == 0);
    tree_dir("in/r/y");
    tree_dir("in/r/y/z");
    atomic_store(&racing, true);
    pthread_t thread;
    must(pthread_create(&thread, NULL, rename_all_the_time, NULL) == 0);
    race(kernel);
    race(walker);
    atomic_store(&racing, false);
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_and_walk_agree),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_create_through_link),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_operations_kernel),
        cmocka_unit_test(test_operations_walk),
        cmocka_unit_test(test_race),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
