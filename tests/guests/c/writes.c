// writes.wasm N FILE: N writes of 16 random bytes each. With standard C and POSIX only, so that the same loop built
// natively is what to compare with.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t next(uint64_t *state) { // xorshift: incompressible, and not a host call each
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s N FILE\n", argv[0]);
        return 2;
    }
    long count = atol(argv[1]);
    int file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0) {
        perror(argv[2]);
        return 1;
    }
    uint64_t state;
    if (getentropy(&state, sizeof state) != 0) {
        perror("getentropy");
        return 1;
    }
    state |= 1;
    for (long i = 0; i < count; i++) {
        uint64_t payload[2] = {next(&state), next(&state)};
        if (write(file, payload, sizeof payload) != (ssize_t)sizeof payload) {
            perror("write");
            return 1;
        }
    }
    if (close(file) != 0) {
        perror("close");
        return 1;
    }
    printf("%ld writes\n", count);
    return 0;
}
