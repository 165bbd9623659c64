#include "cli/tiers.h"

#include <unistd.h>

static bool shown; /* a line of progress stands on the terminal */

enum status option_tier(const char *text, void *field, struct err *e) {
    for (int i = 0; i < TIER_NMODES; i++) {
        if (!strcmp(text, tier_mode_name((enum tier_mode)i))) {
            *(enum tier_mode *)field = (enum tier_mode)i;
            return ST_OK;
        }
    }
    return err_set(e, ST_INVALID, "'%s' is none of auto, interp, compiled", text);
}

void tiers_progress(void *ctx, const struct tier_progress *p) {
    enum { WIDTH = 30 };
    (void)ctx;
    if (!isatty(STDERR_FILENO) || !p->total)
        return;
    int full = (int)((uint64_t)p->functions * WIDTH / p->total);
    fprintf(stderr, "\rcompiling [%.*s%*s] %u of %u functions", full, "##############################", WIDTH - full,
            "", p->functions, p->total);
    shown = true;
}

void tiers_progress_end(void) {
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}

static void tell(void *ctx, const char *sentence) {
    tiers_progress_end();
    cli_note(ctx, sentence);
}

struct tier *tiers_new(const struct cli *c, struct node *n, enum tier_mode mode, uint32_t workers) {
    const struct tier_options o = {
        .mode = mode,
        .workers = workers,
        .tell = tell,
        .progress = tiers_progress,
        .ctx = (void *)c,
    };
    return node_tier_new(n, &o);
}

const char *tiers_compiler(const struct tier_report *r, char out[360]) {
    const char *features = strstr(r->target, " +");
    const char *off = strstr(r->target, " -");
    if (!features || (off && off < features))
        features = off;
    int n = features ? (int)(features - r->target) : (int)strlen(r->target);
    snprintf(out, 360, "LLVM %s for %.*s", r->version, n, r->target);
    return out;
}

void tiers_json(struct json *j, const struct tier_report *r) {
    json_string(j, "llvm", r->version);
    json_string(j, "target", r->target);
    json_number(j, "functions", r->functions);
    json_number(j, "cached", r->cached);
    json_number(j, "compiled", r->compiled);
    json_number(j, "loops", r->loops);
    json_number(j, "failed", r->failed);
    json_number(j, "deaths", r->deaths);
    json_number(j, "dropped", r->dropped);
    json_number(j, "compiler_cpu_us", r->cpu_us);
    json_number(j, "compiler_peak_bytes", r->peak_bytes);
    json_number(j, "code_bytes", r->code_bytes);
}
