#include "aeon_socket.h"

#ifdef __wasi__

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <wasi/api.h>

/* ---- the extension, second generation: every function answers an errno ---- */

/* Families and types are the extension's own numbers. */
enum { FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3, TYPE_DGRAM = 1, TYPE_STREAM = 2 };
enum { PROTOCOL_TCP = 1, PROTOCOL_UDP = 2, LEVEL_SOCKET = 0 };
#define LEVEL_TLS 0x74696d65
enum { TLS_HOST = 1 };

/* An address: the family, and its bytes. The port goes beside it. */
struct wire_addr {
    uint16_t family;
    uint8_t bytes[126];
};
struct wire_ref {
    void *data;
    uint32_t size;
};

struct wire_info_addr {
    uint32_t family, size;
    uint8_t *data; /* the port, in network order, then the address */
};
struct wire_info {
    uint16_t flags;
    uint8_t family, type;
    uint32_t protocol, addr_size;
    struct wire_info_addr *addr;
    char *name;
    uint32_t name_size;
    struct wire_info *next;
};
_Static_assert(sizeof(struct wire_info) == 28, "the layout of an address info");

#define IMPORT(name) \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name("sock_" #name))) extern int32_t wire_##name

IMPORT(open)(int32_t family, int32_t type, int32_t *fd);
IMPORT(bind)(int32_t fd, const struct wire_ref *addr, int32_t port);
IMPORT(connect)(int32_t fd, const struct wire_ref *addr, int32_t port);
IMPORT(listen)(int32_t fd, int32_t backlog);
IMPORT(send_to)(int32_t fd, const struct wire_ref *iov, int32_t n, const struct wire_ref *addr, int32_t port,
                int32_t flags, uint32_t *done);
IMPORT(recv_from)(int32_t fd, const struct wire_ref *iov, int32_t n, const struct wire_ref *addr, int32_t flags,
                  uint32_t *port, uint32_t *done, uint32_t *out_flags);
IMPORT(getsockopt)(int32_t fd, int32_t level, int32_t name, void *value, uint32_t *size);
IMPORT(setsockopt)(int32_t fd, int32_t level, int32_t name, const void *value, uint32_t size);
IMPORT(getlocaladdr)(int32_t fd, const struct wire_ref *addr, uint32_t *port);
IMPORT(getpeeraddr)(int32_t fd, const struct wire_ref *addr, uint32_t *port);
IMPORT(getaddrinfo)(const char *name, uint32_t name_size, const char *service, uint32_t service_size,
                    const struct wire_info *hints, struct wire_info **result, uint32_t max, uint32_t *n);

static int answer(int32_t error) {
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

/* ---- addresses ---- */

static size_t length(const char *text, size_t most) {
    const char *end = memchr(text, 0, most);
    return end ? (size_t)(end - text) : most;
}

static int to_wire(const struct sockaddr *a, socklen_t size, struct wire_addr *out, struct wire_ref *ref,
                   int32_t *port) {
    memset(out, 0, sizeof *out);
    *ref = (struct wire_ref){out, sizeof *out};
    *port = 0;
    if (size >= offsetof(struct sockaddr_in, sin_addr) + 4 && a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        out->family = FAMILY_INET;
        memcpy(out->bytes, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
        return 0;
    }
    if (size >= offsetof(struct sockaddr_in6, sin6_addr) + 16 && a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)a;
        out->family = FAMILY_INET6;
        memcpy(out->bytes, &in->sin6_addr, 16);
        *port = ntohs(in->sin6_port);
        return 0;
    }
    if (size > offsetof(struct sockaddr_un, sun_path) && a->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)a;
        size_t n = length(un->sun_path, size - offsetof(struct sockaddr_un, sun_path));
        if (n < sizeof un->sun_path) {
            out->family = FAMILY_UNIX;
            memcpy(out->bytes, un->sun_path, n);
            return 0;
        }
    }
    errno = size < sizeof(sa_family_t) || a->sa_family == AF_INET || a->sa_family == AF_INET6 || a->sa_family == AF_UNIX
                ? EINVAL
                : EAFNOSUPPORT;
    return -1;
}

/* As much of it as there is room for; *size becomes its whole size. */
static void from_wire(const struct wire_addr *w, uint32_t port, struct sockaddr *out, socklen_t *size) {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } a;
    socklen_t whole = sizeof a.any;
    memset(&a, 0, sizeof a);
    if (w->family == FAMILY_INET) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = htons((uint16_t)port);
        memcpy(&a.in.sin_addr, w->bytes, 4);
        whole = sizeof a.in;
    } else if (w->family == FAMILY_INET6) {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = htons((uint16_t)port);
        memcpy(&a.in6.sin6_addr, w->bytes, 16);
        whole = sizeof a.in6;
    } else if (w->family == FAMILY_UNIX) {
        a.un.sun_family = AF_UNIX;
        memcpy(a.un.sun_path, w->bytes, length((const char *)w->bytes, sizeof a.un.sun_path - 1));
        whole = offsetof(struct sockaddr_un, sun_path) + strlen(a.un.sun_path) + 1;
    }
    memcpy(out, &a, *size < whole ? *size : whole);
    *size = whole;
}

