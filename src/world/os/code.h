/* code.h: machine code in memory, from files that nobody but this user could have written.
 *
 * This is nothing of a guest's world. */
#ifndef AEON_WORLD_OS_CODE_H
#define AEON_WORLD_OS_CODE_H

#include "base/bytes.h"
#include "world/world.h"

/* Maps the regular file `name` below `dir` to be read and executed; where the file system forbids execution, a copy of
 * it. The file must be this user's and writable by nobody else, and no symbolic link: -EPERM. Empty files: -ENODATA.
 * Unmap with code_unmap. Negative: errno. */
int code_map(struct world *w, int dir, const char *name, struct span *out);
/* The same of bytes in memory. */
int code_copy(struct span bytes, struct span *out);
void code_unmap(struct span code);

/* 0: the open file or directory is this user's and writable by nobody else. -EPERM; other errno. */
int code_check_owner(struct world *w, int fd);

#endif
