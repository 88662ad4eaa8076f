/*
 * cloud.h - Microsoft's clouds: which hosts of theirs an account has to do
 * with, and the directories ("tenants") in them.  A table, no I/O.
 */
#ifndef CORE_CLOUD_H
#define CORE_CLOUD_H

#include <stdbool.h>

struct cloud {
	const char *name;	/* in the configuration */
	const char *login;	/* host of the token endpoint */
	const char *delegated;	/* base of the delegated scopes */
	const char *resource;	/* of app-only tokens */
	const char *mailbox;	/* IMAP and POP */
	const char *smtp;	/* NULL: not documented */
};

/* The one of that name; NULL is "global".  NULL for an unknown name. */
const struct cloud *cloud_find(const char *name);
/*
 * By its login host as AZURE_AUTHORITY_HOST has it, "https://HOST/"; where
 * two share it, the first.  NULL if the host is none of Microsoft's.
 */
const struct cloud *cloud_at(const char *authority);
/* https://LOGIN/TENANT/oauth2/v2.0/NAME for free(), or NULL: no memory. */
char *cloud_endpoint(const struct cloud *c, const char *tenant,
	const char *name);

/* Looks like a GUID or a domain, and so is safe in the endpoint's path. */
bool tenant_ok(const char *tenant);
/* One of the words that stand for more than one directory. */
bool tenant_is_shared(const char *tenant);

#endif
