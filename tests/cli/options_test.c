/* The option parser: every form an option can take, every way it can be wrong. */
#include "cli/options.h"

#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct values {
    bool quiet, all;
    const char *name;
    struct option_list dirs;
    uint64_t size, wait, fuel;
};

static const struct option rows[] = {
    {"quiet", 'q', NULL, NULL, offsetof(struct values, quiet), "say less"},
    {"all", 'a', NULL, NULL, offsetof(struct values, all), "all of them"},
    {"name", 'n', option_text, "NAME", offsetof(struct values, name), "what to call it"},
    {"dir", 0, option_append, "HOST:GUEST", offsetof(struct values, dirs), "a directory\nin two lines"},
    {"memory", 0, option_size, "SIZE", offsetof(struct values, size), "how much"},
    {"time", 0, option_duration, "DURATION", offsetof(struct values, wait), "how long"},
    {"fuel", 0, option_count, "TICKS", offsetof(struct values, fuel), "how far"},
};

static const struct option_set set = {"run", rows, sizeof rows / sizeof *rows, false};
static const struct option_set set_first = {"run", rows, sizeof rows / sizeof *rows, true};

struct outcome {
    enum status status;
    struct err e;
    struct values v;
    bool help;
    int n;
    char *argv[16];
};

static struct outcome parse(const struct option_set *s, const char *const *args) {
    struct outcome o = {.e = ERR_INIT};
    int argc = 0;
    for (; args[argc]; argc++)
        o.argv[argc] = (char *)args[argc];
    o.status = options_parse(s, argc, o.argv, &o.v, &o.n, &o.help, &o.e);
    return o;
}

#define PARSE(...) parse(&set, (const char *const[]){__VA_ARGS__, NULL})

static void forms(void **state) {
    (void)state;
    struct outcome o = PARSE("x", "--name=a=b", "-q", "y", "--time", "30s", "-");
    assert_int_equal(o.status, ST_OK);
    assert_string_equal(o.v.name, "a=b");
    assert_true(o.v.quiet);
    assert_false(o.v.all);
    assert_int_equal(o.v.wait, 30000000000u);
    assert_int_equal(o.n, 3);
    assert_string_equal(o.argv[0], "x");
    assert_string_equal(o.argv[1], "y");
    assert_string_equal(o.argv[2], "-");

    o = PARSE("-qan", "one");
    assert_true(o.v.quiet && o.v.all);
    assert_string_equal(o.v.name, "one");
    assert_string_equal(PARSE("-none").v.name, "one");
    assert_string_equal(PARSE("-n=one").v.name, "one");
    assert_string_equal(PARSE("--name", "--quiet").v.name, "--quiet");
    assert_string_equal(PARSE("--name=").v.name, "");
    assert_string_equal(PARSE("-name").v.name, "ame");

    o = PARSE("--", "-q", "--", "z");
    assert_false(o.v.quiet);
    assert_int_equal(o.n, 3);
    assert_string_equal(o.argv[1], "--");
}

static void repeated(void **state) {
    (void)state;
    struct outcome o = PARSE("--dir", "a:b", "--dir=c:d:ro");
    assert_int_equal(o.v.dirs.n, 2);
    assert_string_equal(o.v.dirs.items[0], "a:b");
    assert_string_equal(o.v.dirs.items[1], "c:d:ro");
    mem_free(o.v.dirs.items);
}

static void first_operand_ends_options(void **state) {
    (void)state;
    const char *const args[] = {"-q", "guest.wasm", "--", "-a", "--help", NULL};
    struct outcome o = parse(&set_first, args);
    assert_int_equal(o.status, ST_OK);
    assert_true(o.v.quiet);
    assert_false(o.v.all || o.help);
    assert_int_equal(o.n, 4);
    assert_string_equal(o.argv[1], "--");
    assert_string_equal(o.argv[3], "--help");
}

static void help(void **state) {
    (void)state;
    assert_true(PARSE("--help").help);
    assert_true(PARSE("x", "-h", "--nonsense").help);
    struct buf b;
    buf_init(&b, 4096);
    options_help(&set, &b);
    const char *text = buf_cstr(&b);
    assert_non_null(strstr(text, "  -q, --quiet                 say less\n"));
    assert_non_null(
        strstr(text, "      --dir HOST:GUEST        a directory\n                              in two lines\n"));
    buf_deinit(&b);
}

static void wrong(void **state) {
    (void)state;
    static const struct {
        const char *args[3], *text;
    } cases[] = {
        {{"--quite"}, "unknown option --quite: did you mean --quiet? (see `aeon help run`)"},
        {{"--memmory=1"}, "unknown option --memmory: did you mean --memory? (see `aeon help run`)"},
        {{"--halp"}, "unknown option --halp: did you mean --help? (see `aeon help run`)"},
        {{"--xyzzy"}, "unknown option --xyzzy: see `aeon help run`"},
        {{"-z"}, "unknown option -z: see `aeon help run`"},
        {{"--name"}, "--name needs a value: --name NAME"},
        {{"-n"}, "--name needs a value: --name NAME"},
        {{"--quiet=yes"}, "--quiet takes no value, 'yes' was given"},
        {{"--memory", "lots"}, "--memory: 'lots' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {{"--memory", "1 GiB"}, "--memory: '1 GiB' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {{"--memory=-1"}, "--memory: '-1' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {{"--memory=99999999999999999999"}, "--memory: '99999999999999999999' is too large"},
        {{"--memory=18446744073709551615k"}, "--memory: '18446744073709551615k' is too large"},
        {{"--time=1x"}, "--time: '1x' is not a duration (such as 250ms, 30s, 5m or 1h)"},
        {{"--time="}, "--time: '' is not a duration (such as 250ms, 30s, 5m or 1h)"},
        {{"--fuel=1KiB"}, "--fuel: '1KiB' is not a number (such as 1000, 500M or 2G)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = parse(&set, cases[i].args);
        assert_int_equal(o.status, ST_INVALID);
        assert_string_equal(o.e.text, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms), cmocka_unit_test(repeated), cmocka_unit_test(first_operand_ends_options),
        cmocka_unit_test(help),  cmocka_unit_test(wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
