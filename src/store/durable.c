#include "store/writer.h"

enum status durable_segment(struct store_writer *w, struct err *e) {
    struct segment_out *s = &w->segment;
    if (!s->open || !s->unsynced)
        return ST_OK;
    int rc = flush_segment_file(w);
    if (rc == 0)
        rc = w->store->world->ops->sync(w->store->world, s->fd, true);
    if (rc < 0)
        return flush_fail(w, e, rc, "sync", s->first_record);
    s->unsynced = false;
    return ST_OK;
}

int durable_dir(struct store *s, int parent, const char *name) {
    int fd = store_open_dir(s, parent, name);
    if (fd < 0)
        return fd;
    int rc = s->world->ops->sync(s->world, fd, false);
    s->world->ops->close(s->world, fd);
    return rc;
}

/* What it consists of first, then what leads there. */
enum status durable_begin(struct store_writer *w, struct err *e) {
    struct store *s = w->store;
    int rc = store_sync_object(s, &w->module);
    if (rc < 0)
        return store_fail(s, e, rc, "sync", "/objects");
    enum status st = durable_segment(w, e);
    if (st != ST_OK)
        return st;
    rc = s->world->ops->sync_map(s->world, w->map, TAIL_SIZE);
    if (rc == 0)
        rc = durable_dir(s, w->parent, w->id);
    if (rc == 0)
        rc = s->world->ops->sync(s->world, s->runs, false);
    if (rc < 0)
        return store_fail(s, e, rc, "sync", "/runs/%s", w->id);
    w->begun = true;
    return ST_OK;
}

/* The order matters: a block's bytes, then the word that vouches for them. */
enum status durable_all(struct store_writer *w, bool *news, struct err *e) {
    struct world *world = w->store->world;
    *news = !w->begun || (w->segment.open && w->segment.unsynced);
    enum status st = w->begun ? durable_segment(w, e) : durable_begin(w, e);
    if (st != ST_OK)
        return st;
    uint64_t commit[TAIL_NBLOCKS] = {0};
    bool appended = false;
    for (uint64_t seq = atomic_load(&w->freed), n = 0; n < TAIL_NBLOCKS; n++, seq++) {
        struct tail_block *b = tail_block_at(w->map, seq);
        if (atomic_load((_Atomic uint64_t *)&b->state) != tail_state_word(TAIL_OPEN, seq))
            continue;
        uint64_t c = atomic_load((_Atomic uint64_t *)&b->commit);
        appended |= c != b->durable && (uint32_t)c != 0;
        commit[seq % TAIL_NBLOCKS] = c;
    }
    if (!appended)
        return ST_OK;
    *news = true;
    int rc = world->ops->sync_map(world, w->map, TAIL_SIZE);
    for (unsigned i = 0; rc == 0 && i < TAIL_NBLOCKS; i++)
        if (commit[i])
            atomic_store((_Atomic uint64_t *)&tail_block_at(w->map, i)->durable, commit[i]);
    if (rc == 0)
        rc = world->ops->sync_map(world, w->map, TAIL_PAGE);
    return rc < 0 ? store_fail(w->store, e, rc, "sync", "/runs/%s/tail", w->id) : ST_OK;
}
