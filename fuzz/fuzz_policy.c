/* Arbitrary bytes as a policy and as a manifest; then, asked of the policy, attempts that follow a NUL, one a line.
 * What must hold of every policy is checked: another dress of an address or a name changes nothing, no name leads to an
 * address that is not global, counting keeps its bounds. */
#include "app/app.h"
#include "base/must.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct policy_decision *a, const struct policy_decision *b) {
    must(a->allowed == b->allowed && a->rule == b->rule && a->line == b->line);
}

static void sound(const struct policy_decision *d) {
    must(strncmp(d->text, d->allowed ? "allowed" : "denied", d->allowed ? 7 : 6) == 0);
    must(memchr(d->text, 0, sizeof d->text) != NULL);
    must(d->allowed || d->rule == UINT32_MAX);
}

/* ---- addresses ---- */

static struct addr dressed(const struct addr *v4) {
    struct addr a = {.family = ADDR_INET6, .port = v4->port, .ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(a.ip + 12, v4->ip, 4);
    return a;
}

static void try_address(const struct policy *p, const struct addr *a, const char *const *names, uint32_t nnames) {
    struct policy_decision d, other;
    for (int proto = POLICY_TCP; proto <= POLICY_UDP; proto++) {
        policy_egress(p, (enum policy_proto)proto, a, names, nnames, &d);
        sound(&d);
        must(!d.allowed || (d.rule != UINT32_MAX && d.line && a->port));
        if (a->family == ADDR_INET) {
            struct addr v6 = dressed(a);
            policy_egress(p, (enum policy_proto)proto, &v6, names, nnames, &other);
            same(&d, &other);
            policy_bind(p, (enum policy_proto)proto, a, &d);
            policy_bind(p, (enum policy_proto)proto, &v6, &other);
            same(&d, &other);
        }
        policy_egress(p, (enum policy_proto)proto, a, NULL, 0, &other);
        policy_egress(p, (enum policy_proto)proto, a, names, nnames, &d);
        must(addr_scope(a) == ADDR_GLOBAL || !d.allowed || other.allowed);
        policy_ingress(p, (enum policy_proto)proto, a, a, &d);
        policy_bind(p, (enum policy_proto)proto, a, &other);
        sound(&d);
        sound(&other);
        must(!d.allowed || other.allowed); /* nobody talks to what may not be bound */
    }
    for (uint32_t i = 0; i < nnames; i++) {
        policy_tls(p, a, names, nnames, names[i], &d);
        sound(&d);
        policy_tls(p, a, NULL, 0, names[i], &d);
        policy_egress(p, POLICY_TCP, a, NULL, 0, &other);
        must(!d.allowed || other.allowed);
    }
}

static void try_addresses(const struct policy *p, const char *const *names, uint32_t nnames) {
    static const char *const texts[] = {
        "127.0.0.1:80",    "0.0.0.0:80",   "169.254.169.254:80", "10.0.0.1:443",    "192.168.1.1:8080", "8.8.8.8:53",
        "224.0.0.251:53",  "1.1.1.1:0",    "255.255.255.255:1",  "[::1]:80",        "[fe80::1]:80",     "[::]:443",
        "[2606::1111]:80", "[fd00::1]:80", "[ff02::fb]:53",      "[64:ff9b::1]:80", "168.63.129.16:80",
    };
    struct addr a;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        must(addr_parse(texts[i], &a));
        try_address(p, &a, names, nnames);
    }
    struct policy_decision d, other;
    must(addr_parse("0.0.0.0:80", &a));
    policy_egress(p, POLICY_TCP, &a, NULL, 0, &d);
    must(addr_parse("127.0.0.1:80", &a));
    policy_egress(p, POLICY_TCP, &a, NULL, 0, &other);
    same(&d, &other);
}

/* ---- names ---- */

