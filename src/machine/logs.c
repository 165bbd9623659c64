#include "machine/machine.h"

enum status machine_logs(struct store_reader *r, struct machine_streams *s, struct err *e) {
    /* Asked before reading: what a run appended before it ended is then seen below. */
    bool running = store_reader_state(r) == STORE_RUNNING;
    struct journal_record record;
    enum status status;
    while (!(status = store_reader_next(r, &record, e)))
        machine_streams_feed(s, &record);
    return status == ST_END && running ? ST_OK : status;
}
