#include "store/reader.h"

#include "base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- files ---- */

/* A handle of the segment, kept for the next use. Negative: errno. */
static int segment_fd(struct store_reader *r, const struct reader_segment *s) {
    struct world *w = r->store->world;
    if (r->fd >= 0 && strcmp(r->fd_name, s->name) == 0)
        return r->fd;
    if (r->fd >= 0)
        w->ops->close(w, r->fd);
    r->fd = w->ops->open(w, r->dir, s->name, WORLD_READ, 0);
    memcpy(r->fd_name, s->name, sizeof r->fd_name);
    return r->fd;
}

static enum status io_fail(struct store_reader *r, const struct reader_segment *s, int rc, struct err *e) {
    return store_fail(r->store, e, rc, "read", "/runs/%s/%s", r->text, s->name);
}

/* ---- blocks ---- */

/* Walks the frames of the block at `offset`, which is to begin with `record`; with `load` it is put together in
 * r->block, too.  ST_TRUNCATED: the file ends in the middle. */
static enum status walk_block(struct store_reader *r, const struct reader_segment *s, uint64_t offset, uint64_t limit,
                              uint64_t record, bool load, struct journal_frame *first, uint64_t *end, struct err *e) {
    int fd = segment_fd(r, s);
    if (fd < 0)
        return io_fail(r, s, fd, e);
    if (load)
        buf_clear(&r->block);
    uint64_t at = offset;
    for (uint32_t done = 0;;) {
        uint8_t header[JOURNAL_FRAME_HEADER];
        struct journal_frame f;
        uint64_t left = limit - at;
        size_t have = left < sizeof header ? (size_t)left : sizeof header;
        int rc = store_read_at(r->store, fd, header, have, at);
        if (rc < 0)
            return io_fail(r, s, rc, e);
        bool cut = have < sizeof header && journal_frame_starts(SPAN(header, have));
        struct err why = ERR_INIT;
        if (!cut && have < sizeof header)
            return store_reader_fail(r, e, ST_CORRUPT, s->name,
                                     "at byte %" PRIu64 " (record %" PRIu64 "): no frame begins here", at, record);
        if (!cut && journal_frame_parse(header, &f, &why) != ST_OK)
            return store_reader_fail(r, e, ST_CORRUPT, s->name, "at byte %" PRIu64 " (record %" PRIu64 "): %s", at,
                                     record, why.text);
        if (cut || f.stored_size > left - sizeof header)
            return store_reader_fail(r, e, ST_TRUNCATED, s->name,
                                     "at byte %" PRIu64 ": the file ends within the frame that begins at byte %" PRIu64,
                                     limit, at);
        if (done == 0)
            *first = f;
        if (f.first_record != record)
            return store_reader_fail(r, e, ST_CORRUPT, s->name,
                                     "at byte %" PRIu64 ": record %" PRIu64 " where %" PRIu64 " should be", at,
                                     f.first_record, record);
        if (f.block_offset != done || f.block_size != first->block_size || f.nrecords != first->nrecords)
            return store_reader_fail(r, e, ST_CORRUPT, s->name,
                                     "at byte %" PRIu64 " (record %" PRIu64 "): a frame out of place", at, record);
        at += sizeof header;
        if (load) {
            must(buf_reserve(&r->stored, f.stored_size));
            rc = store_read_at(r->store, fd, r->stored.data, f.stored_size, at);
            if (rc < 0)
                return io_fail(r, s, rc, e);
            must(buf_reserve(&r->block, f.plain_size));
            if (journal_unpack(r->unpacker, &f, r->stored.data, r->block.data + r->block.size, &why) != ST_OK)
                return store_reader_fail(r, e, ST_CORRUPT, s->name,
                                         "at byte %" PRIu64 " (records %" PRIu64 " to %" PRIu64 "): %s",
                                         at - sizeof header, f.first_record, f.first_record + f.nrecords - 1, why.text);
            r->block.size += f.plain_size;
        }
        at += f.stored_size;
        done += f.plain_size;
        if (journal_frame_is_last(&f))
            break;
    }
    *end = at;
    return ST_OK;
}

