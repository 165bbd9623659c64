/* aeon ls */
#include "cli/runs.h"

struct ls_options {
    bool json;
};

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct ls_options, json), "one JSON object a line"},
};

static bool json_line(void *arg, const struct store_run *r) {
    struct buf b;
    struct json j = {.out = &b};
    (void)arg;
    buf_init(&b, 1 << 16);
    json_open(&j, NULL, '{');
    run_json(&j, r);
    json_close(&j, '}');
    cli_print_line(&b);
    buf_deinit(&b);
    return true;
}

static bool table_line(void *arg, const struct store_run *r) {
    struct table *t = arg;
    char text[OUTCOME_MAX], human[HUMAN_MAX], id[RUN_SHORT_MAX];
    struct buf name;
    table_cell(t, STYLE_NONE, run_short_id(&r->id, id));
    buf_init(&name, 4 * sizeof r->module_name);
    const char *slash = strrchr(r->module_name, '/'), *file = slash ? slash + 1 : r->module_name;
    print_safe(&name, file, strlen(file));
    table_cell(t, STYLE_NONE, buf_cstr(&name));
    buf_deinit(&name);
    table_cell(t, STYLE_NONE, human_time(r->started_ns, human));
    table_cell(t, STYLE_NONE, human_duration(r->duration_ns, human));
    table_cell(t, STYLE_NONE, human_count(r->records, human));
    table_cell(t, STYLE_NONE, human_size(r->size_bytes, human));
    table_cell(t, run_outcome_style(r), run_outcome(r, text));
    return true;
}

static int ls(struct cli *c, void *values, int n, char **operands) {
    static const char *const heads[] = {"ID", "MODULE", "STARTED", ">DURATION", ">RECORDS", ">SIZE", "OUTCOME"};
    const struct ls_options *o = values;
    struct node *node = NULL;
    struct table t;
    struct err e = ERR_INIT;
    int status = EXIT_YES;
    (void)n, (void)operands;
    table_init(&t, sizeof heads / sizeof *heads, heads);
    if (node_open(true, &node, &e) || store_list(node_store(node), o->json ? json_line : table_line, &t, &e))
        status = cli_failed(c, &e);
    else if (t.ncells)
        table_print(&t, stdout, c->color_out);
    else if (!o->json)
        cli_note(c, "no runs yet: `aeon run MODULE` makes one");
    node_close(node);
    table_deinit(&t);
    return status;
}

const struct command cmd_ls = {
    .name = "ls",
    .operands = "",
    .summary = "list the runs, newest last",
    .about =
        "Lists the runs of the store, newest last: id, module, start, duration, records in the journal, its size on\n"
        "disk, and how the run ended. `running` goes on now; `unfinished` was cut short (aeon killed, power lost): "
        "all\n"
        "that was recorded up to then is there.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct ls_options),
    .failed = EXIT_FAILED,
    .run = ls,
};
