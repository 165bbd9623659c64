/* wasi_types.h: the numbers of WASI preview 1, each set as one table of X(NAME, value), and the layouts of its records.
 *
 * From a table WASI_<SET> come the constants WASI_<PREFIX>_<NAME> and the words by which a call is shown to a person.
 * Flags are bit masks; everything else counts from 0. */
#ifndef AEON_ABI_WASI_TYPES_H
#define AEON_ABI_WASI_TYPES_H

#include <stdint.h>

// clang-format off

/* X(NAME, value, "words"); the constant and what is shown is E<NAME>, as on other systems. */
#define WASI_ERRNO(X) \
    X(SUCCESS, 0, "no error") \
    X(2BIG, 1, "argument list too long") \
    X(ACCES, 2, "permission denied") \
    X(ADDRINUSE, 3, "address in use") \
    X(ADDRNOTAVAIL, 4, "address not available") \
    X(AFNOSUPPORT, 5, "address family not supported") \
    X(AGAIN, 6, "would block") \
    X(ALREADY, 7, "connection already in progress") \
    X(BADF, 8, "bad file descriptor") \
    X(BADMSG, 9, "bad message") \
    X(BUSY, 10, "device or resource busy") \
    X(CANCELED, 11, "operation canceled") \
    X(CHILD, 12, "no child processes") \
    X(CONNABORTED, 13, "connection aborted") \
    X(CONNREFUSED, 14, "connection refused") \
    X(CONNRESET, 15, "connection reset") \
    X(DEADLK, 16, "resource deadlock would occur") \
    X(DESTADDRREQ, 17, "destination address required") \
    X(DOM, 18, "argument out of domain") \
    X(DQUOT, 19, "disk quota exceeded") \
    X(EXIST, 20, "file exists") \
    X(FAULT, 21, "bad address") \
    X(FBIG, 22, "file too large") \
    X(HOSTUNREACH, 23, "host is unreachable") \
    X(IDRM, 24, "identifier removed") \
    X(ILSEQ, 25, "illegal byte sequence") \
    X(INPROGRESS, 26, "operation in progress") \
    X(INTR, 27, "interrupted") \
    X(INVAL, 28, "invalid argument") \
    X(IO, 29, "input/output error") \
    X(ISCONN, 30, "socket is connected") \
    X(ISDIR, 31, "is a directory") \
    X(LOOP, 32, "too many levels of symbolic links") \
    X(MFILE, 33, "too many open descriptors") \
    X(MLINK, 34, "too many links") \
    X(MSGSIZE, 35, "message too large") \
    X(MULTIHOP, 36, "multihop attempted") \
    X(NAMETOOLONG, 37, "name too long") \
    X(NETDOWN, 38, "network is down") \
    X(NETRESET, 39, "connection aborted by network") \
    X(NETUNREACH, 40, "network unreachable") \
    X(NFILE, 41, "too many files open in system") \
    X(NOBUFS, 42, "no buffer space available") \
    X(NODEV, 43, "no such device") \
    X(NOENT, 44, "no such file or directory") \
    X(NOEXEC, 45, "executable format error") \
    X(NOLCK, 46, "no locks available") \
    X(NOLINK, 47, "link severed") \
    X(NOMEM, 48, "not enough memory") \
    X(NOMSG, 49, "no message of the desired type") \
    X(NOPROTOOPT, 50, "protocol option not available") \
    X(NOSPC, 51, "no space left on device") \
    X(NOSYS, 52, "function not supported") \
    X(NOTCONN, 53, "socket is not connected") \
    X(NOTDIR, 54, "not a directory") \
    X(NOTEMPTY, 55, "directory not empty") \
    X(NOTRECOVERABLE, 56, "state not recoverable") \
    X(NOTSOCK, 57, "not a socket") \
    X(NOTSUP, 58, "not supported") \
    X(NOTTY, 59, "inappropriate I/O control operation") \
    X(NXIO, 60, "no such device or address") \
    X(OVERFLOW, 61, "value too large") \
    X(OWNERDEAD, 62, "previous owner died") \
    X(PERM, 63, "operation not permitted") \
    X(PIPE, 64, "broken pipe") \
    X(PROTO, 65, "protocol error") \
    X(PROTONOSUPPORT, 66, "protocol not supported") \
    X(PROTOTYPE, 67, "wrong protocol type for socket") \
    X(RANGE, 68, "result too large") \
    X(ROFS, 69, "read-only file system") \
    X(SPIPE, 70, "cannot seek") \
    X(SRCH, 71, "no such process") \
    X(STALE, 72, "stale file handle") \
    X(TIMEDOUT, 73, "connection timed out") \
    X(TXTBSY, 74, "text file busy") \
    X(XDEV, 75, "cross-device link") \
    X(NOTCAPABLE, 76, "capabilities insufficient") \
    /* of sock_getaddrinfo */ \
    X(AI_ADDRFAMILY, 77, "the name has no address of this family") \
    X(AI_AGAIN, 78, "no answer from the name service, try again") \
    X(AI_BADFLAGS, 79, "invalid flags in the hints") \
    X(AI_FAIL, 80, "the name service failed") \
    X(AI_FAMILY, 81, "address family not supported") \
    X(AI_MEMORY, 82, "no room for results") \
    X(AI_NODATA, 83, "the name has no address") \
    X(AI_NONAME, 84, "no such name") \
    X(AI_SERVICE, 85, "no such service") \
    X(AI_SOCKTYPE, 86, "socket type not supported") \
    X(AI_SYSTEM, 87, "name look-up impossible")

