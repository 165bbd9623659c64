/* worker.c: the program aeon-llvm.
 *
 *     aeon-llvm --worker [--module-fd N] [--memory MIB]     serves the runtime (wasm/llvm_protocol.h)
 *     aeon-llvm --object FILE.wasm -o OUT [--funcs A,B,...] [--loops F:OFFSET,...] [--effort 1|2] [--no-count]
 *     aeon-llvm --version */
#include "base/must.h"
#include "wasm/llvm/guard.h"
#include "wasm/llvm/llvm.h"
#include "wasm/llvm_protocol.h"
#include "wasm/module.h"
#include "wasm/native.h"
#include "wasm/object.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OBJECT_MAX = LLVM_MESSAGE_MAX - (int)sizeof(struct llvm_answer) };

enum { NO_DESCRIPTOR = -1 };

struct worker {
    struct llvm_compiler *compiler;
    struct wasm_module *module; /* NULL: none was given */
    int status_fd;              /* /proc/self/status, or NO_DESCRIPTOR */
};

static _Noreturn void leave(int status, const char *text) {
    if (text)
        fprintf(stderr, "aeon-llvm: %s\n", text);
    _exit(status); /* destructors of a large library are nothing but time */
}

/* A file as it is; empty for an empty one. */
static struct span map_file(int fd, const char *name) {
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size == 0)
        return SPAN(NULL, 0);
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "aeon-llvm: %s cannot be mapped: %s\n", name, strerror(errno));
        leave(2, NULL);
    }
    return SPAN(p, (size_t)st.st_size);
}

/* ---- the runtime's side of the pipes -------------------------------------------------------------------------------
 */

