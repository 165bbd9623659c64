/* Hostile accesses on both tiers: every operator on memory, with addresses and offsets around all ends there are, while
 * the memory grows; calls through tables of whatever is in them, and everything else on tables. Each must trap where
 * the interpreter does, and leave the same behind. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "gen.h"
#include "tiers.h"
#include "wasm/llvm/llvm.h"

#include <sys/mman.h>

enum { MAX_MODULE = 4 << 20 };

static struct llvm_compiler *compiler;

/* ---- writing modules ----------------------------------------------------------------------------------------------
 */

static void put_section(struct buf *out, uint8_t id, struct buf *content) {
    buf_byte(out, id);
    buf_varint(out, content->size);
    buf_append(out, content->data, content->size);
    must(!content->failed);
    buf_clear(content);
}

static void op_index(struct buf *b, enum wasm_op op, uint32_t index) {
    put_op(b, op);
    buf_varint(b, index);
}

static void put_body(struct buf *code, struct buf *body) {
    put_op(body, OP_END);
    buf_varint(code, body->size + 1);
    buf_byte(code, 0); /* locals */
    buf_append(code, body->data, body->size);
    must(!body->failed);
    buf_clear(body);
}

/* ---- both tiers ---------------------------------------------------------------------------------------------------
 */

struct both {
    struct wasm_module *module;
    struct world plain, fast;
    struct span text;
    uint64_t traps, calls;
};

static void start(struct both *t, const struct buf *module, struct setting s) {
    struct err e = ERR_INIT;
    struct buf object;
    *t = (struct both){0};
    if (wasm_module_new(buf_span(module), &t->module, &e) != ST_OK)
        fail_msg("%s", e.text);
    const struct wasm_module *m = t->module;
    t->plain.module = t->fast.module = m;
    if (world_start(&t->plain, &s, &e) || world_start(&t->fast, &s, &e))
        fail_msg("%s", e.text);
    uint32_t *funcs = mem_zalloc(m->nfuncs * sizeof *funcs), n = 0;
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++)
        funcs[n++] = i;
    struct llvm_request r = {.module = m, .funcs = funcs, .nfuncs = n, .options = {.count = true, .effort = 2}};
    buf_init(&object, 64 << 20);
    if (llvm_compile(compiler, &r, &object, &e))
        fail_msg("%s", e.text);
    void *text = mmap(NULL, object.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(text != MAP_FAILED);
    memcpy(text, object.data, object.size);
    assert_int_equal(mprotect(text, object.size, PROT_READ | PROT_EXEC), 0);
    t->text = SPAN(text, object.size);
    assert_int_equal(wasm_install(t->fast.store, m, t->text, &e), ST_OK);
    buf_deinit(&object);
    mem_free(funcs);
}

static void stop(struct both *t) {
    world_stop(&t->plain);
    world_stop(&t->fast);
    munmap((void *)(uintptr_t)t->text.data, t->text.size);
    wasm_module_free(t->module);
}

static void call(struct both *t, uint32_t func, const union wasm_value *args) {
    struct world *w[] = {&t->plain, &t->fast};
    enum wasm_outcome o[2];
    for (int k = 0; k < 2; k++) {
        wasm_call(w[k]->exec, wasm_instance_func(w[k]->instances[0], func), args);
        o[k] = wasm_run(w[k]->exec, (uint64_t)WASM_FOREVER);
    }
    t->calls++;
    t->traps += o[0] == WASM_TRAPPED;
    if (o[0] != o[1] || !same_state(w[0], w[1], 100) || (o[0] == WASM_DONE && !same_results(w[0], w[1])))
        fail_msg("function %u (%#llx, %#llx): outcomes %d and %d", func, (unsigned long long)args[0].i64,
                 (unsigned long long)args[1].i64, o[0], o[1]);
    for (int k = 0; k < 2; k++)
        wasm_reset(w[k]->exec);
}

/* ---- memory -------------------------------------------------------------------------------------------------------
 */

