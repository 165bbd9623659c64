/* writer.h: a run being written, by two threads.
 *
 * The guest's thread encodes records into the open block of the tail (writer.c) and never waits for the disk unless a
 * whole tail is waiting already.  The worker (flush.c) turns sealed blocks into frames of the current segment.  Who
 * owns what: fields up to `shared` belong to the guest's thread, fields after it to the worker; `shared` is atomic.
 * While the guest's thread waits in worker_drain it may lend the worker what is its own (`request`). */
#ifndef AEON_STORE_WRITER_H
#define AEON_STORE_WRITER_H

#include "base/buf.h"
#include "store/internal.h"
#include "store/segment.h"
#include "store/tail.h"

#include <stdatomic.h>

/* The segment being written; fd -1: none yet. */
struct segment_out {
    int fd;
    uint64_t first_record, end_record;
    uint64_t first_time_ns, end_time_ns;
    uint64_t size;       /* bytes in the file that belong to whole blocks */
    uint64_t block_size; /* and of the block being written */
    uint64_t opening;    /* bytes before the first record that is not the opening snapshot */
    bool unsynced;
    struct segment_entry *entries;
    uint32_t nentries, cap;
};

/* A segment on disk, for retention; the last one is the one being written. */
struct segment_kept {
    uint64_t first_record, first_time_ns, size;
    bool snapshot;
};

struct store_writer {
    /* ---- the guest's thread ---- */
    struct journal_encoder *encoder;
    uint8_t *map;  /* the tail */
    uint8_t *data; /* the open block */
    uint8_t *at;   /* its next byte */
    uint8_t *end;
    _Atomic uint64_t *commit;
    uint32_t crc; /* running, over whole words */
    bool sync_each;
    uint64_t deadline_ns; /* a record from then on goes to a new block */
    uint64_t next;        /* its number */
    uint64_t seq;         /* of the open block */
    uint64_t last_time_ns;
    uint64_t snapshot_time_ns; /* the run's start or the last snapshot */
    bool ended;
    uint64_t outcome_kind, outcome_value;

    /* ---- constant ---- */
    struct store *store;
    struct store_info info; /* strings in `arena` */
    struct arena arena;
    struct store_options options;
    struct world_worker *worker;
    char id[STORE_ID_TEXT];
    int dir, tail;

    /* ---- shared ---- */
    _Alignas(64) atomic_bool failed; /* set once `error` is */
    atomic_bool segment_full;
    _Alignas(64) _Atomic uint64_t sealed; /* blocks before this one are the worker's... */
    struct {
        uint64_t end_record, end_time_ns;
    } seal[TAIL_NBLOCKS];
    _Alignas(64) _Atomic uint64_t freed; /* ...and before this one free again */
    _Alignas(64) atomic_bool requested;
    struct {
        const struct journal_record *record; /* to be written straight to the segment */
        bool rotate;                         /* as a snapshot that opens a new one */
    } request;

    /* ---- the worker ---- */
    struct err error;
    struct segment_out segment;
    struct segment_kept *kept;
    size_t nkept, kept_cap;
    struct journal_packer *packer;
    struct journal_encoder *big_encoder;
    uint8_t *staging; /* JOURNAL_FRAME_MAX bytes, when a record was larger than a block */
    struct buf scratch;
    uint64_t synced_ns;
    bool object_synced;
};

/* The worker's function; `writer` is a struct store_writer. */
void flush_run(void *writer);

/* These are the worker's too, and the guest's thread's while there is no worker. */
NODISCARD enum status flush_segment_new(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns,
                                        bool snapshot, struct err *e);
NODISCARD enum status flush_segment_close(struct store_writer *w, uint32_t trailer_flags, struct err *e);

/* Drops segments that retention no longer wants; the newest one has just been opened by a snapshot. */
void retain(struct store_writer *w);

#endif