/* False at the end of the input; a message that is cut is the end too. */
static bool read_exactly(void *p, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = read(STDIN_FILENO, (char *)p + at, size - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static void write_exactly(const void *p, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = write(STDOUT_FILENO, (const char *)p + at, size - at);
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            leave(0, NULL); /* nobody listens any more */
    }
}

static void say(enum llvm_message type, const void *fixed, size_t fixed_size, struct span a, struct span b) {
    struct llvm_head head = {.type = type, .size = (uint32_t)(fixed_size + a.size + b.size)};
    write_exactly(&head, sizeof head);
    write_exactly(fixed, fixed_size);
    write_exactly(a.data, a.size);
    write_exactly(b.data, b.size);
}

/* ---- requests ------------------------------------------------------------------------------------------------------
 */

static uint64_t cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The figure of getrusage would include what the parent had before exec. */
static uint64_t peak_bytes(const struct worker *w) {
    char text[4096];
    ssize_t n = w->status_fd == NO_DESCRIPTOR ? -1 : pread(w->status_fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *line = strstr(text, "VmHWM:");
    return line ? strtoull(line + strlen("VmHWM:"), NULL, 10) * 1024 : 0;
}

static bool is_in(const struct llvm_request *r, uint32_t func) {
    for (uint32_t lo = 0, hi = r->nfuncs; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (r->funcs[mid] == func)
            return true;
        if (r->funcs[mid] < func)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* Is it what llvm.h asks for? */
static enum status check_request(const struct llvm_request *r, struct err *e) {
    const struct wasm_module *m = r->module;
    if (!m)
        return err_set(e, ST_INVALID, "there is no module to compile");
    if (!r->nfuncs || r->options.effort < 1 || r->options.effort > 2)
        return err_set(e, ST_INVALID, "a request without functions, or of an unknown effort");
    for (uint32_t i = 0; i < r->nfuncs; i++) {
        if (r->funcs[i] < m->nimported_funcs || r->funcs[i] >= m->nfuncs)
            return err_set(e, ST_INVALID, "function %u is none of the module's own", r->funcs[i]);
        if (i && r->funcs[i] <= r->funcs[i - 1])
            return err_set(e, ST_INVALID, "functions are not in order at %u", r->funcs[i]);
    }
    for (uint32_t i = 0; i < r->nloops; i++) {
        const struct llvm_loop *l = &r->loops[i], *before = l - 1;
        if (!is_in(r, l->func))
            return err_set(e, ST_INVALID, "a loop of function %u, which is not asked for", l->func);
        const struct module_func *f = &m->funcs[l->func];
        if (l->offset < f->offset || l->offset >= (uint64_t)(f->end - m->bytes.data))
            return err_set(e, ST_INVALID, "function %u has no loop at %u", l->func, l->offset);
        if (i && (l->func < before->func || (l->func == before->func && l->offset <= before->offset)))
            return err_set(e, ST_INVALID, "loops are not in order at %u", l->offset);
    }
    return ST_OK;
}

static enum status compile(struct worker *w, const struct llvm_compile_head *h, const uint8_t *tail, size_t size,
                           struct buf *object, struct err *e) {
    if (size != (uint64_t)h->nfuncs * sizeof(uint32_t) + (uint64_t)h->nloops * sizeof(struct llvm_loop))
        return err_set(e, ST_INVALID, "a request whose size is not what it says");
    const uint32_t *funcs = (const uint32_t *)(const void *)tail; /* aligned: see serve */
    struct llvm_request r = {.module = w->module,
                             .funcs = funcs,
                             .nfuncs = h->nfuncs,
                             .loops = (const struct llvm_loop *)(const void *)(funcs + h->nfuncs),
                             .nloops = h->nloops,
                             .options = {.count = h->count, .effort = h->effort}};
    enum status st = check_request(&r, e);
    return st ? st : llvm_compile(w->compiler, &r, object, e);
}

static void answer(struct worker *w, const uint8_t *message, size_t size) {
    struct llvm_compile_head h;
    struct err e = ERR_INIT;
    struct buf object;
    memcpy(&h, message, sizeof h);
    buf_init(&object, OBJECT_MAX);
    uint64_t before = cpu_us();
    guard_cpu_limit(h.cpu_ms);
    enum status st = compile(w, &h, message + sizeof h, size - sizeof h, &object, &e);
    guard_cpu_limit(0);
    struct llvm_answer a = {.id = h.id, .status = st, .cpu_us = cpu_us() - before, .peak_bytes = peak_bytes(w)};
    struct span none = SPAN(NULL, 0);
    if (st == ST_OK)
        say(LLVM_OBJECT, &a, sizeof a, buf_span(&object), none);
    else
        say(LLVM_FAILED, &a, sizeof a, SPAN_STR(e.text), none);
    buf_deinit(&object);
    malloc_trim(0); /* it may be long until the next one */
}

_Static_assert(sizeof(struct llvm_compile_head) % _Alignof(struct llvm_loop) == 0, "functions follow the fixed part");

static void serve(struct worker *w) {
    struct llvm_head head;
    while (read_exactly(&head, sizeof head)) {
        if (head.type != LLVM_COMPILE || head.size > LLVM_MESSAGE_MAX || head.size < sizeof(struct llvm_compile_head))
            leave(2, "what was asked is no request");
        uint8_t *message = mem_alloc(head.size);
        if (read_exactly(message, head.size))
            answer(w, message, head.size);
        mem_free(message);
    }
}

static struct llvm_compiler *new_compiler(void) {
    struct llvm_compiler *c;
    struct err e = ERR_INIT;
    if (llvm_compiler_new(&c, &e) != ST_OK)
        leave(2, e.text);
    return c;
}

static void work(int module_fd, uint64_t memory_bytes) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* where standard error is a file, nothing can be said: better than an odd death */
    struct worker w = {.compiler = new_compiler(), .status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC)};
    struct span bytes = {NULL, 0};
    if (module_fd != NO_DESCRIPTOR) {
        bytes = map_file(module_fd, "the module");
        close(module_fd);
    }
    struct llvm_hello hello = {.protocol = LLVM_PROTOCOL_VERSION,
                               .abi = NATIVE_ABI_VERSION,
                               .semantics = WASM_SEMANTICS_VERSION,
                               .object = OBJECT_VERSION,
                               .guards = guard_enter(memory_bytes)};
    if (bytes.size) {
        struct err e = ERR_INIT;
        if (wasm_module_new(bytes, &w.module, &e) != ST_OK)
            leave(2, e.text);
        hello.has_module = 1;
        sha256_of(bytes, &hello.module);
    }
    struct span version = SPAN_STR(llvm_version(w.compiler)), target = SPAN_STR(llvm_target(w.compiler));
    hello.version_size = (uint32_t)version.size;
    hello.target_size = (uint32_t)target.size;
    say(LLVM_HELLO, &hello, sizeof hello, version, target);
    serve(&w);
    leave(0, NULL);
}

/* ---- by hand -------------------------------------------------------------------------------------------------------
 */

/* Numbers between `,` and `:`; how many. */
static uint32_t parse_numbers(const char *text, uint32_t **out) {
    uint32_t n = 0, *numbers = mem_alloc((strlen(text) + 1) * sizeof *numbers);
    for (const char *p = text; *p;) {
        char *end;
        errno = 0;
        unsigned long v = strtoul(p, &end, 10);
        if (end == p || errno || v > UINT32_MAX || (*end && *end != ',' && *end != ':'))
            leave(2, "a list of numbers is no list of numbers");
        numbers[n++] = (uint32_t)v;
        p = *end ? end + 1 : end;
    }
    *out = numbers;
    return n;
}

static void write_file(const char *path, struct span bytes) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes.data, 1, bytes.size, f) != bytes.size || fclose(f) != 0) {
        fprintf(stderr, "aeon-llvm: %s cannot be written: %s\n", path, strerror(errno));
        leave(2, NULL);
    }
}

