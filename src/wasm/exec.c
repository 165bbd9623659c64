/* exec.c: an execution from outside, and everything instructions do rarely: stopping, changing translation, calls that
 * leave the instance, growth and bulk operations. */
#include "wasm/exec.h"

enum { SLICE_TICKS = 1 << 18 };      /* between two looks at x->interrupt */
enum { BULK_SLICE_BYTES = 1 << 20 }; /* the same within one bulk operation */

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

struct wasm_exec *wasm_exec_new(struct wasm_store *s) {
    struct wasm_exec *x = mem_zalloc(sizeof *x);
    x->store = s;
    exec_stack_init(x);
    x->memory = &x->no_memory;
    x->native = native_helpers;
    x->native_bytes = 128 << 10;
    return x;
}

void wasm_exec_free(struct wasm_exec *x) {
    if (!x)
        return;
    exec_stack_deinit(x);
    mem_free(x->trap_text);
    native_sites_free(x->sites);
    mem_free(x);
}

void wasm_exec_set_user(struct wasm_exec *x, void *user) {
    x->user = user;
}

void *wasm_exec_user(const struct wasm_exec *x) {
    return x->user;
}

void wasm_interrupt(struct wasm_exec *x) {
    __atomic_store_n(&x->interrupt, 1, __ATOMIC_RELEASE);
}

void wasm_set_slice(struct wasm_exec *x, void (*fn)(void *, uint64_t), void *ctx) {
    x->slice = fn;
    x->slice_ctx = ctx;
}

void wasm_set_hot(struct wasm_exec *x, void (*fn)(void *, const struct wasm_hot *), void *ctx) {
    x->hot = fn;
    x->hot_ctx = ctx;
}

bool exec_interrupted(const struct wasm_exec *x) {
    return __atomic_load_n(&x->interrupt, __ATOMIC_RELAXED);
}

static bool take_interrupt(struct wasm_exec *x) {
    return __atomic_load_n(&x->interrupt, __ATOMIC_RELAXED) && __atomic_exchange_n(&x->interrupt, 0, __ATOMIC_ACQUIRE);
}

void wasm_reset(struct wasm_exec *x) {
    must(x->state != EXEC_RUNNING && x->state != EXEC_HOST_CALL);
    x->state = EXEC_IDLE;
    x->fresh = false;
    x->trap = WASM_TRAP_NONE;
    x->trap_first = false;
    mem_free(x->trap_text);
    x->trap_text = NULL;
    x->host = NULL;
    x->callee = NULL;
}

void exec_enter_instance(struct wasm_exec *x, struct wasm_instance *i) {
    x->instance = i;
    if (i) {
        x->globals = i->globals;
        x->own_globals = i->own_globals;
        x->codes = i->code->codes;
        x->memory = i->memories && i->memories[0] ? i->memories[0] : &x->no_memory;
    }
}

struct wasm_instance *wasm_exec_instance(const struct wasm_exec *x) {
    return x->instance;
}

/* ---- the clock
 * ------------------------------------------------------------------------------------------------------- */

static bool in_fused(const struct code *c, const uint64_t *pc) {
    return c && c->entry && pc >= c->entry && pc < c->entry + c->fused_words;
}

static bool in_exact(const struct code *c, const uint64_t *pc) {
    return c && c->exact && pc >= c->exact && pc < c->exact + c->exact_words;
}

/* Where P is 0: fuel for fused code, a slice of what is left. */
void exec_fuel_for_fused(struct wasm_exec *x, uint64_t clock, uint32_t ticks_here) {
    uint64_t room = x->until - clock, margin = EXEC_MARGIN(x->store);
    must(room > margin);
    room -= margin;
    int64_t fuel = room > SLICE_TICKS ? SLICE_TICKS : (int64_t)room;
    x->exact = false;
    x->fuel = fuel;
    x->origin = clock + (uint64_t)fuel - ticks_here;
}

void exec_fuel_for_exact(struct wasm_exec *x, uint64_t clock) {
    uint64_t room = x->until - clock;
    int64_t fuel = room > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)room;
    x->exact = true;
    x->fuel = fuel;
    x->origin = clock + (uint64_t)fuel;
}

bool exec_near_limit(const struct wasm_exec *x, uint64_t clock) {
    return x->until - clock <= 2 * EXEC_MARGIN(x->store);
}

