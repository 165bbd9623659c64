#include "wasi/wasi.h"

#include "wasi/internal.h"

#include <errno.h>
#include <stdio.h>

/* ---- the three streams ---- */

static void add_stdio(struct wasi *w, int handle) {
    struct world_stat st;
    if (OP(w, stat, handle, &st) < 0) { /* closed by whoever started us: so it is for the program */
        w->fds[handle] = (struct desc){0};
        return;
    }
    uint64_t rights = wasi_rights_of(st.type);
    struct desc *d = &w->fds[handle];
    *d = (struct desc){
        .open = true,
        .borrowed = true,
        .waits = st.type != WORLD_REGULAR && st.type != WORLD_BLOCK_DEVICE && st.type != WORLD_DIRECTORY,
        .filetype = wasi_filetype_of(st.type),
        .handle = handle,
        .applicable = rights,
        .base = rights & ~(uint64_t)(handle == 0 ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ),
    };
    uint32_t flags = 0;
    if (OP(w, get_flags, handle, &flags) == 0 && flags & WORLD_APPEND)
        d->flags = WASI_FDFLAG_APPEND;
    w->nopen++;
}

/* ---- life ---- */

struct wasi *wasi_new(struct world *world, uint32_t max_fds) {
    struct wasi *w = mem_zalloc(sizeof *w);
    w->world = world;
    w->deadline_ns = UINT64_MAX;
    w->max_fds = max_fds ? max_fds : WASI_MAX_FDS;
    must(w->max_fds >= 3);
    w->cap = w->max_fds < 16 ? w->max_fds : 16;
    w->fds = mem_zalloc(w->cap * sizeof *w->fds);
    for (int i = 0; i < 3; i++)
        add_stdio(w, i);
    w->lowest_free = 3; /* 0, 1 and 2 are never given to something else, even when closed from the start */
    return w;
}

static void free_list(char **list, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        mem_free(list[i]);
    mem_free(list);
}

void wasi_free(struct wasi *w) {
    if (!w)
        return;
    for (uint32_t i = 0; i < w->cap; i++)
        if (w->fds[i].open)
            wasi_desc_close(w, &w->fds[i]);
    mem_free(w->fds);
    mem_free(w->found);
    for (uint32_t i = 0; i < w->ngrants; i++) {
        mem_free(w->grants[i]->label);
        mem_free(w->grants[i]->guest);
        mem_free(w->grants[i]);
    }
    mem_free(w->grants);
    free_list(w->args, w->nargs);
    free_list(w->env, w->nenv);
    for (struct refusal *r = w->refusals, *next; r; r = next) {
        next = r->next;
        mem_free(r->sentence);
        mem_free(r);
    }
    mem_free(w);
}

/* ---- grants ---- */

static enum status grant_failed(struct err *e, const char *label, int64_t r) {
    enum status s = r == -ENOENT                   ? ST_NOT_FOUND
                    : r == -EACCES || r == -EPERM  ? ST_DENIED
                    : r == -EMFILE || r == -ENFILE ? ST_LIMIT
                    : r == -ENOTDIR                ? ST_INVALID
                                                   : ST_IO;
    return err_set(e, s, "cannot give the directory %s to the program: %s", label, abi_errno_words(wasi_errno_of(r)));
}

static enum status check_guest_path(const char *label, const char *guest, struct err *e) {
    if (*guest && strlen(guest) < WASI_MAX_PATH)
        return ST_OK;
    return err_set(e, ST_INVALID, "cannot give the directory %s to the program: its name there is %s", label,
                   *guest ? "too long" : "empty");
}

/* `d` is a directory given to the program, seen as `guest`. */
static struct grant *grant_of(struct wasi *w, struct desc *d, const char *guest, bool writable) {
    struct grant *g = mem_zalloc(sizeof *g);
    g->guest = mem_strdup(guest);
    g->writable = writable;
    w->grants = mem_realloc(w->grants, (w->ngrants + 1) * sizeof(struct grant *));
    w->grants[w->ngrants++] = g;
    d->preopened = true;
    d->grant = g;
    d->path = mem_strdup(guest);
    return g;
}

/* `handle` becomes a descriptor of the program's, seen as `guest`. */
static int64_t add_grant(struct wasi *w, int handle, const char *guest, bool writable, struct grant **out) {
    struct desc *d;
    int64_t r = wasi_desc_new(w, handle, &d);
    if (r < 0)
        return r;
    *out = grant_of(w, d, guest, writable);
    d->base = d->applicable;
    d->inheriting = d->applicable | wasi_rights_of(WORLD_REGULAR);
    return 0;
}

enum status wasi_add_dir_handle(struct wasi *w, int handle, const char *label, const char *guest, bool writable,
                                struct err *e) {
    enum status s = check_guest_path(label, guest, e);
    if (s) {
        OP(w, close, handle);
        return s;
    }
    struct grant *g;
    int64_t r = add_grant(w, handle, guest, writable, &g);
    if (r < 0)
        return grant_failed(e, label, r);
    g->label = mem_strdup(label);
    return ST_OK;
}

