/* units.h: numbers with units as people write them, on the command line and in files.
 *
 * Each reads the whole of `text`, a decimal number, possibly with a fraction, and a unit. ST_INVALID: the error says
 * what is wrong with the text, without saying where it stood. */
#ifndef AEON_BASE_UNITS_H
#define AEON_BASE_UNITS_H

#include "base/bytes.h"
#include "base/err.h"

enum status units_size(const char *text, uint64_t *out, struct err *e);     /* bytes: 4096, 64KiB, 10GB */
enum status units_duration(const char *text, uint64_t *out, struct err *e); /* ns: 250ms, 30s, 1h; alone: seconds */
enum status units_count(const char *text, uint64_t *out, struct err *e);    /* 1000, 500M, 2G */

#endif
