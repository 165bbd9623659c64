/* body.c: the operators of a body, one after the other. */
#include "wasm/llvm/frame.h"

#include <stddef.h>

/* ---- reading (validated bytes) ------------------------------------------------------------------------------------
 */

uint32_t read_leb(const uint8_t **p) {
    uint32_t r = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*p)++;
        r |= (uint32_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return r;
    }
}

static int64_t leb64s(const uint8_t **p) {
    uint64_t r = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
        b = *(*p)++;
        r |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (shift < 64 && (b & 0x40))
        r |= ~(uint64_t)0 << shift;
    return (int64_t)r;
}

void read_insn(const uint8_t *file, uint32_t offset, struct insn *out) {
    const uint8_t *p = file + offset;
    uint8_t byte = *p++;
    *out = (struct insn){.offset = offset};
    out->op = byte == 0xfc || byte == 0xfd ? wasm_op_of(byte, read_leb(&p)) : wasm_op_of_byte(byte);
    switch (wasm_op_infos[out->op].imm) {
    case IMM_BLOCK: out->block = leb64s(&p); break;
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_DATA:
    case IMM_ELEM: out->a = read_leb(&p); break;
    case IMM_LABELS:
        out->a = read_leb(&p);
        out->bytes = p;
        for (uint32_t i = 0; i <= out->a; i++)
            (void)read_leb(&p);
        break;
    case IMM_INDIRECT:
    case IMM_TABLE2:
    case IMM_LOAD:
    case IMM_STORE:
    case IMM_ELEM_TABLE:
        out->a = read_leb(&p);
        out->b = read_leb(&p);
        break;
    case IMM_LOAD_LANE:
    case IMM_STORE_LANE:
        out->a = read_leb(&p);
        out->b = read_leb(&p);
        out->k = *p++;
        break;
    case IMM_SELECT_T:
        out->a = read_leb(&p);
        p += out->a;
        break;
    case IMM_MEMORY:
    case IMM_REFTYPE: p++; break;
    case IMM_MEMORY2: p += 2; break;
    case IMM_DATA_MEMORY:
        out->a = read_leb(&p);
        p++;
        break;
    case IMM_CONST_I32: out->k = (uint32_t)leb64s(&p); break;
    case IMM_CONST_I64: out->k = (uint64_t)leb64s(&p); break;
    case IMM_CONST_F32:
        out->k = get_u32(p);
        p += 4;
        break;
    case IMM_CONST_F64:
        out->k = get_u64(p);
        p += 8;
        break;
    case IMM_CONST_V128:
    case IMM_SHUFFLE:
        out->bytes = p;
        p += 16;
        break;
    case IMM_LANE: out->k = *p++; break;
    default: break;
    }
    out->next = (uint32_t)(p - file);
}

/* ---- control ------------------------------------------------------------------------------------------------------
 */

static struct control *innermost(struct body *f) {
    return &f->controls[f->ncontrols - 1];
}

static uint64_t *new_set(const struct body *f) {
    return mem_zalloc((f->nwords + 1) * sizeof(uint64_t));
}

static void set_add(const struct body *f, uint64_t *to, const uint64_t *from) {
    for (uint32_t w = 0; w < f->nwords; w++)
        to[w] |= from[w];
}

static void set_copy(const struct body *f, uint64_t *to, const uint64_t *from) {
    memcpy(to, from, f->nwords * sizeof *to);
}

/* What a branch to `c` carries. */
static const uint8_t *label_types(const struct control *c, uint32_t *n) {
    bool loop = c->kind == CONTROL_LOOP;
    *n = loop ? c->type->nparams : c->type->nresults;
    return loop ? c->type->params : c->type->results;
}

static struct control *push_control(struct gen *g, enum control_kind kind, int64_t block) {
    struct body *f = g->frame;
    if (f->ncontrols == f->controls_cap) {
        f->controls_cap = f->controls_cap ? f->controls_cap * 2 : 32;
        f->controls = mem_realloc(f->controls, f->controls_cap * sizeof *f->controls);
        for (uint32_t i = 0; i < f->ncontrols; i++) /* those that point into themselves moved */
            if (f->controls[i].own_type)
                f->controls[i].type = &f->controls[i].one;
    }
    struct control *c = &f->controls[f->ncontrols++];
    *c = (struct control){.kind = kind, .dirty = new_set(f)};
    if (block >= 0) {
        c->type = &g->u->wasm->types[block];
    } else {
        c->one_type = (uint8_t)(block & 0x7f);
        c->own_type = true;
        bool one = c->one_type != 0x40;
        c->one = (struct wasm_functype){.nresults = one, .result_slots = one ? type_slots(c->one_type) : 0};
        c->type = &c->one;
    }
    c->height = f->height - (kind == CONTROL_BODY ? 0 : c->type->nparams);
    return c;
}

