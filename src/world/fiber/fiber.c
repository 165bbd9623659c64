#include "world/fiber/fiber.h"

#include "base/must.h"
#include "world/fiber/stack.h"

#include <errno.h>
#include <stdatomic.h>

enum {
    SHARE_NS = 1000000,  /* what a fiber may run before others get their turn */
    CALLS_PER_LOOK = 32, /* operations between two looks at the clock */
    SPARE_STACKS = 64,   /* kept for the next fibers */
};

enum kind { KIND_UNKNOWN, KIND_REGULAR, KIND_OTHER }; /* of a handle */

struct fiber {
    struct fibers *s;
    struct place place;
    void (*fn)(void *);
    void *arg;
    struct fiber *next;          /* in the queue, or among the spare */
    struct fiber *newer, *older; /* among all */
    bool queued, waiting, woken, over;
    struct world_wait wait; /* when waiting */
    struct world_job job;   /* when working */
    bool working;
};

struct fibers {
    struct world_layer layer;
    struct place loop;
    struct fiber *current;      /* NULL: the loop */
    struct fiber *first, *last; /* able to run */
    struct fiber *newest;       /* all */
    struct fiber *spare;
    uint32_t n, nspare;
    uint32_t calls;    /* since the clock was looked at */
    uint64_t since_ns; /* when the current fiber went on */
    atomic_bool wake_all;
    uint8_t *kinds; /* of handles below nkinds */
    uint32_t nkinds;
};

static struct fibers *fibers_of(struct world *w) {
    return (struct fibers *)w;
}

/* ---- scheduling -------------------------------------------------------------------------------------------------- */

static void enqueue(struct fiber *f) {
    struct fibers *s = f->s;
    if (f->queued)
        return;
    f->queued = true;
    f->next = NULL;
    if (s->first)
        s->last->next = f;
    else
        s->first = f;
    s->last = f;
}

/* The current fiber gives way until it is enqueued and its turn has come. */
static void give_way(struct fiber *f) {
    struct fibers *s = f->s;
    must(s->current == f);
    s->current = NULL;
    place_switch(&f->place, &s->loop);
}

static void run(struct fiber *f) {
    struct fibers *s = f->s;
    s->current = f;
    s->calls = 0;
    s->since_ns = world_now(s->layer.below, WORLD_MONOTONIC);
    place_switch(&s->loop, &f->place);
}

static void fiber_main(void *arg) {
    struct fiber *f = arg;
    f->fn(f->arg);
    f->over = true;
    f->s->current = NULL;
    place_leave(&f->place, &f->s->loop);
}

static void bury(struct fiber *f) {
    struct fibers *s = f->s;
    *(f->newer ? &f->newer->older : &s->newest) = f->older;
    if (f->older)
        f->older->newer = f->newer;
    s->n--;
    if (s->nspare < SPARE_STACKS) {
        f->next = s->spare;
        s->spare = f;
        s->nspare++;
        return;
    }
    place_free(&f->place);
    mem_free(f);
}

struct fiber *fiber_start(struct fibers *s, void (*fn)(void *), void *arg) {
    struct fiber *f = s->spare;
    if (f) {
        s->spare = f->next;
        s->nspare--;
        struct place place = f->place;
        *f = (struct fiber){.s = s, .place = place, .fn = fn, .arg = arg};
        place_renew(&f->place, fiber_main, f);
    } else {
        f = mem_alloc(sizeof *f);
        *f = (struct fiber){.s = s, .fn = fn, .arg = arg};
        place_new(&f->place, FIBER_STACK_BYTES, fiber_main, f);
    }
    f->older = s->newest;
    if (f->older)
        f->older->newer = f;
    s->newest = f;
    s->n++;
    enqueue(f);
    return f;
}

static void end_wait(struct fiber *f) {
    if (f->waiting)
        f->s->layer.below->ops->wait_end(f->s->layer.below, &f->wait);
    f->waiting = false;
}

void fiber_wake(struct fiber *f) {
    f->woken = true;
    if (f == f->s->current)
        return;
    if (f->waiting || f->working) {
        end_wait(f);
        enqueue(f);
    }
}

