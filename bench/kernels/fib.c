// Fibonacci numbers by naive recursion: almost nothing but calls.
#include <stdio.h>

static volatile int argument = 37;

__attribute__((noinline)) static int fib(int n) {
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(void) {
    printf("fib %d\n", fib(argument));
    return 0;
}
