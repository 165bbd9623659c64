/* Every operator that gen_operator generates, compiled for several processors and run, against num.h and simd.h: the
 * same bits and the same traps.  And: no code that calls a library comes of any of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Object.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "tests/num/cases.h"
#include "wasm/llvm/frame.h"
#include "wasm/num.h"

/* ---- what numeric.c expects of the rest of the generator ----------------------------------------------------------
 *
 * A function here: the trap's kind  f(operands, result, memory, index). */

typedef uint32_t operator_fn(const union ref_value *in, union ref_value *out, uint8_t *memory, uint32_t index);

enum { OFFSET = 3, INDEX = 5, SHUFFLES = 24 };

static unsigned address_size; /* of the last gen_address */

LLVMBasicBlockRef new_block(struct gen *g, const char *name) {
    return LLVMAppendBasicBlockInContext(g->u->context, g->fn, name);
}

LLVMBasicBlockRef branch_rarely(struct gen *g, LLVMValueRef cond, LLVMBasicBlockRef rare) {
    LLVMBasicBlockRef on = new_block(g, "");
    LLVMSetMetadata(LLVMBuildCondBr(g->b, cond, rare, on), g->u->prof_kind, g->u->rarely);
    LLVMPositionBuilderAtEnd(g->b, on);
    return on;
}

void gen_trap_if(struct gen *g, LLVMValueRef cond, enum wasm_trap_kind kind) {
    LLVMBasicBlockRef trap = new_block(g, "trap");
    LLVMBasicBlockRef on = branch_rarely(g, cond, trap);
    LLVMPositionBuilderAtEnd(g->b, trap);
    LLVMBuildRet(g->b, LLVMConstInt(g->u->i32, kind, 0));
    LLVMPositionBuilderAtEnd(g->b, on);
}

LLVMValueRef gen_intrinsic(struct gen *g, const char *name, LLVMTypeRef *overload, unsigned noverload,
                           LLVMValueRef *args, unsigned nargs) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (!id)
        fail_msg("%s is no intrinsic", name);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->u->module, id, overload, noverload);
    return LLVMBuildCall2(g->b, LLVMIntrinsicGetType(g->u->context, id, overload, noverload), f, args, nargs, "");
}

LLVMValueRef gen_address(struct gen *g, LLVMValueRef index, uint32_t offset, uint32_t size) {
    address_size = size;
    LLVMValueRef at =
        LLVMBuildAdd(g->b, LLVMBuildZExt(g->b, index, g->u->i64, ""), LLVMConstInt(g->u->i64, offset, 0), "");
    return LLVMBuildGEP2(g->b, g->u->i8, LLVMGetParam(g->fn, 2), &at, 1, "");
}

LLVMValueRef gen_load(struct gen *g, LLVMTypeRef type, LLVMValueRef address) {
    LLVMValueRef v = LLVMBuildLoad2(g->b, type, address, "");
    LLVMSetAlignment(v, 1);
    return v;
}

void gen_store(struct gen *g, LLVMValueRef value, LLVMValueRef address) {
    LLVMSetAlignment(LLVMBuildStore(g->b, value, address), 1);
}

/* ---- generating ----------------------------------------------------------------------------------------------------
 */

/* One operator; or two, the result of the first being an operand of the second. The second may be a select, between the
 * operands of the first. */
struct function {
    enum wasm_op op;
    unsigned variant; /* the lane, or which of the shuffles */
    unsigned fixed;   /* bit k: operand k is the constant in operands[k] */
    union ref_value operands[2];
    enum wasm_op then;
    enum { FIRST = 1, SECOND = 2 } place; /* of the result in `then`; where it is not, operand 2 of the case is */
    operator_fn *code;
};

static struct function *functions;
static unsigned nfunctions, functions_cap;

static void add_function(struct function f) {
    if (nfunctions == functions_cap) {
        functions_cap = functions_cap * 2 + 512;
        functions = mem_realloc(functions, functions_cap * sizeof *functions);
    }
    functions[nfunctions++] = f;
}

