/* liveness.c: live locals, by passes over a body from its end.
 *
 * A body is first made into a list of events: what touches locals, what branches, what is recorded.  A pass goes
 * through it backwards with the set of the place it has come to; structured control makes each branch's target known
 * before the branch, but for loops, of which the pass before tells.  From the head of a loop no path needs a branch to
 * it or to a loop inside of it to reach its first read (it would come by the same place twice), so that a pass has all
 * of an outermost loop's head, the second all of the next, and so on: one more than loops are nested finds nothing new.
 */
#include "wasm/liveness.h"

#include "base/must.h"
#include "wasm/validate.h"

enum event_kind {
    READ,   /* local `what` */
    WRITE,  /* local `what` */
    OPEN,   /* a block */
    LOOP,   /* record `what` is its head's */
    IF,     /* `what`: there is an else */
    ELSE,   /* */
    END,    /* of the block that event `what` has opened */
    JUMP,   /* `what` blocks out; perhaps */
    LEAVE,  /* nothing falls through */
    RECORD, /* `what` */
};

struct event {
    uint32_t kind : 4, what : 28;
    uint32_t offset;
};

enum { NO_EVENT = (1 << 28) - 1 }; /* the body itself is opened by none */
_Static_assert((int)LIVENESS_MAX_EVENTS < (int)NO_EVENT, "events are numbered");

struct liveness {
    uint32_t nlocals, nwords;
    struct event *events;
    uint32_t nevents, cap;
    uint32_t ncontrols; /* events that copy sets; so are records */
    uint32_t depth;     /* blocks are nested, the body itself counted */
    uint32_t nrecords;
    uint32_t *offsets; /* [nrecords], ascending; NULL: everything is live */
    uint64_t *sets;    /* [nrecords][nwords]; or one set of all */
};

/* ---- events --------------------------------------------------------------------------------------------------------
 */

static void add(struct liveness *l, enum event_kind kind, uint32_t what, uint32_t offset) {
    if (l->nevents == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->events = mem_realloc(l->events, l->cap * sizeof *l->events);
    }
    l->events[l->nevents++] = (struct event){.kind = kind, .what = what, .offset = offset};
    l->ncontrols += kind != READ && kind != WRITE;
}

static void add_record(struct liveness *l, enum event_kind kind, uint32_t offset) {
    add(l, kind, l->nrecords++, offset);
}

/* Indices of the events that opened the blocks we are in. */
struct nest {
    uint32_t *open;
    uint32_t n, cap;
};

static void enter(struct liveness *l, struct nest *nest, uint32_t event) {
    if (nest->n == nest->cap) {
        nest->cap = nest->cap ? 2 * nest->cap : 64;
        nest->open = mem_realloc(nest->open, nest->cap * sizeof *nest->open);
    }
    nest->open[nest->n++] = event;
    if (l->depth < nest->n)
        l->depth = nest->n;
}

/* What an operator does to locals and paths; reads its immediates. */
static void add_operator(struct liveness *l, struct nest *nest, struct reader *r, enum wasm_op op, uint32_t at) {
    enum wasm_imm imm = (enum wasm_imm)wasm_op_infos[op].imm;
    switch (op) {
    case OP_LOCAL_GET: add(l, READ, read_u32(r), at); return;
    case OP_LOCAL_SET:
    case OP_LOCAL_TEE: add(l, WRITE, read_u32(r), at); return;
    case OP_BR_IF: add(l, JUMP, read_u32(r), at); return;
    case OP_BR:
        add(l, JUMP, read_u32(r), at);
        add(l, LEAVE, 0, at);
        return;
    case OP_BR_TABLE:
        for (uint32_t n = read_u32(r) + 1; n && l->nevents <= LIVENESS_MAX_EVENTS; n--)
            add(l, JUMP, read_u32(r), at);
        add(l, LEAVE, 0, at);
        return;
    case OP_RETURN_CALL:
    case OP_RETURN_CALL_INDIRECT: add_record(l, RECORD, at); /* fall through */
    case OP_RETURN:
    case OP_UNREACHABLE: add(l, LEAVE, 0, at); break;
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
        enter(l, nest, l->nevents);
        if (op == OP_LOOP)
            add_record(l, LOOP, at);
        else
            add(l, op == OP_IF ? IF : OPEN, 0, at);
        break;
    case OP_ELSE:
        l->events[nest->open[nest->n - 1]].what = 1;
        add(l, ELSE, 0, at);
        break;
    case OP_END: add(l, END, nest->open[--nest->n], at); break;
    case OP_CALL:
    case OP_CALL_INDIRECT:
    case OP_MEMORY_GROW:
    case OP_MEMORY_FILL:
    case OP_MEMORY_COPY:
    case OP_MEMORY_INIT:
    case OP_TABLE_GET:
    case OP_TABLE_SET:
    case OP_TABLE_GROW:
    case OP_TABLE_FILL:
    case OP_TABLE_COPY:
    case OP_TABLE_INIT: add_record(l, RECORD, at); break;
    default: break;
    }
    validate_skip_immediates(r, imm);
}

