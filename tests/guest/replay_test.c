// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "stage.h"

#include "base/must.h"

#include <pthread.h>
#include <stdio.h>

static void assert_same_ending(const struct ending *a, const struct ending *b) {
    assert_int_equal(a->outcome, b->outcome);
    assert_true(a->value == b->value);
    assert_true(a->ticks == b->ticks);
    assert_true(a->position == b->position);
    assert_true(a->memory_hash == b->memory_hash);
    assert_string_equal(a->words, b->words);
}

static void record(const char *module, struct tape *tape, struct ending *end) {
    struct stage s;
    *tape = (struct tape){0};
    stage_init(&s);
    play_record(&s, module, UINT64_MAX, tape, end);
    stage_deinit(&s);
}

static void a_replay_is_the_same_execution(void **state) {
    static const char *const modules[] = {"hello", "shapes", "sockets", "faults", "compute", "trap"};
    (void)state;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        struct tape tape;
        struct ending live, recorded, replayed;
        struct stage s;
        stage_init(&s);
        play_live(&s, modules[i], &live);
        stage_deinit(&s);
        record(modules[i], &tape, &recorded);
        play_replay(modules[i], UINT64_MAX, UINT64_MAX, &tape, &replayed);
        if (replayed.outcome == GUEST_FAILED)
            fail_msg("%s: %s", modules[i], replayed.err.text);
        assert_same_ending(&recorded, &replayed);
        assert_int_equal(tape.records[tape.n - 1].type, JOURNAL_END);
        assert_int_equal(recorded.position, tape.n);
        /* recording changes nothing for the guest */
        live.position = recorded.position;
        assert_same_ending(&live, &recorded);
        tape_deinit(&tape);
    }
}

/* What is in a journal, record by record. */
static void records_hold_what_crossed(void **state) {
    struct tape t;
    struct ending end;
    (void)state;
    record("hello", &t, &end);
    assert_int_equal(t.n, 4);
    const struct journal_record *call = &t.records[0], *ret = &t.records[1], *exit_call = &t.records[2];
    assert_int_equal(call->type, JOURNAL_CALL);
    assert_int_equal(call->code, ABI_CODE_fd_write);
    assert_int_equal(call->nvals, 4);
    assert_int_equal(call->vals[0], 1);
    assert_int_equal(call->vals[1], 32);
    assert_int_equal(call->vals[2], 3);
    assert_int_equal(call->vals[3], 64);
    assert_int_equal(call->nblobs, 1);
    assert_int_equal(call->blobs[0].size, 13);
    assert_memory_equal(call->blobs[0].pieces[0].iov_base, "hello, world\n", 13);
    assert_int_equal(ret->type, JOURNAL_RETURN);
    assert_int_equal(ret->nvals, 2);
    assert_int_equal(ret->vals[0], 0);
    assert_int_equal(ret->vals[1], 13);
    assert_int_equal(ret->nblobs, 0);
    assert_int_equal(ret->clock, call->clock);
    assert_int_equal(exit_call->code, ABI_CODE_proc_exit);
    assert_int_equal(t.records[3].type, JOURNAL_END); /* proc_exit does not come back */
    assert_int_equal(t.records[3].vals[0], GUEST_EXITED);
    assert_int_equal(t.records[3].vals[1], 3);
    assert_true(exit_call->clock > call->clock);
    assert_true(exit_call->time_ns > call->time_ns);
    tape_deinit(&t);
}

/* ---- strictness -------------------------------------------------------------------------------------------------- */

static void must_differ(const char *module, struct tape *t, uint32_t record, const char *words) {
    struct ending end;
    char number[32];
    play_replay(module, UINT64_MAX, UINT64_MAX, t, &end);
    snprintf(number, sizeof number, "record %u", record);
    assert_int_equal(end.outcome, GUEST_FAILED);
    assert_int_equal(end.err.status, ST_MISMATCH);
    if (!strstr(end.err.text, number) || !strstr(end.err.text, words))
        fail_msg("'%s' should name %s and say '%s'", end.err.text, number, words);
    tape_deinit(t);
}

