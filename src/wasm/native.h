/* native.h: the contract between the engine and compiled code; internal to src/wasm and src/wasm/llvm.
 *
 * A compiled function uses the machine's stack and registers, but at every call, and on the cold path of every look at
 * the fuel, its state lies in its canonical frame: live locals and operands in the slots the interpreter would have
 * them in.  So any stack of compiled frames can be turned into interpreter's frames (native_unwind), and everything
 * that leaves an execution (stop, park, trap, exit, snapshot) does that and goes on as if there were no other tier.
 * docs/design/native.md tells why.
 *
 * A compiled function, calling convention C, or tailcc in modules that have tail calls:
 *
 *     { i64 fuel } or { i64 fuel, T result }  f(ptr x, ptr fp, i64 fuel, parameters...)
 *
 *   x     the struct wasm_exec
 *   fp    its canonical frame; parameters come in registers and are not in their slots yet
 *   one result is returned; two and more are returned in fp[0...] (the canonical place), v128 in two slots
 *
 * Fuel is always passed as charged: clock = origin - fuel, all operators up to and with the call counted.  A function
 * subtracts its own ticks at jumps and before calls, just as translated code does (engine.h).
 *
 * The link word of a frame, in the slot behind its parameters, says where its caller goes on: the offset of the
 * call operator in the module file (which tells the function too, and is a constant short enough to be stored at once),
 * or 0 when the caller is the engine.  The caller stores it before
 * each call.  Walking up: a frame's function tells where its link is, the link tells the caller's function and, by the
 * height of its operand stack at that call, the caller's fp. */
#ifndef AEON_WASM_NATIVE_H
#define AEON_WASM_NATIVE_H

#include <stdint.h>

/* Bumped with anything in this header or in the offsets of engine.h that compiled code uses. */
enum { NATIVE_ABI_VERSION = 1 };

struct wasm_exec;
struct wasm_func;

/* What compiled code calls, through the table x->native. X(name, result, parameters): p pointer, l i64, i i32, v none.
 * All begin with x, fp, fuel, link unless they only compute: `link` is this function and the operator in question.
 * Those marked ! may not return: they unwind, and the interpreter goes on.  Helpers, and host functions called through
 * them, run on the C stack below x->native_limit too: there must be 32 KiB more than wasm_set_native_stack says, and
 * what host functions take.
 *
 *   entry ! fuel < 0, or too deep on either stack, found at the function's entry: parameters are in their slots; link
 *           is the offset of the body's first operator.  Returns new fuel.
 *   loop  ! fuel < 0 at the head of the loop at link (of the `loop` operator); the frame is in its slots.
 *   after ! fuel < 0 after the call at link; results are in their slots, the frame's others too.
 *   trap  ! never returns.  kind: enum wasm_trap_kind.  Nothing but links need be in slots.
 *   leave ! never returns: the interpreter does the operator at link, which has not been charged; operands in
 *           their slots.
 *   call  ! a call of function `func` that is an import, or not compiled: arguments at nfp, where the results go.
 *           Returns the fuel left, which may be below zero.
 *   ref   ! the same with a reference that was checked for null and type.  The index into the table is in its slot,
 *           nfp[parameters' slots], for a call that parks is made again.
 *           Both also do tail calls of host functions: the caller then returns what has been returned.
 *   bulk  ! memory.fill copy init, table.fill copy init: three operands at `at`; `what` and two indices as the
 *           interpreter has them (0 fill, 1 copy, 2 init).  Charged like a call.
 *   grow, table_grow return the old size or -1; table_get and table_set return 0 when out of bounds. */
#define NATIVE_HELPERS(X)        \
    X(entry, l, "ppll")          \
    X(loop, l, "ppll")           \
    X(after, l, "ppll")          \
    X(trap, v, "pplli")          \
    X(leave, v, "ppll")          \
    X(call, l, "ppllpi")         \
    X(ref, l, "ppllpp")          \
    X(memory_bulk, l, "ppllpii") \
    X(table_bulk, l, "ppllpiii") \
    X(memory_grow, i, "pi")      \
    X(table_grow, i, "pili")     \
    X(table_get, i, "piip")      \
    X(table_set, i, "piil")      \
    X(data_drop, v, "pi")        \
    X(elem_drop, v, "pi")

enum native_helper {
#define X(name, result, params) NATIVE_##name,
    NATIVE_HELPERS(X)
#undef X
        NATIVE_HELPER_COUNT
};

/* How the engine enters a compiled function, and a loop of one at its head (C calling convention; both in every
 * object): parameters, or the whole frame, are read from the slots at fp, results are written to fp[0...].  Returns the
 * fuel left.  Of a loop entry fuel is as charged at the head. */
typedef uint64_t native_enter_fn(struct wasm_exec *x, uint64_t *fp, int64_t fuel);

#endif