void fibers_wake_all(struct fibers *s) {
    atomic_store(&s->wake_all, true);
    s->layer.below->ops->wake(s->layer.below);
}

static void serve_wake_all(struct fibers *s) {
    if (!atomic_exchange(&s->wake_all, false))
        return;
    for (struct fiber *f = s->newest; f; f = f->older)
        fiber_wake(f);
}

uint32_t fibers_turn(struct fibers *s, uint64_t deadline_ns) {
    must(!s->current);
    serve_wake_all(s);
    struct fiber *last = s->last;
    for (bool more = s->first; more;) {
        struct fiber *f = s->first;
        s->first = f->next;
        f->queued = false;
        more = f != last;
        run(f);
        if (f->over)
            bury(f);
    }
    if (s->n == 0)
        return 0;
    s->layer.below->ops->turn(s->layer.below, s->first ? 0 : deadline_ns);
    serve_wake_all(s);
    return s->n;
}

/* Nobody else could run while the current fiber waits. */
static bool alone(const struct fibers *s) {
    return s->n == 1;
}

void fibers_yield(struct fibers *s) {
    struct fiber *f = s->current;
    if (!f || alone(s))
        return;
    s->calls = 0;
    if (world_now(s->layer.below, WORLD_MONOTONIC) - s->since_ns < SHARE_NS)
        return;
    enqueue(f);
    give_way(f);
}

/* The same for what is called often. */
static inline void called(struct fibers *s) {
    if (UNLIKELY(++s->calls >= CALLS_PER_LOOK))
        fibers_yield(s);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

static void look(struct world_wait *w) {
    struct fiber *f = (struct fiber *)((char *)w - offsetof(struct fiber, wait));
    f->waiting = false;
    enqueue(f);
}

static bool take_wake(struct fiber *f) {
    struct fibers *s = f->s;
    bool woken = f->woken;
    f->woken = false;
    return (alone(s) ? atomic_exchange(&s->wake_all, false) : atomic_load(&s->wake_all)) || woken;
}

static int fiber_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct fibers *s = fibers_of(w);
    struct fiber *f = s->current;
    if (!f)
        return BELOW(w, wait, polls, n, deadline_ns);
    if (alone(s)) /* a wake that was for it was also the world's below, and ends this */
        return BELOW(w, wait, polls, n, take_wake(f) ? 0 : deadline_ns);
    for (;;) {
        int held = BELOW(w, wait, polls, n, 0);
        if (held != 0 || take_wake(f) || deadline_ns == 0 ||
            world_now(s->layer.below, WORLD_MONOTONIC) >= deadline_ns) {
            fibers_yield(s);
            return held;
        }
        f->wait = (struct world_wait){.polls = polls, .n = n, .deadline_ns = deadline_ns, .look = look};
        f->waiting = true;
        BELOW(w, wait_begin, &f->wait);
        give_way(f);
        must(!f->waiting);
    }
}

/* ---- what goes to the world's threads ---------------------------------------------------------------------------- */

static void job_done(struct world_job *j) {
    struct fiber *f = (struct fiber *)((char *)j - offsetof(struct fiber, job));
    f->working = false;
    enqueue(f);
}

/* Runs fn(arg) on a thread of the world's while others run; or here, when there are none. */
static void on_thread(struct fibers *s, void (*fn)(void *), void *arg) {
    struct fiber *f = s->current;
    f->job = (struct world_job){.fn = fn, .arg = arg, .done = job_done, .lane = WORLD_LANE_FILES};
    f->working = true;
    s->layer.below->ops->job(s->layer.below, &f->job);
    while (f->working)
        give_way(f); /* a wake is for the next wait */
}

static bool others_could_run(struct fibers *s) {
    return s->current && !alone(s);
}

