/* netfile.c: the files beneath /net: their names, and those of them that are no plain sockets. */
#include "wasi/netfile.h"

#include <errno.h>
#include <unistd.h>

#define R(name) WASI_RIGHT_##name

/* ---- the tree ---- */

/* In a pattern `:` stands for HOST:PORT, `#` for a socket that is open, `*` for any name. What comes first counts. */
struct net_place {
    const char *pattern;
    enum world_filetype type;
    net_open *open; /* NULL: a directory */
};

static const struct net_place places[] = {
    {"", WORLD_DIRECTORY, NULL},
    {"bind", WORLD_DIRECTORY, NULL},
    {"bind/#", WORLD_DIRECTORY, NULL},
    {"bind/#/:", WORLD_REGULAR, net_open_bind},
    {"connect", WORLD_DIRECTORY, NULL},
    {"connect/#", WORLD_DIRECTORY, NULL},
    {"connect/#/:", WORLD_REGULAR, net_open_connect_it},
    {"dns", WORLD_DIRECTORY, NULL},
    {"dns/*", WORLD_REGULAR, net_open_dns},
    {"fd", WORLD_DIRECTORY, NULL},
    {"fd/#", WORLD_SOCKET_STREAM, net_open_fd},
    {"listen", WORLD_DIRECTORY, NULL},
    {"listen/#", WORLD_DIRECTORY, NULL},
    {"listen/#/*", WORLD_REGULAR, net_open_listen_on},
    {"local", WORLD_DIRECTORY, NULL},
    {"local/#", WORLD_REGULAR, net_open_local},
    {"option", WORLD_DIRECTORY, NULL},
    {"option/#", WORLD_DIRECTORY, NULL},
    {"option/#/*", WORLD_REGULAR, net_open_option},
    {"peer", WORLD_DIRECTORY, NULL},
    {"peer/#", WORLD_REGULAR, net_open_peer},
    {"poll", WORLD_CHAR_DEVICE, net_open_poll},
    {"tcp", WORLD_DIRECTORY, NULL},
    {"tcp/accept", WORLD_DIRECTORY, NULL},
    {"tcp/accept/#", WORLD_SOCKET_STREAM, net_open_accept},
    {"tcp/listen", WORLD_DIRECTORY, NULL},
    {"tcp/listen/:", WORLD_SOCKET_STREAM, net_open_listen},
    {"tcp/new", WORLD_DIRECTORY, NULL},
    {"tcp/new/inet", WORLD_SOCKET_STREAM, net_open_new},
    {"tcp/new/inet6", WORLD_SOCKET_STREAM, net_open_new},
    {"tcp/shutdown", WORLD_DIRECTORY, NULL},
    {"tcp/shutdown/#", WORLD_DIRECTORY, NULL},
    {"tcp/shutdown/#/rd", WORLD_REGULAR, net_open_shutdown},
    {"tcp/shutdown/#/rdwr", WORLD_REGULAR, net_open_shutdown},
    {"tcp/shutdown/#/wr", WORLD_REGULAR, net_open_shutdown},
    {"tcp/:", WORLD_SOCKET_STREAM, net_open_connect},
    {"tls", WORLD_DIRECTORY, NULL},
    {"tls/start", WORLD_DIRECTORY, NULL},
    {"tls/start/#", WORLD_DIRECTORY, NULL},
    {"tls/start/#/*", WORLD_REGULAR, net_open_tls_start},
    {"tls/:", WORLD_SOCKET_STREAM, net_open_tls},
    {"udp", WORLD_DIRECTORY, NULL},
    {"udp/listen", WORLD_DIRECTORY, NULL},
    {"udp/listen/:", WORLD_SOCKET_DGRAM, net_open_udp_listen},
    {"udp/new", WORLD_DIRECTORY, NULL},
    {"udp/new/inet", WORLD_SOCKET_DGRAM, net_open_new},
    {"udp/new/inet6", WORLD_SOCKET_DGRAM, net_open_new},
    {"udp/:", WORLD_SOCKET_DGRAM, net_open_udp},
};
enum { NPLACES = sizeof places / sizeof *places };
static const char option_place[] = "option/#";

static const char *const options[] = {
#define X(name) #name,
    WORLD_SOCKOPTS(X)
#undef X
};

const char *netfile_option_name(uint32_t i) {
    return i < sizeof options / sizeof *options ? options[i] : NULL;
}

bool netfile_option(const char *name, enum world_sockopt *out) {
    for (uint32_t i = 0; netfile_option_name(i); i++) {
        if (strcmp(name, netfile_option_name(i)) == 0) {
            *out = (enum world_sockopt)i;
            return true;
        }
    }
    return false;
}

