/* liveness.h: which locals of a function may still be read; internal to src/wasm and src/wasm/llvm.
 *
 * A local is live at a place when some path from there reads it before writing it.  Only local.get reads and only
 * local.set and local.tee write, so that an operator which is neither of these nor a branch has the same set before and
 * after it: that of a call is the one at the call (arguments taken or not, parked or not), inside of the callee, and
 * right after the call has returned.  No path leads on from return, unreachable and the tail calls: nothing is live
 * before them, since what they use are operands.  Operands are not looked at; they are always live.
 *
 * Two users must agree about it, in all versions that share snapshots: the compiler, which does not keep what is dead,
 * and the snapshot writer, which writes zero for it.  The sets are the exact solution (the smallest that contains what
 * every path needs), the same on every machine.  A function beyond the bounds below has all locals live everywhere.
 * Compiled code may always store more than asked for. */
#ifndef AEON_WASM_LIVENESS_H
#define AEON_WASM_LIVENESS_H

#include "wasm/module.h"

enum {
    LIVENESS_MAX_EVENTS = 1 << 22, /* operators that touch locals, branch, or are recorded (see below) */
    LIVENESS_MAX_WORDS = 1 << 23,  /* of the events that are control or recorded, in all sets */
    LIVENESS_MAX_PASSES = 16,      /* over the body; one more than loops are nested is enough */
};

/* A set has bit i of word i / 64 for local i, parameters first; so many words: */
#define LIVENESS_WORDS(nlocals) (((nlocals) + 63) / 64)

static inline bool liveness_has(const uint64_t *set, uint32_t local) {
    return set[local / 64] >> (local % 64) & 1;
}

/* The sets of one function of a validated module (its index in the function index space, no import) at its entry, at
 * loops, and before operators that can stop: calls of all kinds, bulk operations on memories and tables, and
 * memory.grow, table.get, table.set and table.grow; and before those at `also`, offsets in the file in ascending order
 * of operators that are none of these. */
struct liveness *liveness_new(const struct wasm_module *m, uint32_t func, const uint32_t *also, uint32_t nalso);
void liveness_free(struct liveness *l);

/* The set at the operator at that offset of the module file: of a loop at its head (on entry and from its branches),
 * of a call before it and after it.  `offset` must be that of the body's first operator or of one of those above.
 * Belongs to `l`. */
const uint64_t *liveness_at(const struct liveness *l, uint32_t offset);

static inline bool liveness_before(const struct liveness *l, uint32_t offset, uint32_t local) {
    return liveness_has(liveness_at(l, offset), local);
}

/* Right after the call at that offset has returned. */
static inline bool liveness_after(const struct liveness *l, uint32_t offset, uint32_t local) {
    return liveness_has(liveness_at(l, offset), local);
}

/* The set before the operator at any one offset, into set[LIVENESS_WORDS(parameters and locals)]. */
void liveness_find(struct liveness *l, uint32_t offset, uint64_t *set);

/* Memory that `l` takes, in bytes. */
size_t liveness_size(const struct liveness *l);

#endif
