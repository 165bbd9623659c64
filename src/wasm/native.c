/* native.c: compiled code (native.h): into it, out of it, the helpers it calls, and how it is installed.
 *
 * The C stack within one wasm_run:
 *
 *     native_run          where everything is dropped to
 *     interp_run
 *     compiled frames     a segment: entered through the frame that was on top of x->frames
 *     helper              here; above an exit in x->frames there may be
 *     interp_run          ... and so on
 *
 * Compiled code runs with fuel as fused code has it (x->exact is false).  What does not return to it as if nothing had
 * been goes through native_unwind and `jump`. */
#include "wasm/exec.h"
#include "wasm/object.h"

#include <setjmp.h>

struct code native_exit;

/* ---- from the engine into compiled code ----------------------------------------------------------------------------
 */

enum { JUMP_GO_ON = 1, JUMP_LEFT };

void native_run(struct wasm_exec *x) {
    jmp_buf here;
    x->native_jump = &here;
    x->native_bottom = NULL;
    x->native_limit = (uint8_t *)__builtin_frame_address(0) - x->native_bytes;
    if (_setjmp(here) != JUMP_LEFT)
        interp_run(x);
}

/* Drops the C stack. Everything is in plain frames, and x says where the interpreter goes on, or what the outcome is.
 */
static _Noreturn void jump(struct wasm_exec *x, bool go_on) {
    _longjmp(*(jmp_buf *)x->native_jump, go_on ? JUMP_GO_ON : JUMP_LEFT);
}

/* Runs the function on top, which the engine called, to its end, and pops it. */
static bool run_compiled(struct wasm_exec *x, native_enter_fn *enter, int64_t fuel) {
    exec_whole_stack(x);
    struct frame *t = x->top, *bottom = x->native_bottom;
    if (!bottom)
        x->native_bottom = t;
    x->fuel = (int64_t)enter(x, t->fp, fuel);
    x->native_bottom = bottom;
    x->r = t->fp[0]; /* as after any call with one integer result */
    x->pc = t->ret;
    x->fp = t[-1].fp;
    x->top = t - 1;
    return x->fuel >= 0 || slow_fuel(x);
}

bool slow_native(struct wasm_exec *x) {
    return run_compiled(x, x->top->code->enter, x->fuel);
}

bool slow_native_loop(struct wasm_exec *x) {
    x->fp[x->top->code->param_slots] = 0; /* compiled code may have made this frame */
    return run_compiled(x, x->loop->enter, x->fuel - x->loop->ticks);
}

/* Back to what compiled code called: `nested` looks at x->pc. */
bool slow_exit(struct wasm_exec *x) {
    must(x->top->code == &native_exit);
    return false;
}

/* ---- leaving compiled code for good --------------------------------------------------------------------------------
 */

/* All frames, up to and with the compiled one that called a helper from `link`, become plain. */
static void unwind(struct wasm_exec *x, uint64_t link, uint64_t *fp) {
    struct native_place p = native_at(x->instance, link, fp);
    native_unwind(x, &p);
}

/* The interpreter goes on where x->pc is; fuel may be below zero. */
static _Noreturn void interpret(struct wasm_exec *x) {
    jump(x, x->fuel >= 0 || slow_fuel(x));
}

/* The same when there is no more fuel for fused code. */
static _Noreturn void stop(struct wasm_exec *x) {
    jump(x, exec_no_more(x));
}

static _Noreturn void trap(struct wasm_exec *x, uint64_t link, uint64_t *fp, enum wasm_trap_kind kind) {
    unwind(x, link, fp);
    x->pc = exec_fused_code(x->top->code);
    x->trap_first = false;
    exec_trapped(x, kind, (uint32_t)link, exec_clock(x, 0));
    jump(x, false);
}

static bool stack_used_up(const struct wasm_exec *x) {
    return (uint8_t *)__builtin_frame_address(0) < x->native_limit;
}

/* ---- looks at the fuel ----------------------------------------------------------------------------------------------
 */