bool net_who_parse(const char *text, bool *by_id, uint64_t *number) {
    *by_id = *text == '@';
    text += *by_id;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 18 || text[n])
        return false;
    *number = 0;
    for (; *text; text++)
        *number = *number * 10 + (uint64_t)(*text - '0');
    return true;
}

static bool is_socket(const struct desc *d) {
    return d->filetype == WASI_FILETYPE_SOCKET_STREAM || d->filetype == WASI_FILETYPE_SOCKET_DGRAM;
}

struct desc *net_who(struct wasi *w, bool by_id, uint64_t number, uint32_t *hint, int64_t *r) {
    struct desc *found = NULL;
    if (!by_id) {
        found = number < w->cap && w->fds[number].open ? &w->fds[number] : NULL;
    } else if (number != 0) {
        if (hint && *hint < w->cap && w->fds[*hint].id == number)
            found = &w->fds[*hint];
        for (uint32_t i = 0; !found && i < w->cap; i++)
            if (w->fds[i].open && w->fds[i].id == number)
                found = &w->fds[i];
    }
    if (!found || !is_socket(found)) {
        *r = found ? -ENOTSOCK : -ENOENT;
        return NULL;
    }
    if (hint)
        *hint = wasi_desc_number(w, found);
    return found;
}

bool net_address_parse(const char *text, struct net_address *out) {
    const char *host = text, *end, *colon = strrchr(text, ':');
    if (!colon || !colon[1] || strlen(colon + 1) >= sizeof out->port)
        return false;
    end = colon;
    if (*host == '[') {
        if (colon == host || colon[-1] != ']')
            return false;
        host++, end--;
    } else if (memchr(host, ':', (size_t)(colon - host))) {
        return false; /* an IPv6 address without brackets, or none at all */
    }
    size_t n = (size_t)(end - host);
    if (n >= sizeof out->host)
        return false;
    memcpy(out->host, host, n);
    out->host[n] = '\0';
    memcpy(out->port, colon + 1, strlen(colon));
    return true;
}

/* ---- names ---- */

static bool matches(const struct net_name *name, const char *pattern) {
    for (uint32_t i = 0; i < name->n; i++) {
        size_t n = strcspn(pattern, "/");
        bool any, ok;
        uint64_t number;
        struct net_address address;
        switch (n == 1 ? *pattern : 0) {
        case '*': ok = true; break;
        case '#': ok = net_who_parse(name->part[i], &any, &number); break;
        case ':': ok = net_address_parse(name->part[i], &address); break;
        default: ok = n > 0 && strncmp(name->part[i], pattern, n) == 0 && !name->part[i][n];
        }
        if (!ok)
            return false;
        pattern += n + (pattern[n] == '/');
    }
    return !*pattern;
}

/* Takes `path` in `dir` apart. Names are resolved as text: there are no links here. */
static int64_t split(struct net_name *name, const struct desc *dir, const char *path) {
    if (path[0] == '/')
        return -EPERM;
    const size_t prefix = sizeof "/net" - 1;
    must(strncmp(dir->path, "/net", prefix) == 0);
    size_t n = strlen(dir->path + prefix), m = strlen(path);
    must(n + m + 2 <= sizeof name->text);
    memcpy(name->text, dir->path + prefix, n);
    name->text[n] = '/';
    memcpy(name->text + n + 1, path, m + 1);

    name->n = 0;
    name->directory = false;
    for (char *p = name->text; *p;) {
        char *end = p + strcspn(p, "/");
        const bool last = !*end;
        *end = '\0';
        name->directory = !*p || strcmp(p, ".") == 0 || strcmp(p, "..") == 0;
        if (strcmp(p, "..") == 0) {
            if (name->n == 0)
                return -EPERM;
            name->n--;
        } else if (!name->directory) {
            if (name->n == NET_MAX_PARTS)
                return -ENOENT;
            name->part[name->n++] = p;
        }
        name->directory |= !last;
        p = last ? end : end + 1;
    }
    return 0;
}

