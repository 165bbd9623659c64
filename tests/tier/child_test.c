/* Worker processes that behave and that do not. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/buf.h"
#include "base/must.h"
#include "wasm/llvm_protocol.h"
#include "world/os/child.h"
#include "world/os/os.h"

#include <dirent.h>
#include <stdlib.h>

static struct world *world;

static struct child *start_program(const char *program, const char *how, uint64_t start_ns) {
    const char *args[] = {"--worker"};
    setenv("AEON_STUB", how, 1);
    const struct child_options o = {
        .program = program,
        .args = args,
        .nargs = 1,
        .inherited = SPAN_STR("not really a module"),
        .start_ns = start_ns,
        .max_message = 1 << 16,
        .lowly = true,
    };
    return child_start(world, &o);
}

static struct child *start(const char *how) {
    return start_program(TEST_STUB, how, 60000000000ull);
}

static struct child_event next(struct child *c) {
    struct child_event e;
    while (!child_take(c, &e))
        world->ops->wait(world, NULL, 0, world_now(world, WORLD_MONOTONIC) + 1000000);
    return e;
}

static void expect_hello(struct child *c) {
    struct child_event e = next(c);
    struct llvm_hello hello;
    if (e.ended)
        print_error("%s\n", e.how);
    assert_false(e.ended);
    assert_int_equal(e.type, LLVM_HELLO);
    assert_true(e.size >= sizeof hello);
    memcpy(&hello, e.bytes, sizeof hello);
    assert_int_equal(hello.has_module, 1);
    struct sha256 hash;
    sha256_of(SPAN_STR("not really a module"), &hash);
    assert_memory_equal(&hello.module, &hash, sizeof hash);
    mem_free(e.bytes);
}

static void expect_end(struct child *c, bool was_asked, const char *how) {
    struct child_event e = next(c);
    assert_true(e.ended);
    assert_int_equal(e.was_asked, was_asked);
    if (!strstr(e.how, how))
        print_error("'%s' instead of '%s'\n", e.how, how);
    assert_non_null(strstr(e.how, how));
    assert_false(child_ready(c));
}

static void ask(struct child *c, uint32_t id, uint64_t within_ns) {
    struct llvm_compile_head head = {.id = id, .count = 1, .effort = 2, .nfuncs = 1};
    uint32_t func = 7;
    struct buf b;
    buf_init(&b, 256);
    buf_append(&b, &head, sizeof head);
    buf_append(&b, &func, sizeof func);
    child_ask(c, LLVM_COMPILE, buf_span(&b), within_ns);
    buf_deinit(&b);
}

static void questions_are_answered_in_order(void **state) {
    (void)state;
    struct child *c = start("good");
    for (uint32_t id = 1; id <= 20; id++)
        ask(c, id, 60000000000ull);
    expect_hello(c);
    for (uint32_t id = 1; id <= 20; id++) {
        struct child_event e = next(c);
        struct llvm_answer a;
        assert_int_equal(e.type, LLVM_OBJECT);
        memcpy(&a, e.bytes, sizeof a);
        assert_int_equal(a.id, id);
        mem_free(e.bytes);
    }
    child_free(c);
}

static void its_end_is_told(void **state) {
    static const struct {
        const char *how, *told;
    } ends[] = {
        {"die", "was killed by SIGABRT: LLVM ERROR: out of ideas"},
        {"exit", "ended with status 0"},
        {"hang", "took too long and was killed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct child *c = start(ends[i].how);
        expect_hello(c);
        uint64_t within_ns = strcmp(ends[i].how, "hang") == 0 ? 50000000 : 60000000000ull;
        ask(c, 1, within_ns);
        ask(c, 2, within_ns);
        expect_end(c, true, ends[i].told);
        child_free(c);
    }
    struct child *c = start("dead");
    expect_end(c, false, "ended with status 3");
    child_free(c);
    c = start_program(TEST_STUB, "mute", 50000000);
    expect_end(c, false, "took too long and was killed");
    child_free(c);
    c = start_program("/none/program", "good", 60000000000ull);
    expect_end(c, false, "could not be started: No such file");
    child_free(c);
    c = start("babble");
    expect_hello(c);
    ask(c, 1, 60000000000ull);
    struct child_event e = next(c);
    assert_int_equal(e.type, LLVM_OBJECT);
    mem_free(e.bytes);
    expect_end(c, false, "spoke without being asked");
    child_free(c);
}

static void it_can_be_ended_at_any_time(void **state) {
    (void)state;
    child_free(start("mute"));
    child_free(start("good"));
    child_free(start_program("/none/program", "good", 60000000000ull));
    struct child *c = start("hang");
    ask(c, 1, 60000000000ull);
    child_free(c);
    c = start("good");
    expect_hello(c);
    child_end(c);
    expect_end(c, false, "was killed");
    child_free(c);
    child_free(NULL);
}

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void nothing_is_left_open(void **state) {
    (void)state;
    int before = open_descriptors();
    for (int i = 0; i < 20; i++)
        child_free(start(i % 2 ? "die" : "dead"));
    assert_int_equal(open_descriptors(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_answered_in_order),
        cmocka_unit_test(its_end_is_told),
        cmocka_unit_test(it_can_be_ended_at_any_time),
        cmocka_unit_test(nothing_is_left_open),
    };
    world = world_os_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world->ops->free(world);
    return failed;
}