static uint8_t shuffles[SHUFFLES][16];

static void make_shuffles(void) {
    for (unsigned k = 0; k < SHUFFLES; k++)
        for (unsigned i = 0; i < 16; i++) {
            static const uint8_t step[] = {1, 2, 3, 0, 31};
            unsigned lane = k < 15 ? k / 5 * 7 + i * step[k % 5] : (k + 1) * 2654435761u * (i + 7) >> 13;
            shuffles[k][i] = lane % 32;
        }
}

static unsigned variants(enum wasm_op op) {
    return wasm_op_infos[op].imm == IMM_SHUFFLE ? SHUFFLES : num_immediate_lanes(op);
}

static bool is_store(enum wasm_op op) {
    return wasm_op_infos[op].imm == IMM_STORE || wasm_op_infos[op].imm == IMM_STORE_LANE;
}

static bool is_memory(enum wasm_op op) {
    return is_store(op) || wasm_op_infos[op].imm == IMM_LOAD || wasm_op_infos[op].imm == IMM_LOAD_LANE;
}

/* The letters of the operands but an address, and of the result, 0 for none. */
static unsigned signature(enum wasm_op op, const char **operands, char *result) {
    const char *sig = wasm_op_infos[op].sig, *end = strchr(sig, '_');
    *operands = sig + is_memory(op);
    *result = end[1];
    return (unsigned)(end - *operands);
}

static LLVMTypeRef letter_type(const struct unit *u, char c) {
    return c == 'i' ? u->i32 : c == 'I' ? u->i64 : c == 'f' ? u->f32 : c == 'F' ? u->f64 : u->v128;
}

static LLVMValueRef constant(const struct unit *u, char type, const union ref_value *v) {
    LLVMValueRef low = LLVMConstInt(u->i64, v->slot[0], 0), lanes[] = {low, LLVMConstInt(u->i64, v->slot[1], 0)};
    switch (type) {
    case 'i': return LLVMConstInt(u->i32, (uint32_t)v->slot[0], 0);
    case 'f': return LLVMConstBitCast(LLVMConstInt(u->i32, (uint32_t)v->slot[0], 0), u->f32);
    case 'I': return low;
    case 'F': return LLVMConstBitCast(low, u->f64);
    default: return LLVMConstVector(lanes, 2);
    }
}

/* Operand k of the case. */
static LLVMValueRef operand(struct gen *g, char type, unsigned k) {
    LLVMValueRef at = LLVMConstInt(g->u->i64, 16 * k, 0);
    return gen_load(g, letter_type(g->u, type), LLVMBuildGEP2(g->b, g->u->i8, LLVMGetParam(g->fn, 0), &at, 1, ""));
}

static LLVMValueRef generate_then(struct gen *g, const struct function *f, LLVMValueRef v, bool *raw,
                                  const LLVMValueRef *operands) {
    const char *types;
    char to;
    if (f->then == OP_SELECT) {
        LLVMValueRef yes = LLVMBuildICmp(g->b, LLVMIntNE, v, LLVMConstInt(g->u->i32, 0, 0), "");
        return LLVMBuildSelect(g->b, yes, operands[f->place == SECOND], operands[f->place == FIRST], "");
    }
    unsigned n = signature(f->then, &types, &to);
    if (*raw && !gen_takes_raw(f->then))
        v = gen_canon(g, v);
    struct operands in = {.lane = 0};
    for (unsigned k = 0; k < n; k++)
        in.v[k] = f->place & (1u << k) ? v : operand(g, types[k], 2);
    return gen_operator(g, f->then, &in, raw);
}

