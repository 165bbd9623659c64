/* What each call answers when it cannot do what is asked: one table. */
#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char buffer[256];
static struct iovec piece = {buffer, sizeof buffer};
static struct wasi_fdstat fdstat;
static struct wasi_filestat filestat;
static struct wasi_prestat prestat;

#define IOVS   {&piece, 1, sizeof buffer}
#define MEM    {(uint8_t *)buffer, sizeof buffer}
#define FOLLOW WASI_LOOKUP_SYMLINK_FOLLOW

/* Descriptors that the rows use, opened anew for each. */
static uint32_t file, dir, fixed, readable, pipe_end;

// clang-format off
/* ROW(expected, call, arguments...) */
#define FAILS(ROW) \
    /* no such descriptor */ \
    ROW(EBADF, fd_advise, .fd = 99) \
    ROW(EBADF, fd_allocate, .fd = 99, .len = 1) \
    ROW(EBADF, fd_close, .fd = 99) \
    ROW(EBADF, fd_close, .fd = UINT32_MAX) \
    ROW(EBADF, fd_datasync, .fd = 99) \
    ROW(EBADF, fd_fdstat_get, .fd = 99, .stat = &fdstat) \
    ROW(EBADF, fd_fdstat_set_flags, .fd = 99) \
    ROW(EBADF, fd_fdstat_set_rights, .fd = 99) \
    ROW(EBADF, fd_filestat_get, .fd = 99, .stat = &filestat) \
    ROW(EBADF, fd_filestat_set_size, .fd = 99) \
    ROW(EBADF, fd_filestat_set_times, .fd = 99) \
    ROW(EBADF, fd_pread, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, fd_prestat_get, .fd = 99, .prestat = &prestat) \
    ROW(EBADF, fd_prestat_dir_name, .fd = 99, .path = MEM) \
    ROW(EBADF, fd_pwrite, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, fd_read, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, fd_readdir, .fd = 99, .buf = MEM) \
    ROW(EBADF, fd_renumber, .fd = 99, .to = file) \
    ROW(EBADF, fd_renumber, .fd = file, .to = 99) \
    ROW(EBADF, fd_seek, .fd = 99) \
    ROW(EBADF, fd_sync, .fd = 99) \
    ROW(EBADF, fd_tell, .fd = 99) \
    ROW(EBADF, fd_write, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, path_create_directory, .fd = 99, .path = text("x")) \
    ROW(EBADF, path_filestat_get, .fd = 99, .path = text("f"), .stat = &filestat) \
    ROW(EBADF, path_filestat_set_times, .fd = 99, .path = text("f")) \
    ROW(EBADF, path_link, .old_fd = 99, .old_path = text("f"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EBADF, path_link, .old_fd = DATA, .old_path = text("f"), .new_fd = 99, .new_path = text("x")) \
    ROW(EBADF, path_open, .fd = 99, .path = text("f")) \
    ROW(EBADF, path_readlink, .fd = 99, .path = text("to_f"), .buf = MEM) \
    ROW(EBADF, path_remove_directory, .fd = 99, .path = text("d")) \
    ROW(EBADF, path_rename, .fd = 99, .old_path = text("f"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EBADF, path_rename, .fd = DATA, .old_path = text("f"), .new_fd = 99, .new_path = text("x")) \
    ROW(EBADF, path_symlink, .fd = 99, .old_path = text("f"), .new_path = text("x")) \
    ROW(EBADF, path_unlink_file, .fd = 99, .path = text("f")) \
    ROW(EBADF, sock_accept, .fd = 99) \
    ROW(EBADF, sock_recv, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, sock_send, .fd = 99, .iovs = IOVS) \
    ROW(EBADF, sock_shutdown, .fd = 99, .how = WASI_SD_RD) \
    /* numbers that mean nothing */ \
    ROW(EINVAL, clock_res_get, .id = 4) \
    ROW(EINVAL, clock_time_get, .id = UINT32_MAX) \
    ROW(EINVAL, fd_advise, .fd = file, .advice = 6) \
    ROW(EINVAL, fd_advise, .fd = file, .offset = UINT64_MAX) \
    ROW(EINVAL, fd_allocate, .fd = file, .len = 0) \
    ROW(EFBIG, fd_allocate, .fd = file, .len = UINT64_MAX) \
    ROW(EINVAL, fd_fdstat_set_flags, .fd = file, .flags = 32) \
    ROW(EINVAL, fd_filestat_set_size, .fd = file, .size = UINT64_MAX) \
    ROW(EINVAL, fd_filestat_set_times, .fd = file, .fst_flags = WASI_FST_ATIM | WASI_FST_ATIM_NOW) \
    ROW(EINVAL, fd_filestat_set_times, .fd = file, .fst_flags = WASI_FST_MTIM | WASI_FST_MTIM_NOW) \
    ROW(EINVAL, fd_filestat_set_times, .fd = file, .fst_flags = 16) \
    ROW(EINVAL, fd_pread, .fd = file, .iovs = IOVS, .offset = UINT64_MAX) \
    ROW(EINVAL, fd_pwrite, .fd = file, .iovs = IOVS, .offset = UINT64_MAX) \
    ROW(EINVAL, fd_readdir, .fd = dir, .buf = MEM, .cookie = UINT64_MAX) \
    ROW(EINVAL, fd_seek, .fd = file, .whence = 3) \
    ROW(EINVAL, fd_seek, .fd = file, .offset = -1) \
    ROW(EINVAL, fd_seek, .fd = file, .offset = INT64_MIN, .whence = WASI_WHENCE_END) \
    ROW(EINVAL, path_filestat_get, .fd = DATA, .flags = 2, .path = text("f"), .stat = &filestat) \
    ROW(EINVAL, path_filestat_set_times, .fd = DATA, .path = text("f"), .fst_flags = 3) \
    ROW(EINVAL, path_link, .old_fd = DATA, .old_flags = 2, .old_path = text("f"), .new_fd = DATA, \
        .new_path = text("x")) \
    ROW(EINVAL, path_open, .fd = DATA, .dirflags = 2, .path = text("f")) \
    ROW(EINVAL, path_open, .fd = DATA, .path = text("f"), .oflags = 16) \
    ROW(EINVAL, path_open, .fd = DATA, .path = text("f"), .fdflags = 32) \
    ROW(EINVAL, path_open, .fd = DATA, .path = text("x"), .oflags = WASI_O_CREAT | WASI_O_DIRECTORY) \
    ROW(EINVAL, poll_oneoff, .nsubscriptions = 0) \
    ROW(EINVAL, proc_raise, .sig = 31) \
    ROW(ENOTSUP, proc_raise, .sig = WASI_SIG_STOP) \
    /* paths */ \
    ROW(ENOENT, path_open, .fd = DATA, .path = text("")) \
    ROW(ENOENT, path_open, .fd = DATA, .path = text("none")) \
    ROW(EINVAL, path_open, .fd = DATA, .path = {(uint8_t *)"f\0g", 3}) \
    ROW(ENAMETOOLONG, path_open, .fd = DATA, .path = {(uint8_t *)long_path, sizeof long_path}) \
    ROW(EPERM, path_open, .fd = DATA, .path = text("../other/x")) \
    ROW(EPERM, path_open, .fd = DATA, .path = text("/data/f")) \
    ROW(EPERM, path_open, .fd = DATA, .path = text("escape/x")) \
    ROW(EPERM, path_open, .fd = DATA, .dirflags = FOLLOW, .path = text("escape")) \
    ROW(ELOOP, path_open, .fd = DATA, .path = text("to_f")) \
    ROW(ELOOP, path_open, .fd = DATA, .dirflags = FOLLOW, .path = text("loop")) \
    ROW(ENOENT, path_open, .fd = DATA, .dirflags = FOLLOW, .path = text("dangling")) \
    ROW(ENOTDIR, path_open, .fd = DATA, .path = text("f"), .oflags = WASI_O_DIRECTORY) \
    ROW(ENOTDIR, path_open, .fd = DATA, .path = text("f/x")) \
    ROW(ENOTDIR, path_open, .fd = file, .path = text("f")) \
    ROW(EISDIR, path_open, .fd = DATA, .path = text("d"), .rights_base = WASI_RIGHT_FD_WRITE) \
    ROW(EEXIST, path_open, .fd = DATA, .path = text("f"), .oflags = WASI_O_CREAT | WASI_O_EXCL) \
    ROW(EEXIST, path_create_directory, .fd = DATA, .path = text("d")) \
    ROW(EEXIST, path_create_directory, .fd = DATA, .path = text("to_f")) \
    ROW(ENOENT, path_create_directory, .fd = DATA, .path = text("none/x")) \
    ROW(EPERM, path_create_directory, .fd = DATA, .path = text("../x")) \
    ROW(ENOENT, path_filestat_get, .fd = DATA, .path = text("none"), .stat = &filestat) \
    ROW(EPERM, path_filestat_get, .fd = DATA, .path = text(".."), .stat = &filestat) \
    ROW(EPERM, path_filestat_get, .fd = DATA, .flags = FOLLOW, .path = text("escape"), .stat = &filestat) \
    ROW(EPERM, path_filestat_set_times, .fd = DATA, .path = text("escape/x"), .fst_flags = WASI_FST_MTIM_NOW) \
    ROW(EEXIST, path_link, .old_fd = DATA, .old_path = text("f"), .new_fd = DATA, .new_path = text("d/g")) \
    ROW(ENOENT, path_link, .old_fd = DATA, .old_path = text("none"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EPERM, path_link, .old_fd = DATA, .old_path = text("d"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EPERM, path_link, .old_fd = DATA, .old_path = text("f"), .new_fd = DATA, .new_path = text("escape/y")) \
    ROW(EINVAL, path_readlink, .fd = DATA, .path = text("f"), .buf = MEM) \
    ROW(ENOENT, path_readlink, .fd = DATA, .path = text("none"), .buf = MEM) \
    ROW(EPERM, path_readlink, .fd = DATA, .path = text("escape/x"), .buf = MEM) \
    ROW(ENOTEMPTY, path_remove_directory, .fd = DATA, .path = text("d")) \
    ROW(ENOTDIR, path_remove_directory, .fd = DATA, .path = text("f")) \
    ROW(ENOTDIR, path_remove_directory, .fd = DATA, .path = text("to_d")) \
    ROW(EPERM, path_remove_directory, .fd = DATA, .path = text("../other")) \
    ROW(ENOENT, path_rename, .fd = DATA, .old_path = text("none"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EISDIR, path_rename, .fd = DATA, .old_path = text("f"), .new_fd = DATA, .new_path = text("d")) \
    ROW(ENOTDIR, path_rename, .fd = DATA, .old_path = text("d"), .new_fd = DATA, .new_path = text("f")) \
    ROW(EPERM, path_rename, .fd = DATA, .old_path = text("../other/x"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EPERM, path_rename, .fd = DATA, .old_path = text("f"), .new_fd = DATA, .new_path = text("escape/f")) \
    ROW(EEXIST, path_symlink, .old_path = text("f"), .fd = DATA, .new_path = text("d")) \
    ROW(EPERM, path_symlink, .old_path = text("/etc"), .fd = DATA, .new_path = text("x")) \
    ROW(EPERM, path_symlink, .old_path = text("f"), .fd = DATA, .new_path = text("escape/l")) \
    ROW(ENOENT, path_symlink, .old_path = text(""), .fd = DATA, .new_path = text("x")) \
    ROW(EISDIR, path_unlink_file, .fd = DATA, .path = text("d")) \
    ROW(ENOTDIR, path_unlink_file, .fd = DATA, .path = text("f/")) \
    ROW(ENOENT, path_unlink_file, .fd = DATA, .path = text("none")) \
    ROW(EPERM, path_unlink_file, .fd = DATA, .path = text("escape/x")) \
    /* a thing of another kind */ \
    ROW(EISDIR, fd_read, .fd = dir, .iovs = IOVS) \
    ROW(EISDIR, fd_write, .fd = dir, .iovs = IOVS) \
    ROW(EISDIR, fd_pread, .fd = dir, .iovs = IOVS) \
    ROW(EISDIR, fd_allocate, .fd = dir, .len = 1) \
    ROW(EISDIR, fd_filestat_set_size, .fd = dir) \
    ROW(ENOTDIR, fd_readdir, .fd = file, .buf = MEM) \
    ROW(ENOTDIR, path_create_directory, .fd = file, .path = text("x")) \
    ROW(ENOTDIR, path_filestat_get, .fd = file, .path = text("x"), .stat = &filestat) \
    ROW(ESPIPE, fd_seek, .fd = pipe_end) \
    ROW(ESPIPE, fd_tell, .fd = pipe_end) \
    ROW(ESPIPE, fd_pread, .fd = pipe_end, .iovs = IOVS) \
    ROW(ESPIPE, fd_allocate, .fd = pipe_end, .len = 1) \
    ROW(ENOTSOCK, sock_accept, .fd = file) \
    ROW(ENOTSOCK, sock_recv, .fd = file, .iovs = IOVS) \
    ROW(ENOTSOCK, sock_send, .fd = file, .iovs = IOVS) \
    ROW(ENOTSOCK, sock_shutdown, .fd = dir, .how = WASI_SD_WR) \
    ROW(EBADF, fd_prestat_get, .fd = file, .prestat = &prestat) \
    ROW(EBADF, fd_prestat_get, .fd = dir, .prestat = &prestat) \
    ROW(ENAMETOOLONG, fd_prestat_dir_name, .fd = DATA, .path = {(uint8_t *)buffer, 4}) \
    /* rights that were not asked for */ \
    ROW(ENOTCAPABLE, fd_write, .fd = readable, .iovs = IOVS) \
    ROW(ENOTCAPABLE, fd_pwrite, .fd = readable, .iovs = IOVS) \
    ROW(ENOTCAPABLE, fd_filestat_set_size, .fd = readable) \
    ROW(ENOTCAPABLE, fd_allocate, .fd = readable, .len = 1) \
    ROW(ENOTCAPABLE, fd_datasync, .fd = readable) \
    ROW(ENOTCAPABLE, fd_fdstat_set_rights, .fd = readable, .base = WASI_RIGHT_FD_WRITE) \
    ROW(ENOTCAPABLE, fd_fdstat_set_rights, .fd = readable, .inheriting = WASI_RIGHT_FD_READ) \
    ROW(ENOTCAPABLE, path_open, .fd = DATA, .path = text("f"), .rights_base = WASI_RIGHT_SOCK_SHUTDOWN) \
    /* a read-only directory */ \
    ROW(EROFS, path_create_directory, .fd = FIXED, .path = text("x")) \
    ROW(EROFS, path_remove_directory, .fd = FIXED, .path = text("d")) \
    ROW(EROFS, path_unlink_file, .fd = FIXED, .path = text("f")) \
    ROW(EROFS, path_rename, .fd = FIXED, .old_path = text("f"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EROFS, path_rename, .fd = DATA, .old_path = text("f"), .new_fd = FIXED, .new_path = text("x")) \
    ROW(EROFS, path_link, .old_fd = FIXED, .old_path = text("f"), .new_fd = DATA, .new_path = text("x")) \
    ROW(EROFS, path_link, .old_fd = DATA, .old_path = text("f"), .new_fd = FIXED, .new_path = text("x")) \
    ROW(EROFS, path_symlink, .old_path = text("f"), .fd = FIXED, .new_path = text("x")) \
    ROW(EROFS, path_filestat_set_times, .fd = FIXED, .path = text("f"), .fst_flags = WASI_FST_MTIM_NOW) \
    ROW(EROFS, fd_filestat_set_times, .fd = fixed, .fst_flags = WASI_FST_MTIM_NOW) \
    ROW(EROFS, path_open, .fd = FIXED, .path = text("x"), .oflags = WASI_O_CREAT) \
    ROW(EROFS, path_open, .fd = FIXED, .path = text("f"), .oflags = WASI_O_TRUNC) \
    ROW(EROFS, path_open, .fd = FIXED, .path = text("f"), .rights_base = WASI_RIGHT_FD_WRITE) \
    ROW(EROFS, path_open, .fd = FIXED, .path = text("f"), .rights_base = WASI_RIGHT_FD_FILESTAT_SET_SIZE)

// clang-format on

static const char long_path[WASI_MAX_PATH] = {[0 ... WASI_MAX_PATH - 1] = 'x'};

static int open_all(void **state) {
    box_set_up(state);
    file = box_must_open(DATA, "f", TO_READ | TO_WRITE, 0, 0);
    dir = box_must_open(DATA, "d", TO_READ, WASI_O_DIRECTORY, 0);
    fixed = box_must_open(FIXED, "f", TO_READ, 0, 0);
    readable = box_must_open(DATA, "f", TO_READ, 0, 0);
    tree_fifo("data/pipe");
    pipe_end = box_must_open(DATA, "pipe", TO_READ, 0, 0);
    return 0;
}

static unsigned wrong;

static void expect(const char *row, int64_t got, int64_t expected) {
    if (got == expected)
        return;
    print_error("%s: %s, expected %s\n", row, abi_errno_name((uint32_t)got), abi_errno_name((uint32_t)expected));
    wrong++;
}

static void test_table(void **state) {
    (void)state;
    wrong = 0;
#define ROW(expected, call, ...) expect(#call " " #__VA_ARGS__, CALLED(call, __VA_ARGS__), WASI_##expected);
    FAILS(ROW)
#undef ROW
    assert_int_equal(wrong, 0);
    /* And nothing came of any of them. */
    assert_string_equal(tree_read("data/f"), "contents");
    assert_string_equal(tree_read("other/x"), "other");
    assert_string_equal(tree_read("fixed/f"), "fixed");
    assert_null(tree_read("data/x"));
    assert_null(tree_read("fixed/x"));
    assert_null(tree_read("other/y"));
}

static void test_every_errno_has_a_name(void **state) {
    (void)state;
    for (uint32_t e = 0; e <= WASI_ENOTCAPABLE; e++) {
        assert_string_not_equal(abi_errno_name(e), "?");
        assert_true(*abi_errno_words(e));
    }
    assert_string_equal(abi_errno_name(WASI_ENOTCAPABLE), "ENOTCAPABLE");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, open_all, box_tear_down),
        cmocka_unit_test(test_every_errno_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
