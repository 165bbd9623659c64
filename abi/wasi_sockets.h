/* wasi_sockets.h: sockets beyond preview 1's, as WasmEdge introduced them in its module `wasi_snapshot_preview1`: what
 * both generations of that extension have in common, and the second generation. Rows as in wasi_preview1.h.
 *
 * An address is a pointer to (pointer, length) of its bytes, the port a parameter of its own.  4 or 16 bytes are an
 * IPv4 or IPv6 address; otherwise there is a u16 family in front (WASI_FAMILY), usually in a buffer of 128 bytes, and a
 * unix socket's path ends with NUL or the buffer (address.c).
 *
 * sock_getaddrinfo fills a list that the guest has made: `max` elements of struct wasi_addrinfo, each with room for an
 * address and perhaps a canonical name.  What finds no room is left out. */
#ifndef AEON_ABI_WASI_SOCKETS_H
#define AEON_ABI_WASI_SOCKETS_H

// clang-format off
#define ABI_WASI_SOCKETS(CALL) \
    CALL(sock_open, ERRNO, ABI_READS, "make a socket", \
         P(FAMILY, family) P(SOCKTYPE, type) P(OUT_FD, fd)) \
    CALL(sock_bind, ERRNO, ABI_WRITES, "give a socket an address of this side", \
         P(FD, fd) P(ADDR_IN, addr, port) P(PORT, port)) \
    CALL(sock_connect, ERRNO, ABI_WRITES | ABI_BLOCKS, "connect a socket", \
         P(FD, fd) P(ADDR_IN, addr, port) P(PORT, port)) \
    CALL(sock_listen, ERRNO, ABI_WRITES, "make a socket accept connections", \
         P(FD, fd) P(SIZE, backlog)) \
    CALL(sock_recv_from, ERRNO, ABI_READS | ABI_BLOCKS, "receive from a socket, and learn from whom", \
         P(FD, fd) P(IOVS_OUT, iovs) P(ADDR_OUT, addr, port) P(RIFLAGS, ri_flags) P(OUT_PORT, port) \
         P(OUT_DONE, nread) P(OUT_ROFLAGS, ro_flags)) \
    CALL(sock_send_to, ERRNO, ABI_WRITES | ABI_BLOCKS, "send on a socket to an address", \
         P(FD, fd) P(IOVS_IN, iovs) P(ADDR_IN, addr, port) P(PORT, port) P(SIFLAGS, si_flags) P(OUT_DONE, nsent)) \
    CALL(sock_getsockopt, ERRNO, ABI_READS, "the value of a socket's option", \
         P(FD, fd) P(SOCKOPT, option) P(OPTION_OUT, value)) \
    CALL(sock_setsockopt, ERRNO, ABI_WRITES, "set an option of a socket", \
         P(FD, fd) P(SOCKOPT, option) P(OPTION_IN, value)) \
    CALL(sock_getlocaladdr, ERRNO, ABI_READS, "the address of this side", \
         P(FD, fd) P(ADDR_OUT, addr, port) P(OUT_PORT, port)) \
    CALL(sock_getpeeraddr, ERRNO, ABI_READS, "the address of the other side", \
         P(FD, fd) P(ADDR_OUT, addr, port) P(OUT_PORT, port)) \
    CALL(sock_getaddrinfo, ERRNO, ABI_READS | ABI_BLOCKS, "look up the addresses of a name", \
         P(NAME_IN, name) P(NAME_IN, service) P(HINTS_IN, hints) P(FOUND_OUT, found))
// clang-format on

#endif
