/* Every import with every argument: random numbers over random guest memory, recorded, then replayed.
 *
 * The implementations are the real ones over a world that does nothing and answers at random.  Guest memory is one page
 * with a guard page behind it, so that whatever is read or written beyond it is a crash; replay must come to the same
 * answers and the same memory.
 *
 * An input is a number of calls, then the calls (an import, two bytes for each of its Wasm parameters), and the rest is
 * what lies at both ends of memory: the pieces, addresses, lists and paths to which arguments may point. */
#include "base/must.h"
#include "base/prng.h"
#include "guest/internal.h"
#include "guest/show.h"
#include "tape.h"
#include "wasi/wasi.h"

#include <errno.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_CALLS = 12, MAX_IMPORTS = 128, MOST_BYTES = 3000 };

/* ---- a world without effects ---- */

struct dream {
    struct world world;
    struct prng random;
    uint64_t now;
    uint32_t waits; /* until somebody is stopped */
};

static uint64_t below(struct world *w, uint64_t n) {
    return prng_below(&((struct dream *)w)->random, n);
}

/* 0, or why not. */
static int maybe(struct world *w) {
    static const int errors[] = {-EAGAIN,
                                 -EINTR,
                                 -EINPROGRESS,
                                 -ENOENT,
                                 -EACCES,
                                 -EPERM,
                                 -EIO,
                                 -ECONNREFUSED,
                                 -ENOTCONN,
                                 WORLD_NAME_UNKNOWN,
                                 WORLD_NAME_SERVICE,
                                 -99999};
    return below(w, 4) ? 0 : errors[below(w, sizeof errors / sizeof *errors)];
}

static int64_t some(struct world *w, uint64_t most) {
    int r = maybe(w);
    return r ? r : (int64_t)below(w, most + 1);
}

static int64_t fill(struct world *w, const struct iovec *iov, int n) {
    uint64_t total = 0, done = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    int64_t r = some(w, below(w, 2) ? total : total < 9 ? total : 9);
    for (int i = 0; i < n && r > 0 && done < (uint64_t)r; i++) {
        uint64_t left = (uint64_t)r - done, size = iov[i].iov_len < left ? iov[i].iov_len : left;
        memset(iov[i].iov_base, (int)below(w, 256), size);
        done += size;
    }
    return r;
}

static int64_t drain(struct world *w, const struct iovec *iov, int n) {
    uint64_t total = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
        for (size_t j = 0; j < iov[i].iov_len; j++)
            sum += ((const uint8_t *)iov[i].iov_base)[j]; /* all of it is there to be read */
    }
    ((struct dream *)w)->random.state += sum;
    return below(w, 2) && total ? (int64_t)total : some(w, total);
}

static void any_address(struct world *w, struct addr *out) {
    *out = (struct addr){.family = (enum addr_family)below(w, 4), .port = (uint16_t)below(w, 65536)};
    if (out->family == ADDR_UNIX)
        memset(out->path, 'p', below(w, ADDR_MAX_PATH));
    else
        for (int i = 0; i < 16; i++)
            out->ip[i] = (uint8_t)below(w, 256);
}

static int any_handle(struct world *w) {
    int r = maybe(w);
    return r ? r : 10 + (int)below(w, 1000);
}

static void any_stat(struct world *w, int fd, struct world_stat *out) {
    static const enum world_filetype types[] = {WORLD_SOCKET_STREAM, WORLD_SOCKET_DGRAM, WORLD_REGULAR,
                                                WORLD_DIRECTORY,     WORLD_PIPE,         WORLD_TERMINAL};
    *out = (struct world_stat){.ino = (uint64_t)fd, .type = types[fd >= 0 ? fd % 6 : 2], .size = below(w, 1 << 20)};
}

#define W    struct world *w
#define U(x) (void)(x)

