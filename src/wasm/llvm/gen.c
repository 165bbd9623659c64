/* gen.c: a compiler, its units, and the functions in them. */
#include "wasm/llvm/elf.h"
#include "wasm/llvm/frame.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stddef.h>
#include <stdio.h>

/* llvm::CallingConv: Tail guarantees tail calls between functions of any types, and costs every call a little; so it is
 * taken for modules that have such calls. */
enum { CONVENTION_C = 0, CONVENTION_TAIL = 18 };

/* What takes LLVM too long, or needs too much memory, stays interpreted. */
enum { MAX_HOT_OPS = 8000, MAX_OPS = 120000, MAX_LOCALS = 8000, MAX_DEPTH = 4000 };

struct llvm_compiler {
    LLVMTargetMachineRef machine[2]; /* by effort */
    char *triple, *cpu, *features, *target;
    char version[32];
    struct sha256 seen; /* the last module, and whether it has tail calls */
    bool tail_calls;
};

/* ---- small things --------------------------------------------------------------------------------------------------
 */

LLVMValueRef const_i32(const struct unit *u, uint32_t v) {
    return LLVMConstInt(u->i32, v, false);
}

LLVMValueRef const_i64(const struct unit *u, uint64_t v) {
    return LLVMConstInt(u->i64, v, false);
}

LLVMBasicBlockRef new_block(struct gen *g, const char *name) {
    return LLVMAppendBasicBlockInContext(g->u->context, g->fn, name);
}

LLVMBasicBlockRef branch_rarely(struct gen *g, LLVMValueRef cond, LLVMBasicBlockRef rare) {
    LLVMBasicBlockRef on = new_block(g, "");
    LLVMSetMetadata(LLVMBuildCondBr(g->b, cond, rare, on), g->u->prof_kind, g->u->rarely);
    LLVMPositionBuilderAtEnd(g->b, on);
    return on;
}

void set_alias(struct gen *g, LLVMValueRef access, enum alias a) {
    LLVMSetMetadata(access, g->u->tbaa_kind, g->u->alias[a]);
}

LLVMValueRef engine_load(struct gen *g, LLVMTypeRef type, LLVMValueRef base, uint64_t offset, bool invariant) {
    LLVMValueRef index = const_i64(g->u, offset);
    LLVMValueRef v = LLVMBuildLoad2(g->b, type, LLVMBuildInBoundsGEP2(g->b, g->u->i8, base, &index, 1, ""), "");
    set_alias(g, v, ALIAS_ENGINE);
    if (invariant)
        LLVMSetMetadata(v, g->u->invariant_kind, g->u->nothing);
    return v;
}

LLVMValueRef gen_intrinsic(struct gen *g, const char *name, LLVMTypeRef *overload, unsigned noverload,
                           LLVMValueRef *args, unsigned nargs) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    must(id != 0);
    LLVMValueRef fn = LLVMGetIntrinsicDeclaration(g->u->module, id, overload, noverload);
    return LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, args, nargs, "");
}

/* Some dozens of traps end in one block, told by variables where and why; more would make LLVM slow. */
enum { TRAPS_A_BLOCK = 48 };

static void finish_traps(struct gen *g) {
    struct body *f = g->frame;
    if (!f->trap)
        return;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMPositionBuilderAtEnd(g->b, f->trap);
    LLVMValueRef args[] = {f->x, f->fp, LLVMBuildLoad2(g->b, g->u->i64, f->trap_fuel, ""),
                           LLVMBuildLoad2(g->b, g->u->i64, f->trap_link, ""),
                           LLVMBuildLoad2(g->b, g->u->i32, f->trap_kind, "")};
    call_helper(g, NATIVE_trap, args);
    LLVMBuildUnreachable(g->b);
    LLVMPositionBuilderAtEnd(g->b, here);
    f->trap = NULL;
}