/* False when the body is beyond the bounds. */
static bool collect(struct liveness *l, const struct wasm_module *m, const struct module_func *f, const uint32_t *also,
                    uint32_t nalso) {
    struct reader r = {m->bytes.data, f->code, f->end, ST_OK, NULL};
    struct nest nest = {0};
    enter(l, &nest, NO_EVENT);
    add_record(l, RECORD, f->offset);
    while (nest.n && l->nevents <= LIVENESS_MAX_EVENTS) {
        uint32_t at = (uint32_t)(r.p - r.file);
        enum wasm_op op = read_operator(&r);
        must(op != OP_COUNT && r.status == ST_OK);
        if (nalso && *also == at) {
            add_record(l, RECORD, at);
            also++, nalso--;
        }
        add_operator(l, &nest, &r, op, at);
    }
    mem_free(nest.open);
    return l->nevents <= LIVENESS_MAX_EVENTS && (uint64_t)l->ncontrols * l->nwords <= LIVENESS_MAX_WORDS;
}

/* ---- passes --------------------------------------------------------------------------------------------------------
 */

/* A block whose end has been passed. */
struct around {
    const uint64_t *label; /* where branches to it go */
    uint64_t *after;       /* behind its end: where they go, unless it is a loop */
    uint64_t *otherwise;   /* at the beginning of the else branch */
};

struct pass {
    struct liveness *l;
    uint64_t *now;
    struct around *arounds; /* [depth] */
    uint64_t *sets;         /* theirs, and now */
    uint32_t n;
};

static void copy(const struct pass *p, uint64_t *to, const uint64_t *from) {
    memcpy(to, from, p->l->nwords * sizeof *to);
}

/* True when that added something. */
static bool unite(const struct pass *p, uint64_t *to, const uint64_t *from) {
    uint64_t more = 0;
    for (uint32_t i = 0; i < p->l->nwords; i++) {
        more |= from[i] & ~to[i];
        to[i] |= from[i];
    }
    return more != 0;
}

static uint64_t *record(const struct liveness *l, const struct event *e) {
    return l->sets + (size_t)e->what * l->nwords;
}

/* Goes into a block from its end; `opened`: its beginning, or NULL for the body. */
static void begin_block(struct pass *p, const struct event *opened) {
    struct around *a = &p->arounds[p->n++];
    copy(p, a->after, p->now);
    a->label = opened && opened->kind == LOOP ? record(p->l, opened) : a->after;
}

/* What is live before event `e`, given what is live after it. True when a loop turned out to need more. */
static bool step(struct pass *p, const struct event *e) {
    struct liveness *l = p->l;
    if (e->kind == END) {
        begin_block(p, e->what == NO_EVENT ? NULL : &l->events[e->what]);
        return false;
    }
    struct around *a = &p->arounds[p->n - 1];
    switch ((enum event_kind)e->kind) {
    case READ: p->now[e->what / 64] |= (uint64_t)1 << e->what % 64; return false;
    case WRITE: p->now[e->what / 64] &= ~((uint64_t)1 << e->what % 64); return false;
    case RECORD: copy(p, record(l, e), p->now); return false;
    case LEAVE: memset(p->now, 0, l->nwords * sizeof *p->now); return false;
    case JUMP: unite(p, p->now, p->arounds[p->n - 1 - e->what].label); return false;
    case ELSE:
        copy(p, a->otherwise, p->now);
        copy(p, p->now, a->after);
        return false;
    case IF: unite(p, p->now, e->what ? a->otherwise : a->after); /* fall through */
    case OPEN: p->n--; return false;
    case LOOP: {
        bool more = unite(p, record(l, e), p->now);
        copy(p, p->now, record(l, e));
        p->n--;
        return more;
    }
    case END: break;
    }
    return false;
}