static int d_clock(W, enum world_clock c, uint64_t *ns) {
    U(c);
    *ns = ((struct dream *)w)->now += 1 + below(w, 1000);
    return 0;
}
static int d_clock_resolution(W, enum world_clock c, uint64_t *ns) {
    U(c);
    *ns = 1;
    return maybe(w);
}
static int d_entropy(W, void *p, size_t n) {
    memset(p, (int)below(w, 256), n);
    return 0;
}
static int d_open(W, int dir, const char *path, uint32_t flags, uint32_t mode) {
    U(dir), U(flags), U(mode);
    must(strlen(path) < WASI_MAX_PATH);
    return any_handle(w);
}
static int d_close(W, int fd) {
    U(fd);
    return maybe(w);
}
static int d_dup(W, int fd) {
    U(fd);
    return any_handle(w);
}
static int64_t d_readv(W, int fd, const struct iovec *iov, int n) {
    U(fd);
    return fill(w, iov, n);
}
static int64_t d_writev(W, int fd, const struct iovec *iov, int n) {
    U(fd);
    return drain(w, iov, n);
}
static int64_t d_preadv(W, int fd, const struct iovec *iov, int n, uint64_t offset) {
    U(fd), U(offset);
    return fill(w, iov, n);
}
static int64_t d_pwritev(W, int fd, const struct iovec *iov, int n, uint64_t offset) {
    U(fd), U(offset);
    return drain(w, iov, n);
}
static int64_t d_read_cached(W, int fd, const struct iovec *iov, int n, uint64_t offset) {
    U(fd), U(offset);
    return fill(w, iov, n);
}
static int64_t d_seek(W, int fd, int64_t offset, int whence) {
    U(fd), U(offset), U(whence);
    return some(w, INT64_MAX - 1);
}
static int d_stat(W, int fd, struct world_stat *out) {
    any_stat(w, fd, out);
    return 0;
}
static int d_stat_at(W, int dir, const char *path, uint32_t flags, struct world_stat *out) {
    U(dir), U(flags);
    any_stat(w, (int)strlen(path), out);
    return maybe(w);
}
static int d_set_flags(W, int fd, uint32_t flags) {
    U(fd), U(flags);
    return maybe(w);
}
static int d_get_flags(W, int fd, uint32_t *flags) {
    U(fd);
    *flags = (uint32_t)below(w, 128);
    return maybe(w);
}
static int d_set_size(W, int fd, uint64_t size) {
    U(fd), U(size);
    return maybe(w);
}
static int d_allocate(W, int fd, uint64_t offset, uint64_t size) {
    U(fd), U(offset), U(size);
    return maybe(w);
}
static int d_advise(W, int fd, uint64_t offset, uint64_t size, int advice) {
    U(fd), U(offset), U(size), U(advice);
    return maybe(w);
}
static int d_sync(W, int fd, bool data_only) {
    U(fd), U(data_only);
    return maybe(w);
}
static int d_set_times(W, int fd, uint64_t atim, uint64_t mtim, uint32_t which) {
    U(fd), U(atim), U(mtim), U(which);
    return maybe(w);
}
static int d_set_times_at(W, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim, uint32_t which) {
    U(dir), U(path), U(flags), U(atim), U(mtim), U(which);
    return maybe(w);
}
static int d_read_dir(W, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *), void *arg) {
    char name[300];
    U(fd);
    for (uint64_t i = 0, n = below(w, 40); i < n; i++) {
        size_t length = below(w, sizeof name);
        memset(name, 'n', length);
        name[length] = '\0';
        if (!each(arg, &(struct world_dirent){cookie + i + 1, i, WORLD_REGULAR, name}))
            return 0;
    }
    return maybe(w);
}
static int d_make_dir(W, int dir, const char *path, uint32_t flags, uint32_t mode) {
    U(dir), U(path), U(flags), U(mode);
    return maybe(w);
}
static int d_remove(W, int dir, const char *path, uint32_t flags, bool directory) {
    U(dir), U(path), U(flags), U(directory);
    return maybe(w);
}
static int d_rename(W, int dir, const char *path, int to_dir, const char *to, uint32_t flags) {
    U(dir), U(path), U(to_dir), U(to), U(flags);
    return maybe(w);
}
static int d_symlink(W, const char *target, int dir, const char *path, uint32_t flags) {
    U(target), U(dir), U(path), U(flags);
    return maybe(w);
}
static int64_t d_read_link(W, int dir, const char *path, uint32_t flags, char *out, size_t cap) {
    U(dir), U(path), U(flags);
    int64_t r = some(w, cap);
    memset(out, 'l', r > 0 ? (size_t)r : 0);
    return r;
}
static int d_socket(W, enum addr_family f, enum world_socktype t) {
    U(f), U(t);
    return any_handle(w);
}
static int d_bind(W, int fd, const struct addr *a) {
    char text[ADDR_TEXT_MAX];
    U(fd), addr_print(a, text);
    return maybe(w);
}
static int d_listen(W, int fd, int backlog) {
    U(fd), U(backlog);
    return maybe(w);
}
static int d_accept(W, int fd, uint32_t flags) {
    U(fd), U(flags);
    return any_handle(w);
}
static int64_t d_recv(W, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    U(fd);
    *flags = below(w, 2) ? WORLD_RECV_TRUNCATED : 0;
    if (from)
        any_address(w, from);
    return fill(w, iov, n);
}
static int64_t d_send(W, int fd, const struct iovec *iov, int n, const struct addr *to) {
    char text[ADDR_TEXT_MAX];
    U(fd);
    if (to)
        addr_print(to, text);
    return drain(w, iov, n);
}
static int d_shutdown(W, int fd, uint32_t how) {
    U(fd), U(how);
    return maybe(w);
}
static int d_name(W, int fd, struct addr *out) {
    U(fd);
    any_address(w, out);
    return maybe(w);
}
static int d_get_option(W, int fd, enum world_sockopt o, int64_t *value) {
    U(fd), U(o);
    *value = (int64_t)prng_next(&((struct dream *)w)->random) >> below(w, 64);
    if (o == WORLD_SO_ERROR)
        *value = -maybe(w);
    return maybe(w);
}
static int d_set_option(W, int fd, enum world_sockopt o, int64_t value) {
    U(fd), U(o), U(value);
    return maybe(w);
}
static int d_start_tls(W, int fd, const char *host) {
    U(fd);
    must(strlen(host) < WORLD_MAX_NAME);
    return maybe(w);
}
static int d_resolve(W, const struct world_query *q, struct world_found *out, int max, char *canonical) {
    must(strlen(q->name) < WORLD_MAX_NAME);
    int r = maybe(w), n = 1 + (int)below(w, (uint64_t)max);
    for (int i = 0; i < n; i++) {
        any_address(w, &out[i].addr);
        out[i].type = (enum world_socktype)below(w, 3);
    }
    if (canonical) {
        size_t length = below(w, WORLD_MAX_NAME);
        memset(canonical, 'c', length);
        canonical[length] = '\0';
    }
    return r ? r : n;
}
static int d_wait(W, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct dream *d = (struct dream *)w;
    int held = 0;
    for (int i = 0; i < n; i++) {
        polls[i].got = below(w, 3) ? 0 : 1u << below(w, 4);
        polls[i].nbytes = below(w, 99);
        held += polls[i].got != 0;
    }
    if (held == 0 && deadline_ns != UINT64_MAX && d->now < deadline_ns)
        d->now = deadline_ns;
    return held;
}
static void d_wake(W) {
    U(w);
}

