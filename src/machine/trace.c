/* trace.c: a run as lines, a call with its return on one. */
#include "machine/machine.h"

#include "base/must.h"
#include "guest/show.h"

enum { SHOWN_DURATION_NS = 1000000 }; /* calls that took less are shown without */

struct machine_trace {
    struct store_reader *reader;
    struct machine_trace_options options;
    uint64_t shown;
    bool calling; /* `line` holds a CALL whose RETURN is to come */
    uint64_t call_time;
    uint32_t call_code;
    struct buf line, done; /* `done`: a line that is whole */
};

enum status machine_trace_new(struct store_reader *r, const struct machine_trace_options *o, struct machine_trace **out,
                              struct err *e) {
    uint64_t from = o->from > store_reader_first(r) ? o->from : store_reader_first(r);
    enum status s = from ? store_reader_seek(r, from, e) : ST_OK;
    if (s)
        return s;
    struct machine_trace *t = mem_zalloc(sizeof *t);
    t->reader = r;
    t->options = *o;
    buf_init(&t->line, SIZE_MAX);
    buf_init(&t->done, SIZE_MAX);
    *out = t;
    return ST_OK;
}

void machine_trace_free(struct machine_trace *t) {
    if (!t)
        return;
    buf_deinit(&t->line);
    buf_deinit(&t->done);
    mem_free(t);
}

static void begin_line(const struct machine_trace *t, struct buf *b, const struct journal_record *r) {
    buf_clear(b);
    if (t->options.json)
        buf_print(b, "{\"record\":%llu,\"guest\":%u,\"time_ns\":%llu,\"clock\":%llu,", (unsigned long long)r->number,
                  r->guest, (unsigned long long)r->time_ns, (unsigned long long)r->clock);
    else
        buf_print(b, "#%llu %llu.%06llu ", (unsigned long long)r->number, (unsigned long long)r->time_ns / 1000000000,
                  (unsigned long long)r->time_ns / 1000 % 1000000);
}

/* The call's line is whole, with or without what came back. */
static void end_call(struct machine_trace *t, struct abi_text *text, const struct journal_record *ret) {
    uint64_t took = ret ? ret->time_ns - t->call_time : 0;
    if (ret && text->json)
        buf_print(&t->line, ",\"return\":%llu,\"duration_ns\":%llu,", (unsigned long long)ret->number,
                  (unsigned long long)took);
    if (ret)
        guest_show_return(text, ret);
    if (!text->json && took >= SHOWN_DURATION_NS)
        buf_print(&t->line, " <%llu.%03llu s>", (unsigned long long)took / 1000000000,
                  (unsigned long long)took / 1000000 % 1000);
    if (text->json)
        buf_byte(&t->line, '}');
    struct buf swap = t->done;
    t->done = t->line;
    t->line = swap;
    t->calling = false;
}

static enum status give(struct machine_trace *t, struct span *line) {
    t->shown++;
    *line = buf_span(&t->done);
    return ST_OK;
}

enum status machine_trace_next(struct machine_trace *t, struct span *line, struct err *e) {
    struct abi_text text = {&t->line, t->options.json, t->options.width};
    while (t->shown < t->options.count) {
        struct journal_record r;
        enum status s = store_reader_next(t->reader, &r, e);
        bool last = s == ST_END && t->calling && store_reader_state(t->reader) != STORE_RUNNING;
        if (last)
            s = store_reader_next(t->reader, &r, e); /* what came before it ended */
        if (last && s == ST_END) {
            end_call(t, &text, NULL);
            return give(t, line);
        }
        if (s)
            return s;
        if (t->calling && r.type == JOURNAL_RETURN && r.code == t->call_code) {
            end_call(t, &text, &r);
            return give(t, line);
        }
        bool was_calling = t->calling && r.type != JOURNAL_NOTE;
        if (was_calling)
            end_call(t, &text, NULL); /* did not come back */
        if (r.type == JOURNAL_CALL) {
            begin_line(t, &t->line, &r);
            guest_show_call(&text, &r);
            t->calling = true;
            t->call_time = r.time_ns;
            t->call_code = r.code;
            if (!was_calling)
                continue;
            return give(t, line);
        }
        if (was_calling) {
            /* two lines at once: the call that did not come back, and this record, which is read again */
            s = store_reader_seek(t->reader, r.number, e);
            return s ? s : give(t, line);
        }
        begin_line(t, &t->done, &r);
        text.out = &t->done;
        guest_show_record(&text, &r);
        if (text.json)
            buf_byte(&t->done, '}');
        return give(t, line);
    }
    return ST_END;
}
