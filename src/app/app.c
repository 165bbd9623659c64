#include "app/app.h"

#include "base/must.h"
#include "base/units.h"

#include <stdio.h>

#define NKEYS(table) (sizeof(table) / sizeof *(table))

enum { MOST_GUESTS = 1024, MOST_COUNT = 100000, MOST_PUBLISHED = 1024, MOST_NAME = 63 };

/* ---- values ---- */

enum status app_read_bandwidth(const char *text, uint64_t *out, struct err *e) {
    char size[32];
    size_t n = strlen(text);
    uint64_t v;
    if (n > 2 && !strcmp(text + n - 2, "/s"))
        n -= 2;
    if (n >= sizeof size || (snprintf(size, sizeof size, "%.*s", (int)n, text), units_size(size, &v, NULL)))
        return err_set(e, ST_INVALID, "'%.100s' is no bandwidth (such as 10MiB/s)", text);
    if (v == 0)
        return err_set(e, ST_INVALID, "'%.100s' lets nothing through", text);
    *out = v;
    return ST_OK;
}

enum status app_read_publish(const char *text, struct app_publish *out, struct err *e) {
    char on[ADDR_TEXT_MAX], port[ADDR_TEXT_MAX];
    struct app_publish p = {0};
    struct addr guest;
    size_t n = strlen(text);
    if (n > 4 && (!strcmp(text + n - 4, "/udp") || !strcmp(text + n - 4, "/tcp"))) {
        p.udp = text[n - 3] == 'u';
        n -= 4;
    }
    size_t colon = n;
    while (colon && text[colon] != ':')
        colon--;
    /* the guest's port is read as an address's is */
    if (colon && n < sizeof on && snprintf(on, sizeof on, "%.*s", (int)colon, text) > 0 && addr_parse(on, &p.on) &&
        p.on.family != ADDR_UNIX &&
        snprintf(port, sizeof port, "0.0.0.0%.*s", (int)(n - colon), text + colon) < (int)sizeof port &&
        addr_parse(port, &guest) && guest.port) {
        p.port = guest.port;
        *out = p;
        return ST_OK;
    }
    return err_set(e, ST_INVALID,
                   "'%.100s' publishes nothing: ADDRESS:PORT:GUEST-PORT[/udp], such as 127.0.0.1:8080:80 or "
                   "[::1]:8080:80/udp",
                   text);
}

