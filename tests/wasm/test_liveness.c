/* Live locals: hand-made bodies with the sets they must have, random ones against a plain solver, and the bounds. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/buf.h"
#include "base/must.h"
#include "base/prng.h"
#include "wasm/liveness.h"
#include "wasm/validate.h"

enum { BLOCK = 0x02, LOOP = 0x03, IF = 0x04, ELSE = 0x05, END = 0x0b, BR = 0x0c, BR_IF = 0x0d, BR_TABLE = 0x0e };
enum { RETURN = 0x0f, CALL = 0x10, DROP = 0x1a, GET = 0x20, SET = 0x21, TEE = 0x22, CONST = 0x41, VOID = 0x40 };
enum { FUNC = 1 }; /* the function under test; 0 does nothing */

/* ---- a module around a body ---------------------------------------------------------------------------------------
 */

static void section(struct buf *out, uint8_t id, const struct buf *content) {
    buf_byte(out, id);
    buf_varint(out, content->size);
    buf_append(out, content->data, content->size);
}

static void section_of(struct buf *out, uint8_t id, const char *bytes, size_t n) {
    buf_byte(out, id);
    buf_varint(out, n);
    buf_append(out, bytes, n);
}

#define SECTION(out, id, bytes) section_of(out, id, bytes, sizeof(bytes) - 1)

/* One parameter and `nlocals` - 1 locals, all i32, no results; a memory. `code` without the last `end`. */
static struct wasm_module *module_of(struct buf *file, const uint8_t *code, size_t n, uint32_t nlocals) {
    struct buf body, content;
    struct err e = ERR_INIT;
    struct wasm_module *m;
    buf_init(file, SIZE_MAX);
    buf_init(&body, SIZE_MAX);
    buf_init(&content, SIZE_MAX);
    buf_append(file, "\0asm\1\0\0\0", 8);
    SECTION(file, 1, "\2\x60\0\0\x60\1\x7f\0");
    SECTION(file, 3, "\2\0\1");
    SECTION(file, 5, "\1\0\1");
    buf_byte(&body, 1);
    buf_varint(&body, nlocals - 1);
    buf_byte(&body, 0x7f);
    buf_append(&body, code, n);
    buf_byte(&body, END);
    buf_append(&content, "\2\2\0\x0b", 4);
    buf_varint(&content, body.size);
    buf_append(&content, body.data, body.size);
    section(file, 10, &content);
    if (wasm_module_new(buf_span(file), &m, &e))
        fail_msg("%s", e.text);
    buf_deinit(&body);
    buf_deinit(&content);
    return m;
}

static void close_module(struct wasm_module *m, struct buf *file) {
    wasm_module_free(m);
    buf_deinit(file);
}

/* ---- hand-made -----------------------------------------------------------------------------------------------------
 */

#define NOWHERE UINT32_MAX

/* The set before the operator at `at` bytes from the first, as bits; the same from the record, if there is one. */
static void check_set(const struct wasm_module *m, struct liveness *l, uint32_t at, bool recorded, uint64_t want) {
    uint64_t set = 0;
    uint32_t offset = m->funcs[FUNC].offset + at;
    liveness_find(l, offset, &set);
    assert_true(set == want);
    if (recorded)
        assert_true(*liveness_at(l, offset) == want);
}

#define CODE(...)                                                   \
    static const uint8_t code[] = {__VA_ARGS__};                    \
    struct buf file;                                                \
    struct wasm_module *m = module_of(&file, code, sizeof code, 4); \
    struct liveness *l = liveness_new(m, FUNC, NULL, 0)
#define AT(at, want)     check_set(m, l, at, false, want)
#define RECORD(at, want) check_set(m, l, at, true, want)
#define DONE()        \
    liveness_free(l); \
    close_module(m, &file)