/* How the address, a parameter, is used; the other parameter says by how many pages memory grows. */
enum shape {
    ONCE,
    TWICE,       /* the second time further on: the check before says less than it seems */
    DOWNWARDS,   /* the second time nearer: it says enough */
    AROUND_GROW, /* beyond the old end, within the new, and the same again */
    COMPUTED,    /* of the sum that wraps around */
    CONSTANT,
    IN_LOOP, /* upwards, until it traps or has enough */
    SHAPES
};

static const uint32_t OFFSETS[] = {0,          1,          7,          16,         65519,     65520,
                                   65528,      65535,      65536,      65537,      131071,    0x7ffffff0,
                                   0x7fffffff, 0x80000000, 0xfffeffff, 0xfffffff0, 0xffffffff};
enum { NOFFSETS = sizeof OFFSETS / sizeof *OFFSETS };

/* One access; its value is dropped, or what is stored is made up. */
static void put_access(struct buf *b, enum wasm_op o, uint32_t offset, bool constant, uint32_t at) {
    const struct wasm_op_info *info = &wasm_op_infos[o];
    if (constant)
        put_i32_const(b, (int32_t)at);
    for (const char *c = info->sig + 1; *c != '_'; c++) {
        if (*c == 'v') {
            put_op(b, OP_V128_CONST);
            for (unsigned i = 0; i < 16; i++)
                buf_byte(b, (uint8_t)(0xa0 + i));
        } else if (*c == 'i') {
            put_i32_const(b, 0x1234567);
        } else if (*c == 'I') {
            op_index(b, OP_I64_CONST, 0x33);
        } else if (*c == 'f') {
            put_op(b, OP_F32_CONST);
            buf_u32(b, 0x7fa00001);
        } else {
            put_op(b, OP_F64_CONST);
            buf_u64(b, 0x7ff4000000000001);
        }
    }
    op_index(b, o, 0);
    buf_varint(b, offset);
    if (info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE)
        buf_byte(b, (uint8_t)((16u >> info->align) - 1));
    if (strchr(info->sig, '_')[1])
        put_op(b, OP_DROP);
}

static void put_shape(struct buf *b, enum shape shape, enum wasm_op o, uint32_t offset, uint32_t constant) {
    switch (shape) {
    case ONCE:
    case SHAPES:
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, offset, false, 0);
        return;
    case TWICE:
    case DOWNWARDS:
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, shape == TWICE ? offset : offset + 9, false, 0);
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, shape == TWICE ? offset + 9 : offset, false, 0);
        return;
    case AROUND_GROW:
        put_op(b, OP_BLOCK);
        buf_byte(b, 0x40);
        op_index(b, OP_LOCAL_GET, 0);
        put_i32_const(b, 1);
        put_op(b, OP_I32_AND);
        op_index(b, OP_BR_IF, 0);
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, offset, false, 0);
        put_op(b, OP_END);
        op_index(b, OP_LOCAL_GET, 1);
        op_index(b, OP_MEMORY_GROW, 0);
        put_op(b, OP_DROP);
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, offset, false, 0);
        return;
    case COMPUTED:
        op_index(b, OP_LOCAL_GET, 0);
        op_index(b, OP_LOCAL_GET, 0);
        put_op(b, OP_I32_ADD);
        put_i32_const(b, -8);
        put_op(b, OP_I32_ADD);
        put_access(b, o, offset, false, 0);
        return;
    case CONSTANT: put_access(b, o, offset, true, constant); return;
    case IN_LOOP:
        put_op(b, OP_LOOP);
        buf_byte(b, 0x40);
        op_index(b, OP_LOCAL_GET, 0);
        put_access(b, o, offset, false, 0);
        op_index(b, OP_LOCAL_GET, 0);
        put_i32_const(b, 3);
        put_op(b, OP_I32_ADD);
        op_index(b, OP_LOCAL_TEE, 0);
        put_i32_const(b, 15);
        put_op(b, OP_I32_AND);
        op_index(b, OP_BR_IF, 0);
        put_op(b, OP_END);
        return;
    }
}

