/* abi.h: what a row of the import table can say, and what the edge makes of it.
 *
 * All that a guest can import is described once, in the tables beside this file:
 *
 *     CALL(fd_write, ERRNO, EFFECT, "write to a descriptor", P(FD, fd) P(IOVS_IN, iovs) P(OUT_U32, nwritten))
 *
 * CALL and P are defined by whoever expands the table.  From it come: the argument struct an implementation receives
 * (struct abi_fd_write), the descriptors by which the edge links, checks pointers, records and replays (abi_calls), the
 * decoder that prints a call, and the documentation.
 *
 * An implementation never sees a guest pointer that was not checked: before it runs, the edge has turned every pointer
 * parameter into host memory of the right length, or answered `fault`.  Outputs take effect only on success. */
#ifndef AEON_ABI_ABI_H
#define AEON_ABI_ABI_H

#include "base/bytes.h"

#include <sys/uio.h>

/* Guest memory is unaligned as far as the host is concerned. */
typedef uint16_t abi_u16 __attribute__((aligned(1), may_alias));
typedef uint32_t abi_u32 __attribute__((aligned(1), may_alias));
typedef uint64_t abi_u64 __attribute__((aligned(1), may_alias));

/* Guest memory by (pointer, length): input, or output of which the implementation sets `size` to what it wrote. */
struct abi_mem {
    uint8_t *data;
    uint32_t size;
};

/* Scatter/gather over guest memory. For outputs the implementation sets `size` to the bytes transferred. */
struct abi_iovs {
    struct iovec *iov;
    uint32_t n;
    uint32_t size;
};

union abi_arg {
    uint32_t u32;
    uint64_t u64;
    void *ptr;
    struct abi_mem mem;
    struct abi_iovs iovs;
};

#endif
