#include "support.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char told[512];
static char dir[256];

const char *certs_path(const char *name) {
    static char paths[8][320];
    static unsigned at;
    char *p = paths[at++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

/* ---- programs ---- */

pid_t run_start(const char *const argv[], const char *in, const char *out) {
    pid_t parent = getpid(), pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    int i = open(in ? certs_path(in) : "/dev/null", O_RDONLY);
    int o = open(out ? certs_path(out) : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int e = open(certs_path("stderr"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (i < 0 || o < 0 || e < 0)
        _exit(126);
    dup2(i, 0);
    dup2(o, 1);
    dup2(e, 2);
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static int outcome(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_end(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        must(errno == EINTR);
    return outcome(status);
}

int run_end_while(struct world *w, pid_t pid) {
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0)
        w->ops->wait(w, NULL, 0, world_now(w, WORLD_MONOTONIC) + 5000000);
    return outcome(status);
}

void run_stop(pid_t pid) {
    kill(pid, SIGKILL);
    run_end(pid);
}

static void openssl(const char *const argv[]) {
    if (run_end(run_start(argv, NULL, NULL)) == 0)
        return;
    size_t n;
    uint8_t *text = file_read("stderr", &n);
    fprintf(stderr, "openssl %s failed: %.*s\n", argv[1], (int)n, (const char *)text);
    abort();
}

/* ---- files ---- */

uint8_t *file_read(const char *name, size_t *size) {
    int fd = open(certs_path(name), O_RDONLY);
    must(fd >= 0);
    struct stat st;
    must(fstat(fd, &st) == 0);
    uint8_t *p = malloc((size_t)st.st_size + 1);
    *size = 0;
    for (ssize_t n; (n = read(fd, p + *size, (size_t)st.st_size - *size)) > 0;)
        *size += (size_t)n;
    p[*size] = 0;
    close(fd);
    return p;
}

void file_write(const char *name, const void *p, size_t n) {
    int fd = open(certs_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    close(fd);
}

/* ---- certificates ---- */

static void certificate(const char *name, const char *days, const char *alt, bool by_ca) {
    char cert[64], key[64], subject[64], alternative[128];
    snprintf(cert, sizeof cert, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    snprintf(subject, sizeof subject, "/CN=%s", strcmp(name, "common") == 0 ? "localhost" : name);
    snprintf(alternative, sizeof alternative, "subjectAltName=%s", alt ? alt : "DNS:nobody");
    const char *argv[32] = {
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        certs_path(key),
        "-out",
        certs_path(cert),
        "-days",
        days,
        "-subj",
        subject,
        "-addext",
        alternative,
    };
    int n = 18;
    if (by_ca) {
        const char *more[] = {"-CA", certs_path("ca.pem"), "-CAkey", certs_path("ca.key")};
        memcpy(argv + n, more, sizeof more);
    }
    openssl(argv);
}

/* openssl req makes none that has expired; openssl ca does. */
static void expired(void) {
    static const char config[] = "[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nnew_certs_dir=%s\nserial=%s\n"
                                 "default_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n";
    char text[2048];
    int n = snprintf(text, sizeof text, config, certs_path("index"), dir, certs_path("serial"));
    file_write("ca.conf", text, (size_t)n);
    file_write("index", "", 0);
    file_write("serial", "0A\n", 3);
    openssl((const char *[]){"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                             "-keyout", certs_path("old.key"), "-out", certs_path("old.csr"), "-subj", "/CN=old",
                             "-addext", "subjectAltName=DNS:localhost", NULL});
    openssl((const char *[]){"openssl", "ca", "-batch", "-notext", "-config", certs_path("ca.conf"), "-cert",
                             certs_path("ca.pem"), "-keyfile", certs_path("ca.key"), "-in", certs_path("old.csr"),
                             "-out", certs_path("old.pem"), "-startdate", "20200101000000Z", "-enddate",
                             "20200201000000Z", NULL});
}

void certs_make(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/aeon-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    must(mkdtemp(dir));
    certificate("ca", "30", NULL, false);
    certificate("good", "30", "DNS:localhost,IP:127.0.0.1", true);
    certificate("other", "30", "DNS:other.example,DNS:*.other.example", true);
    certificate("self", "30", "DNS:localhost", false);
    certificate("common", "30", "email:post@localhost", true);
    expired();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void certs_remove(void) {
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- layers and sockets ---- */

void tell(void *ctx, const char *sentence) {
    (void)ctx;
    snprintf(told, sizeof told, "%s", sentence);
}

struct world *layer_new(struct world *below, bool trusting, const char *server) {
    return layer_new_trusting(below, trusting ? "ca.pem" : NULL, server);
}

struct world *layer_new_trusting(struct world *below, const char *ca, const char *server) {
    char cert[64] = "", key[64] = "";
    if (server) {
        snprintf(cert, sizeof cert, "%s.pem", server);
        snprintf(key, sizeof key, "%s.key", server);
    }
    const char *cas[] = {certs_path(ca ? ca : "")};
    struct tls_server one = {"localhost", certs_path(cert), certs_path(key)};
    struct tls_options o = {
        .cas = cas, .ncas = ca != NULL, .servers = &one, .nservers = server != NULL, .failed = tell};
    struct world *w;
    struct err e = ERR_INIT;
    if (tls_new(below, &o, &w, &e) != ST_OK) {
        fprintf(stderr, "%s\n", e.text);
        abort();
    }
    return w;
}

int tcp_listen(struct world *w, uint16_t *port) {
    struct addr a;
    must(addr_parse("127.0.0.1:0", &a));
    int fd = w->ops->socket(w, ADDR_INET, WORLD_STREAM);
    must(fd >= 0 && w->ops->bind(w, fd, &a) == 0 && w->ops->listen(w, fd, 16) == 0);
    must(w->ops->local_addr(w, fd, &a) == 0);
    *port = a.port;
    return fd;
}

int tcp_connect(struct world *w, uint16_t port) {
    struct addr a;
    must(addr_parse_ip("127.0.0.1", &a));
    a.port = port;
    int fd = w->ops->socket(w, ADDR_INET, WORLD_STREAM);
    must(fd >= 0);
    int r = w->ops->connect(w, fd, &a);
    must(r == 0 || r == -EINPROGRESS);
    return fd;
}

void wait_for(struct world *w, int fd, uint32_t want) {
    struct world_poll p = {.fd = fd, .want = want};
    uint64_t until = world_now(w, WORLD_MONOTONIC) + 60000000000u;
    while (w->ops->wait(w, &p, 1, until) == 0) /* perhaps woken in vain */
        must(world_now(w, WORLD_MONOTONIC) < until);
}

int accept_one(struct world *w, int listener) {
    wait_for(w, listener, WORLD_READABLE);
    int fd = w->ops->accept(w, listener, WORLD_NONBLOCK);
    must(fd >= 0);
    return fd;
}

/* ---- two sides ---- */

static void fail_side(struct side *s, int64_t r) {
    must(r != -EAGAIN); /* `wait` said it could */
    if (!s->failure)
        s->failure = (int)r;
    s->ended = s->shut = true;
}

bool side_step(struct side *s) {
    if (s->ended && s->shut) { /* what it sent last may still have to go out */
        must(s->w->ops->wait(s->w, NULL, 0, 0) == 0);
        return false;
    }
    struct world_poll p = {s->fd, (s->ended ? 0 : WORLD_READABLE) | (s->shut ? 0 : WORLD_WRITABLE), 0, 0};
    must(s->w->ops->wait(s->w, &p, 1, 0) >= 0);
    if (p.got & WORLD_WRITABLE && !s->shut) {
        size_t n = s->nout - s->sent < s->chunk ? s->nout - s->sent : s->chunk;
        struct iovec v[2] = {{(void *)(s->out + s->sent), n / 3}, {(void *)(s->out + s->sent + n / 3), n - n / 3}};
        int64_t r = n > 0 ? s->w->ops->send(s->w, s->fd, v, 2, NULL) : 0;
        if (r < 0)
            fail_side(s, r);
        else if (n == 0)
            s->shut = s->w->ops->shutdown(s->w, s->fd, WORLD_SHUT_WR) == 0;
        else
            s->sent += (size_t)r;
    }
    if (p.got & WORLD_READABLE && !s->ended) {
        uint32_t flags = 0;
        size_t n = s->cap - s->nin < s->chunk ? s->cap - s->nin : s->chunk;
        uint8_t end;
        struct iovec v[2] = {{s->in + s->nin, n / 2}, {s->in + s->nin + n / 2, n - n / 2}};
        if (n == 0) /* there should only be the end now */
            v[1] = (struct iovec){&end, 1};
        int64_t r = s->w->ops->recv(s->w, s->fd, v, 2, &flags, NULL);
        must(r <= (int64_t)n);
        if (r < 0)
            fail_side(s, r);
        else if (r == 0)
            s->ended = true;
        else
            s->nin += (size_t)r;
    }
    return true;
}

bool pump_once(struct side *a, struct side *b) {
    bool more_a = side_step(a), more_b = side_step(b);
    return more_a || more_b;
}

void pump(struct side *a, struct side *b) {
    while (pump_once(a, b)) {
    }
}
