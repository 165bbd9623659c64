// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "stage.h"

#include "base/must.h"
#include "base/prng.h"
#include "base/sha256.h"

#include <stdio.h>

/* ---- the clock --------------------------------------------------------------------------------------------------- */

static int stage_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    struct stage *s = (struct stage *)w; /* its first member */
    (void)c;
    *ns = s->now += 1000;
    return 0;
}

static const struct world_ops ops = {.name = "stage", .clock = stage_clock};

/* ---- implementations --------------------------------------------------------------------------------------------- */

/* Counts a call; true when it is the one that has to wait. */
static bool parks(struct stage *s) {
    s->calls++;
    if (s->calls != s->park_at)
        return false;
    s->park_at = 0;
    return true;
}

static const char *const arguments[] = {"program", "an argument"};

static int64_t args_sizes_get(void *ctx, union abi_arg *args) {
    struct abi_args_sizes_get *a = (struct abi_args_sizes_get *)args;
    if (parks(ctx))
        return ABI_PARK;
    a->argc = 2;
    a->size = (uint32_t)(strlen(arguments[0]) + strlen(arguments[1]) + 2);
    return 0;
}

static int64_t args_get(void *ctx, union abi_arg *args) {
    if (parks(ctx))
        return ABI_PARK;
    ((struct abi_args_get *)args)->argv = (struct abi_strings){arguments, 2};
    return 0;
}

static int64_t clock_time_get(void *ctx, union abi_arg *args) {
    struct abi_clock_time_get *a = (struct abi_clock_time_get *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->id, WASI_CLOCK_MONOTONIC);
    assert_int_equal(a->precision, 1000);
    a->time = 0x123456789abcdef0;
    return 0;
}

static int64_t random_get(void *ctx, union abi_arg *args) {
    struct stage *s = ctx;
    struct abi_random_get *a = (struct abi_random_get *)args;
    struct prng prng = {s->seed};
    if (parks(s))
        return ABI_PARK;
    for (uint32_t i = 0; i < a->buf.size; i++)
        a->buf.data[i] = (uint8_t)prng_next(&prng);
    s->seed = prng.state;
    return 0;
}

static int64_t fd_fdstat_get(void *ctx, union abi_arg *args) {
    struct abi_fd_fdstat_get *a = (struct abi_fd_fdstat_get *)args;
    if (parks(ctx))
        return ABI_PARK;
    *a->stat = (struct wasi_fdstat){.filetype = WASI_FILETYPE_CHARACTER_DEVICE, .flags = 1, .rights_base = 0x48};
    return 0;
}

static int64_t path_open(void *ctx, union abi_arg *args) {
    struct abi_path_open *a = (struct abi_path_open *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->fd, 3);
    assert_int_equal(a->dirflags, WASI_LOOKUP_SYMLINK_FOLLOW);
    assert_int_equal(a->path.size, 13);
    assert_memory_equal(a->path.data, "data/file.txt", 13);
    assert_int_equal(a->oflags, WASI_O_CREAT | WASI_O_TRUNC);
    assert_int_equal(a->rights_base, 0x42);
    assert_true(a->rights_inheriting == UINT64_MAX);
    assert_int_equal(a->fdflags, WASI_FDFLAG_APPEND);
    a->opened_fd = 7;
    return 0;
}

static int64_t fd_read(void *ctx, union abi_arg *args) {
    struct abi_fd_read *a = (struct abi_fd_read *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->fd, 7);
    assert_int_equal(a->iovs.n, 2); /* the empty piece is left out */
    assert_int_equal(a->iovs.size, 105);
    memcpy(a->iovs.iov[0].iov_base, "first", 5);
    memcpy(a->iovs.iov[1].iov_base, ", and second", 12);
    a->nread = a->iovs.size = 17;
    return 0;
}

static int64_t fd_write(void *ctx, union abi_arg *args) {
    struct stage *s = ctx;
    struct abi_fd_write *a = (struct abi_fd_write *)args;
    if (parks(s))
        return ABI_PARK;
    for (uint32_t i = 0; a->fd == 1 && i < a->iovs.n; i++)
        buf_append(&s->output, a->iovs.iov[i].iov_base, a->iovs.iov[i].iov_len);
    a->nwritten = a->iovs.size;
    return 0;
}

