/* checks.c: which bounds checks need not be made.
 *
 * A memory never shrinks.  So when an access at some value has been checked, later ones at the same value, or at a
 * constant more, that reach no further need no check, wherever the first is sure to have come before.  And when later
 * ones in the same block reach further, the first is checked as far as they do: where that fails although the access
 * itself may be fine, compiled code leaves the operator to the interpreter, which knows.
 *
 * Values are numbered: a local has another value after it was assigned, where paths join of which one assigns it, and
 * at the head of a loop that does.  Since all that is checked lies below 4 GiB, adding a constant does not wrap where
 * the sum is in bounds. */
#include "wasm/llvm/frame.h"

enum { MAX_LEADS = 16, MAX_WIDENING = 1024, MAX_KNOWN = 64 };

/* `root` and `add` more; root 0: unknown, or with `constant` the number `add`. */
struct value {
    uint32_t root, add;
    bool constant;
};

/* An access that later ones may lean on. */
struct lead {
    struct value at;
    uint32_t access, depth;
};

struct scope {
    uint32_t assigned; /* how many assignments there were when it began */
};

struct checks {
    struct body *f;
    uint32_t cap;
    struct lead leads[MAX_LEADS];
    uint32_t nleads, next_loop, nroots;
    struct value *locals;
    uint32_t *assigned, nassigned, assigned_cap; /* locals, one after the other */
    struct scope *scopes;
    uint32_t depth, scopes_cap;
    struct value known[MAX_KNOWN]; /* operands on top */
    uint32_t nknown;
};

static struct value unknown(void) {
    return (struct value){0};
}

static struct value fresh(struct checks *c) {
    return (struct value){.root = ++c->nroots};
}

static struct value take(struct checks *c) {
    return c->nknown ? c->known[--c->nknown] : unknown();
}

static void put(struct checks *c, struct value v) {
    if (c->nknown == MAX_KNOWN)
        c->nknown = 0;
    c->known[c->nknown++] = v;
}

static void assign(struct checks *c, uint32_t local, struct value v) {
    c->locals[local] = v.root ? v : fresh(c);
    if (c->nassigned == c->assigned_cap) {
        c->assigned_cap = c->assigned_cap ? c->assigned_cap * 2 : 64;
        c->assigned = mem_realloc(c->assigned, c->assigned_cap * sizeof *c->assigned);
    }
    c->assigned[c->nassigned++] = local;
}

/* Paths join, or part anew: what was assigned since the innermost block began is not known any more, and what was
 * checked in it need not have been. */
static void join(struct checks *c) {
    for (uint32_t i = c->scopes[c->depth - 1].assigned; i < c->nassigned; i++)
        c->locals[c->assigned[i]] = fresh(c);
    for (uint32_t i = 0; i < c->nleads;)
        if (c->leads[i].depth >= c->depth)
            c->leads[i] = c->leads[--c->nleads];
        else
            i++;
}

static void open_scope(struct checks *c) {
    if (c->depth == c->scopes_cap) {
        c->scopes_cap = c->scopes_cap ? c->scopes_cap * 2 : 32;
        c->scopes = mem_realloc(c->scopes, c->scopes_cap * sizeof *c->scopes);
    }
    c->scopes[c->depth++] = (struct scope){c->nassigned};
}

static void open_loop(struct checks *c) {
    const struct loop_facts *facts = &c->f->loops[c->next_loop++];
    if (c->f->is_loop_entry && facts->offset == c->f->start_loop)
        c->nleads = 0; /* one may come in here */
    for (uint32_t i = 0; i < c->f->nlocals; i++)
        if (bit_get(facts->assigns, i))
            assign(c, i, unknown());
    open_scope(c);
}

/* The lead whose value `at` is, or less. */
static struct lead *find_lead(struct checks *c, struct value at) {
    for (uint32_t i = 0; i < c->nleads; i++)
        if (c->leads[i].at.root == at.root && c->leads[i].at.add <= at.add)
            return &c->leads[i];
    return NULL;
}

static struct lead *new_lead(struct checks *c) {
    if (c->nleads == MAX_LEADS) { /* the oldest goes */
        memmove(c->leads, c->leads + 1, (MAX_LEADS - 1) * sizeof *c->leads);
        c->nleads--;
    }
    return &c->leads[c->nleads++];
}

