/* gen_body.h: what gen_code.c (expressions, statements) and gen_control.c (branches, blocks, functions) share. */
#ifndef AEON_TESTS_DIFFERENTIAL_GEN_BODY_H
#define AEON_TESTS_DIFFERENTIAL_GEN_BODY_H

#include "gen.h"

enum { MAX_DEPTH = 9 };

struct label {
    struct types carries; /* what a branch to it takes along */
    bool is_loop;
};

struct body {
    struct gen *g;
    struct module *m;
    struct buf *b;
    const struct sig *sig;
    unsigned self; /* function index */
    uint8_t locals[MAX_LOCALS];
    unsigned nlocals;
    unsigned scratch_f32, scratch_f64, scratch_v128; /* for making NaNs canonical; never live across an operator */
    struct label labels[MAX_LABELS];                 /* innermost last; 0 is the function */
    unsigned nlabels;
    int budget; /* expressions yet to write; then only leaves */
    unsigned depth;
};

static inline void op(struct body *f, enum wasm_op o) {
    put_op(f->b, o);
}

static inline void op_index(struct body *f, enum wasm_op o, uint32_t index) {
    put_op(f->b, o);
    buf_varint(f->b, index);
}

/* ---- gen_code.c ---- */

/* Code that leaves one value of the type, or one of each. */
void expr(struct body *f, uint8_t type);
void exprs(struct body *f, struct types t);
/* Code that leaves the stack as it was: one statement, or at most `max`. */
void stmt(struct body *f);
void stmts(struct body *f, unsigned max);
/* One of a kind without jumps: a local gets what an operator makes of simple operands. */
void assignment(struct body *f);
/* The operator with its operands; vectors may be left with NaNs of any bits where gen_makes_nans says so. */
void operator(struct body *f, enum wasm_op o);
/* Takes values off the stack, last first. */
void consume(struct body *f, struct types t);
/* Makes the float on top of the stack canonical if it is a NaN. */
void canonical_scalar(struct body *f, uint8_t type);

/* Mixes a local into a word of memory, where it will be seen. */
void record(struct body *f, unsigned local);

/* ---- gen_control.c ---- */

/* An i32 to branch on. */
void condition(struct body *f);
/* The depth of a label that carries `t`, or -1; loops only when wanted. */
int random_label(struct body *f, struct types t, bool loops);
/* With the label's values on the stack, which stay there when the branch is not taken. */
void conditional_branch(struct body *f, int depth);
/* Leaves this place for good; what follows is unreachable, so it stands for a value of any type. */
void jump(struct body *f);
/* A function with these results (NULL: any), or UINT32_MAX; mostly one behind this, so that few calls are recursive. */
unsigned random_func(struct body *f, const struct types *results);
const struct sig *func_sig(struct body *f, unsigned func);
/* The operands of an indirect call: arguments, then an index that usually is an element of the first table that holds a
 * function at the start. Returns the type; UINT32_MAX, and nothing written, when nobody suits. */
unsigned indirect_operands(struct body *f, const struct types *results);
/* block, loop or if of a type from the section or, when `sig` is negative, of one result or none. */
void block(struct body *f, int sig, struct types results);
/* A type of the section with exactly these results, or -1. */
int random_sig(struct body *f, struct types results);

#endif
