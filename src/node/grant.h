/* grant.h: what a user lets a guest have, as written on the command line, in policies and in manifests. */
#ifndef AEON_NODE_GRANT_H
#define AEON_NODE_GRANT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum grant_mode { GRANT_RO, GRANT_RW, GRANT_OVERLAY, GRANT_ARCHIVE };

struct grant_dir {
    char *host, *guest;
    enum grant_mode mode;
    uint64_t size_bytes, count; /* quotas; 0: none */
};

/* HOST:GUEST[:ro|rw][,size=SIZE][,count=N]; rw unless said otherwise. A HOST that ends in .tar is an archive, and
 * read-only. The host's path may hold colons, the guest's may not. ST_INVALID says what is missing. Free with
 * grant_dir_deinit. */
NODISCARD enum status grant_dir_parse(const char *text, struct grant_dir *out, struct err *e);
/* LOWER:GUEST[,size=SIZE][,count=N]. */
NODISCARD enum status grant_overlay_parse(const char *text, struct grant_dir *out, struct err *e);
void grant_dir_deinit(struct grant_dir *d);

#endif
