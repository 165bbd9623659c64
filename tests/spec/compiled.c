// The same scripts in compiled code: every module is compiled as a whole before anything of it runs.
#include "spec.h"

#include "wasm/llvm/llvm.h"

#include "base/must.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void spec_compile(struct wasm_store *s, const struct wasm_module *m) {
    static struct llvm_compiler *compiler;
    struct err e = ERR_INIT;
    struct buf object;
    uint32_t nimported = 0, nfuncs = wasm_module_nfuncs(m), n = 0;
    for (uint32_t i = 0; i < wasm_module_nimports(m); i++)
        nimported += wasm_module_import(m, i).type.kind == WASM_KIND_FUNC;
    if (nimported == nfuncs)
        return;
    if (!compiler && llvm_compiler_new(&compiler, &e)) {
        printf("no compiler: %s\n", e.text);
        abort();
    }
    uint32_t *funcs = malloc(nfuncs * sizeof *funcs);
    for (uint32_t i = nimported; i < nfuncs; i++)
        funcs[n++] = i;
    struct llvm_request r = {.module = m, .funcs = funcs, .nfuncs = n, .options = {.count = true, .effort = 1}};
    buf_init(&object, 64 << 20);
    enum status st = llvm_compile(compiler, &r, &object, &e);
    if (!st) {
        void *text = mmap(NULL, object.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(text != MAP_FAILED);
        memcpy(text, object.data, object.size);
        must(mprotect(text, object.size, PROT_READ | PROT_EXEC) == 0);
        st = wasm_install(s, m, SPAN(text, object.size), &e);
    }
    if (st) {
        printf("FAIL cannot be compiled: %s\n", e.text);
        abort();
    }
    buf_deinit(&object);
    free(funcs);
}
