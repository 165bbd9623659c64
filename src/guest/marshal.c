/* marshal.c: parameters between guest memory and argument slots.
 *
 * Every pointer and length is the guest's and hostile until checked here. Sums are done in 64 bits: a Wasm32 pointer
 * plus a length of 32 bits, or a count of 32 bits times an element of 8, cannot wrap. */
#include "guest/internal.h"

enum { MAX_SCANNED_IOVS = 1 << 16 }; /* more are left out, empty or not */

/* Of buffers and arrays in one call; iovs have a bound of their own. */
#define MAX_BYTES (JOURNAL_RECORD_MAX - ABI_MAX_TRANSFER - (1u << 20))

/* See step.after. */
static bool is_put_after(uint8_t shape) {
    return shape == ABI_OUT_VALUE_SHAPE || shape == ABI_RECORD_OUT_SHAPE || shape == ABI_STRINGS_SHAPE ||
           shape == ABI_SIZED_OUT_SHAPE || shape == ABI_LIST_OUT_SHAPE;
}

/* The Wasm parameter that holds the number of elements of an array. */
static uint8_t count_slot(const struct abi_call *c, const char *name) {
    uint8_t slot = 0;
    for (uint32_t i = 0; i < c->nparams; i++) {
        if (strcmp(c->params[i].name, name) == 0)
            return slot;
        slot = (uint8_t)(slot + abi_shape_nwasm(abi_kind(c->params[i].kind)->shape));
    }
    must(!"an array's count must be a parameter of its call");
    return 0;
}

void marshal_compile(struct binding *b) {
    const struct abi_call *c = b->call;
    uint32_t slot = 0, blobs = 0, vals = 1, staging = 0, niovs = 0, gathered = 0;
    must(c->nparams <= ABI_MAX_PARAMS);
    b->nsteps = (uint8_t)c->nparams;
    b->exit_slot = -1;
    for (uint32_t i = 0; i < c->nparams; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        struct step *s = &b->steps[i];
        s->shape = (uint8_t)k->shape;
        s->way = (uint8_t)abi_shape_way(k->shape);
        s->slot = (uint8_t)slot;
        s->bytes = k->bytes;
        if (k->shape == ABI_ARRAY_IN_SHAPE || k->shape == ABI_ARRAY_OUT_SHAPE)
            s->count = count_slot(c, c->params[i].other);
        if (k->shape == ABI_RECORD_OUT_SHAPE)
            staging += (k->bytes + 15u) & ~15u;
        if (k->role == ABI_ROLE_EXIT)
            b->exit_slot = (int8_t)slot;
        niovs += k->shape == ABI_IOVS_IN_SHAPE || k->shape == ABI_IOVS_OUT_SHAPE;
        gathered += k->shape == ABI_STRINGS_SHAPE || k->shape == ABI_LIST_OUT_SHAPE;
        vals += s->way == ABI_WAY_NUMBER_OUT;
        blobs += s->way == ABI_WAY_IN || s->way == ABI_WAY_OUT;
        b->has_inputs |= s->way == ABI_WAY_IN;
        s->after = is_put_after(s->shape);
        b->has_values |= s->after;
        b->has_outputs |= s->way == ABI_WAY_OUT || s->way == ABI_WAY_NUMBER_OUT;
        slot += abi_shape_nwasm(k->shape);
    }
    must(slot <= ABI_MAX_WASM_PARAMS && slot <= JOURNAL_MAX_VALS);
    must(vals <= JOURNAL_MAX_VALS && blobs <= JOURNAL_MAX_BLOBS && staging <= EDGE_STAGING && niovs <= 1 &&
         gathered <= 1);
    b->nwasm = (uint8_t)slot;
    b->takes_time = (c->effect & ABI_BLOCKS) && !(c->effect & ABI_WRITES); /* a clock read is a tenth of a write */
}

static inline bool inside(const struct passage *p, uint64_t ptr, uint64_t size) {
    return ptr + size <= p->memory_size;
}

/* For `n` pieces, or as many as a call can have. */
static void make_room(struct edge *e, uint32_t n) {
    e->niovs = n < 8 ? 8 : n < ABI_MAX_IOVS ? n : ABI_MAX_IOVS;
    e->iov = mem_realloc(e->iov, e->niovs * sizeof *e->iov);
    e->cut = mem_realloc(e->cut, e->niovs * sizeof *e->cut);
}

