#include "store/segment.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdio.h>

static const char header_magic[] = "AEONSEG\n";
static const char index_magic[] = "AEONIDX\n";
static const char trailer_magic[] = "AEONEND\n";

/* Offsets; docs/formats/store.md. */
enum {
    H_MAGIC = 0,
    H_VERSION = 8,
    H_SIZE = 12,
    H_ID = 16,
    H_STARTED = 32,
    H_FIRST_RECORD = 40,
    H_FIRST_TIME = 48,
    H_FLAGS = 56,
    H_SEMANTICS = 60,
    H_MODULE = 64,
    H_NARGS = 96,
    H_NENV = 100,
    H_NGRANTS = 104,
    H_NLIMITS = 108,

    I_MAGIC = 0,
    I_COUNT = 8,
    I_ZERO = 12,

    T_MAGIC = 0,
    T_INDEX_OFFSET = 8,
    T_NENTRIES = 16,
    T_FLAGS = 20,
    T_FIRST_RECORD = 24,
    T_END_RECORD = 32,
    T_FIRST_TIME = 40,
    T_LAST_TIME = 48,
    T_OUTCOME_KIND = 56,
    T_OUTCOME_VALUE = 64,
    T_FILE_SIZE = 72,
    T_INDEX_CRC = 80,
    T_ZERO = 84,
    T_CRC = 124,
};

void segment_name(uint64_t first_record, char out[SEGMENT_NAME]) {
    snprintf(out, SEGMENT_NAME, "%020" PRIu64 ".seg", first_record);
}

