/* A policy shown to people: asked about one attempt, and written out. */
#include "policy/internal.h"

#include "base/buf.h"
#include "base/must.h"

#include <stdio.h>

/* ---- one attempt ---- */

enum { MOST_WORDS = 6, ATTEMPT_MAX = 512 };

struct words {
    char text[ATTEMPT_MAX];
    char *items[MOST_WORDS];
    uint32_t n;
};

static bool split(const char *attempt, struct words *w) {
    size_t n = strlen(attempt);
    if (n >= ATTEMPT_MAX)
        return false;
    memcpy(w->text, attempt, n + 1);
    w->n = 0;
    for (char *p = w->text; *p;) {
        while (*p == ' ')
            *p++ = 0;
        if (!*p)
            break;
        if (w->n == MOST_WORDS)
            return false;
        w->items[w->n++] = p;
        p += strcspn(p, " ");
    }
    return w->n > 0;
}

static bool read_proto(const char *word, enum policy_proto *out) {
    if (!strcmp(word, "tcp"))
        *out = POLICY_TCP;
    else if (!strcmp(word, "udp"))
        *out = POLICY_UDP;
    else
        return false;
    return true;
}

/* ADDRESS:PORT or NAME:PORT; false when it is neither. */
static bool check_destination(const struct policy *p, enum policy_proto proto, const char *text,
                              struct policy_decision *out) {
    struct addr a = {0};
    if (addr_parse(text, &a) && a.family != ADDR_UNIX) {
        policy_egress(p, proto, &a, NULL, 0, out);
        return true;
    }
    char with_port[16], name[ATTEMPT_MAX];
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || colon - text >= ATTEMPT_MAX)
        return false;
    /* the port is read as an address's is */
    if (snprintf(with_port, sizeof with_port, "0.0.0.0%s", colon) >= (int)sizeof with_port ||
        !addr_parse(with_port, &a))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
    if (a.port)
        policy_egress_name(p, proto, name, a.port, out);
    else
        policy_egress(p, proto, &a, NULL, 0, out); /* denied, for its port */
    return true;
}

static bool check_ingress(const struct policy *p, const struct words *w, struct policy_decision *out) {
    enum policy_proto proto;
    struct addr on, from;
    bool bind = !strcmp(w->items[0], "bind");
    if (w->n != (bind ? 3u : 5u) || !read_proto(w->items[1], &proto) || !addr_parse(w->items[2], &on))
        return false;
    if (bind) {
        policy_bind(p, proto, &on, out);
        return true;
    }
    if (strcmp(w->items[3], "from") != 0 || !addr_parse_ip(w->items[4], &from))
        return false;
    policy_ingress(p, proto, &on, &from, out);
    return true;
}

static bool check(const struct policy *p, const struct words *w, struct policy_decision *out) {
    enum policy_proto proto;
    const char *verb = w->items[0];
    if (!strcmp(verb, "bind") || !strcmp(verb, "accept"))
        return check_ingress(p, w, out);
    if (w->n != 2)
        return false;
    if (read_proto(verb, &proto))
        return check_destination(p, proto, w->items[1], out);
    if (!strcmp(verb, "name"))
        policy_lookup(p, w->items[1], out);
    else if (!strcmp(verb, "unix"))
        policy_unix(p, w->items[1], out);
    else if (!strcmp(verb, "env"))
        decide_env(p, w->items[1], out);
    else
        return false;
    return true;
}

enum status policy_check(const struct policy *p, const char *attempt, struct policy_decision *out, struct err *e) {
    struct words w;
    if (split(attempt, &w) && check(p, &w, out))
        return ST_OK;
    return err_set(
        e, ST_INVALID,
        "'%.100s' is no attempt; these are: 'tcp HOST:PORT', 'udp HOST:PORT' (an IPv6 address as [ADDRESS]:PORT), "
        "'name HOST', 'bind tcp ADDRESS:PORT', 'accept tcp ADDRESS:PORT from ADDRESS', 'unix PATH', 'env NAME'",
        attempt);
}

