/* loop.c: many waits on one thread, and waits for many. docs/design/loop.md says why it is as it is.
 *
 * A descriptor is registered with epoll once, for edges, when it is first waited for.  What keeps this from losing any:
 *
 *     for a registered descriptor, what holds now is in `seen`, or an edge that says so is still to be delivered.
 *
 * Registering delivers an edge for what holds already, and until then all counts as seen.  Edges add to `seen`, whether
 * or not anybody waits.  Only a look at the level (ppoll, here or in os_wait) that finds something not to hold takes it
 * out of `seen` again: should it hold later, that makes a new edge.  So a wait whose wants are not in `seen` needs no
 * system call to begin. */
#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 128, /* of one turn */
    ASKED_AT_ONCE = 256,
    LINKS_SMALL = 4, /* waits for no more are kept for the next one */
    NO_TIMER = -1,
    ALL = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR,
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
    bool over;
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

void os_loop_init(struct os *os) {
    struct os_loop *l = &os->loop;
    must(uv_mutex_init(&l->lock) == 0);
    list_init(&l->begun);
    list_init(&l->ready);
    l->done_last = &l->done;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC); /* now, for a guest may take all descriptors later */
    must(l->epoll_fd >= 0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = os->wake_fd}; /* a level: os_wait reads it too */
    must(epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, os->wake_fd, &e) == 0);
}

