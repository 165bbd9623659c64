#include "puppet.h"

#include "wasm/liveness.h"

enum { THUNKS = 64, LOOPS = 32, BLOCKS = 64, VALUES = 64, LOCALS = 24 };
#define RUBBISH 0xdeadbeefdeadbeefull

struct block {
    uint8_t op; /* block, loop or if; 0: the body */
    uint32_t offset, head, otherwise, end;
    uint32_t parent, height, nparams, nresults;
};

struct body {
    struct puppet *puppet;
    struct code *code;
    const struct wasm_functype *type;
    struct liveness *live;
    uint32_t func, nlocals, operands; /* slot of the first */
    struct block blocks[BLOCKS];
    uint32_t nblocks;
};

struct puppet {
    const struct wasm_module *m;
    struct module_code *code;
    struct body *bodies;  /* [nfuncs] */
    uint32_t thunk, loop; /* the first of ours */
    uint32_t nloops;
    uint64_t entered, loops_entered;
};

/* A thunk is a function's, or a loop's, by number. */
static struct body *thunks[THUNKS];
static uint32_t nthunks;
static struct {
    struct body *body;
    uint32_t block;
} loops[LOOPS];
static uint32_t nloops;

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

static uint32_t leb(const uint8_t **p) {
    uint64_t v;
    *p = get_varint(*p, *p + 10, &v);
    return (uint32_t)v;
}

static int32_t sleb(const uint8_t **p) {
    int64_t r = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
        b = *(*p)++;
        r |= (int64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (shift < 64 && (b & 0x40))
        r |= (int64_t)(~(uint64_t)0 << shift);
    return (int32_t)r;
}

static void skip(const uint8_t **p, uint8_t op) {
    switch (op) {
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x12:
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23:
    case 0x24:
    case 0x3f:
    case 0x40: leb(p); break;
    case 0x41: sleb(p); break;
    case 0x11:
    case 0x13:
    case 0x28:
    case 0x36: leb(p), leb(p); break;
    case 0xfc: {
        uint32_t sub = leb(p);
        leb(p);
        if (sub == 10 || sub == 8)
            leb(p);
        break;
    }
    default: break;
    }
}

static const struct wasm_functype *func_type(const struct body *b, uint32_t func) {
    return &b->puppet->m->types[b->puppet->m->funcs[func].type];
}

/* How the height of the operand stack changes. */
static int32_t change(const struct body *b, uint8_t op, const uint8_t *p) {
    const struct wasm_functype *t;
    switch (op) {
    case 0x10: t = func_type(b, leb(&p)); return (int32_t)t->nresults - (int32_t)t->nparams;
    case 0x11: t = &b->puppet->m->types[leb(&p)]; return (int32_t)t->nresults - (int32_t)t->nparams - 1;
    case 0x20:
    case 0x23:
    case 0x3f:
    case 0x41: return 1;
    case 0x0d:
    case 0x04:
    case 0x1a:
    case 0x21:
    case 0x24: return -1;
    case 0x36:
    case 0x1b: return -2;
    case 0xfc: return -3;
    case 0x22:
    case 0x28:
    case 0x40:
    case 0x45:
    case 0x01: return 0;
    default: return op >= 0x46 && op <= 0x78 ? -1 : 0;
    }
}

static void block_type(const struct body *b, struct block *k, const uint8_t **p) {
    int32_t t = sleb(p);
    if (t >= 0) {
        k->nparams = b->puppet->m->types[t].nparams;
        k->nresults = b->puppet->m->types[t].nresults;
    } else if (t != -0x40) {
        k->nresults = 1;
    }
}

/* Blocks and the heights they begin at. */
static void scan(struct body *b) {
    const struct wasm_module *m = b->puppet->m;
    const uint8_t *base = m->bytes.data, *p = m->funcs[b->func].code;
    int32_t height = 0, dead = 0, cur = 0;
    b->blocks[0] = (struct block){.nresults = b->type->nresults};
    b->nblocks = 1;
    for (;;) {
        uint32_t offset = (uint32_t)(p - base);
        uint8_t op = *p++;
        struct block *c = &b->blocks[cur];
        if (op == 0x02 || op == 0x03 || op == 0x04) {
            if (dead) {
                skip(&p, op);
                dead++;
                continue;
            }
            height -= op == 0x04;
            must(b->nblocks < BLOCKS);
            struct block *k = &b->blocks[b->nblocks];
            *k = (struct block){.op = op, .offset = offset, .parent = (uint32_t)cur};
            block_type(b, k, &p);
            k->head = (uint32_t)(p - base);
            k->height = (uint32_t)height - k->nparams;
            cur = (int32_t)b->nblocks++;
        } else if (op == 0x05) {
            if (dead > 1)
                continue;
            dead = 0;
            c->otherwise = (uint32_t)(p - base);
            height = (int32_t)(c->height + c->nparams);
        } else if (op == 0x0b) {
            if (dead > 1) {
                dead--;
                continue;
            }
            dead = 0;
            c->end = (uint32_t)(p - base);
            height = (int32_t)(c->height + c->nresults);
            if (cur == 0)
                return;
            cur = (int32_t)c->parent;
        } else {
            if (!dead)
                height += change(b, op, p);
            skip(&p, op);
            if (op == 0x00 || op == 0x0c || op == 0x0f || op == 0x12 || op == 0x13)
                dead = dead ? dead : 1;
        }
    }
}

/* ---- running -------------------------------------------------------------------------------------------------------
 */

struct ret {
    int64_t fuel;
    uint64_t value;
};
typedef struct ret body_fn(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t a, uint64_t b, uint64_t c);

struct state {
    const struct body *b;
    struct wasm_exec *x;
    uint64_t *fp;
    int64_t fuel;
    uint32_t offset; /* of the operator */
    uint32_t h;
    uint64_t locals[LOCALS], stack[VALUES];
};

#define HELPER(s, name) ((name##_fn *)(uintptr_t)(s)->x->native[NATIVE_##name])
typedef int64_t entry_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t);
typedef entry_fn loop_fn, after_fn;
typedef void trap_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t, uint32_t);
typedef void leave_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t);
typedef int64_t call_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t, uint64_t *, uint32_t);
typedef int64_t ref_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t, uint64_t *, struct wasm_func *);
typedef int64_t memory_bulk_fn(struct wasm_exec *, uint64_t *, int64_t, uint64_t, uint64_t *, uint32_t, uint32_t);
typedef uint32_t memory_grow_fn(struct wasm_exec *, uint32_t);