uint64_t wasm_clock(const struct wasm_exec *x) {
    return x->state == EXEC_HOST_CALL ? exec_clock(x, 0) : x->clock;
}

const uint64_t *exec_exact_code(struct code *c) {
    if (!c->exact)
        translate(c, true);
    return c->exact;
}

const uint64_t *exec_fused_code(struct code *c) {
    if (!c->entry)
        translate(c, false);
    return c->entry;
}

/* The place of an address in fused code at which one can stop. */
static bool stop_place(struct code *c, const uint64_t *pc, struct place *p) {
    uint32_t word = (uint32_t)(pc - c->entry);
    return place_at_word(c, false, PLACE_LABEL, word, p) || place_at_word(c, false, PLACE_CALL, word, p) ||
           place_at_word(c, false, PLACE_OP, word, p);
}

/* The address in exact code of a place found in fused code. */
static const uint64_t *exact_at(struct code *c, const struct place *p) {
    struct place q;
    exec_exact_code(c);
    bool ok = place_at_offset(c, true, p->kind == PLACE_CALL ? PLACE_CALL : PLACE_OP, p->offset, &q);
    must(ok);
    const uint64_t *pc = c->exact + q.word;
    place_deinit(&q);
    return pc;
}

/* The frame on top goes over to exact code, at x->pc; false when one cannot stop just here. */
static bool go_exact(struct wasm_exec *x, uint64_t *clock) {
    struct code *c = x->top->code;
    struct place p;
    if (!stop_place(c, x->pc, &p))
        return false;
    *clock = exec_clock(x, p.ticks);
    place_settle(&p, x->fp);
    x->pc = exact_at(c, &p);
    place_deinit(&p);
    return true;
}

void exec_leave(struct wasm_exec *x, enum wasm_outcome o, uint64_t clock) {
    x->outcome = o;
    x->clock = clock;
    x->state = EXEC_READY;
}

void exec_trapped(struct wasm_exec *x, enum wasm_trap_kind k, uint32_t offset, uint64_t clock) {
    x->trap = k;
    x->trap_offset = offset;
    x->outcome = WASM_TRAPPED;
    x->clock = clock;
    x->state = EXEC_TRAPPED;
}

void exec_exited(struct wasm_exec *x, uint64_t clock) {
    x->outcome = WASM_EXITED;
    x->clock = clock;
    x->state = EXEC_EXITED;
}

/* Tells where interpreted time goes. */
static void tell_hot(struct wasm_exec *x) {
    struct code *c = x->top->code;
    if (!x->hot || !in_fused(c, x->pc))
        return;
    const struct frame *below = x->top - 1;
    struct wasm_hot h = {
        .module = x->instance->module,
        .func = c->func,
        .loop = native_loop_at(x, c, x->pc),
        .caller = UINT32_MAX,
        .samples = ++c->samples,
    };
    if (below->code == &native_exit && below->instance == x->instance)
        h.caller = module_func_at(x->instance->module, (uint32_t)(uintptr_t)below->ret);
    else if (below->code && below->code != &native_exit)
        h.caller = below->code->func;
    x->hot(x->hot_ctx, &h);
}

bool exec_renew(struct wasm_exec *x, uint64_t low) {
    if (x->slice)
        x->slice(x->slice_ctx, low);
    if (exec_interrupted(x) || exec_near_limit(x, low))
        return false;
    exec_fuel_for_fused(x, low, 0);
    return true;
}

bool exec_no_more(struct wasm_exec *x) {
    uint64_t clock = exec_clock(x, 0);
    if (x->pc == interp_native_code()) /* the interpreter does it this time */
        x->pc = exec_fused_code(x->top->code);
    if (in_fused(x->top->code, x->pc)) {
        if (!go_exact(x, &clock))
            return true; /* within a branch; its end is near */
    }
    /* else exact code just returned to, or code between instances: P is 0 */
    exec_fuel_for_exact(x, clock);
    if (in_exact(x->top->code, x->pc) && take_interrupt(x)) {
        exec_leave(x, WASM_INTERRUPTED, clock);
        return false;
    }
    return true;
}

bool slow_fuel(struct wasm_exec *x) {
    if (x->exact) /* fuel is exact: below zero only by a bulk operation's refund, noticed at the next check */
        return true;
    tell_hot(x);
    if (!exec_renew(x, exec_clock(x, 0)))
        return exec_no_more(x);
    if (in_fused(x->top->code, x->pc) && x->top->code->loops)
        native_enter_loop(x);
    return true;
}

