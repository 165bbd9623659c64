/* path.c: everything that takes a path. Every path is resolved beneath the directory it is relative to. */
#include "wasi/internal.h"

#include <errno.h>

#define R(name) WASI_RIGHT_##name

/* The directory and the path of a call, checked. The name of the call is for refusals. */
struct target {
    struct desc *dir;
    struct wasi_path path;
};

static int64_t take_path(struct wasi_path *out, struct abi_mem mem) {
    if (mem.size == 0)
        return -ENOENT;
    if (mem.size >= WASI_MAX_PATH)
        return -ENAMETOOLONG;
    if (memchr(mem.data, '\0', mem.size))
        return -EINVAL;
    memcpy(out->text, mem.data, mem.size);
    out->text[mem.size] = '\0';
    return 0;
}

static int64_t take(struct wasi *w, struct target *t, uint32_t fd, uint64_t rights, struct abi_mem path) {
    int64_t r;
    t->dir = wasi_desc(w, fd, rights, &r);
    return t->dir ? take_path(&t->path, path) : r;
}

static int64_t take_to_change(struct wasi *w, struct target *t, uint32_t fd, uint64_t rights, struct abi_mem path,
                              const char *call) {
    int64_t r = take(w, t, fd, rights, path);
    if (!r && t->dir->net)
        return -EROFS; /* nothing is ever made there */
    return r ? r : wasi_check_writable(w, t->dir, call, t->path.text);
}

static int64_t refused(struct wasi *w, const struct target *t, const char *call, int64_t r) {
    return wasi_check_escape(w, t->dir, call, t->path.text, r);
}

/* World flags of WASI_LOOKUP_..., or -EINVAL. */
static int64_t lookup(uint32_t flags) {
    if (flags & ~(uint32_t)WASI_LOOKUP_SYMLINK_FOLLOW)
        return -EINVAL;
    return WORLD_BENEATH | (flags & WASI_LOOKUP_SYMLINK_FOLLOW ? 0 : WORLD_NOFOLLOW);
}

/* ---- attributes ---- */

static int64_t path_stat(struct wasi *w, uint32_t fd, uint32_t flags, struct abi_mem path, struct world_stat *st) {
    struct target t;
    int64_t how = lookup(flags), r = take(w, &t, fd, R(PATH_FILESTAT_GET), path);
    if (r || how < 0)
        return r ? r : how;
    if (t.dir->net)
        return wasi_net_stat_at(w, t.dir, t.path.text, st);
    return refused(w, &t, "path_filestat_get", OP(w, stat_at, t.dir->handle, t.path.text, (uint32_t)how, st));
}

int64_t wasi_path_filestat_get(struct wasi *w, struct abi_path_filestat_get *a) {
    struct world_stat st;
    int64_t r = path_stat(w, a->fd, a->flags, a->path, &st);
    if (r == 0)
        wasi_filestat_fill(a->stat, &st);
    return wasi_answer(r);
}

int64_t wasi_unstable_path_filestat_get(struct wasi *w, struct abi_unstable_path_filestat_get *a) {
    struct world_stat st;
    int64_t r = path_stat(w, a->fd, a->flags, a->path, &st);
    if (r == 0)
        wasi_unstable_filestat_fill(a->stat, &st);
    return wasi_answer(r);
}

int64_t wasi_path_filestat_set_times(struct wasi *w, struct abi_path_filestat_set_times *a) {
    struct target t;
    int64_t how = lookup(a->flags), which = wasi_times_flags(a->fst_flags);
    if (how < 0 || which < 0)
        return WASI_EINVAL;
    int64_t r = take_to_change(w, &t, a->fd, R(PATH_FILESTAT_SET_TIMES), a->path, "path_filestat_set_times");
    if (r == 0)
        r = refused(w, &t, "path_filestat_set_times",
                    OP(w, set_times_at, t.dir->handle, t.path.text, (uint32_t)how, a->atim, a->mtim, (uint32_t)which));
    return wasi_answer(r);
}

/* ---- opening ---- */

/* Rights by which a file is opened for reading, and for writing. */
static const uint64_t read_rights = R(FD_READ) | R(FD_READDIR);
static const uint64_t write_rights = R(FD_WRITE) | R(FD_ALLOCATE) | R(FD_FILESTAT_SET_SIZE);
/* Bits beyond are unknown: some toolchains ask for all 64. */
static const uint64_t all_rights = ((uint64_t)R(SOCK_ACCEPT) << 1) - 1;

