#include "guest/show.h"

#include "base/must.h"
#include "guest/guest.h"

/* A blob as one piece; `scratch` holds it when it is in several. Cut when only the beginning will be shown. */
static struct span flat(const struct journal_blob *blob, uint32_t width, struct buf *scratch) {
    if (blob->npieces == 0)
        return SPAN(NULL, 0);
    if (blob->npieces == 1)
        return SPAN(blob->pieces[0].iov_base, blob->size);
    size_t enough = width ? (size_t)width + 4 : SIZE_MAX;
    buf_init(scratch, blob->size);
    for (uint32_t i = 0; i < blob->npieces && scratch->size < enough; i++)
        buf_append(scratch, blob->pieces[i].iov_base, blob->pieces[i].iov_len);
    return buf_span(scratch);
}

/* With the port that goes with it, which is the parameter it names. */
static void show_address(struct abi_text *t, const struct abi_call *c, const struct abi_param *p,
                         const struct journal_record *r, const struct journal_blob *blob) {
    const enum abi_way way = r->type == JOURNAL_CALL ? ABI_WAY_NUMBER : ABI_WAY_NUMBER_OUT;
    const uint64_t *port = NULL;
    uint32_t slot = 0, val = 1;
    struct buf scratch = {0};
    for (uint32_t i = 0; i < c->nparams && p->other[0]; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        if (k->role == ABI_ROLE_PORT && abi_shape_way(k->shape) == way && strcmp(c->params[i].name, p->other) == 0)
            port = &r->vals[way == ABI_WAY_NUMBER ? slot : val];
        slot += abi_shape_nwasm(k->shape);
        val += abi_shape_way(k->shape) == ABI_WAY_NUMBER_OUT;
    }
    abi_show_address_port(t, flat(blob, 0, &scratch), port);
    buf_deinit(&scratch);
}

static void show_blob(struct abi_text *t, const struct abi_kind *k, const struct journal_blob *blob) {
    struct buf scratch = {0};
    if (!t->json && (k->role == ABI_ROLE_DATA))
        buf_print(t->out, "[%llu]", (unsigned long long)blob->size);
    k->show(t, k, flat(blob, t->json ? 0 : t->width, &scratch));
    buf_deinit(&scratch);
}

static bool is_input(enum abi_shape s) {
    return abi_shape_way(s) == ABI_WAY_IN;
}

static void name(struct abi_text *t, bool *first, const char *s) {
    if (!*first)
        buf_print(t->out, t->json ? "," : ", ");
    *first = false;
    buf_print(t->out, t->json ? "\"%s\":" : "%s=", s);
}

/* Numbers nobody can explain: of an import this aeon does not know, or not with these values. */
static void show_raw(struct abi_text *t, const struct journal_record *r) {
    buf_print(t->out, t->json ? "\"vals\":[" : "vals=[");
    for (uint32_t i = 0; i < r->nvals; i++)
        buf_print(t->out, "%s%llu", i ? "," : "", (unsigned long long)r->vals[i]);
    buf_print(t->out, t->json ? "],\"blobs\":[" : "] blobs=[");
    for (uint32_t i = 0; i < r->nblobs; i++) {
        struct buf scratch = {0};
        if (i)
            buf_byte(t->out, ',');
        abi_show_bytes(t, flat(&r->blobs[i], t->json ? 0 : t->width, &scratch));
        buf_deinit(&scratch);
    }
    buf_byte(t->out, ']');
}

static bool call_is_plain(const struct abi_call *c, const struct journal_record *r) {
    char params[ABI_MAX_WASM_PARAMS + 1];
    uint32_t inputs = 0;
    if (!c || r->nvals != abi_call_params(c, params))
        return false;
    for (uint32_t i = 0; i < c->nparams; i++)
        inputs += is_input(abi_kind(c->params[i].kind)->shape);
    return r->nblobs == inputs || r->nblobs == 0;
}

