/* Arbitrary bytes as a journal: as a block, as a frame, and as the files of a run, which a reader opens, reads to its
 * end, describes and seeks in.  The first byte says which; its upper bits ask for checksums to be put right, so that
 * what lies behind them is reached, and whether a writer seems to be alive.
 *
 * A run is: two segments and a tail, each a length (u16) and so many bytes; the tail is given as page 0's beginning and
 * then, for each block, a length (u16) and its bytes. */
#include "base/must.h"
#include "store/reader.h"
#include "world/world.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_BLOCK, AS_FRAME, AS_RUN, KINDS = 4, REPAIR = 0x80, ALIVE = 0x40, NO_TAIL = 0x20 };

/* ---- a block ---- */

/* What decodes must, encoded again, decode to the same. */
static void try_block(struct span in) {
    enum { MOST = 4096, ROOM = 4 << 20 }; /* bytes of records, beside the last, before and after */
    struct journal_decoder *dec = journal_decoder_new(), *again = journal_decoder_new();
    struct journal_encoder *enc = journal_encoder_new();
    uint8_t *out = mem_alloc(ROOM), *end = out;
    struct journal_record a, b;
    size_t pos = 0, was = 0, back = 0;
    while (journal_decode(dec, in, &pos, &a, NULL) == ST_OK && was < MOST) {
        must(pos > was && pos <= in.size);
        was = pos;
        if (JOURNAL_HEAD_MAX + journal_payload(&a) > (size_t)(out + ROOM - end))
            break; /* records that repeat long ones are short */
        end = journal_encode(enc, end, &a);
        must(journal_decode(again, SPAN(out, (size_t)(end - out)), &back, &b, NULL) == ST_OK);
        must(back == (size_t)(end - out) && a.number == b.number && a.time_ns == b.time_ns && a.clock == b.clock);
        must(a.type == b.type && a.code == b.code && a.guest == b.guest && a.nvals == b.nvals && a.nblobs == b.nblobs);
        must(memcmp(a.vals, b.vals, a.nvals * sizeof *a.vals) == 0);
        for (uint32_t i = 0; i < a.nblobs; i++)
            must(a.blobs[i].size == b.blobs[i].size &&
                 memcmp(a.blobs[i].pieces->iov_base, b.blobs[i].pieces->iov_base, a.blobs[i].size) == 0);
    }
    mem_free(out);
    journal_encoder_free(enc);
    journal_decoder_free(dec);
    journal_decoder_free(again);
}

/* ---- a frame ---- */

enum { FRAME_STORED_SIZE = 8, FRAME_CRC = 28, FRAME_HEADER_CRC = 60 };

static void repair_frame(uint8_t *frame, size_t size) {
    uint32_t stored = get_u32(frame + FRAME_STORED_SIZE);
    if (stored <= size - JOURNAL_FRAME_HEADER)
        put_u32(frame + FRAME_CRC, journal_crc32c(0, frame + JOURNAL_FRAME_HEADER, stored));
    put_u32(frame + FRAME_HEADER_CRC, journal_crc32c(0, frame, FRAME_HEADER_CRC));
}

static void try_frame(uint8_t *in, size_t size, bool repair) {
    struct journal_frame f;
    if (size < JOURNAL_FRAME_HEADER)
        return;
    if (repair)
        repair_frame(in, size);
    if (journal_frame_parse(in, &f, NULL) != ST_OK || f.stored_size > size - JOURNAL_FRAME_HEADER)
        return;
    uint8_t *plain = mem_alloc(f.plain_size);
    struct journal_unpacker *u = journal_unpacker_new();
    if (journal_unpack(u, &f, in + JOURNAL_FRAME_HEADER, plain, NULL) == ST_OK)
        try_block(SPAN(plain, f.plain_size));
    journal_unpacker_free(u);
    mem_free(plain);
}

/* ---- a world that has nothing but the files of one run ---- */

enum { STORE_DIR = 100, OBJECTS_DIR, RUNS_DIR, TMP_DIR, RUN_DIR, FIRST_FILE, NFILES = 3, TAIL_FILE = 2 };

static struct fuzz_world {
    struct world world;
    char name[NFILES][SEGMENT_NAME];
    uint8_t *data[NFILES];
    size_t size[NFILES];
    bool alive;
} fuzz;

static int fuzz_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    (void)w, (void)c;
    *ns = 0;
    return 0;
}

static int fuzz_open(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    (void)w, (void)flags, (void)mode;
    if (dir == WORLD_CWD)
        return STORE_DIR;
    if (dir == STORE_DIR)
        return path[0] == 'o' ? OBJECTS_DIR : path[0] == 'r' ? RUNS_DIR : TMP_DIR;
    if (dir == RUNS_DIR)
        return RUN_DIR;
    for (int i = 0; dir == RUN_DIR && i < NFILES; i++)
        if (fuzz.data[i] && strcmp(fuzz.name[i], path) == 0)
            return FIRST_FILE + i;
    return -ENOENT;
}

