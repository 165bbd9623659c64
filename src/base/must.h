/* must.h: assertions that stay on in release builds, and compile-time checks. */
#ifndef AEON_BASE_MUST_H
#define AEON_BASE_MUST_H

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Aborts with file, line and expression when `cond` is false: a bug of ours, never a guest's or a user's mistake. */
#define must(cond) (LIKELY(cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))

_Noreturn void must_failed(const char *cond, const char *file, int line) __attribute__((cold));

/* Host-sized allocations: abort when there is no memory.  Guest-sized memory is never taken through these. */
void *mem_alloc(unsigned long size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(unsigned long size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *p, unsigned long size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
void mem_free(void *p);

#endif
