/* socket.c: sockets. None of them ever waits: ours are non-blocking, and those that came from elsewhere, whose open
 * file description may be shared, are told so with every call. */
#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- addresses ---- */

union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* The size, or -errno. */
static int address_to_os(const struct addr *a, union sockaddr_any *out) {
    switch (a->family) {
    case ADDR_INET:
        out->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&out->in.sin_addr, a->ip, 4);
        return sizeof out->in;
    case ADDR_INET6:
        out->in6 =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
        memcpy(&out->in6.sin6_addr, a->ip, 16);
        return sizeof out->in6;
    case ADDR_UNIX: {
        /* An empty name would ask the kernel for one that is in no directory. */
        size_t n = strnlen(a->path, sizeof a->path);
        if (n == 0 || n == sizeof a->path)
            return -EINVAL;
        out->un.sun_family = AF_UNIX;
        memcpy(out->un.sun_path, a->path, n + 1);
        return (int)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    }
    default: return -EAFNOSUPPORT;
    }
}

bool os_address(const struct sockaddr *sa, size_t size, struct addr *out) {
    union sockaddr_any from;
    *out = (struct addr){.family = ADDR_NONE};
    if (size < sizeof sa->sa_family)
        return false;
    memcpy(&from, sa, size < sizeof from ? size : sizeof from);
    switch (from.any.sa_family) {
    case AF_INET:
        out->family = ADDR_INET;
        out->port = ntohs(from.in.sin_port);
        memcpy(out->ip, &from.in.sin_addr, 4);
        return true;
    case AF_INET6:
        out->family = ADDR_INET6;
        out->port = ntohs(from.in6.sin6_port);
        out->scope = from.in6.sin6_scope_id;
        memcpy(out->ip, &from.in6.sin6_addr, 16);
        return true;
    case AF_UNIX: {
        /* What has no name, and names that are in no directory or do not fit, stay the empty path. */
        out->family = ADDR_UNIX;
        size_t n = size - offsetof(struct sockaddr_un, sun_path);
        n = strnlen(from.un.sun_path, n < sizeof from.un.sun_path ? n : sizeof from.un.sun_path);
        if (n < sizeof out->path)
            memcpy(out->path, from.un.sun_path, n);
        return true;
    }
    default: return false;
    }
}

int os_local_addr(struct world *w, int fd, struct addr *out) {
    (void)w;
    union sockaddr_any sa;
    socklen_t size = sizeof sa;
    if (getsockname(fd, &sa.any, &size) != 0)
        return -errno;
    struct addr a;
    if (!os_address(&sa.any, size, &a))
        return -EAFNOSUPPORT;
    *out = a;
    return 0;
}

int os_peer_addr(struct world *w, int fd, struct addr *out) {
    (void)w;
    union sockaddr_any sa;
    socklen_t size = sizeof sa;
    if (getpeername(fd, &sa.any, &size) != 0)
        return -errno;
    struct addr a;
    if (!os_address(&sa.any, size, &a))
        return -EAFNOSUPPORT;
    *out = a;
    return 0;
}

/* ---- making and connecting ---- */

int os_socket(struct world *w, enum addr_family f, enum world_socktype t) {
    int family = f == ADDR_INET ? AF_INET : f == ADDR_INET6 ? AF_INET6 : f == ADDR_UNIX ? AF_UNIX : -1;
    int type = t == WORLD_STREAM ? SOCK_STREAM : t == WORLD_DGRAM ? SOCK_DGRAM : -1;
    if (family < 0)
        return -EAFNOSUPPORT;
    if (type < 0)
        return -EPROTONOSUPPORT;
    return os_handle(os_of(w), socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), ACCESS_DIRECT | ACCESS_ALONE);
}

int os_pair(struct world *w, enum world_socktype t, int fds[2]) {
    int type = t == WORLD_STREAM ? SOCK_STREAM : t == WORLD_DGRAM ? SOCK_DGRAM : -1, two[2];
    if (type < 0)
        return -EPROTONOSUPPORT;
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, two) != 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        two[i] = os_handle(os_of(w), two[i], ACCESS_DIRECT | ACCESS_ALONE);
    for (int i = 0; i < 2; i++)
        if (two[i] < 0) {
            if (two[!i] >= 0)
                os_close(w, two[!i]);
            return two[i];
        }
    fds[0] = two[0];
    fds[1] = two[1];
    return 0;
}

