/* aeon trace ID */
#include "cli/runs.h"

#include "machine/machine.h"

enum { SHORT_WIDTH = 48 };

struct trace_options {
    bool json, verbose, has_count;
    uint64_t from, count;
};

static enum status read_count(const char *text, void *field, struct err *e) {
    struct trace_options *o = field;
    o->has_count = true;
    return option_count(text, &o->count, e);
}

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct trace_options, json), "one JSON object a line, with everything in it"},
    {"from", 0, option_count, "N", offsetof(struct trace_options, from), "begin at record N"},
    {"count", 'n', read_count, "N", 0, "show at most N lines"},
    {"verbose", 'v', NULL, NULL, offsetof(struct trace_options, verbose), "show strings whole, however long"},
};

static enum status print_all(struct store_reader *reader, const struct trace_options *o, struct err *e) {
    const struct machine_trace_options how = {
        .json = o->json,
        .width = o->verbose ? 0 : SHORT_WIDTH,
        .from = o->from,
        .count = o->has_count ? o->count : UINT64_MAX,
    };
    struct machine_trace *trace = NULL;
    struct span line;
    enum status s = machine_trace_new(reader, &how, &trace, e);
    if (s)
        return s;
    while (!(s = machine_trace_next(trace, &line, e)) && !ferror(stdout)) {
        fwrite(line.data, 1, line.size, stdout);
        fputc('\n', stdout);
    }
    machine_trace_free(trace);
    return s == ST_END ? ST_OK : s;
}

static int trace(struct cli *c, void *values, int n, char **operands) {
    struct run run;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n;
    if (run_open(&run, operands[0], true, &e) || print_all(run.reader, values, &e))
        status = cli_failed(c, &e);
    run_close(c, &run);
    return status;
}

const struct command cmd_trace = {
    .name = "trace",
    .operands = "ID",
    .summary = "every call across the sandbox's edge, decoded",
    .about = "Prints every call the guest made, in the manner of strace: record number, time since the start, the call "
             "with\n"
             "its arguments, its result and what it brought.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct trace_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = trace,
};
