#include "node/module_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Offsets in a module are 32 bits wide. */
#define MODULE_MAX_BYTES UINT32_MAX

static enum status failed(struct err *e, const char *path, int error) {
    enum status s = error == -ENOENT ? ST_NOT_FOUND : error == -EACCES ? ST_DENIED : ST_IO;
    return err_set(e, s, "cannot read the module %s: %s", path, strerror(-error));
}

/* Huge pages where the system has them: reading 26 MB into small ones is mostly page faults. */
static uint8_t *allocate(uint64_t size) {
    enum { HUGE_PAGE = 2 << 20 };
    if (size < HUGE_PAGE)
        return malloc(size ? size : 1);
    uint8_t *data = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (data)
        madvise(data, size, MADV_HUGEPAGE);
    return data;
}

static enum status read_all(struct world *w, int fd, const char *path, uint8_t *data, uint64_t size, struct err *e) {
    for (uint64_t at = 0; at < size;) {
        struct iovec v = {data + at, size - at};
        int64_t n = w->ops->preadv(w, fd, &v, 1, at);
        if (n < 0)
            return failed(e, path, (int)n);
        if (n == 0)
            return err_set(e, ST_TRUNCATED, "the module %s became shorter while it was read", path);
        at += (uint64_t)n;
    }
    return ST_OK;
}

enum status module_file_read(struct world *w, const char *path, struct span *out, struct err *e) {
    int fd = w->ops->open(w, WORLD_CWD, path, WORLD_READ | WORLD_NONBLOCK, 0);
    if (fd < 0)
        return failed(e, path, fd);
    struct world_stat st;
    uint8_t *data = NULL;
    enum status s = ST_OK;
    int error = w->ops->stat(w, fd, &st);
    if (error)
        s = failed(e, path, error);
    else if (st.type == WORLD_DIRECTORY)
        s = err_set(e, ST_INVALID, "%s is a directory, not a WebAssembly module", path);
    else if (st.type != WORLD_REGULAR)
        s = err_set(e, ST_INVALID, "%s is not a regular file: a module is read as a whole", path);
    else if (st.size > MODULE_MAX_BYTES)
        s = err_set(e, ST_LIMIT, "%s is larger than 4 GiB: no WebAssembly module is", path);
    else if (!(data = allocate(st.size)))
        s = err_set(e, ST_LIMIT, "no memory for the %llu bytes of %s", (unsigned long long)st.size, path);
    else
        s = read_all(w, fd, path, data, st.size, e);
    w->ops->close(w, fd);
    if (s)
        free(data);
    else
        *out = SPAN(data, st.size);
    return s;
}

void module_file_free(struct span data) {
    free((void *)data.data);
}