bool slow_check(struct wasm_exec *x) {
    exec_leave(x, WASM_STOPPED, exec_clock(x, 0));
    return false;
}

bool slow_point(struct wasm_exec *x) {
    struct code *c = x->top->code;
    uint64_t clock = exec_clock(x, 0);
    if (x->exact && (exec_near_limit(x, clock) || exec_interrupted(x))) {
        if (take_interrupt(x)) {
            exec_leave(x, WASM_INTERRUPTED, clock);
            return false;
        }
        x->pc++;
        return true;
    }
    struct place here, there;
    uint32_t word = (uint32_t)(x->pc - c->exact);
    bool ok = place_at_word(c, true, PLACE_CALL, word, &here) || place_at_word(c, true, PLACE_LABEL, word, &here);
    must(ok);
    exec_fused_code(c);
    ok = place_at_offset(c, false, here.kind, here.offset, &there);
    must(ok);
    x->pc = c->entry + there.word;
    place_unsettle(&there, x->fp);
    if (x->exact)
        exec_fuel_for_fused(x, clock, there.ticks);
    if (here.kind == PLACE_LABEL && c->loops)
        native_enter_loop(x);
    if (here.kind == PLACE_CALL && here.nvalues)
        x->r = x->fp[here.values[here.nvalues - 1].slot]; /* as after any call with one integer result */
    place_deinit(&here);
    place_deinit(&there);
    return true;
}

/* ---- ends
 * ------------------------------------------------------------------------------------------------------------ */

/* After popping a frame in exact mode: the caller may stand in fused code. */
bool exec_returned(struct wasm_exec *x) {
    if (x->exact && in_fused(x->top->code, x->pc)) {
        struct code *c = x->top->code;
        struct place p;
        bool ok = place_at_word(c, false, PLACE_CALL, (uint32_t)(x->pc - c->entry), &p);
        must(ok);
        place_settle(&p, x->fp);
        x->pc = exact_at(c, &p);
        place_deinit(&p);
    }
    return true;
}

static void pop_frame(struct wasm_exec *x) {
    struct frame *t = x->top;
    x->pc = t->ret;
    x->top = t - 1;
    x->fp = t[-1].fp;
}

typedef uint16_t aliased_u16 __attribute__((may_alias));
typedef int32_t aliased_i32 __attribute__((may_alias));

static uint32_t operand(const struct wasm_exec *x, int i) {
    return ((const aliased_u16 *)x->pc)[4 + i];
}

static uint32_t operand_imm(const struct wasm_exec *x) {
    return (uint32_t)((const aliased_i32 *)x->pc)[3];
}

bool slow_return(struct wasm_exec *x) {
    uint32_t from = operand(x, 0), n = operand(x, 1);
    for (uint32_t i = 0; i < n; i++)
        x->fp[i] = x->fp[from + i];
    if (n)
        x->r = x->fp[0];
    pop_frame(x);
    return exec_returned(x);
}

bool slow_done(struct wasm_exec *x) {
    x->outcome = WASM_DONE;
    x->clock = exec_clock(x, 0);
    x->state = EXEC_DONE;
    return false;
}

bool slow_cross(struct wasm_exec *x) {
    struct frame *marker = x->top;
    must(marker->code == NULL);
    x->top = marker - 1;
    x->pc = marker->ret;
    x->fp = marker->fp;
    exec_enter_instance(x, marker->instance);
    return exec_returned(x);
}

bool slow_trap(struct wasm_exec *x) {
    struct code *c = x->top->code;
    uint64_t clock = exec_clock(x, 0);
    uint32_t offset = 0;
    struct place p;
    if (!x->host && c && (in_fused(c, x->pc) || in_exact(c, x->pc))) {
        bool fused = in_fused(c, x->pc);
        if (place_at_word(c, !fused, x->trap_first ? PLACE_FIRST : PLACE_INSN,
                          (uint32_t)(x->pc - (fused ? c->entry : c->exact)), &p)) {
            offset = p.offset;
            clock += fused ? p.ticks : 0;
            place_deinit(&p);
        }
    }
    exec_trapped(x, x->trap, offset, clock);
    return false;
}

static bool trap(struct wasm_exec *x, enum wasm_trap_kind k) {
    x->trap = k;
    return slow_trap(x);
}

/* ---- calls
 * ----------------------------------------------------------------------------------------------------------- */

