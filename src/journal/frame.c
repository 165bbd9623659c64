#include "journal/journal.h"

#include "base/must.h"

#include <zstd.h>

/* Offsets in a frame's header; docs/formats/journal.md. */
enum {
    AT_MAGIC = 0,
    AT_CODEC = 4, /* and three zero bytes */
    AT_STORED_SIZE = 8,
    AT_PLAIN_SIZE = 12,
    AT_BLOCK_SIZE = 16,
    AT_BLOCK_OFFSET = 20,
    AT_NRECORDS = 24,
    AT_CRC = 28,
    AT_FIRST_RECORD = 32,
    AT_FIRST_TIME = 40,
    AT_LAST_TIME = 48,
    AT_ZERO = 56,
    AT_HEADER_CRC = 60,
};

#define FRAME_MAGIC 0x4d524641u /* "AFRM" */

/* Data that does not shrink by an eighth is stored as it is; whether it would is tried on a sample. */
enum { LEVEL = 1, SAMPLE = 16 << 10 };

struct journal_packer {
    ZSTD_CCtx *zstd;
    uint8_t *out;
    size_t cap;
};

struct journal_packer *journal_packer_new(void) {
    struct journal_packer *p = mem_alloc(sizeof *p);
    p->zstd = ZSTD_createCCtx();
    must(p->zstd);
    p->cap = JOURNAL_FRAME_MAX;
    p->out = mem_alloc(p->cap);
    return p;
}

void journal_packer_free(struct journal_packer *p) {
    if (!p)
        return;
    ZSTD_freeCCtx(p->zstd);
    mem_free(p->out);
    mem_free(p);
}

/* The compressed size when it is worth it, else 0. */
static size_t compress(struct journal_packer *p, struct span plain) {
    size_t worth = plain.size - plain.size / 8;
    size_t n = ZSTD_compressCCtx(p->zstd, p->out, worth < p->cap ? worth : p->cap, plain.data, plain.size, LEVEL);
    return ZSTD_isError(n) ? 0 : n;
}

void journal_pack(struct journal_packer *p, struct journal_frame *f, struct span plain,
                  uint8_t header[JOURNAL_FRAME_HEADER], struct span *stored) {
    must(plain.size > 0 && plain.size <= JOURNAL_FRAME_MAX);
    size_t n = 0;
    if (plain.size < 4 * SAMPLE || compress(p, SPAN(plain.data + plain.size / 2, SAMPLE)))
        n = compress(p, plain);
    *stored = n ? SPAN(p->out, n) : plain;
    f->codec = n ? JOURNAL_ZSTD : JOURNAL_RAW;
    f->stored_size = (uint32_t)stored->size;
    f->plain_size = (uint32_t)plain.size;
    f->crc = journal_crc32c(0, stored->data, stored->size);

    memset(header, 0, JOURNAL_FRAME_HEADER);
    put_u32(header + AT_MAGIC, FRAME_MAGIC);
    header[AT_CODEC] = f->codec;
    put_u32(header + AT_STORED_SIZE, f->stored_size);
    put_u32(header + AT_PLAIN_SIZE, f->plain_size);
    put_u32(header + AT_BLOCK_SIZE, f->block_size);
    put_u32(header + AT_BLOCK_OFFSET, f->block_offset);
    put_u32(header + AT_NRECORDS, f->nrecords);
    put_u32(header + AT_CRC, f->crc);
    put_u64(header + AT_FIRST_RECORD, f->first_record);
    put_u64(header + AT_FIRST_TIME, f->first_time_ns);
    put_u64(header + AT_LAST_TIME, f->last_time_ns);
    put_u32(header + AT_HEADER_CRC, journal_crc32c(0, header, AT_HEADER_CRC));

    struct journal_frame check;
    must(journal_frame_parse(header, &check, NULL) == ST_OK);
}

bool journal_frame_starts(struct span bytes) {
    uint32_t magic = FRAME_MAGIC;
    return memcmp(bytes.data, &magic, bytes.size < sizeof magic ? bytes.size : sizeof magic) == 0;
}

enum status journal_frame_parse(const uint8_t header[JOURNAL_FRAME_HEADER], struct journal_frame *f, struct err *e) {
    if (get_u32(header + AT_MAGIC) != FRAME_MAGIC)
        return err_set(e, ST_CORRUPT, "no frame begins here");
    if (get_u32(header + AT_HEADER_CRC) != journal_crc32c(0, header, AT_HEADER_CRC))
        return err_set(e, ST_CORRUPT, "the checksum of the frame's header does not match");
    struct journal_frame v = {
        .codec = header[AT_CODEC],
        .stored_size = get_u32(header + AT_STORED_SIZE),
        .plain_size = get_u32(header + AT_PLAIN_SIZE),
        .block_size = get_u32(header + AT_BLOCK_SIZE),
        .block_offset = get_u32(header + AT_BLOCK_OFFSET),
        .nrecords = get_u32(header + AT_NRECORDS),
        .crc = get_u32(header + AT_CRC),
        .first_record = get_u64(header + AT_FIRST_RECORD),
        .first_time_ns = get_u64(header + AT_FIRST_TIME),
        .last_time_ns = get_u64(header + AT_LAST_TIME),
    };
    bool sizes = v.plain_size > 0 && v.plain_size <= JOURNAL_FRAME_MAX && v.block_size <= JOURNAL_BLOCK_MAX &&
                 v.block_offset < v.block_size && v.plain_size <= v.block_size - v.block_offset &&
                 (v.codec == JOURNAL_RAW ? v.stored_size == v.plain_size : v.stored_size < v.plain_size);
    bool records = v.nrecords > 0 && v.nrecords <= v.block_size && v.first_record <= UINT64_MAX - v.nrecords &&
                   v.first_time_ns <= v.last_time_ns && (v.block_size <= JOURNAL_FRAME_MAX || v.nrecords == 1);
    bool zeros = header[AT_CODEC + 1] == 0 && get_u16(header + AT_CODEC + 2) == 0 && get_u32(header + AT_ZERO) == 0;
    if (v.codec > JOURNAL_ZSTD || !sizes || !records || !zeros)
        return err_set(e, ST_CORRUPT, "the frame's header contradicts itself");
    *f = v;
    return ST_OK;
}

struct journal_unpacker {
    ZSTD_DCtx *zstd;
};

struct journal_unpacker *journal_unpacker_new(void) {
    struct journal_unpacker *u = mem_alloc(sizeof *u);
    u->zstd = ZSTD_createDCtx();
    must(u->zstd);
    return u;
}

void journal_unpacker_free(struct journal_unpacker *u) {
    if (!u)
        return;
    ZSTD_freeDCtx(u->zstd);
    mem_free(u);
}

enum status journal_unpack(struct journal_unpacker *u, const struct journal_frame *f, const uint8_t *stored,
                           uint8_t *plain, struct err *e) {
    if (journal_crc32c(0, stored, f->stored_size) != f->crc)
        return err_set(e, ST_CORRUPT, "the frame's checksum does not match");
    if (f->codec == JOURNAL_RAW) {
        memcpy(plain, stored, f->plain_size);
        return ST_OK;
    }
    size_t n = ZSTD_decompressDCtx(u->zstd, plain, f->plain_size, stored, f->stored_size);
    if (ZSTD_isError(n) || n != f->plain_size)
        return err_set(e, ST_CORRUPT, "the frame does not decompress");
    return ST_OK;
}
