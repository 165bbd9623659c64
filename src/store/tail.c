#include "store/tail.h"

#include "base/must.h"

#include <stdatomic.h>

static const char magic[] = "AEONTAIL"; /* without the NUL */

enum { /* offsets in page 0; docs/formats/store.md */
       AT_MAGIC = 0,
       AT_VERSION = 8,
       AT_BLOCK_SIZE = 12,
       AT_NBLOCKS = 16,
       AT_SYNC = 20,
       AT_ID = 24,
       AT_ZERO = 40,
       AT_CRC = 60,
};

bool tail_state_parse(uint64_t word, enum tail_state *kind, uint32_t *seq) {
    uint32_t v = (uint32_t)word;
    if ((uint32_t)(word >> 32) != (uint32_t)~v || (v & 3) == 0)
        return false;
    *kind = (enum tail_state)(v & 3);
    *seq = v >> 2;
    return true;
}

uint32_t tail_seed(uint64_t seq, uint64_t first_record, uint64_t first_time_ns) {
    uint64_t words[3] = {seq & UINT32_MAX >> 2, first_record, first_time_ns};
    return journal_crc32c(0, words, sizeof words);
}

static uint64_t empty_commit(uint64_t seq, uint64_t first_record, uint64_t first_time_ns) {
    uint32_t reg = tail_seed(seq, first_record, first_time_ns);
    return tail_commit_word(0, journal_crc_running(&reg, NULL, 0, 0));
}

void tail_format(uint8_t page[TAIL_PAGE], const struct store_id *id, enum store_sync sync) {
    memcpy(page + AT_MAGIC, magic, sizeof magic - 1);
    put_u32(page + AT_VERSION, JOURNAL_FORMAT_VERSION);
    put_u32(page + AT_BLOCK_SIZE, TAIL_BLOCK_SIZE);
    put_u32(page + AT_NBLOCKS, TAIL_NBLOCKS);
    put_u32(page + AT_SYNC, sync);
    memcpy(page + AT_ID, id->bytes, sizeof id->bytes);
    put_u32(page + AT_CRC, journal_crc32c(0, page, AT_CRC));
    for (uint64_t seq = 0; seq < TAIL_NBLOCKS; seq++)
        *tail_block_at(page, seq) =
            (struct tail_block){.state = tail_state_word(TAIL_FREE, seq), .commit = empty_commit(seq, 0, 0)};
}

enum status tail_header_check(const uint8_t page[TAIL_PAGE], uint64_t file_size, const struct store_id *id,
                              struct err *e) {
    if (memcmp(page + AT_MAGIC, magic, sizeof magic - 1) != 0)
        return err_set(e, ST_CORRUPT, "at byte 0: not a journal's tail");
    uint32_t version = get_u32(page + AT_VERSION);
    if (version < JOURNAL_FORMAT_OLDEST || version > JOURNAL_FORMAT_VERSION)
        return err_set(e, ST_VERSION,
                       "tail of format %u, but this aeon knows only formats %d to %d; use the aeon that wrote it",
                       version, JOURNAL_FORMAT_OLDEST, JOURNAL_FORMAT_VERSION);
    if (get_u32(page + AT_CRC) != journal_crc32c(0, page, AT_CRC))
        return err_set(e, ST_CORRUPT, "at byte 0: the header's checksum does not match");
    if (get_u32(page + AT_BLOCK_SIZE) != TAIL_BLOCK_SIZE || get_u32(page + AT_NBLOCKS) != TAIL_NBLOCKS)
        return err_set(e, ST_VERSION, "a tail of another shape than this aeon makes; use the aeon that wrote it");
    if (memcmp(page + AT_ID, id->bytes, sizeof id->bytes) != 0)
        return err_set(e, ST_CORRUPT, "at byte %d: the tail of another run", AT_ID);
    if (file_size != TAIL_SIZE)
        return err_set(e, file_size < TAIL_SIZE ? ST_TRUNCATED : ST_CORRUPT, "%llu bytes long, not %d",
                       (unsigned long long)file_size, TAIL_SIZE);
    return ST_OK;
}

/* The words of a block's header that others may be looking at. */
static void store_word(uint64_t *at, uint64_t v) {
    atomic_store_explicit((_Atomic uint64_t *)at, v, memory_order_relaxed);
}

/* Announces a change before it happens, so that a reader who saw the block before does not believe what it saw. */
static void change(struct tail_block *b, uint64_t seq) {
    store_word(&b->state, tail_state_word(TAIL_CHANGING, seq));
    atomic_thread_fence(memory_order_seq_cst);
}

static void change_done(struct tail_block *b, enum tail_state kind, uint64_t seq, uint64_t record, uint64_t time_ns) {
    store_word(&b->first_record, record);
    store_word(&b->first_time_ns, time_ns);
    store_word(&b->durable, 0);
    store_word(&b->commit, empty_commit(seq, record, time_ns));
    atomic_store_explicit((_Atomic uint64_t *)&b->state, tail_state_word(kind, seq), memory_order_release);
}

void tail_block_open(uint8_t *map, uint64_t seq, uint64_t first_record, uint64_t first_time_ns) {
    struct tail_block *b = tail_block_at(map, seq);
    must(b->state == tail_state_word(TAIL_FREE, seq) ||
         (b->state == tail_state_word(TAIL_OPEN, seq) && (uint32_t)b->commit == 0));
    change(b, seq);
    change_done(b, TAIL_OPEN, seq, first_record, first_time_ns);
}

void tail_block_free(uint8_t *map, uint64_t seq, uint64_t end_record, uint64_t end_time_ns) {
    struct tail_block *b = tail_block_at(map, seq);
    must(b->state == tail_state_word(TAIL_OPEN, seq));
    size_t used = (uint32_t)b->commit;
    change(b, seq);
    memset(map + tail_data_offset(seq), 0, used);
    change_done(b, TAIL_FREE, seq + TAIL_NBLOCKS, end_record, end_time_ns);
}
