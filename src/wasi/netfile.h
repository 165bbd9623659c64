/* netfile.h: the network as files, for programs that can do no more than open, read and write (docs/net-files.md).
 *
 *     netfile.c  the tree: names, listings, attributes; what is open and no socket
 *     netopen.c  what opening each of them does
 *     netpoll.c  /net/poll, waiting for many sockets
 *
 * Most files are sockets once they are open, and then nothing is special about them. Their rules are the world's: there
 * is nothing here that asks whether something is allowed. */
#ifndef AEON_WASI_NETFILE_H
#define AEON_WASI_NETFILE_H

#include "base/buf.h"
#include "wasi/internal.h"

enum { NET_MAX_PARTS = 8 };

/* A path beneath /net, taken apart. */
struct net_name {
    const struct net_place *place;
    char text[2 * WASI_MAX_PATH];
    const char *part[NET_MAX_PARTS];
    uint32_t n;
    bool directory; /* ends in a slash */
    uint32_t who;   /* the descriptor it names, where it names one: open, and a socket */
};

/* What opening does: a new descriptor with the rights that `a` asks for, as far as they make sense. */
typedef int64_t net_open(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out);
net_open net_open_accept, net_open_bind, net_open_connect, net_open_connect_it, net_open_listen_on, net_open_new,
    net_open_dns, net_open_fd, net_open_listen, net_open_local, net_open_option, net_open_peer, net_open_poll,
    net_open_shutdown, net_open_tls, net_open_tls_start, net_open_udp, net_open_udp_listen;

/* HOST:PORT, the host perhaps in brackets, in the parts' own memory. */
struct net_address {
    char host[WORLD_MAX_NAME], port[WORLD_MAX_NAME];
};
bool net_address_parse(const char *text, struct net_address *out);
/* A descriptor's number, or `@` and the number of a socket; false when it is neither. */
bool net_who_parse(const char *text, bool *by_id, uint64_t *number);
/* The socket that was meant; NULL and -ENOENT or -ENOTSOCK. `hint`, which may be NULL, is where to look first, and then
 * where it was found. */
struct desc *net_who(struct wasi *w, bool by_id, uint64_t number, uint32_t *hint, int64_t *r);

/* An option of sockets by name; false when there is none. */
bool netfile_option(const char *name, enum world_sockopt *out);
const char *netfile_option_name(uint32_t i); /* NULL: no more */

/* ---- what is open and no plain socket ---- */

struct net_poll;

struct net_file {
    enum net_kind {
        NET_DIRECTORY,
        NET_TEXT,
        NET_OPTION,    /* a text; written, it sets the option */
        NET_DATAGRAMS, /* a socket whose datagrams carry their address in a line before them */
        NET_POLL
    } kind;
    struct buf text;
    uint64_t offset;
    uint64_t socket; /* NET_OPTION: which */
    enum world_sockopt option;
    struct net_poll *poll;
};

enum { NET_TEXT_MAX = 16 << 10, NET_DATAGRAM_MAX = 65536 };

/* A descriptor without a handle for a file of this kind, whose text is to be filled in. */
int64_t net_file_new(struct wasi *w, enum net_kind kind, const struct abi_path_open *a, struct desc **out);
struct net_file *net_file_alloc(enum net_kind kind);

/* Copies out of and into pieces; return how much. */
size_t net_scatter(const struct abi_iovs *to, const void *from, size_t n);
size_t net_gather(const struct abi_iovs *from, void *to, size_t n);

struct net_poll *net_poll_new(void);
void net_poll_free(struct net_poll *p);
int64_t net_poll_write(struct wasi *w, struct net_poll *p, const struct abi_iovs *from);
int64_t net_poll_read(struct wasi *w, struct net_poll *p, bool wait, const struct abi_iovs *to);

#endif