static void generate(struct gen *g, const struct function *f, const char *name) {
    struct unit *u = g->u;
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->ptr, u->i32};
    g->fn = LLVMAddFunction(u->module, name, LLVMFunctionType(u->i32, params, 4, 0));
    LLVMPositionBuilderAtEnd(g->b, new_block(g, ""));
    struct operands in = {.lane = f->variant, .memory_offset = OFFSET, .shuffle = shuffles[f->variant % SHUFFLES]};
    const char *types;
    char to;
    unsigned n = signature(f->op, &types, &to), at = is_memory(f->op);
    if (at)
        in.v[0] = LLVMGetParam(g->fn, 3);
    for (unsigned k = 0; k < n; k++)
        in.v[at + k] = f->fixed & (1u << k) ? constant(u, types[k], &f->operands[k]) : operand(g, types[k], k);
    bool raw = true;
    address_size = 0;
    LLVMValueRef v = gen_operator(g, f->op, &in, &raw);
    assert_int_equal(address_size, is_memory(f->op) ? 1 << wasm_op_infos[f->op].align : 0);
    if (f->then != OP_COUNT) {
        v = generate_then(g, f, v, &raw, in.v);
        if (f->then == OP_SELECT)
            to = *types;
        else
            signature(f->then, &types, &to);
    }
    assert_true(v ? LLVMTypeOf(v) == letter_type(u, to) : !to);
    assert_false(raw && to != 'f' && to != 'F');
    if (raw)
        v = gen_canon(g, v);
    if (v)
        gen_store(g, v, LLVMGetParam(g->fn, 1));
    LLVMBuildRet(g->b, LLVMConstInt(u->i32, WASM_TRAP_NONE, 0));
}

static void set_attribute(struct unit *u, LLVMValueRef fn, const char *name, const char *value) {
    LLVMAttributeRef a =
        LLVMCreateStringAttribute(u->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, a);
}

static void unit_init(struct unit *u, const char *triple) {
    LLVMContextRef c = LLVMContextCreate();
    *u = (struct unit){
        .context = c,
        .module = LLVMModuleCreateWithNameInContext("operators", c),
        .i1 = LLVMInt1TypeInContext(c),
        .i8 = LLVMInt8TypeInContext(c),
        .i16 = LLVMInt16TypeInContext(c),
        .i32 = LLVMInt32TypeInContext(c),
        .i64 = LLVMInt64TypeInContext(c),
        .f32 = LLVMFloatTypeInContext(c),
        .f64 = LLVMDoubleTypeInContext(c),
        .ptr = LLVMPointerTypeInContext(c, 0),
        .v128 = LLVMVectorType(LLVMInt64TypeInContext(c), 2),
    };
    LLVMMetadataRef weights[] = {
        LLVMMDStringInContext2(c, "branch_weights", 14),
        LLVMValueAsMetadata(LLVMConstInt(u->i32, 1, 0)),
        LLVMValueAsMetadata(LLVMConstInt(u->i32, 1000000, 0)),
    };
    u->prof_kind = LLVMGetMDKindIDInContext(c, "prof", 4);
    u->rarely = LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, weights, 3));
    LLVMSetTarget(u->module, triple);
}

static void name_of(char name[16], unsigned index) {
    snprintf(name, 16, "op_%u", index);
}

/* All functions, in a module of their own; the passes are as written for opt. */
static void generate_all(struct unit *u, LLVMTargetMachineRef machine, const char *passes) {
    struct gen g = {.u = u, .b = LLVMCreateBuilderInContext(u->context)};
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMDisposeTargetData(layout);
    char *cpu = LLVMGetTargetMachineCPU(machine), *features = LLVMGetTargetMachineFeatureString(machine);
    for (unsigned i = 0; i < nfunctions; i++) {
        char name[16];
        name_of(name, i);
        generate(&g, &functions[i], name);
        set_attribute(u, g.fn, "target-cpu", cpu);
        set_attribute(u, g.fn, "target-features", features);
    }
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    LLVMDisposeBuilder(g.b);
    char *message = NULL;
    if (LLVMVerifyModule(u->module, LLVMReturnStatusAction, &message))
        fail_msg("%s", message);
    LLVMDisposeMessage(message);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(u->module, passes, machine, options);
    assert_null(error);
    LLVMDisposePassBuilderOptions(options);
}