/* `reach`: bytes from the address operand on. */
static void access_at(struct checks *c, struct value at, uint32_t offset, uint64_t reach) {
    struct body *f = c->f;
    if (f->naccesses == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        f->accesses = mem_realloc(f->accesses, c->cap * sizeof *f->accesses);
    }
    struct access *a = &f->accesses[f->naccesses];
    struct lead *l = find_lead(c, at);
    struct access *first = l ? &f->accesses[l->access] : NULL;
    uint64_t far = l ? reach + (at.add - l->at.add) : 0; /* from the lead's operand on */
    *a = (struct access){.offset = offset, .own = reach, .reach = reach, .how = ACCESS_CHECKED};
    if (first && far <= first->reach) {
        a->how = ACCESS_COVERED;
    } else if (first && l->depth == c->depth && far <= first->own + MAX_WIDENING) {
        first->reach = far;
        first->how = ACCESS_WIDE;
        a->how = ACCESS_COVERED;
    } else {
        *(l ? l : new_lead(c)) = (struct lead){at, f->naccesses, c->depth};
    }
    f->naccesses++;
}

static void by_signature(struct checks *c, const struct insn *i) {
    const struct wasm_op_info *info = &wasm_op_infos[i->op];
    uint32_t n = (uint32_t)(strchr(info->sig, '_') - info->sig);
    struct value in[3] = {{0}}, out = unknown();
    for (uint32_t k = n; k-- > 0;)
        in[k] = take(c);
    bool memory =
        info->imm == IMM_LOAD || info->imm == IMM_STORE || info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE;
    if (memory && in[0].root)
        access_at(c, in[0], i->offset, (uint64_t)i->b + (1u << info->align));
    if (i->op == OP_I32_CONST)
        out = (struct value){.add = (uint32_t)i->k, .constant = true};
    if (i->op == OP_I32_ADD && in[1].constant) {
        struct value t = in[0];
        in[0] = in[1];
        in[1] = t;
    }
    if (i->op == OP_I32_ADD && in[0].constant && in[1].root && in[0].add < MAX_WIDENING && in[1].add < MAX_WIDENING)
        out = (struct value){.root = in[1].root, .add = in[1].add + in[0].add};
    for (uint32_t k = n + 1; info->sig[k]; k++)
        put(c, out);
}

static void control(struct checks *c, enum wasm_op op) {
    c->nknown = 0;
    switch (op) {
    case OP_LOOP: open_loop(c); return;
    case OP_BLOCK:
    case OP_IF: open_scope(c); return;
    case OP_ELSE: join(c); return;
    case OP_END:
        if (c->depth) {
            join(c);
            c->depth--;
        }
        return;
    default: return;
    }
}

static void look_at(struct checks *c, const struct insn *i) {
    switch (i->op) {
    case OP_LOCAL_GET: put(c, c->locals[i->a]); return;
    case OP_LOCAL_SET: assign(c, i->a, take(c)); return;
    case OP_LOCAL_TEE:
        assign(c, i->a, take(c));
        put(c, c->locals[i->a]);
        return;
    case OP_GLOBAL_GET: put(c, unknown()); return;
    case OP_GLOBAL_SET:
    case OP_DROP:
    case OP_BR_IF: (void)take(c); return;
    case OP_NOP: return;
    default: break;
    }
    if (strcmp(wasm_op_infos[i->op].sig, "SPECIAL") == 0)
        control(c, i->op);
    else
        by_signature(c, i);
}

void checks_find(struct gen *g) {
    struct checks c = {.f = g->frame};
    const uint8_t *file = g->u->wasm->bytes.data;
    uint32_t end = (uint32_t)(g->frame->func->end - file);
    c.locals = mem_alloc((c.f->nlocals + 1) * sizeof *c.locals);
    for (uint32_t i = 0; i < c.f->nlocals; i++)
        c.locals[i] = fresh(&c);
    for (uint32_t at = g->frame->func->offset; at < end;) {
        struct insn i;
        read_insn(file, at, &i);
        at = i.next;
        look_at(&c, &i);
    }
    mem_free(c.locals);
    mem_free(c.assigned);
    mem_free(c.scopes);
}

const struct access *checks_at(const struct body *f, uint32_t offset) {
    uint32_t low = 0, high = f->naccesses;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->accesses[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->naccesses && f->accesses[low].offset == offset ? &f->accesses[low] : NULL;
}
