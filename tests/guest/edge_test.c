// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "stage.h"

static void a_guest_writes_and_exits(void **state) {
    struct stage s;
    struct ending end;
    (void)state;
    stage_init(&s);
    play_live(&s, "hello", &end);
    assert_int_equal(end.outcome, GUEST_EXITED);
    assert_int_equal(end.value, 3);
    assert_string_equal(buf_cstr(&s.output), "hello, world\n");
    assert_int_equal(s.calls, 2);
    stage_deinit(&s);
}

/* The implementations check what they are given; here is what the guest finds in its memory. */
static void every_shape_crosses(void **state) {
    struct stage s;
    struct module_file m;
    struct ending end = {0};
    (void)state;
    stage_init(&s);
    module_open(&m, "shapes");
    struct edge_options o = stage_options(&s, EDGE_LIVE, NULL);
    struct guest *g = guest_open(&m, UINT64_MAX, &o);
    end.outcome = guest_run(g, UINT64_MAX, &end.value, &end.err);
    assert_int_equal(end.outcome, GUEST_EXITED);
    assert_int_equal(end.value, WASI_EBADF); /* the one call that fails */
    assert_int_equal(s.calls, 16);           /* those of the start function and of _initialize included */

    const uint8_t *memory = wasm_memory_data(wasm_instance_memory(guest_instance(g)));
    assert_int_equal(get_u32(memory + 16), 2);
    assert_int_equal(get_u32(memory + 20), 20);
    assert_int_equal(get_u32(memory + 100), 200);
    assert_int_equal(get_u32(memory + 104), 208);
    assert_memory_equal(memory + 200, "program\0an argument", 20);
    assert_true(get_u64(memory + 24) == 0x123456789abcdef0);
    assert_int_not_equal(get_u64(memory + 300), 0);
    assert_int_equal(memory[333], 0); /* one behind the random bytes */
    assert_int_equal(memory[401], WASI_FILETYPE_CHARACTER_DEVICE);
    assert_int_equal(get_u64(memory + 409), 0x48);
    assert_int_equal(get_u32(memory + 500), 7);
    assert_int_equal(get_u32(memory + 504), 17);
    assert_memory_equal(memory + 5000, "first", 6);
    assert_memory_equal(memory + 5100, ", and second", 13);
    assert_int_equal(get_u32(memory + 508), 105);
    assert_int_equal(get_u64(memory + 512), 58);
    assert_int_equal(get_u64(memory + 520), 7);
    assert_int_equal(get_u64(memory + 600), 42);
    assert_int_equal(get_u32(memory + 700), 1);
    guest_free(g);
    module_close(&m);
    stage_deinit(&s);
}

/* What a guest finds in its memory after calls to the shapes of sockets, live, recorded and replayed alike. */
static void socket_shapes_cross(void **state) {
    struct stage s;
    struct module_file m;
    struct ending end = {0};
    struct tape tape = {0};
    (void)state;
    stage_init(&s);
    module_open(&m, "sockets");
    for (int mode = EDGE_LIVE; mode <= EDGE_REPLAY; mode++) {
        struct edge_options o = stage_options(&s, (enum edge_mode)mode, &tape);
        struct guest *g = guest_open(&m, UINT64_MAX, &o);
        end.err = (struct err)ERR_INIT;
        end.outcome = guest_run(g, UINT64_MAX, &end.value, &end.err);
        if (end.outcome != GUEST_EXITED)
            fail_msg("%s: %s, %s", guest_outcome_text(end.outcome), end.err.text, guest_words(g));
        assert_int_equal(end.value, 14); /* faults, each answered by the edge itself */

        const uint8_t *memory = wasm_memory_data(wasm_instance_memory(guest_instance(g)));
        assert_int_equal(get_u32(memory + 1500), 9);
        assert_memory_equal(memory + 1200, "datagram\0\0", 10);
        assert_memory_equal(memory + 1000, "\xc0\0\2\7", 4); /* by the first generation's recv_from, raw */
        assert_memory_equal(memory + 1010, "\1\0\xc0\0\2\5\0", 7);
        assert_int_equal(get_u32(memory + 1504), 53);
        assert_int_equal(get_u32(memory + 1508), 8);
        assert_int_equal(memory[1512], WASI_RO_RECV_DATA_TRUNCATED);
        assert_int_equal(get_u32(memory + 1301), 1);
        assert_memory_equal(memory + 1320, "\1\0\0\0\x1e\0\0\0\0", 9);
        assert_int_equal(get_u32(memory + 128), 8); /* the length */
        assert_int_equal(get_u32(memory + 0xfffc), 1);
        assert_int_equal(get_u32(memory + 1520), 11);
        assert_int_equal(get_u32(memory + 1524), 4);
        assert_int_equal(get_u32(memory + 1528), 99);

        /* the list: the second address had no room in the second element, the third one had */
        const struct wasi_addrinfo *list = (const struct wasi_addrinfo *)(memory + 2000);
        assert_int_equal(list[0].family, WASI_FAMILY_INET);
        assert_int_equal(list[0].socktype, WASI_SOCKTYPE_STREAM);
        assert_int_equal(list[0].protocol, WASI_IPPROTO_TCP);
        assert_int_equal(list[0].addr_len, 16);
        assert_int_equal(list[0].canonname_len, 4); /* all there is room for */
        assert_memory_equal(memory + 2200, "a.ex\0", 5);
        assert_int_equal(get_u32(memory + 2100), WASI_FAMILY_INET);
        assert_int_equal(list[1].family, WASI_FAMILY_INET);
        assert_memory_equal(memory + 2330, "\x12\x34\xc0\0\2\2\0", 7);
        assert_int_equal(list[2].family, 0);
        assert_int_equal(list[2].addr_len, 0);
        /* the circle: one element for all, the last one stays; and of an empty list nothing is filled */
        assert_int_equal(get_u32(memory + 3100 + 8), 16);
        assert_memory_equal(memory + 2300, "\x12\x34\xc0\0\2\2", 6);
        assert_int_equal(get_u32(memory + 1516), 0);
        guest_free(g);
    }
    tape_deinit(&tape);
    module_close(&m);
    stage_deinit(&s);
}