void gen_trap_if(struct gen *g, LLVMValueRef cond, enum wasm_trap_kind kind) {
    struct body *f = g->frame;
    if (!f->trap) {
        f->trap = new_block(g, "trap");
        f->trap_link = LLVMBuildAlloca(g->variables, g->u->i64, "");
        f->trap_fuel = LLVMBuildAlloca(g->variables, g->u->i64, "");
        f->trap_kind = LLVMBuildAlloca(g->variables, g->u->i32, "");
        f->ntraps = 0;
    }
    LLVMBasicBlockRef site = new_block(g, "");
    LLVMBasicBlockRef on = branch_rarely(g, cond, site);
    LLVMPositionBuilderAtEnd(g->b, site);
    LLVMBuildStore(g->b, link_here(g), f->trap_link);
    LLVMBuildStore(g->b, const_i32(g->u, kind), f->trap_kind);
    LLVMBuildStore(g->b, LLVMBuildSub(g->b, get_fuel(g), const_i64(g->u, f->ticks), ""), f->trap_fuel);
    LLVMBuildBr(g->b, f->trap);
    LLVMPositionBuilderAtEnd(g->b, on);
    if (++f->ntraps == TRAPS_A_BLOCK)
        finish_traps(g);
}

/* ---- functions ------------------------------------------------------------------------------------------------------
 */

LLVMTypeRef body_type(const struct unit *u, const struct wasm_functype *t) {
    LLVMTypeRef *params = mem_alloc((t->nparams + 3) * sizeof *params);
    params[0] = params[1] = u->ptr;
    params[2] = u->i64;
    for (uint32_t i = 0; i < t->nparams; i++)
        params[3 + i] = type_of(u, t->params[i]);
    LLVMTypeRef result = u->i64;
    if (t->nresults == 1) {
        LLVMTypeRef both[2] = {u->i64, type_of(u, t->results[0])};
        result = LLVMStructTypeInContext(u->context, both, 2, false);
    }
    LLVMTypeRef f = LLVMFunctionType(result, params, t->nparams + 3, false);
    mem_free(params);
    return f;
}

static void add_attribute(const struct unit *u, LLVMValueRef fn, const char *key, const char *value) {
    LLVMAddAttributeAtIndex(
        fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateStringAttribute(u->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value)));
}

static void add_enum_attribute(const struct unit *u, LLVMValueRef fn, const char *name) {
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(u->context, kind, 0));
}

static LLVMValueRef add_function(const struct unit *u, const char *name, LLVMTypeRef type) {
    LLVMValueRef fn = LLVMAddFunction(u->module, name, type);
    LLVMSetVisibility(fn, LLVMHiddenVisibility);
    add_attribute(u, fn, "no-builtins", "");
    add_enum_attribute(u, fn, "nounwind");
    return fn;
}

static LLVMTypeRef enter_type(const struct unit *u) {
    LLVMTypeRef params[3] = {u->ptr, u->ptr, u->i64};
    return LLVMFunctionType(u->i64, params, 3, false);
}

/* Reads the locals' types; false when there are too many. */
static bool read_locals(struct gen *g) {
    struct body *f = g->frame;
    f->nlocals = f->type->nparams + f->func->nlocals;
    if (f->nlocals > MAX_LOCALS)
        return false;
    f->nwords = LIVENESS_WORDS(f->nlocals);
    f->local_types = mem_alloc(f->nlocals + 1);
    f->local_slots = mem_alloc((f->nlocals + 1) * sizeof *f->local_slots);
    f->locals = mem_zalloc((f->nlocals + 1) * sizeof *f->locals);
    f->raw = mem_zalloc(f->nlocals + 1);
    f->dirty = mem_zalloc((f->nwords + 1) * sizeof *f->dirty);
    uint32_t n = f->type->nparams, slot = 0;
    memcpy(f->local_types, f->type->params, n);
    const uint8_t *p = f->func->locals_code;
    for (uint32_t groups = read_leb(&p); groups; groups--) {
        uint32_t count = read_leb(&p);
        memset(f->local_types + n, *p++, count);
        n += count;
    }
    must(n == f->nlocals);
    for (uint32_t i = 0; i < n; i++) {
        if (i == f->type->nparams)
            slot++; /* the link */
        f->local_slots[i] = slot;
        slot += type_slots(f->local_types[i]);
    }
    f->operands_slot = slot + (n == f->type->nparams);
    return true;
}

