#include "store/reader.h"

#include "base/must.h"

#include <inttypes.h>

static enum status io_fail(const struct store_reader *r, int64_t rc, struct err *e) {
    return store_fail(r->store, e, rc, "read", "/runs/%s/tail", r->text);
}

static enum status read_page(struct store_reader *r, uint8_t page[TAIL_PAGE], struct err *e) {
    struct world *w = r->store->world;
    struct world_stat stat;
    struct err why = ERR_INIT;
    int rc = w->ops->stat(w, r->tail, &stat);
    if (rc == 0 && stat.size >= TAIL_PAGE)
        rc = store_read_at(r->store, r->tail, page, TAIL_PAGE, 0);
    if (rc < 0)
        return io_fail(r, rc, e);
    if (stat.size < TAIL_PAGE)
        return store_reader_fail(r, e, ST_TRUNCATED, "tail", "%" PRIu64 " bytes long, not %d", stat.size, TAIL_SIZE);
    enum status st = tail_header_check(page, stat.size, &r->id, &why);
    return st == ST_OK ? ST_OK : store_reader_fail(r, e, st, "tail", "%s", why.text);
}

static enum status bad_block(const struct store_reader *r, struct err *e, unsigned i, const char *what) {
    return store_reader_fail(r, e, ST_CORRUPT, "tail", "block %u, header at byte %zu: %s", i,
                             TAIL_HEADER + i * sizeof(struct tail_block), what);
}

enum status reader_tail_look(struct store_reader *r, struct tail_view *v, struct err *e) {
    uint8_t page[TAIL_PAGE];
    enum status st = read_page(r, page, e);
    if (st != ST_OK)
        return st;
    v->frontier = v->frontier_time_ns = 0;
    for (unsigned i = 0; i < TAIL_NBLOCKS; i++) {
        v->block[i] = *tail_block_at(page, i);
        if (!tail_state_parse(v->block[i].state, &v->kind[i], &v->seq[i]) || v->seq[i] % TAIL_NBLOCKS != i)
            return bad_block(r, e, i, "impossible state");
        if (v->kind[i] != TAIL_CHANGING && v->block[i].first_record >= v->frontier) {
            v->frontier = v->block[i].first_record;
            v->frontier_time_ns = v->block[i].first_time_ns;
        }
    }
    return ST_OK;
}

/* The checksum of the first `size` bytes. */
static uint32_t checksum(const struct tail_block *b, uint32_t seq, const uint8_t *data, uint32_t size) {
    uint32_t reg = tail_seed(seq, b->first_record, b->first_time_ns);
    return journal_crc_running(&reg, data, 0, size);
}

static bool vouches(uint64_t commit, const struct tail_block *b, uint32_t seq, const uint8_t *data, uint32_t most) {
    uint32_t size = (uint32_t)commit;
    return size <= most && checksum(b, seq, data, size) == commit >> 32;
}

/* ---- reading what a writer may be changing ---- */

/* Brings r->block up to the bytes committed in `b`, of which it has `from` already. */
static enum status read_block(struct store_reader *r, const struct tail_block *b, unsigned i, uint32_t seq, size_t from,
                              struct err *e) {
    uint32_t size = (uint32_t)b->commit;
    int rc = 0;
    if (size <= TAIL_BLOCK_SIZE && from < size)
        rc = store_read_at(r->store, r->tail, r->block.data + from, size - from, tail_data_offset(i) + from);
    if (rc < 0)
        return io_fail(r, rc, e);
    struct tail_view again;
    enum status st = reader_tail_look(r, &again, e);
    if (st != ST_OK)
        return st;
    if (again.block[i].state != b->state)
        return ST_BUSY; /* what was read may be anything */
    if (size <= TAIL_BLOCK_SIZE && from <= size) {
        uint32_t reg = r->block_crc;
        if (journal_crc_running(&reg, r->block.data, from, size) == b->commit >> 32) {
            r->block_crc = reg;
            r->block.size = size;
            return ST_OK;
        }
    }
    if (again.block[i].commit != b->commit)
        return ST_BUSY;
    /* Bytes and checksum do not agree, and nobody is at work on them.  What reached the disk for certain before a power
     * cut still counts. */
    uint32_t durable = (uint32_t)b->durable;
    if (b->durable && durable >= from && durable <= size && size <= TAIL_BLOCK_SIZE &&
        vouches(b->durable, b, seq, r->block.data, TAIL_BLOCK_SIZE) && durable > r->pos) {
        r->block.size = durable;
        r->block_state = 0; /* never continued */
        return ST_OK;
    }
    return store_reader_fail(r, e, ST_CORRUPT, "tail",
                             "block %u, bytes %zu to %zu (record %" PRIu64 " and later): the checksum does not match",
                             i, tail_data_offset(i), tail_data_offset(i) + size, b->first_record);
}

enum status reader_tail_load(struct store_reader *r, const struct tail_view *v, uint64_t n, struct err *e) {
    unsigned i = TAIL_NBLOCKS;
    for (unsigned k = 0; k < TAIL_NBLOCKS; k++)
        if (v->kind[k] == TAIL_OPEN && v->block[k].first_record <= n &&
            (i == TAIL_NBLOCKS || v->block[k].first_record > v->block[i].first_record))
            i = k;
    if (i == TAIL_NBLOCKS)
        return ST_END;

