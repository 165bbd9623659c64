/* tls.h: TLS done by the host on sockets of a guest: the guest reads and writes plaintext, and so does its journal.
 *
 * A layer over the guest's network. start_tls on a stream socket (connected, connecting or not yet): it is a client for
 * that host name, with SNI, verified against the given authorities, protocol 1.2 or later. On a listener: every
 * connection it accepts is served with the certificate of that name; on a connection that came from accept: this one is
 * (-ENOENT: there is no such certificate, as `failed` hears).  The handshake goes on inside send, recv and wait,
 * which wait for what TLS needs, not for what the caller named; a connection is writable once it is done. Failure is
 * -ECONNABORTED on the next send or recv and as SO_ERROR, and the reason ("certificate has expired", "no certificate
 * for NAME given") is told to `failed`. shutdown(WR) sends close_notify; its arrival reads as 0; an end without it as
 * -ECONNRESET. OpenSSL does TLS; all I/O is below's, also of the files named here.
 *
 * What send took and the machine did not take yet goes out in any later call on the connection and in every wait, also
 * after close: then for at most TLS_LINGER_MS, or, when the layer is freed before, what is left of TLS_LAST_MS.
 *
 * `wait` may answer 0 early, when what happened was TLS's own business: the caller waits again. A layer is above
 * whoever waits through wait_begin (world/fiber): these waits see the machine's sockets. */
#ifndef AEON_WORLD_TLS_TLS_H
#define AEON_WORLD_TLS_TLS_H

#include "base/err.h"
#include "world/layer.h"

enum { TLS_LINGER_MS = 10000, TLS_LAST_MS = 2000 };

struct tls_server {
    const char *name, *cert, *key; /* files in PEM; cert: with the chain after it */
};

struct tls_options {
    bool system_cas;        /* trust what the system trusts; read when first needed */
    const char *const *cas; /* and these files in PEM */
    uint32_t ncas;
    const struct tls_server *servers;
    uint32_t nservers;
    /* May this host name be used on this socket, as a client? NULL: all may. Asked by start_tls, and by connect when it
     * comes later; no is -EACCES. */
    bool (*may)(void *ctx, int fd, const char *host);
    /* told when a socket becomes a server for this name; may be NULL */
    void (*serves)(void *ctx, const char *host);
    /* told when a handshake fails, or later what is no TLS arrives */
    void (*failed)(void *ctx, const char *sentence);
    void *ctx;
};

/* Files are read now. ST_NOT_FOUND, ST_INVALID say which file and why. */
NODISCARD enum status tls_new(struct world *below, const struct tls_options *o, struct world **out, struct err *e);

#endif
