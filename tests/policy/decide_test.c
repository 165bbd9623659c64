/* What is allowed and what is denied, by which line, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/policy.h"

#include <stdio.h>

static struct policy *parse(const char *text) {
    struct policy *p;
    struct err e = ERR_INIT;
    if (policy_parse(SPAN_STR(text), "net.yaml", &p, &e))
        fail_msg("%s", e.text);
    return p;
}

struct attempt {
    const char *attempt;
    bool allowed;
    uint32_t line; /* of the rule that decides; 0: none */
};

static void check_all(const char *text, const struct attempt *cases, size_t n) {
    struct policy *p = parse(text);
    for (size_t i = 0; i < n; i++) {
        struct policy_decision d;
        struct err e = ERR_INIT;
        if (policy_check(p, cases[i].attempt, &d, &e))
            fail_msg("%s", e.text);
        if (d.allowed != cases[i].allowed || d.line != cases[i].line)
            fail_msg("%s: %s (line %u)", cases[i].attempt, d.text, d.line);
        assert_int_equal(strncmp(d.text, d.allowed ? "allowed" : "denied", d.allowed ? 7 : 6), 0);
    }
    policy_free(p);
}
#define CHECK_ALL(text, cases) check_all(text, cases, sizeof cases / sizeof *cases)

/* A wide rule, a name, and everything that must not be reached by them. */
static const char wide[] = "egress:\n"
                           "  - allow: any\n" /* 2 */
                           "    to: [0.0.0.0/0, '::/0', '*', api.example.org]\n"
                           "names: '*'\n";

static void wide_rules_reach_only_what_is_global(void **state) {
    static const struct attempt cases[] = {
        {"tcp 8.8.8.8:443", true, 2},
        {"udp 8.8.8.8:53", true, 2},
        {"tcp [2606:4700::1111]:443", true, 2},
        {"tcp [::ffff:8.8.8.8]:443", true, 2},
        {"tcp 127.0.0.1:80", false, 0},
        {"tcp 127.8.8.8:80", false, 0},
        {"udp 127.0.0.53:53", false, 0},
        {"tcp 0.0.0.0:80", false, 0},
        {"tcp 0.1.2.3:80", false, 0},
        {"tcp [::]:80", false, 0},
        {"tcp [::1]:80", false, 0},
        {"tcp [::ffff:127.0.0.1]:80", false, 0},
        {"tcp [::ffff:7f00:1]:80", false, 0},
        {"tcp [::127.0.0.1]:80", false, 0},
        {"tcp [::ffff:0.0.0.0]:80", false, 0},
        {"tcp [::ffff:0:127.0.0.1]:80", false, 0},
        {"tcp [64:ff9b::127.0.0.1]:80", false, 0},
        {"tcp [64:ff9b::169.254.169.254]:80", false, 0},
        {"tcp [2002:7f00:1::]:80", false, 0},
        {"tcp [2001:0:7f00:1::]:80", false, 0},
        {"tcp 169.254.169.254:80", false, 0},
        {"udp 169.254.169.254:80", false, 0},
        {"tcp [::ffff:169.254.169.254]:80", false, 0},
        {"tcp [::a9fe:a9fe]:80", false, 0},
        {"tcp [fd00:ec2::254]:80", false, 0},
        {"tcp [fe80::a9fe:a9fe]:80", false, 0},
        {"tcp [fe80::1%1]:80", false, 0},
        {"tcp 168.63.129.16:80", false, 0},
        {"tcp 100.100.100.200:80", false, 0},
        {"tcp 192.0.0.192:80", false, 0},
        {"tcp 10.0.0.1:80", false, 0},
        {"tcp 172.31.255.255:80", false, 0},
        {"tcp 192.168.1.1:80", false, 0},
        {"tcp [fc00::1]:80", false, 0},
        {"udp 224.0.0.251:5353", false, 0},
        {"udp [ff02::fb]:5353", false, 0},
        {"udp [ff02::fb%2]:5353", false, 0},
        {"udp 255.255.255.255:67", false, 0},
        {"tcp 240.0.0.1:80", false, 0},
        {"tcp 8.8.8.8:0", false, 0},
        {"unix /var/run/docker.sock", false, 0},
        {"bind tcp 127.0.0.1:80", false, 0},
        {"bind tcp 0.0.0.0:80", false, 0},
        {"bind udp [::]:0", false, 0},
        {"env HOME", false, 0},
        /* by name: all that is one */
        {"tcp example.com:443", true, 2},
        {"tcp localhost:80", false, 0},
        {"tcp LOCALHOST.:80", false, 0},
        {"tcp a.localhost:80", false, 0},
        {"tcp 2130706433:80", false, 0},
        {"tcp 017700000001:80", false, 0},
        {"tcp 0x7f000001:80", false, 0},
        {"tcp 0X7F.1:80", false, 0},
        {"tcp 127.1:80", false, 0},
        {"tcp 127.0.0.01:80", false, 0},
        {"tcp 0177.0.0.1:80", false, 0},
        {"tcp 127.0.0.1.:80", false, 0},
        {"tcp evil.0x7f:80", false, 0},
        {"tcp 1.2.3.4.5:80", false, 0},
        {"tcp 0x:80", false, 0},
        {"tcp a..b:80", false, 0},
        {"tcp .:80", false, 0},
        {"tcp .example.org:80", false, 0},
        {"tcp example.org..:80", false, 0},
        {"tcp ex\xc3\xa4mple.org:80", false, 0},
        {"tcp exam%70le.org:80", false, 0},
        {"name 127.0.0.1", false, 0},
        {"name localhost", false, 0},
        {"name 0x7f.1", false, 0},
        {"name example.com", true, 2},
    };
    (void)state;
    CHECK_ALL(wide, cases);
}