/* Whether all NaNs that the operator can make are the canonical one, had it been made so. */
static bool makes_canonical(const struct insn *i) {
    switch (i->op) {
    case OP_F32_CONST: return (i->k & 0x7fffffff) <= 0x7f800000;
    case OP_F64_CONST: return (i->k & INT64_MAX) <= 0x7ff0000000000000;
    case OP_F32_DEMOTE_F64:
    case OP_F64_PROMOTE_F32: return true;
    default:
        return (i->op >= OP_F32_CEIL && i->op <= OP_F32_MAX) || (i->op >= OP_F64_CEIL && i->op <= OP_F64_MAX) ||
               (i->op >= OP_F32_CONVERT_I32_S && i->op <= OP_F32_CONVERT_I64_U) ||
               (i->op >= OP_F64_CONVERT_I32_S && i->op <= OP_F64_CONVERT_I64_U);
    }
}

/* What loops assign and whether they call; whether there are any of both. False: nested too deeply. */
static bool scan(struct gen *g) {
    struct body *f = g->frame;
    const uint8_t *file = g->u->wasm->bytes.data;
    uint32_t end = (uint32_t)(f->func->end - file), cap = 0, depth = 0;
    int32_t open[MAX_DEPTH]; /* the loop a block is, or -1 */
    struct insn before = {0};
    f->leaf = true;
    for (uint32_t i = f->type->nparams; i < f->nlocals; i++)
        f->raw[i] = f->local_types[i] == WASM_F32 || f->local_types[i] == WASM_F64;
    for (uint32_t at = f->func->offset; at < end;) {
        struct insn i;
        read_insn(file, at, &i);
        at = i.next;
        switch (i.op) {
        case OP_LOOP:
            if (f->nloops == cap) {
                cap = cap ? cap * 2 : 16;
                f->loops = mem_realloc(f->loops, cap * sizeof *f->loops);
            }
            f->loops[f->nloops] =
                (struct loop_facts){.offset = i.offset, .assigns = mem_zalloc((f->nwords + 1) * sizeof(uint64_t))};
            f->leaf = false;
            if (depth == MAX_DEPTH)
                return false;
            open[depth++] = (int32_t)f->nloops++;
            break;
        case OP_BLOCK:
        case OP_IF:
            if (depth == MAX_DEPTH)
                return false;
            open[depth++] = -1;
            break;
        case OP_END:
            if (depth)
                depth--;
            break;
        case OP_CALL:
        case OP_CALL_INDIRECT:
        case OP_RETURN_CALL:
        case OP_RETURN_CALL_INDIRECT:
        case OP_MEMORY_FILL:
        case OP_MEMORY_COPY:
        case OP_MEMORY_INIT:
        case OP_TABLE_FILL:
        case OP_TABLE_COPY:
        case OP_TABLE_INIT:
            f->leaf = false;
            for (uint32_t d = 0; d < depth; d++)
                if (open[d] >= 0)
                    f->loops[open[d]].calls = true;
            break;
        case OP_LOCAL_SET:
        case OP_LOCAL_TEE:
            if (!makes_canonical(&before))
                f->raw[i.a] = false;
            for (uint32_t d = 0; d < depth; d++)
                if (open[d] >= 0)
                    bit_set(f->loops[open[d]].assigns, i.a);
            break;
        default: break;
        }
        before = i;
    }
    return true;
}

static LLVMValueRef stack_pointer(struct gen *g) {
    const char *name = strncmp(LLVMGetTarget(g->u->module), "aarch64", 7) == 0 ? "sp" : "rsp";
    LLVMMetadataRef string = LLVMMDStringInContext2(g->u->context, name, strlen(name));
    LLVMMetadataRef node = LLVMMDNodeInContext2(g->u->context, &string, 1);
    LLVMValueRef arg = LLVMMetadataAsValue(g->u->context, node);
    return gen_intrinsic(g, "llvm.read_register", &g->u->i64, 1, &arg, 1);
}

