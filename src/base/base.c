#include "base/buf.h"
#include "base/err.h"
#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *status_text(enum status s) {
    static const char *const texts[] = {
#define X(name, text) text,
        STATUS_TABLE(X)
#undef X
    };
    must((unsigned)s < sizeof texts / sizeof *texts);
    return texts[s];
}

enum status err_set(struct err *e, enum status s, const char *fmt, ...) {
    must(s != ST_OK);
    if (e && e->status == ST_OK) {
        e->status = s;
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->text, sizeof e->text, fmt, ap);
        va_end(ap);
    }
    return s;
}

enum status err_wrap(struct err *e, enum status s, const char *fmt, ...) {
    if (!e)
        return s;
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", old[0] ? old : status_text(s));
    if (e->status == ST_OK)
        e->status = s;
    return e->status;
}

void err_clear(struct err *e) {
    e->status = ST_OK;
    e->text[0] = 0;
}

void must_failed(const char *cond, const char *file, int line) {
    fprintf(stderr, "aeon: bug: %s:%d: must(%s)\n", file, line, cond);
    abort();
}

void *mem_alloc(unsigned long size) {
    void *p = malloc(size ? size : 1);
    must(p != NULL);
    return p;
}

void *mem_zalloc(unsigned long size) {
    void *p = calloc(1, size ? size : 1);
    must(p != NULL);
    return p;
}

void *mem_realloc(void *p, unsigned long size) {
    void *q = realloc(p, size ? size : 1);
    must(q != NULL);
    return q;
}

char *mem_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    return memcpy(mem_alloc(n), s, n);
}

void mem_free(void *p) {
    free(p);
}
