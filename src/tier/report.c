/* report.c: what has become of a module, as text. */
#include "tier/tier.h"

#include "base/must.h"
#include "tier/disk.h"

#include <stdio.h>
#include <stdlib.h>

// clang-format off
#define NUMBERS(X) \
    X(functions) X(cached) X(compiled) X(loops) X(failed) X(deaths) X(dropped) X(cpu_us) X(peak_bytes) X(code_bytes)
// clang-format on

void tier_report_print(const struct tier_report *r, struct buf *out) {
    buf_print(out, "tier %s\n", tier_mode_name(r->mode));
    if (r->version[0])
        buf_print(out, "llvm %s\ntarget %s\n", r->version, r->target);
#define X(name) buf_print(out, #name " %llu\n", (unsigned long long)r->name);
    NUMBERS(X)
#undef X
}

static void text_into(const char *text, const char *word, char *out, size_t size) {
    char *value = text_value(text, word);
    snprintf(out, size, "%s", value);
    mem_free(value);
}

static uint64_t number(const char *text, const char *word) {
    char *value = text_value(text, word);
    uint64_t n = strtoull(value, NULL, 10);
    mem_free(value);
    return n;
}

bool tier_report_parse(const char *text, struct tier_report *out) {
    struct tier_report r = {.mode = TIER_NMODES};
    char mode[16];
    text_into(text, "tier", mode, sizeof mode);
    for (int i = 0; i < TIER_NMODES; i++)
        if (!strcmp(mode, tier_mode_name((enum tier_mode)i)))
            r.mode = (enum tier_mode)i;
    text_into(text, "llvm", r.version, sizeof r.version);
    text_into(text, "target", r.target, sizeof r.target);
#define X(name) r.name = (__typeof__(r.name))number(text, #name);
    NUMBERS(X)
#undef X
    if (r.mode == TIER_NMODES)
        return false;
    *out = r;
    return true;
}
