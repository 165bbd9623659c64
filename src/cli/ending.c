#include "cli/ending.h"

#include "cli/runs.h"

int ending_say(const struct cli *c, const char *who, enum guest_outcome outcome, uint64_t value, const char *words) {
    char why[OUTCOME_MAX];
    struct buf text;
    buf_init(&text, 1 << 16);
    if (outcome == GUEST_TRAPPED)
        buf_print(&text, "%s trapped: %s", who, words);
    else if (outcome == GUEST_UNFINISHED)
        buf_print(&text, "the journal ends here, after the last call that was finished: the run was cut short");
    else if (outcome != GUEST_EXITED)
        buf_print(&text, "%s was ended: %s", who, run_outcome_words(outcome, value, why));
    if (text.size)
        cli_note(c, buf_cstr(&text));
    buf_deinit(&text);
    return node_exit_status(outcome, value);
}
