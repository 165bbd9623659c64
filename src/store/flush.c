#include "store/writer.h"

#include "base/must.h"

#include <stdio.h>

/* With retention a segment waits for a snapshot to be closed, but not for ever. */
enum { PATIENCE = 4 };

enum status flush_fail(struct store_writer *w, struct err *e, int64_t rc, const char *what, uint64_t first_record) {
    char name[SEGMENT_NAME];
    segment_name(first_record, name);
    return store_fail(w->store, e, rc, what, "/runs/%s/%s", w->id, name);
}

const char *flush_path(const struct store_writer *w, const char *file, char out[RUN_PATH]) {
    snprintf(out, RUN_PATH, "%s/%s", w->id, file);
    return out;
}

void flush_count(struct store_writer *w) {
    const struct segment_out *s = &w->segment;
    uint64_t owed = s->open ? SEGMENT_INDEX_HEAD + SEGMENT_ENTRY * (uint64_t)s->nentries + SEGMENT_TRAILER : 0;
    atomic_store_explicit(&w->excess, (int64_t)(w->total + owed - w->plain), memory_order_release);
}

int flush_segment_file(struct store_writer *w) {
    struct world *world = w->store->world;
    struct segment_out *s = &w->segment;
    char name[SEGMENT_NAME], path[RUN_PATH];
    if (s->fd >= 0)
        return 0;
    segment_name(s->first_record, name);
    int fd = world->ops->open(world, w->parent, flush_path(w, name, path), WORLD_READ | WORLD_WRITE, 0);
    if (fd < 0)
        return fd;
    s->fd = fd;
    if (w->flusher)
        flusher_keep_file(w);
    return 0;
}

static void close_file(struct store_writer *w) {
    if (w->segment.fd < 0)
        return;
    flusher_forget_file(w);
    w->store->world->ops->close(w->store->world, w->segment.fd);
    w->segment.fd = -1;
}

/* ---- segments ---- */

static void keep(struct store_writer *w, bool snapshot) {
    const struct segment_out *s = &w->segment;
    if (w->nkept == w->kept_cap) {
        w->kept_cap = w->kept_cap ? w->kept_cap * 2 : 1;
        w->kept = mem_realloc(w->kept, w->kept_cap * sizeof *w->kept);
    }
    w->kept[w->nkept++] = (struct segment_kept){s->first_record, s->first_time_ns, s->size, snapshot};
    w->total += s->size;
}

static void kept_grew(struct store_writer *w, uint64_t size) {
    struct segment_kept *k = &w->kept[w->nkept - 1];
    w->total += size - k->size;
    k->size = size;
}

/* Its name appears when its header is whole. A run that is being made is not synced step by step. */
enum status flush_segment_new(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns, bool snapshot,
                              struct err *e) {
    struct world *world = w->store->world;
    struct segment_out *s = &w->segment;
    bool durable = w->begun && w->options.sync != STORE_SYNC_NONE;
    must(!s->open && s->fd < 0);
    segment_header_place(w->header.data, w->header.size, first_record, first_time_ns, snapshot ? SEGMENT_SNAPSHOT : 0);

    char name[SEGMENT_NAME], new[RUN_PATH], path[RUN_PATH];
    segment_name(first_record, name);
    flush_path(w, name, path);
    flush_path(w, "new", new);
    int fd = world->ops->open(world, w->parent, new, WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_TRUNCATE, 0600);
    if (fd < 0)
        return flush_fail(w, e, fd, "make", first_record);
    struct iovec iov = {w->header.data, w->header.size};
    int rc = store_write_at(w->store, fd, &iov, 1, 0);
    if (rc == 0 && durable)
        rc = world->ops->sync(world, fd, false);
    if (rc == 0)
        rc = world->ops->rename(world, w->parent, new, w->parent, path, 0);
    if (rc == 0 && durable)
        rc = durable_dir(w->store, w->parent, w->id);
    if (rc < 0) {
        world->ops->close(world, fd);
        (void)world->ops->remove(world, w->parent, new, 0, false);
        return flush_fail(w, e, rc, "write", first_record);
    }
    *s = (struct segment_out){
        .open = true,
        .fd = fd,
        .first_record = first_record,
        .end_record = first_record,
        .first_time_ns = first_time_ns,
        .end_time_ns = first_time_ns,
        .size = w->header.size,
        .opening = w->header.size,
        .unsynced = !durable,
        .entries = s->entries,
        .cap = s->cap,
    };
    if (w->flusher)
        flusher_keep_file(w);
    keep(w, snapshot);
    flush_count(w);
    atomic_store(&w->segment_full, false);
    return ST_OK;
}