static bool open_iovs(struct binding *b, struct passage *p, uint32_t ptr, uint32_t n, struct abi_iovs *out) {
    if (!inside(p, ptr, (uint64_t)n * 8))
        return false;
    if (UNLIKELY(n > b->edge->niovs && b->edge->niovs < ABI_MAX_IOVS))
        make_room(b->edge, n);
    struct iovec *iov = b->edge->iov;
    const uint8_t *from = p->memory + ptr;
    uint32_t used = 0, total = 0;
    if (n > MAX_SCANNED_IOVS)
        n = MAX_SCANNED_IOVS;
    for (uint32_t i = 0; i < n && used < ABI_MAX_IOVS && total < ABI_MAX_TRANSFER; i++) {
        uint32_t base = get_u32(from + (size_t)i * 8), size = get_u32(from + (size_t)i * 8 + 4);
        if (!inside(p, base, size))
            return false;
        if (size == 0)
            continue;
        if (size > ABI_MAX_TRANSFER - total)
            size = ABI_MAX_TRANSFER - total;
        iov[used++] = (struct iovec){p->memory + base, size};
        total += size;
    }
    *out = (struct abi_iovs){iov, used, total};
    return true;
}

static inline bool open_array(struct passage *p, const struct step *s, const uint64_t *slots, struct abi_mem *out) {
    uint32_t ptr = (uint32_t)slots[s->slot];
    uint64_t size = (uint64_t)(uint32_t)slots[s->count] * s->bytes;
    if (size > UINT32_MAX || !inside(p, ptr, size))
        return false;
    *out = (struct abi_mem){p->memory + ptr, (uint32_t)size};
    return true;
}

/* Bytes to which a (pointer, length) in guest memory points. */
static bool open_ref(struct passage *p, uint32_t ptr, struct abi_mem *out) {
    if (!inside(p, ptr, sizeof(struct wasi_address)))
        return false;
    uint32_t data = get_u32(p->memory + ptr), size = get_u32(p->memory + ptr + 4);
    if (!inside(p, data, size))
        return false;
    *out = (struct abi_mem){p->memory + data, size};
    return true;
}

/* Some guests pass the length itself where others point at it. So low an address is none. */
static bool length_is_itself(uint64_t slot) {
    return (uint32_t)slot <= 16;
}

static bool open_sized(struct passage *p, const struct step *s, const uint64_t *slots, struct abi_mem *out) {
    uint32_t ptr = (uint32_t)slots[s->slot], size = (uint32_t)slots[s->slot + 1];
    if (!length_is_itself(size)) {
        if (!inside(p, size, 4))
            return false;
        size = get_u32(p->memory + size);
    }
    if (!inside(p, ptr, size))
        return false;
    *out = (struct abi_mem){p->memory + ptr, size};
    return true;
}

/* The list is walked before anything is written: what is written may well lie on its elements. */
static bool open_list(struct binding *b, struct passage *p, const struct step *s, const uint64_t *slots) {
    struct edge *e = b->edge;
    const uint32_t first = (uint32_t)slots[s->slot], max = (uint32_t)slots[s->slot + 1];
    if (!inside(p, first, 4) || !inside(p, (uint32_t)slots[s->slot + 2], 4))
        return false;
    uint32_t at = get_u32(p->memory + first);
    for (e->nlist = 0; e->nlist < max && e->nlist < EDGE_MAX_LIST && at != 0; e->nlist++) {
        struct wasi_addrinfo info;
        struct wasi_sockaddr address = {0};
        if (!inside(p, at, sizeof info))
            return false;
        memcpy(&info, p->memory + at, sizeof info);
        if (info.addr) {
            if (!inside(p, info.addr, sizeof address))
                return false;
            memcpy(&address, p->memory + info.addr, sizeof address);
        }
        if (!inside(p, address.data, address.data_len) || !inside(p, info.canonname, info.canonname_len))
            return false;
        e->list[e->nlist] = (struct element){
            .at = at,
            .address = info.addr,
            .data = address.data,
            .data_size = address.data_len,
            .name = info.canonname,
            .name_size = info.canonname_len,
        };
        at = info.next;
    }
    return true;
}

