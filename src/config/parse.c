/* From bytes to nodes, by libyaml's events: nothing is built before its depth and number are known to be sane, and what
 * YAML has beyond maps, lists and texts (anchors, aliases, tags, several documents) is refused. */
#include "config/config.h"

#include "base/must.h"

#include <stdlib.h>
#include <yaml.h>

struct parse {
    struct config *c;
    yaml_parser_t yaml;
    struct err *e;
    enum status status; /* of the first failure */
    uint32_t nnodes;
};

/* Children of a node while their number is unknown. */
struct nodes {
    struct config_node **items;
    uint32_t n, cap;
};

static void nodes_push(struct nodes *v, struct config_node *node) {
    if (v->n == v->cap) {
        v->cap = v->cap ? v->cap * 2 : 8;
        v->items = mem_realloc(v->items, v->cap * sizeof(void *));
    }
    v->items[v->n++] = node;
}

static struct config_node **nodes_take(struct nodes *v, struct arena *a) {
    struct config_node **items = ARENA_ARRAY(a, struct config_node *, v->n);
    if (v->n)
        memcpy(items, v->items, v->n * sizeof(void *));
    mem_free(v->items);
    return items;
}

static struct config_node *fail(struct parse *p, enum status s, yaml_mark_t at, const char *words) {
    if (!p->status) {
        p->status = s;
        err_set(p->e, s, "%s:%zu:%zu: %s", p->c->name, at.line + 1, at.column + 1, words);
    }
    return NULL;
}

/* What libyaml found wrong. */
static void fail_yaml(struct parse *p) {
    const yaml_parser_t *y = &p->yaml;
    char words[256];
    if (y->error == YAML_READER_ERROR) {
        p->status = ST_MALFORMED;
        err_set(p->e, ST_MALFORMED, "%s: byte %zu: %s", p->c->name, y->problem_offset, y->problem);
        return;
    }
    if (y->context)
        snprintf(words, sizeof words, "%s %s that begins in line %zu", y->problem ? y->problem : "malformed",
                 y->context, y->context_mark.line + 1);
    else
        snprintf(words, sizeof words, "%s", y->problem ? y->problem : "malformed");
    fail(p, ST_MALFORMED, y->problem_mark, words);
}

static bool next(struct parse *p, yaml_event_t *event) {
    if (yaml_parser_parse(&p->yaml, event))
        return true;
    fail_yaml(p);
    return false;
}

static struct config_node *new_node(struct parse *p, enum config_type type, yaml_mark_t at) {
    if (++p->nnodes > CONFIG_MAX_NODES)
        return fail(p, ST_LIMIT, at, "the document has too many parts");
    struct config_node *node = ARENA_NEW(&p->c->arena, struct config_node);
    node->type = type;
    node->line = (uint32_t)at.line + 1;
    node->column = (uint32_t)at.column + 1;
    return node;
}

