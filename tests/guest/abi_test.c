/* The import tables as they are shown to people: the page docs/imports.md is made from them and compared here
 * (AEON_UPDATE=1 writes it), so that a row that moves, and with it its number in journals, is noticed. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "abi/abi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static void put_signature(struct buf *b, const struct abi_call *c) {
    char params[ABI_MAX_WASM_PARAMS + 1];
    uint32_t n = abi_call_params(c, params);
    for (uint32_t i = 0; i < n; i++)
        buf_print(b, "%s%s", i ? ", " : "", params[i] == 'I' ? "i64" : "i32");
}

static void put_call(struct buf *b, const struct abi_call *c) {
    buf_print(b, "\n### %s\n\n%c%s. Number %u.\n\n    (", c->name, toupper((unsigned char)c->doc[0]), c->doc + 1,
              c->code);
    put_signature(b, c);
    buf_print(b, ") -> %s\n", c->result == ABI_RESULT_NORETURN ? "()" : "errno: i32");
    if (c->nparams)
        buf_print(b, "\n| parameter | kind | Wasm | what it is |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < c->nparams; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        buf_print(b, "| %s | %s | %s | %s", c->params[i].name, k->name, abi_shape_doc(k->shape), k->doc);
        if (c->params[i].other[0])
            buf_print(b, "; its %s: %s", k->role == ABI_ROLE_ADDRESS ? "port" : "number of elements",
                      c->params[i].other);
        buf_print(b, " |\n");
    }
    const char *effect = c->effect & ABI_WRITES ? "Changes what others can see" : "Changes nothing that others can see";
    buf_print(b, "\n%s%s.\n", effect, c->effect & ABI_BLOCKS ? "; may wait" : "");
}

static void put_page(struct buf *b) {
    buf_print(
        b, "# Imports\n\nEvery function a guest can import. This page is made from the tables in `abi/`; do not edit "
           "it.\n\nA call's number is how journals name it. Pointers are checked before a call has any effect; one "
           "that is "
           "out of\nbounds is answered with EFAULT.\n");
    for (uint32_t t = 0; abi_tables[t]; t++) {
        buf_print(b, "\n## %s: %s\n", abi_tables[t]->module, abi_tables[t]->title);
        if (abi_tables[t]->base)
            buf_print(b, "\nWhat is not listed here is as in `%s`, %s.\n", abi_tables[t]->base->module,
                      abi_tables[t]->base->title);
        for (uint32_t i = 0; i < abi_tables[t]->ncalls; i++)
            put_call(b, &abi_tables[t]->calls[i]);
    }
}

static void the_page_is_up_to_date(void **state) {
    struct buf page, there;
    char path[512];
    const char *root = getenv("AEON_SOURCE_DIR");
    (void)state;
    if (!root)
        skip();
    buf_init(&page, 1 << 20);
    buf_init(&there, 1 << 20);
    put_page(&page);
    assert_false(page.failed);
    snprintf(path, sizeof path, "%s/docs/imports.md", root);
    if (getenv("AEON_UPDATE")) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(page.data, 1, page.size, out), page.size);
        assert_int_equal(fclose(out), 0);
    }
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_true(buf_reserve(&there, 1 << 20));
    there.size = fread(there.data, 1, 1 << 20, f);
    fclose(f);
    assert_string_equal(buf_cstr(&there), buf_cstr(&page));
    buf_deinit(&page);
    buf_deinit(&there);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void numbers_are_part_of_the_format(void **state) {
    (void)state;
    assert_int_equal(ABI_CODE_args_get, 0);
    assert_int_equal(ABI_CODE_fd_write, 26);
    assert_int_equal(ABI_CODE_proc_exit, 38);
    assert_int_equal(ABI_CODE_sock_shutdown, 45);
    assert_int_equal(ABI_CODE_unstable_fd_filestat_get, 128);
    assert_int_equal(ABI_CODE_unstable_poll_oneoff, 131);
    assert_int_equal(ABI_CODE_sock_open, 160);
    assert_int_equal(ABI_CODE_sock_getaddrinfo, 170);
    assert_int_equal(ABI_CODE_v1_sock_accept, 192);
    assert_int_equal(ABI_CODE_v1_sock_getpeeraddr, 195);
    assert_int_equal(abi_wasi_preview1.ncalls, 46);
    assert_null(abi_call_by_code(46));
    assert_null(abi_call_by_code(132));
    assert_null(abi_call_by_code(171));
    assert_null(abi_call_by_code(196));
    assert_null(abi_call_by_code(UINT32_MAX));
    for (uint32_t t = 0; abi_tables[t]; t++)
        for (uint32_t i = 0; i < abi_tables[t]->ncalls; i++) {
            const struct abi_call *c = &abi_tables[t]->calls[i];
            assert_ptr_equal(abi_call_by_code(c->code), c);
            assert_string_equal(abi_call_module(c->code), abi_tables[t]->module);
        }
}

static void signatures_are_those_of_the_standard(void **state) {
    static const struct {
        uint32_t code;
        const char *params;
    } expected[] = {
        {ABI_CODE_args_get, "ii"},
        {ABI_CODE_clock_time_get, "iIi"},
        {ABI_CODE_fd_pread, "iiiIi"},
        {ABI_CODE_fd_readdir, "iiiIi"},
        {ABI_CODE_fd_renumber, "ii"},
        {ABI_CODE_fd_seek, "iIii"},
        {ABI_CODE_path_open, "iiiiiIIii"},
        {ABI_CODE_path_link, "iiiiiii"},
        {ABI_CODE_poll_oneoff, "iiii"},
        {ABI_CODE_sock_recv, "iiiiii"},
        {ABI_CODE_sched_yield, ""},
        {ABI_CODE_path_filestat_set_times, "iiiiIIi"},
        /* of the two generations of sockets, told apart by this alone */
        {ABI_CODE_sock_open, "iii"},
        {ABI_CODE_sock_bind, "iii"},
        {ABI_CODE_sock_connect, "iii"},
        {ABI_CODE_sock_listen, "ii"},
        {ABI_CODE_sock_accept, "iii"},
        {ABI_CODE_v1_sock_accept, "ii"},
        {ABI_CODE_sock_recv_from, "iiiiiiii"},
        {ABI_CODE_v1_sock_recv_from, "iiiiiii"},
        {ABI_CODE_sock_send_to, "iiiiiii"},
        {ABI_CODE_sock_getsockopt, "iiiii"},
        {ABI_CODE_sock_setsockopt, "iiiii"},
        {ABI_CODE_sock_getaddrinfo, "iiiiiiii"},
        {ABI_CODE_sock_getlocaladdr, "iii"},
        {ABI_CODE_v1_sock_getlocaladdr, "iiii"},
        {ABI_CODE_sock_getpeeraddr, "iii"},
        {ABI_CODE_v1_sock_getpeeraddr, "iiii"},
    };
    char params[ABI_MAX_WASM_PARAMS + 1];
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        abi_call_params(abi_call_by_code(expected[i].code), params);
        assert_string_equal(params, expected[i].params);
    }
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void shows(bool json, uint32_t width, enum abi_kind_id kind, struct span value, const char *expected) {
    struct buf b;
    buf_init(&b, 1 << 16);
    struct abi_text t = {&b, json, width};
    const struct abi_kind *k = abi_kind(kind);
    k->show(&t, k, value);
    assert_string_equal(buf_cstr(&b), expected);
    buf_deinit(&b);
}

