/* tiers: runs modules interpreted and compiled beside each other; whatever is done to them from outside, and wherever
 * they are stopped, everything that can be observed must be the same to the last bit.
 * usage: tiers [--seed S] [--effort 1|2] [--tries N] [--plan P] FILE.wasm...
 *     --seed    another seed, other things done to the same module
 *     --tries   so many different plans for each module
 *     --plan    the plan of that number, as printed with a difference, instead of one that depends on the file's name
 * Prints `module NAME` for each and, where something differs, what and how to see it again. */
#include "tiers.h"
#include "wasm/llvm/llvm.h"
#include "wasm/validate.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MOST_OBJECTS = 2, MOST_STOPS = 40, MOST_SNAPSHOTS = 30 };

static struct llvm_compiler *compiler;
static unsigned effort = 1;

static struct {
    uint64_t funcs, compiled, loops, calls, traps, stops, parks, exits, interrupts, snapshots, ticks;
} total;

/* An object, mapped as the cache maps it, and whether it is installed yet. */
struct object_map {
    struct span bytes;
    bool installed;
};

/* A module on both tiers. */
struct pair {
    const struct wasm_module *module;
    struct world plain, fast;
    struct object_map objects[MOST_OBJECTS];
    uint32_t nobjects;
    struct prng prng;
    uint32_t snapshots;
};

static bool chance(struct prng *r, unsigned percent) {
    return prng_below(r, 100) < percent;
}

/* ---- compiling ----------------------------------------------------------------------------------------------------
 */

/* The offsets of all loops in a function. */
static uint32_t find_loops(const struct wasm_module *m, uint32_t func, struct llvm_loop *out, uint32_t room) {
    const struct module_func *f = &m->funcs[func];
    struct reader r = {.file = m->bytes.data, .p = f->code, .end = f->end};
    uint32_t n = 0;
    while (r.p < r.end && n < room) {
        uint32_t at = (uint32_t)(r.p - m->bytes.data);
        enum wasm_op op = read_operator(&r);
        must(op != OP_COUNT);
        validate_skip_immediates(&r, (enum wasm_imm)wasm_op_infos[op].imm);
        if (op == OP_LOOP)
            out[n++] = (struct llvm_loop){.func = func, .offset = at};
    }
    return n;
}

static void map_object(struct pair *p, const struct buf *b) {
    void *text = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(text != MAP_FAILED);
    memcpy(text, b->data, b->size);
    must(mprotect(text, b->size, PROT_READ | PROT_EXEC) == 0);
    p->objects[p->nobjects++].bytes = SPAN(text, b->size);
}

/* A random part of the functions, with some or no loops. */
static bool compile_some(struct pair *p, unsigned percent) {
    enum { MOST_LOOPS = 4096 };
    const struct wasm_module *m = p->module;
    uint32_t *funcs = mem_zalloc((m->nfuncs + 1) * sizeof *funcs);
    struct llvm_loop *loops = mem_zalloc(MOST_LOOPS * sizeof *loops);
    bool with_loops = chance(&p->prng, 70), ok = true;
    struct llvm_request r = {
        .module = m, .funcs = funcs, .loops = loops, .options = {.count = true, .effort = (uint8_t)effort}};
    for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++) {
        if (!chance(&p->prng, percent))
            continue;
        funcs[r.nfuncs++] = i;
        if (with_loops)
            r.nloops += find_loops(m, i, loops + r.nloops, MOST_LOOPS - r.nloops);
    }
    if (r.nfuncs) {
        struct buf b;
        struct err e = ERR_INIT;
        buf_init(&b, 64 << 20);
        enum status st = llvm_compile(compiler, &r, &b, &e);
        ok = st == ST_OK || st == ST_LIMIT;
        if (!ok)
            printf("differs: cannot be compiled: %s\n", e.text);
        else if (st == ST_OK)
            map_object(p, &b);
        total.loops += r.nloops;
        buf_deinit(&b);
    }
    mem_free(loops);
    mem_free(funcs);
    return ok;
}

