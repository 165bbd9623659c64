/* From a document to a policy. Whatever could be understood in two ways is refused: an empty list might mean nothing or
 * everything, a range in a dressed form would never match. */
#include "policy/internal.h"

#include "base/must.h"
#include "base/units.h"

#include <stdio.h>

#define NKEYS(table) (sizeof(table) / sizeof *(table))

/* One value or a list of them, at least one. */
static enum status read_some(struct config *c, const struct config_node *v, config_read read_one, size_t size,
                             void **items, uint32_t *n, struct err *e) {
    if (v->type == CONFIG_LIST && v->n == 0)
        return config_error(c, v, e, "the list is empty; leave the key out if none is meant");
    return config_items(c, v, read_one, size, items, n, e);
}

/* ---- targets ---- */

static enum status read_range(struct config *c, const struct config_node *v, const char *text, struct cidr *out,
                              struct err *e) {
    struct cidr range;
    char plain[ADDR_TEXT_MAX];
    if (!cidr_parse(text, &range))
        return config_error(c, v, e,
                            "'%.100s' is not an address or a range of them (such as 10.0.0.0/8 or 2001:db8::/32, with "
                            "nothing set beyond its bits)",
                            text);
    struct addr first = {.family = range.family};
    memcpy(first.ip, range.ip, sizeof first.ip);
    struct addr dressed = addr_plain(&first);
    if (dressed.family != range.family && range.bits >= 96) {
        struct cidr v4 = {.family = ADDR_INET, .bits = (uint8_t)(range.bits - 96)};
        memcpy(v4.ip, range.ip + 12, 4);
        return config_error(c, v, e, "'%.100s' is IPv4 dressed as IPv6; write %s", text, cidr_print(&v4, plain));
    }
    *out = range;
    return ST_OK;
}

static enum status read_name(struct config *c, const struct config_node *v, const char *text, struct target *t,
                             struct err *e) {
    char name[HOST_MAX];
    const char *why;
    t->kind = TARGET_NAME;
    if (!strcmp(text, "*")) {
        t->kind = TARGET_ANY_NAME;
        return ST_OK;
    }
    if (!strncmp(text, "*.", 2)) {
        t->kind = TARGET_BELOW;
        text += 2;
    }
    if (strchr(text, '*'))
        return config_error(
            c, v, e, "'%.100s': '*' stands alone, for every name, or in front as '*.', for all names below", v->text);
    if (!host_normal(text, name, &why))
        return config_error(c, v, e, "'%.100s' is no host name: %s", v->text, why);
    if (host_is_local(name))
        return config_error(c, v, e, "'%.100s' is never reached by name; write 127.0.0.0/8, or '::1'", v->text);
    t->name = arena_strndup(&c->arena, name, strlen(name));
    return ST_OK;
}

static enum status target_name(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct target *t = item;
    const char *text;
    t->line = v->line;
    enum status s = config_text(c, v, &text, e);
    return s ? s : read_name(c, v, text, t, e);
}

static enum status target_range(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct target *t = item;
    const char *text;
    t->line = v->line;
    t->kind = TARGET_RANGE;
    enum status s = config_text(c, v, &text, e);
    return s ? s : read_range(c, v, text, &t->range, e);
}

static enum status target_any(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct cidr range;
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    bool is_range = strpbrk(text, ":/") != NULL || cidr_parse(text, &range);
    return is_range ? target_range(c, v, item, e) : target_name(c, v, item, e);
}

/* ---- rules ---- */

static bool read_port(const char **p, uint16_t *out) {
    const char *start = *p;
    uint32_t v = 0;
    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (v > UINT16_MAX || (*p > start && v == 0))
            return false;
        v = v * 10 + (uint32_t)(**p - '0');
    }
    *out = (uint16_t)v;
    return v >= 1 && v <= UINT16_MAX;
}

