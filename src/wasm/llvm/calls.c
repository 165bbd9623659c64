/* calls.c: calls, helpers, and what they do to the frame. */
#include "wasm/llvm/frame.h"

#include <stddef.h>

/* ---- helpers ------------------------------------------------------------------------------------------------------
 */

static LLVMTypeRef letter_type(const struct unit *u, char c) {
    switch (c) {
    case 'p': return u->ptr;
    case 'l': return u->i64;
    case 'i': return u->i32;
    default: return LLVMVoidTypeInContext(u->context);
    }
}

LLVMValueRef call_helper(struct gen *g, enum native_helper h, LLVMValueRef *args) {
    static const struct {
        char result[2];
        const char *params;
    } signatures[] = {
#define X(name, result, params) {#result, params},
        NATIVE_HELPERS(X)
#undef X
    };
    LLVMTypeRef params[8];
    unsigned n = 0;
    for (const char *c = signatures[h].params; *c; c++)
        params[n++] = letter_type(g->u, *c);
    LLVMTypeRef result = letter_type(g->u, signatures[h].result[0]);
    LLVMValueRef table = engine_load(g, g->u->ptr, g->frame->x, offsetof(struct wasm_exec, native), true);
    LLVMValueRef fn = engine_load(g, g->u->ptr, table, (uint64_t)h * sizeof(void *), true);
    LLVMValueRef call = LLVMBuildCall2(g->b, LLVMFunctionType(result, params, n, false), fn, args, n, "");
    return signatures[h].result[0] == 'v' ? NULL : call;
}

LLVMValueRef link_here(struct gen *g) {
    return const_i64(g->u, g->offset);
}

LLVMValueRef get_fuel(struct gen *g) {
    return LLVMBuildLoad2(g->b, g->u->i64, g->frame->fuel, "");
}

void set_fuel(struct gen *g, LLVMValueRef v) {
    LLVMBuildStore(g->b, v, g->frame->fuel);
}

void gen_charge(struct gen *g) {
    if (g->frame->ticks && g->u->request->options.count)
        set_fuel(g, LLVMBuildSub(g->b, get_fuel(g), const_i64(g->u, g->frame->ticks), ""));
    g->frame->ticks = 0;
}

void refresh_memory(struct gen *g) {
    struct body *f = g->frame;
    if (!g->u->wasm->nmemories)
        return;
    LLVMValueRef memory = engine_load(g, g->u->ptr, f->x, offsetof(struct wasm_exec, memory), true);
    LLVMBuildStore(g->b, engine_load(g, g->u->ptr, memory, offsetof(struct wasm_memory, data), false), f->base);
    LLVMBuildStore(g->b, engine_load(g, g->u->i64, memory, offsetof(struct wasm_memory, size), false), f->size);
}

/* Calls a thunk of this unit that calls the helper and saves every register, so that what lies around a cold path need
 * not be arranged for it. */
LLVMValueRef call_cold(struct gen *g, enum cold c, LLVMValueRef *args) {
    LLVMValueRef fn = g->u->cold[c];
    LLVMValueRef call = LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, 4, "");
    LLVMSetInstructionCallConv(call, CONVENTION_PRESERVE_ALL);
    return call;
}

/* ---- calls --------------------------------------------------------------------------------------------------------
 */

enum { FEW = 16 };

/* A call being made: arguments off the stack. */
struct passing {
    const struct wasm_functype *type;
    LLVMValueRef few[FEW], *args; /* x, fp and fuel come first */
    uint32_t at;                  /* slot of the first argument in the caller */
    LLVMValueRef nfp;
};

static void passing_begin(struct gen *g, struct passing *p, const struct wasm_functype *type) {
    p->type = type;
    p->args = type->nparams + 3 <= FEW ? p->few : mem_alloc((type->nparams + 3) * sizeof *p->args);
    for (uint32_t i = type->nparams; i-- > 0;)
        p->args[3 + i] = gen_pop(g);
    p->at = gen_top_slot(g->frame);
    p->nfp = NULL;
}

static void passing_end(struct passing *p) {
    if (p->args != p->few)
        mem_free(p->args);
}

static void arguments_to_slots(struct gen *g, const struct passing *p) {
    uint32_t slot = p->at;
    for (uint32_t i = 0; i < p->type->nparams; i++) {
        slot_store(g, g->frame->fp, slot, p->type->params[i], p->args[3 + i]);
        slot += type_slots(p->type->params[i]);
    }
}

