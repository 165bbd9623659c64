/* process.c: arguments, environment, clocks, random bytes, and the end. */
#include "wasi/internal.h"

#include <errno.h>

/* ---- arguments and environment ---- */

static struct abi_strings strings(char **list, uint32_t n) {
    return (struct abi_strings){(const char *const *)list, n};
}

int64_t wasi_args_get(struct wasi *w, struct abi_args_get *a) {
    a->argv = strings(w->args, w->nargs);
    return 0;
}

int64_t wasi_args_sizes_get(struct wasi *w, struct abi_args_sizes_get *a) {
    a->argc = w->nargs;
    a->size = w->args_size;
    return 0;
}

int64_t wasi_environ_get(struct wasi *w, struct abi_environ_get *a) {
    a->env = strings(w->env, w->nenv);
    return 0;
}

int64_t wasi_environ_sizes_get(struct wasi *w, struct abi_environ_sizes_get *a) {
    a->count = w->nenv;
    a->size = w->env_size;
    return 0;
}

/* ---- clocks and entropy ---- */

static const enum world_clock clocks[] = {
    [WASI_CLOCK_REALTIME] = WORLD_REALTIME,
    [WASI_CLOCK_MONOTONIC] = WORLD_MONOTONIC,
    [WASI_CLOCK_PROCESS_CPUTIME_ID] = WORLD_PROCESS_CPU,
    [WASI_CLOCK_THREAD_CPUTIME_ID] = WORLD_THREAD_CPU,
};
enum { NCLOCKS = sizeof clocks / sizeof *clocks };

int64_t wasi_clock_res_get(struct wasi *w, struct abi_clock_res_get *a) {
    if (a->id >= NCLOCKS)
        return WASI_EINVAL;
    uint64_t ns;
    int r = OP(w, clock_resolution, clocks[a->id], &ns);
    if (r == 0)
        a->resolution = ns;
    return wasi_answer(r);
}

int64_t wasi_clock_time_get(struct wasi *w, struct abi_clock_time_get *a) {
    if (a->id >= NCLOCKS)
        return WASI_EINVAL;
    uint64_t ns;
    int r = OP(w, clock, clocks[a->id], &ns);
    if (r == 0)
        a->time = ns;
    return wasi_answer(r);
}

int64_t wasi_random_get(struct wasi *w, struct abi_random_get *a) {
    return wasi_answer(OP(w, entropy, a->buf.data, a->buf.size));
}

/* ---- the program itself ---- */

static int64_t end(struct wasi *w, uint32_t code) {
    w->exited = true;
    w->exit_code = code;
    return ABI_EXIT(code);
}

int64_t wasi_proc_exit(struct wasi *w, struct abi_proc_exit *a) {
    return end(w, a->code);
}

int64_t wasi_sched_yield(struct wasi *w, struct abi_sched_yield *a) {
    (void)a;
    if (w->yield)
        w->yield(w->yield_ctx);
    return 0;
}

int64_t wasi_proc_raise(struct wasi *w, struct abi_proc_raise *a) {
    switch (a->sig) {
    case WASI_SIG_NONE:
    case WASI_SIG_PIPE:
    case WASI_SIG_CHLD:
    case WASI_SIG_CONT:
    case WASI_SIG_URG:
    case WASI_SIG_WINCH: return 0; /* ignored, as their description says */
    case WASI_SIG_STOP:
    case WASI_SIG_TSTP:
    case WASI_SIG_TTIN:
    case WASI_SIG_TTOU: return WASI_ENOTSUP; /* nobody could continue it */
    default: break;
    }
    if (a->sig > WASI_SIG_SYS)
        return WASI_EINVAL;
    /* All others end the program. WASI leaves out STKFLT, so that numbers from 16 on are one less than elsewhere. */
    return end(w, 128 + a->sig + (a->sig >= WASI_SIG_CHLD));
}
