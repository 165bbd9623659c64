#include "base/units.h"

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

#define READ_SCALED(text, units, what, examples, out, e) \
    read_scaled(text, units, sizeof units / sizeof *units, what, examples, out, e)

enum status units_size(const char *text, uint64_t *out, struct err *e) {
    static const struct unit units[] = {
        {"B", 1},          {"k", 1ull << 10},   {"K", 1ull << 10},   {"M", 1ull << 20},   {"G", 1ull << 30},
        {"T", 1ull << 40}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40},
        {"kB", 1000},      {"KB", 1000},        {"MB", 1000000},     {"GB", 1000000000},  {"TB", 1000000000000},
    };
    return READ_SCALED(text, units, "size", "64KiB, 256MiB or 10GB", out, e);
}

enum status units_duration(const char *text, uint64_t *out, struct err *e) {
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
    return READ_SCALED(text, units, "duration", "250ms, 30s, 5m or 1h", out, e);
}

enum status units_count(const char *text, uint64_t *out, struct err *e) {
    static const struct unit units[] = {
        {"", 1}, {"k", 1000}, {"K", 1000}, {"M", 1000000}, {"G", 1000000000}, {"T", 1000000000000},
    };
    return READ_SCALED(text, units, "number", "1000, 500M or 2G", out, e);
}
