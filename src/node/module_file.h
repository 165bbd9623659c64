/* module_file.h: a module's bytes, from a file. */
#ifndef AEON_NODE_MODULE_FILE_H
#define AEON_NODE_MODULE_FILE_H

#include "base/err.h"
#include "world/world.h"

/* Reads the whole file into memory of ours: code is translated while the guest runs, and must not change under it when
 * somebody writes to the file. Free `data` with module_file_free. */
NODISCARD enum status module_file_read(struct world *w, const char *path, struct span *out, struct err *e);
void module_file_free(struct span data);

#endif
