#include "store/reader.h"

#include "base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum status store_reader_fail(const struct store_reader *r, struct err *e, enum status st, const char *file,
                              const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, st, "%s/runs/%s/%s: %s", r->store->path, r->text, file, text);
}

void reader_note_torn(struct store_reader *r, const char *fmt, ...) {
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_print(&r->torn, "%s%s", r->torn.size ? "; " : "", text);
}

/* ---- the block at hand ---- */

static enum status bad_block(const struct store_reader *r, struct err *e, const char *what) {
    if (r->source == SOURCE_SEGMENT)
        return store_reader_fail(r, e, ST_CORRUPT, r->block_name, "frame at byte %" PRIu64 ", record %" PRIu64 ": %s",
                                 r->block_offset, r->next, what);
    return store_reader_fail(r, e, ST_CORRUPT, "tail", "record %" PRIu64 ": %s", r->next, what);
}

/* The next record of the block; ST_END at its end. */
static enum status decode(struct store_reader *r, struct journal_record *out, struct err *e) {
    if (r->source == SOURCE_NONE)
        return ST_END;
    bool enough = r->source == SOURCE_SEGMENT && r->next == r->block_end;
    if (r->pos == r->block.size)
        return r->source == SOURCE_SEGMENT && !enough ? bad_block(r, e, "its frame has fewer records than it says")
                                                      : ST_END;
    if (enough)
        return bad_block(r, e, "its frame has more records than it says");
    struct err why = ERR_INIT;
    if (journal_decode(r->decoder, buf_span(&r->block), &r->pos, out, &why) != ST_OK)
        return bad_block(r, e, why.text);
    must(out->number == r->next);
    r->next++;
    return ST_OK;
}

enum status reader_skip_to(struct store_reader *r, uint64_t n, struct err *e) {
    struct journal_record skipped;
    while (r->next < n) {
        enum status st = decode(r, &skipped, e);
        if (st != ST_OK)
            return st;
    }
    return r->pos < r->block.size ? ST_OK : ST_END;
}

/* ---- finding a block ---- */

/* What a dead writer left; looked at once. */
static enum status check_dead(struct store_reader *r, struct err *e) {
    if (r->checked)
        return ST_OK;
    enum status st = reader_refresh(r, e);
    if (st != ST_OK)
        return st;
    struct reader_segment *last = r->nsegments ? &r->segments[r->nsegments - 1] : NULL;
    if (r->tail >= 0) {
        reader_tail_check(r);
        if (last && last->cut)
            reader_note_torn(r, "%" PRIu64 " bytes that were being written, at byte %" PRIu64 " of %s",
                             last->file_size - last->scanned, last->scanned, last->name);
    }
    r->checked = true;
    return ST_OK;
}

static bool is_final(const struct store_reader *r) {
    const struct reader_segment *last = r->nsegments ? &r->segments[r->nsegments - 1] : NULL;
    return last && last->complete && (last->trailer.flags & SEGMENT_FINAL);
}

/* The first record from which on the run stands alone. */
static uint64_t first_kept(const struct store_reader *r) {
    for (uint32_t i = 0; i < r->nsegments; i++)
        if (r->segments[i].first_record == 0 || (r->segments[i].flags & SEGMENT_SNAPSHOT))
            return r->segments[i].first_record;
    return 0;
}

static enum status missing(struct store_reader *r, uint64_t from, uint64_t to, const char *why, struct err *e) {
    return err_set(e, ST_TRUNCATED, "%s/runs/%s: records %" PRIu64 " to %" PRIu64 " are missing: %s", r->store->path,
                   r->text, from, to - 1, why);
}

/* Why record `n`, which must have been written, is in no segment. `next` is a record known to be later. */
static enum status lost(struct store_reader *r, uint64_t n, uint64_t next, struct err *e) {
    struct reader_segment *s = reader_segment_at(r, n);
    char why[160];
    if (!s) {
        uint64_t first = r->nsegments ? r->segments[0].first_record : next;
        if (r->nsegments && (r->segments[0].flags & SEGMENT_SNAPSHOT))
            return err_set(e, ST_NOT_FOUND, "run %s now begins with record %" PRIu64 "; those before were dropped",
                           r->text, first);
        return missing(r, n, first > n ? first : n + 1, "the segments before were removed", e);
    }
    if (s->problem.status != ST_OK)
        return err_set(e, s->problem.status, "%s", s->problem.text);
    snprintf(why, sizeof why, "%s ends before them, at byte %" PRIu64, s->name, s->file_size);
    return missing(r, n, next, why, e);
}

