/* internal.h: the open store and its way to the disk; shared by the files of src/store. */
#ifndef AEON_STORE_INTERNAL_H
#define AEON_STORE_INTERNAL_H

#include "store/store.h"

#include <stdatomic.h>

struct flusher;

struct store {
    struct world *world;
    char *path;
    int dir, objects, runs, tmp;       /* directory handles; tmp is -1 when the store cannot be written */
    _Atomic(struct flusher *) flusher; /* NULL: no run was begun yet */
};

/* What a failed operation of the world says: "cannot WHAT PATH: why; advice". `rc` is the negative errno code; the path
 * is that of the store followed by `fmt`. */
enum status store_fail(const struct store *s, struct err *e, int64_t rc, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* All or nothing: loops over short counts. 0 or a negative errno code; a read that meets the end is -ENODATA. */
int store_read_at(struct store *s, int fd, void *p, size_t n, uint64_t offset);
int store_write_at(struct store *s, int fd, struct iovec *iov, int n, uint64_t offset);

/* Opens a directory below `dir`, for listing and for sync. */
int store_open_dir(struct store *s, int dir, const char *name);

/* A name nobody else uses: 32 hex digits. */
int store_random_name(struct store *s, char out[33]);

/* Removes a directory of files below `dir`; what is not there is fine. */
int store_remove_tree(struct store *s, int dir, const char *name);

/* Collects the names of a directory, `.` and `..` excluded. */
struct store_names {
    char **name;
    size_t n, cap;
};
int store_names_read(struct store *s, int fd, struct store_names *out);
void store_names_free(struct store_names *names);

/* Makes an object survive a power cut; a run asks for it when it is to be durable itself. */
int store_sync_object(struct store *s, const struct sha256 *hash);

/* A new UUIDv7. Negative: errno. */
int store_id_new(struct store *s, uint64_t realtime_ns, struct store_id *out);
bool store_id_parse(const char *text, struct store_id *out); /* the whole text, as in a directory's name */

/* 1: a writer holds the run's tail; 0: none does, or no tail. Negative: errno. */
int store_run_is_live(struct store *s, int run_dir);

#endif
