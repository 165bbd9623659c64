/* streams.c: what a guest wrote to standard output and error.
 *
 * A descriptor starts as what its number says (1, 2) and is followed from call to call by the roles of the import
 * table: closed, moved over another, its number given to something new.  The bytes count when the call that writes them
 * has come back and says how many it took. */
#include "machine/machine.h"

#include "base/must.h"

enum { MAX_CODES = 256, NO_SLOT = 0xff };

/* Where in a CALL or RETURN the roles of an import are. */
struct roles {
    bool known, relevant;
    uint8_t fd, close, move, over; /* vals of CALL */
    uint8_t data;                  /* blob of CALL */
    uint8_t done, made;            /* vals of RETURN */
};

struct place {
    uint32_t fd;
    enum machine_stream stream;
};

struct machine_streams {
    machine_output output;
    void *ctx;
    struct place *places; /* descriptors that are a stream */
    uint32_t nplaces, cap;
    struct roles roles[MAX_CODES];

    /* the call under way */
    bool calling;
    uint32_t code;
    uint32_t fd, over;
    enum machine_stream stream; /* 0: none */
    struct buf payload;
};

struct machine_streams *machine_streams_new(machine_output output, void *ctx) {
    struct machine_streams *s = mem_zalloc(sizeof *s);
    s->output = output;
    s->ctx = ctx;
    s->cap = 4;
    s->places = mem_alloc(s->cap * sizeof *s->places);
    s->places[s->nplaces++] = (struct place){1, MACHINE_STDOUT};
    s->places[s->nplaces++] = (struct place){2, MACHINE_STDERR};
    buf_init(&s->payload, JOURNAL_RECORD_MAX);
    return s;
}

void machine_streams_free(struct machine_streams *s) {
    if (!s)
        return;
    mem_free(s->places);
    buf_deinit(&s->payload);
    mem_free(s);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static enum machine_stream stream_of(const struct machine_streams *s, uint32_t fd) {
    for (uint32_t i = 0; i < s->nplaces; i++)
        if (s->places[i].fd == fd)
            return s->places[i].stream;
    return 0;
}

static void forget(struct machine_streams *s, uint32_t fd) {
    for (uint32_t i = 0; i < s->nplaces; i++)
        if (s->places[i].fd == fd)
            s->places[i--] = s->places[--s->nplaces];
}

static void place(struct machine_streams *s, uint32_t fd, enum machine_stream stream) {
    if (s->nplaces == s->cap) {
        s->cap *= 2;
        s->places = mem_realloc(s->places, s->cap * sizeof *s->places);
    }
    s->places[s->nplaces++] = (struct place){fd, stream};
}

/* ---- imports ----------------------------------------------------------------------------------------------------- */

static void find_roles(struct roles *r, uint32_t code) {
    const struct abi_call *c = abi_call_by_code(code);
    uint8_t slot = 0, val = 1, blob = 0;
    *r = (struct roles){true, false, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT, NO_SLOT};
    for (uint32_t i = 0; c && i < c->nparams; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        bool input = abi_shape_way(k->shape) == ABI_WAY_IN;
        switch (k->role) {
        case ABI_ROLE_FD: r->fd = slot; break;
        case ABI_ROLE_FD_CLOSE: r->close = slot; break;
        case ABI_ROLE_FD_MOVE: r->move = slot; break;
        case ABI_ROLE_FD_OVER: r->over = slot; break;
        case ABI_ROLE_FD_NEW: r->made = val; break;
        case ABI_ROLE_DONE: r->done = val; break;
        case ABI_ROLE_DATA: r->data = input ? blob : NO_SLOT; break;
        case ABI_ROLE_NONE:
        case ABI_ROLE_ADDRESS:
        case ABI_ROLE_PORT:
        case ABI_ROLE_EXIT: break;
        }
        slot = (uint8_t)(slot + abi_shape_nwasm(k->shape));
        val = (uint8_t)(val + (abi_shape_way(k->shape) == ABI_WAY_NUMBER_OUT));
        blob = (uint8_t)(blob + input);
    }
    r->relevant =
        (r->fd != NO_SLOT && r->data != NO_SLOT) || r->close != NO_SLOT || r->move != NO_SLOT || r->made != NO_SLOT;
}

static const struct roles *roles_of(struct machine_streams *s, uint32_t code) {
    static const struct roles none;
    if (code >= MAX_CODES)
        return &none;
    if (!s->roles[code].known)
        find_roles(&s->roles[code], code);
    return &s->roles[code];
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static uint32_t val(const struct journal_record *r, uint8_t slot) {
    return slot < r->nvals ? (uint32_t)r->vals[slot] : UINT32_MAX;
}

static void begin(struct machine_streams *s, const struct journal_record *r, const struct roles *roles) {
    s->calling = true;
    s->code = r->code;
    s->stream = 0;
    if (roles->close != NO_SLOT)
        s->fd = val(r, roles->close);
    if (roles->move != NO_SLOT) {
        s->fd = val(r, roles->move);
        s->over = val(r, roles->over);
    }
    if (roles->fd == NO_SLOT || roles->data >= r->nblobs)
        return;
    s->stream = stream_of(s, val(r, roles->fd));
    const struct journal_blob *blob = &r->blobs[roles->data];
    buf_clear(&s->payload);
    if (s->stream && blob->size)
        buf_append(&s->payload, blob->pieces[0].iov_base, blob->size);
}

static void emit(struct machine_streams *s, uint64_t done) {
    size_t n = done < s->payload.size ? done : s->payload.size;
    if (s->stream && n && s->output)
        s->output(s->ctx, s->stream, SPAN(s->payload.data, n));
}

static void succeed(struct machine_streams *s, const struct journal_record *r, const struct roles *roles) {
    if (roles->move != NO_SLOT) {
        enum machine_stream moved = stream_of(s, s->fd);
        forget(s, s->over);
        forget(s, s->fd);
        if (moved)
            place(s, s->over, moved);
    } else if (roles->close != NO_SLOT) {
        forget(s, s->fd);
    }
    if (roles->made != NO_SLOT)
        forget(s, val(r, roles->made));
    emit(s, roles->done != NO_SLOT ? val(r, roles->done) : UINT64_MAX);
}

void machine_streams_feed(struct machine_streams *s, const struct journal_record *r) {
    if (r->type == JOURNAL_END)
        s->calling = false; /* a write that waited when the guest was ended: nothing was taken */
    if (r->type != JOURNAL_CALL && r->type != JOURNAL_RETURN)
        return;
    const struct roles *roles = roles_of(s, r->code);
    if (r->type == JOURNAL_CALL) {
        s->calling = false;
        if (roles->relevant)
            begin(s, r, roles);
        return;
    }
    if (s->calling && s->code == r->code && r->nvals > 0 && r->vals[0] == 0)
        succeed(s, r, roles);
    s->calling = false;
}

void machine_streams_flush(struct machine_streams *s) {
    if (s->calling)
        emit(s, UINT64_MAX);
    s->calling = false;
}
