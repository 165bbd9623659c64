/* pool.c: worker processes (wasm/llvm_protocol.h): who compiles what, and what came of it.
 *
 * A worker holds one module and has at most two requests, so that it need not wait for us and what is most urgent can
 * still come first.  While a guest runs there are two at most: one for small requests, one for those that take long.
 * A worker that dies or takes too long is to blame for the request it was at, which is tried again in halves until a
 * single function is found; that one is left alone.  After a few deaths no more workers are started. */
#include "tier/internal.h"

#include "wasm/object.h"
#include "world/os/code.h"

#include <stdio.h>

enum {
    LANES = 2,
    PENDING_MAX = 64,      /* while a guest runs */
    SLOW_BYTES = 24 << 10, /* of bodies: a request for the second lane */
    DEATHS_MAX = 6,        /* while a guest runs */
    DEATHS_MAX_AHEAD = 64,
    MEMORY_MIB = 384, /* of a worker */
    MEMORY_MIB_AHEAD = 2048,
    CPU_MS = 8000, /* of a request, and for each KiB of bodies: */
    CPU_MS_PER_KIB = 500,
    CPU_MS_MAX = 180000,
    MESSAGE_MAX = 256 << 20,
};

#define START_NS 60000000000ull
#define CLOCK_NS 20000000ull /* of the wall clock for a millisecond of CPU time: workers stand back */

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static struct request *request_new(struct tier_module *m, const uint32_t *funcs, uint32_t nfuncs,
                                   const struct tier_loop *loops, uint32_t nloops) {
    struct tier *t = m->tier;
    struct request *r = mem_zalloc(sizeof *r);
    r->module = m;
    if (++t->next_id == 0)
        t->next_id = 1;
    r->id = t->next_id;
    r->funcs = mem_alloc(nfuncs * sizeof *funcs);
    r->nfuncs = nfuncs;
    r->loops = mem_alloc((nloops + 1ul) * sizeof *loops);
    memcpy(r->funcs, funcs, nfuncs * sizeof *funcs);
    for (uint32_t i = 0; i < nloops; i++)
        for (uint32_t k = 0; k < nfuncs; k++)
            if (funcs[k] == loops[i].func)
                r->loops[r->nloops++] = loops[i];
    for (uint32_t i = 0; i < nfuncs; i++)
        r->bytes += wasm_module_func_bytes(m->wasm, funcs[i]);
    return r;
}

static void request_free(struct request *r) {
    mem_free(r->funcs);
    mem_free(r->loops);
    mem_free(r);
}

/* Its functions may be asked for again. */
static void request_drop(struct request *r) {
    for (uint32_t i = 0; i < r->nfuncs; i++)
        if (r->module->state[r->funcs[i]] == FUNC_ASKED)
            r->module->state[r->funcs[i]] = FUNC_NONE;
    request_free(r);
}

static void push(struct tier *t, struct request *r) {
    r->next = t->pending;
    t->pending = r;
    t->npending++;
}

bool pool_request(struct tier_module *m, const uint32_t *funcs, uint32_t nfuncs, const struct tier_loop *loops,
                  uint32_t nloops) {
    struct tier *t = m->tier;
    if (!t->ahead && t->npending >= PENDING_MAX)
        return false;
    for (uint32_t i = 0; i < nfuncs; i++)
        if (m->state[funcs[i]] == FUNC_NONE)
            m->state[funcs[i]] = FUNC_ASKED;
    for (uint32_t i = 0; i < nloops; i++)
        module_add_loop(m, loops[i].func, loops[i].offset);
    push(t, request_new(m, funcs, nfuncs, loops, nloops));
    return true;
}

static uint64_t urgency(const struct tier *t, const struct request *r) {
    uint64_t most = 0;
    if (t->ahead)
        return r->bytes; /* what takes longest must not come last */
    for (uint32_t i = 0; i < r->nfuncs; i++)
        if (r->module->samples && r->module->samples[r->funcs[i]] > most)
            most = r->module->samples[r->funcs[i]];
    return most + 1;
}

/* The most urgent one for this lane, taken out; of equals the one that was asked for first. */
static struct request *pop(struct tier *t, bool slow) {
    struct request **best = NULL;
    uint64_t most = 0;
    for (struct request **p = &t->pending; *p; p = &(*p)->next) {
        uint64_t u = urgency(t, *p);
        bool fits = t->ahead || slow == ((*p)->bytes > SLOW_BYTES);
        if (fits && u >= most) {
            best = p;
            most = u;
        }
    }
    struct request *r = best ? *best : NULL;
    if (r) {
        *best = r->next;
        t->npending--;
    }
    return r;
}

/* ---- what came of it --------------------------------------------------------------------------------------------- */

