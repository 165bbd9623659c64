/* writer.h: a run being written, by two threads.
 *
 * The guest's thread encodes records into the open block of the tail (writer.c) and never waits for the disk unless a
 * whole tail is waiting already.  The store's worker (flusher.c), one for all its runs, turns sealed blocks into frames
 * of the current segment (flush.c).  Who owns what: fields up to `shared` belong to the guest's thread, fields after it
 * to the worker; `shared` is atomic.  While the guest's thread waits in flusher_drain it may lend the worker what is
 * its own (`request`); before the worker has seen a writer, and after it has let it go, all is the guest's thread's. */
#ifndef AEON_STORE_WRITER_H
#define AEON_STORE_WRITER_H

#include "base/buf.h"
#include "store/internal.h"
#include "store/segment.h"
#include "store/tail.h"

#include <stdatomic.h>

/* What all writers of a store share. The worker's, but for `worker` and `kicked`. */
struct flusher {
    struct world_worker *worker;
    struct store *store;
    _Atomic(struct store_writer *) kicked; /* those that want something, the last first */
    struct store_writer *oldest, *newest;  /* those to be synced now and then, the one that waits longest first */
    struct journal_packer *packer;
    struct journal_encoder *big_encoder;
    uint8_t *staging;               /* JOURNAL_FRAME_MAX bytes, once a record was larger than a block */
    struct store_writer *files[64]; /* who keeps a segment's file open; more only reopen theirs */
    unsigned next_file;
};

/* The segment being written. */
struct segment_out {
    bool open;
    int fd; /* -1: to be opened again when it is needed */
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
    uint64_t deadline_ns;             /* a record from then on goes to a new block */
    uint64_t next;                    /* its number */
    uint64_t seq;                     /* of the open block */
    uint64_t before;                  /* bytes of all blocks before it */
    uint32_t allocated[TAIL_NBLOCKS]; /* bytes of a block that the disk has room for */
    uint64_t last_time_ns;
    uint64_t snapshot_time_ns; /* the run's start or the last snapshot */
    bool ended;
    uint64_t outcome_kind, outcome_value;

    /* ---- constant ---- */
    struct store *store;
    struct store_id run;
    struct sha256 module;
    struct buf header; /* of a segment; only what segment_header_place writes differs */
    struct store_options options;
    char id[STORE_ID_TEXT];
    int parent; /* of the run's directory */
    int tail;

    /* ---- shared ---- */
    _Alignas(64) atomic_bool failed; /* set once `error` is */
    atomic_bool segment_full;
    _Atomic int64_t excess;               /* bytes on disk minus the bytes of all blocks that are there */
    _Alignas(64) _Atomic uint64_t sealed; /* blocks before this one are the worker's... */
    struct {
        uint64_t end_record, end_time_ns;
    } seal[TAIL_NBLOCKS];
    atomic_bool kicked;
    struct store_writer *next_kicked;
    _Alignas(64) _Atomic uint64_t freed; /* ...and before this one free again */
    _Alignas(64) atomic_bool requested;
    atomic_bool leaving; /* to be let go */
    struct {
        const struct journal_record *record; /* to be written straight to the segment */
        bool rotate;                         /* as a snapshot that opens a new one */
    } request;

    /* ---- the worker ---- */
    struct err error;
    struct flusher *flusher;
    struct segment_out segment;
    struct segment_kept *kept;
    size_t nkept, kept_cap;
    uint64_t total; /* bytes of the kept segments */
    uint64_t plain; /* and of all blocks that were framed, before */
    uint64_t synced_ns;
    struct store_writer *older, *newer; /* in the flusher's list */
    bool listed, gone;
    bool begun; /* a power cut does not lose the run any more */
};

/* ---- flusher.c: the worker, and who it works for ---- */

/* The store's, made when first asked for. */
struct flusher *flusher_of(struct store *s);
void flusher_free(struct flusher *f);

/* The writer has something to do. Never waits. */
void flusher_kick(struct store_writer *w);
/* Until that is done. */
void flusher_drain(struct store_writer *w);
/* Nobody but the caller has the writer any more. */
void flusher_leave(struct store_writer *w);

/* The worker keeps so many segments' files open. */
void flusher_keep_file(struct store_writer *w);
void flusher_forget_file(struct store_writer *w);

/* ---- flush.c: from the tail into segments ---- */

/* Does what the writer was kicked for. */
void flush_run(struct store_writer *w);

/* Names of the run's files, for calls relative to w->parent. */
enum { RUN_PATH = STORE_ID_TEXT + SEGMENT_NAME };
const char *flush_path(const struct store_writer *w, const char *file, char out[RUN_PATH]);

NODISCARD enum status flush_fail(struct store_writer *w, struct err *e, int64_t rc, const char *what,
                                 uint64_t first_record);

/* These are the worker's too, and the guest's thread's while there is no worker. */
NODISCARD enum status flush_segment_new(struct store_writer *w, uint64_t first_record, uint64_t first_time_ns,
                                        bool snapshot, struct err *e);
NODISCARD enum status flush_segment_close(struct store_writer *w, uint32_t trailer_flags, struct err *e);

/* Opens the current segment's file unless it is open. 0 or a negative errno code. */
int flush_segment_file(struct store_writer *w);
/* Lets store_run_bytes know. */
void flush_count(struct store_writer *w);

/* ---- durable.c: what a power cut must not lose ---- */

NODISCARD enum status durable_segment(struct store_writer *w, struct err *e);
/* The run itself: its object, its names. Once. */
NODISCARD enum status durable_begin(struct store_writer *w, struct err *e);
/* All that is committed now; *news when there was something to do. */
NODISCARD enum status durable_all(struct store_writer *w, bool *news, struct err *e);
int durable_dir(struct store *s, int parent, const char *name);

/* Drops segments that retention no longer wants; the newest one has just been opened by a snapshot. */
void retain(struct store_writer *w);

#endif
