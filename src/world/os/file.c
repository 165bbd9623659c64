/* file.c: what is done to open descriptors.
 *
 * Reads and writes are one system call and nothing else once it is known that the descriptor cannot wait (a regular
 * file, or something we opened non-blocking).  Descriptors that came from elsewhere may wait, and their open file
 * description may be shared with a shell, so that O_NONBLOCK is not ours to set: sockets and pipes are told per call,
 * terminals are opened a second time, and the rest is only touched after poll(2) said that it is ready. */
#include "world/os/internal.h"

#include "base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* ---- reading and writing ---- */

/* Opens the terminal on `fd` once more, for ourselves. */
static bool open_again(struct os *os, int fd) {
    int none = -1;
    if (atomic_load(&os->tty[fd]) < 0) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int tty = open(path, (fcntl(fd, F_GETFL) & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (tty >= 0 && !atomic_compare_exchange_strong(&os->tty[fd], &none, tty))
            close(tty); /* another thread was faster */
    }
    return atomic_load(&os->tty[fd]) >= 0;
}

void os_access_set(struct os *os, int fd, uint8_t access) {
    if ((unsigned)fd < ACCESS_FDS)
        atomic_store_explicit(&os->access[fd], access, memory_order_relaxed);
}

int os_handle(struct os *os, int fd, uint8_t access) {
    if (fd < 0)
        return -errno;
    if (fd >= ACCESS_FDS) {
        close(fd);
        return -EMFILE;
    }
    os_access_set(os, fd, access);
    return fd;
}

static bool lingers(int fd) {
    struct linger l = {0};
    socklen_t size = sizeof l;
    return getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &size) == 0 && l.l_onoff && l.l_linger > 0;
}

static uint8_t access_look(struct os *os, int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ACCESS_DIRECT; /* the call itself will say what is wrong */
    uint8_t a = ACCESS_ASK;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        a = ACCESS_FILE;
    else if (fd > 2 && (fcntl(fd, F_GETFL) & O_NONBLOCK))
        a = ACCESS_DIRECT;
    else if (S_ISSOCK(st.st_mode))
        a = ACCESS_SOCKET;
    else if (S_ISFIFO(st.st_mode))
        a = ACCESS_PIPE;
    else if (fd <= 2 && isatty(fd) && open_again(os, fd))
        a = ACCESS_TTY;
    if (S_ISSOCK(st.st_mode) && lingers(fd))
        a |= ACCESS_LINGERS;
    uint8_t unknown = ACCESS_UNKNOWN;
    if ((unsigned)fd < ACCESS_FDS && !atomic_compare_exchange_strong(&os->access[fd], &unknown, a))
        return unknown; /* another thread was faster */
    return a;
}

uint8_t os_access(struct os *os, int fd) {
    if (LIKELY((unsigned)fd < ACCESS_FDS)) {
        uint8_t a = atomic_load_explicit(&os->access[fd], memory_order_relaxed);
        if (LIKELY(a != ACCESS_UNKNOWN))
            return a;
    }
    return access_look(os, fd);
}

static bool ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) > 0;
}

/* The start of a gathered write that cannot wait where one page of room is promised. */
static struct iovec first_page(const struct iovec *iov, int n) {
    while (n > 1 && iov->iov_len == 0)
        iov++, n--;
    struct iovec one = n > 0 ? *iov : (struct iovec){NULL, 0};
    if (one.iov_len > PIPE_BUF)
        one.iov_len = PIPE_BUF;
    return one;
}

static int64_t read_careful(struct os *os, enum access a, int fd, const struct iovec *iov, int n) {
    if (a == ACCESS_SOCKET) {
        struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
        ssize_t r = recvmsg(fd, &m, MSG_DONTWAIT);
        return r < 0 ? -errno : r;
    }
    if (a == ACCESS_PIPE && !atomic_load_explicit(&os->no_pipe_nowait, memory_order_relaxed)) {
        ssize_t r = preadv2(fd, iov, n, -1, RWF_NOWAIT);
        if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
            return r < 0 ? -errno : r;
        atomic_store(&os->no_pipe_nowait, true);
    }
    if (a == ACCESS_TTY)
        fd = os->tty[fd];
    else if (!ready(fd, POLLIN))
        return -EAGAIN;
    ssize_t r = readv(fd, iov, n);
    return r < 0 ? -errno : r;
}

