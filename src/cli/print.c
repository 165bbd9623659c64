#include "cli/print.h"

#include "base/must.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

bool color_wanted(FILE *f) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no && *no) && !(term && !strcmp(term, "dumb")) && isatty(fileno(f));
}

const char *style_code(enum style s, bool color) {
    static const char *const codes[] = {
        [STYLE_NONE] = "\033[0m", [STYLE_DIM] = "\033[2m",    [STYLE_BOLD] = "\033[1m",
        [STYLE_RED] = "\033[31m", [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m",
    };
    return color ? codes[s] : "";
}

/* ---- units ---- */

/* Three significant digits: 1.23, 12.3, 123. */
static void three_digits(double v, const char *unit, char out[HUMAN_MAX]) {
    snprintf(out, HUMAN_MAX, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit);
}

char *human_duration(uint64_t ns, char out[HUMAN_MAX]) {
    const uint64_t second = 1000000000, hour = 3600 * second;
    if (ns < 1000)
        snprintf(out, HUMAN_MAX, "%u ns", (unsigned)ns);
    else if (ns < 999500)
        three_digits((double)ns / 1e3, "us", out);
    else if (ns < 999500000)
        three_digits((double)ns / 1e6, "ms", out);
    else if (ns < 100 * second)
        three_digits((double)ns / 1e9, "s", out);
    else if (ns < hour)
        snprintf(out, HUMAN_MAX, "%u min %02u s", (unsigned)(ns / (60 * second)), (unsigned)(ns / second % 60));
    else
        snprintf(out, HUMAN_MAX, "%llu h %02u min", (unsigned long long)(ns / hour),
                 (unsigned)(ns / (60 * second) % 60));
    return out;
}

char *human_size(uint64_t bytes, char out[HUMAN_MAX]) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes / 1024;
    unsigned i = 0;
    if (bytes < 1024) {
        snprintf(out, HUMAN_MAX, "%u B", (unsigned)bytes);
        return out;
    }
    for (; v >= 999.5; i++)
        v /= 1024;
    three_digits(v, units[i], out);
    return out;
}

char *human_count(uint64_t n, char out[HUMAN_MAX]) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ' ';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

char *human_time(uint64_t real_ns, char out[HUMAN_MAX]) {
    time_t t = (time_t)(real_ns / 1000000000);
    struct tm tm;
    must(localtime_r(&t, &tm) && strftime(out, HUMAN_MAX, "%Y-%m-%d %H:%M:%S", &tm));
    return out;
}

