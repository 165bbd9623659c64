/* text_file.c: small files read whole. */
#include "node/node.h"

#include <errno.h>

static enum status failed(struct err *e, const char *path, int64_t r) {
    enum status s = r == -ENOENT ? ST_NOT_FOUND : r == -EACCES ? ST_DENIED : ST_IO;
    return err_set(e, s, "cannot read %s: %s", path, strerror((int)-r));
}

enum status node_read_file(struct node *n, const char *path, struct buf *out, struct err *e) {
    struct world *w = node_world(n);
    enum { PIECE = 1 << 14 };
    int fd = w->ops->open(w, WORLD_CWD, path, WORLD_READ | WORLD_NONBLOCK, 0);
    if (fd < 0)
        return failed(e, path, fd);
    enum status s = ST_OK;
    for (;;) {
        if (!buf_reserve(out, PIECE)) {
            s = err_set(e, ST_LIMIT, "%s is too large: %zu bytes are the most", path, out->max);
            break;
        }
        struct iovec v = {out->data + out->size, PIECE};
        int64_t r = w->ops->readv(w, fd, &v, 1);
        if (r < 0)
            s = failed(e, path, r);
        if (r <= 0)
            break;
        out->size += (size_t)r;
    }
    w->ops->close(w, fd);
    return s;
}
