/* support.h: certificates, the openssl program as the other side, and two sides of one connection. */
#ifndef AEON_TESTS_TLS_SUPPORT_H
#define AEON_TESTS_TLS_SUPPORT_H

#include "world/tls/tls.h"

#include <sys/types.h>

/* A directory with ca.pem, good.pem (localhost and 127.0.0.1, by that authority), other.pem (other.example), old.pem
 * (expired), self.pem (signed by itself), common.pem (localhost only as common name) and their .key files. Made by
 * openssl. */
void certs_make(void);
void certs_remove(void);
const char *certs_path(const char *name); /* of the last 8 that were asked for */

/* Starts a program with its input and output in files of that directory (NULL: none); dies with us. */
pid_t run_start(const char *const argv[], const char *in, const char *out);
int run_end(pid_t pid);                        /* its exit status, waiting for it */
int run_end_while(struct world *w, pid_t pid); /* the same, while what `w` did not send yet goes out */
void run_stop(pid_t pid);                      /* kills it */

/* The contents of a file of the directory; the caller frees. */
uint8_t *file_read(const char *name, size_t *size);
void file_write(const char *name, const void *p, size_t n);

/* The last thing a layer was told. */
extern char told[512];
void tell(void *ctx, const char *sentence);

/* A TLS layer over `below`: as client that trusts ca.pem, and as server for localhost with NAME.pem (NULL: none). */
struct world *layer_new(struct world *below, bool trusting, const char *server);
struct world *layer_new_trusting(struct world *below, const char *ca, const char *server);

/* TCP on 127.0.0.1. */
int tcp_listen(struct world *w, uint16_t *port);
int tcp_connect(struct world *w, uint16_t port); /* begun, or done */
void wait_for(struct world *w, int fd, uint32_t want);
int accept_one(struct world *w, int listener);

/* One side that sends `out` and receives until the end, in pieces of `chunk`; it only does what `wait` says it can. */
struct side {
    struct world *w;
    int fd;
    const uint8_t *out;
    size_t nout, sent;
    uint8_t *in;
    size_t cap, nin;
    size_t chunk;
    bool shut;   /* has said that nothing more comes */
    bool ended;  /* has read the end */
    int failure; /* of a send or recv, negative */
};
/* Does what can be done now; false when all is done. */
bool side_step(struct side *s);
/* Both; and until both are done. */
bool pump_once(struct side *a, struct side *b);
void pump(struct side *a, struct side *b);

#endif
