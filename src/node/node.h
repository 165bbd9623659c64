/* node.h: the composition root. Puts the machine's world, the store, the engine, the edge and WASI together, for the
 * command line and for tests; owns the process's signals while a guest runs. */
#ifndef AEON_NODE_NODE_H
#define AEON_NODE_NODE_H

#include "guest/guest.h"
#include "store/store.h"
#include "world/world.h"

struct node;

/* The machine's world, and with `store` the store at node_find_home (made where it does not exist). */
NODISCARD enum status node_open(bool with_store, struct node **out, struct err *e);
void node_close(struct node *n); /* NULL is fine */
struct world *node_world(struct node *n);
struct store *node_store(struct node *n); /* NULL without */
const char *node_home(const struct node *n);

/* ---- running a program ---- */

/* What a run is to be. Everything is borrowed for the time of node_run. */
struct node_run {
    const char *module;      /* path */
    const char *const *args; /* argv[0] included */
    const char *const *env;  /* K=V */
    const char *const *dirs; /* HOST:GUEST[:ro|rw] */
    uint32_t nargs, nenv, ndirs;
    struct guest_limits limits;
    bool record; /* needs a store */
    struct store_options store;
    void (*started)(void *ctx, const struct store_id *id); /* recording has begun; may be NULL */
    void (*refused)(void *ctx, const char *line); /* afterwards, for each grant the guest missed; may be NULL */
    void *ctx;
};

struct node_result {
    enum guest_outcome outcome; /* one that ends a guest */
    uint64_t value;
    char words[4096];
    bool cannot_run; /* with an error: the module is missing, malformed, invalid or unlinkable */
};

/* Runs the module until its guest ends; SIGINT, SIGTERM and SIGHUP end it as GUEST_INTERRUPTED. The journal is whole
 * when this returns, whatever it returns. */
NODISCARD enum status node_run(struct node *n, const struct node_run *run, struct node_result *out, struct err *e);

/* The exit status a guest's end is told by: its own, 128+n for a signal (134, SIGABRT, for a trap; 152, SIGXCPU, for
 * the end of fuel; 142, SIGALRM, for the end of time; 137, SIGKILL, for a journal that just ends). */
int node_exit_status(enum guest_outcome outcome, uint64_t value);

#endif