int os_move(struct world *w, int from, int to) {
    if (to >= 0 && to <= 2)
        return -EPERM;
    struct os *os = os_of(w);
    const int both[] = {to, from};
    uint8_t of_from = os_access(os, from);
    for (int i = 0; i < 2; i++) /* waits know files by their numbers */
        if (os_access(os, both[i]) & ACCESS_WATCHED)
            os_loop_close(os, both[i], i == 0 && os_access(os, to) & ACCESS_ALONE);
    if (os_access(os, to) & ACCESS_LINGERS)
        os_socket_no_linger(to);
    if (dup3(from, to, O_CLOEXEC) < 0)
        return -errno;
    os_access_set(os, to, of_from & (uint8_t)~ACCESS_WATCHED);
    os_access_set(os, from, ACCESS_UNKNOWN);
    close(from); /* only one name of two: nothing to wait for */
    return 0;
}

int os_bind(struct world *w, int fd, const struct addr *a) {
    (void)w;
    union sockaddr_any sa;
    int size = address_to_os(a, &sa);
    return size < 0 ? size : os_result(bind(fd, &sa.any, (socklen_t)size));
}

int os_listen(struct world *w, int fd, int backlog) {
    (void)w;
    return os_result(listen(fd, backlog));
}

int os_connect(struct world *w, int fd, const struct addr *a) {
    (void)w;
    union sockaddr_any sa;
    int size = address_to_os(a, &sa);
    return size < 0 ? size : os_result(connect(fd, &sa.any, (socklen_t)size));
}

int os_accept(struct world *w, int fd, uint32_t flags) {
    (void)flags; /* what we accept never waits */
    struct os *os = os_of(w);
    uint8_t access = os_access(os, fd);
    if ((access & ACCESS_KIND) != ACCESS_DIRECT) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) == 0)
            return -EAGAIN;
    }
    return os_handle(os, accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
                     (uint8_t)(ACCESS_DIRECT | ACCESS_ALONE | (access & ACCESS_LINGERS)));
}

int os_shutdown(struct world *w, int fd, uint32_t how) {
    (void)w;
    if (how != WORLD_SHUT_RD && how != WORLD_SHUT_WR && how != (WORLD_SHUT_RD | WORLD_SHUT_WR))
        return -EINVAL;
    return os_result(shutdown(fd, how == WORLD_SHUT_RD ? SHUT_RD : how == WORLD_SHUT_WR ? SHUT_WR : SHUT_RDWR));
}

int os_start_tls(struct world *w, int fd, const char *host) {
    (void)w;
    (void)fd;
    (void)host;
    return -ENOTSUP;
}

/* ---- data ---- */

int64_t os_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    (void)w;
    union sockaddr_any sa;
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    if (from) {
        m.msg_name = &sa;
        m.msg_namelen = sizeof sa;
    }
    ssize_t r = recvmsg(fd, &m, MSG_DONTWAIT | (*flags & WORLD_RECV_PEEK ? MSG_PEEK : 0));
    if (r < 0)
        return -errno;
    *flags = m.msg_flags & MSG_TRUNC ? WORLD_RECV_TRUNCATED : 0;
    if (from)
        os_address(&sa.any, m.msg_namelen, from);
    return r;
}

int64_t os_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    (void)w;
    union sockaddr_any sa;
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    if (to) {
        int size = address_to_os(to, &sa);
        if (size < 0)
            return size;
        m.msg_name = &sa;
        m.msg_namelen = (socklen_t)size;
    }
    ssize_t r = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    return r < 0 ? -errno : r;
}

/* ---- options ---- */

enum form { BOOL, COUNT, SOCKTYPE, SECONDS_OR_OFF, NANOSECONDS };

