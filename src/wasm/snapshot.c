/* snapshot.c: the state of an instance and an execution as bytes (docs/formats/snapshot.md), and back.
 *
 * Only the canonical frame form is written: function, code offset, typed locals and operands.  The innermost frame is
 * about to execute the operator at its offset, every other one waits for the call at its offset to return.  A local
 * that nobody will read is written as zero: compiled code does not keep it. */
#include "base/sha256.h"
#include "wasm/exec.h"
#include "wasm/liveness.h"
#include "wasm/opcodes.h"

static const uint8_t magic[8] = {'A', 'E', 'O', 'N', 'S', 'N', 'A', 'P'};
enum { SNAPSHOT_VERSION = 1, BLOCK = 4096 };
enum { LIVENESS_KEPT = 64 << 20 }; /* bytes of analyses of functions, while saving */

/* ---- what a call leaves behind
 * --------------------------------------------------------------------------------------- */

const struct wasm_functype *call_at(const struct wasm_module *m, uint32_t offset, uint32_t *next) {
    const uint8_t *p = m->bytes.data + offset, *end = m->bytes.data + m->bytes.size;
    uint64_t a, b;
    uint8_t op = *p++;
    p = get_varint(p, end, &a);
    if (op == 0x10 && p) {
        *next = (uint32_t)(p - m->bytes.data);
        return &m->types[m->funcs[a].type];
    }
    if (op == 0x11 && p && (p = get_varint(p, end, &b))) {
        *next = (uint32_t)(p - m->bytes.data);
        return &m->types[a];
    }
    return NULL;
}

/* ---- saving
 * ---------------------------------------------------------------------------------------------------------- */

/* What is written, and of which instance. */
struct saving {
    struct buf *out;
    const struct wasm_instance *instance;
    bool foreign;           /* a function was met that is not in the instance's index space */
    struct liveness **live; /* [nfuncs], those met so far; NULL: none */
    size_t live_size;
};

/* A host function does not know its number: it may be imported twice. */
static uint64_t func_number(struct saving *s, const struct wasm_func *f) {
    if (f->instance == s->instance)
        return f->index;
    for (uint32_t k = 0; k < s->instance->module->nimported_funcs; k++)
        if (s->instance->funcs[k] == f)
            return k;
    s->foreign = true;
    return 0;
}

static void put_ref(struct saving *s, uint8_t type, wasm_ref v) {
    if (type == WASM_FUNCREF)
        v = v ? func_number(s, (const struct wasm_func *)(uintptr_t)v) + 1 : 0;
    buf_varint(s->out, v);
}

static void put_value(struct saving *s, uint8_t type, const uint64_t *slot) {
    switch (type) {
    case WASM_I32:
    case WASM_F32: buf_u32(s->out, (uint32_t)slot[0]); break;
    case WASM_I64:
    case WASM_F64: buf_u64(s->out, slot[0]); break;
    case WASM_V128: buf_append(s->out, slot, 16); break;
    default: put_ref(s, type, slot[0]); break;
    }
}

/* Pages that are all zero are left out: (blocks to skip, blocks that follow)*, 0 0. */
static void save_memory(struct buf *out, const struct wasm_memory *m) {
    static const uint8_t zeros[BLOCK];
    buf_varint(out, m->size / WASM_PAGE_SIZE);
    uint64_t n = m->size / BLOCK, last = 0;
    for (uint64_t i = 0; i < n;) {
        uint64_t j = i;
        while (j < n && memcmp(m->data + j * BLOCK, zeros, BLOCK) != 0)
            j++;
        if (j > i) {
            buf_varint(out, i - last);
            buf_varint(out, j - i);
            buf_append(out, m->data + i * BLOCK, (size_t)((j - i) * BLOCK));
            last = j;
        }
        i = j + (j < n);
    }
    buf_varint(out, 0);
    buf_varint(out, 0);
}