static void special_addresses_are_reached_by_what_names_them(void **state) {
    static const char text[] = "egress:\n"
                               "- {allow: tcp, to: 169.254.169.254}\n"
                               "- {allow: tcp, to: 127.0.0.0/8, ports: 5432}\n"
                               "- {allow: tcp, to: 10.0.0.0/8}\n"
                               "- {allow: udp, to: 224.0.0.0/24}\n"
                               "- {allow: tcp, to: '::1'}\n"
                               "- {allow: tcp, to: 8.0.0.0/5}\n"
                               "- {allow: tcp, to: '64:ff9b::/96'}\n"
                               "- {allow: tcp, to: 168.63.129.16}\n";
    static const struct attempt cases[] = {
        {"tcp 169.254.169.254:80", true, 2},
        {"tcp [::ffff:169.254.169.254]:80", true, 2},
        {"tcp 169.254.169.253:80", false, 0},
        {"udp 169.254.169.254:80", false, 0},
        {"tcp 127.0.0.1:5432", true, 3},
        {"tcp 0.0.0.0:5432", true, 3}, /* is 127.0.0.1 */
        {"tcp [::ffff:0.0.0.0]:5432", true, 3},
        {"tcp 0.0.0.1:5432", false, 0},
        {"tcp 127.0.0.1:5433", false, 0},
        {"tcp 10.1.2.3:1", true, 4},
        {"tcp 11.1.2.3:1", true, 7},
        {"udp 224.0.0.251:5353", true, 5},
        {"tcp [::1]:9", true, 6},
        {"tcp [::]:9", true, 6}, /* is ::1 */
        {"tcp [::2]:9", false, 0},
        {"tcp [64:ff9b::808:808]:9", true, 8},
        {"tcp 168.63.129.16:32526", true, 9},
    };
    (void)state;
    CHECK_ALL(text, cases);
}

static void the_first_rule_that_matches_decides(void **state) {
    static const char text[] = "egress:\n"
                               "- deny: tcp\n" /* 2 */
                               "  to: [10.1.0.0/16, bad.example.net, 0.0.0.0/1]\n"
                               "  ports: [25, 8000-8999]\n"
                               "- allow: tcp\n" /* 5 */
                               "  to: [api.example.org, '*.example.net', 10.0.0.0/8, 9.9.9.9, '2a00::/16']\n"
                               "  ports: [443, 8000-8999, 25]\n"
                               "- deny: any\n"  /* 8 */
                               "- allow: any\n" /* 9: never reached */
                               "  to: [0.0.0.0/0, 10.0.0.0/8]\n";
    static const struct attempt cases[] = {
        {"tcp 10.1.2.3:8080", false, 2},      {"tcp 10.1.2.3:443", true, 5},
        {"tcp 10.2.0.1:8080", false, 2}, /* a deny rule may be wide */
        {"tcp 10.2.0.1:443", true, 5},        {"udp 10.2.0.1:443", false, 8},
        {"tcp 9.9.9.9:443", true, 5},         {"tcp 9.9.9.9:442", false, 8},
        {"tcp 9.9.9.9:7999", false, 8},       {"tcp 9.9.9.9:8000", false, 2},
        {"tcp [2a00::1]:8000", true, 5},      {"tcp [2a00::1]:8999", true, 5},
        {"tcp [2a00::1]:9000", false, 8},     {"tcp [2a01::1]:8000", false, 8},
        {"tcp bad.example.net:25", false, 2}, {"tcp bad.example.net:443", true, 5},
        {"tcp good.example.net:25", true, 5}, {"tcp api.example.org:443", true, 5},
        {"tcp api.example.org:80", false, 8}, {"udp api.example.org:443", false, 8},
        {"tcp [::1]:443", false, 8},
    };
    (void)state;
    CHECK_ALL(text, cases);
}

