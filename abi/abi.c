/* abi.c: the tables as data. */
#include "abi/abi.h"

#include "abi/show.h"
#include "base/must.h"

// clang-format off

/* ---- names ------------------------------------------------------------------------------------------------------- */

#define X(name, value, ...) {value, #name, "" __VA_ARGS__},
#define SET(set) \
    static const struct abi_name list_##set[] = {WASI_##set(X)}; \
    const struct abi_names abi_names_##set = {#set, list_##set, sizeof list_##set / sizeof list_##set[0]};
ABI_NAME_SETS(SET)
#undef SET
#undef X

/* ---- kinds ------------------------------------------------------------------------------------------------------- */

#define SHOWN_NAMES(set) &abi_names_##set, abi_show_name
#define SHOWN_FLAGS(set) &abi_names_##set, abi_show_flags
#define SHOWN_uint NULL, abi_show_uint
#define SHOWN_sint NULL, abi_show_sint
#define SHOWN_hex NULL, abi_show_hex
#define SHOWN_text NULL, abi_show_text
#define SHOWN_blob NULL, abi_show_blob
#define SHOWN_strings NULL, abi_show_strings
#define SHOWN_dirents NULL, abi_show_dirents
#define SHOWN_fdstat NULL, abi_show_fdstat
#define SHOWN_filestat NULL, abi_show_filestat
#define SHOWN_unstable_filestat NULL, abi_show_unstable_filestat
#define SHOWN_prestat NULL, abi_show_prestat
#define SHOWN_subscriptions NULL, abi_show_subscriptions
#define SHOWN_unstable_subscriptions NULL, abi_show_unstable_subscriptions
#define SHOWN_events NULL, abi_show_events
#define SHOWN_name_text NULL, abi_show_name_text
#define SHOWN_address NULL, abi_show_address
#define SHOWN_option NULL, abi_show_option
#define SHOWN_hints NULL, abi_show_hints
#define SHOWN_found NULL, abi_show_found

