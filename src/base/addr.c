#include "base/addr.h"

#include "base/must.h"

#include <stdio.h>

/* ---- parsing ---- */

/* A decimal number of [p, end) without leading zeros, at most `most`; NULL when there is none, else its end. */
static const char *read_decimal(const char *p, const char *end, uint64_t most, uint64_t *out) {
    const char *start = p;
    uint64_t v = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (p > start && v == 0)
            return NULL;
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > most)
            return NULL;
    }
    *out = v;
    return p > start ? p : NULL;
}

static bool parse_quad(const char *p, const char *end, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        uint64_t v;
        if (i && (p == end || *p++ != '.'))
            return false;
        p = read_decimal(p, end, 255, &v);
        if (!p)
            return false;
        out[i] = (uint8_t)v;
    }
    return p == end;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Groups of [p, end), which may end in a dotted quad; `gap` is where "::" stood, in bytes, or -1. */
static bool parse_groups(const char *p, const char *end, uint8_t out[16]) {
    int n = 0, gap = -1;
    memset(out, 0, 16);
    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end) {
        const char *start = p;
        unsigned v = 0;
        if (n == 16)
            return false;
        for (; p < end && hex_digit(*p) >= 0; p++)
            v = v << 4 | (unsigned)hex_digit(*p);
        if (p < end && *p == '.') {
            if (n > 12 || !parse_quad(start, end, out + n))
                return false;
            n += 4;
            break;
        }
        if (p == start || p - start > 4)
            return false;
        out[n++] = (uint8_t)(v >> 8);
        out[n++] = (uint8_t)v;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap >= 0)
                return false;
            gap = n;
            p++;
        }
    }
    if (gap < 0)
        return n == 16;
    if (n == 16) /* "::" stands for a group at least */
        return false;
    memmove(out + 16 - (n - gap), out + gap, (size_t)(n - gap));
    memset(out + gap, 0, (size_t)(16 - n));
    return true;
}

/* A zone means something where an address says nothing of its link: fe80::/10 and multicast. */
static bool takes_zone(const uint8_t ip[16]) {
    return ip[0] == 0xff || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}

static bool parse_ip(const char *text, const char *end, struct addr *out) {
    struct addr a = {.family = ADDR_INET};
    if (!memchr(text, ':', (size_t)(end - text))) {
        if (!parse_quad(text, end, a.ip))
            return false;
        *out = a;
        return true;
    }
    const char *zone = memchr(text, '%', (size_t)(end - text));
    a.family = ADDR_INET6;
    if (!parse_groups(text, zone ? zone : end, a.ip))
        return false;
    if (zone) {
        uint64_t v;
        if (read_decimal(zone + 1, end, UINT32_MAX, &v) != end || v == 0 || !takes_zone(a.ip))
            return false;
        a.scope = (uint32_t)v;
    }
    *out = a;
    return true;
}

bool addr_parse_ip(const char *text, struct addr *out) {
    return parse_ip(text, text + strlen(text), out);
}

bool addr_parse(const char *text, struct addr *out) {
    struct addr a;
    uint64_t port;
    if (!strncmp(text, "unix:", 5)) {
        size_t n = strlen(text + 5);
        if (n == 0 || n >= ADDR_MAX_PATH)
            return false;
        a = (struct addr){.family = ADDR_UNIX};
        memcpy(a.path, text + 5, n + 1);
        *out = a;
        return true;
    }
    const char *colon = strrchr(text, ':'), *end = text + strlen(text);
    if (!colon || colon == text)
        return false;
    bool bracket = *text == '[';
    if (bracket != (colon[-1] == ']') || (!bracket && memchr(text, ':', (size_t)(colon - text))))
        return false;
    if (!parse_ip(text + bracket, colon - bracket, &a) || (bracket && a.family != ADDR_INET6))
        return false;
    if (read_decimal(colon + 1, end, UINT16_MAX, &port) != end)
        return false;
    a.port = (uint16_t)port;
    *out = a;
    return true;
}

/* ---- ranges ---- */

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned whole = bits / 8, rest = bits % 8;
    return !memcmp(a, b, whole) && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

bool cidr_parse(const char *text, struct cidr *out) {
    const char *slash = strchr(text, '/'), *end = text + strlen(text);
    static const uint8_t zeros[16];
    struct addr a;
    if (!parse_ip(text, slash ? slash : end, &a) || a.scope)
        return false;
    unsigned width = a.family == ADDR_INET ? 32 : 128;
    uint64_t bits = width;
    if (slash && read_decimal(slash + 1, end, width, &bits) != end)
        return false;
    struct cidr c = {.family = a.family, .bits = (uint8_t)bits};
    memcpy(c.ip, a.ip, width / 8);
    for (unsigned i = (unsigned)bits; i < width; i++)
        if (c.ip[i / 8] & (0x80 >> i % 8))
            return false;
    must(!memcmp(c.ip + width / 8, zeros, 16 - width / 8));
    *out = c;
    return true;
}