static void names_match_whole(void **state) {
    static const char text[] = "egress:\n"
                               "- {allow: tcp, to: [API.Example.org., '*.Sub.example.net'], ports: 443}\n"
                               "- {allow: udp, to: xn--bcher-kva.example}\n"
                               "names:\n"
                               "- other.example\n"
                               "- '*.deep.example'\n";
    static const struct attempt cases[] = {
        {"tcp api.example.org:443", true, 2},
        {"tcp API.EXAMPLE.ORG:443", true, 2},
        {"tcp api.example.org.:443", true, 2},
        {"tcp api.example.org..:443", false, 0},
        {"tcp xapi.example.org:443", false, 0},
        {"tcp x.api.example.org:443", false, 0},
        {"tcp example.org:443", false, 0},
        {"tcp api.example.org.evil.com:443", false, 0},
        {"tcp a.sub.example.net:443", true, 2},
        {"tcp a.b.c.SUB.example.net.:443", true, 2},
        {"tcp sub.example.net:443", false, 0},
        {"tcp .sub.example.net:443", false, 0},
        {"tcp xsub.example.net:443", false, 0},
        {"tcp evilsub.example.net:443", false, 0},
        {"tcp a.example.net:443", false, 0},
        {"udp xn--bcher-kva.example:443", true, 3},
        {"udp XN--BCHER-KVA.example:443", true, 3},
        {"udp b\xc3\xbc"
         "cher.example:443",
         false, 0},
        {"name api.example.org", true, 2},
        {"name a.sub.example.net", true, 2},
        {"name sub.example.net", false, 0},
        {"name xn--bcher-kva.example.", true, 3},
        {"name other.example", true, 5},
        {"name a.other.example", false, 0},
        {"name x.deep.example", true, 6},
        {"name deep.example", false, 0},
        {"name com", false, 0},
        {"tcp other.example:443", false, 0},
    };
    (void)state;
    CHECK_ALL(text, cases);
}

static void lookups_follow_egress(void **state) {
    static const char text[] = "egress:\n"
                               "- {deny: any, to: bad.example.org}\n"
                               "- {deny: tcp, to: half.example.org}\n"
                               "- {deny: any, to: mail.example.org, ports: 25}\n"
                               "- {allow: any, to: '*.example.org'}\n"
                               "- {allow: tcp, to: 0.0.0.0/0}\n";
    static const struct attempt cases[] = {
        {"name bad.example.org", false, 2}, {"name half.example.org", true, 5}, {"name mail.example.org", true, 5},
        {"name good.example.org", true, 5}, {"name example.com", false, 0}, /* a rule by address lets no name be looked
                                                                               up */
    };
    (void)state;
    CHECK_ALL(text, cases);
}

static void nothing_else_is_allowed(void **state) {
    static const struct attempt cases[] = {
        {"tcp 8.8.8.8:53", false, 0},        {"name example.org", false, 0},
        {"bind tcp 127.0.0.1:80", false, 0}, {"accept tcp 127.0.0.1:80 from 127.0.0.1", false, 0},
        {"unix /run/x.sock", false, 0},      {"env PATH", false, 0},
    };
    (void)state;
    CHECK_ALL("", cases);
    CHECK_ALL("egress: []", cases);
    struct policy *p = policy_none();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy_decision d;
        assert_int_equal(policy_check(p, cases[i].attempt, &d, NULL), ST_OK);
        assert_false(d.allowed);
        assert_int_equal(d.rule, UINT32_MAX);
        assert_string_equal(d.text, "denied: there is no policy, and without one nothing is allowed");
    }
    assert_false(policy_has_network(p));
    assert_int_equal(policy_text(p).size, 0);
    policy_free(p);
}

