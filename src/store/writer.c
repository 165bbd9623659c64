#include "store/writer.h"

#include "base/must.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_SEGMENT_BYTES (64ull << 20)
#define LEAST_SEGMENT_BYTES   (64ull << 10)
#define DEFAULT_FLUSH_NS      1000000000ull
/* What a run that has reached its max_bytes may still take, for its END. */
#define END_RESERVE (16ull << 10)
/* What a block of the tail has of the disk at first; a power of two below its size. */
#define FIRST_ROOM (32u << 10)
/* Retention drops whole segments: the bound is met to about one part in so many. */
enum { SEGMENTS_KEPT = 8 };

/* ---- the open block ---- */

/* Room on the disk for bytes of the tail: a store to the map can then not fail. */
static int allocate(struct store_writer *w, uint64_t offset, uint64_t size) {
    struct world *world = w->store->world;
    int rc = world->ops->allocate(world, w->tail, offset, size);
    if (rc == -EOPNOTSUPP) {
        struct iovec zeros = {mem_zalloc(size), size};
        void *p = zeros.iov_base;
        rc = store_write_at(w->store, w->tail, &zeros, 1, offset);
        mem_free(p);
    }
    return rc;
}

/* Up to where there is room. The checksum looks at the word behind the last byte. */
static void set_end(struct store_writer *w) {
    uint32_t n = w->allocated[w->seq % TAIL_NBLOCKS];
    w->end = w->data + (n == 0 || n == TAIL_BLOCK_SIZE ? n : n - 8);
}

/* Twice the room for the open block. */
static enum status grow(struct store_writer *w, struct err *e) {
    uint32_t *n = &w->allocated[w->seq % TAIL_NBLOCKS], more = *n ? *n : FIRST_ROOM;
    int rc = allocate(w, tail_data_offset(w->seq) + *n, more);
    if (rc < 0)
        return store_fail(w->store, e, rc, "make room in", "/runs/%s/tail", w->id);
    *n += more;
    set_end(w);
    return ST_OK;
}

static void open_block(struct store_writer *w) {
    tail_block_open(w->map, w->seq, w->next, w->last_time_ns);
    w->data = w->at = w->map + tail_data_offset(w->seq);
    set_end(w);
    w->commit = (_Atomic uint64_t *)&tail_block_at(w->map, w->seq)->commit;
    w->crc = tail_seed(w->seq, w->next, w->last_time_ns);
    w->deadline_ns = 0;
    journal_encoder_reset(w->encoder, w->last_time_ns);
}

static inline void commit(struct store_writer *w, uint8_t *to) {
    size_t size = (size_t)(to - w->data);
    uint32_t crc = journal_crc_running(&w->crc, w->data, (size_t)(w->at - w->data), size);
    atomic_store_explicit(w->commit, tail_commit_word((uint32_t)size, crc), memory_order_release);
    w->at = to;
}

/* Hands the open block to the worker. */
static void seal_block(struct store_writer *w) {
    w->seal[w->seq % TAIL_NBLOCKS].end_record = w->next;
    w->seal[w->seq % TAIL_NBLOCKS].end_time_ns = w->last_time_ns;
    w->before += (uint64_t)(w->at - w->data);
    w->at = w->data; /* counted */
    w->seq++;
    atomic_store_explicit(&w->sealed, w->seq, memory_order_release);
    flusher_kick(w);
}

static enum status failure(struct store_writer *w, struct err *e) {
    must(atomic_load_explicit(&w->failed, memory_order_acquire));
    return err_set(e, w->error.status, "%s", w->error.text);
}

static enum status drain(struct store_writer *w, struct err *e) {
    flusher_drain(w);
    return atomic_load_explicit(&w->failed, memory_order_acquire) ? failure(w, e) : ST_OK;
}

/* The next block; waits when all are full. */
static enum status next_block(struct store_writer *w, struct err *e) {
    if (w->at == w->data)
        return ST_OK;
    seal_block(w);
    if (w->seq - atomic_load_explicit(&w->freed, memory_order_acquire) == TAIL_NBLOCKS) {
        enum status st = drain(w, e);
        if (st != ST_OK) {
            w->at = w->data = w->end = NULL; /* nothing is open any more */
            return st;
        }
    }
    open_block(w);
    return ST_OK;
}

