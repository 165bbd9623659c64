/* cli.h: the command line: a table of commands, what they share, and the exit statuses.
 *
 * run and replay end with the guest's own status; 125 when aeon itself fails or a replay differs, 126 when the module
 * cannot run, 128+n after signal n.  Every other command: 0 yes or done, 1 no, differs or denied, 2 failure.  Data goes
 * to standard output, everything else to standard error. */
#ifndef AEON_CLI_CLI_H
#define AEON_CLI_CLI_H

#include "cli/options.h"
#include "cli/print.h"
#include "node/node.h"

enum {
    EXIT_YES = 0,
    EXIT_NO = 1,
    EXIT_FAILED = 2,       /* of commands that speak for themselves */
    EXIT_AEON = 125,       /* of commands that end with a guest's status */
    EXIT_CANNOT_RUN = 126, /* likewise: no module, or not one that can run */
};

struct cli;

struct command {
    const char *name;
    const char *operands; /* as in the usage line */
    const char *summary;  /* a line of `aeon help` */
    const char *about;    /* the rest of `aeon help NAME`, lines as they are printed */
    const struct option *options;
    uint32_t noptions;
    size_t values_size;             /* of the struct the options are read into, handed to `run` */
    const void *defaults;           /* what it holds at first; NULL: zeros */
    int min_operands, max_operands; /* -1: any number */
    bool stop_at_first;             /* as struct option_set */
    int failed;                     /* exit status when aeon itself fails */
    int (*run)(struct cli *c, void *values, int n, char **operands);
};

struct cli {
    const struct command *command;
    bool color_out, color_err;
};

// clang-format off
#define CLI_COMMANDS(X) \
    X(run) X(ls) X(show) X(logs) X(trace) X(replay) X(verify) X(rm) X(policy) \
    X(compile) X(cache) X(version) X(help)
// clang-format on

#define X(name) extern const struct command cmd_##name;
CLI_COMMANDS(X)
#undef X

extern const struct command *const cli_commands[];
extern const uint32_t cli_ncommands;

/* Says the error on standard error and returns the command's status for failures. */
int cli_failed(const struct cli *c, const struct err *e);
/* A remark on standard error, of one or more lines: "aeon: ...". */
void cli_note(const struct cli *c, const char *text);

void cli_usage(const struct command *cmd, FILE *f);
const struct command *cli_find(const char *name, struct err *e); /* NULL: there is none, and the error says so */

/* Prints `b` and a newline on standard output. */
void cli_print_line(struct buf *b);

#endif