/* NULL when this LLVM does not make code for that. */
static LLVMTargetMachineRef machine_for(const char *triple, const char *cpu, const char *features,
                                        LLVMCodeGenOptLevel level) {
    LLVMTargetRef target;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(triple, &target, &message)) {
        LLVMDisposeMessage(message);
        return NULL;
    }
    return LLVMCreateTargetMachine(target, triple, cpu, features, level, LLVMRelocPIC, LLVMCodeModelDefault);
}

/* ---- which functions -----------------------------------------------------------------------------------------------
 */

static void add_operator(enum wasm_op op) {
    for (unsigned k = 0; k < variants(op); k++)
        add_function((struct function){.op = op, .variant = k, .then = OP_COUNT});
}

static const uint64_t FIXED_32[] = {0,          1,          31,         32,         0x7fffffff, 0x80000000, 0xffffffff,
                                    0x3f800000, 0xbfc00000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7fa00000};
static const uint64_t FIXED_64[] = {0,
                                    1,
                                    63,
                                    64,
                                    INT64_MAX,
                                    1ull << 63,
                                    UINT64_MAX,
                                    0x3ff0000000000000,
                                    0xbff8000000000000,
                                    0x7ff0000000000000,
                                    0xfff0000000000000,
                                    0x7ff8000000000000,
                                    0xfff8000000000001,
                                    0x7ff4000000000000};

/* With constants: one operand, then the other, then both. In vectors the constant is in each lane of some width. */
static void add_with_constants(enum wasm_op op) {
    const char *types;
    char to;
    unsigned n = signature(op, &types, &to);
    for (unsigned fixed = 1; fixed < 1u << (n < 2 ? n : 2); fixed++)
        for (unsigned i = 0; i < sizeof FIXED_32 / sizeof *FIXED_32; i++) {
            struct function f = {.op = op, .fixed = fixed, .then = OP_COUNT};
            for (unsigned k = 0; k < 2 && k < n; k++) {
                bool wide = types[k] == 'I' || types[k] == 'F' || strstr(wasm_op_infos[op].text, "64x2");
                uint64_t x = wide ? FIXED_64[i] : FIXED_32[i] | FIXED_32[i] << 32;
                f.operands[k] = (union ref_value){{x, x}};
            }
            if (types[0] != 'v' || i % 3 == 0) /* there are so many */
                add_function(f);
        }
}

/* Behind an operator whose result may be a NaN, each that takes such: what LLVM makes of both together. */
static void add_pairs(enum wasm_op op) {
    const char *types, *text = wasm_op_infos[op].text;
    char to, last;
    signature(op, &types, &to);
    bool is_vector = to == 'v' && *text == 'f';
    if (is_memory(op) || (to != 'f' && to != 'F' && !is_vector))
        return;
    char shape[6];
    snprintf(shape, sizeof shape, "%s", text);
    for (enum wasm_op then = 0; then < OP_COUNT; then++) {
        if (!num_is_numeric(then) || is_memory(then) || (is_vector && !strstr(wasm_op_infos[then].text, shape)))
            continue;
        unsigned n = signature(then, &types, &last);
        for (unsigned place = FIRST; place <= FIRST + SECOND && n <= 2; place++) {
            bool fits = place < 1u << n;
            for (unsigned k = 0; k < n; k++)
                fits &= !(place & (1u << k)) || types[k] == to;
            if (fits)
                add_function((struct function){.op = op, .then = then, .place = place});
        }
    }
}

/* Comparisons of floats, and a choice between what was compared: not a minimum or maximum of LLVM's, nearly as it is.
 */
