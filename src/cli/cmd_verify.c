/* aeon verify ID */
#include "cli/runs.h"
#include "cli/tiers.h"

#include "machine/machine.h"

struct verify_options {
    enum tier_mode tier;
    bool json;
};

static const struct option options[] = {
    OPTION_TIER(offsetof(struct verify_options, tier)),
    {"json", 0, NULL, NULL, offsetof(struct verify_options, json), "one JSON object a step"},
};

struct progress {
    const struct cli *cli;
    bool json, failed;
};

static void step(void *ctx, const char *name, bool ok, const char *found) {
    struct progress *p = ctx;
    struct buf b;
    buf_init(&b, 1 << 16);
    p->failed |= !ok;
    if (p->json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_string(&j, "step", name);
        json_bool(&j, "ok", ok);
        json_string(&j, "found", found);
        json_close(&j, '}');
    } else {
        bool color = p->cli->color_out;
        buf_print(&b, "%s%-4s%s %s: %s", style_code(ok ? STYLE_GREEN : STYLE_RED, color), ok ? "ok" : "FAIL",
                  style_code(STYLE_NONE, color), name, found);
    }
    cli_print_line(&b);
    fflush(stdout);
    buf_deinit(&b);
}

static int verify(struct cli *c, void *values, int n, char **operands) {
    const struct verify_options *o = values;
    struct progress p = {.cli = c, .json = o->json};
    struct run run;
    struct tier *tier = NULL;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n;
    enum status s = run_open(&run, operands[0], false, &e);
    if (!s) {
        tier = tiers_new(c, run.node, o->tier, 0);
        s = machine_verify(node_store(run.node), &run.id, tier, step, &p, &e);
    }
    if (s)
        status = p.failed ? EXIT_NO : cli_failed(c, &e);
    tier_free(tier);
    run_close(c, &run);
    return status;
}

const struct command cmd_verify = {
    .name = "verify",
    .operands = "ID",
    .summary = "is the journal whole, the module right, and does a replay agree",
    .about = "Checks a run step by step: every byte of the journal, the module, and a replay to the last record. Exit "
             "status\n"
             "0: all holds; 1: something does not, and the step says what and where; 2: it could not be looked at.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct verify_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = verify,
};
