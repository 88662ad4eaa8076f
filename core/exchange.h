/*
 * exchange.h - one request and its answers over the agent's socket, within
 * one deadline.  A fresh connection each time: a kept one would have to
 * survive the host's fork(), closefrom() and setuid().
 *
 * An agent that is killed while it is asked takes the connection with it, and
 * the next one is there in a second; systemd's socket has room for those who
 * wait.  So whoever is cut off before the first byte of an answer asks once
 * more, the same agent and until the same deadline.  Every request may be
 * asked twice (docs/PROTOCOL.md), and an agent that turns somebody away says
 * so.  Where nobody listens from the start, nobody is waited for.
 */
#ifndef CORE_EXCHANGE_H
#define CORE_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "buf.h"
#include "diag.h"
#include "wire.h"

struct exchange {
	int fd;
	int timeout_ms;
	int64_t deadline_ms;		/* CLOCK_MONOTONIC */
	bool heard;			/* something of an answer */
	bool cut_off;			/* the agent hung up, nothing heard */
	bool again;			/* this is the second attempt */
	bool absent;			/* nobody listens, or there is no socket */
	struct sockaddr_un addr;	/* of the agent that was tried last */
};
#define EXCHANGE_INIT { .fd = -1 }

/*
 * Connects to the socket at path; NULL means the default paths, as
 * token_source.h gives them.  The clock runs from here.
 * Returns -1 with *reterr: RETRY (no agent, too slow), CONFIG (the path, a
 * permission).
 */
int exchange_open(struct exchange *x, const char *path, int timeout_ms,
	struct diag *reterr);
/*
 * exchange_open(), exchange_send(), exchange_next(), and all of them once more
 * for who is cut off.  Returns as exchange_next() does; *reterr may have been
 * set to DIAG_INIT.
 */
ssize_t exchange_ask(struct exchange *x, const char *path, int timeout_ms,
	const struct buf *request, struct buf *answer, struct wire_msg *ret,
	struct diag *reterr);
/*
 * The same in steps that never wait, for hosts with a loop of their own.
 * exchange_begin() makes the socket and starts the clock; exchange_connect()
 * returns 1 if the agent is too busy to be connected to: try again later.
 */
int exchange_begin(struct exchange *x, int timeout_ms, struct diag *reterr);
int exchange_connect(struct exchange *x, const char *path,
	struct diag *reterr);
void exchange_close(struct exchange *x);
#define auto_exchange __attribute__((cleanup(exchange_close)))

/* Returns -1 with *reterr (RETRY). */
int exchange_send(struct exchange *x, const struct buf *request,
	struct diag *reterr);

/*
 * Reads until a whole message is at the front of answer, which may hold
 * something already.  Returns its bytes, and *ret points into answer; or -1
 * with *reterr: what the agent said with status=error, RETRY (too slow,
 * broken off), PROTO, NOMEM.
 */
ssize_t exchange_next(struct exchange *x, struct buf *answer,
	struct wire_msg *ret, struct diag *reterr);

/*
 * The same with what one recv(2) brings: returns 0 if the message is not
 * whole yet.  For hosts whose loop says that there is something.
 */
ssize_t exchange_poll(struct exchange *x, struct buf *answer,
	struct wire_msg *ret, struct diag *reterr);

/*
 * After a failure: true if it was cut off and may ask once more.  It has
 * another descriptor then, so let the loop forget the old one first, and goes
 * on with exchange_connect() and exchange_send().
 */
bool exchange_again(struct exchange *x);

/* What to say when the host's own clock ran out.  Returns -1. */
int exchange_expired(const struct exchange *x, struct diag *reterr);

/* The agent may take as long again. */
void exchange_extend(struct exchange *x);

#endif
