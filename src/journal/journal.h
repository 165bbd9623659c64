/* journal.h: the execution log as bytes. Records in, frames out, and back; no files, no threads, no clock.
 *
 * A *record* is one thing that crossed a guest's edge. It has a type, a guest number, a code (which import), small
 * numbers (`vals`) and byte strings (`blobs`), a time and the guest's instruction clock.  The encoder writes what
 * differs from a prediction made from the records before it, so that a repetitive call costs two or three bytes beside
 * its payload.  Records are packed into *blocks* that decode on their own; a *frame* is a block compressed (zstd) and
 * checksummed (CRC32C).  Byte-exact description: docs/formats/journal.md. */
#ifndef AEON_JOURNAL_JOURNAL_H
#define AEON_JOURNAL_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/uio.h>

enum { JOURNAL_FORMAT_VERSION = 1 };

/* Record types. vals and blobs by type:
 *   CALL      code = import; vals = the raw arguments, one per Wasm parameter; blobs = bytes the host reads from guest
 *             memory, one per such parameter.  Written before the call takes effect.
 *   RETURN    code = import; vals = result (if any), then scalar outputs; blobs = bytes written to guest memory.
 *   END       vals = outcome kind, exit status or trap kind; blobs[0] = words.  The guest's last record.
 *   SNAPSHOT  blobs[0] = the guest's canonical state at this point.  Only as the first record of a segment.
 *   NOTE      blobs[0] = words for the reader (a refused grant and the flag that would allow it). */
// clang-format off
#define JOURNAL_TYPES(X) \
    X(CALL, 1) X(RETURN, 2) X(END, 3) X(SNAPSHOT, 4) X(NOTE, 5)
// clang-format on

enum journal_type {
#define X(name, value) JOURNAL_##name = value,
    JOURNAL_TYPES(X)
#undef X
};

enum { JOURNAL_MAX_VALS = 16, JOURNAL_MAX_BLOBS = 8 };

/* A byte string given in pieces (gathered I/O) when appended; always one piece when read. */
struct journal_blob {
    const struct iovec *pieces;
    uint32_t npieces;
    uint64_t size; /* of all pieces */
};

struct journal_record {
    enum journal_type type;
    uint32_t guest;
    uint32_t code;
    uint64_t number;  /* position in the run, from 0; given by the encoder */
    uint64_t time_ns; /* monotonic, since the run's start; never less than the record before */
    uint64_t clock;   /* the guest's ticks; never less than in its record before */
    uint32_t nvals, nblobs;
    uint64_t vals[JOURNAL_MAX_VALS];
    struct journal_blob blobs[JOURNAL_MAX_BLOBS];
};

/* ... encoder, decoder, frames: by the module's author. */
#endif
