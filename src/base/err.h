/* err.h: the human sentence that goes with a status.
 *
 * The first error wins: err_set on an error that is already set changes nothing, so that cleanup code cannot hide a
 * cause.  Every function takes a NULL `e` and then only passes the status through. */
#ifndef AEON_BASE_ERR_H
#define AEON_BASE_ERR_H

#include "base/status.h"

struct err {
    enum status status;
    char text[640]; /* what was tried, on what, why it failed, what to do; no newline */
};

#define ERR_INIT {ST_OK, {0}}

/* Sets `e` unless it is set already; returns `s` in any case. */
enum status err_set(struct err *e, enum status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts `fmt` and ": " in front of a text that is already set; for context on the way up. Returns e->status (or `s` when
 * e is NULL). */
enum status err_wrap(struct err *e, enum status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void err_clear(struct err *e);

#endif