enum status flush_segment_close(struct store_writer *w, uint32_t trailer_flags, struct err *e) {
    struct world *world = w->store->world;
    struct segment_out *s = &w->segment;
    struct segment_trailer t = {
        .index_offset = s->size,
        .nentries = s->nentries,
        .flags = trailer_flags,
        .first_record = s->first_record,
        .end_record = s->end_record,
        .first_time_ns = s->first_time_ns,
        .last_time_ns = s->end_time_ns,
        .outcome_kind = trailer_flags & SEGMENT_ENDED ? w->outcome_kind : 0,
        .outcome_value = trailer_flags & SEGMENT_ENDED ? w->outcome_value : 0,
    };
    struct buf index;
    buf_init(&index, SIZE_MAX / 2);
    segment_index_write(&index, s->entries, &t);
    struct iovec iov = {index.data, index.size};
    int rc = flush_segment_file(w);
    if (rc == 0) {
        rc = store_write_at(w->store, s->fd, &iov, 1, s->size);
        if (rc < 0)
            (void)world->ops->set_size(world, s->fd, s->size);
    }
    buf_deinit(&index);
    if (rc == 0 && w->options.sync != STORE_SYNC_NONE)
        rc = world->ops->sync(world, s->fd, true);
    if (rc < 0)
        return flush_fail(w, e, rc, "write", s->first_record);
    kept_grew(w, t.file_size);
    close_file(w);
    s->open = false;
    s->nentries = 0;
    flush_count(w);
    return ST_OK;
}

/* Closes a segment that is full. */
static enum status make_room(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns, struct err *e) {
    bool retention = w->options.keep_bytes || w->options.keep_ns;
    uint64_t limit = w->options.segment_bytes * (retention ? PATIENCE : 1);
    if (w->segment.open && w->segment.size - w->segment.opening >= limit && w->segment.nentries) {
        enum status st = flush_segment_close(w, 0, e);
        if (st != ST_OK)
            return st;
    }
    return w->segment.open ? ST_OK : flush_segment_new(w, first_record, first_time_ns, false, e);
}

/* ---- frames ---- */

static void add_entry(struct segment_out *s, const struct journal_frame *f) {
    if (s->nentries == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->entries = mem_realloc(s->entries, s->cap * sizeof *s->entries);
    }
    s->entries[s->nentries++] = (struct segment_entry){f->first_record, f->first_time_ns, s->size};
}

/* Appends one frame; a block counts when its last one is there. After a failure nothing of the block is left. */
static enum status write_frame(struct store_writer *w, struct journal_frame *f, struct span plain, struct err *e) {
    struct world *world = w->store->world;
    struct segment_out *s = &w->segment;
    uint8_t header[JOURNAL_FRAME_HEADER];
    struct span stored;
    journal_pack(w->flusher->packer, f, plain, header, &stored);
    struct iovec iov[2] = {{header, sizeof header}, {(void *)stored.data, stored.size}};
    int rc = flush_segment_file(w);
    if (rc == 0)
        rc = store_write_at(w->store, s->fd, iov, 2, s->size + s->block_size);
    if (rc < 0) {
        if (s->fd >= 0)
            (void)world->ops->set_size(world, s->fd, s->size);
        s->block_size = 0;
        return flush_fail(w, e, rc, "write", s->first_record);
    }
    s->unsynced = true;
    s->block_size += sizeof header + stored.size;
    if (!journal_frame_is_last(f))
        return ST_OK;
    add_entry(s, f);
    s->size += s->block_size;
    s->block_size = 0;
    s->end_record = f->first_record + f->nrecords;
    s->end_time_ns = f->last_time_ns;
    kept_grew(w, s->size);
    /* full when it has earned its snapshot, too */
    uint64_t earned = s->size - s->opening;
    if (earned >= w->options.segment_bytes && earned >= s->opening)
        atomic_store(&w->segment_full, true);
    return ST_OK;
}

/* Frames the sealed block `seq` and frees it. */
static enum status flush_block(struct store_writer *w, uint64_t seq, struct err *e) {
    const struct tail_block *b = tail_block_at(w->map, seq);
    const uint8_t *data = w->map + tail_data_offset(seq);
    uint32_t size = (uint32_t)b->commit, reg = tail_seed(seq, b->first_record, b->first_time_ns);
    must(size > 0 && size <= TAIL_BLOCK_SIZE);
    must((uint32_t)(b->commit >> 32) == journal_crc_running(&reg, data, 0, size));

