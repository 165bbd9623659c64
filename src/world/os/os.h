/* os.h: the world that is this machine. */
#ifndef AEON_WORLD_OS_OS_H
#define AEON_WORLD_OS_OS_H

#include "world/world.h"

/* Handles are file descriptors: 0, 1 and 2 are the process's own, never made non-blocking (their open file description
 * may be shared with other programs). Free with ops->free. */
struct world *world_os_new(void);

#endif
