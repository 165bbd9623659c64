/* gen: writes random valid modules. gen --seed S --count N --out DIR makes DIR/S.wasm .. DIR/(S+N-1).wasm. */
#include "gen.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static bool write_file(const char *dir, uint64_t seed, const struct buf *b) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%06llu.wasm", dir, (unsigned long long)seed);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(b->data, 1, b->size, f) == b->size;
    if (f)
        ok = fclose(f) == 0 && ok;
    if (!ok)
        fprintf(stderr, "gen: cannot write %s\n", path);
    return ok;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"out", required_argument, NULL, 'o'},
                                            {0}};
    unsigned long long seed = 1, count = 1;
    const char *dir = ".";
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'n')
            count = strtoull(optarg, NULL, 10);
        else if (c == 'o')
            dir = optarg;
        else
            return 2;
    }
    gen_index_operators();
    struct buf b;
    buf_init(&b, 32 << 20);
    for (unsigned long long i = seed; i < seed + count; i++) {
        buf_clear(&b);
        gen_module(i, &b);
        if (!write_file(dir, i, &b))
            return 1;
    }
    buf_deinit(&b);
    return 0;
}