static void ingress_is_what_is_bound_and_who_talks_to_it(void **state) {
    static const char text[] = "ingress:\n"
                               "- {deny: tcp, on: 10.0.0.0/8, ports: 22}\n"                          /* 2 */
                               "- {deny: tcp, on: 0.0.0.0, ports: 8080, from: 203.0.113.0/24}\n"     /* 3 */
                               "- {allow: tcp, on: 127.0.0.1, ports: 8080, from: 127.0.0.0/8}\n"     /* 4 */
                               "- {allow: tcp, on: [0.0.0.0, '::'], ports: [22, 8080, 9000-9009]}\n" /* 5 */
                               "- {allow: udp, on: 192.168.0.0/16}\n"                                /* 6 */
                               "- {allow: udp, on: [0.0.0.0/0, '::/0']}\n";                          /* 7 */
    static const struct attempt cases[] = {
        {"bind tcp 127.0.0.1:8080", true, 4},
        {"bind tcp [::ffff:127.0.0.1]:8080", true, 4},
        {"bind tcp 127.0.0.2:8080", false, 0},
        {"bind tcp 127.0.0.1:8081", false, 0},
        {"bind tcp 127.0.0.1:0", false, 0}, /* any port is not this port */
        {"bind tcp 0.0.0.0:8080", true, 5},
        {"bind tcp 0.0.0.0:9009", true, 5},
        {"bind tcp [::ffff:0.0.0.0]:8080", true, 5},
        {"bind tcp [::]:8080", true, 5},
        {"bind tcp 0.0.0.0:22", false, 2}, /* it would be bound on 10.x too */
        {"bind tcp [::]:22", false, 2},
        {"bind tcp 10.1.1.1:8080", false, 0},
        {"bind udp 192.168.7.7:0", true, 6},
        {"bind udp 0.0.0.0:53", false, 0},   /* a wide range is not all addresses at once */
        {"bind udp 127.0.0.1:53", false, 0}, /* nor loopback */
        {"bind udp 10.0.0.1:53", false, 0},
        {"bind udp 8.8.8.8:53", true, 7},
        {"bind tcp unix:/run/x", false, 0},
        {"accept tcp 127.0.0.1:8080 from 127.9.9.9", true, 4},
        {"accept tcp 127.0.0.1:8080 from ::ffff:127.9.9.9", true, 4},
        {"accept tcp 127.0.0.1:8080 from 10.0.0.1", false, 0},
        {"accept tcp 127.0.0.1:8080 from ::1", false, 0},
        {"accept tcp 0.0.0.0:8080 from 10.0.0.1", true, 5},
        {"accept tcp 0.0.0.0:8080 from 203.0.113.9", false, 3},
        {"accept tcp [::]:8080 from 203.0.113.9", false, 3}, /* :: takes IPv4 as well */
        {"accept tcp [::]:8080 from ::ffff:203.0.113.9", false, 3},
        {"accept udp 192.168.7.7:53 from 8.8.8.8", true, 6},
    };
    (void)state;
    CHECK_ALL(text, cases);
}

static void everybody_is_everybody(void **state) {
    static const struct attempt cases[] = {
        {"accept tcp 127.0.0.1:80 from 10.0.0.1", true, 2},
        {"accept tcp 127.0.0.1:80 from 127.0.0.1", true, 2},
        {"accept tcp 127.0.0.1:80 from 2606::1", false, 0},
    };
    (void)state;
    CHECK_ALL("ingress:\n- {allow: tcp, on: 127.0.0.1, from: 0.0.0.0/0}\n", cases);
}

static void unix_sockets_and_variables(void **state) {
    static const char text[] = "unix:\n"
                               "- /run/postgres.sock\n"
                               "- /run/a b.sock\n"
                               "env: [LANG,\n"
                               "  APP_*]\n";
    static const struct attempt cases[] = {
        {"unix /run/postgres.sock", true, 2},
        {"unix /run/postgres.sock/", false, 0},
        {"unix /run//postgres.sock", false, 0},
        {"unix /run/./postgres.sock", false, 0},
        {"unix /run/../run/postgres.sock", false, 0},
        {"unix run/postgres.sock", false, 0},
        {"unix @/run/postgres.sock", false, 0},
        {"unix /run/postgres", false, 0},
        {"unix /run/postgres.sock2", false, 0},
        {"env LANG", true, 4},
        {"env LANGUAGE", false, 0},
        {"env LAN", false, 0},
        {"env APP_", true, 5},
        {"env APP_KEY", true, 5},
        {"env APP", false, 0},
        {"env app_key", false, 0},
    };
    (void)state;
    CHECK_ALL(text, cases);
    struct policy *p = parse(text);
    struct policy_decision d;
    policy_unix(p, "/run/a b.sock", &d);
    assert_true(d.allowed);
    assert_true(policy_env(p, "APP_X"));
    assert_false(policy_env(p, "HOME"));
    struct addr a;
    assert_true(addr_parse("unix:/run/postgres.sock", &a));
    policy_egress(p, POLICY_TCP, &a, NULL, 0, &d);
    assert_true(d.allowed);
    assert_int_equal(d.rule, UINT32_MAX);
    policy_free(p);
}

static void egress(const struct policy *p, const char *to, const char *const *names, uint32_t n,
                   struct policy_decision *d) {
    struct addr a;
    assert_true(addr_parse(to, &a));
    policy_egress(p, POLICY_TCP, &a, names, n, d);
}

