/* frame.c: operands and locals, in registers and in slots. */
#include "wasm/llvm/frame.h"

/* ---- types and slots ----------------------------------------------------------------------------------------------
 */

LLVMTypeRef type_of(const struct unit *u, uint8_t type) {
    switch (type) {
    case WASM_I32: return u->i32;
    case WASM_F32: return u->f32;
    case WASM_F64: return u->f64;
    case WASM_V128: return u->v128;
    default: return u->i64; /* references too */
    }
}

static unsigned class_of(uint8_t type) {
    switch (type) {
    case WASM_I32: return 0;
    case WASM_F32: return 1;
    case WASM_F64: return 2;
    case WASM_V128: return 3;
    default: return 4;
    }
}

bool bit_get(const uint64_t *set, uint32_t i) {
    return set[i / 64] >> (i % 64) & 1;
}

void bit_set(uint64_t *set, uint32_t i) {
    set[i / 64] |= (uint64_t)1 << (i % 64);
}

LLVMValueRef slot_address(struct gen *g, LLVMValueRef fp, uint32_t slot) {
    if (slot == 0)
        return fp;
    LLVMValueRef index = const_i64(g->u, slot);
    return LLVMBuildInBoundsGEP2(g->b, g->u->i64, fp, &index, 1, "");
}

void slot_store(struct gen *g, LLVMValueRef fp, uint32_t slot, uint8_t type, LLVMValueRef v) {
    if (type == WASM_F32)
        v = LLVMBuildBitCast(g->b, v, g->u->i32, "");
    if (type == WASM_F32 || type == WASM_I32)
        v = LLVMBuildZExt(g->b, v, g->u->i64, "");
    LLVMValueRef store = LLVMBuildStore(g->b, v, slot_address(g, fp, slot));
    LLVMSetAlignment(store, 8);
    set_alias(g, store, ALIAS_SLOT);
}

LLVMValueRef slot_load(struct gen *g, LLVMValueRef fp, uint32_t slot, uint8_t type) {
    LLVMValueRef v = LLVMBuildLoad2(g->b, type_of(g->u, type), slot_address(g, fp, slot), "");
    LLVMSetAlignment(v, 8);
    set_alias(g, v, ALIAS_SLOT);
    return v;
}

/* ---- operands -----------------------------------------------------------------------------------------------------
 */

uint32_t gen_top_slot(const struct body *f) {
    if (!f->height)
        return f->operands_slot;
    const struct operand *o = &f->stack[f->height - 1];
    return o->slot + type_slots(o->type);
}

LLVMValueRef gen_variable(struct gen *g, uint32_t slot, uint8_t type) {
    LLVMValueRef *v = &g->frame->variables[slot - g->frame->operands_slot][class_of(type)];
    if (!*v)
        *v = LLVMBuildAlloca(g->variables, type_of(g->u, type), "");
    return *v;
}

static struct operand *push_operand(struct body *f, uint8_t type) {
    if (f->height == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 64;
        f->stack = mem_realloc(f->stack, f->cap * sizeof *f->stack);
    }
    uint32_t slot = gen_top_slot(f);
    struct operand *o = &f->stack[f->height++];
    *o = (struct operand){.slot = slot, .type = type, .dirty = true};
    return o;
}

void gen_push(struct gen *g, uint8_t type, LLVMValueRef v, bool raw) {
    struct operand *o = push_operand(g->frame, type);
    o->value = v;
    o->raw = raw;
}

static LLVMValueRef value_of(struct gen *g, const struct operand *o) {
    return o->value ? o->value : LLVMBuildLoad2(g->b, type_of(g->u, o->type), gen_variable(g, o->slot, o->type), "");
}

/* Gives an operand the bits that anybody may see. */
static LLVMValueRef settled_value(struct gen *g, struct operand *o) {
    LLVMValueRef v = value_of(g, o);
    if (!o->raw)
        return v;
    o->raw = false;
    return o->value = gen_canon(g, v);
}

LLVMValueRef gen_peek(struct gen *g, uint32_t below) {
    return value_of(g, &g->frame->stack[g->frame->height - 1 - below]);
}

LLVMValueRef gen_pop_raw(struct gen *g, bool *raw) {
    struct operand *o = &g->frame->stack[--g->frame->height];
    *raw = o->raw;
    return value_of(g, o);
}

LLVMValueRef gen_pop(struct gen *g) {
    return settled_value(g, &g->frame->stack[--g->frame->height]);
}

void gen_sync(struct gen *g, uint32_t from) {
    struct body *f = g->frame;
    for (uint32_t i = from; i < f->height; i++) {
        struct operand *o = &f->stack[i];
        if (!o->value)
            continue;
        LLVMValueRef v = settled_value(g, o);
        LLVMBuildStore(g->b, v, gen_variable(g, o->slot, o->type));
        o->value = NULL;
    }
}