static const char *func_text(const struct tier_module *m, uint32_t func, char out[static 160]) {
    struct span name;
    bool named = wasm_module_func_name(m->wasm, func, &name) && name.size;
    snprintf(out, 160, named ? "function %u (%.*s)" : "function %u", func,
             named ? (int)(name.size < 100 ? name.size : 100) : 0, named ? (const char *)name.data : "");
    return out;
}

static void give_up(struct tier_module *m, uint32_t func, const char *why) {
    if (m->state[func] != FUNC_ASKED && m->state[func] != FUNC_NONE)
        return;
    m->state[func] = FUNC_BAD;
    m->report.failed++;
    if (m->cache)
        cache_put_bad(m->cache, func, why);
}

/* Not compiled: why is known of single functions only. */
static void failed(struct tier *t, struct request *r, const char *why) {
    struct tier_module *m = r->module;
    char text[160];
    if (r->nfuncs > 1) {
        uint32_t half = r->nfuncs / 2;
        push(t, request_new(m, r->funcs, half, r->loops, r->nloops));
        push(t, request_new(m, r->funcs + half, r->nfuncs - half, r->loops, r->nloops));
    } else if (m->state[r->funcs[0]] != FUNC_HAVE) { /* else it was about a loop, which just has no entry then */
        give_up(m, r->funcs[0], why);
        if (!t->told++)
            tier_tell(t, "%s stays interpreted: %s", func_text(m, r->funcs[0], text), why);
    }
    request_free(r);
}

static void keep(struct tier *t, struct request *r, struct span object) {
    struct tier_module *m = r->module;
    struct object o;
    struct err e = ERR_INIT;
    struct span code;
    enum status s = object_open(object, &o, &e);
    if (!s && memcmp(&o.module, &m->hash, sizeof o.module) != 0)
        s = err_set(&e, ST_MISMATCH, "it is of another module");
    if (s) {
        char why[700];
        snprintf(why, sizeof why, "the compiler's answer is no object: %s", e.text);
        failed(t, r, why);
        return;
    }
    if (m->cache && cache_put(m->cache, object, &code, &e)) {
        cache_close(m->cache); /* disk full, directory gone: for this process it is enough to have the code */
        m->cache = NULL;
        if (!t->told++)
            tier_tell(t, "compiled code is not kept: %s", e.text);
    }
    int rc = m->cache ? 0 : code_copy(object, &code);
    if (rc == 0)
        s = module_add(m, code, false);
    for (uint32_t i = 0; i < r->nfuncs; i++)
        give_up(m, r->funcs[i], rc < 0 || s ? "no memory for its code" : "it is beyond a limit of the compiler");
    request_free(r);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

static void drop_all(struct tier *t) {
    pool_cancel(t);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        struct lane *l = &t->lanes[i];
        if (l->child)
            child_end(l->child);
        for (uint32_t k = 0; k < l->nasked; k++)
            request_drop(l->asked[k]);
        l->nasked = 0;
    }
}

static void lose(struct tier *t, const char *why) {
    compiler_lose(t, why);
    drop_all(t);
    if (t->o.mode == TIER_AUTO && !t->told++)
        tier_tell(t, "%s: everything stays interpreted", t->why.text);
}

static struct request *take_first(struct lane *l) {
    struct request *r = l->asked[0];
    l->nasked--;
    memmove(l->asked, l->asked + 1, l->nasked * sizeof *l->asked);
    return r;
}

static void ended(struct tier *t, struct lane *l, const struct child_event *event) {
    child_free(l->child);
    l->child = NULL;
    if (!l->greeted) {
        lose(t, event->how);
        return;
    }
    t->deaths++;
    if (l->nasked && event->was_asked) {
        struct request *r = take_first(l);
        char why[CHILD_HOW + 32];
        r->module->report.deaths++;
        snprintf(why, sizeof why, "the compiler %s", event->how);
        failed(t, r, why);
    }
    while (l->nasked)
        push(t, take_first(l));
    if (t->deaths >= (t->ahead ? DEATHS_MAX_AHEAD : DEATHS_MAX))
        lose(t, "has died too often");
}

static void answered(struct tier *t, struct lane *l, uint32_t type, struct span bytes) {
    struct llvm_answer a;
    if (!l->nasked || bytes.size < sizeof a || (type != LLVM_OBJECT && type != LLVM_FAILED)) {
        lose(t, "speaks otherwise than it should");
        return;
    }
    memcpy(&a, bytes.data, sizeof a);
    if (a.id != l->asked[0]->id) {
        lose(t, "answers what it was not asked");
        return;
    }
    struct request *r = take_first(l);
    struct tier_report *report = &r->module->report;
    bytes = SPAN(bytes.data + sizeof a, bytes.size - sizeof a);
    report->cpu_us += a.cpu_us;
    if (a.peak_bytes > report->peak_bytes)
        report->peak_bytes = a.peak_bytes;
    if (type == LLVM_OBJECT) {
        keep(t, r, bytes);
    } else {
        char why[200];
        snprintf(why, sizeof why, "%.*s", (int)(bytes.size < 180 ? bytes.size : 180), (const char *)bytes.data);
        failed(t, r, why);
    }
}

