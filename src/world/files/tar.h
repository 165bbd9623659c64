/* tar.h: the index of a tar file: what is in it, and where. Pure: it reads through a function. */
#ifndef AEON_WORLD_FILES_TAR_H
#define AEON_WORLD_FILES_TAR_H

#include "base/err.h"
#include "world/world.h"

struct tar;

/* A file, link or directory; hard links are entries that share one. */
struct tar_file {
    enum world_filetype type; /* WORLD_REGULAR, WORLD_SYMLINK, WORLD_DIRECTORY */
    uint32_t mode, nlink;
    uint64_t ino; /* from 1 in the order of the archive; 1 is the root */
    uint64_t mtim;
    uint64_t size, offset; /* of the contents in the archive; of links the size of the text */
    const char *link;
};

struct tar_entry {
    const char *name;
    struct tar_entry *parent; /* of the root: itself */
    struct tar_file *file;
    struct tar_entry **children; /* directories: sorted by name */
    uint32_t nchildren, cap;
};

/* Reads up to `n` bytes; how many there were, or -errno. */
typedef int64_t (*tar_source)(void *ctx, uint64_t offset, void *p, size_t n);

/* ST_CORRUPT, ST_UNSUPPORTED, ST_LIMIT (entries), ST_IO; the text begins with the offset. */
enum { TAR_MAX_ENTRIES = 1 << 21 };
NODISCARD enum status tar_read(tar_source source, void *ctx, uint64_t size, struct tar **out, struct err *e);
void tar_free(struct tar *t);

const struct tar_entry *tar_root(const struct tar *t);
const struct tar_entry *tar_find(const struct tar *t, const struct tar_entry *dir, const char *name); /* NULL: none */

#endif
