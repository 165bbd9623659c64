/* files.h: directories that are not quite what is on the disk: overlays, archives, quotas.
 *
 * One layer gives all three; each open_... answers a directory handle of it, to be given to a guest like any other.
 * Every path beneath such a handle is resolved here, component by component and never through the handle of anything
 * but a directory just looked at, so that neither `..` nor a symbolic link leads out, whatever others do to the tree
 * meanwhile. WORLD_BENEATH holds always here, as in a plain directory: what leads above the handle, and a link to an
 * absolute path, is -EPERM. Renaming and linking from one such tree into another is -EXDEV.
 *
 *   overlay   `lower`, a directory or an archive, is only read; changes go to `upper` (made, with what leads to it,
 *             when it does not exist). A file is copied up, with its mode and times, when it is opened for writing,
 *             renamed, linked or dated; handles that read it read the copy from then on. Directories of `lower` cannot
 *             be renamed (-EXDEV, upon which mv copies). A whiteout, a file .wh.NAME in `upper`, hides NAME of `lower`,
 *             also beneath a NAME of `upper`: what is removed, and what a new directory must not merge with. `upper` is
 *             thus a layer as container images have it. Names that begin with .wh. are not there, and cannot be made
 *             (-EINVAL). Two names of one file in `lower` stay one file while neither is changed.
 *   archive   a tar file (v7, ustar, pax, GNU long names), uncompressed, read-only (-EROFS). Of several entries with
 *             one name the last counts; devices and FIFOs are left out. Names that are absolute or contain `..`,
 *             sparse files, and whatever is damaged or cut off are errors that name the offset.
 *   quota     bounds on the bytes of the files and on the entries in a directory, what is in it already counted: more
 *             is -EDQUOT, and a write that crosses the bound is short. A file of several names counts its bytes once;
 *             one that is removed while open counts them until it is closed. Of an overlay, what lies in `upper`
 *             counts, except whiteouts. What others do to the directory meanwhile is not noticed. */
#ifndef AEON_WORLD_FILES_FILES_H
#define AEON_WORLD_FILES_FILES_H

#include "base/err.h"
#include "world/layer.h"

/* Belongs to one thread. Freeing it closes what is still open. */
struct world *files_new(struct world *below);

struct files_quota {
    uint64_t size_bytes, count; /* 0: no bound */
    /* Told once, when it is first met; may be NULL. */
    void (*met)(void *ctx, const char *sentence);
    void *ctx;
};

/* Handles, or ST_NOT_FOUND, ST_DENIED, ST_INVALID, ST_LIMIT, ST_IO; of archives ST_CORRUPT, and ST_UNSUPPORTED for
 * sparse and compressed ones. `quota` may be NULL. Paths are the process's own. */
NODISCARD enum status files_open_dir(struct world *files, const char *path, const struct files_quota *quota, int *out,
                                     struct err *e);
NODISCARD enum status files_open_overlay(struct world *files, const char *lower, const char *upper,
                                         const struct files_quota *quota, int *out, struct err *e);
NODISCARD enum status files_open_archive(struct world *files, const char *path, int *out, struct err *e);

/* How much of its quota the tree has in use that the handle is of; false: it has none. */
bool files_quota_used(struct world *files, int handle, uint64_t *bytes, uint64_t *count);

#endif
