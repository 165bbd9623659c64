/* netpoll.c: /net/poll. What is written says what to wait for, a line each, and holds until something else is said:
 *
 *     WHO r | w | rw | -     what of a socket; `-`: nothing any more
 *     timeout NANOSECONDS|-  how long a read waits; `-`, as at first: for ever
 *
 * A read waits until something holds or the time is over, and gives a line for each socket of which something holds:
 * WHO as it was written, and of r, w, h (hung up), e (error) what does. Nothing, when the time is over. */
#include "wasi/netfile.h"

#include <errno.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 64, WRITE_MAX = 16 << 10 /* taken at a time, as a bound on how long that takes */ };

struct interest {
    bool by_id;
    uint64_t number;
    uint32_t hint;
    uint32_t want;
};

struct net_poll {
    struct interest *list; /* in the order in which they came */
    struct world_poll *polls;
    uint32_t n, cap;
    uint32_t first; /* whose turn it is to be told first: a small buffer must not hide the later ones */
    uint64_t timeout_ns;
};

struct net_poll *net_poll_new(void) {
    struct net_poll *p = mem_zalloc(sizeof *p);
    p->timeout_ns = UINT64_MAX;
    return p;
}

void net_poll_free(struct net_poll *p) {
    if (!p)
        return;
    mem_free(p->list);
    mem_free(p->polls);
    mem_free(p);
}

static void drop(struct net_poll *p, uint32_t i) {
    memmove(p->list + i, p->list + i + 1, (p->n - i - 1) * sizeof *p->list);
    p->n--;
}

static int64_t set(struct wasi *w, struct net_poll *p, const struct interest *it) {
    uint32_t i = 0;
    while (i < p->n && (p->list[i].by_id != it->by_id || p->list[i].number != it->number))
        i++;
    if (it->want == 0) {
        if (i < p->n)
            drop(p, i);
        return 0;
    }
    if (i == p->n) {
        if (p->n >= 2 * w->max_fds) /* each once by either name */
            return -ENOSPC;
        if (p->n == p->cap) {
            p->cap = p->cap ? 2 * p->cap : 16;
            p->list = mem_realloc(p->list, p->cap * sizeof *p->list);
            p->polls = mem_realloc(p->polls, p->cap * sizeof *p->polls);
        }
        p->n++;
    }
    p->list[i] = *it;
    return 0;
}

/* What is to be waited for; NULL and why not. */
static struct desc *meant(struct wasi *w, struct interest *it, int64_t *r) {
    if (it->by_id)
        return net_who(w, true, it->number, &it->hint, r);
    struct desc *d = it->number < w->cap && w->fds[it->number].open ? &w->fds[it->number] : NULL;
    *r = !d ? -ENOENT : d->handle < 0 ? -EPERM : 0; /* EPERM: never has to be waited for */
    return *r ? NULL : d;
}

static int64_t say_timeout(struct net_poll *p, const char *text) {
    uint64_t ns = 0;
    if (strcmp(text, "-") == 0) {
        p->timeout_ns = UINT64_MAX;
        return 0;
    }
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 18 || text[n])
        return -EINVAL;
    for (; *text; text++)
        ns = ns * 10 + (uint64_t)(*text - '0');
    p->timeout_ns = ns;
    return 0;
}

static int64_t say(struct wasi *w, struct net_poll *p, char *line) {
    static const struct {
        const char *text;
        uint32_t want;
    } wants[] = {{"-", 0}, {"r", WORLD_READABLE}, {"w", WORLD_WRITABLE}, {"rw", WORLD_READABLE | WORLD_WRITABLE}};
    char *what = strchr(line, ' ');
    if (!what)
        return -EINVAL;
    *what++ = '\0';
    if (strcmp(line, "timeout") == 0)
        return say_timeout(p, what);
    struct interest it = {0};
    uint32_t i = 0;
    while (i < sizeof wants / sizeof *wants && strcmp(wants[i].text, what) != 0)
        i++;
    if (i == sizeof wants / sizeof *wants || !net_who_parse(line, &it.by_id, &it.number))
        return -EINVAL;
    it.want = wants[i].want;
    int64_t r;
    if (it.want && !meant(w, &it, &r))
        return r == -ENOENT ? -EBADF : r;
    return set(w, p, &it);
}

int64_t net_poll_write(struct wasi *w, struct net_poll *p, const struct abi_iovs *from) {
    char *text = mem_alloc(WRITE_MAX + 1);
    size_t n = net_gather(from, text, WRITE_MAX);
    while (n < from->size && n > 0 && text[n - 1] != '\n')
        n--; /* whole lines */
    text[n] = '\0';
    int64_t r = n > 0 && strlen(text) == n ? 0 : -EINVAL;
    for (char *line = text; r == 0 && *line;) {
        char *end = line + strcspn(line, "\n");
        const bool more = *end;
        *end = '\0';
        r = say(w, p, line);
        line = end + more;
    }
    mem_free(text);
    return r ? r : (int64_t)n;
}

/* The lines of what holds, as many as fit. */
static int64_t tell(struct net_poll *p, const struct abi_iovs *to) {
    char *text = mem_alloc(to->size + LINE_MAX_BYTES);
    size_t used = 0;
    uint32_t i = 0;
    for (; i < p->n; i++) {
        uint32_t at = (p->first + i) % p->n, got = p->polls[at].got;
        if (!got)
            continue;
        const struct interest *it = &p->list[at];
        size_t n = (size_t)snprintf(text + used, LINE_MAX_BYTES, "%s%llu %s%s%s%s\n", it->by_id ? "@" : "",
                                    (unsigned long long)it->number, got & WORLD_READABLE ? "r" : "",
                                    got & WORLD_WRITABLE ? "w" : "", got & WORLD_HANGUP ? "h" : "",
                                    got & WORLD_ERROR ? "e" : "");
        if (used + n > to->size)
            break;
        used += n;
    }
    p->first = i < p->n ? (p->first + i) % p->n : 0;
    net_scatter(to, text, used);
    mem_free(text);
    return (int64_t)used;
}

int64_t net_poll_read(struct wasi *w, struct net_poll *p, bool wait, const struct abi_iovs *to) {
    if (to->size < LINE_MAX_BYTES)
        return -EINVAL; /* less than a line can be: what holds could not be told from the end of the time */
    for (uint32_t i = 0; i < p->n;) {
        int64_t r;
        const struct desc *d = meant(w, &p->list[i], &r);
        if (!d) { /* closed since */
            drop(p, i);
            continue;
        }
        p->polls[i] = (struct world_poll){.fd = d->handle, .want = p->list[i].want};
        i++;
    }
    uint64_t deadline = 0;
    if (wait && p->timeout_ns) {
        uint64_t now = world_now(w->world, WORLD_MONOTONIC);
        deadline = p->timeout_ns < UINT64_MAX - now ? now + p->timeout_ns : UINT64_MAX;
    }
    if (p->first >= p->n)
        p->first = 0;
    int64_t r = wasi_wait(w, p->polls, (int)p->n, deadline);
    return r > 0 ? tell(p, to) : r;
}
