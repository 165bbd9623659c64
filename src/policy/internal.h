/* internal.h: a policy as it is read (read.c) and as decisions look at it (decide.c). */
#ifndef AEON_POLICY_INTERNAL_H
#define AEON_POLICY_INTERNAL_H

#include "policy/policy.h"

/* ---- the one form of names and paths (host.c) ---- */

enum { HOST_MAX = 254 /* with the NUL */ };

/* The one form of a host name: small letters, no final dot. False for what is none: bad characters or lengths, and
 * what a resolver somewhere might read as an address (its last label is a number, be it decimal, octal or hexadecimal).
 * `why`, if not NULL, says what is wrong. */
bool host_normal(const char *text, char out[HOST_MAX], const char **why);

/* localhost and all below it: loopback by definition, so no rule by name is about it. Of a normal name. */
bool host_is_local(const char *name);

/* Whole, and with neither empty parts nor '.' nor '..': /run/x.sock. */
bool path_is_plain(const char *path);

/* ---- rules ---- */

struct target {
    enum { TARGET_RANGE, TARGET_NAME, TARGET_BELOW, TARGET_ANY_NAME } kind;
    struct cidr range;
    const char *name; /* normal; of TARGET_BELOW what stands behind "*." */
    uint32_t line;
};

struct port_range {
    uint16_t first, last;
};

struct rule {
    uint32_t line;
    bool allow;
    bool ingress;
    uint8_t protos;            /* bits 1 << enum policy_proto */
    const struct target *to;   /* of ingress: on, ranges only. None: everything (of deny rules) */
    const struct target *from; /* ranges only. None: everybody */
    const struct port_range *ports;
    uint32_t nto, nfrom, nports; /* no ports: all */
    uint64_t most_open;          /* 0: no bound */
    uint32_t rate;               /* new ones in any span of rate_ns; 0: no bound */
    uint64_t rate_ns;

    uint64_t open;
    uint64_t newest_ns;
    uint64_t *recent; /* when the last `rate` ones were let in: a ring, from `oldest` */
    uint32_t oldest, nrecent;
};

struct rules {
    struct rule *items;
    uint32_t n;
};
struct targets {
    const struct target *items;
    uint32_t n;
};
struct entry {
    const char *text;
    uint32_t line;
};
struct entries {
    const struct entry *items;
    uint32_t n;
};

struct policy {
    struct config config; /* of policy_parse */
    bool owns_config;
    const char *name; /* the file's; NULL: policy_none */
    struct span text;
    struct rules egress, ingress; /* a rule's number counts through both */
    struct targets names;
    struct entries unix_paths, env;
    const struct policy_dir *dirs;
    const struct policy_server *servers;
    uint32_t ndirs, nservers, tls_line;
    struct config_texts cas;
};

/* ---- sentences (decide.c) ---- */

const char *target_text(const struct target *t, char out[HOST_MAX + 2]);
const char *proto_text(uint8_t protos);

/* May this variable be passed on? */
void decide_env(const struct policy *p, const char *name, struct policy_decision *out);

#endif