enum status wasi_add_dir(struct wasi *w, const char *host, const char *guest, bool writable, struct err *e) {
    enum status s = check_guest_path(host, guest, e);
    if (s)
        return s;
    int64_t r = OP(w, open, WORLD_CWD, host, WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    if (r < 0)
        return grant_failed(e, host, r);
    struct grant *g;
    r = add_grant(w, (int)r, guest, writable, &g);
    if (r < 0)
        return grant_failed(e, host, r);
    struct buf label;
    buf_init(&label, 2 * WASI_MAX_PATH);
    buf_print(&label, "--dir %s:%s", host, guest);
    g->label = mem_strdup(buf_cstr(&label));
    g->can_be_writable = true;
    buf_deinit(&label);
    return ST_OK;
}

enum status wasi_add_net(struct wasi *w, struct err *e) {
    struct desc *d;
    int64_t r = wasi_net_root(w, &d);
    if (r < 0)
        return grant_failed(e, "/net", r);
    grant_of(w, d, "/net", false)->label = mem_strdup("the network");
    return ST_OK;
}

enum status wasi_add_socket(struct wasi *w, int handle, bool listener, struct err *e) {
    struct desc *d;
    int64_t r = wasi_desc_new(w, handle, &d);
    if (r < 0)
        return err_set(e, r == -EMFILE ? ST_LIMIT : ST_IO, "cannot give a socket to the program: %s",
                       abi_errno_words(wasi_errno_of(r)));
    const uint64_t connection = d->applicable & ~(uint64_t)WASI_RIGHT_SOCK_ACCEPT;
    /* Whether somebody waits at a listener is asked for as readiness to be read. */
    d->base = listener ? d->applicable & ~(uint64_t)WASI_RIGHT_FD_WRITE : connection;
    d->inheriting = listener ? connection : 0;
    d->given = true;
    w->has_listener |= listener;
    return ST_OK;
}

static char **append(char **list, uint32_t *n, uint32_t *size, const char *text) {
    list = mem_realloc(list, (*n + 1) * sizeof *list);
    list[(*n)++] = mem_strdup(text);
    *size += (uint32_t)strlen(text) + 1;
    return list;
}

void wasi_set_args(struct wasi *w, uint32_t n, const char *const *args) {
    free_list(w->args, w->nargs);
    w->args = NULL;
    w->nargs = w->args_size = 0;
    for (uint32_t i = 0; i < n; i++)
        w->args = append(w->args, &w->nargs, &w->args_size, args[i]);
}

void wasi_add_env(struct wasi *w, const char *name_and_value) {
    w->env = append(w->env, &w->nenv, &w->env_size, name_and_value);
}

void wasi_set_stopping(struct wasi *w, bool (*stopping)(void *), void *ctx) {
    w->stopping = stopping;
    w->stopping_ctx = ctx;
}

void wasi_set_deadline(struct wasi *w, uint64_t monotonic_ns) {
    w->deadline_ns = monotonic_ns;
}

void wasi_set_yield(struct wasi *w, void (*yield)(void *), void *ctx) {
    w->yield = yield;
    w->yield_ctx = ctx;
}

bool wasi_exit_code(const struct wasi *w, uint32_t *code) {
    if (w->exited)
        *code = w->exit_code;
    return w->exited;
}

/* ---- binding ---- */

// clang-format off
#define BIND(prefix, name) \
    static int64_t call_##prefix##name(void *ctx, union abi_arg *args) \
    { \
        return wasi_##prefix##name(ctx, (struct abi_##prefix##name *)args); \
    }
#define CALL(name, result, effect, doc, params) BIND(, name)
ABI_WASI_PREVIEW1(CALL)
ABI_WASI_SOCKETS(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) BIND(unstable_, name)
ABI_WASI_UNSTABLE(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) BIND(v1_, name)
ABI_WASI_SOCKETS_V1(CALL)
#undef CALL
#undef BIND

#define CALL(name, result, effect, doc, params) call_##name,
static const abi_fn preview1_fns[] = {ABI_WASI_PREVIEW1(CALL)};
static const abi_fn sockets_fns[] = {ABI_WASI_SOCKETS(CALL)};
#undef CALL
#define CALL(name, result, effect, doc, params) call_unstable_##name,
static const abi_fn unstable_fns[] = {ABI_WASI_UNSTABLE(CALL)};
#undef CALL
#define CALL(name, result, effect, doc, params) call_v1_##name,
static const abi_fn sockets_v1_fns[] = {ABI_WASI_SOCKETS_V1(CALL)};
#undef CALL
// clang-format on

void wasi_libraries(struct wasi *w, struct edge_library out[WASI_NLIBRARIES]) {
    out[0] = (struct edge_library){&abi_wasi_preview1, preview1_fns, w};
    out[1] = (struct edge_library){&abi_wasi_sockets, sockets_fns, w};
    out[2] = (struct edge_library){&abi_wasi_sockets_v1, sockets_v1_fns, w};
    out[3] = (struct edge_library){&abi_wasi_unstable, unstable_fns, w};
}
