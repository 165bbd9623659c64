/* flusher.c: one worker for all runs of a store.
 *
 * A run of its function serves every writer that was kicked, in the order in which they were, and then brings at most
 * one run to the disk for STORE_SYNC_INTERVAL; when more are due it kicks itself, so that a writer that waits for its
 * blocks waits for no more than one sync of another run. */
#include "store/writer.h"

#include "base/must.h"

/* A run is synced when it was not for SYNC_AFTER_NS, which is looked at each PERIOD_MS: within a second. */
#define SYNC_AFTER_NS 750000000ull
enum { PERIOD_MS = 250, NFILES = sizeof((struct flusher *)0)->files / sizeof(struct store_writer *) };

/* ---- the runs that are synced now and then ---- */

static void list_add(struct flusher *f, struct store_writer *w) {
    w->older = f->newest;
    w->newer = NULL;
    if (f->newest)
        f->newest->newer = w;
    else
        f->oldest = w;
    f->newest = w;
    w->listed = true;
}

static void list_remove(struct flusher *f, struct store_writer *w) {
    if (w->older)
        w->older->newer = w->newer;
    else
        f->oldest = w->newer;
    if (w->newer)
        w->newer->older = w->older;
    else
        f->newest = w->older;
    w->listed = false;
}

/* Syncs the run that waits longest, if it is due and there is something to sync. */
static void sync_one(struct flusher *f) {
    uint64_t now = f->oldest ? world_now(f->store->world, WORLD_MONOTONIC) : 0;
    while (f->oldest && now - f->oldest->synced_ns >= SYNC_AFTER_NS) {
        struct store_writer *w = f->oldest;
        bool news = false;
        list_remove(f, w);
        list_add(f, w);
        w->synced_ns = now;
        if (!atomic_load_explicit(&w->failed, memory_order_relaxed) && durable_all(w, &news, &w->error) != ST_OK)
            atomic_store_explicit(&w->failed, true, memory_order_release);
        if (news) {
            f->store->world->ops->worker_kick(f->store->world, f->worker);
            return;
        }
    }
}

/* ---- files ---- */

void flusher_keep_file(struct store_writer *w) {
    struct flusher *f = w->flusher;
    struct store_writer **slot = &f->files[f->next_file++ % NFILES];
    if (*slot) {
        f->store->world->ops->close(f->store->world, (*slot)->segment.fd);
        (*slot)->segment.fd = -1;
    }
    *slot = w;
}

void flusher_forget_file(struct store_writer *w) {
    for (unsigned i = 0; w->flusher && i < NFILES; i++)
        if (w->flusher->files[i] == w)
            w->flusher->files[i] = NULL;
}

/* ---- the worker ---- */

static void meet(struct flusher *f, struct store_writer *w) {
    w->flusher = f;
    if (w->segment.fd >= 0)
        flusher_keep_file(w);
    if (w->options.sync == STORE_SYNC_INTERVAL)
        list_add(f, w);
}

static void let_go(struct flusher *f, struct store_writer *w) {
    flusher_forget_file(w);
    if (w->listed)
        list_remove(f, w);
    w->gone = true;
}

static void serve(struct flusher *f, struct store_writer *w) {
    if (w->gone)
        return;
    bool leaving = atomic_load_explicit(&w->leaving, memory_order_acquire);
    if (!w->flusher)
        meet(f, w);
    flush_run(w);
    if (leaving)
        let_go(f, w);
}

static void flusher_run(void *arg) {
    struct flusher *f = arg;
    struct store_writer *w = atomic_exchange_explicit(&f->kicked, NULL, memory_order_acquire), *first = NULL;
    while (w) { /* the first one first */
        struct store_writer *next = w->next_kicked;
        w->next_kicked = first;
        first = w;
        w = next;
    }
    while (first) {
        w = first;
        first = w->next_kicked;
        atomic_store(&w->kicked, false); /* from here on it may be kicked, and so linked, again */
        serve(f, w);
    }
    sync_one(f);
}

void flusher_kick(struct store_writer *w) {
    struct world *world = w->store->world;
    struct flusher *f = atomic_load_explicit(&w->store->flusher, memory_order_acquire);
    if (!atomic_exchange(&w->kicked, true)) {
        struct store_writer *first = atomic_load_explicit(&f->kicked, memory_order_relaxed);
        do
            w->next_kicked = first;
        while (
            !atomic_compare_exchange_weak_explicit(&f->kicked, &first, w, memory_order_release, memory_order_relaxed));
    }
    world->ops->worker_kick(world, f->worker);
}

void flusher_drain(struct store_writer *w) {
    struct world *world = w->store->world;
    world->ops->worker_drain(world, atomic_load_explicit(&w->store->flusher, memory_order_acquire)->worker);
}

void flusher_leave(struct store_writer *w) {
    atomic_store_explicit(&w->leaving, true, memory_order_release);
    flusher_kick(w);
    flusher_drain(w);
    must(w->gone);
    w->flusher = NULL;
}

struct flusher *flusher_of(struct store *s) {
    struct flusher *there = atomic_load_explicit(&s->flusher, memory_order_acquire);
    if (there)
        return there;
    struct flusher *f = mem_zalloc(sizeof *f);
    f->store = s;
    f->packer = journal_packer_new();
    f->worker = s->world->ops->worker_new(s->world, flusher_run, f, PERIOD_MS);
    if (atomic_compare_exchange_strong(&s->flusher, &there, f))
        return f;
    flusher_free(f); /* another thread was faster */
    return there;
}

void flusher_free(struct flusher *f) {
    if (!f)
        return;
    must(!atomic_load(&f->kicked));
    f->store->world->ops->worker_free(f->store->world, f->worker);
    must(!f->oldest);
    journal_packer_free(f->packer);
    journal_encoder_free(f->big_encoder);
    mem_free(f->staging);
    mem_free(f);
}
