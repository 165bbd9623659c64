/* resolve.c: looking up names, with the system's own resolver. */
#include "world/os/internal.h"

#include "base/must.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int failure(int eai, int error) {
    switch (eai) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return WORLD_NAME_UNKNOWN;
    case EAI_AGAIN: return WORLD_NAME_AGAIN;
    case EAI_SERVICE: return WORLD_NAME_SERVICE;
    case EAI_FAMILY: return -EAFNOSUPPORT;
    case EAI_SOCKTYPE: return -ESOCKTNOSUPPORT;
    case EAI_BADFLAGS: return -EINVAL;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return error ? -error : WORLD_NAME_FAILED;
    default: return WORLD_NAME_FAILED;
    }
}

/* A port or a name that getaddrinfo would understand as we do: it also takes numbers with signs and spaces in front,
 * and those that are too large for a port. */
static bool service_is_plain(const char *s, bool numeric) {
    if (!isdigit((unsigned char)*s))
        return !numeric && isalpha((unsigned char)*s);
    char *end;
    unsigned long port = strtoul(s, &end, 10);
    return *end ? !numeric : port <= UINT16_MAX; /* 3com-tsmux is a name */
}

static bool has(const struct world_found *found, int n, const struct world_found *f) {
    for (int i = 0; i < n; i++)
        if (found[i].type == f->type && memcmp(&found[i].addr, &f->addr, sizeof f->addr) == 0)
            return true;
    return false;
}

/* Addresses in the order they come in, each type of socket for each; raw sockets are not ours. */
static int collect(const struct addrinfo *list, struct world_found *out, int max) {
    int n = 0;
    for (const struct addrinfo *i = list; i && n < max; i = i->ai_next) {
        struct world_found f;
        memset(&f, 0, sizeof f);
        f.type = i->ai_socktype == SOCK_STREAM ? WORLD_STREAM : WORLD_DGRAM;
        if ((i->ai_socktype == SOCK_STREAM || i->ai_socktype == SOCK_DGRAM) &&
            os_address(i->ai_addr, i->ai_addrlen, &f.addr) && !has(out, n, &f))
            out[n++] = f;
    }
    return n;
}

int os_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max, char *canonical) {
    (void)w;
    const char *name = q->name && *q->name ? q->name : NULL;
    const char *service = q->service && *q->service ? q->service : "0";
    if (max <= 0)
        return -EINVAL;
    if (q->family != ADDR_NONE && q->family != ADDR_INET && q->family != ADDR_INET6)
        return -EAFNOSUPPORT;
    if (!service_is_plain(service, q->numeric_service))
        return WORLD_NAME_SERVICE;
    bool want_canonical = q->canonical && name;
    struct addrinfo hints = {
        .ai_family = q->family == ADDR_INET    ? AF_INET
                     : q->family == ADDR_INET6 ? AF_INET6
                                               : AF_UNSPEC,
        .ai_socktype = q->type == WORLD_STREAM  ? SOCK_STREAM
                       : q->type == WORLD_DGRAM ? SOCK_DGRAM
                                                : 0,
        .ai_flags = (q->passive ? AI_PASSIVE : 0) | (q->numeric_host ? AI_NUMERICHOST : 0) |
                    (q->numeric_service ? AI_NUMERICSERV : 0) | (want_canonical ? AI_CANONNAME : 0),
    };
    struct addrinfo *list = NULL;
    errno = 0;
    int r = getaddrinfo(name, service, &hints, &list);
    if (r != 0)
        return failure(r, errno);
    int n = collect(list, out, max);
    if (n > 0 && canonical)
        snprintf(canonical, WORLD_MAX_NAME, "%s", list->ai_canonname ? list->ai_canonname : "");
    freeaddrinfo(list);
    return n > 0 ? n : WORLD_NAME_UNKNOWN;
}
