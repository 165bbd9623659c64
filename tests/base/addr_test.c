#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"

static void ip_addresses_are_read_and_printed(void **state) {
    /* NULL: refused */
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"256.0.0.1", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.4.", NULL},
        {".1.2.3.4", NULL},
        {"1..2.3", NULL},
        {"01.2.3.4", NULL},
        {"1.2.3.04", NULL},
        {"1.2.3.00", NULL},
        {"0177.0.0.1", NULL},
        {"0x7f.0.0.1", NULL},
        {"2130706433", NULL},
        {"127.1", NULL},
        {" 1.2.3.4", NULL},
        {"1.2.3.4 ", NULL},
        {"+1.2.3.4", NULL},
        {"1.2.3.-4", NULL},
        {"", NULL},
        {"1.2.3.4%1", NULL},
        {"localhost", NULL},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:0db8::0001", "2001:db8::1"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
        {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"::FFFF:c000:201", "::ffff:192.0.2.1"},
        {"::1.2.3.4", "::102:304"},
        {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"fe80::1%3", "fe80::1%3"},
        {"ff02::1%12", "ff02::1%12"},
        {"fe80::1%0", NULL},
        {"fe80::1%01", NULL},
        {"fe80::1%eth0", NULL},
        {"fe80::1%", NULL},
        {"fe80::1%4294967296", NULL},
        {"2001:db8::1%3", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"::1:2:3:4:5:6:7:8", NULL},
        {"1:2:3:4::5:6:7:8", NULL},
        {"1::2::3", NULL},
        {":::", NULL},
        {":::1", NULL},
        {"1:::2", NULL},
        {":", NULL},
        {":1", NULL},
        {"1:", NULL},
        {":1::", NULL},
        {"1::2:", NULL},
        {"12345::", NULL},
        {"g::", NULL},
        {"::1.2.3", NULL},
        {"::1.2.3.4:5", NULL},
        {"::01.2.3.4", NULL},
        {"::a1.2.3.4", NULL},
        {"1:2:3:4:5:6:7:1.2.3.4", NULL},
        {"1.2.3.4::", NULL},
        {"[::1]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a = {.port = 7}, again;
        char out[ADDR_TEXT_MAX];
        bool read = addr_parse_ip(cases[i].text, &a);
        if (read != (cases[i].printed != NULL))
            fail_msg("'%s' was %s", cases[i].text, read ? "taken" : "refused");
        if (!read) {
            assert_int_equal(a.port, 7); /* written only on success */
            continue;
        }
        assert_string_equal(addr_print_ip(&a, out), cases[i].printed);
        assert_int_equal(a.port, 0);
        assert_true(addr_parse_ip(out, &again));
        assert_true(addr_equal_ip(&a, &again));
        assert_int_equal(a.scope, again.scope);
    }
}

static void addresses_with_ports(void **state) {
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"192.0.2.1:443", "192.0.2.1:443"},
        {"192.0.2.1:0", "192.0.2.1:0"},
        {"192.0.2.1:65535", "192.0.2.1:65535"},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:080", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:80x", NULL},
        {"192.0.2.1", NULL},
        {":80", NULL},
        {"[2001:db8::1]:443", "[2001:db8::1]:443"},
        {"[fe80::1%2]:5", "[fe80::1%2]:5"},
        {"[::]:80", "[::]:80"},
        {"[192.0.2.1]:80", NULL},
        {"2001:db8::1:443", NULL},
        {"[::1]", NULL},
        {"[::1]80", NULL},
        {"[::1:80", NULL},
        {"::1]:80", NULL},
        {"[]:80", NULL},
        {"]:80", NULL},
        {"[:80", NULL},
        {"unix:/run/x.sock", "unix:/run/x.sock"},
        {"unix:x", "unix:x"},
        {"unix:", NULL},
        {"localhost:80", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a, again;
        char out[ADDR_TEXT_MAX];
        bool read = addr_parse(cases[i].text, &a);
        if (read != (cases[i].printed != NULL))
            fail_msg("'%s' was %s", cases[i].text, read ? "taken" : "refused");
        if (!read)
            continue;
        assert_string_equal(addr_print(&a, out), cases[i].printed);
        assert_true(addr_parse(out, &again));
        assert_true(addr_equal(&a, &again));
    }
}

static void unix_paths_have_a_bound(void **state) {
    char text[5 + ADDR_MAX_PATH + 1] = "unix:", out[ADDR_TEXT_MAX];
    struct addr a;
    (void)state;
    memset(text + 5, 'x', ADDR_MAX_PATH);
    assert_false(addr_parse(text, &a));
    text[5 + ADDR_MAX_PATH - 1] = 0;
    assert_true(addr_parse(text, &a));
    assert_string_equal(addr_print(&a, out), text);
}

