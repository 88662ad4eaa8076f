/*
 * mail_dialogue.h - what a client and a mail server say to each other while
 * one logs in: how far they have got, and the server's last words.  No I/O.
 */
#ifndef CORE_MAIL_DIALOGUE_H
#define CORE_MAIL_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "provider.h"

#define DIALOGUE_HEARD_MAX 1024 /* of what the server says to one command */

/* How each service is spoken, and what shows that the mailbox opens. */
struct speech {
	enum service service;
	const char *plain, *tls; /* URL schemes */
	unsigned port;		 /* the service's own */
	unsigned starttls_port;	 /* else TLS from the first byte; 0: all but */
	unsigned tls_port;	 /* this one */
	const char *login, *probe; /* as the lines sent begin */
};
const struct speech *speech_of(enum service s);

/* How far it got; the last one reached is where it failed. */
enum mailbox_stage {
	MAILBOX_CONNECT, /* until the server has said what it can do */
	MAILBOX_LOGIN,
	MAILBOX_OPEN,
	MAILBOX_STAGE__COUNT
};
const char *mailbox_stage_name(enum mailbox_stage s);

/* Zeroed but for the speech, to begin with. */
struct dialogue {
	const struct speech *speech;
	enum mailbox_stage stage;
	bool login_sent;
	bool over; /* we say goodbye: what comes now is no answer */
	size_t len;
	char heard[DIALOGUE_HEARD_MAX]; /* the answer to the last command, in
					 * printable ASCII on one line */
};

/* A line that we send.  It is only looked at: it may hold the token. */
void dialogue_sent(struct dialogue *d, const char *line, size_t n);
/* One or more lines of the server's; heard ends in NUL afterwards. */
void dialogue_heard(struct dialogue *d, const char *text, size_t n);

/* s without what looks like a credential, cut to size. */
void dialogue_show(const char *s, char *ret, size_t size);

#endif
