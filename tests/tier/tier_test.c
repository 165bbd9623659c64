/* Guests go on whatever the compiler does: the stub (stub.c) can do everything. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "bed.h"

#include "base/must.h"
#include "tier/cache.h"

#include <stdio.h>
#include <stdlib.h>

static bool some_compiled(const struct bed *b, const struct tier_report *r) {
    (void)b;
    return r->compiled > 0;
}

static bool some_failed(const struct bed *b, const struct tier_report *r) {
    (void)b;
    return r->failed > 0;
}

static bool was_told(const struct bed *b, const struct tier_report *r) {
    (void)r;
    return b->ntold > 0;
}

/* For a while: twenty slices and more. */
static bool at_once(const struct bed *b, const struct tier_report *r) {
    (void)b, (void)r;
    return true;
}

static void what_is_hot_is_compiled_and_kept(void **state) {
    struct bed *b = *state;
    bed_start(b, "good", TIER_AUTO);
    struct tier_report r = bed_run(b, some_compiled);
    assert_int_equal(r.functions, 4);
    assert_int_equal(r.failed, 0);
    assert_int_equal(b->ntold, 0);
    assert_string_equal(r.version, "1.2.3-stub");
    bool any = false;
    for (uint32_t f = 0; f < 4; f++)
        any |= wasm_func_is_compiled(b->store, b->module, f);
    assert_true(any);
    bed_stop(b);

    /* the next one finds it, and needs no worker for that */
    uint32_t requests = bed_requests(b);
    assert_true(requests > 0);
    bed_start(b, "dead", TIER_AUTO);
    tier_report(b->guest, &r);
    assert_true(r.cached > 0);
    assert_int_equal(r.compiled, 0);
    assert_int_equal(bed_requests(b), requests);
}

static void interpreted_means_interpreted(void **state) {
    struct bed *b = *state;
    bed_start(b, "good", TIER_INTERP);
    assert_null(b->guest);
    assert_int_equal(wasm_run(b->exec, 30000000), WASM_STOPPED);
    for (uint32_t f = 0; f < 4; f++)
        assert_false(wasm_func_is_compiled(b->store, b->module, f));
    assert_int_equal(bed_requests(b), 0);
}

static void compiled_means_all(void **state) {
    struct bed *b = *state;
    bed_start(b, "good", TIER_COMPILED);
    struct tier_report r;
    tier_report(b->guest, &r);
    assert_int_equal(r.compiled, 4);
    for (uint32_t f = 0; f < 4; f++)
        assert_true(wasm_func_is_compiled(b->store, b->module, f));
    bed_stop(b);
    uint32_t requests = bed_requests(b);
    bed_start(b, "good", TIER_COMPILED);
    tier_report(b->guest, &r);
    assert_int_equal(r.cached, 4);
    assert_int_equal(bed_requests(b), requests);
}

/* One function kills the compiler: all others are compiled all the same. */
static void a_poisonous_function_is_found(void **state) {
    struct bed *b = *state;
    for (uint32_t f = 0; f < 4; f++) {
        char how[32];
        struct tier_report r;
        snprintf(how, sizeof how, "poison=%u", f);
        bed_start(b, how, TIER_COMPILED);
        tier_report(b->guest, &r);
        assert_int_equal(r.compiled, 3);
        assert_int_equal(r.failed, 1);
        assert_true(r.deaths >= 1);
        assert_false(wasm_func_is_compiled(b->store, b->module, f));
        assert_int_equal(b->ntold, 1);
        assert_non_null(strstr(b->told, "stays interpreted: the compiler was killed by SIGABRT: LLVM ERROR"));
        bed_stop(b);

        /* and it is left alone, in the next process too */
        uint32_t requests = bed_requests(b);
        bed_start(b, how, TIER_COMPILED);
        tier_report(b->guest, &r);
        assert_int_equal(r.cached, 3);
        assert_int_equal(r.failed, 1);
        assert_int_equal(bed_requests(b), requests);
        bed_stop(b);

        /* for a day */
        bed_shell(b, "touch -d '2 days ago' */*.bad");
        bed_start(b, "good", TIER_COMPILED);
        tier_report(b->guest, &r);
        assert_int_equal(r.cached, 3);
        assert_int_equal(r.compiled, 1);
        bed_stop(b);
        bed_shell(b, "rm -r */");
    }
}