static uint64_t link_at(const struct state *s) {
    return s->offset;
}

static uint32_t slot_of(const struct body *b, uint32_t local) {
    return local + (local >= b->code->param_slots);
}

/* Before the operator, or at the head of the loop. */
static void to_slots(struct state *s, uint32_t operands) {
    const uint64_t *live = liveness_at(s->b->live, s->offset);
    for (uint32_t i = 0; i < s->b->nlocals; i++)
        s->fp[slot_of(s->b, i)] = liveness_has(live, i) ? s->locals[i] : RUBBISH;
    memcpy(s->fp + s->b->operands, s->stack, operands * sizeof *s->stack);
}

static void from_slots(struct state *s) {
    for (uint32_t i = 0; i < s->b->nlocals; i++)
        s->locals[i] = s->fp[slot_of(s->b, i)];
    memcpy(s->stack, s->fp + s->b->operands, s->h * sizeof *s->stack);
}

static void trap(struct state *s, enum wasm_trap_kind k) {
    HELPER(s, trap)(s->x, s->fp, s->fuel, link_at(s), k);
    must(!"came back");
}

/* Everything as it was before the operator, for the interpreter. */
static void leave(struct state *s, uint32_t operands) {
    memcpy(s->fp + s->b->operands, s->stack, operands * sizeof *s->stack);
    HELPER(s, leave)(s->x, s->fp, s->fuel + 1, link_at(s));
    must(!"came back");
}

