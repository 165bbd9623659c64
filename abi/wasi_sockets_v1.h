/* wasi_sockets_v1.h: what the first generation of the socket extension has differently. An import is of this generation
 * when its type says so.  The argument structs of these rows are called abi_v1_<name>. */
#ifndef AEON_ABI_WASI_SOCKETS_V1_H
#define AEON_ABI_WASI_SOCKETS_V1_H

// clang-format off
#define ABI_WASI_SOCKETS_V1(CALL) \
    CALL(sock_accept, ERRNO, ABI_READS | ABI_BLOCKS, "accept a connection", \
         P(FD, fd) P(OUT_FD, connection_fd)) \
    CALL(sock_recv_from, ERRNO, ABI_READS | ABI_BLOCKS, "receive from a socket, and learn from whom", \
         P(FD, fd) P(IOVS_OUT, iovs) P(ADDR_OUT, addr) P(RIFLAGS, ri_flags) P(OUT_DONE, nread) \
         P(OUT_ROFLAGS, ro_flags)) \
    CALL(sock_getlocaladdr, ERRNO, ABI_READS, "the address of this side", \
         P(FD, fd) P(ADDR_OUT, addr, port) P(OUT_ADDRTYPE, type) P(OUT_PORT, port)) \
    CALL(sock_getpeeraddr, ERRNO, ABI_READS, "the address of the other side", \
         P(FD, fd) P(ADDR_OUT, addr, port) P(OUT_ADDRTYPE, type) P(OUT_PORT, port))
// clang-format on

#endif