static enum kind kind_of(struct fibers *s, int fd) {
    if (fd < 0)
        return KIND_OTHER;
    if ((uint32_t)fd >= s->nkinds) {
        uint32_t n = ((uint32_t)fd | 63) + 1;
        s->kinds = mem_realloc(s->kinds, n);
        memset(s->kinds + s->nkinds, KIND_UNKNOWN, n - s->nkinds);
        s->nkinds = n;
    }
    if (s->kinds[fd] == KIND_UNKNOWN) {
        struct world_stat st;
        int r = s->layer.below->ops->stat(s->layer.below, fd, &st);
        s->kinds[fd] = r == 0 && st.type == WORLD_REGULAR ? KIND_REGULAR : KIND_OTHER;
    }
    return s->kinds[fd];
}

static int fiber_close(struct world *w, int fd) {
    struct fibers *s = fibers_of(w);
    if (fd >= 0 && (uint32_t)fd < s->nkinds)
        s->kinds[fd] = KIND_UNKNOWN;
    return BELOW(w, close, fd);
}

/* A transfer of a regular file, for a thread. */
struct transfer_job {
    struct world *below;
    int fd, n;
    const struct iovec *iov;
    uint64_t offset; /* UINT64_MAX: the file's own */
    int64_t result;
};

static void read_on_thread(void *arg) {
    struct transfer_job *t = arg;
    const struct world_ops *ops = t->below->ops;
    t->result = t->offset == UINT64_MAX ? ops->readv(t->below, t->fd, t->iov, t->n)
                                        : ops->preadv(t->below, t->fd, t->iov, t->n, t->offset);
}

static int64_t read_file(struct fibers *s, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct world *below = s->layer.below;
    int64_t r = below->ops->read_cached(below, fd, iov, n, offset);
    if (r >= 0 || (r != -EAGAIN && r != -EOPNOTSUPP))
        return r;
    struct transfer_job t = {below, fd, n, iov, offset, 0};
    on_thread(s, read_on_thread, &t);
    return t.result;
}

static int64_t fiber_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    struct fibers *s = fibers_of(w);
    called(s);
    if (others_could_run(s) && kind_of(s, fd) == KIND_REGULAR)
        return read_file(s, fd, iov, n, UINT64_MAX);
    return BELOW(w, readv, fd, iov, n);
}

static int64_t fiber_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct fibers *s = fibers_of(w);
    called(s);
    if (others_could_run(s) && kind_of(s, fd) == KIND_REGULAR)
        return read_file(s, fd, iov, n, offset);
    return BELOW(w, preadv, fd, iov, n, offset);
}

/* Writes go to memory; when the disk cannot keep up the machine holds the writer, so large ones go to a thread. */
enum { LARGE_WRITE = 256 << 10 };

static void write_on_thread(void *arg) {
    struct transfer_job *t = arg;
    const struct world_ops *ops = t->below->ops;
    t->result = t->offset == UINT64_MAX ? ops->writev(t->below, t->fd, t->iov, t->n)
                                        : ops->pwritev(t->below, t->fd, t->iov, t->n, t->offset);
}

static bool is_large(const struct iovec *iov, int n) {
    size_t size = 0;
    for (int i = 0; i < n && size < LARGE_WRITE; i++)
        size += iov[i].iov_len;
    return size >= LARGE_WRITE;
}

static int64_t write_file(struct fibers *s, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct transfer_job t = {s->layer.below, fd, n, iov, offset, 0};
    on_thread(s, write_on_thread, &t);
    return t.result;
}

static int64_t fiber_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    struct fibers *s = fibers_of(w);
    called(s);
    if (others_could_run(s) && is_large(iov, n) && kind_of(s, fd) == KIND_REGULAR)
        return write_file(s, fd, iov, n, UINT64_MAX);
    return BELOW(w, writev, fd, iov, n);
}

static int64_t fiber_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct fibers *s = fibers_of(w);
    called(s);
    if (others_could_run(s) && is_large(iov, n) && kind_of(s, fd) == KIND_REGULAR)
        return write_file(s, fd, iov, n, offset);
    return BELOW(w, pwritev, fd, iov, n, offset);
}

struct sync_job {
    struct world *below;
    int fd;
    bool data_only;
    int result;
};

