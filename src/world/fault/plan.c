#include "world/fault/fault.h"

#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char forms[] = "possible are seed=N, error=P, short-io=P, delay=5ms, clock-drift=X, partition=P:2s";

enum { PART_MAX = 64 };
static const double DRIFT_MAX = 0.5;
static const uint64_t HOLD_MAX_NS = 3600000000000u;

static enum status probability(const char *what, const char *text, double max, double *out, struct err *e) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= 0 && v <= max))
        return err_set(e, ST_INVALID, "%s=%s: must be a number from 0 to %g", what, text, max);
    *out = v;
    return ST_OK;
}

static enum status duration(const char *what, const char *text, uint64_t *out, struct err *e) {
    uint64_t ns;
    struct err why = ERR_INIT;
    if (units_duration(text, &ns, &why) != ST_OK)
        return err_set(e, ST_INVALID, "%s=%s: %s", what, text, why.text);
    if (ns > HOLD_MAX_NS)
        return err_set(e, ST_INVALID, "%s=%s: an hour is the most", what, text);
    *out = ns;
    return ST_OK;
}

static enum status seed(const char *text, uint64_t *out, struct err *e) {
    char *end;
    errno = 0;
    uint64_t v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return err_set(e, ST_INVALID, "seed=%s: must be a whole number below 2^64", text);
    *out = v;
    return ST_OK;
}

static enum status partition(char *text, struct fault_plan *p, struct err *e) {
    char *colon = strchr(text, ':');
    if (!colon)
        return err_set(e, ST_INVALID, "partition=%s: must be a probability and a duration, as in 0.001:2s", text);
    *colon = '\0';
    enum status s = probability("partition", text, 1, &p->stall, e);
    return s != ST_OK ? s : duration("partition", colon + 1, &p->stall_ns, e);
}

static enum status part(char *text, struct fault_plan *p, struct err *e) {
    char *value = strchr(text, '=');
    if (!value)
        return err_set(e, ST_INVALID, "'%s' has no value; %s", text, forms);
    *value++ = '\0';
    if (strcmp(text, "seed") == 0)
        return seed(value, &p->seed, e);
    if (strcmp(text, "error") == 0)
        return probability(text, value, 1, &p->error, e);
    if (strcmp(text, "short-io") == 0)
        return probability(text, value, 1, &p->short_io, e);
    if (strcmp(text, "delay") == 0)
        return duration(text, value, &p->delay_ns, e);
    if (strcmp(text, "clock-drift") == 0)
        return probability(text, value, DRIFT_MAX, &p->clock_drift, e);
    if (strcmp(text, "partition") == 0)
        return partition(value, p, e);
    return err_set(e, ST_INVALID, "'%s' is no kind of fault; %s", text, forms);
}

enum status fault_plan_parse(const char *text, struct fault_plan *out, struct err *e) {
    struct fault_plan p = {0};
    for (const char *at = text;;) {
        size_t n = strcspn(at, ",");
        char one[PART_MAX];
        if (n >= sizeof one)
            return err_set(e, ST_INVALID, "'%.32s...' is too long; %s", at, forms);
        memcpy(one, at, n);
        one[n] = '\0';
        enum status s = part(one, &p, e);
        if (s != ST_OK)
            return s;
        if (!at[n])
            break;
        at += n + 1;
    }
    *out = p;
    return ST_OK;
}
