/* aeon logs ID */
#include "cli/runs.h"

#include "machine/machine.h"

/* How often a run that is followed is looked at. */
enum { FOLLOW_MS = 25 };

struct logs_options {
    bool only_stdout, only_stderr, follow;
};

static const struct option options[] = {
    {"stdout", 0, NULL, NULL, offsetof(struct logs_options, only_stdout), "only what went to standard output"},
    {"stderr", 0, NULL, NULL, offsetof(struct logs_options, only_stderr),
     "only what went to standard error (printed on standard output)"},
    {"follow", 'f', NULL, NULL, offsetof(struct logs_options, follow),
     "stay with a run that still goes on, until it ends"},
};

static void output(void *ctx, enum machine_stream stream, struct span bytes) {
    const struct logs_options *o = ctx;
    FILE *f = stream == MACHINE_STDERR ? stderr : stdout;
    if (o->only_stdout != o->only_stderr) {
        if (o->only_stdout != (stream == MACHINE_STDOUT))
            return;
        f = stdout;
    }
    if (f == stderr)
        fflush(stdout);
    fwrite(bytes.data, 1, bytes.size, f);
}

static enum status print_all(const struct run *run, const struct logs_options *o, struct err *e) {
    struct world *w = node_world(run->node);
    struct machine_streams *streams = machine_streams_new(output, (void *)o);
    enum status s;
    while (!(s = machine_logs(run->reader, streams, e)) && o->follow && !ferror(stdout)) {
        fflush(stdout);
        w->ops->wait(w, NULL, 0, world_now(w, WORLD_MONOTONIC) + FOLLOW_MS * 1000000ull);
    }
    if (s == ST_END) {
        machine_streams_flush(streams);
        s = ST_OK;
    }
    machine_streams_free(streams);
    return s;
}

static int logs(struct cli *c, void *values, int n, char **operands) {
    struct run run;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n;
    if (run_open(&run, operands[0], true, &e) || print_all(&run, values, &e))
        status = cli_failed(c, &e);
    run_close(c, &run);
    return status;
}

const struct command cmd_logs = {
    .name = "logs",
    .operands = "ID",
    .summary = "what a run printed",
    .about = "Prints what the guest wrote to standard output and standard error, in the order in which it wrote it, "
             "each to\n"
             "the stream it went to. It is read from the journal: the program does not run again.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct logs_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = logs,
};
