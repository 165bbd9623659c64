#include "wasm/object.h"

#include "base/must.h"
#include "wasm/native.h"
#include "wasm/wasm.h"

/* The format is docs/formats/object.md:
 *
 *     head | entries | zeros to a page | text | SHA-256 of all before
 */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_SEMANTICS = 12,
    AT_ABI = 16,
    AT_NENTRIES = 20,
    AT_FEATURES = 24,
    AT_MODULE = 32,
    AT_TEXT_SIZE = 64,
    HEAD_SIZE = 68,
    ENTRY_SIZE = 16,
};

static const char magic[] = "AEONCODE";
enum { MAGIC_SIZE = sizeof magic - 1 };

static uint64_t text_offset(uint32_t nentries) {
    uint64_t end = HEAD_SIZE + (uint64_t)nentries * ENTRY_SIZE;
    return (end + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
}

struct object_entry object_entry(const struct object *o, uint32_t i) {
    must(i < o->nentries);
    const uint8_t *p = o->entries + (size_t)i * ENTRY_SIZE;
    return (struct object_entry){
        .func = get_u32(p), .loop = get_u32(p + 4), .enter = get_u32(p + 8), .body = get_u32(p + 12)};
}

/* Is `b` an entry that may come behind `a` (NULL: the first) in a text of that size? */
static bool entry_fits(const struct object_entry *a, const struct object_entry *b, size_t text_size) {
    if (b->enter >= text_size || b->body >= text_size || b->func == UINT32_MAX)
        return false;
    if (b->loop && b->body)
        return false;
    return !a || a->func < b->func || (a->func == b->func && a->loop < b->loop);
}

enum status object_open(struct span bytes, struct object *out, struct err *e) {
    if (bytes.size < HEAD_SIZE + SHA256_SIZE || memcmp(bytes.data, magic, MAGIC_SIZE) != 0)
        return err_set(e, ST_CORRUPT, "no compiled code: it does not begin like an object");
    const uint8_t *p = bytes.data;
    uint32_t version = get_u32(p + AT_VERSION);
    if (version != OBJECT_VERSION)
        return err_set(e, ST_VERSION, "compiled code of format version %u; this aeon knows version %u", version,
                       OBJECT_VERSION);

    struct object o = {.semantics = get_u32(p + AT_SEMANTICS),
                       .abi = get_u32(p + AT_ABI),
                       .features = get_u64(p + AT_FEATURES),
                       .nentries = get_u32(p + AT_NENTRIES),
                       .entries = p + HEAD_SIZE};
    memcpy(o.module.bytes, p + AT_MODULE, SHA256_SIZE);
    uint64_t text = text_offset(o.nentries);
    uint32_t text_size = get_u32(p + AT_TEXT_SIZE);
    if (bytes.size != text + text_size + SHA256_SIZE)
        return err_set(e, ST_CORRUPT, "compiled code is damaged: %zu bytes, its head says %llu", bytes.size,
                       (unsigned long long)(text + text_size + SHA256_SIZE));
    o.text = SPAN(p + text, text_size);
    struct sha256 sum;
    sha256_of(SPAN(p, bytes.size - SHA256_SIZE), &sum);
    if (memcmp(sum.bytes, p + bytes.size - SHA256_SIZE, SHA256_SIZE) != 0)
        return err_set(e, ST_CORRUPT, "compiled code is damaged: its checksum differs");

    if (o.semantics != WASM_SEMANTICS_VERSION || o.abi != NATIVE_ABI_VERSION)
        return err_set(e, ST_VERSION, "compiled code for semantics %u and ABI %u; this aeon has %u and %u", o.semantics,
                       o.abi, WASM_SEMANTICS_VERSION, NATIVE_ABI_VERSION);
    if (!o.nentries)
        return err_set(e, ST_CORRUPT, "compiled code without an entry");
    struct object_entry before = {0};
    for (uint32_t i = 0; i < o.nentries; i++) {
        struct object_entry entry = object_entry(&o, i);
        if (!entry_fits(i ? &before : NULL, &entry, o.text.size))
            return err_set(e, ST_CORRUPT, "compiled code: entry %u (function %u) is out of order or out of bounds", i,
                           entry.func);
        before = entry;
    }
    for (uint64_t at = HEAD_SIZE + (uint64_t)o.nentries * ENTRY_SIZE; at < text; at++) {
        if (p[at])
            return err_set(e, ST_CORRUPT, "compiled code: something is between entries and text");
    }
    *out = o;
    return ST_OK;
}

enum status object_write(const struct sha256 *module, uint64_t features, const struct object_entry *entries,
                         uint32_t nentries, struct span text, struct buf *out, struct err *e) {
    must(nentries && text.size <= UINT32_MAX);
    size_t start = out->size;
    uint64_t offset = text_offset(nentries), size = offset + text.size + SHA256_SIZE;
    if (size > SIZE_MAX - start || !buf_reserve(out, (size_t)size))
        return err_set(e, ST_LIMIT, "no room for an object of %llu bytes", (unsigned long long)size);

    buf_append(out, magic, MAGIC_SIZE);
    buf_u32(out, OBJECT_VERSION);
    buf_u32(out, WASM_SEMANTICS_VERSION);
    buf_u32(out, NATIVE_ABI_VERSION);
    buf_u32(out, nentries);
    buf_u64(out, features);
    buf_append(out, module->bytes, SHA256_SIZE);
    buf_u32(out, (uint32_t)text.size);
    must(out->size - start == HEAD_SIZE);
    for (uint32_t i = 0; i < nentries; i++) {
        must(entry_fits(i ? &entries[i - 1] : NULL, &entries[i], text.size));
        buf_u32(out, entries[i].func);
        buf_u32(out, entries[i].loop);
        buf_u32(out, entries[i].enter);
        buf_u32(out, entries[i].body);
    }
    static const uint8_t zeros[OBJECT_ALIGN];
    buf_append(out, zeros, start + offset - out->size);
    buf_append(out, text.data, text.size);
    struct sha256 sum;
    sha256_of(SPAN(out->data + start, out->size - start), &sum);
    buf_append(out, sum.bytes, SHA256_SIZE);
    must(out->size - start == size);
    return ST_OK;
}
