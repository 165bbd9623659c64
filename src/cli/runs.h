/* runs.h: what commands that look at runs share: finding one, and a run in words and as JSON. */
#ifndef AEON_CLI_RUNS_H
#define AEON_CLI_RUNS_H

#include "cli/cli.h"

enum { OUTCOME_MAX = 320, RUN_SHORT_MAX = 16 };

/* The node, the run that was named and, when asked for, its reader. */
struct run {
    struct node *node;
    struct store_id id;
    struct store_reader *reader;
};

NODISCARD enum status run_open(struct run *r, const char *what, bool with_reader, struct err *e);
/* Also of a run that could not be opened; tells of a beginning that is not kept and of a torn tail. */
void run_close(const struct cli *c, struct run *r);

/* "exit 0", "trap: unreachable", "running", "unfinished", "damaged: ..." */
const char *run_outcome(const struct store_run *r, char out[OUTCOME_MAX]);
/* The same of a guest that ended so (enum guest_outcome). */
const char *run_outcome_words(uint64_t kind, uint64_t value, char out[OUTCOME_MAX]);
enum style run_outcome_style(const struct store_run *r);
const char *run_state_name(enum store_state state);

/* The members that ls and show have in common, into an open object. */
void run_json(struct json *j, const struct store_run *r);

/* "…3f9a2c17" */
const char *run_short_id(const struct store_id *id, char out[RUN_SHORT_MAX]);

#endif
