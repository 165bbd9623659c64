/* loop.c: many waits on one thread. docs/design/loop.md says why it is as it is.
 *
 * A descriptor is registered with epoll once, for edges, when it is first waited for.  What keeps this from losing any:
 *
 *     for a registered descriptor, what holds now is in `seen`, or an edge that says so is still to be delivered.
 *
 * Registering delivers an edge for what holds already.  Edges add to `seen`, whether or not anybody waits.  Only a
 * look at the level (ppoll, here or in os_wait) that finds something not to hold takes it out of `seen` again: should
 * it hold later, that makes a new edge.  So a wait whose wants are not in `seen` needs no system call to begin. */
#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 128, /* of one turn */
    LINKS_SMALL = 4,  /* waits for no more are kept for the next one */
    NO_TIMER = -1,
};

/* One poll of one wait, in the list of its descriptor. */
struct link {
    struct link *next, **back; /* back: what points here; NULL: in no list */
    struct os_waiting *of;
    uint32_t match; /* edges that end the wait */
};

struct os_watch {
    struct link *first;
    uint32_t seen; /* EPOLLIN, ...: see above */
};

/* A wait from its begin to its end. */
struct os_waiting {
    struct os_list in; /* of loop.begun, loop.ready, or the turn that will call it */
    struct world_wait *wait;
    struct os_waiting *next_free;
    uint64_t deadline_ns, order;
    int timer; /* place in the heap, or NO_TIMER */
    int n, room;
    struct link links[];
};

/* ---- lists ---- */

static void list_init(struct os_list *l) {
    l->next = l->prev = l;
}

static bool list_empty(const struct os_list *l) {
    return l->next == l;
}

static void list_remove(struct os_list *i) {
    i->prev->next = i->next;
    i->next->prev = i->prev;
}

static void list_append(struct os_list *l, struct os_list *i) {
    i->prev = l->prev;
    i->next = l;
    l->prev->next = i;
    l->prev = i;
}

