#include "machine/machine.h"

#include "base/must.h"

#include <stdio.h>

struct machine_replay {
    struct store *store;
    struct store_reader *reader;
    struct span bytes; /* the module's object */
    struct wasm_module *module;
    struct guest *guest;
    struct tier *tier;
    struct tier_guest *compiled;
    struct machine_streams *streams;
    uint64_t stop_ticks; /* where a run that did not end by itself stands */
};

/* ---- where it begins and ends
 * ---------------------------------------------------------------------------------------- */

/* Lets the reader's next record be `position`; there need be none. */
static enum status go_to(struct store_reader *r, uint64_t position, struct err *e) {
    struct journal_record skipped;
    uint64_t first = store_reader_first(r);
    if (position <= first)
        return position == first ? store_reader_seek(r, first, e)
                                 : err_set(e, ST_NOT_FOUND, "record %llu is not kept; the first is %llu",
                                           (unsigned long long)position, (unsigned long long)first);
    enum status s = store_reader_seek(r, position - 1, e);
    return s ? s : store_reader_next(r, &skipped, e);
}

/* A run whose last record is no END, or one that tells of a stop from outside, ends at that record's tick. */
static enum status find_stop(struct machine_replay *m, struct err *e) {
    uint32_t n = store_reader_nsegments(m->reader);
    struct store_segment last = n ? store_reader_segment(m->reader, n - 1) : (struct store_segment){0};
    uint64_t total = last.first_record + last.records;
    uint64_t first = store_reader_first(m->reader);
    m->stop_ticks = 0;
    enum status s = ST_OK;
    struct journal_record r;
    if (total > first)
        s = go_to(m->reader, total - 1, e);
    else if (store_reader_seek(m->reader, first, NULL)) /* all is in the tail, or there is nothing */
        return ST_OK;
    while (!s && !(s = store_reader_next(m->reader, &r, e))) {
        bool by_itself =
            r.type == JOURNAL_END && r.nvals > 0 && (r.vals[0] == GUEST_EXITED || r.vals[0] == GUEST_TRAPPED);
        m->stop_ticks = by_itself ? UINT64_MAX : r.clock;
    }
    return s == ST_END ? ST_OK : s;
}

static enum status begin(struct machine_replay *m, struct span snapshot, struct err *e) {
    uint64_t position = store_reader_first(m->reader);
    enum status s;
    if (snapshot.size) {
        s = guest_snapshot_load(m->guest, snapshot, e);
        if (!s)
            s = guest_snapshot_position(snapshot, &position, e);
        return s ? s : go_to(m->reader, position, e);
    }
    if (position == 0)
        return m->stop_ticks ? go_to(m->reader, 0, e) : ST_OK;
    /* older segments are gone: the first one kept opens with a snapshot */
    struct journal_record r;
    s = go_to(m->reader, position, e);
    if (!s)
        s = store_reader_next(m->reader, &r, e);
    if (s)
        return s;
    if (r.type != JOURNAL_SNAPSHOT || r.nblobs != 1)
        return err_set(e, ST_CORRUPT, "record %llu, the first that is kept, is no snapshot",
                       (unsigned long long)position);
    s = guest_snapshot_load(m->guest, SPAN(r.blobs[0].pieces[0].iov_base, r.blobs[0].size), e);
    return s ? s : go_to(m->reader, position, e);
}

/* ---- making
 * ---------------------------------------------------------------------------------------------------------- */

static enum status read_limits(const struct store_info *info, struct guest_limits *out, struct err *e) {
    *out = guest_limits_default();
    for (uint32_t i = 0; i < info->nlimits; i++)
        if (!guest_limits_set(out, info->limit_names[i], info->limit_values[i]))
            return err_set(e, ST_VERSION, "the run has a limit %s=%llu that this aeon does not know",
                           info->limit_names[i], (unsigned long long)info->limit_values[i]);
    return ST_OK;
}

