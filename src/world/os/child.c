#include "world/os/child.h"

#include "base/buf.h"
#include "base/must.h"
#include "world/os/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAD = 8, READ_STEP = 1 << 16, SAID_MAX = 1 << 14 };

struct question {
    struct question *next;
    uint64_t within_ns;
    uint32_t size; /* with its head */
    uint8_t bytes[];
};

struct noted {
    struct noted *next;
    struct child_event event;
};

struct child {
    struct world *world;
    char **argv;
    uint32_t argc;
    char *file;
    struct span inherited;
    uint64_t start_ns;
    uint32_t max_message;
    bool lowly;
    int wake_fd;
    uv_thread_t thread;
    atomic_uint nready;

    uv_mutex_t lock; /* of what follows */
    struct question *questions, **last_question;
    struct noted *events, **last_event;
    bool ending;

    /* the thread's own */
    pid_t pid;
    int in, out, err;          /* our ends; -1: closed */
    struct question *question; /* put and not answered */
    uint32_t written;          /* of it */
    bool expecting;            /* a message, until deadline_ns */
    uint64_t deadline_ns;
    struct buf received, said;
    char how[CHILD_HOW];
};

uint32_t child_processors(void) {
    return uv_available_parallelism();
}

/* ---- the thread's side: starting --------------------------------------------------------------------------------- */

static void note(struct child *c, const struct child_event *event) {
    struct noted *n = mem_alloc(sizeof *n);
    *n = (struct noted){.event = *event};
    uv_mutex_lock(&c->lock);
    *c->last_event = n;
    c->last_event = &n->next;
    uv_mutex_unlock(&c->lock);
    atomic_fetch_add_explicit(&c->nready, 1, memory_order_release);
}

static int copy_to_memory(struct span bytes) {
    int fd = memfd_create("aeon-module", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < bytes.size;) {
        ssize_t n = write(fd, bytes.data + at, bytes.size - at);
        if (n < 0 && errno != EINTR) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return fd;
}

/* Its descriptor 3, or -1 with errno; -2: it gets none. */
static int open_inherited(const struct child *c) {
    if (c->file)
        return open(c->file, O_RDONLY | O_CLOEXEC);
    return c->inherited.size ? copy_to_memory(c->inherited) : -2;
}

static int spawn(struct child *c, const int theirs[3], int inherited) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
    for (int i = 0; i < 3; i++)
        must(posix_spawn_file_actions_adddup2(&files, theirs[i], i) == 0);
    /* all of ours are above 3, so that dup2 never meets a number in use (pipes_open) */
    if (inherited >= 0)
        must(posix_spawn_file_actions_adddup2(&files, inherited, CHILD_INHERITED_FD) == 0);
    must(posix_spawn_file_actions_addclosefrom_np(&files, CHILD_INHERITED_FD + (inherited >= 0)) == 0);
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setpgroup(&attr, 0); /* a Ctrl-C is not for it */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int rc = posix_spawn(&c->pid, c->argv[0], &files, &attr, c->argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (rc == 0 && c->lowly) {
        struct sched_param p = {0};
        setpriority(PRIO_PROCESS, (id_t)c->pid, 10);
        sched_setscheduler(c->pid, SCHED_BATCH, &p);
    }
    return rc;
}

/* Moves a descriptor above the four that the process will have. */
static int lift(int fd) {
    if (fd < 0 || fd > CHILD_INHERITED_FD)
        return fd;
    int up = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_INHERITED_FD + 1);
    int error = errno;
    close(fd);
    errno = error;
    return up;
}