/* ---- one segment ---- */

static void add_entry(struct reader_segment *s, struct segment_entry entry) {
    if (s->nentries == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->entries = mem_realloc(s->entries, s->cap * sizeof *s->entries);
    }
    s->entries[s->nentries++] = entry;
}

static void problem(struct store_reader *r, struct reader_segment *s, enum status st, const struct err *why) {
    store_reader_fail(r, &s->problem, st, s->name, "%s", why->text);
}

static void read_header(struct store_reader *r, struct reader_segment *s, int fd) {
    uint8_t fixed[SEGMENT_HEADER_FIXED];
    struct err why = ERR_INIT;
    uint32_t size;
    if (s->file_size < sizeof fixed) {
        store_reader_fail(r, &s->problem, ST_TRUNCATED, s->name, "at byte %" PRIu64 ": the file ends within its header",
                          s->file_size);
        return;
    }
    int rc = store_read_at(r->store, fd, fixed, sizeof fixed, 0);
    if (rc < 0) {
        io_fail(r, s, rc, &s->problem);
        return;
    }
    enum status st = segment_header_size(fixed, &size, &why);
    if (st != ST_OK) {
        problem(r, s, st, &why);
        return;
    }
    if (size > s->file_size) {
        store_reader_fail(r, &s->problem, ST_TRUNCATED, s->name, "at byte %" PRIu64 ": the file ends within its header",
                          s->file_size);
        return;
    }
    uint8_t *bytes = mem_alloc(size);
    struct segment_header h;
    struct arena scratch;
    arena_init(&scratch);
    bool first = r->info.module_name == NULL; /* the reader's description comes from the first that is good */
    rc = store_read_at(r->store, fd, bytes, size, 0);
    if (rc < 0)
        io_fail(r, s, rc, &s->problem);
    else if ((st = segment_header_parse(SPAN(bytes, size), first ? &r->arena : &scratch, &h, &why)) != ST_OK)
        problem(r, s, st, &why);
    else if (memcmp(&h.info.id, &r->id, sizeof r->id) != 0)
        store_reader_fail(r, &s->problem, ST_CORRUPT, s->name, "at byte 16: it belongs to another run");
    else if (h.first_record != s->first_record)
        store_reader_fail(r, &s->problem, ST_CORRUPT, s->name,
                          "at byte 40: it was renamed: its first record is %" PRIu64, h.first_record);
    else {
        s->readable = true;
        s->flags = h.flags;
        s->header_size = size;
        s->scanned = size;
        s->end_time_ns = h.first_time_ns;
        if (first)
            r->info = h.info;
    }
    arena_deinit(&scratch);
    mem_free(bytes);
}

static bool read_trailer(struct store_reader *r, struct reader_segment *s, int fd) {
    uint8_t b[SEGMENT_TRAILER];
    struct segment_trailer t;
    if (s->file_size < s->header_size + SEGMENT_INDEX_HEAD + sizeof b ||
        store_read_at(r->store, fd, b, sizeof b, s->file_size - sizeof b) < 0 ||
        segment_trailer_parse(b, s->file_size, &t, NULL) != ST_OK || t.first_record != s->first_record ||
        t.index_offset < s->header_size)
        return false;
    s->complete = true;
    s->trailer = t;
    s->end_record = t.end_record;
    s->end_time_ns = t.last_time_ns;
    s->cut = false;
    err_clear(&s->problem);
    return true;
}

