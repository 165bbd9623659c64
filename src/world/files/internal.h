/* internal.h: what the files of world/files share.
 *
 *     files.c     the layer, and opening trees
 *     handle.c    operations on open handles
 *     paths.c     operations on paths: resolve.c finds the directory, its tree does the rest
 *     plain.c, overlay.c + overlay_change.c, archive.c + tar.c     the three kinds of tree
 *     quota.c     accounting
 *
 * A tree does everything with a directory that is in use (a node) and one name in it, which holds no slash and is
 * neither `.` nor `..`; below, too, only single names are used, and never followed. */
#ifndef AEON_WORLD_FILES_INTERNAL_H
#define AEON_WORLD_FILES_INTERNAL_H

#include "world/files/files.h"

#include "base/buf.h"
#include "base/must.h"

#include <errno.h>

enum { FILES_NAME_MAX = 255, FILES_PATH_MAX = 4096 /* with the NUL */, FILES_LINKS_MAX = 40 };

struct files {
    struct world_layer layer;
    struct handle **handles; /* by number; NULL: not of this layer */
    uint32_t cap;
    uint64_t narchives;
};

static inline struct files *files_of(struct world *w) {
    return (struct files *)w; /* `layer` and its world are the first members */
}

/* An operation of the world below, from a struct files. */
#define UNDER(f, op, ...) BELOW(&(f)->layer.world, op, ##__VA_ARGS__)

/* An operation of this layer itself: on what `lower` of an overlay has, which may be of an archive. */
#define WITHIN(f, op, ...) files_##op(&(f)->layer.world, ##__VA_ARGS__)

/* ---- trees ---- */

struct tree {
    const struct tree_ops *ops;
    struct files *files;
    uint32_t refs;          /* nodes */
    struct quota *quota;    /* owned; NULL: none */
    struct origins *origin; /* overlays */
    struct tar *tar;        /* archives */
    int archive;            /* archives: the file */
    uint64_t dev;           /* archives: their number */
};

/* A directory that is in use. */
struct node {
    struct tree *tree;
    struct node *parent; /* held; NULL: the root */
    char *name;          /* in `parent`; NULL: the root */
    uint32_t refs;
    int at;                        /* handle below of it; of overlays, in `upper`; -1: not there */
    int lower;                     /* overlays: handle of this layer, of it in `lower`; -1: not there, or hidden */
    bool gone;                     /* overlays: removed */
    struct node *children, *next;  /* overlays: those in use, so that there is one for each directory */
    const struct tar_entry *entry; /* archives */
};

/* Everything a kind of tree can do. -errno as in world.h; `name` may be NULL, meaning `d` itself, where it says so. */
struct tree_ops {
    int (*enter)(struct node *d, const char *name, struct node **out);             /* -ENOTDIR, -ELOOP: no directory */
    int64_t (*read_link)(struct node *d, const char *name, char *out, size_t cap); /* -EINVAL: no link */
    int (*stat)(struct node *d, const char *name, struct world_stat *out);         /* NULL: d */
    /* A number for a file; -EISDIR for directories, -ELOOP for links. Never follows. */
    int (*open)(struct node *d, const char *name, uint32_t flags, uint32_t mode);
    /* A handle below to stand for a directory. */
    int (*stand_in)(struct node *d);
    int (*read_dir)(struct node *d, struct handle *h, uint64_t cookie,
                    bool (*each)(void *, const struct world_dirent *), void *arg);
    int (*set_times)(struct node *d, const char *name, uint64_t atim, uint64_t mtim, uint32_t which); /* NULL: d */
    int (*make_dir)(struct node *d, const char *name, uint32_t mode);
    int (*remove)(struct node *d, const char *name, bool directory);
    int (*rename)(struct node *d, const char *name, struct node *to, const char *to_name);
    int (*link)(struct node *d, const char *name, struct node *to, const char *to_name);
    int (*symlink)(const char *target, struct node *d, const char *name);
};

extern const struct tree_ops plain_ops, overlay_ops, archive_ops;

/* A new node, held once by the caller; takes over `at` and `lower`. Holds parent and tree. */
struct node *node_new(struct tree *t, struct node *parent, const char *name, int at, int lower);
struct node *node_hold(struct node *n);
void node_drop(struct node *n); /* NULL: nothing */

/* ---- handles ---- */

enum handle_kind {
    HANDLE_DIR,     /* of `dir` */
    HANDLE_FILE,    /* of a file below */
    HANDLE_LOWER,   /* of an overlay's lower file, only to be read */
    HANDLE_ARCHIVE, /* of a file in an archive */
};

struct handle {
    enum handle_kind kind;
    uint32_t refs;    /* numbers: more than one after dup */
    int real;         /* handle below that is used: one of its numbers, or another: of a copy; or a handle of ours, of a
                         file in an archive that is an overlay's lower */
    struct node *dir; /* held: the directory, or where the file was opened */
    char *name;       /* HANDLE_LOWER: in `dir`; NULL: no longer there, or copied */
    bool append;
    uint64_t dev, ino;             /* of files with a quota */
    const struct tar_entry *entry; /* HANDLE_ARCHIVE */
    uint64_t offset;               /* HANDLE_ARCHIVE */
    struct listing *listing;       /* of an overlay's directory */
};

