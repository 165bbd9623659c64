/* os.h: the world that is this machine. */
#ifndef AEON_WORLD_OS_OS_H
#define AEON_WORLD_OS_OS_H

#include "world/world.h"

/* Handles are file descriptors: 0, 1 and 2 are the process's own, never made non-blocking (their open file description
 * may be shared with other programs) and never closed; where one was closed already, it is /dev/null now. The process
 * ignores SIGPIPE and SIGXFSZ from now on. Free with ops->free, when nobody waits any more:
 * jobs on files that run are waited for, those that have not begun never run, and a look-up that hangs is left behind.
 * None of them is told. */
struct world *world_os_new(void);

/* Paths with WORLD_BENEATH are resolved by the kernel (openat2) where it can, else component by component. With false,
 * always the latter: for tests, and for kernels whose openat2 is not to be trusted. */
void world_os_use_openat2(struct world *w, bool use);

#endif
