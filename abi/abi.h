/* abi.h: what a guest can import, and what the edge makes of it.
 *
 * All that a guest can import is described once, in the tables beside this file:
 *
 *     CALL(fd_write, ERRNO, ABI_WRITES, "write to a descriptor", P(FD, fd) P(IOVS_IN, iovs) P(OUT_DONE, nwritten))
 *
 * From a row come: the argument struct an implementation receives (struct abi_fd_write), its number
 * (ABI_CODE_fd_write), the descriptor by which the edge links, checks pointers, records and replays (struct abi_call),
 * the way a call is shown to a person, and its documentation.  The kinds (FD, IOVS_IN...) are rows of kinds.h.
 *
 * The edge puts each parameter into one uniform slot (union abi_arg), in order; the argument struct is an overlay of
 * these slots with names and types.  By shape an implementation finds there
 *
 *     VALUE                the number.
 *     OUT_VALUE            room for the number; 0 at first.
 *     RECORD_OUT           a pointer to an aligned record, all zero at first.
 *     BYTES_IN, ARRAY_IN   abi_mem: guest memory of `size` bytes.
 *     BYTES_OUT, ARRAY_OUT abi_mem: guest memory of `size` bytes; set `size` to the bytes written (left: all of them).
 *     IOVS_IN              abi_iovs: guest memory in pieces, `size` bytes in all.
 *     IOVS_OUT             the same; set `size` to the bytes written, from the first piece on.
 *     STRINGS              abi_strings: set it to strings of the implementation's own, alive until the next call.
 *     PAIR                 the number.
 *     RECORD_IN, REF_IN    abi_mem, as BYTES_IN.
 *     REF_OUT, SIZED_OUT   abi_mem, as BYTES_OUT.
 *     LIST_OUT             abi_mem: set it to bytes of the implementation's own, a row of struct abi_found.
 *
 * It never sees a guest pointer that was not checked: where one is out of bounds the edge has answered `fault` instead.
 * Values and records reach the guest only when the call succeeds; an implementation touches guest memory that it was
 * given to write, in the order of the parameters, only in a call that will.  Pieces of iovs beyond ABI_MAX_IOVS or
 * ABI_MAX_TRANSFER bytes are left out: such a transfer is a partial one. */
#ifndef AEON_ABI_ABI_H
#define AEON_ABI_ABI_H

#include "abi/kinds.h"
#include "abi/wasi_preview1.h"
#include "abi/wasi_sockets.h"
#include "abi/wasi_sockets_v1.h"
#include "abi/wasi_types.h"
#include "abi/wasi_unstable.h"
#include "base/addr.h"
#include "base/buf.h"
#include "base/bytes.h"

#include <sys/uio.h>

enum {
    ABI_MAX_PARAMS = 12,      /* of a row */
    ABI_MAX_WASM_PARAMS = 16, /* of its import; the journal's bound */
    ABI_MAX_IOVS = 1024,
    ABI_MAX_TRANSFER = 16 << 20,
};

/* ---- arguments --------------------------------------------------------------------------------------------------- */

struct abi_mem {
    uint8_t *data;
    uint32_t size;
};

struct abi_iovs {
    struct iovec *iov; /* no empty pieces */
    uint32_t n;
    uint32_t size;
};

struct abi_strings {
    const char *const *list;
    uint32_t n;
};

union abi_arg {
    uint32_t u32;
    uint64_t u64;
    void *ptr;
    struct abi_mem mem;
    struct abi_iovs iovs;
    struct abi_strings strings;
};

// clang-format off
#define KIND(name, member, shape, bytes, role, show, doc) typedef member abi_type_##name;
ABI_KINDS(KIND)
#undef KIND

#define P(kind, name, ...) union { abi_type_##kind name; union abi_arg name##_slot; };
#define CALL(name, result, effect, doc, params) struct abi_##name { params } __attribute__((may_alias));
ABI_WASI_PREVIEW1(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) struct abi_unstable_##name { params } __attribute__((may_alias));
ABI_WASI_UNSTABLE(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) struct abi_##name { params } __attribute__((may_alias));
ABI_WASI_SOCKETS(CALL)
#undef CALL
#define CALL(name, result, effect, doc, params) struct abi_v1_##name { params } __attribute__((may_alias));
ABI_WASI_SOCKETS_V1(CALL)
#undef CALL
#undef P
// clang-format on