static enum status port_range(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct port_range *r = item;
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    const char *p = text;
    bool ok = read_port(&p, &r->first);
    r->last = r->first;
    if (ok && *p == '-') {
        p++;
        ok = read_port(&p, &r->last);
    }
    if (!ok || *p || r->last < r->first)
        return config_error(c, v, e, "'%.100s' is neither a port (1 to 65535) nor a range of them (8000-8999)", text);
    return ST_OK;
}

/* A rule as it is written. */
struct form {
    uint8_t allow, deny; /* protocols */
    struct rule rule;
};

static enum status protocols(struct config *c, const struct config_node *v, void *field, struct err *e) {
    static const struct {
        const char *name;
        uint8_t bits;
    } known[] = {{"tcp", 1 << POLICY_TCP}, {"udp", 1 << POLICY_UDP}, {"any", 1 << POLICY_TCP | 1 << POLICY_UDP}};
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    for (size_t i = 0; i < NKEYS(known); i++) {
        if (!strcmp(text, known[i].name)) {
            *(uint8_t *)field = known[i].bits;
            return ST_OK;
        }
    }
    return config_error(c, v, e, "'%.100s' is none of tcp, udp, any", text);
}

static enum status rule_to(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rule *r = field;
    void *items;
    enum status s = read_some(c, v, target_any, sizeof *r->to, &items, &r->nto, e);
    if (!s)
        r->to = items;
    return s;
}

static enum status rule_on(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rule *r = field;
    void *items;
    enum status s = read_some(c, v, target_range, sizeof *r->to, &items, &r->nto, e);
    if (!s)
        r->to = items;
    return s;
}

static enum status rule_from(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rule *r = field;
    void *items;
    enum status s = read_some(c, v, target_range, sizeof *r->from, &items, &r->nfrom, e);
    if (!s)
        r->from = items;
    return s;
}

static enum status rule_ports(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rule *r = field;
    void *items;
    enum status s = read_some(c, v, port_range, sizeof *r->ports, &items, &r->nports, e);
    if (!s)
        r->ports = items;
    return s;
}

static enum status positive(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_count(c, v, field, e);
    if (!s && *(uint64_t *)field == 0)
        return config_error(c, v, e, "0 would allow nothing");
    return s;
}

enum { MOST_RATE = 65536 };

