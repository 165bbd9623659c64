/* world.h: everything non-deterministic that a machine can do, as one table of operations.
 *
 * world/os is the machine (libuv and Linux system calls); later world/sim is a seeded, simulated one.  Nothing above
 * this line calls the system itself.  Recording is not a world: it happens at the guest's edge.
 *
 * A world can be a layer over another one: it has all of its operations and changes a few (layer.h). What a guest is
 * given is such a stack, each layer one concern:
 *
 *     wasi                the guest's calls
 *     world/fault         seeded faults (--chaos)
 *     world/tls           TLS on a socket that asks for it
 *     world/throttle      bandwidth
 *     world/net           the guest's own network, and the policy at its border
 *     world/files         overlays, archives, quotas
 *     world/fiber         waiting lets others run
 *     world/os            the machine
 *
 * Conventions: operations return 0 or a count on success and a negative <errno.h> code on failure (-ENOENT), as the
 * kernel and libuv do.  Handles are small non-negative numbers, the machine's own descriptors: a layer that makes
 * something up takes one from below to stand for it, so that no number is used twice and all can be waited for.
 * Nothing waits, except world_wait, `turn`, `resolve` and operations on regular files: reading a pipe, terminal or
 * socket that has nothing answers -EAGAIN, and a write to one may be short.  Writing where nobody reads any more is
 * -EPIPE, never a signal.  Paths are NUL-terminated bytes.  Times are nanoseconds.  Any thread may call any operation
 * of world/os, but only one at a time waits; a layer belongs to one thread unless it says otherwise. */
#ifndef AEON_WORLD_WORLD_H
#define AEON_WORLD_WORLD_H

#include "base/addr.h"
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
    uint32_t mode; /* permission bits, as open and make_dir take them */
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
enum { WORLD_READABLE = 1, WORLD_WRITABLE = 2, WORLD_HANGUP = 4, WORLD_ERROR = 8, WORLD_UNCOUNTED = 16 };
struct world_poll {
    int fd;
    uint32_t want;   /* WORLD_READABLE, WORLD_WRITABLE; and WORLD_UNCOUNTED: nbytes is not asked for */
    uint32_t got;    /* out: what holds */
    uint64_t nbytes; /* out: readable bytes where the kernel tells, else 0 */
};

struct world_dirent {
    uint64_t next; /* cookie of the entry after this one */
    uint64_t ino;
    enum world_filetype type;
    const char *name;
};

/* ---- sockets ---- */

enum world_socktype { WORLD_STREAM = 1, WORLD_DGRAM = 2 };

/* Options of a socket. Values are int64_t: booleans, bytes, nanoseconds (time-outs; 0: none), seconds (LINGER, -1: off;
 * KEEPIDLE, KEEPINTVL), a count (KEEPCNT), an errno.h code (ERROR, which reading clears), a world_socktype (TYPE).
 * -ENOPROTOOPT for what does not go with the socket or cannot be set. */
// clang-format off
#define WORLD_SOCKOPTS(X) \
    X(REUSEADDR) X(TYPE) X(ERROR) X(DONTROUTE) X(BROADCAST) X(SNDBUF) X(RCVBUF) X(KEEPALIVE) X(OOBINLINE) X(LINGER) \
    X(RCVLOWAT) X(RCVTIMEO) X(SNDTIMEO) X(ACCEPTCONN) X(REUSEPORT) X(NODELAY) X(KEEPIDLE) X(KEEPINTVL) X(KEEPCNT) \
    X(V6ONLY)
// clang-format on
enum world_sockopt {
#define X(name) WORLD_SO_##name,
    WORLD_SOCKOPTS(X)
#undef X
        WORLD_NSOCKOPTS
};

/* A name to be looked up. */
struct world_query {
    const char *name;         /* NULL or "": the machine itself (passive: any address) */
    const char *service;      /* a number or a service's name; NULL: port 0 */
    enum addr_family family;  /* ADDR_NONE: any */
    enum world_socktype type; /* 0: any */
    bool passive, numeric_host, numeric_service, canonical;
};

struct world_found {
    struct addr addr;
    enum world_socktype type;
};
enum { WORLD_MAX_FOUND = 32, WORLD_MAX_NAME = 256 };

/* Why a look-up found nothing; negative, beside errno.h codes. */
enum {
    WORLD_NAME_UNKNOWN = -200001, /* no such name, or nothing of the family asked for */
    WORLD_NAME_AGAIN = -200002,   /* no answer just now */
    WORLD_NAME_FAILED = -200003,  /* the name service says it cannot */
    WORLD_NAME_SERVICE = -200004, /* no such service */
};

/* ---- waiting without a thread of one's own ---- */

