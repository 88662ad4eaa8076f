/*
 * acceptor.h - takes clients from the agent's sockets, and hands each to what
 * is spoken there.  When descriptors run out it pauses instead of spinning.
 */
#ifndef HELPERS_ACCEPTOR_H
#define HELPERS_ACCEPTOR_H

#include <stdbool.h>

#include "listener.h"
#include "server.h"

struct event;

struct acceptor {
	struct server *server;
	struct listeners listeners;
	struct event *event[LISTENERS_MAX];
	struct event *again;
};

/* False: no memory.  The listeners are open already. */
bool acceptor_start(struct acceptor *a, struct server *s);
/*
 * Closes the sockets: nobody new comes in.  Who waits at one of our own is let
 * in before; at systemd's they wait for the next agent.
 */
void acceptor_stop(struct acceptor *a);
void acceptor_free(struct acceptor *a);

#endif
