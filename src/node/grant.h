/* grant.h: what a user lets a guest have, as written on the command line. */
#ifndef AEON_NODE_GRANT_H
#define AEON_NODE_GRANT_H

#include "base/err.h"

#include <stdbool.h>

/* HOST:GUEST[:ro|rw]; writable unless :ro. The host's path may hold colons, the guest's may not. */
struct grant_dir {
    char *host, *guest;
    bool writable;
};

/* ST_INVALID says what is missing. Free with grant_dir_deinit. */
NODISCARD enum status grant_dir_parse(const char *text, struct grant_dir *out, struct err *e);
void grant_dir_deinit(struct grant_dir *d);

#endif
