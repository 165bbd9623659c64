/* throttle.h: a bound on the bytes a second that go in and out through sockets, pipes and files, together.
 *
 * A bucket of a quarter second's bytes. A transfer takes what is there (it may be short; a datagram goes whole, and the
 * next one waits the longer); when nothing is, a non-blocking caller is told -EAGAIN and `wait` does not report the
 * handle before the bucket fills again, to an eighth (then it may answer 0: the caller waits again).  Files cannot be
 * waited for: their transfers are held up, and go through when somebody wakes meanwhile. Waits through wait_begin are
 * not held up: the layer is above whoever uses them (world/fiber). */
#ifndef AEON_WORLD_THROTTLE_THROTTLE_H
#define AEON_WORLD_THROTTLE_THROTTLE_H

#include "world/layer.h"

/* More than 0 bytes a second. */
struct world *throttle_new(struct world *below, uint64_t bytes_per_second);

/* How long callers have been held up so far, and how many bytes passed. */
void throttle_report(struct world *throttle, uint64_t *held_ns, uint64_t *bytes);

#endif