/* Names are host names on the virtual network: one label. */
static bool is_name(const char *text) {
    size_t n = strlen(text);
    if (n == 0 || n > MOST_NAME || text[0] < 'a' || text[0] > 'z' || text[n - 1] == '-')
        return false;
    for (const char *p = text; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
            return false;
    return strcmp(text, "localhost") != 0;
}

static enum status check_name(struct config *c, const struct config_node *v, struct err *e) {
    if (is_name(v->text))
        return ST_OK;
    return config_error(c, v, e,
                        "'%.100s' cannot be a name: small letters, digits and '-', at most %d, the first a letter, not "
                        "localhost",
                        v->text, MOST_NAME);
}

static enum status name(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_text(c, v, field, e);
    return s ? s : check_name(c, v, e);
}

static enum status keep_node(struct config *c, const struct config_node *v, void *field, struct err *e) {
    (void)c, (void)e;
    *(const struct config_node **)field = v;
    return ST_OK;
}

static enum status positive(struct config *c, const struct config_node *v, void *field, struct err *e) {
    if (*(uint64_t *)field == 0)
        return config_error(c, v, e, "'%.100s' leaves the guest nothing", v->text);
    return ST_OK;
}

static enum status count(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_count(c, v, field, e);
    return s ? s : positive(c, v, field, e);
}

static enum status size(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_size(c, v, field, e);
    return s ? s : positive(c, v, field, e);
}

static enum status duration(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = config_duration(c, v, field, e);
    return s ? s : positive(c, v, field, e);
}

static enum status bandwidth(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct err why = ERR_INIT;
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    if (app_read_bandwidth(text, field, &why))
        return config_error(c, v, e, "%s", why.text);
    return ST_OK;
}

static enum status guest_count(struct config *c, const struct config_node *v, void *field, struct err *e) {
    enum status s = count(c, v, field, e);
    if (!s && *(uint64_t *)field > MOST_COUNT)
        return config_error(c, v, e, "'%.100s' are too many, %d are the most", v->text, MOST_COUNT);
    return s;
}

/* HOST:GUEST, with what `modes` lists behind it; HOST is made relative to the working directory. */
static enum status read_dir(struct config *c, const struct config_node *v, const char *form, bool modes, void *item,
                            struct err *e) {
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    size_t n = strlen(text);
    if (modes && n > 3 && (!strcmp(text + n - 3, ":ro") || !strcmp(text + n - 3, ":rw")))
        n -= 3;
    size_t colon = n ? n - 1 : 0;
    while (colon && text[colon] != ':')
        colon--;
    if (!colon || colon + 1 >= n)
        return config_error(c, v, e, "'%.100s' is not %s", text, form);
    *(const char **)item = config_join(c, text);
    return ST_OK;
}

static enum status dir(struct config *c, const struct config_node *v, void *item, struct err *e) {
    return read_dir(c, v, "HOST:GUEST[:ro|rw], such as ./data:/data:ro", true, item, e);
}

static enum status overlay(struct config *c, const struct config_node *v, void *item, struct err *e) {
    return read_dir(c, v, "HOST:GUEST, such as ./base:/", false, item, e);
}

static enum status listener(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct addr a;
    enum status s = config_text(c, v, item, e);
    if (!s && (!addr_parse(v->text, &a) || a.family == ADDR_UNIX))
        return config_error(c, v, e, "'%.100s' is not ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080", v->text);
    return s;
}

static enum status published(struct config *c, const struct config_node *v, void *item, struct err *e) {
    struct err why = ERR_INIT;
    const char *text;
    enum status s = config_text(c, v, &text, e);
    if (s)
        return s;
    if (app_read_publish(text, item, &why))
        return config_error(c, v, e, "%s", why.text);
    return ST_OK;
}

static enum status read_texts(struct config *c, const struct config_node *v, config_read read_one, void *field,
                              struct err *e) {
    struct config_texts *out = field;
    void *items;
    enum status s = config_items(c, v, read_one, sizeof *out->items, &items, &out->n, e);
    if (!s)
        out->items = items;
    return s;
}

static enum status dirs(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_texts(c, v, dir, field, e);
}

static enum status overlays(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_texts(c, v, overlay, field, e);
}

static enum status listeners(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return read_texts(c, v, listener, field, e);
}

static enum status publish(struct config *c, const struct config_node *v, void *field, struct err *e) {
    struct app_guest *g = field;
    void *items;
    enum status s = config_items(c, v, published, sizeof *g->publish, &items, &g->npublish, e);
    if (!s)
        g->publish = items;
    return s;
}

static const struct config_key limit_keys[] = {
    {"memory", size, offsetof(struct app_limits, memory_bytes), false, "most a memory may grow to"},
    {"stack", size, offsetof(struct app_limits, stack_bytes), false, "how deep calls may go"},
    {"fuel", count, offsetof(struct app_limits, fuel_ticks), false, "most instructions"},
    {"fuel-per-second", count, offsetof(struct app_limits, fuel_per_second), false, "most instructions a second"},
    {"time", duration, offsetof(struct app_limits, time_ns), false, "how long it may run"},
    {"handles", count, offsetof(struct app_limits, handles), false, "most open handles"},
    {"journal-max", size, offsetof(struct app_limits, journal_bytes), false, "most the journal may grow to"},
    {"bandwidth", bandwidth, offsetof(struct app_limits, bandwidth), false, "most bytes a second of its network"},
};

static enum status limits(struct config *c, const struct config_node *v, void *field, struct err *e) {
    return config_read_map(c, v, "limits", limit_keys, NKEYS(limit_keys), field, e);
}

/* ---- guests ---- */

/* A guest as it is written; its policy is read when the rest is known to be right. */
struct form {
    struct app_guest guest;
    const struct config_node *policy;
};

static const struct config_key guest_keys[] = {
    {"module", config_path, offsetof(struct form, guest.module), true, "the program"},
    {"args", config_texts, offsetof(struct form, guest.args), false, "its arguments"},
    {"env", config_pairs, offsetof(struct form, guest.env), false, "its environment"},
    {"dirs", dirs, offsetof(struct form, guest.dirs), false, "HOST:GUEST[:ro|rw]"},
    {"overlays", overlays, offsetof(struct form, guest.overlays), false, "HOST:GUEST"},
    {"publish", publish, offsetof(struct form, guest), false, "ADDRESS:PORT:GUEST-PORT[/udp]"},
    {"listen", listeners, offsetof(struct form, guest.listen), false, "ADDRESS:PORT"},
    {"policy", keep_node, offsetof(struct form, policy), false, "a file, or the policy itself"},
    {"limits", limits, offsetof(struct form, guest.limits), false, "memory, time, ..."},
    {"chaos", config_text, offsetof(struct form, guest.chaos), false, "seeded faults"},
    {"count", guest_count, offsetof(struct form, guest.count), false, "how many of them"},
};

struct reader {
    enum status (*read)(void *ctx, const char *path, struct buf *out, struct err *e);
    void *ctx;
};

static enum status policy_of(struct config *c, const struct config_node *v, const struct reader *r, struct policy **out,
                             struct err *e) {
    const char *path;
    struct buf text;
    if (!v) {
        *out = policy_none();
        return ST_OK;
    }
    if (v->type == CONFIG_MAP)
        return policy_read(c, v, out, e);
    enum status s = config_path(c, v, &path, e);
    if (s)
        return s;
    buf_init(&text, CONFIG_MAX_BYTES + 1);
    s = r->read(r->ctx, path, &text, e);
    if (!s)
        s = policy_parse(buf_span(&text), path, out, e);
    buf_deinit(&text);
    return s;
}

static enum status read_guest(struct config *c, const struct config_node *key, const struct config_node *v,
                              const struct reader *r, struct app_guest *out, struct err *e) {
    struct form f = {.guest = {.name = key->text, .line = key->line, .count = 1}};
    enum status s = check_name(c, key, e);
    if (!s)
        s = config_read_map(c, v, "a guest", guest_keys, NKEYS(guest_keys), &f, e);
    if (s)
        return s;
    if (f.guest.count > 1 && (f.guest.npublish || f.guest.listen.n))
        return config_error(c, v, e,
                            "%llu guests cannot all have the machine's port: 'publish' and 'listen' are for one",
                            (unsigned long long)f.guest.count);
    s = policy_of(c, f.policy, r, &f.guest.policy, e);
    if (!s)
        *out = f.guest;
    return s;
}

static const struct app_guest *find_guest(const struct app *a, const char *text, size_t n) {
    for (uint32_t i = 0; i < a->nguests; i++)
        if (strlen(a->guests[i].name) == n && !memcmp(a->guests[i].name, text, n))
            return &a->guests[i];
    return NULL;
}

/* The further ones of a guest are called NAME-2, NAME-3, ...: no other may be. */
static enum status check_counted(const struct app *a, const struct config_node *keys, struct err *e) {
    for (uint32_t i = 0; i < a->nguests; i++) {
        const char *own = a->guests[i].name, *dash = strrchr(own, '-');
        uint64_t number;
        if (!dash || dash[1] == '0' || dash[1 + strspn(dash + 1, "0123456789")] || units_count(dash + 1, &number, NULL))
            continue;
        const struct app_guest *other = find_guest(a, own, (size_t)(dash - own));
        if (other && number > 1 && other->count >= number)
            return config_error(&a->config, keys->keys[i], e,
                                "'%s' is also the name of one of the %llu of '%s' (line %u)", own,
                                (unsigned long long)other->count, other->name, other->line);
    }
    return ST_OK;
}

static enum status check_published(const struct app *a, const struct config_node *keys, struct err *e) {
    struct {
        const struct app_publish *p;
        const struct app_guest *g;
    } seen[MOST_PUBLISHED];
    uint32_t n = 0;
    char text[ADDR_TEXT_MAX];
    for (uint32_t i = 0; i < a->nguests; i++) {
        const struct app_guest *g = &a->guests[i];
        for (uint32_t k = 0; k < g->npublish; k++) {
            const struct app_publish *p = &g->publish[k];
            if (n == MOST_PUBLISHED)
                return config_error(&a->config, keys->keys[i], e, "more than %d ports are published", MOST_PUBLISHED);
            for (uint32_t j = 0; j < n && p->on.port; j++)
                if (seen[j].p->udp == p->udp && addr_equal(&seen[j].p->on, &p->on))
                    return config_error(&a->config, keys->keys[i], e, "'%s' publishes %s, as does '%s' (line %u)",
                                        g->name, addr_print(&p->on, text), seen[j].g->name, seen[j].g->line);
            seen[n].p = p;
            seen[n++].g = g;
        }
    }
    return ST_OK;
}

/* ---- the whole ---- */

struct manifest {
    const char *name;
    const struct config_node *guests;
};

static const struct config_key app_keys[] = {
    {"name", name, offsetof(struct manifest, name), true, "what the application is called"},
    {"guests", keep_node, offsetof(struct manifest, guests), true, "its programs, by name"},
};

static enum status read_app(struct app *a, const struct reader *r, struct err *e) {
    struct config *c = &a->config;
    struct manifest m = {0};
    enum status s = config_read_map(c, c->root, "an application", app_keys, NKEYS(app_keys), &m, e);
    if (s)
        return s;
    if (m.guests->type != CONFIG_MAP || m.guests->n == 0)
        return config_error(c, m.guests, e, "'guests' is a map of names and guests, at least one");
    if (m.guests->n > MOST_GUESTS)
        return config_error(c, m.guests, e, "%u guests, %d are the most (see 'count')", m.guests->n, MOST_GUESTS);
    a->name = m.name;
    a->guests = ARENA_ARRAY(&c->arena, struct app_guest, m.guests->n);
    for (; a->nguests < m.guests->n; a->nguests++) {
        uint32_t i = a->nguests;
        s = read_guest(c, m.guests->keys[i], m.guests->items[i], r, &a->guests[i], e);
        if (s)
            return s;
    }
    s = check_counted(a, m.guests, e);
    return s ? s : check_published(a, m.guests, e);
}

static const char *dir_of(struct config *c) {
    const char *slash = strrchr(c->name, '/');
    if (!slash)
        return ".";
    return slash == c->name ? "/" : arena_strndup(&c->arena, c->name, (size_t)(slash - c->name));
}

enum status app_parse(struct span text, const char *path,
                      enum status (*read)(void *ctx, const char *path, struct buf *out, struct err *e), void *ctx,
                      struct app **out, struct err *e) {
    const struct reader r = {read, ctx};
    struct app *a = mem_zalloc(sizeof *a);
    enum status s = config_parse(text, path, &a->config, e);
    if (s) {
        mem_free(a);
        return s;
    }
    a->dir = dir_of(&a->config);
    s = read_app(a, &r, e);
    if (s)
        app_free(a);
    else
        *out = a;
    return s;
}

void app_free(struct app *a) {
    if (!a)
        return;
    for (uint32_t i = 0; i < a->nguests; i++)
        policy_free(a->guests[i].policy);
    config_deinit(&a->config);
    mem_free(a);
}