static LLVMValueRef to_int(struct gen *g, LLVMValueRef p) {
    return LLVMBuildPtrToInt(g->b, p, g->u->i64, "");
}

/* Depth, the machine's stack, and fuel, in one comparison: whichever is exceeded makes the sum of the bits negative. */
static void check_entry(struct gen *g) {
    struct body *f = g->frame;
    const struct unit *u = g->u;
    LLVMValueRef limit = engine_load(g, u->i64, f->x, offsetof(struct wasm_exec, stack_end), true);
    LLVMValueRef top = LLVMBuildAdd(g->b, to_int(g, f->fp), const_i64(u, f->func->frame_slots * 8ull), "");
    LLVMValueRef bad = LLVMBuildSub(g->b, limit, top, "");
    if (!f->leaf) {
        LLVMValueRef low = engine_load(g, u->i64, f->x, offsetof(struct wasm_exec, native_limit), true);
        bad = LLVMBuildOr(g->b, bad, LLVMBuildSub(g->b, stack_pointer(g), low, ""), "");
        if (u->request->options.count)
            bad = LLVMBuildOr(g->b, bad, get_fuel(g), "");
    }
    LLVMBasicBlockRef cold = new_block(g, "entry.cold");
    LLVMBasicBlockRef on = branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntSLT, bad, const_i64(u, 0), ""), cold);
    LLVMPositionBuilderAtEnd(g->b, cold);
    for (uint32_t i = 0; i < f->type->nparams; i++)
        slot_store(g, f->fp, f->local_slots[i], f->local_types[i], LLVMGetParam(g->fn, 3 + i));
    LLVMValueRef args[] = {f->x, f->fp, get_fuel(g), const_i64(u, f->func->offset)};
    set_fuel(g, call_cold(g, COLD_ENTRY, args));
    LLVMBuildBr(g->b, on);
    LLVMPositionBuilderAtEnd(g->b, on);
}

static void begin_function(struct gen *g) {
    struct body *f = g->frame;
    f->x = LLVMGetParam(g->fn, 0);
    f->fp = LLVMGetParam(g->fn, 1);
    f->entry = new_block(g, "");
    LLVMPositionBuilderAtEnd(g->variables, f->entry);
    f->fuel = LLVMBuildAlloca(g->variables, g->u->i64, "");
    f->base = LLVMBuildAlloca(g->variables, g->u->ptr, "");
    f->size = LLVMBuildAlloca(g->variables, g->u->i64, "");
    for (uint32_t i = 0; i < f->nlocals; i++)
        f->locals[i] = LLVMBuildAlloca(g->variables, type_of(g->u, f->local_types[i]), "");
    f->start = new_block(g, "start");
    LLVMPositionBuilderAtEnd(g->b, f->start);
    set_fuel(g, LLVMGetParam(g->fn, 2));
    if (!f->is_loop_entry)
        check_entry(g);
    for (uint32_t i = 0; i < f->nlocals; i++) {
        LLVMTypeRef type = type_of(g->u, f->local_types[i]);
        bool param = !f->is_loop_entry && i < f->type->nparams;
        LLVMBuildStore(g->b, param ? LLVMGetParam(g->fn, 3 + i) : LLVMConstNull(type), f->locals[i]);
        bit_set(f->dirty, i);
    }
    refresh_memory(g);
}

/* The start of a loop entry: the frame out of its slots, then into the loop. Called at its head, `head` being it. */
void begin_at_loop(struct gen *g, LLVMBasicBlockRef head) {
    struct body *f = g->frame;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    f->start = new_block(g, "resume");
    LLVMPositionBuilderAtEnd(g->b, f->start);
    set_fuel(g, LLVMGetParam(g->fn, 2));
    for (uint32_t i = 0; i < f->nlocals; i++)
        local_from_slot(g, i);
    for (uint32_t i = 0; i < f->height; i++) {
        const struct operand *o = &f->stack[i];
        LLVMBuildStore(g->b, slot_load(g, f->fp, o->slot, o->type), gen_variable(g, o->slot, o->type));
    }
    refresh_memory(g);
    LLVMBuildBr(g->b, head);
    LLVMPositionBuilderAtEnd(g->b, here);
}

