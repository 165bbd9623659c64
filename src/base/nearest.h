/* nearest.h: what was meant by a word that is none of the known ones. */
#ifndef AEON_BASE_NEAREST_H
#define AEON_BASE_NEAREST_H

#include <stdint.h>

/* The candidate most like `word`, when it is like enough to be a slip of the hand; else NULL. */
const char *nearest_name(const char *word, const char *const *candidates, uint32_t n);

#endif
