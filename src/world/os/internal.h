/* internal.h: what the files of world/os share. */
#ifndef AEON_WORLD_OS_INTERNAL_H
#define AEON_WORLD_OS_INTERNAL_H

#include "world/os/os.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <uv.h>

/* How to read and write a descriptor without waiting. 0 is "not looked at yet". */
enum access {
    ACCESS_UNKNOWN,
    ACCESS_FILE,   /* never waits for others: regular files, directories, disks */
    ACCESS_DIRECT, /* says EAGAIN by itself (non-blocking) */
    ACCESS_SOCKET, /* blocking socket: MSG_DONTWAIT */
    ACCESS_PIPE,   /* blocking pipe: RWF_NOWAIT */
    ACCESS_TTY,    /* blocking terminal on 0, 1 or 2: a second, non-blocking opening of it */
    ACCESS_ASK,    /* ask for readiness first */

    /* beside the kind: */
    ACCESS_KIND = 0x1f,
    ACCESS_ALONE = 0x20,   /* no other descriptor has the same open file */
    ACCESS_WATCHED = 0x40, /* registered with the loop */
    ACCESS_LINGERS = 0x80, /* a socket whose close(2) would wait, non-blocking or not */
};

enum { ACCESS_FDS = 1 << 20 }; /* descriptors beyond are none of ours: -EMFILE, and looked at each time */

struct os_list {
    struct os_list *next, *prev;
};

/* loop.c. Of one thread, except for what `lock` says. */
struct os_loop {
    int epoll_fd;
    bool no_pwait2;       /* the kernel has no epoll_pwait2 */
    bool turning;         /* turns do not nest */
    bool woken;           /* a wake that nobody was told of yet */
    struct pollfd *asked; /* room for a wait of many; and which poll each is */
    int *asked_of, asked_room;
    uv_mutex_t lock;          /* of all that follows: any thread may close descriptors and finish jobs */
    uv_thread_t thread;       /* whose it is */
    struct os_watch *watches; /* by descriptor; NULL before the first wait; pages appear when touched */
    struct os_list begun;     /* waits */
    struct os_list ready;     /* waits that the next turn calls */
    struct os_waiting **timers, *free;
    int ntimers, timers_room;
    uint64_t order;
    struct world_job *done, **done_last; /* jobs that the next turn calls */
};

enum { OS_LANES = WORLD_LANE_NAMES + 1, OS_LANE_THREADS = 4 };

/* jobs.c */
struct os_lane {
    struct os *os;
    uv_mutex_t lock;          /* of what follows */
    uv_cond_t changed, ended; /* something to do; something done */
    struct world_job *first, *last;
    int queued, running, idle, threads;
    bool ending;
    uv_thread_t thread[OS_LANE_THREADS];
};

struct os {
    struct world world;
    int wake_fd; /* eventfd */
    atomic_bool no_openat2;
    atomic_bool no_pipe_nowait; /* the kernel's pipes do not know RWF_NOWAIT */
    atomic_int tty[3];          /* second openings; -1: none */
    _Atomic uint8_t *access;    /* by descriptor; pages appear when touched */
    struct os_loop loop;
    struct os_lane lanes[OS_LANES];
    struct os *left_behind; /* another one; see os_free */
};

static inline struct os *os_of(struct world *w) {
    return (struct os *)w; /* `world` is the first member */
}

int os_result(int r); /* r, or -errno when r is -1 */

enum world_filetype os_filetype(uint32_t mode);

/* The operations of world.h, by file. */

/* file.c */
uint8_t os_access(struct os *, int fd); /* enum access, perhaps with ACCESS_LINGERS */
void os_access_set(struct os *, int fd, uint8_t access);
int os_handle(struct os *, int fd, uint8_t access); /* a new descriptor as a handle, or -errno when it is negative */
int os_close(struct world *, int fd);
int os_dup(struct world *, int fd);
int64_t os_readv(struct world *, int fd, const struct iovec *, int n);
int64_t os_writev(struct world *, int fd, const struct iovec *, int n);
int64_t os_preadv(struct world *, int fd, const struct iovec *, int n, uint64_t offset);
int64_t os_pwritev(struct world *, int fd, const struct iovec *, int n, uint64_t offset);
int64_t os_read_cached(struct world *, int fd, const struct iovec *, int n, uint64_t offset);
int64_t os_seek(struct world *, int fd, int64_t offset, int whence);
int os_stat(struct world *, int fd, struct world_stat *);
int os_set_flags(struct world *, int fd, uint32_t flags);
int os_get_flags(struct world *, int fd, uint32_t *flags);
int os_set_size(struct world *, int fd, uint64_t size);
int os_allocate(struct world *, int fd, uint64_t offset, uint64_t size);
int os_advise(struct world *, int fd, uint64_t offset, uint64_t size, int advice);
int os_sync(struct world *, int fd, bool data_only);
int os_set_times(struct world *, int fd, uint64_t atim, uint64_t mtim, uint32_t which);
int os_read_dir(struct world *, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *), void *arg);
int os_lock(struct world *, int fd, bool exclusive);
int os_map(struct world *, int fd, uint64_t size, bool writable, void **out);
int os_unmap(struct world *, void *, uint64_t size);
int os_sync_map(struct world *, void *, uint64_t size);
void os_stat_fill(struct world_stat *out, const struct stat *st);
void os_times_fill(struct timespec ts[2], uint64_t atim, uint64_t mtim, uint32_t which);

