#include "world/fault/fault.h"

#include "base/prng.h"
#include "world/handles.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Sequences of draws. Those of handles come first: they are the kinds of these, too. */
enum lane { FILES, STREAMS, DATAGRAMS, PIPES, OPENS, CONNECTS, LOOKUPS, WAITS, DRIFT, NLANES };

/* A handle that was used. */
struct known {
    enum lane kind;
    uint32_t refs;
    bool dead;              /* reset */
    uint64_t stalled_until; /* monotonic, below; 0: it is not */
};

struct drift {
    uint64_t from, last; /* what the clock said at the beginning; what was last told */
};

struct fault {
    struct world_layer layer;
    struct fault_plan plan;
    void (*told)(void *ctx, const char *sentence);
    void *ctx;
    struct prng lanes[NLANES];
    struct handles handles;
    uint32_t nodd;     /* dead or stalled handles, at most: waiting has to look */
    uint64_t speed_32; /* clocks run this fast, 32.32 */
    struct drift clocks[2];
};

#define UNDER(f, op, ...) ((f)->layer.below->ops->op((f)->layer.below, ##__VA_ARGS__))

static struct fault *fault_of(struct world *w) {
    return (struct fault *)w;
}

__attribute__((format(printf, 2, 3))) static void say(struct fault *f, const char *fmt, ...) {
    if (!f->told)
        return;
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    f->told(f->ctx, text);
}

/* ---- draws ---- */

/* One draw of a sequence for each call; what happens in the call is drawn from that one. */
static struct prng draw(struct fault *f, enum lane l) {
    return (struct prng){prng_next(&f->lanes[l])};
}

static bool chance(struct prng *p, double probability) {
    return (double)(prng_next(p) >> 11) * 0x1p-53 < probability;
}

static uint64_t now(struct fault *f) {
    return world_now(f->layer.below, WORLD_MONOTONIC);
}

/* Holds up the caller. Whoever wakes it meant its own waiting. */
static void delay(struct fault *f, struct prng *p) {
    uint64_t r = prng_next(p);
    if (!f->plan.delay_ns)
        return;
    struct prng one = {r};
    uint64_t until = now(f) + prng_below(&one, 2 * f->plan.delay_ns + 1);
    UNDER(f, wait, NULL, 0, until);
    if (now(f) < until)
        UNDER(f, wake);
}

/* ---- handles ---- */

static enum lane kind_of(struct fault *f, int fd) {
    int64_t type;
    struct world_stat st;
    if (UNDER(f, get_option, fd, WORLD_SO_TYPE, &type) == 0)
        return type == WORLD_STREAM ? STREAMS : DATAGRAMS;
    if (UNDER(f, stat, fd, &st) == 0)
        return st.type == WORLD_REGULAR ? FILES : PIPES;
    return NLANES;
}

/* NULL: there is no such handle. */
static struct known *known(struct fault *f, int fd) {
    struct known *k = handles_get(&f->handles, fd);
    enum lane kind = k ? k->kind : kind_of(f, fd);
    if (!k && kind != NLANES) {
        k = mem_zalloc(sizeof *k);
        *k = (struct known){.kind = kind, .refs = 1};
        handles_set(&f->handles, fd, k);
    }
    return k;
}

static void odd_no_more(struct fault *f, struct known *k) {
    f->nodd -= k->dead || k->stalled_until;
    k->dead = false;
    k->stalled_until = 0;
}

static void forget(struct fault *f, int fd) {
    struct known *k = handles_get(&f->handles, fd);
    handles_set(&f->handles, fd, NULL);
    if (!k || --k->refs > 0)
        return;
    odd_no_more(f, k);
    mem_free(k);
}

static bool stalled(struct fault *f, struct known *k) {
    if (k->stalled_until && now(f) >= k->stalled_until)
        odd_no_more(f, k);
    return k->stalled_until;
}

static int fault_close(struct world *w, int fd) {
    forget(fault_of(w), fd);
    return BELOW(w, close, fd);
}

