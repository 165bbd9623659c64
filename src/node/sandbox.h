/* sandbox.h: what one guest has of the world: the stack of layers it sees, and what it was given.
 *
 * The layers are those of world/world.h that this guest needs. Whatever is noticed in them (a denial, a fault, TLS) is
 * told as it happens. */
#ifndef AEON_NODE_SANDBOX_H
#define AEON_NODE_SANDBOX_H

#include "node/node.h"
#include "wasi/wasi.h"
#include "world/net/net.h"

enum sandbox_event { SANDBOX_DENIED, SANDBOX_FAULT, SANDBOX_TLS, SANDBOX_TLS_FAILED, SANDBOX_LIMIT };

struct sandbox {
    const struct node_guest *spec;
    struct world *bottom;                               /* borrowed */
    struct world *throttle, *files, *net, *tls, *fault; /* NULL: not needed */
    struct world *top;
    struct wasi *wasi;
    uint32_t nlistening; /* of the spec's listeners, so many are bound */
    struct edge_library libraries[WASI_NLIBRARIES];
    void (*tell)(void *ctx, enum sandbox_event event, const char *sentence);
    void (*remark)(void *ctx, enum node_remark kind, const char *line);
    void *ctx;
};

/* Layers, WASI, arguments, environment, listeners and directories. `s` has spec, bottom, tell, remark and ctx set. On
 * failure it is to be closed all the same. */
NODISCARD enum status sandbox_open(struct sandbox *s, struct net *net, struct err *e);

/* Overlays, whose changed files go below the directory `upper` (made when needed), and what comes after them: /net. */
NODISCARD enum status sandbox_overlay(struct sandbox *s, const char *upper, struct err *e);

/* What the guest was given, as texts for the record ("dir ./data:/data:ro"), appended to `out`. */
void sandbox_describe(const struct sandbox *s, struct arena *texts, struct config_texts *out);

/* Limits of the layers that were met. */
void sandbox_report(struct sandbox *s);

/* Closes all that the guest has open. */
void sandbox_close(struct sandbox *s);

#endif
