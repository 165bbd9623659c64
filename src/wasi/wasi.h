/* wasi.h: WASI preview 1 and its predecessor over a world: what a program may touch, and the functions by which it
 * does.
 *
 * Nothing is given by default: no directory, no environment, no network; only the descriptors 0, 1 and 2 of the world.
 * What a program asked for and was not given is remembered with the flag that would have given it (wasi_refusals). */
#ifndef AEON_WASI_WASI_H
#define AEON_WASI_WASI_H

#include "base/err.h"
#include "guest/edge.h"
#include "world/world.h"

struct wasi;

enum { WASI_MAX_FDS = 4096, WASI_MAX_PATH = 4096 /* with the NUL */ };

/* `world` is borrowed. `max_fds` bounds the open descriptors of the program; 0: WASI_MAX_FDS. */
struct wasi *wasi_new(struct world *world, uint32_t max_fds);
void wasi_free(struct wasi *w);

/* ---- what the program is given; before it runs ---- */

/* The directory `host` of the world, to be seen as `guest`. ST_NOT_FOUND, ST_DENIED, ST_INVALID (no directory),
 * ST_LIMIT. */
NODISCARD enum status wasi_add_dir(struct wasi *w, const char *host, const char *guest, bool writable, struct err *e);
/* The same with a directory of the world's that is open already, which the program then owns (on failure it is closed).
 * `label` is how messages call it: "--overlay ./base:/". */
NODISCARD enum status wasi_add_dir_handle(struct wasi *w, int handle, const char *label, const char *guest,
                                          bool writable, struct err *e);
/* The network as files: the directory /net, see docs/net-files.md. What may be reached is for the world to say.
 * ST_LIMIT. */
NODISCARD enum status wasi_add_net(struct wasi *w, struct err *e);
/* A socket of the world's, which the program then owns: a listener may accept, another one send and receive. */
NODISCARD enum status wasi_add_socket(struct wasi *w, int handle, bool listener, struct err *e);
void wasi_set_args(struct wasi *w, uint32_t n, const char *const *args);
void wasi_add_env(struct wasi *w, const char *name_and_value); /* "NAME=VALUE" */

/* Asked whenever a call has to wait, and after every wake of the world: true makes the call answer ABI_PARK. */
void wasi_set_stopping(struct wasi *w, bool (*stopping)(void *ctx), void *ctx);
/* No call waits beyond this time of the monotonic clock (UINT64_MAX, as at first: no such bound): `stopping` is asked
 * once more, and the call answers ABI_PARK. */
void wasi_set_deadline(struct wasi *w, uint64_t monotonic_ns);
/* Called by sched_yield, so that others may run; there is none at first. */
void wasi_set_yield(struct wasi *w, void (*yield)(void *ctx), void *ctx);

/* All tables, bound to `w`. */
enum { WASI_NLIBRARIES = 4 };
void wasi_libraries(struct wasi *w, struct edge_library out[WASI_NLIBRARIES]);

/* ---- what became of it ---- */

/* True after proc_exit. */
bool wasi_exit_code(const struct wasi *w, uint32_t *code);

/* One sentence for each thing that was refused because it was not given, in order, none twice; valid until wasi_free.
 * `failed`: the program did not end well, so that what it merely looked for in vain is of interest too. */
void wasi_refusals(struct wasi *w, bool failed, void (*each)(void *ctx, const char *sentence), void *ctx);

#endif
