/* aeon policy check FILE [ATTEMPT...], aeon policy show FILE */
#include "cli/cli.h"

#include "base/must.h"
#include "base/nearest.h"
#include "policy/policy.h"

struct policy_options {
    bool json;
};

static const struct option options[] = {
    {"json", 0, NULL, NULL, offsetof(struct policy_options, json), "one JSON object a line"},
};

/* ---- check ---- */

/* The sentence of a decision without the verdict it begins with. */
static const char *reason(const struct policy_decision *d) {
    const char *text = d->text + strlen(d->allowed ? "allowed" : "denied");
    return text + strlen(strncmp(text, " by ", 4) ? ": " : " by ");
}

static void print_decision(const struct cli *c, bool json, const char *attempt, int width,
                           const struct policy_decision *d) {
    struct buf b;
    buf_init(&b, 1 << 16);
    if (json) {
        struct json j = {.out = &b};
        json_open(&j, NULL, '{');
        json_string(&j, "attempt", attempt);
        json_bool(&j, "allowed", d->allowed);
        if (d->line)
            json_number(&j, "line", d->line);
        else
            json_null(&j, "line");
        json_string(&j, "reason", reason(d));
        json_close(&j, '}');
    } else {
        buf_print(&b, "%s%-7s%s  ", style_code(d->allowed ? STYLE_GREEN : STYLE_RED, c->color_out),
                  d->allowed ? "allowed" : "denied", style_code(STYLE_NONE, c->color_out));
        size_t start = b.size;
        print_safe(&b, attempt, strlen(attempt));
        buf_print(&b, "%*s   ", b.size - start < (size_t)width ? width - (int)(b.size - start) : 0, "");
        print_safe(&b, reason(d), strlen(reason(d)));
    }
    cli_print_line(&b);
    buf_deinit(&b);
}

/* An attempt that is none is found before anything is printed. */
static int check(struct cli *c, bool json, const struct policy *p, int n, char **attempts, struct err *e) {
    struct policy_decision *decisions = mem_alloc((size_t)n * sizeof *decisions);
    int status = EXIT_YES, width = 0;
    for (int i = 0; i < n && status != EXIT_FAILED; i++) {
        if (policy_check(p, attempts[i], &decisions[i], e))
            status = cli_failed(c, e);
        else if (!decisions[i].allowed)
            status = EXIT_NO;
        if ((int)strlen(attempts[i]) > width)
            width = (int)strlen(attempts[i]);
    }
    for (int i = 0; i < n && status != EXIT_FAILED; i++)
        print_decision(c, json, attempts[i], width, &decisions[i]);
    mem_free(decisions);
    return status;
}

/* ---- show ---- */

static void json_rule(void *ctx, const char *section, uint32_t line, const char *sentence) {
    struct buf b;
    struct json j = {.out = &b};
    (void)ctx;
    buf_init(&b, 1 << 26);
    json_open(&j, NULL, '{');
    json_number(&j, "line", line);
    json_string(&j, "section", section);
    json_string(&j, "rule", sentence);
    json_close(&j, '}');
    cli_print_line(&b);
    buf_deinit(&b);
}

static void table_rule(void *ctx, const char *section, uint32_t line, const char *sentence) {
    struct table *t = ctx;
    struct buf b;
    char number[16];
    buf_init(&b, 1 << 26);
    snprintf(number, sizeof number, "%u", line);
    print_safe(&b, sentence, strlen(sentence));
    table_cell(t, STYLE_NONE, number);
    table_cell(t, STYLE_NONE, section);
    table_cell(t, STYLE_NONE, buf_cstr(&b));
    buf_deinit(&b);
}

static int show(struct cli *c, bool json, const struct policy *p) {
    static const char *const heads[] = {">LINE", "SECTION", "RULE"};
    struct table t;
    table_init(&t, 3, heads);
    policy_show(p, json ? json_rule : table_rule, &t);
    if (t.ncells)
        table_print(&t, stdout, c->color_out);
    else if (!json)
        cli_note(c, "there is no rule in it: nothing is allowed");
    table_deinit(&t);
    return EXIT_YES;
}

/* ---- both ---- */

enum verb { CHECK, SHOW, NVERBS };
static const char *const verbs[] = {[CHECK] = "check", [SHOW] = "show"};

static enum status read_verb(const char *text, int n, enum verb *out, struct err *e) {
    for (uint32_t i = 0; i < NVERBS; i++) {
        if (strcmp(text, verbs[i]) != 0)
            continue;
        *out = (enum verb)i;
        if (i == SHOW && n > 2)
            return err_set(e, ST_INVALID, "too many arguments: aeon policy show FILE (see `aeon help policy`)");
        return ST_OK;
    }
    const char *like = nearest_name(text, verbs, NVERBS);
    if (like)
        return err_set(e, ST_INVALID, "there is no 'policy %s': did you mean policy %s? (see `aeon help policy`)", text,
                       like);
    return err_set(e, ST_INVALID, "there is no 'policy %s': see `aeon help policy`", text);
}

static enum status load(const char *path, struct policy **out, struct err *e) {
    struct node *node;
    struct buf text;
    enum status s = node_open(false, &node, e);
    if (s)
        return s;
    buf_init(&text, CONFIG_MAX_BYTES + (1 << 16));
    s = node_read_file(node, path, &text, e);
    if (!s)
        s = policy_parse(buf_span(&text), path, out, e);
    buf_deinit(&text);
    node_close(node);
    return s;
}

static int run(struct cli *c, void *values, int n, char **operands) {
    const struct policy_options *o = values;
    struct policy *p = NULL;
    struct err e = ERR_INIT;
    enum verb verb;
    int status;
    if (read_verb(operands[0], n, &verb, &e) || load(operands[1], &p, &e))
        status = cli_failed(c, &e);
    else if (verb == CHECK)
        status = check(c, o->json, p, n - 2, operands + 2, &e);
    else
        status = show(c, o->json, p);
    policy_free(p);
    return status;
}

const struct command cmd_policy = {
    .name = "policy",
    .operands = "check FILE [ATTEMPT...] | show FILE",
    .summary = "what a policy file allows and denies, and by which line",
    .about =
        "check: is the file well-formed, and is each ATTEMPT allowed? Prints the line of the rule that decides. Exit\n"
        "status 0: all are allowed; 1: something is denied; 2: the file or an attempt could not be read. An\n"
        "attempt is one argument:\n"
        "  'tcp HOST:PORT', 'udp HOST:PORT'        to connect or to send; HOST is a name or an address\n"
        "  'name HOST'                             to look it up\n"
        "  'bind tcp ADDRESS:PORT'                 to listen on an address of this machine (or udp)\n"
        "  'accept tcp ADDRESS:PORT from ADDRESS'  to talk to what is bound there (or udp)\n"
        "  'unix PATH'                             to connect to a unix socket of this machine\n"
        "  'env NAME'                              to see a variable of aeon's own environment\n"
        "show: the rules as they are understood, one a line.",
    .options = options,
    .noptions = sizeof options / sizeof *options,
    .values_size = sizeof(struct policy_options),
    .min_operands = 2,
    .max_operands = -1,
    .failed = EXIT_FAILED,
    .run = run,
};