static bool pipe_open(int *ours, int *theirs, bool we_write) {
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return false;
    *ours = lift(p[we_write]);
    *theirs = lift(p[!we_write]);
    return *ours >= 0 && *theirs >= 0 && fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

static void start(struct child *c) {
    int theirs[3] = {-1, -1, -1};
    bool ok = pipe_open(&c->in, &theirs[0], true) && pipe_open(&c->out, &theirs[1], false) &&
              pipe_open(&c->err, &theirs[2], false);
    int inherited = ok ? lift(open_inherited(c)) : -1;
    if (!ok || inherited == -1) {
        snprintf(c->how, sizeof c->how, "could not be given what it needs: %s", strerror(errno));
    } else {
        int rc = spawn(c, theirs, inherited);
        if (rc != 0) {
            c->pid = -1;
            snprintf(c->how, sizeof c->how, "could not be started: %s", strerror(rc));
        }
    }
    if (inherited >= 0)
        close(inherited);
    for (int i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    c->expecting = true;
    c->deadline_ns = world_now(c->world, WORLD_MONOTONIC) + c->start_ns;
}

/* ---- the thread's side: talking ---------------------------------------------------------------------------------- */

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void fail(struct child *c, const char *how) {
    if (!c->how[0])
        snprintf(c->how, sizeof c->how, "%s", how);
    kill(c->pid, SIGKILL);
    close_end(&c->out);
}

/* What has come in whole. */
static void take_messages(struct child *c) {
    while (c->received.size >= HEAD && c->out >= 0) {
        uint32_t type = get_u32(c->received.data), size = get_u32(c->received.data + 4);
        if (size > c->max_message) {
            fail(c, "answered with more than is taken");
            return;
        }
        if (!c->expecting) {
            fail(c, "spoke without being asked");
            return;
        }
        if (c->received.size - HEAD < size)
            return;
        struct child_event event = {.type = type, .size = size, .bytes = mem_alloc(size + 1ul)};
        memcpy(event.bytes, c->received.data + HEAD, size);
        c->received.size -= HEAD + size;
        memmove(c->received.data, c->received.data + HEAD + size, c->received.size);
        c->expecting = false;
        mem_free(c->question);
        c->question = NULL;
        note(c, &event);
    }
}

static void read_answers(struct child *c) {
    for (;;) {
        if (!buf_reserve(&c->received, READ_STEP)) {
            fail(c, "answered with more than is taken");
            return;
        }
        ssize_t n = read(c->out, c->received.data + c->received.size, READ_STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            close_end(&c->out);
        if (n <= 0)
            break;
        c->received.size += (size_t)n;
    }
    take_messages(c);
}

/* Only the last of it is of interest. */
static void read_said(struct child *c) {
    char text[1024];
    ssize_t n;
    while ((n = read(c->err, text, sizeof text)) > 0) {
        if (c->said.size + (size_t)n > SAID_MAX)
            buf_clear(&c->said);
        buf_append(&c->said, text, (size_t)n);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_end(&c->err);
}

static void write_question(struct child *c) {
    struct question *q = c->question;
    ssize_t n = write(c->in, q->bytes + c->written, q->size - c->written);
    if (n > 0)
        c->written += (uint32_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        close_end(&c->in); /* it is about to be gone, which reading will tell */
}

/* Puts the next question when it is time; false: it is time to end. */
static bool next_question(struct child *c) {
    uv_mutex_lock(&c->lock);
    bool ending = c->ending;
    if (!ending && !c->expecting && c->questions) {
        c->question = c->questions;
        c->questions = c->question->next;
        if (!c->questions)
            c->last_question = &c->questions;
        c->written = 0;
        c->expecting = true;
        c->deadline_ns = world_now(c->world, WORLD_MONOTONIC) + c->question->within_ns;
    }
    uv_mutex_unlock(&c->lock);
    return !ending;
}

static int time_left_ms(struct child *c) {
    if (!c->expecting)
        return -1;
    uint64_t now = world_now(c->world, WORLD_MONOTONIC);
    uint64_t left = now < c->deadline_ns ? (c->deadline_ns - now) / 1000000 + 1 : 0;
    return left > 1000000 ? 1000000 : (int)left;
}

static void talk(struct child *c) {
    while (c->out >= 0 && next_question(c)) {
        bool writes = c->question && c->written < c->question->size && c->in >= 0;
        struct pollfd p[] = {
            {c->wake_fd, POLLIN, 0},
            {c->out, POLLIN, 0},
            {c->err, POLLIN, 0}, /* poll passes over what is negative */
            {writes ? c->in : -1, POLLOUT, 0},
        };
        int left = time_left_ms(c);
        if (left == 0) {
            fail(c, "took too long and was killed");
            return;
        }
        if (poll(p, 4, left) < 0)
            continue;
        uint64_t n;
        if (p[0].revents && read(c->wake_fd, &n, sizeof n) < 0)
            must(errno == EAGAIN || errno == EINTR);
        if (p[3].revents)
            write_question(c);
        if (p[2].revents)
            read_said(c);
        if (p[1].revents)
            read_answers(c);
    }
}

/* ---- the thread's side: the end ---------------------------------------------------------------------------------- */

/* The last line it said on standard error that says something, in printable characters. */
static void add_last_words(struct child *c) {
    const char *text = buf_cstr(&c->said);
    size_t end = c->said.size, used = strlen(c->how);
    while (end && (text[end - 1] == '\n' || text[end - 1] == ' '))
        end--;
    size_t begin = end;
    while (begin && text[begin - 1] != '\n')
        begin--;
    if (begin < end && used + 4 < sizeof c->how)
        snprintf(c->how + used, sizeof c->how - used, ": %.*s", (int)(end - begin), text + begin);
    for (char *p = c->how; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

/* One that has closed its output by itself is most likely gone already. */
static void reap(struct child *c, bool at_once) {
    enum { PATIENCE = 100 };
    int status = 0;
    pid_t got = 0;
    for (int i = 0; i < PATIENCE && got == 0 && !c->how[0] && !at_once; i++) {
        got = waitpid(c->pid, &status, WNOHANG);
        if (got == 0)
            poll(NULL, 0, 5);
    }
    if (got == 0) {
        kill(c->pid, SIGKILL);
        while ((got = waitpid(c->pid, &status, 0)) < 0 && errno == EINTR)
            ;
    }
    if (c->err >= 0)
        read_said(c);
    if (!c->how[0] && got > 0 && WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(c->how, sizeof c->how, "was killed by SIG%s", name ? name : "?");
    } else if (!c->how[0]) {
        snprintf(c->how, sizeof c->how, "ended with status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    add_last_words(c);
}

static void child_main(void *arg) {
    struct child *c = arg;
    c->pid = -1;
    c->in = c->out = c->err = -1;
    start(c);
    if (c->pid > 0) {
        talk(c);
        close_end(&c->in);
        bool unwanted = c->out >= 0;
        close_end(&c->out);
        reap(c, unwanted);
    }
    struct child_event event = {.ended = true, .was_asked = c->question != NULL};
    memcpy(event.how, c->how, sizeof event.how);
    close_end(&c->in);
    close_end(&c->out);
    close_end(&c->err);
    note(c, &event);
}

/* ---- the asker's side -------------------------------------------------------------------------------------------- */

static void wake(struct child *c) {
    uint64_t one = 1;
    must(write(c->wake_fd, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

static void release(struct child *c) {
    struct child_event event;
    while (child_take(c, &event))
        mem_free(event.bytes);
    for (struct question *q = c->questions, *next; q; q = next) {
        next = q->next;
        mem_free(q);
    }
    mem_free(c->question);
    for (uint32_t i = 0; i < c->argc; i++)
        mem_free(c->argv[i]);
    mem_free(c->argv);
    mem_free(c->file);
    buf_deinit(&c->received);
    buf_deinit(&c->said);
    uv_mutex_destroy(&c->lock);
    close(c->wake_fd);
    mem_free(c);
}

struct child *child_start(struct world *w, const struct child_options *o) {
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return NULL;
    struct child *c = mem_zalloc(sizeof *c);
    c->world = w;
    c->argc = o->nargs + 1;
    c->argv = mem_zalloc((c->argc + 1ul) * sizeof *c->argv);
    c->argv[0] = mem_strdup(o->program);
    for (uint32_t i = 0; i < o->nargs; i++)
        c->argv[i + 1] = mem_strdup(o->args[i]);
    c->file = o->file ? mem_strdup(o->file) : NULL;
    c->inherited = o->inherited;
    c->start_ns = o->start_ns;
    c->max_message = o->max_message;
    c->lowly = o->lowly;
    c->wake_fd = wake_fd;
    c->last_question = &c->questions;
    c->last_event = &c->events;
    buf_init(&c->received, (size_t)o->max_message + HEAD + 2 * READ_STEP);
    buf_init(&c->said, SAID_MAX + 1);
    must(uv_mutex_init(&c->lock) == 0);
    if (os_thread_start(&c->thread, child_main, c))
        return c;
    release(c);
    return NULL;
}

void child_end(struct child *c) {
    uv_mutex_lock(&c->lock);
    c->ending = true;
    uv_mutex_unlock(&c->lock);
    wake(c);
}

void child_free(struct child *c) {
    if (!c)
        return;
    child_end(c);
    must(uv_thread_join(&c->thread) == 0);
    release(c);
}

void child_ask(struct child *c, uint32_t type, struct span bytes, uint64_t within_ns) {
    struct question *q = mem_alloc(sizeof *q + HEAD + bytes.size);
    *q = (struct question){.within_ns = within_ns, .size = (uint32_t)(HEAD + bytes.size)};
    put_u32(q->bytes, type);
    put_u32(q->bytes + 4, (uint32_t)bytes.size);
    if (bytes.size)
        memcpy(q->bytes + HEAD, bytes.data, bytes.size);
    uv_mutex_lock(&c->lock);
    *c->last_question = q;
    c->last_question = &q->next;
    uv_mutex_unlock(&c->lock);
    wake(c);
}

bool child_ready(const struct child *c) {
    return atomic_load_explicit(&c->nready, memory_order_acquire) != 0;
}

bool child_take(struct child *c, struct child_event *out) {
    if (!child_ready(c))
        return false;
    uv_mutex_lock(&c->lock);
    struct noted *n = c->events;
    c->events = n->next;
    if (!c->events)
        c->last_event = &c->events;
    uv_mutex_unlock(&c->lock);
    atomic_fetch_sub_explicit(&c->nready, 1, memory_order_relaxed);
    *out = n->event;
    mem_free(n);
    return true;
}
