#include "cli/spec.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SLOT_BYTES = 8 };

static const char *text(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static const char *text(struct arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    must(n >= 0);
    char *out = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return out;
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static struct guest_limits limits_of(const struct app_limits *l) {
    struct guest_limits out = guest_limits_default();
    if (l->memory_bytes)
        out.wasm.max_memory_bytes = l->memory_bytes;
    if (l->stack_bytes)
        out.wasm.max_stack_slots = (uint32_t)(l->stack_bytes / SLOT_BYTES);
    if (l->fuel_ticks)
        out.fuel_ticks = l->fuel_ticks;
    out.time_ms = (l->time_ns + 999999) / 1000000;
    out.fuel_per_second = l->fuel_per_second;
    out.journal_bytes = l->journal_bytes;
    out.handles = l->handles;
    out.bandwidth = l->bandwidth;
    return out;
}

/* ---- environment ------------------------------------------------------------------------------------------------- */

static bool has_variable(const struct config_texts *env, const char *name, size_t n) {
    for (uint32_t i = 0; i < env->n; i++)
        if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=')
            return true;
    return false;
}

static uint32_t count_environ(void) {
    uint32_t n = 0;
    while (environ[n])
        n++;
    return n;
}

/* What a policy passes on of aeon's own, unless it is set already. */
static void pass_env(struct arena *a, const struct policy *p, struct config_texts *env) {
    for (uint32_t i = 0; environ[i]; i++) {
        const char *equals = strchr(environ[i], '=');
        if (!equals)
            continue;
        size_t n = (size_t)(equals - environ[i]);
        if (policy_env(p, arena_strndup(a, environ[i], n)) && !has_variable(env, environ[i], n))
            env->items[env->n++] = environ[i];
    }
}

/* --env K becomes K=V with aeon's own value. */
static enum status own_env(struct arena *a, const struct option_list *from, struct config_texts *env, struct err *e) {
    for (uint32_t i = 0; i < from->n; i++) {
        const char *item = from->items[i], *value = NULL;
        if (!item[0] || item[0] == '=')
            return err_set(e, ST_INVALID, "--env '%s': a name is missing (K=V, or K to pass on a variable)", item);
        if (!strchr(item, '=') && !(value = getenv(item)))
            return err_set(e, ST_NOT_FOUND, "--env %s: there is no such variable to pass on; --env %s=VALUE sets one",
                           item, item);
        env->items[env->n++] = value ? text(a, "%s=%s", item, value) : item;
    }
    return ST_OK;
}

/* ---- directories of a policy ------------------------------------------------------------------------------------- */

static const char *quota_text(struct arena *a, const struct policy_dir *d) {
    const char *size = d->size_bytes ? text(a, ",size=%llu", (unsigned long long)d->size_bytes) : "";
    return d->count ? text(a, "%s,count=%llu", size, (unsigned long long)d->count) : size;
}

static void add_policy_dirs(struct arena *a, const struct policy *p, struct config_texts *dirs,
                            struct config_texts *overlays) {
    for (uint32_t i = 0; i < policy_ndirs(p); i++) {
        const struct policy_dir *d = policy_dir(p, i);
        const char *quota = quota_text(a, d);
        if (d->mode == POLICY_OVERLAY)
            overlays->items[overlays->n++] = text(a, "%s:%s%s", d->host, d->guest, quota);
        else
            dirs->items[dirs->n++] =
                text(a, "%s:%s:%s%s", d->host, d->guest, d->mode == POLICY_RO ? "ro" : "rw", quota);
    }
}

/* `from` with room for `more`. */
static struct config_texts extended(struct arena *a, const char *const *from, uint32_t n, uint32_t more) {
    struct config_texts out = {ARENA_ARRAY(a, const char *, n + more + 1), n};
    if (n)
        memcpy(out.items, from, n * sizeof *from);
    return out;
}

static void add_policy(struct arena *a, struct node_guest *g) {
    const struct policy *p = g->policy;
    g->dirs = extended(a, g->dirs.items, g->dirs.n, policy_ndirs(p));
    g->overlays = extended(a, g->overlays.items, g->overlays.n, policy_ndirs(p));
    g->env = extended(a, g->env.items, g->env.n, count_environ());
    add_policy_dirs(a, p, &g->dirs, &g->overlays);
    pass_env(a, p, &g->env);
}

/* ---- one guest --------------------------------------------------------------------------------------------------- */

static enum status read_policy(struct node *n, const char *path, struct policy **out, struct err *e) {
    struct buf b;
    buf_init(&b, CONFIG_MAX_BYTES);
    enum status s = node_read_file(n, path, &b, e);
    if (!s)
        s = policy_parse(buf_span(&b), path, out, e);
    buf_deinit(&b);
    return s ? err_wrap(e, s, "--policy %s", path) : ST_OK;
}

static enum status read_publish(struct arena *a, const struct option_list *from, struct node_guest *g, struct err *e) {
    struct app_publish *list = ARENA_ARRAY(a, struct app_publish, from->n + 1);
    for (uint32_t i = 0; i < from->n; i++) {
        enum status s = app_read_publish(from->items[i], &list[i], e);
        if (s)
            return err_wrap(e, s, "--publish %s", from->items[i]);
    }
    g->publish = list;
    g->npublish = from->n;
    return ST_OK;
}

enum status spec_of_module(struct node *n, const struct spec_options *o, const char *module, struct config_texts args,
                           struct spec *out, struct err *e) {
    *out = (struct spec){.nguests = 1};
    struct arena *a = &out->arena;
    arena_init(a);
    struct node_guest *g = out->guests = ARENA_NEW(a, struct node_guest);
    *g = (struct node_guest){
        .module = module,
        .args = args,
        .env = {ARENA_ARRAY(a, const char *, o->env.n + 1), 0},
        .dirs = {o->dirs.items, o->dirs.n},
        .overlays = {o->overlays.items, o->overlays.n},
        .listen = {o->listen.items, o->listen.n},
        .cas = {o->cas.items, o->cas.n},
        .chaos = o->chaos,
        .limits = limits_of(&o->limits),
    };
    enum status s = own_env(a, &o->env, &g->env, e);
    if (!s)
        s = read_publish(a, &o->publish, g, e);
    if (!s && o->policy)
        s = read_policy(n, o->policy, &out->policy, e);
    if (!s && o->policy) {
        g->policy = out->policy;
        g->policy_name = o->policy;
        add_policy(a, g);
    }
    if (s)
        spec_deinit(out);
    return s;
}

/* ---- an application ---------------------------------------------------------------------------------------------- */

static enum status read_for_app(void *ctx, const char *path, struct buf *out, struct err *e) {
    return node_read_file(ctx, path, out, e);
}

static void add_guest(struct arena *a, const struct app_guest *from, uint64_t number, struct node_guest *g) {
    const char *slash = strrchr(from->module, '/');
    struct config_texts args = {ARENA_ARRAY(a, const char *, from->args.n + 1), 0};
    args.items[args.n++] = slash ? slash + 1 : from->module;
    for (uint32_t i = 0; i < from->args.n; i++)
        args.items[args.n++] = from->args.items[i];
    *g = (struct node_guest){
        .name = number ? text(a, "%s-%llu", from->name, (unsigned long long)number + 1) : from->name,
        .module = from->module,
        .args = args,
        .env = from->env,
        .dirs = from->dirs,
        .overlays = from->overlays,
        .listen = from->listen,
        .publish = from->publish,
        .npublish = from->npublish,
        .policy = from->policy,
        .chaos = from->chaos,
        .limits = limits_of(&from->limits),
    };
    add_policy(a, g);
}

enum status spec_of_app(struct node *n, const char *path, struct spec *out, struct err *e) {
    struct buf b;
    *out = (struct spec){0};
    arena_init(&out->arena);
    buf_init(&b, CONFIG_MAX_BYTES);
    enum status s = node_read_file(n, path, &b, e);
    if (!s)
        s = app_parse(buf_span(&b), path, read_for_app, n, &out->app, e);
    buf_deinit(&b);
    if (s) {
        spec_deinit(out);
        return s;
    }
    const struct app *app = out->app;
    for (uint32_t i = 0; i < app->nguests; i++)
        out->nguests += (uint32_t)app->guests[i].count;
    out->guests = ARENA_ARRAY(&out->arena, struct node_guest, out->nguests + 1);
    uint32_t at = 0;
    for (uint32_t i = 0; i < app->nguests; i++)
        for (uint64_t k = 0; k < app->guests[i].count; k++)
            add_guest(&out->arena, &app->guests[i], k, &out->guests[at++]);
    return ST_OK;
}

void spec_deinit(struct spec *s) {
    policy_free(s->policy);
    app_free(s->app);
    arena_deinit(&s->arena);
    *s = (struct spec){0};
}