static void longest_text_fits(void **state) {
    struct addr a;
    char out[ADDR_TEXT_MAX];
    (void)state;
    assert_true(addr_parse("[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", &a));
    assert_string_equal(addr_print(&a, out), "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535");
}

static void ranges(void **state) {
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.0.0.1", "10.0.0.1"},
        {"10.0.0.1/32", "10.0.0.1"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.0.0.1/8", NULL},
        {"172.16.0.0/12", "172.16.0.0/12"},
        {"172.24.0.0/12", NULL},
        {"10.0.0.0/33", NULL},
        {"10.0.0.0/08", NULL},
        {"10.0.0.0/", NULL},
        {"10.0.0.0/8/8", NULL},
        {"10/8", NULL},
        {"/8", NULL},
        {"2001:db8::/32", "2001:db8::/32"},
        {"2001:db8::/28", NULL},
        {"::/0", "::/0"},
        {"::1/128", "::1"},
        {"::1/129", NULL},
        {"fe80::/10", "fe80::/10"},
        {"fe80::1%2", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cidr c;
        char out[ADDR_TEXT_MAX];
        bool read = cidr_parse(cases[i].text, &c);
        if (read != (cases[i].printed != NULL))
            fail_msg("'%s' was %s", cases[i].text, read ? "taken" : "refused");
        if (read)
            assert_string_equal(cidr_print(&c, out), cases[i].printed);
    }
}

static bool holds(const char *range, const char *address) {
    struct cidr c;
    struct addr a;
    assert_true(cidr_parse(range, &c));
    assert_true(addr_parse_ip(address, &a));
    return cidr_contains(&c, &a);
}

static void ranges_contain(void **state) {
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.1.2"));
    assert_false(holds("10.0.0.0/8", "11.0.0.0"));
    assert_true(holds("172.16.0.0/12", "172.31.255.255"));
    assert_false(holds("172.16.0.0/12", "172.32.0.0"));
    assert_true(holds("0.0.0.0/0", "255.1.2.3"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_false(holds("::/0", "127.0.0.1"));
    assert_true(holds("fe80::/10", "febf::1"));
    assert_false(holds("fe80::/10", "fec0::1"));
    assert_true(holds("192.0.2.1", "192.0.2.1"));
    assert_false(holds("192.0.2.1", "192.0.2.0"));
}

static void plain_forms(void **state) {
    static const struct {
        const char *text, *plain;
    } cases[] = {
        {"::ffff:169.254.169.254", "169.254.169.254"},
        {"::ffff:0:0", "0.0.0.0"},
        {"::7f00:1", "127.0.0.1"},
        {"::0.0.0.2", "0.0.0.2"},
        {"::", "::"},
        {"::1", "::1"},
        {"64:ff9b::7f00:1", "64:ff9b::7f00:1"},
        {"::ffff:0:127.0.0.1", "::ffff:0:7f00:1"},
        {"2001:db8::1", "2001:db8::1"},
        {"1.2.3.4", "1.2.3.4"},
        {"fe80::1%2", "fe80::1%2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a;
        char out[ADDR_TEXT_MAX];
        assert_true(addr_parse_ip(cases[i].text, &a));
        a.port = 99;
        struct addr p = addr_plain(&a);
        assert_string_equal(addr_print_ip(&p, out), cases[i].plain);
        assert_int_equal(p.port, 99);
    }
}

static void scopes(void **state) {
    static const struct {
        const char *text;
        enum addr_scope scope;
    } cases[] = {
        {"0.0.0.0", ADDR_UNSPECIFIED},
        {"0.255.255.255", ADDR_UNSPECIFIED},
        {"1.0.0.0", ADDR_GLOBAL},
        {"127.0.0.1", ADDR_LOOPBACK},
        {"127.255.255.254", ADDR_LOOPBACK},
        {"128.0.0.0", ADDR_GLOBAL},
        {"169.254.169.254", ADDR_LINK_LOCAL},
        {"169.253.255.255", ADDR_GLOBAL},
        {"168.63.129.16", ADDR_LINK_LOCAL},
        {"168.63.129.17", ADDR_GLOBAL},
        {"10.1.2.3", ADDR_PRIVATE},
        {"172.15.255.255", ADDR_GLOBAL},
        {"172.16.0.0", ADDR_PRIVATE},
        {"172.32.0.0", ADDR_GLOBAL},
        {"192.168.255.255", ADDR_PRIVATE},
        {"100.63.255.255", ADDR_GLOBAL},
        {"100.100.100.200", ADDR_PRIVATE},
        {"100.128.0.0", ADDR_GLOBAL},
        {"223.255.255.255", ADDR_GLOBAL},
        {"224.0.0.1", ADDR_MULTICAST},
        {"239.255.255.255", ADDR_MULTICAST},
        {"240.0.0.0", ADDR_RESERVED},
        {"255.255.255.255", ADDR_RESERVED},
        {"192.0.0.192", ADDR_RESERVED},
        {"192.0.1.0", ADDR_GLOBAL},
        {"192.0.2.1", ADDR_RESERVED},
        {"198.51.100.7", ADDR_RESERVED},
        {"203.0.113.9", ADDR_RESERVED},
        {"192.88.99.1", ADDR_RESERVED},
        {"198.19.255.255", ADDR_RESERVED},
        {"198.20.0.0", ADDR_GLOBAL},
        {"8.8.8.8", ADDR_GLOBAL},
        {"::", ADDR_UNSPECIFIED},
        {"::1", ADDR_LOOPBACK},
        {"::ffff:127.0.0.1", ADDR_LOOPBACK},
        {"::127.0.0.1", ADDR_LOOPBACK},
        {"::ffff:8.8.8.8", ADDR_GLOBAL},
        {"fe80::1", ADDR_LINK_LOCAL},
        {"febf:ffff::1", ADDR_LINK_LOCAL},
        {"fec0::1", ADDR_RESERVED},
        {"fc00::1", ADDR_PRIVATE},
        {"fd00:ec2::254", ADDR_PRIVATE},
        {"ff02::1", ADDR_MULTICAST},
        {"64:ff9b::a9fe:a9fe", ADDR_RESERVED},
        {"64:ff9b:1::1", ADDR_RESERVED},
        {"::ffff:0:127.0.0.1", ADDR_RESERVED},
        {"100::1", ADDR_RESERVED},
        {"2001::1", ADDR_RESERVED},
        {"2001:1ff:ffff::1", ADDR_RESERVED},
        {"2001:200::1", ADDR_GLOBAL},
        {"2001:db8::1", ADDR_RESERVED},
        {"2002:7f00:1::", ADDR_RESERVED},
        {"3fff:fff::1", ADDR_RESERVED},
        {"3fff:1000::1", ADDR_GLOBAL},
        {"2606:4700::1111", ADDR_GLOBAL},
        {"4000::1", ADDR_RESERVED},
        {"5f00::1", ADDR_RESERVED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a;
        assert_true(addr_parse_ip(cases[i].text, &a));
        if (addr_scope(&a) != cases[i].scope)
            fail_msg("%s is %s", cases[i].text, addr_scope_text(addr_scope(&a)));
    }
}

static void ranges_within_scopes(void **state) {
    static const struct {
        const char *text;
        enum addr_scope scope;
        bool within;
    } cases[] = {
        {"10.0.0.0/8", ADDR_PRIVATE, true},
        {"10.1.0.0/16", ADDR_PRIVATE, true},
        {"10.1.0.0/16", ADDR_GLOBAL, false},
        {"10.0.0.0/7", ADDR_PRIVATE, false},
        {"0.0.0.0/0", ADDR_PRIVATE, false},
        {"0.0.0.0/0", ADDR_GLOBAL, false},
        {"0.0.0.0/0", ADDR_LOOPBACK, false},
        {"127.0.0.0/8", ADDR_LOOPBACK, true},
        {"127.0.0.0/8", ADDR_LINK_LOCAL, false},
        {"126.0.0.0/7", ADDR_LOOPBACK, false},
        {"8.0.0.0/8", ADDR_GLOBAL, true},
        {"168.63.129.16", ADDR_LINK_LOCAL, true},
        {"168.63.129.0/24", ADDR_LINK_LOCAL, false},
        {"192.168.0.0/16", ADDR_PRIVATE, true},
        {"192.0.0.0/8", ADDR_PRIVATE, false},
        {"::1", ADDR_LOOPBACK, true},
        {"::/0", ADDR_LOOPBACK, false},
        {"::/0", ADDR_RESERVED, false},
        {"64:ff9b::/96", ADDR_RESERVED, true},
        {"2000::/3", ADDR_GLOBAL, false},
        {"2606::/16", ADDR_GLOBAL, true},
        {"fd00::/8", ADDR_PRIVATE, true},
        {"fe80::/10", ADDR_LINK_LOCAL, true},
        {"fe00::/7", ADDR_LINK_LOCAL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cidr c;
        assert_true(cidr_parse(cases[i].text, &c));
        if (cidr_within(&c, cases[i].scope) != cases[i].within)
            fail_msg("%s within %s", cases[i].text, addr_scope_text(cases[i].scope));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_addresses_are_read_and_printed),
        cmocka_unit_test(addresses_with_ports),
        cmocka_unit_test(unix_paths_have_a_bound),
        cmocka_unit_test(longest_text_fits),
        cmocka_unit_test(ranges),
        cmocka_unit_test(ranges_contain),
        cmocka_unit_test(plain_forms),
        cmocka_unit_test(scopes),
        cmocka_unit_test(ranges_within_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
