/*
 * visitor.h - what all have in common who connect to the agent, whatever they
 * speak: whether they are let in, and how they are waited for.
 */
#ifndef HELPERS_VISITOR_H
#define HELPERS_VISITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "peer.h"
#include "server.h"

struct event;

/*
 * Counts one visitor more.  False, and the log says why: nobody knows who it
 * is, there are too many, or its uid has too many.  *ret is set as far as it
 * is known.
 */
bool visitor_admit(struct server *s, int fd, struct peer *ret);
/* It is gone.  The last thing that is done for it: the server may end. */
void visitor_leave(struct server *s, const struct peer *p);

/*
 * Has ready() called once: for the descriptor (what may be 0) or for the
 * deadline, of clock_now_ms().  *e is made if it is NULL.  False: no memory.
 */
bool visitor_watch(struct event **e, const struct server *s, int fd, short what,
    int64_t deadline_ms, void (*ready)(int fd, short what, void *arg),
    void *arg);

#endif
