// Validation of one operator, any operator: immediates, then types. What the table (opcodes.h) does not say is here.

#include "wasm/validate.h"

#include <stdio.h>

#define INVALID(v, ...)   reader_fail(&(v)->r, (v)->at, ST_INVALID, __VA_ARGS__)
#define MALFORMED(v, ...) reader_fail(&(v)->r, (v)->at, ST_MALFORMED, __VA_ARGS__)

static const char *op_text(const struct validator *v) {
    return wasm_op_infos[v->op].text;
}

// ---- operand stack

enum { ANY = 0 };

static struct ctrl *top(struct validator *v) {
    return &v->ctrls[v->nctrls - 1];
}

static const char *type_text(uint8_t t) {
    return t == ANY ? "any" : wasm_type_name((enum wasm_type)t);
}

// The last few of `n` types, for a message.
static const char *render_types(char out[static 80], const uint8_t *t, size_t n) {
    size_t first = n > 6 ? n - 6 : 0, used = 0;
    out[used++] = '[';
    if (first)
        used += (size_t)snprintf(out + used, 80 - used, "... ");
    for (size_t i = first; i < n; i++)
        used += (size_t)snprintf(out + used, 80 - used, "%s%s", i > first ? " " : "", type_text(t[i]));
    snprintf(out + used, 80 - used, "]");
    return out;
}

static __attribute__((cold)) void mismatch(struct validator *v, struct types want) {
    char wanted[80], found[80];
    INVALID(v, "type mismatch: %s expects %s, the stack holds %s%s", op_text(v), render_types(wanted, want.t, want.n),
            render_types(found, v->floor, (size_t)(v->sp - v->floor)), top(v)->unreachable ? " of any" : "");
}

static void push(struct validator *v, uint8_t t) {
    *v->sp++ = t;
    v->v128s += t == WASM_V128;
}

static void push_types(struct validator *v, struct types ts) {
    if (ts.n == 0)
        return;
    memcpy(v->sp, ts.t, ts.n);
    v->sp += ts.n;
    v->v128s += ts.slots - ts.n;
}

static void drop(struct validator *v, uint32_t n) {
    while (n--)
        v->v128s -= *--v->sp == WASM_V128;
}

// Operands that `ts` would take from this block; what is missing is polymorphic, if on_top.
static uint32_t present(const struct validator *v, struct types ts) {
    size_t have = (size_t)(v->sp - v->floor);
    return have < ts.n ? (uint32_t)have : ts.n;
}

static bool on_top(struct validator *v, struct types ts) {
    if (ts.n == 0 || (ts.n == 1 && v->sp > v->floor && v->sp[-1] == ts.t[0])) // the common cases
        return true;
    uint32_t n = present(v, ts);
    if (n < ts.n && !top(v)->unreachable)
        return false;
    const uint8_t *have = v->sp - n, *want = ts.t + (ts.n - n);
    if (n == 0 || memcmp(have, want, n) == 0)
        return true;
    for (uint32_t i = 0; i < n; i++)
        if (have[i] != want[i] && have[i] != ANY)
            return false;
    return true;
}

static void pop_types(struct validator *v, struct types ts) {
    if (UNLIKELY(!on_top(v, ts)))
        mismatch(v, ts);
    else
        drop(v, present(v, ts));
}

static void pop(struct validator *v, uint8_t t) {
    pop_types(v, (struct types){&t, 1, 1});
}

static uint8_t pop_any(struct validator *v) {
    if (v->sp == v->floor) {
        if (!top(v)->unreachable)
            INVALID(v, "type mismatch: %s expects an operand, the stack is empty", op_text(v));
        return ANY;
    }
    uint8_t t = v->sp[-1];
    drop(v, 1);
    return t;
}

void validate_note_height(struct validator *v) {
    uint32_t slots = (uint32_t)(v->sp - v->stack) + v->v128s;
    if (slots <= v->max_slots)
        return;
    v->max_slots = slots;
    if (v->local_slots + slots > WASM_MAX_FRAME_SLOTS)
        reader_fail(&v->r, v->at, ST_LIMIT, "locals and operands take more than %d slots", WASM_MAX_FRAME_SLOTS);
}

// ---- control stack

static struct types params_of(const struct wasm_functype *t) {
    return (struct types){t->params, t->nparams, t->param_slots};
}

static struct types results_of(const struct wasm_functype *t) {
    return (struct types){t->results, t->nresults, t->result_slots};
}

