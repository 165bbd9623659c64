/* aeon cache ls, aeon cache gc */
#include "cli/cli.h"

#include "base/must.h"
#include "base/nearest.h"
#include "tier/cache.h"

struct cache_options {
    uint64_t max_bytes;
    bool json;
};

static const struct cache_options defaults = {.max_bytes = 2ull << 30};

static const struct option options[] = {
    {"max", 0, option_size, "SIZE", offsetof(struct cache_options, max_bytes),
     "gc: how much may stay (2GiB); 0 for nothing"},
    {"json", 0, NULL, NULL, offsetof(struct cache_options, json), "ls: one JSON object a line; gc: one object"},
};

/* ---- ls ---- */

static void json_entry(void *ctx, const struct cache_line *l) {
    char time[HUMAN_MAX];
    struct buf b;
    struct json j = {.out = &b};
    (void)ctx;
    buf_init(&b, 1 << 16);
    json_open(&j, NULL, '{');
    json_string(&j, "key", l->key);
    json_string(&j, "module", l->name);
    json_string(&j, "module_sha256", l->module);
    json_number(&j, "functions", l->nfuncs);
    json_number(&j, "compiled", l->functions);
    json_number(&j, "failed", l->bad);
    json_number(&j, "objects", l->objects);
    json_number(&j, "size_bytes", l->size_bytes);
    json_string(&j, "target", l->target);
    json_string(&j, "llvm", l->llvm);
    json_string(&j, "aeon_version", l->aeon);
    json_string(&j, "used", iso_time(l->used_ns, time));
    json_close(&j, '}');
    cli_print_line(&b);
    buf_deinit(&b);
}

/* Of a target only what tells machines apart: not its features. */
static void table_entry(void *ctx, const struct cache_line *l) {
    struct table *t = ctx;
    char text[64], human[HUMAN_MAX], target[64];
    struct buf b;
    const char *plus = strstr(l->target, " +");
    buf_init(&b, 1 << 16);
    print_safe(&b, l->name, strlen(l->name));
    table_cell(t, STYLE_NONE, buf_cstr(&b));
    snprintf(text, sizeof text, "%u of %u", l->functions, l->nfuncs);
    table_cell(t, STYLE_NONE, text);
    table_cell(t, STYLE_NONE, human_size(l->size_bytes, human));
    snprintf(target, sizeof target, "%.*s", plus ? (int)(plus - l->target) : 60, l->target);
    buf_clear(&b);
    print_safe(&b, target, strlen(target));
    table_cell(t, STYLE_NONE, buf_cstr(&b));
    table_cell(t, STYLE_NONE, l->used_ns ? human_time(l->used_ns, human) : "");
    buf_deinit(&b);
}

static enum status list(const struct cli *c, struct world *w, const char *root, bool json, struct err *e) {
    static const char *const heads[] = {"MODULE", ">FUNCTIONS", ">SIZE", "TARGET", "LAST USED"};
    struct table t;
    if (json)
        return cache_list(w, root, json_entry, NULL, e);
    table_init(&t, 5, heads);
    enum status s = cache_list(w, root, table_entry, &t, e);
    if (!s && t.ncells)
        table_print(&t, stdout, c->color_out);
    else if (!s)
        cli_note(c, "nothing is compiled yet: `aeon compile MODULE` does, and `aeon run` what is hot");
    table_deinit(&t);
    return s;
}

/* ---- gc ---- */

static enum status collect(struct world *w, const char *root, const struct cache_options *o, struct err *e) {
    struct cache_removed r;
    enum status s = cache_gc(w, root, o->max_bytes, &r, e);
    if (s)
        return s;
    char removed[HUMAN_MAX], left[HUMAN_MAX];
    struct buf b;
    buf_init(&b, 1 << 12);
    if (o->json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_number(&j, "removed", r.entries);
        json_number(&j, "removed_bytes", r.size_bytes);
        json_number(&j, "left_bytes", r.left_bytes);
        json_close(&j, '}');
    } else {
        buf_print(&b, "%u removed, %s; %s are left", r.entries, human_size(r.size_bytes, removed),
                  human_size(r.left_bytes, left));
    }
    cli_print_line(&b);
    buf_deinit(&b);
    return ST_OK;
}

/* ---- both ---- */

enum verb { LS, GC, NVERBS };
static const char *const verbs[] = {[LS] = "ls", [GC] = "gc"};

static enum status read_verb(const char *text, enum verb *out, struct err *e) {
    for (uint32_t i = 0; i < NVERBS; i++) {
        if (!strcmp(text, verbs[i])) {
            *out = (enum verb)i;
            return ST_OK;
        }
    }
    const char *like = nearest_name(text, verbs, NVERBS);
    if (like)
        return err_set(e, ST_INVALID, "there is no 'cache %s': did you mean cache %s? (see `aeon help cache`)", text,
                       like);
    return err_set(e, ST_INVALID, "there is no 'cache %s': see `aeon help cache`", text);
}

static int run(struct cli *c, void *values, int n, char **operands) {
    const struct cache_options *o = values;
    struct node *node = NULL;
    char *root = NULL;
    struct err e = ERR_INIT;
    enum verb verb = LS;
    (void)n;
    enum status s = read_verb(operands[0], &verb, &e);
    if (!s)
        s = node_open(true, &node, &e);
    if (!s)
        root = node_find_cache(node);
    if (!s && verb == LS)
        s = list(c, node_world(node), root, o->json, &e);
    else if (!s)
        s = collect(node_world(node), root, o, &e);
    mem_free(root);
    node_close(node);
    return s ? cli_failed(c, &e) : EXIT_YES;
}

const struct command cmd_cache = {
    .name = "cache",
    .operands = "ls | gc",
    .summary = "compiled code that is kept: what there is, and making room",
    .about =
        "Compiled code lies below $AEON_HOME/cache and is used by every run of the same module on the same kind of "
        "machine,\n"
        "as long as it was made by the same versions of aeon and LLVM. All of it can be made again.\n"
        "ls: the modules, least recently used first. gc: removes those least recently used until no more than "
        "--max is left.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct cache_options),
    .defaults = &defaults,
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = run,
};
