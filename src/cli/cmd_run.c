/* aeon run MODULE [ARGS...] */
#include "cli/ending.h"
#include "cli/runs.h"

#include "base/must.h"

#include <stdlib.h>

struct keep {
    uint64_t bytes, ns;
};

struct run_options {
    struct option_list dirs, env;
    bool quiet, no_record;
    enum store_sync sync;
    struct keep keep;
    uint64_t memory_bytes, stack_bytes, fuel_ticks, time_ns;
};

static enum status read_sync(const char *text, void *field, struct err *e) {
    static const char *const names[] = {
        [STORE_SYNC_NONE] = "none",
        [STORE_SYNC_INTERVAL] = "interval",
        [STORE_SYNC_EACH] = "each",
    };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(text, names[i])) {
            *(enum store_sync *)field = (enum store_sync)i;
            return ST_OK;
        }
    }
    return err_set(e, ST_INVALID, "'%s' is none of none, interval, each", text);
}

/* A duration or a size: units tell them apart. */
static enum status read_keep(const char *text, void *field, struct err *e) {
    struct keep *keep = field;
    bool plain = text[0] && strspn(text, "0123456789.") == strlen(text);
    if (!plain && (!option_duration(text, &keep->ns, NULL) || !option_size(text, &keep->bytes, NULL)))
        return ST_OK;
    return err_set(e, ST_INVALID, "'%s' is neither a duration nor a size (such as 1h or 10GiB)", text);
}

static enum status read_bytes(const char *text, uint64_t least, uint64_t most, uint64_t *field, struct err *e) {
    char low[HUMAN_MAX], high[HUMAN_MAX];
    enum status s = option_size(text, field, e);
    if (!s && (*field < least || *field > most))
        s = err_set(e, ST_INVALID, "'%s' is out of bounds: from %s to %s", text, human_size(least, low),
                    human_size(most, high));
    return s;
}

static enum status read_memory(const char *text, void *field, struct err *e) {
    return read_bytes(text, WASM_PAGE_SIZE, 4ull << 30, field, e);
}

enum { SLOT_BYTES = 8 };

static enum status read_stack(const char *text, void *field, struct err *e) {
    return read_bytes(text, 1024, 1ull << 30, field, e);
}

static enum status read_positive(const char *text, option_read read, uint64_t *field, struct err *e) {
    enum status s = read(text, field, e);
    return s ? s : *field ? ST_OK : err_set(e, ST_INVALID, "'%s' leaves the guest nothing", text);
}

static enum status read_fuel(const char *text, void *field, struct err *e) {
    return read_positive(text, option_count, field, e);
}

static enum status read_time(const char *text, void *field, struct err *e) {
    return read_positive(text, option_duration, field, e);
}

static const struct option options[] = {
    {"dir", 'd', option_append, "HOST:GUEST[:ro|rw]", offsetof(struct run_options, dirs),
     "let the guest use the directory HOST, as GUEST; rw (the default)\n"
     "lets it change what is there, ro does not; repeatable"},
    {"env", 'e', option_append, "K=V | K", offsetof(struct run_options, env),
     "set a variable of the guest's environment; K alone takes its\nvalue from aeon's own; repeatable"},
    {"memory", 'm', read_memory, "SIZE", offsetof(struct run_options, memory_bytes),
     "most a memory may grow to, such as 256MiB (4GiB)"},
    {"stack", 0, read_stack, "SIZE", offsetof(struct run_options, stack_bytes),
     "how deep calls may go, in bytes of locals and operands (8MiB)"},
    {"fuel", 0, read_fuel, "TICKS", offsetof(struct run_options, fuel_ticks),
     "end the guest after so many instructions, such as 500M"},
    {"time", 0, read_time, "DURATION", offsetof(struct run_options, time_ns),
     "end the guest after so long, such as 30s"},
    {"sync", 0, read_sync, "none|interval|each", offsetof(struct run_options, sync),
     "how much a power cut may take: all that the system has not\nwritten yet, the last moments (the default), or "
     "nothing"},
    {"keep-last", 0, read_keep, "DURATION|SIZE", offsetof(struct run_options, keep),
     "of a run that never ends keep only the last, such as 1h or 10GiB"},
    {"no-record", 0, NULL, NULL, offsetof(struct run_options, no_record),
     "do not record (to compare; there is no run then)"},
    {"quiet", 'q', NULL, NULL, offsetof(struct run_options, quiet), "print neither the run's id nor hints"},
};

static const struct run_options defaults = {.sync = STORE_SYNC_INTERVAL};

