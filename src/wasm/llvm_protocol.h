/* llvm_protocol.h: what the runtime and a compiling worker (the program aeon-llvm, wasm/llvm/worker.c) say to one
 * another.
 *
 *     aeon-llvm --worker [--module-fd N] [--memory MIB]
 *
 * Messages go over the worker's standard input and output, one at a time and in order; standard error is for a person.
 * A message is a head, a fixed part by its type (the structs below, as they lie in memory: both ends are one machine)
 * and a tail.  Whoever reads checks both sizes.
 *
 *     runtime                                   worker
 *        |                                        |   shuts itself in, decodes the module of --module-fd
 *        | <------------------------ HELLO ------ |
 *        | -- COMPILE (functions, loops) -------> |
 *        | <------- OBJECT (bytes) or FAILED ---- |   again and again
 *        | -- end of file ----------------------> |   ends with status 0
 *
 * Without --module-fd it says what it is and has nothing to compile.
 *
 * A worker that cannot start says why on standard error and ends with 2, without HELLO.  Later it can die at any time,
 * and is made to: by its memory limit (SIGABRT, SIGSEGV), by the CPU time of a request (SIGPROF), by a system call that
 * it has no use for (SIGSYS), or by the runtime, which keeps the clock.  It dies with the thread that started it.  What
 * it answers is checked (object_open), but may be wrong code should the compiler have been taken over. */
#ifndef AEON_WASM_LLVM_PROTOCOL_H
#define AEON_WASM_LLVM_PROTOCOL_H

#include "base/sha256.h"

enum { LLVM_PROTOCOL_VERSION = 1 };

enum { LLVM_MESSAGE_MAX = 1 << 30 }; /* bytes behind the head */

enum llvm_message {
    LLVM_HELLO = 1, /* struct llvm_hello; version, target */
    LLVM_COMPILE,   /* struct llvm_compile_head; uint32_t funcs[nfuncs]; {uint32_t func, offset} loops[nloops] */
    LLVM_OBJECT,    /* struct llvm_answer; an object (wasm/object.h) */
    LLVM_FAILED,    /* struct llvm_answer; one sentence */
};

struct llvm_head {
    uint32_t type; /* enum llvm_message */
    uint32_t size; /* of everything behind the head */
};

/* What the worker managed to shut itself in with. Where the machine has none of it there is still the process. */
enum {
    LLVM_GUARD_SYSCALLS = 1 << 0, /* seccomp */
    LLVM_GUARD_MEMORY = 1 << 1,   /* --memory */
};

/* Texts are not terminated; `version` and `target` are llvm_version and llvm_target (wasm/llvm/llvm.h), parts of the
 * cache's key.  The four numbers must be the runtime's own, or the worker is of another build and of no use. */
struct llvm_hello {
    uint32_t protocol;  /* LLVM_PROTOCOL_VERSION */
    uint32_t abi;       /* NATIVE_ABI_VERSION */
    uint32_t semantics; /* WASM_SEMANTICS_VERSION */
    uint32_t object;    /* OBJECT_VERSION */
    uint32_t guards;
    uint32_t has_module; /* 1: `module` is the one of --module-fd */
    struct sha256 module;
    uint32_t version_size, target_size;
};

/* A request; functions ascending and none imported, loops ascending by function and offset, their functions among those
 * (struct llvm_request).  A worker answers one that is not so with FAILED, ST_INVALID. */
struct llvm_compile_head {
    uint32_t id;     /* any number but 0, comes back with the answer */
    uint32_t cpu_ms; /* CPU time after which the worker is killed by SIGPROF; 0: none */
    uint8_t count;   /* struct llvm_options */
    uint8_t effort;
    uint16_t zero;
    uint32_t nfuncs, nloops;
};

struct llvm_answer {
    uint32_t id;
    uint32_t status;     /* enum status; ST_OK with OBJECT */
    uint64_t cpu_us;     /* spent on this request */
    uint64_t peak_bytes; /* the most memory this worker was resident with since its start */
};

#endif