static LLVMValueRef call_body(struct gen *g, struct passing *p, LLVMValueRef body, LLVMValueRef fp) {
    p->args[0] = g->frame->x;
    p->args[1] = fp;
    p->args[2] = get_fuel(g);
    LLVMValueRef call = LLVMBuildCall2(g->b, body_type(g->u, p->type), body, p->args, p->type->nparams + 3, "");
    LLVMSetInstructionCallConv(call, g->u->convention);
    return call;
}

/* Fuel out of what a body returned, and the result if there is just one. */
static LLVMValueRef take_returned(struct gen *g, const struct passing *p, LLVMValueRef returned) {
    if (p->type->nresults != 1) {
        set_fuel(g, returned);
        return NULL;
    }
    set_fuel(g, LLVMBuildExtractValue(g->b, returned, 0, ""));
    return LLVMBuildExtractValue(g->b, returned, 1, "");
}

/* A compiled callee at `body`; its only result goes to the variable of its slot. */
static void call_compiled(struct gen *g, struct passing *p, LLVMValueRef body) {
    slot_store(g, g->frame->fp, p->at + p->type->param_slots, WASM_I64, link_here(g));
    LLVMValueRef result = take_returned(g, p, call_body(g, p, body, p->nfp));
    if (result)
        LLVMBuildStore(g->b, result, gen_variable(g, p->at, p->type->results[0]));
}

/* A callee that the engine calls; results in slots, an only one in its variable too. */
static void call_engine(struct gen *g, struct passing *p, enum native_helper h, LLVMValueRef callee) {
    arguments_to_slots(g, p);
    LLVMValueRef args[] = {g->frame->x, g->frame->fp, get_fuel(g), link_here(g), p->nfp, callee};
    set_fuel(g, call_helper(g, h, args));
    if (p->type->nresults == 1)
        LLVMBuildStore(g->b, slot_load(g, g->frame->fp, p->at, p->type->results[0]),
                       gen_variable(g, p->at, p->type->results[0]));
}

/* Behind a call: the fuel is looked at, results are pushed, what is needed comes back. */
static void call_done(struct gen *g, struct passing *p, bool in_slots) {
    struct body *f = g->frame;
    const struct wasm_functype *t = p->type;
    if (g->u->request->options.count) {
        LLVMBasicBlockRef cold = new_block(g, "after");
        LLVMBasicBlockRef on =
            branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntSLT, get_fuel(g), const_i64(g->u, 0), ""), cold);
        LLVMPositionBuilderAtEnd(g->b, cold);
        if (t->nresults == 1 && !in_slots)
            slot_store(g, f->fp, p->at, t->results[0],
                       LLVMBuildLoad2(g->b, type_of(g->u, t->results[0]), gen_variable(g, p->at, t->results[0]), ""));
        LLVMValueRef args[] = {f->x, f->fp, get_fuel(g), link_here(g)};
        set_fuel(g, call_cold(g, COLD_AFTER, args));
        LLVMBuildBr(g->b, on);
        LLVMPositionBuilderAtEnd(g->b, on);
    }
    gen_reload(g);
    if (t->nresults == 1) {
        gen_push(g, t->results[0],
                 LLVMBuildLoad2(g->b, type_of(g->u, t->results[0]), gen_variable(g, p->at, t->results[0]), ""), false);
    } else {
        for (uint32_t i = 0; i < t->nresults; i++) {
            gen_push(g, t->results[i], NULL, false);
            struct operand *o = &f->stack[f->height - 1];
            o->value = slot_load(g, f->fp, o->slot, o->type);
            o->dirty = false;
        }
    }
}

static void call_prepare(struct gen *g, struct passing *p) {
    gen_flush(g);
    gen_charge(g);
    /* as a number, so that LLVM does not keep it in a register for the loads and stores around, which can do without */
    LLVMValueRef fp = LLVMBuildPtrToInt(g->b, g->frame->fp, g->u->i64, "");
    p->nfp = LLVMBuildIntToPtr(g->b, LLVMBuildAdd(g->b, fp, const_i64(g->u, p->at * 8ull), ""), g->u->ptr, "");
}

static const struct wasm_functype *func_type(struct gen *g, uint32_t func) {
    return &g->u->wasm->types[g->u->wasm->funcs[func].type];
}

/* The compiled code of a function of this module that is not in this unit, or null. */
static LLVMValueRef load_native(struct gen *g, uint32_t func) {
    LLVMValueRef codes = engine_load(g, g->u->ptr, g->frame->x, offsetof(struct wasm_exec, codes), true);
    return engine_load(g, g->u->ptr, codes, func * sizeof(struct code) + offsetof(struct code, native), false);
}