static const struct abi_kind kinds[ABI_NKINDS] = {
#define KIND(name, member, shape, bytes, role, show, doc) \
    {#name, doc, ABI_##shape##_SHAPE, ABI_ROLE_##role, bytes, SHOWN_##show},
    ABI_KINDS(KIND)
#undef KIND
};

/* Records and their C layouts agree. */
#define RECORD(kind, type) \
    _Static_assert(sizeof(type) == ABI_BYTES_##kind, "the size of a record and of its C layout differ");
enum {
#define KIND(name, member, shape, bytes, role, show, doc) ABI_BYTES_##name = bytes,
    ABI_KINDS(KIND)
#undef KIND
};
RECORD(OUT_FDSTAT, struct wasi_fdstat)
RECORD(OUT_FILESTAT, struct wasi_filestat)
RECORD(OUT_UNSTABLE_FILESTAT, struct wasi_unstable_filestat)
RECORD(OUT_PRESTAT, struct wasi_prestat)
RECORD(SUBSCRIPTIONS_IN, struct wasi_subscription)
RECORD(UNSTABLE_SUBSCRIPTIONS_IN, struct wasi_unstable_subscription)
RECORD(EVENTS_OUT, struct wasi_event)
RECORD(HINTS_IN, struct wasi_addrinfo)
#undef RECORD

/* ---- calls ------------------------------------------------------------------------------------------------------- */

#define P(kind, name, ...) {ABI_KIND_##kind, #name, "" #__VA_ARGS__},

#define CALL(name, result, effect, doc, params) \
    static const struct abi_param params_##name[] = {params {0, NULL, NULL}};
ABI_WASI_PREVIEW1(CALL)
#undef CALL
static const struct abi_call preview1_calls[] = {
#define CALL(name, result, effect, doc, params) \
    {#name, doc, ABI_CODE_##name, ABI_RESULT_##result, effect, params_##name, \
     sizeof params_##name / sizeof params_##name[0] - 1},
    ABI_WASI_PREVIEW1(CALL)
#undef CALL
};

#define CALL(name, result, effect, doc, params) \
    static const struct abi_param params_unstable_##name[] = {params {0, NULL, NULL}};
ABI_WASI_UNSTABLE(CALL)
#undef CALL
static const struct abi_call unstable_calls[] = {
#define CALL(name, result, effect, doc, params) \
    {#name, doc, ABI_CODE_unstable_##name, ABI_RESULT_##result, effect, params_unstable_##name, \
     sizeof params_unstable_##name / sizeof params_unstable_##name[0] - 1},
    ABI_WASI_UNSTABLE(CALL)
#undef CALL
};

#define CALL(name, result, effect, doc, params) \
    static const struct abi_param params_##name[] = {params {0, NULL, NULL}};
ABI_WASI_SOCKETS(CALL)
#undef CALL
static const struct abi_call sockets_calls[] = {
#define CALL(name, result, effect, doc, params) \
    {#name, doc, ABI_CODE_##name, ABI_RESULT_##result, effect, params_##name, \
     sizeof params_##name / sizeof params_##name[0] - 1},
    ABI_WASI_SOCKETS(CALL)
#undef CALL
};

#define CALL(name, result, effect, doc, params) \
    static const struct abi_param params_v1_##name[] = {params {0, NULL, NULL}};
ABI_WASI_SOCKETS_V1(CALL)
#undef CALL
static const struct abi_call sockets_v1_calls[] = {
#define CALL(name, result, effect, doc, params) \
    {#name, doc, ABI_CODE_v1_##name, ABI_RESULT_##result, effect, params_v1_##name, \
     sizeof params_v1_##name / sizeof params_v1_##name[0] - 1},
    ABI_WASI_SOCKETS_V1(CALL)
#undef CALL
};
#undef P

// clang-format on

const struct abi_table abi_wasi_sockets_v1 = {
    .module = ABI_WASI_PREVIEW1_MODULE,
    .title = "sockets, first generation",
    .first_code = ABI_SOCKETS_V1_FIRST_CODE,
    .calls = sockets_v1_calls,
    .ncalls = sizeof sockets_v1_calls / sizeof *sockets_v1_calls,
};

const struct abi_table abi_wasi_sockets = {
    .module = ABI_WASI_PREVIEW1_MODULE,
    .title = "sockets",
    .first_code = ABI_SOCKETS_FIRST_CODE,
    .calls = sockets_calls,
    .ncalls = sizeof sockets_calls / sizeof *sockets_calls,
    .base = &abi_wasi_sockets_v1,
};

const struct abi_table abi_wasi_preview1 = {
    .module = ABI_WASI_PREVIEW1_MODULE,
    .title = "preview 1",
    .first_code = ABI_PREVIEW1_FIRST_CODE,
    .calls = preview1_calls,
    .ncalls = sizeof preview1_calls / sizeof *preview1_calls,
    .base = &abi_wasi_sockets,
};

const struct abi_table abi_wasi_unstable = {
    .module = ABI_WASI_UNSTABLE_MODULE,
    .title = "its predecessor",
    .first_code = ABI_UNSTABLE_FIRST_CODE,
    .calls = unstable_calls,
    .ncalls = sizeof unstable_calls / sizeof *unstable_calls,
    .base = &abi_wasi_preview1,
};

const struct abi_table *const abi_tables[] = {
    &abi_wasi_preview1, &abi_wasi_sockets, &abi_wasi_sockets_v1, &abi_wasi_unstable, NULL,
};

/* ---- look-up ---------------------------------------------------------------------------------------------------- */

static const struct {
    enum abi_way way;
    uint32_t nwasm;
    const char *doc;
} shapes[] = {
#define SHAPE(name, way, nwasm, doc) {ABI_WAY_##way, nwasm, doc},
    ABI_SHAPES(SHAPE)
#undef SHAPE
};

enum abi_way abi_shape_way(enum abi_shape s) {
    return shapes[s].way;
}

uint32_t abi_shape_nwasm(enum abi_shape s) {
    return shapes[s].nwasm;
}

const char *abi_shape_doc(enum abi_shape s) {
    return shapes[s].doc;
}

const struct abi_kind *abi_kind(enum abi_kind_id id) {
    must(id < ABI_NKINDS);
    return &kinds[id];
}

static const struct abi_table *table_by_code(uint32_t code) {
    for (uint32_t i = 0; abi_tables[i]; i++)
        if (code >= abi_tables[i]->first_code && code - abi_tables[i]->first_code < abi_tables[i]->ncalls)
            return abi_tables[i];
    return NULL;
}

const struct abi_call *abi_call_by_code(uint32_t code) {
    const struct abi_table *t = table_by_code(code);
    return t ? &t->calls[code - t->first_code] : NULL;
}

const char *abi_call_module(uint32_t code) {
    const struct abi_table *t = table_by_code(code);
    return t ? t->module : NULL;
}

uint32_t abi_call_params(const struct abi_call *c, char out[ABI_MAX_WASM_PARAMS + 1]) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->nparams; i++) {
        const struct abi_kind *k = abi_kind(c->params[i].kind);
        for (uint32_t j = 0; j < abi_shape_nwasm(k->shape); j++) {
            must(n < ABI_MAX_WASM_PARAMS);
            out[n++] = k->shape == ABI_VALUE_SHAPE && k->bytes == 8 ? 'I' : 'i';
        }
    }
    out[n] = '\0';
    return n;
}