static int64_t help_entry(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link) {
    struct native_place p = native_at(x->instance, link, fp);
    x->fuel = fuel;
    if (fp + p.code->frame_slots > x->stack_end) {
        uint64_t from = fp[p.code->param_slots]; /* the engine looks itself, before it calls */
        bool called = native_up(x, &p);
        must(called);
        trap(x, from, p.fp, WASM_TRAP_STACK_EXHAUSTED);
    }
    bool deep = stack_used_up(x);
    if (!deep && exec_renew(x, exec_clock(x, 0)))
        return x->fuel;
    native_unwind(x, &p);
    native_resume_entry(x);
    if (deep)
        interpret(x);
    stop(x);
}

static int64_t help_loop(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link) {
    x->fuel = fuel;
    if (exec_renew(x, exec_clock(x, 0)))
        return x->fuel;
    unwind(x, link, fp);
    native_resume_loop(x, (uint32_t)link);
    stop(x);
}

static int64_t help_after(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link) {
    x->fuel = fuel;
    if (exec_renew(x, exec_clock(x, 0)))
        return x->fuel;
    unwind(x, link, fp);
    native_resume_call(x, (uint32_t)link);
    stop(x);
}

static _Noreturn void help_trap(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link, uint32_t kind) {
    x->fuel = fuel;
    trap(x, link, fp, (enum wasm_trap_kind)kind);
}

static _Noreturn void help_leave(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link) {
    x->fuel = fuel;
    unwind(x, link, fp);
    native_resume_exact(x, (uint32_t)link);
    jump(x, true);
}

/* ---- calls out of compiled code -------------------------------------------------------------------------------------
 */

static struct frame *push_exit(struct wasm_exec *x, uint64_t *fp, uint64_t link) {
    struct frame *t = ++x->top;
    t->ret = (const uint64_t *)(uintptr_t)link;
    t->fp = fp;
    t->code = &native_exit;
    t->instance = x->instance;
    return t;
}

/* A host function did not simply return. */
static _Noreturn __attribute__((noinline)) void host_leaves(struct wasm_exec *x, uint64_t *fp, uint64_t link,
                                                            enum wasm_host how) {
    uint64_t clock = exec_clock(x, 0);
    uint32_t offset = (uint32_t)link;
    unwind(x, link, fp);
    switch (how) {
    case WASM_HOST_PARK: /* it has not been called */
        x->host = NULL;
        x->fuel++;
        native_resume_op(x, offset);
        exec_leave(x, WASM_PARKED, clock - 1);
        break;
    case WASM_HOST_EXIT:
        native_resume_host(x, offset);
        exec_exited(x, clock);
        break;
    default:
        native_resume_host(x, offset);
        x->trap_first = false;
        exec_trapped(x, WASM_TRAP_HOST, 0, clock);
        break;
    }
    jump(x, false);
}

/* What it needs behind the call it finds in x, so that little has to be saved. */
static int64_t call_host(struct wasm_exec *x, uint64_t *fp, uint64_t link, uint64_t *nfp, struct wasm_func *f) {
    push_exit(x, fp, link);
    x->host = f;
    x->state = EXEC_HOST_CALL;
    enum wasm_host h = f->fn(f->env, x, nfp);
    struct frame *exit = x->top;
    x->state = EXEC_RUNNING;
    x->top = exit - 1;
    if (UNLIKELY(h != WASM_HOST_OK))
        host_leaves(x, exit->fp, (uint64_t)(uintptr_t)exit->ret, h);
    const struct wasm_functype *type = x->host->type;
    x->host = NULL;
    if (type->nresults)
        exec_canonical_results(type, nfp);
    return x->fuel;
}

