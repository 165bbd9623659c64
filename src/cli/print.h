/* print.h: how things are shown to a person, and as JSON to a program. */
#ifndef AEON_CLI_PRINT_H
#define AEON_CLI_PRINT_H

#include "base/buf.h"

#include <stdio.h>

/* True when colour belongs on `f`: a terminal, NO_COLOR not set, TERM not "dumb". */
bool color_wanted(FILE *f);

enum style { STYLE_NONE, STYLE_DIM, STYLE_BOLD, STYLE_RED, STYLE_GREEN, STYLE_YELLOW };
/* The escape sequence that begins `s` (STYLE_NONE: that ends any), or "" without `color`. */
const char *style_code(enum style s, bool color);

/* ---- units; each returns `out` ---- */

enum { HUMAN_MAX = 32 };
char *human_duration(uint64_t ns, char out[HUMAN_MAX]);  /* 1.2 ms, 3.41 s, 2 h 05 min */
char *human_size(uint64_t bytes, char out[HUMAN_MAX]);   /* 812 B, 1.2 MiB */
char *human_count(uint64_t n, char out[HUMAN_MAX]);      /* 1 234 567 */
char *human_time(uint64_t real_ns, char out[HUMAN_MAX]); /* local, to the second */
char *iso_time(uint64_t real_ns, char out[HUMAN_MAX]);   /* UTC, RFC 3339 with milliseconds */

/* Appends `text` with control characters and bytes that are not UTF-8 escaped, so that it cannot play tricks on a
 * terminal. */
void print_safe(struct buf *out, const char *text, size_t n);

/* ---- tables ---- */

enum { TABLE_COLUMNS = 12 };

/* Cells are collected, then printed with each column as wide as its widest cell. */
struct table {
    const char *heads[TABLE_COLUMNS]; /* a head that begins with '>' stands at the right */
    uint32_t ncolumns;
    char **cells;
    enum style *styles;
    uint32_t ncells;
};

void table_init(struct table *t, uint32_t ncolumns, const char *const *heads);
void table_deinit(struct table *t);
void table_cell(struct table *t, enum style style, const char *text);
void table_print(const struct table *t, FILE *f, bool color);

/* ---- JSON ---- */

/* Writes JSON into a buffer; commas come by themselves. `key` is NULL inside arrays and at the top. */
struct json {
    struct buf *out;
    bool comma;
};

void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                 /* '}' or ']' */
void json_string(struct json *j, const char *key, const char *text);
void json_bytes(struct json *j, const char *key, struct span text); /* what is not UTF-8 becomes U+FFFD */
void json_number(struct json *j, const char *key, uint64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

#endif
