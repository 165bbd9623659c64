#include "node/node.h"

#include "base/must.h"
#include "node/home.h"
#include "world/os/os.h"

#include <signal.h>

struct node {
    struct world *world;
    struct store *store;
    char *home;
};

enum status node_open(bool with_store, struct node **out, struct err *e) {
    struct node *n = mem_zalloc(sizeof *n);
    enum status s = ST_OK;
    /* The world ignores SIGPIPE, for guests' sake; a command whose reader has gone away ends by it all the same. */
    struct sigaction pipe;
    must(sigaction(SIGPIPE, NULL, &pipe) == 0);
    n->world = world_os_new();
    must(sigaction(SIGPIPE, &pipe, NULL) == 0);
    if (with_store) {
        s = node_find_home(&n->home, e);
        if (!s)
            s = store_open(n->world, n->home, &n->store, e);
        if (s && n->home)
            s = err_wrap(e, s, "no store at %s (AEON_HOME names another place)", n->home);
    }
    if (s)
        node_close(n);
    else
        *out = n;
    return s;
}

void node_close(struct node *n) {
    if (!n)
        return;
    if (n->store)
        store_close(n->store);
    n->world->ops->free(n->world);
    mem_free(n->home);
    mem_free(n);
}

struct world *node_world(struct node *n) {
    return n->world;
}

struct store *node_store(struct node *n) {
    return n->store;
}

const char *node_home(const struct node *n) {
    return n->home;
}

int node_exit_status(enum guest_outcome outcome, uint64_t value) {
    enum { SIGNALLED = 128 };
    switch (outcome) {
    case GUEST_EXITED: return (int)(value & 0xff); /* as the kernel cuts it */
    case GUEST_TRAPPED: return SIGNALLED + SIGABRT;
    case GUEST_OUT_OF_FUEL: return SIGNALLED + SIGXCPU;
    case GUEST_TIMED_OUT: return SIGNALLED + SIGALRM;
    case GUEST_JOURNAL_FULL: return SIGNALLED + SIGXFSZ;
    case GUEST_INTERRUPTED: return SIGNALLED + (int)(value & 0x7f);
    case GUEST_UNFINISHED: return SIGNALLED + SIGKILL;
    default: must(!"an outcome that ends a guest"); return 0;
    }
}