bool slow_translate(struct wasm_exec *x) {
    translate((struct code *)(uintptr_t)x->pc[2], false);
    return true;
}

/* Pushes a frame for `c` at slots `fp`; its parameters are there. */
bool exec_push_frame(struct wasm_exec *x, struct code *c, uint64_t *fp, const uint64_t *ret) {
    if (!exec_room(x, &fp, c->frame_slots))
        return false;
    if (!c->start)
        exec_fused_code(c); /* also tells zero_slots */
    struct frame *t = ++x->top;
    must(t < x->frames_end);
    *t = (struct frame){.ret = ret, .fp = fp, .code = c};
    x->fp = fp;
    memset(fp + c->param_slots, 0, c->zero_slots * sizeof *fp);
    x->pc = c->start;
    return true;
}

bool exec_entered(struct wasm_exec *x) {
    if (x->exact) {
        uint64_t clock = exec_clock(x, 0);
        if (exec_near_limit(x, clock))
            x->pc = exec_exact_code(x->top->code);
        else
            exec_fuel_for_fused(x, clock, 0);
        return true;
    }
    return x->fuel >= 0 || slow_fuel(x);
}

void exec_canonical_results(const struct wasm_functype *ft, uint64_t *slots) {
    for (uint32_t i = 0; i < ft->nresults; i++) {
        if (ft->results[i] == WASM_I32 || ft->results[i] == WASM_F32)
            *slots = (uint32_t)*slots;
        slots += type_slots(ft->results[i]);
    }
}

enum call_end { CALL_RETURNED, CALL_PARKED, CALL_LEFT };

/* Calls a host function; fuel has been charged. */
static enum call_end call_host(struct wasm_exec *x, struct wasm_func *f, uint64_t *slots) {
    x->host = f;
    x->state = EXEC_HOST_CALL;
    enum wasm_host h = f->fn(f->env, x, slots);
    x->state = EXEC_RUNNING;
    switch (h) {
    case WASM_HOST_OK:
        x->host = NULL;
        exec_canonical_results(f->type, slots);
        return CALL_RETURNED;
    case WASM_HOST_PARK: x->host = NULL; return CALL_PARKED;
    case WASM_HOST_EXIT: exec_exited(x, exec_clock(x, 0)); return CALL_LEFT;
    case WASM_HOST_TRAP:
    default: trap(x, WASM_TRAP_HOST); return CALL_LEFT;
    }
}

/* The call operator at x->pc calls a host function: false when that leaves the execution. A call that parks has not
 * begun: the operator's ticks are taken back, and x stands before it. */
static bool operator_calls_host(struct wasm_exec *x, struct wasm_func *f, uint64_t *slots) {
    uint32_t ticks = operand_imm(x);
    x->fuel -= ticks;
    enum call_end end = call_host(x, f, slots);
    if (end == CALL_PARKED) {
        x->fuel += x->exact ? 1 : ticks;
        uint64_t clock = exec_clock(x, x->exact ? 0 : ticks - 1);
        if (x->exact)
            x->pc--;
        exec_leave(x, WASM_PARKED, clock);
    }
    return end == CALL_RETURNED;
}

/* A call of `f`, arguments at x->fp + a, instruction of `words` words. */
static bool call(struct wasm_exec *x, struct wasm_func *f, uint32_t a, uint32_t words) {
    bool cross = f->instance && f->instance != x->instance;
    if (cross)
        exec_whole_stack(x);
    uint64_t *slots = x->fp + a;
    uint32_t ticks = operand_imm(x);
    const uint64_t *ret = x->pc + words;
    if (!f->instance) {
        if (!operator_calls_host(x, f, slots))
            return false;
        if (f->type->nresults)
            x->r = slots[0];
        x->pc = ret;
        return x->fuel >= 0 || slow_fuel(x);
    }
    struct frame *top = x->top;
    if (cross) {
        must(x->top + 1 < x->frames_end);
        *++x->top = (struct frame){.ret = ret, .fp = x->fp, .instance = x->instance};
    }
    const uint64_t *at = x->pc;
    if (!exec_push_frame(x, f->code, slots, cross ? interp_cross_code() : ret)) {
        x->top = top;
        x->pc = at;
        return trap(x, WASM_TRAP_STACK_EXHAUSTED);
    }
    x->fuel -= ticks;
    if (cross)
        exec_enter_instance(x, f->instance);
    return exec_entered(x);
}