static int64_t fd_close(void *ctx, union abi_arg *args) {
    struct abi_fd_close *a = (struct abi_fd_close *)args;
    if (parks(ctx))
        return ABI_PARK;
    return a->fd == 7 ? 0 : WASI_EBADF;
}

static int64_t poll_oneoff(void *ctx, union abi_arg *args) {
    struct abi_poll_oneoff *a = (struct abi_poll_oneoff *)args;
    struct wasi_subscription in;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->nsubscriptions, 1);
    assert_int_equal(a->in.size, sizeof in);
    assert_int_equal(a->out.size, sizeof(struct wasi_event));
    memcpy(&in, a->in.data, sizeof in);
    assert_int_equal(in.userdata, 42);
    assert_int_equal(in.u.clock.timeout, 1000);
    struct wasi_event event = {.userdata = in.userdata, .type = in.type};
    memcpy(a->out.data, &event, sizeof event);
    a->nevents = 1;
    return 0;
}

static int64_t path_unlink_file(void *ctx, union abi_arg *args) {
    (void)args;
    return parks(ctx) ? ABI_PARK : WASI_ENOENT;
}

static int64_t sched_yield_(void *ctx, union abi_arg *args) {
    struct stage *s = ctx;
    (void)args;
    if (parks(s))
        return ABI_PARK;
    return s->trap_yield ? ABI_TRAP : 0;
}

static int64_t proc_exit(void *ctx, union abi_arg *args) {
    if (parks(ctx))
        return ABI_PARK;
    return ABI_EXIT(((struct abi_proc_exit *)args)->code);
}

static int64_t fd_seek(void *ctx, union abi_arg *args) {
    struct abi_fd_seek *a = (struct abi_fd_seek *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->whence, WASI_WHENCE_SET);
    a->newoffset = (uint64_t)a->offset;
    return 0;
}

static int64_t unstable_fd_seek(void *ctx, union abi_arg *args) {
    struct abi_unstable_fd_seek *a = (struct abi_unstable_fd_seek *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->whence, WASI_UNSTABLE_WHENCE_END);
    a->newoffset = (uint64_t)(60 + a->offset);
    return 0;
}

/* ---- sockets ---- */

static int64_t sock_open(void *ctx, union abi_arg *args) {
    struct abi_sock_open *a = (struct abi_sock_open *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->family, WASI_FAMILY_INET);
    assert_int_equal(a->type, WASI_SOCKTYPE_STREAM);
    a->fd = 9;
    return 0;
}

static int64_t sock_bind(void *ctx, union abi_arg *args) {
    struct abi_sock_bind *a = (struct abi_sock_bind *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->fd, 9);
    assert_int_equal(a->addr.size, 4);
    assert_memory_equal(a->addr.data, "\x7f\0\0\1", 4);
    assert_int_equal(a->port, 8080);
    return 0;
}

static int64_t sock_recv_from(void *ctx, union abi_arg *args) {
    struct abi_sock_recv_from *a = (struct abi_sock_recv_from *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->iovs.size, 10);
    assert_int_equal(a->addr.size, 128);
    memcpy(a->iovs.iov[0].iov_base, "datagram", 8);
    a->iovs.size = a->nread = 8;
    memcpy(a->addr.data, "\1\0\xc0\0\2\1", a->addr.size = 6);
    a->port = 53;
    a->ro_flags = WASI_RO_RECV_DATA_TRUNCATED;
    return 0;
}

static int64_t v1_sock_recv_from(void *ctx, union abi_arg *args) {
    struct abi_v1_sock_recv_from *a = (struct abi_v1_sock_recv_from *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->addr.size, 4);
    a->iovs.size = 0;
    memcpy(a->addr.data, "\xc0\0\2\7", 4);
    return 0;
}