static const uint8_t *results_of(const struct control *c) {
    return c->own_type ? &c->one_type : c->type->results;
}

/* Goes to the label of `c` from here; operands stay, and so does what `f->ticks` says for a path that goes on. */
static void branch_to(struct gen *g, struct control *c) {
    struct body *f = g->frame;
    uint32_t n, ticks = f->ticks;
    const uint8_t *types = label_types(c, &n);
    if (c->own_type && c->kind != CONTROL_LOOP)
        types = &c->one_type;
    if (c->kind == CONTROL_BODY) {
        uint32_t height = f->height;
        gen_return(g);
        f->height = height;
    } else {
        join_values(g, types, n, c->height);
        gen_charge(g);
        LLVMBuildBr(g->b, c->to);
        c->reached = true;
        if (c->kind != CONTROL_LOOP)
            set_add(f, c->dirty, f->dirty);
    }
    f->ticks = ticks;
}

/* A block to jump to that does what branch_to does, for one edge of several. */
static LLVMBasicBlockRef edge_to(struct gen *g, struct control *c) {
    LLVMBasicBlockRef from = LLVMGetInsertBlock(g->b), edge = new_block(g, "edge");
    LLVMPositionBuilderAtEnd(g->b, edge);
    branch_to(g, c);
    LLVMPositionBuilderAtEnd(g->b, from);
    return edge;
}

static struct control *label(struct body *f, uint32_t depth) {
    return &f->controls[f->ncontrols - 1 - depth];
}

static LLVMValueRef is_set(struct gen *g, LLVMValueRef v) {
    return LLVMBuildICmp(g->b, LLVMIntNE, v, const_i32(g->u, 0), "");
}

static void op_br_if(struct gen *g, uint32_t depth) {
    struct body *f = g->frame;
    LLVMValueRef cond = is_set(g, gen_pop(g));
    gen_sync_raw(g);
    LLVMBasicBlockRef on = new_block(g, "");
    LLVMBuildCondBr(g->b, cond, edge_to(g, label(f, depth)), on);
    LLVMPositionBuilderAtEnd(g->b, on);
}

static void op_br_table(struct gen *g, const struct insn *i) {
    struct body *f = g->frame;
    LLVMValueRef index = gen_pop(g);
    const uint8_t *p = i->bytes;
    gen_sync_raw(g);
    /* one edge for each label, however often it is named */
    LLVMBasicBlockRef *edges = mem_zalloc(f->ncontrols * sizeof *edges);
    uint32_t *depths = mem_alloc((i->a + 1) * sizeof *depths);
    for (uint32_t n = 0; n <= i->a; n++) {
        depths[n] = read_leb(&p);
        if (!edges[depths[n]])
            edges[depths[n]] = edge_to(g, label(f, depths[n]));
    }
    LLVMValueRef s = LLVMBuildSwitch(g->b, index, edges[depths[i->a]], i->a);
    for (uint32_t n = 0; n < i->a; n++)
        if (depths[n] != depths[i->a])
            LLVMAddCase(s, const_i32(g->u, n), edges[depths[n]]);
    mem_free(edges);
    mem_free(depths);
    f->dead = true;
}

/* The head of a loop: where the fuel is looked at. */
static void loop_head(struct gen *g) {
    struct body *f = g->frame;
    if (!g->u->request->options.count)
        return;
    LLVMBasicBlockRef cold = new_block(g, "loop.cold");
    LLVMBasicBlockRef on = branch_rarely(g, LLVMBuildICmp(g->b, LLVMIntSLT, get_fuel(g), const_i64(g->u, 0), ""), cold);
    LLVMPositionBuilderAtEnd(g->b, cold);
    gen_flush_cold(g);
    LLVMValueRef args[] = {f->x, f->fp, get_fuel(g), link_here(g)};
    set_fuel(g, call_cold(g, COLD_LOOP, args));
    LLVMBuildBr(g->b, on);
    LLVMPositionBuilderAtEnd(g->b, on);
}

