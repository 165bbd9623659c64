#include "node/signals.h"

#include "base/must.h"

#include <signal.h>
#include <stddef.h>

static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
enum { NSTOPS = sizeof stops / sizeof *stops };

/* A handler has no argument, so this is the process's. Written before the handlers are in place. */
static struct {
    void (*fn)(void *, int);
    void *arg;
    struct sigaction before[NSTOPS], pipe_before;
} catching;

static void on_stop(int signal) {
    catching.fn(catching.arg, signal);
}

void signals_catch(void (*fn)(void *, int), void *arg) {
    must(!catching.fn);
    catching.fn = fn;
    catching.arg = arg;
    for (size_t i = 0; i < NSTOPS; i++) {
        must(sigaction(stops[i], NULL, &catching.before[i]) == 0);
        /* what is ignored (nohup, a shell's background job) stays ignored */
        if (catching.before[i].sa_handler == SIG_IGN)
            continue;
        struct sigaction a = {.sa_handler = on_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
        sigemptyset(&a.sa_mask);
        must(sigaction(stops[i], &a, NULL) == 0);
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    must(sigaction(SIGPIPE, &ignore, &catching.pipe_before) == 0);
}

void signals_release(void) {
    for (size_t i = 0; i < NSTOPS; i++)
        must(sigaction(stops[i], &catching.before[i], NULL) == 0);
    must(sigaction(SIGPIPE, &catching.pipe_before, NULL) == 0);
    catching.fn = NULL;
}
