/* aeon replay ID */
#include "cli/ending.h"
#include "cli/runs.h"
#include "cli/tiers.h"

#include "machine/machine.h"

struct replay_options {
    enum tier_mode tier;
};

static const struct option options[] = {
    OPTION_TIER(offsetof(struct replay_options, tier)),
};

static void output(void *ctx, enum machine_stream stream, struct span bytes) {
    (void)ctx;
    if (stream == MACHINE_STDERR)
        fflush(stdout);
    fwrite(bytes.data, 1, bytes.size, stream == MACHINE_STDERR ? stderr : stdout);
}

static int replay(struct cli *c, void *values, int n, char **operands) {
    const struct replay_options *o = values;
    struct machine_replay_options how = {.output = output, .until_ticks = UINT64_MAX};
    struct machine_replay_result result;
    struct run run;
    struct err e = ERR_INIT;
    int status;
    (void)n;
    enum status s = run_open(&run, operands[0], true, &e);
    if (!s) {
        how.tier = tiers_new(c, run.node, o->tier, 0);
        s = machine_replay(node_store(run.node), run.reader, &how, &result, &e);
        tier_free(how.tier);
    }
    if (s)
        status = cli_failed(c, &e);
    else
        status = ending_say(c, "the guest", result.outcome, result.value, result.words);
    run_close(c, &run);
    return status;
}

const struct command cmd_replay = {
    .name = "replay",
    .operands = "ID",
    .summary = "run it again from its journal: same output, same exit status",
    .about =
        "Runs the module again, every answer of the machine taken from the journal: no file is opened, no clock read. "
        "What\n"
        "it prints and the exit status are the recorded run's. Everything the guest does is compared with the record;\n"
        "where it differs, replay stops, says where, shows both sides, and ends with 125. Of a run that was cut short\n"
        "(killed, power lost) it comes to the last finished call, and ends with 137.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct replay_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_AEON,
    .run = replay,
};
