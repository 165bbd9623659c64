/* journal.h: the execution log as bytes. Records in, frames out, and back; no files, no threads, no clock.
 *
 * A *record* is one thing that crossed a guest's edge. It has a type, a guest number, a code (which import), small
 * numbers (`vals`) and byte strings (`blobs`), a time and the guest's instruction clock.  The encoder writes what
 * differs from a prediction made from the records before it, so that a repetitive call costs two or three bytes beside
 * what is new in its payload.  Records are packed into *blocks* that decode on their own; a *frame* is a block
 * compressed (zstd) and checksummed (CRC32C).  Byte-exact description: docs/formats/journal.md. */
#ifndef AEON_JOURNAL_JOURNAL_H
#define AEON_JOURNAL_JOURNAL_H

#include "base/bytes.h"
#include "base/err.h"

#include <sys/uio.h>

/* What is written; and the oldest that is read: version 1 has no predicted blobs. */
enum { JOURNAL_FORMAT_VERSION = 2, JOURNAL_FORMAT_OLDEST = 1 };

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

/* ---- encoder ---- */

/* The most that one record may carry in its blobs, and the most its encoding adds to them. */
#define JOURNAL_RECORD_MAX (1u << 30)
enum { JOURNAL_HEAD_MAX = 320 };

struct journal_encoder;

struct journal_encoder *journal_encoder_new(void);
void journal_encoder_free(struct journal_encoder *enc);

/* Starts a block: what is encoded from here on decodes on its own. The block stays where it is until the next one is
 * started: blobs are compared with those that lie in it. */
void journal_encoder_reset(struct journal_encoder *enc, uint64_t first_time_ns);

/* The sum of the blobs' sizes: a record takes at most JOURNAL_HEAD_MAX bytes more. */
static inline uint64_t journal_payload(const struct journal_record *r) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->nblobs; i++)
        n += r->blobs[i].size;
    return n;
}

/* Writes the record at `out`, which has room for JOURNAL_HEAD_MAX + journal_payload(r) bytes; returns the end. A record
 * that is ill-formed, or older than the one before, is a bug of the caller. */
uint8_t *journal_encode(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r);

/* The same for the first record of a block, without the blobs' bytes, which the caller lets follow, one blob after the
 * other. */
uint8_t *journal_encode_head(struct journal_encoder *enc, uint8_t *out, const struct journal_record *r);

/* ---- decoder ---- */

struct journal_decoder;

struct journal_decoder *journal_decoder_new(void);
void journal_decoder_free(struct journal_decoder *dec);
void journal_decoder_reset(struct journal_decoder *dec, uint64_t first_record, uint64_t first_time_ns);

/* Reads the record at *pos of `block` and moves *pos behind it. Blobs point into `block` or the decoder,
 * their pieces into the decoder: valid until its next use.  ST_END at the block's end; ST_MALFORMED (then *pos stays)
 * for anything that no encoder wrote. A block may grow, and lie elsewhere, between calls. */
NODISCARD enum status journal_decode(struct journal_decoder *dec, struct span block, size_t *pos,
                                     struct journal_record *out, struct err *e);

/* ---- checksums: CRC32C (Castagnoli), with SSE4.2 where the machine has it ---- */

/* `crc` is 0 or the result for the bytes before. */
uint32_t journal_crc32c(uint32_t crc, const void *p, size_t n);

/* The checksum of a block that grows. `*reg` starts as any number (the seed) and keeps the bare register over the whole
 * 8-byte words of block[0, from); it is moved on to those of block[0, to). Returns the checksum of block[0, to): those
 * words, then the rest padded with zeros to a word, then `to` as a word.  The word that holds `to` must be readable. */
uint32_t journal_crc_running(uint32_t *reg, const uint8_t *block, size_t from, size_t to);

/* ---- frames ---- */

/* A frame holds a block, or one piece of a block that is larger than JOURNAL_FRAME_MAX. */
#define JOURNAL_FRAME_MAX (1u << 20)
#define JOURNAL_BLOCK_MAX (JOURNAL_RECORD_MAX + JOURNAL_HEAD_MAX)
enum { JOURNAL_FRAME_HEADER = 64 };
enum { JOURNAL_RAW = 0, JOURNAL_ZSTD = 1 };

struct journal_frame {
    uint8_t codec;
    uint32_t stored_size; /* bytes behind the header */
    uint32_t plain_size;  /* the same, decompressed */
    uint32_t block_size;  /* of the whole block; equal to plain_size unless the block is in pieces */
    uint32_t block_offset;
    uint32_t nrecords; /* of the whole block */
    uint32_t crc;      /* of the stored bytes */
    uint64_t first_record, first_time_ns, last_time_ns;
};

static inline bool journal_frame_is_last(const struct journal_frame *f) {
    return f->block_offset + f->plain_size == f->block_size;
}

/* Holds what compression needs; one thread at a time. */
struct journal_packer;
struct journal_packer *journal_packer_new(void);
void journal_packer_free(struct journal_packer *p);

/* Makes a frame of `plain` (1..JOURNAL_FRAME_MAX bytes). Block and record fields of `f` are the caller's; sizes, codec
 * and checksum are filled in.  *stored is `plain` itself or belongs to the packer, until the next call. */
void journal_pack(struct journal_packer *p, struct journal_frame *f, struct span plain,
                  uint8_t header[JOURNAL_FRAME_HEADER], struct span *stored);

/* Reads a frame's header; after ST_OK every field is within its bounds. ST_CORRUPT. */
NODISCARD enum status journal_frame_parse(const uint8_t header[JOURNAL_FRAME_HEADER], struct journal_frame *f,
                                          struct err *e);

/* True when the bytes start as a frame does; for telling a cut frame from something else. */
bool journal_frame_starts(struct span bytes);

struct journal_unpacker;
struct journal_unpacker *journal_unpacker_new(void);
void journal_unpacker_free(struct journal_unpacker *u);

/* Checks the stored bytes (f->stored_size) and writes f->plain_size bytes to `plain`. ST_CORRUPT. */
NODISCARD enum status journal_unpack(struct journal_unpacker *u, const struct journal_frame *f, const uint8_t *stored,
                                     uint8_t *plain, struct err *e);
#endif
