/*
 * session.h - one client of the agent: one request, one answer, a deadline.
 */
#ifndef HELPERS_SESSION_H
#define HELPERS_SESSION_H

#include "accounts.h"
#include "buf.h"
#include "diag.h"
#include "peer.h"
#include "refresh.h"
#include "server.h"
#include "wire.h"

#define SESSION_READ_MS	  10000	     /* for the whole request to come */
#define SESSION_WRITE_MS  10000	     /* for the client to take the answer */
#define SESSION_ANSWER_MS 8000	     /* for the provider, then we say "retry" */
#define SESSION_LEAVE_MS  2000	     /* the same when the agent leaves */
#define SESSION_OUT_MAX	  (4 * WIRE_MAX_BYTES)

struct event;
struct session;

/*
 * An answer with a message for each account, made bit by bit as the client
 * takes it: neither memory nor the loop is kept by very many accounts.
 */
struct listing {
	struct config *config; /* whose accounts; NULL: nothing is listed */
	size_t next;	       /* of them */
	void (*each)(struct session *s, struct live *l);
	void (*end)(struct session *s); /* the last message */
};

struct session {
	struct waiter waiter; /* first: its answer() casts back */
	struct server *server;
	struct session *prev, *next; /* of server->asking */
	int fd;
	struct peer peer;
	struct event *event; /* NULL until there is something to wait for */
	struct buf in, out;
	size_t sent;
	size_t looked_at; /* of in: still the socket's, see take_request() */
	int64_t deadline_ms;	/* of reading, waiting or writing */
	struct live *waits_for; /* the answer is still to come */
	struct listing listing;
	bool talks_on;		/* it sends more than a request */
	bool *answered;		/* set by an answer that comes at once */
	struct {		/* of the request, for the answer and the log */
		const char *op;
		char account[WIRE_ACCOUNT_MAX + 1];
		char service[8], host[64], user[96];
	} what;
};

/* Takes the connection over. */
void session_start(struct server *s, int fd);
/*
 * The agent leaves, and the next one waits for that: whoever is slow to ask or
 * to take an answer has little time now.
 */
void session_leave(struct server *s);

/*
 * For the operations: an answer begins with version and status, and the
 * session ends when it is sent.
 */
void session_begin(struct session *s, const char *status);
void session_finish(struct session *s);
void session_error(struct session *s, const struct diag *d);
/* All accounts; each() and end() append a whole message to s->out. */
void session_list(struct session *s,
    void (*each)(struct session *s, struct live *l),
    void (*end)(struct session *s));
/*
 * Lets ask(l, &s->waiter) answer, at once or later; s->waiter.answer is set,
 * and begins with session_answered().  Afterwards s may be gone.
 */
void session_ask(struct session *s, struct live *l,
    void (*ask)(struct live *l, struct waiter *w));
void session_answered(struct session *s);

#endif
