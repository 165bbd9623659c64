/* stack.h: stacks to run on, and going from one to another; internal to world/fiber. */
#ifndef AEON_WORLD_FIBER_STACK_H
#define AEON_WORLD_FIBER_STACK_H

#include <stddef.h>

/* A place to go on, on a stack of its own or (the loop's) the thread's. */
struct place {
    void *context; /* Boost.Context's */
    void *low;     /* of the stack; NULL: the thread's, learnt at the first switch */
    size_t size;
    void *fake, *tsan; /* what sanitizers keep */
};

/* A stack with a guard page below it, where `entry(arg)` begins at the first switch and never returns. */
void place_new(struct place *p, size_t stack_bytes, void (*entry)(void *arg), void *arg);
/* The same stack again, after its entry left for good. */
void place_renew(struct place *p, void (*entry)(void *arg), void *arg);
void place_free(struct place *p);

/* Goes on at `to`; comes back when somebody goes on at `from`. */
void place_switch(struct place *from, struct place *to);
/* The same for one that will not come back. */
void place_leave(struct place *from, struct place *to) __attribute__((noreturn));

#endif