/* Makes the open block one in which a record of at most `most` bytes has room: grows it, or opens the next. */
static enum status make_room(struct store_writer *w, uint64_t most, uint64_t time_ns, struct err *e) {
    enum status st = ST_OK;
    if (time_ns >= w->deadline_ns || most > (uint64_t)(w->data + TAIL_BLOCK_SIZE - w->at)) {
        st = next_block(w, e);
        w->deadline_ns = time_ns + w->options.flush_ns;
    }
    while (st == ST_OK && most > (size_t)(w->end - w->at))
        st = grow(w, e);
    return st;
}

/* Lets the worker write a record that goes past the tail. It is in its segment when this returns; and the block opened
 * then says so, so that a segment that lost it is found out. */
static enum status append_straight(struct store_writer *w, struct journal_record *r, bool rotate, struct err *e) {
    if (journal_payload(r) > JOURNAL_RECORD_MAX)
        return err_set(e, ST_LIMIT, "a record of %llu bytes is too large for the journal (at most %u)",
                       (unsigned long long)journal_payload(r), JOURNAL_RECORD_MAX);
    must(r->time_ns >= w->last_time_ns);
    if (w->at > w->data)
        seal_block(w);
    r->number = w->next;
    w->request.record = r;
    w->request.rotate = rotate;
    atomic_store_explicit(&w->requested, true, memory_order_release);
    flusher_kick(w);
    enum status st = drain(w, e);
    if (st != ST_OK)
        return st;
    w->next++;
    w->last_time_ns = r->time_ns;
    open_block(w);
    return ST_OK;
}

/* ---- appending ---- */

/* Durable before the guest goes on. The word that vouches for the record may reach the disk before the record does:
 * until `durable` says the same, a reader falls back on the record before. */
static enum status sync_append(struct store_writer *w, struct err *e) {
    struct world *world = w->store->world;
    int rc = world->ops->sync_map(world, w->map, TAIL_SIZE);
    if (rc < 0)
        return store_fail(w->store, e, rc, "sync", "/runs/%s/tail", w->id);
    struct tail_block *b = tail_block_at(w->map, w->seq);
    atomic_store_explicit((_Atomic uint64_t *)&b->durable, b->commit, memory_order_release);
    return ST_OK;
}

static void note_end(struct store_writer *w, const struct journal_record *r) {
    if (r->guest != 0)
        return;
    w->ended = true;
    w->outcome_kind = r->nvals > 0 ? r->vals[0] : 0;
    w->outcome_value = r->nvals > 1 ? r->vals[1] : 0;
}

uint64_t store_run_bytes(const struct store_writer *w) {
    int64_t excess = atomic_load_explicit(&w->excess, memory_order_acquire);
    return w->before + (uint64_t)(w->at - w->data) + (uint64_t)excess;
}

/* Whether a record that takes at most so many bytes may still come. Blocks that wait for the worker count as they are
 * until they are compressed. */
__attribute__((noinline)) static enum status within_limit(struct store_writer *w, const struct journal_record *r,
                                                          uint64_t most, struct err *e) {
    uint64_t max = w->options.max_bytes;
    if (r->type == JOURNAL_END || store_run_bytes(w) + most + END_RESERVE <= max)
        return ST_OK;
    if (atomic_load_explicit(&w->freed, memory_order_acquire) < w->seq) {
        enum status st = drain(w, e);
        if (st != ST_OK)
            return st;
        if (store_run_bytes(w) + most + END_RESERVE <= max)
            return ST_OK;
    }
    return err_set(e, ST_LIMIT,
                   "the journal has %llu bytes and may have no more than %llu; allow it more (--journal-max), or keep "
                   "only its end (--keep-last)",
                   (unsigned long long)store_run_bytes(w), (unsigned long long)max);
}