static void shows_number(bool json, enum abi_kind_id kind, uint64_t value, const char *expected) {
    uint8_t bytes[8];
    put_u64(bytes, value);
    shows(json, 0, kind, SPAN(bytes, 8), expected);
}

static void numbers_have_names(void **state) {
    (void)state;
    shows_number(false, ABI_KIND_FD, 3, "3");
    shows_number(false, ABI_KIND_FD, UINT32_MAX, "-1");
    shows_number(false, ABI_KIND_FILEDELTA, (uint64_t)-5, "-5");
    shows_number(false, ABI_KIND_CLOCKID, 1, "MONOTONIC");
    shows_number(true, ABI_KIND_CLOCKID, 1, "\"MONOTONIC\"");
    shows_number(false, ABI_KIND_CLOCKID, 9, "9");
    shows_number(false, ABI_KIND_WHENCE, 1, "CUR");
    shows_number(false, ABI_KIND_UNSTABLE_WHENCE, 1, "END");
    shows_number(false, ABI_KIND_OFLAGS, 0, "0");
    shows_number(false, ABI_KIND_OFLAGS, 9, "CREAT|TRUNC");
    shows_number(true, ABI_KIND_OFLAGS, 25, "\"CREAT|TRUNC|0x10\"");
    shows_number(false, ABI_KIND_RIGHTS, 0x42, "FD_READ|FD_WRITE");
    shows_number(false, ABI_KIND_RIGHTS, 0x3fffffff, "ALL");
    shows_number(false, ABI_KIND_RIGHTS, 0x1fffffff, "~SOCK_ACCEPT");
    shows_number(false, ABI_KIND_SIGNAL, 6, "ABRT");
    assert_string_equal(abi_errno_name(44), "ENOENT");
    assert_string_equal(abi_errno_name(1), "E2BIG");
    assert_string_equal(abi_errno_name(84), "EAI_NONAME");
    assert_string_equal(abi_errno_name(88), "?");
}

