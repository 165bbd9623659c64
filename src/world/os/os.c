#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int os_result(int r) {
    return r == -1 ? -errno : r;
}

static const clockid_t clocks[] = {
    [WORLD_REALTIME] = CLOCK_REALTIME,
    [WORLD_MONOTONIC] = CLOCK_MONOTONIC,
    [WORLD_PROCESS_CPU] = CLOCK_PROCESS_CPUTIME_ID,
    [WORLD_THREAD_CPU] = CLOCK_THREAD_CPUTIME_ID,
};

static uint64_t nanoseconds(const struct timespec *ts) {
    return (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

static int os_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    (void)w;
    struct timespec ts;
    if (clock_gettime(clocks[c], &ts) != 0)
        return -errno;
    *ns = nanoseconds(&ts);
    return 0;
}

static int os_clock_resolution(struct world *w, enum world_clock c, uint64_t *ns) {
    (void)w;
    struct timespec ts;
    if (clock_getres(clocks[c], &ts) != 0)
        return -errno;
    *ns = nanoseconds(&ts);
    return 0;
}

static int os_entropy(struct world *w, void *p, size_t n) {
    (void)w;
    uint8_t *at = p;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
    return 0;
}

enum world_filetype os_filetype(uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFBLK: return WORLD_BLOCK_DEVICE;
    case S_IFCHR: return WORLD_CHAR_DEVICE;
    case S_IFDIR: return WORLD_DIRECTORY;
    case S_IFREG: return WORLD_REGULAR;
    case S_IFLNK: return WORLD_SYMLINK;
    case S_IFIFO: return WORLD_PIPE;
    case S_IFSOCK: return WORLD_SOCKET_STREAM;
    default: return WORLD_UNKNOWN;
    }
}

/* Worlds that a look-up which hangs still needs. */
static _Atomic(struct os *) left_behind;

static void os_free(struct world *w) {
    struct os *os = os_of(w);
    if (!os_jobs_deinit(os)) {
        os->left_behind = atomic_exchange(&left_behind, os);
        return;
    }
    os_loop_deinit(&os->loop);
    close(os->wake_fd);
    for (int i = 0; i < 3; i++)
        if (os->tty[i] >= 0)
            close(os->tty[i]);
    munmap((void *)os->access, ACCESS_FDS);
    mem_free(os);
}

static const struct world_ops ops = {
    .name = "os",
    .clock = os_clock,
    .clock_resolution = os_clock_resolution,
    .entropy = os_entropy,
    .open = os_open,
    .close = os_close,
    .dup = os_dup,
    .readv = os_readv,
    .writev = os_writev,
    .preadv = os_preadv,
    .pwritev = os_pwritev,
    .seek = os_seek,
    .stat = os_stat,
    .stat_at = os_stat_at,
    .set_flags = os_set_flags,
    .get_flags = os_get_flags,
    .set_size = os_set_size,
    .allocate = os_allocate,
    .advise = os_advise,
    .sync = os_sync,
    .set_times = os_set_times,
    .set_times_at = os_set_times_at,
    .read_dir = os_read_dir,
    .make_dir = os_make_dir,
    .remove = os_remove,
    .rename = os_rename,
    .link = os_link,
    .symlink = os_symlink,
    .read_link = os_read_link,
    .lock = os_lock,
    .map = os_map,
    .unmap = os_unmap,
    .sync_map = os_sync_map,
    .read_cached = os_read_cached,
    .socket = os_socket,
    .pair = os_pair,
    .move = os_move,
    .bind = os_bind,
    .listen = os_listen,
    .connect = os_connect,
    .accept = os_accept,
    .recv = os_recv,
    .send = os_send,
    .shutdown = os_shutdown,
    .local_addr = os_local_addr,
    .peer_addr = os_peer_addr,
    .get_option = os_get_option,
    .set_option = os_set_option,
    .start_tls = os_start_tls,
    .resolve = os_resolve,
    .wait = os_wait,
    .wake = os_wake,
    .wait_begin = os_wait_begin,
    .wait_end = os_wait_end,
    .turn = os_turn,
    .job = os_job,
    .worker_new = os_worker_new,
    .worker_kick = os_worker_kick,
    .worker_drain = os_worker_drain,
    .worker_free = os_worker_free,
    .free = os_free,
};

/* Someone who handles them has reasons; but their defaults would end us where -EPIPE and -EFBIG are the answers. */
static void ignore_if_deadly(int signal) {
    struct sigaction sa;
    if (sigaction(signal, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
        sa.sa_handler = SIG_IGN;
        sigaction(signal, &sa, NULL);
    }
}

/* What was closed when we were started is nobody's; left so, the next file opened would become somebody's output. */
static void open_stdio(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            must(open("/dev/null", O_RDWR) == fd);
}

/* The usual soft limit of 1024 descriptors is for programs that use select(2). A server's connections are descriptors.
 */
static void allow_descriptors(void) {
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

struct world *world_os_new(void) {
    open_stdio();
    struct os *os = mem_zalloc(sizeof *os);
    os->world.ops = &ops;
    for (int i = 0; i < 3; i++)
        atomic_init(&os->tty[i], -1);
    os->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(os->wake_fd >= 0);
    os->access = mmap(NULL, ACCESS_FDS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must((void *)os->access != MAP_FAILED);
    os_loop_init(os);
    os_jobs_init(os);
    ignore_if_deadly(SIGPIPE);
    ignore_if_deadly(SIGXFSZ);
    allow_descriptors();
    return &os->world;
}

void world_os_use_openat2(struct world *w, bool use) {
    atomic_store(&os_of(w)->no_openat2, !use);
}
