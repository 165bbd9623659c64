#include "journal/context.h"

#include "base/must.h"

void contexts_init(struct contexts *c) {
    memset(c, 0, sizeof *c);
}

static void forget_blobs(struct context *k) {
    for (uint32_t i = 0; k->memory && i < k->nblobs; i++)
        mem_free(k->memory[i].copy);
    mem_free(k->memory);
    k->memory = NULL;
}

void contexts_deinit(struct contexts *c) {
    for (uint32_t i = 0; i < c->n; i++)
        forget_blobs(&c->context[i]);
    mem_free(c->context);
}

void contexts_reset(struct contexts *c, uint64_t first_time_ns) {
    for (uint32_t i = 0; i < c->n; i++)
        forget_blobs(&c->context[i]);
    c->time_ns = first_time_ns;
    c->clock = 0;
    c->guest = 0;
    c->n = 0;
    c->block = NULL;
}

struct context *contexts_add(struct contexts *c, uint64_t shape) {
    if (c->n == c->cap) {
        c->cap = c->cap == 0 ? 8 : c->cap * 2 < MAX_CONTEXTS + 1 ? c->cap * 2 : MAX_CONTEXTS + 1;
        c->context = mem_realloc(c->context, c->cap * sizeof *c->context);
    }
    struct context *k = &c->context[c->n];
    memset(k, 0, sizeof *k);
    k->shape = shape;
    k->type = shape & 0xff;
    k->nvals = shape >> 8 & 0xff;
    k->nblobs = shape >> 16 & 0xff;
    k->code = (uint32_t)(shape >> 32);
    if (c->n < MAX_CONTEXTS)
        c->n++;
    return k;
}

struct blob_memory *context_remember(struct contexts *c, struct context *k, uint32_t i) {
    if (k == &c->context[MAX_CONTEXTS])
        return NULL;
    if (!k->memory)
        k->memory = mem_zalloc(k->nblobs * sizeof *k->memory);
    return &k->memory[i];
}

uint8_t *blob_patch(const struct contexts *c, struct blob_memory *m, uint64_t size, uint64_t prefix, uint64_t suffix) {
    must(prefix <= m->size && suffix <= m->size - prefix && prefix <= size && suffix <= size - prefix);
    if (size > m->cap) {
        m->cap = size + size / 8;
        m->copy = mem_realloc(m->copy, m->cap);
    }
    if (!m->copied) {
        const uint8_t *from = c->block + m->offset;
        memcpy(m->copy, from, prefix);
        memcpy(m->copy + size - suffix, from + m->size - suffix, suffix);
    } else if (size != m->size) {
        memmove(m->copy + size - suffix, m->copy + m->size - suffix, suffix);
    }
    m->copied = true;
    m->size = size;
    return m->copy + prefix;
}
