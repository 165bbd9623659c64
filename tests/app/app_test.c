#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/app.h"

/* The one file beside the manifest. */
static enum status read_file(void *ctx, const char *path, struct buf *out, struct err *e) {
    const char **asked = ctx;
    if (asked)
        *asked = strstr(path, "net.yaml") ? "found" : "missing";
    if (strcmp(path, "shop/net.yaml") != 0 && strcmp(path, "net.yaml") != 0)
        return err_set(e, ST_NOT_FOUND, "%s: no such file", path);
    static const char text[] = "egress:\n- {allow: tcp, to: 10.0.0.0/8}\n";
    buf_append(out, text, sizeof text - 1);
    return ST_OK;
}

static const char shop[] = "name: shop\n"
                           "guests:\n"
                           "  web:\n"
                           "    module: ./web.wasm\n"
                           "    args: [--verbose]\n"
                           "    env: {LEVEL: debug}\n"
                           "    dirs: [./data:/data:ro, /srv:/srv]\n"
                           "    overlays: ./base:/\n"
                           "    publish: [127.0.0.1:8080:80, '[::1]:5353:53/udp', 0.0.0.0:0:81]\n"
                           "    listen: [127.0.0.1:8081]\n"
                           "    policy: net.yaml\n"
                           "    limits: {memory: 256MiB, stack: 8MiB, fuel: 500G, fuel-per-second: 500M, time: 30s,\n"
                           "             handles: 64, journal-max: 1GiB, bandwidth: 10MiB/s}\n"
                           "    chaos: seed=7,error=0.01\n"
                           "  db:\n"
                           "    module: /opt/db.wasm\n"
                           "    count: 3\n"
                           "    policy:\n"
                           "      env: DB_*\n"
                           "      files: [{dir: files, as: /files}]\n"
                           "  cache:\n"
                           "    module: cache.wasm\n";

static void a_whole_manifest(void **state) {
    struct app *a;
    struct err e = ERR_INIT;
    char text[ADDR_TEXT_MAX];
    (void)state;
    if (app_parse(SPAN_STR(shop), "shop/app.yaml", read_file, NULL, &a, &e))
        fail_msg("%s", e.text);
    assert_string_equal(a->name, "shop");
    assert_string_equal(a->dir, "shop");
    assert_int_equal(a->nguests, 3);
    const struct app_guest *g = &a->guests[0];
    assert_string_equal(g->name, "web");
    assert_int_equal(g->line, 3);
    assert_string_equal(g->module, "shop/web.wasm");
    assert_int_equal(g->args.n, 1);
    assert_string_equal(g->args.items[0], "--verbose");
    assert_string_equal(g->env.items[0], "LEVEL=debug");
    assert_string_equal(g->dirs.items[0], "shop/data:/data:ro");
    assert_string_equal(g->dirs.items[1], "/srv:/srv");
    assert_string_equal(g->overlays.items[0], "shop/base:/");
    assert_int_equal(g->npublish, 3);
    assert_string_equal(addr_print(&g->publish[0].on, text), "127.0.0.1:8080");
    assert_int_equal(g->publish[0].port, 80);
    assert_false(g->publish[0].udp);
    assert_string_equal(addr_print(&g->publish[1].on, text), "[::1]:5353");
    assert_int_equal(g->publish[1].port, 53);
    assert_true(g->publish[1].udp);
    assert_int_equal(g->publish[2].on.port, 0);
    assert_string_equal(g->listen.items[0], "127.0.0.1:8081");
    assert_int_equal(g->limits.memory_bytes, 256 << 20);
    assert_int_equal(g->limits.stack_bytes, 8 << 20);
    assert_int_equal(g->limits.fuel_ticks, 500000000000);
    assert_int_equal(g->limits.fuel_per_second, 500000000);
    assert_int_equal(g->limits.time_ns, 30000000000);
    assert_int_equal(g->limits.handles, 64);
    assert_int_equal(g->limits.journal_bytes, 1 << 30);
    assert_int_equal(g->limits.bandwidth, 10 << 20);
    assert_string_equal(g->chaos, "seed=7,error=0.01");
    assert_int_equal(g->count, 1);
    struct policy_decision d;
    assert_int_equal(policy_check(g->policy, "tcp 10.0.0.1:1", &d, NULL), ST_OK);
    assert_string_equal(d.text, "allowed by shop/net.yaml:2: allow tcp to 10.0.0.0/8");
    g = &a->guests[1];
    assert_string_equal(g->module, "/opt/db.wasm");
    assert_int_equal(g->count, 3);
    assert_int_equal(policy_check(g->policy, "env DB_X", &d, NULL), ST_OK);
    assert_string_equal(d.text, "allowed by shop/app.yaml:19: env DB_*");
    assert_string_equal(policy_dir(g->policy, 0)->host, "shop/files");
    g = &a->guests[2];
    assert_int_equal(g->limits.memory_bytes, 0);
    assert_null(g->chaos);
    assert_non_null(g->policy);
    assert_false(policy_has_network(g->policy));
    app_free(a);
}