bool slow_call_import(struct wasm_exec *x) {
    return call(x, x->instance->funcs[(uint32_t)x->pc[2]], operand(x, 0), 3);
}

bool slow_call_exact(struct wasm_exec *x) {
    struct code *c = (struct code *)(uintptr_t)x->pc[2];
    return call(x, x->instance->funcs[c->func], operand(x, 0), 3);
}

/* The function a call_indirect means, or NULL after a trap. */
static struct wasm_func *indirect(struct wasm_exec *x) {
    const struct wasm_table *t = x->instance->tables[(uint32_t)x->pc[2]];
    uint32_t i = (uint32_t)x->fp[operand(x, 1)];
    if (i >= t->size) {
        trap(x, WASM_TRAP_UNDEFINED_ELEMENT);
        return NULL;
    }
    struct wasm_func *f = (struct wasm_func *)(uintptr_t)t->elems[i];
    if (!f) {
        trap(x, WASM_TRAP_UNINITIALIZED);
        return NULL;
    }
    if ((uint64_t)(uintptr_t)f->type != x->pc[3]) {
        trap(x, WASM_TRAP_INDIRECT_TYPE);
        return NULL;
    }
    return f;
}

bool slow_call_indirect(struct wasm_exec *x) {
    struct wasm_func *f = indirect(x);
    return f && call(x, f, operand(x, 0), 4);
}

/* A tail call: the arguments replace this frame's slots, and the callee returns to this frame's caller. */
static bool tail_call(struct wasm_exec *x, struct wasm_func *f, uint32_t a) {
    bool cross = f->instance && f->instance != x->instance;
    if (cross || (!f->instance && f->type->result_slots > ZERO_SLOTS)) /* this frame has no room for them */
        exec_whole_stack(x);
    uint32_t ticks = operand_imm(x);
    uint64_t *fp = x->fp;
    if (!f->instance) {
        if (!operator_calls_host(x, f, fp + a))
            return false;
        memmove(fp, fp + a, f->type->result_slots * sizeof *fp);
        if (f->type->nresults)
            x->r = fp[0];
        pop_frame(x);
        exec_returned(x);
        return x->fuel >= 0 || slow_fuel(x);
    }
    if (!exec_room(x, &fp, f->code->frame_slots))
        return trap(x, WASM_TRAP_STACK_EXHAUSTED);
    struct wasm_instance *caller = x->instance;
    struct frame *t = x->top;
    const uint64_t *ret = t->ret;
    bool marker = cross && ret != interp_cross_code();
    memmove(fp, fp + a, f->type->param_slots * sizeof *fp);
    x->fuel -= ticks;
    x->top = t - 1;
    if (marker) {
        *++x->top = (struct frame){.ret = ret, .fp = t[-1].fp, .instance = caller};
        ret = interp_cross_code();
    }
    bool ok = exec_push_frame(x, f->code, fp, ret);
    must(ok);
    if (cross)
        exec_enter_instance(x, f->instance);
    return exec_entered(x);
}

bool slow_return_call(struct wasm_exec *x) {
    return tail_call(x, x->instance->funcs[(uint32_t)x->pc[2]], operand(x, 0));
}

bool slow_return_call_indirect(struct wasm_exec *x) {
    struct wasm_func *f = indirect(x);
    return f && tail_call(x, f, operand(x, 0));
}

/* ---- memory and tables
 * ------------------------------------------------------------------------------------------------ */

bool slow_memory_grow(struct wasm_exec *x) {
    uint64_t *fp = x->fp;
    uint32_t a = operand(x, 0), b = operand(x, 1);
    fp[a] = (uint32_t)wasm_memory_grow(x->memory, (uint32_t)fp[b]);
    x->pc += 2;
    return true;
}

bool slow_table_get(struct wasm_exec *x) {
    const struct wasm_table *t = x->instance->tables[operand_imm(x)];
    wasm_ref v;
    if (!wasm_table_get(t, (uint32_t)x->fp[operand(x, 1)], &v))
        return trap(x, WASM_TRAP_TABLE_BOUNDS);
    x->fp[operand(x, 0)] = v;
    x->pc += 2;
    return true;
}

