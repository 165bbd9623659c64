/* worker.c: background workers, one thread each. */
#include "world/os/internal.h"

#include "base/must.h"

struct world_worker {
    void (*fn)(void *);
    void *arg;
    uint64_t period_ns; /* 0: only when kicked */
    uv_thread_t thread;
    uv_mutex_t lock; /* of what follows */
    uv_cond_t changed;
    uint64_t kicked, served; /* kicks so far; those that a finished run began after */
    bool ending;
};

static void worker_main(void *arg) {
    struct world_worker *k = arg;
    uv_mutex_lock(&k->lock);
    for (;;) {
        bool timeout = false;
        while (k->kicked == k->served && !k->ending && !timeout) {
            if (k->period_ns)
                timeout = uv_cond_timedwait(&k->changed, &k->lock, k->period_ns) == UV_ETIMEDOUT;
            else
                uv_cond_wait(&k->changed, &k->lock);
        }
        if (k->kicked == k->served && k->ending)
            break;
        uint64_t serving = k->kicked;
        uv_mutex_unlock(&k->lock);
        k->fn(k->arg);
        uv_mutex_lock(&k->lock);
        k->served = serving;
        uv_cond_broadcast(&k->changed);
    }
    uv_mutex_unlock(&k->lock);
}

struct world_worker *os_worker_new(struct world *w, void (*fn)(void *), void *arg, uint32_t period_ms) {
    (void)w;
    struct world_worker *k = mem_zalloc(sizeof *k);
    k->fn = fn;
    k->arg = arg;
    k->period_ns = (uint64_t)period_ms * 1000000u;
    must(uv_mutex_init(&k->lock) == 0);
    must(uv_cond_init(&k->changed) == 0);
    must(os_thread_start(&k->thread, worker_main, k));
    return k;
}

void os_worker_kick(struct world *w, struct world_worker *k) {
    (void)w;
    uv_mutex_lock(&k->lock);
    k->kicked++;
    uv_cond_broadcast(&k->changed);
    uv_mutex_unlock(&k->lock);
}

void os_worker_drain(struct world *w, struct world_worker *k) {
    (void)w;
    uv_mutex_lock(&k->lock);
    uint64_t until = k->kicked;
    while (k->served < until)
        uv_cond_wait(&k->changed, &k->lock);
    uv_mutex_unlock(&k->lock);
}

void os_worker_free(struct world *w, struct world_worker *k) {
    (void)w;
    if (!k)
        return;
    uv_mutex_lock(&k->lock);
    k->ending = true;
    uv_cond_broadcast(&k->changed);
    uv_mutex_unlock(&k->lock);
    must(uv_thread_join(&k->thread) == 0);
    uv_cond_destroy(&k->changed);
    uv_mutex_destroy(&k->lock);
    mem_free(k);
}
