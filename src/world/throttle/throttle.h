/* throttle.h: a bound on the bytes a second that go in and out through sockets, pipes and files, together.
 *
 * A bucket of a quarter second's bytes. A transfer takes what is there (it may be short); when nothing is, a
 * non-blocking caller is told -EAGAIN and `wait` does not report the handle before the bucket fills again. */
#ifndef AEON_WORLD_THROTTLE_THROTTLE_H
#define AEON_WORLD_THROTTLE_THROTTLE_H

#include "world/layer.h"

struct world *throttle_new(struct world *below, uint64_t bytes_per_second);

/* How long callers have been held up so far, and how many bytes passed. */
void throttle_report(struct world *throttle, uint64_t *held_ns, uint64_t *bytes);

#endif
