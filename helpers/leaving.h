/*
 * leaving.h - how the agent goes: at a signal, with its only client, or when
 * nobody needs it; not before what is pending has ended, as far as that does.
 */
#ifndef HELPERS_LEAVING_H
#define HELPERS_LEAVING_H

#include <stdbool.h>
#include <stdint.h>

#include "acceptor.h"
#include "server.h"

struct event;

/* All zero: nothing to free. */
struct leaving {
	struct server *server;
	struct acceptor *acceptor;
	struct event *timer, *idle;
	int64_t idle_exit_s; /* as it was at the start */
	unsigned turns;
	bool closed; /* the sockets */
};

/* Both are borrowed.  False: no memory. */
bool leaving_init(
    struct leaving *l, struct server *server, struct acceptor *acceptor);
void leaving_free(struct leaving *l);

/* From now on it leaves when nobody has come for idle_exit_s; 0: never. */
void leaving_when_idle(struct leaving *l, int64_t idle_exit_s);
/* Once; ends the event loop in the end. */
void leaving_begin(struct leaving *l);
/* The last session lets it go; if it was the only one, it begins to. */
void leaving_session_ended(struct leaving *l);

#endif
