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

/* ---- generating ---------------------------------------------------------------------------------------------------
 */

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

static LLVMTypeRef letter_type(const struct unit *u, char c) {
    return c == 'i' ? u->i32 : c == 'I' ? u->i64 : c == 'f' ? u->f32 : c == 'F' ? u->f64 : u->v128;
}

static void name_of(char name[24], enum wasm_op op, unsigned variant) {
    snprintf(name, 24, "op_%u_%u", (unsigned)op, variant);
}

static LLVMValueRef slot(struct gen *g, unsigned param, unsigned k) {
    LLVMValueRef at = LLVMConstInt(g->u->i64, 16 * k, 0);
    return LLVMBuildGEP2(g->b, g->u->i8, LLVMGetParam(g->fn, param), &at, 1, "");
}

static void generate(struct gen *g, enum wasm_op op, unsigned variant) {
    struct unit *u = g->u;
    const struct wasm_op_info *info = &wasm_op_infos[op];
    LLVMTypeRef params[] = {u->ptr, u->ptr, u->ptr, u->i32};
    char name[24];
    name_of(name, op, variant);
    g->fn = LLVMAddFunction(u->module, name, LLVMFunctionType(u->i32, params, 4, 0));
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(u->context, g->fn, ""));
    struct operands in = {.lane = variant, .memory_offset = OFFSET, .shuffle = shuffles[variant % SHUFFLES]};
    bool is_memory =
        info->imm == IMM_LOAD || info->imm == IMM_STORE || info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE;
    unsigned n = 0, from = 0;
    const char *sig = info->sig;
    if (is_memory) {
        in.v[n++] = LLVMGetParam(g->fn, 3);
        sig++;
    }
    for (; *sig != '_'; sig++)
        in.v[n++] = gen_load(g, letter_type(u, *sig), slot(g, 0, from++));
    bool raw = true;
    address_size = 0;
    LLVMValueRef v = gen_operator(g, op, &in, &raw);
    assert_int_equal(address_size, is_memory ? 1 << info->align : 0);
    char to = sig[1];
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

/* All operators, in a module of their own; the passes are as written for opt. */
static void generate_all(struct unit *u, LLVMTargetMachineRef machine, const char *passes) {
    struct gen g = {.u = u, .b = LLVMCreateBuilderInContext(u->context)};
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(u->module, layout);
    LLVMDisposeTargetData(layout);
    char *cpu = LLVMGetTargetMachineCPU(machine), *features = LLVMGetTargetMachineFeatureString(machine);
    for (enum wasm_op op = 0; op < OP_COUNT; op++)
        for (unsigned k = 0; num_is_numeric(op) && k < variants(op); k++) {
            generate(&g, op, k);
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

/* ---- same results -------------------------------------------------------------------------------------------------
 */

static operator_fn **compiled[OP_COUNT]; /* [variants] */
static uint64_t n_checked;

static void check(enum wasm_op op, const struct ref_case *given) {
    struct ref_case c = *given;
    unsigned variant = c.imm[0] = (uint8_t)(c.imm[0] % num_immediate_lanes(op));
    if (wasm_op_infos[op].imm == IMM_SHUFFLE) {
        variant = (c.imm[0] + c.in[0].bytes[0] + c.in[1].bytes[15]) % SHUFFLES;
        memcpy(c.imm, shuffles[variant], 16);
    }
    union ref_value got = {{0}}, want;
    enum wasm_trap_kind want_trap;
    assert_true(num_compute(op, &c, &want, &want_trap));
    uint8_t memory[OFFSET + INDEX + 16 + 8];
    memset(memory, 0x77, sizeof memory);
    memcpy(memory + OFFSET + INDEX, c.memory, 16);
    uint32_t got_trap = compiled[op][variant](c.in, &got, memory, INDEX);
    bool is_store = wasm_op_infos[op].imm == IMM_STORE || wasm_op_infos[op].imm == IMM_STORE_LANE;
    if (is_store)
        memcpy(&got, memory + OFFSET + INDEX, 16);
    if (want_trap != WASM_TRAP_NONE)
        want = (union ref_value){{0}};
    for (unsigned i = 0; i < sizeof memory; i++)
        assert_true((i >= OFFSET + INDEX && i < OFFSET + INDEX + 16) || memory[i] == 0x77);
    n_checked++;
    if (got_trap == (uint32_t)want_trap && memcmp(&got, &want, sizeof got) == 0)
        return;
    for (unsigned i = 0; i < 3; i++)
        fprintf(stderr, "  operand %u: %016lx %016lx\n", i, c.in[i].slot[1], c.in[i].slot[0]);
    fail_msg("%s variant %u: %016lx %016lx (trap %u), should be %016lx %016lx (trap %u)", wasm_op_infos[op].text,
             variant, got.slot[1], got.slot[0], got_trap, want.slot[1], want.slot[0], (unsigned)want_trap);
}

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
    for (enum wasm_op op = 0; op < OP_COUNT; op++) {
        if (!num_is_numeric(op))
            continue;
        operator_fn *functions[SHUFFLES];
        for (unsigned k = 0; k < variants(op); k++) {
            char name[24];
            name_of(name, op, k);
            functions[k] = (operator_fn *)LLVMGetFunctionAddress(engine, name);
            assert_non_null(functions[k]);
        }
        compiled[op] = functions;
        n_checked = 0;
        num_random_operands(op, 3000, check);
        num_edges(op, check);
        num_sixteen_bits(op, check);
        assert_true(n_checked >= 3000);
        compiled[op] = NULL;
    }
    LLVMDisposeExecutionEngine(engine); /* with the module */
    LLVMDisposeTargetMachine(machine);
    LLVMContextDispose(u.context);
    LLVMDisposeMessage(triple);
}

static void as_generated(void **state) {
    (void)state;
    same_results("x86-64-v2", "", "verify", LLVMCodeGenLevelNone);
}

static void on_this_processor(void **state) {
    (void)state;
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    same_results(cpu, features, "default<O2>", LLVMCodeGenLevelDefault);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
}

static void on_older_processors(void **state) {
    (void)state;
#ifdef __x86_64__
    same_results("x86-64-v2", "", "default<O2>", LLVMCodeGenLevelDefault);
    same_results("x86-64-v2", "", "default<O1>", LLVMCodeGenLevelLess);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        same_results("x86-64-v3", "", "default<O2>", LLVMCodeGenLevelDefault);
#else
    same_results("generic", "", "default<O2>", LLVMCodeGenLevelDefault);
#endif
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

/* ---- no calls -----------------------------------------------------------------------------------------------------
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
    assert_true(n > 394);
    LLVMDisposeSymbolIterator(symbol);
    LLVMDisposeBinary(binary);
    LLVMDisposeMemoryBuffer(object);
    LLVMDisposeModule(u.module);
    LLVMDisposeTargetMachine(machine);
    LLVMContextDispose(u.context);
}

static void no_calls(void **state) {
    (void)state;
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
        cmocka_unit_test(no_calls),
    };
    LLVMLinkInMCJIT();
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    make_shuffles();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
