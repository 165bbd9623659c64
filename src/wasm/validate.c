// Function bodies: the loop over operators, with a short cut for the common ones (validate_ops.c has them all).

#include "wasm/validate.h"

// ---- the short cut: built from the operator table, so that it cannot disagree with it

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'I': return WASM_I64;
    case 'f': return WASM_F32;
    case 'F': return WASM_F64;
    default: must(!"a one-byte operator on vectors"); return 0;
    }
}

static struct quick quick_of(const struct wasm_op_info *o, enum wasm_op op, bool has_memory) {
    size_t nparams = strcspn(o->sig, "_"), nresults = strlen(o->sig) - nparams - 1;
    switch (op) {
    case OP_LOCAL_GET: return (struct quick){.kind = QUICK_LOCAL_GET};
    case OP_LOCAL_SET: return (struct quick){.kind = QUICK_LOCAL_SET};
    case OP_LOCAL_TEE: return (struct quick){.kind = QUICK_LOCAL_TEE};
    case OP_I32_CONST: return (struct quick){.kind = QUICK_I32};
    case OP_I64_CONST: return (struct quick){.kind = QUICK_I64};
    default: break;
    }
    if (o->sig[0] == 'S')
        return (struct quick){.kind = QUICK_NO};
    if (o->imm == IMM_LOAD && has_memory)
        return (struct quick){QUICK_LOAD, WASM_I32, type_of_letter(o->sig[2]), o->align};
    if (o->imm == IMM_STORE && has_memory)
        return (struct quick){QUICK_STORE, type_of_letter(o->sig[1]), 0, o->align};
    if ((o->imm == IMM_NONE || o->imm == IMM_TRAPS) && nresults == 1 && nparams == 1)
        return (struct quick){QUICK_UNARY, type_of_letter(o->sig[0]), type_of_letter(o->sig[2]), 0};
    if ((o->imm == IMM_NONE || o->imm == IMM_TRAPS) && nresults == 1 && nparams == 2 && o->sig[0] == o->sig[1])
        return (struct quick){QUICK_BINARY, type_of_letter(o->sig[0]), type_of_letter(o->sig[3]), 0};
    return (struct quick){.kind = QUICK_NO};
}

// What the short cut looks at; a copy that nothing else can see, so that it stays in registers.
struct view {
    const uint8_t *end;    // of the body
    const uint8_t *floor;  // as in struct validator
    const uint8_t *high;   // highest sp noted so far
    const uint8_t *locals; // types
    uint32_t nlocals;      // at most LOCALS_FLAT
};

static inline struct view view_of(const struct validator *v) {
    return (struct view){v->r.end, v->floor, v->stack + v->max_slots - v->v128s, v->locals,
                         v->nlocals < LOCALS_FLAT ? v->nlocals : LOCALS_FLAT};
}

// Takes one operator when all is as it mostly is: operands present, in this block, of the right types; no v128;
// immediates well formed; the stack not higher than ever.  `p` is behind its first byte.  Then returns the next
// operator, and `*sp` is moved; otherwise NULL, and nothing has happened.
static inline __attribute__((always_inline)) const uint8_t *take_quickly(struct quick q, struct view w,
                                                                         const uint8_t *p, uint8_t **sp) {
    uint8_t *s = *sp;
    uint32_t i;
    int64_t n;
    switch (q.kind) {
    case QUICK_UNARY:
        if (s == w.floor || s[-1] != q.in)
            return NULL;
        s[-1] = q.out;
        return p;
    case QUICK_BINARY:
        if (s - w.floor < 2 || s[-1] != q.in || s[-2] != q.in)
            return NULL;
        s[-2] = q.out;
        *sp = s - 1;
        return p;
    case QUICK_LOAD:
        if (p == w.end || *p > q.align || s == w.floor || s[-1] != WASM_I32 || !(p = leb_u32(p + 1, w.end, &i)))
            return NULL;
        s[-1] = q.out;
        return p;
    case QUICK_STORE:
        if (p == w.end || *p > q.align || s - w.floor < 2 || s[-1] != q.in || s[-2] != WASM_I32 ||
            !(p = leb_u32(p + 1, w.end, &i)))
            return NULL;
        *sp = s - 2;
        return p;
    case QUICK_I32:
        if (s == w.high || !(p = leb_signed(p, w.end, 32, &n)))
            return NULL;
        *s = WASM_I32;
        *sp = s + 1;
        return p;
    case QUICK_I64:
        if (s == w.high || !(p = leb_signed(p, w.end, 64, &n)))
            return NULL;
        *s = WASM_I64;
        *sp = s + 1;
        return p;
    case QUICK_LOCAL_GET:
        if (s == w.high || !(p = leb_u32(p, w.end, &i)) || i >= w.nlocals || w.locals[i] == WASM_V128)
            return NULL;
        *s = w.locals[i];
        *sp = s + 1;
        return p;
    case QUICK_LOCAL_SET:
    case QUICK_LOCAL_TEE:
        if (s == w.floor || !(p = leb_u32(p, w.end, &i)) || i >= w.nlocals || w.locals[i] == WASM_V128 ||
            s[-1] != w.locals[i])
            return NULL;
        *sp = s - (q.kind == QUICK_LOCAL_SET);
        return p;
    default: return NULL;
    }
}

// ---- a body