/* One wait among many on a thread; the waiter owns it and its polls. */
struct world_wait {
    struct world_poll *polls;
    int n;
    uint64_t deadline_ns; /* monotonic; UINT64_MAX: never */
    void (*look)(
        struct world_wait *); /* called by `turn`, at most once for each begin: something may hold, or it is time.
                                 What holds is found by a `wait` that does not wait. The wait has ended. */
    void *inside;             /* the world's own; NULL before the first begin */
};

/* A function to be run off the thread, and what to call in a `turn` afterwards. The owner keeps it until then. */
struct world_job {
    void (*fn)(void *arg);
    void *arg;
    void (*done)(struct world_job *);
    enum world_lane {
        WORLD_LANE_FILES,
        WORLD_LANE_NAMES
    } lane;                 /* threads of their own, so that neither holds up the other */
    struct world_job *next; /* the world's own */
};

/* A background worker: `fn(arg)` runs off the caller's thread once for any number of kicks since it last ran, and every
 * `period_ms` (0: never by itself). It never runs twice at the same time. */
struct world_worker;

// clang-format off

/* The operations, one row each: OP(result, name, (parameters), arguments without the world). */
#define WORLD_OPS(OP) \
    OP(int, clock, (struct world *w, enum world_clock c, uint64_t *ns), c, ns) \
    OP(int, clock_resolution, (struct world *w, enum world_clock c, uint64_t *ns), c, ns) \
    OP(int, entropy, (struct world *w, void *p, size_t n), p, n) \
    \
    /* files; `dir` is a directory handle or WORLD_CWD */ \
    OP(int, open, (struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode), dir, path, flags, mode) \
    OP(int, close, (struct world *w, int fd), fd) \
    OP(int, dup, (struct world *w, int fd), fd) \
    OP(int64_t, readv, (struct world *w, int fd, const struct iovec *iov, int n), fd, iov, n) \
    OP(int64_t, writev, (struct world *w, int fd, const struct iovec *iov, int n), fd, iov, n) \
    OP(int64_t, preadv, (struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset), \
       fd, iov, n, offset) \
    OP(int64_t, pwritev, (struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset), \
       fd, iov, n, offset) \
    /* as readv (offset UINT64_MAX) and preadv, of what is in memory: -EAGAIN when the disk would have to be waited \
     * for, also where that cannot be told */ \
    OP(int64_t, read_cached, (struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset), \
       fd, iov, n, offset) \
    OP(int64_t, seek, (struct world *w, int fd, int64_t offset, int whence), fd, offset, whence) /* SEEK_SET, ... */ \
    OP(int, stat, (struct world *w, int fd, struct world_stat *out), fd, out) \
    OP(int, stat_at, (struct world *w, int dir, const char *path, uint32_t flags, struct world_stat *out), \
       dir, path, flags, out) \
    /* APPEND, NONBLOCK, DSYNC, RSYNC, SYNC */ \
    OP(int, set_flags, (struct world *w, int fd, uint32_t flags), fd, flags) \
    OP(int, get_flags, (struct world *w, int fd, uint32_t *flags), fd, flags) \
    OP(int, set_size, (struct world *w, int fd, uint64_t size), fd, size) \
    OP(int, allocate, (struct world *w, int fd, uint64_t offset, uint64_t size), fd, offset, size) \
    OP(int, advise, (struct world *w, int fd, uint64_t offset, uint64_t size, int posix_fadvise_advice), \
       fd, offset, size, posix_fadvise_advice) \
    OP(int, sync, (struct world *w, int fd, bool data_only), fd, data_only) \
    OP(int, set_times, (struct world *w, int fd, uint64_t atim, uint64_t mtim, uint32_t which), fd, atim, mtim, which) \
    OP(int, set_times_at, (struct world *w, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim, \
                           uint32_t which), dir, path, flags, atim, mtim, which) \
    /* Entries from `cookie` (0: the start) on, `.` and `..` included, until `each` answers false or the end. */ \
    OP(int, read_dir, (struct world *w, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *), \
                       void *arg), fd, cookie, each, arg) \
    /* flags: 0 or WORLD_BENEATH, applied to every path; the last component is never followed */ \
    OP(int, make_dir, (struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode), \
       dir, path, flags, mode) \
    OP(int, remove, (struct world *w, int dir, const char *path, uint32_t flags, bool directory), \
       dir, path, flags, directory) \
    OP(int, rename, (struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags), \
       dir, path, to_dir, to, flags) \
    /* with WORLD_NOFOLLOW a symbolic link at the end of `path` itself gets the second name */ \
    OP(int, link, (struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags), \
       dir, path, to_dir, to, flags) \
    OP(int, symlink, (struct world *w, const char *target, int dir, const char *path, uint32_t flags), \
       target, dir, path, flags) \
    OP(int64_t, read_link, (struct world *w, int dir, const char *path, uint32_t flags, char *out, size_t cap), \
       dir, path, flags, out, cap) \
    /* until closed; -EAGAIN: somebody has it */ \
    OP(int, lock, (struct world *w, int fd, bool exclusive), fd, exclusive) \
    OP(int, map, (struct world *w, int fd, uint64_t size, bool writable, void **out), fd, size, writable, out) \
    OP(int, unmap, (struct world *w, void *p, uint64_t size), p, size) \
    OP(int, sync_map, (struct world *w, void *p, uint64_t size), p, size) \
    \
    /* sockets; none ever waits */ \
    OP(int, socket, (struct world *w, enum addr_family f, enum world_socktype t), f, t) \
    /* connected to each other, nameless */ \
    OP(int, pair, (struct world *w, enum world_socktype t, int fds[2]), t, fds) \
    /* what `to` was is closed; `from` takes its number */ \
    OP(int, move, (struct world *w, int from, int to), from, to) \
    OP(int, bind, (struct world *w, int fd, const struct addr *a), fd, a) \
    OP(int, listen, (struct world *w, int fd, int backlog), fd, backlog) \
    /* -EINPROGRESS: WRITABLE, then SO_ERROR */ \
    OP(int, connect, (struct world *w, int fd, const struct addr *a), fd, a) \
    OP(int, accept, (struct world *w, int fd, uint32_t flags), fd, flags) /* WORLD_NONBLOCK */ \
    OP(int64_t, recv, (struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from), \
       fd, iov, n, flags, from) /* WORLD_RECV_...; `from` may be NULL */ \
    OP(int64_t, send, (struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to), \
       fd, iov, n, to) /* `to` may be NULL */ \
    OP(int, shutdown, (struct world *w, int fd, uint32_t how), fd, how) \
    OP(int, local_addr, (struct world *w, int fd, struct addr *out), fd, out) \
    OP(int, peer_addr, (struct world *w, int fd, struct addr *out), fd, out) \
    OP(int, get_option, (struct world *w, int fd, enum world_sockopt o, int64_t *value), fd, o, value) \
    OP(int, set_option, (struct world *w, int fd, enum world_sockopt o, int64_t value), fd, o, value) \
    /* TLS from now on: as client of `host`, or on a listener and what it accepts as server for `host`. -ENOTSUP where \
     * nobody does it. */ \
    OP(int, start_tls, (struct world *w, int fd, const char *host), fd, host) \
    /* Addresses of a name, in the order of preference; returns their number (1 to max), or why not. `canonical` may \
     * be NULL and has room for WORLD_MAX_NAME. Waits. */ \
    OP(int, resolve, (struct world *w, const struct world_query *q, struct world_found *out, int max, \
                      char *canonical), \
       q, out, max, canonical) \
    \
    /* Waits until something wanted holds, the monotonic `deadline_ns` has passed (UINT64_MAX: never; 0: do not wait) \
     * or world_wake was called. Returns how many polls hold (0: deadline or wake). */ \
    OP(int, wait, (struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns), polls, n, deadline_ns) \
    /* any thread, signal handlers too; stays for the next turn or wait that waits */ \
    OP(void, wake, (struct world *w)) \
    \
    /* Many waits on one thread. `begin` never calls `look`; `end` of a wait that is over does nothing. `turn` waits \
     * until at least one wait is over, a job is done, world_wake was called or the deadline has passed, calls what \
     * there is to call, and returns how many that were. A handle may be closed while it is waited for: the wait is \
     * then over. */ \
    OP(void, wait_begin, (struct world *w, struct world_wait *wait), wait) \
    OP(void, wait_end, (struct world *w, struct world_wait *wait), wait) \
    OP(int, turn, (struct world *w, uint64_t deadline_ns), deadline_ns) \
    OP(void, job, (struct world *w, struct world_job *job), job) \
    \
    OP(struct world_worker *, worker_new, (struct world *w, void (*fn)(void *), void *arg, uint32_t period_ms), \
       fn, arg, period_ms) \
    OP(void, worker_kick, (struct world *w, struct world_worker *k), k)  /* never waits */ \
    OP(void, worker_drain, (struct world *w, struct world_worker *k), k) /* until every kick so far has been served */ \
    OP(void, worker_free, (struct world *w, struct world_worker *k), k)  /* drains, then ends it */

// clang-format on

struct world_ops {
    const char *name;
#define OP(result, name, params, ...) result(*name) params;
    WORLD_OPS(OP)
#undef OP
    void (*free)(struct world *); /* of a layer: leaves what is below */
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
