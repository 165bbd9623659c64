/* A small HTTP/1.1 server that never waits for one client: one loop, poll, and a state per connection.
 *
 *     http_server [ADDRESS:PORT [REQUESTS]]
 *
 * GET / says hello; POST or PUT /echo sends the request's body back while it still arrives, in chunks if it came in
 * chunks.  Connections are kept alive, requests may be pipelined.  It ends after so many requests, if told, or, where
 * there are signals, on SIGTERM, when all that it has begun is answered.
 *
 * The same source is a native program and a guest.  On WASI without an address (or with "-") it accepts on descriptor
 * 3, a listener that the runtime has opened. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <aeon_socket.h>

#include <fcntl.h>
#include <poll.h>
#ifndef __wasi__
#include <signal.h>
#endif
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    HEAD_MAX = 16 << 10,     /* a request's head that is longer is refused */
    READ_SIZE = 32 << 10,    /* bytes read at a time */
    PENDING_MAX = 256 << 10, /* with so much unsent nothing more is read */
    ACCEPT_AT_ONCE = 64,
    LISTENER_ON_WASI = 3,
};

/* ---- bytes ---- */

struct bytes {
    char *data;
    size_t from, to, cap; /* what is in it: data[from, to) */
};

static void bytes_reserve(struct bytes *b, size_t n) {
    if (b->from == b->to)
        b->from = b->to = 0;
    if (b->cap - b->to >= n)
        return;
    memmove(b->data, b->data + b->from, b->to - b->from);
    b->to -= b->from;
    b->from = 0;
    if (b->cap - b->to >= n)
        return;
    b->cap = b->to + n > 2 * b->cap ? b->to + n : 2 * b->cap;
    b->data = realloc(b->data, b->cap);
    if (!b->data)
        abort();
}

static void bytes_put(struct bytes *b, const void *p, size_t n) {
    bytes_reserve(b, n);
    memcpy(b->data + b->to, p, n);
    b->to += n;
}

static void bytes_put_text(struct bytes *b, const char *text) {
    bytes_put(b, text, strlen(text));
}

static size_t bytes_size(const struct bytes *b) {
    return b->to - b->from;
}

/* ---- connections ---- */

/* How the body of the request at hand comes. */
enum body { BODY_LENGTH, BODY_CHUNK_SIZE, BODY_CHUNK, BODY_CHUNK_END, BODY_TRAILER };

struct connection {
    struct bytes in, out;
    uint64_t left; /* of the body, or of the chunk */
    enum body body;
    bool in_body;      /* the head is read, the body is not */
    bool echo;         /* the body goes back, */
    bool echo_chunked; /* in chunks */
    bool keep;         /* alive after the response */
    bool closing;      /* when everything is sent */
    bool peer_done;    /* nothing more comes */
};

static struct connection **connections; /* number i is polls[i + 1] */
static struct pollfd *polls;            /* the listener first */
static size_t nconnections, capacity;

static uint64_t requests, most_requests; /* answered; 0: any number */
static volatile int stopping;

#ifndef __wasi__
static void stop(int signal) {
    (void)signal;
    stopping = 1;
}
#endif

