/* node.h: the composition root. Puts the machine's world, the store, the engine, the edge and WASI together, for the
 * command line and for tests; owns the process's signals while guests run. */
#ifndef AEON_NODE_NODE_H
#define AEON_NODE_NODE_H

#include "app/app.h"
#include "guest/guest.h"
#include "store/store.h"
#include "tier/tier.h"
#include "world/world.h"

struct node;

/* The machine's world, and with `store` the store at node_find_home (made where it does not exist). */
NODISCARD enum status node_open(bool with_store, struct node **out, struct err *e);
void node_close(struct node *n); /* NULL is fine */
struct world *node_world(struct node *n);
struct store *node_store(struct node *n); /* NULL without */
const char *node_home(const struct node *n);

/* A whole file, such as a policy or a manifest. ST_NOT_FOUND, ST_DENIED, ST_LIMIT (`out`'s bound), ST_IO. */
NODISCARD enum status node_read_file(struct node *n, const char *path, struct buf *out, struct err *e);

/* ---- the compiled tier ---- */

/* The compiler: $AEON_LLVM, else aeon-llvm beside aeon or in ../libexec/aeon or ../libexec of there. NULL: there is
 * none. Free with mem_free, as the next. */
char *node_find_compiler(struct node *n);
/* The cache, below where the store is or would be; it need not exist. NULL: there is no such place. */
char *node_find_cache(struct node *n);
/* With both. */
struct tier *node_tier_new(struct node *n, const struct tier_options *how);
/* A file beside a run's journal; false: there is none. */
void node_write_tier(struct node *n, const struct store_id *id, const struct tier_report *report);
bool node_read_tier(struct node *n, const struct store_id *id, struct tier_report *out);

/* ---- running programs ---- */

/* What one guest is to be and to have. Everything is borrowed for the time of node_run; zeros are what there is by
 * default: nothing. */
struct node_guest {
    const char *name;             /* by which others reach it and messages call it; NULL: it is alone */
    const char *module;           /* path */
    struct config_texts args;     /* argv[0] included */
    struct config_texts env;      /* K=V */
    struct config_texts dirs;     /* HOST:GUEST[:ro|rw][,size=...][,count=...] */
    struct config_texts overlays; /* LOWER:GUEST[,size=...][,count=...]; need a record */
    struct config_texts listen;   /* ADDRESS:PORT or unix:PATH: listeners opened for it, from descriptor 3 on */
    const struct app_publish *publish;
    uint32_t npublish;
    struct policy *policy;   /* NULL: everything is denied */
    const char *policy_name; /* of its file, for the record; NULL: none */
    struct config_texts cas; /* authorities trusted beside the system's, files in PEM */
    const char *chaos;       /* faults: see world/fault; NULL: none */
    struct guest_limits limits;
};

enum node_remark {
    NODE_LISTENS, /* "listening on 127.0.0.1:8080"; at the start */
    NODE_REFUSED, /* what the guest missed, and what would have given it; after its end */
    NODE_DENIED,  /* what the policy did not allow, and by which rule; after its end */
    NODE_LIMIT,   /* a limit that was met, and how far; after its end */
    NODE_TIER,    /* what went wrong with compiling; after the first one's end */
    NODE_REMARKS
};

struct node_run {
    const struct node_guest *guests; /* all on one loop and one virtual network */
    uint32_t nguests;
    bool record; /* needs a store */
    struct store_options store;
    enum tier_mode tier;
    /* May be NULL: TIER_COMPILED is at it. */
    void (*progress)(void *ctx, const struct tier_progress *p);
    /* May be NULL. `guest`: which of them. */
    void (*started)(void *ctx, uint32_t guest, const struct store_id *id); /* recording has begun */
    void (*remark)(void *ctx, uint32_t guest, enum node_remark kind, const char *line);
    void *ctx;
};

struct node_result {
    enum guest_outcome outcome; /* one that ends a guest */
    uint64_t value;
    char words[4096];
    struct err err; /* of our own, that ended this guest; ST_OK: none */
};

/* Runs until every guest has ended; SIGINT, SIGTERM and SIGHUP end them as GUEST_INTERRUPTED. The journals are whole
 * when this returns, whatever it returns. `out`: one for each guest. When something of a guest cannot be had, none is
 * run; `*cannot_run` then tells whether it was a module that is missing, malformed, invalid or unlinkable. */
NODISCARD enum status node_run(struct node *n, const struct node_run *run, struct node_result *out, bool *cannot_run,
                               struct err *e);

/* The exit status a guest's end is told by: its own, 128+n for a signal (134, SIGABRT, for a trap; 152, SIGXCPU, for
 * the end of fuel; 142, SIGALRM, for the end of time; 153, SIGXFSZ, for a full journal; 137, SIGKILL, for a journal
 * that just ends). */
int node_exit_status(enum guest_outcome outcome, uint64_t value);

#endif
