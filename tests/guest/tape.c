#include "tape.h"

#include "base/must.h"

static void put(struct tape *t, const struct journal_record *r) {
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->records = mem_realloc(t->records, t->cap * sizeof *t->records);
        t->pieces = mem_realloc(t->pieces, t->cap * sizeof *t->pieces);
    }
    struct journal_record *mine = &t->records[t->n];
    *mine = *r;
    memset(t->pieces[t->n], 0, sizeof t->pieces[t->n]);
    for (uint32_t i = 0; i < r->nblobs; i++) {
        uint8_t *data = mem_alloc(r->blobs[i].size + 1);
        uint64_t at = 0;
        for (uint32_t j = 0; j < r->blobs[i].npieces; j++) {
            const struct iovec *v = &r->blobs[i].pieces[j];
            if (v->iov_len)
                memcpy(data + at, v->iov_base, v->iov_len);
            at += v->iov_len;
        }
        must(at == r->blobs[i].size);
        t->pieces[t->n][i] = (struct iovec){data, at};
        mine->blobs[i].npieces = 1;
    }
    t->n++;
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t j = 0; j < t->records[i].nblobs; j++)
            t->records[i].blobs[j].pieces = &t->pieces[i][j];
}

static enum status append(void *ctx, struct journal_record *r, struct err *e) {
    struct tape *t = ctx;
    r->number = t->n;
    if (t->full_after && t->n >= t->full_after)
        return err_set(e, ST_NO_SPACE, "the tape is full");
    must(t->n == 0 || (r->time_ns >= t->records[t->n - 1].time_ns && r->clock >= t->records[t->n - 1].clock));
    put(t, r);
    return ST_OK;
}

static bool wants_snapshot(void *ctx) {
    return ((struct tape *)ctx)->wants_snapshot;
}

static enum status snapshot(void *ctx, struct journal_record *r, struct err *e) {
    struct tape *t = ctx;
    t->wants_snapshot = false;
    if (t->ends)
        guest_stop(t->ends, GUEST_INTERRUPTED, 15);
    return append(ctx, r, e);
}

static enum status next(void *ctx, struct journal_record *out, struct err *e) {
    struct tape *t = ctx;
    (void)e;
    if (t->at == t->n)
        return ST_END;
    *out = t->records[t->at++];
    return ST_OK;
}

struct edge_sink tape_sink(struct tape *t) {
    return (struct edge_sink){append, wants_snapshot, snapshot, NULL, t};
}

struct edge_source tape_source(struct tape *t, uint32_t from) {
    t->at = from;
    return (struct edge_source){next, t};
}

void tape_copy(struct tape *to, const struct tape *from) {
    *to = (struct tape){0};
    for (uint32_t i = 0; i < from->n; i++)
        put(to, &from->records[i]);
}

static void free_blobs(struct tape *t, uint32_t i) {
    for (uint32_t j = 0; j < t->records[i].nblobs; j++)
        mem_free(t->pieces[i][j].iov_base);
}

static void renumber(struct tape *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        t->records[i].number = i;
        for (uint32_t j = 0; j < t->records[i].nblobs; j++)
            t->records[i].blobs[j].pieces = &t->pieces[i][j];
    }
}

void tape_drop(struct tape *t, uint32_t i) {
    free_blobs(t, i);
    t->n--;
    memmove(&t->records[i], &t->records[i + 1], (t->n - i) * sizeof *t->records);
    memmove(&t->pieces[i], &t->pieces[i + 1], (t->n - i) * sizeof *t->pieces);
    renumber(t);
}

void tape_repeat(struct tape *t, uint32_t i) {
    struct journal_record r = t->records[i];
    struct iovec own[JOURNAL_MAX_BLOBS]; /* `put` may move the tape's */
    for (uint32_t j = 0; j < r.nblobs; j++) {
        own[j] = t->pieces[i][j];
        r.blobs[j].pieces = &own[j];
    }
    put(t, &r);
    r = t->records[t->n - 1];
    struct iovec pieces[JOURNAL_MAX_BLOBS];
    memcpy(pieces, t->pieces[t->n - 1], sizeof pieces);
    memmove(&t->records[i + 2], &t->records[i + 1], (t->n - i - 2) * sizeof *t->records);
    memmove(&t->pieces[i + 2], &t->pieces[i + 1], (t->n - i - 2) * sizeof *t->pieces);
    t->records[i + 1] = r;
    memcpy(t->pieces[i + 1], pieces, sizeof pieces);
    renumber(t);
}

void tape_deinit(struct tape *t) {
    for (uint32_t i = 0; i < t->n; i++)
        free_blobs(t, i);
    mem_free(t->records);
    mem_free(t->pieces);
    *t = (struct tape){0};
}