static enum status check_engine(const struct store_info *info, struct err *e) {
    if (info->semantics_version == WASM_SEMANTICS_VERSION)
        return ST_OK;
    return err_set(
        e, ST_VERSION,
        "recorded by aeon %s with engine semantics %u; this aeon %s has semantics %d: replay with the other one",
        info->aeon_version, info->semantics_version, AEON_VERSION, WASM_SEMANTICS_VERSION);
}

static void observe(void *ctx, const struct journal_record *r) {
    struct machine_replay *m = ctx;
    machine_streams_feed(m->streams, r);
}

static enum status attach(struct machine_replay *m, const struct store_info *info, struct err *e) {
    const struct tier_source source = {.module = m->module, .hash = info->module, .name = info->module_name};
    return tier_attach(m->tier, &source, guest_store(m->guest), guest_exec(m->guest), &m->compiled, e);
}

enum status machine_replay_new(struct store *s, struct store_reader *r, const struct machine_replay_options *o,
                               struct machine_replay **out, struct err *e) {
    const struct store_info *info = store_reader_info(r);
    struct machine_replay *m = mem_zalloc(sizeof *m);
    struct guest_limits limits;
    const struct edge_options edge = {
        .mode = EDGE_REPLAY,
        .source = edge_source_from_store(r),
        .observe = o->output ? observe : NULL,
        .observe_ctx = m,
    };
    m->store = s;
    m->reader = r;
    m->tier = o->tier;
    if (o->output)
        m->streams = machine_streams_new(o->output, o->output_ctx);
    enum status status = check_engine(info, e);
    if (!status)
        status = read_limits(info, &limits, e);
    if (!status) {
        status = store_get(s, &info->module, &m->bytes, e);
        if (status)
            err_wrap(e, status, "the run's module %s", info->module_name);
    }
    if (!status)
        status = wasm_module_new(m->bytes, &m->module, e);
    if (!status)
        status = guest_new(m->module, &limits, &edge, &m->guest, e);
    if (!status && o->tier)
        status = attach(m, info, e);
    if (!status)
        status = find_stop(m, e);
    if (!status)
        status = begin(m, o->snapshot, e);
    if (status)
        machine_replay_free(m);
    else
        *out = m;
    return status;
}

void machine_replay_free(struct machine_replay *m) {
    if (!m)
        return;
    tier_detach(m->compiled);
    guest_free(m->guest);
    if (m->tier)
        tier_clear(m->tier);
    if (m->module)
        wasm_module_free(m->module);
    if (m->bytes.data)
        store_unmap(m->store, m->bytes);
    machine_streams_free(m->streams);
    mem_free(m);
}

struct guest *machine_replay_guest(struct machine_replay *m) {
    return m->guest;
}

/* ---- running
 * --------------------------------------------------------------------------------------------------------- */

enum status machine_replay_run(struct machine_replay *m, uint64_t until_ticks, struct machine_replay_result *out,
                               struct err *e) {
    struct err own = ERR_INIT;
    struct machine_replay_result result = {0};
    uint64_t until = until_ticks < m->stop_ticks ? until_ticks : m->stop_ticks;
    result.outcome = guest_run(m->guest, until, &result.value, &own);
    if (result.outcome == GUEST_FAILED)
        return err_set(e, own.status, "%s", own.text);
    if (result.outcome == GUEST_STOPPED && until_ticks > m->stop_ticks)
        result.outcome = GUEST_UNFINISHED; /* of a run that still goes on: as far as it was when this began */
    if (result.outcome == GUEST_UNFINISHED && m->streams)
        machine_streams_flush(m->streams); /* a write that did not come back may be out */
    result.records = guest_position(m->guest);
    result.ticks = guest_clock(m->guest);
    snprintf(result.words, sizeof result.words, "%s", guest_words(m->guest));
    *out = result;
    return ST_OK;
}

enum status machine_replay(struct store *s, struct store_reader *r, const struct machine_replay_options *o,
                           struct machine_replay_result *out, struct err *e) {
    struct machine_replay *m = NULL;
    enum status status = machine_replay_new(s, r, o, &m, e);
    if (!status)
        status = machine_replay_run(m, o->until_ticks, out, e);
    if (m)
        machine_replay_free(m);
    return status;
}
