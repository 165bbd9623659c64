/* Arbitrary bytes as a tar file.  The first byte says whether checksums are put right, so that what lies behind them is
 * reached.  Whatever is accepted is a tree: sorted, every name found again and a single component, all contents within
 * the archive. */
#include "base/must.h"
#include "world/files/tar.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *data;
    size_t size;
} archive;

static int64_t source(void *ctx, uint64_t offset, void *p, size_t n) {
    must(ctx == &archive && offset <= archive.size);
    size_t left = archive.size - offset, got = n < left ? n : left;
    if (got)
        memcpy(p, archive.data + offset, got);
    return (int64_t)got;
}

static void repair(uint8_t *p, size_t size) {
    static const uint8_t zeros[512];
    for (; size >= 512; p += 512, size -= 512) {
        unsigned sum = 0;
        if (memcmp(p, zeros, 512) == 0)
            continue;
        memset(p + 148, ' ', 8);
        for (int i = 0; i < 512; i++)
            sum += p[i];
        for (int i = 5; i >= 0; i--, sum >>= 3)
            p[148 + i] = (uint8_t)('0' + (sum & 7));
        p[154] = '\0';
    }
}

static uint64_t look(const struct tar *t, const struct tar_entry *d, int depth) {
    uint64_t n = 0;
    must(depth < 2100);
    for (uint32_t i = 0; i < d->nchildren; i++) {
        const struct tar_entry *e = d->children[i];
        const struct tar_file *f = e->file;
        must(e->parent == d && tar_find(t, d, e->name) == e);
        must(e->name[0] && strlen(e->name) <= 255 && !strchr(e->name, '/'));
        must(strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0);
        must(i == 0 || strcmp(d->children[i - 1]->name, e->name) < 0);
        must(f->nlink > 0);
        if (f->type == WORLD_REGULAR)
            must(f->offset <= archive.size && f->size <= archive.size - f->offset);
        else if (f->type == WORLD_SYMLINK)
            must(f->size > 0 && strlen(f->link) == f->size);
        else
            must(f->type == WORLD_DIRECTORY);
        must(f->type == WORLD_DIRECTORY || e->nchildren == 0);
        n += 1 + look(t, e, depth + 1);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint8_t *copy = mem_alloc(size);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        repair(copy, size - 1);
    archive.data = copy;
    archive.size = size - 1;
    struct tar *t;
    struct err e = ERR_INIT;
    if (tar_read(source, &archive, archive.size, &t, &e) == ST_OK) {
        look(t, tar_root(t), 0);
        must(tar_root(t)->parent == tar_root(t));
        tar_free(t);
    } else {
        must(e.status && strncmp(e.text, "at byte ", 8) == 0);
    }
    mem_free(copy);
    return 0;
}