/* One address found: FOUND_OUT's bytes are a row of these, each followed by its canonical name, in the journal too. */
struct abi_found {
    uint8_t family, socktype, protocol; /* WASI_FAMILY, WASI_SOCKTYPE, WASI_IPPROTO */
    uint8_t name_size;                  /* bytes of the canonical name; 0: none */
    uint16_t port;
    uint8_t pad[2];
    uint8_t ip[16]; /* INET: the first 4 */
};

/* The next one of `*bytes`, which moves on; NULL at the end, or (then bytes->size is not 0) where it is ill-formed. */
const struct abi_found *abi_found_next(struct span *bytes, struct abi_found *out, struct span *name);

/* An address as the bytes of ADDR_IN and ADDR_OUT. False when `bytes` are none, or a path is too long; when `room` is
 * too small. `room->size` becomes what was written. */
bool abi_addr_read(struct span bytes, uint32_t port, struct addr *out);
bool abi_addr_write(const struct addr *a, struct abi_mem *room);

/* ---- implementations --------------------------------------------------------------------------------------------- */

/* What an implementation answers: the import's result (0 or more), or one of these. */
#define ABI_PARK       ((int64_t)-1)                           /* cannot happen yet: call it again later */
#define ABI_TRAP       ((int64_t)-2)                           /* the guest must not go on */
#define ABI_EXIT(code) (INT64_MIN | (int64_t)(uint32_t)(code)) /* the guest ends with this exit status */

/* `ctx` is the library's own; `args` holds one slot per parameter. Typed functions become such ones by
 *     static int64_t call_fd_write(void *ctx, union abi_arg *args)
 *     {
 *         return fd_write(ctx, (struct abi_fd_write *)args);
 *     } */
typedef int64_t (*abi_fn)(void *ctx, union abi_arg *args);

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

enum abi_shape {
#define SHAPE(name, way, nwasm, doc) ABI_##name##_SHAPE,
    ABI_SHAPES(SHAPE)
#undef SHAPE
};

enum abi_way {
#define WAY(name) ABI_WAY_##name,
    ABI_WAYS(WAY)
#undef WAY
};

enum abi_role {
#define ROLE(name) ABI_ROLE_##name,
    ABI_ROLES(ROLE)
#undef ROLE
};

enum abi_kind_id {
#define KIND(name, member, shape, bytes, role, show, doc) ABI_KIND_##name,
    ABI_KINDS(KIND)
#undef KIND
        ABI_NKINDS
};

/* Effects, as flags: a call that changes something somebody else can see, or not; one that may wait. */
enum { ABI_READS = 0, ABI_WRITES = 1, ABI_BLOCKS = 2 };

/* ERRNO: an i32, 0 is success. NORETURN: no result; the guest does not go on. */
enum abi_result { ABI_RESULT_ERRNO, ABI_RESULT_NORETURN };

/* Numbers that have names. */
struct abi_name {
    uint64_t value;
    const char *name, *words; /* words may be NULL */
};
struct abi_names {
    const char *set;
    const struct abi_name *list;
    uint32_t n;
};

struct abi_text;
struct abi_kind {
    const char *name, *doc;
    enum abi_shape shape;
    enum abi_role role;
    uint8_t bytes;
    const struct abi_names *names;
    /* Shows the bytes of one parameter: those of a value (8, little-endian), or what is in the journal. */
    void (*show)(struct abi_text *t, const struct abi_kind *k, struct span value);
};

struct abi_param {
    enum abi_kind_id kind;
    const char *name;
    const char *other; /* arrays: the parameter that holds the number of elements; addresses: the port; else "" */
};

struct abi_call {
    const char *name, *doc;
    uint32_t code; /* part of the journal format */
    enum abi_result result;
    uint32_t effect;
    const struct abi_param *params;
    uint32_t nparams;
};

/* Rows of one import module, in which there may be several tables. What is not found in it, by name and type, is looked
 * for in `base`.  Codes: a table's first row has `first_code`, the others follow in order; rows are only ever appended.
 */
