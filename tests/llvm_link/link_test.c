/* The linker for one file, on what the compiler at hand makes of code.c: linked code runs where it is mapped; what
 * cannot be position-independent and unwritable is refused by name; damage is noticed or does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/must.h"
#include "base/prng.h"
#include "wasm/llvm/elf.h"
#include "wasm/native.h"

static const uint8_t nothing[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
static struct wasm_module *module;

static struct buf read_file(const char *path) {
    struct buf b;
    uint8_t chunk[4096];
    buf_init(&b, 1 << 20);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        assert_true(buf_append(&b, chunk, n));
    fclose(f);
    return b;
}

static enum status link_file(const char *path, struct buf *object, struct err *e) {
    struct buf elf = read_file(path);
    buf_init(object, 1 << 20);
    enum status st = llvm_link(buf_span(&elf), module, object, e);
    buf_deinit(&elf);
    return st;
}

/* What code.c computes, from its source. */
static uint64_t expected_b8(uint64_t a, double b) {
    static const uint8_t table[32] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233};
    double scaled = b * 1000.25 + 0.5;
    return table[a & 31] + (uint64_t)(scaled < 1e15 ? scaled : 42) * 1000 + (a > 20 ? 154 : 0);
}

static uint64_t expected_b7(uint64_t a) {
    const uint64_t of[] = {11,     expected_b8(1, 2.5),  154, 1234567890123, expected_b8(5, 0.1), 6,
                           6 << 9, expected_b8(9, 1e300)};
    return a < 8 ? of[a] : 0;
}

/* A sanitizer would look for a function's type in front of its code, where nothing is mapped. */
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
static void run_linked(const char *path) {
    struct buf bytes;
    struct err e = ERR_INIT;
    if (link_file(path, &bytes, &e) != ST_OK)
        fail_msg("%s", e.text);
    struct object o;
    assert_int_equal(object_open(buf_span(&bytes), &o, &e), ST_OK);
    struct sha256 hash;
    sha256_of(SPAN(nothing, sizeof nothing), &hash);
    assert_memory_equal(&hash, &o.module, sizeof hash);

    assert_int_equal(o.nentries, 3);
    struct object_entry f7 = object_entry(&o, 0), f8 = object_entry(&o, 1), loop = object_entry(&o, 2);
    assert_int_equal(f7.func, 7);
    assert_int_equal(f7.loop, 0);
    assert_int_equal(f8.func, 8);
    assert_int_equal(f8.loop, 0);
    assert_int_equal(loop.func, 8);
    assert_int_equal(loop.loop, 33);

    /* Mapped at two places, and only ever readable and executable while it runs. */
    for (int place = 0; place < 2; place++) {
        uint8_t *code = mmap(NULL, o.text.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(code != MAP_FAILED);
        memcpy(code, o.text.data, o.text.size);
        assert_int_equal(mprotect(code, o.text.size, PROT_READ | PROT_EXEC), 0);
        __builtin___clear_cache((char *)code, (char *)code + o.text.size);
        native_enter_fn *e7 = (native_enter_fn *)(uintptr_t)(code + f7.enter);
        native_enter_fn *e8 = (native_enter_fn *)(uintptr_t)(code + f8.enter);
        native_enter_fn *l8 = (native_enter_fn *)(uintptr_t)(code + loop.enter);
        uint64_t (*b7)(uint64_t) = (uint64_t (*)(uint64_t))(uintptr_t)(code + f7.body);
        for (uint64_t a = 0; a < 40; a++) {
            uint64_t fp[2] = {a, 99};
            assert_true(e7(NULL, fp, 1000) == 999);
            assert_true(fp[0] == expected_b7(a) && fp[1] == 99);
            assert_true(b7(a) == expected_b7(a));
            fp[0] = a;
            assert_true(e8(NULL, fp, 1000) == 998);
            assert_true(fp[0] == expected_b8(a, 3.0));
            assert_true(l8(NULL, fp, 1000) == 997);
        }
        assert_int_equal(munmap(code, o.text.size), 0);
    }
    buf_deinit(&bytes);
}

/* Visible symbols go through a table of addresses when compiled, hidden ones do not. */
static void test_runs(void **state) {
    (void)state;
    run_linked(TEST_PLAIN);
    run_linked(TEST_HIDDEN);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum status status;
        const char *names; /* in the sentence */
    } cases[] = {
        {TEST_VARIABLE, ST_UNSUPPORTED, ".data"}, {TEST_ZEROED, ST_UNSUPPORTED, ".bss"},
        {TEST_ADDRESS, ST_UNSUPPORTED, "b7"},     {TEST_OUTSIDE, ST_UNLINKABLE, "floor_of_somebody"},
        {TEST_ALIGNED, ST_UNSUPPORTED, "65536"},  {TEST_NO_BODY, ST_MALFORMED, "function 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf object;
        struct err e = ERR_INIT;
        enum status st = link_file(cases[i].path, &object, &e);
        if (st != cases[i].status || !strstr(e.text, cases[i].names) || object.size)
            fail_msg("case %zu: %s, %s", i, status_text(st), e.text);
        buf_deinit(&object);
    }
}

static void try_bytes(struct span elf) {
    struct buf object;
    struct object o;
    struct err e = ERR_INIT;
    buf_init(&object, 1 << 20);
    enum status st = llvm_link(elf, module, &object, &e);
    assert_int_equal(st, e.status);
    assert_int_equal(st == ST_OK, object_open(buf_span(&object), &o, NULL) == ST_OK);
    buf_deinit(&object);
}

static void test_damaged(void **state) {
    (void)state;
    struct buf elf = read_file(TEST_PLAIN);
    struct prng rng = {4};
    for (size_t size = 0; size < elf.size; size += 1 + size / 16) { /* exactly sized, for the sanitizer */
        uint8_t *cut = mem_alloc(size + 1);
        memcpy(cut, elf.data, size);
        try_bytes(SPAN(cut, size));
        mem_free(cut);
    }
    for (int i = 0; i < 20000; i++) {
        size_t at = prng_below(&rng, elf.size);
        uint8_t was = elf.data[at];
        elf.data[at] = (uint8_t)prng_next(&rng);
        try_bytes(buf_span(&elf));
        elf.data[at] = was;
    }
    buf_deinit(&elf);
}

int main(void) {
    must(wasm_module_new(SPAN(nothing, sizeof nothing), &module, NULL) == ST_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wasm_module_free(module);
    return failed;
}