static const struct world_ops dream_ops = {
    .name = "dream",
    .clock = d_clock,
    .clock_resolution = d_clock_resolution,
    .entropy = d_entropy,
    .open = d_open,
    .close = d_close,
    .dup = d_dup,
    .readv = d_readv,
    .writev = d_writev,
    .preadv = d_preadv,
    .pwritev = d_pwritev,
    .read_cached = d_read_cached,
    .seek = d_seek,
    .stat = d_stat,
    .stat_at = d_stat_at,
    .set_flags = d_set_flags,
    .get_flags = d_get_flags,
    .set_size = d_set_size,
    .allocate = d_allocate,
    .advise = d_advise,
    .sync = d_sync,
    .set_times = d_set_times,
    .set_times_at = d_set_times_at,
    .read_dir = d_read_dir,
    .make_dir = d_make_dir,
    .remove = d_remove,
    .rename = d_rename,
    .link = d_rename,
    .symlink = d_symlink,
    .read_link = d_read_link,
    .socket = d_socket,
    .bind = d_bind,
    .listen = d_listen,
    .connect = d_bind,
    .accept = d_accept,
    .recv = d_recv,
    .send = d_send,
    .shutdown = d_shutdown,
    .local_addr = d_name,
    .peer_addr = d_name,
    .get_option = d_get_option,
    .set_option = d_set_option,
    .start_tls = d_start_tls,
    .resolve = d_resolve,
    .wait = d_wait,
    .wake = d_wake,
};

