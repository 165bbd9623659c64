// A byte-code machine with a switch for a dispatcher, running a sieve and sums of digits: an interpreter inside.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum op { PUSH, LOAD, STORE, GET, PUT, ADD, SUB, MUL, DIV, MOD, LESS, JUMP, JUMP_ZERO, HALT };
enum variable { I, J, PRIMES, DIGITS, N_VARIABLES };
enum { LIMIT = 8000, ROUNDS = 100 };

static int32_t code[256], cells[LIMIT], variables[N_VARIABLES];
static int here;

static void emit(enum op op) {
    code[here++] = op;
}

static void emit_with(enum op op, int32_t operand) {
    emit(op);
    code[here++] = operand;
}

// Emits a jump whose target is filled in by land().
static int jump(enum op op) {
    emit_with(op, 0);
    return here - 1;
}

static void land(int jump) {
    code[jump] = here;
}

static void set(enum variable v, int32_t value) {
    emit_with(PUSH, value);
    emit_with(STORE, v);
}

static void change(enum variable v, enum op op, int32_t by) {
    emit_with(LOAD, v);
    emit_with(PUSH, by);
    emit(op);
    emit_with(STORE, v);
}

// Emits "leave the loop unless v < LIMIT".
static int unless_below_limit(enum variable v) {
    emit_with(LOAD, v);
    emit_with(PUSH, LIMIT);
    emit(LESS);
    return jump(JUMP_ZERO);
}

static void assemble(void) {
    set(I, 2);
    int loop = here, out = unless_below_limit(I);
    emit_with(LOAD, I);
    emit_with(PUSH, 0);
    emit(PUT);
    change(I, ADD, 1);
    emit_with(JUMP, loop);
    land(out);

    set(PRIMES, 0);
    set(I, 2);
    loop = here, out = unless_below_limit(I);
    emit_with(LOAD, I);
    emit(GET);
    int prime = jump(JUMP_ZERO), composite = jump(JUMP);
    land(prime);
    change(PRIMES, ADD, 1);
    emit_with(LOAD, I);
    emit_with(LOAD, I);
    emit(ADD);
    emit_with(STORE, J);
    int inner = here, inner_out = unless_below_limit(J);
    emit_with(LOAD, J);
    emit_with(PUSH, 1);
    emit(PUT);
    emit_with(LOAD, J);
    emit_with(LOAD, I);
    emit(ADD);
    emit_with(STORE, J);
    emit_with(JUMP, inner);
    land(inner_out);
    land(composite);
    change(I, ADD, 1);
    emit_with(JUMP, loop);
    land(out);

    emit_with(LOAD, PRIMES);
    emit_with(STORE, I);
    loop = here;
    emit_with(LOAD, I);
    out = jump(JUMP_ZERO);
    emit_with(LOAD, I);
    emit_with(LOAD, I);
    emit(MUL);
    emit_with(STORE, J);
    inner = here;
    emit_with(LOAD, J);
    inner_out = jump(JUMP_ZERO);
    emit_with(LOAD, DIGITS);
    emit_with(LOAD, J);
    emit_with(PUSH, 10);
    emit(MOD);
    emit(ADD);
    emit_with(STORE, DIGITS);
    change(J, DIV, 10);
    emit_with(JUMP, inner);
    land(inner_out);
    change(I, SUB, 1);
    emit_with(JUMP, loop);
    land(out);
    emit(HALT);
}

__attribute__((noinline)) static void run(void) {
    int32_t stack[16];
    int sp = 0;
    for (const int32_t *pc = code;;)
        switch ((enum op) * pc++) {
        case PUSH: stack[sp++] = *pc++; break;
        case LOAD: stack[sp++] = variables[*pc++]; break;
        case STORE: variables[*pc++] = stack[--sp]; break;
        case GET: stack[sp - 1] = cells[stack[sp - 1]]; break;
        case PUT:
            sp -= 2;
            cells[stack[sp]] = stack[sp + 1];
            break;
        case ADD: sp--, stack[sp - 1] += stack[sp]; break;
        case SUB: sp--, stack[sp - 1] -= stack[sp]; break;
        case MUL: sp--, stack[sp - 1] *= stack[sp]; break;
        case DIV: sp--, stack[sp - 1] /= stack[sp]; break;
        case MOD: sp--, stack[sp - 1] %= stack[sp]; break;
        case LESS: sp--, stack[sp - 1] = stack[sp - 1] < stack[sp]; break;
        case JUMP: pc = code + *pc; break;
        case JUMP_ZERO: pc = stack[--sp] ? pc + 1 : code + *pc; break;
        case HALT: return;
        }
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    assemble();
    for (int round = 0; round < ROUNDS * times; round++)
        run();
    printf("vm %d primes, digits %d\n", (int)variables[PRIMES], (int)variables[DIGITS]);
    return 0;
}
