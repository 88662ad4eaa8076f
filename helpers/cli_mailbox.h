/*
 * cli_mailbox.h - one real login at a mail server with XOAUTH2, by libcurl,
 * and what became of it.  Nothing is sent and nothing is changed there:
 * SMTP goes up to MAIL FROM, IMAP to EXAMINE INBOX, POP3 to STAT.
 *
 * Blocking: up to MAILBOX_TIMEOUT_S.  No proxy.  TLS always, verified.
 */
#ifndef HELPERS_CLI_MAILBOX_H
#define HELPERS_CLI_MAILBOX_H

#include <stdbool.h>

#include "advice.h"
#include "diag.h"
#include "mail_dialogue.h"
#include "provider.h"
#include "secret.h"

#define MAILBOX_TIMEOUT_S 20
#define MAILBOX_SAID_MAX  320

enum mailbox_verdict {
	MAILBOX_OK,
	MAILBOX_NO_CONNECTION,
	MAILBOX_NOT_TRUSTED, /* the server's certificate */
	MAILBOX_NO_TLS,	     /* not offered, or the handshake failed */
	MAILBOX_NO_XOAUTH2,  /* not offered */
	MAILBOX_REFUSED,     /* the token */
	MAILBOX_AUTH_OFF,    /* SMTP AUTH is, for tenant or mailbox */
	MAILBOX_NOT_OPENED,  /* the token is fine, the mailbox is not */
	MAILBOX_THROTTLED,   /* or busy: later */
	MAILBOX_LOST,	     /* no answer, or the connection broke */
	MAILBOX_FAILED,	     /* on this side */
	MAILBOX__COUNT
};
/* For people, "token refused"; for programs, "token_refused". */
const char *mailbox_verdict_words(enum mailbox_verdict v);
const char *mailbox_verdict_key(enum mailbox_verdict v);

struct mailbox_login {
	enum service service;
	const char *host;    /* a name or an address, IPv6 in brackets */
	unsigned port;	     /* 0: the service's own */
	const char *user;    /* the mailbox */
	const char *ca_file; /* NULL: the system's */
	const struct secret *token;
};

struct mailbox_result {
	enum mailbox_verdict verdict;
	enum mailbox_stage stage;
	enum diag_kind kind;
	bool stale;		     /* a fresh token may cure it */
	const struct advice *advice; /* of the server's words; NULL: none */
	const char *cause, *todo;    /* a line each; NULL if OK */
	char said[MAILBOX_SAID_MAX]; /* the server's words, shown safely */
	char failure[160];	     /* libcurl's, where there are none */
};

unsigned mailbox_port(enum service s);
void mailbox_try(const struct mailbox_login *login, struct mailbox_result *ret);

#endif
