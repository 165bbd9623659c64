/* aeon help [COMMAND] */
#include "cli/cli.h"

void cli_usage(const struct command *cmd, FILE *f) {
    struct buf b;
    buf_init(&b, 1 << 16);
    if (!cmd) {
        buf_print(&b, "aeon runs WebAssembly programs in a sandbox, records what crosses its edge, and replays them "
                      "bit for bit.\n"
                      "\nUsage: aeon COMMAND ...\n\n");
        for (uint32_t i = 0; i < cli_ncommands; i++)
            buf_print(&b, "  %-9s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
        buf_print(
            &b,
            "\n`aeon help COMMAND` says more. A run is named by any unique beginning or end of its id, or by `last`.\n"
            "Runs are kept below $AEON_HOME, else $XDG_DATA_HOME/aeon, else ~/.local/share/aeon.\n");
    } else {
        const struct option_set set = {cmd->name, cmd->options, cmd->noptions, cmd->stop_at_first};
        buf_print(&b, "Usage: aeon %s%s%s%s\n\n%s\n", cmd->name, cmd->noptions ? " [OPTIONS]" : "",
                  *cmd->operands ? " " : "", cmd->operands, cmd->about);
        if (cmd->noptions) {
            buf_print(&b, "\nOptions:\n");
            options_help(&set, &b);
        }
    }
    fwrite(b.data, 1, b.size, f);
    buf_deinit(&b);
}

static int help(struct cli *c, void *values, int n, char **operands) {
    (void)values;
    if (!n) {
        cli_usage(NULL, stdout);
        return EXIT_YES;
    }
    struct err e = ERR_INIT;
    const struct command *cmd = cli_find(operands[0], &e);
    if (!cmd)
        return cli_failed(c, &e);
    cli_usage(cmd, stdout);
    return EXIT_YES;
}

const struct command cmd_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "what the commands do, or all about one",
    .about = "Without COMMAND lists the commands.",
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = help,
};