static enum status rule_rate(struct config *c, const struct config_node *v, void *field, struct err *e) {
    static const struct {
        const char *name;
        uint64_t seconds;
    } spans[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
    struct rule *r = field;
    const char *text;
    char number[32];
    uint64_t n;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    const char *slash = strchr(text, '/');
    if (slash && (size_t)(slash - text) < sizeof number) {
        snprintf(number, sizeof number, "%.*s", (int)(slash - text), text);
        for (size_t i = 0; i < NKEYS(spans); i++) {
            if (!strcmp(slash, spans[i].name) && !units_count(number, &n, NULL) && n >= 1 && n <= MOST_RATE) {
                r->rate = (uint32_t)n;
                r->rate_ns = spans[i].seconds * 1000000000;
                return ST_OK;
            }
        }
    }
    return config_error(c, v, e, "'%.100s' is no rate (10/s, 100/m or 1000/h; %d are the most)", text, MOST_RATE);
}

static const struct config_key egress_keys[] = {
    {"allow", protocols, offsetof(struct form, allow), false, "tcp, udp or any"},
    {"deny", protocols, offsetof(struct form, deny), false, "tcp, udp or any"},
    {"to", rule_to, offsetof(struct form, rule), false, "names, addresses or ranges"},
    {"ports", rule_ports, offsetof(struct form, rule), false, "ports or ranges of them"},
    {"max-connections", positive, offsetof(struct form, rule.most_open), false, "how many may be open at a time"},
    {"rate", rule_rate, offsetof(struct form, rule), false, "how many new ones in a time, as 10/s"},
};

static const struct config_key ingress_keys[] = {
    {"allow", protocols, offsetof(struct form, allow), false, "tcp, udp or any"},
    {"deny", protocols, offsetof(struct form, deny), false, "tcp, udp or any"},
    {"on", rule_on, offsetof(struct form, rule), false, "addresses that may be bound"},
    {"ports", rule_ports, offsetof(struct form, rule), false, "ports or ranges of them"},
    {"from", rule_from, offsetof(struct form, rule), false, "addresses or ranges that may talk to it"},
    {"max-connections", positive, offsetof(struct form, rule.most_open), false, "how many may be open at a time"},
    {"rate", rule_rate, offsetof(struct form, rule), false, "how many new ones in a time, as 10/s"},
};

static enum status read_rule(struct config *c, const struct config_node *v, bool ingress, struct rule *out,
                             struct err *e) {
    struct form f = {.rule = {.line = v->line, .ingress = ingress}};
    const char *what = ingress ? "an ingress rule" : "an egress rule";
    enum status s = ingress ? config_read_map(c, v, what, ingress_keys, NKEYS(ingress_keys), &f, e)
                            : config_read_map(c, v, what, egress_keys, NKEYS(egress_keys), &f, e);
    if (s)
        return s;
    if (!f.allow == !f.deny)
        return config_error(c, v, e, "%s has either 'allow' or 'deny'", what);
    if (f.allow && !f.rule.nto)
        return config_error(c, v, e, "an allow rule needs '%s' (%s)", ingress ? "on" : "to",
                            ingress ? "addresses that may be bound" : "names, addresses or ranges");
    if (f.deny && (f.rule.most_open || f.rule.rate))
        return config_error(c, v, e, "a deny rule lets nothing through that could be counted");
    f.rule.allow = f.allow;
    f.rule.protos = f.allow | f.deny;
    *out = f.rule;
    return ST_OK;
}

static enum status egress_rule(struct config *c, const struct config_node *v, void *item, struct err *e) {
    return read_rule(c, v, false, item, e);
}

static enum status ingress_rule(struct config *c, const struct config_node *v, void *item, struct err *e) {
    return read_rule(c, v, true, item, e);
}

static enum status read_list(struct config *c, const struct config_node *v, config_read read_one, size_t size,
                             const char *what, void **items, uint32_t *n, struct err *e) {
    if (v->type != CONFIG_LIST)
        return config_error(c, v, e, "a list of %s was expected here ('- ' before each)", what);
    return config_items(c, v, read_one, size, items, n, e);
}

static enum status read_egress(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rules *r = field;
    void *items;
    enum status s = read_list(c, v, egress_rule, sizeof *r->items, "rules", &items, &r->n, e);
    if (!s)
        r->items = items;
    return s;
}

static enum status read_ingress(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct rules *r = field;
    void *items;
    enum status s = read_list(c, v, ingress_rule, sizeof *r->items, "rules", &items, &r->n, e);
    if (!s)
        r->items = items;
    return s;
}

/* ---- names, unix sockets, environment ---- */

static enum status read_names(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct targets *t = field;
    void *items;
    enum status s = config_items(c, v, target_name, sizeof *t->items, &items, &t->n, e);
    if (!s)
        t->items = items;
    return s;
}

static enum status unix_path(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct entry *x = item;
    x->line = v->line;
    enum status s = config_text(c, v, &x->text, e);
    if (s)
        return s;
    if (!path_is_plain(x->text) || strlen(x->text) >= ADDR_MAX_PATH)
        return config_error(c, v, e,
                            "'%.100s' is no whole path of a socket: it begins with /, has neither '.' nor '..' nor "
                            "empty parts, and at most %d bytes",
                            x->text, ADDR_MAX_PATH - 1);
    return ST_OK;
}

static enum status read_unix(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct entries *x = field;
    void *items;
    enum status s = config_items(c, v, unix_path, sizeof *x->items, &items, &x->n, e);
    if (!s)
        x->items = items;
    return s;
}

static enum status variable(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct entry *x = item;
    x->line = v->line;
    enum status s = config_text(c, v, &x->text, e);
    if (s)
        return s;
    const char *star = strchr(x->text, '*');
    if (!*x->text || strchr(x->text, '=') || (star && star[1]))
        return config_error(c, v, e, "'%.100s' is no variable's name, nor the beginning of names followed by '*'",
                            x->text);
    return ST_OK;
}

static enum status read_env(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct entries *x = field;
    void *items;
    enum status s = config_items(c, v, variable, sizeof *x->items, &items, &x->n, e);
    if (!s)
        x->items = items;
    return s;
}

/* ---- files ---- */

static enum status guest_path(struct config *c, const struct config_node *v, void *field, struct err *e) {
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    if (strcmp(text, "/") != 0 && !path_is_plain(text))
        return config_error(c, v, e,
                            "'%.100s' is no path of the guest: it begins with / and has neither '.' nor '..' nor empty "
                            "parts",
                            text);
    *(const char **)field = text;
    return ST_OK;
}

static enum status dir_mode(struct config *c, const struct config_node *v, void *field, struct err *e) {
    static const char *const modes[] = {[POLICY_RO] = "ro", [POLICY_RW] = "rw", [POLICY_OVERLAY] = "overlay"};
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    for (uint32_t i = 0; i < NKEYS(modes); i++) {
        if (!strcmp(text, modes[i])) {
            *(enum policy_mode *)field = (enum policy_mode)i;
            return ST_OK;
        }
    }
    return config_error(c, v, e, "'%.100s' is none of ro, rw, overlay", text);
}

static enum status positive_size(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_size(c, v, field, e);
    if (!s && *(uint64_t *)field == 0)
        return config_error(c, v, e, "0 would allow nothing; use mode ro");
    return s;
}

static const struct config_key dir_keys[] = {
    {"dir", config_path, offsetof(struct policy_dir, host), true, "a directory of this machine"},
    {"as", guest_path, offsetof(struct policy_dir, guest), true, "where the guest sees it"},
    {"mode", dir_mode, offsetof(struct policy_dir, mode), false, "ro, rw or overlay"},
    {"size", positive_size, offsetof(struct policy_dir, size_bytes), false, "most bytes in it"},
    {"count", positive, offsetof(struct policy_dir, count), false, "most files in it"},
};

static enum status read_dir(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct policy_dir *d = item;
    d->mode = POLICY_RO;
    d->line = v->line;
    enum status s = config_read_map(c, v, "a directory", dir_keys, NKEYS(dir_keys), d, e);
    if (s)
        return s;
    if (d->mode == POLICY_RO && (d->size_bytes || d->count))
        return config_error(c, v, e, "'size' and 'count' bound what is written; mode ro lets nothing be written");
    return ST_OK;
}

enum { MOST_DIRS = 256 };

static enum status read_files(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct policy *p = field;
    void *items;
    uint32_t n;
    enum status s = read_list(c, v, read_dir, sizeof *p->dirs, "directories", &items, &n, e);
    if (s)
        return s;
    if (n > MOST_DIRS)
        return config_error(c, v, e, "%u directories, %d are the most", n, MOST_DIRS);
    const struct policy_dir *dirs = items;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(dirs[i].guest, dirs[j].guest))
                return config_error(c, v->items[i], e, "the guest's '%.100s' is given twice, first in line %u",
                                    dirs[i].guest, dirs[j].line);
    p->dirs = dirs;
    p->ndirs = n;
    return ST_OK;
}

