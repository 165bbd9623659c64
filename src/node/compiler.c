/* compiler.c: the compiled tier's parts on this machine: the compiler and the cache. */
#include "node/home.h"
#include "node/node.h"

#include "base/must.h"

#include <stdlib.h>

enum { PATH_TEXT = 4096 };

/* The directory that aeon itself lies in; false: nobody knows. */
static bool own_directory(struct world *w, char out[PATH_TEXT]) {
    int64_t n = w->ops->read_link(w, WORLD_CWD, "/proc/self/exe", 0, out, PATH_TEXT - 1);
    if (n <= 0 || n >= PATH_TEXT)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

char *node_find_compiler(struct node *n) {
    static const char *const places[] = {"aeon-llvm", "../libexec/aeon/aeon-llvm", "../libexec/aeon-llvm"};
    const char *named = getenv("AEON_LLVM");
    struct world *w = node_world(n);
    char own[PATH_TEXT];
    char *found = NULL;
    if (named && *named)
        return mem_strdup(named);
    bool known = own_directory(w, own);
    for (size_t i = 0; i < sizeof places / sizeof *places && known && !found; i++) {
        struct world_stat st;
        struct buf path;
        buf_init(&path, 2 * PATH_TEXT);
        buf_print(&path, "%s/%s", own, places[i]);
        if (w->ops->stat_at(w, WORLD_CWD, buf_cstr(&path), 0, &st) == 0 && st.type == WORLD_REGULAR)
            found = mem_strdup(buf_cstr(&path));
        buf_deinit(&path);
    }
    return found;
}

char *node_find_cache(struct node *n) {
    char *home = NULL, *cache;
    struct buf path;
    if (!node_home(n) && node_find_home(&home, NULL))
        return NULL;
    buf_init(&path, 2 * PATH_TEXT);
    buf_print(&path, "%s/cache", node_home(n) ? node_home(n) : home);
    cache = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    mem_free(home);
    return cache;
}

struct tier *node_tier_new(struct node *n, const struct tier_options *how) {
    struct tier_options o = *how;
    char *program = node_find_compiler(n), *cache = node_find_cache(n);
    o.program = program;
    o.cache = cache;
    struct tier *t = tier_new(node_world(n), &o);
    mem_free(program);
    mem_free(cache);
    return t;
}

/* ---- what became of a run ---------------------------------------------------------------------------------------- */

enum { REPORT_MAX = 1 << 16 };

static void report_path(struct node *n, const struct store_id *id, struct buf *out) {
    char text[STORE_ID_TEXT];
    store_id_text(id, text);
    buf_init(out, 2 * PATH_TEXT);
    buf_print(out, "%s/runs/%s/tier", node_home(n), text);
}

void node_write_tier(struct node *n, const struct store_id *id, const struct tier_report *report) {
    struct world *w = node_world(n);
    struct buf path, text;
    report_path(n, id, &path);
    buf_init(&text, REPORT_MAX);
    tier_report_print(report, &text);
    int fd = w->ops->open(w, WORLD_CWD, buf_cstr(&path), WORLD_WRITE | WORLD_CREATE | WORLD_TRUNCATE, 0600);
    struct iovec v = {text.data, text.size};
    if (fd >= 0) {
        (void)w->ops->pwritev(w, fd, &v, 1, 0); /* it is only for show */
        w->ops->close(w, fd);
    }
    buf_deinit(&path);
    buf_deinit(&text);
}

bool node_read_tier(struct node *n, const struct store_id *id, struct tier_report *out) {
    struct buf path, text;
    report_path(n, id, &path);
    buf_init(&text, REPORT_MAX);
    bool found = !node_read_file(n, buf_cstr(&path), &text, NULL) && tier_report_parse(buf_cstr(&text), out);
    buf_deinit(&path);
    buf_deinit(&text);
    return found;
}
