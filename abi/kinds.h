/* kinds.h: what a parameter of an import can be. One row a kind; a new kind is a new row, and a function in show.c if
 * none of those there prints it.
 *
 *     KIND(NAME, member, shape, bytes, role, show, "what it is")
 *
 * member  the C type by which an implementation sees it in its argument struct.
 * shape   how it crosses the edge; says how many Wasm parameters it takes. See enum abi_shape.
 * bytes   width of a value, size of a record, size of an array's element; otherwise 0.
 * role    what the value means to whoever follows descriptors or output without knowing the call. See enum abi_role.
 * show    how a person sees it: abi_show_<show>, or NAMES(set) and FLAGS(set) of the tables in wasi_types.h. */
#ifndef AEON_ABI_KINDS_H
#define AEON_ABI_KINDS_H

// clang-format off

/* How parameters cross the edge. By way: the bytes of an IN are one blob of the CALL record, those of an OUT one blob
 * of the RETURN record, a NUMBER_OUT is one of its vals; every Wasm parameter, and so all of a NUMBER, is a val of the
 * CALL.
 *
 * SHAPE(NAME, way, Wasm parameters, "what it is") */
#define ABI_WAYS(WAY) WAY(NUMBER) WAY(IN) WAY(NUMBER_OUT) WAY(OUT)
#define ABI_SHAPES(SHAPE) \
    SHAPE(VALUE,      NUMBER,     1, "a number") \
    SHAPE(OUT_VALUE,  NUMBER_OUT, 1, "pointer to where a number goes") \
    SHAPE(RECORD_OUT, OUT,        1, "pointer to where a record goes") \
    SHAPE(BYTES_IN,   IN,         2, "pointer and length of bytes") \
    SHAPE(BYTES_OUT,  OUT,        2, "pointer and length of a buffer") \
    SHAPE(ARRAY_IN,   IN,         1, "pointer to elements; their number is another parameter") \
    SHAPE(ARRAY_OUT,  OUT,        1, "pointer to room for elements; their number is another parameter") \
    SHAPE(IOVS_IN,    IN,         2, "pointer to (pointer, length) pairs and their number: bytes in pieces") \
    SHAPE(IOVS_OUT,   OUT,        2, "pointer to (pointer, length) pairs and their number: a buffer in pieces") \
    SHAPE(STRINGS,    OUT,        2, "pointer to room for pointers, pointer to room for NUL-terminated strings") \
    SHAPE(PAIR,       NUMBER,     2, "two numbers that are one, the upper half first") \
    SHAPE(RECORD_IN,  IN,         1, "pointer to a record") \
    SHAPE(REF_IN,     IN,         1, "pointer to (pointer, length) of bytes") \
    SHAPE(REF_OUT,    OUT,        1, "pointer to (pointer, length) of a buffer") \
    SHAPE(SIZED_OUT,  OUT,        2, "pointer to a buffer; pointer to its length, set to the bytes written (16 or " \
                                     "less is the length itself)") \
    SHAPE(LIST_OUT,   OUT,        3, "pointer to the pointer to a linked list; its length; pointer to where goes how " \
                                     "much of it was filled")

#define ABI_ROLES(ROLE) \
    ROLE(NONE) \
    ROLE(FD)       /* a descriptor the call works on */ \
    ROLE(FD_CLOSE) /* a descriptor that is gone afterwards */ \
    ROLE(FD_MOVE)  /* a descriptor that goes to where the FD_OVER parameter says */ \
    ROLE(FD_OVER) \
    ROLE(FD_NEW)   /* a descriptor made by the call */ \
    ROLE(DATA)     /* bytes that go to, or come from, the FD parameter */ \
    ROLE(DONE)     /* how many of the DATA bytes did */ \
    ROLE(ADDRESS)  /* where to, or from; its port is the parameter it names */ \
    ROLE(PORT)     /* shown with its address */ \
    ROLE(EXIT)     /* the exit status */

