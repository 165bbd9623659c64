/* libaeon-wasm by itself: runs an exported function of a module, 1000 ticks at a time.
 *     embed module.wasm function [i32 ...] */
#include "wasm/wasm.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    static uint8_t bytes[1 << 20];
    FILE *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return fprintf(stderr, "usage: embed module.wasm function [i32 ...]\n"), 2;
    struct span code = SPAN(bytes, fread(bytes, 1, sizeof bytes, file));
    struct err e = ERR_INIT;
    struct wasm_module *module;
    struct wasm_instance *instance;
    struct wasm_extern export;
    struct wasm_config config = wasm_config_default();
    struct wasm_store *store = wasm_store_new(&config);
    if (wasm_module_new(code, &module, &e) || wasm_instance_new(store, module, NULL, 0, &instance, &e))
        return fprintf(stderr, "%s: %s\n", argv[1], e.text), 1;
    if (!wasm_instance_export(instance, argv[2], &export) || export.kind != WASM_KIND_FUNC ||
        wasm_func_type(export.func)->nparams > 8 || wasm_func_type(export.func)->nresults > 1)
        return fprintf(stderr, "%s exports no simple function %s\n", argv[1], argv[2]), 1;
    union wasm_value args[8] = {0}, results[1] = {0};
    for (int i = 3; i < argc && i < 11; i++)
        args[i - 3].i32 = (uint32_t)atoi(argv[i]);
    struct wasm_exec *exec = wasm_exec_new(store);
    wasm_call(exec, export.func, args);
    enum wasm_outcome outcome;
    do
        outcome = wasm_run(exec, wasm_clock(exec) + 1000);
    while (outcome == WASM_STOPPED);
    if (outcome == WASM_DONE)
        wasm_results(exec, results);
    printf("%s: %d after %llu ticks\n", outcome == WASM_DONE ? "result" : wasm_exec_trap_text(exec), results[0].i32,
           (unsigned long long)wasm_clock(exec));
    wasm_exec_free(exec);
    wasm_store_free(store);
    wasm_module_free(module);
    return outcome != WASM_DONE;
}
