#include "world/fiber/stack.h"

#include "base/must.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#elif __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Boost.Context's entry points, which are plain C (its header is C++). */
struct transfer {
    void *context; /* of who came from there */
    void *data;
};
struct transfer jump_fcontext(void *to, void *data);
void *make_fcontext(void *top, size_t size, void (*fn)(struct transfer));

enum { GUARD_BYTES = 4096 };

struct switching {
    struct place *from, *to;
};

/* Just arrived at `to`, from whom `t` tells. */
static void arrive(struct transfer t) {
    struct switching *s = t.data;
    s->from->context = t.context;
#ifdef WITH_ASAN
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(s->to->fake, &low, &size);
    if (!s->from->low) { /* the thread's own stack */
        s->from->low = (void *)low;
        s->from->size = size;
    }
#endif
}

static void go(struct switching *s, void **fake) {
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(fake, s->to->low, s->to->size);
#endif
#ifdef WITH_TSAN
    if (!s->from->tsan)
        s->from->tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(s->to->tsan, 0);
#endif
    (void)fake;
    arrive(jump_fcontext(s->to->context, s));
}

/* `s` is read after ASan was told that this stack is left, which ends what it had moved elsewhere. */
__attribute__((no_sanitize("address"))) void place_switch(struct place *from, struct place *to) {
    struct switching s = {from, to};
    go(&s, &from->fake);
}

__attribute__((no_sanitize("address"))) void place_leave(struct place *from, struct place *to) {
    struct switching s = {from, to};
    go(&s, NULL);
    must(!"nobody goes on at a place that was left");
    __builtin_unreachable();
}

/* What lies at the top of a stack. */
struct start {
    void (*entry)(void *arg);
    void *arg;
};

static void begin(struct transfer t) {
    struct place *here = ((struct switching *)t.data)->to;
    arrive(t);
    struct start *start = (struct start *)((char *)here->low + here->size) - 1;
    start->entry(start->arg);
    must(!"a place's entry never returns");
}

void place_renew(struct place *p, void (*entry)(void *), void *arg) {
    struct start *start = (struct start *)((char *)p->low + p->size) - 1;
    *start = (struct start){entry, arg};
    p->fake = NULL;
    p->context = make_fcontext(start, p->size - sizeof *start, begin);
#ifdef WITH_TSAN
    if (p->tsan)
        __tsan_destroy_fiber(p->tsan);
    p->tsan = __tsan_create_fiber(0);
#endif
}

void place_new(struct place *p, size_t stack_bytes, void (*entry)(void *), void *arg) {
    char *m = mmap(NULL, stack_bytes + GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(m != MAP_FAILED);
    must(mprotect(m + GUARD_BYTES, stack_bytes, PROT_READ | PROT_WRITE) == 0);
    *p = (struct place){.low = m + GUARD_BYTES, .size = stack_bytes};
    place_renew(p, entry, arg);
}

void place_free(struct place *p) {
#ifdef WITH_TSAN
    __tsan_destroy_fiber(p->tsan);
#endif
    munmap((char *)p->low - GUARD_BYTES, p->size + GUARD_BYTES);
}