static bool caller_place(struct code *c, const uint64_t *pc, struct place *p) {
    bool fused = c->entry && pc >= c->entry && pc < c->entry + c->fused_words;
    return place_at_word(c, !fused, PLACE_CALL, (uint32_t)(pc - (fused ? c->entry : c->exact)), p);
}

/* The innermost frame, wherever it stands. p->offset becomes that of the operator about to be executed. */
static bool top_place(const struct wasm_module *m, struct code *c, const uint64_t *pc, struct place *p) {
    bool fused = c->entry && pc >= c->entry && pc < c->entry + c->fused_words;
    uint32_t word = (uint32_t)(pc - (fused ? c->entry : c->exact));
    if (!place_at_word(c, !fused, PLACE_LABEL, word, p) && !place_at_word(c, !fused, PLACE_CALL, word, p) &&
        !place_at_word(c, !fused, PLACE_OP, word, p))
        return false;
    if (p->kind == PLACE_CALL) {
        uint32_t next = 0;
        if (!call_at(m, p->offset, &next))
            return false;
        p->offset = next;
    }
    /* several operators that cost nothing can end at one place: the last is its name */
    struct place q;
    if (!c->exact)
        translate(c, true);
    if (place_at_offset(c, true, PLACE_OP, p->offset, &q)) {
        uint32_t at = q.word;
        place_deinit(&q);
        if (place_at_word(c, true, PLACE_OP, at, &q)) {
            p->offset = q.offset;
            place_deinit(&q);
        }
    }
    return true;
}

/* ---- frames
 * ---------------------------------------------------------------------------------------------------------- */

static void forget_liveness(struct saving *s) {
    for (uint32_t i = 0; s->live && i < s->instance->module->nfuncs; i++)
        liveness_free(s->live[i]);
    mem_free(s->live);
    s->live = NULL;
    s->live_size = 0;
}

static struct liveness *liveness_of(struct saving *s, uint32_t func) {
    const struct wasm_module *m = s->instance->module;
    if (s->live_size > LIVENESS_KEPT)
        forget_liveness(s);
    if (!s->live)
        s->live = mem_zalloc(m->nfuncs * sizeof *s->live);
    if (!s->live[func]) {
        s->live[func] = liveness_new(m, func, NULL, 0);
        s->live_size += liveness_size(s->live[func]);
    }
    return s->live[func];
}

static void save_locals(struct saving *s, const struct frame *f, const struct place *p, bool top) {
    static const uint64_t zero[2];
    if (p->nlocals == 0)
        return;
    uint32_t func = f->code->func, nparams = s->instance->funcs[func]->type->nparams;
    struct liveness *l = liveness_of(s, func);
    uint64_t *found = NULL;
    const uint64_t *live;
    if (top) {
        found = mem_alloc(LIVENESS_WORDS(p->nlocals) * sizeof *found);
        liveness_find(l, p->offset, found);
        live = found;
    } else {
        live = liveness_at(l, p->offset);
    }
    const uint64_t *slot = f->fp;
    for (uint32_t i = 0; i < p->nlocals; i++) {
        slot += i == nparams; /* the link */
        put_value(s, p->local_types[i], liveness_has(live, i) ? slot : zero);
        slot += type_slots(p->local_types[i]);
    }
    mem_free(found);
}

static void save_frame(struct saving *s, const struct frame *f, const struct place *p, bool top) {
    struct buf *out = s->out;
    uint32_t next, nvalues = p->nvalues;
    if (!top)
        nvalues -= call_at(s->instance->module, p->offset, &next)->nresults;
    buf_varint(out, f->code->func);
    buf_varint(out, p->offset);
    save_locals(s, f, p, top);
    buf_varint(out, nvalues);
    for (uint32_t i = 0; i < nvalues; i++) {
        const struct place_value *v = &p->values[i];
        buf_byte(out, v->type);
        put_value(s, v->type, v->lazy == 2 ? &v->value : f->fp + (v->lazy == 1 ? v->from : v->slot));
    }
}