/* Registers the handle below `fd` as one of ours; `fd` is the answer. */
int handle_add(struct files *f, int fd, enum handle_kind kind, struct node *dir, struct handle **out);
struct handle *handle_of(struct files *f, int fd); /* NULL: not ours */
/* Opens a directory for the guest. */
int handle_open_dir(struct node *d);
/* Is a file open? */
bool handle_is_open(struct files *f, uint64_t dev, uint64_t ino);
/* The lower file `name` in `d` was copied up: whoever reads it reads `copied` from now on. With -1: it was removed. */
void handle_copied(struct node *d, const char *name, int copied_in);

void listing_free(struct listing *l);

/* ---- operations, by file ---- */

// clang-format off
#define HANDLE_OPS(OP) \
    OP(close) OP(dup) OP(readv) OP(writev) OP(preadv) OP(pwritev) OP(read_cached) OP(seek) OP(stat) OP(set_flags) \
    OP(get_flags) OP(set_size) OP(allocate) OP(advise) OP(sync) OP(set_times) OP(read_dir) OP(lock) OP(map)
#define PATH_OPS(OP) \
    OP(open) OP(stat_at) OP(set_times_at) OP(make_dir) OP(remove) OP(rename) OP(link) OP(symlink) OP(read_link)
// clang-format on

#define OP(result, name, params, ...) result files_##name params;
WORLD_OPS(OP)
#undef OP

/* ---- resolve.c ---- */

struct place {
    struct node *dir; /* held */
    int dots;         /* the path ended in `.` (1) or `..` (2), or was only that: the place is `dir` itself */
    bool slash;       /* a directory is meant */
    char name[FILES_NAME_MAX + 1];
};

enum {
    RESOLVE_FOLLOW = 1, /* also a symbolic link at the end */
    RESOLVE_CREATE = 2, /* a file may be made there */
};

/* The place that `path` names, from `start`. A name that is not there is no error, but what leads to it must be. -EPERM
 * when it leads out. On success place_drop it. */
int resolve(struct node *start, const char *path, uint32_t how, struct place *out);
void place_drop(struct place *p);

/* ---- quota.c ---- */

struct quota *quota_new(const struct files_quota *bounds, const char *label);
void quota_free(struct quota *q);
/* Takes all of it, or nothing: false. Of no quota there is enough. */
bool quota_take(struct quota *q, uint64_t bytes, uint64_t entries);
uint64_t quota_take_some(struct quota *q, uint64_t bytes); /* how many of them there were */
void quota_give(struct quota *q, uint64_t bytes, uint64_t entries);
void quota_used(const struct quota *q, uint64_t *bytes, uint64_t *count);
/* Counts what is in a directory. With `marks`, names that begin with .wh. are left out. */
NODISCARD enum status quota_scan(struct tree *t, int dir, bool marks, const char *path, struct err *e);

/* The operations below on one name, accounted for. */
int charged_open(struct tree *t, int dir, const char *name, uint32_t flags, uint32_t mode);
int charged_make_dir(struct tree *t, int dir, const char *name, uint32_t mode);
int charged_remove(struct tree *t, int dir, const char *name, bool directory);
int charged_rename(struct tree *t, int dir, const char *name, int to, const char *to_name);
int charged_link(struct tree *t, int dir, const char *name, int to, const char *to_name);
int charged_symlink(struct tree *t, const char *target, int dir, const char *name);
/* And on open files; `offset` UINT64_MAX: where it stands. */
int64_t charged_write(struct tree *t, struct handle *h, const struct iovec *iov, int n, uint64_t offset);
int charged_set_size(struct tree *t, struct handle *h, uint64_t size);
int charged_allocate(struct tree *t, struct handle *h, uint64_t offset, uint64_t size);
/* Before the last handle of a file is closed. */
void charged_close(struct tree *t, struct handle *h);

/* The first `max` bytes of some pieces; mem_free it. */
struct iovec *pieces_cut(const struct iovec *iov, int n, uint64_t max, int *out_n);
uint64_t pieces_size(const struct iovec *iov, int n);

/* ---- overlays: overlay.c and overlay_change.c ---- */

/* What a name is. */
struct seen {
    struct world_stat st; /* as shown */
    bool upper;           /* has it */
    bool lower;           /* has it, and no whiteout hides it, though `upper` may */
    bool merged;          /* both have a directory */
};

bool overlay_is_mark(const char *name);
int overlay_look(struct node *d, const char *name, struct seen *s);
int overlay_is_empty(struct node *d, const char *name); /* 1: it is, 0: not, or -errno */
struct node *overlay_in_use(struct node *d, const char *name);

struct origins *origins_new(void);
void origins_free(struct origins *o);
/* An upper file shows the numbers of the lower one it was copied from. */
void origins_add(struct origins *o, const struct world_stat *upper, const struct world_stat *lower);
void origins_forget(struct origins *o, uint64_t dev, uint64_t ino);
void origins_show(const struct origins *o, struct world_stat *st);

int overlay_open(struct node *d, const char *name, uint32_t flags, uint32_t mode);
int overlay_set_times(struct node *d, const char *name, uint64_t atim, uint64_t mtim, uint32_t which);
int overlay_make_dir(struct node *d, const char *name, uint32_t mode);
int overlay_remove(struct node *d, const char *name, bool directory);
int overlay_rename(struct node *d, const char *name, struct node *to, const char *to_name);
int overlay_link(struct node *d, const char *name, struct node *to, const char *to_name);
int overlay_symlink(const char *target, struct node *d, const char *name);

/* ---- archives ---- */

int64_t archive_read(struct handle *h, const struct iovec *iov, int n, uint64_t offset, bool cached);
void archive_stat(const struct tree *t, const struct tar_entry *e, struct world_stat *out);

#endif
