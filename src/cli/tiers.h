/* tiers.h: what commands that run code share about how it runs. */
#ifndef AEON_CLI_TIERS_H
#define AEON_CLI_TIERS_H

#include "cli/cli.h"

/* --tier: enum tier_mode. */
enum status option_tier(const char *text, void *field, struct err *e);

#define OPTION_TIER(offset)                                                \
    {"tier",                                                               \
     0,                                                                    \
     option_tier,                                                          \
     "auto|interp|compiled",                                               \
     offset,                                                               \
     "how code runs: interpreted, what is hot compiled meanwhile (auto,\n" \
     "the default); only interpreted; or compiled as a whole first"}

/* A tier that says what goes wrong, and how far it is, on standard error. Free it with tier_free. */
struct tier *tiers_new(const struct cli *c, struct node *n, enum tier_mode mode, uint32_t workers);

/* A line of progress, on a terminal only; `ctx` is not looked at. */
void tiers_progress(void *ctx, const struct tier_progress *p);
/* Takes that line away. */
void tiers_progress_end(void);

/* "LLVM 22.1.8 for x86_64 znver5"; the features that follow are for --json. */
const char *tiers_compiler(const struct tier_report *r, char out[360]);

/* Members of an open object. */
void tiers_json(struct json *j, const struct tier_report *r);

#endif