/* A name that was allowed to be looked up, and what its server answers. */
static void a_name_does_not_lead_inside(void **state) {
    static const struct {
        const char *to;
        bool allowed;
    } cases[] = {
        {"93.184.216.34:443", true},      {"[2606:2800::1]:443", true}, {"127.0.0.1:443", false},
        {"0.0.0.0:443", false},           {"10.0.0.5:443", false},      {"169.254.169.254:443", false},
        {"168.63.129.16:443", false},     {"100.64.0.1:443", false},    {"224.0.0.1:443", false},
        {"255.255.255.255:443", false},   {"[::1]:443", false},         {"[::]:443", false},
        {"[::ffff:10.0.0.5]:443", false}, {"[fe80::1%3]:443", false},   {"[fd00:ec2::254]:443", false},
        {"[64:ff9b::a00:5]:443", false},  {"192.168.1.1:443", true}, /* which a rule by address allows */
        {"93.184.216.34:80", false},
    };
    static const char *const pins[] = {"www.example.com", "API.example.org."};
    (void)state;
    struct policy *p = parse("egress:\n"
                             "- {allow: tcp, to: [api.example.org, '*.other.org'], ports: 443}\n"
                             "- {allow: tcp, to: 192.168.1.0/24, ports: 443}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy_decision d;
        egress(p, cases[i].to, pins, 2, &d);
        if (d.allowed != cases[i].allowed)
            fail_msg("%s: %s", cases[i].to, d.text);
        assert_int_equal(d.rule == UINT32_MAX, !d.allowed);
        egress(p, cases[i].to, pins, 1, &d); /* the other name alone */
        assert_int_equal(d.allowed, i == 16);
        egress(p, cases[i].to, NULL, 0, &d); /* not looked up at all */
        assert_int_equal(d.allowed, i == 16);
    }
    policy_free(p);
}

static void pins_that_are_no_names_match_nothing(void **state) {
    static const char *const pins[] = {"8.8.8.8", "134744072", "0x08080808", "localhost",    "a.localhost.",
                                       "",        "a b",       "*",          "*.example.org"};
    (void)state;
    struct policy *p = parse("egress: [{allow: tcp, to: '*'}]");
    struct policy_decision d;
    egress(p, "8.8.8.8:80", pins, sizeof pins / sizeof *pins, &d);
    assert_false(d.allowed);
    policy_free(p);
}

static void deny_rules_hold_for_pins(void **state) {
    static const char *const pins[] = {"good.example.org", "bad.example.org"};
    (void)state;
    struct policy *p = parse("egress:\n"
                             "- {deny: tcp, to: bad.example.org}\n"
                             "- {allow: tcp, to: ['*.example.org', 10.0.0.0/8]}\n");
    struct policy_decision d;
    egress(p, "8.8.8.8:80", pins, 1, &d);
    assert_true(d.allowed);
    assert_int_equal(d.line, 3);
    egress(p, "8.8.8.8:80", pins, 2, &d); /* two names of one server: the denial holds */
    assert_false(d.allowed);
    assert_int_equal(d.line, 2);
    egress(p, "10.0.0.1:80", pins, 2, &d);
    assert_false(d.allowed);
    assert_int_equal(d.line, 2);
    policy_free(p);
}

static void sentences(void **state) {
    static const char text[] =
        "egress:\n"
        "- {deny: tcp, to: 10.1.0.0/16}\n"
        "- {allow: tcp, to: [api.example.org, '*.example.net', 10.0.0.0/8, 0.0.0.0/0], ports: [443, "
        "8000-8999]}\n"
        "- {deny: udp}\n"
        "ingress:\n"
        "- {allow: any, on: 127.0.0.1, ports: 80, from: 127.0.0.0/8}\n"
        "names: ['*']\n"
        "unix: /run/x.sock\n"
        "env: A*\n";
    static const struct {
        const char *attempt, *sentence;
    } cases[] = {
        {"tcp 10.1.2.3:443", "denied by net.yaml:2: deny tcp to 10.1.0.0/16"},
        {"tcp 10.2.3.4:8080", "allowed by net.yaml:3: allow tcp to 10.0.0.0/8 ports 8000-8999"},
        {"tcp a.example.net:443", "allowed by net.yaml:3: allow tcp to *.example.net port 443"},
        {"tcp example.net:443", "denied: no egress rule of net.yaml matches"},
        {"tcp 169.254.169.254:443",
         "denied: 169.254.169.254 is link-local, which 0.0.0.0/0 (net.yaml:3) is too wide to reach"},
        {"tcp 0.0.0.0:443", "denied: 127.0.0.1 is loopback, which 0.0.0.0/0 (net.yaml:3) is too wide to reach"},
        {"udp 8.8.8.8:53", "denied by net.yaml:4: deny udp"},
        {"tcp 8.8.8.8:0", "denied: port 0 is no destination"},
        {"tcp example.net:0", "denied: port 0 is no destination"},
        {"tcp 0x7f.1:443",
         "denied: '0x7f.1' is no host name: it looks like an address, and addresses are written as 192.0.2.1 or "
         "2001:db8::1"},
        {"tcp localhost:443", "denied: localhost is loopback, which no name reaches"},
        {"name example.com", "allowed by net.yaml:7: names *"},
        {"name localhost", "denied: localhost is loopback, which no name reaches"},
        {"bind tcp 127.0.0.1:80", "allowed by net.yaml:6: allow any on 127.0.0.1 port 80"},
        {"bind tcp 127.0.0.1:81", "denied: no ingress rule of net.yaml matches"},
        {"accept udp 127.0.0.1:80 from 127.0.0.9",
         "allowed by net.yaml:6: allow any on 127.0.0.1 port 80 from 127.0.0.0/8"},
        {"unix /run/x.sock", "allowed by net.yaml:8: unix /run/x.sock"},
        {"unix /run/y.sock", "denied: no unix socket of net.yaml matches"},
        {"env AB", "allowed by net.yaml:9: env A*"},
        {"env B", "denied: no variable of net.yaml matches"},
    };
    (void)state;
    struct policy *p = parse(text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy_decision d;
        assert_int_equal(policy_check(p, cases[i].attempt, &d, NULL), ST_OK);
        assert_string_equal(d.text, cases[i].sentence);
    }
    policy_free(p);
    static const char *const pins[] = {"a.example.net"};
    struct policy_decision d;
    struct addr a;
    p = parse("egress: [{deny: tcp, to: 8.0.0.0/6}, {allow: any, to: '*.example.net'}]");
    assert_int_equal(policy_check(p, "tcp a.example.net:443", &d, NULL), ST_OK);
    assert_string_equal(d.text, "allowed by net.yaml:1: allow any to *.example.net (unless line 1 denies its address)");
    assert_int_equal(policy_check(p, "udp a.example.net:443", &d, NULL), ST_OK);
    assert_string_equal(d.text, "allowed by net.yaml:1: allow any to *.example.net");
    assert_true(addr_parse("192.168.0.1:443", &a));
    policy_free(p);
    p = parse("egress: [{allow: tcp, to: '*.example.net'}]");
    policy_egress(p, POLICY_TCP, &a, pins, 1, &d);
    assert_string_equal(d.text,
                        "denied: 192.168.0.1 is private, which a name (net.yaml:1: *.example.net) does not reach");
    policy_free(p);
}

