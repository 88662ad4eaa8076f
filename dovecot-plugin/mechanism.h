/*
 * mechanism.h - XOAUTH2 and OAUTHBEARER for Dovecot's own clients: imapc and
 * the submission relay.  They take the place of the built-in mechanisms and
 * read the password as token_source.h says, so that a literal token works as
 * ever, and any other mechanism is left alone.
 *
 * Dovecot makes a client for each connection, so that each gets a token of
 * its own; the agent is asked when the connection has to authenticate.
 *
 * Threads:  none; nor are signals touched.
 * Blocking: the first response waits for the agent, which has the time that
 *           the settings give it; the process serves one user.
 */
#ifndef DOVECOT_PLUGIN_MECHANISM_H
#define DOVECOT_PLUGIN_MECHANISM_H

#include "release.h"

struct mail_user;

/* Counted by Dovecot, so that the order of plugins does not matter. */
void mechanisms_register(void);
/* Puts the built-in ones back: nothing points into the plugin any more. */
void mechanisms_restore(void);

/*
 * Takes the agent's socket and timeout from the settings of this user; they
 * hold for all mechanisms until another user comes.  A mistake is logged, and
 * what held before stays.
 */
void mechanism_read_settings(struct mail_user *user);
/* Forgets them. */
void mechanism_forget_settings(void);

/*
 * XOAUTH2 for the submission relay.  Not registered: it must be given to the
 * connection.
 */
extern const struct dsasl_client_mech mechanism_relay;

#endif
