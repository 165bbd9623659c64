// Decoder and validator: what a module tells, exact frame sizes and operator counts, names, and hostile bytes.
// The specification's own tests (tests/spec) cover the rules; this covers what is ours: limits, messages, bounded
// memory.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"
#include "wasm/module.h"
#include "wasm/opcodes.h"

// ---- building modules

struct builder {
    struct buf module, section, body;
    uint8_t section_id;
};

static void begin(struct builder *b) {
    buf_init(&b->module, 1u << 28);
    buf_init(&b->section, 1u << 28);
    buf_init(&b->body, 1u << 28);
    buf_append(&b->module, "\0asm\1\0\0\0", 8);
}

static void finish(struct builder *b) {
    buf_deinit(&b->module);
    buf_deinit(&b->section);
    buf_deinit(&b->body);
}

static void begin_section(struct builder *b, uint8_t id) {
    b->section_id = id;
    buf_clear(&b->section);
}

static void end_section(struct builder *b) {
    buf_byte(&b->module, b->section_id);
    buf_varint(&b->module, b->section.size);
    buf_append(&b->module, b->section.data, b->section.size);
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void section(struct builder *b, uint8_t id, const uint8_t *bytes, size_t n) {
    begin_section(b, id);
    buf_append(&b->section, bytes, n);
    end_section(b);
}

static void put_name(struct buf *b, const char *name) {
    buf_varint(b, strlen(name));
    buf_append(b, name, strlen(name));
}

// The bytes of b->body, locals included, become the only function's.
static void code_section(struct builder *b) {
    begin_section(b, 10);
    buf_byte(&b->section, 1);
    buf_varint(&b->section, b->body.size);
    buf_append(&b->section, b->body.data, b->body.size);
    end_section(b);
}

enum { I32 = 0x7f, I64 = 0x7e, F64 = 0x7c, V128 = 0x7b, FUNCREF = 0x70 };

// A module of one function of type [i32 v128] -> [i64] with memory, exported as "f", and this body (locals included).
static void one_function(struct builder *b, const uint8_t *body, size_t n) {
    section(b, 1, BYTES(1, 0x60, 2, I32, V128, 1, I64));
    section(b, 3, BYTES(1, 0));
    section(b, 5, BYTES(1, 0, 1));
    section(b, 7, BYTES(1, 1, 'f', 0, 0));
    buf_append(&b->body, body, n);
    code_section(b);
}

static enum status load(const struct builder *b, struct wasm_module **m, struct err *e) {
    // an exactly sized copy, so that a sanitizer sees a read past the end
    uint8_t *copy = malloc(b->module.size);
    memcpy(copy, b->module.data, b->module.size);
    enum status s = wasm_module_new(SPAN(copy, b->module.size), m, e);
    if (s != ST_OK)
        free(copy);
    return s;
}

static void unload(struct wasm_module *m) {
    void *bytes = (void *)wasm_module_bytes(m).data;
    wasm_module_free(m);
    free(bytes);
}

static void expect_ok(const struct builder *b, struct wasm_module **m) {
    struct err e = ERR_INIT;
    if (load(b, m, &e) != ST_OK)
        fail_msg("refused: %s", e.text);
}

static void expect_refused(const struct builder *b, enum status want, const char *text) {
    struct wasm_module *m = NULL;
    struct err e = ERR_INIT;
    enum status s = load(b, &m, &e);
    if (s == ST_OK)
        unload(m);
    if (s != want || !strstr(e.text, text))
        fail_msg("got %s (%s), want %s (%s)", status_text(s), e.text, status_text(want), text);
    assert_null(m);
}

// ---- the operator table

static void test_operator_table(void **state) {
    (void)state;
    unsigned known = 0;
    for (unsigned code = 0; code < 1000; code++)
        known += (wasm_op_of(0x00, code) != OP_COUNT) + (wasm_op_of(0xfc, code) != OP_COUNT) +
                 (wasm_op_of(0xfd, code) != OP_COUNT);
    assert_int_equal(known, OP_COUNT);
    assert_int_equal(OP_COUNT, 439);
    for (int op = 0; op < OP_COUNT; op++) {
        const struct wasm_op_info *i = &wasm_op_infos[op];
        assert_int_equal(wasm_op_of(i->prefix, i->code), op);
        assert_true(strcmp(i->sig, "SPECIAL") == 0 || strspn(i->sig, "iIfFv_") == strlen(i->sig));
    }
    assert_int_equal(wasm_op_of_byte(0x6a), OP_I32_ADD);
    assert_int_equal(wasm_op_of_byte(0xfd), OP_COUNT);
    assert_int_equal(wasm_op_of(0xfe, 0), OP_COUNT);
}

// ---- what a module tells

static void test_imports_and_exports(void **state) {
    (void)state;
    struct builder b;
    begin(&b);
    section(&b, 1, BYTES(2, 0x60, 1, V128, 2, I32, V128, 0x60, 0, 0));
    section(&b, 2,
            BYTES(4, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 't', 1, FUNCREF, 1, 2, 5, 1, 'm', 1, 'g', 3, I64, 0, 1, 'm', 0, 2,
                  0, 1));
    section(&b, 3, BYTES(1, 1));
    section(&b, 6, BYTES(1, F64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b));
    section(&b, 7, BYTES(3, 1, 'a', 0, 1, 1, 'b', 3, 1, 0, 2, 0));
    section(&b, 8, BYTES(1));
    section(&b, 10, BYTES(1, 2, 0, 0x0b));
    struct wasm_module *m;
    expect_ok(&b, &m);

    assert_int_equal(wasm_module_nfuncs(m), 2);
    assert_int_equal(wasm_module_nimports(m), 4);
    struct wasm_import f = wasm_module_import(m, 0);
    assert_int_equal(f.type.kind, WASM_KIND_FUNC);
    assert_int_equal(f.type.func->nparams, 1);
    assert_int_equal(f.type.func->param_slots, 2);
    assert_int_equal(f.type.func->nresults, 2);
    assert_int_equal(f.type.func->result_slots, 3);
    assert_ptr_equal(f.type.func->results, f.type.func->params + 1);
    struct wasm_import t = wasm_module_import(m, 1);
    assert_int_equal(t.type.kind, WASM_KIND_TABLE);
    assert_int_equal(t.type.elem, WASM_FUNCREF);
    assert_int_equal(t.type.limits.min, 2);
    assert_int_equal(t.type.limits.max, 5);
    assert_true(t.type.limits.has_max);
    struct wasm_import g = wasm_module_import(m, 2);
    assert_int_equal(g.type.global.type, WASM_I64);
    assert_false(g.type.global.is_mutable);
    struct wasm_import memory = wasm_module_import(m, 3);
    assert_int_equal(memory.type.kind, WASM_KIND_MEMORY);
    assert_int_equal(memory.name.size, 0);
    assert_false(memory.type.limits.has_max);

    assert_int_equal(wasm_module_nexports(m), 3);
    struct wasm_export a = wasm_module_export(m, 0), global = wasm_module_export(m, 1);
    assert_true(span_equal(a.name, SPAN_STR("a")));
    assert_int_equal(a.index, 1);
    assert_int_equal(a.type.func->nparams, 0);
    assert_int_equal(global.type.global.type, WASM_F64);
    assert_true(global.type.global.is_mutable);
    assert_true(m->has_start);
    assert_int_equal(m->start, 1);
    unload(m);
    finish(&b);
}

static void test_custom_sections(void **state) {
    (void)state;
    struct builder b;
    begin(&b);
    for (uint8_t i = 0; i < 5; i++)
        section(&b, 0, BYTES(1, 'x', i, i));
    section(&b, 0, BYTES(1, 'y'));
    struct wasm_module *m;
    struct span content;
    expect_ok(&b, &m);
    assert_true(wasm_module_custom(m, "x", 3, &content));
    assert_int_equal(content.size, 2);
    assert_int_equal(content.data[0], 3);
    assert_false(wasm_module_custom(m, "x", 5, &content));
    assert_true(wasm_module_custom(m, "y", 0, &content));
    assert_int_equal(content.size, 0);
    assert_false(wasm_module_custom(m, "z", 0, &content));
    unload(m);
    finish(&b);
}

// ---- names

// Two imported functions "i0", "i1" and two defined ones, of which 2 is exported as "x2" and "late"; with a name
// section of these bytes.
static void named_module(struct builder *b, const uint8_t *names, size_t n) {
    begin(b);
    section(b, 1, BYTES(1, 0x60, 0, 0));
    section(b, 2, BYTES(2, 0, 2, 'i', '0', 0, 0, 0, 2, 'i', '1', 0, 0));
    section(b, 3, BYTES(2, 0, 0));
    section(b, 7, BYTES(2, 2, 'x', '2', 0, 2, 4, 'l', 'a', 't', 'e', 0, 2));
    section(b, 10, BYTES(2, 2, 0, 0x0b, 2, 0, 0x0b));
    begin_section(b, 0);
    put_name(&b->section, "name");
    buf_append(&b->section, names, n);
    end_section(b);
}

static void assert_names(const struct builder *b, const char *const want[4]) {
    struct wasm_module *m;
    expect_ok(b, &m);
    for (uint32_t i = 0; i < 4; i++) {
        struct span name = SPAN(NULL, 0);
        assert_int_equal(wasm_module_func_name(m, i, &name), want[i] != NULL);
        if (want[i])
            assert_true(span_equal(name, SPAN_STR(want[i])));
    }
    struct span name;
    assert_false(wasm_module_func_name(m, 4, &name));
    unload(m);
}

static void test_names(void **state) {
    (void)state;
    struct builder b;
    // module name, then functions 0, 3 and one that does not exist
    named_module(&b, BYTES(0, 2, 1, 'm', 1, 10, 3, 0, 1, 'A', 3, 1, 'D', 9, 1, 'Z'));
    assert_names(&b, (const char *const[]){"A", "i1", "x2", "D"});
    finish(&b);
    // damaged in one way or another: as if there were none
    static const char *const without[] = {"i0", "i1", "x2", NULL};
    named_module(&b, BYTES(1, 10, 3, 0, 1, 'A', 3, 1, 'D', 9, 1)); // subsection longer than the section
    assert_names(&b, without);
    finish(&b);
    named_module(&b, BYTES(1, 7, 9, 0, 1, 'A', 3, 1, 'D')); // more names claimed than there are
    assert_names(&b, without);
    finish(&b);
    named_module(&b, BYTES(1, 4, 1, 0, 1, 0xff)); // not UTF-8
    assert_names(&b, without);
    finish(&b);
    named_module(&b, NULL, 0);
    assert_names(&b, without);
    finish(&b);
}

// Messages are one line of harmless text, whatever the guest calls its things.
static void test_names_in_messages(void **state) {
    (void)state;
    char out[NAME_TEXT];
    assert_string_equal(module_name_text(out, SPAN_STR("a\nb\033[31m\x7f")), "a?b?[31m?");
    assert_string_equal(module_name_text(out, SPAN_STR("\xc2\x85 \xc3\xa4")), "?? \xc3\xa4");
    assert_string_equal(module_name_text(out, SPAN(NULL, 0)), "");
    char longer[200];
    memset(longer, 'x', sizeof longer);
    assert_int_equal(strlen(module_name_text(out, SPAN(longer, sizeof longer))), NAME_TEXT - 1);
    memset(longer, 'x', 99);
    memcpy(longer + 99, "\xe2\x82\xac", 3); // would be cut in the middle
    module_name_text(out, SPAN(longer, sizeof longer));
    assert_string_equal(out + 99, "...");

    struct builder b;
    begin(&b);
    section(&b, 1, BYTES(1, 0x60, 0, 0));
    section(&b, 3, BYTES(1, 0));
    section(&b, 7, BYTES(2, 1, '\n', 0, 0, 1, '\n', 0, 0));
    section(&b, 10, BYTES(1, 2, 0, 0x0b));
    expect_refused(&b, ST_INVALID, "duplicate export name ?");
    finish(&b);
}

// ---- frames and ticks

struct shape {
    uint32_t frame_slots, nops;
};

static struct shape shape_of(const uint8_t *body, size_t n) {
    struct builder b;
    struct wasm_module *m;
    begin(&b);
    one_function(&b, body, n);
    expect_ok(&b, &m);
    struct shape s = {m->funcs[0].frame_slots, m->funcs[0].nops};
    unload(m);
    finish(&b);
    return s;
}

#define assert_shape(slots, ops, ...)                       \
    do {                                                    \
        struct shape shape_ = shape_of(BYTES(__VA_ARGS__)); \
        assert_int_equal(shape_.frame_slots, slots);        \
        assert_int_equal(shape_.nops, ops);                 \
    } while (0)

static void test_frame_slots_and_nops(void **state) {
    (void)state;
    enum { PARAMS = 4 }; // an i32, a v128 and the link
    // i64.const 7; end
    assert_shape(PARAMS + 1, 1, 0, 0x42, 7, 0x0b);
    // 2 x v128 and 3 x i32 as locals; v128 on the stack takes two
    assert_shape(PARAMS + 7 + 4, 5, 2, 2, V128, 3, I32, 0x20, 1, 0x20, 2, 0x1a, 0x1a, 0x42, 7, 0x0b);
    // splat makes one slot two; drop; const
    assert_shape(PARAMS + 2, 4, 0, 0x20, 0, 0xfd, 15, 0x1a, 0x42, 7, 0x0b);
    // block, else, end are free; if is not: local.get 0; if (i64) i64.const 1 else i64.const 2 end
    assert_shape(PARAMS + 1, 4, 0, 0x20, 0, 0x04, I64, 0x42, 1, 0x05, 0x42, 2, 0x0b, 0x0b);
    assert_shape(PARAMS + 1, 1, 0, 0x02, 0x40, 0x02, 0x40, 0x0b, 0x0b, 0x42, 7, 0x0b);
    assert_shape(PARAMS + 1, 1, 0, 0x03, 0x40, 0x0b, 0x42, 7, 0x0b);
    // call itself; memory.fill
    assert_shape(PARAMS + 3, 3, 0, 0x20, 0, 0x20, 1, 0x10, 0, 0x0b);
    assert_shape(PARAMS + 3, 5, 0, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0, 0x42, 7, 0x0b);
    // a stack is as high as it was, whatever it falls to: three operands, then an unreachable tail
    assert_shape(PARAMS + 3, 7, 0, 0x41, 1, 0x41, 2, 0x41, 3, 0x6a, 0x6a, 0x1a, 0x00, 0x0b);
    // below a polymorphic stack nothing counts: unreachable; v128.not; drop
    assert_shape(PARAMS + 2, 3, 0, 0x00, 0xfd, 77, 0x1a, 0x0b);
}

// ---- what is refused, and how it is said

static void test_messages(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[12];
        uint8_t n;
        enum status status;
        const char *text;
    } bodies[] = {
        {{0, 0x6a, 0x0b}, 3, ST_INVALID, "i32.add expects [i32 i32], the stack holds []"},
        {{0, 0x41, 1, 0x0b}, 4, ST_INVALID, "end expects [i64], the stack holds [i32]"},
        {{0, 0x42, 1, 0x42, 2, 0x0b}, 6, ST_INVALID, "end expects [i64], the stack holds [i64 i64]"},
        {{0, 0x20, 2, 0x0b}, 4, ST_INVALID, "unknown local 2"},
        {{0, 0x20, 1, 0x21, 0, 0x0b}, 6, ST_INVALID, "local.set expects [i32], the stack holds [v128]"},
        {{0, 0x20, 0, 0x28, 3, 0, 0x0b}, 7, ST_INVALID, "alignment 2^3 is larger than natural"},
        {{0, 0x20, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 0x0b}, 11, ST_MALFORMED, "integer too large"},
        {{0, 0x20, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x0b}, 11, ST_MALFORMED, "representation too long"},
        {{0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x70, 0x0b}, 8, ST_MALFORMED, "integer too large"},
        {{0, 0x0c, 1, 0x0b}, 4, ST_INVALID, "unknown label 1"},
        {{0, 0x02, 0x02, 0x0b, 0x0b}, 5, ST_INVALID, "unknown type 2"},
        {{0, 0x02, 0x41, 0x0b}, 4, ST_MALFORMED, "malformed block type"},
        {{0, 0x05, 0x0b}, 3, ST_MALFORMED, "else without if"},
        {{0, 0x42, 1}, 3, ST_MALFORMED, "1 blocks are open"},
        {{0, 0x42, 1, 0x0b, 0x0b}, 5, ST_MALFORMED, "1 bytes after the end"},
        {{0, 0x06, 0x40, 0x0b}, 4, ST_UNSUPPORTED, "opcode 0x06 belongs to exceptions"},
        {{0, 0xfe, 0x40, 0x0b}, 4, ST_UNSUPPORTED, "opcode 0xfe belongs to threads"},
        {{0, 0x16, 0x0b}, 3, ST_MALFORMED, "illegal opcode 0x16"},
        {{0, 0xfd, 0x80, 2, 0x0b}, 5, ST_UNSUPPORTED, "belongs to relaxed SIMD"},
        {{0, 0xfd, 0x9a, 1, 0x0b}, 5, ST_MALFORMED, "illegal opcode 0xfd 0x9a"},
        {{0, 0x20, 1, 0xfd, 27, 4, 0x1a, 0x0b}, 8, ST_INVALID, "invalid lane index 4 of 4"},
        {{0, 0xd2, 1, 0x0b}, 4, ST_INVALID, "unknown function 1"},
        {{0, 0x11, 0, 0, 0x0b}, 5, ST_INVALID, "unknown table 0"},
        {{0, 0x41, 0, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x0b}, 11, ST_MALFORMED, "4294967295 items claimed"},
        // malformed after invalid: still malformed
        {{0, 0x6a, 0xff, 0x0b}, 4, ST_MALFORMED, "illegal opcode 0xff"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct builder b;
        begin(&b);
        one_function(&b, bodies[i].bytes, bodies[i].n);
        expect_refused(&b, bodies[i].status, bodies[i].text);
        expect_refused(&b, bodies[i].status, "function 0 (f): offset 0x");
        finish(&b);
    }
}

// In unreachable code operands are of any type, but what is there must be right.
static void test_unreachable_code(void **state) {
    (void)state;
    shape_of(BYTES(0, 0x00, 0x6a, 0x1a, 0x0b));                            // i32.add of nothing
    shape_of(BYTES(0, 0x00, 0x41, 0, 0x6a, 0x1a, 0x0b));                   // of one
    shape_of(BYTES(0, 0x00, 0x1b, 0x1a, 0x0b));                            // select of nothing
    shape_of(BYTES(0, 0x00, 0x20, 0, 0x0d, 0, 0x0b));                      // br_if with a result of any type
    shape_of(BYTES(0, 0x02, 0x40, 0x00, 0x0b, 0x42, 0, 0x0f, 0x1a, 0x0b)); // reachable again after its block
    struct builder b;
    begin(&b);
    one_function(&b, BYTES(0, 0x00, 0x42, 0, 0x6a, 0x1a, 0x0b));
    expect_refused(&b, ST_INVALID, "i32.add expects [i32 i32], the stack holds [i64] of any");
    finish(&b);
    begin(&b);
    one_function(&b, BYTES(0, 0x02, 0x40, 0x00, 0x0b, 0x1a, 0x42, 0, 0x0b));
    expect_refused(&b, ST_INVALID, "drop expects an operand");
    finish(&b);
}

// ---- limits

// Locals: `n` of i32, then one i64 which is returned.
static void with_locals(struct builder *b, uint32_t n, bool right_type) {
    begin(b);
    buf_byte(&b->body, 2);
    buf_varint(&b->body, n);
    buf_byte(&b->body, I32);
    buf_varint(&b->body, 1);
    buf_byte(&b->body, I64);
    buf_byte(&b->body, 0x20);
    buf_varint(&b->body, 2 + n - !right_type);
    buf_byte(&b->body, 0x0b);
    one_function(b, NULL, 0);
}

static void test_many_locals(void **state) {
    (void)state;
    static const uint32_t counts[] = {0, 1, 4090, 4093, 4094, 4095, 4100, 20000, WASM_MAX_LOCALS - 1};
    struct builder b;
    struct wasm_module *m;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        with_locals(&b, counts[i], true);
        expect_ok(&b, &m);
        assert_int_equal(m->funcs[0].frame_slots, 4 + counts[i] + 1 + 1);
        assert_int_equal(m->funcs[0].nlocals, counts[i] + 1);
        unload(m);
        finish(&b);
        with_locals(&b, counts[i], false);
        expect_refused(&b, ST_INVALID, "type mismatch: end expects [i64]");
        finish(&b);
    }
    with_locals(&b, WASM_MAX_LOCALS, true);
    expect_refused(&b, ST_LIMIT, "locals, more than");
    finish(&b);
    with_locals(&b, UINT32_MAX, true);
    expect_refused(&b, ST_MALFORMED, "too many locals");
    finish(&b);
    begin(&b);
    one_function(&b, BYTES(1, 0xb0, 0xea, 1, V128, 0x42, 0, 0x0b)); // 30 000 v128s and 4 slots fit
    expect_ok(&b, &m);
    unload(m);
    finish(&b);
    begin(&b);
    one_function(&b, BYTES(1, 0x98, 0xfe, 1, V128, 0x42, 0, 0x0b)); // 32 536 do not
    expect_refused(&b, ST_LIMIT, "locals take more than");
    finish(&b);
}