static void sentences_have_a_bound(void **state) {
    char name[600], text[1000], attempt[400];
    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name + sizeof name - 10, "/net.yaml", 10);
    char label[64];
    memset(label, 'a', 63);
    label[63] = 0;
    snprintf(text, sizeof text, "egress: [{allow: tcp, to: %s.%s.%s.%.61s}]", label, label, label, label);
    struct policy *p;
    struct err e = ERR_INIT;
    assert_int_equal(policy_parse(SPAN_STR(text), name, &p, &e), ST_OK);
    snprintf(attempt, sizeof attempt, "tcp %s.%s.%s.%.61s:80", label, label, label, label);
    struct policy_decision d;
    assert_int_equal(policy_check(p, attempt, &d, NULL), ST_OK);
    assert_true(d.allowed);
    assert_int_equal(strlen(d.text), sizeof d.text - 1);
    assert_non_null(strstr(d.text, "/net.yaml:1: allow tcp to aaa"));
    policy_free(p);
}

static void tls(const struct policy *p, const char *to, const char *const *names, uint32_t n, const char *host,
                bool allowed, const char *sentence) {
    struct policy_decision d;
    struct addr a;
    assert_true(addr_parse(to, &a));
    policy_tls(p, &a, names, n, host, &d);
    assert_string_equal(d.text, sentence);
    assert_int_equal(d.allowed, allowed);
    assert_int_equal(d.rule, UINT32_MAX);
}

static void tls_is_for_the_name_that_was_looked_up(void **state) {
    static const char *const pins[] = {"api.example.org", "www.example.org"};
    (void)state;
    struct policy *p = parse("egress:\n"
                             "- {allow: tcp, to: api.example.org}\n"
                             "- {allow: tcp, to: [10.0.0.0/8, '::1'], ports: 443}\n");
    tls(p, "8.8.8.8:443", pins, 2, "API.example.org.", true, "allowed: 8.8.8.8 was looked up as api.example.org");
    tls(p, "8.8.8.8:443", pins, 2, "www.example.org", true, "allowed: 8.8.8.8 was looked up as www.example.org");
    tls(p, "8.8.8.8:443", pins, 2, "evil.com", false, "denied: 8.8.8.8 was not looked up as evil.com");
    tls(p, "8.8.8.8:443", pins, 2, "x.api.example.org", false,
        "denied: 8.8.8.8 was not looked up as x.api.example.org");
    tls(p, "8.8.8.8:443", pins, 2, "8.8.8.8", false, "denied: no egress rule of net.yaml matches");
    tls(p, "8.8.8.8:443", pins, 2, "9.9.9.9", false, "denied: the connection is to 8.8.8.8, not to 9.9.9.9");
    tls(p, "8.8.8.8:443", pins, 2, "0x08080808", false,
        "denied: '0x08080808' is no host name: it looks like an address, and addresses are written as 192.0.2.1 or "
        "2001:db8::1");
    tls(p, "10.0.0.1:443", NULL, 0, "10.0.0.1", true, "allowed by net.yaml:3: allow tcp to 10.0.0.0/8 port 443");
    tls(p, "10.0.0.1:443", NULL, 0, "::ffff:10.0.0.1", true, "allowed by net.yaml:3: allow tcp to 10.0.0.0/8 port 443");
    tls(p, "10.0.0.1:443", NULL, 0, "10.0.0.2", false, "denied: the connection is to 10.0.0.1, not to 10.0.0.2");
    tls(p, "10.0.0.1:443", NULL, 0, "api.example.org", true, "allowed by net.yaml:2: allow tcp to api.example.org");
    tls(p, "10.0.0.1:443", NULL, 0, "evil.com", false, "denied: no egress rule of net.yaml matches");
    tls(p, "10.0.0.1:80", NULL, 0, "api.example.org", false, "denied: 10.0.0.1 was not looked up as api.example.org");
    policy_free(p);
}

