/*
 * visitor.h - what all have in common who connect to the agent, whatever they
 * speak: whether they are let in, how they are waited for, and how much they
 * may make it write into its log.
 */
#ifndef HELPERS_VISITOR_H
#define HELPERS_VISITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"
#include "peer.h"
#include "server.h"

struct event;

/*
 * Counts one visitor more.  False, and the log says why: nobody knows who it
 * is, there are too many, or its uid has too many.  *ret is set as far as it
 * is known.
 *
 * Strangers (known.h) may have a quarter of max_connections together, and of
 * the last quarter nobody has more than is left to others: so whoever may have
 * a token finds a place, however many others there are.
 */
bool visitor_admit(struct server *s, int fd, struct peer *ret);
/* It is gone.  The last thing that is done for it: the server may end. */
void visitor_leave(struct server *s, const struct peer *p);

/*
 * A line that is the visitor's doing.  It is kept back, and takes no time to
 * make, if there were too many of these: a known uid has 100 in a second, all
 * strangers together have one.  The next line says how many there were.
 */
struct log_line visitor_line(
    const struct peer *p, int priority, const char *event);

/*
 * Has ready() called once: for the descriptor (what may be 0) or for the
 * deadline, of clock_now_ms().  *e is made if it is NULL.  False: no memory.
 */
bool visitor_watch(struct event **e, const struct server *s, int fd, short what,
    int64_t deadline_ms, void (*ready)(int fd, short what, void *arg),
    void *arg);

#endif