/* The parameter's own words in a CALL. Outputs are shown with the result, but for the room a buffer has. */
static void show_argument(struct abi_text *t, const struct abi_call *c, const struct abi_param *p,
                          const struct journal_record *r, uint32_t slot, uint32_t *blob, bool *first) {
    const struct abi_kind *k = abi_kind(p->kind);
    if (k->role == ABI_ROLE_PORT && r->nblobs > 0) {
        return; /* the address says it */
    } else if (k->shape == ABI_VALUE_SHAPE) {
        name(t, first, p->name);
        abi_show_value(t, p->kind, r->vals[slot]);
    } else if (k->shape == ABI_PAIR_SHAPE) {
        name(t, first, p->name);
        abi_show_value(t, p->kind, r->vals[slot] << 32 | (uint32_t)r->vals[slot + 1]);
    } else if (k->role == ABI_ROLE_ADDRESS && is_input(k->shape) && *blob < r->nblobs) {
        name(t, first, p->name);
        show_address(t, c, p, r, &r->blobs[(*blob)++]);
    } else if (is_input(k->shape) && *blob < r->nblobs) {
        name(t, first, p->name);
        show_blob(t, k, &r->blobs[(*blob)++]);
    } else if (is_input(k->shape)) {
        name(t, first, p->name);
        buf_print(t->out, t->json ? "{\"pointer\":%u}" : "0x%x", (uint32_t)r->vals[slot]);
    } else if (k->shape == ABI_BYTES_OUT_SHAPE && !t->json) {
        name(t, first, p->name);
        buf_print(t->out, "[%u]", (uint32_t)r->vals[slot + 1]);
    } else if (k->shape == ABI_IOVS_OUT_SHAPE && !t->json) {
        name(t, first, p->name);
        buf_print(t->out, "[%u iov]", (uint32_t)r->vals[slot + 1]);
    } else if (t->json && k->shape == ABI_BYTES_OUT_SHAPE) {
        name(t, first, p->name);
        buf_print(t->out, "{\"room\":%u}", (uint32_t)r->vals[slot + 1]);
    }
}

void guest_show_call(struct abi_text *t, const struct journal_record *r) {
    const struct abi_call *c = abi_call_by_code(r->code);
    bool first = true;
    if (t->json)
        buf_print(t->out, c ? "\"call\":\"%s\",\"module\":\"%s\",\"args\":{" : "\"call\":null,\"args\":{",
                  c ? c->name : "", c ? abi_call_module(r->code) : "");
    else if (c)
        buf_print(t->out, "%s(", c->name);
    else
        buf_print(t->out, "import %u(", r->code);
    if (call_is_plain(c, r)) {
        uint32_t slot = 0, blob = 0;
        for (uint32_t i = 0; i < c->nparams; i++) {
            show_argument(t, c, &c->params[i], r, slot, &blob, &first);
            slot += abi_shape_nwasm(abi_kind(c->params[i].kind)->shape);
        }
    } else {
        show_raw(t, r);
    }
    buf_byte(t->out, t->json ? '}' : ')');
}

static bool return_is_plain(const struct abi_call *c, const struct journal_record *r) {
    uint32_t vals = 1, blobs = 0;
    if (!c || r->nvals < 1)
        return false;
    if (r->vals[0] != 0)
        return r->nvals == 1 && r->nblobs == 0;
    for (uint32_t i = 0; i < c->nparams; i++) {
        enum abi_shape s = abi_kind(c->params[i].kind)->shape;
        vals += abi_shape_way(s) == ABI_WAY_NUMBER_OUT;
        blobs += abi_shape_way(s) == ABI_WAY_OUT;
    }
    return r->nvals == vals && r->nblobs == blobs;
}

static void show_outputs(struct abi_text *t, const struct abi_call *c, const struct journal_record *r) {
    uint32_t val = 1, blob = 0;
    bool first = true;
    for (uint32_t i = 0; i < c->nparams; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        const enum abi_way way = abi_shape_way(k->shape);
        if (way == ABI_WAY_NUMBER_OUT && k->role == ABI_ROLE_PORT)
            val++; /* the address says it */
        if ((way != ABI_WAY_NUMBER_OUT && way != ABI_WAY_OUT) || k->role == ABI_ROLE_PORT)
            continue;
        if (t->json)
            name(t, &first, c->params[i].name);
        else
            buf_print(t->out, " %s=", c->params[i].name);
        if (way == ABI_WAY_NUMBER_OUT)
            abi_show_value(t, c->params[i].kind, r->vals[val++]);
        else if (k->role == ABI_ROLE_ADDRESS)
            show_address(t, c, &c->params[i], r, &r->blobs[blob++]);
        else
            show_blob(t, k, &r->blobs[blob++]);
    }
}

