/* show.c: parameters as a person reads them, or as JSON. */
#include "abi/show.h"

#include "base/must.h"

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* The length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_length(const uint8_t *p, const uint8_t *end) {
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] >= 0x90))
        return 0;
    return n;
}

static bool is_utf8(struct span s) {
    for (size_t i = 0; i < s.size;) {
        size_t n = utf8_length(s.data + i, s.data + s.size);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static void json_string(struct buf *b, struct span s) {
    buf_byte(b, '"');
    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];
        if (c == '"' || c == '\\')
            buf_print(b, "\\%c", c);
        else if (c == '\n')
            buf_print(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_print(b, "\\u%04x", c);
        else
            buf_byte(b, c);
    }
    buf_byte(b, '"');
}

static void base64(struct buf *b, struct span s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.size; i += 3) {
        size_t left = s.size - i;
        uint32_t v =
            (uint32_t)s.data[i] << 16 | (left > 1 ? (uint32_t)s.data[i + 1] << 8 : 0) | (left > 2 ? s.data[i + 2] : 0);
        uint8_t out[4] = {
            (uint8_t)digits[v >> 18],
            (uint8_t)digits[v >> 12 & 63],
            left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=',
            left > 2 ? (uint8_t)digits[v & 63] : '=',
        };
        buf_append(b, out, 4);
    }
}

static void c_string(struct buf *b, struct span s) {
    static const char escapes[] = "\n\r\t\"\\", letters[] = "nrt\"\\";
    buf_byte(b, '"');
    for (size_t i = 0; i < s.size;) {
        const uint8_t *p = s.data + i;
        const char *e = *p ? strchr(escapes, *p) : NULL;
        size_t n = utf8_length(p, s.data + s.size);
        if (e)
            buf_print(b, "\\%c", letters[e - escapes]);
        else if (n == 0 || *p < 0x20 || *p == 0x7f)
            buf_print(b, "\\x%02x", *p);
        else
            buf_append(b, p, n);
        i += n ? n : 1;
    }
    buf_byte(b, '"');
}