#define WASI_RIGHTS(X) \
    X(FD_DATASYNC, 0x1) \
    X(FD_READ, 0x2) \
    X(FD_SEEK, 0x4) \
    X(FD_FDSTAT_SET_FLAGS, 0x8) \
    X(FD_SYNC, 0x10) \
    X(FD_TELL, 0x20) \
    X(FD_WRITE, 0x40) \
    X(FD_ADVISE, 0x80) \
    X(FD_ALLOCATE, 0x100) \
    X(PATH_CREATE_DIRECTORY, 0x200) \
    X(PATH_CREATE_FILE, 0x400) \
    X(PATH_LINK_SOURCE, 0x800) \
    X(PATH_LINK_TARGET, 0x1000) \
    X(PATH_OPEN, 0x2000) \
    X(FD_READDIR, 0x4000) \
    X(PATH_READLINK, 0x8000) \
    X(PATH_RENAME_SOURCE, 0x10000) \
    X(PATH_RENAME_TARGET, 0x20000) \
    X(PATH_FILESTAT_GET, 0x40000) \
    X(PATH_FILESTAT_SET_SIZE, 0x80000) \
    X(PATH_FILESTAT_SET_TIMES, 0x100000) \
    X(FD_FILESTAT_GET, 0x200000) \
    X(FD_FILESTAT_SET_SIZE, 0x400000) \
    X(FD_FILESTAT_SET_TIMES, 0x800000) \
    X(PATH_SYMLINK, 0x1000000) \
    X(PATH_REMOVE_DIRECTORY, 0x2000000) \
    X(PATH_UNLINK_FILE, 0x4000000) \
    X(POLL_FD_READWRITE, 0x8000000) \
    X(SOCK_SHUTDOWN, 0x10000000) \
    X(SOCK_ACCEPT, 0x20000000)

#define WASI_CLOCKID(X) \
    X(REALTIME, 0) X(MONOTONIC, 1) X(PROCESS_CPUTIME_ID, 2) X(THREAD_CPUTIME_ID, 3)
#define WASI_FILETYPE(X) \
    X(UNKNOWN, 0) X(BLOCK_DEVICE, 1) X(CHARACTER_DEVICE, 2) X(DIRECTORY, 3) X(REGULAR_FILE, 4) X(SOCKET_DGRAM, 5) \
    X(SOCKET_STREAM, 6) X(SYMBOLIC_LINK, 7)
#define WASI_WHENCE(X) X(SET, 0) X(CUR, 1) X(END, 2)
#define WASI_UNSTABLE_WHENCE(X) X(CUR, 0) X(END, 1) X(SET, 2)
#define WASI_ADVICE(X) X(NORMAL, 0) X(SEQUENTIAL, 1) X(RANDOM, 2) X(WILLNEED, 3) X(DONTNEED, 4) X(NOREUSE, 5)
#define WASI_EVENTTYPE(X) X(CLOCK, 0) X(FD_READ, 1) X(FD_WRITE, 2)
#define WASI_PREOPENTYPE(X) X(DIR, 0) X(SOCKET, 1)
#define WASI_SIGNAL(X) \
    X(NONE, 0) X(HUP, 1) X(INT, 2) X(QUIT, 3) X(ILL, 4) X(TRAP, 5) X(ABRT, 6) X(BUS, 7) X(FPE, 8) X(KILL, 9) \
    X(USR1, 10) X(SEGV, 11) X(USR2, 12) X(PIPE, 13) X(ALRM, 14) X(TERM, 15) X(CHLD, 16) X(CONT, 17) X(STOP, 18) \
    X(TSTP, 19) X(TTIN, 20) X(TTOU, 21) X(URG, 22) X(XCPU, 23) X(XFSZ, 24) X(VTALRM, 25) X(PROF, 26) X(WINCH, 27) \
    X(POLL, 28) X(PWR, 29) X(SYS, 30)

