/* Grants as written on the command line, and where the store is looked for. */
#include "base/must.h"
#include "node/grant.h"
#include "node/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void good_grants(void **state) {
    (void)state;
    static const struct {
        const char *text, *host, *guest;
        bool writable;
    } cases[] = {
        {"data:/data", "data", "/data", true},
        {"data:/data:rw", "data", "/data", true},
        {"data:/data:ro", "data", "/data", false},
        {"/a:b/c:/data:ro", "/a:b/c", "/data", false},
        {".:.", ".", ".", true},
        {"a:b:c", "a:b", "c", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grant_dir d;
        assert_int_equal(grant_dir_parse(cases[i].text, &d, NULL), ST_OK);
        assert_string_equal(d.host, cases[i].host);
        assert_string_equal(d.guest, cases[i].guest);
        assert_int_equal(d.mode == GRANT_RW, cases[i].writable);
        grant_dir_deinit(&d);
    }
}

static void modes_and_quotas(void **state) {
    (void)state;
    struct grant_dir d;
    assert_int_equal(grant_dir_parse("out:/out,size=1MiB,count=10", &d, NULL), ST_OK);
    assert_int_equal(d.mode, GRANT_RW);
    assert_int_equal(d.size_bytes, 1 << 20);
    assert_int_equal(d.count, 10);
    assert_string_equal(d.guest, "/out");
    grant_dir_deinit(&d);
    assert_int_equal(grant_dir_parse("a,b:/c,d", &d, NULL), ST_OK); /* commas of the paths' own */
    assert_string_equal(d.host, "a,b");
    assert_string_equal(d.guest, "/c,d");
    grant_dir_deinit(&d);
    assert_int_equal(grant_dir_parse("lib.tar:/usr", &d, NULL), ST_OK);
    assert_int_equal(d.mode, GRANT_ARCHIVE);
    grant_dir_deinit(&d);
    assert_int_equal(grant_dir_parse("lib.tar:/usr:ro", &d, NULL), ST_OK);
    grant_dir_deinit(&d);
    assert_int_equal(grant_overlay_parse("./base:/,size=5k", &d, NULL), ST_OK);
    assert_int_equal(d.mode, GRANT_OVERLAY);
    assert_string_equal(d.guest, "/");
    grant_dir_deinit(&d);
    assert_int_equal(grant_overlay_parse("base.tar:/,count=7,size=1GiB", &d, NULL), ST_OK);
    assert_int_equal(d.mode, GRANT_OVERLAY);
    assert_string_equal(d.host, "base.tar");
    assert_int_equal(d.size_bytes, 1 << 30);
    assert_int_equal(d.count, 7);
    grant_dir_deinit(&d);
    static const char *const bad[] = {"lib.tar:/usr:rw", "a:/b:ro,size=1k", "a:/b,size=x",
                                      "a:/b,count=",     "a:/b,size=0",     "a:/b,size=1k,count=0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_int_equal(grant_dir_parse(bad[i], &d, &e), ST_INVALID);
        assert_non_null(strstr(e.text, bad[i]));
    }
}

static void bad_overlays(void **state) {
    (void)state;
    static const char *const cases[] = {"", "base", ":/", "base:", "base:/:ro", "base:/:rw,size=1k", "base:/,size=0"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grant_dir d;
        struct err e = ERR_INIT;
        assert_int_equal(grant_overlay_parse(cases[i], &d, &e), ST_INVALID);
        assert_non_null(strstr(e.text, "--overlay"));
    }
}

static void bad_grants(void **state) {
    (void)state;
    static const char *const cases[] = {"",       ".",         "data",  "data:ro",  "data:rw",
                                        ":/data", ":/data:ro", "data:", "data::ro", "ro:rw"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grant_dir d;
        struct err e = ERR_INIT;
        assert_int_equal(grant_dir_parse(cases[i], &d, &e), ST_INVALID);
        assert_non_null(strstr(e.text, "HOST:GUEST[:ro|rw]"));
    }
}

static char *home_with(const char *aeon, const char *xdg, const char *home) {
    const char *const names[] = {"AEON_HOME", "XDG_DATA_HOME", "HOME"}, *const values[] = {aeon, xdg, home};
    for (int i = 0; i < 3; i++) {
        if (values[i])
            setenv(names[i], values[i], 1);
        else
            unsetenv(names[i]);
    }
    char *out = NULL;
    struct err e = ERR_INIT;
    return node_find_home(&out, &e) ? mem_strdup(e.text) : out;
}

static void homes(void **state) {
    (void)state;
    static const struct {
        const char *aeon, *xdg, *home, *found;
    } cases[] = {
        {"/a", "/x", "/h", "/a"},
        {"relative", "/x", "/h", "relative"},
        {NULL, "/x", "/h", "/x/aeon"},
        {"", "/x", "/h", "/x/aeon"},
        {NULL, "relative", "/h", "/h/.local/share/aeon"},
        {NULL, NULL, "/h", "/h/.local/share/aeon"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *found = home_with(cases[i].aeon, cases[i].xdg, cases[i].home);
        assert_string_equal(found, cases[i].found);
        mem_free(found);
    }
    char *text = home_with(NULL, "relative", NULL);
    assert_non_null(strstr(text, "set AEON_HOME"));
    mem_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_grants), cmocka_unit_test(modes_and_quotas),
        cmocka_unit_test(bad_grants),  cmocka_unit_test(bad_overlays),
        cmocka_unit_test(homes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
