// Fibonacci numbers by naive recursion: almost nothing but calls.
#include <stdio.h>
#include <stdlib.h>

static volatile int argument = 37;

__attribute__((noinline)) static int fib(int n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    unsigned sum = 0;
    for (int i = 0; i < times; i++)
        sum += (unsigned)fib(argument);
    printf("fib %u\n", sum);
    return 0;
}
