/* prng.h: a small seeded generator (splitmix64, Steele et al. 2014) for tests, simulation and hashing seeds; never for
 * secrets. */
#ifndef AEON_BASE_PRNG_H
#define AEON_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline uint64_t prng_next(struct prng *p) {
    uint64_t z = (p->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform enough in [0, n); n > 0. */
static inline uint64_t prng_below(struct prng *p, uint64_t n) {
    return (uint64_t)(((unsigned __int128)prng_next(p) * n) >> 64);
}

#endif
