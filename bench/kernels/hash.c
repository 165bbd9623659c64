// A hash table with chains, string keys and growth: inserts, hits, misses and removals; half of it waits for memory.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 40000, ROUNDS = 5, KEY_SIZE = 12 };

struct entry {
    struct entry *next;
    uint32_t hash, value;
    char key[KEY_SIZE];
};

static struct entry **buckets;
static uint32_t n_buckets, n_entries;

static uint32_t hash_of(const char *key) {
    uint32_t hash = 2166136261u;
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619u;
    return hash;
}

static void grow(void) {
    uint32_t n = n_buckets ? n_buckets * 2 : 64;
    struct entry **wider = calloc(n, sizeof *wider);
    if (!wider)
        exit(1);
    for (uint32_t i = 0; i < n_buckets; i++)
        for (struct entry *e = buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = wider[e->hash & (n - 1)];
            wider[e->hash & (n - 1)] = e;
        }
    free(buckets);
    buckets = wider;
    n_buckets = n;
}

static struct entry **find(const char *key, uint32_t hash) {
    struct entry **e = &buckets[hash & (n_buckets - 1)];
    while (*e && ((*e)->hash != hash || strcmp((*e)->key, key) != 0))
        e = &(*e)->next;
    return e;
}

static void add(const char *key, uint32_t value) {
    if (n_entries >= n_buckets)
        grow();
    uint32_t hash = hash_of(key);
    struct entry **at = find(key, hash);
    if (!*at) {
        struct entry *e = calloc(1, sizeof *e);
        if (!e)
            exit(1);
        e->hash = hash;
        strcpy(e->key, key);
        *at = e;
        n_entries++;
    }
    (*at)->value += value;
}

static int take(const char *key) {
    struct entry **at = find(key, hash_of(key)), *e = *at;
    if (!e)
        return 0;
    *at = e->next;
    free(e);
    n_entries--;
    return 1;
}

static void key_of(char key[KEY_SIZE], uint32_t n) {
    key[0] = 'k';
    int i = 1;
    for (n = n * 2654435761u; n; n >>= 4)
        key[i++] = (char)('a' + (n & 15));
    key[i] = '\0';
}

int main(int argc, char **argv) {
    int times = argc > 1 ? atoi(argv[1]) : 1;
    char key[KEY_SIZE];
    uint32_t sum = 0;
    for (uint32_t round = 0; round < ROUNDS * (uint32_t)times; round++) {
        for (uint32_t i = 0; i < KEYS; i++) {
            key_of(key, i + round % ROUNDS * KEYS / 2);
            add(key, i);
        }
        for (uint32_t i = 0; i < 2 * KEYS; i++) {
            key_of(key, i * 3);
            struct entry *e = *find(key, hash_of(key));
            sum = sum * 31 + (e ? e->value : 1);
        }
        for (uint32_t i = 0; i < KEYS; i += 3) {
            key_of(key, i);
            sum += (uint32_t)take(key);
        }
    }
    printf("hash %u entries, %08x\n", (unsigned)n_entries, (unsigned)sum);
    return 0;
}