bool cidr_contains(const struct cidr *c, const struct addr *a) {
    return c->family == a->family && (a->family == ADDR_INET || a->family == ADDR_INET6) &&
           prefix_equal(c->ip, a->ip, c->bits);
}

/* ---- printing ---- */

static bool is_mapped(const uint8_t ip[16]) {
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return !memcmp(ip, prefix, sizeof prefix);
}

static int print_quad(const uint8_t ip[4], char *out, size_t room) {
    return snprintf(out, room, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

/* As RFC 5952 asks: small letters, the first of the longest runs of two or more zero groups as "::". */
static int print_groups(const uint8_t ip[16], char *out, size_t room) {
    unsigned best = 8, most = 1;
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
            n++;
        if (n > most) {
            best = i;
            most = n;
        }
    }
    int n = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (i == best) {
            n += snprintf(out + n, room - (size_t)n, "::");
            i += most - 1;
            continue;
        }
        bool colon = i && i != best + most;
        unsigned v = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
        n += snprintf(out + n, room - (size_t)n, "%s%x", colon ? ":" : "", v);
    }
    return n;
}

static int print_bytes(enum addr_family family, const uint8_t *ip, char *out, size_t room) {
    if (family == ADDR_INET)
        return print_quad(ip, out, room);
    if (!is_mapped(ip))
        return print_groups(ip, out, room);
    int n = snprintf(out, room, "::ffff:");
    return n + print_quad(ip + 12, out + n, room - (size_t)n);
}

const char *addr_print_ip(const struct addr *a, char out[ADDR_TEXT_MAX]) {
    if (a->family == ADDR_NONE) {
        snprintf(out, ADDR_TEXT_MAX, "none");
    } else if (a->family == ADDR_UNIX) {
        snprintf(out, ADDR_TEXT_MAX, "unix:%s", a->path);
    } else {
        int n = print_bytes(a->family, a->ip, out, ADDR_TEXT_MAX);
        if (a->family == ADDR_INET6 && a->scope)
            snprintf(out + n, ADDR_TEXT_MAX - (size_t)n, "%%%u", a->scope);
    }
    return out;
}

const char *addr_print(const struct addr *a, char out[ADDR_TEXT_MAX]) {
    char ip[ADDR_TEXT_MAX];
    addr_print_ip(a, ip);
    if (a->family == ADDR_INET)
        snprintf(out, ADDR_TEXT_MAX, "%.*s:%u", ADDR_TEXT_MAX - 8, ip, a->port);
    else if (a->family == ADDR_INET6)
        snprintf(out, ADDR_TEXT_MAX, "[%.*s]:%u", ADDR_TEXT_MAX - 10, ip, a->port);
    else
        snprintf(out, ADDR_TEXT_MAX, "%s", ip);
    return out;
}

const char *cidr_print(const struct cidr *c, char out[ADDR_TEXT_MAX]) {
    int n = print_bytes(c->family, c->ip, out, ADDR_TEXT_MAX);
    if (c->bits != (c->family == ADDR_INET ? 32 : 128))
        snprintf(out + n, ADDR_TEXT_MAX - (size_t)n, "/%u", c->bits);
    return out;
}

/* ---- comparing ---- */

struct addr addr_plain(const struct addr *a) {
    static const uint8_t zeros[15];
    if (a->family != ADDR_INET6)
        return *a;
    bool compatible = !memcmp(a->ip, zeros, 12) && !(!memcmp(a->ip, zeros, 15) && a->ip[15] <= 1);
    if (!compatible && !is_mapped(a->ip))
        return *a;
    struct addr v4 = {.family = ADDR_INET, .port = a->port};
    memcpy(v4.ip, a->ip + 12, 4);
    return v4;
}

bool addr_equal_ip(const struct addr *a, const struct addr *b) {
    if (a->family != b->family)
        return false;
    switch (a->family) {
    case ADDR_INET: return !memcmp(a->ip, b->ip, 4);
    case ADDR_INET6: return !memcmp(a->ip, b->ip, 16);
    case ADDR_UNIX: return !strcmp(a->path, b->path);
    case ADDR_NONE: break;
    }
    return true;
}

bool addr_equal(const struct addr *a, const struct addr *b) {
    return addr_equal_ip(a, b) && (a->family == ADDR_UNIX || a->port == b->port);
}

/* ---- scopes ---- */

