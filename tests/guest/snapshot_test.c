// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "stage.h"

#include "base/prng.h"

enum { ROOM = 64 << 20 };

static void record(const char *module, struct tape *t, struct ending *end) {
    struct stage s;
    *t = (struct tape){0};
    stage_init(&s);
    play_record(&s, module, UINT64_MAX, t, end);
    stage_deinit(&s);
}

/* Replays to `tick`, freezes, and finishes in another guest. */
static void freeze_and_thaw(const struct module_file *m, struct tape *t, uint64_t tick, const struct ending *whole) {
    struct buf frozen;
    struct ending end = {0};
    struct err e = ERR_INIT;
    uint64_t position;
    buf_init(&frozen, ROOM);
    struct edge_options o = {.mode = EDGE_REPLAY, .source = tape_source(t, 0)};
    struct guest *g = guest_open(m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, tick, &end.value, &end.err), GUEST_STOPPED);
    assert_true(guest_clock(g) == tick);
    if (guest_snapshot_save(g, &frozen, &e))
        fail_msg("at tick %llu: %s", (unsigned long long)tick, e.text);
    guest_free(g);

    assert_int_equal(guest_snapshot_position(buf_span(&frozen), &position, &e), ST_OK);
    o.source = tape_source(t, (uint32_t)position);
    g = guest_open(m, UINT64_MAX, &o);
    if (guest_snapshot_load(g, buf_span(&frozen), &e))
        fail_msg("at tick %llu: %s", (unsigned long long)tick, e.text);
    assert_true(guest_clock(g) == tick);
    assert_true(guest_position(g) == position);
    guest_finish(g, UINT64_MAX, &end);
    if (end.outcome == GUEST_FAILED)
        fail_msg("frozen at tick %llu: %s", (unsigned long long)tick, end.err.text);
    assert_int_equal(end.outcome, whole->outcome);
    assert_true(end.value == whole->value && end.ticks == whole->ticks);
    assert_true(end.memory_hash == whole->memory_hash);
    assert_true(end.position == whole->position);
    buf_deinit(&frozen);
}

static void a_guest_thaws_at_any_tick(void **state) {
    struct tape t;
    struct module_file m;
    struct ending whole;
    (void)state;
    module_open(&m, "shapes");
    record("shapes", &t, &whole);
    assert_true(whole.ticks > 100);
    for (uint64_t tick = 0; tick < whole.ticks; tick++)
        freeze_and_thaw(&m, &t, tick, &whole);
    tape_deinit(&t);
    module_close(&m);

    struct prng prng = {2};
    module_open(&m, "compute");
    record("compute", &t, &whole);
    for (int i = 0; i < 100; i++)
        freeze_and_thaw(&m, &t, prng_below(&prng, whole.ticks), &whole);
    tape_deinit(&t);
    module_close(&m);
}

/* Frozen while its call waits: the CALL is in the journal before, the RETURN after. */
static void a_waiting_guest_thaws(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending end = {0}, whole;
    struct buf frozen;
    struct err e = ERR_INIT;
    (void)state;
    record("shapes", &t, &whole);
    uint32_t n = t.n;
    module_open(&m, "shapes");
    for (uint32_t at = 1; at <= 16; at++) {
        struct tape live = {0};
        stage_init(&s);
        buf_init(&frozen, ROOM);
        s.park_at = at;
        struct edge_options o = stage_options(&s, EDGE_RECORD, &live);
        struct guest *g = guest_open(&m, UINT64_MAX, &o);
        assert_int_equal(guest_run(g, UINT64_MAX, &end.value, &end.err), GUEST_PARKED);
        if (guest_snapshot_save(g, &frozen, &e))
            fail_msg("%s", e.text);
        guest_free(g);
        uint64_t position = live.n;
        assert_int_equal(live.records[live.n - 1].type, JOURNAL_CALL);

        /* replayed from the whole run's journal, which is the same */
        o = (struct edge_options){.mode = EDGE_REPLAY, .source = tape_source(&t, (uint32_t)position)};
        g = guest_open(&m, UINT64_MAX, &o);
        if (guest_snapshot_load(g, buf_span(&frozen), &e))
            fail_msg("%s", e.text);
        guest_finish(g, UINT64_MAX, &end);
        if (end.outcome == GUEST_FAILED)
            fail_msg("call %u: %s", at, end.err.text);
        assert_int_equal(end.outcome, whole.outcome);
        assert_true(end.ticks == whole.ticks && end.memory_hash == whole.memory_hash && end.position == n);
        tape_deinit(&live);
        buf_deinit(&frozen);
        stage_deinit(&s);
    }
    tape_deinit(&t);
    module_close(&m);
}

