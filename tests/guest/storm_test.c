/* storm MODULES [SEED]: hostile calls. Random modules that call random imports with arguments a decent program would
 * not pass, against the real WASI on the real machine (in a directory of their own, standard streams on /dev/null).
 * Nothing may crash, and the replay of what was recorded must agree in everything. */
#include "stage.h"

#include "base/must.h"
#include "base/prng.h"
#include "wasi/wasi.h"
#include "world/os/os.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CALLS = 60, PAGES = 2, DATA = 4096, TIME_MS = 40 };

/* ---- a module ------------------------------------------------------------------------------------------------------
 */

static void put_sint(struct buf *b, int64_t v) { /* signed LEB128 */
    for (;;) {
        uint8_t byte = v & 0x7f;
        v >>= 7;
        bool last = (v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40));
        buf_byte(b, last ? byte : byte | 0x80);
        if (last)
            return;
    }
}

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

static uint32_t nimports(void) {
    uint32_t n = 0;
    for (uint32_t t = 0; abi_tables[t]; t++)
        n += abi_tables[t]->ncalls;
    return n;
}

static const struct abi_call *import(uint32_t i) {
    uint32_t t = 0;
    for (; i >= abi_tables[t]->ncalls; t++)
        i -= abi_tables[t]->ncalls;
    return &abi_tables[t]->calls[i];
}

static uint32_t pick_u32(struct prng *p) {
    const uint32_t end = PAGES * WASM_PAGE_SIZE;
    switch (prng_below(p, 8)) {
    case 0: return (uint32_t)prng_next(p);
    case 1: return end - 16 + (uint32_t)prng_below(p, 32);
    case 2: return UINT32_MAX - (uint32_t)prng_below(p, 4);
    case 3: return (uint32_t)prng_below(p, DATA);
    case 4: return (uint32_t)prng_below(p, 64) * 8; /* lists of pieces */
    default: return (uint32_t)prng_below(p, 9);     /* descriptors, counts, flags */
    }
}

static uint64_t pick_u64(struct prng *p) {
    switch (prng_below(p, 4)) {
    case 0: return UINT64_MAX - prng_below(p, 1 << 20);
    case 1: return (uint64_t)1 << 62 | prng_next(p); /* too large for any file: nothing is really allocated */
    default: return prng_below(p, 1 << 16);
    }
}

static void put_calls(struct buf *b, struct prng *p) {
    buf_byte(b, 0); /* no locals */
    for (int i = 0; i < CALLS; i++) {
        uint32_t index = (uint32_t)prng_below(p, nimports());
        const struct abi_call *c = import(index);
        if (c->result == ABI_RESULT_NORETURN || c->code == ABI_CODE_proc_raise)
            continue;
        char params[ABI_MAX_WASM_PARAMS + 1];
        uint32_t n = abi_call_params(c, params);
        for (uint32_t j = 0; j < n; j++) {
            buf_byte(b, params[j] == 'I' ? 0x42 : 0x41);
            put_sint(b, params[j] == 'I' ? (int64_t)pick_u64(p) : (int64_t)(int32_t)pick_u32(p));
        }
        buf_byte(b, 0x10);
        buf_varint(b, index);
        buf_byte(b, 0x1a);
    }
    buf_byte(b, 0x0b);
}

/* Pieces in the first half, then names, then what may be records. */
static void put_data(struct buf *b, struct prng *p) {
    static const char *const names[] = {".", "..", "a", "b/c", "/", "../../etc", "a/../b", "link", ""};
    size_t start = b->size;
    while (b->size - start < DATA / 2) {
        buf_u32(b, (uint32_t)prng_below(p, PAGES * WASM_PAGE_SIZE));
        buf_u32(b, prng_below(p, 8) ? (uint32_t)prng_below(p, 300) : pick_u32(p));
    }
    while (b->size - start < DATA * 3 / 4) {
        const char *name = names[prng_below(p, sizeof names / sizeof *names)];
        buf_append(b, name, strlen(name));
    }
    while (b->size - start < DATA)
        buf_u64(b, prng_below(p, 3));
}

