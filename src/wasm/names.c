// Function names: the name section's, else an export's, else an import's. Indexed when first asked for.

#include "wasm/module.h"
#include "wasm/reader.h"

enum { NAMES_OF_FUNCTIONS = 1 };

// The function names' subsection of the first name section; empty when there is none or it is damaged.
static struct reader function_subsection(const struct wasm_module *m) {
    struct reader none = {.status = ST_NOT_FOUND};
    struct span content;
    if (!wasm_module_custom(m, "name", 0, &content))
        return none;
    struct reader r = {m->bytes.data, content.data, content.data + content.size, ST_OK, NULL};
    while (r.status == ST_OK && r.p < r.end) {
        uint8_t id = read_byte(&r);
        struct span sub = read_bytes(&r, read_u32(&r));
        if (id == NAMES_OF_FUNCTIONS && r.status == ST_OK)
            return (struct reader){m->bytes.data, sub.data, sub.data + sub.size, ST_OK, NULL};
    }
    return none;
}

// One pass over a name map; `names` NULL only checks it.
static bool read_name_map(struct reader r, uint32_t nfuncs, struct span *names) {
    uint32_t n = read_count(&r, 2);
    while (n-- && r.status == ST_OK) {
        uint32_t func = read_u32(&r);
        struct span name = read_name(&r);
        if (names && func < nfuncs && name.size)
            names[func] = name;
    }
    return r.status == ST_OK;
}

static struct span *index_names(const struct wasm_module *m) {
    struct span *names = mem_zalloc((m->nfuncs + 1ul) * sizeof *names);
    for (uint32_t i = 0; i < m->nimports; i++)
        if (m->imports[i].kind == WASM_KIND_FUNC)
            names[m->imports[i].index] = m->imports[i].name;
    for (uint32_t i = m->nexports; i-- > 0;) // of several, the first export counts
        if (m->exports[i].kind == WASM_KIND_FUNC && m->exports[i].name.size)
            names[m->exports[i].index] = m->exports[i].name;
    struct reader map = function_subsection(m);
    if (read_name_map(map, m->nfuncs, NULL))
        (void)read_name_map(map, m->nfuncs, names);
    return names;
}

bool wasm_module_func_name(const struct wasm_module *m, uint32_t func, struct span *name) {
    // A module may be in use by many threads: whoever publishes an index first wins, equal ones are thrown away.
    struct span *names = __atomic_load_n(&m->func_names, __ATOMIC_ACQUIRE);
    if (!names) {
        struct span *expected = NULL;
        names = index_names(m);
        struct span **slot = &((struct wasm_module *)m)->func_names;
        if (!__atomic_compare_exchange_n(slot, &expected, names, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            mem_free(names);
            names = expected;
        }
    }
    if (func >= m->nfuncs || names[func].size == 0)
        return false;
    *name = names[func];
    return true;
}

const char *module_name_text(char out[static NAME_TEXT], struct span name) {
    size_t n = name.size < NAME_TEXT - 4 ? name.size : NAME_TEXT - 4;
    while (n < name.size && n > 0 && (name.data[n] & 0xc0) == 0x80) // not within a character
        n--;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = name.data[i];
        bool c1_control = b == 0xc2 && i + 1 < n && name.data[i + 1] < 0xa0;
        out[i] = (char)(b < 0x20 || b == 0x7f || c1_control ? '?' : b);
        if (c1_control)
            out[++i] = '?';
    }
    memcpy(out + n, n < name.size ? "..." : "", n < name.size ? 4 : 1);
    return out;
}
