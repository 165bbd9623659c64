#include "base/buf.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(struct buf *b, size_t max_bytes) {
    *b = (struct buf){.max = max_bytes};
}

void buf_deinit(struct buf *b) {
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

bool buf_reserve(struct buf *b, size_t n) {
    if (b->failed || n > b->max || b->size > b->max - n) {
        b->failed = true;
        return false;
    }
    size_t need = b->size + n;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need)
            cap += cap / 2 + 64;
        if (cap > b->max && need <= b->max)
            cap = b->max;
        b->data = mem_realloc(b->data, cap + 1); /* one more for buf_cstr */
        b->cap = cap;
    }
    return true;
}

bool buf_append(struct buf *b, const void *p, size_t n) {
    if (!buf_reserve(b, n))
        return false;
    if (n)
        memcpy(b->data + b->size, p, n);
    b->size += n;
    return true;
}

bool buf_byte(struct buf *b, uint8_t v) {
    return buf_append(b, &v, 1);
}

bool buf_u32(struct buf *b, uint32_t v) {
    return buf_append(b, &v, sizeof v);
}

bool buf_u64(struct buf *b, uint64_t v) {
    return buf_append(b, &v, sizeof v);
}

bool buf_varint(struct buf *b, uint64_t v) {
    uint8_t tmp[VARINT_MAX];
    return buf_append(b, tmp, (size_t)(put_varint(tmp, v) - tmp));
}

bool buf_print(struct buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    bool ok = n >= 0 && buf_reserve(b, (size_t)n);
    if (ok) {
        vsnprintf((char *)b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
    return ok;
}

const char *buf_cstr(struct buf *b) {
    if (!b->data)
        return "";
    b->data[b->size] = 0;
    return (const char *)b->data;
}