bool segment_name_parse(const char *name, uint64_t *first_record) {
    uint64_t n = 0;
    for (int i = 0; i < 20; i++) {
        unsigned digit = (unsigned)(name[i] - '0');
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (strcmp(name + 20, ".seg") != 0)
        return false;
    *first_record = n;
    return true;
}

static void put_string(struct buf *b, const char *s) {
    size_t n = strlen(s);
    if (n > UINT32_MAX)
        b->failed = true;
    buf_u32(b, (uint32_t)n);
    buf_append(b, s, n);
}

static void put_strings(struct buf *b, const char *const *s, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        put_string(b, s[i]);
}

bool segment_header_write(struct buf *out, const struct segment_header *h) {
    const struct store_info *info = &h->info;
    uint8_t f[SEGMENT_HEADER_FIXED] = {0};
    memcpy(f + H_MAGIC, header_magic, 8);
    put_u32(f + H_VERSION, JOURNAL_FORMAT_VERSION);
    memcpy(f + H_ID, info->id.bytes, 16);
    put_u64(f + H_STARTED, info->started_ns);
    put_u64(f + H_FIRST_RECORD, h->first_record);
    put_u64(f + H_FIRST_TIME, h->first_time_ns);
    put_u32(f + H_FLAGS, h->flags);
    put_u32(f + H_SEMANTICS, info->semantics_version);
    memcpy(f + H_MODULE, info->module.bytes, SHA256_SIZE);
    put_u32(f + H_NARGS, info->nargs);
    put_u32(f + H_NENV, info->nenv);
    put_u32(f + H_NGRANTS, info->ngrants);
    put_u32(f + H_NLIMITS, info->nlimits);

    size_t start = out->size;
    buf_append(out, f, sizeof f);
    put_string(out, info->module_name ? info->module_name : "");
    put_string(out, info->aeon_version ? info->aeon_version : "");
    put_strings(out, info->args, info->nargs);
    put_strings(out, info->env, info->nenv);
    put_strings(out, info->grants, info->ngrants);
    put_strings(out, info->limit_names, info->nlimits);
    for (uint32_t i = 0; i < info->nlimits; i++)
        buf_u64(out, info->limit_values[i]);
    if (out->failed || out->size - start + 4 > SEGMENT_HEADER_MAX)
        return false;
    put_u32(out->data + start + H_SIZE, (uint32_t)(out->size - start + 4));
    return buf_u32(out, journal_crc32c(0, out->data + start, out->size - start));
}

void segment_header_place(uint8_t *header, size_t size, uint64_t first_record, uint64_t first_time_ns, uint32_t flags) {
    put_u64(header + H_FIRST_RECORD, first_record);
    put_u64(header + H_FIRST_TIME, first_time_ns);
    put_u32(header + H_FLAGS, flags);
    put_u32(header + size - 4, journal_crc32c(0, header, size - 4));
}

enum status segment_header_size(const uint8_t *fixed, uint32_t *size, struct err *e) {
    if (memcmp(fixed + H_MAGIC, header_magic, 8) != 0)
        return err_set(e, ST_CORRUPT, "at byte 0: not a segment of a journal");
    uint32_t version = get_u32(fixed + H_VERSION), n = get_u32(fixed + H_SIZE);
    if (version < JOURNAL_FORMAT_OLDEST || version > JOURNAL_FORMAT_VERSION)
        return err_set(e, ST_VERSION,
                       "journal format %" PRIu32 ", but this aeon knows only formats %d to %d; use the aeon that "
                       "wrote it",
                       version, JOURNAL_FORMAT_OLDEST, JOURNAL_FORMAT_VERSION);
    if (n < SEGMENT_HEADER_FIXED + 2 * 4 + 4 || n > SEGMENT_HEADER_MAX)
        return err_set(e, ST_CORRUPT, "at byte %d: impossible size of the header", H_SIZE);
    *size = n;
    return ST_OK;
}

struct cursor {
    const uint8_t *p, *end;
    struct arena *a;
    bool bad;
};

static const char *take_string(struct cursor *c) {
    if (c->end - c->p < 4) {
        c->bad = true;
        return "";
    }
    uint32_t n = get_u32(c->p);
    c->p += 4;
    if (n > (size_t)(c->end - c->p) || memchr(c->p, 0, n)) {
        c->bad = true;
        return "";
    }
    const char *s = arena_strndup(c->a, (const char *)c->p, n);
    c->p += n;
    return s;
}

static const char *const *take_strings(struct cursor *c, uint32_t n) {
    if (n > (size_t)(c->end - c->p) / 4) {
        c->bad = true;
        return NULL;
    }
    const char **s = ARENA_ARRAY(c->a, const char *, n);
    for (uint32_t i = 0; i < n; i++)
        s[i] = take_string(c);
    return s;
}

enum status segment_header_parse(struct span bytes, struct arena *a, struct segment_header *out, struct err *e) {
    uint32_t size;
    if (bytes.size < SEGMENT_HEADER_FIXED)
        return err_set(e, ST_TRUNCATED, "at byte %zu: the header is cut", bytes.size);
    const uint8_t *f = bytes.data;
    enum status s = segment_header_size(f, &size, e);
    if (s != ST_OK)
        return s;
    if (bytes.size < size)
        return err_set(e, ST_TRUNCATED, "at byte %zu: the header is cut", bytes.size);
    if (get_u32(f + size - 4) != journal_crc32c(0, f, size - 4))
        return err_set(e, ST_CORRUPT, "at byte 0: the header's checksum does not match");

    struct segment_header h = {
        .first_record = get_u64(f + H_FIRST_RECORD),
        .first_time_ns = get_u64(f + H_FIRST_TIME),
        .flags = get_u32(f + H_FLAGS),
        .size = size,
        .info = {.started_ns = get_u64(f + H_STARTED),
                 .semantics_version = get_u32(f + H_SEMANTICS),
                 .nargs = get_u32(f + H_NARGS),
                 .nenv = get_u32(f + H_NENV),
                 .ngrants = get_u32(f + H_NGRANTS),
                 .nlimits = get_u32(f + H_NLIMITS)},
    };
    memcpy(h.info.id.bytes, f + H_ID, 16);
    memcpy(h.info.module.bytes, f + H_MODULE, SHA256_SIZE);
    struct cursor c = {f + SEGMENT_HEADER_FIXED, f + size - 4, a, false};
    h.info.module_name = take_string(&c);
    h.info.aeon_version = take_string(&c);
    h.info.args = take_strings(&c, h.info.nargs);
    h.info.env = take_strings(&c, h.info.nenv);
    h.info.grants = take_strings(&c, h.info.ngrants);
    h.info.limit_names = take_strings(&c, h.info.nlimits);
    if (c.bad || (size_t)(c.end - c.p) != (uint64_t)h.info.nlimits * 8 || (h.flags & ~(uint32_t)SEGMENT_SNAPSHOT))
        return err_set(e, ST_CORRUPT, "at byte 0: the header contradicts itself");
    uint64_t *values = ARENA_ARRAY(a, uint64_t, h.info.nlimits);
    if (h.info.nlimits)
        memcpy(values, c.p, (size_t)h.info.nlimits * 8);
    h.info.limit_values = values;
    *out = h;
    return ST_OK;
}

void segment_index_write(struct buf *out, const struct segment_entry *entries, struct segment_trailer *t) {
    size_t start = out->size;
    buf_append(out, index_magic, 8);
    buf_u32(out, t->nentries);
    buf_u32(out, 0);
    for (uint32_t i = 0; i < t->nentries; i++) {
        buf_u64(out, entries[i].first_record);
        buf_u64(out, entries[i].first_time_ns);
        buf_u64(out, entries[i].offset);
    }
    must(!out->failed);
    t->index_crc = journal_crc32c(0, out->data + start, out->size - start);
    t->file_size = t->index_offset + (out->size - start) + SEGMENT_TRAILER;

    uint8_t b[SEGMENT_TRAILER] = {0};
    memcpy(b + T_MAGIC, trailer_magic, 8);
    put_u64(b + T_INDEX_OFFSET, t->index_offset);
    put_u32(b + T_NENTRIES, t->nentries);
    put_u32(b + T_FLAGS, t->flags);
    put_u64(b + T_FIRST_RECORD, t->first_record);
    put_u64(b + T_END_RECORD, t->end_record);
    put_u64(b + T_FIRST_TIME, t->first_time_ns);
    put_u64(b + T_LAST_TIME, t->last_time_ns);
    put_u64(b + T_OUTCOME_KIND, t->outcome_kind);
    put_u64(b + T_OUTCOME_VALUE, t->outcome_value);
    put_u64(b + T_FILE_SIZE, t->file_size);
    put_u32(b + T_INDEX_CRC, t->index_crc);
    put_u32(b + T_CRC, journal_crc32c(0, b, T_CRC));
    buf_append(out, b, sizeof b);
    must(!out->failed);
}

enum status segment_trailer_parse(const uint8_t b[SEGMENT_TRAILER], uint64_t file_size, struct segment_trailer *out,
                                  struct err *e) {
    if (memcmp(b + T_MAGIC, trailer_magic, 8) != 0)
        return err_set(e, ST_CORRUPT, "no trailer");
    if (get_u32(b + T_CRC) != journal_crc32c(0, b, T_CRC))
        return err_set(e, ST_CORRUPT, "the trailer's checksum does not match");
    struct segment_trailer t = {
        .index_offset = get_u64(b + T_INDEX_OFFSET),
        .nentries = get_u32(b + T_NENTRIES),
        .flags = get_u32(b + T_FLAGS),
        .first_record = get_u64(b + T_FIRST_RECORD),
        .end_record = get_u64(b + T_END_RECORD),
        .first_time_ns = get_u64(b + T_FIRST_TIME),
        .last_time_ns = get_u64(b + T_LAST_TIME),
        .outcome_kind = get_u64(b + T_OUTCOME_KIND),
        .outcome_value = get_u64(b + T_OUTCOME_VALUE),
        .file_size = get_u64(b + T_FILE_SIZE),
        .index_crc = get_u32(b + T_INDEX_CRC),
    };
    bool zeros = true;
    for (int i = T_ZERO; i < T_CRC; i++)
        zeros &= b[i] == 0;
    uint64_t behind = segment_index_size(&t) + SEGMENT_TRAILER;
    if (!zeros || t.file_size != file_size || behind > file_size || t.index_offset != file_size - behind ||
        t.end_record < t.first_record || t.end_record - t.first_record < t.nentries ||
        (t.flags & ~(uint32_t)(SEGMENT_FINAL | SEGMENT_ENDED)))
        return err_set(e, ST_CORRUPT, "the trailer contradicts itself or the file's size");
    *out = t;
    return ST_OK;
}

enum status segment_index_parse(struct span bytes, const struct segment_trailer *t, struct segment_entry *out,
                                struct err *e) {
    if (bytes.size != segment_index_size(t) || journal_crc32c(0, bytes.data, bytes.size) != t->index_crc)
        return err_set(e, ST_CORRUPT, "the index's checksum does not match");
    if (!segment_index_starts(SPAN(bytes.data, 8)) || get_u32(bytes.data + I_COUNT) != t->nentries ||
        get_u32(bytes.data + I_ZERO) != 0)
        return err_set(e, ST_CORRUPT, "the index contradicts the trailer");
    const uint8_t *p = bytes.data + SEGMENT_INDEX_HEAD;
    for (uint32_t i = 0; i < t->nentries; i++, p += SEGMENT_ENTRY) {
        out[i] = (struct segment_entry){get_u64(p), get_u64(p + 8), get_u64(p + 16)};
        bool follows = i == 0 ? out[i].first_record == t->first_record
                              : out[i].first_record > out[i - 1].first_record && out[i].offset > out[i - 1].offset;
        if (!follows || out[i].first_record >= t->end_record || out[i].offset >= t->index_offset)
            return err_set(e, ST_CORRUPT, "the index contradicts itself");
    }
    return ST_OK;
}

bool segment_index_starts(struct span bytes) {
    return memcmp(bytes.data, index_magic, bytes.size < 8 ? bytes.size : 8) == 0;
}