// `n` times `open`, then what closes them.
static void nested(struct builder *b, uint32_t n, const uint8_t *open, size_t open_size) {
    begin(b);
    buf_byte(&b->body, 0);
    for (uint32_t i = 0; i < n; i++)
        buf_append(&b->body, open, open_size);
    for (uint32_t i = 0; i < n; i++)
        buf_byte(&b->body, 0x0b);
    buf_append(&b->body, "\x42\0\x0b", 3);
    one_function(b, NULL, 0);
}

static void test_deep_nesting(void **state) {
    (void)state;
    struct builder b;
    struct wasm_module *m;
    nested(&b, WASM_MAX_BLOCK_DEPTH - 1, BYTES(0x02, 0x40));
    expect_ok(&b, &m);
    unload(m);
    finish(&b);
    nested(&b, WASM_MAX_BLOCK_DEPTH, BYTES(0x02, 0x40));
    expect_refused(&b, ST_LIMIT, "blocks nest deeper");
    finish(&b);
}

static void test_high_stack(void **state) {
    (void)state;
    static const uint8_t constants[2][2] = {{0x41, 0}, {0x20, 1}}; // i32.const, local.get of the v128
    static const uint32_t most[2] = {WASM_MAX_FRAME_SLOTS - 4, (WASM_MAX_FRAME_SLOTS - 4) / 2};
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t over = 0; over < 2; over++) {
            struct builder b;
            begin(&b);
            buf_byte(&b.body, 0);
            for (uint32_t i = 0; i < most[kind] + over; i++)
                buf_append(&b.body, constants[kind], 2);
            buf_append(&b.body, "\x00\x0b", 2);
            one_function(&b, NULL, 0);
            if (over) {
                expect_refused(&b, ST_LIMIT, "locals and operands take more than");
            } else {
                struct wasm_module *m;
                expect_ok(&b, &m);
                assert_in_range(m->funcs[0].frame_slots, WASM_MAX_FRAME_SLOTS - 1, WASM_MAX_FRAME_SLOTS);
                unload(m);
            }
            finish(&b);
        }
}