static void at_head(struct state *s, const struct block *k) {
    if (s->fuel >= 0)
        return;
    s->offset = k->offset;
    to_slots(s, s->h);
    s->fuel = HELPER(s, loop)(s->x, s->fp, s->fuel, link_at(s));
}

static struct wasm_func *indirect(struct state *s, uint32_t type, uint32_t table, uint32_t i) {
    struct wasm_table *t = s->x->instance->tables[table];
    if (i >= t->size)
        trap(s, WASM_TRAP_UNDEFINED_ELEMENT);
    struct wasm_func *f = (struct wasm_func *)(uintptr_t)t->elems[i];
    if (!f)
        trap(s, WASM_TRAP_UNINITIALIZED);
    if (f->type != s->x->instance->code->types[type])
        trap(s, WASM_TRAP_INDIRECT_TYPE);
    return f;
}

/* `f`: of call_indirect, whose index has been taken off. */
static void call(struct state *s, const struct wasm_functype *t, uint32_t func, struct wasm_func *f, uint64_t index,
                 bool tail) {
    s->h -= t->nparams;
    uint64_t *nfp = s->fp + s->b->operands + s->h, *args = s->stack + s->h;
    struct code *c = NULL;
    if (f ? f->instance == s->x->instance : func >= s->b->puppet->m->nimported_funcs)
        c = f ? f->code : &s->x->codes[func];
    to_slots(s, s->h);
    struct ret r = {0};
    if (c && c->native) {
        nfp[c->param_slots] = link_at(s);
        r = ((body_fn *)(uintptr_t)c->native)(s->x, nfp, s->fuel, t->nparams > 0 ? args[0] : RUBBISH,
                                              t->nparams > 1 ? args[1] : RUBBISH, t->nparams > 2 ? args[2] : RUBBISH);
    } else {
        memcpy(nfp, args, t->nparams * sizeof *args);
        if (f)
            nfp[t->nparams] = (uint32_t)index;
        r.fuel = f ? HELPER(s, ref)(s->x, s->fp, s->fuel, link_at(s), nfp, f)
                   : HELPER(s, call)(s->x, s->fp, s->fuel, link_at(s), nfp, func);
        r.value = nfp[0];
    }
    s->fuel = r.fuel;
    if (t->nresults == 1)
        nfp[0] = r.value;
    if (s->fuel < 0 && !tail)
        s->fuel = HELPER(s, after)(s->x, s->fp, s->fuel, link_at(s));
    s->h += t->nresults;
    from_slots(s);
}

static struct ret tail_call(struct state *s, const struct wasm_functype *t, uint32_t func) {
    if (func < s->b->puppet->m->nimported_funcs) {
        call(s, t, func, NULL, 0, true); /* our caller looks at the fuel */
        return (struct ret){s->fuel, s->stack[s->h - 1]};
    }
    struct code *c = &s->x->codes[func];
    if (!c->native)
        leave(s, s->h);
    if (s->fp + c->frame_slots > s->x->stack_end)
        trap(s, WASM_TRAP_STACK_EXHAUSTED);
    uint64_t *args = s->stack + s->h - t->nparams;
    s->fp[c->param_slots] = s->fp[s->b->code->param_slots];
    return ((body_fn *)(uintptr_t)c->native)(s->x, s->fp, s->fuel, args[0], t->nparams > 1 ? args[1] : RUBBISH,
                                             t->nparams > 2 ? args[2] : RUBBISH);
}

static uint32_t binary(struct state *s, uint8_t op, uint32_t l, uint32_t r) {
    switch (op) {
    case 0x46: return l == r;
    case 0x47: return l != r;
    case 0x48: return (int32_t)l < (int32_t)r;
    case 0x49: return l < r;
    case 0x4a: return (int32_t)l > (int32_t)r;
    case 0x4b: return l > r;
    case 0x6a: return l + r;
    case 0x6b: return l - r;
    case 0x6c: return l * r;
    case 0x6e:
    case 0x70:
        if (!r)
            trap(s, WASM_TRAP_INTEGER_DIVIDE);
        return op == 0x6e ? l / r : l % r;
    case 0x71: return l & r;
    case 0x72: return l | r;
    case 0x73: return l ^ r;
    default: must(!"operator of the subset"); return 0;
    }
}

