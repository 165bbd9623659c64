#include "journal/context.h"

#include "base/must.h"

struct journal_decoder {
    struct contexts c;
    uint64_t number; /* of the next record */
    struct iovec pieces[JOURNAL_MAX_BLOBS];
};

struct journal_decoder *journal_decoder_new(void) {
    struct journal_decoder *dec = mem_alloc(sizeof *dec);
    journal_decoder_reset(dec, 0, 0);
    return dec;
}

void journal_decoder_free(struct journal_decoder *dec) {
    mem_free(dec);
}

void journal_decoder_reset(struct journal_decoder *dec, uint64_t first_record, uint64_t first_time_ns) {
    contexts_reset(&dec->c, first_time_ns);
    dec->number = first_record;
}

/* What a record says before it is known to be whole; nothing of the decoder changes until then. */
struct head {
    const uint8_t *p, *end;
    const char *wrong;
    uint64_t shape;
    struct context *known; /* NULL: newly defined */
    uint32_t mask;
};

static bool fail(struct head *h, const char *what) {
    h->wrong = what;
    return false;
}

static bool byte(struct head *h, uint8_t *v) {
    if (h->p == h->end)
        return fail(h, "it is cut");
    *v = *h->p++;
    return true;
}

static bool varint(struct head *h, uint64_t *v) {
    const uint8_t *p = get_varint(h->p, h->end, v);
    if (!p)
        return fail(h, "a number is cut or too long");
    h->p = p;
    return true;
}

static bool definition(struct head *h, struct journal_record *r) {
    uint8_t type, nvals, nblobs;
    uint64_t code;
    if (!byte(h, &type) || !byte(h, &nvals) || !byte(h, &nblobs) || !varint(h, &code))
        return false;
    if (type < JOURNAL_CALL || type > JOURNAL_NOTE)
        return fail(h, "unknown type of record");
    if (nvals > JOURNAL_MAX_VALS || nblobs > JOURNAL_MAX_BLOBS || code > UINT32_MAX)
        return fail(h, "impossible definition");
    h->shape = context_shape(type, (uint32_t)code, nvals, nblobs);
    r->type = (enum journal_type)type;
    r->code = (uint32_t)code;
    r->nvals = nvals;
    r->nblobs = nblobs;
    return true;
}

static bool context(struct journal_decoder *dec, struct head *h, unsigned tag, struct journal_record *r) {
    unsigned n = tag & TAG_CONTEXT;
    if (n == CONTEXT_NEW)
        return definition(h, r);
    if (n == CONTEXT_BYTE) {
        uint8_t more;
        if (!byte(h, &more))
            return false;
        n += more;
    }
    if (n >= dec->c.n)
        return fail(h, "a context that was not defined");
    h->known = &dec->c.context[n];
    h->shape = h->known->shape;
    r->type = (enum journal_type)h->known->type;
    r->nvals = h->known->nvals;
    r->nblobs = h->known->nblobs;
    r->code = h->known->code;
    return true;
}

static bool changes(struct journal_decoder *dec, struct head *h, unsigned tag, struct journal_record *r,
                    uint64_t sizes[JOURNAL_MAX_BLOBS]) {
    static const struct context zero;
    const struct context *k = h->known ? h->known : &zero;
    uint64_t mask = 0, v;
    if ((tag & TAG_CHANGES) && !varint(h, &mask))
        return false;
    if (mask >> (CHANGED_VALS_SHIFT + r->nvals + r->nblobs))
        return fail(h, "changes of what it does not have");
    h->mask = (uint32_t)mask;

    r->guest = dec->c.guest;
    r->clock = dec->c.clock + k->clock_delta;
    if (mask & CHANGED_GUEST) {
        if (!varint(h, &v) || !varint(h, &r->clock))
            return false;
        if (v > UINT32_MAX)
            return fail(h, "impossible guest");
        r->guest = (uint32_t)v;
    } else if (mask & CHANGED_CLOCK) {
        if (!varint(h, &v))
            return false;
        r->clock += (uint64_t)unzigzag(v);
    }
    mask >>= CHANGED_VALS_SHIFT;
    for (uint32_t i = 0; i < r->nvals; i++, mask >>= 1) {
        r->vals[i] = k->vals[i];
        if (mask & 1) {
            if (!varint(h, &v))
                return false;
            r->vals[i] += (uint64_t)unzigzag(v);
        }
    }
    for (uint32_t i = 0; i < r->nblobs; i++, mask >>= 1) {
        sizes[i] = k->sizes[i];
        if ((mask & 1) && !varint(h, &sizes[i]))
            return false;
    }
    return true;
}

/* Makes the record the base of the next prediction. */
static void remember(struct journal_decoder *dec, const struct head *h, const struct journal_record *r) {
    struct contexts *c = &dec->c;
    struct context *k = h->known ? h->known : contexts_add(c, h->shape);
    if (h->mask) {
        if ((h->mask & (CHANGED_GUEST | CHANGED_CLOCK)) == CHANGED_CLOCK)
            k->clock_delta = r->clock - c->clock;
        memcpy(k->vals, r->vals, r->nvals * sizeof *r->vals);
        for (uint32_t i = 0; i < r->nblobs; i++)
            k->sizes[i] = r->blobs[i].size;
    }
    c->time_ns = r->time_ns;
    c->clock = r->clock;
    c->guest = r->guest;
    dec->number++;
}

enum status journal_decode(struct journal_decoder *dec, struct span block, size_t *pos, struct journal_record *out,
                           struct err *e) {
    if (*pos == block.size)
        return ST_END;
    must(*pos < block.size);
    struct head h = {.p = block.data + *pos, .end = block.data + block.size};
    uint64_t sizes[JOURNAL_MAX_BLOBS], delta = 0;
    uint8_t tag;
    if (!byte(&h, &tag) || !context(dec, &h, tag, out) || ((tag & TAG_TIME) && !varint(&h, &delta)) ||
        !changes(dec, &h, tag, out, sizes))
        goto malformed;
    if (delta > UINT64_MAX - dec->c.time_ns) {
        fail(&h, "its time is beyond all time");
        goto malformed;
    }
    for (uint32_t i = 0; i < out->nblobs; i++) {
        if (sizes[i] > (size_t)(h.end - h.p)) {
            fail(&h, "its bytes are cut");
            goto malformed;
        }
        dec->pieces[i] = (struct iovec){(void *)h.p, sizes[i]};
        out->blobs[i] = (struct journal_blob){&dec->pieces[i], 1, sizes[i]};
        h.p += sizes[i];
    }
    out->number = dec->number;
    out->time_ns = dec->c.time_ns + delta;
    remember(dec, &h, out);
    *pos = (size_t)(h.p - block.data);
    return ST_OK;

malformed:
    return err_set(e, ST_MALFORMED, "record %llu, at byte %zu of its block: %s", (unsigned long long)dec->number, *pos,
                   h.wrong);
}
