#include "store/internal.h"

#include "base/must.h"

#include <errno.h>
#include <stdio.h>

enum status store_put(struct store *s, struct span data, struct sha256 *hash, struct err *e) {
    struct world *w = s->world;
    struct sha256 h;
    char hex[SHA256_HEX], tmp[33];
    sha256_of(data, &h);
    sha256_hex(&h, hex);

    struct world_stat st;
    if (w->ops->stat_at(w, s->objects, hex, WORLD_NOFOLLOW, &st) == 0 && st.type == WORLD_REGULAR &&
        st.size == data.size) {
        *hash = h;
        return ST_OK;
    }
    int rc = store_random_name(s, tmp);
    if (rc < 0)
        return store_fail(s, e, rc, "get randomness for a file in", "/tmp");
    int fd = w->ops->open(w, s->tmp, tmp, WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, 0400);
    if (fd < 0)
        return store_fail(s, e, fd, "make", "/tmp/%s", tmp);
    struct iovec iov = {(void *)data.data, data.size};
    rc = store_write_at(s, fd, &iov, 1, 0);
    w->ops->close(w, fd);
    if (rc == 0)
        rc = w->ops->rename(w, s->tmp, tmp, s->objects, hex, 0);
    if (rc < 0) {
        (void)w->ops->remove(w, s->tmp, tmp, 0, false);
        return store_fail(s, e, rc, "write", "/objects/%s", hex);
    }
    *hash = h;
    return ST_OK;
}

int store_sync_object(struct store *s, const struct sha256 *hash) {
    struct world *w = s->world;
    char hex[SHA256_HEX];
    sha256_hex(hash, hex);
    int fd = w->ops->open(w, s->objects, hex, WORLD_READ, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int rc = w->ops->sync(w, fd, false);
    w->ops->close(w, fd);
    return rc < 0 ? rc : w->ops->sync(w, s->objects, false);
}

enum status store_get(struct store *s, const struct sha256 *hash, struct span *out, struct err *e) {
    struct world *w = s->world;
    char hex[SHA256_HEX];
    sha256_hex(hash, hex);
    int fd = w->ops->open(w, s->objects, hex, WORLD_READ, 0);
    if (fd < 0)
        return store_fail(s, e, fd, "open", "/objects/%s", hex);

    struct world_stat st;
    void *p = NULL;
    int rc = w->ops->stat(w, fd, &st);
    if (rc == 0 && st.type == WORLD_REGULAR && st.size > 0)
        rc = w->ops->map(w, fd, st.size, false, &p);
    w->ops->close(w, fd);
    if (rc < 0)
        return store_fail(s, e, rc, "read", "/objects/%s", hex);

    struct span data = SPAN(p, p ? st.size : 0);
    struct sha256 is;
    sha256_of(data, &is);
    if (memcmp(&is, hash, sizeof is) != 0) {
        store_unmap(s, data);
        return err_set(e, ST_CORRUPT,
                       "%s/objects/%s is damaged: its content does not have this hash; remove the file and "
                       "store the module again",
                       s->path, hex);
    }
    *out = data;
    return ST_OK;
}

void store_unmap(struct store *s, struct span data) {
    if (data.data)
        (void)s->world->ops->unmap(s->world, (void *)data.data, data.size);
}