/* Looks at the blocks behind those that are known, of a segment without trailer. */
static void scan(struct store_reader *r, struct reader_segment *s, int fd) {
    s->cut = false;
    err_clear(&s->problem);
    while (s->scanned < s->file_size) {
        struct journal_frame f;
        uint64_t end;
        enum status st = walk_block(r, s, s->scanned, s->file_size, s->end_record, false, &f, &end, &s->problem);
        if (st != ST_OK) {
            uint8_t b[8];
            size_t n = s->file_size - s->scanned < 8 ? (size_t)(s->file_size - s->scanned) : 8;
            bool index = store_read_at(r->store, fd, b, n, s->scanned) == 0 && segment_index_starts(SPAN(b, n));
            if (index) {
                err_clear(&s->problem);
                store_reader_fail(r, &s->problem, ST_TRUNCATED, s->name,
                                  "at byte %" PRIu64 ": the index that begins at byte %" PRIu64 " is cut or damaged",
                                  s->file_size, s->scanned);
            }
            s->cut = index || st == ST_TRUNCATED;
            return;
        }
        add_entry(s, (struct segment_entry){f.first_record, f.first_time_ns, s->scanned});
        s->scanned = end;
        s->end_record = f.first_record + f.nrecords;
        s->end_time_ns = f.last_time_ns;
    }
}

/* Looks at a segment that was not complete yet. */
static void look(struct store_reader *r, struct reader_segment *s) {
    struct world *w = r->store->world;
    struct world_stat stat;
    int fd = segment_fd(r, s);
    int rc = fd < 0 ? fd : w->ops->stat(w, fd, &stat);
    if (rc < 0) {
        io_fail(r, s, rc, &s->problem);
        return;
    }
    bool grown = stat.size != s->file_size;
    s->file_size = stat.size;
    if (!s->readable && s->problem.status == ST_OK)
        read_header(r, s, fd);
    if (s->readable && (grown || s->problem.status != ST_OK) && !read_trailer(r, s, fd))
        scan(r, s, fd);
}

static enum status read_index(struct store_reader *r, struct reader_segment *s, struct err *e) {
    uint64_t size = segment_index_size(&s->trailer);
    uint8_t *bytes = mem_alloc(size);
    struct segment_entry *entries = mem_alloc(s->trailer.nentries * sizeof *entries);
    struct err why = ERR_INIT;
    int fd = segment_fd(r, s);
    int rc = fd < 0 ? fd : store_read_at(r->store, fd, bytes, size, s->trailer.index_offset);
    enum status st = ST_OK;
    if (rc < 0)
        st = io_fail(r, s, rc, e);
    else if ((st = segment_index_parse(SPAN(bytes, size), &s->trailer, entries, &why)) != ST_OK)
        store_reader_fail(r, e, st, s->name, "at byte %" PRIu64 ": %s", s->trailer.index_offset, why.text);
    else if (s->trailer.nentries
                 ? entries[0].offset != s->header_size
                 : s->trailer.index_offset != s->header_size || s->trailer.end_record != s->first_record)
        st = store_reader_fail(r, e, ST_CORRUPT, s->name, "at byte %u: a gap behind the header", s->header_size);
    mem_free(bytes);
    if (st != ST_OK) {
        mem_free(entries);
        return st;
    }
    mem_free(s->entries);
    s->entries = entries;
    s->nentries = s->cap = s->trailer.nentries;
    s->indexed = true;
    return ST_OK;
}

enum status reader_segment_index(struct store_reader *r, struct reader_segment *s, struct err *e) {
    struct err why = ERR_INIT;
    if (!s->complete || s->indexed || read_index(r, s, &why) == ST_OK)
        return ST_OK;
    if (why.status == ST_CORRUPT) { /* one frame after the other, then: what is whole is given */
        s->bad_index = true;
        s->complete = false;
        s->end_record = s->first_record;
        int fd = segment_fd(r, s);
        if (fd >= 0)
            scan(r, s, fd);
        if (s->cut || s->problem.status == ST_OK)
            s->problem = why;
        s->cut = false;
    }
    return err_set(e, why.status, "%s", why.text);
}

