#include "journal/crc32c.h"

#include "base/must.h"
#include "journal/journal.h"

/* The polynomial 0x1EDC6F41, bits reversed. */
#define POLYNOMIAL 0x82f63b78u

/* Slicing by eight: row k holds the remainders of a byte that is followed by k zero bytes. */
static uint32_t table[8][256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;
        for (int bit = 0; bit < 8; bit++)
            r = r >> 1 ^ (r & 1 ? POLYNOMIAL : 0);
        table[0][i] = r;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

uint32_t crc32c_table(uint32_t reg, const uint8_t *p, size_t n) {
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t v = get_u64(p) ^ reg;
        reg = 0;
        for (int k = 7; k >= 0; k--, v >>= 8)
            reg ^= table[k][v & 0xff];
    }
    for (; n; p++, n--)
        reg = reg >> 8 ^ table[0][(reg ^ *p) & 0xff];
    return reg;
}

#ifdef __x86_64__

#include <nmmintrin.h>

bool crc32c_has_sse42(void) {
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(uint32_t reg, const uint8_t *p, size_t n) {
    uint64_t r = reg;
    for (; n >= 8; p += 8, n -= 8)
        r = _mm_crc32_u64(r, get_u64(p));
    for (; n; p++, n--)
        r = _mm_crc32_u8((uint32_t)r, *p);
    return (uint32_t)r;
}

#define TARGET_SSE42 __attribute__((target("sse4.2")))

#else

bool crc32c_has_sse42(void) {
    return false;
}

uint32_t crc32c_sse42(uint32_t reg, const uint8_t *p, size_t n) {
    return crc32c_table(reg, p, n);
}

#define TARGET_SSE42

#endif

/* One body for both ways: the instruction is only quick when it is inlined. */
#define RUNNING(name, update, target)                                                               \
    target uint32_t name(uint32_t *reg, const uint8_t *block, size_t from, size_t to) {             \
        uint32_t r = *reg;                                                                          \
        size_t i = from & ~(size_t)7, end = to & ~(size_t)7;                                        \
        for (; i < end; i += 8)                                                                     \
            r = update(r, block + i, 8);                                                            \
        *reg = r;                                                                                   \
        uint64_t last[2] = {to & 7 ? get_u64(block + end) & ~(UINT64_MAX << (to & 7) * 8) : 0, to}; \
        return update(r, (const uint8_t *)last, 16);                                                \
    }

RUNNING(crc32c_running_sse42, crc32c_sse42, TARGET_SSE42)
RUNNING(crc32c_running_table, crc32c_table, )

uint32_t journal_crc32c(uint32_t crc, const void *p, size_t n) {
    return ~(LIKELY(crc32c_has_sse42()) ? crc32c_sse42 : crc32c_table)(~crc, p, n);
}

uint32_t journal_crc_running(uint32_t *reg, const uint8_t *block, size_t from, size_t to) {
    return (LIKELY(crc32c_has_sse42()) ? crc32c_running_sse42 : crc32c_running_table)(reg, block, from, to);
}
