/* Files and directories through the calls of WASI. */
#include "base/must.h"
#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_read_write_seek(void **state) {
    (void)state;
    uint32_t fd = box_must_open(DATA, "new", TO_READ | TO_WRITE, WASI_O_CREAT | WASI_O_EXCL, 0);
    assert_int_equal(fd, 5); /* the lowest free one */
    uint32_t done;
    assert_int_equal(box_write(fd, "hello world", &done), 0);
    assert_int_equal(done, 11);
    struct abi_fd_tell tell = {.fd = fd};
    assert_int_equal(wasi_fd_tell(wasi, &tell), 0);
    assert_int_equal(tell.offset, 11);
    struct abi_fd_seek seek = {.fd = fd, .offset = -5, .whence = WASI_WHENCE_END};
    assert_int_equal(wasi_fd_seek(wasi, &seek), 0);
    assert_int_equal(seek.newoffset, 6);
    char out[32];
    assert_int_equal(box_read(fd, out, 31), 0);
    assert_string_equal(out, "world");
    assert_int_equal(box_read(fd, out, 31), 0);
    assert_string_equal(out, "");
    /* whence counts differently there */
    struct abi_unstable_fd_seek unstable = {.fd = fd, .offset = 2, .whence = 2};
    assert_int_equal(wasi_unstable_fd_seek(wasi, &unstable), 0);
    assert_int_equal(unstable.newoffset, 2);
    unstable.whence = 0;
    assert_int_equal(wasi_unstable_fd_seek(wasi, &unstable), 0);
    assert_int_equal(unstable.newoffset, 4);
    unstable.whence = 1;
    unstable.offset = 0;
    assert_int_equal(wasi_unstable_fd_seek(wasi, &unstable), 0);
    assert_int_equal(unstable.newoffset, 11);

    char a[3], b[16];
    struct iovec v[2] = {{a, 3}, {b, 16}};
    struct abi_fd_pread pread = {.fd = fd, .iovs = {v, 2, 19}, .offset = 6};
    assert_int_equal(wasi_fd_pread(wasi, &pread), 0);
    assert_int_equal(pread.nread, 5);
    assert_int_equal(pread.iovs.size, 5);
    assert_memory_equal(a, "wor", 3);
    assert_memory_equal(b, "ld", 2);
    struct iovec o[2] = {{"HE", 2}, {"LLO", 3}};
    struct abi_fd_pwrite pwrite = {.fd = fd, .iovs = {o, 2, 5}, .offset = 0};
    assert_int_equal(wasi_fd_pwrite(wasi, &pwrite), 0);
    assert_int_equal(pwrite.nwritten, 5);
    assert_int_equal(CALLED(fd_filestat_set_size, .fd = fd, .size = 7), 0);
    assert_string_equal(tree_read("data/new"), "HELLO w");
    assert_int_equal(CALLED(fd_allocate, .fd = fd, .offset = 0, .len = 20), 0);
    assert_int_equal(CALLED(fd_advise, .fd = fd, .len = 20, .advice = WASI_ADVICE_WILLNEED), 0);
    assert_int_equal(CALLED(fd_sync, .fd = fd), 0);
    assert_int_equal(CALLED(fd_datasync, .fd = fd), 0);
    struct wasi_filestat st;
    assert_int_equal(CALLED(fd_filestat_get, .fd = fd, .stat = &st), 0);
    assert_int_equal(st.size, 20);
    assert_int_equal(st.filetype, WASI_FILETYPE_REGULAR_FILE);
    assert_int_equal(st.nlink, 1);
    assert_int_equal(box_close(fd), 0);
    assert_int_equal(box_close(fd), WASI_EBADF);
}