bool slow_table_set(struct wasm_exec *x) {
    struct wasm_table *t = x->instance->tables[operand_imm(x)];
    if (!wasm_table_set(t, (uint32_t)x->fp[operand(x, 0)], x->fp[operand(x, 1)]))
        return trap(x, WASM_TRAP_TABLE_BOUNDS);
    x->pc += 2;
    return true;
}

bool slow_table_grow(struct wasm_exec *x) {
    struct wasm_table *t = x->instance->tables[(uint32_t)x->pc[2]];
    int64_t old = table_grow(t, (uint32_t)x->fp[operand(x, 2)], x->fp[operand(x, 1)]);
    x->fp[operand(x, 0)] = (uint32_t)old;
    x->pc += 3;
    return true;
}

/* How many of `n` units a bulk operation may do now: the charge is one tick for `per_tick` of them, beyond the
 * operator's own. Sets *whole when it will be finished. */
static uint64_t bulk_share(const struct wasm_exec *x, uint64_t n, uint32_t per_tick, uint32_t slice, bool *whole) {
    uint64_t ticks = n / per_tick, room = x->fuel > 0 ? (uint64_t)x->fuel : 0;
    *whole = ticks <= room && n <= slice;
    if (*whole)
        return n;
    if (x->exact)
        room++; /* the tick taken for the operator itself is not due before its end */
    uint64_t share = room < slice / per_tick ? room : slice / per_tick;
    return share < ticks ? share * per_tick : ticks * per_tick;
}

/* After a share: on to the next instruction, or back to this one with what is left. */
static bool bulk_next(struct wasm_exec *x, const struct bulk *b, uint32_t words) {
    x->fuel -= (int64_t)b->ticks;
    if (b->whole) {
        x->pc += words;
        return true;
    }
    if (!x->exact) {
        /* Memory that is touched for the first time takes longer than its ticks say: a share is a slice. */
        if (x->fuel >= 0)
            x->origin -= (uint64_t)x->fuel + 1, x->fuel = -1; /* the clock stays, but someone must look */
        return slow_fuel(x);
    }
    uint64_t clock = exec_clock(x, 0) - 1; /* the operator's own tick is counted when it is done */
    bool interrupted = take_interrupt(x);
    if (x->fuel >= 0 && !interrupted)
        return true;
    x->fuel += 1;
    x->pc -= 1; /* the check before it */
    exec_leave(x, interrupted ? WASM_INTERRUPTED : WASM_STOPPED, clock);
    return false;
}

bool exec_memory_bulk(struct wasm_exec *x, uint64_t *v, uint32_t what, uint32_t segment, struct bulk *out) {
    uint64_t n = (uint32_t)v[2], d = (uint32_t)v[0], s = (uint32_t)v[1];
    struct wasm_memory *m = x->memory;
    const uint8_t *from = NULL;
    if (d + n > m->size)
        return false;
    if (what == 1) {
        if (s + n > m->size)
            return false;
        from = m->data + s;
    } else if (what == 2) {
        struct span data = x->instance->module->datas[segment].bytes;
        if (s + n > (x->instance->dropped_datas[segment] ? 0 : data.size))
            return false;
        from = data.data + s;
    }
    uint64_t share = bulk_share(x, n, 64, BULK_SLICE_BYTES, &out->whole);
    bool backwards = what == 1 && d > s;
    uint64_t at = backwards ? n - share : 0;
    if (share) {
        if (what == 0)
            memset(m->data + d, (int)(uint8_t)v[1], share);
        else
            memmove(m->data + d + at, from + at, share);
    }
    if (!backwards) {
        v[0] = (uint32_t)(d + share);
        if (what != 0)
            v[1] = (uint32_t)(s + share);
    }
    v[2] = n - share;
    out->ticks = share / 64;
    return true;
}

bool slow_memory_bulk(struct wasm_exec *x) {
    struct bulk b;
    if (!exec_memory_bulk(x, x->fp + operand(x, 0), operand(x, 1), operand_imm(x), &b))
        return trap(x, WASM_TRAP_MEMORY_BOUNDS);
    return bulk_next(x, &b, 2);
}

