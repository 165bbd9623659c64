/* guest_impl.h: the running guest; internal to guest.c and snapshot.c. */
#ifndef AEON_GUEST_GUEST_IMPL_H
#define AEON_GUEST_GUEST_IMPL_H

#include "guest/internal.h"

enum { GUEST_MAX_PHASES = 3 };

struct guest {
    const struct wasm_module *module;
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_exec *exec;
    struct edge *edge;

    struct wasm_func *phases[GUEST_MAX_PHASES]; /* what is called, in order: start function, _initialize, _start */
    uint32_t nphases, phase;
    bool calling; /* the phase's call has begun */
    bool begun, over;

    uint64_t fuel_ticks, time_ms;
    uint64_t fuel_per_second, journal_bytes;
    uint64_t begun_ns, held_ns;

    struct buf words;
};

#endif