static void take_events(struct tier *t, struct lane *l) {
    struct child_event event;
    while (l->child && child_take(l->child, &event)) {
        struct span bytes = SPAN(event.bytes, event.size);
        if (t->dead) {
            ; /* whatever it says */
        } else if (event.ended) {
            ended(t, l, &event);
        } else if (l->greeted) {
            answered(t, l, event.type, bytes);
        } else if (event.type != LLVM_HELLO) {
            lose(t, "does not say what it is");
        } else {
            l->greeted = compiler_greet(t, bytes, l->module);
            if (!l->greeted)
                lose(t, "");
        }
        mem_free(event.bytes);
    }
}

static bool start(struct tier *t, struct lane *l, struct tier_module *m) {
    char fd[8], memory[16];
    snprintf(fd, sizeof fd, "%d", CHILD_INHERITED_FD);
    snprintf(memory, sizeof memory, "%d", t->ahead ? MEMORY_MIB_AHEAD : MEMORY_MIB);
    const struct child_options o = {
        .program = t->o.program,
        .args = (const char *const[]){"--worker", "--module-fd", fd, "--memory", memory},
        .nargs = 5,
        .file = m->file,
        .inherited = wasm_module_bytes(m->wasm),
        .start_ns = START_NS,
        .max_message = MESSAGE_MAX,
        .lowly = !t->ahead,
    };
    child_free(l->child);
    l->child = child_start(t->world, &o);
    l->module = m;
    l->greeted = false;
    if (!l->child)
        lose(t, "could not be given a thread");
    return l->child != NULL;
}

static void ask(struct lane *l, struct request *r) {
    struct buf b;
    uint64_t cpu_ms = CPU_MS + r->bytes / 1024 * CPU_MS_PER_KIB;
    const struct llvm_compile_head head = {
        .id = r->id,
        .cpu_ms = (uint32_t)(cpu_ms < CPU_MS_MAX ? cpu_ms : CPU_MS_MAX),
        .count = true,
        .effort = 2,
        .nfuncs = r->nfuncs,
        .nloops = r->nloops,
    };
    buf_init(&b, MESSAGE_MAX);
    buf_append(&b, &head, sizeof head);
    buf_append(&b, r->funcs, r->nfuncs * sizeof *r->funcs);
    buf_append(&b, r->loops, r->nloops * sizeof *r->loops);
    must(!b.failed);
    child_ask(l->child, LLVM_COMPILE, buf_span(&b), head.cpu_ms * CLOCK_NS);
    buf_deinit(&b);
    l->asked[l->nasked++] = r;
}

/* Gives the lane something to do. */
static void feed(struct tier *t, struct lane *l, bool slow) {
    while (l->nasked < LANE_DEPTH && t->pending && !t->dead) {
        if (l->nasked && t->ahead && t->npending < 2 * t->nlanes)
            return; /* the last ones go to whoever is free first */
        struct request *r = pop(t, slow);
        if (!r)
            return;
        if (!l->child || l->module != r->module) {
            if (l->nasked) { /* it is for the other module yet */
                push(t, r);
                return;
            }
            if (!start(t, l, r->module)) {
                request_drop(r);
                return;
            }
        }
        ask(l, r);
    }
}

void pool_turn(struct tier *t) {
    bool news = false;
    for (uint32_t i = 0; i < LANES_MAX; i++)
        news |= t->lanes[i].child && child_ready(t->lanes[i].child);
    for (uint32_t i = 0; i < LANES_MAX && news; i++)
        take_events(t, &t->lanes[i]);
    if (t->dead || !t->pending)
        return;
    uint32_t n = LANES;
    if (t->ahead)
        n = t->o.workers ? t->o.workers : child_processors();
    t->nlanes = n < LANES_MAX ? n : LANES_MAX;
    for (uint32_t i = 0; i < t->nlanes; i++)
        feed(t, &t->lanes[i], i == 1);
}

bool pool_busy(const struct tier *t) {
    bool busy = t->pending != NULL;
    for (uint32_t i = 0; i < LANES_MAX; i++)
        busy |= t->lanes[i].nasked != 0;
    return busy;
}

void pool_cancel(struct tier *t) {
    while (t->pending) {
        struct request *r = t->pending;
        t->pending = r->next;
        request_drop(r);
    }
    t->npending = 0;
}

void pool_end(struct tier *t) {
    drop_all(t);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        child_free(t->lanes[i].child);
        t->lanes[i] = (struct lane){0};
    }
}
