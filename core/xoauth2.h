/*
 * xoauth2.h - the XOAUTH2 and OAUTHBEARER exchanges, client side, as a
 * machine without I/O.  Source: Google's and Microsoft's XOAUTH2 pages, and
 * RFC 7628; the error challenge and the answer to it as there.
 *
 *   START --token--> SENT --empty--> DONE        the server took the token
 *                     |
 *                     +--challenge--> REFUSED    we answer with nothing (^A in
 *                                                OAUTHBEARER) and the server
 *                                                says no in its own protocol
 */
#ifndef CORE_XOAUTH2_H
#define CORE_XOAUTH2_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "diag.h"
#include "secret.h"

#define XOAUTH2_MAX_BYTES 65536	/* of one response, before base64 */

enum xoauth2_state {
	XOAUTH2_START,
	XOAUTH2_SENT,
	XOAUTH2_REFUSED,	/* final */
	XOAUTH2_DONE		/* final */
};

struct xoauth2 {
	enum xoauth2_state state;
	bool bearer;		/* OAUTHBEARER */
	const char *host;	/* of OAUTHBEARER; borrowed */
	unsigned port;
	struct buf out;		/* what to send; valid until the next call */
	struct diag verdict;	/* the server's words, in XOAUTH2_REFUSED */
};

void xoauth2_init(struct xoauth2 *m);
/*
 * The same machine for OAUTHBEARER.  host (NULL: not said) and port (0: not
 * said) are of the server; host is borrowed until the first step.
 */
void oauthbearer_init(struct xoauth2 *m, const char *host, unsigned port);
/* Overwrites and frees; the machine is back at START. */
void xoauth2_wipe(struct xoauth2 *m);

/*
 * Feeds the server's message (in may be NULL when inlen is 0, and need not
 * end in NUL) and moves the machine.  user and token are looked at in START
 * only; what the server says there is ignored, since some hosts hand over an
 * empty greeting and the mechanism is client-first.
 * Returns 0, and m->state and m->out say what to do next; or -1 with
 * *reterr set (CONFIG: user or host, PROTO: token or server, NOMEM), and the
 * exchange is over.
 */
int xoauth2_step(struct xoauth2 *m, const char *user,
	const struct secret *token, const char *in, size_t inlen,
	struct diag *reterr);

#endif