/* ---- making and connecting ---- */

static int non_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int socket(int family, int type, int protocol) {
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    int32_t fd;
    if (kind != SOCK_STREAM && kind != SOCK_DGRAM) {
        errno = EPROTOTYPE;
        return -1;
    }
    if (protocol != 0 && protocol != (kind == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP)) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    if (answer(wire_open(family, kind == SOCK_STREAM ? TYPE_STREAM : TYPE_DGRAM, &fd)) < 0)
        return -1;
    if (type & SOCK_NONBLOCK)
        (void)non_blocking(fd);
    return fd;
}

_Static_assert(AF_INET == FAMILY_INET && AF_INET6 == FAMILY_INET6 && AF_UNIX == FAMILY_UNIX, "wasi-libc's families");

int bind(int fd, const struct sockaddr *address, socklen_t size) {
    struct wire_addr a;
    struct wire_ref ref;
    int32_t port;
    return to_wire(address, size, &a, &ref, &port) < 0 ? -1 : answer(wire_bind(fd, &ref, port));
}

int listen(int fd, int backlog) {
    return answer(wire_listen(fd, backlog));
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
    struct wire_addr a;
    struct wire_ref ref;
    int32_t port;
    return to_wire(address, size, &a, &ref, &port) < 0 ? -1 : answer(wire_connect(fd, &ref, port));
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
    __wasi_fd_t got;
    if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        errno = EINVAL;
        return -1;
    }
    if (answer(__wasi_sock_accept(fd, flags & SOCK_NONBLOCK ? __WASI_FDFLAGS_NONBLOCK : 0, &got)) < 0)
        return -1;
    if (address && getpeername((int)got, address, size) < 0)
        *size = 0; /* gone already; the connection says so itself */
    return (int)got;
}

int accept(int fd, struct sockaddr *address, socklen_t *size) {
    return accept4(fd, address, size, 0);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *size) {
    struct wire_addr a = {0};
    uint32_t port = 0;
    if (answer(wire_getlocaladdr(fd, &(struct wire_ref){&a, sizeof a}, &port)) < 0)
        return -1;
    from_wire(&a, port, address, size);
    return 0;
}

int getpeername(int fd, struct sockaddr *address, socklen_t *size) {
    struct wire_addr a = {0};
    uint32_t port = 0;
    if (answer(wire_getpeeraddr(fd, &(struct wire_ref){&a, sizeof a}, &port)) < 0)
        return -1;
    from_wire(&a, port, address, size);
    return 0;
}

/* ---- datagrams ---- */

ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *to, socklen_t size) {
    struct wire_addr a;
    struct wire_ref ref, iov = {(void *)data, n};
    int32_t port;
    uint32_t done;
    if (!to)
        return send(fd, data, n, flags);
    if (to_wire(to, size, &a, &ref, &port) < 0)
        return -1;
    return answer(wire_send_to(fd, &iov, 1, &ref, port, flags, &done)) < 0 ? -1 : (ssize_t)done;
}

ssize_t recvfrom(int fd, void *data, size_t n, int flags, struct sockaddr *from, socklen_t *size) {
    struct wire_addr a = {0};
    struct wire_ref ref = {&a, sizeof a}, iov = {data, n};
    uint32_t port = 0, done, out_flags;
    if (!from)
        return recv(fd, data, n, flags);
    if (answer(wire_recv_from(fd, &iov, 1, &ref, flags, &port, &done, &out_flags)) < 0)
        return -1;
    from_wire(&a, port, from, size);
    return (ssize_t)done;
}

/* ---- options ---- */

/* The extension's number for an option of SOL_SOCKET; -1: none. */
static int option(int name) {
    static const struct {
        int16_t name, wire;
    } table[] = {{SO_REUSEADDR, 0}, {SO_TYPE, 1},      {SO_ERROR, 2},     {SO_DONTROUTE, 3},   {SO_BROADCAST, 4},
                 {SO_SNDBUF, 5},    {SO_RCVBUF, 6},    {SO_KEEPALIVE, 7}, {SO_OOBINLINE, 8},   {SO_LINGER, 9},
                 {SO_RCVLOWAT, 10}, {SO_RCVTIMEO, 11}, {SO_SNDTIMEO, 12}, {SO_ACCEPTCONN, 13}, {SO_REUSEPORT, 15}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].name == name)
            return table[i].wire;
    return -1;
}

/* Other levels (IPPROTO_TCP, IPPROTO_IPV6) have their usual numbers. */
static int translate(int *level, int *name) {
    if (*level != SOL_SOCKET)
        return 0;
    *level = LEVEL_SOCKET;
    *name = option(*name);
    if (*name >= 0)
        return 0;
    errno = ENOPROTOOPT;
    return -1;
}

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict size) {
    int type = level == SOL_SOCKET && name == SO_TYPE;
    uint32_t n = *size;
    if (translate(&level, &name) < 0 || answer(wire_getsockopt(fd, level, name, value, &n)) < 0)
        return -1;
    *size = n;
    if (type)
        *(int *)value = *(int *)value == TYPE_DGRAM ? SOCK_DGRAM : SOCK_STREAM;
    return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    return translate(&level, &name) < 0 ? -1 : answer(wire_setsockopt(fd, level, name, value, size));
}

