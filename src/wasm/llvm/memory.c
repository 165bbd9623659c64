/* memory.c: linear memory. */
#include "wasm/llvm/frame.h"

/* Whether `reach` bytes from `wide` (the index as an i64) on are not all there. */
static LLVMValueRef out_of_bounds(struct gen *g, LLVMValueRef wide, uint64_t reach) {
    const struct unit *u = g->u;
    uint64_t least = (uint64_t)u->wasm->memories[0].min * WASM_PAGE_SIZE; /* a memory never shrinks */
    LLVMValueRef bytes = LLVMBuildLoad2(g->b, u->i64, g->frame->size, "");
    if (reach <= least) {
        bytes = LLVMBuildNUWSub(g->b, bytes, const_i64(u, reach), "");
        return LLVMBuildICmp(g->b, LLVMIntUGT, wide, bytes, "");
    }
    LLVMValueRef end = LLVMBuildNUWAdd(g->b, wide, const_i64(u, reach), "");
    return LLVMBuildICmp(g->b, LLVMIntUGT, end, bytes, "");
}

void gen_wide_check(struct gen *g, uint32_t operands) {
    struct body *f = g->frame;
    const struct access *a = checks_at(f, g->offset);
    if (!a || a->how != ACCESS_WIDE)
        return;
    LLVMBasicBlockRef cold = new_block(g, "leave");
    LLVMValueRef wide = LLVMBuildZExt(g->b, gen_peek(g, operands - 1), g->u->i64, "");
    LLVMBasicBlockRef on = branch_rarely(g, out_of_bounds(g, wide, a->reach), cold);
    LLVMPositionBuilderAtEnd(g->b, cold);
    gen_flush_cold(g);
    LLVMValueRef fuel = LLVMBuildSub(g->b, get_fuel(g), const_i64(g->u, f->ticks - 1), "");
    LLVMValueRef args[] = {f->x, f->fp, fuel, link_here(g)};
    call_helper(g, NATIVE_leave, args);
    LLVMBuildUnreachable(g->b);
    LLVMPositionBuilderAtEnd(g->b, on);
}

LLVMValueRef gen_address(struct gen *g, LLVMValueRef index, uint32_t offset, uint32_t size) {
    const struct unit *u = g->u;
    const struct access *a = checks_at(g->frame, g->offset);
    LLVMValueRef wide = LLVMBuildZExt(g->b, index, u->i64, "");
    if (!a || a->how == ACCESS_CHECKED)
        gen_trap_if(g, out_of_bounds(g, wide, (uint64_t)offset + size), WASM_TRAP_MEMORY_BOUNDS);
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
