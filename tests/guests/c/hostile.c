// hostile.wasm KIND: programs no host should have to wait for or pay for.
//   loop      spins for ever              fill      fills 1 GiB in one instruction, for ever
//   memory    grows until refused, then says how far it came and ends with 0
//   calls     recurses until stopped      flood     prints for ever
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static volatile uint32_t counter;

__attribute__((noinline)) static int recurse(int n) {
    counter++;
    int below = recurse(n + 1);
    return below + (int)counter;
}

static int grow(void) {
    size_t pages = 0;
    while (__builtin_wasm_memory_grow(0, 256) != (size_t)-1)
        pages += 256;
    printf("refused after %zu pages\n", pages);
    return 0;
}

static void fill(void) {
    size_t base = __builtin_wasm_memory_size(0);
    if (__builtin_wasm_memory_grow(0, 16384) == (size_t)-1) {
        puts("no gibibyte to be had");
        return;
    }
    char *gibibyte = (char *)(base << 16);
    for (;;) {
        memset(gibibyte, (int)counter, (size_t)1 << 30);
        counter++;
    }
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "loop";
    printf("%s\n", kind);
    fflush(stdout);
    if (!strcmp(kind, "calls"))
        return recurse(0);
    if (!strcmp(kind, "memory"))
        return grow();
    if (!strcmp(kind, "fill"))
        fill();
    for (;;) {
        counter++;
        if (!strcmp(kind, "flood"))
            printf("%u\n", (unsigned)counter);
    }
}