static int64_t write_careful(struct os *os, enum access a, int fd, const struct iovec *iov, int n) {
    if (a == ACCESS_SOCKET)
        return os_send(&os->world, fd, iov, n, NULL);
    if (a == ACCESS_PIPE && !atomic_load_explicit(&os->no_pipe_nowait, memory_order_relaxed)) {
        ssize_t r = pwritev2(fd, iov, n, -1, RWF_NOWAIT);
        if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
            return r < 0 ? -errno : r;
        atomic_store(&os->no_pipe_nowait, true);
    }
    if (a == ACCESS_TTY) {
        ssize_t r = writev(os->tty[fd], iov, n);
        return r < 0 ? -errno : r;
    }
    if (!ready(fd, POLLOUT))
        return -EAGAIN;
    struct iovec one = first_page(iov, n);
    ssize_t r = writev(fd, &one, 1);
    return r < 0 ? -errno : r;
}

int64_t os_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    enum access a = os_access(os_of(w), fd) & ACCESS_KIND;
    if (UNLIKELY(a > ACCESS_DIRECT))
        return read_careful(os_of(w), a, fd, iov, n);
    ssize_t r = n == 1 ? read(fd, iov->iov_base, iov->iov_len) : readv(fd, iov, n);
    return r < 0 ? -errno : r;
}

int64_t os_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    enum access a = os_access(os_of(w), fd) & ACCESS_KIND;
    if (UNLIKELY(a > ACCESS_DIRECT))
        return write_careful(os_of(w), a, fd, iov, n);
    ssize_t r = n == 1 ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, n);
    return r < 0 ? -errno : r;
}

int64_t os_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    if (offset > INT64_MAX)
        return -EINVAL;
    ssize_t r = preadv(fd, iov, n, (off_t)offset);
    return r < 0 ? -errno : r;
}

int64_t os_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    if (offset > INT64_MAX)
        return -EINVAL;
    ssize_t r = pwritev(fd, iov, n, (off_t)offset);
    return r < 0 ? -errno : r;
}

int64_t os_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    if (offset > INT64_MAX && offset != UINT64_MAX)
        return -EINVAL;
    ssize_t r = preadv2(fd, iov, n, (off_t)offset, RWF_NOWAIT);
    if (r >= 0)
        return r;
    return errno == EOPNOTSUPP || errno == ENOSYS ? -EAGAIN : -errno;
}

int64_t os_seek(struct world *w, int fd, int64_t offset, int whence) {
    (void)w;
    off_t r = lseek(fd, offset, whence);
    return r < 0 ? -errno : r;
}

/* ---- the descriptor itself ---- */

int os_close(struct world *w, int fd) {
    if (fd >= 0 && fd <= 2)
        return -EPERM;
    /* Before the number can be given to somebody else. */
    uint8_t access = (unsigned)fd < ACCESS_FDS ? os_of(w)->access[fd] : os_access(os_of(w), fd);
    if (access & ACCESS_WATCHED)
        os_loop_close(os_of(w), fd, (access & ACCESS_ALONE) != 0);
    os_access_set(os_of(w), fd, ACCESS_UNKNOWN);
    if (access & ACCESS_LINGERS)
        os_socket_no_linger(fd);
    int r = close(fd);
    return r != 0 && errno != EINTR ? -errno : 0; /* on Linux it is closed in any case */
}

int os_dup(struct world *w, int fd) {
    struct os *os = os_of(w);
    int to = os_handle(os, fcntl(fd, F_DUPFD_CLOEXEC, 3), ACCESS_UNKNOWN);
    if (to >= 0 && os_access(os, fd) & (ACCESS_ALONE | ACCESS_LINGERS) && fd < ACCESS_FDS) {
        uint8_t access = atomic_fetch_and(&os->access[fd], (uint8_t)~ACCESS_ALONE);
        os_access_set(os, to, access & (ACCESS_KIND | ACCESS_LINGERS));
    }
    return to;
}

static const struct {
    uint32_t world;
    int os;
} flag_table[] = {
    {WORLD_APPEND, O_APPEND}, {WORLD_NONBLOCK, O_NONBLOCK}, {WORLD_SYNC, O_SYNC},
    {WORLD_DSYNC, O_DSYNC},   {WORLD_RSYNC, O_RSYNC},
};

int os_get_flags(struct world *w, int fd, uint32_t *flags) {
    (void)w;
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0)
        return -errno;
    uint32_t f = 0;
    for (size_t i = 0; i < sizeof flag_table / sizeof *flag_table; i++)
        if ((fl & flag_table[i].os) == flag_table[i].os)
            f |= flag_table[i].world;
    if ((fl & O_SYNC) == O_SYNC) /* Linux has one bit pattern for O_SYNC and O_RSYNC, and O_DSYNC lies in it */
        f &= ~(uint32_t)(WORLD_DSYNC | WORLD_RSYNC);
    *flags = f;
    return 0;
}

