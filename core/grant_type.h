/* grant_type.h - the ways to get tokens, and their words. */
#ifndef CORE_GRANT_TYPE_H
#define CORE_GRANT_TYPE_H

#include <stdbool.h>
#include <stddef.h>

/* Where tokens come from.  All but the first are app-only. */
enum grant_type {
	GRANT_REFRESH_TOKEN,	/* delegated: somebody logged in once (RFC
				 * 6749 section 6) */
	GRANT_CLIENT_CREDENTIALS, /* secret or certificate (section 4.4) */
	GRANT_WORKLOAD_IDENTITY, /* the same with somebody else's assertion, from
				 * a file (RFC 7523 section 2.2) */
	GRANT_MANAGED_IDENTITY,	/* Azure gives it to the machine */
	GRANT_JWT_BEARER,	/* Google's service account, for one mailbox
				 * (RFC 7523 section 2.1) */
	GRANT__COUNT
};

/* The word in the configuration, "client_credentials" and so on. */
const char *grant_name(enum grant_type g);
bool grant_name_parse(const char *word, enum grant_type *ret);

/* Room for the words of all of them. */
#define GRANT_LIST_SIZE	128
/*
 * "refresh_token, client_credentials or jwt_bearer" for a set of 1 << enum
 * grant_type, ored.  ret has GRANT_LIST_SIZE bytes; returns it.
 */
const char *grant_list(unsigned grants, char *ret);

#endif