static LLVMValueRef is_null(struct gen *g, LLVMValueRef p) {
    return LLVMBuildICmp(g->b, LLVMIntEQ, p, LLVMConstNull(g->u->ptr), "");
}

/* Calls `body` unless it is null, else the engine. `index`: the operand of call_indirect, or NULL. */
static void call_either(struct gen *g, struct passing *p, LLVMValueRef body, LLVMValueRef no_body, enum native_helper h,
                        LLVMValueRef callee, LLVMValueRef index) {
    LLVMBasicBlockRef slow = new_block(g, "slow"), done = new_block(g, "called");
    branch_rarely(g, no_body, slow);
    call_compiled(g, p, body);
    LLVMBuildBr(g->b, done);
    LLVMPositionBuilderAtEnd(g->b, slow);
    if (index) /* a call that parks is made again */
        slot_store(g, g->frame->fp, p->at + p->type->param_slots, WASM_I32, index);
    call_engine(g, p, h, callee);
    LLVMBuildBr(g->b, done);
    LLVMPositionBuilderAtEnd(g->b, done);
}

void call_direct(struct gen *g, uint32_t func) {
    struct passing p;
    bool import = func < g->u->wasm->nimported_funcs;
    LLVMValueRef index = const_i32(g->u, func);
    passing_begin(g, &p, func_type(g, func));
    call_prepare(g, &p);
    if (import) {
        call_engine(g, &p, NATIVE_call, index);
    } else if (g->u->bodies[func]) {
        call_compiled(g, &p, g->u->bodies[func]);
    } else {
        LLVMValueRef body = load_native(g, func);
        call_either(g, &p, body, is_null(g, body), NATIVE_call, index, NULL);
    }
    call_done(g, &p, import);
    passing_end(&p);
}

/* The function that an index into a table means, its type checked; may trap. */
static LLVMValueRef load_function(struct gen *g, LLVMValueRef index, uint32_t type, uint32_t table) {
    struct unit *u = g->u;
    LLVMValueRef instance = engine_load(g, u->ptr, g->frame->x, offsetof(struct wasm_exec, instance), true);
    LLVMValueRef tables = engine_load(g, u->ptr, instance, offsetof(struct wasm_instance, tables), true);
    LLVMValueRef t = engine_load(g, u->ptr, tables, table * sizeof(void *), true);
    LLVMValueRef size = engine_load(g, u->i32, t, offsetof(struct wasm_table, size), false);
    gen_trap_if(g, LLVMBuildICmp(g->b, LLVMIntUGE, index, size, ""), WASM_TRAP_UNDEFINED_ELEMENT);
    LLVMValueRef elems = engine_load(g, u->ptr, t, offsetof(struct wasm_table, elems), false);
    LLVMValueRef wide = LLVMBuildZExt(g->b, index, u->i64, "");
    LLVMValueRef f = LLVMBuildLoad2(g->b, u->ptr, LLVMBuildInBoundsGEP2(g->b, u->ptr, elems, &wide, 1, ""), "");
    set_alias(g, f, ALIAS_ENGINE);
    gen_trap_if(g, is_null(g, f), WASM_TRAP_UNINITIALIZED);
    LLVMValueRef home = engine_load(g, u->ptr, instance, offsetof(struct wasm_instance, code), true);
    LLVMValueRef types = engine_load(g, u->ptr, home, offsetof(struct module_code, types), true);
    LLVMValueRef want = engine_load(g, u->ptr, types, type * sizeof(void *), true);
    LLVMValueRef have = engine_load(g, u->ptr, f, offsetof(struct wasm_func, type), false);
    gen_trap_if(g, LLVMBuildICmp(g->b, LLVMIntNE, have, want, ""), WASM_TRAP_INDIRECT_TYPE);
    return f;
}