char *iso_time(uint64_t real_ns, char out[HUMAN_MAX]) {
    time_t t = (time_t)(real_ns / 1000000000);
    struct tm tm;
    size_t n = gmtime_r(&t, &tm) ? strftime(out, HUMAN_MAX, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
    must(n != 0);
    snprintf(out + n, HUMAN_MAX - n, ".%03uZ", (unsigned)(real_ns / 1000000 % 1000));
    return out;
}

/* ---- text ---- */

/* The length of the UTF-8 character at p, 0 when there is none (overlong forms, surrogates and C1 controls included).
 */
static size_t utf8_length(const uint8_t *p, size_t n) {
    uint8_t c = p[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xc2 && p[1] < 0xa0) || (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

void print_safe(struct buf *out, const char *text, size_t n) {
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    while (p < end) {
        size_t len = utf8_length(p, (size_t)(end - p));
        if (len && *p >= 0x20 && *p != 0x7f) {
            buf_append(out, p, len);
            p += len;
        } else if (*p == '\n') {
            buf_print(out, "\\n");
            p++;
        } else if (*p == '\t') {
            buf_print(out, "\\t");
            p++;
        } else {
            buf_print(out, "\\x%02x", *p++);
        }
    }
}

static size_t display_width(const char *s) {
    size_t n = 0;
    for (; *s; s++)
        n += ((uint8_t)*s & 0xc0) != 0x80;
    return n;
}

/* ---- tables ---- */

void table_init(struct table *t, uint32_t ncolumns, const char *const *heads) {
    must(ncolumns <= TABLE_COLUMNS);
    *t = (struct table){.ncolumns = ncolumns};
    memcpy(t->heads, heads, ncolumns * sizeof *heads);
}

void table_deinit(struct table *t) {
    for (uint32_t i = 0; i < t->ncells; i++)
        mem_free(t->cells[i]);
    mem_free(t->cells);
    mem_free(t->styles);
}

void table_cell(struct table *t, enum style style, const char *text) {
    if (t->ncells % 64 == 0) {
        t->cells = mem_realloc(t->cells, (t->ncells + 64) * sizeof *t->cells);
        t->styles = mem_realloc(t->styles, (t->ncells + 64) * sizeof *t->styles);
    }
    t->styles[t->ncells] = style;
    t->cells[t->ncells++] = mem_strdup(text);
}

static void print_cell(FILE *f, const char *text, size_t width, bool right, bool last, enum style style, bool color) {
    int pad = (int)(width - display_width(text));
    if (right)
        fprintf(f, "%*s", pad, "");
    if (style != STYLE_NONE)
        fprintf(f, "%s%s%s", style_code(style, color), text, style_code(STYLE_NONE, color));
    else
        fputs(text, f);
    if (last)
        fputc('\n', f);
    else
        fprintf(f, "%*s", right ? 2 : pad + 2, "");
}

void table_print(const struct table *t, FILE *f, bool color) {
    size_t widths[TABLE_COLUMNS];
    uint32_t n = t->ncolumns;
    must(t->ncells % n == 0);
    for (uint32_t c = 0; c < n; c++) {
        widths[c] = display_width(t->heads[c]) - (t->heads[c][0] == '>');
        for (uint32_t i = c; i < t->ncells; i += n)
            if (display_width(t->cells[i]) > widths[c])
                widths[c] = display_width(t->cells[i]);
    }
    for (uint32_t c = 0; c < n; c++) {
        bool right = t->heads[c][0] == '>';
        print_cell(f, t->heads[c] + right, widths[c], right, c + 1 == n, STYLE_DIM, color);
    }
    for (uint32_t i = 0; i < t->ncells; i++)
        print_cell(f, t->cells[i], widths[i % n], t->heads[i % n][0] == '>', (i + 1) % n == 0, t->styles[i], color);
}

/* ---- JSON ---- */

static void quote(struct buf *out, struct span text) {
    const uint8_t *p = text.data, *end = p + text.size;
    buf_byte(out, '"');
    while (p < end) {
        size_t len = utf8_length(p, (size_t)(end - p));
        if (*p == '"' || *p == '\\') {
            buf_print(out, "\\%c", *p++);
        } else if (*p == '\n') {
            buf_print(out, "\\n");
            p++;
        } else if (*p < 0x20 || *p == 0x7f) {
            buf_print(out, "\\u%04x", *p++);
        } else if (len) {
            buf_append(out, p, len);
            p += len;
        } else {
            buf_print(out, "\xef\xbf\xbd");
            p++;
        }
    }
    buf_byte(out, '"');
}

static void begin_value(struct json *j, const char *key) {
    if (j->comma)
        buf_byte(j->out, ',');
    j->comma = true;
    if (key) {
        quote(j->out, SPAN_STR(key));
        buf_byte(j->out, ':');
    }
}

void json_open(struct json *j, const char *key, char bracket) {
    begin_value(j, key);
    buf_byte(j->out, (uint8_t)bracket);
    j->comma = false;
}

void json_close(struct json *j, char bracket) {
    buf_byte(j->out, (uint8_t)bracket);
    j->comma = true;
}

void json_string(struct json *j, const char *key, const char *text) {
    begin_value(j, key);
    quote(j->out, SPAN_STR(text));
}

void json_bytes(struct json *j, const char *key, struct span text) {
    begin_value(j, key);
    quote(j->out, text);
}

void json_number(struct json *j, const char *key, uint64_t v) {
    begin_value(j, key);
    buf_print(j->out, "%llu", (unsigned long long)v);
}

void json_bool(struct json *j, const char *key, bool v) {
    begin_value(j, key);
    buf_print(j->out, v ? "true" : "false");
}

void json_null(struct json *j, const char *key) {
    begin_value(j, key);
    buf_print(j->out, "null");
}