// Returns how many operators there are.
static uint32_t check_operators(struct validator *v) {
    uint32_t n = 0;
    const uint8_t *p = v->r.p;
    uint8_t *sp = v->sp;
    struct view w = view_of(v);
    while (LIKELY(p < w.end)) {
        n++;
        const uint8_t *next = take_quickly(v->quick[*p], w, p + 1, &sp);
        if (LIKELY(next != NULL)) {
            p = next;
            continue;
        }
        v->at = p;
        v->r.p = p + 1;
        v->sp = sp;
        validate_operator(v, *p);
        if (v->r.status != ST_OK)
            return n;
        p = v->r.p;
        sp = v->sp;
        if (v->nctrls == 0) {
            if (p != w.end)
                reader_fail(&v->r, p, ST_MALFORMED, "%zu bytes after the end of the body", (size_t)(w.end - p));
            return n;
        }
        w = view_of(v);
    }
    reader_fail(&v->r, p, ST_MALFORMED, "unexpected end of the body: %u blocks are open", v->nctrls);
    return n;
}

static void add_locals(struct validator *v, uint32_t n, uint8_t type) {
    if (n == 0)
        return;
    if (v->nlocals < LOCALS_FLAT) {
        uint32_t room = LOCALS_FLAT - v->nlocals;
        memset(v->locals + v->nlocals, type, n < room ? n : room);
    }
    v->nlocals += n;
    v->local_slots += type == WASM_V128 ? 2 * n : n;
    if (v->nlocals > LOCALS_FLAT) {
        if (!v->runs)
            v->runs = mem_alloc((WASM_MAX_LOCALS + WASM_MAX_PARAMS) * sizeof *v->runs);
        v->runs[v->nruns++] = (struct local_run){v->nlocals, type};
    }
}

// Parameters, then the declared locals; decode.c has checked the declarations.
static void set_locals(struct validator *v, const struct module_func *f, const struct wasm_functype *type) {
    v->nlocals = v->nruns = 0;
    v->local_slots = 1; // the link
    for (uint32_t i = 0; i < type->nparams; i++)
        add_locals(v, 1, type->params[i]);
    uint32_t n = read_u32(&v->r);
    while (n--) {
        uint32_t count = read_u32(&v->r);
        add_locals(v, count, read_byte(&v->r));
    }
    must(v->r.p == f->code && v->nlocals == type->nparams + f->nlocals);
}

static enum status check_body(struct validator *v, struct module_func *f, struct err *e) {
    const struct wasm_functype *type = &v->m->types[f->type];
    v->r = (struct reader){v->m->bytes.data, f->locals_code, f->end, ST_OK, e};
    v->at = f->code;
    v->sp = v->stack;
    v->v128s = v->max_slots = v->nctrls = v->nfree = 0;
    set_locals(v, f, type);
    if (v->local_slots > WASM_MAX_FRAME_SLOTS)
        reader_fail(&v->r, f->locals_code, ST_LIMIT, "locals take more than %d slots", WASM_MAX_FRAME_SLOTS);
    validate_push_ctrl(v, OP_BLOCK, type);
    uint32_t nops = check_operators(v);
    if (v->r.status == ST_OK) {
        f->frame_slots = v->local_slots + v->max_slots;
        f->nops = nops - v->nfree;
    }
    return v->r.status;
}

// Names the failure of a body, unless something in this or a later one is malformed.
static enum status name_failure(const struct wasm_module *m, uint32_t func, struct err *why, struct err *e) {
    for (uint32_t i = func; why->status == ST_INVALID && i < m->nfuncs; i++) {
        struct err malformed = ERR_INIT;
        struct reader r = {m->bytes.data, m->funcs[i].code, m->funcs[i].end, ST_OK, &malformed};
        validate_scan(&r);
        if (r.status != ST_OK) {
            *why = malformed;
            func = i;
        }
    }
    struct span name;
    char text[NAME_TEXT];
    if (wasm_module_func_name(m, func, &name))
        return err_set(e, why->status, "function %u (%s): %s", func, module_name_text(text, name), why->text);
    return err_set(e, why->status, "function %u: %s", func, why->text);
}

enum status module_validate(struct wasm_module *m, struct err *e) {
    // One operator pushes at most this many operands above the highest stack allowed.
    enum {
        STACK_BYTES =
            WASM_MAX_FRAME_SLOTS + 1 + (WASM_MAX_PARAMS > WASM_MAX_RESULTS ? WASM_MAX_PARAMS : WASM_MAX_RESULTS)
    };
    struct validator *v = mem_zalloc(sizeof *v);
    v->m = m;
    v->stack = mem_alloc(STACK_BYTES);
    for (int i = 0; i < 256; i++) {
        enum wasm_op op = wasm_op_of_byte((uint8_t)i);
        if (op != OP_COUNT)
            v->quick[i] = quick_of(&wasm_op_infos[op], op, m->nmemories > 0);
    }
    enum status s = ST_OK;
    struct err why = ERR_INIT;
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs && s == ST_OK; i++) {
        s = check_body(v, &m->funcs[i], &why);
        if (s != ST_OK)
            s = name_failure(m, i, &why, e);
    }
    mem_free(v->runs);
    mem_free(v->ctrls);
    mem_free(v->stack);
    mem_free(v);
    return s;
}
