#include "node/sandbox.h"

#include "base/must.h"
#include "node/grant.h"
#include "world/fault/fault.h"
#include "world/files/files.h"
#include "world/throttle/throttle.h"
#include "world/tls/tls.h"

#include <errno.h>
#include <stdio.h>

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static void denied(void *ctx, const char *sentence) {
    struct sandbox *s = ctx;
    s->tell(s->ctx, SANDBOX_DENIED, sentence);
}

static void faulted(void *ctx, const char *sentence) {
    struct sandbox *s = ctx;
    s->tell(s->ctx, SANDBOX_FAULT, sentence);
}

static void tls_failed(void *ctx, const char *sentence) {
    struct sandbox *s = ctx;
    s->tell(s->ctx, SANDBOX_TLS_FAILED, sentence);
}

static void quota_met(void *ctx, const char *sentence) {
    struct sandbox *s = ctx;
    s->tell(s->ctx, SANDBOX_LIMIT, sentence);
}

static bool may_tls(void *ctx, int fd, const char *host) {
    struct sandbox *s = ctx;
    char text[WORLD_MAX_NAME + 100];
    if (!net_may_tls(s->net, fd, host))
        return false;
    snprintf(text, sizeof text, "TLS by the host as client of %s: the record has the plaintext", host);
    s->tell(s->ctx, SANDBOX_TLS, text);
    return true;
}