/* Moves all of `from` to the end of `to`. */
static void list_splice(struct os_list *to, struct os_list *from) {
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

static struct os_waiting *waiting_of(struct os_list *i) {
    return (struct os_waiting *)i; /* `in` is the first member */
}

/* ---- timers: a heap by deadline, then order of begin ---- */

static bool earlier(const struct os_waiting *a, const struct os_waiting *b) {
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->order < b->order;
}

static void timer_put(struct os_loop *l, struct os_waiting *x, int at) {
    l->timers[at] = x;
    x->timer = at;
}

static void timer_up(struct os_loop *l, struct os_waiting *x, int at) {
    for (; at > 0 && earlier(x, l->timers[(at - 1) / 2]); at = (at - 1) / 2)
        timer_put(l, l->timers[(at - 1) / 2], at);
    timer_put(l, x, at);
}

static void timer_down(struct os_loop *l, struct os_waiting *x, int at) {
    for (int child; (child = 2 * at + 1) < l->ntimers; at = child) {
        if (child + 1 < l->ntimers && earlier(l->timers[child + 1], l->timers[child]))
            child++;
        if (!earlier(l->timers[child], x))
            break;
        timer_put(l, l->timers[child], at);
    }
    timer_put(l, x, at);
}

static void timer_add(struct os_loop *l, struct os_waiting *x) {
    if (l->ntimers == l->timers_room) {
        l->timers_room = l->timers_room ? 2 * l->timers_room : 16;
        l->timers = mem_realloc(l->timers, (size_t)l->timers_room * sizeof *l->timers);
    }
    timer_up(l, x, l->ntimers++);
}

static void timer_remove(struct os_loop *l, struct os_waiting *x) {
    int at = x->timer;
    if (at == NO_TIMER)
        return;
    x->timer = NO_TIMER;
    struct os_waiting *last = l->timers[--l->ntimers];
    if (last == x)
        return;
    if (at > 0 && earlier(last, l->timers[(at - 1) / 2]))
        timer_up(l, last, at);
    else
        timer_down(l, last, at);
}

/* ---- the loop itself ---- */

void os_loop_init(struct os_loop *l) {
    must(uv_mutex_init(&l->lock) == 0);
    list_init(&l->begun);
    list_init(&l->ready);
    l->done_last = &l->done;
    l->epoll_fd = -1;
}

/* Programs that never wait this way pay nothing for it. */
static void start(struct os *os) {
    struct os_loop *l = &os->loop;
    l->thread = uv_thread_self();
    if (l->epoll_fd >= 0)
        return;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(l->epoll_fd >= 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = os->wake_fd}; /* a level: os_wait reads it too */
    must(epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, os->wake_fd, &e) == 0);
    l->watches = mmap(NULL, ACCESS_FDS * sizeof *l->watches, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(l->watches != MAP_FAILED);
}

static struct os_waiting *waiting_new(struct os_loop *l, int n) {
    struct os_waiting *x = l->free;
    if (x && n <= LINKS_SMALL) {
        l->free = x->next_free;
    } else {
        int room = n > LINKS_SMALL ? n : LINKS_SMALL;
        x = mem_alloc(sizeof *x + (size_t)room * sizeof *x->links);
        x->room = room;
    }
    x->n = n;
    x->timer = NO_TIMER;
    return x;
}

static void waiting_free(struct os_loop *l, struct os_waiting *x) {
    if (x->room > LINKS_SMALL) {
        mem_free(x);
    } else {
        x->next_free = l->free;
        l->free = x;
    }
}

/* Out of everything that could end it. */
static void detach(struct os_loop *l, struct os_waiting *x) {
    for (int i = 0; i < x->n; i++) {
        struct link *k = &x->links[i];
        if (!k->back)
            continue;
        *k->back = k->next;
        if (k->next)
            k->next->back = k->back;
    }
    x->n = 0;
    timer_remove(l, x);
    list_remove(&x->in);
}

static void make_ready(struct os_loop *l, struct os_waiting *x) {
    detach(l, x);
    list_append(&l->ready, &x->in);
}

/* ---- descriptors ---- */

static uint32_t match_of(uint32_t want) {
    return (want & WORLD_READABLE ? (uint32_t)(EPOLLIN | EPOLLRDHUP) : 0u) |
           (want & WORLD_WRITABLE ? (uint32_t)EPOLLOUT : 0u) | (uint32_t)(EPOLLHUP | EPOLLERR);
}

static bool watched(struct os *os, int fd) {
    return (unsigned)fd < ACCESS_FDS &&
           (atomic_load_explicit(&os->access[fd], memory_order_relaxed) & ACCESS_WATCHED) != 0;
}

/* False: it is always ready, or nothing can be said about it, so that whoever waits has to look. */
static bool watch(struct os *os, int fd) {
    if ((unsigned)fd >= ACCESS_FDS || (os_access(os, fd) & ACCESS_KIND) == ACCESS_FILE)
        return false;
    if (watched(os, fd))
        return true;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (epoll_ctl(os->loop.epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0 &&
        (errno != EEXIST || epoll_ctl(os->loop.epoll_fd, EPOLL_CTL_MOD, fd, &e) != 0))
        return false;
    os->loop.watches[fd].seen = 0;
    atomic_fetch_or_explicit(&os->access[fd], ACCESS_WATCHED, memory_order_relaxed);
    return true;
}

/* What ppoll did not find of what it was asked for cannot come back without an edge. */
static void not_seen(struct os_loop *l, const struct pollfd *p) {
    uint32_t asked = POLLHUP | POLLERR;
    if (p->events & POLLIN)
        asked |= EPOLLIN | EPOLLRDHUP;
    if (p->events & POLLOUT)
        asked |= EPOLLOUT;
    l->watches[p->fd].seen &= ~(asked & ~(uint32_t)(uint16_t)p->revents);
}

void os_loop_levels(struct os *os, const struct pollfd *p, int n) {
    struct os_loop *l = &os->loop;
    uv_mutex_lock(&l->lock);
    uv_thread_t self = uv_thread_self();
    /* Another thread's look may be older than an edge that this loop has had since. */
    if (l->epoll_fd >= 0 && uv_thread_equal(&self, &l->thread))
        for (int i = 0; i < n; i++)
            if (watched(os, p[i].fd))
                not_seen(l, &p[i]);
    uv_mutex_unlock(&l->lock);
}

/* Does anything that was seen of a beginning wait still hold? */
static bool still_holds(struct os_loop *l, const struct world_wait *wait) {
    for (int i = 0; i < wait->n; i++) {
        const struct world_poll *q = &wait->polls[i];
        if (q->fd < 0 || !(l->watches[q->fd].seen & match_of(q->want)))
            continue;
        struct pollfd p = os_pollfd(q);
        if (poll(&p, 1, 0) > 0)
            return true;
        not_seen(l, &p);
    }
    return false;
}

void os_loop_close(struct os *os, int fd) {
    struct os_loop *l = &os->loop;
    uv_mutex_lock(&l->lock);
    struct epoll_event e = {0};
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, &e); /* a second descriptor of the same file would keep it */
    struct os_watch *watch = &l->watches[fd];
    bool waited = watch->first != NULL;
    while (watch->first)
        make_ready(l, watch->first->of);
    watch->seen = 0;
    uv_thread_t self = uv_thread_self();
    bool elsewhere = waited && !uv_thread_equal(&self, &l->thread);
    uv_mutex_unlock(&l->lock);
    if (elsewhere)
        os_wake(&os->world);
}

/* ---- operations ---- */

void os_wait_begin(struct world *w, struct world_wait *wait) {
    struct os *os = os_of(w);
    struct os_loop *l = &os->loop;
    must(!wait->inside);
    uv_mutex_lock(&l->lock);
    start(os);
    struct os_waiting *x = waiting_new(l, wait->n);
    x->wait = wait;
    x->deadline_ns = wait->deadline_ns;
    x->order = l->order++;
    wait->inside = x;
    bool holds = false;
    uint32_t seen = 0;
    for (int i = 0; i < wait->n; i++) {
        const struct world_poll *p = &wait->polls[i];
        struct link *k = &x->links[i];
        k->back = NULL;
        if (p->fd < 0) /* never ready, as for poll(2) */
            continue;
        if (!watch(os, p->fd)) {
            holds = true;
            continue;
        }
        struct os_watch *watch = &l->watches[p->fd];
        *k = (struct link){.next = watch->first, .back = &watch->first, .of = x, .match = match_of(p->want)};
        if (k->next)
            k->next->back = &k->next;
        watch->first = k;
        seen |= watch->seen & k->match;
    }
    list_append(&l->begun, &x->in);
    if (holds || (seen && still_holds(l, wait)))
        make_ready(l, x);
    else if (x->deadline_ns != UINT64_MAX)
        timer_add(l, x);
    uv_mutex_unlock(&l->lock);
}

void os_wait_end(struct world *w, struct world_wait *wait) {
    struct os_loop *l = &os_of(w)->loop;
    struct os_waiting *x = wait->inside;
    if (!x)
        return;
    uv_mutex_lock(&l->lock);
    detach(l, x);
    waiting_free(l, x);
    uv_mutex_unlock(&l->lock);
    wait->inside = NULL;
}

/* Waits for epoll; 0 also when a signal came in between. */
static int wait_for_events(struct os_loop *l, struct epoll_event *events, uint64_t ns) {
    struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    const struct timespec *timeout = ns == UINT64_MAX ? NULL : &ts;
    int n = -1;
    if (!l->no_pwait2)
        n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, timeout, NULL);
    if (n < 0 && (l->no_pwait2 || errno == ENOSYS)) {
        l->no_pwait2 = true; /* Linux before 5.11: epoll counts milliseconds, ppoll does not */
        struct pollfd p = {.fd = l->epoll_fd, .events = POLLIN};
        if (ns > 0)
            ppoll(&p, 1, timeout, NULL);
        n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, 0);
    }
    must(n >= 0 || errno == EINTR);
    return n > 0 ? n : 0;
}

