#include "cli/runs.h"

#include "guest/guest.h"

#include <signal.h>

enum status run_open(struct run *r, const char *what, bool with_reader, struct err *e) {
    *r = (struct run){0};
    enum status s = node_open(true, &r->node, e);
    if (!s)
        s = store_find(node_store(r->node), what, &r->id, e);
    if (!s && with_reader)
        s = store_reader_open(node_store(r->node), &r->id, &r->reader, e);
    return s;
}

static void say_what_is_missing(const struct cli *c, struct store_reader *reader) {
    uint64_t first = store_reader_first(reader);
    const char *torn = store_reader_torn(reader);
    char text[120];
    if (first) {
        snprintf(text, sizeof text, "the journal begins at record %llu: what was before is not kept (--keep-last)",
                 (unsigned long long)first);
        cli_note(c, text);
    }
    if (torn)
        cli_note(c, torn);
}

void run_close(const struct cli *c, struct run *r) {
    if (r->reader) {
        say_what_is_missing(c, r->reader);
        store_reader_close(r->reader);
    }
    node_close(r->node);
}

const char *run_short_id(const struct store_id *id, char out[RUN_SHORT_MAX]) {
    char digits[STORE_ID_SHORT];
    store_id_short(id, digits);
    snprintf(out, RUN_SHORT_MAX, "…%s", digits);
    return out;
}

const char *run_state_name(enum store_state state) {
    static const char *const names[] = {
        [STORE_RUNNING] = "running",
        [STORE_FINISHED] = "finished",
        [STORE_UNFINISHED] = "unfinished",
        [STORE_DAMAGED] = "damaged",
    };
    return names[state];
}

static const char *signal_name(uint64_t signal, char out[HUMAN_MAX]) {
    const char *name = signal < NSIG ? sigabbrev_np((int)signal) : NULL;
    if (name)
        snprintf(out, HUMAN_MAX, "SIG%s", name);
    else
        snprintf(out, HUMAN_MAX, "signal %llu", (unsigned long long)signal);
    return out;
}

const char *run_outcome_words(uint64_t kind, uint64_t value, char out[OUTCOME_MAX]) {
    char human[HUMAN_MAX];
    switch ((enum guest_outcome)kind) {
    case GUEST_EXITED: snprintf(out, OUTCOME_MAX, "exit %llu", (unsigned long long)value); break;
    case GUEST_TRAPPED: snprintf(out, OUTCOME_MAX, "trap: %s", wasm_trap_text((enum wasm_trap_kind)value)); break;
    case GUEST_OUT_OF_FUEL: snprintf(out, OUTCOME_MAX, "out of fuel after %s ticks", human_count(value, human)); break;
    case GUEST_TIMED_OUT:
        snprintf(out, OUTCOME_MAX, "out of time after %s", human_duration(value * 1000000, human));
        break;
    case GUEST_JOURNAL_FULL: snprintf(out, OUTCOME_MAX, "journal full at %s", human_size(value, human)); break;
    case GUEST_INTERRUPTED: snprintf(out, OUTCOME_MAX, "stopped by %s", signal_name(value, human)); break;
    default: snprintf(out, OUTCOME_MAX, "outcome %llu", (unsigned long long)kind); break;
    }
    return out;
}

const char *run_outcome(const struct store_run *r, char out[OUTCOME_MAX]) {
    if (r->state == STORE_FINISHED)
        return run_outcome_words(r->outcome_kind, r->outcome_value, out);
    bool why = r->state == STORE_DAMAGED && r->problem[0];
    snprintf(out, OUTCOME_MAX, "%s%s%s", run_state_name(r->state), why ? ": " : "", why ? r->problem : "");
    return out;
}

enum style run_outcome_style(const struct store_run *r) {
    if (r->state == STORE_RUNNING)
        return STYLE_GREEN;
    if (r->state == STORE_DAMAGED)
        return STYLE_RED;
    if (r->state == STORE_UNFINISHED)
        return STYLE_YELLOW;
    return r->outcome_kind == GUEST_EXITED && !r->outcome_value ? STYLE_NONE : STYLE_YELLOW;
}

void run_json(struct json *j, const struct store_run *r) {
    char id[STORE_ID_TEXT], hash[SHA256_HEX], time[HUMAN_MAX], outcome[OUTCOME_MAX];
    store_id_text(&r->id, id);
    sha256_hex(&r->module, hash);
    json_string(j, "id", id);
    json_string(j, "module", r->module_name);
    json_string(j, "module_sha256", hash);
    json_string(j, "started", iso_time(r->started_ns, time));
    json_number(j, "duration_ns", r->duration_ns);
    json_number(j, "records", r->records);
    json_number(j, "size_bytes", r->size_bytes);
    json_string(j, "state", run_state_name(r->state));
    json_string(j, "outcome", run_outcome(r, outcome));
    if (r->state == STORE_FINISHED && r->outcome_kind == GUEST_EXITED)
        json_number(j, "exit_status", r->outcome_value);
}
