/* Units, tables and JSON as they reach a person or a program. */
#include "cli/print.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void units(void **state) {
    (void)state;
    char s[HUMAN_MAX];
    assert_string_equal(human_duration(0, s), "0 ns");
    assert_string_equal(human_duration(999, s), "999 ns");
    assert_string_equal(human_duration(1234, s), "1.23 us");
    assert_string_equal(human_duration(999499, s), "999 us");
    assert_string_equal(human_duration(999500, s), "1.00 ms");
    assert_string_equal(human_duration(45678901, s), "45.7 ms");
    assert_string_equal(human_duration(999500000, s), "1.00 s");
    assert_string_equal(human_duration(99990000000, s), "100 s");
    assert_string_equal(human_duration(125000000000, s), "2 min 05 s");
    assert_string_equal(human_duration(7500000000000, s), "2 h 05 min");
    assert_string_equal(human_size(1023, s), "1023 B");
    assert_string_equal(human_size(1024, s), "1.00 KiB");
    assert_string_equal(human_size(26ull << 20, s), "26.0 MiB");
    assert_string_equal(human_size(UINT64_MAX, s), "16.0 EiB");
    assert_string_equal(human_count(7, s), "7");
    assert_string_equal(human_count(1234, s), "1 234");
    assert_string_equal(human_count(123456, s), "123 456");
    assert_string_equal(human_count(UINT64_MAX, s), "18 446 744 073 709 551 615");
    assert_string_equal(iso_time(1700000000123456789, s), "2023-11-14T22:13:20.123Z");
}

static void safe(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    static const char text[] = "a\033[1m\n\xc3\xa9\xff\x9b\xc2\x9b\xed\xa0\x80";
    print_safe(&b, text, sizeof text - 1);
    assert_string_equal(buf_cstr(&b), "a\\x1b[1m\\n\xc3\xa9\\xff\\x9b\\xc2\\x9b\\xed\\xa0\\x80");
    buf_deinit(&b);
}

static void json(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, 1024);
    struct json j = {.out = &b};
    json_open(&j, NULL, '{');
    json_string(&j, "a", "q\"\\\n\x01\xc3\xa9\xff");
    json_open(&j, "list", '[');
    json_number(&j, NULL, UINT64_MAX);
    json_bool(&j, NULL, false);
    json_open(&j, NULL, '{');
    json_close(&j, '}');
    json_close(&j, ']');
    json_null(&j, "z");
    json_close(&j, '}');
    assert_string_equal(buf_cstr(&b),
                        "{\"a\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\"list\":[18446744073709551615,false,{}],"
                        "\"z\":null}");
    buf_deinit(&b);
}

static void table(void **state) {
    static const char *const heads[] = {"ID", ">SIZE", "END"};
    static const char *const cells[] = {"…1", "12 B", "ok", "abcd", "1.00 KiB", "x"};
    struct table t;
    (void)state;
    table_init(&t, 3, heads);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        table_cell(&t, STYLE_NONE, cells[i]);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    table_print(&t, f, false);
    fclose(f);
    assert_string_equal(text, "ID        SIZE  END\n"
                              "…1        12 B  ok\n"
                              "abcd  1.00 KiB  x\n");
    mem_free(text);
    table_deinit(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units),
        cmocka_unit_test(safe),
        cmocka_unit_test(json),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