static void frame_free(struct body *f) {
    mem_free(f->local_types);
    mem_free(f->local_slots);
    mem_free(f->locals);
    mem_free(f->raw);
    mem_free(f->dirty);
    liveness_free(f->live);
    mem_free(f->stack);
    mem_free(f->variables);
    mem_free(f->accesses);
    mem_free(f->controls);
    for (uint32_t i = 0; i < f->nloops; i++)
        mem_free(f->loops[i].assigns);
    mem_free(f->loops);
}

/* Where compiled code may leave for the interpreter at an access, the frame is written too. */
static struct liveness *live_locals(struct gen *g) {
    struct body *f = g->frame;
    uint32_t *also = mem_alloc((f->naccesses + 1) * sizeof *also), n = 0;
    for (uint32_t i = 0; i < f->naccesses; i++)
        if (f->accesses[i].how == ACCESS_WIDE)
            also[n++] = f->accesses[i].offset;
    struct liveness *l = liveness_new(g->u->wasm, f->index, also, n);
    mem_free(also);
    return l;
}

/* Generates a body into `fn`, from its entry or (loop != 0) from a loop on. */
static bool gen_function(struct unit *u, LLVMValueRef fn, uint32_t func, uint32_t loop) {
    struct body f = {
        .func = &u->wasm->funcs[func],
        .index = func,
        .type = &u->wasm->types[u->wasm->funcs[func].type],
        .is_loop_entry = loop != 0,
        .start_loop = loop,
    };
    struct gen g = {.u = u, .fn = fn, .frame = &f};
    bool ok = read_locals(&g) && scan(&g);
    if (ok) {
        g.b = LLVMCreateBuilderInContext(u->context);
        g.variables = LLVMCreateBuilderInContext(u->context);
        checks_find(&g);
        f.live = live_locals(&g);
        f.variables = mem_zalloc((f.func->frame_slots + 2) * sizeof *f.variables);
        begin_function(&g);
        gen_body(&g);
        finish_traps(&g);
        LLVMBuildBr(g.variables, f.start);
        LLVMDisposeBuilder(g.b);
        LLVMDisposeBuilder(g.variables);
    }
    frame_free(&f);
    return ok;
}

/* What the engine calls: parameters out of slots, an only result into its slot. */
static void gen_enter(struct unit *u, uint32_t func) {
    char name[32];
    const struct wasm_functype *t = &u->wasm->types[u->wasm->funcs[func].type];
    snprintf(name, sizeof name, "e%u", func);
    struct body f = {0};
    struct gen g = {.u = u, .fn = add_function(u, name, enter_type(u)), .frame = &f};
    g.b = LLVMCreateBuilderInContext(u->context);
    LLVMPositionBuilderAtEnd(g.b, new_block(&g, ""));
    LLVMValueRef fp = LLVMGetParam(g.fn, 1);
    LLVMValueRef *args = mem_alloc((t->nparams + 3) * sizeof *args);
    uint32_t slot = 0;
    for (unsigned i = 0; i < 3; i++)
        args[i] = LLVMGetParam(g.fn, i);
    for (uint32_t i = 0; i < t->nparams; i++) {
        args[3 + i] = slot_load(&g, fp, slot, t->params[i]);
        slot += type_slots(t->params[i]);
    }
    LLVMValueRef call = LLVMBuildCall2(g.b, body_type(u, t), u->bodies[func], args, t->nparams + 3, "");
    LLVMSetInstructionCallConv(call, u->convention);
    if (t->nresults == 1) {
        slot_store(&g, fp, 0, t->results[0], LLVMBuildExtractValue(g.b, call, 1, ""));
        call = LLVMBuildExtractValue(g.b, call, 0, "");
    }
    LLVMBuildRet(g.b, call);
    LLVMDisposeBuilder(g.b);
    mem_free(args);
}

