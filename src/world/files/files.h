/* files.h: directories that are not quite what is on the disk: overlays, archives, quotas.
 *
 * One layer gives all three; each open_... answers a directory handle of it, to be given to a guest like any other.
 * All path operations beneath such a handle resolve paths themselves, component by component, so that neither `..` nor
 * a symbolic link leads out, whatever others do to the tree meanwhile (WORLD_BENEATH holds always here).
 *
 *   overlay   `lower` is only read; changes go to `upper` (made when it does not exist): copied up at the first write,
 * removed ones marked by whiteouts (character devices 0:0 need rights, so a file .wh.NAME marks one; opaque directories
 * have .wh..opq). Two names that were one file stay one while neither is changed. Listings merge. archive   a tar file
 * (ustar, pax, GNU long names; uncompressed or .tar.gz, .tar.zst), read-only. A malformed one is an error that names
 * the offset. Names that are absolute or contain `..` are refused. quota     a directory whose contents may grow to so
 * many bytes and so many entries, what is in it already counted: more is -EDQUOT. Also of overlays' upper. */
#ifndef AEON_WORLD_FILES_FILES_H
#define AEON_WORLD_FILES_FILES_H

#include "base/err.h"
#include "world/layer.h"

struct world *files_new(struct world *below);

struct files_quota {
    uint64_t size_bytes, count; /* 0: no bound */
    /* told once when it is first met */
    void (*met)(void *ctx, const char *sentence);
    void *ctx;
};

/* Handles, or ST_NOT_FOUND, ST_DENIED, ST_INVALID, ST_CORRUPT, ST_IO. `quota` may be NULL. */
NODISCARD enum status files_open_dir(struct world *files, const char *path, const struct files_quota *quota, int *out,
                                     struct err *e);
NODISCARD enum status files_open_overlay(struct world *files, const char *lower, const char *upper,
                                         const struct files_quota *quota, int *out, struct err *e);
NODISCARD enum status files_open_archive(struct world *files, const char *path, int *out, struct err *e);

#endif
