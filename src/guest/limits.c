#include "guest/guest.h"

// clang-format off
#define LIMITS(X) \
    X(memory_bytes, wasm.max_memory_bytes) \
    X(table_elems,  wasm.max_table_elems) \
    X(stack_slots,  wasm.max_stack_slots) \
    X(fuel_ticks,   fuel_ticks) \
    X(time_ms,      time_ms) \
    X(fuel_per_second, fuel_per_second) \
    X(journal_bytes, journal_bytes) \
    X(handles,      handles) \
    X(bandwidth,    bandwidth)
// clang-format on

#define X(name, member) LIMIT_##name,
enum { LIMITS(X) NLIMITS };
#undef X
_Static_assert((int)NLIMITS == (int)GUEST_NLIMITS, "every limit is listed");

struct guest_limits guest_limits_default(void) {
    return (struct guest_limits){.wasm = wasm_config_default(), .fuel_ticks = UINT64_MAX};
}

void guest_limits_list(const struct guest_limits *l, const char *names[GUEST_NLIMITS], uint64_t values[GUEST_NLIMITS]) {
    uint32_t n = 0;
#define X(name, member) \
    names[n] = #name;   \
    values[n++] = l->member;
    LIMITS(X)
#undef X
}

bool guest_limits_set(struct guest_limits *l, const char *name, uint64_t value) {
#define X(limit, member)                          \
    if (strcmp(name, #limit) == 0) {              \
        l->member = (__typeof__(l->member))value; \
        return l->member == value;                \
    }
    LIMITS(X)
#undef X
    return false;
}
