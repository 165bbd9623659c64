/* signals.h: the signals that ask aeon to stop, turned into a call.
 *
 * The first SIGINT, SIGTERM or SIGHUP is handed over; the next one of the same kind ends the process as it always did,
 * so that a user is never stuck. SIGPIPE is ignored: a guest that writes into a closed pipe is told so by errno. */
#ifndef AEON_NODE_SIGNALS_H
#define AEON_NODE_SIGNALS_H

/* From now on `fn(arg, signal)` is called when one comes, in a signal handler: it must be async-signal-safe. One
 * catcher at a time. */
void signals_catch(void (*fn)(void *arg, int signal), void *arg);

/* Back to what was before. */
void signals_release(void);

#endif