struct abi_table {
    const char *module;
    const char *title;
    uint32_t first_code;
    const struct abi_call *calls;
    uint32_t ncalls;
    const struct abi_table *base;
};

// clang-format off
enum {
    ABI_PREVIEW1_FIRST_CODE = 0,
    ABI_UNSTABLE_FIRST_CODE = 128,
    ABI_SOCKETS_FIRST_CODE = 160,
    ABI_SOCKETS_V1_FIRST_CODE = 192,
};
enum abi_code {
#define CALL(name, result, effect, doc, params) ABI_CODE_##name,
    ABI_CODE_PREVIEW1_BEFORE = ABI_PREVIEW1_FIRST_CODE - 1,
    ABI_WASI_PREVIEW1(CALL)
    ABI_CODE_PREVIEW1_END,
#undef CALL
#define CALL(name, result, effect, doc, params) ABI_CODE_unstable_##name,
    ABI_CODE_UNSTABLE_BEFORE = ABI_UNSTABLE_FIRST_CODE - 1,
    ABI_WASI_UNSTABLE(CALL)
    ABI_CODE_UNSTABLE_END,
#undef CALL
#define CALL(name, result, effect, doc, params) ABI_CODE_##name,
    ABI_CODE_SOCKETS_BEFORE = ABI_SOCKETS_FIRST_CODE - 1,
    ABI_WASI_SOCKETS(CALL)
    ABI_CODE_SOCKETS_END,
#undef CALL
#define CALL(name, result, effect, doc, params) ABI_CODE_v1_##name,
    ABI_CODE_SOCKETS_V1_BEFORE = ABI_SOCKETS_V1_FIRST_CODE - 1,
    ABI_WASI_SOCKETS_V1(CALL)
    ABI_CODE_SOCKETS_V1_END,
#undef CALL
};
// clang-format on
_Static_assert((int)ABI_CODE_PREVIEW1_END <= (int)ABI_UNSTABLE_FIRST_CODE &&
                   (int)ABI_CODE_UNSTABLE_END <= (int)ABI_SOCKETS_FIRST_CODE &&
                   (int)ABI_CODE_SOCKETS_END <= (int)ABI_SOCKETS_V1_FIRST_CODE,
               "tables must not overlap");

extern const struct abi_table abi_wasi_preview1; /* over both tables of sockets */
extern const struct abi_table abi_wasi_sockets;
extern const struct abi_table abi_wasi_sockets_v1;
extern const struct abi_table abi_wasi_unstable;

/* All tables, NULL at the end; that of a module which is over its others comes first. */
extern const struct abi_table *const abi_tables[];

const struct abi_kind *abi_kind(enum abi_kind_id id);

/* NULL when there is no such import in any table. */
const struct abi_call *abi_call_by_code(uint32_t code);
const char *abi_call_module(uint32_t code);

/* Which way a shape goes, how many Wasm parameters it takes, and what it is. */
enum abi_way abi_shape_way(enum abi_shape s);
uint32_t abi_shape_nwasm(enum abi_shape s);
const char *abi_shape_doc(enum abi_shape s);

/* The Wasm parameters of a row, one letter each: `i` for i32, `I` for i64. Returns their number. Its result is an i32
 * or nothing. */
uint32_t abi_call_params(const struct abi_call *c, char out[ABI_MAX_WASM_PARAMS + 1]);

/* ---- showing ----------------------------------------------------------------------------------------------------- */

/* Where a decoded call goes: as words in the manner of strace, or as JSON. */
struct abi_text {
    struct buf *out;
    bool json;
    uint32_t width; /* bytes shown of a string before it is cut; 0: all */
};

void abi_show_value(struct abi_text *t, enum abi_kind_id kind, uint64_t value);
void abi_show_bytes(struct abi_text *t, struct span bytes); /* a quoted string; JSON: {"base64":...} unless UTF-8 */
/* An address with its port; NULL: without. */
void abi_show_address_port(struct abi_text *t, struct span address, const uint64_t *port);
void abi_show_result(struct abi_text *t, const struct abi_call *c, uint64_t result);

/* The name of a WASI errno ("ENOENT") and what it means; "?" for others. */
const char *abi_errno_name(uint32_t e);
const char *abi_errno_words(uint32_t e);

#endif
