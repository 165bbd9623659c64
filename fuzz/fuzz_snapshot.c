/* The snapshot loader on arbitrary bytes behind a right checksum; what it accepts is run, saved and run again. */
#include "base/must.h"
#include "base/sha256.h"
#include "wasm/wasm.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A module with all kinds of state: (memory 1 3) (table 2 8 funcref) (global (mut i32)) and a function `f` that
 * recurses through a loop, keeping operands of several types while it does. */
static const uint8_t code[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01,
    0x00, 0x04, 0x05, 0x01, 0x70, 0x01, 0x02, 0x08, 0x05, 0x04, 0x01, 0x01, 0x01, 0x03, 0x06, 0x06, 0x01, 0x7f, 0x01,
    0x41, 0x07, 0x0b, 0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00, 0x09, 0x07, 0x01, 0x00, 0x41, 0x00, 0x0b, 0x01, 0x00,
    0x0a, 0x44, 0x01, 0x42, 0x03, 0x01, 0x7b, 0x01, 0x7e, 0x01, 0x7c, 0x20, 0x00, 0x45, 0x04, 0x40, 0x41, 0x01, 0x0f,
    0x0b, 0x03, 0x7f, 0x44, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x3f, 0x20, 0x02, 0x20, 0x01, 0x20, 0x00, 0x41,
    0x01, 0x6b, 0x22, 0x00, 0x10, 0x00, 0x23, 0x00, 0x6a, 0x24, 0x00, 0x21, 0x01, 0x21, 0x02, 0x21, 0x03, 0x41, 0x08,
    0x23, 0x00, 0x36, 0x02, 0x00, 0x20, 0x00, 0x0d, 0x00, 0x23, 0x00, 0x0b, 0x0b};

enum { ROOM = 4 << 20 };

static struct wasm_module *module;

static void run(const uint8_t *data, size_t size, struct buf *saved) {
    struct wasm_config c = {.max_memory_bytes = 3 * WASM_PAGE_SIZE, .max_table_elems = 8, .max_stack_slots = 4000};
    struct wasm_store *s = wasm_store_new(&c);
    struct wasm_instance *i;
    must(wasm_instance_new(s, module, NULL, 0, &i, NULL) == ST_OK);
    struct wasm_exec *x = wasm_exec_new(s);
    struct err e = ERR_INIT;
    enum status st = wasm_snapshot_load(x, i, SPAN(data, size), &e);
    must(st == e.status);
    if (st == ST_OK && saved) {
        must(wasm_snapshot_save(x, i, saved, &e) == ST_OK);
        struct wasm_frame f[8];
        if (wasm_backtrace(x, f, 8)) {
            uint64_t clock = wasm_clock(x);
            if (clock < UINT64_MAX - 10000)
                wasm_run(x, clock + 5000);
        }
    } else if (saved == NULL) {
        must(st == ST_OK); /* what we saved ourselves */
    }
    wasm_exec_free(x);
    wasm_store_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!module)
        must(wasm_module_new(SPAN(code, sizeof code), &module, NULL) == ST_OK);
    struct buf b, saved;
    struct sha256 h;
    buf_init(&b, ROOM);
    buf_init(&saved, ROOM);
    buf_append(&b, "AEONSNAP", 8);
    buf_u32(&b, 1);
    buf_u32(&b, WASM_SEMANTICS_VERSION);
    sha256_of(SPAN(code, sizeof code), &h);
    buf_append(&b, h.bytes, sizeof h.bytes);
    buf_append(&b, data, size);
    sha256_of(buf_span(&b), &h);
    buf_append(&b, h.bytes, sizeof h.bytes);
    if (!b.failed) {
        run(b.data, b.size, &saved);
        if (saved.size)
            run(saved.data, saved.size, NULL);
    }
    buf_deinit(&b);
    buf_deinit(&saved);
    return 0;
}
