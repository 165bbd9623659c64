#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"
#include "journal/crc32c.h"
#include "records.h"

static void crc_known_values(void **state) {
    (void)state;
    /* RFC 3720, B.4 */
    uint8_t b[32];
    assert_int_equal(journal_crc32c(0, "123456789", 9), 0xe3069283u);
    memset(b, 0, sizeof b);
    assert_int_equal(journal_crc32c(0, b, 32), 0x8a9136aau);
    memset(b, 0xff, sizeof b);
    assert_int_equal(journal_crc32c(0, b, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        b[i] = (uint8_t)i;
    assert_int_equal(journal_crc32c(0, b, 32), 0x46dd794eu);
    assert_int_equal(journal_crc32c(journal_crc32c(0, b, 13), b + 13, 19), 0x46dd794eu);
}

static void crc_table_agrees_with_instruction(void **state) {
    (void)state;
    if (!crc32c_has_sse42())
        skip();
    struct prng p = {1};
    uint8_t b[200];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (uint8_t)prng_next(&p);
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n < sizeof b - from; n++) {
            uint32_t reg = (uint32_t)prng_next(&p);
            assert_int_equal(crc32c_sse42(reg, b + from, n), crc32c_table(reg, b + from, n));
            uint32_t r1 = reg, r2 = reg;
            assert_int_equal(crc32c_running_sse42(&r1, b, from, from + n),
                             crc32c_running_table(&r2, b, from, from + n));
            assert_int_equal(r1, r2);
        }
}

/* However a block grew, its checksum is the same; and its length is part of it. */
static void crc_of_growing_block(void **state) {
    (void)state;
    struct prng p = {5};
    uint8_t b[512];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = i % 3 ? (uint8_t)prng_next(&p) : 0;
    for (int run = 0; run < 200; run++) {
        uint32_t reg = 77, crc = 0, whole = 77;
        size_t at = 0;
        while (at < 400) {
            size_t to = at + (size_t)prng_below(&p, 40);
            crc = journal_crc_running(&reg, b, at, to);
            at = to;
        }
        assert_int_equal(crc, journal_crc_running(&whole, b, 0, at));
        whole = 77;
        assert_int_not_equal(crc, journal_crc_running(&whole, b, 0, at + 1));
    }
}

/* Encodes n random records into one block; answers its size. */
static size_t encode(struct journal_encoder *enc, struct record_gen *g, uint8_t *block, size_t cap, unsigned n) {
    struct journal_record r;
    uint8_t *p = block;
    for (unsigned i = 0; i < n; i++) {
        record_gen_next(g, &r);
        must((size_t)(block + cap - p) >= JOURNAL_HEAD_MAX + journal_payload(&r));
        uint8_t *end = journal_encode(enc, p, &r);
        assert_true((size_t)(end - p) <= JOURNAL_HEAD_MAX + journal_payload(&r));
        p = end;
    }
    return (size_t)(p - block);
}

static void round_trip(void **state) {
    (void)state;
    enum { CAP = 4 << 20, N = 2000 };
    uint8_t *block = mem_alloc(CAP);
    struct journal_encoder *enc = journal_encoder_new();
    struct journal_decoder *dec = journal_decoder_new();
    for (uint64_t seed = 0; seed < 60; seed++) {
        /* few shapes, many shapes, more than there are contexts */
        uint32_t ncodes = seed % 3 == 0 ? 4 : seed % 3 == 1 ? 100 : 2000, nguests = seed % 2 ? 1 : 40;
        struct record_gen g, again;
        uint32_t most = seed % 4 == 3 ? 200 : 40;
        record_gen_init(&g, seed, nguests, ncodes, most);
        record_gen_init(&again, seed, nguests, ncodes, most);
        journal_encoder_reset(enc, 0);
        size_t size = encode(enc, &g, block, CAP, N), pos = 0;
        journal_decoder_reset(dec, 1000, 0);
        struct journal_record want, got;
        for (unsigned i = 0; i < N; i++) {
            record_gen_next(&again, &want);
            assert_int_equal(journal_decode(dec, SPAN(block, size), &pos, &got, NULL), ST_OK);
            assert_true(record_equal(&want, &got));
            assert_int_equal(got.number, 1000 + i);
        }
        assert_int_equal(pos, size);
        assert_int_equal(journal_decode(dec, SPAN(block, size), &pos, &got, NULL), ST_END);
        record_gen_deinit(&g);
        record_gen_deinit(&again);
    }
    journal_encoder_free(enc);
    journal_decoder_free(dec);
    mem_free(block);
}

/* The reason for all the prediction: a call and its return cost four bytes beside the payload. */
static void repetitive_calls_are_small(void **state) {
    (void)state;
    enum { CAP = 1 << 20, N = 1000 };
    uint8_t *block = mem_alloc(CAP), *p = block, payload[16] = {0};
    struct journal_encoder *enc = journal_encoder_new();
    struct iovec piece = {payload, sizeof payload};
    struct journal_record call = {.type = JOURNAL_CALL,
                                  .code = 30,
                                  .nvals = 4,
                                  .vals = {5, 1024, 1, 2048},
                                  .nblobs = 1,
                                  .blobs = {{&piece, 1, 16}}};
    struct journal_record ret = {.type = JOURNAL_RETURN, .code = 30, .nvals = 2, .vals = {0, 16}};
    for (int i = 0; i < N; i++) {
        call.time_ns = ret.time_ns = 5000u * (unsigned)i + (unsigned)i % 7;
        call.clock = ret.clock = 1000 + 23u * (unsigned)i;
        p = journal_encode(enc, p, &call);
        p = journal_encode(enc, p, &ret);
    }
    assert_true(p - block <= N * (16 + 4) + 100);
    journal_encoder_free(enc);
    mem_free(block);
}

/* What encode and decode make of one record after another: bytes written for each, checked to come back. */
struct pair {
    struct journal_encoder *enc;
    struct journal_decoder *dec;
    uint8_t *block;
    size_t size, pos;
};

static size_t pass(struct pair *t, struct journal_record *r) {
    struct journal_record got;
    size_t was = t->size;
    t->size = (size_t)(journal_encode(t->enc, t->block + was, r) - t->block);
    assert_true(t->size - was <= JOURNAL_HEAD_MAX + journal_payload(r));
    assert_int_equal(journal_decode(t->dec, SPAN(t->block, t->size), &t->pos, &got, NULL), ST_OK);
    assert_int_equal(t->pos, t->size);
    assert_true(record_equal(r, &got));
    return t->size - was;
}

/* A server that waits for a thousand connections says so again and again: what is the same is written once. */
static void repeated_blobs_are_small(void **state) {
    (void)state;
    enum { N = 1000, ONE = 48 };
    struct pair t = {journal_encoder_new(), journal_decoder_new(), mem_alloc(4 << 20), 0, 0};
    uint8_t *subscriptions = mem_zalloc((N + 1) * ONE);
    for (unsigned i = 0; i < N; i++)
        put_u64(subscriptions + i * ONE, i * 0x9e3779b97f4a7c15u);
    struct iovec pieces[3] = {{subscriptions, N * ONE}};
    struct journal_record r = {.type = JOURNAL_CALL, .nvals = 1, .nblobs = 1, .blobs = {{pieces, 1, N * ONE}}};
    assert_true(pass(&t, &r) > N * ONE); /* the first time */
    assert_true(pass(&t, &r) < 8);       /* the mode */
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(pass(&t, &r), 1); /* as predicted */

    subscriptions[500 * ONE] ^= 1; /* another event is waited for */
    assert_true(pass(&t, &r) < 12);
    subscriptions[3] ^= 1;
    assert_true(pass(&t, &r) < 12);
    r.blobs[0].size = pieces[0].iov_len = (N - 1) * ONE; /* one at the end goes, */
    assert_true(pass(&t, &r) < 16);
    memmove(subscriptions + 300 * ONE, subscriptions + 301 * ONE, (N - 301) * ONE); /* one in the middle, */
    r.blobs[0].size = pieces[0].iov_len = (N - 2) * ONE;
    assert_true(pass(&t, &r) < 16);
    r.blobs[0].size = pieces[0].iov_len = (N - 1) * ONE; /* one comes */
    memset(subscriptions + (N - 2) * ONE, 7, ONE);
    assert_true(pass(&t, &r) < 16 + ONE);

    /* in pieces, it is the same blob */
    assert_true(pass(&t, &r) < 8);
    pieces[2] = (struct iovec){subscriptions + 3000, (N - 1) * ONE - 3000};
    pieces[1] = (struct iovec){subscriptions + 1001, 1999};
    pieces[0].iov_len = 1001;
    r.blobs[0].npieces = 3;
    assert_int_equal(pass(&t, &r), 1);
    subscriptions[1001] ^= 1;
    assert_true(pass(&t, &r) < 12);
    subscriptions[3001] ^= 1;
    assert_true(pass(&t, &r) < 12);

    /* what has nothing in common is written as it is, and costs no more than itself */
    struct prng p = {4};
    for (unsigned i = 0; i < (N - 1) * ONE; i++)
        subscriptions[i] = (uint8_t)prng_next(&p);
    assert_true(pass(&t, &r) <= (N - 1) * ONE + 8);
    pieces[0] = (struct iovec){subscriptions, 31}; /* too short to be looked at */
    r.blobs[0] = (struct journal_blob){pieces, 1, 31};
    assert_true(pass(&t, &r) >= 31);
    assert_int_equal(pass(&t, &r), 32);
    pieces[0].iov_len = r.blobs[0].size = (N - 1) * ONE; /* the long one is remembered */
    assert_true(pass(&t, &r) < 16);

    /* another block knows nothing of it */
    journal_encoder_reset(t.enc, 0);
    journal_decoder_reset(t.dec, 0, 0);
    t.size = t.pos = 0;
    assert_true(pass(&t, &r) > (N - 1) * ONE);
    journal_encoder_free(t.enc);
    journal_decoder_free(t.dec);
    mem_free(t.block);
    mem_free(subscriptions);
}

/* A definition of one blob, and what a decoder must not believe of it. */
static void hostile_predictions(void **state) {
    (void)state;
    uint8_t first[4 + 2 + 64] = {0x40 | 63, JOURNAL_CALL, 0, 1, 7 /* code */, 4 /* mask: size */, 40};
    static const struct {
        uint8_t bytes[8];
        uint8_t n;
    } next[] = {
        {{0x40, 4 | 8, 41, 1}, 4},          /* the same, of another size */
        {{0x40, 8, 3}, 3},                  /* no such mode */
        {{0x40, 8, 2, 41, 0}, 5},           /* more in common than there is */
        {{0x40, 8, 2, 20, 21}, 5},          /* both ends together */
        {{0x40, 4 | 8, 33, 2, 34, 0}, 6},   /* more than the new one has */
        {{0x40, 8, 2, 0, 38, 1}, 6},        /* its middle is cut */
        {{0x40, 4 | 8, 31, 1}, 4},          /* too short */
        {{0x40, 16}, 2},                    /* changes of a second blob */
        {{0x40, 8, 2, 0xff, 0xff, 0xff}, 6} /* cut */
    };
    static const struct {
        uint8_t bytes[8];
        uint8_t n;
    } good[] = {{{0x40, 8, 1}, 3}, {{0x40, 8, 2, 20, 19, 9}, 6}, {{0x40, 4 | 8, 33, 2, 20, 13}, 6}};
    struct journal_decoder *dec = journal_decoder_new();
    struct journal_record r;
    for (unsigned i = 0; i < 9 + 3; i++) {
        const uint8_t *bytes = i < 9 ? next[i].bytes : good[i - 9].bytes;
        size_t n = i < 9 ? next[i].n : good[i - 9].n, pos = 0, size = 7 + 40 + n;
        uint8_t *block = mem_alloc(size);
        memcpy(block, first, 7 + 40);
        memcpy(block + 7 + 40, bytes, n);
        journal_decoder_reset(dec, 0, 0);
        assert_int_equal(journal_decode(dec, SPAN(block, size), &pos, &r, NULL), ST_OK);
        assert_int_equal(pos, 47);
        assert_int_equal(journal_decode(dec, SPAN(block, size), &pos, &r, NULL), i < 9 ? ST_MALFORMED : ST_OK);
        assert_int_equal(pos, i < 9 ? 47 : size);
        mem_free(block);
    }
    /* and of a blob that was not there before */
    static const uint8_t absent[] = {0x40 | 63, JOURNAL_CALL, 0, 1, 7, 4 | 8, 40, 1};
    size_t pos = 0;
    journal_decoder_reset(dec, 0, 0);
    assert_int_equal(journal_decode(dec, SPAN(absent, sizeof absent), &pos, &r, NULL), ST_MALFORMED);
    journal_decoder_free(dec);
}

/* No prefix and no flipped bit may crash the decoder; a cut record is an error, never half a record. */
static void hostile_blocks(void **state) {
    (void)state;
    enum { CAP = 1 << 20 };
    uint8_t *block = mem_alloc(CAP);
    struct journal_encoder *enc = journal_encoder_new();
    struct journal_decoder *dec = journal_decoder_new();
    struct record_gen g;
    record_gen_init(&g, 7, 3, 6, 70);
    size_t size = encode(enc, &g, block, CAP, 60), whole = 0, ends[61] = {0};
    struct journal_record r;
    for (size_t pos = 0, n = 0; journal_decode(dec, SPAN(block, size), &pos, &r, NULL) == ST_OK;)
        ends[++n] = pos;

    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *exact = mem_alloc(cut); /* so that a sanitizer sees a read beyond */
        memcpy(exact, block, cut);
        journal_decoder_reset(dec, 0, 0);
        size_t pos = 0, n = 0;
        enum status s;
        while ((s = journal_decode(dec, SPAN(exact, cut), &pos, &r, NULL)) == ST_OK)
            n++;
        assert_int_equal(pos, ends[n]);
        assert_int_equal(s, cut == ends[n] ? ST_END : ST_MALFORMED);
        whole += s == ST_END;
        mem_free(exact);
    }
    assert_int_equal(whole, 61);

    struct prng p = {3};
    for (size_t bit = 0; bit < size * 8; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        journal_decoder_reset(dec, 0, prng_next(&p));
        size_t pos = 0;
        while (journal_decode(dec, SPAN(block, size), &pos, &r, NULL) == ST_OK)
            ;
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    record_gen_deinit(&g);
    journal_encoder_free(enc);
    journal_decoder_free(dec);
    mem_free(block);
}

static void frames(void **state) {
    (void)state;
    struct journal_packer *packer = journal_packer_new();
    struct journal_unpacker *unpacker = journal_unpacker_new();
    struct prng p = {9};
    static const size_t sizes[] = {1, 2, 100, 5000, 70000, 256 << 10, JOURNAL_FRAME_MAX};
    for (unsigned i = 0; i < 7 * 3; i++) {
        size_t size = sizes[i / 3];
        uint8_t *plain = mem_alloc(size), *back = mem_alloc(size), header[JOURNAL_FRAME_HEADER];
        for (size_t k = 0; k < size; k++)
            plain[k] = i % 3 == 0 ? 7 : (uint8_t)(prng_next(&p) & (i % 3 == 1 ? 0x07 : 0xff));
        struct journal_frame f = {.block_size = (uint32_t)size,
                                  .nrecords = 1,
                                  .first_record = 5,
                                  .first_time_ns = 6,
                                  .last_time_ns = 7},
                             g;
        struct span stored;
        journal_pack(packer, &f, SPAN(plain, size), header, &stored);
        assert_true(stored.size == f.stored_size && f.plain_size == size);
        if (size >= 5000)
            assert_int_equal(f.codec, i % 3 == 2 ? JOURNAL_RAW : JOURNAL_ZSTD);
        assert_int_equal(journal_frame_parse(header, &g, NULL), ST_OK);
        assert_true(g.stored_size == f.stored_size && g.plain_size == size && g.block_size == size && g.crc == f.crc);
        assert_true(g.block_offset == 0 && g.nrecords == 1 && g.first_record == 5);
        assert_true(g.first_time_ns == 6 && g.last_time_ns == 7);
        assert_true(journal_frame_is_last(&g));
        assert_int_equal(journal_unpack(unpacker, &g, stored.data, back, NULL), ST_OK);
        assert_memory_equal(plain, back, size);
        if (size <= 5000) {
            uint8_t *damaged = mem_alloc(stored.size);
            memcpy(damaged, stored.data, stored.size);
            for (size_t bit = 0; bit < stored.size * 8; bit++) {
                damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(journal_unpack(unpacker, &g, damaged, back, NULL), ST_CORRUPT);
                damaged[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            for (size_t bit = 0; bit < sizeof header * 8; bit++) {
                header[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(journal_frame_parse(header, &g, NULL), ST_CORRUPT);
                header[bit / 8] ^= (uint8_t)(1 << bit % 8);
            }
            mem_free(damaged);
        }
        mem_free(plain);
        mem_free(back);
    }
    journal_packer_free(packer);
    journal_unpacker_free(unpacker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_known_values),
        cmocka_unit_test(crc_table_agrees_with_instruction),
        cmocka_unit_test(crc_of_growing_block),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(repetitive_calls_are_small),
        cmocka_unit_test(repeated_blobs_are_small),
        cmocka_unit_test(hostile_predictions),
        cmocka_unit_test(hostile_blocks),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