static void test_type_and_constant_limits(void **state) {
    (void)state;
    for (uint32_t over = 0; over < 2; over++) {
        struct builder b;
        begin(&b);
        begin_section(&b, 1);
        buf_append(&b.section, "\x01\x60", 2);
        buf_varint(&b.section, WASM_MAX_PARAMS + over);
        for (uint32_t i = 0; i < WASM_MAX_PARAMS + over; i++)
            buf_byte(&b.section, I64);
        buf_byte(&b.section, 0);
        end_section(&b);
        begin_section(&b, 6); // 1 + (1 + (1 + ...))
        buf_append(&b.section, "\x01\x7f\x00", 3);
        uint32_t depth = WASM_MAX_CONST_DEPTH;
        for (uint32_t i = 0; i < depth; i++)
            buf_append(&b.section, "\x41\x01", 2);
        for (uint32_t i = 1; i < depth; i++)
            buf_byte(&b.section, 0x6a);
        buf_byte(&b.section, 0x0b);
        end_section(&b);
        if (over) {
            expect_refused(&b, ST_LIMIT, "1001 parameters");
        } else {
            struct wasm_module *m;
            expect_ok(&b, &m);
            unload(m);
        }
        finish(&b);
    }
    struct builder b;
    begin(&b);
    begin_section(&b, 6);
    buf_append(&b.section, "\x01\x7f\x00", 3);
    for (uint32_t i = 0; i <= WASM_MAX_CONST_DEPTH; i++)
        buf_append(&b.section, "\x41\x01", 2);
    buf_byte(&b.section, 0x0b);
    end_section(&b);
    expect_refused(&b, ST_LIMIT, "constant expression needs more");
    finish(&b);
}

