/* The format of compiled code: what is written opens and says the same; whatever is changed in it does not open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "wasm/native.h"
#include "wasm/object.h"
#include "wasm/wasm.h"

static const struct object_entry entries[] = {
    {.func = 3, .enter = 64, .body = 0},
    {.func = 3, .loop = 77, .enter = 100},
    {.func = 3, .loop = 90, .enter = 0},
    {.func = 9, .enter = 0, .body = 199},
};
enum { NENTRIES = sizeof entries / sizeof entries[0], TEXT = 200, HEAD = 68, ENTRY = 16 };

static struct sha256 module;
static uint8_t text[TEXT];

static struct buf make(void) {
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < TEXT; i++)
        text[i] = (uint8_t)(i * 7 + 1);
    sha256_of(SPAN_STR("a module"), &module);
    assert_int_equal(object_write(&module, 0x123456789a, entries, NENTRIES, SPAN(text, TEXT), &b, NULL), ST_OK);
    return b;
}

/* Puts the checksum right after something was changed. */
static void seal(struct buf *b) {
    struct sha256 sum;
    sha256_of(SPAN(b->data, b->size - SHA256_SIZE), &sum);
    memcpy(b->data + b->size - SHA256_SIZE, sum.bytes, SHA256_SIZE);
}

static enum status open_it(const struct buf *b) {
    struct object o = {.nentries = 4711}, before = o;
    struct err e = ERR_INIT;
    enum status st = object_open(buf_span(b), &o, &e);
    assert_int_equal(st, e.status);
    if (st != ST_OK)
        assert_memory_equal(&o, &before, sizeof o);
    return st;
}

static void test_round_trip(void **state) {
    (void)state;
    struct buf b = make();
    struct object o;
    assert_int_equal(object_open(buf_span(&b), &o, NULL), ST_OK);
    assert_memory_equal(o.module.bytes, module.bytes, SHA256_SIZE);
    assert_int_equal(o.semantics, WASM_SEMANTICS_VERSION);
    assert_int_equal(o.abi, NATIVE_ABI_VERSION);
    assert_true(o.features == 0x123456789a);
    assert_int_equal(o.nentries, NENTRIES);
    for (uint32_t i = 0; i < NENTRIES; i++) {
        struct object_entry entry = object_entry(&o, i);
        assert_memory_equal(&entry, &entries[i], sizeof entry);
    }
    assert_int_equal(o.text.size, TEXT);
    assert_int_equal(o.text.data - b.data, OBJECT_ALIGN);
    assert_memory_equal(o.text.data, text, TEXT);
    buf_deinit(&b);
}

/* One page holds the head and 251 entries; the next one begins another page. */
static void test_alignment(void **state) {
    (void)state;
    enum { MOST = (OBJECT_ALIGN - HEAD) / ENTRY };
    struct object_entry many[MOST + 1];
    for (uint32_t i = 0; i <= MOST; i++)
        many[i] = (struct object_entry){.func = i, .enter = i % TEXT, .body = TEXT - 1};
    for (uint32_t n = MOST; n <= MOST + 1; n++) {
        struct buf b;
        struct object o;
        buf_init(&b, 1 << 20);
        assert_int_equal(object_write(&module, 0, many, n, SPAN(text, TEXT), &b, NULL), ST_OK);
        assert_int_equal(object_open(buf_span(&b), &o, NULL), ST_OK);
        assert_int_equal(o.text.data - b.data, n == MOST ? OBJECT_ALIGN : 2 * OBJECT_ALIGN);
        buf_deinit(&b);
    }
}

static void test_every_byte_counts(void **state) {
    (void)state;
    struct buf b = make();
    for (size_t i = 0; i < b.size; i++) {
        b.data[i] ^= 0x20;
        enum status st = open_it(&b);
        assert_true(st == ST_CORRUPT || st == ST_VERSION);
        b.data[i] ^= 0x20;
    }
    size_t size = b.size;
    for (b.size = 0; b.size < size; b.size++)
        assert_int_equal(open_it(&b), ST_CORRUPT);
    assert_true(buf_byte(&b, 0));
    assert_int_equal(open_it(&b), ST_CORRUPT);
    buf_deinit(&b);
}

static void test_versions(void **state) {
    (void)state;
    for (size_t at = 8; at <= 16; at += 4) {
        struct buf b = make();
        put_u32(b.data + at, get_u32(b.data + at) + 1);
        seal(&b);
        assert_int_equal(open_it(&b), ST_VERSION);
        buf_deinit(&b);
    }
}

/* Right checksums around wrong contents: sizes, order, bounds, padding. */
static void test_structure(void **state) {
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
    } wrong[] = {
        {20, 0},                         /* no entries; the text would still lie where it lies */
        {20, NENTRIES + 1},              /* one of zeros behind: out of order */
        {20, UINT32_MAX},                /* beyond the file */
        {64, TEXT - 1},                  /* text sizes that are not the file's */
        {64, TEXT + 1},                  /* */
        {64, UINT32_MAX},                /* */
        {HEAD + 8, TEXT},                /* enter behind the text */
        {HEAD + 12, TEXT},               /* body behind the text */
        {HEAD + 8, UINT32_MAX},          /* */
        {HEAD, 4},                       /* func descends */
        {HEAD + ENTRY + 4, 0},           /* the same function's entry twice */
        {HEAD + ENTRY + 4, 90},          /* the same loop twice */
        {HEAD + ENTRY + 4, 91},          /* loops descend */
        {HEAD + ENTRY + 12, 1},          /* a loop with a body */
        {HEAD + 3 * ENTRY, UINT32_MAX},  /* no index of a function */
        {HEAD + NENTRIES * ENTRY, 1},    /* padding */
        {OBJECT_ALIGN - 4, 0x01000000u}, /* its last byte */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf b = make();
        put_u32(b.data + wrong[i].at, wrong[i].value);
        seal(&b);
        if (open_it(&b) != ST_CORRUPT)
            fail_msg("case %zu opened", i);
        buf_deinit(&b);
    }
}

static void test_no_room(void **state) {
    (void)state;
    struct buf b;
    buf_init(&b, OBJECT_ALIGN + TEXT + SHA256_SIZE - 1);
    assert_int_equal(object_write(&module, 0, entries, NENTRIES, SPAN(text, TEXT), &b, NULL), ST_LIMIT);
    assert_int_equal(b.size, 0);
    buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_alignment), cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_versions),   cmocka_unit_test(test_structure), cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