static int64_t find(struct wasi *w, const struct desc *dir, const char *path, struct net_name *name) {
    int64_t r = split(name, dir, path);
    if (r)
        return r;
    uint32_t i = 0;
    while (i < NPLACES && !matches(name, places[i].pattern))
        i++;
    if (i == NPLACES)
        return -ENOENT;
    name->place = &places[i];
    if (name->directory && name->place->open)
        return -ENOTDIR;
    const char *p = name->place->pattern;
    for (uint32_t k = 0; k < name->n; k++) {
        bool by_id;
        uint64_t number;
        if (*p == '#') {
            must(net_who_parse(name->part[k], &by_id, &number));
            struct desc *who = net_who(w, by_id, number, NULL, &r);
            if (!who)
                return r;
            name->who = wasi_desc_number(w, who);
        }
        p += strcspn(p, "/");
        p += *p == '/';
    }
    enum world_sockopt option;
    if (name->place->open == net_open_option && !netfile_option(name->part[2], &option))
        return -ENOENT;
    return 0;
}

/* ---- attributes and listings ---- */

static struct world_stat stat_of(enum world_filetype type, uint64_t size) {
    return (struct world_stat){.nlink = 1, .size = size, .type = type};
}

int64_t wasi_net_stat_at(struct wasi *w, const struct desc *dir, const char *path, struct world_stat *out) {
    struct net_name name;
    int64_t r = find(w, dir, path, &name);
    if (r)
        return r;
    enum world_filetype type = name.place->type;
    if (name.place->open == net_open_fd && w->fds[name.who].filetype == WASI_FILETYPE_SOCKET_DGRAM)
        type = WORLD_SOCKET_DGRAM;
    *out = stat_of(type, 0);
    out->ino = (uint64_t)(name.place - places) + 1;
    return 0;
}

int64_t wasi_net_stat(struct wasi *w, const struct desc *d, struct world_stat *out) {
    static const enum world_filetype types[] = {
        [NET_DIRECTORY] = WORLD_DIRECTORY,
        [NET_TEXT] = WORLD_REGULAR,
        [NET_OPTION] = WORLD_REGULAR,
        [NET_POLL] = WORLD_CHAR_DEVICE,
    };
    if (d->net->kind == NET_DIRECTORY)
        return wasi_net_stat_at(w, d, ".", out);
    *out = stat_of(types[d->net->kind], d->net->text.size);
    return 0;
}

/* The name, in the directory `dir` of the tree, of place `i`; NULL when that is not in it or has no name of its own. */
static const char *child(const char *dir, uint32_t i) {
    const char *p = places[i].pattern;
    size_t n = strlen(dir);
    if (strncmp(p, dir, n) != 0 || !p[n] || (n > 0 && p[n] != '/'))
        return NULL;
    p += n + (n > 0);
    return strpbrk(p, "/:#*") ? NULL : p;
}

int64_t wasi_net_list(struct wasi *w, const struct desc *d, uint64_t cookie,
                      bool (*each)(void *, const struct world_dirent *), void *arg) {
    struct net_name name;
    int64_t r = find(w, d, ".", &name);
    if (r)
        return r;
    const char *dir = name.place->pattern;
    const uint64_t self = (uint64_t)(name.place - places) + 1;
    uint64_t at = 0;
    for (uint32_t i = 0; i < 2; i++)
        if (at++ >= cookie && !each(arg, &(struct world_dirent){at, self, WORLD_DIRECTORY, i ? ".." : "."}))
            return 0;
    for (uint32_t i = 0; i < NPLACES; i++)
        if (child(dir, i) && at++ >= cookie &&
            !each(arg, &(struct world_dirent){at, i + 1, places[i].type, child(dir, i)}))
            return 0;
    for (uint32_t i = 0; strcmp(dir, option_place) == 0 && netfile_option_name(i); i++)
        if (at++ >= cookie && !each(arg, &(struct world_dirent){at, self, WORLD_REGULAR, netfile_option_name(i)}))
            return 0;
    return 0;
}

/* ---- opening ---- */

struct net_file *net_file_alloc(enum net_kind kind) {
    struct net_file *f = mem_zalloc(sizeof *f);
    f->kind = kind;
    buf_init(&f->text, NET_TEXT_MAX);
    return f;
}

int64_t net_file_new(struct wasi *w, enum net_kind kind, const struct abi_path_open *a, struct desc **out) {
    static const struct {
        uint8_t filetype;
        uint64_t applicable, never; /* rights; those that make sense elsewhere, but not here */
    } kinds[] = {
        [NET_TEXT] = {WASI_FILETYPE_REGULAR_FILE,
                      R(FD_READ) | R(FD_WRITE) | R(FD_SEEK) | R(FD_TELL) | R(FD_FILESTAT_GET) | R(POLL_FD_READWRITE),
                      R(FD_WRITE)},
        [NET_OPTION] = {WASI_FILETYPE_REGULAR_FILE,
                        R(FD_READ) | R(FD_WRITE) | R(FD_SEEK) | R(FD_TELL) | R(FD_FILESTAT_GET) | R(POLL_FD_READWRITE),
                        0},
        [NET_POLL] = {WASI_FILETYPE_CHARACTER_DEVICE, R(FD_READ) | R(FD_WRITE) | R(FD_FILESTAT_GET), 0},
    };
    struct desc *d;
    int64_t r = wasi_desc_new_bare(w, kinds[kind].filetype, &d);
    if (r < 0)
        return r;
    d->applicable = kinds[kind].applicable;
    d->base = a->rights_base & d->applicable & ~kinds[kind].never;
    d->flags = (uint16_t)a->fdflags;
    d->net = net_file_alloc(kind);
    *out = d;
    return 0;
}