/* At a request: a function stays interpreted, or all do; the guest goes on, and one sentence is said. */
static void a_bad_compiler_harms_nobody(void **state) {
    static const struct {
        const char *how, *said;
    } bad[] = {
        {"die", "was killed by SIGABRT: LLVM ERROR: out of ideas"},
        {"exit", "ended with status 0"},
        {"rubbish", "the compiler's answer is no object: compiled code is damaged"},
        {"foreign", "of another module"},
        {"refuse", "it is too beautiful"},
        {"wrong-id", "answers what it was not asked: everything stays interpreted"},
        {"dead", "ended with status 3: everything stays interpreted"},
        {"early", "does not say what it is: everything stays interpreted"},
        {"old", "is of another version of aeon: everything stays interpreted"},
        {"strange", "reads another module than it was given: everything stays interpreted"},
    };
    struct bed *b = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bed_start(b, bad[i].how, TIER_AUTO);
        struct tier_report r = bed_run(b, was_told);
        bed_run(b, at_once);
        if (!strstr(b->told, bad[i].said))
            print_error("%s: %s", bad[i].how, b->told);
        assert_non_null(strstr(b->told, bad[i].said));
        assert_int_equal(b->ntold, 1);
        assert_int_equal(r.compiled, 0);
        for (uint32_t f = 0; f < 4; f++)
            assert_false(wasm_func_is_compiled(b->store, b->module, f));
        bed_stop(b);
        bed_shell(b, "rm -rf ./*/");
    }
}

/* What it leaves out is interpreted and not asked for again; what it sends beyond is its end. */
static void what_is_left_out_is_interpreted(void **state) {
    struct bed *b = *state;
    struct tier_report r;
    bed_start(b, "partial", TIER_COMPILED);
    tier_report(b->guest, &r);
    assert_int_equal(r.compiled, 1);
    assert_int_equal(r.failed, 3);
    bed_stop(b);
    bed_shell(b, "rm -r */");
    bed_start(b, "babble", TIER_COMPILED);
    tier_report(b->guest, &r);
    assert_int_equal(r.compiled, 4);
}

static void workers_are_not_started_for_ever(void **state) {
    struct bed *b = *state;
    bed_start(b, "die", TIER_AUTO);
    bed_run(b, some_failed);
    for (int i = 0; i < 200; i++)
        bed_run(b, at_once);
    struct tier_report r;
    tier_report(b->guest, &r);
    assert_true(r.deaths <= 6);
    assert_int_equal(b->ntold, 1);
}

/* ---- the cache --------------------------------------------------------------------------------------------------- */

struct seen {
    uint32_t entries, functions, objects, bad;
};

static void look(void *ctx, const struct cache_line *l) {
    struct seen *s = ctx;
    s->entries++;
    s->functions += l->functions;
    s->objects += l->objects;
    s->bad += l->bad;
    assert_string_equal(l->name, "hot.wasm");
    assert_int_equal(l->nfuncs, 4);
}

static struct seen list(const struct bed *b) {
    struct seen s = {0};
    assert_int_equal(cache_list(b->world, b->cache, look, &s, NULL), ST_OK);
    return s;
}

static uint32_t cached(struct bed *b) {
    struct tier_report r;
    bed_start(b, "dead", TIER_AUTO);
    tier_report(b->guest, &r);
    bed_stop(b);
    return r.cached;
}

