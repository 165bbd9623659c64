/* aeon_socket.h: sockets for C programs, as POSIX has them, natively and on WASI from one source.
 *
 * Natively it is the system's own headers.  On WASI it declares what wasi-libc lacks (it knows only accept, send, recv
 * and shutdown), over the socket extension that aeon, WasmEdge and others offer; compile aeon_socket.c along with the
 * program.  A function that is not called is not imported, so a program that only accepts on a pre-opened listener
 * (descriptor 3, `aeon run --listen`) runs wherever preview 1 does.
 *
 * Everything is as in POSIX, with these differences on WASI: there are no signals (no SIGPIPE), no sendmsg, no
 * getnameinfo, no MSG_DONTWAIT (use O_NONBLOCK); getaddrinfo returns at most 16 addresses. */
#ifndef AEON_SOCKET_H
#define AEON_SOCKET_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef __wasi__

#include <netdb.h>

/* The host's TLS is there only on WASI. */
static inline int aeon_tls(int fd, const char *host) {
    (void)fd, (void)host;
    errno = ENOTSUP;
    return -1;
}

#else

#ifdef __cplusplus
extern "C" {
#endif

/* Turns a connected stream socket into a TLS connection to `host`, whose certificate the runtime verifies; on a
 * listening socket, those it accepts into TLS connections of a server whose name is `host`.  Afterwards what is read
 * and written is plain text.  0, or -1 and errno (ENOTSUP: the runtime does not do it; EPROTO or EACCES: the
 * certificate). A handshake that goes wrong later fails the first send or recv. */
int aeon_tls(int fd, const char *host);

int socket(int family, int type, int protocol);
int bind(int fd, const struct sockaddr *address, socklen_t size);
int listen(int fd, int backlog);
int connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *to, socklen_t size);
ssize_t recvfrom(int fd, void *data, size_t n, int flags, struct sockaddr *from, socklen_t *size);
int setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int getsockname(int fd, struct sockaddr *address, socklen_t *size);
int getpeername(int fd, struct sockaddr *address, socklen_t *size);
/* accept, accept4 and getsockopt, which wasi-libc declares, are here too: with the address, and all options. */

/* wasi-libc's has no path. */
struct aeon_sockaddr_un {
    sa_family_t sun_family;
    char sun_path[108];
};
#define sockaddr_un aeon_sockaddr_un

/* ---- what <sys/socket.h> and its kind have elsewhere ---- */

#ifndef SOMAXCONN
#define SOMAXCONN 128
#endif
#define MSG_NOSIGNAL 0 /* never a signal anyway */

#define SO_REUSEADDR  2 /* SO_TYPE, 3, is wasi-libc's */
#define SO_ERROR      4
#define SO_DONTROUTE  5
#define SO_BROADCAST  6
#define SO_SNDBUF     7
#define SO_RCVBUF     8
#define SO_KEEPALIVE  9
#define SO_OOBINLINE  10
#define SO_LINGER     13
#define SO_REUSEPORT  15
#define SO_RCVLOWAT   18
#define SO_ACCEPTCONN 30
#define SO_RCVTIMEO   66
#define SO_SNDTIMEO   67

/* ---- <netdb.h> ---- */

struct addrinfo {
    int ai_flags, ai_family, ai_socktype, ai_protocol;
    socklen_t ai_addrlen;
    struct sockaddr *ai_addr;
    char *ai_canonname;
    struct addrinfo *ai_next;
};

#define AI_PASSIVE     1
#define AI_CANONNAME   2
#define AI_NUMERICHOST 4
#define AI_NUMERICSERV 8
#define AI_V4MAPPED    16
#define AI_ALL         32
#define AI_ADDRCONFIG  64

#define EAI_ADDRFAMILY 77
#define EAI_AGAIN      78
#define EAI_BADFLAGS   79
#define EAI_FAIL       80
#define EAI_FAMILY     81
#define EAI_MEMORY     82
#define EAI_NODATA     83
#define EAI_NONAME     84
#define EAI_SERVICE    85
#define EAI_SOCKTYPE   86
#define EAI_SYSTEM     87 /* see errno */

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result);
void freeaddrinfo(struct addrinfo *list);
const char *gai_strerror(int code);

#ifdef __cplusplus
}
#endif

#endif
#endif