static int64_t new_directory(struct wasi *w, struct desc **out) {
    struct desc *d;
    int64_t r = wasi_desc_new_bare(w, WASI_FILETYPE_DIRECTORY, &d);
    if (r < 0)
        return r;
    /* not those that would do something to a handle */
    d->applicable = wasi_rights_of(WORLD_DIRECTORY) &
                    ~(uint64_t)(R(FD_DATASYNC) | R(FD_SYNC) | R(FD_ADVISE) | R(FD_FDSTAT_SET_FLAGS) |
                                R(FD_FILESTAT_SET_TIMES) | R(POLL_FD_READWRITE));
    d->base = d->applicable;
    d->inheriting = ((uint64_t)R(SOCK_ACCEPT) << 1) - 1;
    d->net = net_file_alloc(NET_DIRECTORY);
    *out = d;
    return 0;
}

int64_t wasi_net_root(struct wasi *w, struct desc **out) {
    return new_directory(w, out);
}

static int64_t open_directory(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                              struct desc **out) {
    if (a->oflags & (WASI_O_CREAT | WASI_O_TRUNC) || (a->rights_base & R(FD_WRITE) && !(a->oflags & WASI_O_DIRECTORY)))
        return -EISDIR;
    struct desc *d;
    int64_t r = new_directory(w, &d);
    if (r < 0)
        return r;
    struct buf path;
    buf_init(&path, WASI_MAX_PATH);
    buf_print(&path, "/net");
    for (uint32_t i = 0; i < name->n; i++)
        buf_print(&path, "/%s", name->part[i]);
    d->path = mem_strdup(buf_cstr(&path));
    buf_deinit(&path);
    d->base &= a->rights_base;
    d->inheriting &= a->rights_inheriting;
    d->flags = (uint16_t)a->fdflags;
    *out = d;
    return 0;
}

int64_t wasi_net_open(struct wasi *w, const struct desc *dir, const char *path, struct abi_path_open *a) {
    struct net_name name;
    const struct grant *grant = dir->grant;
    struct desc *d;
    int64_t r = find(w, dir, path, &name); /* after which `dir` may move */
    if (r)
        return r;
    /* Nothing is made here, but whatever can be opened is there. */
    if ((a->oflags & (WASI_O_CREAT | WASI_O_EXCL)) == (WASI_O_CREAT | WASI_O_EXCL))
        return -EEXIST;
    if (!name.place->open)
        r = open_directory(w, &name, a, &d);
    else
        r = a->oflags & WASI_O_DIRECTORY ? -ENOTDIR : name.place->open(w, &name, a, &d);
    if (r < 0)
        return r;
    d->grant = grant;
    a->opened_fd = wasi_desc_number(w, d);
    return 0;
}

void wasi_net_free(struct desc *d) {
    if (!d->net)
        return;
    buf_deinit(&d->net->text);
    net_poll_free(d->net->poll);
    mem_free(d->net);
    d->net = NULL;
}

/* ---- reading and writing ---- */

size_t net_scatter(const struct abi_iovs *to, const void *from, size_t n) {
    size_t done = 0;
    for (uint32_t i = 0; i < to->n && done < n; i++) {
        size_t part = to->iov[i].iov_len < n - done ? to->iov[i].iov_len : n - done;
        memcpy(to->iov[i].iov_base, (const char *)from + done, part);
        done += part;
    }
    return done;
}

size_t net_gather(const struct abi_iovs *from, void *to, size_t n) {
    size_t done = 0;
    for (uint32_t i = 0; i < from->n && done < n; i++) {
        size_t part = from->iov[i].iov_len < n - done ? from->iov[i].iov_len : n - done;
        memcpy((char *)to + done, from->iov[i].iov_base, part);
        done += part;
    }
    return done;
}

