/* runs.h: a run's line and its details, as words and as JSON; shared by ls and show. */
#ifndef AEON_CLI_RUNS_H
#define AEON_CLI_RUNS_H

#include "cli/print.h"
#include "store/store.h"

enum { OUTCOME_MAX = 320 };

/* "exit 0", "trap: unreachable", "running", "unfinished", ...; `words` are END's own, may be empty. */
const char *run_outcome(enum store_state state, uint64_t kind, uint64_t value, const char *problem,
                        char out[OUTCOME_MAX]);
enum style run_outcome_style(enum store_state state, uint64_t kind, uint64_t value);
const char *run_state_name(enum store_state state);

/* The members that ls and show have in common, into an open object. */
void run_json(struct json *j, const struct store_run *r);

/* "…3f9a2c17" */
const char *run_short_id(const struct store_id *id, char out[16]);

#endif