void guest_show_return(struct abi_text *t, const struct journal_record *r) {
    const struct abi_call *c = abi_call_by_code(r->code);
    bool plain = return_is_plain(c, r), failed = plain && r->vals[0] != 0;
    if (t->json) {
        if (plain)
            buf_print(t->out, "\"result\":%llu", (unsigned long long)r->vals[0]);
        if (failed) {
            buf_print(t->out, ",\"error\":");
            abi_show_result(t, c, r->vals[0]);
        }
        buf_print(t->out, plain ? ",\"out\":{" : "\"out\":{");
    } else {
        buf_print(t->out, " = ");
        if (plain)
            abi_show_result(t, c, r->vals[0]);
        if (failed)
            buf_print(t->out, " (%s)", abi_errno_words((uint32_t)r->vals[0]));
    }
    if (!plain)
        show_raw(t, r);
    else if (!failed)
        show_outputs(t, c, r);
    if (t->json)
        buf_byte(t->out, '}');
}

static void show_end(struct abi_text *t, const struct journal_record *r) {
    if (r->nvals != 2) {
        show_raw(t, r);
        return;
    }
    unsigned long long v = r->vals[1];
    const char *what = guest_outcome_text((enum guest_outcome)r->vals[0]);
    if (t->json) {
        buf_print(t->out, "\"end\":\"%s\",\"value\":%llu", what, v);
        if (r->nblobs == 1 && r->blobs[0].size) {
            struct buf scratch = {0};
            buf_print(t->out, ",\"words\":");
            abi_show_bytes(t, flat(&r->blobs[0], 0, &scratch));
            buf_deinit(&scratch);
        }
        return;
    }
    switch (r->vals[0]) {
    case GUEST_EXITED: buf_print(t->out, "exited with %llu", v); break;
    case GUEST_TRAPPED:
        buf_print(t->out, "trapped: %s", v <= WASM_TRAP_HOST ? wasm_trap_text((enum wasm_trap_kind)v) : "?");
        break;
    case GUEST_OUT_OF_FUEL: buf_print(t->out, "out of fuel after %llu ticks", v); break;
    case GUEST_TIMED_OUT: buf_print(t->out, "out of time after %llu ms", v); break;
    case GUEST_JOURNAL_FULL: buf_print(t->out, "journal full at %llu bytes", v); break;
    case GUEST_INTERRUPTED: buf_print(t->out, "interrupted by signal %llu", v); break;
    default: buf_print(t->out, "ended as %llu with %llu", (unsigned long long)r->vals[0], v); break;
    }
}

void guest_show_record(struct abi_text *t, const struct journal_record *r) {
    struct buf scratch = {0};
    struct span words = r->nblobs ? flat(&r->blobs[0], t->json ? 0 : t->width, &scratch) : SPAN(NULL, 0);
    const struct abi_call *c = abi_call_by_code(r->code);
    switch (r->type) {
    case JOURNAL_CALL: guest_show_call(t, r); break;
    case JOURNAL_RETURN:
        if (!t->json)
            buf_print(t->out, c ? "%s" : "import", c ? c->name : "");
        guest_show_return(t, r);
        break;
    case JOURNAL_END: show_end(t, r); break;
    case JOURNAL_NOTE:
        buf_print(t->out, t->json ? "\"note\":" : "note ");
        abi_show_bytes(&(struct abi_text){t->out, t->json, 0}, words); /* ours, and short: whole */
        break;
    case JOURNAL_SNAPSHOT:
        buf_print(t->out, t->json ? "\"snapshot\":%llu" : "snapshot of %llu bytes",
                  (unsigned long long)(r->nblobs ? r->blobs[0].size : 0));
        break;
    }
    buf_deinit(&scratch);
}