bool exec_table_bulk(struct wasm_exec *x, uint64_t *v, uint32_t what, uint32_t table, uint32_t second,
                     struct bulk *out) {
    uint64_t n = (uint32_t)v[2], d = (uint32_t)v[0], s = (uint32_t)v[1];
    struct wasm_table *t = x->instance->tables[table];
    const struct wasm_table *u = what == 1 ? x->instance->tables[second] : NULL;
    const struct module_elem *seg = what == 2 ? &x->instance->module->elems[second] : NULL;
    uint64_t limit = what == 1   ? u->size
                     : what == 2 ? (x->instance->dropped_elems[second] ? 0 : seg->count)
                                 : UINT64_MAX;
    if (d + n > t->size || (what != 0 && s + n > limit))
        return false;
    uint64_t share = bulk_share(x, n, 8, BULK_SLICE_BYTES / 8, &out->whole);
    bool backwards = what == 1 && d > s;
    uint64_t at = backwards ? n - share : 0;
    if (what == 0) {
        for (uint64_t i = 0; i < share; i++)
            t->elems[d + i] = v[1];
    } else if (what == 1) {
        if (share)
            memmove(t->elems + d + at, u->elems + s + at, share * sizeof *t->elems);
    } else {
        for (uint64_t i = 0; i < share; i++)
            t->elems[d + i] = instance_elem(x->instance, seg, (uint32_t)(s + i));
    }
    if (!backwards) {
        v[0] = (uint32_t)(d + share);
        if (what != 0)
            v[1] = (uint32_t)(s + share);
    }
    v[2] = n - share;
    out->ticks = share / 8;
    return true;
}

bool slow_table_bulk(struct wasm_exec *x) {
    struct bulk b;
    if (!exec_table_bulk(x, x->fp + operand(x, 0), operand(x, 1), operand_imm(x), (uint32_t)x->pc[2], &b))
        return trap(x, WASM_TRAP_TABLE_BOUNDS);
    return bulk_next(x, &b, 3);
}

/* ---- running
 * ---------------------------------------------------------------------------------------------------------- */

void wasm_call(struct wasm_exec *x, struct wasm_func *f, const union wasm_value *args) {
    must(x->state == EXEC_IDLE || x->state == EXEC_DONE);
    wasm_reset(x);
    x->top = x->frames;
    if (f->type->param_slots > (size_t)(x->stack_end - x->stack) || f->type->result_slots > ZERO_SLOTS)
        exec_whole_stack(x);
    uint64_t *slot = x->stack;
    for (uint32_t i = 0; i < f->type->nparams; i++) {
        value_to_slots(f->type->params[i], &args[i], slot);
        slot += type_slots(f->type->params[i]);
    }
    x->top = x->frames;
    *x->top = (struct frame){.fp = x->stack};
    x->fp = x->stack;
    x->callee = f;
    x->exact = false;
    x->r = 0;
    x->state = EXEC_READY;
    exec_enter_instance(x, f->instance);
    if (f->instance && exec_push_frame(x, f->code, x->stack, interp_done_code())) {
        x->pc = exec_fused_code(f->code);
        x->fresh = true;
        return;
    }
    x->pc = f->instance ? NULL : interp_done_code(); /* no room, or a host function: found out by wasm_run */
}

/* wasm_run of what never entered Wasm. */
static enum wasm_outcome run_outermost(struct wasm_exec *x) {
    struct wasm_func *f = x->callee;
    x->fuel = 0;
    x->origin = x->clock;
    if (f->instance) {
        trap(x, WASM_TRAP_STACK_EXHAUSTED);
        return x->outcome;
    }
    x->exact = true;
    switch (call_host(x, f, x->stack)) {
    case CALL_RETURNED: slow_done(x); break;
    case CALL_PARKED: exec_leave(x, WASM_PARKED, x->clock); break;
    case CALL_LEFT: break;
    }
    return x->outcome;
}

enum wasm_outcome wasm_run(struct wasm_exec *x, uint64_t until_ticks) {
    must(x->state == EXEC_READY);
    x->until = until_ticks;
    if (x->clock >= until_ticks)
        return WASM_STOPPED;
    x->state = EXEC_RUNNING;
    if (x->top == x->frames)
        return run_outermost(x);
    struct code *c = x->top->code;
    if (in_fused(c, x->pc)) {
        struct place p;
        bool entry = x->pc == c->entry;
        bool ok = entry || stop_place(c, x->pc, &p);
        must(ok);
        uint32_t ticks = entry ? 0 : p.ticks;
        if (until_ticks - x->clock > 2 * EXEC_MARGIN(x->store)) {
            exec_fuel_for_fused(x, x->clock, ticks);
            if (x->fresh)
                x->pc = c->start;
        } else {
            if (entry) {
                x->pc = exec_exact_code(c);
            } else {
                place_settle(&p, x->fp);
                x->pc = exact_at(c, &p);
            }
            exec_fuel_for_exact(x, x->clock);
        }
        if (!entry)
            place_deinit(&p);
    } else {
        exec_fuel_for_exact(x, x->clock);
    }
    x->fresh = false;
    native_run(x);
    return x->outcome;
}

