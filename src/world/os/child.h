/* child.h: a process of ours that works for us: a program that is asked over pipes and answers when it is done.
 *
 * A thread writes the questions, reads the answers, keeps the time and reaps; whoever asks looks whether there is
 * something and never waits.  Both directions carry messages: uint32_t type, uint32_t size, size bytes.  The program
 * speaks first, then once for each question.  It has its questions as standard input, its answers as standard output,
 * no other descriptor but the one it inherits, a process group of its own, and dies with us as soon as it looks.
 *
 * This is nothing of a guest's world: no layer sees it, and nothing of it is recorded. */
#ifndef AEON_WORLD_OS_CHILD_H
#define AEON_WORLD_OS_CHILD_H

#include "base/bytes.h"
#include "base/err.h"
#include "world/world.h"

struct child;

enum { CHILD_INHERITED_FD = 3, CHILD_HOW = 240 };

struct child_options {
    const char *program;
    const char *const *args; /* argv[1...] */
    uint32_t nargs;
    const char *file;      /* open as descriptor 3, to be read; NULL: `inherited` */
    struct span inherited; /* bytes to be read from descriptor 3, when there are any; borrowed until child_free */
    uint64_t start_ns;     /* until its first message */
    uint32_t max_message;  /* bytes; a longer one is the end of it */
    bool lowly;            /* runs when others leave the processor free */
};

/* All strings are copied. Nothing has happened yet when this returns: what goes wrong comes as an event. NULL: no
 * thread to be had. */
struct child *child_start(struct world *w, const struct child_options *o);
/* It is to end now, whatever it does. */
void child_end(struct child *c);
/* The same, and waits for it. NULL is fine. */
void child_free(struct child *c);

/* A question; `bytes` are copied. It is put once those before are answered, and must be answered within `within_ns` of
 * that, or the process is killed. */
void child_ask(struct child *c, uint32_t type, struct span bytes, uint64_t within_ns);

/* Is there an event? Costs one load. */
bool child_ready(const struct child *c);

struct child_event {
    bool ended;     /* the last event: the process is gone, and questions not answered never will be */
    bool was_asked; /* ended: with a question put and not answered */
    uint32_t type;  /* of a message */
    uint8_t *bytes; /* of a message; the taker's, mem_free */
    uint32_t size;
    char how[CHILD_HOW]; /* ended: "was killed by SIGSEGV", "ended with status 1", and what it said at last */
};
bool child_take(struct child *c, struct child_event *out);

/* How many can work at the same time on this machine. */
uint32_t child_processors(void);

#endif
