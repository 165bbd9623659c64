// The textbook product of f64 matrices, rows inner: a C compiler vectorises it, an interpreter cannot.
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 384, ROUNDS = 5 };

static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

static void multiply(void) {
    for (int i = 0; i < SIDE; i++)
        for (int k = 0; k < SIDE; k++) {
            double factor = a[i][k];
            for (int j = 0; j < SIDE; j++)
                c[i][j] += factor * b[k][j];
        }
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (double)((i * 7 + j * 3) % 17) / 16;
            b[i][j] = (double)((i * 5 + j * 11) % 13) / 8 - 0.5;
        }
    for (int round = 0; round < ROUNDS * times; round++) {
        multiply();
        a[round % SIDE][round % SIDE] += 1;
    }
    double trace = 0;
    for (int i = 0; i < SIDE; i++)
        trace += c[i][i];
    printf("matmul %.6f\n", trace);
    return 0;
}