int os_set_flags(struct world *w, int fd, uint32_t flags) {
    (void)w;
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0)
        return -errno;
    /* O_NONBLOCK is how we keep from waiting, or somebody else's; the synchronous flags cannot change after open. */
    int wanted = (fl & ~O_APPEND) | (flags & WORLD_APPEND ? O_APPEND : 0);
    if (flags & (WORLD_SYNC | WORLD_RSYNC) && (fl & O_SYNC) != O_SYNC)
        return -ENOTSUP;
    if (flags & WORLD_DSYNC && !(fl & O_DSYNC))
        return -ENOTSUP;
    if (wanted == fl)
        return 0;
    if (fd <= 2)
        return -EPERM; /* shared with whoever else has it open */
    return os_result(fcntl(fd, F_SETFL, wanted));
}

/* ---- attributes and contents ---- */

static uint64_t nanoseconds(const struct timespec *ts) {
    /* Before 1970 is before what a guest can express. */
    return ts->tv_sec < 0 ? 0 : (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

void os_stat_fill(struct world_stat *out, const struct stat *st) {
    *out = (struct world_stat){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .nlink = st->st_nlink,
        .size = (uint64_t)st->st_size,
        .atim = nanoseconds(&st->st_atim),
        .mtim = nanoseconds(&st->st_mtim),
        .ctim = nanoseconds(&st->st_ctim),
        .type = os_filetype(st->st_mode),
        .mode = st->st_mode & 07777,
    };
}

int os_stat(struct world *w, int fd, struct world_stat *out) {
    (void)w;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    os_stat_fill(out, &st);
    if (out->type == WORLD_SOCKET_STREAM) {
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM)
            out->type = WORLD_SOCKET_DGRAM;
    } else if (out->type == WORLD_CHAR_DEVICE) {
        struct termios t;
        if (tcgetattr(fd, &t) == 0)
            out->type = WORLD_TERMINAL;
    }
    return 0;
}

int os_set_size(struct world *w, int fd, uint64_t size) {
    (void)w;
    if (size > INT64_MAX)
        return -EINVAL;
    return os_result(ftruncate(fd, (off_t)size));
}

int os_allocate(struct world *w, int fd, uint64_t offset, uint64_t size) {
    (void)w;
    if (offset > INT64_MAX || size > INT64_MAX)
        return -EFBIG;
    return -posix_fallocate(fd, (off_t)offset, (off_t)size);
}

int os_advise(struct world *w, int fd, uint64_t offset, uint64_t size, int advice) {
    (void)w;
    if (offset > INT64_MAX || size > INT64_MAX)
        return -EINVAL;
    return -posix_fadvise(fd, (off_t)offset, (off_t)size, advice);
}

int os_sync(struct world *w, int fd, bool data_only) {
    (void)w;
    return os_result(data_only ? fdatasync(fd) : fsync(fd));
}

static struct timespec time_of(uint64_t ns, bool set, bool now) {
    if (now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (!set)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

void os_times_fill(struct timespec ts[2], uint64_t atim, uint64_t mtim, uint32_t which) {
    ts[0] = time_of(atim, which & WORLD_ATIM, which & WORLD_ATIM_NOW);
    ts[1] = time_of(mtim, which & WORLD_MTIM, which & WORLD_MTIM_NOW);
}

int os_set_times(struct world *w, int fd, uint64_t atim, uint64_t mtim, uint32_t which) {
    (void)w;
    struct timespec ts[2];
    os_times_fill(ts, atim, mtim, which);
    return os_result(futimens(fd, ts));
}

/* As the kernel writes it (linux_dirent64). */
struct dirent_head {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[];
};

int os_read_dir(struct world *w, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *),
                void *arg) {
    (void)w;
    if (cookie > INT64_MAX)
        return -EINVAL;
    if (lseek(fd, (off_t)cookie, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        _Alignas(struct dirent_head) char buf[32768];
        long n = syscall(SYS_getdents64, fd, buf, sizeof buf);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        for (long at = 0; at < n;) {
            const struct dirent_head *d = (const struct dirent_head *)(buf + at);
            struct world_dirent e = {
                .next = (uint64_t)d->next,
                .ino = d->ino,
                .type = d->type == DT_UNKNOWN ? WORLD_UNKNOWN : os_filetype(DTTOIF(d->type)),
                .name = d->name,
            };
            if (!each(arg, &e))
                return 0;
            at += d->size;
        }
    }
}

int os_lock(struct world *w, int fd, bool exclusive) {
    (void)w;
    return os_result(flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB));
}

int os_map(struct world *w, int fd, uint64_t size, bool writable, void **out) {
    (void)w;
    void *p = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    *out = p;
    return 0;
}

int os_unmap(struct world *w, void *p, uint64_t size) {
    (void)w;
    return os_result(munmap(p, size));
}

int os_sync_map(struct world *w, void *p, uint64_t size) {
    (void)w;
    return os_result(msync(p, size, MS_SYNC));
}
