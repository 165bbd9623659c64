/* plain.c: a directory as it is on the disk, but for its quota. */
#include "world/files/internal.h"

static int plain_enter(struct node *d, const char *name, struct node **out) {
    int fd = UNDER(d->tree->files, open, d->at, name, WORLD_PATH | WORLD_NOFOLLOW | WORLD_DIRECTORY_ONLY, 0);
    if (fd < 0)
        return fd;
    *out = node_new(d->tree, d, name, fd, -1);
    return 0;
}

static int64_t plain_read_link(struct node *d, const char *name, char *out, size_t cap) {
    return UNDER(d->tree->files, read_link, d->at, name, 0, out, cap);
}

static int plain_stat(struct node *d, const char *name, struct world_stat *out) {
    return name ? UNDER(d->tree->files, stat_at, d->at, name, WORLD_NOFOLLOW, out)
                : UNDER(d->tree->files, stat, d->at, out);
}

static int plain_open(struct node *d, const char *name, uint32_t flags, uint32_t mode) {
    struct files *f = d->tree->files;
    int fd = charged_open(d->tree, d->at, name, flags, mode);
    struct world_stat st;
    if (fd < 0 || UNDER(f, stat, fd, &st) < 0)
        return fd;
    if (st.type == WORLD_DIRECTORY) {
        UNDER(f, close, fd);
        return -EISDIR;
    }
    if (st.type != WORLD_REGULAR || !d->tree->quota)
        return fd;
    struct handle *h;
    handle_add(f, fd, HANDLE_FILE, d, &h);
    h->append = flags & WORLD_APPEND;
    h->dev = st.dev;
    h->ino = st.ino;
    return fd;
}

static int plain_stand_in(struct node *d) {
    return UNDER(d->tree->files, open, d->at, ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
}

static int plain_read_dir(struct node *d, struct handle *h, uint64_t cookie,
                          bool (*each)(void *, const struct world_dirent *), void *arg) {
    return UNDER(d->tree->files, read_dir, h->real, cookie, each, arg);
}

static int plain_set_times(struct node *d, const char *name, uint64_t atim, uint64_t mtim, uint32_t which) {
    return UNDER(d->tree->files, set_times_at, d->at, name ? name : ".", WORLD_NOFOLLOW, atim, mtim, which);
}

static int plain_make_dir(struct node *d, const char *name, uint32_t mode) {
    return charged_make_dir(d->tree, d->at, name, mode);
}

static int plain_remove(struct node *d, const char *name, bool directory) {
    return charged_remove(d->tree, d->at, name, directory);
}

static int plain_rename(struct node *d, const char *name, struct node *to, const char *to_name) {
    return charged_rename(d->tree, d->at, name, to->at, to_name);
}

static int plain_link(struct node *d, const char *name, struct node *to, const char *to_name) {
    return charged_link(d->tree, d->at, name, to->at, to_name);
}

static int plain_symlink(const char *target, struct node *d, const char *name) {
    return charged_symlink(d->tree, target, d->at, name);
}

const struct tree_ops plain_ops = {
    .enter = plain_enter,
    .read_link = plain_read_link,
    .stat = plain_stat,
    .open = plain_open,
    .stand_in = plain_stand_in,
    .read_dir = plain_read_dir,
    .set_times = plain_set_times,
    .make_dir = plain_make_dir,
    .remove = plain_remove,
    .rename = plain_rename,
    .link = plain_link,
    .symlink = plain_symlink,
};
