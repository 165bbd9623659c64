/* poll.c: waiting. */
#include "wasi/internal.h"

#include <errno.h>

/* ---- the one place where a call waits ---- */

int64_t wasi_wait(struct wasi *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    const uint64_t until = deadline_ns < w->deadline_ns ? deadline_ns : w->deadline_ns;
    for (bool late = false;;) {
        if ((w->stopping && w->stopping(w->stopping_ctx)) || late)
            return PARKED;
        int held = OP(w, wait, polls, n, until);
        if (held != 0)
            return held;
        uint64_t now = world_now(w->world, WORLD_MONOTONIC);
        if (now >= deadline_ns)
            return 0;
        late = now >= w->deadline_ns;
        /* woken: by someone who wants us to stop, or in vain */
    }
}

int64_t wasi_wait_for(struct wasi *w, const struct desc *d, uint32_t want) {
    struct world_poll p = {.fd = d->handle, .want = want | WORLD_UNCOUNTED};
    const uint64_t timeout = want & WORLD_READABLE ? d->recv_timeout_ns : d->send_timeout_ns;
    if (LIKELY(!timeout))
        return wasi_wait(w, &p, 1, UINT64_MAX);
    uint64_t now = world_now(w->world, WORLD_MONOTONIC);
    int64_t r = wasi_wait(w, &p, 1, timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX);
    return r ? r : -EAGAIN;
}

/* ---- poll_oneoff ---- */

enum { SUBSCRIPTIONS_MAX = 1 << 16, SUBSCRIPTIONS_INLINE = 16, COUNTED_POLLS = 16 };

/* A subscription of either layout, and what came of it. */
struct subscription {
    uint64_t userdata;
    uint8_t type;
    uint16_t error;       /* known before waiting */
    bool ready;           /* likewise: what never has to be waited for */
    uint64_t deadline_ns; /* clocks: on the monotonic clock */
    int poll;             /* files: index among the polls */
};

/* When, on the monotonic clock, a clock shows what the program asked for. */
static uint16_t clock_deadline(struct wasi *w, uint32_t id, uint64_t timeout, uint16_t flags, uint64_t *out) {
    if (flags & ~WASI_SUBCLOCK_ABSTIME)
        return WASI_EINVAL;
    if (id > WASI_CLOCK_THREAD_CPUTIME_ID)
        return WASI_EINVAL;
    if (id > WASI_CLOCK_MONOTONIC)
        return WASI_ENOTSUP; /* nothing to wait for: it stands still meanwhile */
    if (id == WASI_CLOCK_MONOTONIC && flags & WASI_SUBCLOCK_ABSTIME) {
        *out = timeout;
        return 0;
    }
    uint64_t now = world_now(w->world, WORLD_MONOTONIC);
    if (flags & WASI_SUBCLOCK_ABSTIME) {
        uint64_t real = world_now(w->world, WORLD_REALTIME);
        timeout = timeout > real ? timeout - real : 0;
    }
    *out = timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX;
    return 0;
}

static void file_poll(struct wasi *w, uint32_t fd, struct subscription *s, struct world_poll *polls, int *npolls) {
    int64_t r;
    bool read = s->type == WASI_EVENT_FD_READ;
    const uint64_t rights = WASI_RIGHT_POLL_FD_READWRITE | (read ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE);
    struct desc *d = wasi_desc(w, fd, rights, &r);
    if (!d) {
        s->error = wasi_errno_of(r);
        return;
    }
    s->ready = d->handle < 0;
    if (s->ready)
        return;
    s->poll = *npolls;
    polls[(*npolls)++] = (struct world_poll){.fd = d->handle, .want = read ? WORLD_READABLE : WORLD_WRITABLE};
}

/* Writes the events that have happened; returns their number. */
static uint32_t gather(struct wasi *w, const struct subscription *subs, uint32_t n, const struct world_poll *polls,
                       uint8_t *out) {
    uint64_t now = world_now(w->world, WORLD_MONOTONIC);
    uint32_t events = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct subscription *s = &subs[i];
        struct wasi_event e = {.userdata = s->userdata, .type = s->type, .error = s->error};
        if (!s->error && s->type == WASI_EVENT_CLOCK) {
            if (now < s->deadline_ns)
                continue;
        } else if (!s->error && !s->ready) {
            const struct world_poll *p = &polls[s->poll];
            if (!p->got)
                continue;
            e.nbytes = p->nbytes;
            e.flags = p->got & (WORLD_HANGUP | WORLD_ERROR) ? WASI_EVENTRW_FD_READWRITE_HANGUP : 0;
        }
        memcpy(out + (size_t)events++ * sizeof e, &e, sizeof e);
    }
    return events;
}