    uint64_t end_record = w->seal[seq % TAIL_NBLOCKS].end_record, end_time_ns = w->seal[seq % TAIL_NBLOCKS].end_time_ns;
    struct journal_frame f = {.block_size = size,
                              .nrecords = (uint32_t)(end_record - b->first_record),
                              .first_record = b->first_record,
                              .first_time_ns = b->first_time_ns,
                              .last_time_ns = end_time_ns};
    enum status st = make_room(w, f.first_record, f.first_time_ns, e);
    if (st == ST_OK)
        st = write_frame(w, &f, SPAN(data, size), e);
    if (st == ST_OK && w->options.sync == STORE_SYNC_EACH)
        st = durable_segment(w, e);
    if (st != ST_OK)
        return st;
    tail_block_free(w->map, seq, end_record, end_time_ns);
    w->plain += size;
    flush_count(w);
    return ST_OK;
}

/* ---- records that are larger than a block, and snapshots ---- */

struct stager {
    struct store_writer *w;
    struct journal_frame frame;
    size_t n; /* bytes that are staged */
    struct err *e;
};

static enum status stage(struct stager *g, const void *p, size_t n) {
    const uint8_t *from = p;
    while (n) {
        size_t k = JOURNAL_FRAME_MAX - g->n;
        if (k > n)
            k = n;
        memcpy(g->w->flusher->staging + g->n, from, k);
        g->n += k;
        from += k;
        n -= k;
        if (g->n == JOURNAL_FRAME_MAX || g->frame.block_offset + g->n == g->frame.block_size) {
            enum status st = write_frame(g->w, &g->frame, SPAN(g->w->flusher->staging, g->n), g->e);
            if (st != ST_OK)
                return st;
            g->frame.block_offset += (uint32_t)g->n;
            g->n = 0;
        }
    }
    return ST_OK;
}

/* Writes one record as a block of its own, in as many frames as it takes. */
static enum status flush_record(struct store_writer *w, const struct journal_record *r, struct err *e) {
    struct flusher *f = w->flusher;
    if (!f->staging) {
        f->staging = mem_alloc(JOURNAL_FRAME_MAX);
        f->big_encoder = journal_encoder_new();
    }
    uint8_t head[JOURNAL_HEAD_MAX];
    journal_encoder_reset(f->big_encoder, r->time_ns);
    size_t head_size = (size_t)(journal_encode_head(f->big_encoder, head, r) - head);
    struct stager g = {.w = w,
                       .e = e,
                       .frame = {.block_size = (uint32_t)(head_size + journal_payload(r)),
                                 .nrecords = 1,
                                 .first_record = r->number,
                                 .first_time_ns = r->time_ns,
                                 .last_time_ns = r->time_ns}};
    enum status st = stage(&g, head, head_size);
    for (uint32_t i = 0; i < r->nblobs; i++)
        for (uint32_t j = 0; j < r->blobs[i].npieces && st == ST_OK; j++)
            st = stage(&g, r->blobs[i].pieces[j].iov_base, r->blobs[i].pieces[j].iov_len);
    must(st != ST_OK || g.frame.block_offset == g.frame.block_size);
    return st;
}

static enum status serve_request(struct store_writer *w, struct err *e) {
    const struct journal_record *r = w->request.record;
    struct segment_out *s = &w->segment;
    enum status st = ST_OK;
    if (w->request.rotate) {
        if (s->open && s->nentries)
            st = flush_segment_close(w, 0, e);
        else if (s->open) { /* nothing in it: made anew under the same name */
            close_file(w);
            s->open = false;
            w->total -= w->kept[--w->nkept].size;
        }
        if (st == ST_OK)
            st = flush_segment_new(w, r->number, r->time_ns, true, e);
    } else {
        st = make_room(w, r->number, r->time_ns, e);
    }
    if (st == ST_OK)
        st = flush_record(w, r, e);
    if (st == ST_OK && w->request.rotate) {
        s->opening = s->size;
        atomic_store(&w->segment_full, false);
    }
    if (st == ST_OK && (w->options.sync == STORE_SYNC_EACH || (w->request.rotate && w->options.sync)))
        st = durable_segment(w, e);
    if (st == ST_OK && w->request.rotate)
        retain(w);
    return st;
}

void flush_run(struct store_writer *w) {
    if (atomic_load_explicit(&w->failed, memory_order_relaxed))
        return;
    enum status st = ST_OK;
    uint64_t seq = atomic_load_explicit(&w->freed, memory_order_relaxed);
    while (st == ST_OK && seq < atomic_load_explicit(&w->sealed, memory_order_acquire)) {
        st = flush_block(w, seq, &w->error);
        if (st == ST_OK)
            atomic_store_explicit(&w->freed, ++seq, memory_order_release);
    }
    if (st == ST_OK && atomic_exchange(&w->requested, false))
        st = serve_request(w, &w->error);
    flush_count(w);
    if (st != ST_OK)
        atomic_store_explicit(&w->failed, true, memory_order_release);
}