static void add_connection(int fd) {
    if (nconnections == capacity) {
        capacity = capacity ? capacity * 2 : 64;
        connections = realloc(connections, capacity * sizeof(struct connection *));
        polls = realloc(polls, (capacity + 1) * sizeof *polls);
        if (!connections || !polls)
            abort();
    }
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    connections[nconnections] = c;
    polls[++nconnections] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* The last one takes its place. */
static void remove_connection(size_t i) {
    struct connection *c = connections[i];
    close(polls[i + 1].fd);
    free(c->in.data);
    free(c->out.data);
    free(c);
    nconnections--;
    connections[i] = connections[nconnections];
    polls[i + 1] = polls[nconnections + 1];
}

/* ---- responses ---- */

static void put_number(struct bytes *b, uint64_t n, unsigned base) {
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = "0123456789abcdef"[n % base];
    while (n /= base);
    bytes_put(b, p, (size_t)(digits + sizeof digits - p));
}

/* A response's head but for how long its body is. */
static void put_head(struct connection *c, const char *status, const char *type) {
    bytes_put_text(&c->out, "HTTP/1.1 ");
    bytes_put_text(&c->out, status);
    bytes_put_text(&c->out, "\r\nContent-Type: ");
    bytes_put_text(&c->out, type);
    bytes_put_text(&c->out, c->keep ? "\r\n" : "\r\nConnection: close\r\n");
}

static void put_length(struct connection *c, uint64_t n) {
    bytes_put_text(&c->out, "Content-Length: ");
    put_number(&c->out, n, 10);
    bytes_put_text(&c->out, "\r\n\r\n");
}

static void respond(struct connection *c, const char *status, const char *body, bool send_body) {
    size_t n = strlen(body);
    put_head(c, status, "text/plain");
    put_length(c, n);
    if (send_body)
        bytes_put(&c->out, body, n);
}

/* The connection cannot go on after it. */
static void refuse(struct connection *c, const char *status) {
    c->keep = false;
    respond(c, status, "", false);
    c->in.from = c->in.to;
    c->closing = true;
    requests++;
}

static void request_done(struct connection *c) {
    if (c->echo && c->echo_chunked)
        bytes_put_text(&c->out, "0\r\n\r\n");
    c->in_body = false;
    c->closing = !c->keep;
    requests++;
}

/* ---- requests ---- */

/* Text in the input; not NUL-terminated. */
struct text {
    const char *p;
    size_t n;
};

struct request {
    struct text method, path;
    bool chunked, has_length, expects;
    uint64_t length;
};

static bool is(struct text t, const char *word) {
    return t.n == strlen(word) && memcmp(t.p, word, t.n) == 0;
}

static bool is_any_case(struct text t, const char *word) {
    return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

/* Cuts `t` at the first `c`, which is in neither part; false: there is none, and `t` is as it was. */
static bool cut(struct text *t, char c, struct text *rest) {
    const char *at = memchr(t->p, c, t->n);
    if (!at)
        return false;
    *rest = (struct text){at + 1, t->n - (size_t)(at - t->p) - 1};
    t->n = (size_t)(at - t->p);
    return true;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static struct text trim(struct text t) {
    while (t.n && is_space(*t.p))
        t.p++, t.n--;
    while (t.n && is_space(t.p[t.n - 1]))
        t.n--;
    return t;
}

static bool parse_length(struct text t, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9' || *out > UINT64_MAX / 100)
            return false;
        *out = *out * 10 + (uint64_t)(t.p[i] - '0');
    }
    return t.n > 0;
}

/* One of a list of words. */
static bool lists(struct text t, const char *word) {
    struct text rest = {t.p + t.n, 0};
    do {
        bool more = cut(&t, ',', &rest);
        if (is_any_case(trim(t), word))
            return true;
        if (!more)
            return false;
        t = rest;
    } while (true);
}

/* One header field; answers the status to refuse with, or NULL. */
static const char *parse_field(struct connection *c, struct request *r, struct text name, struct text value) {
    uint64_t length;
    if (is_any_case(name, "content-length")) {
        if (!parse_length(value, &length) || (r->has_length && length != r->length))
            return "400 Bad Request";
        r->has_length = true;
        r->length = length;
    } else if (is_any_case(name, "transfer-encoding")) {
        if (!is_any_case(value, "chunked"))
            return "501 Not Implemented";
        r->chunked = true;
    } else if (is_any_case(name, "connection")) {
        c->keep = !lists(value, "close") && (c->keep || lists(value, "keep-alive"));
    } else if (is_any_case(name, "expect")) {
        if (!is_any_case(value, "100-continue"))
            return "417 Expectation Failed";
        r->expects = true;
    }
    return NULL;
}

static const char *parse_first_line(struct connection *c, struct text line, struct request *r) {
    struct text version;
    r->method = line;
    if (!cut(&r->method, ' ', &r->path) || !cut(&r->path, ' ', &version) || r->method.n == 0 || r->path.n == 0)
        return "400 Bad Request";
    if (version.n != 8 || memcmp(version.p, "HTTP/1.", 7) != 0)
        return "505 HTTP Version Not Supported";
    c->keep = version.p[7] != '0';
    return NULL;
}

/* Takes a head apart, line by line, up to the empty one. Answers its size; 0: it is not there whole. */
static size_t parse_head(struct connection *c, struct text in, struct request *r, const char **bad) {
    struct text line = in, rest;
    *bad = NULL;
    for (bool first = true; cut(&line, '\n', &rest); first = false, line = rest) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0 && !first) {
            if (!*bad && r->chunked && r->has_length)
                *bad = "400 Bad Request";
            return (size_t)(rest.p - in.p);
        }
        struct text value;
        if (*bad)
            continue;
        if (first)
            *bad = parse_first_line(c, line, r);
        else if (!cut(&line, ':', &value) || line.n == 0 || is_space(*line.p) || is_space(line.p[line.n - 1]))
            *bad = "400 Bad Request";
        else
            *bad = parse_field(c, r, line, trim(value));
    }
    return 0;
}