static void the_directory_of_a_manifest(void **state) {
    static const char *const cases[][2] = {{"app.yaml", "."}, {"/app.yaml", "/"}, {"a/b/app.yaml", "a/b"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct app *a;
        assert_int_equal(
            app_parse(SPAN_STR("{name: x, guests: {a: {module: m}}}"), cases[i][0], read_file, NULL, &a, NULL), ST_OK);
        assert_string_equal(a->dir, cases[i][1]);
        app_free(a);
    }
}

static const struct {
    const char *text, *error;
} mistakes[] = {
    {"", "app.yaml:1:1: an application needs 'name' (what the application is called)"},
    {"name: x", "app.yaml:1:1: an application needs 'guests' (its programs, by name)"},
    {"name: X\nguests: {a: {module: m}}", "app.yaml:1:7: 'X' cannot be a name: small letters, digits and '-', at most "
                                          "63, the first a letter, not localhost"},
    {"name: x\nguests: [a]", "app.yaml:2:9: 'guests' is a map of names and guests, at least one"},
    {"name: x\nguests: {}", "app.yaml:2:9: 'guests' is a map of names and guests, at least one"},
    {"name: x\ngests: {}", "app.yaml:2:1: unknown key 'gests'; did you mean 'guests'?"},
    {"name: x\nguests:\n  web: {}", "app.yaml:3:8: a guest needs 'module' (the program)"},
    {"name: x\nguests:\n  web:", "app.yaml:3:7: a guest is a map of keys and values, this is nothing"},
    {"name: x\nguests:\n  web.1: {module: m}",
     "app.yaml:3:3: 'web.1' cannot be a name: small letters, digits and '-', at most 63, the first a letter, not "
     "localhost"},
    {"name: x\nguests:\n  localhost: {module: m}",
     "app.yaml:3:3: 'localhost' cannot be a name: small letters, digits and '-', at most 63, the first a letter, not "
     "localhost"},
    {"name: x\nguests:\n  '': {module: m}",
     "app.yaml:3:3: '' cannot be a name: small letters, digits and '-', at most 63, the first a letter, not localhost"},
    {"name: x\nguests:\n  a: {module: m, modul: n}", "app.yaml:3:18: unknown key 'modul'; did you mean 'module'?"},
    {"name: x\nguests:\n  a: {module: m}\n  a: {module: m}", "app.yaml:4:3: key 'a' is given twice, first in line 3"},
    {"name: x\nguests:\n  a: {module: m, dirs: data}",
     "app.yaml:3:24: 'data' is not HOST:GUEST[:ro|rw], such as ./data:/data:ro"},
    {"name: x\nguests:\n  a: {module: m, dirs: ':/data'}",
     "app.yaml:3:24: ':/data' is not HOST:GUEST[:ro|rw], such as ./data:/data:ro"},
    {"name: x\nguests:\n  a: {module: m, dirs: 'data::ro'}",
     "app.yaml:3:24: 'data::ro' is not HOST:GUEST[:ro|rw], such as ./data:/data:ro"},
    {"name: x\nguests:\n  a: {module: m, overlays: ['base']}",
     "app.yaml:3:29: 'base' is not HOST:GUEST, such as ./base:/"},
    {"name: x\nguests:\n  a: {module: m, listen: '8080'}",
     "app.yaml:3:26: '8080' is not ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080"},
    {"name: x\nguests:\n  a: {module: m, listen: 'unix:/x'}",
     "app.yaml:3:26: 'unix:/x' is not ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080"},
    {"name: x\nguests:\n  a: {module: m, publish: '8080:80'}",
     "app.yaml:3:27: '8080:80' publishes nothing: ADDRESS:PORT:GUEST-PORT[/udp], such as 127.0.0.1:8080:80 or "
     "[::1]:8080:80/udp"},
    {"name: x\nguests:\n  a: {module: m, policy: gone.yaml}", "gone.yaml: no such file"},
    {"name: x\nguests:\n  a: {module: m, policy: [net.yaml]}", "app.yaml:3:26: a path was expected here, not a list"},
    {"name: x\nguests:\n  a: {module: m, policy: {egres: []}}", "app.yaml:3:27: unknown key 'egres'; did you mean "
                                                                "'egress'?"},
    {"name: x\nguests:\n  a: {module: m, limits: {memry: 1}}", "app.yaml:3:27: unknown key 'memry'; did you mean "
                                                               "'memory'?"},
    {"name: x\nguests:\n  a: {module: m, limits: {memory: 0}}", "app.yaml:3:35: '0' leaves the guest nothing"},
    {"name: x\nguests:\n  a: {module: m, limits: {handles: many}}",
     "app.yaml:3:36: 'many' is not a number (such as 1000, 500M or 2G)"},
    {"name: x\nguests:\n  a: {module: m, limits: {bandwidth: fast}}",
     "app.yaml:3:38: 'fast' is no bandwidth (such as 10MiB/s)"},
    {"name: x\nguests:\n  a: {module: m, count: 0}", "app.yaml:3:25: '0' leaves the guest nothing"},
    {"name: x\nguests:\n  a: {module: m, count: 100001}", "app.yaml:3:25: '100001' are too many, 100000 are the most"},
    {"name: x\nguests:\n  a: {module: m, count: 2, publish: '127.0.0.1:1:1'}",
     "app.yaml:3:6: 2 guests cannot all have the machine's port: 'publish' and 'listen' are for one"},
    {"name: x\nguests:\n  a: {module: m, count: 2}\n  a-2: {module: m}",
     "app.yaml:4:3: 'a-2' is also the name of one of the 2 of 'a' (line 3)"},
    {"name: x\nguests:\n  a: {module: m, publish: '127.0.0.1:1:1'}\n  b: {module: m, publish: '127.0.0.1:1:2'}",
     "app.yaml:4:3: 'b' publishes 127.0.0.1:1, as does 'a' (line 3)"},
};

static void mistakes_have_a_place_and_a_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct app *a;
        struct err e = ERR_INIT;
        assert_int_not_equal(app_parse(SPAN_STR(mistakes[i].text), "app.yaml", read_file, NULL, &a, &e), ST_OK);
        assert_string_equal(e.text, mistakes[i].error);
    }
}