static void bytes_are_escaped_and_cut(void **state) {
    (void)state;
    shows(false, 0, ABI_KIND_PATH, SPAN_STR("a\tb\n\"q\"\\"), "\"a\\tb\\n\\\"q\\\"\\\\\"");
    shows(false, 0, ABI_KIND_PATH, SPAN("\0\x7f\xff", 3), "\"\\x00\\x7f\\xff\"");
    shows(false, 0, ABI_KIND_PATH, SPAN_STR("h\xc3\xa9!"), "\"h\xc3\xa9!\"");
    shows(false, 3, ABI_KIND_PATH, SPAN_STR("abcdef"), "\"abc\"...");
    shows(false, 4, ABI_KIND_PATH, SPAN_STR("abc\xc3\xa9z"), "\"abc\"..."); /* not in the middle of a character */
    shows(true, 3, ABI_KIND_PATH, SPAN_STR("a\"b\n\x01"), "\"a\\\"b\\n\\u0001\"");
    shows(true, 0, ABI_KIND_IOVS_IN, SPAN("\xff\x00\x10", 3), "{\"base64\":\"/wAQ\"}");
    shows(true, 0, ABI_KIND_IOVS_IN, SPAN("\xff\x00", 2), "{\"base64\":\"/wA=\"}");
    shows(true, 0, ABI_KIND_IOVS_IN, SPAN("\xff", 1), "{\"base64\":\"/w==\"}");
    shows(true, 0, ABI_KIND_IOVS_IN, SPAN("\xc3", 1), "{\"base64\":\"ww==\"}"); /* a cut character */
    shows(false, 0, ABI_KIND_STRINGS_OUT, SPAN("one\0two", 8), "[\"one\", \"two\"]");
    shows(true, 0, ABI_KIND_STRINGS_OUT, SPAN("one\0two", 8), "[\"one\",\"two\"]");
    shows(false, 0, ABI_KIND_STRINGS_OUT, SPAN("", 0), "[]");
}