static void test_flags(void **state) {
    (void)state;
    struct wasi_fdstat st;
    uint32_t fd = box_must_open(DATA, "log", TO_READ | TO_WRITE, WASI_O_CREAT, WASI_FDFLAG_APPEND);
    assert_int_equal(box_write(fd, "one ", NULL), 0);
    assert_int_equal(CALLED(fd_seek, .fd = fd, .offset = 0, .whence = WASI_WHENCE_SET), 0);
    assert_int_equal(box_write(fd, "two ", NULL), 0);
    assert_int_equal(CALLED(fd_fdstat_get, .fd = fd, .stat = &st), 0);
    assert_int_equal(st.flags, WASI_FDFLAG_APPEND);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = fd, .flags = WASI_FDFLAG_NONBLOCK | WASI_FDFLAG_DSYNC), 0);
    assert_int_equal(CALLED(fd_fdstat_get, .fd = fd, .stat = &st), 0);
    assert_int_equal(st.flags, WASI_FDFLAG_NONBLOCK | WASI_FDFLAG_DSYNC);
    assert_int_equal(CALLED(fd_seek, .fd = fd, .offset = 0, .whence = WASI_WHENCE_SET), 0);
    assert_int_equal(box_write(fd, "ONE", NULL), 0);
    assert_string_equal(tree_read("data/log"), "ONE two ");
    assert_int_equal(box_close(fd), 0);
    fd = box_must_open(DATA, "log", TO_WRITE, WASI_O_TRUNC, WASI_FDFLAG_SYNC);
    assert_string_equal(tree_read("data/log"), "");
    assert_int_equal(box_close(fd), 0);
}

static void test_times(void **state) {
    (void)state;
    struct wasi_filestat st;
    assert_int_equal(CALLED(path_filestat_set_times, .fd = DATA, .flags = WASI_LOOKUP_SYMLINK_FOLLOW,
                            .path = text("to_f"), .atim = 1500000000, .mtim = 2500000000,
                            .fst_flags = WASI_FST_ATIM | WASI_FST_MTIM),
                     0);
    assert_int_equal(CALLED(path_filestat_get, .fd = DATA, .path = text("f"), .stat = &st), 0);
    assert_int_equal(st.atim, 1500000000);
    assert_int_equal(st.mtim, 2500000000);
    assert_int_equal(st.size, 8);
    uint32_t fd = box_must_open(DATA, "f", TO_READ, 0, 0);
    assert_int_equal(CALLED(fd_filestat_set_times, .fd = fd, .mtim = 7, .fst_flags = WASI_FST_MTIM), 0);
    struct wasi_unstable_filestat old;
    assert_int_equal(CALLED(unstable_fd_filestat_get, .fd = fd, .stat = &old), 0);
    assert_int_equal(old.atim, 1500000000);
    assert_int_equal(old.mtim, 7);
    assert_int_equal(old.nlink, 1);
    assert_int_equal(old.size, 8);
    assert_int_equal(CALLED(unstable_path_filestat_get, .fd = DATA, .path = text("to_f"), .stat = &old), 0);
    assert_int_equal(old.filetype, WASI_FILETYPE_SYMBOLIC_LINK);
    assert_int_equal(CALLED(path_filestat_get, .fd = DATA, .path = text("."), .stat = &st), 0);
    assert_int_equal(st.filetype, WASI_FILETYPE_DIRECTORY);
    assert_int_equal(box_close(fd), 0);
}