/* The C stack is used up: the callee is interpreted, and so are all callers when it returns. */
static _Noreturn void interpret_call(struct wasm_exec *x, uint64_t *fp, uint64_t link, uint64_t *nfp,
                                     struct wasm_func *f) {
    unwind(x, link, fp);
    struct wasm_instance *caller = x->instance;
    native_resume_call(x, (uint32_t)link);
    const uint64_t *ret = x->pc;
    if (f->instance != caller) {
        *++x->top = (struct frame){.ret = ret, .fp = fp, .instance = caller};
        ret = interp_cross_code();
        exec_enter_instance(x, f->instance);
    }
    bool ok = exec_push_frame(x, f->code, nfp, ret);
    must(ok);
    jump(x, exec_entered(x));
}

/* The limit is near, or somebody interrupts: compiled code cannot go on behind its call, which has returned. */
static _Noreturn void interpret_after(struct wasm_exec *x, uint64_t *fp, uint64_t link) {
    unwind(x, link, fp);
    native_resume_call(x, (uint32_t)link);
    jump(x, exec_returned(x));
}

/* A tail call of what compiled code cannot jump to: the interpreter makes it. */
static _Noreturn void interpret_tail_call(struct wasm_exec *x, uint64_t *fp, uint64_t link) {
    x->fuel++;
    unwind(x, link, fp);
    native_resume_exact(x, (uint32_t)link);
    jump(x, true);
}

static bool is_tail_call(const struct wasm_exec *x, uint64_t link) {
    uint8_t op = x->instance->module->bytes.data[(uint32_t)link];
    return op == 0x12 || op == 0x13;
}

/* A function of another instance, or one that is interpreted, on top of compiled code. */
static __attribute__((noinline)) int64_t nested(struct wasm_exec *x, uint64_t *fp, uint64_t link, uint64_t *nfp,
                                                struct wasm_func *f) {
    struct code *c = f->code;
    if (is_tail_call(x, link))
        interpret_tail_call(x, fp, link);
    if (nfp + c->frame_slots > x->stack_end)
        trap(x, link, fp, WASM_TRAP_STACK_EXHAUSTED);
    if (stack_used_up(x))
        interpret_call(x, fp, link, nfp, f);
    struct frame *exit = push_exit(x, fp, link);
    if (f->instance != x->instance)
        exec_enter_instance(x, f->instance);
    bool ok = exec_push_frame(x, c, nfp, interp_exit_code());
    must(ok);
    if (c->enter) {
        x->fuel = (int64_t)c->enter(x, nfp, x->fuel);
    } else {
        bool left = x->fuel < 0 && !slow_fuel(x);
        if (!left)
            interp_run(x);
        if (left || x->pc != interp_exit_code()) {
            native_unwind(x, NULL);
            jump(x, false);
        }
    }
    x->top = exit - 1;
    if (exit->instance != x->instance)
        exec_enter_instance(x, exit->instance);
    if (UNLIKELY(x->exact)) {
        uint64_t clock = exec_clock(x, 0);
        if (exec_near_limit(x, clock) || exec_interrupted(x))
            interpret_after(x, fp, link);
        exec_fuel_for_fused(x, clock, 0);
    }
    return x->fuel;
}

static __attribute__((noinline)) int64_t call_wasm(struct wasm_exec *x, uint64_t *fp, uint64_t link, uint64_t *nfp,
                                                   struct wasm_func *f) {
    struct code *c = f->code;
    if (f->instance != x->instance || !c->enter)
        return nested(x, fp, link, nfp, f);
    nfp[c->param_slots] = link;
    return (int64_t)c->enter(x, nfp, x->fuel);
}

static int64_t help_ref(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link, uint64_t *nfp,
                        struct wasm_func *f) {
    x->fuel = fuel;
    return LIKELY(!f->instance) ? call_host(x, fp, link, nfp, f) : call_wasm(x, fp, link, nfp, f);
}

static int64_t help_call(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link, uint64_t *nfp, uint32_t func) {
    return help_ref(x, fp, fuel, link, nfp, x->instance->funcs[func]);
}

/* ---- memory and tables ----------------------------------------------------------------------------------------------
 */

