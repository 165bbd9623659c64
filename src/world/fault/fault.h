/* fault.h: a world that fails now and then, by a seed: the same seed and the same calls give the same faults. Calls
 * that were told -EAGAIN do not count, so that it does not matter how long something took to arrive; and files,
 * streams, connects, look-ups and so on draw from sequences of their own.
 *
 *     seed=7,error=0.01,short-io=0.1,delay=5ms,clock-drift=0.02,partition=0.001:2s
 *
 *   error          probability that a call fails with an error it could have: reads and syncs of files EIO, writes EIO
 *                  or ENOSPC, sends and recvs of streams ECONNRESET (the connection is then dead for good), connects
 *                  ECONNREFUSED or ETIMEDOUT, opens EMFILE or EIO, look-ups AGAIN; a datagram sent is lost
 *   short-io       probability that a read, write, recv or send of more than a byte moves only some of it
 *   delay          each call that may wait (wait, look-ups, opens, reads, writes and syncs of files) is held up by 0 to
 *                  twice this, evenly; virtual: as a `wait` below
 *   clock-drift=X  clocks run faster by a factor from 1-X to 1+X, chosen by the seed, and never go backwards; deadlines
 *                  are drifted back
 *   partition=P:D  probability that a send or recv finds its connection stalled for D: nothing comes or goes, and
 *                  a wait ends in vain when it goes on again
 *
 * A layer is above whoever waits through wait_begin (world/fiber): these waits, and `turn`, see the world below. */
#ifndef AEON_WORLD_FAULT_FAULT_H
#define AEON_WORLD_FAULT_FAULT_H

#include "base/err.h"
#include "world/layer.h"

struct fault_plan {
    uint64_t seed;
    double error, short_io, clock_drift, stall;
    uint64_t delay_ns, stall_ns;
};

/* The text above. ST_INVALID says which part and what is possible. */
NODISCARD enum status fault_plan_parse(const char *text, struct fault_plan *out, struct err *e);

/* `told` hears of every error, short transfer and stall ("send on 5: ECONNRESET"); may be NULL. */
struct world *fault_new(struct world *below, const struct fault_plan *p, void (*told)(void *ctx, const char *sentence),
                        void *ctx);

#endif