/* ---- a module that imports everything and has a page of memory ---- */

static void put_text(struct buf *b, const char *s) {
    buf_varint(b, strlen(s));
    buf_append(b, s, strlen(s));
}

static void put_section(struct buf *m, uint8_t id, struct buf *content) {
    buf_byte(m, id);
    buf_varint(m, content->size);
    buf_append(m, content->data, content->size);
    buf_clear(content);
}

static uint32_t list_imports(const struct abi_call **out) {
    uint32_t n = 0;
    for (uint32_t t = 0; abi_tables[t]; t++)
        for (uint32_t i = 0; i < abi_tables[t]->ncalls; i++) {
            must(n < MAX_IMPORTS);
            out[n++] = &abi_tables[t]->calls[i];
        }
    return n;
}

static struct wasm_module *make_module(const struct abi_call *const *calls, uint32_t n) {
    static struct buf m; /* the module keeps pointing into it */
    struct buf s;
    struct wasm_module *module;
    buf_init(&m, 1 << 20);
    buf_init(&s, 1 << 20);
    buf_append(&m, "\0asm\1\0\0\0", 8);
    buf_varint(&s, n);
    for (uint32_t i = 0; i < n; i++) {
        char params[ABI_MAX_WASM_PARAMS + 1];
        uint32_t count = abi_call_params(calls[i], params);
        buf_byte(&s, 0x60);
        buf_varint(&s, count);
        for (uint32_t j = 0; j < count; j++)
            buf_byte(&s, params[j] == 'I' ? 0x7e : 0x7f);
        buf_append(&s, calls[i]->result == ABI_RESULT_NORETURN ? "\0" : "\1\x7f",
                   calls[i]->result == ABI_RESULT_NORETURN ? 1 : 2);
    }
    put_section(&m, 1, &s);
    buf_varint(&s, n);
    for (uint32_t i = 0; i < n; i++) {
        put_text(&s, abi_call_module(calls[i]->code));
        put_text(&s, calls[i]->name);
        buf_byte(&s, 0);
        buf_varint(&s, i);
    }
    put_section(&m, 2, &s);
    buf_append(&s, "\1\0\1", 3); /* one memory, of one page */
    put_section(&m, 5, &s);
    must(wasm_module_new(buf_span(&m), &module, NULL) == ST_OK);
    buf_deinit(&s);
    return module;
}

/* ---- a guest that is nothing but its calls ---- */

/* Made once; every input begins with the edge as it was then. */
struct machine {
    struct wasm_exec *exec;
    struct edge *edge, fresh;
};

