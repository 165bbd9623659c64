/* Decisions: the first rule that matches, and the sentence about it. */
#include "policy/internal.h"

#include "base/buf.h"
#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- sentences ---- */

enum { NAME_SHOWN = 100 };

/* The file's name, of a very long one the end. */
static const char *file_name(const struct policy *p) {
    size_t n = strlen(p->name);
    return n > NAME_SHOWN ? p->name + n - NAME_SHOWN : p->name;
}

static void decide(struct policy_decision *d, bool allowed, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void decide(struct policy_decision *d, bool allowed, uint32_t line, const char *fmt, ...) {
    va_list ap;
    d->allowed = allowed;
    d->rule = UINT32_MAX;
    d->line = line;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
}

/* No rule: `what` would have allowed it. */
static void deny_unmatched(const struct policy *p, struct policy_decision *d, const char *what) {
    if (p->name)
        decide(d, false, 0, "denied: no %s of %s matches", what, file_name(p));
    else
        decide(d, false, 0, "denied: there is no policy, and without one nothing is allowed");
}

const char *target_text(const struct target *t, char out[HOST_MAX + 2]) {
    char range[ADDR_TEXT_MAX];
    switch (t->kind) {
    case TARGET_RANGE: snprintf(out, HOST_MAX + 2, "%s", cidr_print(&t->range, range)); break;
    case TARGET_NAME: snprintf(out, HOST_MAX + 2, "%s", t->name); break;
    case TARGET_BELOW: snprintf(out, HOST_MAX + 2, "*.%s", t->name); break;
    case TARGET_ANY_NAME: snprintf(out, HOST_MAX + 2, "*"); break;
    }
    return out;
}

const char *proto_text(uint8_t protos) {
    switch (protos) {
    case 1 << POLICY_TCP: return "tcp";
    case 1 << POLICY_UDP: return "udp";
    default: return "any";
    }
}

/* What of a rule matched. */
struct match {
    const struct target *to, *from; /* NULL: the rule has none */
    const struct port_range *ports; /* likewise */
};

static uint32_t rule_number(const struct policy *p, const struct rule *r) {
    return r->ingress ? p->egress.n + (uint32_t)(r - p->ingress.items) : (uint32_t)(r - p->egress.items);
}

static void print_ports(struct buf *b, const struct port_range *r) {
    buf_print(b, "%u", r->first);
    if (r->last != r->first)
        buf_print(b, "-%u", r->last);
}

/* The rule as far as it matched: "allow tcp to *.example.net port 443". */
static void print_match(struct buf *b, const struct rule *r, const struct match *m) {
    char text[HOST_MAX + 2];
    buf_print(b, "%s %s", r->allow ? "allow" : "deny", proto_text(r->protos));
    if (m->to)
        buf_print(b, " %s %s", r->ingress ? "on" : "to", target_text(m->to, text));
    if (m->ports) {
        buf_print(b, " port%s ", m->ports->first == m->ports->last ? "" : "s");
        print_ports(b, m->ports);
    }
    if (m->from)
        buf_print(b, " from %s", target_text(m->from, text));
}

static void decide_by_rule(const struct policy *p, struct policy_decision *d, const struct rule *r,
                           const struct match *m) {
    struct buf b;
    buf_init(&b, 1024);
    print_match(&b, r, m);
    decide(d, r->allow, r->line, "%s by %s:%u: %s", r->allow ? "allowed" : "denied", file_name(p), r->line,
           buf_cstr(&b));
    buf_deinit(&b);
}

/* ---- matching ---- */

static bool takes_proto(const struct rule *r, enum policy_proto proto) {
    return r->protos & 1u << proto;
}

/* Port 0, of a socket whose port the system chooses, is in no range. */
static bool takes_port(const struct rule *r, uint16_t port, struct match *m) {
    m->ports = NULL;
    if (!r->nports)
        return true;
    for (uint32_t i = 0; i < r->nports; i++) {
        if (port >= r->ports[i].first && port <= r->ports[i].last) {
            m->ports = &r->ports[i];
            return true;
        }
    }
    return false;
}

static bool takes_name(const struct target *t, const char *name) {
    size_t n, nbase;
    if (host_is_local(name))
        return false;
    switch (t->kind) {
    case TARGET_NAME: return !strcmp(t->name, name);
    case TARGET_BELOW:
        n = strlen(name);
        nbase = strlen(t->name);
        return n > nbase + 1 && name[n - nbase - 1] == '.' && !strcmp(name + n - nbase, t->name);
    case TARGET_ANY_NAME: return true;
    case TARGET_RANGE: break;
    }
    return false;
}

static bool takes_some_name(const struct target *t, const char *const *names, uint32_t nnames) {
    char name[HOST_MAX];
    if (t->kind == TARGET_RANGE)
        return false;
    for (uint32_t i = 0; i < nnames; i++)
        if (host_normal(names[i], name, NULL) && takes_name(t, name))
            return true;
    return false;
}

static bool takes_address(const struct target *t, const struct addr *a) {
    return t->kind == TARGET_RANGE && cidr_contains(&t->range, a);
}

/* May an allow rule's range reach an address of this scope? It must be meant, not just wide. */
static bool is_meant(const struct target *t, enum addr_scope scope) {
    return scope == ADDR_GLOBAL || (t->kind == TARGET_RANGE && cidr_within(&t->range, scope));
}

/* ---- egress ---- */

/* An allow rule that matched but for the scope of the address: the reason for most surprises. */
struct near_miss {
    const struct rule *rule;
    const struct target *target;
};

static bool egress_matches(const struct rule *r, const struct addr *a, enum addr_scope scope, const char *const *names,
                           uint32_t nnames, struct match *m, struct near_miss *near_miss) {
    m->to = m->from = NULL;
    if (!r->nto)
        return true;
    for (uint32_t i = 0; i < r->nto; i++) {
        const struct target *t = &r->to[i];
        if (!takes_address(t, a) && !takes_some_name(t, names, nnames))
            continue;
        if (r->allow && !is_meant(t, scope)) {
            if (!near_miss->rule)
                *near_miss = (struct near_miss){r, t};
            continue;
        }
        m->to = t;
        return true;
    }
    return false;
}

static void deny_egress(const struct policy *p, const struct addr *a, enum addr_scope scope,
                        const struct near_miss *near_miss, struct policy_decision *d) {
    char ip[ADDR_TEXT_MAX], text[HOST_MAX + 2];
    if (!near_miss->rule) {
        deny_unmatched(p, d, "egress rule");
        return;
    }
    addr_print_ip(a, ip);
    target_text(near_miss->target, text);
    if (near_miss->target->kind == TARGET_RANGE)
        decide(d, false, 0, "denied: %s is %s, which %s (%s:%u) is too wide to reach", ip, addr_scope_text(scope), text,
               file_name(p), near_miss->rule->line);
    else
        decide(d, false, 0, "denied: %s is %s, which a name (%s:%u: %.60s) does not reach", ip, addr_scope_text(scope),
               file_name(p), near_miss->rule->line, text);
}

/* The unspecified address as a destination is this machine. */
static void to_loopback(struct addr *a) {
    static const uint8_t zeros[16];
    if (a->family == ADDR_INET && !memcmp(a->ip, zeros, 4)) {
        a->ip[0] = 127;
        a->ip[3] = 1;
    } else if (a->family == ADDR_INET6 && !memcmp(a->ip, zeros, 16)) {
        a->ip[15] = 1;
    }
}

void policy_egress(const struct policy *p, enum policy_proto proto, const struct addr *to, const char *const *names,
                   uint32_t nnames, struct policy_decision *out) {
    struct near_miss near_miss = {0};
    if (to->family == ADDR_UNIX) {
        policy_unix(p, to->path, out);
        return;
    }
    if (to->family == ADDR_NONE) {
        decide(out, false, 0, "denied: no address");
        return;
    }
    if (to->port == 0) {
        decide(out, false, 0, "denied: port 0 is no destination");
        return;
    }
    struct addr a = addr_plain(to);
    to_loopback(&a);
    enum addr_scope scope = addr_scope(&a);
    for (uint32_t i = 0; i < p->egress.n; i++) {
        const struct rule *r = &p->egress.items[i];
        struct match m;
        if (takes_proto(r, proto) && takes_port(r, a.port, &m) &&
            egress_matches(r, &a, scope, names, nnames, &m, &near_miss)) {
            decide_by_rule(p, out, r, &m);
            if (r->allow)
                out->rule = rule_number(p, r);
            return;
        }
    }
    deny_egress(p, &a, scope, &near_miss, out);
}

/* A port that is not known (0): an allow rule may be about it, a deny rule must be about all. */
static bool takes_known_port(const struct rule *r, uint16_t port, struct match *m) {
    if (port)
        return takes_port(r, port, m);
    m->ports = r->nports == 1 ? r->ports : NULL;
    return r->allow || !r->nports;
}

/* Does the range hold an address that a name could lead to? */
static bool holds_global(const struct cidr *range) {
    for (enum addr_scope s = ADDR_GLOBAL + 1; s <= ADDR_RESERVED; s++)
        if (cidr_within(range, s))
            return false;
    return true;
}

static bool name_matches(const struct rule *r, const char *name, struct match *m, const struct rule **by_address) {
    m->to = m->from = NULL;
    if (!r->nto)
        return !host_is_local(name);
    for (uint32_t i = 0; i < r->nto; i++) {
        if (takes_name(&r->to[i], name)) {
            m->to = &r->to[i];
            return true;
        }
        if (!r->allow && !*by_address && r->to[i].kind == TARGET_RANGE && holds_global(&r->to[i].range))
            *by_address = r;
    }
    return false;
}

void policy_egress_name(const struct policy *p, enum policy_proto proto, const char *name, uint16_t port,
                        struct policy_decision *out) {
    const struct rule *by_address = NULL;
    char normal[HOST_MAX];
    const char *why;
    if (!host_normal(name, normal, &why)) {
        decide(out, false, 0, "denied: '%.80s' is no host name: %s", name, why);
        return;
    }
    for (uint32_t i = 0; i < p->egress.n; i++) {
        const struct rule *r = &p->egress.items[i];
        struct match m;
        if (!takes_proto(r, proto) || !takes_known_port(r, port, &m) || !name_matches(r, normal, &m, &by_address))
            continue;
        decide_by_rule(p, out, r, &m);
        size_t n = strlen(out->text);
        if (r->allow && by_address)
            snprintf(out->text + n, sizeof out->text - n, " (unless line %u denies its address)", by_address->line);
        return;
    }
    if (host_is_local(normal))
        decide(out, false, 0, "denied: %.80s is loopback, which no name reaches", normal);
    else
        deny_unmatched(p, out, "egress rule");
}

void policy_lookup(const struct policy *p, const char *name, struct policy_decision *out) {
    static const enum policy_proto protos[] = {POLICY_TCP, POLICY_UDP};
    char normal[HOST_MAX], text[HOST_MAX + 2];
    const char *why;
    if (!host_normal(name, normal, &why)) {
        decide(out, false, 0, "denied: '%.80s' is no host name: %s", name, why);
        return;
    }
    struct policy_decision denied = {0};
    for (size_t i = 0; i < sizeof protos / sizeof *protos; i++) {
        policy_egress_name(p, protos[i], normal, 0, out);
        if (out->allowed)
            return;
        if (out->line)
            denied = *out;
    }
    for (uint32_t i = 0; i < p->names.n; i++) {
        const struct target *t = &p->names.items[i];
        if (takes_name(t, normal)) {
            decide(out, true, t->line, "allowed by %s:%u: names %s", file_name(p), t->line, target_text(t, text));
            return;
        }
    }
    if (denied.line)
        *out = denied;
    else if (!host_is_local(normal))
        deny_unmatched(p, out, "rule by name");
}

/* ---- ingress ---- */

/* 0.0.0.0 stands for every IPv4 address, :: for every address: a deny rule about some of them is about it. */
static bool takes_some_of(const struct target *t, const struct addr *on) {
    static const uint8_t zeros[16];
    if (takes_address(t, on))
        return true;
    if (on->family == ADDR_INET)
        return t->range.family == ADDR_INET && !memcmp(on->ip, zeros, 4);
    return on->family == ADDR_INET6 && !memcmp(on->ip, zeros, 16);
}

static bool ingress_matches(const struct rule *r, const struct addr *on, struct match *m) {
    enum addr_scope scope = addr_scope(on);
    m->to = NULL;
    if (!r->nto)
        return true;
    for (uint32_t i = 0; i < r->nto && !m->to; i++) {
        const struct target *t = &r->to[i];
        if (r->allow ? takes_address(t, on) && is_meant(t, scope) : takes_some_of(t, on))
            m->to = t;
    }
    return m->to != NULL;
}

static bool from_matches(const struct rule *r, const struct addr *from, struct match *m) {
    m->from = NULL;
    if (!r->nfrom)
        return true;
    for (uint32_t i = 0; i < r->nfrom && !m->from; i++)
        if (takes_address(&r->from[i], from))
            m->from = &r->from[i];
    return m->from != NULL;
}

/* With `from` NULL: whether anybody may. */
static void decide_ingress(const struct policy *p, enum policy_proto proto, const struct addr *on,
                           const struct addr *from, struct policy_decision *out) {
    struct addr a = addr_plain(on), peer = from ? addr_plain(from) : a;
    if (a.family != ADDR_INET && a.family != ADDR_INET6) {
        decide(out, false, 0, "denied: only IP addresses of the machine can be bound");
        return;
    }
    for (uint32_t i = 0; i < p->ingress.n; i++) {
        const struct rule *r = &p->ingress.items[i];
        struct match m = {0};
        if (!takes_proto(r, proto) || !takes_port(r, a.port, &m) || !ingress_matches(r, &a, &m))
            continue;
        if (from ? !from_matches(r, &peer, &m) : !r->allow && r->nfrom)
            continue;
        decide_by_rule(p, out, r, &m);
        if (r->allow && from)
            out->rule = rule_number(p, r);
        return;
    }
    deny_unmatched(p, out, "ingress rule");
}

void policy_bind(const struct policy *p, enum policy_proto proto, const struct addr *on, struct policy_decision *out) {
    decide_ingress(p, proto, on, NULL, out);
}

void policy_ingress(const struct policy *p, enum policy_proto proto, const struct addr *on, const struct addr *from,
                    struct policy_decision *out) {
    decide_ingress(p, proto, on, from, out);
}

/* ---- unix sockets, TLS, environment ---- */

void policy_unix(const struct policy *p, const char *path, struct policy_decision *out) {
    for (uint32_t i = 0; i < p->unix_paths.n; i++) {
        const struct entry *x = &p->unix_paths.items[i];
        if (!strcmp(x->text, path)) {
            decide(out, true, x->line, "allowed by %s:%u: unix %s", file_name(p), x->line, x->text);
            return;
        }
    }
    deny_unmatched(p, out, "unix socket");
}

static bool is_pinned(const char *normal, const char *const *names, uint32_t nnames) {
    char name[HOST_MAX];
    for (uint32_t i = 0; i < nnames; i++)
        if (host_normal(names[i], name, NULL) && !strcmp(name, normal))
            return true;
    return false;
}

void policy_tls(const struct policy *p, const struct addr *to, const char *const *names, uint32_t nnames,
                const char *host, struct policy_decision *out) {
    struct policy_decision by_address;
    struct addr a = addr_plain(to), is;
    char normal[HOST_MAX], text[ADDR_TEXT_MAX];
    const char *why;
    bool numeric = addr_parse_ip(host, &is);
    if (!numeric && !host_normal(host, normal, &why)) {
        decide(out, false, 0, "denied: '%.80s' is no host name: %s", host, why);
        return;
    }
    if (!numeric && is_pinned(normal, names, nnames)) {
        decide(out, true, 0, "allowed: %s was looked up as %.120s", addr_print_ip(&a, text), normal);
        return;
    }
    policy_egress(p, POLICY_TCP, &a, NULL, 0, &by_address);
    if (numeric) {
        is = addr_plain(&is);
        if (addr_equal_ip(&is, &a))
            *out = by_address;
        else
            decide(out, false, 0, "denied: the connection is to %s, not to %.60s", addr_print_ip(&a, text), host);
    } else if (by_address.allowed) {
        policy_egress_name(p, POLICY_TCP, normal, a.port, out);
    } else {
        decide(out, false, 0, "denied: %s was not looked up as %.120s", addr_print_ip(&a, text), normal);
    }
    out->rule = UINT32_MAX;
}

static const struct entry *find_variable(const struct policy *p, const char *name) {
    for (uint32_t i = 0; i < p->env.n; i++) {
        const char *text = p->env.items[i].text;
        size_t n = strlen(text);
        if (text[n - 1] == '*' ? !strncmp(text, name, n - 1) : !strcmp(text, name))
            return &p->env.items[i];
    }
    return NULL;
}

bool policy_env(const struct policy *p, const char *name) {
    return find_variable(p, name) != NULL;
}

void decide_env(const struct policy *p, const char *name, struct policy_decision *out) {
    const struct entry *x = find_variable(p, name);
    if (x)
        decide(out, true, x->line, "allowed by %s:%u: env %.100s", file_name(p), x->line, x->text);
    else
        deny_unmatched(p, out, "variable");
}

/* ---- counting ---- */

static struct rule *rule_at(struct policy *p, uint32_t number) {
    must(number < p->egress.n + p->ingress.n);
    return number < p->egress.n ? &p->egress.items[number] : &p->ingress.items[number - p->egress.n];
}

/* Is there room among the last `rate` ones? The ring holds when they were let in. */
static bool rate_allows(const struct rule *r, uint64_t now_ns) {
    return r->nrecent < r->rate || now_ns - r->recent[r->oldest] >= r->rate_ns;
}

static void rate_take(struct rule *r, uint64_t now_ns) {
    if (!r->recent)
        r->recent = mem_alloc(r->rate * sizeof *r->recent);
    if (r->nrecent < r->rate) {
        r->recent[r->nrecent++] = now_ns;
        return;
    }
    r->recent[r->oldest] = now_ns;
    r->oldest = (r->oldest + 1) % r->rate;
}

void policy_count(struct policy *p, struct policy_decision *d, uint64_t now_ns) {
    if (!d->allowed || d->rule == UINT32_MAX)
        return;
    struct rule *r = rule_at(p, d->rule);
    if (r->most_open && r->open >= r->most_open) {
        decide(d, false, r->line, "denied by %s:%u: max-connections: %llu are open", file_name(p), r->line,
               (unsigned long long)r->open);
        return;
    }
    if (r->rate) {
        if (now_ns < r->newest_ns) /* a clock that went back takes nothing away */
            now_ns = r->newest_ns;
        if (!rate_allows(r, now_ns)) {
            decide(d, false, r->line, "denied by %s:%u: rate: %u in the last %s", file_name(p), r->line, r->rate,
                   r->rate_ns == 1000000000    ? "second"
                   : r->rate_ns == 60000000000 ? "minute"
                                               : "hour");
            return;
        }
        rate_take(r, now_ns);
        r->newest_ns = now_ns;
    }
    r->open++;
}

void policy_uncount(struct policy *p, uint32_t rule) {
    if (rule == UINT32_MAX)
        return;
    struct rule *r = rule_at(p, rule);
    must(r->open > 0);
    r->open--;
}
