/*
 * token_source.h - where a mechanism's bearer token comes from.
 *
 * A host gives us a "password"; token_ref_parse() reads it:
 *
 *   "mailtoken:" or empty   the agent's token for the account named like the
 *                           SASL user
 *   "mailtoken:NAME"        the agent's token for account NAME
 *   anything else           a literal access token, used as it is
 *
 * Threads:  a source belongs to one thread and one process.
 * Blocking: get() and reject() may block, but never longer than timeout_ms.
 *           Nothing stays open between calls: no descriptor, no connection.
 * Signals:  none are raised, caught or masked.
 * Time:     expires_at is Unix time in seconds.
 */
#ifndef CORE_TOKEN_SOURCE_H
#define CORE_TOKEN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag.h"
#include "secret.h"
#include "wire.h"

#define TOKEN_TIMEOUT_MS	10000	/* of a whole exchange with the agent */

struct token {
	struct secret value;
	int64_t expires_at;	/* 0: not known (a literal token) */
	int64_t generation;	/* the agent's count of this account's tokens */
};
#define TOKEN_INIT { SECRET_INIT, 0, 0 }

void token_wipe(struct token *t);
#define auto_token __attribute__((cleanup(token_wipe)))

/* Borrowed strings; account is required, NULL leaves any other out. */
struct token_query {
	const char *account;	/* whose grant */
	const char *service;	/* "smtp", "imap", "pop": for limits and logs */
	const char *host;	/* the server the token is meant for: for logs */
	const char *user;	/* the mailbox, if not named like the account */
};

/* A kind of source embeds this as its first member and fills in ops. */
struct token_source {
	const struct token_source_ops *ops;
};

struct token_source_ops {
	/*
	 * Returns 0, and *ret holds a token the caller must wipe; or -1,
	 * *reterr says why, and *ret is untouched.  All kinds but OK.
	 */
	int (*get)(struct token_source *, const struct token_query *q,
	    struct token *ret, struct diag *reterr);
	/*
	 * A server refused this token: do not hand it out again.  reason is
	 * the server's words, may be NULL, and may be cut.  Returns 0 if the
	 * source has heard it, or -1 with *reterr.
	 */
	int (*reject)(struct token_source *, const struct token_query *q,
	    const struct token *refused, const char *reason,
	    struct diag *reterr);
};

/* The agent that listens on a UNIX socket.  A value: nothing to free. */
struct token_agent {
	struct token_source source;	/* first: ops cast back */
	const char *path;		/* borrowed; NULL: the default paths */
	int timeout_ms;
};

/*
 * socket_path is borrowed; NULL means, in this order: $MAILTOKEN_SOCKET
 * (secure_getenv); $XDG_RUNTIME_DIR/mailtoken/agent.sock if there is one;
 * /run/mailtoken/agent.sock.
 */
void token_agent_init(struct token_agent *a, const char *socket_path,
	int timeout_ms);

/*
 * One request, one answer, for front ends that speak other ops than get and
 * reject.  request is a whole message (wire_end() done).  *answer is wiped,
 * then holds what came; *ret points into it.  Returns 0 for any answer with
 * status=ok; -1 with *reterr for one with status=error (its kind and text)
 * and for failures on the way: RETRY (no agent, too slow), CONFIG (path,
 * permission), PROTO, NOMEM.
 */
int token_agent_ask(const struct token_agent *a, const struct buf *request,
	struct buf *answer, struct wire_msg *ret, struct diag *reterr);

/*
 * What get() sends, and what it makes of the answer, for hosts that do not
 * wait: exchange.h has the rest.  token_request_get() appends a whole
 * message.  token_answer_get() takes the memory of answer, in which m lies,
 * for the token.  Both return -1 with *reterr (CONFIG, PROTO, NOMEM).
 */
int token_request_get(struct buf *request, const struct token_query *q,
	struct diag *reterr);
int token_answer_get(struct buf *answer, const struct wire_msg *m,
	const struct token_query *q, struct token *ret, struct diag *reterr);
/* Puts the account's name in front, unless it is there.  Returns -1. */
int token_error(const struct token_query *q, struct diag *d);

/*
 * token_agent_ask() for an op that answers with many messages: each() is called for
 * every one, in order; one without more=1 is the last.  each() returns -1
 * with *reterr to stop.
 */
int token_agent_ask_many(const struct token_agent *a,
	const struct buf *request,
	int (*each)(void *arg, const struct wire_msg *msg, struct diag *reterr),
	void *arg, struct diag *reterr);

struct token_ref {
	bool literal;				/* the password is the token */
	char account[WIRE_ACCOUNT_MAX + 1];	/* if not literal; may be a
						 * pattern, "*@DOMAIN" */
};

/*
 * Reads the host's password (may be NULL; need not end in NUL).  Returns -1
 * with *reterr (CONFIG) if the account's name is not one; the text does not
 * quote the password.
 */
int token_ref_parse(const char *password, size_t len, const char *user,
	struct token_ref *ret, struct diag *reterr);

#endif