static void machine_init(struct machine *m, const struct wasm_module *module, const struct edge_options *o) {
    struct wasm_config c = wasm_config_default();
    struct wasm_extern imports[MAX_IMPORTS];
    struct wasm_instance *instance;
    c.max_memory_bytes = 2 * WASM_PAGE_SIZE; /* the second one is never there: a guard */
    c.max_stack_slots = 16;
    struct wasm_store *store = wasm_store_new(&c);
    m->edge = edge_new(o);
    must(edge_link(m->edge, module, store, imports, NULL) == ST_OK);
    must(wasm_instance_new(store, module, imports, wasm_module_nimports(module), &instance, NULL) == ST_OK);
    m->exec = wasm_exec_new(store);
    edge_attach(m->edge, instance);
    m->fresh = *m->edge;
}

static uint8_t *memory_of(const struct machine *m) {
    return wasm_memory_data(m->edge->memory);
}

static void machine_begin(struct machine *m, struct wasi *wasi, struct span image) {
    m->fresh.scratch = m->edge->scratch;
    m->fresh.scratch_cap = m->edge->scratch_cap;
    m->fresh.iov = m->edge->iov;
    m->fresh.cut = m->edge->cut;
    m->fresh.niovs = m->edge->niovs;
    *m->edge = m->fresh;
    for (uint32_t i = 0; i < m->edge->nbindings; i++)
        m->edge->bindings[i].ctx = wasi;
    uint8_t *memory = memory_of(m);
    memset(memory, 0, WASM_PAGE_SIZE);
    memcpy(memory, image.data, image.size);
    memcpy(memory + WASM_PAGE_SIZE - image.size, image.data, image.size);
}

struct call {
    uint32_t import;
    uint64_t args[ABI_MAX_WASM_PARAMS];
};

/* Two bytes as a place at either end of memory, a small number, or one that is far too large. */
static uint64_t argument(const uint8_t *p, bool wide) {
    const uint32_t v = get_u16(p);
    switch (v >> 13) {
    case 0:
    case 1:
    case 2: return v & 0xfff;
    case 3:
    case 4: return WASM_PAGE_SIZE - (v & 0x1fff);
    case 5: return v & 0x3f;
    case 6: return v & 3;
    default: return (wide ? UINT64_MAX : UINT32_MAX) >> (v & 7) << (v >> 3 & 7);
    }
}

static uint32_t parse(struct span *in, const struct abi_call *const *imports, uint32_t nimports, struct call *calls) {
    uint32_t n = 0, most = in->size ? in->data[0] % (MAX_CALLS + 1) : 0;
    const uint8_t *p = in->data + 1, *end = in->data + in->size;
    for (; n < most && p < end; n++) {
        char params[ABI_MAX_WASM_PARAMS + 1];
        calls[n].import = *p++ % nimports;
        uint32_t count = abi_call_params(imports[calls[n].import], params);
        if ((size_t)(end - p) < count * 2)
            break;
        for (uint32_t i = 0; i < count; i++, p += 2) {
            uint64_t v = argument(p, params[i] == 'I');
            calls[n].args[i] = params[i] == 'I' ? v : (uint32_t)v;
        }
    }
    *in = p < end ? SPAN(p, (size_t)(end - p)) : SPAN(in->data, 0);
    if (in->size > MOST_BYTES)
        in->size = MOST_BYTES;
    return n;
}

static bool stopping(void *ctx) {
    struct dream *d = ctx;
    return d->waits++ % 8 == 7;
}