static void pass_init(struct pass *p, struct liveness *l) {
    *p = (struct pass){.l = l};
    p->arounds = mem_alloc(l->depth * sizeof *p->arounds);
    p->sets = mem_zalloc((2 * (size_t)l->depth + 1) * l->nwords * sizeof *p->sets);
    p->now = p->sets;
    for (uint32_t i = 0; i < l->depth; i++) {
        p->arounds[i].after = p->sets + (2 * (size_t)i + 1) * l->nwords;
        p->arounds[i].otherwise = p->arounds[i].after + l->nwords;
    }
}

static void pass_deinit(struct pass *p) {
    mem_free(p->arounds);
    mem_free(p->sets);
}

/* From the end up to and with all operators from `offset` on. */
static bool run(struct pass *p, uint32_t offset) {
    const struct liveness *l = p->l;
    bool more = false;
    p->n = 0;
    memset(p->now, 0, l->nwords * sizeof *p->now);
    for (uint32_t i = l->nevents; i-- > 0 && l->events[i].offset >= offset;)
        more |= step(p, &l->events[i]);
    return more;
}

/* ---- from outside --------------------------------------------------------------------------------------------------
 */

static void set_all_live(struct liveness *l) {
    mem_free(l->events);
    mem_free(l->offsets);
    mem_free(l->sets);
    l->events = NULL;
    l->offsets = NULL;
    l->nevents = l->cap = l->nrecords = 0;
    l->sets = mem_zalloc(l->nwords * sizeof *l->sets);
    for (uint32_t i = 0; i < l->nlocals; i++)
        l->sets[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool solve(struct liveness *l) {
    struct pass p;
    pass_init(&p, l);
    bool more = true;
    for (int i = 0; more && i < LIVENESS_MAX_PASSES; i++)
        more = run(&p, 0);
    pass_deinit(&p);
    return !more;
}

struct liveness *liveness_new(const struct wasm_module *m, uint32_t func, const uint32_t *also, uint32_t nalso) {
    const struct module_func *f = &m->funcs[func];
    must(f->code != NULL);
    struct liveness *l = mem_zalloc(sizeof *l);
    l->nlocals = m->types[f->type].nparams + f->nlocals;
    l->nwords = LIVENESS_WORDS(l->nlocals);
    if (!collect(l, m, f, also, nalso)) {
        set_all_live(l);
        return l;
    }
    l->sets = mem_zalloc((size_t)l->nrecords * l->nwords * sizeof *l->sets);
    l->offsets = mem_alloc(l->nrecords * sizeof *l->offsets);
    for (uint32_t i = 0; i < l->nevents; i++)
        if (l->events[i].kind == RECORD || l->events[i].kind == LOOP)
            l->offsets[l->events[i].what] = l->events[i].offset;
    if (!solve(l))
        set_all_live(l);
    return l;
}

void liveness_free(struct liveness *l) {
    if (!l)
        return;
    mem_free(l->events);
    mem_free(l->offsets);
    mem_free(l->sets);
    mem_free(l);
}

const uint64_t *liveness_at(const struct liveness *l, uint32_t offset) {
    if (!l->offsets)
        return l->sets;
    uint32_t low = 0, high = l->nrecords - 1;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (l->offsets[mid] < offset)
            low = mid + 1;
        else
            high = mid;
    }
    must(l->offsets[low] == offset);
    return l->sets + (size_t)low * l->nwords;
}

void liveness_find(struct liveness *l, uint32_t offset, uint64_t *set) {
    const uint64_t *from = l->sets;
    struct pass p = {0};
    if (l->offsets) {
        pass_init(&p, l);
        run(&p, offset);
        from = p.now;
    }
    memcpy(set, from, l->nwords * sizeof *set);
    pass_deinit(&p);
}

size_t liveness_size(const struct liveness *l) {
    size_t sets = l->offsets ? l->nrecords : 1;
    return sizeof *l + l->cap * sizeof *l->events + l->nrecords * sizeof *l->offsets +
           sets * l->nwords * sizeof *l->sets;
}
