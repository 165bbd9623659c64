#include "journal/context.h"

#include "base/must.h"

struct journal_decoder {
    struct contexts c;
    uint64_t number; /* of the next record */
    struct iovec pieces[JOURNAL_MAX_BLOBS];
};

struct journal_decoder *journal_decoder_new(void) {
    struct journal_decoder *dec = mem_alloc(sizeof *dec);
    contexts_init(&dec->c);
    journal_decoder_reset(dec, 0, 0);
    return dec;
}

void journal_decoder_free(struct journal_decoder *dec) {
    if (dec)
        contexts_deinit(&dec->c);
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
    uint64_t mask;
    struct head_blob {
        uint64_t size, prefix, suffix;
        uint8_t mode;
        const uint8_t *bytes; /* that are written */
    } blob[JOURNAL_MAX_BLOBS];
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

static bool changes(struct journal_decoder *dec, struct head *h, unsigned tag, struct journal_record *r) {
    static const struct context zero;
    const struct context *k = h->known ? h->known : &zero;
    uint64_t mask = 0, v;
    if ((tag & TAG_CHANGES) && !varint(h, &mask))
        return false;
    if (mask >> (CHANGED_VALS_SHIFT + r->nvals + 2 * r->nblobs))
        return fail(h, "changes of what it does not have");
    h->mask = mask;

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
        h->blob[i].size = k->sizes[i];
        if ((mask & 1) && !varint(h, &h->blob[i].size))
            return false;
    }
    for (uint32_t i = 0; i < r->nblobs; i++, mask >>= 1) {
        struct head_blob *b = &h->blob[i];
        b->mode = b->size < PREDICT_MIN ? BLOB_LITERAL : k->modes[i];
        if (!(mask & 1))
            continue;
        if (b->size < PREDICT_MIN)
            return fail(h, "too short a blob to be predicted");
        if (!byte(h, &b->mode))
            return false;
        if (b->mode > BLOB_PART)
            return fail(h, "unknown mode of a blob");
    }
    return true;
}

/* Finds the blobs' bytes. */
static bool blobs(struct head *h, uint32_t nblobs) {
    for (uint32_t i = 0; i < nblobs; i++) {
        struct head_blob *b = &h->blob[i];
        if (b->mode == BLOB_LITERAL)
            continue;
        uint64_t was = h->known && h->known->memory ? h->known->memory[i].size : 0;
        if (was == 0)
            return fail(h, "a blob like one that was not there");
        if (b->mode == BLOB_SAME && b->size != was)
            return fail(h, "a blob that is the same but of another size");
        if (b->mode == BLOB_PART) {
            if (!varint(h, &b->prefix) || !varint(h, &b->suffix))
                return false;
            uint64_t least = was < b->size ? was : b->size;
            if (b->prefix > least || b->suffix > least - b->prefix)
                return fail(h, "a blob has more in common with the one before than there is");
        }
    }
    for (uint32_t i = 0; i < nblobs; i++) {
        struct head_blob *b = &h->blob[i];
        uint64_t size = b->mode == BLOB_LITERAL ? b->size : b->mode == BLOB_SAME ? 0 : b->size - b->prefix - b->suffix;
        if (size > (size_t)(h->end - h->p))
            return fail(h, "its bytes are cut");
        b->bytes = h->p;
        h->p += size;
    }
    return true;
}

/* Gives the record blob `i`. */
static void give_blob(struct journal_decoder *dec, struct context *k, uint32_t i, const struct head_blob *b,
                      struct journal_record *r) {
    struct contexts *c = &dec->c;
    const uint8_t *bytes = b->bytes;
    if (b->mode == BLOB_LITERAL) {
        struct blob_memory *m = b->size < PREDICT_MIN ? NULL : context_remember(c, k, i);
        if (m) {
            m->size = b->size;
            m->offset = (size_t)(bytes - c->block);
            m->copied = false;
        }
    } else {
        struct blob_memory *m = &k->memory[i];
        if (b->mode == BLOB_PART)
            memcpy(blob_patch(c, m, b->size, b->prefix, b->suffix), bytes, b->size - b->prefix - b->suffix);
        bytes = blob_bytes(c, m);
    }
    dec->pieces[i] = (struct iovec){(void *)bytes, b->size};
    r->blobs[i] = (struct journal_blob){&dec->pieces[i], 1, b->size};
}

/* Makes the record the base of the next prediction. */
static void remember(struct journal_decoder *dec, const struct head *h, struct journal_record *r) {
    struct contexts *c = &dec->c;
    struct context *k = h->known ? h->known : contexts_add(c, h->shape);
    if (h->mask) {
        if ((h->mask & (CHANGED_GUEST | CHANGED_CLOCK)) == CHANGED_CLOCK)
            k->clock_delta = r->clock - c->clock;
        memcpy(k->vals, r->vals, r->nvals * sizeof *r->vals);
        for (uint32_t i = 0; i < r->nblobs; i++) {
            k->sizes[i] = h->blob[i].size;
            if (h->blob[i].size >= PREDICT_MIN)
                k->modes[i] = h->blob[i].mode;
        }
    }
    for (uint32_t i = 0; i < r->nblobs; i++)
        give_blob(dec, k, i, &h->blob[i], r);
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
    uint64_t delta = 0;
    uint8_t tag;
    dec->c.block = block.data;
    if (!byte(&h, &tag) || !context(dec, &h, tag, out) || ((tag & TAG_TIME) && !varint(&h, &delta)) ||
        !changes(dec, &h, tag, out) || !blobs(&h, out->nblobs))
        goto malformed;
    if (delta > UINT64_MAX - dec->c.time_ns) {
        fail(&h, "its time is beyond all time");
        goto malformed;
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
