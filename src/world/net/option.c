/* option.c: options of sockets. What a socket of the machine says about one is right; virtual ones remember what was
 * set, and otherwise answer what Linux would. */
#include "world/net/internal.h"

#include <errno.h>

enum { ANY_KIND = 1, TCP_ONLY = 2, IP6_ONLY = 4, FIXED = 8, BELOW_KNOWS = 16, BOOL = 32 };

static const struct {
    uint8_t what;
    int32_t usual;
} table[WORLD_NSOCKOPTS] = {
    [WORLD_SO_REUSEADDR] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_TYPE] = {ANY_KIND | FIXED, 0},
    [WORLD_SO_ERROR] = {ANY_KIND | FIXED, 0},
    [WORLD_SO_DONTROUTE] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_BROADCAST] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_SNDBUF] = {ANY_KIND | BELOW_KNOWS, 0},
    [WORLD_SO_RCVBUF] = {ANY_KIND | BELOW_KNOWS, 0},
    [WORLD_SO_KEEPALIVE] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_OOBINLINE] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_LINGER] = {ANY_KIND, -1},
    [WORLD_SO_RCVLOWAT] = {ANY_KIND, 1},
    [WORLD_SO_RCVTIMEO] = {ANY_KIND, 0},
    [WORLD_SO_SNDTIMEO] = {ANY_KIND, 0},
    [WORLD_SO_ACCEPTCONN] = {ANY_KIND | FIXED, 0},
    [WORLD_SO_REUSEPORT] = {ANY_KIND | BOOL, 0},
    [WORLD_SO_NODELAY] = {TCP_ONLY | BOOL, 0},
    [WORLD_SO_KEEPIDLE] = {TCP_ONLY, 7200},
    [WORLD_SO_KEEPINTVL] = {TCP_ONLY, 75},
    [WORLD_SO_KEEPCNT] = {TCP_ONLY, 9},
    [WORLD_SO_V6ONLY] = {IP6_ONLY | BOOL, 0},
};

static bool goes_with(const struct sock *s, enum world_sockopt o) {
    if ((unsigned)o >= WORLD_NSOCKOPTS)
        return false;
    uint8_t what = table[o].what;
    return what & ANY_KIND || (what & TCP_ONLY && s->type == WORLD_STREAM && s->family != ADDR_UNIX) ||
           (what & IP6_ONLY && s->family == ADDR_INET6);
}

/* Is the handle the machine's own socket for it? */
static bool is_machine(const struct sock *s) {
    return s->state != CONNECTED && s->inner < 0;
}

int64_t net_option(const struct sock *s, enum world_sockopt o) {
    return s->options_set & 1u << o ? s->options[o] : table[o].usual;
}

int net_get_option(struct world *w, int fd, enum world_sockopt o, int64_t *value) {
    const struct sock *s = sock_of(w, fd);
    if (!s || is_machine(s))
        return BELOW(w, get_option, fd, o, value);
    if (!goes_with(s, o))
        return -ENOPROTOOPT;
    if (table[o].what & BELOW_KNOWS)
        return BELOW(w, get_option, fd, o, value);
    switch (o) {
    case WORLD_SO_TYPE: *value = s->type; break;
    case WORLD_SO_ACCEPTCONN: *value = s->state == LISTENING; break;
    case WORLD_SO_ERROR:
        *value = 0;
        for (uint32_t i = 0; i < s->nsides && *value == 0; i++)
            if (s->sides[i].kind != SIDE_PUBLISHED)
                BELOW(w, get_option, s->sides[i].fd, o, value);
        break;
    default: *value = net_option(s, o); break;
    }
    return 0;
}

/* The room for datagrams that wait is that of the end they are written to. */
static void apply(const struct sock *s, int fd, enum world_sockopt o) {
    UNDER(s->host, set_option, fd, o, s->options[o]);
    if (o == WORLD_SO_RCVBUF && s->inner >= 0 && fd == s->fd && s->type == WORLD_DGRAM)
        UNDER(s->host, set_option, s->inner, WORLD_SO_SNDBUF, s->options[o]);
}

void net_options_apply(const struct sock *s, int fd) {
    for (int o = 0; o < WORLD_NSOCKOPTS; o++)
        if (s->options_set & 1u << o)
            apply(s, fd, (enum world_sockopt)o);
}

int net_set_option(struct world *w, int fd, enum world_sockopt o, int64_t value) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, set_option, fd, o, value);
    if (!goes_with(s, o) || table[o].what & FIXED)
        return -ENOPROTOOPT;
    if (o == WORLD_SO_V6ONLY && s->state != FRESH)
        return -EINVAL;
    if (is_machine(s)) {
        int r = BELOW(w, set_option, fd, o, value);
        if (r < 0)
            return r;
    } else if (value < 0 && o != WORLD_SO_LINGER && !(table[o].what & BOOL)) {
        return o == WORLD_SO_RCVTIMEO || o == WORLD_SO_SNDTIMEO ? -EDOM : -EINVAL;
    }
    s->options_set |= 1u << o;
    s->options[o] = table[o].what & BOOL ? value != 0 : value;
    if (o == WORLD_SO_LINGER && value < 0)
        s->options[o] = -1;
    if (!is_machine(s)) {
        if (table[o].what & BELOW_KNOWS)
            apply(s, fd, o);
        for (uint32_t i = 0; i < s->nsides; i++)
            if (s->sides[i].kind != SIDE_PUBLISHED)
                apply(s, s->sides[i].fd, o);
    }
    return 0;
}
