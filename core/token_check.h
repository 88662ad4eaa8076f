/*
 * token_check.h - an access token's claims by their meaning, and what is
 * wrong with them for mail.  Pure: no I/O, no clock.
 *
 * A token is opaque to its client: all this is for people to look at, and
 * nothing may depend on it.  The claims' texts are strangers' bytes.
 */
#ifndef CORE_TOKEN_CHECK_H
#define CORE_TOKEN_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "json.h"

/* Borrowed from the claims; NULL and 0: not said. */
struct token_facts {
	const struct json *claims;
	bool microsoft;		/* issued by Entra ID, in any cloud */
	bool app_only;		/* for an application, without a person */
	const char *audience;	/* the first, if there are several */
	const char *issuer, *tenant;
	const char *app_id, *app_name;
	const char *user;	/* who logged in */
	const char *object_id;	/* of the user or, app_only, of the enterprise
				 * application */
	const char *scopes;	/* delegated; separated by blanks */
	int64_t issued_at, not_before, expires_at;	/* Unix seconds */
};

void token_facts_read(const struct json *claims, struct token_facts *ret);
/* The i-th role (application permission); NULL behind the last. */
const char *token_facts_role(const struct token_facts *f, size_t i);

struct token_finding {
	const char *key;	/* a literal, for programs */
	enum diag_kind kind;	/* who must act; OK: only worth knowing */
	char cause[256], todo[256];	/* printable ASCII, a line each */
};
#define TOKEN_FINDINGS_MAX	12

/*
 * Compares the token with what the account wants.  a may be NULL: then only
 * what the token says of itself is looked at.  mailbox is what will be
 * logged in to; NULL: not known.  Returns how many there are, the gravest
 * first as far as their order says something.
 */
size_t token_check(const struct token_facts *f, const struct account *a,
	const char *mailbox, int64_t now_s,
	struct token_finding ret[TOKEN_FINDINGS_MAX]);

/* 8-4-4-4-12 hexadecimal digits and nothing else; NULL is none. */
bool token_is_guid(const char *s);
/* As a claim is shown: printable ASCII, cut to size. */
const char *token_show(const char *s, char *ret, size_t size);

#endif