static void make_module(struct buf *m, struct prng *p) {
    struct buf s, body;
    uint32_t n = nimports();
    buf_init(&s, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_append(m, "\0asm\1\0\0\0", 8);

    buf_varint(&s, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        char params[ABI_MAX_WASM_PARAMS + 1];
        uint32_t nparams = abi_call_params(import(i), params);
        buf_byte(&s, 0x60);
        buf_varint(&s, nparams);
        for (uint32_t j = 0; j < nparams; j++)
            buf_byte(&s, params[j] == 'I' ? WASM_I64 : WASM_I32);
        bool returns = import(i)->result != ABI_RESULT_NORETURN;
        buf_varint(&s, returns);
        if (returns)
            buf_byte(&s, WASM_I32);
    }
    buf_append(&s, "\x60\0\0", 3);
    put_section(m, 1, &s);

    buf_varint(&s, n);
    for (uint32_t i = 0; i < n; i++) {
        put_text(&s, abi_call_module(import(i)->code));
        put_text(&s, import(i)->name);
        buf_byte(&s, 0);
        buf_varint(&s, i);
    }
    put_section(m, 2, &s);

    buf_byte(&s, 1);
    buf_varint(&s, n);
    put_section(m, 3, &s);
    buf_append(&s, "\1\0", 2);
    buf_varint(&s, PAGES);
    put_section(m, 5, &s);
    buf_varint(&s, 1);
    put_text(&s, "_start");
    buf_byte(&s, 0);
    buf_varint(&s, n);
    put_section(m, 7, &s);

    put_calls(&body, p);
    buf_varint(&s, 1);
    buf_varint(&s, body.size);
    buf_append(&s, body.data, body.size);
    put_section(m, 10, &s);
    buf_clear(&body);
    put_data(&body, p);
    buf_append(&s, "\1\0\x41\0\x0b", 5);
    buf_varint(&s, body.size);
    buf_append(&s, body.data, body.size);
    put_section(m, 11, &s);
    must(!m->failed && !s.failed && !body.failed);
    buf_deinit(&s);
    buf_deinit(&body);
}

/* ---- a run ---------------------------------------------------------------------------------------------------------
 */

static bool stopping(void *ctx) {
    struct guest **g = ctx;
    return guest_stopping(*g);
}

static struct guest *make_guest(const struct wasm_module *m, uint64_t time_ms, const struct edge_options *o) {
    struct guest_limits limits = guest_limits_default();
    struct guest *g = NULL;
    struct err e = ERR_INIT;
    limits.time_ms = time_ms;
    if (guest_new(m, &limits, o, &g, &e)) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    return g;
}

/* False, with words, when the replay differs. */
static bool storm(const char *dir, uint64_t seed, char *words, size_t size, uint64_t *records) {
    struct prng prng = {seed};
    struct buf bytes;
    struct wasm_module *m = NULL;
    struct tape tape = {0};
    struct ending live, again;
    struct err e = ERR_INIT;
    struct world *w = world_os_new();
    struct wasi *wasi = wasi_new(w, 64);
    struct edge_library libraries[WASI_NLIBRARIES];
    struct guest *g;
    buf_init(&bytes, 1 << 20);
    make_module(&bytes, &prng);
    must(wasm_module_new(buf_span(&bytes), &m, &e) == ST_OK);
    must(wasi_add_dir(wasi, dir, "/d", true, &e) == ST_OK);
    wasi_set_stopping(wasi, stopping, &g);
    wasi_libraries(wasi, libraries);
    struct edge_options o = {
        .mode = EDGE_RECORD,
        .libraries = libraries,
        .nlibraries = WASI_NLIBRARIES,
        .world = w,
        .sink = tape_sink(&tape),
    };
    g = make_guest(m, TIME_MS, &o);
    guest_finish(g, UINT64_MAX, &live);
    wasi_free(wasi);
    w->ops->free(w);

    o = (struct edge_options){.mode = EDGE_REPLAY, .source = tape_source(&tape, 0)};
    guest_finish(make_guest(m, 0, &o), tape.records[tape.n - 1].clock, &again);
    bool same = live.outcome == again.outcome && live.value == again.value && live.ticks == again.ticks &&
                live.memory_hash == again.memory_hash && live.position == again.position;
    snprintf(words, size, "live %s at tick %llu after %llu records, replay %s at tick %llu after %llu: %s",
             guest_outcome_text(live.outcome), (unsigned long long)live.ticks, (unsigned long long)live.position,
             guest_outcome_text(again.outcome), (unsigned long long)again.ticks, (unsigned long long)again.position,
             again.err.text);
    *records += tape.n;
    wasm_module_free(m);
    tape_deinit(&tape);
    buf_deinit(&bytes);
    return same && live.outcome != GUEST_FAILED && live.outcome != GUEST_TRAPPED;
}

int main(int argc, char **argv) {
    uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, records = 0;
    char home[] = "/tmp/aeon-storm-XXXXXX", command[64], words[1000];
    int report = dup(1), nothing = open("/dev/null", O_RDWR);
    must(mkdtemp(home) && report >= 0 && nothing >= 0);
    for (int fd = 0; fd < 3; fd++)
        must(dup2(nothing, fd) == fd);
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++, seed++) {
        good = storm(home, seed, words, sizeof words, &records);
        if (!good)
            dprintf(report, "seed %llu: %s\n", (unsigned long long)seed, words);
    }
    snprintf(command, sizeof command, "rm -rf %s", home);
    must(system(command) == 0);
    if (good)
        dprintf(report, "%u modules, %llu records: every replay agrees\n", count, (unsigned long long)records);
    return !good;
}