static void gen_cold(struct unit *u, enum cold c, enum native_helper h, const char *name) {
    LLVMTypeRef params[4] = {u->ptr, u->ptr, u->i64, u->i64};
    struct body f = {0};
    struct gen g = {.u = u, .frame = &f};
    g.fn = u->cold[c] = add_function(u, name, LLVMFunctionType(u->i64, params, 4, false));
    LLVMSetVisibility(g.fn, LLVMDefaultVisibility);
    LLVMSetLinkage(g.fn, LLVMInternalLinkage);
    LLVMSetFunctionCallConv(g.fn, CONVENTION_PRESERVE_ALL);
    add_enum_attribute(u, g.fn, "noinline");
    add_enum_attribute(u, g.fn, "cold");
    g.b = LLVMCreateBuilderInContext(u->context);
    LLVMPositionBuilderAtEnd(g.b, new_block(&g, ""));
    LLVMValueRef args[4];
    for (unsigned i = 0; i < 4; i++)
        args[i] = LLVMGetParam(g.fn, i);
    f.x = args[0];
    LLVMBuildRet(g.b, call_helper(&g, h, args));
    LLVMDisposeBuilder(g.b);
}

/* ---- units ----------------------------------------------------------------------------------------------------------
 */

static LLVMValueRef metadata(struct unit *u, LLVMMetadataRef *parts, unsigned n) {
    return LLVMMetadataAsValue(u->context, LLVMMDNodeInContext2(u->context, parts, n));
}

static LLVMMetadataRef string(struct unit *u, const char *s) {
    return LLVMMDStringInContext2(u->context, s, strlen(s));
}

static LLVMMetadataRef number(LLVMTypeRef type, uint64_t v) {
    return LLVMValueAsMetadata(LLVMConstInt(type, v, false));
}

static unsigned kind_id(struct unit *u, const char *name) {
    return LLVMGetMDKindIDInContext(u->context, name, (unsigned)strlen(name));
}

static void unit_metadata(struct unit *u) {
    static const char *const names[ALIAS_COUNT] = {"slot", "linear", "engine", "global"};
    LLVMMetadataRef weights[3] = {string(u, "branch_weights"), number(u->i32, 1), number(u->i32, 1 << 20)};
    LLVMMetadataRef root = string(u, "aeon");
    root = LLVMMDNodeInContext2(u->context, &root, 1);
    u->prof_kind = kind_id(u, "prof");
    u->tbaa_kind = kind_id(u, "tbaa");
    u->invariant_kind = kind_id(u, "invariant.load");
    u->rarely = metadata(u, weights, 3);
    u->nothing = metadata(u, NULL, 0);
    for (unsigned i = 0; i < ALIAS_COUNT; i++) {
        LLVMMetadataRef type[3] = {string(u, names[i]), root, number(u->i64, 0)};
        LLVMMetadataRef t = LLVMMDNodeInContext2(u->context, type, 3);
        LLVMMetadataRef tag[3] = {t, t, number(u->i64, 0)};
        u->alias[i] = metadata(u, tag, 3);
    }
}

static bool has_tail_calls(const struct wasm_module *m) {
    for (uint32_t f = m->nimported_funcs; f < m->nfuncs; f++) {
        uint32_t end = (uint32_t)(m->funcs[f].end - m->bytes.data);
        for (uint32_t at = m->funcs[f].offset; at < end;) {
            struct insn i;
            read_insn(m->bytes.data, at, &i);
            at = i.next;
            if (i.op == OP_RETURN_CALL || i.op == OP_RETURN_CALL_INDIRECT)
                return true;
        }
    }
    return false;
}