uint32_t marshal_open(struct binding *b, struct passage *p, const uint64_t *slots) {
    struct wasm_memory *m = b->edge->memory;
    p->memory = m ? wasm_memory_data(m) : NULL;
    p->memory_size = m ? wasm_memory_size(m) : 0;
    uint32_t staged = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        uint64_t v = slots[s->slot];
        uint32_t ptr = (uint32_t)v;
        switch ((enum abi_shape)s->shape) {
        case ABI_VALUE_SHAPE: p->args[i].u64 = v; break;
        case ABI_OUT_VALUE_SHAPE:
            if (!inside(p, ptr, s->bytes))
                return WASI_EFAULT;
            p->args[i].u64 = 0;
            break;
        case ABI_RECORD_OUT_SHAPE:
            if (!inside(p, ptr, s->bytes))
                return WASI_EFAULT;
            p->args[i].ptr = p->staging + staged;
            memset(p->staging + staged, 0, s->bytes);
            staged += (s->bytes + 15u) & ~15u;
            break;
        case ABI_BYTES_IN_SHAPE:
        case ABI_BYTES_OUT_SHAPE:
            if (!inside(p, ptr, (uint32_t)slots[s->slot + 1]))
                return WASI_EFAULT;
            p->args[i].mem = (struct abi_mem){p->memory + ptr, (uint32_t)slots[s->slot + 1]};
            bytes += p->args[i].mem.size;
            break;
        case ABI_ARRAY_IN_SHAPE:
        case ABI_ARRAY_OUT_SHAPE:
            if (!open_array(p, s, slots, &p->args[i].mem))
                return WASI_EFAULT;
            bytes += p->args[i].mem.size;
            break;
        case ABI_IOVS_IN_SHAPE:
        case ABI_IOVS_OUT_SHAPE:
            if (!open_iovs(b, p, ptr, (uint32_t)slots[s->slot + 1], &p->args[i].iovs))
                return WASI_EFAULT;
            break;
        case ABI_STRINGS_SHAPE: p->args[i].strings = (struct abi_strings){NULL, 0}; break;
        case ABI_PAIR_SHAPE: p->args[i].u64 = v << 32 | (uint32_t)slots[s->slot + 1]; break;
        case ABI_RECORD_IN_SHAPE:
            if (!inside(p, ptr, s->bytes))
                return WASI_EFAULT;
            p->args[i].mem = (struct abi_mem){p->memory + ptr, s->bytes};
            break;
        case ABI_REF_IN_SHAPE:
        case ABI_REF_OUT_SHAPE:
            if (!open_ref(p, ptr, &p->args[i].mem))
                return WASI_EFAULT;
            bytes += p->args[i].mem.size;
            break;
        case ABI_SIZED_OUT_SHAPE:
            if (!open_sized(p, s, slots, &p->args[i].mem))
                return WASI_EFAULT;
            bytes += p->args[i].mem.size;
            break;
        case ABI_LIST_OUT_SHAPE:
            if (!open_list(b, p, s, slots))
                return WASI_EFAULT;
            p->args[i].mem = (struct abi_mem){NULL, 0};
            break;
        }
    }
    return bytes > MAX_BYTES ? WASI_EINVAL : 0;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static void add_blob(struct edge *e, struct journal_record *r, const void *data, uint64_t size) {
    must(r->nblobs < JOURNAL_MAX_BLOBS);
    struct iovec *piece = &e->whole[r->nblobs];
    *piece = (struct iovec){(void *)data, size};
    r->blobs[r->nblobs++] = (struct journal_blob){piece, 1, size};
}

void marshal_inputs(struct binding *b, struct passage *p, struct journal_record *r) {
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        const union abi_arg *a = &p->args[i];
        switch ((enum abi_shape)s->shape) {
        case ABI_BYTES_IN_SHAPE:
        case ABI_ARRAY_IN_SHAPE:
        case ABI_RECORD_IN_SHAPE:
        case ABI_REF_IN_SHAPE: add_blob(b->edge, r, a->mem.data, a->mem.size); break;
        case ABI_IOVS_IN_SHAPE:
            r->blobs[r->nblobs++] = (struct journal_blob){a->iovs.iov, a->iovs.n, a->iovs.size};
            break;
        default: break;
        }
    }
}