static void records_are_decoded(void **state) {
    struct wasi_filestat st = {.filetype = WASI_FILETYPE_DIRECTORY, .size = 4096, .nlink = 2, .mtim = 9};
    struct wasi_subscription sub[2] = {{.userdata = 1, .type = WASI_EVENT_FD_READ, .u.fd = 5}, {.userdata = 2}};
    struct wasi_event event = {
        .userdata = 1, .error = WASI_EBADF, .type = WASI_EVENT_FD_WRITE, .nbytes = 7, .flags = 1};
    (void)state;
    sub[1].u.clock.id = 1;
    sub[1].u.clock.timeout = 500;
    sub[1].u.clock.flags = 1;
    shows(false, 0, ABI_KIND_OUT_FILESTAT, SPAN(&st, sizeof st),
          "{type=DIRECTORY, size=4096, nlink=2, dev=0, ino=0, atim=0, mtim=9, ctim=0}");
    shows(true, 0, ABI_KIND_OUT_PRESTAT, SPAN("\0\0\0\0\4\0\0\0", 8), "{\"type\":\"DIR\",\"name_len\":4}");
    shows(false, 0, ABI_KIND_OUT_PRESTAT, SPAN("cut", 3), "\"cut\"");
    shows(false, 0, ABI_KIND_SUBSCRIPTIONS_IN, SPAN(sub, sizeof sub),
          "[{userdata=1, type=FD_READ, fd=5}, "
          "{userdata=2, type=CLOCK, clock=MONOTONIC, timeout=500, precision=0, flags=ABSTIME}]");
    shows(
        true, 0, ABI_KIND_EVENTS_OUT, SPAN(&event, sizeof event),
        "[{\"userdata\":1,\"error\":\"EBADF\",\"type\":\"FD_WRITE\",\"nbytes\":7,\"flags\":\"FD_READWRITE_HANGUP\"}]");
    uint8_t entries[24 + 3 + 24 + 1] = {0}; /* the second one is cut */
    entries[0] = 1;
    entries[16] = 3;
    entries[20] = WASI_FILETYPE_REGULAR_FILE;
    memcpy(entries + 24, "abc", 3);
    entries[27 + 16] = 9;
    entries[27 + 24] = 'x';
    shows(false, 0, ABI_KIND_DIRENTS_OUT, SPAN(entries, sizeof entries),
          "[{name=\"abc\", type=REGULAR_FILE, ino=0, next=1}, {name=\"x\", type=UNKNOWN, ino=0, next=0}]");
}

static void addresses_survive(void **state) {
    struct addr a = {.family = ADDR_UNIX}, back;
    uint8_t bytes[128];
    (void)state;
    for (size_t n = 0; n < ADDR_MAX_PATH; n++) { /* of every length, those that would look raw too */
        struct abi_mem room = {bytes, sizeof bytes};
        memset(bytes, 'x', sizeof bytes);
        if (n)
            a.path[n - 1] = 'p';
        assert_true(abi_addr_write(&a, &room));
        assert_true(abi_addr_read(SPAN(bytes, room.size), 0, &back));
        assert_true(addr_equal(&a, &back));
    }
    const struct addr v6 = {.family = ADDR_INET6, .port = 9, .ip = {0xfd, [15] = 3}};
    for (uint32_t size = 0; size <= sizeof bytes; size++) {
        struct abi_mem room = {bytes, size};
        assert_int_equal(abi_addr_write(&v6, &room), size == 16 || size >= 18);
        if (size == 16 || size >= 18) {
            assert_true(abi_addr_read(SPAN(bytes, room.size), 9, &back));
            assert_true(addr_equal(&v6, &back));
        }
    }
    assert_false(abi_addr_read(SPAN(bytes, 16), 65536, &back));
}

