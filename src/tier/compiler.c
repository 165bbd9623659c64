/* compiler.c: which compiler there is.
 *
 * Its version and its target are part of the cache's key, and to ask costs as much as starting LLVM: what it said is
 * kept in the cache as `compiler`, for as long as program, processor and we ourselves stay as they are. A worker says
 * it again whenever one is started, and then counts. */
#include "tier/internal.h"

#include "tier/disk.h"
#include "wasm/native.h"
#include "wasm/object.h"
#include "world/os/code.h"

#include <stdio.h>

enum { SAID_MAX = 1 << 12 };

void compiler_lose(struct tier *t, const char *why) {
    if (t->dead)
        return;
    t->dead = true;
    if (t->o.program)
        err_set(&t->why, ST_UNSUPPORTED, "the compiler %s %s", t->o.program, why);
    else
        err_set(&t->why, ST_UNSUPPORTED, "%s", why);
}

enum status compiler_missing(const struct tier *t, struct err *e) {
    return err_set(e, ST_UNSUPPORTED, "%s; put aeon-llvm beside aeon, or name it in AEON_LLVM", t->why.text);
}

/* What must be as it was; "" when the program is not there. */
static void identify(struct tier *t, struct buf *out) {
    struct world_stat st;
    if (t->world->ops->stat_at(t->world, WORLD_CWD, t->o.program, 0, &st) < 0)
        return;
    buf_print(out, "program %s\nsize %llu\nchanged %llu\nprocessor %llx\nengine %d %d %d %d\n", t->o.program,
              (unsigned long long)st.size, (unsigned long long)st.mtim, (unsigned long long)wasm_native_features(),
              LLVM_PROTOCOL_VERSION, NATIVE_ABI_VERSION, WASM_SEMANTICS_VERSION, OBJECT_VERSION);
}

static void set(struct tier *t, char *version, char *target) {
    mem_free(t->version);
    mem_free(t->target);
    t->version = version;
    t->target = target;
}

void compiler_recall(struct tier *t) {
    struct buf is, was;
    if (t->version || !t->o.cache)
        return;
    int dir = disk_open_dir(t->world, WORLD_CWD, t->o.cache, false);
    if (dir < 0)
        return;
    buf_init(&is, SAID_MAX);
    buf_init(&was, 4 * SAID_MAX);
    identify(t, &is);
    int rc = disk_read(t->world, dir, "compiler", &was);
    if (rc == 0 && is.size && was.size > is.size && memcmp(is.data, was.data, is.size) == 0) {
        const char *rest = buf_cstr(&was) + is.size;
        char *version = text_value(rest, "version"), *target = text_value(rest, "target");
        if (*version && *target) {
            set(t, version, target);
        } else {
            mem_free(version);
            mem_free(target);
        }
    }
    buf_deinit(&is);
    buf_deinit(&was);
    t->world->ops->close(t->world, dir);
}

static void remember(struct tier *t) {
    struct buf b;
    int dir = t->o.cache ? disk_open_dir(t->world, WORLD_CWD, t->o.cache, true) : -1;
    if (dir < 0)
        return;
    buf_init(&b, 2 * SAID_MAX);
    identify(t, &b);
    buf_print(&b, "version %s\ntarget %s\n", t->version, t->target);
    if (!b.failed)
        (void)disk_write(t->world, dir, "compiler", buf_span(&b)); /* else it is asked again */
    buf_deinit(&b);
    t->world->ops->close(t->world, dir);
}

/* What is printed and written must be one line. */
static char *text_of(const uint8_t *p, uint32_t n) {
    char *text = mem_alloc(n + 1ul);
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)(p[i] >= ' ' && p[i] < 127 ? p[i] : '?');
    text[n] = '\0';
    return text;
}

static const char *what_is_wrong(struct span bytes, const struct tier_module *m, struct llvm_hello *h) {
    if (bytes.size < sizeof *h)
        return "does not say what it is";
    memcpy(h, bytes.data, sizeof *h);
    if (h->protocol != LLVM_PROTOCOL_VERSION || h->abi != NATIVE_ABI_VERSION ||
        h->semantics != WASM_SEMANTICS_VERSION || h->object != OBJECT_VERSION)
        return "is of another version of aeon";
    if (!h->version_size || !h->target_size || h->version_size > SAID_MAX / 4 || h->target_size > SAID_MAX / 2 ||
        bytes.size != sizeof *h + h->version_size + h->target_size)
        return "does not say what it is";
    if (m && (!h->has_module || memcmp(&h->module, &m->hash, sizeof h->module) != 0))
        return "reads another module than it was given";
    return NULL;
}

bool compiler_greet(struct tier *t, struct span hello, const struct tier_module *m) {
    struct llvm_hello h;
    const char *wrong = what_is_wrong(hello, m, &h);
    if (wrong) {
        compiler_lose(t, wrong);
        return false;
    }
    char *version = text_of(hello.data + sizeof h, h.version_size);
    char *target = text_of(hello.data + sizeof h + h.version_size, h.target_size);
    if (t->version && !strcmp(t->version, version) && !strcmp(t->target, target)) {
        mem_free(version);
        mem_free(target);
        return true;
    }
    /* Another LLVM behind the same program: what was loaded is as right as before, what comes goes where it belongs. */
    set(t, version, target);
    remember(t);
    for (struct tier_module *k = t->modules; k; k = k->next) {
        cache_close(k->cache);
        k->cache = NULL;
        k->opened = false;
        module_open_cache(k);
    }
    return true;
}
