/* Rights, how they are inherited and given up; and what is said of things that were not given. */
#include "box.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define R(name) WASI_RIGHT_##name

static struct wasi_fdstat fdstat(uint32_t fd) {
    struct wasi_fdstat st;
    assert_int_equal(CALLED(fd_fdstat_get, .fd = fd, .stat = &st), 0);
    return st;
}

static int64_t open_with(uint32_t dir, const char *path, uint64_t base, uint64_t inheriting, uint32_t oflags,
                         uint32_t fdflags, uint32_t *fd) {
    struct abi_path_open a = {.fd = dir,
                              .path = text(path),
                              .oflags = oflags,
                              .rights_base = base,
                              .rights_inheriting = inheriting,
                              .fdflags = fdflags};
    int64_t r = wasi_path_open(wasi, &a);
    *fd = a.opened_fd;
    return r;
}

static void test_inheritance(void **state) {
    (void)state;
    uint32_t fd, dir;
    struct wasi_fdstat st = fdstat(DATA);
    assert_int_equal(st.filetype, WASI_FILETYPE_DIRECTORY);
    assert_true(st.rights_base & R(PATH_OPEN));
    assert_false(st.rights_base & R(FD_READ));
    assert_true(st.rights_inheriting & R(FD_READ));

    /* Asked for is what one gets, as far as it makes sense for what is open. */
    assert_int_equal(open_with(DATA, "f", R(FD_READ) | R(FD_SEEK) | R(PATH_OPEN), R(FD_READ), 0, 0, &fd), 0);
    st = fdstat(fd);
    assert_int_equal(st.filetype, WASI_FILETYPE_REGULAR_FILE);
    assert_int_equal(st.rights_base, R(FD_READ) | R(FD_SEEK));
    assert_int_equal(st.rights_inheriting, 0);
    /* Some ask for all 64 bits. */
    assert_int_equal(box_close(fd), 0);
    assert_int_equal(open_with(FIXED, "d", R(PATH_OPEN) | R(FD_READDIR) | ~ALL_RIGHTS, R(FD_READ), 0, 0, &dir), 0);

    /* A directory passes on no more than it may. */
    st = fdstat(dir);
    assert_int_equal(st.rights_base, R(PATH_OPEN) | R(FD_READDIR));
    assert_int_equal(st.rights_inheriting, R(FD_READ));
    assert_int_equal(box_close(dir), 0);
    assert_int_equal(open_with(DATA, "d", R(PATH_OPEN), R(FD_READ), 0, 0, &dir), 0);
    assert_int_equal(open_with(dir, "g", R(FD_READ), 0, 0, 0, &fd), 0);
    assert_int_equal(box_close(fd), 0);
    assert_int_equal(open_with(dir, "g", R(FD_READ) | R(FD_SEEK), 0, 0, 0, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "g", R(FD_WRITE), 0, 0, 0, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "g", R(FD_READ), R(FD_WRITE), 0, 0, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "g", R(FD_READ), 0, 0, WASI_FDFLAG_DSYNC, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "g", R(FD_READ), 0, 0, WASI_FDFLAG_RSYNC, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "new", R(FD_READ), 0, WASI_O_CREAT, 0, &fd), WASI_ENOTCAPABLE);
    assert_int_equal(open_with(dir, "g", R(FD_READ), 0, WASI_O_TRUNC, 0, &fd), WASI_ENOTCAPABLE);
    struct wasi_filestat fst;
    assert_int_equal(CALLED(path_filestat_get, .fd = dir, .path = text("g"), .stat = &fst), WASI_ENOTCAPABLE);
    assert_int_equal(CALLED(path_unlink_file, .fd = dir, .path = text("g")), WASI_ENOTCAPABLE);
    assert_int_equal(box_close(dir), 0);
    assert_string_equal(tree_read("data/d/g"), "in d");
}

static void test_giving_up(void **state) {
    (void)state;
    uint32_t fd = box_must_open(DATA, "f", TO_READ | TO_WRITE, 0, 0);
    char out[16];
    assert_int_equal(CALLED(fd_fdstat_set_rights, .fd = fd, .base = R(FD_READ) | R(FD_TELL)), 0);
    assert_int_equal(box_read(fd, out, 4), 0);
    assert_int_equal(box_write(fd, "x", NULL), WASI_ENOTCAPABLE);
    /* Asking where one is takes the right to tell; moving takes more. */
    assert_int_equal(CALLED(fd_tell, .fd = fd), 0);
    assert_int_equal(CALLED(fd_seek, .fd = fd, .whence = WASI_WHENCE_CUR), 0);
    assert_int_equal(CALLED(fd_seek, .fd = fd, .offset = 1, .whence = WASI_WHENCE_CUR), WASI_ENOTCAPABLE);
    assert_int_equal(CALLED(fd_seek, .fd = fd, .whence = WASI_WHENCE_SET), WASI_ENOTCAPABLE);
    assert_int_equal(CALLED(fd_fdstat_set_rights, .fd = fd, .base = R(FD_READ) | R(FD_SEEK)), WASI_ENOTCAPABLE);
    assert_int_equal(CALLED(fd_fdstat_set_rights, .fd = fd), 0);
    assert_int_equal(box_read(fd, out, 4), WASI_ENOTCAPABLE);
    assert_int_equal(box_close(fd), 0);
}