static void answer(struct connection *c, const struct request *r) {
    bool head = is(r->method, "HEAD"), get = is(r->method, "GET");
    bool echo = is(r->path, "/echo"), root = is(r->path, "/");
    c->echo = echo && (is(r->method, "POST") || is(r->method, "PUT"));
    c->echo_chunked = c->echo && r->chunked;
    if (r->expects && (r->chunked || r->length))
        bytes_put_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    if (c->echo) {
        put_head(c, "200 OK", "application/octet-stream");
        if (r->chunked)
            bytes_put_text(&c->out, "Transfer-Encoding: chunked\r\n\r\n");
        else
            put_length(c, r->length);
    } else if (root && (get || head)) {
        respond(c, "200 OK", "hello\n", get);
    } else if (root || echo) {
        respond(c, "405 Method Not Allowed", "method not allowed\n", !head);
    } else {
        respond(c, "404 Not Found", "not found\n", !head);
    }
}

/* Reads a head when it is there whole. False: not yet. */
static bool take_head(struct connection *c) {
    struct bytes *in = &c->in;
    struct request r = {0};
    const char *bad;
    size_t n = parse_head(c, (struct text){in->data + in->from, bytes_size(in)}, &r, &bad);
    if (n > HEAD_MAX || (n == 0 && bytes_size(in) > HEAD_MAX))
        bad = "431 Request Header Fields Too Large";
    else if (n == 0)
        return false;
    if (bad) {
        refuse(c, bad);
        return false;
    }
    answer(c, &r);
    in->from += n; /* what `r` says lies before */
    c->in_body = true;
    c->body = r.chunked ? BODY_CHUNK_SIZE : BODY_LENGTH;
    c->left = r.length;
    return true;
}

static void echo(struct connection *c, const char *p, size_t n) {
    if (!c->echo || n == 0)
        return;
    if (c->echo_chunked) {
        put_number(&c->out, n, 16);
        bytes_put(&c->out, "\r\n", 2);
    }
    bytes_put(&c->out, p, n);
    if (c->echo_chunked)
        bytes_put(&c->out, "\r\n", 2);
}

/* A line without its end, which is taken; NULL: it is not there whole. */
static char *take_line(struct connection *c) {
    struct bytes *in = &c->in;
    char *start = in->data + in->from, *end = memmem(start, bytes_size(in), "\r\n", 2);
    if (!end) {
        if (bytes_size(in) > HEAD_MAX)
            refuse(c, "400 Bad Request");
        return NULL;
    }
    *end = 0;
    in->from += (size_t)(end + 2 - start);
    return start;
}

static bool take_chunk_line(struct connection *c) {
    char *line = take_line(c), *end;
    if (!line)
        return false;
    if (c->body == BODY_CHUNK_END && *line) {
        refuse(c, "400 Bad Request");
        return false;
    }
    if (c->body == BODY_CHUNK_END) {
        c->body = BODY_CHUNK_SIZE;
    } else if (c->body == BODY_TRAILER) {
        if (!*line)
            request_done(c);
    } else {
        c->left = strtoull(line, &end, 16);
        if (end == line || *line == '-' || *line == '+' || (*end && *end != ';' && *end != ' ')) {
            refuse(c, "400 Bad Request");
            return false;
        }
        c->body = c->left ? BODY_CHUNK : BODY_TRAILER;
    }
    return true;
}

/* Reads on in the body. False: what comes next is not there yet. */
static bool take_body(struct connection *c) {
    if (c->body != BODY_LENGTH && c->body != BODY_CHUNK)
        return take_chunk_line(c);
    size_t n = bytes_size(&c->in) < c->left ? bytes_size(&c->in) : (size_t)c->left;
    echo(c, c->in.data + c->in.from, n);
    c->in.from += n;
    c->left -= n;
    if (c->left)
        return false;
    if (c->body == BODY_CHUNK)
        c->body = BODY_CHUNK_END;
    else
        request_done(c);
    return true;
}

/* ---- the loop ---- */

