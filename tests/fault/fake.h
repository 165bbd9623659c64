/* fake.h: a layer over the machine whose time only passes when somebody waits, or a test says so. */
#ifndef AEON_TESTS_FAULT_FAKE_H
#define AEON_TESTS_FAULT_FAKE_H

#include "base/must.h"
#include "world/layer.h"

struct fake {
    struct world_layer layer;
    uint64_t clocks[4]; /* all of the same speed */
    uint64_t waited_ns; /* in all waits together */
    uint32_t waits;
    bool woken;
};

static int fake_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    *ns = ((struct fake *)w)->clocks[c];
    return 0;
}

static inline void fake_pass(struct fake *f, uint64_t ns) {
    for (int i = 0; i < 4; i++)
        f->clocks[i] += ns;
}

/* What holds holds at once; else the time comes at once. */
static int fake_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct fake *f = (struct fake *)w;
    f->waits++;
    int r = BELOW(w, wait, polls, n, 0);
    bool woken = f->woken;
    f->woken = false;
    if (r != 0 || woken || deadline_ns <= f->clocks[WORLD_MONOTONIC])
        return r;
    must(deadline_ns != UINT64_MAX); /* a test that would never end */
    uint64_t ns = deadline_ns - f->clocks[WORLD_MONOTONIC];
    f->waited_ns += ns;
    fake_pass(f, ns);
    return 0;
}

static void fake_wake(struct world *w) {
    ((struct fake *)w)->woken = true;
}

static inline void fake_init(struct fake *f, struct world *below) {
    static const struct world_ops fake_ops = {WORLD_FORWARD, .name = "fake", .clock = fake_clock, .wait = fake_wait,
                                              .wake = fake_wake};
    *f = (struct fake){{{&fake_ops}, below}, {1000000000000, 500000000000, 0, 0}, 0, 0, false};
}

#endif
