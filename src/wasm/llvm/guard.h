/* guard.h: how a compiling worker shuts itself in, before it looks at what a stranger wrote: limits of its own, no new
 * privileges, and a filter of system calls that leaves it memory, its pipes, its own clock and the exit. */
#ifndef AEON_WASM_LLVM_GUARD_H
#define AEON_WASM_LLVM_GUARD_H

#include <stdint.h>

/* Returns what is in force, LLVM_GUARD_*; memory_bytes is for what is taken from now on, 0: no limit. Whatever has to
 * be opened or mapped from files is so before. Any other system call kills the process (SIGSYS). */
uint32_t guard_enter(uint64_t memory_bytes);

/* Kills the process (SIGPROF) when it has used that much more CPU time; 0: takes that back. */
void guard_cpu_limit(uint32_t ms);

#endif
