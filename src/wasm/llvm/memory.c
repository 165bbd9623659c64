/* memory.c: linear memory. */
#include "wasm/llvm/frame.h"

LLVMValueRef gen_address(struct gen *g, LLVMValueRef index, uint32_t offset, uint32_t size) {
    const struct unit *u = g->u;
    uint64_t reach = (uint64_t)offset + size;
    uint64_t least = (uint64_t)u->wasm->memories[0].min * WASM_PAGE_SIZE; /* a memory never shrinks */
    LLVMValueRef wide = LLVMBuildZExt(g->b, index, u->i64, "");
    LLVMValueRef bytes = LLVMBuildLoad2(g->b, u->i64, g->frame->size, "");
    LLVMValueRef beyond;
    if (reach <= least) {
        bytes = LLVMBuildNUWSub(g->b, bytes, const_i64(u, reach), "");
        beyond = LLVMBuildICmp(g->b, LLVMIntUGT, wide, bytes, "");
    } else {
        LLVMValueRef end = LLVMBuildNUWAdd(g->b, wide, const_i64(u, reach), "");
        beyond = LLVMBuildICmp(g->b, LLVMIntUGT, end, bytes, "");
    }
    gen_trap_if(g, beyond, WASM_TRAP_MEMORY_BOUNDS);
    LLVMValueRef base = LLVMBuildLoad2(g->b, u->ptr, g->frame->base, "");
    LLVMValueRef at = LLVMBuildInBoundsGEP2(g->b, u->i8, base, &wide, 1, "");
    LLVMValueRef further = const_i64(u, offset);
    return offset ? LLVMBuildInBoundsGEP2(g->b, u->i8, at, &further, 1, "") : at;
}

LLVMValueRef gen_load(struct gen *g, LLVMTypeRef type, LLVMValueRef address) {
    LLVMValueRef v = LLVMBuildLoad2(g->b, type, address, "");
    LLVMSetAlignment(v, 1);
    set_alias(g, v, ALIAS_LINEAR);
    return v;
}

void gen_store(struct gen *g, LLVMValueRef value, LLVMValueRef address) {
    LLVMValueRef store = LLVMBuildStore(g->b, value, address);
    LLVMSetAlignment(store, 1);
    set_alias(g, store, ALIAS_LINEAR);
}