static void test_names(void **state) {
    (void)state;
    assert_int_equal(CALLED(path_create_directory, .fd = DATA, .path = text("n")), 0);
    assert_int_equal(CALLED(path_link, .old_fd = DATA, .old_flags = WASI_LOOKUP_SYMLINK_FOLLOW,
                            .old_path = text("to_f"), .new_fd = DATA, .new_path = text("n/hard")),
                     0);
    assert_string_equal(tree_read("data/n/hard"), "contents");
    assert_int_equal(CALLED(path_symlink, .old_path = text("hard"), .fd = DATA, .new_path = text("n/soft")), 0);
    assert_string_equal(tree_read("data/n/soft"), "contents");
    assert_int_equal(
        CALLED(path_rename, .fd = DATA, .old_path = text("n/hard"), .new_fd = DATA, .new_path = text("to_d/../moved")),
        0);
    assert_null(tree_read("data/n/soft"));
    uint8_t buf[16];
    struct abi_path_readlink readlink = {.fd = DATA, .path = text("n/soft"), .buf = {buf, sizeof buf}};
    assert_int_equal(wasi_path_readlink(wasi, &readlink), 0);
    assert_int_equal(readlink.bufused, 4);
    assert_int_equal(readlink.buf.size, 4);
    assert_memory_equal(buf, "hard", 4);
    readlink.buf.size = 2;
    assert_int_equal(wasi_path_readlink(wasi, &readlink), 0);
    assert_int_equal(readlink.bufused, 2);
    readlink.buf.size = 0;
    assert_int_equal(wasi_path_readlink(wasi, &readlink), 0);
    assert_int_equal(readlink.bufused, 0);
    assert_int_equal(CALLED(path_unlink_file, .fd = DATA, .path = text("n/soft")), 0);
    assert_int_equal(CALLED(path_unlink_file, .fd = DATA, .path = text("moved")), 0);
    assert_int_equal(CALLED(path_remove_directory, .fd = DATA, .path = text("n")), 0);
    assert_string_equal(tree_read("data/f"), "contents");
}

/* ---- listing ---- */

enum { FILES = 300 };

struct seen {
    unsigned n, twice, dots;
    bool names[FILES];
};

static void see(struct seen *s, const char *name, size_t n) {
    char text[300];
    must(n < sizeof text);
    memcpy(text, name, n);
    text[n] = '\0';
    unsigned i;
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        s->dots++;
    } else {
        assert_int_equal(sscanf(text, "some-file-%u", &i), 1);
        s->twice += s->names[i];
        s->names[i] = true;
        s->n++;
    }
}

/* Reads a directory as a C library does: whole entries, and again from where the last whole one ended. */
static void list(uint32_t fd, uint32_t buf_size, struct seen *s, void (*after)(const char *name, size_t n)) {
    uint8_t buf[4096];
    uint64_t cookie = 0;
    *s = (struct seen){0};
    for (;;) {
        struct abi_fd_readdir a = {.fd = fd, .buf = {buf, buf_size}, .cookie = cookie};
        assert_int_equal(wasi_fd_readdir(wasi, &a), 0);
        assert_int_equal(a.buf.size, a.bufused);
        assert_true(a.bufused <= buf_size);
        uint32_t at = 0;
        while (at + sizeof(struct wasi_dirent) <= a.bufused) {
            struct wasi_dirent d;
            memcpy(&d, buf + at, sizeof d);
            if (at + sizeof d + d.namlen > a.bufused)
                break;
            see(s, (char *)buf + at + sizeof d, d.namlen);
            if (after)
                after((char *)buf + at + sizeof d, d.namlen);
            at += (uint32_t)sizeof d + d.namlen;
            cookie = d.next;
        }
        if (a.bufused < buf_size)
            return;
        assert_true(at > 0);
    }
}

static void remove_seen(const char *name, size_t n) {
    char path[128];
    if (name[0] == '.')
        return;
    snprintf(path, sizeof path, "many/%.*s", (int)n, name);
    assert_int_equal(CALLED(path_unlink_file, .fd = DATA, .path = text(path)), 0);
}