/* Goes from one segment to the next only when the one is whole: its trailer, too. */
static enum status check_passage(struct store_reader *r, const struct reader_segment *to, uint64_t n, struct err *e) {
    if (n != to->first_record || to == r->segments || strcmp(to[-1].name, r->passing) != 0 || to[-1].complete)
        return ST_OK;
    const struct reader_segment *from = to - 1;
    if (from->problem.status != ST_OK)
        return err_set(e, from->problem.status, "%s", from->problem.text);
    return store_reader_fail(r, e, ST_TRUNCATED, from->name,
                             "at byte %" PRIu64 " (record %" PRIu64 "): the file ends without its "
                             "index",
                             from->file_size, n);
}

/* A segment that has `n`, if it is known; ST_END otherwise. */
static enum status load_known(struct store_reader *r, uint64_t n, struct err *e) {
    struct reader_segment *s = reader_segment_at(r, n);
    if (!s || n >= s->end_record)
        return ST_END;
    enum status st = check_passage(r, s, n, e);
    if (st == ST_OK)
        st = reader_segment_load(r, s, n, e);
    if (st == ST_OK)
        memcpy(r->passing, s->name, sizeof r->passing);
    return st;
}

/* Nothing has `n`. Is that the end, or a loss? */
static enum status at_end(struct store_reader *r, uint64_t n, bool live, enum status tail, const struct tail_view *v,
                          struct err *tail_error, struct err *e) {
    const struct reader_segment *s = reader_segment_at(r, n);
    const struct reader_segment *next = s ? s + 1 : r->segments;
    if (next && next < r->segments + r->nsegments)
        return lost(r, n, next->first_record, e);
    if (!live && r->tail_problem.status != ST_OK)
        return err_set(e, r->tail_problem.status, "%s", r->tail_problem.text);
    if (tail == ST_END && v->frontier > n)
        return lost(r, n, v->frontier, e);
    if (live && tail == ST_END)
        return ST_END;
    if (tail != ST_END && tail != ST_NOT_FOUND)
        return err_set(e, tail, "%s", tail_error->text);
    if (is_final(r))
        return reader_segment_index(r, &r->segments[r->nsegments - 1], e) == ST_OK ? ST_END : e->status;
    if (s && s->problem.status != ST_OK && !(s->cut && tail == ST_END))
        return err_set(e, s->problem.status, "%s", s->problem.text);
    if (tail == ST_END)
        return ST_END;
    if (!s)
        return lost(r, n, n + 1, e);
    return store_reader_fail(r, e, ST_TRUNCATED, s->name,
                             "the run goes on after record %" PRIu64 ", but neither the next segment "
                             "nor the tail is there",
                             s->end_record - 1);
}

/* Goes to record `n`. ST_END: it is not there (yet). */
static enum status load(struct store_reader *r, uint64_t n, struct err *e) {
    enum status st = load_known(r, n, e);
    if (st != ST_END && st != ST_NOT_FOUND)
        return st;
    err_clear(e);
    for (int attempt = 0;; attempt++) {
        bool last = attempt >= 100;
        int live = store_run_is_live(r->store, r->dir);
        if (live < 0)
            return store_fail(r->store, e, live, "look at", "/runs/%s/tail", r->text);
        if (!live && (st = check_dead(r, e)) != ST_OK)
            return st;
        struct tail_view v;
        struct err tail_error = ERR_INIT;
        enum status tail = ST_NOT_FOUND;
        if (r->tail >= 0) {
            tail = reader_tail_look(r, &v, &tail_error);
            if (tail == ST_OK)
                tail = reader_tail_load(r, &v, n, &tail_error);
            if (tail == ST_OK)
                return ST_OK;
            if (live && tail != ST_END && !last)
                continue; /* changed under our eyes */
        }
        if ((st = reader_refresh(r, e)) != ST_OK)
            return st;
        if ((st = load_known(r, n, e)) != ST_END)
            return st;
        st = at_end(r, n, live, tail, &v, &tail_error, e);
        if (st == ST_END || !live || last)
            return st;
        err_clear(e); /* of a living run all may be different now */
    }
}

/* ---- the run as a whole ---- */

