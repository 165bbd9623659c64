/* gen.h: from a validated function body to LLVM's IR; internal to src/wasm/llvm.
 *
 *   gen.c      module and functions: prototypes, entries, the loop over operators
 *   frame.c    values: locals, operands, what is in slots, calls
 *   memory.c   addresses, loads and stores
 *   numeric.c  scalar operators; simd.c those on v128 */
#ifndef AEON_WASM_LLVM_GEN_H
#define AEON_WASM_LLVM_GEN_H

#include <llvm-c/Core.h>

#include "wasm/engine.h"
#include "wasm/llvm/llvm.h"
#include "wasm/native.h"
#include "wasm/opcodes.h"

/* Helpers on cold paths that return. */
enum cold { COLD_ENTRY, COLD_LOOP, COLD_AFTER, COLD_COUNT };
/* llvm::CallingConv::PreserveAll */
enum { CONVENTION_PRESERVE_ALL = 15 };

/* What is known of all functions of one LLVM module. */
struct unit {
    LLVMContextRef context;
    LLVMModuleRef module;
    const struct wasm_module *wasm;
    const struct llvm_request *request;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, v128; /* v128 is <2 x i64> */
    unsigned convention;                                    /* of compiled functions */
    LLVMValueRef *bodies;                                   /* [nfuncs] NULL: not in this unit */
    LLVMValueRef cold[COLD_COUNT];                          /* thunks */
    unsigned prof_kind, tbaa_kind, invariant_kind;          /* of metadata */
    LLVMValueRef rarely, nothing, alias[4];                 /* metadata */
};

/* One function being generated. */
struct gen {
    struct unit *u;
    LLVMBuilderRef b;         /* at the end of the block being filled */
    LLVMBuilderRef variables; /* at the end of the entry block */
    LLVMValueRef fn;
    uint32_t offset; /* of the operator being generated, in the module file */
    struct body *frame;
};

/* ---- gen.c ---- */

/* Traps with that kind at the current operator when `cond` (i1) holds; the builder goes on where it does not. */
void gen_trap_if(struct gen *g, LLVMValueRef cond, enum wasm_trap_kind kind);

/* Declares (once) and calls an LLVM intrinsic overloaded on types: gen_intrinsic(g, "llvm.ctlz", &u->i32, 1, args, 2).
 */
LLVMValueRef gen_intrinsic(struct gen *g, const char *name, LLVMTypeRef *overload, unsigned noverload,
                           LLVMValueRef *args, unsigned nargs);

/* ---- memory.c ---- */

/* The address of `size` bytes of memory 0 at index + offset, in bounds (else the operator traps). */
LLVMValueRef gen_address(struct gen *g, LLVMValueRef index, uint32_t offset, uint32_t size);
/* A load or store with the facts of linear memory on it (alignment 1, alias class). */
LLVMValueRef gen_load(struct gen *g, LLVMTypeRef type, LLVMValueRef address);
void gen_store(struct gen *g, LLVMValueRef value, LLVMValueRef address);

/* ---- numeric.c, simd.c ----
 *
 * Operands and results have the types of the operator's signature (i32 i64 float double <2 x i64>); comparisons give
 * i32 0 or 1.  Every float result is as num.h and simd.h say, NaNs included, except where `raw` says otherwise. */

struct operands {
    LLVMValueRef v[3];
    uint32_t lane;          /* LANE, LOAD_LANE, STORE_LANE */
    const uint8_t *shuffle; /* SHUFFLE: 16 lanes */
    uint32_t memory_offset; /* memory operators */
};

/* Any operator whose SIG is not SPECIAL, but memory.size, memory.grow, bulk operators and constants.
 * NULL for stores.
 * * *raw is set when the result is an f32 or f64 computed by arithmetic whose NaN is not canonical yet: the caller
 * settles that with gen_canon where somebody may see the bits.  Operands may be raw only where that cannot be seen
 * (arithmetic, comparison, conversion): gen_takes_raw tells. */
LLVMValueRef gen_operator(struct gen *g, enum wasm_op op, const struct operands *in, bool *raw);
bool gen_takes_raw(enum wasm_op op);
LLVMValueRef gen_canon(struct gen *g, LLVMValueRef v);

#endif