static void op_loop(struct gen *g, int64_t block) {
    struct body *f = g->frame;
    const struct loop_facts *facts = &f->loops[f->next_loop++];
    must(facts->offset == g->offset);
    struct control *c = push_control(g, CONTROL_LOOP, block);
    gen_settle(g, c->height);
    gen_sync(g, 0);
    gen_charge(g);
    if (facts->calls)
        settle_locals(g, facts->assigns);
    set_add(f, f->dirty, facts->assigns);
    c->to = new_block(g, "loop");
    LLVMBuildBr(g->b, c->to);
    LLVMPositionBuilderAtEnd(g->b, c->to);
    for (uint32_t i = c->height; i < f->height; i++)
        f->stack[i].dirty = true;
    if (f->is_loop_entry && g->offset == f->start_loop)
        begin_at_loop(g, c->to);
    loop_head(g);
}

static void op_block(struct gen *g, int64_t block) {
    struct control *c = push_control(g, CONTROL_BLOCK, block);
    gen_settle(g, c->height);
    gen_sync(g, 0);
    c->to = new_block(g, "end");
}

static void op_if(struct gen *g, int64_t block) {
    struct body *f = g->frame;
    LLVMValueRef cond = is_set(g, gen_pop(g));
    struct control *c = push_control(g, CONTROL_IF, block);
    gen_settle(g, c->height);
    gen_sync(g, 0);
    for (uint32_t i = c->height; i < f->height; i++)
        f->stack[i].dirty = true;
    c->to = new_block(g, "end");
    c->alt = new_block(g, "else");
    c->alt_ticks = f->ticks;
    c->alt_dirty = new_set(f);
    set_copy(f, c->alt_dirty, f->dirty);
    LLVMBasicBlockRef then = new_block(g, "then");
    LLVMBuildCondBr(g->b, cond, then, c->alt);
    LLVMPositionBuilderAtEnd(g->b, then);
}

static void begin_else(struct gen *g, struct control *c) {
    struct body *f = g->frame;
    LLVMPositionBuilderAtEnd(g->b, c->alt);
    c->alt = NULL;
    f->ticks = c->alt_ticks;
    set_copy(f, f->dirty, c->alt_dirty);
    join_done(g, c->type->params, c->type->nparams, c->height);
    f->dead = false;
}

static void op_else(struct gen *g) {
    struct body *f = g->frame;
    struct control *c = innermost(f);
    if (!f->dead)
        branch_to(g, c);
    c->kind = CONTROL_ELSE;
    begin_else(g, c);
}

static void op_end(struct gen *g) {
    struct body *f = g->frame;
    struct control *c = innermost(f);
    if (c->kind == CONTROL_BODY) {
        if (!f->dead)
            gen_return(g);
        f->dead = true;
    } else if (c->kind == CONTROL_LOOP) {
        /* falls out of it: nothing joins */
        if (f->dead)
            f->height = c->height;
    } else {
        if (!f->dead)
            branch_to(g, c);
        if (c->alt) { /* an if without else: its parameters are its results */
            begin_else(g, c);
            branch_to(g, c);
        }
        f->dead = !c->reached;
        f->ticks = 0;
        LLVMPositionBuilderAtEnd(g->b, c->to);
        if (c->reached) {
            set_copy(f, f->dirty, c->dirty);
            join_done(g, results_of(c), c->type->nresults, c->height);
        } else {
            LLVMBuildUnreachable(g->b);
        }
    }
    mem_free(c->dirty);
    mem_free(c->alt_dirty);
    f->ncontrols--;
}

/* Unreachable code: only blocks are counted. */
static void skip_dead(struct gen *g, const struct insn *i) {
    struct body *f = g->frame;
    switch (i->op) {
    case OP_LOOP:
        f->next_loop++;
        f->dead_depth++;
        break;
    case OP_BLOCK:
    case OP_IF: f->dead_depth++; break;
    case OP_ELSE:
        if (!f->dead_depth)
            op_else(g);
        break;
    case OP_END:
        if (f->dead_depth)
            f->dead_depth--;
        else
            op_end(g);
        break;
    default: break;
    }
}