/* One datagram, after a line that says from whom. What there is no room for is lost, as it is with any datagram. */
static int64_t receive(struct wasi *w, struct desc *d, const struct abi_iovs *to) {
    char *whole = mem_alloc(ADDR_TEXT_MAX + 1 + NET_DATAGRAM_MAX), text[ADDR_TEXT_MAX];
    char *payload = whole + ADDR_TEXT_MAX + 1;
    struct iovec iov = {payload, NET_DATAGRAM_MAX};
    struct addr from = {0};
    uint32_t flags = 0;
    int64_t r = OP(w, recv, d->handle, &iov, 1, &flags, &from);
    if (r >= 0) {
        addr_print(&from, text);
        size_t n = strlen(text);
        char *start = payload - n - 1;
        memcpy(start, text, n);
        start[n] = '\n';
        r = (int64_t)net_scatter(to, start, n + 1 + (size_t)r);
    }
    mem_free(whole);
    return r;
}

static int64_t send_datagram(struct wasi *w, struct desc *d, const struct abi_iovs *from) {
    if (from->size > ADDR_TEXT_MAX + NET_DATAGRAM_MAX)
        return -EMSGSIZE;
    char *whole = mem_alloc(from->size + 1);
    size_t n = net_gather(from, whole, from->size);
    char *end = memchr(whole, '\n', n);
    const bool connected = end == whole; /* an empty line: to whom it is connected */
    struct addr to;
    int64_t r = -EDESTADDRREQ;
    if (end) {
        *end = '\0';
        r = connected || (addr_parse(whole, &to) && strlen(whole) == (size_t)(end - whole)) ? 0 : -EINVAL;
    }
    while (r == 0) {
        struct iovec iov = {end + 1, n - (size_t)(end + 1 - whole)};
        r = OP(w, send, d->handle, &iov, 1, connected ? NULL : &to);
        if (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK)) {
            r = wasi_wait_for(w, d, WORLD_WRITABLE);
            r = r > 0 ? 0 : r;
        } else if (r == -EINTR) {
            r = 0;
        } else {
            r = r < 0 ? r : (int64_t)n;
            break;
        }
    }
    mem_free(whole);
    return r;
}

static int64_t set_option(struct wasi *w, struct net_file *f, const struct abi_iovs *from) {
    char text[32];
    int64_t r, value = 0;
    size_t n = net_gather(from, text, sizeof text - 1);
    text[n] = '\0';
    if (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    const bool negative = text[0] == '-';
    const char *p = text + negative;
    if (from->size > n + 1 || !*p || strlen(p) > 18 || p[strspn(p, "0123456789")])
        return -EINVAL;
    for (; *p; p++)
        value = value * 10 + (*p - '0');
    struct desc *d = net_who(w, true, f->socket, NULL, &r);
    if (!d)
        return -ENOTCONN;
    r = OP(w, set_option, d->handle, f->option, negative ? -value : value);
    return r < 0 ? r : from->size;
}

int64_t wasi_net_pread(struct wasi *w, struct desc *d, const struct abi_iovs *to, uint64_t offset) {
    (void)w;
    const struct buf *text = &d->net->text;
    if (offset >= text->size)
        return 0;
    return (int64_t)net_scatter(to, text->data + offset, text->size - offset);
}

int64_t wasi_net_read(struct wasi *w, struct desc *d, const struct abi_iovs *to) {
    struct net_file *f = d->net;
    switch (f->kind) {
    case NET_DIRECTORY: return -EISDIR;
    case NET_DATAGRAMS: return receive(w, d, to);
    case NET_POLL: return net_poll_read(w, f->poll, !(d->flags & WASI_FDFLAG_NONBLOCK), to);
    case NET_TEXT:
    case NET_OPTION: break;
    }
    int64_t r = wasi_net_pread(w, d, to, f->offset);
    f->offset += (uint64_t)r;
    return r;
}

int64_t wasi_net_write(struct wasi *w, struct desc *d, const struct abi_iovs *from) {
    switch (d->net->kind) {
    case NET_DATAGRAMS: return send_datagram(w, d, from);
    case NET_POLL: return net_poll_write(w, d->net->poll, from);
    case NET_OPTION: return set_option(w, d->net, from);
    case NET_DIRECTORY:
    case NET_TEXT: break;
    }
    return -EBADF;
}

int64_t wasi_net_seek(struct wasi *w, struct desc *d, int64_t offset, int whence) {
    (void)w;
    struct net_file *f = d->net;
    int64_t base = whence == SEEK_SET ? 0 : (int64_t)(whence == SEEK_CUR ? f->offset : f->text.size), to;
    if (__builtin_add_overflow(base, offset, &to) || to < 0)
        return -EINVAL;
    f->offset = (uint64_t)to;
    return to;
}
