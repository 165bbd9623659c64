/* world.h: everything non-deterministic that a machine can do, as one table of operations.
 *
 * world/os is the machine (libuv and Linux system calls); later world/sim is a seeded, simulated one and world/fault
 * wraps either.  Nothing above this line calls the system itself.  Recording is not a world: it happens at the guest's
 * edge.
 *
 * Conventions: operations return 0 or a count on success and a negative <errno.h> code on failure (-ENOENT), as the
 * kernel and libuv do.  Handles are small non-negative numbers of this world's own.  Nothing waits, except world_wait
 * and operations on regular files: reading a pipe, terminal or socket that has nothing answers -EAGAIN, and a write to
 * one may be short.  Writing where nobody reads any more is -EPIPE, never a signal.  Paths are NUL-terminated bytes.
 * Times are nanoseconds.  Any thread may call any operation, but only one at a time `wait`. */
#ifndef AEON_WORLD_WORLD_H
#define AEON_WORLD_WORLD_H

#include "base/bytes.h"
#include "base/status.h"

#include <sys/uio.h>

struct world;

enum world_clock { WORLD_REALTIME, WORLD_MONOTONIC, WORLD_PROCESS_CPU, WORLD_THREAD_CPU };

enum world_filetype {
    WORLD_UNKNOWN,
    WORLD_BLOCK_DEVICE,
    WORLD_CHAR_DEVICE,
    WORLD_DIRECTORY,
    WORLD_REGULAR,
    WORLD_SOCKET_DGRAM,
    WORLD_SOCKET_STREAM,
    WORLD_SYMLINK,
    WORLD_PIPE,
    WORLD_TERMINAL, /* a character device that is one; only of an open handle */
};

struct world_stat {
    uint64_t dev, ino, nlink, size;
    uint64_t atim, mtim, ctim;
    enum world_filetype type;
};

enum { /* open flags */
       WORLD_READ = 1,
       WORLD_WRITE = 2,
       WORLD_CREATE = 4,
       WORLD_EXCLUSIVE = 8,
       WORLD_TRUNCATE = 16,
       WORLD_APPEND = 32,
       WORLD_NONBLOCK = 64,
       WORLD_DSYNC = 128,
       WORLD_RSYNC = 256,
       WORLD_SYNC = 512,
       WORLD_DIRECTORY_ONLY = 1024,
       WORLD_NOFOLLOW = 2048, /* the last component must not be a symbolic link */
       WORLD_BENEATH = 4096,  /* no component, `..` or symbolic link may leave `dir`: -EPERM */
       WORLD_PATH = 8192,     /* only a place in the tree, neither read nor written */
};

enum { WORLD_CWD = -100 }; /* a `dir` meaning the process's own directory; never with WORLD_BENEATH */

enum { /* which times to set, and to what; see set_times */
       WORLD_ATIM = 1,
       WORLD_ATIM_NOW = 2,
       WORLD_MTIM = 4,
       WORLD_MTIM_NOW = 8,
};

enum { WORLD_SHUT_RD = 1, WORLD_SHUT_WR = 2 };
enum { WORLD_RECV_PEEK = 1, WORLD_RECV_WAITALL = 2, WORLD_RECV_TRUNCATED = 4 /* out */ };

/* One thing to wait for. */
enum { WORLD_READABLE = 1, WORLD_WRITABLE = 2, WORLD_HANGUP = 4, WORLD_ERROR = 8 };
struct world_poll {
    int fd;
    uint32_t want;   /* WORLD_READABLE, WORLD_WRITABLE */
    uint32_t got;    /* out: what holds */
    uint64_t nbytes; /* out: readable bytes where the kernel tells, else 0 */
};

struct world_dirent {
    uint64_t next; /* cookie of the entry after this one */
    uint64_t ino;
    enum world_filetype type;
    const char *name;
};

/* A background worker: `fn(arg)` runs off the caller's thread once for any number of kicks since it last ran, and every
 * `period_ms` (0: never by itself). It never runs twice at the same time. */
struct world_worker;

struct world_ops {
    const char *name;

    int (*clock)(struct world *, enum world_clock, uint64_t *ns);
    int (*clock_resolution)(struct world *, enum world_clock, uint64_t *ns);
    int (*entropy)(struct world *, void *, size_t);