/* What can be seen to be wrong without reading the frames. */
static enum status check_structure(struct store_reader *r, bool live, struct err *e) {
    uint64_t first = first_kept(r);
    for (uint32_t i = 0; i < r->nsegments; i++) {
        const struct reader_segment *s = &r->segments[i];
        bool last = i + 1 == r->nsegments, excused = last && s->cut && r->tail >= 0;
        if (s->problem.status != ST_OK && !excused)
            return err_set(e, s->problem.status, "%s", s->problem.text);
        if (i == 0 && s->first_record > first)
            return lost(r, first, s->first_record, e);
        if (!last && !s->complete)
            return store_reader_fail(r, e, ST_TRUNCATED, s->name,
                                     "at byte %" PRIu64 ": the file ends without its index", s->file_size);
        if (!last && s->end_record != s[1].first_record)
            return lost(r, s->end_record, s[1].first_record, e);
    }
    if (r->tail_problem.status != ST_OK)
        return err_set(e, r->tail_problem.status, "%s", r->tail_problem.text);
    if (is_final(r) || live)
        return ST_OK;
    struct tail_view v;
    struct err ignored = ERR_INIT;
    enum status tail = r->tail >= 0 ? reader_tail_look(r, &v, e) : ST_NOT_FOUND;
    if (tail != ST_OK && tail != ST_NOT_FOUND)
        return tail;
    uint64_t end = r->nsegments ? r->segments[r->nsegments - 1].end_record : 0, oldest = UINT64_MAX;
    for (unsigned i = 0; tail == ST_OK && i < TAIL_NBLOCKS; i++)
        if (v.kind[i] == TAIL_OPEN && v.block[i].first_record < oldest)
            oldest = v.block[i].first_record;
    if (tail == ST_OK && oldest == UINT64_MAX)
        oldest = v.frontier;
    if (tail == ST_OK)
        return oldest > end ? lost(r, end, oldest, e) : ST_OK;
    return at_end(r, end, false, tail, &v, &ignored, e);
}

static enum store_state state(struct store_reader *r, struct err *problem) {
    int live = store_run_is_live(r->store, r->dir);
    if (live < 0) {
        store_fail(r->store, problem, live, "look at", "/runs/%s/tail", r->text);
        return STORE_DAMAGED;
    }
    if ((live ? reader_refresh(r, problem) : check_dead(r, problem)) != ST_OK ||
        check_structure(r, live, problem) != ST_OK)
        return STORE_DAMAGED;
    if (is_final(r))
        return r->segments[r->nsegments - 1].trailer.flags & SEGMENT_ENDED ? STORE_FINISHED : STORE_UNFINISHED;
    return live ? STORE_RUNNING : STORE_UNFINISHED;
}

/* Goes behind the last record: how many there are, and the last one's time. */
static enum status measure(struct store_reader *r, uint64_t *end, uint64_t *time_ns, struct err *e) {
    const struct reader_segment *last = r->nsegments ? &r->segments[r->nsegments - 1] : NULL;
    *end = last ? last->end_record : 0;
    *time_ns = last ? last->end_time_ns : 0;
    struct tail_view v;
    enum status st = ST_END;
    if (is_final(r) || r->tail < 0)
        return ST_OK;
    for (int attempt = 0; attempt < 10; attempt++) { /* a living writer may change it under our eyes */
        err_clear(e);
        st = reader_tail_look(r, &v, e);
        if (st == ST_OK && v.frontier < *end)
            return ST_OK;
        if (st == ST_OK)
            st = reader_tail_load(r, &v, v.frontier, e);
        if (st == ST_OK || st == ST_END)
            break;
    }
    if (st == ST_OK || st == ST_END) {
        *end = v.frontier;
        *time_ns = v.frontier_time_ns;
    }
    struct journal_record rec;
    while (st == ST_OK && (st = decode(r, &rec, e)) == ST_OK) {
        *end = rec.number + 1;
        *time_ns = rec.time_ns;
    }
    r->source = SOURCE_NONE;
    return st == ST_END ? ST_OK : st;
}

void reader_summary(struct store_reader *r, struct store_run *out) {
    struct world *w = r->store->world;
    struct err problem = ERR_INIT;
    struct world_stat stat;
    uint64_t end, next = r->next;
    out->id = r->id;
    out->started_ns = r->info.started_ns;
    out->module = r->info.module;
    snprintf(out->module_name, sizeof out->module_name, "%s", r->info.module_name);
    out->state = state(r, &problem);
    struct err unmeasured = ERR_INIT;
    if (measure(r, &end, &out->duration_ns, &unmeasured) != ST_OK && out->state == STORE_UNFINISHED) {
        out->state = STORE_DAMAGED;
        problem = unmeasured;
    }
    snprintf(out->problem, sizeof out->problem, "%.255s", problem.text);
    r->next = next;
    out->records = end > first_kept(r) ? end - first_kept(r) : 0;
    for (uint32_t i = 0; i < r->nsegments; i++)
        out->size_bytes += r->segments[i].file_size;
    if (!is_final(r) && r->tail >= 0 && w->ops->stat(w, r->tail, &stat) == 0)
        out->size_bytes += stat.size;
    if (out->state == STORE_FINISHED) {
        out->outcome_kind = r->segments[r->nsegments - 1].trailer.outcome_kind;
        out->outcome_value = r->segments[r->nsegments - 1].trailer.outcome_value;
    }
}

/* ---- the interface ---- */