/* True when there was a wake among them. */
static bool take_events(struct os *os, const struct epoll_event *events, int n) {
    struct os_loop *l = &os->loop;
    bool woken = false;
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == os->wake_fd) {
            uint64_t wakes;
            if (read(fd, &wakes, sizeof wakes) < 0)
                must(errno == EAGAIN);
            woken = true;
            continue;
        }
        if (!watched(os, fd)) /* closed a moment ago */
            continue;
        struct os_watch *watch = &l->watches[fd];
        watch->seen |= events[i].events;
        struct link *next;
        for (struct link *k = watch->first; k; k = next) {
            next = k->next;
            if (!(k->match & events[i].events))
                continue;
            while (next && next->of == k->of) /* goes with it */
                next = next->next;
            make_ready(l, k->of);
        }
    }
    return woken;
}

static void take_timers(struct os_loop *l, uint64_t now) {
    while (l->ntimers > 0 && l->timers[0]->deadline_ns <= now)
        make_ready(l, l->timers[0]);
}

static struct world_job *take_done(struct os_loop *l) {
    struct world_job *done = l->done;
    l->done = NULL;
    l->done_last = &l->done;
    return done;
}

static int call_all(struct os_loop *l, struct world_job *done, struct os_list *over) {
    int calls = 0;
    while (done) {
        struct world_job *job = done;
        done = job->next; /* the owner may free it */
        job->done(job);
        calls++;
    }
    while (!list_empty(over)) {
        struct os_waiting *x = waiting_of(over->next);
        struct world_wait *wait = x->wait;
        list_remove(&x->in);
        wait->inside = NULL;
        waiting_free(l, x);
        wait->look(wait);
        calls++;
    }
    return calls;
}