static void pointers_out_of_bounds_are_faults(void **state) {
    struct stage s;
    struct ending end;
    (void)state;
    stage_init(&s);
    play_live(&s, "faults", &end);
    assert_int_equal(end.outcome, GUEST_EXITED);
    assert_int_equal(end.value, 17);
    /* only the last five, and args_get, whose strings are not known before, came through */
    assert_int_equal(s.calls, 3 + 1 + 2);
    stage_deinit(&s);
}

static void refuse(const char *name, enum status expected, const char *words) {
    struct stage s;
    struct module_file m;
    stage_init(&s);
    module_open(&m, name);
    for (int replay = 0; replay < 2; replay++) {
        struct tape tape = {0};
        struct edge_options o = stage_options(&s, replay ? EDGE_REPLAY : EDGE_LIVE, &tape);
        struct guest_limits limits = guest_limits_default();
        struct guest *g = NULL;
        struct err e = ERR_INIT;
        assert_int_equal(guest_new(m.module, &limits, &o, &g, &e), expected);
        assert_null(g);
        if (!strstr(e.text, words))
            fail_msg("'%s' does not say '%s'", e.text, words);
    }
    module_close(&m);
    stage_deinit(&s);
}

static void what_cannot_be_linked_is_named(void **state) {
    (void)state;
    refuse("unknown", ST_UNLINKABLE, "wasi_snapshot_preview1.fd_frobnicate");
    refuse("foreign", ST_UNLINKABLE, "env.emscripten_notify, and there is no import module of that name");
    refuse("foreign", ST_UNLINKABLE, "wasi_snapshot_preview1, wasi_unstable");
    refuse("mistyped", ST_UNLINKABLE, "fd_close with another type: there it takes (i)");
    refuse("table_import", ST_UNLINKABLE, "wasi_snapshot_preview1.memory, a memory");
    refuse("library", ST_UNSUPPORTED, "neither _start nor _initialize");
}

static void a_trap_tells_where(void **state) {
    struct stage s;
    struct ending end;
    (void)state;
    stage_init(&s);
    play_live(&s, "trap", &end);
    assert_int_equal(end.outcome, GUEST_TRAPPED);
    assert_int_equal(end.value, WASM_TRAP_INTEGER_DIVIDE);
    const char *at = strstr(end.words, "integer divide by zero");
    assert_non_null(at);
    assert_non_null(at = strstr(at, "in inner"));
    assert_non_null(at = strstr(at, "in outer"));
    assert_non_null(strstr(at, "in _start"));
    stage_deinit(&s);
}

static void an_implementation_can_trap(void **state) {
    struct stage s;
    struct ending end;
    (void)state;
    stage_init(&s);
    s.trap_yield = true;
    play_live(&s, "trap", &end);
    assert_int_equal(end.outcome, GUEST_TRAPPED);
    assert_int_equal(end.value, WASM_TRAP_HOST);
    assert_non_null(strstr(end.words, "sched_yield"));
    stage_deinit(&s);
}

static void limits_have_names(void **state) {
    const char *names[GUEST_NLIMITS];
    uint64_t values[GUEST_NLIMITS];
    struct guest_limits l = guest_limits_default(), back = {0};
    (void)state;
    l.time_ms = 1500;
    l.wasm.max_stack_slots = 99;
    guest_limits_list(&l, names, values);
    for (int i = 0; i < GUEST_NLIMITS; i++)
        assert_true(guest_limits_set(&back, names[i], values[i]));
    assert_memory_equal(&l, &back, sizeof l);
    assert_false(guest_limits_set(&back, "patience", 1));
    assert_false(guest_limits_set(&back, "stack_slots", (uint64_t)1 << 32));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_writes_and_exits),
        cmocka_unit_test(every_shape_crosses),
        cmocka_unit_test(socket_shapes_cross),
        cmocka_unit_test(pointers_out_of_bounds_are_faults),
        cmocka_unit_test(what_cannot_be_linked_is_named),
        cmocka_unit_test(a_trap_tells_where),
        cmocka_unit_test(an_implementation_can_trap),
        cmocka_unit_test(limits_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
