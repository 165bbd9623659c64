#include "cli/options.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

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

struct unit {
    const char *name;
    uint64_t factor;
};

/* A decimal number, possibly with a fraction, and a unit. The first unit is the one meant where none stands; `what`
 * names the kind of thing for the error. */
static enum status read_scaled(const char *text, const struct unit *units, size_t nunits, const char *what,
                               const char *examples, uint64_t *out, struct err *e) {
    const char *p = text;
    uint64_t whole = 0, fraction = 0, divisor = 1;
    bool digits = false;
    for (; *p >= '0' && *p <= '9'; p++) {
        digits = true;
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
            return err_set(e, ST_INVALID, "'%s' is too large", text);
    }
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (divisor < 1000000000) {
                fraction = fraction * 10 + (uint64_t)(*p - '0');
                divisor *= 10;
            }
        }
    }
    if (!digits)
        return err_set(e, ST_INVALID, "'%s' is not a %s (such as %s)", text, what, examples);
    for (size_t i = 0; i < nunits; i++) {
        if (*p && strcmp(p, units[i].name))
            continue;
        if (!*p && i)
            break;
        uint64_t factor = units[i].factor;
        unsigned __int128 v = (unsigned __int128)whole * factor + (unsigned __int128)fraction * factor / divisor;
        if (v > UINT64_MAX)
            return err_set(e, ST_INVALID, "'%s' is too large", text);
        *out = (uint64_t)v;
        return ST_OK;
    }
    return err_set(e, ST_INVALID, "'%s' is not a %s (such as %s)", text, what, examples);
}

#define READ_SCALED(text, units, what, examples, field, e) \
    read_scaled(text, units, sizeof units / sizeof *units, what, examples, field, e)

enum status option_size(const char *text, void *field, struct err *e) {
    static const struct unit units[] = {
        {"B", 1},          {"k", 1ull << 10},   {"K", 1ull << 10},   {"M", 1ull << 20},   {"G", 1ull << 30},
        {"T", 1ull << 40}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40},
        {"kB", 1000},      {"KB", 1000},        {"MB", 1000000},     {"GB", 1000000000},  {"TB", 1000000000000},
    };
    return READ_SCALED(text, units, "size", "64KiB, 256MiB or 10GB", field, e);
}

enum status option_duration(const char *text, void *field, struct err *e) {
    static const struct unit units[] = {
        {"s", 1000000000},
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"m", 60 * 1000000000ull},
        {"min", 60 * 1000000000ull},
        {"h", 3600 * 1000000000ull},
        {"d", 86400 * 1000000000ull},
    };
    return READ_SCALED(text, units, "duration", "250ms, 30s, 5m or 1h", field, e);
}

enum status option_count(const char *text, void *field, struct err *e) {
    static const struct unit units[] = {
        {"", 1}, {"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}, {"T", 1000000000000},
    };
    return READ_SCALED(text, units, "number", "1000, 500M or 2G", field, e);
}

/* ---- names ---- */

/* Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; names here are short. */
static unsigned distance(const char *a, const char *b) {
    enum { LONGEST = 32 };
    size_t na = strlen(a), nb = strlen(b);
    unsigned row[3][LONGEST + 1];
    if (na > LONGEST || nb > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            if (prev[j] + 1 < best)
                best = prev[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *nearest_name(const char *word, const char *const *candidates, uint32_t n) {
    const char *best = NULL;
    unsigned least = (unsigned)strlen(word) / 3 + 1;
    for (uint32_t i = 0; i < n; i++) {
        unsigned d = distance(word, candidates[i]);
        if (d <= least && d < strlen(candidates[i])) {
            least = d ? d - 1 : 0;
            best = candidates[i];
        }
    }
    return best;
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