static void serves_tls(void *ctx, const char *host) {
    struct sandbox *s = ctx;
    char text[WORLD_MAX_NAME + 100];
    snprintf(text, sizeof text, "TLS by the host as server for %s: the record has the plaintext", host);
    s->tell(s->ctx, SANDBOX_TLS, text);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

static enum status add_tls(struct sandbox *s, struct err *e) {
    const struct policy *p = s->spec->policy;
    const struct config_texts *more = policy_cas(p);
    uint32_t ncas = s->spec->cas.n + more->n, nservers = policy_nservers(p);
    const char **cas = mem_alloc((ncas + 1) * sizeof *cas);
    struct tls_server *servers = mem_alloc((nservers + 1) * sizeof *servers);
    for (uint32_t i = 0; i < ncas; i++)
        cas[i] = i < s->spec->cas.n ? s->spec->cas.items[i] : more->items[i - s->spec->cas.n];
    for (uint32_t i = 0; i < nservers; i++) {
        const struct policy_server *from = policy_server(p, i);
        servers[i] = (struct tls_server){from->name, from->cert, from->key};
    }
    const struct tls_options o = {
        .system_cas = true,
        .cas = cas,
        .ncas = ncas,
        .servers = servers,
        .nservers = nservers,
        .may = may_tls,
        .serves = serves_tls,
        .failed = tls_failed,
        .ctx = s,
    };
    enum status status = tls_new(s->top, &o, &s->tls, e);
    if (!status)
        s->top = s->tls;
    mem_free(servers);
    mem_free(cas);
    return status;
}

static enum status add_layers(struct sandbox *s, struct net *net, struct err *e) {
    const struct node_guest *spec = s->spec;
    s->top = s->files = files_new(s->bottom);
    const struct net_host host = {.name = spec->name, .policy = spec->policy, .denied = denied, .ctx = s};
    enum status status = net_attach(net, s->top, &host, &s->net, e);
    if (status)
        return status;
    s->top = s->net;
    for (uint32_t i = 0; i < spec->npublish && !status; i++) {
        const struct app_publish *p = &spec->publish[i];
        struct addr bound;
        char text[ADDR_TEXT_MAX], line[2 * ADDR_TEXT_MAX];
        status = net_publish(s->net, p->udp, &p->on, p->port, &bound, e);
        if (status)
            break;
        snprintf(line, sizeof line, "listening on %s%s for the guest's port %u", addr_print(&bound, text),
                 p->udp ? "/udp" : "", p->port);
        s->remark(s->ctx, NODE_LISTENS, line);
    }
    /* Above the network: what passes between two guests is held up as each one's own, and what the network itself sends
     * through pairs is not. */
    if (!status && spec->limits.bandwidth)
        s->top = s->throttle = throttle_new(s->top, spec->limits.bandwidth);
    bool tls = policy_has_network(spec->policy) || policy_nservers(spec->policy) || spec->cas.n;
    if (!status && tls)
        status = add_tls(s, e);
    if (!status && spec->chaos) {
        struct fault_plan plan;
        status = fault_plan_parse(spec->chaos, &plan, e);
        if (!status)
            s->top = s->fault = fault_new(s->top, &plan, faulted, s);
    }
    return status;
}

/* ---- listeners --------------------------------------------------------------------------------------------------- */

static enum status listen_failed(struct err *e, const char *text, const char *what, int r) {
    enum status s = r == -EADDRINUSE ? ST_BUSY : r == -EACCES || r == -EPERM ? ST_DENIED : ST_IO;
    return err_set(e, s, "--listen %s: cannot %s: %s", text, what, strerror(-r));
}

static enum status add_listener(struct sandbox *s, const char *text, struct err *e) {
    struct world *w = s->bottom;
    struct addr on, bound;
    char shown[ADDR_TEXT_MAX], line[2 * ADDR_TEXT_MAX];
    if (!addr_parse(text, &on))
        return err_set(e, ST_INVALID,
                       "--listen %s: no address with a port, such as 127.0.0.1:8080, [::1]:8080 or unix:PATH", text);
    int fd = w->ops->socket(w, on.family, WORLD_STREAM);
    if (fd < 0)
        return listen_failed(e, text, "make a socket", fd);
    if (on.family != ADDR_UNIX)
        w->ops->set_option(w, fd, WORLD_SO_REUSEADDR, 1);
    int r = w->ops->bind(w, fd, &on);
    if (r == 0)
        r = w->ops->listen(w, fd, 4096);
    if (r == 0)
        r = w->ops->local_addr(w, fd, &bound);
    if (r < 0) {
        w->ops->close(w, fd);
        return listen_failed(e, text, "listen there", r);
    }
    s->nlistening++;
    snprintf(line, sizeof line, "listening on %s", addr_print(&bound, shown));
    s->remark(s->ctx, NODE_LISTENS, line);
    return wasi_add_socket(s->wasi, fd, true, e);
}

/* ---- directories ------------------------------------------------------------------------------------------------- */

static enum status add_dir(struct sandbox *s, const char *text, struct err *e) {
    struct grant_dir dir;
    enum status status = grant_dir_parse(text, &dir, e);
    if (status)
        return status;
    const struct files_quota quota = {dir.size_bytes, dir.count, quota_met, s};
    bool bounded = dir.size_bytes || dir.count;
    char label[4200];
    int handle = -1;
    snprintf(label, sizeof label, "--dir %s:%s", dir.host, dir.guest);
    if (dir.mode == GRANT_ARCHIVE)
        status = files_open_archive(s->files, dir.host, &handle, e);
    else if (bounded)
        status = files_open_dir(s->files, dir.host, &quota, &handle, e);
    if (status)
        ;
    else if (handle >= 0)
        status = wasi_add_dir_handle(s->wasi, handle, label, dir.guest, dir.mode == GRANT_RW, e);
    else
        status = wasi_add_dir(s->wasi, dir.host, dir.guest, dir.mode == GRANT_RW, e);
    if (status)
        err_wrap(e, status, "--dir %s", text);
    grant_dir_deinit(&dir);
    return status;
}

static enum status add_overlay(struct sandbox *s, const char *text, const char *upper, struct err *e) {
    struct grant_dir dir;
    enum status status = grant_overlay_parse(text, &dir, e);
    if (status)
        return status;
    const struct files_quota quota = {dir.size_bytes, dir.count, quota_met, s};
    char label[4200];
    int handle;
    snprintf(label, sizeof label, "--overlay %s:%s", dir.host, dir.guest);
    status = files_open_overlay(s->files, dir.host, upper, &quota, &handle, e);
    if (!status)
        status = wasi_add_dir_handle(s->wasi, handle, label, dir.guest, true, e);
    if (status)
        err_wrap(e, status, "--overlay %s", text);
    grant_dir_deinit(&dir);
    return status;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

enum status sandbox_open(struct sandbox *s, struct net *net, struct err *e) {
    const struct node_guest *spec = s->spec;
    enum status status = add_layers(s, net, e);
    if (status)
        return status;
    s->wasi = wasi_new(s->top, (uint32_t)spec->limits.handles);
    wasi_set_args(s->wasi, spec->args.n, spec->args.items);
    for (uint32_t i = 0; i < spec->env.n; i++)
        wasi_add_env(s->wasi, spec->env.items[i]);
    for (uint32_t i = 0; i < spec->listen.n && !status; i++)
        status = add_listener(s, spec->listen.items[i], e);
    for (uint32_t i = 0; i < spec->dirs.n && !status; i++)
        status = add_dir(s, spec->dirs.items[i], e);
    wasi_libraries(s->wasi, s->libraries);
    return status;
}

enum status sandbox_overlay(struct sandbox *s, const char *upper, struct err *e) {
    enum status status = ST_OK;
    for (uint32_t i = 0; i < s->spec->overlays.n && !status; i++) {
        char path[4200];
        must((size_t)snprintf(path, sizeof path, "%s/%u", upper, i) < sizeof path);
        status = add_overlay(s, s->spec->overlays.items[i], path, e);
    }
    if (!status && (policy_has_network(s->spec->policy) || s->spec->npublish || s->spec->name || s->spec->listen.n))
        status = wasi_add_net(s->wasi, e);
    return status;
}

static void describe(struct arena *texts, struct config_texts *out, const char *what, const char *value) {
    size_t size = strlen(what) + strlen(value) + sizeof " ";
    char *text = arena_alloc(texts, size);
    snprintf(text, size, "%s %s", what, value);
    out->items[out->n++] = text;
}

void sandbox_describe(const struct sandbox *s, struct arena *texts, struct config_texts *out) {
    const struct node_guest *g = s->spec;
    out->items = ARENA_ARRAY(texts, const char *, g->dirs.n + g->overlays.n + g->listen.n + g->npublish + 4);
    if (g->name)
        describe(texts, out, "name", g->name);
    for (uint32_t i = 0; i < g->listen.n; i++)
        describe(texts, out, "listen", g->listen.items[i]);
    for (uint32_t i = 0; i < g->dirs.n; i++)
        describe(texts, out, "dir", g->dirs.items[i]);
    for (uint32_t i = 0; i < g->overlays.n; i++)
        describe(texts, out, "overlay", g->overlays.items[i]);
    for (uint32_t i = 0; i < g->npublish; i++) {
        char on[ADDR_TEXT_MAX], text[2 * ADDR_TEXT_MAX];
        snprintf(text, sizeof text, "%s:%u%s", addr_print(&g->publish[i].on, on), g->publish[i].port,
                 g->publish[i].udp ? "/udp" : "");
        describe(texts, out, "publish", text);
    }
    if (g->policy_name)
        describe(texts, out, "policy", g->policy_name);
    if (g->chaos)
        describe(texts, out, "chaos", g->chaos);
}

void sandbox_report(struct sandbox *s) {
    if (!s->throttle)
        return;
    uint64_t held_ns, bytes;
    char text[200];
    throttle_report(s->throttle, &held_ns, &bytes);
    snprintf(text, sizeof text,
             "bandwidth: %.2f MiB passed at no more than %.2f MiB a second, which held the guest up for %.1f s",
             (double)bytes / 1048576, (double)s->spec->limits.bandwidth / 1048576, (double)held_ns / 1e9);
    if (held_ns)
        s->tell(s->ctx, SANDBOX_LIMIT, text);
}

/* The names of unix sockets outlive the sockets. */
static void remove_listeners(struct sandbox *s) {
    struct addr on;
    for (uint32_t i = 0; i < s->nlistening; i++)
        if (addr_parse(s->spec->listen.items[i], &on) && on.family == ADDR_UNIX)
            s->bottom->ops->remove(s->bottom, WORLD_CWD, on.path, 0, false);
    s->nlistening = 0;
}

void sandbox_close(struct sandbox *s) {
    remove_listeners(s);
    wasi_free(s->wasi);
    struct world *layers[] = {s->fault, s->tls, s->throttle, s->net, s->files};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (layers[i])
            layers[i]->ops->free(layers[i]);
    s->wasi = NULL;
    s->fault = s->tls = s->net = s->files = s->throttle = NULL;
}