/* Its compiled code, or null when it is another instance's, a host function, or not compiled. */
static LLVMValueRef load_native_of(struct gen *g, LLVMValueRef f) {
    struct unit *u = g->u;
    LLVMValueRef mine = engine_load(g, u->ptr, g->frame->x, offsetof(struct wasm_exec, instance), true);
    LLVMValueRef his = engine_load(g, u->ptr, f, offsetof(struct wasm_func, instance), false);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), same = new_block(g, "same"), join = new_block(g, "native");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, mine, his, ""), same, join);
    LLVMPositionBuilderAtEnd(g->b, same);
    LLVMValueRef code = engine_load(g, u->ptr, f, offsetof(struct wasm_func, code), false);
    LLVMValueRef native = engine_load(g, u->ptr, code, offsetof(struct code, native), false);
    LLVMBuildBr(g->b, join);
    LLVMPositionBuilderAtEnd(g->b, join);
    LLVMValueRef phi = LLVMBuildPhi(g->b, u->ptr, ""), none = LLVMConstNull(u->ptr);
    LLVMAddIncoming(phi, &none, &from, 1);
    LLVMAddIncoming(phi, &native, &same, 1);
    return phi;
}

void call_indirect(struct gen *g, uint32_t type, uint32_t table) {
    struct passing p;
    LLVMValueRef index = gen_pop(g), f = load_function(g, index, type, table);
    passing_begin(g, &p, &g->u->wasm->types[type]);
    LLVMValueRef body = load_native_of(g, f);
    call_prepare(g, &p);
    call_either(g, &p, body, is_null(g, body), NATIVE_ref, f, index);
    call_done(g, &p, false);
    passing_end(&p);
}

/* ---- returns ------------------------------------------------------------------------------------------------------
 */

/* `f->height` is what it was before the operands were popped. */
static void results_to_slots(struct gen *g, const struct wasm_functype *t) {
    struct body *f = g->frame;
    LLVMValueRef few[FEW], *v = t->nresults <= FEW ? few : mem_alloc(t->nresults * sizeof *v);
    for (uint32_t i = t->nresults; i-- > 0;)
        v[i] = gen_pop(g);
    uint32_t slot = 0;
    for (uint32_t i = 0; i < t->nresults; i++) {
        slot_store(g, f->fp, slot, t->results[i], v[i]);
        slot += type_slots(t->results[i]);
    }
    if (v != few)
        mem_free(v);
}

void gen_return(struct gen *g) {
    struct body *f = g->frame;
    gen_charge(g);
    if (f->is_loop_entry || f->type->nresults > 1) {
        results_to_slots(g, f->type);
        LLVMBuildRet(g->b, get_fuel(g));
    } else if (f->type->nresults == 0) {
        LLVMBuildRet(g->b, get_fuel(g));
    } else {
        LLVMValueRef v[2];
        v[1] = gen_pop(g);
        v[0] = get_fuel(g);
        LLVMBuildAggregateRet(g->b, v, 2);
    }
}

/* The callee takes this frame's place. The link moves to where the callee expects it. */
static void jump_to_body(struct gen *g, struct passing *p, LLVMValueRef body) {
    struct body *f = g->frame;
    gen_charge(g);
    if (p->type->param_slots != f->type->param_slots)
        slot_store(g, f->fp, p->type->param_slots, WASM_I64, slot_load(g, f->fp, f->type->param_slots, WASM_I64));
    LLVMValueRef returned = call_body(g, p, body, f->fp);
    if (!f->is_loop_entry) {
        LLVMSetTailCallKind(returned, LLVMTailCallKindMustTail);
        LLVMBuildRet(g->b, returned);
        return;
    }
    LLVMValueRef result = take_returned(g, p, returned);
    if (result)
        slot_store(g, f->fp, 0, p->type->results[0], result);
    LLVMBuildRet(g->b, get_fuel(g));
}

/* The interpreter makes the call: everything as it was before the operator. */
static void leave_before_call(struct gen *g, struct passing *p, LLVMValueRef index) {
    struct body *f = g->frame;
    uint32_t ticks = f->ticks;
    f->ticks--; /* the operator itself */
    gen_charge(g);
    f->ticks = ticks;
    gen_flush_cold(g);
    arguments_to_slots(g, p);
    if (index)
        slot_store(g, f->fp, p->at + p->type->param_slots, WASM_I32, index);
    LLVMValueRef args[] = {f->x, f->fp, get_fuel(g), link_here(g)};
    call_helper(g, NATIVE_leave, args);
    LLVMBuildUnreachable(g->b);
}

/* Whether parameters need the C stack. A tail call that has to move it comes out wrong for some callers (LLVM 22: the
 * callee finds another value there), so those are left to the interpreter. */
static bool on_stack(const struct wasm_functype *t) {
    uint32_t words = 3, floats = 0; /* x, fp, fuel */
    for (uint32_t i = 0; i < t->nparams; i++) {
        bool is_float = t->params[i] == WASM_F32 || t->params[i] == WASM_F64 || t->params[i] == WASM_V128;
        words += !is_float;
        floats += is_float;
    }
    return words > 6 || floats > 8;
}