static const struct {
    int level, name;
    enum form form;
    bool fixed; /* cannot be set */
} options[WORLD_NSOCKOPTS] = {
    [WORLD_SO_REUSEADDR] = {SOL_SOCKET, SO_REUSEADDR, BOOL, false},
    [WORLD_SO_TYPE] = {SOL_SOCKET, SO_TYPE, SOCKTYPE, true},
    [WORLD_SO_ERROR] = {SOL_SOCKET, SO_ERROR, COUNT, true},
    [WORLD_SO_DONTROUTE] = {SOL_SOCKET, SO_DONTROUTE, BOOL, false},
    [WORLD_SO_BROADCAST] = {SOL_SOCKET, SO_BROADCAST, BOOL, false},
    [WORLD_SO_SNDBUF] = {SOL_SOCKET, SO_SNDBUF, COUNT, false},
    [WORLD_SO_RCVBUF] = {SOL_SOCKET, SO_RCVBUF, COUNT, false},
    [WORLD_SO_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, BOOL, false},
    [WORLD_SO_OOBINLINE] = {SOL_SOCKET, SO_OOBINLINE, BOOL, false},
    [WORLD_SO_LINGER] = {SOL_SOCKET, SO_LINGER, SECONDS_OR_OFF, false},
    [WORLD_SO_RCVLOWAT] = {SOL_SOCKET, SO_RCVLOWAT, COUNT, false},
    [WORLD_SO_RCVTIMEO] = {SOL_SOCKET, SO_RCVTIMEO, NANOSECONDS, false},
    [WORLD_SO_SNDTIMEO] = {SOL_SOCKET, SO_SNDTIMEO, NANOSECONDS, false},
    [WORLD_SO_ACCEPTCONN] = {SOL_SOCKET, SO_ACCEPTCONN, BOOL, true},
    [WORLD_SO_REUSEPORT] = {SOL_SOCKET, SO_REUSEPORT, BOOL, false},
    [WORLD_SO_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, BOOL, false},
    [WORLD_SO_KEEPIDLE] = {IPPROTO_TCP, TCP_KEEPIDLE, COUNT, false},
    [WORLD_SO_KEEPINTVL] = {IPPROTO_TCP, TCP_KEEPINTVL, COUNT, false},
    [WORLD_SO_KEEPCNT] = {IPPROTO_TCP, TCP_KEEPCNT, COUNT, false},
    [WORLD_SO_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, BOOL, false},
};

union option_value {
    int number;
    struct linger linger;
    struct timeval time;
};

static socklen_t option_size(enum form f) {
    return f == SECONDS_OR_OFF ? sizeof(struct linger) : f == NANOSECONDS ? sizeof(struct timeval) : sizeof(int);
}

/* Protocols say in two ways that an option is not theirs. */
static int option_result(int r) {
    return r == 0 ? 0 : errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
}

int os_get_option(struct world *w, int fd, enum world_sockopt o, int64_t *value) {
    (void)w;
    if ((unsigned)o >= WORLD_NSOCKOPTS)
        return -ENOPROTOOPT;
    union option_value v = {0};
    enum form form = options[o].form;
    socklen_t size = option_size(form);
    int r = option_result(getsockopt(fd, options[o].level, options[o].name, &v, &size));
    if (r < 0)
        return r;
    switch (form) {
    case BOOL: *value = v.number != 0; break;
    case COUNT: *value = v.number; break;
    case SECONDS_OR_OFF: *value = v.linger.l_onoff ? v.linger.l_linger : -1; break;
    case NANOSECONDS: *value = (int64_t)v.time.tv_sec * 1000000000 + (int64_t)v.time.tv_usec * 1000; break;
    case SOCKTYPE:
        if (v.number != SOCK_STREAM && v.number != SOCK_DGRAM)
            return -ENOPROTOOPT;
        *value = v.number == SOCK_STREAM ? WORLD_STREAM : WORLD_DGRAM;
        break;
    }
    return 0;
}

int os_set_option(struct world *w, int fd, enum world_sockopt o, int64_t value) {
    if ((unsigned)o >= WORLD_NSOCKOPTS || options[o].fixed)
        return -ENOPROTOOPT;
    union option_value v = {0};
    enum form form = options[o].form;
    int number = value > INT_MAX ? INT_MAX : value < INT_MIN ? INT_MIN : (int)value;
    switch (form) {
    case BOOL: v.number = value != 0; break;
    case SECONDS_OR_OFF: v.linger = (struct linger){.l_onoff = value >= 0, .l_linger = value < 0 ? 0 : number}; break;
    case NANOSECONDS: /* rounded up: 0 would be none at all */
        if (value < 0)
            return -EDOM;
        v.time.tv_sec = (time_t)(value / 1000000000);
        v.time.tv_usec = (suseconds_t)((value % 1000000000 + 999) / 1000);
        if (v.time.tv_usec == 1000000) {
            v.time.tv_sec++;
            v.time.tv_usec = 0;
        }
        break;
    default: /* the kernel would take a negative size for a very large one */
        if (value < 0)
            return -EINVAL;
        v.number = number;
        break;
    }
    int r = option_result(setsockopt(fd, options[o].level, options[o].name, &v, option_size(form)));
    if (r == 0 && o == WORLD_SO_LINGER && (unsigned)fd < ACCESS_FDS) {
        os_access(os_of(w), fd);
        if (value > 0)
            atomic_fetch_or(&os_of(w)->access[fd], ACCESS_LINGERS);
        else
            atomic_fetch_and(&os_of(w)->access[fd], (uint8_t)~ACCESS_LINGERS);
    }
    return r;
}

/* Without it the kernel sends what is left all the same, only not while somebody waits. */
void os_socket_no_linger(int fd) {
    struct linger none = {0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}