static void attempts_that_are_none(void **state) {
    static const char *const attempts[] = {
        "",
        " ",
        "tcp",
        "tcp example.org",
        "tcp example.org:",
        "tcp example.org:http",
        "tcp example.org:080",
        "tcp example.org:65536",
        "tcp example.org:80 now",
        "tcp :80",
        "tcp ::1:80",
        "tcp [::1]",
        "tcp unix:/run/x",
        "TCP example.org:80",
        "sctp example.org:80",
        "example.org:80",
        "name",
        "name a b",
        "bind 127.0.0.1:80",
        "bind tcp 127.0.0.1",
        "bind tcp localhost:80",
        "bind icmp 127.0.0.1:80",
        "accept tcp 127.0.0.1:80",
        "accept tcp 127.0.0.1:80 from localhost",
        "accept tcp 127.0.0.1:80 to 127.0.0.1",
        "unix",
        "env",
        "one two three four five six seven",
    };
    (void)state;
    struct policy *p = parse(wide);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        struct policy_decision d;
        struct err e = ERR_INIT;
        if (policy_check(p, attempts[i], &d, &e) != ST_INVALID)
            fail_msg("'%s': %s", attempts[i], d.text);
        assert_non_null(strstr(e.text, "is no attempt"));
        assert_non_null(strstr(e.text, "'env NAME'"));
    }
    char long_one[1000];
    memset(long_one, 'a', sizeof long_one);
    long_one[sizeof long_one - 1] = 0;
    assert_int_equal(policy_check(p, long_one, &(struct policy_decision){0}, NULL), ST_INVALID);
    policy_free(p);
}

/* ---- counting ---- */

enum { SECOND = 1000000000 };

static struct policy_decision take(struct policy *p, const char *to, uint64_t now_ns) {
    struct policy_decision d;
    egress(p, to, NULL, 0, &d);
    policy_count(p, &d, now_ns);
    return d;
}

static void open_connections_are_bounded(void **state) {
    (void)state;
    struct policy *p = parse("egress:\n"
                             "- {allow: tcp, to: 10.0.0.0/8, max-connections: 2}\n"
                             "- {allow: tcp, to: 0.0.0.0/0}\n");
    struct policy_decision a = take(p, "10.0.0.1:1", 5), b = take(p, "10.0.0.2:1", 5), c = take(p, "10.0.0.3:1", 5);
    assert_true(a.allowed && b.allowed && !c.allowed);
    assert_int_equal(a.rule, b.rule);
    assert_int_equal(c.rule, UINT32_MAX);
    assert_int_equal(c.line, 2);
    assert_string_equal(c.text, "denied by net.yaml:2: max-connections: 2 are open");
    assert_true(take(p, "8.8.8.8:1", 5).allowed); /* another rule's are its own */
    policy_uncount(p, c.rule);                    /* a denial took nothing */
    assert_false(take(p, "10.0.0.3:1", 5).allowed);
    policy_uncount(p, a.rule);
    assert_true(take(p, "10.0.0.3:1", 5).allowed);
    assert_false(take(p, "10.0.0.3:1", 5).allowed);
    policy_free(p);
}