/* What the directory needs for this call, on itself and to pass on. */
static int64_t open_check(const struct abi_path_open *a, uint64_t *needed, uint64_t *passed) {
    const uint32_t oflags = WASI_O_CREAT | WASI_O_DIRECTORY | WASI_O_EXCL | WASI_O_TRUNC;
    const uint32_t fdflags =
        WASI_FDFLAG_APPEND | WASI_FDFLAG_DSYNC | WASI_FDFLAG_NONBLOCK | WASI_FDFLAG_RSYNC | WASI_FDFLAG_SYNC;
    if (a->oflags & ~oflags || a->fdflags & ~fdflags)
        return -EINVAL;
    if ((a->oflags & (WASI_O_CREAT | WASI_O_DIRECTORY)) == (WASI_O_CREAT | WASI_O_DIRECTORY))
        return -EINVAL;
    *needed = R(PATH_OPEN) | (a->oflags & WASI_O_CREAT ? (uint64_t)R(PATH_CREATE_FILE) : 0) |
              (a->oflags & WASI_O_TRUNC ? (uint64_t)R(PATH_FILESTAT_SET_SIZE) : 0);
    *passed = (a->rights_base | a->rights_inheriting) & all_rights;
    if (a->fdflags & WASI_FDFLAG_DSYNC)
        *passed |= R(FD_DATASYNC);
    if (a->fdflags & (WASI_FDFLAG_RSYNC | WASI_FDFLAG_SYNC))
        *passed |= R(FD_SYNC);
    return 0;
}

static uint32_t open_flags(const struct abi_path_open *a, int64_t how) {
    uint32_t f = (uint32_t)how | wasi_world_flags(a->fdflags);
    f |= a->oflags & WASI_O_CREAT ? WORLD_CREATE : 0;
    f |= a->oflags & WASI_O_EXCL ? WORLD_EXCLUSIVE : 0;
    f |= a->oflags & WASI_O_TRUNC ? WORLD_TRUNCATE : 0;
    bool write = a->rights_base & write_rights;
    if (a->oflags & WASI_O_DIRECTORY) {
        f |= WORLD_DIRECTORY_ONLY;
        write = false;
    }
    if (write || f & WORLD_TRUNCATE)
        f |= WORLD_WRITE;
    if (a->rights_base & read_rights || !(f & WORLD_WRITE))
        f |= WORLD_READ;
    return f;
}

/* Creating what is there already, and is only to be read, changes nothing and is allowed in a read-only directory. */
static bool to_create_is_to_open(struct wasi *w, const struct target *t, uint32_t flags, int64_t how) {
    struct world_stat st;
    return t->dir->grant && !t->dir->grant->writable && flags & WORLD_CREATE &&
           !(flags & (WORLD_WRITE | WORLD_EXCLUSIVE)) &&
           OP(w, stat_at, t->dir->handle, t->path.text, (uint32_t)how, &st) == 0;
}

int64_t wasi_path_open(struct wasi *w, struct abi_path_open *a) {
    struct target t;
    uint64_t needed, passed;
    int64_t how = lookup(a->dirflags), r = open_check(a, &needed, &passed);
    if (r || how < 0)
        return WASI_EINVAL;
    r = take(w, &t, a->fd, needed, a->path);
    if (r)
        return wasi_answer(r);
    if (passed & ~t.dir->inheriting)
        return WASI_ENOTCAPABLE;
    if (t.dir->net)
        return wasi_answer(wasi_net_open(w, t.dir, t.path.text, a));
    uint32_t flags = open_flags(a, how);
    if (to_create_is_to_open(w, &t, flags, how))
        flags &= ~(uint32_t)WORLD_CREATE;
    if (flags & (WORLD_WRITE | WORLD_CREATE))
        r = wasi_check_writable(w, t.dir, "path_open for writing", t.path.text);
    if (r)
        return wasi_answer(r);
    r = OP(w, open, t.dir->handle, t.path.text, flags, 0666);
    if (r < 0)
        return wasi_answer(refused(w, &t, "path_open", r));

    const struct grant *grant = t.dir->grant;
    struct wasi_path full;
    wasi_full_path(&full, t.dir, t.path.text);
    struct desc *d;
    r = wasi_desc_new(w, (int)r, &d); /* may move t.dir */
    if (r < 0)
        return wasi_answer(r);
    d->flags = (uint16_t)a->fdflags;
    d->base = a->rights_base & all_rights & d->applicable;
    d->grant = grant;
    if (d->filetype == WASI_FILETYPE_DIRECTORY) {
        d->inheriting = a->rights_inheriting & all_rights;
        d->path = mem_strdup(full.text);
    }
    a->opened_fd = wasi_desc_number(w, d);
    return 0;
}

/* ---- directories and names ---- */

int64_t wasi_path_create_directory(struct wasi *w, struct abi_path_create_directory *a) {
    struct target t;
    int64_t r = take_to_change(w, &t, a->fd, R(PATH_CREATE_DIRECTORY), a->path, "path_create_directory");
    if (r == 0)
        r = refused(w, &t, "path_create_directory", OP(w, make_dir, t.dir->handle, t.path.text, WORLD_BENEATH, 0777));
    return wasi_answer(r);
}

static int64_t remove_entry(struct wasi *w, uint32_t fd, uint64_t right, struct abi_mem path, const char *call,
                            bool directory) {
    struct target t;
    int64_t r = take_to_change(w, &t, fd, right, path, call);
    if (r == 0)
        r = refused(w, &t, call, OP(w, remove, t.dir->handle, t.path.text, WORLD_BENEATH, directory));
    return wasi_answer(r);
}

int64_t wasi_path_remove_directory(struct wasi *w, struct abi_path_remove_directory *a) {
    return remove_entry(w, a->fd, R(PATH_REMOVE_DIRECTORY), a->path, "path_remove_directory", true);
}

