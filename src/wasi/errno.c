/* errno.c: the world's errors as WASI's. */
#include "wasi/internal.h"

#include <errno.h>

/* All names that both sides have. EWOULDBLOCK is EAGAIN and EOPNOTSUPP is ENOTSUP. */
// clang-format off
#define SAME(X) \
    X(2BIG) X(ACCES) X(ADDRINUSE) X(ADDRNOTAVAIL) X(AFNOSUPPORT) X(AGAIN) X(ALREADY) X(BADF) X(BADMSG) X(BUSY) \
    X(CANCELED) X(CHILD) X(CONNABORTED) X(CONNREFUSED) X(CONNRESET) X(DEADLK) X(DESTADDRREQ) X(DOM) X(DQUOT) X(EXIST) \
    X(FAULT) X(FBIG) X(HOSTUNREACH) X(IDRM) X(ILSEQ) X(INPROGRESS) X(INTR) X(INVAL) X(IO) X(ISCONN) X(ISDIR) X(LOOP) \
    X(MFILE) X(MLINK) X(MSGSIZE) X(MULTIHOP) X(NAMETOOLONG) X(NETDOWN) X(NETRESET) X(NETUNREACH) X(NFILE) X(NOBUFS) \
    X(NODEV) X(NOENT) X(NOEXEC) X(NOLCK) X(NOLINK) X(NOMEM) X(NOMSG) X(NOPROTOOPT) X(NOSPC) X(NOSYS) X(NOTCONN) \
    X(NOTDIR) X(NOTEMPTY) X(NOTRECOVERABLE) X(NOTSOCK) X(NOTSUP) X(NOTTY) X(NXIO) X(OVERFLOW) X(OWNERDEAD) X(PERM) \
    X(PIPE) X(PROTO) X(PROTONOSUPPORT) X(PROTOTYPE) X(RANGE) X(ROFS) X(SPIPE) X(SRCH) X(STALE) X(TIMEDOUT) X(TXTBSY) \
    X(XDEV)
// clang-format on

static const uint16_t table[] = {
#define X(name) [E##name] = WASI_E##name,
    SAME(X)
#undef X
        [EPFNOSUPPORT] = WASI_EAFNOSUPPORT,
    [ESOCKTNOSUPPORT] = WASI_EPROTOTYPE,
    [EHOSTDOWN] = WASI_EHOSTUNREACH,
    [ESHUTDOWN] = WASI_EPIPE,
};

uint16_t wasi_errno_of(int64_t negative) {
    switch (negative) {
    case NOTCAPABLE: return WASI_ENOTCAPABLE;
    case WORLD_NAME_UNKNOWN: return WASI_EAI_NONAME;
    case WORLD_NAME_AGAIN: return WASI_EAI_AGAIN;
    case WORLD_NAME_FAILED: return WASI_EAI_FAIL;
    case WORLD_NAME_SERVICE: return WASI_EAI_SERVICE;
    default: break;
    }
    uint64_t e = (uint64_t)-negative;
    uint16_t r = e < sizeof table / sizeof *table ? table[e] : 0;
    return r ? r : WASI_EIO;
}
