/* box.h: a program's view of a temporary directory, without a program: the calls of WASI with arguments by hand.
 *
 * The tree is
 *     data/             given as /data, descriptor 3, writable
 *     data/f            "contents"
 *     data/d/g          "in d"
 *     data/to_f         -> f
 *     data/to_d         -> d
 *     data/escape       -> ../other
 *     data/loop         -> loop
 *     data/dangling     -> nothing
 *     other/x           "other"; not given
 *     fixed/            given as /fixed, descriptor 4, read-only
 *     fixed/f           "fixed"
 *     fixed/d/ */
#ifndef AEON_TESTS_WASI_BOX_H
#define AEON_TESTS_WASI_BOX_H

#include "tree.h"
#include "wasi/calls.h"
#include "wasi/wasi.h"
#include "world/os/os.h"

extern struct world *world;
extern struct wasi *wasi;

enum { DATA = 3, FIXED = 4 };
#define ALL_RIGHTS (((uint64_t)WASI_RIGHT_SOCK_ACCEPT << 1) - 1)

int box_set_up(void **state);
int box_tear_down(void **state);

struct abi_mem text(const char *s);

/* A call with named arguments: its answer. `box_<name>_args` keeps what it put out. */
#define CALLED(name, ...)                        \
    ({                                           \
        struct abi_##name args_ = {__VA_ARGS__}; \
        wasi_##name(wasi, &args_);               \
    })

/* path_open as most programs do it: all rights that the directory can pass on, or those for reading or writing alone.
 */
enum { TO_READ = 1, TO_WRITE = 2 };
int64_t box_open(uint32_t dir, const char *path, int how, uint32_t oflags, uint32_t fdflags, uint32_t *fd);
uint32_t box_must_open(uint32_t dir, const char *path, int how, uint32_t oflags, uint32_t fdflags);

int64_t box_write(uint32_t fd, const char *s, uint32_t *done);
/* Reads at most `n` bytes into `out` and ends them with a NUL. */
int64_t box_read(uint32_t fd, char *out, uint32_t n);
int64_t box_close(uint32_t fd);

/* All refusals, one a line. */
const char *box_refusals(bool failed);

#endif