static void straight(void **state) {
    (void)state;
    CODE(GET, 0, SET, 1, CALL, 0, GET, 1, TEE, 2, DROP, GET, 2, DROP, CALL, 0);
    RECORD(0, 1 << 0);
    AT(2, 0);          /* 1 is about to be written */
    RECORD(4, 1 << 1); /* across the call */
    AT(6, 1 << 1);
    AT(8, 0); /* a tee only writes */
    AT(11, 1 << 2);
    RECORD(14, 0);
    AT(16, 0); /* the end */
    DONE();
}

static void branches(void **state) {
    (void)state;
    /*   0 block  2 get0 4 if 6   call 8   get1 10  drop 11 else 12  call 14  set2(const) 18 br1 20 end 21 call 23 get2
     *  25 drop 26 end 27 get3 29 drop */
    CODE(BLOCK, VOID, GET, 0, IF, VOID, CALL, 0, GET, 1, DROP, ELSE, CALL, 0, CONST, 5, SET, 2, BR, 1, END, CALL, 0,
         GET, 2, DROP, END, GET, 3, DROP);
    RECORD(0, 0xf);
    RECORD(6, 1 << 1 | 1 << 2 | 1 << 3);
    AT(11, 1 << 2 | 1 << 3); /* at the else: on to the end */
    RECORD(12, 1 << 3);      /* 2 is set, and what reads it is jumped over */
    AT(18, 1 << 3);
    RECORD(21, 1 << 2 | 1 << 3);
    DONE();
}

static void dead_ends(void **state) {
    (void)state;
    /* 0 get0 2 if 4  call 6  return 7  get1 9  drop 10 end 11 call 13 get2 15 br_table 0 0 18... */
    CODE(GET, 0, IF, VOID, CALL, 0, RETURN, GET, 1, DROP, END, CALL, 0, GET, 2, BR_TABLE, 1, 0, 0, GET, 3, DROP);
    RECORD(0, 1 << 0 | 1 << 2);
    RECORD(4, 0); /* what comes behind the return is not reached */
    AT(7, 1 << 1 | 1 << 2);
    RECORD(11, 1 << 2);
    DONE();
}

static void loops(void **state) {
    (void)state;
    /*  0 loop 2   call 4   get0 6   drop 7   loop 9    const 11   set1 13    call 15   get1 17   br_if 0 19  end
     * 20 call 22 const 24  set0 26  get2 28  br_if 0 30 end 31 call 33 get3 35 drop */
    CODE(LOOP, VOID, CALL, 0, GET, 0, DROP, LOOP, VOID, CONST, 1, SET, 1, CALL, 0, GET, 1, BR_IF, 0, END, CALL, 0,
         CONST, 2, SET, 0, GET, 2, BR_IF, 0, END, CALL, 0, GET, 3, DROP);
    RECORD(0, 1 << 0 | 1 << 2 | 1 << 3);
    RECORD(2, 1 << 0 | 1 << 2 | 1 << 3);
    RECORD(7, 1 << 2 | 1 << 3); /* 0 has been read, and is written before it is again; 1 is written first */
    RECORD(13, 1 << 1 | 1 << 2 | 1 << 3);
    AT(19, 1 << 2 | 1 << 3);
    RECORD(20, 1 << 2 | 1 << 3);
    AT(26, 1 << 0 | 1 << 2 | 1 << 3); /* 0 for the next round */
    RECORD(31, 1 << 3);
    DONE();
}

/* What an inner loop needs only because of the outer one's next round. */
static void rounds(void **state) {
    (void)state;
    /* 0 loop 2  get0 4  drop 5  loop 7   loop 9    call 11   get1 13   br_if 0 15  get1 17 br_if 1 19 get1 21 br_if 2
     */
    CODE(LOOP, VOID, GET, 0, DROP, LOOP, VOID, LOOP, VOID, CALL, 0, GET, 1, BR_IF, 0, GET, 1, BR_IF, 1, GET, 1, BR_IF,
         2, END, END, END);
    RECORD(0, 3);
    RECORD(5, 3);
    RECORD(7, 3);
    RECORD(9, 3);
    DONE();
}