struct by_hand {
    const char *module, *out, *funcs, *loops;
    struct llvm_options options;
};

static void compile_file(const struct by_hand *o) {
    struct err e = ERR_INIT;
    struct wasm_module *m;
    struct buf object;
    uint32_t *funcs, *loops;
    int fd = open(o->module, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "aeon-llvm: %s cannot be opened: %s\n", o->module, strerror(errno));
        leave(2, NULL);
    }
    if (wasm_module_new(map_file(fd, o->module), &m, &e) != ST_OK)
        leave(2, e.text);
    uint32_t nfuncs = parse_numbers(o->funcs ? o->funcs : "", &funcs);
    if (!o->funcs) {
        funcs = mem_realloc(funcs, (m->nfuncs + 1ul) * sizeof *funcs);
        for (uint32_t i = m->nimported_funcs; i < m->nfuncs; i++)
            funcs[nfuncs++] = i;
    }
    uint32_t nnumbers = parse_numbers(o->loops ? o->loops : "", &loops);
    if (nnumbers % 2)
        leave(2, "--loops wants pairs of function and offset");
    struct llvm_request r = {.module = m,
                             .funcs = funcs,
                             .nfuncs = nfuncs,
                             .loops = (const struct llvm_loop *)loops,
                             .nloops = nnumbers / 2,
                             .options = o->options};
    buf_init(&object, OBJECT_MAX);
    if (check_request(&r, &e) || llvm_compile(new_compiler(), &r, &object, &e))
        leave(1, e.text);
    write_file(o->out, buf_span(&object));
}

static _Noreturn void usage(void) {
    leave(2, "usage: aeon-llvm --worker [--module-fd N] [--memory MIB]\n"
             "       aeon-llvm --object FILE.wasm -o OUT [--funcs A,B,...] [--loops F:OFFSET,...] [--effort 1|2] "
             "[--no-count]\n"
             "       aeon-llvm --version");
}

static int number_of(const char *text, int max) {
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *end || v < 0 || v > max)
        usage();
    return (int)v;
}

int main(int argc, char **argv) {
    enum { WORKER = 256, MODULE_FD, MEMORY, OBJECT, FUNCS, LOOPS, EFFORT, NO_COUNT, VERSION };
    static const struct option options[] = {
        {"worker", no_argument, NULL, WORKER},       {"module-fd", required_argument, NULL, MODULE_FD},
        {"memory", required_argument, NULL, MEMORY}, {"object", required_argument, NULL, OBJECT},
        {"funcs", required_argument, NULL, FUNCS},   {"loops", required_argument, NULL, LOOPS},
        {"effort", required_argument, NULL, EFFORT}, {"no-count", no_argument, NULL, NO_COUNT},
        {"version", no_argument, NULL, VERSION},     {NULL, 0, NULL, 0},
    };
    struct by_hand hand = {.options = {.count = true, .effort = 2}};
    int mode = 0, module_fd = NO_DESCRIPTOR, memory_mib = 0;
    for (int c; (c = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        switch (c) {
        case WORKER:
        case VERSION: mode = c; break;
        case OBJECT:
            mode = c;
            hand.module = optarg;
            break;
        case 'o': hand.out = optarg; break;
        case MODULE_FD: module_fd = number_of(optarg, INT32_MAX); break;
        case MEMORY: memory_mib = number_of(optarg, INT32_MAX); break;
        case FUNCS: hand.funcs = optarg; break;
        case LOOPS: hand.loops = optarg; break;
        case EFFORT: hand.options.effort = (uint8_t)number_of(optarg, 2); break;
        case NO_COUNT: hand.options.count = false; break;
        default: usage();
        }
    }
    if (optind != argc || !mode || (mode == OBJECT && !hand.out))
        usage();
    if (mode == WORKER) {
        work(module_fd, (uint64_t)memory_mib << 20);
    } else if (mode == OBJECT) {
        compile_file(&hand);
    } else {
        struct llvm_compiler *c = new_compiler();
        printf("aeon-llvm %s, LLVM %s for %s\n", AEON_VERSION, llvm_version(c), llvm_target(c));
        fflush(stdout);
    }
    leave(0, NULL);
}