static void sockets_are_decoded(void **state) {
    static const uint8_t v4[] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    static const uint8_t tagged4[128] = {1, 0, 10, 0, 0, 1}, tagged6[128] = {2, 0, 0xfe, 0x80, [17] = 1},
                         path[128] = "\3\0/run/\x01x", none[2] = {0, 0}, cut[5] = {1, 0, 10, 0, 0};
    static const struct wasi_addrinfo hints = {
        .flags = WASI_AI_PASSIVE | WASI_AI_NUMERICSERV, .family = WASI_FAMILY_INET6, .socktype = WASI_SOCKTYPE_STREAM};
    uint8_t found[2 * sizeof(struct abi_found) + 4] = {0};
    struct abi_found *f = (struct abi_found *)found;
    const uint64_t port = 80;
    struct buf b;
    (void)state;
    shows(false, 0, ABI_KIND_ADDR_IN, SPAN(v4, 4), "127.0.0.1");
    shows(false, 0, ABI_KIND_ADDR_IN, SPAN(v6, 16), "::1");
    shows(true, 0, ABI_KIND_ADDR_OUT, SPAN(tagged4, sizeof tagged4), "\"10.0.0.1\"");
    shows(false, 0, ABI_KIND_ADDR_OUT, SPAN(tagged6, sizeof tagged6), "fe80::1");
    shows(false, 0, ABI_KIND_ADDR_OUT, SPAN(path, sizeof path), "\"unix:/run/\\x01x\"");
    shows(true, 0, ABI_KIND_ADDR_OUT, SPAN(none, 2), "null");
    shows(false, 0, ABI_KIND_ADDR_OUT, SPAN(cut, 5), "\"\\x01\\x00\\n\\x00\\x00\"");
    buf_init(&b, 100);
    abi_show_address_port(&(struct abi_text){&b, false, 0}, SPAN(tagged6, 128), &port);
    abi_show_address_port(&(struct abi_text){&b, true, 0}, SPAN(v4, 4), &port);
    assert_string_equal(buf_cstr(&b), "[fe80::1]:80\"127.0.0.1:80\"");
    buf_deinit(&b);

    shows_number(false, ABI_KIND_SOCKOPT, 0, "REUSEADDR");
    shows_number(false, ABI_KIND_SOCKOPT, (uint64_t)6 << 32 | 15, "TCP_NODELAY");
    shows_number(true, ABI_KIND_SOCKOPT, (uint64_t)0x74696d65 << 32 | 1, "\"START_TLS\"");
    shows(false, 0, ABI_KIND_OPTION_IN, SPAN("\1\0\0\0", 4), "1");
    shows(false, 0, ABI_KIND_OPTION_OUT, SPAN("\1\0\0\0\5\0\0\0", 8), "{1, 5}");
    shows(true, 0, ABI_KIND_OPTION_OUT, SPAN("\1\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0", 16), "[1,5]");
    shows(false, 0, ABI_KIND_OPTION_IN, SPAN_STR("a.example"), "\"a.example\"");
    shows(false, 0, ABI_KIND_NAME_IN, SPAN("a.example\0", 10), "\"a.example\"");
    shows(false, 0, ABI_KIND_HINTS_IN, SPAN(&hints, sizeof hints),
          "{flags=PASSIVE|NUMERICSERV, family=INET6, socktype=STREAM, protocol=IP}");

    *f = (struct abi_found){.family = WASI_FAMILY_INET, .socktype = WASI_SOCKTYPE_STREAM, .name_size = 4, .port = 443};
    memcpy(f->ip, v4, 4);
    memcpy(f + 1, "name", 4);
    struct abi_found second = {
        .family = WASI_FAMILY_INET6, .socktype = WASI_SOCKTYPE_DGRAM, .port = 53, .ip = {[15] = 1}};
    memcpy(found + sizeof *f + 4, &second, sizeof second);
    shows(false, 0, ABI_KIND_FOUND_OUT, SPAN(found, sizeof found),
          "[{addr=127.0.0.1:443, socktype=STREAM, name=\"name\"}, {addr=[::1]:53, socktype=DGRAM}]");
    shows(true, 0, ABI_KIND_FOUND_OUT, SPAN(found, sizeof *f + 4),
          "[{\"addr\":\"127.0.0.1:443\",\"socktype\":\"STREAM\",\"name\":\"name\"}]");
    shows(false, 0, ABI_KIND_FOUND_OUT, SPAN("", 0), "[]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_up_to_date),
        cmocka_unit_test(numbers_are_part_of_the_format),
        cmocka_unit_test(signatures_are_those_of_the_standard),
        cmocka_unit_test(numbers_have_names),
        cmocka_unit_test(bytes_are_escaped_and_cut),
        cmocka_unit_test(records_are_decoded),
        cmocka_unit_test(addresses_survive),
        cmocka_unit_test(sockets_are_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