static int64_t sock_setsockopt(void *ctx, union abi_arg *args) {
    struct abi_sock_setsockopt *a = (struct abi_sock_setsockopt *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_true(a->option == WASI_SO_TCP_NODELAY);
    assert_int_equal(a->value.size, 4);
    assert_int_equal(get_u32(a->value.data), 9);
    return 0;
}

static int64_t sock_getsockopt(void *ctx, union abi_arg *args) {
    struct abi_sock_getsockopt *a = (struct abi_sock_getsockopt *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_int_equal(a->value.size, a->option == WASI_SO_LINGER ? 100 : 4);
    put_u32(a->value.data, 1);
    if (a->option == WASI_SO_LINGER)
        put_u32(a->value.data + 4, 30);
    a->value.size = a->option == WASI_SO_LINGER ? 8 : 4;
    return 0;
}

static int64_t sock_getaddrinfo(void *ctx, union abi_arg *args) {
    static struct found {
        struct abi_found first;
        char name[9];
        struct abi_found second, third;
    } __attribute__((packed)) found = {
        {WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, WASI_IPPROTO_TCP, 9, 80, {0}, {192, 0, 2, 1}},
        {'a', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e'},
        {WASI_FAMILY_INET6, WASI_SOCKTYPE_STREAM, WASI_IPPROTO_TCP, 0, 80, {0}, {0x20, 1, [15] = 1}},
        {WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, WASI_IPPROTO_TCP, 0, 0x1234, {0}, {192, 0, 2, 2}},
    };
    struct abi_sock_getaddrinfo *a = (struct abi_sock_getaddrinfo *)args;
    if (parks(ctx))
        return ABI_PARK;
    assert_memory_equal(a->name.data, "a.example", 10);
    assert_int_equal(a->service.size, 4);
    assert_int_equal(a->hints.size, sizeof(struct wasi_addrinfo));
    assert_memory_equal(a->hints.data, "\1\0\1\2\1\0\0\0", 8);
    a->found = (struct abi_mem){(uint8_t *)&found, sizeof found};
    return 0;
}

static int64_t v1_sock_accept(void *ctx, union abi_arg *args) {
    struct abi_v1_sock_accept *a = (struct abi_v1_sock_accept *)args;
    if (parks(ctx))
        return ABI_PARK;
    a->connection_fd = 11;
    return 0;
}

static int64_t v1_sock_getpeeraddr(void *ctx, union abi_arg *args) {
    struct abi_v1_sock_getpeeraddr *a = (struct abi_v1_sock_getpeeraddr *)args;
    if (parks(ctx))
        return ABI_PARK;
    memcpy(a->addr.data, "\1\0\xc0\0\2\5", a->addr.size = 6);
    a->type = WASI_ADDRTYPE_INET;
    a->port = 99;
    return 0;
}

#define ROW(name) [ABI_CODE_##name - ABI_PREVIEW1_FIRST_CODE] = name
static const abi_fn preview1[ABI_CODE_PREVIEW1_END - ABI_PREVIEW1_FIRST_CODE] = {
    ROW(args_sizes_get), ROW(args_get),
    ROW(clock_time_get), ROW(random_get),
    ROW(fd_fdstat_get),  ROW(path_open),
    ROW(fd_read),        ROW(fd_write),
    ROW(fd_close),       ROW(poll_oneoff),
    ROW(fd_seek),        ROW(path_unlink_file),
    ROW(proc_exit),      [ABI_CODE_sched_yield - ABI_PREVIEW1_FIRST_CODE] = sched_yield_,
};
#undef ROW
#define ROW(name) [ABI_CODE_##name - ABI_SOCKETS_FIRST_CODE] = name
static const abi_fn sockets[ABI_CODE_SOCKETS_END - ABI_SOCKETS_FIRST_CODE] = {
    ROW(sock_open),       ROW(sock_bind),       ROW(sock_recv_from),
    ROW(sock_setsockopt), ROW(sock_getsockopt), ROW(sock_getaddrinfo),
};
#undef ROW
#define ROW(name) [ABI_CODE_##name - ABI_SOCKETS_V1_FIRST_CODE] = name
static const abi_fn sockets_v1[ABI_CODE_SOCKETS_V1_END - ABI_SOCKETS_V1_FIRST_CODE] = {
    ROW(v1_sock_accept),
    ROW(v1_sock_recv_from),
    ROW(v1_sock_getpeeraddr),
};
#undef ROW
static const abi_fn unstable[ABI_CODE_UNSTABLE_END - ABI_UNSTABLE_FIRST_CODE] = {
    [ABI_CODE_unstable_fd_seek - ABI_UNSTABLE_FIRST_CODE] = unstable_fd_seek,
};

void stage_init(struct stage *s) {
    *s = (struct stage){.world = {&ops}, .now = 5000000, .seed = 1};
    s->libraries[0] = (struct edge_library){&abi_wasi_preview1, preview1, s};
    s->libraries[1] = (struct edge_library){&abi_wasi_sockets, sockets, s};
    s->libraries[2] = (struct edge_library){&abi_wasi_sockets_v1, sockets_v1, s};
    s->libraries[3] = (struct edge_library){&abi_wasi_unstable, unstable, s};
    buf_init(&s->output, 1 << 20);
}

void stage_deinit(struct stage *s) {
    buf_deinit(&s->output);
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

void module_open(struct module_file *m, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.wasm", TEST_MODULES, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *data = mem_alloc(1 << 20);
    m->bytes = SPAN(data, fread(data, 1, 1 << 20, f));
    fclose(f);
    struct err e = ERR_INIT;
    if (wasm_module_new(m->bytes, &m->module, &e))
        fail_msg("%s: %s", path, e.text);
}

void module_close(struct module_file *m) {
    wasm_module_free(m->module);
    mem_free((void *)m->bytes.data);
}

/* ---- playing ----------------------------------------------------------------------------------------------------- */

struct edge_options stage_options(struct stage *s, enum edge_mode mode, struct tape *tape) {
    struct edge_options o = {.mode = mode};
    if (mode != EDGE_REPLAY) {
        o.libraries = s->libraries;
        o.nlibraries = 4;
        o.world = &s->world;
    }
    if (mode == EDGE_RECORD)
        o.sink = tape_sink(tape);
    if (mode == EDGE_REPLAY)
        o.source = tape_source(tape, 0);
    return o;
}

struct guest *guest_open(const struct module_file *m, uint64_t fuel, const struct edge_options *o) {
    struct guest_limits limits = guest_limits_default();
    struct guest *g;
    struct err e = ERR_INIT;
    limits.fuel_ticks = fuel;
    if (guest_new(m->module, &limits, o, &g, &e))
        fail_msg("%s", e.text);
    return g;
}

void ending_of(struct guest *g, struct ending *out) {
    struct sha256 h;
    struct wasm_memory *memory = wasm_instance_memory(guest_instance(g));
    out->ticks = guest_clock(g);
    out->position = guest_position(g);
    snprintf(out->words, sizeof out->words, "%s", guest_words(g));
    out->memory_hash = 0;
    if (memory) {
        sha256_of(SPAN(wasm_memory_data(memory), wasm_memory_size(memory)), &h);
        out->memory_hash = get_u64(h.bytes);
    }
}

void guest_finish(struct guest *g, uint64_t until, struct ending *out) {
    out->err = (struct err)ERR_INIT;
    do
        out->outcome = guest_run(g, until, &out->value, &out->err);
    while (out->outcome == GUEST_PARKED);
    ending_of(g, out);
    guest_free(g);
}

static void play(const char *name, uint64_t fuel, uint64_t until, const struct edge_options *o, struct ending *out) {
    struct module_file m;
    module_open(&m, name);
    guest_finish(guest_open(&m, fuel, o), until, out);
    module_close(&m);
}

void play_live(struct stage *s, const char *module, struct ending *out) {
    struct edge_options o = stage_options(s, EDGE_LIVE, NULL);
    play(module, UINT64_MAX, UINT64_MAX, &o, out);
}

void play_record(struct stage *s, const char *module, uint64_t fuel, struct tape *tape, struct ending *out) {
    struct edge_options o = stage_options(s, EDGE_RECORD, tape);
    play(module, fuel, UINT64_MAX, &o, out);
}

void play_replay(const char *module, uint64_t fuel, uint64_t until, struct tape *tape, struct ending *out) {
    struct edge_options o = stage_options(NULL, EDGE_REPLAY, tape);
    play(module, fuel, until, &o, out);
}