void gen_sync_raw(struct gen *g) {
    for (uint32_t i = 0; i < g->frame->height; i++)
        if (g->frame->stack[i].raw)
            (void)settled_value(g, &g->frame->stack[i]);
}

void gen_settle(struct gen *g, uint32_t to) {
    struct body *f = g->frame;
    for (uint32_t i = 0; i < to; i++) {
        struct operand *o = &f->stack[i];
        if (!o->dirty)
            continue;
        slot_store(g, f->fp, o->slot, o->type, settled_value(g, o));
        o->dirty = false;
    }
}

void join_values(struct gen *g, const uint8_t *types, uint32_t n, uint32_t height) {
    struct body *f = g->frame;
    LLVMValueRef few[16], *v = n <= 16 ? few : mem_alloc(n * sizeof *v);
    for (uint32_t i = 0; i < n; i++)
        v[i] = settled_value(g, &f->stack[f->height - n + i]);
    uint32_t slot = height ? f->stack[height - 1].slot + type_slots(f->stack[height - 1].type) : f->operands_slot;
    for (uint32_t i = 0; i < n; i++) {
        LLVMBuildStore(g->b, v[i], gen_variable(g, slot, types[i]));
        slot += type_slots(types[i]);
    }
    if (v != few)
        mem_free(v);
}

void join_done(struct gen *g, const uint8_t *types, uint32_t n, uint32_t height) {
    g->frame->height = height;
    for (uint32_t i = 0; i < n; i++)
        push_operand(g->frame, types[i]);
}

/* ---- locals -------------------------------------------------------------------------------------------------------
 */

void local_set(struct gen *g, uint32_t local, LLVMValueRef v) {
    LLVMBuildStore(g->b, v, g->frame->locals[local]);
    bit_set(g->frame->dirty, local);
}

LLVMValueRef local_get(struct gen *g, uint32_t local) {
    return LLVMBuildLoad2(g->b, type_of(g->u, g->frame->local_types[local]), g->frame->locals[local], "");
}

static void local_to_slot(struct gen *g, uint32_t local) {
    struct body *f = g->frame;
    LLVMValueRef v = local_get(g, local);
    slot_store(g, f->fp, f->local_slots[local], f->local_types[local], f->raw[local] ? gen_canon(g, v) : v);
}

void gen_flush(struct gen *g) {
    struct body *f = g->frame;
    const uint64_t *live = liveness_at(f->live, g->offset);
    gen_settle(g, f->height);
    for (uint32_t w = 0; w < f->nwords; w++) {
        for (uint64_t left = f->dirty[w] & live[w]; left; left &= left - 1)
            local_to_slot(g, w * 64 + (uint32_t)__builtin_ctzll(left));
        f->dirty[w] &= ~live[w];
    }
}

void gen_flush_cold(struct gen *g) {
    struct body *f = g->frame;
    const uint64_t *live = liveness_at(f->live, g->offset);
    for (uint32_t i = 0; i < f->height; i++) {
        const struct operand *o = &f->stack[i];
        if (!o->dirty)
            continue;
        LLVMValueRef v = value_of(g, o);
        slot_store(g, f->fp, o->slot, o->type, o->raw ? gen_canon(g, v) : v);
    }
    for (uint32_t w = 0; w < f->nwords; w++)
        for (uint64_t left = f->dirty[w] & live[w]; left; left &= left - 1)
            local_to_slot(g, w * 64 + (uint32_t)__builtin_ctzll(left));
}

void settle_locals(struct gen *g, const uint64_t *except) {
    struct body *f = g->frame;
    const uint64_t *live = liveness_at(f->live, g->offset);
    for (uint32_t w = 0; w < f->nwords; w++) {
        uint64_t some = f->dirty[w] & live[w] & ~except[w];
        for (uint64_t left = some; left; left &= left - 1)
            local_to_slot(g, w * 64 + (uint32_t)__builtin_ctzll(left));
        f->dirty[w] &= ~some;
    }
}

void local_from_slot(struct gen *g, uint32_t local) {
    struct body *f = g->frame;
    LLVMBuildStore(g->b, slot_load(g, f->fp, f->local_slots[local], f->local_types[local]), f->locals[local]);
}

void gen_reload(struct gen *g) {
    struct body *f = g->frame;
    const uint64_t *live = liveness_at(f->live, g->offset);
    for (uint32_t i = 0; i < f->height; i++) {
        struct operand *o = &f->stack[i];
        if (o->value && LLVMIsConstant(o->value))
            continue;
        LLVMValueRef v = slot_load(g, f->fp, o->slot, o->type);
        if (o->value)
            o->value = v;
        else
            LLVMBuildStore(g->b, v, gen_variable(g, o->slot, o->type));
    }
    for (uint32_t w = 0; w < f->nwords; w++)
        for (uint64_t left = live[w]; left; left &= left - 1)
            local_from_slot(g, w * 64 + (uint32_t)__builtin_ctzll(left));
    refresh_memory(g);
}