static void sync_on_thread(void *arg) {
    struct sync_job *j = arg;
    j->result = j->below->ops->sync(j->below, j->fd, j->data_only);
}

void fibers_elsewhere(struct fibers *s, void (*fn)(void *), void *arg) {
    if (others_could_run(s))
        on_thread(s, fn, arg);
    else
        fn(arg);
}

static int fiber_sync(struct world *w, int fd, bool data_only) {
    struct fibers *s = fibers_of(w);
    struct sync_job j = {s->layer.below, fd, data_only, 0};
    fibers_elsewhere(s, sync_on_thread, &j);
    return j.result;
}

/* A look-up may outlive who asked: it owns all it needs, and whoever is last frees it. */
struct lookup {
    struct world_job job;
    struct world *below;
    struct fiber *asker; /* NULL: gave up */
    struct world_query query;
    char name[WORLD_MAX_NAME], service[WORLD_MAX_NAME], canonical[WORLD_MAX_NAME];
    struct world_found found[WORLD_MAX_FOUND];
    int max, result;
};

static void lookup_on_thread(void *arg) {
    struct lookup *l = arg;
    l->result = l->below->ops->resolve(l->below, &l->query, l->found, l->max, l->canonical);
}

static void lookup_done(struct world_job *j) {
    struct lookup *l = j->arg;
    struct fiber *f = l->asker;
    if (!f) {
        mem_free(l);
        return;
    }
    f->working = false;
    enqueue(f);
}

static const char *copy_text(char to[WORLD_MAX_NAME], const char *from) {
    if (!from)
        return NULL;
    memcpy(to, from, strlen(from) + 1);
    return to;
}

static int fiber_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max,
                         char *canonical) {
    struct fibers *s = fibers_of(w);
    struct fiber *f = s->current;
    if (!f)
        return BELOW(w, resolve, q, out, max, canonical);
    if ((q->name && strlen(q->name) >= WORLD_MAX_NAME) || (q->service && strlen(q->service) >= WORLD_MAX_NAME))
        return -ENAMETOOLONG;
    struct lookup *l = mem_zalloc(sizeof *l);
    l->job = (struct world_job){.fn = lookup_on_thread, .arg = l, .done = lookup_done, .lane = WORLD_LANE_NAMES};
    l->below = s->layer.below;
    l->asker = f;
    l->query = *q;
    l->query.name = copy_text(l->name, q->name);
    l->query.service = copy_text(l->service, q->service);
    l->max = max < WORLD_MAX_FOUND ? max : WORLD_MAX_FOUND;
    f->working = true;
    BELOW(w, job, &l->job);
    while (f->working && !f->woken)
        give_way(f);
    if (f->working) {
        f->working = false;
        l->asker = NULL;
        return -EINTR;
    }
    int r = l->result;
    if (r > 0)
        memcpy(out, l->found, (size_t)r * sizeof *out);
    if (r > 0 && canonical)
        memcpy(canonical, l->canonical, WORLD_MAX_NAME);
    mem_free(l);
    return r;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void layer_free(struct world *w) {
    fibers_free(fibers_of(w));
}

// clang-format off
static const struct world_ops ops = {
    WORLD_FORWARD,
    .name = "fiber",
    .close = fiber_close,
    .readv = fiber_readv,
    .preadv = fiber_preadv,
    .writev = fiber_writev,
    .pwritev = fiber_pwritev,
    .sync = fiber_sync,
    .resolve = fiber_resolve,
    .wait = fiber_wait,
    .free = layer_free,
};
// clang-format on

struct fibers *fibers_new(struct world *below) {
    struct fibers *s = mem_zalloc(sizeof *s);
    s->layer = (struct world_layer){{&ops}, below};
    atomic_init(&s->wake_all, false);
    return s;
}

void fibers_free(struct fibers *s) {
    must(s->n == 0);
    for (struct fiber *f = s->spare, *next; f; f = next) {
        next = f->next;
        place_free(&f->place);
        mem_free(f);
    }
    mem_free(s->kinds);
    mem_free(s);
}

struct world *fibers_world(struct fibers *s) {
    return &s->layer.world;
}