enum status store_append(struct store_writer *w, struct journal_record *r, struct err *e) {
    must(r->type != JOURNAL_SNAPSHOT);
    if (UNLIKELY(atomic_load_explicit(&w->failed, memory_order_relaxed)))
        return failure(w, e);
    uint64_t most = JOURNAL_HEAD_MAX + journal_payload(r);
    if (UNLIKELY(w->options.max_bytes)) {
        enum status st = within_limit(w, r, most, e);
        if (st != ST_OK)
            return st;
    }
    if (UNLIKELY(most > TAIL_BLOCK_SIZE))
        return append_straight(w, r, false, e);
    if (UNLIKELY(most > (size_t)(w->end - w->at) || r->time_ns >= w->deadline_ns)) {
        enum status st = make_room(w, most, r->time_ns, e);
        if (st != ST_OK)
            return st;
    }
    commit(w, journal_encode(w->encoder, w->at, r));
    r->number = w->next++;
    w->last_time_ns = r->time_ns;
    if (UNLIKELY(r->type == JOURNAL_END))
        note_end(w, r);
    return UNLIKELY(w->sync_each) ? sync_append(w, e) : ST_OK;
}

bool store_wants_snapshot(const struct store_writer *w) {
    const struct store_options *o = &w->options;
    if (!o->keep_bytes && !o->keep_ns)
        return false;
    return atomic_load_explicit(&w->segment_full, memory_order_relaxed) ||
           (o->keep_ns && w->last_time_ns - w->snapshot_time_ns >= o->keep_ns / SEGMENTS_KEPT);
}

enum status store_snapshot(struct store_writer *w, struct journal_record *snapshot, struct err *e) {
    must(snapshot->type == JOURNAL_SNAPSHOT);
    if (atomic_load_explicit(&w->failed, memory_order_relaxed))
        return failure(w, e);
    enum status st = w->options.max_bytes ? within_limit(w, snapshot, journal_payload(snapshot), e) : ST_OK;
    if (st == ST_OK)
        st = append_straight(w, snapshot, true, e);
    if (st == ST_OK)
        w->snapshot_time_ns = snapshot->time_ns;
    return st;
}

/* ---- beginning and end ---- */

/* Makes the tail. A run that writes little takes little of the disk. */
static int make_tail(struct store_writer *w) {
    struct world *world = w->store->world;
    void *map;
    char path[RUN_PATH];
    w->tail = world->ops->open(world, w->parent, flush_path(w, "tail", path),
                               WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, 0600);
    if (w->tail < 0)
        return w->tail;
    int rc = world->ops->lock(world, w->tail, true);
    if (rc == 0)
        rc = world->ops->set_size(world, w->tail, TAIL_SIZE);
    if (rc == 0)
        rc = allocate(w, 0, TAIL_PAGE + FIRST_ROOM);
    if (rc == 0)
        rc = world->ops->map(world, w->tail, TAIL_SIZE, true, &map);
    if (rc < 0)
        return rc;
    w->map = map;
    w->allocated[0] = FIRST_ROOM;
    tail_format(w->map, &w->run, w->options.sync);
    return 0;
}

static void writer_free(struct store_writer *w) {
    struct world *world = w->store->world;
    if (w->segment.fd >= 0)
        world->ops->close(world, w->segment.fd);
    if (w->map)
        (void)world->ops->unmap(world, w->map, TAIL_SIZE);
    if (w->tail >= 0)
        world->ops->close(world, w->tail);
    journal_encoder_free(w->encoder);
    mem_free(w->segment.entries);
    mem_free(w->kept);
    buf_deinit(&w->header);
    free(w);
}