static void take_requests(struct connection *c) {
    while (!c->closing && bytes_size(&c->out) < PENDING_MAX && (c->in_body || bytes_size(&c->in)) &&
           (c->in_body ? take_body(c) : take_head(c)))
        ;
}

static bool would_wait(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Does what can be done for a connection without waiting. False: it is over. */
static bool serve(struct connection *c, int fd, bool readable) {
    if (readable && !c->peer_done && bytes_size(&c->out) < PENDING_MAX) {
        bytes_reserve(&c->in, READ_SIZE);
        ssize_t n = recv(fd, c->in.data + c->in.to, READ_SIZE, 0);
        if (n < 0 && !would_wait())
            return false;
        if (n > 0)
            c->in.to += (size_t)n;
        c->peer_done = n == 0;
    }
    for (;;) {
        take_requests(c);
        if (bytes_size(&c->out) == 0)
            break;
        ssize_t n = send(fd, c->out.data + c->out.from, bytes_size(&c->out), MSG_NOSIGNAL);
        if (n < 0)
            return would_wait();
        c->out.from += (size_t)n;
        if (bytes_size(&c->out)) /* the rest when there is room */
            return true;
    }
    return !c->closing && !c->peer_done;
}

static void accept_connections(int listener) {
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return; /* none now, gone again, or no descriptor left: the next turn will see */
        add_connection(fd);
    }
}

static short wanted(const struct connection *c) {
    size_t pending = bytes_size(&c->out);
    return (short)((pending ? POLLOUT : 0) | (!c->closing && !c->peer_done && pending < PENDING_MAX ? POLLIN : 0));
}

/* Nothing more is begun; what is, is finished. */
static void drop_idle(void) {
    for (size_t i = nconnections; i-- > 0;) {
        struct connection *c = connections[i];
        if (!c->in_body && !bytes_size(&c->out) && !bytes_size(&c->in))
            remove_connection(i);
        else
            c->keep = false;
    }
}

static int run(int listener) {
    add_connection(-1); /* makes room */
    remove_connection(0);
    polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    while (!stopping || nconnections) {
        if (stopping && polls[0].fd >= 0) {
            close(listener);
            polls[0].fd = -1;
        }
        if (stopping)
            drop_idle();
        if (stopping && !nconnections)
            break;
        size_t skip = polls[0].fd < 0; /* not everything that polls ignores -1 */
        int n = poll(polls + skip, (nfds_t)(nconnections + 1 - skip), stopping ? 1000 : -1);
        if (n < 0 && errno != EINTR) {
            perror("http_server: poll");
            return 1;
        }
        if (n <= 0)
            continue;
        for (size_t i = nconnections; i-- > 0;) {
            short got = polls[i + 1].revents;
            if (!got)
                continue;
            if (serve(connections[i], polls[i + 1].fd, got & ~POLLOUT))
                polls[i + 1].events = wanted(connections[i]);
            else
                remove_connection(i);
        }
        if (!skip && polls[0].revents)
            accept_connections(listener);
        if (most_requests && requests >= most_requests)
            stopping = 1;
    }
    fprintf(stderr, "http_server: %llu requests\n", (unsigned long long)requests);
    return 0;
}

static int listen_on(const char *address) {
    char host[128];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found;
    if (!colon || (size_t)(colon - address) >= sizeof host) {
        fprintf(stderr, "http_server: '%s' is not ADDRESS:PORT\n", address);
        return -1;
    }
    size_t n = (size_t)(colon - address), bracket = n > 2 && *address == '[';
    memcpy(host, address + bracket, n - 2 * bracket);
    host[n - 2 * bracket] = 0;
    int error = getaddrinfo(n ? host : NULL, colon + 1, &hints, &found);
    if (error) {
        fprintf(stderr, "http_server: %s: %s\n", address, gai_strerror(error));
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        fprintf(stderr, "http_server: %s: %s\n", address, strerror(errno));
        return -1;
    }
    freeaddrinfo(found);
    return fd;
}

int main(int argc, char **argv) {
    const char *address = argc > 1 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL;
    most_requests = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
#ifdef __wasi__
    int listener = address ? listen_on(address) : LISTENER_ON_WASI;
#else
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = stop}, NULL);
    int listener = listen_on(address ? address : "127.0.0.1:8080");
#endif
    if (listener < 0)
        return 1;
    int flags = fcntl(listener, F_GETFL);
    if (flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0) {
        fprintf(stderr, "http_server: no listener: %s\n", strerror(errno));
        return 1;
    }
    return run(listener);
}