static struct ret returned(struct state *s) {
    uint32_t n = s->b->type->nresults;
    uint64_t *from = s->stack + s->h - n;
    if (n > 1)
        memcpy(s->fp, from, n * sizeof *from);
    return (struct ret){s->fuel, n == 1 ? from[0] : 0};
}

static uint8_t *address(struct state *s, uint32_t a, uint32_t offset) {
    uint64_t ea = (uint64_t)a + offset;
    if (ea + 4 > s->x->memory->size)
        trap(s, WASM_TRAP_MEMORY_BOUNDS);
    return s->x->memory->data + ea;
}

static void bulk(struct state *s, const uint8_t **p) {
    uint32_t sub = leb(p), what = sub == 11 ? 0 : sub == 10 ? 1 : 2;
    uint32_t segment = leb(p);
    if (what)
        leb(p);
    s->h -= 3;
    to_slots(s, s->h + 3);
    s->fuel = HELPER(s, memory_bulk)(s->x, s->fp, s->fuel, link_at(s), s->fp + s->b->operands + s->h, what,
                                     what == 2 ? segment : 0);
    from_slots(s);
}

/* Operators without control. */
static void simple(struct state *s, uint8_t op, const uint8_t **p) {
    uint64_t *v = s->stack;
    union wasm_value *g;
    uint32_t i;
    switch (op) {
    case 0x00: trap(s, WASM_TRAP_UNREACHABLE); break;
    case 0x01: break;
    case 0x1a: s->h--; break;
    case 0x1b:
        s->h -= 2;
        v[s->h - 1] = (uint32_t)v[s->h + 1] ? v[s->h - 1] : v[s->h];
        break;
    case 0x20: v[s->h++] = s->locals[leb(p)]; break;
    case 0x21: s->locals[leb(p)] = v[--s->h]; break;
    case 0x22: s->locals[leb(p)] = v[s->h - 1]; break;
    case 0x23:
    case 0x24:
        i = leb(p);
        g = &s->x->own_globals[i - s->b->puppet->m->nimported_globals].v;
        if (op == 0x23)
            v[s->h++] = g->i64;
        else
            g->i64 = v[--s->h];
        break;
    case 0x28:
        leb(p), i = leb(p);
        v[s->h - 1] = get_u32(address(s, (uint32_t)v[s->h - 1], i));
        break;
    case 0x36:
        leb(p), i = leb(p);
        s->h -= 2;
        put_u32(address(s, (uint32_t)v[s->h], i), (uint32_t)v[s->h + 1]);
        break;
    case 0x3f:
        leb(p);
        v[s->h++] = (uint32_t)(s->x->memory->size / WASM_PAGE_SIZE);
        break;
    case 0x40:
        leb(p);
        v[s->h - 1] = HELPER(s, memory_grow)(s->x, (uint32_t)v[s->h - 1]);
        break;
    case 0x41: v[s->h++] = (uint32_t)sleb(p); break;
    case 0x45: v[s->h - 1] = !(uint32_t)v[s->h - 1]; break;
    case 0xfc: bulk(s, p); break;
    default:
        s->h--;
        v[s->h - 1] = binary(s, op, (uint32_t)v[s->h - 1], (uint32_t)v[s->h]);
        break;
    }
}

/* Takes a branch; NULL: out of the function. */
static const uint8_t *branch(struct state *s, uint32_t *cur, uint32_t depth) {
    const struct body *b = s->b;
    while (depth--)
        *cur = b->blocks[*cur].parent;
    const struct block *k = &b->blocks[*cur];
    if (!k->op)
        return NULL;
    uint32_t n = k->op == 0x03 ? k->nparams : k->nresults;
    memmove(s->stack + k->height, s->stack + s->h - n, n * sizeof *s->stack);
    s->h = k->height + n;
    if (k->op == 0x03) {
        at_head(s, k);
        return b->puppet->m->bytes.data + k->head;
    }
    *cur = k->parent;
    return b->puppet->m->bytes.data + k->end;
}