static void start(struct os *os) {
    struct os_loop *l = &os->loop;
    l->thread = uv_thread_self();
    if (l->watches)
        return;
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
    x->over = false;
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
    x->over = true;
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
    os->loop.watches[fd].seen = ALL; /* who asks before the edge comes has to look */
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
    if (l->watches && uv_thread_equal(&self, &l->thread))
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

void os_loop_close(struct os *os, int fd, bool last) {
    struct os_loop *l = &os->loop;
    uv_mutex_lock(&l->lock);
    struct epoll_event e = {0};
    if (!last) /* epoll forgets a file only when nobody has it any more */
        epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, &e);
    struct os_watch *watch = &l->watches[fd];
    bool waited = watch->first != NULL;
    while (watch->first)
        make_ready(l, watch->first->of);
    watch->seen = 0;
    atomic_fetch_and_explicit(&os->access[fd], (uint8_t)~ACCESS_WATCHED, memory_order_relaxed);
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
        bool fresh = !watched(os, p->fd);
        if (!watch(os, p->fd)) {
            holds = true;
            continue;
        }
        struct os_watch *watch = &l->watches[p->fd];
        *k = (struct link){.next = watch->first, .back = &watch->first, .of = x, .match = match_of(p->want)};
        if (k->next)
            k->next->back = &k->next;
        watch->first = k;
        seen |= fresh ? 0 : watch->seen & k->match; /* fresh: the edge will say it */
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

static void take_events(struct os *os, const struct epoll_event *events, int n) {
    struct os_loop *l = &os->loop;
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == os->wake_fd) {
            uint64_t wakes;
            if (read(fd, &wakes, sizeof wakes) < 0)
                must(errno == EAGAIN);
            l->woken = true;
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

/* Takes what events there are. Waits for the first until `deadline_ns` or a timer; how many there were. */
static int pump(struct os *os, uint64_t deadline_ns, bool at_once) {
    struct os_loop *l = &os->loop;
    struct epoll_event events[EVENTS_MAX];
    uint64_t timeout = at_once ? 0 : UINT64_MAX;
    uv_mutex_lock(&l->lock);
    start(os);
    if (l->ntimers > 0 && l->timers[0]->deadline_ns < deadline_ns)
        deadline_ns = l->timers[0]->deadline_ns;
    uv_mutex_unlock(&l->lock);
    if (!at_once && deadline_ns != UINT64_MAX) {
        uint64_t now = world_now(&os->world, WORLD_MONOTONIC);
        timeout = deadline_ns > now ? deadline_ns - now : 0;
    }
    int n = wait_for_events(l, events, timeout);
    uv_mutex_lock(&l->lock);
    take_events(os, events, n);
    if (l->ntimers > 0)
        take_timers(l, world_now(&os->world, WORLD_MONOTONIC));
    uv_mutex_unlock(&l->lock);
    return n;
}

bool os_loop_take_wake(struct os_loop *l) {
    bool woken = l->woken;
    l->woken = false;
    return woken;
}

int os_turn(struct world *w, uint64_t deadline_ns) {
    struct os *os = os_of(w);
    struct os_loop *l = &os->loop;
    struct os_list over;
    struct world_job *done;
    must(!l->turning);
    l->turning = true;
    list_init(&over);
    for (;;) {
        uv_mutex_lock(&l->lock);
        bool at_once = deadline_ns == 0 || l->woken || l->done || !list_empty(&l->ready);
        uv_mutex_unlock(&l->lock);
        pump(os, deadline_ns, at_once);
        uv_mutex_lock(&l->lock);
        list_splice(&over, &l->ready);
        done = take_done(l);
        uv_mutex_unlock(&l->lock);
        if (os_loop_take_wake(l) || done || !list_empty(&over) || deadline_ns == 0 ||
            (deadline_ns != UINT64_MAX && deadline_ns <= world_now(w, WORLD_MONOTONIC)))
            break;
    }
    int calls = call_all(l, done, &over);
    l->turning = false;
    return calls;
}

/* ---- os_wait of many ---- */

/* Asks about those of which something was seen; nothing holds of the others. */
static int look_at_levels(struct os *os, struct world_poll *polls, int n) {
    struct os_loop *l = &os->loop;
    if (n > l->asked_room) {
        l->asked_room = n;
        l->asked = mem_realloc(l->asked, (size_t)n * sizeof *l->asked);
        l->asked_of = mem_realloc(l->asked_of, (size_t)n * sizeof *l->asked_of);
    }
    int m = 0;
    uv_mutex_lock(&l->lock);
    for (int i = 0; i < n; i++) {
        struct world_poll *p = &polls[i];
        p->got = 0;
        p->nbytes = 0;
        if (p->fd < 0)
            continue;
        if (!watch(os, p->fd) || l->watches[p->fd].seen & match_of(p->want)) {
            l->asked_of[m] = i;
            l->asked[m++] = os_pollfd(p);
        }
    }
    uv_mutex_unlock(&l->lock);
    /* In pieces: poll(2) takes no more at once than a process may have open. */
    for (int k = 0; k < m; k += ASKED_AT_ONCE)
        if (poll(l->asked + k, (nfds_t)(m - k < ASKED_AT_ONCE ? m - k : ASKED_AT_ONCE), 0) < 0)
            return errno == EINTR ? 0 : -errno;
    os_loop_levels(os, l->asked, m);
    int held = 0;
    for (int k = 0; k < m; k++)
        held += os_poll_result(os, &polls[l->asked_of[k]], l->asked[k].revents);
    return held;
}

static bool is_over(struct os_loop *l, const struct os_waiting *x) {
    uv_mutex_lock(&l->lock);
    bool over = x->over;
    uv_mutex_unlock(&l->lock);
    return over;
}

int os_loop_wait(struct os *os, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct os_loop *l = &os->loop;
    for (;;) {
        for (int left = n / EVENTS_MAX + 1; pump(os, 0, true) == EVENTS_MAX && left > 0; left--)
            ;
        int held = look_at_levels(os, polls, n);
        if (deadline_ns == 0)
            return held;
        if (os_loop_take_wake(l) || held != 0 ||
            (deadline_ns != UINT64_MAX && world_now(&os->world, WORLD_MONOTONIC) >= deadline_ns))
            return held;
        struct world_wait wait = {.polls = polls, .n = n, .deadline_ns = deadline_ns};
        os_wait_begin(&os->world, &wait);
        while (!is_over(l, wait.inside) && !l->woken)
            pump(os, UINT64_MAX, false);
        os_wait_end(&os->world, &wait);
    }
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
    mem_free(l->asked);
    mem_free(l->asked_of);
    close(l->epoll_fd);
    if (l->watches)
        munmap(l->watches, ACCESS_FDS * sizeof *l->watches);
    uv_mutex_destroy(&l->lock);
}