static void names_that_only_look_alike(void **state) {
    static const char *const texts[] = {
        "a: {module: m, count: 2}, a-3: {module: m}",
        "a: {module: m, count: 2}, a-1: {module: m}",
        "a: {module: m, count: 2}, a-02: {module: m}",
        "a: {module: m, count: 2000}, a-2k: {module: m}",
        "a: {module: m}, a-2: {module: m}",
        "a: {module: m, publish: '127.0.0.1:1:1'}, b: {module: m, publish: '127.0.0.1:1:2/udp'}",
        "a: {module: m, publish: '127.0.0.1:0:1'}, b: {module: m, publish: '127.0.0.1:0:1'}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf b;
        struct app *a;
        struct err e = ERR_INIT;
        buf_init(&b, 4096);
        buf_print(&b, "{name: x, guests: {%s}}", texts[i]);
        if (app_parse(buf_span(&b), "app.yaml", read_file, NULL, &a, &e))
            fail_msg("%s", e.text);
        app_free(a);
        buf_deinit(&b);
    }
}

static void policies_are_read_last(void **state) {
    const char *asked = NULL;
    struct app *a;
    (void)state;
    assert_int_not_equal(app_parse(SPAN_STR("{name: x, guests: {a: {module: m, policy: net.yaml, nonsense: 1}}}"),
                                   "app.yaml", read_file, &asked, &a, NULL),
                         ST_OK);
    assert_null(asked);
    assert_int_equal(app_parse(SPAN_STR("{name: x, guests: {a: {module: m, policy: net.yaml}}}"), "app.yaml", read_file,
                               &asked, &a, NULL),
                     ST_OK);
    assert_string_equal(asked, "found");
    app_free(a);
}