/* The journal asks for a snapshot in mid-run, as a store does when a segment is full. */
static void a_journal_may_open_with_a_snapshot(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending whole = {0}, end = {0};
    struct err e = ERR_INIT;
    (void)state;
    stage_init(&s);
    module_open(&m, "compute");
    struct edge_options o = stage_options(&s, EDGE_RECORD, &t);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, 150000, &whole.value, &whole.err), GUEST_STOPPED);
    t.wants_snapshot = true;
    whole.outcome = guest_run(g, UINT64_MAX, &whole.value, &whole.err);
    ending_of(g, &whole);
    guest_free(g);
    assert_int_equal(whole.outcome, GUEST_EXITED);
    uint32_t at = 0;
    while (at < t.n && t.records[at].type != JOURNAL_SNAPSHOT)
        at++;
    assert_true(at > 0 && at < t.n);

    /* the whole run: the snapshot on the way is compared */
    play_replay("compute", UINT64_MAX, UINT64_MAX, &t, &end);
    if (end.outcome == GUEST_FAILED)
        fail_msg("%s", end.err.text);
    assert_true(end.ticks == whole.ticks && end.memory_hash == whole.memory_hash);

    /* from the snapshot on */
    o = (struct edge_options){.mode = EDGE_REPLAY, .source = tape_source(&t, at)};
    g = guest_open(&m, UINT64_MAX, &o);
    struct journal_blob *blob = &t.records[at].blobs[0];
    if (guest_snapshot_load(g, SPAN(blob->pieces[0].iov_base, blob->size), &e))
        fail_msg("%s", e.text);
    guest_finish(g, UINT64_MAX, &end);
    if (end.outcome == GUEST_FAILED)
        fail_msg("%s", end.err.text);
    assert_int_equal(end.outcome, whole.outcome);
    assert_true(end.ticks == whole.ticks && end.memory_hash == whole.memory_hash && end.position == t.n);

    /* another state than the guest's is a difference */
    ((uint8_t *)t.pieces[at][0].iov_base)[t.pieces[at][0].iov_len / 2] ^= 1;
    play_replay("compute", UINT64_MAX, UINT64_MAX, &t, &end);
    assert_int_equal(end.outcome, GUEST_FAILED);
    assert_non_null(strstr(end.err.text, "snapshot is another state"));
    tape_deinit(&t);
    module_close(&m);
    stage_deinit(&s);
}

/* The guest is ended between a snapshot and the call it was taken in front of: nothing is recorded between them. */
static void a_guest_may_end_at_a_snapshot(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending whole = {0}, end = {0};
    (void)state;
    stage_init(&s);
    module_open(&m, "compute");
    struct edge_options o = stage_options(&s, EDGE_RECORD, &t);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, 150000, &whole.value, &whole.err), GUEST_STOPPED);
    t.wants_snapshot = true;
    t.ends = g;
    whole.outcome = guest_run(g, UINT64_MAX, &whole.value, &whole.err);
    ending_of(g, &whole);
    guest_free(g);
    assert_int_equal(whole.outcome, GUEST_INTERRUPTED);
    assert_int_equal(t.records[t.n - 2].type, JOURNAL_SNAPSHOT);
    assert_int_equal(t.records[t.n - 1].type, JOURNAL_END);
    play_replay("compute", UINT64_MAX, t.records[t.n - 1].clock, &t, &end);
    assert_int_equal(end.outcome, GUEST_INTERRUPTED);
    assert_int_equal(end.value, 15);
    assert_true(end.position == t.n && end.memory_hash == whole.memory_hash);

    /* a place before the snapshot is not taken for it */
    play_replay("compute", UINT64_MAX, t.records[t.n - 1].clock - 1, &t, &end);
    assert_int_equal(end.outcome, GUEST_STOPPED);
    assert_int_equal(end.position, t.n - 2);
    tape_deinit(&t);
    module_close(&m);
    stage_deinit(&s);
}

static void damage_is_noticed(void **state) {
    struct tape t;
    struct module_file m, other;
    struct ending end = {0};
    struct buf frozen;
    struct prng prng = {3};
    (void)state;
    module_open(&m, "shapes");
    module_open(&other, "compute");
    record("shapes", &t, &end);
    buf_init(&frozen, ROOM);
    struct edge_options o = {.mode = EDGE_REPLAY, .source = tape_source(&t, 0)};
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, 50, &end.value, &end.err), GUEST_STOPPED);
    assert_int_equal(guest_snapshot_save(g, &frozen, NULL), ST_OK);
    guest_free(g);
    for (int i = 0; i < 200; i++) {
        uint64_t at = i < 60 ? (uint64_t)i : prng_below(&prng, frozen.size);
        frozen.data[at] ^= 1;
        g = guest_open(&m, UINT64_MAX, &o);
        enum status s = guest_snapshot_load(g, buf_span(&frozen), NULL);
        assert_true(s == ST_CORRUPT || s == ST_VERSION);
        guest_free(g);
        frozen.data[at] ^= 1;
    }
    for (size_t n = 0; n < frozen.size; n += 1 + n / 3) {
        g = guest_open(&m, UINT64_MAX, &o);
        assert_int_equal(guest_snapshot_load(g, SPAN(frozen.data, n), NULL), ST_CORRUPT);
        guest_free(g);
    }
    g = guest_open(&other, UINT64_MAX, &o);
    assert_int_not_equal(guest_snapshot_load(g, buf_span(&frozen), NULL), ST_OK);
    guest_free(g);
    buf_deinit(&frozen);
    tape_deinit(&t);
    module_close(&m);
    module_close(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_thaws_at_any_tick),
        cmocka_unit_test(a_waiting_guest_thaws),
        cmocka_unit_test(a_journal_may_open_with_a_snapshot),
        cmocka_unit_test(a_guest_may_end_at_a_snapshot),
        cmocka_unit_test(damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
