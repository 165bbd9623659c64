#include "cli/files.h"

#include "world/world.h"

#include <errno.h>

static enum status failed(struct err *e, const char *path, int error) {
    enum status s = error == -ENOENT ? ST_NOT_FOUND : error == -EACCES ? ST_DENIED : ST_IO;
    return err_set(e, s, "cannot read %s: %s", path, strerror(-error));
}

static enum status read_all(struct world *w, int fd, const char *path, uint64_t size, struct buf *out, struct err *e) {
    if (size > out->max - out->size || !buf_reserve(out, size))
        return err_set(e, ST_LIMIT, "%s is too large: %zu bytes are the most", path, out->max);
    for (uint64_t at = 0; at < size;) {
        struct iovec v = {out->data + out->size, size - at};
        int64_t n = w->ops->preadv(w, fd, &v, 1, at);
        if (n < 0)
            return failed(e, path, (int)n);
        if (n == 0)
            return err_set(e, ST_TRUNCATED, "%s became shorter while it was read", path);
        at += (uint64_t)n;
        out->size += (size_t)n;
    }
    return ST_OK;
}

enum status file_read(void *world, const char *path, struct buf *out, struct err *e) {
    struct world *w = world;
    int fd = w->ops->open(w, WORLD_CWD, path, WORLD_READ | WORLD_NONBLOCK, 0);
    if (fd < 0)
        return failed(e, path, fd);
    struct world_stat st;
    int error = w->ops->stat(w, fd, &st);
    enum status s;
    if (error)
        s = failed(e, path, error);
    else if (st.type != WORLD_REGULAR)
        s = err_set(e, ST_INVALID, "%s is %s, not a file", path,
                    st.type == WORLD_DIRECTORY ? "a directory" : "something else");
    else
        s = read_all(w, fd, path, st.size, out, e);
    w->ops->close(w, fd);
    return s;
}