void abi_show_bytes(struct abi_text *t, struct span bytes) {
    if (t->json) {
        if (is_utf8(bytes)) {
            json_string(t->out, bytes);
        } else {
            buf_print(t->out, "{\"base64\":\"");
            base64(t->out, bytes);
            buf_print(t->out, "\"}");
        }
        return;
    }
    bool cut = t->width != 0 && bytes.size > t->width;
    size_t n = cut ? t->width : bytes.size;
    while (cut && n > t->width - 3 && n > 0 && (bytes.data[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    c_string(t->out, SPAN(bytes.data, n));
    if (cut)
        buf_print(t->out, "...");
}

void abi_show_text(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    abi_show_bytes(t, value);
}

void abi_show_blob(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    abi_show_bytes(t, value);
}

void abi_show_strings(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    buf_byte(t->out, '[');
    for (size_t i = 0; i < value.size;) {
        size_t n = strnlen((const char *)value.data + i, value.size - i);
        buf_print(t->out, i == 0 ? "" : t->json ? "," : ", ");
        abi_show_bytes(t, SPAN(value.data + i, n));
        i += n + 1;
    }
    buf_byte(t->out, ']');
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static uint64_t number(const struct abi_kind *k, struct span value) {
    must(value.size == 8);
    uint64_t v = get_u64(value.data);
    return k->bytes == 8 ? v : (uint32_t)v;
}

void abi_show_uint(struct abi_text *t, const struct abi_kind *k, struct span value) {
    buf_print(t->out, "%llu", (unsigned long long)number(k, value));
}

void abi_show_sint(struct abi_text *t, const struct abi_kind *k, struct span value) {
    uint64_t v = number(k, value);
    buf_print(t->out, "%lld", k->bytes == 8 ? (long long)v : (long long)(int32_t)v);
}

void abi_show_hex(struct abi_text *t, const struct abi_kind *k, struct span value) {
    buf_print(t->out, t->json ? "\"0x%llx\"" : "0x%llx", (unsigned long long)number(k, value));
}

static void put_name(struct abi_text *t, const struct abi_names *names, uint64_t v) {
    for (uint32_t i = 0; i < names->n; i++)
        if (names->list[i].value == v) {
            buf_print(t->out, t->json ? "\"%s\"" : "%s", names->list[i].name);
            return;
        }
    buf_print(t->out, "%llu", (unsigned long long)v);
}

/* Many flags are shown by those that are missing: ~A|B. */
static void put_flags(struct abi_text *t, const struct abi_names *names, uint64_t v) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < names->n; i++)
        all |= names->list[i].value;
    bool inverse = names->n > 4 && (v & ~all) == 0 && __builtin_popcountll(v) > __builtin_popcountll(all & ~v);
    if (t->json)
        buf_byte(t->out, '"');
    if (inverse && v == all) {
        buf_print(t->out, "ALL");
    } else if (v == 0) {
        buf_print(t->out, "0");
    } else {
        uint64_t left = inverse ? all & ~v : v;
        const char *before = inverse ? "~" : "";
        for (uint32_t i = 0; i < names->n; i++)
            if (left & names->list[i].value) {
                buf_print(t->out, "%s%s", before, names->list[i].name);
                left &= ~names->list[i].value;
                before = "|";
            }
        if (left)
            buf_print(t->out, "%s0x%llx", before, (unsigned long long)left);
    }
    if (t->json)
        buf_byte(t->out, '"');
}

void abi_show_name(struct abi_text *t, const struct abi_kind *k, struct span value) {
    put_name(t, k->names, number(k, value));
}

void abi_show_flags(struct abi_text *t, const struct abi_kind *k, struct span value) {
    put_flags(t, k->names, number(k, value));
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* Starts the next field of the record that begins at `start` in the output. */
static void field(struct abi_text *t, size_t start, const char *name) {
    const char *comma = t->out->size == start ? "" : t->json ? "," : ", ";
    buf_print(t->out, t->json ? "%s\"%s\":" : "%s%s=", comma, name);
}

static void field_u64(struct abi_text *t, size_t start, const char *name, uint64_t v) {
    field(t, start, name);
    buf_print(t->out, "%llu", (unsigned long long)v);
}

static size_t open_record(struct abi_text *t) {
    buf_byte(t->out, '{');
    return t->out->size;
}

static void close_record(struct abi_text *t) {
    buf_byte(t->out, '}');
}

/* A record whose size is not what it should be is shown as it is. */
#define COPY_RECORD(t, type, var, value) \
    struct type var;                     \
    if ((value).size != sizeof var) {    \
        abi_show_bytes(t, value);        \
        return;                          \
    }                                    \
    memcpy(&var, (value).data, sizeof var)

void abi_show_fdstat(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    COPY_RECORD(t, wasi_fdstat, s, value);
    size_t start = open_record(t);
    field(t, start, "type");
    put_name(t, &abi_names_FILETYPE, s.filetype);
    field(t, start, "flags");
    put_flags(t, &abi_names_FDFLAGS, s.flags);
    field(t, start, "rights_base");
    put_flags(t, &abi_names_RIGHTS, s.rights_base);
    field(t, start, "rights_inheriting");
    put_flags(t, &abi_names_RIGHTS, s.rights_inheriting);
    close_record(t);
}

static void put_filestat(struct abi_text *t, const struct wasi_filestat *s) {
    size_t start = open_record(t);
    field(t, start, "type");
    put_name(t, &abi_names_FILETYPE, s->filetype);
    field_u64(t, start, "size", s->size);
    field_u64(t, start, "nlink", s->nlink);
    field_u64(t, start, "dev", s->dev);
    field_u64(t, start, "ino", s->ino);
    field_u64(t, start, "atim", s->atim);
    field_u64(t, start, "mtim", s->mtim);
    field_u64(t, start, "ctim", s->ctim);
    close_record(t);
}

void abi_show_filestat(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    COPY_RECORD(t, wasi_filestat, s, value);
    put_filestat(t, &s);
}

void abi_show_unstable_filestat(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    COPY_RECORD(t, wasi_unstable_filestat, s, value);
    put_filestat(t, &(struct wasi_filestat){
                        .dev = s.dev,
                        .ino = s.ino,
                        .filetype = s.filetype,
                        .nlink = s.nlink,
                        .size = s.size,
                        .atim = s.atim,
                        .mtim = s.mtim,
                        .ctim = s.ctim,
                    });
}

void abi_show_prestat(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    COPY_RECORD(t, wasi_prestat, s, value);
    size_t start = open_record(t);
    field(t, start, "type");
    put_name(t, &abi_names_PREOPENTYPE, s.type);
    field_u64(t, start, "name_len", s.name_len);
    close_record(t);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

void abi_show_dirents(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    buf_byte(t->out, '[');
    for (size_t i = 0; i < value.size;) {
        struct wasi_dirent d;
        buf_print(t->out, i == 0 ? "" : t->json ? "," : ", ");
        if (value.size - i < sizeof d) {
            abi_show_bytes(t, SPAN(value.data + i, value.size - i));
            break;
        }
        memcpy(&d, value.data + i, sizeof d);
        i += sizeof d;
        size_t n = value.size - i < d.namlen ? value.size - i : d.namlen;
        size_t start = open_record(t);
        field(t, start, "name");
        abi_show_bytes(t, SPAN(value.data + i, n));
        field(t, start, "type");
        put_name(t, &abi_names_FILETYPE, d.type);
        field_u64(t, start, "ino", d.ino);
        field_u64(t, start, "next", d.next);
        close_record(t);
        i += n;
    }
    buf_byte(t->out, ']');
}

static void put_subscription(struct abi_text *t, const struct wasi_subscription *s) {
    size_t start = open_record(t);
    field_u64(t, start, "userdata", s->userdata);
    field(t, start, "type");
    put_name(t, &abi_names_EVENTTYPE, s->type);
    if (s->type == WASI_EVENT_CLOCK) {
        field(t, start, "clock");
        put_name(t, &abi_names_CLOCKID, s->u.clock.id);
        field_u64(t, start, "timeout", s->u.clock.timeout);
        field_u64(t, start, "precision", s->u.clock.precision);
        field(t, start, "flags");
        put_flags(t, &abi_names_SUBCLOCKFLAGS, s->u.clock.flags);
    } else {
        field_u64(t, start, "fd", s->u.fd);
    }
    close_record(t);
}

void abi_show_subscriptions(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    struct wasi_subscription s;
    buf_byte(t->out, '[');
    for (size_t i = 0; i + sizeof s <= value.size; i += sizeof s) {
        memcpy(&s, value.data + i, sizeof s);
        buf_print(t->out, i == 0 ? "" : t->json ? "," : ", ");
        put_subscription(t, &s);
    }
    buf_byte(t->out, ']');
}

void abi_show_unstable_subscriptions(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    struct wasi_unstable_subscription u;
    buf_byte(t->out, '[');
    for (size_t i = 0; i + sizeof u <= value.size; i += sizeof u) {
        memcpy(&u, value.data + i, sizeof u);
        struct wasi_subscription s = {.userdata = u.userdata, .type = u.type};
        if (u.type == WASI_EVENT_CLOCK) {
            s.u.clock.id = u.u.clock.id;
            s.u.clock.timeout = u.u.clock.timeout;
            s.u.clock.precision = u.u.clock.precision;
            s.u.clock.flags = u.u.clock.flags;
        } else {
            s.u.fd = u.u.fd;
        }
        buf_print(t->out, i == 0 ? "" : t->json ? "," : ", ");
        put_subscription(t, &s);
    }
    buf_byte(t->out, ']');
}

void abi_show_events(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    struct wasi_event e;
    buf_byte(t->out, '[');
    for (size_t i = 0; i + sizeof e <= value.size; i += sizeof e) {
        memcpy(&e, value.data + i, sizeof e);
        buf_print(t->out, i == 0 ? "" : t->json ? "," : ", ");
        size_t start = open_record(t);
        field_u64(t, start, "userdata", e.userdata);
        field(t, start, "error");
        buf_print(t->out, t->json ? "\"%s\"" : "%s", e.error == 0 ? "0" : abi_errno_name(e.error));
        field(t, start, "type");
        put_name(t, &abi_names_EVENTTYPE, e.type);
        if (e.type != WASI_EVENT_CLOCK) {
            field_u64(t, start, "nbytes", e.nbytes);
            field(t, start, "flags");
            put_flags(t, &abi_names_EVENTRWFLAGS, e.flags);
        }
        close_record(t);
    }
    buf_byte(t->out, ']');
}

/* ---- sockets ----------------------------------------------------------------------------------------------------- */

void abi_show_name_text(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    while (value.size && value.data[value.size - 1] == '\0')
        value.size--;
    abi_show_bytes(t, value);
}

static void put_address(struct abi_text *t, const struct addr *a, bool port) {
    char text[ADDR_TEXT_MAX];
    if (a->family == ADDR_UNIX) { /* a path can be any bytes */
        struct buf b;
        buf_init(&b, ADDR_TEXT_MAX);
        buf_print(&b, "unix:%s", a->path);
        if (t->json)
            abi_show_bytes(t, buf_span(&b));
        else
            c_string(t->out, buf_span(&b));
        buf_deinit(&b);
        return;
    }
    buf_print(t->out, t->json ? "\"%s\"" : "%s", port ? addr_print(a, text) : addr_print_ip(a, text));
}

void abi_show_address_port(struct abi_text *t, struct span address, const uint64_t *port) {
    struct addr a;
    if (abi_addr_read(address, port ? (uint32_t)*port : 0, &a)) {
        put_address(t, &a, port != NULL);
    } else if (address.size == 0 || (address.size == 2 && get_u16(address.data) == WASI_FAMILY_UNSPEC)) {
        buf_print(t->out, t->json ? "null" : "none");
    } else {
        abi_show_bytes(t, address);
    }
}

void abi_show_address(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    abi_show_address_port(t, value, NULL);
}

/* Words, or one or two numbers: nobody says how large an option is. */
void abi_show_option(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    bool words = value.size > 0;
    for (size_t i = 0; i < value.size && words; i++)
        words = value.data[i] >= ' ' && value.data[i] < 0x7f;
    if (words || (value.size != 4 && value.size != 8 && value.size != 16))
        abi_show_bytes(t, value);
    else if (value.size == 4)
        buf_print(t->out, "%d", (int)get_u32(value.data));
    else if (value.size == 8)
        buf_print(t->out, t->json ? "[%d,%d]" : "{%d, %d}", (int)get_u32(value.data), (int)get_u32(value.data + 4));
    else
        buf_print(t->out, t->json ? "[%lld,%lld]" : "{%lld, %lld}", (long long)get_u64(value.data),
                  (long long)get_u64(value.data + 8));
}

void abi_show_hints(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    COPY_RECORD(t, wasi_addrinfo, h, value);
    size_t start = open_record(t);
    field(t, start, "flags");
    put_flags(t, &abi_names_AIFLAGS, h.flags);
    field(t, start, "family");
    put_name(t, &abi_names_FAMILY, h.family);
    field(t, start, "socktype");
    put_name(t, &abi_names_SOCKTYPE, h.socktype);
    field(t, start, "protocol");
    put_name(t, &abi_names_IPPROTO, (uint8_t)h.protocol);
    close_record(t);
}

void abi_show_found(struct abi_text *t, const struct abi_kind *k, struct span value) {
    (void)k;
    struct abi_found f;
    struct span left = value, name;
    buf_byte(t->out, '[');
    while (abi_found_next(&left, &f, &name)) {
        struct addr a = {.family = f.family == WASI_FAMILY_INET ? ADDR_INET : ADDR_INET6, .port = f.port};
        memcpy(a.ip, f.ip, a.family == ADDR_INET ? 4 : 16);
        if (t->out->data[t->out->size - 1] != '[')
            buf_print(t->out, t->json ? "," : ", ");
        size_t start = open_record(t);
        field(t, start, "addr");
        put_address(t, &a, true);
        field(t, start, "socktype");
        put_name(t, &abi_names_SOCKTYPE, f.socktype);
        if (name.size) {
            field(t, start, "name");
            abi_show_bytes(t, name);
        }
        close_record(t);
    }
    buf_byte(t->out, ']');
}

/* ---- whole values ------------------------------------------------------------------------------------------------ */

void abi_show_value(struct abi_text *t, enum abi_kind_id kind, uint64_t value) {
    const struct abi_kind *k = abi_kind(kind);
    uint8_t bytes[8];
    put_u64(bytes, value);
    k->show(t, k, SPAN(bytes, sizeof bytes));
}

const char *abi_errno_name(uint32_t e) {
#define X(name, value, words) "E" #name,
    static const char *const names[] = {WASI_ERRNO(X)};
#undef X
    return e < sizeof names / sizeof names[0] ? names[e] : "?";
}

const char *abi_errno_words(uint32_t e) {
    return e < abi_names_ERRNO.n ? abi_names_ERRNO.list[e].words : "?";
}

void abi_show_result(struct abi_text *t, const struct abi_call *c, uint64_t result) {
    if (c->result == ABI_RESULT_ERRNO && result != 0 && result < abi_names_ERRNO.n)
        buf_print(t->out, t->json ? "\"%s\"" : "%s", abi_errno_name((uint32_t)result));
    else
        buf_print(t->out, "%llu", (unsigned long long)result);
}
