/* lookup.c: the addresses of a name. */
#include "wasi/internal.h"

#include <errno.h>

enum { FOUND_BYTES = WORLD_MAX_FOUND * (int)sizeof(struct abi_found) + WORLD_MAX_NAME };

/* A name without the NULs at its end; false when it is too long or has others. */
static bool take_name(struct abi_mem mem, char out[WORLD_MAX_NAME]) {
    uint32_t n = mem.size;
    while (n && mem.data[n - 1] == '\0')
        n--;
    if (n >= WORLD_MAX_NAME || (n && memchr(mem.data, '\0', n)))
        return false;
    memcpy(out, mem.data, n);
    out[n] = '\0';
    return true;
}

/* WASI_EAI_..., or 0. */
static uint16_t take_hints(struct abi_mem mem, bool named, struct world_query *q, uint16_t *flags) {
    const uint16_t known = WASI_AI_PASSIVE | WASI_AI_CANONNAME | WASI_AI_NUMERICHOST | WASI_AI_NUMERICSERV |
                           WASI_AI_V4MAPPED | WASI_AI_ALL | WASI_AI_ADDRCONFIG;
    struct wasi_addrinfo h;
    memcpy(&h, mem.data, sizeof h);
    const uint8_t protocol = (uint8_t)h.protocol; /* some guests have a byte there, and whatever behind it */
    if (h.flags & ~known || (h.flags & WASI_AI_CANONNAME && !named))
        return WASI_EAI_BADFLAGS;
    if (h.family > WASI_FAMILY_INET6)
        return WASI_EAI_FAMILY;
    if (h.socktype > WASI_SOCKTYPE_STREAM || protocol > WASI_IPPROTO_UDP ||
        (protocol == WASI_IPPROTO_TCP && h.socktype == WASI_SOCKTYPE_DGRAM) ||
        (protocol == WASI_IPPROTO_UDP && h.socktype == WASI_SOCKTYPE_STREAM))
        return WASI_EAI_SOCKTYPE;
    *flags = h.flags;
    q->family = h.family == WASI_FAMILY_INET ? ADDR_INET : h.family == WASI_FAMILY_INET6 ? ADDR_INET6 : ADDR_NONE;
    if (h.socktype == WASI_SOCKTYPE_STREAM || protocol == WASI_IPPROTO_TCP)
        q->type = WORLD_STREAM;
    else if (h.socktype == WASI_SOCKTYPE_DGRAM || protocol == WASI_IPPROTO_UDP)
        q->type = WORLD_DGRAM;
    q->passive = h.flags & WASI_AI_PASSIVE;
    q->numeric_host = h.flags & WASI_AI_NUMERICHOST;
    q->numeric_service = h.flags & WASI_AI_NUMERICSERV;
    q->canonical = h.flags & WASI_AI_CANONNAME;
    return 0;
}

/* IPv4 addresses dressed as IPv6, for a program that asked for nothing else and said so. */
static int mapped(struct wasi *w, struct world_query q, struct world_found *out, int max, char *canonical) {
    q.family = ADDR_INET;
    int n = OP(w, resolve, &q, out, max, canonical);
    for (int i = 0; i < n; i++) {
        uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
        memcpy(ip + 12, out[i].addr.ip, 4);
        memcpy(out[i].addr.ip, ip, 16);
        out[i].addr.family = ADDR_INET6;
    }
    return n;
}

static uint32_t put_found(uint8_t *to, const struct world_found *found, int n, const char *canonical) {
    uint32_t size = 0;
    for (int i = 0; i < n; i++) {
        const struct addr *a = &found[i].addr;
        const bool stream = found[i].type != WORLD_DGRAM;
        const size_t name = i == 0 ? strlen(canonical) : 0;
        if (a->family != ADDR_INET && a->family != ADDR_INET6)
            continue;
        struct abi_found f = {
            .family = a->family == ADDR_INET ? WASI_FAMILY_INET : WASI_FAMILY_INET6,
            .socktype = stream ? WASI_SOCKTYPE_STREAM : WASI_SOCKTYPE_DGRAM,
            .protocol = stream ? WASI_IPPROTO_TCP : WASI_IPPROTO_UDP,
            .name_size = (uint8_t)name,
            .port = a->port,
        };
        memcpy(f.ip, a->ip, a->family == ADDR_INET ? 4 : 16);
        memcpy(to + size, &f, sizeof f);
        size += sizeof f;
        memcpy(to + size, canonical, name);
        size += (uint32_t)name;
    }
    return size;
}

int64_t wasi_sock_getaddrinfo(struct wasi *w, struct abi_sock_getaddrinfo *a) {
    char name[WORLD_MAX_NAME], service[WORLD_MAX_NAME], canonical[WORLD_MAX_NAME] = "";
    struct world_found found[WORLD_MAX_FOUND];
    struct world_query q = {.name = name};
    uint16_t flags;
    if (!take_name(a->name, name) || !take_name(a->service, service) || (!*name && !*service))
        return WASI_EAI_NONAME;
    uint16_t bad = take_hints(a->hints, *name, &q, &flags);
    if (bad)
        return bad;
    q.service = *service ? service : NULL;
    char *wanted = q.canonical ? canonical : NULL;
    int n = OP(w, resolve, &q, found, WORLD_MAX_FOUND, wanted);
    if (n == WORLD_NAME_UNKNOWN && q.family == ADDR_INET6 && flags & WASI_AI_V4MAPPED)
        n = mapped(w, q, found, WORLD_MAX_FOUND, wanted);
    if (n < 0)
        return wasi_answer(n);
    canonical[WORLD_MAX_NAME - 1] = '\0';
    if (!w->found)
        w->found = mem_alloc(FOUND_BYTES);
    a->found = (struct abi_mem){w->found, put_found(w->found, found, n, canonical)};
    return 0;
}