/* path.c */
int os_open(struct world *, int dir, const char *path, uint32_t flags, uint32_t mode);
int os_stat_at(struct world *, int dir, const char *path, uint32_t flags, struct world_stat *);
int os_set_times_at(struct world *, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim,
                    uint32_t which);
int os_make_dir(struct world *, int dir, const char *path, uint32_t flags, uint32_t mode);
int os_remove(struct world *, int dir, const char *path, uint32_t flags, bool directory);
int os_rename(struct world *, int dir, const char *path, int to_dir, const char *to, uint32_t flags);
int os_link(struct world *, int dir, const char *path, int to_dir, const char *to, uint32_t flags);
int os_symlink(struct world *, const char *target, int dir, const char *path, uint32_t flags);
int64_t os_read_link(struct world *, int dir, const char *path, uint32_t flags, char *out, size_t cap);

/* beneath.c: opens `path` below `dir` with the flags of open(2) (O_CLOEXEC is added); -EPERM when it would leave. */
int os_open_beneath(struct os *, int dir, const char *path, int oflags, uint32_t mode);

/* socket.c */
int os_socket(struct world *, enum addr_family, enum world_socktype);
int os_pair(struct world *, enum world_socktype, int fds[2]);
int os_move(struct world *, int from, int to);
int os_bind(struct world *, int fd, const struct addr *);
int os_listen(struct world *, int fd, int backlog);
int os_connect(struct world *, int fd, const struct addr *);
int os_accept(struct world *, int fd, uint32_t flags);
int64_t os_recv(struct world *, int fd, const struct iovec *, int n, uint32_t *flags, struct addr *from);
int64_t os_send(struct world *, int fd, const struct iovec *, int n, const struct addr *to);
int os_shutdown(struct world *, int fd, uint32_t how);
int os_local_addr(struct world *, int fd, struct addr *);
int os_peer_addr(struct world *, int fd, struct addr *);
int os_get_option(struct world *, int fd, enum world_sockopt, int64_t *value);
int os_set_option(struct world *, int fd, enum world_sockopt, int64_t value);
int os_start_tls(struct world *, int fd, const char *host);
bool os_address(const struct sockaddr *, size_t size, struct addr *out); /* false, and ADDR_NONE: no kind of ours */
void os_socket_no_linger(int fd);

/* resolve.c */
int os_resolve(struct world *, const struct world_query *, struct world_found *out, int max, char *canonical);

/* wait.c */
struct pollfd os_pollfd(const struct world_poll *);
bool os_poll_result(struct os *, struct world_poll *, short revents); /* does anything hold? */
int os_wait(struct world *, struct world_poll *, int n, uint64_t deadline_ns);
void os_wake(struct world *);

/* loop.c */
void os_loop_init(struct os *);
void os_loop_deinit(struct os_loop *);
void os_wait_begin(struct world *, struct world_wait *);
void os_wait_end(struct world *, struct world_wait *);
int os_turn(struct world *, uint64_t deadline_ns);
bool os_loop_take_wake(struct os_loop *);
int os_loop_wait(struct os *, struct world_poll *, int n, uint64_t deadline_ns); /* as os_wait */
void os_loop_close(struct os *, int fd, bool last);                              /* of a watched one, before close */
void os_loop_levels(struct os *, const struct pollfd *polled, int n);            /* what a poll(2) has just found */

/* jobs.c */
void os_jobs_init(struct os *);
bool os_jobs_deinit(struct os *); /* false: a look-up hangs, and needs the world as it is for ever */
void os_job(struct world *, struct world_job *);
bool os_thread_start(uv_thread_t *, void (*fn)(void *), void *arg); /* false: no thread to be had */

/* worker.c */
struct world_worker *os_worker_new(struct world *, void (*fn)(void *), void *arg, uint32_t period_ms);
void os_worker_kick(struct world *, struct world_worker *);
void os_worker_drain(struct world *, struct world_worker *);
void os_worker_free(struct world *, struct world_worker *);

#endif
