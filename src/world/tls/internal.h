/* internal.h: what the files of world/tls share. */
#ifndef AEON_WORLD_TLS_INTERNAL_H
#define AEON_WORLD_TLS_INTERNAL_H

#include "world/handles.h"
#include "world/tls/tls.h"

#include <openssl/ssl.h>

/* What is known of a handle. The first two are noted before there is any TLS. */
enum tls_kind {
    TLS_ACCEPTED, /* came from accept: TLS on it would be a server's */
    TLS_DIALLED,  /* connect answered that it is in progress */
    TLS_LISTENER,
    TLS_CONN,
};

struct tls_handle {
    enum tls_kind kind;
    uint32_t refs; /* handles that are this one (dup) */
};

struct tls_identity {
    char *name;
    SSL_CTX *ctx;
};

struct tls_listener {
    struct tls_handle handle;
    const struct tls_identity *identity;
};

enum tls_state {
    TLS_NEW,        /* a client that is not connected yet */
    TLS_CONNECTING, /* below's connect goes on */
    TLS_HANDSHAKE,
    TLS_OPEN,
    TLS_FAILED,
};

enum { TLS_RECORD = 16384 /* plaintext of one at most */, TLS_NAME_MAX = 256, TLS_SENTENCE = 512 };

struct tls_conn {
    struct tls_handle handle;
    struct tls *tls;
    int fd; /* one of its handles */
    SSL *ssl;
    char *host;
    enum tls_state state;
    bool server;
    bool blocked; /* the handshake waits for below */
    bool rd_shut, wr_shut;
    bool filled; /* the last recv below gave all that it was asked for */
    bool eof;    /* below's recv answered 0 */
    bool over;   /* nothing more can be read; reads answer `over_result` */
    bool closed; /* by the guest; `fd` is ours until all is sent or `deadline_ns` */
    int over_result;
    int read_error, write_error; /* of below, negative; 0: none */
    int error;                   /* SO_ERROR until it is read, positive */
    int failure;                 /* what send and recv answer when FAILED */
    int verify_error;            /* X509_V_ERR_..., the first */
    char subject[TLS_NAME_MAX];  /* whom the certificate that failed is for */
    uint64_t deadline_ns;
    uint8_t *out; /* encrypted and not sent: [out_at, out_size) */
    size_t out_at, out_size, out_cap;
    uint64_t asked;                              /* the wait that asks for it */
    struct tls_conn *next_unsent, **prev_unsent; /* while there is something in `out` */
};

struct tls {
    struct world_layer layer;
    struct tls_options o; /* callbacks; the rest is read into: */
    SSL_CTX *client;      /* NULL: not needed yet */
    bool system_read;
    struct tls_identity *servers;
    struct handles handles;
    uint32_t nconns;
    struct tls_conn *unsent;
    uint32_t nclosed;
    uint64_t waits;
    uint8_t scratch[TLS_RECORD];
};

#define UNDER(t, op, ...) ((t)->layer.below->ops->op((t)->layer.below, ##__VA_ARGS__))

static inline struct tls *tls_of(struct world *w) {
    return (struct tls *)w;
}

static inline struct tls_conn *tls_conn_of(struct tls *t, int fd) {
    struct tls_handle *h = handles_get(&t->handles, fd);
    return h && h->kind == TLS_CONN ? (struct tls_conn *)h : NULL;
}

static inline bool tls_unsent(const struct tls_conn *c) {
    return c->out_at < c->out_size;
}

/* ---- context.c: certificates and authorities ---- */

NODISCARD enum status tls_read_authorities(struct tls *t, const char *const *files, uint32_t n, struct err *e);
NODISCARD enum status tls_read_identity(struct tls *t, const struct tls_server *s, struct tls_identity *out,
                                        struct err *e);
/* For clients; what the system trusts is read now. */
SSL_CTX *tls_client_context(struct tls *t);
bool tls_same_host(const char *a, const char *b);

/* ---- conn.c: one connection's life ---- */

struct tls_conn *tls_conn_new(struct tls *t, int fd, SSL_CTX *ctx, const char *host, bool server, enum tls_state s);
void tls_conn_free(struct tls_conn *c); /* leaves its handles */
/* Goes on with connecting and the handshake as far as that goes without waiting; sends what is unsent. */
void tls_progress(struct tls_conn *c);
/* TLS is over, for the reason on OpenSSL's queue or in the connection. */
void tls_fail(struct tls_conn *c);
/* Connecting failed, or nobody may: no matter of TLS. */
void tls_refuse(struct tls_conn *c, int error);
void tls_say(struct tls *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- stream.c: bytes ---- */

BIO *tls_bio_new(struct tls_conn *c);
void tls_flush(struct tls_conn *c);
void tls_drop_unsent(struct tls_conn *c);
int64_t tls_read(struct tls_conn *c, const struct iovec *iov, int n, bool peek);
int64_t tls_write(struct tls_conn *c, const struct iovec *iov, int n);
/* close_notify, once the handshake is done. */
void tls_notify(struct tls_conn *c);
/* Could a read of an open connection give something now (bytes, the end, an error)? Looks at records that are here
 * already, and with `look` at what the socket has. */
bool tls_readable(struct tls_conn *c, bool look, uint64_t *nbytes);

/* ---- wait.c ---- */

int tls_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns);
/* Closes what the guest closed and all of which is sent, or whose time is over. */
void tls_bury(struct tls *t);

#endif
