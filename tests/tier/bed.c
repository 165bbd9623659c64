// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "bed.h"

#include "base/must.h"
#include "world/os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct span read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct buf b;
    char piece[4096];
    size_t n;
    assert_non_null(f);
    buf_init(&b, 1 << 20);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        assert_true(buf_append(&b, piece, n));
    fclose(f);
    return buf_span(&b);
}

int bed_setup(void **state) {
    struct bed *b = mem_zalloc(sizeof *b);
    struct err e = ERR_INIT;
    snprintf(b->dir, sizeof b->dir, "/tmp/aeon-tier-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->cache, sizeof b->cache, "%s/cache", b->dir);
    snprintf(b->log, sizeof b->log, "%s/log", b->dir);
    setenv("AEON_STUB_LOG", b->log, 1);
    b->world = world_os_new();
    b->bytes = read_file(TEST_MODULES "/hot.wasm");
    assert_int_equal(wasm_module_new(b->bytes, &b->module, &e), ST_OK);
    sha256_of(b->bytes, &b->hash);
    *state = b;
    return 0;
}

int bed_teardown(void **state) {
    struct bed *b = *state;
    char command[128];
    bed_stop(b);
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", b->dir, b->dir);
    assert_int_equal(system(command), 0);
    wasm_module_free(b->module);
    mem_free((void *)b->bytes.data);
    b->world->ops->free(b->world);
    mem_free(b);
    return 0;
}

static void tell(void *ctx, const char *sentence) {
    struct bed *b = ctx;
    size_t used = strlen(b->told);
    snprintf(b->told + used, sizeof b->told - used, "%s\n", sentence);
    b->ntold++;
}

void bed_start(struct bed *b, const char *stub, enum tier_mode mode) {
    struct err e = ERR_INIT;
    struct wasm_config config = wasm_config_default();
    struct wasm_instance *i;
    struct wasm_extern forever;
    setenv("AEON_STUB", stub, 1);
    b->told[0] = '\0';
    b->ntold = 0;
    b->store = wasm_store_new(&config);
    assert_int_equal(wasm_instance_new(b->store, b->module, NULL, 0, &i, &e), ST_OK);
    assert_true(wasm_instance_export(i, "forever", &forever));
    b->exec = wasm_exec_new(b->store);
    wasm_call(b->exec, forever.func, NULL);
    const struct tier_options o = {.mode = mode, .program = TEST_STUB, .cache = b->cache, .tell = tell, .ctx = b};
    const struct tier_source source = {.module = b->module, .hash = b->hash, .name = "hot.wasm"};
    b->tier = tier_new(b->world, &o);
    enum status s = tier_attach(b->tier, &source, b->store, b->exec, &b->guest, &e);
    if (s)
        print_error("%s\n", e.text);
    assert_int_equal(s, ST_OK);
}

void bed_stop(struct bed *b) {
    if (!b->store)
        return;
    tier_detach(b->guest);
    wasm_exec_free(b->exec);
    wasm_store_free(b->store);
    tier_free(b->tier);
    b->store = NULL;
    b->guest = NULL;
}

struct tier_report bed_run(struct bed *b, bool (*done)(const struct bed *, const struct tier_report *)) {
    struct tier_report r;
    do {
        enum wasm_outcome o = wasm_run(b->exec, wasm_clock(b->exec) + 3000000);
        assert_int_equal(o, WASM_STOPPED);
        tier_report(b->guest, &r);
    } while (!done(b, &r));
    return r;
}

uint32_t bed_requests(const struct bed *b) {
    FILE *f = fopen(b->log, "r");
    uint32_t n = 0;
    for (int c; f && (c = fgetc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

void bed_shell(const struct bed *b, const char *command) {
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", b->cache, command);
    assert_int_equal(system(line), 0);
}
