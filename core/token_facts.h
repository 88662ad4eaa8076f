/*
 * token_facts.h - an access token's claims by their meaning, whoever issued
 * it.  Pure.
 *
 * A token is opaque to its client: all this is for people to look at, and
 * nothing may depend on it.  The claims' texts are strangers' bytes.
 */
#ifndef CORE_TOKEN_FACTS_H
#define CORE_TOKEN_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* 8-4-4-4-12 hexadecimal digits and nothing else; NULL is none. */
bool token_is_guid(const char *s);
/* As a claim is shown: printable ASCII, cut to size. */
const char *token_show(const char *s, char *ret, size_t size);

#endif