/* ---- TLS ---- */

static enum status server_name(struct config *c, const struct config_node *v, void *field, struct err *e) {
    char name[HOST_MAX];
    const char *text, *why;
    struct addr a;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    if (addr_parse_ip(text, &a)) {
        *(const char **)field = text;
        return ST_OK;
    }
    if (!host_normal(text, name, &why))
        return config_error(c, v, e, "'%.100s' is no host name: %s", text, why);
    *(const char **)field = arena_strndup(&c->arena, name, strlen(name));
    return ST_OK;
}

static const struct config_key server_keys[] = {
    {"name", server_name, offsetof(struct policy_server, name), true, "the name it is served under"},
    {"cert", config_path, offsetof(struct policy_server, cert), true, "a file in PEM"},
    {"key", config_path, offsetof(struct policy_server, key), true, "a file in PEM"},
};

static enum status read_server(struct config *c, const struct config_node *v, void *item, struct err *e) {
    return config_read_map(c, v, "a server", server_keys, NKEYS(server_keys), item, e);
}

static enum status read_servers(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct policy *p = field;
    void *items;
    enum status s = read_list(c, v, read_server, sizeof *p->servers, "servers", &items, &p->nservers, e);
    if (!s)
        p->servers = items;
    return s;
}

static const struct config_key tls_keys[] = {
    {"ca", config_paths, offsetof(struct policy, cas), false, "files in PEM"},
    {"servers", read_servers, 0, false, "certificates to serve with"},
};

