/* addr.h: network addresses and ranges of them, as values; parsing and printing. No I/O, no names.
 *
 * Text forms: 192.0.2.1, 2001:db8::1, [2001:db8::1]:443, 192.0.2.1:443, 10.0.0.0/8, unix:/run/x.sock. */
#ifndef AEON_BASE_ADDR_H
#define AEON_BASE_ADDR_H

#include "base/bytes.h"

enum addr_family { ADDR_NONE, ADDR_INET, ADDR_INET6, ADDR_UNIX };

enum { ADDR_MAX_PATH = 108 /* with the NUL */, ADDR_TEXT_MAX = 128 };

struct addr {
    enum addr_family family;
    uint16_t port;  /* host order; 0 for UNIX */
    uint32_t scope; /* INET6: zone of a link-local address, else 0 */
    union {
        uint8_t ip[16]; /* network order; INET: the first 4 */
        char path[ADDR_MAX_PATH];
    };
};

struct cidr {
    enum addr_family family; /* INET or INET6 */
    uint8_t bits;
    uint8_t ip[16]; /* bits beyond `bits` are 0 */
};

/* An address without a port, numeric only; false when `text` is none. Dotted quads are four decimal numbers without
 * leading zeros (no octal, hexadecimal or short forms); a zone is a number, on link-local and multicast addresses. */
bool addr_parse_ip(const char *text, struct addr *out);
/* ADDRESS:PORT, [V6]:PORT, or unix:PATH. */
bool addr_parse(const char *text, struct addr *out);
/* ADDRESS or ADDRESS/BITS; false when bits beyond are set. */
bool cidr_parse(const char *text, struct cidr *out);

/* Without the port; with it (a UNIX address as unix:PATH). Return `out`. */
const char *addr_print_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);
const char *addr_print(const struct addr *a, char out[ADDR_TEXT_MAX]);
const char *cidr_print(const struct cidr *c, char out[ADDR_TEXT_MAX]);

/* The same place in its plainest form: an IPv4 address dressed as IPv6 (mapped, ::a.b.c.d) as IPv4. Before any decision
 * about an address. */
struct addr addr_plain(const struct addr *a);

bool addr_equal_ip(const struct addr *a, const struct addr *b); /* family and bytes */
bool addr_equal(const struct addr *a, const struct addr *b);    /* and port; or the path */
bool cidr_contains(const struct cidr *c, const struct addr *a); /* of plain addresses */

/* What an address is for, of plain ones; from the IANA special-purpose registries. */
enum addr_scope {
    ADDR_GLOBAL,
    ADDR_UNSPECIFIED, /* 0.0.0.0/8, :: */
    ADDR_LOOPBACK,    /* 127/8, ::1 */
    ADDR_LINK_LOCAL,  /* 169.254/16 with the clouds' metadata services, fe80::/10 */
    ADDR_PRIVATE,     /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 (fd00:ec2::254 is a metadata service) */
    ADDR_MULTICAST,   /* 224/4, ff00::/8 */
    ADDR_RESERVED, /* 240/4 with broadcast, 192.0.0/24, 198.18/15, documentation, 64:ff9b::/96 (NAT64), 2002::/16, ...
                    */
};
enum addr_scope addr_scope(const struct addr *a);
/* Do all addresses of the range have this scope? */
bool cidr_within(const struct cidr *c, enum addr_scope s);
const char *addr_scope_text(enum addr_scope s); /* "loopback", ... */

#endif
