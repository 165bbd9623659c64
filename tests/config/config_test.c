#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"
#include "config/config.h"

#include <stdio.h>

struct server {
    const char *name;
    bool fast;
    uint64_t count, size, wait;
    struct config_texts args, env;
};

static const struct config_key keys[] = {
    {"name", config_text, offsetof(struct server, name), true, "what it is called"},
    {"fast", config_bool, offsetof(struct server, fast), false, "whether it hurries"},
    {"count", config_count, offsetof(struct server, count), false, "how many"},
    {"size", config_size, offsetof(struct server, size), false, "how large"},
    {"wait", config_duration, offsetof(struct server, wait), false, "how long"},
    {"args", config_texts, offsetof(struct server, args), false, "what it is told"},
    {"env", config_pairs, offsetof(struct server, env), false, "what surrounds it"},
};

static enum status read_server(const char *text, struct config *c, struct server *out, struct err *e) {
    enum status s = config_parse(SPAN_STR(text), "a.yaml", c, e);
    if (s)
        return s;
    s = config_read_map(c, c->root, "a server", keys, sizeof keys / sizeof *keys, out, e);
    if (s)
        config_deinit(c);
    return s;
}

static void everything_is_read(void **state) {
    struct config c;
    struct server s = {0};
    struct err e = ERR_INIT;
    (void)state;
    if (read_server("# a comment\n"
                    "name: web\n"
                    "fast: true\n"
                    "count: 2k\n"
                    "size: 1.5KiB\n"
                    "wait: 250ms\n"
                    "args: [-v, \"\", 'a: b', \"true\"]\n"
                    "env: {A: b, C: \"d=e\"}\n",
                    &c, &s, &e))
        fail_msg("%s", e.text);
    assert_string_equal(s.name, "web");
    assert_true(s.fast);
    assert_int_equal(s.count, 2000);
    assert_int_equal(s.size, 1536);
    assert_int_equal(s.wait, 250000000);
    assert_int_equal(s.args.n, 4);
    assert_string_equal(s.args.items[0], "-v");
    assert_string_equal(s.args.items[1], "");
    assert_string_equal(s.args.items[2], "a: b");
    assert_string_equal(s.args.items[3], "true");
    assert_int_equal(s.env.n, 2);
    assert_string_equal(s.env.items[0], "A=b");
    assert_string_equal(s.env.items[1], "C=d=e");
    config_deinit(&c);
}

static void defaults_stay(void **state) {
    struct config c;
    struct server s = {.count = 7, .fast = true};
    (void)state;
    assert_int_equal(read_server("{name: x, args: one}", &c, &s, NULL), ST_OK);
    assert_int_equal(s.count, 7);
    assert_true(s.fast);
    assert_int_equal(s.args.n, 1);
    assert_string_equal(s.args.items[0], "one");
    config_deinit(&c);
}

static void nodes_know_their_places(void **state) {
    struct config c;
    (void)state;
    assert_int_equal(config_parse(SPAN_STR("a: 1\nb:\n  - x\n  - {\xc3\xa9: 'y'}\n"), "a.yaml", &c, NULL), ST_OK);
    assert_int_equal(c.root->type, CONFIG_MAP);
    assert_int_equal(c.root->n, 2);
    const struct config_node *list = c.root->items[1];
    assert_string_equal(c.root->keys[1]->text, "b");
    assert_int_equal(list->type, CONFIG_LIST);
    assert_int_equal(list->n, 2);
    assert_int_equal(list->items[0]->line, 3);
    assert_int_equal(list->items[0]->column, 5);
    assert_false(list->items[0]->quoted);
    const struct config_node *value = list->items[1]->items[0];
    assert_int_equal(value->line, 4);
    assert_int_equal(value->column, 9);
    assert_true(value->quoted);
    config_deinit(&c);
}

static void nothing_is_an_empty_map(void **state) {
    static const char *const texts[] = {"", "\n", "# only words\n", "---\n", "---\n...\n", "{}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c;
        assert_int_equal(config_parse(SPAN_STR(texts[i]), "a.yaml", &c, NULL), ST_OK);
        assert_int_equal(c.root->type, CONFIG_MAP);
        assert_int_equal(c.root->n, 0);
        config_deinit(&c);
    }
}

