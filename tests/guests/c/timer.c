// Sleeps one millisecond 500 times, and prints by how many microseconds the latest of them woke too late.
#include "check.h"

#include <stdint.h>
#include <stdio.h>
#include <wasi/api.h>

static uint64_t now(void) {
    __wasi_timestamp_t t;
    CHECK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &t) == 0);
    return t;
}

int main(void) {
    enum { TIMERS = 500, NS = 1000000 };
    uint64_t worst = 0, sum = 0;
    for (int i = 0; i < TIMERS; i++) {
        __wasi_subscription_t s = {.u.tag = __WASI_EVENTTYPE_CLOCK};
        s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
        s.u.u.clock.timeout = NS;
        __wasi_event_t e;
        __wasi_size_t n;
        uint64_t began = now();
        CHECK(__wasi_poll_oneoff(&s, &e, 1, &n) == 0 && n == 1 && e.error == 0);
        uint64_t slept = now() - began;
        CHECK(slept >= NS);
        sum += slept - NS;
        if (slept - NS > worst)
            worst = slept - NS;
    }
    printf("%d timers, late by at most %llu us, %llu us on average\n", TIMERS, (unsigned long long)(worst / 1000),
           (unsigned long long)(sum / TIMERS / 1000));
    return 0;
}