/* Waits for one of `subs`, whose errors and deadlines are set. */
static int64_t wait_and_gather(struct wasi *w, const struct subscription *subs, uint32_t n, struct world_poll *polls,
                               int npolls, struct abi_mem *out, uint32_t *nevents) {
    uint64_t deadline = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t d = subs[i].error || subs[i].ready     ? 0
                     : subs[i].type == WASI_EVENT_CLOCK ? subs[i].deadline_ns
                                                        : UINT64_MAX;
        deadline = d < deadline ? d : deadline;
    }
    /* Counting bytes is a system call for each that is ready: who waits for many wants to know which, not how much. */
    for (int i = 0; i < npolls && npolls > COUNTED_POLLS; i++)
        polls[i].want |= WORLD_UNCOUNTED;
    int64_t r = wasi_wait(w, polls, npolls, deadline);
    if (r < 0)
        return r;
    *nevents = gather(w, subs, n, polls, out->data);
    out->size = *nevents * (uint32_t)sizeof(struct wasi_event);
    return 0;
}

/* What both layouts have in common, after `read` has made one of each. */
struct reader {
    size_t size;
    void (*read)(struct wasi *w, const uint8_t *in, struct subscription *s, struct world_poll *polls, int *npolls);
};

static int64_t poll_oneoff(struct wasi *w, struct abi_mem in, struct abi_mem *out, uint32_t n, uint32_t *nevents,
                           struct reader reader) {
    if (n == 0 || n > SUBSCRIPTIONS_MAX)
        return -EINVAL;
    must(in.size >= n * reader.size && out->size >= n * sizeof(struct wasi_event));
    struct subscription inline_subs[SUBSCRIPTIONS_INLINE], *subs = inline_subs;
    struct world_poll inline_polls[SUBSCRIPTIONS_INLINE], *polls = inline_polls;
    if (n > SUBSCRIPTIONS_INLINE) {
        subs = mem_alloc(n * sizeof *subs);
        polls = mem_alloc(n * sizeof *polls);
    }
    int npolls = 0;
    for (uint32_t i = 0; i < n; i++)
        reader.read(w, in.data + i * reader.size, &subs[i], polls, &npolls);
    int64_t r = wait_and_gather(w, subs, n, polls, npolls, out, nevents);
    if (n > SUBSCRIPTIONS_INLINE) {
        mem_free(subs);
        mem_free(polls);
    }
    return r;
}

/* Guest memory is unaligned and may change under us: copy first. */
#define READER(name, layout)                                                                                 \
    static void name(struct wasi *w, const uint8_t *in, struct subscription *s, struct world_poll *polls,    \
                     int *npolls) {                                                                          \
        layout r;                                                                                            \
        memcpy(&r, in, sizeof r);                                                                            \
        *s = (struct subscription){.userdata = r.userdata, .type = r.type};                                  \
        if (r.type == WASI_EVENT_CLOCK)                                                                      \
            s->error = clock_deadline(w, r.u.clock.id, r.u.clock.timeout, r.u.clock.flags, &s->deadline_ns); \
        else if (r.type == WASI_EVENT_FD_READ || r.type == WASI_EVENT_FD_WRITE)                              \
            file_poll(w, r.u.fd, s, polls, npolls);                                                          \
        else                                                                                                 \
            s->error = WASI_EINVAL;                                                                          \
    }
READER(read_subscription, struct wasi_subscription)
READER(read_unstable_subscription, struct wasi_unstable_subscription)
#undef READER

int64_t wasi_poll_oneoff(struct wasi *w, struct abi_poll_oneoff *a) {
    struct reader r = {sizeof(struct wasi_subscription), read_subscription};
    return wasi_answer(poll_oneoff(w, a->in, &a->out, a->nsubscriptions, &a->nevents, r));
}

int64_t wasi_unstable_poll_oneoff(struct wasi *w, struct abi_unstable_poll_oneoff *a) {
    struct reader r = {sizeof(struct wasi_unstable_subscription), read_unstable_subscription};
    return wasi_answer(poll_oneoff(w, a->in, &a->out, a->nsubscriptions, &a->nevents, r));
}