/* The first `size` bytes of what the pieces hold. */
static void add_cut_blob(struct edge *e, struct journal_record *r, const struct abi_iovs *iovs) {
    uint32_t n = 0, left = iovs->size;
    for (; left > 0; n++) {
        must(n < iovs->n);
        e->cut[n] = iovs->iov[n];
        if (e->cut[n].iov_len > left)
            e->cut[n].iov_len = left;
        left -= (uint32_t)e->cut[n].iov_len;
    }
    must(r->nblobs < JOURNAL_MAX_BLOBS);
    r->blobs[r->nblobs++] = (struct journal_blob){e->cut, n, iovs->size};
}

static uint8_t *scratch(struct edge *e, size_t size) {
    if (size > e->scratch_cap) {
        e->scratch = mem_realloc(e->scratch, size);
        e->scratch_cap = size;
    }
    return e->scratch;
}

/* All strings, NUL-terminated, one after the other; false when pointers or bytes are out of the guest's bounds. */
static bool join_strings(struct binding *b, struct passage *p, const struct step *s, const uint64_t *slots,
                         const struct abi_strings *strings, struct span *out) {
    size_t total = 0;
    for (uint32_t i = 0; i < strings->n; i++)
        total += strlen(strings->list[i]) + 1;
    if (!inside(p, (uint32_t)slots[s->slot], (uint64_t)strings->n * 4) ||
        !inside(p, (uint32_t)slots[s->slot + 1], total))
        return false;
    uint8_t *to = scratch(b->edge, total);
    size_t at = 0;
    for (uint32_t i = 0; i < strings->n; i++) {
        size_t n = strlen(strings->list[i]) + 1;
        memcpy(to + at, strings->list[i], n);
        at += n;
    }
    *out = SPAN(to, total);
    return true;
}

/* Bytes that an address takes in a list: port and all. */
static uint32_t found_size(const struct abi_found *f) {
    return f->family == WASI_FAMILY_INET ? 6 : 18;
}

/* Those of `found` for which the guest's list has an element with room. */
static struct span choose_found(struct edge *e, struct span found) {
    uint8_t *to = scratch(e, found.size);
    size_t size = 0;
    uint32_t n = 0;
    struct abi_found f;
    struct span name;
    for (const uint8_t *at = found.data; n < e->nlist && abi_found_next(&found, &f, &name); at = found.data) {
        if (found_size(&f) > e->list[n].data_size)
            continue;
        memcpy(to + size, at, (size_t)(found.data - at));
        size += (size_t)(found.data - at);
        n++;
    }
    return SPAN(to, size);
}

/* What an implementation left in memory of its own, as one piece in the edge's scratch. */
static bool gather(struct binding *b, struct passage *p, const struct step *s, const uint64_t *slots,
                   const union abi_arg *a, struct span *out) {
    if (s->shape == ABI_STRINGS_SHAPE)
        return join_strings(b, p, s, slots, &a->strings, out);
    *out = choose_found(b->edge, SPAN(a->mem.data, a->mem.size));
    return true;
}

bool marshal_outputs(struct binding *b, struct passage *p, const uint64_t *slots, struct journal_record *r) {
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        const union abi_arg *a = &p->args[i];
        struct span gathered;
        switch ((enum abi_shape)s->shape) {
        case ABI_OUT_VALUE_SHAPE: r->vals[r->nvals++] = s->bytes == 8 ? a->u64 : a->u32; break;
        case ABI_RECORD_OUT_SHAPE: add_blob(b->edge, r, a->ptr, s->bytes); break;
        case ABI_BYTES_OUT_SHAPE:
        case ABI_ARRAY_OUT_SHAPE:
        case ABI_REF_OUT_SHAPE:
        case ABI_SIZED_OUT_SHAPE:
            /* or an implementation wrote too much */
            must(inside(p, (uint64_t)(a->mem.data - p->memory), a->mem.size));
            add_blob(b->edge, r, a->mem.data, a->mem.size);
            break;
        case ABI_IOVS_OUT_SHAPE: add_cut_blob(b->edge, r, &a->iovs); break;
        case ABI_STRINGS_SHAPE:
        case ABI_LIST_OUT_SHAPE:
            if (!gather(b, p, s, slots, a, &gathered))
                return false;
            add_blob(b->edge, r, gathered.data, gathered.size);
            break;
        default: break;
        }
    }
    return true;
}

