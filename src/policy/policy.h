/* policy.h: what an application may do with the network and which files and variables it gets, as rules; and the
 * decision about one attempt. Pure: no I/O, no clock of its own.
 *
 *     egress:                       # connections and datagrams that leave; first rule that matches decides; else
 * denied
 *       - deny: tcp
 *         to: 10.1.0.0/16
 *       - allow: tcp                # tcp, udp, any
 *         to: [api.example.org, "*.example.net", 10.0.0.0/8, "2001:db8::/32"]
 *         ports: [443, 8000-8999]   # default: all
 *         max-connections: 100      # open at a time through this rule
 *         rate: 10/s                # new ones: N/s, N/m, N/h
 *     ingress:                      # sockets bound on the machine's own addresses, and who may talk to them
 *       - allow: tcp
 *         on: 127.0.0.1             # addresses that may be bound
 *         ports: 8080
 *         from: 127.0.0.0/8         # default: everybody
 *     names: [example.org]          # may be looked up beside those of egress rules
 *     unix: [/run/postgres.sock]    # sockets of the machine that may be connected to
 *     files:
 *       - dir: ./data               # relative to the policy's directory
 *         as: /data
 *         mode: ro                  # ro, rw, overlay
 *         size: 100MiB
 *         count: 1000
 *     env: [LANG, APP_*]            # variables of aeon's own environment that are passed on
 *     tls:
 *       ca: [corp.pem]              # beside the system's
 *       servers: [{name: localhost, cert: s.pem, key: s.key}]
 *
 * What no rule reaches by being wide: addresses of loopback, link-local (with the metadata services), multicast,
 * reserved and unspecified scope, and private ones, match an address rule only if its range lies wholly within that
 * scope, and never match through a name (against DNS rebinding): a name's address in such a scope counts only when a
 * rule by address allows it too.  Addresses are made plain first (addr_plain); the unspecified address as a destination
 * is loopback. A wildcard *.example.org matches sub-domains of any depth, not example.org itself; names compare without
 * case and without a final dot. Names that look like addresses match no rule by name; nor does localhost. '*' stands
 * for every name. A deny rule is taken at its widest: by any range that holds the address, whatever its scope; binding
 * 0.0.0.0 or :: is binding every address that a deny rule may be about. */
#ifndef AEON_POLICY_POLICY_H
#define AEON_POLICY_POLICY_H

#include "base/addr.h"
#include "config/config.h"

enum policy_proto { POLICY_TCP, POLICY_UDP };

struct policy;

/* The policy that denies everything, and one from a file's text. `name` is the file's path as given: errors and
 * decisions quote it, and its directory is what the paths within are relative to. ST_INVALID, ST_MALFORMED name the
 * line. */
struct policy *policy_none(void);
NODISCARD enum status policy_parse(struct span text, const char *name, struct policy **out, struct err *e);
/* From a map within a larger document, which it borrows. */
NODISCARD enum status policy_read(struct config *c, const struct config_node *map, struct policy **out, struct err *e);
void policy_free(struct policy *p);

struct policy_decision {
    bool allowed;
    uint32_t rule;  /* of allowed connections (egress, ingress): what policy_count is to count; else UINT32_MAX */
    uint32_t line;  /* where the rule is written; 0: no rule matched */
    char text[256]; /* "allowed by net.yaml:4: allow tcp to *.example.net" or why not: "denied: no egress rule of
                       net.yaml matches" */
};

/* May it send to this address? `names`: names that were looked up and had this address among their answers (pins). */
void policy_egress(const struct policy *p, enum policy_proto proto, const struct addr *to, const char *const *names,
                   uint32_t nnames, struct policy_decision *out);
/* May this name be connected to at this port (as far as can be said before it is looked up; port 0: at any)? For
 * `check`. */
void policy_egress_name(const struct policy *p, enum policy_proto proto, const char *name, uint16_t port,
                        struct policy_decision *out);
/* May this name be looked up? Everything that an egress rule or `names` allows by name. */
void policy_lookup(const struct policy *p, const char *name, struct policy_decision *out);
/* May this address of the machine be bound? And may `from` talk to what is bound there? `on` is the address as it was
 * bound; port 0 (any that is free) is in no range of ports. */
void policy_bind(const struct policy *p, enum policy_proto proto, const struct addr *on, struct policy_decision *out);
void policy_ingress(const struct policy *p, enum policy_proto proto, const struct addr *on, const struct addr *from,
                    struct policy_decision *out);
void policy_unix(const struct policy *p, const char *path, struct policy_decision *out);
/* TLS for `host` on a connection to `to` whose pins are `names`: the host must be one of the pins, or the address
 * itself must be allowed by address and `host` by name or be the address. */
void policy_tls(const struct policy *p, const struct addr *to, const char *const *names, uint32_t nnames,
                const char *host, struct policy_decision *out);

/* Counting of max-connections and rate: takes one at `now_ns` from the rule of an allowed decision, or turns the
 * decision into a denial that says which bound was met. policy_uncount when it is closed. */
void policy_count(struct policy *p, struct policy_decision *d, uint64_t now_ns);
void policy_uncount(struct policy *p, uint32_t rule);

/* One line such as "tcp api.example.org:443", "udp 10.0.0.1:53", "name example.org", "bind tcp 127.0.0.1:8080",
 * "accept tcp 127.0.0.1:8080 from 127.0.0.1", "unix /run/x.sock", "env HOME": the decision about it. ST_INVALID says
 * what forms there are. */
NODISCARD enum status policy_check(const struct policy *p, const char *attempt, struct policy_decision *out,
                                   struct err *e);

/* The whole of it as understood, a sentence each: "allow tcp to *.example.net ports 443, 8000-8999". `section` is the
 * key of the file. */
void policy_show(const struct policy *p,
                 void (*each)(void *ctx, const char *section, uint32_t line, const char *sentence), void *ctx);

/* Does any rule concern the network at all? (For hints.) */
bool policy_has_network(const struct policy *p);

/* ---- grants ---- */

enum policy_mode { POLICY_RO, POLICY_RW, POLICY_OVERLAY };
struct policy_dir {
    const char *host, *guest;
    enum policy_mode mode;
    uint64_t size_bytes, count; /* quotas; 0: none */
    uint32_t line;
};
uint32_t policy_ndirs(const struct policy *p);
const struct policy_dir *policy_dir(const struct policy *p, uint32_t i);
bool policy_env(const struct policy *p, const char *name);

struct policy_server {
    const char *name, *cert, *key; /* files in PEM */
};
uint32_t policy_nservers(const struct policy *p);
const struct policy_server *policy_server(const struct policy *p, uint32_t i);
const struct config_texts *policy_cas(const struct policy *p);

/* The text it was read from (for the record), or "". */
struct span policy_text(const struct policy *p);

#endif
