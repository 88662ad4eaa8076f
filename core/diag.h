/* diag.h - what went wrong, in words, and who can do something about it. */
#ifndef CORE_DIAG_H
#define CORE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ordered by who must act.  Callers switch on the kind, people read the text. */
enum diag_kind {
	DIAG_OK,	/* nothing went wrong; text is empty */
	DIAG_RETRY,	/* time: network down, provider 5xx, agent away */
	DIAG_REAUTH,	/* the account's owner: log in again */
	DIAG_CONFIG,	/* the administrator: a file, a key, a permission */
	DIAG_DENIED,	/* the administrator: this uid is not allowed */
	DIAG_PROTO,	/* the peer: it sent what the protocol forbids */
	DIAG_NOMEM,	/* this host: out of memory, or of descriptors */
	DIAG__COUNT
};

/*
 * A value, not a handle: it lives on the caller's stack, so that even
 * "out of memory" can be reported.  Initialise with DIAG_INIT.
 * text is one line, "outer: inner: cause", printable ASCII without a full
 * stop, and never holds a token, a code or a client secret: name the account
 * and the file instead, and the remedy last.
 */
struct diag {
	enum diag_kind kind;
	int64_t retry_after_s;	/* RETRY: seconds to wait; 0: not known */
	char text[512];
	bool once;		/* CONFIG: trying again unchanged does harm */
	bool provider;		/* it was asked, and this is what came of it */
};
#define DIAG_INIT { DIAG_OK, 0, "", false, false }

/*
 * Both return -1, so that a failing function can `return diag_set(...)`.
 * diag_set() clears all that it is not given; diag_wrap() puts "fmt: " in front
 * of what is there and keeps the rest.
 */
int diag_set(struct diag *d, enum diag_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int diag_wrap(struct diag *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#define DIAG_ECHO 8 /* characters in a row that are no accident */

/*
 * For the words of a stranger who was told a secret of n bytes, not before
 * they are whole: puts "***" in the place of every DIAG_ECHO or more
 * characters that are a part of it; of a shorter secret, all of it.
 */
void diag_hide(struct diag *d, const char *secret, size_t n);
/* The one sentence for DIAG_NOMEM.  Returns -1. */
int diag_nomem(struct diag *d);

/*
 * The word for a kind on the wire and in logs: "ok", "retry", "reauth",
 * "config", "denied", "proto"; NOMEM is "retry".
 */
const char *diag_kind_name(enum diag_kind kind);
/* The other way; false, and *ret untouched, for a word that is none. */
bool diag_kind_parse(const char *word, enum diag_kind *ret);

#endif