/* ---- random bodies against a solver that goes from operator to operator until nothing changes
 * -------------------------
 */

struct gen {
    struct prng rng;
    struct buf *code;
    uint32_t nlocals, left;
    uint32_t depth;
};

static uint32_t pick(struct gen *g, uint32_t n) {
    return (uint32_t)(prng_next(&g->rng) % n);
}

static void op1(struct gen *g, uint8_t op, uint32_t imm) {
    buf_byte(g->code, op);
    buf_varint(g->code, imm);
}

static void some_local(struct gen *g, uint8_t op) {
    op1(g, op, pick(g, g->nlocals));
}

static void statements(struct gen *g);

static void nested(struct gen *g, uint8_t op) {
    buf_byte(g->code, op);
    buf_byte(g->code, VOID);
    g->depth++;
    statements(g);
    if (op == IF && pick(g, 2)) {
        buf_byte(g->code, ELSE);
        statements(g);
    }
    g->depth--;
    buf_byte(g->code, END);
}

static void statement(struct gen *g) {
    switch (pick(g, 14)) {
    case 0:
    case 1:
    case 2:
        some_local(g, GET);
        buf_byte(g->code, DROP);
        break;
    case 3:
    case 4:
        op1(g, CONST, 1);
        some_local(g, SET);
        break;
    case 5:
        some_local(g, GET);
        some_local(g, TEE);
        buf_byte(g->code, DROP);
        break;
    case 6: op1(g, CALL, 0); break;
    case 7:
        if (g->depth < 8)
            nested(g, BLOCK);
        break;
    case 8:
        if (g->depth < 8)
            nested(g, LOOP);
        break;
    case 9:
        some_local(g, GET);
        nested(g, IF);
        break;
    case 10:
        some_local(g, GET);
        op1(g, BR_IF, pick(g, g->depth + 1));
        break;
    case 11:
        if (pick(g, 3) == 0)
            op1(g, BR, pick(g, g->depth + 1));
        break;
    case 12:
        if (pick(g, 4) == 0) {
            some_local(g, GET);
            op1(g, BR_TABLE, 2);
            for (int i = 0; i < 3; i++)
                buf_varint(g->code, pick(g, g->depth + 1));
        }
        break;
    default:
        if (pick(g, 6) == 0)
            buf_byte(g->code, pick(g, 2) ? RETURN : 0x00);
    }
}

static void statements(struct gen *g) {
    for (uint32_t n = pick(g, 8); n && g->left; n--) {
        g->left--;
        statement(g);
    }
}

enum { MAX_OPS = 4000, MAX_NEXT = 4, WORDS = 3 };

struct op {
    uint32_t offset;
    enum wasm_op op;
    uint32_t local;
    uint32_t next[MAX_NEXT], nnext;
    uint64_t live[WORDS];
};

static struct op ops[MAX_OPS];
static uint32_t nops;

/* Operators and, by looking for the end of each block anew, where they go. */
static uint32_t behind(uint32_t i, bool or_else) {
    for (uint32_t depth = 0; i < nops; i++) {
        enum wasm_op op = ops[i].op;
        depth += op == OP_BLOCK || op == OP_LOOP || op == OP_IF;
        if (op == OP_ELSE && depth == 1 && or_else)
            return i + 1;
        if (op == OP_END && --depth == 0)
            return i + 1;
    }
    return nops; /* out of the function */
}

static uint32_t target(uint32_t i, uint32_t label) {
    uint32_t depth = 0;
    while (i-- > 0) {
        enum wasm_op op = ops[i].op;
        if (op == OP_END)
            depth++;
        else if ((op == OP_BLOCK || op == OP_LOOP || op == OP_IF) && depth)
            depth--;
        else if ((op == OP_BLOCK || op == OP_LOOP || op == OP_IF) && label-- == 0)
            return op == OP_LOOP ? i : behind(i, false);
    }
    return nops;
}