static void try_name(const struct policy *p, const char *name) {
    struct policy_decision d, other;
    char loud[300];
    size_t n = strlen(name);
    policy_lookup(p, name, &d);
    sound(&d);
    struct addr a;
    must(!d.allowed || !addr_parse_ip(name, &a));
    if (n && n < sizeof loud - 1 && name[n - 1] != '.') {
        for (size_t i = 0; i <= n; i++)
            loud[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
        memcpy(loud + n, ".", 2);
        policy_lookup(p, loud, &other);
        same(&d, &other);
    }
    for (unsigned port = 0; port < 3; port++) {
        policy_egress_name(p, POLICY_TCP, name, (uint16_t)(port * 443), &d);
        sound(&d);
        policy_lookup(p, name, &other);
        must(!d.allowed || other.allowed); /* what may be connected to may be looked up */
    }
    policy_unix(p, name, &d);
    sound(&d);
    (void)policy_env(p, name);
}

/* ---- attempts ---- */

enum { MOST_LINES = 16, LINE_MAX = 400 };

static uint32_t split(struct span in, char lines[MOST_LINES][LINE_MAX]) {
    uint32_t n = 0;
    while (in.size && n < MOST_LINES) {
        const uint8_t *end = memchr(in.data, '\n', in.size);
        size_t size = end ? (size_t)(end - in.data) : in.size, taken = size + (end != NULL);
        if (size >= LINE_MAX)
            size = LINE_MAX - 1;
        snprintf(lines[n++], LINE_MAX, "%.*s", (int)size, (const char *)in.data);
        in = SPAN(in.data + taken, in.size - taken);
    }
    return n;
}

static void try_attempt(struct policy *p, const char *attempt, uint64_t *now_ns) {
    struct policy_decision d, again;
    struct err e = ERR_INIT;
    if (policy_check(p, attempt, &d, &e)) {
        must(e.status == ST_INVALID && e.text[0]);
        return;
    }
    sound(&d);
    must(policy_check(p, attempt, &again, NULL) == ST_OK);
    same(&d, &again);
    uint32_t rule = d.rule;
    policy_count(p, &d, *now_ns);
    *now_ns += 300000000;
    sound(&d);
    if (rule == UINT32_MAX)
        return;
    if (d.allowed)
        policy_uncount(p, rule);
    else
        must(strstr(d.text, ": rate: ") != NULL); /* none is open */
}

static void show(void *ctx, const char *section, uint32_t line, const char *sentence) {
    size_t *n = ctx;
    must(*section && line);
    *n += strlen(sentence);
}

static void try_policy(struct policy *p, struct span attempts) {
    char lines[MOST_LINES][LINE_MAX];
    const char *names[MOST_LINES + 2] = {"api.example.org", "localhost"};
    uint32_t n = split(attempts, lines);
    uint64_t now_ns = 0;
    size_t shown = 0;
    for (uint32_t i = 0; i < n; i++)
        names[2 + i] = lines[i];
    for (uint32_t i = 0; i < n + 2; i++)
        try_name(p, names[i]);
    try_addresses(p, names, n + 2);
    for (uint32_t i = 0; i < n; i++) {
        struct addr a;
        if (addr_parse(lines[i], &a))
            try_address(p, &a, names, n + 2);
        try_attempt(p, lines[i], &now_ns);
        try_attempt(p, lines[i], &now_ns);
    }
    policy_show(p, show, &shown);
    for (uint32_t i = 0; i < policy_ndirs(p); i++)
        must(policy_dir(p, i)->guest[0] == '/');
}

/* ---- documents ---- */

static enum status read_text(void *ctx, const char *path, struct buf *out, struct err *e) {
    const struct span *text = ctx;
    must(*path);
    if (!buf_append(out, text->data, text->size))
        return err_set(e, ST_LIMIT, "%s", path);
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    struct span text = SPAN(data, nul ? (size_t)(nul - data) : size), rest = SPAN(data + size, 0);
    if (nul)
        rest = SPAN(nul + 1, size - text.size - 1);
    struct policy *p;
    struct app *a;
    struct err e = ERR_INIT;
    if (policy_parse(text, "net.yaml", &p, &e)) {
        must(e.text[0]);
    } else {
        must(span_equal(policy_text(p), text));
        try_policy(p, rest);
        policy_free(p);
    }
    err_clear(&e);
    if (app_parse(text, "dir/app.yaml", read_text, &rest, &a, &e)) {
        must(e.text[0]);
    } else {
        must(a->nguests > 0);
        for (uint32_t i = 0; i < a->nguests; i++)
            try_policy(a->guests[i].policy, rest);
        app_free(a);
    }
    return 0;
}
