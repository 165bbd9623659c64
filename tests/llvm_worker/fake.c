/* fake.c: a compiler (wasm/llvm/llvm.h) without LLVM, for the worker to be tested around: what it does is a deed named
 * by the number of the function it is to compile (deeds.h). */
#include "base/must.h"
#include "deeds.h"
#include "wasm/llvm/llvm.h"
#include "wasm/object.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct llvm_compiler {
    int unused;
};

static struct llvm_compiler the_one;
static volatile unsigned long counter;

enum status llvm_compiler_new(struct llvm_compiler **out, struct err *e) {
    (void)e;
    *out = &the_one;
    return ST_OK;
}

void llvm_compiler_free(struct llvm_compiler *c) {
    (void)c;
}

const char *llvm_version(const struct llvm_compiler *c) {
    (void)c;
    return "0.0.1";
}

const char *llvm_target(const struct llvm_compiler *c) {
    (void)c;
    return "fake";
}

static int compare(const void *a, const void *b) {
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

__attribute__((noinline)) static unsigned long recurse(unsigned depth) {
    volatile char frame[4096];
    frame[depth % sizeof frame] = 1;
    return depth ? recurse(depth - 1) + (unsigned char)frame[depth % sizeof frame] : 0;
}

static void eat(void) {
    for (;;) {
        char *p = malloc(1 << 20);
        if (!p)
            abort();
        memset(p, 1, 1 << 20);
        __asm__ volatile("" : : "r"(p) : "memory"); /* or the compiler does without */
    }
}

static void sort(void) {
    enum { N = 1 << 20 };
    int *numbers = malloc(N * sizeof *numbers);
    for (int i = 0; i < N; i++)
        numbers[i] = (int)((unsigned)i * 7919 % N);
    qsort(numbers, N, sizeof *numbers, compare);
    fprintf(stderr, "sorted from %d\n", numbers[0]);
    free(numbers);
}

static void perform(enum deed d) {
    void *page = MAP_FAILED;
    char *const none[] = {NULL};
    switch (d) {
    case DEED_OPEN: counter += (unsigned long)open("/dev/null", O_RDONLY); break;
    case DEED_SOCKET: counter += (unsigned long)socket(AF_UNIX, SOCK_STREAM, 0); break;
    case DEED_FORK: counter += (unsigned long)fork(); break;
    case DEED_THREAD: counter += (unsigned long)syscall(SYS_clone, 0x100 | SIGCHLD, 0, 0, 0, 0); break;
    case DEED_EXEC: execve("/bin/true", none, none); break;
    case DEED_KILL: kill(getppid(), SIGTERM); break;
    case DEED_TGKILL: syscall(SYS_tgkill, 1, 1, 0); break;
    case DEED_MAP_CODE: page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); break;
    case DEED_PROTECT_CODE:
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(page != MAP_FAILED);
        mprotect(page, 4096, PROT_READ | PROT_EXEC);
        break;
    case DEED_PTRACE: ptrace(PTRACE_TRACEME, 0, NULL, NULL); break;
    case DEED_ABORT: abort();
    case DEED_SPIN:
        for (;;)
            counter++;
    case DEED_EAT: eat(); break;
    case DEED_RECURSE: counter += recurse((32 << 20) / 4096); break;
    case DEED_SORT: sort(); break;
    default: break;
    }
}

enum status llvm_compile(struct llvm_compiler *c, const struct llvm_request *r, struct buf *object, struct err *e) {
    (void)c;
    static const uint8_t text[] = {0xc3, 0xc3};
    struct sha256 hash;
    if (r->funcs[0] == DEED_REFUSE)
        return err_set(e, ST_LIMIT, "function %u is too beautiful", r->funcs[0]);
    perform((enum deed)r->funcs[0]);
    sha256_of(wasm_module_bytes(r->module), &hash);
    struct object_entry *entries = mem_zalloc(r->nfuncs * sizeof *entries);
    for (uint32_t i = 0; i < r->nfuncs; i++)
        entries[i] = (struct object_entry){.func = r->funcs[i], .enter = 0, .body = 1};
    enum status st = object_write(&hash, 0, entries, r->nfuncs, SPAN(text, sizeof text), object, e);
    mem_free(entries);
    return st;
}
