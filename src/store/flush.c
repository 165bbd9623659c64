#include "store/writer.h"

#include "base/must.h"

#define SYNC_INTERVAL_NS 1000000000ull
/* With retention a segment waits for a snapshot to be closed, but not for ever. */
enum { PATIENCE = 4 };

static enum status fail(struct store_writer *w, struct err *e, int64_t rc, const char *what, uint64_t first_record) {
    char name[SEGMENT_NAME];
    segment_name(first_record, name);
    return store_fail(w->store, e, rc, what, "/runs/%s/%s", w->id, name);
}

/* ---- segments ---- */

static void keep(struct store_writer *w, bool snapshot) {
    const struct segment_out *s = &w->segment;
    if (w->nkept == w->kept_cap) {
        w->kept_cap = w->kept_cap ? w->kept_cap * 2 : 8;
        w->kept = mem_realloc(w->kept, w->kept_cap * sizeof *w->kept);
    }
    w->kept[w->nkept++] = (struct segment_kept){s->first_record, s->first_time_ns, s->size, snapshot};
}

/* Its name appears when its header is whole. */
enum status flush_segment_new(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns, bool snapshot,
                              struct err *e) {
    struct world *world = w->store->world;
    struct segment_out *s = &w->segment;
    must(s->fd < 0);
    struct segment_header h = {.first_record = first_record,
                               .first_time_ns = first_time_ns,
                               .flags = snapshot ? SEGMENT_SNAPSHOT : 0,
                               .info = w->info};
    buf_clear(&w->scratch);
    if (!segment_header_write(&w->scratch, &h))
        return err_set(e, ST_LIMIT,
                       "the run's arguments, environment and grants are larger than %d MiB: too much for the "
                       "journal; give the guest less",
                       SEGMENT_HEADER_MAX >> 20);

    char name[SEGMENT_NAME];
    segment_name(first_record, name);
    int fd = world->ops->open(world, w->dir, "new", WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_TRUNCATE, 0600);
    if (fd < 0)
        return fail(w, e, fd, "make", first_record);
    struct iovec iov = {w->scratch.data, w->scratch.size};
    int rc = store_write_at(w->store, fd, &iov, 1, 0);
    if (rc == 0 && w->options.sync != STORE_SYNC_NONE)
        rc = world->ops->sync(world, fd, false);
    if (rc == 0)
        rc = world->ops->rename(world, w->dir, "new", w->dir, name, 0);
    if (rc == 0 && w->options.sync != STORE_SYNC_NONE)
        rc = world->ops->sync(world, w->dir, false);
    if (rc < 0) {
        world->ops->close(world, fd);
        (void)world->ops->remove(world, w->dir, "new", 0, false);
        return fail(w, e, rc, "write", first_record);
    }
    *s = (struct segment_out){
        .fd = fd,
        .first_record = first_record,
        .end_record = first_record,
        .first_time_ns = first_time_ns,
        .end_time_ns = first_time_ns,
        .size = w->scratch.size,
        .opening = w->scratch.size,
        .entries = s->entries,
        .cap = s->cap,
    };
    keep(w, snapshot);
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
    buf_clear(&w->scratch);
    segment_index_write(&w->scratch, s->entries, &t);
    struct iovec iov = {w->scratch.data, w->scratch.size};
    int rc = store_write_at(w->store, s->fd, &iov, 1, s->size);
    if (rc < 0)
        (void)world->ops->set_size(world, s->fd, s->size);
    else if (w->options.sync != STORE_SYNC_NONE)
        rc = world->ops->sync(world, s->fd, true);
    if (rc < 0)
        return fail(w, e, rc, "write", s->first_record);
    w->kept[w->nkept - 1].size = t.file_size;
    world->ops->close(world, s->fd);
    s->fd = -1;
    s->nentries = 0;
    return ST_OK;
}

/* Closes a segment that is full. */
static enum status make_room(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns, struct err *e) {
    bool retention = w->options.keep_bytes || w->options.keep_ns;
    uint64_t limit = w->options.segment_bytes * (retention ? PATIENCE : 1);
    if (w->segment.fd >= 0 && w->segment.size - w->segment.opening >= limit && w->segment.nentries) {
        enum status st = flush_segment_close(w, 0, e);
        if (st != ST_OK)
            return st;
    }
    return w->segment.fd >= 0 ? ST_OK : flush_segment_new(w, first_record, first_time_ns, false, e);
}

/* ---- frames ---- */