/* All memory operators in some shapes each, functions of (i32, i32); returns how many. */
static uint32_t write_accesses(struct buf *out, uint32_t min, uint32_t max, struct prng *r) {
    struct buf b, body;
    uint32_t n = 0;
    enum wasm_op ops[2000];
    buf_init(&b, MAX_MODULE);
    buf_init(&body, MAX_MODULE);
    buf_append(out, "\0asm\1\0\0\0", 8);
    buf_append(&b, "\1\x60\2\x7f\x7f\0", 6);
    put_section(out, 1, &b);
    for (unsigned o = 0; o < OP_COUNT; o++) {
        uint8_t imm = wasm_op_infos[o].imm;
        if (imm == IMM_LOAD || imm == IMM_STORE || imm == IMM_LOAD_LANE || imm == IMM_STORE_LANE)
            for (unsigned k = 0; k < 2 * SHAPES; k++)
                ops[n++] = (enum wasm_op)o;
    }
    buf_varint(&b, n);
    for (uint32_t i = 0; i < n; i++)
        buf_byte(&b, 0);
    put_section(out, 3, &b);
    buf_append(&b, "\1\1", 2);
    buf_varint(&b, min);
    buf_varint(&b, max);
    put_section(out, 5, &b);
    buf_varint(&b, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t offset = i % (2 * SHAPES) < SHAPES ? OFFSETS[prng_below(r, 11)] : OFFSETS[prng_below(r, NOFFSETS)];
        uint32_t constant = min * WASM_PAGE_SIZE - offset + (uint32_t)prng_below(r, 40) - 20;
        put_shape(&body, (enum shape)(i % SHAPES), ops[i], offset, constant);
        put_body(&b, &body);
    }
    put_section(out, 10, &b);
    must(!out->failed);
    buf_deinit(&body);
    buf_deinit(&b);
    return n;
}

/* Addresses around every end, for every offset. */
static uint32_t hostile_address(struct prng *r, uint64_t size) {
    static const uint32_t ends[] = {0, 1u << 16, 1u << 17, 3u << 16, 1u << 31, 0xffff0000};
    uint32_t end = prng_below(r, 2) ? (uint32_t)size : ends[prng_below(r, 6)];
    uint32_t offset = prng_below(r, 2) ? OFFSETS[prng_below(r, NOFFSETS)] : 0;
    uint32_t a = end - offset + (uint32_t)prng_below(r, 41) - 20;
    return prng_below(r, 8) == 0 ? a / 2 : a;
}

static void memories(uint32_t min, uint32_t max, int rounds) {
    struct prng r = {world_mix(min, max)};
    struct buf module;
    struct both t;
    buf_init(&module, MAX_MODULE);
    uint32_t n = write_accesses(&module, min, max, &r);
    struct setting s = {.config = wasm_config_default()};
    start(&t, &module, s);
    for (int k = 0; k < rounds; k++) {
        for (uint32_t f = 0; f < n; f++) {
            uint64_t size = t.plain.instances[0]->memories[0]->size;
            bool grows = f % SHAPES == AROUND_GROW && prng_below(&r, 30) == 0;
            union wasm_value args[2] = {{.i64 = hostile_address(&r, size)}, {.i64 = grows}};
            call(&t, f, args);
        }
    }
    assert_true(t.traps > t.calls / 8);
    assert_true(t.traps < t.calls || max == 0);
    stop(&t);
    buf_deinit(&module);
}

static void no_pages(void **state) {
    (void)state;
    memories(0, 0, 3);
}

static void growing_from_nothing(void **state) {
    (void)state;
    memories(0, 3, 6);
}

static void one_page(void **state) {
    (void)state;
    memories(1, 1, 6);
}

static void growing(void **state) {
    (void)state;
    memories(1, 4, 8);
}

static void all_there_can_be(void **state) {
    (void)state;
    memories(65536, 65536, 5);
}

/* ---- tables -------------------------------------------------------------------------------------------------------
 */

enum { TYPES = 8, TABLE_MIN = 12, TABLE_MAX = 30, CALLERS_OF = 4 };