static void bandwidths(void **state) {
    static const struct {
        const char *text;
        uint64_t value; /* 0: refused */
    } cases[] = {{"10MiB/s", 10 << 20},
                 {"10MiB", 10 << 20},
                 {"1.5KiB/s", 1536},
                 {"1000", 1000},
                 {"0", 0},
                 {"0B/s", 0},
                 {"", 0},
                 {"/s", 0},
                 {"10MiB/m", 0},
                 {"10 MiB/s", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 0;
        assert_int_equal(app_read_bandwidth(cases[i].text, &v, NULL), cases[i].value ? ST_OK : ST_INVALID);
        assert_int_equal(v, cases[i].value);
    }
}

static void publishing(void **state) {
    static const struct {
        const char *text, *on;
        uint16_t port;
        bool udp;
    } cases[] = {
        {"127.0.0.1:8080:80", "127.0.0.1:8080", 80, false},
        {"127.0.0.1:8080:80/tcp", "127.0.0.1:8080", 80, false},
        {"127.0.0.1:5353:53/udp", "127.0.0.1:5353", 53, true},
        {"0.0.0.0:0:65535", "0.0.0.0:0", 65535, false},
        {"[::]:80:80", "[::]:80", 80, false},
        {"127.0.0.1:8080", NULL, 0, false},
        {"127.0.0.1:8080:0", NULL, 0, false},
        {"127.0.0.1:8080:65536", NULL, 0, false},
        {"127.0.0.1:8080:080", NULL, 0, false},
        {"127.0.0.1:8080:80/sctp", NULL, 0, false},
        {"127.0.0.1:8080:80/udp/udp", NULL, 0, false},
        {"127.0.0.1:8080:", NULL, 0, false},
        {":8080:80", NULL, 0, false},
        {"8080:80", NULL, 0, false},
        {"localhost:8080:80", NULL, 0, false},
        {"::1:8080:80", NULL, 0, false},
        {"unix:/run/x:80", NULL, 0, false},
        {"/udp", NULL, 0, false},
        {"", NULL, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct app_publish p = {0};
        char text[ADDR_TEXT_MAX];
        enum status s = app_read_publish(cases[i].text, &p, NULL);
        if ((s == ST_OK) != (cases[i].on != NULL))
            fail_msg("'%s'", cases[i].text);
        if (s)
            continue;
        assert_string_equal(addr_print(&p.on, text), cases[i].on);
        assert_int_equal(p.port, cases[i].port);
        assert_int_equal(p.udp, cases[i].udp);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_manifest),
        cmocka_unit_test(the_directory_of_a_manifest),
        cmocka_unit_test(mistakes_have_a_place_and_a_reason),
        cmocka_unit_test(names_that_only_look_alike),
        cmocka_unit_test(policies_are_read_last),
        cmocka_unit_test(bandwidths),
        cmocka_unit_test(publishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
