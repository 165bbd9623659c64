/* aeon version */
#include "cli/tiers.h"

#include "journal/journal.h"
#include "wasm/wasm.h"

struct version_options {
    bool json;
};

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct version_options, json), "as one JSON object"},
};

static void look_for_compiler(struct tier_report *out, struct err *why) {
    static const struct tier_options nothing;
    struct node *n;
    if (node_open(false, &n, why))
        return;
    struct tier *t = node_tier_new(n, &nothing);
    (void)!tier_describe(t, out, why);
    tier_free(t);
    node_close(n);
}

static int version(struct cli *c, void *values, int n, char **operands) {
    const struct version_options *o = values;
    struct tier_report compiler = {0};
    struct err why = ERR_INIT;
    char text[360];
    (void)c, (void)n, (void)operands;
    look_for_compiler(&compiler, &why);
    struct buf b;
    buf_init(&b, 4096);
    if (o->json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_string(&j, "version", AEON_VERSION);
        json_number(&j, "journal_format", JOURNAL_FORMAT_VERSION);
        json_number(&j, "semantics", WASM_SEMANTICS_VERSION);
        json_open(&j, "compiled_tier", '{');
        json_bool(&j, "available", !why.status);
        json_string(&j, why.status ? "why" : "llvm", why.status ? why.text : compiler.version);
        if (!why.status)
            json_string(&j, "target", compiler.target);
        json_close(&j, '}');
        json_close(&j, '}');
    } else {
        buf_print(&b, "aeon %s (journal format %d, engine semantics %d)", AEON_VERSION, JOURNAL_FORMAT_VERSION,
                  WASM_SEMANTICS_VERSION);
        buf_print(&b, "\ncompiled tier: %s%s", why.status ? "none: " : "",
                  why.status ? why.text : tiers_compiler(&compiler, text));
    }
    cli_print_line(&b);
    buf_deinit(&b);
    return EXIT_YES;
}

const struct command cmd_version = {
    .name = "version",
    .operands = "",
    .summary = "version of aeon, of the journal format, of the engine and of the compiler",
    .about =
        "Prints the version of aeon, of the journal format it writes, and of the engine's semantics: a journal is\n"
        "replayed by the same version of the semantics. Then which compiler there is, or why there is none: code is\n"
        "interpreted then, with the same results.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct version_options),
    .failed = EXIT_FAILED,
    .run = version,
};
