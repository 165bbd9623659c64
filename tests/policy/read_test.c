/* What a policy file may say, and what is refused, where and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/policy.h"

static const char whole[] = "egress:\n"
                            "  - deny: tcp\n"
                            "    to: 10.1.0.0/16\n"
                            "  - allow: tcp\n"
                            "    to: [api.example.org, \"*.example.net\", 10.0.0.0/8, \"2001:db8::/32\", '*']\n"
                            "    ports: [443, 8000-8999]\n"
                            "    max-connections: 100\n"
                            "    rate: 10/s\n"
                            "  - deny: udp\n"
                            "ingress:\n"
                            "  - allow: tcp\n"
                            "    on: 127.0.0.1\n"
                            "    ports: 8080\n"
                            "    from: 127.0.0.0/8\n"
                            "    rate: 2k/h\n"
                            "  - allow: any\n"
                            "    on: ['::1']\n"
                            "    rate: 1/m\n"
                            "names: [Example.org., '*']\n"
                            "unix: [/run/postgres.sock]\n"
                            "files:\n"
                            "  - dir: ./data\n"
                            "    as: /data\n"
                            "  - dir: /srv/out\n"
                            "    as: /\n"
                            "    mode: overlay\n"
                            "    size: 100MiB\n"
                            "    count: 1000\n"
                            "env: [LANG, APP_*]\n"
                            "tls:\n"
                            "  ca: [corp.pem, /etc/ca.pem]\n"
                            "  servers: [{name: LOCALHOST, cert: s.pem, key: ./s.key}]\n";

static void note(void *ctx, const char *section, uint32_t line, const char *sentence) {
    buf_print(ctx, "%s:%u: %s\n", section, line, sentence);
}

static void a_whole_file_is_understood(void **state) {
    struct policy *p;
    struct err e = ERR_INIT;
    struct buf b;
    (void)state;
    if (policy_parse(SPAN_STR(whole), "conf/net.yaml", &p, &e))
        fail_msg("%s", e.text);
    buf_init(&b, 1 << 16);
    policy_show(p, note, &b);
    assert_string_equal(
        buf_cstr(&b), "egress:2: deny tcp to 10.1.0.0/16\n"
                      "egress:4: allow tcp to api.example.org, *.example.net, 10.0.0.0/8, 2001:db8::/32, * ports 443, "
                      "8000-8999, at most 100 open, at most 10 a second\n"
                      "egress:9: deny udp\n"
                      "ingress:11: allow tcp on 127.0.0.1 port 8080 from 127.0.0.0/8, at most 2000 an hour\n"
                      "ingress:16: allow any on ::1, at most 1 a minute\n"
                      "names:19: example.org\n"
                      "names:19: *\n"
                      "unix:20: /run/postgres.sock\n"
                      "files:22: conf/data as /data, ro\n"
                      "files:24: /srv/out as /, overlay, at most 104857600 bytes, at most 1000 files\n"
                      "env:29: LANG\n"
                      "env:29: APP_*\n"
                      "tls:31: conf/corp.pem\n"
                      "tls:31: /etc/ca.pem\n"
                      "tls:31: localhost with conf/s.pem and conf/s.key\n");
    buf_deinit(&b);
    assert_true(policy_has_network(p));
    assert_true(span_equal(policy_text(p), SPAN_STR(whole)));
    assert_int_equal(policy_ndirs(p), 2);
    assert_string_equal(policy_dir(p, 0)->host, "conf/data");
    assert_int_equal(policy_dir(p, 0)->mode, POLICY_RO);
    assert_int_equal(policy_dir(p, 1)->size_bytes, 100 << 20);
    assert_int_equal(policy_nservers(p), 1);
    assert_string_equal(policy_server(p, 0)->key, "conf/s.key");
    assert_int_equal(policy_cas(p)->n, 2);
    policy_free(p);
}

static void a_policy_may_be_part_of_a_document(void **state) {
    struct config c;
    struct policy *p;
    struct policy_decision d;
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(config_parse(SPAN_STR("policy:\n  env: X\n"), "dir/app.yaml", &c, &e), ST_OK);
    assert_int_equal(policy_read(&c, c.root->items[0], &p, &e), ST_OK);
    assert_int_equal(policy_check(p, "env X", &d, NULL), ST_OK);
    assert_string_equal(d.text, "allowed by dir/app.yaml:2: env X");
    assert_false(policy_has_network(p));
    assert_int_equal(policy_text(p).size, 0);
    policy_free(p);
    config_deinit(&c);
}

static const struct {
    const char *text, *error;
} mistakes[] = {
    {"egres: []", "net.yaml:1:1: unknown key 'egres'; did you mean 'egress'?"},
    {"version: 1", "net.yaml:1:1: unknown key 'version'; a policy has: egress, ingress, names, unix, files, env, tls"},
    {"[]", "net.yaml:1:1: a policy is a map of keys and values, this is a list"},
    {"egress:", "net.yaml:1:1: 'egress' has no value"},
    {"egress: {allow: tcp}", "net.yaml:1:9: a list of rules was expected here ('- ' before each)"},
    {"egress: all", "net.yaml:1:9: a list of rules was expected here ('- ' before each)"},
    {"egress:\n- alow: tcp\n  to: 1.1.1.1", "net.yaml:2:3: unknown key 'alow'; did you mean 'allow'?"},
    {"egress:\n- allow: tcp\n  on: 1.1.1.1",
     "net.yaml:3:3: unknown key 'on'; an egress rule has: allow, deny, to, ports, max-connections, rate"},
    {"egress:\n- allow: tcp\n  from: 1.1.1.1",
     "net.yaml:3:3: unknown key 'from'; an egress rule has: allow, deny, to, ports, max-connections, rate"},
    {"egress:\n- {to: 1.1.1.1}", "net.yaml:2:3: an egress rule has either 'allow' or 'deny'"},
    {"egress:\n- {allow: tcp, deny: udp, to: 1.1.1.1}", "net.yaml:2:3: an egress rule has either 'allow' or 'deny'"},
    {"egress:\n- {allow: tcp}", "net.yaml:2:3: an allow rule needs 'to' (names, addresses or ranges)"},
    {"ingress:\n- {allow: tcp}", "net.yaml:2:3: an allow rule needs 'on' (addresses that may be bound)"},
    {"egress:\n- {allow: [tcp], to: 1.1.1.1}", "net.yaml:2:11: a text was expected here, not a list"},
    {"egress:\n- {allow: icmp, to: 1.1.1.1}", "net.yaml:2:11: 'icmp' is none of tcp, udp, any"},
    {"egress:\n- {allow: TCP, to: 1.1.1.1}", "net.yaml:2:11: 'TCP' is none of tcp, udp, any"},
    {"egress:\n- tcp", "net.yaml:2:3: an egress rule is a map of keys and values, this is a text"},
    {"egress:\n- {allow: tcp, to: []}", "net.yaml:2:20: the list is empty; leave the key out if none is meant"},
    {"egress:\n- {deny: tcp, to: []}", "net.yaml:2:19: the list is empty; leave the key out if none is meant"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: []}",
     "net.yaml:2:36: the list is empty; leave the key out if none is meant"},
    {"ingress:\n- {allow: tcp, on: 1.1.1.1, from: []}",
     "net.yaml:2:35: the list is empty; leave the key out if none is meant"},
    {"egress:\n- {deny: tcp, to:  }", "net.yaml:2:15: 'to' has no value"},
    {"egress:\n- {allow: tcp, to: 10.0.0.1/8}",
     "net.yaml:2:20: '10.0.0.1/8' is not an address or a range of them (such as 10.0.0.0/8 or 2001:db8::/32, with "
     "nothing set beyond its bits)"},
    {"egress:\n- {allow: tcp, to: '1.1.1.1:443'}",
     "net.yaml:2:20: '1.1.1.1:443' is not an address or a range of them (such as 10.0.0.0/8 or 2001:db8::/32, with "
     "nothing set beyond its bits)"},
    {"egress:\n- {allow: tcp, to: 'https://example.org'}",
     "net.yaml:2:20: 'https://example.org' is not an address or a range of them (such as 10.0.0.0/8 or "
     "2001:db8::/32, with nothing set beyond its bits)"},
    {"egress:\n- {deny: any, to: '::ffff:10.0.0.0/104'}",
     "net.yaml:2:19: '::ffff:10.0.0.0/104' is IPv4 dressed as IPv6; write 10.0.0.0/8"},
    {"egress:\n- {deny: any, to: '::ffff:0:0/96'}",
     "net.yaml:2:19: '::ffff:0:0/96' is IPv4 dressed as IPv6; write 0.0.0.0/0"},
    {"egress:\n- {deny: any, to: '::7f00:1'}", "net.yaml:2:19: '::7f00:1' is IPv4 dressed as IPv6; write 127.0.0.1"},
    {"egress:\n- {allow: tcp, to: 0x7f.1}",
     "net.yaml:2:20: '0x7f.1' is no host name: it looks like an address, and addresses are written as 192.0.2.1 or "
     "2001:db8::1"},
    {"egress:\n- {allow: tcp, to: 10.1}",
     "net.yaml:2:20: '10.1' is no host name: it looks like an address, and addresses are written as 192.0.2.1 or "
     "2001:db8::1"},
    {"egress:\n- {allow: tcp, to: '*example.org'}",
     "net.yaml:2:20: '*example.org': '*' stands alone, for every name, or in front as '*.', for all names below"},
    {"egress:\n- {allow: tcp, to: 'a.*.org'}",
     "net.yaml:2:20: 'a.*.org': '*' stands alone, for every name, or in front as '*.', for all names below"},
    {"egress:\n- {allow: tcp, to: '*.*.org'}",
     "net.yaml:2:20: '*.*.org': '*' stands alone, for every name, or in front as '*.', for all names below"},
    {"egress:\n- {allow: tcp, to: '*.'}", "net.yaml:2:20: '*.' is no host name: it is empty"},
    {"egress:\n- {allow: tcp, to: '*.1'}",
     "net.yaml:2:20: '*.1' is no host name: it looks like an address, and addresses are written as 192.0.2.1 or "
     "2001:db8::1"},
    {"egress:\n- {allow: tcp, to: ''}", "net.yaml:2:20: '' is no host name: it is empty"},
    {"egress:\n- {allow: tcp, to: a..b}", "net.yaml:2:20: 'a..b' is no host name: it has an empty part"},
    {"egress:\n- {allow: tcp, to: .a}", "net.yaml:2:20: '.a' is no host name: it has an empty part"},
    {"egress:\n- {allow: tcp, to: a b}",
     "net.yaml:2:20: 'a b' is no host name: it has characters beyond letters, digits, '-', '_' and '.'"},
    {"egress:\n- {allow: tcp, to: b\xc3\xbc"
     "cher.example}",
     "net.yaml:2:20: 'b\xc3\xbc"
     "cher.example' is no host name: write international names in their ASCII form, "
     "xn--..."},
    {"egress:\n- {allow: tcp, to: localhost}",
     "net.yaml:2:20: 'localhost' is never reached by name; write 127.0.0.0/8, or '::1'"},
    {"egress:\n- {allow: tcp, to: '*.localhost'}",
     "net.yaml:2:20: '*.localhost' is never reached by name; write 127.0.0.0/8, or '::1'"},
    {"egress:\n- {allow: tcp, to: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
     "net.yaml:2:20: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is no host name: a part of "
     "it is longer than 63 characters"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 0}",
     "net.yaml:2:36: '0' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 0-80}",
     "net.yaml:2:36: '0-80' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 65536}",
     "net.yaml:2:36: '65536' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 4294967376}",
     "net.yaml:2:36: '4294967376' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 90-80}",
     "net.yaml:2:36: '90-80' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 080}",
     "net.yaml:2:36: '080' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: 80-}",
     "net.yaml:2:36: '80-' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, ports: [80, https]}",
     "net.yaml:2:41: 'https' is neither a port (1 to 65535) nor a range of them (8000-8999)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, max-connections: 0}", "net.yaml:2:46: 0 would allow nothing"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, rate: 10}",
     "net.yaml:2:35: '10' is no rate (10/s, 100/m or 1000/h; 65536 are the most)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, rate: 0/s}",
     "net.yaml:2:35: '0/s' is no rate (10/s, 100/m or 1000/h; 65536 are the most)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, rate: 1M/s}",
     "net.yaml:2:35: '1M/s' is no rate (10/s, 100/m or 1000/h; 65536 are the most)"},
    {"egress:\n- {allow: tcp, to: 1.1.1.1, rate: 10/d}",
     "net.yaml:2:35: '10/d' is no rate (10/s, 100/m or 1000/h; 65536 are the most)"},
    {"egress:\n- {deny: tcp, rate: 10/s}", "net.yaml:2:3: a deny rule lets nothing through that could be counted"},
    {"ingress:\n- {allow: tcp, on: example.org}",
     "net.yaml:2:20: 'example.org' is not an address or a range of them (such as 10.0.0.0/8 or 2001:db8::/32, with "
     "nothing set beyond its bits)"},
    {"ingress:\n- {allow: tcp, on: 127.0.0.1, to: 1.1.1.1}",
     "net.yaml:2:31: unknown key 'to'; an ingress rule has: allow, deny, on, ports, from, max-connections, rate"},
    {"names: [10.0.0.1]", "net.yaml:1:9: '10.0.0.1' is no host name: it looks like an address, and addresses are "
                          "written as 192.0.2.1 or "
                          "2001:db8::1"},
    {"unix: [x.sock]",
     "net.yaml:1:8: 'x.sock' is no whole path of a socket: it begins with /, has neither '.' nor '..' nor empty "
     "parts, and at most 107 bytes"},
    {"unix: /run/../x.sock",
     "net.yaml:1:7: '/run/../x.sock' is no whole path of a socket: it begins with /, has neither '.' nor '..' nor "
     "empty parts, and at most 107 bytes"},
    {"files: [{dir: x}]", "net.yaml:1:9: a directory needs 'as' (where the guest sees it)"},
    {"files: [{as: /x}]", "net.yaml:1:9: a directory needs 'dir' (a directory of this machine)"},
    {"files: [{dir: '', as: /x}]", "net.yaml:1:15: an empty path"},
    {"files: [{dir: x, as: x}]",
     "net.yaml:1:22: 'x' is no path of the guest: it begins with / and has neither '.' nor '..' nor empty parts"},
    {"files: [{dir: x, as: /x/}]",
     "net.yaml:1:22: '/x/' is no path of the guest: it begins with / and has neither '.' nor '..' nor empty parts"},
    {"files: [{dir: x, as: /x, mode: rx}]", "net.yaml:1:32: 'rx' is none of ro, rw, overlay"},
    {"files: [{dir: x, as: /x, size: 1GiB}]",
     "net.yaml:1:9: 'size' and 'count' bound what is written; mode ro lets nothing be written"},
    {"files: [{dir: x, as: /x, mode: rw, size: 0}]", "net.yaml:1:42: 0 would allow nothing; use mode ro"},
    {"files:\n- {dir: x, as: /x}\n- {dir: y, as: /x}",
     "net.yaml:3:3: the guest's '/x' is given twice, first in line 2"},
    {"env: ['']", "net.yaml:1:7: '' is no variable's name, nor the beginning of names followed by '*'"},
    {"env: [A=b]", "net.yaml:1:7: 'A=b' is no variable's name, nor the beginning of names followed by '*'"},
    {"env: ['*_KEY']", "net.yaml:1:7: '*_KEY' is no variable's name, nor the beginning of names followed by '*'"},
    {"env: {A: b}", "net.yaml:1:6: a text was expected here, not a map"},
    {"tls: {servers: {name: a}}", "net.yaml:1:16: a list of servers was expected here ('- ' before each)"},
    {"tls: {servers: [{name: a, cert: b}]}", "net.yaml:1:17: a server needs 'key' (a file in PEM)"},
    {"tls: {servers: [{name: 'a b', cert: b, key: c}]}",
     "net.yaml:1:24: 'a b' is no host name: it has characters beyond letters, digits, '-', '_' and '.'"},
    {"tls: {cas: x}", "net.yaml:1:7: unknown key 'cas'; did you mean 'ca'?"},
};

static void mistakes_have_a_place_and_a_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct policy *p;
        struct err e = ERR_INIT;
        assert_int_equal(policy_parse(SPAN_STR(mistakes[i].text), "net.yaml", &p, &e), ST_INVALID);
        assert_string_equal(e.text, mistakes[i].error);
    }
}

static void malformed_files(void **state) {
    struct policy *p;
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(policy_parse(SPAN_STR("egress: []\nenv: [A]\negress: []\n"), "net.yaml", &p, &e), ST_MALFORMED);
    assert_string_equal(e.text, "net.yaml:3:1: key 'egress' is given twice, first in line 1");
    err_clear(&e);
    assert_int_equal(policy_parse(SPAN_STR("env: *a\n"), "net.yaml", &p, &e), ST_MALFORMED);
    assert_string_equal(e.text, "net.yaml:1:6: anchors and aliases are not taken: write the value out");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_understood),
        cmocka_unit_test(a_policy_may_be_part_of_a_document),
        cmocka_unit_test(mistakes_have_a_place_and_a_reason),
        cmocka_unit_test(malformed_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
