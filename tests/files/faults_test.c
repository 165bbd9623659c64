/* Every call to the world below fails once, in turn: nothing leaks, nothing crashes, the lower directory stays as it
 * is, what a quota counts is there, and afterwards everything goes on. */
#include "../world/tree.h"
#include "base/must.h"
#include "box.h"
#include "world/os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a layer that fails once ---- */

static unsigned calls, failing; /* the number of the call that fails; 0: none */

static bool due(const char *name) {
    return strcmp(name, "close") != 0 && ++calls == failing; /* a handle is closed in any case */
}

// clang-format off
#define FAILING(result, name, params, ...) \
    static result failing_##name params { \
        if (due(#name)) \
            return (result)(intptr_t)-EIO; \
        return BELOW(w, name, ##__VA_ARGS__); \
    }
WORLD_OPS(FAILING)
#define ROW(result, op, params, ...) .op = failing_##op,
static const struct world_ops failing_ops = {WORLD_OPS(ROW) .name = "failing"};
// clang-format on

static struct world_layer faulty = {.world = {.ops = &failing_ops}};

static unsigned handles(void) {
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* ---- what is done ---- */

static void scenario(int d) {
    char text[64];
    int r = OP(open, d, "d/f", WORLD_READ, 0), again = r < 0 ? -1 : OP(dup, r);
    append(d, "d/f", "more");
    if (again >= 0)
        read_at(again, text, sizeof text);
    put(d, "f", "new");
    put(d, "d/new", "new");
    OP(make_dir, d, "d/e", 0, 0777);
    put(d, "d/e/g", "g");
    OP(rename, d, "g", d, "d/e/g", 0);
    OP(rename, d, "d/e", d, "empty", 0);
    OP(link, d, "twin", d, "d/third", 0);
    OP(symlink, "d/f", d, "s", 0);
    OP(read_link, d, "to_f", 0, text, sizeof text);
    OP(set_times_at, d, "to_f", WORLD_NOFOLLOW, 1, 1, WORLD_MTIM);
    OP(set_times_at, d, "d", 0, 1, 1, WORLD_MTIM);
    int w = OP(open, d, "h", WORLD_READ | WORLD_WRITE | WORLD_CREATE, 0644);
    OP(remove, d, "h", 0, false);
    if (w >= 0) {
        write_text(w, "something");
        OP(set_size, w, 100);
        OP(allocate, w, 0, 200);
        OP(set_size, w, 10);
        OP(close, w);
    }
    OP(remove, d, "to_f", 0, false);
    OP(remove, d, "empty/g", 0, false);
    OP(remove, d, "empty", 0, true);
    int sub = OP(open, d, "d", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    if (sub >= 0) {
        put(sub, "x", "x");
        OP(remove, sub, "x", 0, false);
        OP(close, sub);
    }
    if (r >= 0)
        OP(close, r);
    if (again >= 0)
        OP(close, again);
}

static void fill(const char *top) {
    char p[64];
    static const char *const dirs[] = {"", "/d", "/empty"}, *const names[] = {"/f", "/g", "/d/f", "/twin"};
    for (int i = 0; i < 3; i++) {
        snprintf(p, sizeof p, "%s%s", top, dirs[i]);
        tree_dir(p);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(p, sizeof p, "%s%s", top, names[i]);
        tree_file(p, names[i]);
    }
    char p2[64];
    snprintf(p, sizeof p, "%s/f", top);
    snprintf(p2, sizeof p2, "%s/twin", top);
    must(linkat(tree_fd(), p, tree_fd(), p2, 0) == 0);
    snprintf(p, sizeof p, "%s/to_f", top);
    tree_link(p, "f");
}

static uint64_t bytes, count;
static ino_t twins[256];
static size_t ntwins;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)type;
    if (ftw->level == 0 || strncmp(path + ftw->base, ".wh.", 4) == 0)
        return 0;
    count++;
    for (size_t i = 0; i < ntwins; i++)
        if (twins[i] == st->st_ino)
            return 0;
    twins[ntwins++] = st->st_ino;
    bytes += S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size;
    return 0;
}

/* `slack`: a call that failed after something had changed may leave that much uncounted or counted too much. */
static void quota_is_right(int d, const char *top, unsigned which, uint64_t slack_bytes, uint64_t slack_count) {
    uint64_t b, c;
    bytes = count = ntwins = 0;
    nftw(box_path(top), count_one, 16, FTW_PHYS);
    assert_true(files_quota_used(files, d, &b, &c));
    if (b > bytes + slack_bytes || bytes > b + slack_bytes || c > count + slack_count || count > c + slack_count)
        fail_msg("%s, call %u: the quota counts %llu bytes, %llu entries; there are %llu, %llu", top, which,
                 (unsigned long long)b, (unsigned long long)c, (unsigned long long)bytes, (unsigned long long)count);
}

static unsigned try_with(unsigned which, bool overlay, bool archive) {
    box_new();
    faulty.below = os;
    files->ops->free(files);
    files = files_new(&faulty.world);
    fill("t");
    if (archive) {
        char command[1024];
        snprintf(command, sizeof command, "tar -cf %s -C %s .", box_path("t.tar"), box_path("t"));
        must(system(command) == 0);
    }
    const struct files_quota q = {.size_bytes = 1 << 20, .count = 1000};
    const char *lower = archive ? "t.tar" : "t";
    const unsigned before = handles();
    struct err e = ERR_INIT;
    int d = -1;
    calls = 0;
    failing = which;
    enum status s = overlay ? files_open_overlay(files, box_path(lower), box_path("up"), &q, &d, &e)
                            : files_open_dir(files, box_path("t"), &q, &d, &e);
    if (s == ST_OK) {
        scenario(d);
        const unsigned all = calls;
        failing = 0;
        quota_is_right(d, overlay ? "up" : "t", which, which ? 300 : 0, which ? 1 : 0);
        failing = which;
        calls = all;
        if (overlay && !archive) {
            assert_string_equal(tree_read("t/f"), "/f");
            assert_string_equal(tree_read("t/d/f"), "/d/f");
            assert_string_equal(tree_read("t/g"), "/g");
        }
        /* What failed has not broken anything. */
        failing = 0;
        assert_int_equal(put(d, "d/after", "x"), 1);
        assert_string_equal(text_of(d, "d/after"), "x");
        assert_int_equal(OP(close, d), 0);
        calls = all;
    } else {
        assert_true(e.text[0]);
        failing = 0;
    }
    const unsigned made = calls;
    if (handles() != before)
        fail_msg("call %u: %u handles are left open", which, handles() - before);
    box_free();
    return made;
}

static void each_call(bool overlay, bool archive) {
    const unsigned all = try_with(0, overlay, archive);
    assert_true(all > 100);
    for (unsigned i = 1; i <= all; i++)
        try_with(i, overlay, archive);
    print_message("%u calls\n", all);
}

static void of_a_directory(void **state) {
    (void)state;
    each_call(false, false);
}

static void of_an_overlay(void **state) {
    (void)state;
    each_call(true, false);
}

static void of_an_overlay_on_an_archive(void **state) {
    (void)state;
    each_call(true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_directory),
        cmocka_unit_test(of_an_overlay),
        cmocka_unit_test(of_an_overlay_on_an_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
