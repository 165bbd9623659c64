/* refusal.c: what the program was refused because it was not given, in words that say which flag would have. */
#include "wasi/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { REFUSALS_MAX = 16 };

void wasi_refuse(struct wasi *w, const char *fmt, ...) {
    if (w->nrefusals > REFUSALS_MAX)
        return;
    char text[2 * WASI_MAX_PATH];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct refusal **at = &w->refusals;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->sentence, text) == 0)
            return;
    *at = mem_alloc(sizeof **at);
    **at = (struct refusal){mem_strdup(w->nrefusals < REFUSALS_MAX ? text : "and more of this kind"), NULL};
    w->nrefusals++;
}

const char *wasi_full_path(struct wasi_path *out, const struct desc *dir, const char *path) {
    const char *base = dir->path && path[0] != '/' ? dir->path : "";
    size_t n = strlen(base);
    snprintf(out->text, sizeof out->text, "%s%s%s", base, n && base[n - 1] != '/' ? "/" : "", path);
    return out->text;
}

int64_t wasi_check_writable(struct wasi *w, const struct desc *d, const char *call, const char *path) {
    const struct grant *g = d->grant;
    if (LIKELY(!g || g->writable))
        return 0;
    struct wasi_path full;
    const char *what = path ? wasi_full_path(&full, d, path) : d->path ? d->path : g->guest;
    if (g->can_be_writable)
        wasi_refuse(w, "%s %s: %s is read-only; to allow it, give %s:rw", call, what, g->label, g->label);
    else
        wasi_refuse(w, "%s %s: %s is read-only", call, what, g->label);
    return -EROFS;
}

int64_t wasi_check_escape(struct wasi *w, const struct desc *d, const char *call, const char *path, int64_t r) {
    if (LIKELY(r != -EPERM) || !d->grant)
        return r;
    /* The world says EPERM for many reasons; what leads outside either says so or goes through a link. */
    struct world_stat st;
    if (OP(w, stat_at, d->handle, path, WORLD_BENEATH, &st) != -EPERM)
        return r;
    struct wasi_path full;
    wasi_refuse(w,
                "%s %s: leads out of what was given as %s; to allow it, give the directory it leads to with "
                "--dir HOST:GUEST",
                call, wasi_full_path(&full, d, path), d->grant->label);
    return r;
}

void wasi_refusals(struct wasi *w, bool failed, void (*each)(void *, const char *), void *ctx) {
    if (failed && w->looked_for_dirs && w->ngrants == 0)
        each(ctx, "the program looked for directories and was given none; to give one, --dir HOST:GUEST[:ro]");
    for (const struct refusal *r = w->refusals; r; r = r->next)
        each(ctx, r->sentence);
}