#define ABI_KINDS(KIND) \
    /* plain numbers */ \
    KIND(SIZE,         uint32_t, VALUE, 4, NONE,     uint,  "a number of bytes or elements") \
    KIND(FILESIZE,     uint64_t, VALUE, 8, NONE,     uint,  "a number of bytes, or an offset, in a file") \
    KIND(FILEDELTA,    int64_t,  VALUE, 8, NONE,     sint,  "a signed offset in a file") \
    KIND(DIRCOOKIE,    uint64_t, VALUE, 8, NONE,     uint,  "a place in a directory") \
    KIND(TIMESTAMP,    uint64_t, VALUE, 8, NONE,     uint,  "nanoseconds") \
    KIND(EXITCODE,     uint32_t, VALUE, 4, EXIT,     uint,  "exit status") \
    /* descriptors */ \
    KIND(FD,           uint32_t, VALUE, 4, FD,       sint,  "a descriptor") \
    KIND(FD_CLOSE,     uint32_t, VALUE, 4, FD_CLOSE, sint,  "a descriptor; it is closed") \
    KIND(FD_MOVE,      uint32_t, VALUE, 4, FD_MOVE,  sint,  "a descriptor; it takes another number") \
    KIND(FD_OVER,      uint32_t, VALUE, 4, FD_OVER,  sint,  "the descriptor that is replaced") \
    /* numbers that have names */ \
    KIND(CLOCKID,      uint32_t, VALUE, 4, NONE, NAMES(CLOCKID),        "a clock") \
    KIND(ADVICE,       uint32_t, VALUE, 4, NONE, NAMES(ADVICE),         "an access pattern") \
    KIND(WHENCE,       uint32_t, VALUE, 4, NONE, NAMES(WHENCE),         "what an offset counts from") \
    KIND(UNSTABLE_WHENCE, uint32_t, VALUE, 4, NONE, NAMES(UNSTABLE_WHENCE), "what an offset counts from") \
    KIND(SIGNAL,       uint32_t, VALUE, 4, NONE, NAMES(SIGNAL),         "a signal") \
    KIND(FDFLAGS,      uint32_t, VALUE, 4, NONE, FLAGS(FDFLAGS),        "flags of a descriptor") \
    KIND(FSTFLAGS,     uint32_t, VALUE, 4, NONE, FLAGS(FSTFLAGS),       "which times to set") \
    KIND(LOOKUPFLAGS,  uint32_t, VALUE, 4, NONE, FLAGS(LOOKUPFLAGS),    "how a path is resolved") \
    KIND(OFLAGS,       uint32_t, VALUE, 4, NONE, FLAGS(OFLAGS),         "how a file is opened") \
    KIND(RIGHTS,       uint64_t, VALUE, 8, NONE, FLAGS(RIGHTS),         "rights of a descriptor") \
    KIND(RIFLAGS,      uint32_t, VALUE, 4, NONE, FLAGS(RIFLAGS),        "how to receive") \
    KIND(SIFLAGS,      uint32_t, VALUE, 4, NONE, hex,                   "how to send") \
    KIND(SDFLAGS,      uint32_t, VALUE, 4, NONE, FLAGS(SDFLAGS),        "directions of a connection") \
    KIND(FAMILY,       uint32_t, VALUE, 4, NONE, NAMES(FAMILY),         "an address family") \
    KIND(SOCKTYPE,     uint32_t, VALUE, 4, NONE, NAMES(SOCKTYPE),       "a type of socket") \
    KIND(SOCKOPT,      uint64_t, PAIR,  8, NONE, NAMES(SOCKOPT),        "an option of a socket: level and number") \
    KIND(PORT,         uint32_t, VALUE, 4, PORT, uint,                  "a port") \
    /* numbers that come back */ \
    KIND(OUT_SIZE,      uint32_t, OUT_VALUE, 4, NONE,   uint,           "a number of bytes or elements") \
    KIND(OUT_DONE,      uint32_t, OUT_VALUE, 4, DONE,   uint,           "how many bytes were transferred") \
    KIND(OUT_FILESIZE,  uint64_t, OUT_VALUE, 8, NONE,   uint,           "a number of bytes, or an offset, in a file") \
    KIND(OUT_TIMESTAMP, uint64_t, OUT_VALUE, 8, NONE,   uint,           "nanoseconds") \
    KIND(OUT_FD,        uint32_t, OUT_VALUE, 4, FD_NEW, sint,           "a new descriptor") \
    KIND(OUT_ROFLAGS,   uint32_t, OUT_VALUE, 2, NONE,   FLAGS(ROFLAGS), "what was received") \
    KIND(OUT_PORT,      uint32_t, OUT_VALUE, 4, PORT,   uint,           "a port") \
    KIND(OUT_ADDRTYPE,  uint32_t, OUT_VALUE, 4, NONE,   NAMES(ADDRTYPE), "which addresses: 4 or 6") \
    /* bytes */ \
    KIND(PATH,        struct abi_mem,  BYTES_IN,  0, NONE, text,    "a path, relative to the descriptor before it") \
    KIND(BYTES_OUT,   struct abi_mem,  BYTES_OUT, 0, DATA, blob,    "bytes") \
    KIND(TEXT_OUT,    struct abi_mem,  BYTES_OUT, 0, NONE, text,    "words") \
    KIND(DIRENTS_OUT, struct abi_mem,  BYTES_OUT, 0, NONE, dirents, "directory entries; the last one may be cut") \
    KIND(IOVS_IN,     struct abi_iovs, IOVS_IN,   0, DATA, blob,    "bytes in pieces") \
    KIND(IOVS_OUT,    struct abi_iovs, IOVS_OUT,  0, DATA, blob,    "bytes in pieces") \
    KIND(STRINGS_OUT, struct abi_strings, STRINGS, 0, NONE, strings, "strings") \
    KIND(NAME_IN,     struct abi_mem,  BYTES_IN,  0, NONE, name_text, "a name; NULs at its end do not count") \
    KIND(ADDR_IN,     struct abi_mem,  REF_IN,  0, ADDRESS, address, "an address of a socket") \
    KIND(ADDR_OUT,    struct abi_mem,  REF_OUT, 0, ADDRESS, address, "an address of a socket") \
    KIND(OPTION_IN,   struct abi_mem,  BYTES_IN,  0, NONE, option, "an option's value") \
    KIND(OPTION_OUT,  struct abi_mem,  SIZED_OUT, 0, NONE, option, "an option's value") \
    KIND(FOUND_OUT,   struct abi_mem,  LIST_OUT,  0, NONE, found, "addresses found") \
    /* records */ \
    KIND(OUT_FDSTAT,   struct wasi_fdstat *,   RECORD_OUT, 24, NONE, fdstat, "type, flags and rights of a descriptor") \
    KIND(OUT_FILESTAT, struct wasi_filestat *, RECORD_OUT, 64, NONE, filestat, "attributes of a file") \
    KIND(OUT_UNSTABLE_FILESTAT, struct wasi_unstable_filestat *, RECORD_OUT, 56, NONE, unstable_filestat, \
         "attributes of a file") \
    KIND(OUT_PRESTAT,  struct wasi_prestat *,  RECORD_OUT, 8,  NONE, prestat,  "what a descriptor was given as") \
    KIND(HINTS_IN,     struct abi_mem,         RECORD_IN,  28, NONE, hints,    "which addresses to look for") \
    /* arrays */ \
    KIND(SUBSCRIPTIONS_IN, struct abi_mem, ARRAY_IN, 48, NONE, subscriptions, "what to wait for") \
    KIND(UNSTABLE_SUBSCRIPTIONS_IN, struct abi_mem, ARRAY_IN, 56, NONE, unstable_subscriptions, "what to wait for") \
    KIND(EVENTS_OUT,       struct abi_mem, ARRAY_OUT, 32, NONE, events, "what happened")

// clang-format on
#endif
