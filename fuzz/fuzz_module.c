// Decoder and validator on arbitrary bytes; what is accepted is then asked about everything it can tell.

#include "base/must.h"
#include "wasm/module.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Constant expressions and bodies lie within the module and end with `end`.
static void check_inside(struct span all, const uint8_t *code, const uint8_t *end) {
    must(code >= all.data && code < end && end <= all.data + all.size && end[-1] == 0x0b);
}

static void check_functions(const struct wasm_module *m) {
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        const struct module_func *f = &m->funcs[i];
        const struct wasm_functype *t = &m->types[f->type];
        check_inside(m->bytes, f->code, f->end);
        must(f->frame_slots > t->param_slots + f->nlocals && f->frame_slots <= WASM_MAX_FRAME_SLOTS);
        must(f->nops <= (size_t)(f->end - f->code));
    }
}

static void check_segments(const struct wasm_module *m) {
    for (uint32_t i = m->nimported_globals; i < m->nglobals; i++)
        check_inside(m->bytes, m->globals[i].init.code, m->globals[i].init.code + m->globals[i].init.size);
    for (uint32_t i = 0; i < m->nelems; i++) {
        const struct module_elem *s = &m->elems[i];
        for (uint32_t k = 0; k < s->count; k++)
            if (s->funcs)
                must(s->funcs[k] < m->nfuncs);
            else
                check_inside(m->bytes, s->exprs[k].code, s->exprs[k].code + s->exprs[k].size);
    }
    for (uint32_t i = 0; i < m->ndatas; i++)
        must(m->datas[i].mode != SEGMENT_ACTIVE || m->datas[i].memory < m->nmemories);
}

static void ask_everything(const struct wasm_module *m) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < wasm_module_nimports(m); i++) {
        struct wasm_import imp = wasm_module_import(m, i);
        bytes += imp.name.size + (imp.type.kind == WASM_KIND_FUNC ? imp.type.func->nparams : 0);
    }
    for (uint32_t i = 0; i < wasm_module_nexports(m); i++) {
        struct wasm_export x = wasm_module_export(m, i);
        bytes += x.name.size + (x.type.kind == WASM_KIND_FUNC ? x.type.func->nresults : 0);
    }
    struct span s;
    for (uint32_t i = 0; i < wasm_module_nfuncs(m); i++)
        if (wasm_module_func_name(m, i, &s))
            bytes += s.data[s.size - 1];
    if (wasm_module_custom(m, "name", 0, &s))
        bytes += s.size;
    must(bytes != SIZE_MAX); // all was read
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wasm_module *m = NULL;
    struct err e = ERR_INIT;
    enum status s = wasm_module_new(SPAN(data, size), &m, &e);
    must((s == ST_OK) == (m != NULL) && s == e.status);
    if (s != ST_OK) {
        must(s == ST_MALFORMED || s == ST_INVALID || s == ST_UNSUPPORTED || s == ST_LIMIT);
        return 0;
    }
    must(m->arena.used_bytes <= 65536 + 32 * size); // memory follows the file, whatever it claims
    check_functions(m);
    check_segments(m);
    ask_everything(m);
    wasm_module_free(m);
    return 0;
}