static bool compile(struct pair *p) {
    static const unsigned percents[] = {100, 100, 100, 80, 50, 50, 30, 15};
    unsigned percent = percents[prng_below(&p->prng, sizeof percents / sizeof *percents)];
    return compile_some(p, percent) && (percent == 100 || chance(&p->prng, 50) || compile_some(p, 100 - percent));
}

static void install(struct pair *p, uint32_t k) {
    struct err e = ERR_INIT;
    if (p->objects[k].installed)
        return;
    p->objects[k].installed = true;
    if (wasm_install(p->fast.store, p->module, p->objects[k].bytes, &e) != ST_OK) {
        printf("differs: cannot be installed: %s\n", e.text);
        abort();
    }
}

static void install_all(struct pair *p) {
    for (uint32_t k = 0; k < p->nobjects; k++)
        install(p, k);
}

static struct pair *in_slice;

static void slice(struct world *w) {
    if (prng_below(&in_slice->prng, 2) == 0)
        install_all(in_slice);
    if (prng_below(&in_slice->prng, 4) == 0) {
        w->interrupts++;
        wasm_interrupt(w->exec);
    }
}

/* ---- calls --------------------------------------------------------------------------------------------------------
 */

/* Everything there is to say, about both. */
static bool compare(struct pair *p, enum wasm_outcome a, enum wasm_outcome b) {
    if (a != b) {
        const struct wasm_exec *x = p->plain.exec, *y = p->fast.exec;
        printf("differs: outcome: interpreted %d at %llu (%s), compiled %d at %llu (%s)\n", a,
               (unsigned long long)wasm_clock(x), wasm_trap_text(wasm_trap(x)), b, (unsigned long long)wasm_clock(y),
               wasm_trap_text(wasm_trap(y)));
        return false;
    }
    uint32_t frames = a == WASM_TRAPPED || chance(&p->prng, 10) ? 1000 : 10;
    if (!same_state(&p->plain, &p->fast, frames) || (a == WASM_DONE && !same_results(&p->plain, &p->fast)))
        return false;
    if ((a == WASM_STOPPED || a == WASM_PARKED || a == WASM_DONE) && p->snapshots < MOST_SNAPSHOTS &&
        chance(&p->prng, a == WASM_DONE ? 5 : 40)) {
        p->snapshots++;
        total.snapshots++;
        return same_snapshots(&p->plain, &p->fast);
    }
    return true;
}

/* Interruptions come when they come; what is under way then must be fit to be saved. */
static enum wasm_outcome run(struct pair *p, struct world *w, uint64_t until) {
    for (;;) {
        enum wasm_outcome o = wasm_run(w->exec, until);
        if (o != WASM_INTERRUPTED)
            return o;
        must(w->interrupts-- > 0 && wasm_clock(w->exec) <= until);
        total.interrupts++;
        if (w == &p->fast && total.interrupts % 4 == 0) {
            struct buf b;
            struct err e = ERR_INIT;
            buf_init(&b, 64 << 20);
            enum status st = wasm_snapshot_save(w->exec, w->instances[0], &b, &e);
            must(st == ST_OK || st == ST_UNSUPPORTED);
            buf_deinit(&b);
        }
    }
}

static void set_global(struct world *w, const char *name, uint32_t v) {
    struct wasm_extern x;
    for (uint32_t k = 0; k < INSTANCES; k++)
        if (w->instances[k] && wasm_instance_export(w->instances[k], name, &x) && x.kind == WASM_KIND_GLOBAL)
            wasm_global_set(x.global, (union wasm_value){.i32 = v});
}

/* What keeps binaryen's modules from going on for ever. */
static void fill_limit(struct world *w) {
    struct wasm_extern x;
    for (uint32_t k = 0; k < INSTANCES; k++) {
        if (!w->instances[k] || !wasm_instance_export(w->instances[k], "hangLimitInitializer", &x))
            continue;
        w->deeds = (struct deeds){0};
        wasm_call(w->exec, x.func, NULL);
        while (wasm_run(w->exec, (uint64_t)WASM_FOREVER) == WASM_INTERRUPTED)
            w->interrupts--;
        wasm_reset(w->exec);
    }
}

