// write_loop FILE [COUNT]: COUNT (one million) writes of 16 bytes that no compressor makes smaller, each a call of its
// own.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    long count = argc > 2 ? atol(argv[2]) : 1000000;
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    for (long i = 0; i < count; i++) {
        uint64_t bytes[2] = {next_random(), next_random()};
        if (write(fd, bytes, sizeof bytes) != sizeof bytes) {
            perror("write");
            return 1;
        }
    }
    printf("write_loop %ld %016llx\n", count, (unsigned long long)state);
    return close(fd) == 0 ? 0 : 1;
}