static void test_not_a_module(void **state) {
    (void)state;
    struct wasm_module *m;
    struct err e = ERR_INIT;
    assert_int_equal(wasm_module_new(SPAN("\x7f"
                                          "ELF",
                                          4),
                                     &m, &e),
                     ST_MALFORMED);
    assert_non_null(strstr(e.text, "not a WebAssembly module"));
    err_clear(&e);
    assert_int_equal(wasm_module_new(SPAN("\0asm\x0d\0\1\0", 8), &m, &e), ST_UNSUPPORTED);
    assert_non_null(strstr(e.text, "component"));
    assert_int_equal(wasm_module_new(SPAN("\0asm\2\0\0\0", 8), &m, NULL), ST_MALFORMED);
    assert_int_equal(wasm_module_new(SPAN(NULL, 0), &m, NULL), ST_MALFORMED);
}

// ---- hostile bytes

// Every section claiming 2^32 - 1 or all it can, with nothing behind it.
static void test_claims(void **state) {
    (void)state;
    for (uint8_t id = 0; id <= 12; id++)
        for (int size = 0; size < 2; size++) {
            struct builder b;
            begin(&b);
            if (size)
                buf_append(&b.module, BYTES(id, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0));
            else if (id != 8 && id != 12) // a start function and a data count take no memory
                section(&b, id, BYTES(0xff, 0xff, 0xff, 0xff, 0x0f, 0x60, 0, 0, 0, 0, 0));
            else
                section(&b, id, BYTES(0xff, 0xff, 0xff, 0xff, 0x0f));
            struct wasm_module *m = NULL;
            assert_int_not_equal(load(&b, &m, NULL), ST_OK);
            assert_null(m);
            finish(&b);
        }
}