/* Parameters and results; the last type is that of callers. */
static const char *const SIGNATURES[TYPES] = {"_", "i_i", "I_I", "f_f", "F_F", "v_v", "iI_iI", "ii_"};

static uint8_t type_of(char c) {
    return gen_type_of_letter(c);
}

static void put_signature(struct buf *b, const char *sig) {
    const char *results = strchr(sig, '_') + 1;
    buf_byte(b, 0x60);
    buf_varint(b, (uint64_t)(results - 1 - sig));
    for (const char *c = sig; *c != '_'; c++)
        buf_byte(b, type_of(*c));
    buf_varint(b, strlen(results));
    for (const char *c = results; *c; c++)
        buf_byte(b, type_of(*c));
}

static void put_arguments(struct buf *b, const char *sig) {
    struct gen g = {.prng = {7}};
    for (const char *c = sig; *c != '_'; c++)
        put_random_const(&g, b, type_of(*c));
}

static void put_drops(struct buf *b, const char *sig) {
    for (const char *c = strchr(sig, '_') + 1; *c; c++)
        put_op(b, OP_DROP);
}

static void put_table_call(struct buf *b, unsigned type, unsigned table, bool computed) {
    put_arguments(b, SIGNATURES[type]);
    op_index(b, OP_LOCAL_GET, 0);
    if (computed) {
        op_index(b, OP_LOCAL_GET, 1);
        put_op(b, OP_I32_ADD);
    }
    op_index(b, OP_CALL_INDIRECT, type);
    buf_varint(b, table);
    put_drops(b, SIGNATURES[type]);
}

/* Callers of (index, other): a call; two, with table.grow between; a call by a sum; a tail call or, of the types that
 * cannot be one, a call and an operator on the table. */
static void put_caller(struct buf *b, unsigned type, unsigned how) {
    switch (how) {
    case 0: put_table_call(b, type, type % 2, false); return;
    case 1:
        put_table_call(b, type, 0, true);
        op_index(b, OP_REF_NULL, WASM_FUNCREF);
        op_index(b, OP_LOCAL_GET, 1);
        put_i32_const(b, 3);
        put_op(b, OP_I32_AND);
        op_index(b, OP_TABLE_GROW, 0);
        put_op(b, OP_DROP);
        put_table_call(b, type, 0, false);
        return;
    case 2:
        op_index(b, OP_LOCAL_GET, 0);
        op_index(b, OP_LOCAL_GET, 1);
        op_index(b, OP_TABLE_GET, 0);
        op_index(b, OP_TABLE_SET, 1);
        put_table_call(b, type, 1, false);
        return;
    default:
        if (type == 0) {
            op_index(b, OP_LOCAL_GET, 0);
            op_index(b, OP_RETURN_CALL_INDIRECT, 0);
            buf_varint(b, 0);
            return;
        }
        for (int k = 0; k < 3; k++)
            op_index(b, OP_LOCAL_GET, k == 1);
        if (type % 3 == 0) {
            op_index(b, OP_TABLE_COPY, 0);
            buf_varint(b, 1);
        } else if (type % 3 == 1) {
            op_index(b, OP_TABLE_INIT, 2);
            buf_varint(b, 0);
        } else {
            put_op(b, OP_DROP);
            put_op(b, OP_DROP);
            op_index(b, OP_REF_FUNC, 2);
            op_index(b, OP_LOCAL_GET, 1);
            op_index(b, OP_TABLE_FILL, 0);
        }
        put_table_call(b, type, 0, false);
        return;
    }
}

