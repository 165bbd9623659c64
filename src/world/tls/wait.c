/* wait.c: waiting: what a guest waits for, in terms of the socket below.
 *
 *     connecting     WRITABLE, whatever is wanted; then the handshake begins
 *     handshake      what it needs next
 *     open           READABLE at once when a record is here already; bytes on the socket count only if they bring some
 *                    (a record may be incomplete, or TLS's own); WRITABLE when nothing is unsent
 *     failed         everything, at once
 *
 * What is unsent on other connections goes out meanwhile. */
#include "world/tls/internal.h"

#include <errno.h>

enum { POLLS_INLINE = 32 };

/* ---- what the guest closed ---- */

static void bury(struct tls_conn *c) {
    UNDER(c->tls, close, c->fd);
    c->tls->nclosed--;
    tls_conn_free(c);
}

void tls_bury(struct tls *t) {
    if (t->nclosed == 0)
        return;
    uint64_t now = world_now(t->layer.below, WORLD_MONOTONIC);
    for (struct tls_conn *c = t->unsent, *next; c; c = next) {
        next = c->next_unsent;
        if (!c->closed)
            continue;
        tls_flush(c);
        if (!tls_unsent(c) || now >= c->deadline_ns)
            bury(c);
    }
}

/* ---- one poll ---- */

/* What holds, given what holds below. */
static void look(struct tls_conn *c, struct world_poll *q, uint32_t below) {
    q->got = 0;
    if (c->state == TLS_OPEN) {
        bool any = below & (WORLD_READABLE | WORLD_HANGUP | WORLD_ERROR);
        if (q->want & WORLD_READABLE && tls_readable(c, any, &q->nbytes))
            q->got |= WORLD_READABLE;
        if (q->want & WORLD_WRITABLE && (c->write_error || c->wr_shut || (below & WORLD_WRITABLE && !tls_unsent(c))))
            q->got |= WORLD_WRITABLE;
        q->got |= below & (WORLD_HANGUP | WORLD_ERROR);
    }
    if (c->state == TLS_FAILED)
        q->got = (q->want & (WORLD_READABLE | WORLD_WRITABLE)) | WORLD_ERROR;
}

static uint32_t needs(struct tls_conn *c, uint32_t want) {
    uint32_t flush = tls_unsent(c) ? WORLD_WRITABLE : 0;
    switch (c->state) {
    case TLS_CONNECTING: return WORLD_WRITABLE;
    case TLS_HANDSHAKE: return flush | (SSL_want_read(c->ssl) ? WORLD_READABLE : 0);
    default: return want | flush;
    }
}

static void after(struct tls_conn *c, struct world_poll *q, uint32_t below) {
    bool open = c->state == TLS_OPEN;
    if (c->state == TLS_CONNECTING || c->state == TLS_HANDSHAKE || tls_unsent(c))
        tls_progress(c);
    if (c->state == TLS_OPEN && !open)
        below |= WORLD_WRITABLE;
    if (c->state == TLS_CONNECTING) /* ready, yet neither connected nor refused */
        tls_refuse(c, ECONNABORTED);
    look(c, q, below);
}

/* ---- all of them ---- */

static struct tls_conn *translated(struct tls *t, int fd) {
    struct tls_conn *c = tls_conn_of(t, fd);
    return c && c->state != TLS_NEW ? c : NULL;
}

static int held(const struct world_poll *polls, int n) {
    int held = 0;
    for (int i = 0; i < n; i++)
        held += polls[i].got != 0;
    return held;
}

static int wait_translated(struct tls *t, struct world_poll *polls, int n, uint64_t deadline_ns) {
    int nunsent = 0, m = n, r;
    uint64_t asking = ++t->waits;
    for (int i = 0; i < n; i++) {
        struct tls_conn *c = translated(t, polls[i].fd);
        polls[i].got = 0;
        polls[i].nbytes = 0;
        if (!c)
            continue;
        c->asked = asking;
        if (c->state == TLS_HANDSHAKE && !c->blocked)
            tls_progress(c);
    }
    for (struct tls_conn *c = t->unsent; c; c = c->next_unsent)
        nunsent += c->asked != asking;
    struct world_poll inlined[POLLS_INLINE], *p = inlined;
    if (n + nunsent > POLLS_INLINE)
        p = mem_alloc((size_t)(n + nunsent) * sizeof *p);
    for (int i = 0; i < n; i++) {
        struct tls_conn *c = translated(t, polls[i].fd);
        p[i] = (struct world_poll){.fd = polls[i].fd, .want = polls[i].want};
        if (c) {
            look(c, &polls[i], 0);
            p[i].want = needs(c, polls[i].want) | WORLD_UNCOUNTED; /* ciphertext is not what is counted */
        }
    }
    for (struct tls_conn *c = t->unsent; c && m < n + nunsent; c = c->next_unsent)
        if (c->asked != asking)
            p[m++] = (struct world_poll){.fd = c->fd, .want = WORLD_WRITABLE};
    r = UNDER(t, wait, p, m, held(polls, n) > 0 ? 0 : deadline_ns);
    if (r < 0)
        goto done;
    for (struct tls_conn *c = t->unsent, *next; c; c = next) {
        next = c->next_unsent;
        tls_flush(c);
    }
    for (int i = 0; i < n && r > 0; i++) {
        struct tls_conn *c = translated(t, polls[i].fd);
        if (c && p[i].got) {
            uint32_t was = polls[i].got;
            after(c, &polls[i], p[i].got);
            polls[i].got |= was;
        } else if (!c) {
            polls[i].got = p[i].got;
            polls[i].nbytes = p[i].nbytes;
        }
    }
    r = held(polls, n);
done:
    if (p != inlined)
        mem_free(p);
    return r;
}

int tls_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct tls *t = tls_of(w);
    if (t->nconns == 0)
        return UNDER(t, wait, polls, n, deadline_ns);
    tls_bury(t);
    /* When nothing of what happened is the guest's business, it has been woken in vain: to wait again here could lose a
     * wake that came at the same time. */
    int r = wait_translated(t, polls, n, deadline_ns);
    tls_bury(t);
    return r;
}