static enum status read_tls(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct policy *p = field;
    p->tls_line = v->line;
    return config_read_map(c, v, "tls", tls_keys, NKEYS(tls_keys), field, e);
}

/* ---- the whole ---- */

static const struct config_key policy_keys[] = {
    {"egress", read_egress, offsetof(struct policy, egress), false, "rules"},
    {"ingress", read_ingress, offsetof(struct policy, ingress), false, "rules"},
    {"names", read_names, offsetof(struct policy, names), false, "names that may be looked up"},
    {"unix", read_unix, offsetof(struct policy, unix_paths), false, "sockets that may be connected to"},
    {"files", read_files, 0, false, "directories"},
    {"env", read_env, offsetof(struct policy, env), false, "variables that are passed on"},
    {"tls", read_tls, 0, false, "certificates"},
};

struct policy *policy_none(void) {
    return mem_zalloc(sizeof(struct policy));
}

enum status policy_read(struct config *c, const struct config_node *map, struct policy **out, struct err *e) {
    struct policy *p = policy_none();
    p->name = c->name;
    enum status s = config_read_map(c, map, "a policy", policy_keys, NKEYS(policy_keys), p, e);
    if (s)
        policy_free(p);
    else
        *out = p;
    return s;
}

enum status policy_parse(struct span text, const char *name, struct policy **out, struct err *e) {
    struct config c;
    struct policy *p;
    enum status s = config_parse(text, name, &c, e);
    if (s)
        return s;
    s = policy_read(&c, c.root, &p, e);
    if (s) {
        config_deinit(&c);
        return s;
    }
    p->text = SPAN(arena_strndup(&c.arena, (const char *)text.data, text.size), text.size);
    p->config = c;
    p->owns_config = true;
    *out = p;
    return ST_OK;
}

void policy_free(struct policy *p) {
    if (!p)
        return;
    for (uint32_t i = 0; i < p->egress.n; i++)
        mem_free(p->egress.items[i].recent);
    for (uint32_t i = 0; i < p->ingress.n; i++)
        mem_free(p->ingress.items[i].recent);
    if (p->owns_config)
        config_deinit(&p->config);
    mem_free(p);
}

/* ---- what else it holds ---- */

uint32_t policy_ndirs(const struct policy *p) {
    return p->ndirs;
}

const struct policy_dir *policy_dir(const struct policy *p, uint32_t i) {
    must(i < p->ndirs);
    return &p->dirs[i];
}

uint32_t policy_nservers(const struct policy *p) {
    return p->nservers;
}

const struct policy_server *policy_server(const struct policy *p, uint32_t i) {
    must(i < p->nservers);
    return &p->servers[i];
}

const struct config_texts *policy_cas(const struct policy *p) {
    return &p->cas;
}

struct span policy_text(const struct policy *p) {
    return p->text;
}

bool policy_has_network(const struct policy *p) {
    return p->egress.n || p->ingress.n || p->names.n || p->unix_paths.n;
}
