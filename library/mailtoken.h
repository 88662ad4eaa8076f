/*
 * mailtoken.h - asks mailtoken's agent for an access token: libmailtoken(3).
 *
 *     struct mailtoken *m = mailtoken_new(NULL, 0);
 *
 *     if (m == NULL || mailtoken_get(m, "relay@contoso.example", "smtp",
 *             "smtp.office365.com", NULL) != MAILTOKEN_OK)
 *             errx(1, "%s", mailtoken_text(m));
 *     send(mailtoken_token(m));
 *     mailtoken_free(m);
 *
 * Threads:  a handle belongs to one thread at a time; there is no other state.
 * Blocking: mailtoken_get() and mailtoken_reject() may block, but never longer
 *           than timeout_ms.  No descriptor stays open between calls, so a
 *           handle survives fork(), closefrom() and setuid().
 * Signals:  none are raised, caught or masked.
 * Memory:   tokens are overwritten before their memory is given back.
 */
#ifndef MAILTOKEN_H
#define MAILTOKEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who can do something about a failure. */
enum mailtoken_result {
	MAILTOKEN_OK,
	MAILTOKEN_RETRY,	/* time: no agent, the provider is away */
	MAILTOKEN_REAUTH,	/* the mailbox's owner must log in again */
	MAILTOKEN_CONFIG,	/* the administrator: something is not set up */
	MAILTOKEN_DENIED,	/* the administrator: this user is not allowed */
	MAILTOKEN_PROTO,	/* the agent said what its protocol forbids */
	MAILTOKEN_NOMEM
};

struct mailtoken;

/*
 * socket_path is copied; NULL means $MAILTOKEN_SOCKET (not in set-uid
 * programs), $XDG_RUNTIME_DIR/mailtoken/agent.sock if it is there, else
 * /run/mailtoken/agent.sock.  timeout_ms 0 means 10 seconds.  NULL: no memory.
 */
struct mailtoken *mailtoken_new(const char *socket_path, int timeout_ms);
/* NULL is fine. */
void mailtoken_free(struct mailtoken *m);

/*
 * A token of the account, which lives long enough to be used.  service
 * ("smtp", "imap", "pop"), host (the server it is for) and user (the mailbox,
 * where it is not the account's name) may be NULL.  On failure the handle
 * holds no token.
 */
enum mailtoken_result mailtoken_get(struct mailtoken *m, const char *account,
    const char *service, const char *host, const char *user);
/*
 * The server refused the token of the last mailtoken_get(), in these words
 * (or NULL): the agent will not hand it out again.  Where a user was given, it
 * is that mailbox's doing: the token is renewed, but until then still good
 * for the others, and for who asks at once.
 */
enum mailtoken_result mailtoken_reject(struct mailtoken *m,
    const char *reason);

/* Of the last mailtoken_get(); NULL after a failure; until the next call. */
const char *mailtoken_token(const struct mailtoken *m);
/* Unix time; 0: no token. */
int64_t mailtoken_expires_at(const struct mailtoken *m);
/*
 * Why the last call failed, in one sentence with the remedy, never with a
 * secret; "" after MAILTOKEN_OK.  m may be NULL: no memory.
 */
const char *mailtoken_text(const struct mailtoken *m);

/*
 * The SASL initial response (before base64) with the last token: mechanism is
 * "XOAUTH2" or "OAUTHBEARER", for which host and port are what the client is
 * connected to (NULL, 0: not said).  It and its length are valid until the
 * next call; NULL on failure, see mailtoken_text().
 */
const char *mailtoken_response(struct mailtoken *m, const char *mechanism,
    const char *user, const char *host, unsigned port, size_t *ret_len);

/* "0.1.0" */
const char *mailtoken_version(void);

#ifdef __cplusplus
}
#endif

#endif
