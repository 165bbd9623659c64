/* Objects of compiled code from arbitrary bytes: as they are, and behind a right checksum. What opens is written again
 * and must come out the same. */
#include "base/must.h"
#include "wasm/object.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_object(struct span bytes) {
    struct object o;
    struct err e = ERR_INIT;
    enum status st = object_open(bytes, &o, &e);
    must(st == e.status && (st == ST_OK || st == ST_CORRUPT || st == ST_VERSION));
    if (st != ST_OK)
        return;
    must(o.text.data >= bytes.data && o.text.data + o.text.size <= bytes.data + bytes.size);
    must((o.text.data - bytes.data) % OBJECT_ALIGN == 0);
    struct object_entry *entries = mem_alloc(o.nentries * sizeof *entries);
    for (uint32_t i = 0; i < o.nentries; i++) {
        entries[i] = object_entry(&o, i);
        must(entries[i].enter < o.text.size && entries[i].body < o.text.size);
    }
    struct buf again;
    buf_init(&again, bytes.size);
    must(object_write(&o.module, o.features, entries, o.nentries, o.text, &again, NULL) == ST_OK);
    must(span_equal(buf_span(&again), bytes));
    buf_deinit(&again);
    mem_free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_object(SPAN(data, size));
    struct buf b;
    struct sha256 sum;
    buf_init(&b, size + SHA256_SIZE);
    buf_append(&b, data, size);
    sha256_of(SPAN(data, size), &sum);
    buf_append(&b, sum.bytes, sizeof sum.bytes);
    try_object(buf_span(&b));
    buf_deinit(&b);
    return 0;
}
