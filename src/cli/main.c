/* main.c: finds the command, reads its options, runs it. */
#include "cli/cli.h"

#include "base/must.h"
#include "base/nearest.h"

#include <errno.h>

const struct command *const cli_commands[] = {
#define X(name) &cmd_##name,
    CLI_COMMANDS(X)
#undef X
};
const uint32_t cli_ncommands = sizeof cli_commands / sizeof *cli_commands;

/* Texts may quote what a guest or a file says: nothing in them reaches a terminal but printable characters. */
static void say(const struct cli *c, enum style style, const char *who, const char *text) {
    struct buf b;
    buf_init(&b, 1 << 16);
    buf_print(&b, "%saeon%s%s:%s ", style_code(style, c->color_err), who ? " " : "", who ? who : "",
              style_code(STYLE_NONE, c->color_err));
    for (const char *line = text; line;) {
        const char *end = strchr(line, '\n');
        print_safe(&b, line, end ? (size_t)(end - line) : strlen(line));
        buf_byte(&b, '\n');
        line = end && end[1] ? end + 1 : NULL;
    }
    fflush(stdout);
    fwrite(b.data, 1, b.size, stderr);
    buf_deinit(&b);
}

int cli_failed(const struct cli *c, const struct err *e) {
    say(c, STYLE_RED, c->command ? c->command->name : NULL, e->text[0] ? e->text : status_text(e->status));
    return c->command ? c->command->failed : EXIT_FAILED;
}

void cli_note(const struct cli *c, const char *text) {
    say(c, STYLE_YELLOW, NULL, text);
}

void cli_print_line(struct buf *b) {
    must(!b->failed);
    buf_byte(b, '\n');
    fwrite(b->data, 1, b->size, stdout);
}

const struct command *cli_find(const char *name, struct err *e) {
    const char *names[sizeof cli_commands / sizeof *cli_commands];
    for (uint32_t i = 0; i < cli_ncommands; i++) {
        names[i] = cli_commands[i]->name;
        if (!strcmp(names[i], name))
            return cli_commands[i];
    }
    const char *like = nearest_name(name, names, cli_ncommands);
    if (like)
        err_set(e, ST_NOT_FOUND, "there is no command '%s': did you mean %s? (see `aeon help`)", name, like);
    else
        err_set(e, ST_NOT_FOUND, "there is no command '%s': see `aeon help`", name);
    return NULL;
}

static void free_values(const struct command *cmd, char *values) {
    for (uint32_t i = 0; i < cmd->noptions; i++)
        if (cmd->options[i].read == option_append)
            mem_free(((struct option_list *)(void *)(values + cmd->options[i].offset))->items);
    mem_free(values);
}

static int run_command(struct cli *c, int argc, char **argv) {
    const struct command *cmd = c->command;
    const struct option_set set = {cmd->name, cmd->options, cmd->noptions, cmd->stop_at_first};
    struct err e = ERR_INIT;
    void *values = mem_zalloc(cmd->values_size);
    bool help = false;
    int n = 0, status;
    if (cmd->defaults)
        memcpy(values, cmd->defaults, cmd->values_size);
    if (options_parse(&set, argc, argv, values, &n, &help, &e)) {
        status = cli_failed(c, &e);
    } else if (help) {
        cli_usage(cmd, stdout);
        status = EXIT_YES;
    } else if (n < cmd->min_operands || (cmd->max_operands >= 0 && n > cmd->max_operands)) {
        err_set(&e, ST_INVALID, "%s: aeon %s%s%s%s (see `aeon help %s`)",
                n < cmd->min_operands ? "an argument is missing" : "too many arguments", cmd->name,
                cmd->noptions ? " [OPTIONS]" : "", *cmd->operands ? " " : "", cmd->operands, cmd->name);
        status = cli_failed(c, &e);
    } else {
        status = cmd->run(c, values, n, argv);
    }
    free_values(cmd, values);
    return status;
}

/* Data that could not be written is a failure, whatever the command made of it. */
static int finish(const struct cli *c, int status) {
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    struct err e = ERR_INIT;
    err_set(&e, ST_IO, "writing to standard output failed: %s", errno ? strerror(errno) : "an earlier write did");
    return cli_failed(c, &e);
}

int main(int argc, char **argv) {
    struct cli c = {.color_out = color_wanted(stdout), .color_err = color_wanted(stderr)};
    struct err e = ERR_INIT;
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        cli_usage(NULL, stderr);
        return EXIT_FAILED;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    else if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        name = "version";
    c.command = cli_find(name, &e);
    if (!c.command)
        return cli_failed(&c, &e);
    return finish(&c, run_command(&c, argc - 2, argv + 2));
}
