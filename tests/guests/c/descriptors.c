// descriptors.wasm DIR: what preview 1 offers and libc hides: renumbering, flags, rights, directory cookies.
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

static void check_renumber(int dir) {
    int a = openat(dir, "renumber", O_RDWR | O_CREAT | O_TRUNC, 0644);
    int b = openat(dir, "renumber", O_RDWR);
    CHECK(a >= 0 && b >= 0 && a != b);
    CHECK(write(a, "abc", 3) == 3);
    CHECK(__wasi_fd_renumber((__wasi_fd_t)a, (__wasi_fd_t)b) == __WASI_ERRNO_SUCCESS);
    CHECK(lseek(b, 0, SEEK_CUR) == 3); // b is now what a was, offset and all
    CHECK_FAILS(write(a, "x", 1), EBADF);
    CHECK(__wasi_fd_renumber((__wasi_fd_t)a, (__wasi_fd_t)b) == __WASI_ERRNO_BADF);
    CHECK(close(b) == 0 && unlinkat(dir, "renumber", 0) == 0);
    puts("renumber");
}

static void check_flags(int dir) {
    int file = openat(dir, "flags", O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(file >= 0);
    __wasi_fdstat_t stat;
    CHECK(__wasi_fd_fdstat_get((__wasi_fd_t)file, &stat) == __WASI_ERRNO_SUCCESS);
    CHECK(stat.fs_filetype == __WASI_FILETYPE_REGULAR_FILE && stat.fs_flags == 0);
    CHECK(__wasi_fd_fdstat_set_flags((__wasi_fd_t)file, __WASI_FDFLAGS_APPEND) == __WASI_ERRNO_SUCCESS);
    CHECK(write(file, "one", 3) == 3 && lseek(file, 0, SEEK_SET) == 0 && write(file, "two", 3) == 3);
    CHECK(__wasi_fd_fdstat_get((__wasi_fd_t)file, &stat) == __WASI_ERRNO_SUCCESS);
    CHECK(stat.fs_flags == __WASI_FDFLAGS_APPEND);
    CHECK(lseek(file, 0, SEEK_END) == 6);
    CHECK(close(file) == 0 && unlinkat(dir, "flags", 0) == 0);
    puts("flags");
}

static void check_rights(int dir) {
    int file = openat(dir, "rights", O_RDWR | O_CREAT | O_TRUNC, 0644);
    __wasi_fdstat_t stat;
    CHECK(__wasi_fd_fdstat_get((__wasi_fd_t)file, &stat) == __WASI_ERRNO_SUCCESS);
    __wasi_rights_t both = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE;
    CHECK((stat.fs_rights_base & both) == both);
    __wasi_rights_t fewer = stat.fs_rights_base & ~__WASI_RIGHTS_FD_WRITE;
    CHECK(__wasi_fd_fdstat_set_rights((__wasi_fd_t)file, fewer, 0) == __WASI_ERRNO_SUCCESS);
    CHECK(write(file, "x", 1) == -1);
    CHECK(__wasi_fd_fdstat_set_rights((__wasi_fd_t)file, stat.fs_rights_base, 0) == __WASI_ERRNO_NOTCAPABLE);
    CHECK(close(file) == 0 && unlinkat(dir, "rights", 0) == 0);
    puts("rights");
}

static void check_cookies(int dir) {
    char name[] = "cookie-a";
    for (char c = 'a'; c <= 'h'; c++) {
        name[7] = c;
        int file = openat(dir, name, O_WRONLY | O_CREAT, 0644);
        CHECK(file >= 0 && close(file) == 0);
    }
    // One entry a call, each call going on at the cookie of the last: every name once.
    unsigned seen = 0;
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    for (;;) {
        uint8_t entry[sizeof(__wasi_dirent_t) + 64];
        __wasi_size_t used;
        CHECK(__wasi_fd_readdir((__wasi_fd_t)dir, entry, sizeof entry, cookie, &used) == __WASI_ERRNO_SUCCESS);
        if (used == 0)
            break;
        __wasi_dirent_t head;
        CHECK(used >= sizeof head);
        memcpy(&head, entry, sizeof head);
        CHECK(used >= sizeof head + head.d_namlen);
        if (head.d_namlen == 8 && !memcmp(entry + sizeof head, "cookie-", 7)) {
            unsigned bit = 1u << (entry[sizeof head + 7] - 'a');
            CHECK(!(seen & bit));
            seen |= bit;
        }
        CHECK(head.d_next != cookie);
        cookie = head.d_next;
    }
    CHECK(seen == 0xff);
    for (char c = 'a'; c <= 'h'; c++) {
        name[7] = c;
        CHECK(unlinkat(dir, name, 0) == 0);
    }
    puts("cookies");
}

static void check_bad_pointers(void) {
    // A pointer past the end of memory is an errno of the call, not a trap and not the host's problem.
    __wasi_size_t n;
    uint8_t *far = (uint8_t *)0xfffffff0u;
    __wasi_ciovec_t out = {.buf = far, .buf_len = 64};
    CHECK(__wasi_fd_write(1, &out, 1, &n) == __WASI_ERRNO_FAULT);
    CHECK(__wasi_random_get(far, 64) == __WASI_ERRNO_FAULT);
    CHECK(__wasi_fd_write(1, (const __wasi_ciovec_t *)far, 0x20000000, &n) == __WASI_ERRNO_FAULT);
    CHECK(__wasi_fd_write(99, &out, 0, &n) == __WASI_ERRNO_BADF);
    puts("bad pointers");
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    int dir = open(argv[1], O_RDONLY | O_DIRECTORY);
    CHECK(dir >= 0);
    check_renumber(dir);
    check_flags(dir);
    check_rights(dir);
    check_cookies(dir);
    check_bad_pointers();
    CHECK(__wasi_sched_yield() == __WASI_ERRNO_SUCCESS);
    puts("all done");
    return 0;
}