static int fault_dup(struct world *w, int fd) {
    struct fault *f = fault_of(w);
    int r = UNDER(f, dup, fd);
    struct known *k = handles_get(&f->handles, fd);
    if (r >= 0 && k) {
        k->refs++;
        handles_set(&f->handles, r, k);
    }
    return r;
}

static int fault_move(struct world *w, int from, int to) {
    struct fault *f = fault_of(w);
    int r = UNDER(f, move, from, to);
    if (r < 0 || from == to)
        return r;
    forget(f, to);
    handles_set(&f->handles, to, handles_get(&f->handles, from));
    handles_set(&f->handles, from, NULL);
    return r;
}

/* ---- transfers ---- */

struct transfer {
    const char *name;
    int fd;
    bool write;
    enum lane lane;
    struct prng before; /* the sequence, should the call not count */
    uint64_t size, moved;
    struct iovec part[IOV_PART_MAX];
    const struct iovec *iov;
    int n;
};

static int64_t reset(struct fault *f, struct known *k, int fd, const char *name) {
    f->nodd += !k->stalled_until;
    k->stalled_until = 0;
    k->dead = true;
    say(f, "%s on %d: ECONNRESET", name, fd);
    UNDER(f, shutdown, fd, WORLD_SHUT_RD | WORLD_SHUT_WR);
    return -ECONNRESET;
}

static int64_t fail(struct fault *f, struct known *k, struct transfer *t, bool other) {
    switch (k->kind) {
    case STREAMS: return reset(f, k, t->fd, t->name);
    case DATAGRAMS: say(f, "%s on %d: lost", t->name, t->fd); return (int64_t)t->size;
    default:
        say(f, "%s on %d: %s", t->name, t->fd, t->write && other ? "ENOSPC" : "EIO");
        return t->write && other ? -ENOSPC : -EIO;
    }
}

/* The faults of one transfer: true when there is one instead of it, with its result. */
static bool begin(struct fault *f, struct transfer *t, const struct iovec *iov, int n, bool may_wait, int64_t *result) {
    struct known *k = known(f, t->fd);
    t->iov = iov;
    t->n = n;
    t->lane = NLANES;
    if (!k)
        return false;
    if (k->dead || stalled(f, k)) {
        *result = k->dead ? -ECONNRESET : -EAGAIN;
        return true;
    }
    t->lane = k->kind;
    t->before = f->lanes[t->lane];
    t->size = t->moved = iov_size(iov, n);
    struct prng p = draw(f, t->lane);
    bool error = chance(&p, f->plan.error), other = prng_next(&p) & 1, stall = chance(&p, f->plan.stall);
    bool cut = chance(&p, f->plan.short_io);
    uint64_t amount = prng_next(&p);
    if (k->kind == FILES && may_wait)
        delay(f, &p);
    if (error && k->kind != PIPES && (k->kind != DATAGRAMS || t->write)) {
        *result = fail(f, k, t, other);
        return true;
    }
    if (stall && k->kind == STREAMS && f->plan.stall_ns) {
        k->stalled_until = now(f) + f->plan.stall_ns;
        f->nodd++;
        say(f, "%s on %d: stalls for %g s", t->name, t->fd, (double)f->plan.stall_ns / 1e9);
        *result = -EAGAIN;
        return true;
    }
    if (cut && t->size > 1 && k->kind != DATAGRAMS) {
        t->moved = 1 + amount % (t->size - 1);
        t->n = iov_part(iov, n, t->moved, t->part);
        t->iov = t->part;
    }
    return false;
}

static int64_t done(struct fault *f, struct transfer *t, int64_t r) {
    if (r == -EAGAIN && t->lane != NLANES)
        f->lanes[t->lane] = t->before;
    if (r > 0 && t->iov == t->part)
        say(f, "%s on %d: %llu of %llu bytes at most", t->name, t->fd, (unsigned long long)t->moved,
            (unsigned long long)t->size);
    return r;
}