/* ---- variables, tables --------------------------------------------------------------------------------------------
 */

static LLVMValueRef global_address(struct gen *g, uint32_t i) {
    const struct unit *u = g->u;
    uint64_t v = offsetof(struct wasm_global, v);
    LLVMValueRef base;
    if (i < u->wasm->nimported_globals) {
        LLVMValueRef globals = engine_load(g, u->ptr, g->frame->x, offsetof(struct wasm_exec, globals), true);
        base = engine_load(g, u->ptr, globals, i * sizeof(void *), true);
    } else {
        base = engine_load(g, u->ptr, g->frame->x, offsetof(struct wasm_exec, own_globals), true);
        v += (i - u->wasm->nimported_globals) * sizeof(struct wasm_global);
    }
    LLVMValueRef offset = const_i64(u, v);
    return LLVMBuildInBoundsGEP2(g->b, u->i8, base, &offset, 1, "");
}

static void op_global_get(struct gen *g, uint32_t i) {
    uint8_t type = (uint8_t)g->u->wasm->globals[i].type.type;
    LLVMValueRef v = LLVMBuildLoad2(g->b, type_of(g->u, type), global_address(g, i), "");
    LLVMSetAlignment(v, 8);
    set_alias(g, v, ALIAS_GLOBAL);
    gen_push(g, type, v, false);
}

static void op_global_set(struct gen *g, uint32_t i) {
    uint8_t type = (uint8_t)g->u->wasm->globals[i].type.type;
    LLVMValueRef v = gen_pop(g);
    if (type == WASM_F32)
        v = LLVMBuildBitCast(g->b, v, g->u->i32, "");
    if (type == WASM_F32 || type == WASM_I32)
        v = LLVMBuildZExt(g->b, v, g->u->i64, "");
    LLVMValueRef store = LLVMBuildStore(g->b, v, global_address(g, i));
    LLVMSetAlignment(store, 8);
    set_alias(g, store, ALIAS_GLOBAL);
}

static void op_select(struct gen *g) {
    LLVMValueRef cond = is_set(g, gen_pop(g));
    uint8_t type = g->frame->stack[g->frame->height - 1].type;
    bool raw_b, raw_a;
    LLVMValueRef b = gen_pop_raw(g, &raw_b), a = gen_pop_raw(g, &raw_a);
    if (raw_a != raw_b) {
        a = raw_a ? gen_canon(g, a) : a;
        b = raw_b ? gen_canon(g, b) : b;
        raw_a = false;
    }
    gen_push(g, type, LLVMBuildSelect(g->b, cond, a, b, ""), raw_a);
}

static LLVMValueRef false_of(struct gen *g, LLVMValueRef ok) {
    return LLVMBuildICmp(g->b, LLVMIntEQ, ok, const_i32(g->u, 0), "");
}

static void op_table(struct gen *g, const struct insn *i) {
    struct body *f = g->frame;
    const struct unit *u = g->u;
    LLVMValueRef table = const_i32(u, i->a);
    uint8_t elem = (uint8_t)u->wasm->tables[i->a].elem;
    switch (i->op) {
    case OP_TABLE_GET: {
        LLVMValueRef index = gen_pop(g), at = slot_address(g, f->fp, gen_top_slot(f));
        LLVMValueRef args[] = {f->x, table, index, at};
        gen_trap_if(g, false_of(g, call_helper(g, NATIVE_table_get, args)), WASM_TRAP_TABLE_BOUNDS);
        gen_push(g, elem, slot_load(g, at, 0, elem), false);
        return;
    }
    case OP_TABLE_SET: {
        LLVMValueRef v = gen_pop(g), index = gen_pop(g);
        LLVMValueRef args[] = {f->x, table, index, v};
        gen_trap_if(g, false_of(g, call_helper(g, NATIVE_table_set, args)), WASM_TRAP_TABLE_BOUNDS);
        return;
    }
    case OP_TABLE_GROW: {
        LLVMValueRef n = gen_pop(g), v = gen_pop(g);
        LLVMValueRef args[] = {f->x, table, v, n};
        gen_push(g, WASM_I32, call_helper(g, NATIVE_table_grow, args), false);
        return;
    }
    default: { /* OP_TABLE_SIZE */
        LLVMValueRef instance = engine_load(g, u->ptr, f->x, offsetof(struct wasm_exec, instance), true);
        LLVMValueRef tables = engine_load(g, u->ptr, instance, offsetof(struct wasm_instance, tables), true);
        LLVMValueRef t = engine_load(g, u->ptr, tables, i->a * sizeof(void *), true);
        gen_push(g, WASM_I32, engine_load(g, u->i32, t, offsetof(struct wasm_table, size), false), false);
        return;
    }
    }
}