static bool same_types(struct types a, struct types b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.t, b.t, a.n) == 0);
}

static struct types label_types(const struct ctrl *c) {
    return c->op == OP_LOOP ? params_of(c->type) : results_of(c->type);
}

// Function types of the block types that are given in place, each with its one result, by 0x7f - type.
static const struct wasm_functype empty;
static const uint8_t value_types[] = {
    WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_V128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, WASM_FUNCREF, WASM_EXTERNREF,
};
#define SINGLE(type, slots) [0x7f - type] = {0, 1, 0, slots, NULL, &value_types[0x7f - type]}
static const struct wasm_functype singles[] = {
    SINGLE(WASM_I32, 1),  SINGLE(WASM_I64, 1),     SINGLE(WASM_F32, 1),       SINGLE(WASM_F64, 1),
    SINGLE(WASM_V128, 2), SINGLE(WASM_FUNCREF, 1), SINGLE(WASM_EXTERNREF, 1),
};
#undef SINGLE

// The block type of an operator, or NULL.
static const struct wasm_functype *read_block_type(struct validator *v) {
    struct reader *r = &v->r;
    if (r->p < r->end && *r->p == 0x40) {
        r->p++;
        return &empty;
    }
    if (r->p < r->end && is_valtype(*r->p))
        return &singles[0x7f - *r->p++];
    int64_t i = read_signed(r, 33);
    if (r->status != ST_OK)
        return NULL;
    if (i >= 0 && i < v->m->ntypes)
        return &v->m->types[i];
    if (i < 0)
        MALFORMED(v, "malformed block type");
    else
        INVALID(v, "unknown type %lld", (long long)i);
    return NULL;
}

void validate_push_ctrl(struct validator *v, enum wasm_op op, const struct wasm_functype *type) {
    if (v->nctrls == v->ctrls_cap) {
        if (v->nctrls >= WASM_MAX_BLOCK_DEPTH) {
            reader_fail(&v->r, v->at, ST_LIMIT, "blocks nest deeper than %d", WASM_MAX_BLOCK_DEPTH);
            return;
        }
        v->ctrls_cap = v->ctrls_cap ? v->ctrls_cap * 2 : 64;
        v->ctrls = mem_realloc(v->ctrls, v->ctrls_cap * sizeof *v->ctrls);
    }
    v->floor = v->sp;
    v->ctrls[v->nctrls++] = (struct ctrl){type, (uint32_t)(v->sp - v->stack), v->v128s, (uint8_t)op, false};
}

static void reset_to_floor(struct validator *v) {
    v->sp = v->floor;
    v->v128s = top(v)->v128s;
}

static void set_unreachable(struct validator *v) {
    reset_to_floor(v);
    top(v)->unreachable = true;
}

static void check_block(struct validator *v) {
    v->nfree += v->op != OP_IF;
    const struct wasm_functype *type = read_block_type(v);
    if (!type)
        return;
    if (v->op == OP_IF)
        pop(v, WASM_I32);
    pop_types(v, params_of(type));
    if (v->r.status != ST_OK)
        return;
    validate_push_ctrl(v, v->op, type);
    push_types(v, params_of(type));
}

// The results of the innermost block are on its stack, and nothing else.
static void check_block_results(struct validator *v) {
    struct types results = results_of(top(v)->type);
    if (!on_top(v, results) || v->sp - v->floor > results.n)
        mismatch(v, results);
}

static void check_else(struct validator *v) {
    v->nfree++;
    struct ctrl *c = top(v);
    if (c->op != OP_IF) {
        MALFORMED(v, "else without if");
        return;
    }
    check_block_results(v);
    reset_to_floor(v);
    c->op = OP_ELSE;
    c->unreachable = false;
    push_types(v, params_of(c->type));
}

static void check_end(struct validator *v) {
    v->nfree++;
    struct ctrl *c = top(v);
    struct types results = results_of(c->type);
    check_block_results(v);
    if (c->op == OP_IF && !same_types(params_of(c->type), results))
        INVALID(v, "type mismatch: an if without else must leave its parameters");
    reset_to_floor(v);
    v->nctrls--;
    if (v->nctrls)
        v->floor = v->stack + top(v)->height;
    push_types(v, results);
}

