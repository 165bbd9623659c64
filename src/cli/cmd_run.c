/* aeon run MODULE [ARGS...] */
#include "cli/ending.h"
#include "cli/runs.h"
#include "cli/spec.h"
#include "cli/tiers.h"

#include "base/must.h"

#include <stdio.h>

struct keep {
    uint64_t bytes, ns;
};

struct run_options {
    struct spec_options guest;
    bool quiet, no_record;
    enum store_sync sync;
    struct keep keep;
    enum tier_mode tier;
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

static enum status read_bandwidth(const char *text, void *field, struct err *e) {
    return app_read_bandwidth(text, field, e);
}

static enum status read_journal_max(const char *text, void *field, struct err *e) {
    return read_bytes(text, 64 << 10, UINT64_MAX / 2, field, e);
}

static enum status read_handles(const char *text, void *field, struct err *e) {
    uint64_t n;
    enum status s = option_count(text, &n, e);
    if (!s && (n < 3 || n > 1 << 20))
        s = err_set(e, ST_INVALID, "'%s' is out of bounds: from 3 (the standard streams) to 1048576", text);
    if (!s)
        *(uint64_t *)field = n;
    return s;
}

#define GUEST(member) offsetof(struct run_options, guest.member)

static const struct option options[] = {
    {"dir", 'd', option_append, "HOST:GUEST[:ro|rw][,QUOTA]", GUEST(dirs),
     "let the guest use the directory HOST, as GUEST; rw (the default)\n"
     "lets it change what is there, ro does not; HOST may be a tar\n"
     "file (ro); QUOTA: size=SIZE and count=N; repeatable"},
    {"overlay", 0, option_append, "LOWER:GUEST[,QUOTA]", GUEST(overlays),
     "let the guest use LOWER, as GUEST; what it changes is kept apart,\nwith the run; repeatable"},
    {"env", 'e', option_append, "K=V | K", GUEST(env),
     "set a variable of the guest's environment; K alone takes its\nvalue from aeon's own; repeatable"},
    {"listen", 'l', option_append, "ADDRESS:PORT | unix:PATH", GUEST(listen),
     "give the guest a listening socket, from descriptor 3 on; port 0\ntakes any; repeatable"},
    {"policy", 'p', option_text, "FILE", GUEST(policy),
     "what the guest may do with the network, and more: docs/policy.md;\nwithout one it may do nothing"},
    {"publish", 0, option_append, "ADDRESS:PORT:GUEST-PORT[/udp]", GUEST(publish),
     "let the machine's ADDRESS:PORT reach what the guest binds to\nGUEST-PORT; repeatable"},
    {"ca", 0, option_append, "FILE", GUEST(cas),
     "trust this authority beside the system's, when aeon does TLS for\nthe guest; PEM; repeatable"},
    {"memory", 'm', read_memory, "SIZE", GUEST(limits.memory_bytes),
     "most a memory may grow to, such as 256MiB (4GiB)"},
    {"stack", 0, read_stack, "SIZE", GUEST(limits.stack_bytes),
     "how deep calls may go, in bytes of locals and operands (8MiB)"},
    {"fuel", 0, read_fuel, "TICKS", GUEST(limits.fuel_ticks), "end the guest after so many instructions, such as 500M"},
    {"fuel-per-second", 0, read_fuel, "TICKS", GUEST(limits.fuel_per_second),
     "run the guest no faster than so many instructions a second"},
    {"time", 0, read_time, "DURATION", GUEST(limits.time_ns), "end the guest after so long, such as 30s"},
    {"handles", 0, read_handles, "N", GUEST(limits.handles), "most descriptors the guest may have open (4096)"},
    {"bandwidth", 0, read_bandwidth, "SIZE/s", GUEST(limits.bandwidth),
     "let no more bytes a second in and out, such as 10MiB/s"},
    {"journal-max", 0, read_journal_max, "SIZE", GUEST(limits.journal_bytes),
     "end the guest when its record takes so much on disk"},
    {"chaos", 0, option_text, "PLAN", GUEST(chaos),
     "make calls fail now and then, by a seed, such as\n"
     "seed=7,error=0.01,short-io=0.1,delay=5ms,clock-drift=0.02"},
    {"sync", 0, read_sync, "none|interval|each", offsetof(struct run_options, sync),
     "how much a power cut may take: all that the system has not\nwritten yet, the last moments (the default), or "
     "nothing"},
    {"keep-last", 0, read_keep, "DURATION|SIZE", offsetof(struct run_options, keep),
     "of a run that never ends keep only the last, such as 1h or 10GiB"},
    OPTION_TIER(offsetof(struct run_options, tier)),
    {"no-record", 0, NULL, NULL, offsetof(struct run_options, no_record),
     "do not record (to compare; there is no run then)"},
    {"quiet", 'q', NULL, NULL, offsetof(struct run_options, quiet), "print neither the run's id nor hints"},
};

static const struct run_options defaults = {.sync = STORE_SYNC_INTERVAL};

/* What is said of a guest carries its name where there are several. */
struct telling {
    const struct cli *cli;
    const struct spec *spec;
    bool quiet;
};

static const char *name_of(const struct telling *t, uint32_t guest) {
    return t->spec->nguests > 1 || t->spec->app ? t->spec->guests[guest].name : "";
}

static void started(void *ctx, uint32_t guest, const struct store_id *id) {
    enum { SHOWN = 20 };
    const struct telling *t = ctx;
    if (guest == SHOWN)
        fprintf(stderr, "and %u more: aeon ls\n", t->spec->nguests - guest);
    if (guest >= SHOWN)
        return;
    const struct cli *c = t->cli;
    const char *name = name_of(t, guest);
    char text[RUN_SHORT_MAX];
    fprintf(stderr, "%srun %s%s%s%s\n", style_code(STYLE_DIM, c->color_err), run_short_id(id, text), *name ? "  " : "",
            name, style_code(STYLE_NONE, c->color_err));
}

static void remark(void *ctx, uint32_t guest, enum node_remark kind, const char *line) {
    const struct telling *t = ctx;
    const char *name = name_of(t, guest);
    struct buf b;
    if (t->quiet && kind != NODE_LISTENS)
        return; /* without the address there is no way in */
    buf_init(&b, 1 << 16);
    buf_print(&b, "%s%s%s", name, *name ? ": " : "", line);
    cli_note(t->cli, buf_cstr(&b));
    buf_deinit(&b);
}

static bool is_manifest(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

/* The guest's argv: the module's name without the path, which is nothing of the guest's, then what follows. */
static struct config_texts guest_args(int n, char **operands) {
    const char *slash = strrchr(operands[0], '/');
    int skip = n > 1 && !strcmp(operands[1], "--");
    struct config_texts args = {mem_alloc((size_t)n * sizeof *args.items), 0};
    args.items[args.n++] = slash ? slash + 1 : operands[0];
    for (int i = 1 + skip; i < n; i++)
        args.items[args.n++] = operands[i];
    return args;
}

/* Of several guests: 0 when all ended well, else the first one's that did not. */
static int end_of_all(const struct telling *t, const struct node_result *results) {
    int status = 0;
    uint64_t interrupted = 0;
    for (uint32_t i = 0; i < t->spec->nguests; i++)
        interrupted += results[i].outcome == GUEST_INTERRUPTED;
    for (uint32_t i = 0; i < t->spec->nguests; i++) {
        const struct node_result *r = &results[i];
        int one;
        if (r->err.status) {
            one = cli_failed(t->cli, &r->err);
        } else if (r->outcome == GUEST_INTERRUPTED && interrupted != 1) { /* one signal for all: said once */
            char who[64];
            snprintf(who, sizeof who, "each of %llu guests", (unsigned long long)interrupted);
            one = interrupted ? ending_say(t->cli, who, r->outcome, r->value, r->words)
                              : node_exit_status(r->outcome, r->value);
            interrupted = 0;
        } else {
            const char *name = name_of(t, i);
            one = ending_say(t->cli, *name ? name : "the guest", r->outcome, r->value, r->words);
        }
        status = status ? status : one;
    }
    return status;
}

static enum status make_spec(struct node *node, const struct run_options *o, const char *what, struct config_texts args,
                             struct spec *out, struct err *e) {
    if (!is_manifest(what))
        return spec_of_module(node, &o->guest, what, args, out, e);
    static const struct spec_options nothing;
    if (args.n > 1 || memcmp(&o->guest, &nothing, sizeof nothing) != 0)
        return err_set(e, ST_INVALID,
                       "%s is an application: arguments, directories, limits and the like stand there for each guest",
                       what);
    return spec_of_app(node, what, out, e);
}

static int run(struct cli *c, void *values, int n, char **operands) {
    struct run_options *o = values;
    struct node *node = NULL;
    struct node_result *results = NULL;
    struct spec spec = {0};
    struct err e = ERR_INIT;
    bool cannot_run = false;
    struct telling telling = {c, &spec, o->quiet};
    struct config_texts args = guest_args(n, operands);
    enum status s = node_open(!o->no_record, &node, &e);
    if (!s)
        s = make_spec(node, o, operands[0], args, &spec, &e);
    if (!s) {
        const struct node_run run = {
            .guests = spec.guests,
            .nguests = spec.nguests,
            .record = !o->no_record,
            .store = {.sync = o->sync, .keep_bytes = o->keep.bytes, .keep_ns = o->keep.ns},
            .tier = o->tier,
            .progress = o->quiet ? NULL : tiers_progress,
            .started = o->quiet ? NULL : started,
            .remark = remark,
            .ctx = &telling,
        };
        results = mem_zalloc(spec.nguests * sizeof *results);
        s = node_run(node, &run, results, &cannot_run, &e);
    }
    int status = s ? cli_failed(c, &e) : end_of_all(&telling, results);
    if (cannot_run)
        status = EXIT_CANNOT_RUN;
    spec_deinit(&spec);
    node_close(node);
    mem_free(results);
    mem_free(args.items);
    return status;
}

const struct command cmd_run = {
    .name = "run",
    .operands = "MODULE [ARGS...] | APP.yaml",
    .summary = "run a WebAssembly program in the sandbox, and record it",
    .about =
        "Runs MODULE, a WebAssembly program for WASI (preview 1 or its predecessor), or the guests of an application,\n"
        "APP.yaml. All that follows MODULE is the program's; one `--` right after it is dropped. The program gets "
        "standard\n"
        "input, output and error, and nothing else of this machine unless it is given: no directory, no environment; "
        "its\n"
        "network has nobody else on it.\n"
        "\n"
        "Everything that crosses the sandbox's edge is recorded, arguments, environment and what the program reads "
        "included;\n"
        "`aeon replay` runs it again from the record, `aeon trace` shows it.\n"
        "\n"
        "Exit status: the program's own; 125 when aeon itself fails; 126 when the module cannot run (missing, "
        "malformed,\n"
        "invalid, unlinkable); 128+n after signal n, 134 after a trap, 152 at the end of --fuel, 142 at the end of "
        "--time,\n153 with --journal-max full.",
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
