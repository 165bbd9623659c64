/* status.h: the outcome of an operation that can fail for reasons outside the program.
 *
 * Three kinds of failure are kept apart: operating errors are an `enum status` (this file), guest traps are values
 * (wasm/wasm.h), and our own bugs abort (must.h).  Codes and words live in one table. */
#ifndef AEON_BASE_STATUS_H
#define AEON_BASE_STATUS_H

// clang-format off
#define STATUS_TABLE(X) \
    X(OK,           "ok") \
    X(INVALID,      "invalid input") \
    X(MALFORMED,    "malformed bytes") \
    X(UNSUPPORTED,  "not supported") \
    X(UNLINKABLE,   "import not provided") \
    X(NOT_FOUND,    "not found") \
    X(AMBIGUOUS,    "more than one match") \
    X(EXISTS,       "already exists") \
    X(DENIED,       "permission denied") \
    X(BUSY,         "in use") \
    X(LIMIT,        "limit reached") \
    X(NO_SPACE,     "no space left") \
    X(IO,           "input/output error") \
    X(CORRUPT,      "checksum or structure damaged") \
    X(TRUNCATED,    "ends too early") \
    X(VERSION,      "unknown format version") \
    X(MISMATCH,     "differs from the record") \
    X(TRAPPED,      "guest trapped") \
    X(END,          "end of data")
// clang-format on

enum status {
#define X(name, text) ST_##name,
    STATUS_TABLE(X)
#undef X
};

/* A short phrase for `s`; static storage. */
const char *status_text(enum status s);

#define NODISCARD __attribute__((warn_unused_result))

#endif