/* flags */
#define WASI_FDFLAGS(X) X(APPEND, 1) X(DSYNC, 2) X(NONBLOCK, 4) X(RSYNC, 8) X(SYNC, 16)
#define WASI_FSTFLAGS(X) X(ATIM, 1) X(ATIM_NOW, 2) X(MTIM, 4) X(MTIM_NOW, 8)
#define WASI_LOOKUPFLAGS(X) X(SYMLINK_FOLLOW, 1)
#define WASI_OFLAGS(X) X(CREAT, 1) X(DIRECTORY, 2) X(EXCL, 4) X(TRUNC, 8)
#define WASI_EVENTRWFLAGS(X) X(FD_READWRITE_HANGUP, 1)
#define WASI_SUBCLOCKFLAGS(X) X(ABSTIME, 1)
#define WASI_RIFLAGS(X) X(RECV_PEEK, 1) X(RECV_WAITALL, 2)
#define WASI_ROFLAGS(X) X(RECV_DATA_TRUNCATED, 1)
#define WASI_SDFLAGS(X) X(RD, 1) X(WR, 2)

/* sockets */
#define WASI_FAMILY(X) X(UNSPEC, 0) X(INET, 1) X(INET6, 2) X(UNIX, 3)
#define WASI_SOCKTYPE(X) X(ANY, 0) X(DGRAM, 1) X(STREAM, 2)
#define WASI_IPPROTO(X) X(IP, 0) X(TCP, 1) X(UDP, 2)
#define WASI_ADDRTYPE(X) X(INET, 4) X(INET6, 6)
#define WASI_AIFLAGS(X) \
    X(PASSIVE, 1) X(CANONNAME, 2) X(NUMERICHOST, 4) X(NUMERICSERV, 8) X(V4MAPPED, 16) X(ALL, 32) X(ADDRCONFIG, 64)
/* X(NAME, level << 32 | number). Beside the extension's own numbers those of Linux where it has none, or both. */
#define WASI_SOCKOPT(X) \
    X(REUSEADDR, 0) X(TYPE, 1) X(ERROR, 2) X(DONTROUTE, 3) X(BROADCAST, 4) X(SNDBUF, 5) X(RCVBUF, 6) X(KEEPALIVE, 7) \
    X(OOBINLINE, 8) X(LINGER, 9) X(RCVLOWAT, 10) X(RCVTIMEO, 11) X(SNDTIMEO, 12) X(ACCEPTCONN, 13) \
    X(BINDTODEVICE, 14) X(REUSEPORT, 15) \
    X(TCP_NODELAY, 0x60000000f) X(TCP_NODELAY_LINUX, 0x600000001) X(TCP_KEEPIDLE, 0x600000004) \
    X(TCP_KEEPINTVL, 0x600000005) X(TCP_KEEPCNT, 0x600000006) X(IPV6_V6ONLY, 0x290000001a) \
    X(START_TLS, 0x74696d6500000001)

enum wasi_errno {
#define X(name, value, words) WASI_E##name = value,
    WASI_ERRNO(X)
#undef X
};

