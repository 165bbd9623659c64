/* crc32c.h: the two ways to compute CRC32C, for the tests that compare them. `reg` is the bare register. */
#ifndef AEON_JOURNAL_CRC32C_H
#define AEON_JOURNAL_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool crc32c_has_sse42(void);
uint32_t crc32c_sse42(uint32_t reg, const uint8_t *p, size_t n); /* only where the machine has it */
uint32_t crc32c_table(uint32_t reg, const uint8_t *p, size_t n);
uint32_t crc32c_running_sse42(uint32_t *reg, const uint8_t *block, size_t from, size_t to);
uint32_t crc32c_running_table(uint32_t *reg, const uint8_t *block, size_t from, size_t to);

#endif