/* --env K becomes K=V with aeon's own value. Texts made here are collected in `made`. */
static enum status complete_env(struct option_list *env, struct option_list *made, struct err *e) {
    for (uint32_t i = 0; i < env->n; i++) {
        const char *item = env->items[i], *value = NULL;
        if (item[0] && item[0] != '=' && !strchr(item, '=') && !(value = getenv(item)))
            return err_set(e, ST_NOT_FOUND, "--env %s: there is no such variable to pass on; --env %s=VALUE sets one",
                           item, item);
        if (!item[0] || item[0] == '=')
            return err_set(e, ST_INVALID, "--env '%s': a name is missing (K=V, or K to pass on a variable)", item);
        if (value) {
            size_t size = strlen(item) + strlen(value) + sizeof "=";
            char *text = mem_alloc(size);
            snprintf(text, size, "%s=%s", item, value);
            option_append(text, made, e);
            env->items[i] = text;
        }
    }
    return ST_OK;
}

static void started(void *ctx, const struct store_id *id) {
    const struct cli *c = ctx;
    char text[RUN_SHORT_MAX];
    fprintf(stderr, "%srun %s%s\n", style_code(STYLE_DIM, c->color_err), run_short_id(id, text),
            style_code(STYLE_NONE, c->color_err));
}

static void refused(void *ctx, const char *line) {
    cli_note(ctx, line);
}

static int run(struct cli *c, void *values, int n, char **operands) {
    struct run_options *o = values;
    struct node *node = NULL;
    struct node_result result = {0};
    struct option_list made_env = {0};
    struct err e = ERR_INIT;
    int status;
    /* the guest's argv: the module's name without the path, which is nothing of the guest's, then what follows */
    const char *slash = strrchr(operands[0], '/');
    int skip = n > 1 && !strcmp(operands[1], "--");
    const char **args = mem_alloc((size_t)n * sizeof *args);
    uint32_t nargs = 0;
    args[nargs++] = slash ? slash + 1 : operands[0];
    for (int i = 1 + skip; i < n; i++)
        args[nargs++] = operands[i];

    struct node_run run = {
        .module = operands[0],
        .args = args,
        .nargs = nargs,
        .env = o->env.items,
        .nenv = o->env.n,
        .dirs = o->dirs.items,
        .ndirs = o->dirs.n,
        .limits = guest_limits_default(),
        .record = !o->no_record,
        .store = {.sync = o->sync, .keep_bytes = o->keep.bytes, .keep_ns = o->keep.ns},
        .started = o->quiet ? NULL : started,
        .refused = o->quiet ? NULL : refused,
        .ctx = c,
    };
    if (o->memory_bytes)
        run.limits.wasm.max_memory_bytes = o->memory_bytes;
    if (o->stack_bytes)
        run.limits.wasm.max_stack_slots = (uint32_t)(o->stack_bytes / SLOT_BYTES);
    if (o->fuel_ticks)
        run.limits.fuel_ticks = o->fuel_ticks;
    run.limits.time_ms = (o->time_ns + 999999) / 1000000;

    if (complete_env(&o->env, &made_env, &e) || node_open(run.record, &node, &e) || node_run(node, &run, &result, &e)) {
        status = cli_failed(c, &e);
        if (result.cannot_run)
            status = EXIT_CANNOT_RUN;
    } else {
        status = ending_say(c, result.outcome, result.value, result.words);
    }
    node_close(node);
    for (uint32_t i = 0; i < made_env.n; i++)
        mem_free((void *)made_env.items[i]);
    mem_free(made_env.items);
    mem_free(args);
    return status;
}

const struct command cmd_run = {
    .name = "run",
    .operands = "MODULE [ARGS...]",
    .summary = "run a WebAssembly program in the sandbox, and record it",
    .about =
        "Runs MODULE, a WebAssembly program for WASI (preview 1 or its predecessor). All that follows MODULE is the\n"
        "program's; one `--` right after it is dropped. The program gets standard input, output and error, and "
        "nothing\n"
        "else of this machine unless it is given: no directory, no environment, no network.\n"
        "\n"
        "Everything that crosses the sandbox's edge is recorded, arguments, environment and what the program reads "
        "included;\n"
        "`aeon replay` runs it again from the record, `aeon trace` shows it.\n"
        "\n"
        "Exit status: the program's own; 125 when aeon itself fails; 126 when the module cannot run (missing, "
        "malformed,\n"
        "invalid, unlinkable); 128+n after signal n, 134 after a trap, 152 at the end of --fuel, 142 at the end of "
        "--time.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct run_options),
    .defaults = &defaults,
    .min_operands = 1,
    .max_operands = -1,
    .stop_at_first = true,
    .failed = EXIT_AEON,
    .run = run,
};
