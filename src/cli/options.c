#include "cli/options.h"

#include "base/must.h"
#include "base/nearest.h"
#include "base/units.h"

#include <stdio.h>

/* ---- values ---- */

enum status option_text(const char *text, void *field, struct err *e) {
    (void)e;
    *(const char **)field = text;
    return ST_OK;
}

enum status option_append(const char *text, void *field, struct err *e) {
    struct option_list *list = field;
    (void)e;
    list->items = mem_realloc(list->items, (list->n + 1) * sizeof *list->items);
    list->items[list->n++] = text;
    return ST_OK;
}

enum status option_size(const char *text, void *field, struct err *e) {
    return units_size(text, field, e);
}

enum status option_duration(const char *text, void *field, struct err *e) {
    return units_duration(text, field, e);
}

enum status option_count(const char *text, void *field, struct err *e) {
    return units_count(text, field, e);
}

/* ---- parsing ---- */

struct parse {
    const struct option_set *set;
    void *values;
    struct err *e;
};

static const char *see_help(const struct option_set *set, char out[64]) {
    snprintf(out, 64, "see `aeon help%s%s`", set->command ? " " : "", set->command ? set->command : "");
    return out;
}

static const struct option *find_long(const struct option_set *set, const char *name, size_t n) {
    for (uint32_t i = 0; i < set->nrows; i++)
        if (strlen(set->rows[i].name) == n && !memcmp(set->rows[i].name, name, n))
            return &set->rows[i];
    return NULL;
}

static const struct option *find_letter(const struct option_set *set, char letter) {
    for (uint32_t i = 0; i < set->nrows; i++)
        if (set->rows[i].letter == letter)
            return &set->rows[i];
    return NULL;
}

static enum status unknown(struct parse *p, const char *shown, const char *name, size_t n) {
    const char *names[64];
    char word[64], help[64];
    uint32_t nnames = 0;
    for (uint32_t i = 0; i < p->set->nrows && nnames < 63; i++)
        names[nnames++] = p->set->rows[i].name;
    names[nnames++] = "help";
    snprintf(word, sizeof word, "%.*s", (int)(n < 63 ? n : 63), name);
    const char *like = nearest_name(word, names, nnames);
    if (like)
        return err_set(p->e, ST_INVALID, "unknown option %s: did you mean --%s? (%s)", shown, like,
                       see_help(p->set, help));
    return err_set(p->e, ST_INVALID, "unknown option %s: %s", shown, see_help(p->set, help));
}

static enum status take(struct parse *p, const struct option *o, const char *text) {
    void *field = (char *)p->values + o->offset;
    if (!o->read) {
        *(bool *)field = true;
        return ST_OK;
    }
    enum status s = o->read(text, field, p->e);
    return s ? err_wrap(p->e, s, "--%s", o->name) : ST_OK;
}

static enum status missing(struct parse *p, const struct option *o) {
    return err_set(p->e, ST_INVALID, "--%s needs a value: --%s %s", o->name, o->name, o->value);
}

/* --name, --name=value or --name value; `*i` moves on past a value of its own. */
static enum status parse_long(struct parse *p, int argc, char **argv, int *i) {
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *o = find_long(p->set, name, n);
    char shown[80];
    snprintf(shown, sizeof shown, "--%.*s", (int)(n < 70 ? n : 70), name);
    if (!o)
        return unknown(p, shown, name, n);
    if (!o->read) {
        if (equals)
            return err_set(p->e, ST_INVALID, "%s takes no value, '%s' was given", shown, equals + 1);
        return take(p, o, NULL);
    }
    if (equals)
        return take(p, o, equals + 1);
    if (*i + 1 >= argc)
        return missing(p, o);
    return take(p, o, argv[++*i]);
}

/* -a, -abc (flags together), -nVALUE or -n VALUE. */
static enum status parse_short(struct parse *p, int argc, char **argv, int *i, bool *help) {
    for (const char *c = argv[*i] + 1; *c; c++) {
        const struct option *o = find_letter(p->set, *c);
        char shown[3] = {'-', *c, 0};
        if (!o && *c == 'h') {
            *help = true;
            return ST_OK;
        }
        if (!o)
            return unknown(p, argv[*i][2] ? argv[*i] : shown, argv[*i] + 1, strlen(argv[*i] + 1));
        if (!o->read) {
            enum status s = take(p, o, NULL);
            if (s)
                return s;
            continue;
        }
        if (c[1])
            return take(p, o, c + 1 + (c[1] == '='));
        if (*i + 1 >= argc)
            return missing(p, o);
        return take(p, o, argv[++*i]);
    }
    return ST_OK;
}

enum status options_parse(const struct option_set *set, int argc, char **argv, void *values, int *noperands, bool *help,
                          struct err *e) {
    struct parse p = {set, values, e};
    int n = 0;
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        if (only_operands || a[0] != '-' || !a[1]) {
            argv[n++] = argv[i];
            only_operands |= set->stop_at_first;
            continue;
        }
        enum status s;
        if (!strcmp(a, "--")) {
            only_operands = true;
            continue;
        } else if (!strcmp(a, "--help")) {
            *help = true;
            s = ST_OK;
        } else if (a[1] == '-') {
            s = parse_long(&p, argc, argv, &i);
        } else {
            s = parse_short(&p, argc, argv, &i, help);
        }
        if (s)
            return s;
        if (*help)
            return ST_OK;
    }
    *noperands = n;
    return ST_OK;
}

/* ---- help ---- */

enum { HELP_COLUMN = 30 };

void options_help(const struct option_set *set, struct buf *out) {
    for (uint32_t i = 0; i < set->nrows; i++) {
        const struct option *o = &set->rows[i];
        char names[80];
        int n = snprintf(names, sizeof names, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                         o->letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
        must(n > 0 && (size_t)n < sizeof names);
        if (n > HELP_COLUMN - 2)
            buf_print(out, "%s\n%*s", names, HELP_COLUMN, "");
        else
            buf_print(out, "%-*s", HELP_COLUMN, names);
        for (const char *line = o->help; line;) {
            const char *end = strchr(line, '\n');
            buf_print(out, "%.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
            if (end)
                buf_print(out, "%*s", HELP_COLUMN, "");
            line = end ? end + 1 : NULL;
        }
    }
}
