#include "wasm/llvm/guard.h"

#include "wasm/llvm_protocol.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* An address sanitizer reserves the whole address space for itself, and cannot be held to less. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

enum { STACK_BYTES = 64 << 20 }; /* LLVM recurses on deep expressions */

/* ---- system calls --------------------------------------------------------------------------------------------------
 */

enum rule {
    ALLOW,
    REFUSE,  /* fails with EPERM: what libraries try and can do without */
    NO_CODE, /* allowed when its third argument, a protection, makes nothing executable */
    ITSELF,  /* allowed when its first argument is this process */
};

// clang-format off
static const struct {
    long number;
    enum rule rule;
} rules[] = {
    {SYS_read, ALLOW}, {SYS_pread64, ALLOW}, {SYS_write, ALLOW}, {SYS_writev, ALLOW}, {SYS_close, ALLOW},
    {SYS_mmap, NO_CODE}, {SYS_mprotect, NO_CODE}, {SYS_munmap, ALLOW}, {SYS_mremap, ALLOW}, {SYS_brk, ALLOW},
    {SYS_madvise, ALLOW},
    {SYS_futex, ALLOW}, {SYS_sched_yield, ALLOW},
    {SYS_clock_gettime, ALLOW}, {SYS_clock_getres, ALLOW}, {SYS_gettimeofday, ALLOW}, {SYS_getrusage, ALLOW},
    {SYS_setitimer, ALLOW},
    {SYS_getrandom, ALLOW}, {SYS_getpid, ALLOW}, {SYS_gettid, ALLOW},
    {SYS_sysinfo, ALLOW}, /* qsort asks how much memory there is */
    {SYS_rt_sigaction, ALLOW}, {SYS_rt_sigprocmask, ALLOW}, {SYS_rt_sigreturn, ALLOW}, {SYS_sigaltstack, ALLOW},
    {SYS_tgkill, ITSELF}, {SYS_exit, ALLOW}, {SYS_exit_group, ALLOW}, {SYS_restart_syscall, ALLOW},
    /* what a stream asks about the descriptor it prints an error on, and malloc's names for its mappings */
    {SYS_fstat, REFUSE}, {SYS_newfstatat, REFUSE}, {SYS_lseek, REFUSE}, {SYS_ioctl, REFUSE}, {SYS_prctl, REFUSE},
    {SYS_sched_getaffinity, REFUSE},
};
// clang-format on

enum { NRULES = sizeof rules / sizeof rules[0], PER_RULE = 6, AROUND = 8 };

#define LOAD(field)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value)     BPF_STMT(BPF_RET | BPF_K, (value))
#define IF_EQUAL(v, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, (skip))

/* The low half of an argument: little-endian, and all that is looked at fits in it. */
#define LOAD_ARGUMENT(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (i))

static unsigned add_rule(struct sock_filter *p, long number, enum rule rule) {
    unsigned n = 0;
    uint8_t length = rule == NO_CODE || rule == ITSELF ? 4 : 1;
    p[n++] = (struct sock_filter)IF_EQUAL((uint32_t)number, length);
    switch (rule) {
    case ALLOW: p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW); break;
    case REFUSE: p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | EPERM); break;
    case NO_CODE:
        p[n++] = (struct sock_filter)LOAD_ARGUMENT(2);
        p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0);
        p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
        p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
        break;
    case ITSELF:
        p[n++] = (struct sock_filter)LOAD_ARGUMENT(0);
        p[n++] = (struct sock_filter)IF_EQUAL((uint32_t)getpid(), 1);
        p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
        p[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
        break;
    }
    return n;
}

static bool filter_calls(void) {
    struct sock_filter code[NRULES * PER_RULE + AROUND];
    unsigned n = 0;
    if (!ARCH)
        return false;
    code[n++] = (struct sock_filter)LOAD(arch);
    code[n++] = (struct sock_filter)IF_EQUAL(ARCH, 1);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1);
    code[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)LOAD(nr); /* numbers of the x32 table are other numbers, and in no row */
    for (unsigned i = 0; i < NRULES; i++)
        n += add_rule(code + n, rules[i].number, rules[i].rule);
    code[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* ---- limits --------------------------------------------------------------------------------------------------------
 */

static bool limit(int resource, uint64_t value) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0)
        return false;
    rlim_t v = value < now.rlim_max ? value : now.rlim_max;
    return setrlimit(resource, &(struct rlimit){.rlim_cur = v, .rlim_max = v}) == 0;
}

/* Bytes of address space and of data that are there already; false where /proc is not. */
static bool used(uint64_t *space, uint64_t *data) {
    unsigned long pages[7];
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return false;
    int n = fscanf(f, "%lu %lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5],
                   &pages[6]);
    fclose(f);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *space = pages[0] * page;
    *data = pages[5] * page; /* with the stack, which RLIMIT_DATA does not count */
    return n == 7;
}

static bool limit_memory(uint64_t bytes) {
    uint64_t space, data;
    if (SANITIZED || !bytes || !used(&space, &data))
        return false;
    /* What is written counts as data; the address space is bounded too, because what is only read has tables. */
    return limit(RLIMIT_DATA, data + bytes) && limit(RLIMIT_AS, space + bytes + STACK_BYTES);
}

uint32_t guard_enter(uint64_t memory_bytes) {
    uint32_t in_force = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_STACK, STACK_BYTES);
    if (limit_memory(memory_bytes))
        in_force |= LLVM_GUARD_MEMORY;
    limit(RLIMIT_NOFILE, 0);
    if (filter_calls())
        in_force |= LLVM_GUARD_SYSCALLS;
    return in_force;
}

void guard_cpu_limit(uint32_t ms) {
    struct itimerval t = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
    setitimer(ITIMER_PROF, &t, NULL);
}
