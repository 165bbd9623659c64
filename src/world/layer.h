/* layer.h: a world that is another one with some operations changed.
 *
 *     static const struct world_ops ops = {WORLD_FORWARD, .name = "mine", .send = my_send, .free = my_free};
 *
 * A layer's struct begins with a struct world_layer; operations that it leaves alone go to `below` as they are. */
#ifndef AEON_WORLD_LAYER_H
#define AEON_WORLD_LAYER_H

#include "world/world.h"

struct world_layer {
    struct world world;
    struct world *below; /* borrowed */
};

static inline struct world *world_below(struct world *w) {
    return ((struct world_layer *)w)->below;
}

/* An operation of the world below: BELOW(w, send, fd, iov, n, to). */
#define BELOW(w, op, ...) (world_below(w)->ops->op(world_below(w), ##__VA_ARGS__))

#define OP(result, name, params, ...) result world_forward_##name params;
WORLD_OPS(OP)
#undef OP

/* All operations but `free`, forwarded; to be followed by those that are not. Initialisers that override earlier ones
 * are meant here. */
// clang-format off
#define WORLD_FORWARD_OP(result, op, params, ...) .op = world_forward_##op,
#define WORLD_FORWARD WORLD_OPS(WORLD_FORWARD_OP) .name = NULL
// clang-format on

#endif
