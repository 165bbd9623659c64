/* unwind.c: compiled frames found by their links, and made into interpreter's frames (docs/design/native.md). */
#include "wasm/exec.h"

/* ---- places looked up before ---------------------------------------------------------------------------------------
 *
 * A place is found by translating its function once more; recursion asks for the same ones again and again. */

struct lazy_operand {
    uint16_t slot, from;
    uint8_t slots;
};

enum site_kind { SITE_CALL, SITE_LOOP, SITE_OP, SITE_HOST, SITE_EXACT, SITE_WORD };

struct site {
    const struct code *code;
    enum site_kind kind;
    uint32_t key; /* offset; SITE_WORD: the word */
    bool found;
    uint32_t word, ticks;
    uint32_t slot; /* SITE_CALL: where the callee's frame begins */
    uint32_t loop; /* SITE_WORD */
    uint32_t nlazy;
    struct lazy_operand lazy[]; /* operands that fused code reads from the slot of a local */
};

struct sites {
    struct site **items; /* by hash, with gaps */
    uint32_t n, cap;     /* cap: a power of two */
};

static uint32_t hash(const struct code *c, enum site_kind kind, uint32_t key) {
    uint64_t h = (uint64_t)(uintptr_t)c / sizeof(void *) * 31 + key * 8u + kind;
    return (uint32_t)((h * 0x9e3779b97f4a7c15ull) >> 32);
}

static struct site **slot_of(const struct sites *s, const struct code *c, enum site_kind kind, uint32_t key) {
    uint32_t i = hash(c, kind, key);
    for (;; i++) {
        struct site **p = &s->items[i & (s->cap - 1)];
        if (!*p || ((*p)->code == c && (*p)->kind == kind && (*p)->key == key))
            return p;
    }
}

static void grow(struct sites *s) {
    struct sites old = *s;
    s->cap = old.cap ? old.cap * 2 : 64;
    s->items = mem_zalloc(s->cap * sizeof(struct site *));
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.items[i])
            *slot_of(s, old.items[i]->code, old.items[i]->kind, old.items[i]->key) = old.items[i];
    mem_free(old.items);
}

void native_sites_free(struct sites *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->cap; i++)
        mem_free(s->items[i]);
    mem_free(s->items);
    mem_free(s);
}

/* The operator behind the `loop` at `offset`: its head goes by that. */
static uint32_t head_of(const struct wasm_module *m, uint32_t offset) {
    const uint8_t *p = m->bytes.data + offset + 1;
    while (*p++ & 0x80)
        ;
    return (uint32_t)(p - m->bytes.data);
}

/* Where the frame of the callee of the call at p->offset begins. */
static uint32_t callee_slot(const struct code *c, const struct place *p) {
    uint32_t next, results = call_at(c->home->module, p->offset, &next)->nresults;
    if (results)
        return p->values[p->nvalues - results].slot;
    if (p->nvalues)
        return p->values[p->nvalues - 1].slot + type_slots(p->values[p->nvalues - 1].type);
    return c->param_slots + c->zero_slots;
}

static bool find_place(struct code *c, enum site_kind kind, uint32_t key, struct place *p) {
    const struct wasm_module *m = c->home->module;
    exec_fused_code(c);
    switch (kind) {
    case SITE_CALL: return place_at_offset(c, false, PLACE_CALL, key, p);
    case SITE_LOOP: return place_at_offset(c, false, PLACE_LABEL, head_of(m, key), p);
    case SITE_OP: return place_at_offset(c, false, PLACE_OP, key, p);
    case SITE_HOST: return place_at_offset(c, false, PLACE_INSN, key, p);
    case SITE_EXACT: exec_exact_code(c); return place_at_offset(c, true, PLACE_OP, key, p);
    case SITE_WORD: return place_at_word(c, false, PLACE_LABEL, key, p);
    }
    return false;
}

static struct site *look_up(struct code *c, enum site_kind kind, uint32_t key) {
    struct place p;
    bool found = find_place(c, kind, key, &p);
    uint32_t n = found ? p.nvalues : 0;
    struct site *s = mem_zalloc(sizeof *s + n * sizeof *s->lazy);
    *s = (struct site){.code = c, .kind = kind, .key = key, .found = found};
    if (!found)
        return s;
    s->word = p.word;
    s->ticks = p.ticks;
    s->loop = p.loop;
    if (kind == SITE_CALL)
        s->slot = callee_slot(c, &p);
    for (uint32_t i = 0; i < n; i++)
        if (p.values[i].lazy == 1)
            s->lazy[s->nlazy++] =
                (struct lazy_operand){p.values[i].slot, p.values[i].from, (uint8_t)type_slots(p.values[i].type)};
    place_deinit(&p);
    return s;
}

static const struct site *site_at(struct wasm_exec *x, struct code *c, enum site_kind kind, uint32_t key) {
    if (!x->sites)
        x->sites = mem_zalloc(sizeof *x->sites);
    struct sites *s = x->sites;
    if (s->n * 2 >= s->cap)
        grow(s);
    struct site **p = slot_of(s, c, kind, key);
    if (!*p) {
        *p = look_up(c, kind, key);
        s->n++;
    }
    return *p;
}

static const struct site *site_there(struct wasm_exec *x, struct code *c, enum site_kind kind, uint32_t key) {
    const struct site *s = site_at(x, c, kind, key);
    must(s->found);
    return s;
}

/* Compiled code has all operands in their slots, but not the locals that nobody reads any more; fused code may still
 * read an operand from the local it was taken from. */