static enum status writer_new(struct store *s, const struct store_info *info, const struct store_options *o,
                              struct store_writer **out, struct err *e) {
    struct buf header;
    buf_init(&header, SEGMENT_HEADER_MAX);
    if (!segment_header_write(&header, &(struct segment_header){.info = *info})) {
        buf_deinit(&header);
        return err_set(e, ST_LIMIT,
                       "the run's arguments, environment and grants are larger than %d MiB: too much for the journal; "
                       "give the guest less",
                       SEGMENT_HEADER_MAX >> 20);
    }
    if (o->max_bytes && o->max_bytes < header.size + 2 * END_RESERVE) {
        uint64_t least = header.size + 2 * END_RESERVE;
        buf_deinit(&header);
        return err_set(e, ST_LIMIT, "a journal of at most %llu bytes is too small for this run: it takes %llu",
                       (unsigned long long)o->max_bytes, (unsigned long long)least);
    }
    struct store_writer *w = aligned_alloc(_Alignof(struct store_writer), sizeof *w);
    must(w);
    memset(w, 0, sizeof *w);
    w->store = s;
    w->parent = s->tmp;
    w->tail = w->segment.fd = -1;
    w->run = info->id;
    w->module = info->module;
    w->header = header;
    store_id_text(&w->run, w->id);
    w->options = *o;
    if (!w->options.segment_bytes)
        w->options.segment_bytes = DEFAULT_SEGMENT_BYTES;
    if (w->options.keep_bytes && w->options.segment_bytes > w->options.keep_bytes / SEGMENTS_KEPT)
        w->options.segment_bytes = w->options.keep_bytes / SEGMENTS_KEPT;
    if (w->options.segment_bytes < LEAST_SEGMENT_BYTES)
        w->options.segment_bytes = LEAST_SEGMENT_BYTES;
    if (!w->options.flush_ns)
        w->options.flush_ns = DEFAULT_FLUSH_NS;
    w->sync_each = o->sync == STORE_SYNC_EACH;
    w->encoder = journal_encoder_new();
    *out = w;
    return ST_OK;
}

/* Fills a directory in tmp/, and gives it its place when it is a run. */
static enum status make_run(struct store_writer *w, struct err *e) {
    struct store *s = w->store;
    struct world *world = s->world;
    int rc = world->ops->make_dir(world, s->tmp, w->id, 0, 0700);
    if (rc < 0)
        return store_fail(s, e, rc, "make", "/tmp/%s", w->id);
    rc = make_tail(w);
    if (rc < 0)
        return store_fail(s, e, rc, "make", "/tmp/%s/tail", w->id);
    enum status st = flush_segment_new(w, 0, 0, false, e);
    if (st != ST_OK)
        return st;
    rc = world->ops->rename(world, s->tmp, w->id, s->runs, w->id, 0);
    if (rc < 0)
        return store_fail(s, e, rc, "make", "/runs/%s", w->id);
    w->parent = s->runs;
    if (!w->sync_each) /* otherwise it is the worker's, in a moment */
        return ST_OK;
    st = durable_begin(w, e);
    if (st != ST_OK)
        (void)store_remove_tree(s, s->runs, w->id);
    return st;
}

enum status store_run_new(struct store *s, struct store_info *info, const struct store_options *o,
                          struct store_writer **out, struct err *e) {
    struct world *world = s->world;
    uint64_t now;
    struct store_id id;
    int rc = world->ops->clock(world, WORLD_REALTIME, &now);
    if (rc == 0)
        rc = store_id_new(s, now, &id);
    if (rc < 0)
        return store_fail(s, e, rc, "read the clock for a run in", "%s", "");
    info->id = id;
    info->started_ns = now;
    struct store_writer *w = NULL;
    enum status st = writer_new(s, info, o, &w, e);
    if (st != ST_OK)
        return st;
    st = make_run(w, e);
    if (st != ST_OK) {
        (void)store_remove_tree(s, s->tmp, w->id);
        writer_free(w);
        return st;
    }
    w->synced_ns = world_now(world, WORLD_MONOTONIC);
    open_block(w);
    (void)flusher_of(s);
    flusher_kick(w); /* so that they know each other */
    *out = w;
    return ST_OK;
}

enum status store_run_close(struct store_writer *w, struct err *e) {
    struct world *world = w->store->world;
    if (!atomic_load(&w->failed) && w->at > w->data)
        seal_block(w);
    flusher_leave(w);
    enum status st = atomic_load(&w->failed) ? failure(w, e) : ST_OK;
    if (st == ST_OK && !w->segment.open)
        st = flush_segment_new(w, w->next, w->last_time_ns, false, e);
    if (st == ST_OK)
        st = flush_segment_close(w, SEGMENT_FINAL | (w->ended ? SEGMENT_ENDED : 0), e);
    if (st == ST_OK && w->options.sync != STORE_SYNC_NONE && !w->begun)
        st = durable_begin(w, e);
    if (st == ST_OK) {
        char path[RUN_PATH];
        int rc = world->ops->remove(world, w->parent, flush_path(w, "tail", path), 0, false);
        if (rc < 0)
            st = store_fail(w->store, e, rc, "finish", "/runs/%s", w->id);
    }
    writer_free(w);
    return st;
}