static struct ret walk(struct state *s, uint32_t cur, const uint8_t *p) {
    const struct body *b = s->b;
    const uint8_t *base = b->puppet->m->bytes.data;
    for (;;) {
        s->offset = (uint32_t)(p - base);
        uint8_t op = *p++;
        const struct block *k = &b->blocks[cur];
        struct wasm_func *f;
        uint32_t i, table;
        uint64_t index;
        s->fuel -= op != 0x02 && op != 0x03 && op != 0x05 && op != 0x0b;
        switch (op) {
        case 0x02:
        case 0x03:
        case 0x04:
            for (cur = 1; b->blocks[cur].offset != s->offset; cur++)
                ;
            k = &b->blocks[cur];
            p = base + k->head;
            if (op == 0x03)
                at_head(s, k);
            if (op == 0x04 && !(uint32_t)s->stack[--s->h]) {
                p = base + (k->otherwise ? k->otherwise : k->end);
                cur = k->otherwise ? cur : k->parent;
            }
            break;
        case 0x05:
        case 0x0b:
            if (!k->op)
                return returned(s);
            p = base + k->end;
            cur = k->parent;
            break;
        case 0x0c:
        case 0x0d:
            i = leb(&p);
            if ((op == 0x0c || (uint32_t)s->stack[--s->h]) && !(p = branch(s, &cur, i)))
                return returned(s);
            break;
        case 0x0f: return returned(s);
        case 0x10:
            i = leb(&p);
            call(s, func_type(b, i), i, NULL, 0, false);
            break;
        case 0x11:
            i = leb(&p), table = leb(&p);
            index = s->stack[--s->h];
            f = indirect(s, i, table, (uint32_t)index);
            call(s, &b->puppet->m->types[i], 0, f, index, false);
            break;
        case 0x12: i = leb(&p); return tail_call(s, func_type(b, i), i);
        case 0x13:
            i = leb(&p), table = leb(&p);
            f = indirect(s, i, table, (uint32_t)s->stack[s->h - 1]);
            if (f->instance != s->x->instance || !f->code->native)
                leave(s, s->h);
            s->h--;
            return tail_call(s, &b->puppet->m->types[i], f->index);
        default: simple(s, op, &p); break;
        }
    }
}

static struct ret run(uint32_t thunk, struct wasm_exec *x, uint64_t *fp, int64_t fuel, const uint64_t *args) {
    struct body *b = thunks[thunk];
    struct state s = {.b = b, .x = x, .fp = fp, .fuel = fuel};
    b->puppet->entered++;
    memcpy(s.locals, args, b->type->nparams * sizeof *args);
    if (fuel < 0 || fp + b->code->frame_slots > x->stack_end ||
        (uint8_t *)__builtin_frame_address(0) < x->native_limit) {
        memcpy(fp, args, b->type->nparams * sizeof *args);
        s.fuel = HELPER(&s, entry)(x, fp, fuel, b->puppet->m->funcs[b->func].offset);
    }
    return walk(&s, 0, b->puppet->m->funcs[b->func].code);
}

static uint64_t enter(uint32_t thunk, struct wasm_exec *x, uint64_t *fp, int64_t fuel) {
    uint64_t args[3] = {fp[0], fp[1], fp[2]};
    struct ret r = run(thunk, x, fp, fuel, args);
    if (thunks[thunk]->type->nresults == 1)
        fp[0] = r.value;
    return (uint64_t)r.fuel;
}

static uint64_t enter_loop(uint32_t loop, struct wasm_exec *x, uint64_t *fp, int64_t fuel) {
    struct body *b = loops[loop].body;
    const struct block *k = &b->blocks[loops[loop].block];
    struct state s = {.b = b, .x = x, .fp = fp, .fuel = fuel, .h = k->height + k->nparams};
    b->puppet->loops_entered++;
    from_slots(&s);
    at_head(&s, k);
    struct ret r = walk(&s, loops[loop].block, b->puppet->m->bytes.data + k->head);
    if (b->type->nresults == 1)
        fp[0] = r.value;
    return (uint64_t)r.fuel;
}