// The control frame of the label read next, or NULL.
static struct ctrl *read_label(struct validator *v) {
    uint32_t depth = read_u32(&v->r);
    if (v->r.status == ST_OK && depth < v->nctrls)
        return &v->ctrls[v->nctrls - 1 - depth];
    INVALID(v, "unknown label %u", depth);
    return NULL;
}

static void check_branch(struct validator *v) {
    struct ctrl *c = read_label(v);
    if (!c)
        return;
    if (v->op == OP_BR_IF)
        pop(v, WASM_I32);
    pop_types(v, label_types(c));
    if (v->op == OP_BR_IF)
        push_types(v, label_types(c));
    else
        set_unreachable(v);
}

static void check_br_table(struct validator *v) {
    struct reader *r = &v->r;
    uint32_t n = read_count(r, 1);
    pop(v, WASM_I32);
    // Repeated labels, the common case, are checked once; so are all whose types lie in one place.
    struct types last = {NULL, 0, 0};
    for (uint32_t i = 0; i <= n && r->status == ST_OK; i++) {
        struct ctrl *c = read_label(v);
        if (!c)
            return;
        struct types ts = label_types(c);
        if (i > 0 && ts.n != last.n)
            INVALID(v, "type mismatch: labels of br_table take %u and %u operands", last.n, ts.n);
        else if ((i == 0 || ts.t != last.t) && !on_top(v, ts))
            mismatch(v, ts);
        last = ts;
    }
    set_unreachable(v);
}

// ---- calls

static void apply_call(struct validator *v, const struct wasm_functype *type) {
    pop_types(v, params_of(type));
    if (v->op == OP_CALL || v->op == OP_CALL_INDIRECT) {
        push_types(v, results_of(type));
        return;
    }
    if (!same_types(results_of(type), results_of(v->ctrls[0].type)))
        INVALID(v, "type mismatch: %s to a function with other results", op_text(v));
    set_unreachable(v);
}

static void check_func(struct validator *v) {
    const struct wasm_module *m = v->m;
    uint32_t i = read_u32(&v->r);
    if (v->r.status != ST_OK)
        return;
    if (i >= m->nfuncs)
        INVALID(v, "unknown function %u", i);
    else if (v->op != OP_REF_FUNC)
        apply_call(v, &m->types[m->funcs[i].type]);
    else if (!module_ref_declared(m, i))
        INVALID(v, "undeclared function reference %u", i);
    else
        push(v, WASM_FUNCREF);
}

static const struct module_table *read_table(struct validator *v) {
    uint32_t i = read_u32(&v->r);
    if (v->r.status == ST_OK && i < v->m->ntables)
        return &v->m->tables[i];
    INVALID(v, "unknown table %u", i);
    return NULL;
}

static void check_indirect(struct validator *v) {
    uint32_t type = read_u32(&v->r);
    const struct module_table *t = read_table(v);
    if (!t)
        return;
    if (t->elem != WASM_FUNCREF)
        INVALID(v, "type mismatch: %s through a table of %s", op_text(v), wasm_type_name(t->elem));
    else if (type >= v->m->ntypes)
        INVALID(v, "unknown type %u", type);
    else {
        pop(v, WASM_I32);
        apply_call(v, &v->m->types[type]);
    }
}

// ---- variables, tables, segments

static uint8_t local_type(const struct validator *v, uint32_t i) {
    if (i < LOCALS_FLAT)
        return v->locals[i];
    uint32_t low = 0, high = v->nruns - 1;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (i < v->runs[mid].end)
            high = mid;
        else
            low = mid + 1;
    }
    return v->runs[low].type;
}

static void check_local(struct validator *v) {
    uint32_t i = read_u32(&v->r);
    if (v->r.status != ST_OK)
        return;
    if (i >= v->nlocals) {
        INVALID(v, "unknown local %u", i);
        return;
    }
    uint8_t t = local_type(v, i);
    if (v->op != OP_LOCAL_GET)
        pop(v, t);
    if (v->op != OP_LOCAL_SET)
        push(v, t);
}

static void check_global(struct validator *v) {
    uint32_t i = read_u32(&v->r);
    if (v->r.status != ST_OK)
        return;
    if (i >= v->m->nglobals) {
        INVALID(v, "unknown global %u", i);
        return;
    }
    struct wasm_globaltype g = v->m->globals[i].type;
    if (v->op == OP_GLOBAL_GET)
        push(v, g.type);
    else if (!g.is_mutable)
        INVALID(v, "global %u is immutable", i);
    else
        pop(v, g.type);
}

