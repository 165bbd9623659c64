/* stream.c: bytes: between OpenSSL and the socket (a BIO over below's recv and send), and between OpenSSL and the
 * guest.
 *
 * OpenSSL must be given the same bytes again when a write could not go out whole; a guest that was told -EAGAIN need
 * not do that.  So the BIO takes everything: what below does not take waits in `out`, and while there is anything in it
 * the guest's next write is told -EAGAIN.  One record is the most that waits, and the handshake's. */
#include "world/tls/internal.h"

#include <errno.h>
#include <openssl/err.h>

enum {
    OUT_MAX = 256 << 10,    /* only a stranger's demands for new keys could get there */
    WRITE_BOUND = 256 << 10 /* of one call, so that others get their turn */
};

/* ---- the socket's side ---- */

void tls_drop_unsent(struct tls_conn *c) {
    mem_free(c->out);
    c->out = NULL;
    c->out_at = c->out_size = c->out_cap = 0;
    if (c->prev_unsent) {
        *c->prev_unsent = c->next_unsent;
        if (c->next_unsent)
            c->next_unsent->prev_unsent = c->prev_unsent;
        c->prev_unsent = NULL;
        c->next_unsent = NULL;
    }
}

static void keep_unsent(struct tls_conn *c, const char *p, size_t n) {
    if (c->out_cap - c->out_size < n) {
        c->out_cap = c->out_size + n + 1024;
        c->out = mem_realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_size, p, n);
    c->out_size += n;
    if (!c->prev_unsent) {
        c->next_unsent = c->tls->unsent;
        c->prev_unsent = &c->tls->unsent;
        if (c->next_unsent)
            c->next_unsent->prev_unsent = &c->next_unsent;
        c->tls->unsent = c;
    }
}

/* How much went; a failure is noted, and what is written after it goes nowhere. */
static size_t send_now(struct tls_conn *c, const void *p, size_t n) {
    struct iovec v = {(void *)p, n};
    int64_t r = UNDER(c->tls, send, c->fd, &v, 1, NULL);
    if (r >= 0)
        return (size_t)r;
    if (r != -EAGAIN && r != -EINTR)
        c->write_error = (int)r;
    return 0;
}

void tls_flush(struct tls_conn *c) {
    while (tls_unsent(c) && !c->write_error) {
        size_t n = send_now(c, c->out + c->out_at, c->out_size - c->out_at);
        if (n == 0)
            break;
        c->out_at += n;
    }
    if (c->out && (!tls_unsent(c) || c->write_error))
        tls_drop_unsent(c);
}

static int bio_write(BIO *b, const char *p, int n) {
    struct tls_conn *c = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    size_t sent = 0;
    while (!tls_unsent(c) && !c->write_error && sent < (size_t)n) {
        size_t more = send_now(c, p + sent, (size_t)n - sent);
        if (more == 0)
            break;
        sent += more;
    }
    size_t left = (size_t)n - sent;
    /* Reading goes on after a failed write: the other side may have said why. */
    if (left == 0 || c->write_error)
        return n;
    if (c->out_size - c->out_at > OUT_MAX) {
        BIO_set_retry_write(b);
        return -1;
    }
    keep_unsent(c, p + sent, left);
    return n;
}

static int bio_read(BIO *b, char *p, int n) {
    struct tls_conn *c = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (c->eof)
        return 0;
    if (c->read_error)
        return -1;
    struct iovec v = {p, (size_t)n};
    uint32_t flags = 0;
    int64_t r = UNDER(c->tls, recv, c->fd, &v, 1, &flags, NULL);
    c->filled = r == n;
    c->eof = r == 0;
    if (r >= 0)
        return (int)r;
    if (r == -EAGAIN || r == -EINTR)
        BIO_set_retry_read(b);
    else
        c->read_error = (int)r;
    return -1;
}

static long bio_ctrl(BIO *b, int what, long number, void *p) {
    (void)number, (void)p;
    struct tls_conn *c = BIO_get_data(b);
    return what == BIO_CTRL_FLUSH ? 1 : what == BIO_CTRL_EOF ? c->eof : 0;
}

BIO *tls_bio_new(struct tls_conn *c) {
    static BIO_METHOD *method; /* the same for all and for ever */
    BIO_METHOD *m = __atomic_load_n(&method, __ATOMIC_ACQUIRE);
    if (!m) {
        m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "world");
        must(m && BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) && BIO_meth_set_ctrl(m, bio_ctrl));
        BIO_METHOD *first = NULL;
        if (!__atomic_compare_exchange_n(&method, &first, m, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            BIO_meth_free(m);
            m = first;
        }
    }
    BIO *b = BIO_new(m);
    must(b);
    BIO_set_data(b, c);
    BIO_set_init(b, 1);
    return b;
}

/* ---- the guest's side ---- */

static int64_t over(struct tls_conn *c, int result) {
    c->over = true;
    c->over_result = result;
    return result;
}

