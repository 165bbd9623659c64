/* names.c: looking up names, and remembering for a guest which addresses they led to. */
#include "world/net/internal.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

/* ---- pins ---- */

uint32_t net_pinned(const struct host *h, const struct addr *a, const char *names[PIN_NAMES_MAX]) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->npins && n < PIN_NAMES_MAX; i++)
        if (addr_equal_ip(&h->pins[i].addr, a))
            names[n++] = h->pins[i].name;
    return n;
}

static void pin(struct host *h, const struct addr *plain, const char *name) {
    for (uint32_t i = 0; i < h->npins; i++)
        if (addr_equal_ip(&h->pins[i].addr, plain) && !strcasecmp(h->pins[i].name, name))
            return;
    if (!h->pins)
        h->pins = mem_alloc(16 * sizeof *h->pins);
    uint32_t at = h->npins;
    if (h->npins == PINS_MAX) { /* the oldest makes room */
        at = h->next_pin++ % PINS_MAX;
        mem_free(h->pins[at].name);
    } else {
        h->npins++;
        if (at >= 16 && (at & (at - 1)) == 0)
            h->pins = mem_realloc(h->pins, 2 * (size_t)at * sizeof *h->pins);
    }
    h->pins[at] = (struct pin){.addr = *plain, .name = mem_strdup(name)};
}

void net_pins_free(struct host *h) {
    for (uint32_t i = 0; i < h->npins; i++)
        mem_free(h->pins[i].name);
    mem_free(h->pins);
}

/* ---- TLS ---- */

bool net_tls_allowed(struct sock *s, const struct addr *to, const char *hostname) {
    struct policy_decision d;
    const char *names[PIN_NAMES_MAX];
    char text[ADDR_TEXT_MAX];
    uint32_t n = net_pinned(s->host, to, names);
    policy_tls(s->host->policy, to, names, n, hostname, &d);
    if (!d.allowed)
        net_denied(s->host, "tls to %s as %s: %s", addr_print(to, text), hostname, d.text);
    return d.allowed;
}

bool net_may_tls(struct world *host, int fd, const char *hostname) {
    struct sock *s = sock_of(host, fd);
    if (!s || s->type != WORLD_STREAM || s->state == LISTENING || s->state == CONNECTED)
        return true;
    if (s->state != OUTSIDE) { /* asked again when it is known where to */
        char *copy = mem_strdup(hostname);
        mem_free(s->tls);
        s->tls = copy;
        return true;
    }
    /* What came in is served with what the operator chose. */
    return !s->went_out || net_tls_allowed(s, &s->to, hostname);
}

/* ---- names of the network ---- */

struct name {
    char text[WORLD_MAX_NAME]; /* without a final dot */
};

static bool has_suffix(const char *name, const char *suffix) {
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && !strcasecmp(name + n - k, suffix);
}

/* The number of the host called so; of one that has ended when there is no other; 0: none. */
static uint32_t host_named(const struct net *n, const char *name) {
    uint32_t ended = 0;
    for (uint32_t i = 1; i <= n->nattached; i++) {
        if (!n->known[i] || strcasecmp(n->known[i], name) != 0)
            continue;
        if (n->hosts[i])
            return i;
        ended = i;
    }
    return ended;
}

/* Ports and types come from below, as for addresses written in numbers. IPv4 first: what listens on 0.0.0.0 alone is
 * then found by those who try one address only. */
static int virtual_answer(struct host *h, const struct world_query *q, const struct addr *v4, const struct addr *v6,
                          const char *name, struct world_found *out, int max, char *canonical) {
    const struct addr *both[] = {v4, v6};
    char text[ADDR_TEXT_MAX];
    int n = 0, failure = WORLD_NAME_UNKNOWN;
    for (int i = 0; i < 2 && n < max; i++) {
        if (q->family != ADDR_NONE && q->family != both[i]->family)
            continue;
        struct world_query number = *q;
        number.name = addr_print_ip(both[i], text);
        number.numeric_host = true;
        number.canonical = false;
        int r = UNDER(h, resolve, &number, out + n, max - n, NULL);
        if (r < 0)
            failure = r;
        else
            n += r;
    }
    if (n > 0 && canonical)
        snprintf(canonical, WORLD_MAX_NAME, "%s", name);
    return n > 0 ? n : failure;
}