static void add_choices(enum wasm_op op) {
    const char *types;
    char to;
    unsigned n = signature(op, &types, &to);
    if (n != 2 || to != 'i' || (*types != 'f' && *types != 'F'))
        return;
    for (unsigned place = FIRST; place <= SECOND; place++) {
        struct function f = {.op = op, .then = OP_SELECT, .place = place};
        add_function(f);
        for (unsigned i = 0; i < sizeof FIXED_32 / sizeof *FIXED_32; i++)
            for (f.fixed = 1; f.fixed <= 2; f.fixed++) {
                uint64_t x = *types == 'F' ? FIXED_64[i] : FIXED_32[i];
                f.operands[0] = f.operands[1] = (union ref_value){{x, x}};
                add_function(f);
            }
    }
}

static void add_all(void (*add)(enum wasm_op op)) {
    nfunctions = 0;
    for (enum wasm_op op = 0; op < OP_COUNT; op++)
        if (num_is_numeric(op))
            add(op);
}

/* ---- same results --------------------------------------------------------------------------------------------------
 */

static const struct function *current; /* of its operator, the first */
static uint64_t n_checked;

/* What the function should do with the case, which is made fit for it. */
static enum wasm_trap_kind expect(const struct function *f, struct ref_case *c, union ref_value *want) {
    enum wasm_trap_kind trap;
    if (wasm_op_infos[f->op].imm == IMM_SHUFFLE)
        memcpy(c->imm, shuffles[f->variant], 16);
    else
        c->imm[0] = (uint8_t)f->variant;
    for (unsigned k = 0; k < 2; k++)
        if (f->fixed & (1u << k))
            c->in[k] = f->operands[k];
    assert_true(num_compute(f->op, c, want, &trap));
    if (trap != WASM_TRAP_NONE || f->then == OP_COUNT)
        return trap;
    if (f->then == OP_SELECT) {
        *want = c->in[(f->place == FIRST) == (want->slot[0] == 0)];
        want->slot[1] = 0;
        if (*wasm_op_infos[f->op].sig == 'f')
            want->slot[0] = (uint32_t)want->slot[0];
        return trap;
    }
    struct ref_case second = {.in = {c->in[2], c->in[2]}};
    for (unsigned k = 0; k < 2; k++)
        if (f->place & (1u << k))
            second.in[k] = *want;
    assert_true(num_compute(f->then, &second, want, &trap));
    return trap;
}

/* The sanitizer would look for a function's type in front of its code, where ours may have no memory. */
#ifdef __clang__
__attribute__((no_sanitize("function")))
#endif
static void check(enum wasm_op op, const struct ref_case *given) {
    struct ref_case c = *given;
    const struct function *f = current;
    if (!f->fixed && f->then == OP_COUNT)
        f += (c.imm[0] + (variants(op) == SHUFFLES ? c.in[0].bytes[0] : 0u)) % variants(op);
    assert_int_equal(f->op, op);
    union ref_value got = {{0}}, want;
    uint32_t want_trap = expect(f, &c, &want);
    if (want_trap != WASM_TRAP_NONE)
        want = (union ref_value){{0}};
    uint8_t memory[OFFSET + INDEX + 16 + 8];
    memset(memory, 0x77, sizeof memory);
    memcpy(memory + OFFSET + INDEX, c.memory, 16);
    uint32_t got_trap = f->code(c.in, &got, memory, INDEX);
    if (is_store(op))
        memcpy(&got, memory + OFFSET + INDEX, 16);
    for (unsigned i = 0; i < sizeof memory; i++)
        assert_true((i >= OFFSET + INDEX && i < OFFSET + INDEX + 16) || memory[i] == 0x77);
    n_checked++;
    if (got_trap == want_trap && memcmp(&got, &want, sizeof got) == 0)
        return;
    for (unsigned i = 0; i < 3; i++)
        fprintf(stderr, "  operand %u: %016lx %016lx\n", i, c.in[i].slot[1], c.in[i].slot[0]);
    fail_msg("%s variant %u constants %u, then %s (%d): %016lx %016lx (trap %u), should be %016lx %016lx (trap %u)",
             wasm_op_infos[op].text, f->variant, f->fixed, f->then == OP_COUNT ? "-" : wasm_op_infos[f->then].text,
             (int)f->place, got.slot[1], got.slot[0], got_trap, want.slot[1], want.slot[0], want_trap);
}