    const struct tail_block *b = &v->block[i];
    bool goes_on = r->source == SOURCE_TAIL && r->block_state == b->state && r->next == n && r->pos == r->block.size;
    if (!goes_on) {
        r->source = SOURCE_NONE;
        r->pos = 0;
        buf_clear(&r->block);
        must(buf_reserve(&r->block, TAIL_BLOCK_SIZE + 8));
        r->block_crc = tail_seed(v->seq[i], b->first_record, b->first_time_ns);
        r->block_state = b->state;
    }
    enum status st = read_block(r, b, i, v->seq[i], r->block.size, e);
    if (st != ST_OK) {
        if (!goes_on || st != ST_BUSY)
            r->source = SOURCE_NONE;
        return st;
    }
    if (!goes_on) {
        r->source = SOURCE_TAIL;
        r->next = b->first_record;
        journal_decoder_reset(r->decoder, b->first_record, b->first_time_ns);
    }
    return reader_skip_to(r, n, e);
}

/* ---- a dead writer's tail ---- */

static bool all_zero(const uint8_t *p, size_t n) {
    uint64_t any = 0;
    for (; n >= 64; p += 64, n -= 64)
        for (int i = 0; i < 64; i += 8)
            any |= get_u64(p + i);
    for (; n; p++, n--)
        any |= *p;
    return any == 0;
}

static void check_open(struct store_reader *r, const struct tail_block *b, unsigned i, uint32_t seq,
                       const uint8_t *data) {
    struct err *e = &r->tail_problem;
    uint32_t size = (uint32_t)b->commit;
    if (!vouches(b->commit, b, seq, data, TAIL_BLOCK_SIZE)) {
        bool durable = b->durable && (uint32_t)b->durable > 0 && vouches(b->durable, b, seq, data, TAIL_BLOCK_SIZE);
        store_reader_fail(r, e, ST_CORRUPT, "tail",
                          "block %u, bytes %zu to %zu (record %" PRIu64 " and later): the checksum does "
                          "not match%s",
                          i, tail_data_offset(i), tail_data_offset(i) + size, b->first_record,
                          durable ? "; what was synced before is whole: a power cut does this" : "");
        return;
    }
    if (b->durable && ((uint32_t)b->durable > size || !vouches(b->durable, b, seq, data, TAIL_BLOCK_SIZE)))
        bad_block(r, e, i, "the second checksum does not match");
    size_t slack = r->listing ? size : TAIL_BLOCK_SIZE;
    while (slack > size && data[slack - 1] == 0)
        slack--;
    if (slack > size)
        reader_note_torn(r, "%zu bytes of a record that was not finished, at byte %zu of tail", slack - size,
                         tail_data_offset(i) + size);
}

static void check_block(struct store_reader *r, const struct tail_block *b, unsigned i, const uint8_t *data) {
    enum tail_state kind;
    uint32_t seq;
    if (!tail_state_parse(b->state, &kind, &seq) || seq % TAIL_NBLOCKS != i) {
        bad_block(r, &r->tail_problem, i, "impossible state");
        return;
    }
    if (!all_zero((const uint8_t *)b->zero, sizeof b->zero))
        bad_block(r, &r->tail_problem, i, "it is not as written");
    if (kind == TAIL_CHANGING)
        reader_note_torn(r, "block %u of tail was being changed (its records are in a segment)", i);
    else if (kind == TAIL_OPEN)
        check_open(r, b, i, seq, data);
    else if (!vouches(b->commit, b, seq, data, 0) || b->durable)
        bad_block(r, &r->tail_problem, i, "the checksum does not match");
    else if (!r->listing && !all_zero(data, TAIL_BLOCK_SIZE))
        store_reader_fail(r, &r->tail_problem, ST_CORRUPT, "tail", "block %u, bytes %zu to %zu: it should be empty", i,
                          tail_data_offset(i), tail_data_offset(i) + TAIL_BLOCK_SIZE);
}

void reader_tail_check(struct store_reader *r) {
    uint8_t page[TAIL_PAGE];
    size_t used = TAIL_HEADER + TAIL_NBLOCKS * sizeof(struct tail_block);
    if (read_page(r, page, &r->tail_problem) != ST_OK)
        return;
    if (!all_zero(page + used, TAIL_PAGE - used))
        store_reader_fail(r, &r->tail_problem, ST_CORRUPT, "tail", "bytes %zu to %d: they should be zero", used,
                          TAIL_PAGE);
    uint8_t *data = mem_alloc(TAIL_BLOCK_SIZE + 8);
    for (unsigned i = 0; i < TAIL_NBLOCKS; i++) {
        const struct tail_block *b = tail_block_at(page, i);
        size_t n = r->listing && (uint32_t)b->commit < TAIL_BLOCK_SIZE ? (uint32_t)b->commit : TAIL_BLOCK_SIZE;
        int rc = store_read_at(r->store, r->tail, data, n, tail_data_offset(i));
        if (rc < 0)
            io_fail(r, rc, &r->tail_problem);
        else
            check_block(r, b, i, data);
    }
    mem_free(data);
}