enum {
#define X(name, value) WASI_RIGHT_##name = value,
    WASI_RIGHTS(X)
#undef X
#define X(name, value) WASI_CLOCK_##name = value,
    WASI_CLOCKID(X)
#undef X
#define X(name, value) WASI_FILETYPE_##name = value,
    WASI_FILETYPE(X)
#undef X
#define X(name, value) WASI_WHENCE_##name = value,
    WASI_WHENCE(X)
#undef X
#define X(name, value) WASI_UNSTABLE_WHENCE_##name = value,
    WASI_UNSTABLE_WHENCE(X)
#undef X
#define X(name, value) WASI_ADVICE_##name = value,
    WASI_ADVICE(X)
#undef X
#define X(name, value) WASI_EVENT_##name = value,
    WASI_EVENTTYPE(X)
#undef X
#define X(name, value) WASI_PREOPEN_##name = value,
    WASI_PREOPENTYPE(X)
#undef X
#define X(name, value) WASI_SIG_##name = value,
    WASI_SIGNAL(X)
#undef X
#define X(name, value) WASI_FDFLAG_##name = value,
    WASI_FDFLAGS(X)
#undef X
#define X(name, value) WASI_FST_##name = value,
    WASI_FSTFLAGS(X)
#undef X
#define X(name, value) WASI_LOOKUP_##name = value,
    WASI_LOOKUPFLAGS(X)
#undef X
#define X(name, value) WASI_O_##name = value,
    WASI_OFLAGS(X)
#undef X
#define X(name, value) WASI_EVENTRW_##name = value,
    WASI_EVENTRWFLAGS(X)
#undef X
#define X(name, value) WASI_SUBCLOCK_##name = value,
    WASI_SUBCLOCKFLAGS(X)
#undef X
#define X(name, value) WASI_RI_##name = value,
    WASI_RIFLAGS(X)
#undef X
#define X(name, value) WASI_RO_##name = value,
    WASI_ROFLAGS(X)
#undef X
#define X(name, value) WASI_SD_##name = value,
    WASI_SDFLAGS(X)
#undef X
#define X(name, value) WASI_FAMILY_##name = value,
    WASI_FAMILY(X)
#undef X
#define X(name, value) WASI_SOCKTYPE_##name = value,
    WASI_SOCKTYPE(X)
#undef X
#define X(name, value) WASI_IPPROTO_##name = value,
    WASI_IPPROTO(X)
#undef X
#define X(name, value) WASI_ADDRTYPE_##name = value,
    WASI_ADDRTYPE(X)
#undef X
#define X(name, value) WASI_AI_##name = value,
    WASI_AIFLAGS(X)
#undef X
};
enum wasi_sockopt {
#define X(name, value) WASI_SO_##name = value,
    WASI_SOCKOPT(X)
#undef X
};
// clang-format on

/* Records in guest memory. Their C layouts are exactly preview 1's; memory of a guest may be unaligned, so copy. */
struct wasi_fdstat {
    uint8_t filetype;
    uint8_t pad0;
    uint16_t flags;
    uint32_t pad1;
    uint64_t rights_base, rights_inheriting;
};
struct wasi_filestat {
    uint64_t dev, ino;
    uint8_t filetype;
    uint8_t pad[7];
    uint64_t nlink, size, atim, mtim, ctim;
};
struct wasi_unstable_filestat {
    uint64_t dev, ino;
    uint8_t filetype;
    uint8_t pad[3];
    uint32_t nlink;
    uint64_t size, atim, mtim, ctim;
};
struct wasi_prestat {
    uint8_t type;
    uint8_t pad[3];
    uint32_t name_len;
};
struct wasi_dirent { /* followed by the name */
    uint64_t next, ino;
    uint32_t namlen;
    uint8_t type;
    uint8_t pad[3];
};
struct wasi_subscription {
    uint64_t userdata;
    uint8_t type;
    uint8_t pad0[7];
    union {
        struct {
            uint32_t id;
            uint32_t pad;
            uint64_t timeout, precision;
            uint16_t flags;
        } clock;
        uint32_t fd;
    } u;
};
struct wasi_unstable_subscription {
    uint64_t userdata;
    uint8_t type;
    uint8_t pad0[7];
    union {
        struct {
            uint64_t identifier;
            uint32_t id;
            uint32_t pad;
            uint64_t timeout, precision;
            uint16_t flags;
        } clock;
        uint32_t fd;
    } u;
};
struct wasi_event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type;
    uint8_t pad0[5];
    uint64_t nbytes;
    uint16_t flags;
    uint8_t pad1[6];
};
struct wasi_address {
    uint32_t data, size;
};
struct wasi_addrinfo { /* made by the guest; see wasi_sockets.h */
    uint16_t flags;
    uint8_t family, socktype;
    uint32_t protocol;
    uint32_t addr_len, addr;           /* a struct wasi_sockaddr */
    uint32_t canonname, canonname_len; /* room, and what is used of it; no NUL */
    uint32_t next;                     /* 0: none */
};
struct wasi_sockaddr {
    uint32_t family;
    uint32_t data_len, data; /* room for the port (2 bytes, network order) and the address */
};

_Static_assert(sizeof(struct wasi_addrinfo) == 28, "layout");
_Static_assert(sizeof(struct wasi_fdstat) == 24, "layout");
_Static_assert(sizeof(struct wasi_filestat) == 64, "layout");
_Static_assert(sizeof(struct wasi_unstable_filestat) == 56, "layout");
_Static_assert(sizeof(struct wasi_prestat) == 8, "layout");
_Static_assert(sizeof(struct wasi_dirent) == 24, "layout");
_Static_assert(sizeof(struct wasi_subscription) == 48, "layout");
_Static_assert(sizeof(struct wasi_unstable_subscription) == 56, "layout");
_Static_assert(sizeof(struct wasi_event) == 32, "layout");

#endif