/* ---- names of the machine's resolver ---- */

/* An address that only an address rule can allow, and none does: a name must not lead there. Where no port was asked
 * for there is nothing to decide yet; connecting does. */
static bool is_rebinding(const struct host *h, const struct world_found *f, const struct addr *plain) {
    if (addr_scope(plain) == ADDR_GLOBAL || plain->port == 0)
        return false;
    struct policy_decision d;
    policy_egress(h->policy, f->type == WORLD_STREAM ? POLICY_TCP : POLICY_UDP, plain, NULL, 0, &d);
    return !d.allowed;
}

static void tell_rebinding(struct host *h, const char *name, const struct addr *plain) {
    char text[ADDR_TEXT_MAX];
    net_denied(h,
               "name %s: denied: its address %s is %s, where no name may lead (DNS rebinding); only a rule that names"
               " the address can allow it",
               name, addr_print_ip(plain, text), addr_scope_text(addr_scope(plain)));
}

static int outside_answer(struct host *h, const struct world_query *q, const char *name, struct world_found *out,
                          int max, char *canonical) {
    struct policy_decision d;
    policy_lookup(h->policy, name, &d);
    if (!d.allowed) {
        net_denied(h, "name %s: %s", name, d.text);
        return WORLD_NAME_FAILED;
    }
    struct world_found all[WORLD_MAX_FOUND];
    struct addr told = {.family = ADDR_NONE};
    int found = UNDER(h, resolve, q, all, WORLD_MAX_FOUND, canonical), n = 0;
    if (found < 0)
        return found;
    for (int i = 0; i < found && n < max; i++) {
        struct addr plain = addr_plain(&all[i].addr);
        if (!is_rebinding(h, &all[i], &plain)) {
            pin(h, &plain, name);
            out[n++] = all[i];
        } else if (!addr_equal_ip(&told, &plain)) { /* the same one comes once for each type of socket */
            tell_rebinding(h, name, &plain);
            told = plain;
        }
    }
    return n > 0 ? n : WORLD_NAME_FAILED;
}

int net_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max, char *canonical) {
    struct host *h = host_of(w);
    if (!q->name || !*q->name)
        return BELOW(w, resolve, q, out, max, canonical);
    struct addr ip;
    if (q->numeric_host || addr_parse_ip(q->name, &ip) || strpbrk(q->name, ":%")) {
        struct world_query number = *q;
        number.numeric_host = true;
        return BELOW(w, resolve, &number, out, max, canonical);
    }
    struct name name;
    size_t n = strlen(q->name);
    if (n >= sizeof name.text)
        return WORLD_NAME_UNKNOWN;
    memcpy(name.text, q->name, n + 1);
    if (n > 1 && name.text[n - 1] == '.')
        name.text[n - 1] = 0;
    if (!strcasecmp(name.text, "localhost") || has_suffix(name.text, ".localhost")) {
        const struct addr v4 = {.family = ADDR_INET, .ip = {127, 0, 0, 1}},
                          v6 = {.family = ADDR_INET6, .ip = {[15] = 1}};
        return virtual_answer(h, q, &v4, &v6, name.text, out, max, canonical);
    }
    uint32_t other = host_named(h->net, name.text);
    if (other) {
        struct addr v4, v6;
        net_own_addresses(other, &v4, &v6);
        return virtual_answer(h, q, &v4, &v6, name.text, out, max, canonical);
    }
    return outside_answer(h, q, name.text, out, max, canonical);
}
