/* emit.c: instructions out, and the simulated operand stack they work on. */
#include "wasm/translator.h"

#include "base/bytes.h"

void *grow_array(void *p, uint32_t *cap, uint32_t need, size_t elem) {
    if (need <= *cap)
        return p;
    uint32_t n = *cap ? *cap : 32;
    while (n < need)
        n *= 2;
    *cap = n;
    return mem_realloc(p, n * elem);
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

static void take_place(struct translator *t, enum place_kind kind, uint32_t offset) {
    struct place *f = t->found;
    if (f->values) { /* an earlier match at the same address; the last one counts */
        mem_free(f->values);
        mem_free(f->local_types);
    }
    *f = (struct place){.kind = kind, .word = t->nout, .offset = offset, .ticks = t->ticks};
    f->loop = kind == PLACE_LABEL && t->m->bytes.data[t->offset] == 0x03 ? t->offset : 0;
    f->nlocals = t->nlocals;
    f->local_types = mem_alloc(t->nlocals);
    memcpy(f->local_types, t->local_types, t->nlocals);
    f->nvalues = t->nvals;
    f->values = mem_zalloc(t->nvals * sizeof *f->values);
    for (uint32_t i = 0; i < t->nvals; i++) {
        const struct val *v = &t->vals[i];
        f->values[i] = (struct place_value){.type = v->type, .slot = v->slot, .value = v->value};
        if (v->lazy == IN_LOCAL) {
            f->values[i].lazy = 1;
            f->values[i].from = t->local_slot[v->local];
        } else if (v->lazy == IS_CONST) {
            f->values[i].lazy = 2;
        }
    }
    t->any = true;
}

void observe(struct translator *t, enum place_kind kind, uint32_t offset) {
    if (LIKELY(!t->found) || kind != t->want)
        return;
    if (t->by_offset ? offset == t->key && !t->any : t->nout == t->key)
        take_place(t, kind, offset);
}

/* ---- instructions ------------------------------------------------------------------------------------------------ */

void emit_word(struct translator *t, uint64_t w) {
    t->out = grow_array(t->out, &t->out_cap, t->nout + 1, sizeof *t->out);
    t->out[t->nout++] = w;
}

static void emit_head(struct translator *t, uint32_t insn, uint64_t operands) {
    observe(t, PLACE_INSN, t->offset);
    t->last = (struct last){0};
    t->first.kind = HALF_NONE;
    t->out = grow_array(t->out, &t->out_cap, t->nout + 2, sizeof *t->out);
    t->out[t->nout++] = interp_handler(insn);
    t->out[t->nout++] = operands;
}

void emit(struct translator *t, uint32_t insn, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    must(a <= UINT16_MAX && b <= UINT16_MAX && c <= UINT16_MAX && d <= UINT16_MAX);
    emit_head(t, insn, a | (uint64_t)b << 16 | (uint64_t)c << 32 | (uint64_t)d << 48);
}

void emit_imm(struct translator *t, uint32_t insn, uint32_t a, uint32_t b, uint32_t imm) {
    must(a <= UINT16_MAX && b <= UINT16_MAX);
    emit_head(t, insn, a | (uint64_t)b << 16 | (uint64_t)imm << 32);
}

/* ---- accumulators ------------------------------------------------------------------------------------------------ */

void acc_reset(struct translator *t) {
    t->acc_r = t->acc_d = t->acc_f = -1;
    t->last = (struct last){0};
    t->first.kind = HALF_NONE;
}

void acc_overwritten(struct translator *t, uint32_t slot, uint8_t type) {
    int32_t s = (int32_t)slot, end = s + (int32_t)type_slots(type);
    if (t->acc_r >= s && t->acc_r < end)
        t->acc_r = -1;
    if (t->acc_d >= s && t->acc_d < end)
        t->acc_d = -1;
    if (t->acc_f >= s && t->acc_f < end)
        t->acc_f = -1;
}

void acc_defined(struct translator *t, uint32_t slot, uint8_t type) {
    acc_overwritten(t, slot, type);
    if (t->exact) /* entered at any operator: accumulators hold nothing there */
        return;
    switch (type) {
    case WASM_I32:
    case WASM_I64: t->acc_r = (int32_t)slot; break;
    case WASM_F64: t->acc_d = (int32_t)slot; break;
    case WASM_F32: t->acc_f = (int32_t)slot; break;
    default: break;
    }
}

/* ---- operand stack ----------------------------------------------------------------------------------------------- */

uint32_t top_slot(const struct translator *t) {
    if (t->nvals == 0)
        return t->local_slots;
    const struct val *v = &t->vals[t->nvals - 1];
    return v->slot + type_slots(v->type);
}

struct val *push(struct translator *t, uint8_t type) {
    uint32_t slot = top_slot(t);
    must(slot + type_slots(type) <= t->code->frame_slots);
    t->vals = grow_array(t->vals, &t->vals_cap, t->nvals + 1, sizeof *t->vals);
    struct val *v = &t->vals[t->nvals++];
    *v = (struct val){.type = type, .lazy = IN_SLOT, .slot = (uint16_t)slot};
    return v;
}

void push_local(struct translator *t, uint32_t local) {
    struct val *v = push(t, t->local_types[local]);
    v->lazy = IN_LOCAL;
    v->local = local;
    t->local_lazy[local]++;
    if (t->exact)
        settle(t, t->nvals - 1);
}

void push_const(struct translator *t, uint8_t type, uint64_t value) {
    struct val *v = push(t, type);
    v->lazy = IS_CONST;
    v->value = value;
    if (t->exact)
        settle(t, t->nvals - 1);
}

void pop(struct translator *t) {
    must(t->nvals > 0);
    const struct val *v = &t->vals[--t->nvals];
    if (v->lazy == IN_LOCAL)
        t->local_lazy[v->local]--;
    if (t->settled > t->nvals)
        t->settled = t->nvals;
}

void emit_const(struct translator *t, uint8_t type, uint64_t value, uint32_t slot) {
    switch (type) {
    case WASM_I32: emit_imm(t, I_CONST_i32, slot, 0, (uint32_t)value); break;
    case WASM_F32: emit_imm(t, I_CONST_f32, slot, 0, (uint32_t)value); break;
    case WASM_I64:
        emit(t, I_CONST_i64, slot, 0, 0, 0);
        emit_word(t, value);
        break;
    case WASM_F64:
        emit(t, I_CONST_f64, slot, 0, 0, 0);
        emit_word(t, value);
        break;
    default:
        emit(t, I_CONST_ref, slot, 0, 0, 0);
        emit_word(t, value);
        break;
    }
    acc_defined(t, slot, type);
}

/* Copies a value of `type` between slots. */
static void emit_move(struct translator *t, uint8_t type, uint32_t from, uint32_t to) {
    switch (type) {
    case WASM_I32:
    case WASM_I64:
        if (t->acc_r == (int32_t)from)
            emit(t, I_MOVE_r, to, 0, 0, 0);
        else
            emit(t, I_MOVE_s, to, from, 0, 0);
        acc_defined(t, to, type);
        return;
    case WASM_V128: emit(t, I_MOVE_v, to, from, 0, 0); break;
    case WASM_F64:
        if (t->acc_d == (int32_t)from) {
            emit(t, I_MOVE_d, to, 0, 0, 0);
            acc_defined(t, to, type);
            return;
        }
        emit(t, I_MOVE_x, to, from, 0, 0);
        break;
    case WASM_F32:
        if (t->acc_f == (int32_t)from) {
            emit(t, I_MOVE_f, to, 0, 0, 0);
            acc_defined(t, to, type);
            return;
        }
        emit(t, I_MOVE_x, to, from, 0, 0);
        break;
    default: emit(t, I_MOVE_x, to, from, 0, 0); break;
    }
    acc_overwritten(t, to, type);
}

void move_to(struct translator *t, const struct val *v, uint32_t slot) {
    if (v->lazy == IS_CONST)
        emit_const(t, v->type, v->value, slot);
    else
        emit_move(t, v->type, v->lazy == IN_LOCAL ? t->local_slot[v->local] : v->slot, slot);
}

static void settle_one(struct translator *t, struct val *v) {
    if (v->lazy == IN_SLOT)
        return;
    move_to(t, v, v->slot);
    if (v->lazy == IN_LOCAL)
        t->local_lazy[v->local]--;
    v->lazy = IN_SLOT;
}

void settle(struct translator *t, uint32_t first) {
    uint32_t from = first > t->settled ? first : t->settled;
    for (uint32_t i = from; i < t->nvals; i++)
        settle_one(t, &t->vals[i]);
    if (first <= t->settled)
        t->settled = t->nvals;
}

void settle_local(struct translator *t, uint32_t local) {
    for (uint32_t i = t->settled; i < t->nvals && t->local_lazy[local]; i++)
        if (t->vals[i].lazy == IN_LOCAL && t->vals[i].local == local)
            settle_one(t, &t->vals[i]);
}

uint32_t source(struct translator *t, struct val *v) {
    if (v->lazy == IS_CONST)
        settle_one(t, v);
    return v->lazy == IN_LOCAL ? t->local_slot[v->local] : v->slot;
}

/* ---- branches ---------------------------------------------------------------------------------------------------- */

static uint64_t branch_word(uint32_t from, uint32_t to, uint32_t ticks_from, uint32_t ticks_to) {
    return (uint32_t)((int32_t)to - (int32_t)from) | (uint64_t)(uint32_t)((int32_t)ticks_from - (int32_t)ticks_to)
                                                         << 32;
}

void jump_fixup(struct translator *t, uint32_t *list, uint32_t insn) {
    t->fixups = grow_array(t->fixups, &t->fixups_cap, t->nfixups + 1, sizeof *t->fixups);
    t->fixups[t->nfixups++] = (struct fixup){.next = *list, .insn = insn, .at = t->nout, .ticks = t->ticks};
    *list = t->nfixups;
    emit_word(t, 0);
}

void jump_to(struct translator *t, struct ctl *c, uint32_t insn) {
    if (c->kind == CTL_LOOP)
        emit_word(t, branch_word(insn, c->loop_word, t->ticks, c->loop_ticks));
    else
        jump_fixup(t, &c->fixups, insn);
}

void bind_fixups(struct translator *t, uint32_t list) {
    if (!list)
        return;
    for (uint32_t i = list; i; i = t->fixups[i - 1].next) {
        const struct fixup *f = &t->fixups[i - 1];
        t->out[f->at] = branch_word(f->insn, t->nout, f->ticks, t->ticks);
    }
    acc_reset(t);
}
