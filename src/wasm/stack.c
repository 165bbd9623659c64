/* stack.c: the slots and frames of an execution.
 *
 * Whole, they are address space for all that limits allow, and never move: compiled code holds pointers into them.  An
 * execution in a store of compact memories begins with a small stack from the heap instead, with one frame for a slot.
 * When a call finds no room there it is copied to a larger one, or becomes whole; compiled code, and calls between
 * instances, which take frames without slots, are entered with a whole one only. */
#include "wasm/exec.h"

enum { FIRST_SLOTS = 64, LAST_SLOTS = 1024, BOTTOM_FRAMES = 8, ANY_PAGE = 64 << 10 /* whole pages of any machine */ };

/* Each frame has its link slot, which no other shares; beside it there are at most two markers, and some at the bottom.
 * So frames never run out before slots do. */
static size_t most_frames(const struct wasm_store *s) {
    return 3 * (size_t)s->config.max_stack_slots + BOTTOM_FRAMES;
}

/* The outermost call's arguments are put down, and a host function's results, before anyone has looked at the end.
 * Frames begin on a page of their own. */
static size_t most_slots(const struct wasm_store *s) {
    size_t unchecked = WASM_MAX_PARAMS > WASM_MAX_RESULTS ? WASM_MAX_PARAMS : WASM_MAX_RESULTS;
    size_t in_page = ANY_PAGE / sizeof(uint64_t);
    return (s->config.max_stack_slots + 2 * unchecked + ZERO_SLOTS + in_page - 1) / in_page * in_page;
}

static size_t room(const struct wasm_exec *x) {
    return (size_t)(x->stack_end - x->stack);
}

static void set(struct wasm_exec *x, void *bytes, size_t slots, size_t all_slots, size_t frames) {
    x->stack = bytes;
    x->stack_end = x->stack + slots;
    x->frames = (struct frame *)(void *)(x->stack + all_slots);
    x->frames_end = x->frames + frames;
}

static void make_small(struct wasm_exec *x, size_t slots) {
    size_t all = slots + ZERO_SLOTS, frames = slots + BOTTOM_FRAMES;
    x->small_stack = mem_zalloc(all * sizeof(uint64_t) + frames * sizeof(struct frame));
    set(x, x->small_stack, slots, all, frames);
}

static void make_whole(struct wasm_exec *x) {
    const struct wasm_store *s = x->store;
    size_t size = most_slots(s) * sizeof(uint64_t) + most_frames(s) * sizeof(struct frame);
    size = (size + ANY_PAGE - 1) / ANY_PAGE * ANY_PAGE;
    bool ok = pool_stack(s->config.pool, size, &x->whole_stack);
    must(ok); /* depth is decided by limits, not by luck */
    set(x, x->whole_stack.data, s->config.max_stack_slots, most_slots(s), most_frames(s));
}

void exec_stack_init(struct wasm_exec *x) {
    const struct wasm_config *c = &x->store->config;
    if (c->memory_kind == WASM_MEMORY_COMPACT)
        make_small(x, c->max_stack_slots < FIRST_SLOTS ? c->max_stack_slots : FIRST_SLOTS);
    else
        make_whole(x);
    x->top = x->frames;
    x->top->fp = x->fp = x->stack;
}

void exec_stack_deinit(struct wasm_exec *x) {
    if (x->whole_stack.data)
        pool_stack_release(x->store->config.pool, &x->whole_stack, most_slots(x->store) * sizeof(uint64_t));
    mem_free(x->small_stack);
}

/* A larger one with the same in it. */
static void enlarge(struct wasm_exec *x, size_t slots) {
    must(x->small_stack && !x->native_bottom);
    uint64_t *old_small = x->small_stack, *old_stack = x->stack;
    struct frame *old_frames = x->frames;
    size_t old_room = room(x) + ZERO_SLOTS, depth = (size_t)(x->top - x->frames);
    x->small_stack = NULL;
    if (slots <= LAST_SLOTS && slots < x->store->config.max_stack_slots)
        make_small(x, slots);
    else
        make_whole(x);
    memcpy(x->stack, old_stack, old_room * sizeof *x->stack);
    memcpy(x->frames, old_frames, (depth + 1) * sizeof *x->frames);
    x->top = x->frames + depth;
    x->fp = x->stack + (x->fp - old_stack);
    for (struct frame *f = x->frames; f <= x->top; f++)
        f->fp = x->stack + (f->fp - old_stack);
    mem_free(old_small);
}

void exec_whole_stack(struct wasm_exec *x) {
    if (x->small_stack)
        enlarge(x, SIZE_MAX);
}

bool exec_room(struct wasm_exec *x, uint64_t **fp, size_t slots) {
    if (*fp + slots <= x->stack_end)
        return true;
    size_t at = (size_t)(*fp - x->stack);
    if (at + slots > x->store->config.max_stack_slots)
        return false;
    while (at + slots > room(x))
        enlarge(x, 4 * room(x));
    *fp = x->stack + at;
    return true;
}

/* A call found no room: once more, with a larger stack. */
bool slow_stack(struct wasm_exec *x) {
    if (!x->small_stack) {
        x->trap = WASM_TRAP_STACK_EXHAUSTED;
        return slow_trap(x);
    }
    enlarge(x, 4 * room(x));
    return true;
}