int64_t wasi_path_unlink_file(struct wasi *w, struct abi_path_unlink_file *a) {
    return remove_entry(w, a->fd, R(PATH_UNLINK_FILE), a->path, "path_unlink_file", false);
}

int64_t wasi_path_rename(struct wasi *w, struct abi_path_rename *a) {
    struct target from, to;
    int64_t r = take_to_change(w, &from, a->fd, R(PATH_RENAME_SOURCE), a->old_path, "path_rename");
    if (r == 0)
        r = take_to_change(w, &to, a->new_fd, R(PATH_RENAME_TARGET), a->new_path, "path_rename");
    if (r == 0) {
        r = OP(w, rename, from.dir->handle, from.path.text, to.dir->handle, to.path.text, WORLD_BENEATH);
        r = refused(w, &from, "path_rename", r);
        r = refused(w, &to, "path_rename", r);
    }
    return wasi_answer(r);
}

int64_t wasi_path_link(struct wasi *w, struct abi_path_link *a) {
    struct target from, to;
    int64_t how = lookup(a->old_flags);
    if (how < 0)
        return wasi_answer(how);
    /* A second name in a writable directory would make a read-only file writable, so both must be. */
    int64_t r = take_to_change(w, &from, a->old_fd, R(PATH_LINK_SOURCE), a->old_path, "path_link");
    if (r == 0)
        r = take_to_change(w, &to, a->new_fd, R(PATH_LINK_TARGET), a->new_path, "path_link");
    if (r == 0) {
        r = OP(w, link, from.dir->handle, from.path.text, to.dir->handle, to.path.text, (uint32_t)how);
        r = refused(w, &from, "path_link", r);
        r = refused(w, &to, "path_link", r);
    }
    return wasi_answer(r);
}

int64_t wasi_path_symlink(struct wasi *w, struct abi_path_symlink *a) {
    struct target t;
    struct wasi_path says;
    int64_t r = take_path(&says, a->old_path);
    if (r == 0)
        r = take_to_change(w, &t, a->fd, R(PATH_SYMLINK), a->new_path, "path_symlink");
    /* The program could not follow it, but others on this machine might, and arrive somewhere else than it meant. */
    if (r == 0 && says.text[0] == '/')
        return WASI_EPERM;
    if (r == 0)
        r = refused(w, &t, "path_symlink", OP(w, symlink, says.text, t.dir->handle, t.path.text, WORLD_BENEATH));
    return wasi_answer(r);
}

int64_t wasi_path_readlink(struct wasi *w, struct abi_path_readlink *a) {
    struct target t;
    int64_t r = take(w, &t, a->fd, R(PATH_READLINK), a->path);
    if (r)
        return wasi_answer(r);
    if (t.dir->net) { /* no links there */
        struct world_stat st;
        r = wasi_net_stat_at(w, t.dir, t.path.text, &st);
        return wasi_answer(r ? r : -EINVAL);
    }
    char none; /* room for nothing is no error here */
    char *out = a->buf.size ? (char *)a->buf.data : &none;
    r = OP(w, read_link, t.dir->handle, t.path.text, WORLD_BENEATH, out, a->buf.size ? a->buf.size : 1);
    if (r < 0)
        return wasi_answer(refused(w, &t, "path_readlink", r));
    a->bufused = a->buf.size ? (uint32_t)r : 0;
    a->buf.size = a->bufused;
    return 0;
}

/* ---- what was given ---- */

static struct desc *preopened(struct wasi *w, uint32_t fd, int64_t *r) {
    struct desc *d = wasi_desc(w, fd, 0, r);
    if (d && !d->preopened) {
        *r = -EBADF; /* this is how a program finds the end of the list */
        return NULL;
    }
    return d;
}

int64_t wasi_fd_prestat_get(struct wasi *w, struct abi_fd_prestat_get *a) {
    int64_t r;
    struct desc *d = preopened(w, a->fd, &r);
    /* A socket given before the directories must not look like the end of the list; programs pass over what is of a
     * type that they do not know. */
    if (!d && wasi_desc(w, a->fd, 0, &(int64_t){0}) && w->fds[a->fd].given) {
        *a->prestat = (struct wasi_prestat){.type = WASI_PREOPEN_SOCKET};
        return 0;
    }
    if (!d) {
        w->looked_for_dirs = true;
        return wasi_answer(r);
    }
    *a->prestat = (struct wasi_prestat){.type = WASI_PREOPEN_DIR, .name_len = (uint32_t)strlen(d->grant->guest)};
    return 0;
}

int64_t wasi_fd_prestat_dir_name(struct wasi *w, struct abi_fd_prestat_dir_name *a) {
    int64_t r;
    struct desc *d = preopened(w, a->fd, &r);
    if (!d)
        return wasi_answer(r);
    size_t n = strlen(d->grant->guest);
    if (a->path.size < n)
        return WASI_ENAMETOOLONG;
    memcpy(a->path.data, d->grant->guest, n);
    a->path.size = (uint32_t)n;
    return 0;
}
