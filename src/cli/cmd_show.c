/* aeon show ID */
#include "cli/runs.h"
#include "cli/tiers.h"

#include "base/must.h"

struct show_options {
    bool json;
};

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct show_options, json), "as one JSON object"},
};

/* All that is shown of a run. */
struct facts {
    struct store_run run;
    bool found;
    struct store_reader *reader;
    struct wasm_module *module; /* NULL: not in the store, or not whole; `missing` says why */
    struct span bytes;
    struct err missing;
    struct tier_report tier;
    bool has_tier; /* it was not only interpreted */
};

static bool keep_run(void *arg, const struct store_run *r) {
    struct facts *f = arg;
    if (memcmp(&r->id, &f->run.id, sizeof r->id))
        return true;
    f->run = *r;
    f->found = true;
    return false;
}

/* A module that is gone or damaged is something to show, not a failure. */
static enum status collect(struct facts *f, const struct run *run, struct err *e) {
    struct store *store = node_store(run->node);
    f->run.id = run->id;
    f->reader = run->reader;
    enum status s = store_list(store, keep_run, f, e);
    if (s)
        return s;
    if (!f->found)
        return err_set(e, ST_NOT_FOUND, "the run was removed while it was looked at");
    f->has_tier = node_read_tier(run->node, &run->id, &f->tier);
    if (!store_get(store, &store_reader_info(run->reader)->module, &f->bytes, &f->missing))
        (void)!wasm_module_new(f->bytes, &f->module, &f->missing);
    return ST_OK;
}

static void release(struct facts *f, struct node *node) {
    if (f->module)
        wasm_module_free(f->module);
    if (f->bytes.data)
        store_unmap(node_store(node), f->bytes);
}

/* ---- words ---- */

enum { KEY_WIDTH = 11 };

static void begin_line(struct buf *b, const char *key) {
    buf_print(b, "%-*s", KEY_WIDTH, key);
}

static void text_line(struct buf *b, const char *key, const char *text) {
    begin_line(b, key);
    print_safe(b, text, strlen(text));
    buf_byte(b, '\n');
}

static void list_lines(struct buf *b, const char *key, const char *const *items, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        text_line(b, i ? "" : key, items[i]);
}

/* A new line for each module that is imported from, and where one is full. */
static void import_lines(struct buf *b, const struct facts *f) {
    enum { COLUMNS = 120 };
    struct span module = {NULL, 0};
    size_t line = 0; /* where in `b` it began */
    uint32_t n = f->module ? wasm_module_nimports(f->module) : 0;
    for (uint32_t i = 0; i < n; i++) {
        struct wasm_import im = wasm_module_import(f->module, i);
        bool other = i == 0 || !span_equal(module, im.module);
        if (other || b->size - line + im.name.size >= COLUMNS) {
            if (i)
                buf_byte(b, '\n');
            line = b->size;
            begin_line(b, i ? "" : "imports");
        }
        if (other) {
            print_safe(b, (const char *)im.module.data, im.module.size);
            buf_byte(b, ':');
            module = im.module;
        }
        if (b->size - line > KEY_WIDTH)
            buf_byte(b, ' ');
        print_safe(b, (const char *)im.name.data, im.name.size);
    }
    if (n)
        buf_byte(b, '\n');
}

static void segment_lines(struct buf *b, const struct facts *f) {
    char human[HUMAN_MAX], records[HUMAN_MAX];
    uint32_t n = store_reader_nsegments(f->reader);
    for (uint32_t i = 0; i < n; i++) {
        struct store_segment s = store_reader_segment(f->reader, i);
        begin_line(b, i ? "" : "segments");
        buf_print(b, "from record %llu: %s records, %s%s%s\n", (unsigned long long)s.first_record,
                  human_count(s.records, records), human_size(s.size_bytes, human),
                  s.has_snapshot ? ", opens with a snapshot" : "", s.complete ? "" : ", open");
    }
}

static void tier_lines(struct buf *b, const struct facts *f) {
    const struct tier_report *r = &f->tier;
    char text[360], human[HUMAN_MAX];
    begin_line(b, "tier");
    if (!f->has_tier) {
        buf_print(b, "interpreted\n");
        return;
    }
    buf_print(b, "%s", tier_mode_name(r->mode));
    if (r->version[0])
        buf_print(b, ", %s", tiers_compiler(r, text));
    buf_byte(b, '\n');
    begin_line(b, "");
    buf_print(b, "of %s functions ", human_count(r->functions, human));
    buf_print(b, "%s from the cache, ", human_count(r->cached, human));
    buf_print(b, "%s compiled, ", human_count(r->compiled, human));
    buf_print(b, "%u entries into loops", r->loops);
    if (r->failed)
        buf_print(b, ", %u tried in vain", r->failed);
    if (r->deaths)
        buf_print(b, ", %u compiler%s died", r->deaths, r->deaths == 1 ? "" : "s");
    buf_byte(b, '\n');
    if (r->cpu_us) {
        begin_line(b, "");
        buf_print(b, "%s of compiling", human_duration(r->cpu_us * 1000, human));
        buf_print(b, ", %s of code\n", human_size(r->code_bytes, human));
    }
}