static enum status save_frames(struct wasm_exec *x, struct saving *s, struct err *e) {
    const struct wasm_module *m = x->instance->module;
    buf_varint(s->out, (uint64_t)(x->top - x->frames));
    for (struct frame *f = x->frames + 1; f <= x->top; f++) {
        if (!f->code)
            return err_set(e, ST_UNSUPPORTED, "snapshot: calls between instances are under way");
        struct place p;
        bool top = f == x->top;
        bool ok = top ? top_place(m, f->code, x->pc, &p) : caller_place(f->code, f[1].ret, &p);
        must(ok);
        save_frame(s, f, &p, top);
        place_deinit(&p);
    }
    return ST_OK;
}

enum status wasm_snapshot_save(struct wasm_exec *x, struct wasm_instance *i, struct buf *out, struct err *e) {
    const struct wasm_module *m = i->module;
    if (i->store->ninstances != 1 || m->nimported_memories || m->nimported_tables || m->nimported_globals)
        return err_set(e, ST_UNSUPPORTED, "snapshot: the instance shares state with others");
    if (x->state != EXEC_IDLE && x->state != EXEC_DONE && x->state != EXEC_READY)
        return err_set(e, ST_BUSY, "snapshot: execution has ended or is inside a host function");
    struct saving s = {.out = out, .instance = i};
    size_t start = out->size;
    struct sha256 hash = *wasm_module_hash(m);
    buf_append(out, magic, sizeof magic);
    buf_u32(out, SNAPSHOT_VERSION);
    buf_u32(out, WASM_SEMANTICS_VERSION);
    buf_append(out, hash.bytes, SHA256_SIZE);
    buf_u64(out, x->clock);
    for (uint32_t n = 0; n < m->nmemories; n++)
        save_memory(out, i->memories[n]);
    for (uint32_t n = 0; n < m->ntables; n++) {
        buf_varint(out, i->tables[n]->size);
        for (uint32_t k = 0; k < i->tables[n]->size; k++)
            put_ref(&s, (uint8_t)i->tables[n]->elem, i->tables[n]->elems[k]);
    }
    for (uint32_t n = 0; n < m->nglobals; n++)
        put_value(&s, (uint8_t)i->globals[n]->type.type, i->globals[n]->v.slot);
    buf_append(out, i->dropped_elems, m->nelems);
    buf_append(out, i->dropped_datas, m->ndatas);
    if (x->state == EXEC_READY) {
        if (x->top == x->frames)
            return err_set(e, ST_UNSUPPORTED, "snapshot: a host function is the outermost call");
        enum status st = save_frames(x, &s, e);
        forget_liveness(&s);
        if (st != ST_OK)
            return st;
    } else {
        buf_varint(out, 0);
    }
    if (s.foreign)
        return err_set(e, ST_UNSUPPORTED, "snapshot: a reference leads to a function of another instance");
    if (!out->failed) {
        sha256_of(SPAN(out->data + start, out->size - start), &hash);
        buf_append(out, hash.bytes, SHA256_SIZE);
    }
    if (out->failed)
        return err_set(e, ST_LIMIT, "snapshot: larger than %zu bytes", out->max);
    return ST_OK;
}

/* ---- loading
 * --------------------------------------------------------------------------------------------------------- */