static struct config_node *parse_scalar(struct parse *p, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    if (memchr(text, 0, n))
        return fail(p, ST_MALFORMED, event->start_mark, "a text with a NUL in it");
    struct config_node *node = new_node(p, CONFIG_SCALAR, event->start_mark);
    if (!node)
        return NULL;
    node->text = arena_strndup(&p->c->arena, text, n);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static int by_text(const void *a, const void *b) {
    const struct config_node *x = *(struct config_node *const *)a, *y = *(struct config_node *const *)b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

static bool check_twice(struct parse *p, const struct nodes *keys) {
    if (keys->n < 2)
        return true;
    struct config_node **sorted = mem_alloc(keys->n * sizeof(void *));
    const struct config_node *first = NULL, *again = NULL;
    memcpy(sorted, keys->items, keys->n * sizeof(void *));
    qsort(sorted, keys->n, sizeof(void *), by_text);
    for (uint32_t i = 1; i < keys->n && !again; i++) {
        if (!strcmp(sorted[i - 1]->text, sorted[i]->text)) {
            first = sorted[i - 1];
            again = sorted[i];
        }
    }
    mem_free(sorted);
    if (!again)
        return true;
    p->status = ST_MALFORMED;
    err_set(p->e, ST_MALFORMED, "%s:%u:%u: key '%.100s' is given twice, first in line %u", p->c->name, again->line,
            again->column, again->text, first->line);
    return false;
}

static struct config_node *parse_node(struct parse *p, const yaml_event_t *event, unsigned depth);

/* The children of a list or a map, up to its end. In a map every other one is a key. */
static struct config_node *parse_inner(struct parse *p, enum config_type type, yaml_mark_t at, unsigned depth) {
    struct config_node *node = new_node(p, type, at);
    struct nodes keys = {0}, items = {0};
    bool ended = false, key = false;
    while (node && !ended && !p->status) {
        yaml_event_t event;
        if (!next(p, &event))
            break;
        key = type == CONFIG_MAP && !key;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
            ended = true;
        else if (key && (event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT))
            fail(p, ST_MALFORMED, event.start_mark, "a key must be a text");
        else
            nodes_push(key ? &keys : &items, parse_node(p, &event, depth + 1));
        yaml_event_delete(&event);
    }
    if (!ended || p->status || !check_twice(p, &keys)) {
        mem_free(keys.items);
        mem_free(items.items);
        return NULL;
    }
    must(type == CONFIG_LIST || keys.n == items.n);
    node->n = items.n;
    node->items = nodes_take(&items, &p->c->arena);
    node->keys = nodes_take(&keys, &p->c->arena);
    return node;
}

static struct config_node *parse_node(struct parse *p, const yaml_event_t *event, unsigned depth) {
    static const char anchor[] = "anchors and aliases are not taken: write the value out";
    static const char tag[] = "tags are not taken";
    if (depth > CONFIG_MAX_DEPTH)
        return fail(p, ST_LIMIT, event->start_mark, "nested too deeply");
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.anchor)
            return fail(p, ST_MALFORMED, event->start_mark, anchor);
        if (event->data.scalar.tag)
            return fail(p, ST_MALFORMED, event->start_mark, tag);
        return parse_scalar(p, event);
    case YAML_SEQUENCE_START_EVENT:
        if (event->data.sequence_start.anchor)
            return fail(p, ST_MALFORMED, event->start_mark, anchor);
        if (event->data.sequence_start.tag)
            return fail(p, ST_MALFORMED, event->start_mark, tag);
        return parse_inner(p, CONFIG_LIST, event->start_mark, depth);
    case YAML_MAPPING_START_EVENT:
        if (event->data.mapping_start.anchor)
            return fail(p, ST_MALFORMED, event->start_mark, anchor);
        if (event->data.mapping_start.tag)
            return fail(p, ST_MALFORMED, event->start_mark, tag);
        return parse_inner(p, CONFIG_MAP, event->start_mark, depth);
    default: return fail(p, ST_MALFORMED, event->start_mark, anchor); /* an alias: there is no other */
    }
}

/* One event after another up to the end of the stream; at most one of them opens a document. */
static struct config_node *parse_stream(struct parse *p) {
    struct config_node *root = NULL;
    for (bool ended = false; !ended && !p->status;) {
        yaml_event_t event;
        if (!next(p, &event))
            break;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT: break;
        case YAML_STREAM_END_EVENT: ended = true; break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                fail(p, ST_MALFORMED, event.start_mark, "a second document: only one is taken");
            break;
        default: root = parse_node(p, &event, 1); break;
        }
        yaml_event_delete(&event);
    }
    if (p->status)
        return NULL;
    yaml_mark_t start = {0};
    if (!root || (root->type == CONFIG_SCALAR && !root->quoted && !*root->text))
        root = new_node(p, CONFIG_MAP, start);
    return root;
}

enum status config_parse(struct span text, const char *name, struct config *out, struct err *e) {
    struct config c = {0};
    if (text.size > CONFIG_MAX_BYTES)
        return err_set(e, ST_LIMIT, "%s: %zu bytes, %d are the most", name, text.size, CONFIG_MAX_BYTES);
    arena_init(&c.arena);
    c.name = arena_strndup(&c.arena, name, strlen(name));
    struct parse p = {.c = &c, .e = e};
    must(yaml_parser_initialize(&p.yaml));
    yaml_parser_set_encoding(&p.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.yaml, text.size ? text.data : (const uint8_t *)"", text.size);
    c.root = parse_stream(&p);
    yaml_parser_delete(&p.yaml);
    if (!c.root) {
        must(p.status);
        arena_deinit(&c.arena);
        return p.status;
    }
    *out = c;
    return ST_OK;
}
