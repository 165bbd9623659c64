// Clocks and entropy: what no two live runs agree on and every replay must.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        perror("clock_gettime");
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(void) {
    struct timespec resolution;
    if (clock_getres(CLOCK_MONOTONIC, &resolution) != 0 || resolution.tv_sec != 0 || resolution.tv_nsec <= 0) {
        puts("FAIL: resolution of the monotonic clock");
        return 1;
    }
    uint64_t wall = nanoseconds(CLOCK_REALTIME);
    uint64_t before = nanoseconds(CLOCK_MONOTONIC);
    struct timespec nap = {.tv_sec = 0, .tv_nsec = 2000000};
    nanosleep(&nap, NULL);
    uint64_t after = nanoseconds(CLOCK_MONOTONIC);
    if (after - before < 2000000u) {
        puts("FAIL: slept less than 2 ms");
        return 1;
    }
    unsigned char entropy[32];
    if (getentropy(entropy, sizeof entropy) != 0) {
        perror("getentropy");
        return 1;
    }
    printf("wall %llu\nslept %llu\nentropy ", (unsigned long long)wall, (unsigned long long)(after - before));
    for (size_t i = 0; i < sizeof entropy; i++)
        printf("%02x", entropy[i]);
    puts("");
    return 0;
}
