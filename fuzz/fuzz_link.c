/* The linker of compiled code on arbitrary bytes: it refuses them, or makes an object that opens. */
#include "base/must.h"
#include "wasm/llvm/elf.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t nothing[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    static struct wasm_module *module;
    if (!module)
        must(wasm_module_new(SPAN(nothing, sizeof nothing), &module, NULL) == ST_OK);
    struct buf object;
    struct object o;
    struct err e = ERR_INIT;
    buf_init(&object, 64 << 20);
    enum status st = llvm_link(SPAN(data, size), module, &object, &e);
    must(st == e.status);
    must(st == ST_OK ? object_open(buf_span(&object), &o, NULL) == ST_OK : object.size == 0);
    buf_deinit(&object);
    return 0;
}