static void op_memory_size(struct gen *g) {
    LLVMValueRef size = LLVMBuildLoad2(g->b, g->u->i64, g->frame->size, "");
    size = LLVMBuildLShr(g->b, size, const_i64(g->u, 16), "");
    gen_push(g, WASM_I32, LLVMBuildTrunc(g->b, size, g->u->i32, ""), false);
}

static void op_memory_grow(struct gen *g) {
    LLVMValueRef args[] = {g->frame->x, gen_pop(g)};
    gen_push(g, WASM_I32, call_helper(g, NATIVE_memory_grow, args), false);
    refresh_memory(g);
}

static void op_ref_func(struct gen *g, uint32_t func) {
    const struct unit *u = g->u;
    LLVMValueRef instance = engine_load(g, u->ptr, g->frame->x, offsetof(struct wasm_exec, instance), true);
    LLVMValueRef funcs = engine_load(g, u->ptr, instance, offsetof(struct wasm_instance, funcs), true);
    gen_push(g, WASM_FUNCREF, engine_load(g, u->i64, funcs, func * sizeof(void *), true), false);
}

/* ---- the rest -----------------------------------------------------------------------------------------------------
 */

static void op_const(struct gen *g, const struct insn *i) {
    const struct unit *u = g->u;
    switch (i->op) {
    case OP_I32_CONST: gen_push(g, WASM_I32, const_i32(u, (uint32_t)i->k), false); return;
    case OP_I64_CONST: gen_push(g, WASM_I64, const_i64(u, i->k), false); return;
    case OP_F32_CONST: gen_push(g, WASM_F32, LLVMConstBitCast(const_i32(u, (uint32_t)i->k), u->f32), false); return;
    case OP_F64_CONST: gen_push(g, WASM_F64, LLVMConstBitCast(const_i64(u, i->k), u->f64), false); return;
    default: {
        LLVMValueRef halves[2] = {const_i64(u, get_u64(i->bytes)), const_i64(u, get_u64(i->bytes + 8))};
        gen_push(g, WASM_V128, LLVMConstVector(halves, 2), false);
        return;
    }
    }
}

static uint8_t type_of_letter(char c) {
    switch (c) {
    case 'i': return WASM_I32;
    case 'I': return WASM_I64;
    case 'f': return WASM_F32;
    case 'F': return WASM_F64;
    default: return WASM_V128;
    }
}

static void op_table_driven(struct gen *g, const struct insn *i) {
    const char *sig = wasm_op_infos[i->op].sig;
    uint32_t n = (uint32_t)(strchr(sig, '_') - sig);
    struct operands in = {.lane = (uint32_t)i->k, .shuffle = i->bytes, .memory_offset = i->b};
    bool raw = false, takes_raw = gen_takes_raw(i->op);
    if (n)
        gen_wide_check(g, n);
    for (uint32_t k = n; k-- > 0;)
        in.v[k] = takes_raw ? gen_pop_raw(g, &(bool){false}) : gen_pop(g);
    LLVMValueRef v = gen_operator(g, i->op, &in, &raw);
    if (sig[n + 1])
        gen_push(g, type_of_letter(sig[n + 1]), v, raw);
}

static void op_unreachable(struct gen *g) {
    gen_trap_if(g, LLVMConstInt(g->u->i1, 1, false), WASM_TRAP_UNREACHABLE);
    LLVMBuildUnreachable(g->b);
    g->frame->dead = true;
}