static void check_all(void) {
    n_checked = 0;
    for (unsigned i = 0; i < nfunctions; i++) {
        current = &functions[i];
        if (current->then != OP_COUNT || current->fixed) {
            num_random_operands(current->op, 200, check);
        } else if (current->variant == 0) {
            num_random_operands(current->op, 3000, check);
            num_edges(current->op, check);
            num_sixteen_bits(current->op, check);
        }
    }
    assert_true(n_checked >= 200 * (uint64_t)nfunctions);
}

/* Compiles all functions and checks them. */
static void same_results(const char *cpu, const char *features, const char *passes, LLVMCodeGenOptLevel level) {
    char *triple = LLVMGetDefaultTargetTriple();
    LLVMTargetMachineRef machine = machine_for(triple, cpu, features, level);
    assert_non_null(machine);
    struct unit u;
    unit_init(&u, triple);
    generate_all(&u, machine, passes);
    struct LLVMMCJITCompilerOptions options;
    LLVMInitializeMCJITCompilerOptions(&options, sizeof options);
    options.OptLevel = level;
    options.EnableFastISel = level == LLVMCodeGenLevelNone;
    LLVMExecutionEngineRef engine;
    char *message = NULL;
    if (LLVMCreateMCJITCompilerForModule(&engine, u.module, &options, sizeof options, &message))
        fail_msg("%s", message);
    for (unsigned i = 0; i < nfunctions; i++) {
        char name[16];
        name_of(name, i);
        functions[i].code = (operator_fn *)LLVMGetFunctionAddress(engine, name);
        assert_non_null(functions[i].code);
    }
    check_all();
    LLVMDisposeExecutionEngine(engine); /* with the module */
    LLVMDisposeTargetMachine(machine);
    LLVMContextDispose(u.context);
    LLVMDisposeMessage(triple);
}

#ifdef __x86_64__
#define LEAST_CPU "x86-64-v2"
#else
#define LEAST_CPU "generic"
#endif

static void same_results_here(const char *passes) {
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    same_results(cpu, features, passes, LLVMCodeGenLevelDefault);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
}

static void as_generated(void **state) {
    (void)state;
    add_all(add_operator);
    same_results(LEAST_CPU, "", "verify", LLVMCodeGenLevelNone);
}

static void on_this_processor(void **state) {
    (void)state;
    add_all(add_operator);
    same_results_here("default<O2>");
}

static void on_older_processors(void **state) {
    (void)state;
    add_all(add_operator);
    same_results(LEAST_CPU, "", "default<O2>", LLVMCodeGenLevelDefault);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        same_results("x86-64-v3", "", "default<O1>", LLVMCodeGenLevelLess);
#endif
}

static void with_constants(void **state) {
    (void)state;
    add_all(add_with_constants);
    assert_in_range(nfunctions, 2000, 20000);
    same_results_here("default<O2>");
}

static void compared_and_chosen(void **state) {
    (void)state;
    add_all(add_choices);
    assert_int_equal(nfunctions, 12 * 2 * (1 + 2 * 14));
    same_results_here("default<O2>");
}

static void two_together(void **state) {
    (void)state;
    add_all(add_pairs);
    assert_in_range(nfunctions, 2000, 20000);
    same_results_here("default<O2>");
}

/* ---- what a raw operand may do ------------------------------------------------------------------------------------
 */

static void canonicalise(char type, union ref_value *v) {
    if (type == 'f')
        v->slot[0] = num_f32_bits(num_f32_canon(num_f32_of((uint32_t)v->slot[0])));
    if (type == 'F')
        v->slot[0] = num_f64_bits(num_f64_canon(num_f64_of(v->slot[0])));
}

static bool has_shown; /* the bits of some NaN */