// Small items are the worst a file can hold: what they become must stay a small multiple of it.
static void test_memory_is_bounded(void **state) {
    (void)state;
    static const struct {
        uint8_t id, item[8], item_size;
    } kinds[] = {
        {1, {0x60, 0, 0}, 3},
        {2, {0, 0, 3, I32, 0}, 5},
        {3, {0}, 1},
        {6, {I32, 0, 0x41, 0, 0x0b}, 5},
        {9, {1, 0, 0}, 3},
        {9, {5, FUNCREF, 0}, 3},
        {11, {1, 0}, 2},
        {4, {FUNCREF, 0, 0}, 3},
        {2, {0, 0, 1, FUNCREF, 0, 0}, 6},
    };
    enum { ITEMS = 100000 };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct builder b;
        begin(&b);
        if (kinds[k].id == 3)
            section(&b, 1, BYTES(1, 0x60, 0, 0));
        begin_section(&b, kinds[k].id);
        buf_varint(&b.section, ITEMS);
        for (int i = 0; i < ITEMS; i++)
            buf_append(&b.section, kinds[k].item, kinds[k].item_size);
        end_section(&b);
        struct wasm_module m = {.bytes = buf_span(&b.module)};
        arena_init(&m.arena);
        enum status s = module_decode(&m, NULL);
        assert_int_equal(s, kinds[k].id == 3 ? ST_MALFORMED : ST_OK);
        assert_true(m.arena.used_bytes < 65536 + 32 * b.module.size);
        arena_deinit(&m.arena);
        finish(&b);
    }
}