/* Each number and byte that the guest itself determines, changed by one bit. */
static void every_difference_is_found(void **state) {
    static const char *const modules[] = {"hello", "shapes", "sockets", "faults", "trap"};
    (void)state;
    for (size_t m = 0; m < sizeof modules / sizeof *modules; m++) {
        struct tape t, x;
        struct ending end;
        record(modules[m], &t, &end);
        for (uint32_t i = 0; i < t.n; i++) {
            const struct journal_record *r = &t.records[i];
            tape_copy(&x, &t);
            x.records[i].clock++;
            must_differ(modules[m], &x, i, "");
            tape_copy(&x, &t);
            x.records[i].type = r->type == JOURNAL_CALL ? JOURNAL_RETURN : JOURNAL_CALL;
            must_differ(modules[m], &x, i, "");
            if (r->type != JOURNAL_END) {
                tape_copy(&x, &t);
                x.records[i].code ^= 1;
                must_differ(modules[m], &x, i, "");
            }
            for (uint32_t j = 0; r->type != JOURNAL_RETURN && j < r->nvals; j++) {
                tape_copy(&x, &t);
                x.records[i].vals[j] ^= 1;
                must_differ(modules[m], &x, i, "");
            }
            for (uint32_t j = 0; r->type == JOURNAL_CALL && j < r->nblobs; j++)
                for (uint64_t k = 0; k < r->blobs[j].size; k++) {
                    tape_copy(&x, &t);
                    ((uint8_t *)x.pieces[i][j].iov_base)[k] ^= 1;
                    must_differ(modules[m], &x, i, "from byte");
                }
            if (i + 1 < t.n) {
                tape_copy(&x, &t);
                tape_drop(&x, i);
                must_differ(modules[m], &x, i, "");
            }
            tape_copy(&x, &t);
            tape_repeat(&x, i);
            must_differ(modules[m], &x, i + 1, "");
        }
        tape_deinit(&t);
    }
}

static void both_sides_are_shown(void **state) {
    struct tape t;
    struct ending end;
    (void)state;
    record("hello", &t, &end);
    ((uint8_t *)t.pieces[0][0].iov_base)[7] = 'W';
    must_differ("hello", &t, 0,
                "the journal has fd_write(fd=1, iovs=[13]\"hello, World\\n\") at tick 5, the guest made "
                "fd_write(fd=1, iovs=[13]\"hello, world\\n\") at tick 5");
    record("hello", &t, &end);
    t.records[3].vals[1] = 4;
    must_differ("hello", &t, 3, "the journal has exited with 4");
}

static void results_must_fit(void **state) {
    struct tape t;
    struct ending end;
    (void)state;
    for (uint32_t i = 0;; i++) {
        record("shapes", &t, &end);
        if (i == t.n)
            break;
        bool tried = t.records[i].type == JOURNAL_RETURN;
        if (tried) {
            t.records[i].nvals++;
            must_differ("shapes", &t, i, "");
            record("shapes", &t, &end);
            t.records[i].blobs[t.records[i].nblobs++] = (struct journal_blob){0};
            must_differ("shapes", &t, i, "");
            record("shapes", &t, &end);
        }
        if (tried && t.records[i].nblobs && t.records[i].blobs[0].size) {
            static uint8_t much[70000];
            t.records[i].blobs[0] = (struct journal_blob){&(struct iovec){much, sizeof much}, 1, sizeof much};
            must_differ("shapes", &t, i, "more bytes than the guest has room for");
        } else {
            tape_deinit(&t);
        }
    }
    tape_deinit(&t);
}