static void print_words(const struct facts *f) {
    const struct store_info *info = store_reader_info(f->reader);
    char id[STORE_ID_TEXT], hash[SHA256_HEX], human[HUMAN_MAX], outcome[OUTCOME_MAX];
    struct buf b;
    buf_init(&b, 1 << 24);
    store_id_text(&f->run.id, id);
    sha256_hex(&info->module, hash);
    text_line(&b, "run", id);
    text_line(&b, "module", info->module_name);
    text_line(&b, "sha256", hash);
    if (!f->module)
        text_line(&b, "", f->missing.text);
    text_line(&b, "outcome", run_outcome(&f->run, outcome));
    text_line(&b, "started", human_time(info->started_ns, human));
    text_line(&b, "duration", human_duration(f->run.duration_ns, human));
    list_lines(&b, "arguments", info->args, info->nargs);
    list_lines(&b, "env", info->env, info->nenv);
    list_lines(&b, "grants", info->grants, info->ngrants);
    bool first = true;
    for (uint32_t i = 0; i < info->nlimits; i++) {
        if (info->limit_values[i] == UINT64_MAX || !info->limit_values[i])
            continue; /* none */
        begin_line(&b, first ? "limits" : "");
        buf_print(&b, "%s %s\n", info->limit_names[i], human_count(info->limit_values[i], human));
        first = false;
    }
    import_lines(&b, f);
    tier_lines(&b, f);
    begin_line(&b, "journal");
    buf_print(&b, "%s records", human_count(f->run.records, human));
    buf_print(&b, ", %s, written by aeon %s, engine semantics %u\n", human_size(f->run.size_bytes, human),
              info->aeon_version, info->semantics_version);
    segment_lines(&b, f);
    must(!b.failed);
    fwrite(b.data, 1, b.size, stdout);
    buf_deinit(&b);
}

/* ---- JSON ---- */

static void json_list(struct json *j, const char *key, const char *const *items, uint32_t n) {
    json_open(j, key, '[');
    for (uint32_t i = 0; i < n; i++)
        json_string(j, NULL, items[i]);
    json_close(j, ']');
}

static void json_imports(struct json *j, const struct facts *f) {
    if (!f->module) {
        json_null(j, "imports");
        json_string(j, "module_problem", f->missing.text);
        return;
    }
    json_open(j, "imports", '[');
    for (uint32_t i = 0; i < wasm_module_nimports(f->module); i++) {
        struct wasm_import im = wasm_module_import(f->module, i);
        json_open(j, NULL, '{');
        json_bytes(j, "module", im.module);
        json_bytes(j, "name", im.name);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_segments(struct json *j, const struct facts *f) {
    json_open(j, "segments", '[');
    for (uint32_t i = 0; i < store_reader_nsegments(f->reader); i++) {
        struct store_segment s = store_reader_segment(f->reader, i);
        json_open(j, NULL, '{');
        json_number(j, "first_record", s.first_record);
        json_number(j, "records", s.records);
        json_number(j, "size_bytes", s.size_bytes);
        json_bool(j, "snapshot", s.has_snapshot);
        json_bool(j, "complete", s.complete);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void print_json(const struct facts *f) {
    const struct store_info *info = store_reader_info(f->reader);
    struct buf b;
    struct json j = {.out = &b};
    buf_init(&b, 1 << 26);
    json_open(&j, NULL, '{');
    run_json(&j, &f->run);
    json_list(&j, "arguments", info->args, info->nargs);
    json_list(&j, "env", info->env, info->nenv);
    json_list(&j, "grants", info->grants, info->ngrants);
    json_open(&j, "limits", '{');
    for (uint32_t i = 0; i < info->nlimits; i++)
        json_number(&j, info->limit_names[i], info->limit_values[i]);
    json_close(&j, '}');
    json_imports(&j, f);
    json_open(&j, "tier", '{');
    json_string(&j, "mode", f->has_tier ? tier_mode_name(f->tier.mode) : tier_mode_name(TIER_INTERP));
    if (f->has_tier)
        tiers_json(&j, &f->tier);
    json_close(&j, '}');
    json_string(&j, "aeon_version", info->aeon_version);
    json_number(&j, "semantics", info->semantics_version);
    json_segments(&j, f);
    json_close(&j, '}');
    cli_print_line(&b);
    buf_deinit(&b);
}

static int show(struct cli *c, void *values, int n, char **operands) {
    const struct show_options *o = values;
    struct facts facts = {.missing = ERR_INIT};
    struct run run;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n;
    if (run_open(&run, operands[0], true, &e) || collect(&facts, &run, &e))
        status = cli_failed(c, &e);
    else if (o->json)
        print_json(&facts);
    else
        print_words(&facts);
    release(&facts, run.node);
    run_close(c, &run);
    return status;
}

const struct command cmd_show = {
    .name = "show",
    .operands = "ID",
    .summary = "all about one run",
    .about = "Shows one run: the module and its hash, what it imports, arguments, environment, grants, limits, how it "
             "ended, and\n"
             "the segments of its journal.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct show_options),
    .min_operands = 1,
    .max_operands = 1,
    .failed = EXIT_FAILED,
    .run = show,
};
