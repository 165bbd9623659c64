#include "world/throttle/throttle.h"

#include "world/handles.h"

#include <errno.h>

static const uint64_t SECOND = 1000000000u;
static const uint64_t RATE_MAX = UINT64_C(1) << 60; /* as good as none */

/* How transfers of a handle are bounded. */
static char held_up, cut, whole; /* files; streams and pipes; datagrams */

struct throttle {
    struct world_layer layer;
    uint64_t rate; /* bytes a second */
    int64_t level; /* what the bucket has, at `at_ns`; below 0: a debt */
    int64_t cap, enough;
    uint64_t at_ns;
    uint64_t held_ns, bytes;
    struct handles handles; /* one of the three above */
};

#define UNDER(t, op, ...) ((t)->layer.below->ops->op((t)->layer.below, ##__VA_ARGS__))

static struct throttle *throttle_of(struct world *w) {
    return (struct throttle *)w;
}

/* ---- the bucket ---- */

static uint64_t fill(struct throttle *t) {
    uint64_t now = world_now(t->layer.below, WORLD_MONOTONIC);
    if (now <= t->at_ns)
        return now;
    unsigned __int128 more = (unsigned __int128)(now - t->at_ns) * t->rate / SECOND;
    if (more >= (unsigned __int128)(t->cap - t->level)) {
        t->level = t->cap;
        t->at_ns = now;
    } else {
        t->level += (int64_t)more;
        t->at_ns += (uint64_t)(more * SECOND / t->rate); /* what is left of a byte counts next time */
    }
    return now;
}

/* When there will be enough. */
static uint64_t full_at(const struct throttle *t) {
    if (t->level >= t->enough)
        return t->at_ns;
    unsigned __int128 ns = ((unsigned __int128)(t->enough - t->level) * SECOND + t->rate - 1) / t->rate;
    return t->at_ns + (uint64_t)ns;
}

static void take(struct throttle *t, int64_t n) {
    if (n > 0) {
        t->level -= n;
        t->bytes += (uint64_t)n;
    }
}

/* ---- handles ---- */

static void *manner_of(struct throttle *t, int fd) {
    void *m = handles_get(&t->handles, fd);
    if (m)
        return m;
    int64_t type;
    struct world_stat st;
    if (UNDER(t, get_option, fd, WORLD_SO_TYPE, &type) == 0)
        m = type == WORLD_DGRAM ? &whole : &cut;
    else if (UNDER(t, stat, fd, &st) == 0)
        m = st.type == WORLD_REGULAR ? &held_up : &cut;
    else
        return NULL; /* no such handle */
    handles_set(&t->handles, fd, m);
    return m;
}

static int throttle_close(struct world *w, int fd) {
    handles_set(&throttle_of(w)->handles, fd, NULL);
    return BELOW(w, close, fd);
}

static int throttle_move(struct world *w, int from, int to) {
    int r = BELOW(w, move, from, to);
    if (r >= 0 && from != to) {
        struct handles *h = &throttle_of(w)->handles;
        handles_set(h, to, handles_get(h, from));
        handles_set(h, from, NULL);
    }
    return r;
}

/* ---- transfers ---- */

static void hold(struct throttle *t) {
    for (uint64_t began = fill(t), now = began; t->level <= 0; began = now) {
        uint64_t until = full_at(t);
        UNDER(t, wait, NULL, 0, until);
        now = fill(t);
        t->held_ns += now - began;
        if (now < until) { /* a wake, meant for the caller's own waiting */
            UNDER(t, wake);
            return;
        }
    }
}

/* How many of `size` bytes may pass now, or -EAGAIN. */
static int64_t room(struct throttle *t, int fd, uint64_t size, bool may_wait) {
    void *m = manner_of(t, fd);
    fill(t);
    if (!m || size == 0)
        return (int64_t)size;
    if (t->level <= 0 && (m != &held_up || !may_wait))
        return -EAGAIN;
    if (t->level <= 0)
        hold(t);
    if (m == &whole)
        return (int64_t)size;
    int64_t most = t->level > 0 ? t->level : t->enough; /* woken: a debt */
    return size < (uint64_t)most ? (int64_t)size : most;
}

