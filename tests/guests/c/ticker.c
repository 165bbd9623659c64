// ticker.wasm N MS: prints N numbered lines, MS milliseconds apart.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    int lines = argc > 1 ? atoi(argv[1]) : 10;
    int pause_ms = argc > 2 ? atoi(argv[2]) : 100;
    struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = (long)(pause_ms % 1000) * 1000000};
    for (int i = 1; i <= lines; i++) {
        printf("line %d\n", i);
        fflush(stdout);
        nanosleep(&pause, NULL);
    }
    return 0;
}
