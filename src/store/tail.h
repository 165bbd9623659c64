/* tail.h: the bytes of `tail`, the file mapped shared in which records lie until they are framed.
 *
 *     page 0    header, then NBLOCKS block headers of 64 bytes
 *     page 1... NBLOCKS blocks of BLOCK_SIZE bytes
 *
 * A block goes FREE -> CHANGING -> OPEN (the guest's thread), then, when its frame is written, -> CHANGING -> FREE (the
 * writer's worker).  While OPEN its `commit` word says how many bytes count, and their checksum; bytes beyond are zero,
 * and so is all of a FREE block.  Every word that changes while others look is a word of eight bytes, stored at once.
 * Byte-exact description: docs/formats/store.md. */
#ifndef AEON_STORE_TAIL_H
#define AEON_STORE_TAIL_H

#include "store/store.h"

enum {
    TAIL_PAGE = 4096,
    TAIL_NBLOCKS = 4,
    TAIL_BLOCK_SIZE = 256 << 10,
    TAIL_SIZE = TAIL_PAGE + TAIL_NBLOCKS * TAIL_BLOCK_SIZE,
    TAIL_HEADER = 64, /* where the block headers begin */
};

enum tail_state { TAIL_FREE = 1, TAIL_OPEN = 2, TAIL_CHANGING = 3 };

/* As in the file. */
struct tail_block {
    uint64_t state;                       /* tail_state_word */
    uint64_t commit;                      /* bytes | checksum << 32 */
    uint64_t durable;                     /* a commit whose bytes have reached the disk, or 0 */
    uint64_t first_record, first_time_ns; /* FREE: the records before these are in segments */
    uint64_t zero[3];
};
_Static_assert(sizeof(struct tail_block) == 64, "a block's header fills a cache line");

/* Kind and sequence number (block s lies at s % TAIL_NBLOCKS), with their complement against flipped bits. */
static inline uint64_t tail_state_word(enum tail_state kind, uint64_t seq) {
    uint32_t v = (uint32_t)(seq << 2) | (uint32_t)kind;
    return (uint64_t)~v << 32 | v;
}
/* False when it is no such word. The sequence number is modulo 2^30. */
bool tail_state_parse(uint64_t word, enum tail_state *kind, uint32_t *seq);

static inline uint64_t tail_commit_word(uint32_t size, uint32_t crc) {
    return (uint64_t)crc << 32 | size;
}

/* The seed of a block's checksum: what its header says. */
uint32_t tail_seed(uint64_t seq, uint64_t first_record, uint64_t first_time_ns);

static inline struct tail_block *tail_block_at(uint8_t *map, uint64_t seq) {
    return (struct tail_block *)(map + TAIL_HEADER) + seq % TAIL_NBLOCKS;
}
static inline size_t tail_data_offset(uint64_t seq) {
    return TAIL_PAGE + (size_t)(seq % TAIL_NBLOCKS) * TAIL_BLOCK_SIZE;
}

/* Fills page 0 of a tail that is all zeros; the blocks' sequence numbers begin at 0. */
void tail_format(uint8_t page[TAIL_PAGE], const struct store_id *id, enum store_sync sync);

/* Checks the header of page 0, `file_size` included. ST_VERSION, ST_CORRUPT, ST_TRUNCATED. */
NODISCARD enum status tail_header_check(const uint8_t page[TAIL_PAGE], uint64_t file_size, const struct store_id *id,
                                        struct err *e);

/* ---- the guest's side ---- */

/* Makes a FREE block, or one that is OPEN and empty, the OPEN one of sequence `seq`. */
void tail_block_open(uint8_t *map, uint64_t seq, uint64_t first_record, uint64_t first_time_ns);

/* ---- the worker's side ---- */

/* Clears a block whose records are in a segment. */
void tail_block_free(uint8_t *map, uint64_t seq, uint64_t end_record, uint64_t end_time_ns);

#endif