static void a_journal_that_just_ends(void **state) {
    struct tape t;
    struct ending whole, end;
    (void)state;
    record("shapes", &t, &whole);
    uint32_t n = t.n;
    for (t.n = 0; t.n < n; t.n++) {
        play_replay("shapes", UINT64_MAX, UINT64_MAX, &t, &end);
        assert_int_equal(end.outcome, GUEST_UNFINISHED);
        assert_int_equal(end.position, t.n);
    }
    tape_deinit(&t);
}

/* ---- waiting and being stopped ----------------------------------------------------------------------------------- */

static void a_parked_call_is_recorded_once(void **state) {
    struct tape plain, t;
    struct ending whole, end;
    (void)state;
    record("shapes", &plain, &whole);
    for (uint32_t at = 1; at <= 16; at++) {
        struct stage s;
        stage_init(&s);
        s.park_at = at;
        t = (struct tape){0};
        play_record(&s, "shapes", UINT64_MAX, &t, &end);
        assert_int_equal(s.park_at, 0);
        assert_same_ending(&whole, &end);
        assert_int_equal(t.n, plain.n);
        play_replay("shapes", UINT64_MAX, UINT64_MAX, &t, &end);
        assert_same_ending(&whole, &end);
        tape_deinit(&t);
        stage_deinit(&s);
    }
    tape_deinit(&plain);
}

static void *stop_soon(void *arg) {
    guest_stop(arg, GUEST_INTERRUPTED, 2);
    return NULL;
}

static void a_loop_is_interrupted_and_replays_to_there(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending end = {0}, replayed;
    pthread_t thread;
    (void)state;
    stage_init(&s);
    module_open(&m, "spin");
    struct edge_options o = stage_options(&s, EDGE_RECORD, &t);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, 1000000, &end.value, &end.err), GUEST_STOPPED);
    assert_int_equal(guest_clock(g), 1000000);
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, g), 0);
    end.outcome = guest_run(g, UINT64_MAX, &end.value, &end.err);
    pthread_join(thread, NULL);
    ending_of(g, &end);
    guest_free(g);
    assert_int_equal(end.outcome, GUEST_INTERRUPTED);
    assert_int_equal(end.value, 2);
    uint64_t ticks = t.records[t.n - 1].clock;
    assert_true(ticks == end.ticks);

    play_replay("spin", UINT64_MAX, ticks, &t, &replayed);
    assert_same_ending(&end, &replayed);
    /* without its END the same journal is an unfinished run */
    t.n--;
    play_replay("spin", UINT64_MAX, t.records[t.n - 1].clock, &t, &replayed);
    assert_int_equal(replayed.outcome, GUEST_UNFINISHED);
    t.n++;
    tape_deinit(&t);
    module_close(&m);
    stage_deinit(&s);
}

/* The call waits (parks) and is given up: its CALL is there, its RETURN is not. */
static void a_waiting_call_is_interrupted(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending end = {0}, replayed;
    (void)state;
    stage_init(&s);
    s.park_at = 1;
    module_open(&m, "hello");
    struct edge_options o = stage_options(&s, EDGE_RECORD, &t);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_run(g, UINT64_MAX, &end.value, &end.err), GUEST_PARKED);
    guest_stop(g, GUEST_TIMED_OUT, 1500);
    assert_true(guest_stopping(g));
    s.park_at = 2;
    end.outcome = guest_run(g, UINT64_MAX, &end.value, &end.err);
    ending_of(g, &end);
    guest_free(g);
    assert_int_equal(end.outcome, GUEST_TIMED_OUT);
    assert_int_equal(end.value, 1500);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.records[0].type, JOURNAL_CALL);
    assert_int_equal(t.records[1].type, JOURNAL_END);
    play_replay("hello", UINT64_MAX, t.records[1].clock, &t, &replayed);
    assert_int_equal(replayed.outcome, GUEST_TIMED_OUT);
    assert_int_equal(replayed.value, 1500);
    tape_deinit(&t);
    module_close(&m);
    stage_deinit(&s);
}