static void rates_hold_over_any_span(void **state) {
    (void)state;
    struct policy *p = parse("egress: [{allow: tcp, to: 10.0.0.0/8, rate: 3/s}]");
    const uint64_t t = 77ull * SECOND;
    assert_true(take(p, "10.0.0.1:1", t).allowed);
    assert_true(take(p, "10.0.0.1:1", t + 900000000).allowed);
    assert_true(take(p, "10.0.0.1:1", t + 900000000).allowed);
    struct policy_decision d = take(p, "10.0.0.1:1", t + 999999999);
    assert_string_equal(d.text, "denied by net.yaml:1: rate: 3 in the last second");
    assert_true(take(p, "10.0.0.1:1", t + SECOND).allowed);
    assert_false(take(p, "10.0.0.1:1", t + SECOND).allowed);
    assert_false(take(p, "10.0.0.1:1", t + 1899999999).allowed);
    assert_true(take(p, "10.0.0.1:1", t + 1900000000).allowed);
    assert_true(take(p, "10.0.0.1:1", t + 1900000000).allowed);
    assert_false(take(p, "10.0.0.1:1", t + 1900000000).allowed);
    /* closing gives nothing back */
    policy_uncount(p, 0);
    assert_false(take(p, "10.0.0.1:1", t + 1900000000).allowed);
    /* a clock that went back neither */
    assert_false(take(p, "10.0.0.1:1", 0).allowed);
    assert_true(take(p, "10.0.0.1:1", t + 2000000000).allowed);
    policy_free(p);
}

static void rates_of_minutes_and_hours(void **state) {
    (void)state;
    struct policy *p = parse("egress:\n"
                             "- {allow: tcp, to: 10.0.0.0/16, rate: 1/m}\n"
                             "- {allow: tcp, to: 10.0.0.0/8, rate: 1/h}\n");
    assert_true(take(p, "10.0.0.1:1", 0).allowed);
    assert_false(take(p, "10.0.0.1:1", 60ull * SECOND - 1).allowed);
    assert_true(take(p, "10.0.0.1:1", 60ull * SECOND).allowed);
    assert_true(take(p, "10.1.0.1:1", 0).allowed);
    assert_string_equal(take(p, "10.1.0.1:1", 3600ull * SECOND - 1).text,
                        "denied by net.yaml:3: rate: 1 in the last hour");
    assert_true(take(p, "10.1.0.1:1", 3600ull * SECOND).allowed);
    policy_free(p);
}

static void what_was_denied_takes_nothing_of_the_rate(void **state) {
    (void)state;
    struct policy *p = parse("egress: [{allow: tcp, to: 10.0.0.0/8, max-connections: 1, rate: 2/s}]");
    struct policy_decision d = take(p, "10.0.0.1:1", 0);
    for (int i = 0; i < 5; i++)
        assert_non_null(strstr(take(p, "10.0.0.1:1", 0).text, "max-connections"));
    policy_uncount(p, d.rule);
    assert_true(take(p, "10.0.0.1:1", 0).allowed);
    policy_uncount(p, d.rule);
    assert_non_null(strstr(take(p, "10.0.0.1:1", 0).text, "rate"));
    policy_free(p);
}

static void accepted_connections_count_too(void **state) {
    (void)state;
    struct policy *p = parse("egress: [{allow: tcp, to: 10.0.0.0/8}]\n"
                             "ingress: [{allow: tcp, on: 127.0.0.1, max-connections: 1}]\n");
    struct addr on, from;
    struct policy_decision d;
    assert_true(addr_parse("127.0.0.1:80", &on) && addr_parse("127.0.0.1:4000", &from));
    policy_bind(p, POLICY_TCP, &on, &d);
    assert_true(d.allowed);
    assert_int_equal(d.rule, UINT32_MAX); /* binding is no connection */
    policy_count(p, &d, 0);
    policy_ingress(p, POLICY_TCP, &on, &from, &d);
    assert_int_equal(d.rule, 1);
    policy_count(p, &d, 0);
    assert_true(d.allowed);
    policy_ingress(p, POLICY_TCP, &on, &from, &d);
    policy_count(p, &d, 0);
    assert_string_equal(d.text, "denied by net.yaml:2: max-connections: 1 are open");
    policy_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_rules_reach_only_what_is_global),
        cmocka_unit_test(special_addresses_are_reached_by_what_names_them),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(names_match_whole),
        cmocka_unit_test(lookups_follow_egress),
        cmocka_unit_test(nothing_else_is_allowed),
        cmocka_unit_test(ingress_is_what_is_bound_and_who_talks_to_it),
        cmocka_unit_test(everybody_is_everybody),
        cmocka_unit_test(unix_sockets_and_variables),
        cmocka_unit_test(a_name_does_not_lead_inside),
        cmocka_unit_test(pins_that_are_no_names_match_nothing),
        cmocka_unit_test(deny_rules_hold_for_pins),
        cmocka_unit_test(sentences),
        cmocka_unit_test(sentences_have_a_bound),
        cmocka_unit_test(tls_is_for_the_name_that_was_looked_up),
        cmocka_unit_test(attempts_that_are_none),
        cmocka_unit_test(open_connections_are_bounded),
        cmocka_unit_test(rates_hold_over_any_span),
        cmocka_unit_test(rates_of_minutes_and_hours),
        cmocka_unit_test(what_was_denied_takes_nothing_of_the_rate),
        cmocka_unit_test(accepted_connections_count_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