/* What a bulk operation takes has been charged, x->fuel. Returns when it may go on. */
static void bulk_charged(struct wasm_exec *x, uint64_t *fp, uint64_t link, const struct bulk *b) {
    x->fuel -= (int64_t)b->ticks;
    if (b->whole || exec_renew(x, exec_clock(x, 0)))
        return;
    unwind(x, link, fp);
    x->fuel++; /* the operator's own tick is counted when it is done */
    native_resume_op(x, (uint32_t)link);
    stop(x);
}

static int64_t help_memory_bulk(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link, uint64_t *at,
                                uint32_t what, uint32_t segment) {
    struct bulk b = {0};
    for (x->fuel = fuel; !b.whole; bulk_charged(x, fp, link, &b))
        if (!exec_memory_bulk(x, at, what, segment, &b))
            trap(x, link, fp, WASM_TRAP_MEMORY_BOUNDS);
    return x->fuel;
}

static int64_t help_table_bulk(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t link, uint64_t *at,
                               uint32_t what, uint32_t table, uint32_t second) {
    struct bulk b = {0};
    for (x->fuel = fuel; !b.whole; bulk_charged(x, fp, link, &b))
        if (!exec_table_bulk(x, at, what, table, second, &b))
            trap(x, link, fp, WASM_TRAP_TABLE_BOUNDS);
    return x->fuel;
}

static uint32_t help_memory_grow(struct wasm_exec *x, uint32_t pages) {
    return (uint32_t)wasm_memory_grow(x->memory, pages);
}

static uint32_t help_table_grow(struct wasm_exec *x, uint32_t table, wasm_ref init, uint32_t delta) {
    return (uint32_t)table_grow(x->instance->tables[table], delta, init);
}

static uint32_t help_table_get(struct wasm_exec *x, uint32_t table, uint32_t i, wasm_ref *out) {
    return wasm_table_get(x->instance->tables[table], i, out);
}

static uint32_t help_table_set(struct wasm_exec *x, uint32_t table, uint32_t i, wasm_ref v) {
    return wasm_table_set(x->instance->tables[table], i, v);
}

static void help_data_drop(struct wasm_exec *x, uint32_t segment) {
    x->instance->dropped_datas[segment] = 1;
}

static void help_elem_drop(struct wasm_exec *x, uint32_t segment) {
    x->instance->dropped_elems[segment] = 1;
}

const void *const native_helpers[NATIVE_HELPER_COUNT] = {
#define X(name, result, params) (const void *)help_##name,
    NATIVE_HELPERS(X)
#undef X
};

/* ---- loops ----------------------------------------------------------------------------------------------------------
 */

void native_enter_loop(struct wasm_exec *x) {
    struct code *c = x->top->code;
    uint32_t word = (uint32_t)(x->pc - c->entry);
    for (struct native_loop *l = c->loops; l; l = l->next) {
        if (l->word == NATIVE_LOOP_UNKNOWN)
            native_find_loop(x, c, l);
        if (l->word == word) {
            x->loop = l;
            x->pc = interp_native_loop_code();
            return;
        }
    }
}

/* ---- installing
 * ------------------------------------------------------------------------------------------------------ */

// clang-format off
#define FEATURES(X) \
    X(0, "sse3") X(1, "ssse3") X(2, "sse4.1") X(3, "sse4.2") X(4, "popcnt") X(5, "avx") X(6, "avx2") X(7, "bmi") \
    X(8, "bmi2") X(9, "lzcnt") X(10, "movbe") X(11, "f16c") X(12, "fma") X(13, "adx") X(14, "gfni") X(15, "vaes") \
    X(16, "vpclmulqdq") X(17, "avx512f") X(18, "avx512bw") X(19, "avx512cd") X(20, "avx512dq") X(21, "avx512vl") \
    X(22, "avx512vbmi") X(23, "avx512vbmi2") X(24, "avx512ifma") X(25, "avx512vnni") X(26, "avx512bitalg") \
    X(27, "avx512vpopcntdq") X(28, "avx512bf16") X(29, "avx512vp2intersect") X(30, "avxvnni")
// clang-format on