/* Where to stop next: soon, behind where compiled code has to give way to exact code, or far away. */
static uint64_t next_stop(struct pair *p, uint64_t clock, uint64_t end) {
    uint64_t margin = EXEC_MARGIN(p->plain.store), until = end;
    switch (prng_below(&p->prng, 4)) {
    case 0: until = clock + 1 + prng_below(&p->prng, 8); break;
    case 1: until = clock + 1 + prng_below(&p->prng, 3 * margin); break;
    case 2: until = clock + 2 * margin + prng_below(&p->prng, 4 * margin); break;
    default: until = clock + 1 + prng_below(&p->prng, end - clock); break;
    }
    return until < end ? until : end;
}

/* Both to the end, or until `end`. */
static bool run_both(struct pair *p, uint64_t end, bool stops) {
    for (uint32_t n = 0;; n++) {
        uint64_t clock = wasm_clock(p->plain.exec);
        uint64_t until = stops && n < MOST_STOPS ? next_stop(p, clock, end) : end;
        enum wasm_outcome a = run(p, &p->plain, until), b = run(p, &p->fast, until);
        if (!compare(p, a, b))
            return false;
        total.ticks += wasm_clock(p->plain.exec) - clock;
        total.stops += a == WASM_STOPPED;
        total.parks += a == WASM_PARKED;
        total.exits += a == WASM_EXITED;
        total.traps += a == WASM_TRAPPED;
        if ((a != WASM_STOPPED && a != WASM_PARKED) || (a == WASM_STOPPED && until == end))
            return true;
        if (p->nobjects && chance(&p->prng, 20))
            install(p, (uint32_t)prng_below(&p->prng, p->nobjects));
    }
}

static bool call(struct pair *p, uint32_t instance, uint32_t func) {
    static const uint32_t fuels[] = {0, 10, 250, 250, 250, 3000, 100000, 1 << 30};
    struct world *worlds[] = {&p->plain, &p->fast};
    struct prng *r = &p->prng, args = {prng_next(r)};
    uint32_t calls = fuels[prng_below(r, 8)], loops = fuels[prng_below(r, 8)];
    uint32_t which = chance(r, 40) ? (uint32_t)prng_below(r, 4) : 4;
    uint32_t when = 1 + (uint32_t)prng_below(r, chance(r, 50) ? 4 : 40);
    struct deeds deeds = {.meddle = chance(r, 30), .seed = prng_next(r)};
    uint32_t *deed[] = {&deeds.park, &deeds.trap, &deeds.exit, &deeds.interrupt};
    if (which < 4)
        *deed[which] = when;
    uint64_t ticks = chance(r, 5) ? 1500000 : chance(r, 60) ? 30000 : 200000;
    bool stops = chance(r, 50);
    for (int k = 0; k < 2; k++) {
        struct world *w = worlds[k];
        struct prng again = args;
        union wasm_value values[MOST_VALUES];
        struct wasm_func *f = wasm_instance_func(w->instances[instance], func);
        for (uint32_t j = 0; j < f->type->nparams; j++)
            values[j] = world_value(w, f->type->params[j], &again);
        fill_limit(w);
        set_global(w, "calls", calls);
        set_global(w, "loops", loops);
        w->deeds = deeds;
        w->calls = 0;
        wasm_call(w->exec, f, values);
    }
    uint64_t end = wasm_clock(p->plain.exec) + ticks;
    bool same = run_both(p, end, stops);
    if (!same) {
        printf("differs: in function %u of instance %u, %s, calls %u, loops %u, clock %llu\n", func, instance,
               stops ? "with stops" : "at once", calls, loops, (unsigned long long)wasm_clock(p->plain.exec));
        return false;
    }
    total.calls++;
    for (int k = 0; k < 2; k++)
        wasm_reset(worlds[k]->exec);
    return true;
}

/* ---- modules ------------------------------------------------------------------------------------------------------
 */

static struct setting draw_setting(struct prng *r) {
    static const size_t bytes[] = {0, 0, 0, 1, 2000, 8000, 30000, 200000};
    struct setting s = {.config = wasm_config_default(),
                        .native_bytes = bytes[prng_below(r, 8)],
                        .two = chance(r, 15),
                        .seed = prng_next(r)};
    if (chance(r, 40))
        s.config.max_stack_slots = 100 + (uint32_t)prng_below(r, chance(r, 50) ? 1000 : 20000);
    s.config.max_memory_bytes = (uint64_t)(chance(r, 50) ? 4 : 64) * WASM_PAGE_SIZE;
    if (chance(r, 30))
        s.config.max_table_elems = 60;
    return s;
}