static void test_read_only_directory(void **state) {
    (void)state;
    char out[16];
    /* As programs read: with all rights that reading could need. */
    uint32_t fd = box_must_open(FIXED, "f", TO_READ, 0, 0);
    assert_int_equal(box_read(fd, out, 15), 0);
    assert_string_equal(out, "fixed");
    assert_int_equal(box_close(fd), 0);
    /* Creating what is there, to read it, changes nothing. */
    assert_int_equal(box_open(FIXED, "f", TO_READ, WASI_O_CREAT, 0, &fd), 0);
    assert_int_equal(box_close(fd), 0);
    assert_string_equal(box_refusals(false), "");

    /* No way around through a directory opened below it. */
    uint32_t dir = box_must_open(FIXED, ".", TO_READ | TO_WRITE, WASI_O_DIRECTORY, 0);
    assert_int_equal(box_open(dir, "f", TO_READ | TO_WRITE, 0, 0, &fd), WASI_EROFS);
    uint32_t below = box_must_open(dir, "d", TO_READ | TO_WRITE, WASI_O_DIRECTORY, 0);
    assert_int_equal(CALLED(path_create_directory, .fd = below, .path = text("x")), WASI_EROFS);
    assert_int_equal(CALLED(path_create_directory, .fd = below, .path = text("x")), WASI_EROFS);
    assert_int_equal(box_close(below), 0);
    assert_int_equal(box_close(dir), 0);

    const char *said = box_refusals(false);
    const char *first = strstr(said, "path_open for writing /fixed/./f: --dir ");
    assert_ptr_equal(first, said);
    assert_non_null(strstr(said, "/fixed:/fixed is read-only; to allow it, give --dir "));
    assert_non_null(strstr(said, "/fixed:/fixed:rw\n"));
    const char *second = strstr(said, "path_create_directory /fixed/./d/x: ");
    assert_non_null(second);
    assert_null(strstr(second + 1, "path_create_directory")); /* said once */
}

static void test_refusals(void **state) {
    (void)state;
    uint32_t fd;
    /* Errors of every day are no refusals. */
    assert_int_equal(box_open(DATA, "none", TO_READ, 0, 0, &fd), WASI_ENOENT);
    assert_int_equal(box_open(DATA, "d", TO_WRITE, 0, 0, &fd), WASI_EISDIR);
    assert_int_equal(CALLED(path_link, .old_fd = DATA, .old_path = text("d"), .new_fd = DATA, .new_path = text("x")),
                     WASI_EPERM);
    struct wasi_prestat st;
    assert_int_equal(CALLED(fd_prestat_get, .fd = 5, .prestat = &st), WASI_EBADF);
    assert_string_equal(box_refusals(true), "");

    assert_int_equal(box_open(DATA, "../other/x", TO_READ, 0, 0, &fd), WASI_EPERM);
    assert_int_equal(box_open(DATA, "escape/x", TO_READ, 0, 0, &fd), WASI_EPERM);
    assert_int_equal(CALLED(sock_accept, .fd = 3), WASI_ENOTSOCK);
    const char *said = box_refusals(false);
    assert_non_null(strstr(said, "path_open /data/../other/x: leads out of what was given as --dir "));
    assert_non_null(strstr(said, "path_open /data/escape/x: leads out of what was given as --dir "));
    assert_non_null(strstr(said, "sock_accept on descriptor 3: no listening socket was given"));

    for (int i = 0; i < 100; i++) { /* a program that tries everything does not fill the screen */
        char path[32];
        snprintf(path, sizeof path, "../%d", i);
        assert_int_equal(box_open(DATA, path, TO_READ, 0, 0, &fd), WASI_EPERM);
    }
    unsigned lines = 0;
    for (const char *p = box_refusals(false); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 17);
}

static int open_fixed(void) {
    int fd = world->ops->open(world, tree_fd(), "fixed", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    assert_true(fd >= 0);
    return fd;
}

static void test_directory_that_is_open(void **state) {
    (void)state;
    uint32_t fd;
    char buf[16];
    assert_int_equal(wasi_add_dir_handle(wasi, open_fixed(), "--layer base:/over", "/over", false, NULL), ST_OK);
    fd = box_must_open(5, "f", TO_READ, 0, 0);
    assert_int_equal(box_read(fd, buf, 15), 0);
    assert_string_equal(buf, "fixed");
    assert_int_equal(box_open(5, "f", TO_WRITE, 0, 0, &fd), WASI_EROFS);
    /* what would allow it is not ours to say */
    assert_string_equal(box_refusals(false), "path_open for writing /over/f: --layer base:/over is read-only\n");

    /* one that cannot be given is closed all the same */
    int handle = open_fixed();
    struct world_stat st;
    assert_int_equal(wasi_add_dir_handle(wasi, handle, "--layer", "", false, NULL), ST_INVALID);
    assert_int_equal(world->ops->stat(world, handle, &st), -EBADF);
}

static void count(void *ctx) {
    ++*(int *)ctx;
}

static void test_yield(void **state) {
    (void)state;
    int yields = 0;
    assert_int_equal(CALLED(sched_yield, ), 0);
    wasi_set_yield(wasi, count, &yields);
    assert_int_equal(CALLED(sched_yield, ), 0);
    assert_int_equal(yields, 1);
}

static void test_no_directory(void **state) {
    (void)state;
    struct wasi *before = wasi;
    wasi = wasi_new(world, 0);
    assert_string_equal(box_refusals(true), "");
    struct wasi_prestat st;
    assert_int_equal(CALLED(fd_prestat_get, .fd = 3, .prestat = &st), WASI_EBADF);
    assert_string_equal(box_refusals(false), "");
    assert_non_null(strstr(box_refusals(true), "--dir HOST:GUEST"));
    wasi_free(wasi);
    wasi = before;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inheritance, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_giving_up, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_read_only_directory, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_directory_that_is_open, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_yield, box_set_up, box_tear_down),
        cmocka_unit_test_setup_teardown(test_no_directory, box_set_up, box_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