int os_turn(struct world *w, uint64_t deadline_ns) {
    struct os *os = os_of(w);
    struct os_loop *l = &os->loop;
    struct os_list over;
    struct world_job *done = NULL;
    must(!l->turning);
    l->turning = true;
    list_init(&over);
    for (;;) {
        uv_mutex_lock(&l->lock);
        start(os);
        uint64_t now = world_now(w, WORLD_MONOTONIC);
        uint64_t until =
            l->ntimers > 0 && l->timers[0]->deadline_ns < deadline_ns ? l->timers[0]->deadline_ns : deadline_ns;
        bool at_once = l->done || !list_empty(&l->ready) || until <= now;
        uv_mutex_unlock(&l->lock);

        struct epoll_event events[EVENTS_MAX];
        int n = wait_for_events(l, events, at_once ? 0 : until == UINT64_MAX ? UINT64_MAX : until - now);

        uv_mutex_lock(&l->lock);
        bool woken = take_events(os, events, n);
        now = world_now(w, WORLD_MONOTONIC);
        take_timers(l, now);
        list_splice(&over, &l->ready);
        done = take_done(l);
        uv_mutex_unlock(&l->lock);
        if (woken || done || !list_empty(&over) || deadline_ns <= now)
            break;
    }
    int calls = call_all(l, done, &over);
    l->turning = false;
    return calls;
}

static void free_all(struct os_list *list) {
    while (!list_empty(list)) {
        struct os_waiting *x = waiting_of(list->next);
        list_remove(&x->in);
        mem_free(x);
    }
}

void os_loop_deinit(struct os_loop *l) {
    free_all(&l->begun);
    free_all(&l->ready);
    while (l->free) {
        struct os_waiting *x = l->free;
        l->free = x->next_free;
        mem_free(x);
    }
    mem_free(l->timers);
    if (l->epoll_fd >= 0) {
        close(l->epoll_fd);
        munmap(l->watches, ACCESS_FDS * sizeof *l->watches);
    }
    uv_mutex_destroy(&l->lock);
}
