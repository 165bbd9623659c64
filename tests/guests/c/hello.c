// The least a program can do.
#include <stdio.h>

int main(void) {
    puts("hello, world");
    return 0;
}
