#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/nearest.h"
#include "base/units.h"

static void scaled(void **state) {
    (void)state;
    static const struct {
        enum status (*read)(const char *text, uint64_t *out, struct err *e);
        const char *text;
        uint64_t value;
    } cases[] = {
        {units_size, "0", 0},
        {units_size, "4096", 4096},
        {units_size, "64KiB", 65536},
        {units_size, "1.5GiB", 1610612736},
        {units_size, "256M", 268435456},
        {units_size, "10GB", 10000000000},
        {units_size, "18446744073709551615", UINT64_MAX},
        {units_duration, "30", 30000000000},
        {units_duration, "0.25s", 250000000},
        {units_duration, "250ms", 250000000},
        {units_duration, "1h", 3600000000000},
        {units_duration, "2d", 172800000000000},
        {units_count, "500M", 500000000},
        {units_count, "2.5k", 2500},
        {units_count, "7", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 0;
        assert_int_equal(cases[i].read(cases[i].text, &v, NULL), ST_OK);
        assert_int_equal(v, cases[i].value);
    }
}

static void not_numbers(void **state) {
    static const struct {
        enum status (*read)(const char *text, uint64_t *out, struct err *e);
        const char *text, *error;
    } cases[] = {
        {units_size, "", "'' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {units_size, "MiB", "'MiB' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {units_size, "-1", "'-1' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {units_size, "1 MiB", "'1 MiB' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {units_size, "0x10", "'0x10' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {units_size, "18446744073709551616", "'18446744073709551616' is too large"},
        {units_size, "18014398509481985KiB", "'18014398509481985KiB' is too large"},
        {units_duration, "1fortnight", "'1fortnight' is not a duration (such as 250ms, 30s, 5m or 1h)"},
        {units_count, "many", "'many' is not a number (such as 1000, 500M or 2G)"},
        {units_count, "1ms", "'1ms' is not a number (such as 1000, 500M or 2G)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 77;
        struct err e = ERR_INIT;
        assert_int_equal(cases[i].read(cases[i].text, &v, &e), ST_INVALID);
        assert_string_equal(e.text, cases[i].error);
        assert_int_equal(v, 77);
    }
}

static void nearest(void **state) {
    (void)state;
    static const char *const names[] = {"run", "ls", "show", "logs", "trace", "replay", "verify", "rm"};
    assert_string_equal(nearest_name("relpay", names, 8), "replay");
    assert_string_equal(nearest_name("log", names, 8), "logs");
    assert_string_equal(nearest_name("rn", names, 8), "run");
    assert_null(nearest_name("xyz", names, 8));
    assert_null(nearest_name("a-very-long-word-that-is-no-command-at-all", names, 8));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaled),
        cmocka_unit_test(not_numbers),
        cmocka_unit_test(nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