#define TRANSFER(op, may_wait, ...)              \
    struct throttle *t = throttle_of(w);         \
    uint64_t size = iov_size(iov, n);            \
    struct iovec part[IOV_PART_MAX];             \
    int64_t r = room(t, fd, size, may_wait);     \
    if (r < 0)                                   \
        return r;                                \
    if ((uint64_t)r < size) {                    \
        n = iov_part(iov, n, (uint64_t)r, part); \
        iov = part;                              \
    }                                            \
    r = UNDER(t, op, fd, iov, n, ##__VA_ARGS__); \
    take(t, r);                                  \
    return r

static int64_t throttle_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    TRANSFER(readv, true);
}
static int64_t throttle_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    TRANSFER(writev, true);
}
static int64_t throttle_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(preadv, true, offset);
}
static int64_t throttle_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(pwritev, true, offset);
}
static int64_t throttle_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    TRANSFER(read_cached, false, offset);
}
static int64_t throttle_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    TRANSFER(send, false, to);
}
static int64_t throttle_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags,
                             struct addr *from) {
    if (*flags & WORLD_RECV_PEEK) /* it will pass when it is received */
        return BELOW(w, recv, fd, iov, n, flags, from);
    TRANSFER(recv, false, flags, from);
}

/* ---- waiting ---- */

static bool is_held(struct throttle *t, const struct world_poll *p) {
    return p->want & (WORLD_READABLE | WORLD_WRITABLE) && manner_of(t, p->fd) && manner_of(t, p->fd) != &held_up;
}

/* Waits for what does not pass the bucket, until that has enough; true when it has, and nothing else happened. */
static bool wait_for_bucket(struct throttle *t, struct world_poll *polls, int n, uint64_t deadline, int *result) {
    struct world_poll *p = mem_alloc(((size_t)n + 1) * sizeof *p);
    int *at = mem_alloc(((size_t)n + 1) * sizeof *at), m = 0;
    for (int i = 0; i < n; i++) {
        polls[i].got = 0;
        polls[i].nbytes = 0;
        if (is_held(t, &polls[i]))
            continue;
        at[m] = i;
        p[m++] = polls[i];
    }
    uint64_t until = full_at(t);
    *result = UNDER(t, wait, p, m, until < deadline ? until : deadline);
    for (int i = 0; i < m && *result > 0; i++) {
        polls[at[i]].got = p[i].got;
        polls[at[i]].nbytes = p[i].nbytes;
    }
    mem_free(p);
    mem_free(at);
    return *result == 0 && m < n && fill(t) >= until;
}

static int throttle_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct throttle *t = throttle_of(w);
    bool any = false;
    uint64_t began = fill(t);
    for (int i = 0; i < n && !any && t->level < t->enough; i++)
        any = is_held(t, &polls[i]);
    if (!any)
        return UNDER(t, wait, polls, n, deadline_ns);
    int r;
    if (!wait_for_bucket(t, polls, n, deadline_ns, &r))
        return r;
    /* Those that could have gone on before were held up. */
    r = UNDER(t, wait, polls, n, 0);
    if (r > 0)
        t->held_ns += world_now(t->layer.below, WORLD_MONOTONIC) - began;
    return r; /* 0: the caller, woken, waits again */
}

/* ---- the layer ---- */

static void throttle_free(struct world *w) {
    handles_deinit(&throttle_of(w)->handles);
    mem_free(w);
}

static const struct world_ops ops = {
    WORLD_FORWARD,
    .name = "throttle",
    .close = throttle_close,
    .move = throttle_move,
    .readv = throttle_readv,
    .writev = throttle_writev,
    .preadv = throttle_preadv,
    .pwritev = throttle_pwritev,
    .read_cached = throttle_read_cached,
    .recv = throttle_recv,
    .send = throttle_send,
    .wait = throttle_wait,
    .free = throttle_free,
};

struct world *throttle_new(struct world *below, uint64_t bytes_per_second) {
    must(bytes_per_second > 0);
    struct throttle *t = mem_zalloc(sizeof *t);
    t->layer = (struct world_layer){{&ops}, below};
    t->rate = bytes_per_second < RATE_MAX ? bytes_per_second : RATE_MAX;
    t->cap = t->rate >= 4 ? (int64_t)(t->rate / 4) : 1;
    t->enough = t->cap >= 8 ? t->cap / 8 : 1;
    t->level = t->cap;
    t->at_ns = world_now(below, WORLD_MONOTONIC);
    return &t->layer.world;
}

void throttle_report(struct world *w, uint64_t *held_ns, uint64_t *bytes) {
    must(w->ops == &ops);
    *held_ns = throttle_of(w)->held_ns;
    *bytes = throttle_of(w)->bytes;
}