// A module with every kind of section and many kinds of operator.
static void rich_module(struct builder *b) {
    begin(b);
    section(b, 1, BYTES(2, 0x60, 2, I32, V128, 1, I64, 0x60, 0, 0));
    section(b, 2, BYTES(2, 1, 'm', 1, 'f', 0, 1, 1, 'm', 1, 'g', 3, I32, 0));
    section(b, 3, BYTES(2, 0, 1));
    section(b, 4, BYTES(2, FUNCREF, 1, 2, 5, 0x6f, 0, 1));
    section(b, 5, BYTES(1, 1, 1, 2));
    section(b, 6, BYTES(2, I32, 1, 0x23, 0, 0x41, 1, 0x6a, 0x0b, FUNCREF, 0, 0xd2, 1, 0x0b));
    section(b, 7, BYTES(2, 1, 'f', 0, 1, 1, 'm', 2, 0));
    section(b, 8, BYTES(2));
    section(b, 9,
            BYTES(4, 0, 0x41, 0, 0x0b, 1, 1, 1, 0, 1, 2, 6, 1, 0x23, 0, 0x0b, 0x6f, 1, 0xd0, 0x6f, 0x0b, 3, 0, 1, 0));
    section(b, 12, BYTES(2));
    begin_section(b, 10);
    buf_byte(&b->section, 2);
    static const uint8_t g[] = {
        1,
        2,
        I64, // locals
        0x20,
        0,
        0x04,
        I64,
        0x42,
        1,
        0x05,
        0x42,
        0xff,
        0x7e,
        0x0b,
        0x21,
        2, // if, else
        0x02,
        0x40,
        0x03,
        0x40,
        0x20,
        0,
        0x0d,
        1,
        0x20,
        0,
        0x0e,
        2,
        0,
        1,
        0,
        0x0b,
        0x0b, // loop,
              // br_table
        0x20,
        0,
        0x28,
        2,
        0x80,
        1,
        0x41,
        1,
        0x6a,
        0x1a, // load, add, drop
        0x20,
        1,
        0x20,
        1,
        0xfd,
        13,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        0xfd,
        27,
        3,
        0x1a, // shuffle, extract_lane
        0x20,
        0,
        0x20,
        0,
        0x20,
        0,
        0xfc,
        8,
        1,
        0,
        0xfc,
        9,
        1, // memory.init, data.drop
        0x20,
        0,
        0x20,
        0,
        0x20,
        0,
        0xfc,
        12,
        1,
        0,
        0xfc,
        13,
        1, // table.init, elem.drop
        0x20,
        0,
        0x25,
        1,
        0xd1,
        0x1a,
        0xd2,
        1,
        0x1a, // table.get, is_null, ref.func
        0x20,
        0,
        0x11,
        1,
        0,
        0x10,
        0,
        0x20,
        2,
        0x20,
        3,
        0x20,
        0,
        0x1b,
        0x0b, // calls, select
    };
    buf_varint(&b->section, sizeof g);
    buf_append(&b->section, g, sizeof g);
    buf_append(&b->section, BYTES(4, 0, 0x12, 2, 0x0b)); // return_call of itself
    end_section(b);
    section(b, 11, BYTES(2, 0, 0x41, 0, 0x0b, 1, 'x', 1, 2, 'y', 'z'));
}

