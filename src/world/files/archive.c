/* archive.c: a tar file as a directory that cannot be changed. */
#include "world/files/internal.h"

#include "world/files/tar.h"

static const struct tar_entry *find(const struct node *d, const char *name) {
    return tar_find(d->tree->tar, d->entry, name);
}

static int archive_enter(struct node *d, const char *name, struct node **out) {
    const struct tar_entry *e = find(d, name);
    if (!e || e->file->type != WORLD_DIRECTORY)
        return e ? -ENOTDIR : -ENOENT;
    *out = node_new(d->tree, d, name, -1, -1);
    (*out)->entry = e;
    return 0;
}

static int64_t archive_read_link(struct node *d, const char *name, char *out, size_t cap) {
    const struct tar_entry *e = find(d, name);
    if (!e || e->file->type != WORLD_SYMLINK)
        return e ? -EINVAL : -ENOENT;
    size_t n = e->file->size < cap ? e->file->size : cap;
    memcpy(out, e->file->link, n);
    return (int64_t)n;
}

void archive_stat(const struct tree *t, const struct tar_entry *e, struct world_stat *out) {
    const struct tar_file *f = e->file;
    *out = (struct world_stat){
        .dev = t->dev,
        .ino = f->ino,
        .nlink = f->nlink,
        .size = f->size,
        .atim = f->mtim,
        .mtim = f->mtim,
        .ctim = f->mtim,
        .type = f->type,
        .mode = f->mode,
    };
}

static int archive_stat_name(struct node *d, const char *name, struct world_stat *out) {
    const struct tar_entry *e = name ? find(d, name) : d->entry;
    if (!e)
        return -ENOENT;
    archive_stat(d->tree, e, out);
    return 0;
}

static int archive_stand_in(struct node *d) {
    return UNDER(d->tree->files, dup, d->tree->archive);
}

static int archive_open(struct node *d, const char *name, uint32_t flags, uint32_t mode) {
    (void)mode;
    const struct tar_entry *e = find(d, name);
    if (!e)
        return flags & WORLD_CREATE ? -EROFS : -ENOENT;
    if ((flags & (WORLD_CREATE | WORLD_EXCLUSIVE)) == (WORLD_CREATE | WORLD_EXCLUSIVE))
        return -EEXIST;
    if (e->file->type != WORLD_REGULAR)
        return e->file->type == WORLD_DIRECTORY ? -EISDIR : -ELOOP;
    if (flags & (WORLD_WRITE | WORLD_TRUNCATE))
        return -EROFS;
    int fd = archive_stand_in(d);
    if (fd < 0)
        return fd;
    struct handle *h;
    handle_add(d->tree->files, fd, HANDLE_ARCHIVE, d, &h);
    h->entry = e;
    return fd;
}

int64_t archive_read(struct handle *h, const struct iovec *iov, int n, uint64_t offset, bool cached) {
    const struct tree *t = h->dir->tree;
    const struct tar_file *file = h->entry->file;
    const bool here = offset == UINT64_MAX;
    const uint64_t at = here ? h->offset : offset;
    if (at >= file->size)
        return 0;
    int cut_n = n;
    const uint64_t room = file->size - at;
    struct iovec *cut = pieces_size(iov, n) > room ? pieces_cut(iov, n, room, &cut_n) : NULL;
    const struct iovec *pieces = cut ? cut : iov;
    int64_t r = cached ? UNDER(t->files, read_cached, t->archive, pieces, cut_n, file->offset + at)
                       : UNDER(t->files, preadv, t->archive, pieces, cut_n, file->offset + at);
    mem_free(cut);
    if (r > 0 && here)
        h->offset += (uint64_t)r;
    return r;
}

static int archive_read_dir(struct node *d, struct handle *h, uint64_t cookie,
                            bool (*each)(void *, const struct world_dirent *), void *arg) {
    (void)h;
    const struct tar_entry *dir = d->entry;
    for (uint64_t i = cookie; i < (uint64_t)dir->nchildren + 2; i++) {
        const struct tar_entry *e = i == 0 ? dir : i == 1 ? dir->parent : dir->children[i - 2];
        struct world_dirent out = {
            .next = i + 1,
            .ino = e->file->ino,
            .type = e->file->type,
            .name = i == 0   ? "."
                    : i == 1 ? ".."
                             : e->name,
        };
        if (!each(arg, &out))
            return 0;
    }
    return 0;
}

/* ---- what cannot be done: first what would be wrong with it anywhere ---- */

static int archive_set_times(struct node *d, const char *name, uint64_t atim, uint64_t mtim, uint32_t which) {
    (void)atim, (void)mtim, (void)which;
    return name && !find(d, name) ? -ENOENT : -EROFS;
}

static int archive_make_dir(struct node *d, const char *name, uint32_t mode) {
    (void)mode;
    return find(d, name) ? -EEXIST : -EROFS;
}

static int archive_remove(struct node *d, const char *name, bool directory) {
    (void)directory;
    return find(d, name) ? -EROFS : -ENOENT;
}

static int archive_rename(struct node *d, const char *name, struct node *to, const char *to_name) {
    (void)to, (void)to_name;
    return find(d, name) ? -EROFS : -ENOENT;
}

static int archive_link(struct node *d, const char *name, struct node *to, const char *to_name) {
    (void)to, (void)to_name;
    return find(d, name) ? -EROFS : -ENOENT;
}

static int archive_symlink(const char *target, struct node *d, const char *name) {
    (void)target;
    return find(d, name) ? -EEXIST : -EROFS;
}

const struct tree_ops archive_ops = {
    .enter = archive_enter,
    .read_link = archive_read_link,
    .stat = archive_stat_name,
    .open = archive_open,
    .stand_in = archive_stand_in,
    .read_dir = archive_read_dir,
    .set_times = archive_set_times,
    .make_dir = archive_make_dir,
    .remove = archive_remove,
    .rename = archive_rename,
    .link = archive_link,
    .symlink = archive_symlink,
};