/* ---- the whole ---- */

struct show {
    void (*each)(void *ctx, const char *section, uint32_t line, const char *sentence);
    void *ctx;
    struct buf b;
};

static void show(struct show *s, const char *section, uint32_t line) {
    s->each(s->ctx, section, line, buf_cstr(&s->b));
    buf_clear(&s->b);
}

static void print_targets(struct buf *b, const char *word, const struct target *t, uint32_t n) {
    char text[HOST_MAX + 2];
    for (uint32_t i = 0; i < n; i++)
        buf_print(b, "%s%s", i ? ", " : word, target_text(&t[i], text));
}

static void show_rules(struct show *s, const char *section, const struct rules *rules) {
    for (uint32_t i = 0; i < rules->n; i++) {
        const struct rule *r = &rules->items[i];
        buf_print(&s->b, "%s %s", r->allow ? "allow" : "deny", proto_text(r->protos));
        print_targets(&s->b, r->ingress ? " on " : " to ", r->to, r->nto);
        bool one = r->nports == 1 && r->ports->first == r->ports->last;
        for (uint32_t k = 0; k < r->nports; k++) {
            buf_print(&s->b, "%s%u", k ? ", " : one ? " port " : " ports ", r->ports[k].first);
            if (r->ports[k].last != r->ports[k].first)
                buf_print(&s->b, "-%u", r->ports[k].last);
        }
        print_targets(&s->b, " from ", r->from, r->nfrom);
        if (r->most_open)
            buf_print(&s->b, ", at most %llu open", (unsigned long long)r->most_open);
        if (r->rate)
            buf_print(&s->b, ", at most %u a%s", r->rate,
                      r->rate_ns == 1000000000    ? " second"
                      : r->rate_ns == 60000000000 ? " minute"
                                                  : "n hour");
        show(s, section, r->line);
    }
}

static void show_dirs(struct show *s, const struct policy *p) {
    static const char *const modes[] = {[POLICY_RO] = "ro", [POLICY_RW] = "rw", [POLICY_OVERLAY] = "overlay"};
    for (uint32_t i = 0; i < p->ndirs; i++) {
        const struct policy_dir *d = &p->dirs[i];
        buf_print(&s->b, "%s as %s, %s", d->host, d->guest, modes[d->mode]);
        if (d->size_bytes)
            buf_print(&s->b, ", at most %llu bytes", (unsigned long long)d->size_bytes);
        if (d->count)
            buf_print(&s->b, ", at most %llu files", (unsigned long long)d->count);
        show(s, "files", d->line);
    }
}

void policy_show(const struct policy *p,
                 void (*each)(void *ctx, const char *section, uint32_t line, const char *sentence), void *ctx) {
    struct show s = {.each = each, .ctx = ctx};
    buf_init(&s.b, CONFIG_MAX_BYTES * 4);
    show_rules(&s, "egress", &p->egress);
    show_rules(&s, "ingress", &p->ingress);
    for (uint32_t i = 0; i < p->names.n; i++) {
        print_targets(&s.b, "", &p->names.items[i], 1);
        show(&s, "names", p->names.items[i].line);
    }
    for (uint32_t i = 0; i < p->unix_paths.n; i++)
        s.each(ctx, "unix", p->unix_paths.items[i].line, p->unix_paths.items[i].text);
    show_dirs(&s, p);
    for (uint32_t i = 0; i < p->env.n; i++)
        s.each(ctx, "env", p->env.items[i].line, p->env.items[i].text);
    for (uint32_t i = 0; i < p->cas.n; i++)
        s.each(ctx, "tls", p->tls_line, p->cas.items[i]);
    for (uint32_t i = 0; i < p->nservers; i++) {
        const struct policy_server *x = &p->servers[i];
        buf_print(&s.b, "%s with %s and %s", x->name, x->cert, x->key);
        show(&s, "tls", p->tls_line);
    }
    buf_deinit(&s.b);
}