static void gen_insn(struct gen *g, const struct insn *i) {
    struct body *f = g->frame;
    if (i->op != OP_BLOCK && i->op != OP_LOOP && i->op != OP_ELSE && i->op != OP_END)
        f->ticks++;
    switch (i->op) {
    case OP_UNREACHABLE: op_unreachable(g); return;
    case OP_NOP: return;
    case OP_BLOCK: op_block(g, i->block); return;
    case OP_LOOP: op_loop(g, i->block); return;
    case OP_IF: op_if(g, i->block); return;
    case OP_ELSE: op_else(g); return;
    case OP_END: op_end(g); return;
    case OP_BR:
        branch_to(g, label(f, i->a));
        f->dead = true;
        return;
    case OP_BR_IF: op_br_if(g, i->a); return;
    case OP_BR_TABLE: op_br_table(g, i); return;
    case OP_RETURN:
        gen_return(g);
        f->dead = true;
        return;
    case OP_CALL: call_direct(g, i->a); return;
    case OP_CALL_INDIRECT: call_indirect(g, i->a, i->b); return;
    case OP_RETURN_CALL:
        return_call(g, i->a);
        f->dead = true;
        return;
    case OP_RETURN_CALL_INDIRECT:
        return_call_indirect(g, i->a, i->b);
        f->dead = true;
        return;
    case OP_DROP: (void)gen_pop_raw(g, &(bool){false}); return;
    case OP_SELECT:
    case OP_SELECT_T: op_select(g); return;
    case OP_LOCAL_GET: gen_push(g, f->local_types[i->a], local_get(g, i->a), f->raw[i->a]); return;
    case OP_LOCAL_SET:
    case OP_LOCAL_TEE: {
        bool raw = f->raw[i->a];
        LLVMValueRef v = raw ? gen_pop_raw(g, &(bool){false}) : gen_pop(g);
        local_set(g, i->a, v);
        if (i->op == OP_LOCAL_TEE)
            gen_push(g, f->local_types[i->a], v, raw);
        return;
    }
    case OP_GLOBAL_GET: op_global_get(g, i->a); return;
    case OP_GLOBAL_SET: op_global_set(g, i->a); return;
    case OP_TABLE_GET:
    case OP_TABLE_SET:
    case OP_TABLE_GROW:
    case OP_TABLE_SIZE: op_table(g, i); return;
    case OP_MEMORY_SIZE: op_memory_size(g); return;
    case OP_MEMORY_GROW: op_memory_grow(g); return;
    case OP_MEMORY_FILL: gen_bulk(g, NATIVE_memory_bulk, 0, 0, 0); return;
    case OP_MEMORY_COPY: gen_bulk(g, NATIVE_memory_bulk, 1, 0, 0); return;
    case OP_MEMORY_INIT: gen_bulk(g, NATIVE_memory_bulk, 2, i->a, 0); return;
    case OP_TABLE_FILL: gen_bulk(g, NATIVE_table_bulk, 0, i->a, 0); return;
    case OP_TABLE_COPY: gen_bulk(g, NATIVE_table_bulk, 1, i->a, i->b); return;
    case OP_TABLE_INIT: gen_bulk(g, NATIVE_table_bulk, 2, i->b, i->a); return;
    case OP_DATA_DROP:
    case OP_ELEM_DROP: {
        LLVMValueRef args[] = {f->x, const_i32(g->u, i->a)};
        call_helper(g, i->op == OP_DATA_DROP ? NATIVE_data_drop : NATIVE_elem_drop, args);
        return;
    }
    case OP_REF_NULL: gen_push(g, *(g->u->wasm->bytes.data + i->next - 1), const_i64(g->u, 0), false); return;
    case OP_REF_IS_NULL: {
        LLVMValueRef null = LLVMBuildICmp(g->b, LLVMIntEQ, gen_pop(g), const_i64(g->u, 0), "");
        gen_push(g, WASM_I32, LLVMBuildZExt(g->b, null, g->u->i32, ""), false);
        return;
    }
    case OP_REF_FUNC: op_ref_func(g, i->a); return;
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
    case OP_V128_CONST: op_const(g, i); return;
    default: op_table_driven(g, i); return;
    }
}

void gen_body(struct gen *g) {
    struct body *f = g->frame;
    const uint8_t *file = g->u->wasm->bytes.data;
    uint32_t end = (uint32_t)(f->func->end - file);
    struct control *c = push_control(g, CONTROL_BODY, f->func->type);
    c->height = 0;
    for (uint32_t at = f->func->offset; at < end;) {
        struct insn i;
        read_insn(file, at, &i);
        at = i.next;
        g->offset = i.offset;
        if (f->dead)
            skip_dead(g, &i);
        else
            gen_insn(g, &i);
    }
}