/* ---- into guest memory ------------------------------------------------------------------------------------------- */

static void put_value(struct passage *p, uint32_t ptr, uint64_t v, uint8_t bytes) {
    memcpy(p->memory + ptr, &v, bytes); /* little-endian, as the host */
}

static void put_strings(struct passage *p, const struct step *s, const uint64_t *slots, struct span joined) {
    uint32_t list = (uint32_t)slots[s->slot], at = (uint32_t)slots[s->slot + 1];
    for (size_t i = 0; i < joined.size;) {
        size_t n = strlen((const char *)joined.data + i) + 1;
        put_u32(p->memory + list, at + (uint32_t)i);
        list += 4;
        i += n;
    }
    if (joined.size)
        memcpy(p->memory + at, joined.data, joined.size);
}

/* Elements in order, each with one of `found`. */
static void put_list(struct edge *e, struct passage *p, const struct step *s, const uint64_t *slots,
                     struct span found) {
    struct abi_found f;
    struct span name;
    uint32_t n = 0;
    for (; n < e->nlist && abi_found_next(&found, &f, &name); n++) {
        const struct element *to = &e->list[n];
        uint8_t data[18] = {(uint8_t)(f.port >> 8), (uint8_t)f.port};
        memcpy(data + 2, f.ip, 16);
        memcpy(p->memory + to->data, data, found_size(&f));
        put_u32(p->memory + to->address, f.family);
        if (name.size > to->name_size)
            name.size = to->name_size;
        if (name.size)
            memcpy(p->memory + to->name, name.data, name.size);

        struct wasi_addrinfo info;
        memcpy(&info, p->memory + to->at, sizeof info);
        info.family = f.family;
        info.socktype = f.socktype;
        info.protocol = f.protocol;
        info.addr_len = f.family == WASI_FAMILY_INET ? 16 : 28; /* as if of C's address structs */
        info.canonname_len = (uint32_t)name.size;
        memcpy(p->memory + to->at, &info, sizeof info);
    }
    put_u32(p->memory + (uint32_t)slots[s->slot + 2], n);
}

/* What is not in guest memory yet: a number, or bytes. */
static void put_after(struct edge *e, struct passage *p, const struct step *s, const uint64_t *slots, uint64_t number,
                      struct span bytes) {
    const uint32_t ptr = (uint32_t)slots[s->slot];
    switch ((enum abi_shape)s->shape) {
    case ABI_OUT_VALUE_SHAPE: put_value(p, ptr, number, s->bytes); break;
    case ABI_RECORD_OUT_SHAPE: memcpy(p->memory + ptr, bytes.data, s->bytes); break;
    case ABI_STRINGS_SHAPE: put_strings(p, s, slots, bytes); break;
    case ABI_SIZED_OUT_SHAPE:
        if (!length_is_itself(slots[s->slot + 1]))
            put_value(p, (uint32_t)slots[s->slot + 1], bytes.size, 4);
        break;
    case ABI_LIST_OUT_SHAPE: put_list(e, p, s, slots, bytes); break;
    default: break;
    }
}

bool marshal_close(struct binding *b, struct passage *p, const uint64_t *slots) {
    struct span gathered = {NULL, 0};
    for (uint32_t i = 0; i < b->nsteps; i++)
        if ((b->steps[i].shape == ABI_STRINGS_SHAPE || b->steps[i].shape == ABI_LIST_OUT_SHAPE) &&
            !gather(b, p, &b->steps[i], slots, &p->args[i], &gathered))
            return false;
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        const union abi_arg *a = &p->args[i];
        if (!s->after)
            continue;
        struct span bytes = s->shape == ABI_RECORD_OUT_SHAPE  ? SPAN(a->ptr, s->bytes)
                            : s->shape == ABI_SIZED_OUT_SHAPE ? SPAN(a->mem.data, a->mem.size)
                                                              : gathered;
        put_after(b->edge, p, s, slots, a->u64, bytes);
    }
    return true;
}