static void check_unseen(enum wasm_op op, const struct ref_case *c) {
    struct ref_case canonical = *c;
    for (unsigned k = 0; k < 2 && wasm_op_infos[op].sig[k] != '_'; k++)
        canonicalise(wasm_op_infos[op].sig[k], &canonical.in[k]);
    union ref_value a, b;
    enum wasm_trap_kind a_trap, b_trap;
    assert_true(num_compute(op, c, &a, &a_trap));
    assert_true(num_compute(op, &canonical, &b, &b_trap));
    has_shown |= a_trap != b_trap || memcmp(&a, &b, sizeof a) != 0;
}

/* Whoever takes raw floats shows nothing of them; and all that could take them do. */
static void raw_operands_are_not_seen(void **state) {
    (void)state;
    unsigned n_taking = 0;
    for (enum wasm_op op = 0; op < OP_COUNT; op++) {
        const struct wasm_op_info *info = &wasm_op_infos[op];
        if (!num_is_numeric(op) || info->imm == IMM_STORE || info->prefix == 0xfd || !strpbrk(info->sig, "fF")) {
            assert_false(num_is_numeric(op) && gen_takes_raw(op));
            continue;
        }
        if (*info->sig != 'f' && *info->sig != 'F') /* no float among the operands */
            continue;
        has_shown = false;
        num_edges(op, check_unseen);
        if (gen_takes_raw(op) == has_shown)
            fail_msg("%s %s", info->text, has_shown ? "shows the bits of a raw NaN" : "could take a raw NaN");
        n_taking += gen_takes_raw(op);
    }
    assert_int_equal(n_taking, 2 * (6 + 5 + 4 + 2) + 2 + 16);
}

/* ---- no calls ------------------------------------------------------------------------------------------------------
 */

static void no_calls_on(const char *triple, const char *cpu) {
    LLVMTargetMachineRef machine = machine_for(triple, cpu, "", LLVMCodeGenLevelDefault);
    if (!machine)
        return;
    struct unit u;
    unit_init(&u, triple);
    generate_all(&u, machine, "default<O2>");
    LLVMMemoryBufferRef object;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, u.module, LLVMObjectFile, &message, &object))
        fail_msg("%s", message);
    LLVMBinaryRef binary = LLVMCreateBinary(object, u.context, &message);
    assert_non_null(binary);
    unsigned n = 0;
    LLVMSymbolIteratorRef symbol = LLVMObjectFileCopySymbolIterator(binary);
    for (; !LLVMObjectFileIsSymbolIteratorAtEnd(binary, symbol); LLVMMoveToNextSymbol(symbol)) {
        const char *name = LLVMGetSymbolName(symbol);
        if (strncmp(name, "op_", 3) == 0)
            n++;
        else if (*name && *name != '$' && *name != '.' && strcmp(name, "operators") != 0)
            fail_msg("for %s something calls %s", triple, name);
    }
    assert_int_equal(n, nfunctions);
    LLVMDisposeSymbolIterator(symbol);
    LLVMDisposeBinary(binary);
    LLVMDisposeMemoryBuffer(object);
    LLVMDisposeModule(u.module);
    LLVMDisposeTargetMachine(machine);
    LLVMContextDispose(u.context);
}

static void no_calls(void **state) {
    (void)state;
    add_all(add_operator);
    no_calls_on("x86_64-unknown-linux-gnu", "x86-64-v2");
    no_calls_on("x86_64-unknown-linux-gnu", "x86-64-v4");
    no_calls_on("aarch64-unknown-linux-gnu", "generic");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_operands_are_not_seen),
        cmocka_unit_test(as_generated),
        cmocka_unit_test(on_this_processor),
        cmocka_unit_test(on_older_processors),
        cmocka_unit_test(with_constants),
        cmocka_unit_test(compared_and_chosen),
        cmocka_unit_test(two_together),
        cmocka_unit_test(no_calls),
    };
    LLVMLinkInMCJIT();
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    make_shuffles();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(functions);
    return failed;
}