static void check_table(struct validator *v) {
    const struct module_table *t = read_table(v);
    if (!t)
        return;
    uint8_t e = t->elem;
    switch (v->op) {
    case OP_TABLE_GET:
        pop(v, WASM_I32);
        push(v, e);
        break;
    case OP_TABLE_SET: pop_types(v, (struct types){(uint8_t[]){WASM_I32, e}, 2, 2}); break;
    case OP_TABLE_GROW:
        pop_types(v, (struct types){(uint8_t[]){e, WASM_I32}, 2, 2});
        push(v, WASM_I32);
        break;
    case OP_TABLE_FILL: pop_types(v, (struct types){(uint8_t[]){WASM_I32, e, WASM_I32}, 3, 3}); break;
    default: must(v->op == OP_TABLE_SIZE); /* typed by the table */
    }
}

static void check_table_copy(struct validator *v) {
    const struct module_table *to = read_table(v);
    const struct module_table *from = to ? read_table(v) : NULL;
    if (from && to->elem != from->elem)
        INVALID(v, "type mismatch: table.copy from %s to %s", wasm_type_name(from->elem), wasm_type_name(to->elem));
}

static void check_elem(struct validator *v) {
    uint32_t i = read_u32(&v->r);
    const struct module_table *t = v->op == OP_TABLE_INIT ? read_table(v) : NULL;
    if (v->r.status != ST_OK)
        return;
    if (i >= v->m->nelems)
        INVALID(v, "unknown elem segment %u", i);
    else if (t && t->elem != v->m->elems[i].type)
        INVALID(v, "type mismatch: table.init of %s with %s", wasm_type_name(t->elem),
                wasm_type_name(v->m->elems[i].type));
}

static void check_memory(struct validator *v) {
    if (v->r.status == ST_OK && v->m->nmemories == 0)
        INVALID(v, "unknown memory 0");
}

static void read_memory(struct validator *v) {
    uint8_t i = read_byte(&v->r);
    if (i != 0)
        MALFORMED(v, "zero byte expected");
}

static void check_data(struct validator *v) {
    uint32_t i = read_u32(&v->r);
    if (v->op == OP_MEMORY_INIT)
        read_memory(v);
    if (v->r.status != ST_OK)
        return;
    // Without any segment it is the index that is wrong, not the missing count.
    if (!v->m->has_data_count && v->m->ndatas)
        MALFORMED(v, "data count section required");
    if (v->op == OP_MEMORY_INIT)
        check_memory(v);
    if (i >= v->m->data_count)
        INVALID(v, "unknown data segment %u", i);
}

// ---- the rest

static void read_memarg(struct validator *v) {
    uint32_t align = read_u32(&v->r);
    read_u32(&v->r);
    check_memory(v);
    if (v->r.status == ST_OK && align > wasm_op_infos[v->op].align)
        INVALID(v, "alignment 2^%u is larger than natural", align);
}

static void read_lane(struct validator *v, unsigned lanes) {
    uint8_t lane = read_byte(&v->r);
    if (v->r.status == ST_OK && lane >= lanes)
        INVALID(v, "invalid lane index %u of %u", lane, lanes);
}

// "i16x8.extract_lane_s" has 8 lanes: the shape is the text before the dot.
static unsigned lanes_of_shape(const char *text) {
    const char *x = strchr(text, 'x');
    return x[1] == '1' ? 16 : (unsigned)(x[1] - '0');
}

static void check_select(struct validator *v) {
    pop(v, WASM_I32);
    uint8_t b = pop_any(v), a = pop_any(v);
    if (is_reftype(a) || is_reftype(b) || (a != b && a != ANY && b != ANY))
        INVALID(v, "type mismatch: select between %s and %s", type_text(a), type_text(b));
    push(v, a == ANY ? b : a);
}

static void check_select_t(struct validator *v) {
    uint32_t n = read_count(&v->r, 1);
    uint8_t t = n ? read_byte(&v->r) : WASM_I32;
    for (uint32_t i = 1; i < n; i++)
        if (!is_valtype(read_byte(&v->r)))
            MALFORMED(v, "malformed value type");
    if (!is_valtype(t))
        MALFORMED(v, "malformed value type 0x%02x", t);
    if (n != 1)
        INVALID(v, "invalid result arity: select with %u types", n);
    pop_types(v, (struct types){(uint8_t[]){t, t, WASM_I32}, 3, 3});
    push(v, t);
}