/* What a read that gave nothing means. */
static int64_t read_failed(struct tls_conn *c, int r) {
    int why = SSL_get_error(c->ssl, r);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return over(c, 0);
    if (c->read_error || c->eof) {
        ERR_clear_error();
        return over(c, c->read_error ? c->read_error : -ECONNRESET);
    }
    tls_fail(c);
    return c->failure;
}

static int64_t peek(struct tls_conn *c, const struct iovec *iov, int n) {
    uint64_t want = iov_size(iov, n);
    ERR_clear_error();
    int r = SSL_peek(c->ssl, c->tls->scratch, want < TLS_RECORD ? (int)want : TLS_RECORD);
    if (r <= 0)
        return read_failed(c, r);
    size_t at = 0;
    for (int i = 0; at < (size_t)r; i++) {
        size_t k = (size_t)r - at < iov[i].iov_len ? (size_t)r - at : iov[i].iov_len;
        memcpy(iov[i].iov_base, c->tls->scratch + at, k);
        at += k;
    }
    return r;
}

int64_t tls_read(struct tls_conn *c, const struct iovec *iov, int n, bool peeking) {
    tls_progress(c);
    if (c->state == TLS_FAILED)
        return c->failure;
    if (c->rd_shut)
        return 0;
    if (c->state != TLS_OPEN)
        return -EAGAIN;
    if (c->over)
        return c->over_result;
    if (iov_size(iov, n) == 0)
        return 0;
    if (peeking)
        return peek(c, iov, n);
    int64_t got = 0;
    for (int i = 0; i < n; i++)
        for (size_t at = 0; at < iov[i].iov_len;) {
            size_t room = iov[i].iov_len - at;
            ERR_clear_error();
            int r = SSL_read(c->ssl, (char *)iov[i].iov_base + at, room < INT32_MAX ? (int)room : INT32_MAX);
            if (r <= 0) {
                int64_t failed = read_failed(c, r);
                return got > 0 ? got : failed; /* it is remembered for the next read */
            }
            at += (size_t)r;
            got += r;
            /* Asking the socket again is worth it only when it had more than fitted. */
            if (!SSL_has_pending(c->ssl) && !c->filled)
                return got;
        }
    return got;
}

struct cursor {
    const struct iovec *iov;
    int n;
    size_t at; /* in iov[0] */
};

static size_t advance(struct cursor *c, size_t most) {
    size_t left = c->iov->iov_len - c->at, k = left < most ? left : most;
    c->at += k;
    if (c->at == c->iov->iov_len) {
        c->iov++;
        c->n--;
        c->at = 0;
    }
    return k;
}

/* What becomes the next record: a large piece as it lies there, several small ones put together. */
static struct span next_piece(struct tls *t, struct cursor *c) {
    size_t size = 0;
    while (c->n > 0 && size < TLS_RECORD) {
        const char *from = (const char *)c->iov->iov_base + c->at;
        if (size == 0 && (c->n == 1 || c->iov->iov_len - c->at >= TLS_RECORD))
            return SPAN(from, advance(c, TLS_RECORD));
        size_t k = advance(c, TLS_RECORD - size);
        if (k > 0)
            memcpy(t->scratch + size, from, k);
        size += k;
    }
    return SPAN(t->scratch, size);
}

int64_t tls_write(struct tls_conn *c, const struct iovec *iov, int n) {
    tls_progress(c);
    if (c->state == TLS_FAILED)
        return c->failure;
    if (c->wr_shut)
        return -EPIPE;
    if (c->state != TLS_OPEN || tls_unsent(c))
        return -EAGAIN;
    if (c->over && c->over_result < 0)
        return -EPIPE;
    int64_t total = 0;
    struct cursor at = {iov, n, 0};
    while (total < WRITE_BOUND && !tls_unsent(c) && !c->write_error) {
        struct span piece = next_piece(c->tls, &at);
        if (piece.size == 0)
            break;
        ERR_clear_error();
        int r = SSL_write(c->ssl, piece.data, (int)piece.size);
        if (r <= 0) {
            int why = SSL_get_error(c->ssl, r);
            if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) /* new keys first; nothing was taken */
                return total > 0 ? total : -EAGAIN;
            tls_fail(c);
            return c->failure;
        }
        must((size_t)r == piece.size); /* the BIO takes everything */
        total += r;
    }
    return c->write_error ? c->write_error : total;
}

void tls_notify(struct tls_conn *c) {
    if (c->state != TLS_OPEN || (c->over && c->over_result < 0))
        return;
    ERR_clear_error();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

bool tls_readable(struct tls_conn *c, bool look, uint64_t *nbytes) {
    *nbytes = 0;
    if (c->rd_shut || c->over)
        return true;
    if (!look && !SSL_has_pending(c->ssl))
        return false;
    char byte;
    ERR_clear_error();
    int r = SSL_peek(c->ssl, &byte, 1);
    if (r <= 0)
        return read_failed(c, r) != -EAGAIN;
    *nbytes = (uint64_t)SSL_pending(c->ssl);
    return true;
}