/* Makes the calls until one does not come back; returns how many did. */
static uint32_t play(struct machine *m, wasm_host_fn binding, const struct call *calls, uint32_t n,
                     uint64_t results[MAX_CALLS]) {
    for (uint32_t i = 0; i < n; i++) {
        struct binding *b = &m->edge->bindings[calls[i].import];
        uint64_t slots[ABI_MAX_WASM_PARAMS];
        enum wasm_host how = WASM_HOST_PARK;
        for (int again = 0; how == WASM_HOST_PARK && again < (m->edge->mode == EDGE_REPLAY ? 1 : 50); again++) {
            memcpy(slots, calls[i].args, sizeof slots);
            how = binding(b, m->exec, slots);
        }
        if (m->edge->failed)
            fprintf(stderr, "%s\n", m->edge->err.text);
        must(!m->edge->failed);
        if (how != WASM_HOST_OK)
            return i;
        results[i] = slots[0];
    }
    return n;
}

static void show_all(const struct tape *tape) {
    for (uint32_t i = 0; i < tape->n; i++)
        for (int json = 0; json < 2; json++) {
            struct buf b;
            buf_init(&b, 1 << 24);
            guest_show_record(&(struct abi_text){&b, json, json ? 0 : 40}, &tape->records[i]);
            must(b.size > 0);
            buf_deinit(&b);
        }
}

/* A program with something of each kind to work on. */
static struct wasi *make_wasi(struct dream *dream) {
    static const char *const args[] = {"program", "argument", ""};
    struct wasi *wasi = wasi_new(&dream->world, 12);
    wasi_set_args(wasi, 3, args);
    wasi_add_env(wasi, "NAME=value");
    wasi_set_stopping(wasi, stopping, dream);
    (void)!wasi_add_dir_handle(wasi, 9, "--dir /a:/a", "/a", true, NULL);
    (void)!wasi_add_dir_handle(wasi, 15, "--dir /b:/b", "/b", false, NULL);
    (void)!wasi_add_socket(wasi, 12, true, NULL);
    (void)!wasi_add_socket(wasi, 18, false, NULL);
    (void)!wasi_add_socket(wasi, 13, false, NULL);
    (void)!wasi_add_net(wasi, NULL);
    return wasi;
}

static const struct abi_call *imports[MAX_IMPORTS];
static uint32_t nimports;
static struct machine recorder, replayer;
static struct tape tape;
static struct dream dream = {.world = {&dream_ops}};

static void make_machines(void) {
    nimports = list_imports(imports);
    const struct wasm_module *module = make_module(imports, nimports);
    struct wasi *wasi = make_wasi(&dream);
    static struct edge_library libraries[WASI_NLIBRARIES];
    wasi_libraries(wasi, libraries);
    const struct edge_options record = {
        .mode = EDGE_RECORD,
        .libraries = libraries,
        .nlibraries = WASI_NLIBRARIES,
        .world = &dream.world,
        .sink = tape_sink(&tape),
    };
    machine_init(&recorder, module, &record);
    wasi_free(wasi); /* each input has its own */
    machine_init(&replayer, module, &(struct edge_options){.mode = EDGE_REPLAY, .source = tape_source(&tape, 0)});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span image = SPAN(data, size);
    struct call calls[MAX_CALLS] = {0};
    uint64_t live[MAX_CALLS] = {0}, again[MAX_CALLS] = {0};
    if (!recorder.edge)
        make_machines();
    uint32_t n = parse(&image, imports, nimports, calls);
    if (n == 0)
        return 0;
    dream = (struct dream){{&dream_ops}, {size}, 1, 0};
    for (size_t i = 0; i < size; i++)
        dream.random.state = dream.random.state * 31 + data[i];
    tape = (struct tape){0};

    struct wasi *wasi = make_wasi(&dream);
    machine_begin(&recorder, wasi, image);
    uint32_t made = play(&recorder, edge_record, calls, n, live);
    wasi_free(wasi);
    show_all(&tape);

    machine_begin(&replayer, NULL, image);
    must(play(&replayer, edge_replay, calls, n, again) == made);
    must(memcmp(live, again, sizeof live) == 0);
    must(memcmp(memory_of(&recorder), memory_of(&replayer), WASM_PAGE_SIZE) == 0);
    tape_deinit(&tape);
    return 0;
}
