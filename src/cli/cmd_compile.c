/* aeon compile MODULE */
#include "cli/runs.h"
#include "cli/tiers.h"

#include "base/must.h"
#include "machine/machine.h"
#include "node/module_file.h"

struct compile_options {
    const char *run;
    uint64_t jobs;
    bool json;
};

static enum status read_jobs(const char *text, void *field, struct err *e) {
    enum status s = option_count(text, field, e);
    return s || *(uint64_t *)field ? s : err_set(e, ST_INVALID, "'%s' processes would never be done", text);
}

static const struct option options[] = {
    {"run", 'r', option_text, "ID", offsetof(struct compile_options, run),
     "only the functions that this run of the module has used, found\nby replaying it"},
    {"jobs", 'j', read_jobs, "N", offsetof(struct compile_options, jobs),
     "compile with N processes (as many as there are processors, 16 at\nmost)"},
    {"json", 0, NULL, NULL, offsetof(struct compile_options, json), "what came of it as one JSON object"},
};

/* Replays the run and marks the functions that it called. */
static enum status find_used(const struct cli *c, const char *id, const struct wasm_module *module, bool *used,
                             struct err *e) {
    const struct machine_replay_options o = {.until_ticks = UINT64_MAX};
    struct machine_replay *replay = NULL;
    struct machine_replay_result result;
    struct run run;
    enum status s = run_open(&run, id, true, e);
    if (!s && memcmp(&store_reader_info(run.reader)->module, wasm_module_hash(module), SHA256_SIZE) != 0)
        s = err_set(e, ST_MISMATCH, "run %s is of another module, %s", id, store_reader_info(run.reader)->module_name);
    if (!s)
        s = machine_replay_new(node_store(run.node), run.reader, &o, &replay, e);
    if (!s)
        s = machine_replay_run(replay, UINT64_MAX, &result, e);
    if (!s) {
        struct guest *g = machine_replay_guest(replay);
        const struct wasm_module *same = wasm_instance_module(guest_instance(g));
        for (uint32_t f = 0; f < wasm_module_nfuncs(module); f++)
            used[f] = wasm_func_has_run(guest_store(g), same, f);
    }
    if (replay)
        machine_replay_free(replay);
    run_close(c, &run);
    return s;
}

static enum status compile(const struct cli *c, struct node *n, const char *path, const struct compile_options *o,
                           struct tier_report *out, struct err *e) {
    struct span bytes = {NULL, 0};
    struct wasm_module *module = NULL;
    bool *used = NULL;
    struct tier *tier = tiers_new(c, n, TIER_COMPILED, o->jobs < 1 << 16 ? (uint32_t)o->jobs : 1 << 16);
    enum status s = module_file_read(node_world(n), path, &bytes, e);
    if (!s) {
        s = wasm_module_new(bytes, &module, e);
        if (s)
            err_wrap(e, s, "%s cannot run", path);
    }
    if (!s && o->run) {
        used = mem_zalloc(wasm_module_nfuncs(module) * sizeof *used + 1);
        s = find_used(c, o->run, module, used, e);
    }
    if (!s) {
        struct tier_source source = {.module = module, .hash = *wasm_module_hash(module), .name = path};
        s = tier_compile(tier, &source, used, out, e);
    }
    mem_free(used);
    tiers_progress_end();
    tier_free(tier);
    if (module)
        wasm_module_free(module);
    module_file_free(bytes);
    return s;
}

static void print(const struct tier_report *r, const char *path, uint64_t ns, bool json) {
    char compiled[HUMAN_MAX], duration[HUMAN_MAX], size[HUMAN_MAX];
    struct buf b;
    buf_init(&b, 1 << 16);
    if (json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_string(&j, "module", path);
        json_number(&j, "duration_ns", ns);
        tiers_json(&j, r);
        json_close(&j, '}');
    } else {
        buf_print(&b, "%s functions compiled in %s, %s of code", human_count(r->compiled, compiled),
                  human_duration(ns, duration), human_size(r->code_bytes, size));
        if (r->cached)
            buf_print(&b, "; %s were there already", human_count(r->cached, compiled));
        if (r->failed)
            buf_print(&b, "; %s stay interpreted", human_count(r->failed, compiled));
    }
    cli_print_line(&b);
    buf_deinit(&b);
}

static int run(struct cli *c, void *values, int n, char **operands) {
    const struct compile_options *o = values;
    struct node *node = NULL;
    struct tier_report report;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n;
    enum status s = node_open(true, &node, &e);
    uint64_t begun = s ? 0 : world_now(node_world(node), WORLD_MONOTONIC);
    if (!s)
        s = compile(c, node, operands[0], o, &report, &e);
    if (s)
        status = cli_failed(c, &e);
    else
        print(&report, operands[0], world_now(node_world(node), WORLD_MONOTONIC) - begun, o->json);
    node_close(node);
    return status;
}

const struct command cmd_compile = {
    .name = "compile",
    .operands = "MODULE",
    .summary = "compile a whole module now, so that it runs fast from the start",
    .about =
        "Compiles every function of MODULE for this machine, on all processors, into the cache ($AEON_HOME/cache): "
        "what\n"
        "`aeon run` would else do by and by with what is hot. What is there already is not done again; nothing of "
        "the\n"
        "module's behaviour depends on it.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct compile_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = run,
};
