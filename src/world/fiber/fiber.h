/* fiber.h: many programs on one thread. A fiber runs until it waits; then others do.
 *
 * Code in a fiber is ordinary code over the world `fibers_world`, a layer whose `wait` and `resolve` let other fibers
 * run meanwhile, and whose operations on regular files go to the world's threads when the disk has to be waited for and
 * somebody else could run.  Outside of fibers that layer is the world below.  Fibers run in the order in which they
 * became able to.  Stacks are switched by Boost.Context's C entry points. */
#ifndef AEON_WORLD_FIBER_FIBER_H
#define AEON_WORLD_FIBER_FIBER_H

#include "world/layer.h"

struct fibers;
struct fiber;

struct fibers *fibers_new(struct world *below);
void fibers_free(struct fibers *s); /* no fiber may be left */
struct world *fibers_world(struct fibers *s);

/* A fiber that will call `fn(arg)`, in the next turn. It is gone when that returns. */
enum { FIBER_STACK_BYTES = 256 << 10 };
struct fiber *fiber_start(struct fibers *s, void (*fn)(void *arg), void *arg);

/* Runs every fiber that can run, once; when none can, waits until one can, fibers_wake_all is called or the monotonic
 * `deadline_ns` has passed. Returns how many fibers are left. */
uint32_t fibers_turn(struct fibers *s, uint64_t deadline_ns);

/* From within a fiber, when it has had its share of time: others that can run do. Otherwise nothing; cheap enough to be
 * called every few microseconds. */
void fibers_yield(struct fibers *s);

/* From within a fiber: runs fn(arg), which may wait for a disk, while others run: on a thread of the world if there are
 * others, here if not. It must not touch this layer. */
void fibers_elsewhere(struct fibers *s, void (*fn)(void *arg), void *arg);

/* Waits of all fibers end, as by a world's wake. Any thread, signal handlers too. */
void fibers_wake_all(struct fibers *s);
/* The wait of this fiber ends, or its next one does; a look-up answers -EINTR. The scheduler's thread. */
void fiber_wake(struct fiber *f);

#endif