static bool run_functions(struct pair *p) {
    const struct wasm_module *m = p->module;
    in_slice = p;
    p->fast.slice = slice;
    if (chance(&p->prng, 70))
        install_all(p);
    for (uint32_t k = m->nimported_funcs; k < m->nfuncs; k++) {
        uint32_t instance = p->plain.instances[1] && chance(&p->prng, 50);
        if (!call(p, instance, k))
            return false;
    }
    for (uint32_t k = m->nimported_funcs; k < m->nfuncs; k++)
        total.compiled += wasm_func_is_compiled(p->fast.store, m, k);
    total.funcs += m->nfuncs - m->nimported_funcs;
    return true;
}

static bool run_module(const struct wasm_module *m, uint64_t plan) {
    struct err e = ERR_INIT;
    struct pair p = {.module = m, .plain = {.module = m}, .fast = {.module = m}, .prng = {plan}};
    struct setting s = draw_setting(&p.prng);
    bool same = compile(&p);
    enum status st = world_start(&p.plain, &s, &e), other = world_start(&p.fast, &s, &e);
    must(st == other);
    if (st == ST_OK && same)
        same = run_functions(&p);
    world_stop(&p.plain);
    world_stop(&p.fast);
    for (uint32_t k = 0; k < p.nobjects; k++)
        must(munmap((void *)(uintptr_t)p.objects[k].bytes.data, p.objects[k].bytes.size) == 0);
    if (!same)
        printf("differs: seen again with --plan %llu --effort %u\n", (unsigned long long)plan, effort);
    return same;
}

static struct span read_file(const char *path) {
    struct buf b;
    uint8_t chunk[65536];
    FILE *f = fopen(path, "rb");
    buf_init(&b, 64 << 20);
    for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_append(&b, chunk, n);
    if (!f || ferror(f)) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return buf_span(&b);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"effort", required_argument, NULL, 'e'},
                                            {"tries", required_argument, NULL, 't'},
                                            {"plan", required_argument, NULL, 'p'},
                                            {0}};
    uint64_t seed = 0, plan = 0, tries = 1;
    bool differed = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint64_t v = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (c) {
        case 's': seed = v; break;
        case 'e': effort = (unsigned)v; break;
        case 't': tries = v; break;
        case 'p': plan = v; break;
        default: return 2;
        }
    }
    struct err e = ERR_INIT;
    must(llvm_compiler_new(&compiler, &e) == ST_OK);
    for (int k = optind; k < argc; k++) {
        const char *slash = strrchr(argv[k], '/'), *name = slash ? slash + 1 : argv[k];
        struct span bytes = read_file(argv[k]);
        struct wasm_module *m;
        printf("module %s\n", name);
        fflush(stdout); /* says which, should it crash */
        if (wasm_module_new(bytes, &m, &e) != ST_OK) {
            printf("invalid %s\n", e.text);
        } else {
            for (uint64_t n = 0; n < tries; n++) {
                uint64_t own = world_mix_bytes(seed + n, (const uint8_t *)name, strlen(name)) >> 16;
                differed |= !run_module(m, plan ? plan : own);
            }
            wasm_module_free(m);
        }
        mem_free((void *)(uintptr_t)bytes.data);
    }
    llvm_compiler_free(compiler);
    printf(
        "total funcs %llu compiled %llu loops %llu calls %llu traps %llu stops %llu parks %llu exits %llu interrupts "
        "%llu snapshots %llu ticks %llu\n",
        (unsigned long long)total.funcs, (unsigned long long)total.compiled, (unsigned long long)total.loops,
        (unsigned long long)total.calls, (unsigned long long)total.traps, (unsigned long long)total.stops,
        (unsigned long long)total.parks, (unsigned long long)total.exits, (unsigned long long)total.interrupts,
        (unsigned long long)total.snapshots, (unsigned long long)total.ticks);
    return differed;
}
