#include "store/writer.h"

#include "base/must.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_SEGMENT_BYTES (64ull << 20)
#define LEAST_SEGMENT_BYTES   (64ull << 10)
#define DEFAULT_FLUSH_NS      1000000000ull
/* Retention drops whole segments: the bound is met to about one part in so many. */
enum { SEGMENTS_KEPT = 8 };

/* ---- the open block ---- */

static void open_block(struct store_writer *w) {
    tail_block_open(w->map, w->seq, w->next, w->last_time_ns);
    w->data = w->at = w->map + tail_data_offset(w->seq);
    w->end = w->data + TAIL_BLOCK_SIZE;
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
    w->seq++;
    atomic_store_explicit(&w->sealed, w->seq, memory_order_release);
    w->store->world->ops->worker_kick(w->store->world, w->worker);
}

static enum status failure(struct store_writer *w, struct err *e) {
    must(atomic_load_explicit(&w->failed, memory_order_acquire));
    return err_set(e, w->error.status, "%s", w->error.text);
}

static enum status drain(struct store_writer *w, struct err *e) {
    w->store->world->ops->worker_drain(w->store->world, w->worker);
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
    w->store->world->ops->worker_kick(w->store->world, w->worker);
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

enum status store_append(struct store_writer *w, struct journal_record *r, struct err *e) {
    must(r->type != JOURNAL_SNAPSHOT);
    if (UNLIKELY(atomic_load_explicit(&w->failed, memory_order_relaxed)))
        return failure(w, e);
    uint64_t most = JOURNAL_HEAD_MAX + journal_payload(r);
    if (UNLIKELY(most > TAIL_BLOCK_SIZE))
        return append_straight(w, r, false, e);
    if (UNLIKELY(most > (size_t)(w->end - w->at) || r->time_ns >= w->deadline_ns)) {
        enum status st = next_block(w, e);
        if (st != ST_OK)
            return st;
        w->deadline_ns = r->time_ns + w->options.flush_ns;
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
    enum status st = append_straight(w, snapshot, true, e);
    if (st == ST_OK)
        w->snapshot_time_ns = snapshot->time_ns;
    return st;
}

/* ---- beginning and end ---- */

static const char *const *copy_strings(struct arena *a, const char *const *s, uint32_t n) {
    const char **copy = ARENA_ARRAY(a, const char *, n);
    for (uint32_t i = 0; i < n; i++)
        copy[i] = arena_strndup(a, s[i], strlen(s[i]));
    return copy;
}

static void copy_info(struct store_writer *w, const struct store_info *from) {
    struct arena *a = &w->arena;
    const char *name = from->module_name ? from->module_name : "",
               *version = from->aeon_version ? from->aeon_version : "";
    w->info = *from;
    w->info.module_name = arena_strndup(a, name, strlen(name));
    w->info.aeon_version = arena_strndup(a, version, strlen(version));
    w->info.args = copy_strings(a, from->args, from->nargs);
    w->info.env = copy_strings(a, from->env, from->nenv);
    w->info.grants = copy_strings(a, from->grants, from->ngrants);
    w->info.limit_names = copy_strings(a, from->limit_names, from->nlimits);
    uint64_t *values = ARENA_ARRAY(a, uint64_t, from->nlimits);
    for (uint32_t i = 0; i < from->nlimits; i++)
        values[i] = from->limit_values[i];
    w->info.limit_values = values;
}

/* Makes the tail, all of it allocated: a store to the map can then not fail. */
static int make_tail(struct store_writer *w) {
    struct world *world = w->store->world;
    void *map;
    w->tail = world->ops->open(world, w->dir, "tail", WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE, 0600);
    if (w->tail < 0)
        return w->tail;
    int rc = world->ops->lock(world, w->tail, true);
    if (rc == 0)
        rc = world->ops->allocate(world, w->tail, 0, TAIL_SIZE);
    if (rc == -EOPNOTSUPP) {
        struct iovec zeros = {mem_zalloc(TAIL_SIZE), TAIL_SIZE};
        void *p = zeros.iov_base;
        rc = store_write_at(w->store, w->tail, &zeros, 1, 0);
        mem_free(p);
    }
    if (rc == 0)
        rc = world->ops->map(world, w->tail, TAIL_SIZE, true, &map);
    if (rc < 0)
        return rc;
    w->map = map;
    tail_format(w->map, &w->info.id, w->options.sync);
    if (w->options.sync != STORE_SYNC_NONE)
        rc = world->ops->sync_map(world, w->map, TAIL_SIZE);
    return rc < 0 ? rc : 0;
}

static void writer_free(struct store_writer *w) {
    struct world *world = w->store->world;
    if (w->worker)
        world->ops->worker_free(world, w->worker);
    if (w->segment.fd >= 0)
        world->ops->close(world, w->segment.fd);
    if (w->map)
        (void)world->ops->unmap(world, w->map, TAIL_SIZE);
    if (w->tail >= 0)
        world->ops->close(world, w->tail);
    if (w->dir >= 0)
        world->ops->close(world, w->dir);
    journal_encoder_free(w->encoder);
    journal_encoder_free(w->big_encoder);
    journal_packer_free(w->packer);
    mem_free(w->staging);
    mem_free(w->segment.entries);
    mem_free(w->kept);
    buf_deinit(&w->scratch);
    arena_deinit(&w->arena);
    free(w);
}

static struct store_writer *writer_new(struct store *s, const struct store_info *info, const struct store_options *o) {
    struct store_writer *w = aligned_alloc(_Alignof(struct store_writer), sizeof *w);
    must(w);
    memset(w, 0, sizeof *w);
    w->store = s;
    w->dir = w->tail = w->segment.fd = -1;
    arena_init(&w->arena);
    buf_init(&w->scratch, SIZE_MAX / 2);
    copy_info(w, info);
    store_id_text(&w->info.id, w->id);
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
    w->packer = journal_packer_new();
    return w;
}

/* Fills a directory in tmp/, and gives it its place when it is a run. */
static enum status make_run(struct store_writer *w, struct err *e) {
    struct store *s = w->store;
    struct world *world = s->world;
    int rc = world->ops->make_dir(world, s->tmp, w->id, 0, 0700);
    if (rc == 0)
        rc = w->dir = store_open_dir(s, s->tmp, w->id);
    if (rc < 0)
        return store_fail(s, e, rc, "make", "/tmp/%s", w->id);
    rc = make_tail(w);
    if (rc < 0)
        return store_fail(s, e, rc, "make", "/tmp/%s/tail", w->id);
    enum status st = flush_segment_new(w, 0, 0, false, e);
    if (st != ST_OK)
        return st;
    bool durable = w->options.sync != STORE_SYNC_NONE;
    if (w->sync_each)
        rc = store_sync_object(s, &w->info.module);
    if (rc >= 0 && durable)
        rc = world->ops->sync(world, w->dir, false);
    if (rc >= 0)
        rc = world->ops->rename(world, s->tmp, w->id, s->runs, w->id, 0);
    if (rc >= 0 && durable)
        rc = world->ops->sync(world, s->runs, false);
    return rc < 0 ? store_fail(s, e, rc, "make", "/runs/%s", w->id) : ST_OK;
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
    struct store_writer *w = writer_new(s, info, o);
    enum status st = make_run(w, e);
    if (st != ST_OK) {
        (void)store_remove_tree(s, s->tmp, w->id);
        writer_free(w);
        return st;
    }
    w->object_synced = w->sync_each;
    w->synced_ns = world_now(world, WORLD_MONOTONIC);
    open_block(w);
    w->worker = world->ops->worker_new(world, flush_run, w, o->sync == STORE_SYNC_INTERVAL ? 1000 : 0);
    *out = w;
    return ST_OK;
}

enum status store_run_close(struct store_writer *w, struct err *e) {
    struct world *world = w->store->world;
    if (!atomic_load(&w->failed) && w->at > w->data)
        seal_block(w);
    world->ops->worker_free(world, w->worker);
    w->worker = NULL;
    enum status st = atomic_load(&w->failed) ? failure(w, e) : ST_OK;
    if (st == ST_OK && w->segment.fd < 0)
        st = flush_segment_new(w, w->next, w->last_time_ns, false, e);
    if (st == ST_OK)
        st = flush_segment_close(w, SEGMENT_FINAL | (w->ended ? SEGMENT_ENDED : 0), e);
    int rc = 0;
    if (st == ST_OK && w->options.sync != STORE_SYNC_NONE && !w->object_synced)
        rc = store_sync_object(w->store, &w->info.module);
    if (st == ST_OK && rc == 0)
        rc = world->ops->remove(world, w->dir, "tail", 0, false);
    if (rc < 0)
        st = store_fail(w->store, e, rc, "finish", "/runs/%s", w->id);
    writer_free(w);
    return st;
}
