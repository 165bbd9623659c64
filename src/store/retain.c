#include "store/writer.h"

/* The bound is a promise of what is there, not of what is gone: segments are dropped when those from a later snapshot
 * on hold it by themselves.  Oldest first, so that a crash in between leaves a run whose segments follow each other. */
void retain(struct store_writer *w) {
    const struct store_options *o = &w->options;
    struct world *world = w->store->world;
    uint64_t now = w->segment.end_time_ns, bytes = 0;
    size_t from = 0;
    for (size_t i = w->nkept; i-- > 1 && from == 0;) {
        const struct segment_kept *k = &w->kept[i];
        bytes += k->size;
        bool enough = (!o->keep_bytes || bytes >= o->keep_bytes) &&
                      (!o->keep_ns || (now >= k->first_time_ns && now - k->first_time_ns >= o->keep_ns));
        if (k->snapshot && enough)
            from = i;
    }
    size_t dropped = 0;
    while (dropped < from) {
        char name[SEGMENT_NAME], path[RUN_PATH];
        segment_name(w->kept[dropped].first_record, name);
        if (world->ops->remove(world, w->parent, flush_path(w, name, path), 0, false) < 0)
            break; /* tried again at the next snapshot */
        w->total -= w->kept[dropped].size;
        dropped++;
    }
    w->nkept -= dropped;
    memmove(w->kept, w->kept + dropped, w->nkept * sizeof *w->kept);
    flush_count(w);
}