static void fuel_ends_at_the_same_tick(void **state) {
    (void)state;
    for (uint64_t fuel = 1; fuel < 40; fuel += 3) {
        struct tape t = {0};
        struct stage s;
        struct ending end, replayed;
        stage_init(&s);
        play_record(&s, "spin", fuel, &t, &end);
        assert_int_equal(end.outcome, GUEST_OUT_OF_FUEL);
        assert_true(end.value == fuel && end.ticks == fuel);
        play_replay("spin", fuel, UINT64_MAX, &t, &replayed);
        assert_same_ending(&end, &replayed);
        tape_deinit(&t);
        stage_deinit(&s);
    }
}

static void a_trap_of_an_implementation_replays(void **state) {
    struct tape t = {0};
    struct stage s;
    struct ending end, replayed;
    (void)state;
    stage_init(&s);
    s.trap_yield = true;
    play_record(&s, "trap", UINT64_MAX, &t, &end);
    play_replay("trap", UINT64_MAX, UINT64_MAX, &t, &replayed);
    assert_int_equal(end.outcome, GUEST_TRAPPED);
    assert_same_ending(&end, &replayed);
    tape_deinit(&t);
    stage_deinit(&s);
}

static void a_full_journal_stops_the_guest(void **state) {
    struct tape whole;
    struct ending end;
    (void)state;
    record("shapes", &whole, &end);
    for (uint32_t full = 1; full < whole.n; full++) {
        struct tape t = {.full_after = full};
        struct stage s;
        stage_init(&s);
        play_record(&s, "shapes", UINT64_MAX, &t, &end);
        assert_int_equal(end.outcome, GUEST_FAILED);
        assert_int_equal(end.err.status, ST_NO_SPACE);
        assert_int_equal(t.n, full);
        assert_true(s.calls <= full / 2 + 1); /* no call after the one that could not be written */
        tape_deinit(&t);
        stage_deinit(&s);
    }
    tape_deinit(&whole);
}

static void notes_are_passed_over(void **state) {
    struct tape t = {0};
    struct stage s;
    struct module_file m;
    struct ending end = {0}, replayed;
    (void)state;
    stage_init(&s);
    module_open(&m, "hello");
    struct edge_options o = stage_options(&s, EDGE_RECORD, &t);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    assert_int_equal(guest_note(g, "a word to the reader", NULL), ST_OK);
    s.park_at = 1;
    assert_int_equal(guest_run(g, UINT64_MAX, &end.value, &end.err), GUEST_PARKED);
    assert_int_equal(guest_note(g, "between call and return", NULL), ST_OK);
    end.outcome = guest_run(g, UINT64_MAX, &end.value, &end.err);
    ending_of(g, &end);
    guest_free(g);
    assert_int_equal(t.n, 6);
    assert_int_equal(t.records[2].type, JOURNAL_NOTE);
    play_replay("hello", UINT64_MAX, UINT64_MAX, &t, &replayed);
    assert_same_ending(&end, &replayed);
    tape_deinit(&t);
    module_close(&m);
    stage_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_is_the_same_execution),
        cmocka_unit_test(records_hold_what_crossed),
        cmocka_unit_test(every_difference_is_found),
        cmocka_unit_test(both_sides_are_shown),
        cmocka_unit_test(results_must_fit),
        cmocka_unit_test(a_journal_that_just_ends),
        cmocka_unit_test(a_parked_call_is_recorded_once),
        cmocka_unit_test(a_loop_is_interrupted_and_replays_to_there),
        cmocka_unit_test(a_waiting_call_is_interrupted),
        cmocka_unit_test(fuel_ends_at_the_same_tick),
        cmocka_unit_test(a_trap_of_an_implementation_replays),
        cmocka_unit_test(a_full_journal_stops_the_guest),
        cmocka_unit_test(notes_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