static void test_listing(void **state) {
    (void)state;
    tree_dir("data/many");
    for (int i = 0; i < FILES; i++) {
        char path[64];
        snprintf(path, sizeof path, "data/many/some-file-%d", i);
        tree_file(path, "");
    }
    uint32_t fd = box_must_open(DATA, "many", TO_READ, WASI_O_DIRECTORY, 0);
    struct seen s;
    static const uint32_t sizes[] = {40, 41, 64, 100, 333, 1000, 4096};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        list(fd, sizes[i], &s, NULL);
        assert_int_equal(s.n, FILES);
        assert_int_equal(s.twice, 0);
        assert_int_equal(s.dots, 2);
    }
    /* An entry that does not fit is cut, at any byte. */
    uint8_t whole[4096], part[128];
    struct abi_fd_readdir a = {.fd = fd, .buf = {whole, sizeof whole}};
    assert_int_equal(wasi_fd_readdir(wasi, &a), 0);
    for (uint32_t n = 0; n <= sizeof part; n++) {
        struct abi_fd_readdir b = {.fd = fd, .buf = {part, n}};
        assert_int_equal(wasi_fd_readdir(wasi, &b), 0);
        assert_int_equal(b.bufused, n);
        assert_memory_equal(part, whole, n);
    }
    /* Another descriptor understands the cookie. */
    uint32_t other = box_must_open(DATA, "many", TO_READ, WASI_O_DIRECTORY, 0);
    struct wasi_dirent d;
    memcpy(&d, whole, sizeof d);
    struct abi_fd_readdir c = {.fd = other, .buf = {part, 64}, .cookie = d.next};
    assert_int_equal(wasi_fd_readdir(wasi, &c), 0);
    assert_memory_equal(part, whole + sizeof d + d.namlen, 64);
    assert_int_equal(box_close(other), 0);
    /* What is removed while it is listed does not hide what is not. */
    list(fd, 333, &s, remove_seen);
    assert_int_equal(s.n, FILES);
    assert_int_equal(s.twice, 0);
    list(fd, 333, &s, NULL);
    assert_int_equal(s.n, 0);
    assert_int_equal(box_close(fd), 0);
    assert_int_equal(CALLED(path_remove_directory, .fd = DATA, .path = text("many")), 0);
}

/* More names than are kept at a time. */
static void test_long_listing(void **state) {
    (void)state;
    tree_dir("data/long");
    for (int i = 0; i < FILES; i++) {
        char path[300];
        int n = snprintf(path, sizeof path, "data/long/some-file-%d-", i);
        memset(path + n, 'x', 230);
        path[n + 230] = '\0';
        tree_file(path, "");
    }
    uint32_t fd = box_must_open(DATA, "long", TO_READ, WASI_O_DIRECTORY, 0);
    static const uint32_t sizes[] = {300, 1000, 4096};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct seen s;
        list(fd, sizes[i], &s, NULL);
        assert_int_equal(s.n, FILES);
        assert_int_equal(s.twice, 0);
        assert_int_equal(s.dots, 2);
    }
    assert_int_equal(box_close(fd), 0);
}

/* ---- descriptors ---- */

static void test_renumber(void **state) {
    (void)state;
    char out[32];
    uint32_t a = box_must_open(DATA, "f", TO_READ, 0, 0), b = box_must_open(DATA, "d/g", TO_READ, 0, 0);
    assert_int_equal(CALLED(fd_renumber, .fd = a, .to = a), 0);
    assert_int_equal(CALLED(fd_renumber, .fd = a, .to = b), 0);
    assert_int_equal(box_read(a, out, 31), WASI_EBADF);
    assert_int_equal(box_read(b, out, 31), 0);
    assert_string_equal(out, "contents");
    assert_int_equal(box_must_open(DATA, "f", TO_READ, 0, 0), a);
    assert_int_equal(box_close(a), 0);
    assert_int_equal(box_close(b), 0);
}

static void test_many_descriptors(void **state) {
    (void)state;
    struct wasi *small = wasi_new(world, 8), *before = wasi;
    char host[512];
    wasi = small;
    snprintf(host, sizeof host, "/proc/self/fd/%d/data", tree_fd());
    assert_int_equal(wasi_add_dir(wasi, host, "data", true, NULL), ST_OK);
    uint32_t fd;
    for (uint32_t i = 4; i < 8; i++)
        assert_int_equal(box_must_open(DATA, "f", TO_READ, 0, 0), i);
    assert_int_equal(box_open(DATA, "f", TO_READ, 0, 0, &fd), WASI_EMFILE);
    assert_int_equal(box_close(5), 0);
    assert_int_equal(box_must_open(DATA, "f", TO_READ, 0, 0), 5);
    assert_int_equal(box_close(1), 0); /* standard output is never given to something else by accident */
    assert_int_equal(box_write(1, "x", NULL), WASI_EBADF);
    assert_int_equal(box_must_open(DATA, "f", TO_READ, 0, 0), 1);
    wasi_free(small);
    wasi = before;
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(box_must_open(DATA, "f", TO_READ, 0, 0), 5 + i);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(box_close(5 + i), 0);
}