static void damage_is_dropped(void **state) {
    static const char *const damages[] = {
        "for f in */*.o; do chmod u+w $f; printf x | dd of=$f bs=1 seek=4100 conv=notrunc status=none; done",
        "for f in */*.o; do chmod u+w $f; truncate -s 100 $f; done",
        "for f in */*.o; do chmod u+w $f; truncate -s 0 $f; done",
        "for f in */*.o; do chmod u+w $f; truncate -s 4096 $f; done",
        "for f in */*.o; do chmod u+w $f; head -c 5000 /dev/zero > $f; done",
    };
    struct bed *b = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        bed_start(b, "good", TIER_COMPILED);
        bed_stop(b);
        assert_int_equal(cached(b), 4);
        bed_shell(b, damages[i]);
        assert_int_equal(cached(b), 0);
        assert_int_equal(b->ntold, 1);
        assert_non_null(strstr(b->told, "damaged"));
        assert_int_equal(list(b).objects, 0); /* it is gone */
    }
}

static void nobody_elses_files_are_taken(void **state) {
    struct bed *b = *state;
    bed_start(b, "good", TIER_COMPILED);
    bed_stop(b);
    bed_shell(b, "chmod 0622 */*.o");
    assert_int_equal(cached(b), 0);
    bed_shell(b, "chmod 0400 */*.o");
    assert_int_equal(cached(b), 4);
    bed_shell(b, "for f in */*.o; do mv $f ../elsewhere; ln -s $PWD/../elsewhere $f; done");
    assert_int_equal(cached(b), 0);
    bed_shell(b, "for f in */*.o; do rm $f; mkdir $f; done");
    assert_int_equal(cached(b), 0);
    bed_shell(b, "rmdir */*.o; for d in */; do mv ../elsewhere $d/0.o; done; chmod g+w */");
    assert_int_equal(cached(b), 0);
    bed_shell(b, "chmod g-w */; chmod o+w .");
    assert_int_equal(cached(b), 0);
    bed_shell(b, "chmod o-w .");
    assert_int_equal(cached(b), 4);
}

/* It is removed while somebody uses it. */
static void the_cache_may_vanish(void **state) {
    struct bed *b = *state;
    bed_start(b, "good", TIER_AUTO);
    bed_run(b, some_compiled);
    bed_shell(b, "rm -r */");
    for (int i = 0; i < 100; i++)
        bed_run(b, at_once);
    bed_stop(b);
    bed_start(b, "good", TIER_COMPILED);
    bed_shell(b, "rm -r ../cache");
    bed_stop(b);
    bed_start(b, "good", TIER_COMPILED);
    bed_stop(b);
    assert_int_equal(list(b).functions, 4);
}

static void the_least_recently_used_go_first(void **state) {
    struct bed *b = *state;
    struct cache_removed r;
    bed_start(b, "good", TIER_COMPILED);
    bed_stop(b);
    bed_shell(b, "for d in */; do cp -rp $d old; touch -d '3 days ago' old/about; touch old/x.tmp; done");
    assert_int_equal(list(b).entries, 2);
    assert_int_equal(cache_gc(b->world, b->cache, 1 << 30, &r, NULL), ST_OK);
    assert_int_equal(r.entries, 0);
    assert_int_equal(cache_gc(b->world, b->cache, r.left_bytes - 1, &r, NULL), ST_OK);
    assert_int_equal(r.entries, 1);
    assert_int_equal(cached(b), 4);
    assert_int_equal(cache_gc(b->world, b->cache, 0, &r, NULL), ST_OK);
    assert_int_equal(r.entries, 1);
    assert_int_equal(r.left_bytes, 0);
    assert_int_equal(list(b).entries, 0);
}

int main(void) {
    if (!wasm_native_features())
        return 77;
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)
        T(what_is_hot_is_compiled_and_kept),
        T(interpreted_means_interpreted),
        T(compiled_means_all),
        T(a_poisonous_function_is_found),
        T(a_bad_compiler_harms_nobody),
        T(what_is_left_out_is_interpreted),
        T(workers_are_not_started_for_ever),
        T(damage_is_dropped),
        T(nobody_elses_files_are_taken),
        T(the_cache_may_vanish),
        T(the_least_recently_used_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
