/* jobs.c: functions run off the loop's thread, in two lanes with threads of their own, so that a name server that does
 * not answer keeps nobody from a disk. */
#include "world/os/internal.h"

#include "base/must.h"

#include <pthread.h>
#include <signal.h>

enum { GRACE_MS = 100 }; /* for look-ups that are under way when the world ends */

/* Signals are the business of the thread that runs guests. */
bool os_thread_start(uv_thread_t *thread, void (*fn)(void *), void *arg) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = uv_thread_create(thread, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0;
}

static void finished(struct os *os, struct world_job *job) {
    struct os_loop *l = &os->loop;
    job->next = NULL;
    uv_mutex_lock(&l->lock);
    *l->done_last = job;
    l->done_last = &job->next;
    uv_mutex_unlock(&l->lock);
    os_wake(&os->world);
}

static void lane_main(void *arg) {
    struct os_lane *lane = arg;
    uv_mutex_lock(&lane->lock);
    for (;;) {
        while (!lane->first && !lane->ending) {
            lane->idle++;
            uv_cond_wait(&lane->changed, &lane->lock);
            lane->idle--;
        }
        if (lane->ending)
            break;
        struct world_job *job = lane->first;
        lane->first = job->next;
        lane->queued--;
        lane->running++;
        uv_mutex_unlock(&lane->lock);
        job->fn(job->arg);
        finished(lane->os, job);
        uv_mutex_lock(&lane->lock);
        lane->running--;
        uv_cond_broadcast(&lane->ended);
    }
    uv_mutex_unlock(&lane->lock);
}

void os_job(struct world *w, struct world_job *job) {
    must((unsigned)job->lane < OS_LANES);
    struct os_lane *lane = &os_of(w)->lanes[job->lane];
    job->next = NULL;
    uv_mutex_lock(&lane->lock);
    if (lane->queued >= lane->idle && lane->threads < OS_LANE_THREADS &&
        os_thread_start(&lane->thread[lane->threads], lane_main, lane))
        lane->threads++;
    bool alone = lane->threads == 0;
    if (!alone) {
        if (lane->first)
            lane->last->next = job;
        else
            lane->first = job;
        lane->last = job;
        lane->queued++;
        uv_cond_signal(&lane->changed);
    }
    uv_mutex_unlock(&lane->lock);
    if (alone) { /* no thread to be had: slow, but done */
        job->fn(job->arg);
        finished(lane->os, job);
    }
}

void os_jobs_init(struct os *os) {
    for (int i = 0; i < OS_LANES; i++) {
        struct os_lane *lane = &os->lanes[i];
        lane->os = os;
        must(uv_mutex_init(&lane->lock) == 0);
        must(uv_cond_init(&lane->changed) == 0);
        must(uv_cond_init(&lane->ended) == 0);
    }
}

/* Waits for what is running; `patient`, for as long as it takes. */
static bool lane_drain(struct os_lane *lane, bool patient) {
    uv_mutex_lock(&lane->lock);
    lane->ending = true;
    uv_cond_broadcast(&lane->changed);
    bool timeout = false;
    while (lane->running > 0 && !timeout) {
        if (patient)
            uv_cond_wait(&lane->ended, &lane->lock);
        else
            timeout = uv_cond_timedwait(&lane->ended, &lane->lock, GRACE_MS * UINT64_C(1000000)) == UV_ETIMEDOUT;
    }
    bool drained = lane->running == 0;
    uv_mutex_unlock(&lane->lock);
    return drained;
}

bool os_jobs_deinit(struct os *os) {
    lane_drain(&os->lanes[WORLD_LANE_FILES], true);
    bool drained = lane_drain(&os->lanes[WORLD_LANE_NAMES], false);
    for (int i = 0; i < OS_LANES; i++) {
        struct os_lane *lane = &os->lanes[i];
        for (int j = 0; j < lane->threads; j++) {
            if (drained || i == WORLD_LANE_FILES)
                must(uv_thread_join(&lane->thread[j]) == 0);
            else
                pthread_detach(lane->thread[j]);
        }
        lane->threads = 0;
        if (!drained)
            continue;
        uv_cond_destroy(&lane->ended);
        uv_cond_destroy(&lane->changed);
        uv_mutex_destroy(&lane->lock);
    }
    return drained;
}
