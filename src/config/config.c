#include "config/config.h"

#include "base/must.h"
#include "base/nearest.h"
#include "base/units.h"

#include <stdarg.h>
#include <stdio.h>

void config_deinit(struct config *c) {
    arena_deinit(&c->arena);
    c->root = NULL;
}

enum status config_error(const struct config *c, const struct config_node *at, struct err *e, const char *fmt, ...) {
    char words[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    if (at)
        return err_set(e, ST_INVALID, "%s:%u:%u: %s", c->name, at->line, at->column, words);
    return err_set(e, ST_INVALID, "%s: %s", c->name, words);
}

static const char *type_text(const struct config_node *node) {
    switch (node->type) {
    case CONFIG_LIST: return "a list";
    case CONFIG_MAP: return "a map";
    case CONFIG_SCALAR: break;
    }
    return "a text";
}

/* What YAML takes for no value at all. */
static bool is_null(const struct config_node *v) {
    return v->type == CONFIG_SCALAR && !v->quoted &&
           (!*v->text || !strcmp(v->text, "~") || !strcmp(v->text, "null") || !strcmp(v->text, "Null") ||
            !strcmp(v->text, "NULL"));
}

static enum status check_scalar(struct config *c, const struct config_node *v, const char *wanted, struct err *e) {
    if (v->type != CONFIG_SCALAR)
        return config_error(c, v, e, "%s was expected here, not %s", wanted, type_text(v));
    if (is_null(v))
        return config_error(c, v, e, "%s was expected here, and there is nothing", wanted);
    return ST_OK;
}

/* ---- maps ---- */

static enum status unknown_key(struct config *c, const struct config_node *at, const char *what,
                               const struct config_key *keys, uint32_t nkeys, struct err *e) {
    const char *names[64];
    uint32_t n = 0;
    char known[320];
    size_t used = 0;
    known[0] = 0;
    for (; n < nkeys && n < 64; n++) {
        names[n] = keys[n].name;
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", n ? ", " : "", names[n]);
    }
    const char *like = nearest_name(at->text, names, n);
    if (like)
        return config_error(c, at, e, "unknown key '%.100s'; did you mean '%s'?", at->text, like);
    return config_error(c, at, e, "unknown key '%.100s'; %s has: %s", at->text, what, known);
}

enum status config_read_map(struct config *c, const struct config_node *map, const char *what,
                            const struct config_key *keys, uint32_t nkeys, void *out, struct err *e) {
    uint64_t given = 0;
    must(nkeys <= 64);
    if (map->type != CONFIG_MAP)
        return config_error(c, map, e, "%s is a map of keys and values, this is %s", what,
                            is_null(map) ? "nothing" : type_text(map));
    for (uint32_t i = 0; i < map->n; i++) {
        const char *name = map->keys[i]->text;
        uint32_t k = 0;
        while (k < nkeys && strcmp(keys[k].name, name))
            k++;
        if (k == nkeys)
            return unknown_key(c, map->keys[i], what, keys, nkeys, e);
        if (is_null(map->items[i]))
            return config_error(c, map->keys[i], e, "'%s' has no value", name);
        enum status s = keys[k].read(c, map->items[i], (char *)out + keys[k].offset, e);
        if (s)
            return s;
        given |= 1ull << k;
    }
    for (uint32_t k = 0; k < nkeys; k++)
        if (keys[k].mandatory && !(given >> k & 1))
            return config_error(c, map, e, "%s needs '%s' (%s)", what, keys[k].name, keys[k].doc);
    return ST_OK;
}

/* ---- values ---- */

enum status config_text(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = check_scalar(c, v, "a text", e);
    if (!s)
        *(const char **)field = v->text;
    return s;
}

enum status config_bool(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = check_scalar(c, v, "true or false", e);
    if (s)
        return s;
    bool yes = !strcmp(v->text, "true");
    if (v->quoted || (!yes && strcmp(v->text, "false") != 0))
        return config_error(c, v, e, "'%.100s' is neither true nor false%s", v->text, v->quoted ? " (quoted)" : "");
    *(bool *)field = yes;
    return ST_OK;
}

static enum status read_units(struct config *c, const struct config_node *v, const char *wanted,
                              enum status (*parse)(const char *text, uint64_t *out, struct err *e), void *field,
                              struct err *e) {
    struct err why = ERR_INIT;
    enum status s = check_scalar(c, v, wanted, e);
    if (s)
        return s;
    if (parse(v->text, field, &why))
        return config_error(c, v, e, "%s", why.text);
    return ST_OK;
}

enum status config_count(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_units(c, v, "a number", units_count, field, e);
}

enum status config_size(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_units(c, v, "a size", units_size, field, e);
}

enum status config_duration(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_units(c, v, "a duration", units_duration, field, e);
}

enum status config_items(struct config *c, const struct config_node *v, config_read read_one, size_t size, void **items,
                         uint32_t *n, struct err *e) {
    bool list = v->type == CONFIG_LIST;
    uint32_t count = list ? v->n : 1;
    char *all = arena_alloc(&c->arena, count * size);
    for (uint32_t i = 0; i < count; i++) {
        enum status s = read_one(c, list ? v->items[i] : v, all + i * size, e);
        if (s)
            return s;
    }
    *items = all;
    *n = count;
    return ST_OK;
}

static enum status read_texts(struct config *c, const struct config_node *v, config_read read_one,
                              struct config_texts *out, struct err *e) {
    void *items;
    uint32_t n;
    enum status s = config_items(c, v, read_one, sizeof *out->items, &items, &n, e);
    if (!s)
        *out = (struct config_texts){items, n};
    return s;
}

enum status config_texts(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_texts(c, v, config_text, field, e);
}

enum status config_paths(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_texts(c, v, config_path, field, e);
}

enum status config_pairs(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct config_texts *out = field, t = {0};
    if (v->type != CONFIG_MAP)
        return config_error(c, v, e, "a map of names and texts was expected here, not %s", type_text(v));
    t.items = ARENA_ARRAY(&c->arena, const char *, v->n);
    for (; t.n < v->n; t.n++) {
        const char *name = v->keys[t.n]->text, *value;
        enum status s = config_text(c, v->items[t.n], &value, e);
        if (s)
            return s;
        if (!*name || strchr(name, '='))
            return config_error(c, v->keys[t.n], e, "'%.100s' cannot be a name: one is not empty and has no '='", name);
        size_t nname = strlen(name), nvalue = strlen(value);
        char *pair = arena_alloc(&c->arena, nname + nvalue + 2);
        memcpy(pair, name, nname);
        pair[nname] = '=';
        memcpy(pair + nname + 1, value, nvalue + 1);
        t.items[t.n] = pair;
    }
    *out = t;
    return ST_OK;
}

enum status config_path(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = check_scalar(c, v, "a path", e);
    if (s)
        return s;
    if (!*v->text)
        return config_error(c, v, e, "an empty path");
    *(const char **)field = config_join(c, v->text);
    return ST_OK;
}

const char *config_join(struct config *c, const char *path) {
    const char *slash = strrchr(c->name, '/');
    while (path[0] == '.' && path[1] == '/' && path[1 + strspn(path + 1, "/")])
        path += 1 + strspn(path + 1, "/");
    if (path[0] == '/' || !slash)
        return path;
    size_t ndir = (size_t)(slash - c->name) + 1, n = strlen(path) + 1;
    char *joined = arena_alloc(&c->arena, ndir + n);
    memcpy(joined, c->name, ndir);
    memcpy(joined + ndir, path, n);
    return joined;
}