static int fuzz_close(struct world *w, int fd) {
    (void)w, (void)fd;
    return 0;
}

static int64_t fuzz_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    (void)w;
    must(fd >= FIRST_FILE && fd < FIRST_FILE + NFILES && n == 1);
    size_t size = fuzz.size[fd - FIRST_FILE];
    size_t got = offset >= size ? 0 : size - offset < iov->iov_len ? size - offset : iov->iov_len;
    if (got)
        memcpy(iov->iov_base, fuzz.data[fd - FIRST_FILE] + offset, got);
    return (int64_t)got;
}

static int fuzz_stat(struct world *w, int fd, struct world_stat *st) {
    (void)w;
    memset(st, 0, sizeof *st);
    st->size = fuzz.size[fd - FIRST_FILE];
    return 0;
}

static int fuzz_read_dir(struct world *w, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *),
                         void *arg) {
    (void)w, (void)cookie;
    for (int i = 0; fd == RUN_DIR && i < NFILES; i++) {
        struct world_dirent d = {.name = fuzz.name[i]};
        if (fuzz.data[i] && !each(arg, &d))
            break;
    }
    return 0;
}

static int fuzz_make_dir(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    (void)w, (void)dir, (void)path, (void)flags, (void)mode;
    return -EEXIST;
}

static int fuzz_lock(struct world *w, int fd, bool exclusive) {
    (void)w, (void)fd, (void)exclusive;
    return fuzz.alive ? -EAGAIN : 0;
}

static const struct world_ops fuzz_ops = {
    .name = "fuzz",
    .clock = fuzz_clock,
    .open = fuzz_open,
    .close = fuzz_close,
    .preadv = fuzz_preadv,
    .stat = fuzz_stat,
    .read_dir = fuzz_read_dir,
    .make_dir = fuzz_make_dir,
    .lock = fuzz_lock,
};

/* ---- a run ---- */

enum { SEGMENT_SIZE_AT = 12, SEGMENT_ID_AT = 16, SEGMENT_FIRST_AT = 40 };
enum { TRAILER_INDEX_AT = 8, TRAILER_SIZE_AT = 72, TRAILER_INDEX_CRC_AT = 80, TRAILER_CRC_AT = 124 };

static void repair_segment(uint8_t *p, size_t size) {
    uint32_t header = size < SEGMENT_HEADER_FIXED ? 0 : get_u32(p + SEGMENT_SIZE_AT);
    if (header < SEGMENT_HEADER_FIXED + 4 || header > size)
        return;
    memset(p + SEGMENT_ID_AT, 0, 16);
    put_u32(p + header - 4, journal_crc32c(0, p, header - 4));
    size_t at = header;
    while (size - at >= JOURNAL_FRAME_HEADER && journal_frame_starts(SPAN(p + at, 4))) {
        repair_frame(p + at, size - at);
        uint32_t stored = get_u32(p + at + FRAME_STORED_SIZE);
        if (stored > size - at - JOURNAL_FRAME_HEADER)
            return;
        at += JOURNAL_FRAME_HEADER + stored;
    }
    if (size - at < SEGMENT_TRAILER)
        return;
    uint8_t *trailer = p + size - SEGMENT_TRAILER;
    uint64_t index = get_u64(trailer + TRAILER_INDEX_AT);
    put_u64(trailer + TRAILER_SIZE_AT, size);
    if (index <= size - SEGMENT_TRAILER)
        put_u32(trailer + TRAILER_INDEX_CRC_AT, journal_crc32c(0, p + index, size - SEGMENT_TRAILER - index));
    put_u32(trailer + TRAILER_CRC_AT, journal_crc32c(0, trailer, TRAILER_CRC_AT));
}

static void repair_tail(uint8_t *map) {
    struct store_id id = {{0}};
    uint8_t page[TAIL_PAGE] = {0};
    tail_format(page, &id, get_u32(map + 20) % 3);
    memcpy(map, page, TAIL_HEADER);
    for (unsigned i = 0; i < TAIL_NBLOCKS; i++) {
        struct tail_block *b = tail_block_at(map, i);
        uint32_t seq = ((uint32_t)b->state >> 2 & ~3u) | i, kind = (uint32_t)b->state & 3, size = (uint32_t)b->commit;
        b->state = tail_state_word((enum tail_state)(kind ? kind : TAIL_OPEN), seq);
        uint64_t *words[] = {&b->commit, &b->durable};
        for (int k = 0; k < 2; k++) {
            uint32_t reg = tail_seed(seq, b->first_record, b->first_time_ns);
            size = (uint32_t)*words[k];
            if (*words[k] && size <= TAIL_BLOCK_SIZE)
                *words[k] = tail_commit_word(size, journal_crc_running(&reg, map + tail_data_offset(i), 0, size));
        }
    }
}

