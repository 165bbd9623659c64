/* ending.h: how a guest's end is told; the same after run and after replay. */
#ifndef AEON_CLI_ENDING_H
#define AEON_CLI_ENDING_H

#include "cli/cli.h"

/* Says on standard error why the guest ended, unless it exited by itself, and returns the exit status that tells it.
 * `who`: "the guest", or its name among several. */
int ending_say(const struct cli *c, const char *who, enum guest_outcome outcome, uint64_t value, const char *words);

#endif