/* One row for each operation that moves bytes: parameters after the handle and the pieces, and what begins them. */
#define TRANSFER(op, what, writes, waits, ...)                     \
    struct fault *f = fault_of(w);                                 \
    struct transfer t = {.name = what, .fd = fd, .write = writes}; \
    int64_t r;                                                     \
    return begin(f, &t, iov, n, waits, &r) ? r : done(f, &t, UNDER(f, op, fd, t.iov, t.n, ##__VA_ARGS__))

static int64_t fault_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    TRANSFER(readv, "read", false, true);
}
static int64_t fault_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    TRANSFER(writev, "write", true, true);
}
static int64_t fault_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(preadv, "read", false, true, offset);
}
static int64_t fault_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(pwritev, "write", true, true, offset);
}
static int64_t fault_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(read_cached, "read", false, false, offset);
}
static int64_t fault_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    TRANSFER(send, "send", true, false, to);
}
static int64_t fault_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    if (*flags & WORLD_RECV_PEEK) { /* the recv that follows meets what there is to meet */
        struct known *k = known(fault_of(w), fd);
        if (k && (k->dead || stalled(fault_of(w), k)))
            return k->dead ? -ECONNRESET : -EAGAIN;
        return BELOW(w, recv, fd, iov, n, flags, from);
    }
    TRANSFER(recv, "recv", false, false, flags, from);
}

/* ---- calls that fail ---- */

static int fault_open(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    struct fault *f = fault_of(w);
    struct prng p = draw(f, OPENS);
    bool error = chance(&p, f->plan.error), other = prng_next(&p) & 1;
    delay(f, &p);
    if (!error)
        return UNDER(f, open, dir, path, flags, mode);
    say(f, "open of %.80s: %s", path, other ? "EMFILE" : "EIO");
    return other ? -EMFILE : -EIO;
}

static int fault_sync(struct world *w, int fd, bool data_only) {
    struct fault *f = fault_of(w);
    struct prng p = draw(f, FILES);
    bool error = chance(&p, f->plan.error);
    delay(f, &p);
    if (!error)
        return UNDER(f, sync, fd, data_only);
    say(f, "sync of %d: EIO", fd);
    return -EIO;
}

static int fault_connect(struct world *w, int fd, const struct addr *a) {
    struct fault *f = fault_of(w);
    struct known *k = known(f, fd);
    struct prng p = draw(f, CONNECTS);
    bool error = chance(&p, f->plan.error), other = prng_next(&p) & 1;
    if (!error || !k || k->kind != STREAMS)
        return UNDER(f, connect, fd, a);
    say(f, "connect on %d: %s", fd, other ? "ETIMEDOUT" : "ECONNREFUSED");
    return other ? -ETIMEDOUT : -ECONNREFUSED;
}

static int fault_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max,
                         char *canonical) {
    struct fault *f = fault_of(w);
    struct prng p = draw(f, LOOKUPS);
    bool error = chance(&p, f->plan.error);
    delay(f, &p);
    if (!error)
        return UNDER(f, resolve, q, out, max, canonical);
    say(f, "look-up of %.80s: AGAIN", q->name ? q->name : "the machine");
    return WORLD_NAME_AGAIN;
}

/* ---- clocks ---- */

static int fault_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    struct fault *f = fault_of(w);
    uint64_t t;
    int r = UNDER(f, clock, c, &t);
    if (r < 0)
        return r;
    if (c == WORLD_REALTIME || c == WORLD_MONOTONIC) {
        struct drift *d = &f->clocks[c];
        if (t > d->from)
            t = d->from + (uint64_t)((unsigned __int128)(t - d->from) * f->speed_32 >> 32);
        t = t > d->last ? t : d->last;
        d->last = t;
    }
    *ns = t;
    return 0;
}