/* Takes a length and so many bytes from the input, or what is left of it. */
static struct span take(struct span *in) {
    if (in->size < 2)
        return SPAN(in->data, 0);
    size_t n = get_u16(in->data);
    in->data += 2;
    in->size -= 2;
    if (n > in->size)
        n = in->size;
    struct span s = SPAN(in->data, n);
    in->data += n;
    in->size -= n;
    return s;
}

static void make_files(struct span in, uint8_t kind) {
    for (int i = 0; i < 2; i++) {
        struct span s = take(&in);
        if (i == 1 && s.size == 0)
            continue;
        fuzz.data[i] = mem_alloc(s.size);
        memcpy(fuzz.data[i], s.data, s.size);
        fuzz.size[i] = s.size;
        if (kind & REPAIR)
            repair_segment(fuzz.data[i], s.size);
        uint64_t first = i == 1 && s.size >= SEGMENT_FIRST_AT + 8 ? get_u64(fuzz.data[i] + SEGMENT_FIRST_AT) : 0;
        segment_name(i == 1 && first == 0 ? 1 : first, fuzz.name[i]);
    }
    if (kind & NO_TAIL)
        return;
    static uint8_t map[TAIL_SIZE];
    memset(map, 0, sizeof map);
    struct span page = take(&in);
    memcpy(map, page.data, page.size < TAIL_PAGE ? page.size : TAIL_PAGE);
    for (unsigned i = 0; i < TAIL_NBLOCKS; i++) {
        struct span s = take(&in);
        memcpy(map + tail_data_offset(i), s.data, s.size); /* u16: smaller than a block */
    }
    if (kind & REPAIR)
        repair_tail(map);
    fuzz.data[TAIL_FILE] = map;
    fuzz.size[TAIL_FILE] = TAIL_SIZE;
    memcpy(fuzz.name[TAIL_FILE], "tail", 5);
}

static void read_run(struct store *s) {
    struct store_id id = {{0}};
    if (fuzz.size[0] >= SEGMENT_ID_AT + sizeof id.bytes)
        memcpy(id.bytes, fuzz.data[0] + SEGMENT_ID_AT, sizeof id.bytes);
    struct store_reader *r;
    struct err e = ERR_INIT;
    if (store_reader_open(s, &id, &r, &e) != ST_OK) {
        must(e.text[0]);
        return;
    }
    struct journal_record rec;
    uint64_t n = 0, last = 0, time = 0;
    enum status st;
    while ((st = store_reader_next(r, &rec, &e)) == ST_OK && n < 5000) {
        must(n == 0 || rec.number == last + 1);
        last = rec.number;
        n++;
        for (uint32_t i = 0; i < rec.nblobs; i++)
            for (uint64_t k = 0; k < rec.blobs[i].size; k += 64)
                time += ((const uint8_t *)rec.blobs[i].pieces->iov_base)[k];
    }
    must(st == ST_OK || st == ST_END || e.text[0]);
    struct store_run run = {.state = STORE_RUNNING};
    reader_summary(r, &run);
    must((run.state == STORE_DAMAGED) == (run.problem[0] != 0));
    (void)store_reader_torn(r);
    for (uint32_t i = 0; i < store_reader_nsegments(r); i++)
        (void)store_reader_segment(r, i);
    uint64_t to[] = {last / 2, last, last + 1, time};
    for (int i = 0; i < 4; i++)
        if (store_reader_seek(r, to[i], NULL) == ST_OK && store_reader_next(r, &rec, NULL) == ST_OK)
            must(rec.number == to[i]);
    store_reader_close(r);
}

static void try_run(struct span in, uint8_t kind) {
    struct store *s;
    fuzz.world.ops = &fuzz_ops;
    fuzz.alive = kind & ALIVE;
    make_files(in, kind);
    must(store_open(&fuzz.world, "s", &s, NULL) == ST_OK);
    read_run(s);
    store_close(s);
    mem_free(fuzz.data[0]);
    mem_free(fuzz.data[1]);
    for (int i = 0; i < NFILES; i++)
        fuzz.data[i] = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint8_t *copy = mem_alloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    switch (data[0] % KINDS) {
    case AS_BLOCK: try_block(SPAN(copy, size - 1)); break;
    case AS_FRAME: try_frame(copy, size - 1, data[0] & REPAIR); break;
    default: try_run(SPAN(copy, size - 1), data[0]); break;
    }
    mem_free(copy);
    return 0;
}