static void check_reftype(struct validator *v) {
    uint8_t t = read_byte(&v->r);
    if (!is_reftype(t))
        MALFORMED(v, "malformed reference type 0x%02x", t);
    push(v, t);
}

// Operators without immediates whose types come from the context.
static void check_plain(struct validator *v) {
    switch (v->op) {
    case OP_NOP: break;
    case OP_UNREACHABLE: set_unreachable(v); break;
    case OP_ELSE: check_else(v); break;
    case OP_END: check_end(v); break;
    case OP_RETURN:
        pop_types(v, results_of(v->ctrls[0].type));
        set_unreachable(v);
        break;
    case OP_DROP: pop_any(v); break;
    case OP_SELECT: check_select(v); break;
    case OP_REF_IS_NULL: {
        uint8_t t = pop_any(v);
        if (t != ANY && !is_reftype(t))
            INVALID(v, "type mismatch: ref.is_null of %s", type_text(t));
        push(v, WASM_I32);
        break;
    }
    default: must(!"every operator without a signature is known here");
    }
}

// Reads the immediates; for operators typed by the context, does all.
static void check_immediates(struct validator *v) {
    struct reader *r = &v->r;
    switch ((enum wasm_imm)wasm_op_infos[v->op].imm) {
    case IMM_NONE: break;
    case IMM_TRAPS: break;
    case IMM_BLOCK: check_block(v); break;
    case IMM_LABEL: check_branch(v); break;
    case IMM_LABELS: check_br_table(v); break;
    case IMM_FUNC: check_func(v); break;
    case IMM_INDIRECT: check_indirect(v); break;
    case IMM_SELECT_T: check_select_t(v); break;
    case IMM_LOCAL: check_local(v); break;
    case IMM_GLOBAL: check_global(v); break;
    case IMM_TABLE: check_table(v); break;
    case IMM_TABLE2: check_table_copy(v); break;
    case IMM_LOAD:
    case IMM_STORE: read_memarg(v); break;
    case IMM_LOAD_LANE:
    case IMM_STORE_LANE:
        read_memarg(v);
        read_lane(v, 16u >> wasm_op_infos[v->op].align);
        break;
    case IMM_MEMORY2: read_memory(v); /* fall through */
    case IMM_MEMORY:
        read_memory(v);
        check_memory(v);
        break;
    case IMM_DATA:
    case IMM_DATA_MEMORY: check_data(v); break;
    case IMM_ELEM:
    case IMM_ELEM_TABLE: check_elem(v); break;
    case IMM_CONST_I32: read_signed(r, 32); break;
    case IMM_CONST_I64: read_signed(r, 64); break;
    case IMM_CONST_F32: read_bytes(r, 4); break;
    case IMM_CONST_F64: read_bytes(r, 8); break;
    case IMM_CONST_V128: read_bytes(r, 16); break;
    case IMM_REFTYPE: check_reftype(v); break;
    case IMM_SHUFFLE:
        for (int i = 0; i < 16; i++)
            read_lane(v, 32);
        break;
    case IMM_LANE: read_lane(v, lanes_of_shape(op_text(v))); break;
    case IMM_COUNT: must(!"not an immediate");
    }
}

static void apply_signature(struct validator *v, const char *sig) {
    static const uint8_t types[128] = {
        ['i'] = WASM_I32, ['I'] = WASM_I64, ['f'] = WASM_F32, ['F'] = WASM_F64, ['v'] = WASM_V128,
    };
    uint8_t params[4];
    uint32_t n = 0;
    for (; *sig != '_'; sig++)
        params[n++] = types[(unsigned char)*sig];
    pop_types(v, (struct types){params, n, n});
    if (sig[1])
        push(v, types[(unsigned char)sig[1]]);
}

void validate_operator(struct validator *v, uint8_t byte) {
    bool prefix = byte == 0xfc || byte == 0xfd;
    uint32_t code = prefix ? read_u32(&v->r) : byte;
    v->op = wasm_op_of(prefix ? byte : 0, code);
    if (UNLIKELY(v->op == OP_COUNT)) {
        validate_illegal(&v->r, v->at);
        return;
    }
    const struct wasm_op_info *info = &wasm_op_infos[v->op];
    check_immediates(v);
    if (info->sig[0] != 'S')
        apply_signature(v, info->sig);
    else if (info->imm == IMM_NONE)
        check_plain(v);
    validate_note_height(v);
}
