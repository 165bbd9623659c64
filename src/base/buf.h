/* buf.h: a growable byte buffer with a mandatory bound. */
#ifndef AEON_BASE_BUF_H
#define AEON_BASE_BUF_H

#include "base/bytes.h"
#include "base/status.h"

struct buf {
    uint8_t *data;
    size_t size;
    size_t cap;
    size_t max;  /* never grows beyond */
    bool failed; /* an append did not fit in `max`; sticky */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_deinit(struct buf *b);

/* Makes room for `n` more bytes; false (and b->failed) when that would pass the bound. */
bool buf_reserve(struct buf *b, size_t n);
bool buf_append(struct buf *b, const void *p, size_t n);
bool buf_byte(struct buf *b, uint8_t v);
bool buf_u32(struct buf *b, uint32_t v);
bool buf_u64(struct buf *b, uint64_t v);
bool buf_varint(struct buf *b, uint64_t v);
bool buf_print(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends a NUL that is not counted in size, and returns the text (valid until the next append). */
const char *buf_cstr(struct buf *b);

static inline struct span buf_span(const struct buf *b) {
    return SPAN(b->data, b->size);
}
static inline void buf_clear(struct buf *b) {
    b->size = 0;
    b->failed = false;
}

#endif