struct in {
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *take(struct in *in, uint64_t n) {
    if (in->bad || n > (uint64_t)(in->end - in->p)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *p = in->p;
    in->p += n;
    return p;
}

static uint64_t take_varint(struct in *in) {
    uint64_t v = 0;
    const uint8_t *p = in->bad ? NULL : get_varint(in->p, in->end, &v);
    if (!p) {
        in->bad = true;
        return 0;
    }
    in->p = p;
    return v;
}

static wasm_ref take_ref(struct in *in, const struct wasm_instance *i, uint8_t type) {
    uint64_t v = take_varint(in);
    if (type != WASM_FUNCREF || v == 0)
        return v;
    if (v > i->module->nfuncs) {
        in->bad = true;
        return 0;
    }
    return (uint64_t)(uintptr_t)i->funcs[v - 1];
}

static void take_value(struct in *in, const struct wasm_instance *i, uint8_t type, uint64_t *slot) {
    const uint8_t *p;
    switch (type) {
    case WASM_I32:
    case WASM_F32:
        if ((p = take(in, 4)))
            slot[0] = get_u32(p);
        break;
    case WASM_I64:
    case WASM_F64:
        if ((p = take(in, 8)))
            slot[0] = get_u64(p);
        break;
    case WASM_V128:
        if ((p = take(in, 16)))
            memcpy(slot, p, 16);
        break;
    default: slot[0] = take_ref(in, i, type); break;
    }
}

static void load_memory(struct in *in, struct wasm_memory *m) {
    uint64_t pages = take_varint(in), have = m->size / WASM_PAGE_SIZE;
    if (in->bad || pages < have || pages > UINT32_MAX || wasm_memory_grow(m, (uint32_t)(pages - have)) < 0) {
        in->bad = true;
        return;
    }
    memset(m->data, 0, have * WASM_PAGE_SIZE); /* what segments wrote */
    uint64_t blocks = m->size / BLOCK, at = 0;
    for (;;) {
        uint64_t skip = take_varint(in), n = take_varint(in);
        if (in->bad || (skip == 0 && n == 0))
            return;
        if (skip > blocks - at || n > blocks - at - skip) {
            in->bad = true;
            return;
        }
        at += skip;
        const uint8_t *p = take(in, n * BLOCK);
        if (!p)
            return;
        memcpy(m->data + at * BLOCK, p, n * BLOCK);
        at += n;
    }
}

static void load_table(struct in *in, const struct wasm_instance *i, struct wasm_table *t) {
    uint64_t size = take_varint(in);
    if (in->bad || size < t->size || size > UINT32_MAX || size > (uint64_t)(in->end - in->p) ||
        table_grow(t, (uint32_t)size - t->size, 0) < 0) {
        in->bad = true;
        return;
    }
    for (uint32_t k = 0; k < t->size; k++)
        t->elems[k] = take_ref(in, i, (uint8_t)t->elem);
}

/* One frame on top of x; `expect`: what the call below it wants back, NULL for the outermost. */
static bool load_frame(struct in *in, struct wasm_exec *x, struct wasm_instance *i, bool top,
                       const struct wasm_functype **expect) {
    const struct wasm_module *m = i->module;
    uint64_t func = take_varint(in), offset = take_varint(in);
    if (in->bad || func < m->nimported_funcs || func >= m->nfuncs || offset < m->funcs[func].offset ||
        offset >= (uint64_t)(m->funcs[func].end - m->bytes.data))
        return false;
    struct code *c = i->funcs[func]->code;
    const struct wasm_functype *ft = i->funcs[func]->type;
    if (*expect && (ft->nresults != (*expect)->nresults || memcmp(ft->results, (*expect)->results, ft->nresults) != 0))
        return false;
    if (x->fp + c->frame_slots > x->stack_end)
        return false;
    struct place p;
    if (!place_at_offset(c, true, top ? PLACE_OP : PLACE_CALL, (uint32_t)offset, &p))
        return false;
    if (!c->exact)
        translate(c, true);
    uint64_t *slot = x->fp;
    for (uint32_t n = 0; n < p.nlocals; n++) {
        slot += n == ft->nparams; /* the link */
        take_value(in, i, p.local_types[n], slot);
        slot += type_slots(p.local_types[n]);
    }
    slot += p.nlocals == ft->nparams;
    x->fp[c->param_slots] = 0;
    uint32_t next, keep = p.nvalues;
    if (!top) {
        *expect = call_at(m, (uint32_t)offset, &next);
        keep -= (*expect)->nresults;
    }
    bool ok = take_varint(in) == keep;
    for (uint32_t n = 0; ok && n < keep; n++) {
        const uint8_t *type = take(in, 1);
        ok = type && *type == p.values[n].type;
        if (ok)
            take_value(in, i, *type, slot);
        slot += type_slots(p.values[n].type);
    }
    if (ok && !in->bad) {
        const uint64_t *ret = x->top == x->frames ? interp_done_code() : x->pc;
        *++x->top = (struct frame){.ret = ret, .fp = x->fp, .code = c};
        must(x->top < x->frames_end);
        x->pc = c->exact + p.word;
        if (!top)
            x->fp = slot; /* where the callee's arguments begin */
    }
    place_deinit(&p);
    return ok && !in->bad;
}

static bool load_frames(struct in *in, struct wasm_exec *x, struct wasm_instance *i) {
    uint64_t n = take_varint(in);
    if (in->bad || n > x->store->config.max_stack_slots)
        return false;
    if (n == 0) {
        x->state = EXEC_IDLE;
        return true;
    }
    x->top = x->frames;
    exec_whole_stack(x);
    *x->top = (struct frame){.fp = x->stack};
    x->fp = x->stack;
    const struct wasm_functype *expect = NULL;
    for (uint64_t k = 0; k < n; k++)
        if (!load_frame(in, x, i, k == n - 1, &expect))
            return false;
    x->callee = i->funcs[x->frames[1].code->func];
    exec_enter_instance(x, i);
    x->exact = true;
    x->state = EXEC_READY;
    return true;
}

enum status wasm_snapshot_load(struct wasm_exec *x, struct wasm_instance *i, struct span bytes, struct err *e) {
    const struct wasm_module *m = i->module;
    must(x->state == EXEC_IDLE);
    if (bytes.size < sizeof magic + 8 + 2 * SHA256_SIZE || memcmp(bytes.data, magic, sizeof magic) != 0)
        return err_set(e, ST_CORRUPT, "snapshot: not a snapshot");
    if (get_u32(bytes.data + 8) != SNAPSHOT_VERSION || get_u32(bytes.data + 12) != WASM_SEMANTICS_VERSION)
        return err_set(e, ST_VERSION,
                       "snapshot: format %u with semantics %u; this engine reads format %u with semantics %u",
                       get_u32(bytes.data + 8), get_u32(bytes.data + 12), SNAPSHOT_VERSION, WASM_SEMANTICS_VERSION);
    struct sha256 hash;
    size_t body = bytes.size - SHA256_SIZE;
    sha256_of(SPAN(bytes.data, body), &hash);
    if (memcmp(hash.bytes, bytes.data + body, SHA256_SIZE) != 0)
        return err_set(e, ST_CORRUPT, "snapshot: checksum differs");
    hash = *wasm_module_hash(m);
    if (memcmp(hash.bytes, bytes.data + 16, SHA256_SIZE) != 0)
        return err_set(e, ST_MISMATCH, "snapshot: made from another module");
    if (m->nimported_memories || m->nimported_tables || m->nimported_globals)
        return err_set(e, ST_UNSUPPORTED, "snapshot: the instance shares state with others");
    struct in in = {.p = bytes.data + 16 + SHA256_SIZE, .end = bytes.data + body};
    const uint8_t *p = take(&in, 8);
    x->clock = p ? get_u64(p) : 0;
    for (uint32_t n = 0; n < m->nmemories && !in.bad; n++)
        load_memory(&in, i->memories[n]);
    for (uint32_t n = 0; n < m->ntables && !in.bad; n++)
        load_table(&in, i, i->tables[n]);
    for (uint32_t n = 0; n < m->nglobals; n++)
        take_value(&in, i, (uint8_t)i->globals[n]->type.type, i->globals[n]->v.slot);
    if ((p = take(&in, m->nelems)))
        memcpy(i->dropped_elems, p, m->nelems);
    if ((p = take(&in, m->ndatas)))
        memcpy(i->dropped_datas, p, m->ndatas);
    if (in.bad || !load_frames(&in, x, i) || in.p != in.end)
        return err_set(e, ST_CORRUPT, "snapshot: damaged at byte %zu", (size_t)(in.p - bytes.data));
    return ST_OK;
}