static void mistakes_have_a_place_and_a_reason(void **state) {
    static const struct {
        const char *text;
        enum status status;
        const char *error;
    } cases[] = {
        {"nmae: x", ST_INVALID, "a.yaml:1:1: unknown key 'nmae'; did you mean 'name'?"},
        {"name: x\nzebra: 1", ST_INVALID,
         "a.yaml:2:1: unknown key 'zebra'; a server has: name, fast, count, size, wait, args, env"},
        {"NAME: x", ST_INVALID,
         "a.yaml:1:1: unknown key 'NAME'; a server has: name, fast, count, size, wait, args, env"},
        {"count: 1", ST_INVALID, "a.yaml:1:1: a server needs 'name' (what it is called)"},
        {"[name]", ST_INVALID, "a.yaml:1:1: a server is a map of keys and values, this is a list"},
        {"name", ST_INVALID, "a.yaml:1:1: a server is a map of keys and values, this is a text"},
        {"name:", ST_INVALID, "a.yaml:1:1: 'name' has no value"},
        {"name: ~", ST_INVALID, "a.yaml:1:1: 'name' has no value"},
        {"name: [x]", ST_INVALID, "a.yaml:1:7: a text was expected here, not a list"},
        {"name: x\nfast: yes", ST_INVALID, "a.yaml:2:7: 'yes' is neither true nor false"},
        {"name: x\nfast: 'true'", ST_INVALID, "a.yaml:2:7: 'true' is neither true nor false (quoted)"},
        {"name: x\ncount: many", ST_INVALID, "a.yaml:2:8: 'many' is not a number (such as 1000, 500M or 2G)"},
        {"name: x\nsize: 1 MiB", ST_INVALID, "a.yaml:2:7: '1 MiB' is not a size (such as 64KiB, 256MiB or 10GB)"},
        {"name: x\nsize: {}", ST_INVALID, "a.yaml:2:7: a size was expected here, not a map"},
        {"name: x\nwait: soon", ST_INVALID, "a.yaml:2:7: 'soon' is not a duration (such as 250ms, 30s, 5m or 1h)"},
        {"name: x\nargs: [a, [b]]", ST_INVALID, "a.yaml:2:11: a text was expected here, not a list"},
        {"name: x\nargs: [a, ~]", ST_INVALID, "a.yaml:2:11: a text was expected here, and there is nothing"},
        {"name: x\nargs: {a: b}", ST_INVALID, "a.yaml:2:7: a text was expected here, not a map"},
        {"name: x\nenv: [a]", ST_INVALID, "a.yaml:2:6: a map of names and texts was expected here, not a list"},
        {"name: x\nenv: {'a=b': c}", ST_INVALID, "a.yaml:2:7: 'a=b' cannot be a name: one is not empty and has no '='"},
        {"name: x\nenv: {'': c}", ST_INVALID, "a.yaml:2:7: '' cannot be a name: one is not empty and has no '='"},
        {"name: x\ncount: 1\nname: y", ST_MALFORMED, "a.yaml:3:1: key 'name' is given twice, first in line 1"},
        {"{a: {b: 1, c: 2, b: 3}}", ST_MALFORMED, "a.yaml:1:18: key 'b' is given twice, first in line 1"},
        {"name: &a x", ST_MALFORMED, "a.yaml:1:7: anchors and aliases are not taken: write the value out"},
        {"name: *a", ST_MALFORMED, "a.yaml:1:7: anchors and aliases are not taken: write the value out"},
        {"*a : x", ST_MALFORMED, "a.yaml:1:1: anchors and aliases are not taken: write the value out"},
        {"a: &x [1]", ST_MALFORMED, "a.yaml:1:4: anchors and aliases are not taken: write the value out"},
        {"a: &x {b: 1}", ST_MALFORMED, "a.yaml:1:4: anchors and aliases are not taken: write the value out"},
        {"name: !!str x", ST_MALFORMED, "a.yaml:1:7: tags are not taken"},
        {"name: !!python/object:os.system x", ST_MALFORMED, "a.yaml:1:7: tags are not taken"},
        {"a: !x [1]", ST_MALFORMED, "a.yaml:1:4: tags are not taken"},
        {"a: !x {b: 1}", ST_MALFORMED, "a.yaml:1:4: tags are not taken"},
        {"? [a]\n: b", ST_MALFORMED, "a.yaml:1:3: a key must be a text"},
        {"? {a: b}\n: b", ST_MALFORMED, "a.yaml:1:3: a key must be a text"},
        {"a: 1\n---\nb: 2", ST_MALFORMED, "a.yaml:2:1: a second document: only one is taken"},
        {"a: \"x\\0y\"", ST_MALFORMED, "a.yaml:1:4: a text with a NUL in it"},
        {"a: [1", ST_MALFORMED,
         "a.yaml:2:1: did not find expected ',' or ']' while parsing a flow sequence that begins in line 1"},
        {"a: b: c", ST_MALFORMED, "a.yaml:1:5: mapping values are not allowed in this context"},
        {"a:\n\tb: 1", ST_MALFORMED,
         "a.yaml:2:1: found character that cannot start any token while scanning for the next token that begins in "
         "line 2"},
        {"a: \xff\xfe", ST_MALFORMED, "a.yaml: byte 3: invalid leading UTF-8 octet"},
        {"a: \x01", ST_MALFORMED, "a.yaml: byte 3: control characters are not allowed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        struct server s = {0};
        struct err e = ERR_INIT;
        assert_int_equal(read_server(cases[i].text, &c, &s, &e), cases[i].status);
        assert_string_equal(e.text, cases[i].error);
    }
}

static enum status parse_repeated(const char *first, const char *again, size_t n, struct err *e) {
    size_t head = strlen(first), each = strlen(again);
    char *text = mem_alloc(head + n * each);
    struct config c;
    memcpy(text, first, head);
    for (size_t i = 0; i < n; i++)
        memcpy(text + head + i * each, again, each);
    enum status s = config_parse(SPAN(text, head + n * each), "a.yaml", &c, e);
    if (!s)
        config_deinit(&c);
    mem_free(text);
    return s;
}

static void absurd_documents_are_refused(void **state) {
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(parse_repeated("a: ", "[", 100000, &e), ST_LIMIT);
    assert_string_equal(e.text, "a.yaml:1:35: nested too deeply");
    err_clear(&e);
    assert_int_equal(parse_repeated("a: ", "{a: ", 100000, &e), ST_LIMIT);
    assert_non_null(strstr(e.text, "nested too deeply"));
    err_clear(&e);
    assert_int_equal(parse_repeated("", "- a\n", CONFIG_MAX_NODES - 1, &e), ST_OK);
    assert_int_equal(parse_repeated("", "- a\n", CONFIG_MAX_NODES, &e), ST_LIMIT);
    assert_string_equal(e.text, "a.yaml:262144:3: the document has too many parts");
    err_clear(&e);
    assert_int_equal(parse_repeated("#", "x", CONFIG_MAX_BYTES, &e), ST_LIMIT);
    assert_string_equal(e.text, "a.yaml: 4194305 bytes, 4194304 are the most");
}

static void many_keys_are_compared(void **state) {
    enum { KEYS = 20000, EACH = 9 };
    char *text = mem_alloc(KEYS * EACH + 1);
    struct config c;
    struct err e = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        snprintf(text + i * EACH, EACH + 1, "%05zu: x\n", i);
    assert_int_equal(config_parse(SPAN(text, KEYS * EACH), "a.yaml", &c, &e), ST_OK);
    assert_int_equal(c.root->n, KEYS);
    config_deinit(&c);
    memcpy(text + (KEYS - 1) * EACH, "00123", 5);
    assert_int_equal(config_parse(SPAN(text, KEYS * EACH), "a.yaml", &c, &e), ST_MALFORMED);
    assert_string_equal(e.text, "a.yaml:20000:1: key '00123' is given twice, first in line 124");
    mem_free(text);
}

static void paths_are_meant_from_the_file(void **state) {
    static const struct {
        const char *file, *path, *joined;
    } cases[] = {
        {"net.yaml", "data", "data"},
        {"net.yaml", "./data", "data"},
        {"net.yaml", "/data", "/data"},
        {"net.yaml", "../data", "../data"},
        {"net.yaml", ".", "."},
        {"net.yaml", "./", "./"},
        {"net.yaml", ".//", ".//"},
        {"net.yaml", ".//etc", "etc"},
        {"conf/net.yaml", "data", "conf/data"},
        {"conf/net.yaml", "././data", "conf/data"},
        {"conf/net.yaml", "/data", "/data"},
        {"conf/net.yaml", "../data", "conf/../data"},
        {"/etc/net.yaml", ".", "/etc/."},
        {"/net.yaml", "data", "/data"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        assert_int_equal(config_parse(SPAN_STR(""), cases[i].file, &c, NULL), ST_OK);
        assert_string_equal(config_join(&c, cases[i].path), cases[i].joined);
        config_deinit(&c);
    }
}

static void errors_need_no_one_to_read_them(void **state) {
    struct config c;
    struct server s = {0};
    (void)state;
    assert_int_equal(read_server("nmae: x", &c, &s, NULL), ST_INVALID);
    assert_int_equal(read_server("name: [", &c, &s, NULL), ST_MALFORMED);
    assert_int_equal(read_server("name: x\nname: y", &c, &s, NULL), ST_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(defaults_stay),
        cmocka_unit_test(nodes_know_their_places),
        cmocka_unit_test(nothing_is_an_empty_map),
        cmocka_unit_test(mistakes_have_a_place_and_a_reason),
        cmocka_unit_test(absurd_documents_are_refused),
        cmocka_unit_test(many_keys_are_compared),
        cmocka_unit_test(paths_are_meant_from_the_file),
        cmocka_unit_test(errors_need_no_one_to_read_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