enum status store_reader_open(struct store *s, const struct store_id *id, struct store_reader **out, struct err *e) {
    return reader_open(s, id, false, out, e);
}

enum status reader_open(struct store *s, const struct store_id *id, bool listing, struct store_reader **out,
                        struct err *e) {
    struct world *w = s->world;
    struct store_reader *r = mem_zalloc(sizeof *r);
    r->store = s;
    r->id = *id;
    r->listing = listing;
    r->fd = r->tail = -1;
    store_id_text(id, r->text);
    arena_init(&r->arena);
    buf_init(&r->block, (size_t)JOURNAL_BLOCK_MAX + 16);
    buf_init(&r->torn, 4096);
    r->decoder = journal_decoder_new();
    r->unpacker = journal_unpacker_new();
    buf_init(&r->stored, JOURNAL_FRAME_MAX);
    enum status st;
    r->dir = store_open_dir(s, s->runs, r->text);
    if (r->dir < 0) {
        st = store_fail(s, e, r->dir, "open", "/runs/%s", r->text);
        goto fail;
    }
    int live = store_run_is_live(s, r->dir);
    r->tail = w->ops->open(w, r->dir, "tail", WORLD_READ, 0);
    if (live < 0 || (r->tail < 0 && r->tail != -ENOENT)) {
        st = store_fail(s, e, live < 0 ? live : r->tail, "open", "/runs/%s/tail", r->text);
        goto fail;
    }
    st = live ? reader_refresh(r, e) : check_dead(r, e);
    if (st != ST_OK)
        goto fail;
    if (!r->info.module_name) {
        st = r->nsegments ? err_set(e, r->segments[0].problem.status, "%s", r->segments[0].problem.text)
                          : err_set(e, ST_TRUNCATED, "%s/runs/%s: no segment is there", s->path, r->text);
        goto fail;
    }
    r->next = first_kept(r);
    *out = r;
    return ST_OK;

fail:
    store_reader_close(r);
    return st;
}

void store_reader_close(struct store_reader *r) {
    if (!r)
        return;
    struct world *w = r->store->world;
    int fds[] = {r->fd, r->tail, r->dir};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            w->ops->close(w, fds[i]);
    reader_segments_free(r);
    journal_decoder_free(r->decoder);
    journal_unpacker_free(r->unpacker);
    buf_deinit(&r->stored);
    buf_deinit(&r->block);
    buf_deinit(&r->torn);
    arena_deinit(&r->arena);
    mem_free(r);
}

const struct store_info *store_reader_info(const struct store_reader *r) {
    return &r->info;
}

enum store_state store_reader_state(struct store_reader *r) {
    return state(r, NULL);
}

uint32_t store_reader_nsegments(const struct store_reader *r) {
    return r->nsegments;
}

struct store_segment store_reader_segment(const struct store_reader *r, uint32_t i) {
    must(i < r->nsegments);
    const struct reader_segment *s = &r->segments[i];
    return (struct store_segment){.first_record = s->first_record,
                                  .records = s->end_record - s->first_record,
                                  .size_bytes = s->file_size,
                                  .has_snapshot = s->flags & SEGMENT_SNAPSHOT,
                                  .complete = s->complete};
}

uint64_t store_reader_first(const struct store_reader *r) {
    return first_kept(r);
}

const char *store_reader_torn(const struct store_reader *r) {
    return r->torn.size ? buf_cstr((struct buf *)&r->torn) : NULL;
}

enum status store_reader_seek(struct store_reader *r, uint64_t number, struct err *e) {
    if (number < first_kept(r))
        return err_set(e, ST_NOT_FOUND, "run %s begins with record %" PRIu64 "; those before were dropped", r->text,
                       first_kept(r));
    uint64_t was = r->next;
    struct err local = ERR_INIT;
    r->source = SOURCE_NONE;
    r->passing[0] = 0; /* whether the segments on the way are whole is not asked */
    enum status st = load(r, number, &local);
    if (st == ST_OK)
        return ST_OK;
    r->source = SOURCE_NONE;
    r->next = was;
    return st == ST_END ? err_set(e, ST_NOT_FOUND, "run %s has no record %" PRIu64, r->text, number)
                        : err_set(e, st, "%s", local.text);
}

enum status store_reader_next(struct store_reader *r, struct journal_record *out, struct err *e) {
    enum status st = decode(r, out, e);
    if (st != ST_END)
        return st;
    uint64_t n = r->next;
    struct err local = ERR_INIT;
    st = load(r, n, &local);
    if (st == ST_OK)
        return decode(r, out, e);
    if (st != ST_END || r->source != SOURCE_TAIL || r->next != n) {
        r->source = SOURCE_NONE;
        r->next = n;
    } /* else it goes on from here */
    return st == ST_END ? st : err_set(e, st, "%s", local.text);
}