/* When, below, our monotonic clock says `ns`; never before. */
static uint64_t drifted_back(struct fault *f, uint64_t ns) {
    uint64_t from = f->clocks[WORLD_MONOTONIC].from;
    if (ns <= from || ns == UINT64_MAX)
        return ns;
    unsigned __int128 t = (((unsigned __int128)(ns - from) << 32) + f->speed_32 - 1) / f->speed_32 + from;
    return t < UINT64_MAX ? (uint64_t)t : UINT64_MAX - 1;
}

/* ---- waiting ---- */

/* As below, but what is dead is ready for everything, and what stalls is not there until it goes on: then the caller is
 * woken to look again. */
static int wait_odd(struct fault *f, struct world_poll *polls, int n, uint64_t deadline) {
    struct world_poll *p = mem_alloc(((size_t)n + 1) * sizeof *p);
    int *at = mem_alloc(((size_t)n + 1) * sizeof *at), m = 0, ready = 0;
    for (int i = 0; i < n; i++) {
        struct known *k = handles_get(&f->handles, polls[i].fd);
        polls[i].got = 0;
        polls[i].nbytes = 0;
        if (k && k->dead) {
            polls[i].got = (polls[i].want & (WORLD_READABLE | WORLD_WRITABLE)) | WORLD_HANGUP | WORLD_ERROR;
            ready++;
        } else if (k && stalled(f, k)) {
            deadline = k->stalled_until < deadline ? k->stalled_until : deadline;
        } else {
            at[m] = i;
            p[m++] = polls[i];
        }
    }
    int r = UNDER(f, wait, p, m, ready ? 0 : deadline);
    for (int i = 0; i < m && r > 0; i++) {
        polls[at[i]].got = p[i].got;
        polls[at[i]].nbytes = p[i].nbytes;
    }
    mem_free(p);
    mem_free(at);
    return r < 0 ? r : r + ready;
}

static int fault_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct fault *f = fault_of(w);
    uint64_t deadline = drifted_back(f, deadline_ns);
    int r = f->nodd ? wait_odd(f, polls, n, deadline) : UNDER(f, wait, polls, n, deadline);
    /* Afterwards, so that a wake during the delay is not missed; one that ended the wait is heard at once. */
    if (deadline_ns != 0 && (r > 0 || (r == 0 && now(f) >= deadline))) {
        struct prng p = draw(f, WAITS);
        delay(f, &p);
    }
    return r;
}

/* ---- the layer ---- */

static void fault_free(struct world *w) {
    struct fault *f = fault_of(w);
    for (int fd = 0; (fd = handles_next(&f->handles, fd)) >= 0;)
        forget(f, fd);
    handles_deinit(&f->handles);
    mem_free(f);
}

static const struct world_ops ops = {
    WORLD_FORWARD,          .name = "fault",          .clock = fault_clock,
    .open = fault_open,     .close = fault_close,     .dup = fault_dup,
    .move = fault_move,     .readv = fault_readv,     .writev = fault_writev,
    .preadv = fault_preadv, .pwritev = fault_pwritev, .read_cached = fault_read_cached,
    .sync = fault_sync,     .connect = fault_connect, .recv = fault_recv,
    .send = fault_send,     .resolve = fault_resolve, .wait = fault_wait,
    .free = fault_free,
};

struct world *fault_new(struct world *below, const struct fault_plan *p, void (*told)(void *ctx, const char *sentence),
                        void *ctx) {
    struct fault *f = mem_zalloc(sizeof *f);
    f->layer = (struct world_layer){{&ops}, below};
    f->plan = *p;
    f->told = told;
    f->ctx = ctx;
    struct prng seeds = {p->seed};
    for (int i = 0; i < NLANES; i++)
        f->lanes[i].state = prng_next(&seeds);
    struct prng drift = draw(f, DRIFT);
    double x = (double)(prng_next(&drift) >> 11) * 0x1p-52 - 1;
    f->speed_32 = (uint64_t)((1 + x * p->clock_drift) * 0x1p32);
    for (int c = WORLD_REALTIME; c <= WORLD_MONOTONIC; c++)
        f->clocks[c].from = f->clocks[c].last = world_now(below, (enum world_clock)c);
    return &f->layer.world;
}
