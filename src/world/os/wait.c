/* wait.c: waiting.
 *
 * A wait is one ppoll(2) over what is asked for and an eventfd for `wake`.  It is not a libuv loop: uv_poll makes every
 * descriptor non-blocking, which 0, 1 and 2 must never become, and its timers count milliseconds where guests sleep for
 * microseconds.  Waits for many descriptors are loop.c's. */
#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Above, a call of ppoll(2) costs more than the two of the loop. */
enum { MANY = 24 };

/* What can be read at once, where the kernel tells. */
static uint64_t readable_bytes(struct os *os, int fd) {
    if ((os_access(os, fd) & ACCESS_KIND) != ACCESS_FILE) {
        int n = 0;
        return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (uint64_t)n : 0;
    }
    struct stat st; /* files may be larger than an int says */
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
}

bool os_poll_result(struct os *os, struct world_poll *p, short revents) {
    uint32_t got = 0;
    if (revents & (POLLIN | POLLRDHUP) && p->want & WORLD_READABLE)
        got |= WORLD_READABLE;
    if (revents & POLLOUT)
        got |= WORLD_WRITABLE;
    if (revents & (POLLHUP | POLLRDHUP))
        got |= WORLD_HANGUP;
    if (revents & (POLLERR | POLLNVAL))
        got |= WORLD_ERROR;
    p->got = got;
    p->nbytes = got & WORLD_READABLE && !(p->want & WORLD_UNCOUNTED) ? readable_bytes(os, p->fd) : 0;
    return got != 0;
}

static int wait_on(struct os *os, struct pollfd *p, int n, uint64_t deadline_ns) {
    for (;;) {
        struct timespec left, *timeout = NULL;
        if (deadline_ns != UINT64_MAX) {
            uint64_t now = deadline_ns ? world_now(&os->world, WORLD_MONOTONIC) : 0;
            uint64_t ns = deadline_ns > now ? deadline_ns - now : 0;
            left = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
            timeout = &left;
        }
        int r = ppoll(p, (nfds_t)n, timeout, NULL);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR) /* a signal whose handler has something to say calls wake */
            return -errno;
        if (r == 0 && (deadline_ns == 0 || deadline_ns <= world_now(&os->world, WORLD_MONOTONIC)))
            return 0;
    }
}

struct pollfd os_pollfd(const struct world_poll *p) {
    return (struct pollfd){
        .fd = p->fd,
        .events =
            (short)((p->want & WORLD_READABLE ? POLLIN | POLLRDHUP : 0) | (p->want & WORLD_WRITABLE ? POLLOUT : 0)),
    };
}

int os_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct os *os = os_of(w);
    if (n >= MANY)
        return os_loop_wait(os, polls, n, deadline_ns);
    struct pollfd p[MANY + 1];
    for (int i = 0; i < n; i++)
        p[i] = os_pollfd(&polls[i]);
    p[n] = (struct pollfd){.fd = os->wake_fd, .events = POLLIN};
    /* Who does not wait cannot be woken, and leaves the wake for who does. */
    bool waits = deadline_ns != 0;
    int r = wait_on(os, p, waits ? n + 1 : n, waits && os_loop_take_wake(&os->loop) ? 0 : deadline_ns);
    if (r < 0)
        return r;
    uint64_t wakes;
    if (waits && p[n].revents && read(os->wake_fd, &wakes, sizeof wakes) < 0)
        must(errno == EAGAIN);
    os_loop_levels(os, p, n);
    for (int i = 0; i < n; i++)
        r += os_poll_result(os, &polls[i], p[i].revents);
    return r;
}

void os_wake(struct world *w) {
    int saved = errno; /* a signal handler must leave it as it was */
    uint64_t one = 1;
    if (write(os_of(w)->wake_fd, &one, sizeof one) < 0)
        must(errno == EAGAIN); /* so many wakes that the counter is full: awake enough */
    errno = saved;
}