int aeon_tls(int fd, const char *host) {
    return answer(wire_setsockopt(fd, LEVEL_TLS, TLS_HOST, host, strlen(host)));
}

/* ---- names ---- */

enum { MAX_FOUND = 16, MAX_NAME = 256 };

/* What the extension writes into. */
struct room {
    struct wire_info info[MAX_FOUND];
    struct wire_info_addr addr[MAX_FOUND];
    struct {
        uint8_t port[2], ip[16];
        uint8_t spare[8];
    } data[MAX_FOUND];
    char name[MAX_NAME];
};

static struct room *make_room(void) {
    struct room *r = calloc(1, sizeof *r);
    for (int i = 0; r && i < MAX_FOUND; i++) {
        r->addr[i] = (struct wire_info_addr){0, sizeof r->data[i], r->data[i].port};
        r->info[i].addr = &r->addr[i];
        r->info[i].next = i + 1 < MAX_FOUND ? &r->info[i + 1] : NULL;
    }
    if (r) {
        r->info[0].name = r->name;
        r->info[0].name_size = MAX_NAME - 1;
    }
    return r;
}

/* A result is one allocation: the info, its address, and perhaps a name. */
struct found {
    struct addrinfo info;
    struct sockaddr_storage addr;
    char name[];
};

static struct addrinfo *make_found(struct room *r, uint32_t i, int flags) {
    size_t name = i == 0 && flags & AI_CANONNAME ? r->info[0].name_size : 0;
    struct found *f = calloc(1, sizeof *f + name + 1);
    if (!f)
        return NULL;
    struct wire_addr a = {.family = r->info[i].family};
    memcpy(a.bytes, r->data[i].ip, sizeof r->data[i].ip);
    int stream = r->info[i].type != TYPE_DGRAM;
    f->info = (struct addrinfo){
        .ai_flags = flags,
        .ai_family = a.family,
        .ai_socktype = stream ? SOCK_STREAM : SOCK_DGRAM,
        .ai_protocol = stream ? IPPROTO_TCP : IPPROTO_UDP,
        .ai_addrlen = sizeof f->addr,
        .ai_addr = (struct sockaddr *)&f->addr,
    };
    from_wire(&a, (uint32_t)r->data[i].port[0] << 8 | r->data[i].port[1], f->info.ai_addr, &f->info.ai_addrlen);
    if (name) {
        memcpy(f->name, r->name, name);
        f->info.ai_canonname = f->name;
    }
    return &f->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    struct wire_info want = {0}, *first;
    if (hints) {
        want.flags = (uint16_t)hints->ai_flags;
        want.family = (uint8_t)hints->ai_family;
        want.type = hints->ai_socktype == SOCK_STREAM ? TYPE_STREAM : hints->ai_socktype == SOCK_DGRAM ? TYPE_DGRAM : 0;
        want.protocol = hints->ai_protocol == IPPROTO_TCP   ? PROTOCOL_TCP
                        : hints->ai_protocol == IPPROTO_UDP ? PROTOCOL_UDP
                                                            : 0;
    }
    struct room *r = make_room();
    if (!r)
        return EAI_MEMORY;
    uint32_t n = 0;
    first = r->info;
    name = name ? name : "";
    service = service ? service : "";
    int error = wire_getaddrinfo(name, strlen(name), service, strlen(service), &want, &first, MAX_FOUND, &n);
    if (error && (error < EAI_ADDRFAMILY || error > EAI_SYSTEM)) {
        errno = error;
        error = EAI_SYSTEM;
    }
    if (!error && n == 0)
        error = EAI_NONAME;
    struct addrinfo *list = NULL, **end = &list;
    for (uint32_t i = 0; !error && i < n && i < MAX_FOUND; i++) {
        *end = make_found(r, i, want.flags);
        if (*end)
            end = &(*end)->ai_next;
        else
            error = EAI_MEMORY;
    }
    free(r);
    if (error)
        freeaddrinfo(list);
    else
        *result = list;
    return error;
}

void freeaddrinfo(struct addrinfo *list) {
    while (list) {
        struct addrinfo *next = list->ai_next;
        free(list); /* begins a struct found */
        list = next;
    }
}

const char *gai_strerror(int code) {
    switch (code) {
    case EAI_ADDRFAMILY: return "the name has no address of this family";
    case EAI_AGAIN: return "no answer from the name service, try again";
    case EAI_BADFLAGS: return "invalid flags in the hints";
    case EAI_FAIL: return "the name service failed";
    case EAI_FAMILY: return "address family not supported";
    case EAI_MEMORY: return "not enough memory";
    case EAI_NODATA: return "the name has no address";
    case EAI_NONAME: return "no such name";
    case EAI_SERVICE: return "no such service";
    case EAI_SOCKTYPE: return "socket type not supported";
    case EAI_SYSTEM: return "system error";
    default: return "unknown error";
    }
}

#endif