void wasm_results(const struct wasm_exec *x, union wasm_value *out) {
    must(x->state == EXEC_DONE);
    const struct wasm_functype *ft = x->callee->type;
    const uint64_t *slot = x->stack;
    for (uint32_t i = 0; i < ft->nresults; i++) {
        value_from_slots(ft->results[i], slot, &out[i]);
        slot += type_slots(ft->results[i]);
    }
}

/* ---- traps and back-traces ----------------------------------------------------------------------------------------
 */

const char *wasm_trap_text(enum wasm_trap_kind k) {
    static const char *const texts[] = {
#define X(name, text) text,
        WASM_TRAP_TABLE(X)
#undef X
    };
    must((unsigned)k < sizeof texts / sizeof *texts);
    return texts[k];
}

enum wasm_trap_kind wasm_trap(const struct wasm_exec *x) {
    return x->state == EXEC_TRAPPED ? x->trap : WASM_TRAP_NONE;
}

void wasm_trap_set_text(struct wasm_exec *x, const char *text) {
    mem_free(x->trap_text);
    x->trap_text = text ? mem_strdup(text) : NULL;
}

const char *wasm_exec_trap_text(const struct wasm_exec *x) {
    return x->trap_text ? x->trap_text : wasm_trap_text(x->trap);
}

/* File offset of the operator an address belongs to; kinds in order of preference. */
static uint32_t offset_at(struct code *c, const uint64_t *pc, const enum place_kind *kinds, int nkinds) {
    bool fused = in_fused(c, pc);
    if (!fused && !in_exact(c, pc))
        return 0;
    uint32_t word = (uint32_t)(pc - (fused ? c->entry : c->exact));
    for (int i = 0; i < nkinds; i++) {
        struct place p;
        if (place_at_word(c, !fused, kinds[i], word, &p)) {
            uint32_t offset = p.offset;
            place_deinit(&p);
            return offset;
        }
    }
    return 0;
}

uint32_t wasm_backtrace(const struct wasm_exec *x, struct wasm_frame *out, uint32_t cap) {
    uint32_t n = 0;
    if (x->state == EXEC_IDLE || x->state == EXEC_DONE)
        return 0;
    if (x->host) {
        if (n < cap)
            out[n] = (struct wasm_frame){.label = x->host->label};
        n++;
    }
    static const enum place_kind at_top[] = {PLACE_INSN, PLACE_OP, PLACE_LABEL, PLACE_CALL};
    static const enum place_kind stopped[] = {PLACE_OP, PLACE_LABEL, PLACE_CALL, PLACE_INSN};
    static const enum place_kind called[] = {PLACE_CALL};
    const uint64_t *pc = x->pc;
    struct wasm_instance *instance = x->instance;
    bool top = true;
    for (const struct frame *f = x->top; f > x->frames; f--) {
        if (!f->code) { /* marker: what is below it belongs to another instance */
            instance = f->instance;
            pc = f->ret;
            continue;
        }
        if (f->code == &native_exit) {
            struct native_place p = native_at(f->instance, (uint64_t)(uintptr_t)f->ret, f->fp);
            do {
                if (n < cap)
                    out[n] = (struct wasm_frame){.instance = f->instance, .func = p.code->func, .offset = p.offset};
                n++;
            } while (native_up((struct wasm_exec *)(uintptr_t)x, &p)); /* it remembers places */
            instance = f->instance;
            top = false;
            pc = (--f)->ret; /* of the frame it was entered through */
            continue;
        }
        if (n < cap) {
            struct wasm_frame *o = &out[n];
            *o = (struct wasm_frame){.instance = instance, .func = f->code->func};
            if (!top)
                o->offset = offset_at(f->code, pc, called, 1);
            else if (x->state == EXEC_TRAPPED && !x->host)
                o->offset = x->trap_offset;
            else if (x->host)
                o->offset = offset_at(f->code, pc, at_top, 4);
            else
                o->offset = offset_at(f->code, pc, stopped, 4);
        }
        n++;
        top = false;
        pc = f->ret;
    }
    return n;
}