static void test_preopens(void **state) {
    (void)state;
    struct wasi_prestat st = {.type = 9};
    assert_int_equal(CALLED(fd_prestat_get, .fd = DATA, .prestat = &st), 0);
    assert_int_equal(st.type, WASI_PREOPEN_DIR);
    assert_int_equal(st.name_len, 5);
    uint8_t name[8];
    struct abi_fd_prestat_dir_name a = {.fd = DATA, .path = {name, 5}};
    assert_int_equal(wasi_fd_prestat_dir_name(wasi, &a), 0);
    assert_memory_equal(name, "/data", 5);
    assert_int_equal(CALLED(fd_prestat_get, .fd = 5, .prestat = &st), WASI_EBADF);
    assert_int_equal(CALLED(fd_prestat_get, .fd = 1, .prestat = &st), WASI_EBADF);
    struct err e = ERR_INIT;
    assert_int_equal(wasi_add_dir(wasi, "/no/such", "x", true, &e), ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "/no/such"));
    err_clear(&e);
    assert_int_equal(wasi_add_dir(wasi, "/dev/null", "x", true, &e), ST_INVALID);
    assert_int_equal(wasi_add_dir(wasi, "/tmp", "", true, NULL), ST_INVALID);
}

static void test_process(void **state) {
    (void)state;
    wasi_set_args(wasi, 3, (const char *const[]){"prog", "", "three"});
    wasi_add_env(wasi, "A=1");
    struct abi_args_sizes_get n = {0};
    assert_int_equal(wasi_args_sizes_get(wasi, &n), 0);
    assert_int_equal(n.argc, 3);
    assert_int_equal(n.size, 12);
    struct abi_args_get args = {0};
    assert_int_equal(wasi_args_get(wasi, &args), 0);
    assert_int_equal(args.argv.n, 3);
    assert_string_equal(args.argv.list[2], "three");
    struct abi_environ_sizes_get en = {0};
    assert_int_equal(wasi_environ_sizes_get(wasi, &en), 0);
    assert_int_equal(en.count, 1);
    assert_int_equal(en.size, 4);
    struct abi_environ_get env = {0};
    assert_int_equal(wasi_environ_get(wasi, &env), 0);
    assert_string_equal(env.env.list[0], "A=1");
    for (uint32_t id = 0; id < 4; id++) {
        struct abi_clock_time_get t = {.id = id};
        struct abi_clock_res_get r = {.id = id};
        assert_int_equal(wasi_clock_time_get(wasi, &t), 0);
        assert_int_equal(wasi_clock_res_get(wasi, &r), 0);
        assert_true(t.time > 0);
        assert_true(r.resolution > 0);
    }
    uint8_t a[32] = {0}, zero[32] = {0};
    assert_int_equal(CALLED(random_get, .buf = {a, sizeof a}), 0);
    assert_memory_not_equal(a, zero, sizeof a);
    assert_int_equal(CALLED(sched_yield), 0);
    uint32_t code;
    assert_false(wasi_exit_code(wasi, &code));
    assert_int_equal(CALLED(proc_raise, .sig = WASI_SIG_CHLD), 0);
    assert_int_equal(CALLED(proc_raise, .sig = WASI_SIG_ABRT), ABI_EXIT(134));
    assert_int_equal(CALLED(proc_raise, .sig = WASI_SIG_SYS), ABI_EXIT(159));
    assert_int_equal(CALLED(proc_exit, .code = 42), ABI_EXIT(42));
    assert_true(wasi_exit_code(wasi, &code));
    assert_int_equal(code, 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_write_seek), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_names),
        cmocka_unit_test(test_listing),         cmocka_unit_test(test_long_listing),
        cmocka_unit_test(test_renumber),        cmocka_unit_test(test_many_descriptors),
        cmocka_unit_test(test_preopens),        cmocka_unit_test(test_process),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