static uint32_t behind_else(uint32_t i) {
    uint32_t depth = 1;
    while (depth) {
        i++;
        depth += ops[i].op == OP_BLOCK || ops[i].op == OP_LOOP || ops[i].op == OP_IF;
        depth -= ops[i].op == OP_END;
    }
    return i + 1;
}

static void go(struct op *o, uint32_t to) {
    o->next[o->nnext++] = to;
}

static void read_ops(const struct wasm_module *m) {
    const struct module_func *f = &m->funcs[FUNC];
    struct reader r = {m->bytes.data, f->code, f->end, ST_OK, NULL};
    uint32_t labels[MAX_OPS][3], nlabels[MAX_OPS];
    nops = 0;
    while (r.p < r.end) {
        assert_true(nops < MAX_OPS);
        struct op *o = &ops[nops];
        *o = (struct op){.offset = (uint32_t)(r.p - r.file)};
        o->op = read_operator(&r);
        nlabels[nops] = o->op == OP_BR_TABLE ? read_u32(&r) + 1 : o->op == OP_BR || o->op == OP_BR_IF;
        for (uint32_t i = 0; i < nlabels[nops]; i++)
            labels[nops][i] = read_u32(&r);
        if (o->op == OP_LOCAL_GET || o->op == OP_LOCAL_SET || o->op == OP_LOCAL_TEE)
            o->local = read_u32(&r);
        else if (nlabels[nops] == 0)
            validate_skip_immediates(&r, (enum wasm_imm)wasm_op_infos[o->op].imm);
        nops++;
    }
    for (uint32_t i = 0; i < nops; i++) {
        struct op *o = &ops[i];
        for (uint32_t k = 0; k < nlabels[i]; k++)
            go(o, target(i, labels[i][k]));
        if (o->op == OP_ELSE) {
            go(o, behind_else(i));
            continue;
        }
        if (o->op == OP_IF)
            go(o, behind(i, true));
        if (o->op != OP_BR && o->op != OP_BR_TABLE && o->op != OP_RETURN && o->op != OP_UNREACHABLE)
            go(o, i + 1);
    }
}

static void solve_plainly(void) {
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < nops; i++) {
            struct op *o = &ops[i];
            uint64_t live[WORDS] = {0}, bit = (uint64_t)1 << o->local % 64;
            for (uint32_t k = 0; k < o->nnext; k++)
                for (uint32_t w = 0; o->next[k] < nops && w < WORDS; w++)
                    live[w] |= ops[o->next[k]].live[w];
            if (o->op == OP_LOCAL_GET)
                live[o->local / 64] |= bit;
            else if (o->op == OP_LOCAL_SET || o->op == OP_LOCAL_TEE)
                live[o->local / 64] &= ~bit;
            more |= memcmp(live, o->live, sizeof live) != 0;
            memcpy(o->live, live, sizeof live);
        }
    }
}