// clang-format off
#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define LIST(X) EIGHT(X, 0) EIGHT(X, 01) EIGHT(X, 02) EIGHT(X, 03)
#define ALL(X) LIST(X) EIGHT(X, 04) EIGHT(X, 05) EIGHT(X, 06) EIGHT(X, 07)
#define THUNK(n) \
    static struct ret body##n(struct wasm_exec *x, uint64_t *fp, int64_t fuel, uint64_t a, uint64_t b, uint64_t c) { \
        return run(n, x, fp, fuel, (uint64_t[]){a, b, c}); \
    } \
    static uint64_t enter##n(struct wasm_exec *x, uint64_t *fp, int64_t fuel) { return enter(n, x, fp, fuel); }
#define LOOP(n) \
    static uint64_t loop##n(struct wasm_exec *x, uint64_t *fp, int64_t fuel) { return enter_loop(n, x, fp, fuel); }
// clang-format on
ALL(THUNK)
LIST(LOOP)
#define NAME(n) body##n,
static body_fn *const bodies[THUNKS] = {ALL(NAME)};
#undef NAME
#define NAME(n) enter##n,
static native_enter_fn *const entries[THUNKS] = {ALL(NAME)};
#undef NAME
#define NAME(n) loop##n,
static native_enter_fn *const loop_entries[LOOPS] = {LIST(NAME)};

/* ---- life ----------------------------------------------------------------------------------------------------------
 */

struct puppet *puppet_new(struct wasm_store *s, const struct wasm_module *m) {
    struct puppet *p = mem_zalloc(sizeof *p);
    p->m = m;
    p->code = store_module_code(s, m);
    p->bodies = mem_zalloc(m->nfuncs * sizeof *p->bodies);
    p->thunk = nthunks;
    p->loop = nloops;
    must(nthunks + m->nfuncs <= THUNKS);
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        struct body *b = &p->bodies[i];
        b->puppet = p;
        b->func = i;
        b->code = &p->code->codes[i];
        b->type = &m->types[m->funcs[i].type];
        b->nlocals = b->type->nparams + m->funcs[i].nlocals;
        b->operands = b->nlocals + 1;
        must(b->type->nparams <= 3 && b->nlocals <= LOCALS);
        b->live = liveness_new(m, i, NULL, 0);
        scan(b);
        thunks[nthunks + i] = b;
    }
    nthunks += m->nfuncs;
    return p;
}

void puppet_free(struct puppet *p) {
    for (uint32_t i = p->m->nimported_funcs; i < p->m->nfuncs; i++)
        liveness_free(p->bodies[i].live);
    nthunks = p->thunk; /* the last made goes first */
    nloops = p->loop;
    mem_free(p->bodies);
    mem_free(p);
}

static void install_loops(struct body *b) {
    for (uint32_t i = 1; i < b->nblocks; i++) {
        if (b->blocks[i].op != 0x03)
            continue;
        must(nloops < LOOPS);
        loops[nloops].body = b;
        loops[nloops].block = i;
        native_install(b->code, b->blocks[i].offset, loop_entries[nloops++], NULL);
    }
}

void puppet_install(struct puppet *p, uint64_t funcs, bool with_loops) {
    for (uint32_t i = p->m->nimported_funcs; i < p->m->nfuncs; i++) {
        uint32_t t = p->thunk + i;
        if (funcs >> i & 1)
            native_install(p->bodies[i].code, 0, entries[t], (void *)(uintptr_t)bodies[t]);
        if (with_loops)
            install_loops(&p->bodies[i]);
    }
}

bool puppet_entered(const struct puppet *p, uint64_t *functions, uint64_t *entered_loops) {
    *functions = p->entered;
    *entered_loops = p->loops_entered;
    return true;
}