uint64_t wasm_native_features(void) {
#if defined(__x86_64__)
    uint64_t have = 1ull << 62; /* the architecture */
#define X(bit, name)                  \
    if (__builtin_cpu_supports(name)) \
        have |= 1ull << (bit);
    FEATURES(X)
#undef X
    return have;
#elif defined(__aarch64__)
    return 1ull << 61;
#else
    return 0;
#endif
}

/* Link and declared locals, which the translator would find out. */
static uint32_t zero_slots(const struct module_func *f) {
    const uint8_t *p = f->locals_code, *end = f->code;
    uint64_t groups = 0, count = 0;
    uint32_t n = 1;
    p = get_varint(p, end, &groups);
    for (; groups && p; groups--) {
        p = get_varint(p, end, &count);
        if (p)
            n += (uint32_t)count * type_slots(*p++);
    }
    must(p == end);
    return n;
}

void native_install(struct code *c, uint32_t loop, native_enter_fn *enter, void *body) {
    if (loop) {
        struct native_loop *l = c->loops;
        while (l && l->loop != loop)
            l = l->next;
        if (l)
            return;
        l = ARENA_NEW(&c->home->store->arena, struct native_loop);
        *l = (struct native_loop){.next = c->loops, .loop = loop, .word = NATIVE_LOOP_UNKNOWN, .enter = enter};
        c->loops = l;
    } else if (!c->enter) {
        c->zero_slots = zero_slots(&c->home->module->funcs[c->func]);
        c->native = body;
        c->enter = enter;
        c->start = interp_native_code();
    }
}

enum status wasm_install(struct wasm_store *s, const struct wasm_module *m, struct span object, struct err *e) {
    struct object o;
    enum status st = object_open(object, &o, e);
    if (st != ST_OK)
        return st;
    struct module_code *code = store_module_code(s, m);
    if (memcmp(&o.module, wasm_module_hash(m), sizeof o.module) != 0)
        return err_set(e, ST_MISMATCH, "compiled code: made from another module");
    if (o.features & ~wasm_native_features())
        return err_set(e, ST_UNSUPPORTED, "compiled code: for a processor with features that are not here (%#llx)",
                       (unsigned long long)(o.features & ~wasm_native_features()));
    for (uint32_t i = 0; i < o.nentries; i++) {
        struct object_entry n = object_entry(&o, i);
        const struct module_func *f = n.func < m->nfuncs ? &m->funcs[n.func] : NULL;
        if (n.func < m->nimported_funcs || !f)
            return err_set(e, ST_CORRUPT, "compiled code: function %u is none of the module's own", n.func);
        if (n.loop &&
            (n.loop < f->offset || n.loop >= (uint32_t)(f->end - m->bytes.data) || m->bytes.data[n.loop] != 0x03))
            return err_set(e, ST_CORRUPT, "compiled code: function %u has no loop at %u", n.func, n.loop);
    }
    for (uint32_t i = 0; i < o.nentries; i++) {
        struct object_entry n = object_entry(&o, i);
        const uint8_t *enter = o.text.data + n.enter, *body = o.text.data + n.body;
        native_install(&code->codes[n.func], n.loop, (native_enter_fn *)(uintptr_t)enter, (void *)(uintptr_t)body);
    }
    return ST_OK;
}

bool wasm_func_is_compiled(const struct wasm_store *s, const struct wasm_module *m, uint32_t func) {
    for (const struct module_code *c = s->modules; c; c = c->next)
        if (c->module == m)
            return func < m->nfuncs && c->codes[func].enter;
    return false;
}

bool wasm_func_has_run(const struct wasm_store *s, const struct wasm_module *m, uint32_t func) {
    for (const struct module_code *c = s->modules; c; c = c->next)
        if (c->module == m)
            return func < m->nfuncs && (c->codes[func].entry || c->codes[func].exact);
    return false;
}

void wasm_set_native_stack(struct wasm_exec *x, size_t bytes) {
    x->native_bytes = bytes;
}
