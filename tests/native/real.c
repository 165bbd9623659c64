#include "puppet.h"

#include "wasm/llvm/llvm.h"

#include <sys/mman.h>

enum { MOST = 64, OBJECTS = 64 };

struct puppet {
    struct wasm_store *store;
    const struct wasm_module *m;
};

static struct llvm_compiler *compiler;

/* What has been compiled; kept to the end. */
static struct {
    const struct wasm_module *m;
    uint64_t funcs;
    bool loops;
    struct span bytes;
} objects[OBJECTS];
static uint32_t nobjects;

struct puppet *puppet_new(struct wasm_store *s, const struct wasm_module *m) {
    struct err e = ERR_INIT;
    if (!compiler && llvm_compiler_new(&compiler, &e))
        must(!"a compiler");
    struct puppet *p = mem_zalloc(sizeof *p);
    p->store = s;
    p->m = m;
    return p;
}

void puppet_free(struct puppet *p) {
    mem_free(p);
}

/* The loops of a function, found in its translation. */
static uint32_t find_loops(struct code *c, struct llvm_loop *out) {
    uint32_t n = 0;
    struct place p;
    exec_fused_code(c);
    for (uint32_t word = 0; word < c->fused_words; word++) {
        if (!place_at_word(c, false, PLACE_LABEL, word, &p))
            continue;
        if (p.loop)
            out[n++] = (struct llvm_loop){.func = c->func, .offset = p.loop};
        place_deinit(&p);
    }
    return n;
}

static struct span compile(struct puppet *p, uint64_t set, bool loops) {
    for (uint32_t i = 0; i < nobjects; i++)
        if (objects[i].m == p->m && objects[i].funcs == set && objects[i].loops == loops)
            return objects[i].bytes;
    struct module_code *code = store_module_code(p->store, p->m);
    uint32_t funcs[MOST];
    struct llvm_loop heads[MOST];
    struct llvm_request r = {
        .module = p->m, .funcs = funcs, .loops = heads, .options = {.count = true, .effort = 1 + nobjects % 2}};
    for (uint32_t i = p->m->nimported_funcs; i < p->m->nfuncs; i++) {
        if (set >> i & 1)
            funcs[r.nfuncs++] = i;
        if ((set >> i & 1) && loops)
            r.nloops += find_loops(&code->codes[i], heads + r.nloops);
    }
    struct buf object;
    struct err e = ERR_INIT;
    buf_init(&object, 16 << 20);
    if (llvm_compile(compiler, &r, &object, &e) != ST_OK)
        must(!"compiled");
    void *text = mmap(NULL, object.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(text != MAP_FAILED);
    memcpy(text, object.data, object.size);
    must(mprotect(text, object.size, PROT_READ | PROT_EXEC) == 0);
    must(nobjects < OBJECTS);
    objects[nobjects].m = p->m;
    objects[nobjects].funcs = set;
    objects[nobjects].loops = loops;
    struct span bytes = objects[nobjects++].bytes = SPAN(text, object.size);
    buf_deinit(&object);
    return bytes;
}

void puppet_install(struct puppet *p, uint64_t funcs, bool loops) {
    struct err e = ERR_INIT;
    uint64_t own = (((uint64_t)1 << p->m->nfuncs) - 1) & ~(((uint64_t)1 << p->m->nimported_funcs) - 1);
    if (!(funcs & own))
        return;
    if (wasm_install(p->store, p->m, compile(p, funcs & own, loops), &e) != ST_OK)
        must(!"installed");
}

bool puppet_entered(const struct puppet *p, uint64_t *functions, uint64_t *loops) {
    (void)p;
    *functions = *loops = 0;
    return false;
}