static void write_table_sections(struct buf *out, struct buf *b) {
    /* functions 0 to 2 are the host's; then one of each type; then the callers */
    buf_varint(b, 3);
    for (unsigned k = 0; k < 3; k++) {
        buf_append(b, "\1h\1", 3);
        buf_byte(b, (uint8_t)('a' + k));
        buf_byte(b, WASM_KIND_FUNC);
        buf_varint(b, k == 2 ? 6 : k);
    }
    put_section(out, 2, b);
    buf_varint(b, TYPES + TYPES * CALLERS_OF);
    for (unsigned k = 0; k < TYPES + TYPES * CALLERS_OF; k++)
        buf_varint(b, k < TYPES ? k : TYPES - 1);
    put_section(out, 3, b);
    buf_varint(b, 2);
    for (unsigned k = 0; k < 2; k++) {
        buf_append(b, "\x70\1", 2);
        buf_varint(b, TABLE_MIN);
        buf_varint(b, TABLE_MAX);
    }
    put_section(out, 4, b);
    /* active in both tables, from the second element on: host functions and all types; and a passive one */
    buf_varint(b, 3);
    for (unsigned k = 0; k < 3; k++) {
        if (k < 2) {
            buf_varint(b, 2);
            buf_varint(b, k);
            put_i32_const(b, 1);
            put_op(b, OP_END);
            buf_byte(b, 0);
        } else {
            buf_append(b, "\1\0", 2);
        }
        buf_varint(b, 10);
        for (unsigned i = 0; i < 10; i++)
            buf_varint(b, (i * (k + 1)) % (3 + TYPES));
    }
    put_section(out, 9, b);
}

static void write_tables(struct buf *out) {
    struct buf b, body;
    buf_init(&b, MAX_MODULE);
    buf_init(&body, MAX_MODULE);
    buf_append(out, "\0asm\1\0\0\0", 8);
    buf_varint(&b, TYPES);
    for (unsigned k = 0; k < TYPES; k++)
        put_signature(&b, SIGNATURES[k]);
    put_section(out, 1, &b);
    write_table_sections(out, &b);
    buf_varint(&b, TYPES + TYPES * CALLERS_OF);
    for (unsigned k = 0; k < TYPES; k++) {
        const char *results = strchr(SIGNATURES[k], '_') + 1;
        for (unsigned i = 0; results[i]; i++)
            op_index(&body, OP_LOCAL_GET, i);
        put_body(&b, &body);
    }
    for (unsigned k = 0; k < TYPES * CALLERS_OF; k++) {
        put_caller(&body, k / CALLERS_OF, k % CALLERS_OF);
        put_body(&b, &body);
    }
    put_section(out, 10, &b);
    must(!out->failed);
    buf_deinit(&body);
    buf_deinit(&b);
}

static void tables(void **state) {
    (void)state;
    struct prng r = {3};
    struct buf module;
    buf_init(&module, MAX_MODULE);
    write_tables(&module);
    uint64_t calls = 0, traps = 0;
    for (int round = 0; round < 4; round++) {
        struct both t;
        struct setting s = {.config = wasm_config_default(), .two = round & 1, .seed = (uint64_t)round};
        if (round == 2)
            s.config.max_table_elems = TABLE_MIN + 2;
        start(&t, &module, s);
        for (int k = 0; k < 2000; k++) {
            uint32_t f = 3 + TYPES + (uint32_t)prng_below(&r, TYPES * CALLERS_OF);
            static const uint32_t far[] = {0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 65536, 1u << 29, 1u << 28};
            union wasm_value args[2];
            for (int i = 0; i < 2; i++)
                args[i].i64 = prng_below(&r, 5) ? prng_below(&r, TABLE_MAX + 3) : far[prng_below(&r, 7)];
            call(&t, f, args);
        }
        calls += t.calls;
        traps += t.traps;
        stop(&t);
    }
    assert_true(traps > calls / 4 && traps < calls);
    buf_deinit(&module);
}

static int open_compiler(void **state) {
    (void)state;
    struct err e = ERR_INIT;
    gen_index_operators();
    return llvm_compiler_new(&compiler, &e) != ST_OK;
}

static int close_compiler(void **state) {
    (void)state;
    llvm_compiler_free(compiler);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pages), cmocka_unit_test(growing_from_nothing), cmocka_unit_test(one_page),
        cmocka_unit_test(growing),  cmocka_unit_test(all_there_can_be),     cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests(tests, open_compiler, close_compiler);
}
