/* verify.c: is a run what it says it is? */
#include "machine/machine.h"

#include <stdarg.h>
#include <stdio.h>

struct verification {
    machine_step step;
    void *ctx;
};

static void passed(const struct verification *v, const char *step, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void passed(const struct verification *v, const char *step, const char *fmt, ...) {
    char found[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(found, sizeof found, fmt, ap);
    va_end(ap);
    v->step(v->ctx, step, true, found);
}

static enum status failed(const struct verification *v, const char *step, const struct err *own, struct err *e) {
    v->step(v->ctx, step, false, own->text);
    return err_set(e, own->status, "%s", own->text);
}

/* Every frame and checksum is looked at by reading everything. */
static enum status verify_journal(const struct verification *v, struct store_reader *r, uint64_t *end, struct err *e) {
    struct err own = ERR_INIT;
    struct journal_record record;
    uint64_t next = store_reader_first(r), bytes = 0, time_ns = 0;
    bool ended = false;
    enum status s;
    while (!(s = store_reader_next(r, &record, &own))) {
        if (ended)
            s = err_set(&own, ST_CORRUPT, "record %llu comes after END", (unsigned long long)record.number);
        else if (record.number != next || record.time_ns < time_ns)
            s = err_set(&own, ST_CORRUPT, "record %llu of time %llu stands where record %llu should, not before %llu",
                        (unsigned long long)record.number, (unsigned long long)record.time_ns, (unsigned long long)next,
                        (unsigned long long)time_ns);
        if (s)
            break;
        ended = record.type == JOURNAL_END;
        time_ns = record.time_ns;
        next++;
    }
    if (s != ST_END)
        return failed(v, "journal", &own, e);
    uint32_t n = store_reader_nsegments(r);
    for (uint32_t i = 0; i < n; i++)
        bytes += store_reader_segment(r, i).size_bytes;
    passed(v, "journal", "%llu records in %u segment%s, %llu bytes, every checksum right",
           (unsigned long long)(next - store_reader_first(r)), n, n == 1 ? "" : "s", (unsigned long long)bytes);
    const char *torn = store_reader_torn(r);
    if (torn)
        passed(v, "end", "%s", torn);
    else if (ended)
        passed(v, "end", "the last record is the guest's end");
    else
        passed(v, "end", "the run has no end: it was cut short after record %llu, or still goes on",
               (unsigned long long)next - (next > 0));
    *end = next;
    return ST_OK;
}

static enum status verify_module(const struct verification *v, struct store *s, const struct store_info *info,
                                 struct err *e) {
    struct err own = ERR_INIT;
    struct span bytes;
    char hex[SHA256_HEX];
    sha256_hex(&info->module, hex);
    if (store_get(s, &info->module, &bytes, &own))
        return failed(v, "module", &own, e);
    passed(v, "module", "%s, %zu bytes, is the one that was recorded (%.16s)", info->module_name, bytes.size, hex);
    store_unmap(s, bytes);
    return ST_OK;
}

static enum status verify_replay(const struct verification *v, struct store *s, struct store_reader *r,
                                 struct tier *tier, uint64_t end, struct err *e) {
    struct err own = ERR_INIT;
    const struct machine_replay_options o = {.until_ticks = UINT64_MAX, .tier = tier};
    struct machine_replay_result result;
    if (machine_replay(s, r, &o, &result, &own))
        return failed(v, "replay", &own, e);
    if (result.records < end) {
        (void)err_set(&own, ST_MISMATCH, "came to record %llu only, of %llu", (unsigned long long)result.records,
                      (unsigned long long)end);
        return failed(v, "replay", &own, e);
    }
    passed(v, "replay", "agrees to the last record: %llu records, %llu ticks, %s", (unsigned long long)result.records,
           (unsigned long long)result.ticks, guest_outcome_text(result.outcome));
    return ST_OK;
}

enum status machine_verify(struct store *s, const struct store_id *id, struct tier *tier, machine_step step, void *ctx,
                           struct err *e) {
    const struct verification v = {step, ctx};
    struct err own = ERR_INIT;
    struct store_reader *r = NULL;
    if (store_reader_open(s, id, &r, &own))
        return failed(&v, "journal", &own, e);
    uint64_t end = 0;
    enum status status = verify_journal(&v, r, &end, e);
    if (!status)
        status = verify_module(&v, s, store_reader_info(r), e);
    if (!status)
        status = verify_replay(&v, s, r, tier, end, e);
    store_reader_close(r);
    return status;
}
