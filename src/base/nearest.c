#include "base/nearest.h"

#include <string.h>

/* Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; names here are short. */
static unsigned distance(const char *a, const char *b) {
    enum { LONGEST = 32 };
    size_t na = strlen(a), nb = strlen(b);
    unsigned row[3][LONGEST + 1];
    if (na > LONGEST || nb > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *prev = row[(i + 2) % 3], *prev2 = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = prev[j - 1] + (a[i - 1] != b[j - 1]);
            if (prev[j] + 1 < best)
                best = prev[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *nearest_name(const char *word, const char *const *candidates, uint32_t n) {
    const char *best = NULL;
    unsigned least = (unsigned)strlen(word) / 3 + 1;
    for (uint32_t i = 0; i < n; i++) {
        unsigned d = distance(word, candidates[i]);
        if (d <= least && d < strlen(candidates[i])) {
            least = d ? d - 1 : 0;
            best = candidates[i];
        }
    }
    return best;
}
