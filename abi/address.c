/* address.c: socket addresses and looked-up names as bytes. */
#include "abi/abi.h"

static bool with_family(struct span bytes, struct addr *out) {
    const uint8_t *p = bytes.data + 2;
    const size_t n = bytes.size - 2;
    switch (get_u16(bytes.data)) {
    case WASI_FAMILY_INET:
        out->family = ADDR_INET;
        memcpy(out->ip, p, n < 4 ? 0 : 4);
        return n >= 4;
    case WASI_FAMILY_INET6:
        out->family = ADDR_INET6;
        memcpy(out->ip, p, n < 16 ? 0 : 16);
        return n >= 16;
    case WASI_FAMILY_UNIX: {
        size_t length = strnlen((const char *)p, n);
        if (length >= ADDR_MAX_PATH)
            return false;
        out->family = ADDR_UNIX;
        memcpy(out->path, p, length);
        return true;
    }
    default: return false;
    }
}

bool abi_addr_read(struct span bytes, uint32_t port, struct addr *out) {
    *out = (struct addr){0};
    if (port > UINT16_MAX || bytes.size < 2)
        return false;
    out->port = (uint16_t)port;
    if (bytes.size != 4 && bytes.size != 16)
        return with_family(bytes, out);
    out->family = bytes.size == 4 ? ADDR_INET : ADDR_INET6;
    memcpy(out->ip, bytes.data, bytes.size);
    return true;
}

bool abi_addr_write(const struct addr *a, struct abi_mem *room) {
    static const uint16_t families[] = {
        [ADDR_NONE] = WASI_FAMILY_UNSPEC,
        [ADDR_INET] = WASI_FAMILY_INET,
        [ADDR_INET6] = WASI_FAMILY_INET6,
        [ADDR_UNIX] = WASI_FAMILY_UNIX,
    };
    const bool raw = room->size == 4 || room->size == 16;
    uint32_t n = a->family == ADDR_INET ? 4 : a->family == ADDR_INET6 ? 16 : 0;
    if (a->family == ADDR_UNIX)
        n = (uint32_t)strlen(a->path) + 1;
    const bool looks_raw = a->family == ADDR_UNIX && (n + 2 == 4 || n + 2 == 16); /* one NUL more tells them apart */
    n += looks_raw;
    if (raw ? n > room->size || a->family == ADDR_UNIX : 2 + n > room->size)
        return false;
    if (!raw) {
        room->data[0] = (uint8_t)families[a->family];
        room->data[1] = 0;
    }
    uint8_t *to = room->data + (raw ? 0 : 2);
    if (a->family == ADDR_UNIX) {
        memset(to, 0, n);
        memcpy(to, a->path, strlen(a->path));
    } else if (n) {
        memcpy(to, a->ip, n);
    }
    room->size = n + (raw ? 0 : 2);
    return true;
}

const struct abi_found *abi_found_next(struct span *bytes, struct abi_found *out, struct span *name) {
    if (bytes->size < sizeof *out)
        return NULL;
    memcpy(out, bytes->data, sizeof *out);
    if (bytes->size - sizeof *out < out->name_size)
        return NULL;
    *name = SPAN(bytes->data + sizeof *out, out->name_size);
    bytes->data += sizeof *out + out->name_size;
    bytes->size -= sizeof *out + out->name_size;
    return out;
}
