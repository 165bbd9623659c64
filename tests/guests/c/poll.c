// poll.wasm: waits for standard input and timers together, and prints what came first. Feed it lines; it ends when
// its input does.
#include <poll.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

static __wasi_subscription_t timer(uint64_t tag, __wasi_timestamp_t timeout, __wasi_subclockflags_t flags) {
    __wasi_subscription_t s;
    memset(&s, 0, sizeof s);
    s.userdata = tag;
    s.u.tag = __WASI_EVENTTYPE_CLOCK;
    s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s.u.u.clock.timeout = timeout;
    s.u.u.clock.flags = flags;
    return s;
}

static void check_timers(void) {
    // Of two relative timers and one absolute that has passed already, the last is ready and the others are not.
    __wasi_subscription_t in[3] = {
        timer(1, 3600000000000u, 0),
        timer(2, 1800000000000u, 0),
        timer(3, 1, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME),
    };
    __wasi_event_t out[3];
    __wasi_size_t n = 0;
    CHECK(__wasi_poll_oneoff(in, out, 3, &n) == __WASI_ERRNO_SUCCESS);
    CHECK(n == 1 && out[0].userdata == 3 && out[0].type == __WASI_EVENTTYPE_CLOCK && out[0].error == 0);
    CHECK(__wasi_poll_oneoff(in, out, 0, &n) == __WASI_ERRNO_INVAL);
    puts("timers");
}

static void check_bad_descriptor(void) {
    __wasi_subscription_t in[2] = {timer(1, 3600000000000u, 0), timer(2, 0, 0)};
    in[1].u.tag = __WASI_EVENTTYPE_FD_READ;
    in[1].u.u.fd_read.file_descriptor = 99;
    __wasi_event_t out[2];
    __wasi_size_t n = 0;
    CHECK(__wasi_poll_oneoff(in, out, 2, &n) == __WASI_ERRNO_SUCCESS);
    CHECK(n == 1 && out[0].userdata == 2 && out[0].error == __WASI_ERRNO_BADF);
    puts("bad descriptor");
}

static void check_output_ready(void) {
    struct pollfd fds[1] = {{.fd = 1, .events = POLLOUT}};
    CHECK(poll(fds, 1, 1000) == 1);
    CHECK(fds[0].revents & POLLOUT);
    puts("output ready");
}

int main(void) {
    check_timers();
    check_bad_descriptor();
    check_output_ready();
    fflush(stdout);
    long bytes = 0;
    int waits = 0;
    for (;;) {
        struct pollfd fds[1] = {{.fd = 0, .events = POLLIN}};
        int ready = poll(fds, 1, 10000);
        CHECK(ready >= 0);
        if (ready == 0) {
            puts("nothing for ten seconds");
            return 3;
        }
        waits++;
        char chunk[256];
        ssize_t n = read(0, chunk, sizeof chunk);
        CHECK(n >= 0);
        if (n == 0)
            break;
        bytes += n;
    }
    CHECK(waits > 0);
    printf("%ld bytes\n", bytes);
    return 0;
}
