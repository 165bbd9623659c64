/* aeon version */
#include "cli/cli.h"

#include "journal/journal.h"
#include "wasm/wasm.h"

struct version_options {
    bool json;
};

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct version_options, json), "as one JSON object"},
};

static int version(struct cli *c, void *values, int n, char **operands) {
    const struct version_options *o = values;
    (void)c, (void)n, (void)operands;
    struct buf b;
    buf_init(&b, 4096);
    if (o->json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_string(&j, "version", AEON_VERSION);
        json_number(&j, "journal_format", JOURNAL_FORMAT_VERSION);
        json_number(&j, "semantics", WASM_SEMANTICS_VERSION);
        json_close(&j, '}');
    } else {
        buf_print(&b, "aeon %s (journal format %d, engine semantics %d)", AEON_VERSION, JOURNAL_FORMAT_VERSION,
                  WASM_SEMANTICS_VERSION);
    }
    cli_print_line(&b);
    buf_deinit(&b);
    return EXIT_YES;
}

const struct command cmd_version = {
    .name = "version",
    .operands = "",
    .summary = "version of aeon, of the journal format and of the engine's semantics",
    .about =
        "Prints the version of aeon, of the journal format it writes, and of the engine's semantics: a journal is\n"
        "replayed by the same version of the semantics.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct version_options),
    .failed = EXIT_FAILED,
    .run = version,
};
