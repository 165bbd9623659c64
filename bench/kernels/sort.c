// Quicksort that leaves small and bad cases to insertion and heap sort, over random, sorted and few-valued integers.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 250000, ROUNDS = 6, SMALL = 12 };

static int32_t items[COUNT];

static void swap(int32_t *a, int32_t *b) {
    int32_t t = *a;
    *a = *b;
    *b = t;
}

static void insertion_sort(int32_t *a, int n) {
    for (int i = 1; i < n; i++) {
        int32_t item = a[i];
        int j = i;
        for (; j > 0 && a[j - 1] > item; j--)
            a[j] = a[j - 1];
        a[j] = item;
    }
}

static void sift(int32_t *a, int from, int n) {
    for (int child; (child = 2 * from + 1) < n; from = child) {
        if (child + 1 < n && a[child + 1] > a[child])
            child++;
        if (a[from] >= a[child])
            return;
        swap(&a[from], &a[child]);
    }
}

static void heap_sort(int32_t *a, int n) {
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(a, i, n);
    for (int i = n - 1; i > 0; i--) {
        swap(&a[0], &a[i]);
        sift(a, 0, i);
    }
}

static void sort(int32_t *a, int n, int depth) {
    while (n > SMALL) {
        if (depth-- == 0) {
            heap_sort(a, n);
            return;
        }
        int32_t pivot = a[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j)
                swap(&a[i++], &a[j--]);
        }
        sort(a, j + 1, depth);
        a += i;
        n -= i;
    }
    insertion_sort(a, n);
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    uint32_t seed = 7, sum = 0;
    for (int round = 0; round < ROUNDS * times; round++) {
        for (int i = 0; i < COUNT; i++) {
            seed = seed * 1664525u + 1013904223u;
            items[i] = round % 3 == 0 ? (int32_t)seed : round % 3 == 1 ? i ^ 5 : (int32_t)(seed >> 29);
        }
        if (round % ROUNDS == ROUNDS - 1)
            heap_sort(items, COUNT);
        else
            sort(items, COUNT, 40);
        for (int i = 0; i < COUNT; i++)
            sum = sum * 31 + (uint32_t)items[i];
        for (int i = 1; i < COUNT; i++)
            if (items[i - 1] > items[i])
                return 1;
    }
    printf("sort %08x\n", (unsigned)sum);
    return 0;
}