static bool can_jump(const struct gen *g, const struct passing *p) {
    return g->frame->is_loop_entry || (!on_stack(g->frame->type) && !on_stack(p->type));
}

static void trap_if_too_deep(struct gen *g, LLVMValueRef frame_slots) {
    LLVMValueRef end = LLVMBuildInBoundsGEP2(g->b, g->u->i64, g->frame->fp, &frame_slots, 1, "");
    LLVMValueRef limit = engine_load(g, g->u->ptr, g->frame->x, offsetof(struct wasm_exec, stack_end), true);
    gen_trap_if(g, LLVMBuildICmp(g->b, LLVMIntUGT, end, limit, ""), WASM_TRAP_STACK_EXHAUSTED);
}

void return_call(struct gen *g, uint32_t func) {
    if (func < g->u->wasm->nimported_funcs) {
        struct passing p;
        passing_begin(g, &p, func_type(g, func));
        call_prepare(g, &p);
        call_engine(g, &p, NATIVE_call, const_i32(g->u, func));
        for (uint32_t i = 0; i < p.type->nresults; i++) { /* our caller looks at the fuel */
            gen_push(g, p.type->results[i], NULL, false);
            struct operand *o = &g->frame->stack[g->frame->height - 1];
            o->value = slot_load(g, g->frame->fp, o->slot, o->type);
        }
        passing_end(&p);
        gen_return(g);
        return;
    }
    struct passing p;
    passing_begin(g, &p, func_type(g, func));
    if (!can_jump(g, &p)) {
        leave_before_call(g, &p, NULL);
        passing_end(&p);
        return;
    }
    LLVMValueRef body = g->u->bodies[func];
    if (!body) {
        body = load_native(g, func);
        LLVMBasicBlockRef slow = new_block(g, "leave");
        LLVMBasicBlockRef on = branch_rarely(g, is_null(g, body), slow);
        LLVMPositionBuilderAtEnd(g->b, slow);
        leave_before_call(g, &p, NULL);
        LLVMPositionBuilderAtEnd(g->b, on);
    }
    trap_if_too_deep(g, const_i64(g->u, g->u->wasm->funcs[func].frame_slots));
    jump_to_body(g, &p, body);
    passing_end(&p);
}

void return_call_indirect(struct gen *g, uint32_t type, uint32_t table) {
    struct passing p;
    LLVMValueRef index = gen_pop(g), f = load_function(g, index, type, table);
    passing_begin(g, &p, &g->u->wasm->types[type]);
    if (!can_jump(g, &p)) {
        leave_before_call(g, &p, index);
        passing_end(&p);
        return;
    }
    LLVMValueRef body = load_native_of(g, f);
    LLVMBasicBlockRef slow = new_block(g, "leave");
    LLVMBasicBlockRef on = branch_rarely(g, is_null(g, body), slow);
    LLVMPositionBuilderAtEnd(g->b, slow);
    leave_before_call(g, &p, index);
    LLVMPositionBuilderAtEnd(g->b, on);
    LLVMValueRef code = engine_load(g, g->u->ptr, f, offsetof(struct wasm_func, code), false);
    LLVMValueRef slots = engine_load(g, g->u->i32, code, offsetof(struct code, frame_slots), false);
    trap_if_too_deep(g, LLVMBuildZExt(g->b, slots, g->u->i64, ""));
    jump_to_body(g, &p, body);
    passing_end(&p);
}

/* ---- bulk operations ----------------------------------------------------------------------------------------------
 */

void gen_bulk(struct gen *g, enum native_helper h, uint32_t what, uint32_t a, uint32_t b) {
    struct body *f = g->frame;
    uint8_t types[3];
    LLVMValueRef v[3];
    for (int i = 3; i-- > 0;) {
        types[i] = f->stack[f->height - 1].type;
        v[i] = gen_pop(g);
    }
    uint32_t at = gen_top_slot(f);
    gen_flush(g);
    gen_charge(g);
    LLVMValueRef where = slot_address(g, f->fp, at);
    for (uint32_t i = 0; i < 3; i++)
        slot_store(g, where, i, types[i], v[i]);
    LLVMValueRef args[] = {
        f->x, f->fp, get_fuel(g), link_here(g), where, const_i32(g->u, what), const_i32(g->u, a), const_i32(g->u, b)};
    set_fuel(g, call_helper(g, h, args));
    gen_reload(g);
}
