/* snapshot.c: a guest between two instructions, as bytes (docs/formats/guest.md). */
#include "base/sha256.h"
#include "guest/guest_impl.h"

enum { VERSION = 1, HEADER = 56, FLAG_CALLING = 1, FLAG_PENDING = 2 };
static const char magic[8] = "AEONGST";

enum status guest_snapshot_save(struct guest *g, struct buf *out, struct err *e) {
    size_t start = out->size;
    uint8_t header[HEADER] = {0};
    struct edge *edge = g->edge;
    if (!buf_append(out, header, sizeof header))
        return err_set(e, ST_LIMIT, "snapshot: no room");
    if (g->calling) {
        enum status s = wasm_snapshot_save(g->exec, g->instance, out, e);
        if (s)
            return s;
    } else if (g->phase != 0) {
        return err_set(e, ST_BUSY, "snapshot: the guest is between its initialisers");
    }
    memcpy(header, magic, sizeof magic);
    put_u32(header + 8, VERSION);
    put_u32(header + 12, (g->calling ? FLAG_CALLING : 0) | (edge->pending ? FLAG_PENDING : 0));
    put_u32(header + 16, g->phase);
    put_u32(header + 20, edge->guest);
    put_u64(header + 24, edge->position);
    put_u64(header + 32, edge->last_clock);
    put_u64(header + 40, edge->last_time);
    put_u64(header + 48, out->size - start - HEADER);
    memcpy(out->data + start, header, HEADER);
    struct sha256 hash;
    sha256_of(SPAN(out->data + start, out->size - start), &hash);
    if (!buf_append(out, hash.bytes, sizeof hash.bytes))
        return err_set(e, ST_LIMIT, "snapshot: no room");
    return ST_OK;
}

static enum status check(struct span bytes, struct err *e) {
    struct sha256 hash;
    if (bytes.size < HEADER + SHA256_SIZE || memcmp(bytes.data, magic, sizeof magic) != 0)
        return err_set(e, ST_CORRUPT, "snapshot: these bytes are not one");
    if (get_u32(bytes.data + 8) != VERSION)
        return err_set(e, ST_VERSION, "snapshot: format version %u; this aeon reads %d", get_u32(bytes.data + 8),
                       VERSION);
    sha256_of(SPAN(bytes.data, bytes.size - SHA256_SIZE), &hash);
    if (memcmp(hash.bytes, bytes.data + bytes.size - SHA256_SIZE, SHA256_SIZE) != 0 ||
        get_u64(bytes.data + 48) != bytes.size - HEADER - SHA256_SIZE)
        return err_set(e, ST_CORRUPT, "snapshot: damaged");
    return ST_OK;
}

enum status guest_snapshot_position(struct span bytes, uint64_t *position, struct err *e) {
    enum status s = check(bytes, e);
    if (!s)
        *position = get_u64(bytes.data + 24);
    return s;
}

enum status guest_snapshot_load(struct guest *g, struct span bytes, struct err *e) {
    struct edge *edge = g->edge;
    enum status s = check(bytes, e);
    if (s)
        return s;
    must(!g->calling && !g->over && edge->position == 0 && !edge->have_next);
    uint32_t flags = get_u32(bytes.data + 12), phase = get_u32(bytes.data + 16);
    uint64_t size = get_u64(bytes.data + 48);
    if (phase >= g->nphases || get_u32(bytes.data + 20) != edge->guest)
        return err_set(e, ST_MISMATCH, "snapshot: of another guest");
    if (flags & FLAG_CALLING) {
        s = wasm_snapshot_load(g->exec, g->instance, SPAN(bytes.data + HEADER, size), e);
        if (s)
            return s;
    } else if (phase != 0 || size != 0) {
        return err_set(e, ST_CORRUPT, "snapshot: damaged");
    }
    g->calling = flags & FLAG_CALLING;
    g->phase = phase;
    edge->pending = flags & FLAG_PENDING;
    edge->position = get_u64(bytes.data + 24);
    edge->last_clock = get_u64(bytes.data + 32);
    edge->last_time = get_u64(bytes.data + 40);
    return ST_OK;
}
