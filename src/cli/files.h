/* files.h: the small files a command is told to read: policies, manifests. */
#ifndef AEON_CLI_FILES_H
#define AEON_CLI_FILES_H

#include "base/buf.h"
#include "base/err.h"

/* Appends all bytes of the file, up to the bound of `out`. `world` is a struct world; as app_parse asks for it. */
NODISCARD enum status file_read(void *world, const char *path, struct buf *out, struct err *e);

#endif