    /* files; `dir` is a directory handle or WORLD_CWD */
    int (*open)(struct world *, int dir, const char *path, uint32_t flags, uint32_t mode);
    int (*close)(struct world *, int fd);
    int (*dup)(struct world *, int fd);
    int64_t (*readv)(struct world *, int fd, const struct iovec *, int n);
    int64_t (*writev)(struct world *, int fd, const struct iovec *, int n);
    int64_t (*preadv)(struct world *, int fd, const struct iovec *, int n, uint64_t offset);
    int64_t (*pwritev)(struct world *, int fd, const struct iovec *, int n, uint64_t offset);
    int64_t (*seek)(struct world *, int fd, int64_t offset, int whence); /* SEEK_SET, SEEK_CUR, SEEK_END */
    int (*stat)(struct world *, int fd, struct world_stat *);
    int (*stat_at)(struct world *, int dir, const char *path, uint32_t flags, struct world_stat *);
    int (*set_flags)(struct world *, int fd, uint32_t flags); /* WORLD_APPEND, NONBLOCK, DSYNC, RSYNC, SYNC */
    int (*get_flags)(struct world *, int fd, uint32_t *flags);
    int (*set_size)(struct world *, int fd, uint64_t size);
    int (*allocate)(struct world *, int fd, uint64_t offset, uint64_t size);
    int (*advise)(struct world *, int fd, uint64_t offset, uint64_t size, int posix_fadvise_advice);
    int (*sync)(struct world *, int fd, bool data_only);
    int (*set_times)(struct world *, int fd, uint64_t atim, uint64_t mtim, uint32_t which);
    int (*set_times_at)(struct world *, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim,
                        uint32_t which);
    /* Entries from `cookie` (0: the start) on, `.` and `..` included, until `each` answers false or the end. */
    int (*read_dir)(struct world *, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *),
                    void *arg);
    /* flags: 0 or WORLD_BENEATH, applied to every path; the last component is never followed */
    int (*make_dir)(struct world *, int dir, const char *path, uint32_t flags, uint32_t mode);
    int (*remove)(struct world *, int dir, const char *path, uint32_t flags, bool directory);
    int (*rename)(struct world *, int dir, const char *path, int to_dir, const char *to, uint32_t flags);
    /* with WORLD_NOFOLLOW a symbolic link at the end of `path` itself gets the second name */
    int (*link)(struct world *, int dir, const char *path, int to_dir, const char *to, uint32_t flags);
    int (*symlink)(struct world *, const char *target, int dir, const char *path, uint32_t flags);
    int64_t (*read_link)(struct world *, int dir, const char *path, uint32_t flags, char *out, size_t cap);
    int (*lock)(struct world *, int fd, bool exclusive); /* until closed; -EAGAIN when another process holds it */
    int (*map)(struct world *, int fd, uint64_t size, bool writable, void **out); /* shared; from offset 0 */
    int (*unmap)(struct world *, void *, uint64_t size);
    int (*sync_map)(struct world *, void *, uint64_t size);

    /* sockets (preview 1's; more with the network) */
    int (*accept)(struct world *, int fd, uint32_t flags /* WORLD_NONBLOCK */);
    int64_t (*recv)(struct world *, int fd, const struct iovec *, int n, uint32_t *flags);
    int64_t (*send)(struct world *, int fd, const struct iovec *, int n);
    int (*shutdown)(struct world *, int fd, uint32_t how);

    /* Waits until something wanted holds, the monotonic `deadline_ns` has passed (UINT64_MAX: never) or world_wake was
     * called. Returns how many polls hold (0: deadline or wake). */
    int (*wait)(struct world *, struct world_poll *, int n, uint64_t deadline_ns);
    void (*wake)(struct world *); /* any thread, signal handlers too; sticky until the next wait */

    struct world_worker *(*worker_new)(struct world *, void (*fn)(void *), void *arg, uint32_t period_ms);
    void (*worker_kick)(struct world_worker *);  /* never waits */
    void (*worker_drain)(struct world_worker *); /* waits until every kick so far has been served */
    void (*worker_free)(struct world_worker *);  /* drains, then ends it */

    void (*free)(struct world *);
};

struct world {
    const struct world_ops *ops;
};

/* Reads of a monotonic or real-time clock that cannot fail. */
static inline uint64_t world_now(struct world *w, enum world_clock c) {
    uint64_t ns = 0;
    w->ops->clock(w, c, &ns);
    return ns;
}

#endif