static void unit_init(struct unit *u, struct llvm_compiler *c, const struct llvm_request *r) {
    *u = (struct unit){.context = LLVMContextCreate(), .wasm = r->module, .request = r};
    const struct sha256 *hash = wasm_module_hash(r->module); /* another one may lie where the last was */
    if (memcmp(&c->seen, hash, sizeof *hash) != 0) {
        c->seen = *hash;
        c->tail_calls = has_tail_calls(r->module);
    }
    u->convention = c->tail_calls ? CONVENTION_TAIL : CONVENTION_C;
    u->module = LLVMModuleCreateWithNameInContext("aeon", u->context);
    LLVMSetTarget(u->module, c->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(c->machine[0]);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMDisposeTargetData(layout);
    u->i1 = LLVMInt1TypeInContext(u->context);
    u->i8 = LLVMInt8TypeInContext(u->context);
    u->i16 = LLVMInt16TypeInContext(u->context);
    u->i32 = LLVMInt32TypeInContext(u->context);
    u->i64 = LLVMInt64TypeInContext(u->context);
    u->f32 = LLVMFloatTypeInContext(u->context);
    u->f64 = LLVMDoubleTypeInContext(u->context);
    u->ptr = LLVMPointerTypeInContext(u->context, 0);
    u->v128 = LLVMVectorType(u->i64, 2);
    u->bodies = mem_zalloc((r->module->nfuncs + 1) * sizeof *u->bodies);
    unit_metadata(u);
}

static void unit_deinit(struct unit *u) {
    mem_free(u->bodies);
    LLVMDisposeModule(u->module);
    LLVMContextDispose(u->context);
}

/* Declares what is to be compiled; leaves out what is too large. */
static uint32_t declare(struct unit *u) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->request->nfuncs; i++) {
        uint32_t func = u->request->funcs[i];
        const struct module_func *f = &u->wasm->funcs[func];
        const struct wasm_functype *t = &u->wasm->types[f->type];
        if (f->nops > MAX_OPS || f->nlocals + t->nparams > MAX_LOCALS)
            continue;
        char name[32];
        snprintf(name, sizeof name, "b%u", func);
        u->bodies[func] = add_function(u, name, body_type(u, t));
        LLVMSetFunctionCallConv(u->bodies[func], u->convention);
        n++;
    }
    return n;
}

static enum status define(struct unit *u, struct err *e) {
    const struct llvm_request *r = u->request;
    gen_cold(u, COLD_ENTRY, NATIVE_entry, "cold.entry");
    gen_cold(u, COLD_LOOP, NATIVE_loop, "cold.loop");
    gen_cold(u, COLD_AFTER, NATIVE_after, "cold.after");
    for (uint32_t i = 0; i < r->nfuncs; i++) {
        uint32_t func = r->funcs[i];
        if (!u->bodies[func])
            continue;
        if (!gen_function(u, u->bodies[func], func, 0))
            return err_set(e, ST_LIMIT, "function %u is nested too deeply", func);
        gen_enter(u, func);
    }
    for (uint32_t i = 0; i < r->nloops; i++) {
        char name[32];
        const struct llvm_loop *l = &r->loops[i];
        if (!u->bodies[l->func])
            continue;
        snprintf(name, sizeof name, "l%u_%u", l->func, l->offset);
        if (!gen_function(u, add_function(u, name, enter_type(u)), l->func, l->offset))
            return err_set(e, ST_LIMIT, "function %u is nested too deeply", l->func);
    }
    return ST_OK;
}

/* Guests were optimized when they were made, so that warm code needs only what tidies up after us. Loops that look at
 * the fuel are not vectorized; not trying saves time. */
static const char warm_passes[] = "function(sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>)";
static const char hot_passes[] = "default<O2>";

/* Large functions get what warm code gets: the rest would take minutes, and find little in them. */
static bool is_hot(const struct unit *u) {
    for (uint32_t i = 0; i < u->request->nfuncs; i++)
        if (u->bodies[u->request->funcs[i]] && u->wasm->funcs[u->request->funcs[i]].nops > MAX_HOT_OPS)
            return false;
    return u->request->options.effort >= 2;
}

static enum status optimize(struct llvm_compiler *c, struct unit *u, struct err *e) {
    bool hot = is_hot(u);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopVectorization(options, !u->request->options.count);
    LLVMPassBuilderOptionsSetSLPVectorization(options, !u->request->options.count);
    LLVMErrorRef failed = LLVMRunPasses(u->module, hot ? hot_passes : warm_passes, c->machine[hot], options);
    LLVMDisposePassBuilderOptions(options);
    if (!failed)
        return ST_OK;
    char *text = LLVMGetErrorMessage(failed);
    enum status s = err_set(e, ST_UNSUPPORTED, "LLVM: %s", text);
    LLVMDisposeErrorMessage(text);
    return s;
}