static void test_truncation_and_bit_flips(void **state) {
    (void)state;
    struct builder b;
    struct wasm_module *m;
    rich_module(&b);
    expect_ok(&b, &m);
    unload(m);
    struct buf whole = b.module;
    unsigned accepted = 0;
    for (size_t n = 0; n < whole.size; n++) {
        b.module.size = n;
        struct err e = ERR_INIT;
        if (load(&b, &m, &e) == ST_OK) {
            accepted++; // only where sections end and nothing refers to what is missing
            unload(m);
        } else {
            assert_int_not_equal(e.text[0], 0);
        }
    }
    assert_in_range(accepted, 1, 6);
    b.module.size = whole.size;
    unsigned refused = 0;
    for (size_t bit = 0; bit < whole.size * 8; bit++) {
        b.module.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct err e = ERR_INIT;
        enum status s = load(&b, &m, &e);
        if (s == ST_OK)
            unload(m);
        else
            assert_true(s == ST_MALFORMED || s == ST_INVALID || s == ST_UNSUPPORTED || s == ST_LIMIT);
        refused += s != ST_OK;
        b.module.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > whole.size * 4);
    finish(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator_table),    cmocka_unit_test(test_imports_and_exports),
        cmocka_unit_test(test_custom_sections),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_in_messages), cmocka_unit_test(test_frame_slots_and_nops),
        cmocka_unit_test(test_messages),          cmocka_unit_test(test_unreachable_code),
        cmocka_unit_test(test_many_locals),       cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_high_stack),        cmocka_unit_test(test_type_and_constant_limits),
        cmocka_unit_test(test_not_a_module),      cmocka_unit_test(test_claims),
        cmocka_unit_test(test_memory_is_bounded), cmocka_unit_test(test_truncation_and_bit_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