static void random_bodies(void **state) {
    (void)state;
    uint32_t loops_seen = 0, dead_seen = 0;
    for (uint32_t seed = 0; seed < 3000; seed++) {
        struct buf code, file;
        buf_init(&code, SIZE_MAX);
        struct gen g = {.code = &code, .nlocals = seed % 3 ? 4 : 150, .left = 300};
        g.rng.state = seed;
        while (g.left > 200)
            statements(&g);
        struct wasm_module *m = module_of(&file, code.data, code.size, g.nlocals);
        struct liveness *l = liveness_new(m, FUNC, NULL, 0);
        read_ops(m);
        solve_plainly();
        for (uint32_t i = 0; i < nops; i++) {
            const struct op *o = &ops[i];
            uint32_t words = LIVENESS_WORDS(g.nlocals);
            uint64_t set[WORDS];
            liveness_find(l, o->offset, set);
            assert_memory_equal(set, o->live, words * sizeof *set);
            if (o->op != OP_LOOP && o->op != OP_CALL)
                continue;
            assert_memory_equal(liveness_at(l, o->offset), o->live, words * sizeof *set);
            loops_seen += o->op == OP_LOOP;
            for (uint32_t v = 0; v < g.nlocals; v++) {
                assert_int_equal(liveness_after(l, o->offset, v), o->live[v / 64] >> v % 64 & 1);
                dead_seen += !liveness_before(l, o->offset, v);
            }
        }
        liveness_free(l);
        close_module(m, &file);
        buf_deinit(&code);
    }
    assert_true(loops_seen > 3000 && dead_seen > 10000);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------
 */

/* `n` loops in one another, each reading a local of its own, then leaving or going round. Of the outermost's the
 * innermost hears through all between, a pass for each. */
static void nested_loops(uint32_t n, bool exact) {
    struct buf code, file;
    buf_init(&code, SIZE_MAX);
    struct gen g = {.code = &code};
    for (uint32_t i = 0; i < n; i++) {
        buf_append(&code, (uint8_t[]){LOOP, VOID}, 2);
        op1(&g, GET, i);
        buf_append(&code, (uint8_t[]){DROP, BLOCK, VOID}, 3);
        op1(&g, GET, n);
        op1(&g, BR_IF, 0);
    }
    op1(&g, CALL, 0);
    uint32_t call = (uint32_t)code.size - 2;
    for (uint32_t i = n; i-- > 0;) {
        op1(&g, BR, 1);
        buf_append(&code, (uint8_t[]){END, END}, 2);
    }
    struct wasm_module *m = module_of(&file, code.data, code.size, n + 2);
    struct liveness *l = liveness_new(m, FUNC, NULL, 0);
    uint64_t all = ((uint64_t)1 << (n + 2)) - 1, most = ((uint64_t)1 << (n + 1)) - 1; /* nobody reads the last */
    assert_true(*liveness_at(l, m->funcs[FUNC].offset + call) == (exact ? most : all));
    liveness_free(l);
    close_module(m, &file);
    buf_deinit(&code);
}

static void many_loops(void **state) {
    (void)state;
    for (uint32_t n = 1; n < LIVENESS_MAX_PASSES; n++)
        nested_loops(n, true);
    nested_loops(LIVENESS_MAX_PASSES, false);
    nested_loops(40, false);
}

/* Calls times words of a set. */
static void much(uint32_t calls, uint32_t nlocals, bool exact) {
    struct buf code, file;
    buf_init(&code, SIZE_MAX);
    struct gen g = {.code = &code};
    for (uint32_t i = 0; i < calls; i++)
        op1(&g, CALL, 0);
    struct wasm_module *m = module_of(&file, code.data, code.size, nlocals);
    struct liveness *l = liveness_new(m, FUNC, NULL, 0);
    uint32_t offset = m->funcs[FUNC].offset + calls - calls % 2;
    for (uint32_t i = 0; i < nlocals; i += 63)
        assert_int_equal(liveness_after(l, offset, i), !exact);
    uint64_t *set = mem_alloc(LIVENESS_WORDS(nlocals) * sizeof *set);
    liveness_find(l, offset + 1, set);
    assert_int_equal(liveness_has(set, nlocals - 1), !exact);
    mem_free(set);
    assert_true(liveness_size(l) < (LIVENESS_MAX_WORDS + 2 * (size_t)LIVENESS_MAX_EVENTS) * 8);
    assert_true(exact || liveness_size(l) < 10000);
    liveness_free(l);
    close_module(m, &file);
    buf_deinit(&code);
}

static void much_is_all_live(void **state) {
    (void)state;
    much(10000, 50000, true);
    much(LIVENESS_MAX_WORDS / 782 + 1, 50000, false);
    much(100000, 64, true);
    much(LIVENESS_MAX_EVENTS, 1, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(straight),   cmocka_unit_test(branches),         cmocka_unit_test(dead_ends),
        cmocka_unit_test(loops),      cmocka_unit_test(rounds),           cmocka_unit_test(random_bodies),
        cmocka_unit_test(many_loops), cmocka_unit_test(much_is_all_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
