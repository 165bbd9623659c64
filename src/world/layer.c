#include "world/layer.h"

// clang-format off
#define OP(result, name, params, ...) \
    result world_forward_##name params { \
        return world_below(w)->ops->name(world_below(w), ##__VA_ARGS__); \
    }
WORLD_OPS(OP)
#undef OP
// clang-format on
