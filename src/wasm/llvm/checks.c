/* checks.c: which bounds checks need not be made.
 *
 * A memory never shrinks.  So when an access through a local has been checked, later ones through the same value of it
 * that reach no further need no check, wherever the first is sure to have come before.  And when later ones in the same
 * block reach further, the first is checked as far as they do: where that fails although the access itself may be fine,
 * compiled code leaves the operator to the interpreter, which knows. */
#include "wasm/llvm/frame.h"

enum { MAX_LEADS = 16, MAX_WIDENING = 1024, MAX_KNOWN = 64 };

/* An access that later ones may lean on. */
struct lead {
    uint32_t local, access, depth;
};

struct checks {
    struct body *f;
    uint32_t cap;
    struct lead leads[MAX_LEADS];
    uint32_t nleads, depth, next_loop;
    uint32_t known[MAX_KNOWN]; /* operands on top: local + 1 whose value one is, or 0 */
    uint32_t nknown;
};

static uint32_t known_pop(struct checks *c) {
    return c->nknown ? c->known[--c->nknown] : 0;
}

static void known_push(struct checks *c, uint32_t what) {
    if (c->nknown == MAX_KNOWN)
        c->nknown = 0;
    c->known[c->nknown++] = what;
}

static void drop_local(struct checks *c, uint32_t local) {
    for (uint32_t i = 0; i < c->nleads;)
        if (c->leads[i].local == local)
            c->leads[i] = c->leads[--c->nleads];
        else
            i++;
    for (uint32_t i = 0; i < c->nknown; i++)
        if (c->known[i] == local + 1)
            c->known[i] = 0;
}

/* Those made in blocks that have ended. */
static void drop_deeper(struct checks *c, uint32_t depth) {
    for (uint32_t i = 0; i < c->nleads;)
        if (c->leads[i].depth > depth)
            c->leads[i] = c->leads[--c->nleads];
        else
            i++;
}

static struct lead *find_lead(struct checks *c, uint32_t local) {
    for (uint32_t i = 0; i < c->nleads; i++)
        if (c->leads[i].local == local)
            return &c->leads[i];
    if (c->nleads == MAX_LEADS) { /* the oldest goes */
        memmove(c->leads, c->leads + 1, (MAX_LEADS - 1) * sizeof *c->leads);
        c->nleads--;
    }
    return NULL;
}

static void access_through(struct checks *c, uint32_t local, uint32_t offset, uint64_t reach) {
    struct body *f = c->f;
    if (f->naccesses == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        f->accesses = mem_realloc(f->accesses, c->cap * sizeof *f->accesses);
    }
    struct access *a = &f->accesses[f->naccesses];
    struct lead *l = find_lead(c, local);
    *a = (struct access){.offset = offset, .own = reach, .reach = reach, .how = ACCESS_CHECKED};
    struct access *first = l ? &f->accesses[l->access] : NULL;
    if (first && reach <= first->reach) {
        a->how = ACCESS_COVERED;
    } else if (first && l->depth == c->depth && reach <= first->own + MAX_WIDENING) {
        first->reach = reach;
        first->how = ACCESS_WIDE;
        a->how = ACCESS_COVERED;
    } else if (l) {
        *l = (struct lead){local, f->naccesses, c->depth};
    } else {
        c->leads[c->nleads++] = (struct lead){local, f->naccesses, c->depth};
    }
    f->naccesses++;
}

static void by_signature(struct checks *c, const struct insn *i) {
    const struct wasm_op_info *info = &wasm_op_infos[i->op];
    uint32_t n = (uint32_t)(strchr(info->sig, '_') - info->sig), first = 0;
    for (uint32_t k = 0; k < n; k++)
        first = known_pop(c);
    bool memory =
        info->imm == IMM_LOAD || info->imm == IMM_STORE || info->imm == IMM_LOAD_LANE || info->imm == IMM_STORE_LANE;
    if (memory && first)
        access_through(c, first - 1, i->offset, (uint64_t)i->b + (1u << info->align));
    for (uint32_t k = n + 1; info->sig[k]; k++)
        known_push(c, 0);
}

static void control(struct checks *c, enum wasm_op op) {
    c->nknown = 0;
    switch (op) {
    case OP_LOOP: {
        const struct loop_facts *facts = &c->f->loops[c->next_loop++];
        if (c->f->is_loop_entry && facts->offset == c->f->start_loop)
            c->nleads = 0; /* one may come in here */
        for (uint32_t i = c->nleads; i-- > 0;)
            if (bit_get(facts->assigns, c->leads[i].local))
                drop_local(c, c->leads[i].local);
        c->depth++;
        return;
    }
    case OP_BLOCK:
    case OP_IF: c->depth++; return;
    case OP_ELSE: drop_deeper(c, c->depth - 1); return;
    case OP_END:
        if (c->depth)
            drop_deeper(c, --c->depth);
        return;
    default: return;
    }
}

static void look_at(struct checks *c, const struct insn *i) {
    switch (i->op) {
    case OP_LOCAL_GET: known_push(c, i->a + 1); return;
    case OP_LOCAL_SET:
        (void)known_pop(c);
        drop_local(c, i->a);
        return;
    case OP_LOCAL_TEE:
        (void)known_pop(c);
        drop_local(c, i->a);
        known_push(c, i->a + 1);
        return;
    case OP_GLOBAL_GET: known_push(c, 0); return;
    case OP_GLOBAL_SET:
    case OP_DROP:
    case OP_BR_IF: (void)known_pop(c); return;
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
    for (uint32_t at = g->frame->func->offset; at < end;) {
        struct insn i;
        read_insn(file, at, &i);
        at = i.next;
        look_at(&c, &i);
    }
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