/* From the IANA special-purpose address registries and the multicast and IPv6 address space registries. The first row
 * that holds an address says its scope; what none holds is global. */
static const struct scope_row {
    struct cidr range;
    enum addr_scope scope;
} scopes[] = {
#define V4(a, b, c, d, bits, scope)       {{ADDR_INET, bits, {a, b, c, d}}, scope}
#define V6(a, b, c, d, e, f, bits, scope) {{ADDR_INET6, bits, {a, b, c, d, e, f}}, scope}
    V4(0, 0, 0, 0, 8, ADDR_UNSPECIFIED),
    V4(127, 0, 0, 0, 8, ADDR_LOOPBACK),
    V4(169, 254, 0, 0, 16, ADDR_LINK_LOCAL),
    /* Azure's host service: a global number that is only ever the machine's own host, as 169.254.169.254 is elsewhere.
     */
    V4(168, 63, 129, 16, 32, ADDR_LINK_LOCAL),
    V4(10, 0, 0, 0, 8, ADDR_PRIVATE),
    V4(172, 16, 0, 0, 12, ADDR_PRIVATE),
    V4(192, 168, 0, 0, 16, ADDR_PRIVATE),
    V4(100, 64, 0, 0, 10, ADDR_PRIVATE),
    V4(224, 0, 0, 0, 4, ADDR_MULTICAST),
    V4(192, 0, 0, 0, 24, ADDR_RESERVED),    /* protocol assignments; Oracle's metadata service at .192 */
    V4(192, 0, 2, 0, 24, ADDR_RESERVED),    /* documentation */
    V4(198, 51, 100, 0, 24, ADDR_RESERVED), /* documentation */
    V4(203, 0, 113, 0, 24, ADDR_RESERVED),  /* documentation */
    V4(192, 88, 99, 0, 24, ADDR_RESERVED),  /* relays of 6to4, withdrawn */
    V4(198, 18, 0, 0, 15, ADDR_RESERVED),   /* benchmarks */
    V4(240, 0, 0, 0, 4, ADDR_RESERVED),     /* future use, broadcast */
    {{ADDR_INET6, 128, {0}}, ADDR_UNSPECIFIED},
    {{ADDR_INET6, 128, {[15] = 1}}, ADDR_LOOPBACK},
    V6(0xfe, 0x80, 0, 0, 0, 0, 10, ADDR_LINK_LOCAL),
    V6(0xfc, 0, 0, 0, 0, 0, 7, ADDR_PRIVATE),
    V6(0xff, 0, 0, 0, 0, 0, 8, ADDR_MULTICAST),
    V6(0x20, 0x01, 0, 0, 0, 0, 23, ADDR_RESERVED),       /* protocol assignments, Teredo, ORCHID */
    V6(0x20, 0x01, 0x0d, 0xb8, 0, 0, 32, ADDR_RESERVED), /* documentation */
    V6(0x3f, 0xff, 0, 0, 0, 0, 20, ADDR_RESERVED),       /* documentation */
    V6(0x20, 0x02, 0, 0, 0, 0, 16, ADDR_RESERVED),       /* 6to4: an IPv4 address within */
    /* Global unicast is 2000::/3. All the rest: NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard-only, site-local,
     * IPv4-translated, segment routing, and what was never given out. */
    V6(0x20, 0, 0, 0, 0, 0, 3, ADDR_GLOBAL),
    V6(0, 0, 0, 0, 0, 0, 0, ADDR_RESERVED),
#undef V4
#undef V6
};

enum addr_scope addr_scope(const struct addr *a) {
    struct addr plain = addr_plain(a);
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (cidr_contains(&scopes[i].range, &plain))
            return scopes[i].scope;
    return ADDR_GLOBAL;
}

bool cidr_within(const struct cidr *c, enum addr_scope s) {
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        const struct cidr *row = &scopes[i].range;
        if (row->family != c->family)
            continue;
        if (row->bits <= c->bits && prefix_equal(row->ip, c->ip, row->bits))
            return scopes[i].scope == s;
        if (row->bits > c->bits && prefix_equal(row->ip, c->ip, c->bits) && scopes[i].scope != s)
            return false;
    }
    return s == ADDR_GLOBAL;
}

const char *addr_scope_text(enum addr_scope s) {
    static const char *const texts[] = {
        [ADDR_GLOBAL] = "global",         [ADDR_UNSPECIFIED] = "unspecified", [ADDR_LOOPBACK] = "loopback",
        [ADDR_LINK_LOCAL] = "link-local", [ADDR_PRIVATE] = "private",         [ADDR_MULTICAST] = "multicast",
        [ADDR_RESERVED] = "reserved",
    };
    must((unsigned)s < sizeof texts / sizeof *texts);
    return texts[s];
}
