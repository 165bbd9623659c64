// exit.wasm CODE: ends with that exit status, after output to both streams, one of them without a newline.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int code = argc > 1 ? atoi(argv[1]) : 0;
    fprintf(stderr, "leaving with %d\n", code);
    printf("bye");
    exit(code);
}
