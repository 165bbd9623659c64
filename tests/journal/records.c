#include "records.h"

#include "base/must.h"

void record_gen_init(struct record_gen *g, uint64_t seed, uint32_t nguests, uint32_t ncodes, uint32_t max_blob) {
    memset(g, 0, sizeof *g);
    must(nguests > 0 && nguests <= 64 && ncodes > 0);
    g->prng.state = seed;
    g->nguests = nguests;
    g->ncodes = ncodes;
    g->max_blob = max_blob;
    g->cap = (size_t)max_blob * JOURNAL_MAX_BLOBS + 1;
    g->bytes = mem_alloc(g->cap);
}

void record_gen_deinit(struct record_gen *g) {
    mem_free(g->bytes);
}

static uint64_t number(struct record_gen *g) {
    switch (prng_below(&g->prng, 8)) {
    case 0: return prng_next(&g->prng);
    case 1: return UINT64_MAX - prng_below(&g->prng, 3);
    case 2: return prng_below(&g->prng, 1u << 20);
    default: return prng_below(&g->prng, 3);
    }
}

void record_gen_next(struct record_gen *g, struct journal_record *r) {
    struct prng *p = &g->prng;
    memset(r, 0, sizeof *r);
    r->type = prng_below(p, 50) == 0 ? JOURNAL_NOTE : prng_below(p, 2) ? JOURNAL_CALL : JOURNAL_RETURN;
    r->guest = (uint32_t)prng_below(p, g->nguests);
    r->code = (uint32_t)prng_below(p, g->ncodes);
    if (prng_below(p, 100) == 0)
        r->code = UINT32_MAX - r->code;
    if (prng_below(p, 3)) {
        uint64_t most[] = {1, 200, 20000, 1ull << 40};
        g->time_ns += prng_below(p, most[prng_below(p, 4)]);
    }
    if (prng_below(p, 2))
        g->clock[r->guest] += prng_below(p, 2) ? 17 : prng_below(p, 1u << 30);
    r->time_ns = g->time_ns;
    r->clock = g->clock[r->guest];
    /* a code has mostly one shape */
    bool odd = prng_below(p, 20) == 0;
    r->nvals = odd ? (uint32_t)prng_below(p, JOURNAL_MAX_VALS + 1) : r->code % 5;
    r->nblobs = odd ? (uint32_t)prng_below(p, JOURNAL_MAX_BLOBS + 1) : r->code % 3;
    for (uint32_t i = 0; i < r->nvals; i++)
        r->vals[i] = prng_below(p, 4) ? i * 100 : number(g);
    uint8_t *at = g->bytes;
    for (uint32_t i = 0; i < r->nblobs; i++) {
        bool alike = g->max_blob >= 40 && prng_below(p, 4) == 0; /* to others of the code */
        struct journal_blob *b = &r->blobs[i];
        b->size = g->max_blob < 16 || prng_below(p, 4) == 0 ? prng_below(p, (uint64_t)g->max_blob + 1) : 16;
        if (alike)
            b->size = g->max_blob - prng_below(p, 3) * 2;
        b->npieces = (uint32_t)prng_below(p, 4);
        if (b->size && !b->npieces)
            b->npieces = 1;
        b->pieces = g->pieces[i];
        uint64_t left = b->size;
        for (uint32_t j = 0; j < b->npieces; j++) {
            uint64_t n = j + 1 == b->npieces ? left : prng_below(p, left + 1);
            g->pieces[i][j] = (struct iovec){at, n};
            for (uint64_t k = 0; k < n; k++)
                at[k] = alike ? (uint8_t)((k + 1) * (r->code + 3) >> 3)
                              : (uint8_t)(prng_next(p) & (r->code & 1 ? 15 : 255));
            if (alike && n && prng_below(p, 3) == 0)
                at[prng_below(p, n)] ^= 1;
            at += n;
            left -= n;
        }
    }
}

static bool blob_equal(const struct journal_blob *a, const struct journal_blob *b) {
    if (a->size != b->size)
        return false;
    uint32_t i = 0, j = 0;
    size_t ai = 0, bi = 0;
    for (uint64_t n = 0; n < a->size;) {
        while (ai == a->pieces[i].iov_len)
            i++, ai = 0;
        while (bi == b->pieces[j].iov_len)
            j++, bi = 0;
        size_t left = a->pieces[i].iov_len - ai, other = b->pieces[j].iov_len - bi;
        size_t k = left < other ? left : other;
        if (memcmp((char *)a->pieces[i].iov_base + ai, (char *)b->pieces[j].iov_base + bi, k) != 0)
            return false;
        ai += k;
        bi += k;
        n += k;
    }
    return true;
}

bool record_equal(const struct journal_record *a, const struct journal_record *b) {
    if (a->type != b->type || a->guest != b->guest || a->code != b->code || a->time_ns != b->time_ns ||
        a->clock != b->clock || a->nvals != b->nvals || a->nblobs != b->nblobs)
        return false;
    if (memcmp(a->vals, b->vals, a->nvals * sizeof *a->vals) != 0)
        return false;
    for (uint32_t i = 0; i < a->nblobs; i++)
        if (!blob_equal(&a->blobs[i], &b->blobs[i]))
            return false;
    return true;
}