static void to_locals(const struct site *s, uint64_t *fp) {
    for (uint32_t i = 0; i < s->nlazy; i++) {
        const struct lazy_operand *o = &s->lazy[i];
        memcpy(fp + o->from, fp + o->slot, o->slots * sizeof *fp);
    }
}

uint32_t native_loop_at(struct wasm_exec *x, struct code *c, const uint64_t *pc) {
    return site_at(x, c, SITE_WORD, (uint32_t)(pc - c->entry))->loop;
}

void native_find_loop(struct wasm_exec *x, struct code *c, struct native_loop *l) {
    const struct site *s = site_at(x, c, SITE_LOOP, l->loop);
    l->word = s->found ? s->word : NATIVE_LOOP_DEAD;
    l->ticks = s->ticks;
}

/* ---- the way up ----------------------------------------------------------------------------------------------------
 */

struct native_place native_at(const struct wasm_instance *i, uint64_t link, uint64_t *fp) {
    return (struct native_place){
        .code = &i->code->codes[module_func_at(i->module, (uint32_t)link)],
        .fp = fp,
        .offset = (uint32_t)link,
    };
}

bool native_up(struct wasm_exec *x, struct native_place *p) {
    uint64_t link = p->fp[p->code->param_slots];
    if (!link)
        return false;
    p->code = &p->code->home->codes[module_func_at(p->code->home->module, (uint32_t)link)];
    p->offset = (uint32_t)link;
    p->fp -= site_there(x, p->code, SITE_CALL, p->offset)->slot;
    return true;
}

/* ---- unwinding -----------------------------------------------------------------------------------------------------
 */

/* Frames from the top down. */
struct pile {
    struct frame *items;
    uint32_t n, cap;
};

static void put(struct pile *p, struct frame f) {
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->items = mem_realloc(p->items, p->cap * sizeof *p->items);
    }
    p->items[p->n++] = f;
}

/* Where the frame at `p` goes on when its call returns. */
static const uint64_t *return_to(struct wasm_exec *x, const struct native_place *p) {
    const struct site *s = site_there(x, p->code, SITE_CALL, p->offset);
    to_locals(s, p->fp);
    return p->code->entry + s->word;
}

/* All compiled frames from `p` to the one that was entered through `base`. */
static void put_compiled(struct wasm_exec *x, struct pile *pile, struct native_place p, const struct frame *base) {
    for (;;) {
        put(pile, (struct frame){.fp = p.fp, .code = p.code});
        if (!native_up(x, &p))
            break;
        pile->items[pile->n - 1].ret = return_to(x, &p);
    }
    must(p.fp == base->fp);
    pile->items[pile->n - 1].ret = base->ret;
}

void native_unwind(struct wasm_exec *x, const struct native_place *top) {
    struct frame *bottom = x->native_bottom;
    struct pile pile = {0};
    const struct wasm_instance *callee = x->instance;
    const struct frame *f = x->top;
    must(bottom);
    if (top)
        put_compiled(x, &pile, *top, f--);
    for (; f >= bottom; f--) {
        if (f->code != &native_exit) {
            put(&pile, *f);
            if (!f->code)
                callee = f->instance;
            continue;
        }
        struct native_place p = native_at(f->instance, (uint64_t)(uintptr_t)f->ret, f->fp);
        const uint64_t **ret = &pile.items[pile.n - 1].ret;
        if (f->instance == callee) {
            *ret = return_to(x, &p);
        } else {
            *ret = interp_cross_code();
            put(&pile, (struct frame){.ret = return_to(x, &p), .fp = f->fp, .instance = f->instance});
        }
        callee = f->instance;
        put_compiled(x, &pile, p, --f);
    }
    must(pile.n && bottom + pile.n <= x->frames_end);
    for (uint32_t i = 0; i < pile.n; i++)
        bottom[i] = pile.items[pile.n - 1 - i];
    x->top = bottom + pile.n - 1;
    if (top)
        x->fp = top->fp;
    x->native_bottom = NULL;
    mem_free(pile.items);
}

/* ---- going on ------------------------------------------------------------------------------------------------------
 */

static void stand_at(struct wasm_exec *x, const struct site *s) {
    to_locals(s, x->fp);
    x->pc = x->top->code->entry + s->word;
    x->fuel += s->ticks;
}

void native_resume_entry(struct wasm_exec *x) {
    struct code *c = x->top->code;
    x->pc = exec_fused_code(c);
    memset(x->fp + c->param_slots, 0, c->zero_slots * sizeof *x->fp);
}

void native_resume_call(struct wasm_exec *x, uint32_t offset) {
    const struct site *s = site_there(x, x->top->code, SITE_CALL, offset);
    stand_at(x, s);
    x->r = x->fp[s->slot]; /* as after any call with one integer result */
}

void native_resume_loop(struct wasm_exec *x, uint32_t offset) {
    stand_at(x, site_there(x, x->top->code, SITE_LOOP, offset));
}

void native_resume_op(struct wasm_exec *x, uint32_t offset) {
    stand_at(x, site_there(x, x->top->code, SITE_OP, offset));
}

void native_resume_host(struct wasm_exec *x, uint32_t offset) {
    stand_at(x, site_there(x, x->top->code, SITE_HOST, offset));
}

void native_resume_exact(struct wasm_exec *x, uint32_t offset) {
    struct code *c = x->top->code;
    exec_fuel_for_exact(x, exec_clock(x, 0));
    x->pc = exec_exact_code(c) + site_there(x, c, SITE_EXACT, offset)->word;
}
