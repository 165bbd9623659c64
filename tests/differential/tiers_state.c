#include "tiers.h"

#include <stdio.h>

enum { ROOM = 256 << 20, LARGE = 64 << 20, END = 128 << 10 };

static bool differ(const char *what, uint64_t k, uint64_t a, uint64_t b) {
    printf("differs: %s %llu: interpreted %#llx, compiled %#llx\n", what, (unsigned long long)k, (unsigned long long)a,
           (unsigned long long)b);
    return false;
}

static bool same_value(const struct world *a, const struct world *b, const char *what, uint64_t k, uint8_t type,
                       const union wasm_value *u, const union wasm_value *v) {
    uint64_t x = world_ref(a, type, u->ref), y = world_ref(b, type, v->ref);
    if (type == WASM_I32 || type == WASM_F32) {
        x = (uint32_t)x;
        y = (uint32_t)y;
    }
    if (x != y)
        return differ(what, k, x, y);
    if (type == WASM_V128 && u->slot[1] != v->slot[1])
        return differ(what, k, u->slot[1], v->slot[1]);
    return true;
}

static bool same_bytes(const struct wasm_memory *m, const struct wasm_memory *n, uint64_t from, uint64_t to) {
    if (to == from || memcmp(m->data + from, n->data + from, (size_t)(to - from)) == 0)
        return true;
    while (m->data[from] == n->data[from])
        from++;
    return differ("byte of memory", from, m->data[from], n->data[from]);
}

/* Of a large one the ends. */
static bool same_memory(const struct wasm_memory *m, const struct wasm_memory *n) {
    if (m->size != n->size)
        return differ("size of memory", 0, m->size, n->size);
    if (m->refused_bytes != n->refused_bytes)
        return differ("refused size of memory", 0, m->refused_bytes, n->refused_bytes);
    if (m->size <= LARGE)
        return same_bytes(m, n, 0, m->size);
    return same_bytes(m, n, 0, END) && same_bytes(m, n, m->size - END, m->size);
}

static bool same_table(const struct world *a, const struct world *b, const struct wasm_table *t,
                       const struct wasm_table *u) {
    if (t->size != u->size)
        return differ("size of table", 0, t->size, u->size);
    for (uint32_t k = 0; k < t->size; k++) {
        uint64_t x = world_ref(a, (uint8_t)t->elem, t->elems[k]), y = world_ref(b, (uint8_t)t->elem, u->elems[k]);
        if (x != y)
            return differ("element", k, x, y);
    }
    return true;
}

static bool same_instance(const struct world *a, const struct world *b, uint32_t which) {
    const struct wasm_instance *i = a->instances[which], *j = b->instances[which];
    const struct wasm_module *m = a->module;
    for (uint32_t k = 0; k < m->nglobals; k++)
        if (!same_value(a, b, "global", k, (uint8_t)i->globals[k]->type.type, &i->globals[k]->v, &j->globals[k]->v))
            return false;
    for (uint32_t k = 0; k < m->nmemories; k++)
        if (!same_memory(i->memories[k], j->memories[k]))
            return false;
    for (uint32_t k = 0; k < m->ntables; k++)
        if (!same_table(a, b, i->tables[k], j->tables[k]))
            return false;
    for (uint32_t k = 0; k < m->nelems; k++)
        if (i->dropped_elems[k] != j->dropped_elems[k])
            return differ("dropped elements", k, i->dropped_elems[k], j->dropped_elems[k]);
    for (uint32_t k = 0; k < m->ndatas; k++)
        if (i->dropped_datas[k] != j->dropped_datas[k])
            return differ("dropped data", k, i->dropped_datas[k], j->dropped_datas[k]);
    return true;
}

static bool same_frames(const struct world *a, const struct world *b, uint32_t cap) {
    static struct wasm_frame f[MOST_FRAMES], g[MOST_FRAMES];
    must(cap <= MOST_FRAMES);
    uint32_t n = wasm_backtrace(a->exec, f, cap), o = wasm_backtrace(b->exec, g, cap);
    if (n != o)
        return differ("frames", 0, n, o);
    for (uint32_t k = 0; k < n && k < cap; k++) {
        if (!f[k].instance != !g[k].instance ||
            (f[k].instance == a->instances[0]) != (g[k].instance == b->instances[0]))
            return differ("instance of frame", k, !!f[k].instance, !!g[k].instance);
        if (f[k].func != g[k].func)
            return differ("function of frame", k, f[k].func, g[k].func);
        if (f[k].offset != g[k].offset)
            return differ("offset of frame", k, f[k].offset, g[k].offset);
        if (!f[k].label != !g[k].label)
            return differ("label of frame", k, !!f[k].label, !!g[k].label);
    }
    return true;
}

bool same_state(const struct world *a, const struct world *b, uint32_t frames) {
    if (wasm_clock(a->exec) != wasm_clock(b->exec))
        return differ("clock", 0, wasm_clock(a->exec), wasm_clock(b->exec));
    if (wasm_trap(a->exec) != wasm_trap(b->exec))
        return differ("trap", 0, wasm_trap(a->exec), wasm_trap(b->exec));
    if (wasm_trap(a->exec) && strcmp(wasm_exec_trap_text(a->exec), wasm_exec_trap_text(b->exec)) != 0)
        return differ("text of trap", 0, 0, 0);
    if (a->calls != b->calls)
        return differ("calls of host functions", 0, a->calls, b->calls);
    if (a->seen != b->seen)
        return differ("what host functions saw", a->calls, a->seen, b->seen);
    if (!same_frames(a, b, frames))
        return false;
    for (uint32_t k = 0; k < INSTANCES; k++)
        if (a->instances[k] && !same_instance(a, b, k))
            return false;
    return true;
}

bool same_results(const struct world *a, const struct world *b) {
    union wasm_value u[MOST_VALUES], v[MOST_VALUES];
    const struct wasm_functype *t = wasm_func_type(a->exec->callee);
    wasm_results(a->exec, u);
    wasm_results(b->exec, v);
    for (uint32_t k = 0; k < t->nresults; k++) {
        if (!same_value(a, b, "result", k, t->results[k], &u[k], &v[k]))
            return false;
        if (t->results[k] != WASM_FUNCREF && u[k].slot[0] != v[k].slot[0])
            return differ("upper half of result", k, u[k].slot[0], v[k].slot[0]);
    }
    return true;
}

bool same_snapshots(const struct world *a, const struct world *b) {
    struct err e = ERR_INIT;
    struct buf p, q;
    buf_init(&p, ROOM);
    buf_init(&q, ROOM);
    enum status s = wasm_snapshot_save(a->exec, a->instances[0], &p, &e);
    enum status t = wasm_snapshot_save(b->exec, b->instances[0], &q, &e);
    bool same = s == t && (s != ST_OK || span_equal(buf_span(&p), buf_span(&q)));
    if (s != t)
        differ("status of snapshot", 0, s, t);
    else if (!same && p.size != q.size)
        differ("size of snapshot", 0, p.size, q.size);
    for (size_t k = 0; !same && s == t && k < p.size && k < q.size; k++) {
        if (p.data[k] != q.data[k]) {
            differ("byte of snapshot", k, p.data[k], q.data[k]);
            break;
        }
    }
    buf_deinit(&p);
    buf_deinit(&q);
    return same;
}