static void add_entry(struct segment_out *s, const struct journal_frame *f) {
    if (s->nentries == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
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
    journal_pack(w->packer, f, plain, header, &stored);
    struct iovec iov[2] = {{header, sizeof header}, {(void *)stored.data, stored.size}};
    int rc = store_write_at(w->store, s->fd, iov, 2, s->size + s->block_size);
    if (rc < 0) {
        (void)world->ops->set_size(world, s->fd, s->size);
        s->block_size = 0;
        return fail(w, e, rc, "write", s->first_record);
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
    w->kept[w->nkept - 1].size = s->size;
    /* full when it has earned its snapshot, too */
    uint64_t earned = s->size - s->opening;
    if (earned >= w->options.segment_bytes && earned >= s->opening)
        atomic_store(&w->segment_full, true);
    return ST_OK;
}

static enum status sync_segment(struct store_writer *w, struct err *e) {
    struct segment_out *s = &w->segment;
    if (s->fd < 0 || !s->unsynced)
        return ST_OK;
    int rc = w->store->world->ops->sync(w->store->world, s->fd, true);
    if (rc < 0)
        return fail(w, e, rc, "sync", s->first_record);
    s->unsynced = false;
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
        st = sync_segment(w, e);
    if (st == ST_OK)
        tail_block_free(w->map, seq, end_record, end_time_ns);
    return st;
}

/* ---- records that are larger than a block, and snapshots ---- */

struct stager {
    struct store_writer *w;
    struct journal_frame frame;
    size_t n; /* bytes in w->staging */
    struct err *e;
};

static enum status stage(struct stager *g, const void *p, size_t n) {
    const uint8_t *from = p;
    while (n) {
        size_t k = JOURNAL_FRAME_MAX - g->n;
        if (k > n)
            k = n;
        memcpy(g->w->staging + g->n, from, k);
        g->n += k;
        from += k;
        n -= k;
        if (g->n == JOURNAL_FRAME_MAX || g->frame.block_offset + g->n == g->frame.block_size) {
            enum status st = write_frame(g->w, &g->frame, SPAN(g->w->staging, g->n), g->e);
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
    if (!w->staging) {
        w->staging = mem_alloc(JOURNAL_FRAME_MAX);
        w->big_encoder = journal_encoder_new();
    }
    uint8_t head[JOURNAL_HEAD_MAX];
    journal_encoder_reset(w->big_encoder, r->time_ns);
    size_t head_size = (size_t)(journal_encode_head(w->big_encoder, head, r) - head);
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
        if (s->fd >= 0 && s->nentries)
            st = flush_segment_close(w, 0, e);
        else if (s->fd >= 0) { /* nothing in it: made anew under the same name */
            w->store->world->ops->close(w->store->world, s->fd);
            s->fd = -1;
            w->nkept--;
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
        st = sync_segment(w, e);
    if (st == ST_OK && w->request.rotate)
        retain(w);
    return st;
}

/* ---- durability ---- */

/* Makes what is committed now survive a power cut. The order matters: a block's bytes, then the word that vouches for
 * them. */
static enum status sync_all(struct store_writer *w, struct err *e) {
    struct world *world = w->store->world;
    enum status st = sync_segment(w, e);
    if (st != ST_OK)
        return st;
    int rc = 0;
    if (!w->object_synced) {
        rc = store_sync_object(w->store, &w->info.module);
        if (rc < 0)
            return store_fail(w->store, e, rc, "sync", "/objects");
        w->object_synced = true;
    }
    uint64_t commit[TAIL_NBLOCKS] = {0};
    bool news = false;
    for (uint64_t seq = atomic_load(&w->freed), n = 0; n < TAIL_NBLOCKS; n++, seq++) {
        struct tail_block *b = tail_block_at(w->map, seq);
        if (atomic_load((_Atomic uint64_t *)&b->state) != tail_state_word(TAIL_OPEN, seq))
            continue;
        uint64_t c = atomic_load((_Atomic uint64_t *)&b->commit);
        news |= c != b->durable;
        commit[seq % TAIL_NBLOCKS] = c;
    }
    if (!news)
        return ST_OK;
    rc = world->ops->sync_map(world, w->map, TAIL_SIZE);
    for (unsigned i = 0; rc == 0 && i < TAIL_NBLOCKS; i++)
        if (commit[i])
            atomic_store((_Atomic uint64_t *)&tail_block_at(w->map, i)->durable, commit[i]);
    if (rc == 0)
        rc = world->ops->sync_map(world, w->map, TAIL_PAGE);
    return rc < 0 ? store_fail(w->store, e, rc, "sync", "/runs/%s/tail", w->id) : ST_OK;
}

void flush_run(void *arg) {
    struct store_writer *w = arg;
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
    if (st == ST_OK && w->options.sync == STORE_SYNC_INTERVAL) {
        uint64_t now = world_now(w->store->world, WORLD_MONOTONIC);
        if (now - w->synced_ns >= SYNC_INTERVAL_NS) {
            st = sync_all(w, &w->error);
            w->synced_ns = now;
        }
    }
    if (st != ST_OK)
        atomic_store_explicit(&w->failed, true, memory_order_release);
}