static void scatter(const struct abi_iovs *iovs, struct span from) {
    for (uint32_t i = 0; i < iovs->n && from.size > 0; i++) {
        size_t n = iovs->iov[i].iov_len < from.size ? iovs->iov[i].iov_len : from.size;
        memcpy(iovs->iov[i].iov_base, from.data, n);
        from.data += n;
        from.size -= n;
    }
}

/* Strings of a record must end with NUL and fit. */
static bool strings_fit(struct passage *p, const struct step *s, const uint64_t *slots, struct span joined) {
    uint64_t n = 0;
    for (size_t i = 0; i < joined.size; i++)
        n += joined.data[i] == '\0';
    return (joined.size == 0 || joined.data[joined.size - 1] == '\0') && inside(p, (uint32_t)slots[s->slot], n * 4) &&
           inside(p, (uint32_t)slots[s->slot + 1], joined.size);
}

/* A list of a record must be one, with room for every element. */
static bool list_fits(struct edge *e, struct span found) {
    struct abi_found f;
    struct span name;
    for (uint32_t n = 0; abi_found_next(&found, &f, &name); n++)
        if (n >= e->nlist || found_size(&f) > e->list[n].data_size)
            return false;
    return found.size == 0;
}

/* The bounds within which an output blob of the record must be. */
static bool blob_fits(struct edge *e, struct passage *p, const struct step *s, const uint64_t *slots,
                      const union abi_arg *a, struct span blob) {
    switch ((enum abi_shape)s->shape) {
    case ABI_RECORD_OUT_SHAPE: return blob.size == s->bytes;
    case ABI_BYTES_OUT_SHAPE:
    case ABI_ARRAY_OUT_SHAPE:
    case ABI_REF_OUT_SHAPE:
    case ABI_SIZED_OUT_SHAPE: return blob.size <= a->mem.size;
    case ABI_IOVS_OUT_SHAPE: return blob.size <= a->iovs.size;
    case ABI_STRINGS_SHAPE: return strings_fit(p, s, slots, blob);
    case ABI_LIST_OUT_SHAPE: return list_fits(e, blob);
    default: return false;
    }
}

static struct span blob_span(const struct journal_blob *blob) {
    return blob->npieces ? SPAN(blob->pieces[0].iov_base, blob->size) : SPAN(NULL, 0);
}

const char *marshal_replay(struct binding *b, struct passage *p, const uint64_t *slots,
                           const struct journal_record *r) {
    uint32_t nvals = 1, nblobs = 0;
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        nvals += s->way == ABI_WAY_NUMBER_OUT;
        if (s->way == ABI_WAY_OUT &&
            (nblobs >= r->nblobs || !blob_fits(b->edge, p, s, slots, &p->args[i], blob_span(&r->blobs[nblobs++]))))
            return "more bytes than the guest has room for, or fewer than a record has";
    }
    if (nvals != r->nvals || nblobs != r->nblobs)
        return "another number of results than the import has";
    /* Bytes first, then all else: the order of a live call, should they overlap. */
    nblobs = 0;
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        if (s->way != ABI_WAY_OUT)
            continue;
        struct span blob = blob_span(&r->blobs[nblobs++]);
        if (s->shape == ABI_IOVS_OUT_SHAPE)
            scatter(&p->args[i].iovs, blob);
        else if ((s->shape == ABI_BYTES_OUT_SHAPE || s->shape == ABI_ARRAY_OUT_SHAPE || s->shape == ABI_REF_OUT_SHAPE ||
                  s->shape == ABI_SIZED_OUT_SHAPE) &&
                 blob.size)
            memcpy(p->args[i].mem.data, blob.data, blob.size);
    }
    nvals = 1;
    nblobs = 0;
    for (uint32_t i = 0; i < b->nsteps; i++) {
        const struct step *s = &b->steps[i];
        if (s->way == ABI_WAY_NUMBER_OUT)
            put_after(b->edge, p, s, slots, r->vals[nvals++], SPAN(NULL, 0));
        else if (s->way == ABI_WAY_OUT)
            put_after(b->edge, p, s, slots, 0, blob_span(&r->blobs[nblobs++]));
    }
    return NULL;
}