static enum status emit(struct llvm_compiler *c, struct unit *u, struct buf *object, struct err *e) {
    LLVMMemoryBufferRef elf;
    char *text = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(c->machine[is_hot(u)], u->module, LLVMObjectFile, &text, &elf)) {
        enum status s = err_set(e, ST_UNSUPPORTED, "LLVM: %s", text);
        LLVMDisposeMessage(text);
        return s;
    }
    enum status s =
        llvm_link(SPAN((const uint8_t *)LLVMGetBufferStart(elf), LLVMGetBufferSize(elf)), u->wasm, object, e);
    LLVMDisposeMemoryBuffer(elf);
    return s;
}

enum status llvm_compile(struct llvm_compiler *c, const struct llvm_request *r, struct buf *object, struct err *e) {
    struct unit u;
    unit_init(&u, c, r);
    enum status s = ST_OK;
    if (!declare(&u))
        s = err_set(e, ST_LIMIT, "nothing to compile: too large");
    if (!s)
        s = define(&u, e);
#ifndef NDEBUG
    if (!s) {
        char *text = NULL;
        if (LLVMVerifyModule(u.module, LLVMReturnStatusAction, &text))
            s = err_set(e, ST_INVALID, "LLVM: %s", text);
        LLVMDisposeMessage(text);
    }
#endif
    if (!s)
        s = optimize(c, &u, e);
    if (!s)
        s = emit(c, &u, object, e);
    unit_deinit(&u);
    return s;
}

/* ---- compilers ------------------------------------------------------------------------------------------------------
 */

enum status llvm_compiler_new(struct llvm_compiler **out, struct err *e) {
    if (LLVMInitializeNativeTarget() || LLVMInitializeNativeAsmPrinter())
        return err_set(e, ST_UNSUPPORTED, "LLVM has no code generator for this machine");
    struct llvm_compiler *c = mem_zalloc(sizeof *c);
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    snprintf(c->version, sizeof c->version, "%u.%u.%u", major, minor, patch);
    c->triple = LLVMGetDefaultTargetTriple();
    c->cpu = LLVMGetHostCPUName();
    c->features = LLVMGetHostCPUFeatures();
    bool x86 = strncmp(c->triple, "x86_64", 6) == 0, arm = strncmp(c->triple, "aarch64", 7) == 0;
    if ((!x86 && !arm) || (x86 && !strstr(c->features, "+sse4.1"))) {
        llvm_compiler_free(c);
        return err_set(e, ST_UNSUPPORTED, "code is made for x86-64 with SSE4.1 and for AArch64 only");
    }
    LLVMTargetRef target;
    char *text = NULL;
    if (LLVMGetTargetFromTriple(c->triple, &target, &text)) {
        enum status s = err_set(e, ST_UNSUPPORTED, "LLVM: %s", text);
        LLVMDisposeMessage(text);
        llvm_compiler_free(c);
        return s;
    }
    for (int hot = 0; hot < 2; hot++)
        c->machine[hot] = LLVMCreateTargetMachine(target, c->triple, c->cpu, c->features,
                                                  hot ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelLess, LLVMRelocPIC,
                                                  LLVMCodeModelSmall);
    size_t n = strlen(c->triple) + strlen(c->cpu) + strlen(c->features) + 3;
    c->target = mem_alloc(n);
    snprintf(c->target, n, "%s %s %s", c->triple, c->cpu, c->features);
    *out = c;
    return ST_OK;
}

void llvm_compiler_free(struct llvm_compiler *c) {
    if (!c)
        return;
    for (int hot = 0; hot < 2; hot++)
        if (c->machine[hot])
            LLVMDisposeTargetMachine(c->machine[hot]);
    LLVMDisposeMessage(c->triple);
    LLVMDisposeMessage(c->cpu);
    LLVMDisposeMessage(c->features);
    mem_free(c->target);
    mem_free(c);
}

const char *llvm_version(const struct llvm_compiler *c) {
    return c->version;
}

const char *llvm_target(const struct llvm_compiler *c) {
    return c->target;
}
