/*
 * managed_identity.h - the identity that Azure gives to a machine: whom to
 * ask for its token, how, and what the answer says.  No I/O but reading the
 * environment.
 *
 *   App Service    IDENTITY_ENDPOINT and IDENTITY_HEADER are set
 *   Azure Arc      IDENTITY_ENDPOINT and IMDS_ENDPOINT are set, or its agent
 *                  himds is installed; asked twice, see arc_key.h
 *   IMDS           otherwise: virtual machines, scale sets, Kubernetes nodes;
 *                  AZURE_POD_IDENTITY_AUTHORITY_HOST replaces its address
 *
 * Source: Microsoft's pages on the three endpoints, and what its libraries
 * agree on.  Service Fabric has a certificate of its own and is refused.
 */
#ifndef CORE_MANAGED_IDENTITY_H
#define CORE_MANAGED_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"
#include "diag.h"
#include "oauth2.h"
#include "secret.h"

enum managed_identity_source {
	MANAGED_IDENTITY_IMDS,
	MANAGED_IDENTITY_APP_SERVICE,
	MANAGED_IDENTITY_ARC,
	MANAGED_IDENTITY__COUNT
};

/* What the machine says about itself; strings are the environment's. */
struct managed_identity_env {
	const char *identity_endpoint;	/* NULL: not set, as all of these */
	const char *identity_header;
	const char *server_thumbprint;	/* IDENTITY_SERVER_THUMBPRINT */
	const char *imds_endpoint;
	const char *authority_host;	/* AZURE_POD_IDENTITY_AUTHORITY_HOST */
	bool himds;			/* Arc's agent is installed */
};
/* The only reader of these variables (secure_getenv). */
void managed_identity_env_read(struct managed_identity_env *ret);

/* A GET; struct http_request has the same members. */
struct managed_identity_request {
	enum managed_identity_source source;
	char *url;
	struct secret header;	/* one line, "Name: value" */
};
#define MANAGED_IDENTITY_REQUEST_INIT { MANAGED_IDENTITY_IMDS, NULL, SECRET_INIT }
void managed_identity_request_wipe(struct managed_identity_request *r);

/*
 * Whom to ask for the token of a->scope (without "/.default", it is called
 * the resource) and a->identity.  Kinds: CONFIG, NOMEM.
 */
int managed_identity_request(const struct managed_identity_env *e,
	const struct account *a, struct managed_identity_request *ret,
	struct diag *reterr);

/*
 * Reads the answer.  http_status and retry_after_s (0: none) are HTTP's.
 * ret->refresh_in_s is half of the life if that is two hours or more and the
 * answer does not say.  RETRY for 404, 408, 410, 429, 5xx and for what is no
 * answer of such an endpoint at all; CONFIG for any other refusal, with its
 * words, cut and without what looks like a credential.
 */
int managed_identity_parse(enum managed_identity_source source,
	long http_status, int64_t retry_after_s, const char *body, size_t len,
	int64_t now_s, struct oauth2_tokens *ret, struct diag *reterr);

/* "IMDS" and so on: puts it in front of why there was no answer. */
int managed_identity_wrap(enum managed_identity_source source,
	struct diag *d);

#endif
