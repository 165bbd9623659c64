// call_loop COUNT: COUNT calls of the cheapest import there is. WASI only.
#include <stdio.h>
#include <stdlib.h>
#include <wasi/api.h>

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    unsigned long long sum = 0;
    for (long i = 0; i < count; i++) {
        __wasi_size_t n, size;
        if (__wasi_args_sizes_get(&n, &size) != 0)
            return 1;
        sum += n;
    }
    printf("call_loop %ld %llu\n", count, sum);
    return 0;
}