enum status reader_segment_load(struct store_reader *r, struct reader_segment *s, uint64_t n, struct err *e) {
    struct err index = ERR_INIT;
    enum status st = reader_segment_index(r, s, &index);
    if (st != ST_OK && (!s->bad_index || n >= s->end_record))
        return err_set(e, st, "%s", index.text);
    must(s->nentries > 0 && n >= s->first_record && n < s->end_record);
    uint32_t low = 0, high = s->nentries;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (s->entries[mid].first_record <= n)
            low = mid;
        else
            high = mid;
    }
    const struct segment_entry *at = &s->entries[low];
    bool last = low + 1 == s->nentries;
    uint64_t limit = last ? (s->complete ? s->trailer.index_offset : s->scanned) : at[1].offset;
    uint64_t end_record = last ? s->end_record : at[1].first_record;

    struct journal_frame f;
    uint64_t end;
    r->source = SOURCE_NONE;
    st = walk_block(r, s, at->offset, limit, at->first_record, true, &f, &end, e);
    if (st != ST_OK)
        return st;
    if (end != limit || f.first_time_ns != at->first_time_ns || f.first_record + f.nrecords != end_record)
        return store_reader_fail(r, e, ST_CORRUPT, s->name,
                                 "at byte %" PRIu64 " (record %" PRIu64 "): not the frame that the "
                                 "index says",
                                 at->offset, f.first_record);
    r->source = SOURCE_SEGMENT;
    r->block_end = end_record;
    r->block_offset = at->offset;
    memcpy(r->block_name, s->name, sizeof r->block_name);
    r->pos = 0;
    r->next = f.first_record;
    journal_decoder_reset(r->decoder, f.first_record, f.first_time_ns);
    st = reader_skip_to(r, n, e);
    if (st == ST_END)
        st = store_reader_fail(r, e, ST_CORRUPT, s->name, "at byte %" PRIu64 ": the frame lacks record %" PRIu64,
                               at->offset, r->next);
    return st;
}

/* ---- all of them ---- */

static void segment_deinit(struct reader_segment *s) {
    mem_free(s->entries);
}

void reader_segments_free(struct store_reader *r) {
    for (uint32_t i = 0; i < r->nsegments; i++)
        segment_deinit(&r->segments[i]);
    mem_free(r->segments);
    r->segments = NULL;
    r->nsegments = 0;
}

enum status reader_refresh(struct store_reader *r, struct err *e) {
    struct store_names names;
    int rc = store_names_read(r->store, r->dir, &names);
    if (rc < 0)
        return store_fail(r->store, e, rc, "list", "/runs/%s", r->text);
    struct reader_segment *now = mem_zalloc((names.n + 1) * sizeof *now);
    uint32_t n = 0, old = 0;
    for (size_t i = 0; i < names.n; i++) {
        uint64_t first;
        if (!segment_name_parse(names.name[i], &first))
            continue;
        while (old < r->nsegments && r->segments[old].first_record < first)
            segment_deinit(&r->segments[old++]); /* dropped by retention */
        if (old < r->nsegments && r->segments[old].first_record == first) {
            now[n++] = r->segments[old++];
        } else {
            segment_name(first, now[n].name);
            now[n].first_record = now[n].end_record = first;
            n++;
        }
    }
    while (old < r->nsegments)
        segment_deinit(&r->segments[old++]);
    mem_free(r->segments);
    r->segments = now;
    r->nsegments = n;
    store_names_free(&names);
    for (uint32_t i = 0; i < n; i++)
        if (!now[i].complete && !now[i].bad_index)
            look(r, &now[i]);
    return ST_OK;
}

struct reader_segment *reader_segment_at(struct store_reader *r, uint64_t n) {
    uint32_t low = 0, high = r->nsegments;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (r->segments[mid].first_record <= n)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? &r->segments[low - 1] : NULL;
}
